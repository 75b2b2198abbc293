#!/bin/sh
# tools/build-deb.sh PROGRAM VERSION: a Debian package in build/ of what `make install` installs. The packages it
# depends on are those that the program's libraries come from: those it is linked with, and OpenSSL, which it loads by
# the name that stands in it.
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 2 ] || {
    echo "usage: tools/build-deb.sh PROGRAM VERSION" >&2
    exit 1
}
program=$1 version=$2
architecture=$(dpkg --print-architecture)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# The package that owns a library: Debian 12 files some under /lib and some under /usr/lib.
owner() {
    dpkg-query -S "$1" "/usr$1" "$(readlink -f "$1")" 2>/dev/null | sed -n '1s/[:,].*//p'
}

loaded=$(grep -aoE 'libssl\.so\.[0-9]+' "$program")
depends=$({
    objdump -p "$program" | awk '$1 == "NEEDED" {print $2}'
    echo "$loaded"
} | while read -r library; do
    owner "$(LD_PRELOAD=$loaded ldd "$program" | awk -v library="$library" '$1 == library {print $3}')"
done | sort -u | paste -sd, | sed 's/,/, /g')

make --no-print-directory install DESTDIR="$root" PREFIX=/usr >/dev/null
gzip -9n "$root/usr/share/man/man1/vitrine.1"
install -D -m 644 LICENSE "$root/usr/share/doc/vitrine/copyright"
install -d "$root/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@DEPENDS@/$depends/" deploy/debian/control \
    >"$root/DEBIAN/control"
install -m 755 deploy/debian/postinst deploy/debian/prerm "$root/DEBIAN/"
echo /etc/vitrine.conf >"$root/DEBIAN/conffiles"
chmod 755 "$root"
dpkg-deb --root-owner-group --build "$root" "build/vitrine_${version}_$architecture.deb"
