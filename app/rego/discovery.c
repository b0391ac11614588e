/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.c — configuration that is a policy's answer: a bundle whose document says which other
 * bundles there are, from which servers, signed by whom.
 *
 *   discovery bundle --ask data.<decision>--> {"bundles": .., "services": .., "keys": .., ..}
 *
 * What is set here stands over what was discovered, member by member, so nobody who writes the
 * bundle can turn around what the appliance's owner decided: where discovery itself comes from and
 * the keys it is held to cannot be changed by it. Kept in memory: it is asked for at each start. */
#include "app/config/config.h"
#include "app/config/services.h"
#include "app/policy/value/json_text.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "app/version.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum { FOUND_BYTES_MAX = 1 << 20, EVALUATION_MS = 5000, KEY_ROOM = 32 };

static struct {
    bool there;
    struct heap heap;
    value document;
} found;

bool discovery_found(void) {
    return found.there;
}

bool discovery_wanted(void) {
    struct source place;
    struct diag why;
    struct arena a;
    bool on = false;
    if (!config_text("policy.discovery").len) return false;
    arena_open(&a, NULL, 0, FOUND_BYTES_MAX);
    rc_t rc = discovery_parse(&a, config_text("policy.discovery"), &place, &on, &why);
    arena_close(&a);
    return rc || on; /* what cannot be read is not ready either */
}

void discovery_forget(void) {
    if (found.there) heap_close(&found.heap);
    memset(&found, 0, sizeof found);
    rego_log_elsewhere(S(""), S(""));
}

/* Of decision_logs: where a policy lies that looks at records, if not where they always do. */
static str log_path(const char *member, str usual) {
    value v = value_get_str(value_get_str(found.document, S("decision_logs")), str_from_c(member));
    str path = v.kind == VALUE_STRING ? value_str(v) : S("");
    while (path.len && path.ptr[0] == '/') path = str_skip(path, 1);
    return str_eq(path, usual) ? S("") : path;
}

/* ---- Sections ---- */

/* `over` wins wherever both say something, as deep as `depth` goes. */
static value merge(struct heap *h, value under, value over, u32 depth) {
    struct value_builder b;
    if (!value_defined(over)) return under;
    if (!depth || under.kind != VALUE_OBJECT || over.kind != VALUE_OBJECT) return over;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(under); i++)
        value_builder_replace(&b, value_key_at(under, i), value_value_at(under, i));
    for (u32 i = 0; i < value_count(over); i++) {
        value key = value_key_at(over, i);
        value_builder_replace(&b, key,
                              merge(h, value_get(under, key), value_value_at(over, i), depth - 1));
    }
    return value_builder_close(&b);
}

static void key_write(char to[KEY_ROOM], const char *member) {
    rc_t rc = str_to_c(str_from_c(member), to + 7, KEY_ROOM - 7);
    CHECK(!rc);
    memcpy(to, "policy.", 7);
}

/* Of the decision log the options here are no document: decisions.service stands over all of it. */
static str boot_text(const char *member) {
    char key[KEY_ROOM];
    if (!strcmp(member, "decision_logs")) return S("");
    key_write(key, member);
    return config_text(key);
}

static rc_t section_of(struct arena *a, value document, const char *member, str *out) {
    struct diag why;
    struct buf text;
    struct heap h;
    value mine = UNDEFINED, theirs = value_get_str(document, str_from_c(member));
    str boot = boot_text(member);
    /* A server or key that is set here stands as it is: nothing is slipped beneath it. */
    bool whole = !strcmp(member, "services") || !strcmp(member, "keys");
    *out = boot;
    if (!value_defined(theirs)) return RC_OK;
    heap_open(&h, 8 * FOUND_BYTES_MAX);
    buf_open(&text, FOUND_BYTES_MAX);
    rc_t rc = boot.len ? json_text_read(&h, NULL, boot, &mine, &why) : RC_OK;
    json_text_write(&text, merge(&h, theirs, mine, whole ? 1 : VALUE_DEPTH_MAX), 0);
    if (!rc && (text.failed || h.exhausted)) rc = RC_NO_MEMORY;
    if (!rc) *out = arena_copy(a, buf_str(&text));
    if (!rc && !out->ptr) rc = RC_NO_MEMORY;
    buf_close(&text);
    heap_close(&h);
    return rc;
}

rc_t section_text(struct arena *a, const char *member, str *out) {
    return section_of(a, found.there ? found.document : UNDEFINED, member, out);
}

/* ---- Asking the bundle ---- */

struct asking {
    struct policy_bundle *bundle;
    str decision;
    struct policy_errors *errors;
    struct diag *why;
    struct heap *heap;
    value answer, runtime;
    rc_t rc;
};

static value decide(struct asking *j, struct policy_program *program) {
    struct policy_evaluator *e;
    struct policy_query *query;
    struct policy_error error = {0};
    value keys[POLICY_PATH_DEPTH_MAX], answer = UNDEFINED;
    struct policy_ask ask = {.data = j->bundle->data,
                             .now_ns = platform_wall_ns(),
                             .runtime = j->runtime,
                             .clock_ns = platform_clock_ns};
    u32 count = 0;
    ask.limits.deadline_ns = platform_clock_ns() + EVALUATION_MS * NS_PER_MS;
    j->rc = RC_LIMIT;
    for (str rest = j->decision, part; j->decision.len && str_split(&rest, '/', &part);)
        if (part.len && count < ARRAY_LEN(keys)) keys[count++] = value_string(j->heap, part);
    if (policy_evaluator_open(&e, POLICY_EVALUATION_BYTES_MAX)) return UNDEFINED;
    j->rc = policy_prepare_path(program, keys, count, &query, j->errors);
    if (!j->rc) {
        j->rc = policy_decide(e, query, &ask, &answer, &error);
        if (j->rc)
            diag_set(j->why, "%s: %.*s", policy_code_name(error.code),
                     STR(str_take(error.message, 200)));
        answer = value_defined(answer) ? value_copy(j->heap, answer) : UNDEFINED;
        policy_query_drop(query);
    }
    policy_evaluator_close(e);
    return answer;
}

static void ask_run(void *arg) {
    struct asking *j = arg;
    struct policy_bundle *b = j->bundle;
    struct policy_load_options o = {.parse.annotations = true};
    struct policy_program *program;
    struct policy_source *sources = heap_alloc(&b->heap, (b->module_count + 1) * sizeof *sources);
    enum rego_version *versions = heap_alloc(&b->heap, (b->module_count + 1) * sizeof *versions);
    j->rc = RC_NO_MEMORY;
    if (!sources || !versions) return;
    for (u32 i = 0; i < b->module_count; i++) {
        sources[i] = (struct policy_source){b->modules[i].name, b->modules[i].text};
        versions[i] = b->modules[i].version;
    }
    o.versions = versions, o.compile.data = b->data;
    j->rc = policy_load(sources, b->module_count, &o, &program, j->errors);
    if (j->rc) return;
    j->answer = decide(j, program);
    policy_drop(program);
    if (!j->rc && !value_defined(j->answer)) {
        diag_set(j->why, "undefined configuration");
        j->rc = RC_INVALID;
    }
}

/* ---- Judging the answer ---- */

static rc_t refuse(struct diag *why, const char *words) {
    diag_set(why, "%s", words);
    return RC_INVALID;
}

/* A member that is set here too must say the same. */
static bool differs(struct heap *h, value document, const char *section, str name) {
    char key[KEY_ROOM];
    struct diag unused;
    value boot;
    key_write(key, section);
    str text = config_text(key);
    if (!text.len || json_text_read(h, NULL, text, &boot, &unused)) return false;
    value mine = value_get_str(boot, name),
          theirs = value_get_str(value_get_str(document, str_from_c(section)), name);
    return value_defined(mine) && value_defined(theirs) && !value_equal(mine, theirs);
}

static rc_t judge(struct arena *a, struct heap *h, value document, struct diag *why) {
    static const struct {
        const char *member;
        bool (*check)(str, struct diag *);
    } sections[] = {{"services", check_services},
                    {"bundles", check_bundles},
                    {"keys", check_keys},
                    {"status", check_status},
                    {"decision_logs", check_decision_logs}};
    struct source place;
    struct diag words = {0};
    bool on;
    if (document.kind != VALUE_OBJECT) return refuse(why, "the configuration is not an object");
    rc_t rc = discovery_parse(a, config_text("policy.discovery"), &place, &on, why);
    if (!rc && place.service.len && differs(h, document, "services", place.service))
        return refuse(why, "updates to the discovery service are not allowed");
    value keys = value_get_str(document, S("keys"));
    for (u32 i = 0; !rc && i < (keys.kind == VALUE_OBJECT ? value_count(keys) : 0); i++)
        if (value_key_at(keys, i).kind == VALUE_STRING &&
            differs(h, document, "keys", value_str(value_key_at(keys, i))))
            return refuse(why,
                          "updates to keys specified in the boot configuration are not allowed");
    for (u32 i = 0; !rc && i < ARRAY_LEN(sections); i++) {
        str text;
        rc = section_of(a, document, sections[i].member, &text);
        if (!rc && !sections[i].check(text, &words)) {
            diag_set(why, "%s: %.200s", sections[i].member, words.text);
            rc = RC_INVALID;
        }
    }
    return rc;
}

static value runtime_of(struct heap *h) {
    value keys[] = {value_string(h, S("id")), value_string(h, S("version")),
                    value_string(h, S("env"))};
    value values[] = {value_string(h, config_text("net.hostname")),
                      value_string(h, S(OPENPOLICY_VERSION)), value_empty_object()};
    return value_object(h, keys, values, ARRAY_LEN(keys));
}

rc_t discovery_take(struct policy_bundle *b, str decision, struct policy_errors *errors,
                    struct diag *why) {
    struct heap fresh;
    struct arena a;
    struct asking j = {
        .bundle = b, .decision = decision, .errors = errors, .why = why, .heap = &fresh};
    if (b->is_delta) return refuse(why, "a discovery bundle cannot be a delta");
    heap_open(&fresh, 16 * FOUND_BYTES_MAX);
    arena_open(&a, NULL, 0, 4 * FOUND_BYTES_MAX);
    j.runtime = runtime_of(&fresh);
    rc_t rc = worker_run(ask_run, &j);
    if (!rc) rc = j.rc;
    if (!rc) rc = judge(&a, &fresh, j.answer, why);
    arena_close(&a);
    if (rc) {
        heap_close(&fresh);
        return rc;
    }
    discovery_forget();
    found.there = true, found.heap = fresh, found.document = j.answer;
    rego_log_elsewhere(log_path("mask_decision", S("system/log/mask")),
                       log_path("drop_decision", S("system/log/drop")));
    log_info("bundles", "the configuration was discovered", "revision=%s",
             LOGSTR(str_take(b->manifest.revision, 100)));
    loaders_configure();
    rego_ship_configure();
    return RC_OK;
}

str rego_default_decision(struct arena *a) {
    value theirs = value_get_str(found.there ? found.document : UNDEFINED, S("default_decision"));
    str path = config_text("policy.default_decision");
    if (!path.len && theirs.kind == VALUE_STRING) path = arena_copy(a, value_str(theirs));
    while (path.len && path.ptr[0] == '/') path = str_skip(path, 1);
    return path.len ? path : S("system/main");
}

void discovery_labels_json(struct json_writer *w) {
    value labels = value_get_str(found.there ? found.document : UNDEFINED, S("labels"));
    for (u32 i = 0; labels.kind == VALUE_OBJECT && i < value_count(labels); i++) {
        value key = value_key_at(labels, i), v = value_value_at(labels, i);
        if (key.kind != VALUE_STRING || v.kind != VALUE_STRING) continue;
        if (str_eq(value_str(key), S("id")) || str_eq(value_str(key), S("version"))) continue;
        json_put_name(w, value_str(key));
        json_put_text(w, value_str(v));
    }
}
