/* SPDX-License-Identifier: Apache-2.0 */
/* partial.c — opctl policy eval --partial: what is left of a query when part of the input or data
 * is unknown, printed as the reference prints it.
 *
 *   json     {"partial": {"queries": [trees], "modules": [trees]}}
 *   pretty   a table: Query 1, Query 2, Support 1 ...
 *   source   queries and modules as text */
#include "app/policy/lang/format.h"
#include "app/policy/partial/partial.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

enum { EXIT_ERROR = 2, TEXT_BYTES_MAX = 1 << 30 };
static const size_t HEAP_BYTES_MAX = (size_t)4 << 30;

static const struct format_options plain = {.version = REGO_V1, .ignore_locations = true};

static void query_text(struct heap *h, struct ast_body *b, struct buf *to) {
    struct policy_errors errors;
    policy_errors_open(&errors, h, 1);
    struct ast_body *copy = b->count ? ast_body_copy(h, b) : NULL;
    if (copy && format_body(h, copy, &plain, to, &errors)) errors_print(&errors);
}

static void module_text(struct heap *h, struct ast_module *m, struct buf *to) {
    struct policy_errors errors;
    policy_errors_open(&errors, h, 1);
    if (format_module(h, m, &plain, to, &errors)) errors_print(&errors);
}

/* ---- The table ---- */

static size_t width_of(str line) {
    size_t n = 0;
    for (size_t i = 0; i < line.len; i++) n += ((u8)line.ptr[i] & 0xc0) != 0x80;
    return n;
}

/* Tabs become two blanks; line ends at both ends go. */
static str cell_of(struct heap *h, const struct buf *text) {
    struct buf b;
    str s = buf_str(text);
    buf_open(&b, TEXT_BYTES_MAX);
    while (s.len && s.ptr[0] == '\n') s = str_skip(s, 1);
    while (s.len && s.ptr[s.len - 1] == '\n') s.len--;
    for (size_t i = 0; i < s.len; i++)
        (void)buf_add(&b, s.ptr[i] == '\t' ? S("  ") : str_of(s.ptr + i, 1));
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

struct row {
    char name[32];
    str text;
};

static void put_rule(size_t first, size_t second) {
    putchar('+');
    for (size_t i = 0; i < first + 2; i++) putchar('-');
    putchar('+');
    for (size_t i = 0; i < second + 2; i++) putchar('-');
    puts("+");
}

static void put_table(const struct row *rows, u32 count) {
    size_t first = 0, second = 0;
    for (u32 i = 0; i < count; i++) {
        first = MAX(first, strlen(rows[i].name));
        for (str rest = rows[i].text, line; str_split(&rest, '\n', &line);)
            second = MAX(second, width_of(line));
    }
    put_rule(first, second);
    for (u32 i = 0; i < count; i++) {
        const char *name = rows[i].name;
        str rest = rows[i].text, line = S("");
        do {
            (void)str_split(&rest, '\n', &line);
            printf("| %-*s | %.*s%*s |\n", (int)first, name, STR(line),
                   (int)(second - width_of(line)), "");
            name = "";
        } while (rest.len);
        put_rule(first, second);
    }
}

static void put_pretty(struct heap *h, const struct partial_answer *a) {
    u32 count = a->query_count + a->support_count;
    struct row *rows = heap_alloc(h, (count + 1) * sizeof *rows);
    if (!a->query_count) {
        puts("undefined");
        return;
    }
    for (u32 i = 0; rows && i < count; i++) {
        bool query = i < a->query_count;
        u32 at = query ? i : i - a->query_count;
        struct buf text;
        buf_open(&text, TEXT_BYTES_MAX);
        if (query)
            query_text(h, a->queries[at], &text);
        else
            module_text(h, a->support[at], &text);
        snprintf(rows[i].name, sizeof rows[i].name, query ? "Query %u" : "Support %u", at + 1);
        rows[i].text = cell_of(h, &text);
        buf_close(&text);
    }
    if (rows) put_table(rows, count);
}

/* ---- The others ---- */

static void put_source(struct heap *h, const struct partial_answer *a) {
    struct buf text;
    buf_open(&text, TEXT_BYTES_MAX);
    for (u32 i = 0; i < a->query_count; i++) {
        (void)buf_printf(&text, "# Query %u\n", i + 1);
        query_text(h, a->queries[i], &text);
        (void)buf_add(&text, S("\n"));
    }
    for (u32 i = 0; i < a->support_count; i++) {
        (void)buf_printf(&text, "# Module %u\n", i + 1);
        module_text(h, a->support[i], &text);
    }
    if (text.len) fwrite(text.ptr, 1, text.len, stdout);
    buf_close(&text);
}

static void put_json(struct heap *h, const struct partial_answer *a) {
    value tree = partial_json(h, a), modules = value_get_str(tree, S("support"));
    struct value_builder inner, outer;
    value_builder_open(&inner, h, VALUE_OBJECT);
    value queries = value_get_str(tree, S("queries"));
    if (value_defined(queries))
        value_builder_replace(&inner, value_string_c(h, "queries"), queries);
    if (value_defined(modules))
        value_builder_replace(&inner, value_string_c(h, "modules"), modules);
    value_builder_open(&outer, h, VALUE_OBJECT);
    value_builder_replace(&outer, value_string_c(h, "partial"), value_builder_close(&inner));
    value_print(value_builder_close(&outer), JSON_TEXT_INDENT);
}

int partial_print(struct policy_program *program, const char *query, const struct policy_ask *ask,
                  const struct partial_options *o, const char *format, struct policy_errors *errors,
                  bool *defined) {
    struct heap h;
    struct partial_answer a;
    heap_open(&h, HEAP_BYTES_MAX);
    int status = 0;
    if (partial_evaluate(&h, program, str_from_c(query), ask, o, &a, errors)) {
        status = EXIT_ERROR;
    } else {
        *defined = a.query_count > 0;
        if (!strcmp(format, "pretty"))
            put_pretty(&h, &a);
        else if (!strcmp(format, "source"))
            put_source(&h, &a);
        else if (strcmp(format, "discard"))
            put_json(&h, &a);
    }
    for (u32 i = 0; i < errors->count; i++) errors->items[i].at.file = NULL;
    heap_close(&h);
    return status;
}
