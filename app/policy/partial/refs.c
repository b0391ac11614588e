/* SPDX-License-Identifier: Apache-2.0 */
/* refs.c — refs read step by step: through the tree of rules and the base documents (data...), or
 * into a term (input..., x...). A key that is known is followed; any other is tried with every key
 * there is. */
#include <stdio.h>
#include "app/policy/partial/partial_impl.h"

/* ---- Into a term ---- */

struct each { /* the entries of a collection, one way after another */
    struct choice c;
    struct reading r;
    struct closed t;
    u32 i;
};

static void entry_go(struct partial *p, struct goal *g) {
    struct reading r = *(struct reading *)g->arg;
    r.pos++;
    read_term(p, r, g->a);
}

/* Unifies a key with the ref's operand, then goes on beneath. */
static void read_entry(struct partial *p, const struct reading *r, struct closed t, u32 i) {
    struct closed key = {term_key(p, t.term, i), t.env};
    struct closed operand = {r->ref.term->terms[r->pos], r->ref.env};
    struct goal *g = goal_make(p, entry_go, r->at, NULL);
    if (!g || !key.term) return;
    g->arg = (void *)r;
    g->a = bind_apply(p, (struct closed){term_item(p, t.term, i), t.env});
    partial_unify(p, r->at, key, operand, g);
}

static void each_again(struct partial *p, struct choice *c) {
    struct each *e = (struct each *)c;
    u32 i = e->i++;
    if (e->i >= term_count(e->t.term)) choice_pop(p, c);
    if (i < term_count(e->t.term)) read_entry(p, &e->r, e->t, i);
}

static void read_each(struct partial *p, const struct reading *r, struct closed t) {
    enum shape shape = term_shape(t.term);
    struct each *e = partial_alloc(p, sizeof *e);
    if (!e) return;
    partial_fail(p);
    if (shape != SHAPE_ARRAY && shape != SHAPE_OBJECT && shape != SHAPE_SET) return;
    e->r = *r, e->t = t;
    choice_push(p, &e->c, each_again);
}

static struct closed entry_of(struct partial *p, struct closed t, const struct ast_term *key) {
    value k, v;
    enum shape shape = term_shape(t.term);
    if (term_value(p, key, &k) && t.term->kind == AST_VALUE) {
        v = value_get(t.term->scalar, k);
        return (struct closed){value_defined(v) ? term_of(p, v) : NULL, t.env};
    }
    if (shape == SHAPE_ARRAY) {
        if (!term_value(p, key, &k) || k.kind != VALUE_NUMBER || k.boxed || k.integer < 0 ||
            (u64)k.integer >= term_count(t.term))
            return (struct closed){0};
        return bind_apply(p, (struct closed){term_item(p, t.term, (u32)k.integer), t.env});
    }
    if (shape != SHAPE_OBJECT && shape != SHAPE_SET) return (struct closed){0};
    for (u32 i = 0; i < term_count(t.term); i++) {
        struct ast_term *have = bind_plug(p, (struct closed){term_key(p, t.term, i), t.env});
        if (have && terms_equal(have, key))
            return shape == SHAPE_SET
                       ? (struct closed){key, t.env}
                       : bind_apply(p, (struct closed){term_item(p, t.term, i), t.env});
    }
    return (struct closed){0};
}

/* What is read is unknown from here on: the rest of the ref is saved with a new variable for it. */
static void read_later(struct partial *p, const struct reading *r, struct closed t) {
    char name[32];
    int n = snprintf(name, sizeof name, "$_ref_%u", p->vars_made++);
    value text = value_string(p->heap, (str){name, (size_t)n});
    u32 count = r->ref.term->count - r->pos + 1;
    struct ast_term **list = partial_alloc(p, count * sizeof(struct ast_term *));
    if (!list || text.kind != VALUE_STRING) return;
    list[0] = ast_var(p->heap, NULL, value_str(text));
    for (u32 i = 1; i < count; i++) list[i] = r->ref.term->terms[r->pos + i - 1];
    struct closed rest = {list[0] ? term_ref(p, list, count) : NULL, r->ref.env};
    if (!rest.term) return;
    struct goal *k = goal_unify(p, r->at, rest, r->with, r->k);
    partial_unify(p, r->at, t, (struct closed){list[0], r->ref.env}, k);
}

void read_term(struct partial *p, struct reading r, struct closed t) {
    for (;;) {
        if (partial_stopped(p) || !t.term) return;
        if (r.pos == r.ref.term->count) {
            partial_unify(p, r.at, t, r.with, r.k);
            return;
        }
        if (unknown_has(p, t)) {
            read_later(p, &r, t);
            return;
        }
        struct ast_term *key = bind_plug(p, (struct closed){r.ref.term->terms[r.pos], r.ref.env});
        if (!key) return;
        if (!ast_term_is_ground(key)) {
            read_each(p, &r, t);
            return;
        }
        t = entry_of(p, t, key);
        r.pos++;
        if (!t.term) {
            partial_fail(p);
            return;
        }
    }
}

/* ---- Through the tree ---- */

static value value_along(value v, struct ast_term *const *path, u32 from, u32 count,
                         struct partial *p) {
    value key;
    for (u32 i = from; i < count && value_defined(v); i++)
        v = term_value(p, path[i], &key) ? value_get(v, key) : UNDEFINED;
    return v;
}

static bool is_replaced(struct partial *p, struct ast_term *const *path, u32 count) {
    for (const struct target *t = p->now.around.targets; t; t = t->older) {
        bool begins = t->ref->count <= count;
        for (u32 i = 0; begins && i < t->ref->count; i++)
            begins = terms_equal(t->ref->terms[i], path[i]);
        if (begins) return true;
    }
    return false;
}

static value value_without(struct partial *p, value object, value key) {
    struct value_builder b;
    value_builder_open(&b, p->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(object); i++)
        if (!value_equal(value_key_at(object, i), key))
            value_builder_replace(&b, value_key_at(object, i), value_value_at(object, i));
    return value_builder_close(&b);
}

value base_document(struct partial *p, struct ast_term *const *path, u32 count) {
    value by = value_along(p->now.around.data, path, 1, count, p);
    if (is_replaced(p, path, count)) return by;
    value base = value_along(p->ask->data, path, 1, count, p);
    if (count == 1 && base.kind == VALUE_OBJECT) { /* data.system is not shown */
        value system = value_string(p->heap, S("system"));
        if (value_defined(value_get(base, system))) base = value_without(p, base, system);
    }
    return value_defined(by) ? value_merge(p->heap, by, base) : base;
}

static void read_tree(struct partial *p, struct reading r, struct ast_term **plugged,
                      const struct rule_node *n);

static void read_child(struct partial *p, struct reading r, struct ast_term **plugged,
                       const struct rule_node *n, struct ast_term *key) {
    struct ast_term **path = partial_alloc(p, r.ref.term->count * sizeof(struct ast_term *));
    if (!path) return;
    memcpy(path, plugged, r.ref.term->count * sizeof(struct ast_term *));
    path[r.pos] = key;
    const struct rule_node *child = NULL;
    value k;
    if (n && !is_replaced(p, path, r.pos + 1) && term_value(p, key, &k)) {
        child = rule_node_find(n, k);
        if (child && child->rule_count) {
            rules_read(p, r, path, child);
            return;
        }
    }
    r.pos++;
    read_tree(p, r, path, child);
}

struct branches { /* every key of the base document, then every key of the tree */
    struct choice c;
    struct reading r;
    struct ast_term **plugged;
    const struct rule_node *node;
    value document;
    u32 i, documents;
};

static void branch_go(struct partial *p, struct goal *g) {
    const struct branches *b = g->arg;
    read_child(p, b->r, b->plugged, b->node, (struct ast_term *)g->a.term);
}

static void branch_again(struct partial *p, struct choice *c) {
    struct branches *b = (struct branches *)c;
    u32 all = b->documents + (b->node ? b->node->child_count : 0), i = b->i++;
    if (b->i >= all) choice_pop(p, c);
    if (i >= all) return;
    value d = b->document;
    value key = i >= b->documents        ? b->node->children[i - b->documents]->key
                : d.kind == VALUE_ARRAY  ? value_integer(i)
                : d.kind == VALUE_OBJECT ? value_key_at(d, i)
                                         : value_item(d, i);
    struct goal *g = goal_make(p, branch_go, b->r.at, NULL);
    struct closed k = {term_of(p, key), b->r.ref.env};
    if (!g || !k.term) return;
    g->arg = b, g->a = k;
    partial_unify(p, b->r.at, k, (struct closed){b->r.ref.term->terms[b->r.pos], b->r.ref.env}, g);
}

static void read_branches(struct partial *p, const struct reading *r, struct ast_term **plugged,
                          const struct rule_node *n) {
    struct ast_term *so_far = term_ref(p, plugged, r->pos);
    struct ast_term *whole = term_ref(p, plugged, r->ref.term->count);
    if (!so_far || !whole) return;
    if (disabled_ref(p, plugged, r->pos, true) ||
        unknown_has(p, (struct closed){so_far, p->root})) {
        save_unify(p, r->at, (struct closed){whole, r->ref.env}, r->with, r->k);
        return;
    }
    struct branches *b = partial_alloc(p, sizeof *b);
    if (!b) return;
    b->r = *r, b->plugged = plugged, b->node = n;
    b->document = base_document(p, plugged, r->pos);
    b->documents = value_count(b->document);
    partial_fail(p);
    choice_push(p, &b->c, branch_again);
}

/* ---- A document as a whole: base documents with those of rules laid over them ---- */

struct extent { /* rules beneath a node, one after another, into one object */
    struct reading r;
    struct ast_term **path; /* as long as the tree is deep */
    const struct rule_node **nodes;
    u32 *at;
    u32 depth, base;
    value *virtual; /* per level, of the keys gathered so far */
    bool *any;
};

static void extent_next(struct partial *p, struct extent *e);

static void extent_put(struct partial *p, struct extent *e, value key, value v) {
    value *to = &e->virtual[e->depth];
    value path[] = {key};
    *to = value_patch(p->heap, value_defined(*to) ? *to : value_empty_object(), path, 1, v);
}

static void extent_value_go(struct partial *p, struct goal *g) {
    struct extent *e = g->arg;
    const struct rule_node *child = g->node;
    value v = g->a.term ? g->a.term->scalar : UNDEFINED;
    if (value_defined(v)) extent_put(p, e, child->key, v);
    extent_next(p, e);
}

static void extent_done(struct partial *p, struct extent *e) {
    value base = base_document(p, e->path, e->base);
    value v = value_merge(p->heap, base, e->virtual[0]);
    partial_unify(p, e->r.at, e->r.with, (struct closed){term_of(p, v), p->root}, e->r.k);
}

static void extent_next(struct partial *p, struct extent *e) {
    while (!partial_stopped(p)) {
        const struct rule_node *n = e->nodes[e->depth];
        if (e->at[e->depth] == n->child_count) {
            if (!e->depth) {
                extent_done(p, e);
                return;
            }
            value v = e->virtual[e->depth--];
            extent_put(p, e, e->nodes[e->depth]->children[e->at[e->depth] - 1]->key,
                       value_defined(v) ? v : value_empty_object());
            continue;
        }
        const struct rule_node *child = n->children[e->at[e->depth]++];
        if (child->hide) continue;
        e->path[e->base + e->depth] = term_of(p, child->key);
        if (child->rule_count) {
            struct goal *g = goal_make(p, extent_value_go, e->r.at, NULL);
            if (!g) return;
            g->arg = e, g->node = child;
            rules_value(p, e->r.at, child, g);
            return;
        }
        if (e->depth + 2 >= POLICY_PATH_DEPTH_MAX) continue;
        e->depth++;
        e->nodes[e->depth] = child, e->at[e->depth] = 0, e->virtual[e->depth] = UNDEFINED;
    }
}

static void read_extent(struct partial *p, const struct reading *r, struct ast_term **plugged,
                        const struct rule_node *n) {
    if (!n) {
        value v = base_document(p, plugged, r->pos);
        if (!value_defined(v))
            partial_fail(p);
        else
            partial_unify(p, r->at, r->with, (struct closed){term_of(p, v), p->root}, r->k);
        return;
    }
    struct extent *e = partial_alloc(p, sizeof *e);
    u32 levels = POLICY_PATH_DEPTH_MAX;
    if (!e) return;
    e->r = *r, e->base = r->pos;
    e->path = partial_alloc(p, (r->pos + levels) * sizeof(struct ast_term *));
    e->nodes = partial_alloc(p, levels * sizeof(const struct rule_node *));
    e->at = partial_alloc(p, levels * sizeof *e->at);
    e->virtual = partial_alloc(p, levels * sizeof *e->virtual);
    if (!e->path || !e->nodes || !e->at || !e->virtual) return;
    memcpy(e->path, plugged, r->pos * sizeof(struct ast_term *));
    e->nodes[0] = n;
    e->virtual[0] = value_empty_object();
    extent_next(p, e);
}

static void read_tree(struct partial *p, struct reading r, struct ast_term **plugged,
                      const struct rule_node *n) {
    if (partial_stopped(p)) return;
    if (r.pos == r.ref.term->count) {
        struct ast_term *whole = term_ref(p, plugged, r.pos);
        if (!whole) return;
        if (unknown_in_term(p, whole, r.ref.env))
            save_unify(p, r.at, (struct closed){whole, r.ref.env}, r.with, r.k);
        else
            read_extent(p, &r, plugged, n);
        return;
    }
    struct ast_term *key = bind_plug(p, (struct closed){r.ref.term->terms[r.pos], r.ref.env});
    if (!key) return;
    if (ast_term_is_ground(key))
        read_child(p, r, plugged, n, key);
    else
        read_branches(p, &r, plugged, n);
}

/* input.fruit is not there, and nothing says that it is unknown: it may have been meant to be. */
static void note_miss(struct partial *p, struct site at, const struct ast_term *ref) {
    struct partial_answer *out = p->out;
    value key;
    if (ref->count < 2 || !term_value(p, ref->terms[1], &key) || key.kind != VALUE_STRING) return;
    if (value_defined(value_get(p->now.around.input, key))) return;
    for (u32 i = 0; i < out->miss_count; i++)
        if (terms_equal(out->misses[i].ref, ref)) return;
    if (!p->miss_room) {
        out->misses = partial_alloc(p, PARTIAL_MISSES_MAX * sizeof *out->misses);
        p->miss_room = out->misses ? PARTIAL_MISSES_MAX : 0;
    }
    if (out->miss_count < p->miss_room)
        out->misses[out->miss_count++] = (struct partial_miss){ref, site_expr(at)->at};
}

void read_ref(struct partial *p, struct site at, struct closed ref, struct closed with,
              struct goal *k) {
    struct reading r = {at, ref, with, 1, k};
    const struct ast_term *head = ref.term->terms[0];
    if (term_is_root(head) && str_eq(head->var, S("data"))) {
        read_tree(p, r, ref.term->terms, p->program->root);
        return;
    }
    struct closed t;
    if (term_is_root(head)) {
        value input = p->now.around.input;
        note_miss(p, at, ref.term);
        if (!value_defined(input)) {
            partial_fail(p);
            return;
        }
        t = (struct closed){term_of(p, input), ref.env};
    } else {
        t = bind_apply(p, (struct closed){head, ref.env});
        if (t.term == head) {
            partial_fail(p);
            return;
        }
    }
    read_term(p, r, t);
}
