# The load generator, the no-cache floor server, and the runs that compare. Timing lives here, never in a test.

BENCH_SOURCES := $(filter-out tests/bench/floor.c tests/bench/scale.c tests/bench/observe_turn.c,$(wildcard tests/bench/*.c))
BENCH_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(BENCH_SOURCES)) $(BUILD)/obj/metrics/histogram.o
BENCH_LOAD    := $(BUILD)/bench/load
BENCH_FLOOR   := $(BUILD)/bench/floor
BENCH_RUN     := /usr/bin/python3 tests/bench/run.py --load $(BENCH_LOAD) --floor $(BENCH_FLOOR) --vitrine $(BINARY)

$(BENCH_LOAD): $(BENCH_OBJECTS) $(BUILD)/libbase.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

$(BENCH_FLOOR): $(BUILD)/obj/tests/bench/floor.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

.PHONY: bench-tools bench bench-quick bench-memory bench-many bench-values
bench-tools: $(BENCH_LOAD) $(BENCH_FLOOR)

bench: $(BINARY) bench-tools ## speed beside the first memcached in PATH and the no-cache floor; writes docs/bench.md
	$(BENCH_RUN) speed --rounds 5 --seconds 3 --write docs/bench.md

bench-quick: $(BINARY) bench-tools ## the same in short rounds, printed only
	$(BENCH_RUN) speed --rounds 3 --seconds 1

bench-memory: $(BINARY) bench-tools ## RSS after filling -m 64 three times over
	$(BENCH_RUN) memory

bench-values: $(BINARY) bench-tools ## gets and sets of 1 to 900 kB beside memcached; writes docs/values.md
	/usr/bin/python3 tests/bench/values.py --load $(BENCH_LOAD) --vitrine $(BINARY) --write docs/values.md

# 17 GB and a quarter of an hour for 100 million.
MANY ?= 20000000
bench-many: $(BINARY) bench-tools ## what a get costs among very many items, beside a million; MANY=100000000 for as many
	/usr/bin/python3 tests/bench/many.py --load $(BENCH_LOAD) --vitrine $(BINARY) --count $(MANY)
