/* SPDX-License-Identifier: Apache-2.0 */
/* source.c — policies and data from files and folders, as the reference's command loads them.
 *
 *   dir/app/data.json    -> data.app        (the folders below `dir` are the path)
 *   dir/app/policy.rego  -> a module
 *   x.y:file.json        -> data.x.y
 *
 * Documents are merged; two that say different things about one path are an error. */
#include "tools/opctl/opctl.h"
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"

enum { PATH_BYTES_MAX = 4096, FOLDER_DEPTH_MAX = 32 };

static bool complain(const char *path, const char *what) {
    fprintf(stderr, "opctl: %s: %s\n", path, what);
    return false;
}

bool file_read(const char *path, str *out) {
    bool is_stdin = !strcmp(path, "-");
    FILE *f = is_stdin ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t len = 0, room = 0;
    if (!f) return complain(path, strerror(errno));
    for (;;) {
        if (room - len < 65536) {
            char *more = realloc(text, room = room * 2 + 131072);
            if (!more) break;
            text = more;
        }
        size_t n = fread(text + len, 1, room - len - 1, f);
        len += n;
        if (!n) break;
    }
    bool failed = !text || ferror(f);
    if (!is_stdin) fclose(f);
    if (failed) {
        free(text);
        return complain(path, "cannot be read");
    }
    text[len] = 0;
    *out = str_of(text, len);
    return true;
}

static bool is_data(str path) {
    return str_ends(path, S(".json")) || str_ends(path, S(".yaml")) || str_ends(path, S(".yml"));
}

bool value_of_file(struct heap *h, const char *path, value *out) {
    struct diag why = {0};
    str text, name = str_from_c(path);
    if (!file_read(path, &text)) return false;
    bool yaml = str_ends(name, S(".yaml")) || str_ends(name, S(".yml"));
    rc_t rc = yaml ? yaml_text_read(h, text, out, &why) : json_text_read(h, NULL, text, out, &why);
    free((char *)text.ptr);
    if (!rc) return true;
    fprintf(stderr, "opctl: %s:%d:%d: %s\n", path, why.line, why.column, why.text);
    return false;
}

/* Two documents in one; false: they differ somewhere. */
static bool merge(struct heap *h, value a, value b, value *out) {
    struct value_builder all;
    if (a.kind != VALUE_OBJECT || b.kind != VALUE_OBJECT) {
        *out = a;
        return value_equal(a, b);
    }
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(a); i++)
        value_builder_replace(&all, value_key_at(a, i), value_value_at(a, i));
    for (u32 i = 0; i < value_count(b); i++) {
        value key = value_key_at(b, i), mine = value_get(a, key), both = value_value_at(b, i);
        if (value_defined(mine) && !merge(h, mine, both, &both)) return false;
        value_builder_replace(&all, key, both);
    }
    *out = value_builder_close(&all);
    return true;
}

/* `v` under the path "a/b" or "a.b", by `separator`. */
static value under_path(struct heap *h, str path, char separator, value v) {
    size_t last = path.len;
    while (path.len) {
        while (last && path.ptr[last - 1] != separator) last--;
        value key = value_string(h, str_skip(path, last));
        if (path.len > last) v = value_object(h, &key, &v, 1);
        path = str_take(path, last ? last - 1 : 0);
        last = path.len;
    }
    return v;
}

void bundle_open(struct bundle *b) {
    *b = (struct bundle){.data = value_empty_object()};
    heap_open(&b->heap, (size_t)4 << 30);
}

void bundle_close(struct bundle *b) {
    for (u32 i = 0; i < b->count; i++)
        if (b->told[i] == REGO_UNTOLD) free((char *)b->sources[i].text.ptr); /* else a package's */
    free(b->sources), free(b->told), free(b->versions);
    for (struct package *p = b->packages, *next; p; p = next) {
        next = p->next;
        package_close(p);
        free(p);
    }
    heap_close(&b->heap);
}

static bool add_data(struct bundle *b, const char *file, str place, char separator) {
    value v;
    if (!value_of_file(&b->heap, file, &v)) return false;
    v = under_path(&b->heap, place, separator, v);
    if (v.kind != VALUE_OBJECT)
        return complain(file, "the document at the root of data must be an object");
    return merge(&b->heap, b->data, v, &b->data) ||
           complain(file, "merge error: another file says otherwise");
}

static bool add_source(struct bundle *b, const struct policy_source *source, u8 version) {
    if (b->count == b->room) {
        u32 room = b->room ? b->room * 2 : 16;
        struct policy_source *more = realloc(b->sources, room * sizeof *more);
        if (more) b->sources = more;
        u8 *told = more ? realloc(b->told, room) : NULL;
        if (!told) return false;
        b->told = told, b->room = room;
    }
    b->told[b->count] = version;
    b->sources[b->count++] = *source;
    return true;
}

void bundle_load_options(struct bundle *b, struct policy_load_options *o) {
    free(b->versions);
    b->versions = calloc(b->count + 1, sizeof *b->versions);
    for (u32 i = 0; b->versions && i < b->count; i++)
        b->versions[i] =
            b->told[i] == REGO_UNTOLD ? o->parse.version : (enum rego_version)b->told[i];
    o->versions = b->versions;
}

static bool add_policy(struct bundle *b, const char *file) {
    struct policy_source source = {.name = value_str(value_string_c(&b->heap, file))};
    if (!file_read(file, &source.text)) return false;
    return add_source(b, &source, REGO_UNTOLD) || complain(file, "out of memory");
}

/* ---- Bundles ---- */

static bool shares_roots(struct bundle *b, const struct package *p) {
    const struct bundle_manifest *mine = &p->content.manifest;
    for (const struct package *q = b->packages; q; q = q->next)
        for (u32 i = 0; i < mine->root_count; i++)
            for (u32 k = 0; k < q->content.manifest.root_count; k++) {
                str root = mine->roots[i], other = q->content.manifest.roots[k];
                if (!bundle_roots_overlap(root, other)) continue;
                fprintf(stderr,
                        "opctl: detected overlapping roots in manifests for these bundles:"
                        " [%s, %s] (%.*s overlaps %.*s)\n",
                        q->path, p->path, STR(other), STR(root));
                return true;
            }
    return false;
}

static bool take_package(struct bundle *b, struct package *p) {
    struct policy_bundle *content = &p->content;
    if (content->is_delta) return complain(p->path, "a delta changes a bundle that is there");
    if (value_count(content->manifest.wasm))
        return complain(p->path, "the bundle has policies as WebAssembly, which are not run here");
    for (u32 i = 0; i < content->module_count; i++) {
        struct bundle_module *m = &content->modules[i];
        struct bundle_file f = {.path = m->path, .name = m->name};
        struct policy_source source = {package_file_name(p, &f), m->text};
        if (!add_source(b, &source, (u8)m->version)) return complain(p->path, "out of memory");
    }
    return merge(&b->heap, b->data, content->data, &b->data) ||
           complain(p->path, "merge error: another file says otherwise");
}

bool bundle_add_package(struct bundle *b, const char *path) {
    struct package_options o = {
        .read.skip_verify = true, .ignore = b->ignore, .ignore_count = b->ignore_count};
    struct diag why = {0};
    struct package *p = calloc(1, sizeof *p);
    if (!p) return complain(path, "out of memory");
    bool ok = !package_open(p, path, &o, &why) || complain(path, why.text);
    ok = ok && !shares_roots(b, p);
    p->next = b->packages, b->packages = p;
    return ok && take_package(b, p);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}
static int visible(const struct dirent *e) {
    return e->d_name[0] != '.';
}

bool bundle_ignore(struct bundle *b, const char *patterns) {
    str rest = str_from_c(patterns), one;
    while (str_split(&rest, ',', &one)) {
        value kept = value_string(&b->heap, one);
        if (b->ignore_count == ARRAY_LEN(b->ignore) || kept.kind != VALUE_STRING)
            return complain(patterns, "too many patterns of names to ignore");
        b->ignore[b->ignore_count++] = value_str(kept).ptr;
    }
    return true;
}

static bool ignored(const struct bundle *b, const char *name) {
    for (u32 i = 0; i < b->ignore_count; i++)
        if (!fnmatch(b->ignore[i], name, 0)) return true;
    return false;
}

static bool add_folder(struct bundle *b, const char *folder, const char *place, int depth) {
    struct dirent **entries;
    int n = scandir(folder, &entries, visible, by_name);
    bool ok = n >= 0 && depth < FOLDER_DEPTH_MAX ? true : complain(folder, "cannot be listed");
    for (int i = 0; i < n; i++) {
        char path[PATH_BYTES_MAX], below[PATH_BYTES_MAX];
        struct stat st;
        bool here = !strcmp(folder, ".");
        int len = snprintf(path, sizeof path, "%s%s%s", here ? "" : folder, here ? "" : "/",
                           entries[i]->d_name);
        snprintf(below, sizeof below, "%s%s%s", place, *place ? "/" : "", entries[i]->d_name);
        str name = str_of(path, (size_t)len);
        if (!ok || len >= (int)sizeof path || stat(path, &st))
            ok = ok && complain(path, strerror(errno));
        else if (ignored(b, entries[i]->d_name))
            (void)0;
        else if (S_ISDIR(st.st_mode))
            ok = add_folder(b, path, below, depth + 1);
        else if (str_ends(name, S(".rego")))
            ok = add_policy(b, path);
        else if (is_data(name))
            ok = add_data(b, path, str_from_c(place), '/');
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    return ok;
}

/* "./a//b/" is "a/b", as the reference names files. */
static const char *clean_folder(struct bundle *b, const char *path) {
    char room[PATH_BYTES_MAX];
    size_t n = 0;
    if (strlen(path) >= sizeof room) return path;
    while (path[0] == '.' && path[1] == '/') path += 2 + strspn(path + 2, "/");
    for (; *path; path++)
        if (*path != '/' || !n || room[n - 1] != '/') room[n++] = *path;
    while (n > 1 && room[n - 1] == '/') n--;
    value kept = value_string(&b->heap, n ? str_of(room, n) : S("."));
    return kept.kind == VALUE_STRING ? value_str(kept).ptr : path;
}

bool bundle_add(struct bundle *b, const char *path) {
    struct stat st;
    str place = {0};
    const char *colon = strchr(path, ':');
    if (b->bundles) return bundle_add_package(b, path);
    if (stat(path, &st) && colon) { /* "a.b:file" */
        place = str_of(path, (size_t)(colon - path));
        path = colon + 1;
    }
    if (str_starts(place, S("data."))) place = str_skip(place, 5);
    if (stat(path, &st)) return complain(path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return add_folder(b, clean_folder(b, path), "", 0);
    if (str_ends(str_from_c(path), S(".tar.gz"))) return bundle_add_package(b, path);
    if (is_data(str_from_c(path))) return add_data(b, path, place, '.');
    return add_policy(b, path);
}
