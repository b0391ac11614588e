/* SPDX-License-Identifier: Apache-2.0 */
/* field.c — one field of a record: its values in and out.
 *
 *   JSON, or a cell of a file --> checked by type, then by what the field asks --> db_value
 *
 *   type       in JSON              in the database
 *   text       a string             TEXT
 *   number     a number             REAL
 *   integer    a whole number       INTEGER, up to 2^53: what JSON's readers keep exact
 *   bool       true, false          INTEGER 0, 1
 *   time       RFC 3339             TEXT in UTC with milliseconds: sorts as time does
 *   json       anything             TEXT, written anew without blanks
 *   select     one of the choices   TEXT
 *   email url  a string             TEXT
 *   relation   a record's id        TEXT
 *
 * null is no value, of every type. Always true: what field_take lets through is UTF-8 without NUL,
 * within its bounds, and of the column's type. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "app/data/data_impl.h"
#include "app/policy/regex/regex.h"
#include "app/utc.h"
#include "net/http_url.h"

#define EXACT_INTEGER_MAX 9007199254740992.0 /* 2^53 */

static const char *const type_names[FIELD_TYPE_COUNT] = {
    [FIELD_TEXT] = "text",        [FIELD_NUMBER] = "number",  [FIELD_INTEGER] = "integer",
    [FIELD_BOOL] = "bool",        [FIELD_TIME] = "date-time", [FIELD_JSON] = "json",
    [FIELD_SELECT] = "select",    [FIELD_EMAIL] = "email",    [FIELD_URL] = "url",
    [FIELD_RELATION] = "relation"};

str field_type_name(enum field_type t) {
    return str_from_c(type_names[t]);
}

const char *field_column_type(enum field_type t) {
    return t == FIELD_NUMBER ? "REAL" : t == FIELD_INTEGER || t == FIELD_BOOL ? "INTEGER" : "TEXT";
}

/* ---- What a field asks of a value ------------------------------------------------------------ */

static u64 characters(str s) {
    u64 n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((u8)s.ptr[i] & 0xC0) != 0x80;
    return n;
}

static bool wrong(const struct field *f, struct flaws *flaws, const char *code, const char *what) {
    char name[DATA_NAME_MAX + 1];
    if (str_to_c(f->name, name, sizeof name)) name[0] = 0;
    flaw_add(flaws, name, code, "%s", what);
    return false;
}

static bool range_ok(const struct field *f, double n, const char *of, struct flaws *flaws) {
    char text[120];
    if (f->has_min && n < f->min) {
        snprintf(text, sizeof text, "at least %.17g%s wanted", f->min, of);
        return wrong(f, flaws, "field_range", text);
    }
    if (f->has_max && n > f->max) {
        snprintf(text, sizeof text, "at most %.17g%s allowed", f->max, of);
        return wrong(f, flaws, "field_range", text);
    }
    return true;
}

static bool email_ok(str s) {
    size_t at = str_find_byte(s, '@');
    if (!at || at > 64 || at == s.len || s.len > 254) return false;
    str host = str_skip(s, at + 1);
    if (!host.len || str_find_byte(host, '@') < host.len || str_find_byte(host, '.') == host.len)
        return false;
    if (host.ptr[0] == '.' || host.ptr[host.len - 1] == '.') return false;
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] <= ' ' || strchr("\"(),:;<>[\\]", s.ptr[i]) || s.ptr[i] == 127)
            return false;
    return true;
}

static bool enough_ticks(void *arg, u32 steps) {
    u64 *left = arg;
    if (*left < steps) return false;
    *left -= steps;
    return true;
}

static bool pattern_ok(const struct field *f, str s, struct flaws *flaws) {
    u64 left =
        2000000; /* some milliseconds; texts are bounded, so this is for the worst patterns */
    if (!f->pattern) return true;
    rc_t rc = regex_match(f->pattern, s, (struct regex_work){enough_ticks, &left});
    if (rc == RC_OK) return true;
    return wrong(f, flaws, "field_pattern",
                 rc == RC_NOT_FOUND ? "does not match the field's pattern"
                                    : "the field's pattern took too long");
}

static bool choice_ok(const struct field *f, str s, struct flaws *flaws) {
    for (u32 i = 0; i < f->choice_count; i++)
        if (str_eq(f->choices[i], s)) return true;
    return wrong(f, flaws, "field_choice", "not one of the field's values");
}

static bool take_time(const struct field *f, struct arena *a, str s, struct db_value *out,
                      struct flaws *flaws) {
    char text[UTC_ROOM];
    u64 at_ns;
    if (utc_parse(s, &at_ns))
        return wrong(f, flaws, "field_type", "an RFC 3339 time is wanted: 2026-01-31T12:00:00Z");
    str kept = arena_copy(a, utc_write(at_ns, text));
    *out = DB_TEXT(kept);
    return kept.ptr || wrong(f, flaws, "too_large", "no room");
}

/* A string of any type that is kept as text. */
static bool take_string(const struct field *f, struct arena *a, str s, struct db_value *out,
                        struct flaws *flaws) {
    struct http_url url;
    struct diag why = {0};
    *out = DB_TEXT(s);
    if (s.len > DATA_TEXT_MAX) return wrong(f, flaws, "field_range", "the text is too long");
    if (memchr(s.ptr ? s.ptr : "", 0, s.len) || !str_is_utf8(s))
        return wrong(f, flaws, "field_type", "the text must be UTF-8 without NUL");
    switch (f->type) {
    case FIELD_TIME: return take_time(f, a, s, out, flaws);
    case FIELD_SELECT: return choice_ok(f, s, flaws);
    case FIELD_EMAIL:
        return email_ok(s) || wrong(f, flaws, "field_type", "an e-mail address is wanted");
    case FIELD_URL:
        return http_url_parse(s, &url, &why) == RC_OK ||
               wrong(f, flaws, "field_type", "an address with http:// or https:// is wanted");
    case FIELD_RELATION:
        return id_valid(s) || wrong(f, flaws, "field_type", "the id of a record is wanted");
    default: break;
    }
    return range_ok(f, (double)characters(s), " characters", flaws) && pattern_ok(f, s, flaws);
}

static bool take_number(const struct field *f, double n, struct db_value *out,
                        struct flaws *flaws) {
    if (!isfinite(n)) return wrong(f, flaws, "field_type", "a number is wanted");
    if (f->type == FIELD_INTEGER) {
        if (fabs(n) > EXACT_INTEGER_MAX || n != floor(n))
            return wrong(f, flaws, "field_type", "a whole number of at most 2^53 is wanted");
        *out = DB_INT((s64)n);
    } else {
        *out = DB_REAL(n);
    }
    return range_ok(f, n, "", flaws);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool take_json(const struct field *f, struct arena *a, const cJSON *v, struct db_value *out,
                      struct flaws *flaws) {
    struct json_writer w;
    json_open(&w, DATA_TEXT_MAX);
    json_key(&w, str_of(NULL, 0));
    json_put_tree(&w, v);
    bool ok = !w.out.failed;
    str text = ok ? arena_copy(a, buf_str(&w.out)) : (str){0};
    json_close(&w);
    *out = DB_TEXT(text);
    return text.ptr || wrong(f, flaws, "field_range", "the JSON value is too large");
}

bool field_take(const struct field *f, struct arena *a, const cJSON *v, struct db_value *out,
                struct flaws *flaws) {
    *out = DB_NULL;
    if (!v || cJSON_IsNull(v)) return true;
    switch (f->type) {
    case FIELD_JSON: return take_json(f, a, v, out, flaws);
    case FIELD_BOOL:
        if (!cJSON_IsBool(v)) return wrong(f, flaws, "field_type", "true or false is wanted");
        *out = DB_INT(cJSON_IsTrue(v));
        return true;
    case FIELD_NUMBER:
    case FIELD_INTEGER:
        if (cJSON_IsNumber(v)) return take_number(f, v->valuedouble, out, flaws);
        return wrong(f, flaws, "field_type", "a number is wanted");
    default: break;
    }
    if (!cJSON_IsString(v)) return wrong(f, flaws, "field_type", "a text is wanted");
    return take_string(f, a, str_from_c(v->valuestring), out, flaws);
}

bool field_take_text(const struct field *f, struct arena *a, str text, struct db_value *out,
                     struct flaws *flaws) {
    struct diag why = {0};
    cJSON *tree;
    *out = DB_NULL;
    if (!text.len) return true;
    if (f->type == FIELD_BOOL) {
        bool yes = str_eq(text, S("true")) || str_eq(text, S("1"));
        if (!yes && !str_eq(text, S("false")) && !str_eq(text, S("0")))
            return wrong(f, flaws, "field_type", "true or false is wanted");
        *out = DB_INT(yes);
        return true;
    }
    if (f->type != FIELD_JSON && f->type != FIELD_NUMBER && f->type != FIELD_INTEGER)
        return take_string(f, a, text, out, flaws);
    rc_t rc = text.len <= DATA_TEXT_MAX ? json_parse(a, text, &tree, &why) : RC_LIMIT;
    if (rc) return wrong(f, flaws, "field_type", why.text[0] ? why.text : "the value is too large");
    return field_take(f, a, tree, out, flaws);
}

void field_json(struct json_writer *w, const struct field *f, const struct db_value *v) {
    json_key(w, f->name);
    if (v->kind == DB_KIND_NULL)
        json_put_raw(w, S("null"));
    else if (f->type == FIELD_BOOL)
        json_put_raw(w, v->integer ? S("true") : S("false"));
    else if (f->type == FIELD_INTEGER)
        json_put_int(w, v->integer);
    else if (f->type == FIELD_NUMBER)
        json_put_real(w, v->real);
    else if (f->type == FIELD_JSON)
        json_put_raw(w, v->bytes);
    else
        json_put_text(w, v->bytes);
}

/* ---- Definitions ----------------------------------------------------------------------------- */

bool name_valid(str name) {
    static const char *const taken[] = {
        "id",  "version", "created_at", "updated_at", "created_by", "expand",   "and",   "or",
        "not", "in",      "null",       "true",       "false",      "contains", "batch", "events"};
    if (!name.len || name.len > DATA_NAME_MAX || (u8)(name.ptr[0] - 'a') >= 26) return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if ((u8)(c - 'a') >= 26 && (u8)(c - '0') >= 10 && c != '_') return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (str_eq(name, str_from_c(taken[i]))) return false;
    return true;
}

static bool read_flag(const cJSON *o, const char *name, bool *out, struct flaws *flaws) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    if (v && !cJSON_IsBool(v)) {
        flaw_add(flaws, name, "member_type", "true or false is wanted");
        return false;
    }
    *out = cJSON_IsTrue(v);
    return true;
}

static bool read_text(const cJSON *o, const char *name, bool wanted, str *out,
                      struct flaws *flaws) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    *out = S("");
    if (!v && !wanted) return true;
    if (!cJSON_IsString(v)) {
        flaw_add(flaws, name, v ? "member_type" : "member_missing", "a text is wanted");
        return false;
    }
    *out = str_from_c(v->valuestring);
    return true;
}

static bool read_bound(const cJSON *o, const char *name, bool *has, double *out,
                       struct flaws *flaws) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    *has = v != NULL;
    if (!v) return true;
    if (!cJSON_IsNumber(v)) {
        flaw_add(flaws, name, "member_type", "a number is wanted");
        return false;
    }
    *out = v->valuedouble;
    return true;
}

static bool read_type(const cJSON *o, struct field *f, struct flaws *flaws) {
    str text;
    if (!read_text(o, "type", true, &text, flaws)) return false;
    for (int t = 0; t < FIELD_TYPE_COUNT; t++)
        if (str_eq(text, str_from_c(type_names[t]))) {
            f->type = (enum field_type)t;
            return true;
        }
    flaw_add(flaws, "type", "member_value",
             "text, number, integer, bool, date-time, json, select, email, url or relation");
    return false;
}

static bool read_choices(struct arena *a, const cJSON *o, struct field *f, struct flaws *flaws) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(o, "values"), *v;
    if (!list && f->type != FIELD_SELECT) return true;
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    bool ok = f->type == FIELD_SELECT && n > 0 && n <= DATA_CHOICES_MAX;
    if (ok && !(f->choices = arena_alloc(a, (size_t)n * sizeof *f->choices))) ok = false;
    if (ok) cJSON_ArrayForEach(v, list) {
            str s = cJSON_IsString(v) ? str_from_c(v->valuestring) : S("");
            if (!s.len || s.len > 100) ok = false;
            f->choices[f->choice_count++] = arena_copy(a, s);
        }
    if (!ok)
        flaw_add(flaws, "values", "member_value",
                 "of a select field: a list of 1 to %d texts of at most 100 bytes",
                 DATA_CHOICES_MAX);
    return ok;
}

static bool read_relation(struct arena *a, const cJSON *o, struct field *f, struct flaws *flaws) {
    str target, rule;
    bool relation = f->type == FIELD_RELATION;
    if (!read_text(o, "collection", relation, &target, flaws) ||
        !read_text(o, "on_delete", false, &rule, flaws))
        return false;
    if (!relation && !target.len && !rule.len) return true;
    if (!relation || !name_valid(target)) {
        flaw_add(flaws, "collection", "member_value", "a collection's name, of a relation alone");
        return false;
    }
    f->target = arena_copy(a, target);
    if (str_eq(rule, S("cascade")))
        f->on_delete = ON_DELETE_CASCADE;
    else if (str_eq(rule, S("set_null")))
        f->on_delete = ON_DELETE_SET_NULL;
    else if (rule.len && !str_eq(rule, S("restrict"))) {
        flaw_add(flaws, "on_delete", "member_value", "restrict, cascade or set_null");
        return false;
    }
    if (f->on_delete == ON_DELETE_SET_NULL && f->required) {
        flaw_add(flaws, "on_delete", "member_value", "a required field cannot be set to null");
        return false;
    }
    return true;
}

static bool read_pattern(const cJSON *o, struct field *f, struct flaws *flaws) {
    str text;
    struct buf why;
    if (!read_text(o, "pattern", false, &text, flaws)) return false;
    if (!text.len) return true;
    if (f->type != FIELD_TEXT || text.len > 500) {
        flaw_add(flaws, "pattern", "member_value", "of a text field alone, at most 500 bytes");
        return false;
    }
    buf_open(&why, KIB(4));
    rc_t rc = regex_open(&f->pattern, text, &why);
    if (rc)
        flaw_add(flaws, "pattern", "member_value", "%.*s",
                 STR(why.len ? str_take(buf_str(&why), 150) : S("no memory for it")));
    buf_close(&why);
    return rc == RC_OK;
}

static bool bounds_fit(const struct field *f, struct flaws *flaws) {
    bool may = f->type == FIELD_TEXT || f->type == FIELD_NUMBER || f->type == FIELD_INTEGER;
    if ((f->has_min || f->has_max) && !may) {
        flaw_add(flaws, f->has_min ? "min" : "max", "member_value", "of a text or a number alone");
        return false;
    }
    if (f->has_min && f->has_max && f->min > f->max) {
        flaw_add(flaws, "max", "member_value", "less than min");
        return false;
    }
    if (f->search && f->type != FIELD_TEXT) {
        flaw_add(flaws, "search", "member_value", "only text fields can be searched");
        return false;
    }
    if ((f->unique || f->indexed) && f->type == FIELD_JSON) {
        flaw_add(flaws, f->unique ? "unique" : "index", "member_value",
                 "a JSON field has no index");
        return false;
    }
    return true;
}

bool field_define(struct arena *a, const cJSON *o, struct field *out, struct flaws *flaws) {
    static const char *const known[] = {"key",    "name",       "type",      "required", "unique",
                                        "index",  "search",     "min",       "max",      "pattern",
                                        "values", "collection", "on_delete", "default"};
    str name;
    *out = (struct field){.fallback = DB_NULL};
    if (!cJSON_IsObject(o)) {
        flaw_add(flaws, "", "member_type", "a field is an object");
        return false;
    }
    for (const cJSON *m = o->child; m; m = m->next) {
        bool ok = false;
        for (size_t i = 0; i < ARRAY_LEN(known) && !ok; i++) ok = !strcmp(known[i], m->string);
        if (ok) continue;
        flaw_add(flaws, "", "member_unknown", "\"%.80s\" is nothing a field has", m->string);
        return false;
    }
    if (!read_text(o, "name", true, &name, flaws)) return false;
    if (!name_valid(name)) {
        flaw_add(flaws, "name", "name_invalid",
                 "a letter, then letters, digits and _, all lower case, at most %d; not a name "
                 "every record has",
                 DATA_NAME_MAX);
        return false;
    }
    out->name = arena_copy(a, name);
    if (!out->name.ptr || !read_type(o, out, flaws) ||
        !read_flag(o, "required", &out->required, flaws) ||
        !read_flag(o, "unique", &out->unique, flaws) ||
        !read_flag(o, "index", &out->indexed, flaws) ||
        !read_flag(o, "search", &out->search, flaws) ||
        !read_bound(o, "min", &out->has_min, &out->min, flaws) ||
        !read_bound(o, "max", &out->has_max, &out->max, flaws) || !bounds_fit(out, flaws) ||
        !read_choices(a, o, out, flaws) || !read_relation(a, o, out, flaws) ||
        !read_pattern(o, out, flaws))
        return false;
    struct flaws of_default = {0};
    const cJSON *fallback = cJSON_GetObjectItemCaseSensitive(o, "default");
    if (!field_take(out, a, fallback, &out->fallback, &of_default)) {
        flaw_add(flaws, "default", of_default.items[0].code, "%s", of_default.items[0].text);
        return false;
    }
    if (out->fallback.kind == DB_KIND_TEXT) {
        out->fallback.bytes = arena_copy(a, out->fallback.bytes);
        if (!out->fallback.bytes.ptr) return false;
    }
    return true;
}
