/* SPDX-License-Identifier: Apache-2.0 */
/* GraphQL: what parses, what a schema must be like, and each rule of validation by a query that
 * breaks it. */
#include "app/policy/graphql/lex.c"
#include "app/policy/graphql/tree.c"
#include "tests/unit/policy_builtin.h"

#define SCHEMA                                                                                     \
    "interface Pet { name: String! } "                                                             \
    "type Dog implements Pet { name: String! barks: Boolean owner: Human } "                       \
    "type Cat implements Pet { name: String! meows(loud: Boolean = false, times: Int!): Boolean "  \
    "} "                                                                                           \
    "union Animal = Dog | Cat enum Color { RED GREEN } "                                           \
    "input Box { id: ID! size: Int color: Color deep: Box } "                                      \
    "type Human { name: String age: Int pets: [Pet!] } "                                           \
    "directive @tag(name: String!) repeatable on FIELD "                                           \
    "type Query { dog: Dog cat: Cat pet: Pet any: Animal human(id: ID!): Human box(in: Box, c: "   \
    "Color, l: [Int]): Int } "                                                                     \
    "type Subscription { one: Int two: Int }"

/* The query's error, or "ok". */
static void query_is(const char *query, const char *want) {
    static char args[8192];
    snprintf(args, sizeof args, "[\"%s\",\"%s\"]", query, SCHEMA);
    const char *got = test_answer("graphql.parse", args, MIB(8));
    if (got[0] == '[') got = "ok";
    if (strcmp(got, want)) test_fail(__FILE__, __LINE__, "%s: %s, not %s", query, got, want);
}
#define AT(line_column) " in GraphQL string at location " line_column

TEST(good_queries_are_taken) {
    query_is("{ dog { name barks } }", "ok");
    query_is("query Q($id: ID!) { human(id: $id) { name pets { name ... on Dog { barks } } } }",
             "ok");
    query_is("{ pet { ...F } } fragment F on Pet { name }", "ok");
    query_is("{ any { ... on Cat { meows(times: 3) } __typename } }", "ok");
    query_is("{ box(in: {id: 1, color: RED, deep: {id: \\\"x\\\"}}, l: [1, 2]) }", "ok");
    query_is("query ($s: Int = 3) { box(in: {id: 1, size: $s}) }", "ok");
    query_is("{ __schema { types { name } } __type(name: \\\"Dog\\\") { name } }", "ok");
    query_is("{ dog @include(if: true) { name @tag(name: \\\"a\\\") @tag(name: \\\"b\\\") } }",
             "ok");
    query_is("subscription { one }", "ok");
}

TEST(each_rule_refuses) {
    query_is("{ dog { nam } }",
             "error: Cannot query field \"nam\" on type \"Dog\". Did you mean \"name\"?" AT("1:9"));
    query_is("{ pet { barks } }",
             "error: Cannot query field \"barks\" on type \"Pet\". Did you mean to use an inline "
             "fragment on \"Dog\"?" AT("1:9"));
    query_is("{ ... on Color { x } }", "error: Cannot query field \"x\" on type "
                                       "\"Color\".\ninput:1:7: Fragment cannot condition on non "
                                       "composite type \"Color\"" AT("1:18"));
    query_is("{ cat { meows(times: 1, loudd: true) } }",
             "error: Unknown argument \"loudd\" on field \"Cat.meows\". Did you mean \"loud\"?" AT(
                 "1:9"));
    query_is("{ dog @nope { name } }", "error: Unknown directive \"@nope\"" AT("1:8"));
    query_is("query @include(if: true) { dog { name } }",
             "error: Directive \"@include\" may not be used on QUERY" AT("1:8"));
    query_is("{ dog { ...F } }", "error: Unknown fragment \"F\"" AT("1:12"));
    query_is("mutation { x }",
             "error: Schema does not support operation type \"mutation\"" AT("1:1"));
    query_is("query ($x: Nope) { box(c: $x) }", "error: Variable \"$x\" of type \"Nope\" used in "
                                                "position expecting type \"Color\".\ninput:1:1: "
                                                "Unknown type \"Nope\"" AT("1:27"));
    query_is("{ dog { name } } query Q { dog { name } }",
             "error: This anonymous operation must be the only defined operation" AT("1:1"));
    query_is("{ dog { ...A } } fragment A on Dog { ...B } fragment B on Dog { ...A }",
             "error: Cannot spread fragment \"A\" within itself via B" AT("1:68"));
    query_is("{ box(c: $x) }", "error: Variable \"$x\" is not defined" AT("1:10"));
    query_is("{ dog { name } } fragment F on Dog { name }",
             "error: Fragment \"F\" is never used" AT("1:18"));
    query_is("query Q($x: Int) { dog { name } }",
             "error: Variable \"$x\" is never used in operation \"Q\"" AT("1:9"));
    query_is("{ dog { name name: barks } }",
             "error: Fields \"name\" conflict because \"name\" and \"barks\" are different "
             "fields. Use different aliases on the fields to fetch both if this was "
             "intentional" AT("1:14"));
    query_is("{ dog { ... on Cat { name } } }",
             "error: Fragment cannot be spread here as objects of type \"Dog\" can never "
             "be of type \"Cat\"" AT("1:13"));
    query_is(
        "{ cat { meows } }",
        "error: Field \"meows\" argument \"times\" of type \"Int!\" is required, but it was not "
        "provided" AT("1:9"));
    query_is("{ dog { name { x } } }",
             "error: Cannot query field \"x\" on type \"String\".\ninput:1:9: Field \"name\" must "
             "not have a selection since type \"String\" has no subfields" AT("1:16"));
    query_is(
        "{ dog }",
        "error: Field \"dog\" of type \"Dog\" must have a selection of subfields. Did you mean "
        "\"dog { ... }\"?" AT("1:3"));
    query_is("subscription { one two }",
             "error: Anonymous Subscription must select only one top level field" AT("1:20"));
    query_is("{ human(id: 1, id: 2) { name } }",
             "error: There can be only one argument named \"id\"" AT("1:16"));
    query_is("{ dog @skip(if: true) @skip(if: true) { name } }",
             "error: The directive \"@skip\" can only be used once at this location" AT("1:24"));
    query_is("{ box(in: {id: 1, id: 2}) }",
             "error: There can be only one input field named \"id\"" AT("1:21"));
    query_is("query A { dog { name } } query A { dog { name } }",
             "error: There can be only one operation named \"A\"" AT("1:26"));
    query_is("query ($x: Int, $x: Int) { box(in: {id: 1, size: $x}) }",
             "error: Variable \"$x\" is never used.\ninput:1:17: There can be only one variable "
             "named \"$x\"" AT("1:17"));
    query_is("{ box(c: BLUE) }",
             "error: Value \"BLUE\" does not exist in \"Color\" enum" AT("1:10"));
    query_is("{ box(c: \\\"RED\\\") }", "error: Enum \"Color\" cannot represent non-enum value: "
                                        "\"RED\". Did you mean the enum value \"RED\"?" AT("1:11"));
    query_is("{ cat { meows(times: \\\"x\\\") } }",
             "error: Int cannot represent non-integer value: \"x\"" AT("1:23"));
    query_is("{ box(in: {size: 1}) }",
             "error: Field \"Box.id\" of required type \"ID!\" was not provided" AT("1:11"));
    query_is("{ human(id: null) { name } }",
             "error: Expected value of type \"ID!\", found null" AT("1:13"));
    query_is("query ($x: Dog) { box(c: $x) }",
             "error: Variable \"$x\" of type \"Dog\" used in position expecting type "
             "\"Color\".\ninput:1:8: Variable \"$x\" "
             "cannot be non-input type \"Dog\"" AT("1:26"));
    query_is(
        "query ($x: ID) { human(id: $x) { name } }",
        "error: Variable \"$x\" of type \"ID\" used in position expecting type \"ID!\"" AT("1:28"));
    query_is("{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }",
             "error: Maximum introspection depth exceeded" AT("1:3"));
}

static void schema_is(const char *schema, const char *want) {
    static char args[4096];
    snprintf(args, sizeof args, "[\"{ a }\",\"type Query { a: Int } %s\"]", schema);
    const char *got = test_answer("graphql.parse", args, MIB(8));
    const char *prefix = "error: Error in gqlparser SchemaDocument to Schema conversion: input:1:";
    if (!strncmp(got, prefix, strlen(prefix))) got = strstr(got + strlen(prefix), ": ") + 2;
    if (got[0] == '[') got = "ok";
    if (strcmp(got, want)) test_fail(__FILE__, __LINE__, "%s: %s, not %s", schema, got, want);
}

TEST(schemas_are_checked) {
    schema_is("extend type Query { b: Int }", "ok");
    schema_is("interface N { id: ID } interface M implements N { id: ID } type T implements M & N "
              "{ id: ID }",
              "ok");
    schema_is("scalar Date @specifiedBy(url: \\\"x\\\")", "ok");
    schema_is("type Query { b: Int }", "Cannot redeclare type Query.");
    schema_is("extend enum Query { A }",
              "Cannot extend type Query because the base type is a OBJECT, not ENUM.");
    schema_is("type T { a: Nope }", "Undefined type Nope.");
    schema_is(
        "type T { __a: Int }",
        "Name \"__a\" must not begin with \"__\", which is reserved by GraphQL introspection.");
    schema_is("type T { a: Int a: Int }", "Field T.a can only be defined once.");
    schema_is("type T { a(b: Query): Int }",
              "cannot use Query as argument b because OBJECT is not a valid input type");
    schema_is("type T @nope { a: Int }", "Undefined directive nope.");
    schema_is("type T @include(if: true) { a: Int }",
              "Directive include is not applicable on OBJECT.");
    schema_is("directive @d(a: Int @d) on FIELD", "Directive d cannot refer to itself.");
    schema_is("directive @d on FIELD directive @d on FIELD", "Cannot redeclare directive d.");
    schema_is("union U = Nope", "Undefined type \"Nope\".");
    schema_is("union U = Int", "UNION type \"Int\" must be OBJECT.");
    schema_is("enum E { true }", "ENUM E: non-enum value true.");
    schema_is("input I { q: Query }", "OBJECT q: field must be one of SCALAR, ENUM, INPUT_OBJECT.");
    schema_is("interface N { a: Int } type T implements N { b: Int }",
              "For T to implement N it must have a field called a.");
    schema_is("interface N { a: Int! } type T implements N { a: Int }",
              "For T to implement N the field a must have type Int!.");
    schema_is("interface N { a(x: Int): Int } type T implements N { a: Int }",
              "For T to implement N the field a must have the same arguments but it is missing x.");
    schema_is("interface N { a: Int } type T implements N { a(x: Int!): Int }",
              "For T to implement N any additional arguments on a must be optional or have a "
              "default value but x is required.");
    schema_is(
        "interface N { id: ID } interface M implements N { id: ID } type T implements M { id: ID }",
        "Type T must implement N because it is implemented by M.");
    schema_is("type T implements Query { a: Int }", "\"Query\" is a non interface type OBJECT.");
    schema_is("schema { query: Nope }",
              "Schema root query refers to a type Nope that does not exist.");
    schema_is("schema { query: Query } schema { query: Query }",
              "Cannot have multiple schema entry points, consider schema extensions instead.");
}

TEST(texts_are_refused_at_their_place) {
    static const struct {
        const char *query, *want;
    } cases[] = {
        {"{", "error: Expected Name, found <EOF>" AT("1:2")},
        {"{}", "error: expected at least one definition, found }" AT("1:2")},
        {"query", "error: Expected {, found <EOF>" AT("1:6")},
        {"nope", "error: Unexpected Name \"nope\"" AT("1:1")},
        {"{ a(b: ) }", "error: Unexpected )" AT("1:8")},
        {"{ a(b: 01) }", "error: Unexpected <Invalid>" AT("1:9")},
        {"{ a(b: \\\"x) }", "error: Unexpected <Invalid>" AT("1:13")},
        {"fragment on on X { a }", "error: Unexpected Name \"on\"" AT("1:10")},
        {"query ($x: Int = $y) { a }", "error: Unexpected $" AT("1:18")},
        {"{ a } ?", "error: Unexpected <Invalid>" AT("1:7")},
    };
    char args[256];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(args, sizeof args, "[\"%s\"]", cases[i].query);
        EXPECT_CALL("graphql.parse_query", args, cases[i].want);
    }
    EXPECT_CALL("graphql.parse_query", "[1]",
                "type error: operand 1 must be string but got number");
    EXPECT_CALL("graphql.schema_is_valid", "[1]", "false");
    EXPECT_CALL("graphql.schema_is_valid", "[{\"Definitions\":1}]", "false");
    EXPECT_CALL("graphql.is_valid",
                "[{\"Operations\":[{\"SelectionSet\":[{\"Alias\":\"a\",\"Name\":\"a\"}]}]},"
                "\"type Query { a: Int }\"]",
                "true");
}

TEST(strings_are_decoded) {
    EXPECT_CALL("graphql.parse_query", "[\"{ a(b: \\\"\\\\u0041\\\\n\\\") }\"]",
                "{\"Operations\": [{\"Name\": \"\", \"Operation\": \"query\", \"SelectionSet\": "
                "[{\"Alias\": \"a\", "
                "\"Arguments\": [{\"Name\": \"b\", \"Value\": {\"ExpectedTypeHasDefault\": false, "
                "\"Kind\": 3, \"Raw\": "
                "\"A\\n\"}}], \"Name\": \"a\"}]}]}");
    EXPECT_CALL("graphql.parse_schema",
                "[\"\\\"\\\"\\\"\\n  two\\n    lines\\n\\\"\\\"\\\" scalar X\"]",
                "{\"Definitions\": [{\"BuiltIn\": false, \"Description\": \"two\\n  lines\", "
                "\"Kind\": \"SCALAR\", \"Name\": "
                "\"X\"}]}");
}

TEST(depth_is_bounded) {
    static char args[8192];
    size_t n = (size_t)snprintf(args, sizeof args, "[\"");
    for (int i = 0; i < 2 * GRAPHQL_DEPTH_MAX; i++)
        n += (size_t)snprintf(args + n, sizeof args - n, "{a ");
    snprintf(args + n, sizeof args - n, "\"]");
    EXPECT(strstr(test_answer("graphql.parse_query", args, MIB(8)), "exceeded the depth") != NULL);
}

TEST(graphql_survives_small_heaps) {
    for (size_t bytes = 0; bytes < KIB(256); bytes += 4096) {
        const char *got =
            test_answer("graphql.is_valid", "[\"{ a }\",\"type Query { a: Int }\"]", bytes);
        EXPECT(!strcmp(got, "memory") || !strcmp(got, "true"));
    }
}

/* Fields that answer under one name must be one field. */
TEST(fields_that_cannot_be_merged) {
    static char args[8192];
    static const struct { const char *query, *words; } rows[] = {
        {"{ x: dog { name } x: cat { name } }", "are different fields"},
        {"{ human(id: 1) { name } human(id: 2) { name } }", "they have differing arguments"},
        {"{ human(id: 1) { name } human(id: 1) { name } }", NULL},
        {"{ human(id: 1) { name } human(id: \\\"1\\\") { name } }", "differing arguments"},
        {"{ dog { n: name } dog { n: barks } }", "are different fields"},
        {"{ pet { ... on Dog { v: name } ... on Cat { v: name } } }", NULL},
        {"{ pet { ... on Dog { v: barks } ... on Cat { v: name } } }",
         "they return conflicting types"},
        {"{ ...A ...B } fragment A on Query { x: dog { name } } fragment B on Query { x: cat { "
         "name } }", "are different fields"},
        {"{ ...A x: cat { name } } fragment A on Query { x: dog { name } }", "different fields"},
        {"{ dog { ...A } dog { ...B } } fragment A on Dog { n: name } fragment B on Dog { n: "
            "barks }",
         "are different fields"},
        {"{ any { ... on Dog { o: owner { a: name } } ... on Dog { o: owner { a: age } } } }",
         "are different fields"},
    };
    for (u32 i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(args, sizeof args, "[\"%s\",\"%s\"]", rows[i].query, SCHEMA);
        const char *got = test_answer("graphql.parse", args, MIB(8));
        if (rows[i].words ? !strstr(got, rows[i].words) : got[0] != '[')
            test_fail(__FILE__, __LINE__, "%s: %s", rows[i].query, got);
    }
}

/* What parse gives may be given back, whole; and a tree that is none is refused where it is not. */
TEST(trees_are_taken_as_values) {
    static char args[1 << 20], schema[1 << 19];
    static const char *const queries[] = {
        "{ dog { name barks } }",
        "query Q($id: ID! = \\\"1\\\", $l: [Int!]) @tag(name: \\\"a\\\") { human(id: $id) { pets { "
        "name ... on Dog { barks } ...F } } box(in: {id: 1, size: -2, color: RED}, l: $l) } "
        "fragment F on Pet { name }",
        "{ any { ... on Cat { meows(times: 3, loud: true) } __typename } }",
    };
    snprintf(args, sizeof args, "[\"%s\"]", SCHEMA);
    snprintf(schema, sizeof schema, "%s", test_answer("graphql.parse_schema", args, MIB(16)));
    EXPECT(schema[0] == '{');
    snprintf(args, sizeof args, "[%s]", schema);
    EXPECT(!strcmp(test_answer("graphql.schema_is_valid", args, MIB(16)), "true"));
    for (u32 i = 0; i < ARRAY_LEN(queries); i++) {
        static char query[1 << 18];
        snprintf(args, sizeof args, "[\"%s\"]", queries[i]);
        snprintf(query, sizeof query, "%s", test_answer("graphql.parse_query", args, MIB(16)));
        EXPECT(query[0] == '{');
        snprintf(args, sizeof args, "[%s,%s]", query, schema);
        const char *got = test_answer("graphql.is_valid", args, MIB(16));
        if (strcmp(got, "true") && i != 1) test_fail(__FILE__, __LINE__, "%s: %s", queries[i], got);
    }
    static const char *const wrong[] = {
        "{\"Operations\":7}", "{\"Operations\":[7]}", "{\"Operations\":[{\"Name\":7}]}",
        "{\"Operations\":[{\"SelectionSet\":[{\"Alias\":[]}]}]}",
        "{\"Fragments\":[{\"TypeCondition\":1}]}",
        "{\"Operations\":[{\"VariableDefinitions\":[{\"Type\":3}]}]}",
        "{\"Operations\":[{\"SelectionSet\":[{\"Alias\":\"a\",\"Name\":\"dog\",\"Arguments\":["
        "{\"Name\":\"x\",\"Value\":{\"Kind\":99,\"Raw\":\"1\"}}]}]}]}"};
    for (u32 i = 0; i < ARRAY_LEN(wrong); i++) {
        snprintf(args, sizeof args, "[%s,%s]", wrong[i], schema);
        EXPECT(!strcmp(test_answer("graphql.is_valid", args, MIB(16)), "false"));
        snprintf(args, sizeof args, "[\"{ dog { name } }\",%s]", wrong[i]);
        EXPECT(!strcmp(test_answer("graphql.is_valid", args, MIB(16)), "false"));
    }
}
