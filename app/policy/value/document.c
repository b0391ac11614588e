/* SPDX-License-Identifier: Apache-2.0 */
/* document.c — versions of base documents: copy the path, share the rest.
 *
 * Changing data.a.b.c makes a new object for b, a and the root, each a copy of its cells with one
 * replaced; every other value is the old version's own. An object that keeps its keys keeps its
 * shape too, so what the evaluator remembered about it stays true. Always: a version's heap is
 * written only before the version is published. */
#include "app/policy/value/document.h"
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "app/policy/value/intern.h"
#include "app/policy/value/keys_impl.h"
#include "app/policy/value/number.h"
#include "kernel/base/limits.h"

struct document {
    u32 refs; /* atomic */
    u32 chain;
    struct document *base; /* held */
    struct heap heap;
    value root;
};

static struct document *make(struct document *base, size_t bytes_max) {
    struct document *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->refs = 1;
    d->base = base ? document_hold(base) : NULL;
    d->chain = base ? base->chain + 1 : 1;
    heap_open_frugal(&d->heap, bytes_max);
    return d;
}

/* What a version holds of its own: records of one shape share their keys, equal texts are one. */
static value copy_in(struct heap *h, value v) {
    struct intern *t;
    if (v.kind < VALUE_ARRAY) return value_copy(h, v);
    if (intern_open(&t, h)) {
        h->exhausted = true;
        return value_null();
    }
    value copy = intern_copy(t, v);
    intern_close(t);
    return copy;
}

rc_t document_open(struct document **out, value root, size_t bytes_max) {
    struct document *d = make(NULL, bytes_max);
    if (!d) return RC_NO_MEMORY;
    d->root = copy_in(&d->heap, root);
    if (d->heap.exhausted) {
        document_drop(d);
        return RC_NO_MEMORY;
    }
    *out = d;
    return RC_OK;
}

struct document *document_hold(struct document *d) {
    __atomic_add_fetch(&d->refs, 1, __ATOMIC_RELAXED);
    return d;
}

void document_drop(struct document *d) {
    while (d && __atomic_sub_fetch(&d->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        struct document *base = d->base;
        heap_close(&d->heap);
        free(d);
        d = base;
    }
}

value document_root(const struct document *d) {
    return d->root;
}
u32 document_chain(const struct document *d) {
    return d->chain;
}

size_t document_bytes(const struct document *d) {
    size_t bytes = 0;
    for (; d; d = d->base) bytes += d->heap.held;
    return bytes;
}

rc_t document_compact(struct document *d, struct document **out) {
    return document_open(out, d->root, d->heap.bytes_max);
}

/* ---- Paths ---- */

/* A key of a path as an index: a plain number, or the text of one without leading zeros. */
static s64 index_of(value key) {
    s64 n;
    if (key.kind == VALUE_NUMBER) return key.boxed ? -1 : key.integer;
    if (key.kind != VALUE_STRING) return -1;
    str text = value_str(key);
    if (!text.len || (text.len > 1 && text.ptr[0] == '0') || str_to_s64(text, &n)) return -1;
    return n;
}

static value step(value v, value key) {
    if (v.kind == VALUE_ARRAY) {
        s64 at = index_of(key);
        return at >= 0 && at < value_count(v) ? value_item(v, (u32)at) : UNDEFINED;
    }
    return v.kind == VALUE_OBJECT ? value_get(v, key) : UNDEFINED;
}

value document_get(value root, const value *path, u32 count) {
    for (u32 i = 0; i < count && value_defined(root); i++) root = step(root, path[i]);
    return root;
}

rc_t document_path(struct heap *h, str pointer, value *keys, u32 room, u32 *count) {
    *count = 0;
    if (!pointer.len) return RC_OK;
    if (pointer.ptr[0] != '/') return RC_INVALID;
    while (pointer.len) {
        pointer = str_skip(pointer, 1);
        str part = str_take(pointer, str_find_byte(pointer, '/'));
        pointer = str_skip(pointer, part.len);
        if (*count == room) return RC_LIMIT;
        char *text = value_string_room(h, part.len), *to = text;
        if (!text) return RC_NO_MEMORY;
        for (size_t i = 0; i < part.len; i++) {
            bool escaped = part.ptr[i] == '~' && i + 1 < part.len &&
                           (part.ptr[i + 1] == '0' || part.ptr[i + 1] == '1');
            *to++ = escaped ? (part.ptr[++i] == '0' ? '~' : '/') : part.ptr[i];
        }
        keys[(*count)++] = value_string_seal(text, (size_t)(to - text));
    }
    return RC_OK;
}

/* ---- Changes ---- */

struct change {
    struct heap *heap;
    const struct document_change *what;
    value v; /* copied into the heap */
    bool make_path;
    struct diag *why;
    rc_t rc;
};

static value give_up(struct change *c, rc_t rc, const char *what) {
    if (!c->rc) diag_set(c->why, "%s", what);
    if (!c->rc) c->rc = rc;
    return UNDEFINED;
}

/* The reference names the whole path where an array is in the way. */
static value give_up_index(struct change *c, rc_t rc, const char *code, const char *what) {
    struct buf path;
    if (c->rc) return UNDEFINED;
    buf_open(&path, DIAG_TEXT_MAX);
    for (u32 i = 0; i < c->what->count; i++) {
        (void)buf_add(&path, S("/"));
        if (c->what->path[i].kind == VALUE_STRING)
            (void)buf_add(&path, value_str(c->what->path[i]));
        else
            value_write(&path, c->what->path[i]);
    }
    c->rc = rc;
    diag_set(c->why, "%s: %.*s: %s", code, STR(buf_str(&path)), what);
    buf_close(&path);
    return UNDEFINED;
}

static value give_up_missing(struct change *c) {
    return give_up(c, RC_NOT_FOUND, "storage_not_found_error: document does not exist");
}

/* An object with `key` set to v, or without it when v is undefined. */
static value object_with(struct heap *h, value o, value key, value v) {
    s64 at = value_position(o.object->keys, key);
    value *cells;
    if (at >= 0 && value_defined(v)) {
        value copy = value_object_of_keys(h, o.object->keys, &cells);
        if (copy.kind != VALUE_OBJECT) return copy;
        memcpy(cells, o.object->values, value_count(o) * sizeof *cells);
        cells[at] = v;
        u16 keys_depth = value_depth_over(o.object->keys->items, value_count(o));
        copy.depth = MAX(value_depth_over(cells, value_count(o)), keys_depth);
        return value_nested(h, copy);
    }
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(o); i++)
        if (i != at) value_builder_replace(&b, value_key_at(o, i), value_value_at(o, i));
    if (value_defined(v)) value_builder_replace(&b, value_copy(h, key), v);
    return value_builder_close(&b);
}

/* An array with v at `at`: inserted, in place of what is there, or (undefined) with that removed.
 */
static value array_with(struct heap *h, value a, u32 at, value v, bool insert) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(a); i++) {
        if (i == at && value_defined(v)) value_builder_add(&b, v);
        if (i != at || insert) value_builder_add(&b, value_item(a, i));
    }
    if (insert && at == value_count(a)) value_builder_add(&b, v);
    return value_builder_close(&b);
}

/* Where an array's element lies; -1: given up. */
static s64 element_of(struct change *c, value at, value key) {
    s64 i = index_of(key);
    if (i >= 0 && i < value_count(at)) return i;
    (void)give_up_index(c, RC_NOT_FOUND, "storage_not_found_error",
                        i < 0 ? "array index must be integer" : "array index out of range");
    return -1;
}

static value change_element(struct change *c, value at, value key) {
    enum document_op op = c->what->op;
    bool end = (key.kind == VALUE_STRING && str_eq(value_str(key), S("-"))) ||
               index_of(key) == value_count(at);
    if (end && op != DOCUMENT_ADD)
        return give_up_index(c, RC_INVALID, "storage_invalid_patch_error", "invalid patch path");
    s64 i = end ? value_count(at) : element_of(c, at, key);
    if (i < 0) return UNDEFINED;
    return array_with(c->heap, at, (u32)i, op == DOCUMENT_REMOVE ? UNDEFINED : c->v,
                      op == DOCUMENT_ADD);
}

static value change_here(struct change *c, value at, value key) {
    enum document_op op = c->what->op;
    if (at.kind == VALUE_ARRAY) return change_element(c, at, key);
    bool there = at.kind == VALUE_OBJECT && value_position(at.object->keys, key) >= 0;
    if (at.kind != VALUE_OBJECT || (!there && op != DOCUMENT_ADD)) return give_up_missing(c);
    return object_with(c->heap, at, key, op == DOCUMENT_REMOVE ? UNDEFINED : c->v);
}

static value change_below(struct change *c, value at, u32 depth) {
    value key = c->what->path[depth], below = UNDEFINED;
    s64 i = 0;
    if (depth + 1 == c->what->count) return change_here(c, at, key);
    if (at.kind == VALUE_ARRAY) {
        i = element_of(c, at, key);
        below = i >= 0 ? value_item(at, (u32)i) : UNDEFINED;
    } else if (at.kind == VALUE_OBJECT) {
        below = value_get(at, key);
        if (!value_defined(below) && c->make_path) below = value_empty_object();
    }
    if (!value_defined(below)) return give_up_missing(c);
    below = change_below(c, below, depth + 1);
    if (c->rc) return UNDEFINED;
    return at.kind == VALUE_OBJECT ? object_with(c->heap, at, key, below)
                                   : array_with(c->heap, at, (u32)i, below, false);
}

/* The empty path: the root itself, which can only be an object. */
static value change_root(struct change *c) {
    if (c->what->op == DOCUMENT_REMOVE) return value_empty_object();
    if (c->v.kind == VALUE_OBJECT) return c->v;
    return give_up(c, RC_INVALID, "storage_invalid_patch_error: root must be object");
}

rc_t document_change(struct document *d, const struct document_change *changes, u32 count,
                     bool make_path, struct document **out, struct diag *why) {
    struct diag unused;
    struct document *next = make(d, d->heap.bytes_max);
    if (!next) return RC_NO_MEMORY;
    next->root = d->root;
    struct change c = {.heap = &next->heap, .make_path = make_path, .why = why ? why : &unused};
    for (u32 i = 0; i < count && !c.rc; i++) {
        c.what = &changes[i];
        c.v = copy_in(c.heap, changes[i].v);
        if (changes[i].count > VALUE_DEPTH_MAX)
            give_up(&c, RC_LIMIT, "the path is too long");
        else
            next->root = changes[i].count ? change_below(&c, next->root, 0) : change_root(&c);
        if (!c.rc && next->heap.exhausted) c.rc = RC_NO_MEMORY;
    }
    if (c.rc) {
        document_drop(next);
        return c.rc;
    }
    *out = next;
    return RC_OK;
}
