/* SPDX-License-Identifier: Apache-2.0 */
/* format_expr.c — the layout of expressions: one per line, `with` where it was, chains of `and` and
 * `or` broken where they were. */
#include "app/policy/lang/format_impl.h"

/* What cannot be laid out ends the list of comments for whoever asked: as in the reference. */
static enum laid lose(struct format *f, enum laid laid) {
    if (laid) f->comments.count = 0;
    return laid;
}

/* ---- Set unions and braces ---- */

bool expr_is_set(const struct ast_expr *e) {
    return e->kind == AST_EXPR_TERM && !e->negated && e->terms[0]->kind == AST_SET;
}
static bool is_or(const struct ast_term *op) {
    return op->kind == AST_REF && op->count == 1 && op->terms[0]->kind == AST_VAR &&
           str_eq(op->terms[0]->var, S("or"));
}
bool term_is_union(const struct ast_term *t) { return t->kind == AST_CALL && is_or(t->terms[0]); }
static bool expr_is_union(const struct ast_expr *e) {
    return e->kind == AST_EXPR_CALL && e->count == 3 && is_or(e->terms[0]);
}

/* ---- and, or ---- */

struct operand { const struct ast_body *body; bool braces, parens; struct ast_location brace; };
struct step { const char *op; struct operand right; s64 left_end_row; };

static const struct ast_expr *only(const struct ast_body *b) {
    return b->count == 1 ? b->exprs[0] : NULL;
}

/* The `{` before an operand's first expression, somewhere in the text of the whole. */
static struct ast_location brace_place(const struct ast_location *whole, const struct ast_body *b) {
    struct ast_location at = *whole;
    str s = text_at(whole);
    if (!b->count || !b->exprs[0]->at.file || b->exprs[0]->at.head < whole->head) return at;
    size_t i = MIN((size_t)(b->exprs[0]->at.head - whole->head), s.len);
    while (i-- > 0) {
        if (s.ptr[i] != '{') continue;
        for (size_t k = 0; k < i; k++) at.row += s.ptr[k] == '\n';
        at.head = whole->head + (u32)i;
        at.offset = whole->offset + (u32)i, at.len = (u32)(s.len - i);
        return at;
    }
    return at;
}
static struct operand operand_of(const struct ast_body *b, bool braces, enum ast_logical_op above,
                                 bool right, const struct ast_location *whole) {
    const struct ast_expr *e = braces ? NULL : only(b);
    if (!e) return (struct operand){b, true, false, brace_place(whole, b)};
    return (struct operand){b, false, write_operand_needs_parens(e, above, right), {0}};
}
static s64 body_end_row(const struct ast_body *b) {
    if (!b->count) return 0;
    const struct ast_location *at = &b->exprs[b->count - 1]->at;
    str s = text_at(at);
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1])) s.len--;
    s64 row = at->row;
    for (size_t i = 0; i < s.len; i++) row += s.ptr[i] == '\n';
    return row;
}
static s64 operand_end_row(const struct operand *o) {
    s64 row = o->braces ? format_closing_row(0, 0, '{', '}', &o->brace) : 0;
    return row > 0 ? row : body_end_row(o->body);
}
static bool breaks_line(const struct step *s) {
    s64 row = s->right.braces        ? s->right.brace.row
              : s->right.body->count ? s->right.body->exprs[0]->at.row
                                     : 0;
    return row > s->left_end_row;
}
/* A chain groups to the left: its steps lie one beneath the other on the left side. */
static u32 chain_length(const struct ast_expr *e) {
    u32 n = 1;
    while (true) {
        const struct ast_logical *l = e->logical;
        const struct ast_expr *left = l->explicit_left ? NULL : only(l->left);
        if (!left || left->kind != AST_EXPR_LOGICAL ||
            write_operand_needs_parens(left, l->op, false))
            return n;
        e = left, n++;
    }
}
static struct operand flatten(const struct ast_expr *e, struct step *steps, u32 n) {
    while (true) {
        const struct ast_logical *l = e->logical;
        struct step *s = &steps[--n];
        *s = (struct step){l->op == AST_AND ? " and" : " or",
                           operand_of(l->right, l->explicit_right, l->op, true, &e->at), 0};
        if (n == 0) {
            struct operand first = operand_of(l->left, l->explicit_left, l->op, false, &e->at);
            s->left_end_row = operand_end_row(&first);
            return first;
        }
        s->left_end_row = body_end_row(l->left);
        e = l->left->exprs[0];
    }
}
static enum laid write_operand(struct format *f, const struct operand *o) {
    if (!o->braces) {
        if (o->parens) put_c(f->out, '(');
        enum laid laid = format_write_expr(f, o->body->exprs[0]);
        if (o->parens) put_c(f->out, ')');
        return laid;
    }
    if (!o->body->count) return put(f->out, S("{}")), LAID_OK;
    if (expr_is_union(o->body->exprs[0])) f->paren_expr = o->body->exprs[0];
    put_c(f->out, '{');
    (void)format_write_comprehension_body(f, '{', '}', o->body, &o->brace, &o->brace);
    if (o->body->exprs[o->body->count - 1]->at.row == o->brace.row) put_c(f->out, ' ');
    put_c(f->out, '}');
    return LAID_OK;
}
static enum laid write_logical(struct format *f, const struct ast_expr *e) {
    u32 n = chain_length(e);
    struct step *steps = heap_alloc(f->heap, n * sizeof(*steps));
    if (!steps) return LAID_OK;
    struct operand first = flatten(e, steps, n);
    (void)write_operand(f, &first);
    bool indented = false;
    for (u32 i = 0; i < n; i++) {
        put_z(f->out, steps[i].op);
        if (breaks_line(&steps[i])) {
            f->level += !indented;
            indented = true;
            format_end_line(f);
            format_start_line(f);
        } else {
            put_c(f->out, ' ');
        }
        (void)write_operand(f, &steps[i].right);
    }
    f->level -= indented;
    return LAID_OK;
}

void format_mark_union_lead(struct format *f, const struct ast_expr *e) {
    u32 arity;
    if (e->negated) return;
    if (e->kind == AST_EXPR_LOGICAL) {
        while (e->kind == AST_EXPR_LOGICAL) {
            const struct ast_logical *l = e->logical;
            const struct ast_expr *left = l->explicit_left ? NULL : only(l->left);
            if (!left || write_operand_needs_parens(left, l->op, false)) return;
            e = left;
        }
        format_mark_union_lead(f, e);
    } else if (expr_is_union(e)) {
        f->paren_expr = e;
    } else if (e->kind == AST_EXPR_CALL && ast_infix_of(e->terms[0], &arity)) {
        const struct ast_term *lead = e->count == arity + 1 ? e->terms[1]
                                    : e->count == arity + 2 ? e->terms[e->count - 1] : NULL;
        if (lead && term_is_union(lead)) f->paren_term = lead;
    }
}

/* ---- some, every, not ---- */

static enum laid write_some(struct format *f, const struct ast_expr *e) {
    if (format_insert_comments(f, e->at.row)) return lose(f, LAID_COMMENT);
    put(f->out, S("some "));
    u32 row = e->at.row;
    for (u32 i = 0; i < e->count; i++) {
        const struct ast_term *t = e->terms[i];
        if (t->kind == AST_CALL) {
            u32 arity = 2;
            ast_infix_of(t->terms[0], &arity);
            if (format_write_in(f, false, t->terms + 1, t->count - 1, arity, &e->at))
                return lose(f, LAID_COMMENT);
            continue;
        }
        if (t->at.row > row) {
            format_end_line(f);
            format_start_line(f);
            put_c(f->out, '\t');
            row = t->at.row;
        } else if (i) {
            put_c(f->out, ' ');
        }
        if (format_write_term(f, t)) return lose(f, LAID_COMMENT);
        if (i + 1 < e->count) put_c(f->out, ',');
    }
    return LAID_OK;
}
static enum laid write_every(struct format *f, const struct ast_expr *e) {
    const struct ast_every *q = e->every;
    if (format_insert_comments(f, e->at.row)) return lose(f, LAID_COMMENT);
    put(f->out, S("every "));
    if (q->key) {
        if (format_write_term(f, q->key)) return lose(f, LAID_COMMENT);
        put(f->out, S(", "));
    }
    if (format_write_term(f, q->value)) return lose(f, LAID_COMMENT);
    put(f->out, S(" in "));
    if (format_write_term(f, q->domain)) return lose(f, LAID_COMMENT);
    put(f->out, S(" {"));
    (void)format_write_comprehension_body(f, '{', '}', q->body, &e->at, &e->at);
    if (q->body->count == 1 && q->body->exprs[0]->at.row == e->at.row) put_c(f->out, ' ');
    put_c(f->out, '}');
    return LAID_OK;
}
static enum laid write_not(struct format *f, const struct ast_expr *e) {
    const struct ast_body *b = e->not_body;
    if (format_insert_comments(f, e->at.row)) return lose(f, LAID_COMMENT);
    put(f->out, S("not "));
    if (!e->explicit_body && b->count == 1) {
        bool parens = write_not_needs_parens(b->exprs[0]);
        if (parens) put_c(f->out, '(');
        (void)format_write_expr(f, b->exprs[0]);
        if (parens) put_c(f->out, ')');
        return LAID_OK;
    }
    if (expr_is_union(b->exprs[0])) f->paren_expr = b->exprs[0];
    put_c(f->out, '{');
    (void)format_write_comprehension_body(f, '{', '}', b, &e->at, &e->at);
    if (b->exprs[b->count - 1]->at.row == e->at.row) put_c(f->out, ' ');
    put_c(f->out, '}');
    return LAID_OK;
}

/* ---- Calls ---- */

/* `x = y + z` may be plus(y, z, x) in a tree that was rewritten. */
static enum laid write_call_expr(struct format *f, const struct ast_expr *e) {
    u32 arity;
    const char *symbol = ast_infix_of(e->terms[0], &arity);
    if (!symbol) return format_write_call(f, e->terms, e->count);
    if (strcmp(symbol, "in") == 0)
        return format_write_in(f, false, e->terms + 1, e->count - 1, arity, &e->terms[0]->at);
    if (e->count != arity + 1 && e->count != arity + 2) {
        format_arity_error(f, e->terms + 1, e->count - 1, e->terms[0]->terms[0]->var,
                           &e->terms[0]->at);
        return format_write_call(f, e->terms, e->count);
    }
    if (e->count == arity + 2) {
        if (format_write_term(f, e->terms[3])) return lose(f, LAID_COMMENT);
        put(f->out, S(" = "));
    }
    if (format_write_term(f, e->terms[1])) return lose(f, LAID_COMMENT);
    putf(f->out, " %s ", symbol);
    return format_write_term(f, e->terms[2]);
}

/* ---- with ---- */

static enum laid write_with(struct format *f, const struct ast_with *w, bool own_line) {
    if (format_insert_comments(f, w->at.row)) return lose(f, LAID_COMMENT);
    put(f->out, own_line ? S("with ") : S(" with "));
    if (format_write_term(f, w->target)) return lose(f, LAID_COMMENT);
    put(f->out, S(" as "));
    (void)format_write_term(f, w->value); /* written as it stood, if need be */
    return LAID_OK;
}
/* The row where the expression itself ends, `with` aside. */
static s64 terms_end_row(const struct ast_expr *e) {
    str s = text_at(&e->at);
    if (e->with_count && e->with[0].at.file == e->at.file && e->with[0].at.head > e->at.head)
        s = str_take(s, e->with[0].at.head - e->at.head);
    while (s.len && strchr(" \t\r\n", s.ptr[s.len - 1])) s.len--;
    s64 row = e->at.row;
    for (size_t i = 0; i < s.len; i++) row += s.ptr[i] == '\n';
    return row;
}
static enum laid write_withs(struct format *f, const struct ast_expr *e) {
    s64 last = terms_end_row(e);
    bool indented = false;
    enum laid laid = LAID_OK;
    for (u32 i = 0; i < e->with_count && !laid; i++) {
        const struct ast_with *w = &e->with[i];
        bool own_line = (s64)w->at.row > last;
        if (i == 0 && (s64)w->at.row == last) own_line = false;
        if (own_line) {
            f->level += !indented;
            indented = true;
            format_end_line(f);
            format_start_line(f);
        }
        if (own_line || i == 0) last = MAX(last, (s64)w->at.row);
        laid = write_with(f, w, own_line);
    }
    f->level -= indented;
    return laid;
}

/* ---- Expressions and bodies ---- */

enum laid format_write_expr(struct format *f, const struct ast_expr *e) {
    bool parens = f->paren_expr == e, negated_logical = e->negated && e->kind == AST_EXPR_LOGICAL;
    if (parens) f->paren_expr = NULL;
    if (format_insert_comments(f, e->at.row)) return LAID_COMMENT;
    if (!f->inside) format_start_line(f);
    if (e->negated) put(f->out, negated_logical ? S("not (") : S("not "));
    if (parens) put_c(f->out, '(');
    enum laid laid = LAID_OK;
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_SOME: laid = lose(f, write_some(f, e)); break;
    case AST_EXPR_EVERY: laid = lose(f, write_every(f, e)); break;
    case AST_EXPR_NOT: laid = lose(f, write_not(f, e)); break;
    case AST_EXPR_LOGICAL: laid = lose(f, write_logical(f, e)); break;
    case AST_EXPR_CALL: laid = write_call_expr(f, e); break;
    case AST_EXPR_TERM: laid = format_write_term(f, e->terms[0]); break;
    }
    if (laid) return laid;
    if (parens) put_c(f->out, ')');
    if (negated_logical) put_c(f->out, ')');
    return e->with_count ? write_withs(f, e) : LAID_OK;
}

enum laid format_write_body(struct format *f, const struct ast_body *b) {
    if (format_insert_comments(f, b->exprs[0]->at.row)) return LAID_COMMENT;
    for (u32 i = 0; i < b->count; i++) {
        if (i && (s64)b->exprs[i]->at.row > end_row_of(&b->exprs[i - 1]->at) + 1)
            format_blank_line(f);
        format_start_line(f);
        (void)format_write_expr(f, b->exprs[i]);
        format_end_line(f);
    }
    return LAID_OK;
}
