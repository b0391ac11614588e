/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h — a token taken apart (RFC 7519 in RFC 7515's compact form), shared by the functions that
 * read, verify and make tokens. */
#pragma once
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/key.h"

struct token {
    str text;                       /* all of it */
    str header, payload, signature; /* parts of the text, in base64url */
    str signed_part;                /* header "." payload */
    value decoded_header;           /* an object, once jwt_read_header was called */
    str decoded_signature;
};
/* All of these: false: the call has failed, with the reference's words. */
bool jwt_split(struct builtin_call *c, str text, struct token *out);
bool jwt_read_header(struct builtin_call *c, struct token *t);
bool jwt_read_signature(struct builtin_call *c, struct token *t);
/* `what`: "JWT payload" in "JWT payload had invalid encoding: ..."; empty: the bare reason. */
bool jwt_decode_part(struct builtin_call *c, str part, const char *what, str *out);
bool jwt_read_object(struct builtin_call *c, str json, const char *prefix, value *out);

struct jwt_header { /* the members with a meaning; empty: absent */
    str alg, kid, cty;
    bool is_valid; /* names an algorithm and no critical member that is not known */
};
bool jwt_check_header(struct builtin_call *c, const struct token *t, struct jwt_header *out);

/* The keys of a PEM certificate, a PEM public key, a JWK or a set of them; remembered by text. */
const struct key_set *jwt_keys(struct builtin_call *c, str text);
/* The key that has this id; NULL: none. */
const struct key *jwt_key_by_id(const struct key_set *keys, str kid);
