/* SPDX-License-Identifier: Apache-2.0 */
/* check_error.c — type errors with the lines below them:
 *
 *   count: invalid argument(s)        match error         undefined ref: data.a.p.x
 *     have: (number, ???)               left  : string      data.a.p.x
 *     want: (collection: any<...>, n)   right : number               ^
 *                                                                    have: "x"
 *                                                                    want (one of): ["y" "z"]
 *
 * They are kept apart (check_impl.h) until a whole program is checked. One that may come only of
 * a type that is not known carries the code POLICY_FORMAT_ERROR until its expression is done. */
#include "app/policy/compile/check_impl.h"
#include "app/policy/value/json_text.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- Text ----------------------------------------------------------------------------------- */

static void add(struct buf *b, str s) {
    rc_t rc = buf_add(b, s);
    (void)rc; /* cut at the limit: it is a message */
}

static str kept(struct compiler *c, struct buf *b) {
    value v = value_string(c->errors->heap, buf_str(b));
    buf_clear(b);
    return value_is(v, VALUE_STRING) ? value_str(v) : (str){0};
}

static void lines_open(struct compiler *c, struct policy_error *e, u32 count) {
    e->details = heap_alloc(c->errors->heap, count * sizeof *e->details);
    e->detail_count = 0;
}

static void line(struct compiler *c, struct policy_error *e, struct buf *b) {
    str text = kept(c, b);
    if (e->details) e->details[e->detail_count++] = text;
}

static void put(struct heap *h, struct value_builder *b, const char *name, value v) {
    rc_t rc = value_builder_put(b, value_string_c(h, name), v);
    (void)rc; /* names differ */
}

struct policy_error *problem(struct checker *k, const struct ast_location *at, const char *fmt,
                             ...) {
    struct problems *p = &k->found;
    struct compiler *c = k->c;
    if (p->count == p->room) {
        u32 room = p->room ? p->room * 2 : 8;
        struct policy_error *items = heap_alloc(c->heap, room * sizeof *items);
        if (!items) return NULL;
        if (p->count) memcpy(items, p->items, p->count * sizeof *items);
        p->items = items;
        p->room = room;
    }
    struct policy_error *e = &p->items[p->count++];
    *e = (struct policy_error){.code = POLICY_TYPE_ERROR, .at = *at, .detail = UNDEFINED};
    va_list args, again;
    struct buf b;
    buf_open(&b, MIB(1));
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    if (n > 0 && buf_reserve(&b, (size_t)n + 1) == RC_OK) {
        vsnprintf(b.ptr, (size_t)n + 1, fmt, again);
        b.len = (size_t)n;
    }
    va_end(again);
    va_end(args);
    e->message = kept(c, &b);
    buf_close(&b);
    return e;
}

/* ---- Arguments ------------------------------------------------------------------------------- */

static void write_types(struct buf *b, const struct type *const *types, u32 count, bool *any) {
    for (u32 i = 0; i < count; i++) {
        if (*any) add(b, S(", "));
        type_write(b, types[i]);
        *any = true;
    }
}

static value types_json(struct heap *h, const struct type *const *types, u32 count,
                        const struct type *last) {
    struct value_builder list;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < count; i++) value_builder_add(&list, type_json(h, types[i]));
    if (last) value_builder_add(&list, type_json(h, last));
    return value_builder_close(&list);
}

void details_of_args(struct compiler *c, struct policy_error *e, const struct type *const *have,
                     u32 have_count, const struct type *f, bool with_result) {
    struct heap *h = c->errors->heap;
    const struct type *result = with_result ? f->of : NULL;
    struct buf b;
    bool any = false;
    buf_open(&b, MIB(1));
    lines_open(c, e, 2);
    add(&b, S("have: ("));
    write_types(&b, have, have_count, &any);
    add(&b, S(")"));
    line(c, e, &b);
    any = false;
    add(&b, S("want: ("));
    write_types(&b, f->items, f->count, &any);
    if (result) write_types(&b, &result, 1, &any);
    if (f->key) {
        write_types(&b, &f->key, 1, &any);
        add(&b, S("..."));
    }
    add(&b, S(")"));
    line(c, e, &b);
    buf_close(&b);
    struct value_builder detail, want;
    value_builder_open(&want, h, VALUE_OBJECT);
    if (f->count || result) put(h, &want, "args", types_json(h, f->items, f->count, result));
    if (f->key) put(h, &want, "variadic", type_json(h, f->key));
    value_builder_open(&detail, h, VALUE_OBJECT);
    put(h, &detail, "have", types_json(h, have, have_count, NULL));
    put(h, &detail, "want", value_builder_close(&want));
    e->detail = value_copy(h, value_builder_close(&detail));
}

static bool any_unknown(const struct type *const *types, u32 count) {
    for (u32 i = 0; i < count; i++)
        if (type_unknown(types[i])) return true;
    return false;
}

void problem_args(struct checker *k, const struct ast_location *at, const struct ast_term *op,
                  const char *what, const struct type *const *have, u32 have_count,
                  const struct type *function, bool with_result) {
    str name = compile_term_text(k->c, op);
    struct policy_error *e = problem(k, at, "%.*s: %s", STR(name), what);
    if (!e) return;
    details_of_args(k->c, e, have, have_count, function, with_result);
    if (any_unknown(have, have_count)) e->code = POLICY_FORMAT_ERROR;
}

void problem_match(struct checker *k, const struct ast_location *at, const struct type *left,
                   const struct type *right) {
    struct policy_error *e = problem(k, at, "match error");
    struct heap *h = k->c->errors->heap;
    struct buf b;
    if (!e) return;
    buf_open(&b, MIB(1));
    lines_open(k->c, e, 2);
    add(&b, S("left  : "));
    type_write(&b, left);
    line(k->c, e, &b);
    add(&b, S("right : "));
    type_write(&b, right);
    line(k->c, e, &b);
    buf_close(&b);
    struct value_builder detail;
    value_builder_open(&detail, h, VALUE_OBJECT);
    put(h, &detail, "a", type_json(h, left));
    put(h, &detail, "b", type_json(h, right));
    e->detail = value_copy(h, value_builder_close(&detail));
    if (type_unknown(left) || type_unknown(right)) e->code = POLICY_FORMAT_ERROR;
}

/* ---- Refs ----------------------------------------------------------------------------------- */

static size_t prefix_len(const struct ast_term *ref, u32 count) {
    struct ast_term prefix = *ref;
    struct buf b;
    prefix.count = count;
    buf_open(&b, KIB(64));
    ast_term_write(&b, &prefix);
    size_t len = b.len;
    buf_close(&b);
    return len;
}

static void repeat(struct buf *b, char what, size_t times) {
    rc_t rc = RC_OK;
    while (times--) rc = buf_add_byte(b, what);
    (void)rc; /* cut at the limit: it is a message */
}

static value ref_detail(struct compiler *c, const struct ast_term *ref, u32 position,
                        const struct type *have) {
    struct heap *h = c->errors->heap;
    struct value_builder detail, terms;
    value_builder_open(&terms, h, VALUE_ARRAY);
    for (u32 i = 0; i < ref->count; i++)
        value_builder_add(&terms, ast_term_json(h, ref->terms[i], false));
    value_builder_open(&detail, h, VALUE_OBJECT);
    put(h, &detail, "ref", value_builder_close(&terms));
    put(h, &detail, "pos", value_integer(position));
    if (have) put(h, &detail, "have", type_json(h, have));
    return value_builder_close(&detail);
}

/* What could stand there: a type, and the keys of it that are known. */
static value with_wanted(struct compiler *c, value detail, const struct type *want,
                         const value *one_of, u32 count) {
    struct heap *h = c->errors->heap;
    struct value_builder all, keys;
    value_builder_open(&keys, h, VALUE_ARRAY);
    for (u32 i = 0; i < count; i++) value_builder_add(&keys, one_of[i]);
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(detail); i++)
        value_builder_replace(&all, value_key_at(detail, i), value_value_at(detail, i));
    put(h, &all, "want", type_json(h, want));
    put(h, &all, "oneOf", count ? value_builder_close(&keys) : value_null());
    return value_builder_close(&all);
}

void problem_unsupported(struct checker *k, const struct ast_term *ref, u32 position,
                         const struct type *have) {
    struct compiler *c = k->c;
    const struct ast_location *at = ref->terms[0]->at.row ? &ref->terms[0]->at : &ref->at;
    const struct ast_term *written = written_ref(c, ref, true);
    u32 i = position + (written->count - ref->count);
    str text = compile_term_text(c, written);
    struct policy_error *e;
    if (have && have->kind == TYPE_FUNCTION) {
        struct ast_term prefix = *written;
        const struct ast_term *last = prefix.terms[prefix.count - 1];
        if (last->kind == AST_VAR && is_generated(last->var)) prefix.count--;
        str name = compile_term_text(c, &prefix);
        e = problem(k, at, "function %.*s used as reference, not called", STR(name));
    } else {
        e = problem(k, at, "undefined ref: %.*s", STR(text));
    }
    if (!e) return;
    struct buf b;
    buf_open(&b, MIB(1));
    lines_open(c, e, 3);
    add(&b, text);
    line(c, e, &b);
    repeat(&b, '^', prefix_len(written, i + 1));
    line(c, e, &b);
    add(&b, S("have: "));
    type_write(&b, have);
    line(c, e, &b);
    buf_close(&b);
    e->detail = value_copy(c->errors->heap, ref_detail(c, written, i, have));
}

static void write_one_of(struct buf *b, const value *keys, u32 count) {
    add(b, S("want (one of): ["));
    for (u32 i = 0; i < count; i++) {
        if (i) add(b, S(" "));
        value_write(b, keys[i]);
    }
    add(b, S("]"));
}

void problem_invalid(struct checker *k, const struct ast_term *ref, u32 position,
                     const struct type *have, const struct type *want, const value *one_of,
                     u32 one_of_count) {
    struct compiler *c = k->c;
    const struct ast_location *at = ref->terms[0]->at.row ? &ref->terms[0]->at : &ref->at;
    const struct ast_term *written = written_ref(c, ref, true);
    u32 i = position + (written->count - ref->count);
    str text = compile_term_text(c, written);
    struct policy_error *e = problem(k, at, "undefined ref: %.*s", STR(text));
    struct buf b;
    if (!e) return;
    size_t indent = prefix_len(written, i) + 1;
    buf_open(&b, MIB(1));
    lines_open(c, e, 4);
    add(&b, text);
    line(c, e, &b);
    repeat(&b, ' ', indent);
    add(&b, S("^"));
    line(c, e, &b);
    repeat(&b, ' ', indent);
    add(&b, have ? S("have (type): ") : S("have: "));
    if (have)
        type_write(&b, have);
    else
        ast_term_write(&b, written->terms[i]);
    line(c, e, &b);
    repeat(&b, ' ', indent);
    if (one_of_count)
        write_one_of(&b, one_of, one_of_count);
    else
        add(&b, S("want (type): ")), type_write(&b, want);
    line(c, e, &b);
    buf_close(&b);
    value detail = with_wanted(c, ref_detail(c, written, i, have), want, one_of, one_of_count);
    e->detail = value_copy(c->errors->heap, detail);
}
