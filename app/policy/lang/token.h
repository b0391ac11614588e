/* SPDX-License-Identifier: Apache-2.0 */
/* token.h — what a policy's text is cut into, for the parser alone.
 *
 * The lexer is asked for one token after another, since what a word means depends on the imports
 * read so far and text inside a template string is cut by other rules. Its whole state is a few
 * numbers that the parser copies to try something and come back. */
#pragma once
#include "kernel/base/base.h"

/* TOKEN(NAME, "as messages name it"). Operators are named like the function they stand for. */
#define TOKEN_LIST(TOKEN)                                                                          \
    TOKEN(ILLEGAL, "illegal") TOKEN(EOF, "eof") TOKEN(WHITESPACE, "whitespace")                    \
    TOKEN(IDENT, "identifier")                                                                     \
    TOKEN(PACKAGE, "package") TOKEN(IMPORT, "import") TOKEN(AS, "as") TOKEN(DEFAULT, "default")    \
    TOKEN(ELSE, "else") TOKEN(NOT, "not") TOKEN(SOME, "some") TOKEN(WITH, "with")                  \
    TOKEN(NULL, "null") TOKEN(TRUE, "true") TOKEN(FALSE, "false")                                  \
    TOKEN(IN, "in") TOKEN(EVERY, "every") TOKEN(CONTAINS, "contains") TOKEN(IF, "if")              \
    TOKEN(LOGICAL_AND, "and") TOKEN(LOGICAL_OR, "or")                                              \
    TOKEN(NUMBER, "number") TOKEN(STRING, "string")                                                \
    TOKEN(TEMPLATE_PART, "template-string-part") TOKEN(TEMPLATE_END, "template-string-end")        \
    TOKEN(RAW_TEMPLATE_PART, "raw-template-string-part")                                           \
    TOKEN(RAW_TEMPLATE_END, "raw-template-string-end")                                             \
    TOKEN(LBRACK, "[") TOKEN(RBRACK, "]") TOKEN(LBRACE, "{") TOKEN(RBRACE, "}")                    \
    TOKEN(LPAREN, "(") TOKEN(RPAREN, ")") TOKEN(COMMA, ",") TOKEN(COLON, ":")                      \
    TOKEN(DOT, ".") TOKEN(SEMICOLON, ";")                                                          \
    TOKEN(ADD, "plus") TOKEN(SUB, "minus") TOKEN(MUL, "mul") TOKEN(QUO, "div") TOKEN(REM, "rem")   \
    TOKEN(AND, "and") TOKEN(OR, "or") TOKEN(UNIFY, "eq") TOKEN(ASSIGN, "assign")                   \
    TOKEN(EQUAL, "equal") TOKEN(NEQ, "neq") TOKEN(GT, "gt") TOKEN(LT, "lt") TOKEN(GTE, "gte")      \
    TOKEN(LTE, "lte") TOKEN(COMMENT, "comment")

enum token {
#define TOKEN(name, text) TOKEN_##name,
    TOKEN_LIST(TOKEN)
#undef TOKEN
};
const char *token_name(enum token t);

/* Words that are keywords only when the language's version or an import says so. */
enum lexer_keyword {
    KEYWORD_IN = 1, KEYWORD_EVERY = 2, KEYWORD_CONTAINS = 4, KEYWORD_IF = 8, /* v1's own */
    KEYWORD_AND = 16, KEYWORD_OR = 32,                                       /* experimental */
    KEYWORDS_V1 = 15, KEYWORDS_ALL = 63,
};
enum { LEXER_ERRORS_MAX = 8 }; /* of one token; more of them say nothing new */

struct lexer_errors { u32 count; const char *what[LEXER_ERRORS_MAX]; };

struct lexer {
    const char *text; /* a NUL follows */
    u32 len;
    u32 at;           /* next byte */
    u32 row;          /* of that byte, from 1 */
    u32 line_at;      /* where that line starts */
    u32 wide;         /* bytes of that line before `at` that continue a character */
    u8 keywords;      /* enum lexer_keyword */
    struct lexer_errors *found; /* in the last token; who asks for the next one empties it */
};
struct lexeme {
    enum token kind;
    u32 offset, end;
    u32 row, column;
};
/* Texts up to POLICY_SOURCE_BYTES_MAX, with a NUL behind them. */
void lexer_open(struct lexer *l, str text, struct lexer_errors *found);
/* The next token. Blanks are skipped and `*newline` set when a line ended among them, unless the
 * caller wants them: then each is a token of its own. Comments are always tokens. */
void lexer_next(struct lexer *l, bool blanks, bool *newline, struct lexeme *out);
/* After the brace that ends an expression in a template string: the text up to the next one. */
void lexer_next_template(struct lexer *l, bool raw, struct lexeme *out);

/* Whether `word` is a keyword of v1 or v0 for good, or among `extra` (enum lexer_keyword). */
bool token_is_reserved(str word, bool v1, unsigned extra);
