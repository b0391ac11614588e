/* SPDX-License-Identifier: Apache-2.0 */
/* backup_s3_test.c — requests to storage that speaks S3 are signed as its description says, and its
 * answers are read without believing them. */
#include "app/backup/s3.c"
#include "tests/test.h"

static struct backup_target target(void) {
    return (struct backup_target){.url = S("https://s3.example.com"),
                                  .bucket = S("backups"),
                                  .prefix = S("prod/"),
                                  .region = S("us-east-1"),
                                  .access_key = S("AKIDEXAMPLE"),
                                  .secret_key = S("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")};
}

/* Made by the description's steps in another language (tests/integration/test_backup_s3.py). */
TEST(a_request_is_signed) {
    struct arena a;
    struct backup_target t = target();
    arena_open(&a, NULL, 0, KIB(64));
    str got = s3_authorization(&a, &t, S("PUT"), S("s3.example.com"), S("/backups/prod/a.sqlite"),
                               S(""), S("20260131T120000Z"));
    EXPECT_STR(got, S("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/us-east-1/s3/aws4_request, "
                    "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="
                    "9e4d7eba7f375dd2bf1c3f05b3b2d9014fcbaebcf01f5a696b9a397099ecf660"));
    t.session_token = S("token");
    got = s3_authorization(&a, &t, S("GET"), S("s3.example.com"), S("/backups"),
                           S("list-type=2&prefix=prod%2Fopenpolicy-"), S("20260131T120000Z"));
    EXPECT_STR(got, S("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/us-east-1/s3/aws4_request, "
                    "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, "
                    "Signature=fff0075462dee485a2753042309cd02dbfbebfc40b9e9a1a88ab5f719d361aa4"));
    arena_close(&a);
}

TEST(without_memory_nothing_is_signed) {
    struct backup_target t = target();
    for (size_t room = 16; room <= 1024; room *= 2) {
        struct arena a;
        arena_open(&a, NULL, 0, room);
        str got = s3_authorization(&a, &t, S("PUT"), S("h"), S("/b/k"), S(""),
                                   S("20260131T120000Z"));
        EXPECT(!got.ptr || got.len > 100);
        arena_close(&a);
    }
}

TEST(times_are_written_as_the_signature_wants_them) {
    char room[UTC_ROOM];
    EXPECT_STR(amz_time(1769860800ull * NS_PER_S, room), S("20260131T120000Z"));
}

TEST(elements_are_found_or_not) {
    static const char *const broken[] = {"", "<Key>", "<Key>a", "<Key>a</Ke", "</Key><Key>", "<Ke"};
    str xml = S("<L><Key>a</Key><x/><Key></Key></L>"), one;
    size_t at = 0;
    EXPECT(element(xml, &at, "<Key>", "</Key>", &one));
    EXPECT_STR(one, S("a"));
    EXPECT(element(xml, &at, "<Key>", "</Key>", &one));
    EXPECT_EQ(one.len, 0);
    EXPECT(!element(xml, &at, "<Key>", "</Key>", &one));
    for (u32 i = 0; i < ARRAY_LEN(broken); i++)
        EXPECT(!element(str_from_c(broken[i]), &(size_t){0}, "<Key>", "</Key>", &one));
}

TEST(what_the_storage_answers_is_told) {
    struct diag why = {0};
    EXPECT_OK(judge(204, S(""), &why));
    EXPECT_RC(judge(403, S("<Error><Code>AccessDenied</Code></Error>"), &why), RC_DENIED);
    EXPECT(strstr(why.text, "403 AccessDenied"));
    EXPECT_RC(judge(404, S("not XML"), &why), RC_NOT_FOUND);
    EXPECT_RC(judge(500, S("<Code>"), &why), RC_IO);
    EXPECT(strstr(why.text, "500"));
}

TEST(settings_are_read_strictly) {
    static const char *const wrong[] = {
        "[]", "{\"url\":1}", "{\"more\":\"\"}", "{\"url\":\"https://h\"}",
        "{\"url\":\"https://h/p\",\"bucket\":\"bbb\",\"access_key\":\"a\",\"secret_key\":\"s\"}",
        "{\"url\":\"https://h\",\"bucket\":\"b/b\",\"access_key\":\"a\",\"secret_key\":\"s\"}",
        "{\"url\":\"https://h\",\"bucket\":\"bbb\",\"access_key\":\"a b\",\"secret_key\":\"s\"}",
        "{\"url\":\"https://h\",\"bucket\":\"bbb\",\"access_key\":\"a\",\"secret_key\":\"s\","
        "\"prefix\":\"a?b\"}"};
    for (u32 i = 0; i < ARRAY_LEN(wrong); i++) {
        struct diag why = {0};
        EXPECT(!check_backup_target(str_from_c(wrong[i]), &why));
        EXPECT(why.text[0]);
    }
    EXPECT(check_backup_target(S(""), &(struct diag){0}));
    EXPECT(check_backup_target(S("{}"), &(struct diag){0}));
    EXPECT(check_backup_target(S("{\"url\":\"https://h:9000/\",\"bucket\":\"bbb\",\"access_key\":"
                                 "\"a\",\"secret_key\":\"s\"}"),
                               &(struct diag){0}));
}
