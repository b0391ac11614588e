/* SPDX-License-Identifier: Apache-2.0 */
/* look.c — the data index: elements of a base array by the value of one of their fields.
 *
 * Made when the same loop comes along a second time over the same version of the data, and kept
 * with the evaluator until the version changes: 10,000 rules in data then cost as much as the few
 * that can match. The asker says which version the data is (policy_ask.data_version); without, no
 * index is made, since an address alone does not tell one version from another. */
#include <stdlib.h>
#include "app/policy/machine/run.h"
#include "kernel/base/limits.h"

struct look_index {
    const struct value_array *array;
    value field;  /* a constant of the program: it lives while `policy` is the same */
    u8 test;
    bool ready, useless;
    struct index_field f;
};

struct looks {
    struct heap heap;
    u64 version;
    const struct policy_program *policy;
    const void *root;
    u32 count;
    struct look_index items[LOOK_INDEXES_MAX];
};

void looks_close(struct evaluation *e) {
    if (!e->looks) return;
    heap_close(&e->looks->heap);
    free(e->looks);
}

static struct looks *looks_of(struct evaluation *e) {
    if (!e->looks) {
        e->looks = calloc(1, sizeof *e->looks);
        if (!e->looks) return NULL;
        heap_open(&e->looks->heap, POLICY_LOOK_BYTES_MAX);
    }
    struct looks *l = e->looks;
    const void *root = (const void *)(uintptr_t)e->ask->data.bits;
    if (l->version != e->ask->data_version || l->policy != e->policy || l->root != root) {
        heap_rewind(&l->heap);
        l->count = 0, l->version = e->ask->data_version, l->policy = e->policy, l->root = root;
    }
    return l;
}

/* The elements that can pass, as demands; `to` NULL: only counted. */
static u32 demands_of(const struct look_index *x, struct index_demand *to) {
    u32 n = 0;
    for (u32 i = 0; i < x->array->count; i++) {
        value v = value_get(x->array->items[i], x->field);
        if (x->test == LOOK_EQUAL ? v.kind == VALUE_UNDEFINED || v.kind > VALUE_STRING
                                  : x->test == LOOK_PREFIX && v.kind != VALUE_STRING)
            continue;
        u32 members = x->test == LOOK_HOLDS ? value_count(v) : 1;
        for (u32 k = 0; k < members; k++, n++) {
            if (!to) continue;
            value key = x->test != LOOK_HOLDS     ? v
                        : v.kind == VALUE_OBJECT ? value_value_at(v, k)
                                                 : value_item(v, k);
            to[n] = (struct index_demand){i, key};
        }
    }
    return n;
}

static void build(struct looks *l, struct look_index *x) {
    u32 count = demands_of(x, NULL);
    struct index_demand *d = count <= LOOK_DEMANDS_MAX ? malloc((count + 1) * sizeof *d) : NULL;
    x->useless = true;
    if (!d) return;
    (void)demands_of(x, d);
    x->f = (struct index_field){.test = x->test == LOOK_PREFIX ? INDEX_PREFIX : INDEX_EQUAL};
    if (index_field_fill(&l->heap, &x->f, d, count)) x->ready = true, x->useless = false;
    free(d);
}

static struct look_index *index_of(struct evaluation *e, struct looks *l,
                                   const struct value_array *array, const struct look_test *t) {
    for (u32 i = 0; i < l->count; i++) {
        struct look_index *x = l->items + i;
        if (x->array != array || x->test != t->kind || !value_equal(x->field, t->field)) continue;
        if (!x->ready && !x->useless) build(l, x);
        return x->ready ? x : NULL;
    }
    (void)e;
    if (l->count < LOOK_INDEXES_MAX)
        l->items[l->count++] =
            (struct look_index){.array = array, .field = t->field, .test = t->kind};
    return NULL;
}

/* The rows to go through, ascending; false: all of them. */
bool look_choose(struct evaluation *e, const struct look *look, value from,
                 value (*operand)(void *arg, u32 x), void *arg, const u32 **rows, u32 *count) {
    if (from.kind != VALUE_ARRAY || from.array->count < LOOK_ROWS_MIN || !e->ask->data_version ||
        e->ask->strict_errors || value_defined(e->now.replaced))
        return false;
    struct looks *l = looks_of(e);
    struct index_choice best = {.count = NOWHERE};
    for (u32 i = 0; l && i < look->count; i++) {
        const struct look_test *t = look->tests + i;
        value v = operand(arg, t->operand);
        if (v.kind > VALUE_STRING) continue; /* collections are compared, not looked up */
        const struct look_index *x = index_of(e, l, from.array, t);
        if (!x) continue;
        struct index_choice c = index_look(&x->f, v);
        if (c.count < best.count) best = c;
    }
    if (!best.field) return false;
    *rows = NULL, *count = 0;
    if (!best.key) return true;
    if (best.field->test == INDEX_EQUAL) {
        *rows = best.field->lists[best.key - 1].rules, *count = best.count;
        return true;
    }
    u32 *to = heap_alloc(&e->heap, (best.count + 1) * sizeof(u32));
    if (!to) return false;
    *rows = to, *count = index_gather(best, to);
    return true;
}
