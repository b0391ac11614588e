/* SPDX-License-Identifier: Apache-2.0 */
/* api.c — configuration over HTTP, for administrators.
 *
 *   GET    /api/v1/config              every option: value, source, bounds, what a change does
 *   PUT    /api/v1/config              {"log.level": "debug", "auth.lock_after": 5}: all or nothing
 *   GET    /api/v1/config/{key}        one
 *   PUT    /api/v1/config/{key}        {"value": "debug"}
 *   DELETE /api/v1/config/{key}        back to its default
 *   POST   /api/v1/config/{key}/check, /revert    tried, put back (revert.c)
 *   GET    /api/v1/config-changes      who changed what, newest first
 *
 * One version covers the whole: the ETag of every answer, checked by If-Match when it is sent.
 * Always true: everything is validated before anything is written; a key fixed by the machine's
 * configuration is refused (409) rather than stored without effect; secrets are never shown. */
#include "app/config/config_impl.h"
#include "app/metrics/metrics.h"
#include "app/reply.h"

/* ---- Reading ------------------------------------------------------------------------------- */

static void write_value(struct json_writer *w, const char *key, const struct option *o, str text,
                        s64 number) {
    if (option_is_hidden(o))
        json_null(w, key);
    else if (o->kind == OPTION_INT)
        json_int(w, key, number);
    else if (o->kind == OPTION_BOOL)
        json_bool(w, key, number != 0);
    else if (o->kind == OPTION_JSON)
        json_raw(w, key, text.len ? text : S("null"));
    else
        json_text(w, key, text);
}

static void write_bounds(struct json_writer *w, const struct option *o) {
    if (o->kind == OPTION_CHOICE) {
        str rest = str_from_c(o->choices), one;
        json_array(w, "choices");
        while (str_split(&rest, ' ', &one)) json_text(w, NULL, one);
        json_array_end(w);
    } else if (o->kind != OPTION_BOOL) {
        json_int(w, "min", o->min);
        json_int(w, "max", o->max);
    }
}

static void write_option(struct json_writer *w, u32 i) {
    const struct option *o = &options[i];
    struct config_view v;
    config_view_get(i, &v);
    json_object(w, NULL);
    json_text(w, "key", str_from_c(o->key));
    write_value(w, "value", o, v.text, v.number);
    if (option_is_hidden(o)) json_bool(w, "set", v.text.len > 0);
    json_text(w, "type", str_from_c(option_kind_name(o->kind)));
    if (o->kind != OPTION_INT && o->kind != OPTION_BOOL)
        json_text(w, "default", str_from_c(o->initial));
    else
        json_raw(w, "default", str_from_c(o->initial)); /* digits, true or false: JSON already */
    json_text(w, "source", str_from_c(config_source_name(v.source)));
    json_bool(w, "writable", o->kind != OPTION_SECRET && !config_fixed_by_machine(i));
    json_text(w, "takes_effect", o->effect == LIVE ? S("at once") : S("after a restart"));
    json_bool(w, "restart_needed", v.restart_needed);
    write_bounds(w, o);
    json_int(w, "version", v.version);
    json_text(w, "help", str_from_c(o->help));
    json_object_end(w);
}

static void answer_all(struct request *rq, s64 version) {
    struct json_writer w;
    json_open(&w, KIB(1024));
    json_object(&w, NULL);
    json_int(&w, "version", version);
    json_int(&w, "total", option_count);
    json_array(&w, "items");
    for (u32 i = 0; i < option_count; i++) write_option(&w, i);
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

void config_answer_one(struct request *rq, u32 i) {
    struct json_writer w;
    json_open(&w, KIB(320));
    write_option(&w, i);
    reply_json(rq, 200, &w);
}

static void get_all(struct request *rq) {
    s64 version;
    rc_t rc = config_store_version(&version);
    if (rc)
        reply_rc(rq, rc, "Reading the configuration");
    else if (!reply_not_modified(rq, version))
        answer_all(rq, version);
}

static int option_of_path(struct request *rq) {
    int i = option_find(rq->params[0]);
    if (i < 0)
        reply_problem(rq, 404, "config_key_unknown",
                      "There is no such option; GET /api/v1/config lists them.");
    return i;
}

static void get_one(struct request *rq) {
    s64 version;
    int i = option_of_path(rq);
    if (i < 0) return;
    rc_t rc = config_store_version(&version);
    if (rc) {
        reply_rc(rq, rc, "Reading the configuration");
        return;
    }
    reply_etag(rq, version);
    config_answer_one(rq, (u32)i);
}

/* ---- Writing ------------------------------------------------------------------------------- */

static bool refuse(struct request *rq, int status, const char *code, const char *detail) {
    metric_add(METRIC_CONFIG_REFUSED, 1);
    reply_problem(rq, status, code, "%s.", detail);
    return false;
}

static bool writable(struct request *rq, u32 i) {
    struct diag why;
    if (options[i].kind == OPTION_SECRET) {
        diag_set(&why, "%s comes from the machine's configuration only", options[i].key);
        return refuse(rq, 422, "config_machine_only", why.text);
    }
    if (!config_fixed_by_machine(i)) return true;
    diag_set(&why, "%s is set by the machine's configuration; change it there", options[i].key);
    return refuse(rq, 409, "config_set_by_machine", why.text);
}

static bool read_setting(struct request *rq, int i, const char *key, const cJSON *value,
                         struct config_setting *out) {
    struct diag why = {0};
    str text;
    if (i < 0) {
        diag_set(&why, "unknown key %.80s", key);
        return refuse(rq, 422, "config_key_unknown", why.text);
    }
    if (!writable(rq, (u32)i)) return false;
    rc_t rc = option_text_of_json(&options[i], value, rq->arena, &text, &why);
    if (!rc) rc = option_parse(&options[i], text, rq->arena, &out->text, &out->number, &why);
    if (rc == RC_NO_MEMORY) {
        reply_rc(rq, rc, "Reading the configuration");
        return false;
    }
    out->option = (u32)i;
    return !rc || refuse(rq, 422, "config_value_invalid", why.text);
}

/* The version If-Match names, -1: it was not sent. false: answered. */
static bool expected_version(struct request *rq, s64 *out) {
    s64 now;
    *out = -1;
    if (!http_field(rq->http, S("If-Match")).ptr) return true;
    rc_t rc = config_store_version(&now);
    if (rc) {
        reply_rc(rq, rc, "Reading the configuration");
        return false;
    }
    if (!request_if_match(rq, now, false)) return false;
    *out = now; /* checked again inside the transaction */
    return true;
}

/* false: answered. */
static bool change(struct request *rq, const struct config_setting *list, u32 count, bool unset,
                   s64 *version) {
    s64 expected;
    if (!expected_version(rq, &expected)) return false;
    rc_t rc = config_store_change(rq, list, count, unset, expected, version);
    if (rc == RC_CONFLICT)
        return refuse(rq, 412, "changed_meanwhile", "The configuration was changed meanwhile");
    if (rc) {
        reply_rc(rq, rc, "Changing the configuration");
        return false;
    }
    reply_etag(rq, *version);
    return true;
}

static void put_one(struct request *rq) {
    cJSON *body;
    struct config_setting s;
    s64 version;
    int i = option_of_path(rq);
    if (i < 0 || !request_json(rq, &body)) return;
    if (!request_members_known(rq, body, (const char *const[]){"value", NULL})) return;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, "value");
    if (!value) {
        reply_problem(rq, 422, "member_missing", "\"value\" is wanted.");
        return;
    }
    if (!read_setting(rq, i, options[i].key, value, &s)) return;
    if (change(rq, &s, 1, false, &version)) config_answer_one(rq, (u32)i);
}

static void put_all(struct request *rq) {
    cJSON *body;
    struct config_setting list[OPTIONS_MAX];
    u32 count = 0;
    s64 version;
    if (!request_json(rq, &body)) return;
    if (!body->child) {
        reply_problem(rq, 422, "member_missing", "At least one option is wanted.");
        return;
    }
    for (const cJSON *m = body->child; m; m = m->next) /* keys are unique: no more than options */
        if (!read_setting(rq, option_find(str_from_c(m->string)), m->string, m, &list[count++]))
            return;
    if (change(rq, list, count, false, &version)) answer_all(rq, version);
}

static void delete_one(struct request *rq) {
    s64 version;
    int i = option_of_path(rq);
    if (i < 0 || !writable(rq, (u32)i)) return;
    struct config_setting s = {.option = (u32)i};
    if (change(rq, &s, 1, true, &version)) config_answer_one(rq, (u32)i);
}

/* ---- History ------------------------------------------------------------------------------- */

static rc_t write_changes(struct json_writer *w, const struct page *p) {
    struct db_txn *t;
    struct db_rows *rows = NULL;
    s64 total = 0;
    rc_t rc = db_read_begin(&t);
    if (rc) return rc;
    rc = db_query(t, &rows, "SELECT count(*) FROM config_change");
    if (!rc && !(rc = db_next(rows))) total = db_column_int(rows, 0);
    db_done(rows);
    rows = NULL;
    json_int(w, "total", total);
    json_int(w, "limit", (s64)p->limit);
    json_int(w, "offset", (s64)p->offset);
    json_array(w, "items");
    if (!rc)
        rc = db_query(t, &rows,
                      "SELECT version, key, old, new, changed_at, changed_by FROM config_change"
                      " ORDER BY version DESC, key LIMIT ?1 OFFSET ?2",
                      DB_INT(p->limit), DB_INT(p->offset));
    while (!rc && !(rc = db_next(rows))) {
        json_object(w, NULL);
        json_int(w, "version", db_column_int(rows, 0));
        json_text(w, "key", db_column_text(rows, 1));
        json_text(w, "old", db_column_text(rows, 2));
        json_text(w, "new", db_column_text(rows, 3));
        json_time(w, "changed_at", (u64)db_column_int(rows, 4) * NS_PER_MS);
        json_text(w, "changed_by", db_column_text(rows, 5));
        json_object_end(w);
    }
    db_done(rows);
    db_read_end(t);
    json_array_end(w);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

static void get_changes(struct request *rq) {
    struct page p;
    struct json_writer w;
    if (!request_page(rq, &p)) return;
    json_open(&w, KIB(512));
    json_object(&w, NULL);
    rc_t rc = write_changes(&w, &p);
    json_object_end(&w);
    if (!rc) {
        reply_json(rq, 200, &w);
        return;
    }
    json_close(&w);
    reply_rc(rq, rc, "Reading the changes");
}

/* ---- Tables -------------------------------------------------------------------------------- */

static const struct route_param page_query[] = {
    {"limit", "integer", "How many, 1 to 100; 20 if absent"},
    {"offset", "integer", "How many to skip"},
    {0},
};
#define CONFIG_ROUTE(verb, path, fn, right, words, body, answer)                                   \
    {.method = verb, .pattern = path, .handle = fn, .access = ACCESS_ADMIN, .permission = right,   \
     .summary = words, .tag = "configuration", .body_schema = body, .answer_schema = answer}
const struct route config_routes[] = {
    CONFIG_ROUTE(HTTP_GET, "/api/v1/config", get_all, "config:option:read",
                 "Every option with its value and source", NULL, "#ConfigList"),
    CONFIG_ROUTE(HTTP_PUT, "/api/v1/config", put_all, "config:option:update",
                 "Change several options, all or none", "#ConfigValues", "#ConfigList"),
    CONFIG_ROUTE(HTTP_GET, "/api/v1/config/{key}", get_one, "config:option:read", "One option",
                 NULL, "#ConfigOption"),
    CONFIG_ROUTE(HTTP_PUT, "/api/v1/config/{key}", put_one, "config:option:update",
                 "Change one option", "#ConfigValue", "#ConfigOption"),
    CONFIG_ROUTE(HTTP_DELETE, "/api/v1/config/{key}", delete_one, "config:option:update",
                 "Back to the default", NULL, "#ConfigOption"),
    CONFIG_ROUTE(HTTP_POST, "/api/v1/config/{key}/check", config_check_one, "config:option:update",
                 "Would a value be accepted? Nothing is stored", "#ConfigValue", "#ConfigChecked"),
    CONFIG_ROUTE(HTTP_POST, "/api/v1/config/{key}/revert", config_revert_one,
                 "config:option:update", "Back to what a version left in force", "#ConfigRevert",
                 "#ConfigOption"),
    {.method = HTTP_GET, .pattern = "/api/v1/config-changes", .handle = get_changes,
     .access = ACCESS_ADMIN, .permission = "config:option:read", .tag = "configuration",
     .summary = "Who changed what, newest first", .query = page_query,
     .answer_schema = "#ConfigChanges"},
    {0},
};
const struct module_schema config_schemas[] = {
    {"ConfigOption",
     "{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\"},\"value\":{\"type\":"
     "[\"string\",\"integer\",\"boolean\",\"object\",\"null\"]},\"type\":"
     "{\"enum\":[\"text\",\"integer\","
     "\"boolean\",\"choice\",\"duration\",\"secret\",\"document\",\"json\"]},\"source\":"
     "{\"enum\":[\"default\",\"stored\","
     "\"machine configuration\",\"command line\"]},\"writable\":{\"type\":\"boolean\"},"
     "\"restart_needed\":{\"type\":\"boolean\"},\"version\":{\"type\":\"integer\"},"
     "\"help\":{\"type\":\"string\"}},\"required\":[\"key\",\"value\",\"type\",\"source\"]}"},
    {"ConfigList",
     "{\"type\":\"object\",\"properties\":{\"version\":{\"type\":\"integer\"},\"total\":{\"type\":"
     "\"integer\"},\"items\":{\"type\":\"array\",\"items\":{\"$ref\":"
     "\"#/components/schemas/ConfigOption\"}}},\"required\":[\"version\",\"items\",\"total\"]}"},
    {"ConfigValue",
     "{\"type\":\"object\",\"properties\":{\"value\":{\"type\":[\"string\",\"integer\","
     "\"boolean\",\"object\"]}},"
     "\"required\":[\"value\"],\"additionalProperties\":false}"},
    {"ConfigValues", "{\"type\":\"object\",\"minProperties\":1,\"additionalProperties\":{\"type\":"
                     "[\"string\",\"integer\",\"boolean\",\"object\"]}}"},
    {"ConfigChecked", "{\"type\":\"object\",\"properties\":{\"key\":{\"type\":\"string\"},"
                      "\"valid\":{\"const\":true}},\"required\":[\"key\",\"valid\"]}"},
    {"ConfigRevert", "{\"type\":\"object\",\"properties\":{\"version\":{\"type\":\"integer\","
                     "\"minimum\":0}},\"required\":[\"version\"],"
                     "\"additionalProperties\":false}"},
    {"ConfigChanges",
     "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"object\"}},\"total\":{\"type\":\"integer\"},\"limit\":{\"type\":\"integer\"},\"offset\":"
     "{\"type\":\"integer\"}},\"required\":[\"items\",\"total\"]}"},
    {0},
};
