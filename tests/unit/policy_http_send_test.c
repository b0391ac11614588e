/* SPDX-License-Identifier: Apache-2.0 */
/* http.send with a network that is a function: what is asked for, what comes back as a value, what
 * is refused and how; and requests signed for AWS, held against its own published example. */
#include "app/policy/builtin/http.c"
#include "tests/unit/policy_builtin.h"

static struct {
    u32 asked;
    rc_t rc;
    char seen[1024]; /* METHOD URL body|header: value|... */
    struct http_send_request request;
    const char *type, *body;
} wire;

static rc_t send_here(void *arg, struct heap *h, const struct http_send_request *r,
                      struct http_send_answer *answer, struct diag *why) {
    static const struct http_send_header cookies[] = {
        {{"Set-Cookie", 10}, {"a=1", 3}}, {{"set-cookie", 10}, {"b=2", 3}}, {{NULL, 0}, {NULL, 0}}};
    struct http_send_header *headers = heap_alloc(h, sizeof cookies);
    size_t n = 0;
    (void)arg;
    wire.asked++;
    wire.request = *r;
    n += (size_t)snprintf(wire.seen, sizeof wire.seen, "%.*s %.*s %.*s", STR(r->method),
                          STR(r->url), STR(r->body));
    for (u32 i = 0; i < r->header_count && n < sizeof wire.seen; i++)
        n += (size_t)snprintf(wire.seen + n, sizeof wire.seen - n, "|%.*s: %.*s",
                              STR(r->headers[i].name), STR(r->headers[i].text));
    if (wire.rc) {
        diag_set(why, "nobody is there");
        return wire.rc;
    }
    if (!headers) return RC_NO_MEMORY;
    memcpy(headers, cookies, sizeof cookies);
    headers[2] = (struct http_send_header){S("Content-Type"), str_from_c(wire.type)};
    *answer = (struct http_send_answer){.status = 200, .reason = S("OK"),
                                        .body = str_from_c(wire.body), .headers = headers,
                                        .header_count = wire.type[0] ? 3 : 2};
    return RC_OK;
}

static const char *send_with(const char *type, const char *body, const char *request) {
    static char args[4096];
    snprintf(args, sizeof args, "[%s]", request);
    test_http = send_here;
    test_evaluation.memo_count = 0;
    wire.type = type, wire.body = body;
    return test_answer("http.send", args, MIB(4));
}

static bool has(const char *text, const char *part) {
    if (strstr(text, part)) return true;
    test_fail(__FILE__, __LINE__, "no %s in %s", part, text);
    return false;
}

#define URL "\"url\":\"https://h.example/p?q=1\""

TEST(what_is_asked_for) {
    const char *got = send_with("application/json; charset=utf-8", "{\"a\":[1]}",
                                "{\"method\":\"post\"," URL ",\"body\":{\"x\":\"<\"},"
                                "\"headers\":{\"X-A\":\"1\"},\"timeout\":\"1500ms\","
                                "\"enable_redirect\":true,\"tls_insecure_skip_verify\":true,"
                                "\"tls_server_name\":\"other\",\"max_retry_attempts\":2,"
                                "\"tls_ca_cert\":\"-----BEGIN\\\\nX\"}");
    EXPECT(has(wire.seen, "POST https://h.example/p?q=1 {\"x\":\"\\u003c\"}|X-A: 1"));
    EXPECT(has(got, "\"body\": {\"a\": [1]}"));
    EXPECT(has(got, "\"set-cookie\": [\"a=1\", \"b=2\"]"));
    EXPECT(has(got, "\"status\": \"200 OK\", \"status_code\": 200"));
    EXPECT_EQ(wire.request.timeout_ns, 1500 * NS_PER_MS);
    EXPECT_EQ(wire.request.attempts, 3);
    EXPECT(wire.request.follow && wire.request.insecure && !wire.request.cache);
    EXPECT_STR(wire.request.ca_cert, S("-----BEGIN\nX"));
    (void)send_with("", "", "{\"method\":\"GET\"," URL ",\"raw_body\":\"as it is\",\"body\":1,"
                            "\"timeout\":250}");
    EXPECT(has(wire.seen, "GET https://h.example/p?q=1 as it is"));
    EXPECT_EQ(wire.request.timeout_ns, 250);
}

TEST(bodies_are_read_by_their_kind) {
#define GET "{\"method\":\"get\"," URL "}"
    EXPECT(has(send_with("application/problem+json", "[true]", GET), "\"body\": [true]"));
    EXPECT(has(send_with("application/json", "{", GET), "\"body\": null"));
    EXPECT(has(send_with("application/x-yaml", "a:\n- 1\n", GET), "\"body\": {\"a\": [1]}"));
    EXPECT(has(send_with("application/yaml", "a: [", GET), "\"body\": null"));
    EXPECT(has(send_with("text/plain", "{\"a\":1}", GET), "\"body\": null"));
    EXPECT(has(send_with("text/plain", "{\"a\":1}", GET), "\"raw_body\": \"{\\\"a\\\":1}\""));
    EXPECT(has(send_with("text/plain", "{\"a\":1}",
                         "{\"method\":\"get\"," URL ",\"force_json_decode\":true}"),
               "\"body\": {\"a\": 1}"));
    EXPECT(has(send_with("", "a: 1", "{\"method\":\"get\"," URL ",\"force_yaml_decode\":true}"),
               "\"body\": {\"a\": 1}"));
}

TEST(answers_that_may_be_kept) {
    (void)send_with("", "", "{\"method\":\"get\"," URL ",\"cache\":true,\"headers\":{\"A\":\"1\","
                            "\"Date\":\"now\"},\"cache_ignored_headers\":[\"date\",7],"
                            "\"caching_mode\":\"deserialized\"}");
    EXPECT(wire.request.cache && wire.request.force_s == 0);
    EXPECT(str_find(wire.request.key, S("\"A\":\"1\"")) < wire.request.key.len);
    EXPECT(str_find(wire.request.key, S("Date")) == wire.request.key.len);
    (void)send_with("", "", "{\"method\":\"get\"," URL ",\"force_cache\":true,"
                            "\"force_cache_duration_seconds\":60}");
    EXPECT(wire.request.cache && wire.request.force_s == 60);
}

static void refuses(const char *request, const char *words) {
    u32 asked = wire.asked;
    EXPECT(has(send_with("", "", request), words));
    EXPECT_EQ(wire.asked, asked);
}

TEST(requests_that_are_none) {
    refuses("7", "operand 1 must be object but got number");
    refuses("{}", "missing required request parameters(s): {\"method\", \"url\"}");
    refuses("{\"methode\":1}", "invalid request parameters(s): {\"methode\"}");
    refuses("{\"method\":1," URL "}", "\"method\" must be a string");
    refuses("{\"method\":\"get\",\"url\":[]}", "\"url\" must be a string");
    refuses("{\"method\":\"get\"," URL ",\"headers\":1}", "invalid type for headers key");
    refuses("{\"method\":\"get\"," URL ",\"headers\":{\"a\":1}}", "headers value number");
    refuses("{\"method\":\"get\"," URL ",\"timeout\":\"soon\"}", "invalid duration");
    refuses("{\"method\":\"get\"," URL ",\"timeout\":[]}", "but got array");
    refuses("{\"method\":\"get\"," URL ",\"raise_error\":1}",
        "invalid value for raise_error field");
    refuses("{\"method\":\"get\"," URL ",\"enable_redirect\":1}", "enable_redirect field");
    refuses("{\"method\":\"get\"," URL ",\"caching_mode\":1}", "\"caching_mode\" field");
    refuses("{\"method\":\"get\"," URL ",\"caching_mode\":\"x\"}", "\"caching_mode\" field: x");
    refuses("{\"method\":\"get\"," URL ",\"max_retry_attempts\":-1}",
            "invalid value -1 for field \"max_retry_attempts\"");
    refuses("{\"method\":\"get\"," URL ",\"force_cache\":true}", "parameter is missing");
    refuses("{\"method\":\"get\"," URL ",\"cache_ignored_headers\":1}", "cache_ignored_headers");
    refuses("{\"method\":\"get\"," URL ",\"tls_ca_cert_file\":\"/etc/x\"}", "there are no files");
    refuses("{\"method\":\"get\"," URL ",\"raw_body\":1}", "\"raw_body\" must be a string");
    refuses("{\"method\":\"get\"," URL ",\"timeout\":[],\"raise_error\":false}",
            "\"code\": \"eval_http_send_internal_error\"");
}

TEST(networks_that_are_none) {
    wire.rc = RC_TIMEOUT;
    EXPECT(has(send_with("", "", GET), "error: Get https://h.example/p?q=1: request timed out"));
    wire.rc = RC_IO;
    EXPECT(has(send_with("", "", GET), "nobody is there"));
    EXPECT(has(send_with("", "", "{\"method\":\"get\"," URL ",\"raise_error\":false}"),
               "\"code\": \"eval_http_send_network_error\""));
    wire.rc = RC_OK;
    test_http = NULL;
    test_evaluation.memo_count = 0; /* it lies in the heap of the question before */
    EXPECT(has(test_answer("http.send", "[" GET "]", MIB(4)), "may not send requests"));
    value host = value_string_c(test_call.heap, "a");
    EXPECT(http_host_allowed(UNDEFINED, S("a")));
    EXPECT(http_host_allowed(value_array(test_call.heap, &host, 1), S("a")));
    EXPECT(!http_host_allowed(value_array(test_call.heap, &host, 1), S("b")));
    EXPECT(!http_host_allowed(value_null(), S("a")));
}

/* With less and less memory: the whole answer, an error, or none; never half of one. */
TEST(little_memory) {
    static char args[] = "[{\"method\":\"get\"," URL ",\"body\":[1,2],\"cache\":true,"
                         "\"headers\":{\"a\":\"b\"}}]";
    test_http = send_here, wire.type = "application/json", wire.body = "{\"a\":[1,2,3]}";
    for (size_t bytes = 0; bytes < 8192; bytes += 128) {
        test_evaluation.memo_count = 0;
        const char *got = test_answer("http.send", args, bytes);
        EXPECT(!strcmp(got, "memory") || strstr(got, "\"body\": {\"a\": [1, 2, 3]}") ||
               !strcmp(got, "undefined"));
    }
    test_evaluation.memo_count = 0;
}

/* ---- AWS: "GET Object" of the Signature Version 4 documentation ---- */

#define KEYS "\"aws_access_key\":\"AKIAIOSFODNN7EXAMPLE\",\"aws_secret_access_key\":" \
             "\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\",\"aws_region\":\"us-east-1\""
#define OBJECT_URL "\"url\":\"https://examplebucket.s3.amazonaws.com/test.txt\""

TEST(requests_are_signed) {
    const char *got = test_answer("providers.aws.sign_req",
                                  "[{\"method\":\"GET\"," OBJECT_URL ",\"headers\":{\"Range\":"
                                  "\"bytes=0-9\"}},{" KEYS ",\"aws_service\":\"s3\"},"
                                  "1369353600000000000]", MIB(4));
    EXPECT(has(got, "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"));
    EXPECT(has(got, "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date"));
    EXPECT(has(got, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
    EXPECT(has(got, "\"x-amz-date\": \"20130524T000000Z\""));
    got = test_answer("providers.aws.sign_req",
                      "[{\"method\":\"PUT\"," OBJECT_URL ",\"body\":{\"a\":1}},{" KEYS
                      ",\"aws_service\":\"s3\",\"aws_session_token\":\"tok\","
                      "\"disable_payload_signing\":true},1369353600000000000]", MIB(4));
    EXPECT(has(got, "UNSIGNED-PAYLOAD"));
    EXPECT(has(got, "\"x-amz-security-token\": \"tok\""));
}

TEST(what_cannot_be_signed) {
#define SIGN(request, config, at) \
    test_answer("providers.aws.sign_req", "[" request ",{" config "}," at "]", MIB(4))
    EXPECT(has(SIGN("{\"method\":\"GET\"," OBJECT_URL "}", "\"aws_region\":\"x\"", "1"),
               "missing required AWS config parameters(s)"));
    EXPECT(has(SIGN("{\"method\":\"GET\"," OBJECT_URL "}", KEYS ",\"aws_service\":7", "1"),
               "invalid values for required AWS config parameters(s): {\"aws_service\"}"));
    EXPECT(has(SIGN("{\"method\":1,\"url\":2}", KEYS ",\"aws_service\":\"s3\"", "1"),
               "invalid values for required request parameters(s): {\"method\", \"url\"}"));
    EXPECT(has(SIGN("{\"method\":\"GET\"," OBJECT_URL ",\"headers\":1}",
                    KEYS ",\"aws_service\":\"s3\"", "1"), "operand 0 must be object"));
    EXPECT(has(SIGN("{\"method\":\"GET\"," OBJECT_URL "}", KEYS ",\"aws_service\":\"s3\"", "1e99"),
               "could not convert time_ns value into a unix timestamp"));
    EXPECT(has(SIGN("{}", KEYS ",\"aws_service\":\"s3\"", "1"), "missing required request"));
}
