/* SPDX-License-Identifier: Apache-2.0 */
/* parser.c — the parser's state: where it is, what went wrong, how it tries and comes back.
 *
 *   text --lexer--> tokens --+--> statements (parser_module.c)
 *                            |       rules (parser_rule.c)
 *                            |          bodies (parser_body.c, parser_logical.c)
 *                            +             terms (parser_term.c, parser_literal.c)
 *
 * Recursive descent over one token of lookahead. The language needs more here and there: `{ x ...`
 * may open a set, an object, a comprehension or a body. Then the state is saved, one reading is
 * tried, and if it fails the state is put back and the next one tried; errors and comments belong
 * to the state, so a failed attempt leaves none. Errors are texts only when somebody will read
 * them: most attempts fail and are forgotten.
 *
 * Always true: each function leaves the parser at the token behind what it read; a NULL has an
 * error recorded, or the heap is exhausted; the C stack is bounded by POLICY_SYNTAX_DEPTH_MAX. */
#include "app/policy/lang/parser_impl.h"
#include <stdarg.h>
#include <stdio.h>
#include "app/policy/lang/write_impl.h"

/* ---- State ---- */

u32 parse_save(struct parser *p) {
    if (p->saved_count == p->saved_room) {
        u32 room = MAX(p->saved_room * 2, 16u);
        struct parse_state *grown = heap_alloc(p->heap, room * sizeof(*grown));
        if (!grown) return p->saved_count - 1; /* nothing will come of it; any state will do */
        if (p->saved_count) memcpy(grown, p->saved, p->saved_count * sizeof(*grown));
        p->saved = grown, p->saved_room = room;
    }
    p->saved[p->saved_count] = p->s;
    return p->saved_count++;
}
void parse_restore(struct parser *p, u32 saved) {
    CHECK(saved < p->saved_room);
    p->s = p->saved[saved];
}

bool parse_push(struct parser *p, struct ast_term *t) {
    struct scratch *s = &p->scratch;
    if (s->count == s->room) {
        u32 room = MAX(s->room * 2, 64u);
        struct ast_term **grown = heap_alloc(p->heap, room * sizeof(struct ast_term *));
        if (!grown) return false;
        if (s->count) memcpy(grown, s->items, s->count * sizeof(struct ast_term *));
        s->items = grown, s->room = room;
    }
    s->items[s->count++] = t;
    return true;
}
struct ast_term **parse_pop(struct parser *p, u32 base, u32 *count) {
    *count = p->scratch.count - base;
    p->scratch.count = base;
    struct ast_term **list = heap_alloc(p->heap, MAX(*count, 1u) * sizeof(struct ast_term *));
    if (list && *count) memcpy(list, p->scratch.items + base, *count * sizeof(struct ast_term *));
    return list;
}

/* ---- Tokens ---- */

str parse_text(const struct parser *p, u32 from, u32 to) {
    return str_of(p->file->text.ptr + from, to > from ? to - from : 0);
}
str parse_lexeme(const struct parser *p) { return parse_text(p, p->s.now.offset, p->s.now.end); }

struct ast_location parse_here(const struct parser *p) {
    const struct lexeme *t = &p->s.now;
    return (struct ast_location){p->file,  t->row, t->column, t->offset, t->end - t->offset,
                                 t->offset};
}
struct ast_location parse_span(const struct parser *p, struct ast_location start) {
    start.offset = start.head;
    start.len = p->s.last_end > start.offset ? p->s.last_end - start.offset : 0;
    return start;
}

static void keep_comment(struct parser *p) {
    struct parse_comment *c = heap_alloc(p->heap, sizeof(*c));
    if (!c) return;
    str text = str_skip(parse_lexeme(p), 1);
    if (str_eq(text, S("\r"))) text.len = 0;
    while (text.len > 1 && text.ptr[text.len - 1] == '\r') text.len--;
    *c = (struct parse_comment){p->s.comments, {text, parse_here(p)}};
    p->s.comments = c;
    p->s.comment_count++;
}

/* Errors of the lexer stand where the token they were found in starts. */
static void take_lexer_errors(struct parser *p) {
    u32 count = p->found.count;
    p->found.count = 0;
    for (u32 i = 0; i < count; i++) parse_error_at(p, parse_here(p), "%s", p->found.what[i]);
    p->s.now.kind = TOKEN_ILLEGAL;
}
static inline void leave_token(struct parser *p) {
    if (now(p) == TOKEN_WHITESPACE) return;
    p->s.last_end = p->s.now.end;
    p->s.newline = false;
}
static void scan(struct parser *p, bool blanks) {
    leave_token(p);
    while (true) {
        lexer_next(&p->s.lexer, blanks, &p->s.newline, &p->s.now);
        if (p->found.count) take_lexer_errors(p);
        if (now(p) != TOKEN_COMMENT) return;
        keep_comment(p);
    }
}
void parse_scan(struct parser *p) { scan(p, false); }
void parse_scan_blank(struct parser *p) { scan(p, true); }
void parse_scan_template(struct parser *p, bool raw) {
    leave_token(p);
    lexer_next_template(&p->s.lexer, raw, &p->s.now);
    if (p->found.count) take_lexer_errors(p);
}

bool parse_is_ref_keyword(const struct parser *p, enum token t) {
    if (t >= TOKEN_PACKAGE && t <= TOKEN_FALSE) return true;
    if (t < TOKEN_IN || t > TOKEN_LOGICAL_OR) return false;
    return token_is_reserved(str_from_c(token_name(t)), p->options.version == REGO_V1,
                             p->s.lexer.keywords);
}
bool parse_scan_ahead_ref(struct parser *p) {
    if (now(p) < TOKEN_PACKAGE || now(p) > TOKEN_LOGICAL_OR) return false;
    if ((parse_peek(p) != '.' && parse_peek(p) != '[') || !parse_is_ref_keyword(p, now(p)))
        return false;
    p->s.now.kind = TOKEN_IDENT;
    return true;
}

str parse_wildcard(struct parser *p) { return parse_print(p, "$%u", p->s.wildcard++); }

/* ---- Depth ---- */

#if defined(__SANITIZE_ADDRESS__) /* its frames are several times as large */
#define STACK_BYTES_MAX ((size_t)POLICY_PARSE_STACK_BYTES_MAX * 8)
#else
#define STACK_BYTES_MAX ((size_t)POLICY_PARSE_STACK_BYTES_MAX)
#endif

static bool too_deep(struct parser *p) {
    parse_error_at(p, parse_here(p), "max parsing recursion depth exceeded");
    return false;
}
bool parse_enter(struct parser *p) {
    const char *stack = __builtin_frame_address(0);
    size_t used = (size_t)(stack < p->stack ? p->stack - stack : stack - p->stack);
    if (p->depth >= POLICY_SYNTAX_DEPTH_MAX || used > STACK_BYTES_MAX) return too_deep(p);
    p->depth++;
    return true;
}
bool parse_depth_ok(struct parser *p, u32 depth) {
    return depth <= POLICY_SYNTAX_DEPTH_MAX || too_deep(p);
}

/* ---- Texts and errors ---- */

__attribute__((format(printf, 2, 0))) static str print_list(struct parser *p, const char *fmt,
                                                               va_list args) {
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *to = n < 0 ? NULL : heap_alloc(p->heap, (size_t)n + 1);
    if (to) vsnprintf(to, (size_t)n + 1, fmt, again);
    va_end(again);
    return to ? str_of(to, (size_t)n) : S("");
}
str parse_print(struct parser *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    str s = print_list(p, fmt, args);
    va_end(args);
    return s;
}
str parse_print_term(struct parser *p, const struct ast_term *t) {
    struct buf b;
    buf_open(&b, POLICY_SOURCE_BYTES_MAX);
    ast_term_write(&b, t);
    str s = parse_print(p, "%.*s", STR(buf_str(&b)));
    buf_close(&b);
    return s;
}

static struct parse_error *add_error(struct parser *p, struct ast_location at) {
    struct parse_error *e = heap_alloc(p->heap, sizeof(*e));
    if (!e) return NULL;
    *e =
        (struct parse_error){.before = p->s.errors, .at = at, .hints = p->s.hints, .token = now(p)};
    p->s.errors = e;
    p->s.error_count++;
    p->s.hints = NULL, p->s.hint_count = 0;
    return e;
}
void parse_error_at(struct parser *p, struct ast_location at, const char *fmt, ...) {
    struct parse_error *e = add_error(p, at);
    if (!e) return;
    va_list args;
    va_start(args, fmt);
    e->message = print_list(p, fmt, args);
    va_end(args);
}
void parse_illegal(struct parser *p, const char *note) {
    struct parse_error *e = add_error(p, parse_here(p));
    if (e) e->note = note;
}
void parse_illegal_format(struct parser *p, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    str note = print_list(p, fmt, args);
    va_end(args);
    parse_illegal(p, note.len ? note.ptr : NULL);
}
void parse_hint(struct parser *p, const char *fmt, ...) {
    struct parse_hint *h = heap_alloc(p->heap, sizeof(*h));
    if (!h) return;
    va_list args;
    va_start(args, fmt);
    *h = (struct parse_hint){p->s.hints, print_list(p, fmt, args)};
    va_end(args);
    p->s.hints = h;
    p->s.hint_count++;
}

static void write_hints(struct buf *to, const struct parse_hint *h) {
    if (h->before) {
        write_hints(to, h->before);
        put(to, S(", "));
    }
    put(to, h->text);
}
static void report(struct policy_errors *out, struct parser *p, const struct parse_error *e) {
    struct buf b;
    buf_open(&b, POLICY_SOURCE_BYTES_MAX);
    bool keyword = e->token >= TOKEN_PACKAGE && e->token <= TOKEN_LOGICAL_OR;
    if (e->message.len) put(&b, e->message);
    else if (e->token == TOKEN_ILLEGAL) put(&b, S("illegal token"));
    else {
        putf(&b, "unexpected %s %s", token_name(e->token), keyword ? "keyword" : "token");
        if (e->note) putf(&b, ": %s", e->note);
    }
    if (e->hints) {
        put(&b, e->hints->before ? S(" (hints: ") : S(" (hint: "));
        write_hints(&b, e->hints);
        put_c(&b, ')');
    }
    struct policy_error *error =
        policy_error_add(out, POLICY_PARSE_ERROR, &e->at, "%.*s", STR(buf_str(&b)));
    if (error) policy_error_show_line(out, error, p->file->text, e->at.head);
    buf_close(&b);
}

/* ---- Entrances ---- */

static rc_t parser_open(struct parser *p, struct heap *h, str name, str text,
                        const struct parse_options *o) {
    *p = (struct parser){.heap = h, .options = *o, .not_bodies = o->not_keyword,
                         .stack = __builtin_frame_address(0)};
    if (text.len > POLICY_SOURCE_BYTES_MAX) return RC_LIMIT;
    struct ast_file *file = heap_alloc(h, sizeof(*file));
    char *copy = heap_alloc(h, text.len + 1), *name_copy = heap_alloc(h, name.len + 1);
    if (!file || !copy || !name_copy) return RC_NO_MEMORY;
    if (text.len) memcpy(copy, text.ptr, text.len);
    if (name.len) memcpy(name_copy, name.ptr, name.len);
    copy[text.len] = name_copy[name.len] = 0;
    *file = (struct ast_file){str_of(name_copy, name.len), str_of(copy, text.len)};
    p->file = file;
    lexer_open(&p->s.lexer, file->text, &p->found);
    if (o->version != REGO_V0 || o->all_future_keywords) p->s.lexer.keywords = KEYWORDS_V1;
    if (o->all_future_keywords && o->logical_keywords) p->s.lexer.keywords = KEYWORDS_ALL;
    if (o->all_future_keywords) p->not_bodies = true;
    parse_scan(p);
    p->saved = heap_alloc(h, 16 * sizeof(*p->saved));
    if (!p->saved) return RC_NO_MEMORY;
    p->saved_room = 16;
    parse_save(p); /* never forgotten: there is always one to come back to */
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

/* RC_INVALID when there were errors, now in `out` in the order they were found. */
static rc_t parser_close(struct parser *p, struct policy_errors *out) {
    u32 n = p->s.error_count;
    const struct parse_error **in_order = heap_alloc(p->heap, MAX(n, 1u) * sizeof(void *));
    if (!in_order) return RC_NO_MEMORY;
    for (const struct parse_error *e = p->s.errors; e; e = e->before) in_order[--n] = e;
    for (u32 i = 0; i < p->s.error_count; i++) report(out, p, in_order[i]);
    if (p->heap->exhausted) return RC_NO_MEMORY;
    return p->s.error_count ? RC_INVALID : RC_OK;
}

rc_t parse_module(struct heap *h, str file_name, str text, const struct parse_options *o,
                  struct ast_module **out, struct policy_errors *errors) {
    struct parser p;
    *out = NULL;
    rc_t rc = parser_open(&p, h, file_name, text, o);
    if (rc) return rc;
    parse_statements(&p);
    struct ast_annotations_list found = {0};
    if (o->annotations) annotations_read(&p, &found);
    if ((rc = parser_close(&p, errors))) return rc;
    return parse_assemble(&p, &found, out, errors);
}

rc_t parse_body(struct heap *h, str text, const struct parse_options *o, struct ast_body **out,
                struct policy_errors *errors) {
    struct parser p;
    *out = NULL;
    struct parse_options options = *o;
    options.skip_rules = true;
    rc_t rc = parser_open(&p, h, S(""), text, &options);
    if (rc) return rc;
    parse_statements(&p);
    if ((rc = parser_close(&p, errors))) return rc;
    u32 count = 0, n = 0;
    for (u32 i = 0; i < p.statement_count; i++) {
        const struct statement *st = &p.statements[i];
        if (st->kind == STATEMENT_BODY) {
            count += st->body->count;
            continue;
        }
        policy_error_add(errors, POLICY_PARSE_ERROR, &st->at, "expected body but got *ast.%s",
                         st->kind == STATEMENT_PACKAGE ? "Package" : "Import");
        return RC_INVALID;
    }
    struct ast_body *b = heap_alloc(h, sizeof(*b));
    struct ast_expr **exprs = heap_alloc(h, MAX(count, 1u) * sizeof(struct ast_expr *));
    if (!b || !exprs) return RC_NO_MEMORY;
    *b = (struct ast_body){exprs, count, 0};
    for (u32 i = 0; i < p.statement_count; i++)
        for (u32 k = 0; k < p.statements[i].body->count; k++, n++) {
            exprs[n] = p.statements[i].body->exprs[k];
            exprs[n]->index = n;
            b->depth = MAX(b->depth, exprs[n]->depth);
        }
    *out = b;
    return RC_OK;
}

rc_t parse_term(struct heap *h, str text, const struct parse_options *o, struct ast_term **out,
                struct policy_errors *errors) {
    struct ast_body *b;
    *out = NULL;
    rc_t rc = parse_body(h, text, o, &b, errors);
    if (rc) return rc;
    if (b->count == 1 && b->exprs[0]->kind == AST_EXPR_TERM) {
        *out = b->exprs[0]->terms[0];
        return RC_OK;
    }
    policy_error_add(errors, POLICY_PARSE_ERROR, b->count ? &b->exprs[0]->at : NULL,
                     b->count == 1 ? "expected a term" : "expected exactly one term");
    return RC_INVALID;
}
