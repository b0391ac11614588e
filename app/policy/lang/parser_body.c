/* SPDX-License-Identifier: Apache-2.0 */
/* parser_body.c — bodies: expressions separated by `;` or ends of lines.
 *
 *   x := f(y)        a call of assign; `=` is one of eq; a call is an expression, not a term
 *   some k, v in xs  a declaration that holds the call of internal.member_3
 *   every x in xs { ... }
 *   not x            negated; with future.keywords.not a node of its own, that may hold a body
 *   e with input.x as 1
 *
 * An expression's text is all of it, `with` and `not` included. */
#include "app/policy/lang/parser_impl.h"

/* ---- Nodes ---- */

struct ast_expr *expr_new(struct parser *p, enum ast_expr_kind kind) {
    struct ast_expr *e = heap_alloc(p->heap, sizeof(*e));
    if (e) *e = (struct ast_expr){.kind = (u8)kind};
    return e;
}
struct ast_body *body_of(struct parser *p, struct ast_expr *e) {
    struct ast_body *b = heap_alloc(p->heap, sizeof(*b));
    struct ast_expr **list = heap_alloc(p->heap, sizeof(struct ast_expr *));
    if (!b || !list || !e) return NULL;
    list[0] = e;
    e->index = 0;
    *b = (struct ast_body){list, 1, e->depth};
    return b;
}
static struct ast_expr *deepen(struct parser *p, struct ast_expr *e, u32 depth) {
    if (!e || !parse_depth_ok(p, depth)) return NULL;
    e->depth = (u8)depth;
    return e;
}
struct ast_expr *expr_not(struct parser *p, struct ast_body *body, bool braces,
                          struct ast_location at) {
    struct ast_expr *e = body ? expr_new(p, AST_EXPR_NOT) : NULL;
    if (!e) return NULL;
    e->not_body = body, e->explicit_body = braces, e->at = at;
    return deepen(p, e, body->depth + 1u);
}
static struct ast_expr *expr_terms(struct parser *p, enum ast_expr_kind kind,
                                   struct ast_term **terms, u32 count) {
    struct ast_expr *e = terms ? expr_new(p, kind) : NULL;
    u32 depth = 0;
    for (u32 i = 0; terms && i < count; i++) depth = MAX(depth, terms[i]->depth);
    if (e) e->terms = terms, e->count = count;
    return deepen(p, e, depth);
}
static struct ast_expr *expr_of_term(struct parser *p, enum ast_expr_kind kind,
                                     struct ast_term *t) {
    struct ast_term **list = heap_alloc(p->heap, sizeof(struct ast_term *));
    if (list) list[0] = t;
    return expr_terms(p, kind, list, 1);
}

/* ---- with ---- */

static bool parse_one_with(struct parser *p, struct ast_with *w) {
    struct ast_location at = parse_here(p);
    parse_scan(p);
    if (now(p) != TOKEN_IDENT) {
        parse_illegal(p, "expected ident");
        return false;
    }
    if (!(w->target = parse_one_term(p))) return false;
    if (w->target->kind != AST_REF && w->target->kind != AST_VAR)
        parse_illegal(p, "expected with target path");
    if (now(p) != TOKEN_AS) {
        parse_illegal(p, "expected as keyword");
        return false;
    }
    parse_scan(p);
    w->value = parse_infix(p);
    w->at = parse_span(p, at);
    return w->value != NULL;
}
struct ast_expr *parse_attach_with(struct parser *p, struct ast_expr *e) {
    u32 room = 0, depth = e ? e->depth : 0;
    while (e && now(p) == TOKEN_WITH) {
        if (e->with_count == room) {
            room = MAX(room * 2, 2u);
            struct ast_with *grown = heap_alloc(p->heap, room * sizeof(*grown));
            if (!grown) return NULL;
            if (e->with_count) memcpy(grown, e->with, e->with_count * sizeof(*grown));
            e->with = grown;
        }
        struct ast_with *w = &e->with[e->with_count];
        if (!parse_one_with(p, w)) return NULL;
        depth = MAX(depth, w->value->depth);
        e->with_count++;
    }
    return deepen(p, e, depth);
}

/* ---- some, every ---- */

/* What would be read if all keywords were known: for hints. */
static bool future_reads(struct parser *p, bool (*reads)(struct parser *p)) {
    u32 saved = parse_save(p);
    struct term_memo *memo = p->memo;
    u32 count = p->memo_count, mask = p->memo_mask;
    p->memo = NULL, p->memo_count = p->memo_mask = 0; /* read with other keywords */
    p->s.lexer.keywords = KEYWORDS_ALL;
    bool yes = reads(p);
    p->memo = memo, p->memo_count = count, p->memo_mask = mask;
    parse_restore(p, saved);
    parse_forget(p, saved);
    return yes;
}

static bool is_member(const struct ast_term *t) {
    return term_is_call_of(t, "internal.member_2") || term_is_call_of(t, "internal.member_3");
}
/* A call of internal.member_2/3 with all its operands; else an error. */
static bool check_member(struct parser *p, const struct ast_term *t, const char *wanted) {
    if (t->kind != AST_CALL || !is_member(t)) {
        parse_illegal(p, wanted);
        return false;
    }
    if (t->count == (term_is_call_of(t, "internal.member_2") ? 3u : 4u)) return true;
    parse_illegal(p, "illegal domain");
    return false;
}
static bool reads_member(struct parser *p) {
    parse_scan(p);
    struct ast_term *t = parse_infix(p);
    return t && is_member(t);
}

static struct ast_expr *parse_some_vars(struct parser *p) {
    u32 base = p->scratch.count, count;
    do {
        parse_scan(p);
        if (now(p) != TOKEN_IDENT) {
            parse_illegal(p, "expected var");
            p->scratch.count = base;
            return NULL;
        }
        struct ast_term *v = parse_var(p);
        if (!v || !parse_push(p, v)) return NULL;
        parse_scan(p);
    } while (now(p) == TOKEN_COMMA);
    struct ast_term **list = parse_pop(p, base, &count);
    return expr_terms(p, AST_EXPR_SOME, list, count);
}
static struct ast_expr *parse_some(struct parser *p) {
    u32 saved = parse_save(p);
    p->trials++;
    parse_scan(p);
    struct ast_term *t = parse_infix(p);
    p->trials--;
    if (t && t->kind == AST_CALL) {
        parse_forget(p, saved);
        if (!check_member(p, t, "expected `x in xs` or `x, y in xs` expression")) return NULL;
        return parse_attach_with(p, expr_of_term(p, AST_EXPR_SOME, t));
    }
    parse_restore(p, saved);
    parse_forget(p, saved);
    if (p->options.version == REGO_V0 && future_reads(p, reads_member))
        parse_hint(p, "`import future.keywords.in` for `some x in xs` expressions");
    return parse_some_vars(p);
}

static struct ast_every *every_of(struct parser *p, struct ast_term *call) {
    struct ast_every *q = heap_alloc(p->heap, sizeof(*q));
    if (!q) return NULL;
    bool pair = call->count == 4;
    *q = (struct ast_every){pair ? call->terms[1] : NULL, call->terms[call->count - 2],
                            call->terms[call->count - 1], NULL};
    if (q->key && q->key->kind != AST_VAR) {
        parse_illegal(p, "expected key to be a variable");
        return NULL;
    }
    if (q->value->kind != AST_VAR) {
        parse_illegal(p, "expected value to be a variable");
        return NULL;
    }
    return q;
}
static struct ast_expr *parse_every(struct parser *p) {
    parse_scan(p);
    struct ast_term *t = parse_infix(p);
    if (!t || !check_member(p, t, "expected `x[, y] in xs { ... }` expression")) return NULL;
    struct ast_every *q = every_of(p, t);
    if (!q) return NULL;
    if (now(p) != TOKEN_LBRACE) {
        parse_illegal(p, "missing body");
        return NULL;
    }
    parse_scan(p);
    q->body = parse_braced(p, TOKEN_RBRACE);
    if (!q->body) return NULL;
    parse_scan(p);
    struct ast_expr *e = expr_new(p, AST_EXPR_EVERY);
    if (e) e->every = q;
    return parse_attach_with(p, deepen(p, e, MAX(q->body->depth, q->domain->depth) + 1u));
}
static bool reads_every(struct parser *p) {
    struct ast_expr *e = parse_every(p);
    return e && e->kind == AST_EXPR_EVERY;
}

/* ---- One expression ---- */

struct ast_expr *parse_expr(struct parser *p) {
    struct ast_term *left = parse_infix(p);
    if (!left) return NULL;
    struct ast_term *op = parse_operator(p);
    if (op) {
        struct ast_term *right = parse_infix(p);
        struct ast_term **list = heap_alloc(p->heap, 3 * sizeof(struct ast_term *));
        if (!right || !list) return NULL;
        list[0] = op, list[1] = left, list[2] = right;
        struct ast_expr *e = expr_terms(p, AST_EXPR_CALL, list, 3);
        if (e) e->infix = true;
        return e;
    }
    if (left->kind != AST_CALL) return expr_of_term(p, AST_EXPR_TERM, left);
    return expr_terms(p, AST_EXPR_CALL, left->terms, left->count);
}

bool parse_is_negated(struct parser *p) {
    return now(p) == TOKEN_NOT && parse_peek(p) != '.' && parse_peek(p) != '[';
}

/* At `{` behind `not`. */
struct ast_expr *parse_not_braces(struct parser *p, struct ast_location not_at) {
    struct ast_location at = parse_here(p);
    u32 saved = parse_save(p);
    parse_scan(p);
    bool empty = now(p) == TOKEN_RBRACE;
    struct ast_body *body = parse_braced(p, TOKEN_RBRACE);
    if (!body && !empty) { /* a value in braces? Then say what to write instead */
        u32 failed = parse_save(p);
        parse_restore(p, saved);
        struct ast_term *t = parse_infix(p);
        str operand = parse_text(p, at.offset, p->s.last_end);
        if (t) {
            while (t->kind == AST_CALL && t->count == 3 && t->at.offset == t->terms[1]->at.offset)
                t = t->terms[1];
            parse_hint(
                p, "write `not (%.*s)` to negate the value, or `not {%.*s}` for a body holding it",
                STR(operand), STR(operand));
            parse_error_at(p, at,
                           "`{...}` in an operand position must contain expression(s), got: %s",
                           term_kind_name(t));
        } else {
            parse_restore(p, failed);
        }
    }
    parse_forget(p, saved);
    if (!body) return NULL;
    parse_scan(p);
    if (body_is_ambiguous_union(body)) {
        parse_error_ambiguous_union(p, at, body, "not ");
        return NULL;
    }
    return expr_not(p, body, true, parse_span(p, not_at));
}

/* In v0, `every` may be a name: say so if the import would have made sense of it. */
static void hint_every(struct parser *p, u32 start, const struct ast_expr *e) {
    if (p->options.version != REGO_V0 || e->kind != AST_EXPR_TERM || e->terms[0]->kind != AST_VAR ||
        !str_eq(e->terms[0]->var, S("every")))
        return;
    u32 here = parse_save(p);
    parse_restore(p, start);
    bool yes = future_reads(p, reads_every);
    parse_restore(p, here);
    parse_forget(p, here);
    if (yes)
        parse_hint(p, "`import future.keywords.every` for `every x in xs { ... }` expressions");
}

/* `e and ...`: e is the first operand. */
static struct ast_expr *parse_logical_after(struct parser *p, struct ast_expr *e, bool negated,
                                            struct ast_location start,
                                            struct ast_location with_at) {
    const char *op = token_name(now(p));
    if (with_at.file) {
        parse_error_with_on_operand(p, with_at, op);
        return NULL;
    }
    if (!e->at.file) e->at = parse_span(p, start);
    str text = parse_text(p, e->at.offset, e->at.offset + e->at.len);
    if (!negated && str_starts(text, S("{"))) {
        if (e->kind == AST_EXPR_TERM && e->terms[0]->kind == AST_OBJECT && e->terms[0]->count == 0)
            parse_error_at(p, e->at, "found empty body");
        else
            parse_error_operand_braces(p, e->at, text, op);
        return NULL;
    }
    struct operand left = {body_of(p, e), false, e->at};
    return left.body ? parse_attach_with(p, parse_logical_chain(p, left)) : NULL;
}

static struct ast_expr *parse_literal_expr(struct parser *p, bool negated,
                                           struct ast_location not_at) {
    struct ast_location start = parse_here(p), with_at = {0};
    if (negated && p->not_bodies && now(p) == TOKEN_LPAREN) {
        struct operand group;
        if (parse_logical_group(p, true, "not ", &group)) {
            if (!group.body) return NULL;
            struct ast_location at = parse_span(p, not_at);
            struct ast_expr *e = expr_not(p, group.body, group.braces, at);
            struct operand left = {body_of(p, e), false, at};
            return left.body ? parse_fold_logical(p, left) : NULL;
        }
    }
    u32 saved = parse_save(p);
    struct ast_expr *e = parse_expr(p);
    if (e && now(p) == TOKEN_WITH) {
        with_at = parse_here(p);
        e = parse_attach_with(p, e);
    }
    if (e) hint_every(p, saved, e);
    parse_forget(p, saved);
    if (!e) return NULL;
    if (negated && p->not_bodies) { /* `with` is of the whole */
        struct ast_with *with = e->with;
        u32 with_count = e->with_count;
        e->with = NULL, e->with_count = 0;
        e = expr_not(p, body_of(p, e), false, parse_span(p, not_at));
        if (!e) return NULL;
        e->with = with, e->with_count = with_count;
    } else {
        e->negated = negated;
    }
    return at_logical(p) ? parse_logical_after(p, e, negated, start, with_at) : e;
}

static struct ast_expr *parse_not(struct parser *p) {
    struct ast_location at = parse_here(p);
    parse_scan(p);
    if (p->not_bodies && now(p) == TOKEN_LBRACE) {
        struct ast_expr *e = parse_not_braces(p, at);
        struct operand left = {e ? body_of(p, e) : NULL, false, at};
        if (!left.body) return NULL;
        left.at = e->at;
        return parse_fold_logical(p, left);
    }
    if (now(p) != TOKEN_SOME && now(p) != TOKEN_EVERY) return parse_literal_expr(p, true, at);
    parse_illegal(p, now(p) == TOKEN_SOME ? "illegal negation of 'some'"
                                          : "illegal negation of 'every'");
    return NULL;
}

static struct ast_expr *parse_any(struct parser *p) {
    struct ast_expr *e;
    if (now(p) == TOKEN_LBRACE && parse_logical_active(p) && parse_logical_braces(p, &e)) return e;
    if (now(p) == TOKEN_LPAREN && parse_logical_active(p)) {
        struct operand group;
        if (parse_logical_group(p, false, "", &group))
            return group.body ? parse_fold_logical(p, group) : NULL;
    }
    if (parse_scan_ahead_ref(p)) return parse_literal_expr(p, false, (struct ast_location){0});
    if (parse_is_negated(p)) return parse_not(p);
    if (now(p) == TOKEN_SOME) return parse_some(p);
    if (now(p) == TOKEN_EVERY) return parse_every(p);
    return parse_literal_expr(p, false, (struct ast_location){0});
}

struct ast_expr *parse_literal(struct parser *p) {
    struct ast_location at = parse_here(p);
    struct ast_expr *e = parse_any(p);
    if (!e) return NULL;
    e->at = parse_span(p, at);
    if (e->kind == AST_EXPR_NOT && !e->explicit_body)
        for (u32 i = 0; i < e->not_body->count; i++) e->not_body->exprs[i]->at = e->at;
    return e;
}

/* ---- Bodies ---- */

struct ast_body *parse_query(struct parser *p, bool one, enum token end) {
    if (now(p) == end) {
        parse_error_at(p, parse_here(p), "found empty body");
        return NULL;
    }
    struct ast_body *b = heap_alloc(p->heap, sizeof(*b));
    if (!b) return NULL;
    *b = (struct ast_body){0};
    u32 room = 0;
    while (true) {
        struct ast_expr *e = parse_literal(p);
        if (!e) return NULL;
        if (b->count == room) {
            room = MAX(room * 2, 4u);
            struct ast_expr **grown = heap_alloc(p->heap, room * sizeof(struct ast_expr *));
            if (!grown) return NULL;
            if (b->count) memcpy(grown, b->exprs, b->count * sizeof(struct ast_expr *));
            b->exprs = grown;
        }
        e->index = b->count;
        b->depth = MAX(b->depth, e->depth);
        b->exprs[b->count++] = e;
        if (now(p) == TOKEN_SEMICOLON) {
            parse_scan(p);
            continue;
        }
        if (now(p) == end || one) return b;
        if (p->s.newline) continue;
        if (p->s.error_count == 0)
            parse_illegal_format(p, "expected \\n or ; or %s", token_name(end));
        return NULL;
    }
}
struct ast_body *parse_braced(struct parser *p, enum token end) {
    if (!parse_enter(p)) return NULL;
    struct ast_body *b = parse_query(p, false, end);
    parse_leave(p);
    return b;
}
