/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.c — regex.*: the language's functions over app/policy/regex.
 *
 * An expression is made once and kept by the evaluation; what it has learnt of its automaton is
 * kept with it. Where the evaluation keeps no more, it is made for one call. */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/quote.h"
#include "app/policy/builtin/unicode.h"
#include "app/policy/regex/regex.h"

enum { MAKE_STEPS = 64 };

static const char cache_owner; /* its address names our entries */
struct making { struct buf why; rc_t rc; size_t bytes; };

static void *make(void *arg, str pattern) {
    struct making *m = arg;
    struct regex *r;
    m->rc = regex_open(&r, pattern, &m->why);
    if (r) m->bytes = regex_bytes(r);
    return r;
}
static void drop(void *thing) { regex_close(thing); }

static bool tick(void *arg, u32 steps) { return builtin_tick(arg, steps); }
struct regex_work builtin_regex_work(struct builtin_call *c) {
    return (struct regex_work){tick, c};
}

/* NULL: failed. */
struct regex *builtin_regex_of(struct builtin_call *c, str pattern) {
    struct making m = {.rc = RC_OK};
    if (!builtin_tick(c, MAKE_STEPS + (u32)MIN(pattern.len, (size_t)UINT32_MAX / 2))) return NULL;
    buf_open(&m.why, pattern.len * 2 + 256);
    struct regex *r = evaluation_cached(c->evaluation, &cache_owner, pattern, make, drop, &m);
    if (!r && m.rc == RC_INVALID)
        builtin_fail(c, "%.*s", STR(str_take(buf_str(&m.why), sizeof(c->message) - 1)));
    else if (!r) builtin_fail_memory(c);
    buf_close(&m.why);
    /* Kept until after the query: it counts against the query's memory. */
    return !m.bytes || heap_alloc(c->heap, m.bytes) ? r : NULL;
}

/* RC_TIMEOUT has set its words already. */
static value no_answer(struct builtin_call *c, rc_t rc) {
    return rc == RC_TIMEOUT ? UNDEFINED : builtin_fail_memory(c);
}

value builtin_regex_is_valid(struct builtin_call *c, const value *args) {
    struct regex *r;
    struct buf why;
    if (args[0].kind != VALUE_STRING) return value_boolean(false);
    str pattern = value_str(args[0]);
    if (!builtin_tick(c, MAKE_STEPS + (u32)MIN(pattern.len, (size_t)UINT32_MAX / 2)))
        return UNDEFINED;
    buf_open(&why, pattern.len * 2 + 256);
    rc_t rc = regex_open(&r, pattern, &why);
    buf_close(&why);
    if (rc == RC_OK) regex_close(r);
    return rc == RC_NO_MEMORY ? builtin_fail_memory(c) : value_boolean(rc == RC_OK);
}

value builtin_regex_match(struct builtin_call *c, const value *args) {
    str pattern, text;
    if (!builtin_take_string(c, args, 0, &pattern) || !builtin_take_string(c, args, 1, &text))
        return UNDEFINED;
    struct regex *r = builtin_regex_of(c, pattern);
    if (!r) return UNDEFINED;
    rc_t rc = regex_match(r, text, builtin_regex_work(c));
    return rc == RC_OK || rc == RC_NOT_FOUND ? value_boolean(rc == RC_OK) : no_answer(c, rc);
}

/* ---- All matches ---- */

struct finding {
    struct builtin_call *call;
    struct regex *regex;
    str text;
    s64 *groups;
    u32 count;
    struct regex_walk walk;
    rc_t rc;
};
static bool find_open(struct finding *f, struct builtin_call *c, struct regex *r, str text,
                      bool all_groups) {
    *f = (struct finding){.call = c, .regex = r, .text = text, .walk = {.last_end = -1}};
    f->count = all_groups ? regex_groups(r) : 1;
    f->groups = heap_alloc(c->heap, 2 * f->count * sizeof(s64));
    return f->groups != NULL;
}
static bool find_next(struct finding *f) {
    f->rc =
        regex_next(f->regex, f->text, &f->walk, f->groups, f->count, builtin_regex_work(f->call));
    return f->rc == RC_OK && !f->call->heap->exhausted;
}
static value group_value(struct finding *f, u32 i) {
    s64 from = f->groups[2 * i], to = f->groups[2 * i + 1];
    return builtin_string_of(f->call,
                             from < 0 ? S("") : str_of(f->text.ptr + from, (size_t)(to - from)));
}

static bool take_search(struct builtin_call *c, const value *args, str *pattern, str *text,
                        s64 *limit) {
    return builtin_take_string(c, args, 0, pattern) && builtin_take_string(c, args, 1, text) &&
           builtin_take_integer(c, args, 2, limit);
}

static value find_all(struct builtin_call *c, const value *args, bool all_groups) {
    str pattern, text;
    s64 limit;
    struct finding f;
    struct value_builder list;
    if (!take_search(c, args, &pattern, &text, &limit)) return UNDEFINED;
    struct regex *r = builtin_regex_of(c, pattern);
    if (!r || !find_open(&f, c, r, text, all_groups)) return UNDEFINED;
    value_builder_open(&list, c->heap, VALUE_ARRAY);
    while ((limit < 0 || list.count < limit) && find_next(&f)) {
        value one = group_value(&f, 0);
        if (all_groups) {
            struct value_builder groups;
            value_builder_open(&groups, c->heap, VALUE_ARRAY);
            for (u32 i = 0; i < f.count; i++) value_builder_add(&groups, group_value(&f, i));
            one = value_builder_close(&groups);
        }
        value_builder_add(&list, one);
    }
    if (f.rc != RC_OK && f.rc != RC_NOT_FOUND) return no_answer(c, f.rc);
    return value_builder_close(&list);
}
value builtin_regex_find_n(struct builtin_call *c, const value *args) {
    return find_all(c, args, false);
}
value builtin_regex_find_all_string_submatch_n(struct builtin_call *c, const value *args) {
    return find_all(c, args, true);
}

value builtin_regex_split(struct builtin_call *c, const value *args) {
    str pattern, text;
    struct finding f;
    struct value_builder list;
    size_t begin = 0, end = 0;
    if (!builtin_take_string(c, args, 0, &pattern) || !builtin_take_string(c, args, 1, &text))
        return UNDEFINED;
    struct regex *r = builtin_regex_of(c, pattern);
    if (!r || !find_open(&f, c, r, text, false)) return UNDEFINED;
    if (pattern.len && text.len == 0) return value_array(c->heap, &args[1], 1);
    value_builder_open(&list, c->heap, VALUE_ARRAY);
    while (find_next(&f)) {
        end = (size_t)f.groups[0];
        if (f.groups[1] != 0)
            value_builder_add(&list, builtin_string_of(c, str_of(text.ptr + begin, end - begin)));
        begin = (size_t)f.groups[1];
    }
    if (f.rc != RC_OK && f.rc != RC_NOT_FOUND) return no_answer(c, f.rc);
    if (end != text.len) value_builder_add(&list, builtin_string_of(c, str_skip(text, begin)));
    return value_builder_close(&list);
}

/* ---- Replacing ---- */

/* After a $: a name or number, perhaps in braces. false: it is none, the $ stands for itself. */
static bool take_name(str *rest, str *name) {
    str s = *rest;
    u32 width;
    bool brace = str_starts(s, S("{"));
    if (brace) s = str_skip(s, 1);
    size_t n = 0;
    for (; n < s.len; n += width) {
        u32 r = rune_decode(s, n, &width);
        enum unicode_category category = unicode_category(r);
        if (r != '_' && category != UNICODE_ND &&
            !(category >= UNICODE_LL && category <= UNICODE_LU))
            break;
    }
    if (n == 0 || (brace && (n == s.len || s.ptr[n] != '}'))) return false;
    *name = str_take(s, n);
    *rest = str_skip(s, n + brace);
    return true;
}

/* -1: there is no such group, or it took no part. */
static s64 group_of(const struct finding *f, str name) {
    u64 number;
    bool digits = name.len <= 9 && str_to_u64(name, &number) == RC_OK &&
                  !(name.len > 1 && name.ptr[0] == '0');
    if (digits) return number < f->count && f->groups[2 * number] >= 0 ? (s64)number : -1;
    for (u32 i = 0; i < f->count; i++)
        if (str_eq(name, regex_group_name(f->regex, i)) && f->groups[2 * i] >= 0) return i;
    return -1;
}

static void expand(const struct finding *f, struct buf *to, str with) {
    while (with.len) {
        size_t dollar = str_find_byte(with, '$');
        str name;
        (void)buf_add(to, str_take(with, dollar));
        if (dollar == with.len) return;
        with = str_skip(with, dollar + 1);
        if (str_starts(with, S("$"))) {
            (void)buf_add_byte(to, '$');
            with = str_skip(with, 1);
        } else if (!take_name(&with, &name)) (void)buf_add_byte(to, '$');
        else {
            s64 i = group_of(f, name);
            if (i >= 0)
                (void)buf_add(to, str_of(f->text.ptr + f->groups[2 * i],
                                         (size_t)(f->groups[2 * i + 1] - f->groups[2 * i])));
        }
    }
}

/* The reference's way along the text: always on by at least one rune, and no second replacement of
 * nothing right behind a match. */
static rc_t replace_all(struct finding *f, struct buf *to, str with) {
    size_t copied = 0, at = 0;
    while (at <= f->text.len && !to->failed) {
        u32 width = 0;
        rc_t rc =
            regex_find(f->regex, f->text, at, f->groups, f->count, builtin_regex_work(f->call));
        if (rc == RC_NOT_FOUND) break;
        if (rc != RC_OK) return rc;
        size_t from = (size_t)f->groups[0], end = (size_t)f->groups[1];
        (void)buf_add(to, str_of(f->text.ptr + copied, from - copied));
        if (end > copied || from == 0) expand(f, to, with);
        copied = end;
        if (at < f->text.len) rune_decode(f->text, at, &width);
        if (at + width > end) at += width;
        else if (at + 1 > end) at++;
        else at = end;
    }
    (void)buf_add(to, str_skip(f->text, copied));
    return RC_OK;
}

value builtin_regex_replace(struct builtin_call *c, const value *args) {
    str text, pattern, with;
    struct finding f;
    struct buf out;
    if (!builtin_take_string(c, args, 0, &text) || !builtin_take_string(c, args, 1, &pattern) ||
        !builtin_take_string(c, args, 2, &with))
        return UNDEFINED;
    struct regex *r = builtin_regex_of(c, pattern);
    if (!r || !find_open(&f, c, r, text, str_find_byte(with, '$') < with.len)) return UNDEFINED;
    builtin_text_open(c, &out);
    rc_t rc = replace_all(&f, &out, with);
    if (rc == RC_OK) return builtin_text_close(c, &out);
    buf_close(&out);
    return no_answer(c, rc);
}

/* ---- Templates: text with expressions between delimiters ---- */

static bool add_template(struct builtin_call *c, str template, char open, char close,
                         struct buf *to) {
    s64 level = 0;
    size_t start = 0, end = 0;
    struct buf one;
    (void)buf_add_byte(to, '^');
    for (size_t i = 0; i < template.len; i++) {
        if (template.ptr[i] == open) {
            if (++level == 1) start = i;
        } else if (template.ptr[i] == close && --level == 0) {
            str inner = str_of(template.ptr + start + 1, i - start - 1);
            regex_quote(to, str_of(template.ptr + end, start - end));
            (void)buf_printf(to, "(%.*s)", STR(inner));
            end = i + 1;
            builtin_text_open(c, &one); /* each must be an expression by itself */
            (void)buf_printf(&one, "^%.*s$", STR(inner));
            bool good = builtin_regex_of(c, buf_str(&one)) != NULL;
            buf_close(&one);
            if (!good) return false;
        } else if (level < 0) break;
    }
    if (level != 0) {
        struct buf quoted;
        buf_open(&quoted, 8 * template.len + 16);
        quote_write(&quoted, template, false);
        builtin_fail(c, "unbalanced braces in %.*s", STR(str_take(buf_str(&quoted), 400)));
        buf_close(&quoted);
        return false;
    }
    regex_quote(to, str_skip(template, end));
    (void)buf_add_byte(to, '$');
    return true;
}

value builtin_regex_template_match(struct builtin_call *c, const value *args) {
    str template, text, open, close;
    struct buf pattern;
    if (!builtin_take_string(c, args, 0, &template) || !builtin_take_string(c, args, 1, &text) ||
        !builtin_take_string(c, args, 2, &open) || !builtin_take_string(c, args, 3, &close))
        return UNDEFINED;
    if (open.len != 1)
        return builtin_fail(
            c, "start delimiter has to be exactly one character long but is %zu long", open.len);
    if (close.len != 1)
        return builtin_fail(c, "end delimiter has to be exactly one character long but is %zu long",
                            open.len);
    builtin_text_open(c, &pattern);
    bool good = add_template(c, template, open.ptr[0], close.ptr[0], &pattern);
    struct regex *r = good && !pattern.failed ? builtin_regex_of(c, buf_str(&pattern)) : NULL;
    buf_close(&pattern);
    if (!r) return UNDEFINED;
    rc_t rc = regex_match(r, text, builtin_regex_work(c));
    return rc == RC_OK || rc == RC_NOT_FOUND ? value_boolean(rc == RC_OK) : no_answer(c, rc);
}
