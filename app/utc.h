/* SPDX-License-Identifier: Apache-2.0 */
/* utc.h — times as our API writes and reads them: RFC 3339.  */
#pragma once
#include "kernel/base/base.h"

/* "2026-01-31", "2026-01-31T12:00:00Z", "...00.123+02:00"; years 1970 to 2261. RC_INVALID. */
rc_t utc_parse(str text, u64 *out_ns);

#define UTC_ROOM 25u
str utc_write(u64 utc_ns, char to[UTC_ROOM]); /* "2026-01-31T12:00:00.000Z" */
