/* SPDX-License-Identifier: Apache-2.0 */
/* bitfield.c — integers of 1 to 64 bits at any place of a string, with a rule for overflow: wrap
 * round, stay at the edge, or fail and change nothing. All of a command's arguments are read before
 * any of it is done. */
#include "app/cache/command/bits.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

enum what { FIELD_GET, FIELD_SET, FIELD_INCRBY };
enum overflow { WRAP, SATURATE, FAIL };
struct step {
    enum what what;
    enum overflow overflow;
    bool is_signed;
    u32 bits;
    u64 at;
    s64 value;
};

static u64 field_read(str s, u64 at, u32 bits) {
    u64 n = 0;
    for (u32 i = 0; i < bits; i++, at++) {
        u8 byte = at / 8 < s.len ? (u8)s.ptr[at / 8] : 0;
        n = n << 1 | (byte >> (7 - at % 8) & 1);
    }
    return n;
}

static void field_write(struct text *t, u64 at, u32 bits, u64 n) {
    for (u32 i = 0; i < bits; i++, at++) {
        u8 mask = (u8)(0x80 >> at % 8);
        bool on = n >> (bits - 1 - i) & 1;
        t->bytes[at / 8] = (char)(on ? (u8)t->bytes[at / 8] | mask : (u8)t->bytes[at / 8] & ~mask);
    }
}

static s64 sign_extend(u64 n, u32 bits) {
    return bits == 64 ? (s64)n : (s64)(n << (64 - bits)) >> (64 - bits);
}

static u64 mask_of(u32 bits) { return bits == 64 ? UINT64_MAX : (1ull << bits) - 1; }

/* The sum in the field's width. False: it does not fit and the rule is FAIL. */
static bool fitted(const struct step *s, __int128 sum, u64 *out) {
    __int128 low = s->is_signed ? -((__int128)1 << (s->bits - 1)) : 0;
    __int128 high = s->is_signed ? ((__int128)1 << (s->bits - 1)) - 1 : (__int128)mask_of(s->bits);
    if (sum < low || sum > high) {
        if (s->overflow == FAIL) return false;
        if (s->overflow == SATURATE) sum = sum < low ? low : high;
    }
    *out = (u64)sum & mask_of(s->bits);
    return true;
}

static bool type_read(struct client *c, str type, struct step *s) {
    s64 bits;
    bool good = type.len > 1 && (type.ptr[0] == 'i' || type.ptr[0] == 'u') &&
                integer_parse(str_skip(type, 1), &bits);
    s->is_signed = good && type.ptr[0] == 'i';
    if (good && bits >= 1 && bits <= (s->is_signed ? 64 : 63)) {
        s->bits = (u32)bits;
        return true;
    }
    say_error(c, "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not "
                 "supported but i64 is.");
    return false;
}

/* All steps; the caller frees. NULL: told. */
static struct step *steps_read(struct client *c, u32 *count, u64 *last_bit, bool *writes) {
    struct step *steps = cache_zero(c->argc * sizeof *steps);
    enum overflow overflow = WRAP;
    for (u32 i = 2; i < c->argc; i++) {
        struct step *s = &steps[*count];
        u32 left = c->argc - i - 1;
        if (arg_is(c, i, "overflow") && left >= 1) {
            i++;
            if (arg_is(c, i, "wrap")) overflow = WRAP;
            else if (arg_is(c, i, "sat")) overflow = SATURATE;
            else if (arg_is(c, i, "fail")) overflow = FAIL;
            else {
                say_error(c, "ERR Invalid OVERFLOW type specified");
                goto refused;
            }
            continue;
        }
        bool get = arg_is(c, i, "get") && left >= 2;
        if (get) s->what = FIELD_GET;
        else if (arg_is(c, i, "set") && left >= 3) s->what = FIELD_SET;
        else if (arg_is(c, i, "incrby") && left >= 3) s->what = FIELD_INCRBY;
        else {
            say_error(c, SYNTAX_ERROR);
            goto refused;
        }
        if (!type_read(c, c->argv[i + 1], s)) goto refused;
        if (!arg_bit_offset(c, c->argv[i + 2], true, s->bits, &s->at)) goto refused;
        if (!get && !arg_integer(c, i + 3, &s->value)) goto refused;
        s->overflow = overflow;
        if (!get) {
            *writes = true;
            *last_bit = MAX(*last_bit, s->at + s->bits - 1);
        }
        i += get ? 2 : 3;
        (*count)++;
    }
    return steps;
refused:
    cache_free(steps);
    return NULL;
}

/* True: it changed something. */
static bool step_run(struct client *c, const struct step *s, struct text *t, str bytes) {
    if (t) bytes = str_of(t->bytes, t->len);
    u64 old = field_read(bytes, s->at, s->bits), new;
    s64 shown = s->is_signed ? sign_extend(old, s->bits) : (s64)old;
    if (s->what == FIELD_GET) {
        say_integer(c, shown);
        return false;
    }
    __int128 sum = s->what == FIELD_SET ? s->value : (__int128)shown + s->value;
    if (s->what == FIELD_SET && !s->is_signed) sum = (u64)s->value;
    if (!fitted(s, sum, &new)) {
        say_null(c);
        return false;
    }
    field_write(t, s->at, s->bits, new);
    if (s->what == FIELD_SET) say_integer(c, shown);
    else say_integer(c, s->is_signed ? sign_extend(new, s->bits) : (s64)new);
    return s->what == FIELD_INCRBY || new != old;
}

static void bitfield_run(struct client *c, bool read_only) {
    u32 count = 0;
    u64 last_bit = 0;
    bool writes = false, bad = false, grown = false, changed = false;
    char scratch[OBJECT_NUMBER_ROOM];
    str bytes = S("");
    struct text *t = NULL;
    struct step *steps = steps_read(c, &count, &last_bit, &writes);
    if (!steps) return;
    if (writes && read_only) {
        say_error(c, "ERR BITFIELD_RO only supports the GET subcommand");
        bad = true;
    } else if (writes) {
        t = bits_for_write(c, c->argv[1], last_bit, &grown);
        bad = !t;
    } else {
        struct object *o = look_read(c, c->argv[1], OBJECT_STRING, &bad);
        if (o && !bad) bytes = object_str(o, scratch);
    }
    if (!bad) say_array(c, count);
    for (u32 i = 0; i < count && !bad; i++) changed |= step_run(c, &steps[i], t, bytes);
    if (changed || grown) {
        notify(NOTIFY_STRING, "setbit", c->argv[1], c->db);
        key_changed(c, c->db, c->argv[1]);
    }
    cache_free(steps);
}

void cmd_bitfield(struct client *c) { bitfield_run(c, false); }
void cmd_bitfield_ro(struct client *c) { bitfield_run(c, true); }
