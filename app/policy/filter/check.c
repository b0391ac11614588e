/* SPDX-License-Identifier: Apache-2.0 */
/* check.c — can these queries be said in the targets' languages? What cannot is told with the place
 * in the policy and, where one is known, what to try instead. */
#include <stdarg.h>
#include <stdio.h>
#include "app/policy/filter/filter_impl.h"

struct check {
    const struct partial_answer *a;
    const struct policy_filter_target *targets;
    u32 count;
    value mappings;
    struct policy_errors *errors;
};

static bool has_place(const struct ast_location *at) {
    return at->file != NULL;
}

PRINTF_LIKE(4, 5)
static void tell(struct check *c, const struct ast_location *at, const char *details,
                 const char *fmt, ...) {
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    struct policy_error *e = policy_error_add(c->errors, FILTER_FRAGMENT_ERROR, at, "%s", text);
    if (!e || !details) return;
    value key = value_string_c(c->errors->heap, "details");
    value v = value_string_c(c->errors->heap, details);
    e->detail = value_object(c->errors->heap, &key, &v, 1);
}

struct shown {
    char text[1024];
};
static const char *show_term(const struct ast_term *t, struct shown *s) {
    struct buf b;
    buf_open(&b, sizeof s->text - 1);
    ast_term_write(&b, t);
    snprintf(s->text, sizeof s->text, "%.*s", STR(buf_str(&b)));
    buf_close(&b);
    return s->text;
}
static const char *show_expr(const struct ast_expr *e, struct shown *s) {
    struct buf b;
    buf_open(&b, sizeof s->text - 1);
    ast_expr_write(&b, e);
    snprintf(s->text, sizeof s->text, "%.*s", STR(buf_str(&b)));
    buf_close(&b);
    return s->text;
}

/* ---- Statements ---- */

/* data.partial.a.b: why is this rule there at all? */
static const char *rule_reason(const struct check *c, const struct ast_term *ref, struct shown *s) {
    for (u32 i = 0; i < c->a->support_count; i++) {
        const struct ast_module *m = c->a->support[i];
        u32 count = 0;
        for (u32 k = 0; k < m->rule_count; k++) {
            const struct ast_term *name = m->rules[k]->head->ref, *package = m->package;
            bool same = ref->count == package->count + name->count && ast_ref_starts(ref, package);
            for (u32 j = 0; same && j < name->count; j++) {
                const struct ast_term *have = name->terms[j],
                                      *want = ref->terms[package->count + j];
                if (have->kind == AST_VAR && want->kind == AST_STRING)
                    same = str_eq(have->var, value_str(want->scalar));
                else
                    same = ast_term_compare(have, want) == 0;
            }
            if (!same) continue;
            bool is_default = m->rules[k]->is_default;
            if (!is_default && ++count < 2) continue;
            size_t n = (size_t)snprintf(s->text, sizeof s->text, "use of %s rule in data",
                                        is_default ? "default" : "multi-value");
            for (u32 j = 2;
                 j < ref->count && ref->terms[j]->kind == AST_STRING && n < sizeof s->text; j++)
                n += (size_t)snprintf(s->text + n, sizeof s->text - n, ".%.*s",
                                      STR(value_str(ref->terms[j]->scalar)));
            return s->text;
        }
    }
    return "";
}

static void check_term(struct check *c, const struct ast_expr *e) {
    const struct ast_term *t = e->terms[0];
    struct shown shown, details, why;
    if (ref_begins(t, "data") && t->count > 2 && t->terms[1]->kind == AST_STRING &&
        str_eq(value_str(t->terms[1]->scalar), S("partial"))) {
        const struct ast_location *at = &t->terms[t->count - 1]->at;
        tell(c, has_place(at) ? at : &e->at, NULL, "%s", rule_reason(c, t, &why));
    } else if (ref_begins(t, "data")) {
        snprintf(details.text, sizeof details.text, "has rule \"%.900s\" an `else`?",
                 show_term(t, &why));
        tell(c, &e->at, details.text, "invalid data reference \"%s\"", show_expr(e, &shown));
    } else {
        snprintf(details.text, sizeof details.text, "try `%.900s != false`", show_expr(e, &why));
        tell(c, &e->at, details.text, "invalid statement \"%s\"", show_expr(e, &shown));
    }
}

static void check_statement(struct check *c, const struct ast_expr *e) {
    struct buf why;
    if (e->negated && e->kind != AST_EXPR_CALL) {
        tell(c, &e->at, NULL, "\"not\" not permitted");
    } else if (e->negated) {
        buf_open(&why, KIB(4));
        if (!target_takes_feature(c->targets, c->count, FEATURE_NOT, &why))
            tell(c, &e->at, NULL, "\"not\" not permitted: %.*s", STR(buf_str(&why)));
        buf_close(&why);
    } else if (e->kind == AST_EXPR_EVERY) {
        tell(c, &e->at, NULL, "\"every\" not permitted");
    } else if (e->kind != AST_EXPR_CALL && e->with_count) {
        tell(c, &e->at, NULL, "\"with\" not permitted");
    } else if (e->kind == AST_EXPR_TERM) {
        check_term(c, e);
    } else if (e->kind != AST_EXPR_CALL) {
        struct shown shown;
        tell(c, &e->at, NULL, "invalid statement \"%s\"", show_expr(e, &shown));
    }
}

/* ---- Calls ---- */

static bool operand_ok(struct check *c, const struct ast_location *at, str op,
                       const struct ast_term *t) {
    struct shown shown;
    if (t->kind == AST_CALL) {
        tell(c, at, NULL, "%.*s: nested call operand: %s", STR(op), show_term(t, &shown));
        return false;
    }
    if (t->kind != AST_REF) return true;
    if (ref_begins(t, "input")) {
        if (t->count == 3 && t->terms[2]->kind == AST_STRING) return true;
        if (t->count == 2 && t->terms[1]->kind == AST_STRING &&
            mapping_is_short(c->mappings, value_str(t->terms[1]->scalar)))
            return true;
    }
    tell(c, at, NULL, "%.*s: invalid ref operand: %s", STR(op), show_term(t, &shown));
    return false;
}

static bool is_scalar_term(const struct ast_term *t) {
    return t->kind <= AST_STRING || (t->kind == AST_VALUE && t->scalar.kind < VALUE_ARRAY);
}

static void check_sides(struct check *c, const struct ast_expr *e, const struct ast_location *at,
                        str op) {
    const struct ast_term *a = e->terms[1], *b = e->terms[2];
    u32 refs = (a->kind == AST_REF) + (b->kind == AST_REF);
    bool either = refs && (a->kind == AST_VAR || a->kind == AST_REF) &&
                  (b->kind == AST_VAR || b->kind == AST_REF);
    struct buf why;
    buf_open(&why, KIB(4));
    if (refs == 2 && !target_takes_feature(c->targets, c->count, FEATURE_FIELD, &why))
        tell(c, at, NULL, "reference to field: %.*s", STR(buf_str(&why)));
    else if (is_scalar_term(a) || is_scalar_term(b) || refs == 2)
        ;
    else if (!str_eq(op, S("eq")) || refs != 1 || !either)
        tell(c, at, NULL, "both rhs and lhs non-scalar/non-ground");
    else if (!target_takes_feature(c->targets, c->count, FEATURE_EXISTS, &why))
        tell(c, at, NULL, "existence of field: %.*s", STR(buf_str(&why)));
    buf_close(&why);
}

static bool is_one_of(str name, const char *const *names, u32 count) {
    for (u32 i = 0; i < count; i++)
        if (str_eq(name, str_from_c(names[i]))) return true;
    return false;
}

static void check_call(struct check *c, const struct ast_expr *e) {
    static const char *const compares[] = {"eq", "neq", "lt", "lte", "gt", "gte"};
    static const char *const firsts[] = {"startswith", "endswith", "contains", "internal.member_2"};
    char room[256];
    str op = operator_name(e, room, sizeof room);
    if (e->with_count || !op.len) return;
    const struct ast_location *at = has_place(&e->terms[0]->at) ? &e->terms[0]->at : &e->at;
    bool compare = is_one_of(op, compares, ARRAY_LEN(compares));
    bool first = is_one_of(op, firsts, ARRAY_LEN(firsts));
    struct shown shown, details;
    struct buf why;
    if (str_eq(op, S("internal.member_3"))) {
        tell(c, at, NULL, "invalid use of \"... in ...\"");
        return;
    }
    if (ref_begins(e->terms[0], "data")) {
        snprintf(details.text, sizeof details.text, "has function \"%.*s(...)\" an `else`?",
                 STR(op));
        tell(c, &e->at, details.text, "invalid data reference \"%s\"", show_expr(e, &shown));
        return;
    }
    if ((!compare && !first) || e->count != 3) {
        tell(c, at, NULL, "invalid builtin `%.*s`", STR(op));
        return;
    }
    buf_open(&why, KIB(4));
    if (!target_takes_builtin(c->targets, c->count, op, &why)) {
        str name = str_eq(op, S("internal.member_2")) ? S("in") : op;
        tell(c, at, NULL, "invalid builtin `%.*s`: %.*s", STR(name), STR(buf_str(&why)));
    } else if (operand_ok(c, at, op, e->terms[1]) && operand_ok(c, at, op, e->terms[2])) {
        if (compare)
            check_sides(c, e, at, op);
        else if (e->terms[1]->kind != AST_REF)
            tell(c, at, NULL, "rhs of %.*s must be known", STR(op));
    }
    buf_close(&why);
}

void policy_filter_check(const struct partial_answer *a, const struct policy_filter_target *targets,
                         u32 count, value mappings, struct policy_errors *errors) {
    struct check c = {a, targets, count, mappings, errors};
    for (u32 i = 0; i < a->query_count; i++)
        for (u32 k = 0; k < a->queries[i]->count; k++) {
            check_statement(&c, a->queries[i]->exprs[k]);
            check_call(&c, a->queries[i]->exprs[k]);
        }
}
