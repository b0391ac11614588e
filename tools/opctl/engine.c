/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c — what several verbs give the engine: schemas, capabilities, the package and imports of
 * a query, durations, printed lines.
 *
 *   -s schema.json    the type of `input`
 *   -s schemas/       schemas/a/b.json is the schema that annotations call schema.a.b */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/builtin/builtin.h"
#include "app/version.h"
#include "tools/opctl/opctl.h"

enum { FOLDER_DEPTH_MAX = 32, NAMES_MAX = FOLDER_DEPTH_MAX + 1, SCOPE_BYTES_MAX = 1 << 16 };

void print_message(void *arg, const struct ast_location *at, str message) {
    (void)arg, (void)at;
    fprintf(stderr, "%.*s\n", STR(message));
}

struct schemas {
    struct heap *heap;
    struct value_builder all;
    str names[NAMES_MAX];
    u32 depth;
};

/* schema.a["b-c"]: as annotations and messages write it. */
static value schema_name(struct schemas *s) {
    struct ast_term *terms[NAMES_MAX + 1];
    struct buf text;
    terms[0] = ast_var(s->heap, NULL, S("schema"));
    for (u32 i = 0; i < s->depth; i++)
        terms[i + 1] = ast_scalar(s->heap, NULL, value_string(s->heap, s->names[i]));
    struct ast_term *ref = ast_list(s->heap, NULL, AST_REF, terms, s->depth + 1);
    buf_open(&text, 1 << 16);
    if (ref) ast_term_write(&text, ref);
    value name = value_string(s->heap, buf_str(&text));
    buf_close(&text);
    return name;
}

static str without_ending(struct heap *h, str name) {
    size_t dot = name.len;
    while (dot && name.ptr[dot - 1] != '.') dot--;
    value kept = value_string(h, dot > 1 ? str_take(name, dot - 1) : name);
    return kept.kind == VALUE_STRING ? value_str(kept) : S("");
}

static int visible(const struct dirent *e) {
    return e->d_name[0] != '.';
}

static bool add_folder(struct schemas *s, const char *folder) {
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, alphasort);
    bool ok = n >= 0 && s->depth < FOLDER_DEPTH_MAX;
    if (!ok) fprintf(stderr, "opctl: %s: cannot be listed\n", folder);
    for (int i = 0; i < n; i++) {
        char path[4096];
        struct stat st;
        value v;
        str name = str_from_c(entries[i]->d_name);
        int len = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        bool there = ok && len < (int)sizeof path && !stat(path, &st);
        bool schema = str_ends(name, S(".json")) || str_ends(name, S(".yaml"));
        if (there && S_ISDIR(st.st_mode)) {
            s->names[s->depth++] = name;
            ok = add_folder(s, path);
            s->depth--;
        } else if (there && schema) {
            s->names[s->depth++] = without_ending(s->heap, name);
            ok = value_of_file(s->heap, path, &v);
            if (ok) value_builder_replace(&s->all, schema_name(s), v);
            s->depth--;
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return ok;
}

bool schemas_load(struct heap *h, const char *path, value *out) {
    struct schemas s = {.heap = h};
    struct stat st;
    value v;
    if (stat(path, &st)) {
        fprintf(stderr, "opctl: %s: %s\n", path, strerror(errno));
        return false;
    }
    value_builder_open(&s.all, h, VALUE_OBJECT);
    bool ok = true;
    if (S_ISDIR(st.st_mode))
        ok = add_folder(&s, path);
    else if ((ok = value_of_file(h, path, &v)))
        value_builder_replace(&s.all, value_string_c(h, "schema"), v);
    *out = value_builder_close(&s.all);
    return ok;
}

bool capabilities_load(struct heap *h, const char *file_or_version, value *out) {
    struct stat st;
    if (!stat(file_or_version, &st)) return value_of_file(h, file_or_version, out);
    if (!strcmp(file_or_version, "v" OPENPOLICY_VERSION)) return true; /* all there is */
    fprintf(stderr, "opctl: no such file or capabilities version found: %s\n", file_or_version);
    return false;
}

bool query_scope_import(struct query_scope *s, const char *text) {
    return s->import_count < QUERY_IMPORTS_MAX && (s->imports[s->import_count++] = text);
}

/* Read as the head of a module. */
bool query_scope_read(const struct query_scope *s, struct heap *h,
                      struct policy_query_options *out) {
    struct policy_errors errors;
    struct ast_module *m;
    struct buf text;
    if (!s->package && !s->import_count) return true;
    buf_open(&text, SCOPE_BYTES_MAX);
    (void)buf_printf(&text, "package %s\n", s->package ? s->package : "eval");
    for (u32 i = 0; i < s->import_count; i++) (void)buf_printf(&text, "import %s\n", s->imports[i]);
    value kept = value_string(h, buf_str(&text));
    buf_close(&text);
    policy_errors_open(&errors, h, 0);
    if (kept.kind != VALUE_STRING ||
        parse_module(h, S(""), value_str(kept), &out->parse, &m, &errors)) {
        errors_print(&errors);
        return false;
    }
    out->package = s->package ? m->package : NULL;
    out->imports = m->imports, out->import_count = m->import_count;
    return true;
}

bool option_list(str *items, u32 max, u32 *count, const char *text) {
    for (str rest = str_from_c(text), one; str_split(&rest, ',', &one);) {
        if (*count == max) return false;
        if (one.len) items[(*count)++] = one;
    }
    return true;
}

bool option_duration(const char *text, u64 *ns) {
    static const struct { const char *unit; double ns; } units[] = {
        {"ns", 1}, {"us", 1e3}, {"µs", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    double sum = 0;
    if (!*text) return false;
    while (*text) {
        char *end;
        double n = strtod(text, &end);
        u32 best = ARRAY_LEN(units);
        if (end == text || n < 0) return false;
        if (!*end && sum == 0) return *ns = (u64)(n * 1e9), true;
        for (u32 i = 0; i < ARRAY_LEN(units) && best == ARRAY_LEN(units); i++) {
            size_t len = strlen(units[i].unit);
            bool is_m = !strcmp(units[i].unit, "m") && end[1] == 's';
            if (!strncmp(end, units[i].unit, len) && !is_m) best = i;
        }
        if (best == ARRAY_LEN(units)) return false;
        sum += n * units[best].ns;
        text = end + strlen(units[best].unit);
    }
    *ns = (u64)sum;
    return sum < 1e19;
}
