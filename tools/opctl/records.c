/* SPDX-License-Identifier: Apache-2.0 */
/* records.c — recorded decisions in the reference's log format: one JSON object per line, or one
 * array of them. What is no JSON is counted and passed over. */
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

static bool see_text(struct heap *h, str text, bool array, void (*see)(void *arg, value record),
                     void *arg) {
    value v;
    heap_rewind(h);
    if (json_text_read(h, NULL, text, &v, NULL) || (v.kind == VALUE_ARRAY) != array) return false;
    if (!array) see(arg, v);
    struct heap_mark mark = heap_mark(h);
    for (u32 i = 0; array && i < value_count(v); i++) {
        see(arg, value_item(v, i));
        heap_release(h, mark);
    }
    return true;
}

u64 records_each(struct heap *h, str text, void (*see)(void *arg, value record), void *arg) {
    str rest = str_trim(text), line;
    u64 skipped = 0;
    if (rest.len && rest.ptr[0] == '[' && see_text(h, rest, true, see, arg)) return 0;
    while (str_split(&rest, '\n', &line))
        if (str_trim(line).len && !see_text(h, str_trim(line), false, see, arg)) skipped++;
    return skipped;
}
