/* SPDX-License-Identifier: Apache-2.0 */
/* pem.h — blocks of PEM text (RFC 7468, and RFC 1421's headers), as the reference's language finds
 * them: what is between blocks is skipped, a damaged block is no block. */
#pragma once
#include "app/policy/builtin/builtin.h"

struct pem_block {
    str type;  /* "CERTIFICATE": a part of the text */
    str bytes; /* in the heap */
};
/* The next block of `*rest`, which then begins after it. False: none (`*rest` as it was), or the
 * evaluation's budget or memory is used up (see c->failed, c->heap->exhausted). */
bool pem_next(struct builtin_call *c, str *rest, struct pem_block *out);
