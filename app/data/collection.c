/* SPDX-License-Identifier: Apache-2.0 */
/* collection.c — what a collection is, read from its definition.
 *
 *   data_collection      num name version org_id definition ...      one row each
 *   d7                   num id version org_id owner_id created_ns updated_ns f1 f2 f3
 *   d7_fts               t1 t3: the fields that are searched
 *
 * A definition is JSON: {"fields": [...], "indexes": [...], "next_key": 4, "rules": "...",
 * "view": {...}}. Tables and columns are named by numbers, so that renaming a field changes one
 * row, and no name of a user's is ever part of a statement. A number is not used again.
 *
 * Definitions read once are kept, a few, with their patterns and compiled rules. Each request reads
 * the row's version first: what is kept is used only if it is that version's, so that no roll-back
 * and no restore can leave anybody with an old one. */
#include <stdlib.h>
#include <stdio.h>
#include "app/access/access.h"
#include "app/data/data_impl.h"
#include "app/policy/regex/regex.h"

static const char *const steps[] = {
    "CREATE TABLE data_collection(num INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " version INTEGER NOT NULL, org_id TEXT NOT NULL, created_ns INTEGER NOT NULL,"
    " updated_ns INTEGER NOT NULL, definition TEXT NOT NULL) STRICT;",
    NULL,
};
const struct db_schema data_schema = {.module = "data", .steps = steps};

static struct {
    struct collection *first;
    u32 count;
} kept;

static void collection_drop(struct collection *c) {
    for (u32 i = 0; i < c->field_count; i++)
        if (c->fields[i].pattern) regex_close(c->fields[i].pattern);
    rules_close(c->rules);
    arena_close(&c->arena);
    free(c);
}

void collection_release(struct collection *c) {
    if (c && --c->refs == 0) collection_drop(c);
}

const struct field *collection_field(const struct collection *c, str name) {
    for (u32 i = 0; i < c->field_count; i++)
        if (str_eq(c->fields[i].name, name)) return &c->fields[i];
    return NULL;
}

/* ---- Reading a definition -------------------------------------------------------------------- */

static bool parse_fields(struct collection *c, const cJSON *list, struct flaws *flaws) {
    char place[40];
    const char *before = flaws->prefix;
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    if (n < 0 || n > DATA_FIELDS_MAX) {
        flaw_add(flaws, "fields", "member_value", "a list of at most %d fields is wanted",
                 DATA_FIELDS_MAX);
        return false;
    }
    c->fields = arena_zero(&c->arena, ((size_t)n + 1) * sizeof *c->fields);
    bool ok = c->fields != NULL;
    for (int i = 0; ok && i < n; i++) {
        const cJSON *o = cJSON_GetArrayItem(list, i);
        const cJSON *key = cJSON_GetObjectItemCaseSensitive(o, "key");
        struct field *f = &c->fields[c->field_count];
        snprintf(place, sizeof place, "fields[%d]", i);
        flaws->prefix = place;
        ok = field_define(&c->arena, o, f, flaws);
        if (ok && collection_field(c, f->name)) {
            flaw_add(flaws, "name", "name_taken", "two fields have this name");
            ok = false;
        }
        c->field_count++; /* its pattern is closed with the rest, also when it is wrong */
        f->key = cJSON_IsNumber(key) ? (u32)key->valueint : 0;
        f->column = arena_printf(&c->arena, "f%u", f->key);
        c->searched |= f->search;
    }
    flaws->prefix = before;
    return ok;
}

static bool parse_index(struct collection *c, const cJSON *o, struct flaws *flaws) {
    struct index *x = &c->indexes[c->index_count++];
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(o, "fields"), *n;
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(o, "key");
    int count = cJSON_IsArray(names) ? cJSON_GetArraySize(names) : 0;
    x->unique = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "unique"));
    x->key = cJSON_IsNumber(key) ? (u32)key->valueint : 0;
    if (count < 1 || count > DATA_INDEX_FIELDS_MAX) {
        flaw_add(flaws, "indexes", "member_value", "each names 1 to %d fields",
                 DATA_INDEX_FIELDS_MAX);
        return false;
    }
    cJSON_ArrayForEach(n, names) {
        const struct field *f =
            collection_field(c, cJSON_IsString(n) ? str_from_c(n->valuestring) : S(""));
        if (!f || f->type == FIELD_JSON) {
            flaw_add(flaws, "indexes", "field_unknown", "\"%.60s\" is no field of it to index",
                     cJSON_IsString(n) ? n->valuestring : "");
            return false;
        }
        x->fields[x->count++] = (u32)(f - c->fields);
    }
    return true;
}

static bool parse_indexes(struct collection *c, const cJSON *list, struct flaws *flaws) {
    const cJSON *o;
    if (!list) return true;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > DATA_INDEXES_MAX) {
        flaw_add(flaws, "indexes", "member_value", "a list of at most %d", DATA_INDEXES_MAX);
        return false;
    }
    cJSON_ArrayForEach(o, list) if (!parse_index(c, o, flaws)) return false;
    return true;
}

static bool view_text(struct collection *c, const cJSON *o, const char *name, bool wanted, str *out,
                      struct flaws *flaws) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    *out = S("");
    if (!v && !wanted) return true;
    if (!cJSON_IsString(v)) {
        flaw_add(flaws, name, "member_type", "of a view: a text is wanted");
        return false;
    }
    *out = arena_copy(&c->arena, str_from_c(v->valuestring));
    return out->ptr != NULL;
}

static bool parse_view(struct collection *c, const cJSON *o, struct flaws *flaws) {
    const char *before = flaws->prefix;
    if (!o) return true;
    c->is_view = true;
    flaws->prefix = "view";
    bool ok = view_text(c, o, "from", true, &c->view_from, flaws) &&
              view_text(c, o, "filter", false, &c->view_filter, flaws) &&
              view_text(c, o, "fields", false, &c->view_fields, flaws) &&
              view_text(c, o, "sort", false, &c->view_sort, flaws);
    if (ok && c->field_count) {
        flaw_add(flaws, "", "member_value", "a view has no fields of its own");
        ok = false;
    }
    flaws->prefix = before;
    return ok;
}

static bool name_things(struct collection *c) {
    struct buf b;
    buf_open(&b, KIB(8));
    (void)buf_add(&b, S(RECORD_COLUMNS));
    for (u32 i = 0; i < c->field_count; i++) {
        (void)buf_add(&b, S(","));
        (void)buf_add(&b, c->fields[i].column);
    }
    c->columns = b.failed ? (str){0} : arena_copy(&c->arena, buf_str(&b));
    buf_close(&b);
    return c->columns.ptr != NULL;
}

static rc_t parse_into(struct collection *c, str name, str definition, struct flaws *flaws) {
    struct diag why = {0};
    cJSON *o;
    c->name = arena_copy(&c->arena, name);
    c->definition = arena_copy(&c->arena, definition);
    if (!c->name.ptr || !c->definition.ptr) return RC_NO_MEMORY;
    rc_t rc = json_parse(&c->arena, definition, &o, &why);
    if (rc) return rc;
    const cJSON *next = cJSON_GetObjectItemCaseSensitive(o, "next_key");
    const cJSON *rules = cJSON_GetObjectItemCaseSensitive(o, "rules");
    c->next_key = cJSON_IsNumber(next) ? (u32)next->valueint : 1;
    c->rules_text = cJSON_IsString(rules) ? str_from_c(rules->valuestring) : S("");
    if (!parse_fields(c, cJSON_GetObjectItemCaseSensitive(o, "fields"), flaws) ||
        !parse_indexes(c, cJSON_GetObjectItemCaseSensitive(o, "indexes"), flaws) ||
        !parse_view(c, cJSON_GetObjectItemCaseSensitive(o, "view"), flaws))
        return RC_INVALID;
    return name_things(c) ? RC_OK : RC_NO_MEMORY;
}

rc_t collection_parse(str name, str definition, struct collection **out, struct flaws *flaws) {
    struct collection *c = calloc(1, sizeof *c);
    *out = NULL;
    if (!c) return RC_NO_MEMORY;
    arena_open(&c->arena, NULL, 0, MIB(2));
    c->refs = 1;
    rc_t rc = parse_into(c, name, definition, flaws);
    if (!rc && !c->is_view) rc = rules_open(c->rules_text, &c->rules, flaws);
    if (rc) {
        collection_drop(c);
        return rc;
    }
    *out = c;
    return RC_OK;
}

/* ---- Keeping them ---------------------------------------------------------------------------- */

static void keep(struct collection *c) {
    c->refs++;
    c->next_kept = kept.first;
    kept.first = c;
    if (++kept.count <= DATA_KEPT_MAX) return;
    struct collection **at = &kept.first;
    while ((*at)->next_kept) at = &(*at)->next_kept;
    struct collection *last = *at;
    *at = NULL;
    kept.count--;
    collection_release(last);
}

/* The kept one of that name, taken out of the list. */
static struct collection *unkeep(str name) {
    for (struct collection **at = &kept.first; *at; at = &(*at)->next_kept) {
        struct collection *c = *at;
        if (!str_eq(c->name, name)) continue;
        *at = c->next_kept;
        kept.count--;
        return c;
    }
    return NULL;
}

void collections_forget(void) {
    while (kept.first) {
        struct collection *c = kept.first;
        kept.first = c->next_kept;
        collection_release(c);
    }
    kept.count = 0;
}

static rc_t read_row(struct db_rows *r, str name, struct collection **out) {
    struct flaws *flaws = calloc(1, sizeof *flaws);
    if (!flaws) return RC_NO_MEMORY;
    rc_t rc = collection_parse(name, db_column_text(r, 5), out, flaws);
    free(flaws);
    if (rc == RC_INVALID) return RC_CORRUPT; /* it was accepted once */
    if (rc) return rc;
    struct collection *c = *out;
    c->num = db_column_int(r, 0);
    c->version = db_column_int(r, 1);
    c->org_id = arena_copy(&c->arena, db_column_text(r, 2));
    c->created_ns = (u64)db_column_int(r, 3);
    c->updated_ns = (u64)db_column_int(r, 4);
    c->table = arena_printf(&c->arena, "d%lld", (long long)c->num);
    if (c->org_id.ptr && c->table.ptr) return RC_OK;
    collection_release(c);
    return RC_NO_MEMORY;
}

rc_t collection_load(struct db_txn *t, str name, struct collection **out) {
    struct db_rows *r = NULL;
    *out = NULL;
    rc_t rc = db_query(t, &r,
                       "SELECT num,version,org_id,created_ns,updated_ns,definition"
                       " FROM data_collection WHERE name=?1",
                       DB_TEXT(name));
    if (!rc) rc = db_next(r);
    if (!rc) {
        struct collection *c = unkeep(name);
        bool old = c && (c->num != db_column_int(r, 0) || c->version != db_column_int(r, 1) ||
                         c->created_ns != (u64)db_column_int(r, 3) ||
                         c->updated_ns != (u64)db_column_int(r, 4));
        if (old) {
            collection_release(c);
            c = NULL;
        }
        if (!c) rc = read_row(r, name, &c);
        if (!rc) keep(c);
        *out = rc ? NULL : c;
    }
    db_done(r);
    return rc;
}

bool collection_of(struct request *rq, struct db_txn *t, str name, struct collection **out) {
    rc_t rc = collection_load(t, name, out);
    if (!rc && access_reaches(&rq->actor, (*out)->org_id)) return true;
    if (!rc) collection_release(*out);
    *out = NULL;
    if (!rc || rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "collection_unknown", "There is no collection of this name.");
    else
        reply_rc(rq, rc, "The collection");
    return false;
}

rc_t collection_names(struct db_txn *t, struct arena *a, str *names, u32 room, u32 *count) {
    struct db_rows *r = NULL;
    *count = 0;
    rc_t rc = db_query(t, &r, "SELECT name FROM data_collection ORDER BY name");
    while (!rc && (rc = db_next(r)) == RC_OK && *count < room) {
        names[*count] = arena_copy(a, db_column_text(r, 0));
        if (!names[(*count)++].ptr) rc = RC_NO_MEMORY;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
