/* SPDX-License-Identifier: Apache-2.0 */
/* bundle.h — bundles: policies and data in one archive, as the reference packs, signs and reads
 * them (its documentation: "Bundles").
 *
 *   gzip(tar):  /.manifest  /.signatures.json  /data.json  /a/b/data.yaml  /a/policy.rego
 *   delta:      /.manifest  /patch.json
 *
 * A bundle says in its manifest which paths of `data` are its own (roots); nothing outside of them
 * may be in it. Plain C without a disk or a network: the appliance reads what it downloaded, the
 * command what it found in files. Everything read is bounded, and hostile until it was checked. */
#pragma once
#include "app/policy/lang/ast.h"
#include "kernel/base/base.h"

struct bundle_file {
    str path; /* below the bundle's root, without a slash in front: "a/b/data.json" */
    str name; /* as the archive has it: "/a/b/data.json" */
    str bytes;
};
struct bundle_files {
    struct bundle_file *items;
    u32 count, room;
};
/* Room is in the heap. RC_NO_MEMORY; RC_LIMIT: too many. */
rc_t bundle_files_add(struct heap *h, struct bundle_files *f, const struct bundle_file *one);

struct bundle_module {
    str path, name, text;
    enum rego_version version;
    value package; /* its path below data, an array of strings; UNDEFINED: it cannot be parsed */
};
struct bundle_manifest {
    str revision;
    str *roots; /* at least one; "" is all of data */
    u32 root_count;
    bool has_version; /* rego_version was told */
    enum rego_version version;
    value file_versions; /* object: pattern -> 0 or 1; UNDEFINED: none */
    value metadata;      /* object or UNDEFINED */
    value wasm;          /* array or UNDEFINED: resolvers, which this engine does not have */
};
struct policy_bundle {
    struct heap heap;    /* everything below, but for what lies in `unpacked` */
    struct buf unpacked; /* the archive's bytes; files and modules are views of it */
    struct bundle_files files;
    struct bundle_manifest manifest;
    struct bundle_module *modules; /* in the order of the archive */
    u32 module_count;
    value data; /* an object */
    bool is_delta;
    value patch;      /* of a delta: array of {"op", "path", "value"} */
    value signatures; /* .signatures.json; UNDEFINED: none */
};

/* ---- Signatures: a JWT whose payload lists the files and their hashes ---- */
struct bundle_key {
    str id;
    str key;       /* PEM, or the secret of HS256 and its like */
    str algorithm; /* "RS256" ... */
    str scope;
};
struct bundle_verification {
    const struct bundle_key *keys;
    u32 key_count;
    str key_id; /* empty: the token names it. Not empty: a bundle without signatures is refused */
    str scope;  /* empty: the key's */
    const str *exclude; /* patterns of files that need not be listed */
    u32 exclude_count;
};

struct bundle_options {
    size_t bytes_max;          /* of the archive unpacked; 0: BUNDLE_BYTES_MAX */
    size_t file_bytes_max;     /* of one file; 0: bytes_max */
    enum rego_version version; /* of modules whose manifest does not say */
    const struct bundle_verification *verification; /* NULL: no keys; signed bundles are refused */
    bool skip_verify;
    str base; /* a folder's name: signatures made of a folder name its files with it */
};
/* RC_INVALID with the reference's words in `why` where it has them; RC_LIMIT; RC_NO_MEMORY;
 * RC_DENIED: the signature. `out` is to be dropped in any case. Modules that cannot be parsed are
 * no error here: compiling says more about them. */
rc_t bundle_read(struct policy_bundle *out, str archive, const struct bundle_options *o,
                 struct diag *why);
/* The same of files already at hand (a folder). `out` was opened by bundle_begin and its heap holds
 * the list; the bytes are the caller's and outlive it. */
void bundle_begin(struct policy_bundle *b, size_t bytes_max);
rc_t bundle_read_files(struct policy_bundle *b, const struct bundle_options *o, struct diag *why);
void bundle_drop(struct policy_bundle *b); /* zeroed is fine */

/* The archive alone: gzip undone into `unpacked`, files listed as views of it. */
rc_t bundle_unpack(struct heap *h, str archive, size_t bytes_max, size_t file_bytes_max,
                   struct buf *unpacked, struct bundle_files *out, struct diag *why);

/* ---- Roots ---- */
bool bundle_root_contains(str root, str path); /* both like "a/b" */
bool bundle_roots_contain(const str *roots, u32 count, str path);
bool bundle_roots_overlap(str a, str b);
/* "a/b" of an array of strings, parts escaped as in a URL's path. */
str bundle_path_of_package(struct heap *h, value package);
void bundle_roots_write(struct buf *to, const str *roots, u32 count); /* [a b] */

/* ---- Making ---- */
enum { BUNDLE_HASH_MAX = 64 };
/* SHA-256 of a file's meaning (JSON and YAML: of the document) or bytes. RC_INVALID: `why`. */
rc_t bundle_hash_file(struct heap *h, str path, str bytes, str algorithm, u8 hash[BUNDLE_HASH_MAX],
                      size_t *len, struct diag *why);
rc_t bundle_hash_value(value v, str algorithm, u8 hash[BUNDLE_HASH_MAX], size_t *len,
                       struct diag *why);
struct bundle_hash {
    str name; /* without a slash in front */
    char hex[2 * BUNDLE_HASH_MAX + 1];
};
/* The token that signs these files. `claims`: an object of further claims, or UNDEFINED; `key_id`
 * may be empty. RC_INVALID: `why`. */
rc_t bundle_sign(struct heap *h, const struct bundle_hash *files, u32 count, str algorithm, str key,
                 value claims, str key_id, str *token, struct diag *why);
/* The manifest as the reference writes it. */
value bundle_manifest_value(struct heap *h, const struct bundle_manifest *m);
void bundle_manifest_write(struct buf *to, struct heap *h, const struct bundle_manifest *m);
/* The archive of these files (`name` is what it has): the same bytes for the same files. */
rc_t bundle_pack(const struct bundle_files *files, struct buf *out);
/* Appends the bytes as one gzip member. RC_LIMIT: the buffer's maximum; RC_NO_MEMORY. */
rc_t gzip_pack(str bytes, struct buf *to);
/* Appends what one or more members hold. RC_LIMIT: the buffer's maximum; RC_INVALID: not gzip, or
 * its end is missing. */
rc_t gzip_unpack(str packed, struct buf *to, struct diag *why);
