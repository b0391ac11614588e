/* SPDX-License-Identifier: Apache-2.0 */
/* diff.c — what changed between two texts, line by line (E. Myers, "An O(ND) Difference
 * Algorithm").
 *
 *    from  a b c d e          common head, common tail cut off first; the middle searched for the
 *    to    a b x d e          shortest script with at most EDITS_MAX edits; a middle more different
 *          = = ~ = =          than that is shown as removed and added whole
 *
 * Bounded: LINES_MAX lines a side, EDITS_MAX squared steps and cells. Output is hunks with
 * CONTEXT_LINES unchanged lines around each change, as `diff -u` shows them. Knows no database. */
#include "app/policies/policies_impl.h"
#include <stdlib.h>

enum { LINES_MAX = 65536, EDITS_MAX = 512, CONTEXT_LINES = 3 };

struct lines {
    str *line;
    size_t count;
};
enum op { OP_EQUAL, OP_REMOVE, OP_ADD };

struct diff {
    struct lines a, b;
    u8 *script; /* one op per line of output */
    size_t length;
};

static rc_t split(str text, struct lines *out) {
    size_t n = 0;
    str rest = text, line;
    for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == '\n';
    out->line = malloc((n + 1) * sizeof *out->line);
    out->count = 0;
    if (!out->line) return RC_NO_MEMORY;
    if (text.len == 0) return RC_OK;
    while (str_split(&rest, '\n', &line)) {
        if (!rest.ptr && line.len == 0) break; /* the text ended with its newline */
        if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
        if (out->count == n + 1) break;
        out->line[out->count++] = line;
    }
    return RC_OK;
}

static void put(struct diff *d, enum op op, size_t times) {
    memset(d->script + d->length, op, times);
    d->length += times;
}

/* Walks the furthest-reaching points of each step back to the start, writing ops in reverse. */
static void trace_back(struct diff *d, const s32 *trace, s32 edits, s32 n, s32 m) {
    size_t from = d->length;
    s32 x = n, y = m;
    for (s32 e = edits; e > 0; e--) {
        const s32 *v =
            trace + (size_t)(e - 1) * (2 * EDITS_MAX + 3) + EDITS_MAX + 1; /* after e-1 */
        s32 k = x - y;
        bool down = k == -e || (k != e && v[k - 1] < v[k + 1]);
        s32 came_x = down ? v[k + 1] : v[k - 1] + 1; /* after the edit, before the snake */
        while (x > came_x) put(d, OP_EQUAL, 1), x--, y--;
        put(d, down ? OP_ADD : OP_REMOVE, 1);
        if (down)
            y--;
        else
            x--;
    }
    while (x > 0) put(d, OP_EQUAL, 1), x--, y--;
    for (size_t i = from, k = d->length; i + 1 < k; i++, k--) {
        u8 t = d->script[i];
        d->script[i] = d->script[k - 1];
        d->script[k - 1] = t;
    }
}

/* RC_LIMIT: more than EDITS_MAX edits apart. */
static rc_t shortest(struct diff *d, const str *a, s32 n, const str *b, s32 m) {
    const size_t row = 2 * EDITS_MAX + 3;
    s32 most = MIN(n + m, (s32)EDITS_MAX);
    s32 *trace = malloc(((size_t)most + 1) * row * sizeof *trace);
    if (!trace) return RC_NO_MEMORY;
    rc_t rc = RC_LIMIT;
    for (s32 e = 0; e <= most; e++) {
        s32 *v = trace + (size_t)e * row + EDITS_MAX + 1;
        const s32 *old = e ? v - row : v;
        for (s32 k = -e; k <= e; k += 2) {
            s32 x = 0;
            if (e) x = k == -e || (k != e && old[k - 1] < old[k + 1]) ? old[k + 1] : old[k - 1] + 1;
            while (x < n && x - k < m && str_eq(a[x], b[x - k])) x++;
            v[k] = x;
            if (x >= n && x - k >= m) {
                trace_back(d, trace, e, n, m);
                rc = RC_OK;
                goto done;
            }
        }
    }
done:
    free(trace);
    return rc;
}

static rc_t make_script(struct diff *d) {
    size_t head = 0, tail = 0, n = d->a.count, m = d->b.count;
    while (head < n && head < m && str_eq(d->a.line[head], d->b.line[head])) head++;
    while (tail < n - head && tail < m - head &&
           str_eq(d->a.line[n - 1 - tail], d->b.line[m - 1 - tail]))
        tail++;
    size_t a = n - head - tail, b = m - head - tail;
    put(d, OP_EQUAL, head);
    rc_t rc = a > LINES_MAX || b > LINES_MAX
                  ? RC_LIMIT
                  : shortest(d, d->a.line + head, (s32)a, d->b.line + head, (s32)b);
    if (rc == RC_LIMIT) {
        put(d, OP_REMOVE, a);
        put(d, OP_ADD, b);
        rc = RC_OK;
    }
    put(d, OP_EQUAL, tail);
    return rc;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Where the hunk that begins at or after `at` begins and ends in the script; false: no more. */
static bool next_hunk(const struct diff *d, size_t at, size_t *from, size_t *to) {
    size_t first = at;
    while (first < d->length && d->script[first] == OP_EQUAL) first++;
    if (first == d->length) return false;
    *from = first - at > CONTEXT_LINES ? first - CONTEXT_LINES : at;
    size_t last = first;
    for (size_t i = first; i < d->length && i - last <= 2 * CONTEXT_LINES; i++)
        if (d->script[i] != OP_EQUAL) last = i;
    *to = MIN(last + 1 + CONTEXT_LINES, d->length);
    return true;
}

static void write_hunk(struct json_writer *w, const struct diff *d, size_t from, size_t to,
                       size_t *x, size_t *y, struct diff_stats *stats) {
    static const char *const names[] = {"equal", "remove", "add"};
    json_object(w, NULL);
    json_int(w, "from_line", (s64)*x + 1);
    json_int(w, "to_line", (s64)*y + 1);
    json_array(w, "lines");
    for (size_t i = from; i < to; i++) {
        enum op op = d->script[i];
        json_object(w, NULL);
        json_text(w, "op", str_from_c(names[op]));
        json_text(w, "text", op == OP_ADD ? d->b.line[*y] : d->a.line[*x]);
        json_object_end(w);
        *x += op != OP_ADD;
        *y += op != OP_REMOVE;
        stats->added += op == OP_ADD;
        stats->removed += op == OP_REMOVE;
    }
    json_array_end(w);
    json_object_end(w);
}

static void write_hunks(struct json_writer *w, const struct diff *d, struct diff_stats *stats) {
    size_t at = 0, from, to, x = 0, y = 0;
    json_array(w, "hunks");
    while (next_hunk(d, at, &from, &to)) {
        x += from - at, y += from - at; /* unchanged lines skipped */
        write_hunk(w, d, from, to, &x, &y, stats);
        at = to;
    }
    json_array_end(w);
}

rc_t diff_json(struct json_writer *w, str from, str to, struct diff_stats *out) {
    struct diff d = {0};
    *out = (struct diff_stats){0};
    rc_t rc = split(from, &d.a);
    if (rc == RC_OK) rc = split(to, &d.b);
    if (rc == RC_OK && !(d.script = malloc(d.a.count + d.b.count + 1))) rc = RC_NO_MEMORY;
    if (rc == RC_OK) rc = make_script(&d);
    if (rc == RC_OK) write_hunks(w, &d, out);
    free(d.script);
    free(d.a.line);
    free(d.b.line);
    return rc ? rc : w->out.failed ? RC_LIMIT : RC_OK;
}
