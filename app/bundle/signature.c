/* SPDX-License-Identifier: Apache-2.0 */
/* signature.c — who vouches for a bundle: .signatures.json, read and made.
 *
 *   {"signatures": ["<header>.<payload>.<signature>"]}
 *   payload: {"files": [{"name", "hash", "algorithm"} ...], "keyid", "scope", ...}
 *
 * The key and its algorithm are those of the configuration; a token only says which key by name.
 * Every file must be listed and have the hash told; every file listed must be there. */
#include "app/bundle/bundle_impl.h"
#include "app/policy/builtin/key.h"
#include "app/policy/builtin/pem.h"
#include "app/policy/builtin/x509.h"
#include "app/policy/value/base64_text.h"
#include "app/policy/value/json_text.h"

/* ---- Keys ---- */

static rc_t key_of_block(struct heap *h, const struct pem_block *block, struct key *out,
                         struct diag *why) {
    struct certificate c;
    bool good;
    if (str_eq(block->type, S("PUBLIC KEY")))
        good = key_of_spki(block->bytes, out, why);
    else if (str_eq(block->type, S("RSA PRIVATE KEY")))
        good = key_of_pkcs1(block->bytes, out, why);
    else if (str_eq(block->type, S("PRIVATE KEY")))
        good = key_of_pkcs8(h, block->bytes, out, why);
    else if (str_eq(block->type, S("EC PRIVATE KEY")))
        good = key_of_sec1(h, block->bytes, 0, out, why);
    else if (str_eq(block->type, S("CERTIFICATE"))) {
        good = x509_read(h, block->bytes, &c, why) && c.has_key;
        if (good) *out = c.key;
    } else {
        diag_set(why, "unsupported PEM block type: %.*s", STR(str_take(block->type, 80)));
        return RC_INVALID;
    }
    if (good) return RC_OK;
    if (!why->text[0]) diag_set(why, "the key cannot be read");
    return h->exhausted ? RC_NO_MEMORY : RC_INVALID;
}

static rc_t key_of_text(struct heap *h, const struct key_algorithm *a, str text, struct key *out,
                        struct diag *why) {
    if (a->scheme == SCHEME_HS) {
        *out = (struct key){.kind = KEY_SHARED, .is_private = true, .shared = text};
        return RC_OK;
    }
    struct builtin_call call = {.heap = h};
    struct pem_block block;
    str rest = text;
    if (text.len > JWT_KEYS_BYTES_MAX || !pem_next(&call, &rest, &block))
        return bundle_fail(why, h->exhausted ? RC_NO_MEMORY : RC_INVALID,
                           "failed to parse PEM block containing the key");
    return key_of_block(h, &block, out, why);
}

/* ---- Tokens ---- */

static rc_t part_decode(struct heap *h, str part, str *out, struct diag *why) {
    char *room = heap_alloc(h, BASE64_READ_ROOM(part.len));
    size_t n, bad_at;
    if (!room) return RC_NO_MEMORY;
    if (base64_text_read(part, BASE64_URL | BASE64_NO_PAD, room, &n, &bad_at)) {
        diag_set(why, "illegal base64 data at input byte %zu", bad_at);
        return RC_INVALID;
    }
    *out = str_of(room, n);
    return RC_OK;
}

static rc_t part_read(struct heap *h, str part, const char *what, value *out, struct diag *why) {
    struct diag words = {0};
    str text;
    rc_t rc = part_decode(h, part, &text, &words);
    if (!rc) rc = json_text_read(h, NULL, text, out, &words);
    if (!rc && out->kind != VALUE_OBJECT) rc = bundle_fail(&words, RC_INVALID, "not an object");
    if (rc) diag_set(why, "failed to parse JWT %s: %s", what, words.text);
    return rc;
}

struct signed_token {
    str signed_part, signature;
    value header, payload;
};

static rc_t token_read(struct heap *h, str token, struct signed_token *out, struct diag *why) {
    str rest = token, header = S(""), payload = S(""), signature = S("");
    bool three = str_split(&rest, '.', &header) && str_split(&rest, '.', &payload) &&
                 str_split(&rest, '.', &signature) && !rest.ptr;
    if (!three || token.len > BUNDLE_TOKEN_MAX)
        return bundle_fail(why, RC_INVALID, "invalid number of segments");
    out->signed_part = str_take(token, header.len + 1 + payload.len);
    rc_t rc = part_read(h, header, "headers", &out->header, why);
    if (!rc) rc = part_read(h, payload, "payload", &out->payload, why);
    return rc ? rc : part_decode(h, signature, &out->signature, why);
}

static str text_member(value object, const char *name) {
    value v = value_get_str(object, str_from_c(name));
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

static const struct bundle_key *key_named(const struct bundle_verification *v, str id) {
    for (u32 i = 0; i < v->key_count; i++)
        if (str_eq(v->keys[i].id, id)) return &v->keys[i];
    return NULL;
}

static rc_t token_verify(struct heap *h, const struct bundle_verification *v, str token,
                         value *files, struct diag *why) {
    struct signed_token t;
    struct key key;
    rc_t rc = token_read(h, token, &t, why);
    if (rc) return rc;
    str id = v->key_id.len ? v->key_id : text_member(t.header, "kid");
    if (!id.len) id = text_member(t.payload, "keyid");
    if (!id.len) return bundle_fail(why, RC_DENIED, "verification key ID is empty");
    const struct bundle_key *k = key_named(v, id);
    if (!k) {
        diag_set(why, "verification key corresponding to ID %.*s not found", STR(str_take(id, 80)));
        return RC_DENIED;
    }
    const struct key_algorithm *a =
        key_algorithm_find(k->algorithm.len ? k->algorithm : S("RS256"));
    if (!a) {
        diag_set(why, "unknown signature algorithm: %.*s", STR(str_take(k->algorithm, 80)));
        return RC_DENIED;
    }
    if ((rc = key_of_text(h, a, k->key, &key, why))) return rc == RC_INVALID ? RC_DENIED : rc;
    if (!key_verify(&key, a, KEY_ANY_SALT, t.signed_part, t.signature))
        return bundle_fail(why, RC_DENIED,
                           "could not verify message using any of the signatures or keys");
    if (!str_eq(text_member(t.payload, "scope"), v->scope.len ? v->scope : k->scope))
        return bundle_fail(why, RC_DENIED, "scope mismatch");
    *files = value_get_str(t.payload, S("files"));
    return RC_OK;
}

/* ---- Files ---- */

/* As the reference's language matches names of files: * and ? stop at a slash. */
static bool name_matches(str pattern, str name) {
    size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;
    while (n < name.len) {
        char c = p < pattern.len ? pattern.ptr[p] : 0;
        if (p < pattern.len && c == '*') {
            star = p++, star_n = n;
        } else if (p < pattern.len && c == '?' && name.ptr[n] != '/') {
            p++, n++;
        } else if (p + 1 < pattern.len && c == '\\' && pattern.ptr[p + 1] == name.ptr[n]) {
            p += 2, n++;
        } else if (p < pattern.len && c != '\\' && c != '?' && c == name.ptr[n]) {
            p++, n++;
        } else if (star != SIZE_MAX && name.ptr[star_n] != '/') {
            p = star + 1, n = ++star_n;
        } else
            return false;
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}

static bool is_excluded(const struct bundle_verification *v, str name) {
    for (u32 i = 0; i < v->exclude_count; i++)
        if (name_matches(v->exclude[i], name)) return true;
    return false;
}

static bool hex_equal(str hex, const u8 *bytes, size_t len) {
    if (hex.len != 2 * len) return false;
    u32 differ = 0;
    for (size_t i = 0; i < hex.len; i++) {
        u8 nibble = i & 1 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4;
        char c = hex.ptr[i] >= 'A' && hex.ptr[i] <= 'F' ? (char)(hex.ptr[i] + 32) : hex.ptr[i];
        differ |= c != "0123456789abcdef"[nibble];
    }
    return !differ;
}

static rc_t file_verify(struct heap *h, str name, str bytes, value listed, struct diag *why) {
    u8 hash[BUNDLE_HASH_MAX];
    size_t len;
    char got[2 * BUNDLE_HASH_MAX + 1];
    if (!value_defined(listed)) {
        diag_set(why, "file %.*s not included in bundle signature", STR(str_take(name, 160)));
        return RC_DENIED;
    }
    str algorithm = text_member(listed, "algorithm"), want = text_member(listed, "hash");
    if (!algorithm.len) {
        diag_set(why, "no hashing algorithm provided for file %.*s", STR(str_take(name, 160)));
        return RC_DENIED;
    }
    rc_t rc = bundle_hash_file(h, name, bytes, algorithm, hash, &len, why);
    if (rc) return rc;
    if (hex_equal(want, hash, len)) return RC_OK;
    rc = str_hex(hash, len, got, sizeof got);
    if (!rc)
        diag_set(why, "%.*s: digest mismatch (want: %.*s, got: %s)", STR(str_take(name, 60)),
                 STR(str_take(want, 64)), str_take(str_from_c(got), 64).ptr);
    return RC_DENIED;
}

/* The name a signature lists: below the bundle's root; of a folder with the folder's name. */
static str listed_name(struct heap *h, str base, str path) {
    while (base.len && base.ptr[0] == '/') base = str_skip(base, 1);
    while (str_starts(base, S("./"))) base = str_skip(base, 2);
    while (base.len && base.ptr[base.len - 1] == '/') base.len--;
    if (!base.len || str_eq(base, S("."))) return path;
    char *to = heap_alloc(h, base.len + 1 + path.len);
    if (!to) return path;
    memcpy(to, base.ptr, base.len);
    to[base.len] = '/';
    memcpy(to + base.len + 1, path.ptr, path.len);
    return str_of(to, base.len + 1 + path.len);
}

static rc_t verify_listed(struct policy_bundle *b, const struct bundle_options *o, value files,
                          struct diag *why) {
    struct heap *h = &b->heap;
    struct value_builder list;
    u32 met = 0;
    value_builder_open(&list, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(files); i++) {
        value one = files.kind == VALUE_ARRAY ? value_item(files, i) : UNDEFINED;
        value name = value_get_str(one, S("name"));
        if (name.kind == VALUE_STRING) value_builder_replace(&list, name, one);
    }
    value listed = value_builder_close(&list);
    for (u32 i = 0; i < b->files.count; i++) {
        const struct bundle_file *f = &b->files.items[i];
        if (str_ends(f->path, S("signatures.json"))) continue;
        str name = listed_name(h, o->base, f->path);
        value entry = value_get_str(listed, name);
        if (value_defined(entry)) met++;
        if (is_excluded(o->verification, name)) continue;
        rc_t rc = file_verify(h, name, f->bytes, entry, why);
        if (rc) return rc;
    }
    if (h->exhausted) return RC_NO_MEMORY;
    if (met == value_count(listed)) return RC_OK;
    diag_set(why, "file(s) specified in bundle signatures but not found in the target bundle: %u",
             value_count(listed) - met);
    return RC_DENIED;
}

rc_t verify_files(struct policy_bundle *b, const struct bundle_options *o, struct diag *why) {
    const struct bundle_verification *v = o->verification;
    value tokens = value_get_str(b->signatures, S("signatures")), files = UNDEFINED;
    str plugin = text_member(b->signatures, "plugin");
    bool none = tokens.kind != VALUE_ARRAY && !plugin.len;
    if (o->skip_verify) return RC_OK;
    if (none && v && v->key_id.len)
        return bundle_fail(why, RC_DENIED, "bundle missing .signatures.json file");
    if (none) return RC_OK;
    if (!v) return bundle_fail(why, RC_DENIED, "verification key not provided");
    if (plugin.len && !str_eq(plugin, S("_default"))) {
        diag_set(why, "no verifier exists under id %.*s", STR(str_take(plugin, 80)));
        return RC_DENIED;
    }
    if (value_count(tokens) != 1)
        return bundle_fail(
            why, RC_DENIED,
            value_count(tokens)
                ? ".signatures.json: multiple JWTs not supported (expected exactly one)"
                : ".signatures.json: missing JWT (expected exactly one)");
    value token = value_item(tokens, 0);
    rc_t rc = token_verify(&b->heap, v, token.kind == VALUE_STRING ? value_str(token) : S(""),
                           &files, why);
    return rc ? rc : verify_listed(b, o, files, why);
}

/* ---- Making ---- */

static void put_payload(struct buf *to, struct heap *h, const struct bundle_hash *files, u32 count,
                        value claims, str key_id) {
    struct value_builder all;
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(claims); i++)
        value_builder_replace(&all, value_key_at(claims, i), value_value_at(claims, i));
    if (!value_defined(claims) && key_id.len)
        value_builder_replace(&all, value_string_c(h, "keyid"), value_string(h, key_id));
    value files_key = value_string_c(h, "files");
    bool own = !value_defined(value_builder_find(&all, files_key));
    if (own) value_builder_replace(&all, files_key, value_null());
    value v = value_builder_close(&all);
    for (u32 i = 0; i < value_count(v); i++) {
        (void)buf_add(to, i ? S(",") : S("{")); /* a failure stays in the buffer */
        json_text_write(to, value_key_at(v, i), JSON_TEXT_ESCAPE_HTML);
        (void)buf_add(to, S(":"));
        if (!own || !value_equal(value_key_at(v, i), files_key)) {
            json_text_write(to, value_value_at(v, i), JSON_TEXT_ESCAPE_HTML);
            continue;
        }
        for (u32 k = 0; k < count; k++) {
            (void)buf_add(to, k ? S(",{\"name\":") : S("[{\"name\":"));
            json_text_write(to, value_string(h, files[k].name), JSON_TEXT_ESCAPE_HTML);
            (void)buf_printf(to, ",\"hash\":\"%s\",\"algorithm\":\"SHA-256\"}", files[k].hex);
        }
        (void)buf_add(to, count ? S("]") : S("[]"));
    }
    (void)buf_add(to, S("}"));
}

static void put_base64(struct buf *to, str bytes) {
    if (buf_reserve(to, BASE64_WRITE_ROOM(bytes.len))) return; /* a failure stays in the buffer */
    to->len += base64_text_write(bytes, BASE64_URL | BASE64_NO_PAD, to->ptr + to->len);
}

rc_t bundle_sign(struct heap *h, const struct bundle_hash *files, u32 count, str algorithm,
                 str key_text, value claims, str key_id, str *token, struct diag *why) {
    const struct key_algorithm *a = key_algorithm_find(algorithm);
    struct key key;
    struct buf header, payload, text;
    u8 signature[KEY_SIGNATURE_MAX];
    size_t len;
    if (!a) {
        diag_set(why, "unknown signature algorithm: %.*s", STR(str_take(algorithm, 80)));
        return RC_INVALID;
    }
    rc_t rc = key_of_text(h, a, key_text, &key, why);
    if (rc) return rc;
    buf_open(&header, KIB(64));
    buf_open(&payload, BUNDLE_TOKEN_MAX), buf_open(&text, BUNDLE_TOKEN_MAX);
    (void)buf_printf(&header, "{\"alg\":\"%s\"", a->name);
    if (key_id.len) {
        (void)buf_add(&header, S(",\"kid\":"));
        json_text_write(&header, value_string(h, key_id), JSON_TEXT_ESCAPE_HTML);
    }
    (void)buf_add(&header, S("}"));
    put_payload(&payload, h, files, count, claims, key_id);
    put_base64(&text, buf_str(&header));
    (void)buf_add(&text, S("."));
    put_base64(&text, buf_str(&payload));
    rc = header.failed || payload.failed || text.failed
             ? RC_LIMIT
             : key_sign(&key, a, buf_str(&text), signature, &len);
    if (rc == RC_INVALID) diag_set(why, "the key cannot sign with %s", a->name);
    if (!rc) {
        (void)buf_add(&text, S("."));
        put_base64(&text, str_of((const char *)signature, len));
        value v = value_string(h, buf_str(&text));
        if (text.failed || v.kind != VALUE_STRING)
            rc = RC_NO_MEMORY;
        else
            *token = value_str(v);
    }
    buf_close(&header), buf_close(&payload), buf_close(&text);
    return rc;
}
