#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# build-sqlite.sh OUT — SQLite's amalgamation (sqlite3.c, sqlite3.h) out of build/src/sqlite3.
# Called by storage/deps.mk. OUT appears whole or not at all; one run at a time.
set -eu
export LC_ALL=C
out=$1
mkdir -p "$(dirname "$out")"
exec 9>"$(dirname "$out")/.lock"
flock -w 900 9 || { echo "sqlite3: another build holds $(dirname "$out")/.lock" >&2; exit 1; }
[ ! -f "$out/sqlite3.c" ] || exit 0
work=$(cd "$(dirname "$out")" && pwd -P)/$(basename "$out").work
src=$(cd build/src/sqlite3 && pwd -P)
rm -rf "$work"
mkdir "$work"
if (cd "$work" && "$src/configure" --disable-readline && make sqlite3.c) >"$work/log" 2>&1; then
    mkdir "$work/out"
    cp "$work/sqlite3.c" "$work/sqlite3.h" "$work/out/"
    rm -rf "$out"
    mv "$work/out" "$out"
    rm -rf "$work"
else
    tail -20 "$work/log" >&2
    echo "sqlite3: amalgamation failed; the whole log is $work/log" >&2
    exit 1
fi
