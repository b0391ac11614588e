/* SPDX-License-Identifier: Apache-2.0 */
/* bundle_impl.h — limits of bundles, and what the files of this folder share. */
#pragma once
#include "app/bundle/bundle.h"
#include "kernel/base/buf.h"
#include "kernel/base/limits.h"

LIMIT(BUNDLE_BYTES_MAX, 1 << 30, 1 << 24) /* unpacked; the reference's limit of one file */
LIMIT(BUNDLE_FILES_MAX, 65536, 64)
LIMIT(BUNDLE_NAME_MAX, 4096, 1024)        /* of a file's path */
LIMIT(BUNDLE_DEPTH_MAX, 128, 32)          /* folders in folders: each is a key of data */
LIMIT(BUNDLE_ROOTS_MAX, 4096, 16)         /* each is compared with each */
LIMIT(BUNDLE_TOKEN_MAX, 1 << 26, 1 << 22) /* a signature lists every file */

/* ---- tar.c ---- */
/* Lists the regular files of an archive; anything but files and folders is refused. */
rc_t tar_list(struct heap *h, str archive, size_t file_bytes_max, struct bundle_files *out,
              struct diag *why);
rc_t tar_write(const struct bundle_files *files, struct buf *to);
/* "/a//b/./c" to "a/b/c". RC_INVALID: empty, "..", a NUL, not UTF-8; RC_LIMIT. */
rc_t bundle_path_clean(struct heap *h, str name, str *path);

/* ---- manifest.c ---- */
rc_t manifest_read(struct heap *h, str text, struct bundle_manifest *out, struct diag *why);
rc_t manifest_defaults(struct heap *h, struct bundle_manifest *m);
rc_t manifest_check(struct policy_bundle *b, struct diag *why);
rc_t manifest_version_of(struct policy_bundle *b, str path, enum rego_version otherwise,
                         enum rego_version *out, struct diag *why);

/* ---- data.c ---- */
/* The documents of all data files, each under the folder it lies in. */
rc_t data_read(struct policy_bundle *b, struct diag *why);
bool is_data_file(str path);

/* ---- verify.c ---- */
rc_t verify_files(struct policy_bundle *b, const struct bundle_options *o, struct diag *why);

static inline str path_base(str path) {
    size_t at = path.len;
    while (at && path.ptr[at - 1] != '/') at--;
    return str_skip(path, at);
}
static inline rc_t bundle_fail(struct diag *why, rc_t rc, const char *words) {
    diag_set(why, "%s", words);
    return rc;
}
