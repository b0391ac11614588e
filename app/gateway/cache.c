/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c — a shared cache of upstreams' answers (RFC 9111), for routes that ask for one.
 *
 *   GET --> (route, host, target) --> entry whose Vary fits, fresh --> answer, with Age
 *              |  none                                                    Cache-Status: hit
 *              +--> upstream --> may it be kept? --> body gathered while it passes --> entry
 *
 * What is private is never shared, in doubt nothing is kept:
 *  - only routes that are public, requests without Authorization, Range, and without cookies unless
 *    the answer says `public` or `s-maxage`;
 *  - only answers that say how long (s-maxage, max-age): no guessing; none with Set-Cookie,
 *    `Vary: *`, no-store, private, no-cache;
 *  - only what came whole.
 * A stale answer is asked for anew; POST and its like forget what is kept for their URL.
 *
 * Always true: bytes of all entries stay within the bound, the least recently used goes first; an
 * entry lives as long as somebody sends it. Loop only. */
#include "app/gateway/cache.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { SLOTS = 1024, VARY_MAX = 8, ENTRY_ARENA_EXTRA = 65536, LIFETIME_MAX_S = 31536000 };

struct entry {
    struct cached c; /* first */
    struct arena a;
    struct entry *next;             /* of its slot */
    struct entry *newer, *older;    /* by use */
    u64 hash, stored_ns, age0_s, lifetime_s;
    str key;
    struct http_field vary[VARY_MAX]; /* name, and what the request said */
    u32 vary_count, references;
    size_t bytes;
    bool listed, shared; /* in the table; may be given to those with cookies */
};
struct cache_filling {
    struct entry *e;
    struct buf body;
};

static struct entry *slots[SLOTS], *newest, *oldest;
static u64 bytes_kept;

u64 cache_bytes(void) { return bytes_kept; }

static u64 bytes_max(void) {
    struct memory_use use;
    memory_use_get(MEMORY_REQUESTS, &use);
    return MIN((u64)GATEWAY_CACHE_BYTES, use.limit / 4);
}

/* ---- Entries --------------------------------------------------------------------------------- */

static void entry_release(struct entry *e) {
    if (--e->references) return;
    arena_close(&e->a);
    memory_free(MEMORY_REQUESTS, e);
}

static void unlink_use(struct entry *e) {
    if (e->newer) e->newer->older = e->older;
    else newest = e->older;
    if (e->older) e->older->newer = e->newer;
    else oldest = e->newer;
    e->newer = e->older = NULL;
}
static void link_newest(struct entry *e) {
    e->older = newest;
    if (newest) newest->newer = e;
    else oldest = e;
    newest = e;
}

static void entry_drop(struct entry *e) {
    struct entry **at = &slots[e->hash % SLOTS];
    CHECK(e->listed);
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    unlink_use(e);
    e->listed = false;
    bytes_kept -= e->bytes;
    entry_release(e);
}

void cache_forget(void) {
    while (oldest) entry_drop(oldest);
}

static str key_for(struct request *rq, const struct gateway_route *g) {
    str host = http_field(rq->http, S("Host"));
    return arena_join(rq->arena, g->edge->name, S(" "), host.len ? host : rq->http->host, S(" "),
                      rq->http->target);
}

/* ---- May it? --------------------------------------------------------------------------------- */

/* A directive of Cache-Control; *value: behind '=', quotes off. */
static bool directive(const struct http_field *fields, u32 count, str name, str *value) {
    for (u32 i = 0; i < count; i++) {
        if (!str_eq_nocase(fields[i].name, S("Cache-Control"))) continue;
        for (str rest = fields[i].value, one; str_split(&rest, ',', &one);) {
            one = str_trim(one);
            size_t at = str_find_byte(one, '=');
            if (!str_eq_nocase(str_trim(str_take(one, at)), name)) continue;
            *value = str_trim(str_skip(one, at + 1));
            if (value->len >= 2 && value->ptr[0] == '"') *value = str_take(str_skip(*value, 1),
                                                                          value->len - 2);
            return true;
        }
    }
    return false;
}

static bool request_fits(struct request *rq, const struct gateway_route *g) {
    const struct http_request *h = rq->http;
    str v;
    bool reads = h->method == HTTP_GET || h->method == HTTP_HEAD;
    return g->edge->cache && g->edge->access == EDGE_PUBLIC && reads && !h->has_body &&
           !http_field(h, S("Authorization")).ptr && !http_field(h, S("Range")).ptr &&
           !http_field(h, S("Upgrade")).ptr &&
           !directive(h->fields, h->field_count, S("no-store"), &v);
}

static bool lifetime_of(const struct http_client_answer *a, u64 *seconds, bool *shared) {
    str v;
    if (directive(a->fields, a->field_count, S("no-store"), &v) ||
        directive(a->fields, a->field_count, S("no-cache"), &v) ||
        directive(a->fields, a->field_count, S("private"), &v))
        return false;
    bool s_maxage = directive(a->fields, a->field_count, S("s-maxage"), &v);
    if (!s_maxage && !directive(a->fields, a->field_count, S("max-age"), &v)) return false;
    if (str_to_u64(v, seconds)) return false;
    str ignored;
    *shared = s_maxage || directive(a->fields, a->field_count, S("public"), &ignored);
    *seconds = MIN(*seconds, (u64)LIFETIME_MAX_S);
    return *seconds > 0;
}

static bool status_fits(int status) {
    return status == 200 || status == 203 || status == 301 || status == 308 || status == 404 ||
           status == 410;
}

/* What the request said of each field that the answer varies by. false: of something else. */
static bool note_vary(struct request *rq, struct entry *e, const struct http_client_answer *a) {
    for (u32 i = 0; i < a->field_count; i++) {
        if (!str_eq_nocase(a->fields[i].name, S("Vary"))) continue;
        for (str rest = a->fields[i].value, one; str_split(&rest, ',', &one);) {
            one = str_trim(one);
            if (!one.len) continue;
            if (str_eq(one, S("*")) || e->vary_count == VARY_MAX) return false;
            str said = http_field(rq->http, one);
            e->vary[e->vary_count++] =
                (struct http_field){arena_copy(&e->a, one), arena_copy(&e->a, said)};
        }
    }
    return true;
}

/* ---- Finding --------------------------------------------------------------------------------- */

static u64 age_of(const struct entry *e) {
    return e->age0_s + (platform_clock_ns() - e->stored_ns) / NS_PER_S;
}

static bool vary_fits(const struct request *rq, const struct entry *e) {
    for (u32 i = 0; i < e->vary_count; i++)
        if (!str_eq(http_field(rq->http, e->vary[i].name), e->vary[i].value)) return false;
    return true;
}

static struct entry *find(const struct request *rq, str key) {
    u64 hash = str_hash(key, 0xCAC4E);
    for (struct entry *e = slots[hash % SLOTS]; e; e = e->next)
        if (e->hash == hash && str_eq(e->key, key) && vary_fits(rq, e)) return e;
    return NULL;
}

struct cached *cache_find(struct request *rq, const struct gateway_route *g) {
    const struct http_request *h = rq->http;
    str v, key;
    u64 most = UINT64_MAX;
    if (!request_fits(rq, g) || !(key = key_for(rq, g)).ptr) return NULL;
    if (directive(h->fields, h->field_count, S("no-cache"), &v)) return NULL;
    if (directive(h->fields, h->field_count, S("max-age"), &v) && str_to_u64(v, &most)) return NULL;
    struct entry *e = find(rq, key);
    if (!e || (!e->shared && http_field(h, S("Cookie")).ptr)) return NULL;
    u64 age = age_of(e);
    if (age >= e->lifetime_s) {
        entry_drop(e);
        return NULL;
    }
    if (age > most) return NULL;
    e->c.age_s = age;
    e->c.left_s = e->lifetime_s - age;
    unlink_use(e);
    link_newest(e);
    e->references++;
    return &e->c;
}

void cache_release(struct cached *c) { entry_release(CONTAINER_OF(c, struct entry, c)); }

/* ---- Keeping --------------------------------------------------------------------------------- */

static void filling_end(void *arg) {
    struct cache_filling *f = arg;
    buf_close(&f->body);
    if (f->e) entry_release(f->e);
}

static bool copy_answer(struct entry *e, const struct http_client_answer *a) {
    struct http_field *list = arena_alloc(&e->a, (a->field_count + 1) * sizeof *list);
    e->c.answer = (struct http_client_answer){.status = a->status, .fields = list,
                                              .content_length = a->content_length};
    for (u32 i = 0; list && i < a->field_count; i++) {
        const struct http_field *f = &a->fields[i];
        if (str_eq_nocase(f->name, S("Age"))) continue; /* told anew */
        struct http_field copy = {arena_copy(&e->a, f->name), arena_copy(&e->a, f->value)};
        if (!copy.name.ptr || !copy.value.ptr) return false;
        list[e->c.answer.field_count++] = copy;
    }
    return list != NULL;
}

static bool fill_head(struct request *rq, const struct gateway_route *g, struct entry *e,
                      const struct http_client_answer *a) {
    str key = key_for(rq, g);
    u64 age;
    if (!key.ptr || !(e->key = arena_copy(&e->a, key)).ptr) return false;
    e->hash = str_hash(key, 0xCAC4E);
    e->age0_s = str_to_u64(http_client_field(a, S("Age")), &age) ? 0 : age;
    e->stored_ns = platform_clock_ns();
    return e->age0_s < e->lifetime_s && note_vary(rq, e, a) && copy_answer(e, a);
}

struct cache_filling *cache_begin(struct request *rq, const struct gateway_route *g,
                                  const struct http_client_answer *a) {
    u64 lifetime;
    bool shared;
    if (!request_fits(rq, g) || rq->http->method != HTTP_GET || !status_fits(a->status) ||
        http_client_field(a, S("Set-Cookie")).ptr || a->content_length > GATEWAY_CACHED_MAX ||
        !lifetime_of(a, &lifetime, &shared))
        return NULL;
    if (!shared && http_field(rq->http, S("Cookie")).ptr) return NULL;
    struct cache_filling *f = arena_zero(rq->arena, sizeof *f);
    struct entry *e = f ? memory_zero(MEMORY_REQUESTS, sizeof *e) : NULL;
    if (!e) return NULL;
    arena_open(&e->a, NULL, 0, GATEWAY_CACHED_MAX + ENTRY_ARENA_EXTRA);
    e->references = 1;
    e->lifetime_s = lifetime;
    e->shared = shared;
    f->e = e;
    buf_open(&f->body, GATEWAY_CACHED_MAX);
    if (arena_on_close(rq->arena, filling_end, f)) return NULL; /* it has ended already */
    return fill_head(rq, g, e, a) ? f : NULL;
}

void cache_body(struct cache_filling *f, str bytes) {
    (void)!!buf_add(&f->body, bytes); /* too much is seen at the end */
}

void cache_commit(struct cache_filling *f) {
    struct entry *e = f->e;
    if (f->body.failed) return;
    e->c.body = arena_copy(&e->a, buf_str(&f->body));
    if (!e->c.body.ptr) return;
    e->bytes = sizeof *e + e->a.used;
    e->c.answer.content_length = (s64)e->c.body.len;
    for (struct entry *old = slots[e->hash % SLOTS], *next; old; old = next) {
        next = old->next;
        bool same = old->hash == e->hash && str_eq(old->key, e->key) &&
                    old->vary_count == e->vary_count;
        for (u32 i = 0; same && i < e->vary_count; i++)
            same = str_eq_nocase(old->vary[i].name, e->vary[i].name) &&
                   str_eq(old->vary[i].value, e->vary[i].value);
        if (same) entry_drop(old);
    }
    while (oldest && bytes_kept + e->bytes > bytes_max()) entry_drop(oldest);
    if (bytes_kept + e->bytes > bytes_max()) return;
    f->e = NULL; /* the table's now */
    e->listed = true;
    e->next = slots[e->hash % SLOTS];
    slots[e->hash % SLOTS] = e;
    link_newest(e);
    bytes_kept += e->bytes;
}

void cache_invalidate(struct request *rq, const struct gateway_route *g) {
    str key = g->edge->cache ? key_for(rq, g) : (str){NULL, 0};
    if (!key.ptr) return;
    u64 hash = str_hash(key, 0xCAC4E);
    for (struct entry *e = slots[hash % SLOTS], *next; e; e = next) {
        next = e->next;
        if (e->hash == hash && str_eq(e->key, key)) entry_drop(e);
    }
}
