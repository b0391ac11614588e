/* SPDX-License-Identifier: Apache-2.0 */
/* parser_impl.h — what the parser's files share. See parser.c for how it works. */
#pragma once
#include "app/policy/lang/annotations.h"
#include "app/policy/lang/parse.h"
#include "app/policy/lang/token.h"
#include "kernel/base/limits.h"

/* Lists that only grow at their end while parsing, shared by all states saved on the way. */
struct parse_hint { struct parse_hint *before; str text; };
struct parse_error {
    struct parse_error *before;
    struct ast_location at;
    struct parse_hint *hints;
    str message; /* empty: "unexpected TOKEN token", and `note` after a colon if there is one */
    const char *note;
    enum token token;
};
struct parse_comment { struct parse_comment *before; struct ast_comment comment; };

struct parse_state { /* all that is copied to try something and come back */
    struct lexer lexer;
    struct lexeme now;  /* the current token */
    u32 last_end;       /* where the token before it ended, blanks aside */
    u32 wildcard;       /* number of the next `_` */
    bool newline;       /* a line ended between the last token and this one */
    u32 error_count, comment_count, hint_count;
    struct parse_error *errors;
    struct parse_comment *comments;
    struct parse_hint *hints;
};

enum statement_kind { STATEMENT_PACKAGE, STATEMENT_IMPORT, STATEMENT_RULE, STATEMENT_BODY };
struct statement {
    enum statement_kind kind;
    struct ast_location at;
    union {
        struct ast_term *package;
        u32 import; /* in parser.imports */
        struct ast_rule *rule;
        struct ast_body *body;
    };
};

struct term_memo {
    u32 offset; /* plus one; 0: free */
    enum token first;           /* a keyword may be read as a name the next time */
    struct parse_error *errors; /* those recorded before it */
    struct ast_term *term; /* NULL: it failed, with the errors in `after` */
    struct parse_state after;
};
struct scratch { struct ast_term **items; u32 count, room; };
struct parser {
    struct heap *heap;
    const struct ast_file *file;
    struct parse_options options;
    struct parse_state s;
    struct lexer_errors found;
    struct parse_state *saved; /* a stack: frames of C stay small */
    u32 saved_count, saved_room;
    struct scratch scratch;    /* lists being read, one on top of the other */
    bool not_bodies;    /* future.keywords.not is imported */
    bool rego_v1;       /* import rego.v1 was seen in a v0 text */
    u32 depth;          /* of terms being read */
    const char *stack;  /* where the C stack was when the parser was opened */
    u32 trials;         /* attempts under way whose text may be read again */

    struct statement *statements;
    u32 statement_count, statement_room;
    struct ast_import *imports;
    u32 import_count, import_room;

    /* Terms read during an attempt are remembered by where they start: read again they cost
     * nothing, and attempts within attempts do not double the work at each level. */
    struct term_memo *memo; /* open addressing, memo_mask + 1 slots */
    u32 memo_mask, memo_count;
    struct { u32 offset; struct ast_term *term; struct parse_state after; } value_memo;
    /* What began like a set, `if { x == y`, most often is a body: what stands first in it. */
    struct { struct ast_term *term; struct parse_state before, after; } first_memo;
};

static inline enum token now(const struct parser *p) { return p->s.now.kind; }
static inline bool at_logical(const struct parser *p) {
    return now(p) == TOKEN_LOGICAL_AND || now(p) == TOKEN_LOGICAL_OR;
}

/* ---- parser.c: state, places, errors ---- */
/* Keeps the state to come back to, as often as wanted, until it is forgotten. */
u32 parse_save(struct parser *p);
void parse_restore(struct parser *p, u32 saved);
static inline void parse_forget(struct parser *p, u32 saved) { p->saved_count = saved; }
void parse_scan(struct parser *p);        /* to the next token */
void parse_scan_blank(struct parser *p);  /* the same, but a blank is a token */
/* The byte behind the current token. */
static inline char parse_peek(const struct parser *p) { return p->s.lexer.text[p->s.lexer.at]; }
struct ast_location parse_here(const struct parser *p); /* of the current token */
str parse_text(const struct parser *p, u32 from, u32 to);
str parse_lexeme(const struct parser *p); /* of the current token */
/* `start` with its text running to the end of the token before the current one. */
struct ast_location parse_span(const struct parser *p, struct ast_location start);
void parse_error_at(struct parser *p, struct ast_location at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
void parse_illegal(struct parser *p, const char *note); /* "unexpected X token: note"; or NULL */
void parse_illegal_format(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void parse_hint(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
str parse_print(struct parser *p, const char *fmt, ...) PRINTF_LIKE(2, 3); /* text in the heap */
str parse_print_term(struct parser *p, const struct ast_term *t);
bool parse_enter(struct parser *p); /* false, and an error: nested too deep */
static inline void parse_leave(struct parser *p) { p->depth--; }
bool parse_depth_ok(struct parser *p, u32 depth);
static inline struct ast_location parse_retext(struct ast_location at, u32 from, u32 to) {
    at.offset = from, at.len = to > from ? to - from : 0; /* its row and column stay */
    return at;
}
bool parse_is_ref_keyword(const struct parser *p, enum token t); /* may name a ref's part or head */
/* The current keyword begins a ref (`if.x`): it is an identifier then. */
bool parse_scan_ahead_ref(struct parser *p);
str parse_wildcard(struct parser *p);
void parse_scan_template(struct parser *p, bool raw);
bool parse_push(struct parser *p, struct ast_term *t); /* onto the scratch list */
struct ast_term **parse_pop(struct parser *p, u32 base, u32 *count); /* what is above `base` */

/* ---- parser_term.c ---- NULL: an error was recorded. */
struct ast_term *parse_one_term(struct parser *p);
struct ast_term *parse_infix(struct parser *p);         /* with `k, v in xs` */
struct ast_term *parse_infix_in_list(struct parser *p); /* commas separate: no `k, v in xs` */
struct ast_term *parse_var(struct parser *p);
/* After a term: `.x`, `[x]`, `(x)`. `head`: of a rule, where blanks may precede them. */
struct ast_term *parse_finish(struct parser *p, struct ast_term *t);
struct ast_term *parse_finish_head(struct parser *p, struct ast_term *t);
/* `=` and `:=` become the call's operator; NULL when the current token is neither. */
struct ast_term *parse_operator(struct parser *p);
bool term_is_call_of(const struct ast_term *t, const char *dotted);

/* ---- parser_literal.c ---- what must be the number, string or text between braces */
struct ast_term *parse_number(struct parser *p);
struct ast_term *parse_string(struct parser *p);
struct ast_term *parse_template(struct parser *p, bool raw);

/* ---- parser_body.c ---- */
/* `one`: up to `;` or a blank. */
struct ast_body *parse_query(struct parser *p, bool one, enum token end);
struct ast_body *parse_braced(struct parser *p, enum token end);
struct ast_expr *parse_literal(struct parser *p);
struct ast_expr *parse_expr(struct parser *p);
struct ast_expr *parse_attach_with(struct parser *p, struct ast_expr *e);
struct ast_expr *parse_not_braces(struct parser *p, struct ast_location not_at);
bool parse_is_negated(struct parser *p);
struct ast_expr *expr_new(struct parser *p, enum ast_expr_kind kind);
struct ast_expr *expr_not(struct parser *p, struct ast_body *body, bool braces,
                          struct ast_location at);
struct ast_body *body_of(struct parser *p, struct ast_expr *e);

/* ---- parser_logical.c ---- */
struct operand { struct ast_body *body; bool braces; struct ast_location at; };
bool parse_logical_active(const struct parser *p);
/* At `and` or `or`: the rest of the chain. */
struct ast_expr *parse_logical_chain(struct parser *p, struct operand left);
/* The expression of an operand that may go on with `and`, `or` or `with`. */
struct ast_expr *parse_fold_logical(struct parser *p, struct operand left);
/* At `(`: a group of conditions. False: it is none and nothing was read. With true and no body an
 * error was recorded. */
bool parse_logical_group(struct parser *p, bool operand_place, const char *prefix,
                         struct operand *out);
/* `{ ... } and ...`: true when it was one, `*out` NULL on error. */
bool parse_logical_braces(struct parser *p, struct ast_expr **out);
bool body_is_ambiguous_union(const struct ast_body *b);
void parse_error_ambiguous_union(struct parser *p, struct ast_location at, const struct ast_body *b,
                                 const char *prefix);
void parse_error_operand_braces(struct parser *p, struct ast_location at, str operand,
                                const char *op);
void parse_error_with_on_operand(struct parser *p, struct ast_location at, const char *op);

/* ---- parser_rule.c ---- */
/* The rules at the current token, appended as statements. False: none; see the errors. */
bool parse_rules(struct parser *p);
/* A rule written as a bare expression: p = 1, f(x). NULL and `*why` when it cannot be one. */
struct ast_rule *rule_from_body(struct parser *p, struct ast_body *b, str *why);

/* ---- parser_module.c ---- */
/* The module out of the statements; RC_INVALID: its errors are in `errors`. */
rc_t parse_assemble(struct parser *p, const struct ast_annotations_list *annotations,
                    struct ast_module **out, struct policy_errors *errors);
bool parse_package(struct parser *p);
bool parse_import(struct parser *p);
void parse_statements(struct parser *p);
bool parse_add_statement(struct parser *p, struct statement st);
