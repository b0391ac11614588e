/* SPDX-License-Identifier: Apache-2.0 */
/* counter.c — numbers inside strings: INCR and its relatives; and LCS, which compares two. */
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include <math.h>
#include <stdlib.h>

static void add_run(struct client *c, s64 by) {
    bool bad;
    s64 n = 0;
    struct object *o = look_write(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if (o && !object_integer(o, &n)) {
        say_error(c, NOT_INTEGER);
        return;
    }
    if (__builtin_add_overflow(n, by, &n)) {
        say_error(c, "ERR increment or decrement would overflow");
        return;
    }
    if (o && o->encoding == ENC_INT) {
        o->integer = n;
    } else if (o) {
        keys_replace(entry_of(o), object_of_integer(n));
    } else {
        (void)keys_add(c->db, c->argv[1], object_of_integer(n));
        notify(NOTIFY_NEW, "new", c->argv[1], c->db);
    }
    notify(NOTIFY_STRING, "incrby", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
    say_integer(c, n);
}

void cmd_incr(struct client *c) { add_run(c, 1); }
void cmd_decr(struct client *c) { add_run(c, -1); }

void cmd_incrby(struct client *c) {
    s64 by;
    if (arg_integer(c, 2, &by)) add_run(c, by);
}

void cmd_decrby(struct client *c) {
    s64 by;
    if (!arg_integer(c, 2, &by)) return;
    if (by == INT64_MIN) say_error(c, "ERR decrement would overflow");
    else add_run(c, -by);
}

void cmd_incrbyfloat(struct client *c) {
    bool bad;
    long double n = 0, by;
    char scratch[OBJECT_NUMBER_ROOM];
    static char digits[NUMBER_ROOM * 40];
    struct object *o = look_write(c, c->argv[1], OBJECT_STRING, &bad);
    if (bad) return;
    if ((o && !long_double_parse(object_str(o, scratch), &n)) ||
        !long_double_parse(c->argv[2], &by)) {
        say_error(c, NOT_FLOAT);
        return;
    }
    n += by;
    if (isnan(n) || isinf(n)) {
        say_error(c, "ERR increment would produce NaN or Infinity");
        return;
    }
    str s = long_double_text(n, digits);
    (void)keys_put_str(c->db, c->argv[1], s, true);
    notify(NOTIFY_STRING, "incrbyfloat", c->argv[1], c->db);
    key_changed(c, c->db, c->argv[1]);
    say_bulk(c, s);
}

/* ---- LCS ------------------------------------------------------------------------------------- */

struct lcs {
    str a, b;
    u32 *cells; /* (a.len + 1) x (b.len + 1): length of the longest of the first i and j */
    bool index, len, with_len;
    s64 least;
};

static u32 *cell(const struct lcs *l, size_t i, size_t j) {
    return &l->cells[i * (l->b.len + 1) + j];
}

static void lcs_fill(struct lcs *l) {
    for (size_t i = 0; i <= l->a.len; i++)
        for (size_t j = 0; j <= l->b.len; j++)
            if (!i || !j) *cell(l, i, j) = 0;
            else if (l->a.ptr[i - 1] == l->b.ptr[j - 1]) *cell(l, i, j) = *cell(l, i - 1,
                    j - 1) + 1;
            else *cell(l, i, j) = MAX(*cell(l, i - 1, j), *cell(l, i, j - 1));
}

static void say_match(struct client *c, const struct lcs *l, size_t a, size_t b, size_t n) {
    say_array(c, 2 + l->with_len);
    say_array(c, 2);
    say_integer(c, (s64)a);
    say_integer(c, (s64)(a + n - 1));
    say_array(c, 2);
    say_integer(c, (s64)b);
    say_integer(c, (s64)(b + n - 1));
    if (l->with_len) say_integer(c, (s64)n);
}

/* From the end backwards: the characters themselves, or runs of them. */
static u32 lcs_walk(struct client *c, const struct lcs *l, char *text) {
    size_t i = l->a.len, j = l->b.len, run_a = 0, run_b = 0, run = 0;
    u32 at = *cell(l, i, j), said = 0;
    while (i && j) {
        bool end = false;
        if (l->a.ptr[i - 1] == l->b.ptr[j - 1]) {
            if (text) text[at - 1] = l->a.ptr[i - 1];
            if (run && run_a == i && run_b == j) {
                run++;
            } else {
                end = run > 0;
            }
            if (end && l->index && (s64)run >= l->least) {
                say_match(c, l, run_a, run_b, run);
                said++;
            }
            if (end || !run) run = 1;
            run_a = --i;
            run_b = --j;
            at--;
        } else if (*cell(l, i - 1, j) > *cell(l, i, j - 1)) {
            i--;
        } else {
            j--;
        }
    }
    if (run && l->index && (s64)run >= l->least) {
        say_match(c, l, run_a, run_b, run);
        said++;
    }
    return said;
}

static bool lcs_options(struct client *c, struct lcs *l) {
    for (u32 i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "idx")) l->index = true;
        else if (arg_is(c, i, "len")) l->len = true;
        else if (arg_is(c, i, "withmatchlen")) l->with_len = true;
        else if (arg_is(c, i, "minmatchlen") && i + 1 < c->argc) {
            if (!arg_integer(c, ++i, &l->least)) return false;
            if (l->least < 0) l->least = 0;
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    if (l->index && l->len) {
        say_error(c, "ERR If you want both the length and indexes, please just use IDX.");
        return false;
    }
    return true;
}

static void lcs_answer(struct client *c, struct lcs *l) {
    u32 length = *cell(l, l->a.len, l->b.len);
    if (l->len) {
        say_integer(c, length);
    } else if (l->index) {
        say_map(c, 2);
        say_cstr(c, "matches");
        struct block *later = say_later(c);
        say_later_array(c, later, lcs_walk(c, l, NULL));
        say_cstr(c, "len");
        say_integer(c, length);
    } else {
        char *text = cache_alloc(length + 1);
        (void)lcs_walk(c, l, text);
        say_bulk(c, str_of(text, length));
        cache_free(text);
    }
}

void cmd_lcs(struct client *c) {
    struct lcs l = {0};
    char first[OBJECT_NUMBER_ROOM], second[OBJECT_NUMBER_ROOM];
    struct object *a = look_any(c, c->argv[1]), *b = look_any(c, c->argv[2]);
    if ((a && a->type != OBJECT_STRING) || (b && b->type != OBJECT_STRING)) {
        say_error(c, "ERR The specified keys must contain string values");
        return;
    }
    if (!lcs_options(c, &l)) return;
    l.a = a ? object_str(a, first) : S("");
    l.b = b ? object_str(b, second) : S("");
    u64 bytes = ((u64)l.a.len + 1) * ((u64)l.b.len + 1) * sizeof(u32);
    if (bytes > MIB(256) || !cache_room(bytes)) {
        say_error(c, "ERR Insufficient memory, transient memory for LCS exceeds what is left");
        return;
    }
    l.cells = cache_alloc(bytes);
    lcs_fill(&l);
    lcs_answer(c, &l);
    cache_free(l.cells);
}
