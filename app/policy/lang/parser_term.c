/* SPDX-License-Identifier: Apache-2.0 */
/* parser_term.c — terms: what has a value.
 *
 *   loosest   in   == != < > <= >=   |   &   + -   * / %   tightest
 *
 * All operators group to the left. A binary operator is a call of the function it stands for:
 * `a + b` is plus(a, b), `x in xs` is internal.member_2(x, xs).
 *
 * After `{` and `[` the first term is read without operators: `{x | ...}` is a comprehension if
 * what follows is a body. If it is not, reading goes on from that term with the operator. Sets and
 * objects are sorted and free of repeats when they leave here, as the reference iterates them.
 *
 * Places: a term's row and column are those of its first operand, its text is all of it; a term in
 * parentheses has them in its text but keeps its place. */
#include "app/policy/lang/parser_impl.h"

/* ---- Nodes ---- */

static u32 depth_of_terms(struct ast_term *const *terms, u32 count) {
    u32 d = 0;
    for (u32 i = 0; i < count; i++) d = MAX(d, terms[i]->depth);
    return d;
}
static struct ast_term *term_new(struct parser *p, enum ast_term_kind kind,
                                 struct ast_location at) {
    struct ast_term *t = heap_alloc(p->heap, sizeof(*t));
    if (t) *t = (struct ast_term){.kind = (u8)kind, .at = at};
    return t;
}
static struct ast_term *scalar_new(struct parser *p, value v) {
    struct ast_term *t = ast_scalar(p->heap, NULL, v);
    if (t) t->at = parse_here(p);
    return t;
}
/* Takes the list over. */
static struct ast_term *list_new(struct parser *p, enum ast_term_kind kind, struct ast_location at,
                                 struct ast_term **terms, u32 count) {
    struct ast_term *t = terms ? term_new(p, kind, at) : NULL;
    u32 depth = terms ? depth_of_terms(terms, count) + 1 : 0;
    if (!t || !parse_depth_ok(p, depth)) return NULL;
    t->terms = terms, t->count = count, t->depth = (u8)depth;
    return t;
}

/* A name as an operator is written in the tree: a reference of one part or two, all at `at`. */
static struct ast_term *name_new(struct parser *p, str head, str rest, struct ast_location at) {
    u32 count = rest.len ? 2 : 1;
    struct ast_term *nodes = heap_alloc(p->heap, (count + 1) * sizeof(*nodes));
    struct ast_term **list = heap_alloc(p->heap, count * sizeof(struct ast_term *));
    if (!nodes || !list) return NULL;
    nodes[0] =
        (struct ast_term){.kind = AST_REF, .at = at, .terms = list, .count = count, .depth = 1};
    nodes[1] = (struct ast_term){.kind = AST_VAR, .at = at, .var = head};
    list[0] = &nodes[1];
    if (count == 2) {
        nodes[2] = (struct ast_term){.kind = AST_STRING, .at = at};
        nodes[2].scalar = value_string(p->heap, rest);
        list[1] = &nodes[2];
    }
    return nodes;
}

static struct ast_term *call_new(struct parser *p, struct ast_term *op, struct ast_term *a,
                                 struct ast_term *b, struct ast_term *c, u32 offset) {
    u32 count = c ? 4 : 3;
    struct ast_term **list = heap_alloc(p->heap, count * sizeof(struct ast_term *));
    if (!list || !op) return NULL;
    list[0] = op, list[1] = a, list[2] = b;
    if (c) list[3] = c;
    return list_new(p, AST_CALL, parse_retext(a->at, offset, p->s.last_end), list, count);
}

bool term_is_call_of(const struct ast_term *t, const char *dotted) {
    if (t->kind != AST_CALL || t->terms[0]->kind != AST_REF) return false;
    const struct ast_term *op = t->terms[0];
    str rest = str_from_c(dotted), part;
    for (u32 i = 0; i < op->count; i++) {
        if (!str_split(&rest, '.', &part)) return false;
        const struct ast_term *have = op->terms[i];
        if (have->kind == AST_VAR
                ? !str_eq(have->var, part)
                : have->kind != AST_STRING || !str_eq(value_str(have->scalar), part))
            return false;
    }
    return rest.len == 0;
}

/* ---- Operators ---- */

enum level { LEVEL_NONE, LEVEL_RELATION, LEVEL_OR, LEVEL_AND, LEVEL_ARITH, LEVEL_FACTOR };
static enum level level_of(enum token t) {
    switch (t) {
    case TOKEN_EQUAL: case TOKEN_NEQ: case TOKEN_LT: case TOKEN_GT: case TOKEN_LTE: case TOKEN_GTE:
        return LEVEL_RELATION;
    case TOKEN_OR: return LEVEL_OR;
    case TOKEN_AND: return LEVEL_AND;
    case TOKEN_ADD: case TOKEN_SUB: return LEVEL_ARITH;
    case TOKEN_MUL: case TOKEN_QUO: case TOKEN_REM: return LEVEL_FACTOR;
    default: return LEVEL_NONE;
    }
}

static struct ast_term *take_operator(struct parser *p) {
    struct ast_term *op = name_new(p, str_from_c(token_name(now(p))), S(""), parse_here(p));
    parse_scan(p);
    return op;
}
struct ast_term *parse_operator(struct parser *p) {
    return now(p) == TOKEN_ASSIGN || now(p) == TOKEN_UNIFY ? take_operator(p) : NULL;
}

/* Operators of `least` and tighter, to the left: `left` if there, else a term, comes first.
 * `offset`: where the text of it all starts. When a right side fails, the left side is the result,
 * the error is recorded, and only looser operators may go on: what the reference does too. */
static struct ast_term *parse_binary(struct parser *p, enum level least, struct ast_term *left,
                                     u32 offset) {
    if (!left) left = parse_one_term(p);
    enum level most = LEVEL_FACTOR;
    while (left) {
        enum level level = level_of(now(p));
        if (level == LEVEL_NONE || level < least || level > most) break;
        struct ast_term *op = take_operator(p);
        struct ast_term *right = level == LEVEL_FACTOR
                                     ? parse_one_term(p)
                                     : parse_binary(p, level + 1, NULL, p->s.now.offset);
        if (!right) {
            most = level - 1;
            continue;
        }
        left = call_new(p, op, left, right, NULL, offset);
        most = level;
    }
    return left;
}

static struct ast_term *member_name(struct parser *p, const char *name) {
    struct ast_term *op = name_new(p, S("internal"), str_from_c(name), parse_here(p));
    parse_scan(p);
    return op;
}
/* At the comma of `key, value in xs`. NULL, and nothing read: it is some other comma. */
static struct ast_term *parse_key_value(struct parser *p, struct ast_term *key, u32 offset) {
    u32 saved = parse_save(p);
    struct ast_term *result = NULL;
    p->trials++;
    parse_scan(p);
    struct ast_term *v = parse_binary(p, LEVEL_RELATION, NULL, offset);
    if (v && now(p) == TOKEN_IN) {
        struct ast_term *op = member_name(p, "member_3");
        struct ast_term *xs = parse_binary(p, LEVEL_RELATION, NULL, p->s.now.offset);
        if (xs) result = call_new(p, op, key, v, xs, offset);
    }
    p->trials--;
    if (!result) parse_restore(p, saved);
    parse_forget(p, saved);
    return result;
}
static struct ast_term *parse_in(struct parser *p, struct ast_term *left, bool pairs, u32 offset) {
    left = parse_binary(p, LEVEL_RELATION, left, offset);
    while (left) {
        if (pairs && now(p) == TOKEN_COMMA) {
            struct ast_term *call = parse_key_value(p, left, offset);
            if (call) {
                left = call;
                if (now(p) == TOKEN_IN) continue;
                break;
            }
        }
        parse_scan_ahead_ref(p);
        if (now(p) != TOKEN_IN) break;
        struct ast_term *op = member_name(p, "member_2");
        struct ast_term *xs = parse_binary(p, LEVEL_RELATION, NULL, p->s.now.offset);
        if (!xs) break;
        left = call_new(p, op, left, xs, NULL, offset);
        if (now(p) != TOKEN_IN) break;
    }
    return left;
}
/* Would reading go as it did from there? All that it depends on. */
static bool same_state(const struct parse_state *a, const struct parse_state *b) {
    return a->now.offset == b->now.offset && a->now.kind == b->now.kind &&
           a->lexer.keywords == b->lexer.keywords && a->wildcard == b->wildcard &&
           a->comments == b->comments && a->errors == b->errors && a->hints == b->hints &&
           a->newline == b->newline && a->last_end == b->last_end;
}
struct ast_term *parse_infix(struct parser *p) {
    if (p->first_memo.term && same_state(&p->first_memo.before, &p->s)) {
        p->s = p->first_memo.after;
        return p->first_memo.term;
    }
    if (p->value_memo.term && p->value_memo.offset == p->s.now.offset) {
        p->s = p->value_memo.after; /* the value of what looked like a rule's head */
        return p->value_memo.term;
    }
    return parse_in(p, NULL, true, p->s.now.offset);
}
struct ast_term *parse_infix_in_list(struct parser *p) {
    return parse_in(p, NULL, false, p->s.now.offset);
}

/* ---- References and calls ---- */

struct ast_term *parse_var(struct parser *p) {
    struct ast_term *t = term_new(p, AST_VAR, parse_here(p));
    if (t) t->var = str_eq(parse_lexeme(p), S("_")) ? parse_wildcard(p) : parse_lexeme(p);
    return t;
}

static bool parse_list_rest(struct parser *p, enum token end, const char *note);
static bool parse_list(struct parser *p, enum token end, const char *note) {
    return now(p) == end || parse_list_rest(p, end, note);
}
/* Terms between commas onto the scratch list, up to the end token, which stays. */
static bool parse_list_rest(struct parser *p, enum token end, const char *note) {
    while (true) {
        struct ast_term *t = parse_infix_in_list(p);
        if (!t || !parse_push(p, t)) return false;
        if (now(p) == end) return true;
        if (now(p) != TOKEN_COMMA) {
            parse_illegal(p, note);
            return false;
        }
        parse_scan(p);
        if (now(p) == end) return true;
    }
}

static bool is_set_name(const struct ast_term *op) {
    return op->kind == AST_REF && op->count == 1 && op->terms[0]->kind == AST_VAR &&
           str_eq(op->terms[0]->var, S("set"));
}
/* At `(`; `op` is what stands before it. */
static struct ast_term *parse_call(struct parser *p, struct ast_term *op, u32 offset) {
    u32 base = p->scratch.count, count;
    if (!parse_push(p, op)) return NULL;
    parse_scan(p);
    bool empty = now(p) == TOKEN_RPAREN;
    bool ok = parse_list(p, TOKEN_RPAREN, "expected \",\" or \")\"");
    struct ast_term **list = parse_pop(p, base, &count);
    if (!ok) return NULL;
    struct ast_location at = parse_retext(op->at, offset, p->s.now.end);
    parse_scan_blank(p);
    if (empty && is_set_name(op)) return list_new(p, AST_SET, at, list, 0);
    return list_new(p, AST_CALL, at, list, count);
}

static struct ast_term *parse_ref_part(struct parser *p) {
    if (now(p) == TOKEN_DOT) {
        parse_scan_blank(p);
        if (now(p) != TOKEN_IDENT && !parse_is_ref_keyword(p, now(p))) {
            parse_illegal(p, "expected identifier");
            return NULL;
        }
        return scalar_new(p, value_string(p->heap, parse_lexeme(p)));
    }
    parse_scan(p);
    struct ast_term *t = parse_infix(p);
    if (t && now(p) != TOKEN_RBRACK) {
        parse_illegal(p, "expected [");
        return NULL;
    }
    return t;
}
static bool may_head_a_ref(const struct ast_term *t) {
    return t->kind >= AST_VAR && t->kind != AST_REF && t->kind != AST_TEMPLATE_STRING;
}

/* What was read so far of a reference, as the operator of a call or as the result. */
static struct ast_term *close_ref(struct parser *p, u32 base, struct ast_location at) {
    u32 count;
    struct ast_term **list = parse_pop(p, base, &count);
    return list_new(p, AST_REF, at, list, count);
}
static struct ast_term *parse_ref(struct parser *p, struct ast_term *head, u32 offset);
/* At the `(` of a call whose operator is on the scratch list. */
static struct ast_term *parse_ref_call(struct parser *p, u32 base, struct ast_location at,
                                       u32 offset) {
    struct ast_term *op = close_ref(p, base, parse_retext(at, offset, p->s.now.offset));
    struct ast_term *call = op ? parse_call(p, op, offset) : NULL;
    if (!call) return NULL;
    if (now(p) == TOKEN_WHITESPACE) parse_scan(p);
    else if (now(p) == TOKEN_DOT || now(p) == TOKEN_LBRACK) call = parse_ref(p, call, offset);
    if (call) call->at = parse_retext(at, offset, p->s.last_end);
    return call;
}
/* At `.`, `[` or `(` behind `head`. */
static struct ast_term *parse_ref(struct parser *p, struct ast_term *head, u32 offset) {
    if (!parse_enter(p)) return NULL;
    if (!may_head_a_ref(head))
        parse_error_at(p, head->at, "illegal ref (head cannot be %s)", term_kind_name(head));
    u32 base = p->scratch.count;
    struct ast_term *result = NULL, *part = head;
    while (part && parse_push(p, part)) {
        if (now(p) == TOKEN_LPAREN) {
            result = parse_ref_call(p, base, head->at, offset);
            break;
        }
        if (now(p) != TOKEN_DOT && now(p) != TOKEN_LBRACK) {
            u32 end = p->s.last_end;
            if (now(p) == TOKEN_WHITESPACE) parse_scan(p);
            result = close_ref(p, base, parse_retext(head->at, offset, end));
            break;
        }
        part = parse_ref_part(p);
        if (part) parse_scan_blank(p);
    }
    p->scratch.count = base;
    parse_leave(p);
    return result;
}

static bool is_root(const struct ast_term *t) {
    return t->kind == AST_VAR && (str_eq(t->var, S("data")) || str_eq(t->var, S("input")));
}
static struct ast_term *root_ref(struct parser *p, struct ast_term *t) {
    if (!is_root(t)) return t;
    struct ast_term **list = heap_alloc(p->heap, sizeof(struct ast_term *));
    if (list) list[0] = t;
    return list_new(p, AST_REF, t->at, list, 1);
}
struct ast_term *parse_finish(struct parser *p, struct ast_term *t) {
    u32 offset = p->s.now.offset;
    parse_scan_blank(p);
    if (now(p) == TOKEN_LPAREN || now(p) == TOKEN_DOT || now(p) == TOKEN_LBRACK)
        return parse_ref(p, t, offset);
    if (now(p) == TOKEN_WHITESPACE) parse_scan(p);
    return root_ref(p, t);
}
struct ast_term *parse_finish_head(struct parser *p, struct ast_term *t) {
    u32 offset = p->s.now.offset;
    parse_scan_blank(p);
    if (level_of(now(p)) != LEVEL_NONE) parse_illegal(p, NULL);
    if (now(p) == TOKEN_WHITESPACE) parse_scan(p);
    if (now(p) == TOKEN_LPAREN || now(p) == TOKEN_DOT || now(p) == TOKEN_LBRACK)
        return parse_ref(p, t, offset);
    return root_ref(p, t);
}

/* ---- Collections ---- */

static struct ast_term *comprehension_new(struct parser *p, enum ast_term_kind kind,
                                          struct ast_term *key, struct ast_term *head,
                                          struct ast_body *body) {
    struct ast_term *t = term_new(p, kind, parse_here(p));
    u32 depth = MAX(MAX(head->depth, body->depth), key ? key->depth : 0) + 1u;
    if (!t || !parse_depth_ok(p, depth)) return NULL;
    t->comprehension.key = key, t->comprehension.head = head, t->comprehension.body = body;
    t->depth = (u8)depth;
    return t;
}
/* At the `|` behind a first term: a comprehension. NULL with `*go_on`: the bar is the operator, and
 * the current token again. */
static struct ast_term *try_comprehension(struct parser *p, enum ast_term_kind kind,
                                          struct ast_term *key, struct ast_term *head,
                                          enum token end, bool *go_on) {
    u32 saved = parse_save(p);
    p->trials++;
    parse_scan(p);
    struct ast_body *body = parse_braced(p, end);
    p->trials--;
    *go_on = !body && (key || now(p) == TOKEN_COMMA);
    if (*go_on) parse_restore(p, saved);
    parse_forget(p, saved);
    return body ? comprehension_new(p, kind, key, head, body) : NULL;
}

static struct ast_term *parse_array(struct parser *p) {
    u32 base = p->scratch.count, count;
    parse_scan(p);
    bool comma = now(p) == TOKEN_COMMA, ok = true;
    if (now(p) != TOKEN_RBRACK) {
        if (comma) parse_scan(p); /* [, x]: the reference lets it pass */
        u32 offset = p->s.now.offset;
        struct ast_term *t = parse_one_term(p);
        if (t && now(p) == TOKEN_OR && !comma) {
            bool go_on;
            struct ast_term *c =
                try_comprehension(p, AST_ARRAY_COMPREHENSION, NULL, t, TOKEN_RBRACK, &go_on);
            if (!go_on) return c;
        }
        if (t) t = parse_in(p, t, false, offset);
        ok = t && parse_push(p, t);
        if (ok && now(p) == TOKEN_COMMA) {
            parse_scan(p);
            ok = parse_list(p, TOKEN_RBRACK, "expected \",\" or \"]\"");
        } else if (ok && now(p) != TOKEN_RBRACK) {
            parse_illegal(p, "expected \",\" or \"]\"");
            ok = false;
        }
    }
    struct ast_term **list = parse_pop(p, base, &count);
    return ok ? list_new(p, AST_ARRAY, parse_here(p), list, count) : NULL;
}

/* Sorts by the language's order; of equal terms the first stays, and gets the last one's partner
 * (`with`, the values of an object, moves along; NULL for a set). Merge sort: stable, no worst
 * case. */
static void sort_terms(struct ast_term **keys, struct ast_term **with, struct ast_term **spare,
                       u32 n) {
    if (n < 2) return;
    u32 half = n / 2;
    sort_terms(keys, with, spare, half);
    sort_terms(keys + half, with ? with + half : NULL, spare, n - half);
    if (ast_term_compare(keys[half - 1], keys[half]) <= 0) return;
    memcpy(spare, keys, half * sizeof(struct ast_term *));
    if (with) memcpy(spare + half, with, half * sizeof(struct ast_term *));
    for (u32 a = 0, b = half, to = 0; a < half; to++) {
        bool right = b < n && ast_term_compare(keys[b], spare[a]) < 0;
        if (with) with[to] = right ? with[b] : spare[half + a];
        keys[to] = right ? keys[b] : spare[a];
        if (right) b++;
        else a++;
    }
}
static u32 sort_unique(struct parser *p, struct ast_term **keys, struct ast_term **with, u32 n) {
    bool sorted = true;
    for (u32 i = 1; i < n && sorted; i++) sorted = ast_term_compare(keys[i - 1], keys[i]) < 0;
    if (sorted) return n;
    struct ast_term **spare = heap_alloc(p->heap, (size_t)n * sizeof(struct ast_term *));
    if (!spare) return n;
    sort_terms(keys, with, spare, n);
    u32 to = 0;
    for (u32 i = 1; i < n; i++) {
        bool same = ast_term_compare(keys[to], keys[i]) == 0;
        if (!same) keys[++to] = keys[i];
        if (with) with[to] = with[i];
    }
    return to + 1;
}

/* Closes a set whose members are on the scratch list. */
static struct ast_term *close_set(struct parser *p, u32 base) {
    u32 count;
    struct ast_term **list = parse_pop(p, base, &count);
    if (!list) return NULL;
    return list_new(p, AST_SET, parse_here(p), list, sort_unique(p, list, NULL, count));
}
/* Behind the first member, at `,` or `}`. */
static struct ast_term *parse_set_rest(struct parser *p, struct ast_term *first, u32 base) {
    if (!parse_push(p, first)) return NULL;
    if (now(p) == TOKEN_COMMA) {
        parse_scan(p);
        if (!parse_list(p, TOKEN_RBRACE, "expected \",\" or \"}\"")) return NULL;
    }
    return close_set(p, base);
}

/* Keys and values in turn are on the scratch list. */
static struct ast_term *close_object(struct parser *p, u32 base) {
    u32 n = (p->scratch.count - base) / 2;
    struct ast_term **keys = heap_alloc(p->heap, MAX(n, 1u) * 2 * sizeof(struct ast_term *));
    struct ast_pair *pairs = heap_alloc(p->heap, MAX(n, 1u) * sizeof(*pairs));
    struct ast_term *t = term_new(p, AST_OBJECT, parse_here(p));
    if (!keys || !pairs || !t) return NULL;
    struct ast_term **values = keys + n;
    for (u32 i = 0; i < n; i++) {
        keys[i] = p->scratch.items[base + 2 * i];
        values[i] = p->scratch.items[base + 2 * i + 1];
    }
    p->scratch.count = base;
    n = sort_unique(p, keys, values, n);
    u32 depth = MAX(depth_of_terms(keys, n), depth_of_terms(values, n)) + 1;
    if (!parse_depth_ok(p, depth)) return NULL;
    for (u32 i = 0; i < n; i++) pairs[i] = (struct ast_pair){keys[i], values[i]};
    t->pairs = pairs, t->count = n, t->depth = (u8)depth;
    return t;
}
static bool parse_pairs_rest(struct parser *p) {
    while (now(p) != TOKEN_RBRACE) {
        struct ast_term *k = parse_infix_in_list(p);
        if (!k || !parse_push(p, k)) return false;
        if (now(p) != TOKEN_COLON) {
            parse_illegal(p, "expected \":\"");
            return false;
        }
        parse_scan(p);
        struct ast_term *v = parse_infix_in_list(p);
        if (!v || !parse_push(p, v)) return false;
        if (now(p) == TOKEN_RBRACE) break;
        if (now(p) != TOKEN_COMMA) {
            parse_illegal(p, "expected \",\" or \"}\"");
            return false;
        }
        parse_scan(p);
    }
    return true;
}
/* Behind the first pair, at `,` or `}`. */
static struct ast_term *parse_object_rest(struct parser *p, struct ast_term *key,
                                          struct ast_term *v, u32 base) {
    if (!parse_push(p, key) || !parse_push(p, v)) return NULL;
    if (now(p) == TOKEN_COMMA) {
        parse_scan(p);
        if (!parse_pairs_rest(p)) return NULL;
    }
    return close_object(p, base);
}
static bool at_end_of_pair(const struct parser *p) {
    return now(p) == TOKEN_RBRACE || now(p) == TOKEN_COMMA;
}
/* At the `:` behind the first key. */
static struct ast_term *parse_object(struct parser *p, struct ast_term *key,
                                     bool maybe_comprehension, u32 base) {
    parse_scan(p);
    u32 saved = parse_save(p), offset = p->s.now.offset;
    struct ast_term *v = parse_one_term(p), *result = NULL;
    bool go_on = v != NULL, plain = v && at_end_of_pair(p) && maybe_comprehension;
    if (plain) result = parse_object_rest(p, key, v, base);
    else if (v && now(p) == TOKEN_OR && maybe_comprehension)
        result = try_comprehension(p, AST_OBJECT_COMPREHENSION, key, v, TOKEN_RBRACE, &go_on);
    if (!result && go_on && !plain) {
        v = parse_in(p, v, false, offset);
        go_on = v != NULL;
        if (v && at_end_of_pair(p)) {
            parse_forget(p, saved);
            return parse_object_rest(p, key, v, base);
        }
    } else if (plain && !result) {
        parse_restore(p, saved); /* the reference forgets what was wrong further in */
    }
    if (!result && go_on) parse_illegal(p, "non-terminated object");
    parse_forget(p, saved);
    return result;
}

/* `x, y in xs` goes on behind a comma, where a set's first member ends. Text in which something was
 * wrong is read again. */
static void first_remember(struct parser *p, const struct parse_state *before, struct ast_term *t) {
    if (now(p) == TOKEN_COMMA || p->s.errors != before->errors) return;
    p->first_memo.term = t;
    p->first_memo.before = *before, p->first_memo.after = p->s;
}

/* At the first token behind `{`. */
static struct ast_term *parse_braces(struct parser *p, u32 base) {
    if (now(p) == TOKEN_RBRACE) return close_object(p, base);
    bool comma = now(p) == TOKEN_COMMA;
    if (comma) parse_scan(p);
    u32 offset = p->s.now.offset;
    struct parse_state before = p->s;
    struct ast_term *t = parse_one_term(p);
    if (!t) return NULL;
    if (now(p) == TOKEN_OR && !comma) {
        bool go_on;
        struct ast_term *c =
            try_comprehension(p, AST_SET_COMPREHENSION, NULL, t, TOKEN_RBRACE, &go_on);
        if (!go_on) return c;
        t = parse_in(p, t, false, offset);
        if (!t) return NULL;
        if (at_end_of_pair(p)) return parse_set_rest(p, t, base);
        parse_illegal(p, "expected \",\" or \"}\"");
        return NULL;
    }
    if (!at_end_of_pair(p) && now(p) != TOKEN_COLON) t = parse_in(p, t, false, offset);
    if (!t) return NULL;
    if (p->trials) first_remember(p, &before, t);
    if (at_end_of_pair(p)) return parse_set_rest(p, t, base);
    if (now(p) == TOKEN_COLON) return parse_object(p, t, !comma, base);
    parse_illegal(p, "non-terminated set");
    return NULL;
}
static struct ast_term *parse_set_or_object(struct parser *p) {
    u32 base = p->scratch.count;
    parse_scan(p);
    struct ast_term *t = parse_braces(p, base);
    p->scratch.count = base;
    return t;
}
/* From `[` or `{`: its text runs to the end of the closing token, which is the current one. */
static struct ast_term *parse_collection(struct parser *p) {
    struct ast_location at = parse_here(p);
    struct ast_term *t = now(p) == TOKEN_LBRACK ? parse_array(p) : parse_set_or_object(p);
    if (t) t->at = parse_retext(at, at.offset, p->s.now.end);
    return t;
}

/* ---- One term ---- */

static struct ast_term *parse_parentheses(struct parser *p) {
    u32 offset = p->s.now.offset;
    parse_scan(p);
    struct ast_term *t = parse_infix(p);
    if (!t) return NULL;
    if (now(p) != TOKEN_RPAREN) {
        parse_error_at(p, parse_here(p), "non-terminated expression");
        return NULL;
    }
    t->at = parse_retext(t->at, offset, p->s.now.end);
    return t;
}

/* `-x` is 0 - x; `-1` is a number. */
static struct ast_term *parse_minus(struct parser *p) {
    struct ast_location at = parse_here(p);
    u32 saved = parse_save(p);
    parse_scan(p);
    if (now(p) != TOKEN_IDENT && now(p) != TOKEN_CONTAINS) {
        parse_restore(p, saved);
        parse_forget(p, saved);
        struct ast_term *n = parse_number(p);
        return n ? parse_finish(p, n) : NULL;
    }
    parse_forget(p, saved);
    struct ast_term *t = parse_var(p);
    if (t) t = parse_finish(p, t);
    struct ast_term *zero = ast_scalar(p->heap, &at, value_integer(0));
    if (!t || !zero) return NULL;
    struct ast_term *op = name_new(p, S("minus"), S(""), (struct ast_location){0});
    struct ast_term *call = call_new(p, op, zero, t, NULL, at.offset);
    if (call) call->at = parse_retext(at, at.offset, p->s.last_end);
    return call;
}

static struct ast_term *parse_primary(struct parser *p) {
    switch (now(p)) {
    case TOKEN_NULL: return scalar_new(p, value_null());
    case TOKEN_TRUE: return scalar_new(p, value_boolean(true));
    case TOKEN_FALSE: return scalar_new(p, value_boolean(false));
    case TOKEN_DOT:
    case TOKEN_NUMBER: return parse_number(p);
    case TOKEN_STRING: return parse_string(p);
    case TOKEN_TEMPLATE_PART:
    case TOKEN_TEMPLATE_END: return parse_template(p, false);
    case TOKEN_RAW_TEMPLATE_PART:
    case TOKEN_RAW_TEMPLATE_END: return parse_template(p, true);
    case TOKEN_IDENT:
    case TOKEN_CONTAINS: return parse_var(p); /* `contains` means something in rule heads alone */
    case TOKEN_LBRACK:
    case TOKEN_LBRACE: return parse_collection(p);
    case TOKEN_LPAREN: return parse_parentheses(p);
    case TOKEN_LOGICAL_AND:
    case TOKEN_LOGICAL_OR: /* and(x, y): the function of that name */
        if (parse_peek(p) == '(') return parse_var(p);
        break;
    default: break;
    }
    parse_illegal(p, NULL);
    return NULL;
}

/* ---- Terms read before ---- */

static struct term_memo *memo_slot(struct parser *p, u32 offset) {
    u32 i = (offset * 2654435761u) >> 7;
    while (p->memo[i & p->memo_mask].offset && p->memo[i & p->memo_mask].offset != offset + 1) i++;
    return &p->memo[i & p->memo_mask];
}
static void memo_grow(struct parser *p) {
    struct term_memo *old = p->memo;
    u32 room = old ? (p->memo_mask + 1) * 2 : 64;
    struct term_memo *grown = heap_alloc(p->heap, room * sizeof(*grown));
    if (!grown) return;
    for (u32 i = 0; i < room; i++) grown[i].offset = 0;
    u32 old_room = old ? p->memo_mask + 1 : 0;
    p->memo = grown, p->memo_mask = room - 1;
    for (u32 i = 0; i < old_room; i++)
        if (old[i].offset) *memo_slot(p, old[i].offset - 1) = old[i];
}
static void memo_put(struct parser *p, u32 offset, enum token first, struct parse_error *errors,
                     struct ast_term *t) {
    if (!p->memo || p->memo_count * 2 > p->memo_mask) memo_grow(p);
    if (!p->memo || p->memo_count >= p->memo_mask) return;
    struct term_memo *slot = memo_slot(p, offset);
    p->memo_count += slot->offset == 0;
    *slot = (struct term_memo){offset + 1, first, errors, t, p->s};
}
/* Goes behind the term that was read here before. False: none was, or not under the same terms. */
__attribute__((noinline)) static bool memo_take(struct parser *p, struct ast_term **out) {
    const struct term_memo *m = memo_slot(p, p->s.now.offset);
    if (!m->offset || m->first != now(p)) return false;
    struct parse_state here = p->s;
    if (m->after.errors != m->errors && m->errors != here.errors) return false;
    p->s = m->after;
    if (m->after.errors == m->errors) { /* none of its own: those of now stay */
        p->s.errors = here.errors, p->s.error_count = here.error_count;
        p->s.hints = here.hints, p->s.hint_count = here.hint_count;
    }
    *out = m->term;
    return true;
}
/* Small ones are read again as quickly as they are found. */
static bool worth_a_memo(const struct parser *p, enum token first, u32 offset) {
    return p->s.now.offset - offset > 32 || first == TOKEN_LBRACE || first == TOKEN_LBRACK ||
           first == TOKEN_LPAREN || first == TOKEN_TEMPLATE_PART ||
           first == TOKEN_RAW_TEMPLATE_PART;
}

struct ast_term *parse_one_term(struct parser *p) {
    struct ast_term *t;
    if (p->memo_count && memo_take(p, &t)) return t;
    if (!parse_enter(p)) return NULL;
    u32 offset = p->s.now.offset;
    enum token first = now(p);
    struct parse_error *errors = p->s.errors;
    if (first == TOKEN_SUB) {
        t = parse_minus(p);
    } else {
        t = parse_primary(p);
        if (t) t = parse_finish(p, t);
    }
    parse_leave(p);
    if (p->trials && worth_a_memo(p, first, offset)) memo_put(p, offset, first, errors, t);
    return t;
}
