/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c — two texts, and what changes between them, in the unified format that patch(1) takes:
 *
 *   --- a.rego            @@ -first,count +first,count @@
 *   +++ a.rego            three lines around each change; " " stays, "-" goes, "+" comes
 *
 * Lines that begin and end both texts are set aside; of the rest the longest common subsequence is
 * found in a table. Where that would be too large, all of the rest goes and comes. */
#include <stdlib.h>
#include "tools/opctl/opctl.h"

enum { CONTEXT = 3, TABLE_MAX = 1 << 24 };

struct lines { str *items; u32 count; };
struct step { char mark; u32 before, after; }; /* lines, counted from 0, of each text so far */
struct diff {
    struct lines a, b;
    u32 head, tail;   /* lines they share */
    u16 *table;       /* [i][j]: how much of a from i and b from j is common */
    struct step *steps;
    u32 count;
};

static bool split(struct lines *l, str text) {
    u32 room = 1;
    for (size_t i = 0; i < text.len; i++) room += text.ptr[i] == '\n';
    l->items = calloc(room, sizeof *l->items);
    while (l->items && text.len) {
        size_t end = str_find_byte(text, '\n');
        end += end < text.len; /* with its line end, if it has one */
        l->items[l->count++] = str_take(text, end);
        text = str_skip(text, end);
    }
    return l->items != NULL;
}

static bool same(const struct diff *d, u32 i, u32 j) {
    return str_eq(d->a.items[i], d->b.items[j]);
}

static void step(struct diff *d, char mark, u32 *i, u32 *j) {
    d->steps[d->count++] = (struct step){mark, *i, *j};
    *i += mark != '+', *j += mark != '-';
}

static void compare(struct diff *d) {
    u32 least = MIN(d->a.count, d->b.count), i = 0, j = 0;
    while (d->head < least && same(d, d->head, d->head)) d->head++;
    while (d->tail < least - d->head &&
           same(d, d->a.count - d->tail - 1, d->b.count - d->tail - 1))
        d->tail++;
    u32 n = d->a.count - d->head - d->tail, m = d->b.count - d->head - d->tail;
    size_t cells = ((size_t)n + 1) * (m + 1);
    if (MIN(n, m) < UINT16_MAX && cells < TABLE_MAX) d->table = calloc(cells, sizeof *d->table);
    for (u32 x = n; d->table && x-- > 0;)
        for (u32 y = m; y-- > 0;) {
            u16 *at = d->table + (size_t)x * (m + 1) + y;
            at[0] = same(d, d->head + x, d->head + y) ? (u16)(at[m + 2] + 1)
                                                      : MAX(at[1], at[m + 1]);
        }
    while (i < d->head) step(d, ' ', &i, &j);
    while (i < d->head + n || j < d->head + m) {
        size_t cell = (size_t)(i - d->head) * (m + 1) + (j - d->head);
        const u16 *at = d->table ? d->table + cell : NULL;
        if (i < d->head + n && j < d->head + m && at && same(d, i, j)) step(d, ' ', &i, &j);
        else if (i < d->head + n && (j == d->head + m || !at || at[m + 1] >= at[1]))
            step(d, '-', &i, &j);
        else step(d, '+', &i, &j);
    }
    while (i < d->a.count) step(d, ' ', &i, &j);
}

static void print_line(const struct diff *d, const struct step *s) {
    str line = s->mark == '+' ? d->b.items[s->after] : d->a.items[s->before];
    printf("%c%.*s%s", s->mark, STR(line),
           str_ends(line, S("\n")) ? "" : "\n\\ No newline at end of file\n");
}

/* A text's part of a hunk: "12,3"; "12" of one line; the line before of none. */
static void print_range(char sign, u32 first, u32 count) {
    if (count == 1) printf("%c%u", sign, first + 1);
    else printf("%c%u,%u", sign, count ? first + 1 : first, count);
}

/* Steps from `from` on that are one hunk: changes not further apart than twice the context. */
static u32 print_hunk(const struct diff *d, u32 from) {
    u32 end = from, still = 0;
    for (u32 k = from; k < d->count && still <= 2 * CONTEXT; k++) {
        still = d->steps[k].mark == ' ' ? still + 1 : 0;
        if (!still) end = k + 1;
    }
    u32 begin = from > CONTEXT ? from - CONTEXT : 0, last = MIN(end + CONTEXT, d->count);
    u32 before = 0, after = 0;
    for (u32 k = begin; k < last; k++)
        before += d->steps[k].mark != '+', after += d->steps[k].mark != '-';
    printf("@@ ");
    print_range('-', d->steps[begin].before, before);
    putchar(' ');
    print_range('+', d->steps[begin].after, after);
    puts(" @@");
    for (u32 k = begin; k < last; k++) print_line(d, d->steps + k);
    return end;
}

bool diff_print(const char *path, str before, str after) {
    struct diff d = {0};
    bool ok = split(&d.a, before) && split(&d.b, after);
    if (ok) d.steps = calloc((size_t)d.a.count + d.b.count + 1, sizeof *d.steps);
    if (ok && d.steps) {
        compare(&d);
        printf("--- %s\n+++ %s\n", path, path);
        for (u32 k = 0; k < d.count; k++)
            if (d.steps[k].mark != ' ') k = print_hunk(&d, k);
    }
    ok = ok && d.steps;
    free(d.a.items), free(d.b.items), free(d.table), free(d.steps);
    if (!ok) fputs("opctl: out of memory\n", stderr);
    return ok;
}
