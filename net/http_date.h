/* SPDX-License-Identifier: Apache-2.0 */
/* http_date.h — times as HTTP carries them (RFC 9110 5.6.7): "Sat, 01 Jan 2028 00:00:00 GMT". */
#pragma once
#include "kernel/base/base.h"

rc_t http_date_parse(str text, u64 *out_seconds); /* since 1970 UTC; RC_INVALID */
void http_date_format(u64 seconds, char to[30]);
