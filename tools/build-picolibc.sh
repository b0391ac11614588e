#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build-picolibc.sh CC OUT CFLAGS OPTION... — meson cross build of build/src/picolibc into OUT.
# Called by kernel/deps.mk, which says why each option is there. Several checkouts may share
# build/deps, so OUT appears whole or not at all, and only one build runs at a time.
set -eu
export LC_ALL=C
cc=$1 out=$2 cflags=$3
shift 3
mkdir -p "$(dirname "$out")"
exec 9>"$(dirname "$out")/.lock"
flock -w 900 9 || { echo "picolibc: another build holds $(dirname "$out")/.lock" >&2; exit 1; }
[ ! -f "$out/lib/libc.a" ] || exit 0
work=$(cd "$(dirname "$out")" && pwd -P)/$(basename "$out").work
src=$(cd build/src/picolibc && pwd -P)
rm -rf "$work"
mkdir "$work"
quoted() { for word; do printf "'%s', " "$word"; done; }
cat >"$work/cross.txt" <<END
[binaries]
c = [$(quoted $cc)]
ar = 'gcc-ar'
nm = 'nm'
strip = 'strip'
[host_machine]
system = 'none'
cpu_family = 'x86_64'
cpu = 'x86_64'
endian = 'little'
[properties]
c_args = [$(quoted $cflags -ffile-prefix-map="$src"=picolibc -ffile-prefix-map="$work"=picolibc)]
skip_sanity_check = true
needs_exe_wrapper = true
END
if meson setup "$work/b" "$src" --cross-file "$work/cross.txt" --prefix "$work/out" --libdir lib \
       --includedir include "$@" >"$work/log" 2>&1 &&
   ninja -C "$work/b" install >>"$work/log" 2>&1; then
    rm -rf "$out"
    mv "$work/out" "$out"
    rm -rf "$work"
else
    tail -20 "$work/log" >&2
    echo "picolibc: build failed; the whole log is $work/log" >&2
    exit 1
fi
