/* SPDX-License-Identifier: Apache-2.0 */
/* http_fake.h — an HTTP row that remembers what it was told, in place of net/http_*.c: for tests of
 * what stands above it. fake_begin() makes the request of the next question. */
#pragma once
#include "net/http.h"
#include "tests/test.h"
#include <stdio.h>

static struct {
    struct http_exchange x;
    struct http_request request;
    struct http_field fields[8];
    struct arena arena;
    bool answered, closed;
    int answers, status;
    char type[64], body[262144], headers[4096];
    str request_body;
    rc_t body_rc;
} fake;

bool http_answered(const struct http_exchange *x) {
    (void)x;
    return fake.answered;
}
void http_answer(struct http_exchange *x, int status, str type, str body) {
    fake.answers++;
    fake.answered = true;
    fake.status = x->status = status;
    snprintf(fake.type, sizeof fake.type, "%.*s", STR(type));
    snprintf(fake.body, sizeof fake.body, "%.*s", STR(body));
}
rc_t http_answer_field(struct http_exchange *x, str name, str value) {
    (void)x;
    size_t n = strlen(fake.headers);
    snprintf(fake.headers + n, sizeof fake.headers - n, "%.*s: %.*s\n", STR(name), STR(value));
    return RC_OK;
}
void http_answer_lines(struct http_exchange *x, str lines) {
    (void)x;
    snprintf(fake.headers, sizeof fake.headers, "%.*s", STR(lines));
}
void http_close_after(struct http_exchange *x) {
    (void)x;
    fake.closed = true;
}
rc_t http_body_all(struct http_exchange *x, size_t most, str *out) {
    (void)x;
    (void)most;
    *out = fake.request_body;
    return fake.body_rc;
}


/* A fresh exchange; fields, body and its result code stay as the test has set them. */
static void fake_begin(enum http_method method, const char *target) {
    arena_close(&fake.arena);
    str body = fake.request_body;
    rc_t rc = fake.body_rc;
    struct http_field fields[8];
    u32 n = fake.request.field_count;
    memcpy(fields, fake.fields, sizeof fields);
    memset(&fake, 0, sizeof fake);
    memcpy(fake.fields, fields, sizeof fields);
    fake.request_body = body;
    fake.body_rc = rc;
    arena_open(&fake.arena, NULL, 0, MIB(1));
    str t = str_from_c(target);
    size_t q = str_find_byte(t, '?');
    fake.request = (struct http_request){.method = method,
                                         .method_text = http_method_name(method),
                                         .target = t,
                                         .path = str_take(t, q),
                                         .query = q < t.len ? str_skip(t, q + 1) : S(""),
                                         .host = S("box"),
                                         .fields = fake.fields,
                                         .field_count = n,
                                         .id = S("01ABCDEFGHJKMNPQRSTVWXYZ00")};
    fake.x = (struct http_exchange){.request = &fake.request, .arena = &fake.arena};
}
/* One request, one answer, always. */
static void fake_end(void) {
    EXPECT_EQ(fake.answers, 1);
    fake.request_body = (str){0};
    fake.body_rc = RC_OK;
}
static inline void with_field(const char *name, const char *value) {
    fake.fields[0] = (struct http_field){str_from_c(name), str_from_c(value)};
    fake.request.field_count = 1;
}
static inline void without_fields(void) { fake.request.field_count = 0; }
static inline void with_body(const char *text) { fake.request_body = str_from_c(text); }
static inline bool header(const char *line) { return strstr(fake.headers, line) != NULL; }
static inline bool code(const char *word) {
    char member[64];
    snprintf(member, sizeof member, "\"code\":\"%s\"", word);
    return strstr(fake.body, member) != NULL;
}
