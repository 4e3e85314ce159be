# What the tests against foreign programs need: a bad link, and applications over the stack, one that
# reads as slowly as it is told to and one that serves iperf3. Included by the Makefile.

PEERS     := $(B)/lossy $(B)/slow_reader $(B)/iperf_server
PEERS_OBJ := $(PEERS:$(B)/%=$(B)/tests/peers/%.o)

.PHONY: peers
peers: $(PEERS)

$(B)/lossy: $(B)/tests/peers/lossy.o
	$(CC) $(LDFLAGS_ALL) $< -o $@

$(B)/slow_reader $(B)/iperf_server: $(B)/%: $(B)/tests/peers/%.o $(LIBMTCP)
	$(CC) $(LDFLAGS_ALL) $< $(LIBMTCP) $(DPDK_LIBS) $(LIBS) -o $@

-include $(PEERS_OBJ:.o=.d)
