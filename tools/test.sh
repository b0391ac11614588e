#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test.sh — everything the gate runs, suite after suite; called by `make test`.
#
# A suite is a command whose last line is `N passed, N failed`. One that ends without it, or with a
# bad status and no failure counted, counts as one failure. A suite whose tests are not in this tree
# is named as absent, not passed. The last line is the sum; the exit status is 0 only if it is clean.
# ONLY=word: unit tests by name, and nothing else. SUITES="unit tidy": just these.
set -u
cd "$(dirname "$0")/.."
mkdir -p build
unset MAKEFLAGS MFLAGS MAKELEVEL # each suite is a make of its own, with its own -j
passed=0 failed=0
report=
: >build/test-failed.txt

suite() { # name, seconds, command...
    name=$1 seconds=$2
    shift 2
    case " ${SUITES:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    echo "== $name"
    began=$(date +%s)
    timeout -k 20 "$seconds" "$@" >"build/test-$name.log" 2>&1 </dev/null
    status=$?
    took=$(($(date +%s) - began))
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed$' "build/test-$name.log" | tail -1)
    p=$(echo "${last:-0}" | sed 's/ passed.*//') f=$(echo "${last:-0, 0}" | sed 's/.*, //; s/ failed//')
    if [ -z "$last" ] || { [ $status -ne 0 ] && [ "$f" -eq 0 ]; }; then f=$((f + 1)); fi
    if [ "$f" -ne 0 ]; then
        tail -60 "build/test-$name.log"
        echo "== $name: status $status; the whole output is build/test-$name.log"
        failures "$name" >>build/test-failed.txt
    fi
    passed=$((passed + p)) failed=$((failed + f))
    report="$report$(printf '%-18s %6d passed %4d failed %5d s' "$name" "$p" "$f" "$took")
"
}
# What failed and why, short enough to stand beside the closing table: of each failed test its line
# and the last ten lines of its reasons; of a suite that names none, its last ten lines.
failures() { # name
    awk -v suite="$1" '
        function flush() {
            if (named) {
                print suite ": " named
                for (i = n > 10 ? n - 9 : 1; i <= n; i++) print "    " substr(held[i], 1, 200)
            }
            named = ""
            n = 0
        }
        /^ *(FAILED|FAIL) / { flush(); named = $0; any = 1; next }
        /^ *(ok|skipped) / { flush(); next }
        { if (NF) held[++n] = $0 }
        END { if (!any) named = "no test was named"; flush() }' "build/test-$1.log" | head -60
}
has() { [ -e "$1" ] || { echo "== $2: absent from this tree"; return 1; }; }
m() { echo "${MAKE:-make} --no-print-directory $*"; }

if [ -n "${ONLY:-}" ]; then SUITES=unit; fi
suite build 1500 sh -c "$(m guest host) && echo '1 passed, 0 failed'"
suite tidy 300 $(m tidy)
suite layers 120 $(m layers)
suite unit 1200 $(m unit ONLY="${ONLY:-}")
suite tsan 180 $(m tsan)
has tests/command command && suite command 300 $(m command)
suite conformance 600 $(m conformance)
has tests/fuzz fuzz-smoke && suite fuzz-smoke 900 $(m fuzz-smoke)
has tests/integration/appliance.py integration && {
    suite integration-host 900 $(m integration TARGET=host)
    suite integration-guest 1200 $(m integration TARGET=guest)
}
has tests/integration/power_cut.py test-power && suite test-power 900 $(m test-power)
suite same 1200 $(m same)
cat build/test-failed.txt
printf '%s' "$report"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
