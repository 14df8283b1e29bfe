#!/bin/sh
# Installs the C library: libgab.so, libgab.a, gab.h, gab.pc and the manual of section 3.
#
#   cargo build --release -p gab-capi
#   gab/capi/install.sh [--prefix /usr/local] [--libdir PREFIX/lib] [--destdir DIR] [--from target/release]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
prefix=/usr/local
libdir=
destdir=
from=$here/../../target/release

usage() {
    sed -n 's/^#   //p' "$0" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --prefix) prefix=$2 ;;
        --libdir) libdir=$2 ;;
        --destdir) destdir=$2 ;;
        --from) from=$2 ;;
        *) usage ;;
    esac
    shift 2
done
libdir=${libdir:-$prefix/lib}

for file in libgab.so libgab.a; do
    if [ ! -f "$from/$file" ]; then
        echo "install.sh: no $from/$file: cargo build --release -p gab-capi, or --from DIR" >&2
        exit 1
    fi
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../../Cargo.toml" | head -n 1)

lib=$destdir$libdir
man=$destdir$prefix/share/man/man3
mkdir -p "$lib/pkgconfig" "$destdir$prefix/include" "$man"
install -m 755 "$from/libgab.so" "$lib/libgab.so"
install -m 644 "$from/libgab.a" "$lib/libgab.a"
install -m 644 "$here/include/gab.h" "$destdir$prefix/include/gab.h"
install -m 644 "$here"/man/*.3 "$man"
sed -e "s|@prefix@|$prefix|" -e "s|@libdir@|$libdir|" -e "s|@version@|$version|" \
    "$here/gab.pc.in" > "$lib/pkgconfig/gab.pc"
chmod 644 "$lib/pkgconfig/gab.pc"
