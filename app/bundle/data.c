/* SPDX-License-Identifier: Apache-2.0 */
/* data.c — data.json, data.yaml and data.yml of all folders in one document.
 *
 *   data.json        {"a": {"x": 1}}          {"a": {"x": 1,
 *   a/b/data.json    {"y": 2}            ->          "b": {"y": 2}}}
 *
 * The files are sorted into a tree of folders, and the tree is walked once: at every place meet
 * the document of that folder and the parts that folders above have of it. Work is linear in what
 * is there, however the files are cut. Two that say something about one place are an error, equal
 * or not, unless both are objects. */
#include <stdlib.h>
#include "app/bundle/bundle_impl.h"
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"

struct document_file {
    str place;
    const struct bundle_file *file;
    value v;
};
struct folder {
    str name;
    struct folder *first, *next; /* its folders, in any order */
    struct document_file *from;  /* its own documents */
    u32 count;
};

bool is_data_file(str path) {
    str base = path_base(path);
    return str_eq(base, S("data.json")) || str_eq(base, S("data.yaml")) ||
           str_eq(base, S("data.yml"));
}

static rc_t read_document(struct policy_bundle *b, struct document_file *d, struct diag *why) {
    struct diag place = {0};
    bool yaml = !str_ends(d->file->path, S(".json"));
    rc_t rc = yaml ? yaml_text_read(&b->heap, d->file->bytes, &d->v, &place)
                   : json_text_read(&b->heap, NULL, d->file->bytes, &d->v, &place);
    if (rc == RC_NO_MEMORY) return rc;
    if (rc && yaml)
        diag_set(why, "bundle load failed on %.*s: %s", STR(str_take(d->file->name, 100)),
                 place.text);
    else if (rc)
        diag_set(why, "bundle load failed on %.*s: line %d, column %d: %s",
                 STR(str_take(d->file->name, 100)), place.line, place.column, place.text);
    else if (!d->place.len && d->v.kind != VALUE_OBJECT) {
        diag_set(why, "bundle load failed on %.*s: root value must be object",
                 STR(str_take(d->file->name, 100)));
        rc = RC_INVALID;
    }
    return rc;
}

/* The folder of a file, without the slashes and dots in front that archives may have. */
static str place_of(str path) {
    str base = path_base(path), dir = str_take(path, path.len - base.len);
    while (dir.len && (dir.ptr[0] == '/' || dir.ptr[0] == '.')) dir = str_skip(dir, 1);
    while (dir.len && dir.ptr[dir.len - 1] == '/') dir.len--;
    return dir;
}

/* A slash comes before all else, so that what lies in one folder stands together. */
static int place_compare(str a, str b) {
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        int x = a.ptr[i] == '/' ? 0 : (u8)a.ptr[i], y = b.ptr[i] == '/' ? 0 : (u8)b.ptr[i];
        if (x != y) return x - y;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}
static int by_place(const void *a, const void *b) {
    const struct document_file *x = a, *y = b;
    int order = place_compare(x->place, y->place);
    return order ? order : str_cmp(x->file->path, y->file->path);
}

/* Files come sorted, so a folder that is known is the one made last. */
static struct folder *folder_of(struct policy_bundle *b, struct folder *at, str place) {
    for (str rest = place, part; place.len && str_split(&rest, '/', &part);) {
        if (!at->first || !str_eq(at->first->name, part)) {
            struct folder *made = heap_alloc(&b->heap, sizeof *made);
            if (!made) return NULL;
            *made = (struct folder){.name = part, .next = at->first};
            at->first = made;
        }
        at = at->first;
    }
    return at;
}

struct merging {
    struct policy_bundle *bundle;
    struct diag *why;
};

static rc_t merge_at(struct merging *m, const value *parts, u32 count, const struct folder *f,
                     value *out);

static rc_t conflict(struct merging *m, str at) {
    diag_set(m->why,
             "bundle load failed: failed to insert data file at %.*s: another says otherwise",
             STR(str_take(at, 120)));
    return RC_INVALID;
}

/* One key of an object that is put together: what each part has of it, and the folder. */
static rc_t merge_key(struct merging *m, const value *parts, u32 count, value key,
                      const struct folder *f, struct value_builder *to) {
    struct heap *h = &m->bundle->heap;
    value *below = heap_alloc(h, (count + 1) * sizeof *below), v;
    u32 n = 0;
    if (!below) return RC_NO_MEMORY;
    for (u32 i = 0; i < count; i++) {
        value part = value_get(parts[i], key);
        if (value_defined(part)) below[n++] = part;
    }
    rc_t rc = merge_at(m, below, n, f, &v);
    if (rc == RC_CONFLICT) return conflict(m, value_str(key));
    if (!rc) value_builder_replace(to, key, v);
    return rc;
}

static rc_t merge_folders(struct merging *m, const value *parts, u32 count, const struct folder *f,
                          struct value_builder *to) {
    struct heap *h = &m->bundle->heap;
    for (const struct folder *child = f ? f->first : NULL; child; child = child->next) {
        rc_t rc = merge_key(m, parts, count, value_string(h, child->name), child, to);
        if (rc) return rc;
        if (h->exhausted) return RC_NO_MEMORY;
    }
    for (u32 i = 0; i < count; i++)
        for (u32 k = 0; k < value_count(parts[i]); k++) {
            value key = value_key_at(parts[i], k);
            if (value_defined(value_builder_find(to, key))) continue;
            rc_t rc = merge_key(m, parts, count, key, NULL, to);
            if (rc) return rc;
        }
    return RC_OK;
}

/* RC_CONFLICT: two say something, and not both are objects. */
static rc_t merge_at(struct merging *m, const value *parts, u32 count, const struct folder *f,
                     value *out) {
    struct heap *h = &m->bundle->heap;
    u32 n = count + (f ? f->count : 0);
    struct value_builder b;
    if (n == 1 && (!f || !f->first)) {
        *out = count ? parts[0] : f->from[0].v;
        return RC_OK;
    }
    value *all = heap_alloc(h, (n + 1) * sizeof *all);
    if (!all) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++) {
        all[i] = i < count ? parts[i] : f->from[i - count].v;
        if (all[i].kind != VALUE_OBJECT) return RC_CONFLICT;
    }
    value_builder_open(&b, h, VALUE_OBJECT);
    rc_t rc = merge_folders(m, all, n, f, &b);
    *out = value_builder_close(&b);
    return rc ? rc : h->exhausted ? RC_NO_MEMORY : RC_OK;
}

rc_t data_read(struct policy_bundle *b, struct diag *why) {
    struct folder root = {0};
    struct merging m = {.bundle = b, .why = why};
    u32 count = 0;
    rc_t rc = RC_OK;
    struct document_file *all = heap_alloc(&b->heap, (b->files.count + 1) * sizeof *all);
    if (!all) return RC_NO_MEMORY;
    for (u32 i = 0; i < b->files.count; i++)
        if (is_data_file(b->files.items[i].path))
            all[count++] = (struct document_file){.place = place_of(b->files.items[i].path),
                                                  .file = &b->files.items[i]};
    qsort(all, count, sizeof *all, by_place);
    for (u32 i = 0; i < count && !rc; i++) {
        rc = read_document(b, &all[i], why);
        struct folder *f = rc ? NULL : folder_of(b, &root, all[i].place);
        if (!rc && !f) rc = RC_NO_MEMORY;
        if (rc) break;
        if (!f->count++) f->from = &all[i];
    }
    b->data = value_empty_object();
    if (!rc && count) rc = merge_at(&m, NULL, 0, &root, &b->data);
    if (rc == RC_CONFLICT) rc = conflict(&m, S("/"));
    if (!rc && b->heap.exhausted) rc = RC_NO_MEMORY;
    return rc;
}
