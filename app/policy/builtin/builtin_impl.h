/* SPDX-License-Identifier: Apache-2.0 */
/* builtin_impl.h — what the families of builtins share: taking arguments apart, growing text,
 * runes.
 *
 * A family takes an argument with builtin_take_...: false means the call has failed with the
 * reference's words, and the function returns UNDEFINED. Positions count from 0 here. */
#pragma once
#include "app/policy/builtin/builtin.h"
#include "app/policy/regex/regex.h"
#include "app/policy/value/json_text.h"
#include "kernel/base/limits.h"

#define BUILTIN(name, function, arity, type, flags) builtin_fn function;
#define BUILTIN_WITHOUT(name, arity, type, flags)
#include "app/policy/builtin/builtin.def"
#undef BUILTIN
#undef BUILTIN_WITHOUT

bool builtin_take_string(struct builtin_call *c, const value *args, u32 i, str *out);
bool builtin_take_number(struct builtin_call *c, const value *args, u32 i);
/* A whole number of 64 bits: 3 and 3.0, not 3e0. */
bool builtin_take_integer(struct builtin_call *c, const value *args, u32 i, s64 *out);
/* A whole number of any size. */
bool builtin_take_whole(struct builtin_call *c, const value *args, u32 i);
bool builtin_take_kind(struct builtin_call *c, const value *args, u32 i, enum value_kind kind);
bool builtin_is_sequence(value v); /* array or set */
bool builtin_integer_of(value n, s64 *out); /* of a number, as builtin_take_integer */

/* "operand 1 must be array of strings but got array containing number" */
value builtin_fail_element(struct builtin_call *c, u32 position, value composite,
                           const char *wanted, value got);
/* The memory of the evaluation is used up: the machine ends it at its next step. */
value builtin_fail_memory(struct builtin_call *c);

/* ---- Regular expressions, kept for the evaluation; NULL: the pattern is bad, the call has failed
 * ---- */
struct regex *builtin_regex_of(struct builtin_call *c, str pattern);
struct regex_work builtin_regex_work(struct builtin_call *c);

/* ---- Growing text: a buf that may hold as much as the heap still has ---- */
void builtin_text_open(struct builtin_call *c, struct buf *text);
value builtin_text_close(struct builtin_call *c, struct buf *text); /* the string; frees the buf */
value builtin_string_of(struct builtin_call *c, str bytes); /* a string, or memory is used up */

/* ---- Runes, as the reference's language decodes them: a bad byte is U+FFFD of width 1 ---- */
#define RUNE_BAD 0xFFFDu
#define RUNE_MAX 0x10FFFFu
u32 rune_decode(str s, size_t at, u32 *width);      /* at < s.len */
u32 rune_decode_last(str s, size_t end, u32 *width); /* of the rune that ends at `end` > 0 */
u32 rune_encode(char to[4], u32 rune);              /* bytes written; surrogates become U+FFFD */
size_t rune_count(str s);
bool str_is_ascii(str s);
void buf_add_rune(struct buf *b, u32 rune);
/* First place of `needle` at or after `from`; s.len + 1 when absent. */
size_t str_find_from(str s, str needle, size_t from);
