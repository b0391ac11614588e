/* SPDX-License-Identifier: Apache-2.0 */
/* hash.c — hashes in two shapes.
 *
 *   PACK    field value field value ...              searched from the front
 *   TABLE   | node | slot | value length | field | value |      one block per field
 *             ends: which field ends next             hashes_ending: which hash has one that does
 *
 * A hash whose fields end is known to hashes_ending by its entry; the entry is looked up again when
 * its time comes, so a stale one does no harm as long as its block lives: what frees a hash, or
 * hands it to somebody else, forgets it first.
 *
 * Always true: a field in `ends` has its slot; a PACK has no ends. */
#include "app/cache/data/hash.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/pack.h"
#include "app/cache/keys.h"
#include "app/cache/object_impl.h"
#include "app/cache/settings.h"

struct field {
    struct node node;
    u32 slot, value_len;
    char name[]; /* and the value behind it */
};
static struct deadlines hashes_ending;

static str value_of(const struct field *f) { return str_of(f->name + f->node.len, f->value_len); }

void hash_of_node(const struct object *o, const struct node *n, str *field, str *value) {
    *field = dict_key(&o->htable->dict, n);
    *value = value_of((const struct field *)n);
}

struct object hash_new(void) {
    return (struct object){.pack = pack_new(0), .type = OBJECT_HASH, .encoding = ENC_PACK};
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static struct htable *table_new(void) {
    struct htable *t = cache_zero(sizeof *t);
    dict_open(&t->dict, offsetof(struct field, name));
    deadlines_open(&t->ends, offsetof(struct field, slot));
    return t;
}

static void field_add(struct htable *t, str name, str value, u32 hash) {
    struct field *f = cache_alloc(sizeof *f + name.len + value.len);
    *f = (struct field){.node.len = (u32)name.len, .value_len = (u32)value.len};
    if (name.len) memcpy(f->name, name.ptr, name.len);
    if (value.len) memcpy(f->name + name.len, value.ptr, value.len);
    dict_insert(&t->dict, &f->node, hash);
}

static void to_table(struct object *o) {
    if (o->encoding == ENC_TABLE) return;
    struct htable *t = table_new();
    for (pack_at at = pack_first(o->pack); !pack_end(o->pack, at);) {
        str name = pack_get(at);
        at = pack_next(at);
        field_add(t, name, pack_get(at), dict_hash(name));
        at = pack_next(at);
    }
    cache_free(o->pack);
    o->htable = t;
    o->encoding = ENC_TABLE;
}

/* ---- Fields ---------------------------------------------------------------------------------- */

static pack_at pack_field(const struct object *o, str field) {
    return pack_find(o->pack, pack_first(o->pack), field, 2);
}

bool hash_get(const struct object *o, str field, str *out) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_field(o, field);
        if (at) *out = pack_get(pack_next(at));
        return at != NULL;
    }
    struct field *f = (struct field *)dict_find(&o->htable->dict, field);
    if (f) *out = value_of(f);
    return f != NULL;
}

static bool table_set(struct htable *t, str field, str value, bool keep_end) {
    u32 hash = dict_hash(field);
    struct node **link = dict_link(&t->dict, field, hash);
    if (!link) {
        field_add(t, field, value, hash);
        return true;
    }
    struct field *f = (struct field *)*link;
    if (!keep_end) deadlines_drop(&t->ends, f);
    if (value.len != f->value_len) {
        f = cache_resize(f, sizeof *f + f->node.len + value.len);
        *link = &f->node;
        deadlines_moved(&t->ends, f);
    }
    f->value_len = (u32)value.len;
    if (value.len) memcpy(f->name + f->node.len, value.ptr, value.len);
    return false;
}

bool hash_set(struct object *o, str field, str value, bool keep_end) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_field(o, field);
        bool fits = (s64)MAX(field.len, value.len) <= settings.hash_pack_value &&
                    (at || (s64)(o->pack->count / 2 + 1) <= settings.hash_pack_entries) &&
                    o->pack->bytes + field.len + value.len < MIB(1);
        if (fits && at) {
            o->pack = pack_replace(o->pack, pack_next(at), value, NULL);
            return false;
        }
        if (fits) {
            o->pack = pack_append(pack_append(o->pack, field), value);
            return true;
        }
        to_table(o);
    }
    return table_set(o->htable, field, value, keep_end);
}

bool hash_delete(struct object *o, str field) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_field(o, field);
        if (at) o->pack = pack_delete(o->pack, at, 2);
        return at != NULL;
    }
    struct field *f = (struct field *)dict_remove(&o->htable->dict, field);
    if (!f) return false;
    deadlines_drop(&o->htable->ends, f);
    cache_free(f);
    return true;
}

u64 hash_count(const struct object *o) {
    return o->encoding == ENC_PACK ? o->pack->count / 2 : o->htable->dict.count;
}

void hash_random(const struct object *o, str *field, str *value) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_index(o->pack, 2 * (s64)cache_random_below(o->pack->count / 2));
        *field = pack_get(at);
        *value = pack_get(pack_next(at));
        return;
    }
    hash_of_node(o, dict_random(&o->htable->dict), field, value);
}

/* ---- Walking --------------------------------------------------------------------------------- */

void hash_walk_begin(struct hash_walk *w, const struct object *o) {
    *w = (struct hash_walk){.o = o};
    if (o->encoding == ENC_PACK) w->item = pack_first(o->pack);
    else dict_walk_begin(&w->table, &o->htable->dict);
}

bool hash_walk_next(struct hash_walk *w, str *field, str *value) {
    if (w->o->encoding == ENC_PACK) {
        if (pack_end(w->o->pack, w->item)) return false;
        *field = pack_get(w->item);
        w->item = pack_next(w->item);
        *value = pack_get(w->item);
        w->item = pack_next(w->item);
        return true;
    }
    struct node *n = dict_walk_next(&w->table);
    if (n) hash_of_node(w->o, n, field, value);
    return n != NULL;
}

void hash_walk_end(struct hash_walk *w) {
    if (w->o->encoding == ENC_TABLE) dict_walk_end(&w->table);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

static struct field *field_find(const struct object *o, str field) {
    return o->encoding == ENC_TABLE ? (struct field *)dict_find(&o->htable->dict, field) : NULL;
}

s64 hash_end(const struct object *o, str field) {
    struct field *f = field_find(o, field);
    return f && f->slot ? deadlines_at(&o->htable->ends, f) : -1;
}

void hash_end_set(struct object *o, str field, s64 at_ms) {
    to_table(o);
    struct field *f = field_find(o, field);
    CHECK(f != NULL);
    deadlines_set(&o->htable->ends, f, at_ms);
}

bool hash_end_drop(struct object *o, str field) {
    struct field *f = field_find(o, field);
    if (!f || !f->slot) return false;
    deadlines_drop(&o->htable->ends, f);
    return true;
}

s64 hash_first_end(const struct object *o) {
    const struct deadline *d = o->encoding == ENC_TABLE ? deadlines_first(&o->htable->ends) : NULL;
    return d ? d->at : INT64_MAX;
}

u32 hash_fields_end(struct object *o, s64 now_ms, u32 most) {
    const struct deadline *d;
    u32 n = 0;
    if (o->encoding != ENC_TABLE) return 0;
    for (; n < most && (d = deadlines_first(&o->htable->ends)) && d->at <= now_ms; n++) {
        struct field *f = d->item;
        deadlines_drop(&o->htable->ends, f);
        struct node **link = dict_link(&o->htable->dict, dict_key(&o->htable->dict, &f->node),
                                       f->node.hash);
        dict_unlink(&o->htable->dict, link);
        cache_free(f);
    }
    return n;
}

void hashes_ending_set(struct entry *e) {
    if (e->object.type != OBJECT_HASH || e->object.encoding != ENC_TABLE) return;
    struct htable *t = e->object.htable;
    s64 at = hash_first_end(&e->object);
    if (!hashes_ending.slot_at) deadlines_open(&hashes_ending, offsetof(struct htable, slot));
    t->owner = e;
    if (at == INT64_MAX) deadlines_drop(&hashes_ending, t);
    else deadlines_set(&hashes_ending, t, at);
}

struct entry *hashes_ending_first(s64 *out_at) {
    const struct deadline *d = deadlines_first(&hashes_ending);
    if (!d) return NULL;
    *out_at = d->at;
    return ((struct htable *)d->item)->owner;
}

void hashes_ending_forget(struct object *o) {
    if (o->type == OBJECT_HASH && o->encoding == ENC_TABLE) deadlines_drop(&hashes_ending,
            o->htable);
}

/* ---- As a type ------------------------------------------------------------------------------- */

static bool free_some(struct object *o, u32 n) {
    if (o->encoding == ENC_PACK) {
        cache_free(o->pack);
        return true;
    }
    struct node *f;
    deadlines_drop(&hashes_ending, o->htable);
    deadlines_close(&o->htable->ends);
    while (n-- && (f = dict_take_any(&o->htable->dict))) cache_free(f);
    if (o->htable->dict.count) return false;
    dict_close(&o->htable->dict);
    cache_free(o->htable);
    return true;
}

static void free_now(struct object *o) {
    while (!free_some(o, 1000)) {}
}

static struct object copy(const struct object *o) {
    struct object to = {.type = OBJECT_HASH, .encoding = o->encoding};
    struct hash_walk w;
    str field, value;
    if (o->encoding == ENC_PACK) {
        size_t n = sizeof *o->pack + o->pack->room;
        to.pack = memcpy(cache_alloc(n), o->pack, n);
        return to;
    }
    to.htable = table_new();
    hash_walk_begin(&w, o);
    while (hash_walk_next(&w, &field, &value)) {
        field_add(to.htable, field, value, dict_hash(field));
        s64 at = hash_end(o, field);
        if (at >= 0) hash_end_set(&to, field, at);
    }
    return to;
}

static size_t items(const struct object *o) {
    return o->encoding == ENC_TABLE ? o->htable->dict.count : 1;
}

static size_t bytes(const struct object *o, u32 samples) {
    if (o->encoding == ENC_PACK) return cache_size(o->pack);
    struct htable *t = o->htable;
    struct dict_walk w;
    struct node *n;
    size_t sum = 0, seen = 0;
    for (dict_walk_begin(&w, &t->dict); (!samples || seen < samples) && (n = dict_walk_next(&w));
         seen++)
        sum += cache_size(n);
    dict_walk_end(&w);
    if (seen && seen < t->dict.count) sum = sum / seen * t->dict.count;
    return sum + dict_bytes(&t->dict) + deadlines_bytes(&t->ends) + cache_size(t);
}

const struct object_class hash_class = {.name = "hash", .free_now = free_now, .copy = copy,
                                        .items = items, .bytes = bytes, .free_some = free_some};
