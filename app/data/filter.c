/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c — what somebody looks for: a small language, read into a condition.
 *
 *   any   = all ("||" all)*            also: or
 *   all   = one ("&&" one)*            also: and
 *   one   = "!" one | "(" any ")" | test       also: not
 *   test  = field op value | field "in" "(" value, ... ")" | field "contains" value
 *   op    = "=" "==" "!=" "<" "<=" ">" ">=" "~" "!~"       ~: contains, whatever the case (ASCII)
 *   value = 'text' | "text" | number | true | false | null
 *
 * A value is read as its field's type wants it and bound; a comparison means what people expect of
 * it where a field is empty: `f != 'a'` is true of it, `f < 3` is not.
 *
 * Always true: parentheses are counted against DATA_FILTER_DEPTH_MAX, comparisons against
 * DATA_FILTER_TERMS_MAX; nothing of the text becomes SQL. */
#include <stdlib.h>
#include "app/data/data_impl.h"
#include "app/utc.h"

struct parser {
    const struct collection *c;
    struct arena *arena;
    str text;
    size_t at;
    struct sql *to;
    struct flaws *flaws;
    u32 depth, terms;
    u32 negations; /* around what is read now: there an empty field must be a plain no */
    bool failed;
};

static bool wrong(struct parser *p, const char *code, const char *what) {
    if (!p->failed) flaw_add(p->flaws, "filter", code, "at byte %zu: %s", p->at + 1, what);
    p->failed = true;
    return false;
}

static void skip_blanks(struct parser *p) {
    while (p->at < p->text.len && strchr(" \t\r\n", p->text.ptr[p->at]) && p->text.ptr[p->at])
        p->at++;
}

static bool is_word(char c) {
    return (u8)((c | 32) - 'a') < 26 || (u8)(c - '0') < 10 || c == '_';
}

/* A sign, or a whole word. */
static bool accept(struct parser *p, str what) {
    skip_blanks(p);
    if (!str_starts(str_skip(p->text, p->at), what)) return false;
    size_t end = p->at + what.len;
    if (is_word(what.ptr[0]) && end < p->text.len && is_word(p->text.ptr[end])) return false;
    p->at = end;
    return true;
}

static str take_word(struct parser *p) {
    skip_blanks(p);
    size_t from = p->at;
    while (p->at < p->text.len && is_word(p->text.ptr[p->at])) p->at++;
    return str_of(p->text.ptr + from, p->at - from);
}

/* ---- Fields and values ----------------------------------------------------------------------- */

struct subject {
    const struct field *field; /* NULL: one every record has */
    str column;
    bool is_time_ns; /* created_at, updated_at */
    enum field_type type;
};

static bool subject_of(const struct collection *c, str name, struct subject *out) {
    static const struct {
        const char *name, *column;
        enum field_type type;
        bool time;
    } all[] = {{"id", "id", FIELD_TEXT, false},
               {"created_by", "owner_id", FIELD_TEXT, false},
               {"version", "version", FIELD_INTEGER, false},
               {"created_at", "created_ns", FIELD_TIME, true},
               {"updated_at", "updated_ns", FIELD_TIME, true}};
    const struct field *f = collection_field(c, name);
    if (f) *out = (struct subject){f, f->column, false, f->type};
    for (size_t i = 0; !f && i < ARRAY_LEN(all); i++) {
        if (!str_eq(name, str_from_c(all[i].name))) continue;
        *out = (struct subject){NULL, str_from_c(all[i].column), all[i].time, all[i].type};
        return true;
    }
    return f != NULL;
}

/* 'it''s' or "say \"so\"": the quote twice, or after a backslash */
static bool take_quoted(struct parser *p, str *out) {
    char quote = p->text.ptr[p->at++];
    char *to = arena_alloc(p->arena, p->text.len - p->at + 1);
    size_t n = 0;
    if (!to) return wrong(p, "too_large", "no room");
    while (p->at < p->text.len) {
        char c = p->text.ptr[p->at++];
        bool twice = c == quote && p->at < p->text.len && p->text.ptr[p->at] == quote;
        if (c == quote && !twice) {
            *out = str_of(to, n);
            return true;
        }
        if (twice || (c == '\\' && p->at < p->text.len)) c = p->text.ptr[p->at++];
        to[n++] = c;
    }
    return wrong(p, "filter_invalid", "the text does not end");
}

enum literal { LITERAL_TEXT, LITERAL_NUMBER, LITERAL_BOOL, LITERAL_NULL };

static bool take_literal(struct parser *p, enum literal *kind, str *out) {
    skip_blanks(p);
    char c = p->at < p->text.len ? p->text.ptr[p->at] : 0;
    if (c == '\'' || c == '"') {
        *kind = LITERAL_TEXT;
        return take_quoted(p, out);
    }
    size_t from = p->at;
    while (p->at < p->text.len && (is_word(p->text.ptr[p->at]) || p->text.ptr[p->at] == '.' ||
                                   p->text.ptr[p->at] == '-' || p->text.ptr[p->at] == '+'))
        p->at++;
    *out = str_of(p->text.ptr + from, p->at - from);
    if (str_eq(*out, S("null")))
        *kind = LITERAL_NULL;
    else if (str_eq(*out, S("true")) || str_eq(*out, S("false")))
        *kind = LITERAL_BOOL;
    else if ((u8)(c - '0') < 10 || c == '-')
        *kind = LITERAL_NUMBER;
    else {
        p->at = from;
        return wrong(p, "filter_invalid",
                     "a value is wanted: 'text', a number, true, false or null");
    }
    return true;
}

/* As the column keeps it. What a record may hold and what one may look for are different things:
 * only the type matters here. */
static bool value_of(struct parser *p, const struct subject *s, enum literal kind, str text,
                     struct db_value *out) {
    enum field_type t = s->type;
    bool number = t == FIELD_NUMBER || t == FIELD_INTEGER;
    char room[UTC_ROOM], digits[64];
    u64 at_ns;
    *out = DB_NULL;
    if (kind == LITERAL_NULL) return true;
    if (t == FIELD_BOOL && kind == LITERAL_BOOL) {
        *out = DB_INT(str_eq(text, S("true")));
        return true;
    }
    if (number && kind == LITERAL_NUMBER) {
        char *end;
        if (str_to_c(text, digits, sizeof digits))
            return wrong(p, "filter_type", "the number is too long");
        *out = DB_REAL(strtod(digits, &end));
        return !*end || wrong(p, "filter_type", "this is no number");
    }
    if (kind != LITERAL_TEXT || t == FIELD_BOOL || number)
        return wrong(p, "filter_type",
                     number            ? "a number is wanted for this field"
                     : t == FIELD_BOOL ? "true or false is wanted for this field"
                                       : "a text in quotes is wanted here");
    *out = DB_TEXT(text);
    if (t != FIELD_TIME) return true;
    if (utc_parse(text, &at_ns))
        return wrong(p, "filter_type", "an RFC 3339 time is wanted for this field");
    *out = s->is_time_ns ? DB_INT(at_ns) : DB_TEXT(arena_copy(p->arena, utc_write(at_ns, room)));
    return true;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

enum op { OP_EQ, OP_NE, OP_LE, OP_GE, OP_LT, OP_GT, OP_NOT_LIKE, OP_LIKE, OP_COUNT };
static const struct {
    const char *text, *sql;
} ops[] = {{"==", " IS "}, {"!=", " IS NOT "}, {"<=", "<="}, {">=", ">="}, {"<", "<"},
           {">", ">"},     {"!~", " NOT "},    {"~", ""},    {"=", " IS "}};

static bool put_like(struct parser *p, const struct subject *s, bool not, str text) {
    struct buf b;
    if (s->type == FIELD_NUMBER || s->type == FIELD_INTEGER || s->type == FIELD_BOOL ||
        s->is_time_ns)
        return wrong(p, "filter_type", "only texts contain something");
    buf_open(&b, 500); /* SQLite refuses longer patterns */
    (void)buf_add(&b, S("%"));
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("%_\\", text.ptr[i]) && text.ptr[i]) (void)buf_add_byte(&b, '\\');
        (void)buf_add_byte(&b, text.ptr[i]);
    }
    (void)buf_add(&b, S("%"));
    bool ok = !b.failed;
    str pattern = ok ? arena_copy(p->arena, buf_str(&b)) : (str){0};
    buf_close(&b);
    if (!pattern.ptr) return wrong(p, "filter_type", "the text looked for is too long");
    sql_put(p->to, not ? "(NOT coalesce(" : "coalesce(");
    sql_put_name(p->to, s->column);
    sql_put(p->to, " LIKE ");
    sql_bind(p->to, DB_TEXT(pattern));
    sql_put(p->to, not ? " ESCAPE '\\',0))" : " ESCAPE '\\',0)");
    return true;
}

static bool parse_in(struct parser *p, const struct subject *s) {
    enum literal kind;
    struct db_value v;
    str text;
    u32 n = 0;
    if (!accept(p, S("("))) return wrong(p, "filter_invalid", "( is wanted after in");
    if (p->negations) sql_put(p->to, "coalesce(");
    sql_put_name(p->to, s->column);
    sql_put(p->to, " IN (");
    do {
        if (!take_literal(p, &kind, &text) || !value_of(p, s, kind, text, &v)) return false;
        if (++p->terms > DATA_FILTER_TERMS_MAX)
            return wrong(p, "filter_too_long", "too many values");
        if (n++) sql_put(p->to, ",");
        sql_bind(p->to, v);
    } while (accept(p, S(",")));
    sql_put(p->to, p->negations ? "),0)" : ")");
    return accept(p, S(")")) || wrong(p, "filter_invalid", ") is wanted");
}

static bool parse_test(struct parser *p) {
    struct subject s;
    struct db_value v;
    enum literal kind;
    str text;
    if (++p->terms > DATA_FILTER_TERMS_MAX)
        return wrong(p, "filter_too_long", "too many comparisons");
    skip_blanks(p);
    size_t from = p->at;
    str name = take_word(p);
    if (!name.len || !subject_of(p->c, name, &s)) {
        p->at = from;
        return wrong(p, name.len ? "field_unknown" : "filter_invalid",
                     name.len ? "the collection has no such field" : "a field's name is wanted");
    }
    if (s.type == FIELD_JSON) return wrong(p, "filter_type", "a JSON field cannot be compared");
    if (accept(p, S("in"))) return parse_in(p, &s);
    size_t i = 0;
    bool contains = accept(p, S("contains"));
    while (!contains && i < ARRAY_LEN(ops) && !accept(p, str_from_c(ops[i].text))) i++;
    if (i == ARRAY_LEN(ops))
        return wrong(p, "filter_invalid", "a comparison is wanted: = != < <= > >= ~ !~ in");
    if (!take_literal(p, &kind, &text)) return false;
    bool like = contains || i == OP_LIKE || i == OP_NOT_LIKE;
    if (like && kind != LITERAL_TEXT) return wrong(p, "filter_type", "a text is wanted");
    if (like) return put_like(p, &s, !contains && i == OP_NOT_LIKE, text);
    if (!value_of(p, &s, kind, text, &v)) return false;
    bool ordered = i >= OP_LE && i <= OP_GT;
    if (ordered && kind == LITERAL_NULL)
        return wrong(p, "filter_type", "null is only equal or not equal");
    bool guarded = ordered && p->negations;
    if (guarded) sql_put(p->to, "coalesce(");
    sql_put_name(p->to, s.column);
    sql_put(p->to, ops[i].sql);
    sql_bind(p->to, v);
    if (guarded) sql_put(p->to, ",0)");
    return true;
}

/* ---- Joining --------------------------------------------------------------------------------- */

static bool parse_any(struct parser *p);

static bool parse_one(struct parser *p) {
    skip_blanks(p);
    bool not_sign = p->at + 1 < p->text.len && p->text.ptr[p->at] == '!' &&
                    p->text.ptr[p->at + 1] != '=' && p->text.ptr[p->at + 1] != '~';
    if (++p->depth > DATA_FILTER_DEPTH_MAX)
        return wrong(p, "filter_too_deep", "too many parentheses in one another");
    bool ok;
    if ((not_sign && accept(p, S("!"))) || accept(p, S("not"))) {
        sql_put(p->to, "NOT ");
        p->negations++;
        ok = parse_one(p);
        p->negations--;
    } else if (accept(p, S("("))) {
        sql_put(p->to, "(");
        ok = parse_any(p) && (accept(p, S(")")) || wrong(p, "filter_invalid", ") is wanted"));
        sql_put(p->to, ")");
    } else {
        ok = parse_test(p);
    }
    p->depth--;
    return ok;
}

static bool parse_all(struct parser *p) {
    sql_put(p->to, "(");
    if (!parse_one(p)) return false;
    while (accept(p, S("&&")) || accept(p, S("and"))) {
        sql_put(p->to, " AND ");
        if (!parse_one(p)) return false;
    }
    sql_put(p->to, ")");
    return true;
}

static bool parse_any(struct parser *p) {
    sql_put(p->to, "(");
    if (!parse_all(p)) return false;
    while (accept(p, S("||")) || accept(p, S("or"))) {
        sql_put(p->to, " OR ");
        if (!parse_all(p)) return false;
    }
    sql_put(p->to, ")");
    return true;
}

bool filter_parse(const struct collection *c, struct arena *a, str text, struct sql *to,
                  struct flaws *flaws) {
    struct parser p = {.c = c, .arena = a, .text = text, .to = to, .flaws = flaws};
    if (text.len > DATA_FILTER_BYTES_MAX)
        return wrong(&p, "filter_too_long", "the filter is too long");
    if (!parse_any(&p)) return false;
    skip_blanks(&p);
    return p.at == text.len || wrong(&p, "filter_invalid", "this is one too many");
}

/* ---- Order ----------------------------------------------------------------------------------- */

bool order_parse(const struct collection *c, str text, struct order *out, struct flaws *flaws) {
    static const struct {
        const char *name, *column;
    } all[] = {{"created_at", "created_ns"}, {"updated_at", "updated_ns"}, {"id", "id"}};
    str name;
    *out = (struct order){0};
    while (text.len && str_split(&text, ',', &name)) {
        name = str_trim(name);
        bool down = str_starts(name, S("-"));
        name = str_skip(name, down);
        const struct field *f = collection_field(c, name);
        const char *system = NULL;
        for (size_t i = 0; !f && i < ARRAY_LEN(all); i++)
            if (str_eq(name, str_from_c(all[i].name))) system = all[i].column;
        if (out->count == DATA_SORT_MAX || (!f && !system) || (f && f->type == FIELD_JSON)) {
            flaw_add(flaws, "sort", "bad_sort",
                     "up to %d fields that are not JSON, with - for descending: \"%.*s\"",
                     DATA_SORT_MAX, STR(str_take(name, 60)));
            return false;
        }
        out->by[out->count].field = f;
        out->by[out->count].system = system;
        out->by[out->count++].down = down;
    }
    return true;
}

void order_put(const struct order *o, struct sql *to) {
    sql_put(to, " ORDER BY ");
    for (u32 i = 0; i < o->count; i++) {
        if (o->by[i].field)
            sql_put_name(to, o->by[i].field->column);
        else
            sql_put(to, o->by[i].system);
        sql_put(to, o->by[i].down ? " DESC," : ",");
    }
    /* in the last field's direction, which its index gives for nothing */
    sql_put(to, o->count && o->by[o->count - 1].down ? "num DESC" : "num");
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* Each word in quotes, so that nothing in it means anything to FTS5; all are wanted. */
str words_match(struct arena *a, str text) {
    struct buf b;
    u32 n = 0;
    buf_open(&b, 2048);
    for (size_t i = 0; i < text.len && n < 16;) {
        size_t from = i;
        while (i < text.len && (is_word(text.ptr[i]) || (u8)text.ptr[i] >= 0x80)) i++;
        if (i > from) {
            (void)buf_printf(&b, "%s\"%.*s\"", n++ ? " " : "", (int)(i - from), text.ptr + from);
            if (i < text.len && text.ptr[i] == '*') (void)buf_add(&b, S("*"));
        }
        i += i < text.len;
    }
    str match = b.failed ? S("") : arena_copy(a, b.len ? buf_str(&b) : S(""));
    buf_close(&b);
    return match;
}
