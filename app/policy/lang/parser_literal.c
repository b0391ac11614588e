/* SPDX-License-Identifier: Apache-2.0 */
/* parser_literal.c — numbers, strings and template strings.
 *
 *   1.50   "a\tb"   `a\tb`   $"Hello, {input.name}!"   $`{x} as it \{stands}`
 *
 * Numbers keep the digits they were written with; ".5" is "0.5". Strings in double quotes have
 * JSON's escapes, checked only when there is a backslash in them, as the reference does; those in
 * backticks have none. Of a template string the lexer hands out the text up to the next brace and
 * the parser reads the expression there as any other; in the text, \{ is a brace. */
#include "app/policy/lang/parser_impl.h"
#include "app/policy/value/number.h"

static struct ast_term *scalar_at(struct parser *p, struct ast_location at, value v) {
    return ast_scalar(p->heap, &at, v);
}

/* ---- Numbers ---- */

/* log2 of the largest magnitude the reference reads; it refuses 2^100000 and more, and as small. */
#define NUMBER_LOG2_MAX 100000.0

/* `*unread`: its exponent of two has no 32 bits, so that the reference cannot read it at all. */
static bool number_too_big(str s, bool *unread) {
    double log10_of = 0, lead = 0;
    s64 exponent = 0, point = 0, counted = 0, behind = 0;
    bool digits = false, fraction = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '.') fraction = true;
        else if (c >= '0' && c <= '9') {
            behind += fraction;
            if (digits || c != '0') {
                counted++;
                if (!digits) lead = c - '0';
                digits = true;
                point += !fraction;
            } else if (fraction) {
                point--;
            }
        } else if (c == 'e' || c == 'E') {
            bool minus = i + 1 < s.len && s.ptr[i + 1] == '-';
            for (size_t k = i + 1; k < s.len; k++)
                if (s.ptr[k] >= '0' && s.ptr[k] <= '9' && exponent < 1000000000)
                    exponent = exponent * 10 + (s.ptr[k] - '0');
            if (minus) exponent = -exponent;
            break;
        }
    }
    if (!digits) return false; /* zero, whatever the exponent */
    double exponent2 = (double)(exponent - behind) + (double)counted * 3.321928094887362;
    *unread = exponent2 > INT32_MAX || exponent2 < INT32_MIN;
    log10_of = (double)(point - 1 + exponent) + (lead >= 5 ? 0.7 : lead >= 2 ? 0.3 : 0);
    double log2_of = log10_of * 3.321928094887362;
    return log2_of > NUMBER_LOG2_MAX || log2_of < -NUMBER_LOG2_MAX;
}

static struct ast_term *number_failed(struct parser *p, const char *note) {
    parse_illegal(p, note);
    return NULL;
}
struct ast_term *parse_number(struct parser *p) {
    struct ast_location at = parse_here(p);
    bool minus = now(p) == TOKEN_SUB, dot;
    if (minus) {
        parse_scan(p);
        if (now(p) != TOKEN_NUMBER && now(p) != TOKEN_DOT)
            return number_failed(p, "expected number");
    }
    dot = now(p) == TOKEN_DOT;
    if (dot) {
        parse_scan(p);
        if (now(p) != TOKEN_NUMBER) return number_failed(p, "expected number");
    }
    str s = parse_lexeme(p);
    if (!dot && s.len > 1 && s.ptr[0] == '0' && s.ptr[1] != '.' &&
        !(s.len > 2 && (s.ptr[1] == 'e' || s.ptr[1] == 'E')))
        return number_failed(p, "expected number without leading zero");
    if (minus || dot) s = parse_print(p, "%s%s%.*s", minus ? "-" : "", dot ? "0." : "", STR(s));
    if (dot && str_find_byte(str_skip(s, 3), '.') < s.len - 3)
        return number_failed(p, "invalid float");
    bool unread = false, big = number_too_big(s, &unread);
    if (unread) return number_failed(p, "invalid float");
    value v = big ? UNDEFINED : value_number(p->heap, s);
    if (!value_defined(v)) {
        parse_error_at(p, parse_here(p), "number too big");
        return NULL;
    }
    return scalar_at(p, at, v);
}

/* ---- Strings ---- */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
/* The four digits behind `\u`; -1: they are none. */
static s32 read_u4(str s, size_t at) {
    if (at + 4 > s.len) return -1;
    s32 n = 0;
    for (size_t i = at; i < at + 4; i++) {
        int d = hex_digit(s.ptr[i]);
        if (d < 0) return -1;
        n = n << 4 | d;
    }
    return n;
}
static size_t put_utf8(char *to, u32 c) {
    if (c < 0x80) return to[0] = (char)c, 1;
    if (c < 0x800) return to[0] = (char)(0xc0 | c >> 6), to[1] = (char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12), to[1] = (char)(0x80 | (c >> 6 & 63));
        return to[2] = (char)(0x80 | (c & 63)), 3;
    }
    to[0] = (char)(0xf0 | c >> 18), to[1] = (char)(0x80 | (c >> 12 & 63));
    to[2] = (char)(0x80 | (c >> 6 & 63));
    return to[3] = (char)(0x80 | (c & 63)), 4;
}
/* `\uXXXX` at s.ptr[*i] == 'u', a pair of surrogates as one character, a lone one as U+FFFD. */
static bool unescape_u(str s, size_t *i, char *to, size_t *n) {
    s32 c = read_u4(s, *i + 1);
    if (c < 0) return false;
    *i += 4;
    if (c >= 0xd800 && c < 0xe000) {
        s32 low = *i + 2 < s.len && s.ptr[*i + 1] == '\\' && s.ptr[*i + 2] == 'u'
                      ? read_u4(s, *i + 3)
                      : -1;
        if (c < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            *i += 6;
        } else {
            c = 0xfffd;
        }
    }
    *n += put_utf8(to + *n, (u32)c);
    return true;
}
/* JSON's escapes; `braces`: and \{. Never longer than `s`. False: not JSON's. */
static bool unescape(str s, bool braces, char *to, size_t *out_len) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if ((u8)s.ptr[i] < 0x20) return false;
        if (s.ptr[i] != '\\') {
            to[n++] = s.ptr[i];
            continue;
        }
        if (++i == s.len) return false;
        static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
        const char *known = s.ptr[i] ? strchr(from, s.ptr[i]) : NULL;
        if (known) to[n++] = into[known - from];
        else if (braces && s.ptr[i] == '{') to[n++] = '{';
        else if (s.ptr[i] != 'u' || !unescape_u(s, &i, to, &n)) return false;
    }
    *out_len = n;
    return true;
}
/* Whether there is more than \{ to undo: only then does the reference look closer. */
static bool has_escapes(str s) {
    for (size_t i = 0; i + 1 < s.len; i++)
        if (s.ptr[i] == '\\' && s.ptr[i + 1] != '{') return true;
        else if (s.ptr[i] == '\\') i++;
    return false;
}
static size_t drop_brace_escapes(str s, char *to) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '\\' && i + 1 < s.len && s.ptr[i + 1] == '{') i++;
        to[n++] = s.ptr[i];
    }
    return n;
}

struct ast_term *parse_string(struct parser *p) {
    str s = parse_lexeme(p);
    if (s.len < 2) return NULL;
    str inner = str_of(s.ptr + 1, s.len - 2);
    if (s.ptr[0] == '`' || str_find_byte(inner, '\\') == inner.len)
        return scalar_at(p, parse_here(p), value_string(p->heap, inner));
    size_t n;
    char *room = value_string_room(p->heap, inner.len);
    if (!room) return NULL;
    if (!unescape(inner, false, room, &n)) {
        parse_error_at(p, parse_here(p), "illegal string literal: %.*s", STR(s));
        return NULL;
    }
    return scalar_at(p, parse_here(p), value_string_seal(room, n));
}

/* ---- Template strings ---- */

struct parts { struct ast_part *items; u32 count, room; };
static bool parts_add(struct parser *p, struct parts *to, struct ast_term *text,
                      struct ast_expr *e) {
    if (to->count == to->room) {
        u32 room = MAX(to->room * 2, 4u);
        struct ast_part *grown = heap_alloc(p->heap, room * sizeof(*grown));
        if (!grown) return false;
        if (to->count) memcpy(grown, to->items, to->count * sizeof(*grown));
        to->items = grown, to->room = room;
    }
    to->items[to->count++] = (struct ast_part){text, e};
    return text || e;
}

/* The current token's text, between quote or brace and quote or brace. */
static bool add_text(struct parser *p, struct parts *to, bool first, bool raw) {
    str whole = parse_lexeme(p), s = str_skip(whole, first ? 2 : 0);
    s.len -= s.len > 0;
    if (s.len == 0) return true;
    size_t n;
    char *room = value_string_room(p->heap, s.len);
    if (!room) return false;
    if (raw || !has_escapes(s)) {
        n = drop_brace_escapes(s, room);
    } else if (!unescape(s, true, room, &n)) {
        parse_error_at(p, parse_here(p), "illegal template-string part: %s%.*s",
                       first ? "" : "}", STR(first ? str_skip(whole, 1) : whole));
        return false;
    }
    return parts_add(p, to, scalar_at(p, parse_here(p), value_string_seal(room, n)), NULL);
}

static bool expr_is_call_of(const struct ast_expr *e, const char *name) {
    if (e->kind != AST_EXPR_CALL || e->terms[0]->kind != AST_REF || e->terms[0]->count != 1)
        return false;
    const struct ast_term *head = e->terms[0]->terms[0];
    return head->kind == AST_VAR && str_eq(head->var, str_from_c(name));
}
static const char *template_expr_fault(const struct ast_expr *e) {
    if (e->negated) return "unexpected negation ('not')";
    if (expr_is_call_of(e, "eq")) return "unexpected unification ('=')";
    if (expr_is_call_of(e, "assign")) return "unexpected assignment (':=')";
    if (e->kind == AST_EXPR_EVERY) return "unexpected 'every'";
    if (e->kind == AST_EXPR_SOME) return "unexpected 'some'";
    return NULL;
}
/* The expression behind the brace, which is part of the current token. */
static bool add_expr(struct parser *p, struct parts *to) {
    u32 comments = p->s.comment_count;
    parse_scan(p);
    bool plain = p->s.comment_count == comments;
    struct ast_expr *e = parse_literal(p);
    if (!e) {
        parse_error_at(p, parse_here(p), "invalid template-string expression");
        return false;
    }
    const char *fault = template_expr_fault(e);
    if (fault) {
        parse_error_at(p, e->at, "%s in template-string expression", fault);
        return false;
    }
    bool scalar = e->kind == AST_EXPR_TERM && e->terms[0]->kind <= AST_STRING;
    if (plain && scalar ? !parts_add(p, to, e->terms[0], NULL) : !parts_add(p, to, NULL, e))
        return false;
    if (now(p) == TOKEN_RBRACE) return true;
    parse_error_at(p, parse_here(p), "expected } to end template string expression");
    return false;
}

static u32 depth_of_parts(const struct parts *parts) {
    u32 d = 0;
    for (u32 i = 0; i < parts->count; i++)
        d = MAX(d, parts->items[i].expr ? parts->items[i].expr->depth : 0u);
    return d;
}
struct ast_term *parse_template(struct parser *p, bool raw) {
    struct ast_location at = parse_here(p);
    struct parts parts = {0};
    for (bool first = true;; first = false) {
        if (now(p) < TOKEN_TEMPLATE_PART || now(p) > TOKEN_RAW_TEMPLATE_END) {
            parse_error_at(p, parse_here(p), "expected template-string part");
            return NULL;
        }
        if (!add_text(p, &parts, first, raw)) return NULL;
        if (now(p) == TOKEN_TEMPLATE_END || now(p) == TOKEN_RAW_TEMPLATE_END) break;
        if (!add_expr(p, &parts)) return NULL;
        parse_scan_template(p, raw);
    }
    struct ast_term *t = heap_alloc(p->heap, sizeof(*t));
    u32 depth = depth_of_parts(&parts) + 1;
    if (!t || !parse_depth_ok(p, depth)) return NULL;
    *t = (struct ast_term){.kind = AST_TEMPLATE_STRING, .multiline = raw, .depth = (u8)depth,
                           .count = parts.count, .parts = parts.items,
                           .at = parse_retext(at, at.offset, p->s.now.end)};
    return t;
}
