# Every option of memcached's own help, put to both servers; what each does; and the list of them in docs.
.PHONY: options-check
options-check: $(BINARY) ## every option of memcached's help: taken, checked, told, and what it does
	VITRINE=$(BINARY) VITRINE_SANITIZED=$(SANITIZE) PYTHONPATH=tests/server /usr/bin/python3 tests/server/run.py tests/options

.PHONY: docs-options docs-options-check
docs: docs-options
docs-check: docs-options-check

docs-options: $(BINARY)
	$(BINARY) --options-table >docs/options.md

docs-options-check: $(BINARY)
	@$(BINARY) --options-table | cmp - docs/options.md || { echo "docs/options.md is stale: make docs"; exit 1; }
