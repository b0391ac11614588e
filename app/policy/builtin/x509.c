/* SPDX-License-Identifier: Apache-2.0 */
/* x509.c — crypto.x509.* and crypto.parse_private_keys: texts to certificates and keys.
 *
 *   PEM, or base64 of PEM, or base64 of DER  -->  DER  -->  x509_read, key_of_...  -->  values
 *
 * The readers below are the reference's rules for which of these a text is. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/pem.h"
#include "app/policy/builtin/x509.h"
#include "app/policy/value/base64_text.h"
#include "kernel/base/limits.h"

/* Base64 of anything; false: the call failed, or with `quiet` just false. */
static bool decode(struct builtin_call *c, str text, bool quiet, str *out) {
    size_t n, bad_at;
    char *room = heap_alloc(c->heap, BASE64_READ_ROOM(text.len));
    if (!room || !builtin_tick(c, 1 + (u32)(text.len / 64))) return false;
    if (base64_text_read(text, 0, room, &n, &bad_at)) {
        if (!quiet) builtin_fail(c, "illegal base64 data at input byte %zu", bad_at);
        return false;
    }
    *out = str_of(room, n);
    return true;
}

/* ---- Certificates ---------------------------------------------------------------------------- */

struct certificates {
    struct certificate *items;
    u32 count, room;
};

static bool read_der(struct builtin_call *c, str der, struct certificates *out, struct diag *why) {
    while (der.len) {
        if (out->count == out->room) {
            u32 room = MAX(4, out->room * 2);
            struct certificate *grown = heap_alloc(c->heap, room * sizeof *grown);
            if (!grown) return false;
            if (out->count) memcpy(grown, out->items, out->count * sizeof *grown);
            out->items = grown, out->room = room;
        }
        if (!builtin_tick(c, 100) || !x509_read_next(c->heap, &der, &out->items[out->count], why))
            return false;
        out->count++;
    }
    return true;
}

static bool read_pem(struct builtin_call *c, str text, struct certificates *out, struct diag *why) {
    struct pem_block block;
    struct buf all; /* the reference joins the blocks, then reads them as one */
    builtin_text_open(c, &all);
    bool ok = true;
    while (ok && pem_next(c, &text, &block)) {
        ok = str_eq(block.type, S("CERTIFICATE"));
        if (!ok)
            diag_set(why, "PEM block type is '%.*s', expected CERTIFICATE",
                     STR(str_take(block.type, 64)));
        (void)buf_add(&all, block.bytes);
    }
    value joined = builtin_text_close(c, &all);
    if (!ok || c->failed || !value_is(joined, VALUE_STRING)) return false;
    return read_der(c, value_str(joined), out, why);
}

/* With `quiet` what is wrong with the text is just false. */
static bool read_certificates(struct builtin_call *c, str text, bool quiet,
                              struct certificates *out) {
    struct diag why = {0};
    str bytes = text;
    *out = (struct certificates){0};
    bool is_pem = str_starts(text, S("-----BEGIN"));
    if (!is_pem && !decode(c, text, quiet, &bytes)) return false;
    is_pem = is_pem || str_starts(bytes, S("-----BEGIN"));
    if (is_pem ? read_pem(c, bytes, out, &why) : read_der(c, bytes, out, &why)) return true;
    if (!quiet && !c->failed && *why.text) builtin_fail(c, "%s", why.text);
    return false;
}

value builtin_crypto_x509_parse_certificates(struct builtin_call *c, const value *args) {
    str text;
    struct certificates certs;
    struct value_builder b;
    if (!builtin_take_string(c, args, 0, &text) || !read_certificates(c, text, false, &certs))
        return UNDEFINED;
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (u32 i = 0; i < certs.count; i++) value_builder_add(&b, x509_value(&certs.items[i]));
    return value_builder_close(&b);
}

/* The certificate as the reference's library has it: the texts of its URIs are an addition. */
static value without_uri_texts(struct builtin_call *c, value cert) {
    struct value_builder bare;
    value_builder_open(&bare, c->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(cert); i++)
        if (!str_eq(value_str(value_key_at(cert, i)), S("URIStrings")))
            value_builder_replace(&bare, value_key_at(cert, i), value_value_at(cert, i));
    return value_builder_close(&bare);
}

static value verified(struct builtin_call *c, bool is_right, value chain) {
    value parts[2] = {value_boolean(is_right), is_right ? chain : value_empty_array()};
    return c->failed || c->heap->exhausted ? UNDEFINED : value_array(c->heap, parts, 2);
}

static value verify(struct builtin_call *c, struct certificates *certs,
                    const struct x509_options *o, bool with_uris) {
    struct value_builder b;
    u32 chain[X509_CHAIN_MAX], n = 0;
    if (certs->count < 2 || !x509_verify(c, certs->items, certs->count, o, chain, &n))
        return verified(c, false, UNDEFINED);
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (u32 i = 0; i < n; i++) {
        value v = x509_value(&certs->items[chain[i]]);
        value_builder_add(&b, with_uris ? v : without_uri_texts(c, v));
    }
    return verified(c, true, value_builder_close(&b));
}

value builtin_crypto_x509_parse_and_verify_certificates(struct builtin_call *c, const value *args) {
    str text;
    struct certificates certs;
    struct x509_options o = {.now = (s64)(evaluation_now_ns(c->evaluation) / NS_PER_S)};
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    if (!read_certificates(c, text, true, &certs)) return verified(c, false, UNDEFINED);
    return verify(c, &certs, &o, true);
}

/* ---- Options of verification ----------------------------------------------------------------- */

static const char *const usage_names[] = {
    /* by the reference's numbers */
    "KeyUsageAny",
    "KeyUsageServerAuth",
    "KeyUsageClientAuth",
    "KeyUsageCodeSigning",
    "KeyUsageEmailProtection",
    "KeyUsageIPSECEndSystem",
    "KeyUsageIPSECTunnel",
    "KeyUsageIPSECUser",
    "KeyUsageTimeStamping",
    "KeyUsageOCSPSigning",
    "KeyUsageMicrosoftServerGatedCrypto",
    "KeyUsageNetscapeServerGatedCrypto",
    "KeyUsageMicrosoftCommercialCodeSigning",
    "KeyUsageMicrosoftKernelCodeSigning",
};
enum { USAGES_MAX = 64 };

static str trim_quotes(str s) {
    while (s.len && *s.ptr == '"') s = str_skip(s, 1);
    while (s.len && s.ptr[s.len - 1] == '"') s.len--;
    return s;
}

static bool take_usages(struct builtin_call *c, value v, u8 usages[USAGES_MAX], u32 *count) {
    struct buf wrong;
    if (!builtin_is_sequence(v)) {
        builtin_fail(c, "'KeyUsages' should be an Array or Set");
        return false;
    }
    buf_open(&wrong, 256);
    for (u32 i = 0; i < value_count(v); i++) {
        if (!value_is(value_item(v, i), VALUE_STRING)) continue;
        str name = trim_quotes(value_str(value_item(v, i)));
        size_t n = 0;
        while (n < ARRAY_LEN(usage_names) && !str_eq(name, str_from_c(usage_names[n]))) n++;
        if (n == ARRAY_LEN(usage_names))
            (void)buf_printf(&wrong, wrong.len ? " %.*s" : "%.*s", STR(name));
        else if (*count < USAGES_MAX)
            usages[(*count)++] = (u8)n;
    }
    if (wrong.len || wrong.failed)
        builtin_fail(c, "invalid entries for 'KeyUsages' found: [%.*s]", (int)wrong.len,
                     wrong.ptr ? wrong.ptr : "");
    buf_close(&wrong);
    return !c->failed;
}

static bool take_options(struct builtin_call *c, value options, struct x509_options *o,
                         u8 usages[USAGES_MAX]) {
    for (u32 i = 0; i < value_count(options) && !c->failed; i++) {
        value name = value_key_at(options, i), v = value_value_at(options, i);
        s64 n;
        if (!value_is(name, VALUE_STRING)) continue;
        if (str_eq(value_str(name), S("DNSName"))) {
            if (!value_is(v, VALUE_STRING))
                builtin_fail(c, "'DNSName' should be a string");
            else
                o->dns_name = trim_quotes(value_str(v));
        } else if (str_eq(value_str(name), S("CurrentTime"))) {
            if (!value_is(v, VALUE_NUMBER))
                builtin_fail(c, "'CurrentTime' should be a number");
            else if (!builtin_integer_of(v, &n))
                builtin_fail(c, "'CurrentTime' should be a valid int64 number");
            else
                o->now = n / (s64)NS_PER_S;
        } else if (str_eq(value_str(name), S("MaxConstraintComparisons"))) {
            if (!value_is(v, VALUE_NUMBER))
                builtin_fail(c, "'MaxConstraintComparisons' should be a number");
            else if (!builtin_integer_of(v, &n))
                builtin_fail(c, "'MaxConstraintComparisons' should be a valid number");
        } else if (str_eq(value_str(name), S("KeyUsages"))) {
            if (take_usages(c, v, usages, &o->usage_count)) o->usages = usages;
        } else
            builtin_fail(c, "invalid key option");
    }
    return !c->failed;
}

value builtin_crypto_x509_parse_and_verify_certificates_with_options(struct builtin_call *c,
                                                                     const value *args) {
    str text;
    struct certificates certs;
    u8 usages[USAGES_MAX];
    struct x509_options o = {.now = (s64)(evaluation_now_ns(c->evaluation) / NS_PER_S)};
    if (!builtin_take_string(c, args, 0, &text) || !builtin_take_kind(c, args, 1, VALUE_OBJECT))
        return UNDEFINED;
    if (!read_certificates(c, text, true, &certs)) return verified(c, false, UNDEFINED);
    if (!take_options(c, args[1], &o, usages)) return UNDEFINED;
    return verify(c, &certs, &o, false);
}

value builtin_crypto_x509_parse_certificate_request(struct builtin_call *c, const value *args) {
    str text, bytes;
    struct pem_block block;
    struct certificate request;
    struct diag why = {0};
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    bytes = text;
    if (!str_starts(text, S("-----BEGIN CERTIFICATE REQUEST-----")) &&
        !decode(c, text, false, &bytes))
        return UNDEFINED;
    str rest = bytes;
    if (pem_next(c, &rest, &block)) {
        if (!str_eq(block.type, S("CERTIFICATE REQUEST")))
            return builtin_fail(c, "invalid PEM-encoded certificate signing request");
        bytes = block.bytes;
    }
    if (c->failed) return UNDEFINED;
    if (!x509_read_request(c->heap, bytes, &request, &why)) return builtin_fail(c, "%s", why.text);
    return x509_value(&request);
}

/* ---- Private keys ---------------------------------------------------------------------------- */

struct private_keys {
    struct key *items;
    u32 count, room;
};

static bool add_key(struct builtin_call *c, const struct pem_block *block,
                    struct private_keys *out) {
    struct diag why = {0};
    struct key k;
    bool ok;
    if (str_eq(block->type, S("RSA PRIVATE KEY")))
        ok = key_of_pkcs1(block->bytes, &k, &why);
    else if (str_eq(block->type, S("PRIVATE KEY")))
        ok = key_of_pkcs8(c->heap, block->bytes, &k, &why);
    else if (str_eq(block->type, S("EC PRIVATE KEY")))
        ok = key_of_sec1(c->heap, block->bytes, 0, &k, &why);
    else
        return true;
    if (!ok) {
        builtin_fail(c, "%s", why.text);
        return false;
    }
    if (out->count == out->room) {
        u32 room = MAX(2, out->room * 2);
        struct key *grown = heap_alloc(c->heap, room * sizeof *grown);
        if (!grown) return false;
        if (out->count) memcpy(grown, out->items, out->count * sizeof *grown);
        out->items = grown, out->room = room;
    }
    out->items[out->count++] = k;
    return true;
}

static bool read_private_keys(struct builtin_call *c, str text, struct private_keys *out) {
    struct pem_block block;
    str bytes = text;
    *out = (struct private_keys){0};
    if (!decode(c, text, true, &bytes)) bytes = text;
    while (!c->failed && pem_next(c, &bytes, &block))
        if (!builtin_tick(c, 1000) || !add_key(c, &block, out)) return false;
    return !c->failed && !c->heap->exhausted;
}

value builtin_crypto_parse_private_keys(struct builtin_call *c, const value *args) {
    str text;
    struct private_keys keys;
    struct value_builder b;
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    if (text.len == 0) return value_null();
    if (!read_private_keys(c, text, &keys)) return UNDEFINED;
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    for (u32 i = 0; i < keys.count; i++)
        value_builder_add(&b, x509_private_key(c->heap, &keys.items[i]));
    return value_builder_close(&b);
}

value builtin_crypto_x509_parse_rsa_private_key(struct builtin_call *c, const value *args) {
    str text, bytes;
    struct private_keys keys;
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    if (text.len == 0) return builtin_fail(c, "input PEM data was empty");
    bytes = text;
    if (!str_starts(text, S("-----BEGIN")) && !decode(c, text, false, &bytes)) return UNDEFINED;
    if (!read_private_keys(c, bytes, &keys)) return UNDEFINED;
    return keys.count ? x509_private_jwk(c->heap, &keys.items[0]) : value_null();
}

/* ---- Pairs ----------------------------------------------------------------------------------- */

/* A text as PEM blocks of one kind, or all of it as DER. */
static bool pair_bytes(struct builtin_call *c, str text, str *bytes, bool *is_pem) {
    *bytes = text;
    *is_pem = str_starts(text, S("-----BEGIN "));
    if (*is_pem) return true;
    if (!decode(c, text, false, bytes)) return false;
    *is_pem = str_starts(*bytes, S("-----BEGIN "));
    return true;
}

static bool pair_certificates(struct builtin_call *c, str text, struct value_builder *out,
                              struct certificate *leaf) {
    struct diag why = {0};
    struct pem_block block;
    str bytes, first = {0};
    bool is_pem;
    if (!pair_bytes(c, text, &bytes, &is_pem)) return false;
    if (!is_pem) first = bytes, value_builder_add(out, x509_bytes(c->heap, bytes));
    while (is_pem && pem_next(c, &bytes, &block)) {
        if (!str_eq(block.type, S("CERTIFICATE"))) continue;
        if (!out->count) first = block.bytes;
        value_builder_add(out, x509_bytes(c->heap, block.bytes));
    }
    if (c->failed) return false;
    if (!out->count)
        builtin_fail(c, "tls: failed to find any PEM data in certificate input");
    else if (!x509_read(c->heap, first, leaf, &why))
        builtin_fail(c, "%s", why.text);
    return !c->failed;
}

static bool pair_key(struct builtin_call *c, str text, struct key *out) {
    struct diag why = {0};
    struct pem_block block;
    str bytes, der = {0};
    bool is_pem;
    if (!pair_bytes(c, text, &bytes, &is_pem)) return false;
    if (!is_pem) der = bytes;
    while (is_pem && !der.len && pem_next(c, &bytes, &block))
        if (str_ends(block.type, S("PRIVATE KEY"))) der = block.bytes;
    if (c->failed) return false;
    if (!der.len) {
        builtin_fail(c, "tls: failed to find any PEM data in key input");
        return false;
    }
    if (key_of_pkcs1(der, out, &why) || key_of_pkcs8(c->heap, der, out, &why) ||
        key_of_sec1(c->heap, der, 0, out, &why))
        return true;
    builtin_fail(c, "tls: failed to parse private key");
    return false;
}

static bool is_pair(const struct key *public_key, const struct key *private_key, const char **why) {
    *why = "tls: private key type does not match public key type";
    if (public_key->kind != private_key->kind) return false;
    *why = "tls: private key does not match public key";
    if (public_key->kind == KEY_RSA) return str_eq(public_key->rsa.n, private_key->rsa.n);
    if (public_key->kind == KEY_ED25519) return str_eq(public_key->ed.x, private_key->ed.x);
    return public_key->curve == private_key->curve && str_eq(public_key->ec.x, private_key->ec.x) &&
           str_eq(public_key->ec.y, private_key->ec.y);
}

value builtin_crypto_x509_parse_keypair(struct builtin_call *c, const value *args) {
    str cert, pem;
    struct value_builder chain, b;
    struct certificate leaf;
    struct key k;
    const char *why;
    if (!builtin_take_string(c, args, 0, &cert)) return UNDEFINED;
    if (!value_is(args[1], VALUE_STRING))
        return builtin_fail_operand(c, 1, "string", args[1]); /* as the reference counts */
    pem = value_str(args[1]);
    value_builder_open(&chain, c->heap, VALUE_ARRAY);
    if (!pair_certificates(c, cert, &chain, &leaf) || !pair_key(c, pem, &k)) return UNDEFINED;
    if (!leaf.has_key) return builtin_fail(c, "tls: unknown public key algorithm");
    if (!is_pair(&leaf.key, &k, &why)) return builtin_fail(c, "%s", why);
    value_builder_open(&b, c->heap, VALUE_OBJECT);
    x509_put(&b, "Certificate", value_builder_close(&chain));
    x509_put(&b, "PrivateKey", x509_private_key(c->heap, &k));
    x509_put(&b, "SupportedSignatureAlgorithms", value_null());
    x509_put(&b, "OCSPStaple", value_null());
    x509_put(&b, "SignedCertificateTimestamps", value_null());
    x509_put(&b, "Leaf", without_uri_texts(c, x509_value(&leaf)));
    return value_builder_close(&b);
}
