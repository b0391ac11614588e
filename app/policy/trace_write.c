/* SPDX-License-Identifier: Apache-2.0 */
/* trace_write.c — a record as text and as JSON, in the reference's forms.
 *
 *   query:1         Enter data.app.allow = _
 *   query:1         | Eval data.app.allow = _
 *   query:1         | Index data.app.allow (matched 1 rule, early exit)
 *   app.rego:3      | Enter data.app.allow
 *   app.rego:4      | | Eval input.admin
 *   app.rego:4      | | Fail input.admin
 *
 * Nodes are shown with the names their author wrote; generated variables keep theirs. */
#include "app/policy/trace_record.h"
#include <stdlib.h>
#include "app/policy/value/json_text.h"

enum {
    PADDING = 4,
    VALUE_WIDTH = 32,
    TEXT_BYTES_MAX = 1 << 28,
    EVENT_WEIGHT = 64,           /* in values, as its JSON is made of some */
    COMMAND_WEIGHT_MAX = 4 << 20, /* values in all of it: each costs some 100 bytes */
    REST_WEIGHT_MAX = 1 << 17,   /* here some 400: terms are objects */
};

/* ---- Nodes, with names as written ---- */

struct renaming { const struct policy_event *e; struct heap *heap; };

static str written_of(const struct policy_event *e, str name) {
    for (u32 i = 0; i < e->local_count; i++)
        if (str_eq(e->locals[i].name, name)) return e->locals[i].written;
    return name;
}

static bool rename_term(struct ast_walk *w, struct ast_term **t) {
    struct renaming *r = w->arg;
    if ((*t)->kind != AST_VAR) return true;
    str name = written_of(r->e, (*t)->var);
    if (str_starts(name, S("$"))) name = S("_");
    if (str_eq(name, (*t)->var)) return true;
    struct ast_term *made = ast_var(r->heap, &(*t)->at, name);
    if (made) *t = made;
    return true;
}

/* A query's own condition asks for its value: `data.p` is `data.p = _`. */
static bool asks_value(const struct ast_expr *e) {
    return e->kind == AST_EXPR_TERM && !e->negated && e->at.file && !e->at.file->name.len;
}

static void write_expr(struct buf *to, struct heap *h, const struct policy_event *e,
                       const struct ast_expr *expr) {
    struct renaming r = {e, h};
    struct ast_walk walk = {.term = rename_term, .arg = &r};
    struct ast_expr *copy = ast_expr_copy(h, expr);
    if (!copy) return;
    ast_walk_expr(&walk, copy);
    if (copy->every && copy->every->key && copy->every->key->kind == AST_VAR &&
        str_starts(copy->every->key->var, S("__local")))
        copy->every->key = NULL;
    ast_expr_write(to, copy);
    if (asks_value(expr) && e->parent == 0 && e->query == 0) (void)buf_add(to, S(" = _"));
}

static void write_path(struct buf *to, const struct ast_rule *r) {
    struct ast_term path = *r->head->ref;
    u32 ground = 1;
    while (ground < path.count && ast_term_is_ground(path.terms[ground])) ground++;
    path.count = ground;
    ast_term_write(to, &path);
}

static void write_node(struct buf *to, struct heap *h, const struct policy_event *e) {
    if (e->rule) write_path(to, e->rule);
    else if (e->expr) write_expr(to, h, e, e->expr);
    else
        for (u32 i = 0; e->body && i < e->body->count; i++) {
            if (i) (void)buf_add(to, S("; "));
            write_expr(to, h, e, e->body->exprs[i]);
        }
}

static void write_message(struct buf *to, const struct policy_event *e) {
    if (e->op == POLICY_INDEX)
        (void)buf_printf(to, "(matched %u rule%s%s)", e->count, e->count == 1 ? "" : "s",
                         e->early ? ", early exit" : "");
    else if (e->op == POLICY_EXIT && e->early) (void)buf_add(to, S("early"));
    else (void)buf_add(to, e->message);
}

/* ---- Text ---- */

struct depths { u32 *of, room; };

/* One more than the body that needs it. */
static u32 depth_of(struct depths *d, const struct policy_event *e) {
    u32 top = e->query > e->parent ? e->query : e->parent;
    if (top >= d->room) {
        u32 room = d->room ? d->room : 64;
        while (room <= top) room *= 2;
        u32 *more = realloc(d->of, room * sizeof *more);
        if (!more) return 1;
        memset(more + d->room, 0, (room - d->room) * sizeof *more);
        d->of = more, d->room = room;
    }
    if (!d->of[e->query]) d->of[e->query] = d->of[e->parent] + 1;
    return d->of[e->query];
}

static void write_place(struct buf *to, const struct policy_event *e,
                        const struct ast_location **last) {
    if (e->at && e->at->file) *last = e->at;
    const struct ast_location *at = *last;
    if (!at) return;
    if (at->file->name.len) (void)buf_printf(to, "%.*s:%u", STR(at->file->name), at->row);
    else (void)buf_printf(to, "query:%u", at->row);
}

static void write_event(struct buf *to, struct heap *h, const struct policy_event *e, u32 depth) {
    bool outside = e->op == POLICY_ENTER || (e->op == POLICY_REDO && !e->expr);
    for (u32 i = outside; i < depth; i++) (void)buf_add(to, S("| "));
    (void)buf_printf(to, "%s ", policy_event_name(e->op));
    if (e->op == POLICY_NOTE) {
        value_write(to, value_string(h, e->message));
        return;
    }
    size_t before = to->len;
    write_node(to, h, e);
    size_t node = to->len;
    (void)buf_add(to, S(" "));
    write_message(to, e);
    if (to->len == node + 1 && node >= before) to->len = node;
}

static int by_written(const void *a, const void *b) {
    const struct policy_local *const *x = a, *const *y = b;
    return str_cmp((*x)->written, (*y)->written);
}

static bool mention(struct ast_walk *w, struct ast_term **t) {
    struct { const struct policy_event *e; bool *seen; } *in = w->arg;
    for (u32 i = 0; (*t)->kind == AST_VAR && i < in->e->local_count; i++)
        if (str_eq(in->e->locals[i].name, (*t)->var)) in->seen[i] = true;
    return true;
}

/* What the variables of the node hold: {x: 1, y: "a"} */
static void write_locals(struct buf *to, struct heap *h, const struct policy_event *e) {
    bool *seen = heap_alloc(h, e->local_count + 1);
    const struct policy_local **shown = heap_alloc(h, (e->local_count + 1) * sizeof *shown);
    if (!seen || !shown) return;
    memset(seen, 0, e->local_count + 1);
    struct { const struct policy_event *e; bool *seen; } in = {e, seen};
    struct ast_walk walk = {.term = mention, .arg = &in};
    if (e->expr) ast_walk_expr(&walk, (struct ast_expr *)e->expr);
    else if (e->body) ast_walk_body(&walk, (struct ast_body *)e->body);
    else if (e->rule && e->rule->head->value) ast_walk_term(&walk, &e->rule->head->value);
    u32 count = 0;
    for (u32 i = 0; i < e->local_count; i++)
        if (seen[i] && value_defined(e->locals[i].v)) shown[count++] = e->locals + i;
    if (count) qsort(shown, count, sizeof *shown, by_written);
    (void)buf_add(to, S("{"));
    for (u32 i = 0; i < count; i++) {
        struct buf text;
        buf_open(&text, TEXT_BYTES_MAX);
        value_write(&text, shown[i]->v);
        bool cut = text.len > VALUE_WIDTH;
        str name = str_starts(shown[i]->written, S("$")) ? S("_") : shown[i]->written;
        (void)buf_printf(to, "%s%.*s: %.*s%s", i ? ", " : "", STR(name),
                         cut ? VALUE_WIDTH - 3 : (int)text.len, text.ptr ? text.ptr : "",
                         cut ? "..." : "");
        buf_close(&text);
    }
    (void)buf_add(to, S("}"));
}

/* Columns as wide as their widest cell; the last one as it is. */
static void write_cell(struct buf *to, str cell, size_t width) {
    (void)buf_printf(to, "%.*s%*s ", STR(cell), (int)(width + PADDING - cell.len), "");
}

void policy_record_write(struct buf *to, const struct policy_record *r, bool variables) {
    size_t widths[2] = {0};
    for (int pass = 0; pass < 2; pass++) {
        struct depths depths = {0};
        const struct ast_location *last = NULL;
        for (u32 i = 0; i < r->steps.count; i++) {
            const struct policy_event *e = r->steps.items[i];
            struct buf place, what;
            struct heap h;
            heap_open(&h, 1 << 24);
            buf_open(&place, TEXT_BYTES_MAX), buf_open(&what, TEXT_BYTES_MAX);
            write_place(&place, e, &last);
            write_event(&what, &h, e, depth_of(&depths, e));
            if (place.len > widths[0]) widths[0] = place.len;
            if (what.len > widths[1]) widths[1] = what.len;
            if (pass) {
                write_cell(to, buf_str(&place), widths[0]);
                if (variables) write_cell(to, buf_str(&what), widths[1]), write_locals(to, &h, e);
                else (void)buf_add(to, buf_str(&what));
                (void)buf_add(to, S("\n"));
            }
            buf_close(&place), buf_close(&what);
            heap_close(&h);
        }
        free(depths.of);
    }
}

/* ---- JSON ---- */

static void put(struct value_builder *b, const char *key, value v) {
    value_builder_replace(b, value_string_c(b->heap, key), v);
}

static value node_json(struct heap *h, const struct policy_event *e) {
    if (e->rule && e->op != POLICY_INDEX) return ast_rule_json(h, e->rule, false);
    if (e->expr) return ast_expr_json(h, e->expr, false);
    return e->body ? ast_body_json(h, e->body, false) : value_null();
}

static value term_of(struct heap *h, value v) {
    struct ast_term *t = ast_of_value(h, NULL, v);
    return t ? ast_term_json(h, t, false) : value_null();
}

static value name_of(struct heap *h, str name) {
    struct ast_term *t = ast_var(h, NULL, name);
    return t ? ast_term_json(h, t, false) : value_null();
}

static value place_json(struct heap *h, const struct ast_location *at) {
    struct value_builder b;
    if (!at || !at->file) return value_null();
    value_builder_open(&b, h, VALUE_OBJECT);
    put(&b, "file", value_string(h, at->file->name));
    put(&b, "row", value_integer(at->row));
    put(&b, "col", value_integer(at->column));
    return value_builder_close(&b);
}

static value locals_json(struct heap *h, const struct policy_event *e,
                         enum policy_record_form form) {
    struct value_builder list;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < e->local_count; i++) {
        const struct policy_local *l = e->locals + i;
        struct value_builder one;
        if (!value_defined(l->v)) continue;
        value_builder_open(&one, h, VALUE_OBJECT);
        if (form == POLICY_RECORD_REST) {
            put(&one, "key", name_of(h, l->name));
            put(&one, "value", term_of(h, l->v));
        } else {
            put(&one, "name", value_string(h, l->name));
            put(&one, "type", value_string_c(h, value_kind_name(l->v.kind)));
            put(&one, "value", l->v);
        }
        value_builder_add(&list, value_builder_close(&one));
    }
    return value_builder_close(&list);
}

static value names_json(struct heap *h, const struct policy_event *e) {
    struct value_builder all;
    value_builder_open(&all, h, VALUE_OBJECT);
    for (u32 i = 0; i < e->local_count; i++) {
        struct value_builder one;
        value_builder_open(&one, h, VALUE_OBJECT);
        put(&one, "name", value_string(h, e->locals[i].written));
        put(&one, "location", value_null());
        value_builder_replace(&all, value_string(h, e->locals[i].name), value_builder_close(&one));
    }
    return value_builder_close(&all);
}

static const char *type_of(const struct policy_event *e) {
    return e->rule && e->op != POLICY_INDEX ? "rule" : e->expr ? "expr" : e->body ? "body" : "";
}

static value lower(struct heap *h, const char *word) {
    char room[16];
    size_t n = strlen(word);
    for (size_t i = 0; i < n; i++) room[i] = (char)(word[i] | 0x20);
    return value_string(h, str_of(room, n));
}

static value event_json(struct heap *h, const struct policy_event *e, enum policy_record_form form,
                        const struct ast_location *at) {
    bool rest = form == POLICY_RECORD_REST;
    struct value_builder b;
    struct buf message;
    buf_open(&message, TEXT_BYTES_MAX);
    write_message(&message, e);
    value_builder_open(&b, h, VALUE_OBJECT);
    const char *name = policy_event_name(e->op);
    put(&b, rest ? "op" : "Op", rest ? lower(h, name) : value_string_c(h, name));
    put(&b, rest ? "query_id" : "QueryID", value_integer(e->query));
    put(&b, rest ? "parent_id" : "ParentID", value_integer(e->parent));
    put(&b, rest ? "node" : "Node", node_json(h, e));
    put(&b, rest ? "locals" : "Locals", locals_json(h, e, form));
    if (rest) put(&b, "type", value_string_c(h, type_of(e)));
    if (!rest || message.len)
        put(&b, rest ? "message" : "Message", value_string(h, buf_str(&message)));
    if (!rest) {
        put(&b, "Location", place_json(h, at));
        put(&b, "LocalMetadata", names_json(h, e));
        put(&b, "Ref",
            e->op == POLICY_INDEX
                ? value_get_str(ast_term_json(h, e->rule->head->ref, false), S("value"))
                : value_null());
    }
    buf_close(&message);
    return value_builder_close(&b);
}

/* How many values it is made of, counted up to `most`. */
static u32 weight_of(value v, u32 most) {
    u32 n = 1;
    for (u32 i = 0; n < most && i < value_count(v); i++) {
        bool object = v.kind == VALUE_OBJECT;
        if (object) n += weight_of(value_key_at(v, i), most - n);
        if (n < most) n += weight_of(object ? value_value_at(v, i) : value_item(v, i), most - n);
    }
    return n;
}

static u32 event_weight(const struct policy_event *e, u32 most) {
    u32 n = EVENT_WEIGHT + (e->rule ? e->rule->at.len : e->expr ? e->expr->at.len : 0);
    for (u32 i = 0; n < most && i < e->local_count; i++) n += weight_of(e->locals[i].v, most - n);
    return n;
}

value policy_record_json(struct heap *h, const struct policy_record *r,
                         enum policy_record_form form) {
    struct value_builder list;
    const struct ast_location *last = NULL;
    u32 left = form == POLICY_RECORD_REST ? REST_WEIGHT_MAX : COMMAND_WEIGHT_MAX;
    value_builder_open(&list, h, VALUE_ARRAY);
    for (u32 i = 0; i < r->steps.count; i++) {
        const struct policy_event *e = r->steps.items[i];
        u32 weight = event_weight(e, left);
        if (weight >= left) break;
        left -= weight;
        if (e->at && e->at->file) last = e->at;
        value_builder_add(&list, event_json(h, e, form, last));
    }
    return value_builder_close(&list);
}
