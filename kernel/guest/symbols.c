/* SPDX-License-Identifier: Apache-2.0 */
/* symbols.c — which function is this? Reads the table that tools/symbols.sh makes from the first
 * link and the second link puts at the end of the read-only data:
 *
 *   symbol_count | address - text_start, ascending, u32 each | name offset, u32 each | names, NUL
 *
 * Without a table (first link) every answer is empty. Callable from a panic. */
#include "kernel/guest/guest.h"

extern const u32 symbol_count __attribute__((weak));
extern const u32 symbol_places[] __attribute__((weak));
extern const u32 symbol_names_at[] __attribute__((weak));
extern const char symbol_names[] __attribute__((weak));

str symbol_at(u64 at, u64 *out_offset) {
    str none = {NULL, 0};
    if (!&symbol_count || at < (u64)text_start || at >= (u64)text_end) return none;
    u32 place = (u32)(at - (u64)text_start);
    u32 low = 0, high = symbol_count; /* first one above `place` */
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (symbol_places[middle] <= place) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return none;
    *out_offset = place - symbol_places[low - 1];
    return str_from_c(symbol_names + symbol_names_at[low - 1]);
}
