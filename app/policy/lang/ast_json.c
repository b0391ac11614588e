/* SPDX-License-Identifier: Apache-2.0 */
/* ast_json.c — the tree as JSON, in the reference's form: what rego.parse_module answers and tools
 * read. {"type": "ref", "value": [...]}, fields left out when empty, null as {}, objects as lists
 * of pairs. With locations, each node carries its place and its text in base64. */
#include "app/policy/lang/annotations.h"
#include "app/policy/lang/write_impl.h"
#include "app/policy/value/base64_text.h"

struct json { struct heap *heap; bool locations; };
struct fields { struct json *j; value keys[10], values[10]; u32 count; };

static void put_field(struct fields *f, const char *key, value v) {
    CHECK(f->count < ARRAY_LEN(f->keys));
    f->keys[f->count] = value_string_c(f->j->heap, key);
    f->values[f->count++] = v;
}
static value close_fields(struct fields *f) {
    return value_object(f->j->heap, f->keys, f->values, f->count);
}
static value base64(struct json *j, str bytes) {
    char *room = value_string_room(j->heap, BASE64_WRITE_ROOM(bytes.len));
    return room ? value_string_seal(room, base64_text_write(bytes, 0, room)) : value_null();
}
static value place(struct json *j, const struct ast_location *at) {
    struct fields f = {.j = j};
    put_field(&f, "file", value_string(j->heap, at->file->name));
    put_field(&f, "row", value_integer(at->row));
    put_field(&f, "col", value_integer(at->column));
    if (j->locations && at->len)
        put_field(&f, "text", base64(j, str_of(at->file->text.ptr + at->offset, at->len)));
    return close_fields(&f);
}
static void put_place(struct fields *f, const struct ast_location *at) {
    if (f->j->locations && at->file) put_field(f, "location", place(f->j, at));
}

/* ---- Terms ---- */

static value body_json(struct json *j, const struct ast_body *b);
static value expr_json(struct json *j, const struct ast_expr *e);
static value term_json(struct json *j, const struct ast_term *t);
static value terms_json(struct json *j, struct ast_term *const *terms, u32 count) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < count; i++) value_builder_add(&list, term_json(j, terms[i]));
    return value_builder_close(&list);
}
static value pairs_json(struct json *j, const struct ast_term *t) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < t->count; i++) {
        value pair[] = {term_json(j, t->pairs[i].key), term_json(j, t->pairs[i].value)};
        value_builder_add(&list, value_array(j->heap, pair, 2));
    }
    return value_builder_close(&list);
}
static value template_json(struct json *j, const struct ast_term *t) {
    struct value_builder list;
    struct fields f = {.j = j};
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < t->count; i++)
        value_builder_add(&list, t->parts[i].expr ? expr_json(j, t->parts[i].expr)
                                                  : term_json(j, t->parts[i].text));
    put_field(&f, "parts", value_builder_close(&list));
    put_field(&f, "multi_line", value_boolean(t->multiline));
    return close_fields(&f);
}
static value comprehension_json(struct json *j, const struct ast_term *t) {
    struct fields f = {.j = j};
    if (t->comprehension.key) put_field(&f, "key", term_json(j, t->comprehension.key));
    put_field(&f, t->comprehension.key ? "value" : "term", term_json(j, t->comprehension.head));
    put_field(&f, "body", body_json(j, t->comprehension.body));
    return close_fields(&f);
}
static value term_value_json(struct json *j, const struct ast_term *t) {
    switch (t->kind) {
    case AST_NULL: return value_empty_object();
    case AST_VAR: return value_string(j->heap, t->var);
    case AST_REF:
    case AST_ARRAY:
    case AST_SET:
    case AST_CALL: return terms_json(j, t->terms, t->count);
    case AST_OBJECT: return pairs_json(j, t);
    case AST_TEMPLATE_STRING: return template_json(j, t);
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: return comprehension_json(j, t);
    default: return t->scalar;
    }
}
static value term_json(struct json *j, const struct ast_term *t) {
    static const char *const types[] = {[AST_NULL] = "null",
                                        [AST_BOOLEAN] = "boolean",
                                        [AST_NUMBER] = "number",
                                        [AST_STRING] = "string",
                                        [AST_VAR] = "var",
                                        [AST_REF] = "ref",
                                        [AST_ARRAY] = "array",
                                        [AST_OBJECT] = "object",
                                        [AST_SET] = "set",
                                        [AST_ARRAY_COMPREHENSION] = "arraycomprehension",
                                        [AST_OBJECT_COMPREHENSION] = "objectcomprehension",
                                        [AST_SET_COMPREHENSION] = "setcomprehension",
                                        [AST_CALL] = "call",
                                        [AST_TEMPLATE_STRING] = "templatestring"};
    if (t->kind == AST_VALUE) {
        struct ast_term *tree = ast_of_value(j->heap, &t->at, t->scalar);
        return tree ? term_json(j, tree) : value_null();
    }
    struct fields f = {.j = j};
    put_place(&f, &t->at);
    put_field(&f, "type", value_string_c(j->heap, types[t->kind]));
    put_field(&f, "value", term_value_json(j, t));
    return close_fields(&f);
}

/* ---- Expressions ---- */

/* `some` and `every` have a place of their own: their word's. */
static struct ast_location word_of(struct ast_location at, u32 len) {
    at.offset = at.head, at.len = len;
    return at;
}
static value expr_terms_json(struct json *j, const struct ast_expr *e) {
    struct fields f = {.j = j};
    struct ast_location at;
    switch ((enum ast_expr_kind)e->kind) {
    case AST_EXPR_TERM: return term_json(j, e->terms[0]);
    case AST_EXPR_CALL: return terms_json(j, e->terms, e->count);
    case AST_EXPR_SOME:
        put_place(&f, (at = word_of(e->at, 4), &at));
        put_field(&f, "symbols", terms_json(j, e->terms, e->count));
        break;
    case AST_EXPR_EVERY:
        put_place(&f, (at = word_of(e->at, 5), &at));
        put_field(&f, "key", e->every->key ? term_json(j, e->every->key) : value_null());
        put_field(&f, "value", term_json(j, e->every->value));
        put_field(&f, "domain", term_json(j, e->every->domain));
        put_field(&f, "body", body_json(j, e->every->body));
        break;
    case AST_EXPR_LOGICAL:
        put_place(&f, &e->at);
        put_field(&f, "type",
                  value_string(j->heap, e->logical->op == AST_AND ? S("and") : S("or")));
        put_field(&f, "lhs", body_json(j, e->logical->left));
        put_field(&f, "rhs", body_json(j, e->logical->right));
        if (e->logical->explicit_left) put_field(&f, "explicit_lhs", value_boolean(true));
        if (e->logical->explicit_right) put_field(&f, "explicit_rhs", value_boolean(true));
        break;
    case AST_EXPR_NOT:
        put_place(&f, &e->at);
        put_field(&f, "type", value_string(j->heap, S("not")));
        put_field(&f, "body", body_json(j, e->not_body));
        put_field(&f, "explicit_body", value_boolean(e->explicit_body));
        break;
    }
    return close_fields(&f);
}
static value with_json(struct json *j, const struct ast_expr *e) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < e->with_count; i++) {
        struct fields f = {.j = j};
        put_place(&f, &e->with[i].at);
        put_field(&f, "target", term_json(j, e->with[i].target));
        put_field(&f, "value", term_json(j, e->with[i].value));
        value_builder_add(&list, close_fields(&f));
    }
    return value_builder_close(&list);
}
static value expr_json(struct json *j, const struct ast_expr *e) {
    struct fields f = {.j = j};
    put_place(&f, &e->at);
    put_field(&f, "index", value_integer(e->index));
    put_field(&f, "terms", expr_terms_json(j, e));
    if (e->with_count) put_field(&f, "with", with_json(j, e));
    if (e->generated) put_field(&f, "generated", value_boolean(true));
    if (e->negated) put_field(&f, "negated", value_boolean(true));
    return close_fields(&f);
}
static value body_json(struct json *j, const struct ast_body *b) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < b->count; i++) value_builder_add(&list, expr_json(j, b->exprs[i]));
    return value_builder_close(&list);
}

/* ---- Rules ---- */

static value head_json(struct json *j, const struct ast_head *h) {
    struct fields f = {.j = j};
    put_place(&f, &h->at);
    put_field(&f, "ref", terms_json(j, h->ref->terms, h->ref->count));
    if (h->name.len) put_field(&f, "name", value_string(j->heap, h->name));
    if (h->key) put_field(&f, "key", term_json(j, h->key));
    if (h->value) put_field(&f, "value", term_json(j, h->value));
    if (h->arg_count) put_field(&f, "args", terms_json(j, h->args, h->arg_count));
    if (h->assign) put_field(&f, "assign", value_boolean(true));
    return close_fields(&f);
}

/* An annotation's own form: an author's name is never left out, schemas are references of terms. */
static value authors_json(struct json *j, value authors) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(authors); i++) {
        struct fields f = {.j = j};
        value name = value_get_str(value_item(authors, i), S("name"));
        value email = value_get_str(value_item(authors, i), S("email"));
        put_field(&f, "name", value_defined(name) ? name : value_string(j->heap, S("")));
        if (value_defined(email)) put_field(&f, "email", email);
        value_builder_add(&list, close_fields(&f));
    }
    return value_builder_close(&list);
}
static value schemas_json(struct json *j, const struct ast_annotations *a) {
    struct value_builder list;
    struct json plain = {j->heap, false}; /* their places are within the comment: of no use */
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < a->schema_count; i++) {
        const struct ast_schema *s = &a->schemas[i];
        struct fields f = {.j = j};
        put_field(&f, "path", terms_json(&plain, s->path->terms, s->path->count));
        if (s->schema)
            put_field(&f, "schema", terms_json(&plain, s->schema->terms, s->schema->count));
        else put_field(&f, "definition", s->definition);
        value_builder_add(&list, close_fields(&f));
    }
    return value_builder_close(&list);
}
value annotations_json(struct heap *h, const struct ast_annotations *a, bool locations) {
    struct json j = {h, locations};
    struct value_builder out;
    value_builder_open(&out, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(a->fields); i++) {
        str key = value_str(value_key_at(a->fields, i));
        value v = value_value_at(a->fields, i);
        if (str_eq(key, S("authors"))) v = authors_json(&j, v);
        else if (str_eq(key, S("schemas"))) v = schemas_json(&j, a);
        value_builder_replace(&out, value_key_at(a->fields, i), v);
    }
    if (locations) value_builder_replace(&out, value_string(h, S("location")), place(&j, &a->at));
    return value_builder_close(&out);
}
static value annotation_list_json(struct json *j, struct ast_annotations *const *items, u32 count) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < count; i++)
        value_builder_add(&list, annotations_json(j->heap, items[i], j->locations));
    return value_builder_close(&list);
}

/* `rest`: the JSON of the else behind it, made first: a chain may be too long to recurse. */
static value rule_json(struct json *j, const struct ast_rule *r, value rest) {
    struct fields f = {.j = j};
    put_place(&f, &r->at);
    put_field(&f, "head", head_json(j, r->head));
    put_field(&f, "body", body_json(j, r->body));
    if (r->is_default) put_field(&f, "default", value_boolean(true));
    if (value_defined(rest)) put_field(&f, "else", rest);
    if (r->annotation_count)
        put_field(&f, "annotations", annotation_list_json(j, r->annotations, r->annotation_count));
    return close_fields(&f);
}
static value rule_chain_json(struct json *j, const struct ast_rule *first) {
    u32 count = 0;
    for (const struct ast_rule *r = first; r; r = r->otherwise) count++;
    const struct ast_rule **chain = heap_alloc(j->heap, count * sizeof(*chain));
    if (!chain) return value_null();
    u32 i = 0;
    for (const struct ast_rule *r = first; r; r = r->otherwise) chain[i++] = r;
    value v = UNDEFINED;
    while (i) v = rule_json(j, chain[--i], v);
    return v;
}

/* ---- The module ---- */

static value imports_json(struct json *j, const struct ast_module *m) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < m->import_count; i++) {
        struct fields f = {.j = j};
        put_place(&f, &m->imports[i].at);
        put_field(&f, "path", term_json(j, m->imports[i].path));
        if (m->imports[i].alias.len)
            put_field(&f, "alias", value_string(j->heap, m->imports[i].alias));
        value_builder_add(&list, close_fields(&f));
    }
    return value_builder_close(&list);
}
static value comments_json(struct json *j, const struct ast_module *m) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < m->comment_count; i++) {
        struct fields f = {.j = j};
        put_field(&f, "Location", place(j, &m->comments[i].at));
        put_field(&f, "Text", base64(j, m->comments[i].text));
        value_builder_add(&list, close_fields(&f));
    }
    return value_builder_close(&list);
}
static value rules_json(struct json *j, const struct ast_module *m) {
    struct value_builder list;
    value_builder_open(&list, j->heap, VALUE_ARRAY);
    for (u32 i = 0; i < m->rule_count; i++)
        value_builder_add(&list, rule_chain_json(j, m->rules[i]));
    return value_builder_close(&list);
}
value ast_module_json(struct heap *h, const struct ast_module *m, bool locations) {
    struct json j = {h, locations};
    struct fields f = {.j = &j}, package = {.j = &j};
    put_place(&package, &m->package_at);
    put_field(&package, "path", terms_json(&j, m->package->terms, m->package->count));
    put_field(&f, "package", close_fields(&package));
    if (m->import_count) put_field(&f, "imports", imports_json(&j, m));
    if (m->annotation_count)
        put_field(&f, "annotations", annotation_list_json(&j, m->annotations, m->annotation_count));
    if (m->rule_count) put_field(&f, "rules", rules_json(&j, m));
    if (m->comment_count) put_field(&f, "comments", comments_json(&j, m));
    return close_fields(&f);
}

value ast_term_json(struct heap *h, const struct ast_term *t, bool locations) {
    return term_json(&(struct json){h, locations}, t);
}
value ast_expr_json(struct heap *h, const struct ast_expr *e, bool locations) {
    return expr_json(&(struct json){h, locations}, e);
}
value ast_body_json(struct heap *h, const struct ast_body *b, bool locations) {
    return body_json(&(struct json){h, locations}, b);
}
value ast_rule_json(struct heap *h, const struct ast_rule *r, bool locations) {
    return rule_chain_json(&(struct json){h, locations}, r);
}
