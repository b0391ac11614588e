/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.c — from an archive to policies, data and what the manifest says of them.
 *
 *   bytes --gzip--> tar --> files --signature--> --manifest, patch--> modules, data --roots-->
 * bundle
 *
 * Signatures are looked at before anything in the files is believed. A bundle with a patch is a
 * delta: it changes the data of one that is there and has nothing else. Deltas are held to the
 * same signatures as all others: whoever may change the data may change what is decided. */
#include "app/bundle/bundle_impl.h"
#include "app/policy/lang/parse.h"
#include "app/policy/value/json_text.h"

void bundle_begin(struct policy_bundle *b, size_t bytes_max) {
    *b = (struct policy_bundle){
        .data = value_empty_object(),
        .patch = UNDEFINED,
        .signatures = UNDEFINED,
        .manifest = {.file_versions = UNDEFINED, .metadata = UNDEFINED, .wasm = UNDEFINED}};
    heap_open(&b->heap, 4 * (bytes_max ? bytes_max : (size_t)BUNDLE_BYTES_MAX) + MIB(4));
}

void bundle_drop(struct policy_bundle *b) {
    heap_close(&b->heap);
    buf_close(&b->unpacked);
    *b = (struct policy_bundle){0};
}

rc_t bundle_unpack(struct heap *h, str archive, size_t bytes_max, size_t file_bytes_max,
                   struct buf *unpacked, struct bundle_files *out, struct diag *why) {
    if (!bytes_max) bytes_max = BUNDLE_BYTES_MAX;
    buf_open(unpacked, bytes_max);
    rc_t rc = gzip_unpack(archive, unpacked, why);
    if (rc) return rc;
    return tar_list(h, buf_str(unpacked), file_bytes_max ? file_bytes_max : bytes_max, out, why);
}

static const struct bundle_file *file_named(const struct policy_bundle *b, str path) {
    for (u32 i = 0; i < b->files.count; i++)
        if (str_eq(b->files.items[i].path, path)) return &b->files.items[i];
    return NULL;
}

static rc_t read_json(struct policy_bundle *b, str text, const char *what, value *out,
                      struct diag *why) {
    struct diag place = {0};
    rc_t rc = json_text_read(&b->heap, NULL, text, out, &place);
    if (!rc && out->kind != VALUE_OBJECT) rc = bundle_fail(&place, RC_INVALID, "not an object");
    if (rc == RC_INVALID)
        diag_set(why, "bundle load failed on %s decode: line %d, column %d: %s", what, place.line,
                 place.column, place.text);
    return rc;
}

static rc_t read_patch(struct policy_bundle *b, struct diag *why) {
    value v = UNDEFINED;
    for (u32 i = 0; i < b->files.count; i++) {
        if (!str_eq(path_base(b->files.items[i].path), S("patch.json"))) continue;
        rc_t rc = read_json(b, b->files.items[i].bytes, "patch", &v, why);
        if (rc) return rc;
    }
    b->patch = value_get_str(v, S("data"));
    bool list = b->patch.kind == VALUE_ARRAY;
    if (!list && value_defined(b->patch) && b->patch.kind != VALUE_NULL)
        return bundle_fail(why, RC_INVALID, "bundle load failed on patch decode: data: no array");
    for (u32 i = 0; list && i < value_count(b->patch); i++) {
        value op = value_item(b->patch, i);
        if (value_get_str(op, S("op")).kind != VALUE_STRING ||
            value_get_str(op, S("path")).kind != VALUE_STRING)
            return bundle_fail(why, RC_INVALID,
                               "bundle load failed on patch decode: op and path are texts");
    }
    b->is_delta = list && value_count(b->patch) > 0;
    return RC_OK;
}

static value package_of(struct policy_bundle *b, const struct bundle_module *m) {
    struct parse_options o = {.version = m->version, .skip_rules = true};
    struct policy_errors errors;
    struct ast_module *module;
    struct value_builder path;
    policy_errors_open(&errors, &b->heap, 1);
    if (parse_module(&b->heap, m->name, m->text, &o, &module, &errors)) return UNDEFINED;
    value_builder_open(&path, &b->heap, VALUE_ARRAY);
    for (u32 i = 1; i < module->package->count; i++)
        value_builder_add(&path, module->package->terms[i]->scalar);
    return value_builder_close(&path);
}

static rc_t read_modules(struct policy_bundle *b, const struct bundle_options *o,
                         struct diag *why) {
    b->modules = heap_alloc(&b->heap, (b->files.count + 1) * sizeof *b->modules);
    if (!b->modules) return RC_NO_MEMORY;
    for (u32 i = 0; i < b->files.count; i++) {
        const struct bundle_file *f = &b->files.items[i];
        if (!str_ends(f->path, S(".rego"))) continue;
        struct bundle_module m = {.path = f->path, .name = f->name, .text = f->bytes};
        char *rooted = heap_alloc(&b->heap, f->path.len + 1);
        if (!rooted) return RC_NO_MEMORY;
        rooted[0] = '/';
        memcpy(rooted + 1, f->path.ptr, f->path.len);
        rc_t rc =
            manifest_version_of(b, str_of(rooted, f->path.len + 1), o->version, &m.version, why);
        if (rc) return rc;
        m.package = package_of(b, &m);
        if (b->heap.exhausted) return RC_NO_MEMORY;
        b->modules[b->module_count++] = m;
    }
    return RC_OK;
}

static rc_t check_delta(const struct policy_bundle *b, struct diag *why) {
    if (!b->is_delta) return RC_OK;
    if (value_count(b->data))
        return bundle_fail(why, RC_INVALID,
                           "delta bundle expected to contain only patch file but data files found");
    if (b->module_count)
        return bundle_fail(
            why, RC_INVALID,
            "delta bundle expected to contain only patch file but policy files found");
    return RC_OK;
}

rc_t bundle_read_files(struct policy_bundle *b, const struct bundle_options *o, struct diag *why) {
    const struct bundle_file *manifest = file_named(b, S(".manifest")),
                             *signatures = file_named(b, S(".signatures.json"));
    rc_t rc = RC_OK;
    if (signatures && !o->skip_verify)
        rc = read_json(b, signatures->bytes, "signatures", &b->signatures, why);
    if (!rc) rc = verify_files(b, o, why);
    if (!rc && manifest) rc = manifest_read(&b->heap, manifest->bytes, &b->manifest, why);
    if (!rc) rc = manifest_defaults(&b->heap, &b->manifest);
    if (!rc) rc = read_patch(b, why);
    if (!rc) rc = read_modules(b, o, why);
    if (!rc) rc = data_read(b, why);
    if (!rc) rc = check_delta(b, why);
    if (!rc) rc = manifest_check(b, why);
    if (!rc && b->heap.exhausted) rc = RC_NO_MEMORY;
    return rc;
}

rc_t bundle_read(struct policy_bundle *out, str archive, const struct bundle_options *o,
                 struct diag *why) {
    bundle_begin(out, o->bytes_max);
    rc_t rc = bundle_unpack(&out->heap, archive, o->bytes_max, o->file_bytes_max, &out->unpacked,
                            &out->files, why);
    return rc ? rc : bundle_read_files(out, o, why);
}

rc_t bundle_pack(const struct bundle_files *files, struct buf *out) {
    struct buf plain;
    buf_open(&plain, (size_t)UINT32_MAX);
    rc_t rc = tar_write(files, &plain);
    if (!rc) rc = gzip_pack(buf_str(&plain), out);
    buf_close(&plain);
    return rc;
}
