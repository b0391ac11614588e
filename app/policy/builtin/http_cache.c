/* SPDX-License-Identifier: Apache-2.0 */
/* http_cache.c — a private cache (RFC 9111) of answers to http.send.
 *
 *   request --key--> fresh? -----------------------------------------> the answer as it was
 *                    stale, with an ETag or a date? --ask if changed--> 304: as it was, fresh again
 *                    else --------------------------------------------> ask; keep it if it may be
 *
 * The key is the whole request as text (method, URL, body, headers that matter, and how it is to be
 * believed), so an answer never serves a request that could have got another one. What a server
 * allows is read from Cache-Control, Expires, Date and Age; without a word from it nothing is
 * fresh. Answers are kept as bytes, copied into the heap of each question.
 *
 * Always true: the sizes of all entries together are at most bytes_max; the list is in order of
 * use, newest first. While a sender waits, other questions may change the cache: entries are looked
 * up again afterwards, never held. */
#include "app/policy/builtin/http_cache.h"
#include "app/policy/builtin/http_date.h"
#include <stdlib.h>

enum { SLOTS = 1024, HEADERS_MAX = 128 };
#define ENTRY_SHARE 4u /* one answer is at most so small a part of the cache */

struct entry {
    struct entry *next_in_slot, *newer, *older;
    u64 hash, fresh_until_ns;
    size_t bytes;
    u32 status, header_count;
    str key, reason, body;
    struct http_send_header *headers; /* all in the same block, behind this */
};
struct http_cache {
    struct entry *slots[SLOTS], *newest, *oldest;
    size_t bytes_max;
    struct http_cache_stats stats;
};

rc_t http_cache_open(size_t bytes_max, struct http_cache **out) {
    *out = calloc(1, sizeof **out);
    if (!*out) return RC_NO_MEMORY;
    (*out)->bytes_max = bytes_max;
    return RC_OK;
}

void http_cache_stats_get(const struct http_cache *c, struct http_cache_stats *out) {
    *out = c->stats;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static struct entry **place_of(struct http_cache *c, str key, u64 hash) {
    struct entry **at = &c->slots[hash % SLOTS];
    while (*at && ((*at)->hash != hash || !str_eq((*at)->key, key))) at = &(*at)->next_in_slot;
    return at;
}

static void leave_list(struct http_cache *c, struct entry *e) {
    if (e->newer)
        e->newer->older = e->older;
    else
        c->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        c->oldest = e->newer;
}

static void join_list(struct http_cache *c, struct entry *e) {
    e->newer = NULL;
    e->older = c->newest;
    if (c->newest)
        c->newest->newer = e;
    else
        c->oldest = e;
    c->newest = e;
}

static void forget(struct http_cache *c, struct entry *e) {
    struct entry **at = place_of(c, e->key, e->hash);
    *at = e->next_in_slot;
    leave_list(c, e);
    c->stats.bytes -= e->bytes;
    c->stats.entries--;
    free(e);
}

void http_cache_clear(struct http_cache *c) {
    while (c->oldest) forget(c, c->oldest);
}

void http_cache_close(struct http_cache *c) {
    if (!c) return;
    http_cache_clear(c);
    free(c);
}

static str put(char **at, str s) {
    str copy = str_of(*at, s.len);
    if (s.len) memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

static struct entry *entry_make(str key, const struct http_send_answer *a) {
    size_t n = sizeof(struct entry) + a->header_count * sizeof(struct http_send_header) + key.len +
               a->reason.len + a->body.len;
    for (u32 i = 0; i < a->header_count; i++) n += a->headers[i].name.len + a->headers[i].text.len;
    struct entry *e = malloc(n);
    if (!e) return NULL;
    *e = (struct entry){.bytes = n,
                        .status = a->status,
                        .header_count = a->header_count,
                        .headers = (struct http_send_header *)(e + 1)};
    char *at = (char *)(e->headers + e->header_count);
    e->key = put(&at, key);
    e->reason = put(&at, a->reason);
    e->body = put(&at, a->body);
    for (u32 i = 0; i < a->header_count; i++) {
        e->headers[i].name = put(&at, a->headers[i].name);
        e->headers[i].text = put(&at, a->headers[i].text);
    }
    return e;
}

/* Takes the place of what was there under the key. */
static void keep(struct http_cache *c, str key, const struct http_send_answer *a, u64 until_ns) {
    u64 hash = str_hash(key, 0x6874747063616368);
    struct entry **at = place_of(c, key, hash);
    if (*at) forget(c, *at);
    struct entry *e = entry_make(key, a);
    if (!e) return;
    if (e->bytes > c->bytes_max / ENTRY_SHARE) {
        free(e);
        return;
    }
    while (c->oldest && c->stats.bytes + e->bytes > c->bytes_max) {
        forget(c, c->oldest);
        c->stats.evicted++;
    }
    e->hash = hash;
    e->fresh_until_ns = until_ns;
    at = place_of(c, key, hash);
    *at = e;
    join_list(c, e);
    c->stats.bytes += e->bytes;
    c->stats.entries++;
    c->stats.stored++;
}

/* Into the question's heap: the entry may go before the answer is looked at. */
static rc_t answer_of(struct heap *h, const struct entry *e, struct http_send_answer *out) {
    size_t n = e->bytes - sizeof *e - e->header_count * sizeof *e->headers;
    char *at = heap_alloc(h, n ? n : 1);
    struct http_send_header *headers = heap_alloc(h, MAX(e->header_count, 1u) * sizeof *headers);
    if (!at || !headers) return RC_NO_MEMORY;
    *out = (struct http_send_answer){
        .status = e->status, .headers = headers, .header_count = e->header_count};
    out->reason = put(&at, e->reason);
    out->body = put(&at, e->body);
    for (u32 i = 0; i < e->header_count; i++) {
        headers[i].name = put(&at, e->headers[i].name);
        headers[i].text = put(&at, e->headers[i].text);
    }
    return RC_OK;
}

/* ---- What a server allows -------------------------------------------------------------------- */

static str header(const struct http_send_header *list, u32 count, const char *name) {
    for (u32 i = 0; i < count; i++)
        if (str_eq_nocase(list[i].name, str_from_c(name))) return list[i].text;
    return (str){NULL, 0};
}

/* A directive of Cache-Control: is it there, and its value. */
static bool directive(const struct http_send_answer *a, str name, str *v) {
    for (u32 i = 0; i < a->header_count; i++) {
        str rest = a->headers[i].text, part;
        if (!str_eq_nocase(a->headers[i].name, S("Cache-Control"))) continue;
        while (str_split(&rest, ',', &part)) {
            part = str_trim(part);
            size_t equals = str_find_byte(part, '=');
            if (!str_eq_nocase(str_trim(str_take(part, equals)), name)) continue;
            *v = str_trim(str_skip(part, equals + 1));
            if (v->len >= 2 && v->ptr[0] == '"') *v = str_skip(str_take(*v, v->len - 1), 1);
            return true;
        }
    }
    return false;
}

static u64 seconds_of(str text) { /* a broken one is stale (RFC 9111 4.2.1), a large one is large */
    u64 n;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return 0;
    if (!text.len) return 0;
    return str_to_u64(text, &n) ? INT32_MAX : MIN(n, (u64)INT32_MAX);
}

/* Until when the answer is fresh, UTC; `now` or before: stale at once. */
static u64 fresh_until(const struct http_send_request *r, const struct http_send_answer *a) {
    str text;
    u64 date_s, expires_s, now_s = r->now_ns / NS_PER_S, life_s = 0;
    if (r->force_s) return r->now_ns + (u64)r->force_s * NS_PER_S;
    if (directive(a, S("no-cache"), &text)) return 0;
    bool dated = http_date_read(header(a->headers, a->header_count, "Date"), &date_s);
    if (!dated || date_s > now_s) date_s = now_s; /* clocks differ */
    if (directive(a, S("max-age"), &text))
        life_s = seconds_of(text);
    else if (http_date_read(header(a->headers, a->header_count, "Expires"), &expires_s))
        life_s = expires_s > date_s ? expires_s - date_s : 0;
    u64 age_s = MAX(seconds_of(header(a->headers, a->header_count, "Age")), now_s - date_s);
    return life_s > age_s ? r->now_ns + (life_s - age_s) * NS_PER_S : 0;
}

static bool has_validator(const struct http_send_header *list, u32 count) {
    return header(list, count, "ETag").len || header(list, count, "Last-Modified").len;
}

static bool may_keep(const struct http_send_request *r, const struct http_send_answer *a) {
    static const u32 statuses[] = {200, 203, 204, 300, 301, 404, 405, 410, 414, 501};
    str text;
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) known |= a->status == statuses[i];
    if (!known || a->header_count > HEADERS_MAX) return false;
    if (r->force_s) return true;
    return !directive(a, S("no-store"), &text) &&
           !str_eq(str_trim(header(a->headers, a->header_count, "Vary")), S("*"));
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static void maybe_keep(struct http_cache *c, const struct http_send_request *r,
                       const struct http_send_answer *a) {
    u64 until_ns = fresh_until(r, a);
    if (!may_keep(r, a)) return;
    if (until_ns > r->now_ns || has_validator(a->headers, a->header_count))
        keep(c, r->key, a, until_ns);
}

/* The request with "only if it has changed". */
static rc_t conditional(struct heap *h, const struct http_send_request *r, const struct entry *e,
                        struct http_send_request *out) {
    static const struct {
        const char *from, *to;
    } map[] = {{"ETag", "If-None-Match"}, {"Last-Modified", "If-Modified-Since"}};
    struct http_send_header *list = heap_alloc(h, (r->header_count + 2) * sizeof *list);
    if (!list) return RC_NO_MEMORY;
    if (r->header_count) memcpy(list, r->headers, r->header_count * sizeof *list);
    *out = *r;
    out->headers = list;
    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        str v = header(e->headers, e->header_count, map[i].from);
        char *copy = v.len ? heap_alloc(h, v.len) : NULL;
        if (!copy) continue;
        memcpy(copy, v.ptr, v.len);
        list[out->header_count++] =
            (struct http_send_header){str_from_c(map[i].to), str_of(copy, v.len)};
    }
    return RC_OK;
}

/* 304: the headers it brought replace those of the same name (RFC 9111 3.2). */
static rc_t renew(struct http_cache *c, struct heap *h, const struct http_send_request *r,
                  const struct http_send_answer *news, struct http_send_answer *a) {
    struct http_send_header *list =
        heap_alloc(h, (a->header_count + news->header_count + 1) * sizeof *list);
    u32 n = 0;
    if (!list) return RC_NO_MEMORY;
    for (u32 i = 0; i < a->header_count; i++) {
        struct http_send_header one = a->headers[i];
        if (!header(news->headers, news->header_count, "Content-Length").ptr ||
            !str_eq_nocase(one.name, S("Content-Length"))) {
            bool replaced = false;
            for (u32 j = 0; j < news->header_count; j++)
                replaced |= str_eq_nocase(news->headers[j].name, one.name);
            if (replaced) continue;
        }
        list[n++] = one;
    }
    for (u32 j = 0; j < news->header_count; j++)
        if (!str_eq_nocase(news->headers[j].name, S("Content-Length")))
            list[n++] = news->headers[j];
    a->headers = list;
    a->header_count = n;
    c->stats.revalidated++;
    maybe_keep(c, r, a);
    return RC_OK;
}

rc_t http_cache_send(void *arg, struct heap *h, const struct http_send_request *r,
                     struct http_send_answer *out, struct diag *why) {
    struct http_cache_sender *s = arg;
    struct http_cache *c = s->cache;
    struct http_send_request ask = *r;
    struct http_send_answer kept = {0};
    bool had = false;
    if (!r->cache) return s->next(s->next_arg, h, r, out, why);
    struct entry *e = *place_of(c, r->key, str_hash(r->key, 0x6874747063616368));
    if (e && (e->fresh_until_ns > r->now_ns || has_validator(e->headers, e->header_count))) {
        rc_t rc = answer_of(h, e, &kept);
        if (rc) return rc;
        leave_list(c, e);
        join_list(c, e);
        if (e->fresh_until_ns > r->now_ns) {
            c->stats.hits++;
            *out = kept;
            return RC_OK;
        }
        had = true;
        if ((rc = conditional(h, r, e, &ask))) return rc;
    }
    c->stats.misses += !had;
    rc_t rc = s->next(s->next_arg, h, &ask, out, why); /* others may run: `e` is gone */
    if (rc) return rc;
    if (had && out->status == 304) {
        struct http_send_answer news = *out;
        *out = kept;
        return renew(c, h, r, &news, out);
    }
    maybe_keep(c, r, out);
    return RC_OK;
}
