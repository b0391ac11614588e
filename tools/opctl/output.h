/* SPDX-License-Identifier: Apache-2.0 */
/* output.h — what verbs print: JSON whose members keep their order, and tables. */
#pragma once
#include "tools/opctl/opctl.h"

/* ---- JSON, indented by two, members in the order they are put (the reference's) ---- */
struct json_out {
    struct buf to;
    struct heap heap; /* scratch */
    u32 depth;
    bool some[64];    /* at this depth something was put */
};
void out_open(struct json_out *o);
/* Writes a line end, then all of it to `f`. False: there was not enough memory. */
bool out_close(struct json_out *o, FILE *f);
/* `key` NULL: the whole, or an item of an array. */
void out_begin(struct json_out *o, const char *key, char bracket); /* '{' or '[' */
void out_end(struct json_out *o, char bracket);                    /* '}' or ']' */
void out_value(struct json_out *o, const char *key, value v);
void out_text(struct json_out *o, const char *key, str text);
void out_u64(struct json_out *o, const char *key, u64 n);
void out_double(struct json_out *o, const char *key, double n);
void out_bool(struct json_out *o, const char *key, bool b);
void out_place(struct json_out *o, const char *key, const struct ast_location *at);
void out_errors(struct json_out *o, const struct policy_errors *e); /* "errors" */

/* ---- Tables in boxes ---- */
enum { TABLE_COLUMNS_MAX = 32 };
struct table {
    struct heap heap;
    u32 columns, count, room; /* rows */
    str *cells;
    bool header;              /* the first row is one: its cells are centred */
    bool right;               /* the last column is aligned there */
};
void table_open(struct table *t, u32 columns);
void table_close(struct table *t);
void table_header(struct table *t, const char *const *names);
void table_cell(struct table *t, u32 column, str text); /* column 0 begins a row */
void table_print(const struct table *t, FILE *f);
void tree_print(const struct ast_module *m); /* tree.c */
/* As the reference's language writes durations: 1.5ms. */
str duration_text(struct heap *h, u64 ns);
