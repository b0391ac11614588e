/* SPDX-License-Identifier: Apache-2.0 */
/* access.c — may they? One function answers every question of every service from one table
 * (rule.def). Nothing else in the appliance compares roles.
 *
 *   PHASE_POLICY   the route's floor (public, user, admin), then its permission on the kind as a
 *                  whole: could somebody of this role ever? Rules about owner and state pass here;
 *   the handler    asks again with the thing in hand (access_check), and that answer is final.
 *
 * Always true: no rule, no permission; an unknown role is nobody; a guest gets 401 (sign in),
 * others 403 with the reason; a refused person leaves an audit row (one per ten seconds for the
 * same question, so that refusals cannot be used to fill the disk). */
#include "app/access/access.h"
#include "app/audit/audit.h"
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"
#include "app/scope.h"
#include "kernel/base/log.h"
#include "kernel/platform.h"

enum { GUEST = 1, USER = 2, ADMIN = 4 };
enum whose { ANY, OWN };
struct rule {
    str permission;
    u32 who;
    enum whose whose;
    const char *states;
    const char *option; /* a switch of the configuration that must be on; NULL: none */
    const char *why;
};
static const struct rule rules[] = {
#define RULE(permission, who, whose, states, why)                                                  \
    {{permission, sizeof permission - 1}, who, whose, states, NULL, why},
#define RULE_IF(option, permission, who, whose, states, why)                                       \
    {{permission, sizeof permission - 1}, who, whose, states, option, why},
#include "app/access/rule.def"
#undef RULE
#undef RULE_IF
};

static u32 role_of(const struct actor *who) {
    if (who->user_id.len == 0) return GUEST;
    if (str_eq(who->role, S("admin"))) return ADMIN;
    if (str_eq(who->role, S("user"))) return USER;
    return 0;
}

static bool covers(const struct rule *r, str permission) {
    size_t n = r->permission.len;
    if (r->permission.ptr[n - 1] == '*')
        return str_starts(permission, str_take(r->permission, n - 1));
    return str_eq(r->permission, permission);
}

static bool in_states(const char *states, str state) {
    str rest = str_from_c(states), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, state)) return true;
    return false;
}

static bool fits(const struct rule *r, const struct access_question *q) {
    if (q->resource_id.len == 0) return true; /* of the kind as a whole: perhaps */
    if (r->whose == OWN &&
        (q->resource_owner.len == 0 || !str_eq(q->resource_owner, q->who->user_id)))
        return false;
    return !r->states || in_states(r->states, q->resource_state);
}

bool access_known(str permission) {
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (covers(&rules[i], permission)) return true;
    return false;
}

void access_decide(const struct access_question *q, struct access_answer *out) {
    u32 role = role_of(q->who), could = 0;
    bool own = false;
    if (q->who->scopes.ptr && !scope_allows(q->who->scopes, q->permission)) {
        *out = (struct access_answer){false, "the scopes of this key or token do not cover this"};
        return;
    }
    *out = (struct access_answer){false, "no rule allows this"};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        if (!covers(r, q->permission) || (r->option && !config_bool(r->option))) continue;
        could |= r->who;
        if (!(r->who & role)) continue;
        if (fits(r, q)) {
            *out = (struct access_answer){true, r->why};
            return;
        }
        own |= r->whose == OWN;
    }
    if (could == 0) return;
    if (role == GUEST)
        out->why = "guests may not do this: sign in first";
    else if (own)
        out->why = "only its author or an administrator may do this";
    else if (could == ADMIN)
        out->why = "only an administrator may do this";
    else
        out->why = "your role does not allow this";
}

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

bool access_check(struct request *rq, str permission, str resource_id, str owner, str state) {
    struct access_question q = {&rq->actor, permission, resource_id, owner, state};
    struct access_answer answer;
    access_decide(&q, &answer);
    if (answer.allowed) return true;
    refuse(rq, permission, resource_id, answer.why);
    return false;
}

/* ---- The module ------------------------------------------------------------------------------ */

static rc_t access_phase(struct request *rq) {
    const struct route *route = rq->route;
    if (!route) return RC_PASS;
    u32 role = role_of(&rq->actor);
    str permission = str_from_c(route->permission);
    if (route->access == ACCESS_USER && !(role & (USER | ADMIN))) {
        refuse(rq, permission, str_of(NULL, 0), "guests may not do this: sign in first");
        return RC_DENIED;
    }
    if (route->access == ACCESS_ADMIN && role != ADMIN) {
        refuse(rq, permission, str_of(NULL, 0),
               role == GUEST ? "guests may not do this: sign in first"
                             : "only an administrator may do this");
        return RC_DENIED;
    }
    str none = str_of(NULL, 0);
    if (permission.len && !access_check(rq, permission, none, none, none)) return RC_DENIED;
    rq->allowed = true;
    return RC_OK;
}

rc_t access_cover(const struct module *const *list, struct diag *why) {
    for (const struct module *const *m = list; *m; m++)
        for (const struct route *r = (*m)->routes; r && r->pattern; r++) {
            if (r->permission && !access_known(str_from_c(r->permission))) {
                diag_set(why, "no access rule for %s (%s): add one to app/access/rule.def",
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

const struct module access_module = {
    .name = "access",
    .phases = {[PHASE_POLICY] = access_phase},
};
