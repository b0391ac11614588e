/* SPDX-License-Identifier: Apache-2.0 */
/* data.c — collections and their records as a module: routes and their schemas.
 *
 * /api/v1/collections says what there is, /api/v1/data holds it. (/v1/data is the policy engine's.)
 * Static names (/export, /events ...) and /{id} live side by side: an id is a UUID. */
#include "app/data/data.h"
#include "app/data/data_impl.h"

static const struct route_param list_query[] = {
    {"filter", "string", "status = 'open' && (votes > 10 || title ~ 'water')"},
    {"q", "string", "Words in the searched fields; begin*."},
    {"sort", "string", "Up to four fields, - for descending: -created_at,title"},
    {"fields", "string", "Only these members."},
    {"expand", "string", "Relations to show beside it: author,author.org"},
    {"limit", "integer", "1 to 100; 20."},
    {"offset", "integer", "Records to skip."},
    {"cursor", "string", "next_cursor of the page before."},
    {"count", "boolean", "true: say how many there are in all."},
    {"cost", "boolean", "true: say what the query cost."},
    {NULL, NULL, NULL}};
static const struct route_param one_query[] = {
    {"fields", "string", "Only these members."},
    {"expand", "string", "Relations to show beside it: author,author.org"},
    {NULL, NULL, NULL}};
static const struct route_param events_query[] = {
    {"filter", "string", "Only changes of records that fit."},
    {"last_event_id", "string", "As the header Last-Event-ID, for clients that cannot send it."},
    {NULL, NULL, NULL}};
static const struct route_param export_query[] = {{"format", "string", "csv or jsonl; jsonl."},
                                                  {"filter", "string", "Only records that fit."},
                                                  {"fields", "string", "Only these members."},
                                                  {NULL, NULL, NULL}};
static const struct route_param import_query[] = {
    {"format", "string", "csv or jsonl; as Content-Type says."},
    {"mode", "string", "insert, or upsert: records whose id is there are changed."},
    {"dry_run", "boolean", "true: everything is checked, nothing is kept."},
    {NULL, NULL, NULL}};

#define DEFINE .access = ACCESS_ADMIN, .permission = "data:collection:define", .tag = "data"
#define READ .access = ACCESS_PUBLIC, .permission = "data:record:read", .tag = "data"
#define WRITE .access = ACCESS_PUBLIC, .permission = "data:record:write", .tag = "data"
#define COLLECTIONS "/api/v1/collections"
#define PATH "/api/v1/data"

static const struct route data_routes[] = {
    {.method = HTTP_GET,
     .pattern = COLLECTIONS,
     .handle = collections_get,
     DEFINE,
     .summary = "List collections with their definitions",
     .answer_schema = "#CollectionList"},
    {.method = HTTP_POST,
     .pattern = COLLECTIONS,
     .handle = collections_post,
     DEFINE,
     .success = 201,
     .idempotency_key = true,
     .summary = "Define a collection, or a view of one",
     .body_schema = "#CollectionDefinition",
     .answer_schema = "#Collection"},
    {.method = HTTP_GET,
     .pattern = COLLECTIONS "/{name}",
     .handle = collection_get,
     DEFINE,
     .summary = "Read a collection's definition",
     .answer_schema = "#Collection"},
    {.method = HTTP_PATCH,
     .pattern = COLLECTIONS "/{name}",
     .handle = collection_patch,
     DEFINE,
     .summary = "Change a definition and its tables in one transaction (If-Match)",
     .body_schema = "#CollectionChanges",
     .answer_schema = "#Collection"},
    {.method = HTTP_DELETE,
     .pattern = COLLECTIONS "/{name}",
     .handle = collection_delete,
     DEFINE,
     .success = 204,
     .summary = "Drop a collection and all its records"},
    {.method = HTTP_POST,
     .pattern = PATH,
     .handle = data_batch_post,
     WRITE,
     .idempotency_key = true,
     .summary = "Many operations in one transaction",
     .body_schema = "#DataBatch",
     .answer_schema = "#DataBatchResult"},
    {.method = HTTP_GET,
     .pattern = PATH "/{collection}",
     .handle = data_list_get,
     READ,
     .query = list_query,
     .summary = "List records",
     .answer_schema = "#RecordPage"},
    {.method = HTTP_POST,
     .pattern = PATH "/{collection}",
     .handle = data_post,
     WRITE,
     .success = 201,
     .idempotency_key = true,
     .summary = "Make a record",
     .body_schema = "#RecordContent",
     .answer_schema = "#Record"},
    {.method = HTTP_GET,
     .pattern = PATH "/{collection}/export",
     .handle = data_export_get,
     READ,
     .query = export_query,
     .summary = "All records as CSV or JSON lines"},
    {.method = HTTP_POST,
     .pattern = PATH "/{collection}/import",
     .handle = data_import_post,
     WRITE,
     .query = import_query,
     .summary = "Records from CSV or JSON lines",
     .answer_schema = "#ImportResult"},
    {.method = HTTP_GET,
     .pattern = PATH "/{collection}/events",
     .handle = data_events_get,
     READ,
     .query = events_query,
     .quiet = true,
     .summary = "Changes as they happen (server-sent events; Last-Event-ID)"},
    {.method = HTTP_GET,
     .pattern = PATH "/{collection}/{id}",
     .handle = data_get,
     READ,
     .query = one_query,
     .summary = "Read a record",
     .answer_schema = "#Record"},
    {.method = HTTP_PUT,
     .pattern = PATH "/{collection}/{id}",
     .handle = data_put,
     WRITE,
     .summary = "Replace a record's content",
     .body_schema = "#RecordContent",
     .answer_schema = "#Record"},
    {.method = HTTP_PATCH,
     .pattern = PATH "/{collection}/{id}",
     .handle = data_patch,
     WRITE,
     .summary = "Change the members named (RFC 7396)",
     .body_schema = "#RecordContent",
     .answer_schema = "#Record"},
    {.method = HTTP_DELETE,
     .pattern = PATH "/{collection}/{id}",
     .handle = data_delete,
     WRITE,
     .success = 204,
     .summary = "Delete a record, and what its relations say goes with it"},
    {.pattern = NULL},
};

/* ---- Schemas --------------------------------------------------------------------------------- */

#define TEXT "{\"type\":\"string\"}"
#define MAYBE "{\"type\":[\"string\",\"null\"]}"
#define BOOL "{\"type\":\"boolean\"}"
#define NUMBER "{\"type\":\"number\"}"
#define INTEGER "{\"type\":\"integer\"}"
#define TIME "{\"type\":\"string\",\"format\":\"date-time\"}"
#define LIST(of) "{\"type\":\"array\",\"items\":" of "}"
#define REF(name) "{\"$ref\":\"#/components/schemas/" name "\"}"
#define CONTENT                                                                                    \
    "\"fields\":" LIST(REF("CollectionField")) ",\"indexes\":" LIST(                               \
        "{\"type\":\"object\",\"properties\":{\"fields\":" LIST(                                   \
            TEXT) ",\"unique\":" BOOL                                                              \
                  "}}") ",\"rules\":" TEXT                                                         \
                        ",\"view\":{\"type\":\"object\",\"required\":[\"from\"],"                  \
                        "\"properties\":{\"from\":" TEXT ",\"filter\":" TEXT ",\"fields\":" TEXT   \
                        ",\"sort\":" TEXT "}}"

static const struct module_schema data_schemas[] = {
    {"CollectionField",
     "{\"type\":\"object\",\"required\":[\"name\",\"type\"],\"properties\":{\"name\":" TEXT
     ",\"type\":{\"type\":\"string\",\"enum\":[\"text\",\"number\",\"integer\",\"bool\","
     "\"date-time\",\"json\",\"select\",\"email\",\"url\",\"relation\"]},\"required\":" BOOL
     ",\"unique\":" BOOL ",\"index\":" BOOL ",\"search\":" BOOL ",\"min\":" NUMBER
     ",\"max\":" NUMBER ",\"pattern\":" TEXT ",\"values\":" LIST(
         TEXT) ",\"collection\":" TEXT ",\"on_delete\":{\"type\":\"string\",\"enum\":[\"restrict\","
               "\"cascade\",\"set_null\"]},"
               "\"default\":{}}}"},
    {"CollectionDefinition",
     "{\"type\":\"object\",\"required\":[\"name\"],\"additionalProperties\":false,\"properties\":{"
     "\"name\":" TEXT "," CONTENT "}}"},
    {"CollectionChanges",
     "{\"type\":\"object\",\"required\":[\"changes\"],\"additionalProperties\":false,"
     "\"properties\":{\"changes\":" LIST(
         "{\"type\":\"object\",\"required\":[\"op\"],\"properties\":{\"op\":{\"type\":\"string\","
         "\"enum\":[\"add_field\",\"drop_field\",\"rename_field\",\"change_field\",\"add_index\","
         "\"drop_index\",\"set_rules\",\"set_view\"]}}}") "}}"},
    {"Collection", "{\"type\":\"object\",\"required\":[\"name\",\"type\",\"version\"],"
                   "\"properties\":{\"name\":" TEXT ",\"type\":" TEXT ",\"version\":" INTEGER
                   ",\"created_at\":" TIME ",\"updated_at\":" TIME "," CONTENT "}}"},
    {"CollectionList",
     "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":" LIST(
         REF("Collection")) "}}"},
    {"RecordContent", "{\"type\":\"object\"}"},
    {"Record", "{\"type\":\"object\",\"properties\":{\"id\":" TEXT ",\"version\":" INTEGER
               ",\"created_at\":" TIME ",\"updated_at\":" TIME ",\"created_by\":" MAYBE "}}"},
    {"RecordPage",
     "{\"type\":\"object\",\"required\":[\"items\",\"limit\",\"offset\",\"more\",\"next_cursor\"],"
     "\"properties\":{\"items\":" LIST(REF("Record")) ",\"limit\":" INTEGER ",\"offset\":" INTEGER
                                                      ",\"total\":" INTEGER ",\"next\":" MAYBE
                                                      ",\"more\":" BOOL ",\"next_cursor\":" MAYBE
                                                      ",\"cost\":{\"type\":\"object\"}}}"},
    {"ImportResult", "{\"type\":\"object\",\"properties\":{\"dry_run\":" BOOL ",\"rows\":" INTEGER
                     ",\"written\":" INTEGER "}}"},
    {"DataBatch",
     "{\"type\":\"object\",\"required\":[\"operations\"],\"additionalProperties\":false,"
     "\"properties\":{\"operations\":" LIST(
         "{\"type\":\"object\",\"required\":[\"op\",\"collection\"],\"properties\":{\"op\":{"
         "\"type\":\"string\",\"enum\":[\"create\",\"replace\",\"update\",\"delete\",\"upsert\"]},"
         "\"collection\":" TEXT ",\"id\":" TEXT ",\"version\":" INTEGER
         ",\"record\":{\"type\":\"object\"}}}") "}}"},
    {"DataBatchResult", "{\"type\":\"object\",\"properties\":{\"results\":" LIST(
                            "{\"type\":\"object\",\"properties\":{\"collection\":" TEXT
                            ",\"id\":" TEXT ",\"result\":" TEXT ",\"version\":" INTEGER "}}") "}}"},
    {NULL, NULL},
};

static rc_t data_start(struct diag *why) {
    (void)why;
    collections_forget(); /* of a database opened before */
    return RC_OK;
}

static void data_stop(void) {
    collections_forget();
    rules_stop();
}

const struct module data_module = {
    .name = "data",
    .start = data_start,
    .stop = data_stop,
    .routes = data_routes,
    .schema = &data_schema,
    .schemas = data_schemas,
};
