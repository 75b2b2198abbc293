# What metrics hands to others, read with Prometheus' own tools; and the document made from its tables.
METRICS_RENDER    := $(BUILD)/metrics/render
METRICS_REFERENCE := $(BUILD)/metrics/reference

$(METRICS_RENDER) $(METRICS_REFERENCE): $(BUILD)/metrics/%: $(BUILD)/obj/tests/metrics/%.o $(foreach r,$(BELOW_metrics),$(BUILD)/lib$(r).a)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

.PHONY: metrics-check metrics-figures
metrics-check: $(METRICS_RENDER) ## /metrics read by promtool and the reference parser; the alerts; the dashboard's queries
	tests/metrics/run.sh $(METRICS_RENDER)

metrics-figures: $(METRICS_RENDER) ## size and time of a scrape, memory and time of observing
	$(METRICS_RENDER) time

.PHONY: docs docs-check docs-metrics docs-metrics-check
docs: docs-metrics ## the generated references
docs-check: docs-metrics-check ## fails where a generated reference is stale

docs-metrics: $(METRICS_REFERENCE)
	@mkdir -p docs
	$(METRICS_REFERENCE) >docs/metrics.md

docs-metrics-check: $(METRICS_REFERENCE)
	@$(METRICS_REFERENCE) | cmp - docs/metrics.md || { echo "docs/metrics.md is stale: make docs"; exit 1; }
