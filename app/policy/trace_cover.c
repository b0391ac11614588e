/* SPDX-License-Identifier: Apache-2.0 */
/* trace_cover.c — a sink of events that counts by rule and by line.
 *
 *   index   . 2 . . 1 . 3 .       place + 1, by hash of (address, row)
 *   hits    [rule allow] [a.rego:4] [a.rego:5]
 *
 * A rule's hit has no row, a line's has the address of its file. The report follows the reference:
 * a line counts as covered when an expression on it was evaluated or a rule whose head is on it
 * held; as missed when it holds a rule or an expression and is not covered. Everything else (blank
 * lines, comments, imports, `some` declarations) is neither. */
#include "app/policy/trace_cover.h"
#include <stdlib.h>
#include "kernel/base/limits.h"

enum {
    POLICY_COVER_MAX = 1 << 20, /* rules and lines: 96 MiB at the most */
    BODIES_MAX = 1 << 24,       /* of one question whose rules' time is counted: 64 MiB */
};

static u32 hash_of(const void *address, u32 row) {
    u64 h = ((u64)(uintptr_t)address >> 3) * 0x9e3779b97f4a7c15u + row;
    h *= 0xff51afd7ed558ccdu;
    return (u32)(h >> 32);
}

static const void *address_of(const struct policy_cover_hit *h) {
    return h->rule ? (const void *)h->rule : (const void *)h->file;
}

/* The slot of the index that has it, or where it would go. Needs a free slot. */
static u32 slot_of(const struct policy_cover *c, const void *address, u32 row) {
    u32 at = hash_of(address, row) & c->mask;
    for (; c->index[at]; at = (at + 1) & c->mask) {
        const struct policy_cover_hit *h = c->hits + c->index[at] - 1;
        if (address_of(h) == address && h->row == row) break;
    }
    return at;
}

static bool make_room(struct policy_cover *c) {
    if (c->count >= c->count_max) return false;
    if (c->count < c->room) return true;
    u32 room = c->room ? c->room * 2 : 64;
    struct policy_cover_hit *hits = realloc(c->hits, room * sizeof *hits);
    if (!hits) return false;
    c->hits = hits;
    u32 *index = calloc((size_t)room * 2, sizeof *index);
    if (!index) return false;
    free(c->index);
    c->index = index, c->mask = room * 2 - 1, c->room = room;
    for (u32 i = 0; i < c->count; i++)
        c->index[slot_of(c, address_of(c->hits + i), c->hits[i].row)] = i + 1;
    return true;
}

static struct policy_cover_hit *hit_of(struct policy_cover *c, struct policy_cover_hit blank) {
    u32 place = c->index ? c->index[slot_of(c, address_of(&blank), blank.row)] : 0;
    if (place) return c->hits + place - 1;
    if (!make_room(c)) {
        c->incomplete = true;
        return NULL;
    }
    c->hits[c->count++] = blank;
    c->index[slot_of(c, address_of(&blank), blank.row)] = c->count;
    return c->hits + c->count - 1;
}

static struct policy_cover_hit *line_of(struct policy_cover *c, const struct ast_location *at) {
    if (!at || !at->file || (!at->file->name.len && !c->clock_ns)) return NULL;
    struct policy_cover_hit *h =
        hit_of(c, (struct policy_cover_hit){.file = at->file, .row = at->row});
    if (h && !h->at) h->at = at;
    return h;
}

/* ---- Time: what passed since the event before belongs to what that one began ---- */

static u32 place_of(const struct policy_cover *c, const struct policy_cover_hit *h) {
    return h ? (u32)(h - c->hits) + 1 : 0;
}

static u32 rule_of_body(const struct policy_cover *c, u32 body) {
    return body < c->body_room ? c->rules_of[body] : 0;
}

static void remember_rule(struct policy_cover *c, u32 body, u32 rule) {
    if (body >= c->body_room) {
        u32 room = c->body_room ? c->body_room : 64;
        while (room <= body && room < BODIES_MAX) room *= 2;
        u32 *more = body < room ? realloc(c->rules_of, room * sizeof *more) : NULL;
        if (!more) {
            c->incomplete = true;
            return;
        }
        memset(more + c->body_room, 0, (room - c->body_room) * sizeof *more);
        c->rules_of = more, c->body_room = room;
    }
    c->rules_of[body] = rule;
}

static void charge(struct policy_cover *c) {
    u64 now = c->clock_ns();
    if (c->since_ns && c->line_now) c->hits[c->line_now - 1].ns += now - c->since_ns;
    if (c->since_ns && c->rule_now) c->hits[c->rule_now - 1].ns += now - c->since_ns;
    c->since_ns = now;
}

static void follow(struct policy_cover *c, const struct policy_event *e, u32 rule, u32 line) {
    if (e->op == POLICY_ENTER) remember_rule(c, e->query, rule ? rule : rule_of_body(c, e->parent));
    if (e->op != POLICY_INDEX) c->rule_now = rule_of_body(c, e->query);
    if (line) c->line_now = line;
}

void policy_cover_stop(struct policy_cover *c) {
    if (c->clock_ns) charge(c);
    c->since_ns = 0, c->line_now = c->rule_now = 0;
}

/* ---- Events ---- */

static void count_event(struct policy_trace *t, const struct policy_event *e) {
    struct policy_cover *c = (struct policy_cover *)t;
    struct policy_cover_hit *rule = NULL, *line = NULL;
    if (c->clock_ns) charge(c);
    switch (e->op) {
    case POLICY_ENTER:
    case POLICY_EXIT:
        if (!e->rule) break;
        rule = hit_of(c, (struct policy_cover_hit){.rule = e->rule});
        if (rule && e->op == POLICY_ENTER) rule->entered++;
        if (rule && e->op == POLICY_EXIT) rule->held++;
        if (e->op == POLICY_EXIT) {
            u32 place = place_of(c, rule);
            struct policy_cover_hit *head = line_of(c, &e->rule->head->at);
            if (head) head->held++;
            rule = place ? c->hits + place - 1 : NULL; /* they may have moved */
        }
        break;
    case POLICY_EVAL:
    case POLICY_REDO:
        if (!e->expr || !(line = line_of(c, e->at))) break;
        if (e->op == POLICY_EVAL) line->entered++;
        else line->redone++;
        line->exprs |= 1ull << MIN(e->expr->index, 63u);
        break;
    case POLICY_FAIL: {
        struct policy_cover_hit *failed = line_of(c, e->at);
        if (failed) failed->failed++;
        break;
    }
    default: break;
    }
    if (c->clock_ns) follow(c, e, place_of(c, rule), place_of(c, line));
}

void policy_cover_open(struct policy_cover *c, u32 count_max) {
    *c = (struct policy_cover){.trace = {.event = count_event},
                               .count_max = count_max ? count_max : POLICY_COVER_MAX};
}

void policy_cover_close(struct policy_cover *c) {
    free(c->hits), free(c->index), free(c->rules_of);
    *c = (struct policy_cover){.trace = {.event = count_event}};
}

void policy_cover_clear(struct policy_cover *c) {
    if (c->index) memset(c->index, 0, ((size_t)c->mask + 1) * sizeof *c->index);
    c->count = c->line_now = c->rule_now = 0, c->since_ns = 0, c->incomplete = false;
}

static const struct policy_cover_hit *find(const struct policy_cover *c, const void *address,
                                           u32 row) {
    u32 place = c->index ? c->index[slot_of(c, address, row)] : 0;
    return place ? c->hits + place - 1 : NULL;
}

const struct policy_cover_hit *policy_cover_of_rule(const struct policy_cover *c,
                                                    const struct ast_rule *r) {
    return find(c, r, 0);
}

const struct policy_cover_hit *policy_cover_of_line(const struct policy_cover *c,
                                                    const struct ast_file *f, u32 row) {
    return find(c, f, row);
}

/* ---- The report ---- */

struct rows { u32 *rows, count, room; };

struct report {
    struct rows covered, missed;
    bool failed;
};

static void rows_add(struct report *r, struct rows *to, u32 row) {
    if (to->count == to->room) {
        u32 room = to->room ? to->room * 2 : 256;
        u32 *more = realloc(to->rows, room * sizeof *more);
        if (!more) {
            r->failed = true;
            return;
        }
        to->rows = more, to->room = room;
    }
    to->rows[to->count++] = row;
}

static int row_order(const void *a, const void *b) {
    u32 x = *(const u32 *)a, y = *(const u32 *)b;
    return x < y ? -1 : x > y;
}

static bool is_covered(const struct report *r, u32 row) {
    return r->covered.count &&
           bsearch(&row, r->covered.rows, r->covered.count, sizeof row, row_order);
}

static bool see_rule(struct ast_walk *w, struct ast_rule *rule) {
    struct report *r = w->arg;
    if (!is_covered(r, rule->at.row)) rows_add(r, &r->missed, rule->head->at.row);
    return true;
}

static bool see_expr(struct ast_walk *w, struct ast_expr *e) {
    struct report *r = w->arg;
    if (e->kind != AST_EXPR_SOME && e->at.file && !is_covered(r, e->at.row))
        rows_add(r, &r->missed, e->at.row);
    return true;
}

/* Sorted rows as ranges of rows that follow each other. */
static struct policy_cover_range *ranges_of(struct heap *h, struct rows *rows, u32 *count,
                                            u32 *lines) {
    struct policy_cover_range *to = heap_alloc(h, (rows->count ? rows->count : 1) * sizeof *to);
    if (!to) return NULL;
    if (rows->count) qsort(rows->rows, rows->count, sizeof *rows->rows, row_order);
    *count = *lines = 0;
    for (u32 i = 0; i < rows->count; i++) {
        u32 row = rows->rows[i];
        bool again = *count && row == to[*count - 1].last;
        if (again) continue;
        ++*lines;
        if (*count && row == to[*count - 1].last + 1) to[*count - 1].last = row;
        else to[(*count)++] = (struct policy_cover_range){row, row};
    }
    return to;
}

rc_t policy_cover_lines(const struct policy_cover *c, struct heap *h, struct ast_module *module,
                        struct policy_cover_lines *out) {
    struct report r = {0};
    struct ast_walk walk = {.rule = see_rule, .expr = see_expr, .arg = &r};
    *out = (struct policy_cover_lines){0};
    for (u32 i = 0; i < c->count; i++) {
        const struct policy_cover_hit *hit = c->hits + i;
        bool here = !hit->rule && str_eq(hit->file->name, module->file->name);
        if (here && (hit->entered || hit->held))
            rows_add(&r, &r.covered, hit->row);
    }
    if (r.covered.count) qsort(r.covered.rows, r.covered.count, sizeof(u32), row_order);
    for (u32 i = 0; i < module->rule_count; i++) ast_walk_rule(&walk, module->rules[i]);
    out->covered = ranges_of(h, &r.covered, &out->covered_count, &out->covered_lines);
    out->missed = ranges_of(h, &r.missed, &out->missed_count, &out->missed_lines);
    free(r.covered.rows), free(r.missed.rows);
    return r.failed || !out->covered || !out->missed ? RC_NO_MEMORY : RC_OK;
}
