#!/bin/sh
# Reads the exposition of `render` ($1) with Prometheus' own tools, and checks the rules and the dashboard that are shipped.
# promtool (package prometheus) and the reference parser (python3-prometheus-client) are used where they are installed;
# what was left out is said. Prints one line a check; fails if one does.
set -u
render=$1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

check() { # name, command...
    name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok   $name"
    else
        echo "FAIL $name"
        cat "$work/log"
        failed=1
    fi
}

# The exporter's own slips are kept on purpose: promtool may complain of these three counters, and of nothing else.
promtool_metrics() {
    promtool check metrics <"$work/text" 2>&1 |
        grep -v -e '^memcached_uptime_seconds counter metrics should have "_total" suffix$' \
            -e '^memcached_slab_items_evicted_time_seconds counter metrics should have "_total" suffix$' \
            -e '^memcached_slab_mem_requested_bytes counter metrics should have "_total" suffix$' >"$work/lint"
    cat "$work/lint"
    [ ! -s "$work/lint" ]
}

"$render" text >"$work/text" || exit 1
"$render" openmetrics >"$work/openmetrics" || exit 1

if command -v promtool >/dev/null; then
    check "promtool reads the exposition" promtool_metrics
    check "promtool reads the alert rules" promtool check rules "$here/../../metrics/rules/vitrine.rules.yml"
    check "each alert is raised when it should be, and only then" promtool test rules "$here/rules-test.yml"
else
    echo "skip promtool is not installed"
fi
check "the exporter's families are rendered word for word" \
    /usr/bin/python3 "$here/exposition.py" parity "$work/text" "$here/exporter-0.16.tsv"
check "no sample is told twice, and none lacks its type" /usr/bin/python3 "$here/exposition.py" samples "$work/text"
check "the dashboard asks only for families that exist" \
    /usr/bin/python3 "$here/exposition.py" dashboard "$work/text" "$here/../../metrics/grafana/vitrine.json"
if /usr/bin/python3 -c 'import prometheus_client' 2>/dev/null; then
    check "the reference parser reads OpenMetrics" /usr/bin/python3 "$here/exposition.py" openmetrics "$work/openmetrics"
else
    echo "skip python3-prometheus-client is not installed"
fi
exit $failed
