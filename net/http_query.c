/* SPDX-License-Identifier: Apache-2.0 */
/* http_query.c — looking things up in a request: fields by name, query parameters by name. A name
 * asked for twice in the query gives the first; handlers that take lists walk with the _next calls.
 */
#include "net/http_impl.h"
#include "net/url.h"

bool http_field_next(const struct http_request *r, str name, u32 *at, str *value) {
    while (*at < r->field_count) {
        const struct http_field *f = &r->fields[(*at)++];
        if (f->name.len == name.len && str_eq_nocase(f->name, name)) {
            *value = f->value;
            return true;
        }
    }
    return false;
}

str http_field(const struct http_request *r, str name) {
    u32 at = 0;
    str value = {0};
    (void)http_field_next(r, name, &at, &value);
    return value;
}

bool http_query_next(str *rest, str *raw_name, str *raw_value) {
    str pair;
    while (rest->len && str_split(rest, '&', &pair)) {
        if (!pair.len) continue;
        size_t eq = str_find_byte(pair, '=');
        *raw_name = str_take(pair, eq);
        *raw_value = str_skip(pair, eq + 1);
        return true;
    }
    return false;
}

rc_t http_percent_decode(struct arena *a, str raw, bool plus_is_blank, str *out) {
    char *to = arena_alloc(a, raw.len + 1);
    if (!to) return a->starved ? RC_NO_MEMORY : RC_LIMIT;
    rc_t rc = url_decode(raw, plus_is_blank, to, out);
    if (!rc) to[out->len] = 0;
    return rc;
}

rc_t http_query(struct http_exchange *x, str name, str *out) {
    str rest = x->request->query, raw_name, raw_value, plain;
    *out = (str){0};
    while (http_query_next(&rest, &raw_name, &raw_value)) {
        bool same = str_eq(raw_name, name);
        if (!same && memchr(raw_name.ptr, '%', raw_name.len)) {
            rc_t rc = http_percent_decode(x->arena, raw_name, true, &plain);
            if (rc) return rc;
            same = str_eq(plain, name);
        }
        if (same) return http_percent_decode(x->arena, raw_value, true, out);
    }
    return RC_OK;
}
