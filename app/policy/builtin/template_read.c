/* SPDX-License-Identifier: Apache-2.0 */
/* template_read.c — a template's text becomes a tree. The first error ends the reading. */
#include "app/policy/builtin/quote.h"
#include "app/policy/builtin/template.h"
#include <stdarg.h>
#include <stdio.h>

enum { VARIABLES_MAX = 64 };
enum ending { END_OF_TEXT, END_END, END_ELSE };

struct reading {
    struct builtin_call *call;
    str all;
    size_t at;
    u32 depth, loops;
    str variables[VARIABLES_MAX];
    u32 variable_count;
    struct template *templates, **last;
    bool else_if, else_with; /* what followed the last {{else */
};

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_word(char c) {
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (u8)c >= 0x80;
}
static char peek(const struct reading *r) {
    return r->at < r->all.len ? r->all.ptr[r->at] : 0;
}
static str ahead(const struct reading *r) {
    return str_skip(r->all, r->at);
}
static str since(const struct reading *r, size_t from) {
    while (from < r->at && is_space(r->all.ptr[from])) from++;
    size_t end = r->at;
    while (end > from && is_space(r->all.ptr[end - 1])) end--;
    return str_take(str_skip(r->all, from), end - from);
}
static void spaces(struct reading *r) {
    while (r->at < r->all.len && is_space(peek(r))) r->at++;
}

static bool fail(struct reading *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static bool fail(struct reading *r, const char *fmt, ...) {
    char words[256];
    u32 line = 1;
    va_list args;
    if (r->call->failed) return false;
    for (size_t i = 0; i < r->at && i < r->all.len; i++) line += r->all.ptr[i] == '\n';
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    builtin_fail(r->call, "template: template:%u: %s", line, words);
    return false;
}
static void *make(struct reading *r, size_t bytes) {
    void *p = heap_alloc(r->call->heap, bytes);
    if (p)
        memset(p, 0, bytes);
    else
        builtin_fail_memory(r->call);
    return p;
}

static bool at_end(const struct reading *r) {
    return str_starts(ahead(r), S("}}")) ||
           (str_starts(ahead(r), S("-}}")) && r->at && is_space(r->all.ptr[r->at - 1]));
}
static bool close_action(struct reading *r) {
    spaces(r);
    if (str_starts(ahead(r), S("}}"))) {
        r->at += 2;
        return true;
    }
    if (at_end(r)) {
        r->at += 3;
        spaces(r);
        return true;
    }
    if (r->at >= r->all.len) return fail(r, "unclosed action");
    return fail(r, "unexpected <%.*s> in command", 1, ahead(r).ptr);
}

static str take_word(struct reading *r) {
    size_t from = r->at;
    while (r->at < r->all.len && is_word(peek(r))) r->at++;
    return str_take(str_skip(r->all, from), r->at - from);
}
static bool word_is_next(struct reading *r, const char *word) {
    size_t n = strlen(word);
    str s = ahead(r);
    return str_starts(s, str_from_c(word)) && (s.len == n || !is_word(s.ptr[n]));
}
static bool take_keyword(struct reading *r, const char *word) {
    if (!word_is_next(r, word)) return false;
    r->at += strlen(word);
    return true;
}

/* ---- Terms ----------------------------------------------------------------------------------- */

static bool take_escape(struct reading *r, struct buf *to) {
    static const char from[] = "abfnrtv\\'\"", into[] = "\a\b\f\n\r\t\v\\'\"";
    char c = peek(r);
    const char *at = c ? strchr(from, c) : NULL;
    r->at++;
    if (at) return buf_add_byte(to, into[at - from]) == RC_OK;
    u32 digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, rune = 0;
    if (!digits || ahead(r).len < digits) return false;
    for (u32 i = 0; i < digits; i++, r->at++) {
        char d = peek(r);
        u32 n = is_digit(d)                              ? (u32)(d - '0')
                : (d | 0x20) >= 'a' && (d | 0x20) <= 'f' ? (u32)((d | 0x20) - 'a' + 10)
                                                         : 16;
        if (n == 16) return false;
        rune = rune << 4 | n;
    }
    if (c == 'x')
        (void)buf_add_byte(to, (char)rune);
    else
        buf_add_rune(to, rune);
    return true;
}

static bool take_quoted(struct reading *r, struct template_term *t) {
    char quote = peek(r);
    struct buf b;
    bool good = true;
    r->at++;
    builtin_text_open(r->call, &b);
    while (good && r->at < r->all.len && peek(r) != quote && (quote == '`' || peek(r) != '\n')) {
        char c = r->all.ptr[r->at++];
        if (c == '\\' && quote != '`')
            good = take_escape(r, &b);
        else
            (void)buf_add_byte(&b, c);
    }
    if (good && peek(r) != quote) {
        buf_close(&b);
        return fail(r,
                    quote == '`' ? "unterminated raw quoted string" : "unterminated quoted string");
    }
    r->at++;
    t->kind = TERM_STRING;
    if (quote == '\'') { /* the number of a rune */
        u32 width = 0;
        str s = buf_str(&b);
        u32 rune = s.len ? rune_decode(s, 0, &width) : 0;
        good &= s.len && width == s.len;
        t->kind = TERM_NUMBER, t->whole = true, t->v = value_integer(rune);
        buf_close(&b);
    } else
        t->v = builtin_text_close(r->call, &b);
    return good ? !r->call->failed : fail(r, "invalid syntax");
}

static bool take_number(struct reading *r, struct template_term *t) {
    size_t from = r->at;
    s64 n;
    if (peek(r) == '-' || peek(r) == '+') r->at++;
    while (is_word(peek(r)) || peek(r) == '.' ||
           ((peek(r) == '-' || peek(r) == '+') && (r->all.ptr[r->at - 1] | 0x20) == 'e'))
        r->at++;
    str text = str_take(str_skip(r->all, from), r->at - from);
    t->kind = TERM_NUMBER;
    str plain = text.len && *text.ptr == '+' ? str_skip(text, 1) : text;
    t->whole = str_to_s64(plain, &n) == RC_OK;
    struct diag why;
    if (t->whole)
        t->v = value_integer(n);
    else if (json_text_read(r->call->heap, NULL, plain, &t->v, &why) ||
             !value_is(t->v, VALUE_NUMBER))
        return fail(r, "bad number syntax: \"%.*s\"", STR(str_take(text, 60)));
    return true;
}

static bool variable_known(const struct reading *r, str name) {
    if (name.len == 1) return true; /* $ */
    for (u32 i = 0; i < r->variable_count; i++)
        if (str_eq(r->variables[i], name)) return true;
    return false;
}
static str take_variable(struct reading *r) {
    size_t from = r->at++;
    (void)take_word(r);
    return str_take(str_skip(r->all, from), r->at - from);
}

static struct template_pipe *take_pipe(struct reading *r, bool range, const char *context);

static bool take_parenthesis(struct reading *r, struct template_term *t) {
    r->at++;
    if (r->depth == TEMPLATE_DEPTH_MAX) return fail(r, "max expression depth exceeded");
    r->depth++;
    t->kind = TERM_PIPE;
    t->pipe = take_pipe(r, false, "parenthesized pipeline");
    r->depth--;
    if (!t->pipe) return false;
    spaces(r);
    if (peek(r) != ')') return fail(r, "unclosed left paren");
    r->at++;
    return true;
}

static bool take_name(struct reading *r, struct template_term *t) {
    str word = take_word(r);
    bool yes = str_eq(word, S("true"));
    t->name = word, t->kind = TERM_FUNCTION;
    if (yes || str_eq(word, S("false")))
        t->kind = TERM_BOOLEAN, t->v = value_boolean(yes);
    else if (str_eq(word, S("nil")))
        t->kind = TERM_NIL;
    else if (!template_function_known(word))
        return fail(r, "function \"%.*s\" not defined", STR(str_take(word, 100)));
    return true;
}

/* .a.b: where errors point to is the second name, if there is one. */
static bool take_fields(struct reading *r, struct template_term *t) {
    size_t from = r->at, names = 0;
    while (peek(r) == '.' && r->at + 1 < r->all.len && is_word(r->all.ptr[r->at + 1])) {
        if (names++ == (t->kind == TERM_DOT)) t->at = ahead(r);
        r->at++;
        (void)take_word(r);
    }
    t->fields = str_take(str_skip(r->all, from), r->at - from);
    if (names && (t->kind == TERM_STRING || t->kind == TERM_NUMBER || t->kind == TERM_BOOLEAN ||
                  t->kind == TERM_NIL))
        return fail(r, "unexpected . after term %.*s", STR(str_take(t->source, 40)));
    return true;
}

static struct template_term *take_term(struct reading *r) {
    struct template_term *t = make(r, sizeof *t);
    size_t from = r->at;
    char c = peek(r);
    bool good = true;
    if (!t) return NULL;
    t->at = ahead(r);
    if (c == '"' || c == '`' || c == '\'')
        good = take_quoted(r, t);
    else if (is_digit(c) || c == '-' || c == '+')
        good = take_number(r, t);
    else if (c == '$') {
        t->kind = TERM_VARIABLE, t->name = take_variable(r);
        if (!variable_known(r, t->name))
            good = fail(r, "undefined variable \"%.*s\"", STR(str_take(t->name, 100)));
    } else if (c == '(')
        good = take_parenthesis(r, t);
    else if (c == '.') {
        t->kind = TERM_DOT;
        if (r->at + 1 == r->all.len || !is_word(r->all.ptr[r->at + 1]))
            r->at++;
        else if (is_digit(r->all.ptr[r->at + 1]))
            good = take_number(r, t);
    } else if (is_word(c))
        good = take_name(r, t);
    else if (!c)
        good = fail(r, "unclosed action");
    else if (c == ')')
        good = fail(r, "unexpected right paren");
    else
        good = fail(r, "unexpected %s%.*s%s in operand",
                    c == '|' || c == '}' ? "\"" : "bad character ", 1, ahead(r).ptr,
                    c == '|' || c == '}' ? "\"" : "");
    if (!good) return NULL;
    t->source = since(r, from);
    if (t->kind != TERM_DOT || r->at == from) good = take_fields(r, t);
    t->source = since(r, from);
    return good ? t : NULL;
}

static struct template_command *take_command(struct reading *r, const char *context) {
    struct template_command *k = make(r, sizeof *k);
    struct template_term **last = k ? &k->terms : NULL;
    size_t from = r->at;
    if (!k) return NULL;
    for (;;) {
        spaces(r);
        char c = peek(r);
        if (at_end(r) || c == '|' || c == ')') break;
        if (!(*last = take_term(r))) return NULL;
        last = &(*last)->next;
        c = peek(r);
        if (!is_space(c) && c != '|' && c != ')' && !at_end(r)) {
            if (r->at >= r->all.len)
                fail(r, "unclosed action");
            else
                fail(r, "unexpected \"%.*s\" in operand", 1, ahead(r).ptr);
            return NULL;
        }
    }
    if (!k->terms) {
        fail(r, peek(r) == '|' || !context ? "missing value for command" : "missing value for %s",
             context);
        return NULL;
    }
    k->source = since(r, from);
    return k;
}

/* "$x :=", "$x =", and with range "$i, $e :=" */
static bool take_declaration(struct reading *r, struct template_pipe *p, bool range) {
    size_t back = r->at;
    spaces(r);
    while (peek(r) == '$' && p->name_count < 2) {
        p->names[p->name_count++] = take_variable(r);
        spaces(r);
        if (str_starts(ahead(r), S(":="))) {
            r->at += 2;
            return true;
        }
        if (peek(r) == '=') {
            p->assigns = true, r->at++;
            for (u32 i = 0; i < p->name_count; i++)
                if (!variable_known(r, p->names[i]))
                    return fail(r, "undefined variable \"%.*s\"", STR(str_take(p->names[i], 100)));
            return true;
        }
        if (peek(r) != ',' || !range) break;
        r->at++;
        spaces(r);
    }
    p->name_count = 0, r->at = back;
    return true;
}

static struct template_pipe *take_pipe(struct reading *r, bool range, const char *context) {
    struct template_pipe *p = make(r, sizeof *p);
    if (!p || !take_declaration(r, p, range)) return NULL;
    struct template_command **last = &p->commands;
    spaces(r);
    size_t from = r->at;
    for (;;) {
        if (!(*last = take_command(r, context))) return NULL;
        enum term_kind first = (*last)->terms->kind;
        if (last != &p->commands && (first == TERM_BOOLEAN || first == TERM_STRING ||
                                     first == TERM_NUMBER || first == TERM_NIL)) {
            fail(r, "non executable command in pipeline stage 2");
            return NULL;
        }
        last = &(*last)->next;
        if (peek(r) != '|') break;
        r->at++;
    }
    p->source = since(r, from);
    for (u32 i = 0; i < p->name_count && !p->assigns; i++) {
        if (r->variable_count == VARIABLES_MAX) {
            fail(r, "too many variables");
            return NULL;
        }
        r->variables[r->variable_count++] = p->names[i];
    }
    return p;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static bool take_list(struct reading *r, struct template_node **first, enum ending *how);

/* After the pipeline of if, range or with: the body, {{else}}'s, {{end}}. */
static bool take_branches(struct reading *r, struct template_node *n) {
    enum ending how;
    u32 mine = r->variable_count;
    r->loops += n->kind == TEMPLATE_RANGE;
    bool good = take_list(r, &n->body, &how);
    r->loops -= n->kind == TEMPLATE_RANGE;
    r->variable_count = mine;
    if (!good) return false;
    if (how == END_OF_TEXT) return fail(r, "unexpected EOF");
    if (how == END_END) return true;
    if ((r->else_if && n->kind == TEMPLATE_IF) || (r->else_with && n->kind == TEMPLATE_WITH)) {
        if (!(n->otherwise = make(r, sizeof *n))) return false;
        n->otherwise->kind = n->kind;
        if (r->depth == TEMPLATE_DEPTH_MAX) return fail(r, "templates are nested too deeply");
        r->depth++;
        n->otherwise->pipe = take_pipe(r, false, r->else_if ? "if" : "with");
        good = n->otherwise->pipe && close_action(r) && take_branches(r, n->otherwise);
        r->depth--;
        return good;
    }
    if (!close_action(r) || !take_list(r, &n->otherwise, &how)) return false;
    if (how == END_OF_TEXT) return fail(r, "unexpected EOF");
    return how == END_END || fail(r, "expected end; found {{else}}");
}

static bool take_block(struct reading *r, struct template_node *n, const char *word) {
    u32 outside = r->variable_count;
    size_t from = r->at;
    n->pipe = take_pipe(r, n->kind == TEMPLATE_RANGE, word);
    n->source = since(r, from);
    bool good = n->pipe && close_action(r) && take_branches(r, n);
    r->variable_count = outside;
    return good;
}

static bool take_string(struct reading *r, const char *what, str *out) {
    struct template_term t = {0};
    spaces(r);
    if (peek(r) != '"' && peek(r) != '`')
        return fail(r, "unexpected <%.*s> in %s", 1, ahead(r).ptr, what);
    if (!take_quoted(r, &t)) return false;
    *out = value_str(t.v);
    return true;
}

/* {{define "name"}} and the inside of {{block "name" pipeline}}: variables of its own. */
static bool take_definition(struct reading *r, str name) {
    struct template *t = make(r, sizeof *t);
    enum ending how;
    u32 outside = r->variable_count, loops = r->loops;
    if (!t) return false;
    t->name = name;
    r->loops = 0;
    bool good = take_list(r, &t->body, &how);
    r->variable_count = outside, r->loops = loops;
    if (!good) return false;
    if (how != END_END)
        return fail(r, how == END_ELSE ? "unexpected {{else}} in define clause" : "unexpected EOF");
    *r->last = t, r->last = &t->next;
    return true;
}

static bool take_call(struct reading *r, struct template_node *n, bool block) {
    n->kind = TEMPLATE_CALL;
    if (!take_string(r, block ? "block clause" : "template clause", &n->text)) return false;
    spaces(r);
    if (block || !at_end(r)) {
        n->pipe = take_pipe(r, false, block ? "block clause" : "template clause");
        if (!n->pipe) return false;
    }
    return close_action(r) && (!block || take_definition(r, n->text));
}

/* One action, its {{ read. `n` is filled; *made: there is something to do. */
static bool take_action(struct reading *r, struct template_node *n, bool *made) {
    str name;
    *made = true;
    spaces(r);
    size_t from = r->at;
    if (take_keyword(r, "if")) return n->kind = TEMPLATE_IF, take_block(r, n, "if");
    if (take_keyword(r, "range")) return n->kind = TEMPLATE_RANGE, take_block(r, n, "range");
    if (take_keyword(r, "with")) return n->kind = TEMPLATE_WITH, take_block(r, n, "with");
    if (take_keyword(r, "template")) return take_call(r, n, false);
    if (take_keyword(r, "block")) return take_call(r, n, true);
    if (take_keyword(r, "define")) {
        *made = false;
        return take_string(r, "define clause", &name) && close_action(r) &&
               take_definition(r, name);
    }
    bool breaks = take_keyword(r, "break");
    if (breaks || take_keyword(r, "continue")) {
        n->kind = breaks ? TEMPLATE_BREAK : TEMPLATE_CONTINUE;
        if (!r->loops) return fail(r, "{{%s}} outside {{range}}", breaks ? "break" : "continue");
        return close_action(r);
    }
    n->kind = TEMPLATE_ACTION;
    n->pipe = take_pipe(r, false, "command");
    n->source = since(r, from);
    return n->pipe && close_action(r);
}

/* A comment, if one stands here. */
static bool take_comment(struct reading *r, bool *found) {
    str s = ahead(r);
    *found = str_starts(s, S("/*"));
    if (!*found) return true;
    size_t end = str_find(s, S("*/"));
    if (end == s.len) return fail(r, "unclosed comment");
    r->at += end + 2;
    if (!str_starts(ahead(r), S("}}")) && !str_starts(str_trim(ahead(r)), S("-}}")))
        return fail(r, "comment ends before closing delimiter");
    return close_action(r);
}

static bool take_text(struct reading *r, struct template_node *n) {
    str s = ahead(r);
    size_t end = str_find(s, S("{{"));
    n->kind = TEMPLATE_TEXT, n->text = str_take(s, end);
    r->at += end;
    s = ahead(r);
    if (s.len > 3 && s.ptr[2] == '-' && is_space(s.ptr[3]))
        while (n->text.len && is_space(n->text.ptr[n->text.len - 1])) n->text.len--;
    return true;
}

/* Up to the {{end}} or {{else that is not ours. */
static bool take_list(struct reading *r, struct template_node **last, enum ending *how) {
    bool good = true;
    *how = END_OF_TEXT;
    if (r->depth == TEMPLATE_DEPTH_MAX) return fail(r, "templates are nested too deeply");
    r->depth++;
    while (good && r->at < r->all.len) {
        struct template_node *n = make(r, sizeof *n);
        bool made = true;
        if (!n || !builtin_tick(r->call, 1)) return false;
        if (!str_starts(ahead(r), S("{{")))
            (void)take_text(r, n);
        else {
            r->at += 2;
            if (peek(r) == '-' && ahead(r).len > 1 && is_space(ahead(r).ptr[1]))
                r->at += 2, spaces(r);
            bool comment;
            if (!take_comment(r, &comment)) return false;
            if (comment) continue;
            spaces(r);
            if (take_keyword(r, "end")) {
                *how = END_END, r->depth--;
                return close_action(r);
            }
            if (take_keyword(r, "else")) {
                *how = END_ELSE, r->depth--;
                spaces(r);
                r->else_if = take_keyword(r, "if"),
                r->else_with = !r->else_if && take_keyword(r, "with");
                return true;
            }
            good = take_action(r, n, &made);
        }
        if (good && made) *last = n, last = &n->next;
    }
    r->depth--;
    return good;
}

struct template *template_read(struct builtin_call *c, str text) {
    struct reading r = {.call = c, .all = text};
    enum ending how;
    struct template *main = make(&r, sizeof *main);
    if (!main) return NULL;
    r.last = &main->next;
    main->name = S("template");
    if (!take_list(&r, &main->body, &how)) return NULL;
    if (how == END_OF_TEXT) return main;
    fail(&r, "unexpected {{%s}}", how == END_END ? "end" : "else");
    return NULL;
}
