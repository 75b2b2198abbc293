# The admin server against the running daemon: its contract, its guards, and what it must withstand.
# VITRINE names another binary, ONLY runs the tests whose names hold one of these words.
.PHONY: admin-check
admin-check: $(BINARY) ## the admin API and its guards, over raw sockets; SANITIZE=address for the ASan build
	VITRINE="$${VITRINE:-$(BINARY)}" /usr/bin/python3 tests/admin/run.py $(ONLY)

.PHONY: docs-api docs-api-check
docs: docs-api
docs-check: docs-api-check

docs-api: $(BINARY)
	VITRINE="$(BINARY)" /usr/bin/python3 tests/admin/document.py >docs/api.md

docs-api-check: $(BINARY)
	@VITRINE="$(BINARY)" /usr/bin/python3 tests/admin/document.py | cmp - docs/api.md || { echo "docs/api.md is stale: make docs"; exit 1; }
