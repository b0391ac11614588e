/* SPDX-License-Identifier: Apache-2.0 */
/* say.c — answers: RESP2 and RESP3 into blocks that wait to be sent.
 *
 *   out.first -> [16 KiB of replies] -> [a large value, by reference] -> [more replies] -> NULL
 *
 * A value longer than CACHE_SHARE_BYTES is never copied here: its text is held until TCP has taken
 * it. A length known only later is a block of its own between two others. Blocks of the usual size
 * are kept ready. When the connections' budget has nothing left, the client is cut off: a reply
 * with a hole in it would be a lie.
 *
 * Source: the RESP3 specification; RESP2 for clients that did not say HELLO 3. */
#include "app/cache/client.h"
#include "app/cache/command.h"
#include "app/cache/data/numbers.h"
#include "kernel/core/memory.h"
#include <stdarg.h>
#include <stdio.h>

#define SPARE_MAX 64u

static struct block *spare;
static u32 spare_count;

/* ---- Blocks ---------------------------------------------------------------------------------- */

static struct block *block_new(u32 room) {
    struct block *b = spare;
    if (room == CACHE_BLOCK_BYTES && b) {
        spare = b->next;
        spare_count--;
    } else if (!(b = memory_alloc(MEMORY_CONNECTIONS, sizeof *b + room))) {
        return NULL;
    }
    *b = (struct block){.room = room};
    return b;
}

static void block_free(struct block *b) {
    if (b->shared) text_drop(b->shared);
    if (b->room == CACHE_BLOCK_BYTES && spare_count < SPARE_MAX) {
        b->next = spare;
        spare = b;
        spare_count++;
        return;
    }
    memory_free(MEMORY_CONNECTIONS, b);
}

void out_close(struct out *o) {
    for (struct block *b = o->first, *next; b; b = next) {
        next = b->next;
        block_free(b);
    }
    *o = (struct out){0};
}

u64 out_spare_blocks(void) { return spare_count; }

static struct block *block_add(struct client *c, u32 room) {
    struct block *b = c->dead ? NULL : block_new(room);
    if (!b) {
        client_end(c);
        return NULL;
    }
    if (c->out.last) c->out.last->next = b;
    else c->out.first = b;
    c->out.last = b;
    return b;
}

static bool muted(const struct client *c) {
    return c->dead || (c->reply != REPLY_ON && !c->pushing);
}

void say_raw(struct client *c, str bytes) {
    if (muted(c)) return;
    if (!c->running) client_flush_soon(c);
    while (bytes.len) {
        struct block *b = c->out.last;
        if (!b || b->shared || b->len == b->room) b = block_add(c, CACHE_BLOCK_BYTES);
        if (!b) return;
        size_t n = MIN(bytes.len, (size_t)(b->room - b->len));
        memcpy(b->bytes + b->len, bytes.ptr, n);
        b->len += (u32)n;
        c->out.bytes += n;
        bytes = str_skip(bytes, n);
    }
}

static void say_shared(struct client *c, struct text *t) {
    if (muted(c)) return;
    struct block *b = block_add(c, 0);
    if (!b) return;
    text_hold(t);
    b->shared = t;
    b->len = t->len;
    c->out.bytes += t->len;
}

bool out_send(struct client *c) {
    struct out *o = &c->out;
    while (o->first) {
        struct block *b = o->first;
        size_t took = 0, left = b->len - b->at;
        const char *from = b->shared ? b->shared->bytes : b->bytes;
        if (left && stream_write_some(c->stream, str_of(from + b->at, left), &took)) return false;
        b->at += (u32)took;
        o->bytes -= took;
        c->bytes_out += took;
        server_stats.bytes_out += took;
        if (took < left) return true;
        o->first = b->next;
        if (!o->first) o->last = NULL;
        block_free(b);
    }
    return true;
}

/* ---- Lengths and numbers --------------------------------------------------------------------- */

static void say_prefixed(struct client *c, char kind, s64 n) {
    char line[32], digits[NUMBER_ROOM];
    str s = integer_text(n, digits);
    line[0] = kind;
    memcpy(line + 1, s.ptr, s.len);
    line[s.len + 1] = '\r';
    line[s.len + 2] = '\n';
    say_raw(c, str_of(line, s.len + 3));
}

void say_integer(struct client *c, s64 n) { say_prefixed(c, ':', n); }
void say_array(struct client *c, u64 n) { say_prefixed(c, '*', (s64)n); }

void say_map(struct client *c, u64 pairs) {
    if (c->resp >= 3) say_prefixed(c, '%', (s64)pairs);
    else say_array(c, 2 * pairs);
}

void say_set(struct client *c, u64 n) { say_prefixed(c, c->resp >= 3 ? '~' : '*', (s64)n); }
void say_push(struct client *c, u64 n) { say_prefixed(c, c->resp >= 3 ? '>' : '*', (s64)n); }

void say_bulk(struct client *c, str s) {
    if (s.len <= 512) { /* the usual: one piece */
        char whole[512 + 40], digits[NUMBER_ROOM];
        str len = integer_text((s64)s.len, digits);
        size_t n = 1;
        whole[0] = '$';
        memcpy(whole + n, len.ptr, len.len);
        n += len.len;
        memcpy(whole + n, "\r\n", 2);
        n += 2;
        if (s.len) memcpy(whole + n, s.ptr, s.len);
        n += s.len;
        memcpy(whole + n, "\r\n", 2);
        say_raw(c, str_of(whole, n + 2));
        return;
    }
    say_prefixed(c, '$', (s64)s.len);
    say_raw(c, s);
    say_raw(c, S("\r\n"));
}

void say_cstr(struct client *c, const char *z) { say_bulk(c, str_from_c(z)); }

void say_integer_bulk(struct client *c, s64 n) {
    char digits[NUMBER_ROOM];
    say_bulk(c, integer_text(n, digits));
}

void say_string(struct client *c, const struct object *o) {
    char scratch[OBJECT_NUMBER_ROOM];
    if (o->encoding == ENC_TEXT && o->text->len > CACHE_SHARE_BYTES) {
        say_prefixed(c, '$', o->text->len);
        say_shared(c, o->text);
        say_raw(c, S("\r\n"));
        return;
    }
    say_bulk(c, object_str(o, scratch));
}

void say_double(struct client *c, double d) {
    char digits[NUMBER_ROOM];
    str s = double_text(d, digits);
    if (c->resp < 3) {
        say_bulk(c, s);
        return;
    }
    say_raw(c, S(","));
    say_raw(c, s);
    say_raw(c, S("\r\n"));
}

void say_bool(struct client *c, bool yes) {
    if (c->resp >= 3) say_raw(c, yes ? S("#t\r\n") : S("#f\r\n"));
    else say_integer(c, yes);
}

/* ---- Words ----------------------------------------------------------------------------------- */

void say_status(struct client *c, const char *word) {
    say_raw(c, S("+"));
    say_raw(c, str_from_c(word));
    say_raw(c, S("\r\n"));
}

void say_ok(struct client *c) { say_raw(c, S("+OK\r\n")); }
void say_null(struct client *c) { say_raw(c, c->resp >= 3 ? S("_\r\n") : S("$-1\r\n")); }
void say_null_array(struct client *c) { say_raw(c, c->resp >= 3 ? S("_\r\n") : S("*-1\r\n")); }

static bool has_code(const char *text) {
    const char *p = text;
    while (*p >= 'A' && *p <= 'Z') p++;
    return p - text >= 2 && *p == ' ';
}

void say_error(struct client *c, const char *text) {
    char line[512];
    const char *before = has_code(text) ? "" : "ERR ";
    if (c->refusing_exec) before = "EXECABORT Transaction discarded because of: ";
    int n = snprintf(line, sizeof line - 2, "-%s%s", before, text);
    if (n > (int)sizeof line - 3) n = (int)sizeof line - 3;
    for (int i = 0; i < n; i++)
        if (line[i] == '\r' || line[i] == '\n') line[i] = ' ';
    memcpy(line + n, "\r\n", 2);
    c->failed = true;
    command_error_count(line + 1);
    say_raw(c, str_of(line, (size_t)n + 2));
}

void say_errorf(struct client *c, const char *fmt, ...) {
    char text[480];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    say_error(c, text);
}

void say_verbatim(struct client *c, str s) {
    if (c->resp < 3) {
        say_bulk(c, s);
        return;
    }
    say_prefixed(c, '=', (s64)s.len + 4);
    say_raw(c, S("txt:"));
    say_raw(c, s);
    say_raw(c, S("\r\n"));
}

/* ---- Lengths known later --------------------------------------------------------------------- */

struct block *say_later(struct client *c) {
    if (muted(c)) return NULL;
    struct block *b = block_add(c, 80);
    if (!b) return NULL;
    (void)block_add(c, CACHE_BLOCK_BYTES); /* what follows goes here */
    return b;
}

static void fill(struct client *c, struct block *b, char kind, u64 n) {
    if (!b || c->dead) return;
    int len = snprintf(b->bytes, b->room, "%c%llu\r\n", kind, (unsigned long long)n);
    b->len = (u32)len;
    c->out.bytes += (u32)len;
}

void say_later_array(struct client *c, struct block *at, u64 n) { fill(c, at, '*', n); }

void say_later_map(struct client *c, struct block *at, u64 pairs) {
    fill(c, at, c->resp >= 3 ? '%' : '*', c->resp >= 3 ? pairs : 2 * pairs);
}

void say_later_set(struct client *c, struct block *at, u64 n) {
    fill(c, at, c->resp >= 3 ? '~' : '*', n);
}
