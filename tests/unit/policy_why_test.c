/* SPDX-License-Identifier: Apache-2.0 */
/* policy_why_test.c — explanations for people: the sentences word by word, what fired, the nearest
 * condition and what it saw; secrets; bounds. */
#include "app/policy/why.c"
#include "app/policy/policy.h"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

#define APP                                                                                        \
    "package app\n\ndefault allow := false\n\n"                                                    \
    "# METADATA\n# title: Owners may write what is not locked\n"                                   \
    "allow if {\n\tinput.action == \"write\"\n\tis_owner\n\tnot locked\n}\n\n"                     \
    "# METADATA\n# title: Anyone may read what is public\n"                                        \
    "allow if {\n\tinput.action == \"read\"\n\tdata.docs[input.doc].public\n}\n\n"                 \
    "# METADATA\n# title: Administrators may do everything\n"                                      \
    "allow if \"admin\" in input.user.roles\n\n"                                                   \
    "is_owner if data.docs[input.doc].owner == input.user.name\n\n"                                \
    "# METADATA\n# title: a document is locked while it is under review\n"                         \
    "# description: nobody changes it then\n"                                                      \
    "locked if data.docs[input.doc].state == \"review\"\n"
#define DOCS                                                                                       \
    "{\"docs\": {\"d1\": {\"owner\": \"alice\", \"state\": \"draft\", \"public\": false}, "        \
    "\"d2\": {\"owner\": \"bob\", \"state\": \"review\", \"public\": true}}}"

struct explained {
    struct heap heap;
    struct policy_errors errors;
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    struct policy_error error;
    value report, result;
    struct buf text;
    rc_t rc;
};

static value json(struct heap *h, const char *text) {
    value v = UNDEFINED;
    if (text) EXPECT_OK(json_text_read(h, NULL, str_from_c(text), &v, NULL));
    return v;
}

static void explained_open(struct explained *x, const char *policy, const char *path,
                           const char *input, const char *shown, const char *data, u32 sentences) {
    struct policy_source source = {S("app.rego"), str_from_c(policy)};
    struct policy_load_options o = {.trace = true, .every_rule = true, .parse.annotations = true};
    struct policy_ask ask = {.limits.steps_max = 1000000};
    *x = (struct explained){0};
    heap_open(&x->heap, MIB(32));
    buf_open(&x->text, MIB(1));
    policy_errors_open(&x->errors, &x->heap, 10);
    EXPECT_OK(policy_load(&source, 1, &o, &x->program, &x->errors));
    EXPECT_OK(policy_evaluator_open(&x->evaluator, MIB(16)));
    struct policy_why_question q = {.path = str_from_c(path),
                                    .input = json(&x->heap, input),
                                    .shown = json(&x->heap, shown),
                                    .data = json(&x->heap, data ? data : "{}"),
                                    .sentences_max = sentences};
    x->rc = policy_why(x->program, x->evaluator, &ask, &q, &x->heap, &x->report, &x->result,
        &x->error);
    if (!x->rc) policy_why_write(&x->text, x->report);
}

static void explained_close(struct explained *x) {
    policy_evaluator_close(x->evaluator);
    policy_drop(x->program);
    buf_close(&x->text);
    heap_close(&x->heap);
}

static void expect_why(const char *policy, const char *path, const char *input, const char *data,
                       const char *outcome, const char *want) {
    struct explained x;
    explained_open(&x, policy, path, input, NULL, data, 0);
    EXPECT_OK(x.rc);
    if (!x.rc) {
        EXPECT_STR(buf_str(&x.text), str_from_c(want));
        EXPECT_STR(value_str(value_get_str(x.report, S("outcome"))), str_from_c(outcome));
        EXPECT(value_is_true(value_get_str(x.report, S("complete"))));
    }
    explained_close(&x);
}

TEST(a_no_names_the_nearest_rule_and_what_it_saw) {
    expect_why(APP, "app/allow",
        "{\"action\":\"write\",\"doc\":\"d1\",\"user\":{\"name\":\"bob\",\"roles\":[\"dev\"]}}",
               DOCS, "denied",
               "Denied: no rule for data.app.allow held, so its default stands (app.rego:3).\n"
               "The nearest was \"Owners may write what is not locked\" (app.rego:7): 1 of 3 "
               "conditions "
               "held, but not `is_owner` (line 9).\n"
               "That needs data.app.is_owner (app.rego:24), which did not hold for want of "
               "`data.docs[input.doc].owner == input.user.name`: input.doc is \"d1\", "
               "data.docs[\"d1\"].owner is \"alice\" and input.user.name is \"bob\".\n");
    expect_why(APP, "app/allow",
        "{\"action\":\"write\",\"doc\":\"d2\",\"user\":{\"name\":\"bob\",\"roles\":[]}}",
               DOCS, "denied",
               "Denied: no rule for data.app.allow held, so its default stands (app.rego:3).\n"
               "The nearest was \"Owners may write what is not locked\" (app.rego:7): 2 of 3 "
               "conditions "
               "held, but not `not locked` (line 10).\n"
               "\"a document is locked while it is under review\" (app.rego:29) holds, and must "
               "not.\n");
    expect_why(APP, "app/allow", "{}", DOCS, "denied",
               "Denied: no rule for data.app.allow held, so its default stands (app.rego:3).\n"
               "The nearest was \"Owners may write what is not locked\" (app.rego:7): the first "
               "of 3 "
               "conditions did not hold, `input.action == \"write\"` (line 8): input.action is "
               "not there.\n");
}

TEST(a_yes_names_the_rule_and_what_it_stands_on) {
    expect_why(APP, "app/allow", "{\"user\":{\"roles\":[\"admin\"]}}", DOCS, "allowed",
               "Allowed by \"Administrators may do everything\" (app.rego:22) because "
               "`\"admin\" in input.user.roles`: input.user.roles is [\"admin\"].\n");
    expect_why(APP, "app/allow",
        "{\"action\":\"write\",\"doc\":\"d1\",\"user\":{\"name\":\"alice\"}}", DOCS,
               "allowed",
               "Allowed by \"Owners may write what is not locked\" (app.rego:7) because "
               "`input.action == \"write\"`, `is_owner`, `not locked`: input.action is \"write\".\n"
               "1 more rule held; it is listed as fired.\n");
    expect_why(APP, "app/locked", "{\"doc\":\"d2\"}", DOCS, "allowed",
               "Allowed by \"a document is locked while it is under review\" (app.rego:29) because "
               "`data.docs[input.doc].state == \"review\"`: input.doc is \"d2\" and "
               "data.docs[\"d2\"].state is \"review\".\n");
    expect_why(APP, "docs/d1", "{}", DOCS, "answered", "Answered from data: no rule was needed.\n");
    expect_why("package p\n\nx := 7 if input.a\n", "p/x", "{\"a\":1}", NULL, "answered",
               "Answered by data.p.x (app.rego:3) because `input.a`: input.a is 1.\n");
}

TEST(conditions_that_are_left_out_are_counted) {
    expect_why("package p\n\nallow if {\n\tinput.a == 1\n\tinput.b > 2\n\tinput.a < 9\n\tnot "
        "input.c\n\tinput.d\n}\n",
               "p/allow", "{\"a\":1,\"b\":3,\"d\":true}", NULL, "allowed",
               "Allowed by data.p.allow (app.rego:3) because `input.a == 1`, `input.b > 2`, "
               "`input.a < 9` and 2 more: input.a is 1 and input.b is 3.\n");
}

TEST(other_shapes_of_no) {
    expect_why("package p\n\nallow := false if input.banned\n", "p/allow", "{\"banned\":true}",
        NULL,
               "denied", "Denied by data.p.allow (app.rego:3) because `input.banned`: "
               "input.banned is true.\n");
    expect_why("package p\n\nallow if input.x > 3\n", "p/allow", "{\"x\":2}", NULL, "denied",
               "Denied: no rule for data.p.allow held.\n"
               "The nearest was data.p.allow (app.rego:3), which did not hold for want of "
               "`input.x > 3`: input.x is 2.\n");
    expect_why("package p\n\nallow if input.x > 3\n", "p/nothing", "{\"x\":2}", NULL, "denied",
               "Denied: there is no rule for data.p.nothing.\n");
    expect_why("package p\n\ndefault allow := false\n", "p/allow", NULL, NULL, "denied",
               "Denied: there is only the default of data.p.allow (app.rego:3).\n");
    expect_why("package p\n\nallow if {\n\tsome g in input.groups\n\tg.ok\n\tg.n == 2\n}\n",
        "p/allow",
               "{\"groups\":[{\"n\":1},{\"ok\":true,\"n\":3}]}", NULL, "denied",
               "Denied: no rule for data.p.allow held.\n"
               "The nearest was data.p.allow (app.rego:3): 2 of 3 conditions held, but not "
               "`g.n == 2` (line 6): g.n is 3.\n");
    expect_why("package p\n\nallow if f(input.x)\n\nf(v) if v > 10\n\nf(v) if {\n\tv > 0\n\tv < "
        "3\n}\n", "p/allow",
               "{\"x\":5}", NULL, "denied",
               "Denied: no rule for data.p.allow held.\n"
               "The nearest was data.p.allow (app.rego:3), which did not hold for want of "
               "`f(input.x)`.\n"
               "That needs data.p.f (app.rego:7), of which 1 of 2 conditions held, but not `v < 3` "
               "(line 9): v is 5.\n");
    expect_why("package p\n\nallow if count(bad) == 0\n\nbad contains x if {\n\tsome x in "
        "input.xs\n\tx > 1\n}\n",
               "p/allow", "{\"xs\":[1,2]}", NULL, "denied",
               "Denied: no rule for data.p.allow held.\n"
               "The nearest was data.p.allow (app.rego:3), which did not hold for want of "
               "`count(bad) == 0`.\n");
}

TEST(an_index_hides_no_rule) {
    struct buf policy;
    buf_open(&policy, MIB(1));
    (void)buf_add(&policy, S("package p\n\n"));
    for (u32 i = 0; i < 40; i++)
        (void)buf_printf(&policy, "allow if {\n\tinput.user == \"u%u\"\n\tinput.n == %u\n}\n\n",
            i, i);
    (void)buf_add(&policy, str_of("", 1));
    expect_why(policy.ptr, "p/allow", "{\"user\":\"u7\",\"n\":8}", NULL, "denied",
               "Denied: no rule for data.p.allow held.\n"
               "The nearest was data.p.allow (app.rego:38): 1 of 2 conditions held, but not "
               "`input.n == 7` (line 40): input.n is 8.\n");
    buf_close(&policy);
}

TEST(secrets_are_masked_wherever_they_turn_up) {
    static const char policy[] = "package p\n\ndefault allow := false\n\nallow if {\n\tpass := "
        "input.password\n"
                                 "\tpass == data.expected\n\tinput.user == \"x\"\n}\n\nseen := "
                                 "input.password\n";
    struct explained x;
    explained_open(&x, policy, "p/allow",
        "{\"user\":\"bob\",\"password\":\"hunter22\",\"pin\":4711}",
                   "{\"user\":\"bob\",\"pin\":4711}", "{\"expected\":\"hunter23\"}", 0);
    EXPECT_OK(x.rc);
    EXPECT(str_find(buf_str(&x.text), S("(masked)")) < x.text.len);
    buf_clear(&x.text);
    json_text_write(&x.text, x.report, 0);
    EXPECT(str_find(buf_str(&x.text), S("hunter22")) == x.text.len);
    explained_close(&x);
    explained_open(&x, policy, "p/seen",
        "{\"password\":\"say \\\"a\\\"\",\"n\":[1,{\"k\":4711}]}", "{\"n\":[1]}", NULL, 0);
    EXPECT_OK(x.rc);
    buf_clear(&x.text);
    json_text_write(&x.text, x.report, 0);
    EXPECT(str_find(buf_str(&x.text), S("say")) == x.text.len);
    EXPECT(str_find(buf_str(&x.text), S("(masked)")) < x.text.len);
    explained_close(&x);
}

TEST(sentences_are_bounded_and_the_report_is_whole) {
    struct explained x;
    explained_open(&x, APP, "app/allow",
                   "{\"action\":\"write\",\"doc\":\"d1\",\"user\":{\"name\":\"bob\"}}", NULL,
                   DOCS, 2);
    EXPECT_OK(x.rc);
    EXPECT_EQ(value_count(value_get_str(x.report, S("sentences"))), 2);
    value near = value_get_str(x.report, S("nearest")), deeper = value_get_str(near, S("because"));
    EXPECT_EQ(value_get_str(near, S("held")).integer, 1);
    EXPECT_EQ(value_get_str(near, S("of")).integer, 3);
    EXPECT_EQ(value_get_str(near, S("row")).integer, 7);
    EXPECT_STR(value_str(value_get_str(deeper, S("rule"))), S("data.app.is_owner"));
    EXPECT_EQ(value_count(value_get_str(deeper, S("values"))), 3);
    EXPECT(value_is_false(x.result));
    explained_close(&x);
    explained_open(&x, APP, "app/locked", "{\"doc\":\"d2\"}", NULL, DOCS, 0);
    value fired = value_get_str(x.report, S("fired"));
    REQUIRE(value_count(fired) == 1);
    EXPECT_STR(value_str(value_get_str(value_item(fired, 0), S("text"))),
               S("locked if data.docs[input.doc].state == \"review\""));
    EXPECT_STR(value_str(value_get_str(value_item(fired, 0), S("description"))),
               S("nobody changes it then"));
    explained_close(&x);
}

TEST(too_much_to_watch_is_said) {
    struct explained x;
    explained_open(&x,
                   "package p\n\nallow if {\n\tsome i in numbers.range(1, "
                   "40000)\n\tf(i)\n}\n\nf(i) if {\n\ti > 0\n\tg(i)\n}\n\n"
                   "g(i) if i < 0\n",
                   "p/allow", "{}", NULL, NULL, 0);
    EXPECT_OK(x.rc);
    if (!x.rc) {
        EXPECT(value_is_false(value_get_str(x.report, S("complete"))));
        EXPECT(str_find(buf_str(&x.text), S("`g(i)`")) < x.text.len);
    }
    explained_close(&x);
    explained_open(&x, "package p\n\nallow if {\n\tsome i in numbers.range(1, 2000)\n\tsome j in "
        "numbers.range(1, 2000)\n\ti * j < 0\n}\n",
                   "p/allow", "{}", NULL, NULL, 0);
    EXPECT_EQ(x.rc, RC_LIMIT);
    EXPECT(x.error.message.len > 0);
    explained_close(&x);
}

TEST(paths_of_any_kind_are_asked) {
    struct explained x;
    explained_open(&x, "package p\n\nq[\"a b\"] := 1\n\nr := [1, 2]\n", "p/q/a b", "{}", NULL,
        NULL, 0);
    EXPECT_OK(x.rc);
    EXPECT_EQ(x.result.integer, 1);
    explained_close(&x);
    explained_open(&x, "package p\n\nr := [1, 2]\n", "p/r/1", "{}", NULL, NULL, 0);
    EXPECT_OK(x.rc);
    EXPECT_EQ(x.result.integer, 2);
    explained_close(&x);
    explained_open(&x, "package p\n\nr := 1\n", "", "{}", NULL, NULL, 0);
    EXPECT_OK(x.rc);
    explained_close(&x);
    explained_open(&x, "package p\n\nr := 1\n", "\"];true;x[\"/\xff", "{}", NULL, NULL, 0);
    EXPECT_OK(x.rc);
    EXPECT(!value_defined(x.result));
    explained_close(&x);
}

TEST(without_memory_it_fails_and_frees) {
    for (u64 nth = 1; nth < 200; nth += 3) {
        struct explained x;
        struct policy_source source = {S("app.rego"), S(APP)};
        struct policy_load_options o = {.trace = true, .every_rule = true,
            .parse.annotations = true};
        struct policy_ask ask = {0};
        memset(&x, 0, sizeof x);
        heap_open(&x.heap, MIB(4));
        policy_errors_open(&x.errors, &x.heap, 10);
        EXPECT_OK(policy_load(&source, 1, &o, &x.program, &x.errors));
        EXPECT_OK(policy_evaluator_open(&x.evaluator, MIB(1)));
        struct policy_why_question q = {.path = S("app/allow"), .input = json(&x.heap,
            "{\"action\":\"read\"}"),
                                        .data = json(&x.heap, DOCS)};
        (void)test_malloc_fail(nth, true);
        x.rc = policy_why(x.program, x.evaluator, &ask, &q, &x.heap, &x.report, &x.result,
            &x.error);
        u64 failed = test_malloc_fail(0, false);
        if (!failed) EXPECT_OK(x.rc);
        policy_evaluator_close(x.evaluator);
        policy_drop(x.program);
        heap_close(&x.heap);
        if (!failed) break;
    }
}
