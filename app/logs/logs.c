/* SPDX-License-Identifier: Apache-2.0 */
/* logs.c — GET /api/v1/logs: the lines in the ring, oldest first, for administrators.
 *
 *   2026-01-31T12:00:00.123Z warn storage "disk read failed" block=12 rc=RC_IO
 *   |time                   |level |area  |message           |fields
 *
 * `since` is the sequence number to begin at, so a reader that asks again with `next` sees each
 * line once; `lost` says how many were overwritten before it came. Without `since` the newest
 * lines are given. The reader yields between slices: a long read never holds the loop. */
#include "app/logs/logs.h"
#include "app/reply.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"

#define LINES_PER_TURN 64u
#define LINES_DEFAULT 100
#define LINES_MAX 1000

struct line {
    str time, level, area, message, fields;
};

/* Up to the next blank; levels are padded to one width. */
static str word(str *rest) {
    while (rest->len && rest->ptr[0] == ' ') *rest = str_skip(*rest, 1);
    size_t n = str_find_byte(*rest, ' ');
    str w = str_take(*rest, n);
    *rest = str_skip(*rest, n + 1);
    return w;
}

/* A message is quoted; a quote inside is escaped with a backslash. */
static str quoted(str *rest) {
    if (!rest->len || rest->ptr[0] != '"') return word(rest);
    size_t n = 1;
    while (n < rest->len && rest->ptr[n] != '"') n += rest->ptr[n] == '\\' ? 2 : 1;
    n = MIN(n, rest->len);
    str m = str_skip(str_take(*rest, n), 1);
    *rest = str_skip(*rest, MIN(n + 2, rest->len));
    return m;
}

static struct line split(str text) {
    struct line l;
    l.time = word(&text);
    l.level = word(&text);
    l.area = word(&text);
    l.message = quoted(&text);
    l.fields = text;
    return l;
}

static void write_line(struct json_writer *w, u64 seq, const struct line *l) {
    json_object(w, NULL);
    json_int(w, "seq", (s64)seq);
    json_text(w, "time", l->time);
    json_text(w, "level", l->level);
    json_text(w, "area", l->area);
    json_text(w, "message", l->message);
    json_text(w, "fields", l->fields);
    json_object_end(w);
}

struct reading {
    u64 seq, lost;
    s64 limit;
    enum log_level least;
    u32 given;
};

static void write_lines(struct json_writer *w, struct reading *r) {
    char text[LOG_LINE_MAX + 1];
    size_t n;
    for (u32 looked = 1; r->given < r->limit && !w->out.failed; looked++) {
        u64 wanted = r->seq;
        rc_t rc = log_read(&r->seq, text, sizeof text, &n);
        if (rc == RC_LIMIT) { /* overwritten: r->seq is now the oldest there is */
            r->lost += r->seq - wanted;
            continue;
        }
        if (rc) return; /* not yet written: the end */
        struct line l = split(str_of(text, n));
        enum log_level level;
        if (!log_level_parse(l.level, &level) || level >= r->least) {
            write_line(w, r->seq, &l);
            r->given++;
        }
        r->seq++;
        if (looked % LINES_PER_TURN == 0 && fiber_inside()) fiber_yield();
    }
}

static bool read_query(struct request *rq, struct reading *r) {
    s64 since = -1;
    str level = S("debug");
    r->limit = LINES_DEFAULT;
    if (!request_query_int(rq, "since", 0, INT64_MAX, &since) ||
        !request_query_int(rq, "limit", 1, LINES_MAX, &r->limit) ||
        !request_query_text(rq, "level", 8, &level))
        return false;
    if (log_level_parse(level, &r->least)) {
        u64 newest = log_next_seq();
        r->seq = since >= 0 ? (u64)since : newest > (u64)r->limit ? newest - (u64)r->limit : 0;
        return true;
    }
    reply_problem(rq, 400, "query_range", "\"level\" must be debug, info, warn or error.");
    return false;
}

static void get_logs(struct request *rq) {
    struct reading r = {0};
    struct json_writer w;
    if (!read_query(rq, &r)) return;
    json_open(&w, MIB(2));
    json_object(&w, NULL);
    json_array(&w, "items");
    write_lines(&w, &r);
    json_array_end(&w);
    json_int(&w, "total", r.given);
    json_int(&w, "limit", r.limit);
    json_int(&w, "next", (s64)r.seq);
    json_int(&w, "lost", (s64)r.lost);
    json_object_end(&w);
    reply_json(rq, 200, &w);
}

static const struct route_param query[] = {
    {"since", "integer", "First sequence number wanted; absent: the newest lines"},
    {"limit", "integer", "How many, 1 to 1000; 100 if absent"},
    {"level", "string", "Least level: debug, info, warn, error"},
    {0},
};
static const struct route routes[] = {
    {.method = HTTP_GET, .pattern = "/api/v1/logs", .handle = get_logs, .access = ACCESS_ADMIN,
     .permission = "logs:line:read", .summary = "The log, oldest line first",
     .tag = "observability", .query = query, .answer_schema = "#LogList"},
    {0},
};
static const struct module_schema schemas[] = {
    {"LogList",
     "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\",\"items\":{\"type\":"
     "\"object\",\"properties\":{\"seq\":{\"type\":\"integer\"},\"time\":{\"type\":\"string\"},"
     "\"level\":{\"type\":\"string\"},\"area\":{\"type\":\"string\"},\"message\":{\"type\":"
     "\"string\"},\"fields\":{\"type\":\"string\"}}}},\"total\":{\"type\":\"integer\"},\"next\":"
     "{\"type\":\"integer\"},\"lost\":{\"type\":\"integer\"}},\"required\":[\"items\",\"next\"]}"},
    {0},
};
const struct module logs_module = {.name = "logs", .routes = routes, .schemas = schemas};
