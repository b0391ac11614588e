/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.c — .manifest: which revision this is, what of `data` belongs to it, how its policies
 * are to be read; and whether the bundle keeps to that.
 *
 *   {"revision": "7", "roots": ["a", "b/c"], "rego_version": 1,
 *    "file_rego_versions": {"/a/old.rego": 0}, "metadata": {...}, "wasm": [...]} */
#include "app/bundle/bundle_impl.h"
#include "app/policy/builtin/glob.h"
#include "app/policy/value/json_text.h"
#include "app/policy/value/number.h"

/* ---- Reading ---- */

static const char *json_kind(value v) {
    return v.kind == VALUE_BOOLEAN ? "bool" : value_kind_name(v.kind);
}

static rc_t wrong_kind(struct diag *why, const char *member, const char *wanted, value got) {
    diag_set(why,
             "bundle load failed on manifest decode: json: cannot unmarshal %s into Go struct "
             "field Manifest.%s of type %s",
             json_kind(got), member, wanted);
    return RC_INVALID;
}

static str trim_slashes(str s) {
    while (s.len && s.ptr[0] == '/') s = str_skip(s, 1);
    while (s.len && s.ptr[s.len - 1] == '/') s.len--;
    return s;
}

static rc_t read_roots(struct heap *h, value list, struct bundle_manifest *m, struct diag *why) {
    if (!value_defined(list) || list.kind == VALUE_NULL) return RC_OK;
    if (list.kind != VALUE_ARRAY) return wrong_kind(why, "roots", "[]string", list);
    u32 n = value_count(list);
    if (n > BUNDLE_ROOTS_MAX) return bundle_fail(why, RC_LIMIT, "a manifest with too many roots");
    m->roots = heap_alloc(h, (n + 1) * sizeof *m->roots);
    if (!m->roots) return RC_NO_MEMORY;
    for (u32 i = 0; i < n; i++) {
        value root = value_item(list, i);
        if (root.kind != VALUE_STRING) return wrong_kind(why, "roots", "string", root);
        m->roots[m->root_count++] = trim_slashes(value_str(root));
    }
    return RC_OK;
}

static rc_t read_version(value v, struct bundle_manifest *m, struct diag *why) {
    s64 n = 0;
    if (!value_defined(v) || v.kind == VALUE_NULL) return RC_OK;
    if (v.kind != VALUE_NUMBER || number_to_s64(v, &n))
        return wrong_kind(why, "rego_version", "int", v);
    if (n != 0 && n != 1) return RC_OK; /* as the reference: as if it were not there */
    m->has_version = true, m->version = n ? REGO_V1 : REGO_V0;
    return RC_OK;
}

static rc_t read_file_versions(value v, struct bundle_manifest *m, struct diag *why) {
    s64 n;
    if (!value_defined(v) || v.kind == VALUE_NULL) return RC_OK;
    if (v.kind != VALUE_OBJECT) return wrong_kind(why, "file_rego_versions", "map[string]int", v);
    for (u32 i = 0; i < value_count(v); i++)
        if (value_value_at(v, i).kind != VALUE_NUMBER || number_to_s64(value_value_at(v, i), &n))
            return wrong_kind(why, "file_rego_versions", "int", value_value_at(v, i));
    m->file_versions = v;
    return RC_OK;
}

static rc_t read_member(value manifest, const char *name, enum value_kind kind, const char *wanted,
                        value *out, struct diag *why) {
    value v = value_get_str(manifest, str_from_c(name));
    *out = UNDEFINED;
    if (!value_defined(v) || v.kind == VALUE_NULL) return RC_OK;
    if (v.kind != kind) return wrong_kind(why, name, wanted, v);
    *out = v;
    return RC_OK;
}

rc_t manifest_read(struct heap *h, str text, struct bundle_manifest *out, struct diag *why) {
    struct diag place = {0};
    value v, revision;
    *out = (struct bundle_manifest){
        .file_versions = UNDEFINED, .metadata = UNDEFINED, .wasm = UNDEFINED};
    rc_t rc = json_text_read(h, NULL, text, &v, &place);
    if (rc) {
        diag_set(why, "bundle load failed on manifest decode: line %d, column %d: %s", place.line,
                 place.column, place.text);
        return rc;
    }
    if (v.kind != VALUE_OBJECT) {
        diag_set(why,
                 "bundle load failed on manifest decode: json: cannot unmarshal %s into Go value "
                 "of type bundle.Manifest",
                 json_kind(v));
        return RC_INVALID;
    }
    rc = read_member(v, "revision", VALUE_STRING, "string", &revision, why);
    if (!rc && value_defined(revision)) out->revision = value_str(revision);
    if (!rc) rc = read_roots(h, value_get_str(v, S("roots")), out, why);
    if (!rc) rc = read_version(value_get_str(v, S("rego_version")), out, why);
    if (!rc) rc = read_file_versions(value_get_str(v, S("file_rego_versions")), out, why);
    if (!rc)
        rc = read_member(v, "metadata", VALUE_OBJECT, "map[string]interface {}", &out->metadata,
                         why);
    if (!rc) rc = read_member(v, "wasm", VALUE_ARRAY, "[]bundle.WasmResolver", &out->wasm, why);
    return rc;
}

rc_t manifest_defaults(struct heap *h, struct bundle_manifest *m) {
    if (m->roots) return RC_OK;
    m->roots = heap_alloc(h, sizeof *m->roots);
    if (!m->roots) return RC_NO_MEMORY;
    m->roots[0] = S(""), m->root_count = 1;
    return RC_OK;
}

rc_t manifest_version_of(struct policy_bundle *b, str path, enum rego_version otherwise,
                         enum rego_version *out, struct diag *why) {
    value versions = b->manifest.file_versions;
    struct heap *h = &b->heap;
    *out = b->manifest.has_version ? b->manifest.version : otherwise;
    for (u32 i = 0; i < value_count(versions); i++) {
        struct heap_mark mark = heap_mark(h);
        str pattern = value_str(value_key_at(versions, i));
        bool hit = false;
        s64 n = 0;
        struct diag words = {0};
        rc_t rc = glob_matches(h, pattern, path, &hit, &words);
        heap_release(h, mark);
        if (rc) {
            diag_set(why, "failed to compile glob pattern %.*s: %s", STR(str_take(pattern, 80)),
                     words.text);
            return rc;
        }
        if (!hit) continue;
        rc = number_to_s64(value_value_at(versions, i), &n);
        if (rc || n < 0 || n > 1) {
            diag_set(why, "unknown bundle rego-version %lld for file '%.*s'", (long long)n,
                     STR(str_take(path, 120)));
            return RC_INVALID;
        }
        *out = n ? REGO_V1 : REGO_V0;
        break;
    }
    return RC_OK;
}

/* ---- Checking ---- */

/* "manifest roots [a b] do not permit data at path '/c'": long lists of roots are cut. */
static rc_t not_permitted(struct policy_bundle *b, struct diag *why, const char *what, str which,
                          const char *where, str in) {
    struct buf roots;
    buf_open(&roots, MIB(1));
    bundle_roots_write(&roots, b->manifest.roots, b->manifest.root_count);
    diag_set(why, "manifest roots %.*s do not permit %s'%.*s'%s%.*s",
             STR(str_take(buf_str(&roots), 90)), what, STR(str_take(which, 60)), where,
             STR(str_take(in, 60)));
    buf_close(&roots);
    return RC_INVALID;
}

static rc_t check_overlap(const struct bundle_manifest *m, struct diag *why) {
    for (u32 i = 0; i < m->root_count; i++)
        for (u32 k = i + 1; k < m->root_count; k++)
            if (bundle_roots_overlap(m->roots[i], m->roots[k])) {
                diag_set(why, "manifest has overlapped roots: '%.*s' and '%.*s'",
                         STR(str_take(m->roots[i], 90)), STR(str_take(m->roots[k], 90)));
                return RC_INVALID;
            }
    return RC_OK;
}

static str quoted(struct heap *h, str name) {
    char *to = heap_alloc(h, name.len + 2);
    if (!to) return name;
    to[0] = to[name.len + 1] = '\'';
    memcpy(to + 1, name.ptr, name.len);
    return str_of(to, name.len + 2);
}

static str text_of_package(struct heap *h, value package) {
    struct buf b;
    buf_open(&b, 256);
    (void)buf_add(&b, S("package "));
    for (u32 i = 0; i < value_count(package); i++) {
        str part = value_str(value_item(package, i));
        bool plain = part.len && !(part.ptr[0] >= '0' && part.ptr[0] <= '9');
        for (size_t k = 0; k < part.len; k++) {
            char c = part.ptr[k];
            plain = plain && (c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                              (c >= 'A' && c <= 'Z'));
        }
        if (plain)
            (void)buf_printf(&b, "%s%.*s", i ? "." : "", STR(part));
        else
            (void)buf_printf(&b, "[\"%.*s\"]", STR(part));
    }
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v.kind == VALUE_STRING ? value_str(v) : S("package");
}

static rc_t check_modules(struct policy_bundle *b, struct diag *why) {
    const struct bundle_manifest *m = &b->manifest;
    for (u32 i = 0; i < b->module_count; i++) {
        value package = b->modules[i].package;
        if (!value_defined(package)) continue; /* compiling will say why */
        if (bundle_roots_contain(m->roots, m->root_count,
                                 bundle_path_of_package(&b->heap, package)))
            continue;
        return not_permitted(b, why, "", text_of_package(&b->heap, package), " in module ",
                             quoted(&b->heap, b->modules[i].name));
    }
    return b->heap.exhausted ? RC_NO_MEMORY : RC_OK;
}

/* Whether a root lies below this path, so that the path is on the way to what is allowed. */
static bool leads_to_root(const struct bundle_manifest *m, str path) {
    for (u32 i = 0; i < m->root_count; i++)
        if (bundle_root_contains(path, m->roots[i])) return true;
    return false;
}

static rc_t check_data(struct policy_bundle *b, value v, str path, struct diag *why) {
    const struct bundle_manifest *m = &b->manifest;
    if (bundle_roots_contain(m->roots, m->root_count, path)) return RC_OK;
    if (v.kind != VALUE_OBJECT || !leads_to_root(m, path)) {
        char *text = heap_alloc(&b->heap, path.len + 1);
        if (!text) return RC_NO_MEMORY;
        text[0] = '/';
        if (path.len) memcpy(text + 1, path.ptr, path.len);
        return not_permitted(b, why, "data at path ", str_of(text, path.len + 1), "",
                             S(" (hint: check bundle directory structure)"));
    }
    for (u32 i = 0; i < value_count(v); i++) {
        str key = value_str(value_key_at(v, i));
        struct heap_mark mark = heap_mark(&b->heap);
        char *below = heap_alloc(&b->heap, path.len + 1 + key.len);
        size_t n = path.len;
        if (!below) return RC_NO_MEMORY;
        if (n) memcpy(below, path.ptr, n), below[n++] = '/';
        memcpy(below + n, key.ptr, key.len);
        rc_t rc = check_data(b, value_value_at(v, i), str_of(below, n + key.len), why);
        heap_release(&b->heap, mark);
        if (rc) return rc;
    }
    return RC_OK;
}

static rc_t check_patch(struct policy_bundle *b, struct diag *why) {
    const struct bundle_manifest *m = &b->manifest;
    for (u32 i = 0; i < value_count(b->patch); i++) {
        value path = value_get_str(value_item(b->patch, i), S("path"));
        str text = path.kind == VALUE_STRING ? trim_slashes(value_str(path)) : S("");
        if (!bundle_roots_contain(m->roots, m->root_count, text))
            return not_permitted(b, why, "data patch at path ", text, "", S(""));
    }
    return RC_OK;
}

rc_t manifest_check(struct policy_bundle *b, struct diag *why) {
    rc_t rc = check_overlap(&b->manifest, why);
    if (!rc) rc = check_modules(b, why);
    if (!rc) rc = check_patch(b, why);
    return rc ? rc : check_data(b, b->data, S(""), why);
}

/* ---- Writing: members in the reference's order ---- */

value bundle_manifest_value(struct heap *h, const struct bundle_manifest *m) {
    struct value_builder b, roots;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_open(&roots, h, VALUE_ARRAY);
    for (u32 i = 0; i < m->root_count; i++) value_builder_add(&roots, value_string(h, m->roots[i]));
    value_builder_replace(&b, value_string_c(h, "revision"), value_string(h, m->revision));
    value_builder_replace(&b, value_string_c(h, "roots"), value_builder_close(&roots));
    if (value_count(m->wasm)) value_builder_replace(&b, value_string_c(h, "wasm"), m->wasm);
    if (m->has_version)
        value_builder_replace(&b, value_string_c(h, "rego_version"),
                              value_integer(m->version == REGO_V1));
    if (value_count(m->file_versions))
        value_builder_replace(&b, value_string_c(h, "file_rego_versions"), m->file_versions);
    if (value_count(m->metadata))
        value_builder_replace(&b, value_string_c(h, "metadata"), m->metadata);
    return value_builder_close(&b);
}

void bundle_manifest_write(struct buf *to, struct heap *h, const struct bundle_manifest *m) {
    static const char *const members[] = {"revision",           "roots",   "wasm", "rego_version",
                                          "file_rego_versions", "metadata"};
    value v = bundle_manifest_value(h, m);
    for (u32 i = 0; i < ARRAY_LEN(members); i++) {
        value member = value_get_str(v, str_from_c(members[i]));
        if (!value_defined(member)) continue;
        (void)buf_printf(to, "%s\"%s\":", i ? "," : "{", members[i]);
        json_text_write(to, member, JSON_TEXT_ESCAPE_HTML);
    }
    (void)buf_add(to, S("}")); /* a failure stays in the buffer */
}
