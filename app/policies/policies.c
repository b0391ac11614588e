/* SPDX-License-Identifier: Apache-2.0 */
/* policies.c — policy documents as a module: routes and their schemas. What the routes do stands in
 * document.c (one), list.c (many) and versions.c (what was).
 *
 * Static paths (/search, /stats ...) and /{id} live side by side: the router prefers the static
 * one, and an id is a UUID, so neither can hide the other. */
#include "app/policies/policies.h"
#include "app/policies/policies_impl.h"

#define LIST_QUERY                                                                                 \
    {"status", "string", "draft, under_review, approved, rejected, published or archived."},       \
        {"category", "string", "Exact category."},                                                 \
        {"jurisdiction", "string", "Exact jurisdiction."}, {"tag", "string", "One tag."},          \
        {"author", "string", "User id or e-mail address."}, {"language", "string", "en or fr."},   \
        {"priority", "string", "low, medium, high or critical."},                                  \
        {"impact", "string", "local, regional, national or international."},                       \
        {"created_at__gte", "string", "Not before (RFC 3339)."},                                   \
        {"created_at__lt", "string", "Before (RFC 3339)."},                                        \
        {"updated_at__gte", "string", "Not before (RFC 3339)."},                                   \
        {"updated_at__lt", "string", "Before (RFC 3339)."},                                        \
        {"q", "string", "Words in the text; \"a phrase\"; begin*."},                               \
        {"sort", "string", "updated_at, created_at, title, status, priority; - for descending."},  \
        {"limit", "integer", "1 to 100; 20."}, {                                                   \
        "offset", "integer", "Documents to skip."                                                  \
    }

static const struct route_param list_query[] = {LIST_QUERY, {NULL, NULL, NULL}};
static const struct route_param page_query[] = {{"limit", "integer", "1 to 100; 20."},
                                                {"offset", "integer", "Rows to skip."},
                                                {NULL, NULL, NULL}};
static const struct route_param diff_query[] = {
    {"from", "string", "A version such as 1.0; the one before `to`."},
    {"to", "string", "A version; the newest."},
    {NULL, NULL, NULL}};

#define READ .access = ACCESS_PUBLIC, .permission = "policies:document:read", .tag = "policies"
#define WRITE .access = ACCESS_USER, .tag = "policies"
#define PATH "/api/v1/policies"

static const struct route policies_routes[] = {
    {.method = HTTP_GET,
     .pattern = PATH,
     .handle = policies_get,
     READ,
     .query = list_query,
     .summary = "List policy documents",
     .answer_schema = "#PolicyPage"},
    {.method = HTTP_POST,
     .pattern = PATH,
     .handle = policies_post,
     WRITE,
     .permission = "policies:document:create",
     .success = 201,
     .idempotency_key = true,
     .summary = "Create a draft",
     .body_schema = "#PolicyDraft",
     .answer_schema = "#Policy"},
    {.method = HTTP_GET,
     .pattern = PATH "/search",
     .handle = policies_search_get,
     READ,
     .query = list_query,
     .summary = "Full-text search, best first, with snippets",
     .answer_schema = "#PolicyPage"},
    {.method = HTTP_GET,
     .pattern = PATH "/stats",
     .handle = policies_stats_get,
     READ,
     .summary = "Counts by status, category and more",
     .answer_schema = "#PolicyStats"},
    {.method = HTTP_GET,
     .pattern = PATH "/categories",
     .handle = policies_categories_get,
     READ,
     .summary = "Categories in use",
     .answer_schema = "#NameCounts"},
    {.method = HTTP_GET,
     .pattern = PATH "/jurisdictions",
     .handle = policies_jurisdictions_get,
     READ,
     .summary = "Jurisdictions in use",
     .answer_schema = "#NameCounts"},
    {.method = HTTP_GET,
     .pattern = PATH "/tags",
     .handle = policies_tags_get,
     READ,
     .summary = "Tags in use",
     .answer_schema = "#NameCounts"},
    {.method = HTTP_GET,
     .pattern = PATH "/{id}",
     .handle = policy_get,
     READ,
     .summary = "Read a document",
     .answer_schema = "#Policy"},
    {.method = HTTP_PUT,
     .pattern = PATH "/{id}",
     .handle = policy_put,
     WRITE,
     .permission = "policies:document:update",
     .summary = "Change the content (If-Match); makes a new version",
     .body_schema = "#PolicyChange",
     .answer_schema = "#Policy"},
    {.method = HTTP_DELETE,
     .pattern = PATH "/{id}",
     .handle = policy_delete_,
     WRITE,
     .permission = "policies:document:delete",
     .success = 204,
     .summary = "Delete a draft"},
    {.method = HTTP_POST,
     .pattern = PATH "/{id}/status",
     .handle = policy_status_post,
     WRITE,
     .permission = "policies:document:submit",
     .summary = "Take a step of the workflow",
     .body_schema = "#PolicyStep",
     .answer_schema = "#Policy"},
    {.method = HTTP_PUT,
     .pattern = PATH "/{id}/status",
     .handle = policy_status_post,
     WRITE,
     .permission = "policies:document:submit",
     .summary = "Take a step of the workflow",
     .body_schema = "#PolicyStep",
     .answer_schema = "#Policy"},
    {.method = HTTP_GET,
     .pattern = PATH "/{id}/versions",
     .handle = policy_versions_get,
     READ,
     .query = page_query,
     .summary = "Versions, newest first",
     .answer_schema = "#PolicyVersionPage"},
    {.method = HTTP_GET,
     .pattern = PATH "/{id}/versions/{version}",
     .handle = policy_version_get,
     READ,
     .summary = "Read a version",
     .answer_schema = "#PolicyVersion"},
    {.method = HTTP_GET,
     .pattern = PATH "/{id}/diff",
     .handle = policy_diff_get,
     READ,
     .query = diff_query,
     .summary = "What changed between two versions",
     .answer_schema = "#PolicyDiff"},
    {.method = HTTP_GET,
     .pattern = PATH "/{id}/history",
     .handle = policy_history_get,
     READ,
     .query = page_query,
     .summary = "Who did what, newest first",
     .answer_schema = "#PolicyHistory"},
    {.pattern = NULL},
};

/* ---- Schemas --------------------------------------------------------------------------------- */

#define TEXT "{\"type\":\"string\"}"
#define TEXT_MAX(n) "{\"type\":\"string\",\"maxLength\":" #n "}"
#define MAYBE "{\"type\":[\"string\",\"null\"]}"
#define TIME "{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}"
#define INTEGER "{\"type\":\"integer\"}"
#define PRIORITY "{\"type\":\"string\",\"enum\":[\"low\",\"medium\",\"high\",\"critical\"]}"
#define IMPACT                                                                                     \
    "{\"type\":\"string\",\"enum\":[\"local\",\"regional\",\"national\",\"international\"]}"
#define LANGUAGE "{\"type\":\"string\",\"enum\":[\"en\",\"fr\"]}"
#define STATUS                                                                                     \
    "{\"type\":\"string\",\"enum\":[\"draft\",\"under_review\",\"approved\",\"rejected\","         \
    "\"published\","                                                                               \
    "\"archived\"]}"
#define TAGS "{\"type\":\"array\",\"maxItems\":20,\"items\":{\"type\":\"string\",\"maxLength\":50}}"
#define TITLE "{\"type\":\"string\",\"minLength\":10,\"maxLength\":300}"
#define CONTENT                                                                                    \
    "\"title\":" TITLE ",\"summary\":" TEXT_MAX(4000) ",\"body\":" TEXT_MAX(262144)                \
    ",\"category\":" TEXT_MAX(100) ",\"jurisdiction\":" TEXT_MAX(100) ",\"tags\":" TAGS            \
    ",\"priority\":" PRIORITY ",\"impact\":" IMPACT ",\"language\":" LANGUAGE
#define PAGE_OF(item)                                                                              \
    "{\"type\":\"object\",\"required\":[\"items\",\"total\",\"limit\",\"next\"],\"properties\":{"  \
    "\"items\":{\"type\":\"array\",\"items\":" item "},\"total\":" INTEGER ",\"limit\":" INTEGER   \
    ",\"offset\":" INTEGER ",\"next\":" MAYBE "}}"
#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define COUNTS "{\"type\":\"array\",\"items\":" REF("NameCount") "}"

static const struct module_schema policies_schemas[] = {
    {"PolicyDraft", "{\"type\":\"object\",\"required\":[\"title\"],\"additionalProperties\":false,"
                    "\"properties\":{" CONTENT "}}"},
    {"PolicyChange",
     "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{" CONTENT "}}"},
    {"PolicyStep", "{\"type\":\"object\",\"required\":[\"status\"],\"additionalProperties\":false,"
                   "\"properties\":{\"status\":" STATUS ",\"comment\":" TEXT_MAX(2000) "}}"},
    {"Policy",
     "{\"type\":\"object\",\"required\":[\"id\",\"title\",\"status\",\"version\",\"revision\"],"
     "\"properties\":{\"id\":{\"type\":\"string\",\"format\":\"uuid\"}," CONTENT
     ",\"status\":" STATUS ",\"version\":" TEXT ",\"revision\":" INTEGER ",\"author_id\":" TEXT
     ",\"author\":" TEXT ",\"approver_id\":" MAYBE ",\"approver\":" MAYBE ",\"created_at\":" TIME
     ",\"updated_at\":" TIME ",\"approved_at\":" TIME ",\"published_at\":" TIME ",\"snippet\":" TEXT
     "}}"},
    {"PolicyPage", PAGE_OF(REF("Policy"))},
    {"PolicyVersion", "{\"type\":\"object\",\"required\":[\"version\",\"title\"],\"properties\":{"
                      "\"version\":" TEXT "," CONTENT ",\"author_id\":" TEXT ",\"author\":" TEXT
                      ",\"created_at\":" TIME "}}"},
    {"PolicyVersionPage", PAGE_OF(REF("PolicyVersion"))},
    {"PolicyDiff", "{\"type\":\"object\",\"required\":[\"from\",\"to\",\"fields\",\"hunks\"],"
                   "\"properties\":{\"from\":" TEXT ",\"to\":" TEXT
                   ",\"fields\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
                   "\"field\":" TEXT ",\"from\":" TEXT ",\"to\":" TEXT
                   "}}},\"hunks\":{\"type\":\"array\",\"items\":"
                   "{\"type\":\"object\",\"properties\":{\"from_line\":" INTEGER
                   ",\"to_line\":" INTEGER ",\"lines\":{\"type\":\"array\",\"items\":{\"type\":"
                                           "\"object\",\"properties\":{\"op\":{\"type\":"
                   "\"string\",\"enum\":[\"equal\",\"add\",\"remove\"]},\"text\":" TEXT
                   "}}}}}},\"added\":" INTEGER ",\"removed\":" INTEGER "}}"},
    {"PolicyEvent", "{\"type\":\"object\",\"properties\":{\"at\":" TIME ",\"actor_id\":" TEXT
                    ",\"actor\":" TEXT ",\"action\":" TEXT ",\"from\":" TEXT ",\"to\":" TEXT
                    ",\"version\":" TEXT ",\"comment\":" TEXT "}}"},
    {"PolicyHistory", PAGE_OF(REF("PolicyEvent"))},
    {"NameCount",
     "{\"type\":\"object\",\"required\":[\"name\",\"count\"],\"properties\":{\"name\":" TEXT
     ",\"count\":" INTEGER "}}"},
    {"NameCounts",
     "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":" COUNTS "}}"},
    {"PolicyStats", "{\"type\":\"object\",\"required\":[\"total\",\"by_status\"],\"properties\":{"
                    "\"total\":" INTEGER ",\"by_status\":" COUNTS ",\"by_category\":" COUNTS
                    ",\"by_jurisdiction\":" COUNTS ",\"by_language\":" COUNTS
                    ",\"by_priority\":" COUNTS ",\"by_impact\":" COUNTS "}}"},
    {NULL, NULL},
};

const struct module policies_module = {
    .name = "policies",
    .start = search_index_start,
    .stop = search_index_stop,
    .routes = policies_routes,
    .schema = &policies_schema,
    .schemas = policies_schemas,
};
