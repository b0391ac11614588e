#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# link-guest.sh OUT CC LINK INPUT... — link the guest with a table of its own symbols inside.
#
#   link with an empty table -> nm -> table -> link again -> nm -> same table? done
#
# The table's place is last, so the second link moves nothing; the comparison proves it, and a third
# link repairs it when a linker thinks otherwise.
set -eu
export LC_ALL=C
out=$1 cc=$2 link=$3
shift 3
dir=$(dirname "$out")
tools=$(dirname "$0")
: >"$dir/symbols.nm"
for pass in 1 2 3; do
    awk -f "$tools/symbols.awk" "$dir/symbols.nm" >"$dir/symbols.S"
    $cc -c -o "$dir/symbols.o" "$dir/symbols.S"
    $link -Wl,-Map,"$dir/openpolicy.map" -o "$out.new" "$dir/symbols.o" "$@"
    nm -n "$out.new" >"$dir/symbols.new"
    if [ $pass -gt 1 ] && cmp -s "$dir/symbols.nm" "$dir/symbols.new"; then
        mv "$out.new" "$out"
        exit 0
    fi
    mv "$dir/symbols.new" "$dir/symbols.nm"
done
rm -f "$out.new"
echo "link: the symbol table does not settle: place .symbols last in image/kernel.ld" >&2
exit 1
