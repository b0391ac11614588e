/* SPDX-License-Identifier: Apache-2.0 */
/* report.c — how bundles fare, told to the service of policy.status in the reference's form:
 *
 *   POST <service>/status/<partition>
 *   {"labels": {"id", "version"}, "bundles": {"authz": {...}}, "discovery": {...}, "plugins":
 * {...}}
 *
 * A report leaves after each round of a bundle, and what happens within a second goes in one. One
 * that cannot be delivered is made anew at the next occasion: it tells how things are, not what
 * happened. */
#include "app/config/config.h"
#include "app/health/health.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "app/rego/service.h"
#include "app/version.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/platform.h"

enum { REPORT_BYTES_MAX = 1 << 20, GATHER_MS = 1000, ANSWER_BYTES_MAX = 64 << 10, FAILED_MAX = 5 };

static bool running, wanted, stopping;

static const char *policies_state(void) {
    struct rego_state *s = rego_hold();
    const char *state = !s ? "NOT_READY" : s->build->broken ? "ERROR" : "OK";
    rego_release(s);
    return state;
}

u32 plugin_states(struct plugin_state list[PLUGINS_MAX]) {
    bool found = discovery_found() || !discovery_wanted();
    const char *shipping = rego_ship_state();
    u32 count = 0;
    list[count++] = (struct plugin_state){"bundle", loaders_ready() ? "OK" : "NOT_READY"};
    list[count++] = (struct plugin_state){"discovery", found ? "OK" : "NOT_READY"};
    list[count++] = (struct plugin_state){"status", "OK"};
    list[count++] = (struct plugin_state){"policies", policies_state()};
    if (shipping) list[count++] = (struct plugin_state){"decision_logs", shipping};
    return count;
}

void report_json(struct json_writer *w, bool plugins) {
    struct plugin_state list[PLUGINS_MAX];
    json_object(w, "labels");
    json_text(w, "id", config_text("net.hostname"));
    json_text(w, "version", S(OPENPOLICY_VERSION));
    discovery_labels_json(w);
    json_object_end(w);
    loaders_json(w);
    if (!plugins) return;
    json_object(w, "plugins");
    for (u32 i = 0, count = plugin_states(list); i < count; i++) {
        json_object(w, list[i].name);
        json_text(w, "state", str_from_c(list[i].state));
        json_object_end(w);
    }
    json_object_end(w);
}

static rc_t send(struct arena *a, const struct status_target *target, struct diag *why) {
    static const struct http_field fields[] = {{{"Content-Type", 12}, {"application/json", 16}}};
    struct http_client_request request;
    struct http_client_answer answer;
    struct service service;
    struct json_writer w;
    str body, path = S("status");
    json_open(&w, REPORT_BYTES_MAX);
    json_object(&w, NULL);
    report_json(&w, true);
    json_object_end(&w);
    body = arena_copy(a, buf_str(&w.out));
    bool failed = w.out.failed || !body.ptr;
    json_close(&w);
    if (failed) return RC_NO_MEMORY;
    if (target->console)
        log_info("status", "status report", "report=%s", LOGSTR(str_take(body, 700)));
    if (target->console && !target->service.len) return RC_OK;
    if (target->partition.len) path = arena_join(a, S("status/"), target->partition);
    rc_t rc = path.ptr ? service_find(a, target->service, &service, why) : RC_NO_MEMORY;
    if (!rc) rc = service_request(a, &service, S("POST"), path, fields, 1, &request, why);
    if (rc) return rc;
    request.body = body;
    rc = http_client_fetch(a, &request, ANSWER_BYTES_MAX, &answer, &body, why);
    if (!rc && (answer.status < 200 || answer.status > 299)) {
        diag_set(why, "status update failed, server replied with HTTP %d", answer.status);
        rc = RC_IO;
    }
    return rc;
}

static rc_t report_once(void) {
    struct status_target target;
    struct diag why = {0};
    struct arena a;
    str text;
    arena_open(&a, NULL, 0, 4 * REPORT_BYTES_MAX);
    rc_t rc = section_text(&a, "status", &text);
    if (!rc) rc = status_target_parse(&a, text, &target, &why);
    if (!rc && target.on && !target.manual) rc = send(&a, &target, &why);
    if (rc)
        log_warn("status", "a status report could not be sent", "why=%s",
                 LOGSTR(why.text[0] ? str_from_c(why.text) : str_from_c(rc_name(rc))));
    arena_close(&a);
    return rc;
}

static void report_fiber(void *arg) {
    (void)arg;
    for (u32 failed = 0; wanted && !stopping && failed < FAILED_MAX;) {
        fiber_sleep_ms(GATHER_MS << failed);
        wanted = false;
        if (stopping || !report_once())
            failed = 0;
        else
            failed++, wanted = true;
    }
    wanted = running = false;
}

void report_soon(void) {
    wanted = true;
    if (running || stopping) return;
    running = fiber_start("status report", report_fiber, NULL, NULL) == RC_OK;
}

void report_start(void) {
    stopping = false;
    health_engine_set(rego_health_answer);
    if (config_on_change("policy.status", report_soon))
        log_warn("status", "changes of policy.status hold from the next start on");
}

void report_stop(void) {
    stopping = true;
}
