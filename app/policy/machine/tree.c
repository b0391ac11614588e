/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c — documents that are neither one rule nor one base document: places in the tree of rules,
 * whole packages, `data` itself, and base documents under replacements.
 *
 * A place above all rules is a virtual object: keys are the children in the tree of rules and the
 * keys of the base document at the same path; below a child that is not in the tree lies base data
 * alone. The document of a place is the base document laid over what the rules make. */
#include "app/policy/machine/run.h"
#include "kernel/base/limits.h"

/* ---- Base documents ---- */

static bool is_prefix(const value *a, u32 count, const value *of, u32 of_count) {
    if (count > of_count) return false;
    for (u32 i = 0; i < count; i++)
        if (!value_equal(a[i], of[i])) return false;
    return true;
}

static bool path_is_replaced(const struct evaluation *e, const value *path, u32 count) {
    for (const struct with_state *s = e->now.with; s; s = s->outer)
        for (u32 i = 0; i < s->set->count; i++) {
            const struct with_item *item = s->set->items + i;
            if (item->kind == WITH_DATA && is_prefix(item->path, item->path_count, path, count))
                return true;
        }
    return false;
}

bool node_is_replaced(const struct evaluation *e, const struct node *n) {
    return e->now.with && value_defined(e->now.replaced) && path_is_replaced(e, n->path, n->depth);
}

/* Stored documents are found by text: 1 finds the key "1" of an object. */
static value step_stored(struct evaluation *e, value v, value key) {
    value found = value_get(v, key);
    if (value_defined(found) || v.kind != VALUE_OBJECT || key.kind != VALUE_NUMBER) return found;
    char room[NUMBER_TEXT_ROOM];
    return value_get(v, value_string(&e->heap, number_text(key, room)));
}

static value without_system(struct evaluation *e, value root) {
    value system = value_get_str(root, S("system"));
    if (!value_defined(system)) return root;
    struct value_builder b;
    value_builder_open(&b, &e->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(root); i++)
        if (!str_eq(value_key_at(root, i).kind == VALUE_STRING ? value_str(value_key_at(root, i))
                                                               : (str){0},
                    S("system")))
            value_builder_replace(&b, value_key_at(root, i), value_value_at(root, i));
    return value_builder_close(&b);
}

value base_get(struct evaluation *e, const value *path, u32 count) {
    if (value_defined(e->now.replaced) && path_is_replaced(e, path, count)) {
        value v = e->now.replaced;
        for (u32 i = 0; i < count && value_defined(v); i++) v = value_get(v, path[i]);
        return v;
    }
    value v = e->now.data;
    if (!count) return v.kind == VALUE_OBJECT ? without_system(e, v) : v;
    for (u32 i = 0; i < count && value_defined(v); i++) v = step_stored(e, v, path[i]);
    return v;
}

static value base_of(struct evaluation *e, const struct node *n) {
    return base_get(e, n->path, n->depth);
}

static value base_below(struct evaluation *e, const struct node *n, value key) {
    value path[POLICY_PATH_DEPTH_MAX + 1];
    CHECK(n->depth <= POLICY_PATH_DEPTH_MAX);
    if (n->depth) memcpy(path, n->path, n->depth * sizeof(value));
    path[n->depth] = key;
    return base_get(e, path, n->depth + 1);
}

/* ---- Places in the tree ---- */

value tree_get(struct evaluation *e, const struct node *n, value key) {
    if (n->has_rules) return machine_rules_keyed(e, n, &key, 1); /* partial rules, not yet run */
    const struct node *child = node_child(n, key);
    if (!child || node_is_replaced(e, child)) return base_below(e, n, key);
    if (!child->has_rules || child->is_partial)
        return (value){.kind = CELL_TREE, .bits = (uintptr_t)child};
    return child->is_function ? UNDEFINED : machine_rules(e, child);
}

static void add_keys(struct value_builder *b, value from) {
    u32 n = value_count(from);
    for (u32 i = 0; i < n; i++)
        value_builder_add(b, from.kind == VALUE_ARRAY    ? value_integer(i)
                             : from.kind == VALUE_OBJECT ? value_key_at(from, i)
                                                         : value_item(from, i));
}

/* Base keys first, then those of rules, as the reference goes through them: twice when in both. */
value tree_keys(struct evaluation *e, const struct node *n) {
    struct value_builder b;
    value_builder_open(&b, &e->heap, VALUE_ARRAY);
    add_keys(&b, base_of(e, n));
    for (u32 i = 0; i < n->child_count; i++) value_builder_add(&b, n->children[i]->key);
    return value_builder_close(&b);
}

static value leaf(struct evaluation *e, const struct node *n) {
    if (n->is_function && !node_is_replaced(e, n)) return UNDEFINED;
    return machine_rules(e, n);
}

static value leaves(struct evaluation *e, const struct node *n) {
    struct value_builder b;
    value_builder_open(&b, &e->heap, VALUE_OBJECT);
    for (u32 i = 0; i < n->child_count && !e->rc; i++) {
        const struct node *child = n->children[i];
        if (child->hide) continue;
        value v = child->has_rules ? leaf(e, child) : leaves(e, child);
        if (value_defined(v)) value_builder_replace(&b, child->key, v);
    }
    return value_builder_close(&b);
}

value tree_document(struct evaluation *e, const struct node *n) {
    if (n->has_rules) return machine_rules(e, n);
    value base = base_of(e, n);
    if (node_is_replaced(e, n)) return base;
    value rules = leaves(e, n);
    if (e->rc || !value_defined(base)) return rules;
    return value_merge(&e->heap, base, rules);
}
