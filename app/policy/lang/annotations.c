/* SPDX-License-Identifier: Apache-2.0 */
/* annotations.c — METADATA comments: found, read as YAML, hung on what stands below them.
 *
 * A block is the comments directly below a `# METADATA` in the first column, one per line. What it
 * says goes to the first package, import or rule that starts below; without a scope, that decides
 * it: a package's own, a rule's, or the rule's whole document if it is an entrypoint.
 *
 * Errors are the reference's words where a text causes them; where its YAML library names the line
 * of a value of the wrong kind, we look up the line of the key. */
#include "app/policy/lang/annotations.h"
#include "app/policy/lang/parser_impl.h"
#include "app/policy/lang/write_impl.h"
#include "app/policy/value/number.h"
#include "app/policy/value/yaml_text.h"

struct block { /* being read */
    struct parser *p;
    const struct ast_comment *comments; /* below the header */
    u32 count;
    struct ast_location at;
    str text;
    value yaml;
    struct ast_annotations *a;
    value keys[12], values[12];
    u32 field_count;
};

static bool fail(struct block *b, str message) {
    parse_error_at(b->p, b->at, "%.*s", STR(message));
    return false;
}
static void put_field(struct block *b, const char *key, value v) {
    CHECK(b->field_count < ARRAY_LEN(b->keys));
    b->keys[b->field_count] = value_string_c(b->p->heap, key);
    b->values[b->field_count++] = v;
}
static value pair_object(struct heap *h, const char *k1, value v1, const char *k2, value v2) {
    value keys[2], values[2];
    u32 n = 0;
    if (value_defined(v1)) keys[n] = value_string_c(h, k1), values[n++] = v1;
    if (value_defined(v2)) keys[n] = value_string_c(h, k2), values[n++] = v2;
    return value_object(h, keys, values, n);
}

/* ---- Kinds ---- */

/* As the reference's language prints a value with %s. */
static void write_plain(struct buf *to, value v) {
    char room[NUMBER_TEXT_ROOM];
    switch ((enum value_kind)v.kind) {
    case VALUE_STRING: put(to, value_str(v)); break;
    case VALUE_NUMBER: putf(to, "%%!s(int=%.*s)", STR(number_text(v, room))); break;
    case VALUE_BOOLEAN: putf(to, "%%!s(bool=%s)", value_is_true(v) ? "true" : "false"); break;
    case VALUE_OBJECT:
    case VALUE_ARRAY:
        put(to, v.kind == VALUE_OBJECT ? S("map[") : S("["));
        for (u32 i = 0; i < value_count(v); i++) {
            if (i) put_c(to, ' ');
            if (v.kind == VALUE_OBJECT) {
                write_plain(to, value_key_at(v, i));
                put_c(to, ':');
            }
            write_plain(to, v.kind == VALUE_OBJECT ? value_value_at(v, i) : value_item(v, i));
        }
        put_c(to, ']');
        break;
    default: put(to, S("%!s(<nil>)")); break;
    }
}
static bool fail_value(struct block *b, const char *before, value v, const char *after) {
    struct buf text;
    buf_open(&text, POLICY_SOURCE_BYTES_MAX);
    put_z(&text, before);
    write_plain(&text, v);
    put_z(&text, after);
    fail(b, buf_str(&text));
    buf_close(&text);
    return false;
}
/* "yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into string" */
static bool fail_kind(struct block *b, const char *key, value v, const char *wanted) {
    static const char *const tags[] = {[VALUE_NULL] = "!!null", [VALUE_BOOLEAN] = "!!bool",
                                       [VALUE_NUMBER] = "!!int", [VALUE_STRING] = "!!str",
                                       [VALUE_ARRAY] = "!!seq", [VALUE_OBJECT] = "!!map"};
    u32 line = 1;
    str rest = b->text, one, prefix = parse_print(b->p, "%s:", key);
    for (u32 i = 1; key[0] && str_split(&rest, '\n', &one); i++)
        if (str_starts(str_trim(one), prefix)) line = i;
    struct buf text;
    buf_open(&text, 512);
    putf(&text, "yaml: unmarshal errors:\n  line %u: cannot unmarshal %s", line, tags[v.kind]);
    if (v.kind < VALUE_ARRAY) {
        char room[NUMBER_TEXT_ROOM];
        str s = v.kind == VALUE_STRING   ? value_str(v)
                : v.kind == VALUE_NUMBER ? number_text(v, room)
                : value_is_true(v)       ? S("true")
                                         : S("false");
        bool cut = s.len > 10;
        putf(&text, " `%.*s%s`", STR(str_take(s, cut ? 7 : 10)), cut ? "..." : "");
    }
    putf(&text, " into %s", wanted);
    u32 index = MIN(line, b->count - 1);
    b->at = b->comments[index].at;
    fail(b, buf_str(&text));
    buf_close(&text);
    return false;
}
/* A scalar's text; empty when it is not there. */
static bool take_text(struct block *b, const char *key, value v, str *out) {
    char room[NUMBER_TEXT_ROOM];
    *out = S("");
    if (v.kind <= VALUE_NULL) return true;
    if (v.kind >= VALUE_ARRAY) return fail_kind(b, key, v, "string");
    if (v.kind == VALUE_STRING) *out = value_str(v);
    else if (v.kind == VALUE_NUMBER) *out = parse_print(b->p, "%.*s", STR(number_text(v, room)));
    else *out = value_is_true(v) ? S("true") : S("false");
    return true;
}
static bool take_list(struct block *b, const char *key, const char *wanted, value *out) {
    *out = value_get_str(b->yaml, str_from_c(key));
    if (out->kind <= VALUE_NULL) return *out = value_empty_array(), true;
    return out->kind == VALUE_ARRAY || fail_kind(b, key, *out, wanted);
}
static bool take_map(struct block *b, const char *key, value *out) {
    *out = value_get_str(b->yaml, str_from_c(key));
    if (out->kind <= VALUE_NULL) return *out = UNDEFINED, true;
    return out->kind == VALUE_OBJECT || fail_kind(b, key, *out, "map[string]interface {}");
}
static bool read_text(struct block *b, const char *key) {
    str s;
    if (!take_text(b, key, value_get_str(b->yaml, str_from_c(key)), &s)) return false;
    if (s.len) put_field(b, key, value_string(b->p->heap, s));
    return true;
}
static value trimmed(struct block *b, value object, const char *key) {
    value v = value_get_str(object, str_from_c(key));
    str s = v.kind == VALUE_STRING ? str_trim(value_str(v)) : S("");
    return s.len ? value_string(b->p->heap, s) : UNDEFINED;
}

/* ---- Fields ---- */

static bool read_organizations(struct block *b) {
    value list;
    struct value_builder out;
    if (!take_list(b, "organizations", "[]string", &list)) return false;
    value_builder_open(&out, b->p->heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(list); i++) {
        str s;
        if (!take_text(b, "organizations", value_item(list, i), &s)) return false;
        value_builder_add(&out, value_string(b->p->heap, s));
    }
    if (value_count(list)) put_field(b, "organizations", value_builder_close(&out));
    return true;
}

static bool read_resources(struct block *b) {
    value list;
    struct value_builder out;
    if (!take_list(b, "related_resources", "[]interface {}", &list)) return false;
    value_builder_open(&out, b->p->heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(list); i++) {
        value v = value_item(list, i), ref = UNDEFINED, description = UNDEFINED;
        const char *why = ": invalid value type, must be string or map";
        if (v.kind == VALUE_STRING) {
            why = value_str(v).len ? NULL : ": ref URL may not be empty string";
            ref = v;
        } else if (v.kind == VALUE_OBJECT) {
            ref = trimmed(b, v, "ref");
            description = trimmed(b, v, "description");
            why = value_defined(ref) ? NULL : ": 'ref' value required in object";
        }
        if (why) return fail_value(b, "invalid related-resource definition ", v, why);
        value_builder_add(&out, pair_object(b->p->heap, "ref", ref, "description", description));
    }
    if (value_count(list)) put_field(b, "related_resources", value_builder_close(&out));
    return true;
}

/* "Jane Doe <jane@example.com>" */
static bool author_of_text(struct block *b, str s, value *name, value *email) {
    struct buf words;
    buf_open(&words, POLICY_SOURCE_BYTES_MAX);
    str last = S("");
    *name = *email = UNDEFINED;
    while ((s = str_trim(s)).len) {
        size_t n = 0;
        while (n < s.len && !strchr(" \t\r\n\v\f", s.ptr[n])) n++;
        if (last.len) {
            if (words.len) put_c(&words, ' ');
            put(&words, last);
        }
        last = str_take(s, n);
        s = str_skip(s, n);
    }
    bool any = last.len > 0;
    if (last.len >= 2 && last.ptr[0] == '<' && last.ptr[last.len - 1] == '>') {
        if (last.len > 2) *email = value_string(b->p->heap, str_of(last.ptr + 1, last.len - 2));
    } else if (any) {
        if (words.len) put_c(&words, ' ');
        put(&words, last);
    }
    if (words.len) *name = value_string(b->p->heap, buf_str(&words));
    buf_close(&words);
    return any;
}
static bool read_authors(struct block *b) {
    value list;
    struct value_builder out;
    if (!take_list(b, "authors", "[]interface {}", &list)) return false;
    value_builder_open(&out, b->p->heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(list); i++) {
        value v = value_item(list, i), name = UNDEFINED, email = UNDEFINED;
        const char *why = ": invalid value type, must be string or map";
        if (v.kind == VALUE_STRING) {
            why = author_of_text(b, value_str(v), &name, &email) ? NULL
                                                                 : ": author is an empty string";
        } else if (v.kind == VALUE_OBJECT) {
            name = trimmed(b, v, "name"), email = trimmed(b, v, "email");
            why = value_defined(name) || value_defined(email)
                      ? NULL : ": 'name' and/or 'email' values required in object";
        }
        if (why) return fail_value(b, "invalid author definition ", v, why);
        value_builder_add(&out, pair_object(b->p->heap, "name", name, "email", email));
    }
    if (value_count(list)) put_field(b, "authors", value_builder_close(&out));
    return true;
}

/* A text as a reference; NULL: it is none. Its own errors tell nobody anything here. */
static struct ast_term *ref_of_text(struct block *b, str s) {
    struct policy_errors ignored;
    struct ast_term *t = NULL;
    struct parse_options o = {.version = REGO_V1};
    policy_errors_open(&ignored, b->p->heap, 0);
    if (parse_term(b->p->heap, s, &o, &t, &ignored)) return NULL;
    return t;
}
static value ref_as_array(struct heap *h, const struct ast_term *ref) {
    struct value_builder out;
    value_builder_open(&out, h, VALUE_ARRAY);
    for (u32 i = 0; i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        value_builder_add(&out, t->kind == AST_VAR ? value_string(h, t->var)
                                : ast_term_is_constant(t) ? ast_term_value(h, t) : value_null());
    }
    return value_builder_close(&out);
}
static bool is_schema_name(const struct ast_term *t) {
    return t->kind == AST_VAR && str_eq(t->var, S("schema"));
}
static bool read_schema(struct block *b, value pair, struct ast_schema *out) {
    struct heap *h = b->p->heap;
    *out = (struct ast_schema){.definition = UNDEFINED};
    str key = value_count(pair) ? value_str(value_key_at(pair, 0)) : S("");
    value v = value_count(pair) ? value_value_at(pair, 0) : UNDEFINED;
    out->path = ref_of_text(b, key);
    if (!out->path || out->path->kind != AST_REF) return fail(b, S("invalid document reference"));
    if (v.kind == VALUE_STRING) {
        struct ast_term *t = ref_of_text(b, value_str(v));
        if (t && is_schema_name(t)) t = ast_list(h, &t->at, AST_REF, &t, 1);
        if (!t || t->kind != AST_REF || !is_schema_name(t->terms[0]))
            return fail(b, S("invalid schema reference"));
        out->schema = t;
    } else if (v.kind == VALUE_OBJECT) {
        out->definition = v;
    } else {
        return fail(b, parse_print(b->p, "invalid schema declaration for path \"%.*s\"", STR(key)));
    }
    return true;
}
static bool read_schemas(struct block *b) {
    value list;
    struct value_builder out;
    struct heap *h = b->p->heap;
    if (!take_list(b, "schemas", "[]map[string]interface {}", &list)) return false;
    u32 count = value_count(list);
    value_builder_open(&out, h, VALUE_ARRAY);
    b->a->schemas = heap_alloc(h, MAX(count, 1u) * sizeof(struct ast_schema));
    if (!b->a->schemas) return false;
    for (u32 i = 0; i < count; i++) {
        struct ast_schema *s = &b->a->schemas[i];
        if (value_item(list, i).kind != VALUE_OBJECT)
            return fail_kind(b, "schemas", value_item(list, i), "map[string]interface {}");
        if (!read_schema(b, value_item(list, i), s)) return false;
        bool by_name = s->schema != NULL;
        value_builder_add(&out, pair_object(h, "path", ref_as_array(h, s->path),
                                            by_name ? "schema" : "definition",
                                            by_name ? ref_as_array(h, s->schema) : s->definition));
    }
    b->a->schema_count = count;
    if (count) put_field(b, "schemas", value_builder_close(&out));
    return true;
}

static bool read_unknowns(struct block *b, value list) {
    if (list.kind != VALUE_ARRAY) return true;
    struct ast_annotations *a = b->a;
    a->unknowns = heap_alloc(b->p->heap, MAX(value_count(list), 1u) * sizeof(struct ast_term *));
    if (!a->unknowns) return false;
    for (u32 i = 0; i < value_count(list); i++) {
        value v = value_item(list, i);
        if (v.kind != VALUE_STRING) continue;
        struct ast_term *t = ref_of_text(b, value_str(v));
        if (!t || t->kind != AST_REF)
            return fail(b,
                        parse_print(b->p, "invalid unknowns element \"%.*s\": failed to parse ref",
                                    STR(value_str(v))));
        a->unknowns[a->unknown_count++] = t;
    }
    return true;
}
static bool read_compile(struct block *b) {
    value map;
    if (!take_map(b, "compile", &map)) return false;
    if (!value_defined(map)) return true;
    if (!read_unknowns(b, value_get_str(map, S("unknowns")))) return false;
    value mask = value_get_str(map, S("mask_rule"));
    if (mask.kind != VALUE_STRING) return true;
    struct ast_term *t = ref_of_text(b, value_str(mask));
    bool name = t && (t->kind == AST_VAR || t->kind == AST_STRING);
    if (name) t = ast_list(b->p->heap, &t->at, AST_REF, &t, 1);
    if (!t || t->kind != AST_REF)
        return fail(
            b, parse_print(b->p, "invalid mask_rule annotation \"%.*s\"", STR(value_str(mask))));
    b->a->mask_rule = t;
    return true;
}

static bool read_scope(struct block *b) {
    static const char *const names[] = {[SCOPE_RULE] = "rule",
                                        [SCOPE_DOCUMENT] = "document",
                                        [SCOPE_PACKAGE] = "package",
                                        [SCOPE_SUBPACKAGES] = "subpackages"};
    str s;
    if (!take_text(b, "scope", value_get_str(b->yaml, S("scope")), &s)) return false;
    b->a->scope_text = s;
    b->a->scope = s.len ? SCOPE_OTHER : SCOPE_NONE;
    for (u32 i = SCOPE_RULE; i < ARRAY_LEN(names); i++)
        if (str_eq(s, str_from_c(names[i]))) b->a->scope = i;
    return true;
}
static bool read_fields(struct block *b) {
    value entrypoint = value_get_str(b->yaml, S("entrypoint")), custom, labels;
    if (entrypoint.kind > VALUE_BOOLEAN) return fail_kind(b, "entrypoint", entrypoint, "bool");
    b->a->entrypoint = value_is_true(entrypoint);
    if (!read_scope(b) || !read_text(b, "title") || !read_text(b, "description")) return false;
    if (!read_organizations(b) || !take_map(b, "custom", &custom) ||
        !take_map(b, "labels", &labels))
        return false;
    if (!read_resources(b) || !read_compile(b) || !read_schemas(b) || !read_authors(b))
        return false;
    if (value_count(custom)) put_field(b, "custom", custom);
    if (value_count(labels)) put_field(b, "labels", labels);
    b->a->parts = value_object(b->p->heap, b->keys, b->values, b->field_count);
    return true;
}

/* ---- Blocks ---- */

/* A blank that YAML does not know behind a colon is hard to see: name it. */
static void write_colon_hints(struct buf *to, const struct block *b) {
    for (u32 i = 0; i < b->count; i++) {
        struct buf signs;
        buf_open(&signs, 4096);
        str rest = b->comments[i].text, part;
        bool more = str_split(&rest, ':', &part);
        while (more && rest.ptr && (more = str_split(&rest, ':', &part))) {
            if (part.len == 0 && rest.len == 0) break;
            if (part.len && (part.ptr[0] == ' ' || part.ptr[0] == '\t')) break;
            u8 c = part.len ? (u8)part.ptr[0] : 0;
            if (signs.len) put_c(&signs, ' ');
            if (c == 0xc2 && part.len > 1) putf(&signs, "'\\u%04x'", (unsigned)(u8)part.ptr[1]);
            else if (c >= 0x20 && c < 0x7f) putf(&signs, "'%c'", c);
            else put(&signs, S("'\\ufffd'"));
        }
        if (signs.len)
            putf(to,
                 "\n  Hint: on line %u, symbol(s) [%.*s] immediately following a key/value "
                 "separator ':' "
                 "is not a legal yaml space character",
                 b->comments[i].at.row, STR(buf_str(&signs)));
        buf_close(&signs);
    }
}
/* The comment that "yaml: line 3: ..." is about. */
static void place_yaml_error(struct block *b, str message) {
    str line = S("line ");
    size_t at = str_find(message, line);
    u64 number = 0;
    bool found = at < message.len;
    for (at += line.len;
         found && at < message.len && message.ptr[at] >= '0' && message.ptr[at] <= '9'; at++)
        number = number * 10 + (u64)(message.ptr[at] - '0');
    b->at = b->comments[found ? MIN(number, (u64)b->count - 1) : 0].at;
}
static bool read_yaml(struct block *b) {
    struct buf text;
    buf_open(&text, POLICY_SOURCE_BYTES_MAX);
    for (u32 i = 0; i < b->count; i++) {
        str s = b->comments[i].text;
        put(&text, str_starts(s, S(" ")) ? str_skip(s, 1) : s);
        put_c(&text, '\n');
    }
    b->text = parse_print(b->p, "%.*s", STR(buf_str(&text)));
    buf_close(&text);
    if (str_trim(b->text).len == 0) return fail(b, S("expected METADATA block, found whitespace"));
    struct diag why = {0};
    rc_t rc = yaml_text_read(b->p->heap, b->text, &b->yaml, &why);
    if (rc == RC_OK && b->yaml.kind <= VALUE_NULL) b->yaml = value_empty_object();
    if (rc == RC_OK)
        return b->yaml.kind == VALUE_OBJECT || fail_kind(b, "", b->yaml, "ast.rawAnnotation");
    buf_open(&text, POLICY_SOURCE_BYTES_MAX);
    put_z(&text, why.text[0] ? why.text : rc_name(rc));
    place_yaml_error(b, buf_str(&text));
    write_colon_hints(&text, b);
    fail(b, buf_str(&text));
    buf_close(&text);
    return false;
}

static bool is_header(const struct ast_comment *c) {
    return c->at.column == 1 && str_starts(str_trim(c->text), S("METADATA"));
}
static struct ast_annotations *read_block(struct parser *p, const struct ast_comment *comments,
                                          u32 count) {
    struct ast_annotations *a = heap_alloc(p->heap, sizeof(*a));
    if (!a) return NULL;
    *a = (struct ast_annotations){.at = comments[0].at, .parts = UNDEFINED, .fields = UNDEFINED};
    struct block b = {
        .p = p, .comments = comments + 1, .count = count - 1, .at = comments[0].at, .a = a};
    if (!read_yaml(&b) || !read_fields(&b)) return NULL;
    const struct ast_location *last = &comments[count - 1].at;
    a->end_row = last->row;
    a->at.len = last->offset + last->len - a->at.offset;
    return a;
}
void annotations_read(struct parser *p, struct ast_annotations_list *out) {
    u32 n = p->s.comment_count, blocks = 0;
    struct ast_comment *comments = heap_alloc(p->heap, MAX(n, 1u) * sizeof(*comments));
    if (!comments) return;
    u32 at = n;
    for (const struct parse_comment *c = p->s.comments; c; c = c->before) {
        comments[--at] = c->comment;
        blocks += is_header(&c->comment);
    }
    out->items = heap_alloc(p->heap, MAX(blocks, 1u) * sizeof(struct ast_annotations *));
    for (u32 i = 0; out->items && i < n;) {
        u32 end = i + 1;
        if (!is_header(&comments[i])) {
            i++;
            continue;
        }
        while (end < n && comments[end].at.column == 1 &&
               comments[end].at.row == comments[end - 1].at.row + 1 && !is_header(&comments[end]))
            end++;
        struct ast_annotations *a = read_block(p, comments + i, end - i);
        if (a) out->items[out->count++] = a;
        i = end;
    }
}

/* ---- What they stand above ---- */

static const char *target_name(const struct ast_annotations *a) {
    return a->rule ? "rule" : a->package ? "package" : a->import ? "import" : NULL;
}
static void settle_scope(struct ast_annotations *a) {
    if (a->scope != SCOPE_NONE) return;
    if (a->rule) {
        a->scope = a->entrypoint ? SCOPE_DOCUMENT : SCOPE_RULE;
        a->scope_text = a->entrypoint ? S("document") : S("rule");
    } else if (a->package) {
        a->scope = SCOPE_PACKAGE, a->scope_text = S("package");
    } else if (a->import) {
        a->scope = SCOPE_OTHER, a->scope_text = S("import");
    }
}
static void check_scope(const struct ast_annotations *a, struct policy_errors *errors) {
    bool of_rule = a->scope == SCOPE_RULE || a->scope == SCOPE_DOCUMENT;
    bool of_package = a->scope == SCOPE_PACKAGE || a->scope == SCOPE_SUBPACKAGES;
    const char *have = target_name(a);
    if (!of_rule && !of_package)
        policy_error_add(
            errors, POLICY_PARSE_ERROR, &a->at,
            "invalid annotation scope '%.*s'. Use one of 'rule', 'document', 'package', or "
            "'subpackages'",
            STR(a->scope_text));
    else if (of_rule ? !a->rule : !a->package)
        policy_error_add(errors, POLICY_PARSE_ERROR, &a->at,
                         "annotation scope '%.*s' must be applied to %s%s%s%s", STR(a->scope_text),
                         of_rule ? "rule" : "package", have ? " (have " : "", have ? have : "",
                         have ? ")" : "");
    if (a->entrypoint && a->scope != SCOPE_DOCUMENT && a->scope != SCOPE_PACKAGE)
        policy_error_add(errors, POLICY_PARSE_ERROR, &a->at,
                         "annotation entrypoint applied to non-document or package scope '%.*s'",
                         STR(a->scope_text));
}
static void settle_fields(struct heap *h, struct ast_annotations *a) {
    u32 n = value_count(a->parts);
    value *keys = heap_alloc(h, (n + 2) * sizeof(value)),
          *values = heap_alloc(h, (n + 2) * sizeof(value));
    if (!keys || !values) return;
    for (u32 i = 0; i < n; i++)
        keys[i] = value_key_at(a->parts, i), values[i] = value_value_at(a->parts, i);
    if (a->scope_text.len)
        keys[n] = value_string(h, S("scope")), values[n++] = value_string(h, a->scope_text);
    if (a->entrypoint)
        keys[n] = value_string(h, S("entrypoint")), values[n++] = value_boolean(true);
    a->fields = value_object(h, keys, values, n);
}

/* The part of a rule's reference that is known, as text: rules of one document share it. */
static u64 document_hash(const struct ast_rule *r) {
    struct buf b;
    buf_open(&b, POLICY_SOURCE_BYTES_MAX);
    const struct ast_term *ref = r->head->ref;
    for (u32 i = 0; i < ref->count && (i == 0 || ast_term_is_ground(ref->terms[i])); i++) {
        ast_term_write(&b, ref->terms[i]);
        put_c(&b, '\n');
    }
    u64 hash = str_hash(buf_str(&b), 0);
    buf_close(&b);
    return hash;
}
struct target { u64 document; struct ast_annotations *a; bool spent; u32 order; };
static int compare_targets(const struct target *a, const struct target *b) {
    if (a->document != b->document) return a->document < b->document ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}
static void sort_targets(struct target *t, u32 n) {
    for (u32 gap = n / 2; gap; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (u32 i = gap; i < n; i++) {
            struct target moved = t[i];
            u32 k = i;
            for (; k >= gap && compare_targets(&t[k - gap], &moved) > 0; k -= gap)
                t[k] = t[k - gap];
            t[k] = moved;
        }
}
/* All blocks of its document, and of its own those above it that no rule before it has taken. */
static bool take_annotations(struct heap *h, struct ast_rule *r, struct target *t, u32 n) {
    u64 document = document_hash(r);
    u32 low = 0, high = n;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (t[middle].document < document) low = middle + 1;
        else high = middle;
    }
    u32 count = 0, end = low;
    while (end < n && t[end].document == document) end++;
    r->annotations = heap_alloc(h, MAX(end - low, 1u) * sizeof(struct ast_annotations *));
    if (!r->annotations) return false;
    struct target *last = NULL;
    for (u32 i = low; i < end; i++) {
        struct ast_annotations *a = t[i].a;
        bool own = a->scope == SCOPE_RULE && r->at.row > a->at.row && !t[i].spent;
        if (own) last = &t[i];
        if (own || a->scope == SCOPE_DOCUMENT) r->annotations[count++] = a;
    }
    if (last) last->spent = true;
    r->annotation_count = count;
    return true;
}

void annotations_attach(struct heap *h, struct ast_module *m, struct policy_errors *errors) {
    u32 before = errors->count, n = 0;
    struct target *targets = heap_alloc(h, MAX(m->annotation_count, 1u) * sizeof(*targets));
    if (!targets) return;
    for (u32 i = 0; i < m->annotation_count; i++) {
        struct ast_annotations *a = m->annotations[i];
        settle_scope(a);
        check_scope(a, errors);
        settle_fields(h, a);
        if (a->rule) targets[n] = (struct target){document_hash(a->rule), a, false, n}, n++;
    }
    if (errors->count > before) return;
    sort_targets(targets, n);
    for (u32 i = 0; n && i < m->rule_count; i++)
        if (!take_annotations(h, m->rules[i], targets, n)) return;
}
