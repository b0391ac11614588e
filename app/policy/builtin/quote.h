/* SPDX-License-Identifier: Apache-2.0 */
/* quote.h — strings in quotes, as the reference's language writes them in messages (%q). */
#pragma once
#include "kernel/base/buf.h"

void quote_write(struct buf *to, str s, bool ascii_only); /* "a\n\u00ad" */
void quote_write_rune(struct buf *to, u32 rune, bool ascii_only); /* 'x' */
