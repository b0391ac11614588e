#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# redis_suite.sh [FILE...] — Redis's own tests against our cache, from outside ("external mode").
#
#   tests/tools/redis_suite.sh                 every file of the list below
#   tests/tools/redis_suite.sh unit/type/zset  one of them; V=1 shows each test
#
# The suite is fetched as tests/deps.lock says and run from build/redis-suite, unchanged. The appliance
# (build/release-host/openpolicy; OPENPOLICY_HOST for another) is started anew for each file, with
# cache.debug set so that nobody has to sign in: files change settings, and one that is cut short leaves
# them changed. docs/reference/redis-suite.md says which cases are left out and why: their names are in
# tests/redis-suite-skipped.txt. Last line: `N passed, N failed`.
set -u
export LC_ALL=C
cd "$(dirname "$0")/../.."
top=$(pwd)
host=${OPENPOLICY_HOST:-$top/build/release-host/openpolicy}
files=${*:-unit/type/string unit/type/incr unit/type/list unit/type/list-2 unit/type/list-3 unit/type/set
    unit/type/zset unit/type/hash unit/type/stream unit/type/stream-cgroups unit/keyspace unit/scan
    unit/expire unit/multi unit/pubsub unit/pubsubshard unit/bitops unit/bitfield unit/hyperloglog unit/geo
    unit/sort unit/dump unit/latency-monitor unit/slowlog unit/querybuf unit/tracking unit/lazyfree
    unit/protocol unit/quit unit/introspection unit/introspection-2 unit/other unit/pause unit/info-command
    unit/acl unit/acl-v2 unit/auth unit/maxmemory unit/info unit/limits unit/obuf-limits unit/networking
    unit/violations unit/memefficiency}
version=$(sed -n 's/^redis  *\([^ ]*\).*/\1/p' tests/deps.lock)
command -v tclsh8.6 >/dev/null && command -v redis-cli >/dev/null || {
    echo "redis_suite: tcl and redis-tools are missing: tools/setup.sh test installs them" >&2; exit 1; }
[ -x "$host" ] || { echo "redis_suite: $host is missing: make release-host" >&2; exit 1; }
DEPS_LOCK=tests/deps.lock tools/deps.sh redis || exit 1
work=$top/build/redis-suite
mkdir -p "$work/src"
[ -d "$work/tests" ] || cp -r "build/deps/redis-$version/tests" "build/deps/redis-$version/runtest" "$work/"
ln -sf "$(command -v redis-cli)" "$work/src/redis-cli"
ln -sf "$(command -v redis-benchmark)" "$work/src/redis-benchmark"
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
start() {
    port=$((22000 + RANDOM % 8000))
    rm -f "$work/disk"
    truncate -s 64M "$work/disk"
    "$host" --memory 8192 --cpus 1 --net user --resp $port --disk "$work/disk" \
        --append 'config.cache.debug=true config.cache.policy=noeviction' </dev/null >"$work/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        [ "$(redis-cli -p $port ping 2>/dev/null)" = PONG ] && return 0
        sleep 0.1
    done
    echo "redis_suite: the cache does not answer" >&2
    return 1
}
passed=0 failed=0
grep -v '^#' tests/redis-suite-skipped.txt 2>/dev/null | grep . >"$work/skip.txt" || : >"$work/skip.txt"
for f in $files; do
    start || exit 1
    log=$work/$(basename "$f").log
    case $f in # whose cases with DEBUG ask for what ours has: SLEEP, SET-ACTIVE-EXPIRE, OBJECT
    unit/type/list|unit/type/hash|unit/expire|unit/multi|unit/tracking|unit/keyspace|unit/dump) debug= ;;
    *) debug=-needs:debug ;;
    esac
    # A test with its own names would do; the suite's singledb mode drops cases, so it is not used.
    (cd "$work" && timeout "${SECONDS_MAX:-400}" ./runtest --host 127.0.0.1 --port $port \
        --clients 1 --baseport $((10000 + RANDOM % 8000)) \
        --skipfile skip.txt --durable --timeout 60 \
        --tags "-needs:repl $debug -needs:pfdebug -needs:save -slow -cli ${TAGS:-}" \
        --ignore-encoding --ignore-digest --single "$f") 2>&1 | sed "s/\x1b\[[0-9;]*m//g" >"$log"
    ok=$(grep -c '\[ok\]' "$log") bad=$(grep -c '\[err\]\|\[exception\]' "$log")
    grep -q 'All tests passed' "$log" || [ "$bad" -gt 0 ] || bad=1
    kill -0 "$server" 2>/dev/null || { echo "  the server died"; tail -3 "$work/server.log"; bad=$((bad + 1)); }
    echo "$f: $ok passed, $bad failed"
    [ -z "${V:-}" ] || cat "$log"
    grep -a '\[err\]\|\[exception\]' "$log" | sed 's/^/    /' | cut -c1-200
    passed=$((passed + ok)) failed=$((failed + bad))
    kill "$server" 2>/dev/null
    wait "$server" 2>/dev/null
    server=
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
