/* SPDX-License-Identifier: Apache-2.0 */
/* numbers.h — numbers as the protocol writes them: strict, whole string, no blanks. */
#pragma once
#include "kernel/base/base.h"

#define NUMBER_ROOM 128 /* for any of the texts below */

/* Canonical whole numbers only: no plus, no leading zeroes, fits 64 bits. */
bool integer_parse(str s, s64 *out);
str integer_text(s64 n, char to[NUMBER_ROOM]);
/* Decimal, exponent, hex, "inf" "-inf" "+inf" "infinity"; NaN is refused. */
bool double_parse(str s, double *out);
bool long_double_parse(str s, long double *out);
/* Shortest text that reads back to the same number: "3", "3.1", "1e+20", "inf". */
str double_text(double d, char to[NUMBER_ROOM]);
/* Fixed, up to 17 digits after the point, trailing zeroes cut (INCRBYFLOAT). */
str long_double_text(long double d, char to[NUMBER_ROOM * 40]);
/* Glob: * ? [a-z] [^x] \x, as KEYS has it. */
bool glob_match(str pattern, str text, bool nocase);
