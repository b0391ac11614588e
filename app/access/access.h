/* SPDX-License-Identifier: Apache-2.0 */
/* access.h — may they? Every question of every service is answered here, by the Rego policy
 * data.openpolicy.authz: the one shipped (authz.rego), or one that was put in its place. Default:
 * no. */
#pragma once
#include "app/module.h"

struct access_question {
    const struct actor *who;
    str permission;     /* "policies:document:update": service:resource:verb */
    str resource_id;    /* empty: the kind as a whole (could they ever?) */
    str resource_owner; /* user id, empty: nobody's */
    str resource_state; /* e.g. a document's status; empty: none */
};
struct access_answer {
    bool allowed;
    const char *why; /* a sentence that lives for ever: the rule that decided */
};
void access_decide(const struct access_question *q, struct access_answer *out);
/* The same of a request: policies that look at its path, address or method need it. */
void access_decide_for(const struct request *rq, const struct access_question *q,
                       struct access_answer *out);
/* Asks for the current request's actor; not allowed: answers 401 or 403 with the reason, audits
 * the denial, returns false. */
bool access_check(struct request *rq, str permission, str resource_id, str owner, str state);
/* Organisations: what belongs to one is reached by its members, and by administrators who are in
 * none; what belongs to none, by everybody the policy lets. */
static inline bool access_reaches(const struct actor *who, str org_id) {
    if (!org_id.len || str_eq(who->org_id, org_id)) return true;
    return !who->org_id.len && str_eq(who->role, S("admin"));
}
/* At start: a route whose permission no rule names would be shut to everyone. RC_INVALID names it.
 */
rc_t access_cover(const struct module *const *list, struct diag *why);

/* ---- For whoever keeps policies (app/rego) ---- */

#define ACCESS_POLICY_ID "openpolicy/authz" /* reserved for policies of package openpolicy.authz */
struct access_policy;
struct policy_program;
struct value; /* app/policy/value/value.h */
/* What these policies say of access; *out NULL: nothing, the shipped policy decides. `program`
 * must outlive it. */
rc_t access_policy_make(struct policy_program *program, struct access_policy **out);
void access_policy_drop(struct access_policy *p); /* NULL is fine */
/* Would an administrator still get in? Asked before a change; false: `why` is a sentence. `rq`
 * NULL: nobody asks for the change. `p` NULL: the shipped policy, with this data. */
bool access_policy_admits(const struct access_policy *p, struct value data,
                          const struct request *rq, struct diag *why);
/* From now on these decide, until the next call; the caller keeps both alive till then. When they
 * would shut everybody out the shipped policy decides, and that is said loudly. Parks to write an
 * audit row when it is. `p` NULL: the shipped one; `data` UNDEFINED: without data. */
void access_policy_use(const struct access_policy *p, struct value data);
/* As above, with the shipped policy, because of what `why` says. */
void access_policy_refuse(struct value data, const char *why);
str access_policy_text(void); /* the shipped one */
/* Who keeps policies can also explain them: asks `shipped`, or when that is NULL the stored
 * policies, with the data in force; `report` is app/policy/why.h's, in `h`. Parks. */
struct heap;
typedef rc_t access_explain_fn(struct heap *h, struct policy_program *shipped, str path,
                               struct value input, struct value *report);
void access_explainer_use(access_explain_fn *fn); /* NULL: nobody */
struct policy_program *access_shipped_program(void);
struct policy_program *access_shipped_watched(void); /* to be explained; NULL: no memory */
/* Told of each decision on a request while access.decisions is on. */
typedef void access_log_fn(const struct request *rq, struct value input, bool allowed);
void access_logger_use(access_log_fn *fn); /* NULL: nobody */

/* ---- For whoever keeps accounts and routes ---- */

struct access_directory { /* texts in the arena; both may park */
    u32 (*administrators)(struct arena *a, struct actor *to, u32 room); /* the active ones */
    bool (*account)(struct arena *a, str id_or_email, struct actor *out);
};
void access_directory_use(const struct access_directory *d); /* lives for ever */
/* The route a request would take; NULL: none. */
void access_router_use(const struct route *(*find)(enum http_method method, str path));

extern const struct module access_module;
