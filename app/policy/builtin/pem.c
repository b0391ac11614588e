/* SPDX-License-Identifier: Apache-2.0 */
/* pem.c — finds the blocks of a PEM text.
 *
 *   -----BEGIN TYPE-----
 *   Header: value            (any number; skipped)
 *   base64
 *   -----END TYPE-----
 *
 * A begin line whose block is not well-formed is passed over and the search goes on behind it. Each
 * such search may run to the end of the text, so it is paid for in ticks. */
#include "app/policy/builtin/pem.h"
#include "app/policy/value/base64_text.h"

/* The line without blanks at its end, and what follows. */
static str take_line(str *rest) {
    size_t end = str_find_byte(*rest, '\n');
    str line = str_take(*rest, end);
    *rest = str_skip(*rest, end + 1);
    while (line.len && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t' ||
                        line.ptr[line.len - 1] == '\r'))
        line.len--;
    return line;
}

static bool skip_to_begin(str *rest) {
    if (str_starts(*rest, S("-----BEGIN "))) {
        *rest = str_skip(*rest, S("-----BEGIN ").len);
        return true;
    }
    size_t at = str_find(*rest, S("\n-----BEGIN "));
    if (at == rest->len) return false;
    *rest = str_skip(*rest, at + S("\n-----BEGIN ").len);
    return true;
}

static bool skip_headers(str *rest, bool *any) {
    *any = false;
    for (;;) {
        if (rest->len == 0) return false;
        str next = *rest, line = take_line(&next);
        if (str_find_byte(line, ':') == line.len) return true;
        *any = true;
        *rest = next;
    }
}

/* `body` ends where the END line of this type begins; `after` is the next line. False: no such. */
static bool find_end(str rest, str type, bool any_headers, str *body, str *after) {
    str end = S("\n-----END ");
    size_t at = 0, from = end.len - 1;
    if (any_headers || !str_starts(rest, str_skip(end, 1))) {
        at = str_find(rest, end);
        if (at == rest.len) return false;
        from = at + end.len;
    }
    str trailer = str_skip(rest, from);
    if (!str_starts(trailer, type) || !str_starts(str_skip(trailer, type.len), S("-----")))
        return false;
    *body = str_take(rest, at);
    *after = str_skip(trailer, type.len + 5);
    return take_line(after).len == 0;
}

static bool decode(struct builtin_call *c, str body, str *out) {
    char *packed = heap_alloc(c->heap, body.len + 1);
    char *bytes = heap_alloc(c->heap, BASE64_READ_ROOM(body.len));
    size_t n = 0, bad_at;
    if (!packed || !bytes) return false;
    for (size_t i = 0; i < body.len; i++)
        if (body.ptr[i] != ' ' && body.ptr[i] != '\t') packed[n++] = body.ptr[i];
    out->ptr = bytes;
    return base64_text_read(str_of(packed, n), 0, bytes, &out->len, &bad_at) == RC_OK;
}

bool pem_next(struct builtin_call *c, str *rest, struct pem_block *out) {
    str at = *rest, body, after;
    bool any_headers;
    for (;;) {
        if (!builtin_tick(c, 1 + (u32)(MIN(at.len, MIB(64)) / 64))) return false;
        if (!skip_to_begin(&at)) return false;
        str type = take_line(&at);
        if (!str_ends(type, S("-----"))) continue;
        type.len -= 5;
        if (!skip_headers(&at, &any_headers)) return false;
        if (!find_end(at, type, any_headers, &body, &after)) continue;
        if (!decode(c, body, &out->bytes)) {
            if (c->heap->exhausted) return false;
            continue;
        }
        out->type = type;
        *rest = after;
        return true;
    }
}
