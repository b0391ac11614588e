/* SPDX-License-Identifier: Apache-2.0 */
/* why_group.c — many changed decisions, by the rule that makes the difference.
 *
 *   yes -> no     the rule that said yes before: it holds no more
 *   all else      the rule that decides now, or comes nearest
 *
 * The number of groups and of names in them is bounded; what exceeds it is counted. */
#include <stdlib.h>
#include "app/policy/why.h"

void policy_groups_open(struct policy_groups *g, struct heap *h) {
    memset(g, 0, sizeof *g);
    g->heap = h;
}

static bool is_outcome(value report, const char *outcome) {
    value v = value_get_str(report, S("outcome"));
    return v.kind == VALUE_STRING && str_eq(value_str(v), str_from_c(outcome));
}

static value rule_of(value before, value after) {
    value was = value_get_str(before, S("by")), is = value_get_str(after, S("by"));
    if (value_defined(was) && is_outcome(before, "allowed") && !is_outcome(after, "allowed"))
        return was;
    return value_defined(is) ? is : was;
}

void policy_groups_add(struct policy_groups *g, value before, value after, value id) {
    value by = rule_of(before, after);
    u32 i = 0;
    while (i < g->count && !value_equal(g->groups[i].by, by)) i++;
    if (!value_defined(by) || i == POLICY_GROUPS_MAX) {
        g->others++;
        return;
    }
    struct policy_group *group = &g->groups[i];
    if (i == g->count) *group = (struct policy_group){.by = by}, g->count++;
    if (group->count < POLICY_GROUP_IDS) group->ids[group->count] = id;
    group->count++;
}

static int larger_first(const void *a, const void *b) {
    const struct policy_group *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return value_compare(x->by, y->by);
}

value policy_groups_close(struct policy_groups *g) {
    struct value_builder list, one;
    value_builder_open(&list, g->heap, VALUE_ARRAY);
    qsort(g->groups, g->count, sizeof *g->groups, larger_first);
    for (u32 i = 0; i <= g->count; i++) {
        const struct policy_group *group = &g->groups[i];
        bool rest = i == g->count;
        if (rest && !g->others) break;
        value_builder_open(&one, g->heap, VALUE_OBJECT);
        for (u32 k = 0; !rest && k < value_count(group->by); k++)
            value_builder_replace(&one, value_key_at(group->by, k), value_value_at(group->by, k));
        value_builder_replace(&one, value_string_c(g->heap, "count"),
                              value_integer((s64)(rest ? g->others : group->count)));
        if (!rest)
            value_builder_replace(&one, value_string_c(g->heap, "decision_ids"),
                                  value_array(g->heap, group->ids,
                                              MIN(group->count, (u64)POLICY_GROUP_IDS)));
        value_builder_add(&list, value_builder_close(&one));
    }
    return value_builder_close(&list);
}

value policy_why_short(struct heap *h, value report) {
    static const char *const members[] = {"outcome", "sentences", "by"};
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        value v = value_get_str(report, str_from_c(members[i]));
        if (value_defined(v)) value_builder_replace(&b, value_string_c(h, members[i]), v);
    }
    return value_builder_close(&b);
}
