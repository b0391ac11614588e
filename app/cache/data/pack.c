/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c — strings in a row, walkable both ways.
 *
 *   item:  [ length: 1 byte below 254, else 254 and 4 bytes | bytes | size: likewise, reversed ]
 *
 * `size` is the length of what precedes it, so that a walk backwards finds the item's start; its
 * long form has the marker last. Whole numbers stay text: they are short.
 *
 * Always true: `bytes` is the sum of all items; a length field fits its block. */
#include "app/cache/data/pack.h"
#include "app/cache/data/memory.h"

#define SHORT 254u

static u32 field(u32 n) { return n < SHORT ? 1 : 5; }

static u8 *field_put(u8 *to, u32 n) {
    if (n < SHORT) {
        *to = (u8)n;
        return to + 1;
    }
    *to = SHORT;
    memcpy(to + 1, &n, 4);
    return to + 5;
}

static u32 item_len(const u8 *at) {
    u32 n = *at;
    if (n == SHORT) memcpy(&n, at + 1, 4);
    return n;
}

size_t pack_item_bytes(size_t len) {
    u32 body = field((u32)len) + (u32)len;
    return body + field(body);
}

struct pack *pack_new(size_t room) {
    struct pack *p = cache_alloc(sizeof *p + room);
    *p = (struct pack){.room = (u32)room};
    return p;
}

pack_at pack_next(const u8 *at) {
    return (pack_at)(uintptr_t)at + pack_item_bytes(item_len(at));
}

str pack_get(const u8 *at) {
    u32 n = item_len(at);
    return str_of((const char *)at + field(n), n);
}

pack_at pack_prev(struct pack *p, const u8 *at) {
    if (at == p->items) return NULL;
    u32 size = at[-1];
    if (size < SHORT) return (pack_at)(uintptr_t)at - 1 - size;
    memcpy(&size, at - 5, 4);
    return (pack_at)(uintptr_t)at - 5 - size;
}

pack_at pack_last(struct pack *p) { return pack_prev(p, p->items + p->bytes); }

pack_at pack_index(struct pack *p, s64 i) {
    if (i < 0) i += p->count;
    if (i < 0 || i >= (s64)p->count) return NULL;
    pack_at at;
    if (i < (s64)p->count / 2) {
        for (at = p->items; i; i--) at = pack_next(at);
    } else {
        at = p->items + p->bytes;
        for (i = p->count - i; i; i--) at = pack_prev(p, at);
    }
    return at;
}

static void item_put(u8 *to, str s) {
    u8 *end = field_put(to, (u32)s.len);
    if (s.len) memcpy(end, s.ptr, s.len);
    end += s.len;
    u32 size = (u32)(end - to);
    if (size < SHORT) {
        *end = (u8)size;
        return;
    }
    memcpy(end, &size, 4);
    end[4] = SHORT;
}

/* `from` bytes at `at` become `to` bytes, not yet filled. */
static struct pack *resize_at(struct pack *p, pack_at *at, size_t from, size_t to) {
    size_t where = (size_t)(*at - p->items), bytes = p->bytes - from + to;
    CHECK(bytes < 1u << 31);
    if (bytes > p->room) {
        size_t room = p->bytes < 64 ? bytes : MAX(bytes, bytes + MIN(bytes / 4, KIB(64)));
        p = cache_resize(p, sizeof *p + room);
        p->room = (u32)(cache_size(p) - 8 - sizeof *p);
        *at = p->items + where;
    }
    memmove(*at + to, *at + from, p->bytes - where - from);
    p->bytes = (u32)bytes;
    return p;
}

struct pack *pack_insert(struct pack *p, pack_at at, str s, pack_at *out_at) {
    p = resize_at(p, &at, 0, pack_item_bytes(s.len));
    item_put(at, s);
    p->count++;
    if (out_at) *out_at = at;
    return p;
}

struct pack *pack_append(struct pack *p, str s) {
    return pack_insert(p, p->items + p->bytes, s, NULL);
}

struct pack *pack_replace(struct pack *p, pack_at at, str s, pack_at *out_at) {
    p = resize_at(p, &at, pack_item_bytes(item_len(at)), pack_item_bytes(s.len));
    item_put(at, s);
    if (out_at) *out_at = at;
    return p;
}

struct pack *pack_delete(struct pack *p, pack_at at, u32 items) {
    u8 *end = at;
    u32 n = 0;
    for (; n < items && !pack_end(p, end); n++) end = pack_next(end);
    p = resize_at(p, &at, (size_t)(end - at), 0);
    p->count -= n;
    return p;
}

struct pack *pack_fit(struct pack *p) {
    if (p->room < p->bytes + 64 || p->room < p->bytes + p->bytes / 4) return p;
    p = cache_resize(p, sizeof *p + p->bytes);
    p->room = p->bytes;
    return p;
}

pack_at pack_find(struct pack *p, pack_at at, str s, u32 step) {
    for (u32 skip = 0; !pack_end(p, at); at = pack_next(at)) {
        if (skip) {
            skip--;
            continue;
        }
        if (item_len(at) == s.len && str_eq(pack_get(at), s)) return at;
        skip = step - 1;
    }
    return NULL;
}
