/* SPDX-License-Identifier: Apache-2.0 */
/* ast.c — nodes: made, copied, compared, looked at.
 *
 * Everything recurses as deep as terms nest, which the parser bounds (`depth`); chains of else are
 * loops, since a text may hold very many. A maker that finds the heap exhausted returns NULL. */
#include "app/policy/lang/ast.h"

/* ---- Making ---- */

static struct ast_term *term_new(struct heap *h, const struct ast_location *at,
                                 enum ast_term_kind kind) {
    struct ast_term *t = heap_alloc(h, sizeof(*t));
    if (!t) return NULL;
    *t = (struct ast_term){.kind = (u8)kind};
    if (at) t->at = *at;
    return t;
}

struct ast_term *ast_scalar(struct heap *h, const struct ast_location *at, value v) {
    static const u8 kinds[] = {[VALUE_UNDEFINED] = AST_NULL, [VALUE_NULL] = AST_NULL,
                               [VALUE_BOOLEAN] = AST_BOOLEAN, [VALUE_NUMBER] = AST_NUMBER,
                               [VALUE_STRING] = AST_STRING, [VALUE_ARRAY] = AST_VALUE,
                               [VALUE_OBJECT] = AST_VALUE, [VALUE_SET] = AST_VALUE};
    struct ast_term *t = term_new(h, at, kinds[v.kind]);
    if (t) t->scalar = v;
    return t;
}

struct ast_term *ast_var(struct heap *h, const struct ast_location *at, str name) {
    struct ast_term *t = term_new(h, at, AST_VAR);
    if (t) t->var = name;
    return t;
}

static u8 deeper(u32 depth) { return depth < 255 ? (u8)(depth + 1) : 255; }

struct ast_term *ast_list(struct heap *h, const struct ast_location *at, enum ast_term_kind kind,
                          struct ast_term *const *terms, u32 count) {
    struct ast_term *t = term_new(h, at, kind);
    struct ast_term **list = heap_alloc(h, MAX(count, 1u) * sizeof(struct ast_term *));
    if (!t || !list) return NULL;
    u32 depth = 0;
    for (u32 i = 0; i < count; i++) {
        if (!terms[i]) return NULL;
        list[i] = terms[i];
        depth = MAX(depth, terms[i]->depth);
    }
    t->terms = list, t->count = count, t->depth = deeper(depth);
    return t;
}

/* "a.b.c" as a reference: the name of a function. */
static struct ast_term *dotted_ref(struct heap *h, const struct ast_location *at, str name) {
    struct ast_term *parts[8];
    u32 count = 0;
    str part;
    while (count < ARRAY_LEN(parts) && str_split(&name, '.', &part)) {
        parts[count] = count ? ast_scalar(h, at, value_string(h, part)) : ast_var(h, at, part);
        if (!parts[count++]) return NULL;
    }
    return ast_list(h, at, AST_REF, parts, count);
}
struct ast_expr *ast_expr_call(struct heap *h, const struct ast_location *at, str op,
                               struct ast_term *const *args, u32 count) {
    struct ast_expr *e = heap_alloc(h, sizeof(*e));
    struct ast_term **list = heap_alloc(h, (count + 1) * sizeof(struct ast_term *));
    if (!e || !list || !(list[0] = dotted_ref(h, at, op))) return NULL;
    *e = (struct ast_expr){.kind = AST_EXPR_CALL, .terms = list, .count = count + 1};
    if (at) e->at = *at;
    for (u32 i = 0; i < count; i++) {
        if (!args[i]) return NULL;
        list[i + 1] = args[i];
        e->depth = MAX(e->depth, args[i]->depth);
    }
    return e;
}

/* ---- Copies ---- */

static struct ast_term **copy_list(struct heap *h, struct ast_term *const *from, u32 count) {
    struct ast_term **list = heap_alloc(h, MAX(count, 1u) * sizeof(struct ast_term *));
    for (u32 i = 0; list && i < count; i++)
        if (!(list[i] = ast_term_copy(h, from[i]))) return NULL;
    return list;
}
static struct ast_pair *copy_pairs(struct heap *h, const struct ast_pair *from, u32 count) {
    struct ast_pair *list = heap_alloc(h, MAX(count, 1u) * sizeof(*list));
    for (u32 i = 0; list && i < count; i++) {
        list[i] = (struct ast_pair){ast_term_copy(h, from[i].key), ast_term_copy(h, from[i].value)};
        if (!list[i].key || !list[i].value) return NULL;
    }
    return list;
}
static struct ast_part *copy_parts(struct heap *h, const struct ast_part *from, u32 count) {
    struct ast_part *list = heap_alloc(h, MAX(count, 1u) * sizeof(*list));
    for (u32 i = 0; list && i < count; i++) {
        list[i] = (struct ast_part){from[i].text ? ast_term_copy(h, from[i].text) : NULL,
                                    from[i].expr ? ast_expr_copy(h, from[i].expr) : NULL};
        if (!list[i].text && !list[i].expr) return NULL;
    }
    return list;
}

struct ast_term *ast_term_copy(struct heap *h, const struct ast_term *from) {
    struct ast_term *t = heap_alloc(h, sizeof(*t));
    if (!t) return NULL;
    *t = *from;
    switch (from->kind) {
    case AST_REF:
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL:
        t->terms = copy_list(h, from->terms, from->count);
        return t->terms ? t : NULL;
    case AST_OBJECT:
        t->pairs = copy_pairs(h, from->pairs, from->count);
        return t->pairs ? t : NULL;
    case AST_TEMPLATE_STRING:
        t->parts = copy_parts(h, from->parts, from->count);
        return t->parts ? t : NULL;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION:
        t->comprehension.head = ast_term_copy(h, from->comprehension.head);
        t->comprehension.body = ast_body_copy(h, from->comprehension.body);
        if (from->comprehension.key &&
            !(t->comprehension.key = ast_term_copy(h, from->comprehension.key)))
            return NULL;
        return t->comprehension.head && t->comprehension.body ? t : NULL;
    default: return t;
    }
}

static struct ast_every *copy_every(struct heap *h, const struct ast_every *from) {
    struct ast_every *q = heap_alloc(h, sizeof(*q));
    if (!q) return NULL;
    *q = (struct ast_every){from->key ? ast_term_copy(h, from->key) : NULL,
                            ast_term_copy(h, from->value), ast_term_copy(h, from->domain),
                            ast_body_copy(h, from->body)};
    return q->value && q->domain && q->body && (q->key || !from->key) ? q : NULL;
}
static struct ast_logical *copy_logical(struct heap *h, const struct ast_logical *from) {
    struct ast_logical *l = heap_alloc(h, sizeof(*l));
    if (!l) return NULL;
    *l = *from;
    l->left = ast_body_copy(h, from->left);
    l->right = ast_body_copy(h, from->right);
    return l->left && l->right ? l : NULL;
}
static bool copy_with(struct heap *h, struct ast_expr *e, const struct ast_expr *from) {
    if (!from->with_count) return true;
    e->with = heap_alloc(h, from->with_count * sizeof(*e->with));
    for (u32 i = 0; e->with && i < from->with_count; i++) {
        e->with[i] = (struct ast_with){ast_term_copy(h, from->with[i].target),
                                       ast_term_copy(h, from->with[i].value), from->with[i].at};
        if (!e->with[i].target || !e->with[i].value) return false;
    }
    return e->with != NULL;
}
struct ast_expr *ast_expr_copy(struct heap *h, const struct ast_expr *from) {
    struct ast_expr *e = heap_alloc(h, sizeof(*e));
    if (!e) return NULL;
    *e = *from;
    if (from->terms && !(e->terms = copy_list(h, from->terms, from->count))) return NULL;
    if (from->every && !(e->every = copy_every(h, from->every))) return NULL;
    if (from->logical && !(e->logical = copy_logical(h, from->logical))) return NULL;
    if (from->not_body && !(e->not_body = ast_body_copy(h, from->not_body))) return NULL;
    return copy_with(h, e, from) ? e : NULL;
}
struct ast_body *ast_body_copy(struct heap *h, const struct ast_body *from) {
    struct ast_body *b = heap_alloc(h, sizeof(*b));
    struct ast_expr **list = heap_alloc(h, MAX(from->count, 1u) * sizeof(struct ast_expr *));
    if (!b || !list) return NULL;
    *b = *from;
    b->exprs = list;
    for (u32 i = 0; i < from->count; i++)
        if (!(list[i] = ast_expr_copy(h, from->exprs[i]))) return NULL;
    return b;
}

static struct ast_head *copy_head(struct heap *h, const struct ast_head *from) {
    struct ast_head *to = heap_alloc(h, sizeof(*to));
    if (!to) return NULL;
    *to = *from;
    to->ref = ast_term_copy(h, from->ref);
    if (from->key && !(to->key = ast_term_copy(h, from->key))) return NULL;
    if (from->value && !(to->value = ast_term_copy(h, from->value))) return NULL;
    if (from->arg_count && !(to->args = copy_list(h, from->args, from->arg_count))) return NULL;
    return to->ref ? to : NULL;
}
struct ast_rule *ast_rule_copy(struct heap *h, const struct ast_rule *from) {
    struct ast_rule *first = NULL, **link = &first;
    for (; from; from = from->otherwise, link = &(*link)->otherwise) {
        struct ast_rule *r = heap_alloc(h, sizeof(*r));
        if (!r) return NULL;
        *r = *from;
        r->head = copy_head(h, from->head);
        r->body = ast_body_copy(h, from->body);
        r->otherwise = NULL;
        if (!r->head || !r->body) return NULL;
        *link = r;
    }
    return first;
}

/* ---- Looking ---- */

static bool parts_ground(const struct ast_term *t) {
    for (u32 i = 0; i < t->count; i++) {
        const struct ast_expr *e = t->parts[i].expr;
        for (u32 k = e && e->kind == AST_EXPR_CALL; e && k < e->count; k++)
            if (!ast_term_is_ground(e->terms[k])) return false;
    }
    return true;
}
bool ast_term_is_ground(const struct ast_term *t) {
    switch (t->kind) {
    case AST_VAR: return false;
    case AST_REF: /* its head is a name */
        for (u32 i = 1; i < t->count; i++)
            if (!ast_term_is_ground(t->terms[i])) return false;
        return true;
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL:
        for (u32 i = 0; i < t->count; i++)
            if (!ast_term_is_ground(t->terms[i])) return false;
        return true;
    case AST_OBJECT:
        for (u32 i = 0; i < t->count; i++)
            if (!ast_term_is_ground(t->pairs[i].key) || !ast_term_is_ground(t->pairs[i].value))
                return false;
        return true;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: return false;
    case AST_TEMPLATE_STRING: return parts_ground(t);
    default: return true;
    }
}

bool ast_term_is_constant(const struct ast_term *t) {
    if (t->kind <= AST_STRING || t->kind == AST_VALUE) return true;
    if (t->kind == AST_ARRAY || t->kind == AST_SET) {
        for (u32 i = 0; i < t->count; i++)
            if (!ast_term_is_constant(t->terms[i])) return false;
        return true;
    }
    if (t->kind != AST_OBJECT) return false;
    for (u32 i = 0; i < t->count; i++)
        if (!ast_term_is_constant(t->pairs[i].key) || !ast_term_is_constant(t->pairs[i].value))
            return false;
    return true;
}

static value collection_value(struct heap *h, const struct ast_term *t) {
    struct value_builder b;
    value_builder_open(&b, h,
                       t->kind == AST_ARRAY ? VALUE_ARRAY
                       : t->kind == AST_SET ? VALUE_SET
                                            : VALUE_OBJECT);
    for (u32 i = 0; i < t->count; i++)
        if (t->kind == AST_OBJECT)
            value_builder_replace(&b, ast_term_value(h, t->pairs[i].key),
                                  ast_term_value(h, t->pairs[i].value));
        else
            value_builder_add(&b, ast_term_value(h, t->terms[i]));
    return value_builder_close(&b);
}
value ast_term_value(struct heap *h, const struct ast_term *t) {
    if (t->kind <= AST_STRING || t->kind == AST_VALUE) return t->scalar;
    return ast_term_is_constant(t) ? collection_value(h, t) : UNDEFINED;
}

struct ast_term *ast_of_value(struct heap *h, const struct ast_location *at, value v) {
    if (v.kind < VALUE_ARRAY) return ast_scalar(h, at, v);
    u32 count = value_count(v), depth = 0;
    struct ast_term *t = term_new(h, at,
                                  v.kind == VALUE_ARRAY ? AST_ARRAY
                                  : v.kind == VALUE_SET ? AST_SET
                                                        : AST_OBJECT);
    if (!t) return NULL;
    t->count = count;
    if (v.kind == VALUE_OBJECT) {
        t->pairs = heap_alloc(h, MAX(count, 1u) * sizeof(*t->pairs));
        for (u32 i = 0; t->pairs && i < count; i++) {
            struct ast_pair pair = {ast_of_value(h, at, value_key_at(v, i)),
                                    ast_of_value(h, at, value_value_at(v, i))};
            if (!pair.key || !pair.value) return NULL;
            t->pairs[i] = pair;
            depth = MAX(depth, MAX(pair.key->depth, pair.value->depth));
        }
    } else {
        t->terms = heap_alloc(h, MAX(count, 1u) * sizeof(struct ast_term *));
        for (u32 i = 0; t->terms && i < count; i++) {
            if (!(t->terms[i] = ast_of_value(h, at, value_item(v, i)))) return NULL;
            depth = MAX(depth, t->terms[i]->depth);
        }
    }
    t->depth = deeper(depth);
    return h->exhausted ? NULL : t;
}

bool ast_ref_starts(const struct ast_term *ref, const struct ast_term *prefix) {
    if (ref->kind != AST_REF || prefix->kind != AST_REF || ref->count < prefix->count) return false;
    for (u32 i = 0; i < prefix->count; i++)
        if (ast_term_compare(ref->terms[i], prefix->terms[i]) != 0) return false;
    return true;
}
