/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c — SCAN, and what HSCAN, SSCAN and ZSCAN share with it. The cursor is the table's own
 * (dict.h): what is there from the first call to the last is given at least once. */
#include "app/cache/command/scan.h"
#include "app/cache/data/numbers.h"
#include "kernel/core/memory.h"
#include <stdio.h>

bool scan_options(struct client *c, u32 at, bool keys, struct scan *out) {
    *out = (struct scan){.count = 10};
    str cursor = c->argv[at];
    if (str_to_u64(cursor, &out->cursor)) {
        say_error(c, "ERR invalid cursor");
        return false;
    }
    for (u32 i = at + 1; i < c->argc; i += 2) {
        if (i + 1 >= c->argc) {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
        if (arg_is(c, i, "count")) {
            if (!arg_integer(c, i + 1, &out->count)) return false;
            if (out->count < 1) {
                say_error(c, SYNTAX_ERROR);
                return false;
            }
        } else if (arg_is(c, i, "match")) {
            out->pattern = c->argv[i + 1];
            if (str_eq(out->pattern, S("*"))) out->pattern.ptr = NULL;
        } else if (keys && arg_is(c, i, "type")) {
            out->type = c->argv[i + 1];
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

struct block *say_scan(struct client *c, u64 cursor) {
    char text[24];
    size_t n = sizeof text;
    do text[--n] = (char)('0' + cursor % 10);
    while (cursor /= 10);
    say_array(c, 2);
    say_bulk(c, str_of(text + n, sizeof text - n));
    return say_later(c);
}

struct block *say_scan_later(struct client *c) { return say_later(c); }

void say_scan_fill(struct client *c, struct block *at, u64 cursor, u64 said) {
    char line[96];
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)cursor);
    if (!at || c->dead) return;
    n = snprintf(line, sizeof line, "*2\r\n$%d\r\n%s\r\n*%llu\r\n", n, digits,
                 (unsigned long long)said);
    CHECK((u32)n <= at->room);
    memcpy(at->bytes, line, (size_t)n);
    at->len = (u32)n;
    c->out.bytes += (u32)n;
}

struct scanned {
    struct entry **entries;
    u32 count, room;
};

static void gather(void *arg, struct node *n) {
    struct scanned *s = arg;
    if (s->count == s->room) {
        u32 room = s->room ? 2 * s->room : 64;
        void *to = memory_resize(MEMORY_CONNECTIONS, s->entries, room * sizeof *s->entries);
        if (!to) return; /* the caller sees a full table and answers with what there is */
        s->entries = to;
        s->room = room;
    }
    s->entries[s->count++] = (struct entry *)n;
}

void cmd_scan(struct client *c) {
    struct scan s;
    struct scanned got = {0};
    if (!scan_options(c, 1, true, &s)) return;
    u64 cursor = s.cursor, said = 0;
    s64 rounds = s.count > INT64_MAX / 10 ? INT64_MAX : s.count * 10;
    do cursor = dict_scan(&c->db->dict, cursor, gather, &got);
    while (cursor && rounds-- > 0 && (s64)got.count < s.count);
    struct block *later = say_scan(c, cursor);
    for (u32 i = 0; i < got.count; i++) {
        struct entry *e = got.entries[i];
        s64 end = keys_end(c->db, e);
        if (!scan_wants(&s, entry_key(e))) continue;
        if (s.type.ptr && !str_eq_nocase(s.type, str_from_c(object_type_name(e->object.type))))
            continue;
        if (end >= 0 && end <= cache_now_ms()) {
            (void)keys_peek(c->db, entry_key(e)); /* it goes */
            continue;
        }
        say_bulk(c, entry_key(e));
        said++;
    }
    say_later_array(c, later, said);
    memory_free(MEMORY_CONNECTIONS, got.entries);
}
