/* SPDX-License-Identifier: Apache-2.0 */
/* http_cache.h — answers to http.send that serve more than one question: for requests that ask for
 * it (`cache`, `force_cache`), for as long as their server allows (RFC 9111) or the policy says.
 *
 * It stands before a sender and is one itself: give policy_ask http_cache_send and a struct
 * http_cache_sender. One thread at a time; the sender behind it may let other questions run. */
#pragma once
#include "app/policy/builtin/builtin.h"

struct http_cache;
rc_t http_cache_open(size_t bytes_max, struct http_cache **out); /* RC_NO_MEMORY */
void http_cache_close(struct http_cache *c);
void http_cache_clear(struct http_cache *c);

struct http_cache_sender {
    struct http_cache *cache;
    http_send_fn *next; /* who really asks */
    void *next_arg;
};
http_send_fn http_cache_send; /* arg: struct http_cache_sender */

struct http_cache_stats {
    u64 hits, revalidated, misses, stored, evicted;
    u32 entries;
    size_t bytes;
};
void http_cache_stats_get(const struct http_cache *c, struct http_cache_stats *out);
