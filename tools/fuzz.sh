#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh BINARY... — run libFuzzer targets for T seconds each (default 4) on their corpora.
#
#   tests/fuzz/corpus/NAME/   inputs kept in the tree; first replayed, then mutated
#   build/fuzz/corpus/NAME/   what this machine found so far
#   build/fuzz/crash-NAME-*   an input that broke it: replay with build/fuzz/fuzz/NAME_fuzz FILE
#
# A finding is printed with its stack. Last line: `N passed, N failed`, one per target.
set -u
export LC_ALL=C
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}"
seconds=${T:-4}
[ $# -gt 0 ] || { echo "fuzz: no target"; echo "0 passed, 1 failed"; exit 1; }
one='name=$(basename "$1" _fuzz) seconds=$2
    mkdir -p "build/fuzz/corpus/$name"
    kept=tests/fuzz/corpus/$name
    [ -d "$kept" ] || kept=
    dict=tests/fuzz/$name.dict
    log=build/fuzz/$name.log
    timeout -k 5 $((seconds + 120)) "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/crash-$name-" \
        $([ -f "$dict" ] && echo "-dict=$dict") "build/fuzz/corpus/$name" $kept >"$log" 2>&1 </dev/null
    status=$?
    runs=$(sed -n "s/^stat::number_of_executed_units: *//p" "$log")
    if [ $status -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then echo "ok $name $runs inputs"
    else echo "FAILED $name (status $status)"; tail -40 "$log"; fi'
for binary; do echo "$binary"; done | xargs -P "$(nproc)" -I{} sh -c "$one" fuzz {} "$seconds" >build/fuzz/summary
cat build/fuzz/summary
passed=$(grep -c '^ok ' build/fuzz/summary)
failed=$(($# - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
