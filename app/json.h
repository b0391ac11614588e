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

/* Commas and escapes are the writer's; calls follow the document's order. `key` NULL in arrays. */
struct json_writer {
    struct buf out;
    bool comma;
    u32 depth;
};
void json_open(struct json_writer *w, size_t bytes_max);
void json_close(struct json_writer *w); /* frees */
void json_object(struct json_writer *w, const char *key);
void json_object_end(struct json_writer *w);
void json_array(struct json_writer *w, const char *key);
void json_array_end(struct json_writer *w);
void json_text(struct json_writer *w, const char *key, str value); /* ptr NULL: null */
void json_int(struct json_writer *w, const char *key, s64 value);
void json_real(struct json_writer *w, const char *key, double value);
void json_bool(struct json_writer *w, const char *key, bool value);
void json_null(struct json_writer *w, const char *key);
void json_raw(struct json_writer *w, const char *key, str json); /* valid JSON already */
void json_time(struct json_writer *w, const char *key, u64 utc_ns); /* RFC 3339 UTC, 0: null */
