/* SPDX-License-Identifier: Apache-2.0 */
/* policies_index_test.c — the search index follows: nothing acknowledged is missed, whatever
 * happens between a commit and its batch. The database is real, on a simulated disk. */
#include "app/policies/index.c"
#include "app/id.h"
#include "kernel/core/worker.h"
#include "tests/storage.h"

/* ---- Documents ------------------------------------------------------------------------------- */

static struct actor someone = {.user_id = {"u", 1}, .email = {"u@example.org", 13}};

static void open_tables(void) {
    static const struct db_schema *const schemas[] = {&policies_schema, NULL};
    struct volume v;
    struct diag why = {0};
    rc_t rc = volume_open(&v, &why);
    if (!rc) rc = db_open(&v, schemas, &why);
    if (rc) test_fail(__FILE__, __LINE__, "%s: %s", rc_name(rc), why.text);
    memset(&state, 0, sizeof state); /* what a start knows */
    EXPECT_OK(search_index_start(&why));
}
static void run(void (*fn)(void *)) {
    static const struct sim_options machine = {
        .seed = 3, .worker_count = 1, .disk_count = 1, .disk_bytes = MIB(48)};
    storage_begin(&machine);
    EXPECT_OK(worker_init());
    open_tables();
    storage_fiber(fn, NULL);
    storage_run();
    search_index_stop();
    db_close();
    sim_stop();
}
static void restart(void) { /* what was not entered before stays missing on the disk */
    search_index_stop();
    db_close();
    open_tables();
}

struct held { /* keeps the bytes a policy points to */
    struct policy p;
    char id[ID_ROOM], title[64];
};

static void fill(struct held *h, const char *title) {
    snprintf(h->title, sizeof h->title, "%s", title);
    h->p.title = str_from_c(h->title);
}
static void put(struct held *h, const char *title) {
    struct db_txn *t;
    h->p = (struct policy){.summary = S("summary"), .body = S("body"), .category = S(""),
                           .jurisdiction = S(""), .tags = S("[]"), .priority = S("low"),
                           .impact = S("local"), .language = S("en"), .status = S("draft"),
                           .author_id = S("u"), .author = S("u@example.org")};
    fill(h, title);
    EXPECT_OK(id_make(h->id, &h->p.id));
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(policy_insert(t, &h->p));
    EXPECT_OK(db_write_commit(t));
    search_index_later();
}
static void change(struct held *h, const char *title) {
    struct db_txn *t;
    fill(h, title);
    h->p.version++, h->p.revision++, h->p.updated_ns++;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(policy_update(t, &h->p, &someone));
    EXPECT_OK(db_write_commit(t));
    search_index_later();
}
static void drop(const struct held *h) {
    struct db_txn *t;
    EXPECT_OK(db_write_begin(&t));
    EXPECT_OK(policy_delete(t, &h->p));
    EXPECT_OK(db_write_commit(t));
}

static s64 hits(const char *word) {
    char sql[128];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM policy_fts JOIN policy p ON p.num=policy_fts.rowid"
             " WHERE policy_fts MATCH '%s'",
             word);
    return storage_number(sql);
}
/* As a search does it. */
static s64 found(const char *word) {
    EXPECT_OK(search_index_catch_up());
    return hits(word);
}
static bool sound(void) {
    return storage_number("SELECT count(*) FROM policy_stale") == 0 &&
           storage_number("SELECT count(*) FROM policy") ==
               storage_number("SELECT count(*) FROM policy_fts");
}

/* ---- Following ------------------------------------------------------------------------------- */

static void follow_by_itself(void *arg) {
    struct held h;
    (void)arg;
    put(&h, "Wetlands of the north");
    EXPECT_EQ(hits("wetland"), 0); /* the writer was not made to wait */
    fiber_sleep_ms(3 * QUIET_MS);
    EXPECT_EQ(hits("wetland"), 1);
    EXPECT_EQ(state.done, state.asked);
}
TEST(the_index_follows_by_itself) { run(follow_by_itself); }

static void search_does_not_wait(void *arg) {
    struct held h;
    (void)arg;
    put(&h, "Harbours and quays");
    EXPECT_EQ(found("harbour"), 1);
    u64 done = state.done;
    EXPECT_EQ(found("quai"), 1);
    EXPECT_EQ(state.done, done);
    EXPECT(sound());
}
TEST(a_search_finds_what_was_acknowledged) { run(search_does_not_wait); }

static void many(void *arg) {
    static struct held h;
    static char large[200 << 10];
    (void)arg;
    for (int i = 0; i < 3 * BATCH_DOCUMENTS + 1; i++) put(&h, i % 2 ? "Odd number" : "Even number");
    EXPECT_EQ(found("number"), 3 * BATCH_DOCUMENTS + 1);
    memset(large, 'x', sizeof large); /* more than one batch, stems on a worker */
    for (size_t i = 0; i < sizeof large; i += 8) large[i] = ' ';
    for (int i = 0; i < 3; i++) {
        put(&h, "A large one");
        h.p.body = str_of(large, sizeof large);
        change(&h, "A larger one");
    }
    EXPECT_EQ(found("xxxxxxx"), 3);
    EXPECT_EQ(found("larg"), 0);
    EXPECT(sound());
}
TEST(more_than_a_batch) { run(many); }

static void after_a_cut(void *arg) {
    static struct held a, b;
    (void)arg;
    put(&a, "Entered before");
    EXPECT_EQ(found("enter"), 1);
    change(&a, "Changed before");
    put(&b, "Forests and rivers");
    EXPECT_EQ(hits("forest"), 0);
    restart();
    EXPECT_EQ(hits("forest"), 0);
    EXPECT_EQ(found("forest"), 1);
    EXPECT_EQ(found("chang"), 1);
    EXPECT_EQ(found("enter"), 0);
    EXPECT(sound());
    restart();
    fiber_sleep_ms(3 * QUIET_MS); /* nothing is missing: a start enters nothing twice */
    EXPECT_EQ(hits("forest"), 1);
}
TEST(a_cut_before_the_batch_loses_nothing) { run(after_a_cut); }

/* ---- Between the reading and the write of a batch -------------------------------------------- */

static struct batch *half(void) {
    static struct batch b;
    b = (struct batch){0};
    arena_open(&b.arena, NULL, 0, BATCH_MEMORY);
    EXPECT_OK(batch_read(&b));
    EXPECT_OK(batch_stems(&b));
    return &b;
}
static void other_half(struct batch *b) {
    EXPECT_OK(batch_write(b));
    arena_close(&b->arena);
}

static void changed_meanwhile(void *arg) {
    static struct held a, b;
    (void)arg;
    put(&a, "First words");
    struct batch *half_done = half();
    change(&a, "Second words");
    other_half(half_done);
    EXPECT_EQ(found("first"), 0);
    EXPECT_EQ(found("second"), 1);
    change(&a, "Third words"); /* stale now, not new */
    put(&b, "Another one");
    half_done = half();
    change(&a, "Fourth words");
    other_half(half_done);
    EXPECT_EQ(found("third"), 0);
    EXPECT_EQ(found("fourth"), 1);
    EXPECT_EQ(found("anoth"), 1);
    EXPECT(sound());
}
TEST(a_change_during_a_batch) { run(changed_meanwhile); }

static void gone_meanwhile(void *arg) {
    static struct held a, b;
    (void)arg;
    put(&a, "Ghostly words");
    struct batch *half_done = half();
    drop(&a);
    put(&b, "Living words"); /* gets the number that is free again */
    EXPECT_EQ(a.p.num, b.p.num);
    other_half(half_done);
    EXPECT_EQ(found("ghostli"), 0);
    EXPECT_EQ(found("live"), 1);
    drop(&b);
    put(&a, "After all"); /* the same number, known to the index before */
    EXPECT_EQ(a.p.num, b.p.num);
    EXPECT_EQ(found("after"), 1);
    EXPECT_EQ(found("live"), 0);
    EXPECT(sound());
}
TEST(a_deletion_during_a_batch) { run(gone_meanwhile); }

static void crowd_member(void *arg) {
    struct held h;
    char title[32], word[32];
    snprintf(title, sizeof title, "Number n%u here", (unsigned)(uintptr_t)arg);
    snprintf(word, sizeof word, "n%u", (unsigned)(uintptr_t)arg);
    put(&h, title);
    EXPECT_EQ(found(word), 1);
    change(&h, "Nothing to see");
    EXPECT_EQ(found(word), 0);
}
static void crowd(void *arg) {
    (void)arg;
    u32 members = MIN(20u, (u32)DB_WAIT_MAX / 2); /* all may wait at once */
    for (uintptr_t i = 0; i < members; i++) storage_fiber(crowd_member, (void *)i);
}
TEST(many_write_and_search_at_once) {
    run(crowd);
}

static void views(void *arg) {
    static struct held a;
    (void)arg;
    put(&a, "One of three");
    change(&a, "Two of three");
    change(&a, "Three of three");
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy_content WHERE policy=1"), 3);
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy_version"), 2);
    EXPECT_EQ(storage_number("SELECT version FROM policy_content WHERE title='One of three'"), 1);
    EXPECT_EQ(storage_number("SELECT version FROM policy_content WHERE title='Three of three'"), 3);
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy_history WHERE action='create'"), 1);
    drop(&a);
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy_content"), 0);
    EXPECT_EQ(storage_number("SELECT count(*) FROM policy_version"), 0);
}
TEST(versions_before_the_newest_are_rows_of_their_own) { run(views); }
