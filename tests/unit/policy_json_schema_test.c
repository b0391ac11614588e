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
