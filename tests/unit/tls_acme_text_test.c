/* SPDX-License-Identifier: Apache-2.0 */
/* tls_acme_text_test.c — what a certificate authority may say and what it may not, and what we say:
 * RFC 8555's messages one by one, RFC 9773's windows, and when things are done. */
#include "app/tls/acme_text.c"
#include "app/tls/acme_schedule.c"
#include "tests/test.h"

static struct arena arena;
static struct diag why;

static str text(const char *z) {
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    why = (struct diag){0};
    return test_at_page_end(str_from_c(z));
}

/* Each refusal names what is wrong. */
#define REFUSED(call, word)                                                                        \
    do {                                                                                           \
        EXPECT_RC(call, RC_INVALID);                                                               \
        if (!strstr(why.text, word))                                                               \
            test_fail(__FILE__, __LINE__, "\"%s\": no %s", why.text, word);                        \
    } while (0)

#define DIRECTORY(z) acme_read_directory(&arena, text(z), &d, &why)
#define GIVEN(z) acme_read_order(&arena, text(z), &o, &why)
#define SHOWN(z) acme_read_authorization(&arena, text(z), "http-01", &z_, &why)
#define WINDOW(z) acme_read_window(&arena, text(z), &from, &until, &why)
#define URLS                                                                                       \
    "\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\",\"newOrder\":\"https://ca/o\""

TEST(directories) {
    struct acme_directory d;
    EXPECT_OK(DIRECTORY(
        "{" URLS
        ",\"renewalInfo\":\"https://ca/r\",\"x\":[1],\"meta\":{\"termsOfService\":\"https://ca/"
        "t\",\"externalAccountRequired\":true}}"));
    EXPECT_STR(d.new_order, S("https://ca/o"));
    EXPECT_STR(d.renewal_info, S("https://ca/r"));
    EXPECT_STR(d.terms, S("https://ca/t"));
    EXPECT(d.wants_binding);
    EXPECT_OK(DIRECTORY("{" URLS "}"));
    EXPECT(!d.renewal_info.len && !d.terms.len && !d.wants_binding);
    REFUSED(DIRECTORY("{}"), "newNonce");
    REFUSED(DIRECTORY("[]"), "JSON object");
    REFUSED(DIRECTORY("<html>"), "JSON object");
    REFUSED(DIRECTORY("{\"newNonce\":\"http://ca/n\"}"), "newNonce");
    REFUSED(DIRECTORY("{\"newNonce\":\"https://ca/n\"}"), "newAccount");
    REFUSED(DIRECTORY("{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://u:p@ca/n\"}"),
            "newAccount");
    REFUSED(DIRECTORY("{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/n\"}"),
            "newOrder");
    REFUSED(DIRECTORY("{" URLS ",\"renewalInfo\":\"ftp://ca\"}"), "renewalInfo");
}

#define ORDER(status, more)                                                                        \
    "{\"status\":\"" status "\",\"authorizations\":[\"https://ca/z/1\",\"https://ca/z/2\"],"       \
    "\"finalize\":\"https://ca/f\"" more "}"

TEST(orders) {
    struct acme_order o;
    EXPECT_OK(GIVEN(ORDER("pending", "")));
    EXPECT_EQ(o.state, ACME_PENDING);
    EXPECT_EQ(o.authorization_count, 2);
    EXPECT_STR(o.authorizations[1], S("https://ca/z/2"));
    EXPECT_OK(GIVEN(ORDER("processing", "")));
    EXPECT_EQ(o.state, ACME_PROCESSING);
    EXPECT_OK(GIVEN(ORDER("valid", ",\"certificate\":\"https://ca/c\"")));
    EXPECT_STR(o.certificate, S("https://ca/c"));
    EXPECT_OK(GIVEN(ORDER("invalid", ",\"error\":{\"type\":\"t\",\"detail\":\"no \\u00e9\"}")));
    EXPECT(strstr(why.text, "the order failed") && strstr(why.text, "no \xc3\xa9"));
    EXPECT_OK(GIVEN(ORDER("invalid", "")));
    EXPECT(strstr(why.text, "does not say why"));
    REFUSED(GIVEN(ORDER("deactivated", "")), "status");
    REFUSED(GIVEN(ORDER("valid", "")), "certificate");
    REFUSED(GIVEN("{\"status\":\"ready\"}"), "authorizations");
    REFUSED(GIVEN("{\"status\":\"ready\",\"authorizations\":[]}"), "authorizations");
    REFUSED(GIVEN("{\"status\":\"ready\",\"authorizations\":[1]}"), "authorizations");
    REFUSED(GIVEN("{\"status\":\"ready\",\"authorizations\":[\"https://ca/z\"]}"), "finalize");
}

TEST(more_authorizations_than_names) {
    struct acme_order o;
    char many[4096] = "{\"status\":\"pending\",\"authorizations\":[";
    for (u32 i = 0; i <= ACME_NAMES_MAX; i++)
        strcat(many, i ? ",\"https://ca/z\"" : "\"https://ca/z\"");
    strcat(many, "],\"finalize\":\"https://ca/f\"}");
    REFUSED(GIVEN(many), "authorizations");
}

#define CHALLENGE(type, status, token)                                                             \
    "{\"type\":\"" type "\",\"status\":\"" status "\",\"url\":\"https://ca/h\",\"token\":\"" token \
    "\"}"
#define AUTHORIZATION(status, challenges)                                                          \
    "{\"status\":\"" status                                                                        \
    "\",\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"},\"challenges\":[" challenges "]}"

TEST(authorizations) {
    struct acme_authorization z_;
    EXPECT_OK(SHOWN(AUTHORIZATION("pending", CHALLENGE("dns-01", "pending", "?") "," CHALLENGE(
                                                 "http-01", "pending", "aZ9_-"))));
    EXPECT_STR(z_.name, S("a.test"));
    EXPECT_STR(z_.token, S("aZ9_-"));
    EXPECT_STR(z_.url, S("https://ca/h"));
    EXPECT_OK(SHOWN(AUTHORIZATION("pending", CHALLENGE("dns-01", "pending", "t"))));
    EXPECT_EQ(z_.token.len, 0);
    EXPECT_OK(SHOWN(AUTHORIZATION("expired", "")));
    EXPECT_EQ(z_.state, ACME_INVALID);
    EXPECT(strstr(why.text, "a.test"));
    EXPECT_OK(SHOWN(AUTHORIZATION(
        "invalid", "{\"type\":\"http-01\",\"status\":\"invalid\",\"url\":\"https://ca/"
                   "h\",\"token\":\"t\",\"error\":{\"type\":\"t\",\"detail\":\"refused\"}}")));
    EXPECT_EQ(z_.challenge, ACME_INVALID);
    EXPECT(strstr(why.text, "refused"));
    REFUSED(SHOWN("{\"status\":\"pending\"}"), "identifier");
    REFUSED(SHOWN(AUTHORIZATION("odd", "")), "status");
    REFUSED(SHOWN(AUTHORIZATION("pending", CHALLENGE("http-01", "pending", "../x"))), "token");
    REFUSED(SHOWN(AUTHORIZATION("pending", CHALLENGE("http-01", "pending", ""))), "token");
    REFUSED(SHOWN(AUTHORIZATION("pending", CHALLENGE("http-01", "odd", "t"))), "status");
    REFUSED(SHOWN(AUTHORIZATION("pending", "{\"type\":\"http-01\",\"token\":\"t\"}")), "url");
}

TEST(problems_windows_and_patience) {
    struct acme_problem p;
    u64 from, until;
    acme_read_problem(
        &arena, text("{\"type\":\"urn:ietf:params:acme:error:badNonce\",\"detail\":\"d\"}"), &p);
    EXPECT_STR(p.type, S("badNonce"));
    EXPECT_STR(p.detail, S("d"));
    acme_read_problem(&arena, text("{\"type\":\"about:blank\"}"), &p);
    EXPECT_STR(p.type, S("about:blank"));
    acme_read_problem(&arena, text("<html>"), &p);
    EXPECT_STR(p.type, S("malformed"));
    EXPECT_OK(WINDOW("{\"suggestedWindow\":{\"start\":\"2026-01-02T00:00:00Z\",\"end\":\"2026-01-"
                     "03T00:00:00Z\"}}"));
    EXPECT_EQ(until - from, 86400 * NS_PER_S);
    REFUSED(WINDOW("{\"suggestedWindow\":{\"start\":\"2026-01-02T00:00:00Z\",\"end\":\"2026-01-"
                   "01T00:00:00Z\"}}"),
            "end");
    REFUSED(WINDOW("{}"), "start");
    EXPECT_EQ(acme_retry_after_s(S(""), 0, 1, 60, 5), 5);
    EXPECT_EQ(acme_retry_after_s(S("0"), 0, 1, 60, 5), 1);
    EXPECT_EQ(acme_retry_after_s(S("17"), 0, 1, 60, 5), 17);
    EXPECT_EQ(acme_retry_after_s(S("99999"), 0, 1, 60, 5), 60);
    EXPECT_EQ(acme_retry_after_s(S("soon"), 0, 1, 60, 5), 5);
    EXPECT_EQ(acme_retry_after_s(S("Thu, 01 Jan 1970 00:00:42 GMT"), 2 * NS_PER_S, 1, 60, 5), 40);
    EXPECT_EQ(acme_retry_after_s(S("Thu, 01 Jan 1970 00:00:42 GMT"), 99 * NS_PER_S, 1, 60, 5), 1);
}

/* ---- Writing --------------------------------------------------------------------------------- */

TEST(requests_are_signed_as_they_should) {
    struct es256_key key;
    u8 signature[ES256_SIGNATURE_BYTES], read[1024];
    size_t n;
    str to_sign;
    (void)text("");
    REQUIRE(tls_init() == RC_OK);
    REQUIRE(es256_make(&key) == RC_OK);
    str head = acme_protected(&arena, &key, S(""), S("n0nce"), S("https://ca/\"a"));
    cJSON *json;
    REQUIRE(json_parse(&arena, head, &json, &why) == RC_OK);
    EXPECT_STR(member(json, "alg"), S("ES256"));
    EXPECT_STR(member(json, "nonce"), S("n0nce"));
    EXPECT_STR(member(json, "url"), S("https://ca/\"a"));
    const cJSON *jwk = cJSON_GetObjectItemCaseSensitive(json, "jwk");
    EXPECT_STR(member(jwk, "kty"), S("EC"));
    REQUIRE(base64url_decode(member(jwk, "y"), read, sizeof read, &n) == RC_OK);
    EXPECT(n == 32 && !memcmp(read, key.public_key + 32, 32));
    EXPECT(!cJSON_GetObjectItemCaseSensitive(json, "kid"));
    head = acme_protected(&arena, &key, S("https://ca/me"), S("n"), S("https://ca/o"));
    REQUIRE(json_parse(&arena, head, &json, &why) == RC_OK);
    EXPECT_STR(member(json, "kid"), S("https://ca/me"));
    EXPECT(!cJSON_GetObjectItemCaseSensitive(json, "jwk"));
    str message = acme_flattened(&arena, head, S(""), &to_sign);
    REQUIRE(es256_sign(&key, to_sign, signature) == RC_OK);
    message = acme_flattened_end(&arena, message, signature, sizeof signature);
    REQUIRE(json_parse(&arena, message, &json, &why) == RC_OK);
    EXPECT_STR(member(json, "payload"), S(""));
    REQUIRE(base64url_decode(member(json, "protected"), read, sizeof read, &n) == RC_OK);
    EXPECT_STR(str_of((const char *)read, n), head);
    str signed_part =
        arena_join(&arena, member(json, "protected"), S("."), member(json, "payload"));
    REQUIRE(base64url_decode(member(json, "signature"), read, sizeof read, &n) == RC_OK);
    EXPECT(n == sizeof signature);
    EXPECT_OK(es256_verify(key.public_key, signed_part, read));
    str authorization = acme_key_authorization(&arena, &key, S("token"));
    EXPECT(str_starts(authorization, S("token.")) && authorization.len == 6 + 43);
}

/* RFC 8555 7.3.4, checked by hand: the MAC over the account's key. */
TEST(bindings) {
    str out;
    u8 mac[32], read[64];
    size_t n;
    cJSON *json;
    (void)text("");
    EXPECT_RC(acme_binding(&arena, S("k"), S("not base64!"), S("{}"), S("https://ca/a"), &out),
              RC_INVALID);
    EXPECT_RC(acme_binding(&arena, S("k"), S("AAAA"), S("{}"), S("https://ca/a"), &out),
              RC_INVALID);
    REQUIRE(acme_binding(&arena, S("k-1"), S("AAECAwQFBgcICQoLDA0ODw=="), S("{\"kty\":\"EC\"}"),
                         S("https://ca/a"), &out) == RC_OK);
    REQUIRE(json_parse(&arena, out, &json, &why) == RC_OK);
    static const u8 secret[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    str covered = arena_join(&arena, member(json, "protected"), S("."), member(json, "payload"));
    (void)mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), secret, sizeof secret,
                          (const u8 *)covered.ptr, covered.len, mac);
    REQUIRE(base64url_decode(member(json, "signature"), read, sizeof read, &n) == RC_OK);
    EXPECT(n == 32 && !memcmp(mac, read, 32));
}

TEST(no_room_is_no_surprise) {
    struct es256_key key;
    struct acme_order o;
    str to_sign, out;
    REQUIRE(tls_init() == RC_OK);
    REQUIRE(es256_make(&key) == RC_OK);
    for (size_t room = 0; room < 6000; room += 64) {
        arena_close(&arena);
        arena_open(&arena, NULL, 0, room);
        str head = acme_protected(&arena, &key, S("https://ca/me"), S("n"), S("https://ca/o"));
        str message = head.ptr ? acme_flattened(&arena, head, S("{}"), &to_sign) : head;
        if (message.ptr) message = acme_flattened_end(&arena, message, "x", 1);
        EXPECT(!message.ptr || message.ptr[message.len - 1] == '}');
        rc_t rc = acme_read_order(&arena, S(ORDER("pending", "")), &o, &why);
        EXPECT(rc == RC_OK || rc == RC_NO_MEMORY || rc == RC_INVALID);
        rc = acme_binding(&arena, S("k"), S("AAECAwQFBgcICQoLDA0ODw"), S("{}"), S("https://ca/a"),
                          &out);
        EXPECT(rc == (out.ptr ? RC_OK : RC_NO_MEMORY));
    }
}

/* ---- When ------------------------------------------------------------------------------------ */

#define DAY (86400 * NS_PER_S)

TEST(renewal_is_in_time) {
    u64 from = 1000 * DAY;
    EXPECT_EQ(acme_renew_at(from, from + 90 * DAY), from + 60 * DAY);
    EXPECT_EQ(acme_renew_at(from, from + 6 * DAY), from + 3 * DAY);
    EXPECT_EQ(acme_renew_at(from, from), from);
    u64 until = from + 90 * DAY;
    EXPECT_EQ(acme_renew_in(from + 70 * DAY, from + 72 * DAY, DAY, from, until), from + 71 * DAY);
    EXPECT_EQ(acme_renew_in(from + 70 * DAY, from + 70 * DAY, 5, from, until), from + 70 * DAY);
    EXPECT_EQ(acme_renew_in(0, 1, 0, from, until),
              from + 3600 * NS_PER_S); /* not at once for ever */
    EXPECT_EQ(acme_renew_in(0, 1, 0, from, from + 48 * 60 * NS_PER_S), from + 60 * NS_PER_S);
    EXPECT_EQ(acme_renew_in(until + DAY, until + 2 * DAY, 0, from, until),
              until); /* not too late */
}

TEST(failures_wait_longer_each_time) {
    EXPECT_EQ(acme_retry_s(1, 0), 60);
    EXPECT_EQ(acme_retry_s(2, 0), 300);
    EXPECT_EQ(acme_retry_s(5, 0), 43200);
    EXPECT_EQ(acme_retry_s(500, 0), 43200);
    for (u32 i = 0; i < 9; i++)
        EXPECT(acme_retry_s(i, 0xFFFFFFFFFFull) < acme_retry_s(i, 0) * 11 / 10 + 1);
}
