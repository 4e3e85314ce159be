# What the tests against foreign programs need: a bad link, and an application over the stack that
# reads as slowly as it is told to. Included by the Makefile.

PEERS     := $(B)/lossy $(B)/slow_reader
PEERS_OBJ := $(B)/tests/peers/lossy.o $(B)/tests/peers/slow_reader.o

.PHONY: peers
peers: $(PEERS)

$(B)/lossy: $(B)/tests/peers/lossy.o
	$(CC) $(LDFLAGS_ALL) $< -o $@

$(B)/slow_reader: $(B)/tests/peers/slow_reader.o $(LIBMTCP)
	$(CC) $(LDFLAGS_ALL) $< $(LIBMTCP) $(DPDK_LIBS) $(LIBS) -o $@

-include $(PEERS_OBJ:.o=.d)
