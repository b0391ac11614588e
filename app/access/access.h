/* SPDX-License-Identifier: Apache-2.0 */
/* access.h — may they? Every question of every service is answered here, by roles for now; the
 * policy engine takes this place over later without any caller changing. Default: no. */
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
    const char *why; /* a constant sentence: the rule that decided */
};
void access_decide(const struct access_question *q, struct access_answer *out);
/* Asks for the current request's actor; not allowed: answers 401 or 403 with the reason, audits
 * the denial, returns false. */
bool access_check(struct request *rq, str permission, str resource_id, str owner, str state);
bool access_known(str permission); /* is there any rule for it? */
/* At start: a route whose permission no rule names would be shut to everyone. RC_INVALID names it.
 */
rc_t access_cover(const struct module *const *list, struct diag *why);

extern const struct module access_module;
