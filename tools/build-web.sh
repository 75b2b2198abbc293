#!/bin/sh
# tools/build-web.sh OUTPUT.c: the dashboard in web/, checked, bundled and embedded in one C file.
# Uses web/dist/assets.c, as a source tarball carries it, where there is no node. Run it from anywhere; several
# runs at once take turns.
set -eu

fail() {
    echo "build-web: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: tools/build-web.sh OUTPUT.c"
mkdir -p "$(dirname "$1")"
output=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
web=$root/web

if ! command -v node >/dev/null; then
    [ -f "$web/dist/assets.c" ] || fail "node is missing: apt-get install nodejs npm"
    cp "$web/dist/assets.c" "$output.$$.tmp"
    mv "$output.$$.tmp" "$output"
    exit 0
fi
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 18 ] || fail "node $major is too old: 18 or newer is needed"

mkdir -p "$root/build"
exec 9>"$root/build/.web.lock"
flock 9

# npm leaves its own lock in node_modules: newer than ours means installed from it.
if [ ! "$web/node_modules/.package-lock.json" -nt "$web/package-lock.json" ]; then
    "$root/tools/npm-ci.sh" "$web"
fi

cd "$web"
node node_modules/typescript/bin/tsc --noEmit || fail "the dashboard does not type check"
node build.mjs "$output" || fail "the dashboard does not bundle"
