/* SPDX-License-Identifier: Apache-2.0 */
/* parser_module.c — a text as a whole: package, imports, rules, and what v1 asks of them.
 *
 * A text is a list of statements. Each is tried as a package, an import, a rule, and at last as a
 * query; the first error ends the reading, since whatever follows would be noise. Then the module
 * is put together: bare expressions become rules, and all that is wrong with them is told at once.
 * Imports of keywords take effect on the tokens behind them. */
#include "app/policy/lang/parser_impl.h"

static void *grow(struct parser *p, void *items, u32 count, u32 *room, size_t bytes) {
    if (count < *room) return items;
    u32 more = MAX(*room * 2, 16u);
    void *grown = heap_alloc(p->heap, more * bytes);
    if (!grown) return NULL;
    if (count) memcpy(grown, items, count * bytes);
    *room = more;
    return grown;
}
bool parse_add_statement(struct parser *p, struct statement st) {
    void *items = grow(p, p->statements, p->statement_count, &p->statement_room, sizeof(st));
    if (!items) return false;
    p->statements = items;
    p->statements[p->statement_count++] = st;
    return true;
}

/* ---- package ---- */

/* A keyword may start a path. */
static bool ident_or_keyword(struct parser *p) {
    if (now(p) == TOKEN_IDENT) return true;
    if (!parse_is_ref_keyword(p, now(p))) return false;
    p->s.now.kind = TOKEN_IDENT;
    return true;
}
/* Behind `package` or `import`: false when it is a reference's head, or with an error. */
static bool begin_path(struct parser *p) {
    if (parse_peek(p) == '.' || parse_peek(p) == '[') return false;
    parse_scan(p);
    if (ident_or_keyword(p)) return true;
    parse_illegal(p, NULL);
    return false;
}

static bool expect_kind(struct parser *p, const struct ast_term *t, enum ast_term_kind kind,
                        const char *wanted) {
    if (t->kind == kind) return true;
    parse_error_at(p, t->at, "unexpected %s token: expecting %s", term_kind_name(t), wanted);
    return false;
}
/* a.b -> data.a.b */
static struct ast_term *package_path(struct parser *p, struct ast_term *t) {
    u32 parts = t->kind == AST_REF ? t->count : 1;
    struct ast_term **list = heap_alloc(p->heap, (parts + 1) * sizeof(struct ast_term *));
    struct ast_term *first = t->kind == AST_REF ? t->terms[0] : t;
    if (!list || !expect_kind(p, first, AST_VAR, "var")) return NULL;
    list[0] = ast_var(p->heap, &first->at, S("data"));
    list[1] = ast_scalar(p->heap, &first->at, value_string(p->heap, first->var));
    for (u32 i = 1; i < parts; i++) {
        if (!expect_kind(p, t->terms[i], AST_STRING, "string")) return NULL;
        list[i + 1] = t->terms[i];
    }
    return ast_list(p->heap, &t->at, AST_REF, list, parts + 1);
}
bool parse_package(struct parser *p) {
    struct statement st = {.kind = STATEMENT_PACKAGE, .at = parse_here(p)};
    if (!begin_path(p)) return false;
    struct ast_term *t = parse_one_term(p);
    if (!t) {
        if (!p->s.error_count) parse_error_at(p, parse_here(p), "expected path");
        return false;
    }
    if (t->kind != AST_VAR && t->kind != AST_REF) {
        parse_illegal(p, NULL);
        return false;
    }
    st.package = package_path(p, t);
    return st.package && parse_add_statement(p, st);
}

/* ---- import ---- */

static str part_name(const struct ast_term *path, u32 i) {
    const struct ast_term *t = path->terms[i];
    return t->kind == AST_VAR ? t->var : value_str(t->scalar);
}
static struct ast_term *import_path(struct parser *p) {
    /* Keywords that were imported before are plain names in a path. */
    u8 keywords = p->s.lexer.keywords;
    p->s.lexer.keywords = 0;
    struct ast_term *t = parse_one_term(p);
    p->s.lexer.keywords = keywords;
    if (t && t->kind == AST_VAR) t = ast_list(p->heap, &t->at, AST_REF, &t, 1);
    for (u32 i = 1; t && t->kind == AST_REF && i < t->count; i++)
        if (!expect_kind(p, t->terms[i], AST_STRING, "string")) return NULL;
    if (t && t->kind == AST_REF) return t;
    parse_error_at(p, parse_here(p), "expected path");
    return NULL;
}
static bool check_root(struct parser *p, const struct ast_term *path) {
    static const char *const roots[] = {"data", "input", "future", "rego"};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        if (path->terms[0]->kind == AST_VAR && str_eq(path->terms[0]->var, str_from_c(roots[i])))
            return true;
    str got = parse_print_term(p, path->terms[0]);
    parse_hint(p, "if this is unexpected, try updating OPA");
    parse_error_at(
        p, path->at,
        "unexpected import path, must begin with one of: {data, future, input, rego}, got: %.*s",
        STR(got));
    return false;
}
static bool parse_alias(struct parser *p, struct ast_import *imp) {
    parse_scan(p);
    struct ast_term *t = now(p) == TOKEN_IDENT ? parse_one_term(p) : NULL;
    if (t && t->kind == AST_VAR) return imp->alias = t->var, true;
    parse_illegal(p, "expected var");
    return false;
}
/* Its last part is the name it is used by, which must not be a keyword. */
static void check_last_part(struct parser *p, const struct ast_term *path) {
    if (path->count > 1 && str_eq(part_name(path, 0), S("future"))) return;
    const struct ast_term *last = path->terms[path->count - 1];
    str name = part_name(path, path->count - 1);
    if (!token_is_reserved(name, p->options.version == REGO_V1, 0)) return;
    parse_hint(p, "import a different path or use an alias");
    parse_error_at(p, last->at, "unexpected import path, must not end with a keyword, got: %.*s",
                   STR(name));
}

static void import_future(struct parser *p, const struct ast_import *imp) {
    static const struct { const char *name; u8 bit; } words[] = {
        {"in", KEYWORD_IN}, {"every", KEYWORD_EVERY | KEYWORD_IN}, {"contains", KEYWORD_CONTAINS},
        {"if", KEYWORD_IF}, {"and", KEYWORD_AND}, {"or", KEYWORD_OR}, {"not", 0}};
    const struct ast_term *path = imp->path;
    bool logical = p->options.logical_keywords;
    if (path->count == 1 || !str_eq(part_name(path, 1), S("keywords"))) {
        parse_error_at(p, path->at, "invalid import, must be `future.keywords`");
        return;
    }
    if (imp->alias.len) {
        parse_error_at(p, path->at, "`future` imports cannot be aliased");
        return;
    }
    if (path->count != 3) { /* all; more parts mean nothing to the reference either */
        p->s.lexer.keywords |= logical ? KEYWORDS_ALL : KEYWORDS_V1;
        p->not_bodies = true;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (!str_eq(part_name(path, 2), str_from_c(words[i].name))) continue;
        p->s.lexer.keywords |= words[i].bit;
        if (!words[i].bit) p->not_bodies = true;
        return;
    }
    parse_error_at(p, path->at, "unexpected keyword, must be one of %s",
                   logical ? "[and contains every if in not or]" : "[contains every if in not]");
}
static void import_rego(struct parser *p, const struct ast_import *imp) {
    const struct ast_term *path = imp->path;
    if (path->count != 2 || !str_eq(part_name(path, 1), S("v1"))) {
        str text = parse_print_term(p, path);
        parse_error_at(p, path->at, "invalid import `%.*s`, must be `rego.v1`", STR(text));
        return;
    }
    if (p->options.version == REGO_V1) return;
    if (imp->alias.len) {
        parse_error_at(p, path->at, "`rego` imports cannot be aliased");
        return;
    }
    p->rego_v1 = true;
    p->s.lexer.keywords |= KEYWORDS_V1;
}

bool parse_import(struct parser *p) {
    struct ast_import imp = {.at = parse_here(p)};
    if (!begin_path(p) || !(imp.path = import_path(p)) || !check_root(p, imp.path)) return false;
    if (now(p) == TOKEN_AS) {
        if (!parse_alias(p, &imp)) return false;
    } else {
        check_last_part(p, imp.path);
    }
    str root = part_name(imp.path, 0);
    if (str_eq(root, S("rego"))) import_rego(p, &imp);
    else if (str_eq(root, S("future"))) import_future(p, &imp);
    struct ast_import *items = grow(p, p->imports, p->import_count, &p->import_room, sizeof(imp));
    if (!items) return false;
    p->imports = items;
    items[p->import_count] = imp;
    return parse_add_statement(p, (struct statement){.kind = STATEMENT_IMPORT, .at = imp.at,
                                                     .import = p->import_count++});
}

/* ---- Statements ---- */

/* Tries one kind of statement. False: it was none, and the parser is where it was; or an error. */
static bool attempt(struct parser *p, bool (*parse)(struct parser *p)) {
    u32 saved = parse_save(p);
    bool done = parse(p);
    if (!done && !p->s.error_count) parse_restore(p, saved);
    parse_forget(p, saved);
    return done;
}
static bool parse_query_statement(struct parser *p) {
    struct ast_body *b = parse_query(p, true, TOKEN_EOF);
    return b && parse_add_statement(p, (struct statement){.kind = STATEMENT_BODY,
                                                          .at = b->exprs[0]->at, .body = b});
}
void parse_statements(struct parser *p) {
    bool done = true;
    while (done && now(p) != TOKEN_EOF && !p->heap->exhausted) {
        p->scratch.count = 0;
        if (p->memo_count * 4 > p->memo_mask) { /* of statements before: no use any more */
            memset(p->memo, 0, (p->memo_mask + 1) * sizeof(*p->memo));
            p->memo_count = 0;
        }
        p->value_memo.term = NULL;
        done = false;
        if (now(p) == TOKEN_PACKAGE) done = attempt(p, parse_package);
        else if (now(p) == TOKEN_IMPORT) done = attempt(p, parse_import);
        if (!done && !p->s.error_count && !p->options.skip_rules) done = attempt(p, parse_rules);
        if (!done && !p->s.error_count) done = parse_query_statement(p);
    }
}

/* ---- What v1 asks for ---- */

static void check_v1(const struct ast_rule *r, struct policy_errors *errors) {
    const struct ast_head *h = r->head;
    const char *what = h->arg_count ? "function" : "rule";
    if (h->ref->count < 2 && token_is_reserved(h->name, true, 0))
        policy_error_add(errors, POLICY_PARSE_ERROR, &r->at,
                         "%.*s keyword cannot be used for rule name", STR(h->name));
    if (r->generated_body && h->generated_value)
        policy_error_add(errors, POLICY_PARSE_ERROR, &r->at,
                         "%s must have value assignment and/or body declaration", what);
    if (!r->generated_body && !h->has_if && !r->is_default)
        policy_error_add(errors, POLICY_PARSE_ERROR, &r->at,
                         "`if` keyword is required before %s body", what);
    if (!h->value && !h->has_contains)
        policy_error_add(errors, POLICY_PARSE_ERROR, &r->at,
                         "`contains` keyword is required for partial set rules");
}

/* ---- The module ---- */

static struct ast_module *module_new(struct parser *p) {
    struct ast_module *m = heap_alloc(p->heap, sizeof(*m));
    u32 rules = 0, comments = p->s.comment_count;
    for (u32 i = 0; i < p->statement_count; i++) rules += p->statements[i].kind >= STATEMENT_RULE;
    if (!m) return NULL;
    *m = (struct ast_module){.file = p->file, .version = p->options.version, .imports = p->imports,
                             .import_count = p->import_count, .comment_count = comments};
    m->rules = heap_alloc(p->heap, MAX(rules, 1u) * sizeof(struct ast_rule *));
    m->comments = heap_alloc(p->heap, MAX(comments, 1u) * sizeof(*m->comments));
    if (!m->rules || !m->comments) return NULL;
    for (const struct parse_comment *c = p->s.comments; c; c = c->before)
        m->comments[--comments] = c->comment;
    if (p->rego_v1 && m->version == REGO_V0) m->version = REGO_V0_COMPAT_V1;
    return m;
}
static void add_statement(struct parser *p, struct ast_module *m, struct statement *st,
                          struct policy_errors *errors) {
    if (st->kind == STATEMENT_PACKAGE)
        policy_error_add(errors, POLICY_PARSE_ERROR, &st->at, "unexpected package");
    if (st->kind == STATEMENT_BODY) {
        str why;
        struct ast_rule *r = rule_from_body(p, st->body, &why);
        if (!r) {
            policy_error_add(errors, POLICY_PARSE_ERROR, &st->at, "%.*s", STR(why));
            return;
        }
        st->kind = STATEMENT_RULE, st->rule = r, st->at = r->at;
    }
    if (st->kind != STATEMENT_RULE) return;
    for (struct ast_rule *r = st->rule; r; r = r->otherwise) r->module = m;
    m->rules[m->rule_count++] = st->rule;
}

/* What each block of annotations stands above: the first statement that starts below it. */
static void place_annotations(struct parser *p, struct ast_module *m,
                              const struct ast_annotations_list *list) {
    m->annotations = list->items, m->annotation_count = list->count;
    for (u32 i = 0, k = 0; i < list->count; i++) { /* both in order of rows */
        struct ast_annotations *a = list->items[i];
        while (k < p->statement_count && p->statements[k].at.row <= a->at.row) k++;
        if (k == p->statement_count) continue;
        a->package = p->statements[k].kind == STATEMENT_PACKAGE;
        a->import = p->statements[k].kind == STATEMENT_IMPORT;
        if (p->statements[k].kind == STATEMENT_RULE) a->rule = p->statements[k].rule;
    }
}

rc_t parse_assemble(struct parser *p, const struct ast_annotations_list *annotations,
                    struct ast_module **out, struct policy_errors *errors) {
    u32 before = errors->count;
    struct ast_module *m = module_new(p);
    if (!m) return RC_NO_MEMORY;
    if (p->statement_count == 0) {
        struct ast_location nowhere = {.file = p->file};
        policy_error_add(errors, POLICY_PARSE_ERROR, &nowhere, "empty module");
        return RC_INVALID;
    }
    struct statement *first = &p->statements[0];
    if (first->kind == STATEMENT_PACKAGE) {
        m->package = first->package, m->package_at = first->at;
    } else {
        policy_error_add(errors, POLICY_PARSE_ERROR, &first->at, "package expected");
        if (first->kind == STATEMENT_IMPORT) m->imports++, m->import_count--;
    }
    for (u32 i = 1; i < p->statement_count; i++) add_statement(p, m, &p->statements[i], errors);
    if (m->version != REGO_V0)
        for (u32 i = 0; i < m->rule_count; i++)
            for (const struct ast_rule *r = m->rules[i]; r; r = r->otherwise) check_v1(r, errors);
    if (errors->count == before && annotations->count) {
        place_annotations(p, m, annotations);
        annotations_attach(p->heap, m, errors);
    }
    if (p->heap->exhausted) return RC_NO_MEMORY;
    if (errors->count > before) return RC_INVALID;
    *out = m;
    return RC_OK;
}
