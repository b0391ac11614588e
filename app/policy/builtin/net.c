/* SPDX-License-Identifier: Apache-2.0 */
/* net.c — net.*: blocks of addresses. An address is 16 bytes, IPv4 ones as ::ffff:a.b.c.d.
 *
 *   10.0.0.0/8  ->  family IPv4, 16 bytes, prefix 96 + 8
 *
 * so that both families are handled alike; a comparison across families is never true. */
#include "app/policy/builtin/builtin_impl.h"
#include <stdio.h>

struct address { u8 bytes[16]; bool v4; };
struct block { struct address first; u32 prefix; /* of 128 */ };

/* ---- Reading ---- */

/* a.b.c.d: decimal, no leading zeros. */
static bool read_v4(str s, u8 *to) {
    for (u32 part = 0; part < 4; part++) {
        u32 n = 0, digits = 0;
        while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9' && digits < 4)
            n = n * 10 + (u32)(s.ptr[digits++] - '0');
        if (digits == 0 || digits > 3 || n > 255 || (digits > 1 && s.ptr[0] == '0')) return false;
        to[part] = (u8)n;
        s = str_skip(s, digits);
        if (part < 3 && (s.len == 0 || s.ptr[0] != '.')) return false;
        if (part < 3) s = str_skip(s, 1);
    }
    return s.len == 0;
}

static bool read_group(str *s, u32 *out) {
    u32 n = 0, digits = 0;
    for (; digits < s->len && digits < 5; digits++) {
        char ch = s->ptr[digits], low = (char)(ch | 32);
        if (ch >= '0' && ch <= '9') n = n << 4 | (u32)(ch - '0');
        else if (low >= 'a' && low <= 'f') n = n << 4 | (u32)(low - 'a' + 10);
        else break;
    }
    *s = str_skip(*s, digits);
    *out = n;
    return digits > 0 && digits <= 4;
}

/* Eight groups, one run of zeros as "::", an IPv4 address as the last two. */
static bool read_v6(str s, u8 to[16]) {
    u32 at = 0, group;
    s32 gap = -1;
    if (str_starts(s, S("::"))) gap = 0, s = str_skip(s, 2);
    while (at < 16 && s.len) {
        str start = s;
        if (!read_group(&s, &group)) return false;
        if (s.len && s.ptr[0] == '.') {
            if ((gap < 0 && at != 12) || at + 4 > 16 || !read_v4(start, to + at)) return false;
            at += 4;
            s = S("");
            break;
        }
        to[at++] = (u8)(group >> 8), to[at++] = (u8)group;
        if (s.len == 0) break;
        if (s.ptr[0] != ':' || s.len == 1) return false;
        s = str_skip(s, 1);
        if (s.ptr[0] == ':') {
            if (gap >= 0) return false;
            gap = (s32)at;
            s = str_skip(s, 1);
        }
    }
    if (s.len || (gap < 0 && at != 16) || (gap >= 0 && at == 16)) return false;
    if (gap >= 0) {
        u32 tail = at - (u32)gap;
        memmove(to + 16 - tail, to + gap, tail);
        memset(to + gap, 0, 16 - tail - (u32)gap);
    }
    return true;
}

static bool is_mapped(const struct address *a) {
    static const u8 mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    return memcmp(a->bytes, mapped, 12) == 0;
}

static bool read_address(str s, struct address *a) {
    memset(a, 0, sizeof(*a));
    if (str_find_byte(s, ':') < s.len) {
        if (!read_v6(s, a->bytes)) return false;
        a->v4 = is_mapped(a);
        return true;
    }
    a->v4 = true;
    a->bytes[10] = a->bytes[11] = 0xFF;
    return read_v4(s, a->bytes + 12);
}

static void mask(struct address *a, u32 prefix, bool ones) {
    u32 at = prefix / 8;
    if (at == 16) return;
    u8 low = (u8)(0xFF >> prefix % 8);
    a->bytes[at] = ones ? a->bytes[at] | low : a->bytes[at] & (u8)~low;
    memset(a->bytes + at + 1, ones ? 0xFF : 0, 15 - at);
}

static bool read_block(str s, struct block *b) {
    size_t slash = str_find_byte(s, '/');
    u64 n;
    str digits = str_skip(s, slash + 1);
    if (slash == s.len || !read_address(str_take(s, slash), &b->first)) return false;
    bool v6 = str_find_byte(s, ':') < s.len;
    if (digits.len == 0 || str_to_u64(digits, &n) != RC_OK || n > (v6 ? 128 : 32)) return false;
    b->prefix = (u32)n + (v6 ? 0 : 96);
    mask(&b->first, b->prefix, false);
    b->first.v4 = is_mapped(&b->first); /* ::ffff:1.2.3.4/104 is 1.0.0.0/8 */
    return true;
}

/* ---- Writing ---- */

static str write_address(const struct address *a, char room[48]) {
    int n = 0, best = -1, best_len = 1;
    if (a->v4)
        return str_of(room, (size_t)snprintf(room, 48, "%u.%u.%u.%u", a->bytes[12], a->bytes[13],
                                             a->bytes[14], a->bytes[15]));
    for (int i = 0; i < 8; i++) { /* the longest run of zero groups, the first of equals */
        int len = 0;
        while (i + len < 8 && !a->bytes[2 * (i + len)] && !a->bytes[2 * (i + len) + 1]) len++;
        if (len > best_len) best = i, best_len = len;
        i += len;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            n += snprintf(room + n, 48 - (size_t)n, "::");
            i += best_len - 1;
            continue;
        }
        const char *colon = n && i != best + best_len ? ":" : "";
        if (best < 0) colon = i ? ":" : "";
        n += snprintf(room + n, 48 - (size_t)n, "%s%x", colon,
                      a->bytes[2 * i] << 8 | a->bytes[2 * i + 1]);
    }
    return str_of(room, (size_t)n);
}

/* ---- Containing ---- */

static bool contains(const struct block *b, const struct address *a) {
    u32 at = b->prefix / 8, bits = b->prefix % 8;
    if (a->v4 != b->first.v4 || memcmp(a->bytes, b->first.bytes, at) != 0) return false;
    return bits == 0 || (a->bytes[at] ^ b->first.bytes[at]) >> (8 - bits) == 0;
}

static bool take_block(struct builtin_call *c, value v, struct block *b) {
    if (v.kind != VALUE_STRING) {
        builtin_fail_operand(c, 1, "string", v);
        return false;
    }
    if (read_block(value_str(v), b)) return true;
    builtin_fail(c, "invalid CIDR address: %.*s", STR(str_take(value_str(v), 400)));
    return false;
}

value builtin_net_cidr_intersects(struct builtin_call *c, const value *args) {
    struct block a, b;
    if (!take_block(c, args[0], &a) || !take_block(c, args[1], &b)) return UNDEFINED;
    return value_boolean(contains(&a, &b.first) || contains(&b, &a.first));
}

/* Does `whole` contain the block or address `part`? */
static value contained(struct builtin_call *c, value whole, value part) {
    struct block a, b;
    struct address one;
    if (!take_block(c, whole, &a)) return UNDEFINED;
    if (part.kind != VALUE_STRING) return builtin_fail_operand(c, 1, "string", part);
    str s = value_str(part);
    if (read_address(s, &one)) return value_boolean(contains(&a, &one));
    if (!read_block(s, &b))
        return builtin_fail(c, "not a valid textual representation of an IP address or CIDR: %.*s",
                            STR(str_take(s, 300)));
    return value_boolean(contains(&a, &b.first) && a.prefix <= b.prefix);
}
value builtin_net_cidr_contains(struct builtin_call *c, const value *args) {
    return contained(c, args[0], args[1]);
}

value builtin_net_cidr_is_valid(struct builtin_call *c, const value *args) {
    struct block b;
    (void)c;
    return value_boolean(args[0].kind == VALUE_STRING && read_block(value_str(args[0]), &b));
}

/* ---- Many against many ---- */

/* The i-th block of an operand and what names it; false: failed. */
static bool nth(struct builtin_call *c, value v, u32 operand, u32 i, value *block, value *name) {
    value item = v;
    *name = v;
    if (v.kind == VALUE_ARRAY) item = value_item(v, i), *name = value_integer(i);
    else if (v.kind == VALUE_SET) *name = item = value_item(v, i);
    else if (v.kind == VALUE_OBJECT) item = value_value_at(v, i), *name = value_key_at(v, i);
    if (item.kind == VALUE_ARRAY && value_count(item)) item = value_item(item, 0);
    else if (item.kind != VALUE_STRING) {
        builtin_fail(c, "operand %u: element must be string or non-empty array", operand);
        return false;
    }
    *block = item;
    return true;
}
static u32 how_many(value v) {
    return v.kind == VALUE_STRING                                                   ? 1
           : v.kind == VALUE_ARRAY || v.kind == VALUE_SET || v.kind == VALUE_OBJECT ? value_count(v)
                                                                                    : 0;
}

value builtin_net_cidr_contains_matches(struct builtin_call *c, const value *args) {
    struct value_builder all;
    value whole, part, pair[2];
    value_builder_open(&all, c->heap, VALUE_SET);
    for (u32 i = 0; i < how_many(args[0]); i++) {
        if (!nth(c, args[0], 1, i, &whole, &pair[0])) return UNDEFINED;
        for (u32 k = 0; k < how_many(args[1]); k++) {
            if (!nth(c, args[1], 2, k, &part, &pair[1])) return UNDEFINED;
            value inside = contained(c, whole, part);
            if (c->failed || !builtin_tick(c, 2)) return UNDEFINED;
            if (value_is_true(inside)) value_builder_add(&all, value_array(c->heap, pair, 2));
        }
    }
    return value_builder_close(&all);
}

/* ---- Expanding ---- */

/* false: it was the last of all. */
static bool next_address(struct address *a) {
    for (int i = 15; i >= (a->v4 ? 12 : 0); i--)
        if (++a->bytes[i]) return true;
    return false;
}

value builtin_net_cidr_expand(struct builtin_call *c, const value *args) {
    struct block b;
    struct value_builder all;
    char room[48];
    str s;
    if (!builtin_take_string(c, args, 0, &s) || !take_block(c, args[0], &b)) return UNDEFINED;
    u32 bits = 128 - b.prefix;
    if (bits >= 32 || (1ull << bits) > c->heap->bytes_max / sizeof(value))
        return builtin_fail_memory(c);
    struct address at = b.first;
    value_builder_open(&all, c->heap, VALUE_SET);
    do {
        if (!builtin_tick(c, 4)) return UNDEFINED;
        value_builder_add(&all, builtin_string_of(c, write_address(&at, room)));
    } while (next_address(&at) && contains(&b, &at));
    return value_builder_close(&all);
}

/* ---- Merging ---- */

struct span { struct address first, last; struct block block; bool merged; };

/* An IPv4 address alone stands for its class's network, as the reference has it. */
static bool take_span(struct builtin_call *c, value v, struct span *s) {
    if (v.kind != VALUE_STRING) {
        builtin_fail(c, "element must be string");
        return false;
    }
    str text = value_str(v);
    s->merged = false;
    if (read_address(text, &s->block.first)) {
        if (!s->block.first.v4) {
            builtin_fail(c, "IPv6 invalid: needs prefix length");
            return false;
        }
        u8 top = s->block.first.bytes[12];
        s->block.prefix = 96 + (top < 0x80 ? 8 : top < 0xC0 ? 16 : 24);
    } else if (!take_block(c, v, &s->block)) return false;
    s->first = s->last = s->block.first;
    mask(&s->first, s->block.prefix, false);
    mask(&s->last, s->block.prefix, true);
    return true;
}

static int span_order(const struct span *a, const struct span *b) {
    int order = memcmp(a->last.bytes, b->last.bytes, 16);
    return order ? order : memcmp(a->first.bytes, b->first.bytes, 16);
}
static bool sort_spans(struct builtin_call *c, struct span *s, struct span *spare, u32 count) {
    for (u32 run = 1; run < count; run *= 2) {
        if (!builtin_tick(c, count)) return false;
        for (u32 low = 0; low < count; low += 2 * run) {
            u32 middle = MIN(low + run, count), high = MIN(middle + run, count), a = low,
                b = middle, to = low;
            while (a < middle && b < high)
                spare[to++] = span_order(&s[b], &s[a]) < 0 ? s[b++] : s[a++];
            while (a < middle) spare[to++] = s[a++];
            while (b < high) spare[to++] = s[b++];
        }
        memcpy(s, spare, count * sizeof(*s));
    }
    return true;
}

/* The address before; the first of a family stays. */
static struct address previous(struct address a) {
    struct address start = a;
    mask(&start, a.v4 ? 96 : 0, false);
    if (memcmp(start.bytes, a.bytes, 16) == 0) return a;
    for (int i = 15; i >= 0; i--)
        if (a.bytes[i]--) break;
    return a;
}

static void add_block(struct builtin_call *c, struct value_builder *to, struct address first,
                      u32 prefix) {
    char room[48], text[64];
    str s = write_address(&first, room);
    int n = snprintf(text, sizeof(text), "%.*s/%u", STR(s), prefix - (first.v4 ? 96 : 0));
    value_builder_add(to, builtin_string_of(c, str_of(text, (size_t)n)));
}

/* A run of addresses as the fewest blocks: from the left the largest that starts there and fits. */
static bool add_range(struct builtin_call *c, struct value_builder *to, struct address first,
                      const struct address *last) {
    u32 lowest = first.v4 ? 96 : 0;
    while (memcmp(first.bytes, last->bytes, 16) <= 0) {
        u32 prefix = 128;
        struct address end = first;
        while (prefix > lowest) {
            struct address start = first, stop = first;
            mask(&start, prefix - 1, false);
            mask(&stop, prefix - 1, true);
            if (memcmp(start.bytes, first.bytes, 16) || memcmp(stop.bytes, last->bytes, 16) > 0)
                break;
            end = stop;
            prefix--;
        }
        if (!builtin_tick(c, 16)) return false;
        add_block(c, to, first, prefix);
        if (!next_address(&end)) break;
        first = end;
    }
    return true;
}

value builtin_net_cidr_merge(struct builtin_call *c, const value *args) {
    struct value_builder all;
    if (!builtin_is_sequence(args[0])) return builtin_fail(c, "operand must be an array");
    u32 count = value_count(args[0]);
    struct span *s = heap_alloc(c->heap, 2 * (size_t)MAX(count, 1u) * sizeof(*s));
    if (!s) return UNDEFINED;
    for (u32 i = 0; i < count; i++)
        if (!take_span(c, value_item(args[0], i), &s[i])) return UNDEFINED;
    if (!sort_spans(c, s, s + count, count)) return UNDEFINED;
    /* From the right: what touches its left neighbour becomes one with it. */
    value_builder_open(&all, c->heap, VALUE_SET);
    for (u32 i = count; i > 0;) {
        struct span one = s[--i];
        while (i > 0) {
            struct address before = previous(one.first);
            if (memcmp(before.bytes, s[i - 1].last.bytes, 16) > 0) break;
            if (memcmp(s[i - 1].first.bytes, one.first.bytes, 16) < 0) one.first = s[i - 1].first;
            one.merged = true;
            i--;
        }
        if (!one.merged) add_block(c, &all, one.block.first, one.block.prefix);
        else if (!add_range(c, &all, one.first, &one.last)) return UNDEFINED;
    }
    return value_builder_close(&all);
}

/* ---- Names ---- */

/* What a name server says, asked by whoever was given to the evaluation for it. */
static value ask_names(struct builtin_call *c, str name) {
    u8 found[NAME_LOOKUP_MAX][16];
    value list[NAME_LOOKUP_MAX];
    char room[48];
    struct diag why = {0};
    void *arg = NULL;
    u32 count = 0;
    name_lookup_fn *lookup = evaluation_lookup(c->evaluation, &arg);
    if (!lookup)
        return builtin_fail(c, "lookup %.*s: no such host", STR(str_take(name, 300)));
    if (lookup(arg, name, found, &count, &why))
        return builtin_fail(c, "lookup %.*s: %s", STR(str_take(name, 200)), why.text);
    for (u32 i = 0; i < count; i++) {
        struct address a;
        memcpy(a.bytes, found[i], 16);
        a.v4 = is_mapped(&a);
        list[i] = builtin_string_of(c, write_address(&a, room));
    }
    return value_set(c->heap, list, count);
}

/* Addresses and this machine's own name need no server. */
value builtin_net_lookup_ip_addr(struct builtin_call *c, const value *args) {
    str name;
    struct address a;
    char room[48];
    value found[2];
    if (!builtin_take_string(c, args, 0, &name)) return UNDEFINED;
    if (!http_host_allowed(evaluation_allow_net(c->evaluation), name))
        return builtin_fail(c, "unallowed host: %.*s", STR(str_take(name, 200)));
    if (read_address(name, &a)) {
        found[0] = builtin_string_of(c, write_address(&a, room));
        return value_set(c->heap, found, 1);
    }
    if (str_eq_nocase(name, S("localhost")) || str_eq_nocase(name, S("localhost."))) {
        found[0] = value_string_c(c->heap, "127.0.0.1");
        found[1] = value_string_c(c->heap, "::1");
        return value_set(c->heap, found, 2);
    }
    return ask_names(c, name);
}
