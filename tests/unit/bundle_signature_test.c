/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures of bundles: every algorithm, and every way in which one does not hold. */
#include "app/bundle/hash.c"
#include "app/bundle/signature.c"
#include "net/tls.h"
#include "tests/test.h"
#include <stdio.h>

__attribute__((constructor)) static void start(void) {
    (void)!!tls_init();
}

static struct policy_bundle bundle;
static struct diag why;
static struct buf archive;
static struct heap heap;

static const char *const names[] = {".manifest", "data.json", "a/p.rego"};
static const char *texts[] = {"{\"revision\":\"1\"}", "{ \"b\": 1.0, \"a\": [true, \"<\"] }",
                              "package a.p"};

static void hash_all(struct bundle_hash *out) {
    for (u32 i = 0; i < ARRAY_LEN(names); i++) {
        u8 hash[BUNDLE_HASH_MAX];
        size_t len;
        out[i].name = str_from_c(names[i]);
        EXPECT_OK(bundle_hash_file(&heap, out[i].name, str_from_c(texts[i]), S("SHA-256"), hash,
                                   &len, &why));
        EXPECT_OK(str_hex(hash, len, out[i].hex, sizeof out[i].hex));
    }
}

/* The files and a signature by this key; `more` is a file nobody signed. */
static rc_t make(const char *algorithm, str key, const char *claims, const char *key_id,
                 const char *more) {
    struct bundle_hash hashes[ARRAY_LEN(names)];
    struct bundle_files files = {0};
    value v = UNDEFINED;
    str token;
    static char text[16384];
    heap_close(&heap);
    heap_open(&heap, MIB(8));
    why = (struct diag){0};
    hash_all(hashes);
    if (claims) EXPECT_OK(json_text_read(&heap, NULL, str_from_c(claims), &v, &why));
    rc_t rc = bundle_sign(&heap, hashes, ARRAY_LEN(names), str_from_c(algorithm), key, v,
                          str_from_c(key_id), &token, &why);
    if (rc) return rc;
    snprintf(text, sizeof text, "{\"signatures\":[\"%.*s\"]}", STR(token));
    for (u32 i = 0; i < ARRAY_LEN(names); i++)
        EXPECT_OK(bundle_files_add(
            &heap, &files,
            &(struct bundle_file){.name = str_from_c(names[i]), .bytes = str_from_c(texts[i])}));
    EXPECT_OK(bundle_files_add(
        &heap, &files,
        &(struct bundle_file){.name = S(".signatures.json"), .bytes = str_from_c(text)}));
    if (more)
        EXPECT_OK(bundle_files_add(
            &heap, &files, &(struct bundle_file){.name = str_from_c(more), .bytes = S("x")}));
    buf_close(&archive);
    buf_open(&archive, MIB(1));
    return bundle_pack(&files, &archive);
}

static rc_t check(const struct bundle_verification *v) {
    struct bundle_options o = {.verification = v};
    bundle_drop(&bundle);
    why = (struct diag){0};
    return bundle_read(&bundle, buf_str(&archive), &o, &why);
}

static rc_t check_key(const char *id, const char *algorithm, str key, const char *scope) {
    struct bundle_key k = {.id = str_from_c(id),
                           .key = key,
                           .algorithm = str_from_c(algorithm),
                           .scope = str_from_c(scope)};
    struct bundle_verification v = {.keys = &k, .key_count = 1};
    return check(&v);
}

#include "tests/unit/bundle_keys.h"

TEST(every_algorithm_signs_and_verifies) {
    static const struct {
        const char *algorithm;
        str private, public, other;
    } cases[] = {
        {"HS256", S("secret"), S("secret"), S("Secret")},
        {"HS384", S("secret"), S("secret"), S("x")},
        {"HS512", S("secret"), S("secret"), S("x")},
        {"RS256", S(BUNDLE_RSA), S(BUNDLE_RSA_PUBLIC), S(BUNDLE_RSA_OTHER)},
        {"RS384", S(BUNDLE_RSA), S(BUNDLE_RSA_PUBLIC), S(BUNDLE_RSA_OTHER)},
        {"RS512", S(BUNDLE_RSA), S(BUNDLE_RSA_PUBLIC), S(BUNDLE_RSA_OTHER)},
        {"PS256", S(BUNDLE_RSA), S(BUNDLE_RSA_PUBLIC), S(BUNDLE_RSA_OTHER)},
        {"PS384", S(BUNDLE_RSA), S(BUNDLE_RSA_PUBLIC), S(BUNDLE_RSA_OTHER)},
        {"PS512", S(BUNDLE_RSA), S(BUNDLE_RSA_PUBLIC), S(BUNDLE_RSA_OTHER)},
        {"ES256", S(BUNDLE_EC), S(BUNDLE_EC_PUBLIC), S(BUNDLE_EC_OTHER)},
        {"ES384", S(BUNDLE_EC384), S(BUNDLE_EC384_PUBLIC), S(BUNDLE_EC_PUBLIC)},
    };
    for (u32 i = 0; i < ARRAY_LEN(cases); i++) {
        EXPECT_OK(make(cases[i].algorithm, cases[i].private, NULL, "k", NULL));
        rc_t good = check_key("k", cases[i].algorithm, cases[i].public, ""),
             bad = check_key("k", cases[i].algorithm, cases[i].other, "");
        if (good || bad != RC_DENIED)
            test_fail(__FILE__, __LINE__, "%s: %s, %s", cases[i].algorithm, rc_name(good),
                      rc_name(bad));
        EXPECT_RC(check_key("k", i ? "HS256" : "HS384", cases[i].public, ""), RC_DENIED);
    }
}

TEST(certificates_and_other_forms_of_keys) {
    EXPECT_OK(make("RS256", S(BUNDLE_RSA_PKCS1), NULL, "k", NULL));
    EXPECT_OK(check_key("k", "", S(BUNDLE_RSA_CERTIFICATE), "")); /* RS256 unless told */
    EXPECT_OK(check_key("k", "RS256", S(BUNDLE_RSA), ""));
    EXPECT_OK(make("ES256", S(BUNDLE_EC_SEC1), NULL, "k", NULL));
    EXPECT_OK(check_key("k", "ES256", S(BUNDLE_EC_PUBLIC), ""));
    EXPECT_RC(make("ES256", S("-----BEGIN X-----\nAAAA\n-----END X-----\n"), NULL, "", NULL),
              RC_INVALID);
    EXPECT_STR(str_from_c(why.text), S("unsupported PEM block type: X"));
    EXPECT_RC(make("RS256", S("no key"), NULL, "", NULL), RC_INVALID);
    EXPECT_STR(str_from_c(why.text), S("failed to parse PEM block containing the key"));
    EXPECT_RC(make("XS256", S("no key"), NULL, "", NULL), RC_INVALID);
    EXPECT_RC(make("RS256", S(BUNDLE_EC), NULL, "", NULL), RC_INVALID);
    EXPECT_RC(make("RS256", S("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                   NULL, "", NULL),
              RC_INVALID);
}

static void refused(const char *words, rc_t rc) {
    EXPECT_RC(rc, RC_DENIED);
    EXPECT_STR(str_from_c(why.text), str_from_c(words));
}

TEST(what_does_not_hold_is_named) {
    struct bundle_verification none = {.key_id = S("k")};
    EXPECT_OK(make("HS256", S("s"), NULL, "k", NULL));
    refused("verification key not provided", check(NULL));
    refused("verification key corresponding to ID k not found",
            check_key("other", "HS256", S("s"), ""));
    refused("unknown signature algorithm: none", check_key("k", "none", S("s"), ""));
    refused("scope mismatch", check_key("k", "HS256", S("s"), "write"));
    EXPECT_OK(make("HS256", S("s"), NULL, "", NULL));
    refused("verification key ID is empty", check_key("k", "HS256", S("s"), ""));
    EXPECT_OK(make("HS256", S("s"), "{\"keyid\":\"k\",\"scope\":\"write\"}", "", NULL));
    EXPECT_OK(check_key("k", "HS256", S("s"), "write"));
    EXPECT_OK(make("HS256", S("s"), NULL, "k", "a/unsigned.txt"));
    refused("file a/unsigned.txt not included in bundle signature",
            check_key("k", "HS256", S("s"), ""));
    (void)none;
}

TEST(files_may_be_left_out_of_the_check) {
    struct bundle_key k = {.id = S("k"), .key = S("s"), .algorithm = S("HS256")};
    const str exclude[] = {S("none"), S("*/un?igned.*")};
    struct bundle_verification v = {
        .keys = &k, .key_count = 1, .exclude = exclude, .exclude_count = 2};
    EXPECT_OK(make("HS256", S("s"), NULL, "k", "a/unsigned.txt"));
    EXPECT_OK(check(&v));
    EXPECT_OK(make("HS256", S("s"), NULL, "k", "a/b/unsigned.txt"));
    EXPECT_RC(check(&v), RC_DENIED);
    EXPECT(name_matches(S("a\\*b"), S("a*b")) && !name_matches(S("a\\*b"), S("axb")));
    EXPECT(name_matches(S("*"), S("abc")) && !name_matches(S("*"), S("a/c")) &&
           !name_matches(S("a?"), S("a/")));
    EXPECT(name_matches(S("a*c*"), S("abcabc")) && !name_matches(S("a*d"), S("abcabc")));
}

TEST(changed_files_are_found) {
    struct bundle_hash hashes[ARRAY_LEN(names)];
    EXPECT_OK(make("HS256", S("s"), NULL, "k", NULL));
    hash_all(hashes);
    EXPECT_OK(file_verify(&heap, S("x"), str_from_c(texts[2]), UNDEFINED, &why) == RC_DENIED
                  ? RC_OK
                  : RC_INVALID);
    const char *kept = texts[1];
    texts[1] = "{\"a\":[true,\"<\"],\n\"b\":1.0}"; /* other layout, the same document */
    struct bundle_hash again[ARRAY_LEN(names)];
    hash_all(again);
    EXPECT_STR(str_from_c(again[1].hex), str_from_c(hashes[1].hex));
    texts[1] = "{\"a\":[true,\"<\"],\"b\":1}";
    hash_all(again);
    EXPECT(strcmp(again[1].hex, hashes[1].hex) != 0);
    texts[1] = kept;
}

static void digest_is(const char *algorithm, str path, str bytes, const char *want) {
    u8 hash[BUNDLE_HASH_MAX];
    char hex[2 * BUNDLE_HASH_MAX + 1];
    size_t len;
    EXPECT_OK(bundle_hash_file(&heap, path, bytes, str_from_c(algorithm), hash, &len, &why));
    EXPECT_OK(str_hex(hash, len, hex, sizeof hex));
    EXPECT_STR(str_from_c(hex), str_from_c(want));
}

TEST(digests_as_published) { /* FIPS 180-4's examples: "abc" */
    u8 hash[BUNDLE_HASH_MAX];
    size_t len;
    digest_is("SHA-256", S("a"), S("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_is("SHA-512-256", S("a"), S("abc"),
              "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23");
    digest_is("SHA-512-224", S("a"), S("abc"),
              "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa");
    digest_is("SHA-1", S("a"), S("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    digest_is("MD5", S("a"), S(""), "d41d8cd98f00b204e9800998ecf8427e");
    digest_is("SHA-256", S("x/data.yaml"), S("b: 1\na: [x]\n"), /* of {"a":["x"],"b":1} */
              "9bfce180614e8aaffe8a52084e7be3ee3b4c2e740cae2793550177f953f11c04");
    EXPECT_RC(bundle_hash_file(&heap, S("a"), S(""), S("SHA-3"), hash, &len, &why), RC_INVALID);
    EXPECT_RC(bundle_hash_file(&heap, S("data.json"), S("{"), S("MD5"), hash, &len, &why),
              RC_INVALID);
}

TEST(unsigned_where_a_key_is_named) {
    struct bundle_files files = {0};
    struct bundle_verification v = {.key_id = S("k")};
    heap_close(&heap), heap_open(&heap, MIB(1));
    EXPECT_OK(bundle_files_add(
        &heap, &files,
        &(struct bundle_file){
            .name = S("patch.json"),
            .bytes = S("{\"data\":[{\"op\":\"upsert\",\"path\":\"/a\",\"value\":1}]}")}));
    buf_close(&archive), buf_open(&archive, MIB(1));
    EXPECT_OK(bundle_pack(&files, &archive));
    refused("bundle missing .signatures.json file", check(&v)); /* deltas too */
    EXPECT_OK(check(NULL));
}

TEST(tokens_of_wrong_shape) {
    static const struct {
        const char *text;
        rc_t rc;
    } cases[] = {{"{\"signatures\":[]}", RC_DENIED},
                 {"{\"signatures\":[\"a\",\"b\"]}", RC_DENIED},
                 {"{\"signatures\":[\"a\"]}", RC_INVALID},
                 {"{\"signatures\":[\"a.b.c.d\"]}", RC_INVALID},
                 {"{\"signatures\":[\"!.b.c\"]}", RC_INVALID},
                 {"{\"signatures\":[\"e30.W10.c\"]}", RC_INVALID},
                 {"{\"signatures\":[1]}", RC_INVALID},
                 {"{\"plugin\":\"x\",\"signatures\":[\"a\"]}", RC_DENIED},
                 {"{\"signatures\":[\"e30.e30.!\"]}", RC_INVALID},
                 {"[", RC_INVALID},
                 {"{}", RC_OK}};
    struct bundle_key k = {.id = S("k"), .key = S("s"), .algorithm = S("HS256")};
    struct bundle_verification v = {.keys = &k, .key_count = 1};
    for (u32 i = 0; i < ARRAY_LEN(cases); i++) {
        struct bundle_files files = {0};
        heap_close(&heap), heap_open(&heap, MIB(1));
        EXPECT_OK(bundle_files_add(&heap, &files,
                                   &(struct bundle_file){.name = S(".signatures.json"),
                                                         .bytes = str_from_c(cases[i].text)}));
        buf_close(&archive), buf_open(&archive, MIB(1));
        EXPECT_OK(bundle_pack(&files, &archive));
        rc_t rc = check(&v);
        if (rc != cases[i].rc) test_fail(__FILE__, __LINE__, "%s: %s", cases[i].text, rc_name(rc));
    }
}
