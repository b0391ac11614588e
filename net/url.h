/* SPDX-License-Identifier: Apache-2.0 */
/* url.h — paths and percent-escapes. The router, the policy and every handler see one path. */
#pragma once
#include "kernel/base/base.h"

/* The path of an origin-form target, made plain into `to` (room >= raw.len): escapes decoded once,
 * runs of '/' made one. RC_INVALID: bad escape, NUL or other control byte, backslash, a `.` or `..`
 * segment in any spelling, not UTF-8. `%2F` stays as it is: a slash inside a segment is not a
 * separator. */
rc_t url_path_plain(str raw, char *to, str *out);
/* Escapes decoded into `to` (room >= raw.len). RC_INVALID: bad escape, NUL, not UTF-8. */
rc_t url_decode(str raw, bool plus_is_blank, char *to, str *out);
