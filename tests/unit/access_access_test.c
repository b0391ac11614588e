/* SPDX-License-Identifier: Apache-2.0 */
/* access_access_test.c — the rules as a table of answers: who, what, whose, in which state. */
#include "app/access/access.c"
#include "tests/test.h"
#include <stdio.h>
#include "tests/unit/access_oracle.h"

static const struct actor guest = {0};
static const struct actor user = {.user_id = {"u1", 2}, .role = {"user", 4}};
static const struct actor other = {.user_id = {"u2", 2}, .role = {"user", 4}};
static const struct actor admin = {.user_id = {"a1", 2}, .role = {"admin", 5}};
static const struct actor odd = {.user_id = {"x1", 2}, .role = {"root", 4}};

static bool may(const struct actor *who, const char *permission, const char *owner,
                const char *state) {
    struct access_answer answer;
    struct access_question q = {who, str_from_c(permission), S("thing"), str_from_c(owner),
                                str_from_c(state)};
    access_decide(&q, &answer);
    EXPECT(answer.why != NULL && answer.why[0]);
    return answer.allowed;
}
static bool could(const struct actor *who, const char *permission) {
    struct access_answer answer;
    struct access_question q = {.who = who, .permission = str_from_c(permission)};
    access_decide(&q, &answer);
    return answer.allowed;
}

TEST(scopes_take_away_and_never_give) {
    struct actor key = admin, poor = user;
    key.kind = poor.kind = ACTOR_KEY;
    key.scopes = S("policies:document:read config:*");
    EXPECT(may(&key, "policies:document:read", "u1", "draft"));
    EXPECT(could(&key, "config:option:write"));
    EXPECT(!may(&key, "policies:document:update", "u1", "draft"));
    EXPECT(!could(&key, "auth:user:list"));
    key.scopes = S(""); /* a list without words: nothing */
    EXPECT(!could(&key, "policies:document:read"));
    key.scopes = S("*");
    EXPECT(could(&key, "auth:user:list"));
    poor.scopes = S("*"); /* everything that its user may, no more */
    EXPECT(!could(&poor, "auth:user:list"));
    EXPECT(could(&poor, "policies:document:create"));
}

TEST(documents_are_read_by_state_and_owner) {
    static const struct {
        const char *state;
        bool guest, other, author, admin;
    } v[] = {
        {"draft", false, false, true, true},      {"under_review", false, true, true, true},
        {"approved", false, true, true, true},    {"rejected", false, false, true, true},
        {"published", true, true, true, true},    {"archived", false, true, true, true},
        {"", false, false, true, true},           {"publishe", false, false, true, true},
        {"published ", false, false, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        EXPECT_EQ(may(&guest, "policies:document:read", "u1", v[i].state), v[i].guest);
        EXPECT_EQ(may(&other, "policies:document:read", "u1", v[i].state), v[i].other);
        EXPECT_EQ(may(&user, "policies:document:read", "u1", v[i].state), v[i].author);
        EXPECT_EQ(may(&admin, "policies:document:read", "u1", v[i].state), v[i].admin);
    }
}

TEST(documents_are_changed_by_author_or_admin_and_judged_by_admin) {
    static const char *const own[] = {"policies:document:update", "policies:document:delete",
                                      "policies:document:submit"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        EXPECT(!may(&guest, own[i], "u1", "draft"));
        EXPECT(!may(&other, own[i], "u1", "draft"));
        EXPECT(may(&user, own[i], "u1", "draft"));
        EXPECT(may(&admin, own[i], "u1", "draft"));
        EXPECT(!may(&user, own[i], "", "draft")); /* nobody's is not mine */
        EXPECT(!may(&guest, own[i], "", "draft"));
    }
    EXPECT(!may(&user, "policies:document:review", "u1", "under_review"));
    EXPECT(may(&admin, "policies:document:review", "u1", "under_review"));
    EXPECT(!may(&guest, "policies:document:create", "", ""));
    EXPECT(may(&user, "policies:document:create", "", ""));
}

TEST(accounts_and_audit_are_for_admins) {
    static const char *const admins[] = {"auth:user:list", "auth:user:delete", "audit:log:read",
                                         "config:option:write"};
    for (size_t i = 0; i < ARRAY_LEN(admins); i++) {
        EXPECT(!could(&guest, admins[i]));
        EXPECT(!could(&user, admins[i]));
        EXPECT(could(&admin, admins[i]));
    }
    EXPECT(could(&user, "auth:self:read"));
    EXPECT(!could(&guest, "auth:self:read"));
}

TEST(what_no_rule_names_is_denied_to_everyone) {
    static const char *const unknown[] = {"",
                                          "x",
                                          "policies",
                                          "policies:document",
                                          "policies:document:read2",
                                          "policies:document:rea",
                                          "audi",
                                          "*"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        EXPECT(!could(&guest, unknown[i]));
        EXPECT(!could(&user, unknown[i]));
        EXPECT(!could(&admin, unknown[i]));
        EXPECT(!access_known(access_shipped_roles(), str_from_c(unknown[i])));
    }
}

TEST(an_unknown_role_is_nobody) {
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        char permission[64];
        str p = rules[i].permission;
        REQUIRE(p.len < sizeof permission);
        memcpy(permission, p.ptr, p.len);
        permission[p.len] = 0;
        if (permission[p.len - 1] == '*') permission[p.len - 1] = 'x';
        EXPECT(!could(&odd, permission));
        EXPECT(access_known(access_shipped_roles(), str_from_c(permission)));
    }
}

TEST(a_no_says_why) {
    struct access_answer a;
    access_decide(&(struct access_question){&guest, S("auth:self:read"), S(""), S(""), S("")}, &a);
    EXPECT_STR(str_from_c(a.why), S("guests may not do this: sign in first"));
    access_decide(
        &(struct access_question){&other, S("policies:document:update"), S("x"), S("u1"), S("")},
        &a);
    EXPECT_STR(str_from_c(a.why), S("only its author or an administrator may do this"));
    access_decide(&(struct access_question){&user, S("audit:log:read"), S(""), S(""), S("")}, &a);
    EXPECT_STR(str_from_c(a.why), S("only an administrator may do this"));
    access_decide(&(struct access_question){&admin, S("nothing:at:all"), S(""), S(""), S("")}, &a);
    EXPECT_STR(str_from_c(a.why), S("no rule allows this"));
}

/* The shipped policy against the table, in every case the two can tell apart. */
TEST(the_shipped_policy_says_what_the_table_says) {
    static const struct actor *const people[] = {&guest, &user, &other, &admin, &odd};
    static const char *const states[] = {"", "draft", "under_review", "approved", "rejected",
                                         "published", "archived", "publishe"};
    static const char *const owners[] = {"", "u1", "u2", "a1", "x1"};
    u32 asked = 0;
    for (size_t r = 0; r < ARRAY_LEN(rules); r++) {
        char permission[64];
        EXPECT_OK(str_to_c(rules[r].permission, permission, sizeof permission));
        size_t n = strlen(permission);
        if (permission[n - 1] == '*') permission[n - 1] = 'x';
        for (size_t w = 0; w < ARRAY_LEN(people); w++)
            for (size_t k = 0; k < 1 + ARRAY_LEN(states) * ARRAY_LEN(owners); k++) {
                struct access_question q = {people[w], str_from_c(permission), S(""), S(""), S("")};
                struct access_answer got, wanted;
                if (k) {
                    q.resource_id = S("thing");
                    q.resource_owner = str_from_c(owners[(k - 1) % ARRAY_LEN(owners)]);
                    q.resource_state = str_from_c(states[(k - 1) / ARRAY_LEN(owners)]);
                }
                for (int again = 0; again < 2; again++) { /* asked, then remembered */
                    access_decide(&q, &got);
                    oracle_decide(&q, &wanted);
                    if (got.allowed != wanted.allowed)
                        test_fail(__FILE__, __LINE__, "%s of %.*s: %d", permission,
                                  STR(people[w]->role), got.allowed);
                    if (!wanted.allowed) EXPECT_STR(str_from_c(got.why), str_from_c(wanted.why));
                }
                asked++;
            }
    }
    EXPECT(asked > 5000);
}

/* The whole matrix, from the route tables: what a route's `access` says of guests, users and
 * administrators is what the shipped policy does, together with the route's permission. */
TEST(every_route_admits_whom_its_table_says) {
    static const struct actor *const people[] = {&guest, &user, &admin};
    u32 routes = 0;
    for (const struct module *const *m = modules; *m; m++)
        for (const struct route *r = (*m)->routes; r && r->pattern; r++, routes++)
            for (size_t w = 0; w < ARRAY_LEN(people); w++) {
                str permission = access_permission_of(r);
                struct access_question q = {.who = people[w], .permission = permission};
                struct access_answer got, wanted;
                size_t lowest = r->access == ACCESS_ADMIN ? 2 : r->access == ACCESS_USER ? 1 : 0;
                bool floor = w >= lowest;
                access_decide(&q, &got);
                oracle_decide(&q, &wanted);
                if (got.allowed != (floor && wanted.allowed))
                    test_fail(__FILE__, __LINE__, "%s (%.*s) for %s: %d", r->pattern,
                              STR(q.permission), w == 0 ? "guests" : w == 1 ? "users" : "admins",
                              got.allowed);
            }
    EXPECT(routes > 80);
}

/* docs/reference/access.md has a line for all a policy may look at. */
TEST(the_reference_names_every_fact) {
    static const char *const facts[][2] = {
#define FACT(id, kind, object, name, help) {object, name},
#include "app/access/fact.def"
#undef FACT
    };
    static char text[65536];
    FILE *f = fopen("docs/reference/access.md", "r");
    REQUIRE(f != NULL);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
        char want[128];
        bool dotted = strchr(facts[i][1], '.') != NULL;
        snprintf(want, sizeof want, dotted ? "`input.%s%s[\"%s\"]`" : "`input.%s%s%s`", facts[i][0],
                 facts[i][0][0] && !dotted ? "." : "", facts[i][1]);
        if (!strstr(text, want)) test_fail(__FILE__, __LINE__, "no line for %s", want);
    }
}

/* The gate of the appliance itself: each route of each module has a rule. */
TEST(every_route_has_a_rule) {
    struct diag why = {0};
    rc_t rc = access_cover(modules, &why);
    if (rc) test_fail(__FILE__, __LINE__, "%s", why.text);
}
