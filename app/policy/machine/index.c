/* SPDX-License-Identifier: Apache-2.0 */
/* index.c — making and asking rule indexes.
 *
 * What a body demands of a field is read off its expressions:
 *
 *   eq(input.a.b, "x")                                   one constant
 *   eq(v, input.a.b), equal(v, "x")                      through a local variable
 *   internal.member_2(v, {"x", "y"})                     any of several
 *   startswith(v, "x"), endswith(v, "x")                 prefixes and suffixes
 *   f("x", _), and eq(arg, "x") in a function            the arguments of a call
 *
 * Only demands that must hold for the body to hold count: those of the body itself, not negated,
 * not under `with`. A rule with `else` counts as demanding nothing, for its branches differ.
 * The index may name a rule that does not apply after all; it never leaves one out. */
#include "app/policy/machine/index.h"
#include <stdlib.h>
#include "app/policy/machine/plan.h"
#include "kernel/base/limits.h"

struct making {
    struct plan *pl;
    struct node *node;
    struct field_name {
        u8 source, test;
        u32 count;
        value *keys;
        u32 argument;
        struct index_demand *demands;
        u32 demand_count, demand_room;
    } fields[INDEX_FIELDS_MAX];
    u32 field_count;
    bool failed;
};

struct binding { str name; const struct ast_term *ref; };

struct reading { /* one body */
    struct making *m;
    u32 rule;
    const struct ast_rule *source;
    struct binding bindings[INDEX_BINDINGS_MAX];
    u32 binding_count;
};

/* ---- Fields ---- */

static bool same_field(const struct field_name *f, u8 source, u8 test, const value *keys, u32 count,
                       u32 argument) {
    if (f->source != source || f->test != test || f->count != count || f->argument != argument)
        return false;
    for (u32 i = 0; i < count; i++)
        if (!value_equal(f->keys[i], keys[i])) return false;
    return true;
}

static u32 field_of(struct making *m, u8 source, u8 test, const value *keys, u32 count,
                    u32 argument) {
    for (u32 i = 0; i < m->field_count; i++)
        if (same_field(m->fields + i, source, test, keys, count, argument)) return i;
    if (m->field_count == INDEX_FIELDS_MAX) return NOWHERE;
    value *copy = heap_alloc(&m->pl->p->heap, (count ? count : 1) * sizeof(value));
    if (!copy) return NOWHERE;
    if (count) memcpy(copy, keys, count * sizeof(value));
    m->fields[m->field_count] = (struct field_name){
        .source = source, .test = test, .count = count, .keys = copy, .argument = argument};
    return m->field_count++;
}

static void demand(struct making *m, u32 field, u32 rule, value key) {
    if (field == NOWHERE) return;
    struct field_name *f = m->fields + field;
    if (f->demand_count == f->demand_room) {
        u32 room = f->demand_room ? f->demand_room * 2 : 64;
        struct index_demand *now = realloc(f->demands, (size_t)room * sizeof *now);
        if (!now) {
            m->failed = true;
            return;
        }
        f->demands = now, f->demand_room = room;
    }
    f->demands[f->demand_count++] = (struct index_demand){rule, key};
}

/* ---- What a body demands ---- */

static const struct ast_term *follow(const struct reading *r, const struct ast_term *t) {
    for (u32 hops = 0; t->kind == AST_VAR && hops < 4; hops++) {
        const struct ast_term *to = NULL;
        for (u32 i = 0; i < r->binding_count; i++)
            if (str_eq(r->bindings[i].name, t->var)) to = r->bindings[i].ref;
        if (!to) break;
        t = to;
    }
    return t;
}

/* The field a term reads, or NOWHERE. */
static u32 field_of_term(struct reading *r, const struct ast_term *t, u8 test) {
    struct making *m = r->m;
    t = follow(r, t);
    if (t->kind == AST_VAR) {
        const struct ast_head *h = r->source->head;
        for (u32 i = 0; m->node->is_function && i < h->arg_count; i++)
            if (h->args[i]->kind == AST_VAR && str_eq(h->args[i]->var, t->var))
                return field_of(m, INDEX_ARGUMENT, test, NULL, 0, i);
        return NOWHERE;
    }
    if (t->kind != AST_REF || t->terms[0]->kind != AST_VAR) return NOWHERE;
    bool input = str_eq(t->terms[0]->var, S("input"));
    if (!input && !str_eq(t->terms[0]->var, S("data"))) return NOWHERE;
    UNINITIALIZED value keys[INDEX_PATH_MAX];
    u32 n = t->count - 1;
    if (n > INDEX_PATH_MAX || (!input && !n)) return NOWHERE;
    const struct node *node = m->pl->tree->root;
    for (u32 i = 0; i < n; i++) {
        if (!plan_is_constant(t->terms[i + 1], &keys[i])) return NOWHERE;
        if (!input && node) node = node_child(node, keys[i]);
        if (!input && node && node->has_rules) return NOWHERE;
    }
    if (!input && node) return NOWHERE;
    return field_of(m, input ? INDEX_INPUT : INDEX_BASE, test, keys, n, 0);
}

static bool scalar_of(const struct reading *r, const struct ast_term *t, value *out) {
    t = follow(r, t);
    return plan_is_constant(t, out) && out->kind <= VALUE_STRING;
}

static void read_equal(struct reading *r, const struct ast_term *a, const struct ast_term *b) {
    value v;
    if (scalar_of(r, b, &v)) demand(r->m, field_of_term(r, a, INDEX_EQUAL), r->rule, v);
    else if (scalar_of(r, a, &v)) demand(r->m, field_of_term(r, b, INDEX_EQUAL), r->rule, v);
}

static void read_unify(struct reading *r, const struct ast_term *a, const struct ast_term *b) {
    const struct ast_term *var = a->kind == AST_VAR ? a : b->kind == AST_VAR ? b : NULL;
    const struct ast_term *other = var == a ? b : a;
    if (var && follow(r, var)->kind == AST_VAR && r->binding_count < INDEX_BINDINGS_MAX &&
        (other->kind == AST_REF || other->kind == AST_SET || other->kind == AST_ARRAY) &&
        field_of_term(r, var, INDEX_EQUAL) == NOWHERE) {
        r->bindings[r->binding_count++] = (struct binding){var->var, other};
        return;
    }
    read_equal(r, a, b);
}

static void read_member(struct reading *r, const struct ast_term *member,
                        const struct ast_term *of) {
    of = follow(r, of);
    value set = UNDEFINED;
    if ((of->kind == AST_SET || of->kind == AST_ARRAY) && ast_term_is_constant(of))
        set = ast_term_value(&r->m->pl->p->heap, of);
    else if (of->kind == AST_VALUE &&
             (of->scalar.kind == VALUE_SET || of->scalar.kind == VALUE_ARRAY))
        set = of->scalar;
    if (set.kind != VALUE_SET && set.kind != VALUE_ARRAY) return;
    u32 n = value_count(set);
    if (n > INDEX_MEMBERS_MAX) return;
    for (u32 i = 0; i < n; i++)
        if (value_item(set, i).kind > VALUE_STRING) return;
    u32 field = field_of_term(r, member, INDEX_EQUAL);
    for (u32 i = 0; i < n; i++) demand(r->m, field, r->rule, value_item(set, i));
}

static void read_expr(struct reading *r, const struct ast_expr *e) {
    if (e->negated || e->with_count || e->kind != AST_EXPR_CALL || e->count != 3) return;
    const struct ast_term *op = e->terms[0], *a = e->terms[1], *b = e->terms[2];
    value v;
    if (plan_names(op, "eq", NULL)) read_unify(r, a, b);
    else if (plan_names(op, "equal", NULL)) read_equal(r, a, b);
    else if (plan_names(op, "internal", "member_2")) read_member(r, a, b);
    else if (plan_names(op, "startswith", NULL) && scalar_of(r, b, &v) && v.kind == VALUE_STRING)
        demand(r->m, field_of_term(r, a, INDEX_PREFIX), r->rule, v);
    else if (plan_names(op, "endswith", NULL) && scalar_of(r, b, &v) && v.kind == VALUE_STRING)
        demand(r->m, field_of_term(r, a, INDEX_SUFFIX), r->rule, v);
}

static void read_rule(struct making *m, u32 i) {
    const struct ast_rule *rule = m->node->rules[i];
    if (rule->is_default || rule->otherwise) return;
    UNINITIALIZED struct reading r;
    r.m = m, r.rule = i, r.source = rule, r.binding_count = 0;
    value v;
    for (u32 a = 0; m->node->is_function && a < rule->head->arg_count; a++)
        if (plan_is_constant(rule->head->args[a], &v) && v.kind <= VALUE_STRING)
            demand(m, field_of(m, INDEX_ARGUMENT, INDEX_EQUAL, NULL, 0, a), i, v);
    for (u32 e = 0; e < rule->body->count; e++) read_expr(&r, rule->body->exprs[e]);
}

/* ---- Building ---- */

static int reverse_compare(str a, str b) {
    size_t n = MIN(a.len, b.len);
    for (size_t i = 1; i <= n; i++)
        if (a.ptr[a.len - i] != b.ptr[b.len - i])
            return (u8)a.ptr[a.len - i] < (u8)b.ptr[b.len - i] ? -1 : 1;
    return a.len < b.len ? -1 : a.len > b.len;
}

static int key_order(u8 test, str a, str b) {
    return test == INDEX_SUFFIX ? reverse_compare(a, b) : str_cmp(a, b);
}
static bool key_fits(u8 test, str text, str key) {
    return test == INDEX_SUFFIX ? str_ends(text, key) : str_starts(text, key);
}

/* A field twice demanded by one rule (x == "a"; x == "b") holds for neither list alone, but being
 * in both only costs a needless try. */
static int demand_order(const void *a, const void *b) {
    const struct index_demand *x = a, *y = b;
    int c = value_compare(x->key, y->key);
    if (c) return c;
    return x->rule < y->rule ? -1 : x->rule > y->rule;
}
static int demand_order_suffix(const void *a, const void *b) {
    const struct index_demand *x = a, *y = b;
    int c = reverse_compare(value_str(x->key), value_str(y->key));
    if (c) return c;
    return x->rule < y->rule ? -1 : x->rule > y->rule;
}

/* The place of `key` among the field's, added when new. */
static u32 key_place(struct index_field *f, value key) {
    u32 at = value_hash(key) & f->mask;
    for (; f->table[at]; at = (at + 1) & f->mask)
        if (value_equal(f->keys[f->table[at] - 1], key)) return f->table[at] - 1;
    f->keys[f->key_count] = key;
    f->lists[f->key_count] = (struct index_list){0};
    f->table[at] = ++f->key_count;
    return f->key_count - 1;
}

/* EQUAL: lists by hash, without sorting: the demands come in the order of the rules. */
static bool field_lists(struct heap *h, struct index_field *f, const struct index_demand *d,
                        u32 count, u32 *rules) {
    u32 slots = 8;
    while (slots < count * 2) slots *= 2;
    f->table = heap_alloc(h, slots * sizeof(u32));
    u32 *places = malloc((count + 1) * sizeof(u32));
    if (!f->table || !places) return free(places), false;
    memset(f->table, 0, slots * sizeof(u32));
    f->mask = slots - 1;
    for (u32 i = 0; i < count; i++) f->lists[places[i] = key_place(f, d[i].key)].count++;
    for (u32 k = 0; k < f->key_count; k++) {
        f->lists[k].rules = rules;
        rules += f->lists[k].count, f->lists[k].count = 0;
    }
    for (u32 i = 0; i < count; i++) {
        struct index_list *l = f->lists + places[i];
        if (!l->count || l->rules[l->count - 1] != d[i].rule) l->rules[l->count++] = d[i].rule;
    }
    free(places);
    return true;
}

static bool field_parents(struct heap *h, struct index_field *f) {
    f->parents = heap_alloc(h, (f->key_count + 1) * sizeof(u32));
    if (!f->parents) return false;
    for (u32 i = 0; i < f->key_count; i++) {
        u32 p = i; /* + 1 - 1: the key before */
        while (p && !key_fits(f->test, value_str(f->keys[i]), value_str(f->keys[p - 1])))
            p = f->parents[p - 1];
        f->parents[i] = p;
    }
    return true;
}

bool index_field_fill(struct heap *h, struct index_field *f, struct index_demand *d, u32 count) {
    f->keys = heap_alloc(h, (count + 1) * sizeof(value)),
    f->lists = heap_alloc(h, (count + 1) * sizeof *f->lists);
    u32 *rules = heap_alloc(h, (count + 1) * sizeof(u32));
    if (!f->keys || !f->lists || !rules) return false;
    if (f->test == INDEX_EQUAL) return field_lists(h, f, d, count, rules);
    qsort(d, count, sizeof *d, f->test == INDEX_SUFFIX ? demand_order_suffix : demand_order);
    for (u32 i = 0; i < count; i++) {
        if (!i || !value_equal(d[i].key, d[i - 1].key)) {
            f->keys[f->key_count] = d[i].key;
            f->lists[f->key_count++] = (struct index_list){0, rules + i};
        }
        struct index_list *l = f->lists + f->key_count - 1;
        if (!l->count || l->rules[l->count - 1] != d[i].rule) l->rules[l->count++] = d[i].rule;
    }
    return field_parents(h, f);
}

static void *take(struct making *m, size_t n) {
    void *p = heap_alloc(&m->pl->p->heap, n ? n : 1);
    if (!p) m->failed = true;
    return p;
}

static void field_build(struct making *m, struct index *x, u32 which) {
    const struct field_name *name = m->fields + which;
    struct index_field *f = x->fields + x->field_count;
    *f = (struct index_field){.source = name->source, .test = name->test};
    u8 *cares = calloc(m->node->rule_count, 1);
    f->others.rules = take(m, m->node->rule_count * sizeof(u32));
    if (!cares || m->failed ||
        !index_field_fill(&m->pl->p->heap, f, name->demands, name->demand_count)) {
        m->failed = true;
        free(cares);
        return;
    }
    for (u32 i = 0; i < name->demand_count; i++) cares[name->demands[i].rule] = 1;
    for (u32 i = 0; i < m->node->rule_count; i++)
        if (!cares[i] && !m->node->rules[i]->is_default) f->others.rules[f->others.count++] = i;
    free(cares);
    f->path =
        name->source == INDEX_ARGUMENT ? name->argument : plan_path(m->pl, name->keys, name->count);
    x->field_count++;
}

static struct index *build(struct making *m) {
    struct index *x = take(m, sizeof *x);
    if (!x) return NULL;
    *x = (struct index){.rule_count = m->node->rule_count};
    x->entries = take(m, x->rule_count * sizeof(u32));
    x->fields = take(m, m->field_count * sizeof *x->fields);
    if (m->failed) return NULL;
    for (u32 i = 0; i < x->rule_count; i++) x->entries[i] = 0;
    for (u32 i = 0; i < m->field_count && !m->failed; i++)
        if (m->fields[i].demand_count) field_build(m, x, i);
    return m->failed || !x->field_count ? NULL : x;
}

struct index *index_make(struct plan *pl, struct node *n) {
    if (n->rule_count < INDEX_RULES_MIN || pl->p->every_rule) return NULL;
    struct making *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->pl = pl, m->node = n;
    for (u32 i = 0; i < n->rule_count && !m->failed; i++) read_rule(m, i);
    struct index *x = m->field_count && !m->failed ? build(m) : NULL;
    for (u32 i = 0; i < m->field_count; i++) free(m->fields[i].demands);
    free(m);
    return x;
}

void index_entry(struct index *x, u32 rule, u32 label) { x->entries[rule] = label; }

void index_resolve(struct index *x, const u32 *labels) {
    for (u32 i = 0; i < x->rule_count; i++)
        if (x->entries[i]) x->entries[i] = labels[x->entries[i]];
}

/* ---- Asking ---- */

/* The greatest key that is not after `text`, + 1. */
static u32 key_before(const struct index_field *f, str text) {
    u32 low = 0, high = f->key_count;
    while (low < high) {
        u32 mid = (low + high) / 2;
        if (key_order(f->test, value_str(f->keys[mid]), text) <= 0) low = mid + 1;
        else high = mid;
    }
    return low;
}

struct index_choice index_look(const struct index_field *f, value v) {
    struct index_choice c = {.field = f, .count = f->others.count};
    if (!value_defined(v)) return c;
    if (f->test == INDEX_EQUAL) {
        if (v.kind > VALUE_STRING) return c;
        u32 at = value_hash(v) & f->mask;
        for (; f->table[at]; at = (at + 1) & f->mask)
            if (value_equal(f->keys[f->table[at] - 1], v)) {
                c.key = f->table[at];
                c.count += f->lists[c.key - 1].count;
                break;
            }
        return c;
    }
    if (v.kind != VALUE_STRING) return c;
    str text = value_str(v);
    c.key = key_before(f, text);
    while (c.key && !key_fits(f->test, text, value_str(f->keys[c.key - 1])))
        c.key = f->parents[c.key - 1];
    for (u32 k = c.key; k; k = f->parents[k - 1]) c.count += f->lists[k - 1].count;
    return c;
}

static int rule_order(const void *a, const void *b) {
    u32 x = *(const u32 *)a, y = *(const u32 *)b;
    return x < y ? -1 : x > y;
}

u32 index_gather(struct index_choice c, u32 *to) {
    const struct index_field *f = c.field;
    u32 n = f->others.count, lists = n != 0;
    if (n) memcpy(to, f->others.rules, n * sizeof(u32));
    for (u32 k = c.key; k; k = f->test == INDEX_EQUAL ? 0 : f->parents[k - 1]) {
        memcpy(to + n, f->lists[k - 1].rules, f->lists[k - 1].count * sizeof(u32));
        n += f->lists[k - 1].count, lists++;
    }
    if (lists < 2) return n;
    qsort(to, n, sizeof *to, rule_order);
    u32 kept = 0; /* a rule may be in several lists */
    for (u32 i = 0; i < n; i++)
        if (!kept || to[kept - 1] != to[i]) to[kept++] = to[i];
    return kept;
}
