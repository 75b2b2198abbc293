# Miss ratios: traces replayed through the store and through models of other caches, at equal bytes.
# The streams come from tests/bench/policy's prepare.py, synthetic.py and profiles.py; TRACES names the folder of trace
# files, without which only profiles and known patterns are replayed.

POLICY_SOURCES := $(filter-out $(wildcard tests/bench/policy/wire*.c),$(wildcard tests/bench/policy/*.c))
POLICY := $(BUILD)/bench/policy

$(POLICY): $(patsubst %.c,$(BUILD)/obj/%.o,$(POLICY_SOURCES)) $(foreach r,$(BELOW_store),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: policy
policy: $(POLICY) ## miss ratios in the simulator beside other policies; TRACES=folder of trace files
	/usr/bin/python3 tests/bench/policy/table.py --policy $(POLICY) $(if $(TRACES),--traces $(TRACES)) \
	    --work $(BUILD)/policy --write docs/policy.md
