# Miss ratios by wire: memcached and Vitrine replay the same streams in equal RSS. TRACES names the folder of trace files.
POLICY_WIRE := $(BUILD)/bench/wire
POLICY_WIRE_OBJECTS := $(patsubst %,$(BUILD)/obj/tests/bench/%.o,policy/wire policy/wire_link policy/stream)

$(POLICY_WIRE): $(POLICY_WIRE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

.PHONY: policy-wire
policy-wire: $(BINARY) $(POLICY_WIRE) ## miss ratios by wire beside memcached at equal RSS; TRACES=folder of trace files
	/usr/bin/python3 tests/bench/policy/wire_run.py --wire $(POLICY_WIRE) --vitrine $(BINARY) \
	    --traces $(or $(TRACES),$(error TRACES=folder is needed)) --work $(BUILD)/policy-wire --write docs/policy.md
