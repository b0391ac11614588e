#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# setup.sh [run|test|bench] — install with apt what building and running (run) or also testing (test, the
# default) needs and this machine lacks. Says what it installs; with nothing missing it needs no
# network, no root, and a few milliseconds. Called by `make run`, `run-host`, `test` and `bench`.
set -eu
export LC_ALL=C

# Building both machines, and QEMU with the firmware and option ROMs its machines ask for.
run='gcc g++ libc6-dev make binutils meson ninja-build libslirp-dev patch xz-utils bzip2 python3 brotli curl
     qemu-system-x86 qemu-utils ipxe-qemu ovmf ca-certificates'
# Fuzzers and the second compiler; clients that speak to the appliance; what reads its disks.
test='clang libclang-rt-dev llvm openssl sqlite3 python3-jsonschema gdb iproute2 mtools dosfstools
      prometheus git file tcl redis-tools python3-redis python3-hpack nghttp2-client pebble'

# Clients written for Node.js. Its own packages bring npm along; Debian's come in two.
command -v npm >/dev/null || test="$test nodejs npm"

# The load generator.
bench='wrk iproute2 redis-tools redis-server'

case ${1:-test} in
run) packages=$run ;;
test) packages="$run $test" ;;
bench) packages="$run $bench" ;;
*) echo "usage: tools/setup.sh [run|test|bench]" >&2; exit 64 ;;
esac
command -v dpkg-query >/dev/null || {
    echo "setup: this is not a Debian system; install by hand what provides: $packages" >&2
    exit 0
}
have=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
missing=
for package in $packages; do
    case "
$have
" in *"
$package
"*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0
as_root=
if [ "$(id -u)" -ne 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null || {
        echo "setup: missing:$missing. Run as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    }
fi
echo "setup: installing with apt:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# prometheus is wanted for promtool; no service of its is started.
if ! { $as_root apt-get -q update &&
       $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
           apt-get -q -y --no-install-recommends install $missing; } >"$log" 2>&1; then
    tail -5 "$log" >&2
    echo "setup: apt could not install:$missing. Check the network and apt's sources, then run again" >&2
    exit 1
fi
echo "setup: done"
