/* SPDX-License-Identifier: Apache-2.0 */
/* cors.h — other origins that may ask (cors.c). */
#pragma once
#include "app/gateway/proxy.h"

/* The method a preflight asks about; ptr NULL: it is none. */
str cors_asks_for(const struct request *rq);
void cors_preflight(struct request *rq, const struct edge_cors *c); /* answers 204 */
void cors_answer(struct request *rq, const struct edge_cors *c); /* fields for what follows */
