/* SPDX-License-Identifier: Apache-2.0 */
/* resp.c — the command parser: strict, bounded, and able to go on where it stopped.
 *
 *   *3\r\n $3\r\nSET\r\n $1\r\nk\r\n $5\r\nvalue\r\n          arrays of bulks
 *   SET k "a \x41 value"\r\n                                 inline, words with quotes
 *
 * A client that has not signed in gets ten arguments of 16 KiB each and no more. Lengths are whole
 * decimal numbers; nothing is reserved for what a length merely promises.
 *
 * Always true: spans lie inside the first `at` bytes; what was read once is not read again. */
#include "app/cache/wire/resp.h"
#include "app/cache/data/numbers.h"
#include "app/cache/limits.h"
#include "kernel/core/memory.h"
#include <stdio.h>

void resp_begin(struct resp *r) {
    r->at = r->argc = 0;
    r->left = r->bulk = -1;
    r->inline_words = false;
}

static void spans_free(struct resp *r) {
    if (r->spans && r->spans != r->few) memory_free(MEMORY_CONNECTIONS, r->spans);
    r->spans = r->few;
    r->room = RESP_FEW;
}

void resp_close(struct resp *r) {
    spans_free(r);
    resp_begin(r);
}

static rc_t room_for(struct resp *r, u32 n) {
    if (!r->spans) spans_free(r);
    if (n <= r->room) return RC_OK;
    u32 room = MAX(n, r->room * 2);
    struct span *to = memory_alloc(MEMORY_CONNECTIONS, room * sizeof *to);
    if (!to) return RC_NO_MEMORY;
    memcpy(to, r->spans, r->argc * sizeof *to);
    spans_free(r);
    r->spans = to;
    r->room = room;
    return RC_OK;
}

static rc_t refuse(char why[96], rc_t rc, const char *text) {
    (void)snprintf(why, 96, "%s", text);
    return rc;
}

/* A line that ends in CR LF (or, for inline commands, LF), from r->at. RC_AGAIN. */
static rc_t line_read(struct resp *r, str view, str *line, u32 *next, const char *too_long,
                      char why[96]) {
    str rest = str_skip(view, r->at);
    size_t end = str_find_byte(rest, '\n');
    if (end == rest.len)
        return end > CACHE_INLINE_MAX ? refuse(why, RC_LIMIT, too_long) : RC_AGAIN;
    if (end > CACHE_INLINE_MAX) return refuse(why, RC_LIMIT, too_long);
    *line = str_take(rest, end);
    *next = r->at + (u32)end + 1;
    if (line->len && line->ptr[line->len - 1] == '\r') line->len--;
    return RC_OK;
}

static rc_t array_head(struct resp *r, str view, const struct resp_limits *limits, char why[96]) {
    str line;
    u32 next;
    rc_t rc = line_read(r, view, &line, &next, "Protocol error: too big mbulk count string", why);
    if (rc) return rc;
    s64 n;
    if (!integer_parse(str_skip(line, 1), &n) || n > (s64)CACHE_ARGS_MAX || n < -CACHE_ARGS_MAX)
        return refuse(why, RC_INVALID, "Protocol error: invalid multibulk length");
    if (n > (s64)limits->args_max)
        return refuse(why, RC_LIMIT, "Protocol error: unauthenticated multibulk length");
    r->at = next;
    r->left = n > 0 ? n : 0;
    return RC_OK;
}

static rc_t bulk_head(struct resp *r, str view, const struct resp_limits *limits, char why[96]) {
    str line;
    u32 next;
    if (r->at >= view.len) return RC_AGAIN;
    char first = view.ptr[r->at];
    rc_t rc = line_read(r, view, &line, &next, "Protocol error: too big bulk count string", why);
    if (rc) return rc;
    if (first != '$') {
        (void)snprintf(why, 96, "Protocol error: expected '$', got '%c'",
                       first > 32 && first < 127 ? first : ' ');
        return RC_INVALID;
    }
    s64 n;
    if (!integer_parse(str_skip(line, 1), &n) || n < 0 || n > (s64)CACHE_BULK_MAX)
        return refuse(why, RC_INVALID, "Protocol error: invalid bulk length");
    if (n > (s64)limits->bulk_max)
        return refuse(why, RC_LIMIT,
                      limits->bulk_max <= CACHE_BULK_STRANGER_MAX
                          ? "Protocol error: unauthenticated bulk length"
                          : "Protocol error: invalid bulk length");
    r->at = next;
    r->bulk = n;
    return RC_OK;
}

static rc_t array_read(struct resp *r, str view, const struct resp_limits *limits, char why[96]) {
    rc_t rc;
    if (r->left < 0 && (rc = array_head(r, view, limits, why))) return rc;
    while (r->left > 0) {
        if (r->bulk < 0 && (rc = bulk_head(r, view, limits, why))) return rc;
        if (view.len - r->at < (u64)r->bulk + 2) return RC_AGAIN;
        if ((rc = room_for(r, r->argc + 1)))
            return refuse(why, rc, "Protocol error: no memory for so many arguments");
        r->spans[r->argc++] = (struct span){r->at, (u32)r->bulk};
        r->at += (u32)r->bulk + 2;
        r->bulk = -1;
        r->left--;
    }
    return RC_OK;
}

u64 resp_wants(const struct resp *r) {
    return r->bulk >= 0 ? (u64)r->at + (u64)r->bulk + 2 : 0;
}

/* ---- Inline commands ------------------------------------------------------------------------- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f' || !c;
}

/* One character of a double-quoted word; p behind it. */
static char escaped(const char **p, const char *end) {
    const char *at = *p;
    if (*at != '\\' || at + 1 >= end) {
        *p = at + 1;
        return *at;
    }
    if (at[1] == 'x' && at + 3 < end && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        *p = at + 4;
        return (char)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
    }
    *p = at + 2;
    switch (at[1]) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return at[1];
    }
}

/* A word with its quotes; RC_INVALID: one is not closed, or is followed by something. */
static rc_t word_read(const char **at, const char *end, char *to, u32 *len) {
    const char *p = *at;
    char quote = 0;
    for (;;) {
        if (p == end) {
            if (quote) return RC_INVALID;
            break;
        }
        if (!quote) {
            if (is_blank(*p)) break;
            if (*p == '"' || *p == '\'') quote = *p++;
            else to[(*len)++] = *p++;
        } else if (*p == quote) {
            if (++p < end && !is_blank(*p)) return RC_INVALID;
            quote = 0;
        } else if (quote == '"') {
            to[(*len)++] = escaped(&p, end);
        } else if (*p == '\\' && p + 1 < end && p[1] == '\'') {
            to[(*len)++] = '\'';
            p += 2;
        } else {
            to[(*len)++] = *p++;
        }
    }
    *at = p;
    return RC_OK;
}

rc_t resp_unquote(str line, char *to, struct span *words, u32 room, u32 *out_count) {
    const char *p = line.ptr, *end = p + line.len;
    u32 used = 0, n = 0;
    for (;;) {
        while (p < end && is_blank(*p)) p++;
        if (p == end) break;
        u32 len = 0;
        rc_t rc = word_read(&p, end, to + used, &len);
        if (rc) return rc;
        if (n == room) return RC_LIMIT;
        words[n++] = (struct span){used, len};
        used += len;
    }
    *out_count = n;
    return RC_OK;
}

/* The line is left for resp_unquote: its words may differ from its bytes. */
static rc_t inline_read(struct resp *r, str view, char why[96]) {
    str line;
    u32 next;
    rc_t rc = line_read(r, view, &line, &next, "Protocol error: too big inline request", why);
    if (rc) return rc;
    if ((rc = room_for(r, 1))) return refuse(why, rc, "Protocol error: no memory");
    r->spans[0] = (struct span){r->at, (u32)line.len};
    r->inline_words = true;
    r->argc = 1;
    r->at = next;
    return RC_OK;
}

rc_t resp_read(struct resp *r, str view, const struct resp_limits *limits, char why[96]) {
    if (r->left < 0 && !view.len) return RC_AGAIN;
    if (r->left >= 0 || view.ptr[r->at] == '*') return array_read(r, view, limits, why);
    return inline_read(r, view, why);
}
