/* SPDX-License-Identifier: Apache-2.0 */
/* server.h — the listener and what drives the clients. */
#pragma once
#include "kernel/base/base.h"

struct client;
rc_t server_open(void);
void server_close(void);                  /* ends all connections */
rc_t server_listen(u16 port, bool tls);   /* harmless when listening; RC_CONFLICT: the port */
void server_unlisten(void);
bool server_listening(bool tls);
void server_arm(void);                    /* looks when something is next due */

/* Settings that bound clients (settings.c). */
u64 bulk_limit(void);
u64 query_limit(void);
u32 clients_limit(void);
void output_limits(const struct client *c, u64 *hard, u64 *soft, u64 *soft_seconds); /* 0: none */
void server_tick(void); /* ten times a second: samples for INFO, latency */
