/* SPDX-License-Identifier: Apache-2.0 */
/* app_reference_test.c — docs/reference/{config,metrics,api}.md are what the tables say.
 * UPDATE_DOCS=1 writes them anew: `UPDATE_DOCS=1 make unit ONLY=app_reference`. */
#include "app/config/config_impl.h"
#include "app/module.h"
#include "tests/test.h"
#include <stdio.h>
#include <stdlib.h>

#define ADD(...) (void)!!buf_printf(to, __VA_ARGS__)

static void compare(const char *path, struct buf *wanted) {
    static char have[MIB(1)];
    EXPECT(!wanted->failed);
    if (getenv("UPDATE_DOCS")) {
        FILE *out = fopen(path, "w");
        REQUIRE(out);
        fwrite(wanted->ptr, 1, wanted->len, out);
        fclose(out);
    }
    FILE *in = fopen(path, "r");
    size_t n = in ? fread(have, 1, sizeof have, in) : 0;
    if (in) fclose(in);
    if (!str_eq(str_of(have, n), buf_str(wanted)))
        test_fail(path, 1,
                  "is not what the tables say; UPDATE_DOCS=1 make unit ONLY=app_reference");
    buf_close(wanted);
}

static void write_bounds(struct buf *to, const struct option *o) {
    switch (o->kind) {
    case OPTION_TEXT:
    case OPTION_SECRET:
    case OPTION_DOCUMENT:
    case OPTION_JSON:
        ADD("%lld to %lld bytes", (long long)o->min, (long long)o->max);
        break;
    case OPTION_INT: ADD("%lld to %lld", (long long)o->min, (long long)o->max); break;
    case OPTION_BOOL: ADD("true, false"); break;
    case OPTION_CHOICE: {
        str rest = str_from_c(o->choices), one;
        for (bool first = true; str_split(&rest, ' ', &one); first = false)
            ADD("%s%.*s", first ? "" : ", ", STR(one));
        break;
    }
    case OPTION_DURATION:
        ADD("%lld s to %lld s", (long long)o->min, (long long)o->max);
        break;
    }
}

TEST(config_md) {
    struct buf b, *to = &b;
    buf_open(to, MIB(1));
    ADD("# Configuration\n\n"
        "Every setting, from `app/config/option.def`. A value comes from the last of these that "
        "names it:\n\n"
        "1. the default below;\n"
        "2. what was stored through the API (`PUT /api/v1/config/KEY` with `{\"value\": ...}`, or\n"
        "   several at once with `PUT /api/v1/config` and `{\"KEY\": ..., ...}`);\n"
        "3. the machine's JSON document: QEMU fw_cfg `opt/org.openpolicy/config`, or "
        "`--config FILE`\n"
        "   of the Linux process. Keys dotted (`\"net.address\"`) or nested "
        "(`{\"net\": {\"address\": ...}}`);\n"
        "4. the kernel command line: `config.KEY=VALUE` (double quotes hold blanks together), and "
        "the\n   kernel's `ip=dhcp` or `ip=ADDRESS::GATEWAY:NETMASK[:HOSTNAME::none:DNS:DNS]`.\n\n"
        "A document (3 or 4) with an unknown key, a value out of bounds or a key twice is refused "
        "whole: the\nconsole names the key, `/api/v1/health/detailed` and the status screen keep "
        "saying so, and the\nappliance runs on with the sources before it. Words of the command "
        "line that are not ours are left\nalone. A key set by 3 or 4 cannot be changed by the API "
        "(409): it would have no effect.\n\n"
        "| key | type | default | allowed | takes effect | what it does |\n"
        "|---|---|---|---|---|---|\n");
    for (u32 i = 0; i < option_count; i++) {
        const struct option *o = &options[i];
        ADD("| `%s` | %s | ", o->key, option_kind_name(o->kind));
        if (o->initial[0])
            ADD("`%s`", o->initial);
        else
            ADD("none");
        ADD(" | ");
        write_bounds(to, o);
        ADD(" | %s | %s |\n", o->effect == LIVE ? "at once" : "after a restart", o->help);
    }
    compare("docs/reference/config.md", to);
}

TEST(metrics_md) {
    struct buf b, *to = &b;
    buf_open(to, MIB(1));
    ADD("# Metrics\n\n"
        "`GET /metrics`, Prometheus text format 0.0.4, from `app/metrics/counter.def`. Counters "
        "start at 0\nwith the appliance.\n\n"
        "| name | type | what it counts |\n|---|---|---|\n"
        "| `openpolicy_build_info{version}` | gauge | Constant 1; the labels tell which build this "
        "is. |\n"
        "| `openpolicy_http_requests_total{route,method,status}` | counter | Requests answered. |\n"
        "| `openpolicy_decision_duration_seconds{path}` | histogram | From a question to its "
        "decision, by the path asked; `(undefined)`: what is not there, `(other)`: beyond 64 "
        "paths. |\n"
        "| `openpolicy_decision_errors_total{path}` | counter | Decisions that ended in an error. "
        "|\n"
        "| `openpolicy_decision_cache_hits_total{path}` | counter | Decisions whose query was "
        "prepared already. |\n"
        "| `openpolicy_http_request_duration_seconds{route,method}` | histogram | From the first "
        "byte of a request to its answer. |\n"
        "| `openpolicy_memory_budget_used_bytes{budget}` | gauge | Bytes of a memory budget in "
        "use. "
        "|\n"
        "| `openpolicy_memory_budget_limit_bytes{budget}` | gauge | Bytes a memory budget may "
        "take. "
        "|\n"
        "| `openpolicy_memory_budget_refused_total{budget}` | counter | Allocations over a budget. "
        "|\n"
        "| `openpolicy_disk_{reads,writes,flushes,errors}_total{disk}` | counter | Operations of a "
        "disk. |\n"
        "| `openpolicy_disk_{read,written}_bytes_total{disk}` | counter | Bytes moved. |\n"
        "| `openpolicy_disk_flush_seconds_total{disk}` | counter | Seconds flushes took. |\n");
#define COUNTER(id, name, help) ADD("| `%s` | counter | %s |\n", name, help);
#define COUNTER_READ(id, name, help, read) ADD("| `%s` | counter | %s |\n", name, help);
#define GAUGE(id, name, help, read) ADD("| `%s` | gauge | %s |\n", name, help);
#include "app/metrics/counter.def"
#undef COUNTER
#undef COUNTER_READ
#undef GAUGE
    compare("docs/reference/metrics.md", to);
}

TEST(api_md) {
    static const char *const who[] = {"anyone", "signed in", "administrator"};
    struct buf b, *to = &b;
    buf_open(to, MIB(1));
    ADD("# API\n\n"
        "Every route, from the route tables in `app/*/`. The same tables make "
        "`/api/openapi.json`, which has\nparameters and schemas too. Errors are "
        "`application/problem+json` (RFC 9457) with a stable `code` and the\n`request_id` that is "
        "also in the log. An unknown query parameter is 400, an unknown member of a body 422.\n");
    for (u32 i = 0; modules[i]; i++) {
        const struct route *r = modules[i]->routes;
        if (!r || !r->pattern) continue;
        ADD("\n## %s\n\n| method | path | who | what |\n|---|---|---|---|\n", modules[i]->name);
        for (; r->pattern; r++)
            ADD("| %.*s | `%s` | %s | %s |\n", STR(http_method_name(r->method)), r->pattern,
                who[r->access], r->summary ? r->summary : "");
    }
    compare("docs/reference/api.md", to);
}

/* The tables' own rules: what the document, the pipeline and access control rely on. */
TEST(every_route_is_complete) {
    for (u32 i = 0; modules[i]; i++) {
        for (const struct route *r = modules[i]->routes; r && r->pattern; r++) {
            bool named = r->permission || r->access == ACCESS_PUBLIC; /* what access control asks */
            bool good = r->handle && named && r->summary && r->tag;
            if (!good) test_fail(r->pattern, 0, "lacks a handler, permission, summary or tag");
            if (r->probe && r->access != ACCESS_PUBLIC)
                test_fail(r->pattern, 0, "a probe must be public");
            u32 params = 0;
            for (const struct route_param *p = r->query; p && p->name; p++, params++)
                if (!p->help || !p->type) test_fail(r->pattern, 0, "%s lacks help", p->name);
            EXPECT(params <= 64);
        }
    }
}
