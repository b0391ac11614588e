/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c — the planner's floor: instructions, labels, registers, constants, variables; and the
 * tree of nodes made from the compiler's tree of rules.
 *
 * While a unit is planned `fail` of an instruction is a label; plan_unit_end turns labels into
 * addresses. Label 0 is never placed. Registers are given out upwards and taken back between the
 * rules of one node, so a frame is as large as its largest rule needs. */
#include "app/policy/machine/plan.h"
#include <stdlib.h>
#include "app/policy/machine/index.h"
#include "kernel/base/limits.h"

/* One more item at the end of a list; false: no memory. */
static bool grow(void *list, u32 *room, u32 count, size_t size) {
    if (count < *room) return true;
    u32 more = *room ? *room * 2 : 16;
    if (more < *room) return false;
    void *now = realloc(*(void **)list, (size_t)more * size);
    if (!now) return false;
    *(void **)list = now, *room = more;
    return true;
}

/* A program's tables lie behind a count of the programs that share them. One made from another goes
 * on behind the items it was given; what is before never changes. */
struct table {
    u32 refs;
    _Alignas(16) char items[];
};

static struct table *table_of(const void *items) {
    return (struct table *)((char *)(uintptr_t)items - offsetof(struct table, items));
}

void table_drop(void *items) {
    if (items && __atomic_sub_fetch(&table_of(items)->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(table_of(items));
}

static void *table_make(const void *items, size_t count, size_t room, size_t size) {
    struct table *t = malloc(sizeof *t + room * size);
    if (!t) return NULL;
    t->refs = 1;
    if (count) memcpy(t->items, items, count * size);
    return t->items;
}

/* As grow, where others may share the list. */
static bool table_grow(void *list, u32 *room, u32 count, size_t size) {
    void *items = *(void **)list;
    if (count < *room) return true;
    u32 more = *room ? *room * 2 : 16;
    if (more < *room) return false;
    if (items && __atomic_load_n(&table_of(items)->refs, __ATOMIC_ACQUIRE) == 1) {
        struct table *t = realloc(table_of(items), sizeof *t + (size_t)more * size);
        if (!t) return false;
        *(void **)list = t->items, *room = more;
        return true;
    }
    void *now = table_make(items, count, more, size);
    if (!now) return false;
    table_drop(items);
    *(void **)list = now, *room = more;
    return true;
}

void plan_open(struct plan *pl, struct program *p, const struct program *tree,
               struct policy_errors *errors) {
    *pl = (struct plan){.p = p, .tree = tree, .errors = errors, .look = NOWHERE,
                        .telling = NOWHERE, .caller = NOWHERE};
    (void)plan_label(pl);
}

void plan_close(struct plan *pl) {
    free(pl->labels), free(pl->vars), free(pl->log);
}

void plan_fail(struct plan *pl, const char *why) {
    if (!pl->failed && pl->errors)
        policy_error_add(pl->errors, EVAL_INTERNAL_ERROR, pl->at, "%s", why);
    pl->failed = true;
}

static void no_memory(struct plan *pl) {
    pl->p->exhausted = true;
    plan_fail(pl, "the program is too large");
}

/* ---- Emission ---- */

struct insn *plan_emit(struct plan *pl, enum op op, u32 a, u32 b, u32 c) {
    struct program *p = pl->p;
    if (!table_grow(&p->code, &p->code_room, p->code_count, sizeof *p->code)) {
        no_memory(pl);
        return &pl->spare;
    }
    struct insn *i = p->code + p->code_count++;
    *i = (struct insn){.op = (u16)op, .a = a, .b = b, .c = c, .fail = pl->fail};
    return i;
}

u32 plan_label(struct plan *pl) {
    if (!grow(&pl->labels, &pl->label_room, pl->label_count, sizeof *pl->labels)) {
        no_memory(pl);
        return 0;
    }
    pl->labels[pl->label_count] = NOWHERE;
    return pl->label_count++;
}

void plan_here(struct plan *pl, u32 label) {
    if (pl->labels && label < pl->label_count) pl->labels[label] = pl->p->code_count;
}

void plan_jump(struct plan *pl, u32 label) { plan_emit(pl, OP_JUMP, 0, 0, 0)->fail = label; }

u32 plan_register(struct plan *pl, u32 count) {
    u32 r = pl->registers;
    pl->registers += count;
    if (pl->registers > POLICY_REGISTERS_MAX) {
        plan_fail(pl, "a rule is too large");
        pl->registers = 0;
        return 0;
    }
    if (pl->registers > pl->registers_max) pl->registers_max = pl->registers;
    return r;
}

static void constants_rehash(struct program *p) {
    memset(p->constant_table, 0, ((size_t)p->constant_mask + 1) * sizeof(u32));
    for (u32 i = 0; i < p->constant_count; i++) {
        u32 at = value_hash(p->constants[i]) & p->constant_mask;
        while (p->constant_table[at]) at = (at + 1) & p->constant_mask;
        p->constant_table[at] = i + 1;
    }
}

/* The same text, not merely the same number: 1 and 1.0 are equal and print differently. */
static bool constant_same(value a, value b) {
    if (a.kind != b.kind) return false;
    if (a.kind == VALUE_NUMBER) {
        char ra[NUMBER_TEXT_ROOM], rb[NUMBER_TEXT_ROOM];
        return str_eq(number_text(a, ra), number_text(b, rb));
    }
    if (a.kind >= VALUE_ARRAY) return a.bits == b.bits;
    return value_equal(a, b);
}

u32 plan_constant(struct plan *pl, value v) {
    struct program *p = pl->p;
    if ((p->constant_count + 1) * 2 > p->constant_mask) {
        u32 slots = p->constant_mask ? (p->constant_mask + 1) * 2 : 64;
        u32 *table = table_make(NULL, 0, slots, sizeof(u32));
        if (!table) return no_memory(pl), CONSTANT;
        table_drop(p->constant_table);
        p->constant_table = table, p->constant_mask = slots - 1;
        constants_rehash(p);
    }
    u32 at = value_hash(v) & p->constant_mask;
    for (; p->constant_table[at]; at = (at + 1) & p->constant_mask)
        if (constant_same(p->constants[p->constant_table[at] - 1], v))
            return CONSTANT | (p->constant_table[at] - 1);
    if (!table_grow(&p->constants, &p->constant_room, p->constant_count, sizeof(value)))
        return no_memory(pl), CONSTANT;
    p->constants[p->constant_count++] = v;
    p->constant_table[at] = p->constant_count;
    return CONSTANT | (p->constant_count - 1);
}

u32 plan_path(struct plan *pl, const value *keys, u32 count) {
    struct program *p = pl->p;
    value *copy = heap_alloc(&p->heap, (count ? count : 1) * sizeof(value));
    if (!copy || !table_grow(&p->paths, &p->path_room, p->path_count, sizeof *p->paths))
        return no_memory(pl), 0;
    if (count) memcpy(copy, keys, count * sizeof(value));
    p->paths[p->path_count] = (struct path){count, copy, p->slot_count};
    p->slot_count += count;
    return p->path_count++;
}

u32 plan_place(struct plan *pl, const struct ast_location *at) {
    struct program *p = pl->p;
    if (p->place_count && p->places[p->place_count - 1] == at) return p->place_count - 1;
    if (!table_grow(&p->places, &p->place_room, p->place_count, sizeof *p->places))
        return no_memory(pl), 0;
    p->places[p->place_count] = at;
    return p->place_count++;
}

u32 plan_head_note(struct plan *pl, struct head_note note) {
    struct program *p = pl->p;
    if (!table_grow(&p->heads, &p->head_room, p->head_count, sizeof *p->heads))
        return no_memory(pl), 0;
    p->heads[p->head_count] = note;
    return p->head_count++;
}

u32 plan_look_add(struct plan *pl, struct look look) {
    struct program *p = pl->p;
    if (!table_grow(&p->looks, &p->look_room, p->look_count, sizeof *p->looks))
        return no_memory(pl), NOWHERE;
    p->looks[p->look_count] = look;
    return p->look_count++;
}

u32 plan_with_set(struct plan *pl, struct with_set set) {
    struct program *p = pl->p;
    if (!table_grow(&p->withs, &p->with_room, p->with_count, sizeof *p->withs))
        return no_memory(pl), 0;
    p->withs[p->with_count] = set;
    return p->with_count++;
}

void plan_unit_begin(struct plan *pl, u32 parameters) {
    pl->start = pl->p->code_count;
    pl->registers = pl->registers_max = parameters;
    pl->label_count = 1;
    pl->fail = 0, pl->telling = pl->caller = NOWHERE;
    plan_vars_clear(pl);
}

struct unit plan_unit_end(struct plan *pl) {
    struct program *p = pl->p;
    for (u32 i = pl->start; i < p->code_count; i++) {
        u32 label = p->code[i].fail;
        p->code[i].fail = label ? pl->labels[label] : NOWHERE;
    }
    if (pl->pending) {
        index_resolve(pl->pending, pl->labels);
        if (table_grow(&p->indexes, &p->index_room, p->index_count, sizeof *p->indexes))
            p->indexes[p->index_count++] = pl->pending;
        else
            no_memory(pl);
        pl->pending = NULL;
    }
    return (struct unit){pl->start, pl->registers_max};
}

/* ---- Variables ---- */

static u32 var_hash(str name) {
    u32 h = 2166136261u;
    for (size_t i = 0; i < name.len; i++) h = (h ^ (u8)name.ptr[i]) * 16777619u;
    return h | 1;
}

void plan_vars_clear(struct plan *pl) {
    if (pl->var_count) memset(pl->vars, 0, ((size_t)pl->var_mask + 1) * sizeof *pl->vars);
    pl->var_count = pl->log_count = 0;
}

static bool vars_grow(struct plan *pl) {
    u32 slots = pl->vars ? (pl->var_mask + 1) * 2 : 32;
    struct plan_var *now = calloc(slots, sizeof *now);
    u32 *moved = pl->vars ? calloc(pl->var_mask + 1, sizeof *moved) : NULL;
    if (!now || (pl->vars && !moved)) return free(now), free(moved), false;
    for (u32 i = 0; pl->vars && i <= pl->var_mask; i++) {
        if (!pl->vars[i].hash) continue;
        u32 at = pl->vars[i].hash & (slots - 1);
        while (now[at].hash) at = (at + 1) & (slots - 1);
        now[at] = pl->vars[i], moved[i] = at;
    }
    for (u32 i = 0; i < slots; i++)
        if (now[i].alias) now[i].alias = moved[now[i].alias - 1] + 1;
    for (u32 i = 0; i < pl->log_count; i++) pl->log[i] = moved[pl->log[i]];
    free(pl->vars), free(moved);
    pl->vars = now, pl->var_mask = slots - 1;
    return true;
}

struct plan_var *plan_var(struct plan *pl, str name) {
    if (!pl->vars || pl->var_count * 2 > pl->var_mask)
        if (!vars_grow(pl)) {
            no_memory(pl);
            pl->none = (struct plan_var){.hash = 1};
            return &pl->none;
        }
    u32 hash = var_hash(name), at = hash & pl->var_mask;
    for (; pl->vars[at].hash; at = (at + 1) & pl->var_mask)
        if (pl->vars[at].hash == hash && str_eq(pl->vars[at].name, name)) break;
    struct plan_var *v = pl->vars + at;
    if (!v->hash) {
        *v = (struct plan_var){.name = name, .hash = hash, .reg = NOWHERE};
        pl->var_count++;
    }
    while (v->alias) v = pl->vars + v->alias - 1;
    return v;
}

static void log_add(struct plan *pl, struct plan_var *v) {
    if (!grow(&pl->log, &pl->log_room, pl->log_count, sizeof *pl->log)) {
        no_memory(pl);
        return;
    }
    pl->log[pl->log_count++] = (u32)(v - pl->vars);
}

void plan_bind(struct plan *pl, struct plan_var *v, u32 reg) {
    v->reg = reg, v->bound = true;
    if (pl->vars && v >= pl->vars && v <= pl->vars + pl->var_mask) log_add(pl, v);
}

void plan_unbind(struct plan *pl, u32 mark) {
    while (pl->log_count > mark) {
        struct plan_var *v = pl->vars + pl->log[--pl->log_count];
        v->bound = false, v->alias = 0;
    }
}

/* ---- Nodes ---- */

/* 0: a path is longer than POLICY_PATH_DEPTH_MAX. */
static u32 tree_count(const struct rule_node *from, u32 depth) {
    u32 n = 1;
    if (depth > POLICY_PATH_DEPTH_MAX) return 0;
    for (u32 i = 0; i < from->child_count; i++) {
        u32 below = tree_count(from->children[i], depth + 1);
        if (!below) return 0;
        n += below;
    }
    return n;
}

static void rules_gather(const struct rule_node *from, bool deep, u32 depth, struct ast_rule **to,
                         u32 *count) {
    for (u32 i = 0; i < from->rule_count; i++) {
        if (to) to[*count] = from->rules[i];
        ++*count;
    }
    if (deep)
        for (u32 i = 0; i < from->child_count; i++)
            rules_gather(from->children[i], true, depth + 1, to, count);
}

/* What kind of document the rules at a node make. */
static void node_classify(struct node *n) {
    bool all_ground = true, all_single = true;
    u32 deepest = 0;
    for (u32 i = 0; i < n->rule_count; i++) {
        const struct ast_head *h = n->rules[i]->head;
        u32 len = h->ref ? h->ref->count : 0; /* `data` included */
        bool multi = ast_rule_kind(n->rules[i]) == AST_MULTI_VALUE;
        u32 keys = len > n->depth + 1 ? len - (n->depth + 1) : 0;
        if (keys) all_ground = false;
        if (multi) keys++;
        if (keys > deepest) deepest = keys;
        if (keys != 1) all_single = false;
        if (h->is_function || h->arg_count) n->is_function = true, n->arity = h->arg_count;
    }
    bool multi = ast_rule_kind(n->rules[0]) == AST_MULTI_VALUE;
    n->is_partial = !n->is_function && (multi || !all_ground);
    n->is_set = n->is_partial && multi && all_ground;
    n->is_single_key = n->is_partial && all_single && (n->is_set || !multi);
    if (n->is_single_key && !n->is_set)
        for (u32 i = 0; i < n->rule_count; i++)
            if (ast_rule_kind(n->rules[i]) == AST_MULTI_VALUE) n->is_single_key = false;
    n->keys_max = deepest;
}

/* Where nodes lie, and the program whose code is taken over; NULL: none. */
struct making {
    struct program *p;
    struct heap *heap;
    const struct program *from;
    struct node **plan; /* those without code */
    u32 plan_count;
};

/* Where heads go on with variables, the rules further down are part of the same document. */
static bool rules_beneath(struct making *m, const struct rule_node *from, struct node *n) {
    n->rule_count = 0;
    rules_gather(from, true, n->depth, NULL, &n->rule_count);
    n->rules = heap_alloc(m->heap, n->rule_count * sizeof(struct ast_rule *));
    if (!n->rules) return false;
    n->rule_count = 0;
    rules_gather(from, true, n->depth, n->rules, &n->rule_count);
    return true;
}

static bool same_rules(const struct node *a, const struct node *b) {
    return a->has_rules && b->has_rules && a->rule_count == b->rule_count &&
           !memcmp(a->rules, b->rules, a->rule_count * sizeof *a->rules);
}

/* Rules of a node, and the code `before` has for the very same. */
static bool node_rules(struct making *m, struct node *n, const struct node *before) {
    const struct rule_node *from = n->from;
    n->whole = n->keyed[0] = n->keyed[1] = (struct unit){NOWHERE, 0};
    n->is_function = n->is_partial = n->is_set = n->is_single_key = n->has_rules = false;
    n->arity = n->keys_max = 0;
    n->rules = from->rules, n->rule_count = from->rule_count;
    if (!from->rule_count) return true;
    if (from->has_ref_rules && !rules_beneath(m, from, n)) return false;
    n->has_rules = true;
    node_classify(n);
    if (before && same_rules(before, n)) {
        n->whole = before->whole;
        memcpy(n->keyed, before->keyed, sizeof n->keyed);
    }
    if (n->whole.start == NOWHERE) m->plan[m->plan_count++] = n;
    return true;
}

static struct node *tree_make(struct making *m, const struct rule_node *from, struct node *parent,
                              const struct node *before);

/* The child of `before` with this key; children come in order, those of before likewise. */
static const struct node *next_before(const struct node *before, u32 *at, value key) {
    while (before && *at < before->child_count) {
        const struct node *n = before->children[*at];
        bool same = value_equal(n->key, key);
        if (!same && value_compare(n->key, key) > 0) return NULL;
        ++*at;
        if (same) return n;
    }
    return NULL;
}

static bool children_make(struct making *m, const struct rule_node *from, struct node *n,
                          const struct node *before) {
    u32 at = 0;
    for (u32 i = 0; i < from->child_count; i++) {
        const struct node *was = next_before(before, &at, from->children[i]->key);
        struct node *child = tree_make(m, from->children[i], n, was);
        if (!child) return false;
        n->children[n->child_count++] = child;
    }
    return true;
}

/* `before`: what stood at this place, or NULL. */
static struct node *tree_make(struct making *m, const struct rule_node *from, struct node *parent,
                              const struct node *before) {
    struct program *p = m->p;
    struct node *n = heap_alloc(m->heap, sizeof *n);
    if (!n) return p->exhausted = true, NULL;
    u32 depth = parent ? parent->depth + 1 : 0;
    *n = (struct node){.id = before ? before->id : p->node_count++,
                       .depth = depth,
                       .key = from->key,
                       .hide = from->hide,
                       .from = from};
    p->nodes[n->id] = n;
    n->path = heap_alloc(m->heap, (depth ? depth : 1) * sizeof(value));
    n->children =
        heap_alloc(m->heap, (from->child_count ? from->child_count : 1) * sizeof(struct node *));
    if (!n->path || !n->children) return p->exhausted = true, NULL;
    if (parent) {
        memcpy(n->path, parent->path, parent->depth * sizeof(value));
        n->path[depth - 1] = from->key;
    }
    if (!node_rules(m, n, before)) return p->exhausted = true, NULL;
    return children_make(m, from, n, before) ? n : NULL;
}

struct node *node_child(const struct node *n, value key) {
    u32 low = 0, high = n->child_count;
    while (low < high) {
        u32 mid = (low + high) / 2;
        int c = value_compare(n->children[mid]->key, key);
        if (!c) return n->children[mid];
        if (c < 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

static rc_t plan_nodes(struct making *m, struct policy_errors *errors) {
    struct program *p = m->p;
    struct plan pl;
    plan_open(&pl, p, p, errors);
    for (u32 i = 0; i < m->plan_count && !pl.failed; i++) plan_node(&pl, m->plan[i]);
    bool failed = pl.failed;
    plan_close(&pl);
    if (p->exhausted || p->heap.exhausted) return RC_NO_MEMORY;
    return failed ? RC_INVALID : RC_OK;
}

/* Nodes keep the numbers they had: code calls rules by them. Numbers of nodes that are gone stay
 * free. */
static rc_t plan_tree(struct making *m, struct policy_errors *errors) {
    struct program *p = m->p;
    const struct rule_node *root = p->compiled->root;
    u32 count = tree_count(root, 0);
    if (!count) {
        policy_error_add(errors, POLICY_COMPILE_ERROR, NULL, "a rule's path has more than %d keys",
                         POLICY_PATH_DEPTH_MAX);
        return RC_INVALID;
    }
    count += p->node_count;
    p->nodes = heap_alloc(m->heap, count * sizeof(struct node *));
    m->plan = heap_alloc(m->heap, count * sizeof(struct node *));
    if (!p->nodes || !m->plan) return RC_NO_MEMORY;
    memset(p->nodes, 0, count * sizeof(struct node *));
    p->root = tree_make(m, root, NULL, m->from ? m->from->root : NULL);
    return p->root ? plan_nodes(m, errors) : RC_NO_MEMORY;
}

rc_t plan_program(struct program *p, struct policy_errors *errors) {
    return plan_tree(&(struct making){.p = p, .heap = &p->heap}, errors);
}

/* ---- Some nodes of the program before made anew ---- */

/* The same paths: a node stands for its place as long as that, and all beneath it, is the very same
 * one; else it is made anew, with the number it had. */
static struct node *tree_renew(struct making *m, const struct rule_node *from,
                               const struct node *before) {
    struct program *p = m->p;
    const struct rule_node *was = before->from;
    struct node *n = heap_alloc(m->heap, sizeof *n);
    if (!n) return p->exhausted = true, NULL;
    *n = *before;
    n->from = from;
    p->nodes[n->id] = n;
    if (!node_rules(m, n, before)) return p->exhausted = true, NULL;
    if (!n->child_count || from->children == was->children) return n;
    n->children = heap_alloc(m->heap, n->child_count * sizeof(struct node *));
    if (!n->children) return p->exhausted = true, NULL;
    memcpy(n->children, before->children, n->child_count * sizeof(struct node *));
    for (u32 i = 0; i < n->child_count; i++) {
        if (from->children[i] == was->children[i]) continue;
        n->children[i] = tree_renew(m, from->children[i], before->children[i]);
        if (!n->children[i]) return NULL;
    }
    return n;
}

/* Nodes lie with the rules: programs made from this one share them. */
static rc_t plan_renewed(struct making *m, struct policy_errors *errors) {
    struct program *p = m->p;
    size_t bytes = m->from->node_count * sizeof(struct node *);
    p->nodes = heap_alloc(&p->own, bytes);
    m->plan = heap_alloc(&p->own, bytes);
    if (!p->nodes || !m->plan) return RC_NO_MEMORY;
    memcpy(p->nodes, m->from->nodes, bytes);
    p->root = tree_renew(m, p->compiled->root, m->from->root);
    return p->root ? plan_nodes(m, errors) : RC_NO_MEMORY;
}

/* The list of a program that is the newest of its line is gone on with; any other's is copied. */
static void *take_table(void *items, u32 count, u32 *room, size_t size, bool newest, bool *failed) {
    if (!items) return NULL;
    if (newest) {
        __atomic_add_fetch(&table_of(items)->refs, 1, __ATOMIC_RELAXED);
        return items;
    }
    *room = count + 16;
    void *copy = table_make(items, count, *room, size);
    if (!copy) *failed = true, *room = 0;
    return copy;
}

#define TAKE(list, name)                                                                           \
    (p->name##_room = from->name##_room,                                                           \
     p->list = take_table(from->list, from->name##_count, &p->name##_room, sizeof *p->list,        \
                          newest, &failed),                                                        \
     p->name##_count = p->list ? from->name##_count : 0)

rc_t plan_change(struct program *p, const struct program *from, bool newest, bool replaced,
                 struct policy_errors *errors) {
    bool failed = false;
    TAKE(code, code), TAKE(constants, constant), TAKE(paths, path), TAKE(withs, with);
    TAKE(places, place), TAKE(heads, head), TAKE(looks, look);
    TAKE(indexes, index); /* tells are of programs that are watched, which are made whole */
    u32 slots = from->constant_mask ? from->constant_mask + 1 : 0;
    p->constant_table =
        take_table(from->constant_table, slots, &slots, sizeof(u32), newest, &failed);
    p->constant_mask = p->constant_table ? from->constant_mask : 0;
    p->slot_count = from->slot_count, p->node_count = from->node_count;
    if (failed) return RC_NO_MEMORY;
    if (!newest && p->constant_table) constants_rehash(p); /* others' constants may be in it */
    struct heap *nodes = replaced || !p->shared ? &p->heap : &p->shared->heap;
    struct making m = {.p = p, .heap = nodes, .from = from};
    return replaced ? plan_renewed(&m, errors) : plan_tree(&m, errors);
}
