/* SPDX-License-Identifier: Apache-2.0 */
/* compress.h — gzip on the way to the client (compress.c). */
#pragma once
#include "app/gateway/proxy.h"

struct compress;
bool compress_wanted(const struct request *rq, const struct edge_route *e,
                     const struct http_client_answer *a);
struct compress *compress_open(struct arena *a); /* NULL: no memory; ends with the arena */
/* Codes and sends; parks. The last call has `end`. */
rc_t compress_write(struct compress *c, struct http_exchange *x, str bytes, bool end);
