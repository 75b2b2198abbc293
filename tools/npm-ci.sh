#!/bin/sh
# tools/npm-ci.sh FOLDER: installs what FOLDER/package-lock.json names, exactly that. Every package is held against the
# SHA-512 in that file, and no script of a package is run. So the way they come by need not be trusted: where a proxy's
# certificate stands in it, they are fetched without looking at the certificate - and without the user's npm settings,
# so that no registry token of theirs is shown to whoever stands there.
set -eu

fail() {
    echo "npm-ci: $*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: tools/npm-ci.sh FOLDER"
command -v npm >/dev/null || fail "npm is missing: run tools/install-deps.sh"
cd "$1"

# What stands without a SHA-512 could be anything.
node -e '
const { packages } = JSON.parse(require("fs").readFileSync("package-lock.json", "utf8"));
const bare = Object.keys(packages).filter((name) => name && !/^sha512-/.test(packages[name].integrity || ""));
if (bare.length) { console.error("npm-ci: no SHA-512 in package-lock.json for " + bare.join(", ")); process.exit(1); }'

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error "$@" >"$log" 2>&1
}
# The first attempt does not retry: a certificate does not get better by waiting.
install --fetch-retries=0 || {
    if grep -qE 'CERT|certificate' "$log"; then
        echo "npm-ci: the registry's certificate is not trusted here: fetching by SHA-512 alone, without your npm settings" >&2
        install --strict-ssl=false --userconfig="$log.no-user" --globalconfig="$log.no-global" # neither file exists
    else
        install
    fi
} || {
    cat "$log" >&2
    fail "the packages of $1 could not be fetched: is the npm registry reachable?"
}
touch node_modules/.package-lock.json
