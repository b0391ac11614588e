/* SPDX-License-Identifier: Apache-2.0 */
/* format_impl.h — what the formatter's files share. See format.c. */
#pragma once
#include "app/policy/lang/format.h"
#include "app/policy/lang/write_impl.h"

/* A comment in a place where the layout has none for it: what is being written is then written as
 * it stood in the source. Passed up to whoever can do that. */
enum laid { LAID_OK, LAID_COMMENT };

struct comment_list { struct ast_comment *items; u32 count; }; /* not yet written, by place */

struct format {
    struct heap *heap;
    struct policy_errors *errors;
    const struct format_options *options;
    struct buf *out;
    struct comment_list comments;
    const struct ast_comment *line_end; /* to be written when the line ends */
    u32 level;
    bool inside;         /* of a line: its indentation is written */
    bool delay;          /* `line_end` waits for the line after */
    bool comment_on_final_line;
    bool use_if, use_contains, v1, ref_heads;
    const struct ast_expr *paren_expr; /* gets parentheses when it comes */
    const struct ast_term *paren_term;
};
#define FORMAT_DEFAULT_FILE "__format_default__" /* of nodes that stand nowhere */

static inline str text_at(const struct ast_location *at) {
    return at->file ? str_of(at->file->text.ptr + at->offset, at->len) : S("");
}
static inline bool same_place(const struct ast_location *a, const struct ast_location *b) {
    return a->file == b->file && a->row == b->row && a->column == b->column &&
           a->offset == b->offset && a->len == b->len;
}
/* The last row of a node. */
s64 end_row_of(const struct ast_location *at);

/* ---- format.c: lines and comments ---- */
void format_start_line(struct format *f);
void format_end_line(struct format *f);
void format_blank_line(struct format *f);
void format_write_comments(struct format *f, const struct ast_comment *items, u32 count);
/* Writes the comments above `row`, keeps one at it for the line's end. */
enum laid format_insert_comments(struct format *f, s64 row);
/* How many of the comments lie above `row`. */
u32 format_comments_before(const struct format *f, s64 row);
/* The row of the bracket that closes the first `open` in the text of `at`, past a first pair of
 * others if given; -1: there is none. */
s64 format_closing_row(char skip_open, char skip_close, char open, char close,
                       const struct ast_location *at);

void format_write_comment(struct format *f, const struct ast_comment *c);
int format_compare_places(const struct ast_location *a, const struct ast_location *b);
/* A place for what stands nowhere: its own text. */
struct ast_location format_default_place(struct heap *h, str text, u32 row);

/* ---- format_import.c ---- */
/* Keywords the tree needs. NEEDED_KEYWORDS: ORDER */
enum { NEED_IN = 1, NEED_EVERY = 2, NEED_NOT = 4, NEED_AND = 8, NEED_OR = 16 };
void format_heed_imports(struct format *f, const struct ast_module *m); /* keywords they turn on */
/* Adds those that are needed, drops those the version makes superfluous. */
void format_settle_imports(struct format *f, struct ast_module *m, unsigned needed);
void format_sort_imports(struct format *f, struct ast_module *m); /* by place */
/* Moves those that were added to the front, if their row would come after a rule's. */
u32 format_added_in_front(struct ast_module *m);
/* In order of place on entry; written in groups, each sorted. */
void format_write_imports(struct format *f, const struct ast_import *imports, u32 n);

/* ---- format_expr.c ---- */
enum laid format_write_body(struct format *f, const struct ast_body *b);
enum laid format_write_expr(struct format *f, const struct ast_expr *e);
bool expr_is_set(const struct ast_expr *e);
/* Puts a set union that would lead the text of `e` in parentheses: at a brace it reads as a
 * comprehension. */
void format_mark_union_lead(struct format *f, const struct ast_expr *e);

/* ---- format_term.c ---- */
enum laid format_write_term(struct format *f, const struct ast_term *t);
enum laid format_write_term_in(struct format *f, bool parens, const struct ast_term *t);
enum laid format_write_ref(struct format *f, struct ast_term *const *terms, u32 count,
                           bool keywords_plain);
enum laid format_write_call(struct format *f, struct ast_term *const *terms, u32 count);
enum laid format_write_in(struct format *f, bool parens, struct ast_term *const *operands,
                          u32 count, u32 arity, const struct ast_location *at);
enum laid format_write_unformatted(struct format *f, const struct ast_location *at);
enum laid format_write_list(struct format *f, struct ast_term *const *terms, u32 count,
                            bool union_parens, const struct ast_location *last, s64 close_row);
enum laid format_write_comprehension_body(struct format *f, char open, char close,
                                          const struct ast_body *b,
                                          const struct ast_location *before,
                                          const struct ast_location *whole);
bool term_is_union(const struct ast_term *t);
void format_arity_error(struct format *f, struct ast_term *const *operands, u32 count,
                        str name, const struct ast_location *at); /* format_check.c */
