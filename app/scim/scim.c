/* SPDX-License-Identifier: Apache-2.0 */
/* scim.c — SCIM 2.0 as a module: its routes, and what it says of itself (RFC 7644 4).
 *
 * Who calls is a directory, with an API key (scope "scim:*") of an administrator's, or of somebody
 * who looks after an organisation and reaches that alone. What the schemas below list is what is
 * kept; see user.c and group.c. */
#include "app/scim/scim.h"
#include "app/scim/scim_impl.h"

#define ATTRIBUTE(name, type, multi, mutability, uniqueness, exact)                                \
    "{\"name\":\"" name "\",\"type\":\"" type "\",\"multiValued\":" multi                          \
    ",\"required\":false,\"caseExact\":" exact ",\"mutability\":\"" mutability                     \
    "\",\"returned\":\"default\",\"uniqueness\":\"" uniqueness "\"}"
#define PARENT(name, multi, mutability, subs)                                                      \
    "{\"name\":\"" name "\",\"type\":\"complex\",\"multiValued\":" multi                           \
    ",\"required\":false,\"mutability\":\"" mutability                                             \
    "\",\"returned\":\"default\",\"subAttributes\":[" subs "]}"
#define TEXT_OF(name) ATTRIBUTE(name, "string", "false", "readWrite", "none", "false")
#define SHOWN(name) ATTRIBUTE(name, "string", "false", "readOnly", "none", "false")

static const struct {
    const char *id, *type, *place, *json; /* json: of the schema, without its meta */
} kinds[] = {
    {SCIM_CORE "User", "User", "/Users",
     "\"name\":\"User\",\"description\":\"An account\",\"attributes\":[" ATTRIBUTE(
         "userName", "string", "false", "readWrite", "server",
         "false") "," TEXT_OF("displayName") "," PARENT("name", "false", "readWrite",
                                                        TEXT_OF("formatted") "," TEXT_OF(
                                                            "givenName") "," TEXT_OF(
                                                            "familyName")) ","
     ATTRIBUTE("active", "boolean", "false", "readWrite", "none", "false") "," PARENT(
         "emails", "true", "readOnly",
         SHOWN("value") "," SHOWN("type") "," ATTRIBUTE(
             "primary", "boolean", "false", "readOnly", "none",
             "false")) "," PARENT("groups", "true", "readOnly",
                                  SHOWN("value") "," SHOWN("display") "," SHOWN("type")) "]"},
    {SCIM_CORE "Group", "Group", "/Groups",
     "\"name\":\"Group\",\"description\":\"People who get roles together\",\"attributes\":["
     ATTRIBUTE("displayName", "string", "false", "readWrite", "server", "false") "," PARENT(
         "members", "true", "readWrite",
         ATTRIBUTE("value", "string", "false", "immutable", "none",
                   "true") "," SHOWN("display") "," SHOWN("type")) "]"},
};

static void schemas_of(struct json_writer *w, const char *urn) {
    json_array(w, "schemas");
    json_text(w, NULL, str_from_c(urn));
    json_array_end(w);
}

static void place_json(struct request *rq, struct json_writer *w, const char *type,
                       const char *place, const char *id) {
    json_object(w, "meta");
    json_text(w, "resourceType", str_from_c(type));
    json_text(w, "location",
              arena_join(rq->arena, S(SCIM_BASE), str_from_c(place), str_from_c(id)));
    json_object_end(w);
}

void scim_provider_get(struct request *rq) {
    struct json_writer w;
    json_open(&w, 8192);
    json_object(&w, NULL);
    schemas_of(&w, SCIM_CORE "ServiceProviderConfig");
    json_raw(&w, "patch", S("{\"supported\":true}"));
    json_raw(&w, "bulk", S("{\"supported\":false,\"maxOperations\":0,\"maxPayloadSize\":0}"));
    json_raw(&w, "filter", S("{\"supported\":true,\"maxResults\":200}"));
    json_raw(&w, "changePassword", S("{\"supported\":false}"));
    json_raw(&w, "sort", S("{\"supported\":false}"));
    json_raw(&w, "etag", S("{\"supported\":true}"));
    json_raw(&w, "authenticationSchemes",
             S("[{\"type\":\"oauthbearertoken\",\"name\":\"API key\",\"description\":\"An API key "
               "with the scope scim:*, as a bearer token\",\"primary\":true}]"));
    place_json(rq, &w, "ServiceProviderConfig", "/ServiceProviderConfig", "");
    json_object_end(&w);
    scim_reply(rq, 200, &w);
}

static void type_json(struct request *rq, struct json_writer *w, size_t i) {
    json_object(w, NULL);
    schemas_of(w, SCIM_CORE "ResourceType");
    json_text(w, "id", str_from_c(kinds[i].type));
    json_text(w, "name", str_from_c(kinds[i].type));
    json_text(w, "endpoint", str_from_c(kinds[i].place));
    json_text(w, "schema", str_from_c(kinds[i].id));
    place_json(rq, w, "ResourceType", "/ResourceTypes/", kinds[i].type);
    json_object_end(w);
}

static void schema_json(struct request *rq, struct json_writer *w, size_t i) {
    json_object(w, NULL);
    schemas_of(w, SCIM_CORE "Schema");
    json_text(w, "id", str_from_c(kinds[i].id));
    json_key(w, str_of(NULL, 0));
    json_put_raw(w, str_from_c(kinds[i].json));
    place_json(rq, w, "Schema", "/Schemas/", kinds[i].id);
    json_object_end(w);
}

typedef void one_fn(struct request *rq, struct json_writer *w, size_t i);
static void all_answer(struct request *rq, one_fn *one) {
    struct json_writer w;
    json_open(&w, 32768);
    json_object(&w, NULL);
    schemas_of(&w, SCIM_MESSAGE "ListResponse");
    json_int(&w, "totalResults", (s64)ARRAY_LEN(kinds));
    json_int(&w, "startIndex", 1);
    json_int(&w, "itemsPerPage", (s64)ARRAY_LEN(kinds));
    json_array(&w, "Resources");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) one(rq, &w, i);
    json_array_end(&w);
    json_object_end(&w);
    scim_reply(rq, 200, &w);
}

/* The one whose name is the route's. */
static void one_answer(struct request *rq, one_fn *one, bool by_schema) {
    struct json_writer w;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!str_eq(rq->params[0], str_from_c(by_schema ? kinds[i].id : kinds[i].type))) continue;
        json_open(&w, 16384);
        one(rq, &w, i);
        scim_reply(rq, 200, &w);
        return;
    }
    reply_problem(rq, 404, "not_found", "There is no such resource.");
}

void scim_types_get(struct request *rq) {
    all_answer(rq, type_json);
}
void scim_type_get(struct request *rq) {
    one_answer(rq, type_json, false);
}
void scim_schemas_get(struct request *rq) {
    all_answer(rq, schema_json);
}
void scim_schema_get(struct request *rq) {
    one_answer(rq, schema_json, true);
}

/* ---- Routes ---------------------------------------------------------------------------------- */

static const struct route_param list_query[] = {
    {"filter", "string", "Such as userName eq \"ann@example.org\"."},
    {"startIndex", "integer", "From 1."},
    {"count", "integer", "At most 200; 100."},
    {"attributes", "string", "Only these members."},
    {"excludedAttributes", "string", "All but these."},
    {"sortBy", "string", "Known, not used."},
    {"sortOrder", "string", "Known, not used."},
    {NULL, NULL, NULL},
};
static const struct route_param one_query[] = {
    {"attributes", "string", "Only these members."},
    {"excludedAttributes", "string", "All but these."},
    {NULL, NULL, NULL},
};

#define ROUTE(verb, path, handler, may, text, ...)                                                 \
    {                                                                                              \
        .method = HTTP_##verb, .pattern = SCIM_BASE path, .handle = handler,                       \
        .access = ACCESS_ADMIN, .permission = "scim:" may, .summary = text, .tag = "scim",         \
        .answer_schema = "#Scim", __VA_ARGS__                                                      \
    }
#define BODY .body_schema = "#Scim", .query = one_query
static const struct route routes[] = {
    ROUTE(GET, "/ServiceProviderConfig", scim_provider_get, "service:read",
          "What this SCIM service can do", .query = NULL),
    ROUTE(GET, "/ResourceTypes", scim_types_get, "service:read", "Kinds of resources",
          .query = NULL),
    ROUTE(GET, "/ResourceTypes/{id}", scim_type_get, "service:read", "One of them", .query = NULL),
    ROUTE(GET, "/Schemas", scim_schemas_get, "service:read", "Their attributes", .query = NULL),
    ROUTE(GET, "/Schemas/{id}", scim_schema_get, "service:read", "Those of one", .query = NULL),
    ROUTE(GET, "/Users", scim_users_get, "user:read", "Accounts, by filter", .query = list_query),
    ROUTE(POST, "/Users", scim_users_post, "user:write", "Make an account", .success = 201, BODY),
    ROUTE(GET, "/Users/{id}", scim_user_get, "user:read", "Read an account", .query = one_query),
    ROUTE(PUT, "/Users/{id}", scim_user_put, "user:write", "Replace an account", BODY),
    ROUTE(PATCH, "/Users/{id}", scim_user_patch, "user:write", "Change an account", BODY),
    ROUTE(DELETE, "/Users/{id}", scim_user_delete, "user:write", "Remove an account",
          .success = 204),
    ROUTE(GET, "/Groups", scim_groups_get, "group:read", "Groups, by filter", .query = list_query),
    ROUTE(POST, "/Groups", scim_groups_post, "group:write", "Make a group", .success = 201, BODY),
    ROUTE(GET, "/Groups/{id}", scim_group_get, "group:read", "Read a group", .query = one_query),
    ROUTE(PUT, "/Groups/{id}", scim_group_put, "group:write", "Replace a group", BODY),
    ROUTE(PATCH, "/Groups/{id}", scim_group_patch, "group:write", "Change a group", BODY),
    ROUTE(DELETE, "/Groups/{id}", scim_group_delete, "group:write", "Remove a group",
          .success = 204),
    {0},
};

static const struct module_schema schemas[] = {
    {"Scim", "{\"type\":\"object\",\"description\":\"As RFC 7643 and 7644 have it.\"}"},
    {NULL, NULL},
};

const struct module scim_module = {
    .name = "scim",
    .routes = routes,
    .phases = {[PHASE_LIMIT] = scim_route_phase},
    .schemas = schemas,
};
