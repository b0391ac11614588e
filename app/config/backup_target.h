/* SPDX-License-Identifier: Apache-2.0 */
/* backup_target.h — the option backup.s3: where scheduled backups go, any storage that speaks S3.
 *
 *   {"url": "https://s3.ca-central-1.amazonaws.com", "bucket": "backups", "prefix": "prod/",
 *    "region": "ca-central-1", "access_key": "...", "secret_key": "...", "session_token": "...",
 *    "ca_cert": PEM}
 *
 * Buckets are named in the path, so that any name and any server will do. url, bucket and both keys
 * are required. The value is never shown again. */
#pragma once
#include "kernel/base/arena.h"

struct backup_target {
    str url; /* no slash at its end, no path */
    str bucket, prefix, region, access_key, secret_key, session_token, ca_cert;
};
rc_t backup_target_parse(struct arena *a, str json, struct backup_target *out, struct diag *why);
bool check_backup_target(str value, struct diag *why);
