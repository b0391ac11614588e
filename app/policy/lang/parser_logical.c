/* SPDX-License-Identifier: Apache-2.0 */
/* parser_logical.c — the experimental `and` and `or` between conditions.
 *
 *   a and b or not c     (a and b) or (not c): `and` binds tighter, both group to the left
 *   { x := f(a); x > 1 } and b      an operand may be a body, a scope of its own
 *   (a or b) and c                  parentheses group conditions ...
 *   (a | b) == c                    ... and terms: which is known only once they are read
 *
 * Braces that open an operand always hold a body; a set or object there must be in parentheses.
 * `with` belongs to the whole: an operand that needs its own is put in parentheses. Each of these
 * rules has an error that says what to write instead. */
#include "app/policy/lang/parser_impl.h"

bool parse_logical_active(const struct parser *p) {
    return (p->s.lexer.keywords & (KEYWORD_AND | KEYWORD_OR)) != 0;
}

/* ---- What is wrong, and what to write ---- */

static str text_of(const struct parser *p, struct ast_location at) {
    return parse_text(p, at.offset, at.offset + at.len);
}
void parse_error_with_on_operand(struct parser *p, struct ast_location at, const char *op) {
    parse_hint(p, "Wrap the operand in `(...)` or `{...}` to scope, or move `with` after the `%s` "
                  "expression to apply it to the whole expression", op);
    parse_error_at(p, at, "`with` modifier is not allowed on operand of `%s`", op);
}
void parse_error_operand_braces(struct parser *p, struct ast_location at, str operand,
                                const char *op) {
    parse_hint(p, "wrap the operand to keep the value: `(%.*s) %s ...`", STR(operand), op);
    parse_error_at(p, at, "operand of `%s` cannot begin with `{` unless the braces hold a body",
                   op);
}

/* `{ a | b }`: was a comprehension meant? Parentheses or the call or(a, b) leave no doubt. */
bool body_is_ambiguous_union(const struct ast_body *b) {
    if (b->count == 0 || b->exprs[0]->kind != AST_EXPR_CALL) return false;
    const struct ast_expr *e = b->exprs[0];
    const struct ast_term *op = e->terms[0];
    if (op->kind != AST_REF || op->count != 1 || op->at.len != 1 || !op->at.file) return false;
    if (op->at.file->text.ptr[op->at.offset] != '|') return false;
    return !e->at.file || e->at.file->text.ptr[e->at.offset] != '(';
}
void parse_error_ambiguous_union(struct parser *p, struct ast_location at, const struct ast_body *b,
                                 const char *prefix) {
    str braces = parse_text(p, at.head, p->s.last_end);
    struct ast_location e = b->exprs[0]->at;
    size_t from = e.head - at.head, to = from + e.len;
    bool inside = e.file && e.head > at.head && to <= braces.len;
    parse_hint(p,
               "write `%s(%.*s)` for the comprehension, or `%s%.*s%s%.*s%s%.*s` for the set union",
               prefix, STR(braces), prefix, STR(str_take(braces, inside ? from : 0)),
               inside ? "(" : "", STR(inside ? text_of(p, e) : S("")), inside ? ")" : "",
               STR(str_skip(braces, inside ? to : 0)));
    parse_error_at(p, at, "ambiguous `{ ... | ... }` operand: read as a body holding a set-union "
                          "expression, not as a comprehension");
}

/* An operand of nothing but print calls never fails. */
static const struct ast_expr *void_calls_only(const struct ast_body *b) {
    for (u32 i = 0; i < b->count; i++) {
        const struct ast_expr *e = b->exprs[i];
        if (e->negated || e->kind != AST_EXPR_CALL || e->terms[0]->kind != AST_REF) return NULL;
        const struct ast_term *op = e->terms[0];
        if (op->count != 1 || op->terms[0]->kind != AST_VAR ||
            !str_eq(op->terms[0]->var, S("print")))
            return NULL;
    }
    return b->count ? b->exprs[0] : NULL;
}
static void check_void_calls(struct parser *p, const struct ast_body *b, const char *op) {
    const struct ast_expr *e = void_calls_only(b);
    if (!e) return;
    parse_hint(p,
               "`print` produces no value and always succeeds, so the operand can never fail; move "
               "it out of the operand, or add an expression that can fail");
    parse_error_at(p, e->at, "operand of `%s` cannot consist only of calls to `print`", op);
}

/* ---- Operands ---- */

/* At `{`. `op`: "" while trying. Without a body an error was recorded. */
static struct operand parse_braces_operand(struct parser *p, const char *op) {
    struct operand o = {NULL, true, parse_here(p)};
    u32 saved = parse_save(p);
    parse_scan(p);
    bool empty = now(p) == TOKEN_RBRACE;
    o.body = parse_braced(p, TOKEN_RBRACE);
    if (!o.body && !empty && op[0]) {
        u32 failed = parse_save(p);
        parse_restore(p, saved);
        if (parse_infix(p))
            parse_error_operand_braces(p, o.at, parse_text(p, o.at.offset, p->s.last_end), op);
        else
            parse_restore(p, failed);
    }
    parse_forget(p, saved);
    if (!o.body) return o;
    parse_scan(p);
    if (body_is_ambiguous_union(o.body)) parse_error_ambiguous_union(p, o.at, o.body, "");
    return o;
}

static struct operand operand_of(struct parser *p, struct ast_expr *e) {
    return (struct operand){e ? body_of(p, e) : NULL, false, e ? e->at : (struct ast_location){0}};
}
static struct operand parse_operand(struct parser *p, const char *op) {
    if (now(p) == TOKEN_LBRACE) return parse_braces_operand(p, op);
    struct ast_location not_at = parse_here(p);
    bool negated = parse_is_negated(p);
    if (negated) parse_scan(p);
    if (negated && p->not_bodies && now(p) == TOKEN_LBRACE)
        return operand_of(p, parse_not_braces(p, not_at));
    struct operand group;
    if (now(p) == TOKEN_LPAREN && parse_logical_active(p) && (!negated || p->not_bodies) &&
        parse_logical_group(p, true, negated ? "not " : "", &group)) {
        if (!group.body || !negated) return group;
        return operand_of(p, expr_not(p, group.body, group.braces, parse_span(p, not_at)));
    }
    struct ast_location start = parse_here(p);
    struct ast_expr *e = parse_expr(p);
    if (!e) return operand_of(p, NULL);
    e->at = parse_span(p, start);
    if (negated && p->not_bodies)
        return operand_of(p, expr_not(p, body_of(p, e), false, parse_span(p, not_at)));
    e->negated = negated;
    return operand_of(p, e);
}

/* ---- Chains ---- */

static struct operand combine(struct parser *p, enum ast_logical_op op, struct operand left,
                              struct operand right) {
    const char *name = op == AST_AND ? "and" : "or";
    check_void_calls(p, left.body, name);
    check_void_calls(p, right.body, name);
    struct ast_expr *e = expr_new(p, AST_EXPR_LOGICAL);
    struct ast_logical *node = heap_alloc(p->heap, sizeof(*node));
    u32 depth = MAX(left.body->depth, right.body->depth) + 1u;
    if (!e || !node || !parse_depth_ok(p, depth)) return operand_of(p, NULL);
    *node = (struct ast_logical){op, left.braces, right.braces, left.body, right.body};
    e->logical = node;
    e->depth = (u8)depth;
    e->at = parse_span(p, left.at);
    return operand_of(p, e);
}
static struct operand parse_and_chain(struct parser *p, struct operand left) {
    while (left.body && now(p) == TOKEN_LOGICAL_AND) {
        parse_scan(p);
        struct operand right = parse_operand(p, "and");
        left = right.body ? combine(p, AST_AND, left, right) : right;
    }
    return left;
}
struct ast_expr *parse_logical_chain(struct parser *p, struct operand left) {
    if (!parse_enter(p)) return NULL;
    left = parse_and_chain(p, left);
    while (left.body && now(p) == TOKEN_LOGICAL_OR) {
        parse_scan(p);
        struct operand right = parse_and_chain(p, parse_operand(p, "or"));
        left = right.body ? combine(p, AST_OR, left, right) : right;
    }
    parse_leave(p);
    return left.body ? left.body->exprs[0] : NULL;
}
struct ast_expr *parse_fold_logical(struct parser *p, struct operand left) {
    return parse_attach_with(p, at_logical(p) ? parse_logical_chain(p, left) : left.body->exprs[0]);
}

bool parse_logical_braces(struct parser *p, struct ast_expr **out) {
    struct ast_location at = parse_here(p);
    u32 saved = parse_save(p);
    p->trials++;
    parse_scan(p);
    struct ast_body *body = parse_braced(p, TOKEN_RBRACE);
    p->trials--;
    if (body) parse_scan(p);
    bool is = body && at_logical(p);
    if (!is) parse_restore(p, saved); /* braces of a set, an object, a rule's body */
    parse_forget(p, saved);
    if (!is) return false;
    *out = NULL;
    if (body_is_ambiguous_union(body))
        parse_error_ambiguous_union(p, at, body, "");
    else
        *out = parse_attach_with(p, parse_logical_chain(p, (struct operand){body, true, at}));
    return true;
}

/* ---- Groups ---- */

static bool close_group(struct parser *p, struct operand *out, struct ast_location open) {
    if (out->body && now(p) != TOKEN_RPAREN) {
        parse_error_at(p, parse_here(p), "expected ) to close parenthesized group");
        out->body = NULL;
    }
    if (out->body) {
        parse_scan(p);
        out->at = parse_span(p, open);
    }
    return true;
}
static bool is_logical(const struct ast_body *b) {
    return b->count == 1 && b->exprs[0]->kind == AST_EXPR_LOGICAL;
}
static bool is_negated(const struct ast_body *b) {
    return b->count == 1 && (b->exprs[0]->negated || b->exprs[0]->kind == AST_EXPR_NOT);
}

/* `(a with x as 1)`: its own scope, if it is an operand. */
static bool group_with(struct parser *p, bool operand_place, struct operand *out,
                       struct ast_location open) {
    struct ast_location with_at = parse_here(p);
    if (!parse_attach_with(p, out->body->exprs[0])) return out->body = NULL, true;
    if (at_logical(p)) {
        parse_error_with_on_operand(p, with_at, token_name(now(p)));
        return out->body = NULL, true;
    }
    close_group(p, out, open);
    return !out->body || operand_place || at_logical(p);
}
/* `({ ... })`: a value in parentheses; a body is an error. */
static bool group_braces(struct parser *p, u32 saved, struct operand *out, struct ast_location open,
                         const char *prefix) {
    str braces = parse_text(p, out->at.offset, p->s.last_end);
    parse_restore(p, saved);
    parse_scan(p);
    bool is_value = parse_one_term(p) != NULL;
    parse_restore(p, saved);
    if (is_value) return false;
    parse_hint(p, "drop the parens to keep the body: `%s%.*s`", prefix, STR(braces));
    parse_error_at(p, open, "`(...)` in an operand position cannot contain a body");
    out->body = NULL;
    return true;
}

/* Behind `(`. */
static bool read_group(struct parser *p, u32 saved, bool operand_place, const char *prefix,
                       struct operand *out, struct ast_location open) {
    if (now(p) == TOKEN_RPAREN) {
        if (operand_place) parse_error_at(p, open, "empty parenthesized group");
        return operand_place;
    }
    p->trials++;
    *out = parse_operand(p, "");
    p->trials--;
    if (!out->body) return false;
    if (at_logical(p)) {
        struct ast_expr *e = parse_attach_with(p, parse_logical_chain(p, *out));
        *out = operand_of(p, e);
        return close_group(p, out, open);
    }
    if (now(p) == TOKEN_WITH && !out->braces && out->body->count == 1)
        return group_with(p, operand_place, out, open);
    if (out->braces) return group_braces(p, saved, out, open, prefix);
    if (is_logical(out->body) || is_negated(out->body)) return close_group(p, out, open);
    return false; /* (a == b): a term */
}
bool parse_logical_group(struct parser *p, bool operand_place, const char *prefix,
                         struct operand *out) {
    *out = (struct operand){0};
    if (!parse_enter(p)) return true;
    struct ast_location open = parse_here(p);
    u32 saved = parse_save(p);
    parse_scan(p);
    bool is = read_group(p, saved, operand_place, prefix, out, open);
    if (!is) parse_restore(p, saved);
    parse_forget(p, saved);
    parse_leave(p);
    return is;
}
