# The applications: each a folder. Programs show the library's calls to the plugins that mos.conf
# names. Included by the Makefile.

APP_LINK = $(LDFLAGS_ALL) -rdynamic $(LIBMTCP) $(DPDK_LIBS) $(LIBS) -lhttp_parser

app_obj = $(patsubst %.c,$(B)/%.o,$(wildcard apps/$(1)/*.c))

EPSERVER_OBJ := $(call app_obj,epserver)
EPCLIENT_OBJ := $(call app_obj,epclient)
MOSRUN_OBJ   := $(call app_obj,mosrun)
FLOWLOG_OBJ  := $(call app_obj,flowlog)
TRACK_OBJ    := $(call app_obj,track)
CONNLOG_OBJ  := $(call app_obj,connlog)
TCPSTAT_OBJ  := $(call app_obj,tcpstat) $(B)/apps/epclient/histogram.o
COMMON_OBJ   := $(call app_obj,common)
FIREWALL_OBJ := $(call app_obj,firewall)
HTTPLOG_OBJ  := $(call app_obj,httplog)
IDS_OBJ      := $(call app_obj,ids)
EXAMPLE_OBJ  := $(call app_obj,examples)
EXAMPLES     := $(patsubst $(B)/apps/examples/%.o,$(B)/%.so,$(EXAMPLE_OBJ))

PLUGINS := $(patsubst %,$(B)/%.so,flowlog connlog tcpstat firewall httplog ids)
APPS    := $(B)/epserver $(B)/epclient $(B)/mosrun $(PLUGINS) $(EXAMPLES)

all: apps
.PHONY: apps
apps: $(APPS) ## epserver, epclient, mosrun, the plugins and the examples

$(B)/epserver: $(EPSERVER_OBJ) $(LIBMTCP)
	$(CC) $(EPSERVER_OBJ) $(APP_LINK) -o $@

$(B)/epclient: $(EPCLIENT_OBJ) $(LIBMTCP)
	$(CC) $(EPCLIENT_OBJ) $(APP_LINK) -lxxhash -o $@

$(B)/mosrun: $(MOSRUN_OBJ) $(LIBMTCP)
	$(CC) $(MOSRUN_OBJ) $(APP_LINK) -o $@

# Plugins hold none of the library: the program that loads them has it.
PLUGIN_OBJ := $(FLOWLOG_OBJ) $(TRACK_OBJ) $(CONNLOG_OBJ) $(TCPSTAT_OBJ) $(EXAMPLE_OBJ) \
              $(COMMON_OBJ) $(FIREWALL_OBJ) $(HTTPLOG_OBJ) $(IDS_OBJ)
$(PLUGIN_OBJ): CFLAGS_ALL += -fPIC

$(B)/flowlog.so: $(FLOWLOG_OBJ) $(COMMON_OBJ)
$(B)/connlog.so: $(CONNLOG_OBJ) $(TRACK_OBJ) $(COMMON_OBJ)
$(B)/tcpstat.so: $(TCPSTAT_OBJ) $(TRACK_OBJ) $(COMMON_OBJ)
$(B)/tcpstat.so: PLUGIN_LIBS := -lncurses -ltinfo
$(B)/firewall.so: $(FIREWALL_OBJ) $(COMMON_OBJ)
$(B)/httplog.so: $(HTTPLOG_OBJ) $(COMMON_OBJ)
$(B)/httplog.so: PLUGIN_LIBS := -lhttp_parser
$(B)/ids.so: $(IDS_OBJ) $(COMMON_OBJ)
$(B)/ids.so: PLUGIN_LIBS := -lhs
$(PLUGINS):
	$(CC) $(LDFLAGS_ALL) -shared -Wl,-Bsymbolic $^ $(PLUGIN_LIBS) -o $@

$(EXAMPLES): $(B)/%.so: $(B)/apps/examples/%.o
	$(CC) $(LDFLAGS_ALL) -shared -Wl,-Bsymbolic $^ -o $@

# What the unit tests and the fuzz target take from here.
UNIT_APP_OBJ := $(patsubst %,$(B)/apps/epserver/%.o,path httpdate mime request accesslog files) \
                $(patsubst %,$(B)/apps/epclient/%.o,histogram url)
# ... and unit alone: what calls the library, and the plugins' logic.
UNIT_APP_SOCK_OBJ := $(patsubst %,$(B)/apps/epclient/%.o,args exchange progress report results schedule) \
                     $(B)/apps/flowlog/options.o $(TRACK_OBJ) \
                     $(patsubst %,$(B)/apps/connlog/%.o,line options record service) \
                     $(patsubst %,$(B)/apps/tcpstat/%.o,board meter options report table totals) \
                     $(COMMON_OBJ) $(B)/apps/firewall/rules.o $(B)/apps/httplog/talk.o \
                     $(B)/apps/ids/patterns.o $(B)/apps/ids/matcher.o
# Plugins that tests load into their contexts.
$(B)/unit: | $(patsubst %,$(B)/%.so,connlog firewall flowlog httplog ids tcpstat)
$(B)/unit: $(UNIT_APP_OBJ) $(UNIT_APP_SOCK_OBJ)
$(B)/unit: UNIT_OBJ += $(UNIT_APP_OBJ) $(UNIT_APP_SOCK_OBJ)
$(B)/unit: LIBS := -lhttp_parser -lhs -lxxhash $(LIBS)
$(B)/fuzz_http: $(UNIT_APP_OBJ)
$(B)/fuzz_http: LIBS := $(UNIT_APP_OBJ) -lhttp_parser $(LIBS)

-include $(EPSERVER_OBJ:.o=.d) $(EPCLIENT_OBJ:.o=.d) $(MOSRUN_OBJ:.o=.d) $(PLUGIN_OBJ:.o=.d)

# A client on the kernel's sockets, for the tests.
$(B)/many: $(B)/tests/apps/many.o
	$(CC) $(LDFLAGS_ALL) $< -o $@
