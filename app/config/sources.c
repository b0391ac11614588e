/* SPDX-License-Identifier: Apache-2.0 */
/* sources.c — policy.bundles, policy.keys, policy.discovery, policy.status: read and judged.
 *
 * The form is the reference's. A member it knows and that means nothing here is passed over; any
 * other is refused, since a misspelt "signing" must not end in a bundle nobody verified. */
#include "app/config/sources.h"
#include "app/json.h"

enum {
    PARSE_ARENA_MAX = 512 << 10,
    DELAY_MIN_S = 60,
    DELAY_MAX_S = 120,
    SECONDS_MAX = 86400,
    UPLOAD_BYTES_MAX = 4 << 20,
};

struct reading {
    struct arena *a;
    str name;
    struct diag *why;
};

static rc_t wrong(struct reading *r, const char *member, const char *wanted) {
    diag_set(r->why, "%.*s: \"%s\" %s", STR(str_take(r->name, 60)), member, wanted);
    return RC_INVALID;
}

static rc_t known(struct reading *r, const cJSON *object, const char *const *names) {
    if (!cJSON_IsObject(object)) return wrong(r, "value", "wants an object");
    for (const cJSON *m = object->child; m; m = m->next) {
        u32 i = 0;
        while (names[i] && strcmp(names[i], m->string) != 0) i++;
        if (!names[i]) return wrong(r, m->string, "is not known here");
    }
    return RC_OK;
}

static rc_t text(struct reading *r, const cJSON *object, const char *name, str *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    *out = S("");
    if (!m || cJSON_IsNull(m)) return RC_OK;
    if (!cJSON_IsString(m)) return wrong(r, name, "wants a text");
    *out = str_from_c(m->valuestring);
    return RC_OK;
}

static rc_t number(struct reading *r, const cJSON *object, const char *name, double max,
                   bool *there, u64 *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    *there = m && !cJSON_IsNull(m);
    if (!*there) return RC_OK;
    bool good = cJSON_IsNumber(m) && m->valuedouble >= 0 && m->valuedouble <= max &&
                m->valuedouble == (double)(u64)m->valuedouble;
    if (!good) return wrong(r, name, "wants a whole number in its bounds");
    *out = (u64)m->valuedouble;
    return RC_OK;
}

static rc_t flag(struct reading *r, const cJSON *object, const char *name, bool *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    *out = false;
    if (!m || cJSON_IsNull(m)) return RC_OK;
    if (!cJSON_IsBool(m)) return wrong(r, name, "wants true or false");
    *out = cJSON_IsTrue(m);
    return RC_OK;
}

static rc_t trigger(struct reading *r, const cJSON *object, bool *manual) {
    str how;
    rc_t rc = text(r, object, "trigger", &how);
    *manual = str_eq(how, S("manual"));
    if (rc || !how.len || *manual || str_eq(how, S("periodic"))) return rc;
    return wrong(r, "trigger", "wants periodic or manual");
}

static rc_t polling(struct reading *r, const cJSON *object, struct source *s) {
    static const char *const names[] = {"min_delay_seconds", "max_delay_seconds",
                                        "long_polling_timeout_seconds", NULL};
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(object, "polling");
    bool min, max, wait;
    s->delay_min_s = DELAY_MIN_S, s->delay_max_s = DELAY_MAX_S;
    if (!p || cJSON_IsNull(p)) return RC_OK;
    rc_t rc = known(r, p, names);
    if (!rc) rc = number(r, p, names[0], SECONDS_MAX, &min, &s->delay_min_s);
    if (!rc) rc = number(r, p, names[1], SECONDS_MAX, &max, &s->delay_max_s);
    if (!rc) rc = number(r, p, names[2], SECONDS_MAX, &wait, &s->wait_s);
    if (rc) return rc;
    if (wait && !s->wait_s) return wrong(r, names[2], "must be at least 1");
    if (min && !max) return wrong(r, names[1], "is missing beside min_delay_seconds");
    if (max && !min) return wrong(r, names[0], "is missing beside max_delay_seconds");
    if (s->delay_max_s < s->delay_min_s)
        return wrong(r, "polling", "max polling delay must be >= min polling delay");
    return RC_OK;
}

static rc_t signing(struct reading *r, const cJSON *object, struct source *s) {
    static const char *const names[] = {"keyid", "scope", "exclude_files", NULL};
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(object, "signing"), *list, *m;
    if (!p || cJSON_IsNull(p)) return RC_OK;
    s->has_signing = true;
    rc_t rc = known(r, p, names);
    if (!rc) rc = text(r, p, "keyid", &s->key_id);
    if (!rc) rc = text(r, p, "scope", &s->scope);
    if (rc || !(list = cJSON_GetObjectItemCaseSensitive(p, "exclude_files"))) return rc;
    if (!cJSON_IsArray(list)) return wrong(r, "exclude_files", "wants an array");
    cJSON_ArrayForEach(m, list) {
        if (!cJSON_IsString(m) || s->exclude_count == SOURCE_EXCLUDES_MAX)
            return wrong(r, "exclude_files", "wants a few texts");
        s->exclude[s->exclude_count++] = str_from_c(m->valuestring);
    }
    return RC_OK;
}

static rc_t default_resource(struct reading *r, struct source *s, str name) {
    while (s->resource.len && s->resource.ptr[0] == '/') s->resource = str_skip(s->resource, 1);
    if (s->resource.len) {
        if (str_starts(s->resource, S("file:")))
            return wrong(r, "resource", "names a file: there are none here");
        return RC_OK;
    }
    s->resource = arena_join(r->a, S("bundles/"), name);
    return s->resource.ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t read_source(struct reading *r, const cJSON *object, struct source *s) {
    static const char *const names[] = {"service", "resource",         "polling", "signing",
                                        "persist", "size_limit_bytes", "trigger", NULL};
    bool unused;
    rc_t rc = known(r, object, names);
    if (!rc) rc = text(r, object, "service", &s->service);
    if (!rc) rc = text(r, object, "resource", &s->resource);
    if (!rc) rc = number(r, object, "size_limit_bytes", 1e12, &unused, &s->bytes_max);
    if (!rc) rc = flag(r, object, "persist", &unused);
    if (!rc) rc = trigger(r, object, &s->manual);
    if (!rc) rc = polling(r, object, s);
    if (!rc) rc = signing(r, object, s);
    return rc ? rc : default_resource(r, s, s->name);
}

static rc_t open_section(struct arena *a, str json, const char *what, cJSON **root,
                         struct diag *why) {
    *root = NULL;
    if (!json.len) return RC_OK;
    rc_t rc = json_parse(a, json, root, why);
    if (!rc && !cJSON_IsObject(*root)) {
        diag_set(why, "wants an object of %s", what);
        rc = RC_INVALID;
    }
    return rc;
}

rc_t sources_parse(struct arena *a, str json, struct source *list, u32 *count, struct diag *why) {
    cJSON *root;
    rc_t rc = open_section(a, json, "bundles by name", &root, why);
    *count = 0;
    for (const cJSON *m = root ? root->child : NULL; m && !rc; m = m->next) {
        struct reading r = {a, str_from_c(m->string), why};
        if (*count == SOURCES_MAX) return wrong(&r, "bundles", "are too many");
        if (!r.name.len || r.name.len > SOURCE_NAME_MAX) return wrong(&r, "name", "is too long");
        if (cJSON_IsNull(m)) continue;
        struct source *s = &list[(*count)++];
        *s = (struct source){.name = r.name};
        rc = read_source(&r, m, s);
    }
    return rc;
}

rc_t source_keys_parse(struct arena *a, str json, struct source_key *list, u32 *count,
                       struct diag *why) {
    static const char *const names[] = {"key", "private_key", "algorithm", "scope", NULL};
    cJSON *root;
    rc_t rc = open_section(a, json, "keys by name", &root, why);
    *count = 0;
    for (const cJSON *m = root ? root->child : NULL; m && !rc; m = m->next) {
        struct reading r = {a, str_from_c(m->string), why};
        if (*count == SOURCE_KEYS_MAX) return wrong(&r, "keys", "are too many");
        struct source_key *k = &list[(*count)++];
        k->id = r.name;
        rc = known(&r, m, names);
        if (!rc) rc = text(&r, m, "key", &k->key);
        if (!rc) rc = text(&r, m, "algorithm", &k->algorithm);
        if (!rc) rc = text(&r, m, "scope", &k->scope);
        if (!rc && !k->key.len) rc = wrong(&r, "key", "is missing");
    }
    return rc;
}

rc_t discovery_parse(struct arena *a, str json, struct source *s, bool *on, struct diag *why) {
    static const char *const names[] = {"service", "resource", "decision", "name",    "prefix",
                                        "polling", "signing",  "persist",  "trigger", NULL};
    struct reading r = {a, S("discovery"), why};
    cJSON *root;
    str name, prefix;
    bool unused;
    rc_t rc = open_section(a, json, "discovery", &root, why);
    *s = (struct source){.name = S("discovery")};
    *on = root && root->child;
    if (rc || !*on) return rc;
    rc = known(&r, root, names);
    if (!rc) rc = text(&r, root, "service", &s->service);
    if (!rc) rc = text(&r, root, "resource", &s->resource);
    if (!rc) rc = text(&r, root, "decision", &s->decision);
    if (!rc) rc = text(&r, root, "name", &name);
    if (!rc) rc = text(&r, root, "prefix", &prefix);
    if (!rc) rc = flag(&r, root, "persist", &unused);
    if (!rc) rc = trigger(&r, root, &s->manual);
    if (!rc) rc = polling(&r, root, s);
    if (!rc) rc = signing(&r, root, s);
    if (!rc && !s->resource.len && !name.len) {
        diag_set(why, "missing required discovery.resource field");
        rc = RC_INVALID;
    }
    if (rc) return rc;
    if (!s->decision.len) s->decision = name;
    if (!s->resource.len && prefix.len) {
        s->resource = arena_join(a, prefix, S("/"), name);
        if (!s->resource.ptr) return RC_NO_MEMORY;
    }
    return default_resource(&r, s, name);
}

rc_t status_target_parse(struct arena *a, str json, struct status_target *out, struct diag *why) {
    static const char *const names[] = {"service",    "partition_name",    "console", "trigger",
                                        "prometheus", "prometheus_config", NULL};
    struct reading r = {a, S("status"), why};
    cJSON *root;
    rc_t rc = open_section(a, json, "status", &root, why);
    *out = (struct status_target){0};
    if (rc || !root || !root->child) return rc;
    out->on = true;
    rc = known(&r, root, names);
    if (!rc) rc = text(&r, root, "service", &out->service);
    if (!rc) rc = text(&r, root, "partition_name", &out->partition);
    if (!rc) rc = flag(&r, root, "console", &out->console);
    return rc ? rc : trigger(&r, root, &out->manual);
}

static rc_t reporting(struct reading *r, const cJSON *root, struct decision_target *out) {
    static const char *const names[] = {
        "min_delay_seconds",          "max_delay_seconds",        "upload_size_limit_bytes",
        "trigger",                    "buffer_type",              "buffer_size_limit_bytes",
        "buffer_size_limit_events",   "max_decisions_per_second", NULL};
    const cJSON *p = cJSON_GetObjectItemCaseSensitive(root, "reporting");
    bool unused;
    if (!p || cJSON_IsNull(p)) return RC_OK;
    rc_t rc = known(r, p, names);
    if (!rc) rc = number(r, p, names[0], SECONDS_MAX, &unused, &out->delay_min_s);
    if (!rc) rc = number(r, p, names[1], SECONDS_MAX, &unused, &out->delay_max_s);
    if (!rc) rc = number(r, p, names[2], UPLOAD_BYTES_MAX, &unused, &out->upload_bytes);
    if (!rc) rc = trigger(r, p, &out->manual);
    if (!rc && out->delay_max_s && out->delay_max_s < out->delay_min_s)
        rc = wrong(r, "reporting", "max reporting delay must be >= min reporting delay");
    return rc;
}

/* Where a policy lies that looks at records: "/system/log/mask". */
static rc_t decision_path(struct reading *r, const cJSON *root, const char *name) {
    str path;
    rc_t rc = text(r, root, name, &path);
    if (rc) return rc;
    if (path.len > DECISION_PATH_MAX) return wrong(r, name, "is too long");
    return str_find_byte(path, '"') < path.len ? wrong(r, name, "has a quote in it") : RC_OK;
}

rc_t decision_target_parse(struct arena *a, str json, struct decision_target *out,
                           struct diag *why) {
    static const char *const names[] = {
        "service",       "partition_name",   "resource",        "reporting", "mask_decision",
        "drop_decision", "nd_builtin_cache", "request_context", "console",   "plugin", NULL};
    struct reading r = {a, S("decision_logs"), why};
    cJSON *root;
    rc_t rc = open_section(a, json, "decision_logs", &root, why);
    *out = (struct decision_target){0};
    if (rc || !root || !root->child) return rc;
    out->on = true;
    rc = known(&r, root, names);
    if (!rc) rc = text(&r, root, "service", &out->service);
    if (!rc) rc = text(&r, root, "partition_name", &out->partition);
    if (!rc) rc = text(&r, root, "resource", &out->resource);
    if (!rc) rc = decision_path(&r, root, "mask_decision");
    if (!rc) rc = decision_path(&r, root, "drop_decision");
    if (!rc) rc = reporting(&r, root, out);
    while (out->resource.len && out->resource.ptr[0] == '/')
        out->resource = str_skip(out->resource, 1);
    return rc;
}

/* ---- For the table of options ---- */

enum section { BUNDLES, KEYS, DISCOVERY, STATUS, DECISION_LOGS };

static bool check(enum section which, str value, struct diag *why) {
    struct arena a;
    struct status_target target;
    struct decision_target decisions;
    bool on;
    u32 count;
    rc_t rc = RC_NO_MEMORY;
    arena_open(&a, NULL, 0, PARSE_ARENA_MAX);
    struct source *list = arena_alloc(&a, SOURCES_MAX * sizeof *list);
    struct source_key *keys = arena_alloc(&a, SOURCE_KEYS_MAX * sizeof *keys);
    if (list && keys)
        rc = which == BUNDLES     ? sources_parse(&a, value, list, &count, why)
             : which == KEYS      ? source_keys_parse(&a, value, keys, &count, why)
             : which == DISCOVERY ? discovery_parse(&a, value, list, &on, why)
             : which == STATUS    ? status_target_parse(&a, value, &target, why)
                                  : decision_target_parse(&a, value, &decisions, why);
    if (rc == RC_NO_MEMORY) diag_set(why, "there is no memory to read it");
    arena_close(&a);
    return rc == RC_OK;
}
bool check_bundles(str value, struct diag *why) {
    return check(BUNDLES, value, why);
}
bool check_keys(str value, struct diag *why) {
    return check(KEYS, value, why);
}
bool check_discovery(str value, struct diag *why) {
    return check(DISCOVERY, value, why);
}
bool check_status(str value, struct diag *why) {
    return check(STATUS, value, why);
}
bool check_decision_logs(str value, struct diag *why) {
    return check(DECISION_LOGS, value, why);
}
