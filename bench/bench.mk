# The benchmarks (bench/, docs/performance.md). The in-memory one needs no DPDK, no device, no root.
MEM_RPC_OBJ := $(B)/bench/mem_rpc.o

$(B)/mem_rpc: $(MEM_RPC_OBJ) $(LIB)
	$(CC) $(LDFLAGS_ALL) $(MEM_RPC_OBJ) $(LIB) $(LIBS) -o $@

-include $(MEM_RPC_OBJ:.o=.d)
