#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gdb.sh [run.sh arguments...] — start the guest, stopped before its first instruction, and attach gdb;
# `continue` runs to app_main.
# GDB_ARGS="-batch -ex ..." runs gdb without a person. The machine ends when gdb does.
set -eu
cd "$(dirname "$0")/.."
work=$(mktemp -d)
socket=$work/gdb
tools/run.sh --serial "$work/serial" --qemu-arg -S --qemu-arg -chardev \
    --qemu-arg "socket,path=$socket,server=on,wait=off,id=gdb" --qemu-arg -gdb --qemu-arg chardev:gdb \
    "$@" </dev/null >"$work/run.log" 2>&1 &
machine=$!
trap 'kill "$machine" 2>/dev/null; wait "$machine" 2>/dev/null; rm -rf "$work"' EXIT
tries=0
until [ -S "$socket" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 100 ] || ! kill -0 "$machine" 2>/dev/null; then
        cat "$work/run.log" >&2
        echo "gdb: the machine did not start" >&2
        exit 1
    fi
    sleep 0.1
done
echo "The console goes to $work/serial while gdb runs."
gdb -q -nx -x .gdbinit -ex "target remote $socket" -ex 'thbreak app_main' ${GDB_ARGS:-} build/guest/openpolicy.debug.elf
