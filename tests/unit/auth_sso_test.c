/* SPDX-License-Identifier: Apache-2.0 */
/* auth_sso_test.c — the ceremony of single sign-on over the whole pipeline, with a provider that
 * answers in place of the HTTP client: there and back, whose account, what is kept of it. */
#include "app/auth/sso.c"
#include "net/http_client.h"
#include "tests/unit/whole.h"

#define ISSUER "https://id.test/r"
#define LOGIN "/api/v1/auth/sso/acme/login"

static struct {
    struct es256_key key;
    const char *issuer, *email, *subject, *verified;
    char nonce[64];
    int status;
    rc_t rc;
    u32 looks; /* at the keys */
} provider = {.issuer = ISSUER, .email = "new@example.org", .subject = "s-1", .verified = "true",
              .status = 200};
static char cookie[2100], state[64];

static str key_set(struct arena *a) {
    char x[48], y[48];
    base64url_encode(provider.key.public_key, 32, x);
    base64url_encode(provider.key.public_key + 32, 32, y);
    provider.looks++;
    return arena_printf(a,
                        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"%s\","
                        "\"x\":\"%s\",\"y\":\"%s\"}]}", provider.key.kid, x, y);
}

static str tokens(struct arena *a) {
    u8 signature[ES256_SIGNATURE_BYTES];
    long long now = (long long)(auth_now_ns() / NS_PER_S);
    str claims = arena_printf(
        a,
        "{\"iss\":\"" ISSUER "\",\"aud\":\"me\",\"nonce\":\"%s\",\"sub\":\"%s\",\"iat\":%lld,"
        "\"exp\":%lld,\"email\":\"%s\",\"email_verified\":%s,\"name\":\"Grace\"}",
        provider.nonce, provider.subject, now, now + 300, provider.email, provider.verified);
    str text = jwt_encode(a, S("JWT"), str_from_c(provider.key.kid), claims);
    EXPECT_OK(es256_sign(&provider.key, text, signature));
    str token = jwt_signed(a, text, signature);
    return arena_printf(a, "{\"access_token\":\"at\",\"id_token\":\"%.*s\"}", STR(token));
}

rc_t http_client_fetch(struct arena *a, const struct http_client_request *r, size_t bytes_max,
                       struct http_client_answer *answer, str *body, struct diag *why) {
    (void)bytes_max;
    *answer = (struct http_client_answer){.status = provider.status, .url = r->url};
    EXPECT(str_starts(r->url, S(ISSUER)) && r->deadline_ns && !r->redirects_max);
    if (provider.rc) diag_set(why, "nobody answers");
    if (str_ends(r->url, S("/.well-known/openid-configuration")))
        *body = arena_printf(a,
                             "{\"issuer\":\"%s\",\"authorization_endpoint\":\"" ISSUER
                             "/a?x=1\",\"token_endpoint\":\"" ISSUER "/t\",\"jwks_uri\":\"" ISSUER
                             "/k\"}", provider.issuer);
    else
        *body = str_ends(r->url, S("/k")) ? key_set(a) : tokens(a);
    return provider.rc;
}

static void start(void) {
    whole_begin();
    if (provider.key.kid[0]) return;
    EXPECT_OK(es256_make(&provider.key));
    EXPECT_EQ(ask(HTTP_PUT, "/api/v1/config/auth.providers", ROOT,
                  "{\"value\":{\"acme\":{\"issuer\":\"" ISSUER "\",\"client_id\":\"me\","
                  "\"client_secret\":\"s\",\"link\":\"email\",\"create\":true,"
                  "\"domains\":[\"example.org\"]}}}"),
              200);
}

static void piece(const char *before, const char *end, char *to, size_t room) {
    const char *at = strstr(fake.headers, before);
    REQUIRE(at);
    at += strlen(before);
    EXPECT_OK(str_to_c(str_of(at, strcspn(at, end)), to, room));
}

static int went(const char *target) {
    int status = ask(HTTP_GET, target, GUEST, NULL);
    if (status != 303) return status;
    piece("Set-Cookie: ", ";", cookie, sizeof cookie);
    piece("state=", "&\n", state, sizeof state);
    piece("nonce=", "&\n", provider.nonce, sizeof provider.nonce);
    return status;
}
static int came(const char *query) {
    char target[400];
    snprintf(target, sizeof target, "/api/v1/auth/sso/acme/callback?%s&state=%s", query, state);
    whole.fields[0][0] = "Cookie", whole.fields[0][1] = cookie;
    return ask(HTTP_GET, target, GUEST, NULL);
}

TEST(there_and_back_makes_an_account) {
    start();
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/sso", GUEST, NULL), 200);
    EXPECT(body_has("/api/v1/auth/sso/acme/login"));
    EXPECT_EQ(went(LOGIN "?return=/x%3Fa=1"), 303);
    EXPECT(header("Location: " ISSUER "/a?x=1&response_type=code&client_id=me"));
    EXPECT_EQ(came("code=c"), 303);
    EXPECT(header("Location: /x?a=1") && header("Set-Cookie: __Host-openpolicy=ops_"));
    EXPECT_EQ(storage_number("SELECT count(*) FROM user WHERE email='new@example.org' AND"
                             " verified_ns>0 AND password='!'"), 1);
    EXPECT_EQ(came("code=c"), 401); /* once */
    EXPECT_EQ(went(LOGIN), 303);
    EXPECT_EQ(came("code=c"), 303); /* known by now */
    EXPECT_EQ(storage_number("SELECT count(*) FROM auth_identity"), 1);
    EXPECT_EQ(provider.looks, 1);
}

TEST(answers_that_do_not_fit) {
    char kept[sizeof cookie];
    start();
    EXPECT_EQ(went(LOGIN "?return=//evil"), 400);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/sso/none/login", GUEST, NULL), 404);
    EXPECT_EQ(went(LOGIN), 303);
    EXPECT_EQ(came("error=access_denied"), 401);
    EXPECT_EQ(came("code="), 401);
    EXPECT_EQ(came("code=a&code=b"), 401);
    EXPECT_EQ(came("code=a&iss=https://evil.test"), 401);
    memcpy(kept, cookie, sizeof kept);
    cookie[strlen(cookie) - 1] ^= 1;
    EXPECT_EQ(came("code=a"), 401);
    memcpy(cookie, kept, sizeof kept);
    state[0] ^= 1;
    EXPECT_EQ(came("code=a"), 401);
    state[0] ^= 1;
    provider.nonce[0] ^= 1;
    EXPECT_EQ(came("code=a"), 401);
    provider.nonce[0] ^= 1;
    provider.status = 500;
    EXPECT_EQ(came("code=a"), 502);
    provider.status = 400;
    EXPECT_EQ(came("code=a"), 401);
    provider.status = 200;
    whole_run_ms((FLOW_S + 1) * 1000);
    EXPECT_EQ(came("code=a"), 401); /* too late */
}

TEST(whose_account_it_is) {
    start();
    provider.subject = "s-2", provider.email = "ada@example.org";
    EXPECT_EQ(went(LOGIN), 303);
    EXPECT_EQ(came("code=c"), 403);
    EXPECT(body_has("never confirmed"));
    provider.email = ROOT_EMAIL;
    EXPECT_EQ(went(LOGIN), 303);
    EXPECT_EQ(came("code=c"), 403);
    EXPECT(body_has("administrator"));
    provider.email = "x@elsewhere.test";
    EXPECT_EQ(went(LOGIN), 303);
    EXPECT_EQ(came("code=c"), 403);
    provider.email = "other@example.org", provider.verified = "false";
    EXPECT_EQ(went(LOGIN), 303);
    EXPECT_EQ(came("code=c"), 403);
    EXPECT(body_has("vouch"));
    provider.verified = "true";
}

TEST(an_account_is_linked_by_asking) {
    char path[160];
    start();
    provider.subject = "s-3", provider.email = "x@elsewhere.test";
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/sso/acme/link", GUEST, NULL), 401);
    EXPECT(whole_login(BOB, "bob@example.org", ROOT_PASSWORD)); /* lately */
    EXPECT_EQ(ask(HTTP_POST, "/api/v1/auth/sso/acme/link", BOB, NULL), 200);
    str to = whole_text("location");
    piece("Set-Cookie: ", ";", cookie, sizeof cookie);
    size_t at = str_find(to, S("state=")) + 6, n = str_find(to, S("nonce=")) + 6;
    EXPECT_OK(str_to_c(str_take(str_skip(to, at), 43), state, sizeof state));
    EXPECT_OK(str_to_c(str_take(str_skip(to, n), 43), provider.nonce, sizeof provider.nonce));
    EXPECT_EQ(came("code=c"), 303);
    EXPECT_EQ(ask(HTTP_GET, "/api/v1/auth/identities", BOB, NULL), 200);
    EXPECT_EQ(whole_items(), 1);
    snprintf(path, sizeof path, "/api/v1/auth/identities/%s",
             cJSON_GetObjectItem(whole_member("items")->child, "id")->valuestring);
    EXPECT(whole_login(ADA, "ada@example.org", ROOT_PASSWORD));
    EXPECT_EQ(ask(HTTP_DELETE, path, ADA, NULL), 404);
    EXPECT_EQ(ask(HTTP_DELETE, path, BOB, NULL), 204);
}

TEST(a_provider_nobody_reaches) {
    start();
    sso_forget();
    provider.rc = RC_IO;
    EXPECT_EQ(ask(HTTP_GET, LOGIN, GUEST, NULL), 502);
    provider.rc = RC_OK, provider.issuer = "https://evil.test";
    EXPECT_EQ(ask(HTTP_GET, LOGIN, GUEST, NULL), 502);
    provider.issuer = ISSUER;
    EXPECT_EQ(went(LOGIN), 303);
}
