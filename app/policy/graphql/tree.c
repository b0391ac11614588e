/* SPDX-License-Identifier: Apache-2.0 */
/* tree.c — what all steps over GraphQL trees share: lists, a map by name, errors, small questions.
 */
#include "app/policy/graphql/graphql_impl.h"
#include <stdarg.h>
#include <stdio.h>

void graphql_fail(struct gql_context *c, struct gql_place at, const char *fmt, ...) {
    char text[512];
    va_list args;
    if (c->failed) return;
    c->failed = true, c->at = at;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    buf_clear(c->message);
    (void)buf_add(c->message, str_from_c(text));
}

void *graphql_new(struct gql_context *c, size_t bytes) {
    void *p = heap_alloc(c->heap, bytes);
    if (p) memset(p, 0, bytes);
    return p;
}

struct any_list {
    const void **items;
    u32 count, room;
};
void graphql_push(struct heap *h, void *list, const void *item) {
    struct any_list *l = list;
    if (!item) return;
    if (l->count == l->room) {
        u32 room = l->room ? l->room * 2 : 4;
        const void **grown = heap_alloc(h, room * sizeof *grown);
        if (!grown) return;
        if (l->count) memcpy(grown, l->items, l->count * sizeof *grown);
        l->items = grown, l->room = room;
    }
    l->items[l->count++] = item;
}

void graphql_push_name(struct heap *h, struct gql_names *l, str name) {
    if (l->count == l->room) {
        u32 room = l->room ? l->room * 2 : 4;
        str *grown = heap_alloc(h, room * sizeof *grown);
        if (!grown) return;
        if (l->count) memcpy(grown, l->items, l->count * sizeof *grown);
        l->items = grown, l->room = room;
    }
    l->items[l->count++] = name;
}
bool graphql_names_have(const struct gql_names *l, str name) {
    for (u32 i = 0; i < l->count; i++)
        if (str_eq(l->items[i], name)) return true;
    return false;
}

/* ---- Map ------------------------------------------------------------------------------------- */

struct gql_entry {
    str name;
    void *thing;
};

static struct gql_entry *slot_of(const struct gql_map *m, str name) {
    u32 i = (u32)str_hash(name, 0x9E3779B97F4A7C15ull) & m->mask;
    while (m->entries[i].thing && !str_eq(m->entries[i].name, name)) i = (i + 1) & m->mask;
    return &m->entries[i];
}
void *graphql_map_get(const struct gql_map *m, str name) {
    return m->entries ? slot_of(m, name)->thing : NULL;
}

void graphql_map_put(struct heap *h, struct gql_map *m, str name, void *thing) {
    if (!m->entries || m->count * 2 > m->mask) {
        struct gql_map grown = {.mask = m->entries ? m->mask * 2 + 1 : 63};
        grown.entries = heap_alloc(h, (grown.mask + 1) * sizeof *grown.entries);
        if (!grown.entries) return;
        memset(grown.entries, 0, (grown.mask + 1) * sizeof *grown.entries);
        for (u32 i = 0; m->entries && i <= m->mask; i++)
            if (m->entries[i].thing) *slot_of(&grown, m->entries[i].name) = m->entries[i];
        grown.count = m->count;
        *m = grown;
    }
    struct gql_entry *e = slot_of(m, name);
    if (!e->thing) m->count++;
    *e = (struct gql_entry){name, thing};
}

/* Of map names in their order of bytes. */
static int compare_names(const void *a, const void *b) {
    return str_cmp(*(const str *)a, *(const str *)b);
}
str *graphql_map_names(struct heap *h, const struct gql_map *m) {
    str *names = heap_alloc(h, m->count * sizeof *names);
    u32 n = 0;
    if (!names) return NULL;
    for (u32 i = 0; m->entries && i <= m->mask; i++)
        if (m->entries[i].thing) names[n++] = m->entries[i].name;
    if (n) graphql_sort(names, n, sizeof *names, compare_names);
    return names;
}

/* ---- Small questions ------------------------------------------------------------------------- */

const char *graphql_kind_name(enum gql_definition_kind kind) {
    static const char *const names[] = {"SCALAR", "OBJECT", "INTERFACE",
                                        "UNION",  "ENUM",   "INPUT_OBJECT"};
    return names[kind];
}

struct gql_field_definition *graphql_field_find(const gql_fields *fields, str name) {
    for (u32 i = 0; i < fields->count; i++)
        if (str_eq(fields->items[i]->name, name)) return fields->items[i];
    return NULL;
}

str graphql_type_name(const struct gql_type *t) {
    while (t && t->elem) t = t->elem;
    return t ? t->name : (str){0};
}

void graphql_type_write(struct buf *to, const struct gql_type *t) {
    u32 depth = 0;
    for (const struct gql_type *in = t; in->elem; in = in->elem, depth++)
        (void)buf_add_byte(to, '[');
    const struct gql_type *chain[GRAPHQL_DEPTH_MAX + 1], *in = t;
    for (u32 i = 0; i <= depth && i <= GRAPHQL_DEPTH_MAX; i++, in = in->elem) chain[i] = in;
    (void)buf_add(to, chain[depth]->name);
    for (u32 i = depth + 1; i-- > 0;) {
        if (i < depth) (void)buf_add_byte(to, ']');
        if (chain[i]->non_null) (void)buf_add_byte(to, '!');
    }
}

static void write_quoted(struct buf *to, str s) { /* as the reference quotes in messages */
    (void)buf_add_byte(to, '"');
    for (size_t i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i];
        if (c == '"' || c == '\\')
            (void)buf_printf(to, "\\%c", c);
        else if (c == '\n')
            (void)buf_add(to, S("\\n"));
        else if (c == '\r')
            (void)buf_add(to, S("\\r"));
        else if (c == '\t')
            (void)buf_add(to, S("\\t"));
        else if (c < 0x20 || c == 0x7F)
            (void)buf_printf(to, "\\x%02x", c);
        else
            (void)buf_add_byte(to, (char)c);
    }
    (void)buf_add_byte(to, '"');
}

void graphql_value_write(struct buf *to,
                         const struct gql_value *v) { /* as deep as the parser allows */
    switch (v->kind) {
    case GQL_VARIABLE:
        (void)buf_add_byte(to, '$');
        (void)buf_add(to, v->raw);
        return;
    case GQL_STRING:
    case GQL_BLOCK: write_quoted(to, v->raw); return;
    case GQL_LIST_VALUE:
    case GQL_OBJECT:
        (void)buf_add_byte(to, v->kind == GQL_OBJECT ? '{' : '[');
        for (u32 i = 0; i < v->children.count; i++) {
            if (i) (void)buf_add_byte(to, ',');
            if (v->kind == GQL_OBJECT)
                (void)buf_printf(to, "%.*s:", STR(v->children.items[i].name));
            if (v->children.items[i].value) graphql_value_write(to, v->children.items[i].value);
        }
        (void)buf_add_byte(to, v->kind == GQL_OBJECT ? '}' : ']');
        return;
    default: (void)buf_add(to, v->raw);
    }
}
