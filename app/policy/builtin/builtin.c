/* SPDX-License-Identifier: Apache-2.0 */
/* builtin.c — the table of functions, finding one by name, and the words for what goes wrong.
 *
 *   builtin.def --> builtins[] (sorted by name) --builtin_find--> fn(call, args) --> value
 *
 * Failing is a return of UNDEFINED with the call marked: the machine decides whether that ends the
 * evaluation (strict errors, or a used-up budget) or is undefined like any other. */
#include "app/policy/builtin/builtin_impl.h"
#include <stdarg.h>
#include <stdio.h>

const struct builtin builtins[] = {
#define BUILTIN(name, function, arity, type, flags) {name, function, arity, flags, type},
#define BUILTIN_WITHOUT(name, arity, type, flags) {name, NULL, arity, flags, type},
#include "app/policy/builtin/builtin.def"
#undef BUILTIN
#undef BUILTIN_WITHOUT
};
const u32 builtins_count = ARRAY_LEN(builtins);

const struct builtin *builtin_find(str name) {
    u32 low = 0, high = builtins_count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        int order = str_cmp(name, str_from_c(builtins[middle].name));
        if (order == 0) return &builtins[middle];
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return NULL;
}

/* ---- Failing ---- */

static value fail(struct builtin_call *c, enum policy_code code, const char *prefix,
                  const char *fmt, va_list list) PRINTF_LIKE(4, 0);
static value fail(struct builtin_call *c, enum policy_code code, const char *prefix,
                  const char *fmt, va_list list) {
    c->failed = true;
    c->code = code;
    if (c->quiet) return UNDEFINED;
    int used = snprintf(c->message, sizeof(c->message), "%s", prefix);
    vsnprintf(c->message + used, sizeof(c->message) - (size_t)used, fmt, list);
    return UNDEFINED;
}

value builtin_fail(struct builtin_call *c, const char *fmt, ...) {
    va_list list;
    va_start(list, fmt);
    value v = fail(c, EVAL_BUILTIN_ERROR, "", fmt, list);
    va_end(list);
    return v;
}

value builtin_fail_operand_because(struct builtin_call *c, u32 position, const char *fmt, ...) {
    char prefix[32] = "";
    va_list list;
    if (!c->quiet) snprintf(prefix, sizeof(prefix), "operand %u ", position);
    va_start(list, fmt);
    value v = fail(c, EVAL_TYPE_ERROR, prefix, fmt, list);
    va_end(list);
    return v;
}

value builtin_fail_operand(struct builtin_call *c, u32 position, const char *wanted, value got) {
    return builtin_fail_operand_because(c, position, "must be %s%s but got %s",
                                        *wanted == '{' ? "one of " : "", wanted,
                                        value_kind_name(got.kind));
}

value builtin_fail_element(struct builtin_call *c, u32 position, value composite,
                           const char *wanted, value got) {
    const char *whole = value_kind_name(composite.kind);
    return builtin_fail_operand_because(c, position, "must be %s of %ss but got %s containing %s",
                                        whole, wanted, whole, value_kind_name(got.kind));
}

value builtin_fail_memory(struct builtin_call *c) {
    c->heap->exhausted = true;
    return UNDEFINED;
}

bool builtin_tick(struct builtin_call *c, u32 steps) {
    if (c->failed) return false;
    if (c->heap->exhausted) return false;
    if (!c->evaluation) return true; /* not a policy's call: whoever calls has bounded its input */
    if (evaluation_tick(c->evaluation, steps)) return true;
    snprintf(c->message, sizeof(c->message), "timed out before finishing");
    c->failed = c->halt = true;
    c->code = EVAL_CANCEL_ERROR;
    return false;
}

/* ---- Arguments ---- */

bool builtin_take_kind(struct builtin_call *c, const value *args, u32 i, enum value_kind kind) {
    if (args[i].kind == kind) return true;
    builtin_fail_operand(c, i + 1, value_kind_name(kind), args[i]);
    return false;
}
bool builtin_take_string(struct builtin_call *c, const value *args, u32 i, str *out) {
    if (!builtin_take_kind(c, args, i, VALUE_STRING)) return false;
    *out = value_str(args[i]);
    return true;
}
bool builtin_take_number(struct builtin_call *c, const value *args, u32 i) {
    return builtin_take_kind(c, args, i, VALUE_NUMBER);
}
bool builtin_is_sequence(value v) { return v.kind == VALUE_ARRAY || v.kind == VALUE_SET; }

bool builtin_integer_of(value n, s64 *out) {
    char room[NUMBER_TEXT_ROOM];
    if (!n.boxed) {
        *out = n.integer;
        return true;
    }
    str text = number_text(n, room);
    if (str_find_byte(text, 'e') < text.len || str_find_byte(text, 'E') < text.len) return false;
    return number_to_s64(n, out) == RC_OK;
}

bool builtin_take_integer(struct builtin_call *c, const value *args, u32 i, s64 *out) {
    if (!builtin_take_number(c, args, i)) return false;
    if (builtin_integer_of(args[i], out)) return true;
    builtin_fail_operand_because(c, i + 1, "must be integer number but got floating-point number");
    return false;
}
bool builtin_take_whole(struct builtin_call *c, const value *args, u32 i) {
    if (args[i].kind != VALUE_NUMBER) {
        builtin_fail_operand(c, i + 1, "integer", args[i]);
        return false;
    }
    if (number_is_whole(args[i])) return true;
    builtin_fail_operand_because(c, i + 1, "must be integer number but got floating-point number");
    return false;
}

/* ---- Text ---- */

void builtin_text_open(struct builtin_call *c, struct buf *text) {
    size_t left = c->heap->bytes_max > c->heap->used ? c->heap->bytes_max - c->heap->used : 0;
    buf_open(text, MIN(left, (size_t)UINT32_MAX));
}
value builtin_text_close(struct builtin_call *c, struct buf *text) {
    value v = text->failed ? builtin_fail_memory(c) : value_string(c->heap, buf_str(text));
    buf_close(text);
    return v;
}
value builtin_string_of(struct builtin_call *c, str bytes) { return value_string(c->heap, bytes); }
