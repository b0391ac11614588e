/* SPDX-License-Identifier: Apache-2.0 */
/* health.c — is it alive, is it ready, how is it?
 *
 *   /livez /healthz   the loop turns and answers: 200, nothing is looked at
 *   /readyz           200 only while every essential check is well; else 503 and which and why
 *   /health           the overall word, for people and probes that want a body; always 200
 *   /api/v1/health/detailed   each check with since when, and the figures behind it
 *
 * Checks are looked at when somebody asks, at most every LOOK_EVERY_NS, so a storm of probes costs
 * what one costs: the short answers are prebuilt bytes until the next look.
 * Always true: no value is made up; a check that never ran says "starting". */
#include "app/health/health_impl.h"
#include "app/version.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "kernel/platform.h"
#include <stdio.h>

#define LOOK_EVERY_NS (250 * NS_PER_MS)

static struct {
    struct health_seen seen[HEALTH_CHECKS_MAX];
    u32 count;
    u64 looked_ns; /* 0: never */
    bool ready;
    enum health_state overall;
    char body[160]; /* of /health */
    size_t body_len;
} health;

const char *health_state_name(enum health_state s) {
    static const char *const names[] = {"starting", "healthy", "degraded", "unhealthy"};
    return names[s];
}

rc_t health_check_add(const struct health_check *check) {
    for (u32 i = 0; i < health.count; i++)
        if (health.seen[i].check == check) return RC_OK;
    if (health.count == HEALTH_CHECKS_MAX) return RC_LIMIT;
    health.seen[health.count++] = (struct health_seen){.check = check};
    health.looked_ns = 0;
    return RC_OK;
}

static void look_at(struct health_seen *s, u64 now) {
    struct diag detail = {0};
    u64 began = platform_clock_ns();
    enum health_state state = s->check->look(&detail);
    s->took_ns = platform_clock_ns() - began;
    s->last_ns = now;
    s->failures = state == HEALTH_FAILED ? s->failures + 1 : 0;
    if (state != s->state) {
        if (state == HEALTH_FAILED)
            log_error("health", "a check failed", "check=%s detail=%s", s->check->name,
                      LOGSTR(str_from_c(detail.text)));
        else if (s->state != HEALTH_STARTING)
            log_warn("health", "a check changed", "check=%s state=%s", s->check->name,
                     health_state_name(state));
        s->since_ns = now;
        s->state = state;
    }
    s->detail = detail;
}

static void write_body(u64 now) {
    int n = snprintf(health.body, sizeof health.body,
                     "{\"status\":\"%s\",\"ready\":%s,\"version\":\"" OPENPOLICY_VERSION
                     "\",\"uptime_seconds\":%llu}",
                     health_state_name(health.overall), health.ready ? "true" : "false",
                     (unsigned long long)(now / NS_PER_S));
    health.body_len = n < 0 ? 0 : MIN((size_t)n, sizeof health.body - 1);
}

static void refresh(void) {
    u64 now = loop_now_ns();
    if (health.looked_ns && now - health.looked_ns < LOOK_EVERY_NS) return;
    enum health_state worst = HEALTH_OK;
    health.looked_ns = MAX(now, 1);
    health.ready = health.count > 0;
    for (u32 i = 0; i < health.count; i++) {
        struct health_seen *s = &health.seen[i];
        look_at(s, now);
        bool bad = s->state == HEALTH_FAILED || s->state == HEALTH_STARTING;
        if (s->check->essential && bad) health.ready = false;
        enum health_state counts = s->check->essential ? s->state : MIN(s->state, HEALTH_DEGRADED);
        worst = MAX(worst, counts);
    }
    health.overall = health.ready || worst == HEALTH_FAILED ? worst : HEALTH_STARTING;
    write_body(now);
}

u32 health_look(const struct health_seen **out) {
    refresh();
    *out = health.seen;
    return health.count;
}
bool health_ready(void) {
    refresh();
    return health.ready;
}
enum health_state health_overall(void) {
    refresh();
    return health.overall;
}

/* ---- Routes -------------------------------------------------------------------------------- */

static const str json_type = S("application/json");

static void get_live(struct request *rq) {
    http_answer(rq->x, 200, json_type, S("{\"status\":\"ok\"}"));
}

static bool (*answer_engine)(struct request *rq);
void health_engine_set(bool (*answer)(struct request *rq)) {
    answer_engine = answer;
}

static void get_health(struct request *rq) {
    if (rq->http->query.len && answer_engine && answer_engine(rq)) return;
    refresh();
    http_answer(rq->x, 200, json_type, str_of(health.body, health.body_len));
}

static void write_check(struct json_writer *w, const struct health_seen *s) {
    u64 wall = platform_wall_ns(), now = platform_clock_ns();
    json_object(w, NULL);
    json_text(w, "name", str_from_c(s->check->name));
    json_text(w, "status", str_from_c(health_state_name(s->state)));
    json_bool(w, "essential", s->check->essential);
    json_text(w, "detail", str_from_c(s->detail.text));
    json_time(w, "last_check", wall ? wall - (now - s->last_ns) : 0);
    json_time(w, "since", wall ? wall - (now - s->since_ns) : 0);
    json_real(w, "response_ms", (double)s->took_ns / 1e6);
    json_int(w, "consecutive_failures", s->failures);
    json_object_end(w);
}

/* Every check, so that a probe's log tells at a glance what was well and what was not. */
static void get_ready(struct request *rq) {
    struct json_writer w;
    bool ready = health_ready();
    const char *worst = "";
    json_open(&w, KIB(32));
    json_object(&w, NULL);
    json_text(&w, "status", ready ? S("ready") : S("not_ready"));
    json_array(&w, "checks");
    for (u32 i = 0; i < health.count; i++) {
        const struct health_seen *s = &health.seen[i];
        bool bad = s->state == HEALTH_FAILED || s->state == HEALTH_STARTING;
        if (s->check->essential && bad && !worst[0]) worst = s->detail.text;
        write_check(&w, s);
    }
    json_array_end(&w);
    if (!ready) {
        json_text(&w, "detail", str_from_c(worst));
        json_text(&w, "request_id", rq->http->id);
        if (http_answer_field(rq->x, S("Retry-After"), S("5"))) log_debug("health", "no room");
    }
    json_object_end(&w);
    reply_json(rq, ready ? 200 : 503, &w);
}

static void get_detailed(struct request *rq) {
    struct json_writer w;
    u32 well = 0;
    refresh();
    json_open(&w, KIB(64));
    json_object(&w, NULL);
    json_text(&w, "status", str_from_c(health_state_name(health.overall)));
    json_bool(&w, "ready", health.ready);
    json_text(&w, "version", S(OPENPOLICY_VERSION));
    json_int(&w, "uptime_seconds", (s64)(platform_clock_ns() / NS_PER_S));
    json_time(&w, "time", platform_wall_ns());
    json_array(&w, "checks");
    for (u32 i = 0; i < health.count; i++) {
        write_check(&w, &health.seen[i]);
        well += health.seen[i].state == HEALTH_OK;
    }
    json_array_end(&w);
    json_real(&w, "score", health.count ? (double)well / health.count : 0);
    health_write_values(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static rc_t start(struct diag *why) {
    rc_t rc = health_checks_start();
    if (rc) diag_set(why, "too many health checks");
    return rc;
}

#define PROBE(path, handler, text)                                                                 \
    {.method = HTTP_GET, .pattern = path, .handle = handler, .access = ACCESS_PUBLIC,              \
     .permission = "health:status:read", .summary = text, .tag = "health", .quiet = true,          \
     .probe = true, .answer_schema = "#Health"}
/* What the policy engine's clients ask for; the state covers it all. */
static const struct route_param engine_parameters[] = {
    {"bundle", "string", "as bundles"},
    {"bundles", "string", "well only when all configured bundles are active; else 500"},
    {"plugins", "string", "well only when bundles, discovery and decision log are; else 500"},
    {"exclude-plugin", "string", "bundle, discovery, status or decision_logs: does not count"},
    {.name = NULL}};
static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/health", .handle = get_health, .access = ACCESS_PUBLIC,
     .permission = "health:status:read", .summary = "The overall state in one word",
     .tag = "health", .quiet = true, .probe = true, .query = engine_parameters,
     .lenient = true, .answer_schema = "#Health"},
    PROBE("/healthz", get_live, "Alive: the appliance answers"),
    PROBE("/livez", get_live, "Alive: the appliance answers"),
    PROBE("/readyz", get_ready, "Ready: every essential part is well (503 says which is not)"),
    PROBE("/api/v1/health", get_health, "The overall state in one word"),
    {.method = HTTP_GET, .pattern = "/api/v1/health/detailed", .handle = get_detailed,
     .access = ACCESS_PUBLIC, .permission = "health:status:read", .tag = "health", .quiet = true,
     .summary = "Every check and the figures behind it", .answer_schema = "#HealthDetailed"},
    {0},
};
static const struct module_schema schemas[] = {
    {"Health", "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\"},"
               "\"ready\":{\"type\":\"boolean\"},\"version\":{\"type\":\"string\"},"
               "\"uptime_seconds\":{\"type\":\"integer\"}},\"required\":[\"status\"]}"},
    {"HealthDetailed",
     "{\"type\":\"object\",\"properties\":{\"status\":{\"enum\":[\"starting\",\"healthy\","
     "\"degraded\",\"unhealthy\"]},\"ready\":{\"type\":\"boolean\"},\"checks\":{\"type\":\"array\","
     "\"items\":{\"type\":\"object\"}},\"database\":{\"type\":\"object\"},\"memory\":{\"type\":"
     "\"object\"},\"network\":{\"type\":\"object\"},\"loop\":{\"type\":\"object\"}},"
     "\"required\":[\"status\",\"ready\",\"checks\"]}"},
    {0},
};
const struct module health_module = {
    .name = "health", .start = start, .routes = routes, .schemas = schemas};
