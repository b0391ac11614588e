/* SPDX-License-Identifier: Apache-2.0 */
/* routes.c — what the gateway tells about itself: GET /api/v1/gateway/routes, the live table with
 * each route's module and whether it runs, and the load that decides about shedding. */
#include "app/gateway/gateway_impl.h"
#include "app/reply.h"

static str access_name(enum route_access a) {
    return a == ACCESS_PUBLIC ? S("public") : a == ACCESS_USER ? S("user") : S("admin");
}

static void write_route(struct json_writer *w, const struct module *m, const struct route *r) {
    json_object(w, NULL);
    json_text(w, "method", http_method_name(r->method));
    json_text(w, "path", str_from_c(r->pattern));
    json_text(w, "module", str_from_c(m->name));
    json_text(w, "access", access_name(r->access));
    json_text(w, "permission", str_from_c(r->permission));
    json_bool(w, "running", gateway_module_runs(m));
    json_object_end(w);
}

static void get_routes(struct request *rq) {
    struct json_writer w;
    s64 total = 0;
    json_open(&w, KIB(1024));
    json_object(&w, NULL);
    json_array(&w, "items");
    for (const struct module *const *m = gateway_list(); *m; m++)
        for (const struct route *r = (*m)->routes; r && r->pattern; r++, total++)
            write_route(&w, *m, r);
    json_array_end(&w);
    json_int(&w, "total", total);
    front_write(&w);
    json_object(&w, "load");
    json_int(&w, "loop_lag_us", (s64)load_lag_us());
    json_int(&w, "memory_percent", load_memory_percent());
    json_object_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

const struct route gateway_routes[] = {
    {.method = HTTP_GET, .pattern = "/api/v1/gateway/routes", .handle = get_routes,
     .access = ACCESS_ADMIN, .permission = "gateway:route:read", .tag = "gateway",
     .summary = "The live route table and the load", .answer_schema = "#RouteList"},
    {0},
};
const struct module_schema gateway_schemas[] = {
    {"RouteList",
     "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"object\"}},\"total\":{\"type\":\"integer\"},\"routes\":{\"type\":\"array\"},\"upstreams\":"
     "{\"type\":\"array\"},\"load\":{\"type\":\"object\"}},"
     "\"required\":[\"items\",\"total\",\"load\"]}"},
    {0},
};
