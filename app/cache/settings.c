/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c — how the cache behaves until somebody says otherwise: Redis's own defaults where it
 * has them. command/settings.c is how they are asked for and changed. */
#include "app/cache/settings.h"
#include "app/cache/limits.h"

struct settings settings;

void settings_open(void) {
    settings = (struct settings){
        .hash_pack_entries = 512, .hash_pack_value = 64, .set_ints_entries = 512,
        .set_pack_entries = 128, .set_pack_value = 64, .zset_pack_entries = 128,
        .zset_pack_value = 64, .list_pack_size = -2, .stream_node_entries = 100,
        .stream_node_bytes = 4096, .hll_sparse_bytes = 3000, .slowlog_us = 10000,
        .slowlog_lines = CACHE_SLOWLOG_MAX, .clients_max = CACHE_CLIENTS_MAX,
        .bulk_max = CACHE_BULK_MAX, .query_max = CACHE_QUERY_MAX, .memory_samples = 5,
        .databases = CACHE_DATABASES, .tracking_keys_max = 1000000, .acl_log_lines = 128,
        .active_expiry = true, .lfu_log_factor = 10, .lfu_decay_minutes = 1,
        .output = {[OUTPUT_REPLICA] = {MIB(256), MIB(64), 60},
                   [OUTPUT_PUBSUB] = {MIB(32), MIB(8), 60}},
    };
}
