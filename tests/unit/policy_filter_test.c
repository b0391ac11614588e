/* SPDX-License-Identifier: Apache-2.0 */
/* From rules to conditions of databases: what is said in each dialect, what cannot be said and in
 * which words, what METADATA says; any tree as UCAST; and with little memory nothing but less. */
#include "app/policy/filter/sql.c"
#include "tests/test.h"
#include <stdio.h>

struct filtering {
    struct heap heap;
    struct policy_errors errors;
    struct policy_program *program;
    struct partial_answer left;
    value mappings;
};

static value json(struct heap *h, const char *text) {
    struct diag why;
    value v = UNDEFINED;
    if (text) EXPECT_OK(json_text_read(h, NULL, str_from_c(text), &v, &why));
    return v;
}

/* What is left of data.f.include with input.t unknown. */
static void begin(struct filtering *f, const char *policy, const char *input) {
    const str unknown = S("input.t");
    struct policy_source source = {S("f.rego"), str_from_c(policy)};
    struct policy_load_options load = {.parse.annotations = true};
    struct partial_options o = {.unknowns = &unknown, .unknown_count = 1};
    struct policy_ask ask = {.now_ns = 5, .seed = 1};
    *f = (struct filtering){.mappings = UNDEFINED};
    heap_open(&f->heap, MIB(64));
    policy_errors_open(&f->errors, &f->heap, 10);
    ask.input = json(&f->heap, input ? input : "{}");
    EXPECT_OK(policy_load(&source, 1, &load, &f->program, &f->errors));
    EXPECT_OK(partial_evaluate(&f->heap, f->program, S("data.f.include"), &ask, &o, &f->left,
                               &f->errors));
}

static void end(struct filtering *f) {
    policy_drop(f->program);
    heap_close(&f->heap);
}

static bool same_text(const struct buf *b, const char *want) {
    if (str_eq(buf_str(b), str_from_c(want))) return true;
    test_fail(__FILE__, __LINE__, "%.*s instead of %s", STR(buf_str(b)), want);
    return false;
}

static void expect_ucast(const char *rules, const char *input, const char *want) {
    struct filtering f;
    struct policy_filter_target target;
    char policy[2048];
    struct buf b;
    snprintf(policy, sizeof policy, "package f\n\n%s\n", rules);
    begin(&f, policy, input);
    EXPECT(policy_filter_target_of(S("ucast"), S("all"), &target));
    policy_filter_check(&f.left, &target, 1, UNDEFINED, &f.errors);
    EXPECT_EQ(f.errors.count, 0);
    buf_open(&b, MIB(1));
    json_text_write(&b, policy_filter_ucast(&f.heap, &f.left, UNDEFINED), 0);
    EXPECT(same_text(&b, want));
    buf_close(&b);
    end(&f);
}

#define FIELD(name, op, v) \
    "{\"field\":\"" name "\",\"operator\":\"" op "\",\"type\":\"field\",\"value\":" v "}"
#define COMPOUND(op, list) \
    "{\"operator\":\"" op "\",\"type\":\"compound\",\"value\":[" list "]}"

TEST(conditions_are_trees) {
    expect_ucast("include if input.t.a == 1", NULL, FIELD("t.a", "eq", "1"));
    expect_ucast("include if input.t.a != input.x", "{\"x\":\"y\"}", FIELD("t.a", "ne", "\"y\""));
    expect_ucast("include if { input.t.a < 1; input.t.b >= 2 }", NULL,
                 COMPOUND("and", FIELD("t.a", "lt", "1") "," FIELD("t.b", "gte", "2")));
    expect_ucast("include if input.t.a <= 1\ninclude if input.t.b > 2", NULL,
                 COMPOUND("or", FIELD("t.a", "lte", "1") "," FIELD("t.b", "gt", "2")));
    expect_ucast("include if not input.t.a == null", NULL,
                 COMPOUND("not", FIELD("t.a", "eq", "null")));
    expect_ucast("include if input.t.a in {3, 1}", NULL, FIELD("t.a", "in", "[1,3]"));
    expect_ucast("include if input.t.a == input.t.b", NULL,
                 FIELD("t.a", "eq", "{\"field\":\"t.b\"}"));
    expect_ucast("include if true", NULL, "{}");
    expect_ucast("include if { endswith(input.t.a, \"x\"); contains(input.t.a, \"y\") }", NULL,
                 COMPOUND("and", FIELD("t.a", "endswith", "\"x\"") ","
                                 FIELD("t.a", "contains", "\"y\"")));
}

static void expect_sql(const char *dialect, value ucast, const char *want) {
    struct diag why = {0};
    struct buf b;
    buf_open(&b, MIB(1));
    EXPECT_OK(policy_filter_sql(ucast, dialect, &b, &why));
    EXPECT(same_text(&b, want));
    buf_close(&b);
}

static void refuse_sql(struct heap *h, const char *ucast, const char *words) {
    struct diag why = {0};
    struct buf b;
    buf_open(&b, MIB(1));
    EXPECT_RC(policy_filter_sql(json(h, ucast), "mysql", &b, &why), RC_INVALID);
    EXPECT(str_find(str_from_c(why.text), str_from_c(words)) < strlen(why.text));
    buf_close(&b);
}

TEST(trees_are_clauses) {
    struct heap h;
    heap_open(&h, MIB(16));
    const char *quotes = FIELD("t.a", "eq", "\"it's \\\"so\\\"\\\\\\n\\u0000\\b\\r\\t\\u001a\"");
    expect_sql("postgresql", json(&h, quotes),
               "WHERE t.a = E'it\\'s \\\"so\\\"\\\\\\n\\0\\b\\r\\t\\Z'");
    expect_sql("mysql", json(&h, quotes), "WHERE t.a = 'it\\'s \\\"so\\\"\\\\\\n\\0\\b\\r\\t\\Z'");
    expect_sql("sqlite", json(&h, FIELD("t.a", "ne", "\"it's\\u0000\"")),
               "WHERE t.a <> 'it''s'||char(0)||''");
    expect_sql("sqlserver", json(&h, FIELD("t.a", "lt", "\"it's\"")), "WHERE t.a < N'it''s'");
    expect_sql("mysql", json(&h, FIELD("t.a", "lte", "1.50")), "WHERE t.a <= '1.50'");
    expect_sql("mysql", json(&h, FIELD("t.a", "gte", "true")), "WHERE t.a >= TRUE");
    expect_sql("mysql", json(&h, FIELD("t.a", "gt", "{\"field\":\"u.b\"}")), "WHERE t.a > u.b");
    expect_sql("mysql", json(&h, FIELD("t.a", "eq", "null")), "WHERE t.a IS NULL");
    expect_sql("mysql", json(&h, FIELD("t.a", "ne", "null")), "WHERE t.a IS NOT NULL");
    expect_sql("mysql", json(&h, FIELD("t.a", "in", "[]")), "WHERE 0 = 1");
    expect_sql("mysql", json(&h, FIELD("t.a", "in", "[1,\"b\",null]")),
               "WHERE t.a IN ('1', 'b', NULL)");
    expect_sql("sqlite", json(&h, FIELD("t.a", "startswith", "\"5%_\\\\\"")),
               "WHERE t.a LIKE '5\\%\\_\\\\%'");
    expect_sql("sqlite", json(&h, FIELD("t.a", "endswith", "\"x\"")), "WHERE t.a LIKE '%x'");
    expect_sql("sqlite", json(&h, FIELD("t.a", "contains", "\"x\"")), "WHERE t.a LIKE '%x%'");
    expect_sql("mysql",
               json(&h, COMPOUND("or", COMPOUND("not", FIELD("a", "eq", "false")) ","
                                       COMPOUND("and", FIELD("b", "eq", "1") ","
                                                       FIELD("c", "eq", "2")))),
               "WHERE (NOT a = FALSE OR (b = '1' AND c = '2'))");
    expect_sql("mysql", json(&h, "{}"), "");
    expect_sql("mysql", UNDEFINED, "");
    refuse_sql(&h, FIELD("t.a", "lt", "null"), "null value can only be used with");
    refuse_sql(&h, FIELD("t.a", "in", "1"), "requires collection argument");
    refuse_sql(&h, FIELD("t.a", "contains", "1"), "requires string argument");
    refuse_sql(&h, FIELD("t.a", "eq", "[1]"), "unsupported arguments");
    refuse_sql(&h, FIELD("t.a", "eq", "{\"a\":1}"), "only scalars");
    refuse_sql(&h, "{\"a\":1}", "unrecognized operator");
    refuse_sql(&h, COMPOUND("and", FIELD("a", "lt", "null") "," "{\"x\":1}"), "null value");
    heap_close(&h);
}

/* A tree deeper than any policy makes ends with an error, not with the stack. */
TEST(depth_is_bounded) {
    struct diag why = {0};
    struct heap h;
    struct buf b;
    heap_open(&h, MIB(16));
    value v = json(&h, FIELD("a", "eq", "1"));
    for (u32 i = 0; i < 40; i++) {
        value keys[] = {value_string_c(&h, "operator"), value_string_c(&h, "type"),
                        value_string_c(&h, "value")};
        value values[] = {value_string_c(&h, "not"), value_string_c(&h, "compound"),
                          value_array(&h, &v, 1)};
        v = value_object(&h, keys, values, 3);
    }
    buf_open(&b, MIB(1));
    EXPECT_RC(policy_filter_sql(v, "sqlite", &b, &why), RC_INVALID);
    buf_close(&b);
    buf_open(&b, 8); /* no room for the clause */
    EXPECT_RC(policy_filter_sql(json(&h, FIELD("a", "eq", "1")), "sqlite", &b, &why), RC_LIMIT);
    buf_close(&b);
    heap_close(&h);
}

static void refuse(const char *kind, const char *variant, const char *rules, const char *words,
                   const char *details) {
    struct filtering f;
    struct policy_filter_target target;
    char policy[2048];
    snprintf(policy, sizeof policy, "package f\n\n%s\n", rules);
    begin(&f, policy, "{\"x\":\"y\"}");
    EXPECT(policy_filter_target_of(str_from_c(kind), str_from_c(variant), &target));
    policy_filter_check(&f.left, &target, 1, UNDEFINED, &f.errors);
    EXPECT_EQ(f.errors.count, 1);
    if (f.errors.count) {
        const struct policy_error *e = f.errors.items;
        EXPECT_EQ(e->code, FILTER_FRAGMENT_ERROR);
        if (!str_eq(e->message, str_from_c(words)))
            test_fail(__FILE__, __LINE__, "%.*s instead of %s", STR(e->message), words);
        value told = value_get_str(e->detail, S("details"));
        EXPECT_EQ(value_defined(told), details != NULL);
        if (details && told.kind == VALUE_STRING) EXPECT_STR(value_str(told), str_from_c(details));
    }
    end(&f);
}

TEST(what_cannot_be_said_is_told) {
    refuse("ucast", "linq", "include if not input.t.a == 1",
           "\"not\" not permitted: unsupported feature \"not\" for UCAST (LINQ)", NULL);
    refuse("ucast", "minimal", "include if input.t.a in {1}",
           "invalid builtin `in`: unsupported for UCAST", NULL);
    refuse("ucast", "whatever", "include if startswith(input.t.a, \"x\")",
           "invalid builtin `startswith`: unsupported for UCAST", NULL);
    refuse("sql", "sqlite", "include if endswith(input.t.a, \"x\")",
           "invalid builtin `endswith`: unsupported for SQL (sqlite)", NULL);
    refuse("ucast", "prisma", "include if input.t.a == input.t.b",
           "reference to field: unsupported feature \"field-ref\" for UCAST (prisma)", NULL);
    refuse("ucast", "all", "include if upper(input.t.a) == \"X\"", "invalid builtin `upper`", NULL);
    refuse("ucast", "all", "include if \"k\", input.t.a in {\"k\": 1}",
           "invalid use of \"... in ...\"", NULL);
    refuse("ucast", "all", "include if contains(\"xy\", input.t.a)",
        "rhs of contains must be known",
           NULL);
    refuse("ucast", "all", "include if input.t.a == {\"k\": {1}}",
           "both rhs and lhs non-scalar/non-ground", NULL);
    refuse("ucast", "all", "include if input.t.a", "invalid statement \"input.t.a\"",
           "try `input.t.a != false`");
    refuse("ucast", "all", "include if every x in input.t.a { x != 1 }", "\"every\" not permitted",
           NULL);
    refuse("ucast", "all", "include if o\ndefault o := 1\no if input.t.a > 2",
           "use of default rule in data.f.o", NULL);
    refuse("ucast", "all",
        "include if o\no contains 1 if input.t.a > 1\no contains 2 if input.t.a > 2",
           "use of multi-value rule in data.f.o", NULL);
    refuse("ucast", "all", "include if o\no if input.t.a > 1\nelse := input.t.b",
           "invalid data reference \"data.f.o\"", "has rule \"data.f.o\" an `else`?");
    refuse("ucast", "all", "include if g(input.t)\ng(t) if t.a > 1\nelse := true",
           "invalid data reference \"data.f.g(input.t)\"",
           "has function \"data.f.g(...)\" an `else`?");
    refuse("ucast", "all", "include if not o\no if input.t.a > 1", "\"not\" not permitted", NULL);
}

TEST(targets_and_names) {
    struct policy_filter_target t;
    struct filtering f;
    struct diag why = {0};
    value out;
    EXPECT(!policy_filter_target_of(S("mongo"), S("all"), &t));
    EXPECT(!policy_filter_target_of(S("sql"), S("oracle"), &t));
    EXPECT(policy_filter_target_of(S("sql"), S("sqlserver"), &t));
    EXPECT_EQ(t.kind, FILTER_SQL);
    begin(&f, "package f\n\ninclude if input.t.a == 1\n", NULL);
    value all = json(&f.heap, "{\"sql\":{\"t\":{\"$self\":\"T\",\"a\":\"A\"}},"
                              "\"mysql\":{\"t\":{\"a\":\"spalte\"}},\"ucast\":{\"a\":{\"$table\":"
                              "\"x\"}}}");
    static const struct { const char *kind, *variant, *want; } rows[] = {
        {"sql", "sqlite", "WHERE T.A = '1'"}, {"sql", "mysql", "WHERE t.spalte = '1'"}};
    for (u32 i = 0; i < ARRAY_LEN(rows); i++) {
        EXPECT(policy_filter_target_of(str_from_c(rows[i].kind), str_from_c(rows[i].variant), &t));
        EXPECT_OK(policy_filter_mappings(all, &t, &out, &why));
        expect_sql(t.variant, policy_filter_ucast(&f.heap, &f.left, out), rows[i].want);
    }
    EXPECT(policy_filter_target_of(S("sql"), S("mysql"), &t));
    EXPECT_RC(policy_filter_mappings(json(&f.heap, "{\"mysql\":1}"), &t, &out, &why), RC_INVALID);
    EXPECT_RC(policy_filter_mappings(json(&f.heap, "{\"sql\":[]}"), &t, &out, &why), RC_INVALID);
    EXPECT_OK(policy_filter_mappings(UNDEFINED, &t, &out, &why));
    EXPECT(!value_defined(out));
    end(&f);
}

TEST(metadata_says_what_is_unknown) {
    static const char policy[] = "# METADATA\n# scope: subpackages\n# compile:\n#  unknowns:\n#  "
        " - input.s\n"
                                 "#  mask_rule: data.f.other\n"
                                 "package f\n\n# METADATA\n# scope: document\n# compile:\n#  "
                                 "unknowns:\n"
                                 "#   - input.t\n#   - inpt.u\n#  mask_rule: hidden\ninclude if "
                                 "input.t.a == 1\n";
    struct policy_filter_said said;
    struct filtering f;
    begin(&f, policy, NULL);
    value path[] = {value_string_c(&f.heap, "f"), value_string_c(&f.heap, "include")};
    policy_filter_said_of(&f.heap, policy_compiled(f.program), path, 2, &said, &f.errors);
    EXPECT_EQ(said.unknown_count, 2);
    EXPECT_STR(said.unknowns[0], S("input.t"));
    EXPECT_STR(said.unknowns[1], S("input.s"));
    EXPECT_STR(said.mask_rule, S("data.f.hidden"));
    EXPECT_EQ(f.errors.count, 1);
    EXPECT_STR(f.errors.items[0].message,
        S("unknowns must be prefixed with `input` or `data`: inpt.u"));
    path[1] = value_string_c(&f.heap, "none");
    policy_filter_said_of(&f.heap, policy_compiled(f.program), path, 2, &said, &f.errors);
    EXPECT_EQ(said.unknown_count + said.mask_rule.len, 0);
    end(&f);
}

/* A heap that ends anywhere: less of the tree, or none, and no clause with a hole in it. */
TEST(little_memory) {
    struct filtering f;
    begin(&f, "package f\n\ninclude if { input.t.a in {1, 2}; input.t.b == 3 }\ninclude if "
        "input.t.c == 4\n",
          NULL);
    for (size_t bytes = 0; bytes < 4096; bytes += 64) {
        struct diag why;
        struct heap h;
        struct buf b;
        heap_open(&h, bytes);
        buf_open(&b, MIB(1));
        value v = policy_filter_ucast(&h, &f.left, UNDEFINED);
        if (!h.exhausted) EXPECT_OK(policy_filter_sql(v, "sqlite", &b, &why));
        buf_close(&b);
        heap_close(&h);
    }
    end(&f);
}
