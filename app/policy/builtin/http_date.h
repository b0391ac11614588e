/* SPDX-License-Identifier: Apache-2.0 */
/* http_date.h — dates as HTTP writes them (RFC 9110 5.6.7). */
#pragma once
#include "kernel/base/base.h"

/* "Sun, 06 Nov 1994 08:49:37 GMT" to seconds since 1970. False: not such a date. */
bool http_date_read(str text, u64 *out_seconds);
