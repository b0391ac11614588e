/* SPDX-License-Identifier: Apache-2.0 */
/* object.c — values of any type, and strings, the type that all others are made of.
 *
 * A string that is a whole number takes no memory beyond its sixteen bytes; a short one lies behind
 * its key (keys.c puts it there); any other is a struct text,
     shared by reference with replies under
 * way, and changed in place only while nobody shares it. */
#include "app/cache/object_impl.h"
#include "app/cache/data/hash.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/limits.h"

static const struct object_class *const classes[OBJECT_TYPE_COUNT] = {
    [OBJECT_STRING] = &string_class, [OBJECT_LIST] = &list_class, [OBJECT_SET] = &set_class,
    [OBJECT_ZSET] = &zset_class,     [OBJECT_HASH] = &hash_class, [OBJECT_STREAM] = &feed_class,
};

/* ---- Texts ----------------------------------------------------------------------------------- */

struct text *text_new(str bytes, size_t room) {
    if (room < bytes.len) room = bytes.len;
    struct text *t = cache_alloc(sizeof *t + room);
    *t = (struct text){.refs = 1, .len = (u32)bytes.len, .room = (u32)room};
    if (bytes.len) memcpy(t->bytes, bytes.ptr, bytes.len);
    return t;
}

void text_hold(struct text *t) { t->refs++; }

void text_drop(struct text *t) {
    CHECK(t->refs > 0);
    if (!--t->refs) cache_free(t);
}

struct object object_of_text(struct text *t) {
    return (struct object){.text = t, .type = OBJECT_STRING, .encoding = ENC_TEXT};
}

struct object object_of_integer(s64 n) {
    return (struct object){.integer = n, .type = OBJECT_STRING, .encoding = ENC_INT};
}

struct object object_of(str bytes) {
    s64 n;
    if (integer_parse(bytes, &n)) return object_of_integer(n);
    return object_of_text(text_new(bytes, 0));
}

str object_str(const struct object *o, char scratch[OBJECT_NUMBER_ROOM]) {
    char number[NUMBER_ROOM];
    str s;
    switch (o->encoding) {
    case ENC_INT:
        s = integer_text(o->integer, number);
        memcpy(scratch, s.ptr, s.len);
        return str_of(scratch, s.len);
    case ENC_EMBED: return str_of((const char *)o + o->embed.at, o->embed.len);
    default: return str_of(o->text->bytes, o->text->len);
    }
}

size_t object_strlen(const struct object *o) {
    char scratch[OBJECT_NUMBER_ROOM];
    return object_str(o, scratch).len;
}

struct text *object_edit(struct object *o, size_t len) {
    char scratch[OBJECT_NUMBER_ROOM];
    str old = object_str(o, scratch);
    size_t room = MAX(len, old.len);
    struct text *t = o->encoding == ENC_TEXT ? o->text : NULL;
    if (t && t->refs == 1) {
        if (room > t->room) {
            if (room > 2 * sizeof *t) room += MIN(room, MIB(1)); /* whoever appends comes again */
            t = cache_resize(t, sizeof *t + room);
            t->room = (u32)room;
        }
    } else {
        t = text_new(old, room);
        if (o->encoding == ENC_TEXT) text_drop(o->text);
    }
    if (len > t->len) {
        memset(t->bytes + t->len, 0, len - t->len);
        t->len = (u32)len;
    }
    o->text = t;
    o->encoding = ENC_TEXT;
    return t;
}

bool object_integer(const struct object *o, s64 *out) {
    char scratch[OBJECT_NUMBER_ROOM];
    if (o->encoding == ENC_INT) {
        *out = o->integer;
        return true;
    }
    return integer_parse(object_str(o, scratch), out);
}

static void string_free(struct object *o) {
    if (o->encoding == ENC_TEXT) text_drop(o->text);
}

static struct object string_copy(const struct object *o) {
    if (o->encoding == ENC_INT) return object_of_integer(o->integer);
    if (o->encoding == ENC_EMBED) return object_of_text(text_new(object_str(o, NULL), 0));
    text_hold(o->text);
    return object_of_text(o->text);
}

static size_t string_items(const struct object *o) {
    (void)o;
    return 1;
}

static size_t string_bytes(const struct object *o, u32 samples) {
    (void)samples;
    return o->encoding == ENC_TEXT ? cache_size(o->text) : 0;
}

const struct object_class string_class = {
    .name = "string", .free_now = string_free, .copy = string_copy, .items = string_items,
    .bytes = string_bytes};

/* ---- Any value ------------------------------------------------------------------------------- */

struct object object_take(struct object *o) {
    struct object taken = *o;
    if (o->encoding == ENC_EMBED && o->type == OBJECT_STRING)
        taken = object_of_text(text_new(object_str(o, NULL), 0));
    hashes_ending_forget(o); /* whoever takes it may tell again */
    taken.used_at = o->used_at;
    taken.often = o->often;
    o->integer = 0;
    o->type = OBJECT_STRING;
    o->encoding = ENC_INT;
    return taken;
}

struct object object_copy(const struct object *o) {
    struct object copy = classes[o->type]->copy(o);
    copy.used_at = o->used_at;
    copy.often = o->often;
    return copy;
}

void object_free_now(struct object *o) {
    classes[o->type]->free_now(o);
    o->integer = 0;
    o->type = OBJECT_STRING;
    o->encoding = ENC_INT;
}

void object_free(struct object *o) {
    if (object_items(o) <= CACHE_LAZY_ITEMS) {
        object_free_now(o);
        return;
    }
    lazy_free_object(object_take(o));
}

size_t object_items(const struct object *o) { return classes[o->type]->items(o); }

size_t object_bytes(const struct object *o, u32 samples) {
    return classes[o->type]->bytes(o, samples);
}

const char *object_type_name(enum object_type t) {
    return t < OBJECT_TYPE_COUNT ? classes[t]->name : "none";
}

const char *object_encoding_name(const struct object *o) {
    switch (o->encoding) {
    case ENC_INT: return "int";
    case ENC_EMBED: return o->embed.len <= 44 ? "embstr" : "raw"; /* as Redis divides them */
    case ENC_TEXT: return o->text->len <= 44 && o->text->room == o->text->len ? "embstr" : "raw";
    case ENC_QUICK: return "quicklist";
    case ENC_INTS: return "intset";
    case ENC_PACK: return "listpack";
    case ENC_FEED: return "stream";
    default: return o->type == OBJECT_ZSET ? "skiplist" : "hashtable";
    }
}
