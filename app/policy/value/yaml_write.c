/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_write.c — a value to YAML text, through libyaml's emitter.
 *
 *   value --> events (block style) --> emitter --> buf
 *
 * Text is written plain when it would be read back as the same text, in double quotes when it would
 * become a number, a boolean, null or a time, and as a literal block when it has several lines.
 * Keys are sorted as the reference's library sorts them: letters after all else, runs of digits by
 * their number (a2 before a10). */
#include "app/policy/value/json_text.h"
#include "app/policy/value/number.h"
#include "app/policy/value/yaml_text.h"
#include "kernel/base/limits.h"
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

struct writer {
    struct heap *heap;
    struct buf *to;
    struct diag *why;
    yaml_emitter_t emitter;
    u32 depth;
};

static int append(void *arg, unsigned char *bytes, size_t n) {
    struct writer *w = arg;
    return buf_add(w->to, str_of((const char *)bytes, n)) == RC_OK;
}

static rc_t emit(struct writer *w, yaml_event_t *e, int made) {
    if (!made) return RC_NO_MEMORY;
    if (yaml_emitter_emit(&w->emitter, e)) return RC_OK;
    if (w->emitter.error == YAML_MEMORY_ERROR) return RC_NO_MEMORY;
    diag_set(w->why, "yaml: %s",
             w->emitter.problem ? w->emitter.problem : "unknown problem generating YAML content");
    return w->to->failed ? RC_LIMIT : RC_INVALID;
}

/* ---- Order of keys --------------------------------------------------------------------------- */

/* The character at `*at`, which moves on. Valid UTF-8 only: keys were checked before. */
static u32 next_rune(str s, size_t *at) {
    u8 c = (u8)s.ptr[(*at)++];
    if (c < 0x80) return c;
    u32 more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1, rune = c & (0x3Fu >> more);
    while (more-- && *at < s.len) rune = rune << 6 | ((u8)s.ptr[(*at)++] & 0x3F);
    return rune;
}
static bool is_digit(u32 c) {
    return c >= '0' && c <= '9';
}
static bool is_letter(u32 c) {
    return c >= 0x80 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Where the texts first differ: the runs of digits there, by number, then by length. */
static int compare_digits(str a, str b, size_t at) {
    u64 an = 0, bn = 0;
    size_t ai = at, bi = at;
    if (a.ptr[at] == '0' || b.ptr[at] == '0')
        for (size_t j = at; j-- > 0 && is_digit((u8)a.ptr[j]);)
            if (a.ptr[j] != '0') {
                an = bn = 1; /* a zero within a number counts */
                break;
            }
    for (; ai < a.len && is_digit((u8)a.ptr[ai]); ai++) an = an * 10 + (u64)(a.ptr[ai] - '0');
    for (; bi < b.len && is_digit((u8)b.ptr[bi]); bi++) bn = bn * 10 + (u64)(b.ptr[bi] - '0');
    if (an != bn) return (s64)an < (s64)bn ? -1 : 1;
    if (ai != bi) return ai < bi ? -1 : 1;
    return 0;
}

static int compare_keys(const void *left, const void *right) {
    str a = value_str(*(const value *)left), b = value_str(*(const value *)right);
    size_t at = 0;
    while (at < a.len && at < b.len && a.ptr[at] == b.ptr[at]) at++;
    while (at > 0 && at < a.len && ((u8)a.ptr[at] & 0xC0) == 0x80)
        at--; /* to the character's start */
    if (at >= a.len || at >= b.len) return a.len < b.len ? -1 : a.len > b.len;
    size_t i = at, j = at;
    u32 ar = next_rune(a, &i), br = next_rune(b, &j);
    bool al = is_letter(ar), bl = is_letter(br);
    if (al && bl) return ar < br ? -1 : 1;
    if (al || bl) return bl ? -1 : 1;
    int order = compare_digits(a, b, at);
    return order ? order : ar < br ? -1 : 1;
}

/* ---- Scalars --------------------------------------------------------------------------------- */

static rc_t write_text(struct writer *w, str text, yaml_scalar_style_t style) {
    yaml_event_t e;
    const char *ptr = text.ptr ? text.ptr : "";
    int made = yaml_scalar_event_initialize(&e, NULL, NULL, (const yaml_char_t *)ptr, (int)text.len,
                                            1, 1, style);
    return emit(w, &e, made);
}

/* 12:30:45 was a number to base 60 once; other readers may still think so. */
static bool is_base60(str s) {
    size_t i = s.len && (s.ptr[0] == '+' || s.ptr[0] == '-');
    if (i == s.len || !is_digit((u8)s.ptr[i])) return false;
    while (i < s.len && (is_digit((u8)s.ptr[i]) || s.ptr[i] == '_')) i++;
    u32 groups = 0;
    for (; i < s.len && s.ptr[i] == ':'; groups++) {
        size_t from = ++i;
        while (i < s.len && is_digit((u8)s.ptr[i])) i++;
        size_t n = i - from;
        if (n == 0 || n > 2 || (n == 2 && s.ptr[from] > '5')) return false;
    }
    if (i < s.len && s.ptr[i] == '.')
        for (i++; i < s.len && (is_digit((u8)s.ptr[i]) || s.ptr[i] == '_');) i++;
    return groups && i == s.len;
}

/* Characters that no YAML text may hold, not even in quotes: the reference refuses them. */
static bool has_control(str s) {
    for (size_t i = 0; i < s.len;) {
        bool raw = (u8)s.ptr[i] < 0x80;
        u32 c = next_rune(s, &i);
        if (c == 0x7F || (!raw && c < 0xA0 && c != 0x85) || c == 0xFEFF || c == 0xFFFE ||
            c == 0xFFFF)
            return true;
    }
    return false;
}

static rc_t write_string(struct writer *w, str s) {
    if (!str_is_utf8(s) || has_control(s)) {
        diag_set(w->why, "yaml: control characters are not allowed");
        return RC_INVALID;
    }
    if (s.len && memchr(s.ptr, '\n', s.len)) return write_text(w, s, YAML_LITERAL_SCALAR_STYLE);
    bool plain = yaml_scalar_resolve(s).kind == YAML_TEXT && !str_eq(s, S("<<")) && !is_base60(s);
    return write_text(w, s, plain ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
}

static rc_t write_number(struct writer *w, value v) {
    char room[NUMBER_TEXT_ROOM], digits[32];
    str text = number_text(v, room);
    struct yaml_scalar s = yaml_scalar_resolve(text);
    if (s.kind == YAML_INTEGER) {
        snprintf(digits, sizeof digits, "%s%llu", s.negative ? "-" : "",
                 (unsigned long long)s.magnitude);
        return write_text(w, str_from_c(digits), YAML_PLAIN_SCALAR_STYLE);
    }
    if (s.kind != YAML_FLOAT) return write_string(w, text); /* out of a double's range */
    char real[YAML_FLOAT_ROOM];
    return write_text(w, yaml_float_write(s.real, 'g', false, real), YAML_PLAIN_SCALAR_STYLE);
}

/* ---- Collections ----------------------------------------------------------------------------- */

static rc_t write_value(struct writer *w, value v);

static rc_t write_items(struct writer *w, value v) {
    yaml_event_t e;
    rc_t rc = emit(
        w, &e, yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
    for (u32 i = 0; !rc && i < value_count(v); i++) rc = write_value(w, value_item(v, i));
    return rc ? rc : emit(w, &e, yaml_sequence_end_event_initialize(&e));
}

/* JSON has only text for keys: another key is its JSON text. */
static value key_text(struct writer *w, value key) {
    if (value_is(key, VALUE_STRING)) return key;
    struct buf text;
    buf_open(&text, w->to->max);
    json_text_write(&text, key, 0);
    value v = value_string(w->heap, buf_str(&text));
    buf_close(&text);
    return v;
}

struct entry {
    value key, v;
};

static rc_t write_entries(struct writer *w, value v) {
    yaml_event_t e;
    u32 n = value_count(v);
    struct entry *sorted = heap_alloc(w->heap, n * sizeof *sorted);
    if (n && !sorted) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++)
        sorted[i] = (struct entry){key_text(w, value_key_at(v, i)), value_value_at(v, i)};
    if (w->heap->exhausted) return RC_NO_MEMORY;
    if (n > 1) qsort(sorted, n, sizeof *sorted, compare_keys); /* the key comes first in an entry */
    rc_t rc = emit(
        w, &e, yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
    for (u32 i = 0; !rc && i < n; i++) {
        rc = write_string(w, value_str(sorted[i].key));
        if (!rc) rc = write_value(w, sorted[i].v);
    }
    return rc ? rc : emit(w, &e, yaml_mapping_end_event_initialize(&e));
}

static rc_t write_value(struct writer *w, value v) {
    if (w->depth == YAML_DEPTH_MAX) {
        diag_set(w->why, "yaml: exceeded max depth of %d", YAML_DEPTH_MAX);
        return RC_LIMIT;
    }
    w->depth++;
    rc_t rc = RC_OK;
    switch ((enum value_kind)v.kind) {
    case VALUE_UNDEFINED:
    case VALUE_NULL: rc = write_text(w, S("null"), YAML_PLAIN_SCALAR_STYLE); break;
    case VALUE_BOOLEAN:
        rc = write_text(w, value_is_true(v) ? S("true") : S("false"), YAML_PLAIN_SCALAR_STYLE);
        break;
    case VALUE_NUMBER: rc = write_number(w, v); break;
    case VALUE_STRING: rc = write_string(w, value_str(v)); break;
    case VALUE_ARRAY:
    case VALUE_SET: rc = write_items(w, v); break;
    case VALUE_OBJECT: rc = write_entries(w, v); break;
    }
    w->depth--;
    return rc;
}

rc_t yaml_text_write(struct heap *h, struct buf *to, value v, struct diag *why) {
    struct writer w = {.heap = h, .to = to, .why = why};
    yaml_event_t e;
    if (!yaml_emitter_initialize(&w.emitter)) return RC_NO_MEMORY;
    yaml_emitter_set_output(&w.emitter, append, &w);
    yaml_emitter_set_unicode(&w.emitter, 1);
    rc_t rc = emit(&w, &e, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
    if (!rc) rc = emit(&w, &e, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1));
    if (!rc) rc = write_value(&w, v);
    if (!rc) rc = emit(&w, &e, yaml_document_end_event_initialize(&e, 1));
    w.emitter.open_ended = 0; /* no "..." after a block that keeps its last line ends */
    if (!rc) rc = emit(&w, &e, yaml_stream_end_event_initialize(&e));
    yaml_emitter_delete(&w.emitter);
    return rc;
}
