/* SPDX-License-Identifier: Apache-2.0 */
/* sign.c — opctl policy sign: .signatures.json for a bundle: a token that lists the hash of each of
 * its files. The bundle itself is not changed; the file is put into it by whoever packs it. */
#include <stdlib.h>
#include <sys/stat.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { BUNDLE, SIGNING_KEY, CLAIMS, ALGORITHM, PLUGIN, OUTPUT };
static const struct option_spec specs[] = {
    [BUNDLE] = {"bundle", 'b', true, "required: the paths are bundles"},
    [SIGNING_KEY] = {"signing-key", 0, false, "the secret, or the PEM file of the private key"},
    [CLAIMS] = {"claims-file", 0, false, "JSON with further claims of the signature"},
    [ALGORITHM] = {"signing-alg", 0, false, "default RS256"},
    [PLUGIN] = {"signing-plugin", 0, false, "_default"},
    [OUTPUT] = {"output-file-path", 'o', false, "the folder to write to (default .)"},
    {"help", 'h', true, "this text"},
};

struct signing {
    struct heap heap;
    struct bundle_hash *hashes;
    u32 count;
};

static int fail(const char *words) {
    printf("error: %s\n", words);
    return EXIT_NO;
}

static rc_t add_path(struct signing *s, const char *path, struct diag *why) {
    struct package p;
    struct package_options o = {.read.skip_verify = true};
    u8 hash[BUNDLE_HASH_MAX];
    size_t len;
    rc_t rc = package_open(&p, path, &o, why);
    /* What is wrong with the content is not asked here: files are signed, not meanings. */
    if (p.content.files.count) rc = RC_OK;
    for (u32 i = 0; !rc && i < p.content.files.count; i++) {
        const struct bundle_file *f = &p.content.files.items[i];
        if (str_ends(f->path, S("signatures.json"))) continue;
        struct bundle_hash *more = realloc(s->hashes, (s->count + 1) * sizeof *more);
        if (!more) {
            rc = RC_NO_MEMORY;
            break;
        }
        s->hashes = more;
        str name = p.is_folder ? package_file_name(&p, f) : f->path;
        while (name.len && name.ptr[0] == '/') name = str_skip(name, 1);
        value kept = value_string(&s->heap, name);
        more[s->count].name = value_str(kept);
        rc = bundle_hash_file(&s->heap, f->path, f->bytes, S("SHA-256"), hash, &len, why);
        if (!rc) rc = str_hex(hash, len, more[s->count].hex, sizeof more->hex);
        if (!rc) s->count++;
    }
    package_close(&p);
    return rc;
}

static int write_token(const char *folder, str token) {
    char path[4096];
    snprintf(path, sizeof path, "%s/.signatures.json", *folder ? folder : ".");
    FILE *f = fopen(path, "wb");
    if (!f) return fail("the signature cannot be written");
    fprintf(f, "{\n \"signatures\": [\n  \"%.*s\"\n ]\n}", STR(token));
    return fclose(f) ? fail("the signature cannot be written") : 0;
}

static int sign(char *const *paths, u32 count, const char *const *texts) {
    struct signing s = {0};
    struct diag why = {0};
    struct stat st;
    str key = str_from_c(texts[SIGNING_KEY]), from_file = {0}, token = {0};
    value claims = UNDEFINED;
    rc_t rc = RC_OK;
    heap_open(&s.heap, (size_t)4 << 30);
    for (u32 i = 0; i < count && !rc; i++) rc = add_path(&s, paths[i], &why);
    if (!rc && texts[CLAIMS] && !value_of_file(&s.heap, texts[CLAIMS], &claims)) rc = RC_INVALID;
    if (!rc && !str_starts(key, S("-----BEGIN")) && !stat(texts[SIGNING_KEY], &st)) {
        if (!file_read(texts[SIGNING_KEY], &from_file)) rc = RC_IO;
        key = from_file;
    }
    if (!rc)
        rc = bundle_sign(&s.heap, s.hashes, s.count,
                         str_from_c(texts[ALGORITHM] ? texts[ALGORITHM] : "RS256"), key, claims,
                         S(""), &token, &why);
    int status = rc ? fail(why.text[0] ? why.text : rc_name(rc))
                    : write_token(texts[OUTPUT] ? texts[OUTPUT] : ".", token);
    free((char *)from_file.ptr);
    free(s.hashes);
    heap_close(&s.heap);
    return status;
}

static int run(int argc, char **argv) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    const char *texts[OUTPUT + 1] = {0}, *v;
    bool ok = true, as_bundles = false;
    u32 count = 0;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == BUNDLE)
            as_bundles = !v || strcmp(v, "false");
        else if (o > BUNDLE && o <= OUTPUT)
            texts[o] = v;
        else if (o == OPTION_PLAIN)
            argv[count++] = (char *)(uintptr_t)v; /* behind what was read */
        else
            ok = false;
    }
    if (!ok) return usage_of(&sign_verb, specs, ARRAY_LEN(specs));
    if (!count) return fail("specify atleast one path containing policy and/or data files");
    if (!texts[SIGNING_KEY])
        return fail("specify the secret (HMAC) or path of the PEM file containing the private key "
                    "(RSA and ECDSA)");
    if (!as_bundles)
        return fail("enable bundle mode (ie. --bundle) to sign bundle files or directories");
    if (texts[PLUGIN] && strcmp(texts[PLUGIN], "_default"))
        return fail("no signer exists under this id");
    return sign(argv, count, texts);
}

const struct verb sign_verb = {"sign", "[OPTIONS] --bundle PATH...", "sign a bundle", run};
