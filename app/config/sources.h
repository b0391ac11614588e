/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h — where bundles come from and who signs them: the options policy.bundles, policy.keys,
 * policy.discovery and policy.status, each one member of the reference's configuration:
 *
 *   policy.bundles    {"authz": {"service": "acme", "resource": "bundles/authz.tar.gz",
 *                      "polling": {"min_delay_seconds": 60, "max_delay_seconds": 120,
 *                                  "long_polling_timeout_seconds": 45},
 *                      "signing": {"keyid": "k", "scope": "read", "exclude_files": ["x"]},
 *                      "size_limit_bytes": 1048576, "trigger": "periodic", "persist": true}}
 *   policy.keys       {"k": {"algorithm": "RS256", "key": PEM or secret, "scope": "read"}}
 *   policy.discovery  {"resource": "bundles/discovery.tar.gz", "decision": "example/config", ...}
 *   policy.status     {"service": "acme", "partition_name": "berlin", "console": false}
 *
 * `persist` is taken and changes nothing: what is active is always kept. */
#pragma once
#include "kernel/base/arena.h"

enum {
    SOURCES_MAX = 16,
    SOURCE_KEYS_MAX = 32,
    SOURCE_EXCLUDES_MAX = 64,
    SOURCE_NAME_MAX = 128,
};

struct source {
    str name, service, resource; /* service empty: the first there is */
    u64 delay_min_s, delay_max_s;
    u64 wait_s;    /* of long polling; 0: none */
    u64 bytes_max; /* 0: not told */
    bool manual;   /* asked for by hand only */
    bool has_signing;
    str key_id, scope;
    str exclude[SOURCE_EXCLUDES_MAX];
    u32 exclude_count;
    str decision; /* discovery: "a/b"; empty: all of data */
};
struct source_key {
    str id, key, algorithm, scope;
};
struct status_target {
    bool on, console, manual;
    str service, partition;
};
/* "decision_logs" of a discovered configuration; here the options decisions.* say it. */
enum { DECISION_PATH_MAX = 255 }; /* of mask_decision, drop_decision */
struct decision_target {
    bool on, manual;
    str service, partition, resource;
    u64 delay_min_s, delay_max_s, upload_bytes; /* 0: not told */
};
/* Of the sections' JSON; empty texts are empty sections. Texts in the arena. RC_INVALID: `why`. */
rc_t sources_parse(struct arena *a, str json, struct source *list, u32 *count, struct diag *why);
rc_t source_keys_parse(struct arena *a, str json, struct source_key *list, u32 *count,
                       struct diag *why);
rc_t discovery_parse(struct arena *a, str json, struct source *out, bool *on, struct diag *why);
rc_t status_target_parse(struct arena *a, str json, struct status_target *out, struct diag *why);
rc_t decision_target_parse(struct arena *a, str json, struct decision_target *out,
                           struct diag *why);
bool check_bundles(str value, struct diag *why);
bool check_keys(str value, struct diag *why);
bool check_discovery(str value, struct diag *why);
bool check_status(str value, struct diag *why);
bool check_decision_logs(str value, struct diag *why);
