/* SPDX-License-Identifier: Apache-2.0 */
/* object_impl.h — what a type brings so that any value can be copied, measured and freed. */
#pragma once
#include "app/cache/object.h"

struct object_class {
    const char *name;
    void (*free_now)(struct object *o);
    struct object (*copy)(const struct object *o);
    size_t (*items)(const struct object *o); /* what freeing it costs */
    size_t (*bytes)(const struct object *o, u32 samples);
    /* Frees up to n items; true: all of it is gone. NULL: free_now is quick enough. */
    bool (*free_some)(struct object *o, u32 n);
};
extern const struct object_class string_class, list_class, set_class, zset_class, hash_class,
    feed_class;
