/* SPDX-License-Identifier: Apache-2.0 */
/* schema.c — JSON schemas as types of `input` and of parts of `data`.
 *
 *   {"type": "object", "properties": {"a": {"type": "string"}}}   object<a: string>
 *
 * Schemas come with the compilation, by name: "schema" alone is that of the whole input,
 * "schema.pods" is what an annotation means by it; or they stand in an annotation. Of a schema
 * the types count, not what else it demands: type, properties, items, anyOf, allOf, $ref within
 * the document. What refers to itself may be anything from there on. */
#include "app/policy/compile/check_impl.h"
#include "app/policy/lang/annotations.h"

enum { SCHEMA_DEPTH_MAX = 40, REFS_MAX = 40 };

struct schema_reader {
    struct compiler *c;
    value root;
    str refs[REFS_MAX]; /* that are being followed */
    u32 ref_count, depth;
    u32 left; /* schemas still to be looked at: a document may repeat its $refs */
    str why;  /* the first thing wrong */
};

static const struct type *read_schema(struct schema_reader *r, value s);

static const struct type *wrong(struct schema_reader *r, const char *why) {
    if (!r->why.len) r->why = str_from_c(why);
    return NULL;
}

/* ---- References ----------------------------------------------------------------------------- */

static value step(value at, str token) {
    if (value_is(at, VALUE_OBJECT)) return value_get_str(at, token);
    u64 i;
    if (!value_is(at, VALUE_ARRAY) || str_to_u64(token, &i) || i >= value_count(at))
        return UNDEFINED;
    return value_item(at, (u32)i);
}

static value resolve(struct schema_reader *r, str ref) {
    value at = r->root;
    if (!ref.len || ref.ptr[0] != '#') return UNDEFINED;
    str rest = str_skip(ref, 1), token;
    if (rest.len && rest.ptr[0] == '/') rest = str_skip(rest, 1);
    while (rest.len && value_defined(at) && str_split(&rest, '/', &token)) at = step(at, token);
    return at;
}

static const struct type *read_ref(struct schema_reader *r, str ref) {
    for (u32 i = 0; i < r->ref_count; i++)
        if (str_eq(r->refs[i], ref)) return &type_any;
    if (r->ref_count == REFS_MAX)
        return wrong(r, "unable to compile the schema: references too deep");
    value s = resolve(r, ref);
    if (!value_defined(s)) return wrong(r, "unable to compile the schema: unresolvable reference");
    r->refs[r->ref_count++] = ref;
    const struct type *t = read_schema(r, s);
    r->ref_count--;
    return t;
}

/* ---- Kinds ---------------------------------------------------------------------------------- */

static bool says(value s, str kind) {
    value type = value_get_str(s, S("type"));
    if (value_is(type, VALUE_STRING)) return str_eq(value_str(type), kind);
    for (u32 i = 0; value_is(type, VALUE_ARRAY) && i < value_count(type); i++)
        if (value_is(value_item(type, i), VALUE_STRING) &&
            str_eq(value_str(value_item(type, i)), kind))
            return true;
    return false;
}

static bool is_typed(value s) {
    return value_defined(value_get_str(s, S("type")));
}

static bool types_are_known(value s) {
    static const str known[] = {S("null"),   S("boolean"), S("object"), S("array"),
                                S("number"), S("string"),  S("integer")};
    value type = value_get_str(s, S("type"));
    u32 count = value_is(type, VALUE_ARRAY) ? value_count(type) : 1;
    for (u32 i = 0; value_defined(type) && i < count; i++) {
        value one = value_is(type, VALUE_ARRAY) ? value_item(type, i) : type;
        bool good = false;
        for (u32 k = 0; value_is(one, VALUE_STRING) && k < ARRAY_LEN(known); k++)
            good |= str_eq(value_str(one), known[k]);
        if (!good) return false;
    }
    return true;
}

static const struct type *read_properties(struct schema_reader *r, value properties) {
    struct compiler *c = r->c;
    u32 count = value_count(properties), n = count;
    if (!count) return type_object(c->heap, NULL, 0, &type_any, &type_any);
    struct type_property *p = compile_list(c, &n, sizeof *p);
    for (u32 i = 0; i < n; i++) {
        p[i].key = value_key_at(properties, i);
        p[i].type = read_schema(r, value_value_at(properties, i));
        if (!p[i].type) return NULL;
    }
    return type_object(c->heap, p, n, NULL, NULL);
}

static const struct type *read_items(struct schema_reader *r, value items) {
    struct compiler *c = r->c;
    if (value_is(items, VALUE_OBJECT)) {
        const struct type *of = read_schema(r, items);
        return of ? type_array(c->heap, NULL, 0, of) : NULL;
    }
    if (!value_is(items, VALUE_ARRAY) || !value_count(items))
        return type_array(c->heap, NULL, 0, &type_any);
    u32 n = value_count(items);
    const struct type **list = compile_list(c, &n, sizeof *list);
    for (u32 i = 0; i < n; i++)
        if (!(list[i] = read_schema(r, value_item(items, i)))) return NULL;
    return type_array(c->heap, list, n, NULL);
}

static const struct type *read_any_of(struct schema_reader *r, value list) {
    const struct type *all = NULL;
    for (u32 i = 0; i < value_count(list); i++) {
        const struct type *t = read_schema(r, value_item(list, i));
        if (!t) return NULL;
        all = type_or(r->c->heap, t, all);
    }
    return all ? all : &type_any;
}

/* What is true of all of them: objects with the properties of each, arrays alike. */
static const struct type *both(struct schema_reader *r, const struct type *a,
                               const struct type *b) {
    struct compiler *c = r->c;
    if (!a || type_is_anything(a)) return b;
    if (type_is_anything(b)) return a;
    if (a->kind != b->kind) return wrong(r, "unable to merge these schemas");
    if (a->kind != TYPE_OBJECT) return a;
    u32 n = a->count + b->count;
    struct type_property *p = compile_list(c, &n, sizeof *p);
    u32 used = 0;
    for (u32 i = 0; n && i < a->count; i++) p[used++] = a->properties[i];
    for (u32 i = 0; n && i < b->count; i++) {
        bool known = false;
        for (u32 k = 0; k < a->count; k++)
            known |= value_equal(a->properties[k].key, b->properties[i].key);
        if (!known) p[used++] = b->properties[i];
    }
    bool open = !used;
    return type_object(c->heap, p, used, open ? &type_any : NULL, open ? &type_any : NULL);
}

static const struct type *read_plain(struct schema_reader *r, value s);

static const struct type *read_all_of(struct schema_reader *r, value s, value list) {
    const struct type *all = is_typed(s) ? read_plain(r, s) : NULL;
    for (u32 i = 0; i < value_count(list); i++) {
        const struct type *t = read_schema(r, value_item(list, i));
        all = t ? both(r, all, t) : NULL;
        if (!all) return NULL;
    }
    return all ? all : &type_any;
}

static const struct type *read_plain(struct schema_reader *r, value s) {
    value properties = value_get_str(s, S("properties")), items = value_get_str(s, S("items"));
    bool object = value_is(properties, VALUE_OBJECT) && value_count(properties);
    bool array = value_defined(items);
    if (says(s, S("boolean"))) return &type_boolean;
    if (says(s, S("string"))) return &type_string;
    if (says(s, S("integer")) || says(s, S("number"))) return &type_number;
    if (says(s, S("object")) || (!is_typed(s) && object)) return read_properties(r, properties);
    if (says(s, S("array")) || (!is_typed(s) && array)) return read_items(r, items);
    return &type_any;
}

static const struct type *read_schema(struct schema_reader *r, value s) {
    const struct type *t;
    if (!value_is(s, VALUE_OBJECT)) return &type_any; /* true, false */
    if (!r->left || r->depth == SCHEMA_DEPTH_MAX)
        return wrong(r, "unable to compile the schema: it is too large");
    if (!types_are_known(s))
        return wrong(r, "unable to compile the schema: has a primitive type that is NOT VALID");
    r->left--;
    r->depth++;
    value ref = value_get_str(s, S("$ref")), any = value_get_str(s, S("anyOf")),
          all = value_get_str(s, S("allOf"));
    if (value_is(ref, VALUE_STRING))
        t = read_ref(r, value_str(ref));
    else if (value_is(any, VALUE_ARRAY))
        t = read_any_of(r, any);
    else if (value_is(all, VALUE_ARRAY))
        t = read_all_of(r, s, all);
    else
        t = read_plain(r, s);
    r->depth--;
    return t;
}

const struct type *type_of_schema(struct compiler *c, value schema, str *why) {
    struct schema_reader r = {.c = c, .root = schema, .left = 100000};
    const struct type *t = read_schema(&r, schema);
    *why = r.why;
    return r.why.len ? NULL : t;
}

/* ---- Of the program ------------------------------------------------------------------------- */

struct schema_memo {
    value name;
    const struct type *type;
    struct schema_memo *next;
};

static const struct type *named_schema(struct compiler *c, const struct ast_rule *r, str name) {
    for (struct schema_memo *m = c->schemas; m; m = m->next)
        if (str_eq(value_str(m->name), name)) return m->type;
    value schema = value_is(c->options->schemas, VALUE_OBJECT)
                       ? value_get_str(c->options->schemas, name)
                       : UNDEFINED;
    str why;
    if (!value_defined(schema)) {
        compile_error(c, POLICY_TYPE_ERROR, &r->at, "undefined schema: %.*s", STR(name));
        return NULL;
    }
    const struct type *t = type_of_schema(c, schema, &why);
    if (!t) {
        compile_error(c, POLICY_TYPE_ERROR, &r->at, "%.*s", STR(why));
        return NULL;
    }
    struct schema_memo *m = compile_alloc(c, sizeof *m);
    *m = (struct schema_memo){value_string(c->heap, name), t, c->schemas};
    c->schemas = m;
    return t;
}

static const struct type *schema_type(struct compiler *c, const struct ast_rule *r,
                                      const struct ast_schema *s) {
    str why;
    if (s->schema) {
        if (!value_is(c->options->schemas, VALUE_OBJECT))
            return NULL; /* none were given: no check */
        return named_schema(c, r, compile_term_text(c, s->schema));
    }
    if (!value_defined(s->definition)) return NULL;
    const struct type *t = type_of_schema(c, s->definition, &why);
    if (!t) compile_error(c, POLICY_TYPE_ERROR, &r->at, "%.*s", STR(why));
    return t;
}

void read_schemas(struct compiler *c) {
    value schemas = c->options->schemas;
    value root = value_is(schemas, VALUE_OBJECT) ? value_get_str(schemas, S("schema")) : UNDEFINED;
    str why;
    EACH_MODULE(c, m)
    for (u32 i = 0; i < m->annotation_count; i++)
        c->any_schemas |= m->annotations[i]->schema_count > 0;
    if (!value_defined(root)) return;
    const struct type *t = type_of_schema(c, root, &why);
    if (!t) {
        compile_error(c, POLICY_TYPE_ERROR, NULL, "%.*s", STR(why));
        return;
    }
    c->input_type = t;
    struct trie_node *input = trie_make_str(c->types->tree, &c->types->tree->root, S("input"));
    if (input) input->thing = (void *)t;
}

/* `t` with the type of what lies at `keys` within it made `o`. */
static const struct type * override(struct compiler *c, const struct type *t,
                                    struct ast_term *const *keys, u32 count, const struct type *o) {
    if (!count) return o;
    value key = is_scalar(keys[0]) ? keys[0]->scalar : value_null();
    bool object = t && t->kind == TYPE_OBJECT;
    u32 n = (object ? t->count : 0) + 1, used = 0;
    struct type_property *p = compile_list(c, &n, sizeof *p);
    bool found = false;
    for (u32 i = 0; object && n && i < t->count; i++) {
        bool here = value_equal(t->properties[i].key, key);
        p[used] = t->properties[i];
        if (here) p[used].type = override(c, p[used].type, keys + 1, count - 1, o);
        found |= here;
        used++;
    }
    if (!found && n)
        p[used++] =
            (struct type_property){key, count > 1 ? override(c, NULL, keys + 1, count - 1, o) : o};
    return type_object(c->heap, p, used, object ? t->key : &type_any, object ? t->of : &type_any);
}

static void apply(struct checker *k, struct type_env *layer, const struct ast_rule *r,
                  const struct ast_annotations *a) {
    for (u32 i = 0; a && i < a->schema_count; i++) {
        const struct ast_schema *s = &a->schemas[i];
        const struct type *t = schema_type(k->c, r, s);
        if (!t || !s->path || s->path->kind != AST_REF) continue;
        /* the shortest part of the path that is known already; its type gets this within */
        u32 len = 1;
        const struct type *known = s->path->count > 1 ? env_ref(k, layer, s->path, 1) : NULL;
        if (!known)
            len = s->path->count;
        else
            t = override(k->c, known, s->path->terms + 1, s->path->count - 1, t);
        tree_put(k->c, layer->tree, s->path, len, t);
    }
}

/* A layer in which what annotations say of the rule's input and data holds. */
struct type_env *env_of_schemas(struct checker *k, struct type_env *env, struct ast_rule *r) {
    struct compiler *c = k->c;
    const struct trie_node *n = &c->annotations->root;
    if (!c->any_schemas) return env;
    struct trie *tree = heap_alloc(&c->scratch, sizeof *tree);
    struct type_env *layer = env_push(k, env);
    if (!tree || layer == env) return env;
    trie_open(tree, &c->scratch);
    layer->tree = tree;
    struct ast_term *full = rule_full_ref(c, r);
    if (compile_stopped(c)) return env;
    u32 package = r->module->package->count, ground = rule_ground_len(r);
    const struct said *s;
    for (u32 i = 0; i < package && n; i++) {
        n = trie_child_term(c->annotations, n, full->terms[i]);
        s = n ? n->thing : NULL;
        if (s) apply(k, layer, r, s->path);
        if (s && i + 1 == package) apply(k, layer, r, s->package);
    }
    for (u32 i = package; i < ground && n; i++)
        n = trie_child_term(c->annotations, n, full->terms[i]);
    s = n ? n->thing : NULL;
    if (s && ground > package) apply(k, layer, r, s->path);
    for (u32 i = 0; i < r->annotation_count; i++)
        if (r->annotations[i]->scope == SCOPE_RULE) apply(k, layer, r, r->annotations[i]);
    if (!layer->tree->count) return env;
    return layer;
}
