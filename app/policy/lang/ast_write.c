/* SPDX-License-Identifier: Apache-2.0 */
/* ast_write.c — nodes as the reference prints them in messages.
 *
 * Not the formatter: what is printed is the tree, so operators are calls (`plus(a, b)`), only `=`
 * is written between its sides; wildcards are `_` again. */
#include "app/policy/lang/annotations.h"
#include "app/policy/lang/write_impl.h"

static void write_exprs(struct buf *to, struct ast_expr *const *exprs, u32 count);
static void write_rule(struct buf *to, const struct ast_rule *r, enum rego_version version);

/* ---- Operators ---- */

const char *ast_infix_of(const struct ast_term *op, u32 *arity) {
    static const struct { const char *name, *symbol; } infix[] = {
        {"eq", "="},  {"assign", ":="}, {"plus", "+"}, {"minus", "-"}, {"mul", "*"},
        {"div", "/"}, {"rem", "%"},     {"and", "&"},  {"or", "|"},    {"equal", "=="},
        {"neq", "!="}, {"gt", ">"},     {"lt", "<"},   {"gte", ">="},  {"lte", "<="}};
    if (op->kind != AST_REF || op->terms[0]->kind != AST_VAR) return NULL;
    str name = op->terms[0]->var;
    *arity = 2;
    if (op->count == 2 && op->terms[1]->kind == AST_STRING && str_eq(name, S("internal"))) {
        str rest = value_str(op->terms[1]->scalar);
        *arity = str_eq(rest, S("member_3")) ? 3 : 2;
        return *arity == 3 || str_eq(rest, S("member_2")) ? "in" : NULL;
    }
    for (size_t i = 0; op->count == 1 && i < ARRAY_LEN(infix); i++)
        if (str_eq(name, str_from_c(infix[i].name))) return infix[i].symbol;
    return NULL;
}

/* ---- Terms ---- */

const char *term_kind_name(const struct ast_term *t) {
    static const char *const names[] = {
        [AST_NULL] = "null", [AST_BOOLEAN] = "boolean", [AST_NUMBER] = "number",
        [AST_STRING] = "string", [AST_VAR] = "var", [AST_REF] = "ref", [AST_ARRAY] = "array",
        [AST_OBJECT] = "object", [AST_SET] = "set",
        [AST_ARRAY_COMPREHENSION] = "arraycomprehension",
        [AST_OBJECT_COMPREHENSION] = "objectcomprehension",
        [AST_SET_COMPREHENSION] = "setcomprehension", [AST_CALL] = "call",
        [AST_TEMPLATE_STRING] = "templatestring",
    };
    return t->kind == AST_VALUE ? value_kind_name(t->scalar.kind) : names[t->kind];
}

static bool is_name(str s) {
    if (s.len == 0 || (s.ptr[0] >= '0' && s.ptr[0] <= '9')) return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], l = c | 0x20;
        if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
    }
    return true;
}
static bool is_keyword(str s) {
    static const char *const words[] = {"not",  "package", "import",   "as",   "default",
                                        "else", "with",    "null",     "true", "false",
                                        "some", "if",      "contains", "in",   "every"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(s, str_from_c(words[i]))) return true;
    return false;
}
bool write_is_plain_name(str s) { return is_name(s); }

static void write_list(struct buf *to, struct ast_term *const *terms, u32 count) {
    for (u32 i = 0; i < count; i++) {
        if (i) put(to, S(", "));
        ast_term_write(to, terms[i]);
    }
}
static void write_ref_string(struct buf *to, value v) {
    str s = value_str(v);
    if (is_name(s) && !is_keyword(s)) {
        put_c(to, '.');
        put(to, s);
        return;
    }
    bool plain = true;
    for (size_t i = 0; i < s.len; i++)
        plain = plain && (u8)s.ptr[i] >= 0x20 && s.ptr[i] != '\\' && s.ptr[i] != 0x7f;
    put_c(to, '[');
    if (plain) {
        put_c(to, '"');
        put(to, s);
        put_c(to, '"');
    } else {
        value_write(to, v);
    }
    put_c(to, ']');
}
static void write_ref(struct buf *to, struct ast_term *const *terms, u32 count) {
    if (terms[0]->kind == AST_STRING) put(to, value_str(terms[0]->scalar));
    else ast_term_write(to, terms[0]);
    for (u32 i = 1; i < count; i++) {
        if (terms[i]->kind == AST_STRING) {
            write_ref_string(to, terms[i]->scalar);
            continue;
        }
        put_c(to, '[');
        ast_term_write(to, terms[i]);
        put_c(to, ']');
    }
}
static void write_call(struct buf *to, struct ast_term *const *terms, u32 count) {
    if (!count) return;
    ast_term_write(to, terms[0]);
    put_c(to, '(');
    write_list(to, terms + 1, count - 1);
    put_c(to, ')');
}

/* A brace in a template string's text is written \{. */
void write_template_text(struct buf *to, str s) {
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '{' && (i == 0 || s.ptr[i - 1] != '\\')) put_c(to, '\\');
        put_c(to, s.ptr[i]);
    }
}
/* As between double quotes. */
void write_template_quoted(struct buf *to, value v) {
    struct buf b;
    buf_open(&b, to->max);
    value_write(&b, v);
    str s = buf_str(&b);
    if (s.len >= 2) write_template_text(to, str_of(s.ptr + 1, s.len - 2));
    to->failed = to->failed || b.failed;
    buf_close(&b);
}
static void write_template(struct buf *to, const struct ast_term *t) {
    put(to, S("$\""));
    for (u32 i = 0; i < t->count; i++) {
        const struct ast_part *part = &t->parts[i];
        if (part->expr) {
            put_c(to, '{');
            ast_expr_write(to, part->expr);
            put_c(to, '}');
        } else if (part->text->kind == AST_STRING) {
            write_template_quoted(to, part->text->scalar);
        } else {
            ast_term_write(to, part->text);
        }
    }
    put_c(to, '"');
}

static void write_comprehension(struct buf *to, const struct ast_term *t) {
    bool array = t->kind == AST_ARRAY_COMPREHENSION;
    put_c(to, array ? '[' : '{');
    if (t->comprehension.key) {
        ast_term_write(to, t->comprehension.key);
        put(to, S(": "));
    }
    ast_term_write(to, t->comprehension.head);
    put(to, S(" | "));
    ast_body_write(to, t->comprehension.body);
    put_c(to, array ? ']' : '}');
}
static void write_object(struct buf *to, const struct ast_term *t) {
    put_c(to, '{');
    for (u32 i = 0; i < t->count; i++) {
        if (i) put(to, S(", "));
        ast_term_write(to, t->pairs[i].key);
        put(to, S(": "));
        ast_term_write(to, t->pairs[i].value);
    }
    put_c(to, '}');
}

void ast_term_write(struct buf *to, const struct ast_term *t) {
    switch (t->kind) {
    case AST_VAR: put(to, str_starts(t->var, S("$")) ? S("_") : t->var); break;
    case AST_REF: write_ref(to, t->terms, t->count); break;
    case AST_ARRAY:
        put_c(to, '[');
        write_list(to, t->terms, t->count);
        put_c(to, ']');
        break;
    case AST_SET:
        put(to, t->count ? S("{") : S("set()"));
        write_list(to, t->terms, t->count);
        if (t->count) put_c(to, '}');
        break;
    case AST_OBJECT: write_object(to, t); break;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: write_comprehension(to, t); break;
    case AST_CALL: write_call(to, t->terms, t->count); break;
    case AST_TEMPLATE_STRING: write_template(to, t); break;
    default: value_write(to, t->scalar); break;
    }
}

/* ---- Expressions ---- */

static bool term_leads_with_brace(const struct ast_term *t) {
    u32 arity;
    switch (t->kind) {
    case AST_SET: return t->count > 0; /* the empty one is set() */
    case AST_OBJECT:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: return true;
    case AST_REF: return term_leads_with_brace(t->terms[0]);
    case AST_CALL:
        return ast_infix_of(t->terms[0], &arity) && t->count == arity + 1 &&
               term_leads_with_brace(t->terms[1]);
    default: return false;
    }
}
bool write_leads_with_brace(const struct ast_expr *e) {
    u32 arity;
    if (e->kind == AST_EXPR_TERM) return term_leads_with_brace(e->terms[0]);
    if (e->kind != AST_EXPR_CALL || !ast_infix_of(e->terms[0], &arity)) return false;
    if (e->count == arity + 1) return term_leads_with_brace(e->terms[1]);
    return e->count == arity + 2 && term_leads_with_brace(e->terms[e->count - 1]);
}
bool write_not_needs_parens(const struct ast_expr *e) {
    return e->with_count || e->kind == AST_EXPR_LOGICAL || e->kind == AST_EXPR_NOT ||
           write_leads_with_brace(e);
}
bool write_operand_needs_parens(const struct ast_expr *e, enum ast_logical_op above, bool right) {
    if (e->with_count) return true;
    if (e->kind != AST_EXPR_LOGICAL) return write_leads_with_brace(e);
    return e->logical->op == AST_OR ? above == AST_AND || right : above == AST_AND && right;
}

static void write_not(struct buf *to, const struct ast_expr *e) {
    bool plain = !e->explicit_body && e->not_body->count == 1;
    bool parens = plain && write_not_needs_parens(e->not_body->exprs[0]);
    put(to, !plain ? S("not {") : parens ? S("not (") : S("not "));
    ast_body_write(to, e->not_body);
    if (!plain || parens) put_c(to, plain ? ')' : '}');
}
static void write_operand(struct buf *to, const struct ast_body *b, bool braces,
                          enum ast_logical_op above, bool right) {
    bool plain = !braces && b->count == 1;
    bool parens = plain && write_operand_needs_parens(b->exprs[0], above, right);
    put(to, !plain ? S("{ ") : parens ? S("(") : S(""));
    ast_body_write(to, b);
    put(to, !plain ? S(" }") : parens ? S(")") : S(""));
}
static void write_some(struct buf *to, const struct ast_expr *e) {
    put(to, S("some "));
    const struct ast_term *call = e->terms[0];
    if (call->kind != AST_CALL) {
        write_list(to, e->terms, e->count);
        return;
    }
    write_list(to, call->terms + 1, call->count - 2);
    put(to, S(" in "));
    ast_term_write(to, call->terms[call->count - 1]);
}
static void write_every(struct buf *to, const struct ast_every *q) {
    put(to, S("every "));
    if (q->key) {
        ast_term_write(to, q->key);
        put(to, S(", "));
    }
    ast_term_write(to, q->value);
    put(to, S(" in "));
    ast_term_write(to, q->domain);
    put(to, S(" { "));
    ast_body_write(to, q->body);
    put(to, S(" }"));
}
static bool is_equality(const struct ast_expr *e) {
    u32 arity;
    const char *symbol = e->count == 3 ? ast_infix_of(e->terms[0], &arity) : NULL;
    return symbol && strcmp(symbol, "=") == 0;
}

void ast_expr_write(struct buf *to, const struct ast_expr *e) {
    if (e->negated) put(to, S("not "));
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_TERM: ast_term_write(to, e->terms[0]); break;
    case AST_EXPR_CALL:
        if (!is_equality(e)) {
            write_call(to, e->terms, e->count);
            break;
        }
        ast_term_write(to, e->terms[1]);
        put(to, S(" = "));
        ast_term_write(to, e->terms[2]);
        break;
    case AST_EXPR_SOME: write_some(to, e); break;
    case AST_EXPR_EVERY: write_every(to, e->every); break;
    case AST_EXPR_LOGICAL:
        write_operand(to, e->logical->left, e->logical->explicit_left, e->logical->op, false);
        put(to, e->logical->op == AST_AND ? S(" and ") : S(" or "));
        write_operand(to, e->logical->right, e->logical->explicit_right, e->logical->op, true);
        break;
    case AST_EXPR_NOT: write_not(to, e); break;
    }
    for (u32 i = 0; i < e->with_count; i++) {
        put(to, S(" with "));
        ast_term_write(to, e->with[i].target);
        put(to, S(" as "));
        ast_term_write(to, e->with[i].value);
    }
}

static void write_exprs(struct buf *to, struct ast_expr *const *exprs, u32 count) {
    for (u32 i = 0; i < count; i++) {
        if (i) put(to, S("; "));
        ast_expr_write(to, exprs[i]);
    }
}
void ast_body_write(struct buf *to, const struct ast_body *b) {
    write_exprs(to, b->exprs, b->count);
}

/* ---- Rules ---- */

static void write_head(struct buf *to, const struct ast_head *h, enum rego_version version) {
    ast_term_write(to, h->ref);
    bool key_written = false;
    if (h->arg_count) {
        put_c(to, '(');
        write_list(to, h->args, h->arg_count);
        put_c(to, ')');
    } else if (h->ref->count == 1 && h->key) {
        put(to, version == REGO_V0 ? S("[") : S(" contains "));
        ast_term_write(to, h->key);
        if (version == REGO_V0) put_c(to, ']');
        key_written = version != REGO_V0;
    }
    if (h->value) {
        put(to, h->assign ? S(" := ") : S(" = "));
        ast_term_write(to, h->value);
    } else if (!key_written && h->name.len == 0 && h->key) {
        put(to, S(" contains "));
        ast_term_write(to, h->key);
    }
}
void ast_head_write(struct buf *to, const struct ast_head *h) { write_head(to, h, REGO_V1); }

static void write_body_in_braces(struct buf *to, const struct ast_body *b,
                                 enum rego_version version) {
    put(to, version == REGO_V0 ? S(" { ") : S(" if { "));
    ast_body_write(to, b);
    put(to, S(" }"));
}
static void write_annotations(struct buf *to, struct ast_annotations *const *list, u32 count,
                              bool packages) {
    for (u32 i = 0; i < count; i++) {
        const struct ast_annotations *a = list[i];
        if (packages && a->scope != SCOPE_PACKAGE && a->scope != SCOPE_SUBPACKAGES) continue;
        put(to, S("# METADATA\n# "));
        json_text_write(to, a->fields, JSON_TEXT_ESCAPE_HTML);
        put_c(to, '\n');
    }
}
static void write_rule(struct buf *to, const struct ast_rule *r, enum rego_version version) {
    write_annotations(to, r->annotations, r->annotation_count, false);
    if (r->is_default) put(to, S("default "));
    write_head(to, r->head, version);
    if (!r->is_default) write_body_in_braces(to, r->body, version);
    for (r = r->otherwise; r; r = r->otherwise) {
        put(to, S(" else"));
        if (r->head->value) {
            put(to, S(" = "));
            ast_term_write(to, r->head->value);
        } else {
            put_c(to, ' ');
        }
        write_body_in_braces(to, r->body, version);
    }
}
void ast_rule_write(struct buf *to, const struct ast_rule *r) {
    write_rule(to, r, r->module ? r->module->version : REGO_V1);
}

void ast_module_write(struct buf *to, const struct ast_module *m) {
    write_annotations(to, m->annotations, m->annotation_count, true);
    put(to, S("package "));
    write_ref(to, m->package->terms + 1, m->package->count - 1);
    put_c(to, '\n');
    for (u32 i = 0; i < m->import_count; i++) {
        put(to, S("\nimport "));
        ast_term_write(to, m->imports[i].path);
        if (m->imports[i].alias.len) {
            put(to, S(" as "));
            put(to, m->imports[i].alias);
        }
    }
    if (m->import_count) put_c(to, '\n');
    for (u32 i = 0; i < m->rule_count; i++) {
        put_c(to, '\n');
        write_rule(to, m->rules[i], m->version);
    }
}
