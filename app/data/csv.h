/* SPDX-License-Identifier: Apache-2.0 */
/* csv.h — comma-separated values (RFC 4180), byte by byte, from anybody.
 *
 * A row's cells are views that live until csv_feed goes on. Cells and rows are bounded. Refused:
 * NUL, bytes that are not UTF-8, a quote inside an unquoted cell, anything behind a closing quote,
 * a carriage return alone. A byte order mark at the very front is skipped; so are empty lines. */
#pragma once
#include "kernel/base/buf.h"

enum { CSV_CELLS_MAX = 96 };
struct csv_cell {
    str text;
    bool quoted;
};
struct csv {
    struct buf bytes; /* of the row's cells, one after the other */
    struct {
        u32 from, len;
        bool quoted;
    } cells[CSV_CELLS_MAX];
    u32 count;
    u64 line, row_line; /* from 1: where we are, and where the row began */
    int state;
    u32 mark; /* bytes of a byte order mark seen at the front */
    bool started;
    rc_t (*row)(void *arg, u64 line, const struct csv_cell *cells, u32 count);
    void *arg;
};
void csv_open(struct csv *c, size_t row_bytes_max,
              rc_t (*row)(void *arg, u64 line, const struct csv_cell *cells, u32 count), void *arg);
void csv_close(struct csv *c);
/* RC_INVALID, RC_LIMIT: `why` has the line and what is wrong; or what `row` returned. */
rc_t csv_feed(struct csv *c, str bytes, struct diag *why);
rc_t csv_end(struct csv *c, struct diag *why); /* the last row may lack its line end */

/* A cell for people's spreadsheets: quoted if need be; a text that they would take for a formula
 * gets an apostrophe in front, which csv_plain takes off again: what is exported comes back. */
void csv_put(struct buf *to, str text, bool is_text);
str csv_plain(str text);
