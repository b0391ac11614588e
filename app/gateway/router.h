/* SPDX-License-Identifier: Apache-2.0 */
/* router.h — paths to routes. Patterns: literal segments, {id} for one segment, {rest...} at the
 * end for all that follows. Built once at boot; finding allocates nothing and changes nothing. */
#pragma once
#include "app/module.h"

#define ROUTE_SEGMENTS_MAX 16u

struct router;
struct router_match {
    const struct route *route;
    const struct module *module;
    const char *pattern;
    u32 allow; /* bit per enum http_method; GET brings HEAD; OPTIONS always */
    str params[ROUTE_PARAMS_MAX]; /* views into the path */
    u32 param_count;
};

rc_t router_open(struct router **out); /* RC_NO_MEMORY */
/* RC_INVALID: malformed pattern; RC_CONFLICT: method and pattern exist; RC_LIMIT. */
rc_t router_add(struct router *r, const struct module *m, const struct route *route);
/* RC_NOT_FOUND: no such path. RC_DENIED: the path exists, the method does not (out->allow
 * tells). */
rc_t router_find(const struct router *r, enum http_method method, str path,
                 struct router_match *out);
void router_close(struct router *r);
