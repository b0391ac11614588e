/* SPDX-License-Identifier: Apache-2.0 */
/* set.c — sets in three shapes.
 *
 *   INTS    [-5 0 17 4000]      sorted, binary search, as narrow as the widest number needs
 *   PACK    "a" "bc" "17"       searched from the front
 *   TABLE   dict of members
 *
 * A set of numbers becomes a table when it grows beyond set-max-intset-entries, and a pack or a
 * table when a member is not a number.
 *
 * Always true: no shape is ever empty in a database (commands delete the key). */
#include "app/cache/data/set.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/data/pack.h"
#include "app/cache/object_impl.h"
#include "app/cache/settings.h"

struct member {
    struct node node;
    char name[];
};

/* ---- INTS ------------------------------------------------------------------------------------ */

static s64 ints_get(const struct ints *s, u32 i) {
    s16 two;
    s32 four;
    s64 eight;
    switch (s->width) {
    case 2: memcpy(&two, s->bytes + 2 * i, 2); return two;
    case 4: memcpy(&four, s->bytes + 4 * i, 4); return four;
    default: memcpy(&eight, s->bytes + 8 * (size_t)i, 8); return eight;
    }
}

static void ints_put(struct ints *s, u32 i, s64 n) {
    s16 two = (s16)n;
    s32 four = (s32)n;
    switch (s->width) {
    case 2: memcpy(s->bytes + 2 * i, &two, 2); break;
    case 4: memcpy(s->bytes + 4 * i, &four, 4); break;
    default: memcpy(s->bytes + 8 * (size_t)i, &n, 8); break;
    }
}

static u8 width_of(s64 n) { return n == (s16)n ? 2 : n == (s32)n ? 4 : 8; }

static struct ints *ints_new(u8 width, u32 room) {
    struct ints *s = cache_alloc(sizeof *s + (size_t)room * width);
    *s = (struct ints){.width = width, .room = room};
    return s;
}

/* Index of n, or where it belongs. */
static bool ints_find(const struct ints *s, s64 n, u32 *at) {
    u32 low = 0, high = s->count;
    while (low < high) {
        u32 mid = (low + high) / 2;
        if (ints_get(s, mid) < n) low = mid + 1;
        else high = mid;
    }
    *at = low;
    return low < s->count && ints_get(s, low) == n;
}

static struct ints *ints_grow(struct ints *s, u8 width) {
    if (width <= s->width && s->count < s->room) return s;
    struct ints *to = ints_new(MAX(width, s->width), MAX(s->count + 1 + s->count / 4, 4u));
    for (u32 i = 0; i < s->count; i++) ints_put(to, i, ints_get(s, i));
    to->count = s->count;
    cache_free(s);
    return to;
}

static struct ints *ints_add(struct ints *s, s64 n, bool *added) {
    u32 at;
    *added = !ints_find(s, n, &at);
    if (!*added) return s;
    s = ints_grow(s, width_of(n));
    memmove(s->bytes + (size_t)(at + 1) * s->width, s->bytes + (size_t)at * s->width,
            (size_t)(s->count - at) * s->width);
    s->count++;
    ints_put(s, at, n);
    return s;
}

static bool ints_remove(struct ints *s, s64 n) {
    u32 at;
    if (!ints_find(s, n, &at)) return false;
    s->count--;
    memmove(s->bytes + (size_t)at * s->width, s->bytes + (size_t)(at + 1) * s->width,
            (size_t)(s->count - at) * s->width);
    return true;
}

/* ---- Shapes ---------------------------------------------------------------------------------- */

static struct dict *table_new(void) {
    struct dict *d = cache_alloc(sizeof *d);
    dict_open(d, offsetof(struct member, name));
    return d;
}

static bool table_add(struct dict *d, str name) {
    u32 hash = dict_hash(name);
    if (dict_link(d, name, hash)) return false;
    struct member *m = cache_alloc(sizeof *m + name.len);
    *m = (struct member){.node.len = (u32)name.len};
    if (name.len) memcpy(m->name, name.ptr, name.len);
    dict_insert(d, &m->node, hash);
    return true;
}

struct object set_new(str first) {
    s64 n;
    struct object o = {.type = OBJECT_SET};
    if (integer_parse(first, &n) && settings.set_ints_entries > 0) {
        o.encoding = ENC_INTS;
        o.ints = ints_new(width_of(n), 4);
    } else if (settings.set_pack_entries > 0 && (s64)first.len <= settings.set_pack_value) {
        o.encoding = ENC_PACK;
        o.pack = pack_new(pack_item_bytes(first.len));
    } else {
        o.encoding = ENC_TABLE;
        o.dict = table_new();
    }
    return o;
}

static void set_reshape(struct object *o, enum object_encoding to) {
    struct set_walk w;
    struct object shaped = {.type = OBJECT_SET, .encoding = (u8)to, .often = o->often,
                            .used_at = o->used_at};
    str s;
    if (to == ENC_PACK) shaped.pack = pack_new(64);
    else shaped.dict = table_new();
    set_walk_begin(&w, o);
    while (set_walk_next(&w, &s))
        if (to == ENC_PACK) shaped.pack = pack_append(shaped.pack, s);
        else (void)table_add(shaped.dict, s);
    cache_free(o->ptr); /* INTS or PACK: one block */
    *o = shaped;
}

static bool fits_pack(u64 count, size_t len) {
    return (s64)count <= MIN(settings.set_pack_entries, (s64)65536) &&
           (s64)len <= MIN(settings.set_pack_value, (s64)1024);
}

bool set_add(struct object *o, str member) {
    s64 n;
    bool added;
    if (o->encoding == ENC_INTS) {
        if (integer_parse(member, &n)) {
            o->ints = ints_add(o->ints, n, &added);
            if ((s64)o->ints->count > settings.set_ints_entries) set_reshape(o, ENC_TABLE);
            return added;
        }
        set_reshape(o, fits_pack(o->ints->count + 1u, MAX(member.len, (size_t)20)) ? ENC_PACK
                                                                                 : ENC_TABLE);
    }
    if (o->encoding == ENC_PACK) {
        if (pack_find(o->pack, pack_first(o->pack), member, 1)) return false;
        if (fits_pack(o->pack->count + 1u, member.len)) {
            o->pack = pack_append(o->pack, member);
            return true;
        }
        set_reshape(o, ENC_TABLE);
    }
    return table_add(o->dict, member);
}

bool set_remove(struct object *o, str member) {
    s64 n;
    if (o->encoding == ENC_INTS) return integer_parse(member, &n) && ints_remove(o->ints, n);
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_find(o->pack, pack_first(o->pack), member, 1);
        if (at) o->pack = pack_delete(o->pack, at, 1);
        return at != NULL;
    }
    struct node *m = dict_remove(o->dict, member);
    cache_free(m);
    return m != NULL;
}

bool set_has(const struct object *o, str member) {
    s64 n;
    u32 at;
    if (o->encoding == ENC_INTS) return integer_parse(member, &n) && ints_find(o->ints, n, &at);
    if (o->encoding == ENC_PACK) return pack_find(o->pack, pack_first(o->pack), member, 1) != NULL;
    return dict_find(o->dict, member) != NULL;
}

u64 set_count(const struct object *o) {
    return o->encoding == ENC_INTS ? o->ints->count
           : o->encoding == ENC_PACK ? o->pack->count : o->dict->count;
}

str set_random(const struct object *o) {
    static char scratch[NUMBER_ROOM];
    if (o->encoding == ENC_INTS)
        return integer_text(ints_get(o->ints, (u32)cache_random_below(o->ints->count)), scratch);
    if (o->encoding == ENC_PACK)
        return pack_get(pack_index(o->pack, (s64)cache_random_below(o->pack->count)));
    return dict_key(o->dict, dict_random(o->dict));
}

/* ---- Walking --------------------------------------------------------------------------------- */

void set_walk_begin(struct set_walk *w, const struct object *o) {
    w->o = o;
    w->at = 0;
    w->table.d = NULL;
    if (o->encoding == ENC_PACK) w->item = pack_first(o->pack);
    if (o->encoding == ENC_TABLE) dict_walk_begin(&w->table, o->dict);
}

bool set_walk_next(struct set_walk *w, str *out) {
    const struct object *o = w->o;
    char digits[NUMBER_ROOM];
    if (o->encoding == ENC_INTS) {
        if (w->at == o->ints->count) return false;
        str s = integer_text(ints_get(o->ints, w->at++), digits);
        memcpy(w->scratch, s.ptr, s.len);
        *out = str_of(w->scratch, s.len);
        return true;
    }
    if (o->encoding == ENC_PACK) {
        if (pack_end(o->pack, w->item)) return false;
        *out = pack_get(w->item);
        w->item = pack_next(w->item);
        return true;
    }
    struct node *n = dict_walk_next(&w->table);
    if (n) *out = dict_key(o->dict, n);
    return n != NULL;
}

void set_walk_end(struct set_walk *w) {
    if (w->o->encoding == ENC_TABLE) dict_walk_end(&w->table);
}

/* ---- As a type ------------------------------------------------------------------------------- */

static bool free_some(struct object *o, u32 n) {
    if (o->encoding != ENC_TABLE) {
        cache_free(o->ptr);
        return true;
    }
    struct node *m;
    while (n-- && (m = dict_take_any(o->dict))) cache_free(m);
    if (o->dict->count) return false;
    dict_close(o->dict);
    cache_free(o->dict);
    return true;
}

static void free_now(struct object *o) {
    while (!free_some(o, 1000)) {}
}

static struct object copy(const struct object *o) {
    struct object to = {.type = OBJECT_SET, .encoding = o->encoding};
    struct set_walk w;
    str s;
    if (o->encoding != ENC_TABLE) {
        size_t n = o->encoding == ENC_INTS
            ? sizeof *o->ints + (size_t)o->ints->room * o->ints->width
                                           : sizeof *o->pack + o->pack->room;
        to.ptr = memcpy(cache_alloc(n), o->ptr, n);
        return to;
    }
    to.dict = table_new();
    set_walk_begin(&w, o);
    while (set_walk_next(&w, &s)) (void)table_add(to.dict, s);
    return to;
}

static size_t items(const struct object *o) { return o->encoding == ENC_TABLE ? o->dict->count : 1;
                                             }

static size_t bytes(const struct object *o, u32 samples) {
    if (o->encoding != ENC_TABLE) return cache_size(o->ptr);
    struct dict_walk w;
    struct node *n;
    size_t sum = 0, seen = 0;
    for (dict_walk_begin(&w, o->dict); (!samples || seen < samples) && (n = dict_walk_next(&w));
         seen++)
        sum += cache_size(n);
    dict_walk_end(&w);
    if (seen && seen < o->dict->count) sum = sum / seen * o->dict->count;
    return sum + dict_bytes(o->dict) + cache_size(o->dict);
}

const struct object_class set_class = {.name = "set", .free_now = free_now, .copy = copy,
                                       .items = items, .bytes = bytes, .free_some = free_some};
