/* SPDX-License-Identifier: Apache-2.0 */
/* json_text.h — values from and to JSON text (RFC 8259), exactly: numbers keep their text, strings
 * all of Unicode. */
#pragma once
#include "app/policy/value/value.h"

struct intern; /* intern.h; may be NULL */

/* One document and nothing after it but blanks. Invalid UTF-8 and lone surrogates become U+FFFD as
 * the reference does; of repeated keys the last wins. RC_INVALID with the place and the reason in
 * `why`; RC_LIMIT: deeper than JSON_VALUE_DEPTH_MAX; RC_NO_MEMORY: the heap is exhausted. */
rc_t json_text_read(struct heap *h, struct intern *names, str text, value *out, struct diag *why);

enum {
    JSON_TEXT_INDENT = 1,      /* two blanks per level, as the reference's pretty output */
    JSON_TEXT_ESCAPE_HTML = 2, /* < > & as escapes: what Go's encoder does unless told not to */
};
/* Sets as arrays; keys that are not strings as the JSON text of them. Fails only with `to`. */
void json_text_write(struct buf *to, value v, unsigned flags);
void json_text_write_string(struct buf *to, str text, unsigned flags);
/* As the language writes a value: sets in braces `{1, 2}`, `set()` when empty. */
void value_write(struct buf *to, value v);
