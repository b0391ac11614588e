/* SPDX-License-Identifier: Apache-2.0 */
/* string.c — strings: concat contains split replace substring trim case and the like.
 *
 * Positions and lengths count runes where the reference counts runes; searching is by bytes, which
 * finds the same. Where nothing changes the argument itself is the answer. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/unicode.h"

static bool take_two(struct builtin_call *c, const value *args, str *a, str *b) {
    return builtin_take_string(c, args, 0, a) && builtin_take_string(c, args, 1, b);
}
static bool tick_bytes(struct builtin_call *c, size_t n) {
    return builtin_tick(c, (u32)MIN(n / 32, (size_t)UINT32_MAX));
}

/* ---- Finding ---- */

value builtin_contains(struct builtin_call *c, const value *args) {
    str s, needle;
    if (!take_two(c, args, &s, &needle) || !tick_bytes(c, s.len)) return UNDEFINED;
    return value_boolean(str_find_from(s, needle, 0) <= s.len);
}
value builtin_startswith(struct builtin_call *c, const value *args) {
    str s, prefix;
    return take_two(c, args, &s, &prefix) ? value_boolean(str_starts(s, prefix)) : UNDEFINED;
}
value builtin_endswith(struct builtin_call *c, const value *args) {
    str s, suffix;
    return take_two(c, args, &s, &suffix) ? value_boolean(str_ends(s, suffix)) : UNDEFINED;
}

value builtin_indexof(struct builtin_call *c, const value *args) {
    str s, needle;
    if (!take_two(c, args, &s, &needle) || !tick_bytes(c, s.len)) return UNDEFINED;
    if (needle.len == 0) return builtin_fail(c, "empty search character");
    size_t at = str_find_from(s, needle, 0);
    return value_integer(at > s.len ? -1 : (s64)rune_count(str_take(s, at)));
}
value builtin_indexof_n(struct builtin_call *c, const value *args) {
    str s, needle;
    struct value_builder b;
    u32 width;
    s64 runes = 0;
    if (!take_two(c, args, &s, &needle) || !tick_bytes(c, s.len)) return UNDEFINED;
    if (needle.len == 0) return builtin_fail(c, "empty search character");
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (size_t at = 0, seen = 0; (at = str_find_from(s, needle, at)) <= s.len; at += width) {
        runes += (s64)rune_count(str_take(str_skip(s, seen), at - seen));
        seen = at;
        if (!builtin_tick(c, 1)) return UNDEFINED;
        value_builder_add(&b, value_integer(runes));
        rune_decode(s, at, &width);
    }
    return value_builder_close(&b);
}

static size_t occurrences(str s, str needle) {
    size_t n = 0;
    if (needle.len == 0) return rune_count(s) + 1;
    for (size_t at = 0; (at = str_find_from(s, needle, at)) <= s.len; at += needle.len) n++;
    return n;
}
value builtin_strings_count(struct builtin_call *c, const value *args) {
    str s, needle;
    if (!take_two(c, args, &s, &needle) || !tick_bytes(c, s.len)) return UNDEFINED;
    return value_integer((s64)occurrences(s, needle));
}

/* ---- Any of these against any of those ---- */

static bool take_strings(struct builtin_call *c, value v, u32 position, u32 *count) {
    *count = 1;
    if (v.kind == VALUE_STRING) return true;
    if (!builtin_is_sequence(v)) {
        builtin_fail_operand(c, position, "{string, set, array}", v);
        return false;
    }
    *count = value_count(v);
    for (u32 i = 0; i < *count; i++)
        if (value_item(v, i).kind != VALUE_STRING) {
            builtin_fail_element(c, position, v, "string", value_item(v, i));
            return false;
        }
    return true;
}
static str nth(value v, u32 i) { return value_str(v.kind == VALUE_STRING ? v : value_item(v, i)); }

static value any_match(struct builtin_call *c, const value *args, bool (*match)(str, str)) {
    u32 n, m;
    if (!take_strings(c, args[0], 1, &n) || !take_strings(c, args[1], 2, &m)) return UNDEFINED;
    for (u32 i = 0; i < n; i++) {
        if (!builtin_tick(c, 1 + m / 8)) return UNDEFINED;
        for (u32 k = 0; k < m; k++)
            if (match(nth(args[0], i), nth(args[1], k))) return value_boolean(true);
    }
    return value_boolean(false);
}
value builtin_strings_any_prefix_match(struct builtin_call *c, const value *args) {
    return any_match(c, args, str_starts);
}
value builtin_strings_any_suffix_match(struct builtin_call *c, const value *args) {
    return any_match(c, args, str_ends);
}

/* ---- Joining and splitting ---- */

value builtin_concat(struct builtin_call *c, const value *args) {
    str join;
    if (!builtin_take_string(c, args, 0, &join)) return UNDEFINED;
    if (!builtin_is_sequence(args[1])) return builtin_fail_operand(c, 2, "{set, array}", args[1]);
    u32 count = value_count(args[1]);
    size_t total = count ? join.len * (count - 1) : 0;
    for (u32 i = 0; i < count; i++) {
        value v = value_item(args[1], i);
        if (v.kind != VALUE_STRING) return builtin_fail_element(c, 2, args[1], "string", v);
        total += value_str(v).len;
    }
    if (count == 1) return value_item(args[1], 0);
    if (!tick_bytes(c, total)) return UNDEFINED;
    char *room = value_string_room(c->heap, total), *to = room;
    if (!room) return UNDEFINED;
    for (u32 i = 0; i < count; i++) {
        str s = value_str(value_item(args[1], i));
        if (i && join.len) memcpy(to, join.ptr, join.len), to += join.len;
        if (s.len) memcpy(to, s.ptr, s.len), to += s.len;
    }
    return value_string_seal(room, total);
}

/* At most `limit` parts, the last being all the rest. An empty delimiter cuts between runes. */
static value split(struct builtin_call *c, str s, str by, u64 limit) {
    struct value_builder b;
    size_t from = 0, at;
    u32 width;
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (u64 parts = 1; parts < limit; parts++) {
        if (by.len == 0) {
            if (from >= s.len) break;
            rune_decode(s, from, &width);
            at = from + width;
            if (at >= s.len) break;
        } else if ((at = str_find_from(s, by, from)) > s.len) break;
        if (!builtin_tick(c, 1 + (u32)((at - from) / 64))) return UNDEFINED;
        value_builder_add(&b, builtin_string_of(c, str_of(s.ptr + from, at - from)));
        from = at + by.len;
    }
    if (by.len || s.len) value_builder_add(&b, builtin_string_of(c, str_skip(s, from)));
    return value_builder_close(&b);
}
value builtin_split(struct builtin_call *c, const value *args) {
    str s, by;
    if (!take_two(c, args, &s, &by)) return UNDEFINED;
    if (str_find_from(s, by, 0) > s.len) return value_array(c->heap, args, 1);
    return split(c, s, by, UINT64_MAX);
}
value builtin_strings_split_n(struct builtin_call *c, const value *args) {
    str s, by;
    s64 n;
    if (!take_two(c, args, &s, &by) || !builtin_take_integer(c, args, 2, &n)) return UNDEFINED;
    value parts = split(c, s, by, n >= 0 ? (u64)n + 1 : UINT64_MAX);
    if (parts.kind != VALUE_ARRAY) return UNDEFINED;
    s64 count = value_count(parts), keep = n >= 0 ? MIN(n, count) : n <= -count ? count : -n;
    return value_array(c->heap, parts.array->items + (n >= 0 ? 0 : count - keep), (size_t)keep);
}

/* ---- Replacing ---- */

/* The reference's replacer: at each byte the first pair whose old text lies there, in the order of
 * the pairs. An empty old text matches everywhere, but not twice at one place. */
struct pairs { const value *old, *new; u32 count; };

static s64 pair_at(const struct pairs *p, str rest, bool not_empty) {
    for (u32 i = 0; i < p->count; i++) {
        str old = value_str(p->old[i]);
        if (str_starts(rest, old) && !(not_empty && old.len == 0)) return i;
    }
    return -1;
}

static value replace(struct builtin_call *c, str s, const struct pairs *p, value unchanged) {
    struct buf text;
    size_t kept = 0, at = 0;
    bool changed = false, was_empty = false, may[256] = {false}, any = false;
    for (u32 i = 0; i < p->count; i++) {
        str old = value_str(p->old[i]);
        if (old.len) may[(u8)old.ptr[0]] = true;
        else any = true;
    }
    builtin_text_open(c, &text);
    while (at <= s.len && !text.failed) {
        if ((at & 31) == 0 && !builtin_tick(c, 1 + p->count / 8)) break;
        bool look = any || (at < s.len && may[(u8)s.ptr[at]]);
        s64 i = look ? pair_at(p, str_skip(s, at), was_empty) : -1;
        if (i < 0) {
            was_empty = false;
            at++;
            continue;
        }
        (void)buf_add(&text, str_of(s.ptr + kept, at - kept));
        (void)buf_add(&text, value_str(p->new[i]));
        kept = at += value_str(p->old[i]).len;
        changed = true;
        was_empty = value_str(p->old[i]).len == 0;
    }
    if (c->failed || !changed) {
        buf_close(&text);
        return c->failed ? UNDEFINED : unchanged;
    }
    (void)buf_add(&text, str_skip(s, kept));
    return builtin_text_close(c, &text);
}

value builtin_replace(struct builtin_call *c, const value *args) {
    str s, old, new;
    if (!take_two(c, args, &s, &old) || !builtin_take_string(c, args, 2, &new)) return UNDEFINED;
    return replace(c, s, &(struct pairs){&args[1], &args[2], 1}, args[0]);
}
value builtin_strings_replace_n(struct builtin_call *c, const value *args) {
    str s;
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT) || !builtin_take_string(c, args, 1, &s))
        return UNDEFINED;
    const struct value_object *o = args[0].object;
    for (u32 i = 0; i < value_count(args[0]); i++) {
        if (o->keys->items[i].kind != VALUE_STRING)
            return builtin_fail_operand_because(c, 1, "non-string key found in pattern object");
        if (o->values[i].kind != VALUE_STRING)
            return builtin_fail_operand_because(c, 1, "non-string value found in pattern object");
    }
    return replace(c, s, &(struct pairs){o->keys->items, o->values, value_count(args[0])}, args[1]);
}

/* ---- Parts ---- */

value builtin_substring(struct builtin_call *c, const value *args) {
    str s;
    s64 offset, length;
    u32 width;
    if (!builtin_take_string(c, args, 0, &s) || !builtin_take_integer(c, args, 1, &offset) ||
        !builtin_take_integer(c, args, 2, &length))
        return UNDEFINED;
    if (offset < 0) return builtin_fail(c, "negative offset");
    if (!tick_bytes(c, s.len)) return UNDEFINED;
    size_t from = 0;
    for (; from < s.len && offset > 0; offset--) rune_decode(s, from, &width), from += width;
    size_t to = length < 0 ? s.len : from;
    for (; to < s.len && length > 0; length--) rune_decode(s, to, &width), to += width;
    return from == 0 && to == s.len ? args[0]
                                    : builtin_string_of(c, str_of(s.ptr + from, to - from));
}

value builtin_strings_reverse(struct builtin_call *c, const value *args) {
    str s;
    u32 width;
    if (!builtin_take_string(c, args, 0, &s) || !tick_bytes(c, s.len)) return UNDEFINED;
    char *room = value_string_room(c->heap, s.len);
    if (!room) return UNDEFINED;
    for (size_t at = 0; at < s.len; at += width) {
        rune_decode(s, at, &width);
        memcpy(room + s.len - at - width, s.ptr + at, width);
    }
    return value_string_seal(room, s.len);
}

/* ---- Trimming ---- */

typedef bool cut_fn(u32 rune, str cutset);
static bool in_cutset(u32 rune, str cutset) {
    u32 width;
    for (size_t at = 0; at < cutset.len; at += width)
        if (rune_decode(cutset, at, &width) == rune) return true;
    return false;
}
static bool is_blank(u32 rune, str cutset) {
    (void)cutset;
    return unicode_is_space(rune);
}

static value trimmed(struct builtin_call *c, value whole, cut_fn *cut, str cutset, bool left,
                     bool right) {
    str s = value_str(whole);
    size_t from = 0, to = s.len;
    u32 width;
    while (left && from < to && cut(rune_decode(s, from, &width), cutset)) {
        from += width;
        if (!builtin_tick(c, (u32)cutset.len / 16)) return UNDEFINED;
    }
    while (right && from < to && cut(rune_decode_last(s, to, &width), cutset)) {
        to -= width;
        if (!builtin_tick(c, (u32)cutset.len / 16)) return UNDEFINED;
    }
    return from == 0 && to == s.len ? whole : builtin_string_of(c, str_of(s.ptr + from, to - from));
}
static value trim_set(struct builtin_call *c, const value *args, bool left, bool right) {
    str s, cutset;
    return take_two(c, args, &s, &cutset) ? trimmed(c, args[0], in_cutset, cutset, left, right)
                                          : UNDEFINED;
}
value builtin_trim(struct builtin_call *c, const value *args) {
    return trim_set(c, args, true, true);
}
value builtin_trim_left(struct builtin_call *c, const value *args) {
    return trim_set(c, args, true, false);
}
value builtin_trim_right(struct builtin_call *c, const value *args) {
    return trim_set(c, args, false, true);
}
value builtin_trim_space(struct builtin_call *c, const value *args) {
    str s;
    return builtin_take_string(c, args, 0, &s) ? trimmed(c, args[0], is_blank, S(""), true, true)
                                               : UNDEFINED;
}
value builtin_trim_prefix(struct builtin_call *c, const value *args) {
    str s, prefix;
    if (!take_two(c, args, &s, &prefix)) return UNDEFINED;
    if (prefix.len == 0 || !str_starts(s, prefix)) return args[0];
    return builtin_string_of(c, str_skip(s, prefix.len));
}
value builtin_trim_suffix(struct builtin_call *c, const value *args) {
    str s, suffix;
    if (!take_two(c, args, &s, &suffix)) return UNDEFINED;
    if (suffix.len == 0 || !str_ends(s, suffix)) return args[0];
    return builtin_string_of(c, str_take(s, s.len - suffix.len));
}

/* ---- Case ---- */

static value change_case(struct builtin_call *c, const value *args, u32 (*by)(u32)) {
    str s;
    u32 width;
    if (!builtin_take_string(c, args, 0, &s) || !tick_bytes(c, s.len)) return UNDEFINED;
    size_t same = 0;
    while (same < s.len && (u8)s.ptr[same] < 0x80 && by((u8)s.ptr[same]) == (u8)s.ptr[same]) same++;
    if (same == s.len) return args[0];
    struct buf text;
    builtin_text_open(c, &text);
    (void)buf_add(&text, str_take(s, same));
    for (size_t at = same; at < s.len; at += width)
        buf_add_rune(&text, by(rune_decode(s, at, &width)));
    return builtin_text_close(c, &text);
}
value builtin_lower(struct builtin_call *c, const value *args) {
    return change_case(c, args, unicode_lower);
}
value builtin_upper(struct builtin_call *c, const value *args) {
    return change_case(c, args, unicode_upper);
}

/* ---- Numbers as text ---- */

value builtin_format_int(struct builtin_call *c, const value *args) {
    char room[NUMBER_TEXT_ROOM];
    if (!builtin_take_number(c, args, 0) || !builtin_take_number(c, args, 1)) return UNDEFINED;
    str base_text = number_text(args[1], room);
    u64 base;
    if (str_to_u64(base_text, &base) != RC_OK ||
        (base != 2 && base != 8 && base != 10 && base != 16))
        return builtin_fail_operand_because(c, 2, "must be one of {2, 8, 10, 16}");
    value n = args[0]; /* a fraction is cut towards zero */
    if (!number_is_whole(n))
        n = number_compare(n, value_integer(0)) < 0 ? number_ceil(c->heap, n)
                                                    : number_floor(c->heap, n);
    struct buf text;
    builtin_text_open(c, &text);
    rc_t rc = n.kind == VALUE_NUMBER ? number_format(n, (int)base, &text) : RC_LIMIT;
    if (rc == RC_OK) return builtin_text_close(c, &text);
    buf_close(&text);
    return builtin_fail(c, "number is too large");
}
