/* SPDX-License-Identifier: Apache-2.0 */
/* output.c — JSON in the order it is put, and boxes around tables:
 *
 *   ┌────────┬───────┐
 *   │ Metric │ Value │
 *   ├────────┼───────┤
 *   │ a      │ 1     │
 *   └────────┴───────┘
 */
#include "tools/opctl/output.h"
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "app/policy/value/number.h"

enum { OUTPUT_BYTES_MAX = 1 << 30 };

/* ---- JSON ---- */

static void add(struct json_out *o, str s) {
    (void)buf_add(&o->to, s); /* a failure sticks, and out_close tells */
}

void out_open(struct json_out *o) {
    *o = (struct json_out){0};
    buf_open(&o->to, OUTPUT_BYTES_MAX);
    heap_open(&o->heap, OUTPUT_BYTES_MAX);
}

bool out_close(struct json_out *o, FILE *f) {
    add(o, S("\n"));
    fwrite(o->to.ptr, 1, o->to.len, f);
    bool ok = !o->to.failed && !o->heap.exhausted;
    buf_close(&o->to);
    heap_close(&o->heap);
    return ok;
}

static void line(struct json_out *o) {
    (void)buf_printf(&o->to, "\n%*s", (int)o->depth * 2, "");
}

static void before(struct json_out *o, const char *key) {
    if (o->some[o->depth]) add(o, S(","));
    if (o->depth) line(o);
    o->some[o->depth] = true;
    if (!key) return;
    json_text_write(&o->to, value_string_c(&o->heap, key), JSON_TEXT_ESCAPE_HTML);
    add(o, S(": "));
}

void out_begin(struct json_out *o, const char *key, char bracket) {
    before(o, key);
    (void)buf_add_byte(&o->to, bracket);
    CHECK(o->depth + 1 < ARRAY_LEN(o->some));
    o->some[++o->depth] = false;
}

void out_end(struct json_out *o, char bracket) {
    bool some = o->some[o->depth--];
    if (some) line(o);
    (void)buf_add_byte(&o->to, bracket);
}

void out_value(struct json_out *o, const char *key, value v) {
    struct buf text;
    str rest, part;
    before(o, key);
    buf_open(&text, OUTPUT_BYTES_MAX);
    json_text_write(&text, value_as_json(&o->heap, v), JSON_TEXT_INDENT | JSON_TEXT_ESCAPE_HTML);
    for (rest = buf_str(&text); str_split(&rest, '\n', &part);) {
        add(o, part);
        if (rest.len) line(o);
    }
    o->to.failed |= text.failed;
    buf_close(&text);
}

void out_text(struct json_out *o, const char *key, str text) {
    out_value(o, key, value_string(&o->heap, text));
}
void out_u64(struct json_out *o, const char *key, u64 n) {
    out_value(o, key, value_number_of_u64(&o->heap, n));
}
void out_double(struct json_out *o, const char *key, double n) {
    value v = value_number_of_double(&o->heap, n);
    out_value(o, key, value_defined(v) ? v : value_null());
}
void out_bool(struct json_out *o, const char *key, bool b) {
    out_value(o, key, value_boolean(b));
}

void out_place(struct json_out *o, const char *key, const struct ast_location *at) {
    out_begin(o, key, '{');
    out_text(o, "file", at->file ? at->file->name : S(""));
    out_u64(o, "row", at->row);
    out_u64(o, "col", at->column);
    out_end(o, '}');
}

void out_errors(struct json_out *o, const struct policy_errors *e) {
    out_value(o, "errors", policy_errors_json(e->heap, e));
}

/* ---- Tables ---- */

void table_open(struct table *t, u32 columns) {
    *t = (struct table){.columns = MIN(columns, (u32)TABLE_COLUMNS_MAX)};
    heap_open(&t->heap, OUTPUT_BYTES_MAX);
}

void table_close(struct table *t) {
    free(t->cells);
    heap_close(&t->heap);
}

void table_cell(struct table *t, u32 column, str text) {
    if (column >= t->columns) return;
    if (!column && t->count++ == t->room) {
        t->room = t->room ? t->room * 2 : 16;
        str *more = realloc(t->cells, (size_t)t->room * t->columns * sizeof *more);
        CHECK(more != NULL);
        t->cells = more;
    }
    if (!column) memset(t->cells + (t->count - 1) * t->columns, 0, t->columns * sizeof(str));
    value kept = value_string(&t->heap, text);
    if (kept.kind == VALUE_STRING)
        t->cells[(t->count - 1) * t->columns + column] = value_str(kept);
}

void table_header(struct table *t, const char *const *names) {
    for (u32 i = 0; i < t->columns; i++) table_cell(t, i, str_from_c(names[i]));
    t->header = true;
}

/* Columns of the terminal: characters, not bytes. */
static u32 width_of(str s) {
    u32 n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((u8)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

static void rule(const struct table *t, const u32 *widths, const char *left, const char *middle,
                 const char *right, FILE *f) {
    fputs(left, f);
    for (u32 c = 0; c < t->columns; c++) {
        if (c) fputs(middle, f);
        for (u32 i = 0; i < widths[c] + 2; i++) fputs("─", f);
    }
    fprintf(f, "%s\n", right);
}

void table_print(const struct table *t, FILE *f) {
    u32 widths[TABLE_COLUMNS_MAX] = {0};
    for (u32 i = 0; i < t->count * t->columns; i++)
        if (width_of(t->cells[i]) > widths[i % t->columns])
            widths[i % t->columns] = width_of(t->cells[i]);
    rule(t, widths, "┌", "┬", "┐", f);
    for (u32 row = 0; row < t->count; row++) {
        for (u32 c = 0; c < t->columns; c++) {
            str cell = t->cells[row * t->columns + c];
            u32 gap = widths[c] - width_of(cell);
            u32 left = t->header && !row ? gap / 2 : t->right && c + 1 == t->columns ? gap : 0;
            fprintf(f, "│ %*s%.*s%*s ", (int)left, "", STR(cell), (int)(gap - left), "");
        }
        fputs("│\n", f);
        if (t->header && !row) rule(t, widths, "├", "┼", "┤", f);
    }
    rule(t, widths, "└", "┴", "┘", f);
}

str duration_text(struct heap *h, u64 ns) {
    static const struct { u64 unit; const char *name; } units[] = {
        {1000000000, "s"}, {1000000, "ms"}, {1000, "µs"}, {1, "ns"}};
    char text[64];
    u32 i = 0;
    if (!ns) return S("0s");
    while (ns < units[i].unit) i++;
    u64 minutes = ns / (60ull * 1000000000), hours = minutes / 60;
    double rest = (double)(ns - minutes * 60ull * 1000000000) / (double)units[i].unit;
    int n = 0;
    if (hours) n = snprintf(text, sizeof text, "%lluh", (unsigned long long)hours);
    if (minutes)
        n += snprintf(text + n, sizeof text - (size_t)n, "%llum",
                      (unsigned long long)(minutes % 60));
    n += snprintf(text + n, sizeof text - (size_t)n, "%.*f",
                  i == 0   ? 9
                  : i == 1 ? 6
                  : i == 2 ? 3
                           : 0,
                  rest);
    if (i < 3) {
        while (text[n - 1] == '0') n--;
        if (text[n - 1] == '.') n--;
    }
    snprintf(text + n, sizeof text - (size_t)n, "%s", units[i].name);
    value kept = value_string_c(h, text);
    return kept.kind == VALUE_STRING ? value_str(kept) : S("");
}
