/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c — password hashes made elsewhere, so that people keep their passwords when they move
 * here. Read, judged once at sign-in by password.c, then replaced by one of ours.
 *
 *    $2a$ $2b$ $2y$ cost $ 22 letters salt, 31 hash          bcrypt, by libxcrypt; cost 4 to 14
 *    $pbkdf2-sha256$ rounds $ salt $ hash                    passlib's base64, also -sha512
 *    pbkdf2_sha256$ rounds $ salt $ hash                     Django's; by mbedTLS; to 2,000,000
 *    $argon2id$ $argon2i$ v=19$ m=,t=,p=$ salt $ hash        m to 19456 (a slot), t to 10, p to 4
 *
 * Always true: what is taken over is within these bounds, so that nobody's sign-in costs more than
 * a second or two of one worker; nothing is hashed in these forms, only compared. */
#include "app/auth/auth_impl.h"
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>

enum { BCRYPT_LEN = 60, BCRYPT_SCRATCH = 8192, ROUNDS_MAX = 2000000 };
void crypt_bcrypt_rn(const char *phrase, size_t phrase_bytes, const char *setting,
                     size_t setting_bytes, uint8_t *output, size_t output_room, void *scratch,
                     size_t scratch_room); /* libxcrypt */

static bool number(str text, u64 min, u64 max, u32 *out) {
    u64 v;
    if (str_to_u64(text, &v) || v < min || v > max) return false;
    *out = (u32)v;
    return true;
}

/* Base64 without padding, of which passlib writes '.' for '+'. */
static bool bytes_of(str text, u8 *to, size_t room, size_t *out_len) {
    char plain[128];
    while (text.len && text.ptr[text.len - 1] == '=') text.len--;
    if (text.len > sizeof plain) return false;
    for (size_t i = 0; i < text.len; i++) plain[i] = text.ptr[i] == '.' ? '+' : text.ptr[i];
    return base64_decode(str_of(plain, text.len), to, room, out_len) == RC_OK && *out_len > 0;
}

static const char *bcrypt_parse(str phc, struct foreign *f) {
    u32 cost;
    if (phc.len != BCRYPT_LEN || phc.ptr[6] != '$' || !strchr("aby", phc.ptr[2]))
        return "a bcrypt hash looks like $2b$12$ and 53 letters";
    if (!number(str_of(phc.ptr + 4, 2), 4, 14, &cost)) return "bcrypt's cost is 4 to 14";
    f->kind = FOREIGN_BCRYPT;
    memcpy(f->text, phc.ptr, BCRYPT_LEN);
    f->text[BCRYPT_LEN] = 0;
    f->text[2] = 'b'; /* the same for passwords without NUL of at most 72 bytes */
    return NULL;
}

static const char *pbkdf2_parse(str rest, bool long_hash, bool django, struct foreign *f) {
    str rounds, salt, hash;
    f->kind = long_hash ? FOREIGN_PBKDF2_SHA512 : FOREIGN_PBKDF2_SHA256;
    if (!str_split(&rest, '$', &rounds) || !str_split(&rest, '$', &salt) ||
        !str_split(&rest, '$', &hash) || rest.ptr)
        return "a PBKDF2 hash has rounds, salt and hash";
    if (!number(rounds, 1000, ROUNDS_MAX, &f->passes)) return "PBKDF2 has 1000 to 2000000 rounds";
    if (django && salt.len && salt.len <= sizeof f->salt) {
        memcpy(f->salt, salt.ptr, salt.len); /* Django's salt is the text itself */
        f->salt_len = salt.len;
    } else if (django || !bytes_of(salt, f->salt, sizeof f->salt, &f->salt_len)) {
        return "the salt is not understood";
    }
    if (!bytes_of(hash, f->hash, sizeof f->hash, &f->hash_len) ||
        f->hash_len != (long_hash ? 64u : 32u))
        return "the hash is not understood";
    return NULL;
}

static const char *argon2_parse(str rest, struct foreign *f) {
    str version, costs, salt, hash, m, t, p;
    if (!str_split(&rest, '$', &version) || !str_split(&rest, '$', &costs) ||
        !str_split(&rest, '$', &salt) || !str_split(&rest, '$', &hash) || rest.ptr ||
        !str_eq(version, S("v=19")))
        return "an argon2 hash has v=19, costs, salt and hash";
    if (!str_split(&costs, ',', &m) || !str_split(&costs, ',', &t) || !str_split(&costs, ',', &p) ||
        costs.ptr || !str_starts(m, S("m=")) || !str_starts(t, S("t=")) ||
        !str_starts(p, S("p=")) || !number(str_skip(m, 2), 64, 19456, &f->kib) ||
        !number(str_skip(t, 2), 1, 10, &f->passes) || !number(str_skip(p, 2), 1, 4, &f->lanes))
        return "argon2 has m 64 to 19456, t 1 to 10, p 1 to 4";
    if (!bytes_of(salt, f->salt, sizeof f->salt, &f->salt_len) || f->salt_len < 8 ||
        !bytes_of(hash, f->hash, sizeof f->hash, &f->hash_len) || f->hash_len < 16)
        return "the salt or the hash is not understood";
    return NULL;
}

const char *foreign_parse(str phc, struct foreign *f) {
    *f = (struct foreign){0};
    if (phc.len >= PHC_ROOM) return "it is longer than any hash that is taken over";
    if (str_starts(phc, S("$2"))) return bcrypt_parse(phc, f);
    if (str_starts(phc, S("$pbkdf2-sha256$")))
        return pbkdf2_parse(str_skip(phc, 15), false, false, f);
    if (str_starts(phc, S("$pbkdf2-sha512$")))
        return pbkdf2_parse(str_skip(phc, 15), true, false, f);
    if (str_starts(phc, S("pbkdf2_sha256$")))
        return pbkdf2_parse(str_skip(phc, 14), false, true, f);
    if (str_starts(phc, S("$argon2id$"))) {
        f->kind = FOREIGN_ARGON2ID;
        return argon2_parse(str_skip(phc, 10), f);
    }
    if (str_starts(phc, S("$argon2i$"))) {
        f->kind = FOREIGN_ARGON2I;
        return argon2_parse(str_skip(phc, 9), f);
    }
    return "bcrypt, PBKDF2 and argon2 hashes are taken over";
}

static bool bcrypt_matches(const struct foreign *f, str password) {
    char phrase[PASSWORD_MAX + 1], output[BCRYPT_LEN + 4] = "";
    u64 scratch[BCRYPT_SCRATCH / 8];
    if (password.len > PASSWORD_MAX || memchr(password.ptr, 0, password.len)) return false;
    memcpy(phrase, password.ptr, password.len);
    phrase[password.len] = 0;
    crypt_bcrypt_rn(phrase, password.len, f->text, BCRYPT_LEN, (u8 *)output, sizeof output, scratch,
                    sizeof scratch);
    secret_wipe(phrase, sizeof phrase);
    secret_wipe(scratch, sizeof scratch);
    return str_eq_secret(str_of(output, BCRYPT_LEN), str_of(f->text, BCRYPT_LEN));
}

bool foreign_matches(const struct foreign *f, str password) {
    u8 hash[64];
    if (f->kind == FOREIGN_BCRYPT) return bcrypt_matches(f, password);
    mbedtls_md_type_t md = f->kind == FOREIGN_PBKDF2_SHA512 ? MBEDTLS_MD_SHA512 : MBEDTLS_MD_SHA256;
    int rc = mbedtls_pkcs5_pbkdf2_hmac_ext(md, (const u8 *)password.ptr, password.len, f->salt,
                                           f->salt_len, f->passes, (u32)f->hash_len, hash);
    return rc == 0 && str_eq_secret(str_of((char *)hash, f->hash_len),
                                    str_of((const char *)f->hash, f->hash_len));
}
