/* SPDX-License-Identifier: Apache-2.0 */
/* access_guard_test.c — nobody shuts the last administrator out: what is refused before, what the
 * shipped policy takes the place of, and that answers remembered never outlive what gave them. */
#include "app/access/guard.c"
#include "app/policy/policy.h"
#include "app/policy/value/json_text.h"
#include "tests/test.h"
#include <stdio.h>

static struct heap heap;
static u32 made; /* administrators the directory tells of */

static u32 administrators(struct arena *a, struct actor *to, u32 room) {
    (void)a, (void)room;
    for (u32 i = 0; i < made; i++)
        to[i] = (struct actor){.user_id = i ? S("a2") : S("a1"), .email = S("root@example.org"),
                               .role = S("admin")};
    return made;
}
static bool account(struct arena *a, str id, struct actor *out) {
    (void)a, (void)id, (void)out;
    return false;
}

static value json(const char *text) {
    value v = value_empty_object();
    if (!heap.bytes_max) heap_open(&heap, MIB(16));
    if (text) EXPECT_OK(json_text_read(&heap, NULL, str_from_c(text), &v, NULL));
    return v;
}

static struct access_policy *policy_of(const char *rules) {
    static char text[4096];
    struct policy_errors errors;
    struct policy_program *program;
    struct access_policy *p = NULL;
    struct policy_load_options o = {.parse.annotations = true};
    snprintf(text, sizeof text, "package openpolicy.authz\n\n%s", rules);
    struct policy_source source = {S("own.rego"), str_from_c(text)};
    if (!heap.bytes_max) heap_open(&heap, MIB(16));
    policy_errors_open(&errors, &heap, 1);
    rc_t rc = policy_load(&source, 1, &o, &program, &errors);
    if (rc) test_fail(__FILE__, __LINE__, "%s: %.*s", rules, STR(errors.items[0].message));
    if (!rc) EXPECT_OK(access_policy_make(program, &p));
    return p;
}

static void drop(struct access_policy *p) {
    struct policy_program *program = p->program;
    access_policy_drop(p);
    policy_drop(program);
}

#define OPEN_DOOR "allow if not input.actor.signed_in\n\n"
#define ADMINS "allow if input.actor.role == \"admin\"\n\n"

static bool admitted(const char *rules, const char *data) {
    struct diag why = {0};
    struct access_policy *p = rules ? policy_of(rules) : NULL;
    bool yes = access_policy_admits(p, json(data), NULL, &why);
    EXPECT_EQ(yes, !why.text[0]);
    if (p) drop(p);
    if (!yes) EXPECT(strstr(why.text, "shut every administrator out") != NULL);
    return yes;
}

TEST(what_shuts_everybody_out_is_not_admitted) {
    static const struct access_directory directory = {administrators, account};
    access_directory_use(&directory);
    EXPECT(admitted(NULL, NULL));
    EXPECT(admitted(ADMINS OPEN_DOOR, NULL));
    EXPECT(admitted("allow := true\n", NULL));
    EXPECT(!admitted(ADMINS, NULL)); /* nobody could sign in */
    EXPECT(!admitted(OPEN_DOOR, NULL));
    EXPECT(!admitted("default allow := false\n", NULL));
    EXPECT(!admitted("allow := \"true\"\n", NULL));
    EXPECT(!admitted("allow := {\"allowed\": false}\n", NULL));
    EXPECT(admitted("allow := {\"allowed\": true}\n", NULL));
    EXPECT(!admitted(OPEN_DOOR ADMINS
                     "allow := false if input.permission == \"auth:user:update\"\n", NULL));
    EXPECT(!admitted("allow if { some i in numbers.range(1, 1000000); i < 0 }\n\n" OPEN_DOOR,
                     NULL));
    EXPECT(!admitted(OPEN_DOOR "allow if input.actor.id in data.team\n",
                     "{\"team\":[\"somebody\"]}"));
    EXPECT(!admitted(NULL, "{\"openpolicy\":{\"authz\":{\"roles\":{\"admin\":[]}}}}"));
    EXPECT(!admitted(NULL, "{\"openpolicy\":{\"authz\":{\"roles\":{\"everyone\":[]}}}}"));
    EXPECT(admitted(NULL, "{\"openpolicy\":{\"authz\":{\"roles\":{\"user\":[]}}}}"));
    EXPECT(admitted(NULL, "{\"openpolicy\":\"what\"}"));
}

static bool may(const char *role, const char *permission) {
    struct actor who = {.user_id = S("u1"), .role = str_from_c(role)};
    struct access_question q = {.who = &who, .permission = str_from_c(permission)};
    struct access_answer answer;
    access_decide(&q, &answer);
    return answer.allowed;
}

TEST(what_is_published_decides_at_once_and_nothing_old_is_remembered) {
    struct access_policy *closed = policy_of(ADMINS OPEN_DOOR);
    struct access_policy *open = policy_of("allow := true\n");
    for (int round = 0; round < 3; round++) {
        access_policy_use(NULL, UNDEFINED);
        EXPECT(may("user", "auth:self:read") && !may("user", "audit:log:read"));
        access_policy_use(closed, json(NULL));
        EXPECT(!may("user", "auth:self:read") && may("admin", "audit:log:read"));
        access_policy_use(open, json(NULL));
        EXPECT(may("user", "audit:log:read"));
        access_policy_use(
            NULL, json("{\"openpolicy\":{\"authz\":{\"roles\":{\"user\":[\"audit:*\"]}}}}"));
        EXPECT(may("user", "audit:log:read") && may("user", "auth:self:read")); /* as a member */
        EXPECT(!access_refused());
    }
    access_policy_use(NULL, UNDEFINED);
    drop(closed);
    drop(open);
}

TEST(a_stored_policy_that_shuts_out_is_not_used_and_that_is_said) {
    static struct access_policy *shut, *fails, *far;
    struct diag detail = {0};
    shut = policy_of("default allow := false\n");
    access_policy_use(shut, json(NULL));
    EXPECT(access_refused() != NULL);
    EXPECT_EQ(look(&detail), HEALTH_DEGRADED);
    EXPECT(strstr(detail.text, "safe mode") != NULL);
    EXPECT(may("admin", "audit:log:read") && !may("user", "audit:log:read"));
    access_policy_use(NULL, UNDEFINED);
    EXPECT(!access_refused());
    EXPECT_EQ(look(&detail), HEALTH_OK);
    /* of one that looks at the address only failing is held against it: a start has no address */
    far = policy_of(OPEN_DOOR "allow if input.network.address == \"198.51.100.7\"\n");
    access_policy_use(far, json(NULL));
    EXPECT(!access_refused() && !may("admin", "audit:log:read"));
    fails = policy_of(OPEN_DOOR "allow := input.network.address\n");
    access_policy_use(fails, json(NULL));
    EXPECT(access_refused() != NULL && may("admin", "audit:log:read"));
    /* harmful data of the shipped policy: it decides without them */
    access_policy_use(NULL, json("{\"openpolicy\":{\"authz\":{\"roles\":{\"admin\":[]}}}}"));
    EXPECT(access_refused() != NULL && may("admin", "audit:log:read"));
    access_policy_refuse(json(NULL), "the stored policies do not compile");
    EXPECT_STR(str_from_c(access_refused()), S("the stored policies do not compile"));
    access_policy_use(NULL, UNDEFINED);
    EXPECT(!access_refused());
    drop(shut), drop(fails), drop(far);
}
