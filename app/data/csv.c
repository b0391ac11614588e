/* SPDX-License-Identifier: Apache-2.0 */
/* csv.c — the reader is a machine of six states; it keeps one row and nothing else.
 *
 *   START --"--> QUOTED --"--> QUOTE --"--> QUOTED     (a quote, twice)
 *     |                          `--, or line end--> the cell ends
 *     `--anything else--> PLAIN --, or line end--> the cell ends
 *   RETURN: after \r, only \n may come */
#include "app/data/csv.h"

enum { START, PLAIN, QUOTED, QUOTE, RETURN, BROKEN };

void csv_open(struct csv *c, size_t row_bytes_max,
              rc_t (*row)(void *arg, u64 line, const struct csv_cell *cells, u32 count),
              void *arg) {
    *c = (struct csv){.line = 1, .row_line = 1, .row = row, .arg = arg};
    buf_open(&c->bytes, row_bytes_max);
}

void csv_close(struct csv *c) {
    buf_close(&c->bytes);
}

static rc_t wrong(struct csv *c, rc_t rc, const char *what, struct diag *why) {
    c->state = BROKEN;
    diag_set(why, "%s", what);
    why->line = (int)MIN(c->line, (u64)INT32_MAX);
    return rc;
}

static u32 cell_from(const struct csv *c) {
    return c->count ? c->cells[c->count - 1].from + c->cells[c->count - 1].len : 0;
}

static rc_t end_cell(struct csv *c, bool quoted, struct diag *why) {
    if (c->count == CSV_CELLS_MAX) return wrong(c, RC_LIMIT, "too many columns", why);
    u32 from = cell_from(c);
    c->cells[c->count].from = from;
    c->cells[c->count].len = (u32)c->bytes.len - from;
    c->cells[c->count++].quoted = quoted;
    c->state = START;
    return RC_OK;
}

static rc_t end_row(struct csv *c, struct diag *why) {
    struct csv_cell cells[CSV_CELLS_MAX];
    rc_t rc = RC_OK;
    bool empty = c->count == 1 && !c->cells[0].len && !c->cells[0].quoted;
    for (u32 i = 0; i < c->count; i++) {
        cells[i].text =
            str_of(c->bytes.len ? c->bytes.ptr + c->cells[i].from : "", c->cells[i].len);
        cells[i].quoted = c->cells[i].quoted;
        if (!str_is_utf8(cells[i].text)) return wrong(c, RC_INVALID, "not UTF-8", why);
    }
    if (!empty) rc = c->row(c->arg, c->row_line, cells, c->count);
    buf_clear(&c->bytes);
    c->count = 0;
    c->row_line = ++c->line;
    return rc;
}

static rc_t put_byte(struct csv *c, char b, struct diag *why) {
    if (!b) return wrong(c, RC_INVALID, "a NUL byte", why);
    return buf_add_byte(&c->bytes, b) ? wrong(c, RC_LIMIT, "the row is too long", why) : RC_OK;
}

/* After a cell's last byte: a comma or a line end. RC_PASS: neither. */
static rc_t take_end(struct csv *c, char b, bool quoted, struct diag *why) {
    if (b != ',' && b != '\n' && b != '\r') return RC_PASS;
    rc_t rc = end_cell(c, quoted, why);
    if (!rc && b == '\n') rc = end_row(c, why);
    if (!rc && b == '\r') c->state = RETURN;
    return rc;
}

static rc_t take(struct csv *c, char b, struct diag *why) {
    rc_t rc = RC_PASS;
    switch (c->state) {
    case START:
        if (b == '"') {
            c->state = QUOTED;
            return RC_OK;
        }
        c->state = PLAIN;
        [[fallthrough]];
    case PLAIN:
        rc = take_end(c, b, false, why);
        if (rc != RC_PASS) return rc;
        if (b == '"') return wrong(c, RC_INVALID, "a quote inside a cell without quotes", why);
        return put_byte(c, b, why);
    case QUOTED:
        if (b == '"') {
            c->state = QUOTE;
            return RC_OK;
        }
        if (b == '\n') c->line++;
        return put_byte(c, b, why);
    case QUOTE:
        if (b == '"') {
            c->state = QUOTED;
            return put_byte(c, b, why);
        }
        rc = take_end(c, b, true, why);
        if (rc != RC_PASS) return rc;
        return wrong(c, RC_INVALID, "something behind a cell's closing quote", why);
    case RETURN:
        if (b != '\n') return wrong(c, RC_INVALID, "a carriage return without a line feed", why);
        c->state = START;
        return end_row(c, why);
    default: return wrong(c, RC_INVALID, "broken", why);
    }
}

rc_t csv_feed(struct csv *c, str bytes, struct diag *why) {
    static const char mark[] = "\xEF\xBB\xBF";
    rc_t rc = RC_OK;
    size_t i = 0;
    while (!c->started && i < bytes.len && c->mark < 3 && bytes.ptr[i] == mark[c->mark])
        c->mark++, i++;
    if (!c->started && i < bytes.len) { /* part of a mark is text like any other */
        c->started = true;
        for (u32 k = 0; !rc && c->mark < 3 && k < c->mark; k++) rc = take(c, mark[k], why);
    }
    for (; !rc && i < bytes.len; i++) rc = take(c, bytes.ptr[i], why);
    return rc;
}

rc_t csv_end(struct csv *c, struct diag *why) {
    if (c->state == QUOTED) return wrong(c, RC_INVALID, "a quoted cell does not end", why);
    if (c->state == BROKEN) return RC_INVALID;
    if (c->state == RETURN || (c->state == START && !c->count)) {
        rc_t rc = c->state == RETURN ? end_row(c, why) : RC_OK;
        c->state = START;
        return rc;
    }
    rc_t rc = end_cell(c, c->state == QUOTE, why);
    return rc ? rc : end_row(c, why);
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* Apostrophes, and behind them what a spreadsheet would run. */
static bool looks_like_formula(str s) {
    size_t i = 0;
    while (i < s.len && s.ptr[i] == '\'') i++;
    return i < s.len && s.ptr[i] && strchr("=+-@\t\r", s.ptr[i]);
}

str csv_plain(str text) {
    if (!text.len || text.ptr[0] != '\'' || !looks_like_formula(text)) return text;
    return str_skip(text, 1);
}

void csv_put(struct buf *to, str text, bool is_text) {
    bool guard = is_text && looks_like_formula(text);
    bool quotes = (is_text && !text.len) || guard;
    for (size_t i = 0; i < text.len && !quotes; i++)
        quotes =
            text.ptr[i] == ',' || text.ptr[i] == '"' || text.ptr[i] == '\n' || text.ptr[i] == '\r';
    if (!quotes) {
        (void)buf_add(to, text);
        return;
    }
    (void)buf_add(to, guard ? S("\"'") : S("\""));
    while (text.len) {
        size_t at = str_find_byte(text, '"');
        (void)buf_add(to, str_take(text, at));
        if (at < text.len) (void)buf_add(to, S("\"\""));
        text = str_skip(text, at + 1);
    }
    (void)buf_add(to, S("\""));
}
