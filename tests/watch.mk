# Streams of events and dumps of keys, beside the installed memcached.
.PHONY: watch-check
watch-check: $(BINARY) ## watch, lru_crawler metadump and mgdump; SANITIZE=address or thread too
	VITRINE=$(BINARY) VITRINE_SANITIZED=$(SANITIZE) PYTHONPATH=tests/server /usr/bin/python3 tests/server/run.py tests/watch
