#!/bin/sh
# Runs every static check and prints one line each; what a failing one said follows it. The closing line is
# 'N passed, N failed'. A tool that is not there is a failure that names it.
set -u
cd "$(dirname "$0")/../.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0

check() { # check NAME COMMAND...
    name=$1
    shift
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        echo "ok   $name$(sed -n '1s/^\(.\)/: \1/p' "$log")"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        head -60 "$log"
    fi
}

need() { # need PROGRAM: stops with one line where it is missing
    command -v "$1" >/dev/null 2>&1 && return
    echo "lint: $1 is missing: run tools/install-deps.sh --tests" >&2
    exit 1
}

ours() { # ours FIND-ARGUMENTS...: our files
    find . \( -name .git -o -name build -o -name node_modules \) -prune -o -type f "$@" -print | sed 's|^\./||' | sort
}

compile() { # compile COMPILER FLAGS...: every C file of ours, under the Makefile's warnings
    ours -name '*.c' | xargs -P 2 -n 8 "$@" -std=gnu11 -pthread -D_GNU_SOURCE -Idaemon -I. -DVITRINE_VERSION='"0"' \
        -fsyntax-only -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror
}

format() {
    ours -name '*.[ch]' | xargs clang-format --dry-run -Werror
}

analyse() {
    cppcheck --quiet --std=c11 -j 2 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
        --suppressions-list=tests/lint/cppcheck.txt -Idaemon -I. -D_GNU_SOURCE -DVITRINE_VERSION='"0"' \
        daemon metrics admin tests
}

# SC3013: `test -nt` is not in POSIX, but in every sh that Debian has.
shell_scripts() {
    {
        ours -name '*.sh'
        echo .ci/run
    } | xargs shellcheck -S warning -e SC3013
}

python_scripts() {
    ours -name '*.py' | xargs pyflakes3
}

node_scripts() {
    ours \( -name '*.mjs' -o -name '*.cjs' -o -name '*.js' \) | xargs -r -n 1 node --check
}

typescript() {
    [ -x web/node_modules/.bin/tsc ] || {
        echo "web/node_modules is missing: run make"
        return 1
    }
    (cd web && npm run --silent check)
}

for program in gcc clang clang-format cppcheck shellcheck pyflakes3 node npm; do
    need "$program"
done
check layers tests/lint/layers.sh
check shape /usr/bin/python3 tests/lint/shape.py
check names tests/lint/names.sh
check format format
check 'gcc warnings' compile gcc
check 'clang warnings and thread safety' compile clang -Wthread-safety
check cppcheck analyse
check shellcheck shell_scripts
check python python_scripts
check javascript node_scripts
check typescript typescript
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
