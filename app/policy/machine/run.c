/* SPDX-License-Identifier: Apache-2.0 */
/* run.c — the machine: registers, frames, and one loop that does the instructions.
 *
 *   registers   one array; each frame is a window of it that begins where its caller's ends
 *   frames      where to go on after RETURN, and what the value is to be remembered as
 *   operands    registers[x], or constants[x] when x's top bit is set: base[x >> 31][x & max]
 *
 * A call of a rule or function moves the window, it does not call C. C is entered anew only when a
 * whole package is put together (tree.c), at most POLICY_NEST_MAX deep.
 *
 * An instruction that finds nothing goes to its `fail`. What goes wrong sets e->rc and stops.
 * `budget` counts iterations and calls down to the next look at deadline and limits. */
#include "app/policy/machine/run.h"
#include <stdio.h>
#include <stdlib.h>
#include "app/policy/trace.h"
#include "kernel/base/limits.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ---- Frames ---- */

static bool room_for(struct evaluation *e, u32 registers) {
    if (UNLIKELY(e->depth >= e->depth_max)) {
        machine_stop(e, RC_LIMIT, "rules are nested too deeply");
        return false;
    }
    if (UNLIKELY(registers > e->room - e->top)) {
        u32 room = e->room ? e->room : 1024;
        while (room - e->top < registers) room *= 2;
        value *now =
            room <= POLICY_STACK_MAX ? realloc(e->registers, (size_t)room * sizeof(value)) : NULL;
        if (!now) {
            machine_stop(e, RC_LIMIT, "rules are nested too deeply");
            return false;
        }
        e->registers = now, e->room = room;
    }
    if (UNLIKELY(e->depth == e->frame_room)) {
        u32 room = e->frame_room ? e->frame_room * 2 : 64;
        struct frame *now = realloc(e->frames, (size_t)room * sizeof *now);
        if (!now) {
            machine_stop(e, RC_NO_MEMORY, "the memory allowed for a query is used up");
            return false;
        }
        e->frames = now, e->frame_room = room;
    }
    return true;
}

/* ---- Rules from outside of the loop ---- */

enum { WHICH_WHOLE = 0, WHICH_KEYED_1 = 1, WHICH_KEYED_2 = 2, WHICH_FUNCTION = 3 };

value machine_rules(struct evaluation *e, const struct node *n) {
    if (e->now.with && node_is_replaced(e, n)) return base_get(e, n->path, n->depth);
    const struct memo *m = e->memo + n->id;
    if (m->generation == e->now.generation) return m->v;
    return machine_run(e, &e->policy->program, n->whole, n->id, WHICH_WHOLE, NULL, 0);
}

static value get_all(value v, const value *keys, u32 count) {
    for (u32 i = 0; i < count && value_defined(v); i++) v = value_get(v, keys[i]);
    return v;
}

value machine_rules_keyed(struct evaluation *e, const struct node *n, const value *keys,
                          u32 count) {
    if (e->now.with && node_is_replaced(e, n))
        return get_all(base_get(e, n->path, n->depth), keys, count);
    const struct memo *m = e->memo + n->id;
    if (m->generation == e->now.generation) return get_all(m->v, keys, count);
    u32 id = n->id * 4 + count;
    const struct memo_call *c = memo_call_find(e, id, keys, count);
    if (c) return c->result;
    return machine_run(e, &e->policy->program, n->keyed[count - 1], n->id, count, keys, count);
}

/* ---- Builtins ---- */

static void builtin_error(struct evaluation *e, const struct builtin *b,
                          const struct ast_location *at) {
    const struct builtin_call *c = &e->call;
    if (c->halt) {
        machine_fail(e, c->code, at, "%s: %s", b->name, c->message);
        return;
    }
    if (!e->ask->strict_errors && e->ask->builtin_error) {
        struct policy_error told = {.code = c->code, .at = at ? *at : (struct ast_location){0}};
        snprintf(e->message, sizeof e->message, "%s: %s", b->name, c->message);
        told.message = str_from_c(e->message);
        e->ask->builtin_error(e->ask->arg, &told);
    }
    if (!e->ask->strict_errors || e->builtin_failed) return;
    machine_fail(e, c->code, at, "%s: %s", b->name, c->message);
    e->rc = RC_OK, e->builtin_failed = true; /* told at the end, unless something worse happens */
}

static value call_builtin(struct evaluation *e, u32 number, const value *arguments, u32 count,
                          const struct ast_location *at) {
    const struct builtin *b = builtins + number;
    if (!b->fn) {
        machine_fail(e, EVAL_INTERNAL_ERROR, at, "%s: this builtin is not there", b->name);
        return UNDEFINED;
    }
    value key = UNDEFINED;
    if (b->flags & BUILTIN_NONDETERMINISTIC) {
        key = value_array(&e->heap, arguments, count);
        value known = evaluation_remember_get(e, b, key);
        if (value_defined(known)) return known;
    }
    struct builtin_call *c = &e->call;
    c->heap = &e->heap, c->evaluation = e, c->self = b, c->at = at;
    c->quiet = !e->ask->strict_errors && !e->ask->builtin_error;
    c->failed = c->halt = false, c->code = EVAL_BUILTIN_ERROR, c->message[0] = 0;
    value v = b->fn(c, arguments);
    if (UNLIKELY(c->failed)) {
        builtin_error(e, b, at);
        return UNDEFINED;
    }
    if (value_defined(key) && value_defined(v)) evaluation_remember(e, b, key, v);
    return v;
}

/* A function in another's place: it sees none of the replacements. */
static value call_replacement(struct evaluation *e, const struct mock *m, const value *arguments,
                              u32 count, const struct ast_location *at) {
    const struct with_item *item = m->item;
    if (item->by == BY_VALUE) return m->value;
    const struct mock *saved = e->now.mocks;
    e->now.mocks = NULL;
    value v;
    if (item->by == BY_BUILTIN) {
        v = call_builtin(e, item->by_id, arguments, MIN(count, builtins[item->by_id].arity), at);
    } else {
        const struct node *n = e->policy->program.nodes[item->by_id];
        v = machine_run(e, &e->policy->program, n->whole, n->id, WHICH_FUNCTION, arguments,
                        MIN(count, n->arity));
    }
    e->now.mocks = saved;
    return v;
}

value machine_builtin(struct evaluation *e, u32 number, const value *arguments, u32 count,
                      u32 place, const struct program *p) {
    const struct ast_location *at = p->places[place];
    if (UNLIKELY(e->now.mocks != NULL)) {
        const struct mock *m = mock_find(e, WITH_BUILTIN, number);
        if (m) return call_replacement(e, m, arguments, count, at);
    }
    return call_builtin(e, number, arguments, count, at);
}

/* ---- The rule index ---- */

static value field_value(struct evaluation *e, const struct program *p, const struct index_field *f,
                         const value *registers) {
    if (f->source == INDEX_ARGUMENT) return registers[f->path];
    const struct path *path = p->paths + f->path;
    if (f->source == INDEX_BASE) return base_get(e, path->keys, path->count);
    return get_all(e->now.input, path->keys, path->count);
}

/* Leaves the list of rules in three registers: address, position, count. */
static void choose(struct evaluation *e, const struct program *p, const struct index *x,
                   value *registers, u32 at) {
    struct index_choice best = {.count = NOWHERE};
    for (u32 i = 0; i < x->field_count; i++) {
        const struct index_field *f = x->fields + i;
        value v = field_value(e, p, f, registers);
        if (f->test != INDEX_EQUAL && e->ask->strict_errors && v.kind != VALUE_STRING) continue;
        struct index_choice c = index_look(f, v);
        if (c.count < best.count) best = c;
        if (best.count <= 1) break;
    }
    const u32 *list = NULL;
    u32 count = best.count;
    if (!best.field) count = 0;
    else if (!best.key) list = best.field->others.rules;
    else if (best.field->test == INDEX_EQUAL && !best.field->others.count)
        list = best.field->lists[best.key - 1].rules;
    else if (count) {
        u32 *to = heap_alloc(&e->heap, count * sizeof(u32));
        count = to ? index_gather(best, to) : 0;
        list = to;
    }
    registers[at] = (value){.kind = VALUE_NULL, .bits = (uintptr_t)list};
    registers[at + 1] = value_integer(0);
    registers[at + 2] = value_integer(count);
    if (!best.field) { /* no field could be asked: all rules */
        registers[at].bits = 0;
        registers[at + 2] = value_integer(x->rule_count);
    }
}

/* ---- Small things the instructions need ---- */

struct operands { const value *base[2]; };
static value operand_of(void *arg, u32 x) {
    const struct operands *o = arg;
    return o->base[x >> 31][x & ~CONSTANT];
}

/* object[key], first where the key was found last time. */
static inline value field_get(value from, value key, u32 *slot) {
    if (LIKELY(from.kind == VALUE_OBJECT)) {
        const struct value_object *o = from.object;
        if (LIKELY(*slot < o->keys->count) && value_equal(o->keys->items[*slot], key))
            return o->values[*slot];
        s64 at = value_position(o->keys, key);
        if (at < 0) return UNDEFINED;
        *slot = (u32)at;
        return o->values[at];
    }
    return value_get(from, key);
}

static value path_get(value v, const struct path *path, u32 *slots) {
    for (u32 i = 0; i < path->count && value_defined(v); i++)
        v = field_get(v, path->keys[i], slots + path->slot + i);
    return v;
}

static bool is_member(value item, value of) {
    if (of.kind == VALUE_SET) return value_has(of, item);
    u32 n = value_count(of);
    for (u32 i = 0; i < n; i++)
        if (value_equal(of.kind == VALUE_ARRAY ? value_item(of, i) : value_value_at(of, i), item))
            return true;
    return false;
}

static inline int compare(value a, value b) {
    if (a.kind == VALUE_NUMBER && b.kind == VALUE_NUMBER && !a.boxed && !b.boxed)
        return a.integer < b.integer ? -1 : a.integer > b.integer;
    return value_compare(a, b);
}

static struct value_builder *builder_of(value v) {
    return v.kind == CELL_BUILDER ? (struct value_builder *)(uintptr_t)v.bits : NULL;
}

static value builder_open(struct heap *h, u32 kind) {
    struct value_builder *b = heap_alloc(h, sizeof *b);
    if (!b) return value_null();
    value_builder_open(b, h, (enum value_kind)kind);
    return (value){.kind = CELL_BUILDER, .bits = (uintptr_t)b};
}

static value make_object(struct heap *h, const value *pairs, u32 count) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < count; i++) value_builder_replace(&b, pairs[2 * i], pairs[2 * i + 1]);
    return value_builder_close(&b);
}

static const struct node *node_of(value tree) { return (const struct node *)(uintptr_t)tree.bits; }

/* The entry at the iteration's position. False: there is none left. */
static inline bool next_entry(struct evaluation *e, value *it, value *key, value *v) {
    const value from = it[0];
    u32 i = (u32)it[1].integer;
    switch (from.kind) {
    case VALUE_ARRAY:
        if (i >= from.array->count) return false;
        *key = value_integer(i), *v = from.array->items[i];
        break;
    case VALUE_OBJECT:
        if (i >= from.object->keys->count) return false;
        *key = from.object->keys->items[i], *v = from.object->values[i];
        break;
    case VALUE_SET:
        if (i >= from.set->count) return false;
        *key = *v = from.set->items[i];
        break;
    case CELL_TREE:
        for (;; i++) {
            if (i >= value_count(it[2]) || e->rc) return false;
            *key = value_item(it[2], i);
            *v = tree_get(e, node_of(from), *key);
            if (value_defined(*v)) break;
        }
        break;
    default:
        return false;
    }
    it[1].integer = i + 1;
    return true;
}

static void result_row(struct evaluation *e, const value *row, u32 count) {
    const struct policy_query *q = e->query;
    u32 names = q->name_count;
    if (e->result_count == 0 && count > names) e->decision = row[names];
    if (e->result_count == e->result_room) {
        u32 room = e->result_room ? e->result_room * 2 : 16;
        if (room > POLICY_RESULTS_MAX) {
            machine_stop(e, RC_LIMIT, "too many results");
            return;
        }
        struct policy_result *now = realloc(e->results, room * sizeof *now);
        if (!now) {
            machine_stop(e, RC_NO_MEMORY, "the memory allowed for a query is used up");
            return;
        }
        e->results = now, e->result_room = room;
    }
    e->results[e->result_count++] =
        (struct policy_result){value_object(&e->heap, q->names, row, names),
                               value_array(&e->heap, row + names, count - names)};
}

/* What the registers hold for the names of a note; those that hold no value of the language yet
 * are unbound to whoever watches. */
static void tell_locals(struct evaluation *e, const struct program *p, const struct tell_note *note,
                        const value *r, struct policy_event *event) {
    if (e->local_room < note->var_count) {
        struct policy_local *more = realloc(e->locals, note->var_count * sizeof *more);
        if (!more) return;
        e->locals = more, e->local_room = note->var_count;
    }
    for (u32 i = 0; i < note->var_count; i++) {
        const struct tell_var *v = note->vars + i;
        const value *bound = v->reg == NOWHERE ? NULL
                             : v->reg & CONSTANT ? p->constants + (v->reg & ~CONSTANT) : r + v->reg;
        e->locals[i] = (struct policy_local){v->name, v->written,
                                             bound && bound->kind < CELL_TREE ? *bound : UNDEFINED};
    }
    event->locals = e->locals, event->local_count = note->var_count;
}

static void tell(struct evaluation *e, const struct program *p, const struct insn *i, value *r) {
    struct policy_trace *t = e->ask->trace;
    if (i->n == TELL_RETURN) {
        e->telling = (u32)r[i->b].integer;
        return;
    }
    const struct tell_note *note = p->tells + i->x;
    struct policy_event event = {.op = (enum policy_event_op)i->n,
                                 .depth = e->depth,
                                 .at = note->at,
                                 .expr = note->expr,
                                 .rule = note->rule,
                                 .body = note->body,
                                 .early = note->early};
    if (event.op == POLICY_FAIL && value_defined(r[i->a])) return;
    if (event.op == POLICY_ENTER) {
        u32 parent = i->c == NOWHERE ? e->telling : (u32)r[i->c].integer;
        r[i->b] = value_integer(e->told_queries++);
        r[i->b + 1] = value_integer(parent);
    }
    if (event.op == POLICY_INDEX) {
        event.query = e->telling;
        r[i->b] = value_integer(e->telling);
        event.count = i->a == NOWHERE ? i->c : (u32)r[i->a].integer;
    } else {
        event.query = e->telling = (u32)r[i->b].integer;
        event.parent = (u32)r[i->b + 1].integer;
    }
    if (t->locals) tell_locals(e, p, note, r, &event);
    t->event(t, &event);
}

static void conflict(struct evaluation *e, const struct ast_location *at, u32 kind) {
    static const char *const words[] = {
        "complete rules must not produce multiple outputs",
        "functions must not produce multiple outputs for same inputs",
        "object keys must be unique"};
    machine_fail(e, EVAL_CONFLICT_ERROR, at, "%s", words[kind]);
}

/* ---- The loop ---- */

#define V(x) base[(x) >> 31][(x) & ~CONSTANT]
#define R(x) r[x]
#define GO_ON                                                                                      \
    do {                                                                                           \
        ++i;                                                                                       \
        goto *labels[i->op];                                                                       \
    } while (0)
#define FAIL                                                                                       \
    do {                                                                                           \
        i = code + i->fail;                                                                        \
        goto *labels[i->op];                                                                       \
    } while (0)
#define DO(name) do_##name:
#define TICK                                                                                       \
    do {                                                                                           \
        if (UNLIKELY(--e->budget <= 0 || e->heap.exhausted) && !machine_check(e)) goto stopped;    \
    } while (0)
#define LOAD(program_)                                                                             \
    (p = (program_), code = p->code, base[1] = p->constants,                                       \
     slots = p == &e->policy->program ? e->slots : e->query_slots)

value machine_run(struct evaluation *e, const struct program *p, struct unit unit, u32 node,
                  u32 which, const value *arguments, u32 count) {
    static const void *const labels[] = {
#define OP(name, what) &&do_##name,
#include "app/policy/machine/ops.def"
#undef OP
    };
    if (e->rc || unit.start == NOWHERE) return UNDEFINED;
    if (++e->nested > POLICY_NEST_MAX) machine_stop(e, RC_LIMIT, "packages are nested too deeply");
    u32 needed = MAX(unit.registers, count);
    if (e->rc || !room_for(e, needed)) {
        e->nested--;
        return UNDEFINED;
    }
    const u32 entry_top = e->top, entry_depth = e->depth;
    const struct insn *code, *i;
    const value *base[2];
    u32 *slots;
    value *r, v, key;
    const struct node *n;
    LOAD(p);
    if (count) memcpy(e->registers + e->top, arguments, count * sizeof(value));
    e->frames[e->depth++] = (struct frame){NULL, p, entry_top, node, which, e->now.mocks};
    u32 window = e->top;
    e->top += needed;
    base[0] = r = e->registers + window;
    i = code + unit.start;
    goto *labels[i->op];

    /* A unit called from instruction i: its arguments lie in registers from `first`. */
    struct unit callee;
    u32 callee_node, callee_which, callee_first, callee_count;
enter:
    TICK;
    if (!room_for(e, callee.registers)) goto stopped;
    memcpy(e->registers + e->top, e->registers + window + callee_first,
           callee_count * sizeof(value));
    e->frames[e->depth++] = (struct frame){i, p, window, callee_node, callee_which, e->now.mocks};
    window = e->top;
    e->top += callee.registers;
    LOAD(&e->policy->program);
    base[0] = r = e->registers + window;
    i = code + callee.start;
    goto *labels[i->op];

    DO(MOVE)
    R(i->a) = V(i->b);
    GO_ON;
    DO(CLEAR)
    R(i->a) = UNDEFINED;
    GO_ON;
    DO(JUMP)
    FAIL;
    DO(IF_DEFINED)
    if (value_defined(R(i->a))) FAIL;
    GO_ON;
    DO(IF_UNDEFINED)
    if (!value_defined(R(i->a))) FAIL;
    GO_ON;
    DO(NOT_FALSE)
    if (value_is_false(V(i->a))) FAIL;
    GO_ON;

    DO(RETURN) {
        v = V(i->a);
        const struct frame *f = e->frames + e->depth - 1;
        if (f->unit == WHICH_WHOLE) memo_put(e, f->node, v);
        else if (f->node != NOWHERE)
            memo_call_put(
                e, f->node * 4 + f->unit, r,
                f->unit == WHICH_FUNCTION ? e->policy->program.nodes[f->node]->arity : f->unit, v);
        e->depth--;
        e->top = window;
        if (e->depth == entry_depth) goto finished;
        e->now.mocks = f->mocks;
        window = f->base;
        i = f->from;
        LOAD(f->program);
        base[0] = r = e->registers + window;
        if (!value_defined(v)) FAIL;
        R(i->a) = v;
        GO_ON;
    }
    DO(STOP)
    v = UNDEFINED;
    e->depth--;
    goto finished;

    DO(INPUT)
    v = path_get(e->now.input, p->paths + i->b, slots);
    if (!value_defined(v)) FAIL;
    R(i->a) = v;
    GO_ON;
    DO(INPUT_TRUE)
    v = path_get(e->now.input, p->paths + i->b, slots);
    if (!value_defined(v) || value_is_false(v)) FAIL;
    GO_ON;
    DO(INPUT_EQUAL)
    v = path_get(e->now.input, p->paths + i->b, slots);
    if (!value_equal(v, V(i->c))) FAIL;
    GO_ON;
    DO(BASE) {
        const struct path *path = p->paths + i->b;
        v = UNDEFINED;
        if (LIKELY(!value_defined(e->now.replaced) && path->count))
            v = path_get(e->now.data, path, slots);
        if (!value_defined(v)) v = base_get(e, path->keys, path->count);
        if (!value_defined(v)) FAIL;
        R(i->a) = v;
        GO_ON;
    }
    DO(TREE)
    n = e->policy->program.nodes[i->b];
    if (UNLIKELY(e->now.with && node_is_replaced(e, n))) {
        v = base_get(e, n->path, n->depth);
        if (!value_defined(v)) FAIL;
        R(i->a) = v;
    } else {
        R(i->a) = (value){.kind = CELL_TREE, .bits = (uintptr_t)n};
    }
    GO_ON;
    DO(RULE)
    n = e->policy->program.nodes[i->b];
    if (UNLIKELY(e->now.with && node_is_replaced(e, n))) {
        v = base_get(e, n->path, n->depth);
    } else if (e->memo[n->id].generation == e->now.generation) {
        v = e->memo[n->id].v;
    } else {
        callee = n->whole, callee_node = n->id, callee_which = WHICH_WHOLE;
        callee_first = callee_count = 0;
        goto enter;
    }
    if (!value_defined(v)) FAIL;
    R(i->a) = v;
    GO_ON;
    DO(RULE_KEYED) {
        n = e->policy->program.nodes[i->b];
        const struct memo_call *c;
        if (UNLIKELY(e->now.with && node_is_replaced(e, n)))
            v = get_all(base_get(e, n->path, n->depth), r + i->c, i->n);
        else if (e->memo[n->id].generation == e->now.generation)
            v = get_all(e->memo[n->id].v, r + i->c, i->n);
        else if ((c = memo_call_find(e, n->id * 4 + i->n, r + i->c, i->n)))
            v = c->result;
        else {
            callee = n->keyed[i->n - 1], callee_node = n->id, callee_which = i->n;
            callee_first = i->c, callee_count = i->n;
            goto enter;
        }
        if (!value_defined(v)) FAIL;
        R(i->a) = v;
        GO_ON;
    }
    DO(EXTENT)
    v = tree_document(e, e->policy->program.nodes[i->b]);
    goto helped;
    DO(FINISH)
    v = V(i->b);
    if (v.kind == CELL_TREE) {
        v = tree_document(e, node_of(v));
        goto helped;
    }
    R(i->a) = v;
    GO_ON;
    DO(GET)
    v = V(i->b);
    if (UNLIKELY(v.kind == CELL_TREE)) {
        v = tree_get(e, node_of(v), V(i->c));
        goto helped;
    }
    v = value_get(v, V(i->c));
    if (!value_defined(v)) FAIL;
    R(i->a) = v;
    GO_ON;
    DO(FIELD)
    v = V(i->b);
    if (UNLIKELY(v.kind == CELL_TREE)) {
        v = tree_get(e, node_of(v), V(i->c));
        goto helped;
    }
    v = field_get(v, V(i->c), slots + i->x);
    if (!value_defined(v)) FAIL;
    R(i->a) = v;
    GO_ON;
    /* A helper may have run rules: the registers may have moved, and an error may have come up. */
helped:
    base[0] = r = e->registers + window;
    if (UNLIKELY(e->rc)) goto stopped;
    if (!value_defined(v)) FAIL;
    R(i->a) = v;
    GO_ON;

    DO(ITER)
    v = V(i->b);
    if (UNLIKELY(v.kind == CELL_TREE)) {
        n = node_of(v);
        if (n->has_rules) v = machine_rules(e, n); /* partial rules whose key is not known */
        key = n->has_rules ? UNDEFINED : tree_keys(e, n);
        base[0] = r = e->registers + window;
        if (e->rc) goto stopped;
        R(i->a + 2) = key;
    }
    R(i->a) = v;
    R(i->a + 1) = value_integer(0);
    GO_ON;
    DO(NEXT)
    TICK;
    if (LIKELY(R(i->a).kind != CELL_TREE)) {
        if (!next_entry(e, r + i->a, &key, &v)) FAIL;
    } else {
        value it[3] = {R(i->a), R(i->a + 1), R(i->a + 2)};
        bool more = next_entry(e, it, &key, &v);
        base[0] = r = e->registers + window;
        if (e->rc) goto stopped;
        if (!more) FAIL;
        R(i->a + 1) = it[1];
    }
    if (i->b != NOWHERE) R(i->b) = key;
    if (i->c != NOWHERE) R(i->c) = v;
    GO_ON;
    DO(LOOK) {
        struct operands o = {{base[0], base[1]}};
        const u32 *rows;
        u32 some;
        v = V(i->b);
        R(i->a) = v;
        R(i->a + 1) = value_integer(0);
        R(i->a + 2) = UNDEFINED;
        if (look_choose(e, p->looks + i->x, v, operand_of, &o, &rows, &some))
            R(i->a + 2) = (value){.kind = VALUE_NULL, .hash = some, .bits = (uintptr_t)rows};
        GO_ON;
    }
    DO(LOOK_NEXT)
    TICK;
    if (R(i->a + 2).kind == VALUE_NULL) {
        u32 at = (u32)R(i->a + 1).integer;
        if (at >= R(i->a + 2).hash) FAIL;
        R(i->a + 1).integer = at + 1;
        at = ((const u32 *)(uintptr_t)R(i->a + 2).bits)[at];
        key = value_integer(at), v = R(i->a).array->items[at];
    } else if (!next_entry(e, r + i->a, &key, &v)) {
        FAIL;
    }
    R(i->b) = key;
    R(i->c) = v;
    GO_ON;

    DO(EQUAL)
    if (!value_equal(V(i->b), V(i->c))) FAIL;
    GO_ON;
    DO(DIFFER)
    if (value_equal(V(i->b), V(i->c))) FAIL;
    GO_ON;
    DO(LESS)
    if (compare(V(i->b), V(i->c)) >= 0) FAIL;
    GO_ON;
    DO(LESS_EQUAL)
    if (compare(V(i->b), V(i->c)) > 0) FAIL;
    GO_ON;
    DO(MEMBER)
    if (!is_member(V(i->b), V(i->c))) FAIL;
    GO_ON;
    DO(IS_ARRAY)
    v = V(i->b);
    if (v.kind != VALUE_ARRAY || v.array->count != i->x) FAIL;
    GO_ON;
    DO(IS_OBJECT)
    v = V(i->b);
    if (v.kind != VALUE_OBJECT || v.object->keys->count != i->x) FAIL;
    GO_ON;
    DO(IS_COLLECTION)
    if (V(i->b).kind < VALUE_ARRAY) FAIL;
    GO_ON;
    DO(ITEM)
    R(i->a) = V(i->b).array->items[i->x];
    GO_ON;

    DO(MAKE_ARRAY)
    R(i->a) = value_array(&e->heap, r + i->b, i->x);
    GO_ON;
    DO(MAKE_SET)
    R(i->a) = value_set(&e->heap, r + i->b, i->x);
    GO_ON;
    DO(MAKE_OBJECT)
    R(i->a) = make_object(&e->heap, r + i->b, i->x);
    GO_ON;
    DO(BUILD)
    R(i->a) = builder_open(&e->heap, i->n);
    GO_ON;
    DO(ADD) {
        struct value_builder *b = builder_of(R(i->a));
        if (b) value_builder_add(b, V(i->b));
        GO_ON;
    }
    DO(PUT) {
        struct value_builder *b = builder_of(R(i->a));
        if (b && value_builder_put(b, V(i->b), V(i->c)) == RC_CONFLICT) {
            conflict(e, p->places[i->x], 2);
            goto stopped;
        }
        GO_ON;
    }
    DO(CLOSE) {
        struct value_builder *b = builder_of(R(i->b));
        R(i->a) = b ? value_builder_close(b) : value_null();
        GO_ON;
    }
    DO(GROUP)
    R(i->a) = loop_groups_make(&e->heap, R(i->b), i->n);
    GO_ON;
    DO(GROUPED)
    R(i->a) = loop_groups_get(&e->heap, R(i->b), V(i->c), i->n);
    GO_ON;
    DO(DOC)
    R(i->a) = doc_open(&e->heap);
    GO_ON;
    DO(DOC_PUT)
    if (!doc_put(&e->heap, R(i->a), r + i->b, i->n, V(i->c), p->heads[i->x].multi)) {
        conflict(e, p->heads[i->x].at, 2);
        goto stopped;
    }
    GO_ON;
    DO(DOC_CLOSE)
    R(i->a) = doc_close(R(i->b));
    GO_ON;
    DO(SET_ONCE)
    v = V(i->b);
    if (value_defined(R(i->a)) && !value_equal(R(i->a), v)) {
        conflict(e, p->places[i->x], i->n);
        goto stopped;
    }
    if (!value_defined(R(i->a))) R(i->a) = v;
    GO_ON;

    DO(FUNCTION) {
        TICK;
        n = e->policy->program.nodes[i->c];
        callee_first = i->b, callee_count = i->n;
        if (UNLIKELY(e->now.mocks != NULL)) {
            const struct mock *m = mock_find(e, WITH_FUNCTION, n->id);
            if (m) {
                value kept = value_array(&e->heap, r + i->b, i->n); /* registers may move */
                TICK;
                v = call_replacement(e, m, kept.array->items, i->n, p->places[i->x]);
                goto helped;
            }
        }
        const struct memo_call *known =
            memo_call_find(e, n->id * 4 + WHICH_FUNCTION, r + i->b, i->n);
        if (!known) {
            callee = n->whole, callee_node = n->id, callee_which = WHICH_FUNCTION;
            goto enter;
        }
        if (!value_defined(known->result)) FAIL;
        R(i->a) = known->result;
        GO_ON;
    }
    DO(BUILTIN) {
        TICK;
        if (UNLIKELY(e->now.mocks != NULL)) {
            value kept = value_array(&e->heap, r + i->b, i->n);
            TICK;
            v = machine_builtin(e, i->c, kept.array->items, i->n, i->x, p);
        } else {
            v = call_builtin(e, i->c, r + i->b, i->n, p->places[i->x]);
        }
        goto helped;
    }
    DO(COUNT)
    v = V(i->b);
    if (LIKELY(v.kind >= VALUE_ARRAY && v.kind <= VALUE_SET && !e->now.mocks)) {
        R(i->a) = value_integer(value_count(v));
        GO_ON;
    }
    v = machine_builtin(e, i->n, &v, 1, i->x, p);
    goto helped;
    DO(PLUS) {
        value two[2] = {V(i->b), V(i->c)};
        s64 sum;
        if (LIKELY(two[0].kind == VALUE_NUMBER && two[1].kind == VALUE_NUMBER && !two[0].boxed &&
                   !two[1].boxed && !e->now.mocks &&
                   !__builtin_add_overflow(two[0].integer, two[1].integer, &sum))) {
            R(i->a) = value_integer(sum);
            GO_ON;
        }
        v = machine_builtin(e, i->n, two, 2, i->x, p);
        goto helped;
    }
    DO(MINUS) {
        value two[2] = {V(i->b), V(i->c)};
        s64 difference;
        if (LIKELY(two[0].kind == VALUE_NUMBER && two[1].kind == VALUE_NUMBER && !two[0].boxed &&
                   !two[1].boxed && !e->now.mocks &&
                   !__builtin_sub_overflow(two[0].integer, two[1].integer, &difference))) {
            R(i->a) = value_integer(difference);
            GO_ON;
        }
        v = machine_builtin(e, i->n, two, 2, i->x, p);
        goto helped;
    }
    DO(STARTS) {
        value two[2] = {V(i->b), V(i->c)};
        if (LIKELY(two[0].kind == VALUE_STRING && two[1].kind == VALUE_STRING && !e->now.mocks)) {
            if (!str_starts(value_str(two[0]), value_str(two[1]))) FAIL;
            GO_ON;
        }
        v = machine_builtin(e, i->a, two, 2, i->x, p);
        base[0] = r = e->registers + window;
        if (e->rc) goto stopped;
        if (!value_defined(v) || value_is_false(v)) FAIL;
        GO_ON;
    }

    DO(WITH) {
        struct operands o = {{base[0], base[1]}};
        R(i->a) = with_open(e, p->withs + i->x, operand_of, &o);
        TICK;
        GO_ON;
    }
    DO(WITH_LEAVE)
    with_leave(e, R(i->a));
    GO_ON;
    DO(WITH_ENTER)
    with_enter(e, R(i->a));
    GO_ON;

    DO(CHOOSE)
    choose(e, p, p->indexes[i->x], r, i->a);
    GO_ON;
    DO(CHOOSE_NEXT) {
        u32 at = (u32)R(i->a + 1).integer;
        if (at >= (u32)R(i->a + 2).integer) FAIL;
        TICK;
        R(i->a + 1).integer = at + 1;
        const u32 *list = (const u32 *)(uintptr_t)R(i->a).bits;
        u32 entry = p->indexes[i->x]->entries[list ? list[at] : at];
        if (!entry) goto *labels[i->op]; /* a default rule: the next one */
        i = code + entry;
        goto *labels[i->op];
    }
    DO(TELL)
    if (e->ask->trace) tell(e, p, i, r);
    GO_ON;
    DO(RESULT)
    result_row(e, r + i->a, i->x);
    if (UNLIKELY(e->rc)) goto stopped;
    GO_ON;

stopped:
    v = UNDEFINED;
    e->depth = entry_depth;
finished:
    e->top = entry_top;
    e->nested--;
    if (UNLIKELY(e->heap.exhausted) && !e->rc) machine_check(e);
    return e->rc ? UNDEFINED : v;
}
