/* SPDX-License-Identifier: Apache-2.0 */
/* rego_memory_test.c — the policy engine's routes while the nth allocation of a request finds no
 * memory, once and for ever: the whole answer, or 503, or 500 that says the evaluation had no more;
 * what was refused changed nothing, what was told is so; nothing is lost (the leak sanitizer looks
 * on). */
#include "tests/unit/whole.h"
#include "app/bundle/bundle.h"

static struct buf archive; /* the body of bundles: bytes, not text */
static bool binary;
static size_t sent;

rc_t http_body_read(struct http_exchange *x, void *to, size_t room, size_t *got) {
    str all = binary ? buf_str(&archive) : fake.request_body;
    (void)x;
    *got = MIN(room, all.len - sent);
    memcpy(to, all.ptr + sent, *got);
    sent += *got;
    return RC_OK;
}

static u32 number; /* of the try: what a change writes */

static void pack_bundle(void) {
    struct heap h;
    struct bundle_files files = {0};
    char data[64];
    snprintf(data, sizeof data, "{\"b\":{\"n\":%u}}", number);
    const char *const entries[][2] = {{"/.manifest", "{\"roots\":[\"b\"],\"revision\":\"r\"}"},
                                      {"/data.json", data},
                                      {"/b/p.rego", "package b\n\np := data.b.n + 1\n"}};
    heap_open(&h, MIB(4));
    buf_close(&archive);
    buf_open(&archive, MIB(4));
    for (u32 i = 0; i < ARRAY_LEN(entries); i++) {
        struct bundle_file f = {.name = str_from_c(entries[i][0]),
                                .bytes = str_from_c(entries[i][1])};
        EXPECT_OK(bundle_files_add(&h, &files, &f));
    }
    EXPECT_OK(bundle_pack(&files, &archive));
    heap_close(&h);
    binary = true;
}

static void put_doomed(void) {
    EXPECT_EQ(ask(HTTP_PUT, "/v1/policies/doomed", ROOT, "package doomed\n\np := 1\n"), 200);
}
static void put_doomed_data(void) {
    EXPECT_EQ(ask(HTTP_PUT, "/v1/data/doomed_data", ROOT, "{\"a\":[1,2,3]}"), 204);
}
static void put_bundle(void) {
    pack_bundle();
    sent = 0;
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/rego/bundles/b", ROOT, NULL), 200);
    binary = false;
}

struct step {
    enum http_method method;
    const char *target, *body; /* %u in the body: the try's number */
    int good;
    void (*prepare)(void);
    const char *seen; /* what it changes, as a document; NULL: nothing */
};

static const struct step writes[] = {
    {HTTP_PUT, "/v1/policies/m",
     "package m\n\nv := %u\n\nf(x) := x + 1\n\ns contains f(i) if some i in [1, 2]\n", 200, NULL,
     "m/v"},
    {HTTP_PUT, "/v1/data/d", "{\"n\":%u,\"list\":[{\"a\":1},{\"a\":2}]}", 204, NULL, "d/n"},
    {HTTP_PATCH, "/v1/data/d", "[{\"op\":\"replace\",\"path\":\"/n\",\"value\":%u},{\"op\":\"add\","
     "\"path\":\"/list/-\",\"value\":{}}]", 204, NULL, "d/n"},
    {HTTP_DELETE, "/v1/policies/doomed", NULL, 200, put_doomed, "doomed/p"},
    {HTTP_DELETE, "/v1/data/doomed_data", NULL, 204, put_doomed_data, "doomed_data"},
    {HTTP_PUT, "/api/v1/rego/bundles/b", NULL, 200, pack_bundle, "b/n"},
    {HTTP_DELETE, "/api/v1/rego/bundles/b", NULL, 204, put_bundle, "b/n"},
};
static const struct step reads[] = {
    {HTTP_POST, "/v1/data/m/s", "{\"input\":{\"user\":\"ada\"}}", 200, NULL, NULL},
    {HTTP_POST, "/v1/data/m?metrics&provenance&pretty", "{\"input\":{\"n\":%u}}", 200, NULL, NULL},
    {HTTP_POST, "/v1/data/m/v?explain=full", "{\"input\":1}", 200, NULL, NULL},
    {HTTP_POST, "/v0/data/m/v", "{}", 200, NULL, NULL},
    {HTTP_GET, "/v1/data", NULL, 200, NULL, NULL},
    {HTTP_POST, "/v1/query", "{\"query\":\"x := data.m.f(%u); x > 0\"}", 200, NULL, NULL},
    {HTTP_POST, "/v1/compile", "{\"query\":\"data.m.f(input.x) == %u\"}", 200, NULL, NULL},
    {HTTP_GET, "/v1/policies", NULL, 200, NULL, NULL},
    {HTTP_GET, "/v1/policies/m", NULL, 200, NULL, NULL},
    {HTTP_GET, "/v1/status", NULL, 200, NULL, NULL},
    {HTTP_GET, "/v1/config", NULL, 200, NULL, NULL},
    {HTTP_GET, "/api/v1/rego/bundles", NULL, 200, NULL, NULL},
    {HTTP_GET, "/api/v1/rego/revisions", NULL, 200, NULL, NULL},
    {HTTP_POST, "/api/v1/rego/explain", "{\"path\":\"m/v\",\"input\":{\"n\":%u}}", 200, NULL, NULL},
    {HTTP_POST, "/api/v1/rego/profile", "{\"path\":\"m/s\",\"count\":2}", 200, NULL, NULL},
    {HTTP_POST, "/api/v1/rego/replay",
     "{\"policies\":{\"m\":\"package m\\n\\nv := 1\\n\"}}", 200, NULL, NULL},
};

/* The document as it is answered; "" when there is none. */
static void look(const char *path, char to[128]) {
    char target[96];
    snprintf(target, sizeof target, "/v0/data/%s", path);
    int status = ask(HTTP_POST, target, ROOT, "{}");
    EXPECT(status == 200 || status == 404);
    snprintf(to, 128, "%.100s", status == 200 ? fake.body : "");
}

static u64 refused, served;

static bool try_step(const struct step *s, u64 nth, bool for_ever) {
    char body[512] = "", before[128] = "", after[128] = "";
    number++;
    binary = false;
    if (s->prepare) s->prepare();
    bool bytes = binary;
    binary = false;
    if (s->seen) look(s->seen, before);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (s->body) snprintf(body, sizeof body, s->body, number);
#pragma GCC diagnostic pop
    binary = bytes, sent = 0;
    whole.fail_nth = nth, whole.fail_for_ever = for_ever;
    int status = ask(s->method, s->target, ROOT, s->body ? body : NULL);
    whole.fail_nth = 0;
    binary = false;
    bool done = status == s->good, failed = whole.failed != 0;
    refused += !done, served += done;
    bool said = status == 503 || (status == 500 && body_has("the memory allowed for"));
    if (!done && (!said || !failed))
        test_fail(__FILE__, __LINE__, "%.*s %s, allocation %llu%s: %d %s",
                  STR(http_method_name(s->method)), s->target, (unsigned long long)nth,
                  for_ever ? " and all after it" : "", status, fake.body);
    if (s->seen) look(s->seen, after);
    if (s->seen && (strcmp(before, after) != 0) != done)
        test_fail(__FILE__, __LINE__, "%.*s %s, allocation %llu: answered %d, was %s, is %s",
                  STR(http_method_name(s->method)), s->target, (unsigned long long)nth, status,
                  before, after);
    return !failed;
}

static void sweep(const struct step *steps, size_t count) {
    whole_begin();
    whole_login_again();
    for (size_t i = 0; i < count; i++) {
        EXPECT(try_step(&steps[i], 0, false)); /* it works at all */
        for (u64 n = 1; !try_step(&steps[i], n, false); n += 1 + n / 12) {}
        for (u64 n = 1; !try_step(&steps[i], n, true); n += 1 + n / 6) {}
        whole_run_ms(500);
    }
}

TEST(policies_and_data_without_memory) { sweep(writes, 5); }
TEST(bundles_without_memory) { sweep(writes + 5, ARRAY_LEN(writes) - 5); }
TEST(questions_without_memory) { sweep(reads, 7); }
TEST(looking_around_without_memory) { sweep(reads + 7, ARRAY_LEN(reads) - 7); }
TEST(all_of_it_is_there_after_a_restart) {
    whole_begin();
    whole_login_again();
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/system/integrity-check", ROOT, NULL), 200);
    EXPECT(body_has("\"ok\":true"));
    EXPECT(refused > 100 && served > 100);
    buf_close(&archive);
}
