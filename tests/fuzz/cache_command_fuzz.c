/* SPDX-License-Identifier: Apache-2.0 */
/* cache_command_fuzz.c — sequences of commands of up to three clients. The input is inline
 * commands, one per line, split as the wire does; a digit and '>' before one says whose it is.
 * Whatever they are: each reply is RESP to its last byte, a command that does not wait answers
 * exactly once, all data is counted, and when everything has been deleted no memory is left. */
#include "tests/cache.h"

#undef CHECK
#define CHECK(e) ((e) ? (void)0 : abort()) /* libFuzzer keeps the input of an abort */

/* How many replies lie in raw, pushes aside; -1: it is not RESP. */
static int replies(const char *raw, size_t n) {
    static char text[1 << 16];
    struct cache_view v = {raw, raw + n, text, sizeof text - 8, false};
    int count = 0;
    while (v.at < v.end && !v.broken) {
        count += *v.at != '>';
        v.to = text;
        v.room = sizeof text - 8;
        cache_view_one(&v, 0);
    }
    return v.broken ? -1 : count;
}

static bool quiet(const struct client *c) {
    return c->reply != REPLY_ON || c->closing || c->dead || c->held || c->monitor ||
           pubsub_count(c) || c->channels.count;
}

/* Answers once per channel, and to RESP3 by pushes alone. */
static bool leaves(str word) {
    return str_eq_nocase(word, S("unsubscribe")) || str_eq_nocase(word, S("punsubscribe")) ||
           str_eq_nocase(word, S("sunsubscribe"));
}

/* It stops the clock of the test. */
static bool left_out(str line) { return str_eq_nocase(str_take(line, 5), S("debug")); }

static void one(str line) {
    static char words[4096];
    static struct span span[64];
    static str argv[64];
    struct client *c = cache_client_numbered(0);
    u32 argc = 0;
    size_t n;
    if (line.len > 2 && line.ptr[1] == '>' && line.ptr[0] >= '0' && line.ptr[0] <= '2') {
        c = cache_client_numbered((u32)(line.ptr[0] - '0'));
        line = str_skip(line, 2);
    }
    if (line.len >= sizeof words || left_out(str_trim(line))) return;
    if (resp_unquote(line, words, span, ARRAY_LEN(span), &argc) || !argc) return;
    for (u32 i = 0; i < argc; i++) argv[i] = str_of(words + span[i].at, span[i].len);
    if (c->held || c->closing || c->dead || (leaves(argv[0]) && c->in_multi)) return;
    bool before = quiet(c) || leaves(argv[0]);
    cache_forget(c);
    cache_run(c, argc, argv);
    char *raw = cache_raw(c, &n);
    if (!before && !quiet(c)) CHECK(raw != NULL);
    if (raw) {
        int got = replies(raw, n);
        CHECK(got >= 0);
        if (!before && !quiet(c) && c->resp >= 3) CHECK(got >= 1);
        if (!before && !quiet(c) && c->resp < 3) CHECK(got == 1);
    }
    free(raw);
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    cache_test_open();
    size_t before = cache_used();
    str rest = str_of((const char *)bytes, n), line;
    if (n > 8192) return 0;
    cache_random_seed(1);
    while (rest.len && str_split(&rest, '\n', &line)) one(line);
    cache_clients_close();
    settings.slowlog_us = -1;
    for (u32 i = 0; i < CACHE_DATABASES; i++) {
        dict_check(&databases[i].dict);
        keys_flush(&databases[i]);
    }
    while (lazy_run(UINT64_MAX)) {}
    struct client *c = cache_client_numbered(0);
    (void)cache_do(c, "SLOWLOG RESET");
    (void)cache_do(c, "ACL LOG RESET");
    (void)cache_do(c, "CLIENT UNPAUSE");
    cache_clients_close();
    notify_mask = 0;
    acl_open(true);
    CHECK(cache_used() == before);
    return 0;
}
