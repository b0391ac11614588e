/* SPDX-License-Identifier: Apache-2.0 */
/* sso_token_fuzz.c — any bytes as an ID token of another provider, and as its keys. What is
 * accepted must hold what sign-ins rely on. */
#include "app/auth/sso_impl.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static const struct sso_expected expected = {.issuer = {"i", 1},
                                                 .client_id = {"c", 1},
                                                 .nonce = {"n", 1},
                                                 .access_token = {"a", 1},
                                                 .now_s = 1750000000};
    static struct sso_key keys[SSO_KEYS_MAX];
    struct sso_token t;
    struct arena a;
    const char *why = NULL;
    u32 count;
    str input = str_of((const char *)bytes, n);
    arena_open(&a, NULL, 0, MIB(1));
    if (sso_token_read(&a, input, &expected, &t, &why) == RC_OK) {
        CHECK(t.claims.subject.len && t.claims.subject.len <= SSO_SUBJECT_MAX);
        CHECK(t.algorithm == COSE_ES256 || t.algorithm == COSE_RS256);
        CHECK(t.signed_part.len < n);
    } else {
        CHECK(why != NULL);
    }
    if (sso_keys_read(&a, input, keys, &count) == RC_OK)
        for (u32 i = 0; i < count; i++)
            CHECK(keys[i].key_len == (keys[i].algorithm == COSE_ES256 ? 64 : keys[i].key_len) &&
                  keys[i].key_len <= WEBAUTHN_KEY_MAX);
    arena_close(&a);
    return 0;
}
