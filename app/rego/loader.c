/* SPDX-License-Identifier: Apache-2.0 */
/* loader.c — bundles fetched from servers and kept up to date.
 *
 *   source --GET, If-None-Match--> 304 | archive --verify--> bundle --activate--> state
 *      ^                                                                            |
 *      +------------- delay, drawn anew each time; after failures longer -----------+
 *
 * One fiber per configured bundle, and one for discovery. It reads its configuration anew in each
 * round, so a change holds from the next one on, and ends when it is gone. What is asked for is
 * what is not active yet: the ETag sent is that of the state, so a bundle that was refused is asked
 * for again, and one that went with a revert comes back. A server that is down changes nothing:
 * the bundle that was active last is in the database and stays in charge. */
#include "app/rego/bundles.h"
#include "app/config/config.h"
#include "app/metrics/metrics.h"
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "app/rego/service.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"
#include <stdlib.h>

enum {
    LOADERS_MAX = SOURCES_MAX + 1, /* and discovery */
    ROUND_BYTES_MAX = 8 << 20,     /* the arena of a round, without the archive */
    FETCH_S = 120,                 /* one answer may take; long polling adds its own */
    RETRY_MIN_MS = 200,
    QUICK_MS = 500, /* a long poll that comes back at once is not repeated sooner */
    STOP_WAIT_MS = 2000,
};

struct loader {
    struct fiber *fiber; /* NULL: the slot is free */
    bool is_discovery, long_poll, known;
    bool kicked; /* by hand */
    bool woken;  /* the configuration may have changed */
    char name[SOURCE_NAME_MAX + 1];
    u32 retries;
    str etag; /* discovery's own; the others' lie in the state */
    char etag_room[256];
    struct loader_status status;
};
static struct loader loaders[LOADERS_MAX];
static bool stopping, configuring, again;

static str name_of(const struct loader *l) {
    return str_from_c(l->name);
}

/* ---- Status ---- */

static void status_failed(struct loader *l, const struct policy_errors *errors,
                          const struct diag *why) {
    struct loader_status *s = &l->status;
    s->failed = true;
    free(s->errors);
    s->errors = NULL;
    if (errors && errors->count) {
        struct buf b;
        buf_open(&b, KIB(256));
        json_text_write(&b, policy_errors_json(errors->heap, errors), JSON_TEXT_ESCAPE_HTML);
        if (!buf_add_byte(&b, 0)) s->errors = b.ptr, b.ptr = NULL;
        buf_close(&b);
        memcpy(s->message, "error(s) occurred while compiling module(s)", 44);
    } else
        memcpy(s->message, why->text[0] ? why->text : "the bundle cannot be taken",
               why->text[0] ? sizeof s->message : 27);
    metric_add(METRIC_BUNDLE_FAILURES, 1);
    log_warn("bundles", "a bundle could not be loaded", "bundle=%s why=%s", l->name,
             LOGSTR(str_from_c(s->message)));
}

static void status_good(struct loader *l) {
    struct loader_status *s = &l->status;
    s->failed = false, s->http_status = 0, s->message[0] = 0;
    free(s->errors);
    s->errors = NULL;
}

static void status_active(struct loader *l, str revision) {
    rc_t rc = str_to_c(str_take(revision, sizeof l->status.revision - 1), l->status.revision,
                       sizeof l->status.revision);
    if (rc) l->status.revision[0] = 0;
    l->status.activated_ns = platform_wall_ns();
}

/* What was active when the appliance went down is active now. */
static void status_of_state(struct loader *l) {
    struct rego_state *s = rego_hold();
    value known = s ? value_get_str(s->bundles, name_of(l)) : UNDEFINED;
    value revision = value_get_str(value_get_str(known, S("manifest")), S("revision"));
    if (value_defined(known) && !l->known && !l->is_discovery)
        status_active(l, revision.kind == VALUE_STRING ? value_str(revision) : S(""));
    l->known = true;
    rego_release(s);
}

static void put_moment(struct json_writer *w, const char *key, u64 ns) {
    if (ns)
        json_time(w, key, ns);
    else
        json_text(w, key, S("0001-01-01T00:00:00Z"));
}

void loader_status_json(struct json_writer *w, str name, const struct loader_status *s) {
    json_text(w, "name", name);
    if (s->revision[0]) json_text(w, "active_revision", str_from_c(s->revision));
    put_moment(w, "last_successful_activation", s->activated_ns);
    if (s->type && s->type[0]) json_text(w, "type", str_from_c(s->type));
    if (s->bytes) json_int(w, "size", (s64)s->bytes);
    put_moment(w, "last_successful_download", s->downloaded_ns);
    put_moment(w, "last_successful_request", s->answered_ns);
    put_moment(w, "last_request", s->requested_ns);
    if (s->failed) {
        json_text(w, "code", S("bundle_error"));
        json_text(w, "message", str_from_c(s->message));
        if (s->http_status) json_int(w, "http_code", s->http_status);
        if (s->errors) json_raw(w, "errors", str_from_c(s->errors));
    }
    json_object(w, "metrics");
    json_int(w, "timer_bundle_request_ns", (s64)s->request_took_ns);
    if (s->load_took_ns) json_int(w, "timer_rego_load_bundles_ns", (s64)s->load_took_ns);
    json_object_end(w);
}

void loaders_json(struct json_writer *w) {
    bool any = false;
    for (u32 i = 0; i < LOADERS_MAX; i++) {
        struct loader *l = &loaders[i];
        if (!l->fiber || l->is_discovery) continue;
        if (!any) json_object(w, "bundles");
        any = true;
        json_put_name(w, name_of(l));
        json_put_object(w);
        loader_status_json(w, name_of(l), &l->status);
        json_object_end(w);
    }
    if (any) json_object_end(w);
    for (u32 i = 0; i < LOADERS_MAX; i++) {
        if (!loaders[i].fiber || !loaders[i].is_discovery) continue;
        json_object(w, "discovery");
        loader_status_json(w, S("discovery"), &loaders[i].status);
        json_object_end(w);
    }
}

bool loaders_ready(void) {
    for (u32 i = 0; i < LOADERS_MAX; i++)
        if (loaders[i].fiber && !loaders[i].status.activated_ns) return false;
    return !configuring;
}

/* ---- Configuration ---- */

static rc_t sources_now(struct arena *a, struct source **list, u32 *count, struct diag *why) {
    str text;
    *list = arena_alloc(a, SOURCES_MAX * sizeof **list);
    *count = 0;
    rc_t rc = *list ? section_text(a, "bundles", &text) : RC_NO_MEMORY;
    return rc ? rc : sources_parse(a, text, *list, count, why);
}

static rc_t source_find(struct arena *a, const struct loader *l, struct source **out,
                        struct diag *why) {
    struct source *list;
    u32 count;
    bool on = false;
    rc_t rc;
    if (l->is_discovery) { /* its own place cannot be discovered */
        *out = arena_alloc(a, sizeof **out);
        if (!*out) return RC_NO_MEMORY;
        rc = discovery_parse(a, config_text("policy.discovery"), *out, &on, why);
        return rc ? rc : on ? RC_OK : RC_NOT_FOUND;
    }
    rc = sources_now(a, &list, &count, why);
    for (u32 i = 0; !rc && i < count; i++)
        if (str_eq(list[i].name, name_of(l))) {
            *out = &list[i];
            return RC_OK;
        }
    return rc ? rc : RC_NOT_FOUND;
}

static rc_t keys_of(struct arena *a, const struct source *s, bool boot,
                    struct bundle_verification *out, struct diag *why) {
    struct source_key *keys = arena_alloc(a, SOURCE_KEYS_MAX * sizeof *keys);
    struct bundle_key *list = arena_alloc(a, SOURCE_KEYS_MAX * sizeof *list);
    str text = boot ? config_text("policy.keys") : S("");
    u32 count;
    rc_t rc = keys && list ? RC_OK : RC_NO_MEMORY;
    if (!rc && !boot) rc = section_text(a, "keys", &text);
    if (!rc) rc = source_keys_parse(a, text, keys, &count, why);
    if (rc) return rc;
    for (u32 i = 0; i < count; i++)
        list[i] = (struct bundle_key){keys[i].id, keys[i].key, keys[i].algorithm, keys[i].scope};
    *out = (struct bundle_verification){.keys = list, .key_count = count};
    if (!s) return RC_OK;
    out->key_id = s->key_id, out->scope = s->scope;
    out->exclude = s->exclude, out->exclude_count = s->exclude_count;
    for (u32 i = 0; i < count; i++)
        if (str_eq(list[i].id, s->key_id)) return RC_OK;
    if (!s->key_id.len) return RC_OK;
    diag_set(why, "key id %.*s not found", STR(str_take(s->key_id, 80)));
    return RC_INVALID;
}

rc_t bundles_keys_for(struct arena *a, str name, struct bundle_verification *out,
                      struct diag *why) {
    struct source *list, *mine = NULL;
    u32 count;
    rc_t rc = sources_now(a, &list, &count, why);
    for (u32 i = 0; !rc && i < count; i++)
        if (str_eq(list[i].name, name)) mine = &list[i];
    return rc ? rc : keys_of(a, mine, false, out, why);
}

void bundles_source_json(struct json_writer *w, str name) {
    for (u32 i = 0; i < LOADERS_MAX; i++) {
        if (!loaders[i].fiber || loaders[i].is_discovery || !str_eq(name_of(&loaders[i]), name))
            continue;
        json_object(w, "status");
        loader_status_json(w, name, &loaders[i].status);
        json_object_end(w);
    }
}

void bundles_waiting_json(struct json_writer *w, value active) {
    for (u32 i = 0; i < LOADERS_MAX; i++) {
        str name = name_of(&loaders[i]);
        if (!loaders[i].fiber || loaders[i].is_discovery) continue;
        if (value_defined(value_get_str(active, name))) continue;
        json_object(w, NULL);
        json_text(w, "name", name);
        json_bool(w, "active", false);
        bundles_source_json(w, name);
        json_object_end(w);
    }
}

/* ---- One round ---- */

struct round {
    struct loader *loader;
    const struct source *source;
    struct arena *arena;
    struct heap heap; /* of errors */
    struct policy_errors errors;
    struct diag why;
    str etag, new_etag, archive;
    bool long_poll;
};

static str etag_now(struct round *r) {
    if (r->loader->is_discovery) return r->loader->etag;
    struct rego_state *s = rego_hold();
    value known = s ? value_get_str(s->bundles, name_of(r->loader)) : UNDEFINED;
    value etag = value_get_str(known, S("etag"));
    str copy = etag.kind == VALUE_STRING ? arena_copy(r->arena, value_str(etag)) : S("");
    rego_release(s);
    return copy.ptr ? copy : S("");
}

/* RC_OK with `archive`, or without: what we have is the newest. */
static rc_t fetch(struct round *r) {
    const struct source *s = r->source;
    struct http_client_request request;
    struct http_client_answer answer;
    struct service service;
    struct http_field fields[2];
    u32 n = 0;
    bool waits = s->wait_s && r->loader->long_poll;
    str prefer = S("modes=snapshot,delta");
    if (waits)
        prefer =
            arena_printf(r->arena, "modes=snapshot,delta;wait=%llu", (unsigned long long)s->wait_s);
    if (!prefer.ptr) return RC_NO_MEMORY;
    fields[n++] = (struct http_field){S("Prefer"), prefer};
    r->etag = etag_now(r);
    if (r->etag.len) fields[n++] = (struct http_field){S("If-None-Match"), r->etag};
    rc_t rc = service_find(r->arena, s->service, &service, &r->why);
    if (!rc)
        rc = service_request(r->arena, &service, S("GET"), s->resource, fields, n, &request,
                             &r->why);
    if (rc) return rc == RC_NOT_FOUND ? RC_INVALID : rc;
    request.redirects_max = 5;
    request.deadline_ns = platform_clock_ns() + (FETCH_S + (waits ? s->wait_s : 0)) * NS_PER_S;
    rc = http_client_fetch(r->arena, &request, s->bytes_max ? s->bytes_max : BUNDLE_LOAD_BYTES_MAX,
                           &answer, &r->archive, &r->why);
    if (rc) return rc;
    str etag = http_client_field(&answer, S("ETag")),
        type = http_client_field(&answer, S("Content-Type"));
    if (answer.status == 304) {
        r->archive = str_of(NULL, 0), r->long_poll = waits;
        return RC_OK;
    }
    r->loader->status.http_status = answer.status == 200 ? 0 : answer.status;
    if (answer.status != 200) {
        diag_set(&r->why, "server replied with %s", http_status_text(answer.status));
        return RC_IO;
    }
    r->new_etag = etag.ptr ? etag : S("");
    r->long_poll = str_eq(type, S("application/vnd.openpolicyagent.bundles"));
    return RC_OK;
}

static rc_t take(struct round *r) {
    struct loader *l = r->loader;
    struct bundle_options o = {.bytes_max = r->source->bytes_max ? r->source->bytes_max
                                                                 : BUNDLE_LOAD_BYTES_MAX};
    struct bundle_verification keys;
    struct policy_bundle b = {0};
    rc_t rc = keys_of(r->arena, r->source, l->is_discovery, &keys, &r->why);
    if (rc) return rc;
    if (keys.key_count || r->source->has_signing) o.verification = &keys;
    rc = bundles_read(r->archive, &o, &b, &r->why);
    if (!rc) l->status.type = b.is_delta ? "delta" : "snapshot";
    if (!rc && l->is_discovery)
        rc = discovery_take(&b, r->source->decision, &r->errors, &r->why);
    else if (!rc)
        rc = bundles_activate(NULL, name_of(l), &b, r->new_etag, &r->errors, &r->why);
    if (!rc) {
        status_active(l, b.manifest.revision);
        l->status.bytes = r->archive.len;
        metric_add(METRIC_BUNDLE_LOADS, 1);
        metric_values[METRIC_BUNDLE_ACTIVATION] = platform_wall_ns() / NS_PER_S;
        log_info("bundles", "a bundle is active", "bundle=%s revision=%s", l->name,
                 LOGSTR(str_from_c(l->status.revision)));
    }
    bundle_drop(&b);
    return rc;
}

static void remember_etag(struct loader *l, str etag) {
    if (etag.len >= sizeof l->etag_room) etag = S("");
    memcpy(l->etag_room, etag.ptr ? etag.ptr : "", etag.len);
    l->etag = str_of(l->etag_room, etag.len);
}

static rc_t round_run(struct round *r) {
    struct loader *l = r->loader;
    u64 from = platform_clock_ns();
    l->status.requested_ns = platform_wall_ns(), l->status.http_status = 0;
    rc_t rc = fetch(r);
    l->status.request_took_ns = platform_clock_ns() - from;
    if (stopping) return RC_CLOSED;
    if (!rc) {
        l->status.answered_ns = l->status.requested_ns;
        if (r->archive.ptr) l->status.downloaded_ns = l->status.answered_ns;
        from = platform_clock_ns();
        if (r->archive.ptr) rc = take(r);
        if (r->archive.ptr) l->status.load_took_ns = platform_clock_ns() - from;
    }
    if (rc && !r->why.text[0]) diag_set(&r->why, "request failed: %s", rc_name(rc));
    if (rc)
        status_failed(l, &r->errors, &r->why);
    else
        status_good(l);
    if (!rc && r->archive.ptr && l->is_discovery) remember_etag(l, r->new_etag);
    l->long_poll = rc ? true : r->long_poll;
    report_soon();
    return rc;
}

/* ---- The fiber ---- */

static u64 random_below(u64 n) {
    u64 r = 0;
    if (!n || platform_entropy(&r, sizeof r)) return 0;
    return r % n;
}

static u64 delay_ms(struct loader *l, const struct source *s, rc_t rc, u64 took_ms) {
    u64 longest = MAX(s->delay_max_s * 1000, (u64)RETRY_MIN_MS), ms = RETRY_MIN_MS;
    if (!rc) {
        l->retries = 0;
        if (l->long_poll && s->wait_s) return took_ms < QUICK_MS ? QUICK_MS : 0;
        return s->delay_min_s * 1000 + random_below((s->delay_max_s - s->delay_min_s) * 1000 + 1);
    }
    for (u32 i = 0; i < l->retries && ms < longest; i++) ms += ms * 6 / 10;
    if (l->retries < 64) l->retries++;
    ms = MIN(ms, longest);
    return ms - ms / 5 + random_below(ms * 2 / 5 + 1);
}

/* Gone from the configuration: so is what it brought. */
static void deactivate(struct loader *l) {
    struct rego_change c = {.kind = REGO_BUNDLE_DELETE, .subject = name_of(l)};
    struct policy_errors errors;
    struct diag why = {0};
    struct heap h;
    bool changed;
    if (l->is_discovery) {
        discovery_forget();
        return;
    }
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, 1);
    rc_t rc = rego_apply(NULL, &c, &errors, &why, &changed);
    if (rc && rc != RC_NOT_FOUND)
        log_error("bundles", "a bundle could not be taken out", "bundle=%s why=%s", l->name,
                  LOGSTR(str_from_c(why.text)));
    heap_close(&h);
}

/* How long to wait; false: end. */
static bool one_round(struct loader *l, u64 *wait_ms) {
    struct arena a;
    struct source *s = NULL;
    struct round r = {.loader = l, .arena = &a};
    arena_open(&a, NULL, 0, ROUND_BYTES_MAX);
    rc_t rc = source_find(&a, l, &s, &r.why);
    bool go_on = rc != RC_NOT_FOUND;
    l->woken = false;
    *wait_ms = 10000;
    if (!rc && s->manual && !l->kicked) {
        *wait_ms = UINT32_MAX;
    } else if (!rc) {
        u64 from = platform_clock_ns();
        l->kicked = false;
        r.source = s;
        heap_open(&r.heap, MIB(4));
        policy_errors_open(&r.errors, &r.heap, 10);
        rc = round_run(&r);
        heap_close(&r.heap);
        *wait_ms = delay_ms(l, s, rc, (platform_clock_ns() - from) / NS_PER_MS);
    } else if (go_on && rc != RC_NO_MEMORY)
        status_failed(l, NULL, &r.why);
    arena_close(&a);
    return go_on;
}

static void loader_fiber(void *arg) {
    struct loader *l = arg;
    status_of_state(l);
    while (!stopping) {
        u64 wait_ms;
        if (!one_round(l, &wait_ms)) {
            if (!stopping) deactivate(l);
            break;
        }
        u64 until = platform_clock_ns() + wait_ms * NS_PER_MS;
        while (!stopping && !l->kicked && !l->woken && platform_clock_ns() < until)
            if (fiber_park(until) == RC_LIMIT) fiber_yield(); /* no timer left: look again */
    }
    status_good(l);
    *l = (struct loader){0};
    report_soon();
}

static void loader_begin(str name, bool is_discovery) {
    struct loader *slot = NULL;
    for (u32 i = 0; i < LOADERS_MAX; i++) {
        if (!loaders[i].fiber && !slot) slot = &loaders[i];
        if (loaders[i].fiber && loaders[i].is_discovery == is_discovery &&
            str_eq(name_of(&loaders[i]), name)) {
            loaders[i].woken = true;
            fiber_wake(loaders[i].fiber);
            return;
        }
    }
    if (!slot || str_to_c(name, slot->name, sizeof slot->name)) return;
    slot->is_discovery = is_discovery, slot->long_poll = true;
    if (fiber_start("bundle", loader_fiber, slot, &slot->fiber)) {
        *slot = (struct loader){0};
        log_error("bundles", "no fiber is left for a bundle", "bundle=%.*s", STR(name));
    }
}

static void configure_fiber(void *arg) {
    (void)arg;
    do {
        struct arena a;
        struct source *list, found;
        struct diag why = {0};
        u32 count;
        bool on = false;
        again = false;
        arena_open(&a, NULL, 0, ROUND_BYTES_MAX);
        rc_t rc = discovery_parse(&a, config_text("policy.discovery"), &found, &on, &why);
        if (!rc && on) loader_begin(S("discovery"), true);
        rc = sources_now(&a, &list, &count, &why);
        for (u32 i = 0; !rc && i < count; i++) loader_begin(list[i].name, false);
        for (u32 i = 0; i < LOADERS_MAX; i++) /* those whose source is gone see it */
            if (loaders[i].fiber) loaders[i].woken = true, fiber_wake(loaders[i].fiber);
        if (rc)
            log_error("bundles", "policy.bundles cannot be read", "why=%s",
                      LOGSTR(str_from_c(why.text)));
        arena_close(&a);
    } while (again && !stopping);
    configuring = false;
    report_soon();
}

void loaders_configure(void) {
    again = true;
    if (configuring || stopping) return;
    configuring = true;
    if (fiber_start("bundles", configure_fiber, NULL, NULL)) {
        configuring = false;
        log_error("bundles", "no fiber is left to look at policy.bundles");
    }
}

void loaders_start(void) {
    static const char *const keys[] = {"policy.bundles", "policy.keys", "policy.discovery",
                                       "policy.services"};
    stopping = false;
    for (u32 i = 0; i < ARRAY_LEN(keys); i++)
        if (config_on_change(keys[i], loaders_configure))
            log_warn("bundles", "changes of an option hold from the next start on", "key=%s",
                     keys[i]);
    if (config_text("policy.bundles").len || config_text("policy.discovery").len)
        loaders_configure();
}

void loaders_stop(void) {
    u64 until = platform_clock_ns() + STOP_WAIT_MS * NS_PER_MS;
    stopping = true;
    for (bool any = true; any && platform_clock_ns() < until;) {
        any = configuring;
        for (u32 i = 0; i < LOADERS_MAX; i++)
            if (loaders[i].fiber) any = true, fiber_wake(loaders[i].fiber);
        if (any) fiber_sleep_ms(10);
    }
    discovery_forget();
}

void bundles_load_now(struct request *rq) {
    for (u32 i = 0; i < LOADERS_MAX; i++) {
        if (!loaders[i].fiber || !str_eq(name_of(&loaders[i]), rq->params[0])) continue;
        loaders[i].kicked = true;
        fiber_wake(loaders[i].fiber);
        reply_text(rq, 202, "application/json", S("{}\n"));
        return;
    }
    rego_error(rq, 404, "resource_not_found", "policy.bundles has no \"%.*s\"",
               STR(str_take(rq->params[0], 100)));
}
