/* SPDX-License-Identifier: Apache-2.0 */
/* keys_impl.h — how sets and objects are put together; for this folder alone. */
#pragma once
#include "app/policy/value/value.h"

enum { KEYS_INDEXED_FROM = 9 }; /* fewer are found faster by looking at each */

struct value_keys *value_keys_room(struct heap *h, u32 count); /* items to be filled in; NULL */
bool value_keys_index(struct heap *h, struct value_keys *k);   /* once the items are sorted */
value value_set_of_keys(const struct value_keys *k);
/* An object over `k` whose cells the caller fills in and whose depth it sets. */
value value_object_of_keys(struct heap *h, const struct value_keys *k, value **values);
u16 value_depth_over(const value *items, size_t count); /* of a collection that holds these */
value value_nested(struct heap *h, value v);            /* v, or null when it is too deep */
