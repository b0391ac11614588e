/* SPDX-License-Identifier: Apache-2.0 */
/* api.c — access asked about itself.
 *
 *   GET       /api/v1/access/permissions   what may I do? (?user=: somebody else)
 *   GET, POST /api/v1/access/explain       may they, and why: by permission, or by method and path
 *   GET       /api/v1/access/policy        what decides now, and the shipped policy's text
 *
 * Everybody may ask about themselves; about others, whoever may read the access policy. The answer
 * is what would be decided now: the same policy, the same data, through the same door. */
#include <stdio.h>
#include <stdlib.h>
#include "app/access/access_impl.h"
#include "app/policy/value/json_text.h"
#include "app/reply.h"
#include "kernel/platform.h"

enum { ANSWER_BYTES_MAX = 1 << 20, PERMISSIONS_MAX = 512 };

static const struct route *(*find_route)(enum http_method method, str path);
void access_router_use(const struct route *(*find)(enum http_method method, str path)) {
    find_route = find;
}

/* ---- Who is asked about ---- */

#define PERMISSION_OTHERS "access:policy:read"

/* false: answered. */
static bool subject_of(struct request *rq, str user, struct actor *out) {
    *out = rq->actor;
    if (!user.len || str_eq(user, rq->actor.user_id) || str_eq_nocase(user, rq->actor.email))
        return true;
    if (!access_check(rq, S(PERMISSION_OTHERS), S(""), S(""), S(""))) return false;
    *out = (struct actor){0};
    if (str_eq(user, S("guest"))) return true;
    if (access_directory() && access_directory()->account(rq->arena, user, out)) return true;
    reply_problem(rq, 404, "user_not_found", "There is no account with this id or address.");
    return false;
}

static void put_subject(struct json_writer *w, const struct actor *who) {
    json_object(w, "who");
    json_text(w, "id", who->user_id);
    json_text(w, "email", who->email);
    json_text(w, "role", who->user_id.len ? who->role : S("guest"));
    json_object_end(w);
}

/* ---- What may they do? ---- */

struct permission {
    str name;
    const struct route *route;
};

static int by_name(const void *a, const void *b) {
    const struct permission *x = a, *y = b;
    int order = str_cmp(x->name, y->name);
    return order ? order : strcmp(x->route->pattern, y->route->pattern);
}

static u32 gather(struct permission *to) {
    u32 n = 0;
    for (const struct module *const *m = access_modules(); m && *m; m++)
        for (const struct route *r = (*m)->routes; r && r->pattern && n < PERMISSIONS_MAX; r++)
            to[n++] = (struct permission){access_permission_of(r), r};
    qsort(to, n, sizeof *to, by_name);
    return n;
}

static void put_permission(struct json_writer *w, const struct permission *p, u32 count,
                           const struct request *rq, const struct actor *who) {
    struct access_question q = {.who = who, .permission = p->name};
    struct access_answer answer;
    access_decide_for(rq, &q, &answer);
    json_object(w, NULL);
    json_text(w, "permission", p->name);
    json_bool(w, "allowed", answer.allowed);
    json_text(w, "reason", str_from_c(answer.why));
    json_array(w, "routes");
    for (u32 i = 0; i < count; i++) {
        char text[256];
        snprintf(text, sizeof text, "%.*s %s", STR(http_method_name(p[i].route->method)),
                 p[i].route->pattern);
        json_text(w, NULL, str_from_c(text));
    }
    json_array_end(w);
    json_object_end(w);
}

static void permissions_get(struct request *rq) {
    struct permission *all;
    struct json_writer w;
    struct actor who;
    str user = S("");
    if (!request_query_text(rq, "user", 256, &user) || !subject_of(rq, user, &who)) return;
    all = arena_alloc(rq->arena, PERMISSIONS_MAX * sizeof *all);
    if (!all) {
        reply_rc(rq, RC_NO_MEMORY, "permissions");
        return;
    }
    u32 n = gather(all);
    json_open(&w, ANSWER_BYTES_MAX);
    json_object(&w, NULL);
    put_subject(&w, &who);
    json_array(&w, "permissions");
    for (u32 i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && str_eq(all[next].name, all[i].name); next++) {
        }
        put_permission(&w, &all[i], next - i, rq, &who);
    }
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
    json_close(&w);
}

/* ---- May they, and why? ---- */

struct asked { str permission, method, path, user, id, owner, state, address; };

static enum http_method method_of(str name) {
    for (int m = HTTP_GET; m < HTTP_OTHER; m++)
        if (str_eq(http_method_name((enum http_method)m), name)) return (enum http_method)m;
    return HTTP_OTHER;
}

/* The route of method and path, whose permission is then asked for. false: answered. */
static bool permission_read(struct request *rq, struct asked *a, const struct route **route) {
    *route = NULL;
    if (a->path.len) {
        enum http_method m = method_of(a->method.len ? a->method : S("GET"));
        *route = find_route && a->path.ptr[0] == '/' ? find_route(m, a->path) : NULL;
        if (!*route) {
            reply_problem(rq, 422, "no_such_route", "path: no route takes this method and path.");
            return false;
        }
        if (!a->permission.len) a->permission = access_permission_of(*route);
    }
    if (a->permission.len) return true;
    reply_problem(rq, 422, "permission_wanted", "permission: name one, or a method and a path.");
    return false;
}

static access_explain_fn *explainer;
void access_explainer_use(access_explain_fn *fn) { explainer = fn; }

static void put_value(struct json_writer *w, const char *name, value v) {
    struct buf text;
    if (!value_defined(v)) return;
    buf_open(&text, ANSWER_BYTES_MAX / 2);
    json_text_write(&text, v, 0);
    if (!text.failed) json_raw(w, name, buf_str(&text));
    buf_close(&text);
}

/* The sentences, and what they rest on. Parks: nothing of the policy in force is held across. */
static void put_why(struct json_writer *w, const struct facts *f, bool shipped) {
    static const char *const members[] = {"sentences", "fired", "nearest"};
    struct policy_program *watched = shipped ? access_shipped_watched() : NULL;
    struct heap h;
    value report = UNDEFINED;
    heap_open(&h, MIB(4));
    value input = facts_value(&h, f, platform_wall_ns());
    put_value(w, "input", input);
    rc_t rc = explainer && (watched || !shipped)
                  ? explainer(&h, watched, S("openpolicy/authz/allow"), input, &report)
                  : RC_AGAIN;
    for (size_t i = 0; !rc && i < ARRAY_LEN(members); i++)
        put_value(w, members[i], value_get_str(report, str_from_c(members[i])));
    heap_close(&h);
}

static void explain(struct request *rq, struct asked *a) {
    const struct route *route;
    struct access_answer answer;
    struct actor who;
    struct json_writer w;
    struct facts f;
    value data;
    if (!permission_read(rq, a, &route) || !subject_of(rq, a->user, &who)) return;
    struct access_question q = {&who, a->permission, a->id, a->owner, a->state};
    facts_of(&f, FACTS_ALL, rq, &q);
    f.text[FACT_METHOD] = a->method.len || !route ? a->method : S("GET");
    f.text[FACT_PATH] = a->path;
    f.text[FACT_ROUTE] = route ? str_from_c(route->pattern) : S("");
    if (a->address.len) f.text[FACT_ADDRESS] = a->address;
    const struct access_policy *p = access_current(&data);
    struct diag why = {0};
    bool shipped = p->shipped;
    rc_t rc = access_ask(p, data, &f, &answer, &why);
    json_open(&w, ANSWER_BYTES_MAX);
    json_object(&w, NULL);
    json_bool(&w, "allowed", answer.allowed);
    json_text(&w, "reason", str_from_c(answer.why));
    json_text(&w, "permission", a->permission);
    if (route) json_text(&w, "route", str_from_c(route->pattern));
    json_text(&w, "policy", shipped ? S("shipped") : S("stored"));
    struct access_answer trusted;
    struct access_question may_look = {.who = &rq->actor, .permission = S(PERMISSION_OTHERS)};
    access_decide_for(rq, &may_look, &trusted);
    if (rc && trusted.allowed) json_text(&w, "error", str_from_c(why.text));
    put_subject(&w, &who);
    put_why(&w, &f, shipped);
    json_object_end(&w);
    reply_json(rq, 200, &w);
    json_close(&w);
}

static void explain_get(struct request *rq) {
    struct asked a = {S(""), S(""), S(""), S(""), S(""), S(""), S(""), S("")};
    if (request_query_text(rq, "permission", 128, &a.permission) &&
        request_query_text(rq, "method", 16, &a.method) &&
        request_query_text(rq, "path", 1024, &a.path) &&
        request_query_text(rq, "user", 256, &a.user) &&
        request_query_text(rq, "id", 256, &a.id) &&
        request_query_text(rq, "owner", 256, &a.owner) &&
        request_query_text(rq, "state", 64, &a.state))
        explain(rq, &a);
}

static void explain_post(struct request *rq) {
    static const char *const members[] = {"permission", "method", "path", "user", "id", "owner",
                                          "state", "address", NULL};
    struct asked a = {S(""), S(""), S(""), S(""), S(""), S(""), S(""), S("")};
    cJSON *body;
    if (request_json(rq, &body) && request_members_known(rq, body, members) &&
        request_member_text(rq, body, "permission", false, 0, 128, &a.permission) &&
        request_member_text(rq, body, "method", false, 0, 16, &a.method) &&
        request_member_text(rq, body, "path", false, 0, 1024, &a.path) &&
        request_member_text(rq, body, "user", false, 0, 256, &a.user) &&
        request_member_text(rq, body, "id", false, 0, 256, &a.id) &&
        request_member_text(rq, body, "owner", false, 0, 256, &a.owner) &&
        request_member_text(rq, body, "state", false, 0, 64, &a.state) &&
        request_member_text(rq, body, "address", false, 0, 45, &a.address))
        explain(rq, &a);
}

/* ---- What decides ---- */

static void policy_get(struct request *rq) {
    struct json_writer w;
    value data;
    const struct access_policy *p = access_current(&data);
    json_open(&w, ANSWER_BYTES_MAX);
    json_object(&w, NULL);
    json_text(&w, "policy", p->shipped ? S("shipped") : S("stored"));
    json_text(&w, "id", S(ACCESS_POLICY_ID));
    json_bool(&w, "safe_mode", access_refused() != NULL);
    if (access_refused()) json_text(&w, "safe_mode_reason", str_from_c(access_refused()));
    json_bool(&w, "answers_remembered", !(p->reads & FACT_BIT(NOW)));
    json_text(&w, "shipped", access_policy_text());
    json_object_end(&w);
    reply_json(rq, 200, &w);
    json_close(&w);
}

static const struct route_param user_query[] = {
    {"user", "string", "Id or e-mail address of an account, or guest; yourself when left out."},
    {NULL, NULL, NULL},
};
static const struct route_param explain_query[] = {
    {"permission", "string", "service:resource:verb; or give method and path."},
    {"method", "string", "of the request; GET."},
    {"path", "string", "of the request."},
    {"user", "string", "Id or e-mail address of an account, or guest; yourself when left out."},
    {"id", "string", "of the thing it is about; else of the kind as a whole."},
    {"owner", "string", "id of the account that made the thing."},
    {"state", "string", "of the thing, such as draft."},
    {NULL, NULL, NULL},
};

#define ANSWER(required, properties)                                                               \
    "{\"type\":\"object\",\"required\":[" required "],\"properties\":{" properties "}}"
#define TEXT_MEMBER(name) "\"" name "\":{\"type\":\"string\"}"
#define BOOL_MEMBER(name) "\"" name "\":{\"type\":\"boolean\"}"
#define LIST_MEMBER(name, of) "\"" name "\":{\"type\":\"array\",\"items\":" of "}"
#define WHO_MEMBER                                                                                 \
    "\"who\":" ANSWER("\"id\",\"role\"",                                                         \
                      TEXT_MEMBER("id") "," TEXT_MEMBER("email") "," TEXT_MEMBER("role"))
#define PERMISSION_ITEM                                                                            \
    ANSWER("\"permission\",\"allowed\",\"reason\",\"routes\"",                                     \
           TEXT_MEMBER("permission") "," BOOL_MEMBER("allowed") "," TEXT_MEMBER("reason") ","      \
           LIST_MEMBER("routes", "{\"type\":\"string\"}"))
const struct module_schema access_schemas[] = {
    {"AccessQuestion", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
                       TEXT_MEMBER("permission") "," TEXT_MEMBER("method") ","
                       TEXT_MEMBER("path") "," TEXT_MEMBER("user") "," TEXT_MEMBER("id") ","
                       TEXT_MEMBER("owner") "," TEXT_MEMBER("state") "," TEXT_MEMBER("address")
                       "}}"},
    {"AccessExplanation",
     ANSWER("\"allowed\",\"reason\",\"permission\",\"policy\",\"who\"",
            BOOL_MEMBER("allowed") "," TEXT_MEMBER("reason") "," TEXT_MEMBER("permission") ","
            TEXT_MEMBER("route") "," TEXT_MEMBER("policy") "," WHO_MEMBER ","
            LIST_MEMBER("sentences", "{\"type\":\"string\"}") ","
            LIST_MEMBER("fired", "{\"type\":\"object\"}") ","
            "\"nearest\":{\"type\":\"object\"},\"input\":{\"type\":\"object\"}")},
    {"AccessPermissions", ANSWER("\"who\",\"permissions\"",
                                 WHO_MEMBER "," LIST_MEMBER("permissions", PERMISSION_ITEM))},
    {"AccessPolicy",
     ANSWER("\"policy\",\"safe_mode\",\"shipped\"",
            TEXT_MEMBER("policy") "," TEXT_MEMBER("id") "," BOOL_MEMBER("safe_mode") ","
            TEXT_MEMBER("safe_mode_reason") "," BOOL_MEMBER("answers_remembered") ","
            TEXT_MEMBER("shipped"))},
    {NULL, NULL},
};
const struct route access_routes[] = {
    {.method = HTTP_GET,
     .pattern = "/api/v1/access/permissions",
     .handle = permissions_get,
     .permission = "access:self:read",
     .summary = "What may I do?",
     .tag = "access",
     .query = user_query,
     .answer_schema = "#AccessPermissions"},
    {.method = HTTP_GET,
     .pattern = "/api/v1/access/explain",
     .handle = explain_get,
     .permission = "access:self:read",
     .summary = "May they, and why?",
     .tag = "access",
     .query = explain_query,
     .answer_schema = "#AccessExplanation"},
    {.method = HTTP_POST,
     .pattern = "/api/v1/access/explain",
     .handle = explain_post,
     .permission = "access:self:read",
     .summary = "May they, and why?",
     .tag = "access",
     .body_schema = "#AccessQuestion",
     .answer_schema = "#AccessExplanation"},
    {.method = HTTP_GET,
     .pattern = "/api/v1/access/policy",
     .handle = policy_get,
     .access = ACCESS_ADMIN,
     .permission = "access:policy:read",
     .summary = "What decides who may do what",
     .tag = "access",
     .answer_schema = "#AccessPolicy"},
    {.pattern = NULL},
};
