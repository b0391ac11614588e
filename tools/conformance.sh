#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# conformance.sh OPCTL — the reference's published policy cases, v1 and v0, when they are at hand:
# CONFORMANCE_DIR, or ../shared/conformance. Last line: `N passed, N failed`.
set -u
opctl=$1
cases=${CONFORMANCE_DIR:-../shared/conformance}/rego
if [ ! -d "$cases" ]; then
    echo "skipped: conformance: there is no $cases; set CONFORMANCE_DIR"
    echo "0 passed, 0 failed"
    exit 0
fi
passed=0 failed=0
for version in v1 v0; do
    out=$("$opctl" policy conformance --rego-version $version "$cases/$version" 2>&1)
    echo "$out"
    last=$(echo "$out" | tail -1)
    case $last in
    *" passed, "*" failed, "*)
        passed=$((passed + ${last%% *}))
        last=${last#* passed, }
        failed=$((failed + ${last%% *})) ;;
    *) failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
