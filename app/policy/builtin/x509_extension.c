/* SPDX-License-Identifier: Apache-2.0 */
/* x509_extension.c — the extensions of certificates: key usages, names, constraints, places.
 *
 *   Extension { oid, critical, OCTET STRING { DER by kind } }
 *
 * One reader per kind, in a table. A critical extension that nobody here knows is remembered, since
 * a certificate that carries one must not be trusted. */
#include "app/policy/builtin/der.h"
#include "app/policy/builtin/x509_impl.h"
#include <stdio.h>

struct extensions {
    struct heap *heap;
    struct certificate *c;
    struct diag *why;
    bool critical; /* the one being read */
    value emails, uris, uri_texts, ocsp, issuers, crls, policies, policy_texts, mappings;
    value permitted[4], excluded[4]; /* DNS, IP ranges, emails, URI domains */
    value unknown_usages;
    s64 explicit_policy, inhibit_mapping, inhibit_any;
    bool explicit_zero, mapping_zero, any_zero, names_critical, unhandled;
};

static bool fail(struct extensions *x, const char *words) {
    diag_set(x->why, "%s", words);
    return false;
}
static value list_close(struct value_builder *b) {
    return b->count ? value_builder_close(b) : value_null();
}
static bool is_ia5(str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((u8)s.ptr[i] >= 0x80) return false;
    return true;
}

/* As the reference's language prints an address: IPv6 with its longest run of zeros as "::". */
static value address_of(struct heap *h, str ip) {
    char text[64];
    const u8 *p = (const u8 *)ip.ptr;
    int n = 0, best = -1, best_len = 1;
    if (ip.len == 4) {
        snprintf(text, sizeof text, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
        return value_string_c(h, text);
    }
    u16 g[8];
    for (int i = 0; i < 8; i++) g[i] = (u16)(p[2 * i] << 8 | p[2 * i + 1]);
    for (int i = 0; i < 8; i++) {
        int run = 0;
        while (i + run < 8 && g[i + run] == 0) run++;
        if (run > best_len) best = i, best_len = run;
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            n += snprintf(text + n, sizeof text - (size_t)n, "::");
            i += best_len - 1;
        } else
            n += snprintf(text + n, sizeof text - (size_t)n, n && text[n - 1] != ':' ? ":%x" : "%x",
                          g[i]);
    }
    return value_string_c(h, text);
}

/* ---- By kind --------------------------------------------------------------------------------- */

static bool read_key_usage(struct extensions *x, str body) {
    str bits;
    u32 unused;
    if (!der_take_bits(&body, &bits, &unused)) return fail(x, "x509: invalid key usage");
    for (u32 i = 0; i < 9 && i / 8 < bits.len; i++)
        if ((u8)bits.ptr[i / 8] >> (7 - i % 8) & 1) x->c->key_usage |= 1u << i;
    return true;
}

static bool read_basic_constraints(struct extensions *x, str body) {
    str s, flag;
    u32 n;
    if (!der_take(&body, DER_SEQUENCE, &s)) return fail(x, "x509: invalid basic constraints");
    if (der_take(&s, DER_BOOLEAN, &flag)) {
        if (flag.len != 1) return fail(x, "x509: invalid basic constraints");
        x->c->is_ca = flag.ptr[0] != 0;
    }
    x->c->path_len_max = -1;
    if (s.len && s.ptr[0] == DER_INTEGER) {
        if (!der_take_small(&s, &n)) return fail(x, "x509: invalid basic constraints");
        x->c->path_len_max = (s32)n;
    }
    x->c->has_constraints = true;
    return true;
}

static bool read_ip(struct extensions *x, str ip, struct value_builder *to) {
    if (ip.len != 4 && ip.len != 16) {
        diag_set(x->why, "x509: cannot parse IP address of length %zu", ip.len);
        return false;
    }
    static const u8 mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    if (ip.len == 16 && memcmp(ip.ptr, mapped, 12) == 0)
        return fail(x, "x509: SAN iPAddress contains IPv4-mapped IPv6 address");
    value_builder_add(to, address_of(x->heap, ip));
    return true;
}

static bool read_subject_names(struct extensions *x, str body) {
    struct value_builder dns, emails, ips, uris, texts;
    struct value_builder *all[] = {&dns, &emails, &ips, &uris, &texts};
    str s;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) value_builder_open(all[i], x->heap, VALUE_ARRAY);
    if (!der_take(&body, DER_SEQUENCE, &s))
        return fail(x, "x509: invalid subject alternative names");
    while (s.len) {
        struct der_item item;
        if (!der_next(&s, &item)) return fail(x, "x509: invalid subject alternative name");
        switch (item.tag) {
        case DER_CONTEXT + 1:
            if (!is_ia5(item.body)) return fail(x, "x509: SAN rfc822Name is malformed");
            value_builder_add(&emails, value_string(x->heap, item.body));
            break;
        case DER_CONTEXT + 2:
            if (!is_ia5(item.body)) return fail(x, "x509: SAN dNSName is malformed");
            value_builder_add(&dns, value_string(x->heap, item.body));
            break;
        case DER_CONTEXT + 6:
            if (!is_ia5(item.body))
                return fail(x, "x509: SAN uniformResourceIdentifier is malformed");
            value_builder_add(&uris, x509_uri(x->heap, item.body));
            value_builder_add(&texts, value_string(x->heap, item.body));
            break;
        case DER_CONTEXT + 7:
            if (!read_ip(x, item.body, &ips)) return false;
            break;
        default: break;
        }
    }
    x->unhandled = !(dns.count || emails.count || ips.count || uris.count);
    x->c->dns_names = list_close(&dns), x->emails = list_close(&emails);
    x->c->ip_addresses = list_close(&ips), x->uris = list_close(&uris),
    x->uri_texts = list_close(&texts);
    return true;
}

static value range_of(struct extensions *x, str both) {
    struct value_builder b;
    size_t half = both.len / 2;
    value_builder_open(&b, x->heap, VALUE_OBJECT);
    x509_put(&b, "IP", address_of(x->heap, str_take(both, half)));
    x509_put(&b, "Mask", x509_bytes(x->heap, str_skip(both, half)));
    return value_builder_close(&b);
}

static bool read_subtrees(struct extensions *x, str subtrees, value to[4]) {
    struct value_builder lists[4];
    for (int i = 0; i < 4; i++) value_builder_open(&lists[i], x->heap, VALUE_ARRAY);
    while (subtrees.len) {
        str one;
        struct der_item item;
        if (!der_take(&subtrees, DER_SEQUENCE, &one) || !der_next(&one, &item))
            return fail(x, "x509: invalid NameConstraints extension");
        int kind = item.tag == DER_CONTEXT + 2   ? 0
                   : item.tag == DER_CONTEXT + 7 ? 1
                   : item.tag == DER_CONTEXT + 1 ? 2
                   : item.tag == DER_CONTEXT + 6 ? 3
                                                 : -1;
        if (kind != 0) x->c->has_other_name_constraints = true;
        if (kind < 0) {
            x->unhandled = true;
            continue;
        }
        if (kind == 1 && item.body.len != 8 && item.body.len != 32) {
            diag_set(x->why, "x509: IP constraint contained value of length %zu", item.body.len);
            return false;
        }
        if (kind != 1 && !is_ia5(item.body))
            return fail(x, "x509: invalid constraint value: x509: invalid IA5String");
        value_builder_add(&lists[kind],
                          kind == 1 ? range_of(x, item.body) : value_string(x->heap, item.body));
    }
    for (int i = 0; i < 4; i++) to[i] = list_close(&lists[i]);
    return true;
}

static bool read_name_constraints(struct extensions *x, str body) {
    str s, permitted = {0}, excluded = {0};
    if (!der_take(&body, DER_SEQUENCE, &s) || body.len)
        return fail(x, "x509: invalid NameConstraints extension");
    bool any = der_take(&s, DER_CONTEXT_CONSTRUCTED, &permitted),
         none = der_take(&s, DER_CONTEXT_CONSTRUCTED + 1, &excluded);
    if (s.len) return fail(x, "x509: invalid NameConstraints extension");
    if (!any && !none) return fail(x, "x509: empty name constraints extension");
    if ((any && !permitted.len) || (none && !excluded.len))
        return fail(x, "x509: empty name constraints subtree sequence");
    x->names_critical = x->critical;
    if (!read_subtrees(x, permitted, x->permitted) || !read_subtrees(x, excluded, x->excluded))
        return false;
    x->c->permitted_dns = x->permitted[0], x->c->excluded_dns = x->excluded[0];
    return true;
}

static bool read_usages(struct extensions *x, str body) {
    static const struct {
        str oid;
        u8 number;
    } known[] = {
        {{"\x55\x1D\x25\x00", 4}, 0},
        {{"\x2B\x06\x01\x04\x01\x82\x37\x0A\x03\x03", 10}, 10},
        {{"\x60\x86\x48\x01\x86\xF8\x42\x04\x01", 9}, 11},
        {{"\x2B\x06\x01\x04\x01\x82\x37\x02\x01\x16", 10}, 12},
        {{"\x2B\x06\x01\x04\x01\x82\x37\x3D\x01\x01", 10}, 13},
    };
    static const str pkix = {"\x2B\x06\x01\x05\x05\x07\x03", 7}; /* . 1 to 9: the numbers 1 to 9 */
    struct value_builder usages, unknown;
    str s, oid;
    value_builder_open(&usages, x->heap, VALUE_ARRAY);
    value_builder_open(&unknown, x->heap, VALUE_ARRAY);
    if (!der_take(&body, DER_SEQUENCE, &s)) return fail(x, "x509: invalid extended key usages");
    while (s.len) {
        if (!der_take_oid(&s, &oid)) return fail(x, "x509: invalid extended key usages");
        s64 number = oid.len == 8 && str_starts(oid, pkix) && oid.ptr[7] >= 1 && oid.ptr[7] <= 9
                         ? oid.ptr[7]
                         : -1;
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (str_eq(oid, known[i].oid)) number = known[i].number;
        if (number >= 0)
            value_builder_add(&usages, value_integer(number));
        else
            value_builder_add(&unknown, x509_oid(x->heap, oid));
    }
    x->c->has_unknown_usages = unknown.count > 0;
    x->c->usages = list_close(&usages), x->unknown_usages = list_close(&unknown);
    return true;
}

static bool read_places(struct extensions *x, str body) { /* CRL distribution points */
    struct value_builder b;
    str s, point, name, full, uri;
    value_builder_open(&b, x->heap, VALUE_ARRAY);
    if (!der_take(&body, DER_SEQUENCE, &s)) return fail(x, "x509: invalid CRL distribution points");
    while (s.len) {
        if (!der_take(&s, DER_SEQUENCE, &point))
            return fail(x, "x509: invalid CRL distribution point");
        if (!der_take(&point, DER_CONTEXT_CONSTRUCTED, &name)) continue;
        if (!der_take(&name, DER_CONTEXT_CONSTRUCTED, &full))
            return fail(x, "x509: invalid CRL distribution point");
        while (der_take(&full, DER_CONTEXT + 6, &uri))
            value_builder_add(&b, value_string(x->heap, uri));
    }
    x->crls = list_close(&b);
    return true;
}

static bool read_authority_key(struct extensions *x, str body) {
    str s, id;
    if (x->critical) return fail(x, "x509: authority key identifier incorrectly marked critical");
    if (!der_take(&body, DER_SEQUENCE, &s))
        return fail(x, "x509: invalid authority key identifier");
    if (der_take(&s, DER_CONTEXT, &id)) x->c->authority_key_id = id;
    return true;
}
static bool read_subject_key(struct extensions *x, str body) {
    if (x->critical) return fail(x, "x509: subject key identifier incorrectly marked critical");
    if (!der_take(&body, DER_OCTET_STRING, &x->c->subject_key_id))
        return fail(x, "x509: invalid subject key identifier");
    return true;
}

static bool read_policies(struct extensions *x, str body) {
    struct value_builder arcs, texts;
    str s, one, oid;
    value_builder_open(&arcs, x->heap, VALUE_ARRAY);
    value_builder_open(&texts, x->heap, VALUE_ARRAY);
    if (!der_take(&body, DER_SEQUENCE, &s)) return fail(x, "x509: invalid certificate policies");
    while (s.len) {
        if (!der_take(&s, DER_SEQUENCE, &one) || !der_take_oid(&one, &oid))
            return fail(x, "x509: invalid certificate policies");
        value_builder_add(&arcs, x509_oid(x->heap, oid));
        value_builder_add(&texts, x509_oid_text(x->heap, oid));
    }
    x->policy_texts = list_close(&texts);
    x->policies = value_builder_close(&arcs);
    return true;
}

static bool read_policy_mappings(struct extensions *x, str body) {
    struct value_builder b, pair;
    str s, one, issuer, subject;
    value_builder_open(&b, x->heap, VALUE_ARRAY);
    if (!der_take(&body, DER_SEQUENCE, &s))
        return fail(x, "x509: invalid policy mappings extension");
    while (s.len) {
        if (!der_take(&s, DER_SEQUENCE, &one) || !der_take_oid(&one, &issuer) ||
            !der_take_oid(&one, &subject))
            return fail(x, "x509: invalid policy mappings extension");
        value_builder_open(&pair, x->heap, VALUE_OBJECT);
        x509_put(&pair, "IssuerDomainPolicy", x509_oid_text(x->heap, issuer));
        x509_put(&pair, "SubjectDomainPolicy", x509_oid_text(x->heap, subject));
        value_builder_add(&b, value_builder_close(&pair));
    }
    x->mappings = list_close(&b);
    return true;
}

static bool small_of(str body, s64 *out) {
    if (!body.len || body.len > 4 || (u8)body.ptr[0] >= 0x80) return false;
    *out = 0;
    for (size_t i = 0; i < body.len; i++) *out = *out << 8 | (u8)body.ptr[i];
    return true;
}
static bool read_policy_constraints(struct extensions *x, str body) {
    str s, n;
    if (!der_take(&body, DER_SEQUENCE, &s))
        return fail(x, "x509: invalid policy constraints extension");
    if (der_take(&s, DER_CONTEXT, &n)) {
        if (!small_of(n, &x->explicit_policy))
            return fail(x, "x509: invalid policy constraints extension");
        x->explicit_zero = x->explicit_policy == 0;
    }
    if (der_take(&s, DER_CONTEXT + 1, &n)) {
        if (!small_of(n, &x->inhibit_mapping))
            return fail(x, "x509: invalid policy constraints extension");
        x->mapping_zero = x->inhibit_mapping == 0;
    }
    return true;
}
static bool read_inhibit_any(struct extensions *x, str body) {
    u32 n;
    if (!der_take_small(&body, &n)) return fail(x, "x509: invalid inhibit any policy extension");
    x->inhibit_any = n, x->any_zero = n == 0;
    return true;
}

static bool read_access(struct extensions *x, str body) { /* authority information access */
    static const str kinds[2] = {{"\x2B\x06\x01\x05\x05\x07\x30\x01", 8},
                                 {"\x2B\x06\x01\x05\x05\x07\x30\x02", 8}};
    struct value_builder b[2];
    str s, one, method, uri;
    for (int i = 0; i < 2; i++) value_builder_open(&b[i], x->heap, VALUE_ARRAY);
    if (x->critical) return fail(x, "x509: authority info access incorrectly marked critical");
    if (!der_take(&body, DER_SEQUENCE, &s)) return fail(x, "x509: invalid authority info access");
    while (s.len) {
        if (!der_take(&s, DER_SEQUENCE, &one) || !der_take_oid(&one, &method))
            return fail(x, "x509: invalid authority info access");
        if (!der_take(&one, DER_CONTEXT + 6, &uri)) continue;
        for (int i = 0; i < 2; i++)
            if (str_eq(method, kinds[i])) value_builder_add(&b[i], value_string(x->heap, uri));
    }
    x->ocsp = list_close(&b[0]), x->issuers = list_close(&b[1]);
    return true;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static const struct extension_kind {
    str oid;
    bool (*read)(struct extensions *x, str body);
    bool of_requests; /* a request's names are its only ones */
} kinds[] = {
    {{"\x55\x1D\x0F", 3}, read_key_usage, false},
    {{"\x55\x1D\x13", 3}, read_basic_constraints, false},
    {{"\x55\x1D\x11", 3}, read_subject_names, true},
    {{"\x55\x1D\x1E", 3}, read_name_constraints, false},
    {{"\x55\x1D\x1F", 3}, read_places, false},
    {{"\x55\x1D\x23", 3}, read_authority_key, false},
    {{"\x55\x1D\x24", 3}, read_policy_constraints, false},
    {{"\x55\x1D\x25", 3}, read_usages, false},
    {{"\x55\x1D\x0E", 3}, read_subject_key, false},
    {{"\x55\x1D\x20", 3}, read_policies, false},
    {{"\x55\x1D\x21", 3}, read_policy_mappings, false},
    {{"\x55\x1D\x36", 3}, read_inhibit_any, false},
    {{"\x2B\x06\x01\x05\x05\x07\x01\x01", 8}, read_access, false},
};

struct raw_extension {
    str oid, body;
    bool critical;
};

static bool take_extension(struct extensions *x, str *list, struct raw_extension *out) {
    str one, flag;
    if (!der_take(list, DER_SEQUENCE, &one)) return fail(x, "x509: malformed extension");
    if (!der_take_oid(&one, &out->oid)) return fail(x, "x509: malformed extension OID field");
    out->critical = false;
    if (der_take(&one, DER_BOOLEAN, &flag)) {
        if (flag.len != 1) return fail(x, "x509: malformed extension critical field");
        out->critical = flag.ptr[0] != 0;
    }
    if (!der_take(&one, DER_OCTET_STRING, &out->body))
        return fail(x, "x509: malformed extension value field");
    return true;
}

static bool read_all(struct extensions *x, str list, bool request, value *extensions,
                     value *unhandled) {
    struct value_builder all, unknown, seen, b;
    value_builder_open(&all, x->heap, VALUE_ARRAY);
    value_builder_open(&unknown, x->heap, VALUE_ARRAY);
    value_builder_open(&seen, x->heap, VALUE_OBJECT);
    while (list.len) {
        struct raw_extension e;
        if (!take_extension(x, &list, &e)) return false;
        value oid = x509_oid(x->heap, e.oid);
        if (x->heap->exhausted) return false;
        if (value_builder_put(&seen, oid, value_integer((s64)seen.count))) {
            value text = x509_oid_text(x->heap, e.oid);
            if (x->heap->exhausted) return false;
            diag_set(x->why, "x509: certificate contains duplicate extension with OID \"%.*s\"",
                     STR(value_str(text)));
            return false;
        }
        value_builder_open(&b, x->heap, VALUE_OBJECT);
        x509_put(&b, "Id", oid);
        x509_put(&b, "Critical", value_boolean(e.critical));
        x509_put(&b, "Value", x509_bytes(x->heap, e.body));
        value_builder_add(&all, value_builder_close(&b));
        x->critical = e.critical, x->unhandled = true;
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            if (!str_eq(e.oid, kinds[i].oid) || (request && !kinds[i].of_requests)) continue;
            x->unhandled = false;
            if (!kinds[i].read(x, e.body)) return false;
        }
        if (e.critical && x->unhandled) value_builder_add(&unknown, oid);
    }
    *extensions = list_close(&all), *unhandled = list_close(&unknown);
    return !x->heap->exhausted;
}

static void put_certificate_fields(struct extensions *x, value unhandled) {
    static const char *const constraint_names[4] = {"DNSDomains", "IPRanges", "EmailAddresses",
                                                    "URIDomains"};
    struct certificate *c = x->c;
    struct value_builder *b = &c->fields;
    x509_put(b, "UnhandledCriticalExtensions", unhandled);
    x509_put(b, "KeyUsage", value_integer(c->key_usage));
    x509_put(b, "ExtKeyUsage", c->usages);
    x509_put(b, "UnknownExtKeyUsage", x->unknown_usages);
    x509_put(b, "BasicConstraintsValid", value_boolean(c->has_constraints));
    x509_put(b, "IsCA", value_boolean(c->is_ca));
    x509_put(b, "MaxPathLen", value_integer(c->path_len_max));
    x509_put(b, "MaxPathLenZero", value_boolean(c->has_constraints && c->path_len_max == 0));
    x509_put(b, "SubjectKeyId", x509_bytes(x->heap, c->subject_key_id));
    x509_put(b, "AuthorityKeyId", x509_bytes(x->heap, c->authority_key_id));
    x509_put(b, "OCSPServer", x->ocsp);
    x509_put(b, "IssuingCertificateURL", x->issuers);
    x509_put(b, "PermittedDNSDomainsCritical", value_boolean(x->names_critical));
    for (int i = 0; i < 4; i++) {
        char name[40];
        snprintf(name, sizeof name, "Permitted%s", constraint_names[i]);
        x509_put(b, name, x->permitted[i]);
        snprintf(name, sizeof name, "Excluded%s", constraint_names[i]);
        x509_put(b, name, x->excluded[i]);
    }
    x509_put(b, "CRLDistributionPoints", x->crls);
    x509_put(b, "PolicyIdentifiers", x->policies);
    x509_put(b, "Policies", x->policy_texts);
    x509_put(b, "PolicyMappings", x->mappings);
    x509_put(b, "InhibitAnyPolicy", value_integer(x->inhibit_any));
    x509_put(b, "InhibitAnyPolicyZero", value_boolean(x->any_zero));
    x509_put(b, "InhibitPolicyMapping", value_integer(x->inhibit_mapping));
    x509_put(b, "InhibitPolicyMappingZero", value_boolean(x->mapping_zero));
    x509_put(b, "RequireExplicitPolicy", value_integer(x->explicit_policy));
    x509_put(b, "RequireExplicitPolicyZero", value_boolean(x->explicit_zero));
    x509_put(b, "URIStrings", x->uri_texts);
}

bool x509_read_extensions(struct heap *h, str list, struct certificate *c, bool request,
                          struct diag *why) {
    value null = value_null(), extensions, unhandled;
    struct extensions x = {.heap = h,
                           .c = c,
                           .why = why,
                           .emails = null,
                           .uris = null,
                           .uri_texts = null,
                           .ocsp = null,
                           .issuers = null,
                           .crls = null,
                           .policies = null,
                           .policy_texts = null,
                           .mappings = null,
                           .unknown_usages = null};
    for (int i = 0; i < 4; i++) x.permitted[i] = x.excluded[i] = null;
    c->usages = c->dns_names = c->ip_addresses = c->permitted_dns = c->excluded_dns = null;
    if (!read_all(&x, list, request, &extensions, &unhandled)) return false;
    c->has_unhandled_critical = !value_is(unhandled, VALUE_NULL);
    struct value_builder *b = &c->fields;
    x509_put(b, "Extensions", extensions);
    x509_put(b, "ExtraExtensions", null);
    x509_put(b, "DNSNames", c->dns_names);
    x509_put(b, "EmailAddresses", x.emails);
    x509_put(b, "IPAddresses", c->ip_addresses);
    x509_put(b, "URIs", x.uris);
    if (request)
        x509_put(b, "Attributes", null);
    else
        put_certificate_fields(&x, unhandled);
    return true;
}
