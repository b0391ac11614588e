/* SPDX-License-Identifier: Apache-2.0 */
/* policy_program.h — policies nobody wrote: small modules grown from a stream of choices, and asked
 * both of the machine and of the checker, who must agree. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tests/unit/policy_checker.h"

struct grower {
    u32 (*pick)(void *arg, u32 n); /* below n */
    void *arg;
    struct buf text;
    u32 rules;               /* p0 .. of which kinds: */
    char kinds[16];          /* c omplete, s et, o bject, f unction */
    u32 vars;                /* names given out in this rule */
    u32 scope[64], scope_count; /* those in reach */
    u32 depth;
};

static u32 pick(struct grower *g, u32 n) { return g->pick(g->arg, n); }
#define GROW(...) (void)(buf_printf(&g->text, __VA_ARGS__) == RC_OK)

static void grow_term(struct grower *g);
static void grow_body(struct grower *g, u32 most);

static void grow_list(struct grower *g, const char *open, const char *close) {
    GROW("%s", open);
    for (u32 i = 0, n = 1 + pick(g, 3); i < n; i++) {
        if (i) GROW(", ");
        grow_term(g);
    }
    GROW("%s", close);
}

static void grow_reference(struct grower *g) {
    static const char *const inputs[] = {"input.a", "input.b", "input.xs", "input.o", "input.o.k", "input.xs[0]", "input.none", "data.d", "data.d.xs", "data.d.o.k"};
    u32 r = g->rules ? pick(g, g->rules) : 0;
    if (!g->rules || pick(g, 2)) GROW("%s", inputs[pick(g, ARRAY_LEN(inputs))]);
    else if (g->kinds[r] == 'f') GROW("p%u(", r), grow_term(g), GROW(")");
    else GROW("p%u", r);
    if (g->rules && g->kinds[r] != 'f' && !pick(g, 4)) GROW("["), grow_term(g), GROW("]");
}

static void grow_comprehension(struct grower *g) {
    static const char *const shapes[] = {"[]", "{}", "{:}"};
    u32 shape = pick(g, 3), scope = g->scope_count;
    struct buf outer = g->text, body;
    buf_open(&g->text, 1 << 16);
    grow_body(g, 2);
    body = g->text, g->text = outer;
    GROW("%c", shapes[shape][0]);
    grow_term(g);
    if (shape == 2) GROW(": "), grow_term(g);
    GROW(" | %.*s%c", STR(buf_str(&body)), shape ? '}' : ']');
    buf_close(&body);
    g->scope_count = scope;
}

static void grow_term(struct grower *g) {
    static const char *const constants[] = {
        "1", "2", "1.0", "data.c[0]", "data.c[1]", "data.c[2]", "data.c[3]", "data.c[4]", "data.c[5]", "data.c[6]", "data.c[7]", "data.c[8]"};
    if (++g->depth > 4) GROW("%s", constants[pick(g, ARRAY_LEN(constants))]);
    else switch (pick(g, 12)) {
        case 0: grow_list(g, "[", "]"); break;
        case 1: GROW("{\"k\": "), grow_term(g), GROW("}"); break;
        case 2: grow_list(g, "{", "}"); break;
        case 3: case 4: grow_reference(g); break;
        case 5: GROW("count("), grow_list(g, "[", "]"), GROW(")"); break;
        case 6: grow_comprehension(g); break;
        case 7: case 8: case 9:
            if (g->scope_count) { GROW("v%u", g->scope[pick(g, g->scope_count)]); break; } /* fall through */
        default: GROW("%s", constants[pick(g, ARRAY_LEN(constants))]);
        }
    g->depth--;
}

static void grow_collection(struct grower *g) {
    static const char *const lists[] = {"[1, 2, 1]", "{1, 2, \"a\"}", "{\"a\": 1, \"k\": [2]}", "[[1, 2], [2, 3], 4]", "input.xs", "data.d.xs", "input.o"};
    if (pick(g, 3)) GROW("%s", lists[pick(g, ARRAY_LEN(lists))]);
    else grow_reference(g);
}

/* Of a type the compiler cannot know. */
static void grow_any(struct grower *g) { GROW("id("), grow_term(g), GROW(")"); }

/* For each of a loop, what has its value elsewhere: worked out once for all turns. */
static void grow_group(struct grower *g, u32 v) {
    static const char *const lists[] = {"input.xs", "input.o", "data.d.xs", "data.d.o", "input"};
    u32 found = g->vars++, r = g->rules ? pick(g, g->rules) : 0;
    bool set = pick(g, 2), plain = !g->rules || g->kinds[r] == 'f' || pick(g, 2);
    GROW("some v%u in ", v), grow_collection(g);
    GROW("; v%u := %cw%u | ", found, set ? '{' : '[', found);
    if (plain) GROW("%s[w%u]", lists[pick(g, ARRAY_LEN(lists))], found);
    else GROW("p%u[w%u]", r, found);
    if (!pick(g, 3)) GROW(".k");
    GROW(" == v%u%c", v, set ? '}' : ']');
    if (g->scope_count < ARRAY_LEN(g->scope)) g->scope[g->scope_count++] = found;
}

static void grow_expr(struct grower *g) {
    static const char *const tests[] = {"==", "!=", "<", ">=", "<="};
    u32 v = 0;
    u32 shape = pick(g, 13);
    if (shape < 5 || (shape >= 8 && shape <= 10)) v = g->vars++;
    switch (shape) {
    case 0: GROW("some v%u in ", v), grow_collection(g); goto named;
    case 1: GROW("some k%u, v%u in ", v, v), grow_collection(g); goto named;
    case 2: GROW("v%u := ", v), grow_term(g); goto named;
    case 3: GROW("[v%u, w%u] = ", v, v), grow_any(g); goto named;
    case 4: grow_collection(g), GROW("[v%u] = ", v), grow_any(g); goto named;
    case 5: GROW("not "), grow_any(g), GROW(" == "), grow_term(g); return;
    case 6: grow_term(g), GROW(" in "), grow_collection(g); return;
    case 7:
        v = g->vars++;
        GROW("every e%u in ", v), grow_collection(g), GROW(" { id(e%u) != ", v), grow_term(g), GROW(" }");
        return;
    case 8: GROW("v%u := ", v), grow_reference(g), GROW(" with input as "), grow_term(g); goto named;
    case 9: GROW("v%u = ", v), grow_any(g), GROW(" + %u", pick(g, 3)); goto named;
    case 10: grow_group(g, v); goto named;
    default: grow_any(g), GROW(" %s ", tests[pick(g, ARRAY_LEN(tests))]), grow_term(g); return;
    }
named:
    if (g->scope_count < ARRAY_LEN(g->scope)) g->scope[g->scope_count++] = v;
}

static void grow_body(struct grower *g, u32 most) {
    for (u32 i = 0, n = 1 + pick(g, most); i < n; i++) {
        if (i) GROW("; ");
        grow_expr(g);
    }
}

static void grow_head(struct grower *g, u32 r, struct buf *body) {
    char kind = g->kinds[r];
    bool scope = g->scope_count;
    if (kind == 'c') GROW("p%u := ", r), grow_term(g);
    if (kind == 's') GROW("p%u contains ", r), grow_term(g);
    if (kind == 'o') { /* a key that is a variable or not at all */
        if (scope) GROW("p%u[v%u] := ", r, g->scope[0]);
        else GROW("p%u[x] := ", r);
        grow_term(g);
    }
    if (kind == 'f') GROW("p%u(v0) := ", r), grow_term(g);
    GROW(" if { %s%.*s }\n", kind == 'o' && !scope ? "x := 1; " : "", STR(buf_str(body)));
}

static void grow_rule(struct grower *g, u32 r) {
    for (u32 i = 0, n = 1 + pick(g, 3); i < n; i++) {
        struct buf outer = g->text, body;
        g->vars = g->scope_count = g->kinds[r] == 'f', g->scope[0] = 0;
        buf_open(&g->text, 1 << 16);
        grow_body(g, 3);
        body = g->text, g->text = outer;
        grow_head(g, r, &body);
        buf_close(&body);
    }
    if (g->kinds[r] == 'c' && !pick(g, 3)) GROW("default p%u := %u\n", r, pick(g, 3));
}

static void grow_module(struct grower *g) {
    GROW("package t\nid(x) := x\n");
    for (u32 i = 0, n = 2 + pick(g, 5); i < n; i++) {
        g->kinds[i] = "ccsof"[pick(g, 5)];
        grow_rule(g, i);
        g->rules++;
    }
}

enum { PROGRAM_REFUSED, PROGRAM_UNKNOWN, PROGRAM_AGREES, PROGRAM_DIFFERS };

/* Grows a module and asks for each of its rules; `why` tells of a difference. */
static inline int program_compare(u32 (*choose)(void *arg, u32 n), void *arg, struct buf *why) {
    struct grower grower = {.pick = choose, .arg = arg}, *g = &grower;
    struct heap h;
    struct policy_errors errors;
    struct policy_program *p = NULL;
    struct policy_evaluator *e = NULL;
    int result = PROGRAM_REFUSED;
    heap_open(&h, 64 << 20), buf_open(&g->text, 1 << 18);
    grow_module(g);
    policy_errors_open(&errors, &h, 10);
    struct policy_source source = {S("t.rego"), buf_str(&g->text)};
    struct policy_load_options o = {0};
    struct policy_ask ask = {.data_version = 1, .limits.steps_max = 1000000};
    if (g->text.failed || policy_load(&source, 1, &o, &p, &errors)) goto done;
    CHECK(policy_evaluator_open(&e, 64 << 20) == RC_OK);
    CHECK(json_text_read(&h, NULL, S("{\"a\": 1, \"b\": \"k\", \"xs\": [1, 2, [3, 1], \"a\"], \"o\": {\"k\": 2, \"l\": 1}}"), &ask.input, NULL) == RC_OK);
    CHECK(json_text_read(&h, NULL, S("{\"c\": [0, 3, \"a\", \"k\", true, false, null, [1, 2], {\"k\": 1}], \"d\": {\"xs\": [{\"k\": 1}, 2], \"o\": {\"k\": 3}}}"), &ask.data, NULL) == RC_OK);
    result = PROGRAM_UNKNOWN;
    for (u32 r = 0; r < g->rules; r++) {
        struct checker *c = calloc(1, sizeof *c);
        if (!c) break;
        char name[16];
        struct policy_query *q;
        struct policy_error error;
        value got, want, path[2] = {value_string_c(&h, "t"), UNDEFINED};
        int n = snprintf(name, sizeof name, "p%u", r);
        path[1] = value_string(&h, str_of(name, (size_t)n));
        *c = (struct checker){.heap = &h, .compiled = policy_compiled(p), .input = ask.input, .data = ask.data};
        const struct rule_node *node = rule_node_find(c->compiled->root, path[0]);
        node = node ? rule_node_find(node, path[1]) : NULL;
        CHECK(policy_prepare_path(p, path, 2, &q, &errors) == RC_OK);
        rc_t rc = policy_decide(e, q, &ask, &got, &error);
        want = !node || g->kinds[r] == 'f' ? UNDEFINED : check_rules(c, node, NULL, 0);
        bool same = c->conflict ? rc == RC_INVALID && error.code == EVAL_CONFLICT_ERROR
                                : rc == RC_OK && got.kind == want.kind && (!value_defined(want) || value_equal(got, want));
        bool known = !c->unknown && rc != RC_LIMIT && !(c->keyed && c->conflict);
        if (known && result == PROGRAM_UNKNOWN) result = PROGRAM_AGREES;
        if (known && !same) {
            result = PROGRAM_DIFFERS;
            (void)(buf_printf(why, "%.*s\n%s: machine %s ", STR(buf_str(&g->text)), name, rc_name(rc)) == RC_OK);
            if (rc == RC_OK && value_defined(got)) value_write(why, got);
            (void)(buf_printf(why, ", checker %s", c->conflict ? "conflict" : "") == RC_OK);
            if (value_defined(want)) value_write(why, want);
        }
        free(c);
        policy_query_drop(q);
    }
done:
    policy_evaluator_close(e);
    policy_drop(p);
    buf_close(&g->text);
    heap_close(&h);
    return result;
}
