#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# symbols.sh ELF — writes assembly for the symbol table that kernel/guest/symbols.c reads.
# Functions only, sorted by address; of several names for one address the first by name is kept.
set -eu
export LC_ALL=C
nm -n "$1" | awk '
function hex(s,    i, v) {
    v = 0
    for (i = 1; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
    return v
}
$3 == "text_start" { start = hex($1) }
$2 ~ /^[tTwW]$/ && $3 !~ /^(text_start|text_end|image_start)$/ && $3 !~ /^\./ {
    at = hex($1)
    if (n && at == places[n]) next
    places[++n] = at
    names[n] = $3
}
END {
    print ".section .symbols, \"a\""
    print ".global symbol_count, symbol_places, symbol_names_at, symbol_names"
    print ".balign 4\nsymbol_count: .long " n
    print "symbol_places:"
    for (i = 1; i <= n; i++) if (places[i] >= start) print ".long " places[i] - start; else print ".long 0"
    print "symbol_names_at:"
    for (i = 1; i <= n; i++) { print ".long " at_name; at_name += length(names[i]) + 1 }
    print "symbol_names:"
    for (i = 1; i <= n; i++) print ".asciz \"" names[i] "\""
    print ".section .note.GNU-stack, \"\", @progbits"
}'
