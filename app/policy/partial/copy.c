/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c — fewer variables in what is left: input.x = a; a > 1  becomes  input.x > 1
 *
 * Variables that must be equal are one set with one name, or one constant. An equation or call that
 * gives a variable its value is taken out and its other side put in the variable's place. At the
 * end some of those taken out come back: live variables (those the caller asks for) must have their
 * value; a ref that is nowhere else any more must still be defined; every variable must be bound by
 * something. If that cannot be had the body stays as it was. */
#include <stdio.h>
#include "app/policy/partial/partial_impl.h"

struct same {
    str name;
    u32 up;
    const struct ast_term *constant;
};
struct taken {
    str name;
    const struct ast_term *by;
};

struct copy {
    struct partial *p;
    const struct residual_names *live;
    struct same *sets;
    u32 set_count, set_room;
    struct taken *taken;
    u32 taken_count, taken_room;
    struct residual_names heads;
    struct ast_expr **out;
    u32 out_count, out_room;
    bool negated;
};

/* ---- Sets of variables ---- */

static struct same *set_find(struct copy *c, str name) {
    for (u32 i = 0; i < c->set_count; i++) {
        if (!str_eq(c->sets[i].name, name)) continue;
        while (c->sets[i].up != i) i = c->sets[i].up;
        return c->sets + i;
    }
    return NULL;
}

static struct same *set_make(struct copy *c, str name) {
    struct same *s = set_find(c, name);
    if (s || c->set_count == c->set_room) return s;
    c->sets[c->set_count] = (struct same){name, c->set_count, NULL};
    return c->sets + c->set_count++;
}

static bool set_constant(struct same *s, const struct ast_term *t) {
    if (!s) return true;
    if (s->constant && !terms_equal(s->constant, t)) return false;
    s->constant = t;
    return true;
}

static bool set_merge(struct copy *c, str a, str b) {
    struct same *x = set_make(c, a), *y = set_make(c, b);
    if (!x || !y || x == y) return true;
    struct same *root = names_has(c->live, x->name) ? x : y, *other = root == x ? y : x;
    other->up = (u32)(root - c->sets);
    if (root->constant && other->constant) return terms_equal(root->constant, other->constant);
    if (!root->constant) root->constant = other->constant;
    return true;
}

static bool is_var(const struct ast_term *t) {
    return t->kind == AST_VAR && !term_is_root(t);
}

static bool make_sets(struct copy *c, const struct ast_body *b) {
    bool ok = true;
    for (u32 i = 0; i < b->count && ok; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (!expr_is_call(e, "eq") || e->count != 3 || e->negated || e->with_count) continue;
        const struct ast_term *x = e->terms[1], *y = e->terms[2];
        if (is_var(x) && is_var(y))
            ok = set_merge(c, x->var, y->var);
        else if (is_var(x) && ast_term_is_constant(y))
            ok = set_constant(set_make(c, x->var), y);
        else if (is_var(y) && ast_term_is_constant(x))
            ok = set_constant(set_make(c, y->var), x);
    }
    return ok;
}

/* A variable at the head of a ref keeps its name: a constant may not stand there. */
static bool head_of_ref(struct ast_walk *w, struct ast_term **t) {
    struct copy *c = w->arg;
    if ((*t)->kind != AST_REF || (*t)->terms[0]->kind != AST_VAR) return true;
    struct same *s = set_find(c, (*t)->terms[0]->var);
    if (s) s->constant = NULL;
    names_add(&c->heads, s ? s->name : (*t)->terms[0]->var);
    return true;
}

/* ---- Putting in ---- */

static const struct ast_term *taken_find(const struct copy *c, str name) {
    for (u32 i = c->taken_count; i > 0; i--)
        if (str_eq(c->taken[i - 1].name, name)) return c->taken[i - 1].by;
    return NULL;
}

static void take(struct copy *c, str name, const struct ast_term *by) {
    for (u32 i = 0; i < c->taken_count; i++)
        if (str_eq(c->taken[i].name, name)) {
            c->taken[i].by = by;
            return;
        }
    if (c->taken_count < c->taken_room) c->taken[c->taken_count++] = (struct taken){name, by};
}

struct mention {
    str name;
    bool found;
};
static bool mention_term(struct ast_walk *w, struct ast_term **t) {
    struct mention *m = w->arg;
    if ((*t)->kind == AST_VAR && str_eq((*t)->var, m->name)) m->found = true;
    return true;
}
static bool mentions(const struct ast_term *t, str name) {
    struct mention m = {name, false};
    struct ast_walk w = {.term = mention_term, .arg = &m};
    struct ast_term *slot = (struct ast_term *)t;
    ast_walk_term(&w, &slot);
    return m.found;
}

static struct ast_term *put(struct copy *c, const struct ast_term *t);

static const struct ast_term *put_var(struct copy *c, const struct ast_term *t) {
    const struct same *s = set_find(c, t->var);
    if (s && s->constant) return s->constant;
    if (s && !str_eq(s->name, t->var)) t = ast_var(c->p->heap, &t->at, s->name);
    const struct ast_term *by = t ? taken_find(c, t->var) : NULL;
    if (!by || (c->negated && !ast_term_is_ground(by)) || mentions(by, t->var)) return t;
    return by;
}

/* The head of a ref may have been taken out: the rest goes behind what stands for it. */
static struct ast_term *put_head(struct copy *c, const struct ast_term *t) {
    struct partial *p = c->p;
    const struct ast_term *head = t->terms[0];
    const struct same *s = head->kind == AST_VAR ? set_find(c, head->var) : NULL;
    if (s && !str_eq(s->name, head->var)) head = ast_var(p->heap, &head->at, s->name);
    const struct ast_term *by = head && head->kind == AST_VAR ? taken_find(c, head->var) : NULL;
    if (by && c->negated && !ast_term_is_ground(by)) by = NULL;
    u32 front = by && by->kind == AST_REF ? by->count : 1;
    u32 count = front + t->count - 1;
    struct ast_term **list = partial_alloc(p, count * sizeof(struct ast_term *));
    if (!list || !head) return NULL;
    if (by && by->kind == AST_REF)
        memcpy(list, by->terms, front * sizeof(struct ast_term *));
    else
        list[0] = (struct ast_term *)(by ? by : head);
    memcpy(list + front, t->terms + 1, (t->count - 1) * sizeof(struct ast_term *));
    for (u32 i = 1; i < count; i++) list[i] = put(c, list[i]);
    if (list[0]->kind != AST_VAR) list[0] = put(c, list[0]);
    return term_ref(p, list, count);
}

static struct ast_term *put_list(struct copy *c, const struct ast_term *t) {
    struct ast_term **list = partial_alloc(c->p, MAX(t->count, 1u) * sizeof(struct ast_term *));
    if (!list) return NULL;
    for (u32 i = 0; i < t->count; i++)
        list[i] = !i && t->kind == AST_CALL ? t->terms[0] : put(c, t->terms[i]);
    return ast_list(c->p->heap, &t->at, t->kind, list, t->count);
}

static struct ast_term *put_pairs(struct copy *c, const struct ast_term *t) {
    struct ast_term *made = ast_list(c->p->heap, &t->at, AST_OBJECT, NULL, 0);
    struct ast_pair *pairs = partial_alloc(c->p, MAX(t->count, 1u) * sizeof *pairs);
    if (!made || !pairs) return NULL;
    for (u32 i = 0; i < t->count; i++)
        pairs[i] = (struct ast_pair){put(c, t->pairs[i].key), put(c, t->pairs[i].value)};
    made->pairs = pairs, made->count = t->count, made->depth = t->depth;
    return made;
}

static struct ast_body *put_body(struct copy *c, const struct ast_body *b);

static struct ast_term *put(struct copy *c, const struct ast_term *t) {
    struct ast_term *made = (struct ast_term *)t;
    if (!t || ++c->p->depth > PARTIAL_DEPTH_MAX) {
        if (t) machine_stop(&c->p->evaluation, RC_LIMIT, "terms are nested too deeply");
        if (t) c->p->depth--;
        return NULL;
    }
    switch (t->kind) {
    case AST_VAR:
        if (term_is_root(t)) break;
        made = (struct ast_term *)put_var(c, t);
        if (made != t && made && made->kind != AST_VAR) made = put(c, made);
        break;
    case AST_REF: made = put_head(c, t); break;
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL: made = put_list(c, t); break;
    case AST_OBJECT: made = put_pairs(c, t); break;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION:
        made = ast_term_copy(c->p->heap, t);
        if (!made) break;
        made->comprehension.head = put(c, t->comprehension.head);
        if (t->comprehension.key) made->comprehension.key = put(c, t->comprehension.key);
        made->comprehension.body = put_body(c, t->comprehension.body);
        break;
    default: break;
    }
    c->p->depth--;
    return made;
}

static struct ast_expr *put_expr(struct copy *c, const struct ast_expr *from) {
    struct ast_expr *e = ast_expr_copy(c->p->heap, from);
    if (!e) return NULL;
    for (u32 i = e->kind == AST_EXPR_CALL; i < e->count; i++) e->terms[i] = put(c, e->terms[i]);
    if (e->kind == AST_EXPR_EVERY) {
        e->every->domain = put(c, e->every->domain);
        e->every->body = put_body(c, e->every->body);
    } else if (e->kind == AST_EXPR_NOT) {
        e->not_body = put_body(c, e->not_body);
    } else if (e->kind == AST_EXPR_LOGICAL) {
        e->logical->left = put_body(c, e->logical->left);
        e->logical->right = put_body(c, e->logical->right);
    }
    for (u32 i = 0; i < e->with_count; i++) e->with[i].value = put(c, e->with[i].value);
    return partial_stopped(c->p) ? NULL : e;
}

static struct ast_body *put_body(struct copy *c, const struct ast_body *b) {
    struct ast_body *made = ast_body_copy(c->p->heap, b);
    for (u32 i = 0; made && i < made->count; i++)
        if (!(made->exprs[i] = put_expr(c, b->exprs[i]))) return NULL;
    return made;
}

/* ---- Taking out ---- */

static bool can_take(const struct copy *c, const struct ast_term *var, const struct ast_term *by) {
    return is_var(var) && !names_has(c->live, var->var) &&
           (by->kind == AST_REF || by->kind == AST_CALL);
}

static bool is_noop(const struct ast_expr *e) {
    if (e->kind == AST_EXPR_TERM) {
        const struct ast_term *t = e->terms[0];
        return ast_term_is_constant(t) && !(t->kind == AST_BOOLEAN && value_is_false(t->scalar));
    }
    return expr_is_call(e, "equal") && e->count == 3 && terms_equal(e->terms[1], e->terms[2]);
}

static str made_name(struct copy *c) {
    char text[32];
    int n = snprintf(text, sizeof text, "__localcp%u__", c->p->copies_made++);
    value v = value_string(c->p->heap, (str){text, (size_t)n});
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

/* False: the expression goes. */
static bool keep(struct copy *c, const struct ast_expr *e) {
    if (e->negated || e->with_count) return true;
    if (expr_is_call(e, "eq") && e->count == 3) {
        const struct ast_term *a = e->terms[1], *b = e->terms[2];
        if (terms_equal(a, b)) {
            if (a->kind == AST_REF && a->terms[0]->kind == AST_VAR &&
                names_has(c->live, a->terms[0]->var))
                take(c, made_name(c), a);
            return false;
        }
        if (can_take(c, a, b))
            take(c, a->var, b);
        else if (can_take(c, b, a))
            take(c, b->var, a);
        else
            return true;
        return false;
    }
    if (e->kind == AST_EXPR_CALL &&
        residual_arity(c->p->residual, e->terms[0]) == (int)e->count - 2) {
        const struct ast_term *out = e->terms[e->count - 1];
        if (is_var(out) && !names_has(c->live, out->var) && !names_has(&c->heads, out->var)) {
            take(c, out->var, ast_list(c->p->heap, &e->at, AST_CALL, e->terms, e->count - 1));
            return false;
        }
    }
    return !is_noop(e);
}

static void append(struct copy *c, struct ast_expr *e) {
    if (e && c->out_count < c->out_room) c->out[c->out_count++] = e;
}

/* ---- Bringing back ---- */

static void bind_live(struct copy *c) {
    struct partial *p = c->p;
    str *sorted = partial_alloc(p, MAX(c->live->count, 1u) * sizeof *sorted);
    if (!sorted) return;
    for (u32 i = 0; i < c->live->count; i++) {
        u32 at = i;
        for (; at > 0 && str_cmp(c->live->items[i], sorted[at - 1]) < 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = c->live->items[i];
    }
    for (u32 i = 0; i < c->live->count; i++) {
        const struct same *s = set_find(c, sorted[i]);
        if (!s) continue;
        const struct ast_term *by = s->constant ? s->constant : taken_find(c, s->name);
        if (!by && !str_eq(s->name, sorted[i])) by = ast_var(p->heap, NULL, s->name);
        if (by) append(c, expr_eq(p, ast_var(p->heap, NULL, sorted[i]), by));
    }
}

struct within {
    const struct ast_term *what;
    bool found;
};
static bool within_term(struct ast_walk *w, struct ast_term **t) {
    struct within *x = w->arg;
    if (x->found) return false;
    if ((*t)->kind >= AST_ARRAY_COMPREHENSION && (*t)->kind <= AST_SET_COMPREHENSION) return false;
    if ((*t)->kind == AST_REF && x->what->kind == AST_REF)
        x->found = ast_ref_starts(*t, x->what);
    else
        x->found = terms_equal(*t, x->what);
    return !x->found;
}

static bool contained(const struct copy *c, const struct ast_term *what) {
    struct within x = {what, false};
    struct ast_walk w = {.term = within_term, .arg = &x};
    for (u32 i = 0; i < c->out_count && !x.found; i++) {
        struct ast_expr *e = c->out[i];
        struct ast_expr bare = *e;
        if (e->kind == AST_EXPR_EVERY) {
            struct ast_term *parts[] = {e->every->key, e->every->value, e->every->domain};
            for (u32 k = 0; k < ARRAY_LEN(parts); k++)
                if (parts[k]) ast_walk_term(&w, &parts[k]);
        } else if (e->kind == AST_EXPR_TERM || e->kind == AST_EXPR_CALL) {
            ast_walk_expr(&w, &bare);
        }
    }
    return x.found;
}

/* Expressions before the equation keep its variable: without it they would know nothing of each
 * other. */
static bool mentioned(const struct copy *c, str name) {
    struct mention m = {name, false};
    struct ast_walk w = {.term = mention_term, .arg = &m};
    for (u32 i = 0; i < c->out_count && !m.found; i++) ast_walk_expr(&w, c->out[i]);
    return m.found;
}

static u32 missing(const struct residual_names *need, const struct residual_names *have) {
    u32 count = 0;
    for (u32 i = 0; i < need->count; i++) count += !names_has(have, need->items[i]);
    return count;
}

static void add_all(struct residual_names *to, const struct residual_names *from) {
    for (u32 i = 0; i < from->count; i++) names_add(to, from->items[i]);
}

static void sort_taken(struct taken *t, u32 count) { /* last name first */
    for (u32 i = 1; i < count; i++)
        for (u32 j = i; j > 0 && str_cmp(t[j].name, t[j - 1].name) > 0; j--) {
            struct taken swap = t[j];
            t[j] = t[j - 1], t[j - 1] = swap;
        }
}

/* False: some variable is bound by nothing. */
static bool bring_back(struct copy *c) {
    struct partial *p = c->p;
    struct residual_names safe, need;
    names_open(&safe, p->heap), names_open(&need, p->heap);
    names_add(&safe, S("input")), names_add(&safe, S("data"));
    add_all(&safe, c->live);
    for (u32 i = 0; i < c->out_count; i++) {
        struct residual_names found;
        names_open(&found, p->heap);
        residual_outputs(p->residual, c->out[i], &safe, &found);
        add_all(&safe, &found);
        residual_needs(p->residual, c->out[i], &need);
    }
    u32 unsafe = missing(&need, &safe);
    sort_taken(c->taken, c->taken_count);
    for (u32 i = 0; i < c->taken_count && !partial_stopped(p); i++) {
        const struct ast_term *by = c->taken[i].by;
        struct ast_expr *e = expr_eq(p, ast_var(p->heap, NULL, c->taken[i].name), by);
        if (!e) return false;
        struct residual_names found;
        names_open(&found, p->heap);
        residual_outputs(p->residual, e, &safe, &found);
        struct residual_names with = safe;
        add_all(&with, &found);
        u32 after = missing(&need, &with);
        bool helps = after < unsafe;
        bool alone = by->kind == AST_REF && by->count == 1 && by->terms[0]->kind == AST_VAR &&
                     names_has(&safe, by->terms[0]->var);
        if (!helps && (alone || contained(c, by)) && !mentioned(c, c->taken[i].name)) continue;
        append(c, e);
        safe = with;
        unsafe = after;
    }
    return !unsafe;
}

/* What a closure shares with the body must be bound before it: a ref put where its variable stood
 * may now be bound only after. Nothing but `outside` is bound when the body begins, not even the
 * variables that are asked for. */
static bool shared_is_bound(struct partial *p, const struct ast_body *b,
                            const struct residual_names *outside) {
    struct residual_names nothing = {.heap = p->heap};
    struct ast_body *copy = ast_body_copy(p->heap, b);
    return copy && residual_is_safe(p->residual, copy, outside ? outside : &nothing);
}

struct ast_body *copy_propagate(struct partial *p, const struct ast_body *b,
                                const struct residual_names *live,
                                const struct residual_names *outside, bool never_empty) {
    if (p->options->plain) return (struct ast_body *)b;
    u32 room = b->count * 2 + live->count + 2;
    struct copy c = {
        .p = p, .live = live, .set_room = b->count * 2, .taken_room = b->count, .out_room = room};
    c.sets = partial_alloc(p, MAX(c.set_room, 1u) * sizeof *c.sets);
    c.taken = partial_alloc(p, MAX(c.taken_room, 1u) * sizeof *c.taken);
    c.out = partial_alloc(p, room * sizeof(struct ast_expr *));
    names_open(&c.heads, p->heap);
    if (!c.sets || !c.taken || !c.out) return NULL;
    if (!make_sets(&c, b)) return (struct ast_body *)b;
    struct ast_walk w = {.term = head_of_ref, .arg = &c};
    ast_walk_body(&w, (struct ast_body *)b);
    for (u32 i = 0; i < b->count; i++) {
        c.negated = b->exprs[i]->negated;
        struct ast_expr *e = put_expr(&c, b->exprs[i]);
        if (!e) return NULL;
        if (keep(&c, e)) append(&c, e);
    }
    bind_live(&c);
    if (!bring_back(&c)) return (struct ast_body *)b;
    if (never_empty && !c.out_count) append(&c, expr_term(p, p->yes));
    struct ast_body *made = expr_body(p, c.out, c.out_count);
    return made && shared_is_bound(p, made, outside) ? made : (struct ast_body *)b;
}
