/* SPDX-License-Identifier: Apache-2.0 */
/* disk_key.h — the secret of an encrypted data disk, as people write it. */
#pragma once
#include "storage/seal.h"

struct request;
struct disk_secret {
    enum seal_kind kind; /* SEAL_NONE: neither was given */
    u8 key[SEAL_KEY_BYTES];
    str bytes; /* for storage/seal.h: `key`, or the passphrase itself */
};
/* A key of 64 hexadecimal digits, or a passphrase; empty: not given. RC_INVALID. */
rc_t disk_secret_read(str key, str passphrase, struct disk_secret *out, struct diag *why);
/* Tells the storage what disk.key and disk.passphrase say; before the volume is opened. */
rc_t disk_secret_offer(struct diag *why);
void disk_secret_forget(void); /* it is open: nobody needs them any more */

void put_disk_key(struct request *rq); /* the route PUT /api/v1/system/disk-key */
