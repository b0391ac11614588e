/* SPDX-License-Identifier: Apache-2.0 */
/* health.c — /health as the reference's probes ask it.
 *
 *   /health?bundles&plugins&exclude-plugin=status   200 {} or 500 {"error": ...}
 *   /health/live                                    data.system.health.live, asked with
 *       {"plugin_state": {"bundle": "OK", ...}, "plugins_ready": true}
 *
 * `plugins_ready` stays true once all were well: a bundle server that goes down later takes nobody
 * out of service. Anyone may ask, and learns no more than yes or no. */
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"

static bool all_ready_once;

static void say(struct request *rq, const char *error) {
    struct json_writer w;
    json_open(&w, KIB(8));
    json_object(&w, NULL);
    if (error) json_text(&w, "error", str_from_c(error));
    json_object_end(&w);
    reply_json(rq, error ? 500 : 200, &w);
}

static bool is_excluded(struct request *rq, const char *plugin) {
    str rest = rq->http->query, name;
    while (rego_query_next(rq, &rest, "exclude-plugin", &name))
        if (str_eq(name, str_from_c(plugin))) return true;
    return false;
}

bool rego_health_answer(struct request *rq) {
    struct plugin_state list[PLUGINS_MAX];
    u32 count = plugin_states(list);
    bool bundles = rego_flag(rq, "bundles") || rego_flag(rq, "bundle"),
         plugins = rego_flag(rq, "plugins"), down = false;
    const char *error = NULL;
    if (!bundles && !plugins) return false;
    for (u32 i = 0; i < count; i++) {
        bool well = !strcmp(list[i].state, "OK");
        bool loads = !strcmp(list[i].name, "bundle") || !strcmp(list[i].name, "discovery");
        if (!well && bundles && loads) error = "one or more bundles are not activated";
        down |= !well && !is_excluded(rq, list[i].name);
    }
    if (!error && plugins && down) error = "one or more plugins are not up";
    say(rq, error);
    return true;
}

static value input_make(struct heap *h) {
    struct plugin_state list[PLUGINS_MAX];
    value keys[PLUGINS_MAX], states[PLUGINS_MAX];
    u32 count = plugin_states(list);
    bool ready = true;
    for (u32 i = 0; i < count; i++) {
        keys[i] = value_string_c(h, list[i].name);
        states[i] = value_string_c(h, list[i].state);
        ready &= !strcmp(list[i].state, "OK");
    }
    all_ready_once |= ready;
    value names[] = {value_string_c(h, "plugin_state"), value_string_c(h, "plugins_ready")};
    value values[] = {value_object(h, keys, states, count), value_boolean(all_ready_once)};
    return value_object(h, names, values, ARRAY_LEN(names));
}

/* What the policy says; false: `why`. */
static bool is_well(struct rego_state *s, struct policy_evaluator *e, str path, struct diag *why) {
    struct policy_errors errors;
    struct policy_query *query = NULL;
    struct policy_error error = {0};
    struct heap h;
    value result = UNDEFINED;
    struct policy_ask ask = {.input = input_make(policy_evaluator_heap(e))};
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    str full = rego_path_query(&h, path);
    rc_t rc = full.len ? rego_query_of(s, path, &query, &errors) : RC_INVALID;
    bool own = rc == RC_AGAIN;
    if (own) rc = RC_OK;
    rego_ask_fill(&ask, s);
    if (rc)
        diag_set(why, "the health check cannot be asked");
    else if (policy_decide(e, query, &ask, &result, &error))
        diag_set(why, "%s: %.*s", policy_code_name(error.code), STR(str_take(error.message, 150)));
    else if (!value_defined(result))
        diag_set(why, "health check (%.*s) was undefined", STR(str_take(full, 150)));
    else if (!value_is_true(result))
        diag_set(why, "health check (%.*s) returned unexpected value", STR(str_take(full, 150)));
    if (own) policy_query_drop(query);
    heap_close(&h);
    return value_is_true(result);
}

void rego_health_policy(struct request *rq) {
    struct rego_state *s = rego_hold();
    struct policy_evaluator *e = NULL;
    struct diag why = {0};
    str path = arena_join(rq->arena, S("system/health/"), rego_path_of(rq));
    rc_t rc = !s ? RC_AGAIN : !path.ptr ? RC_NO_MEMORY : rego_evaluator_take(&e);
    if (rc)
        say(rq, "the policies are not loaded");
    else {
        bool well = is_well(s, e, path, &why);
        say(rq, well ? NULL : why.text);
        rego_evaluator_give(e);
    }
    rego_release(s);
}
