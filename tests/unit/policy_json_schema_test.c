/* SPDX-License-Identifier: Apache-2.0 */
/* JSON schemas: what is one, what fits one, and the words for what does not. */
#include "app/policy/builtin/json_schema.c"
#include "tests/unit/policy_builtin.h"

static void match_is(const char *document, const char *schema, const char *want) {
    static char args[8192];
    snprintf(args, sizeof args, "[%s,%s]", document, schema);
    const char *got = test_answer("json.match_schema", args, MIB(8));
    if (strncmp(got, want, strlen(want)) || (want[strlen(want) - 1] == ']' && strcmp(got, want)))
        test_fail(__FILE__, __LINE__, "%s: %s, not %s", args, got, want);
}
#define FITS "[true, []]"
/* One error, as the reference tells it. */
static void refuses(const char *document, const char *schema, const char *type, const char *field,
                    const char *desc) {
    static char want[2048];
    snprintf(
        want, sizeof want,
        "[false, [{\"desc\": \"%s\", \"error\": \"%s: %s\", \"field\": \"%s\", \"type\": \"%s\"}]]",
        desc, field, desc, field, type);
    match_is(document, schema, want);
}

TEST(documents_fit) {
    match_is("{\"id\":5}", "{\"properties\":{\"id\":{\"type\":\"integer\"}},\"required\":[\"id\"]}",
             FITS);
    match_is("\"{\\\"id\\\": 5}\"", "\"{\\\"required\\\": [\\\"id\\\"]}\"", FITS);
    match_is("[1.0, 2]", "{\"items\":{\"type\":\"integer\"}}", FITS);
    match_is("[1, \"a\"]",
             "{\"items\":[{\"type\":\"number\"},{\"type\":\"string\"}],\"additionalItems\":false}",
             FITS);
    match_is("{\"a\":{\"a\":{}}}",
             "{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"additionalProperties\":false}", FITS);
    match_is(
        "{\"x-a\":1}",
        "{\"patternProperties\":{\"^x-\":{\"type\":\"number\"}},\"additionalProperties\":false}",
        FITS);
    match_is("{\"n\":0.3}", "{\"properties\":{\"n\":{\"multipleOf\":0.1}}}", FITS);
    match_is("[{\"a\":1},{\"a\":2}]", "{\"uniqueItems\":true,\"contains\":{\"required\":[\"a\"]}}",
             FITS);
}

TEST(documents_do_not_fit) {
    refuses("{\"id\":\"x\"}", "{\"properties\":{\"id\":{\"type\":\"integer\"}}}", "invalid_type",
            "id", "Invalid type. Expected: integer, given: string");
    refuses("{}", "{\"required\":[\"id\"]}", "required", "(root)", "id is required");
    refuses("{\"a\":1}", "{\"additionalProperties\":false}", "additional_property_not_allowed",
            "(root)", "Additional property a is not allowed");
    refuses("[5]", "{\"items\":{\"minimum\":6}}", "number_gte", "0",
            "Must be greater than or equal to 6");
    refuses("[5]", "{\"items\":{\"exclusiveMaximum\":5}}", "number_lt", "0", "Must be less than 5");
    refuses("{\"s\":\"abc\"}", "{\"properties\":{\"s\":{\"maxLength\":2}}}", "string_lte", "s",
            "String length must be less than or equal to 2");
    refuses("{\"s\":\"abc\"}", "{\"properties\":{\"s\":{\"pattern\":\"^b\"}}}", "pattern", "s",
            "Does not match pattern '^b'");
    refuses("{\"s\":\"c\"}", "{\"properties\":{\"s\":{\"enum\":[\"a\",\"b\"]}}}", "enum", "s",
            "s must be one of the following: \\\"a\\\", \\\"b\\\"");
    refuses("{\"s\":\"c\"}", "{\"properties\":{\"s\":{\"format\":\"date\"}}}", "format", "s",
            "Does not match format 'date'");
    refuses("[1,1]", "{\"uniqueItems\":true}", "unique", "(root)",
            "array items[0,1] must be unique");
    refuses("{\"a\":1}", "{\"dependencies\":{\"a\":[\"b\"]}}", "missing_dependency", "(root)",
            "Has a dependency on b");
    refuses("{\"a\":1}", "{\"not\":{\"required\":[\"a\"]}}", "number_not", "(root)",
            "Must not validate the schema (not)");
    match_is("{\"a\":1}", "{\"anyOf\":[{\"required\":[\"b\"]}]}",
             "[false, [{\"desc\": \"Must validate at least one schema (anyOf)\"");
}

TEST(schemas_are_checked) {
    EXPECT_CALL("json.verify_schema", "[{\"type\":\"object\"}]", "[true, null]");
    EXPECT_CALL(
        "json.verify_schema", "[{\"type\":1}]",
        "[false, \"jsonschema: Invalid type. Expected: type, given: string/array of strings\"]");
    EXPECT_CALL("json.verify_schema", "[{\"minimum\":\"x\"}]",
                "[false, \"jsonschema: minimum must be of a number\"]");
    EXPECT_CALL("json.verify_schema", "[{\"required\":[\"a\",\"a\"]}]",
                "[false, \"jsonschema: required items must be unique\"]");
}

TEST(schemas_that_refer_to_themselves_end) {
    const char *got = test_answer("json.match_schema", "[{},{\"$ref\":\"#\"}]", MIB(4));
    EXPECT(got[0] == '[' || !strncmp(got, "error", 5));
    got = test_answer("json.match_schema",
                      "[{},{\"definitions\":{\"a\":{\"$ref\":\"#/definitions/"
                      "a\"}},\"allOf\":[{\"$ref\":\"#/definitions/a\"}]}]",
                      MIB(4));
    EXPECT(got[0] == '[' || !strncmp(got, "error", 5));
    match_is("{}", "{\"$ref\":\"http://example.com/x\"}", "error");
}

static void format_is(const char *format, const char *text, bool fits) {
    static char document[256], schema[128];
    snprintf(document, sizeof document, "{\"v\":\"%s\"}", text); /* a text alone is read as JSON */
    snprintf(schema, sizeof schema, "{\"properties\":{\"v\":{\"format\":\"%s\"}}}", format);
    match_is(document, schema, fits ? FITS : "[false, [");
}

TEST(formats) {
    static const struct { const char *format, *text; bool fits; } rows[] = {
        {"date", "2024-02-29", true}, {"date", "2023-02-29", false}, {"date", "1900-02-29", false},
        {"date", "2000-02-29", true}, {"date", "2024-13-01", false}, {"date", "2024-1-01", false},
        {"time", "23:59:59", true}, {"time", "23:59:59.5Z", true}, {"time", "24:00:00", false},
        {"time", "10:00:00+02:00", true}, {"time", "10:00:00x", false}, {"time", "10:00", false},
        {"date-time", "2024-01-02T03:04:05Z", true}, {"date-time", "2024-01-02", true},
        {"date-time", "03:04:05", true}, {"date-time", "2024-01-02 03:04:05Z", false},
        {"date-time", "2024-01-02T03:04:05-07:00", true}, {"date-time", "soon", false},
        {"hostname", "a-b.example", true}, {"hostname", "-a.example", false},
        {"hostname", "a-.example", false}, {"hostname", "a..b", false}, {"hostname", "", false},
        {"ipv4", "10.0.0.255", true}, {"ipv4", "10.0.0.256", false}, {"ipv4", "10.0.0", false},
        {"ipv4", "10.0.0.01", false}, {"ipv4", "10.0.0.1.", false}, {"ipv4", "a.b.c.d", false},
        {"ipv6", "::1", true}, {"ipv6", "2001:db8::1:2", true}, {"ipv6", "1:2:3:4:5:6:7:8", true},
        {"ipv6", "1:2:3:4:5:6:7", false}, {"ipv6", "::1::", false}, {"ipv6", "12345::", false},
        {"ipv6", "::ffff:1.2.3.4", true}, {"ipv6", "1:2:3:4:5:6:1.2.3.4", true},
        {"ipv6", "1.2.3.4", false}, {"ipv6", "1:", false}, {"ipv6", "1:2-3", false},
        {"uuid", "123e4567-e89b-12d3-a456-426614174000", true}, {"uuid", "123e4567", false},
        {"email", "a.b@c.example", true}, {"email", "@c", false}, {"email", "a@", false},
        {"email", "a b@c", false}, {"email", "a.@c", false}, {"email", "a@b@c", false},
        {"uri", "https://x/y?z", true}, {"uri", "/only/path", false}, {"uri", "1a:b", false},
        {"uri", "a_b:c", false}, {"iri", "x:y", true}, {"uri-reference", "/a", true},
        {"uri-reference", "a\\b", false}, {"iri-reference", "", true},
        {"regex", "^a+$", true}, {"regex", "(", false},
        {"json-pointer", "/a~1b/~0", true}, {"json-pointer", "a", false},
        {"json-pointer", "/a~2", false}, {"json-pointer", "/a~", false}, {"json-pointer", "", true},
        {"what-nobody-knows", "x", true},
    };
    for (u32 i = 0; i < ARRAY_LEN(rows); i++)
        format_is(rows[i].format, rows[i].text, rows[i].fits);
}
