# The server as its clients meet it: options, addresses, limits, floods, attacks and the end.
.PHONY: server-check
server-check: $(BINARY) ## options, addresses, limits, floods, attacks and the end; SANITIZE=address or thread too
	VITRINE=$(BINARY) VITRINE_SANITIZED=$(SANITIZE) /usr/bin/python3 tests/server/run.py
