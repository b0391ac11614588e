/* SPDX-License-Identifier: Apache-2.0 */
/* lex.c — GraphQL text to tokens.
 *
 * Commas, blanks, line ends, comments and byte order marks are skipped. Columns count characters;
 * a token that is no token stands at the place where it went wrong. */
#include "app/policy/graphql/graphql_impl.h"
#include <stdio.h>

const char *graphql_token_name(enum gql_token_kind kind) {
    static const char *const names[] = {
        "<Invalid>", "<EOF>", "!", "$", "&", "(",    ")",   "...",   ":",      "=",          "@",
        "[",         "]",     "{", "}", "|", "Name", "Int", "Float", "String", "BlockString"};
    return names[kind];
}

static struct gql_token token(const struct gql_lexer *l, enum gql_token_kind kind, str text,
                              struct gql_place at) {
    (void)l;
    return (struct gql_token){kind, text, at};
}

static struct gql_token invalid(struct gql_lexer *l, const char *words) {
    snprintf(l->error, sizeof l->error, "%s", words);
    return (struct gql_token){GQL_T_INVALID, {0}, {l->line, l->column}};
}

static void skip_bytes(struct gql_lexer *l, size_t n) {
    l->at += n, l->column += (u32)n;
}

/* One character, of whatever width; a byte that is none counts as one. */
static void skip_character(struct gql_lexer *l) {
    l->at++;
    while (l->at < l->text.len && ((u8)l->text.ptr[l->at] & 0xC0) == 0x80) l->at++;
    l->column++;
}

static void skip_line_end(struct gql_lexer *l) {
    bool cr = l->text.ptr[l->at] == '\r';
    l->at++;
    l->line++, l->column = 1;
    if (cr && l->at < l->text.len && l->text.ptr[l->at] == '\n') l->at++, l->column++;
}

static void skip_blanks(struct gql_lexer *l) {
    while (l->at < l->text.len) {
        char c = l->text.ptr[l->at];
        if (c == ' ' || c == '\t' || c == ',')
            skip_bytes(l, 1);
        else if (c == '\n' || c == '\r')
            skip_line_end(l);
        else if (str_starts(str_skip(l->text, l->at), S("\xEF\xBB\xBF")))
            l->at += 3, l->column++;
        else if (c == '#')
            while (l->at < l->text.len &&
                   ((u8)l->text.ptr[l->at] > 0x1F || l->text.ptr[l->at] == '\t'))
                skip_character(l);
        else
            return;
    }
}

static bool is_name_byte(char c, bool first) {
    char low = c | 0x20;
    return (low >= 'a' && low <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

static u32 skip_digits(struct gql_lexer *l) {
    u32 n = 0;
    while (l->at < l->text.len && l->text.ptr[l->at] >= '0' && l->text.ptr[l->at] <= '9')
        skip_bytes(l, 1), n++;
    return n;
}
static bool accept(struct gql_lexer *l, const char *any) {
    if (l->at == l->text.len || !l->text.ptr[l->at] || !strchr(any, l->text.ptr[l->at]))
        return false;
    skip_bytes(l, 1);
    return true;
}
static struct gql_token bad_number(struct gql_lexer *l, const char *what) {
    char words[160];
    if (l->at < l->text.len)
        snprintf(words, sizeof words, "Invalid number, %s: \"%c\".", what, l->text.ptr[l->at]);
    else
        snprintf(words, sizeof words, "Invalid number, %s: <EOF>.", what);
    return invalid(l, words);
}

static struct gql_token lex_number(struct gql_lexer *l) {
    struct gql_place at = {l->line, l->column};
    size_t from = l->at;
    bool is_float = false;
    (void)accept(l, "-");
    if (accept(l, "0")) {
        size_t here = l->at;
        u32 column = l->column;
        if (skip_digits(l)) {
            l->at = here, l->column = column;
            return bad_number(l, "unexpected digit after 0");
        }
    } else if (!skip_digits(l))
        return bad_number(l, "expected digit but got");
    if (accept(l, ".")) {
        is_float = true;
        if (!skip_digits(l)) return bad_number(l, "expected digit but got");
    }
    if (accept(l, "eE")) {
        is_float = true;
        (void)accept(l, "+-");
        if (!skip_digits(l)) return bad_number(l, "expected digit but got");
    }
    return token(l, is_float ? GQL_T_FLOAT : GQL_T_INT, str_of(l->text.ptr + from, l->at - from),
                 at);
}

static size_t put_rune(char *to, u32 c) {
    if (c >= 0xD800 && c <= 0xDFFF) c = 0xFFFD;
    if (c < 0x80) return to[0] = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xC0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    return to[0] = (char)(0xE0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63)),
           to[2] = (char)(0x80 | (c & 63)), 3;
}

static s32 hex4(str s) {
    s32 v = 0;
    if (s.len < 5) return -1; /* four digits and what ends the string */
    for (int i = 0; i < 4; i++) {
        char c = s.ptr[i], low = c | 0x20;
        int d = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (d < 0) return -1;
        v = v * 16 + d;
    }
    return v;
}

static bool lex_escape(struct gql_lexer *l, char *to, size_t *n) {
    static const char from[] = "\"/\\bfnrt", as[] = "\"/\\\b\f\n\r\t";
    char c = l->at + 1 < l->text.len ? l->text.ptr[l->at + 1] : 0;
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        to[(*n)++] = as[known - from];
        skip_bytes(l, 2);
        return true;
    }
    s32 rune = c == 'u' ? hex4(str_skip(l->text, l->at + 2)) : -1;
    if (rune >= 0) {
        *n += put_rune(to + *n, (u32)rune);
        skip_bytes(l, 6);
        return true;
    }
    skip_bytes(l, 1);
    snprintf(l->error, sizeof l->error, "Invalid character escape sequence: \\%.*s.",
             c == 'u' ? 5 : 1, c ? l->text.ptr + l->at : "");
    return false;
}

static struct gql_token lex_string(struct gql_lexer *l) {
    size_t n = 0;
    skip_bytes(l, 1);
    struct gql_place at = {l->line, l->column}; /* behind the quote, as the reference counts */
    size_t from = l->at;
    const char *end = memchr(l->text.ptr + from, '\n', l->text.len - from);
    size_t most = end ? (size_t)(end - l->text.ptr) - from : l->text.len - from;
    char *to = heap_alloc(l->context->heap, most + 4);
    if (!to) return invalid(l, "out of memory");
    while (l->at < l->text.len) {
        char c = l->text.ptr[l->at];
        if (c == '\n' || c == '\r') break;
        if (c == '"') {
            skip_bytes(l, 1);
            return token(l, GQL_T_STRING, str_of(to, n), at);
        }
        if ((u8)c < 0x20 && c != '\t') return invalid(l, "Invalid character within String");
        if (c == '\\') {
            if (!lex_escape(l, to, &n))
                return (struct gql_token){GQL_T_INVALID, {0}, {l->line, l->column}};
            continue;
        }
        size_t before = l->at;
        skip_character(l);
        memcpy(to + n, l->text.ptr + before, l->at - before);
        n += l->at - before;
    }
    return invalid(l, "Unterminated string.");
}

/* ---- Block strings: indentation shared by all lines but the first is taken off, and blank lines
 * at both ends ---- */

static bool next_line(str *rest, str *line, bool *any) {
    if (!*any) return false;
    size_t at = str_find_byte(*rest, '\n');
    *line = str_take(*rest, at);
    *any = at < rest->len;
    *rest = str_skip(*rest, at + 1);
    return true;
}
static size_t indent_of(str line) {
    size_t n = 0;
    while (n < line.len && (line.ptr[n] == ' ' || line.ptr[n] == '\t')) n++;
    return n;
}

static str without_indent(struct heap *h, str raw) {
    size_t common = SIZE_MAX, n = 0, kept = 0;
    str rest = raw, line;
    bool any = true, first = true;
    while (next_line(&rest, &line, &any)) {
        size_t indent = indent_of(line);
        if (!first && indent < line.len && indent < common) common = indent;
        first = false;
    }
    char *to = heap_alloc(h, raw.len + 1);
    if (!to) return (str){0};
    rest = raw, any = true, first = true;
    bool started = false;
    while (next_line(&rest, &line, &any)) {
        if (!first && common != SIZE_MAX) line = str_skip(line, common);
        first = false;
        bool blank = indent_of(line) == line.len;
        if (!started && blank) continue;
        if (started) to[n++] = '\n';
        started = true;
        if (line.len) memcpy(to + n, line.ptr, line.len);
        n += line.len;
        if (!blank) kept = n;
    }
    return str_of(to, kept);
}

static struct gql_token lex_block(struct gql_lexer *l) {
    size_t n = 0;
    skip_bytes(l, 3);
    struct gql_place at = {l->line, l->column};
    char *raw = heap_alloc(l->context->heap, l->text.len - l->at + 1);
    if (!raw) return invalid(l, "out of memory");
    while (l->at < l->text.len) {
        str rest = str_skip(l->text, l->at);
        char c = *rest.ptr;
        if (str_starts(rest, S("\"\"\""))) {
            /* The token begins on its first line; the reference tells the line of its end. */
            at.line = l->line;
            skip_bytes(l, 3);
            return token(l, GQL_T_BLOCK_STRING, without_indent(l->context->heap, str_of(raw, n)),
                         at);
        }
        if (str_starts(rest, S("\\\"\"\""))) {
            memcpy(raw + n, "\"\"\"", 3);
            n += 3;
            skip_bytes(l, 4);
        } else if (c == '\n' || c == '\r') {
            raw[n++] = '\n';
            skip_line_end(l);
        } else if ((u8)c < 0x20 && c != '\t') {
            return invalid(l, "Invalid character within String");
        } else {
            size_t before = l->at;
            skip_character(l);
            memcpy(raw + n, l->text.ptr + before, l->at - before);
            n += l->at - before;
        }
    }
    return invalid(l, "Unterminated string.");
}

struct gql_token graphql_lex(struct gql_lexer *l) {
    static const char punctuation[] = "!$&():=@[]{}|";
    static const u8 kinds[] = {GQL_T_BANG,      GQL_T_DOLLAR,    GQL_T_AMP,     GQL_T_PAREN_L,
                               GQL_T_PAREN_R,   GQL_T_COLON,     GQL_T_EQUALS,  GQL_T_AT,
                               GQL_T_BRACKET_L, GQL_T_BRACKET_R, GQL_T_BRACE_L, GQL_T_BRACE_R,
                               GQL_T_PIPE};
    skip_blanks(l);
    struct gql_place at = {l->line, l->column};
    str rest = str_skip(l->text, l->at);
    if (rest.len == 0) return token(l, GQL_T_EOF, (str){0}, at);
    char c = *rest.ptr;
    const char *known = c ? strchr(punctuation, c) : NULL;
    if (known) {
        skip_bytes(l, 1);
        return token(l, kinds[known - punctuation], (str){0}, at);
    }
    if (str_starts(rest, S("..."))) {
        skip_bytes(l, 3);
        return token(l, GQL_T_SPREAD, (str){0}, at);
    }
    if (is_name_byte(c, true)) {
        size_t from = l->at;
        while (l->at < l->text.len && is_name_byte(l->text.ptr[l->at], false)) skip_bytes(l, 1);
        return token(l, GQL_T_NAME, str_of(l->text.ptr + from, l->at - from), at);
    }
    if (c == '-' || (c >= '0' && c <= '9')) return lex_number(l);
    if (str_starts(rest, S("\"\"\""))) return lex_block(l);
    if (c == '"') return lex_string(l);
    char words[160];
    if ((u8)c < 0x20)
        snprintf(words, sizeof words, "Cannot contain the invalid character \"\\u%04d\"", c);
    else if (c == '\'')
        snprintf(words, sizeof words,
                 "Unexpected single quote character ('), did you mean to use a double quote (\")?");
    else
        snprintf(words, sizeof words, "Cannot parse the unexpected character \"%c\".", c);
    return invalid(l, words);
}
