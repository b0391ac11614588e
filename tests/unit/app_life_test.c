/* SPDX-License-Identifier: Apache-2.0 */
/* app_life_test.c — the whole program on the simulated machine, life after life: requests over a
 * bad wire, a disk that fails, clean stops, kills and power cuts. What a client was told is true in
 * every life that follows: each acknowledged change is there, the audit chain is intact, the
 * database is well, and the same seed does it all again, event for event.
 *
 * SEEDS=n runs so many seeds (4); SEED=n begins there, and is what a failure prints: `make sim`. */
#include "app/main.c"
#include "tests/unit/life.h"
#include <stdlib.h>
#include <unistd.h>

#define POLICIES "/api/v1/policies"

/* ---- Starting and stopping ------------------------------------------------------------------- */

static void ask_a_little(void *arg) {
    (void)arg;
    LIFE_EXPECT(life_ask("GET", "/healthz", NULL, NULL, NULL) == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", "/readyz", NULL, NULL, NULL) == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", POLICIES, NULL, NULL, NULL) == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", "/nowhere", NULL, NULL, NULL) == 404, "%s", client.answer);
    LIFE_EXPECT(life_login() == 200, "%s", client.answer);
    struct buf out;
    buf_open(&out, 8192);
    run_status(S(""), &out);
    LIFE_EXPECT(str_find(buf_str(&out), S("192.0.2.2")) < buf_str(&out).len, "%s",
                "the screen has no address");
    run_stop(S(""), &out);
    buf_close(&out);
}

TEST(it_starts_answers_and_stops) {
    life_machine(1);
    EXPECT_EQ(life_run(ask_a_little, NULL, 60), 0);
    life_judge(__FILE__, __LINE__, 1);
    EXPECT(strstr(record->console, "OpenPolicy Appliance") &&
           strstr(record->console, "http://192.0.2.2/"));
    EXPECT(strstr(record->console, "first answer") && strstr(record->console, "Stopped."));
    u64 first = record->trace;
    life_machine(1);
    EXPECT_EQ(life_run(ask_a_little, NULL, 60), 0);
    EXPECT_EQ(record->trace, first); /* event for event the same */
    life_machine(2);
    EXPECT_EQ(life_run(ask_a_little, NULL, 60), 0);
    EXPECT(record->trace != first);
    life_over();
}

static void restart_by_api(void *arg) {
    (void)arg;
    LIFE_EXPECT(life_login() == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("POST", "/api/v1/system/restart", record->token, NULL, NULL) == 202, "%s",
                client.answer);
    fiber_sleep_ms(20000);
    life_end(1); /* it should have gone long since */
}
static void power_button(void *arg) {
    (void)arg;
    LIFE_EXPECT(life_ask("GET", "/healthz", NULL, NULL, NULL) == 200, "%s", client.answer);
    life_stop();
    fiber_sleep_ms(20000);
    life_end(1);
}
TEST(a_restart_and_the_power_button) {
    life_machine(3);
    EXPECT_EQ(life_run(restart_by_api, NULL, 60), 75);
    EXPECT_EQ(life_run(power_button, NULL, 60), 0);
    life_judge(__FILE__, __LINE__, 3);
    life_over();
}

/* ---- A disk that is not ours, then is -------------------------------------------------------- */

static u8 *foreign;
static void without_storage(void *arg) {
    (void)arg;
    LIFE_EXPECT(life_ask("GET", "/healthz", NULL, NULL, NULL) == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", "/readyz", NULL, NULL, NULL) == 503, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", POLICIES, NULL, NULL, NULL) == 503, "%s", client.answer);
    LIFE_EXPECT(life_login() == 503, "%s", client.answer);
    fiber_sleep_ms(4000); /* it looks again and again, and says it once */
    const char *said = strstr(record->console, "STORAGE NOT AVAILABLE");
    LIFE_EXPECT(said && !strstr(said + 1, "STORAGE NOT AVAILABLE"), "%s", record->console);
    LIFE_EXPECT(memcmp(sim_disk_bytes(0), foreign, LIFE_DISK_BYTES) == 0, "%s",
                "the foreign disk was written");
    memset(foreign, 0, LIFE_DISK_BYTES); /* the operator blanks it */
    sim_disk_load(0, foreign);
    for (int i = 0; i < 100 && life_ask("GET", "/readyz", NULL, NULL, NULL) != 200; i++)
        fiber_sleep_ms(100);
    LIFE_EXPECT(strstr(record->console, "Storage is available now."), "%s", record->console);
    LIFE_EXPECT(life_login() == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", POLICIES, record->token, NULL, NULL) == 200, "%s", client.answer);
    life_stop();
}
TEST(a_foreign_disk_is_refused_until_it_is_blank) {
    life_machine(4);
    foreign = sim_shared_alloc(LIFE_DISK_BYTES);
    for (size_t i = 0; i < LIFE_DISK_BYTES; i++) foreign[i] = (u8)(i * 31 >> 8);
    sim_disk_load(0, foreign);
    EXPECT_EQ(life_run(without_storage, NULL, 60), 0);
    life_judge(__FILE__, __LINE__, 4);
    life_over();
}

/* ---- The last panic is shown ----------------------------------------------------------------- */

static void look_for_panic(void *arg) {
    (void)arg;
    LIFE_EXPECT(life_login() == 200, "%s", client.answer);
    LIFE_EXPECT(life_ask("GET", "/api/v1/logs?limit=1000", record->token, NULL, NULL) == 200, "%s",
                client.answer);
    /* A ring of a few lines is full of the record's: then the console has it. */
    const char *told = LOG_RING_BYTES < KIB(64) ? record->console : client.body;
    LIFE_EXPECT(strstr(told, "the last run ended in a panic") && strstr(told, "told to panic"),
                "%s", told);
    life_stop();
}
static void panic_now(void *arg) {
    (void)arg;
    LIFE_EXPECT(life_ask("GET", "/healthz", NULL, NULL, NULL) == 200, "%s", client.answer);
    panic("told to panic");
}
TEST(a_panic_is_told_by_the_next_life) {
    life_machine(5);
    EXPECT(life_run(panic_now, NULL, 60) != 0);
    EXPECT_EQ(life_run(look_for_panic, NULL, 60), 0);
    life_judge(__FILE__, __LINE__, 5);
    life_over();
}

/* ---- Many lives of many seeds ---------------------------------------------------------------- */

enum { DOCUMENTS = 48, CANDIDATES = 6, LIVES = 6, STEPS = 24 };

/* What is written: a policy document, a document of the policy engine's data, or a Rego policy.
 * Each says a number, changed again and again. */
enum kind { DOCUMENT, DATA, REGO, KINDS };

/* What clients were told. A change without an answer may or may not have happened. */
static struct ledger {
    u32 count, life, acknowledged, unknown, checked, of_kind[KINDS];
    struct document {
        enum kind kind;
        char id[40];
        u32 may[CANDIDATES]; /* it says one of these numbers; [0] was acknowledged */
        u32 may_count;
    } documents[DOCUMENTS];
    u32 number;        /* of the newest change tried */
    char trouble[256]; /* what this life does, for the report */
} * ledger;
static bool lying; /* the disk of these lives says yes to flushes and does nothing */

static void note(const char *word) {
    size_t n = strlen(ledger->trouble);
    snprintf(ledger->trouble + n, sizeof ledger->trouble - n, "%s ", word);
}

static bool signed_in(void) {
    if (life_ask("GET", "/api/v1/auth/me", record->token, NULL, NULL) == 200) return true;
    for (int i = 0; i < 20; i++) {
        int status = life_login();
        if (status == 200) return true;
        LIFE_EXPECT(status == 0 || status == 503 || status == 507 || status == 429, "login: %d %s",
                    status, client.body);
        fiber_sleep_ms(500);
    }
    return false;
}

/* Where a document is read and written. */
static const char *place(const struct document *d, bool reading) {
    static char target[96];
    if (d->kind == DATA)
        snprintf(target, sizeof target, "/v1/data/life/%s", d->id);
    else if (d->kind == REGO && reading)
        snprintf(target, sizeof target, "/v1/data/life_%s/says", d->id);
    else if (d->kind == REGO)
        snprintf(target, sizeof target, "/v1/policies/%s", d->id);
    else
        snprintf(target, sizeof target, POLICIES "/%s", d->id);
    return target;
}
/* Text that makes it say n; the names of the engine's things do not come from the server. */
static const char *text(const struct document *d, u32 n) {
    static char body[512];
    int fill = (int)sim_random(200);
    if (d->kind == DATA)
        snprintf(body, sizeof body, "{\"says\":%u,\"fill\":\"%*s\"}", n, fill, "x");
    else if (d->kind == REGO)
        snprintf(body, sizeof body, "package life_%s\n\n# %*s\nsays := %u\n", d->id, fill, "x", n);
    else if (d->id[0])
        snprintf(body, sizeof body, "{\"summary\":\"%u\"}", n);
    else
        snprintf(body, sizeof body,
                 "{\"title\":\"Document number %06u\",\"summary\":\"%u\",\"body\":\"%*s\"}", n, n,
                 fill, "x");
    return body;
}
static u32 says(const struct document *d) {
    const char *name = d->kind == DOCUMENT ? "summary" : d->kind == DATA ? "says" : "result";
    return (u32)strtoul(life_member(name), NULL, 10);
}
static bool busy(int status) {
    return status == 0 || status == 503 || status == 507 || status == 401;
}

static void create(void) {
    if (ledger->count == DOCUMENTS) return;
    u32 n = ++ledger->number;
    struct document *d = &ledger->documents[ledger->count];
    *d = (struct document){.kind = (enum kind)sim_random(KINDS), .may = {n}, .may_count = 1};
    if (d->kind != DOCUMENT) snprintf(d->id, sizeof d->id, "n%u", n);
    bool post = d->kind == DOCUMENT;
    int status = life_ask(post ? "POST" : "PUT", post ? POLICIES : place(d, false), record->token,
                          NULL, text(d, n));
    if (status == (post ? 201 : d->kind == DATA ? 204 : 200)) {
        if (post) snprintf(d->id, sizeof d->id, "%.39s", life_member("id"));
        ledger->of_kind[d->kind]++;
        ledger->count++; /* last: a cut in between may find it or not */
        ledger->acknowledged++;
    } else {
        LIFE_EXPECT(busy(status), "create: %d %s", status, client.body);
        ledger->unknown++;
    }
}

/* It is `n` now. A request nobody waits for any more may still be carried out in this life: what
 * has no answer stays possible until the machine has started again (`settled`). */
static void is_now(struct document *d, u32 n, bool settled) {
    u32 kept = 1;
    for (u32 i = 1; i < d->may_count && !settled; i++)
        if (d->may[i] != n) d->may[kept++] = d->may[i];
    d->may[0] = n, d->may_count = kept;
}

static void change(struct document *d) {
    if (d->may_count == CANDIDATES) return;
    u32 n = ++ledger->number;
    d->may[d->may_count++] = n; /* before it is sent: a cut may come at any moment */
    int status = life_ask("PUT", place(d, false), record->token,
                          d->kind == DOCUMENT ? "If-Match: *" : NULL, text(d, n));
    if (status == 200 || status == 204) {
        is_now(d, n, false);
        ledger->acknowledged++;
    } else {
        LIFE_EXPECT(busy(status), "change %s: %d %s", d->id, status, client.body);
        ledger->unknown++;
    }
}

/* true: it was read, and what it says is something it may say. */
static bool check(struct document *d, bool settled) {
    int status = life_ask("GET", place(d, true), record->token, NULL, NULL);
    if (busy(status)) return false;
    LIFE_EXPECT(status == 200, "life %u (%s): %s: %d %s", ledger->life, ledger->trouble, d->id,
                status, client.body);
    u32 n = says(d);
    bool fine = false;
    for (u32 i = 0; i < d->may_count; i++) fine |= d->may[i] == n;
    LIFE_EXPECT(fine, "life %u (%s): %s says %u, not %u (of %u): %s", ledger->life, ledger->trouble,
                d->id, n, d->may[0], d->may_count, client.body);
    is_now(d, n, settled); /* what was read is committed */
    ledger->checked++;
    return true;
}

/* With wire and disk well: all that was promised. */
static void check_everything(void) {
    LIFE_EXPECT(signed_in(), "%s", "nobody can log in");
    for (u32 i = 0; i < ledger->count && !record->failures; i++) {
        bool read = false;
        for (int tries = 0; tries < 50 && !read; tries++) {
            read = check(&ledger->documents[i], true);
            if (!read && !record->failures) {
                fiber_sleep_ms(200);
                (void)signed_in();
            }
        }
        LIFE_EXPECT(read, "life %u (%s): document %u cannot be read: %s", ledger->life,
                    ledger->trouble, i, client.body);
    }
    LIFE_EXPECT(life_ask("GET", "/api/v1/auth/audit-logs/verify", record->token, NULL, NULL) ==
                        200 &&
                    strstr(client.body, "\"intact\":true"),
                "%s", client.body);
    LIFE_EXPECT(life_ask("POST", "/api/v1/system/integrity-check", record->token, NULL, NULL) ==
                        200 &&
                    strstr(client.body, "\"ok\":true"),
                "%s", client.body);
    LIFE_EXPECT(life_ask("GET", "/api/v1/auth/audit-logs?action=policy.create&limit=1",
                         record->token, NULL, NULL) == 200 &&
                    strtoul(life_member("total"), NULL, 10) >= ledger->of_kind[DOCUMENT],
                "%u documents: %s", ledger->count, client.body);
}

static void make_trouble(void) {
    struct sim_wire in = {0}, out = {0};
    switch (sim_random(9)) {
    case 0:
        note("bad-wire");
        in = (struct sim_wire){
            .loss = 80, .duplicate = 50, .reorder = 100, .corrupt = 50, .truncate = 20};
        out = in;
        break;
    case 1: note("slow-wire"), in.delay_ns_max = out.delay_ns_max = 80 * NS_PER_MS; break;
    case 2:
        note("write-fails"), sim_disk_fail(0, DISK_WRITE, 1 + sim_random(8), RC_IO, sim_random(2));
        break;
    case 3:
        note("flush-fails"), sim_disk_fail(0, DISK_FLUSH, 1 + sim_random(4), RC_IO, sim_random(2));
        break;
    case 4: note("read-fails"), sim_disk_fail(0, DISK_READ, 1 + sim_random(8), RC_IO, false); break;
    case 5: note("full"), sim_disk_full(0, true); break;
    case 6: note("stall"), sim_disk_stall(0, sim_random(5 * NS_PER_S)); break;
    case 7:
        note("garbage"), (void)life_ask("BREW", "/%%", NULL, "Transfer-Encoding: lies", "x");
        break;
    default:
        note("clock"), sim_wall_step((s64)sim_random(3600 * NS_PER_S) - (s64)(600 * NS_PER_S));
        break;
    }
    sim_wire_set(&in, &out);
}
static void end_trouble(void) {
    struct sim_wire well = {0};
    sim_wire_set(&well, &well);
    for (int verb = DISK_READ; verb <= DISK_FLUSH; verb++)
        sim_disk_fail(0, (enum disk_verb)verb, 0, RC_OK, false);
    sim_disk_full(0, false);
}

static void one_life(void *arg) {
    bool last = arg != NULL;
    check_everything();
    if (last) {
        life_stop();
        return;
    }
    sim_disk_lie(0, lying);
    if (sim_random(2)) note("cut"), sim_disk_cut_at(0, 1 + sim_random(120));
    for (u32 i = 0; i < STEPS && !record->failures; i++) {
        if (i % 6 == 1) make_trouble();
        if (i % 6 == 5) end_trouble();
        u64 pick = sim_random(10);
        if (pick < 3 || !ledger->count)
            create();
        else if (pick < 8)
            change(&ledger->documents[sim_random(ledger->count)]);
        else if (pick < 9)
            (void)check(&ledger->documents[sim_random(ledger->count)], false);
        else
            (void)life_ask("GET", POLICIES "/search?q=document", record->token, NULL, NULL);
        if (life_ask("GET", "/api/v1/auth/me", record->token, NULL, NULL) == 401)
            (void)life_login();
    }
    end_trouble();
    if (sim_random(3) == 0) note("kill"), life_end(7);
    life_stop();
    fiber_sleep_ms(30000);
    life_end(1); /* it did not stop */
}

/* All lives of one seed; a mark of everything that happened. With a disk whose flushes do nothing,
 * what is found wrong is counted instead, and the lives end there. */
static u32 found;
static u64 many_lives(u64 seed) {
    life_machine(seed);
    ledger = sim_shared_alloc(sizeof *ledger);
    u64 mark = 0;
    for (ledger->life = 0; ledger->life <= LIVES; ledger->life++) {
        bool last = ledger->life == LIVES;
        ledger->trouble[0] = 0;
        int status = life_run(one_life, last ? record : NULL, 240);
        bool ended_well = status == 0 || status == SIM_CUT || status == 7;
        if (lying && (!ended_well || record->failures)) {
            found++;
            break;
        }
        if (!ended_well)
            test_fail(__FILE__, __LINE__, "seed %llu, life %u (%s): ended with %d\n%s",
                      (unsigned long long)seed, ledger->life, ledger->trouble, status,
                      record->console);
        life_judge(__FILE__, __LINE__, seed);
        if (status == 7) sim_disk_cut(0, seed); /* the plug was pulled, too */
        mark = mark * 31 + sim_trace_hash() + (u64)status;
    }
    mark = mark * 31 + ledger->acknowledged * 1000003u + ledger->unknown;
    printf("seed %llu: %u requests, %u answers; %u changes acknowledged, %u unknown, %u reads "
           "checked\n",
           (unsigned long long)seed, record->requests, record->answers, ledger->acknowledged,
           ledger->unknown, ledger->checked);
    if (!lying) EXPECT(ledger->acknowledged > 10 && ledger->checked > 20);
    life_over();
    alarm(60); /* each seed has its own minute */
    return mark;
}

TEST(what_was_acknowledged_stays) {
    const char *seeds = getenv("SEEDS");
    u64 n = seeds ? strtoull(seeds, NULL, 10) : 4;
    for (u64 i = 0; i < n; i++) (void)many_lives(test_seed() + i);
}

TEST(the_same_seed_does_it_all_again) {
    u64 first = many_lives(test_seed());
    EXPECT_EQ(many_lives(test_seed()), first);
}

TEST(a_disk_that_lies_about_flushes_is_found_out) {
    lying = true;
    for (u64 i = 0; i < 8 && !found; i++) (void)many_lives(test_seed() + i);
    lying = false;
    EXPECT(found > 0);
}
