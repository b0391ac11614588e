/* SPDX-License-Identifier: Apache-2.0 */
/* json.h — JSON in and out. In: a strict scan of our own (RFC 8259, UTF-8, JSON_DEPTH_MAX) before
 * cJSON builds the tree in an arena; cJSON alone accepts too much. Out: a writer that appends
 * text, no tree.
 *
 * json_scan judges the grammar alone. json_parse also refuses what our trees cannot carry without
 * a surprise: a key twice in one object, the character U+0000, a number beyond a double. */
#pragma once
#include "kernel/base/arena.h"
#include "kernel/base/buf.h"
#include <cJSON.h>

/* RC_INVALID with line, column and reason in `why`; RC_LIMIT: depth, or the arena's maximum;
 * RC_NO_MEMORY: not the document's fault. */
rc_t json_scan(str text, struct diag *why);
rc_t json_parse(struct arena *a, str text, cJSON **out, struct diag *why); /* loop or a worker */
/* The same for a fiber: a large text is parsed by a worker while the fiber is parked. */
rc_t json_parse_parked(struct arena *a, str text, cJSON **out, struct diag *why);
#define JSON_PARSE_LOOP_MAX 16384u /* bytes the loop parses itself: about 50 us */

/* The longest run at the front that is the same inside and outside a JSON string: ASCII without
 * controls, quote, backslash and DEL. */
size_t json_plain_run(str s);

/* Commas and escapes are the writer's; calls follow the document's order. `key` NULL in arrays. */
struct json_writer {
    struct buf out;
    bool comma;
    u32 depth;
};
void json_open(struct json_writer *w, size_t bytes_max);
void json_close(struct json_writer *w); /* frees */
void json_key(struct json_writer *w, str key); /* the comma and the key; then put a value: */
void json_put_name(struct json_writer *w, str name); /* the same, of a name from outside */
void json_put_object(struct json_writer *w);
void json_put_array(struct json_writer *w);
void json_put_text(struct json_writer *w, str v); /* ptr NULL: null */
void json_put_int(struct json_writer *w, s64 v);
void json_put_real(struct json_writer *w, double v);
void json_put_raw(struct json_writer *w, str json);    /* valid JSON already */
void json_put_tree(struct json_writer *w, const cJSON *v); /* as json_parse made it */
void json_put_time(struct json_writer *w, u64 utc_ns); /* RFC 3339 UTC, 0: null */
void json_object_end(struct json_writer *w);
void json_array_end(struct json_writer *w);
/* Both at once. Inline, so that a constant key's length is known when this is compiled. */
#define JSON_WITH_KEY(name, parameters, put)                                                       \
    static inline void json_##name parameters {                                                    \
        json_key(w, key ? str_of(key, __builtin_strlen(key)) : str_of(NULL, 0));                   \
        put;                                                                                       \
    }
JSON_WITH_KEY(object, (struct json_writer * w, const char *key), json_put_object(w))
JSON_WITH_KEY(array, (struct json_writer * w, const char *key), json_put_array(w))
JSON_WITH_KEY(int, (struct json_writer * w, const char *key, s64 v), json_put_int(w, v))
JSON_WITH_KEY(real, (struct json_writer * w, const char *key, double v), json_put_real(w, v))
JSON_WITH_KEY(bool, (struct json_writer * w, const char *key, bool v),
              json_put_raw(w, v ? S("true") : S("false")))
JSON_WITH_KEY(null, (struct json_writer * w, const char *key), json_put_raw(w, S("null")))
JSON_WITH_KEY(raw, (struct json_writer * w, const char *key, str json), json_put_raw(w, json))
JSON_WITH_KEY(time, (struct json_writer * w, const char *key, u64 utc_ns), json_put_time(w, utc_ns))
#undef JSON_WITH_KEY
void json_member_text(struct json_writer *w, str key, str v);
static inline void json_text(struct json_writer *w, const char *key, str v) {
    json_member_text(w, key ? str_of(key, __builtin_strlen(key)) : str_of(NULL, 0), v);
}
