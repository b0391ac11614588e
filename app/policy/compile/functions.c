/* SPDX-License-Identifier: Apache-2.0 */
/* functions.c — what may be called: builtins, as far as the capabilities allow them, and rules
 * with arguments; how many arguments each takes; calls of what is not there.
 *
 * A builtin is found by the dotted name its ref spells. Plain names, `count` or `plus`, are asked
 * for so often (every variable might be one) that a filter of first letter and length answers
 * most of those questions. */
#include "app/policy/compile/compile_impl.h"

enum {
    NAME_MAX = 128,      /* longer than any builtin's */
    BUILTIN_SLOTS = 1024 /* four times as many as there are */
};

/* ---- Capabilities --------------------------------------------------------------------------- */

static void filter_bit(str name, u32 *word, u64 *bit) {
    u32 n = (((u8)name.ptr[0] & 31) << 3 | (name.len & 7)) & 255;
    *word = n / 64;
    *bit = 1ull << (n % 64);
}

static void read_features(struct compiler *c, value list) {
    static const struct {
        str name;
        u32 bit;
    } known[] = {
        {S("rule_head_ref_string_prefixes"), FEATURE_REF_HEAD_STRING_PREFIXES},
        {S("rule_head_refs"), FEATURE_REF_HEADS},
        {S("rego_v1_import"), FEATURE_REGO_V1_IMPORT},
        {S("rego_v1"), FEATURE_REGO_V1},
        {S("template_strings"), FEATURE_TEMPLATE_STRINGS},
        {S("keywords_in_refs"), FEATURE_KEYWORDS_IN_REFS},
    };
    c->features = 0;
    for (u32 i = 0; value_is(list, VALUE_ARRAY) && i < value_count(list); i++) {
        value f = value_item(list, i);
        for (u32 k = 0; value_is(f, VALUE_STRING) && k < ARRAY_LEN(known); k++)
            if (str_eq(value_str(f), known[k].name)) c->features |= known[k].bit;
    }
}

/* Where a builtin's name is looked for first. */
static u32 builtin_slot(str name) {
    u32 h = (u32)name.len * 0x9e3779b1u;
    for (size_t i = 0; i < name.len; i++) h = (h ^ (u8)name.ptr[i]) * 0x01000193u;
    return (h ^ h >> 15) & (BUILTIN_SLOTS - 1);
}

static void index_builtins(struct compiler *c) {
    u32 slots = BUILTIN_SLOTS;
    CHECK(builtins_count <= BUILTIN_SLOTS / 2);
    c->builtin_slots = compile_list(c, &slots, sizeof *c->builtin_slots);
    if (!slots) c->builtin_slots = NULL; /* no memory */
    for (u32 i = 0; slots && i < builtins_count; i++) {
        u32 at = builtin_slot(str_from_c(builtins[i].name));
        while (c->builtin_slots[at]) at = (at + 1) & (BUILTIN_SLOTS - 1);
        c->builtin_slots[at] = (u16)(i + 1);
    }
}

static const struct builtin *look_up(const struct compiler *c, str name) {
    u32 n;
    if (!c->builtin_slots) return NULL;
    for (u32 at = builtin_slot(name); (n = c->builtin_slots[at]);
         at = (at + 1) & (BUILTIN_SLOTS - 1)) {
        const char *known = builtins[n - 1].name;
        if (!strncmp(known, name.ptr, name.len) && !known[name.len]) return &builtins[n - 1];
    }
    return NULL;
}

void read_capabilities(struct compiler *c) {
    value document = c->options->capabilities;
    c->features = ~0u;
    if (value_is(document, VALUE_OBJECT)) {
        value list = value_get_str(document, S("builtins"));
        u32 count = builtins_count;
        c->features_limited = true;
        read_features(c, value_get_str(document, S("features")));
        c->allowed = compile_list(c, &count, sizeof *c->allowed);
        for (u32 i = 0; count && value_is(list, VALUE_ARRAY) && i < value_count(list); i++) {
            value name = value_get_str(value_item(list, i), S("name"));
            const struct builtin *b =
                value_is(name, VALUE_STRING) ? builtin_find(value_str(name)) : NULL;
            if (b) c->allowed[b - builtins] = true;
        }
    }
    index_builtins(c);
    u32 count = builtins_count;
    c->builtin_types = compile_list(c, &count, sizeof *c->builtin_types);
    for (u32 i = 0; i < builtins_count; i++) {
        u32 word;
        u64 bit;
        filter_bit(str_from_c(builtins[i].name), &word, &bit);
        if (!strchr(builtins[i].name, '.')) c->builtin_filter[word] |= bit;
    }
}

bool module_is_v1_compatible(const struct ast_module *m) {
    return m->version != REGO_V0;
}

/* ---- Finding -------------------------------------------------------------------------------- */

const struct builtin *builtin_allowed(const struct compiler *c, str name) {
    const struct builtin *b = look_up(c, name);
    if (!b || (c->allowed && !c->allowed[b - builtins])) return NULL;
    return b->flags & BUILTIN_TEST && !c->options->test_builtins ? NULL : b;
}

bool builtin_named(const struct compiler *c, str name) {
    u32 word;
    u64 bit;
    if (!name.len) return false;
    filter_bit(name, &word, &bit);
    return (c->builtin_filter[word] & bit) && builtin_allowed(c, name);
}

/* "io.jwt.decode" of such a ref; empty when no builtin could be meant. */
static str dotted_name(const struct ast_term *ref, char room[NAME_MAX]) {
    if (ref->kind == AST_VAR) return ref->var;
    if (ref->kind != AST_REF || !ref->count || ref->terms[0]->kind != AST_VAR) return (str){0};
    if (ref->count == 1) return ref->terms[0]->var;
    size_t n = 0;
    for (u32 i = 0; i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        if (i && t->kind != AST_STRING) return (str){0};
        str part = i ? value_str(t->scalar) : t->var;
        if (n + part.len + 1 > NAME_MAX) return (str){0};
        if (i) room[n++] = '.';
        if (part.len) memcpy(room + n, part.ptr, part.len);
        n += part.len;
    }
    return (str){room, n};
}

const struct builtin *builtin_of_ref(const struct compiler *c, const struct ast_term *ref) {
    UNINITIALIZED char room[NAME_MAX];
    if (ref->kind == AST_REF && ref->count > 1 && is_var_named(ref->terms[0], "data")) return NULL;
    str name = dotted_name(ref, room);
    return name.len ? builtin_allowed(c, name) : NULL;
}

const struct type *builtin_type(struct compiler *c, const struct builtin *b) {
    const struct type **t = &c->builtin_types[b - builtins];
    if (!*t) {
        struct diag why;
        rc_t rc = type_parse(c->heap, str_from_c(b->type), t, &why);
        if (rc) *t = &type_any; /* no memory; that each declaration parses is a test */
    }
    return *t;
}

static bool ref_of_data(const struct ast_term *ref) {
    return ref->kind == AST_REF && ref->count && is_var_named(ref->terms[0], "data");
}

int arity_of(struct compiler *c, const struct ast_term *ref) {
    if (!ref_of_data(ref)) {
        const struct builtin *b = builtin_of_ref(c, ref);
        return b ? b->arity : -1;
    }
    const struct place *p = place_of(c, ref, ref->count);
    if (!p || !p->node.rule_count) return -1;
    return (int)p->node.rules[0]->head->arg_count;
}

/* ---- Calls that cannot be ------------------------------------------------------------------- */

static const struct type *static_type(const struct ast_term *t) {
    switch (t->kind) {
    case AST_NULL: return &type_null;
    case AST_BOOLEAN: return &type_boolean;
    case AST_NUMBER: return &type_number;
    case AST_STRING: return &type_string;
    case AST_REF:
        return is_root_document(t) || ref_of_data(t) || is_var_named(t->terms[0], "input")
                   ? &type_any
                   : NULL;
    default: return NULL;
    }
}

static const struct type *early_type(struct compiler *c, const struct ast_term *t) {
    u32 n = t->count;
    if (t->kind != AST_ARRAY && t->kind != AST_SET) return static_type(t);
    const struct type **items = compile_list(c, &n, sizeof *items), *all = NULL;
    for (u32 i = 0; i < n; i++) {
        items[i] = compile_enter(c) ? early_type(c, t->terms[i]) : NULL;
        compile_leave(c);
        all = type_or(c->heap, all, items[i]);
    }
    if (t->kind == AST_SET) return type_set(c->heap, all ? all : &type_any);
    return type_array(c->heap, items, n, n ? NULL : &type_any);
}

static void arity_error(struct compiler *c, const struct ast_expr *e, int want, u32 got) {
    const struct ast_term *op = written_ref(c, e->terms[0], false);
    const struct builtin *b = builtin_of_ref(c, op);
    str name = compile_term_text(c, op);
    if (!b) {
        compile_error(c, POLICY_TYPE_ERROR, &e->at, "function %.*s has arity %d, got %u argument%s",
                      STR(name), want, got, got == 1 ? "" : "s");
        return;
    }
    struct policy_error *error =
        compile_error(c, POLICY_TYPE_ERROR, &e->at, "%.*s: arity mismatch", STR(name));
    u32 n = operand_count(e);
    const struct type **have = compile_list(c, &n, sizeof *have);
    for (u32 i = 0; i < n; i++) have[i] = early_type(c, operands(e)[i]);
    if (error) details_of_args(c, error, have, n, builtin_type(c, b), false);
}

static bool check_call(struct walk *w, struct ast_expr *e) {
    struct compiler *c = w->c;
    if (e->kind != AST_EXPR_CALL) return false;
    const struct builtin *b = ref_of_data(e->terms[0]) ? NULL : builtin_of_ref(c, e->terms[0]);
    int arity = b ? b->arity : arity_of(c, e->terms[0]);
    u32 n = operand_count(e);
    c->saw_deprecated |= b && b->flags & BUILTIN_DEPRECATED;
    if (arity < 0) {
        str name = compile_term_text(c, written_ref(c, e->terms[0], false));
        compile_error(c, POLICY_TYPE_ERROR, &e->at, "undefined function %.*s", STR(name));
        return true;
    }
    if (e->generated) { /* its result was made an operand */
        if (is_equality(e) || n == (u32)arity + 1) return false;
        arity_error(c, e, arity, n - 1);
        return true;
    }
    if (n == (u32)arity || n == (u32)arity + 1) return false;
    arity_error(c, e, arity, n);
    return true;
}

void functions_in_body(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .expr = check_call};
    walk_body(&w, b);
}

void check_functions(struct compiler *c, struct ast_rule *r) {
    struct walk w = {.c = c, .expr = check_call};
    if (notes_of(r)->has & HAS_INNER) {
        walk_rule(&w, r);
        return;
    }
    for (u32 i = 0; i < r->body->count && !compile_stopped(c); i++)
        (void)check_call(&w, r->body->exprs[i]);
}

/* ---- Calls without a result where a value is wanted ------------------------------------------ */

static bool check_void(struct walk *w, struct ast_term *t) {
    if (t->kind != AST_CALL) return false;
    const struct builtin *b = builtin_of_ref(w->c, t->terms[0]);
    const struct type *type = b ? builtin_type(w->c, b) : NULL;
    if (type && type->kind == TYPE_FUNCTION && !type->of) {
        str text = compile_term_text(w->c, t);
        compile_error(w->c, POLICY_TYPE_ERROR, &t->at, "%.*s used as value", STR(text));
    }
    return false;
}

void void_calls_in_body(struct compiler *c, struct ast_body *b) {
    struct walk w = {.c = c, .term = check_void};
    walk_body(&w, b);
}

void check_void_calls(struct compiler *c, struct ast_rule *r) {
    struct walk w = {.c = c, .term = check_void};
    if (notes_of(r)->has & HAS_CALL_TERM) walk_rule(&w, r);
}
