/* SPDX-License-Identifier: Apache-2.0 */
/* write_impl.h — appending to a buffer whose `failed` is looked at once, at the end. */
#pragma once
#include "app/policy/lang/ast.h"
#include "app/policy/value/json_text.h"
#include "kernel/base/buf.h"

static inline void put(struct buf *to, str s) { (void)buf_add(to, s); }
static inline void put_z(struct buf *to, const char *z) { (void)buf_add(to, str_from_c(z)); }
static inline void put_c(struct buf *to, char c) { (void)buf_add_byte(to, c); }
#define putf(to, ...) ((void)buf_printf((to), __VA_ARGS__))

/* ---- ast_write.c, for the formatter too ---- */
bool write_is_plain_name(str s); /* may stand behind a dot */
void write_template_text(struct buf *to, str s);    /* text between backticks: braces escaped */
void write_template_quoted(struct buf *to, value v); /* text between quotes */
/* An expression that would be read back as a body, since it begins with a brace. */
bool write_leads_with_brace(const struct ast_expr *e);
bool write_not_needs_parens(const struct ast_expr *e);
bool write_operand_needs_parens(const struct ast_expr *e, enum ast_logical_op above, bool right);
