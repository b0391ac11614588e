/* SPDX-License-Identifier: Apache-2.0 */
/* health.h — true values: modules register checks; readiness is their conjunction. */
#pragma once
#include "kernel/base/base.h"

enum health_state { HEALTH_STARTING, HEALTH_OK, HEALTH_DEGRADED, HEALTH_FAILED };
/* `look` runs on the loop, must not park, and says why in `detail` when not OK. `essential`:
 * readiness falls with it. Lives for ever. Looked at no more than four times a second. */
struct health_check {
    const char *name;
    bool essential;
    enum health_state (*look)(struct diag *detail);
};
rc_t health_check_add(const struct health_check *check); /* RC_LIMIT; harmless when added already */
bool health_ready(void);
enum health_state health_overall(void);
/* "starting" "healthy" "degraded" "unhealthy" */
const char *health_state_name(enum health_state s);
/* `answer` answers a /health that is asked in the reference's way (`?bundles`, `?plugins`); false:
 * it was not, and nothing was said. */
struct request;
void health_engine_set(bool (*answer)(struct request *rq));
/* Why the database could not be opened at boot; empty: it could. */
void health_storage_failed(const char *why);
/* Members of the object that is open: used_bytes, heap_bytes, pressure_percent, budgets. */
struct json_writer;
void health_memory_json(struct json_writer *w);

extern const struct module health_module;
