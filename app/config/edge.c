/* SPDX-License-Identifier: Apache-2.0 */
/* edge.c — the value of gateway.routes, read and judged: upstreams and limits here, routes in
 * edge_route.c.
 *
 * The same reader runs when the document is offered and when it is put into force, so what was
 * accepted can be loaded. A member nobody knows is refused: a misspelt "access" must not leave a
 * route open.
 *
 * Always true: indices in a struct edge are within its lists; every text is free of control bytes
 * where it will meet HTTP; URLs of targets have been read by the reader that connects. */
#include "app/config/edge_read.h"
#include "net/http_parse.h"
#include "net/http_url.h"
#include <math.h>

/* ---- Members --------------------------------------------------------------------------------- */

rc_t edge_wrong(struct edge_reading *r, const char *member, const char *wanted) {
    struct diag copy;
    diag_set(&copy, "%s", wanted); /* may lie in *why */
    diag_set(r->why, "%.*s: \"%.60s\" %s", STR(str_take(r->place, 80)), member, copy.text);
    return RC_INVALID;
}

rc_t edge_known(struct edge_reading *r, const cJSON *object, const char *const *names) {
    if (!cJSON_IsObject(object)) {
        diag_set(r->why, "%.*s wants an object", STR(str_take(r->place, 80)));
        return RC_INVALID;
    }
    for (const cJSON *m = object->child; m; m = m->next) {
        u32 i = 0;
        while (names[i] && strcmp(names[i], m->string) != 0) i++;
        if (!names[i]) return edge_wrong(r, m->string, "is not known here");
    }
    return RC_OK;
}

rc_t edge_text(struct edge_reading *r, const cJSON *object, const char *name, size_t max,
               str *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!m) return RC_OK;
    if (!cJSON_IsString(m) || strlen(m->valuestring) > max)
        return edge_wrong(r, name, "wants a text that is not too long");
    *out = str_from_c(m->valuestring);
    return RC_OK;
}

rc_t edge_int(struct edge_reading *r, const cJSON *object, const char *name, s64 min, s64 max,
              u32 *out) {
    struct diag wanted;
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!m) return RC_OK;
    double v = cJSON_IsNumber(m) ? m->valuedouble : NAN;
    if (v >= (double)min && v <= (double)max && v == floor(v)) {
        *out = (u32)v;
        return RC_OK;
    }
    diag_set(&wanted, "wants a whole number from %lld to %lld", (long long)min, (long long)max);
    return edge_wrong(r, name, wanted.text);
}

rc_t edge_bool(struct edge_reading *r, const cJSON *object, const char *name, bool *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!m) return RC_OK;
    if (!cJSON_IsBool(m)) return edge_wrong(r, name, "wants true or false");
    *out = cJSON_IsTrue(m);
    return RC_OK;
}

rc_t edge_choice(struct edge_reading *r, const cJSON *object, const char *name, const char *words,
                 u32 *out) {
    struct diag wanted;
    str text = {NULL, 0}, rest = str_from_c(words), one;
    rc_t rc = edge_text(r, object, name, 64, &text);
    if (rc || !text.ptr) return rc;
    for (u32 i = 0; str_split(&rest, ' ', &one); i++)
        if (str_eq(one, text)) {
            *out = i;
            return RC_OK;
        }
    diag_set(&wanted, "wants one of: %s", words);
    return edge_wrong(r, name, wanted.text);
}

rc_t edge_texts(struct edge_reading *r, const cJSON *object, const char *name, u32 max, str **out,
                u32 *count) {
    struct diag wanted;
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    *count = 0;
    if (!m) return RC_OK;
    if (!(*out = arena_alloc(r->a, max * sizeof **out))) return RC_NO_MEMORY;
    if (cJSON_IsString(m)) {
        (*out)[(*count)++] = str_from_c(m->valuestring);
        return RC_OK;
    }
    diag_set(&wanted, "wants a list of at most %u texts", max);
    if (!cJSON_IsArray(m)) return edge_wrong(r, name, wanted.text);
    for (const cJSON *one = m->child; one; one = one->next) {
        if (*count == max || !cJSON_IsString(one)) return edge_wrong(r, name, wanted.text);
        (*out)[(*count)++] = str_from_c(one->valuestring);
    }
    return RC_OK;
}

rc_t edge_names(struct edge_reading *r, str name) {
    bool fine = name.len >= 1 && name.len <= 63;
    for (size_t i = 0; fine && i < name.len; i++) {
        char c = name.ptr[i];
        fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    }
    if (fine) return RC_OK;
    diag_set(r->why, "%.*s: names have 1 to 63 letters, digits, '-', '_' and '.'",
             STR(str_take(r->place, 80)));
    return RC_INVALID;
}

/* ---- Upstreams ------------------------------------------------------------------------------- */

static rc_t read_target(struct edge_reading *r, const cJSON *m, struct edge_target *t) {
    static const char *const names[] = {"url", "weight", NULL};
    struct http_url url;
    struct diag why = {0};
    rc_t rc = RC_OK;
    t->weight = 1;
    if (cJSON_IsString(m)) {
        t->url = str_from_c(m->valuestring);
    } else {
        rc = edge_known(r, m, names);
        if (!rc) rc = edge_text(r, m, "url", 2000, &t->url);
        if (!rc) rc = edge_int(r, m, "weight", 1, 1000, &t->weight);
    }
    if (rc) return rc;
    if (http_url_parse(t->url, &url, &why)) return edge_wrong(r, "targets", why.text);
    if (url.target.len && !str_eq(url.target, S("/")))
        return edge_wrong(r, "targets", "wants URLs without a path; a route's rewrite adds one");
    if (url.target.len) t->url.len -= url.target.len;
    return RC_OK;
}

static rc_t read_targets(struct edge_reading *r, const cJSON *list, struct edge_upstream *u) {
    u32 n = cJSON_IsArray(list) ? (u32)cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > EDGE_TARGETS_MAX)
        return edge_wrong(r, "targets", "wants a list of 1 to 32 URLs");
    if (!(u->targets = arena_zero(r->a, n * sizeof *u->targets))) return RC_NO_MEMORY;
    for (const cJSON *m = list->child; m; m = m->next) {
        struct edge_target *t = &u->targets[u->target_count];
        rc_t rc = read_target(r, m, t);
        if (rc) return rc;
        for (u32 i = 0; i < u->target_count; i++)
            if (str_eq(u->targets[i].url, t->url))
                return edge_wrong(r, "targets", "names one URL twice");
        u->target_count++;
    }
    return RC_OK;
}

static rc_t read_hash(struct edge_reading *r, const cJSON *m, struct edge_upstream *u) {
    str on = {NULL, 0};
    rc_t rc = edge_text(r, m, "hash_on", 100, &on);
    if (rc || !on.ptr) return rc;
    if (str_eq(on, S("address"))) return RC_OK;
    u->hash_on = str_starts(on, S("header:")) ? EDGE_BY_HEADER : EDGE_BY_COOKIE;
    u->hash_name = str_skip(on, 7);
    bool known = u->hash_on == EDGE_BY_HEADER || str_starts(on, S("cookie:"));
    if (known && http_is_token(u->hash_name)) return RC_OK;
    return edge_wrong(r, "hash_on", "wants \"address\", \"header:NAME\" or \"cookie:NAME\"");
}

static rc_t read_tls(struct edge_reading *r, const cJSON *m, struct edge_upstream *u) {
    static const char *const names[] = {"ca_cert", "server_name", "insecure", NULL};
    rc_t rc = m ? edge_known(r, m, names) : RC_OK;
    if (!m || rc) return rc;
    rc = edge_text(r, m, "ca_cert", 65536, &u->ca_pem);
    if (!rc) rc = edge_text(r, m, "server_name", 253, &u->server_name);
    if (!rc) rc = edge_bool(r, m, "insecure", &u->insecure);
    return rc;
}

static rc_t read_health(struct edge_reading *r, const cJSON *m, struct edge_upstream *u) {
    static const char *const names[] = {"path",   "interval_ms", "timeout_ms",
                                        "passes", "fails",       NULL};
    rc_t rc = m ? edge_known(r, m, names) : RC_OK;
    if (!m || rc) return rc;
    rc = edge_text(r, m, "path", 1000, &u->health_path);
    if (!rc) rc = edge_int(r, m, "interval_ms", 100, 3600000, &u->health_interval_ms);
    if (!rc) rc = edge_int(r, m, "timeout_ms", 100, 60000, &u->health_timeout_ms);
    if (!rc) rc = edge_int(r, m, "passes", 1, 10, &u->health_passes);
    if (!rc) rc = edge_int(r, m, "fails", 1, 10, &u->health_fails);
    if (rc) return rc;
    bool path = str_starts(u->health_path, S("/")) && http_is_field_value(u->health_path) &&
                str_find_byte(u->health_path, ' ') == u->health_path.len;
    return path ? RC_OK : edge_wrong(r, "path", "wants a path to ask, such as /healthz");
}

static rc_t read_numbers(struct edge_reading *r, const cJSON *m, struct edge_upstream *u) {
    static const char *const times[] = {"connect_ms", "answer_ms", "idle_ms", NULL};
    static const char *const ejects[] = {"failures", "rest_ms", NULL};
    const cJSON *t = cJSON_GetObjectItemCaseSensitive(m, "timeouts");
    const cJSON *e = cJSON_GetObjectItemCaseSensitive(m, "eject");
    const cJSON *b = cJSON_GetObjectItemCaseSensitive(m, "breaker");
    rc_t rc = t ? edge_known(r, t, times) : RC_OK;
    if (!rc) rc = edge_int(r, t, "connect_ms", 1, 60000, &u->connect_ms);
    if (!rc) rc = edge_int(r, t, "answer_ms", 1, 3600000, &u->answer_ms);
    if (!rc) rc = edge_int(r, t, "idle_ms", 1, 3600000, &u->idle_ms);
    if (!rc && e) rc = edge_known(r, e, ejects);
    if (!rc) rc = edge_int(r, e, "failures", 0, 1000, &u->eject_failures);
    if (!rc) rc = edge_int(r, e, "rest_ms", 1, 3600000, &u->eject_ms);
    if (!rc && b) rc = edge_known(r, b, ejects);
    if (!rc) rc = edge_int(r, b, "failures", 0, 1000, &u->breaker_failures);
    if (!rc) rc = edge_int(r, b, "rest_ms", 1, 300000, &u->breaker_ms);
    if (!rc) rc = edge_int(r, m, "retries", 0, 3, &u->retries);
    if (!rc) rc = edge_int(r, m, "max_requests", 1, 10000, &u->requests_max);
    return rc;
}

static rc_t read_upstream(struct edge_reading *r, const cJSON *m, struct edge_upstream *u) {
    static const char *const names[] = {"targets", "balance", "hash_on", "tls",     "health",
                                        "eject",   "breaker", "retries", "timeouts", "max_requests",
                                        NULL};
    u32 balance = EDGE_ROUND_ROBIN;
    *u = (struct edge_upstream){.name = str_from_c(m->string), .connect_ms = 3000,
                                .answer_ms = 15000, .idle_ms = 300000, .retries = 1,
                                .requests_max = 256, .health_interval_ms = 10000,
                                .health_timeout_ms = 2000, .health_passes = 2, .health_fails = 3,
                                .eject_failures = 5, .eject_ms = 30000, .breaker_failures = 5,
                                .breaker_ms = 10000};
    r->place = arena_join(r->a, S("upstreams/"), u->name);
    rc_t rc = edge_names(r, u->name);
    if (!rc) rc = edge_known(r, m, names);
    if (!rc) rc = read_targets(r, cJSON_GetObjectItemCaseSensitive(m, "targets"), u);
    if (!rc) rc = edge_choice(r, m, "balance", "round-robin least-request hash", &balance);
    if (!rc) rc = read_hash(r, m, u);
    if (!rc) rc = read_tls(r, cJSON_GetObjectItemCaseSensitive(m, "tls"), u);
    if (!rc) rc = read_health(r, cJSON_GetObjectItemCaseSensitive(m, "health"), u);
    if (!rc) rc = read_numbers(r, m, u);
    u->balance = (enum edge_balance)balance;
    return rc;
}

/* ---- Limits ---------------------------------------------------------------------------------- */

static rc_t read_bucket(struct edge_reading *r, const cJSON *m, struct edge_bucket *b) {
    static const char *const names[] = {"quota", "window_seconds", "burst", NULL};
    u32 window = 0;
    rc_t rc = edge_known(r, m, names);
    if (!rc) rc = edge_int(r, m, "quota", 1, 1000000, &b->quota);
    if (!rc) rc = edge_int(r, m, "window_seconds", 1, 86400, &window);
    if (!rc && (!b->quota || !window))
        rc = edge_wrong(r, "buckets", "want \"quota\" and \"window_seconds\"");
    b->burst = b->quota;
    if (!rc) rc = edge_int(r, m, "burst", 1, 1000000, &b->burst);
    b->window_ms = (u64)window * 1000;
    return rc;
}

static rc_t read_status(struct edge_reading *r, const cJSON *m, struct edge_limit *l) {
    str text = {NULL, 0};
    u64 from, to;
    rc_t rc = edge_text(r, m, "count_status", 16, &text);
    if (rc || !text.ptr) return rc;
    size_t dash = str_find_byte(text, '-');
    bool fine = !str_to_u64(str_take(text, dash), &from);
    to = from;
    if (fine && dash < text.len) fine = !str_to_u64(str_skip(text, dash + 1), &to);
    if (!fine || from < 100 || to > 599 || from > to)
        return edge_wrong(r, "count_status", "wants a status or a range such as \"400-499\"");
    l->only_failed = true;
    l->status_from = (int)from;
    l->status_to = (int)to;
    return RC_OK;
}

static rc_t read_limit(struct edge_reading *r, const cJSON *m, struct edge_limit *l) {
    static const char *const names[] = {"key", "buckets", "count_status", NULL};
    u32 key = EDGE_KEY_NETWORK;
    *l = (struct edge_limit){.name = str_from_c(m->string)};
    r->place = arena_join(r->a, S("limits/"), l->name);
    rc_t rc = edge_names(r, l->name);
    if (!rc) rc = edge_known(r, m, names);
    if (!rc) rc = edge_choice(r, m, "key", "network user api-key route", &key);
    if (!rc) rc = read_status(r, m, l);
    l->key = (enum edge_limit_key)key;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(m, "buckets");
    u32 n = cJSON_IsArray(list) ? (u32)cJSON_GetArraySize(list) : 0;
    if (!rc && (n < 1 || n > 4)) rc = edge_wrong(r, "buckets", "wants a list of 1 to 4");
    if (rc) return rc;
    if (!(l->buckets = arena_zero(r->a, n * sizeof *l->buckets))) return RC_NO_MEMORY;
    for (const cJSON *b = list->child; b && !rc; b = b->next)
        rc = read_bucket(r, b, &l->buckets[l->bucket_count++]);
    return rc;
}

/* ---- The document ---------------------------------------------------------------------------- */

static rc_t count_members(struct edge_reading *r, const cJSON *m, const char *what, u32 max,
                          u32 *count) {
    *count = 0;
    if (!m) return RC_OK;
    u32 n = cJSON_IsObject(m) ? (u32)cJSON_GetArraySize(m) : UINT32_MAX;
    if (n <= max) {
        *count = n;
        return RC_OK;
    }
    diag_set(r->why, "\"%s\" wants an object of at most %u", what, max);
    return RC_INVALID;
}

static rc_t read_document(struct edge_reading *r, const cJSON *root) {
    static const char *const names[] = {"upstreams", "limits", "routes", "platform_limits", NULL};
    const cJSON *ups = cJSON_GetObjectItemCaseSensitive(root, "upstreams");
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(root, "limits");
    struct edge *e = r->e;
    u32 up_count, limit_count;
    r->place = S("the document");
    rc_t rc = edge_known(r, root, names);
    if (!rc) rc = count_members(r, ups, "upstreams", EDGE_UPSTREAMS_MAX, &up_count);
    if (!rc) rc = count_members(r, limits, "limits", EDGE_LIMITS_MAX, &limit_count);
    if (rc) return rc;
    e->upstreams = arena_zero(r->a, (up_count + 1) * sizeof *e->upstreams);
    e->limits = arena_zero(r->a, (limit_count + 1) * sizeof *e->limits);
    if (!e->upstreams || !e->limits) return RC_NO_MEMORY;
    for (const cJSON *m = up_count ? ups->child : NULL; m && !rc; m = m->next)
        rc = read_upstream(r, m, &e->upstreams[e->upstream_count++]);
    for (const cJSON *m = limit_count ? limits->child : NULL; m && !rc; m = m->next)
        rc = read_limit(r, m, &e->limits[e->limit_count++]);
    r->place = S("the document");
    if (!rc)
        rc = edge_limit_names(r, root, "platform_limits", &e->platform_limits,
                              &e->platform_limit_count);
    return rc ? rc : edge_read_routes(r, cJSON_GetObjectItemCaseSensitive(root, "routes"));
}

rc_t edge_parse(struct arena *a, str json, struct edge *out, struct diag *why) {
    cJSON *root;
    struct edge_reading r = {.a = a, .e = out, .why = why};
    *out = (struct edge){0};
    if (!json.len) return RC_OK;
    rc_t rc = json_parse(a, json, &root, why);
    return rc ? rc : read_document(&r, root);
}

bool check_edge(str value, struct diag *why) {
    struct edge e;
    struct arena a;
    arena_open(&a, NULL, 0, EDGE_ARENA_MAX);
    rc_t rc = edge_parse(&a, value, &e, why);
    arena_close(&a);
    if (rc == RC_NO_MEMORY) diag_set(why, "is too large to be read now");
    return rc == RC_OK;
}
