# One non-recursive Makefile.
#
#   make                the library, the applications and their plugins (release)
#   make test-unit      unit and segment tests (no root, no DPDK device)
#   make help           every target
#
# VARIANT chooses how things are built; each has its own directory build/<variant>/:
#   release   -O3, native, LTO: what people run and what bench/ measures
#   debug     -O1, asserts, frame pointers: what the fast tests run
#   asan      ASan + UBSan, plain malloc        valgrind  x86-64-v3, plain malloc
#   fuzz      clang, libFuzzer + ASan + UBSan   cov       gcov counters
#   packetdrill   position-independent, plain malloc

VARIANT ?= release
B       := build/$(VARIANT)
CC      ?= gcc
AR      ?= ar
OBJCOPY ?= objcopy
NM      ?= nm
PKG     := pkg-config

WARN   := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
          -Wimplicit-fallthrough -Wvla -Werror
CSTD   := -std=gnu11
CPPF   := -I. -Iinclude -D_GNU_SOURCE -MMD -MP

ARCH_release  := -O3 -march=native -flto=auto -ffat-lto-objects -fno-semantic-interposition
ARCH_debug    := -O1 -fno-omit-frame-pointer -DMTCP_ASSERT
ARCH_asan     := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
                 -fno-sanitize-recover=all -DMTCP_ASSERT -DMEM_PLAIN
ARCH_valgrind := -O1 -march=x86-64-v3 -DMTCP_ASSERT -DMEM_PLAIN
ARCH_callgrind := -O3 -march=x86-64-v3 -flto=auto -ffat-lto-objects -fno-semantic-interposition
ARCH_fuzz     := -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
                 -fno-sanitize-recover=all -DMTCP_ASSERT -DMEM_PLAIN
ARCH_packetdrill := -O1 -fPIC -fno-omit-frame-pointer -DMTCP_ASSERT -DMEM_PLAIN
ARCH_cov      := -O0 --coverage -DMTCP_ASSERT -DMEM_PLAIN
ifeq ($(VARIANT),fuzz)
CC := clang
endif
LDX_release  := -flto=auto
LDX_callgrind := -flto=auto
LDX_asan     := -fsanitize=address,undefined
LDX_fuzz     := -fsanitize=fuzzer,address,undefined
LDX_cov      := --coverage

CFLAGS_ALL := $(CSTD) -g $(ARCH_$(VARIANT)) $(WARN) $(CPPF) $(CFLAGS)
LDFLAGS_ALL := $(LDX_$(VARIANT)) $(LDFLAGS)

# DPDK: headers as system headers; our -march comes after pkg-config's own.
DPDK_CFLAGS = $(patsubst -I%,-isystem %,$(filter-out -march=%,$(shell $(PKG) --cflags libdpdk)))
DPDK_LIBS   = $(shell $(PKG) --libs libdpdk)
ifneq ($(filter release debug fuzz asan cov,$(VARIANT)),)
DPDK_ARCH = -march=native
else
DPDK_ARCH = -march=x86-64-v3
endif

JEMALLOC_release := -ljemalloc
JEMALLOC_debug   := -ljemalloc
JEMALLOC_callgrind := -ljemalloc
LIBS := -lpcap -lconfuse $(JEMALLOC_$(VARIANT)) -lm -ldl -lpthread

LIB_SRC := $(sort $(wildcard mtcp/*/*.c mos/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
# What programs link: one object, in which only the names of include/ are global.
LIBMTCP := $(B)/libmtcp.a
# What tests link that look inside: the modules, all their names global.
LIB     := $(B)/libmtcp-inside.a

.PHONY: all lib help clean
all: lib

lib: $(LIBMTCP)

help:
	@sed -n '2,15p' Makefile | sed 's/^# \{0,1\}//'; \
	grep -hE '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 24

$(B)/%_dpdk.o: %_dpdk.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(DPDK_CFLAGS) $(DPDK_ARCH) -c $< -o $@

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c $< -o $@

$(LIB) $(LIBMTCP):
	@rm -f $@
	$(AR) rcs $@ $^
$(LIB): $(LIB_OBJ)
$(LIBMTCP): $(B)/mtcp.o

# Link-time optimisation happens here, as for a program whose entries are the public names (-u);
# programs need none. -flinker-output=pie: for all that gcc can tell this is the last link, so that
# it makes all other names local.
$(B)/mtcp.o: $(LIB_OBJ)
	$(CC) $(filter -flto%,$(LDFLAGS_ALL)) $(if $(filter -flto%,$(LDFLAGS_ALL)),-flinker-output=pie \
	    -fwhole-program) -r -nostdlib $^ -o $@.all \
	    $$($(NM) -g --defined-only $^ | sed -nE 's/.* [A-Z] ((mtcp|mos)_.*)/-Wl,-u,\1/p')
	$(OBJCOPY) -w --keep-global-symbol='mtcp_*' --keep-global-symbol='mos_*' $@.all $@
	@rm -f $@.all

# ---- unit and segment tests: no DPDK, no root --------------------------------------------------
UNIT_SRC := $(sort $(wildcard tests/t_*.c)) $(wildcard tests/seg.c tests/pair.c tests/duo.c tests/trio.c tests/net_world.c) tests/unit_main.c
UNIT_OBJ := $(UNIT_SRC:%.c=$(B)/%.o)

# -rdynamic: plugins that a test loads find the library's calls in it.
$(B)/unit: $(UNIT_OBJ) $(LIB)
	$(CC) $(LDFLAGS_ALL) -rdynamic $(UNIT_OBJ) $(LIB) -lcunit $(LIBS) -o $@

.PHONY: test-unit
test-unit: ## unit and segment tests (VARIANT=debug by default)
	@$(MAKE) --no-print-directory VARIANT=$(or $(TEST_VARIANT),debug) unit-run
.PHONY: unit-run
unit-run: $(B)/unit
	@$(B)/unit

-include apps/apps.mk tests/sim/sim.mk tests/fuzz/fuzz.mk tests/dpdk/dpdk.mk tests/peers/peers.mk \
    tests/packetdrill/packetdrill.mk bench/bench.mk

clean: ## remove build/
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(UNIT_OBJ:.o=.d)
