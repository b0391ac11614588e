/* SPDX-License-Identifier: Apache-2.0 */
/* guard.c — nobody may shut the last administrator out.
 *
 *   change --access_policy_admits--> refused, or made --access_policy_use--> decides from now
 *                                                             `--> shuts out: the shipped one does
 *
 * A policy admits when at least one administrator may, by it: sign in, read and replace the policy
 * and its data, list and change accounts. They are tried as they are (the one who asks for the
 * change first), at the address the request came from, and now.
 *
 * What was stored was tried when it was put. At start it is tried once more, since it may come from
 * a backup, a bundle, an older version: with the shipped policy in its place if it shuts everybody
 * out or fails. One whose answers depend on the address or the time is then only required not to
 * fail: the start has neither. Whoever locked themselves out that way starts the machine with
 * access.shipped on. */
#include "app/access/access_impl.h"
#include "app/audit/audit.h"
#include "app/config/config.h"
#include "app/health/health.h"
#include "kernel/base/log.h"
#include "kernel/core/console.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"
#include "net/stream.h"

enum { ADMINISTRATORS_MAX = 16 };

static struct {
    const struct access_directory *directory; /* NULL: no accounts yet */
    struct diag refused; /* why the stored policy does not decide; empty: it does */
    const struct access_policy *used; /* what was used last, and found to admit */
    u64 used_data;
} guard;

void access_directory_use(const struct access_directory *d) { guard.directory = d; }
const struct access_directory *access_directory(void) { return guard.directory; }

const char *access_refused(void) { return guard.refused.text[0] ? guard.refused.text : NULL; }

/* ---- Trying ---- */

#define AUTHZ_POLICY "/v1/policies/" ACCESS_POLICY_ID
static const struct need {
    const char *method, *path, *route, *permission;
    bool guest; /* before they are signed in */
} needs[] = {
    {"POST", "/api/v1/auth/login", "/api/v1/auth/login", "public:route:use", true},
    {"GET", AUTHZ_POLICY, "/v1/policies/{id...}", "rego:policy:write", false},
    {"PUT", AUTHZ_POLICY, "/v1/policies/{id...}", "rego:policy:write", false},
    {"DELETE", AUTHZ_POLICY, "/v1/policies/{id...}", "rego:policy:write", false},
    {"PUT", "/v1/data/openpolicy/authz", "/v1/data/{path...}", "rego:policy:write", false},
    {"GET", "/api/v1/auth/users", "/api/v1/auth/users", "auth:user:list", false},
    {"PUT", "/api/v1/auth/users/", "/api/v1/auth/users/{id}", "auth:user:update", false},
};

static bool lets_in(const struct access_policy *p, value data, const struct actor *who,
                    const struct request *rq, bool *failed, struct diag *why) {
    static const struct actor guest;
    for (size_t i = 0; i < ARRAY_LEN(needs); i++) {
        const struct need *n = &needs[i];
        struct access_question q = {.who = n->guest ? &guest : who,
                                    .permission = str_from_c(n->permission)};
        struct access_answer answer;
        struct diag error = {0};
        struct facts f;
        facts_of(&f, FACTS_ALL, NULL, &q);
        f.text[FACT_METHOD] = str_from_c(n->method);
        f.text[FACT_PATH] = str_from_c(n->path);
        f.text[FACT_ROUTE] = str_from_c(n->route);
        f.text[FACT_ADDRESS] = rq ? net_address_text(&rq->http->peer, f.address, sizeof f.address)
                                  : S("127.0.0.1");
        if (!rq || rq->http->secure) f.flags |= FACT_BIT(SECURE);
        if (rq) facts_of_client(&f, rq);
        rc_t rc = access_ask(p, data, &f, &answer, &error);
        if (answer.allowed) continue;
        *failed |= rc != RC_OK;
        diag_set(why, "%s %s would be refused to %s: %s", n->method, n->path,
                 n->guest ? "a guest" : "an administrator", rc ? error.text : answer.why);
        return false;
    }
    return true;
}

static struct actor as_administrator(const struct actor *known, const struct request *rq) {
    struct actor a = known ? *known : (struct actor){.user_id = S("administrator")};
    a.role = S("admin");
    a.kind = ACTOR_USER;
    a.scopes = str_of(NULL, 0);
    a.mfa = rq ? rq->actor.mfa : true;
    return a;
}

static bool same_as_used(const struct access_policy *p, value data) {
    value seen = p->shipped ? value_get_str(data, S("openpolicy")) : data;
    return p == guard.used && seen.bits == guard.used_data && guard.used;
}

/* `*failed`: it could not be evaluated. */
static bool admits(const struct access_policy *p, value data, const struct request *rq,
                   bool *failed, struct diag *why) {
    struct actor known[ADMINISTRATORS_MAX], who;
    struct arena arena;
    *failed = false;
    if (rq && str_eq(rq->actor.role, S("admin")) && rq->actor.user_id.len) {
        who = as_administrator(&rq->actor, rq);
        if (lets_in(p, data, &who, rq, failed, why)) return true;
    }
    arena_open(&arena, NULL, 0, KIB(64));
    u32 count = guard.directory && fiber_inside()
                    ? guard.directory->administrators(&arena, known, ADMINISTRATORS_MAX) : 0;
    bool any = false;
    for (u32 i = 0; i < count && !any; i++) {
        who = as_administrator(&known[i], rq);
        any = lets_in(p, data, &who, rq, failed, why);
    }
    if (!count) { /* none yet: the one that setup will make */
        who = as_administrator(NULL, rq);
        any = lets_in(p, data, &who, rq, failed, why);
    }
    arena_close(&arena);
    return any;
}

bool access_policy_admits(const struct access_policy *p, value data, const struct request *rq,
                          struct diag *why) {
    struct diag reason = {0};
    bool failed;
    if (!p) p = access_shipped();
    if (same_as_used(p, data) || admits(p, data, rq, &failed, &reason)) return true;
    diag_set(why, "this would shut every administrator out, so nothing was changed: %s",
             reason.text);
    return false;
}

/* ---- Using ---- */

static void say_refused(const char *why) {
    bool news = strcmp(guard.refused.text, why) != 0;
    diag_set(&guard.refused, "%s", why);
    if (!news) return;
    log_error("access", "the stored access policy is not used; the shipped one decides", "why=%s",
              LOGSTR(str_from_c(why)));
    console_print("ACCESS POLICY NOT USED: %s\nThe shipped one decides until it is corrected.\n",
                  why);
    if (!fiber_inside()) return;
    struct audit_event event = {.action = "access.safe_mode", .resource = S(ACCESS_POLICY_ID),
                                .result = "failed"};
    rc_t rc = audit_add_alone(NULL, &event);
    if (rc) log_error("access", "that could not be audited", "rc=%s", rc_name(rc));
}

static bool may_use(const struct access_policy *p, value data, struct diag *why) {
    bool failed;
    if (same_as_used(p, data) || admits(p, data, NULL, &failed, why)) return true;
    return !failed && !p->shipped && p->reads & (FACT_BIT(ADDRESS) | FACT_BIT(NOW));
}

static void decide_with(const struct access_policy *p, value data) {
    guard.used = p;
    guard.used_data = (p->shipped ? value_get_str(data, S("openpolicy")) : data).bits;
    access_engine_use(p, data);
}

/* The shipped policy, with the data if they do no harm. False: they did. */
static bool use_shipped(value data, struct diag *why) {
    const struct access_policy *shipped = access_shipped();
    bool harmless = may_use(shipped, data, why);
    decide_with(shipped, harmless ? data : value_empty_object());
    return harmless;
}

void access_policy_use(const struct access_policy *p, value data) {
    struct diag why = {0};
    if (!value_defined(data)) data = value_empty_object();
    if (config_bool("access.shipped")) {
        decide_with(access_shipped(), value_empty_object());
        say_refused("the option access.shipped is on");
        return;
    }
    bool as_stored = p ? may_use(p, data, &why) : use_shipped(data, &why);
    if (p && as_stored) decide_with(p, data);
    if (as_stored) {
        guard.refused.text[0] = 0;
        return;
    }
    struct diag also = {0};
    if (p) (void)use_shipped(data, &also);
    say_refused(why.text);
}

void access_policy_refuse(value data, const char *why) {
    struct diag also = {0};
    (void)use_shipped(value_defined(data) ? data : value_empty_object(), &also);
    say_refused(why);
}

/* ---- Health ---- */

static enum health_state look(struct diag *detail) {
    if (!guard.refused.text[0]) return HEALTH_OK;
    diag_set(detail, "safe mode, the shipped access policy decides: %s", guard.refused.text);
    return HEALTH_DEGRADED;
}

void access_guard_start(void) {
    static const struct health_check check = {"access", false, look};
    rc_t rc = health_check_add(&check);
    if (rc) log_error("access", "no health check", "rc=%s", rc_name(rc));
}
