#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# unit.sh BINARY... — run test binaries, as many at once as there are CPUs, and add up.
# Prints what failed and, last, `N passed, N failed`. A binary that dies or hangs is one failure.
set -u
export LC_ALL=C ASAN_OPTIONS="${ASAN_OPTIONS:-detect_stack_use_after_return=0:abort_on_error=0}"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
one='log=$1/$(basename "$2").log
    timeout -k 5 900 "$2" >"$log" 2>&1 </dev/null
    status=$?
    if ! tail -1 "$log" | grep -Eq "^[0-9]+ passed, [0-9]+ failed$"; then
        echo "$2: ended with status $status before its closing line" >>"$log"
        echo "0 passed, 1 failed" >>"$log"
    fi'
for binary; do echo "$binary"; done | xargs -P "$(nproc)" -I{} sh -c "$one" unit "$out" {}
cat /dev/null "$out"/*.log 2>/dev/null | awk '
    /^[0-9]+ passed, [0-9]+ failed$/ { passed += $1; failed += $3; if ($3) printf "%s", held; held = ""; next }
    { held = held $0 "\n" }
    END { print passed + 0 " passed, " failed + 0 " failed"; exit failed || !passed }'
