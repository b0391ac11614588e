/* SPDX-License-Identifier: Apache-2.0 */
/* health_impl.h — what the files of this folder share. */
#pragma once
#include "app/health/health.h"
#include "app/reply.h"

enum { HEALTH_CHECKS_MAX = 24 };
struct health_seen { /* one check and what it said last */
    const struct health_check *check;
    enum health_state state;
    struct diag detail;
    u64 since_ns, last_ns, took_ns; /* platform clock */
    u32 failures;                   /* in a row */
};
u32 health_look(const struct health_seen **out); /* refreshed if older than a quarter second */
rc_t health_checks_start(void);                  /* registers the appliance's own (checks.c) */
void health_write_values(struct json_writer *w); /* database, memory, network, loop (checks.c) */
