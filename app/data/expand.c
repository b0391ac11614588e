/* SPDX-License-Identifier: Apache-2.0 */
/* expand.c — the records that a record points to, beside it.
 *
 *   ?expand=author,author.org
 *   "expand": {"author": {"id": ..., "expand": {"org": {...}}}}
 *
 * Each is read as its own collection's rules let this actor; one they may not see is null, as one
 * that is not there. Depth and number of relations are bounded. */
#include "app/data/data_impl.h"

bool expand_parse(const struct collection *c, str text, struct expand *out, struct flaws *flaws) {
    str path;
    *out = (struct expand){0};
    while (text.len && str_split(&text, ',', &path)) {
        path = str_trim(path);
        str rest = path, first;
        u32 depth = 0;
        while (str_split(&rest, '.', &first)) depth++;
        const struct field *f = collection_field(c, str_take(path, str_find_byte(path, '.')));
        if (!f || f->type != FIELD_RELATION || depth > DATA_EXPAND_DEPTH_MAX ||
            out->count == DATA_EXPAND_MAX) {
            flaw_add(flaws, "expand", "bad_expand",
                     "up to %d relations, %d deep: \"%.*s\" is not one of them", DATA_EXPAND_MAX,
                     DATA_EXPAND_DEPTH_MAX, STR(str_take(path, 60)));
            return false;
        }
        out->paths[out->count++].path = path;
    }
    return true;
}

static rc_t put_one(struct request *rq, struct db_txn *t, const struct field *f,
                    const struct db_value *v, const struct expand *deeper, struct json_writer *w) {
    struct collection *target;
    struct record found;
    struct diag why = {0};
    json_key(w, f->name);
    if (v->kind != DB_KIND_TEXT) {
        json_put_raw(w, S("null"));
        return RC_OK;
    }
    rc_t rc = collection_load(t, f->target, &target);
    if (rc == RC_OK) {
        rc = record_find(rq, t, target, v->bytes, &found, &why);
        if (rc == RC_OK) {
            json_put_object(w);
            record_json(w, target, &found, NULL);
            if (deeper->count) rc = expand_json(rq, t, target, &found, deeper, w);
            json_object_end(w);
        }
        collection_release(target);
    }
    if (rc == RC_NOT_FOUND) {
        json_put_raw(w, S("null"));
        return RC_OK;
    }
    return rc;
}

rc_t expand_json(struct request *rq, struct db_txn *t, const struct collection *c,
                 const struct record *r, const struct expand *e, struct json_writer *w) {
    rc_t rc = RC_OK;
    u64 done = 0;
    json_object(w, "expand");
    for (u32 i = 0; !rc && i < e->count; i++) {
        str first = str_take(e->paths[i].path, str_find_byte(e->paths[i].path, '.'));
        const struct field *f = collection_field(c, first);
        struct expand deeper = {0};
        if (!f || f->type != FIELD_RELATION || done >> (f - c->fields) & 1) continue;
        done |= 1ull << (f - c->fields);
        for (u32 k = i; k < e->count; k++) {
            str path = e->paths[k].path;
            size_t dot = str_find_byte(path, '.');
            if (dot < path.len && str_eq(str_take(path, dot), first))
                deeper.paths[deeper.count++].path = str_skip(path, dot + 1);
        }
        rc = put_one(rq, t, f, &r->values[f - c->fields], &deeper, w);
    }
    json_object_end(w);
    return rc;
}
