/* SPDX-License-Identifier: Apache-2.0 */
/* identity.c — semver.*, uuid.*, rand.intn: versions, identifiers, chance. */
#include "app/policy/builtin/builtin_impl.h"
#include "kernel/base/bytes.h"
#include <stdio.h>

/* ---- Semantic versions ---- */

struct version { s64 major, minor, patch; str pre; };

/* [0-9A-Za-z-]+ joined by points; empty is no identifier at all, which is fine too. */
static bool is_identifiers(str s) {
    bool some = true;
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.ptr[i];
        bool letter =
            (ch >= '0' && ch <= '9') || ((ch | 32) >= 'a' && (ch | 32) <= 'z') || ch == '-';
        if (i == 0) some = false;
        if (!letter && (ch != '.' || !some)) return false;
        some = letter;
    }
    return some;
}

/* The part before the first `at`, the rest after it. */
static str cut(str *s, char at) {
    size_t n = str_find_byte(*s, at);
    str before = str_take(*s, n);
    *s = str_skip(*s, n + 1);
    return before;
}

static bool read_part(str s, s64 *out) {
    if (s.len > 1 && s.ptr[0] == '+' && s.ptr[1] != '-') s = str_skip(s, 1);
    return str_to_s64(s, out) == RC_OK;
}

static bool read_version(str s, struct version *v) {
    if (str_starts(s, S("v"))) s = str_skip(s, 1);
    str rest = s;
    s = cut(&rest, '+');
    if (!is_identifiers(rest)) return false;
    v->pre = s;
    s = cut(&v->pre, '-');
    if (!is_identifiers(v->pre)) return false;
    u32 points = 0;
    for (size_t i = 0; i < s.len; i++) points += s.ptr[i] == '.';
    return points == 2 && read_part(cut(&s, '.'), &v->major) &&
           read_part(cut(&s, '.'), &v->minor) && read_part(s, &v->patch);
}

static bool is_digits(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    return s.len > 0;
}

/* One identifier of a pre-release: numbers below words; too large ones are as large as can be. */
static int identifier_order(str a, str b) {
    s64 x = INT64_MAX, y = INT64_MAX;
    if (is_digits(a) != is_digits(b)) return is_digits(a) ? -1 : 1;
    if (!is_digits(a)) return str_cmp(a, b);
    if (str_to_s64(a, &x) != RC_OK) x = INT64_MAX;
    if (str_to_s64(b, &y) != RC_OK) y = INT64_MAX;
    return x < y ? -1 : x > y;
}

static int pre_order(str a, str b) {
    if (str_eq(a, b)) return 0;
    if (a.len == 0 || b.len == 0) return a.len == 0 ? 1 : -1;
    while (a.len || b.len) {
        str x = cut(&a, '.'), y = cut(&b, '.');
        if (x.len == 0 || y.len == 0) return x.len == 0 ? -1 : 1;
        int order = identifier_order(x, y);
        if (order) return order < 0 ? -1 : 1;
    }
    return 0;
}

static int version_order(const struct version *a, const struct version *b) {
    if (a->major != b->major) return a->major < b->major ? -1 : 1;
    if (a->minor != b->minor) return a->minor < b->minor ? -1 : 1;
    if (a->patch != b->patch) return a->patch < b->patch ? -1 : 1;
    return pre_order(a->pre, b->pre);
}

value builtin_semver_compare(struct builtin_call *c, const value *args) {
    str s[2];
    struct version v[2];
    if (!builtin_take_string(c, args, 0, &s[0]) || !builtin_take_string(c, args, 1, &s[1]))
        return UNDEFINED;
    if (!builtin_tick(c, (u32)((s[0].len + s[1].len) / 16))) return UNDEFINED;
    for (u32 i = 0; i < 2; i++)
        if (!read_version(s[i], &v[i]))
            return builtin_fail(c, "operand %u: string \"%.*s\" is not a valid SemVer", i + 1,
                                STR(str_take(s[i], 300)));
    return value_integer(version_order(&v[0], &v[1]));
}
value builtin_semver_is_valid(struct builtin_call *c, const value *args) {
    struct version v;
    (void)c;
    return value_boolean(args[0].kind == VALUE_STRING && read_version(value_str(args[0]), &v));
}

/* ---- UUIDs (RFC 9562) ---- */

static int hex_of(char ch) {
    if (ch >= '0' && ch <= '9') return ch - '0';
    ch = (char)(ch | 32);
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* 32 digits; with dashes; in braces; or after urn:uuid:. */
static bool read_uuid(str s, u8 to[16]) {
    if (s.len == 45 && str_eq_nocase(str_take(s, 9), S("urn:uuid:"))) s = str_skip(s, 9);
    else if (s.len == 38) s = str_of(s.ptr + 1, 36);
    if (s.len != 36 && s.len != 32) return false;
    bool dashes = s.len == 36;
    for (u32 i = 0, at = 0; i < 16; i++, at += 2) {
        if (dashes && (i == 4 || i == 6 || i == 8 || i == 10) && s.ptr[at++] != '-') return false;
        int high = hex_of(s.ptr[at]), low = hex_of(s.ptr[at + 1]);
        if (high < 0 || low < 0) return false;
        to[i] = (u8)(high << 4 | low);
    }
    return true;
}

static void put(struct builtin_call *c, struct value_builder *b, const char *name, value v) {
    value_builder_replace(b, value_string_c(c->heap, name), v);
}

/* What versions 1 and 2 hold: when, where, and in what order it was made. */
static void put_origin(struct builtin_call *c, struct value_builder *b, const u8 *u,
                       bool security) {
    char node[24];
    static const char *const domains[] = {"Person", "Group", "Org"};
    const char *scope = (u[10] & 3) == 3 ? "local:multicast"
                        : u[10] & 1      ? "global:multicast"
                        : u[10] & 2      ? "local:unicast"
                                         : "global:unicast";
    snprintf(node, sizeof(node), "%02x-%02x-%02x-%02x-%02x-%02x", u[10], u[11], u[12], u[13], u[14],
             u[15]);
    u64 low = be32(u);
    u64 middle = be16(u + 4), high = be16(u + 6) & 0xFFF;
    s64 ticks =
        (s64)(high << 48 | middle << 32 | low) - 0x01B21DD213814000; /* of 100 ns since 1970 */
    u64 ns;
    ns = (u64)(ticks / 10000000) * 1000000000u + (u64)(ticks % 10000000 * 100);
    put(c, b, "time", value_integer((s64)ns));
    put(c, b, "nodeid", value_string_c(c->heap, node));
    put(c, b, "macvariables", value_string_c(c->heap, scope));
    put(c, b, "clocksequence", value_integer((u[8] & 0x3F) << 8 | u[9]));
    if (!security) return;
    char domain[16];
    snprintf(domain, sizeof(domain), "Domain%u", u[9]);
    put(c, b, "id", value_integer((s64)low));
    put(c, b, "domain", value_string_c(c->heap, u[9] < 3 ? domains[u[9]] : domain));
}

value builtin_uuid_parse(struct builtin_call *c, const value *args) {
    str s;
    u8 u[16];
    struct value_builder b;
    if (!builtin_take_string(c, args, 0, &s) || !read_uuid(s, u)) return UNDEFINED;
    const char *variant = (u[8] & 0xC0) == 0x80   ? "RFC4122"
                          : (u[8] & 0xE0) == 0xC0 ? "Microsoft"
                          : (u[8] & 0xE0) == 0xE0 ? "Future"
                                                  : "Reserved";
    u32 version = u[6] >> 4;
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    put(c, &b, "version", value_integer(version));
    put(c, &b, "variant", value_string_c(c->heap, variant));
    if (version == 1 || version == 2) put_origin(c, &b, u, version == 2);
    return value_builder_close(&b);
}

value builtin_uuid_rfc4122(struct builtin_call *c, const value *args) {
    value v = evaluation_remember_get(c->evaluation, c->self, args[0]);
    if (value_defined(v)) return v;
    u8 u[16];
    char text[40];
    evaluation_random(c->evaluation, u, sizeof(u));
    u[6] = (u[6] & 0x0F) | 0x40, u[8] = (u[8] & 0x3F) | 0x80;
    snprintf(text, sizeof(text),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
             u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14],
             u[15]);
    v = value_string_c(c->heap, text);
    evaluation_remember(c->evaluation, c->self, args[0], v);
    return v;
}

/* ---- Chance ---- */

value builtin_rand_intn(struct builtin_call *c, const value *args) {
    str seed;
    s64 n;
    if (!builtin_take_string(c, args, 0, &seed) || !builtin_take_integer(c, args, 1, &n))
        return UNDEFINED;
    if (n == 0) return value_integer(0);
    u64 below = n < 0 ? 0 - (u64)n : (u64)n, bits;
    value pair[2] = {args[0], n == INT64_MIN ? args[1] : value_integer((s64)below)};
    value key = value_array(c->heap, pair, 2),
          v = evaluation_remember_get(c->evaluation, c->self, key);
    if (value_defined(v)) return v;
    u64 fair =
        UINT64_MAX - UINT64_MAX % below; /* beyond it the smaller numbers would come more often */
    do evaluation_random(c->evaluation, &bits, sizeof(bits));
    while (bits >= fair);
    v = value_integer((s64)(bits % below));
    evaluation_remember(c->evaluation, c->self, key, v);
    return v;
}
