/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h — the cache's limits, each with its reason (kernel/base/limits.h explains LIMIT). */
#pragma once
#include "kernel/base/limits.h"

LIMIT(CACHE_DATABASES, 16, 16)              /* SELECT 0..15, as clients expect */
LIMIT(CACHE_CLIENTS_MAX, 10000, 64)         /* beyond: "max number of clients reached" */
LIMIT(CACHE_ARGS_MAX, 1048576, 65536)       /* of one command */
LIMIT(CACHE_ARGS_STRANGER_MAX, 10, 10)      /* before a client has signed in */
LIMIT(CACHE_BULK_STRANGER_MAX, 16384, 16384)
LIMIT(CACHE_INLINE_MAX, 65536, 65536)       /* an inline command, and a length line */
LIMIT(CACHE_BULK_MAX, 536870912, 536870912) /* one argument, one value; the budget bounds it too */
LIMIT(CACHE_QUERY_MAX, 1073741824, 16777216) /* bytes of a command that is still arriving */
LIMIT(CACHE_BLOCK_BYTES, 16384, 512)        /* of replies not yet sent */
LIMIT(CACHE_SHARE_BYTES, 16384, 512)        /* longer values are sent from where they lie */
LIMIT(CACHE_BURST_BYTES, 262144, 4096)      /* replies made before the first are sent */
LIMIT(CACHE_SLICE_COMMANDS, 256, 8)         /* of one client before others have their turn */
LIMIT(CACHE_RANDOM_MAX, 1048576, 65536)     /* random elements with repetitions, in one reply */
LIMIT(CACHE_SEGMENT, 512, 8)                /* buckets of a hash table that come and go together */
LIMIT(CACHE_LAZY_ITEMS, 64, 4)              /* larger values are freed in slices */
LIMIT(CACHE_EMBED_MAX, 64, 64)              /* longer strings lie beside their key's block */
LIMIT(CACHE_LISTPACK_NODE_BYTES, 8192, 128) /* of a list's node */
LIMIT(CACHE_SLOWLOG_MAX, 128, 8)            /* lines kept by default */
