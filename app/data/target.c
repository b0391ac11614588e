/* SPDX-License-Identifier: Apache-2.0 */
/* target.c — collections and views, told apart once. A view narrows: its filter is one more
 * condition, its fields are all that is shown. The rules are those of the collection it is of. */
#include "app/data/target.h"

bool target_of(struct request *rq, struct db_txn *t, str name, struct target *out) {
    *out = (struct target){0};
    if (!collection_of(rq, t, name, &out->c)) return false;
    if (!out->c->is_view) return true;
    out->view = out->c;
    out->c = NULL;
    if (collection_of(rq, t, out->view->view_from, &out->c)) return true;
    collection_release(out->view);
    return false;
}

void target_release(struct target *t) {
    collection_release(t->c);
    collection_release(t->view);
}

rc_t target_from(struct request *rq, const struct target *t, const char *join, struct sql *s,
                 struct diag *why) {
    struct flaws flaws = {0};
    rc_t rc = record_from(rq, t->c, join, s, why);
    if (rc || !t->view || !t->view->view_filter.len) return rc;
    sql_put(s, " AND ");
    if (filter_parse(t->c, rq->arena, t->view->view_filter, s, &flaws)) return RC_OK;
    diag_set(why, "the view's filter no longer fits its collection: %s", flaws.items[0].text);
    return RC_INVALID;
}

bool target_selection(const struct target *t, str asked, struct selection *out,
                      struct flaws *flaws) {
    struct selection all;
    if (!selection_parse(t->c, asked, out, flaws)) return false;
    if (!t->view || !t->view->view_fields.len) return true;
    if (!selection_parse(t->c, t->view->view_fields, &all, flaws)) return false;
    if (!out->some) *out = all;
    out->id &= all.id, out->version &= all.version, out->created &= all.created;
    out->updated &= all.updated, out->owner &= all.owner, out->fields &= all.fields;
    return true;
}

void reply_read(struct request *rq, rc_t rc, const struct diag *why) {
    if (rc == RC_INVALID)
        reply_problem(rq, 403, "rule_not_usable",
                      "The collection's read rule cannot be kept by the database, so it is a no: "
                      "%s.",
                      why->text[0] ? why->text : "it cannot be said");
    else if (rc == RC_TIMEOUT)
        reply_problem(rq, 503, "query_too_slow",
                      "The query took longer than %d ms and was stopped: narrow it, or index the "
                      "fields it looks at.",
                      DB_QUERY_DEADLINE_MS);
    else
        reply_rc(rq, rc, "The records");
}
