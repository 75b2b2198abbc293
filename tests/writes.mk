# What overwrites, deletes and counters leave of the memory, in-process.
BENCH_WRITES := $(BUILD)/bench/writes

$(BENCH_WRITES): $(BUILD)/obj/tests/bench/writes/writes.o $(foreach r,$(BELOW_store),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: bench-writes
bench-writes: $(BENCH_WRITES) ## how much of the memory is alive after loads of writes; writes docs/writes.md
	tests/bench/writes/report.sh $(BENCH_WRITES) docs/writes.md
