# Tools of the DPDK tests: what drives the packet I/O alone, and what the tests need of the kernel
# that is not in every system's packages. Included by the Makefile.

DPDK_TOOLS   := $(B)/io_probe $(B)/rss_probe $(B)/net_tool $(B)/capture_write $(B)/mosrun $(B)/flowlog.so
DPDK_TOOL_OBJ := $(patsubst %,$(B)/tests/dpdk/%.o,io_probe rss_probe_dpdk net_tool capture_write)

$(B)/io_probe: $(B)/tests/dpdk/io_probe.o $(LIB)
	$(CC) $(LDFLAGS_ALL) $< $(LIB) $(DPDK_LIBS) $(LIBS) -o $@

$(B)/rss_probe: $(B)/tests/dpdk/rss_probe_dpdk.o $(LIB)
	$(CC) $(LDFLAGS_ALL) $< $(LIB) $(DPDK_LIBS) $(LIBS) -o $@

$(B)/net_tool: $(B)/tests/dpdk/net_tool.o
	$(CC) $(LDFLAGS_ALL) $< -o $@

$(B)/capture_write: $(B)/tests/dpdk/capture_write.o $(LIB)
	$(CC) $(LDFLAGS_ALL) $< $(LIB) $(DPDK_LIBS) $(LIBS) -o $@

.PHONY: dpdk-tools test-dpdk-io
dpdk-tools: $(DPDK_TOOLS)

test-dpdk-io: ## packet I/O on net_tap, af_packet, memif, vhost-user (root or a user namespace)
	@$(MAKE) --no-print-directory VARIANT=$(or $(TEST_VARIANT),debug) dpdk-tools
	@B=build/$(or $(TEST_VARIANT),debug) tests/dpdk/t_io_dpdk.sh

-include $(DPDK_TOOL_OBJ:.o=.d)
