#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# testssl.sh — what Debian's testssl.sh finds in our TLS, on the host process: `make testssl`.
# Every finding above LOW is printed; all but the self-signed certificate's are failures.
set -eu
cd "$(dirname "$0")/../.."
command -v testssl >/dev/null || { echo "testssl: missing. Run as root: apt-get install testssl.sh" >&2; exit 1; }
dir=$(mktemp -d)
port=$((20000 + $$ % 9000))
echo '{"log.level": "warn"}' >"$dir/machine.json"
tools/run.sh --target host --disk "$dir/data.img" --config "$dir/machine.json" --https $port \
    --serial "$dir/console" >/dev/null 2>&1 &
appliance=$!
trap 'kill $appliance 2>/dev/null; wait $appliance 2>/dev/null || :; rm -rf "$dir"' EXIT
n=0
until curl -sk "https://127.0.0.1:$port/readyz" >/dev/null; do
    n=$((n + 1))
    [ $n -lt 300 ] || { echo "testssl: the appliance did not start; $dir/console says:" >&2; cat "$dir/console" >&2; exit 1; }
    sleep 0.2
done
testssl --quiet --color 0 --warnings off --jsonfile "$dir/found.json" "https://127.0.0.1:$port/" >"$dir/log" || :
python3 - "$dir/found.json" <<'END'
import json, sys

found = json.load(open(sys.argv[1], encoding="utf-8"))
above = [f for f in found if f["severity"] in ("MEDIUM", "HIGH", "CRITICAL")]
ours = [f for f in above if not f["id"].startswith(("cert_trust", "cert_chain_of_trust", "cert_revocation"))]
for f in above:
    print(f"{f['severity']:9}{f['id']}: {f['finding']}{'' if f in ours else '   (self-signed)'}")
bad = len(ours) + (len(found) < 50)  # few findings at all: it did not get through
print(f"{len(found) - len(ours)} passed, {bad} failed")
sys.exit(bad > 0)
END
