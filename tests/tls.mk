# TLS as clients meet it: certificates, handshakes, sessions, every kind of end; beside the installed memcached.
.PHONY: tls-check
tls-check: $(BINARY) ## TLS: certificates, handshakes, sessions, ends; SANITIZE=address or thread too
	VITRINE=$(BINARY) VITRINE_SANITIZED=$(SANITIZE) /usr/bin/python3 tests/server/run.py tests/tls
