# The adapter for packetdrill, a shared object (docs/conformance.md). Position-independent code needs
# objects of its own, so it is a variant:
#
#   make VARIANT=packetdrill packetdrill     build/packetdrill/packetdrill.so
#   tests/packetdrill/run.sh PACKETDRILL SCRIPTS...

PD_SRC := $(sort $(wildcard tests/packetdrill/*.c))
PD_OBJ := $(PD_SRC:%.c=$(B)/%.o)

$(B)/packetdrill.so: $(PD_OBJ) $(LIB) tests/packetdrill/packetdrill.map
	$(CC) -shared $(LDFLAGS_ALL) -Wl,--version-script=tests/packetdrill/packetdrill.map \
	    -Wl,-z,defs $(PD_OBJ) $(LIB) $(LIBS) -o $@

.PHONY: packetdrill
packetdrill: $(B)/packetdrill.so ## the adapter for packetdrill (with VARIANT=packetdrill)

-include $(PD_OBJ:.o=.d)
