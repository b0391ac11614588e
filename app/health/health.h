/* SPDX-License-Identifier: Apache-2.0 */
/* health.h — true values: modules register checks; readiness is their conjunction. */
#pragma once
#include "kernel/base/base.h"

enum health_state { HEALTH_STARTING, HEALTH_OK, HEALTH_DEGRADED, HEALTH_FAILED };
/* `look` runs on the loop, must not park, and says why in `detail` when not OK. `essential`:
 * readiness falls with it. Lives for ever. */
struct health_check {
    const char *name;
    bool essential;
    enum health_state (*look)(struct diag *detail);
};
rc_t health_check_add(const struct health_check *check);
bool health_ready(void);
