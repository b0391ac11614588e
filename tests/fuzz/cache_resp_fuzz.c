/* SPDX-License-Identifier: Apache-2.0 */
/* cache_resp_fuzz.c — any bytes as commands of the cache: what comes at once and what comes in
 * pieces is the same commands, arguments lie inside the bytes, a refusal has its reason, and no
 * memory is kept. The first byte is the step, the second whether the client has signed in. */
#include "app/cache/limits.h"
#include "app/cache/wire/resp.h"
#include "kernel/core/memory.h"
#include <stdlib.h>

static u64 fnv(u64 h, const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ ((const u8 *)bytes)[i]) * 1099511628211u;
    return h;
}

struct outcome {
    rc_t rc;         /* of what ended the reading */
    size_t used;     /* by whole commands */
    u64 commands, digest;
};

/* Reads commands out of the first `have` bytes, which grow by `step` when more is asked for. */
static struct outcome read_all(str all, size_t step, const struct resp_limits *limits) {
    struct outcome o = {.digest = 14695981039346656037u};
    struct resp r = {0};
    char why[96], words[CACHE_INLINE_MAX + 1];
    struct span unquoted[64];
    size_t have = MIN(step, all.len);
    resp_begin(&r);
    for (;;) {
        str view = str_of(all.ptr + o.used, have - o.used);
        why[0] = 0;
        o.rc = resp_read(&r, view, limits, why);
        if (o.rc == RC_AGAIN && have < all.len) {
            CHECK(resp_wants(&r) == 0 || resp_wants(&r) > view.len);
            have = MIN(have + step, all.len);
            continue;
        }
        if (o.rc) break;
        CHECK(r.at <= view.len && (r.at > 0 || !view.len));
        for (u32 i = 0; i < r.argc; i++) {
            CHECK(r.spans[i].at <= r.at && r.spans[i].len <= r.at - r.spans[i].at);
            o.digest = fnv(o.digest, view.ptr + r.spans[i].at, r.spans[i].len);
            o.digest = fnv(o.digest, "|", 1);
        }
        if (r.inline_words) {
            u32 n = 0;
            str line = str_of(view.ptr + r.spans[0].at, r.spans[0].len);
            rc_t rc = resp_unquote(line, words, unquoted, ARRAY_LEN(unquoted), &n);
            CHECK(rc == RC_OK || rc == RC_INVALID || rc == RC_LIMIT);
            for (u32 i = 0; rc == RC_OK && i < n; i++)
                CHECK(unquoted[i].at + unquoted[i].len <= line.len);
        }
        o.used += r.at;
        o.commands++;
        resp_begin(&r);
        if (o.used == all.len) break;
    }
    if (o.rc && o.rc != RC_AGAIN) CHECK(why[0]);
    resp_close(&r);
    return o;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    if (n < 3 || n > 200000) return 0;
    bool known = bytes[1] & 1;
    struct resp_limits limits = {.args_max = known ? CACHE_ARGS_MAX : CACHE_ARGS_STRANGER_MAX,
                                 .bulk_max = known ? CACHE_BULK_MAX : CACHE_BULK_STRANGER_MAX};
    struct memory_use before, after;
    memory_use_get(MEMORY_CONNECTIONS, &before);
    char *copy = malloc(n - 2); /* exact, so that a byte too far is seen */
    if (!copy) return 0;
    memcpy(copy, bytes + 2, n - 2);
    str all = str_of(copy, n - 2);
    struct outcome whole = read_all(all, all.len, &limits);
    struct outcome pieces = read_all(all, 1 + bytes[0] % 64, &limits);
    CHECK(whole.rc == pieces.rc && whole.used == pieces.used);
    CHECK(whole.commands == pieces.commands && whole.digest == pieces.digest);
    memory_use_get(MEMORY_CONNECTIONS, &after);
    CHECK(before.used == after.used);
    free(copy);
    return 0;
}
