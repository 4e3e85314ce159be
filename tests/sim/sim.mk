# The simulation (tests/sim): no root, no DPDK. `--wrap` gives it the initial sequence numbers.
SIM_SRC := $(sort $(wildcard tests/sim/*.c))
SIM_OBJ := $(SIM_SRC:%.c=$(B)/%.o)

$(B)/sim: $(SIM_OBJ) $(LIB)
	$(CC) $(LDFLAGS_ALL) -Wl,--wrap=tcp_isn $(SIM_OBJ) $(LIB) $(LIBS) -o $@

-include $(SIM_OBJ:.o=.d)
