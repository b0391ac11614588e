/* SPDX-License-Identifier: Apache-2.0 */
/* bits.h — shared by bits.c and bitfield.c. */
#pragma once
#include "app/cache/command.h"

/* "17", or with hash "#3": three times the width. Answers and returns false if it is wrong. */
bool arg_bit_offset(struct client *c, str arg, bool hash, u32 width, u64 *out);
/* The key's string, its own and long enough for that bit, zeroes added. NULL: told. */
struct text *bits_for_write(struct client *c, str key, u64 last_bit, bool *changed_length);
