/* SPDX-License-Identifier: Apache-2.0 */
/* audit_api_test.c — the audit log as an auditor reads it: pages, an export of any length, a
 * verdict that names the first row somebody touched. */
#include "app/audit/api.c"
#include "tests/unit/whole.h"

#define LOGS "/api/v1/auth/audit-logs"

/* Many rows at once: more than one batch of the export. */
static void many_rows(void *done) {
    struct request rq = {.x = &fake.x, .http = &fake.request, .arena = &fake.arena};
    struct db_txn *t;
    rq.actor =
        (struct actor){.user_id = S("u1"), .email = S("auditor@example.org"), .role = S("admin")};
    EXPECT_OK(db_write_begin(&t));
    for (int i = 0; i < EXPORT_ROWS * 2; i++)
        EXPECT_OK(audit_add(t, &rq,
                            &(struct audit_event){.action = "test.made", .resource = S("thing/1"),
                                                  .result = i % 2 ? "ok" : "denied",
                                                  .detail = S("{\"n\":1}")}));
    EXPECT_OK(db_write_commit(t));
    *(bool *)done = true;
}
static void begin(void) {
    static bool done;
    whole_begin();
    if (done) return;
    fake_begin(HTTP_GET, LOGS);
    storage_fiber(many_rows, &done);
    whole_run_until(&done);
}
static s64 total(const char *query) {
    char target[256];
    snprintf(target, sizeof target, LOGS "%s", query);
    EXPECT_EQ(ask(HTTP_GET, target, ROOT, NULL), 200);
    return whole_int("total");
}

TEST(pages_are_filtered_newest_first) {
    begin();
    s64 all = total("");
    EXPECT(all >= 128 + 3);
    EXPECT_EQ(whole_items(), 20);
    EXPECT(body_has("\"next\":\"" LOGS "?offset=20\"") && body_has("\"detail\":{\"n\":1}"));
    EXPECT_EQ(total("?action=test.made"), 128);
    EXPECT_EQ(total("?action=test.made&result=denied&limit=100"), 64);
    EXPECT_EQ(whole_items(), 64);
    EXPECT_EQ(total("?actor=auditor@example.org"), 128);
    EXPECT_EQ(total("?actor=u1&resource=thing/"), 128);
    EXPECT_EQ(total("?actor=u2"), 0);
    EXPECT_EQ(total("?at__gte=2026-01-01T00:00:00Z&at__lt=2027-01-01T00:00:00Z"), all);
    EXPECT_EQ(total("?at__lt=2026-01-01T00:00:00Z"), 0);
    EXPECT_EQ(ask(HTTP_GET, LOGS "?at__lt=never", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, LOGS "?limit=0", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, LOGS, ADA, NULL), 403);
    EXPECT_EQ(ask(HTTP_GET, LOGS, GUEST, NULL), 401);
}

/* Every line is a row; ids grow by one; the last hash is the newest row's. */
static u32 lines_of_stream(void) {
    str rest = str_of(whole.stream, whole.stream_bytes), line;
    struct arena a;
    cJSON *row;
    u32 n = 0;
    s64 last = 0;
    while (str_split(&rest, '\n', &line) && line.len) {
        arena_open(&a, NULL, 0, KIB(64));
        if (json_parse(&a, line, &row, NULL)) {
            test_fail(__FILE__, __LINE__, "no JSON: %.*s", STR(line));
        } else {
            s64 id = (s64)cJSON_GetObjectItem(row, "id")->valuedouble;
            EXPECT(id > last);
            EXPECT_EQ(strlen(cJSON_GetObjectItem(row, "hash")->valuestring), 2 * AUDIT_HASH_BYTES);
            last = id;
        }
        arena_close(&a);
        n++;
    }
    return n;
}

TEST(the_export_holds_every_row_once) {
    begin();
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export", ROOT, NULL), 200);
    EXPECT_EQ(lines_of_stream(), storage_number("SELECT count(*) FROM audit"));
    EXPECT(str_eq(str_from_c(fake.type), S("application/x-ndjson")));
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export?action=test.made&result=ok", ROOT, NULL), 200);
    EXPECT_EQ(lines_of_stream(), 64);
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export?at__lt=x", ROOT, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export", ADA, NULL), 403);
    /* A client that goes away, and an answer that cannot begin. */
    whole.write_rc = RC_CLOSED;
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export", ROOT, NULL), 200);
    EXPECT(fake.closed); /* a cut export must not look whole */
    whole.write_rc = RC_NO_MEMORY;
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export", ROOT, NULL), 503);
    whole.write_rc = RC_OK;
}

TEST(the_verdict_names_the_first_touched_row) {
    struct db_txn *t;
    begin();
    EXPECT_EQ(ask(HTTP_GET, LOGS "/verify", ROOT, NULL), 200);
    EXPECT(body_has("\"intact\":true") && body_has("\"first_bad_row\":null"));
    EXPECT(whole_int("rows") > 128);
    EXPECT_EQ(ask(HTTP_GET, LOGS "/verify", ADA, NULL), 403);
    /* Whoever owns the disk can drop the triggers, but not mend the chain. */
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "DROP TRIGGER audit_no_update"));
    EXPECT_OK(db_run(t, "UPDATE audit SET actor='nobody' WHERE id=40"));
    EXPECT_OK(db_write_commit(t));
    EXPECT_EQ(ask(HTTP_GET, LOGS "/verify", ROOT, NULL), 200);
    EXPECT(body_has("\"intact\":false"));
    EXPECT_EQ(whole_int("first_bad_row"), 40);
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "UPDATE audit SET hash=x'00' WHERE id=40"));
    EXPECT_OK(db_write_commit(t));
    EXPECT_EQ(ask(HTTP_GET, LOGS "?action=test.made&limit=100", ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, LOGS "/export", ROOT, NULL), 200); /* readable all the same */
}
