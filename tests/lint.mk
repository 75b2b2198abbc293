# Static checks of everything that is ours. The dashboard's sources are type-checked with what its build installed.
.PHONY: lint format
lint: $(ASSETS) ## every static check, one line each
	tests/lint/run.sh

format: ## lay the C sources out as .clang-format says
	find daemon metrics admin tests -name '*.[ch]' -not -path '*/node_modules/*' -exec clang-format -i {} +
