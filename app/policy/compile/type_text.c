/* SPDX-License-Identifier: Apache-2.0 */
/* type_text.c — types from and to text and JSON. The notation is type.h's; it is read by plain
 * recursive descent, depth-bounded, and written without loss except for known keys that are not
 * strings, which the reference prints bare. */
#include "app/policy/compile/type.h"
#include "app/policy/value/json_text.h"

/* ---- Reading ------------------------------------------------------------------------------- */

enum { LIST_MAX = 32 }; /* members between one pair of < > or ( ): declarations have fewer */

struct reader {
    struct heap *heap;
    str rest;
    u32 depth;
    bool bad; /* not in the notation, or no memory */
};

static void blanks(struct reader *r) {
    while (r->rest.len && r->rest.ptr[0] == ' ') r->rest = str_skip(r->rest, 1);
}

static bool take(struct reader *r, str token) {
    blanks(r);
    if (!str_starts(r->rest, token)) return false;
    r->rest = str_skip(r->rest, token.len);
    return true;
}

static void must(struct reader *r, str token) {
    if (!take(r, token)) r->bad = true;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '$' || c == '.';
}

static str word(struct reader *r) {
    blanks(r);
    size_t n = 0;
    while (n < r->rest.len && is_word(r->rest.ptr[n])) n++;
    /* "any..." is a word and what follows it */
    while (n >= 3 && str_ends(str_take(r->rest, n), S("..."))) n -= 3;
    str w = str_take(r->rest, n);
    r->rest = str_skip(r->rest, n);
    return w;
}

static const struct type *read_type(struct reader *r);

static u32 read_list(struct reader *r, const struct type **list, str close) {
    u32 n = 0;
    if (take(r, close)) return 0;
    do {
        if (n == LIST_MAX) r->bad = true;
        if (r->bad) return 0;
        list[n++] = read_type(r);
    } while (take(r, S(",")));
    must(r, close);
    return n;
}

static const struct type *read_array(struct reader *r) {
    const struct type *list[LIST_MAX], *rest = NULL;
    u32 n = take(r, S("<")) ? read_list(r, list, S(">")) : 0;
    if (take(r, S("["))) {
        rest = read_type(r);
        must(r, S("]"));
    }
    return r->bad ? NULL : type_array(r->heap, list, n, rest);
}

static const struct type *read_object(struct reader *r) {
    struct type_property list[LIST_MAX];
    const struct type *key = NULL, *of = NULL;
    u32 n = 0;
    if (take(r, S("<"))) {
        do {
            if (n == LIST_MAX) r->bad = true;
            if (r->bad) return NULL;
            list[n].key = value_string(r->heap, word(r));
            must(r, S(":"));
            list[n++].type = read_type(r);
        } while (take(r, S(",")));
        must(r, S(">"));
    }
    if (take(r, S("["))) {
        key = read_type(r);
        must(r, S(":"));
        of = read_type(r);
        must(r, S("]"));
    }
    return r->bad ? NULL : type_object(r->heap, list, n, key, of);
}

static const struct type *read_any(struct reader *r) {
    const struct type *list[LIST_MAX], *all = NULL;
    if (!take(r, S("<"))) return &type_any;
    u32 n = read_list(r, list, S(">"));
    for (u32 i = 0; i < n && !r->bad; i++) all = type_or(r->heap, all, list[i]);
    if (!all || all->kind == TYPE_ANY || r->bad) return all;
    struct type *one = heap_alloc(r->heap, sizeof *one); /* any<T> is not T: it is written so */
    const struct type *made = type_array(r->heap, &all, 1, NULL);
    if (!one || !made) return NULL;
    *one = *made;
    one->kind = TYPE_ANY;
    return one;
}

/* `name: T`, of an argument or a result; or T alone. */
static const struct type *read_named(struct reader *r) {
    str before = r->rest, name = word(r);
    if (!name.len || !take(r, S(":"))) {
        r->rest = before;
        return read_type(r);
    }
    const struct type *of = read_type(r);
    struct type *named = of ? heap_alloc(r->heap, sizeof *named) : NULL;
    value kept = value_string(r->heap, name);
    if (!named || r->heap->exhausted) {
        r->bad = true;
        return NULL;
    }
    *named = *of;
    named->name = value_str(kept);
    named->bare = of;
    return named;
}

static const struct type *read_function(struct reader *r) {
    const struct type *list[LIST_MAX], *more = NULL, *result = NULL;
    u32 n = 0;
    if (!take(r, S(")"))) {
        do {
            if (n == LIST_MAX || more) r->bad = true;
            if (r->bad) return NULL;
            list[n++] = read_named(r);
            if (take(r, S("..."))) more = list[--n];
        } while (take(r, S(",")));
        must(r, S(")"));
    }
    if (take(r, S("=>"))) result = read_named(r);
    if (r->bad) return NULL;
    const struct type *t = type_function(r->heap, list, n, result);
    if (!t || !more) return t;
    struct type *variadic = heap_alloc(r->heap, sizeof *variadic);
    if (!variadic) return NULL;
    *variadic = *t;
    variadic->key = more;
    return variadic;
}

static const struct type *read_type(struct reader *r) {
    static const struct {
        str word;
        const struct type *type;
    } plain[] = {
        {S("null"), &type_null},
        {S("boolean"), &type_boolean},
        {S("number"), &type_number},
        {S("string"), &type_string},
    };
    if (r->bad || ++r->depth > TYPE_DEPTH_MAX) {
        r->bad = true;
        return NULL;
    }
    const struct type *t = NULL;
    if (take(r, S("("))) {
        t = read_function(r);
    } else {
        str w = word(r);
        for (u32 i = 0; i < ARRAY_LEN(plain) && !t; i++)
            if (str_eq(w, plain[i].word)) t = plain[i].type;
        if (t) {
        } else if (str_eq(w, S("any"))) {
            t = read_any(r);
        } else if (str_eq(w, S("array"))) {
            t = read_array(r);
        } else if (str_eq(w, S("object"))) {
            t = read_object(r);
        } else if (str_eq(w, S("set")) && take(r, S("["))) {
            t = type_set(r->heap, read_type(r));
            must(r, S("]"));
        }
    }
    if (!t) r->bad = true;
    r->depth--;
    return t;
}

rc_t type_parse(struct heap *h, str text, const struct type **out, struct diag *why) {
    struct reader r = {.heap = h, .rest = text};
    const struct type *t = read_type(&r);
    blanks(&r);
    if (h->exhausted) return RC_NO_MEMORY;
    if (r.bad || r.rest.len) {
        if (why) diag_set(why, "not a type: %.*s", STR(text));
        return RC_INVALID;
    }
    *out = t;
    return RC_OK;
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* A known key, as Go prints it: bare strings, [1 2], map[a:1]. */
static void write_key(struct buf *to, value key) {
    rc_t rc = RC_OK;
    switch (key.kind) {
    case VALUE_STRING: rc = buf_add(to, value_str(key)); break;
    case VALUE_NULL: rc = buf_add(to, S("<nil>")); break;
    case VALUE_ARRAY:
    case VALUE_SET:
        rc = buf_add_byte(to, '[');
        for (u32 i = 0; i < value_count(key); i++) {
            if (i) rc = buf_add_byte(to, ' ');
            write_key(to, value_item(key, i));
        }
        rc = buf_add_byte(to, ']');
        break;
    case VALUE_OBJECT:
        rc = buf_add(to, S("map["));
        for (u32 i = 0; i < value_count(key); i++) {
            if (i) rc = buf_add_byte(to, ' ');
            write_key(to, value_key_at(key, i));
            rc = buf_add_byte(to, ':');
            write_key(to, value_value_at(key, i));
        }
        rc = buf_add_byte(to, ']');
        break;
    default: value_write(to, key);
    }
    (void)rc; /* a buffer that is full says so itself */
}

static void add(struct buf *to, str s) {
    rc_t rc = buf_add(to, s);
    (void)rc;
}

static void write_items(struct buf *to, const struct type *t) {
    for (u32 i = 0; i < t->count; i++) {
        if (i) add(to, S(", "));
        type_write(to, t->items[i]);
    }
}

static void write_object(struct buf *to, const struct type *t) {
    add(to, S("object"));
    for (u32 i = 0; i < t->count; i++) {
        add(to, i ? S(", ") : S("<"));
        write_key(to, t->properties[i].key);
        add(to, S(": "));
        type_write(to, t->properties[i].type);
    }
    if (t->count) add(to, S(">"));
    if (!t->key && !t->of) return;
    add(to, S("["));
    type_write(to, t->key);
    add(to, S(": "));
    type_write(to, t->of);
    add(to, S("]"));
}

static void write_bare(struct buf *to, const struct type *t) {
    struct type bare = t ? *t : type_any;
    bare.name = (str){0};
    type_write(to, t ? &bare : NULL);
}

static void write_function(struct buf *to, const struct type *t) {
    add(to, S("("));
    for (u32 i = 0; i < t->count; i++) {
        if (i) add(to, S(", "));
        write_bare(to, t->items[i]);
    }
    if (t->key) {
        if (t->count) add(to, S(", "));
        write_bare(to, t->key);
        add(to, S("..."));
    }
    add(to, S(") => "));
    write_bare(to, t->of);
}

void type_write(struct buf *to, const struct type *t) {
    static const str plain[] = {S("null"), S("boolean"), S("number"), S("string")};
    if (!t) {
        add(to, S("???"));
        return;
    }
    if (t->name.len) {
        add(to, t->name);
        add(to, S(": "));
    }
    switch (t->kind) {
    case TYPE_ARRAY:
        add(to, t->count ? S("array<") : S("array"));
        write_items(to, t);
        if (t->count) add(to, S(">"));
        if (t->of) add(to, S("[")), type_write(to, t->of), add(to, S("]"));
        break;
    case TYPE_SET: add(to, S("set[")), type_write(to, t->of), add(to, S("]")); break;
    case TYPE_ANY:
        add(to, t->count ? S("any<") : S("any"));
        write_items(to, t);
        if (t->count) add(to, S(">"));
        break;
    case TYPE_OBJECT: write_object(to, t); break;
    case TYPE_FUNCTION: write_function(to, t); break;
    default: add(to, plain[t->kind]);
    }
}

/* ---- The form of the capabilities document -------------------------------------------------- */

static void put(struct heap *h, struct value_builder *b, const char *name, value v) {
    rc_t rc = value_builder_put(b, value_string_c(h, name), v);
    (void)rc; /* names differ */
}

static value json_list(struct heap *h, const struct type *t) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_ARRAY);
    for (u32 i = 0; i < t->count; i++) value_builder_add(&b, type_json(h, t->items[i]));
    return value_builder_close(&b);
}

static value json_pair(struct heap *h, value key, const struct type *of) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    put(h, &b, "key", key);
    put(h, &b, "value", type_json(h, of));
    return value_builder_close(&b);
}

static void json_object(struct heap *h, struct value_builder *to, const struct type *t) {
    struct value_builder known;
    value_builder_open(&known, h, VALUE_ARRAY);
    for (u32 i = 0; i < t->count; i++)
        value_builder_add(&known, json_pair(h, t->properties[i].key, t->properties[i].type));
    if (t->count) put(h, to, "static", value_builder_close(&known));
    if (t->key || t->of) put(h, to, "dynamic", json_pair(h, type_json(h, t->key), t->of));
}

value type_json(struct heap *h, const struct type *t) {
    static const char *const names[] = {"null",   "boolean", "number", "string",  "array",
                                        "object", "set",     "any",    "function"};
    if (!t) return value_null();
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    put(h, &b, "type", value_string_c(h, names[t->kind]));
    if (t->name.len) put(h, &b, "name", value_string(h, t->name));
    switch (t->kind) {
    case TYPE_ARRAY:
        if (t->count) put(h, &b, "static", json_list(h, t));
        if (t->of) put(h, &b, "dynamic", type_json(h, t->of));
        break;
    case TYPE_SET:
        if (t->of) put(h, &b, "of", type_json(h, t->of));
        break;
    case TYPE_ANY:
        if (t->count) put(h, &b, "of", json_list(h, t));
        break;
    case TYPE_OBJECT: json_object(h, &b, t); break;
    case TYPE_FUNCTION:
        if (t->count) put(h, &b, "args", json_list(h, t));
        if (t->of) put(h, &b, "result", type_json(h, t->of));
        if (t->key) put(h, &b, "variadic", type_json(h, t->key));
        break;
    default: break;
    }
    return value_builder_close(&b);
}
