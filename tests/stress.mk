# Threads against the store, checked by the values themselves: plain, then under ThreadSanitizer and
# AddressSanitizer with UndefinedBehaviorSanitizer. VITRINE_STRESS_OPERATIONS makes it longer.
STORE_STRESS := $(BUILD)/stress/store_stress

$(STORE_STRESS): $(BUILD)/obj/tests/stress/store_stress.o $(foreach r,$(BELOW_store),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: stress stress-run
stress-run: $(STORE_STRESS)
	$(STORE_STRESS)

stress: stress-run
	$(MAKE) SANITIZE=thread BUILD=$(BUILD)/thread stress-run
	$(MAKE) SANITIZE=address BUILD=$(BUILD)/address stress-run
