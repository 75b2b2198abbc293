# libFuzzer over the protocol, under both sanitizers. FUZZ_SECONDS says how long; what it finds lands in build/fuzz.
FUZZ         := build/fuzz
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := text binary doors
FUZZ_LIBS    := $(foreach r,$(BELOW_protocol),$(FUZZ)/lib$(r).a)

# Built by clang in a folder of its own, whatever the rest is built with.
.PHONY: fuzz-build
fuzz-build:
	$(MAKE) --no-print-directory CC=clang SANITIZE=address BUILD=$(FUZZ) EXTRA_CFLAGS=-fsanitize=fuzzer-no-link \
	    $(FUZZ_LIBS) $(FUZZ_TARGETS:%=$(FUZZ)/obj/tests/fuzz/fuzz_%.o)
	for target in $(FUZZ_TARGETS); do clang -pthread -fsanitize=fuzzer,address,undefined -o $(FUZZ)/fuzz_$$target \
	    $(FUZZ)/obj/tests/fuzz/fuzz_$$target.o $(FUZZ_LIBS) || exit 1; done
	tests/fuzz/make-seeds.py $(FUZZ)

.PHONY: fuzz fuzz-binary fuzz-doors
fuzz-doors: fuzz-build ## libFuzzer over datagrams and the way in with -Y for FUZZ_SECONDS
	nice -n 19 $(FUZZ)/fuzz_doors -dict=$(FUZZ)/text.dict -max_len=4096 -max_total_time=$(FUZZ_SECONDS) \
	    -artifact_prefix=$(FUZZ)/ -print_final_stats=1 -verbosity=0 $(FUZZ)/corpus-doors

fuzz-binary: fuzz-build ## libFuzzer over the binary protocol for FUZZ_SECONDS
	nice -n 19 $(FUZZ)/fuzz_binary -max_len=4096 -max_total_time=$(FUZZ_SECONDS) \
	    -artifact_prefix=$(FUZZ)/ -print_final_stats=1 -verbosity=0 $(FUZZ)/corpus-binary

fuzz: fuzz-build ## libFuzzer over the text protocol for FUZZ_SECONDS
	nice -n 19 $(FUZZ)/fuzz_text -dict=$(FUZZ)/text.dict -max_len=4096 -max_total_time=$(FUZZ_SECONDS) \
	    -artifact_prefix=$(FUZZ)/ -print_final_stats=1 -verbosity=0 $(FUZZ)/corpus
