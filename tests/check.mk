# Every test there is, as one command.
.PHONY: check unit-programs
check: ## every test suite; ends in 'N passed, N failed'
	/usr/bin/python3 tests/lib/check.py

unit-programs: $(UNIT_TESTS)
