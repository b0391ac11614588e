/* SPDX-License-Identifier: Apache-2.0 */
/* mirror.h — copies of requests (mirror.c). */
#pragma once
#include "app/gateway/proxy.h"

struct mirror;
/* A copy of what is about to be sent; NULL: the route wants none, or it cannot be had. */
struct mirror *mirror_begin(const struct gateway_route *g, const struct http_client_pass *p);
void mirror_body(struct mirror **m, str bytes); /* *m becomes NULL when it is too much */
void mirror_send(struct mirror *m);             /* NULL is fine; it is gone for the caller */
void mirror_drop(struct mirror *m);
