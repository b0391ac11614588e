/* SPDX-License-Identifier: Apache-2.0 */
/* draft.h — a definition in pieces, while it is made or changed. */
#pragma once
#include "app/data/data_impl.h"

struct draft { /* a definition in pieces; texts are JSON, in the request's arena */
    str fields[DATA_FIELDS_MAX];
    str field_names[DATA_FIELDS_MAX];
    u32 field_keys[DATA_FIELDS_MAX];
    u32 field_count;
    str indexes[DATA_INDEXES_MAX];
    u32 index_count, next_key;
    str rules, view; /* JSON; empty: none */
};
/* From a request's body, or from a stored definition. false: `flaws`, or no memory. */
bool draft_read(struct draft *d, struct arena *a, const cJSON *o, bool stored, struct flaws *flaws);
/* One step of a change: {"op": "add_field", "field": {...}}. false: likewise. */
bool draft_step(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws);
str draft_text(const struct draft *d, struct arena *a); /* the definition; ptr NULL: too large */

/* ---- The tables of a definition (tables.c), in the writer's transaction ---- */
rc_t tables_make(struct db_txn *t, const struct collection *c);
/* RC_INVALID: `flaws`; RC_CONFLICT: rows that are there are not as unique as they should be. */
rc_t tables_change(struct db_txn *t, const struct collection *old, const struct collection *next,
                   struct flaws *flaws);
rc_t tables_drop(struct db_txn *t, const struct collection *c);
