/* SPDX-License-Identifier: Apache-2.0 */
/* policies_workflow_test.c — every step there is, and no other. */
#include "app/policies/workflow.c"
#include "tests/test.h"

TEST(only_the_drawn_steps_are_legal) {
    static const bool legal[STATUS_COUNT][STATUS_COUNT] = {
        [STATUS_DRAFT] = {[STATUS_REVIEW] = true},
        [STATUS_REVIEW] = {[STATUS_APPROVED] = true, [STATUS_REJECTED] = true},
        [STATUS_APPROVED] = {[STATUS_PUBLISHED] = true},
        [STATUS_REJECTED] = {[STATUS_DRAFT] = true},
        [STATUS_PUBLISHED] = {[STATUS_ARCHIVED] = true},
    };
    for (int from = 0; from < STATUS_COUNT; from++)
        for (int to = 0; to < STATUS_COUNT; to++)
            EXPECT_EQ(status_may_become((enum status)from, (enum status)to), legal[from][to]);
}

TEST(names_make_the_round) {
    enum status s;
    for (int i = 0; i < STATUS_COUNT; i++) {
        REQUIRE(status_parse(status_name((enum status)i), &s));
        EXPECT_EQ(s, i);
        EXPECT(status_permission((enum status)i) != NULL);
    }
    EXPECT(!status_parse(S("Draft"), &s));
    EXPECT(!status_parse(S(""), &s));
}

TEST(what_was_approved_cannot_be_edited) {
    EXPECT(status_editable(STATUS_DRAFT));
    EXPECT(status_editable(STATUS_REVIEW));
    EXPECT(status_editable(STATUS_REJECTED));
    EXPECT(!status_editable(STATUS_APPROVED));
    EXPECT(!status_editable(STATUS_PUBLISHED));
    EXPECT(!status_editable(STATUS_ARCHIVED));
}
