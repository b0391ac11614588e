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
 *
 * Builtins are declared in this notation (builtin.def); types of rules are inferred and printed in
 * it in messages. Types are immutable and live in the heap they were made in. */
#pragma once
#include "app/policy/value/value.h"

struct type;
/* RC_INVALID: not in the notation. */
rc_t type_parse(struct heap *h, str text, const struct type **out, struct diag *why);
void type_write(struct buf *to, const struct type *t);
value type_json(struct heap *h, const struct type *t); /* as in the capabilities document */
