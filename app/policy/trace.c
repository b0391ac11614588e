/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c — what all sinks of events share. */
#include "app/policy/trace.h"

static void tell_all(struct policy_trace *t, const struct policy_event *e) {
    struct policy_tee *tee = (struct policy_tee *)t;
    for (u32 i = 0; i < tee->count; i++) tee->to[i]->event(tee->to[i], e);
}

void policy_tee_add(struct policy_tee *t, struct policy_trace *to) {
    CHECK(t->count < ARRAY_LEN(t->to));
    t->trace.event = tell_all;
    t->trace.locals |= to->locals;
    t->to[t->count++] = to;
}

const char *policy_event_name(enum policy_event_op op) {
    static const char *const names[] = {[POLICY_ENTER] = "Enter", [POLICY_EXIT] = "Exit",
                                        [POLICY_EVAL] = "Eval",   [POLICY_REDO] = "Redo",
                                        [POLICY_FAIL] = "Fail",   [POLICY_NOTE] = "Note",
                                        [POLICY_INDEX] = "Index"};
    return names[op];
}
