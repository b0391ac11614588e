/* SPDX-License-Identifier: Apache-2.0 */
/* app_metrics_test.c — histograms are cumulative and whole, label sets bounded, labels escaped. */
#include "app/metrics/decisions.c"
#include "app/metrics/metrics.c"
#include "app/metrics/prometheus.c"
#include "tests/test.h"

static struct buf text_of(void (*write)(struct buf *)) {
    struct buf b;
    buf_open(&b, METRICS_BYTES_MAX);
    write(&b);
    EXPECT(!b.failed);
    return b;
}
static bool holds(const struct buf *b, const char *line) {
    return str_find(buf_str(b), str_from_c(line)) < b->len;
}

TEST(requests_are_counted_by_route_method_and_status) {
    static const char route[] = "/x/{id}";
    memory_init(MIB(64));
    for (int i = 0; i < 3; i++) metric_request(route, http_method_name(HTTP_GET), 200, 60000);
    metric_request(route, http_method_name(HTTP_GET), 404, 3000000);
    metric_request(route, http_method_name(HTTP_PUT), 200, 20000000000ull);
    struct buf b = text_of(write_statuses);
    EXPECT(holds(&b, "{route=\"/x/{id}\",method=\"GET\",status=\"200\"} 3\n"));
    EXPECT(holds(&b, "{route=\"/x/{id}\",method=\"GET\",status=\"404\"} 1\n"));
    buf_close(&b);
    b = text_of(write_histograms);
#define DURATION "openpolicy_http_request_duration_seconds"
    EXPECT(holds(&b, DURATION "_bucket{route=\"/x/{id}\",method=\"GET\",le=\"5e-05\"} 0\n"));
    EXPECT(holds(&b, DURATION "_bucket{route=\"/x/{id}\",method=\"GET\",le=\"0.0001\"} 3\n"));
    EXPECT(holds(&b, DURATION "_bucket{route=\"/x/{id}\",method=\"GET\",le=\"0.005\"} 4\n"));
    EXPECT(holds(&b, DURATION "_bucket{route=\"/x/{id}\",method=\"GET\",le=\"+Inf\"} 4\n"));
    EXPECT(holds(&b, DURATION "_count{route=\"/x/{id}\",method=\"GET\"} 4\n"));
    EXPECT(holds(&b, DURATION "_sum{route=\"/x/{id}\",method=\"GET\"} 0.00318\n"));
    EXPECT(holds(&b, DURATION "_bucket{route=\"/x/{id}\",method=\"PUT\",le=\"10\"} 0\n"));
    EXPECT(holds(&b, DURATION "_bucket{route=\"/x/{id}\",method=\"PUT\",le=\"+Inf\"} 1\n"));
    buf_close(&b);
}

TEST(statuses_and_routes_are_bounded) {
    static const char route[] = "/many";
    static char names[METRIC_ROUTES + 8];
    memory_init(MIB(64));
    for (int s = 100; s < 600; s++) metric_request(route, http_method_name(HTTP_GET), s, 1);
    struct buf b = text_of(write_statuses);
    EXPECT(holds(&b, "{route=\"/many\",method=\"GET\",status=\"other\"} 489\n"));
    buf_close(&b);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        metric_request(&names[i], http_method_name(HTTP_GET), 200, 1);
    u32 used = 0;
    for (u32 i = 0; i < METRIC_ROUTES; i++) used += metric_route_at(i) != NULL;
    EXPECT(used <= METRIC_ROUTES);
}

TEST(labels_are_escaped) {
    struct buf b;
    buf_open(&b, 1000);
    label(&b, "a", S("x\"y\\z\nw"));
    EXPECT_STR(buf_str(&b), S("a=\"x\\\"y\\\\z\\nw\""));
    buf_clear(&b);
    put_value(&b, 0.25);
    put_value(&b, 9007199254740993.0);
    put_value(&b, -1);
    EXPECT_STR(buf_str(&b), S("0.25\n9.00719925e+15\n-1\n"));
    buf_close(&b);
}

TEST(without_memory_a_request_is_served_uncounted) {
    static const char route[] = "/nothing left";
    struct memory_use use;
    memory_init(MIB(64));
    memory_use_get(MEMORY_SERVICES, &use);
    void *hog = memory_alloc(MEMORY_SERVICES, use.limit - use.used - 128);
    metric_request(route, http_method_name(HTTP_GET), 200, 1);
    for (u32 i = 0; i < METRIC_ROUTES; i++)
        EXPECT(!metric_route_at(i) || metric_route_at(i)->route != route);
    memory_free(MEMORY_SERVICES, hog);
}

TEST(decisions_are_counted_by_path_and_paths_are_bounded) {
    memory_init(MIB(64));
#define TOOK "openpolicy_decision_duration_seconds"
    for (int i = 0; i < 3; i++) metric_decide(S("app/allow"), METRIC_ANSWERED, i > 0, 2000);
    metric_decide(S("app/allow"), METRIC_UNDEFINED, true, 20000);
    metric_decide(S("app/allow"), METRIC_FAILED, true, 30000000000ull);
    metric_decide(S("nothing/there"), METRIC_UNDEFINED, false, 500);
    metric_decide(S("no\"t\nhere"), METRIC_FAILED, false, 500);
    struct buf b = text_of(write_decisions);
    EXPECT(holds(&b, TOOK "_bucket{path=\"app/allow\",le=\"1e-06\"} 0\n"));
    EXPECT(holds(&b, TOOK "_bucket{path=\"app/allow\",le=\"2.5e-06\"} 3\n"));
    EXPECT(holds(&b, TOOK "_bucket{path=\"app/allow\",le=\"2.5e-05\"} 4\n"));
    EXPECT(holds(&b, TOOK "_bucket{path=\"app/allow\",le=\"10\"} 4\n"));
    EXPECT(holds(&b, TOOK "_bucket{path=\"app/allow\",le=\"+Inf\"} 5\n"));
    EXPECT(holds(&b, TOOK "_count{path=\"app/allow\"} 5\n"));
    EXPECT(holds(&b, TOOK "_count{path=\"(undefined)\"} 2\n"));
    EXPECT(holds(&b, "openpolicy_decision_errors_total{path=\"app/allow\"} 1\n"));
    EXPECT(holds(&b, "openpolicy_decision_errors_total{path=\"(undefined)\"} 1\n"));
    EXPECT(holds(&b, "openpolicy_decision_cache_hits_total{path=\"app/allow\"} 4\n"));
    EXPECT(!holds(&b, "nothing/there"));
    buf_close(&b);
    u32 asked = 0, counted = 0;
    for (; asked < 5000; asked++) {
        char path[300];
        snprintf(path, sizeof path, "p%u/%0*u", asked, asked % 7 ? 3 : 250, asked);
        metric_decide(str_from_c(path), METRIC_ANSWERED, false, 1);
    }
    u32 labels = 0;
    for (u32 i = 0; i < DECISION_SLOTS + 2; i++)
        if (metric_decision_at(i)) labels++, counted += (u32)metric_decision_at(i)->count;
    EXPECT_EQ(labels, DECISION_PATHS + 2);
    EXPECT_EQ(counted, asked + 7);
    b = text_of(write_decisions);
    EXPECT(holds(&b, TOOK "_count{path=\"(other)\"} "));
    buf_close(&b);
}
