/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c — tokens taken apart: io.jwt.decode, and what the other functions of tokens need.
 *
 *   base64url(header) "." base64url(payload) "." base64url(signature)
 *
 * Nothing is believed here: decoding says what a token holds, not whether it is right. The order of
 * checks is the reference's, since which error comes first is part of what users see. */
#include "app/policy/builtin/jwt.h"
#include "app/policy/builtin/pem.h"
#include "app/policy/builtin/x509.h"
#include "app/policy/value/base64_text.h"
#include "app/policy/value/json_text.h"
#include "kernel/base/limits.h"
#include <stdlib.h>

/* ---- Parts ----------------------------------------------------------------------------------- */

bool jwt_split(struct builtin_call *c, str text, struct token *out) {
    u32 dots = 0;
    size_t at[2] = {0};
    for (str rest = text; rest.len; dots++) {
        size_t dot = str_find_byte(rest, '.');
        if (dot == rest.len) break;
        rest = str_skip(rest, dot + 1);
        if (dots < 2) at[dots] = text.len - rest.len - 1;
    }
    if (dots != 2) {
        if (dots == 0)
            builtin_fail(c, "encoded JWT had no period separators");
        else
            builtin_fail(c, "encoded JWT must have 3 sections, found %u", dots + 1);
        return false;
    }
    *out = (struct token){.text = text, .decoded_header = UNDEFINED};
    out->header = str_take(text, at[0]);
    out->payload = str_take(str_skip(text, at[0] + 1), at[1] - at[0] - 1);
    out->signature = str_skip(text, at[1] + 1);
    out->signed_part = str_take(text, at[1]);
    return builtin_tick(c, 1 + (u32)(text.len / 64));
}

bool jwt_decode_part(struct builtin_call *c, str part, const char *what, str *out) {
    const char *between = *what ? " had invalid encoding: " : "";
    bool padded = str_ends(part, S("="));
    size_t n, bad_at;
    if (!padded && part.len % 4 == 1) {
        builtin_fail(c, "%s%sillegal base64url string: %.*s", what, between,
                     (int)MIN(part.len, 256), part.ptr);
        return false;
    }
    char *room = heap_alloc(c->heap, BASE64_READ_ROOM(part.len));
    if (!room) return false;
    unsigned flags = BASE64_URL | (padded ? 0 : BASE64_NO_PAD);
    if (base64_text_read(part, flags, room, &n, &bad_at)) {
        builtin_fail(c, "%s%sillegal base64 data at input byte %zu", what, between, bad_at);
        return false;
    }
    *out = str_of(room, n);
    return true;
}

bool jwt_read_signature(struct builtin_call *c, struct token *t) {
    return jwt_decode_part(c, t->signature, "", &t->decoded_signature);
}

bool jwt_read_object(struct builtin_call *c, str json, const char *prefix, value *out) {
    struct diag why = {0};
    rc_t rc = json_text_read(c->heap, NULL, json, out, &why);
    if (c->heap->exhausted) return false;
    if (rc)
        builtin_fail(c, "%sinvalid JSON: %s", prefix, why.text);
    else if (!value_is(*out, VALUE_OBJECT))
        builtin_fail(c, "%sdecoded JSON type was not an Object", prefix);
    return !c->failed;
}

bool jwt_read_header(struct builtin_call *c, struct token *t) {
    str json;
    if (!jwt_decode_part(c, t->header, "JWT header", &json)) return false;
    if (!jwt_read_object(c, json, "bad JWT header: ", &t->decoded_header)) return false;
    if (!value_defined(value_get_str(t->decoded_header, S("enc")))) return true;
    builtin_fail(c, "JWT is a JWE object, which is not supported");
    return false;
}

/* ---- Members of the header ------------------------------------------------------------------- */

static bool is_critical(value crit, value name) {
    for (u32 i = 0; i < value_count(crit); i++)
        if (value_equal(value_item(crit, i), name)) return true;
    return false;
}

static bool check_critical(struct builtin_call *c, value crit) {
    if (!value_is(crit, VALUE_ARRAY)) {
        builtin_fail(c, "crit: must be a list");
        return false;
    }
    for (u32 i = 0; i < value_count(crit); i++)
        if (value_is(value_item(crit, i), VALUE_STRING)) return true;
    builtin_fail(c, "crit: must be a nonempty list");
    return false;
}

bool jwt_check_header(struct builtin_call *c, const struct token *t, struct jwt_header *out) {
    *out = (struct jwt_header){0};
    value h = t->decoded_header, crit = value_get_str(h, S("crit"));
    bool unknown_critical = false;
    for (u32 i = 0; i < value_count(h); i++) {
        value name = value_key_at(h, i), v = value_value_at(h, i);
        str n = value_str(name);
        str unused, *to = str_eq(n, S("alg"))   ? &out->alg
                          : str_eq(n, S("kid")) ? &out->kid
                          : str_eq(n, S("cty")) ? &out->cty
                          : str_eq(n, S("typ")) ? &unused
                                                : NULL;
        if (to && !value_is(v, VALUE_STRING)) {
            builtin_fail(c, "%.*s: must be a string", STR(n));
            return false;
        }
        if (to)
            *to = value_str(v);
        else if (str_eq(n, S("crit"))) {
            if (!check_critical(c, v)) return false;
        } else if (value_is(crit, VALUE_ARRAY) && is_critical(crit, name))
            unknown_critical = true;
        if (!builtin_tick(c, 1 + value_count(crit))) return false;
    }
    out->is_valid = out->alg.len && !unknown_critical;
    return true;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static bool keys_of_pem(struct builtin_call *c, str rest, const struct pem_block *block,
                        struct key_set *out, struct diag *why) {
    struct diag reason = {0};
    out->items = heap_alloc(c->heap, sizeof *out->items);
    if (!out->items) return false;
    out->count = 1;
    if (rest.len) {
        diag_set(why, "extra data after a PEM certificate block");
        return false;
    }
    if (str_eq(block->type, S("CERTIFICATE"))) {
        struct certificate cert;
        if (x509_read(c->heap, block->bytes, &cert, &reason) && cert.has_key) {
            *out->items = cert.key;
            return true;
        }
        if (*reason.text)
            diag_set(why, "failed to parse a PEM certificate: %s", reason.text);
        else
            out->count = 0; /* a key of a kind nobody here can use: no signature will be right */
        return !*reason.text;
    }
    if (str_eq(block->type, S("PUBLIC KEY"))) {
        if (key_of_spki(block->bytes, out->items, &reason)) return true;
        diag_set(why, "failed to parse a PEM public key: %s", reason.text);
        return false;
    }
    diag_set(why, "failed to extract a Key from the PEM certificate");
    return false;
}

/* Keys for algorithms nobody here knows are left out. */
static void drop_unknown(struct key_set *keys) {
    u32 kept = 0;
    for (u32 i = 0; i < keys->count; i++)
        if (!keys->items[i].alg.len || key_algorithm_find(keys->items[i].alg))
            keys->items[kept++] = keys->items[i];
    keys->count = kept;
}

static bool read_keys(struct builtin_call *c, str text, struct key_set *out, struct diag *why) {
    struct pem_block block;
    struct diag reason = {0};
    str rest = text;
    if (pem_next(c, &rest, &block)) return keys_of_pem(c, rest, &block, out, why);
    if (c->failed) return false;
    if (key_set_of_json(c->heap, text, out, &reason)) {
        drop_unknown(out);
        return true;
    }
    diag_set(why, "failed to parse a JWK key (set): %s", reason.text);
    return false;
}

/* Read keys outlive the query, with memory of their own. */
struct kept_keys {
    struct heap heap;
    struct key_set keys;
};
struct making {
    struct builtin_call *call;
    struct diag why;
};
static void drop_keys(void *thing) {
    struct kept_keys *k = thing;
    heap_close(&k->heap);
    free(k);
}
/* The bytes a key has, of whatever kind. */
static u32 key_parts(struct key *k, str *parts[7]) {
    u32 n = 0;
    parts[n++] = &k->alg, parts[n++] = &k->kid;
    if (k->kind == KEY_RSA)
        parts[n++] = &k->rsa.n, parts[n++] = &k->rsa.e, parts[n++] = &k->rsa.d,
        parts[n++] = &k->rsa.p, parts[n++] = &k->rsa.q;
    else if (k->kind == KEY_EC)
        parts[n++] = &k->ec.x, parts[n++] = &k->ec.y, parts[n++] = &k->ec.d;
    else if (k->kind == KEY_ED25519)
        parts[n++] = &k->ed.x, parts[n++] = &k->ed.seed;
    else
        parts[n++] = &k->shared;
    return n;
}

static void keep_keys(struct kept_keys *to, const struct key_set *from) {
    struct heap *h = &to->heap;
    to->keys.items = heap_alloc(h, MAX(1, from->count) * sizeof *from->items);
    if (!to->keys.items) return;
    memcpy(to->keys.items, from->items, from->count * sizeof *from->items);
    to->keys.count = from->count;
    for (u32 i = 0; i < from->count && !h->exhausted; i++) {
        str *parts[7];
        u32 n = key_parts(&to->keys.items[i], parts);
        for (u32 j = 0; j < n; j++) {
            char *bytes = parts[j]->len ? heap_alloc(h, parts[j]->len) : NULL;
            if (bytes) memcpy(bytes, parts[j]->ptr, parts[j]->len);
            parts[j]->ptr = bytes;
        }
    }
}

static void *make_keys(void *arg, str text) {
    struct making *m = arg;
    struct key_set keys = {0};
    struct kept_keys *k = calloc(1, sizeof *k);
    if (!k) return NULL;
    heap_open(&k->heap, MIN(JWT_KEYS_BYTES_MAX, 2048 + 10 * text.len));
    if (read_keys(m->call, text, &keys, &m->why) && !m->call->heap->exhausted) keep_keys(k, &keys);
    else k->heap.exhausted = true;
    if (!k->heap.exhausted) return k;
    drop_keys(k);
    if (!*m->why.text) diag_set(&m->why, "the keys are too large");
    return NULL;
}

const struct key_set *jwt_keys(struct builtin_call *c, str text) {
    static const char owner = 0;
    struct making m = {.call = c};
    struct kept_keys *k = evaluation_cached(c->evaluation, &owner, text, make_keys, drop_keys, &m);
    if (k) return &k->keys;
    if (!c->failed) builtin_fail(c, "%s", m.why.text);
    return NULL;
}

const struct key *jwt_key_by_id(const struct key_set *keys, str kid) {
    for (u32 i = 0; i < keys->count; i++)
        if (str_eq(keys->items[i].kid, kid)) return &keys->items[i];
    return NULL;
}

/* ---- io.jwt.decode --------------------------------------------------------------------------- */

static str trim_quotes(str s) {
    while (s.len && (s.ptr[0] == '"' || s.ptr[0] == '\'')) s = str_skip(s, 1);
    while (s.len && (s.ptr[s.len - 1] == '"' || s.ptr[s.len - 1] == '\'')) s.len--;
    return s;
}

static value hex_string(struct builtin_call *c, str bytes) {
    char *text = value_string_room(c->heap, 2 * bytes.len);
    static const char digits[] = "0123456789abcdef";
    if (!text) return value_null();
    for (size_t i = 0; i < bytes.len; i++) {
        text[2 * i] = digits[(u8)bytes.ptr[i] >> 4];
        text[2 * i + 1] = digits[(u8)bytes.ptr[i] & 15];
    }
    return value_string_seal(text, 2 * bytes.len);
}

/* A token may hold a token, quoted or not: the innermost is the answer. Each is smaller than the
 * one it came out of. */
value builtin_io_jwt_decode(struct builtin_call *c, const value *args) {
    str text, payload;
    struct token t;
    if (!builtin_take_string(c, args, 0, &text)) return UNDEFINED;
    for (;;) {
        if (!jwt_split(c, text, &t) || !jwt_read_header(c, &t)) return UNDEFINED;
        if (!jwt_decode_part(c, t.payload, "JWT payload", &payload)) return UNDEFINED;
        value cty = value_get_str(t.decoded_header, S("cty"));
        if (!value_is(cty, VALUE_STRING) || !str_eq(value_str(cty), S("JWT"))) break;
        text = trim_quotes(payload);
    }
    value parts[3] = {t.decoded_header};
    if (!jwt_read_object(c, payload, "", &parts[1])) return UNDEFINED;
    if (!jwt_decode_part(c, t.signature, "JWT signature", &t.decoded_signature)) return UNDEFINED;
    parts[2] = hex_string(c, t.decoded_signature);
    return value_array(c->heap, parts, 3);
}
