/* SPDX-License-Identifier: Apache-2.0 */
/* x509_read.c — the outer form of certificates and of requests for them.
 *
 *   Certificate { tbs { [0] version, serial, algorithm, issuer, validity, subject, key,
 *                       [3] extensions }, algorithm, BIT STRING signature }
 *   Request     { info { version, subject, key, [0] attributes }, algorithm, BIT STRING signature }
 *
 * What is refused, and in which order things are looked at, follows the reference. Extensions are
 * x509_extension.c's. */
#include "app/policy/builtin/der.h"
#include "app/policy/builtin/x509_impl.h"

static bool fail(struct diag *why, const char *words) {
    diag_set(why, "%s", words);
    return false;
}

/* ---- Algorithms ------------------------------------------------------------------------------ */

#define PKCS1(n)                                                                                   \
    { "\x2A\x86\x48\x86\xF7\x0D\x01\x01" n, 9 }
static const struct signature_oid {
    str oid;
    u8 number;
} signature_oids[] = {
    {PKCS1("\x02"), 1},
    {PKCS1("\x04"), 2},
    {PKCS1("\x05"), 3},
    {PKCS1("\x0B"), 4},
    {PKCS1("\x0C"), 5},
    {PKCS1("\x0D"), 6},
    {{"\x2A\x86\x48\xCE\x38\x04\x03", 7}, 7},
    {{"\x60\x86\x48\x01\x65\x03\x04\x03\x02", 9}, 8},
    {{"\x2A\x86\x48\xCE\x3D\x04\x01", 7}, 9},
    {{"\x2A\x86\x48\xCE\x3D\x04\x03\x02", 8}, 10},
    {{"\x2A\x86\x48\xCE\x3D\x04\x03\x03", 8}, 11},
    {{"\x2A\x86\x48\xCE\x3D\x04\x03\x04", 8}, 12},
    {{"\x2B\x65\x70", 3}, 16},
};
static const str oid_pss = {"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A", 9};

/* RSASSA-PSS names its hash in its parameters: [0] { algorithm { oid } } first. */
static u8 pss_algorithm(str parameters) {
    static const str hashes[] = {{"\x60\x86\x48\x01\x65\x03\x04\x02\x01", 9},
                                 {"\x60\x86\x48\x01\x65\x03\x04\x02\x02", 9},
                                 {"\x60\x86\x48\x01\x65\x03\x04\x02\x03", 9}};
    str sequence, tagged, algorithm, oid;
    if (!der_take(&parameters, DER_SEQUENCE, &sequence) ||
        !der_take(&sequence, DER_CONTEXT_CONSTRUCTED, &tagged) ||
        !der_take(&tagged, DER_SEQUENCE, &algorithm) || !der_take_oid(&algorithm, &oid))
        return 0;
    for (u8 i = 0; i < 3; i++)
        if (str_eq(oid, hashes[i])) return 13 + i;
    return 0;
}

static u8 signature_algorithm(str algorithm) {
    str oid;
    if (!der_take_oid(&algorithm, &oid)) return 0;
    if (str_eq(oid, oid_pss)) return pss_algorithm(algorithm);
    for (size_t i = 0; i < ARRAY_LEN(signature_oids); i++)
        if (str_eq(oid, signature_oids[i].oid)) return signature_oids[i].number;
    return 0;
}

/* ---- Times ----------------------------------------------------------------------------------- */

static bool take_digits(str *s, u32 n, int *out) {
    if (s->len < n) return false;
    *out = 0;
    for (u32 i = 0; i < n; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9') return false;
        *out = *out * 10 + (s->ptr[i] - '0');
    }
    *s = str_skip(*s, n);
    return true;
}

static s64 seconds_of(int year, int month, int day, int hour, int minute, int second) {
    s64 y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    s64 of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    s64 days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return days * 86400 + hour * 3600 + minute * 60 + second;
}

static bool take_time(str *rest, s64 *out, struct diag *why) {
    struct der_item item;
    int part[6] = {0};
    if (!der_next(rest, &item) || (item.tag != DER_UTC_TIME && item.tag != DER_GENERAL_TIME))
        return fail(why, "x509: unsupported time format");
    bool utc = item.tag == DER_UTC_TIME;
    const char *bad = utc ? "x509: malformed UTCTime" : "x509: malformed GeneralizedTime";
    str s = item.body;
    if (!take_digits(&s, utc ? 2 : 4, &part[0])) return fail(why, bad);
    for (int i = 1; i < 5; i++)
        if (!take_digits(&s, 2, &part[i])) return fail(why, bad);
    if (!take_digits(&s, 2, &part[5]) && !utc) return fail(why, bad);
    if (utc) part[0] += part[0] >= 50 ? 1900 : 2000;
    static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = part[0] % 4 == 0 && (part[0] % 100 || part[0] % 400 == 0);
    if (!str_eq(s, S("Z")) || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > days[part[1] - 1] + (part[1] == 2 && leap) || part[3] > 23 || part[4] > 59 ||
        part[5] > 59)
        return fail(why, bad);
    *out = seconds_of(part[0], part[1], part[2], part[3], part[4], part[5]);
    return true;
}

/* ---- Parts that certificates and requests share ---------------------------------------------- */

/* The key, which may be of a kind that nobody here can use. */
static bool read_key(struct certificate *c, str spki, struct diag *why) {
    static const struct {
        str oid;
        u8 number;
    } kinds[] = {{{"\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01", 9}, 1},
                 {{"\x2A\x86\x48\xCE\x38\x04\x01", 7}, 2},
                 {{"\x2A\x86\x48\xCE\x3D\x02\x01", 7}, 3},
                 {{"\x2B\x65\x70", 3}, 4}};
    str outer, algorithm, oid, bits, copy = spki;
    u32 unused;
    if (!der_take(&copy, DER_SEQUENCE, &outer)) return fail(why, "x509: malformed spki");
    if (!der_take(&outer, DER_SEQUENCE, &algorithm))
        return fail(why, "x509: malformed public key algorithm identifier");
    if (!der_take_oid(&algorithm, &oid)) return fail(why, "x509: malformed OID");
    if (!der_take_bits(&outer, &bits, &unused))
        return fail(why, "x509: malformed subjectPublicKey");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(oid, kinds[i].oid)) c->key_algorithm = kinds[i].number;
    if (c->key_algorithm == 0 || c->key_algorithm == 2) return true;
    c->has_key = key_of_spki(spki, &c->key, why);
    return c->has_key;
}

static bool take_signature(str *rest, struct certificate *c, str *algorithm, struct diag *why) {
    u32 unused;
    struct der_item item;
    if (!der_take_whole(rest, DER_SEQUENCE, &item))
        return fail(why, "x509: malformed algorithm identifier");
    *algorithm = item.whole;
    c->signature_algorithm = signature_algorithm(item.body);
    if (!der_take_bits(rest, &c->signature, &unused)) return fail(why, "x509: malformed signature");
    return true;
}

static void put_common(struct heap *h, struct certificate *c, value subject, u32 version) {
    struct value_builder *b = &c->fields;
    x509_put(b, "Raw", x509_bytes(h, c->raw));
    x509_put(b, "RawSubjectPublicKeyInfo", x509_bytes(h, c->spki));
    x509_put(b, "RawSubject", x509_bytes(h, c->subject));
    x509_put(b, "Signature", x509_bytes(h, c->signature));
    x509_put(b, "SignatureAlgorithm", value_integer(c->signature_algorithm));
    x509_put(b, "PublicKeyAlgorithm", value_integer(c->key_algorithm));
    x509_put(b, "PublicKey", c->has_key ? x509_public_key(h, &c->key) : value_null());
    x509_put(b, "Version", value_integer(version));
    x509_put(b, "Subject", subject);
}

/* ---- Certificates ---------------------------------------------------------------------------- */

static bool read_version(str *tbs, u32 *version, struct diag *why) {
    str tagged;
    *version = 0;
    if (der_take(tbs, DER_CONTEXT_CONSTRUCTED, &tagged) &&
        (!der_take_small(&tagged, version) || *version > 3))
        return fail(why, "x509: malformed version");
    *version += 1;
    return *version <= 3 ? true : fail(why, "x509: invalid version");
}

static bool read_serial(str *tbs, str *serial, struct diag *why) {
    if (der_take_whole_number(tbs, serial)) return true;
    str body;
    bool negative = der_take(tbs, DER_INTEGER, &body) && body.len && (u8)body.ptr[0] >= 0x80;
    return fail(why, negative ? "x509: negative serial number" : "x509: malformed serial number");
}

static bool read_tbs(struct heap *h, struct certificate *c, str algorithm, struct diag *why) {
    struct der_item item;
    str tbs, whole = c->tbs, serial, validity, extensions;
    value issuer, subject;
    u32 version;
    if (!der_take(&whole, DER_SEQUENCE, &tbs)) return fail(why, "x509: malformed tbs certificate");
    if (!read_version(&tbs, &version, why) || !read_serial(&tbs, &serial, why)) return false;
    if (!der_take_whole(&tbs, DER_SEQUENCE, &item))
        return fail(why, "x509: malformed signature algorithm identifier");
    if (!str_eq(item.whole, algorithm))
        return fail(why, "x509: inner and outer signature algorithm identifiers don't match");
    if (!der_take_whole(&tbs, DER_SEQUENCE, &item)) return fail(why, "x509: malformed issuer");
    c->issuer = item.whole;
    if (!x509_read_name(h, c->issuer, &issuer, why)) return false;
    if (!der_take(&tbs, DER_SEQUENCE, &validity)) return fail(why, "x509: malformed validity");
    if (!take_time(&validity, &c->not_before, why) || !take_time(&validity, &c->not_after, why))
        return false;
    if (!der_take_whole(&tbs, DER_SEQUENCE, &item)) return fail(why, "x509: malformed issuer");
    c->subject = item.whole;
    if (!x509_read_name(h, c->subject, &subject, why)) return false;
    if (!der_take_whole(&tbs, DER_SEQUENCE, &item)) return fail(why, "x509: malformed spki");
    c->spki = item.whole;
    if (!read_key(c, c->spki, why)) return false;
    str skipped;
    if (version > 1) {
        (void)der_take(&tbs, DER_CONTEXT + 1, &skipped); /* unique ids, of old */
        (void)der_take(&tbs, DER_CONTEXT + 2, &skipped);
    }
    put_common(h, c, subject, version);
    x509_put(&c->fields, "RawTBSCertificate", x509_bytes(h, c->tbs));
    x509_put(&c->fields, "RawIssuer", x509_bytes(h, c->issuer));
    x509_put(&c->fields, "Issuer", issuer);
    x509_put(&c->fields, "SerialNumber", x509_whole_number(h, serial));
    x509_put(&c->fields, "NotBefore", x509_time(h, c->not_before));
    x509_put(&c->fields, "NotAfter", x509_time(h, c->not_after));
    str list = {0};
    if (version == 3 && der_take(&tbs, DER_CONTEXT_CONSTRUCTED + 3, &extensions) &&
        !der_take(&extensions, DER_SEQUENCE, &list))
        return fail(why, "x509: malformed extensions");
    return x509_read_extensions(h, list, c, false, why);
}

static bool read_one(struct heap *h, str *rest, struct certificate *c, struct diag *why) {
    struct der_item item;
    str algorithm;
    *c = (struct certificate){.path_len_max = 0};
    value_builder_open(&c->fields, h, VALUE_OBJECT);
    if (!der_take_whole(rest, DER_SEQUENCE, &item)) return fail(why, "x509: malformed certificate");
    c->raw = item.whole;
    str body = item.body;
    if (!der_take_whole(&body, DER_SEQUENCE, &item))
        return fail(why, "x509: malformed tbs certificate");
    c->tbs = item.whole;
    if (!take_signature(&body, c, &algorithm, why)) return false;
    return read_tbs(h, c, algorithm, why);
}

bool x509_read_next(struct heap *h, str *rest, struct certificate *out, struct diag *why) {
    return read_one(h, rest, out, why);
}
bool x509_read(struct heap *h, str der, struct certificate *out, struct diag *why) {
    if (!read_one(h, &der, out, why)) return false;
    return der.len ? fail(why, "x509: trailing data") : true;
}
value x509_value(struct certificate *c) {
    return value_builder_close(&c->fields);
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* attribute { 1.2.840.113549.1.9.14, SET { extensions } } holds what the certificate is to have. */
static bool read_attributes(struct heap *h, str attributes, struct certificate *c,
                            struct diag *why) {
    static const str request = {"\x2A\x86\x48\x86\xF7\x0D\x01\x09\x0E", 9};
    str one, oid, set, list = {0};
    while (attributes.len) {
        if (!der_take(&attributes, DER_SEQUENCE, &one) || !der_take_oid(&one, &oid))
            return fail(why, "asn1: structure error: tags don't match");
        if (str_eq(oid, request) && der_take(&one, DER_SET, &set))
            (void)der_take(&set, DER_SEQUENCE, &list);
    }
    return x509_read_extensions(h, list, c, true, why);
}

bool x509_read_request(struct heap *h, str der, struct certificate *c, struct diag *why) {
    struct der_item item;
    str body, info, algorithm, attributes = {0};
    value subject;
    u32 version;
    *c = (struct certificate){0};
    value_builder_open(&c->fields, h, VALUE_OBJECT);
    if (!der_take_whole(&der, DER_SEQUENCE, &item))
        return fail(why, "asn1: structure error: tags don't match");
    if (der.len) return fail(why, "asn1: syntax error: trailing data");
    c->raw = item.whole, body = item.body;
    if (!der_take_whole(&body, DER_SEQUENCE, &item))
        return fail(why, "asn1: structure error: tags don't match");
    c->tbs = item.whole, info = item.body;
    if (!take_signature(&body, c, &algorithm, why))
        return fail(why, "asn1: structure error: tags don't match");
    if (!der_take_small(&info, &version) || !der_take_whole(&info, DER_SEQUENCE, &item))
        return fail(why, "asn1: structure error: tags don't match");
    c->subject = item.whole;
    if (!x509_read_name(h, c->subject, &subject, why)) return false;
    if (!der_take_whole(&info, DER_SEQUENCE, &item))
        return fail(why, "asn1: structure error: tags don't match");
    c->spki = item.whole;
    if (!read_key(c, c->spki, why)) return false;
    put_common(h, c, subject, version);
    x509_put(&c->fields, "RawTBSCertificateRequest", x509_bytes(h, c->tbs));
    (void)der_take(&info, DER_CONTEXT_CONSTRUCTED, &attributes);
    return read_attributes(h, attributes, c, why);
}
