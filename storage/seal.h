/* SPDX-License-Identifier: Apache-2.0 */
/* seal.h — encryption at rest: what the partitions of the database and of the log hold is on the
 * disk only enciphered (xts.h). Above this line nobody knows.
 *
 *   secret (a key, or a passphrase by argon2id) -> opens the header -> data key -> every sector
 *
 * The data key is random, made with the volume, and lies in a header in the clear, wrapped by the
 * secret: AES-256-GCM, which also says whether the secret is right. Another secret wraps the same
 * key anew (seal_change): one block is written, no data. Hidden are the database and its log; in
 * the clear stay partition tables, this header, the crash record and the mark of a restore. */
#pragma once
#include "storage/volume.h"

enum seal_kind { SEAL_NONE, SEAL_BY_KEY, SEAL_BY_PASSPHRASE };
#define SEAL_KEY_BYTES 32u
#define SEAL_PASSPHRASE_MIN 8u
#define SEAL_PASSPHRASE_MAX 1024u

/* What is to open the disk, or to seal a blank one. A copy is kept until seal_offer(SEAL_NONE).
 * RC_INVALID: a key of another length, a passphrase outside the bounds. */
rc_t seal_offer(enum seal_kind kind, str secret);
bool seal_on(void); /* the volume that is open is enciphered */
/* Wraps the data key of the volume that is open for another secret; the old one opens nothing from
 * then on. RC_NOT_FOUND: it is not enciphered; RC_INVALID: the secret; RC_NO_MEMORY; RC_LIMIT: the
 * workers are busy; RC_IO: which of the two opens it, the next start finds out. Fibers only. */
rc_t seal_change(enum seal_kind kind, str secret);

/* ---- For volume.c ---------------------------------------------------------------------------- */

struct seal_place { /* of the header, before there is a volume */
    u32 disk;
    struct disk_info info;
    u64 crash_block; /* first of the crash partition */
    u8 disk_id[16];
};
/* Reads only. RC_DENIED: no secret or another one than the disk's, or a secret for a disk in the
 * clear; RC_CORRUPT: both copies of the header are damaged; RC_IO; RC_NO_MEMORY. */
rc_t seal_open(const struct seal_place *at, struct diag *why);
/* A new data key and its header, if a secret was offered, else none; not yet flushed. */
rc_t seal_make(const struct seal_place *at);

/* ---- For the stores: as disk_read and disk_write --------------------------------------------- */

rc_t sealed_read(u32 disk, u64 block, u32 count, void *to);
rc_t sealed_write(u32 disk, u64 block, u32 count, const void *from);

/* ---- Between seal.c and seal_key.c ----------------------------------------------------------- */

rc_t seal_start(const struct seal_place *at, const u8 *data_key); /* from here on all is sealed */
void seal_stop(void);
