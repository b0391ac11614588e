/* SPDX-License-Identifier: Apache-2.0 */
/* format_import.c — imports: those the layout's version needs or makes superfluous, and their
 * order: sorted within groups that stand between empty lines. */
#include "app/policy/lang/format_impl.h"

/* ---- Which ---- */

static bool path_is(const struct ast_term *path, const char *dotted) {
    str rest = str_from_c(dotted), part;
    for (u32 i = 0; i < path->count; i++) {
        const struct ast_term *t = path->terms[i];
        if (!str_split(&rest, '.', &part)) return false;
        if (!str_eq(part, t->kind == AST_VAR      ? t->var
                          : t->kind == AST_STRING ? value_str(t->scalar)
                                                  : S("")))
            return false;
    }
    return rest.len == 0;
}
static bool path_is_future(const struct ast_term *path, str keyword) {
    return path->count == 3 && path->terms[0]->kind == AST_VAR &&
           str_eq(path->terms[0]->var, S("future")) && path->terms[1]->kind == AST_STRING &&
           str_eq(value_str(path->terms[1]->scalar), S("keywords")) &&
           path->terms[2]->kind == AST_STRING &&
           (!keyword.len || str_eq(value_str(path->terms[2]->scalar), keyword));
}
static bool import_is_added(const struct ast_import *imp) {
    return imp->at.file && str_eq(imp->at.file->name, S(FORMAT_DEFAULT_FILE));
}
static void filter_imports(struct ast_module *m, bool (*drop)(const struct ast_term *path)) {
    u32 n = 0;
    for (u32 i = 0; i < m->import_count; i++)
        if (!drop(m->imports[i].path)) m->imports[n++] = m->imports[i];
    m->import_count = n;
}
static bool is_rego_v1(const struct ast_term *path) { return path_is(path, "rego.v1"); }
static bool is_future(const struct ast_term *path) {
    return path->terms[0]->kind == AST_VAR && str_eq(path->terms[0]->var, S("future"));
}
static void add_import(struct format *f, struct ast_module *m, str dotted) {
    struct ast_import *grown = heap_alloc(f->heap, (m->import_count + 1) * sizeof(*grown));
    struct parse_options o = {.version = REGO_V1};
    struct policy_errors ignored;
    struct ast_term *path;
    policy_errors_open(&ignored, f->heap, 0);
    if (!grown || parse_term(f->heap, dotted, &o, &path, &ignored)) return;
    u32 row = 0;
    for (u32 i = 0; i < m->import_count; i++)
        if ((is_future(m->imports[i].path) && m->imports[i].path->count >= 2) ||
            is_rego_v1(m->imports[i].path))
            row = MAX(row, m->imports[i].at.row);
    char text[64] = "import ";
    size_t n = MIN(dotted.len, sizeof(text) - 8);
    memcpy(text + 7, dotted.ptr, n);
    if (m->import_count) memcpy(grown, m->imports, m->import_count * sizeof(*grown));
    grown[m->import_count] = (struct ast_import){
        path, S(""), format_default_place(f->heap, str_of(text, 7 + n), row + 1)};
    m->imports = grown;
    m->import_count++;
}
static void ensure_keyword(struct format *f, struct ast_module *m, str keyword) {
    for (u32 i = 0; i < m->import_count; i++) {
        const struct ast_term *path = m->imports[i].path;
        if (path_is(path, "future.keywords") || path_is_future(path, keyword) ||
            (str_eq(keyword, S("in")) && path_is_future(path, S("every"))))
            return;
    }
    char dotted[40] = "future.keywords.";
    size_t n = MIN(keyword.len, sizeof(dotted) - 17);
    memcpy(dotted + 16, keyword.ptr, n);
    add_import(f, m, str_of(dotted, 16 + n));
}

static const char *const needed_keywords[] = {"in", "every", "not", "and",
                                              "or"}; /* NEEDED_KEYWORDS */
static bool has_rego_v1(const struct ast_module *m) {
    for (u32 i = 0; i < m->import_count; i++)
        if (is_rego_v1(m->imports[i].path)) return true;
    return false;
}
void format_settle_imports(struct format *f, struct ast_module *m, unsigned needed) {
    enum rego_version version = f->options->version;
    bool drop = f->options->drop_v0_imports;
    if (version == REGO_V1 && drop) filter_imports(m, is_rego_v1);
    else if (version == REGO_V0_COMPAT_V1 && !has_rego_v1(m)) add_import(f, m, S("rego.v1"));
    bool v1 = has_rego_v1(m), compatible = version != REGO_V0 || v1;
    if (compatible && (drop || v1)) filter_imports(m, is_future);
    for (u32 i = 0; i < ARRAY_LEN(needed_keywords); i++)
        if ((needed >> i & 1) && (!compatible || i >= 2))
            ensure_keyword(f, m, str_from_c(needed_keywords[i]));
}
/* What they turn on. */
void format_heed_imports(struct format *f, const struct ast_module *m) {
    for (u32 i = 0; i < m->import_count; i++) {
        const struct ast_term *path = m->imports[i].path;
        bool all = is_rego_v1(path) || path_is(path, "future.keywords");
        if (all || path_is_future(path, S("contains"))) f->use_contains = true;
        if (all || path_is_future(path, S("if"))) f->use_if = true;
    }
}

/* ---- In which order ---- */

/* An import and the comment in its row, which goes with it wherever it is sorted to. */
struct entry { struct ast_import import; struct ast_comment comment; bool commented; };
typedef int compare_fn(const struct ast_import *a, const struct ast_import *b);

static int compare_paths(const struct ast_import *a, const struct ast_import *b) {
    int d = ast_term_compare(a->path, b->path);
    return d ? d : str_cmp(a->alias, b->alias);
}
static int compare_rows(const struct ast_import *a, const struct ast_import *b) {
    return format_compare_places(&a->at, &b->at);
}

static void sort_entries(struct entry *list, struct entry *spare, u32 n, compare_fn *compare) {
    bool sorted = true;
    for (u32 i = 1; i < n && sorted; i++)
        sorted = compare(&list[i - 1].import, &list[i].import) <= 0;
    if (sorted) return;
    u32 half = n / 2;
    sort_entries(list, spare, half, compare);
    sort_entries(list + half, spare, n - half, compare);
    memcpy(spare, list, half * sizeof(*list));
    for (u32 a = 0, b = half, to = 0; a < half; to++) {
        bool right = b < n && compare(&list[b].import, &spare[a].import) < 0;
        list[to] = right ? list[b++] : spare[a++];
    }
}
void format_sort_imports(struct format *f, struct ast_module *m) {
    u32 n = m->import_count;
    struct entry *list = n ? heap_alloc(f->heap, 2 * (size_t)n * sizeof(*list)) : NULL;
    if (!list) return;
    for (u32 i = 0; i < n; i++) list[i] = (struct entry){.import = m->imports[i]};
    sort_entries(list, list + n, n, compare_rows);
    for (u32 i = 0; i < n; i++) m->imports[i] = list[i].import;
}
/* An import that was added is put in front when its row would come after a rule's. */
u32 format_added_in_front(struct ast_module *m) {
    u32 first_rule = UINT32_MAX, n = 0;
    bool late = false;
    for (u32 i = 0; i < m->rule_count; i++) first_rule = MIN(first_rule, m->rules[i]->at.row);
    for (u32 i = 0; i < m->import_count; i++)
        late = late || (import_is_added(&m->imports[i]) && m->imports[i].at.row >= first_rule);
    if (!late) return 0;
    for (u32 i = 0; i < m->import_count; i++)
        if (import_is_added(&m->imports[i])) {
            struct ast_import imp = m->imports[i];
            memmove(&m->imports[n + 1], &m->imports[n], (i - n) * sizeof(imp));
            m->imports[n++] = imp;
        }
    return n;
}

/* ---- Writing ---- */

static void write_import(struct format *f, const struct ast_import *imp,
                         const struct ast_comment *comment) {
    format_start_line(f);
    put(f->out, S("import "));
    struct comment_list comments = f->comments;
    f->comments.count = 0;
    (void)format_write_ref(f, imp->path->terms, imp->path->count, path_is_future(imp->path, S("")));
    f->comments = comments;
    if (imp->alias.len) {
        put(f->out, S(" as "));
        put(f->out, imp->alias);
    }
    if (comment) {
        put_c(f->out, ' ');
        format_write_comment(f, comment);
    }
    format_end_line(f);
}
/* Takes the comments in the rows of the imports out of the list. */
static void take_comments(struct format *f, struct entry *list, u32 n) {
    u32 last = list[n - 1].import.at.row, all = 0, kept, k = n;
    while (all < f->comments.count && f->comments.items[all].at.row <= last) all++;
    kept = all;
    for (u32 c = all; c-- > 0;) { /* from behind: the others move up to the rest of the list */
        struct ast_comment comment = f->comments.items[c];
        while (k > 0 && list[k - 1].import.at.row > comment.at.row) k--;
        while (k > 1 && list[k - 2].import.at.row == comment.at.row) k--;
        if (k > 0 && list[k - 1].import.at.row == comment.at.row)
            list[k - 1].comment = comment, list[k - 1].commented = true;
        else
            f->comments.items[--kept] = comment;
    }
    f->comments.items += kept, f->comments.count -= kept;
}
void format_write_imports(struct format *f, const struct ast_import *imports, u32 n) {
    struct entry *list = n ? heap_alloc(f->heap, 2 * (size_t)n * sizeof(*list)) : NULL;
    if (!list) return;
    for (u32 i = 0; i < n; i++) list[i] = (struct entry){.import = imports[i]};
    take_comments(f, list, n);
    for (u32 start = 0, end; start < n; start = end) {
        for (end = start + 1; end < n;) {
            if ((s64)list[end].import.at.row - list[end - 1].import.at.row > 1) break;
            end++;
        }
        if (format_insert_comments(f, list[start].import.at.row)) return;
        sort_entries(list + start, list + n, end - start, compare_paths);
        for (u32 i = start; i < end; i++)
            write_import(f, &list[i].import, list[i].commented ? &list[i].comment : NULL);
        format_blank_line(f);
    }
}
