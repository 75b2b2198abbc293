# What observation costs: the server as it is beside one in which nothing is counted (metrics.h, METRICS_ON).
UNOBSERVED   := $(BUILD)/unobserved
OBSERVE_TURN := $(BUILD)/bench/observe_turn

$(OBSERVE_TURN): $(BUILD)/obj/tests/bench/observe_turn.o $(foreach r,$(BELOW_protocol),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: observe-tools bench-observation
observe-tools: $(BINARY) $(OBSERVE_TURN)

bench-observation: observe-tools bench-tools ## throughput with all observation on beside all of it off; writes docs/bench.md
	$(MAKE) BUILD=$(UNOBSERVED) EXTRA_CFLAGS=-DMETRICS_ON=0 observe-tools
	/usr/bin/python3 tests/bench/observe.py --load $(BENCH_LOAD) --on $(BUILD) --off $(UNOBSERVED) --write docs/bench.md
