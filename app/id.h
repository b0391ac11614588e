/* SPDX-License-Identifier: Apache-2.0 */
/* id.h — names for things: UUIDv7 (RFC 9562 5.7), so that ids sort by the time they were made and
 * tell nothing else. Text form only: 36 characters, lower case. */
#pragma once
#include "kernel/base/base.h"

#define ID_LEN 36u
#define ID_ROOM 37u

/* NUL-ended into `to`; `*out` views it. Ids made by one machine ascend. RC_IO: no entropy. Loop. */
rc_t id_make(char to[ID_ROOM], str *out);
/* The canonical text form of any UUID version; nothing else. */
bool id_valid(str text);
