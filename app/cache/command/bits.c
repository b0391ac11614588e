/* SPDX-License-Identifier: Apache-2.0 */
/* bits.c — strings as rows of bits, the first being the highest of the first byte: set and get one,
 * count, find, combine whole strings. Integers inside them are bitfield.c. */
#include "app/cache/command/bits.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"

bool arg_bit_offset(struct client *c, str arg, bool hash, u32 width, u64 *out) {
    s64 n;
    bool times = hash && arg.len && arg.ptr[0] == '#';
    u64 most = (u64)settings.bulk_max * 8;
    if (integer_parse(str_skip(arg, times), &n) && n >= 0 &&
        !(times && __builtin_mul_overflow(n, (s64)width, &n)) && (u64)n < most) {
        *out = (u64)n;
        return true;
    }
    say_error(c, "ERR bit offset is not an integer or out of range");
    return false;
}

struct text *bits_for_write(struct client *c, str key, u64 last_bit, bool *changed_length) {
    bool bad;
    size_t bytes = (size_t)(last_bit / 8) + 1;
    struct object *o = look_write(c, key, OBJECT_STRING, &bad);
    if (bad || too_large(c, bytes)) return NULL;
    if (!o) {
        o = &keys_add(c->db, key, object_of_text(text_new(S(""), bytes)))->object;
        notify(NOTIFY_NEW, "new", key, c->db);
    }
    *changed_length = object_strlen(o) < bytes;
    return object_edit(o, bytes);
}

void cmd_setbit(struct client *c) {
    u64 at;
    bool grown;
    s64 on;
    if (!arg_bit_offset(c, c->argv[2], false, 0, &at)) return;
    if (!arg_range(c, 3, 0, 1, &on, "ERR bit is not an integer or out of range")) return;
    struct text *t = bits_for_write(c, c->argv[1], at, &grown);
    if (!t) return;
    u8 mask = (u8)(0x80 >> at % 8), old = (u8)t->bytes[at / 8];
    t->bytes[at / 8] = (char)(on ? old | mask : old & ~mask);
    if (grown || !!(old & mask) != on) {
        notify(NOTIFY_STRING, "setbit", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
    say_integer(c, (old & mask) != 0);
}

void cmd_getbit(struct client *c) {
    u64 at;
    bool bad;
    char scratch[OBJECT_NUMBER_ROOM];
    if (!arg_bit_offset(c, c->argv[2], false, 0, &at)) return;
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    str s = o ? object_str(o, scratch) : S("");
    say_integer(c, at / 8 < s.len && (u8)s.ptr[at / 8] >> (7 - at % 8) & 1);
}

/* ---- Counting and finding -------------------------------------------------------------------- */

static u64 count_bits(str s) {
    u64 n = 0, word;
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        n += (u64)__builtin_popcountll(word);
    }
    for (; i < s.len; i++) n += (u64)__builtin_popcount((u8)s.ptr[i]);
    return n;
}

static bool bit_at(str s, u64 i) { return (u8)s.ptr[i / 8] >> (7 - i % 8) & 1; }

/* Start and end from argument i on, in bytes or bits, as bits. False: told, or *empty. */
static bool range_read(struct client *c, u32 i, str s, u64 *first, u64 *last, bool *empty) {
    s64 from = 0, to = -1;
    bool in_bits = false;
    *empty = false;
    if (i < c->argc && !arg_integer(c, i, &from)) return false;
    if (i + 1 < c->argc && !arg_integer(c, i + 1, &to)) return false;
    if (i + 2 < c->argc) {
        in_bits = arg_is(c, i + 2, "bit");
        if ((!in_bits && !arg_is(c, i + 2, "byte")) || i + 3 < c->argc) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    s64 total = (s64)s.len * (in_bits ? 8 : 1);
    if (from < 0 && to < 0 && from > to) *empty = true;
    if (from < 0) from = MAX(from + total, 0);
    if (to < 0) to = MAX(to + total, 0);
    if (to >= total) to = total - 1;
    *empty |= from > to || !total;
    *first = (u64)from * (in_bits ? 1 : 8);
    *last = in_bits ? (u64)to : (u64)to * 8 + 7;
    return true;
}

static u64 count_range(str s, u64 first, u64 last) {
    u64 n = 0;
    for (; first <= last && first % 8; first++) n += bit_at(s, first);
    for (; first <= last && last % 8 != 7; last--) {
        n += bit_at(s, last);
        if (!last) return n;
    }
    if (first > last) return n;
    return n + count_bits(str_of(s.ptr + first / 8, (size_t)((last - first + 1) / 8)));
}

void cmd_bitcount(struct client *c) {
    bool bad, empty;
    u64 first, last;
    char scratch[OBJECT_NUMBER_ROOM];
    if (c->argc == 3) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    str s = o ? object_str(o, scratch) : S("");
    if (!range_read(c, 2, s, &first, &last, &empty)) return;
    say_integer(c, empty ? 0 : (s64)count_range(s, first, last));
}

static s64 find_bit(str s, u64 first, u64 last, bool wanted) {
    u8 none = wanted ? 0 : 0xFF;
    for (u64 i = first; i <= last; i++) {
        while (i % 8 == 0 && i + 7 <= last && (u8)s.ptr[i / 8] == none)
            if ((i += 8) > last) return -1;
        if (bit_at(s, i) == wanted) return (s64)i;
    }
    return -1;
}

void cmd_bitpos(struct client *c) {
    bool bad, empty, end_given = c->argc > 4;
    s64 wanted;
    u64 first, last;
    char scratch[OBJECT_NUMBER_ROOM];
    if (!arg_integer(c, 2, &wanted)) return;
    if (wanted != 0 && wanted != 1) {
        say_error(c, "ERR The bit argument must be 1 or 0.");
        return;
    }
    struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if (!o) {
        say_integer(c, wanted ? -1 : 0);
        return;
    }
    str s = object_str(o, scratch);
    if (!range_read(c, 3, s, &first, &last, &empty)) return;
    s64 at = empty ? -1 : find_bit(s, first, last, wanted == 1);
    /* without an end, zeroes go on for ever behind the string */
    if (at < 0 && !wanted && !end_given && !empty) at = (s64)s.len * 8;
    say_integer(c, at);
}

/* ---- BITOP ----------------------------------------------------------------------------------- */

enum op { OP_AND, OP_OR, OP_XOR, OP_NOT };

static void combine(struct text *to, str s, enum op op) {
    for (size_t i = 0; i < to->len; i++) {
        u8 b = i < s.len ? (u8)s.ptr[i] : 0, a = (u8)to->bytes[i];
        to->bytes[i] = (char)(op == OP_AND ? a & b : op == OP_OR ? a | b : op == OP_XOR ? a ^ b
                              : ~b);
    }
}

/* The longest of the sources; -1: one is no string, and told. */
static s64 longest(struct client *c) {
    size_t most = 0;
    for (u32 i = 3; i < c->argc; i++) {
        bool bad;
        struct object *o = look_read(c, c->argv[i], OBJECT_STRING, &bad);
        if (bad) return -1;
        if (o) most = MAX(most, object_strlen(o));
    }
    return (s64)most;
}

void cmd_bitop(struct client *c) {
    static const char *const words[] = {"and", "or", "xor", "not"};
    char scratch[OBJECT_NUMBER_ROOM];
    u32 op = 0;
    while (op < ARRAY_LEN(words) && !arg_is(c, 1, words[op])) op++;
    if (op == ARRAY_LEN(words)) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (op == OP_NOT && c->argc != 4) {
        say_error(c, "ERR BITOP NOT must be called with a single source key.");
        return;
    }
    s64 len = longest(c);
    if (len < 0 || too_large(c, (u64)len)) return;
    struct text *t = text_new(S(""), (size_t)len);
    memset(t->bytes, 0, (size_t)len);
    t->len = (u32)len;
    for (u32 i = 3; len && i < c->argc; i++) {
        struct entry *e = keys_peek(c->db, c->argv[i]);
        combine(t, e ? object_str(&e->object, scratch) : S(""), i == 3 && op != OP_NOT ? OP_OR
                : op);
    }
    if (len) {
        (void)keys_put(c->db, c->argv[2], object_of_text(t), false);
        notify(NOTIFY_STRING, "set", c->argv[2], c->db);
        key_changed(c, c->db, c->argv[2]);
    } else {
        text_drop(t);
        if (keys_delete(c->db, c->argv[2])) {
            notify(NOTIFY_GENERIC, "del", c->argv[2], c->db);
            key_changed(c, c->db, c->argv[2]);
        }
    }
    say_integer(c, len);
}
