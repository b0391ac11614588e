/* SPDX-License-Identifier: Apache-2.0 */
/* inspect.c — opctl policy inspect: what is in a bundle, a folder or a policy: the manifest, which
 * file gives which part of data, the annotations, what the policies need of an engine.
 *
 *   MANIFEST:
 *   ┌──────────┬───────┐
 *   │  FIELD   │ VALUE │
 *   ├──────────┼───────┤
 *   │ Revision │ 7     │
 *   └──────────┴───────┘ */
#include <stdlib.h>
#include "app/policy/compile/type.h"
#include "app/policy/lang/annotations.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { FIELD_MAX = 50, PAGE_WIDTH = 80, ROWS_MAX = 65536 };

struct note {
    const struct ast_annotations *a;
    struct ast_module *module;
    value path;
    struct ast_location at;
};
struct inspection {
    struct package package;
    struct heap heap;
    bool is_policy; /* a single .rego file */
    struct policy_source *sources;
    enum rego_version *versions;
    u32 count;
    struct ast_module **modules;
    struct note *notes;
    u32 note_count;
    value namespaces; /* object: "data.a" -> array of file names */
};

static bool error(const char *text) {
    return fprintf(stderr, "error: %s\n", text), false;
}

/* ---- Looking ---- */

static value text_of(struct heap *h, void (*write)(struct buf *, const struct ast_term *),
                     const struct ast_term *t) {
    struct buf b;
    buf_open(&b, MIB(1));
    write(&b, t);
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v;
}

static void add_name(struct inspection *s, value key, value name) {
    struct value_builder list, all;
    value there = value_get(s->namespaces, key);
    value_builder_open(&list, &s->heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(there); i++) value_builder_add(&list, value_item(there, i));
    value_builder_add(&list, name);
    value_builder_open(&all, &s->heap, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(s->namespaces); i++)
        value_builder_replace(&all, value_key_at(s->namespaces, i),
                              value_value_at(s->namespaces, i));
    value_builder_replace(&all, key, value_builder_close(&list));
    s->namespaces = value_builder_close(&all);
}

static value clean(struct heap *h, str name) { /* "/./a//b" to "/a/b" */
    char *to = value_string_room(h, name.len + 1);
    size_t n = 0;
    if (!to) return value_null();
    if (name.len && name.ptr[0] == '/') to[n++] = '/';
    size_t root = n;
    for (str rest = name, part; str_split(&rest, '/', &part);) {
        if (!part.len || str_eq(part, S("."))) continue;
        if (n > root) to[n++] = '/';
        memcpy(to + n, part.ptr, part.len);
        n += part.len;
    }
    return value_string_seal(to, n);
}

static value data_place(struct heap *h, str path) { /* "a/b/data.json" to "data.a.b" */
    struct buf b;
    buf_open(&b, 8192);
    (void)!!buf_add(&b, S("data"));
    for (str rest = path, part; str_split(&rest, '/', &part);)
        if (rest.ptr) (void)buf_printf(&b, ".%.*s", STR(part));
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v;
}

static void list_data(struct inspection *s) {
    for (u32 i = 0; i < s->package.content.files.count; i++) {
        const struct bundle_file *f = &s->package.content.files.items[i];
        str base = f->path;
        for (str rest = f->path; str_split(&rest, '/', &base);) {
        }
        if (!str_eq(base, S("data.json")) && !str_eq(base, S("data.yaml"))) continue;
        str shown = s->package.is_folder ? package_file_name(&s->package, f) : f->name;
        add_name(s, data_place(&s->heap, f->path), clean(&s->heap, shown));
    }
    value wasm = s->package.content.manifest.wasm;
    for (u32 i = 0; i < value_count(wasm); i++) {
        value at = value_get_str(value_item(wasm, i), S("entrypoint")),
              module = value_get_str(value_item(wasm, i), S("module"));
        char path[4096];
        if (at.kind != VALUE_STRING || module.kind != VALUE_STRING) continue;
        str e = value_str(at);
        while (e.len && e.ptr[0] == '/') e = str_skip(e, 1);
        snprintf(path, sizeof path, "%.*s/x", STR(e));
        add_name(s, data_place(&s->heap, str_from_c(path)), module);
    }
}

static value path_of(struct heap *h, const struct ast_module *m, const struct ast_rule *r) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 i = 0; i < m->package->count; i++)
        value_builder_add(&b, i ? m->package->terms[i]->scalar : value_string(h, S("data")));
    for (u32 i = 0; r && i < r->head->ref->count; i++) {
        const struct ast_term *t = r->head->ref->terms[i];
        if (i && t->kind > AST_STRING) break; /* a variable ends what is ground */
        value_builder_add(&b, t->kind == AST_VAR ? value_string(h, t->var) : t->scalar);
    }
    return value_builder_close(&b);
}

static int by_path(const void *x, const void *y) {
    const struct note *a = x, *b = y;
    int order = value_compare(a->path, b->path);
    if (!order) order = str_cmp(a->a->at.file->name, b->a->at.file->name);
    if (!order) order = a->a->at.row < b->a->at.row ? -1 : a->a->at.row > b->a->at.row;
    return order;
}

static void list_notes(struct inspection *s) {
    u32 room = 0;
    for (u32 i = 0; i < s->count; i++) room += s->modules[i]->annotation_count;
    s->notes = heap_alloc(&s->heap, (room + 1) * sizeof *s->notes);
    for (u32 i = 0; s->notes && i < s->count; i++) {
        struct ast_module *m = s->modules[i];
        for (u32 k = 0; k < m->annotation_count; k++) {
            const struct ast_annotations *a = m->annotations[k];
            s->notes[s->note_count++] = (struct note){a, m, path_of(&s->heap, m, a->rule),
                                                      a->rule ? a->rule->at : m->package_at};
        }
    }
    qsort(s->notes, s->note_count, sizeof *s->notes, by_path);
}

static bool parse_all(struct inspection *s) {
    struct policy_errors errors;
    policy_errors_open(&errors, &s->heap, 10);
    s->modules = heap_alloc(&s->heap, (s->count + 1) * sizeof *s->modules);
    for (u32 i = 0; s->modules && i < s->count; i++) {
        struct parse_options o = {.version = s->versions[i], .annotations = true};
        if (parse_module(&s->heap, s->sources[i].name, s->sources[i].text, &o, &s->modules[i],
                         &errors))
            continue;
        add_name(s, text_of(&s->heap, ast_term_write, s->modules[i]->package),
                 clean(&s->heap, s->sources[i].name));
    }
    if (errors.count) return fputs("error: ", stderr), errors_print(&errors), false;
    return s->modules != NULL;
}

/* ---- What the policies need ---- */

struct needs {
    struct heap *heap;
    bool *used;
};

static bool see_call(struct ast_walk *w, struct ast_expr *e) {
    struct needs *n = w->arg;
    if (e->kind != AST_EXPR_CALL || !e->count) return true;
    value name = text_of(n->heap, ast_term_write, e->terms[0]);
    const struct builtin *b = name.kind == VALUE_STRING ? builtin_find(value_str(name)) : NULL;
    if (b) n->used[b - builtins] = true;
    return true;
}

static value builtin_json(struct heap *h, const struct builtin *b) {
    struct value_builder o;
    const struct type *type;
    struct diag why;
    u32 arity = 0;
    value_builder_open(&o, h, VALUE_OBJECT);
    value_builder_replace(&o, value_string_c(h, "name"), value_string_c(h, b->name));
    if (!type_parse(h, str_from_c(b->type), &type, &why))
        value_builder_replace(&o, value_string_c(h, "decl"), type_json(h, type));
    struct ast_term *name = ast_var(h, NULL, str_from_c(b->name)),
                    *op = ast_list(h, NULL, AST_REF, &name, 1);
    const char *infix = op && b->flags & BUILTIN_INFIX ? ast_infix_of(op, &arity) : NULL;
    if (infix) value_builder_replace(&o, value_string_c(h, "infix"), value_string_c(h, infix));
    if (b->flags & BUILTIN_RELATION)
        value_builder_replace(&o, value_string_c(h, "relation"), value_boolean(true));
    if (b->flags & BUILTIN_NONDETERMINISTIC)
        value_builder_replace(&o, value_string_c(h, "nondeterministic"), value_boolean(true));
    return value_builder_close(&o);
}

static value needs_of(struct inspection *s, const struct compiled *c) {
    struct heap *h = &s->heap;
    struct needs n = {h, heap_alloc(h, builtins_count)};
    struct ast_walk w = {.expr = see_call, .arg = &n};
    struct value_builder o, list;
    bool v1 = false;
    value_builder_open(&o, h, VALUE_OBJECT), value_builder_open(&list, h, VALUE_ARRAY);
    if (!n.used) return value_builder_close(&o);
    memset(n.used, 0, builtins_count);
    for (u32 i = 0; i < c->order_count; i++) ast_walk_rule(&w, c->order[i]);
    for (u32 i = 0; i < s->count; i++) v1 = v1 || s->versions[i] == REGO_V1;
    for (u32 i = 0; i < builtins_count; i++)
        if (n.used[i]) value_builder_add(&list, builtin_json(h, &builtins[i]));
    value builtins_used = value_builder_close(&list);
    if (value_count(builtins_used))
        value_builder_replace(&o, value_string_c(h, "builtins"), builtins_used);
    value_builder_open(&list, h, VALUE_ARRAY);
    value_builder_add(&list, value_string_c(h, "rego_v1"));
    if (v1) value_builder_replace(&o, value_string_c(h, "features"), value_builder_close(&list));
    return value_builder_close(&o);
}

static bool look_at_needs(struct inspection *s, value *out) {
    struct policy_load_options load = {.parse.annotations = true, .versions = s->versions};
    struct policy_errors errors;
    struct policy_program *program;
    policy_errors_open(&errors, &s->heap, 10);
    if (policy_load(s->sources, s->count, &load, &program, &errors))
        return fputs("error: ", stderr), errors_print(&errors), false;
    *out = needs_of(s, policy_compiled(program));
    policy_drop(program);
    return true;
}

/* ---- JSON ---- */

static value ref_json(struct heap *h, value path) {
    struct value_builder list, part;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(path); i++) {
        value_builder_open(&part, h, VALUE_OBJECT);
        value_builder_replace(
            &part, value_string_c(h, "type"),
            value_string_c(h, i ? value_kind_name(value_item(path, i).kind) : "var"));
        value_builder_replace(&part, value_string_c(h, "value"), value_item(path, i));
        value_builder_add(&list, value_builder_close(&part));
    }
    return value_builder_close(&list);
}

static void put_member(struct buf *b, const char *name, value v, bool *first) {
    struct buf text;
    buf_open(&text, (size_t)1 << 30);
    json_text_write(&text, v, JSON_TEXT_INDENT | JSON_TEXT_ESCAPE_HTML);
    (void)buf_printf(b, "%s\n  \"%s\": ", *first ? "" : ",", name);
    for (str rest = buf_str(&text), line; str_split(&rest, '\n', &line);)
        (void)buf_printf(b, "%.*s%s", STR(line), rest.ptr ? "\n  " : "");
    buf_close(&text);
    *first = false;
}

static value notes_json(struct inspection *s) {
    struct heap *h = &s->heap;
    struct value_builder list, o, at;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < s->note_count; i++) {
        const struct note *n = &s->notes[i];
        value_builder_open(&o, h, VALUE_OBJECT), value_builder_open(&at, h, VALUE_OBJECT);
        value_builder_replace(&at, value_string_c(h, "file"), value_string(h, n->at.file->name));
        value_builder_replace(&at, value_string_c(h, "row"), value_integer(n->at.row));
        value_builder_replace(&at, value_string_c(h, "col"), value_integer(n->at.column));
        value_builder_replace(&o, value_string_c(h, "location"), value_builder_close(&at));
        value_builder_replace(&o, value_string_c(h, "path"), ref_json(h, n->path));
        value_builder_replace(&o, value_string_c(h, "annotations"),
                              annotations_json(h, n->a, false));
        value_builder_add(&list, value_builder_close(&o));
    }
    return value_builder_close(&list);
}

static void print_json(struct inspection *s, bool notes, value needs) {
    struct buf b;
    bool first = true;
    buf_open(&b, (size_t)1 << 30);
    (void)!!buf_add(&b, S("{"));
    if (!s->is_policy)
        put_member(&b, "manifest", bundle_manifest_value(&s->heap, &s->package.content.manifest),
                   &first);
    value signatures = s->package.content.signatures;
    put_member(&b, "signatures_config",
               value_defined(signatures) ? signatures : value_empty_object(), &first);
    if (value_count(s->namespaces)) put_member(&b, "namespaces", s->namespaces, &first);
    if (notes && s->note_count) put_member(&b, "annotations", notes_json(s), &first);
    put_member(&b, "capabilities", needs, &first);
    printf("%.*s\n}\n", STR(buf_str(&b)));
    buf_close(&b);
}

/* ---- Tables ---- */

struct table {
    const char *title, *heads[2];
    value rows[ROWS_MAX][2];
    u32 count;
};

static size_t columns(str s) { /* of UTF-8, one per character */
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((u8)s.ptr[i] & 0xC0) != 0x80;
    return n;
}
static void put_times(const char *what, size_t n) {
    while (n--) fputs(what, stdout);
}
static void put_rule(const size_t *width, const char *left, const char *middle, const char *right) {
    fputs(left, stdout), put_times("─", width[0] + 2), fputs(middle, stdout);
    put_times("─", width[1] + 2), puts(right);
}
static void put_head(const char *text, size_t width) {
    size_t left = (width - strlen(text)) / 2;
    printf(" %*s%s%*s │", (int)left, "", text, (int)(width - strlen(text) - left), "");
}
static void put_cell(str text, size_t width) {
    printf(" %.*s%*s │", STR(text), (int)(width - columns(text)), "");
}

static void table_print(const struct table *t, bool merge_both) {
    size_t width[2] = {strlen(t->heads[0]), strlen(t->heads[1])};
    if (!t->count) return;
    for (u32 i = 0; i < t->count; i++)
        for (u32 k = 0; k < 2; k++) width[k] = MAX(width[k], columns(value_str(t->rows[i][k])));
    printf("%s:\n", t->title);
    put_rule(width, "┌", "┬", "┐");
    fputs("│", stdout), put_head(t->heads[0], width[0]), put_head(t->heads[1], width[1]), puts("");
    put_rule(width, "├", "┼", "┤");
    for (u32 i = 0; i < t->count; i++) {
        bool same = i && value_equal(t->rows[i][0], t->rows[i - 1][0]);
        bool both = merge_both && same && value_equal(t->rows[i][1], t->rows[i - 1][1]);
        fputs("│", stdout);
        put_cell(same ? S("") : value_str(t->rows[i][0]), width[0]);
        put_cell(both ? S("") : value_str(t->rows[i][1]), width[1]);
        puts("");
    }
    put_rule(width, "└", "┴", "┘");
}

static void add_row(struct table *t, value a, value b) {
    if (t->count < ROWS_MAX) t->rows[t->count][0] = a, t->rows[t->count++][1] = b;
}

static value cut(struct heap *h, str s) {
    char text[FIELD_MAX + 1];
    if (s.len < FIELD_MAX) return value_string(h, s);
    snprintf(text, sizeof text, "%.*s...", FIELD_MAX - 3, s.ptr);
    return value_string_c(h, text);
}

/* A long path keeps its first folder and its end: "metadata/...oobar/features". */
static value cut_path(struct heap *h, str s) {
    char text[2 * FIELD_MAX];
    if (s.len < FIELD_MAX) return value_string(h, s);
    size_t from = s.ptr[0] == '/' ? 1 : 0, slash = from + str_find_byte(str_skip(s, from), '/');
    if (slash >= s.len || slash + 4 >= FIELD_MAX)
        slash = 0;
    else
        slash++;
    size_t tail = FIELD_MAX - 3 - slash;
    snprintf(text, sizeof text, "%.*s...%.*s", (int)slash, s.ptr, (int)tail, s.ptr + s.len - tail);
    return value_string_c(h, text);
}

static int by_text(const void *a, const void *b) {
    return str_cmp(*(const str *)a, *(const str *)b);
}

static void print_manifest(struct inspection *s, struct table *t) {
    struct heap *h = &s->heap;
    struct bundle_manifest *m = &s->package.content.manifest;
    *t = (struct table){.title = "MANIFEST", .heads = {"FIELD", "VALUE"}};
    if (m->has_version)
        add_row(t, value_string_c(h, "Rego Version"),
                value_string_c(h, m->version == REGO_V1 ? "1" : "0"));
    if (m->revision.len) add_row(t, value_string_c(h, "Revision"), cut(h, m->revision));
    qsort(m->roots, m->root_count, sizeof *m->roots, by_text);
    for (u32 i = 0; i < m->root_count; i++)
        if (m->root_count > 1 || m->roots[i].len)
            add_row(t, value_string_c(h, "Roots"), cut_path(h, m->roots[i]));
    if (value_count(m->metadata)) {
        struct buf b;
        buf_open(&b, MIB(64));
        json_text_write(&b, m->metadata, JSON_TEXT_ESCAPE_HTML);
        add_row(t, value_string_c(h, "Metadata"), cut(h, buf_str(&b)));
        buf_close(&b);
    }
    table_print(t, true);
}

static void print_namespaces(struct inspection *s, struct table *t) {
    *t = (struct table){.title = "NAMESPACES", .heads = {"NAMESPACE", "FILE"}};
    for (u32 i = 0; i < value_count(s->namespaces); i++) {
        value files = value_value_at(s->namespaces, i);
        for (u32 k = 0; k < value_count(files); k++)
            add_row(t, value_key_at(s->namespaces, i),
                    cut_path(&s->heap, value_str(value_item(files, k))));
    }
    table_print(t, false);
}

/* ---- Annotations as text ---- */

static void print_line(const char *key, const char *separator, int pad, str text) {
    struct buf b;
    buf_open(&b, MIB(16));
    (void)buf_printf(&b, " %s%s%*s%.*s", key, text.len ? separator : "", text.len ? pad : 0, "",
                     STR(text));
    for (size_t i = 0; i < b.len; i++)
        if (b.ptr[i] == '\n') b.ptr[i] = ' ';
    if (b.len < PAGE_WIDTH)
        printf("%.*s\n", STR(buf_str(&b)));
    else
        printf("%.*s...\n", PAGE_WIDTH - 3, b.ptr);
    buf_close(&b);
}

static str text_field(value v, const char *name) {
    value f = value_get_str(v, str_from_c(name));
    return f.kind == VALUE_STRING ? value_str(f) : S("");
}

static void print_authors(value list) {
    if (!value_count(list)) return;
    puts("Authors:");
    for (u32 i = 0; i < value_count(list); i++) {
        char text[512];
        str name = text_field(value_item(list, i), "name"),
            mail = text_field(value_item(list, i), "email");
        if (value_item(list, i).kind == VALUE_STRING) name = value_str(value_item(list, i));
        if (!mail.len)
            snprintf(text, sizeof text, "%.*s", STR(name));
        else if (!name.len)
            snprintf(text, sizeof text, "<%.*s>", STR(mail));
        else
            snprintf(text, sizeof text, "%.*s <%.*s>", STR(name), STR(mail));
        print_line(text, "", 0, S(""));
    }
    puts("");
}

static void print_pairs(const char *title, struct heap *h, value list, const char *separator) {
    size_t width = 0;
    if (!value_count(list)) return;
    printf("%s:\n", title);
    for (u32 pass = 0; pass < 2; pass++)
        for (u32 i = 0; i < value_count(list); i++) {
            value pair = value_item(list, i);
            str key = value_str(value_item(pair, 0)), text = value_str(value_item(pair, 1));
            if (!pass)
                width = MAX(width, key.len);
            else
                print_line(value_str(value_string(h, key)).ptr, separator, (int)(width - key.len),
                           text);
        }
    puts("");
}

static value pair_of(struct heap *h, str key, str text) {
    value both[2] = {value_string(h, key), value_string(h, text)};
    return value_array(h, both, 2);
}

static str json_of(struct heap *h, value v) {
    struct buf b;
    buf_open(&b, MIB(16));
    json_text_write(&b, v, JSON_TEXT_ESCAPE_HTML);
    v = value_string(h, buf_str(&b));
    buf_close(&b);
    return value_str(v);
}

static void print_lists(struct heap *h, const struct ast_annotations *a) {
    struct value_builder b;
    value organizations = value_get_str(a->fields, S("organizations")),
          custom = value_get_str(a->fields, S("custom"));
    value resources = value_get_str(a->fields, S("related_resources"));
    if (value_count(organizations)) puts("Organizations:");
    for (u32 i = 0; i < value_count(organizations); i++)
        print_line(value_str(value_item(organizations, i)).ptr, "", 0, S(""));
    if (value_count(organizations)) puts("");
    print_authors(value_get_str(a->fields, S("authors")));
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 i = 0; i < a->schema_count; i++) {
        const struct ast_schema *x = &a->schemas[i];
        str what = x->schema ? value_str(text_of(h, ast_term_write, x->schema))
                             : json_of(h, x->definition);
        value_builder_add(&b, pair_of(h, value_str(text_of(h, ast_term_write, x->path)), what));
    }
    print_pairs("Schemas", h, value_builder_close(&b), ": ");
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(resources); i++)
        value_builder_add(&b, pair_of(h, text_field(value_item(resources, i), "ref"),
                                      text_field(value_item(resources, i), "description")));
    print_pairs("Related Resources", h, value_builder_close(&b), " ");
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(custom); i++)
        value_builder_add(&b, pair_of(h, value_str(value_key_at(custom, i)),
                                      json_of(h, value_value_at(custom, i))));
    print_pairs("Custom", h, value_builder_close(&b), ": ");
}

static void print_note(struct heap *h, const struct note *n) {
    value package = text_of(h, ast_term_write, n->module->package);
    str shown = str_skip(value_str(package), S("data.").len),
        title = str_trim(text_field(n->a->fields, "title"));
    str description = text_field(n->a->fields, "description");
    struct buf path;
    buf_open(&path, MIB(1));
    for (u32 i = 1; i < value_count(n->path); i++) {
        value part = value_item(n->path, i);
        (void)buf_printf(&path, "%s%.*s", i > 1 ? "." : "",
                         STR(part.kind == VALUE_STRING ? value_str(part) : S("?")));
    }
    if (!title.len) title = buf_str(&path);
    printf("%.*s\n", STR(title));
    put_times("=", MIN(title.len, (size_t)PAGE_WIDTH));
    puts("\n");
    if (description.len) printf("%.*s\n\n", STR(description));
    printf("Package:  %.*s\n", STR(shown));
    if (n->a->rule)
        printf("Rule:     %.*s\n",
               STR(value_str(text_of(h, ast_term_write, n->a->rule->head->ref))));
    printf("Location: %.*s:%u\n", STR(n->at.file->name), n->at.row);
    if (n->a->scope_text.len) printf("Scope: %.*s\n", STR(n->a->scope_text));
    if (n->a->entrypoint) puts("Entrypoint: true");
    puts("");
    print_lists(h, n->a);
    buf_close(&path);
}

/* ---- The verb ---- */

static bool open_path(struct inspection *s, const char *path, enum rego_version version) {
    struct package_options o = {.read = {.skip_verify = true, .version = version}};
    struct diag why = {0};
    s->is_policy = str_ends(str_from_c(path), S(".rego"));
    s->namespaces = value_empty_object();
    if (s->is_policy) {
        bundle_begin(&s->package.content, 0);
        if (!file_read(path, &s->package.archive)) return false;
        s->count = 1;
    } else {
        if (package_open(&s->package, path, &o, &why)) {
            fprintf(stderr, "error: bundle %s: %s\n", path, why.text);
            return false;
        }
        s->count = s->package.content.module_count;
    }
    s->sources = heap_alloc(&s->heap, (s->count + 1) * sizeof *s->sources);
    s->versions = heap_alloc(&s->heap, (s->count + 1) * sizeof *s->versions);
    if (!s->sources || !s->versions) return error("out of memory");
    for (u32 i = 0; i < s->count; i++) {
        const struct bundle_module *m = s->is_policy ? NULL : &s->package.content.modules[i];
        struct bundle_file f =
            m ? (struct bundle_file){.path = m->path, .name = m->name} : (struct bundle_file){0};
        s->sources[i] = m ? (struct policy_source){package_file_name(&s->package, &f), m->text}
                          : (struct policy_source){str_from_c(path), s->package.archive};
        s->versions[i] = m ? m->version : version;
    }
    return true;
}

/* skip_verify leaves signatures unread; here they are shown. */
static bool read_signatures(struct inspection *s) {
    struct diag why = {0};
    for (u32 i = 0; i < s->package.content.files.count; i++) {
        const struct bundle_file *f = &s->package.content.files.items[i];
        if (str_ends(f->path, S("signatures.json")) &&
            json_text_read(&s->heap, NULL, f->bytes, &s->package.content.signatures, &why))
            return error("bundle load failed on signatures decode");
    }
    return true;
}

static bool inspect(struct inspection *s, const char *path, enum rego_version version, bool json,
                    bool notes) {
    value needs;
    if (!open_path(s, path, version) || !read_signatures(s) || !parse_all(s)) return false;
    list_data(s);
    list_notes(s);
    if (!look_at_needs(s, &needs)) return false;
    if (json) return print_json(s, notes, needs), true;
    struct table *t = malloc(sizeof *t);
    if (!t) return error("out of memory");
    if (!s->is_policy) print_manifest(s, t);
    print_namespaces(s, t);
    free(t);
    if (notes && s->note_count) puts("ANNOTATIONS:");
    for (u32 i = 0; notes && i < s->note_count; i++) print_note(&s->heap, &s->notes[i]);
    return true;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"format", 'f', false, "pretty or json"},
        {"annotations", 'a', true, "show annotations"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"v1-compatible", 0, true, "policies are Rego v1, as they are anyway"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct inspection s = {0};
    const char *v, *format = "pretty", *path = NULL;
    bool ok = true, notes = false;
    enum rego_version version = REGO_V1;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (o == 0)
            format = v;
        else if (o == 1)
            notes = on;
        else if (o == 2)
            version = on ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && path)
            return error("specify exactly one OPA bundle or path"), EXIT_NO;
        else if (o == OPTION_PLAIN)
            path = v;
        else
            ok = o == 3;
    }
    if (!ok || !path) return usage_of(&inspect_verb, specs, ARRAY_LEN(specs));
    heap_open(&s.heap, (size_t)4 << 30);
    bool done = inspect(&s, path, version, !strcmp(format, "json"), notes);
    package_close(&s.package);
    heap_close(&s.heap);
    return done ? 0 : EXIT_NO;
}

const struct verb inspect_verb = {"inspect", "[OPTIONS] PATH",
                                  "show what a bundle or a policy holds", run};
