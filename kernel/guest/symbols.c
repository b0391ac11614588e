/* SPDX-License-Identifier: Apache-2.0 */
/* symbols.c — which function is this? Reads the table that tools/symbols.awk makes from a first
 * link and the second link puts behind everything else:
 *
 *   symbol_count | { address, offset of its name } by address, u32 each | names, NUL-ended
 *
 * In the first link it is empty, and so is every answer. Callable from a panic. */
#include "kernel/guest/guest.h"

struct symbol {
    u32 address, name;
};
extern const u32 symbol_count;
extern const struct symbol symbol_table[];
extern const char symbol_names[];

str symbol_at(u64 at, u64 *out_offset) {
    str none = {NULL, 0};
    if (at < (u64)text_start || at >= (u64)text_end) return none;
    u32 low = 0, high = symbol_count; /* first one above `at` */
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (symbol_table[middle].address <= at) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return none;
    *out_offset = at - symbol_table[low - 1].address;
    return str_from_c(symbol_names + symbol_table[low - 1].name);
}
