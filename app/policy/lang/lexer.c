/* SPDX-License-Identifier: Apache-2.0 */
/* lexer.c — bytes to tokens.
 *
 *   p contains $"a{x}b" if x > 1.5   ->   p  contains  $"a{  x  }b"  if  x  >  1.5
 *
 * Columns count characters, not bytes: per line the lexer remembers where it starts and how many
 * of its bytes so far continued a character. An end of line belongs to the row it opens, column 0:
 * that is where the reference places an error found there.
 *
 * Always true: `at` <= `len`, and every character that became the next one has been looked at: a
 * NUL, bytes that are not UTF-8 and a byte-order mark inside the text are errors of the token
 * before them. What strings and numbers mean is left to the parser. */
#include "app/policy/lang/token.h"

enum { BLANK = 1, LETTER = 2, DIGIT = 4 };
static const u8 classes[256] = {
    [' '] = BLANK, ['\t'] = BLANK, ['\n'] = BLANK, ['\r'] = BLANK, ['_'] = LETTER,
    ['0'] = DIGIT, ['1'] = DIGIT, ['2'] = DIGIT, ['3'] = DIGIT, ['4'] = DIGIT,
    ['5'] = DIGIT, ['6'] = DIGIT, ['7'] = DIGIT, ['8'] = DIGIT, ['9'] = DIGIT,
    ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER,
};

const char *token_name(enum token t) {
    static const char *const names[] = {
#define TOKEN(name, text) [TOKEN_##name] = text,
        TOKEN_LIST(TOKEN)
#undef TOKEN
    };
    return names[t];
}

/* ---- Characters ---- */

static void lexer_error(struct lexer *l, const char *what) {
    if (l->found->count < LEXER_ERRORS_MAX) l->found->what[l->found->count++] = what;
}
static u8 peek(const struct lexer *l) { return (u8)l->text[l->at]; } /* 0 at the end, too */

/* Bytes of the character at `at` (RFC 3629), and its number; 1 and 0xfffd when there is none. */
static u32 char_width(const struct lexer *l, u32 at, u32 *out) {
    const u8 *b = (const u8 *)l->text + at;
    u32 left = l->len - at;
    *out = b[0];
    if (b[0] < 0x80) return 1;
    u32 n = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2, c = b[0] & (0x7f >> n);
    static const u32 least[] = {0, 0, 0x80, 0x800, 0x10000};
    *out = 0xfffd;
    if (b[0] < 0xc2 || b[0] > 0xf4 || n > left) return 1;
    for (u32 i = 1; i < n; i++) {
        if ((b[i] & 0xc0) != 0x80) return 1;
        c = c << 6 | (b[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return 1;
    *out = c;
    return n;
}

/* The character at `at` is the next one now. */
static void look_slow(struct lexer *l) {
    if (l->at >= l->len) return;
    u32 c, n = char_width(l, l->at, &c);
    if (c == 0) lexer_error(l, "illegal null character");
    else if (c == 0xfffd && n == 1) lexer_error(l, "illegal utf-8 character");
    else if (c == 0xfeff && l->at > 0) lexer_error(l, "illegal byte-order mark");
}
static inline void look(struct lexer *l) {
    if ((u8)(peek(l) - 1) >= 0x7f) look_slow(l);
}

/* Over one character of any kind. */
static void step(struct lexer *l) {
    if (l->at >= l->len) return;
    u8 b = peek(l);
    if (b < 0x80) {
        l->at++;
        if (b == '\n') l->row++, l->line_at = l->at, l->wide = 0;
    } else {
        u32 c, n = char_width(l, l->at, &c);
        l->at += n, l->wide += n - 1;
    }
    look(l);
}

/* The same over one byte that is a character and ends no line. */
static inline void step_byte(struct lexer *l) {
    l->at++;
    look(l);
}

/* Digits of other scripts may stand in names: the first of each ten, in Unicode's Nd. */
static const u32 digit_zeros[] = {
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6,
    0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50,
    0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650,
    0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950,
    0x1fbf0,
};
static bool is_wide_digit(const struct lexer *l) {
    u32 c;
    char_width(l, l->at, &c);
    for (size_t i = 0; i < ARRAY_LEN(digit_zeros); i++)
        if (c >= digit_zeros[i] && c < digit_zeros[i] + 10) return true;
    return false;
}

static inline bool at_wide_digit(const struct lexer *l) {
    return peek(l) >= 0x80 && is_wide_digit(l);
}

/* ---- Words ---- */

struct word { u8 len, token; u8 keyword; const char *text; };
static const struct word words[] = { /* by first letter; see word_token */
    {2, TOKEN_AS, 0, "as"},           {3, TOKEN_LOGICAL_AND, KEYWORD_AND, "and"},
    {8, TOKEN_CONTAINS, KEYWORD_CONTAINS, "contains"},
    {7, TOKEN_DEFAULT, 0, "default"}, {4, TOKEN_ELSE, 0, "else"},
    {5, TOKEN_EVERY, KEYWORD_EVERY, "every"},
    {5, TOKEN_FALSE, 0, "false"},     {6, TOKEN_IMPORT, 0, "import"},
    {2, TOKEN_IN, KEYWORD_IN, "in"},  {2, TOKEN_IF, KEYWORD_IF, "if"},
    {3, TOKEN_NOT, 0, "not"},         {4, TOKEN_NULL, 0, "null"},
    {2, TOKEN_LOGICAL_OR, KEYWORD_OR, "or"},
    {7, TOKEN_PACKAGE, 0, "package"}, {4, TOKEN_SOME, 0, "some"},
    {4, TOKEN_TRUE, 0, "true"},       {4, TOKEN_WITH, 0, "with"},
};
/* Where a first letter's words start in the list, plus one; 0: none do. */
static const u8 words_of['z' - 'a' + 1] = {
    ['a' - 'a'] = 1,  ['c' - 'a'] = 3,  ['d' - 'a'] = 4,  ['e' - 'a'] = 5,  ['f' - 'a'] = 7,
    ['i' - 'a'] = 8,  ['n' - 'a'] = 11, ['o' - 'a'] = 13, ['p' - 'a'] = 14, ['s' - 'a'] = 15,
    ['t' - 'a'] = 16, ['w' - 'a'] = 17,
};

static enum token word_token(const char *at, u32 len, unsigned keywords) {
    if (at[0] < 'a' || at[0] > 'z' || len < 2 || len > 8) return TOKEN_IDENT;
    u32 i = words_of[at[0] - 'a'];
    for (; i && i <= ARRAY_LEN(words) && words[i - 1].text[0] == at[0]; i++) {
        const struct word *w = &words[i - 1];
        if (w->len != len || w->text[1] != at[1] || memcmp(w->text, at, len) != 0) continue;
        return !w->keyword || (keywords & w->keyword) ? w->token : TOKEN_IDENT;
    }
    return TOKEN_IDENT;
}

bool token_is_reserved(str word, bool v1, unsigned extra) {
    if (word.len == 0 || word.len > 8) return false;
    return word_token(word.ptr, (u32)word.len, extra | (v1 ? KEYWORDS_V1 : 0)) != TOKEN_IDENT;
}

/* ---- Tokens ---- */

static enum token scan_word(struct lexer *l) {
    u32 start = l->at;
    do {
        while (classes[peek(l)] & (LETTER | DIGIT)) l->at++;
        look(l);
        if (!at_wide_digit(l)) break;
        step(l);
    } while (true);
    return word_token(l->text + start, l->at - start, l->keywords);
}

static bool skip_digits(struct lexer *l) {
    u32 start = l->at;
    while (classes[peek(l)] & DIGIT) l->at++;
    return l->at > start;
}
static enum token scan_number(struct lexer *l) {
    skip_digits(l);
    if (peek(l) == '.') {
        l->at++;
        if (!skip_digits(l)) lexer_error(l, "expected fraction");
    }
    if ((peek(l) | 0x20) == 'e') {
        l->at++;
        if (peek(l) == '+' || peek(l) == '-') l->at++;
        if (!skip_digits(l)) lexer_error(l, "expected exponent");
    }
    look(l);
    if (classes[peek(l)] & LETTER) { /* 0a2b is one bad number, not a number and a name */
        lexer_error(l, "illegal number format");
        while ((classes[peek(l)] & (LETTER | DIGIT)) || at_wide_digit(l)) step(l);
    }
    return TOKEN_NUMBER;
}

/* Behind a backslash. Of \uXXXX the parser checks the digits; like the reference we pass over
 * three characters whatever they are. */
static void scan_escape(struct lexer *l, bool braces) {
    u8 b = peek(l);
    if (b && strchr("\\\"/bfnrt", b)) step(l);
    else if (b == '{' && braces) step(l);
    else if (b == 'u') for (int i = 0; i < 4; i++) step(l);
    else lexer_error(l, "illegal escape sequence");
}

static enum token scan_string(struct lexer *l) {
    while (true) {
        u32 start = l->at;
        u8 b = peek(l);
        while (b >= 0x20 && b < 0x80 && b != '"' && b != '\\') b = (u8)l->text[++l->at];
        if (l->at > start) look(l);
        if (b == '\n' || l->at >= l->len) {
            lexer_error(l, "non-terminated string");
            return TOKEN_STRING;
        }
        step(l);
        if (b == '"') return TOKEN_STRING;
        if (b == '\\') scan_escape(l, false);
    }
}
static enum token scan_raw_string(struct lexer *l) {
    while (l->at < l->len) {
        u8 b = peek(l);
        step(l);
        if (b == '`') return TOKEN_STRING;
    }
    lexer_error(l, "non-terminated string");
    return TOKEN_STRING;
}

static enum token scan_template(struct lexer *l) {
    while (true) {
        u8 b = peek(l);
        if (b == '\n' || l->at >= l->len) {
            lexer_error(l, "non-terminated string");
            return TOKEN_TEMPLATE_PART;
        }
        step(l);
        if (b == '"') return TOKEN_TEMPLATE_END;
        if (b == '{') return TOKEN_TEMPLATE_PART;
        if (b == '\\') scan_escape(l, true);
    }
}
static enum token scan_raw_template(struct lexer *l) {
    while (l->at < l->len) {
        u8 b = peek(l);
        step(l);
        if (b == '`') return TOKEN_RAW_TEMPLATE_END;
        if (b == '{') return TOKEN_RAW_TEMPLATE_PART;
        if (b == '\\' && peek(l) == '{') step(l);
    }
    lexer_error(l, "non-terminated string");
    return TOKEN_RAW_TEMPLATE_PART;
}

static enum token scan_comment(struct lexer *l) {
    while (l->at < l->len && peek(l) != '\n') {
        if ((u8)(peek(l) - 1) < 0x7f) l->at++, look(l);
        else step(l);
    }
    return TOKEN_COMMENT;
}

/* `=` after it makes another token of it. */
static enum token with_equals(struct lexer *l, enum token alone, enum token with) {
    if (peek(l) != '=') return alone;
    step(l);
    return with;
}
static enum token scan_symbol(struct lexer *l) {
    u8 b = peek(l);
    if (b && b < 0x80) step_byte(l);
    else step(l);
    switch (b) {
    case '#': return scan_comment(l);
    case '"': return scan_string(l);
    case '`': return scan_raw_string(l);
    case '[': return TOKEN_LBRACK;
    case ']': return TOKEN_RBRACK;
    case '{': return TOKEN_LBRACE;
    case '}': return TOKEN_RBRACE;
    case '(': return TOKEN_LPAREN;
    case ')': return TOKEN_RPAREN;
    case ',': return TOKEN_COMMA;
    case ':': return with_equals(l, TOKEN_COLON, TOKEN_ASSIGN);
    case '+': return TOKEN_ADD;
    case '-': return TOKEN_SUB;
    case '*': return TOKEN_MUL;
    case '/': return TOKEN_QUO;
    case '%': return TOKEN_REM;
    case '&': return TOKEN_AND;
    case '|': return TOKEN_OR;
    case '=': return with_equals(l, TOKEN_UNIFY, TOKEN_EQUAL);
    case '>': return with_equals(l, TOKEN_GT, TOKEN_GTE);
    case '<': return with_equals(l, TOKEN_LT, TOKEN_LTE);
    case ';': return TOKEN_SEMICOLON;
    case '.': return TOKEN_DOT;
    case '!':
        if (peek(l) == '=') return step(l), TOKEN_NEQ;
        lexer_error(l, "illegal ! character");
        return TOKEN_ILLEGAL;
    case '$':
        if (peek(l) == '`') return step(l), scan_raw_template(l);
        if (peek(l) == '"') return step(l), scan_template(l);
        lexer_error(l, "illegal $ character");
        return TOKEN_ILLEGAL;
    default: return TOKEN_ILLEGAL;
    }
}

void lexer_open(struct lexer *l, str text, struct lexer_errors *found) {
    CHECK(text.len < UINT32_MAX);
    CHECK(text.ptr[text.len] == 0);
    *l = (struct lexer){.text = text.ptr, .len = (u32)text.len, .row = 1, .found = found};
    found->count = 0;
    look(l);
    if (str_starts(text, S("\xef\xbb\xbf"))) {
        l->at = 3, l->wide = 2;
        look(l);
    }
}

static void place(const struct lexer *l, struct lexeme *out) {
    out->offset = l->at;
    out->row = l->row;
    /* The end of the text is where its last character is. */
    out->column = l->at - l->line_at - l->wide + (l->at < l->len);
}

/* Blanks, one after the other. Only behind the last may there be a byte that must be looked at. */
static void skip_blanks(struct lexer *l, bool *newline) {
    while (classes[peek(l)] & BLANK) {
        if (peek(l) == '\n') {
            *newline = true;
            l->row++, l->line_at = l->at + 1, l->wide = 0;
        }
        l->at++;
    }
    look(l);
}
static void next_blank(struct lexer *l, bool *newline, struct lexeme *out) {
    place(l, out);
    if (peek(l) == '\n') {
        out->row++, out->column = 0, *newline = true;
        step(l);
    } else {
        step_byte(l);
    }
    out->kind = TOKEN_WHITESPACE, out->end = l->at;
}

void lexer_next(struct lexer *l, bool blanks, bool *newline, struct lexeme *out) {
    u8 c = classes[peek(l)];
    if (c & BLANK) {
        struct lexer before = *l;
        if (blanks) {
            next_blank(l, newline, out);
            return;
        }
        skip_blanks(l, newline);
        if (l->found->count) { /* an error gets the place of the blank before it */
            u32 last = l->at - 1;
            l->row = before.row, l->at = before.at, l->line_at = before.line_at,
            l->wide = before.wide;
            l->found->count = 0;
            while (l->at < last) step(l);
            next_blank(l, newline, out);
            return;
        }
        c = classes[peek(l)];
    }
    place(l, out);
    if (c & LETTER) out->kind = scan_word(l);
    else if (c & DIGIT) out->kind = scan_number(l);
    else if (l->at >= l->len) out->kind = TOKEN_EOF;
    else out->kind = scan_symbol(l);
    out->end = l->at;
}

void lexer_next_template(struct lexer *l, bool raw, struct lexeme *out) {
    place(l, out);
    out->kind = raw ? scan_raw_template(l) : scan_template(l);
    out->end = l->at;
}
