/* SPDX-License-Identifier: Apache-2.0 */
/* scim_filter_test.c — filters of SCIM as trees, and what is no filter; paths of PATCH. */
#include "app/scim/filter.c"
#include "tests/test.h"
#include <stdio.h>

static struct arena arena;
static struct diag why;
static char shown[2048];

static void show(const struct scim_filter *f) {
    static const char *const ops[] = {"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"};
    size_t n = strlen(shown);
    char *at = shown + n;
    size_t room = sizeof shown - n;
    if (f->kind == SCIM_TEST) {
        const char *text = cJSON_IsString(f->value)   ? f->value->valuestring
                           : cJSON_IsTrue(f->value)   ? "true"
                           : cJSON_IsNumber(f->value) ? "#"
                                                      : "-";
        snprintf(at, room, "%.*s %s%s%s", STR(f->path), ops[f->op], f->value ? " " : "",
                 f->value ? text : "");
        return;
    }
    snprintf(at, room, "%s(", f->kind == SCIM_AND   ? "and"
                              : f->kind == SCIM_OR  ? "or"
                              : f->kind == SCIM_NOT ? "not"
                                                    : "in");
    if (f->kind == SCIM_INSIDE)
        snprintf(shown + strlen(shown), 64, "%.*s, ", STR(f->path));
    show(f->left);
    if (f->right) {
        strncat(shown, ", ", 3);
        show(f->right);
    }
    strncat(shown, ")", 2);
}

static rc_t parse(const char *text, const struct scim_filter **out) {
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    why = (struct diag){0};
    return scim_filter_parse(&arena, str_from_c(text), out, &why);
}

TEST(filters_as_the_rfc_has_them) {
    static const struct {
        const char *text, *tree;
    } cases[] = {
        {"userName eq \"bjensen\"", "userName eq bjensen"},
        {"urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"", "userName sw J"},
        {"title pr", "title pr"},
        {"meta.lastModified gt \"2011-05-13T04:42:34Z\"",
         "meta.lastModified gt 2011-05-13T04:42:34Z"},
        {"title pr and userType eq \"Employee\"", "and(title pr, userType eq Employee)"},
        {"a pr and b pr or c pr", "or(and(a pr, b pr), c pr)"},
        {"a pr or b pr and c pr", "or(a pr, and(b pr, c pr))"},
        {"a pr and (b pr or c pr)", "and(a pr, or(b pr, c pr))"},
        {"userType ne \"E\" and not (emails co \"x\" or emails.value co \"y\")",
         "and(userType ne E, not(or(emails co x, emails.value co y)))"},
        {"emails[type eq \"work\" and value co \"@example.com\"]",
         "in(emails, and(type eq work, value co @example.com))"},
        {"NOT(active EQ true)", "not(active eq true)"},
        {"not eq \"an attribute\"", "not eq an attribute"},
        {"x eq 4.5e1", "x eq #"},
        {"x eq null", "x eq -"},
        {"  x   eq   \"a \\\"b\\\" \\u00e9\"  ", "x eq a \"b\" \xC3\xA9"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct scim_filter *f = NULL;
        rc_t rc = parse(cases[i].text, &f);
        shown[0] = 0;
        if (rc == RC_OK) show(f);
        if (rc || strcmp(shown, cases[i].tree) != 0)
            test_fail(__FILE__, __LINE__, "%s: %s, %s", cases[i].text, rc ? why.text : shown,
                      cases[i].tree);
    }
}

TEST(what_is_no_filter) {
    static const char *const texts[] = {
        "", " ", "userName", "userName eq", "userName is \"x\"", "userName eq x", "eq \"x\"",
        "userName eq \"x", "userName eq \"\\\"", "a pr b pr", "a pr and", "and a pr", "(a pr",
        "a pr)", "a[b pr", "a[b pr)", "[b pr]", "a eq {}", "a eq [1]", "a eq \"\xFF\"", "1a pr",
        "a. pr", "a pr or or b pr", "not a pr", "not (a pr", "a eqq \"x\"", "urn: pr",
        "a eq 01", "a eq tru", "a eq \"x\" \"y\"",
    };
    const struct scim_filter *f;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (parse(texts[i], &f) != RC_INVALID || !why.text[0])
            test_fail(__FILE__, __LINE__, "%s was taken", texts[i]);
}

TEST(filters_have_bounds) {
    const struct scim_filter *f;
    char text[SCIM_FILTER_MAX + 2];
    memset(text, '(', 20);
    strcpy(text + 20, "a pr");
    EXPECT_EQ(parse(text, &f), RC_LIMIT);
    text[0] = 0;
    for (u32 i = 0; i < SCIM_TESTS_MAX; i++) strcat(text, i ? " or a pr" : "a pr");
    EXPECT_OK(parse(text, &f));
    strcat(text, " or a pr");
    EXPECT_EQ(parse(text, &f), RC_LIMIT);
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    EXPECT_EQ(parse(text, &f), RC_LIMIT);
}

static rc_t path(const char *text, struct scim_path *out) {
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    return scim_path_parse(&arena, str_from_c(text), out, &why);
}

TEST(paths_of_a_change) {
    struct scim_path p;
    EXPECT_OK(path("members", &p));
    EXPECT_STR(p.attribute, S("members"));
    EXPECT(!p.sub.len && !p.where);
    EXPECT_OK(path("name.familyName", &p));
    EXPECT_STR(p.sub, S("familyName"));
    EXPECT_OK(path("members[value eq \"2819c223\"]", &p));
    REQUIRE(p.where);
    EXPECT_STR(p.where->path, S("value"));
    EXPECT_OK(path("emails[type eq \"work\"].value", &p));
    EXPECT_STR(p.attribute, S("emails"));
    EXPECT_STR(p.sub, S("value"));
    EXPECT_OK(path("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName", &p));
    EXPECT_STR(p.attribute, S("name"));
    static const char *const never[] = {"", ".", "a.", "a[", "a[]", "a[b pr].", "a b", "a.b[c pr]",
                                        "a[b pr]c", "[a pr]"};
    for (size_t i = 0; i < ARRAY_LEN(never); i++)
        if (path(never[i], &p) != RC_INVALID)
            test_fail(__FILE__, __LINE__, "%s was taken", never[i]);
}
