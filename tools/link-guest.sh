#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# link-guest.sh OUT CC LINK INPUT... — link the guest with a table of its own functions inside.
#
#   link with an empty table -> nm -> table -> link again -> nm -> same table? done
#
# Functions come first in the image, so a table that grows moves none of them; the comparison proves
# it, and a third link repairs it should a linker think otherwise.
set -eu
export LC_ALL=C
out=$1 cc=$2 link=$3
shift 3
dir=$(dirname "$out")
awk=$(dirname "$0")/symbols.awk
awk -f "$awk" /dev/null >"$dir/symbols.S"
for pass in 1 2 3; do
    $cc -c -o "$dir/symbols.o" "$dir/symbols.S"
    $link -Wl,-Map,"$dir/openpolicy.map" -o "$out.new" "$dir/symbols.o" "$@"
    nm -n "$out.new" | awk -f "$awk" >"$dir/symbols.new"
    if cmp -s "$dir/symbols.S" "$dir/symbols.new"; then
        mv "$out.new" "$out"
        exit 0
    fi
    mv "$dir/symbols.new" "$dir/symbols.S"
done
rm -f "$out.new"
echo "link: the symbol table does not settle: keep .text first in image/kernel.ld" >&2
exit 1
