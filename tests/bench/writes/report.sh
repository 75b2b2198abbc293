#!/bin/sh
# report.sh PROGRAM FILE: runs the loads and writes their table into FILE.
set -eu
{
    echo "# Writes and memory"
    echo
    echo "\`make bench-writes\` on $(date -u +%Y-%m-%d). Each load fills an empty store of \`-m 256\` with 100 MiB of items, then writes 800 MiB"
    echo "more, half of the operations being writes and half gets. The figures are taken at rest afterwards: bytes alive for each byte of the"
    echo "segments in use, the same with the index counted in, bytes the maintainer copied for each byte written, the share of"
    echo "writes that took the place of an item replaced or deleted before, the process's RSS, and the processor time of the writing thread"
    echo "for an operation, drawing it included."
    echo
    "$1"
} > "$2.new"
mv "$2.new" "$2"
cat "$2"
