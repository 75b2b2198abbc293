# What an item costs in memory, and what the index costs in time. Measurements, so never part of a check.
LOOKUP := $(BUILD)/bench/lookup

$(LOOKUP): $(BUILD)/obj/tests/bench/density/lookup.o $(foreach r,$(BELOW_store),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: bench-lookup
bench-lookup: $(LOOKUP) ## bytes and ns of the index, in-process: phases of its growth around 1 M and 10 M items
	$(LOOKUP) 600000 1000000 1300000 1700000
	$(LOOKUP) 1000000 10000000

GROWTH := $(BUILD)/bench/growth
COUNT  ?= 5000000

$(GROWTH): $(BUILD)/obj/tests/bench/density/growth.o
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

.PHONY: bench-growth
bench-growth: $(BINARY) $(GROWTH) ## how long requests wait while a server is filled, beside memcached; COUNT=50000000 for all of it
	/usr/bin/python3 tests/bench/density/growth.py --growth $(GROWTH) --vitrine $(BINARY) --count $(COUNT)

.PHONY: bench-density
bench-density: $(BINARY) bench-tools ## what an item costs in memory, and how many fit; writes docs/density.md
	/usr/bin/python3 tests/bench/density/density.py --load $(BENCH_LOAD) --vitrine $(BINARY) --write docs/density.md

bench-memory: bench-density
