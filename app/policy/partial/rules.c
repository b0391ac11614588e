/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c — refs that reached rules. Three ways on:
 *
 *   nothing unknown     the document is worked out, once, and read like any other
 *   inlined             each rule's body in turn, then on with its head's value
 *   kept as rules       what is left of each rule goes to the support; the ref names it there
 *
 * All go through a `ruling`: a choice that enters one rule after another and is the newest choice
 * again when a rule has no further ways. */
#include "app/policy/partial/partial_impl.h"

static u32 count_beneath(const struct rule_node *n, u32 depth) {
    u32 count = n->rule_count;
    for (u32 i = 0; i < n->child_count && depth < POLICY_PATH_DEPTH_MAX; i++)
        count += count_beneath(n->children[i], depth + 1);
    return count;
}

static void take_rules(struct ruleset *to, const struct rule_node *n) {
    for (u32 i = 0; i < n->rule_count; i++) {
        struct ast_rule *r = n->rules[i];
        if (r->is_default) {
            to->fallback = r;
            continue;
        }
        to->rules[to->count++] = r;
        if (r->otherwise) to->has_else = true;
        if (!ast_term_is_ground(r->head->ref)) to->ground = false;
    }
}

static void take_beneath(struct ruleset *to, const struct rule_node *n, u32 depth) {
    for (u32 i = 0; i < n->child_count && depth < POLICY_PATH_DEPTH_MAX; i++) {
        take_rules(to, n->children[i]);
        take_beneath(to, n->children[i], depth + 1);
    }
}

/* Where a head has variables, the rules further down fill the same document. */
void ruleset_read(struct partial *p, const struct rule_node *n, struct ruleset *to) {
    *to = (struct ruleset){.ground = true, .multi = !n->rules[0]->head->value};
    to->rules = partial_alloc(p, (count_beneath(n, 0) + 1) * sizeof(struct ast_rule *));
    if (!to->rules) return;
    take_rules(to, n);
    if (!to->ground) take_beneath(to, n, 0);
}

/* ---- One rule after another ---- */

static void ruling_again(struct partial *p, struct choice *c) {
    struct ruling *r = (struct ruling *)c;
    const struct ast_rule *rule = NULL;
    if (r->rule && r->chains && !r->found) rule = r->rule->otherwise;
    if (!rule && r->next < r->rules.count) rule = r->rules.rules[r->next++];
    if (!rule && r->rules.fallback && (r->all || (r->fallback && !r->any))) {
        rule = r->rules.fallback;
        r->rules.fallback = NULL;
    }
    if (!rule) {
        choice_pop(p, c);
        r->finish(p, r);
        return;
    }
    r->rule = rule, r->found = false;
    r->enter(p, r, rule);
}

static void ruling_nothing(struct partial *p, struct ruling *r) {
    (void)r;
    partial_fail(p);
}

struct ruling *ruling_make(struct partial *p, const struct rule_node *n) {
    struct ruling *r = partial_alloc(p, sizeof *r);
    if (!r) return NULL;
    r->node = n, r->v = UNDEFINED, r->depth = 1;
    for (const struct rule_node *up = n; up->parent; up = up->parent) r->depth++;
    r->finish = ruling_nothing;
    ruleset_read(p, n, &r->rules);
    return r;
}

void ruling_start(struct partial *p, struct ruling *r) {
    partial_fail(p);
    choice_push(p, &r->c, ruling_again);
}

static void found_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    (void)p;
    r->found = r->any = true;
}
struct goal *goal_found(struct partial *p, struct ruling *r, struct goal *next) {
    struct goal *g = goal_make(p, found_go, (struct site){0}, next);
    if (g) g->arg = r;
    return g;
}

/* A frame for the rule; the goal `then` comes when its body holds. */
static struct visit *enter_rule(struct partial *p, const struct ast_rule *rule, struct env **env) {
    *env = env_make(p);
    return *env ? visit_make(p, rule->body, *env) : NULL;
}

static struct goal *rule_goal(struct partial *p, struct ruling *r, const struct visit *f,
                              void (*go)(struct partial *, struct goal *)) {
    struct goal *g = f ? goal_make(p, go, (struct site){f, 0}, NULL) : NULL;
    if (g) g->arg = r;
    return g;
}

/* ---- Documents that are known ---- */

static struct known **known_slot(const struct partial *p, const struct rule_node *n) {
    return &p->now.around.known->slots[((uintptr_t)n >> 4) % KNOWN_SLOTS];
}

static void value_done(struct partial *p, struct ruling *r) {
    struct known *k = partial_alloc(p, sizeof *k);
    if (!k) return;
    value v = r->rules.multi || !r->rules.ground ? value_builder_close(&r->builder) : r->v;
    if (!r->rules.ground && value_defined(r->v)) v = value_merge(p->heap, v, r->v);
    struct known **slot = known_slot(p, r->node);
    *k = (struct known){r->node, v, *slot};
    *slot = k;
    r->then->a.term = value_defined(v) ? term_of(p, v) : NULL;
    r->then->a.env = p->root;
    goal_next(p, r->then);
}

static void conflict(struct partial *p, const struct ast_rule *r, const char *what) {
    partial_error(p, EVAL_CONFLICT_ERROR, &r->head->at, what);
}

/* p[a].b[c]: the value goes into objects within objects. */
static void put_deep(struct partial *p, struct ruling *r, const value *path, u32 count, value v) {
    value have = value_defined(r->v) ? r->v : value_empty_object();
    for (u32 i = 0; i < count && value_defined(have); i++) {
        if (have.kind != VALUE_OBJECT) conflict(p, r->rule, "object keys must be unique");
        have = have.kind == VALUE_OBJECT ? value_get(have, path[i]) : UNDEFINED;
    }
    if (!r->rule->head->value) {
        value one[] = {v};
        struct value_builder b;
        value_builder_open(&b, p->heap, VALUE_SET);
        for (u32 i = 0; have.kind == VALUE_SET && i < value_count(have); i++)
            value_builder_add(&b, value_item(have, i));
        value_builder_add(&b, one[0]);
        v = value_builder_close(&b);
    } else if (value_defined(have) && !value_equal(have, v)) {
        conflict(p, r->rule, "object keys must be unique");
    }
    r->v = value_patch(p->heap, value_defined(r->v) ? r->v : value_empty_object(), path, count, v);
}

static void put_keyed(struct partial *p, struct ruling *r, struct env *env, value v) {
    const struct ast_head *h = r->rule->head;
    value path[POLICY_PATH_DEPTH_MAX];
    u32 count = 0;
    for (u32 i = r->depth; i < h->ref->count && count < ARRAY_LEN(path); i++) {
        struct ast_term *t = bind_plug(p, (struct closed){h->ref->terms[i], env});
        if (!t || !term_value(p, t, &path[count++])) return;
    }
    if (count == 1 && r->rule->head->value && !value_defined(r->v)) {
        if (value_builder_put(&r->builder, path[0], v) == RC_CONFLICT)
            conflict(p, r->rule, "object keys must be unique");
    } else {
        put_deep(p, r, path, count, v);
    }
}

static void value_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    const struct ast_head *h = r->rule->head;
    struct env *env = g->at.visit->env;
    struct ast_term *t = bind_plug(p, (struct closed){h->value ? h->value : h->key, env});
    value v;
    r->found = r->any = true;
    if (!t) return;
    if (!term_value(p, t, &v)) {
        partial_error(p, EVAL_INTERNAL_ERROR, &h->at, "a rule's value is not known");
    } else if (!r->rules.ground) {
        put_keyed(p, r, env, v);
    } else if (r->rules.multi) {
        value_builder_add(&r->builder, v);
    } else {
        if (value_defined(r->v) && !value_equal(r->v, v))
            conflict(p, r->rule, "complete rules must not produce multiple outputs");
        r->v = v;
    }
}

static void value_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    struct env *env;
    struct visit *f = enter_rule(p, rule, &env);
    goal_next(p, goal_body(p, f, rule_goal(p, r, f, value_go)));
}

void rules_value(struct partial *p, struct site at, const struct rule_node *n, struct goal *then) {
    (void)at;
    for (const struct known *k = *known_slot(p, n); k; k = k->next)
        if (k->node == n) {
            then->a.term = value_defined(k->v) ? term_of(p, k->v) : NULL;
            then->a.env = p->root;
            goal_next(p, then);
            return;
        }
    struct ruling *r = ruling_make(p, n);
    if (!r) return;
    if (n->rules[0]->head->is_function) { /* not a document */
        then->a.term = NULL;
        goal_next(p, then);
        return;
    }
    r->chains = r->fallback = true;
    r->then = then;
    r->enter = value_enter, r->finish = value_done;
    value_builder_open(&r->builder, p->heap, r->rules.ground ? VALUE_SET : VALUE_OBJECT);
    ruling_start(p, r);
}

static void known_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    struct reading reading = r->reading;
    reading.pos++;
    if (g->a.term) read_term(p, reading, g->a);
}

static void read_known(struct partial *p, const struct reading *r, const struct rule_node *n) {
    struct ruling *hold = partial_alloc(p, sizeof *hold);
    struct goal *g = goal_make(p, known_go, r->at, NULL);
    if (!hold || !g) return;
    hold->reading = *r;
    g->arg = hold;
    rules_value(p, r->at, n, g);
}

/* ---- Rules put in place of the ref ---- */

/* The head's value; of a rule with keys beyond the node, in objects of these keys. */
static struct closed head_term(struct partial *p, struct ruling *r, struct env *env) {
    const struct ast_head *h = r->rule->head;
    struct closed t = {h->value ? h->value : h->key, env};
    u32 from = r->reading.pos + 1;
    bool keys = from < h->ref->count;
    if (!keys) t = bind_apply(p, t);
    if (!h->value) t.term = term_set_of(p, t.term);
    if (keys && t.term) t.term = term_wrap(p, t.term, h->ref->terms + from, h->ref->count - from);
    return t;
}

static void inlined_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    struct reading reading = r->reading;
    reading.pos++;
    read_term(p, reading, head_term(p, r, g->at.visit->env));
}

static void inlined_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    struct env *env;
    struct visit *f = enter_rule(p, rule, &env);
    goal_next(p, goal_body(p, f, rule_goal(p, r, f, inlined_go)));
}

/* The operands of the ref beyond the node meet the variables of the head. */
static struct goal *head_goals(struct partial *p, struct ruling *r, const struct ast_rule *rule,
                               struct env *env, struct goal *next) {
    const struct ast_term *ref = r->reading.ref.term, *head = rule->head->ref;
    u32 from = r->reading.pos + 1, to = MIN(ref->count, head->count);
    if (!rule->head->value && to < ref->count && head->count <= ref->count)
        next = goal_unify(p, r->reading.at, (struct closed){ref->terms[to], r->reading.ref.env},
                          (struct closed){rule->head->key, env}, next);
    for (u32 i = to; i-- > from;)
        next = goal_unify(p, r->reading.at, (struct closed){ref->terms[i], r->reading.ref.env},
                          (struct closed){head->terms[i], env}, next);
    return next;
}

static void keyed_first_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    struct env *env;
    struct visit *f = enter_rule(p, rule, &env);
    goal_next(p, head_goals(p, r, rule, env, goal_body(p, f, rule_goal(p, r, f, inlined_go))));
}

static void keyed_last_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    struct env *env;
    struct visit *f = enter_rule(p, rule, &env);
    goal_next(p, goal_body(p, f, head_goals(p, r, rule, env, rule_goal(p, r, f, inlined_go))));
}

/* Functions are replaced by others that may need what is unknown: nothing is worked out aside. The
 * first value counts. */
static void through_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    bool first = !r->any;
    r->found = r->any = true;
    partial_fail(p);
    if (first) inlined_go(p, g);
}

static void through_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    struct env *env;
    struct visit *f = enter_rule(p, rule, &env);
    goal_next(p, goal_body(p, f, rule_goal(p, r, f, through_go)));
}

static void read_through(struct partial *p, struct ruling *r) {
    r->chains = r->fallback = true;
    r->enter = through_enter;
    ruling_start(p, r);
}

/* ---- Rules kept as rules ---- */

static struct ast_rule *support_rule(struct partial *p, const struct ast_rule *from,
                                     struct ast_term *ref, struct ast_term *key,
                                     struct ast_term *result, struct ast_body *body) {
    struct ast_rule *r = partial_alloc(p, sizeof *r);
    struct ast_head *h = partial_alloc(p, sizeof *h);
    if (!r || !h || !ref || !body) return NULL;
    h->ref = ref, h->key = key, h->value = result;
    if (ref->count == 1 || (ref->count == 2 && result)) h->name = ref->terms[0]->var;
    if (ref->count == 2 && result) h->key = ref->terms[1];
    r->head = h, r->body = body, r->is_default = from->is_default;
    return r;
}

static bool head_var(struct ast_walk *w, struct ast_term **t) {
    if ((*t)->kind == AST_VAR) names_add(w->arg, (*t)->var);
    return true;
}

static void head_names(struct residual_names *to, const struct ast_head *h) {
    struct ast_walk w = {.term = head_var, .arg = to};
    struct ast_term *parts[] = {h->ref, h->key, h->value};
    for (u32 i = 0; i < ARRAY_LEN(parts); i++)
        if (parts[i]) ast_walk_term(&w, &parts[i]);
}

static void support_go(struct partial *p, struct goal *g) {
    struct ruling *r = g->arg;
    const struct ast_head *h = r->rule->head;
    struct env *env = g->at.visit->env;
    struct ast_body *body = save_settled(p, save_query(p));
    if (!body) return;
    r->support = true;
    struct ast_term *ref = name_spaced(p, h->ref->terms, h->ref->count, r->space);
    for (u32 i = 1; ref && i < ref->count; i++)
        ref->terms[i] = term_plain(p, bind_plug_named(p, (struct closed){ref->terms[i], env}));
    if (!ref || partial_stopped(p)) return;
    u32 split = support_split(ref->terms, ref->count);
    struct ast_term *package = term_ref(p, ref->terms, split);
    struct ast_term *name = term_ref(p, ref->terms + split, ref->count - split);
    if (!package || !name) return;
    name->terms[0] = ast_var(p->heap, NULL, value_str(name->terms[0]->scalar));
    struct ast_term *key = NULL, *result = NULL;
    if (h->value)
        result = term_plain(p, bind_plug_named(p, (struct closed){h->value, env}));
    else
        key = term_plain(p, bind_plug_named(p, (struct closed){h->key, env}));
    struct ast_rule *made = support_rule(p, r->rule, name, key, result, body);
    if (!made) return;
    if (!p->options->shallow) {
        struct residual_names live;
        names_open(&live, p->heap);
        head_names(&live, made->head);
        made->body = copy_propagate(p, body, &live, NULL, true);
    }
    support_add(p, package, made);
}

static void support_enter(struct partial *p, struct ruling *r, const struct ast_rule *rule) {
    struct env *env;
    struct visit *f = enter_rule(p, rule, &env);
    p->now.query = NULL;
    goal_next(p, goal_body(p, f, rule_goal(p, r, f, support_go)));
}

/* The ref names the support's rules, if there are any: else an empty set or object, or nothing. */
static void support_done(struct partial *p, struct ruling *r) {
    const struct reading *reading = &r->reading;
    struct ast_term *ref =
        name_spaced(p, reading->ref.term->terms, reading->ref.term->count, r->space);
    bool complete = r->rules.ground && !r->rules.multi;
    if (!ref) return;
    if (!r->support) {
        if (complete || reading->ref.term->count != reading->pos + 1) {
            partial_fail(p);
            return;
        }
        ref = term_of(p,
                      r->rules.multi && r->rules.ground ? value_empty_set() : value_empty_object());
    }
    save_unify(p, reading->at, (struct closed){ref, reading->ref.env}, reading->with, reading->k);
}

static void read_support(struct partial *p, struct ruling *r) {
    r->space = support_space(p, r->plugged, r->reading.pos + 1);
    struct ast_term *path = name_spaced(p, r->plugged, r->reading.pos + 1, r->space);
    if (!path) return;
    r->all = true;
    r->enter = support_enter, r->finish = support_done;
    if (support_has(p, path->terms, path->count)) {
        r->support = true;
        support_done(p, r);
    } else {
        ruling_start(p, r);
    }
}

/* ---- Which way ---- */

/* May the default be what the ref stands for? */
static bool default_matters(struct partial *p, const struct ruling *r) {
    const struct ast_rule *d = r->rules.fallback;
    value of, v;
    if (!d) return false;
    const struct closed *with = &r->reading.with;
    bool known = term_value(p, d->head->value, &of);
    if (known && value_is_false(of) && is_tested(p, with->term)) return false;
    struct ast_term *other = bind_plug(p, *with);
    if (!other || !known || !term_value(p, other, &v)) return true;
    return value_equal(of, v);
}

static void read_complete(struct partial *p, struct ruling *r) {
    const struct reading *reading = &r->reading;
    if ((!r->rules.count && !r->rules.fallback) || r->node->rules[0]->head->is_function) {
        partial_fail(p);
    } else if (!unknown_in_term(p, reading->ref.term, reading->ref.env)) {
        if (p->now.around.replaced)
            read_through(p, r);
        else
            read_known(p, reading, r->node);
    } else if (default_matters(p, r) || p->options->shallow ||
               disabled_ref(p, r->plugged, reading->pos + 1, false)) {
        read_support(p, r);
    } else {
        r->enter = inlined_enter;
        ruling_start(p, r);
    }
}

static u32 longest_head(const struct ruleset *rules, u32 most) {
    u32 longest = 0;
    for (u32 i = 0; i < rules->count; i++) {
        const struct ast_head *h = rules->rules[i]->head;
        longest = MAX(longest, h->ref->count + !h->value);
    }
    return MIN(longest, most);
}

static void read_keyed(struct partial *p, struct ruling *r) {
    const struct reading *reading = &r->reading;
    const struct ast_term *ref = reading->ref.term;
    u32 at = reading->pos + 1;
    bool unknown = unknown_in_ref(p, ref, at, reading->ref.env);
    if (ref->count == at) {
        if (unknown)
            read_support(p, r);
        else
            read_known(p, reading, r->node);
        return;
    }
    if ((unknown && p->options->shallow) || disabled_ref(p, ref->terms, at, false)) {
        read_support(p, r);
        return;
    }
    u32 most = longest_head(&r->rules, ref->count);
    bool keys_unknown =
        most > at && unknown_in_terms(p, ref->terms + at, most - at, reading->ref.env);
    if (!r->rules.count)
        partial_fail(p);
    else if (!keys_unknown && !unknown)
        read_known(p, reading, r->node);
    else {
        r->enter = keys_unknown ? keyed_last_enter : keyed_first_enter;
        ruling_start(p, r);
    }
}

void rules_read(struct partial *p, struct reading reading, struct ast_term **plugged,
                const struct rule_node *n) {
    struct ruling *r = ruling_make(p, n);
    if (!r) return;
    r->reading = reading, r->plugged = plugged;
    if (r->rules.has_else && unknown_in_term(p, reading.ref.term, reading.ref.env))
        save_unify(p, reading.at, reading.ref, reading.with, reading.k);
    else if (r->rules.multi || !r->rules.ground)
        read_keyed(p, r);
    else
        read_complete(p, r);
}
