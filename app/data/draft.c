/* SPDX-License-Identifier: Apache-2.0 */
/* draft.c — a definition in pieces: one JSON text per field and index, taken apart, changed by
 * steps, put together again. What the pieces mean is not looked at here: what comes out is read by
 * collection_parse as any definition is.
 *
 * Always true: a field's key is given once and never to another field of the collection. */
#include "app/data/draft.h"

enum { KEYS_MAX = 150 }; /* columns of a table, dropped ones included */

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* The object with this key in it instead of its own. */
static str with_key(struct arena *a, const cJSON *o, u32 key) {
    struct json_writer w;
    json_open(&w, DATA_DEFINITION_MAX);
    json_object(&w, NULL);
    json_int(&w, "key", key);
    for (const cJSON *m = o->child; m; m = m->next) {
        if (!strcmp(m->string, "key")) continue;
        json_put_name(&w, str_from_c(m->string));
        json_put_tree(&w, m);
    }
    json_object_end(&w);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

static str tree_text(struct arena *a, const cJSON *o) {
    struct json_writer w;
    json_open(&w, DATA_DEFINITION_MAX);
    json_key(&w, str_of(NULL, 0));
    json_put_tree(&w, o);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

static u32 key_of(const cJSON *o) {
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(o, "key");
    return cJSON_IsNumber(key) ? (u32)key->valueint : 0;
}

/* `key` 0: a new one. */
static bool draft_field(struct draft *d, struct arena *a, const cJSON *o, u32 at, u32 key,
                        struct flaws *flaws) {
    if (!cJSON_IsObject(o) || at == DATA_FIELDS_MAX || d->next_key > KEYS_MAX) {
        flaw_add(flaws, "fields", cJSON_IsObject(o) ? "too_many_fields" : "member_type",
                 cJSON_IsObject(o) ? "a collection has at most %d fields"
                                   : "a field is an object (a list has at most %d)",
                 DATA_FIELDS_MAX);
        return false;
    }
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "name");
    d->field_keys[at] = key ? key : d->next_key++;
    d->field_names[at] = cJSON_IsString(name) ? str_from_c(name->valuestring) : S("");
    d->fields[at] = with_key(a, o, d->field_keys[at]);
    if (at == d->field_count) d->field_count++;
    return d->fields[at].ptr != NULL;
}

static bool draft_index(struct draft *d, struct arena *a, const cJSON *o, u32 key,
                        struct flaws *flaws) {
    if (!cJSON_IsObject(o) || d->index_count == DATA_INDEXES_MAX || d->next_key > KEYS_MAX) {
        flaw_add(flaws, "indexes", "member_value", "at most %d objects", DATA_INDEXES_MAX);
        return false;
    }
    for (const cJSON *m = o->child; m; m = m->next) {
        if (!strcmp(m->string, "key") || !strcmp(m->string, "fields") ||
            (!strcmp(m->string, "unique") && cJSON_IsBool(m)))
            continue;
        flaw_add(flaws, "indexes", "member_unknown", "\"%.60s\" is nothing an index has",
                 m->string);
        return false;
    }
    str text = with_key(a, o, key ? key : d->next_key++);
    d->indexes[d->index_count++] = text;
    return text.ptr != NULL;
}

/* From a request's body or from a stored definition. */
bool draft_read(struct draft *d, struct arena *a, const cJSON *o, bool stored,
                struct flaws *flaws) {
    const cJSON *one, *next = cJSON_GetObjectItemCaseSensitive(o, "next_key");
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(o, "fields");
    const cJSON *indexes = cJSON_GetObjectItemCaseSensitive(o, "indexes");
    const cJSON *rules = cJSON_GetObjectItemCaseSensitive(o, "rules");
    const cJSON *view = cJSON_GetObjectItemCaseSensitive(o, "view");
    *d = (struct draft){.next_key = stored && next ? (u32)next->valueint : 1};
    const char *wrong = fields && !cJSON_IsArray(fields)     ? "fields"
                        : indexes && !cJSON_IsArray(indexes) ? "indexes"
                        : rules && !cJSON_IsString(rules)    ? "rules"
                        : view && !cJSON_IsObject(view)      ? "view"
                                                             : NULL;
    if (wrong) {
        flaw_add(flaws, wrong, "member_type",
                 "fields and indexes are lists, rules a text, view an object");
        return false;
    }
    cJSON_ArrayForEach(one, fields) if (!draft_field(d, a, one, d->field_count,
                                                     stored ? key_of(one) : 0, flaws)) return false;
    cJSON_ArrayForEach(
        one, indexes) if (!draft_index(d, a, one, stored ? key_of(one) : 0, flaws)) return false;
    if (rules) d->rules = tree_text(a, rules);
    if (view) d->view = tree_text(a, view);
    return (!rules || d->rules.ptr) && (!view || d->view.ptr);
}

static void put_list(struct json_writer *w, const char *name, const str *items, u32 count) {
    json_array(w, name);
    for (u32 i = 0; i < count; i++) json_raw(w, NULL, items[i]);
    json_array_end(w);
}

str draft_text(const struct draft *d, struct arena *a) {
    struct json_writer w;
    json_open(&w, DATA_DEFINITION_MAX);
    json_object(&w, NULL);
    put_list(&w, "fields", d->fields, d->field_count);
    put_list(&w, "indexes", d->indexes, d->index_count);
    json_int(&w, "next_key", d->next_key);
    if (d->rules.len) json_raw(&w, "rules", d->rules);
    if (d->view.len) json_raw(&w, "view", d->view);
    json_object_end(&w);
    str text = w.out.failed ? (str){0} : arena_copy(a, buf_str(&w.out));
    json_close(&w);
    return text;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static u32 draft_find(const struct draft *d, const cJSON *name) {
    u32 i = 0;
    str want = cJSON_IsString(name) ? str_from_c(name->valuestring) : S("");
    while (i < d->field_count && !str_eq(d->field_names[i], want)) i++;
    return i;
}

static bool no_field(struct flaws *flaws, const char *member) {
    flaw_add(flaws, member, "field_unknown", "the collection has no such field");
    return false;
}

static bool drop_field(struct draft *d, const cJSON *step, struct flaws *flaws) {
    u32 at = draft_find(d, cJSON_GetObjectItemCaseSensitive(step, "name"));
    if (at == d->field_count) return no_field(flaws, "name");
    d->field_count--;
    for (u32 i = at; i < d->field_count; i++) {
        d->fields[i] = d->fields[i + 1];
        d->field_names[i] = d->field_names[i + 1];
        d->field_keys[i] = d->field_keys[i + 1];
    }
    return true;
}

static bool reparse(struct arena *a, str text, cJSON **out) {
    struct diag why = {0};
    return json_parse(a, text, out, &why) == RC_OK;
}

/* Also in the indexes that name it. */
static bool rename_field(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *to = cJSON_GetObjectItemCaseSensitive(step, "to");
    u32 at = draft_find(d, cJSON_GetObjectItemCaseSensitive(step, "from"));
    cJSON *o, *n;
    if (at == d->field_count) return no_field(flaws, "from");
    if (!cJSON_IsString(to) || !name_valid(str_from_c(to->valuestring))) {
        flaw_add(flaws, "to", "name_invalid", "a field's name is wanted");
        return false;
    }
    str old = d->field_names[at];
    if (!reparse(a, d->fields[at], &o)) return false;
    cJSON_GetObjectItemCaseSensitive(o, "name")->valuestring = to->valuestring;
    d->fields[at] = tree_text(a, o);
    d->field_names[at] = str_from_c(to->valuestring);
    for (u32 i = 0; i < d->index_count; i++) {
        if (!reparse(a, d->indexes[i], &o)) return false;
        cJSON_ArrayForEach(n, cJSON_GetObjectItemCaseSensitive(o, "fields")) {
            if (str_eq(str_from_c(n->valuestring), old)) n->valuestring = to->valuestring;
        }
        if (!(d->indexes[i] = tree_text(a, o)).ptr) return false;
    }
    return d->fields[at].ptr != NULL;
}

static bool change_field(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(step, "field");
    u32 at = draft_find(d, cJSON_GetObjectItemCaseSensitive(step, "name"));
    if (at == d->field_count) return no_field(flaws, "name");
    str name = d->field_names[at];
    if (!draft_field(d, a, field, at, d->field_keys[at], flaws)) return false;
    if (str_eq(name, d->field_names[at])) return true;
    flaw_add(flaws, "field", "member_value", "its name stays: rename_field renames");
    return false;
}

static bool drop_index(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *fields = cJSON_GetObjectItemCaseSensitive(step, "fields");
    str want = fields ? tree_text(a, fields) : S("");
    cJSON *o;
    for (u32 i = 0; i < d->index_count; i++) {
        if (!reparse(a, d->indexes[i], &o)) return false;
        if (!str_eq(tree_text(a, cJSON_GetObjectItemCaseSensitive(o, "fields")), want)) continue;
        d->index_count--;
        for (u32 k = i; k < d->index_count; k++) d->indexes[k] = d->indexes[k + 1];
        return true;
    }
    flaw_add(flaws, "fields", "index_unknown", "there is no index of these fields");
    return false;
}

bool draft_step(struct draft *d, struct arena *a, const cJSON *step, struct flaws *flaws) {
    const cJSON *op = cJSON_GetObjectItemCaseSensitive(step, "op");
    str name = cJSON_IsString(op) ? str_from_c(op->valuestring) : S("");
    if (str_eq(name, S("add_field")))
        return draft_field(d, a, cJSON_GetObjectItemCaseSensitive(step, "field"), d->field_count, 0,
                           flaws);
    if (str_eq(name, S("drop_field"))) return drop_field(d, step, flaws);
    if (str_eq(name, S("rename_field"))) return rename_field(d, a, step, flaws);
    if (str_eq(name, S("change_field"))) return change_field(d, a, step, flaws);
    if (str_eq(name, S("add_index")))
        return draft_index(d, a, cJSON_GetObjectItemCaseSensitive(step, "index"), 0, flaws);
    if (str_eq(name, S("drop_index"))) return drop_index(d, a, step, flaws);
    if (str_eq(name, S("set_rules")) || str_eq(name, S("set_view"))) {
        bool rules = str_eq(name, S("set_rules"));
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(step, rules ? "rules" : "view");
        if (rules ? cJSON_IsString(v) : cJSON_IsObject(v)) {
            str text = tree_text(a, v);
            if (rules)
                d->rules = text;
            else
                d->view = text;
            return text.ptr != NULL;
        }
    }
    flaw_add(flaws, "op", "member_value",
             "add_field, drop_field, rename_field, change_field, add_index, drop_index, set_rules "
             "or set_view, with its member");
    return false;
}
