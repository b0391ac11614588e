/* SPDX-License-Identifier: Apache-2.0 */
/* s3.h — objects in storage that speaks S3: put, get, list, remove, with AWS Signature Version 4
 * (docs.aws.amazon.com, "Signature Calculations for the Authorization Header"). Path-style URLs,
 * the payload not signed: backups carry sums of their own, and TLS the rest. Fibers only; `why`
 * says what went wrong, with the storage's own code where it gave one. */
#pragma once
#include "app/config/backup_target.h"
#include "net/http_client.h"

#define S3_KEYS_MAX 1000u /* that one list tells */

/* Sends `bytes` in all, as `next` gives them. */
rc_t s3_put(struct arena *a, const struct backup_target *t, str key, u64 bytes,
            rc_t (*next)(void *arg, str *piece), void *arg, struct diag *why);
/* `begin` hears how long it is, then `see` each piece, which lies in `room`: it may park. */
rc_t s3_get(struct arena *a, const struct backup_target *t, str key,
            rc_t (*begin)(void *arg, u64 bytes), rc_t (*see)(void *arg, str piece), void *arg,
            str room, struct diag *why);
rc_t s3_remove(struct arena *a, const struct backup_target *t, str key, struct diag *why);
/* The first S3_KEYS_MAX keys that begin with the target's prefix and `begin`, in order. */
rc_t s3_list(struct arena *a, const struct backup_target *t, str begin, str **keys, u32 *count,
             struct diag *why);
/* For tests: the Authorization of a request at that time. */
str s3_authorization(struct arena *a, const struct backup_target *t, str method, str host,
                     str path, str query, str time);
