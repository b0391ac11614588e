#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh DIR BINARY... — run test binaries built with --coverage; lines covered, by file and folder.
# A file reached by several binaries counts a line as covered when any of them ran it.
# FILES=1 lists every file, LINES=path/file.c shows the lines of one that never ran.
set -eu
export LC_ALL=C
dir=$1
shift
find "$dir" -name '*.gcda' -delete
tools/unit.sh "$@" || true
find "$dir" -name '*.gcda' | sort >"$dir/gcda.list"
# gcov's JSON, one document per object; a line's count is the sum over all of them.
xargs -r gcov --json-format --stdout <"$dir/gcda.list" 2>/dev/null | python3 -c '
import json, os, sys
top = os.getcwd() + "/"
lines = {}
for document in sys.stdin:
    document = document.strip()
    if not document: continue
    for f in json.loads(document)["files"]:
        name = f["file"]
        if name.startswith("./"): name = name[2:]
        if name.startswith(top): name = name[len(top):]
        if not name.endswith(".c") or name.startswith(("/", "build/", "tests/")): continue
        hit = lines.setdefault(name, {})
        for l in f["lines"]:
            hit[l["line_number"]] = hit.get(l["line_number"], 0) + l["count"]
folders = {}
for name, hit in sorted(lines.items()):
    n, k = len(hit), sum(1 for c in hit.values() if c)
    total = folders.setdefault(os.path.dirname(name), [0, 0])
    total[0] += k; total[1] += n
    if os.environ.get("FILES"): print("  %5.1f %%  %5d of %5d  %s" % (100 * k / max(n, 1), k, n, name))
    if os.environ.get("LINES") == name:
        source = open(name).read().split("\n")
        for at in sorted(hit):
            if not hit[at]: print("%s:%d: %s" % (name, at, source[at - 1]))
print("lines run  by folder")
for folder, (k, n) in sorted(folders.items()):
    print("  %5.1f %%  %5d of %5d  %s" % (100 * k / max(n, 1), k, n, folder))
k, n = sum(v[0] for v in folders.values()), sum(v[1] for v in folders.values())
print("  %5.1f %%  %5d of %5d  all of it (files no test reaches are not in this sum)" % (100 * k / max(n, 1), k, n))
'
