/* SPDX-License-Identifier: Apache-2.0 */
/* limit.h — rate limits of gateway.routes (limit.c). */
#pragma once
#include "app/gateway/proxy.h"

LIMIT(GATEWAY_LIMIT_SLOTS, 65536, 256) /* stamps of 16 bytes; fewer on small machines */

/* Charges the request to those of these rules that go by who asks (`with_actor`, after AUTH) or to
 * the others. RC_OK, RC_PASS: go on; else an answer was given (429, 503). */
rc_t limit_charge(struct request *rq, const struct edge *e, const u32 *rules, u32 count,
                  bool with_actor);
bool limit_wants_actor(const struct edge_limit *l);
void limit_forget(void); /* all stamps */
