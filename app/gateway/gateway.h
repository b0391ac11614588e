/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.h — from an HTTP exchange to a module's handler and back, one phase after the other.
 * Used by app/main.c only; features never call it. */
#pragma once
#include "app/module.h"

/* Gathers routes and phases of all modules. RC_*: a table is wrong, and `why` names the route. */
rc_t gateway_build(const struct module *const *list, struct diag *why);
/* Routes of a module answer 503 until it was told to have started. */
void gateway_module_started(const struct module *m, bool started);
void gateway_handle(struct http_exchange *x, void *arg);          /* port 443, or 80 when plain */
void gateway_handle_redirect(struct http_exchange *x, void *arg); /* port 80 otherwise */
/* 0 until the first answer to a request left: platform clock. */
u64 gateway_first_answer_ns(void);
void gateway_on_first_answer(void (*fn)(void));

extern const struct module gateway_module, idempotency_module, proxy_module;
