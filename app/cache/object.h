/* SPDX-License-Identifier: Apache-2.0 */
/* object.h — a value: sixteen bytes inside its key's block, which say what it is and where the rest
 * of it lies. A type is a line in `object_types` (object.c) and a file data/TYPE.c that owns the
 * pointer; commands of a type lie in command/TYPE.c and meet values only through such files.
 *
 *   string   INT: the number itself     TEXT: struct text      EMBED: bytes behind the key
 *   list     QUICK: struct list         set   INTS PACK TABLE  hash  PACK TABLE
 *   zset     PACK TABLE                 stream: struct feed
 *
 * Ownership: an object is owned by its key (struct entry, keys.h) or by a local variable that gives
 * it away or calls object_free. Moving the sixteen bytes moves the value, except EMBED ones:
 * object_take makes them movable. */
#pragma once
#include "kernel/base/base.h"

enum object_type {
    OBJECT_STRING,
    OBJECT_LIST,
    OBJECT_SET,
    OBJECT_ZSET,
    OBJECT_HASH,
    OBJECT_STREAM,
    OBJECT_TYPE_COUNT,
};
enum object_encoding { ENC_INT, ENC_TEXT, ENC_EMBED, ENC_QUICK, ENC_INTS, ENC_PACK, ENC_TABLE,
                      ENC_FEED };

/* Bytes of a string, shared by reference with replies that are being sent. Changed in place only by
 * whoever holds the one reference (object_edit sees to it). */
struct text {
    u32 refs, len, room;
    char bytes[];
};

struct object {
    union {
        s64 integer;
        struct text *text;
        struct list *list;
        struct ints *ints;
        struct pack *pack;
        struct dict *dict; /* set */
        struct htable *htable;
        struct zset *zset;
        struct feed *feed;
        void *ptr;
        struct {
            u32 at, len; /* EMBED: bytes from the object's own address */
        } embed;
    };
    u8 type, encoding;
    u8 often; /* LFU: how often, a logarithm */
    u8 spare;
    u32 used_at; /* LRU: seconds; LFU: minutes of the last decay */
};
static_assert(sizeof(struct object) == 16, "a value is sixteen bytes");

#define OBJECT_NUMBER_ROOM 24 /* for object_str of an INT */

/* ---- Strings --------------------------------------------------------------------------------- */

struct text *text_new(str bytes, size_t room); /* room 0: as needed */
void text_hold(struct text *t);
void text_drop(struct text *t);
struct object object_of(str bytes);   /* INT or TEXT */
struct object object_of_integer(s64 n);
struct object object_of_text(struct text *t); /* takes the reference */
/* The bytes; `scratch` holds them for INT. Valid until the object changes. */
str object_str(const struct object *o, char scratch[OBJECT_NUMBER_ROOM]);
size_t object_strlen(const struct object *o);
/* As TEXT of our own with room for `len` bytes; bytes beyond the old length are zeroes, and the
 * length becomes at least `len`. The caller has asked cache_room. */
struct text *object_edit(struct object *o, size_t len);
bool object_integer(const struct object *o, s64 *out); /* is its text a whole number? */

/* ---- All types ------------------------------------------------------------------------------- */

struct object object_take(struct object *o);   /* moved out; o becomes INT 0 */
struct object object_copy(const struct object *o);
void object_free(struct object *o);            /* a large one is freed in slices, later */
void object_free_now(struct object *o);
size_t object_items(const struct object *o);   /* elements; what freeing it costs */
size_t object_bytes(const struct object *o, u32 samples); /* MEMORY USAGE; samples 0: all */
const char *object_type_name(enum object_type t);
const char *object_encoding_name(const struct object *o);

/* ---- What is freed in slices (lazy.c) -------------------------------------------------------- */

struct dict;
struct lazy_stats {
    u64 pending, freed; /* values */
};
void lazy_free_object(struct object o);
void lazy_free_dict(struct dict d, void (*free_node)(void *node));
bool lazy_run(u64 until_ns); /* false: nothing is left */
void lazy_stats_get(struct lazy_stats *out);
void lazy_stats_reset(void);
