/* SPDX-License-Identifier: Apache-2.0 */
/* cache_command_test.c — the commands, by conversations kept in cache_cases/: what a Redis 7.0.15
 * answered to the same words (recorded by tests/tools/cache_cases.py), and for what it does not
 * have, what our documentation promises.
 *
 *   # a comment
 *   SET k v              to client 0; `2> GET k` to client 2
 *   = +OK                the reply, as tests/cache.h writes it; `= *` any; `=` none (it waits)
 *   2= >3 [...]          what client 2 was told meanwhile
 *
 * Each file begins with nothing: no keys, new clients, default settings. Afterwards everything is
 * deleted, and no memory may be left. */
#include "tests/cache.h"
#include "tests/test.h"

static char file_text[1 << 20];

static str file_read(const char *name) {
    char path[256];
    (void)snprintf(path, sizeof path, "tests/unit/cache_cases/%s.txt", name);
    FILE *f = fopen(path, "re");
    if (!f) return (str){0};
    size_t n = fread(file_text, 1, sizeof file_text, f);
    (void)fclose(f);
    return str_of(file_text, n);
}

/* Numbers of clients differ from run to run: ":ID" stands for one. An error may end in "*": limits
 * are named in it. */
static bool reply_fits(str want, str got) {
    size_t id = str_find(want, S(":ID "));
    if (str_eq(want, S("*"))) return true;
    if (str_starts(want, S("-")) && str_ends(want, S(" *")))
        return str_starts(got, str_take(want, want.len - 1));
    if (id == want.len) return str_eq(want, got);
    if (!str_eq(str_take(want, id), str_take(got, id))) return false;
    str rest = str_skip(got, id);
    return reply_fits(str_skip(want, id + 3), str_skip(rest, str_find_byte(rest, ' ')));
}

/* "2> word" and "2= text": the client's number; else 0, and the line as it is. */
static u32 addressed(str *line, char mark) {
    if (line->len > 1 && line->ptr[0] >= '0' && line->ptr[0] <= '9' && line->ptr[1] == mark) {
        u32 n = (u32)(line->ptr[0] - '0');
        *line = str_trim(str_skip(*line, 2));
        return n;
    }
    return 0;
}

/* Every file leaves nothing behind. */
static void all_gone(const char *name, size_t before) {
    cache_clients_close();
    for (u32 i = 0; i < CACHE_DATABASES; i++) keys_flush(&databases[i]);
    while (lazy_run(UINT64_MAX)) {}
    notify_mask = 0;
    struct client *c = cache_client_numbered(0);
    (void)cache_do(c, "SLOWLOG RESET");
    (void)cache_do(c, "ACL LOG RESET");
    cache_clients_close();
    acl_open(true);
    if (cache_used() != before)
        test_fail(name, 0, "%lld bytes are left", (long long)cache_used() - (long long)before);
}

static void conversation(const char *name) {
    cache_test_open();
    size_t before = cache_used();
    str rest = file_read(name), line;
    u32 number = 0, replies = 0;
    char asked[200] = "";
    if (!rest.len) test_fail(name, 0, "the file is missing");
    while (rest.len && str_split(&rest, '\n', &line)) {
        number++;
        line = str_trim(line);
        if (!line.len || line.ptr[0] == '#') continue;
        bool reply = line.ptr[0] == '=' || (line.len > 1 && line.ptr[1] == '=');
        if (!reply) {
            struct client *c = cache_client_numbered(addressed(&line, '>'));
            (void)snprintf(asked, sizeof asked, "%.*s", STR(str_take(line, 180)));
            cache_send(c, line);
            continue;
        }
        u32 who = line.ptr[0] == '=' ? 0 : addressed(&line, '=');
        if (line.ptr[0] == '=' && !who) line = str_trim(str_skip(line, 1));
        str got = str_trim(cache_heard(cache_client_numbered(who)));
        replies++;
        if (!reply_fits(line, got))
            test_fail(name, (int)number, "%s\n   answers %.*s\n   not     %.*s", asked,
                      STR(str_take(got, 2000)), STR(str_take(line, 2000)));
    }
    EXPECT(replies > 0);
    all_gone(name, before);
}

#define CONVERSATION(name)                                                                         \
    TEST(name) { conversation(#name); }
CONVERSATION(string)
CONVERSATION(list)
CONVERSATION(set)
CONVERSATION(hash)
CONVERSATION(zset)
CONVERSATION(keyspace)
CONVERSATION(transaction)
CONVERSATION(pubsub)
CONVERSATION(stream)
CONVERSATION(geo)
CONVERSATION(acl)
CONVERSATION(server)
CONVERSATION(extra)
