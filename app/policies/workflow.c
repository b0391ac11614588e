/* SPDX-License-Identifier: Apache-2.0 */
/* workflow.c — the life of a document, as a table.
 *
 *    draft -> under_review -> approved -> published -> archived
 *      ^           |
 *      |           v
 *      +------- rejected
 *
 * Content can change until it is approved; what was approved is what is published. Who may take a
 * step is access_decide's question: an author submits and takes back, an administrator judges. */
#include "app/policies/policies_impl.h"

static const struct {
    const char *name;
    u32 next; /* bits of enum status */
    bool editable;
    const char *permission; /* to arrive here */
} table[STATUS_COUNT] = {
    [STATUS_DRAFT] = {"draft", 1u << STATUS_REVIEW, true, "policies:document:submit"},
    [STATUS_REVIEW] = {"under_review", 1u << STATUS_APPROVED | 1u << STATUS_REJECTED, true,
                       "policies:document:submit"},
    [STATUS_APPROVED] = {"approved", 1u << STATUS_PUBLISHED, false, "policies:document:review"},
    [STATUS_REJECTED] = {"rejected", 1u << STATUS_DRAFT, true, "policies:document:review"},
    [STATUS_PUBLISHED] = {"published", 1u << STATUS_ARCHIVED, false, "policies:document:review"},
    [STATUS_ARCHIVED] = {"archived", 0, false, "policies:document:review"},
};

str status_name(enum status s) {
    return str_from_c(table[s].name);
}

bool status_parse(str text, enum status *out) {
    for (int s = 0; s < STATUS_COUNT; s++)
        if (str_eq(text, str_from_c(table[s].name))) {
            *out = (enum status)s;
            return true;
        }
    return false;
}

bool status_may_become(enum status from, enum status to) {
    return table[from].next >> to & 1;
}
bool status_editable(enum status s) {
    return table[s].editable;
}
const char *status_permission(enum status to) {
    return table[to].permission;
}
