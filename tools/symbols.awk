# SPDX-License-Identifier: Apache-2.0
# symbols.awk — `nm -n` of the guest in, its symbol table as assembly out, for backtraces.
#
#   symbol_count      u32
#   symbol_places     u32 each: address - text_start, ascending
#   symbol_names_at   u32 each: where in symbol_names
#   symbol_names      NUL-ended names
#
# All of it in section .symbols; read by kernel/guest/symbols.c. Functions only, one name each.
$3 == "text_start" { base = $1 }
$2 ~ /^[tT]$/ && $3 !~ /^(\.L|\$|text_(start|end)$|image_start$)/ && $1 != at {
    at = $1
    address[n] = $1
    name[n++] = $3
}
END {
    print ".section .note.GNU-stack,\"\",@progbits"
    print ".section .symbols,\"a\",@progbits\n.balign 8"
    print ".globl symbol_count, symbol_places, symbol_names_at, symbol_names"
    print "symbol_count: .long " n + 0 "\nsymbol_places:"
    for (i = 0; i < n; i++) print ".long 0x" address[i] " - 0x" base
    print "symbol_names_at:"
    for (i = 0; i < n; i++) {
        print ".long " offset + 0
        offset += length(name[i]) + 1
    }
    print "symbol_names:"
    for (i = 0; i < n; i++) print ".asciz \"" name[i] "\""
    print ".byte 0"
}
