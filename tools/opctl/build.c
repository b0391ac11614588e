/* SPDX-License-Identifier: Apache-2.0 */
/* build.c — opctl policy build: policies and data from files, folders or bundles in one bundle.
 *
 *   paths --load--> one bundle --compile--> no errors --format, sign, pack--> bundle.tar.gz
 *
 * What is built compiles; each policy is written in the one layout. Level 0 is as written; the
 * levels above evaluate in advance what is known (optimize.c). Targets other than Rego are other
 * machines and are refused: a bundle that does not do what was asked for is worse than none.
 * Errors go to stdout with status 1, as the reference's command does it. */
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/lang/format.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/build.h"

enum { ARCHIVE_BYTES_MAX = 0x7fffffff };

static struct { FILE *to; const char *before; } telling; /* NULL: stdout, as `build` does */

void build_tell(FILE *to, const char *before) {
    telling.to = to, telling.before = before;
}

bool build_error(const char *before, const char *what, const char *after) {
    fprintf(telling.to ? telling.to : stdout, "%s%s%s%s\n", telling.to ? telling.before : "error: ",
            before, what, after);
    return false;
}

bool build_errors(const struct policy_errors *errors) {
    struct buf b;
    buf_open(&b, MIB(16));
    policy_errors_write(&b, errors);
    (void)buf_add_byte(&b, 0);
    (void)build_error("", b.len ? b.ptr : "", "");
    buf_close(&b);
    return false;
}

/* ---- Loading ---- */

static str clean_name(struct heap *h, str path) { /* "./a//b" to "a/b"; ".." at its begin goes */
    char *to = heap_alloc(h, path.len + 1);
    size_t n = 0;
    if (!to) return path;
    for (str rest = path, part; str_split(&rest, '/', &part);) {
        if (!part.len || str_eq(part, S(".")) || str_eq(part, S(".."))) continue;
        if (n) to[n++] = '/';
        memcpy(to + n, part.ptr, part.len);
        n += part.len;
    }
    return str_of(to, n);
}

bool build_add_module(struct build *b, str name, str text, enum rego_version version) {
    struct build_module *more = realloc(b->modules, (b->module_count + 1) * sizeof *more);
    if (!more) return build_error("", "out of memory", "");
    b->modules = more;
    b->modules[b->module_count++] =
        (struct build_module){clean_name(&b->heap, name), text, version};
    return true;
}

static int by_name(const void *a, const void *b) {
    return str_cmp(((const struct policy_source *)a)->name,
                   ((const struct policy_source *)b)->name);
}

static bool load_files(struct build *b) {
    static str everything = {"", 0};
    struct stat st;
    for (u32 i = 0; i < b->paths.count; i++) {
        char manifest[4096];
        snprintf(manifest, sizeof manifest, "%s/.manifest", b->paths.items[i]);
        if (!stat(manifest, &st))
            fprintf(stderr,
                    "Warning: .manifest file found in \"%s\" but -b flag not specified. Manifest "
                    "will be ignored.\n",
                    b->paths.items[i]);
        if (!bundle_add(&b->files, b->paths.items[i]))
            return build_error("load error: ", b->paths.items[i], "");
    }
    qsort(b->files.sources, b->files.count, sizeof *b->files.sources, by_name);
    b->data = b->files.data;
    b->manifest.roots = &everything, b->manifest.root_count = 1;
    b->manifest.has_version = true, b->manifest.version = b->version;
    for (u32 i = 0; i < b->files.count; i++)
        if (!build_add_module(b, b->files.sources[i].name, b->files.sources[i].text, b->version))
            return false;
    return true;
}

static bool read_packages(struct build *b) {
    struct bundle_key key = {.id = str_from_c(b->key_id),
                             .algorithm = str_from_c(b->algorithm),
                             .scope = str_from_c(b->scope)};
    str exclude[BUILD_LIST_MAX];
    struct bundle_verification keys = {.keys = &key,
                                       .key_count = 1,
                                       .key_id = key.id,
                                       .scope = key.scope,
                                       .exclude = exclude,
                                       .exclude_count = b->exclude.count};
    struct package_options o = {.read.version = b->version,
                                .ignore = b->ignore.items,
                                .ignore_count = b->ignore.count,
                                .follow = b->follow};
    struct stat st;
    bool ok = true;
    str from_file = {0};
    for (u32 i = 0; i < b->exclude.count; i++) exclude[i] = str_from_c(b->exclude.items[i]);
    if (b->verify_key) {
        key.key = str_from_c(b->verify_key);
        if (!stat(b->verify_key, &st)) {
            if (!file_read(b->verify_key, &from_file)) return build_error("", b->verify_key, "");
            key.key = from_file;
        }
        o.read.verification = &keys;
    }
    b->packages = calloc(b->paths.count, sizeof *b->packages);
    for (u32 i = 0; ok && i < b->paths.count; i++) {
        struct diag why = {0};
        rc_t rc = package_open(&b->packages[i], b->paths.items[i], &o, &why);
        if (rc) {
            printf("error: load error: bundle %s: %s\n", b->packages[i].path,
                   why.text[0] ? why.text : rc_name(rc));
            ok = false;
        } else if (value_count(b->packages[i].content.manifest.wasm))
            ok = build_error("", b->paths.items[i],
                             ": the bundle has policies as WebAssembly, which are not taken");
        else if (b->packages[i].content.is_delta)
            ok = build_error("", b->paths.items[i], ": a delta cannot be built into a bundle");
    }
    free((char *)from_file.ptr);
    return ok;
}

/* `from`'s documents below its roots beside those of `to`; roots that overlap are found later. */
static value merge(struct heap *h, value to, value from) {
    struct value_builder all;
    if (to.kind != VALUE_OBJECT || from.kind != VALUE_OBJECT) return from;
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(to); i++)
        value_builder_replace(&all, value_key_at(to, i), value_value_at(to, i));
    for (u32 i = 0; i < value_count(from); i++) {
        value key = value_key_at(from, i), mine = value_get(to, key),
              theirs = value_value_at(from, i);
        value_builder_replace(&all, key, value_defined(mine) ? merge(h, mine, theirs) : theirs);
    }
    return value_builder_close(&all);
}

/* A policy's version is told by file where it is not the bundle's. */
static void note_versions(struct build *b) {
    struct value_builder versions;
    value_builder_open(&versions, &b->heap, VALUE_OBJECT);
    for (u32 i = 0; i < b->module_count; i++) {
        char name[4096];
        if (b->modules[i].version == b->manifest.version) continue;
        snprintf(name, sizeof name, "/%.*s", STR(b->modules[i].url));
        value_builder_replace(&versions, value_string_c(&b->heap, name),
                              value_integer(b->modules[i].version == REGO_V1));
    }
    b->manifest.file_versions = value_builder_close(&versions);
}

/* One bundle keeps its manifest; of several only roots and versions remain. */
static bool join_packages(struct build *b) {
    struct bundle_manifest *all = &b->manifest;
    bool one = b->paths.count == 1;
    u32 roots = 0;
    for (u32 i = 0; i < b->paths.count; i++) roots += b->packages[i].content.manifest.root_count;
    if (one)
        *all = b->packages[0].content.manifest;
    else
        all->roots = heap_alloc(&b->heap, (roots + 1) * sizeof *all->roots), all->root_count = 0;
    b->data = value_empty_object();
    for (u32 i = 0; i < b->paths.count; i++) {
        struct policy_bundle *content = &b->packages[i].content;
        for (u32 k = 0; !one && k < content->manifest.root_count; k++) {
            for (u32 r = 0; r < all->root_count; r++)
                if (bundle_roots_overlap(all->roots[r], content->manifest.roots[k])) {
                    printf("error: bundle merge failed: manifest has overlapped roots: '%.*s' and "
                           "'%.*s'\n",
                           STR(all->roots[r]), STR(content->manifest.roots[k]));
                    return false;
                }
            all->roots[all->root_count++] = content->manifest.roots[k];
        }
        b->data = merge(&b->heap, b->data, content->data);
        for (u32 k = 0; k < content->module_count; k++) {
            struct bundle_module *m = &content->modules[k];
            struct bundle_file f = {.path = m->path, .name = m->name};
            char url[8192];
            /* An archive's policies are put below its name, as a folder's are. */
            if (b->packages[i].is_folder)
                snprintf(url, sizeof url, "%.*s", STR(package_file_name(&b->packages[i], &f)));
            else
                snprintf(url, sizeof url, "%s/%.*s", b->packages[i].path, STR(m->path));
            value name = value_string_c(&b->heap, url);
            if (!build_add_module(b, value_str(name), m->text, m->version)) return false;
        }
    }
    if (!one || !all->has_version) all->has_version = true, all->version = b->version;
    return true;
}

/* ---- Checking, formatting ---- */

bool build_compile(struct build *b, struct policy_program **out) {
    struct policy_load_options load = {.parse.version = b->version, .parse.annotations = true};
    struct policy_errors errors;
    struct policy_source *sources = heap_alloc(&b->heap, (b->module_count + 1) * sizeof *sources);
    enum rego_version *versions = heap_alloc(&b->heap, (b->module_count + 1) * sizeof *versions);
    if (!sources || !versions) return build_error("", "out of memory", "");
    policy_errors_open(&errors, &b->heap, 10);
    load.compile.data = b->data;
    if (b->capabilities &&
        !capabilities_load(&b->heap, b->capabilities, &load.compile.capabilities))
        return build_error("no such file or capabilities version found: ", b->capabilities, "");
    for (u32 i = 0; i < b->module_count; i++) {
        sources[i] = (struct policy_source){b->modules[i].url, b->modules[i].text};
        versions[i] = b->modules[i].version;
    }
    load.versions = versions;
    return !policy_load(sources, b->module_count, &load, out, &errors) || build_errors(&errors);
}

static bool compiles(struct build *b) {
    struct policy_program *program;
    if (b->level > 0) return build_optimize(b);
    if (!build_compile(b, &program)) return false;
    policy_drop(program);
    return true;
}

static bool format_modules(struct build *b) {
    for (u32 i = 0; i < b->module_count; i++) {
        struct build_module *m = &b->modules[i];
        struct parse_options parse = {.version = m->version};
        struct format_options o = {.version = m->version};
        struct policy_errors errors;
        struct buf text;
        policy_errors_open(&errors, &b->heap, 10);
        buf_open(&text, (size_t)1 << 30);
        rc_t rc = format_source(&b->heap, m->url, m->text, &parse, &o, &text, &errors);
        value v = value_string(&b->heap, buf_str(&text));
        buf_close(&text);
        if (rc) return build_errors(&errors);
        m->text = value_str(v);
    }
    return true;
}

/* ---- Signing, writing ---- */

static str json_line(struct heap *h, value v) {
    struct buf b;
    buf_open(&b, ARCHIVE_BYTES_MAX);
    json_text_write(&b, v, JSON_TEXT_ESCAPE_HTML);
    (void)!!buf_add(&b, S("\n"));
    v = value_string(h, buf_str(&b));
    buf_close(&b);
    return value_str(v);
}

static bool hash_one(struct build *b, struct bundle_hash *out, str name, str bytes) {
    u8 hash[BUNDLE_HASH_MAX];
    size_t len;
    struct diag why = {0};
    out->name = name;
    if (bundle_hash_file(&b->heap, name, bytes, S("SHA-256"), hash, &len, &why) ||
        str_hex(hash, len, out->hex, sizeof out->hex))
        return build_error("", why.text, "");
    return true;
}

static bool sign(struct build *b, const struct bundle_files *files) {
    struct diag why = {0};
    struct stat st;
    struct bundle_hash *hashes = calloc(files->count, sizeof *hashes);
    value claims = UNDEFINED;
    str key = str_from_c(b->signing_key), from_file = {0};
    bool ok = hashes != NULL;
    u32 n = 0;
    /* The reference lists policies first, then data and manifest. */
    for (u32 pass = 0; ok && pass < 2; pass++)
        for (u32 i = 0; ok && i < files->count; i++)
            if (str_ends(files->items[i].path, S(".rego")) == !pass)
                ok = hash_one(b, &hashes[n++], files->items[i].path, files->items[i].bytes);
    if (ok && b->claims)
        ok = value_of_file(&b->heap, b->claims, &claims) ||
             build_error("", b->claims, ": cannot be read");
    if (ok && strncmp(b->signing_key, "-----BEGIN", 10) && !stat(b->signing_key, &st)) {
        ok = file_read(b->signing_key, &from_file);
        key = from_file;
    }
    str id = b->claims ? S("") : str_from_c(b->key_id);
    if (ok && bundle_sign(&b->heap, hashes, n, str_from_c(b->algorithm), key, claims, id,
                          &b->signature, &why))
        ok = build_error("", why.text, "");
    free((char *)from_file.ptr);
    free(hashes);
    return ok;
}

static void put(struct build *b, struct bundle_files *files, str path, str bytes) {
    char *name = heap_alloc(&b->heap, path.len + 1);
    if (!name) return;
    name[0] = '/';
    memcpy(name + 1, path.ptr, path.len);
    struct bundle_file f = {.path = path, .name = str_of(name, path.len + 1), .bytes = bytes};
    rc_t rc = bundle_files_add(&b->heap, files, &f);
    if (rc) b->heap.exhausted = true;
}

static bool write_bundle(struct build *b) {
    struct bundle_files files = {0}, signed_files = {0};
    struct buf manifest, archive, signature;
    buf_open(&manifest, MIB(64)), buf_open(&archive, ARCHIVE_BYTES_MAX),
        buf_open(&signature, MIB(64));
    bundle_manifest_write(&manifest, &b->heap, &b->manifest);
    (void)!!buf_add(&manifest, S("\n"));
    put(b, &files, S("data.json"), json_line(&b->heap, b->data));
    for (u32 i = 0; i < b->module_count; i++) put(b, &files, b->modules[i].url, b->modules[i].text);
    signed_files = files;
    put(b, &signed_files, S(".manifest"), buf_str(&manifest));
    bool ok = !b->heap.exhausted && !manifest.failed;
    if (ok && b->signing_key) {
        ok = sign(b, &signed_files);
        (void)buf_printf(&signature,
                         "{\n \"plugin\": \"_default\",\n \"signatures\": [\n  \"%.*s\"\n ]\n}",
                         STR(b->signature));
        put(b, &files, S(".signatures.json"), buf_str(&signature));
    }
    put(b, &files, S(".manifest"), buf_str(&manifest));
    ok = ok && (!bundle_pack(&files, &archive) || build_error("", "the bundle is too large", ""));
    FILE *out = ok ? fopen(b->output, "wb") : NULL;
    if (ok && !out) ok = build_error("open ", b->output, ": cannot be written");
    if (out) {
        bool whole = fwrite(archive.ptr, 1, archive.len, out) == archive.len;
        if (fclose(out) || !whole) ok = build_error("write ", b->output, ": failed");
    }
    buf_close(&manifest), buf_close(&archive), buf_close(&signature);
    return ok;
}

/* ---- The verb ---- */

static bool may_build(struct build *b) {
    if (!b->signing_key && (b->claims || b->plugin))
        return build_error(
            "",
            "specify the secret (HMAC) or path of the PEM file containing the private key "
            "(RSA and ECDSA)",
            "");
    if ((b->verify_key || b->signing_key) && !b->as_bundles)
        return build_error(
            "", "enable bundle mode (ie. --bundle) to verify or sign bundle files or directories",
            "");
    if (b->plugin && strcmp(b->plugin, "_default"))
        return build_error("no signer exists under id ", b->plugin, "");
    if (strcmp(b->target, "rego") && strcmp(b->target, "wasm") && strcmp(b->target, "plan"))
        return build_error("invalid target \"", b->target, "\"");
    if (strcmp(b->target, "rego"))
        return build_error("target ", b->target, " is not built: only rego");
    return true;
}

static bool build(struct build *b) {
    if (!may_build(b)) return false;
    if (b->as_bundles ? !read_packages(b) || !join_packages(b) : !load_files(b)) return false;
    if (!compiles(b)) return false;
    note_versions(b);
    if (b->revision) b->manifest.revision = str_from_c(b->revision);
    return format_modules(b) && write_bundle(b);
}

static bool add_names(struct build_list *l, char *names) { /* "a,b" */
    for (char *at = strtok(names, ","); at; at = strtok(NULL, ",")) {
        if (l->count == BUILD_LIST_MAX) return false;
        l->items[l->count++] = at;
    }
    return true;
}

enum {
    BUNDLE,
    OUTPUT,
    REVISION,
    OPTIMIZE,
    ENTRYPOINT,
    PRUNE,
    DEBUG,
    TARGET,
    NAMESPACE,
    FOLLOW,
    PRINT,
    IGNORE,
    CAPABILITIES,
    VERIFY_KEY,
    KEY_ID,
    ALGORITHM,
    SCOPE,
    EXCLUDE,
    SIGNING_KEY,
    PLUGIN,
    CLAIMS,
    V0,
    V1
};
static const struct option_spec specs[] = {
    [BUNDLE] = {"bundle", 'b', true, "the paths are bundles: archives or folders laid out as one"},
    [OUTPUT] = {"output", 'o', false, "the file to write (default bundle.tar.gz)"},
    [REVISION] = {"revision", 'r', false, "the revision in the manifest"},
    [OPTIMIZE] = {"optimize", 'O', false,
                  "0 (default): as written; 1, 2: entrypoints evaluated in advance"},
    [ENTRYPOINT] = {"entrypoint", 'e', false,
                    "a/b/rule that will be asked for; may be given more than once"},
    [PRUNE] = {"prune-unused", 0, true, "of other targets than rego"},
    [DEBUG] = {"debug", 0, true, "accepted"},
    [TARGET] = {"target", 't', false, "rego"},
    [NAMESPACE] = {"partial-namespace", 0, false, "of optimized bundles"},
    [FOLLOW] = {"follow-symlinks", 0, true, "take files behind links, too"},
    [PRINT] = {"wasm-include-print", 0, true, "of target wasm"},
    [IGNORE] = {"ignore", 0, false, "names of files and folders to leave out, comma-separated"},
    [CAPABILITIES] = {"capabilities", 0, false, "a file of what policies may use"},
    [VERIFY_KEY] = {"verification-key", 0, false, "the secret, or the PEM file of the public key"},
    [KEY_ID] = {"verification-key-id", 0, false, "its name (default \"default\")"},
    [ALGORITHM] = {"signing-alg", 0, false, "default RS256"},
    [SCOPE] = {"scope", 0, false, "what signatures must be for"},
    [EXCLUDE] = {"exclude-files-verify", 0, false,
                 "names of files that need no signature, comma-separated"},
    [SIGNING_KEY] = {"signing-key", 0, false, "the secret, or the PEM file of the private key"},
    [PLUGIN] = {"signing-plugin", 0, false, "_default"},
    [CLAIMS] = {"claims-file", 0, false, "JSON with further claims of the signature"},
    [V0] = {"v0-compatible", 0, true, "policies are Rego v0"},
    [V1] = {"v1-compatible", 0, true, "policies are Rego v1, as they are anyway"},
    {"help", 'h', true, "this text"},
};

static bool take_option(struct build *b, int o, const char *v) {
    bool on = !v || strcmp(v, "false");
    const char **texts[] = {[OUTPUT] = &b->output,
                            [NAMESPACE] = &b->name_space,
                            [REVISION] = &b->revision,
                            [TARGET] = &b->target,
                            [CAPABILITIES] = &b->capabilities,
                            [VERIFY_KEY] = &b->verify_key,
                            [KEY_ID] = &b->key_id,
                            [ALGORITHM] = &b->algorithm,
                            [SCOPE] = &b->scope,
                            [SIGNING_KEY] = &b->signing_key,
                            [PLUGIN] = &b->plugin,
                            [CLAIMS] = &b->claims,
                            [V1] = NULL};
    if (o >= 0 && o <= V1 && texts[o]) return *texts[o] = v, true;
    switch (o) {
    case BUNDLE: return b->as_bundles = on, true;
    case FOLLOW: return b->follow = on, true;
    case V0: return b->version = on ? REGO_V0 : REGO_V1, true;
    case OPTIMIZE: return str_to_s64(str_from_c(v), &b->level) == RC_OK;
    case ENTRYPOINT:
        return b->entrypoints.count < BUILD_LIST_MAX &&
               (b->entrypoints.items[b->entrypoints.count++] = v);
    case IGNORE: return add_names(&b->ignore, (char *)(uintptr_t)v);
    case EXCLUDE: return add_names(&b->exclude, (char *)(uintptr_t)v);
    case PRUNE:
    case DEBUG:
    case PRINT:
    case V1: return true;
    case OPTION_PLAIN:
        return b->paths.count < BUILD_LIST_MAX && (b->paths.items[b->paths.count++] = v);
    default: return false;
    }
}

static int by_path(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int run(int argc, char **argv) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct build *b = calloc(1, sizeof *b);
    const char *v;
    bool ok = b != NULL;
    if (!ok) return EXIT_NO;
    *b = (struct build){.output = "bundle.tar.gz",
                        .target = "rego",
                        .key_id = "default",
                        .algorithm = "RS256",
                        .scope = "",
                        .name_space = "partial"};
    b->manifest = (struct bundle_manifest){
        .file_versions = UNDEFINED, .metadata = UNDEFINED, .wasm = UNDEFINED};
    heap_open(&b->heap, (size_t)4 << 30);
    bundle_open(&b->files);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) ok = take_option(b, o, v);
    int status;
    if (!ok || !b->paths.count)
        status = usage_of(&build_verb, specs, ARRAY_LEN(specs));
    else {
        if (b->as_bundles) qsort(b->paths.items, b->paths.count, sizeof *b->paths.items, by_path);
        status = build(b) ? 0 : EXIT_NO;
    }
    for (u32 i = 0; b->packages && i < b->paths.count; i++) package_close(&b->packages[i]);
    free(b->packages), free(b->modules);
    bundle_close(&b->files);
    heap_close(&b->heap);
    free(b);
    return status;
}

const struct verb build_verb = {"build", "[OPTIONS] PATH...", "make a bundle of policies and data",
                                run};
