/* SPDX-License-Identifier: Apache-2.0 */
/* build.h — a bundle while it is built: what loading, optimizing and writing share. */
#pragma once
#include "tools/opctl/opctl.h"

enum { BUILD_LIST_MAX = 256 };
struct build_list {
    const char *items[BUILD_LIST_MAX];
    u32 count;
};
struct build_module {
    str url; /* its name in the result, without a slash in front */
    str text;
    enum rego_version version;
};
struct build {
    struct build_list paths, entrypoints, ignore, exclude;
    const char *output, *revision, *target, *capabilities, *name_space;
    const char *verify_key, *key_id, *algorithm, *scope, *signing_key, *claims, *plugin;
    s64 level;
    bool as_bundles, follow;
    enum rego_version version;
    struct heap heap;
    struct bundle files;          /* not as bundles: what the paths hold */
    struct package *packages;     /* as bundles: one per path, sorted by it */
    struct build_module *modules; /* of malloc */
    u32 module_count;
    struct bundle_manifest manifest;
    value data;
    str signature; /* the token */
};
/* Each says what is wrong, where build_tell says (stdout at first), and returns false. */
void build_tell(FILE *to, const char *before); /* "error: " before each */
bool build_error(const char *before, const char *what, const char *after);
bool build_errors(const struct policy_errors *errors);
bool build_compile(struct build *b, struct policy_program **out);
bool build_add_module(struct build *b, str name, str text, enum rego_version version);

/* optimize.c: each entrypoint evaluated as far as what is known carries. */
bool build_optimize(struct build *b);
/* eval -O: the same of what was loaded, which takes the place of it. False: said why on stderr. */
struct optimize_asked {
    s64 level;
    struct build_list entrypoints;
    const char *capabilities;
    enum rego_version version; /* of policies that do not tell theirs */
};
bool bundle_optimize(struct bundle *files, const struct optimize_asked *asked);
