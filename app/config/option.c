/* SPDX-License-Identifier: Apache-2.0 */
/* option.c — the table of options and how a value of each kind is read.
 *
 *   text ("15m", "true", "dhcp") -> canonical text + number      (command line, stored values)
 *   JSON (15, true, "dhcp")      -> the same text                (machine configuration, API)
 *
 * Always true: a value that option_parse accepted is within its bounds; what it refuses is named
 * by its key, with what is wanted instead. Secrets are never put into a message. */
#include "app/config/config_impl.h"
#include "app/config/check.h"
#include "app/config/edge.h"
#include "app/config/networks.h"
#include "app/config/backup_target.h"
#include "app/config/providers.h"
#include "app/config/services.h"
#include "app/config/sources.h"
#include <math.h>

#define TEXT(key, initial, min, max, check, effect, help)                                          \
    {key, OPTION_TEXT, initial, min, max, check, NULL, effect, help},
#define INT(key, initial, min, max, effect, help)                                                  \
    {key, OPTION_INT, initial, min, max, NULL, NULL, effect, help},
#define BOOL(key, initial, effect, help)                                                           \
    {key, OPTION_BOOL, initial, 0, 1, NULL, NULL, effect, help},
#define CHOICE(key, initial, choices, effect, help)                                                \
    {key, OPTION_CHOICE, initial, 0, 0, NULL, choices, effect, help},
#define DURATION(key, initial, min, max, effect, help)                                             \
    {key, OPTION_DURATION, initial, min, max, NULL, NULL, effect, help},
#define SECRET(key, min, max, help)                                                                \
    {key, OPTION_SECRET, "", min, max, check_any, NULL, RESTART, help},
#define DOCUMENT(key, max, check, help)                                                            \
    {key, OPTION_DOCUMENT, "", 0, max, check, NULL, LIVE, help},
#define JSON(key, max, check, help)                                                                \
    {key, OPTION_JSON, "", 0, max, check, NULL, LIVE, help},
const struct option options[] = {
#include "app/config/option.def"
};
const u32 option_count = ARRAY_LEN(options);
static_assert(ARRAY_LEN(options) <= OPTIONS_MAX, "one slot each in config.c");

const char *option_kind_name(enum option_kind k) {
    static const char *const names[] = {"text", "integer", "boolean", "choice", "duration",
                                        "secret", "document", "json"};
    return names[k];
}

bool option_is_hidden(const struct option *o) {
    return o->kind == OPTION_SECRET || o->kind == OPTION_DOCUMENT;
}

bool option_takes_object(const struct option *o) {
    return o->kind == OPTION_DOCUMENT || o->kind == OPTION_JSON;
}

int option_find(str key) {
    for (u32 i = 0; i < option_count; i++)
        if (str_eq(str_from_c(options[i].key), key)) return (int)i;
    return -1;
}

static rc_t refuse(struct diag *why, const struct option *o, const char *wanted) {
    struct diag copy;
    diag_set(&copy, "%s", wanted); /* `wanted` may lie in *why */
    diag_set(why, "%s %s", o->key, copy.text);
    return RC_INVALID;
}

/* ---- One kind each ------------------------------------------------------------------------- */

static rc_t parse_text(const struct option *o, str text, struct diag *why) {
    struct diag inner = {0};
    bool printable = str_is_utf8(text);
    bool lines = option_takes_object(o) || o->check == check_certificates;
    for (size_t i = 0; printable && i < text.len; i++) {
        char c = text.ptr[i];
        printable = ((u8)c >= ' ' && c != 0x7F) || (lines && strchr("\t\r\n", c) && c);
    }
    if (!printable) return refuse(why, o, "wants text without control characters");
    if ((s64)text.len < o->min || (s64)text.len > o->max) {
        diag_set(&inner, "wants %lld to %lld bytes", (long long)o->min, (long long)o->max);
        return refuse(why, o, inner.text);
    }
    return o->check(text, &inner) ? RC_OK : refuse(why, o, inner.text);
}

static rc_t parse_int(const struct option *o, str text, s64 *out, struct diag *why) {
    struct diag inner;
    if (str_to_s64(text, out) == RC_OK && *out >= o->min && *out <= o->max) return RC_OK;
    diag_set(&inner, "wants a whole number from %lld to %lld", (long long)o->min,
             (long long)o->max);
    return refuse(why, o, inner.text);
}

static rc_t parse_bool(const struct option *o, str text, s64 *out, struct diag *why) {
    *out = str_eq(text, S("true"));
    if (*out || str_eq(text, S("false"))) return RC_OK;
    return refuse(why, o, "wants true or false");
}

static rc_t parse_choice(const struct option *o, str text, s64 *out, struct diag *why) {
    struct diag inner;
    str rest = str_from_c(o->choices), one;
    for (*out = 0; str_split(&rest, ' ', &one); ++*out)
        if (str_eq(one, text)) return RC_OK;
    diag_set(&inner, "wants one of: %s", o->choices);
    return refuse(why, o, inner.text);
}

/* Seconds; a bare number is seconds too. */
static rc_t parse_duration(const struct option *o, str text, s64 *out, struct diag *why) {
    struct diag inner;
    s64 unit = 1;
    str digits = text;
    if (text.len && strchr("smhd", text.ptr[text.len - 1])) {
        char c = text.ptr[text.len - 1];
        unit = c == 's' ? 1 : c == 'm' ? 60 : c == 'h' ? 3600 : 86400;
        digits = str_take(text, text.len - 1);
    }
    u64 n;
    if (str_to_u64(digits, &n) == RC_OK && n <= (u64)(INT64_MAX / 86400)) {
        *out = (s64)n * unit;
        if (*out >= o->min && *out <= o->max) return RC_OK;
    }
    diag_set(&inner, "wants a duration such as 90s, 15m or 2h, from %lld to %lld seconds",
             (long long)o->min, (long long)o->max);
    return refuse(why, o, inner.text);
}

rc_t option_parse(const struct option *o, str text, struct arena *a, str *out_text, s64 *out_number,
                  struct diag *why) {
    rc_t rc = RC_INVALID;
    *out_number = 0;
    switch (o->kind) {
    case OPTION_TEXT:
    case OPTION_DOCUMENT:
    case OPTION_JSON:
    case OPTION_SECRET: rc = parse_text(o, text, why); break;
    case OPTION_INT: rc = parse_int(o, text, out_number, why); break;
    case OPTION_BOOL: rc = parse_bool(o, text, out_number, why); break;
    case OPTION_CHOICE: rc = parse_choice(o, text, out_number, why); break;
    case OPTION_DURATION: rc = parse_duration(o, text, out_number, why); break;
    }
    if (rc) return rc;
    *out_text = arena_copy(a, text);
    return out_text->ptr ? RC_OK : RC_NO_MEMORY;
}

rc_t option_text_of_json(const struct option *o, const cJSON *value, struct arena *a, str *out,
                         struct diag *why) {
    bool number_fits = o->kind == OPTION_INT || o->kind == OPTION_DURATION;
    bool object_fits = option_takes_object(o);
    if (cJSON_IsString(value)) {
        *out = str_from_c(value->valuestring);
        return RC_OK;
    }
    if (cJSON_IsObject(value) && object_fits) {
        struct json_writer w;
        json_open(&w, (size_t)o->max + 1);
        json_put_tree(&w, value);
        *out = w.out.failed ? (str){NULL, 0} : arena_copy(a, buf_str(&w.out));
        bool large = w.out.failed && w.out.len >= (size_t)o->max;
        json_close(&w);
        if (large) return refuse(why, o, "is too large");
        return out->ptr ? RC_OK : RC_NO_MEMORY;
    }
    if (cJSON_IsBool(value) && o->kind == OPTION_BOOL) {
        *out = cJSON_IsTrue(value) ? S("true") : S("false");
        return RC_OK;
    }
    double v = cJSON_IsNumber(value) ? value->valuedouble : NAN;
    if (number_fits && fabs(v) <= 9007199254740992.0 && v == floor(v)) {
        *out = arena_printf(a, "%lld", (long long)v);
        return out->ptr ? RC_OK : RC_NO_MEMORY;
    }
    return refuse(why, o,
                  o->kind == OPTION_BOOL ? "wants true or false"
                  : number_fits          ? "wants a whole number"
                  : object_fits          ? "wants an object"
                                         : "wants a text");
}
