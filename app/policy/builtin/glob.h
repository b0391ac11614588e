/* SPDX-License-Identifier: Apache-2.0 */
/* glob.h — patterns of names for others than policies: manifests of bundles have them. */
#pragma once
#include "kernel/base/base.h"

struct heap;
/* As glob.match without delimiters: * is any text. Scratch memory is in the heap. RC_INVALID: the
 * pattern is bad, `why` in the reference's words; RC_NO_MEMORY. */
rc_t glob_matches(struct heap *h, str pattern, str text, bool *out, struct diag *why);
