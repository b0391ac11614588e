/* SPDX-License-Identifier: Apache-2.0 */
/* modules.c — the appliance on one page: its features in the order they start. Within a phase of
 * the request pipeline their functions run in this order too; they stop in reverse. */
#include "app/module.h"
#include "app/gateway/gateway.h"
#include "app/health/health.h"

const struct module *const modules[] = {
    &gateway_module, &health_module, NULL,
};
