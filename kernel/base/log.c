/* SPDX-License-Identifier: Apache-2.0 */
/* log.c — levelled, structured lines in a ring of bytes.
 *
 *   ring: [u32 length | line bytes | pad to 4] [u32 length | ...] ... wraps by a zero length
 *
 * Always true: oldest <= next; every record between them is whole. A line is formatted on the
 * writer's stack and copied in under a lock of a few dozen instructions. */
#include "kernel/base/log.h"
#include "kernel/base/limits.h"
#include "kernel/platform.h"
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

struct record_at {
    u32 offset, length;
};
#define LOG_LINES_MAX (LOG_RING_BYTES / 64)

static struct {
    struct platform_lock lock;
    u64 oldest, next;                       /* sequence numbers */
    u32 head;                               /* where the next line goes */
    struct record_at index[LOG_LINES_MAX];  /* by sequence number modulo the size */
    char bytes[LOG_RING_BYTES];
} ring; /* all zero at start, so that the image does not carry it */
static enum log_level kept_from = LOG_INFO, shown_from = LOG_WARN;

static str no_request(void) { return (str){NULL, 0}; }
str (*log_request_id)(void) = no_request;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

str log_level_name(enum log_level level) { return str_from_c(level_names[level]); }

bool log_level_parse(str name, enum log_level *out) {
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
        if (str_eq(name, str_from_c(level_names[i]))) {
            *out = (enum log_level)i;
            return true;
        }
    return false;
}

void log_level_set(enum log_level kept) { kept_from = kept; }
void log_console_level_set(enum log_level shown) { shown_from = shown; }

const char *log_quote(str text, char *to, size_t room) {
    static const char hex[] = "0123456789abcdef";
    size_t n = 0;
    CHECK(room >= 8);
    to[n++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (n + 6 > room) { /* worst case: \xHH, quote, NUL */
            to[n - 1] = '~';
            break;
        }
        u8 c = (u8)text.ptr[i];
        if (c == '"' || c == '\\') {
            to[n++] = '\\';
            to[n++] = (char)c;
        } else if (c < 0x20 || c == 0x7F) {
            to[n++] = '\\';
            to[n++] = 'x';
            to[n++] = hex[c >> 4];
            to[n++] = hex[c & 15];
        } else {
            to[n++] = (char)c;
        }
    }
    to[n++] = '"';
    to[n] = 0;
    return to;
}

static char *add(char *at, char *end, str s) {
    size_t n = MIN(s.len, (size_t)(end - at));
    memcpy(at, s.ptr, n);
    return at + n;
}

/* The date changes once a second, lines come by the thousand: the last one is kept. */
static char *put_time(char *at, char *end) {
    static struct {
        u64 second;
        char text[96]; /* "2026-01-31T12:00:00.": roomy, so that no year can overflow it */
    } last; /* under the ring's lock */
    u64 wall = platform_wall_ns(), second = wall / NS_PER_S, ms = wall % NS_PER_S / NS_PER_MS;
    char text[96];
    if (wall == 0) {
        u64 up = platform_clock_ns();
        int n = snprintf(text, sizeof text, "+%llu.%06llus", (unsigned long long)(up / NS_PER_S),
                         (unsigned long long)(up % NS_PER_S / 1000));
        return add(at, end, str_of(text, (size_t)n));
    }
    platform_lock(&ring.lock);
    bool fresh = last.second == second;
    memcpy(text, last.text, sizeof last.text);
    platform_unlock(&ring.lock);
    if (!fresh) {
        time_t seconds = (time_t)second;
        struct tm t;
        gmtime_r(&seconds, &t);
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.", t.tm_year + 1900,
                 t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
        platform_lock(&ring.lock);
        last.second = second;
        memcpy(last.text, text, sizeof last.text);
        platform_unlock(&ring.lock);
    }
    char tail[4] = {(char)('0' + ms / 100), (char)('0' + ms / 10 % 10), (char)('0' + ms % 10), 'Z'};
    return add(add(at, end, str_from_c(text)), end, str_of(tail, sizeof tail));
}

static void drop_oldest_at(u32 from, u32 to) { /* lines that overlap [from, to) */
    while (ring.oldest < ring.next) {
        struct record_at r = ring.index[ring.oldest % LOG_LINES_MAX];
        bool overlaps = r.offset < to && r.offset + r.length > from;
        if (!overlaps && ring.next - ring.oldest < LOG_LINES_MAX) break;
        ring.oldest++;
    }
}

static void append(str line) {
    platform_lock(&ring.lock);
    u32 length = (u32)line.len;
    if (ring.head + length > LOG_RING_BYTES) {
        drop_oldest_at(ring.head, LOG_RING_BYTES);
        ring.head = 0;
    }
    drop_oldest_at(ring.head, ring.head + length);
    memcpy(ring.bytes + ring.head, line.ptr, length);
    ring.index[ring.next % LOG_LINES_MAX] = (struct record_at){ring.head, length};
    ring.next++;
    ring.head += length;
    platform_unlock(&ring.lock);
}

/* `time level area "what"`, ready for the fields. */
static char *put_head(char *at, char *end, enum log_level level, const char *area,
                      const char *what) {
    static const str levels[] = {{" debug ", 7}, {" info  ", 7}, {" warn  ", 7}, {" error ", 7}};
    at = add(put_time(at, end), end, levels[level]);
    at = add(add(at, end, str_from_c(area)), end, S(" \""));
    return add(add(at, end, str_from_c(what)), end, S("\""));
}

/* Controls become '?': one line stays one line. Eight bytes at a time while there are none (a byte
 * below 0x20 or equal to 0x7F leaves its top bit; others with it set are looked at one by one). */
static void one_line(char *from, char *to) {
    const u64 ones = 0x0101010101010101ull;
    for (u64 word; from < to; from++) {
        while (to - from >= 8) {
            memcpy(&word, from, sizeof word);
            u64 rubout = word ^ ones * 0x7F;
            if (((word - ones * 0x20) | (rubout - ones) | word) & ones << 7) break;
            from += 8;
        }
        if (from < to && ((u8)*from < 0x20 || *from == 0x7F)) *from = '?';
    }
}

/* Whose line it is, then into the ring and perhaps onto the console. The line has two bytes more
 * than `end` says. */
static void finish(char *line, char *at, char *end, enum log_level level) {
    str id = log_request_id();
    if (id.len) at = add(add(at, end, S(" request_id=")), end, id);
    if (at >= end) {
        at = end - 1;
        at[-1] = '~'; /* cut */
    }
    one_line(line, at);
    append(str_of(line, (size_t)(at - line)));
    if (level < shown_from) return;
    *at++ = '\n';
    platform_console_put(str_of(line, (size_t)(at - line)));
}

void log_write(enum log_level level, const char *area, const char *what, const char *fields, ...) {
    if (level < kept_from) return;
    char line[LOG_LINE_MAX + 2]; /* newline and NUL */
    char *end = line + LOG_LINE_MAX, *at = put_head(line, end, level, area, what);
    if (at < end && fields[0]) {
        *at++ = ' ';
        va_list args;
        va_start(args, fields);
        int more = vsnprintf(at, (size_t)(end - at) + 1, fields, args);
        va_end(args);
        if (more > 0) at += MIN((size_t)more, (size_t)(end - at));
    }
    finish(line, at, end, level);
}

void log_write_ready(enum log_level level, const char *area, const char *what, str fields) {
    if (level < kept_from) return;
    char line[LOG_LINE_MAX + 2];
    char *end = line + LOG_LINE_MAX, *at = put_head(line, end, level, area, what);
    if (fields.len) at = add(add(at, end, S(" ")), end, fields);
    finish(line, at, end, level);
}

rc_t log_read(u64 *seq, char *to, size_t room, size_t *out_len) {
    rc_t rc = RC_OK;
    platform_lock(&ring.lock);
    if (*seq >= ring.next) {
        rc = RC_NOT_FOUND;
    } else if (*seq < ring.oldest) {
        *seq = ring.oldest;
        rc = RC_LIMIT;
    } else {
        struct record_at r = ring.index[*seq % LOG_LINES_MAX];
        *out_len = MIN((size_t)r.length, room);
        memcpy(to, ring.bytes + r.offset, *out_len);
    }
    platform_unlock(&ring.lock);
    return rc;
}

u64 log_next_seq(void) { return ring.next; }

void log_tail(size_t n, void (*put)(str)) {
    u64 from = ring.next;
    for (size_t sum = 0; from > ring.oldest; from--) {
        sum += ring.index[(from - 1) % LOG_LINES_MAX].length + 1u;
        if (sum > n) break;
    }
    for (; from < ring.next; from++) {
        struct record_at r = ring.index[from % LOG_LINES_MAX];
        if (r.offset > LOG_RING_BYTES || r.length > LOG_RING_BYTES - r.offset) return;
        put((str){ring.bytes + r.offset, r.length});
        put(S("\n"));
    }
}
