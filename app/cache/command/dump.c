/* SPDX-License-Identifier: Apache-2.0 */
/* dump.c — DUMP and RESTORE: a value as bytes, to be kept by a client and given back, to this cache
 * or to another of its kind.
 *
 *   version, type | counts, words (length, bytes), numbers, all little endian | 8 bytes of checksum
 *
 * The bytes are ours, not Redis's: payloads of other servers are refused by their checksum. Anybody
 * can make a right checksum, so whatever comes in is read within its bounds and rebuilt through the
 * types' own functions: wrong content is refused too, and nothing is kept of it. */
#include "app/cache/command/hash.h"
#include "app/cache/command/stream.h"
#include "app/cache/data/list.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/set.h"
#include "app/cache/data/zset.h"
#include "app/cache/features.h"
#include "kernel/base/buf.h"
#include <math.h>

#define VERSION 1u
#define SEAL 0x4F50434143484531ull
#define BAD_PAYLOAD "ERR DUMP payload version or checksum are wrong"
#define BAD_FORMAT "ERR Bad data format"

/* ---- Writing --------------------------------------------------------------------------------- */

static void put_number(struct buf *to, u64 n) { (void)!!buf_add(to, str_of((const char *)&n,
        sizeof n)); }

static void put_word(struct buf *to, str s) {
    u32 n = (u32)s.len;
    (void)!!buf_add(to, str_of((const char *)&n, sizeof n));
    (void)!!buf_add(to, s);
}

static void put_id(struct buf *to, struct id id) {
    put_number(to, id.ms);
    put_number(to, id.seq);
}

static void put_group(struct buf *to, const struct group *g) {
    struct id_place at;
    u64 consumers = 0;
    put_word(to, str_of(g->name, g->len));
    put_id(to, g->last);
    put_number(to, (u64)g->read);
    for (struct consumer *k = g->consumers; k; k = k->next) consumers++;
    put_number(to, consumers);
    for (struct consumer *k = g->consumers; k; k = k->next) {
        put_word(to, str_of(k->name, k->len));
        put_number(to, (u64)(k->seen_ms + cache_wall_offset_ms()));
        put_number(to, k->pending.count);
        for (struct id *i = id_map_seek(&k->pending, ID_LEAST, &at); i; i =
             id_map_step(&k->pending, &at)) {
            const struct nack *n = (const struct nack *)i;
            put_id(to, n->id);
            put_number(to, (u64)(n->given_ms + cache_wall_offset_ms()));
            put_number(to, n->times);
        }
    }
}

static void put_feed(struct buf *to, const struct feed *f) {
    struct feed_at at;
    u64 groups = 0;
    put_number(to, f->length);
    for (bool more = feed_seek(f, ID_LEAST, false, &at); more; more = feed_step(&at, false)) {
        u8 *p = feed_words(&at);
        put_id(to, at.id);
        put_number(to, at.fields);
        for (u32 i = 0; i < 2 * at.fields; i++, p = pack_next(p)) put_word(to, pack_get(p));
    }
    put_id(to, f->last);
    put_id(to, f->max_deleted);
    put_number(to, f->added);
    for (struct group *g = f->groups; g; g = g->next) groups++;
    put_number(to, groups);
    for (struct group *g = f->groups; g; g = g->next) put_group(to, g);
}

static void put_hash(struct buf *to, const struct object *o) {
    struct hash_walk w;
    str field, value;
    put_number(to, hash_count(o));
    for (hash_walk_begin(&w, o); hash_walk_next(&w, &field, &value);) {
        s64 at = hash_end(o, field);
        put_word(to, field);
        put_word(to, value);
        put_number(to, (u64)(at < 0 ? -1 : at + cache_wall_offset_ms()));
    }
}

static void put_object(struct buf *to, const struct object *o) {
    char scratch[OBJECT_NUMBER_ROOM];
    struct set_walk sw;
    struct zset_walk zw;
    struct list_at at;
    str s;
    double score;
    u64 bits;
    switch (o->type) {
    case OBJECT_STRING: put_word(to, object_str(o, scratch)); break;
    case OBJECT_LIST:
        put_number(to, o->list->count);
        at = list_index(o->list, 0);
        do put_word(to, list_get(at));
        while (list_step(o->list, &at, false));
        break;
    case OBJECT_SET:
        put_number(to, set_count(o));
        for (set_walk_begin(&sw, o); set_walk_next(&sw, &s);) put_word(to, s);
        break;
    case OBJECT_ZSET:
        put_number(to, zset_count(o));
        for (zset_walk_begin(&zw, o); zset_walk_next(&zw, &s, &score);) {
            memcpy(&bits, &score, sizeof bits);
            put_word(to, s);
            put_number(to, bits);
        }
        break;
    case OBJECT_HASH: put_hash(to, o); break;
    default: put_feed(to, o->feed);
    }
}

void cmd_dump(struct client *c) {
    struct object *o = look_any(c, c->argv[1]);
    struct buf to;
    if (!o) {
        say_null(c);
        return;
    }
    buf_open(&to, 2 * object_bytes(o, 0) + MIB(1));
    (void)!!buf_add_byte(&to, (char)VERSION);
    (void)!!buf_add_byte(&to, (char)o->type);
    put_object(&to, o);
    put_number(&to, str_hash(buf_str(&to), SEAL));
    if (to.failed) say_error(c, "ERR no memory for the value's bytes");
    else say_bulk(c, buf_str(&to));
    buf_close(&to);
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct reader {
    str left;
    bool bad;
};

static u64 get_number(struct reader *r) {
    u64 n = 0;
    r->bad |= r->left.len < sizeof n;
    if (r->bad) return 0;
    memcpy(&n, r->left.ptr, sizeof n);
    r->left = str_skip(r->left, sizeof n);
    return n;
}

static str get_word(struct reader *r) {
    u32 n = 0;
    r->bad |= r->left.len < sizeof n;
    if (!r->bad) memcpy(&n, r->left.ptr, sizeof n);
    r->bad |= r->left.len - sizeof n < n;
    if (r->bad) return S("");
    str s = str_of(r->left.ptr + sizeof n, n);
    r->left = str_skip(r->left, sizeof n + n);
    return s;
}

/* A time of the wall clock as ours; any 64 bits may come in. */
static s64 get_time(struct reader *r) {
    return (s64)(get_number(r) - (u64)cache_wall_offset_ms());
}

static struct id get_id(struct reader *r) {
    u64 ms = get_number(r);
    return (struct id){ms, get_number(r)};
}

static void get_list(struct reader *r, struct object *o) {
    *o = list_new();
    u64 n = get_number(r);
    r->bad |= !n;
    for (; n && !r->bad; n--) list_push(o->list, get_word(r), false);
}

static void get_set(struct reader *r, struct object *o) {
    u64 n = get_number(r);
    r->bad |= !n;
    str s = r->bad ? S("") : get_word(r);
    *o = set_new(s);
    for (; n && !r->bad; s = --n ? get_word(r) : s) r->bad |= !set_add(o, s);
}

static void get_zset(struct reader *r, struct object *o) {
    *o = zset_new(0, 0);
    u64 n = get_number(r), bits;
    double score;
    r->bad |= !n;
    for (; n && !r->bad; n--) {
        str s = get_word(r);
        bits = get_number(r);
        memcpy(&score, &bits, sizeof score);
        r->bad |= isnan(score);
        if (!r->bad) r->bad |= !zset_put(o, s, score);
    }
}

static void get_hash(struct reader *r, struct object *o) {
    *o = hash_new();
    u64 n = get_number(r);
    r->bad |= !n;
    for (; n && !r->bad; n--) {
        str field = get_word(r), value = get_word(r);
        u64 at = get_number(r); /* UINT64_MAX: never */
        if (!r->bad) r->bad |= !hash_set(o, field, value, false);
        if (!r->bad && at <= INT64_MAX)
            hash_end_set(o, field, (s64)(at - (u64)cache_wall_offset_ms()));
    }
}

static void get_group(struct reader *r, struct feed *f) {
    str name = get_word(r);
    struct id last = get_id(r);
    s64 read = (s64)get_number(r);
    struct group *g = r->bad ? NULL : feed_group_add(f, name, last, MAX(read, -1));
    r->bad |= !g;
    for (u64 n = get_number(r); n && !r->bad; n--) {
        str who = get_word(r);
        s64 seen = get_time(r);
        if (r->bad || group_consumer(g, who)) {
            r->bad = true;
            return;
        }
        struct consumer *k = group_consumer_add(g, who, seen);
        for (u64 i = get_number(r); i && !r->bad; i--) {
            struct id id = get_id(r);
            s64 given = get_time(r);
            u64 times = get_number(r);
            r->bad |= id_map_find(&g->pending, id) != NULL;
            if (!r->bad) group_give(g, k, id, given)->times = times;
        }
    }
}

static void get_feed(struct reader *r, struct object *o) {
    *o = feed_new();
    struct feed *f = o->feed;
    for (u64 n = get_number(r); n && !r->bad; n--) {
        struct id id = get_id(r);
        u64 fields = get_number(r);
        r->bad |= !fields || fields > CACHE_ARGS_MAX || fields * 8 > r->left.len ||
                  id_compare(id, f->last) <= 0;
        if (r->bad) return;
        str *words = cache_alloc((size_t)(2 * fields) * sizeof *words);
        for (u64 i = 0; i < 2 * fields; i++) words[i] = get_word(r);
        if (!r->bad) feed_append(f, id, words, (u32)(2 * fields));
        cache_free(words);
    }
    struct id last = get_id(r);
    f->max_deleted = get_id(r);
    f->added = get_number(r);
    r->bad |= id_compare(last, f->last) < 0 || f->added < f->length || f->added > INT64_MAX;
    f->last = last;
    for (u64 n = get_number(r); n && !r->bad; n--) get_group(r, f);
}

/* False: the bytes are wrong, and nothing of them is kept. */
static bool get_object(str payload, struct object *o) {
    struct reader r = {.left = str_of(payload.ptr + 2, payload.len - 10)};
    str s;
    switch ((u8)payload.ptr[1]) {
    case OBJECT_STRING:
        s = get_word(&r);
        *o = object_of(s);
        break;
    case OBJECT_LIST: get_list(&r, o); break;
    case OBJECT_SET: get_set(&r, o); break;
    case OBJECT_ZSET: get_zset(&r, o); break;
    case OBJECT_HASH: get_hash(&r, o); break;
    case OBJECT_STREAM: get_feed(&r, o); break;
    default: return false;
    }
    if (!r.bad && !r.left.len) return true;
    object_free(o);
    return false;
}

static bool sealed(str payload) {
    u64 seal;
    if (payload.len < 10 || (u8)payload.ptr[0] != VERSION) return false;
    memcpy(&seal, payload.ptr + payload.len - 8, 8);
    return seal == str_hash(str_take(payload, payload.len - 8), SEAL);
}

/* ---- RESTORE --------------------------------------------------------------------------------- */

struct restore {
    bool replace, absolute;
    s64 ttl, idle, frequency;
};

static bool options_read(struct client *c, struct restore *o) {
    *o = (struct restore){.idle = -1, .frequency = -1};
    for (u32 i = 4; i < c->argc; i++) {
        bool more = i + 1 < c->argc;
        if (arg_is(c, i, "replace")) {
            o->replace = true;
        } else if (arg_is(c, i, "absttl")) {
            o->absolute = true;
        } else if (arg_is(c, i, "idletime") && more && o->frequency < 0) {
            if (!arg_range(c, ++i, 0, INT32_MAX, &o->idle,
                           "ERR Invalid IDLETIME value, must be >= 0"))
                return false;
        } else if (arg_is(c, i, "freq") && more && o->idle < 0) {
            if (!arg_range(c, ++i, 0, 255, &o->frequency,
                           "ERR Invalid FREQ value, must be >= 0 and <= 255"))
                return false;
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

void cmd_restore(struct client *c) {
    struct restore o;
    struct object value;
    if (!options_read(c, &o)) return;
    str key = c->argv[1], payload = c->argv[3];
    if (!o.replace && keys_peek(c->db, key)) {
        say_error(c, "BUSYKEY Target key name already exists.");
        return;
    }
    if (!arg_integer(c, 2, &o.ttl)) return;
    if (o.ttl < 0) {
        say_error(c, "ERR Invalid TTL value, must be >= 0");
        return;
    }
    if (!sealed(payload)) {
        say_error(c, BAD_PAYLOAD);
        return;
    }
    if (too_large(c, payload.len)) return;
    if (!get_object(payload, &value)) {
        say_error(c, BAD_FORMAT);
        return;
    }
    s64 at;
    if (o.absolute ? __builtin_sub_overflow(o.ttl, cache_wall_offset_ms(), &at)
                   : __builtin_add_overflow(o.ttl, cache_now_ms(), &at))
        at = INT64_MAX;
    bool had = keys_delete(c->db, key);
    if (o.ttl && at <= cache_now_ms()) { /* it has ended already */
        object_free(&value);
        if (had) {
            notify(NOTIFY_GENERIC, "del", key, c->db);
            key_changed(c, c->db, key);
        }
        say_ok(c);
        return;
    }
    struct entry *e = keys_add(c->db, key, value);
    if (o.ttl) keys_end_set(c->db, e, at);
    keys_use_set(&e->object, o.idle, (s32)o.frequency);
    hashes_ending_set(e);
    notify(NOTIFY_GENERIC, "restore", key, c->db);
    key_changed(c, c->db, key);
    say_ok(c);
}
