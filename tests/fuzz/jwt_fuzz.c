/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_fuzz.c — any bytes as an access token: parsed in bounded memory, never beyond their end. What
 * is accepted must hold what the rest of the appliance relies on. */
#include "app/auth/auth_impl.h"
#include "app/id.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static const struct jwt_expected expected = {.issuer = {"urn:x", 5},
                                                 .audience = {"openpolicy", 10},
                                                 .kid = {"k", 1},
                                                 .now_s = 1750000000};
    struct arena a;
    struct jwt jwt;
    const char *why = NULL;
    arena_open(&a, NULL, 0, KIB(256));
    rc_t rc = jwt_parse(&a, str_of((const char *)bytes, n), &expected, &jwt, &why);
    if (rc == RC_OK) {
        CHECK(id_valid(jwt.user_id));
        CHECK(id_valid(jwt.session_id));
        CHECK(jwt.expires_s > expected.now_s);
        CHECK(jwt.signed_part.len + 1 + BASE64_LEN(ES256_SIGNATURE_BYTES) == n);
    } else {
        CHECK(why != NULL);
    }
    arena_close(&a);
    return 0;
}
