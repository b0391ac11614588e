/* SPDX-License-Identifier: Apache-2.0 */
/* misc.c — what the language asks of its surroundings: print, trace, opa.runtime, template strings,
 * the clock. */
#include "app/policy/builtin/builtin_impl.h"

value builtin_time_now_ns(struct builtin_call *c, const value *args) {
    (void)args;
    return value_number_of_u64(c->heap, evaluation_now_ns(c->evaluation));
}

value builtin_opa_runtime(struct builtin_call *c, const value *args) {
    (void)args;
    value v = evaluation_runtime(c->evaluation);
    return value_defined(v) ? v : value_empty_object();
}

value builtin_trace(struct builtin_call *c, const value *args) {
    str note;
    if (!builtin_take_string(c, args, 0, &note)) return UNDEFINED;
    evaluation_trace(c->evaluation, note);
    return value_boolean(true);
}

/* The reference's cases wait here for the clock to move, which it must not within a query. */
value builtin_test_sleep(struct builtin_call *c, const value *args) {
    str duration;
    return builtin_take_string(c, args, 0, &duration) ? value_null() : UNDEFINED;
}
value builtin_internal_test_case(struct builtin_call *c, const value *args) {
    evaluation_test_case(c->evaluation, args[0]);
    return value_boolean(true);
}

/* ---- print and template strings ----
 *
 * Operands that may be undefined come as sets of what they can be: empty is undefined. print writes
 * one line for each way to choose a member of each set. */

static bool add_operand(struct builtin_call *c, struct buf *to, value v, u32 pick) {
    if (v.kind == VALUE_ARRAY || v.kind == VALUE_OBJECT) {
        c->quiet = false;
        builtin_fail(c, "illegal argument type: %s", value_kind_name(v.kind));
        c->code = EVAL_INTERNAL_ERROR;
        c->halt = true;
        return false;
    }
    if (v.kind == VALUE_SET && value_count(v) == 0) (void)buf_add(to, S("<undefined>"));
    else {
        if (v.kind == VALUE_SET) v = value_item(v, pick);
        if (v.kind == VALUE_STRING) (void)buf_add(to, value_str(v));
        else value_write(to, v);
    }
    return true;
}

value builtin_internal_print(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY)) return UNDEFINED;
    u32 count = value_count(args[0]);
    u32 *picks = heap_alloc(c->heap, MAX(count, 1u) * sizeof(*picks));
    if (!picks) return UNDEFINED;
    memset(picks, 0, count * sizeof(*picks));
    for (u32 turned = 0; turned < count || count == 0;) {
        struct buf line;
        bool good = builtin_tick(c, 1 + count);
        builtin_text_open(c, &line);
        for (u32 i = 0; i < count && good; i++) {
            if (i) (void)buf_add_byte(&line, ' ');
            good = add_operand(c, &line, value_item(args[0], i), picks[i]);
        }
        if (good) evaluation_print(c->evaluation, c->at, buf_str(&line));
        buf_close(&line);
        if (!good) return UNDEFINED;
        if (count == 0) break;
        /* The last operand's choice turns fastest. */
        for (turned = 0; turned < count; turned++) {
            value v = value_item(args[0], count - 1 - turned);
            u32 choices = v.kind == VALUE_SET ? MAX(value_count(v), 1u) : 1;
            if (++picks[count - 1 - turned] < choices) break;
            picks[count - 1 - turned] = 0;
        }
    }
    return value_boolean(true);
}

value builtin_template_string(struct builtin_call *c, const value *args) {
    struct buf text;
    bool good = true;
    if (!builtin_take_kind(c, args, 0, VALUE_ARRAY)) return UNDEFINED;
    builtin_text_open(c, &text);
    for (u32 i = 0; i < value_count(args[0]) && good; i++) {
        value v = value_item(args[0], i);
        good = builtin_tick(c, 1);
        if (good && v.kind == VALUE_SET && value_count(v) > 1) {
            c->quiet = false;
            builtin_fail(c, "template-strings must not produce multiple outputs");
            c->code = EVAL_CONFLICT_ERROR;
            c->halt = true;
            good = false;
        }
        good = good && add_operand(c, &text, v, 0);
    }
    if (good) return builtin_text_close(c, &text);
    buf_close(&text);
    return UNDEFINED;
}
