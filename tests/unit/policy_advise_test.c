/* SPDX-License-Identifier: Apache-2.0 */
/* Advice from recorded decisions: rules that never held, entries nobody needed, inputs never
 * allowed; what is bounded says that it was not finished; records that are none are left out. */
#include "app/policy/advise.c"
#include "tests/test.h"
#include <stdio.h>

static const char policy[] =
    "package app\n\n"
    "default allow := false\n\n"
    "# METADATA\n# title: a role of theirs grants it\n"
    "allow if {\n\tsome role in data.users[input.user]\n\tinput.action in data.roles[role]\n}\n\n"
    "allow if input.user == \"root\"\n\n"
    "allow if {\n\tinput.emergency\n\tcount(input.signatures) > 2\n}\n\n"
    "test_it if allow with input.user as \"root\"\n\n"
    "verdict := {\"allowed\": true} if allow\n\n"
    "reasons contains \"no\" if not allow\n";
static const char documents[] =
    "{\"roles\":{\"reader\":[\"read\",\"list\"],\"writer\":[\"read\",\"write\"],\"ghost\":["
    "\"haunt\"]},"
    "\"users\":{\"ann\":[\"reader\"],\"bea\":[\"writer\",\"reader\"],\"cyn\":[\"ghost\"]}}";

struct advising {
    struct heap heap;
    struct policy_errors errors;
    struct policy_advise_options o;
    struct policy_evaluator *evaluator;
    struct policy_advisor *advisor;
};

static value json(struct advising *w, const char *text) {
    struct diag why;
    value v = UNDEFINED;
    EXPECT_OK(json_text_read(&w->heap, NULL, str_from_c(text), &v, &why));
    return v;
}

static void begin(struct advising *w, const char *text) {
    struct policy_source source = {S("app.rego"), str_from_c(text)};
    struct policy_load_options o = {.parse.annotations = true};
    *w = (struct advising){0};
    heap_open(&w->heap, MIB(64));
    policy_errors_open(&w->errors, &w->heap, 10);
    EXPECT_OK(policy_load(&source, 1, &o, &w->o.plain, &w->errors));
    o.trace = true;
    EXPECT_OK(policy_load(&source, 1, &o, &w->o.watched, &w->errors));
    w->o.data = json(w, documents);
    EXPECT_OK(policy_evaluator_open(&w->evaluator, MIB(64)));
}

static void open_advisor(struct advising *w) {
    EXPECT_OK(policy_advise_open(&w->advisor, &w->o));
}

static void end(struct advising *w) {
    policy_advise_close(w->advisor);
    policy_evaluator_close(w->evaluator);
    policy_drop(w->o.plain);
    policy_drop(w->o.watched);
    heap_close(&w->heap);
}

static bool add(struct advising *w, const char *record) {
    return policy_advise_add(w->advisor, json(w, record));
}

/* Forty of them: ann reads, bea writes, root deletes, eve is refused. */
static void add_forty(struct advising *w, const char *path) {
    static const char *const users[] = {"ann", "bea", "root", "eve"},
                             *const actions[] = {"read", "write", "delete", "read"};
    for (u32 n = 0; n < 40; n++) {
        char record[400];
        snprintf(record, sizeof record,
                 "{\"decision_id\":\"id-%u\",\"path\":\"%s\",\"timestamp\":\"2026-01-%02uT00:00:"
                 "00Z\","
                 "\"input\":{\"user\":\"%s\",\"action\":\"%s\"},\"result\":%s}",
                 n, path, 1 + n % 28, users[n % 4], actions[n % 4], n % 4 == 3 ? "false" : "true");
        EXPECT(add(w, record));
    }
}

static value report(struct advising *w) {
    return policy_advise_report(w->advisor, w->evaluator, &w->heap);
}

static u32 count_of(value r, const char *kind) {
    value list = value_get_str(r, S("advice"));
    u32 n = 0;
    for (u32 i = 0; i < value_count(list); i++)
        n += str_eq(value_str(value_get_str(value_item(list, i), S("kind"))), str_from_c(kind));
    return n;
}

/* Is this text anywhere in the report? */
static bool says(struct advising *w, value r, const char *text) {
    struct buf b;
    (void)w;
    buf_open(&b, MIB(1));
    json_text_write(&b, r, 0);
    bool found = str_find(buf_str(&b), str_from_c(text)) < b.len;
    if (!found) test_fail(__FILE__, __LINE__, "%s is not in %.*s", text, STR(buf_str(&b)));
    buf_close(&b);
    return found;
}

TEST(what_could_go) {
    struct advising w;
    begin(&w, policy);
    open_advisor(&w);
    add_forty(&w, "app/allow");
    value r = report(&w);
    EXPECT(value_is_true(value_get_str(r, S("complete"))));
    EXPECT_EQ(value_get_str(r, S("asked")).integer, 40);
    EXPECT(says(&w, r, "\"from\":\"2026-01-01T00:00:00Z\""));
    EXPECT(says(&w, r, "\"to\":\"2026-01-28T00:00:00Z\""));
    EXPECT(says(&w, r, "\"delete_lines\":[14,17]"));
    EXPECT(says(&w, r, "data.app.allow (app.rego:14) held for none of the decisions."));
    EXPECT(says(&w, r, "data.app.verdict (app.rego:21) was not asked for by any"));
    EXPECT(says(&w, r, "data.app.reasons (app.rego:23) was not asked for by any"));
    EXPECT_EQ(count_of(r, "entry_never_needed"), 5);
    EXPECT(says(&w, r, "{\"patch\":[{\"op\":\"remove\",\"path\":\"/roles/ghost\"}]}"));
    EXPECT(says(&w, r, "\"/roles/reader/1\""));
    EXPECT(says(&w, r, "\"/users/bea/1\""));
    EXPECT_EQ(count_of(r, "input_never_allowed"), 1);
    EXPECT(says(&w, r, "never allowed an input whose /user is \\\"eve\\\""));
    end(&w);
}

/* Only the documents that were named; and answers that are objects count by their member. */
TEST(documents_that_are_named) {
    static const str named[] = {S("/roles/reader"), S("/nothing/there")};
    struct advising w;
    begin(&w, policy);
    w.o.documents = named, w.o.document_count = ARRAY_LEN(named);
    open_advisor(&w);
    add_forty(&w, "app/verdict");
    value r = report(&w);
    EXPECT_EQ(count_of(r, "entry_never_needed"), 1);
    EXPECT(says(&w, r, "\"/roles/reader/1\""));
    EXPECT_EQ(count_of(r, "input_never_allowed"), 1);
    end(&w);
}

/* Roles that stand in the policy: what to put where data takes their place. */
TEST(documents_that_are_shipped) {
    struct advising w;
    begin(&w, "package app\n\nallow if input.action in data.app.x.roles[input.role]\n");
    open_advisor(&w);
    policy_advise_watched(w.advisor, w.o.watched);
    policy_advise_shipped(w.advisor, json(&w, "{\"reader\":[\"read\",\"list\"],\"idle\":[]}"),
                          S("/app/x/roles"));
    for (u32 i = 0; i < 6; i++)
        EXPECT(add(&w, "{\"path\":\"app/allow\",\"input\":{\"role\":\"reader\",\"action\":"
            "\"read\"}}"));
    value r = report(&w);
    EXPECT_EQ(count_of(r, "entry_never_needed"), 1); /* the grants alone are tried */
    EXPECT(says(&w, r, "\"put\":\"/v1/data/app/x/roles/reader\",\"value\":[\"read\"]"));
    end(&w);
}

TEST(records_that_are_none) {
    struct advising w;
    begin(&w, policy);
    open_advisor(&w);
    EXPECT(!add(&w, "null"));
    EXPECT(!add(&w, "{}"));
    EXPECT(!add(&w, "{\"path\":7}"));
    EXPECT(add(&w, "{\"path\":\"app/allow\",\"timestamp\":7,\"decision_id\":[]}"));
    EXPECT(add(&w, "{\"path\":\"\"}"));
    EXPECT(add(&w, "{\"path\":\"app/list/0\"}"));
    for (u32 i = 0; i < 100; i++) { /* more paths than are kept */
        char record[64];
        snprintf(record, sizeof record, "{\"path\":\"app/p%u\"}", i);
        (void)add(&w, record);
    }
    value r = report(&w);
    EXPECT_EQ(value_get_str(r, S("asked")).integer, 64);
    EXPECT(!value_defined(value_get_str(r, S("from"))));
    end(&w);
}

static u64 now;
static u64 clock_that_runs(void) { return ++now; }

TEST(what_is_not_finished_is_said) {
    struct advising w;
    for (u64 deadline = 1; deadline < 200; deadline += 20) {
        begin(&w, policy);
        now = 0;
        w.o.clock_ns = clock_that_runs, w.o.deadline_ns = deadline;
        open_advisor(&w);
        add_forty(&w, "app/allow");
        value r = report(&w);
        EXPECT(!value_is_true(value_get_str(r, S("complete"))));
        EXPECT_EQ(value_get_str(r, S("asked")).integer, 40);
        end(&w);
    }
}

/* Enough is enough: the thousand-and-first is not asked. */
TEST(decisions_are_bounded) {
    struct advising w;
    begin(&w, "package app\n\nallow if input.n > 1\n");
    open_advisor(&w);
    for (u32 i = 0; i < ADVISE_DECISIONS_MAX; i++)
        EXPECT(add(&w, "{\"path\":\"app/allow\",\"input\":{\"n\":1}}"));
    EXPECT(!add(&w, "{\"path\":\"app/allow\"}"));
    value r = report(&w);
    EXPECT_EQ(count_of(r, "rule_never_held"), 1);
    end(&w);
}
