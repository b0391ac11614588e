/* SPDX-License-Identifier: Apache-2.0 */
/* seal_key.c — the header that keeps a disk's data key, and who can open it.
 *
 *   | crash record ... | header, copy 0 | copy 1 | mark of a restore | probe |    crash partition
 *
 *   wrapping key = the key given, or argon2id(passphrase, salt, costs in the header)
 *   data key     = AES-256-GCM-open(wrapping key, nonce, wrapped, tag; what stands before, disk id)
 *
 * Changing the secret writes the copies one after the other, a flush behind each, with the next
 * generation; the sound copy of the highest one counts. So a cut leaves the old secret or the new
 * one in force, never none, and when the answer leaves nothing of the old one is on the disk.
 *
 * Always true: opening writes nothing. What was secret on the stack is wiped. */
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "storage/gpt.h"
#include "storage/layout.h"
#include "storage/seal.h"
#include "storage/xts.h"
#include <argon2.h>
#include <mbedtls/gcm.h>
#include <mbedtls/platform_util.h>

/* RFC 9106's second choice is 64 MiB; a machine of that size has to start, so OWASP's figures. */
#define COST_KIB 19456u
#define COST_PASSES 2u
#define COST_KIB_MAX (1u << 20) /* what a header from elsewhere may ask for */
#define COST_PASSES_MAX 64u
#define COPIES 2u

struct secret {
    enum seal_kind kind;
    size_t len;
    u8 bytes[SEAL_PASSPHRASE_MAX]; /* the key, or the passphrase */
    /* Of a passphrase: what it gave with these, so that a start tried again does not hash again. */
    bool derived;
    u8 salt[16];
    u32 memory_kib, passes;
    u8 key[SEAL_KEY_BYTES];
};
static struct secret offered;
static struct layout_seal current; /* of the volume that is open */
static struct seal_place place;
static u8 current_key[XTS_KEY_BYTES];

static rc_t secret_set(struct secret *s, enum seal_kind kind, str bytes) {
    mbedtls_platform_zeroize(s, sizeof *s);
    if (kind == SEAL_NONE) return RC_OK;
    if (kind == SEAL_BY_KEY && bytes.len != SEAL_KEY_BYTES) return RC_INVALID;
    if (bytes.len < SEAL_PASSPHRASE_MIN || bytes.len > SEAL_PASSPHRASE_MAX) return RC_INVALID;
    s->kind = kind;
    s->len = bytes.len;
    memcpy(s->bytes, bytes.ptr, bytes.len);
    return RC_OK;
}

rc_t seal_offer(enum seal_kind kind, str secret) { return secret_set(&offered, kind, secret); }

/* ---- The wrapping key ------------------------------------------------------------------------ */

struct deriving { /* handed to a worker whole */
    struct secret *secret;
    const struct layout_seal *header;
    int result;
};
static void *derive_memory; /* libargon2's allocator has no argument; one derivation at a time */

static int memory_lend(u8 **out, size_t bytes) {
    (void)bytes;
    *out = derive_memory;
    return ARGON2_OK;
}
static void memory_take_back(u8 *memory, size_t bytes) { (void)memory, (void)bytes; }

static void derive_job(void *arg) {
    struct deriving *d = arg;
    struct secret *s = d->secret;
    argon2_context context = {
        .out = s->key,
        .outlen = sizeof s->key,
        .pwd = s->bytes,
        .pwdlen = (u32)s->len,
        .salt = (u8 *)d->header->salt,
        .saltlen = sizeof d->header->salt,
        .t_cost = d->header->passes,
        .m_cost = d->header->memory_kib,
        .lanes = 1,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = memory_lend,
        .free_cbk = memory_take_back,
    };
    d->result = argon2_ctx(&context, Argon2_id); /* clears the memory at its end */
}

/* Logins may have all the memory meant for hashing; then the database's own does. */
static rc_t derive(struct deriving *d) {
    enum memory_budget from = MEMORY_PASSWORD;
    size_t bytes = (size_t)d->header->memory_kib << 10;
    if (derive_memory) return RC_LIMIT;
    derive_memory = memory_alloc(from, bytes);
    if (!derive_memory) derive_memory = memory_alloc(from = MEMORY_SQL, bytes);
    if (!derive_memory) return RC_NO_MEMORY;
    rc_t rc = worker_run(derive_job, d);
    memory_free(from, derive_memory);
    derive_memory = NULL;
    return rc;
}

static bool derived_for(const struct secret *s, const struct layout_seal *h) {
    return s->derived && memcmp(s->salt, h->salt, sizeof s->salt) == 0 &&
           s->memory_kib == h->memory_kib && s->passes == h->passes;
}

static rc_t wrapping_key(struct secret *s, const struct layout_seal *h, u8 out[SEAL_KEY_BYTES]) {
    if (s->kind == SEAL_BY_KEY) {
        memcpy(out, s->bytes, SEAL_KEY_BYTES);
        return RC_OK;
    }
    if (!derived_for(s, h)) {
        struct deriving d = {.secret = s, .header = h};
        rc_t rc = derive(&d);
        if (rc) return rc;
        if (d.result != ARGON2_OK) return RC_NO_MEMORY;
        memcpy(s->salt, h->salt, sizeof s->salt);
        s->memory_kib = h->memory_kib, s->passes = h->passes, s->derived = true;
    }
    memcpy(out, s->key, SEAL_KEY_BYTES);
    return RC_OK;
}

/* ---- The header ------------------------------------------------------------------------------ */

/* What the tag vouches for besides the key: this header's costs, on this disk. */
struct vouched {
    u8 disk_id[16];
    u8 header[offsetof(struct layout_seal, wrapped)];
};
static struct vouched vouched_of(const struct layout_seal *h, const u8 *disk_id) {
    struct layout_seal plain = *h;
    struct vouched v;
    plain.crc = 0;
    memcpy(v.disk_id, disk_id, sizeof v.disk_id);
    memcpy(v.header, &plain, sizeof v.header);
    return v;
}

static rc_t key_move(struct secret *s, struct layout_seal *h, const u8 *disk_id,
                     u8 data_key[XTS_KEY_BYTES], bool wrap) {
    u8 key[SEAL_KEY_BYTES];
    mbedtls_gcm_context gcm;
    struct vouched v = vouched_of(h, disk_id);
    rc_t rc = wrapping_key(s, h, key);
    if (rc) return rc;
    mbedtls_gcm_init(&gcm);
    int bad = mbedtls_gcm_setkey(&gcm, MBEDTLS_CIPHER_ID_AES, key, sizeof key * 8);
    if (bad) rc = RC_NO_MEMORY;
    else if (wrap)
        bad = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, XTS_KEY_BYTES, h->nonce,
                                        sizeof h->nonce, (u8 *)&v, sizeof v, data_key, h->wrapped,
                                        sizeof h->tag, h->tag);
    else
        bad = mbedtls_gcm_auth_decrypt(&gcm, XTS_KEY_BYTES, h->nonce, sizeof h->nonce, (u8 *)&v,
                                       sizeof v, h->tag, sizeof h->tag, h->wrapped, data_key);
    if (!rc && bad) rc = RC_DENIED;
    mbedtls_gcm_free(&gcm);
    mbedtls_platform_zeroize(key, sizeof key);
    return rc;
}

static u32 header_crc(struct layout_seal h) {
    h.crc = 0;
    return gpt_crc32(0, &h, sizeof h);
}

static bool header_sound(const struct layout_seal *h) {
    bool ours = memcmp(h->magic, LAYOUT_SEAL_MAGIC, sizeof h->magic) == 0;
    bool kind = h->kind == LAYOUT_SEAL_KEY || h->kind == LAYOUT_SEAL_PASSPHRASE;
    return ours && kind && h->crc == header_crc(*h) && h->memory_kib <= COST_KIB_MAX &&
           h->passes <= COST_PASSES_MAX;
}

static u64 copy_block(const struct seal_place *at, u32 copy) {
    u32 block_bytes = at->info.block_bytes;
    return at->crash_block + (LAYOUT_SEAL_AT + copy * LAYOUT_PAGE_BYTES) / block_bytes;
}

/* The copy that counts. RC_NOT_FOUND: the disk is in the clear. */
static rc_t header_read(const struct seal_place *at, struct layout_seal *out) {
    struct layout_seal h;
    rc_t rc = RC_NOT_FOUND;
    u8 *pages = memory_alloc(MEMORY_SQL, COPIES * LAYOUT_PAGE_BYTES);
    if (!pages) return RC_NO_MEMORY;
    rc_t read = disk_read(at->disk, copy_block(at, 0),
                          COPIES * LAYOUT_PAGE_BYTES / at->info.block_bytes, pages);
    *out = (struct layout_seal){0};
    for (u32 i = 0; i < COPIES && !read; i++) {
        memcpy(&h, pages + i * LAYOUT_PAGE_BYTES, sizeof h);
        bool there = memcmp(&h, &(struct layout_seal){0}, sizeof h) != 0;
        if (header_sound(&h) && h.generation >= out->generation) *out = h, rc = RC_OK;
        else if (there && rc == RC_NOT_FOUND) rc = RC_CORRUPT;
    }
    memory_free(MEMORY_SQL, pages);
    return read ? read : rc;
}

static rc_t copy_write(const struct seal_place *at, u32 copy, const struct layout_seal *h) {
    u8 *page = memory_zero(MEMORY_SQL, LAYOUT_PAGE_BYTES);
    if (!page) return RC_NO_MEMORY;
    memcpy(page, h, sizeof *h);
    rc_t rc = disk_write(at->disk, copy_block(at, copy), LAYOUT_PAGE_BYTES / at->info.block_bytes,
                         page);
    memory_free(MEMORY_SQL, page);
    return rc;
}

/* `current_key`, wrapped by the secret. */
static rc_t header_make(struct secret *s, const u8 *disk_id, u64 generation,
                        struct layout_seal *out) {
    *out = (struct layout_seal){.kind = s->kind == SEAL_BY_KEY ? LAYOUT_SEAL_KEY
                                                               : LAYOUT_SEAL_PASSPHRASE,
                                .memory_kib = COST_KIB,
                                .passes = COST_PASSES,
                                .generation = generation};
    memcpy(out->magic, LAYOUT_SEAL_MAGIC, sizeof out->magic);
    rc_t rc = platform_entropy(out->salt, sizeof out->salt);
    if (!rc) rc = platform_entropy(out->nonce, sizeof out->nonce);
    if (!rc) rc = key_move(s, out, disk_id, current_key, true);
    out->crc = header_crc(*out);
    return rc;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void say_denied(u32 disk, const struct layout_seal *h, struct diag *why) {
    bool by_key = h->kind == LAYOUT_SEAL_KEY;
    const char *wanted = by_key ? "disk.key" : "disk.passphrase";
    if (offered.kind == SEAL_NONE)
        diag_set(why, "disk %u is encrypted: give its %s", disk, wanted);
    else if (by_key != (offered.kind == SEAL_BY_KEY))
        diag_set(why, "disk %u is encrypted with a %s and the other was given: give its %s", disk,
                 by_key ? "key" : "passphrase", wanted);
    else
        diag_set(why, "the %s given is not that of disk %u: nothing was written",
                 by_key ? "key" : "passphrase", disk);
}

static rc_t open_sealed(const struct seal_place *at, struct diag *why) {
    bool by_key = current.kind == LAYOUT_SEAL_KEY;
    bool fits = offered.kind == (by_key ? SEAL_BY_KEY : SEAL_BY_PASSPHRASE);
    rc_t rc = fits ? key_move(&offered, &current, at->disk_id, current_key, false) : RC_DENIED;
    if (rc == RC_DENIED) say_denied(at->disk, &current, why);
    else if (rc) diag_set(why, "disk %u could not be unlocked (%s)", at->disk, rc_name(rc));
    return rc ? rc : seal_start(at, current_key);
}

rc_t seal_open(const struct seal_place *at, struct diag *why) {
    seal_stop();
    place = *at;
    rc_t rc = header_read(at, &current);
    if (rc == RC_NOT_FOUND) {
        if (offered.kind == SEAL_NONE) return RC_OK;
        diag_set(why, "disk %u is not encrypted, but a key for it was given: take the key away, or "
                      "restore a backup onto a blank disk",
                 at->disk);
        return RC_DENIED;
    }
    if (rc == RC_CORRUPT)
        diag_set(why,
                 "disk %u is encrypted and both copies of its key are damaged: restore a backup "
                 "onto another disk",
                 at->disk);
    else if (rc)
        diag_set(why, "disk %u could not be read (%s): check the device", at->disk, rc_name(rc));
    return rc ? rc : open_sealed(at, why);
}

rc_t seal_make(const struct seal_place *at) {
    seal_stop();
    place = *at;
    current = (struct layout_seal){0};
    bool wanted = offered.kind != SEAL_NONE;
    rc_t rc = wanted ? platform_entropy(current_key, sizeof current_key) : RC_OK;
    if (!rc && wanted) rc = header_make(&offered, at->disk_id, 1, &current);
    for (u32 i = 0; i < COPIES && !rc; i++) rc = copy_write(at, i, &current); /* zeroes: none */
    return rc || !wanted ? rc : seal_start(at, current_key);
}

/* ---- Another secret -------------------------------------------------------------------------- */

rc_t seal_change(enum seal_kind kind, str bytes) {
    static bool changing;
    struct layout_seal next;
    if (!seal_on()) return RC_NOT_FOUND;
    if (kind == SEAL_NONE) return RC_INVALID;
    if (changing) return RC_LIMIT;
    struct secret *s = memory_zero(MEMORY_SQL, sizeof *s);
    if (!s) return RC_NO_MEMORY;
    changing = true;
    rc_t rc = secret_set(s, kind, bytes);
    if (!rc) rc = header_make(s, place.disk_id, current.generation + 1, &next);
    for (u32 i = 0; i < COPIES && !rc; i++) {
        rc = copy_write(&place, i, &next);
        if (!rc) rc = disk_flush(place.disk);
        current.generation = next.generation; /* never the same number for two secrets */
    }
    if (!rc) current = next;
    mbedtls_platform_zeroize(s, sizeof *s);
    memory_free(MEMORY_SQL, s);
    changing = false;
    return rc;
}
