/* SPDX-License-Identifier: Apache-2.0 */
/* expiry.h — the words that say when something ends: EX s, PX ms, EXAT, PXAT, and the arithmetic
 * behind them, shared by strings, keys and fields. */
#pragma once
#include "app/cache/command.h"

enum expiry_unit { EXPIRY_NONE, EXPIRY_SECONDS, EXPIRY_MS, EXPIRY_AT_SECONDS, EXPIRY_AT_MS };
struct expiry_option {
    enum expiry_unit unit;
    u32 arg; /* where its number is */
};
/* Is argument *i such a word with a number after it? Then *i moves onto the number. */
bool expiry_option_at(const struct client *c, u32 *i, struct expiry_option *o);
/* When, on the cache's clock. Answers and returns false if the number is bad (not positive). */
bool expiry_option_resolve(struct client *c, const struct expiry_option *o, s64 *out_at_ms);
/* The same for a number already read; the number may be in the past. False: out of range. */
bool expiry_at(s64 n, enum expiry_unit unit, s64 *out_at_ms);
