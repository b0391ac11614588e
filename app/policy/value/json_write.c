/* SPDX-License-Identifier: Apache-2.0 */
/* json_write.c — values to text: as JSON, and as the language writes them.
 *
 * JSON has no sets and only strings as keys: a set becomes an array in its order, another key
 * becomes the JSON text of itself. Escapes are those of the reference's encoder. */
#include "app/policy/value/json_text.h"
#include "app/policy/value/number.h"

enum form { FORM_JSON, FORM_LANGUAGE };
struct writer {
    struct buf *to;
    enum form form;
    unsigned flags;
    u32 level;
};

static void put(struct writer *w, str s) {
    (void)buf_add(w->to, s);
} /* `failed` is kept in the buffer */

static void put_escape(struct writer *w, u32 c) {
    char text[8] = "\\u";
    for (int i = 0; i < 4; i++) text[2 + i] = "0123456789abcdef"[c >> (12 - 4 * i) & 15];
    put(w, str_of(text, 6));
}

/* What must not stand in a string as it is; 0: it may. */
static const char *escape_of(u8 c, bool json) {
    switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\b': return "\\b";
    case '\f': return "\\f";
    case '\a': return json ? NULL : "\\a";
    case '\v': return json ? NULL : "\\v";
    default: return NULL;
    }
}

/* U+2028 and U+2029 end lines in JavaScript: the reference writes them as escapes. */
static bool is_line_separator(str s, size_t i) {
    return s.len - i >= 3 && (u8)s.ptr[i] == 0xE2 && (u8)s.ptr[i + 1] == 0x80 &&
           ((u8)s.ptr[i + 2] | 1) == 0xA9;
}

/* Bytes that stand for themselves in both forms: most strings are one run of them. */
static size_t plain_run(str s, size_t from) {
    static const bool special[256] = {
        [0 ... 0x1F] = true, ['"'] = true,  ['\\'] = true,       ['<'] = true,
        ['>'] = true,        ['&'] = true,  [0x7F ... 0xFF] = true,
    };
    while (from < s.len && !special[(u8)s.ptr[from]]) from++;
    return from;
}

/* What a byte that is special becomes, from `i` on; advances `i` past it. Empty: it stands as it
 * is. */
static void write_special(struct writer *w, str s, size_t *i) {
    u8 c = (u8)s.ptr[*i];
    bool json = w->form == FORM_JSON;
    const char *escape = escape_of(c, json);
    if (c >= 0x80) {
        u32 n = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
        bool valid = s.len - *i >= n && str_is_utf8(str_of(s.ptr + *i, n));
        if (json && is_line_separator(s, *i)) put_escape(w, 0x2028 + ((u8)s.ptr[*i + 2] & 1));
        else if (valid) put(w, str_of(s.ptr + *i, n));
        else put(w, json ? S("\\ufffd") : S("\xEF\xBF\xBD"));
        *i += valid ? n : 1;
        return;
    }
    bool html = c == '<' || c == '>' || c == '&';
    if (escape) put(w, str_from_c(escape));
    else if (html && !(json && (w->flags & JSON_TEXT_ESCAPE_HTML))) put(w, str_of(s.ptr + *i, 1));
    else if (c == 0x7F && json) put(w, str_of(s.ptr + *i, 1));
    else if (json) put_escape(w, c);
    else (void)buf_printf(w->to, "\\x%02x", c);
    ++*i;
}

static void write_string(struct writer *w, str s) {
    put(w, S("\""));
    for (size_t i = 0; i < s.len;) {
        size_t end = plain_run(s, i);
        if (end > i) put(w, str_of(s.ptr + i, end - i));
        i = end;
        if (i < s.len) write_special(w, s, &i);
    }
    put(w, S("\""));
}

static void write_any(struct writer *w, value v);

static void new_line(struct writer *w) {
    if (!(w->flags & JSON_TEXT_INDENT)) return;
    put(w, S("\n"));
    for (u32 i = 0; i < w->level; i++) put(w, S("  "));
}

static void separate(struct writer *w, u32 i) {
    if (i) put(w, w->form == FORM_LANGUAGE ? S(", ") : S(","));
    if (w->form == FORM_JSON) new_line(w);
}

static void write_key(struct writer *w, value key) {
    if (w->form == FORM_LANGUAGE || key.kind == VALUE_STRING) {
        write_any(w, key);
        return;
    }
    struct buf text;
    buf_open(&text, w->to->max);
    json_text_write(&text, key, w->flags & JSON_TEXT_ESCAPE_HTML);
    write_string(w, buf_str(&text));
    if (text.failed) w->to->failed = true;
    buf_close(&text);
}

static void write_object(struct writer *w, value v) {
    u32 n = value_count(v);
    put(w, S("{"));
    w->level++;
    for (u32 i = 0; i < n; i++) {
        separate(w, i);
        write_key(w, value_key_at(v, i));
        put(w, w->form == FORM_LANGUAGE || (w->flags & JSON_TEXT_INDENT) ? S(": ") : S(":"));
        write_any(w, value_value_at(v, i));
    }
    w->level--;
    if (n && w->form == FORM_JSON) new_line(w);
    put(w, S("}"));
}

static void write_list(struct writer *w, value v) {
    u32 n = value_count(v);
    bool braces = v.kind == VALUE_SET && w->form == FORM_LANGUAGE;
    if (braces && !n) {
        put(w, S("set()"));
        return;
    }
    put(w, braces ? S("{") : S("["));
    w->level++;
    for (u32 i = 0; i < n; i++) {
        separate(w, i);
        write_any(w, value_item(v, i));
    }
    w->level--;
    if (n && w->form == FORM_JSON) new_line(w);
    put(w, braces ? S("}") : S("]"));
}

static void write_any(struct writer *w, value v) {
    char room[NUMBER_TEXT_ROOM];
    if (w->to->failed) return;
    switch (v.kind) {
    case VALUE_UNDEFINED: put(w, S("undefined")); break;
    case VALUE_NULL: put(w, S("null")); break;
    case VALUE_BOOLEAN: put(w, v.integer ? S("true") : S("false")); break;
    case VALUE_NUMBER: put(w, number_text(v, room)); break;
    case VALUE_STRING: write_string(w, value_str(v)); break;
    case VALUE_OBJECT: write_object(w, v); break;
    default: write_list(w, v); break;
    }
}

void json_text_write(struct buf *to, value v, unsigned flags) {
    struct writer w = {.to = to, .form = FORM_JSON, .flags = flags};
    write_any(&w, v);
}

void json_text_write_string(struct buf *to, str text, unsigned flags) {
    struct writer w = {.to = to, .form = FORM_JSON, .flags = flags};
    write_string(&w, text);
}

void value_write(struct buf *to, value v) {
    struct writer w = {.to = to, .form = FORM_LANGUAGE};
    write_any(&w, v);
}
