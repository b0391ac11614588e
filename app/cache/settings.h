/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h — what CONFIG GET and SET know: how the cache behaves, nothing that reaches a disk, a
 * file or another machine. They last until the next start; what is to stay is set by the
 * appliance's own options (cache.*). */
#pragma once
#include "kernel/base/base.h"

enum output_class { OUTPUT_NORMAL, OUTPUT_REPLICA, OUTPUT_PUBSUB, OUTPUT_CLASSES };
struct settings {
    s64 hash_pack_entries, hash_pack_value, set_ints_entries, set_pack_entries, set_pack_value;
    s64 zset_pack_entries, zset_pack_value, list_pack_size, list_compress_depth;
    s64 stream_node_entries, stream_node_bytes, hll_sparse_bytes;
    s64 slowlog_us, slowlog_lines, latency_ms, clients_max, bulk_max, query_max, memory_samples;
    s64 timeout_s, databases;
    struct {
        u64 hard, soft, seconds;
    } output[OUTPUT_CLASSES];
    s64 tracking_keys_max, acl_log_lines;
    bool lazy_user_del, lazy_user_flush, lazy_expire, lazy_eviction, lazy_server_del;
    bool active_expiry, sanitize_restore, debug;
    s64 lfu_log_factor, lfu_decay_minutes;
};
extern struct settings settings;
void settings_open(void); /* as they are at start */
