/* SPDX-License-Identifier: Apache-2.0 */
/* access.c — may they? One function answers every question of every service: what the policy
 * data.openpolicy.authz says (engine.c). Nothing else in the appliance compares roles.
 *
 *   PHASE_POLICY   every route's permission, on the kind as a whole: could they ever? Rules about
 *                  owner and state pass here. A public route that names no permission is asked
 *                  about as "public:route:use". Only probes are not asked about.
 *   the handler    asks again with the thing in hand (access_check), and that answer is final.
 *
 * A route's `access` is what the shipped policy says of it, for documents and tests; it decides
 * nothing.
 *
 * Always true: no rule, no permission; an unknown role is nobody; a guest gets 401 (sign in),
 * others 403 with the reason; a refused person leaves an audit row (one per ten seconds for the
 * same question, so that refusals cannot be used to fill the disk). */
#include "app/access/access_impl.h"
#include "app/audit/audit.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

/* ---- Refusing -------------------------------------------------------------------------------- */

enum { REFUSALS = 64, REFUSAL_QUIET_S = 10 };
static struct { u64 hash, at_ns; } refusals[REFUSALS]; /* the newest question of each slot */

static bool refused_lately(const struct request *rq, str permission, str resource_id) {
    u64 hash = str_hash(rq->actor.user_id, str_hash(permission, str_hash(resource_id, 1)));
    u64 now = platform_clock_ns();
    bool again = refusals[hash % REFUSALS].hash == hash &&
                 now - refusals[hash % REFUSALS].at_ns < REFUSAL_QUIET_S * NS_PER_S;
    if (again) return true;
    refusals[hash % REFUSALS].hash = hash;
    refusals[hash % REFUSALS].at_ns = now;
    return false;
}

static void refuse(struct request *rq, str permission, str resource_id, const char *why) {
    metric_add(METRIC_ACCESS_DENIED, 1);
    if (rq->actor.user_id.len == 0) {
        rc_t rc = http_answer_field(rq->x, S("WWW-Authenticate"), S("Bearer realm=\"openpolicy\""));
        (void)rc; /* without the field the status still says it */
        reply_problem(rq, 401, "sign_in_required", "Access refused: %s.", why);
        return;
    }
    if (!refused_lately(rq, permission, resource_id)) {
        struct audit_event event = {
            .action = "access.denied",
            .resource = resource_id.len ? resource_id : rq->http->path,
            .result = "denied",
            .detail = arena_printf(rq->arena, "{\"permission\":\"%.*s\",\"why\":\"%s\"}",
                                   STR(permission), why),
        };
        rc_t rc = audit_add_alone(rq, &event);
        if (rc) log_error("access", "a refusal could not be audited", "rc=%s", rc_name(rc));
    }
    reply_problem(rq, 403, "access_denied", "Access refused: %s.", why);
}

static access_log_fn *logger;
void access_logger_use(access_log_fn *fn) { logger = fn; }

static void log_decision(const struct request *rq, const struct access_question *q, bool allowed) {
    struct facts f;
    struct heap h;
    heap_open(&h, KIB(64));
    facts_of(&f, FACTS_ALL, rq, q);
    value input = facts_value(&h, &f, platform_wall_ns());
    if (!h.exhausted) logger(rq, input, allowed);
    heap_close(&h);
}

bool access_check(struct request *rq, str permission, str resource_id, str owner, str state) {
    struct access_question q = {&rq->actor, permission, resource_id, owner, state};
    struct access_answer answer;
    access_decide_for(rq, &q, &answer);
    if (facts_logged && logger) log_decision(rq, &q, answer.allowed);
    if (answer.allowed) return true;
    refuse(rq, permission, resource_id, answer.why);
    return false;
}

/* ---- The module ------------------------------------------------------------------------------ */

#define PERMISSION_PUBLIC "public:route:use"

static const struct module *const *covered;
const struct module *const *access_modules(void) { return covered; }

str access_permission_of(const struct route *r) {
    return str_from_c(r->permission ? r->permission : PERMISSION_PUBLIC);
}

static rc_t access_phase(struct request *rq) {
    const struct route *route = rq->route;
    str none = str_of(NULL, 0);
    if (!route) return RC_PASS;
    if (!access_check(rq, access_permission_of(route), none, none, none)) return RC_DENIED;
    rq->allowed = true;
    return RC_OK;
}

rc_t access_cover(const struct module *const *list, struct diag *why) {
    value roles = access_shipped_roles();
    covered = list;
    for (const struct module *const *m = list; *m; m++)
        for (const struct route *r = (*m)->routes; r && r->pattern; r++) {
            if (!access_known(roles, access_permission_of(r))) {
                diag_set(why, "no access rule for %s (%s): add one to app/access/authz.rego",
                         r->permission, r->pattern);
                return RC_INVALID;
            }
            if (!r->permission && r->access != ACCESS_PUBLIC) {
                diag_set(why, "the route %s names no permission", r->pattern);
                return RC_INVALID;
            }
        }
    return RC_OK;
}

static rc_t access_start(struct diag *why) {
    (void)why;
    facts_follow_settings();
    access_guard_start();
    return RC_OK;
}

const struct module access_module = {
    .name = "access",
    .start = access_start,
    .routes = access_routes,
    .schemas = access_schemas,
    .phases = {[PHASE_POLICY] = access_phase},
};
