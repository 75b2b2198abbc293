# The server as its clients meet it: options, addresses, limits, floods, attacks and the end.
.PHONY: server-check
server-check: $(BINARY) ## options, addresses, limits, floods, attacks and the end; SANITIZE=address or thread too
	VITRINE=$(BINARY) VITRINE_SANITIZED=$(SANITIZE) /usr/bin/python3 tests/server/run.py

.PHONY: soak-large
soak-large: $(BINARY) ## large values in full: 100 of 8 MiB under eviction, one of 600 MB; a minute or two
	VITRINE=$(BINARY) VITRINE_LARGE=full VITRINE_SANITIZED=$(SANITIZE) /usr/bin/python3 tests/server/check_large.py
