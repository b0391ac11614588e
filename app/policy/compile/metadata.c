/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c — what authors say of rules and packages, where rules ask for it.
 *
 *   rego.metadata.rule()   ->  what stands above this rule
 *   rego.metadata.chain()  ->  of the rule, its document, its package, the packages around it
 *
 * Both are known now: the value is bound at the beginning of the body, each call becomes its
 * variable. Two blocks that speak of the same document or package are an error, whoever asks. */
#include "app/policy/compile/compile_impl.h"
#include "app/policy/lang/annotations.h"

/* ---- Who speaks of what --------------------------------------------------------------------- */

static struct said *said_at(struct compiler *c, const struct ast_term *ref, u32 len) {
    struct trie_node *n = &c->annotations->root;
    for (u32 i = 0; i < len && n; i++) {
        const struct ast_term *key = ref->terms[i];
        n = key->kind == AST_VAR ? trie_make_str(c->annotations, n, key->var)
                                 : trie_make(c->annotations, n, key->scalar);
    }
    if (!n) return NULL;
    u32 one = 1;
    if (!n->thing) n->thing = own_list(c, &one, sizeof(struct said));
    return n->thing;
}

static void say(struct compiler *c, struct ast_annotations **place, struct ast_annotations *a) {
    if (!*place) {
        *place = a;
        return;
    }
    const struct ast_location *other = &(*place)->at;
    compile_error(c, POLICY_TYPE_ERROR, &a->at, "%.*s annotation redeclared: %.*s:%u",
                  STR(a->scope_text), STR(other->file ? other->file->name : (str){0}), other->row);
}

static u32 full_ground_len(const struct ast_rule *r) {
    return rule_ground_len(r);
}

static void gather(struct compiler *c, struct ast_module *m, struct ast_annotations *a) {
    struct said *s;
    const struct ast_term *full = a->rule ? rule_full_ref(c, a->rule) : NULL;
    if (compile_stopped(c)) return;
    switch (a->scope) {
    case SCOPE_DOCUMENT:
        if (!full) return;
        s = said_at(c, full, full_ground_len(a->rule));
        if (s) say(c, &s->path, a);
        break;
    case SCOPE_PACKAGE:
        s = a->package ? said_at(c, m->package, m->package->count) : NULL;
        if (s) say(c, &s->package, a);
        break;
    case SCOPE_SUBPACKAGES:
        s = a->package ? said_at(c, m->package, m->package->count) : NULL;
        if (s) say(c, &s->path, a);
        break;
    default: break;
    }
}

/* ---- The values ----------------------------------------------------------------------------- */

static void put(struct heap *h, struct value_builder *b, const char *name, value v) {
    rc_t rc = value_builder_put(b, value_string_c(h, name), v);
    (void)rc; /* names differ */
}

static void add_link(struct compiler *c, struct value_builder *chain, const struct ast_term *path,
                     u32 len, const struct ast_annotations *a) {
    struct value_builder steps, link;
    if (compile_stopped(c)) return; /* no memory: `path` may have gaps */
    value_builder_open(&steps, c->heap, VALUE_ARRAY);
    for (u32 i = 1; i < len; i++) value_builder_add(&steps, path->terms[i]->scalar);
    value_builder_open(&link, c->heap, VALUE_OBJECT);
    if (a) put(c->heap, &link, "annotations", a->fields);
    put(c->heap, &link, "path", value_builder_close(&steps));
    value_builder_add(chain, value_builder_close(&link));
}

static bool is_of_rule(const struct ast_annotations *a) {
    return a->scope == SCOPE_RULE;
}

/* Nearest block first: they stand in the order of the source. */
static void add_own(struct compiler *c, struct value_builder *chain, struct ast_rule *r) {
    bool any = false;
    struct ast_term *full = rule_full_ref(c, r);
    for (u32 i = r->annotation_count; i-- > 0;) {
        if (!is_of_rule(r->annotations[i])) continue;
        add_link(c, chain, full, full_ground_len(r), r->annotations[i]);
        any = true;
    }
    if (!any) add_link(c, chain, full, full_ground_len(r), NULL);
}

static const struct said *said_of(const struct compiler *c, const struct ast_term *ref, u32 len) {
    const struct trie_node *n = &c->annotations->root;
    for (u32 i = 0; i < len && n; i++) n = trie_child_term(c->annotations, n, ref->terms[i]);
    return n ? n->thing : NULL;
}

static value chain_of(struct compiler *c, struct ast_rule *r) {
    struct value_builder chain;
    const struct ast_term *package = r->module->package, *full = rule_full_ref(c, r);
    if (compile_stopped(c)) return value_null();
    value_builder_open(&chain, c->heap, VALUE_ARRAY);
    add_own(c, &chain, r);
    const struct said *s = said_of(c, full, full_ground_len(r));
    if (s && s->path) add_link(c, &chain, full, full_ground_len(r), s->path);
    s = said_of(c, package, package->count);
    if (s && s->package) add_link(c, &chain, package, package->count, s->package);
    for (u32 len = package->count; len; len--) {
        s = said_of(c, package, len);
        if (s && s->path) add_link(c, &chain, package, len, s->path);
    }
    return value_builder_close(&chain);
}

static value rule_metadata(const struct ast_rule *r) {
    for (u32 i = 0; i < r->annotation_count; i++)
        if (is_of_rule(r->annotations[i])) return r->annotations[i]->fields;
    return value_empty_object();
}

/* ---- The calls ------------------------------------------------------------------------------ */

struct asked {
    struct ast_expr *chain, *rule; /* the first call of each */
    struct ast_term *chain_var, *rule_var;
};

/* rego.metadata.WHAT */
static bool is_metadata_call(const struct ast_expr *e, str what) {
    if (e->kind != AST_EXPR_CALL) return false;
    const struct ast_term *op = e->terms[0];
    return op->kind == AST_REF && op->count == 3 && is_var_named(op->terms[0], "rego") &&
           op->terms[1]->kind == AST_STRING &&
           str_eq(value_str(op->terms[1]->scalar), S("metadata")) &&
           op->terms[2]->kind == AST_STRING && str_eq(value_str(op->terms[2]->scalar), what);
}

static bool find_call(struct walk *w, struct ast_expr *e) {
    struct asked *a = w->arg;
    if (!a->chain && is_metadata_call(e, S("chain"))) a->chain = e;
    if (!a->rule && is_metadata_call(e, S("rule"))) a->rule = e;
    return false;
}

static bool replace_call(struct walk *w, struct ast_expr *e) {
    struct asked *a = w->arg;
    const struct ast_term *var = NULL;
    if (is_metadata_call(e, S("chain")))
        var = a->chain_var;
    else if (is_metadata_call(e, S("rule")))
        var = a->rule_var;
    if (!var) return false;
    struct ast_term *value_var = new_var(w->c, var->var, &e->at);
    struct ast_expr *out = operand_count(e) ? new_eq(w->c, operands(e)[0], value_var, &e->at)
                                            : new_term_expr(w->c, value_var);
    e->kind = out->kind;
    e->terms = out->terms;
    e->count = out->count;
    e->generated = true;
    e->negated = false;
    e->with_count = 0;
    return true;
}

static struct ast_term *bind_first(struct compiler *c, struct exprs *body, value v,
                                   const struct ast_location *at) {
    struct ast_term *t = ast_of_value(c->heap, at, v);
    if (!t) return NULL;
    struct ast_expr *e = new_capture(c, t);
    exprs_add(c, body, e);
    return operands(e)[0];
}

void rewrite_metadata(struct compiler *c, struct ast_rule *r) {
    if (!(notes_of(r)->has & HAS_METADATA)) return;
    struct asked a = {0};
    struct exprs body = {0};
    struct walk find = {.c = c, .expr = find_call, .arg = &a};
    struct walk replace = {.c = c, .expr = replace_call, .arg = &a};
    walk_rule(&find, r);
    if (a.chain && builtin_allowed(c, S("rego.metadata.chain")))
        a.chain_var = bind_first(c, &body, chain_of(c, r), &a.chain->at);
    if (a.rule && builtin_allowed(c, S("rego.metadata.rule")))
        a.rule_var = bind_first(c, &body, rule_metadata(r), &a.rule->at);
    walk_rule(&replace, r);
    for (u32 i = 0; i < r->body->count; i++) exprs_add(c, &body, r->body->exprs[i]);
    if (!compile_stopped(c)) body_set(c, r->body, &body);
}

/* Before any rule asks. */
void gather_metadata(struct compiler *c) {
    EACH_MODULE(c, m)
    for (u32 i = 0; i < m->annotation_count; i++) gather(c, m, m->annotations[i]);
}
