# The applications: each a folder, each linked with the whole library, so that the plugins which
# mos.conf names find its calls. Included by the Makefile.

APP_LINK = $(LDFLAGS_ALL) -rdynamic -Wl,--whole-archive $(LIB) -Wl,--no-whole-archive \
           $(DPDK_LIBS) $(LIBS) -lhttp_parser

EPSERVER_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard apps/epserver/*.c))

APPS := $(B)/epserver

all: apps
.PHONY: apps
apps: $(APPS) ## epserver, epclient, flowlog and the examples

$(B)/epserver: $(EPSERVER_OBJ) $(LIB)
	$(CC) $(EPSERVER_OBJ) $(APP_LINK) -o $@

# What the unit tests take from here.
UNIT_EXTRA_OBJ := $(patsubst %,$(B)/apps/epserver/%.o,path httpdate mime request)
UNIT_EXTRA_LIBS := -lhttp_parser

-include $(EPSERVER_OBJ:.o=.d)
