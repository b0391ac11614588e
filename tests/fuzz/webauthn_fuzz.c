/* SPDX-License-Identifier: Apache-2.0 */
/* webauthn_fuzz.c — any bytes as what an authenticator sends: read in bounded time, never beyond
 * their end; what is accepted lies inside the input and holds what its users rely on. */
#include "app/auth/auth_impl.h"

static void inside(str part, str whole) {
    CHECK(!part.len || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len));
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    str whole = str_of((const char *)bytes, n), item;
    struct webauthn_data data;
    struct cbor r = {whole};
    if (cbor_skip(&r, &item) == RC_OK) CHECK(item.len && item.len + r.rest.len == n);
    if (webauthn_attestation_read(whole, &data) == RC_OK) {
        inside(data.bytes, whole);
        inside(data.credential_id, whole);
        inside(data.own_signature, whole);
        CHECK(data.credential_id.len && data.credential_id.len <= CREDENTIAL_ID_MAX);
        CHECK(data.key_len <= WEBAUTHN_KEY_MAX);
        CHECK(data.algorithm == COSE_ES256 ? data.key_len == 64 : data.key_len >= 260);
    }
    if (webauthn_data_read(whole, false, &data) == RC_OK) CHECK(!data.credential_id.ptr);
    return 0;
}
