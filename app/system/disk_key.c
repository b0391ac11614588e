/* SPDX-License-Identifier: Apache-2.0 */
/* disk_key.c — the data disk's key: from the machine's configuration at a start, another one by the
 * API while everything runs.
 *
 *   PUT /api/v1/system/disk-key  {"key": "<64 hexadecimal digits>"}  or  {"passphrase": "..."}
 *
 * The change writes the header that keeps the disk's own key, and no data, so it takes effect at
 * once. The next start needs the new secret: whoever calls this changes the machine's configuration
 * as well. Always true: no answer, log line or audit row holds a secret or a part of one. */
#include "app/system/disk_key.h"
#include "app/audit/audit.h"
#include "app/config/config.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include <mbedtls/platform_util.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool key_read(str text, u8 out[SEAL_KEY_BYTES]) {
    if (text.len != 2 * SEAL_KEY_BYTES) return false;
    for (size_t i = 0; i < SEAL_KEY_BYTES; i++) {
        int high = hex_digit(text.ptr[2 * i]), low = hex_digit(text.ptr[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (u8)(high << 4 | low);
    }
    return true;
}

rc_t disk_secret_read(str key, str passphrase, struct disk_secret *out, struct diag *why) {
    *out = (struct disk_secret){.kind = SEAL_NONE};
    if (key.len && passphrase.len) {
        diag_set(why, "the disk has a key or a passphrase, not both");
    } else if (key.len) {
        out->kind = SEAL_BY_KEY;
        out->bytes = str_of((const char *)out->key, SEAL_KEY_BYTES);
        if (key_read(key, out->key)) return RC_OK;
        diag_set(why, "the disk's key is not %u hexadecimal digits", 2 * SEAL_KEY_BYTES);
    } else {
        out->kind = passphrase.len ? SEAL_BY_PASSPHRASE : SEAL_NONE;
        out->bytes = passphrase;
        bool fits = passphrase.len >= SEAL_PASSPHRASE_MIN && passphrase.len <= SEAL_PASSPHRASE_MAX;
        if (!passphrase.len || fits) return RC_OK;
        diag_set(why, "the disk's passphrase is %u to %u bytes", SEAL_PASSPHRASE_MIN,
                 SEAL_PASSPHRASE_MAX);
    }
    out->kind = SEAL_NONE;
    return RC_INVALID;
}

rc_t disk_secret_offer(struct diag *why) {
    struct disk_secret s;
    rc_t rc = disk_secret_read(config_text("disk.key"), config_text("disk.passphrase"), &s, why);
    if (!rc) rc = seal_offer(s.kind, s.bytes);
    mbedtls_platform_zeroize(&s, sizeof s);
    return rc;
}

void disk_secret_forget(void) {
    (void)!!seal_offer(SEAL_NONE, S(""));
    config_forget("disk.key");
    config_forget("disk.passphrase");
}

/* ---- PUT ----------------------------------------------------------------------------------- */

static bool secret_of_body(struct request *rq, struct disk_secret *out) {
    static const char *const members[] = {"key", "passphrase", NULL};
    cJSON *body;
    str key = S(""), passphrase = S("");
    struct diag why = {0};
    bool read = request_json(rq, &body) && request_members_known(rq, body, members) &&
                request_member_text(rq, body, "key", false, 0, 2 * SEAL_KEY_BYTES, &key) &&
                request_member_text(rq, body, "passphrase", false, 0, SEAL_PASSPHRASE_MAX,
                                    &passphrase);
    if (!read) return false;
    rc_t rc = disk_secret_read(key, passphrase, out, &why);
    if (!rc && out->kind != SEAL_NONE) return true;
    reply_problem(rq, 422, "bad_disk_key", "%s.",
                  why.text[0] ? why.text : "Give a key or a passphrase");
    return false;
}

void put_disk_key(struct request *rq) {
    struct disk_secret s;
    if (!secret_of_body(rq, &s)) return;
    rc_t rc = seal_change(s.kind, s.bytes);
    mbedtls_platform_zeroize(&s, sizeof s);
    if (rc == RC_NOT_FOUND) {
        reply_problem(rq, 409, "not_encrypted",
                      "The data disk is not encrypted: a key counts from a blank disk on.");
        return;
    }
    rc_t told = audit_add_alone(rq, &(struct audit_event){.action = "system.disk_key",
                                                          .resource = S("system"),
                                                          .result = rc ? "failed" : "ok"});
    if (told) log_warn("system", "the disk's key changed without an audit row", "rc=%s",
                       rc_name(told));
    if (rc) reply_rc(rq, rc, "The disk's key");
    else reply_empty(rq, 204);
}
