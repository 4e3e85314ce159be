# Fuzz targets: every tests/fuzz/fuzz_<name>.c is one binary $(B)/fuzz_<name>.
#
#   make VARIANT=fuzz fuzz           build/fuzz/fuzz_*
#   make VARIANT=fuzz fuzz-replay    runs each over its committed corpus, once
#   build/fuzz/fuzz_parse tests/fuzz/corpus/parse -max_total_time=60
#
# A target of several files takes its parts from tests/fuzz/<name>_*.c as well.
# A corpus that a program makes is made by tests/fuzz/seed_<name>.c: make fuzz-seed-<name>.

FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(B)/%.o)
FUZZ_BIN := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/%)

fuzz_parts = $(patsubst %.c,$(B)/%.o,$(wildcard tests/fuzz/$(1)_*.c))
FUZZ_PART := $(foreach f,$(FUZZ_SRC:tests/fuzz/fuzz_%.c=%),$(call fuzz_parts,$f))
FUZZ_OBJ += $(FUZZ_PART)
$(foreach f,$(FUZZ_SRC:tests/fuzz/fuzz_%.c=%),$(eval $(B)/fuzz_$f: $(call fuzz_parts,$f)))

# Coverage guides the fuzzer through what is tested, not through the test.
ifeq ($(VARIANT),fuzz)
$(FUZZ_OBJ): CFLAGS_ALL += -fno-sanitize=fuzzer-no-link
endif

$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(LIB)
	$(CC) $(LDFLAGS_ALL) $< $(call fuzz_parts,$*) $(LIB) $(LIBS) -o $@
$(B)/fuzz_stack: LDFLAGS_ALL += -Wl,--wrap=tcp_isn,--wrap=flow_table_insert,--wrap=flow_table_replace

$(B)/seed_%: $(B)/tests/fuzz/seed_%.o $(LIB)
	$(CC) $(filter-out -fsanitize=fuzzer%,$(LDFLAGS_ALL)) $< $(LIB) $(LIBS) -o $@

.SECONDARY: $(FUZZ_OBJ)
.PHONY: fuzz fuzz-replay
fuzz: $(FUZZ_BIN) ## fuzz targets (with VARIANT=fuzz)

fuzz-replay: fuzz ## each fuzz target over its committed corpus (with VARIANT=fuzz)
	@n=0; for b in $(FUZZ_BIN); do \
	    "$$b" -runs=0 "tests/fuzz/corpus/$${b##*/fuzz_}" >"$$b.log" 2>&1 || \
	        { cat "$$b.log"; echo "fuzz: 0 passed, 1 failed ($$b)"; exit 1; }; \
	    n=$$((n + 1)); \
	done; echo "fuzz: $$n passed, 0 failed (corpora replayed)"

fuzz-seed-%: $(B)/seed_%
	@mkdir -p tests/fuzz/corpus/$*
	$< tests/fuzz/corpus/$*

-include $(FUZZ_OBJ:.o=.d)
