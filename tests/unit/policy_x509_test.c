/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, requests, private keys: what is read, what a chain must be like, what is refused.
 */
#include "app/policy/builtin/x509.c"
#include "app/policy/builtin/der.c"
#include "net/tls.h"
#include "tests/unit/policy_builtin.h"
#include "tests/unit/policy_keys.h"
#include <stdio.h>

/* The library's locks. */
__attribute__((constructor)) static void start(void) {
    (void)!!tls_init();
}

static void expect_has(const char *name, const char *args, const char *part) {
    const char *got = test_answer(name, args, MIB(16));
    if (!strstr(got, part))
        test_fail(__FILE__, __LINE__, "%s is %.300s ..., without %s", name, got, part);
}
#define CHAIN CERT_ROOT CERT_INTERMEDIATE CERT_LEAF
static const char chain_parsed[] = "[\"" CHAIN "\"]";

TEST(certificates_have_all_their_fields) {
    static const char *const parts[] = {
        "\"DNSNames\": [\"www.example.com\", \"*.api.example.com\"]",
        "\"IPAddresses\": [\"10.1.2.3\", \"2001:db8::1\"]",
        "\"EmailAddresses\": [\"a@example.com\"]",
        "\"ExtKeyUsage\": [1, 2]",
        "\"UnknownExtKeyUsage\": [[1, 2, 3, 4]]",
        "\"KeyUsage\": 96",
        "\"MaxPathLen\": 2",
        "\"PermittedDNSDomains\": [\"example.com\"]",
        "\"Policies\": [\"2.23.140.1.2.1\"]",
        "\"PolicyIdentifiers\": [[2, 23, 140, 1, 2, 1]]",
        "\"OCSPServer\": [\"http://ocsp.example.com\"]",
        "\"IssuingCertificateURL\": [\"http://ca.example.com/ca.cer\"]",
        "\"CRLDistributionPoints\": [\"http://crl.example.com/a.crl\"]",
        "\"URIStrings\": [\"spiffe://example.com/w?x=1\"]",
        "\"RawQuery\": \"x=1\"",
        "\"Province\": [\"By\"]",
        "\"SerialNumber\": \"77\"",
        "\"NotBefore\": \"2026-11-21T",
        "\"PublicKeyAlgorithm\": 3, ",
        "\"E\": 65537",
        "\"SignatureAlgorithm\": 11",
        "\"Version\": 3",
        "\"UnhandledCriticalExtensions\": null",
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        expect_has("crypto.x509.parse_certificates", chain_parsed, parts[i]);
    expect_has("crypto.x509.parse_certificates", "[\"" CERT_ED25519 "\"]",
               "\"PublicKeyAlgorithm\": 4");
}

TEST(chains_are_verified) {
    test_evaluation.now_ns = 1800000000ull * NS_PER_S;
    static const char *const good[] = {CERT_ROOT CERT_INTERMEDIATE CERT_LEAF,
                                       CERT_ROOT CERT_INTERMEDIATE CERT_LEAF_PSS,
                                       CERT_ROOT CERT_INTERMEDIATE, CERT_ED25519 CERT_ED25519};
    static const char *const bad[] = {CERT_ROOT CERT_LEAF,
                                      CERT_INTERMEDIATE CERT_ROOT,
                                      CERT_ROOT,
                                      CERT_ROOT CERT_ED25519,
                                      "x",
                                      ""};
    static char args[16384];
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        snprintf(args, sizeof args, "[\"%s\"]", good[i]);
        expect_has("crypto.x509.parse_and_verify_certificates", args, "[true, [{");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(args, sizeof args, "[\"%s\"]", bad[i]);
        EXPECT_CALL("crypto.x509.parse_and_verify_certificates", args, "[false, []]");
    }
    test_evaluation.now_ns = 1000000000ull * NS_PER_S; /* not yet valid */
    EXPECT_CALL("crypto.x509.parse_and_verify_certificates", chain_parsed, "[false, []]");
}

TEST(options_of_verification) {
    static const struct {
        const char *options, *want;
    } cases[] = {
        {"{\"CurrentTime\":1800000000000000000}", "[true, [{"},
        {"{\"CurrentTime\":1800000000000000000,\"DNSName\":\"www.example.com\"}", "[true, [{"},
        {"{\"CurrentTime\":1800000000000000000,\"DNSName\":\"x.api.example.com\"}", "[true, [{"},
        {"{\"CurrentTime\":1800000000000000000,\"DNSName\":\"y.x.api.example.com\"}",
         "[false, []]"},
        {"{\"CurrentTime\":1800000000000000000,\"DNSName\":\"10.1.2.3\"}", "[true, [{"},
        {"{\"CurrentTime\":1800000000000000000,\"DNSName\":\"example.com\"}", "[false, []]"},
        {"{\"CurrentTime\":1800000000000000000,\"KeyUsages\":[\"KeyUsageClientAuth\"]}",
         "[true, [{"},
        {"{\"CurrentTime\":1800000000000000000,\"KeyUsages\":{\"set\":[\"KeyUsageCodeSigning\"]}}",
         "[false, []]"},
        {"{\"CurrentTime\":1800000000000000000,\"KeyUsages\":[\"KeyUsageAny\"]}", "[true, [{"},
        {"{\"KeyUsages\":[\"x\",\"y\"]}", "error: invalid entries for 'KeyUsages' found: [x y]"},
        {"{\"KeyUsages\":1}", "error: 'KeyUsages' should be an Array or Set"},
        {"{\"CurrentTime\":\"x\"}", "error: 'CurrentTime' should be a number"},
        {"{\"CurrentTime\":1.5}", "error: 'CurrentTime' should be a valid int64 number"},
        {"{\"DNSName\":1}", "error: 'DNSName' should be a string"},
        {"{\"MaxConstraintComparisons\":\"x\"}",
         "error: 'MaxConstraintComparisons' should be a number"},
        {"{\"x\":1}", "error: invalid key option"},
    };
    static char args[16384];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(args, sizeof args, "[\"%s\",%s]", CHAIN, cases[i].options);
        expect_has("crypto.x509.parse_and_verify_certificates_with_options", args, cases[i].want);
    }
}

TEST(keys_and_pairs) {
    expect_has("crypto.parse_private_keys", "[\"" KEY_RSA_PKCS8 KEY_P256_SEC1 "\"]",
               "\"Primes\": [");
    expect_has("crypto.parse_private_keys", "[\"" KEY_RSA_PKCS8 KEY_P256_SEC1 "\"]",
               "\"Curve\": {}, \"D\": ");
    expect_has("crypto.x509.parse_rsa_private_key", "[\"" KEY_P384_PKCS8 "\"]",
               "\"crv\": \"P-384\"");
    expect_has("crypto.x509.parse_rsa_private_key", "[\"" KEY_P521_PKCS8 "\"]",
               "\"crv\": \"P-521\"");
    expect_has("crypto.x509.parse_rsa_private_key", "[\"" KEY_ED25519_PKCS8 "\"]",
               "\"kty\": \"OKP\"");
    expect_has("crypto.x509.parse_rsa_private_key", "[\"" KEY_RSA_PKCS8 "\"]", "\"qi\": ");
    EXPECT_CALL("crypto.parse_private_keys", "[\"\"]", "null");
    EXPECT_CALL("crypto.parse_private_keys", "[\"nope\"]", "[]");
    EXPECT_CALL("crypto.x509.parse_rsa_private_key", "[\"\"]", "error: input PEM data was empty");
    expect_has("crypto.x509.parse_certificate_request", "[\"" CERT_REQUEST "\"]",
               "\"CommonName\": \"Inter\"");
    expect_has("crypto.x509.parse_keypair", "[\"" CERT_LEAF "\",\"" KEY_P256_PKCS8 "\"]",
               "\"Leaf\": {");
    EXPECT_CALL("crypto.x509.parse_keypair", "[\"" CERT_LEAF "\",\"" KEY_RSA_PKCS8 "\"]",
                "error: tls: private key type does not match public key type");
}

TEST(certificates_are_refused_in_the_references_words) {
    EXPECT_CALL("crypto.x509.parse_certificates", "[\"YmFkc3RyaW5n\"]",
                "error: x509: malformed certificate");
    EXPECT_CALL("crypto.x509.parse_certificates", "[\"foobar\"]",
                "error: illegal base64 data at input byte 4");
    EXPECT_CALL("crypto.x509.parse_certificates", "[\"" KEY_RSA_PUBLIC "\"]",
                "error: PEM block type is 'PUBLIC KEY', expected CERTIFICATE");
    EXPECT_CALL("crypto.x509.parse_certificate_request", "[\"MAA=\"]",
                "error: asn1: structure error: tags don't match");
}

/* Each byte changed, each length: an answer or an error, never more. */
TEST(damaged_certificates_are_survived) {
    static char der[4096];
    struct heap h;
    heap_open(&h, MIB(8));
    memset(&test_call, 0, sizeof test_call);
    test_call.heap = &h, test_call.evaluation = &test_evaluation;
    static const char text[] = CERT_LEAF;
    static char pem[sizeof text];
    size_t n = 0;
    for (const char *p = text; *p; p++) pem[n++] = p[0] == '\\' && p[1] == 'n' ? (p++, '\n') : *p;
    str rest = str_of(pem, n);
    struct pem_block block;
    REQUIRE(pem_next(&test_call, &rest, &block) && block.bytes.len < sizeof der);
    size_t len = block.bytes.len;
    memcpy(der, block.bytes.ptr, len);
    struct certificate c;
    struct diag why;
    EXPECT(x509_read(&h, str_of(der, len), &c, &why));
    u32 refused = 0;
    for (size_t i = 0; i < len; i++) {
        heap_rewind(&h);
        str part = str_of(der, i);
        refused +=
            !x509_read(&h, i % 16 == 0 && i / 16 < 48 ? test_at_page_end(part) : part, &c, &why);
        der[i] ^= (char)0x81;
        heap_rewind(&h);
        (void)x509_read(&h, str_of(der, len), &c, &why);
        der[i] ^= (char)0x81;
    }
    EXPECT_EQ(refused, len);
    heap_close(&h);
}

TEST(der_lengths_are_minimal_and_inside) {
    static const struct {
        str der;
        bool ok;
    } cases[] = {
        {S("\x02\x01\x05"), true},
        {S("\x02\x81\x01\x05"), false},
        {S("\x02\x02\x05"), false},
        {S("\x02\x80\x05\x00\x00"), false},
        {S("\x1F\x01\x05"), false},
        {S("\x02"), false},
        {S("\x04\x84\xFF\xFF\xFF\xFF\x01"), false},
        {S("\x04\x85\x00\x00\x00\x00\x01\x01"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        str rest = cases[i].der;
        struct der_item item;
        EXPECT_EQ(der_next(&rest, &item), cases[i].ok);
    }
    str number, zero = S("\x02\x02\x00\x05"), negative = S("\x02\x01\x85");
    u32 small;
    EXPECT(!der_take_whole_number(&zero, &number));
    EXPECT(!der_take_small(&negative, &small));
}
