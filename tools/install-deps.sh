#!/bin/sh
# Installs what is missing to build Vitrine and, with --tests, to run its tests too, or, with --clients, the matrix of
# clients alone (`make matrix`, which the tests have as well): on Debian and its descendants, as root. Where nothing is
# missing it does nothing and needs no rights.
set -eu

BUILD='gcc libc6-dev make pkg-config libevent-dev libssl-dev libmicrohttpd-dev libjansson-dev libxxhash-dev zlib1g-dev ca-certificates'
TESTS='check curl openssl libsubunit-dev python3 clang clang-format cppcheck shellcheck pyflakes3 procps util-linux'
SERVERS='memcached prometheus'
CLIENTS='python3-prometheus-client python3-pymemcache python3-memcache python3-pylibmc libmemcached-tools sasl2-bin
 libsasl2-modules libsasl2-modules-db chromium'
# Each brings a service of its name, without what follows the -.
SERVICES='memcached prometheus postgresql-15 nginx-light nutcracker'
MATRIX='memcached util-linux iputils-ping openssl sasl2-bin libsasl2-modules libsasl2-modules-db python3 python3-pymemcache
 python3-memcache python3-pylibmc python3-binary-memcached python3-swift python3-django libmemcached-tools php-cli
 php-memcached php-memcache ruby ruby-dalli libcache-memcached-perl libcache-memcached-fast-perl golang-go
 golang-github-bradfitz-gomemcache-dev openjdk-17-jdk-headless libspymemcached-java
 postgresql-15 postgresql-15-pgmemcache nginx-light nutcracker'

fail() {
    echo "install-deps: $*" >&2
    exit 1
}

has_package() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Node.js often comes from elsewhere than the distribution: any node and npm on the PATH will do.
has_program() {
    command -v "$1" >/dev/null 2>&1
}

list_missing() {
    for package in $wanted; do
        has_package "$package" || echo "$package"
    done
    has_program node || echo nodejs
    has_program npm || echo npm
}

install_packages() {
    # shellcheck disable=SC2086 # a list of words
    apt-get install -y -q --no-install-recommends $missing
}

# Packages that bring a service would start it at once: while we install, nothing is started.
hold_services() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return
    trap 'rm -f "$policy"' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
}

# Nor shall a service that only the tests brought here (for its program) start with the machine.
disable_services() {
    for package in $SERVICES; do
        case " $missing" in
        *" $package "*) update-rc.d "${package%-*}" disable >/dev/null 2>&1 || true ;;
        esac
    done
}

case "${1-}" in
'') wanted=$BUILD ;;
--tests) wanted="$BUILD $TESTS $SERVERS $CLIENTS $MATRIX" ;;
--clients) wanted="$BUILD $MATRIX" ;;
*) fail "usage: tools/install-deps.sh [--tests | --clients]" ;;
esac

has_program dpkg-query ||
    fail "this is not a Debian system; install these by your system's names: $wanted nodejs npm"
missing=$(list_missing | tr '\n' ' ')
if [ -z "$missing" ]; then
    exit 0
fi
[ "$(id -u)" -eq 0 ] ||
    fail "these packages are missing; run this as root (sudo $0 $*) or install them: $missing"

export DEBIAN_FRONTEND=noninteractive
echo "install-deps: installing $missing"
hold_services
# shellcheck disable=SC2086 # a list of words
apt-cache show --no-all-versions $missing >/dev/null 2>&1 || apt-get update -q
install_packages || {
    apt-get update -q
    install_packages
}
disable_services
