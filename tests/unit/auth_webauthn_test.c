/* SPDX-License-Identifier: Apache-2.0 */
/* auth_webauthn_test.c — CBOR as authenticators write it, and what they send: whole, cut short at
 * every byte, and changed. The vectors are openssl's, by tests/integration/authenticator.py. */
#include "app/auth/webauthn.c"
#include "net/tls.h"
#include "tests/test.h"

/* clang-format off */
static const struct vector {
    s64 algorithm;
    const char *attestation, *made_client, *data, *client, *signature; /* base64url */
} vectors[] = {
    {-7,
     "o2NmbXRmcGFja2VkZ2F0dFN0bXSiY2FsZyZjc2lnWEcwRQIgDAZk6Oz4NBQnFkg0f4QivKlj48l_wSqo5gE_ilSSaUg"
     "CIQCUkVEcX_OoELfzsyJXBr-TkgBKqmm18Skz76f3_Mbn2GhhdXRoRGF0YViUuOdFM3GgJNquBvMWRJLAr83hNMd0fB"
     "VbPYPCDeNB6FVFAAAAAQAAAAAAAAAAAAAAAAAAAAAAEAABAgMEBQYHCAkKCwwNDg-lAQIDJiABIVggVAi1hh7tpw4YM"
     "t8MUnQc8gs3SSdpcoP3J_unllMPSNciWCCXmA9B_lVtxHoCtztioL0dilg-A874KuLos6OYQgDg9w",
     "eyJ0eXBlIjogIndlYmF1dGhuLmNyZWF0ZSIsICJjaGFsbGVuZ2UiOiAiQUFBQSIsICJvcmlnaW4iOiAiaHR0cHM6Ly9"
     "hLmV4YW1wbGUiLCAiY3Jvc3NPcmlnaW4iOiBmYWxzZX0",
     "uOdFM3GgJNquBvMWRJLAr83hNMd0fBVbPYPCDeNB6FUFAAAAAg",
     "eyJ0eXBlIjogIndlYmF1dGhuLmdldCIsICJjaGFsbGVuZ2UiOiAiQUFBQSIsICJvcmlnaW4iOiAiaHR0cHM6Ly9hLmV"
     "4YW1wbGUiLCAiY3Jvc3NPcmlnaW4iOiBmYWxzZX0",
     "MEYCIQDaAbX2pR4-DOx6nKBl6iZSM5GeLModKTSz4YWD4Y4OdAIhALR9tz4XlXpiXqk-AWb7y-BTJQamjJG8kY_o9Ax"
     "ouIuW"},
    {-257,
     "o2NmbXRmcGFja2VkZ2F0dFN0bXSiY2FsZzkBAGNzaWdZAQCYERyQWL9H7Zg-nBEncIQyhxqiGlYGC8ITFc3E2clMMhV"
     "LkruN4j6bZOPpVV1lOUjqW3TBEpfupU0-qIVdupUX14PZ-k-FEAPoEvFuc5PXFjZeRyLPifkgFxsB6R71VgBOGqjybZ"
     "m7tPnBYFUXJ9C_VknujU3sceAKLK3KqMPtjQccNVbWYUr7LibZY2Kys2_iawXXgBC56xPbMJ-Hgu7G2Xd75GBpiHyl1"
     "vMB-AYSXf5XBHB55_a-Q4Wqe13ZKFhiYxPkpBmsfdA0p3xrS3eit606eozCYg3HqJBxdjjDDGFUX7CkgMepFIA0_nUa"
     "hZgN0uRGVaS064g6kQIj1e5IaGF1dGhEYXRhWQFXuOdFM3GgJNquBvMWRJLAr83hNMd0fBVbPYPCDeNB6FVFAAAAAQA"
     "AAAAAAAAAAAAAAAAAAAAAEAABAgMEBQYHCAkKCwwNDg-kAQMDOQEAIFkBAMKV-4UmXx-8qTcfrHl5XjZno61sZXj1Km"
     "EsVuzk-vhJHZ4CuafqbEps__y6X5xPaS2RtlNTnXePQY6R-jVubO8ek9b9mMYxYfuo8OYekmIKG2QUOK1g9eDOR3_LF"
     "XAVq8U-WWpyFDr1mtdtPfPbKy1zWNNk8gaJIa2f8R9uAxJOkBUqyUcY6TKnVlwTNpTW_iOoc9B9YsXFG0s5BLgEZnKN"
     "yTxb224xzytEooQ7B4HBJyfRB68bFYqLR-s47ZzpIvZglvfdlhpwNzeF1KVHExiP6zNXOMcCiG486EliYODur2Q1O4H"
     "fTmDNYlJAWRH2SiU5k5mVV842s2A4gAt39XchQwEAAQ",
     "eyJ0eXBlIjogIndlYmF1dGhuLmNyZWF0ZSIsICJjaGFsbGVuZ2UiOiAiQUFBQSIsICJvcmlnaW4iOiAiaHR0cHM6Ly9"
     "hLmV4YW1wbGUiLCAiY3Jvc3NPcmlnaW4iOiBmYWxzZX0",
     "uOdFM3GgJNquBvMWRJLAr83hNMd0fBVbPYPCDeNB6FUFAAAAAg",
     "eyJ0eXBlIjogIndlYmF1dGhuLmdldCIsICJjaGFsbGVuZ2UiOiAiQUFBQSIsICJvcmlnaW4iOiAiaHR0cHM6Ly9hLmV"
     "4YW1wbGUiLCAiY3Jvc3NPcmlnaW4iOiBmYWxzZX0",
     "PEyHTI5h_1ANBv0KFsBKiJAa2tWB9KzQIUMREbenwuSW5LY8TjZKEEJOakVs85QcT7uy4fi4x4hz8P4OZRvs7qjPA8R"
     "9rYGrvYo_kgqjQ19PKr4A-rt2w-qeLeX-VBBcpCKXGN1H0yRv7T6MDrGYfD426nYHLrAjdsqTFKLxbecgU9fbMHxuo_"
     "MelHnyjdkq2yN7DmeGKttDap7RzN_kuz6eKFgIvpD93bnzfepJz9doC0u-DUCyMMkaxLQNwmL9mCUmyIRxMaMooKLmi"
     "o3eUmdtw_7vT786G0A_sZ6QTm61kgo8jeUDFmKUeF6fNgCaEYqFBbq-_iIK883UWorh3w"},
};
/* clang-format on */

#define BYTES(text) str_of(text, sizeof text - 1)

static str decoded(const char *text) {
    static u8 rooms[8][1024];
    static u32 turn;
    u8 *to = rooms[turn++ % 8];
    size_t n = 0;
    EXPECT_OK(base64url_decode(str_from_c(text), to, sizeof rooms[0], &n));
    return str_of((char *)to, n);
}

static rc_t signed_by(const struct vector *v, const struct webauthn_data *made, str data,
                      str client, str signature) {
    u8 message[2048];
    memcpy(message, data.ptr, data.len);
    sha256(client, message + data.len);
    return webauthn_signed(v->algorithm, str_of((const char *)made->key, made->key_len),
                           str_of((char *)message, data.len + SHA256_BYTES), signature);
}

TEST(cbor_items) {
    static const struct {
        const char *bytes;
        size_t n;
        rc_t rc;
        enum cbor_kind kind;
        u64 value;
    } cases[] = {
        {"\x00", 1, RC_OK, CBOR_UINT, 0},
        {"\x17", 1, RC_OK, CBOR_UINT, 23},
        {"\x18\x18", 2, RC_OK, CBOR_UINT, 24},
        {"\x19\x01\x00", 3, RC_OK, CBOR_UINT, 256},
        {"\x1a\x00\x01\x00\x00", 5, RC_OK, CBOR_UINT, 65536},
        {"\x1b\x00\x00\x00\x01\x00\x00\x00\x00", 9, RC_OK, CBOR_UINT, 1ull << 32},
        {"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 9, RC_OK, CBOR_UINT, UINT64_MAX},
        {"\x26", 1, RC_OK, CBOR_NEGATIVE, 6},
        {"\x39\x01\x00", 3, RC_OK, CBOR_NEGATIVE, 256},
        {"\x41\x07", 2, RC_OK, CBOR_BYTES, 1},
        {"\x61z", 2, RC_OK, CBOR_TEXT, 1},
        {"\x80", 1, RC_OK, CBOR_ARRAY, 0},
        {"\xa0", 1, RC_OK, CBOR_MAP, 0},
        {"\xf4", 1, RC_OK, CBOR_SIMPLE, 20},
        {"\xf6", 1, RC_OK, CBOR_SIMPLE, 22},
        {"", 0, RC_INVALID, 0, 0},
        {"\x18\x17", 2, RC_INVALID, 0, 0},             /* not the shortest form */
        {"\x19\x00\xff", 3, RC_INVALID, 0, 0},         /* likewise */
        {"\x1a\x00\x00\xff\xff", 5, RC_INVALID, 0, 0}, /* likewise */
        {"\x19\x01", 2, RC_INVALID, 0, 0},             /* cut */
        {"\x1c", 1, RC_INVALID, 0, 0},                 /* reserved */
        {"\x5f\x41\x00\xff", 4, RC_INVALID, 0, 0},     /* length left open */
        {"\x42\x00", 2, RC_INVALID, 0, 0},             /* longer than there is */
        {"\x61\xff", 2, RC_INVALID, 0, 0},             /* not UTF-8 */
        {"\x82\x00", 2, RC_INVALID, 0, 0},             /* more than could be */
        {"\xa1\x00", 2, RC_INVALID, 0, 0},             /* half a pair */
        {"\xc0\x00", 2, RC_INVALID, 0, 0},             /* a tag */
        {"\xf9\x00\x00", 3, RC_INVALID, 0, 0},         /* a float */
        {"\xf7", 1, RC_INVALID, 0, 0},                 /* undefined */
        {"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", 9, RC_INVALID, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cbor r = {str_of(cases[i].bytes, cases[i].n)};
        struct cbor_item item;
        rc_t rc = cbor_next(&r, &item);
        bool same = item.kind == cases[i].kind && item.value == cases[i].value;
        if (rc != cases[i].rc || (!rc && !same))
            test_fail(__FILE__, __LINE__, "case %zu: %s", i, rc_name(rc));
    }
}

TEST(cbor_numbers_and_depth) {
    struct cbor_item item = {.kind = CBOR_NEGATIVE, .value = 6};
    char deep[16];
    str whole;
    EXPECT_EQ(cbor_int(&item), -7);
    item = (struct cbor_item){.kind = CBOR_UINT, .value = UINT64_MAX};
    EXPECT(cbor_int(&item) == INT64_MIN);
    item = (struct cbor_item){.kind = CBOR_TEXT};
    EXPECT(cbor_int(&item) == INT64_MIN);
    memset(deep, (char)0x81, sizeof deep);
    deep[sizeof deep - 1] = 0;
    struct cbor r = {str_of(deep, sizeof deep)};
    EXPECT_RC(cbor_skip(&r, &whole), RC_LIMIT);
    r = (struct cbor){str_of(deep + 9, 7)};
    EXPECT_OK(cbor_skip(&r, &whole));
    EXPECT_EQ(whole.len, 7u);
    r = (struct cbor){BYTES("\xa2\x01\x82\x02\x03\x61z\xf5!")};
    EXPECT_OK(cbor_skip(&r, &whole));
    EXPECT(str_eq(r.rest, S("!")));
}

TEST(credentials_are_made_and_shown) {
    EXPECT_OK(tls_init());
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct webauthn_data made, shown;
        EXPECT_OK(webauthn_attestation_read(decoded(v->attestation), &made));
        EXPECT_EQ(made.algorithm, v->algorithm);
        EXPECT(made.present && made.verified && !made.backed_up);
        EXPECT_EQ(made.counter, 1u);
        EXPECT_EQ(made.credential_id.len, 16u);
        EXPECT_OK(signed_by(v, &made, made.bytes, decoded(v->made_client), made.own_signature));
        str data = decoded(v->data), client = decoded(v->client), sig = decoded(v->signature);
        EXPECT_OK(webauthn_data_read(data, false, &shown));
        EXPECT_EQ(shown.counter, 2u);
        EXPECT_OK(signed_by(v, &made, data, client, sig));
        EXPECT_RC(signed_by(v, &made, data, str_skip(client, 1), sig), RC_DENIED);
        EXPECT_RC(signed_by(v, &made, data, client, str_take(sig, sig.len - 1)), RC_DENIED);
        EXPECT_RC(signed_by(v, &made, data, client, S("")), RC_DENIED);
        EXPECT_RC(webauthn_data_read(data, true, &shown), RC_INVALID);
        EXPECT_RC(webauthn_signed(-8, S("x"), data, sig), RC_DENIED);
        EXPECT_RC(webauthn_signed(v->algorithm, S("x"), data, sig), RC_DENIED);
    }
}

/* No beginning of a good one is good, and no byte beyond it is looked at (ASan watches). */
TEST(cut_anywhere_it_is_refused) {
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        str whole = decoded(vectors[i].attestation);
        for (size_t n = 0; n < whole.len; n++) {
            struct webauthn_data data;
            char *exact = malloc(n + !n);
            REQUIRE(exact);
            memcpy(exact, whole.ptr, n);
            if (!webauthn_attestation_read(str_of(exact, n), &data))
                test_fail(__FILE__, __LINE__, "%zu of %zu bytes", n, whole.len);
            free(exact);
        }
    }
}

/* A change of any byte of the signed part shows in the reading or in the signature. */
TEST(changed_anywhere_it_is_refused) {
    const struct vector *v = &vectors[0];
    str whole = decoded(v->attestation), client = decoded(v->made_client);
    for (size_t n = 0; n < whole.len; n++) {
        char copy[1024];
        struct webauthn_data data;
        memcpy(copy, whole.ptr, whole.len);
        copy[n] ^= 0x10;
        if (webauthn_attestation_read(str_of(copy, whole.len), &data)) continue;
        if (data.own_signature.ptr && !signed_by(v, &data, data.bytes, client, data.own_signature))
            test_fail(__FILE__, __LINE__, "byte %zu", n);
    }
}

static rc_t data_with(u8 flags, const char *more, size_t n) {
    char bytes[256] = {0};
    struct webauthn_data data;
    bytes[32] = (char)flags;
    memcpy(bytes + 37, more, n);
    return webauthn_data_read(str_of(bytes, 37 + n), flags & FLAG_MADE, &data);
}

TEST(flags_and_what_follows) {
    EXPECT_OK(data_with(1, "", 0));
    EXPECT_OK(data_with(1 | 8 | 16, "", 0));
    EXPECT_RC(data_with(1 | 16, "", 0), RC_INVALID); /* backed up though it cannot be */
    EXPECT_RC(data_with(1, "\xa0", 1), RC_INVALID);  /* extensions nobody announced */
    EXPECT_OK(data_with(1 | 128, "\xa0", 1));
    EXPECT_RC(data_with(1 | 128, "\x80", 1), RC_INVALID);
    EXPECT_RC(data_with(1 | 128, "", 0), RC_INVALID);
    EXPECT_RC(data_with(64, "", 0), RC_INVALID);
    EXPECT_RC(data_with(64, "0123456789abcdef\x00\x00", 18), RC_INVALID); /* an empty id */
    EXPECT_RC(data_with(64, "0123456789abcdef\x00\x05idid", 22), RC_INVALID);
}

static rc_t key_with(str bytes) {
    struct webauthn_data data = {0};
    struct cbor r = {bytes};
    struct cose key;
    rc_t rc = cose_read(&r, &key);
    return rc ? rc : key_of(&key, &data);
}

TEST(keys_of_other_kinds) {
    EXPECT_RC(key_with(BYTES("\x80")), RC_INVALID);
    EXPECT_RC(key_with(BYTES("\xa0")), RC_INVALID);
    EXPECT_RC(key_with(BYTES("\xa1\x01\x80")), RC_INVALID);
    EXPECT_RC(key_with(BYTES("\xa1\x09\x01")), RC_INVALID);
    EXPECT_RC(key_with(BYTES("\xa1\x00\x01")), RC_INVALID);
    EXPECT_RC(key_with(BYTES("\xa2\x01\x02\x01\x02")), RC_INVALID);         /* twice */
    EXPECT_RC(key_with(BYTES("\xa3\x01\x01\x03\x27\x20\x06")), RC_INVALID); /* EdDSA */
    EXPECT_RC(key_with(BYTES("\xa3\x01\x02\x03\x26\x20\x02")), RC_INVALID); /* P-384 */
    EXPECT_RC(key_with(BYTES("\xa2\x01\x03\x03\x39\x01\x00")), RC_INVALID); /* RSA without a key */
}

static rc_t attestation_with(str bytes) {
    struct webauthn_data data;
    return webauthn_attestation_read(bytes, &data);
}

TEST(attestations_of_other_kinds) {
    EXPECT_RC(attestation_with(BYTES("\xa0")), RC_INVALID);
    EXPECT_RC(attestation_with(BYTES("\xa3\x01\x02\x03\x04\x05\x06")), RC_INVALID);
    EXPECT_RC(attestation_with(BYTES("\xa3\x63" "fmt\x64none\x67" "attStmt\xa0\x68"
                                     "authData\x41x")),
              RC_INVALID);
    struct webauthn_data data = {.algorithm = -7};
    EXPECT_RC(packed_read(BYTES("\xa0"), &data), RC_INVALID);
    EXPECT_RC(packed_read(BYTES("\xa2\x01\x02\x03\x04"), &data), RC_INVALID);
    EXPECT_RC(packed_read(BYTES("\xa2\x63" "alg\x27\x63sig\x41x"), &data), RC_INVALID);
    EXPECT_OK(packed_read(BYTES("\xa2\x63" "alg\x26\x63sig\x41x"), &data));
}

TEST(der_signatures) {
    u8 raw[64];
    EXPECT(ecdsa_der(BYTES("\x30\x06\x02\x01\x07\x02\x01\x09"), raw));
    EXPECT(raw[31] == 7 && raw[63] == 9);
    EXPECT(ecdsa_der(BYTES("\x30\x07\x02\x02\x00\x87\x02\x01\x09"), raw));
    EXPECT(!ecdsa_der(BYTES("\x30\x07\x02\x02\x00\x07\x02\x01\x09"), raw));
    EXPECT(!ecdsa_der(BYTES("\x30\x06\x02\x01\x87\x02\x01\x09"), raw));
    EXPECT(!ecdsa_der(BYTES("\x30\x06\x02\x01\x07\x02\x01\x09!"), raw));
    EXPECT(!ecdsa_der(BYTES("\x31\x06\x02\x01\x07\x02\x01\x09"), raw));
    EXPECT(!ecdsa_der(BYTES("\x30\x05\x02\x01\x07\x02\x00"), raw));
    EXPECT(!ecdsa_der(BYTES("\x30\x09\x02\x01\x07\x02\x01\x09\x02\x01\x01"), raw));
    EXPECT(!ecdsa_der(BYTES("\x30\x03\x02\x01\x07"), raw));
}
