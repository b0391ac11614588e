/* SPDX-License-Identifier: Apache-2.0 */
/* policies_document_test.c — one document through its life, asked over the whole pipeline: who may,
 * from which revision, and what is refused without a trace. */
#include "app/policies/document.c"
#include "tests/unit/whole.h"

#define POLICIES "/api/v1/policies"

static char path[128]; /* of the document just made */
static const char *under(const char *tail) {
    static char text[160];
    snprintf(text, sizeof text, "%s%s", path, tail);
    return text;
}
static int create(enum who who, const char *body) {
    int status = ask(HTTP_POST, POLICIES, who, body);
    if (status == 201) snprintf(path, sizeof path, POLICIES "/%.*s", STR(whole_text("id")));
    return status;
}
static int step_to(enum who who, const char *status) {
    char body[128];
    snprintf(body, sizeof body, "{\"status\":\"%s\",\"comment\":\"as agreed\"}", status);
    return ask(HTTP_POST, under("/status"), who, body);
}
static void draft(void) {
    whole_begin();
    REQUIRE(create(ADA, "{\"title\":\"Clean Water Act\",\"summary\":\"Rivers\",\"tags\":[\" "
                        "b\",\"A\",\"a\"]}") == 201);
}
static int change(enum who who, const char *etag, const char *body) {
    if (etag) whole.fields[0][0] = "If-Match", whole.fields[0][1] = etag;
    return ask(HTTP_PUT, path, who, body);
}

TEST(a_draft_is_its_authors) {
    draft();
    EXPECT_STR(whole_text("status"), S("draft"));
    EXPECT_STR(whole_text("author"), S("ada@example.org"));
    EXPECT_EQ(whole_int("revision"), 1);
    EXPECT(body_has("\"tags\":[\"a\",\"b\"]")); /* trimmed, lower case, sorted, once */
    EXPECT(header("ETag: \"1\"") && header("Location: /api/v1/policies/"));
    EXPECT_EQ(ask(HTTP_GET, path, ADA, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, path, ROOT, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, path, BOB, NULL), 404); /* it does not exist for him */
    EXPECT_EQ(ask(HTTP_GET, path, GUEST, NULL), 404);
    EXPECT_EQ(change(BOB, "\"1\"", "{\"summary\":\"mine now\"}"), 404);
    EXPECT_EQ(ask(HTTP_DELETE, path, BOB, NULL), 404);
    EXPECT_EQ(ask(HTTP_POST, POLICIES, GUEST, "{\"title\":\"Clean Water Act\"}"), 401);
    whole.fields[0][0] = "If-None-Match", whole.fields[0][1] = "\"1\"";
    EXPECT_EQ(ask(HTTP_GET, path, ADA, NULL), 304);
    EXPECT_EQ(ask(HTTP_GET, POLICIES "/not-an-id", ADA, NULL), 404);
}

TEST(members_are_judged_one_by_one) {
    static const struct {
        const char *body, *code;
        int status;
    } cases[] = {
        {"{}", "member_missing", 422},
        {"{\"title\":\"short\"}", "title_too_short", 422},
        {"{\"title\":\"\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\"}", "title_too_short",
         422},
        {"{\"title\":7}", "member_type", 422},
        {"{\"title\":\"Clean Water Act\",\"status\":\"published\"}", "member_unknown", 422},
        {"{\"title\":\"Clean Water Act\",\"priority\":\"huge\"}", "invalid_choice", 422},
        {"{\"title\":\"Clean Water Act\",\"impact\":\"galactic\"}", "invalid_choice", 422},
        {"{\"title\":\"Clean Water Act\",\"language\":\"de\"}", "invalid_choice", 422},
        {"{\"title\":\"Clean Water Act\",\"language\":7}", "member_type", 422},
        {"{\"title\":\"Clean Water Act\",\"category\":[]}", "member_type", 422},
        {"{\"title\":\"Clean Water Act\",\"tags\":\"a\"}", "tags_invalid", 422},
        {"{\"title\":\"Clean Water Act\",\"tags\":[1]}", "tags_invalid", 422},
        {"{\"title\":\"Clean Water Act\",\"tags\":[\" \"]}", "tags_invalid", 422},
        {"{\"title\":\"Clean Water "
         "Act\",\"tags\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\","
         "\"k\",\"l\",\"m\",\"n\",\"o\",\"p\",\"q\",\"r\",\"s\",\"t\",\"u\"]}",
         "tags_invalid", 422},
        {"{\"title\":\"Clean Water Act\"", "json_invalid", 400},
        {"[]", "object_wanted", 400},
    };
    whole_begin();
    s64 before = storage_number("SELECT count(*) FROM policy");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (create(ADA, cases[i].body) != cases[i].status || !code(cases[i].code))
            test_fail(__FILE__, __LINE__, "%s: %d %s", cases[i].body, fake.status, fake.body);
    char long_tag[200];
    snprintf(long_tag, sizeof long_tag, "{\"title\":\"Clean Water Act\",\"tags\":[\"%0*d\"]}",
             TAG_MAX + 1, 7);
    EXPECT_EQ(create(ADA, long_tag), 422);
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy"), before);
}

TEST(a_change_names_the_revision_it_was_made_from) {
    draft();
    EXPECT_EQ(change(ADA, NULL, "{\"summary\":\"x\"}"), 428);
    EXPECT_EQ(change(ADA, "\"7\"", "{\"summary\":\"x\"}"), 412);
    EXPECT_EQ(change(ADA, "\"1\"", "{\"summary\":\"Rivers\"}"), 200); /* as it was: no version */
    EXPECT_STR(whole_text("version"), S("1.0"));
    EXPECT_EQ(change(ADA, "\"1\"", "{\"priority\":\"loud\"}"), 422);
    EXPECT_EQ(
        change(ADA, "\"1\"",
               "{\"title\":\"Clean Water Act 2\",\"summary\":\"Lakes\",\"category\":\" water \","
               "\"jurisdiction\":\"EU\",\"priority\":\"high\",\"impact\":\"national\","
               "\"language\":\"fr\",\"tags\":[]}"),
        200);
    EXPECT_STR(whole_text("version"), S("1.1"));
    EXPECT_STR(whole_text("category"), S("water"));
    EXPECT(header("ETag: \"2\""));
    EXPECT_EQ(change(ADA, "\"1\"", "{\"summary\":\"late\"}"), 412);
    EXPECT_EQ(change(ROOT, "\"2\"", "{\"summary\":\"Seas\"}"), 200);
    EXPECT_STR(whole_text("author"), S("ada@example.org")); /* the author stays */
}

TEST(the_workflow_is_walked_by_those_who_may) {
    draft();
    EXPECT_EQ(step_to(ADA, "approved"), 403);
    EXPECT_EQ(step_to(ROOT, "approved"), 409);
    EXPECT(code("illegal_step"));
    EXPECT_EQ(step_to(ADA, "nowhere"), 422);
    EXPECT_EQ(ask(HTTP_POST, under("/status"), ADA, "{}"), 422);
    whole.fields[0][0] = "If-Match", whole.fields[0][1] = "\"9\"";
    EXPECT_EQ(step_to(ADA, "under_review"), 412);
    EXPECT_EQ(step_to(ADA, "under_review"), 200);
    EXPECT_EQ(ask(HTTP_GET, path, BOB, NULL), 200);
    EXPECT_EQ(ask(HTTP_GET, path, GUEST, NULL), 404);
    EXPECT_EQ(step_to(ROOT, "rejected"), 200);
    EXPECT_STR(whole_text("approver"), S(ROOT_EMAIL));
    EXPECT_EQ(step_to(ADA, "draft"), 200);
    EXPECT_EQ(step_to(ADA, "under_review"), 200);
    EXPECT_EQ(step_to(ROOT, "approved"), 200);
    EXPECT(!body_has("\"approved_at\":null"));
    EXPECT_EQ(change(ROOT, "\"6\"", "{\"summary\":\"sneaked in\"}"), 409);
    EXPECT(code("not_editable"));
    EXPECT_EQ(ask(HTTP_DELETE, path, ROOT, NULL), 409);
    EXPECT(code("not_a_draft"));
    EXPECT_EQ(ask(HTTP_PUT, under("/status"), ROOT, "{\"status\":\"published\"}"), 200);
    EXPECT_EQ(ask(HTTP_GET, path, GUEST, NULL), 200);
    EXPECT_EQ(step_to(ROOT, "archived"), 200);
    EXPECT_EQ(step_to(ROOT, "draft"), 409);
}

TEST(a_draft_can_go) {
    draft();
    whole.fields[0][0] = "If-Match", whole.fields[0][1] = "\"2\"";
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 412);
    s64 tags = storage_number("SELECT count(*) FROM policy_tag");
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 204);
    EXPECT_EQ(ask(HTTP_GET, path, ADA, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 404);
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy_tag"), tags - 2);
    EXPECT(storage_number("SELECT count(*) FROM audit WHERE action='policy.delete'") > 0);
}

/* Two editors read the same revision; the second to write is told, even past its first check. */
static void write_behind_its_back(void *done) {
    struct request rq = {.x = &fake.x, .http = &fake.request, .arena = &fake.arena};
    struct policy p;
    struct db_txn *t;
    str id = arena_copy(rq.arena, str_skip(str_from_c(path), sizeof POLICIES));
    rq.actor = (struct actor){.user_id = S("x"), .email = S("x@example.org"), .role = S("admin")};
    EXPECT_OK(db_read_begin(&t));
    EXPECT_OK(policy_by_id(t, rq.arena, id, &p));
    db_read_end(t);
    struct policy before = p;
    before.revision++; /* as if it had been read later than it was */
    EXPECT_RC(update_write(&rq, &before, &p), RC_AGAIN);
    EXPECT_RC(status_write(&rq, &before, &p, S("")), RC_AGAIN);
    EXPECT_RC(delete_write(&rq, &before), RC_AGAIN);
    before.id = S("01a1fe00-0000-7000-8000-00000000dead");
    EXPECT_RC(delete_write(&rq, &before), RC_NOT_FOUND);
    *(bool *)done = true;
}

TEST(the_revision_is_checked_again_inside_the_write) {
    bool done = false;
    draft();
    fake_begin(HTTP_GET, path);
    storage_fiber(write_behind_its_back, &done);
    whole_run_until(&done);
    write_failed(&(struct request){.x = &fake.x, .http = &fake.request, .arena = &fake.arena},
                 RC_AGAIN);
    EXPECT_EQ(fake.status, 412);
    fake_begin(HTTP_GET, path);
    write_failed(&(struct request){.x = &fake.x, .http = &fake.request, .arena = &fake.arena},
                 RC_NOT_FOUND);
    EXPECT_EQ(fake.status, 404);
    EXPECT_EQ(ask(HTTP_GET, path, ADA, NULL), 200);
    EXPECT_EQ(whole_int("revision"), 1);
}

TEST(versions_run_out_before_numbers_do) {
    struct db_txn *t;
    draft();
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(db_run(t, "UPDATE policy SET version=?1 WHERE id=?2", DB_INT(VERSIONS_MAX),
                     DB_TEXT(str_skip(str_from_c(path), sizeof POLICIES))));
    EXPECT_OK(db_write_commit(t));
    EXPECT_EQ(change(ADA, "\"1\"", "{\"summary\":\"one more\"}"), 409);
    EXPECT(code("too_many_versions"));
}

/* ---- Versions and their differences --------------------------------------------------------- */

TEST(versions_are_kept_and_compared) {
    draft();
    EXPECT_EQ(change(ADA, "\"1\"", "{\"body\":\"one\\ntwo\\nthree\\n\"}"), 200);
    EXPECT_EQ(
        change(ADA, "\"2\"",
               "{\"body\":\"one\\n2\\nthree\\n\",\"title\":\"Cleaner Water Act\",\"summary\":\"s\","
               "\"category\":\"c\",\"jurisdiction\":\"j\",\"priority\":\"low\",\"impact\":"
               "\"national\","
               "\"language\":\"fr\",\"tags\":[\"z\"]}"),
        200);
    EXPECT_EQ(ask(HTTP_GET, under("/versions"), ADA, NULL), 200);
    EXPECT_EQ(whole_int("total"), 3);
    EXPECT_EQ(whole_items(), 3);
    EXPECT(!body_has("\"body\""));
    EXPECT_EQ(ask(HTTP_GET, under("/versions?limit=1&offset=1"), ADA, NULL), 200);
    EXPECT(body_has("\"version\":\"1.1\"") && body_has("offset=2"));
    EXPECT_EQ(ask(HTTP_GET, under("/versions/1.1"), ADA, NULL), 200);
    EXPECT_STR(whole_text("body"), S("one\ntwo\nthree\n"));
    EXPECT_EQ(ask(HTTP_GET, under("/versions/1.9"), ADA, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, under("/versions/latest"), ADA, NULL), 404);
    EXPECT(code("version_not_found"));
    EXPECT_EQ(ask(HTTP_GET, under("/versions"), BOB, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, under("/versions/1.1"), BOB, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, under("/versions?limit=0"), ADA, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, under("/diff"), ADA, NULL), 200);
    EXPECT_STR(whole_text("from"), S("1.1"));
    EXPECT_EQ(whole_int("added"), 1);
    EXPECT_EQ(whole_int("removed"), 1);
    EXPECT_EQ(cJSON_GetArraySize(whole_member("fields")), 8);
    EXPECT_EQ(ask(HTTP_GET, under("/diff?from=1.0&to=1.1"), ADA, NULL), 200);
    EXPECT_EQ(whole_int("added"), 3);
    EXPECT_EQ(cJSON_GetArraySize(whole_member("fields")), 0);
    EXPECT_EQ(ask(HTTP_GET, under("/diff?from=1.8"), ADA, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, under("/diff?to=newest"), ADA, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, under("/diff?from=1"), ADA, NULL), 400);
    EXPECT_EQ(ask(HTTP_GET, under("/diff"), BOB, NULL), 404);
}

TEST(the_history_tells_who_did_what) {
    draft();
    EXPECT_EQ(step_to(ADA, "under_review"), 200);
    EXPECT_EQ(ask(HTTP_GET, under("/history"), ADA, NULL), 200);
    EXPECT_EQ(whole_int("total"), 2);
    EXPECT(body_has("\"action\":\"status\"") && body_has("\"comment\":\"as agreed\""));
    EXPECT(body_has("\"from\":\"draft\",\"to\":\"under_review\""));
    EXPECT_EQ(ask(HTTP_GET, under("/history?limit=1"), BOB, NULL), 200);
    EXPECT_EQ(whole_items(), 1);
    EXPECT_EQ(ask(HTTP_GET, under("/history"), GUEST, NULL), 404);
    EXPECT_EQ(ask(HTTP_GET, under("/history?page=2"), ADA, NULL), 400);
}
