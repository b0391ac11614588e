/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.c — GET /api/openapi.json: OpenAPI 3.1, written from the same tables the router obeys,
 * so it cannot lie: a route that exists is in it, one that is gone is not.
 *
 *   modules[] -> routes by pattern -> paths -> one operation per method
 *   modules[] -> schemas           -> components.schemas  ("#Name" in a route becomes a $ref)
 *
 * Built at the first question and kept: tables never change while the machine runs. */
#include "app/openapi/openapi.h"
#include "app/reply.h"
#include "app/version.h"
#include "kernel/base/limits.h"
#include <stdio.h>

#define DOCUMENT_BYTES_MAX MIB(2)

static const char problem_schema[] =
    "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":"
    "\"string\"},\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\",\"description\":"
    "\"A short stable word\"},\"detail\":{\"type\":\"string\"},\"request_id\":{\"type\":"
    "\"string\"}},\"required\":[\"type\",\"title\",\"status\",\"code\",\"request_id\"]}";

/* ---- Parts of an operation ----------------------------------------------------------------- */

static void write_schema(struct json_writer *w, const char *schema) {
    if (schema[0] != '#') {
        json_raw(w, "schema", str_from_c(schema));
        return;
    }
    char ref[128];
    int n = snprintf(ref, sizeof ref, "#/components/schemas/%s", schema + 1);
    CHECK(n > 0 && (size_t)n < sizeof ref);
    json_object(w, "schema");
    json_text(w, "$ref", str_from_c(ref));
    json_object_end(w);
}

static void write_parameter(struct json_writer *w, const char *in, str name, const char *type,
                            const char *help) {
    json_object(w, NULL);
    json_text(w, "name", name);
    json_text(w, "in", str_from_c(in));
    json_bool(w, "required", strcmp(in, "path") == 0);
    if (help) json_text(w, "description", str_from_c(help));
    json_object(w, "schema");
    json_text(w, "type", str_from_c(type));
    json_object_end(w);
    json_object_end(w);
}

static bool next_path_parameter(str *rest, str *name) {
    size_t open = str_find_byte(*rest, '{');
    if (open == rest->len) return false;
    *rest = str_skip(*rest, open + 1);
    size_t close = str_find_byte(*rest, '}');
    *name = str_take(*rest, close);
    if (str_ends(*name, S("..."))) name->len -= 3;
    *rest = str_skip(*rest, close + 1);
    return true;
}

static void write_parameters(struct json_writer *w, const struct route *r) {
    str rest = str_from_c(r->pattern), name;
    json_array(w, "parameters");
    while (next_path_parameter(&rest, &name)) write_parameter(w, "path", name, "string", NULL);
    for (const struct route_param *p = r->query; p && p->name; p++)
        write_parameter(w, "query", str_from_c(p->name), p->type, p->help);
    if (r->idempotency_key)
        write_parameter(w, "header", S("Idempotency-Key"), "string",
                        "The same key twice acts once and gives the same answer");
    json_array_end(w);
}

static void write_body(struct json_writer *w, const struct route *r) {
    if (!r->body_schema) return;
    json_object(w, "requestBody");
    json_bool(w, "required", true);
    json_object(w, "content");
    json_object(w, "application/json");
    write_schema(w, r->body_schema);
    json_object_end(w);
    json_object_end(w);
    json_object_end(w);
}

static void write_problem(struct json_writer *w, const char *status) {
    json_raw(w, status, S("{\"$ref\":\"#/components/responses/Problem\"}"));
}

/* The refusals that follow from the table itself; `default` covers what a handler adds. */
static void write_problems(struct json_writer *w, const struct route *r) {
    write_problem(w, "400");
    if (r->access != ACCESS_PUBLIC) {
        write_problem(w, "401");
        write_problem(w, "403");
    }
    if (strchr(r->pattern, '{')) write_problem(w, "404");
    if (r->body_schema) {
        write_problem(w, "413");
        write_problem(w, "415");
        write_problem(w, "422");
    }
    if (!r->probe) write_problem(w, "503");
    write_problem(w, "default");
}

static void write_responses(struct json_writer *w, const struct route *r) {
    char status[8];
    int code = r->success ? r->success : 200;
    snprintf(status, sizeof status, "%d", code);
    json_object(w, "responses");
    json_object(w, status);
    json_text(w, "description", str_from_c(http_status_text(code)));
    if (r->answer_schema) {
        json_object(w, "content");
        json_object(w, "application/json");
        write_schema(w, r->answer_schema);
        json_object_end(w);
        json_object_end(w);
    }
    json_object_end(w);
    write_problems(w, r);
    json_object_end(w);
}

/* "get_api_v1_policies_id": unique, for method and pattern are. */
static void write_operation_id(struct json_writer *w, const struct route *r) {
    char id[256];
    size_t n = 0;
    str method = http_method_name(r->method);
    for (size_t i = 0; i < method.len; i++) id[n++] = (char)(method.ptr[i] | 0x20);
    for (const char *p = r->pattern; *p && n < sizeof id - 1; p++) {
        bool word =
            (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9');
        if (word)
            id[n++] = *p;
        else if (id[n - 1] != '_')
            id[n++] = '_';
    }
    if (id[n - 1] == '_' && n > 4) n--;
    if (strchr(r->pattern, '{') && n < sizeof id - 1) id[n++] = '_'; /* /x/{id} is not /x/id */
    json_text(w, "operationId", str_of(id, n));
}

static void write_operation(struct json_writer *w, const struct route *r) {
    static const char *const methods[] = {"get",   "head",   "post",    "put",
                                          "patch", "delete", "options", NULL};
    if (!methods[r->method]) return;
    json_object(w, methods[r->method]);
    write_operation_id(w, r);
    if (r->summary) json_text(w, "summary", str_from_c(r->summary));
    if (r->tag) {
        json_array(w, "tags");
        json_text(w, NULL, str_from_c(r->tag));
        json_array_end(w);
    }
    if (r->permission) json_text(w, "x-permission", str_from_c(r->permission));
    json_text(w, "x-access",
              r->access == ACCESS_PUBLIC ? S("public")
              : r->access == ACCESS_USER ? S("user")
                                         : S("admin"));
    json_array(w, "security"); /* empty: none is needed */
    if (r->access != ACCESS_PUBLIC) json_raw(w, NULL, S("{\"bearer\":[]}"));
    json_array_end(w);
    write_parameters(w, r);
    write_body(w, r);
    write_responses(w, r);
    json_object_end(w);
}

/* ---- The document -------------------------------------------------------------------------- */

/* OpenAPI knows {rest}, not {rest...}. */
static void path_text(const char *pattern, char *to, size_t room) {
    size_t n = 0;
    for (const char *p = pattern; *p && n < room - 1; p++)
        if (strncmp(p, "...}", 4) != 0)
            to[n++] = *p;
        else
            p += 2;
    to[n] = 0;
}

/* Each pattern once, where it first appears, with the operations of all modules. */
static bool seen_before(const struct module *const *list, const struct route *now) {
    for (; *list; list++)
        for (const struct route *r = (*list)->routes; r && r->pattern; r++) {
            if (r == now) return false;
            if (strcmp(r->pattern, now->pattern) == 0) return true;
        }
    return false;
}

static void write_path(struct json_writer *w, const struct module *const *list,
                       const struct route *first) {
    char path[256];
    path_text(first->pattern, path, sizeof path);
    json_object(w, path);
    for (; *list; list++)
        for (const struct route *r = (*list)->routes; r && r->pattern; r++)
            if (strcmp(r->pattern, first->pattern) == 0) write_operation(w, r);
    json_object_end(w);
}

static void write_components(struct json_writer *w, const struct module *const *list) {
    json_object(w, "components");
    json_object(w, "schemas");
    json_raw(w, "Problem", str_from_c(problem_schema));
    for (; *list; list++)
        for (const struct module_schema *s = (*list)->schemas; s && s->name; s++)
            json_raw(w, s->name, str_from_c(s->json));
    json_object_end(w);
    json_raw(w, "responses",
             S("{\"Problem\":{\"description\":\"What went wrong and what to do (RFC 9457)\","
               "\"content\":{\"application/problem+json\":{\"schema\":{\"$ref\":"
               "\"#/components/schemas/Problem\"}}}}}"));
    json_raw(w, "securitySchemes",
             S("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"bearerFormat\":\"JWT\"}}"));
    json_object_end(w);
}

void openapi_write(struct json_writer *w, const struct module *const *list) {
    json_object(w, NULL);
    json_text(w, "openapi", S("3.1.0"));
    json_object(w, "info");
    json_text(w, "title", S("OpenPolicy Appliance"));
    json_text(w, "version", S(OPENPOLICY_VERSION));
    json_text(w, "description",
              S("Errors are application/problem+json with a stable `code` and the `request_id`. "
                "Lists give `items` and `total`. Times are RFC 3339 in UTC."));
    json_raw(w, "license",
             S("{\"name\":\"Apache License 2.0\",\"identifier\":\"Apache-2.0\"}"));
    json_object_end(w);
    json_raw(w, "servers", S("[{\"url\":\"/\"}]"));
    json_object(w, "paths");
    for (const struct module *const *m = list; *m; m++)
        for (const struct route *r = (*m)->routes; r && r->pattern; r++)
            if (!seen_before(list, r)) write_path(w, list, r);
    json_object_end(w);
    write_components(w, list);
    json_object_end(w);
}

/* ---- Served -------------------------------------------------------------------------------- */

static struct json_writer document; /* kept for ever once built */
static struct http_static file;
static const struct module *const *documented;

void openapi_use(const struct module *const *list) { documented = list; }

static bool build(void) {
    if (file.body.len) return true;
    json_close(&document);
    json_open(&document, DOCUMENT_BYTES_MAX);
    openapi_write(&document, documented);
    if (document.out.failed) return false;
    static char etag[24];
    str body = buf_str(&document.out);
    snprintf(etag, sizeof etag, "\"%016llx\"", (unsigned long long)str_hash(body, 0));
    file = (struct http_static){.content_type = S("application/json"),
                                .body = body,
                                .etag = str_from_c(etag),
                                .cache_control = {NULL, 0}}; /* the pipeline says no-store */
    return true;
}

static void get_document(struct request *rq) {
    if (build())
        http_answer_static(rq->x, &file);
    else
        reply_rc(rq, RC_NO_MEMORY, "The API document");
}

static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/api/openapi.json", .handle = get_document,
     .access = ACCESS_PUBLIC, .permission = "api:document:read", .tag = "api",
     .summary = "This document", .answer_schema = "{\"type\":\"object\"}"},
    {0},
};
const struct module openapi_module = {.name = "openapi", .routes = routes};
