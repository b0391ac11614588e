/* SPDX-License-Identifier: Apache-2.0 */
/* Partial evaluation against a table of questions and what must be left of them
 * (tests/conformance/policy/partial.txt), up to the names of variables and the order of queries. */
#include "app/policy/partial/partial.c"
#include "app/policy/value/json_text.h"
#include "tests/test.h"
#include <stdio.h>

enum { ITEMS = 16 };
struct partial_case {
    str note, query, data, input;
    str unknowns[ITEMS], disabled[ITEMS];
    str modules[ITEMS], wants[ITEMS], supports[ITEMS];
    u32 unknown_count, disabled_count, module_count, want_count, support_count;
    bool shallow, nondeterministic, no_namespace;
};

/* ---- Equal up to names: each variable of one side has one of the other ---- */

struct names {
    str left[256], right[256];
    u32 count;
};

static bool same_name(struct names *n, str a, str b) {
    for (u32 i = 0; i < n->count; i++)
        if (str_eq(n->left[i], a) || str_eq(n->right[i], b))
            return str_eq(n->left[i], a) && str_eq(n->right[i], b);
    if (n->count == ARRAY_LEN(n->left)) return false;
    n->left[n->count] = a, n->right[n->count++] = b;
    return true;
}

static bool same_body(struct names *n, const struct ast_body *a, const struct ast_body *b);
static bool same_term(struct names *n, const struct ast_term *a, const struct ast_term *b);

static bool same_terms(struct names *n, struct ast_term *const *a, struct ast_term *const *b,
                       u32 count) {
    for (u32 i = 0; i < count; i++)
        if (!same_term(n, a[i], b[i])) return false;
    return true;
}

static bool same_term(struct names *n, const struct ast_term *a, const struct ast_term *b) {
    if (!a || !b) return a == b;
    if (term_is_root(a) || term_is_root(b))
        return term_is_root(a) && term_is_root(b) &&
               terms_equal(a->kind == AST_REF ? a->terms[0] : a,
                           b->kind == AST_REF ? b->terms[0] : b);
    if (ast_term_is_constant(a) || ast_term_is_constant(b)) return terms_equal(a, b);
    if (a->kind != b->kind || (a->kind != AST_VAR && a->count != b->count)) return false;
    switch (a->kind) {
    case AST_VAR: return same_name(n, a->var, b->var);
    case AST_OBJECT:
        for (u32 i = 0; i < a->count; i++)
            if (!same_term(n, a->pairs[i].key, b->pairs[i].key) ||
                !same_term(n, a->pairs[i].value, b->pairs[i].value))
                return false;
        return true;
    case AST_ARRAY_COMPREHENSION:
    case AST_SET_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
        return same_body(n, a->comprehension.body, b->comprehension.body) &&
               same_term(n, a->comprehension.head, b->comprehension.head) &&
               same_term(n, a->comprehension.key, b->comprehension.key);
    default: return same_terms(n, a->terms, b->terms, a->count);
    }
}

/* Names of functions are not variables. */
static bool same_operator(const struct ast_term *a, const struct ast_term *b) {
    if (a->kind == AST_REF && a->count == 1) a = a->terms[0];
    if (b->kind == AST_REF && b->count == 1) b = b->terms[0];
    return terms_equal(a, b);
}

static bool same_expr(struct names *n, const struct ast_expr *a, const struct ast_expr *b) {
    if (a->negated != b->negated || a->with_count != b->with_count) return false;
    for (u32 i = 0; i < a->with_count; i++)
        if (!same_term(n, a->with[i].value, b->with[i].value)) return false;
    const struct ast_term *call = NULL; /* equal(input, 1) as a term and as a call look the same */
    if (a->kind == AST_EXPR_TERM && a->terms[0]->kind == AST_CALL) call = a->terms[0];
    if (call && b->kind == AST_EXPR_CALL)
        return call->count == b->count && same_operator(call->terms[0], b->terms[0]) &&
               same_terms(n, call->terms + 1, b->terms + 1, b->count - 1);
    if (a->kind != b->kind) return false;
    if (a->kind == AST_EXPR_EVERY)
        return same_term(n, a->every->domain, b->every->domain) &&
               same_term(n, a->every->key, b->every->key) &&
               same_term(n, a->every->value, b->every->value) &&
               same_body(n, a->every->body, b->every->body);
    if (a->count != b->count) return false;
    if (a->kind == AST_EXPR_CALL)
        return same_operator(a->terms[0], b->terms[0]) &&
               same_terms(n, a->terms + 1, b->terms + 1, a->count - 1);
    return same_terms(n, a->terms, b->terms, a->count);
}

static bool same_body(struct names *n, const struct ast_body *a, const struct ast_body *b) {
    if (a->count != b->count) return false;
    for (u32 i = 0; i < a->count; i++)
        if (!same_expr(n, a->exprs[i], b->exprs[i])) return false;
    return true;
}

static bool same_rule(const struct ast_rule *a, const struct ast_rule *b) {
    struct names n = {.count = 0};
    const struct ast_head *x = a->head, *y = b->head;
    if (a->is_default != b->is_default || x->arg_count != y->arg_count ||
        x->ref->count != y->ref->count)
        return false;
    if (!same_operator(x->ref->terms[0], y->ref->terms[0])) return false;
    return same_terms(&n, x->ref->terms + 1, y->ref->terms + 1, x->ref->count - 1) &&
           same_terms(&n, x->args, y->args, x->arg_count) &&
           (x->value || same_term(&n, x->key, y->key)) && same_body(&n, a->body, b->body) &&
           same_term(&n, x->value, y->value);
}

static bool same_module(const struct ast_module *a, const struct ast_module *b) {
    if (!terms_equal(a->package, b->package) || a->rule_count != b->rule_count) return false;
    for (u32 i = 0; i < a->rule_count; i++) {
        bool found = false;
        for (u32 k = 0; k < b->rule_count && !found; k++)
            found = same_rule(a->rules[i], b->rules[k]);
        if (!found) return false;
    }
    return true;
}

/* ---- One case ---- */

static value read_json(struct heap *h, str text) {
    value v = UNDEFINED;
    struct diag why;
    if (text.len) EXPECT_OK(json_text_read(h, NULL, text, &v, &why));
    return v;
}

static void tell(const struct partial_case *t, const struct partial_answer *a, const char *what) {
    struct buf b;
    buf_open(&b, MIB(4));
    for (u32 i = 0; i < a->query_count; i++) {
        (void)buf_add(&b, S("  query: "));
        ast_body_write(&b, a->queries[i]);
        (void)buf_add(&b, S("\n"));
    }
    for (u32 i = 0; i < a->support_count; i++) {
        ast_module_write(&b, a->support[i]);
        (void)buf_add(&b, S("\n"));
    }
    test_fail(__FILE__, __LINE__, "%.*s: %s; left:\n%.*s", STR(t->note), what, STR(buf_str(&b)));
    buf_close(&b);
}

static void compare(struct heap *h, const struct partial_case *t, const struct partial_answer *a,
                    struct policy_errors *errors) {
    struct parse_options parse = {0};
    if (a->query_count != t->want_count) {
        tell(t, a, "another number of queries");
        return;
    }
    for (u32 i = 0; i < t->want_count; i++) {
        struct ast_body *want = NULL, empty = {0};
        if (!str_trim(t->wants[i]).len)
            want = &empty;
        else
            EXPECT_OK(parse_body(h, t->wants[i], &parse, &want, errors));
        bool found = false;
        for (u32 k = 0; want && k < a->query_count && !found; k++) {
            struct names n = {.count = 0};
            found = same_body(&n, a->queries[k], want);
        }
        if (!found) tell(t, a, "a query is missing");
    }
    if (a->support_count != t->support_count) tell(t, a, "other support");
    for (u32 i = 0; i < t->support_count; i++) {
        struct ast_module *want = NULL;
        EXPECT_OK(parse_module(h, S("want.rego"), t->supports[i], &parse, &want, errors));
        bool found = false;
        for (u32 k = 0; want && k < a->support_count; k++)
            found |= same_module(want, a->support[k]);
        if (!found) tell(t, a, "a module is missing");
    }
}

static void run_case(const struct partial_case *t) {
    struct heap h;
    struct policy_errors errors;
    struct policy_program *program = NULL;
    struct policy_source sources[ITEMS];
    char names[ITEMS][8];
    heap_open(&h, MIB(64));
    policy_errors_open(&errors, &h, 10);
    for (u32 i = 0; i < t->module_count; i++) {
        snprintf(names[i], sizeof names[i], "%u.rego", i % 10);
        sources[i] = (struct policy_source){str_from_c(names[i]), t->modules[i]};
    }
    struct policy_load_options load = {0};
    struct policy_ask ask = {
        .input = read_json(&h, t->input), .data = read_json(&h, t->data), .now_ns = 5, .seed = 1};
    struct partial_options o = {.unknowns = t->unknown_count ? t->unknowns : NULL,
                                .unknown_count = t->unknown_count,
                                .disabled = t->disabled,
                                .disabled_count = t->disabled_count,
                                .shallow = t->shallow,
                                .nondeterministic = t->nondeterministic,
                                .no_namespace = t->no_namespace};
    struct partial_answer a;
    if (policy_load(sources, t->module_count, &load, &program, &errors) ||
        partial_evaluate(&h, program, t->query, &ask, &o, &a, &errors))
        test_fail(__FILE__, __LINE__, "%.*s: %.*s", STR(t->note),
                  STR(errors.count ? errors.items[0].message : S("failed")));
    else
        compare(&h, t, &a, &errors);
    policy_drop(program);
    heap_close(&h);
}

/* ---- The table ---- */

static void put_list(str *items, u32 *count, str text) {
    for (str one; str_split(&text, ';', &one) && *count < ITEMS;) items[(*count)++] = str_trim(one);
}

static bool flag(str flags, str name) {
    for (str one; str_split(&flags, ' ', &one);)
        if (str_eq(one, name)) return true;
    return false;
}

static str *block; /* the lines of a module go on here */

static void read_line(struct partial_case *t, str line) {
    if (str_starts(line, S("  ")) && block) {
        *block = block->len ? (str){block->ptr, (size_t)(line.ptr + line.len - block->ptr)} : line;
        return;
    }
    block = NULL;
    size_t colon = str_find_byte(line, ':');
    str key = str_take(line, colon), v = str_trim(str_skip(line, MIN(colon + 1, line.len)));
    if (str_eq(key, S("query")))
        t->query = v;
    else if (str_eq(key, S("data")))
        t->data = v;
    else if (str_eq(key, S("input")))
        t->input = v;
    else if (str_eq(key, S("unknowns")))
        put_list(t->unknowns, &t->unknown_count, v);
    else if (str_eq(key, S("disable")))
        put_list(t->disabled, &t->disabled_count, v);
    else if (str_eq(key, S("want")))
        t->wants[t->want_count++ % ITEMS] = v;
    else if (str_eq(key, S("module")))
        block = &t->modules[t->module_count++ % ITEMS];
    else if (str_eq(key, S("support")))
        block = &t->supports[t->support_count++ % ITEMS];
    else if (str_eq(key, S("flags"))) {
        t->shallow = flag(v, S("shallow"));
        t->nondeterministic = flag(v, S("nondeterministic"));
        t->no_namespace = flag(v, S("no_namespace"));
    } else if (key.len && key.ptr[0] != '#')
        test_fail(__FILE__, __LINE__, "unknown line: %.*s", STR(line));
}

TEST(what_is_left_is_as_the_table_says) {
    static char text[1 << 20];
    FILE *f = fopen("tests/conformance/policy/partial.txt", "rb");
    EXPECT(f != NULL);
    if (!f) return;
    size_t n = fread(text, 1, sizeof text - 8, f);
    fclose(f);
    const char *only = getenv("CASE");
    struct partial_case t = {0};
    u32 count = 0;
    memcpy(text + n, "\n## ", 4);
    for (str rest = {text, n + 4}, line; str_split(&rest, '\n', &line);) {
        bool begins = str_starts(line, S("## "));
        if (!begins) read_line(&t, line);
        if (!begins) continue;
        if (t.note.len && (!only || str_find(t.note, str_from_c(only)) < t.note.len))
            run_case(&t), count++;
        t = (struct partial_case){.note = str_skip(line, 3)};
        block = NULL;
    }
    EXPECT(count > 100 || only);
}
