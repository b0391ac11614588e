/* SPDX-License-Identifier: Apache-2.0 */
/* package.c — a bundle given by path: an archive, or a folder laid out as one.
 *
 * A folder is walked in the order of its names, hidden files included; links are passed over
 * unless they are to be followed. Its policies are known by the path they have from here, since
 * that is what a person can open; those of an archive by their path in it. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <fnmatch.h>
#include "tools/opctl/opctl.h"

enum { PATH_BYTES_MAX = 4096, FOLDER_DEPTH_MAX = 64 };

struct walk {
    struct package *package;
    const struct package_options *options;
    struct diag *why;
    size_t root_len;
};

static rc_t fail(struct diag *why, const char *path, const char *words) {
    diag_set(why, "error reading \"%.120s\": %s", path, words);
    return RC_INVALID;
}

static bool is_ignored(const struct package_options *o, const char *name) {
    for (u32 i = 0; i < o->ignore_count; i++)
        if (!fnmatch(o->ignore[i], name, 0)) return true;
    return false;
}

static rc_t add_file(struct walk *w, const char *path) {
    struct package *p = w->package;
    struct heap *h = &p->content.heap;
    struct bundle_file f = {0};
    struct buf *more = realloc(p->texts, (p->text_count + 1) * sizeof *more);
    if (!more) return RC_NO_MEMORY;
    p->texts = more;
    if (!file_read(path, &f.bytes)) return fail(w->why, path, strerror(errno));
    p->texts[p->text_count++] = (struct buf){.ptr = (char *)f.bytes.ptr, .len = f.bytes.len};
    value name = value_string_c(h, path + w->root_len);
    if (name.kind != VALUE_STRING) return RC_NO_MEMORY;
    f.name = f.path = value_str(name);
    while (f.path.len && f.path.ptr[0] == '/') f.path = str_skip(f.path, 1);
    return bundle_files_add(h, &p->content.files, &f);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static rc_t walk_folder(struct walk *w, const char *folder, int depth) {
    struct dirent **entries;
    int n = scandir(folder, &entries, NULL, by_name);
    rc_t rc = RC_OK;
    if (n < 0) return fail(w->why, folder, strerror(errno));
    for (int i = 0; i < n; i++) {
        char path[PATH_BYTES_MAX];
        struct stat st;
        const char *name = entries[i]->d_name;
        int len = snprintf(path, sizeof path, "%s/%s", folder, name);
        bool skip = !strcmp(name, ".") || !strcmp(name, "..") || is_ignored(w->options, name);
        if (rc || skip || len >= (int)sizeof path || lstat(path, &st))
            (void)0; /* passed over, as what vanished meanwhile */
        else if (S_ISDIR(st.st_mode))
            rc = depth < FOLDER_DEPTH_MAX ? walk_folder(w, path, depth + 1)
                                          : fail(w->why, path, "folders too deep");
        else if (S_ISREG(st.st_mode) || (S_ISLNK(st.st_mode) && w->options->follow &&
                                         !stat(path, &st) && S_ISREG(st.st_mode)))
            rc = add_file(w, path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

rc_t package_open(struct package *p, const char *path, const struct package_options *o,
                  struct diag *why) {
    struct stat st;
    struct bundle_options read = o->read;
    if (!strncmp(path, "file://", 7)) path += 7;
    while (!strncmp(path, "./", 2) && path[2]) path += 2;
    *p = (struct package){.path = path};
    bundle_begin(&p->content, 0);
    if (stat(path, &st)) return fail(why, path, strerror(errno));
    p->is_folder = S_ISDIR(st.st_mode);
    if (!p->is_folder) {
        if (!file_read(path, &p->archive)) return fail(why, path, strerror(errno));
        return bundle_read(&p->content, p->archive, &read, why);
    }
    struct walk w = {p, o, why, strlen(path)};
    rc_t rc = walk_folder(&w, path, 0);
    if (!rc && strcmp(path, ".")) read.base = str_from_c(path);
    return rc ? rc : bundle_read_files(&p->content, &read, why);
}

void package_close(struct package *p) {
    bundle_drop(&p->content);
    for (u32 i = 0; i < p->text_count; i++) free(p->texts[i].ptr);
    free(p->texts);
    free((char *)p->archive.ptr);
}

str package_file_name(struct package *p, const struct bundle_file *f) {
    str base = str_from_c(p->path);
    while (base.len > 1 && base.ptr[base.len - 1] == '/') base.len--;
    if (!p->is_folder) return f->name;
    if (str_eq(base, S("."))) return f->path;
    char *to = heap_alloc(&p->content.heap, base.len + 1 + f->path.len);
    if (!to) return f->name;
    memcpy(to, base.ptr, base.len);
    to[base.len] = '/';
    memcpy(to + base.len + 1, f->path.ptr, f->path.len);
    return str_of(to, base.len + 1 + f->path.len);
}
