/* SPDX-License-Identifier: Apache-2.0 */
/* group.c — what a comprehension within a loop found, by the value of the loop's variable
 * (plan_group.c).
 *
 *   pairs   [["a", 1], ["b", 2], ["a", 3]]      as they were found
 *   groups  {"a": [1, 3], "b": [2]}             each in the order of the pairs
 *
 * The pairs are sorted with their number between, so that equal keys stay in order. */
#include "app/policy/machine/run.h"

value loop_groups_make(struct heap *h, value pairs, u32 kind) {
    u32 count = value_count(pairs);
    value *items = heap_alloc(h, (count + 1) * sizeof *items);
    struct value_builder groups;
    value_builder_open(&groups, h, VALUE_OBJECT);
    for (u32 i = 0; items && i < count; i++) {
        value pair = value_item(pairs, i), three[3];
        if (pair.kind != VALUE_ARRAY) return value_null(); /* memory is used up */
        three[0] = value_item(pair, 0), three[1] = value_integer(i), three[2] = value_item(pair, 1);
        items[i] = value_array(h, three, 3);
        if (items[i].kind != VALUE_ARRAY) return value_null();
    }
    if (items) value_sort(h, items, count);
    for (u32 i = 0; items && i < count;) {
        struct value_builder group;
        value key = value_item(items[i], 0);
        value_builder_open(&group, h, (enum value_kind)kind);
        for (; i < count && value_equal(value_item(items[i], 0), key); i++)
            value_builder_add(&group, value_item(items[i], 2));
        value_builder_replace(&groups, key, value_builder_close(&group));
    }
    return value_builder_close(&groups);
}

value loop_groups_get(struct heap *h, value groups, value key, u32 kind) {
    value v = groups.kind == VALUE_OBJECT ? value_get(groups, key) : UNDEFINED;
    if (value_defined(v)) return v;
    return kind == VALUE_SET ? value_set(h, NULL, 0) : value_array(h, NULL, 0);
}
