/* SPDX-License-Identifier: Apache-2.0 */
/* intern.h — one copy of each string and of each set of object keys: equal strings then compare by
 * pointer, and objects of one shape share their keys, so that a lookup can be remembered by shape
 * and a record costs one cell per field. Belongs to one heap; for one thread at a time. */
#pragma once
#include "app/policy/value/value.h"

struct intern;
rc_t intern_open(struct intern **out, struct heap *h); /* RC_NO_MEMORY */
void intern_close(struct intern *t);                   /* the strings stay in the heap */
value intern_string(struct intern *t, str bytes);
/* A deep copy in the heap, in which equal strings and equal sets of keys lie once. */
value intern_copy(struct intern *t, value v);
/* The same keys (sorted, unique) once more: the earlier copy. */
const struct value_keys *intern_keys(struct intern *t, const value *sorted, u32 count);
