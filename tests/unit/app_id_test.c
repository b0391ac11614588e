/* SPDX-License-Identifier: Apache-2.0 */
/* app_id_test.c — UUIDv7: form, order, and what is no id. */
#include "app/id.c"
#include "tests/test.h"

TEST(ids_have_the_form_of_version_7) {
    char text[ID_ROOM];
    str id;
    REQUIRE(id_make(text, &id) == RC_OK);
    EXPECT_EQ(id.len, ID_LEN);
    EXPECT(id_valid(id));
    EXPECT_EQ(text[14], '7');
    EXPECT(text[19] == '8' || text[19] == '9' || text[19] == 'a' || text[19] == 'b');
}

TEST(ids_ascend_also_within_a_millisecond) {
    char before[ID_ROOM], after[ID_ROOM];
    str a, b;
    REQUIRE(id_make(before, &a) == RC_OK);
    for (int i = 0; i < 20000; i++) {
        REQUIRE(id_make(after, &b) == RC_OK);
        REQUIRE(str_cmp(a, b) < 0);
        memcpy(before, after, sizeof before);
        a = str_of(before, ID_LEN);
    }
}

TEST(only_the_canonical_text_is_an_id) {
    EXPECT(id_valid(S("0190a0b0-c0d0-7000-8000-000000000001")));
    EXPECT(!id_valid(S("0190A0B0-C0D0-7000-8000-000000000001")));
    EXPECT(!id_valid(S("0190a0b0c0d070008000000000000001")));
    EXPECT(!id_valid(S("0190a0b0-c0d0-7000-8000-00000000000g")));
    EXPECT(!id_valid(S("0190a0b0-c0d0-7000-8000-0000000000011")));
    EXPECT(!id_valid(S("")));
}
