/* SPDX-License-Identifier: Apache-2.0 */
/* activate.c — a bundle becomes part of the state, or leaves it.
 *
 *   old state --without what lies under its roots--> + policies, data --> next state, compiled
 * whole
 *
 * A bundle owns its roots: whatever lies there goes when it comes, whoever put it, and nobody else
 * may write there while it stays. Roots of two bundles never overlap. What is known of a bundle is
 * kept beside the policies (rego_state.bundles) and shown to policies as the reference shows it:
 *
 *   bundles: {"authz": {"manifest": {...}, "etag": "...", "modules": {"authz/a.rego": 1}}}
 *   data.system.bundles.authz: {"manifest": {...}, "etag": "..."}
 *
 * All of it runs on a worker, on states nobody else sees yet. */
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "kernel/base/limits.h"
#include "kernel/core/worker.h"
#include <stdlib.h>

enum { CHAIN_MAX = 32, ROOTS_MAX = 4096, PACKAGE_BYTES_MAX = 4 << 20 };

struct activation {
    struct rego_state *next;
    const struct rego_state *from;
    const struct rego_change *change;
    struct diag *why;
    struct heap heap; /* scratch */
    const str *erase; /* roots, old and new */
    u32 erase_count;
    struct document_change *changes;
    u32 change_count, change_room;
    value manifest; /* the bundle's, as JSON; UNDEFINED: it leaves */
    str etag;
    rc_t rc;
};

/* ---- Roots ---- */

static value manifest_of(value bundles, str name) {
    return value_get_str(value_get_str(bundles, name), S("manifest"));
}

static u32 roots_of(value manifest, str *to, u32 room) {
    value list = value_get_str(manifest, S("roots"));
    u32 n = 0;
    for (u32 i = 0; list.kind == VALUE_ARRAY && i < value_count(list) && n < room; i++)
        if (value_item(list, i).kind == VALUE_STRING) to[n++] = value_str(value_item(list, i));
    return n;
}

/* "a/b%2Fc" to keys; false: too deep. */
static bool keys_of_root(struct heap *h, str root, const value **keys, u32 *count) {
    value *to = heap_alloc(h, POLICY_PATH_DEPTH_MAX * sizeof *to);
    *count = 0, *keys = to;
    if (!to) return false;
    for (str rest = root, part; root.len && str_split(&rest, '/', &part);) {
        char *text = value_string_room(h, part.len);
        size_t n = 0;
        if (!text || *count == POLICY_PATH_DEPTH_MAX) return false;
        for (size_t i = 0; i < part.len; i++) {
            unsigned byte;
            char hex[3] = {0};
            if (part.ptr[i] == '%' && part.len - i > 2) {
                memcpy(hex, part.ptr + i + 1, 2);
                char *end;
                byte = (unsigned)strtoul(hex, &end, 16);
                if (end == hex + 2) {
                    text[n++] = (char)byte, i += 2;
                    continue;
                }
            }
            text[n++] = part.ptr[i];
        }
        to[(*count)++] = value_string_seal(text, n);
    }
    return true;
}

static void list_text(struct buf *to, value names) { /* "a, b": keys of an object, sorted */
    for (u32 i = 0; i < value_count(names); i++)
        (void)buf_printf(to, "%s%.*s", i ? ", " : "", STR(value_str(value_key_at(names, i))));
}

static rc_t say_overlap(struct activation *a, value names, value conflicts, value empty) {
    struct buf text;
    buf_open(&text, MIB(1));
    if (value_count(empty)) {
        (void)buf_add(&text, S("bundles ["));
        list_text(&text, names);
        (void)buf_add(&text, S("] have overlapping roots and cannot be activated simultaneously "
                               "because bundle(s) ["));
        list_text(&text, empty);
        (void)buf_add(&text, S("] specify empty root paths ('') which overlap with any other "
                               "bundle root"));
    } else {
        (void)buf_add(&text, S("detected overlapping roots in manifests for these bundles: ["));
        list_text(&text, names);
        (void)buf_add(&text, S("] ("));
        list_text(&text, conflicts);
        (void)buf_add(&text, S(")"));
    }
    diag_set(a->why, "%.*s", STR(buf_str(&text)));
    buf_close(&text);
    return RC_INVALID;
}

static void note(struct value_builder *to, struct heap *h, str text) {
    value_builder_replace(to, value_string(h, text), value_boolean(true));
}

static rc_t check_overlap(struct activation *a, const str *mine, u32 count) {
    struct heap *h = &a->heap;
    struct value_builder names, conflicts, empty;
    value bundles = a->from->bundles;
    str *theirs = heap_alloc(h, ROOTS_MAX * sizeof *theirs);
    bool any = false;
    if (!theirs) return RC_NO_MEMORY;
    value_builder_open(&names, h, VALUE_OBJECT), value_builder_open(&conflicts, h, VALUE_OBJECT);
    value_builder_open(&empty, h, VALUE_OBJECT);
    for (u32 k = 0; k < count; k++)
        if (!mine[k].len) note(&empty, h, a->change->subject);
    for (u32 i = 0; i < value_count(bundles); i++) {
        str other = value_str(value_key_at(bundles, i));
        if (str_eq(other, a->change->subject)) continue;
        u32 n = roots_of(manifest_of(bundles, other), theirs, ROOTS_MAX);
        for (u32 k = 0; k < n; k++) {
            if (!theirs[k].len) note(&empty, h, other);
            for (u32 m = 0; m < count; m++) {
                if (!bundle_roots_overlap(mine[m], theirs[k])) continue;
                struct buf text;
                bool first = str_cmp(mine[m], theirs[k]) <= 0;
                buf_open(&text, KIB(64));
                if (str_eq(mine[m], theirs[k]))
                    (void)buf_printf(&text, "root %.*s is in multiple bundles", STR(mine[m]));
                else
                    (void)buf_printf(&text, "%.*s overlaps %.*s", STR(first ? mine[m] : theirs[k]),
                                     STR(first ? theirs[k] : mine[m]));
                note(&conflicts, h, buf_str(&text)), note(&names, h, other);
                note(&names, h, a->change->subject);
                buf_close(&text);
                any = true;
            }
        }
    }
    if (h->exhausted) return RC_NO_MEMORY;
    return any ? say_overlap(a, value_builder_close(&names), value_builder_close(&conflicts),
                             value_builder_close(&empty))
               : RC_OK;
}

/* ---- Policies ---- */

rc_t rego_package_of(struct heap *h, str text, enum rego_version version, str *out) {
    struct parse_options o = {.version = version, .skip_rules = true};
    struct policy_errors errors;
    struct ast_module *module;
    struct value_builder path;
    policy_errors_open(&errors, h, 1);
    rc_t rc = parse_module(h, S(""), text, &o, &module, &errors);
    if (rc) return rc;
    value_builder_open(&path, h, VALUE_ARRAY);
    for (u32 i = 1; i < module->package->count; i++)
        value_builder_add(&path, module->package->terms[i]->scalar);
    *out = bundle_path_of_package(h, value_builder_close(&path));
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

static bool erased(struct activation *a, const struct rego_source *s) {
    struct heap h;
    str package;
    heap_open(&h, PACKAGE_BYTES_MAX);
    bool gone = rego_package_of(&h, s->text, s->version, &package) == RC_OK &&
                bundle_roots_contain(a->erase, a->erase_count, package);
    heap_close(&h);
    return gone;
}

static int by_id(const void *x, const void *y) {
    return str_cmp(((const struct rego_source *)x)->id, ((const struct rego_source *)y)->id);
}

/* "authz" and "/x/p.rego" to "authz/x/p.rego". */
static str module_id(struct heap *h, str bundle, str path) {
    char *to = heap_alloc(h, bundle.len + 1 + path.len);
    if (!to) return S("");
    memcpy(to, bundle.ptr, bundle.len);
    to[bundle.len] = '/';
    memcpy(to + bundle.len + 1, path.ptr, path.len);
    return str_of(to, bundle.len + 1 + path.len);
}

static rc_t take_sources(struct activation *a, value *out_ids) {
    const struct policy_bundle *b = a->change->bundle;
    struct rego_state *next = a->next;
    struct value_builder ids;
    u32 room = a->from->source_count + (b ? b->module_count : 0);
    rc_t rc = RC_OK;
    next->sources = heap_alloc(&next->heap, (room + 1) * sizeof *next->sources);
    if (!next->sources) return RC_NO_MEMORY;
    value_builder_open(&ids, &a->heap, VALUE_OBJECT);
    for (u32 i = 0; b && i < b->module_count && !rc; i++) {
        const struct bundle_module *m = &b->modules[i];
        str id = module_id(&a->heap, a->change->subject, m->path);
        rc = rego_source_add(next, id, m->text, a->change->revision, m->version);
        value_builder_replace(&ids, value_string(&a->heap, id),
                              value_integer(m->version == REGO_V1));
    }
    value new_ids = value_builder_close(&ids);
    *out_ids = new_ids;
    value mine = value_get_str(value_get_str(a->from->bundles, a->change->subject), S("modules"));
    for (u32 i = 0; i < a->from->source_count && !rc; i++) {
        const struct rego_source *s = &a->from->sources[i];
        bool replaced = value_defined(value_get_str(new_ids, s->id));
        bool left = value_defined(value_get_str(mine, s->id));
        if (!replaced && !left && !erased(a, s))
            rego_source_share(next, s);
    }
    qsort(next->sources, next->source_count, sizeof *next->sources, by_id);
    return rc;
}

/* ---- Data ---- */

static bool changes_open(struct activation *a, u32 room) {
    a->changes = heap_alloc(&a->heap, room * sizeof *a->changes);
    a->change_room = room;
    return a->changes != NULL;
}

static rc_t change_add(struct activation *a, enum document_op op, const value *keys, u32 count,
                       value v) {
    if (a->change_count == a->change_room) return RC_LIMIT;
    a->changes[a->change_count++] =
        (struct document_change){.op = op, .path = keys, .count = count, .v = v};
    return RC_OK;
}

static rc_t place_in_system(struct activation *a) {
    struct heap *h = &a->heap;
    struct value_builder b;
    value keys[] = {value_string(h, S("system")), value_string(h, S("bundles")),
                    value_string(h, a->change->subject)};
    value *kept = heap_alloc(h, sizeof keys);
    if (!kept) return RC_NO_MEMORY;
    memcpy(kept, keys, sizeof keys);
    if (!value_defined(a->manifest)) {
        value there = document_get(document_root(a->from->data), kept, ARRAY_LEN(keys));
        bool all = a->erase_count && !a->erase[0].len; /* it went with everything else */
        return value_defined(there) && !all ? change_add(a, DOCUMENT_REMOVE, kept, 3, UNDEFINED)
                                            : RC_OK;
    }
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string(h, S("manifest")), a->manifest);
    value_builder_replace(&b, value_string(h, S("etag")), value_string(h, a->etag));
    return change_add(a, DOCUMENT_ADD, kept, 3, value_builder_close(&b));
}

static rc_t erase_data(struct activation *a) {
    value root = document_root(a->from->data);
    for (u32 i = 0; i < a->erase_count; i++) {
        const value *keys;
        u32 count;
        rc_t rc = RC_OK;
        if (!keys_of_root(&a->heap, a->erase[i], &keys, &count)) return RC_LIMIT;
        bool twice = false;
        for (u32 k = 0; k < i; k++) twice = twice || bundle_root_contains(a->erase[k], a->erase[i]);
        if (!count)
            rc = change_add(a, DOCUMENT_ADD, keys, 0, value_empty_object());
        else if (!twice && value_defined(document_get(root, keys, count)))
            rc = change_add(a, DOCUMENT_REMOVE, keys, count, UNDEFINED);
        if (rc) return rc;
    }
    return RC_OK;
}

static rc_t add_data(struct activation *a) {
    const struct policy_bundle *b = a->change->bundle;
    for (u32 i = 0; b && i < b->manifest.root_count; i++) {
        const value *keys;
        u32 count;
        if (!keys_of_root(&a->heap, b->manifest.roots[i], &keys, &count)) return RC_LIMIT;
        value v = document_get(b->data, keys, count);
        rc_t rc = value_defined(v) ? change_add(a, DOCUMENT_ADD, keys, count, v) : RC_OK;
        if (rc) return rc;
    }
    return RC_OK;
}

/* What the versions below held is let go; without memory for that they stay. */
static void make_compact(struct rego_state *s) {
    struct document *compact;
    if (document_compact(s->data, &compact)) return;
    document_drop(s->data);
    s->data = compact;
}

static rc_t take_data(struct activation *a) {
    if (!changes_open(a, a->erase_count + ROOTS_MAX + 1)) return RC_NO_MEMORY;
    rc_t rc = erase_data(a);
    if (!rc) rc = add_data(a);
    if (!rc) rc = place_in_system(a);
    if (rc) return rc;
    rc = document_change(a->from->data, a->changes, a->change_count, true, &a->next->data, a->why);
    if (!rc) make_compact(a->next);
    return rc;
}

/* ---- What is known of bundles ---- */

static void keep_known(struct activation *a, value policies) {
    struct value_builder all, one;
    struct heap *h = &a->heap;
    value bundles = a->from->bundles;
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(bundles); i++)
        if (!str_eq(value_str(value_key_at(bundles, i)), a->change->subject))
            value_builder_replace(&all, value_key_at(bundles, i), value_value_at(bundles, i));
    if (value_defined(a->manifest)) {
        value_builder_open(&one, h, VALUE_OBJECT);
        value_builder_replace(&one, value_string(h, S("manifest")), a->manifest);
        value_builder_replace(&one, value_string(h, S("etag")), value_string(h, a->etag));
        value_builder_replace(&one, value_string(h, S("modules")), policies);
        value_builder_replace(&all, value_string(h, a->change->subject), value_builder_close(&one));
    }
    a->next->bundles = value_copy(&a->next->heap, value_builder_close(&all));
}

/* ---- Deltas: {"manifest": {...}, "etag": "...", "patch": [{"op", "path", "value"}]} ---- */

static bool same_roots(value a, value b) {
    value x = value_get_str(a, S("roots")), y = value_get_str(b, S("roots"));
    bool same = value_count(x) == value_count(y);
    for (u32 i = 0; same && i < value_count(x); i++) {
        bool found = false;
        for (u32 k = 0; k < value_count(y); k++)
            found = found || value_equal(value_item(x, i), value_item(y, k));
        same = found;
    }
    return same;
}

static rc_t take_patch(struct activation *a, value patch) {
    if (!changes_open(a, value_count(patch) + 1)) return RC_NO_MEMORY;
    for (u32 i = 0; i < value_count(patch); i++) {
        value one = value_item(patch, i), v = value_get_str(one, S("value"));
        str op = value_str(value_get_str(one, S("op"))),
            path = value_str(value_get_str(one, S("path")));
        value *keys = heap_alloc(&a->heap, POLICY_PATH_DEPTH_MAX * sizeof *keys);
        u32 count;
        char *text = heap_alloc(&a->heap, path.len + 1);
        if (!keys || !text) return RC_NO_MEMORY;
        while (path.len && path.ptr[0] == '/') path = str_skip(path, 1);
        while (path.len && path.ptr[path.len - 1] == '/') path.len--;
        text[0] = '/';
        memcpy(text + 1, path.ptr, path.len);
        str pointer = path.len ? str_of(text, path.len + 1) : S("");
        bool upsert = str_eq(op, S("upsert")), replace = str_eq(op, S("replace"));
        if (!upsert && !replace && !str_eq(op, S("remove"))) {
            diag_set(a->why, "bad patch operation: %.*s", STR(str_take(op, 60)));
            return RC_INVALID;
        }
        if (document_path(&a->heap, pointer, keys, POLICY_PATH_DEPTH_MAX, &count)) {
            diag_set(a->why, "error parsing patch path");
            return RC_INVALID;
        }
        if (!value_defined(v)) v = value_null();
        rc_t rc = change_add(a,
                             upsert    ? DOCUMENT_ADD
                             : replace ? DOCUMENT_REPLACE
                                       : DOCUMENT_REMOVE,
                             keys, count, v);
        if (rc) return rc;
    }
    return RC_OK;
}

static rc_t activate_delta(struct activation *a) {
    value v, known = value_get_str(a->from->bundles, a->change->subject), patch;
    rc_t rc = json_text_read(&a->heap, NULL, a->change->content, &v, a->why);
    if (rc) return rc;
    a->manifest = value_get_str(v, S("manifest")), patch = value_get_str(v, S("patch"));
    value etag = value_get_str(v, S("etag"));
    a->etag = etag.kind == VALUE_STRING ? value_str(etag) : S("");
    if (value_defined(known) && !same_roots(value_get_str(known, S("manifest")), a->manifest)) {
        diag_set(a->why,
                 "delta bundle '%.*s' has wasm resolvers or manifest roots that are different from "
                 "those in the store",
                 STR(a->change->subject));
        return RC_INVALID;
    }
    str *roots = heap_alloc(&a->heap, ROOTS_MAX * sizeof *roots);
    if (!roots) return RC_NO_MEMORY;
    if ((rc = check_overlap(a, roots, roots_of(a->manifest, roots, ROOTS_MAX)))) return rc;
    if ((rc = take_patch(a, patch)) || (rc = place_in_system(a))) return rc;
    rc = document_change(a->from->data, a->changes, a->change_count, true, &a->next->data, a->why);
    if (rc == RC_NOT_FOUND) {
        diag_set(a->why, "storage_not_found_error: a path of the patch does not exist");
        rc = RC_INVALID;
    }
    if (rc) return rc;
    if (document_chain(a->next->data) > CHAIN_MAX) make_compact(a->next);
    value policies = value_get_str(known, S("modules"));
    keep_known(a, value_defined(policies) ? policies : value_empty_object());
    return RC_OK;
}

/* ---- All of it ---- */

static rc_t activate_snapshot(struct activation *a) {
    const struct policy_bundle *b = a->change->bundle;
    value old = manifest_of(a->from->bundles, a->change->subject), policies;
    str *roots = heap_alloc(&a->heap, 2 * ROOTS_MAX * sizeof *roots);
    if (!roots) return RC_NO_MEMORY;
    a->etag = a->change->etag;
    if (!b && !value_defined(old)) return RC_NOT_FOUND;
    a->manifest = b ? bundle_manifest_value(&a->heap, &b->manifest) : UNDEFINED;
    u32 count = b ? roots_of(a->manifest, roots, ROOTS_MAX) : 0;
    rc_t rc = check_overlap(a, roots, count);
    if (rc) return rc;
    a->erase = roots, a->erase_count = count + roots_of(old, roots + count, ROOTS_MAX);
    rc = take_sources(a, &policies);
    if (!rc) rc = take_data(a);
    if (!rc) keep_known(a, policies);
    return rc;
}

static void run(void *arg) {
    struct activation *a = arg;
    heap_open(&a->heap, POLICY_DATA_BYTES_MAX);
    a->rc = a->change->kind == REGO_BUNDLE_PATCH ? activate_delta(a) : activate_snapshot(a);
    if (!a->rc && (a->heap.exhausted || a->next->heap.exhausted)) a->rc = RC_NO_MEMORY;
    heap_close(&a->heap);
}

rc_t rego_activate(struct rego_state *next, const struct rego_state *from,
                   const struct rego_change *c, struct diag *why) {
    struct activation a = {.next = next, .from = from, .change = c, .why = why};
    rc_t rc = worker_run(run, &a);
    return rc ? rc : a.rc;
}

/* ---- Who may write where ---- */

static bool shares_way(str a, str b) { /* one is on the way to the other */
    return bundle_root_contains(a, b) || bundle_root_contains(b, a);
}

rc_t rego_path_is_free(const struct rego_state *s, str path, struct diag *why) {
    value bundles = s->bundles;
    while (path.len && path.ptr[0] == '/') path = str_skip(path, 1);
    while (path.len && path.ptr[path.len - 1] == '/') path.len--;
    if (!path.len && value_count(bundles)) {
        diag_set(why, "can't write to document root with bundle roots configured");
        return RC_INVALID;
    }
    for (u32 i = 0; i < value_count(bundles); i++) {
        str name = value_str(value_key_at(bundles, i));
        value roots = value_get_str(manifest_of(bundles, name), S("roots"));
        for (u32 k = 0; k < value_count(roots); k++) {
            str root = value_str(value_item(roots, k));
            if (!root.len) {
                diag_set(why, "all paths owned by bundle \"%.*s\"", STR(str_take(name, 100)));
                return RC_INVALID;
            }
            if (!shares_way(root, path)) continue;
            diag_set(why, "path %.*s is owned by bundle \"%.*s\"", STR(str_take(path, 120)),
                     STR(str_take(name, 100)));
            return RC_INVALID;
        }
    }
    return RC_OK;
}

rc_t rego_patch_is_free(const struct rego_state *s, struct heap *h, str subject, str patch,
                        struct diag *why) {
    struct diag unused;
    value list;
    if (json_text_read(h, NULL, patch, &list, &unused) || list.kind != VALUE_ARRAY)
        return RC_OK; /* whoever applies it says so */
    for (u32 i = 0; i < value_count(list); i++) {
        value path = value_get_str(value_item(list, i), S("path"));
        if (path.kind != VALUE_STRING) continue;
        str below = value_str(path);
        char *whole = heap_alloc(h, subject.len + 1 + below.len);
        if (!whole) return RC_NO_MEMORY;
        if (subject.len) memcpy(whole, subject.ptr, subject.len);
        if (below.len) memcpy(whole + subject.len, below.ptr, below.len);
        rc_t rc = rego_path_is_free(s, str_of(whole, subject.len + below.len), why);
        if (rc) return rc;
    }
    return RC_OK;
}
