/* SPDX-License-Identifier: Apache-2.0 */
/* x509.h — certificates and certificate requests (RFC 5280, 2986) read from DER: what verification
 * needs as plain fields, all the rest as the values that policies see.
 *
 * Values have the shape that the reference's language gives its own structures in JSON: bytes in
 * base64, object identifiers as arrays of numbers, absent lists null. */
#pragma once
#include "app/policy/builtin/key.h"

struct certificate {
    str raw, tbs, spki, subject, issuer, signature; /* DER */
    struct key key;
    bool has_key;                          /* of a kind the reference knows and we can use */
    u8 key_algorithm, signature_algorithm; /* the reference's numbers; 0: unknown */
    s64 not_before, not_after;             /* seconds since 1970 */
    bool has_constraints, is_ca;
    s32 path_len_max; /* -1: none told */
    u32 key_usage;
    value usages; /* array of numbers, or null: no extension */
    bool has_unknown_usages;
    bool has_unhandled_critical;
    value dns_names, ip_addresses;     /* arrays of strings, or null */
    value permitted_dns, excluded_dns; /* likewise */
    bool has_other_name_constraints;   /* of a kind that is not checked here */
    str subject_key_id, authority_key_id;
    struct value_builder fields; /* the object policies see; x509_value closes it */
};

/* False: `why` in the reference's words. All of `der`. */
bool x509_read(struct heap *h, str der, struct certificate *out, struct diag *why);
/* The next certificate of several in a row; `*rest` begins after it. */
bool x509_read_next(struct heap *h, str *rest, struct certificate *out, struct diag *why);
bool x509_read_request(struct heap *h, str der, struct certificate *out, struct diag *why);
value x509_value(struct certificate *c);

/* root, intermediates ..., leaf. The chain from the leaf to the root, as indexes into `certs`. */
struct x509_options {
    s64 now;
    str dns_name;
    const u8 *usages; /* the reference's numbers; count 0: server authentication */
    u32 usage_count;
};
enum { X509_CHAIN_MAX = 16 };
bool x509_verify(struct builtin_call *c, const struct certificate *certs, u32 count,
                 const struct x509_options *o, u32 chain[X509_CHAIN_MAX], u32 *chain_len);

/* ---- Shapes of values (x509_value.c) ---- */
void x509_put(struct value_builder *b, const char *name, value v);
value x509_bytes(struct heap *h, str bytes);   /* base64; null when bytes.ptr is NULL */
value x509_oid(struct heap *h, str body);      /* [1, 2, 840]; null: malformed */
value x509_oid_text(struct heap *h, str body); /* "1.2.840" */
value x509_whole_number(struct heap *h, str big_endian);
value x509_time(struct heap *h, s64 seconds);
value x509_public_key(struct heap *h, const struct key *k);
value x509_private_key(struct heap *h, const struct key *k);
value x509_private_jwk(struct heap *h, const struct key *k);
bool x509_read_name(struct heap *h, str der, value *out, struct diag *why); /* pkix.Name */
value x509_uri(struct heap *h, str text);
