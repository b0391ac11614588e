/* SPDX-License-Identifier: Apache-2.0 */
/* index.h — which of many rules may apply, found out without trying each.
 *
 * A field is something many rules test in the same way: input.method compared with constants,
 * input.path with prefixes. For a field each rule is either in the list of one or more of the
 * constants or in the list of rules that do not care. The rules that may apply by one field are the
 * list of the value at hand and those that do not care; the field with the fewest is taken. */
#pragma once
#include "app/policy/machine/program.h"

struct plan;

enum index_source { INDEX_INPUT, INDEX_BASE, INDEX_ARGUMENT };
enum index_test { INDEX_EQUAL, INDEX_PREFIX, INDEX_SUFFIX };

struct index_list { u32 count; u32 *rules; }; /* ascending */

struct index_field {
    u8 source, test;
    u32 path;      /* of the program's paths; INDEX_ARGUMENT: position */
    u32 key_count;
    value *keys;   /* EQUAL: as met; PREFIX, SUFFIX: sorted */
    struct index_list *lists; /* per key */
    u32 *table, mask;  /* EQUAL: open addressing, place + 1 */
    u32 *parents;  /* PREFIX, SUFFIX: the longest other key that this one begins with, + 1 */
    struct index_list others;
};

struct index { /* lies in the program's heap */
    u32 rule_count;
    u32 *entries;  /* address per rule; while planning: label */
    u32 field_count;
    struct index_field *fields;
};

struct index_demand { u32 rule; value key; };
/* Lists, keys and the way to find them, from demands in order of rules; `test` is set. False: no
 * memory. */
bool index_field_fill(struct heap *h, struct index_field *f, struct index_demand *d, u32 count);

/* NULL: the rules are few, or nothing tells them apart. */
struct index *index_make(struct plan *pl, struct node *n);
void index_entry(struct index *x, u32 rule, u32 label);
void index_resolve(struct index *x, const u32 *labels);

/* Rules that may apply when a field's value is `v`: at most three lists' worth. */
struct index_choice {
    const struct index_field *field;
    u32 key;   /* + 1; 0: none of the keys */
    u32 count;
};
struct index_choice index_look(const struct index_field *f, value v);
/* All of the choice's rules, ascending, into `to` (room for choice.count). */
u32 index_gather(struct index_choice c, u32 *to);
