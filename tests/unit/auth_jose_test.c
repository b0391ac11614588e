/* SPDX-License-Identifier: Apache-2.0 */
/* auth_jose_test.c — the public ES256 vectors (C2SP/wycheproof, JSON Web Signature) against our
 * signature check. Their tokens carry a payload of their own, so only shape and signature are
 * judged here, as token.c does it; without the conformance data the test says so and skips. */
#include "app/auth/jwt.c"
#include "net/tls.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *folder, size_t *out_len) {
    char path[512];
    snprintf(path, sizeof path, "%s/jose/json_web_signature_test.json", folder);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *bytes = malloc(4 << 20);
    *out_len = fread(bytes, 1, 4 << 20, f);
    fclose(f);
    return bytes;
}

/* Header, three parts, 64 bytes, and the signature; as strict as jwt_parse but for the claims. */
static bool accepts(struct arena *a, str jws, const u8 public_key[64], str kid) {
    str rest = jws, header_part, payload_part, signature_part, text;
    u8 signature[64];
    cJSON *header;
    size_t n;
    if (!str_split(&rest, '.', &header_part) || !str_split(&rest, '.', &payload_part) ||
        !str_split(&rest, '.', &signature_part) || rest.ptr)
        return false;
    if (signature_part.len != BASE64_LEN(64) ||
        base64url_decode(signature_part, signature, sizeof signature, &n))
        return false;
    if (jwt_decode_object(a, header_part, &header)) return false;
    if (!jwt_text(header, "alg", &text) || !str_eq(text, S("ES256"))) return false;
    if (!jwt_text(header, "kid", &text) || !str_eq(text, kid)) return false;
    if (cJSON_GetObjectItemCaseSensitive(header, "jwk")) return false;
    return es256_verify(public_key, str_take(jws, header_part.len + 1 + payload_part.len),
                        signature) == RC_OK;
}

static int run_group(struct arena *a, const cJSON *group) {
    const cJSON *key = cJSON_GetObjectItemCaseSensitive(group, "public"), *test;
    str alg, x, y, kid, jws, result;
    u8 public_key[64];
    size_t n;
    int count = 0;
    if (!key || !jwt_text(key, "alg", &alg) || !str_eq(alg, S("ES256"))) return 0;
    if (!jwt_text(key, "x", &x) || !jwt_text(key, "y", &y) || !jwt_text(key, "kid", &kid)) return 0;
    if (base64url_decode(x, public_key, 32, &n) || base64url_decode(y, public_key + 32, 32, &n))
        return 0;
    cJSON_ArrayForEach(test, cJSON_GetObjectItemCaseSensitive(group, "tests")) {
        if (!jwt_text(test, "jws", &jws) || !jwt_text(test, "result", &result)) continue;
        bool got = accepts(a, jws, public_key, kid), wanted = str_eq(result, S("valid"));
        if (got != wanted)
            test_fail(__FILE__, __LINE__, "%s: %s",
                      cJSON_GetObjectItem(test, "comment")->valuestring,
                      got ? "accepted" : "refused");
        count++;
    }
    return count;
}

TEST(wycheproof_es256) {
    const char *folder = getenv("CONFORMANCE_DIR");
    struct diag why;
    struct arena a;
    cJSON *root, *group;
    size_t n;
    int count = 0;
    char *bytes = read_file(folder ? folder : "../shared/conformance", &n);
    if (!bytes) bytes = read_file("../../shared/conformance", &n);
    if (!bytes) {
        printf("skipped: no conformance data (CONFORMANCE_DIR): wycheproof_es256\n");
        return;
    }
    EXPECT_OK(tls_init());
    arena_open(&a, NULL, 0, MIB(16));
    REQUIRE(json_parse(&a, str_of(bytes, n), &root, &why) == RC_OK);
    cJSON_ArrayForEach(group, cJSON_GetObjectItemCaseSensitive(root, "testGroups")) count +=
        run_group(&a, group);
    EXPECT(count >= 39);
    arena_close(&a);
    free(bytes);
}
