# Threads against the store, checked by the values themselves: plain, then under ThreadSanitizer and
# AddressSanitizer with UndefinedBehaviorSanitizer; each with the schedule left alone, and disturbed at the marked
# points as each of the seeds says. VITRINE_STRESS_OPERATIONS makes the former longer; VITRINE_SEED=<seed>
# build/stress/store_stress replays one of the latter.
STORE_STRESS := $(BUILD)/stress/store_stress
STRESS_SEEDS ?= $(if $(SANITIZE),1 2 3 4,1 2 3 4 5 6 7 8 9 10 11 12)
STRESS_SEED_OPERATIONS ?= $(if $(SANITIZE),8000,20000)

$(STORE_STRESS): $(BUILD)/obj/tests/stress/store_stress.o $(PERTURBED_LIBS)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: stress stress-run
stress-run: $(STORE_STRESS)
	$(STORE_STRESS)
	for seed in $(STRESS_SEEDS); do \
	    VITRINE_SEED=$$seed VITRINE_STRESS_OPERATIONS=$(STRESS_SEED_OPERATIONS) $(STORE_STRESS) || exit 1; done

stress: stress-run
	$(MAKE) SANITIZE=thread BUILD=$(BUILD)/thread stress-run
	$(MAKE) SANITIZE=address BUILD=$(BUILD)/address stress-run
