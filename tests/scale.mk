# How the store's speed grows with threads: in-process, without sockets. Timing, so never part of a check.
SCALE := $(BUILD)/bench/scale

$(SCALE): $(BUILD)/obj/tests/bench/scale.o $(foreach r,$(BELOW_store),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: bench-scale
bench-scale: $(SCALE) ## how gets and sets scale with threads, in-process: 1 M items, then 10 M
	$(SCALE) --items 1000000
	$(SCALE) --items 10000000
