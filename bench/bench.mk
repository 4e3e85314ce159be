# The benchmarks (bench/, docs/performance.md). The in-memory one needs no device and no root;
# watch.so is the monitor that both measure.
MEM_RPC_OBJ := $(B)/bench/mem_rpc.o $(B)/bench/watch.o

$(B)/mem_rpc: $(MEM_RPC_OBJ) $(LIBMTCP)
	$(CC) $(LDFLAGS_ALL) -rdynamic $(MEM_RPC_OBJ) $(LIBMTCP) $(DPDK_LIBS) $(LIBS) -o $@

$(B)/bench/watch.o: CFLAGS_ALL += -fPIC

$(B)/watch.so: $(B)/bench/watch.o
	$(CC) $(LDFLAGS_ALL) -shared $^ -o $@

-include $(MEM_RPC_OBJ:.o=.d)
