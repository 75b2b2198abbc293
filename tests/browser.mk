# The dashboard in headless Chromium, against the real binary; and its helpers under node's test runner.
# CHROMIUM names another browser, ONLY runs the tests whose names hold that text.

BROWSER_MODULES := tests/browser/node_modules/.package-lock.json
WEB_UNIT        := $(patsubst tests/browser/unit/%.test.ts,build/web/unit/%.test.mjs,$(wildcard tests/browser/unit/*.test.ts))

$(BROWSER_MODULES): tests/browser/package.json tests/browser/package-lock.json
	tools/npm-ci.sh tests/browser

build/web/unit/%.test.mjs: tests/browser/unit/%.test.ts $(WEB_SOURCES) | $(ASSETS)
	@mkdir -p $(@D)
	web/node_modules/.bin/esbuild $< --bundle --platform=node --format=esm --log-level=warning --outfile=$@

.PHONY: web-unit
web-unit: $(WEB_UNIT)
	node --test $^

.PHONY: browser-check
browser-check: $(BINARY) $(BROWSER_MODULES) web-unit
	@test -x "$${CHROMIUM:-/usr/bin/chromium}" || { echo "chromium is missing: apt-get install chromium" >&2; exit 1; }
	VITRINE="$${VITRINE:-$(BINARY)}" node tests/browser/run.mjs
