/* SPDX-License-Identifier: Apache-2.0 */
/* gateway_impl.h — what the files of this folder share. */
#pragma once
#include "app/gateway/gateway.h"
#include "app/gateway/router.h"

const struct module *const *gateway_list(void); /* as given to gateway_build */
bool gateway_module_runs(const struct module *m);
rc_t pipeline_route(struct request *rq);  /* PHASE_ROUTE: path, method, query parameters */
rc_t query_check(struct request *rq);     /* 400 for what the route does not list */
rc_t load_limit(struct request *rq);      /* PHASE_LIMIT: sheds what we could not finish */
u64 load_lag_us(void);                    /* the loop's, lately; 0 while nobody asks anything */
u32 load_memory_percent(void);
/* Around the handler when the request bears an Idempotency-Key. RC_OK: run the handler. */
rc_t idempotency_begin(struct request *rq);
void idempotency_end(struct request *rq);
/* Routes to upstreams (front.c). RC_OK: rq->route is one; RC_PASS: none fits, and methods that one
 * has for this path are in *allow; RC_NO_MEMORY; RC_CLOSED: answered. `named`: only routes that
 * name hosts. */
rc_t front_route(struct request *rq, bool named, u32 *allow);
struct json_writer;
void front_write(struct json_writer *w); /* routes, upstreams, tunnels: members of an object */
void gateway_table_changed(bool any, bool named); /* routes to upstreams; some name hosts */
const struct route *gateway_own_route(enum http_method method, str path); /* NULL: none */
extern const struct route gateway_routes[];
extern const struct module_schema gateway_schemas[];
