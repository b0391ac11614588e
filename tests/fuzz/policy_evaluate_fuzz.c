/* SPDX-License-Identifier: Apache-2.0 */
/* policy_evaluate_fuzz.c — any bytes as a policy that is loaded and asked, within small limits; or
 * as choices from which a policy is grown, on which the machine and the checker must agree. */
#include "tests/unit/policy_program.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

struct choices { const u8 *at, *end; };

static u32 choose(void *arg, u32 n) {
    struct choices *c = arg;
    return c->at < c->end ? *c->at++ % n : 0;
}

static void ask_text(str text) {
    struct heap h;
    struct policy_errors errors;
    struct policy_program *p = NULL;
    struct policy_evaluator *e = NULL;
    struct policy_query *q = NULL;
    struct policy_answer answer;
    struct policy_error error;
    heap_open(&h, 16 << 20);
    policy_errors_open(&errors, &h, 10);
    struct policy_source source = {S("f.rego"), text};
    struct policy_load_options o = {.bytes_max = 16 << 20};
    struct policy_ask ask = {.data = value_empty_object(), .input = value_empty_object(), .data_version = 1,
                             .limits = {.steps_max = 100000, .bytes_max = 4 << 20}};
    if (policy_load(&source, 1, &o, &p, &errors) == RC_OK) {
        CHECK(policy_evaluator_open(&e, 4 << 20) == RC_OK);
        if (policy_prepare(p, S("data[x] = y"), &q, &errors) == RC_OK)
            for (int round = 0; round < 2; round++) (void)(policy_ask(e, q, &ask, &answer, &error) == RC_OK);
        policy_query_drop(q);
        policy_evaluator_close(e);
        policy_drop(p);
    }
    heap_close(&h);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct buf why;
    if (!n) return 0;
    if (bytes[0] & 1) {
        ask_text(str_of((const char *)bytes + 1, n - 1));
        return 0;
    }
    struct choices c = {bytes + 1, bytes + n};
    buf_open(&why, 1 << 20);
    int result = program_compare(choose, &c, &why);
    if (result == PROGRAM_DIFFERS) panic("%.*s", STR(buf_str(&why)));
    buf_close(&why);
    return 0;
}
