#!/bin/sh
# Words that must not stand in what we ship: notes to ourselves, paths of one machine, hosts in lock files.
# Prints each place; exit 1 if there is any.
set -eu
cd "$(dirname "$0")/../.."

search() { # search WHAT PATTERN FIND-ARGUMENTS...
    what=$1 pattern=$2
    shift 2
    found=$(find . \( -name .git -o -name build -o -name node_modules -o -name lint \) -prune -o -type f "$@" \
        -exec grep -nIE "$pattern" {} + | cut -c1-160)
    if [ -n "$found" ]; then
        echo "$found" | sed "s/^/$what: /"
        bad=1
    fi
}

bad=0
search 'note to ourselves' '\b(TODO|FIXME|XXX|HACK)\b' -not -name '*.md' -not -name package-lock.json
search 'path of one machine' '(^|[^[:alnum:]_./-])/(work|home|root)/[[:alnum:]]' -size +0
search 'host in a lock file' '"resolved"' -name package-lock.json
search 'trailing space' '[[:blank:]]+$' \( -name '*.[ch]' -o -name '*.def' -o -name '*.sh' -o -name '*.py' -o -name '*.ts*' -o -name '*.mk' \)
exit "$bad"
