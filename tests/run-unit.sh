#!/bin/sh
# Runs the unit test programs named as arguments, two at a time, and prints one closing line 'N passed, N failed'.
# A test that names no limit of its own has a minute, where libcheck would give it 4 s: a slow machine fails no test.
set -u
export CK_DEFAULT_TIMEOUT=60
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
printf '%s\n' "$@" | xargs -P 2 -I{} sh -c '
    name=$(basename {})
    if timeout 600 {} >"$0/$name.out" 2>&1; then echo "ok   $name"; else echo "FAIL $name"; cat "$0/$name.out"; touch "$0/$name.failed"; fi' "$log"
checks=$(cat "$log"/*.out | sed -n 's/.*Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\).*/\1 \2 \3/p' | awk '{c += $1; f += $2 + $3} END {printf "%d passed, %d failed", c - f, f}')
broken=$(find "$log" -name '*.failed' | wc -l)
echo "$checks"
[ "$broken" -eq 0 ]
