/* SPDX-License-Identifier: Apache-2.0 */
/* http_request.h — what http.send and those who sign its requests share: the request's members and
 * its address. */
#pragma once
#include "app/policy/builtin/builtin_impl.h"

/* The members of a request: only known ones, and a method and an url among them. */
bool http_check_request(struct builtin_call *c, value request, u32 position);
/* "operand N <words>: {"a", "b"}", a type error; false. */
bool http_fail_set(struct builtin_call *c, u32 position, const char *words, value set);

struct http_url {
    str scheme, host; /* host with its port */
    str path;         /* escaped; may be empty */
    str query;
};
bool http_url_read(struct builtin_call *c, str text, struct http_url *out);
