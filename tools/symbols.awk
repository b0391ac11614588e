# SPDX-License-Identifier: Apache-2.0
# symbols.awk — `nm -n` of the guest in, its symbol table as assembly out, for backtraces.
#
#   symbol_count   u32
#   symbol_table   symbol_count x { u32 address, u32 offset of its name }, by address
#   symbol_names   NUL-ended names
#
# All of it in section .symbols, which image/kernel.ld places after everything else, so the table
# moves nothing. The image is linked below 4 GiB, so an address is 32 bits. Functions only.
$2 ~ /^[tT]$/ && $3 !~ /^(\.L|\$|text_(start|end)$|image_start$)/ {
    if ($1 == at) next # one name per address
    at = $1
    address[n++] = substr($1, length($1) - 7)
    name[n - 1] = $3
}
END {
    print ".section .note.GNU-stack,\"\",@progbits"
    print ".section .symbols,\"a\",@progbits\n.balign 8"
    print ".globl symbol_count, symbol_table, symbol_names"
    print "symbol_count: .long " n + 0 ", 0\nsymbol_table:"
    for (i = 0; i < n; i++) {
        print ".long 0x" address[i] "," offset + 0
        offset += length(name[i]) + 1
    }
    print "symbol_names:"
    for (i = 0; i < n; i++) print ".asciz \"" name[i] "\""
    print ".byte 0"
}
