/* SPDX-License-Identifier: Apache-2.0 */
/* error.c — errors, collected and told in the reference's form:
 *
 *   2 errors occurred:
 *   a.rego:3: rego_parse_error: unexpected } token: expected \n or ; or }
 *       p := {1, 2]
 *                 ^
 *   a.rego:7: ...
 *
 * Without a file's name row and column stand in front. */
#include "app/policy/lang/error.h"
#include <stdarg.h>
#include <stdio.h>
#include "app/policy/lang/write_impl.h"
#include "kernel/base/limits.h"

const char *policy_code_name(enum policy_code code) {
    static const char *const names[] = { /* ORDER: POLICY_CODE_NAMES */
        "rego_parse_error", "rego_compile_error", "rego_type_error", "rego_unsafe_var_error",
        "rego_recursion_error", "rego_format_error", "eval_internal_error", "eval_conflict_error",
        "eval_type_error", "eval_builtin_error", "eval_cancel_error", "eval_with_merge_error",
        "pe_fragment_error", "invalid_unknown", "invalid_mask_rule"};
    return names[code];
}

void policy_errors_open(struct policy_errors *e, struct heap *h, u32 count_max) {
    *e = (struct policy_errors){.heap = h, .count_max = count_max};
}

static struct policy_error *add(struct policy_errors *e, enum policy_code code,
                                const struct ast_location *at, str message) {
    if (e->count == e->room) {
        u32 room = MAX(e->room * 2, 8u);
        struct policy_error *grown = heap_alloc(e->heap, room * sizeof(*grown));
        if (!grown) return NULL;
        if (e->count) memcpy(grown, e->items, e->count * sizeof(*grown));
        e->items = grown, e->room = room;
    }
    struct policy_error *error = &e->items[e->count++];
    *error = (struct policy_error){.code = code, .message = message, .detail = UNDEFINED};
    if (at) error->at = *at;
    return error;
}
struct policy_error *policy_error_add(struct policy_errors *e, enum policy_code code,
                                      const struct ast_location *at, const char *fmt, ...) {
    if (e->count_max && e->count > e->count_max) return NULL;
    if (e->count_max && e->count == e->count_max)
        return add(e, POLICY_COMPILE_ERROR, NULL, S("error limit reached"));
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    char *text = n < 0 ? NULL : heap_alloc(e->heap, (size_t)n + 1);
    if (text) vsnprintf(text, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(args);
    return add(e, code, at, text ? str_of(text, (size_t)n) : S(""));
}

/* ---- The line and the caret ---- */

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || (u8)c == 0x85 || (u8)c == 0xa0;
}
static bool is_line_end(char c) { return c == '\n' || c == '\r'; }

void policy_error_show_line(struct policy_errors *e, struct policy_error *error, str text,
                            u32 offset) {
    if (text.len == 0) return;
    size_t at = MIN((size_t)offset, text.len - 1), begin, end;
    while (at > 0 && is_blank(text.ptr[at]))
        at--; /* what ended too early, not the blanks after it */
    for (begin = at; begin > 0 && !is_line_end(text.ptr[begin]);) begin--;
    if (is_line_end(text.ptr[begin])) begin++;
    for (end = at; end < text.len && !is_line_end(text.ptr[end]);) end++;
    begin = MIN(begin, end);
    str line = str_of(text.ptr + begin, end - begin);
    if (line.len > POLICY_ERROR_LINE_MAX)
        return; /* written by a program: nobody would see the caret */
    size_t index = at - MIN(at, begin), tabs = 0;
    value keys[] = {value_string(e->heap, S("idx")), value_string(e->heap, S("line"))};
    value values[] = {value_integer((s64)at - (s64)begin), value_string(e->heap, line)};
    error->detail = value_object(e->heap, keys, values, 2);
    while (tabs < line.len && line.ptr[tabs] == '\t') tabs++;
    size_t indent = index > tabs ? index - tabs : 0;
    char *caret = heap_alloc(e->heap, indent + 1);
    char *copy = heap_alloc(e->heap, line.len + 1); /* the text may go before the error is told */
    str *lines = heap_alloc(e->heap, 2 * sizeof(*lines));
    if (!caret || !lines || !copy) return;
    memcpy(copy, line.ptr, line.len);
    line.ptr = copy;
    memset(caret, ' ', indent);
    caret[indent] = '^';
    lines[0] = str_skip(line, tabs), lines[1] = str_of(caret, indent + 1);
    error->details = lines, error->detail_count = 2;
}

/* ---- Order ---- */

static int compare(const struct policy_error *a, const struct policy_error *b) {
    const struct ast_location *x = &a->at, *y = &b->at;
    if (!x->file || !y->file) return x->file ? -1 : y->file != NULL;
    int d = str_cmp(x->file->name, y->file->name);
    if (!d) d = x->row < y->row ? -1 : x->row > y->row;
    if (!d) d = x->column < y->column ? -1 : x->column > y->column;
    if (!d) d = strcmp(policy_code_name(a->code), policy_code_name(b->code));
    return d ? d : str_cmp(a->message, b->message);
}
void policy_errors_sort(struct policy_errors *e) {
    for (u32 gap = e->count / 2; gap; gap /= 2) /* shell sort: few, and no recursion */
        for (u32 i = gap; i < e->count; i++) {
            struct policy_error moved = e->items[i];
            u32 k = i;
            for (; k >= gap && compare(&e->items[k - gap], &moved) > 0; k -= gap)
                e->items[k] = e->items[k - gap];
            e->items[k] = moved;
        }
}

/* ---- Writing ---- */

void policy_error_write(struct buf *to, const struct policy_error *e) {
    if (e->at.file && e->at.file->name.len) putf(to, "%.*s:%u: ", STR(e->at.file->name), e->at.row);
    else if (e->at.file) putf(to, "%u:%u: ", e->at.row, e->at.column);
    putf(to, "%s: ", policy_code_name(e->code));
    put(to, e->message);
    for (u32 i = 0; i < e->detail_count; i++) {
        put(to, S("\n\t"));
        put(to, e->details[i]);
    }
}
void policy_errors_write(struct buf *to, const struct policy_errors *e) {
    if (e->count == 0) put(to, S("no error(s)"));
    else if (e->count == 1) put(to, S("1 error occurred: "));
    else putf(to, "%u errors occurred:\n", e->count);
    for (u32 i = 0; i < e->count; i++) {
        if (i) put_c(to, '\n');
        policy_error_write(to, &e->items[i]);
    }
}

static value place_json(struct heap *h, const struct ast_location *at) {
    value keys[] = {value_string(h, S("file")), value_string(h, S("row")),
                    value_string(h, S("col"))};
    value values[] = {value_string(h, at->file->name), value_integer(at->row),
                      value_integer(at->column)};
    return value_object(h, keys, values, 3);
}
value policy_errors_json(struct heap *h, const struct policy_errors *e) {
    struct value_builder list;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < e->count; i++) {
        const struct policy_error *error = &e->items[i];
        value keys[4] = {value_string(h, S("code")), value_string(h, S("message"))};
        value values[4] = {value_string_c(h, policy_code_name(error->code)),
                           value_string(h, error->message)};
        u32 count = 2;
        if (error->at.file)
            keys[count] = value_string(h, S("location")),
            values[count++] = place_json(h, &error->at);
        if (value_defined(error->detail))
            keys[count] = value_string(h, S("details")), values[count++] = error->detail;
        value_builder_add(&list, value_object(h, keys, values, count));
    }
    return value_builder_close(&list);
}
