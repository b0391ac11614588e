/* SPDX-License-Identifier: Apache-2.0 */
/* access_oracle.h — who may do what, as a table and thirty lines of C: what the shipped policy
 * (app/access/authz.rego) is compared with, case by case. */
#pragma once
#include "app/access/access.h"
#include "app/config/config.h"

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
#include "tests/unit/access_rules.def"
#undef RULE
#undef RULE_IF
};

static u32 oracle_role(const struct actor *who) {
    if (who->user_id.len == 0) return GUEST;
    if (str_eq(who->role, S("admin"))) return ADMIN;
    if (str_eq(who->role, S("user"))) return USER;
    return 0;
}

static bool oracle_covers(const struct rule *r, str permission) {
    size_t n = r->permission.len;
    if (r->permission.ptr[n - 1] == '*')
        return str_starts(permission, str_take(r->permission, n - 1));
    return str_eq(r->permission, permission);
}

static bool oracle_in_states(const char *states, str state) {
    str rest = str_from_c(states), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, state)) return true;
    return false;
}

static bool oracle_fits(const struct rule *r, const struct access_question *q) {
    if (q->resource_id.len == 0) return true; /* of the kind as a whole: perhaps */
    if (r->whose == OWN &&
        (q->resource_owner.len == 0 || !str_eq(q->resource_owner, q->who->user_id)))
        return false;
    return !r->states || oracle_in_states(r->states, q->resource_state);
}

static void oracle_decide(const struct access_question *q, struct access_answer *out) {
    u32 role = oracle_role(q->who), could = 0;
    bool own = false;
    *out = (struct access_answer){false, "no rule allows this"};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *r = &rules[i];
        if (!oracle_covers(r, q->permission) || (r->option && !config_bool(r->option))) continue;
        could |= r->who;
        if (!(r->who & role)) continue;
        if (oracle_fits(r, q)) {
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
