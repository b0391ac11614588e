/* SPDX-License-Identifier: Apache-2.0 */
/* A watched program answers what an unwatched one answers: policies nobody wrote (policy_program.h)
 * are asked both ways, with every sink there is, and the record of each is brought into order and
 * written. */
#include "tests/unit/policy_program.h"
#include "app/policy/trace_cover.h"
#include "app/policy/trace_record.h"
#include "tests/test.h"

static u64 ticks;
static u64 tick(void) { return ++ticks; }

struct side {
    struct policy_program *program;
    struct policy_evaluator *evaluator;
    rc_t rc;
    value v;
};

static bool side_open(struct side *s, str text, bool trace, struct policy_errors *errors) {
    struct policy_source source = {S("t.rego"), text};
    struct policy_load_options o = {.trace = trace};
    *s = (struct side){0};
    return policy_load(&source, 1, &o, &s->program, errors) == RC_OK &&
           policy_evaluator_open(&s->evaluator, MIB(64)) == RC_OK;
}

static void side_close(struct side *s) {
    policy_evaluator_close(s->evaluator);
    policy_drop(s->program);
}

static void side_ask(struct side *s, str query, struct policy_ask *ask, bool trace, struct heap *h,
                     struct policy_errors *errors, struct policy_record *record) {
    struct policy_query_options o = {.trace = trace};
    struct policy_query *q;
    struct policy_answer a = {0};
    struct policy_error error = {0};
    s->v = UNDEFINED;
    s->rc = policy_prepare_with(s->program, query, &o, &q, errors);
    if (s->rc) return;
    s->rc = policy_ask(s->evaluator, q, ask, &a, &error);
    if (!s->rc && a.count) s->v = value_copy(h, a.results[0].expressions);
    if (record) {
        struct buf text;
        buf_open(&text, MIB(16));
        policy_record_finish(record, POLICY_EXPLAIN_FULL);
        policy_record_write(&text, record, true);
        EXPECT(record->incomplete || record->steps.count >= 3);
        EXPECT(text.len > 0);
        buf_close(&text);
    }
    policy_query_drop(q);
}

static u32 choose(void *arg, u32 n) {
    (void)arg;
    return (u32)((test_random() >> 11) % n);
}

static u32 compare_all(struct grower *g, struct heap *h, struct side *plain, struct side *watched,
                       struct policy_errors *errors) {
    u32 asked = 0;
    struct policy_ask ask = {.data_version = 1, .limits.steps_max = 100000};
    EXPECT_OK(json_text_read(h, NULL, S("{\"a\": 1, \"b\": \"k\", \"xs\": [1, 2, [3, 1], \"a\"], \"o\": {\"k\": 2, \"l\": 1}}"), &ask.input, NULL));
    EXPECT_OK(json_text_read(h, NULL, S("{\"c\": [0, 3, \"a\", \"k\", true, false, null, [1, 2], {\"k\": 1}], \"d\": {\"xs\": [{\"k\": 1}, 2], \"o\": {\"k\": 3}}}"), &ask.data, NULL));
    for (u32 r = 0; r < g->rules; r++) {
        char name[32];
        struct policy_record record;
        struct policy_cover cover;
        struct policy_tee tee = {.count = 0};
        if (g->kinds[r] == 'f') continue;
        int n = snprintf(name, sizeof name, "data.t.p%u", r);
        ask.trace = NULL;
        side_ask(plain, str_of(name, (size_t)n), &ask, false, h, errors, NULL);
        policy_record_open(&record, MIB(32)), policy_cover_open(&cover, 0);
        cover.clock_ns = tick;
        policy_tee_add(&tee, &record.trace), policy_tee_add(&tee, &cover.trace);
        ask.trace = &tee.trace;
        side_ask(watched, str_of(name, (size_t)n), &ask, true, h, errors, &record);
        bool same = plain->rc == watched->rc && plain->v.kind == watched->v.kind &&
                    (!value_defined(plain->v) || value_equal(plain->v, watched->v));
        if (!same)
            test_fail(__FILE__, __LINE__, "%s differs when watched (%s, %s):\n%.*s", name, rc_name(plain->rc),
                      rc_name(watched->rc), STR(buf_str(&g->text)));
        policy_record_close(&record), policy_cover_close(&cover);
        asked++;
    }
    return asked;
}

TEST(watching_changes_no_answer) {
    u32 asked = 0;
    (void)program_compare; /* the other way to compare, of policy_checker_test.c */
    for (u32 i = 0; i < 300; i++) {
        struct grower grower = {.pick = choose};
        struct policy_errors errors;
        struct side plain = {0}, watched = {0};
        struct heap h;
        heap_open(&h, MIB(64)), buf_open(&grower.text, MIB(1));
        policy_errors_open(&errors, &h, 10);
        grow_module(&grower);
        bool fits = !grower.text.failed && side_open(&plain, buf_str(&grower.text), false, &errors);
        if (fits && side_open(&watched, buf_str(&grower.text), true, &errors))
            asked += compare_all(&grower, &h, &plain, &watched, &errors);
        side_close(&plain), side_close(&watched);
        buf_close(&grower.text);
        heap_close(&h);
    }
    EXPECT(asked > 100);
}
