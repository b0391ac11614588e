/* SPDX-License-Identifier: Apache-2.0 */
/* app_disk_test.c — every change, while the nth write, flush or read of the disk fails, or the
 * disk is full: the client hears 503 or 507 and what was acknowledged is there; when the disk
 * works again the appliance does so too, by itself, with its audit log whole. */
#include "tests/unit/whole.h"

#define POLICIES "/api/v1/policies"

static char made[64]; /* the document steps act on */
static u32 number;

static int change(int which) {
    char target[128], body[256];
    number++;
    snprintf(target, sizeof target, POLICIES "/%s", made);
    switch (which) {
    case 0:
        snprintf(body, sizeof body, "{\"title\":\"Document number %06u\",\"tags\":[\"t%u\"]}",
                 number, number);
        return ask(HTTP_POST, POLICIES, ADA, body);
    case 1:
        snprintf(body, sizeof body, "{\"summary\":\"change %u\"}", number);
        whole.fields[0][0] = "If-Match", whole.fields[0][1] = "*";
        return ask(HTTP_PUT, target, ADA, body);
    case 2:
        snprintf(body, sizeof body, "{\"name\":\"Name %u\"}", number);
        return ask(HTTP_PUT, "/api/v1/auth/me", ADA, body);
    case 3:
        snprintf(body, sizeof body, "{\"value\":\"n%u.example.org\"}", number);
        return ask(HTTP_PUT, "/api/v1/config/tls.names", ROOT, body);
    case 4:
        snprintf(body, sizeof body, "{\"says\":%u}", number);
        return ask(HTTP_PUT, "/v1/data/disk", ROOT, body);
    case 5:
        snprintf(body, sizeof body, "package disk_policy\n\nsays := %u\n", number);
        return ask(HTTP_PUT, "/v1/policies/disk", ROOT, body);
    default:
        snprintf(body, sizeof body, "{\"name\":\"Person %u\",\"email\":\"p%u@example.org\"}",
                 number, number);
        return ask(HTTP_PUT, "/api/v1/auth/users/none", ROOT, body);
    }
}
enum { CHANGES = 6 };
/* What the policy engine answers with is what its last good change said, whatever failed since. */
static u32 engine_says[2];
static void engine_agrees(void) {
    static const char *const places[] = {"/v1/data/disk/says", "/v1/data/disk_policy/says"};
    for (int i = 0; i < 2; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "\"result\":%u", engine_says[i]);
        EXPECT_EQ(ask(HTTP_GET, places[i], ROOT, NULL), 200);
        if (engine_says[i] && !body_has(wanted))
            test_fail(__FILE__, __LINE__, "%s: not %s: %s", places[i], wanted, fake.body);
    }
}

/* Is the change with this number there? */
static bool there(int which, u32 n) {
    static const char *const questions[CHANGES] = {
        "SELECT count(*) FROM policy WHERE title='Document number %06u'",
        "SELECT count(*) FROM policy WHERE summary='change %u'",
        "SELECT count(*) FROM user WHERE name='Name %u'",
        "SELECT count(*) FROM config_value WHERE value='n%u.example.org'",
        "SELECT count(*) FROM rego_revision WHERE CAST(content AS TEXT)='{\"says\":%u}'",
        "SELECT count(*) FROM rego_revision WHERE CAST(content AS TEXT) LIKE '%%says := %u%%'",
    };
    char text[128];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, questions[which], n);
#pragma GCC diagnostic pop
    return storage_number(text) == 1;
}

static void wait_until_well(void) {
    for (int i = 0; i < 600; i++) {
        struct db_status db;
        db_status_get(&db);
        if (db.healthy && change(0) == 201) return;
        whole_run_ms(100);
    }
    test_fail(__FILE__, __LINE__, "the database never became well again");
}
static void begin(void) {
    whole_begin();
    whole_login_again();
    if (made[0]) return;
    EXPECT_EQ(ask(HTTP_POST, POLICIES, ADA, "{\"title\":\"The one to change\"}"), 201);
    EXPECT_OK(str_to_c(whole_text("id"), made, sizeof made));
}

static u32 refused;
/* One change under a fault; what was acknowledged must be there, and afterwards all must work. */
static void suffer(int which, enum disk_verb verb, u64 nth, rc_t rc, bool for_ever) {
    sim_disk_fail(0, verb, nth, rc, for_ever);
    int status = change(which);
    u32 n = number;
    sim_disk_fail(0, verb, 0, RC_OK, false);
    bool good = status == 200 || status == 201 || status == 204;
    if (!good && status != 503 && status != 507)
        test_fail(__FILE__, __LINE__, "change %d, verb %d, operation %llu: %d %s", which, (int)verb,
                  (unsigned long long)nth, status, fake.body);
    refused += !good;
    if (good && which >= 4) engine_says[which - 4] = n;
    wait_until_well();
    if (good) EXPECT(there(which, n));
    engine_agrees();
}

TEST(writes_that_fail) {
    begin();
    for (int which = 0; which < CHANGES; which++)
        for (u64 nth = 1; nth <= 6; nth++)
            for (int for_ever = 0; for_ever < 2; for_ever++)
                suffer(which, DISK_WRITE, nth, RC_IO, for_ever);
    EXPECT(refused >= CHANGES);
}

TEST(flushes_that_fail) {
    begin();
    refused = 0;
    for (int which = 0; which < CHANGES; which++)
        for (u64 nth = 1; nth <= 3; nth++)
            for (int for_ever = 0; for_ever < 2; for_ever++)
                suffer(which, DISK_FLUSH, nth, RC_IO, for_ever);
    EXPECT(refused >= CHANGES);
}

TEST(a_full_disk) {
    begin();
    for (int which = 0; which < CHANGES; which++) {
        sim_disk_full(0, true);
        EXPECT_EQ(change(which), 507);
        u32 n = number;
        EXPECT(!there(which, n));
        EXPECT_EQ(ask(HTTP_GET, POLICIES, ADA, NULL), 200); /* reading goes on */
        engine_agrees();
        sim_disk_full(0, false);
        wait_until_well();
    }
}

/* With nothing cached: the process's caches are dropped by opening the database again. */
static void reopen(void *done) {
    db_close();
    whole_open_database();
    *(bool *)done = true;
}
TEST(reads_that_fail) {
    static const char *const targets[] = {POLICIES,
                                          POLICIES "/stats",
                                          "/api/v1/auth/me",
                                          "/api/v1/auth/users",
                                          "/api/v1/auth/audit-logs",
                                          "/api/v1/config-changes",
                                          "/api/v1/rego/revisions",
                                          "/api/v1/rego/decisions"};
    begin();
    refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(targets); i++)
        for (u64 nth = 1; nth <= 12; nth++) {
            bool done = false;
            storage_fiber(reopen, &done);
            whole_run_until(&done);
            sim_disk_fail(0, DISK_READ, nth, RC_IO, true);
            int status = ask(HTTP_GET, targets[i], ROOT, NULL);
            sim_disk_fail(0, DISK_READ, 0, RC_OK, false);
            if (status != 200 && status != 503)
                test_fail(__FILE__, __LINE__, "%s, read %llu: %d %s", targets[i],
                          (unsigned long long)nth, status, fake.body);
            refused += status == 503;
            wait_until_well();
            EXPECT_EQ(ask(HTTP_GET, targets[i], ROOT, NULL), 200);
        }
    EXPECT(refused >= ARRAY_LEN(targets));
}

TEST(the_log_of_it_all_is_whole) {
    begin();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/audit-logs/verify", ROOT, NULL), 200);
    EXPECT(body_has("\"intact\":true"));
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/system/integrity-check", ROOT, NULL), 200);
    EXPECT(body_has("\"ok\":true"));
    EXPECT_EQ(ask(HTTP_GET, "/readyz", GUEST, NULL), 200);
}
