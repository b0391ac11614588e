/* SPDX-License-Identifier: Apache-2.0 */
/* value.h — the values of the policy language: what JSON has, plus sets and objects with any keys.
 *
 * A `value` is a cell of 16 bytes, passed by copy: kind, a little, and 8 bytes that are the value
 * itself or point to a node. Values never change after they are made. Nodes lie in a heap
 * (heap.h): an evaluation's, dropped whole when its answer is written; a program's constants; or a
 * data tree's. A node points only to nodes that live at least as long, so nothing is counted and
 * nothing is copied while a policy is evaluated.
 *
 *   null, true, 12      all in the cell
 *   12.50, 2^100        -> number: the decimal text, kept as written
 *   "text"              -> string: length, bytes; the hash is in the cell
 *   [a, b]              -> array: count, cells
 *   {a, b}              -> keys: count, cells sorted and unique, a hash index when large
 *   {"k": v}            -> object: keys (shared by objects of one shape), one cell per key
 *
 * Order (value_compare): null < booleans (false first) < numbers < strings (bytes) < arrays
 * (element by element, then length) < objects (sorted keys and their values in turn) < sets: the
 * reference's order, in which sets and objects are also iterated and written.
 *
 * When a heap has reached its limit, or a value would nest deeper than VALUE_DEPTH_MAX, the makers
 * return null and set heap->exhausted; whoever drives the work checks that flag at its next step
 * and answers with a clear error. A maker's result is therefore always safe to read, and whatever
 * walks a value may recurse: the depth is bounded. */
#pragma once
#include "app/policy/value/heap.h"
#include "kernel/base/base.h"
#include "kernel/base/buf.h"

enum value_kind { /* in the language's order of types */
    VALUE_UNDEFINED, /* no value at all: never inside another value */
    VALUE_NULL,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_OBJECT,
    VALUE_SET,
};

struct value_number; /* number.h */
struct value_object; /* below */
struct value_string {
    u32 len;
    u32 spare;
    char bytes[]; /* a NUL follows, outside of len; UTF-8 except where a builtin decoded bytes */
};
struct value_array {
    u32 count;
    u32 hash; /* 0: not yet known */
    struct value *items;
};
struct value_keys { /* a set; or the keys of objects */
    u32 count;
    u32 hash;          /* of the set of these keys; 0: not yet known */
    u32 *index;        /* NULL when small: open addressing, position + 1, `mask` + 1 slots */
    u32 mask;
    u32 spare;
    struct value *items; /* sorted, unique */
};
typedef struct value {
    u8 kind;  /* enum value_kind */
    u8 boxed; /* VALUE_NUMBER: `number` is the value, else `integer` */
    u16 depth; /* 0: holds no other value; a collection: 1 + its deepest member's */
    u32 hash; /* VALUE_STRING: of its bytes; else 0 */
    union {
        bool boolean;
        s64 integer;
        const struct value_number *number;
        const struct value_string *string;
        const struct value_array *array;
        const struct value_object *object;
        const struct value_keys *set;
        u64 bits;
    };
} value;
static_assert(sizeof(value) == 16, "cells are two words");

struct value_object {
    const struct value_keys *keys; /* equal pointers: the same shape */
    u32 hash;
    u32 spare;
    value values[]; /* keys->count of them */
};

/* ---- Makers that need no heap ---- */
#define UNDEFINED ((value){.kind = VALUE_UNDEFINED})
static inline value value_null(void) { return (value){.kind = VALUE_NULL}; }
static inline value value_boolean(bool b) { return (value){.kind = VALUE_BOOLEAN, .integer = b}; }
static inline value value_integer(s64 i) { return (value){.kind = VALUE_NUMBER, .integer = i}; }

/* ---- Makers; all copy what they are given ---- */
value value_string(struct heap *h, str bytes);
value value_string_c(struct heap *h, const char *z);
/* A string of `len` bytes to be filled in by the caller, who then calls value_string_seal once.
 * NULL: the heap is exhausted. */
char *value_string_room(struct heap *h, size_t len);
value value_string_seal(char *room, size_t len); /* `len` may be less than what was asked for */
value value_array(struct heap *h, const value *items, size_t count);
value value_set(struct heap *h, const value *items, size_t count); /* any order, repeats allowed */
/* Any order. Of equal keys the last wins. */
value value_object(struct heap *h, const value *keys, const value *values, size_t count);
value value_empty_object(void);
value value_empty_array(void);
value value_empty_set(void);

/* ---- Growing collections: add in any order, close once. Adding costs O(1), closing one sort. ----
 * Memory comes from the heap. */
struct value_builder {
    struct heap *heap;
    u8 kind; /* VALUE_ARRAY, VALUE_SET or VALUE_OBJECT */
    u32 count, room;
    value *keys;   /* items of an array or set, keys of an object */
    value *values; /* of an object */
    u32 *index, mask; /* of a set or object, once it is larger than a few */
};
void value_builder_open(struct value_builder *b, struct heap *h, enum value_kind kind);
void value_builder_add(struct value_builder *b, value item); /* array, set */
/* Object. RC_CONFLICT, with the first value kept: the key is there with another value. */
rc_t value_builder_put(struct value_builder *b, value key, value v);
void value_builder_replace(struct value_builder *b, value key, value v); /* the last one wins */
value value_builder_find(const struct value_builder *b, value key); /* UNDEFINED: not (yet) in it */
value value_builder_close(struct value_builder *b);

/* ---- Looking ---- */
static inline bool value_is(value v, enum value_kind kind) { return v.kind == kind; }
static inline bool value_defined(value v) { return v.kind != VALUE_UNDEFINED; }
static inline bool value_is_true(value v) { return v.kind == VALUE_BOOLEAN && v.integer; }
static inline bool value_is_false(value v) { return v.kind == VALUE_BOOLEAN && !v.integer; }
static inline str value_str(value v) { /* of a string */
    return (str){v.string->bytes, v.string->len};
}
/* Elements of an array or set, entries of an object; 0 for all else. */
u32 value_count(value v);
/* By position: in an array as written, in sets and objects in sorted order. i < value_count. */
static inline value value_item(value array_or_set, u32 i) {
    return array_or_set.kind == VALUE_ARRAY ? array_or_set.array->items[i]
                                            : array_or_set.set->items[i];
}
static inline value value_key_at(value object, u32 i) { return object.object->keys->items[i]; }
static inline value value_value_at(value object, u32 i) { return object.object->values[i]; }
/* The language's `collection[key]`: an array by whole number, an object by key, a set by member
 * (which is then the answer). UNDEFINED: none, or not a collection. */
value value_get(value collection, value key);
value value_get_str(value object, str key);
s64 value_position(const struct value_keys *keys, value key); /* -1: not among them */
bool value_has(value set, value member);

/* Total order; equality agrees with it; equal values have equal hashes (1, 1.0 and 1e0 are equal).
 */
int value_compare(value a, value b);
bool value_equal_slow(value a, value b);
static inline bool value_equal(value a, value b) {
    if (a.kind != b.kind) return false;
    if (a.bits == b.bits && a.boxed == b.boxed) return true;
    if (a.kind <= VALUE_BOOLEAN) return false;
    if (a.kind == VALUE_NUMBER && !a.boxed && !b.boxed) return false;
    if (a.kind == VALUE_STRING && a.hash != b.hash) return false;
    return value_equal_slow(a, b);
}
u32 value_hash(value v);
u32 value_hash_text(str s); /* of the string with these bytes: what its cell holds */
void value_hash_seed(u64 seed); /* once, before the first value: a hostile input cannot aim at it */

const char *value_kind_name(enum value_kind kind); /* "null", "boolean", ... as type_name() says */
value value_copy(struct heap *to, value v); /* deep */
/* Sorts in place, by value_compare; scratch memory from the heap, given back */
void value_sort(struct heap *h, value *items, size_t count);
