/* SPDX-License-Identifier: Apache-2.0 */
/* documents.c — what PUT, PATCH and DELETE below /v1/data make of the base documents.
 *
 *   change: JSON, pointer --> document_change(s) --> the next version --> no rule in its way?
 *
 * The words of what is refused are those of the reference's storage. Always: a base document and a
 * rule never lie at one place, so what is stored compiles at the next start as well. What was
 * stored before is taken as it is when it is read from the database. */
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "kernel/core/worker.h"

enum { CHAIN_MAX = 32, ON_LOOP_MAX = 4096 };

/* ---- A patch ---- */

static rc_t invalid(struct diag *why, const char *what) {
    diag_set(why, "%s", what);
    return RC_INVALID;
}

/* A pointer of a patch: as the reference reads it, without regard to slashes at its ends. */
static rc_t patch_path(struct heap *h, str text, value *keys, u32 room, u32 *count) {
    while (text.len && text.ptr[text.len - 1] == '/') text = str_take(text, text.len - 1);
    while (text.len > 1 && text.ptr[0] == '/' && text.ptr[1] == '/') text = str_skip(text, 1);
    if (text.len && text.ptr[0] != '/') {
        char *to = heap_alloc(h, text.len + 1);
        if (!to) return RC_NO_MEMORY;
        to[0] = '/';
        memcpy(to + 1, text.ptr, text.len);
        text = str_of(to, text.len + 1);
    }
    return document_path(h, text, keys, room, count);
}

static rc_t patch_changes(struct heap *h, value patch, str subject, struct document_change **out,
                          u32 *count, struct diag *why) {
    value base[VALUE_DEPTH_MAX];
    u32 base_count;
    if (patch.kind != VALUE_ARRAY) return invalid(why, "a patch is an array of operations");
    rc_t rc = document_path(h, subject, base, ARRAY_LEN(base), &base_count);
    struct document_change *all = heap_alloc(h, (value_count(patch) + 1) * sizeof *all);
    if (rc || !all) return rc ? rc : RC_NO_MEMORY;
    for (u32 i = 0; i < value_count(patch); i++) {
        value op = value_get_str(value_item(patch, i), S("op")),
              path = value_get_str(value_item(patch, i), S("path"));
        value *keys = heap_alloc(h, VALUE_DEPTH_MAX * sizeof *keys);
        if (!keys) return RC_NO_MEMORY;
        if (op.kind != VALUE_STRING || path.kind != VALUE_STRING)
            return invalid(why, "an operation needs op and path");
        bool add = str_eq(value_str(op), S("add")), replace = str_eq(value_str(op), S("replace"));
        if (!add && !replace && !str_eq(value_str(op), S("remove"))) {
            diag_set(why, "bad patch operation: %.*s", STR(str_take(value_str(op), 100)));
            return RC_INVALID;
        }
        all[i] = (struct document_change){.op = add       ? DOCUMENT_ADD
                                                : replace ? DOCUMENT_REPLACE
                                                          : DOCUMENT_REMOVE,
                                          .path = keys,
                                          .v = value_get_str(value_item(patch, i), S("value"))};
        if ((add || replace) && !value_defined(all[i].v))
            return invalid(why, "add and replace need a value");
        memcpy(keys, base, base_count * sizeof *keys);
        rc = patch_path(h, value_str(path), keys + base_count, VALUE_DEPTH_MAX - base_count,
                        &all[i].count);
        if (rc) return rc == RC_LIMIT ? invalid(why, "the path is too long") : rc;
        all[i].count += base_count;
        if (!all[i].count && all[i].op == DOCUMENT_REMOVE)
            return invalid(why, "storage_invalid_patch_error: root cannot be removed");
    }
    *out = all, *count = value_count(patch);
    return RC_OK;
}

/* ---- Documents and rules do not lie at one place ---- */

struct overlap {
    struct policy_errors errors;
    struct buf path;
};

static void overlap_add(struct overlap *o, const struct rule_node *n, value key) {
    size_t len = o->path.len;
    (void)buf_printf(&o->path, "%s%.*s", len ? "/" : "", STR(value_str(key)));
    if (n->rule_count)
        (void)policy_error_add(&o->errors, POLICY_COMPILE_ERROR, &n->rules[0]->at,
                               "conflicting rule for data path %.*s found",
                               STR(buf_str(&o->path)));
}

/* Below `n`, whose document is `v`: what is no object is in the way of every rule. */
static void overlap_below(struct overlap *o, const struct rule_node *n, value v, u32 depth) {
    for (u32 i = 0; i < n->child_count && depth < VALUE_DEPTH_MAX; i++) {
        const struct rule_node *child = n->children[i];
        size_t len = o->path.len;
        if (!value_is(child->key, VALUE_STRING)) continue;
        value below = value_is(v, VALUE_OBJECT) ? value_get(v, child->key) : v;
        if (!value_defined(below)) continue;
        overlap_add(o, child, child->key);
        if (!child->rule_count) overlap_below(o, child, below, depth + 1);
        o->path.len = len;
    }
}

/* What was changed is all that can be in the way now and was not before. */
static void overlap_at(struct overlap *o, const struct rule_node *n, value root,
                       const struct document_change *c) {
    value v = root;
    for (u32 i = 0; n && i < c->count; i++) {
        value key = c->path[i];
        n = value_is(key, VALUE_STRING) ? rule_node_find(n, key) : NULL;
        v = document_get(v, &key, 1);
        if (!n || !value_defined(v)) return;
        overlap_add(o, n, key);
        if (n->rule_count) return;
    }
    if (n) overlap_below(o, n, v, 0);
}

static rc_t check_overlap(const struct rego_state *from, value root,
                          const struct document_change *all, u32 count, struct diag *why) {
    struct overlap o;
    struct heap h;
    struct buf text;
    heap_open(&h, MIB(1));
    policy_errors_open(&o.errors, &h, 10);
    buf_open(&o.path, KIB(64));
    for (u32 i = 0; i < count && !o.errors.count; i++) {
        o.path.len = 0;
        if (all[i].op != DOCUMENT_REMOVE)
            overlap_at(&o, policy_compiled(from->build->program)->root, root, &all[i]);
    }
    rc_t rc = o.errors.count ? RC_INVALID : RC_OK;
    if (rc) {
        buf_open(&text, KIB(16));
        policy_errors_write(&text, &o.errors);
        diag_set(why, "%.*s", STR(buf_str(&text)));
        buf_close(&text);
    }
    buf_close(&o.path);
    heap_close(&h);
    return rc;
}

/* ---- The change ---- */

struct data_job {
    const struct rego_state *state;
    struct document *from, *to;
    const struct rego_change *change;
    struct diag *why;
    bool same;
    bool checked; /* against the rules */
    rc_t rc;
};

/* PUT makes the objects on its way, and only where nothing else lies. */
static rc_t check_way(struct heap *h, value root, const value *keys, u32 count, struct diag *why) {
    value v = root;
    u32 i = 0;
    for (; i + 1 < count; i++) {
        value below = document_get(v, &keys[i], 1);
        if (!value_defined(below)) break;
        v = below;
    }
    if (v.kind == VALUE_OBJECT) return RC_OK;
    value parts[VALUE_DEPTH_MAX];
    memcpy(parts, keys, i * sizeof *parts);
    diag_set(why, "storage_write_conflict_error: /%.*s",
             STR(bundle_path_of_package(h, value_array(h, parts, i))));
    return RC_CONFLICT;
}

static rc_t put_prepare(struct data_job *j, struct heap *h, struct document_change *one,
                        value *keys, value content) {
    const struct rego_change *c = j->change;
    value root = document_root(j->from);
    rc_t rc = document_path(h, c->subject, keys, VALUE_DEPTH_MAX, &one->count);
    one->path = keys, one->v = content;
    if (rc) return rc;
    value there = document_get(root, keys, one->count);
    bool put = c->kind == REGO_DATA_PUT;
    j->same = put && value_defined(there) && (c->only_if_absent || value_equal(there, content));
    return put && !value_defined(there) ? check_way(h, root, keys, one->count, j->why) : RC_OK;
}

static void data_run(void *arg) {
    struct data_job *j = arg;
    const struct rego_change *c = j->change;
    bool drop = c->kind == REGO_DATA_DELETE;
    struct document_change one = {.op = drop ? DOCUMENT_REMOVE : DOCUMENT_ADD}, *all = &one;
    value content = UNDEFINED, keys[VALUE_DEPTH_MAX];
    u32 count = 1;
    struct heap h;
    heap_open(&h, POLICY_DATA_BYTES_MAX);
    j->rc = drop ? RC_OK : json_text_read(&h, NULL, c->content, &content, j->why);
    if (!j->rc && c->kind == REGO_DATA_PATCH)
        j->rc = patch_changes(&h, content, c->subject, &all, &count, j->why);
    else if (!j->rc)
        j->rc = put_prepare(j, &h, &one, keys, content);
    if (!j->rc && !j->same)
        j->rc = document_change(j->from, all, count, c->kind == REGO_DATA_PUT, &j->to, j->why);
    if (!j->rc && j->to && j->checked) {
        j->rc = check_overlap(j->state, document_root(j->to), all, count, j->why);
        if (j->rc) document_drop(j->to), j->to = NULL;
    }
    if (!j->rc && j->to && document_chain(j->to) > CHAIN_MAX) {
        struct document *compact;
        if (document_compact(j->to, &compact) == RC_OK) {
            document_drop(j->to);
            j->to = compact;
        }
    }
    heap_close(&h);
}

rc_t rego_next_data(struct rego_state *next, const struct rego_state *from,
                    const struct rego_change *c, bool checked, struct diag *why, bool *changed) {
    struct data_job j = {
        .state = from, .from = from->data, .change = c, .checked = checked, .why = why};
    rc_t rc = RC_OK;
    if (c->content.len < ON_LOOP_MAX)
        data_run(&j);
    else
        rc = worker_run(data_run, &j);
    if (!rc) rc = j.rc;
    if (rc) return rc;
    if (j.same) *changed = false;
    next->data = j.same ? document_hold(from->data) : j.to;
    return RC_OK;
}
