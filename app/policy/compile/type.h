/* SPDX-License-Identifier: Apache-2.0 */
/* type.h — static types, written as the reference writes them:
 *
 *   any  null  boolean  number  string
 *   any<number, string>              one of
 *   array[T]                         any length         array<T, U>         exactly these
 *   array<T>[U]                      T first, then any number of U
 *   set[T]
 *   object[K: V]                     any keys           object<a: T, b: U>  exactly these
 *   object<a: T>[K: V]               both
 *   (T, U) => V                      a function         (T, U...) => V      variadic
 *   (x: T, y: U) => z: V             arguments and result with names, for messages
 *   (T)                              a function without a result: print
 *
 * Builtins are declared in this notation (builtin.def); types of rules are inferred and printed in
 * it in messages. Types are immutable and live in the heap they were made in. A type that could
 * not be told is NULL, and written "???". One that grows beyond the limits below is `any`: rules
 * that wrap each other's values would else make types without end. */
#pragma once
#include "app/policy/value/value.h"

enum type_kind { TYPE_NULL, TYPE_BOOLEAN, TYPE_NUMBER, TYPE_STRING, TYPE_ARRAY, TYPE_OBJECT,
                 TYPE_SET, TYPE_ANY, TYPE_FUNCTION }; /* in the order types are sorted */

enum { TYPE_DEPTH_MAX = 60, TYPE_SIZE_MAX = 200000, TYPE_UNION_MAX = 500 };

struct type_property { value key; const struct type *type; };
struct type {
    u8 kind;
    u8 depth;                          /* of what it is made of: TYPE_DEPTH_MAX at most */
    u32 count;
    u32 size;                          /* types in it, itself too: TYPE_SIZE_MAX at most */
    str name;                          /* of an argument or result; else empty */
    const struct type *bare;           /* with a name: the same without it */
    const struct type *const *items;   /* array: its first elements | any: sorted, none: anything |
                                          function: arguments */
    const struct type_property *properties; /* object: known keys, sorted */
    const struct type *key, *of;       /* object: of any further keys, `of` their values; both or
                                          none | array: of further elements | set: of members |
                                          function: `of` is the result, `key` the type of any
                                          number of further arguments */
};
extern const struct type type_null, type_boolean, type_number, type_string, type_any;

/* RC_INVALID: not in the notation; RC_NO_MEMORY. */
rc_t type_parse(struct heap *h, str text, const struct type **out, struct diag *why);
void type_write(struct buf *to, const struct type *t);
value type_json(struct heap *h, const struct type *t); /* as in the capabilities document */

/* ---- Making. NULL when the heap is exhausted ---- */
const struct type *type_array(struct heap *h, const struct type *const *items, u32 count,
                              const struct type *rest);
const struct type *type_set(struct heap *h, const struct type *of);
const struct type *type_object(struct heap *h, const struct type_property *known, u32 count,
                               const struct type *key, const struct type *of); /* any order */
const struct type *type_function(struct heap *h, const struct type *const *args, u32 count,
                                 const struct type *result);
const struct type *type_of_value(struct heap *h, value v);

/* ---- Asking. Names of arguments do not count. ---- */
int type_compare(const struct type *a, const struct type *b);
const struct type *type_or(struct heap *h, const struct type *a, const struct type *b);
const struct type *type_select(struct heap *h, const struct type *t, value key); /* NULL: none */
const struct type *type_keys(struct heap *h, const struct type *t);   /* NULL: has none */
const struct type *type_values(struct heap *h, const struct type *t);
bool type_contains(const struct type *a, const struct type *b); /* every b is an a */
bool type_unknown(const struct type *t);  /* some part of it could not be told */
bool type_unifies(struct heap *h, const struct type *a, const struct type *b);
static inline const struct type *type_bare(const struct type *t) {
    return t && t->bare ? t->bare : t;
}
static inline bool type_is_anything(const struct type *t) {
    return t && t->kind == TYPE_ANY && !t->count;
}
