/* SPDX-License-Identifier: Apache-2.0 */
/* modules.c — the appliance on one page: its features in the order they start. Within a phase of
 * the request pipeline their functions run in this order too; they stop in reverse. */
#include "app/module.h"
#include "app/access/access.h"
#include "app/audit/audit.h"
#include "app/auth/auth.h"
#include "app/backup/backup.h"
#include "app/cache/cache.h"
#include "app/config/config.h"
#include "app/data/data.h"
#include "app/gateway/gateway.h"
#include "app/health/health.h"
#include "app/logs/logs.h"
#include "app/metrics/metrics.h"
#include "app/openapi/openapi.h"
#include "app/policies/policies.h"
#include "app/rego/rego.h"
#include "app/scim/scim.h"
#include "app/system/system.h"
#include "app/tls/certificate.h"
#include "app/web/web.h"

const struct module *const modules[] = {
    &health_module,      /* first: the probes answer whatever else fails */
    &gateway_module,     /* phases ROUTE, LIMIT, CONTENT, LOG */
    &config_module,      /* stored settings, before anything reads one */
    &metrics_module,     &logs_module,   &system_module, &openapi_module, &web_module,
    &audit_module,       /* before whoever writes audit rows */
    &backup_module,      /* before anybody is let in: a restore ends all sessions */
    &auth_module,        /* phase AUTH: who is asking; first setup */
    &scim_module,        /* accounts and groups as a directory keeps them */
    &access_module,      /* phase POLICY: may they? */
    &tls_module,         /* our certificate */
    &idempotency_module, &policies_module,
    &rego_module,        /* policies in Rego, and decisions */
    &data_module,        /* collections of records */
    &proxy_module,       /* servers behind us */
    &cache_module,       /* keys and values, spoken to over RESP */
    &cache_users_module, /* who may, from the database */
    NULL,
};
