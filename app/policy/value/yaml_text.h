/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_text.h — values from and to YAML text, as the reference's libraries read and write it:
 * YAML 1.1's scalars (yes, on, 0777, 0x1F, ~), anchors, merge keys; what it makes are JSON's
 * values.
 *
 * Numbers go through 64 bits as there: a whole number that fits stays exact, any other becomes the
 * nearest double. Keys that are numbers or booleans become strings. */
#pragma once
#include "app/policy/value/value.h"

/* The first document of `text`; the rest is not looked at. No document at all: null.
 * RC_INVALID with the reference's words in `why` ("yaml: line 1: did not find ..."); RC_LIMIT:
 * deeper than YAML_DEPTH_MAX; RC_NO_MEMORY. */
rc_t yaml_text_read(struct heap *h, str text, value *out, struct diag *why);

/* One document, block style, keys in the order the reference's library sorts them. Sets as arrays.
 * RC_INVALID: a character YAML cannot hold; RC_LIMIT: too deep, or `to` is full; RC_NO_MEMORY. */
rc_t yaml_text_write(struct heap *h, struct buf *to, value v, struct diag *why);

/* What a plain scalar is, by YAML 1.1's rules as the reference's library applies them. */
enum yaml_kind { YAML_TEXT, YAML_NULL, YAML_TRUE, YAML_FALSE, YAML_INTEGER, YAML_FLOAT, YAML_TIME };
struct yaml_scalar {
    enum yaml_kind kind;
    bool negative;
    u64 magnitude; /* YAML_INTEGER; with `negative` at most 2^63 */
    double real;   /* YAML_FLOAT: may be infinite or not a number */
};
struct yaml_scalar yaml_scalar_resolve(str text);

/* The shortest digits that read back as `d`, as the reference's language formats a double:
 * 'g': 1e+06, 1.5, 1e-05; 'j' (JSON): 1000000, 1.5, 0.00001, 1e+21. `single`: as a 32-bit number.
 */
#define YAML_FLOAT_ROOM 40
str yaml_float_write(double d, char format, bool single, char room[YAML_FLOAT_ROOM]);
