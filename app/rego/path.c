/* SPDX-License-Identifier: Apache-2.0 */
/* path.c — documents named by the path of a URL.
 *
 *   /v1/data/a%2Fb/c   ->   data["a/b"].c   ->   the pointer "/a~1b/c"
 *
 * Such a path is kept as it was sent, escapes and all: that is how it is logged and how decisions
 * recorded in the log are asked again. Its parts are taken out of their escapes one by one, so a
 * slash inside a name is no end of it; what is badly escaped is meant as it stands, as with the
 * reference. */
#include "app/rego/rego_impl.h"
#include "net/url.h"

str rego_path_of(struct request *rq) {
    if (!rq->param_count) return S("");
    str target = rq->http->target, pattern = str_from_c(rq->route->pattern);
    str raw = str_take(target, str_find_byte(target, '?'));
    size_t front = str_find_byte(pattern, '{');
    bool same = str_starts(raw, str_take(pattern, front));
    raw = same && str_find_byte(raw, '%') < raw.len ? str_skip(raw, front) : rq->params[0];
    while (raw.len && raw.ptr[0] == '/') raw = str_skip(raw, 1);
    while (raw.len && raw.ptr[raw.len - 1] == '/') raw = str_take(raw, raw.len - 1);
    return raw;
}

/* One part without escapes, in the heap or as it was; ptr NULL: no memory. */
static str part_plain(struct heap *h, str part) {
    str plain;
    if (str_find_byte(part, '%') == part.len) return part;
    char *room = heap_alloc(h, part.len + 1);
    if (!room) return (str){0};
    return url_decode(part, false, room, &plain) ? part : plain;
}

rc_t rego_path_keys(struct heap *h, str path, value *keys, u32 room, u32 *count,
                    struct diag *why) {
    str rest = path, part;
    *count = 0;
    while (str_split(&rest, '/', &part)) {
        s64 number;
        if (!part.len) continue;
        if (*count == room) return RC_LIMIT;
        if (!(part = part_plain(h, part)).ptr) return RC_NO_MEMORY;
        if (str_find_byte(part, '"') < part.len) {
            str shown = str_take(part, 100);
            if (why) diag_set(why, "invalid path: invalid ref term '%.*s'", STR(shown));
            return RC_INVALID;
        }
        /* A path is text: what reads as a whole number is one, as the reference has it. */
        bool whole = str_to_s64(part, &number) == RC_OK;
        keys[(*count)++] = whole ? value_integer(number) : value_string(h, part);
    }
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

str rego_path_pointer(struct arena *a, str path) {
    struct heap h;
    str rest = path, part, out = {0};
    if (!path.len) return S("");
    char *to = arena_alloc(a, 3 * path.len + 2), *at = to;
    heap_open(&h, MIB(1));
    while (to && str_split(&rest, '/', &part)) {
        if (!(part = part_plain(&h, part)).ptr) break;
        *at++ = '/';
        for (size_t i = 0; i < part.len; i++) {
            bool escape = part.ptr[i] == '~' || part.ptr[i] == '/';
            if (escape) *at++ = '~';
            *at++ = escape ? (part.ptr[i] == '~' ? '0' : '1') : part.ptr[i];
        }
    }
    if (to && !h.exhausted) *at = 0, out = str_of(to, (size_t)(at - to));
    heap_close(&h);
    return out;
}

str rego_path_dotted(struct arena *a, str path) {
    struct heap h;
    struct buf text;
    heap_open(&h, MIB(1));
    buf_open(&text, KIB(64));
    (void)buf_add(&text, rego_path_query(&h, path));
    str out = text.failed || !text.len ? path : arena_copy(a, buf_str(&text));
    buf_close(&text);
    heap_close(&h);
    return out.ptr ? out : path;
}

str rego_path_query(struct heap *h, str path) {
    struct ast_term *terms[POLICY_PATH_DEPTH_MAX + 1];
    value keys[POLICY_PATH_DEPTH_MAX];
    struct buf text;
    u32 count;
    if (rego_path_keys(h, path, keys, ARRAY_LEN(keys), &count, NULL)) return S("");
    terms[0] = ast_var(h, NULL, S("data"));
    for (u32 i = 0; i < count; i++) terms[i + 1] = ast_scalar(h, NULL, keys[i]);
    struct ast_term *ref = ast_list(h, NULL, AST_REF, terms, count + 1);
    buf_open(&text, KIB(64));
    if (ref && !h->exhausted) ast_term_write(&text, ref);
    if (text.failed) h->exhausted = true;
    value kept = value_string(h, text.failed ? S("") : buf_str(&text));
    buf_close(&text);
    return kept.kind == VALUE_STRING ? value_str(kept) : S("");
}
