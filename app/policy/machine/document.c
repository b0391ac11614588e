/* SPDX-License-Identifier: Apache-2.0 */
/* document.c — the document that partial rules with several keys in their heads grow together:
 *
 *   p[x].q := 1      p[x].r contains 2      p[x][y].z := 3
 *
 * A tree of growing objects whose leaves are values or growing sets. A value given by a rule is
 * whole: no other rule may reach into it, and two rules may give the same place only the same
 * value. */
#include "app/policy/machine/run.h"

struct doc {
    struct value_builder b; /* an object: keys to values, docs; or a set */
};

static struct doc *doc_of(value v) { return (struct doc *)(uintptr_t)v.bits; }

static value doc_make(struct heap *h, enum value_kind kind) {
    struct doc *d = heap_alloc(h, sizeof *d);
    if (!d) return value_null();
    value_builder_open(&d->b, h, kind);
    return (value){.kind = CELL_DOC, .bits = (uintptr_t)d};
}

value doc_open(struct heap *h) { return doc_make(h, VALUE_OBJECT); }

static value close_copy(value v) {
    if (v.kind != CELL_DOC) return v;
    struct doc *d = doc_of(v);
    if (d->b.kind == VALUE_SET) return value_builder_close(&d->b);
    for (u32 i = 0; i < d->b.count; i++)
        if (d->b.values[i].kind == CELL_DOC) d->b.values[i] = close_copy(d->b.values[i]);
    return value_builder_close(&d->b);
}

/* The growing object under `key`, made when there is none; NULL: a value is in the way. */
static struct doc *step(struct heap *h, struct doc *d, value key) {
    value v = value_builder_find(&d->b, key);
    if (v.kind == VALUE_UNDEFINED) {
        v = doc_make(h, VALUE_OBJECT);
        if (v.kind != CELL_DOC) return d; /* exhausted: the machine notices */
        value_builder_replace(&d->b, key, v);
    }
    if (v.kind != CELL_DOC || doc_of(v)->b.kind != VALUE_OBJECT) return NULL;
    return doc_of(v);
}

static bool put_member(struct heap *h, struct doc *d, value key, value member) {
    value set = value_builder_find(&d->b, key);
    if (set.kind == VALUE_UNDEFINED) {
        set = doc_make(h, VALUE_SET);
        if (set.kind != CELL_DOC) return true;
        value_builder_replace(&d->b, key, set);
    }
    if (set.kind != CELL_DOC || doc_of(set)->b.kind != VALUE_SET) return false;
    value_builder_add(&doc_of(set)->b, member);
    return true;
}

bool doc_put(struct heap *h, value doc, const value *keys, u32 count, value v, bool multi) {
    if (doc.kind != CELL_DOC || h->exhausted) return true;
    struct doc *d = doc_of(doc);
    if (!count) return false;
    for (u32 i = 0; i + 1 < count; i++)
        if (!(d = step(h, d, keys[i]))) return false;
    if (multi) return put_member(h, d, keys[count - 1], v);
    value old = value_builder_find(&d->b, keys[count - 1]);
    if (old.kind == VALUE_UNDEFINED) {
        value_builder_replace(&d->b, keys[count - 1], v);
        return true;
    }
    return old.kind != CELL_DOC && value_equal(old, v);
}

value doc_close(value doc) { return close_copy(doc); }
