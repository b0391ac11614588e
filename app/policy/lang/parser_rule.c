/* SPDX-License-Identifier: Apache-2.0 */
/* parser_rule.c — rules: heads, bodies, else, and chains of bodies.
 *
 *   p := 1                      p if ...                   p[x] if ...
 *   f(x) := y if ...            p contains x if ...        a.b[c].d := y
 *   default p := 1              p = 1 if ... else = 2      p { ... } { ... }   (v0)
 *
 * Only what has a body, `contains` or `default` in front is read here as a rule. All else at the
 * top is read as an expression first and then made a rule of, as the reference does: `p := 1` is
 * an assignment until it turns out to stand alone. Names, keys and references of heads follow the
 * reference to the letter, since its JSON form shows them:
 *
 *   p            name p, ref p              p contains x    name p, ref p, key x
 *   p[x] (v0)    name p, ref p, key x       p[x] = y        name p, ref p[x], key x, value y
 *   p.q          ref p.q, value true        p.q contains x  ref p.q, key x                      */
#include "app/policy/lang/parser_impl.h"

/* ---- Nodes ---- */

static struct ast_term *true_at(struct parser *p, struct ast_location at) {
    return ast_scalar(p->heap, &at, value_boolean(true));
}
static struct ast_body *true_body(struct parser *p, struct ast_location at) {
    struct ast_expr *e = expr_new(p, AST_EXPR_TERM);
    struct ast_term **list = heap_alloc(p->heap, sizeof(struct ast_term *));
    if (!e || !list || !(list[0] = true_at(p, at))) return NULL;
    e->terms = list, e->count = 1, e->at = at;
    return body_of(p, e);
}
static struct ast_rule *rule_new(struct parser *p, struct ast_location at) {
    struct ast_rule *r = heap_alloc(p->heap, sizeof(*r));
    if (r) *r = (struct ast_rule){.at = at};
    return r;
}
/* Of a reference, or of a variable, which becomes one. */
static struct ast_head *head_new(struct parser *p, struct ast_term *ref) {
    struct ast_head *h = heap_alloc(p->heap, sizeof(*h));
    if (!h || !ref) return NULL;
    *h = (struct ast_head){.ref = ref};
    if (ref->kind == AST_VAR) h->ref = ast_list(p->heap, &ref->at, AST_REF, &ref, 1);
    if (!h->ref) return NULL;
    if (h->ref->count < 2) h->name = h->ref->terms[0]->var;
    return h;
}
static bool heads_with_var(const struct ast_term *ref) { return ref->terms[0]->kind == AST_VAR; }

static bool relocate_term(struct ast_walk *w, struct ast_term **t) {
    (*t)->at = *(const struct ast_location *)w->arg;
    return true;
}
static bool relocate_expr(struct ast_walk *w, struct ast_expr *e) {
    e->at = *(const struct ast_location *)w->arg;
    return true;
}
static void relocate_head(struct ast_head *h, struct ast_location at) {
    struct ast_walk w = {.term = relocate_term, .expr = relocate_expr, .arg = &at};
    h->at = at;
    for (u32 i = 0; i < h->arg_count; i++) ast_walk_term(&w, &h->args[i]);
    if (h->key) ast_walk_term(&w, &h->key);
    if (h->value) ast_walk_term(&w, &h->value);
}
static void relocate_body(struct ast_body *b, struct ast_location at) {
    struct ast_walk w = {.term = relocate_term, .expr = relocate_expr, .arg = &at};
    ast_walk_body(&w, b);
}

/* A head for another body: wildcards among the arguments are others, keywords none. */
static struct ast_head *head_again(struct parser *p, const struct ast_head *h) {
    struct ast_head *copy = heap_alloc(p->heap, sizeof(*copy));
    if (!copy) return NULL;
    *copy = *h;
    copy->has_if = copy->has_contains = false;
    copy->ref = ast_term_copy(p->heap, h->ref);
    if (h->key) copy->key = ast_term_copy(p->heap, h->key);
    if (h->value) copy->value = ast_term_copy(p->heap, h->value);
    copy->args = heap_alloc(p->heap, MAX(h->arg_count, 1u) * sizeof(struct ast_term *));
    if (!copy->args) return NULL;
    for (u32 i = 0; i < h->arg_count; i++) {
        copy->args[i] = ast_term_copy(p->heap, h->args[i]);
        if (!copy->args[i]) return NULL;
        if (copy->args[i]->kind == AST_VAR && str_starts(copy->args[i]->var, S("$")))
            copy->args[i]->var = parse_wildcard(p);
    }
    return copy->ref && (copy->key || !h->key) && (copy->value || !h->value) ? copy : NULL;
}

/* ---- Heads ---- */

static void head_value_failed(struct parser *p, const struct ast_head *h, bool assign,
                              bool is_default) {
    if (p->trials) return;
    str name = parse_print_term(p, h->ref);
    if (!assign)
        parse_illegal_format(p, "expected rule value term (e.g., %.*s[<nil>] = <VALUE> { ... })",
                             STR(name));
    else if (h->arg_count)
        parse_illegal_format(p, "expected function value term (e.g., %.*s(...) := <VALUE> { ... })",
                             STR(name));
    else if (is_default)
        parse_illegal_format(p, "expected default rule value term (e.g., default %.*s := <VALUE>)",
                             STR(name));
    else
        parse_illegal_format(p, "expected rule value term (e.g., %.*s := <VALUE> { ... })",
                             STR(name));
}
static void parse_head_value(struct parser *p, struct ast_head *h, bool is_default) {
    h->assign = now(p) == TOKEN_ASSIGN;
    parse_scan(p);
    u32 offset = p->s.now.offset;
    h->value = parse_infix(p);
    if (!h->value) {
        head_value_failed(p, h, h->assign, is_default);
        return;
    }
    p->value_memo.offset = offset; /* it is read again if this turns out to be an expression */
    p->value_memo.term = h->value;
    p->value_memo.after = p->s;
}
static void parse_head_contains(struct parser *p, struct ast_head *h) {
    if (h->is_function) {
        str name = parse_print_term(p, h->ref);
        parse_illegal_format(p, "the contains keyword can only be used with multi-value rule "
                                "definitions (e.g., %.*s contains <VALUE> { ... })", STR(name));
    }
    h->has_contains = true;
    parse_scan(p);
    h->key = parse_infix(p);
    if (h->key) return;
    str name = parse_print_term(p, h->ref);
    parse_illegal_format(p, "expected rule key term (e.g., %.*s contains <VALUE> { ... })",
                         STR(name));
}

static struct ast_head *head_of_call(struct parser *p, struct ast_term *call) {
    struct ast_term *op = call->terms[0];
    if (op->kind == AST_REF && !heads_with_var(op)) {
        str ref = parse_print_term(p, op);
        parse_illegal_format(p, "rule head ref %.*s invalid", STR(ref));
        return NULL;
    }
    struct ast_head *h = head_new(p, op);
    if (!h) return NULL;
    h->args = call->terms + 1, h->arg_count = call->count - 1, h->is_function = true;
    return h;
}
/* NULL without an error: not a head. */
static struct ast_head *parse_head(struct parser *p, bool is_default) {
    struct ast_location at = parse_here(p);
    struct ast_term *t = parse_var(p);
    if (t) t = parse_finish_head(p, t);
    if (!t) {
        parse_illegal(p, "expected rule head name");
        return NULL;
    }
    struct ast_head *h = NULL;
    if (t->kind == AST_CALL) h = head_of_call(p, t);
    else if (t->kind == AST_VAR || (t->kind == AST_REF && heads_with_var(t))) h = head_new(p, t);
    if (!h) return NULL;
    if (now(p) == TOKEN_CONTAINS) parse_head_contains(p, h);
    else if (now(p) == TOKEN_UNIFY || now(p) == TOKEN_ASSIGN) parse_head_value(p, h, is_default);
    if (!h->value && !h->key && !h->has_contains && (h->ref->count != 2 || h->arg_count)) {
        h->generated_value = true;
        h->value = true_at(p, (struct ast_location){0});
    }
    h->at = parse_span(p, at);
    return h;
}

/* What `p[x]` means depends on what follows. */
static bool settle_brackets(struct parser *p, struct ast_head *h, bool has_if) {
    if (h->ref->count != 2 || h->has_contains) return true;
    struct ast_term *x = h->ref->terms[1];
    if (has_if) {
        if ((!ast_term_is_ground(x) || x->kind == AST_REF) && !h->arg_count) h->key = x;
        if (!h->value) {
            h->generated_value = true;
            h->value = true_at(p, h->at);
        } else {
            h->name = h->ref->terms[0]->var;
        }
    } else if (!h->arg_count) {
        h->name = h->ref->terms[0]->var;
        h->key = x;
        if (!h->value) h->ref = ast_list(p->heap, &h->ref->at, AST_REF, h->ref->terms, 1);
    }
    return h->ref && (h->value || h->key);
}

/* ---- Default rules ---- */

struct default_check { struct parser *p; struct ast_location at; bool ok; };
static bool check_default_term(struct ast_walk *w, struct ast_term **t) {
    struct default_check *c = w->arg;
    u8 kind = (*t)->kind;
    if (kind == AST_VAR || kind == AST_REF || kind == AST_CALL) {
        parse_error_at(c->p, c->at, "illegal default rule (value cannot contain %s)",
                       term_kind_name(*t));
        c->ok = false;
        return false;
    }
    return kind < AST_ARRAY_COMPREHENSION || kind > AST_SET_COMPREHENSION;
}
static bool check_default(struct parser *p, struct ast_rule *r) {
    struct ast_head *h = r->head;
    if (!h->value) {
        parse_error_at(p, r->at, "illegal default rule (must have a value)");
        return false;
    }
    struct default_check check = {p, r->at, true};
    struct ast_walk w = {.term = check_default_term, .arg = &check};
    ast_walk_term(&w, &h->value);
    for (u32 i = 0; i < h->arg_count && check.ok; i++)
        if (h->args[i]->kind != AST_VAR) {
            parse_error_at(p, r->at, "illegal default rule (arguments cannot contain %s)",
                           term_kind_name(h->args[i]));
            check.ok = false;
        } else {
            for (u32 k = 0; k < i; k++)
                if (h->args[k]->kind == AST_VAR && str_eq(h->args[k]->var, h->args[i]->var)) {
                    parse_error_at(p, r->at,
                                   "illegal default rule (arguments cannot be repeated %.*s)",
                                   STR(h->args[i]->var));
                    check.ok = false;
                    break;
                }
        }
    return check.ok;
}

/* ---- Bodies ---- */

static struct ast_body *parse_braces_body(struct parser *p) {
    parse_scan(p);
    struct ast_body *b = parse_braced(p, TOKEN_RBRACE);
    if (b) parse_scan(p);
    return b;
}
/* Behind `if`: one expression, or a body in braces. `{ x }` is a body, never a set. */
static struct ast_body *parse_if_body(struct parser *p) {
    if (now(p) != TOKEN_LBRACE) {
        struct ast_expr *e = parse_literal(p);
        return e ? body_of(p, e) : NULL;
    }
    u32 saved = parse_save(p);
    p->trials++;
    struct ast_expr *e = parse_literal(p);
    p->trials--;
    bool is_set = e && e->kind == AST_EXPR_TERM && e->terms[0]->kind == AST_SET;
    if (!e || is_set) parse_restore(p, saved);
    parse_forget(p, saved);
    return e && !is_set ? body_of(p, e) : parse_braces_body(p);
}

static bool at_else(struct parser *p) { return now(p) == TOKEN_ELSE && !parse_scan_ahead_ref(p); }

static bool parse_else_value(struct parser *p, struct ast_rule *r) {
    if (now(p) == TOKEN_LBRACE || now(p) == TOKEN_IF) {
        r->head->generated_value = true;
        r->head->value = true_at(p, (struct ast_location){0});
        return r->head->value != NULL;
    }
    if (now(p) != TOKEN_ASSIGN && now(p) != TOKEN_UNIFY) {
        parse_illegal(p, "expected else value term or rule body");
        return false;
    }
    r->head->assign = now(p) == TOKEN_ASSIGN;
    parse_scan(p);
    r->head->value = parse_infix(p);
    r->head->at = parse_span(p, r->head->at);
    return r->head->value != NULL;
}
/* At `else`; `relocate`: the body gets the whole rule's place once that is known. */
static struct ast_rule *parse_one_else(struct parser *p, const struct ast_head *head,
                                       bool *relocate) {
    struct ast_rule *r = rule_new(p, parse_here(p));
    if (!r || !(r->head = head_again(p, head))) return NULL;
    r->head->generated_value = false;
    r->head->at = r->at;
    parse_scan(p);
    if (!parse_else_value(p, r)) return NULL;
    *relocate = true;
    r->generated_body = now(p) != TOKEN_IF && now(p) != TOKEN_LBRACE;
    if (r->generated_body) {
        r->body = true_body(p, r->at);
        return r->body ? r : NULL;
    }
    if (now(p) == TOKEN_IF) {
        r->head->has_if = true;
        parse_scan(p);
    }
    if (now(p) == TOKEN_LBRACE) {
        *relocate = false;
        r->body = parse_braces_body(p);
    } else if (now(p) == TOKEN_EOF) {
        parse_illegal(p, "rule body expected");
    } else {
        struct ast_expr *e = parse_literal(p);
        r->body = e ? body_of(p, e) : NULL;
    }
    return r->body ? r : NULL;
}
/* The chain of else; a loop, since a text may hold very many. Places of all end where the last
 * one does, so they are set when it has been read. */
static bool parse_else_chain(struct parser *p, struct ast_rule *first) {
    struct ast_rule *last = first;
    do {
        bool relocate = false;
        struct ast_rule *r = parse_one_else(p, first->head, &relocate);
        if (!r) return false;
        r->at.len = relocate; /* a note to the loop below */
        last->otherwise = r;
        last = r;
        if (r->generated_body) break;
    } while (now(p) == TOKEN_ELSE);
    for (struct ast_rule *r = first->otherwise; r; r = r->otherwise) {
        bool relocate = r->at.len != 0;
        r->at = parse_span(p, r->at);
        if (relocate) relocate_body(r->body, r->at);
    }
    return true;
}
static bool parse_else(struct parser *p, struct ast_rule *r) {
    const char *fault = NULL;
    if (r->head->ref->count > 1 && !ast_term_is_ground(r->head->ref))
        fault = "else keyword cannot be used on rules with variables in head";
    else if (r->head->key)
        fault = "else keyword cannot be used on multi-value rules";
    if (fault) parse_error_at(p, parse_here(p), "%s", fault);
    return !fault && parse_else_chain(p, r);
}

static bool add_rule(struct parser *p, struct ast_rule *r) {
    return parse_add_statement(p,
                               (struct statement){.kind = STATEMENT_RULE, .at = r->at, .rule = r});
}
/* `{ ... }` behind a rule: the same head with another body. */
static bool parse_more_bodies(struct parser *p, const struct ast_rule *first) {
    while (now(p) == TOKEN_LBRACE) {
        struct ast_location at = parse_here(p);
        if (first->otherwise) {
            parse_error_at(p, at, "expected else keyword");
            return false;
        }
        struct ast_rule *r = rule_new(p, at);
        if (!r || !(r->body = parse_braces_body(p))) return false;
        r->at = parse_span(p, at);
        if (!(r->head = head_again(p, first->head))) return false;
        r->head->has_if = first->head->has_if, r->head->has_contains = first->head->has_contains;
        relocate_head(r->head, r->at);
        if (!add_rule(p, r)) return false;
    }
    return true;
}

/* Behind the head. */
static bool parse_rule_body(struct parser *p, struct ast_rule *r, bool *complete) {
    struct ast_head *h = r->head;
    bool has_if = now(p) == TOKEN_IF;
    *complete = true;
    if (!settle_brackets(p, h, has_if)) return false;
    if (has_if) {
        h->has_if = true;
        parse_scan(p);
        r->body = parse_if_body(p);
    } else if (now(p) == TOKEN_LBRACE) {
        r->body = parse_braces_body(p);
    } else if (h->has_contains) {
        r->body = true_body(p, r->at);
        r->generated_body = true;
        r->at = h->at;
        return r->body != NULL;
    }
    *complete = false;
    return r->body != NULL;
}

bool parse_rules(struct parser *p) {
    struct ast_rule *r = rule_new(p, parse_here(p));
    if (!r) return false;
    parse_scan_ahead_ref(p);
    if (now(p) == TOKEN_DEFAULT) {
        parse_scan(p);
        r->is_default = true;
        parse_scan_ahead_ref(p);
    }
    if (now(p) != TOKEN_IDENT || !(r->head = parse_head(p, r->is_default))) return false;
    if (r->is_default) {
        if (!check_default(p, r) || !(r->body = true_body(p, r->at))) return false;
        return add_rule(p, r);
    }
    u32 before = p->statement_count;
    bool complete;
    if (!parse_rule_body(p, r, &complete)) return false;
    if (complete) return add_rule(p, r);
    if (at_else(p) && !parse_else(p, r)) return false;
    r->at = parse_span(p, r->at);
    if (add_rule(p, r) && parse_more_bodies(p, r)) return true;
    p->statement_count = before;
    return false;
}

/* ---- Rules written as expressions ---- */

static struct ast_rule *bare_rule(struct parser *p, struct ast_head *h, struct ast_location at,
                                  struct ast_location body_at) {
    struct ast_rule *r = h ? rule_new(p, at) : NULL;
    if (!r || !(r->body = true_body(p, body_at))) return NULL;
    r->head = h;
    r->generated_body = true;
    return r;
}
static str cannot(struct parser *p, const struct ast_term *t, const char *what) {
    return parse_print(p, "%s%s", term_kind_name(t), what);
}
static bool invalid_ref(struct parser *p, const struct ast_term *ref, str *why) {
    if (heads_with_var(ref)) return false;
    str s = parse_print_term(p, ref);
    *why = parse_print(p, "invalid rule head: %.*s", STR(s));
    return true;
}

/* p = v, f(x) = v, p[x] = v */
static struct ast_rule *rule_of_equality(struct parser *p, struct ast_expr *e, bool assign,
                                         str *why) {
    if (e->count < 3) return *why = S("assignment requires two operands"), NULL;
    struct ast_term *left = e->terms[1], *right = e->terms[2], *name = left;
    if (left->kind == AST_CALL) name = left->terms[0];
    if (name->kind != AST_REF && name->kind != AST_VAR)
        return *why = cannot(p, left, " cannot be used for rule name"), NULL;
    if (name->kind == AST_REF && invalid_ref(p, name, why)) return NULL;
    struct ast_head *h = head_new(p, name);
    if (!h) return NULL;
    if (left->kind == AST_CALL) {
        h->args = left->terms + 1, h->arg_count = left->count - 1, h->is_function = true;
    } else if (h->ref->count == 2) {
        h->name = h->ref->terms[0]->var;
        h->key = h->ref->terms[1];
    }
    h->value = right;
    h->assign = assign;
    h->at = e->at;
    return bare_rule(p, h, e->at, right->at);
}
/* Names alone: the functions themselves are nothing a parser needs. */
static bool is_builtin(str name) {
    static const char *const names[] = { /* sorted */
#define BUILTIN(name, ...) name,
#define BUILTIN_WITHOUT(name, ...) name,
#include "app/policy/builtin/builtin.def"
#undef BUILTIN
#undef BUILTIN_WITHOUT
    };
    size_t low = 0, high = ARRAY_LEN(names);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int d = str_cmp(name, str_from_c(names[middle]));
        if (d == 0) return true;
        if (d < 0) high = middle;
        else low = middle + 1;
    }
    return false;
}
/* f(x) */
static struct ast_rule *rule_of_call(struct parser *p, struct ast_expr *e, str *why) {
    struct ast_term *op = e->terms[0];
    str name = parse_print_term(p, op);
    if (is_builtin(name)) return *why = S("rule name conflicts with built-in function"), NULL;
    if (e->count <= 1) return *why = S("rule argument list must take at least one argument"), NULL;
    if (op->kind != AST_REF || invalid_ref(p, op, why)) return NULL;
    struct ast_head *h = head_new(p, op);
    if (!h) return NULL;
    h->args = e->terms + 1, h->arg_count = e->count - 1, h->is_function = true;
    h->value = true_at(p, op->at);
    h->at = op->at;
    return bare_rule(p, h, op->at, op->at);
}
/* p[x], p.q.r */
static struct ast_rule *rule_of_ref(struct parser *p, struct ast_term *t, str *why) {
    if (t->kind != AST_REF) return *why = cannot(p, t, " cannot be used for rule name"), NULL;
    if (t->count == 1) return *why = cannot(p, t, "s cannot be used for rule head"), NULL;
    if (invalid_ref(p, t, why)) return NULL;
    struct ast_head *h = head_new(p, t->count == 2 ? t->terms[0] : t);
    if (!h) return NULL;
    if (t->count == 2) {
        h->key = t->terms[1];
    } else {
        h->value = true_at(p, t->at);
        h->generated_value = true;
    }
    h->at = t->at;
    return bare_rule(p, h, t->at, t->at);
}

static bool calls(const struct ast_expr *e, const char *name) {
    const struct ast_term *op = e->terms[0];
    return op->kind == AST_REF && op->count == 1 && op->terms[0]->kind == AST_VAR &&
           str_eq(op->terms[0]->var, str_from_c(name));
}
struct ast_rule *rule_from_body(struct parser *p, struct ast_body *b, str *why) {
    struct ast_expr *e = b->exprs[0];
    *why = S("expression cannot be used for rule head");
    if (b->count != 1) *why = S("multiple expressions cannot be used for rule head");
    else if (e->with_count) *why = S("expressions using with keyword cannot be used for rule head");
    else if (e->negated) *why = S("negated expressions cannot be used for rule head");
    else if (e->kind == AST_EXPR_SOME) *why = S("'some' declarations cannot be used for rule head");
    else if (e->kind == AST_EXPR_TERM) return rule_of_ref(p, e->terms[0], why);
    else if (e->kind == AST_EXPR_CALL && (calls(e, "eq") || calls(e, "assign")))
        return rule_of_equality(p, e, calls(e, "assign"), why);
    else if (e->kind == AST_EXPR_CALL) return rule_of_call(p, e, why);
    return NULL;
}
