/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus.c — GET /metrics: the Prometheus text format, version 0.0.4.
 *
 *   # HELP name words        one family after the other; all lines of a family together
 *   # TYPE name counter
 *   name{label="value"} 1
 *
 * Always true: names and help come from our tables, label values are escaped; buckets are
 * cumulative and end with +Inf equal to _count. The writer yields between routes, so a scrape of a
 * long table never holds the loop; a histogram is written in one piece and is whole in itself. */
#include "app/metrics/metrics_impl.h"
#include "app/reply.h"
#include "app/version.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include <math.h>
#include <stdio.h>

#define METRICS_BYTES_MAX MIB(1)
#define ROUTES_PER_TURN 8u

static void put(struct buf *b, str s) { (void)!!buf_add(b, s); }
static void put_c(struct buf *b, const char *s) { put(b, str_from_c(s)); }

static void put_u64(struct buf *b, u64 v) {
    char digits[20], *at = digits + sizeof digits;
    do *--at = (char)('0' + v % 10);
    while (v /= 10);
    put(b, str_of(at, (size_t)(digits + sizeof digits - at)));
}

static void put_value(struct buf *b, double v) {
    if (v >= 0 && v < 9007199254740992.0 && v == floor(v))
        put_u64(b, (u64)v);
    else
        (void)!!buf_printf(b, "%.9g", v);
    put(b, S("\n"));
}

static void family(struct buf *b, const char *name, const char *type, const char *help) {
    put(b, S("# HELP "));
    put_c(b, name);
    put(b, S(" "));
    put_c(b, help);
    put(b, S("\n# TYPE "));
    put_c(b, name);
    put(b, S(" "));
    put_c(b, type);
    put(b, S("\n"));
}

static void label(struct buf *b, const char *name, str value) {
    put_c(b, name);
    put(b, S("=\""));
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"') put(b, S("\\"));
        put(b, c == '\n' ? S("\\n") : str_of(&value.ptr[i], 1));
    }
    put(b, S("\""));
}

static void simple(struct buf *b, const char *name, const char *type, const char *help, double v) {
    family(b, name, type, help);
    put_c(b, name);
    put(b, S(" "));
    put_value(b, v);
}

static void write_table(struct buf *b) {
#define COUNTER(id, name, help)                                                                    \
    simple(b, name, "counter", help, (double)metric_values[METRIC_##id]);
#define COUNTER_READ(id, name, help, read) simple(b, name, "counter", help, read());
#define GAUGE(id, name, help, read) simple(b, name, "gauge", help, read());
#include "app/metrics/counter.def"
#undef COUNTER
#undef COUNTER_READ
#undef GAUGE
}

static void one_label(struct buf *b, const char *name, const char *key, str value, double v) {
    put_c(b, name);
    put(b, S("{"));
    label(b, key, value);
    put(b, S("} "));
    put_value(b, v);
}

static void write_memory(struct buf *b) {
    static const struct {
        const char *name, *type, *help;
    } families[] = {
        {"openpolicy_memory_budget_used_bytes", "gauge", "Bytes of a memory budget in use."},
        {"openpolicy_memory_budget_limit_bytes", "gauge", "Bytes a memory budget may take."},
        {"openpolicy_memory_budget_refused_total", "counter", "Allocations over a budget."},
    };
    for (size_t f = 0; f < ARRAY_LEN(families); f++) {
        family(b, families[f].name, families[f].type, families[f].help);
        for (int i = 0; i < MEMORY_BUDGET_COUNT; i++) {
            struct memory_use use;
            memory_use_get((enum memory_budget)i, &use);
            u64 v = f == 0 ? use.used : f == 1 ? use.limit : use.refused;
            one_label(b, families[f].name, "budget", str_from_c(use.name), (double)v);
        }
    }
}

static double disk_value(const struct disk_stats *s, size_t f) {
    switch (f) {
    case 0: return (double)s->reads;
    case 1: return (double)s->writes;
    case 2: return (double)s->flushes;
    case 3: return (double)s->bytes_read;
    case 4: return (double)s->bytes_written;
    case 5: return (double)s->errors;
    default: return (double)s->flush_ns_total / 1e9;
    }
}

static void write_disks(struct buf *b) {
    static const struct {
        const char *name, *help;
    } families[] = {
        {"openpolicy_disk_reads_total", "Read operations."},
        {"openpolicy_disk_writes_total", "Write operations."},
        {"openpolicy_disk_flushes_total", "Flush operations."},
        {"openpolicy_disk_read_bytes_total", "Bytes read."},
        {"openpolicy_disk_written_bytes_total", "Bytes written."},
        {"openpolicy_disk_errors_total", "Operations that failed."},
        {"openpolicy_disk_flush_seconds_total", "Seconds flushes took."},
    };
    for (size_t f = 0; f < ARRAY_LEN(families) && platform_disk_count(); f++) {
        family(b, families[f].name, "counter", families[f].help);
        for (u32 d = 0; d < MIN(platform_disk_count(), (u32)DISK_MAX); d++) {
            struct disk_stats s = {0};
            disk_stats_get(d, &s);
            one_label(b, families[f].name, "disk", str_of(&"0123456789"[d], 1), disk_value(&s, f));
        }
    }
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void route_labels(struct buf *b, const struct metric_route *r) {
    put(b, S("{"));
    label(b, "route", str_from_c(r->route));
    put(b, S(","));
    label(b, "method", r->method);
}

static void write_statuses(struct buf *b) {
    const char *name = "openpolicy_http_requests_total";
    family(b, name, "counter", "Requests answered, by route, method and status.");
    for (u32 i = 0; i < METRIC_ROUTES; i++) {
        const struct metric_route *r = metric_route_at(i);
        for (u32 s = 0; r && s < METRIC_STATUSES && r->statuses[s].count; s++) {
            put_c(b, name);
            route_labels(b, r);
            put(b, S(",status=\""));
            if (r->statuses[s].status)
                put_u64(b, (u64)r->statuses[s].status);
            else
                put(b, S("other"));
            put(b, S("\"} "));
            put_u64(b, r->statuses[s].count);
            put(b, S("\n"));
        }
    }
}

static void write_histogram(struct buf *b, const char *name, const struct metric_route *r) {
    u64 sum = 0;
    for (u32 i = 0; i <= METRIC_BUCKETS; i++) {
        sum += r->buckets[i];
        put_c(b, name);
        put(b, S("_bucket"));
        route_labels(b, r);
        put(b, S(",le=\""));
        if (i < METRIC_BUCKETS)
            (void)!!buf_printf(b, "%g", (double)metric_bucket_ns[i] / 1e9);
        else
            put(b, S("+Inf"));
        put(b, S("\"} "));
        put_u64(b, sum);
        put(b, S("\n"));
    }
    put_c(b, name);
    put(b, S("_sum"));
    route_labels(b, r);
    put(b, S("} "));
    put_value(b, (double)r->sum_ns / 1e9);
    put_c(b, name);
    put(b, S("_count"));
    route_labels(b, r);
    put(b, S("} "));
    put_value(b, (double)r->count);
}

static void write_histograms(struct buf *b) {
    const char *name = "openpolicy_http_request_duration_seconds";
    u32 written = 0;
    family(b, name, "histogram", "From the first byte of a request to its answer.");
    for (u32 i = 0; i < METRIC_ROUTES; i++) {
        const struct metric_route *r = metric_route_at(i);
        if (!r) continue;
        write_histogram(b, name, r);
        if (++written % ROUTES_PER_TURN == 0 && fiber_inside()) fiber_yield();
    }
}

/* ---- Decisions ------------------------------------------------------------------------------ */

static void decision_line(struct buf *b, const char *name, const char *suffix,
                          const struct metric_decision *d, const char *le, double v) {
    put_c(b, name);
    put_c(b, suffix);
    put(b, S("{"));
    label(b, "path", d->path);
    if (le) {
        put(b, S(",le=\""));
        put_c(b, le);
        put(b, S("\""));
    }
    put(b, S("} "));
    put_value(b, v);
}

static void write_decision_histograms(struct buf *b) {
    const char *name = "openpolicy_decision_duration_seconds";
    family(b, name, "histogram", "From a question to its decision, by the path asked.");
    for (u32 i = 0; i < DECISION_SLOTS + 2; i++) {
        const struct metric_decision *d = metric_decision_at(i);
        u64 sum = 0;
        for (u32 k = 0; d && k <= METRIC_BUCKETS; k++) {
            char le[32] = "+Inf";
            if (k < METRIC_BUCKETS)
                snprintf(le, sizeof le, "%g", (double)decision_bucket_ns[k] / 1e9);
            decision_line(b, name, "_bucket", d, le, (double)(sum += d->buckets[k]));
        }
        if (!d) continue;
        decision_line(b, name, "_sum", d, NULL, (double)d->sum_ns / 1e9);
        decision_line(b, name, "_count", d, NULL, (double)d->count);
        if (i % ROUTES_PER_TURN == 0 && fiber_inside()) fiber_yield();
    }
}

static void write_decisions(struct buf *b) {
    write_decision_histograms(b);
    family(b, "openpolicy_decision_errors_total", "counter", "Decisions that ended in an error.");
    for (u32 i = 0; i < DECISION_SLOTS + 2; i++)
        if (metric_decision_at(i))
            decision_line(b, "openpolicy_decision_errors_total", "", metric_decision_at(i), NULL,
                          (double)metric_decision_at(i)->errors);
    family(b, "openpolicy_decision_cache_hits_total", "counter",
           "Decisions whose query was prepared already.");
    for (u32 i = 0; i < DECISION_SLOTS + 2; i++)
        if (metric_decision_at(i))
            decision_line(b, "openpolicy_decision_cache_hits_total", "", metric_decision_at(i),
                          NULL, (double)metric_decision_at(i)->hits);
}

static void write_all(struct buf *b) {
    family(b, "openpolicy_build_info", "gauge", "Constant 1; the labels tell which build this is.");
    one_label(b, "openpolicy_build_info", "version", S(OPENPOLICY_VERSION), 1);
    write_table(b);
    write_memory(b);
    write_disks(b);
    write_statuses(b);
    write_histograms(b);
    write_decisions(b);
}

static void get_metrics(struct request *rq) {
    struct buf b;
    buf_open(&b, METRICS_BYTES_MAX);
    write_all(&b);
    if (b.failed)
        reply_rc(rq, RC_NO_MEMORY, "The metrics");
    else
        reply_text(rq, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
    buf_close(&b);
}

static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/metrics", .handle = get_metrics, .access = ACCESS_PUBLIC,
     .permission = "metrics:all:read", .summary = "All metrics, as Prometheus reads them",
     .tag = "observability", .quiet = true},
    {0},
};
const struct module metrics_module = {.name = "metrics", .routes = routes};
