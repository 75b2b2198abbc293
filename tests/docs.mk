# The documents, done as they say, against a real server.
.PHONY: docs-check readme-check
docs-check: readme-check
readme-check: $(BINARY) ## the README's walk-through, links, targets and options; a real Prometheus
	/usr/bin/python3 tests/docs/check.py --vitrine $(BINARY)
