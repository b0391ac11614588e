/* SPDX-License-Identifier: Apache-2.0 */
/* x509_verify.c — a chain of certificates from a leaf to the one root that is trusted.
 *
 *   certs[0] root, certs[1 .. n-2] intermediates in any order, certs[n-1] the leaf
 *
 * Depth first over the issuers whose subject is the issuer's name, each used once, with an
 * allowance of signatures looked at (verifying costs, and the input is hostile). What must hold of
 * each certificate is RFC 5280's section 6 as far as the reference checks it: validity, unknown
 * critical extensions, the right to issue, path lengths, name constraints, key usages. */
#include "app/policy/builtin/x509.h"

enum { SIGNATURES_MAX = 100 };

struct search {
    struct builtin_call *call;
    const struct certificate *certs;
    u32 count;
    const struct x509_options *options;
    u32 *chain, len;
    u32 signatures;
};

static bool is_signed_by(const struct certificate *c, const struct certificate *issuer) {
    static const struct {
        enum key_scheme scheme;
        mbedtls_md_type_t hash;
    } how[] = {
        [4] = {SCHEME_RS, MBEDTLS_MD_SHA256},  [5] = {SCHEME_RS, MBEDTLS_MD_SHA384},
        [6] = {SCHEME_RS, MBEDTLS_MD_SHA512},  [10] = {SCHEME_ES, MBEDTLS_MD_SHA256},
        [11] = {SCHEME_ES, MBEDTLS_MD_SHA384}, [12] = {SCHEME_ES, MBEDTLS_MD_SHA512},
        [13] = {SCHEME_PS, MBEDTLS_MD_SHA256}, [14] = {SCHEME_PS, MBEDTLS_MD_SHA384},
        [15] = {SCHEME_PS, MBEDTLS_MD_SHA512}, [16] = {SCHEME_ED, MBEDTLS_MD_NONE},
    };
    u8 a = c->signature_algorithm;
    if (a >= ARRAY_LEN(how) || (how[a].hash == MBEDTLS_MD_NONE && a != 16))
        return false; /* MD5, SHA-1: no more */
    return issuer->has_key &&
           key_verify_der(&issuer->key, how[a].scheme, how[a].hash, c->tbs, c->signature);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static bool is_within(str name,
                      str domain) { /* "a.example.com" in "example.com" or ".example.com" */
    if (domain.len == 0) return true;
    bool below = domain.ptr[0] == '.';
    if (below) domain = str_skip(domain, 1);
    if (name.len < domain.len || !str_eq_nocase(str_skip(name, name.len - domain.len), domain))
        return false;
    if (name.len == domain.len) return !below;
    return name.ptr[name.len - domain.len - 1] == '.';
}

static bool names_allowed(const struct certificate *leaf, const struct certificate *ca) {
    if (ca->has_other_name_constraints)
        return false; /* kinds that are not checked are not passed */
    for (u32 i = 0; i < value_count(leaf->dns_names); i++) {
        str name = value_str(value_item(leaf->dns_names, i));
        for (u32 j = 0; j < value_count(ca->excluded_dns); j++)
            if (is_within(name, value_str(value_item(ca->excluded_dns, j)))) return false;
        bool permitted = !value_is(ca->permitted_dns, VALUE_ARRAY);
        for (u32 j = 0; j < value_count(ca->permitted_dns); j++)
            permitted |= is_within(name, value_str(value_item(ca->permitted_dns, j)));
        if (!permitted) return false;
    }
    return true;
}

/* A leftmost "*" stands for one label. */
static bool host_matches(str pattern, str host) {
    if (str_starts(pattern, S("*."))) {
        size_t dot = str_find_byte(host, '.');
        return dot > 0 && dot < host.len &&
               str_eq_nocase(str_skip(pattern, 2), str_skip(host, dot + 1));
    }
    return str_eq_nocase(pattern, host);
}
static bool is_named(const struct certificate *leaf, str host) {
    if (str_starts(host, S("[")) && str_ends(host, S("]")))
        host = str_take(str_skip(host, 1), host.len - 2);
    for (u32 i = 0; i < value_count(leaf->ip_addresses); i++)
        if (str_eq_nocase(value_str(value_item(leaf->ip_addresses, i)), host)) return true;
    if (str_ends(host, S("."))) host.len--;
    for (u32 i = 0; i < value_count(leaf->dns_names); i++)
        if (host_matches(value_str(value_item(leaf->dns_names, i)), host)) return true;
    return false;
}

/* ---- Usages ---------------------------------------------------------------------------------- */

/* Does every certificate that restricts its usages allow one of those asked for? */
static bool usages_allowed(const struct search *s) {
    static const u8 server[] = {1};
    const u8 *asked = s->options->usage_count ? s->options->usages : server;
    u32 count = MAX(1, s->options->usage_count);
    for (u32 u = 0; u < count; u++) {
        bool all = true;
        if (asked[u] == 0) return true;
        for (u32 i = 0; i < s->len && all; i++) {
            const struct certificate *c = &s->certs[s->chain[i]];
            if (!value_is(c->usages, VALUE_ARRAY) && !c->has_unknown_usages) continue;
            bool one = false;
            for (u32 j = 0; j < value_count(c->usages); j++) {
                s64 n = value_item(c->usages, j).integer;
                one |= n == asked[u] || n == 0;
            }
            all = one;
        }
        if (all) return true;
    }
    return false;
}

/* ---- The search ------------------------------------------------------------------------------ */

static bool is_valid(const struct search *s, const struct certificate *c, bool is_leaf) {
    if (c->has_unhandled_critical) return false;
    if (s->options->now < c->not_before || s->options->now > c->not_after) return false;
    if (is_leaf) return true;
    if (!c->has_constraints || !c->is_ca) return false;
    if (c->path_len_max >= 0 && (s32)s->len - 1 > c->path_len_max) return false;
    return names_allowed(&s->certs[s->chain[0]], c);
}

static bool may_issue(struct search *s, const struct certificate *c, u32 candidate) {
    const struct certificate *issuer = &s->certs[candidate];
    if (!str_eq(c->issuer, issuer->subject)) return false;
    for (u32 i = 0; i < s->len; i++)
        if (str_eq(s->certs[s->chain[i]].raw, issuer->raw)) return false;
    if (s->signatures++ >= SIGNATURES_MAX || !builtin_tick(s->call, 1000)) return false;
    return is_signed_by(c, issuer) && is_valid(s, issuer, false);
}

static bool extend(struct search *s) { /* at most X509_CHAIN_MAX deep */
    const struct certificate *last = &s->certs[s->chain[s->len - 1]];
    if (s->len == X509_CHAIN_MAX) return false;
    if (may_issue(s, last, 0)) {
        s->chain[s->len++] = 0;
        if (usages_allowed(s)) return true;
        s->len--;
    }
    for (u32 i = 1; i + 1 < s->count; i++) {
        if (!may_issue(s, last, i)) continue;
        s->chain[s->len++] = i;
        if (extend(s)) return true;
        s->len--;
    }
    return false;
}

bool x509_verify(struct builtin_call *c, const struct certificate *certs, u32 count,
                 const struct x509_options *o, u32 chain[X509_CHAIN_MAX], u32 *chain_len) {
    struct search s = {
        .call = c, .certs = certs, .count = count, .options = o, .chain = chain, .len = 1};
    const struct certificate *leaf = &certs[count - 1];
    chain[0] = count - 1;
    if (!is_valid(&s, leaf, true) || (o->dns_name.len && !is_named(leaf, o->dns_name)))
        return false;
    bool ok =
        str_eq(leaf->raw, certs[0].raw) ? usages_allowed(&s) : extend(&s); /* itself the root */
    *chain_len = s.len;
    return ok;
}
