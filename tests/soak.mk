# The real daemon under real load for an hour, or SECONDS=<n>; VITRINE_SEED=<seed> replays what was drawn.
SECONDS ?= 3600
.PHONY: soak
soak: $(BINARY) ## an hour of load in which nothing the server says may be a lie; SECONDS=n, SANITIZE, PERTURB=1
	VITRINE=$(BINARY) /usr/bin/python3 tests/soak/run.py --seconds $(SECONDS)
