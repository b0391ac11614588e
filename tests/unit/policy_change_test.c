/* SPDX-License-Identifier: Apache-2.0 */
/* A program made from the one before against the same program loaded whole: modules nobody wrote
 * are put, replaced and left out at random, and after each step both must tell the same errors,
 * word for word, or give the same answers to the same questions. Programs of before go on being
 * asked, and are dropped in any order. ROUNDS=n for more of them. */
#include "app/policy/policy.c"
#include <stdio.h>
#include "app/policy/value/json_text.h"
#include "tests/test.h"

enum { MODULES = 7, OLD = 3, TEXT_MAX = 4096 };

static u32 below(u32 n) {
    return (u32)((test_random() >> 11) % n);
}

static const char *const packages[] = {"a", "a.b", "c", "d.e", "a.b.c", "f"};
static const char *const names[] = {"r0", "r1", "r2", "r3", "r4"};
static const char *pick_name(void) {
    return names[below(ARRAY_LEN(names))];
}

struct world {
    struct buf to;
    u32 package;
};
static bool plain_life; /* without annotations, which keep from copying the tree */
#define SAY(...) (void)(buf_printf(&w->to, __VA_ARGS__) == RC_OK)

/* Mostly of a package that stands before: else nearly everything would be recursive. */
static void say_package(struct world *w) {
    u32 n = w->package && below(12) ? below(w->package) : below(ARRAY_LEN(packages));
    SAY("data.%s", packages[n]);
}
static void say_ref(struct world *w) {
    static const char *const beneath[] = {".q.s", ".q[_]", "[_]", ".q", ".q[input.x]"};
    say_package(w), SAY(".%s", pick_name());
    if (!below(6)) SAY("%s", beneath[below(ARRAY_LEN(beneath))]);
}

static void say_metadata(struct world *w) {
    static const char *const scopes[] = {"rule", "document", "package", "subpackages"};
    u32 scope = below(2);
    SAY("# METADATA\n# title: t%u\n# scope: %s\n", below(3), scopes[scope]);
    if (!below(12))
        SAY("# schemas:\n#   - input: {type: object, properties: {x: {type: number}}}\n");
}

static void say_value_rule(struct world *w) {
    const char *name = pick_name();
    u32 k = below(4);
    switch (below(15)) {
    case 12:
        SAY("%s := %s if %s = %u\n", name, names[k], names[k], k);
        break; /* a variable, or a rule */
    case 13: SAY("%s := x if x := ", name), say_ref(w), SAY("\n"); break;
    case 0: SAY("default %s := %u\n", name, k); break;
    case 1: SAY("%s := ", name), say_ref(w), SAY("\n"); break;
    case 2: SAY("%s if ", name), say_ref(w), SAY(" == %u\n", k); break;
    case 3: SAY("%s := {y | y := ", name), say_package(w), SAY("[_]}\n"); break;
    case 4: SAY("%s := ", name), say_package(w), SAY("\n"); break;
    case 5: SAY("%s := ", name), say_ref(w), SAY(" + 1\n"); break;
    case 6: SAY("%s := lower(", name), say_ref(w), SAY(")\n"); break;
    case 7: SAY("%s := %u if input.x == %u else := ", name, k, k), say_ref(w), SAY("\n"); break;
    case 8: SAY("%s if not ", name), say_ref(w), SAY("\n"); break;
    case 9: SAY("%s := %s\n", name, pick_name()); break;
    case 10: SAY("%s := \"s%u\"\n", name, k); break;
    case 11: SAY("%s := $\"<{", name), say_ref(w), SAY("}>\"\n"); break;
    default: SAY("%s := %u\n", name, k); break;
    }
}

static void say_many_rule(struct world *w) {
    const char *name = pick_name();
    u32 k = below(4);
    switch (below(8)) {
    case 0: SAY("%s contains x if some x in [1, %u]\n", name, k); break;
    case 1: SAY("%s contains x if some x in ", name), say_ref(w), SAY("\n"); break;
    case 2: SAY("%s[x] := y if some x, y in {\"a\": %u, \"b\": 2}\n", name, k); break;
    case 3: SAY("%s.q.s := %u\n", name, k); break;
    case 4: SAY("%s.q[x] := x if some x in [%u]\n", name, k); break;
    case 5: SAY("%s contains [k, v] if v := ", name), say_package(w), SAY("[k]\n"); break;
    case 6: SAY("%s if every x in ", name), say_ref(w), SAY(" { x != %u }\n", k); break;
    default: SAY("%s contains \"%u\"\n", name, k); break;
    }
}

static void say_function_rule(struct world *w) {
    const char *name = pick_name();
    u32 k = below(4);
    switch (below(8)) {
    case 0: SAY("%s(x) := x + %u\n", name, k); break;
    case 1: SAY("%s(x, y) := [x, y, %u]\n", name, k); break;
    case 2: SAY("%s := ", name), say_ref(w), SAY("(%u)\n", k); break;
    case 3: SAY("%s if ", name), say_ref(w), SAY(" with input.x as %u\n", k); break;
    case 4: SAY("%s if ", name), say_ref(w), SAY(" with "), say_ref(w), SAY(" as %u\n", k); break;
    case 5:
        SAY("%s := v if v := ", name), say_ref(w), SAY("(1) with "), say_ref(w), SAY(" as "),
            say_ref(w), SAY("\n");
        break;
    case 6:
        SAY("%s := v if v := count([%u]) with count as ", name, k), say_ref(w), SAY("\n");
        break;
    default: SAY("default %s(_) := %u\n", name, k); break;
    }
}

static void say_rule(struct world *w) {
    u32 shape = below(12);
    if (!plain_life && !below(8)) say_metadata(w);
    if (shape < 6)
        say_value_rule(w);
    else if (shape < 9)
        say_many_rule(w);
    else if (shape < 11)
        say_function_rule(w);
    else if (below(2))
        SAY("%s := rego.metadata.rule()\n", pick_name());
    else
        SAY("%s := rego.metadata.chain()\n", pick_name());
}

static void say_module(struct world *w) {
    w->package = below(ARRAY_LEN(packages));
    if (!plain_life && !below(10))
        SAY("# METADATA\n# title: p%u\n# scope: %s\n", below(3),
            below(2) ? "package" : "subpackages");
    SAY("package %s\n", packages[w->package]);
    bool imports = !below(3);
    if (imports) SAY("import "), say_package(w), SAY(" as im\n");
    u32 count = 1 + below(4);
    for (u32 i = 0; i < count; i++) say_rule(w);
    if (imports && below(2)) SAY("%s := im.%s\n", pick_name(), pick_name());
    if (!below(40)) SAY("%s := :=\n", pick_name());
    if (!below(30)) SAY("%s := __local0__ if __local0__ := 1\n", pick_name());
}

/* The same module with other numbers here and there: most often it stands at the same paths. */
static void say_again(struct world *w, const struct world *was) {
    str text = buf_str(&was->to);
    bool other = !below(4); /* r1 may become r2 */
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool digit = c >= '0' && c <= '3', name = i && text.ptr[i - 1] == 'r';
        if (digit && (!name || (other && !below(6))) && !below(3)) c = (char)('0' + below(4));
        SAY("%c", c);
    }
    w->package = was->package;
    if (!below(4)) say_rule(w);
}

/* ---- The same? ---- */

static void errors_say(const struct policy_errors *e, struct buf *to) {
    for (u32 i = 0; i < e->count; i++) {
        const struct policy_error *p = e->items + i;
        rc_t rc =
            buf_printf(to, "%.*s:%u:%u %d %.*s\n", STR(p->at.file ? p->at.file->name : (str){0}),
                       p->at.row, p->at.column, (int)p->code, STR(p->message));
        for (u32 k = 0; k < p->detail_count; k++)
            rc = buf_printf(to, "  %.*s\n", STR(p->details[k]));
        (void)rc;
    }
}

static void error_say(const struct policy_error *e, struct buf *to) {
    rc_t rc =
        buf_printf(to, "%u:%u %d %.*s\n", e->at.row, e->at.column, (int)e->code, STR(e->message));
    (void)rc;
}

static value world_data;
static struct heap world_heap; /* outlives the programs of a life */

/* All there is to say of a program, as text. */
static void program_say(struct policy_program *p, struct buf *to) {
    static const char *const questions[] = {
        "x := data.a.r0 + 1",  "data.a.b.r1 == \"s\"", "data.c[x]",
        "x := data.d.e.r2(1)", "x = data.f",           "x := data.a.b.c.r3 with input.x as 2",
        "count(data.a.r1)",    "x := data.c.r4.q.s"};
    struct policy_evaluator *e;
    struct heap scratch;
    CHECK(policy_evaluator_open(&e, 0) == RC_OK);
    heap_open(&scratch, MIB(64));
    for (u32 input = 0; input < 2; input++) {
        value x = value_object(&scratch, (value[]){value_string_c(&scratch, "x")},
                               (value[]){value_integer(input)}, 1);
        for (u32 i = 0; i < ARRAY_LEN(packages) + ARRAY_LEN(questions); i++) {
            struct policy_errors errors;
            struct policy_query *q;
            struct policy_answer answer;
            struct policy_error error = {0};
            struct policy_ask ask = {.input = x, .data = world_data, .now_ns = 1};
            char text[64];
            bool package = i < ARRAY_LEN(packages);
            snprintf(text, sizeof text, package ? "x := data.%s" : "%s",
                     package ? packages[i] : questions[i - ARRAY_LEN(packages)]);
            policy_errors_open(&errors, &scratch, 0);
            if (policy_prepare(p, str_from_c(text), &q, &errors)) {
                errors_say(&errors, to);
                continue;
            }
            if (policy_ask(e, q, &ask, &answer, &error)) error_say(&error, to);
            for (u32 k = 0; k < answer.count; k++) {
                json_text_write(to, answer.results[k].bindings, 0);
                json_text_write(to, answer.results[k].expressions, 0);
                (void)(buf_add(to, S("\n")) == RC_OK);
            }
            policy_query_drop(q);
        }
    }
    heap_close(&scratch);
    policy_evaluator_close(e);
}

struct pair {
    struct policy_program *one;
    struct buf said;
    value data;
};

static void pair_drop(struct pair *p) {
    policy_drop(p->one);
    buf_close(&p->said);
    *p = (struct pair){0};
}

static void describe(const struct policy_source *s, u32 count, const struct buf *a,
                     const struct buf *b) {
    for (u32 i = 0; i < count; i++)
        fprintf(stderr, "--- %.*s\n%.*s", STR(s[i].name), STR(s[i].text));
    fprintf(stderr, "=== from the one before\n%.*s=== whole\n%.*s", STR(buf_str(a)),
            STR(buf_str(b)));
}

struct life {
    struct world modules[MODULES];
    bool there[MODULES];
    struct pair now, old[OLD];
    u32 followed, replaced, extended, whole, refused;
};

static u32 sources_of(const struct life *l, u32 changed, const struct world *by,
                      struct policy_source *out) {
    static const char *const files[MODULES] = {"m0", "m1", "m2", "m3", "m4", "m5", "m6"};
    u32 n = 0;
    for (u32 i = 0; i < MODULES; i++) {
        const struct world *w = i == changed ? by : l->there[i] ? &l->modules[i] : NULL;
        if (w) out[n++] = (struct policy_source){str_from_c(files[i]), buf_str(&w->to)};
    }
    if (n > 1 && below(2)) { /* the order they are given in says nothing */
        struct policy_source first = out[0];
        out[0] = out[n - 1], out[n - 1] = first;
    }
    return n;
}

/* False: they differ, and that was shown. */
static bool step(struct life *l) {
    u32 at = below(MODULES);
    bool leave = l->there[at] && !below(4);
    struct world next = {0};
    buf_open(&next.to, TEXT_MAX);
    if (!leave && l->there[at] && below(3))
        say_again(&next, &l->modules[at]);
    else if (!leave)
        say_module(&next);
    struct policy_source sources[MODULES];
    u32 count = sources_of(l, at, leave ? NULL : &next, sources);
    world_data =
        below(8) ? value_empty_object()
                 : value_object(&world_heap, (value[]){value_string_c(&world_heap, "f")},
                                (value[]){value_object(&world_heap,
                                                       (value[]){value_string_c(&world_heap, "r0")},
                                                       (value[]){value_integer(1)}, 1)},
                                1);
    struct heap h;
    struct policy_errors errors[2];
    struct policy_program *one = NULL, *whole = NULL;
    struct buf said[2];
    heap_open(&h, MIB(16));
    policy_errors_open(&errors[0], &h, 0), policy_errors_open(&errors[1], &h, 0);
    buf_open(&said[0], MIB(1)), buf_open(&said[1], MIB(1));
    struct policy_load_options o = {.parse = {.version = REGO_V1, .annotations = true},
                                    .compile = {.data = world_data}};
    rc_t rc_whole = policy_load(sources, count, &o, &whole, &errors[1]);
    o.from = l->now.one;
    rc_t rc_one = policy_load(sources, count, &o, &one, &errors[0]);
    errors_say(&errors[0], &said[0]), errors_say(&errors[1], &said[1]);
    if (one) program_say(one, &said[0]);
    if (whole) program_say(whole, &said[1]);
    bool same = rc_one == rc_whole && str_eq(buf_str(&said[0]), buf_str(&said[1]));
    if (!same) {
        describe(sources, count, &said[0], &said[1]);
        fprintf(stderr, "=== m%u before\n%.*s", at, STR(buf_str(&l->modules[at].to)));
    }
    bool kept = one && below(20); /* else it is as though it had never been */
    if (one && !kept) {
        policy_drop(one);
        buf_close(&said[0]), buf_close(&next.to);
    } else if (one) {
        bool follows = l->now.one && one->line == l->now.one->line;
        if (follows && one->program.shared == l->now.one->program.shared)
            l->replaced++;
        else if (follows && !one->program.compiled->order)
            l->extended++;
        else if (follows)
            l->followed++;
        else
            l->whole++;
        struct pair *o_slot = &l->old[below(OLD)];
        pair_drop(o_slot);
        *o_slot = l->now;
        l->now = (struct pair){one, said[0], world_data};
        buf_close(&l->modules[at].to);
        l->modules[at] = next, l->there[at] = !leave;
    } else {
        l->refused++;
        buf_close(&said[0]), buf_close(&next.to);
    }
    policy_drop(whole);
    buf_close(&said[1]);
    heap_close(&h);
    return same;
}

/* Programs of before still say what they said. */
static bool old_ones_stand(struct life *l) {
    bool same = true;
    for (u32 i = 0; i < OLD; i++) {
        struct pair *p = &l->old[i];
        if (!p->one) continue;
        struct buf again;
        buf_open(&again, MIB(1));
        world_data = p->data;
        program_say(p->one, &again);
        same &= str_eq(buf_str(&again), buf_str(&p->said));
        buf_close(&again);
    }
    return same;
}

TEST(a_program_made_from_another_is_the_one_loaded_whole) {
    u32 rounds = getenv("ROUNDS") ? (u32)strtoul(getenv("ROUNDS"), NULL, 10) : 600, followed = 0,
        replaced = 0, extended = 0, whole = 0, refused = 0;
    for (u32 done = 0; done < rounds;) {
        struct life l = {0};
        plain_life = below(3);
        heap_open(&world_heap, MIB(4));
        for (u32 i = 0; i < MODULES; i++) buf_open(&l.modules[i].to, TEXT_MAX);
        bool good = true;
        for (u32 i = 0; i < 60 && done < rounds && good; i++, done++) {
            good = step(&l);
            if (!(i % 8)) good &= old_ones_stand(&l);
        }
        for (u32 i = 0; i < OLD; i++) pair_drop(&l.old[i]);
        pair_drop(&l.now);
        for (u32 i = 0; i < MODULES; i++) buf_close(&l.modules[i].to);
        heap_close(&world_heap);
        extended += l.extended;
        followed += l.followed, replaced += l.replaced, whole += l.whole, refused += l.refused;
        if (!good) {
            test_fail(__FILE__, __LINE__, "step %u differs", done);
            return;
        }
    }
    if (getenv("ROUNDS"))
        fprintf(stderr, "%u followed, %u replaced, %u extended, %u whole, %u refused\n", followed,
                replaced, extended, whole, refused);
    EXPECT(followed > rounds / 10);
    EXPECT(extended > 0); /* few lives are without annotations */
    EXPECT(replaced > rounds / 20);
}
