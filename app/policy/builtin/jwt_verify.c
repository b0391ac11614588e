/* SPDX-License-Identifier: Apache-2.0 */
/* jwt_verify.c — is a token's signature right, and are its claims what the policy asks for?
 *
 *   io.jwt.verify_rs256(token, keys) ...   the algorithm is the policy's choice
 *   io.jwt.decode_verify(token, {cert | secret, alg, iss, aud, time})
 *
 * With decode_verify the algorithm is the header's, but only with a key made for it: a public key
 * is never taken for a shared secret. What was found right is remembered across queries by token
 * and keys (the signature and the decoding, never the times), so that a token seen again costs a
 * look-up. What was not right is not remembered: guesses must not push out what is in use. */
#include "app/policy/builtin/jwt.h"
#include "app/policy/value/yaml_text.h"
#include "kernel/base/limits.h"
#include <stdlib.h>

/* ---- Remembering ----------------------------------------------------------------------------- */

struct verified {
    struct heap heap;
    value header, payload; /* UNDEFINED for verify_... */
};
struct asking {
    struct builtin_call *call;
    bool (*verify)(struct asking *a);
    const struct key_algorithm *algorithm; /* verify_... */
    const struct constraints *constraints; /* decode_verify */
    str token, key;
    value header, payload;
};

static void drop_verified(void *thing) {
    struct verified *v = thing;
    heap_close(&v->heap);
    free(v);
}
static void *make_verified(void *arg, str key) {
    struct asking *a = arg;
    (void)key;
    if (!a->verify(a)) return NULL;
    struct verified *v = calloc(1, sizeof *v);
    if (!v) return NULL;
    heap_open(&v->heap,
              MIN(JWT_KEPT_BYTES_MAX, 2048 + 8 * a->token.len)); /* no larger than need be */
    v->header = v->payload = UNDEFINED;
    if (value_defined(a->payload)) {
        v->header = value_copy(&v->heap, a->header);
        v->payload = value_copy(&v->heap, a->payload);
    }
    if (!v->heap.exhausted) return v;
    drop_verified(v);
    return NULL; /* too large to keep; `a` has the answer all the same */
}

/* Was it right? The answer is in `a`, in the call's heap. `what`: tells kinds of questions apart.
 */
static bool ask(struct asking *a, const void *what, str part) {
    size_t n = a->token.len + 1 + part.len + 1 + a->key.len;
    char *key = heap_alloc(a->call->heap, n), *to = key;
    if (!key) return false;
    const str parts[3] = {a->token, part, a->key};
    for (int i = 0; i < 3; i++) {
        if (i) *to++ = 0;
        if (parts[i].len) memcpy(to, parts[i].ptr, parts[i].len);
        to += parts[i].len;
    }
    a->header = a->payload = UNDEFINED;
    struct verified *v = evaluation_cached(a->call->evaluation, what, str_of(key, n), make_verified,
                                           drop_verified, a);
    if (v && !value_defined(a->payload) && value_defined(v->payload)) {
        a->header = value_copy(a->call->heap, v->header);
        a->payload = value_copy(a->call->heap, v->payload);
    }
    return v != NULL;
}

/* ---- verify_... ------------------------------------------------------------------------------ */

static bool try_key(struct asking *a, const struct key *k, const struct token *t) {
    if (k->is_private || !builtin_tick(a->call, 1000)) return false;
    return key_verify(k, a->algorithm, KEY_ANY_SALT | KEY_ANY_LENGTH, t->signed_part,
                      t->decoded_signature);
}

static bool verify_by_keys(struct asking *a) {
    struct builtin_call *c = a->call;
    struct token t;
    struct jwt_header header;
    if (!jwt_split(c, a->token, &t)) return false;
    const struct key_set *keys = jwt_keys(c, a->key);
    if (!keys || !jwt_read_signature(c, &t) || !jwt_read_header(c, &t) ||
        !jwt_check_header(c, &t, &header))
        return false;
    const struct key *named = header.kid.len ? jwt_key_by_id(keys, header.kid) : NULL;
    if (named) return try_key(a, named, &t);
    for (u32 i = 0; i < keys->count; i++) {
        const struct key *k = &keys->items[i];
        if ((!k->alg.len || str_eq(k->alg, header.alg)) && try_key(a, k, &t)) return true;
        if (c->failed) return false;
    }
    return false;
}

static bool verify_by_secret(struct asking *a) {
    struct builtin_call *c = a->call;
    struct token t;
    struct key secret = {.kind = KEY_SHARED, .shared = a->key};
    if (!jwt_split(c, a->token, &t) || !jwt_read_signature(c, &t)) return false;
    return key_verify(&secret, a->algorithm, 0, t.signed_part, t.decoded_signature);
}

static value verify(struct builtin_call *c, const value *args, const char *name) {
    struct asking a = {.call = c, .algorithm = key_algorithm_find(str_from_c(name))};
    a.verify = a.algorithm->scheme == SCHEME_HS ? verify_by_secret : verify_by_keys;
    /* The token is looked at before the key is, except with a secret. */
    if (!builtin_take_string(c, args, 0, &a.token)) return UNDEFINED;
    if (!value_is(args[1], VALUE_STRING) && a.algorithm->scheme != SCHEME_HS) {
        struct token t;
        if (!jwt_split(c, a.token, &t)) return UNDEFINED;
    }
    if (!builtin_take_string(c, args, 1, &a.key)) return UNDEFINED;
    bool right = ask(&a, a.algorithm, (str){0});
    return c->failed || c->heap->exhausted ? UNDEFINED : value_boolean(right);
}

#define VERIFY(name, algorithm)                                                                    \
    value builtin_io_jwt_verify_##name(struct builtin_call *c, const value *args) {                \
        return verify(c, args, algorithm);                                                         \
    }
VERIFY(rs256, "RS256")
VERIFY(rs384, "RS384")
VERIFY(rs512, "RS512")
VERIFY(ps256, "PS256")
VERIFY(ps384, "PS384")
VERIFY(ps512, "PS512")
VERIFY(es256, "ES256")
VERIFY(es384, "ES384")
VERIFY(es512, "ES512")
VERIFY(hs256, "HS256")
VERIFY(hs384, "HS384")
VERIFY(hs512, "HS512")
VERIFY(eddsa, "EdDSA")

/* ---- Constraints ----------------------------------------------------------------------------- */

struct constraints {
    const struct key_set *keys;
    str cert, secret, alg, iss, aud;
    double time; /* nanoseconds; below 0: not given */
};

static bool take_time(struct builtin_call *c, value v, double *out) {
    if (!value_is(v, VALUE_NUMBER)) {
        builtin_fail(c, "token time constraint: must be a number");
        return false;
    }
    *out = number_to_double(v);
    if (!(*out < 1e308))
        builtin_fail(c, "token time constraint: unvalid float64");
    else if (*out < 0)
        builtin_fail(c, "token time constraint: must not be negative");
    return !c->failed;
}

static bool take_constraint(struct builtin_call *c, str name, value v, struct constraints *out) {
    if (str_eq(name, S("time"))) return take_time(c, v, &out->time);
    str *to = str_eq(name, S("cert"))     ? &out->cert
              : str_eq(name, S("secret")) ? &out->secret
              : str_eq(name, S("alg"))    ? &out->alg
              : str_eq(name, S("iss"))    ? &out->iss
              : str_eq(name, S("aud"))    ? &out->aud
                                          : NULL;
    if (!to) {
        builtin_fail(c, "unknown token validation constraint: %.*s", STR(str_take(name, 256)));
        return false;
    }
    if (!value_is(v, VALUE_STRING)) {
        builtin_fail(c, "%.*s constraint: must be a string", STR(name));
        return false;
    }
    *to = value_str(v);
    if (to == &out->cert) out->keys = jwt_keys(c, *to);
    return !c->failed;
}

static bool take_constraints(struct builtin_call *c, value object, struct constraints *out) {
    *out = (struct constraints){.time = -1};
    for (u32 i = 0; i < value_count(object); i++) {
        value name = value_key_at(object, i);
        if (!value_is(name, VALUE_STRING)) {
            builtin_fail(c, "unknown token validation constraint: (not a string)");
            return false;
        }
        if (!take_constraint(c, value_str(name), value_value_at(object, i), out)) return false;
    }
    if (out->time < 0) out->time = (double)evaluation_now_ns(c->evaluation);
    if (out->keys && out->secret.len)
        builtin_fail(c, "duplicate key constraints");
    else if (!out->keys && !out->secret.len)
        builtin_fail(c, "no key constraint");
    return !c->failed;
}

/* ---- decode_verify --------------------------------------------------------------------------- */

static bool is_signed(struct asking *a, const struct token *t, const struct jwt_header *header) {
    const struct constraints *want = a->constraints;
    const struct key_algorithm *algorithm = key_algorithm_find(header->alg);
    struct key secret = {.kind = KEY_SHARED, .shared = want->secret};
    struct key_set just_secret = {1, &secret};
    if (!algorithm) return false;
    if (!want->keys)
        return key_verify(just_secret.items, algorithm, 0, t->signed_part, t->decoded_signature);
    const struct key *named = header->kid.len ? jwt_key_by_id(want->keys, header->kid) : NULL;
    if (named) return key_verify(named, algorithm, 0, t->signed_part, t->decoded_signature);
    for (u32 i = 0; i < want->keys->count; i++) {
        const struct key *k = &want->keys->items[i];
        if (k->alg.len && !str_eq(k->alg, header->alg)) continue;
        if (!builtin_tick(a->call, 1000)) return false;
        if (key_verify(k, algorithm, 0, t->signed_part, t->decoded_signature)) return true;
    }
    return false;
}

/* Signature by signature to the innermost token. */
static bool verify_and_decode(struct asking *a) {
    struct builtin_call *c = a->call;
    str text = a->token, payload;
    struct token t;
    for (;;) {
        struct jwt_header header;
        if (!jwt_split(c, text, &t) || !jwt_read_header(c, &t) || !jwt_check_header(c, &t, &header))
            return false;
        if (!header.is_valid) return false;
        if (a->constraints->alg.len && !str_eq(a->constraints->alg, header.alg)) return false;
        if (!jwt_read_signature(c, &t) || !is_signed(a, &t, &header)) return false;
        if (!jwt_decode_part(c, t.payload, "JWT payload", &payload)) return false;
        if (!str_eq_nocase(header.cty, S("JWT"))) break;
        text = payload;
    }
    if (!jwt_read_object(c, payload, "", &a->payload)) return false;
    a->header = t.decoded_header;
    return true;
}

static bool is_audience(value aud, str want) {
    if (value_is(aud, VALUE_STRING)) return str_eq(value_str(aud), want);
    if (!value_is(aud, VALUE_ARRAY)) return false;
    for (u32 i = 0; i < value_count(aud); i++) {
        value one = value_item(aud, i);
        if (value_is(one, VALUE_STRING) && str_eq(value_str(one), want)) return true;
    }
    return false;
}

/* Seconds, as the reference rounds them: through a double and its shortest digits. */
static value seconds_of(struct builtin_call *c, double ns) {
    char room[YAML_FLOAT_ROOM];
    value v = value_number(c->heap, yaml_float_write(ns / 1e9, 'g', false, room));
    return value_defined(v) ? v : value_integer(0);
}

/* Below 0: before the claim. A whole number that a double holds is on the same side of a double as
 * of its shortest digits, so most claims need no digits. */
static int compare_seconds(struct builtin_call *c, double ns, value claim) {
    const s64 exact = 1ll << 53;
    if (claim.boxed || claim.integer > exact || claim.integer < -exact)
        return number_compare(seconds_of(c, ns), claim);
    double seconds = ns / 1e9, whole = (double)claim.integer;
    return seconds < whole ? -1 : seconds > whole;
}

/* The claims; false with the call failed: of the wrong type. */
static bool claims_hold(struct builtin_call *c, const struct constraints *want, value payload) {
    value iss = value_get_str(payload, S("iss")), aud = value_get_str(payload, S("aud"));
    value exp = value_get_str(payload, S("exp")), nbf = value_get_str(payload, S("nbf"));
    if (want->iss.len && !(value_is(iss, VALUE_STRING) && str_eq(value_str(iss), want->iss)))
        return false;
    if (value_defined(aud) ? !is_audience(aud, want->aud) : want->aud.len > 0) return false;
    if (value_defined(exp)) {
        if (!value_is(exp, VALUE_NUMBER)) {
            builtin_fail(c, "exp value must be a number");
            return false;
        }
        if (compare_seconds(c, want->time, exp) >= 0) return false;
    }
    if (value_defined(nbf)) {
        if (!value_is(nbf, VALUE_NUMBER)) {
            builtin_fail(c, "nbf value must be a number");
            return false;
        }
        if (compare_seconds(c, want->time, nbf) < 0) return false;
    }
    return true;
}

value builtin_io_jwt_decode_verify(struct builtin_call *c, const value *args) {
    static const char owner = 0;
    struct constraints want;
    struct asking a = {.call = c, .verify = verify_and_decode, .constraints = &want};
    if (!builtin_take_kind(c, args, 1, VALUE_OBJECT) || !take_constraints(c, args[1], &want))
        return UNDEFINED;
    if (!builtin_take_string(c, args, 0, &a.token)) return UNDEFINED;
    a.key = want.keys ? want.cert : want.secret;
    /* A secret and a key with the same text are different questions. */
    static const char owner_of_secrets = 0;
    bool right =
        ask(&a, want.keys ? &owner : &owner_of_secrets, want.alg) || value_defined(a.payload);
    if (c->failed || c->heap->exhausted) return UNDEFINED;
    if (right) right = claims_hold(c, &want, a.payload);
    if (c->failed) return UNDEFINED;
    value parts[3] = {value_boolean(right), right ? a.header : value_empty_object(),
                      right ? a.payload : value_empty_object()};
    return value_array(c->heap, parts, 3);
}
