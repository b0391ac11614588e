/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h — looking hashes up, shared by hash.c and field_expiry.c. */
#pragma once
#include "app/cache/command.h"
#include "app/cache/data/hash.h"

/* Without the fields whose time has come. NULL: no such key, or *bad and told. */
struct object *hash_look(struct client *c, str key, bool write, bool *bad);
struct object *hash_make(struct client *c, str key, bool *bad); /* an empty one if there is none */
void hash_changed(struct client *c, str key, struct object *o, const char *event);
/* Deletes fields that have ended, up to `most`; the key too when none is left. */
void hash_let_end(struct keys *k, struct entry *e, u32 most);
void hash_fields_hook(struct keys *k, struct entry *e); /* for keys_hooks */
