/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_read.c — YAML text to a value, over libyaml's stream of events.
 *
 *   text --libyaml--> events --> stack of open collections (value builders) --> value
 *
 * One frame per open collection; no recursion, so depth costs heap and is limited. An alias is the
 * value of its anchor itself, shared, but counted as often as it would be written out: a document
 * whose aliases unfold to far more than its text is refused, by the reference's rule.
 *
 * As in the reference the text is parsed first: what is wrong with its meaning (an alias within its
 * own anchor, a merge of what is no mapping) is only told when its grammar is right. */
#include "app/policy/value/base64_text.h"
#include "app/policy/value/number.h"
#include "app/policy/value/yaml_text.h"
#include "kernel/base/limits.h"
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#define TAG(name) "tag:yaml.org,2002:" name

struct frame {
    struct value_builder items;
    value key;        /* of a mapping: read, its value is awaited; UNDEFINED: a key is next */
    bool merging;     /* the key was << */
    s64 anchor;       /* index of its anchor; -1: none */
    u64 nodes_before; /* of the reader when it was opened */
};

/* What an anchor stands for. Open: the node it names is still being read. */
struct anchor {
    value v;
    u64 nodes;
    bool open;
};

struct reader {
    struct heap *heap;
    struct diag *why;
    yaml_parser_t parser;
    struct frame *frames;
    u32 depth, room;
    struct anchor *anchors;
    u32 anchor_count, anchor_room;
    struct value_builder names; /* anchor's name -> its index */
    u64 nodes, aliased;         /* values made; those of them by way of aliases */
    bool refused;               /* the meaning is wrong: `why` tells */
    value result;
};

static void refuse(struct reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void refuse(struct reader *r, const char *fmt, ...) {
    char words[DIAG_TEXT_MAX];
    va_list args;
    if (r->refused) return;
    r->refused = true;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    diag_set(r->why, "%s", words);
}

/* The reference counts lines from 0 in its parser and adds one for its scanner alone. */
static rc_t fail_of_parser(struct reader *r) {
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return RC_NO_MEMORY;
    size_t line = p->problem_mark.line ? p->problem_mark.line + (p->error == YAML_SCANNER_ERROR)
                                       : p->context_mark.line;
    const char *problem = p->problem ? p->problem : "unknown problem parsing YAML content";
    if (line)
        diag_set(r->why, "yaml: line %zu: %s", line, problem);
    else
        diag_set(r->why, "yaml: %s", problem);
    if (r->why) r->why->line = (int)line;
    return RC_INVALID;
}

/* ---- Anchors --------------------------------------------------------------------------------- */

static value name_of(struct reader *r, const yaml_char_t *z) {
    return value_string(r->heap, str_from_c((const char *)z));
}

static s64 anchor_add(struct reader *r, const yaml_char_t *name) {
    if (!name) return -1;
    if (r->anchor_count == r->anchor_room) {
        u32 room = MAX(8, r->anchor_room * 2);
        struct anchor *grown = heap_alloc(r->heap, room * sizeof *grown);
        if (!grown) return -1;
        if (r->anchor_count) memcpy(grown, r->anchors, r->anchor_count * sizeof *grown);
        r->anchors = grown, r->anchor_room = room;
    }
    r->anchors[r->anchor_count] = (struct anchor){.v = value_null(), .open = true};
    value_builder_replace(&r->names, name_of(r, name), value_integer(r->anchor_count));
    return r->anchor_count++;
}

static void anchor_close(struct reader *r, s64 index, value v, u64 nodes_before) {
    if (index < 0) return;
    r->anchors[index] = (struct anchor){.v = v, .nodes = r->nodes - nodes_before};
}

/* The share of values that may come from aliases falls as the document unfolds. */
static bool is_excessive(const struct reader *r) {
    const double low = 400000, high = 4000000;
    if (r->aliased <= 100 || r->nodes <= 1000) return false;
    double n = (double)r->nodes;
    double allowed = n <= low ? 0.99 : n >= high ? 0.10 : 0.99 - 0.89 * ((n - low) / (high - low));
    return (double)r->aliased / n > allowed;
}

/* ---- Values into their places ---------------------------------------------------------------- */

/* Keys become strings as the reference's do. UNDEFINED: not possible. */
static value key_of(struct reader *r, value k, double real, bool is_real) {
    char room[MAX((int)YAML_FLOAT_ROOM, (int)NUMBER_TEXT_ROOM)];
    switch ((enum value_kind)k.kind) {
    case VALUE_STRING: return k;
    case VALUE_BOOLEAN: return value_string_c(r->heap, value_is_true(k) ? "true" : "false");
    case VALUE_NUMBER:
        if (!is_real) return value_string(r->heap, number_text(k, room));
        return value_string(r->heap, yaml_float_write(real, 'g', true, room));
    case VALUE_NULL:
        refuse(r, "unsupported map key of type: %%!s(<nil>), key: <nil>");
        return UNDEFINED;
    default: refuse(r, "yaml: invalid map key: %s", value_kind_name(k.kind)); return UNDEFINED;
    }
}

static void merge_one(struct reader *r, struct frame *f, value from) {
    if (!value_is(from, VALUE_OBJECT)) {
        refuse(r, "yaml: map merge requires map or sequence of maps as the value");
        return;
    }
    for (u32 i = 0; i < value_count(from); i++)
        value_builder_replace(&f->items, value_key_at(from, i), value_value_at(from, i));
}

/* Of several mappings the earlier ones win. */
static void merge(struct reader *r, struct frame *f, value from) {
    if (!value_is(from, VALUE_ARRAY)) {
        merge_one(r, f, from);
        return;
    }
    for (u32 i = value_count(from); i-- > 0;) merge_one(r, f, value_item(from, i));
}

struct scalar { /* a node as it arrives */
    value v;
    double real; /* of a double, as a key needs it */
    bool is_real, is_merge;
};

static void place(struct reader *r, struct scalar s) {
    r->nodes++;
    if (is_excessive(r)) refuse(r, "yaml: document contains excessive aliasing");
    if (r->depth == 0) {
        r->result = s.v;
        return;
    }
    struct frame *f = &r->frames[r->depth - 1];
    if (f->items.kind == VALUE_ARRAY) {
        value_builder_add(&f->items, s.v);
        return;
    }
    if (!value_defined(f->key)) {
        f->merging = s.is_merge;
        f->key = s.is_merge ? s.v : key_of(r, s.v, s.real, s.is_real);
        if (!value_defined(f->key))
            f->key = value_null(); /* refused: only the grammar counts now */
        return;
    }
    if (f->merging)
        merge(r, f, s.v);
    else if (!r->refused)
        value_builder_replace(&f->items, f->key, s.v);
    f->key = UNDEFINED;
}

/* ---- Scalars --------------------------------------------------------------------------------- */

static value decode_binary(struct reader *r, str text) {
    size_t n, bad_at;
    char *room = value_string_room(r->heap, BASE64_READ_ROOM(text.len));
    if (!room) return value_null();
    if (base64_text_read(text, 0, room, &n, &bad_at)) {
        refuse(r, "yaml: !!binary value contains invalid base64 data");
        return value_null();
    }
    return value_string_seal(room, n);
}

static value number_of_text(struct reader *r, str text) {
    value v = value_number(r->heap, text);
    return value_defined(v) ? v : value_null();
}

static void set_real(struct reader *r, double d, struct scalar *out) {
    char room[YAML_FLOAT_ROOM];
    out->real = d, out->is_real = true;
    str text = yaml_float_write(d, 'j', false, room);
    if (text.ptr[text.len - 1] > '9') { /* NaN, +Inf */
        refuse(r, "json: unsupported value: %.*s", STR(text));
        text = S("0");
    }
    out->v = number_of_text(r, text);
}

static void set_plain(struct reader *r, str text, struct yaml_scalar s, struct scalar *out) {
    char room[32];
    switch (s.kind) {
    case YAML_NULL: out->v = value_null(); break;
    case YAML_TRUE: out->v = value_boolean(true); break;
    case YAML_FALSE: out->v = value_boolean(false); break;
    case YAML_INTEGER:
        snprintf(room, sizeof room, "%s%llu", s.negative ? "-" : "",
                 (unsigned long long)s.magnitude);
        out->v = number_of_text(r, str_from_c(room));
        break;
    case YAML_FLOAT: set_real(r, s.real, out); break;
    case YAML_TEXT:
    case YAML_TIME: out->v = value_string(r->heap, text); break;
    }
}

/* "!!int" of a resolved kind; NULL for what no tag asks for. */
static const char *tag_of(enum yaml_kind kind) {
    switch (kind) {
    case YAML_NULL: return TAG("null");
    case YAML_TRUE:
    case YAML_FALSE: return TAG("bool");
    case YAML_INTEGER: return TAG("int");
    case YAML_FLOAT: return TAG("float");
    case YAML_TIME: return TAG("timestamp");
    case YAML_TEXT: break;
    }
    return TAG("str");
}

static void resolve_tagged(struct reader *r, str text, const char *tag, struct scalar *out) {
    static const char *const known[] = {TAG("bool"), TAG("int"), TAG("float"), TAG("null"),
                                        TAG("timestamp")};
    bool is_known = false;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) is_known |= strcmp(tag, known[i]) == 0;
    if (!is_known) { /* !!str, and any tag of somebody's own */
        out->v = strcmp(tag, TAG("binary")) ? value_string(r->heap, text) : decode_binary(r, text);
        return;
    }
    struct yaml_scalar s = yaml_scalar_resolve(text);
    if (s.kind == YAML_INTEGER && strcmp(tag, TAG("float")) == 0) {
        s.real = s.negative ? -(double)s.magnitude : (double)s.magnitude;
        s.kind = YAML_FLOAT;
    }
    if (strcmp(tag_of(s.kind), tag)) {
        refuse(r, "yaml: cannot decode !!%s `%.*s` as a !!%s", tag_of(s.kind) + strlen(TAG("")),
               (int)MIN(text.len, 80), text.ptr, tag + strlen(TAG("")));
        return;
    }
    set_plain(r, text, s, out);
}

static void read_scalar(struct reader *r, const yaml_event_t *e) {
    str text = {(const char *)e->data.scalar.value, e->data.scalar.length};
    const char *tag = (const char *)e->data.scalar.tag;
    u64 before = r->nodes;
    s64 anchor = anchor_add(r, e->data.scalar.anchor);
    struct scalar s = {.v = value_null()};
    s.is_merge = str_eq(text, S("<<")) &&
                 (e->data.scalar.plain_implicit || (tag && strcmp(tag, TAG("merge")) == 0));
    if (tag && *tag)
        resolve_tagged(r, text, tag, &s);
    else if (e->data.scalar.plain_implicit)
        set_plain(r, text, yaml_scalar_resolve(text), &s);
    else
        s.v = value_string(r->heap, text);
    place(r, s);
    anchor_close(r, anchor, s.v, before);
}

/* ---- Collections and aliases ----------------------------------------------------------------- */

static rc_t open_frame(struct reader *r, enum value_kind kind, const yaml_char_t *anchor) {
    if (r->depth == YAML_DEPTH_MAX) {
        diag_set(r->why, "yaml: exceeded max depth of %d", YAML_DEPTH_MAX);
        return RC_LIMIT;
    }
    if (r->depth == r->room) {
        u32 room = MAX(8, r->room * 2);
        struct frame *grown = heap_alloc(r->heap, room * sizeof *grown);
        if (!grown) return RC_NO_MEMORY;
        if (r->depth) memcpy(grown, r->frames, r->depth * sizeof *grown);
        r->frames = grown, r->room = room;
    }
    struct frame *f = &r->frames[r->depth++];
    *f =
        (struct frame){.key = UNDEFINED, .anchor = anchor_add(r, anchor), .nodes_before = r->nodes};
    value_builder_open(&f->items, r->heap, kind);
    return RC_OK;
}

static void close_frame(struct reader *r) {
    struct frame *f = &r->frames[--r->depth];
    s64 anchor = f->anchor;
    u64 before = f->nodes_before;
    value v = value_builder_close(&f->items);
    place(r, (struct scalar){.v = v});
    anchor_close(r, anchor, v, before);
}

static rc_t read_alias(struct reader *r, const yaml_char_t *name) {
    value index = value_builder_find(&r->names, name_of(r, name));
    if (!value_is(index, VALUE_NUMBER)) {
        diag_set(r->why, "yaml: unknown anchor '%s' referenced", (const char *)name);
        return RC_INVALID;
    }
    struct anchor *a = &r->anchors[index.integer];
    if (a->open) refuse(r, "yaml: anchor '%s' value contains itself", (const char *)name);
    r->nodes += a->nodes, r->aliased += a->nodes;
    place(r, (struct scalar){.v = a->v});
    return RC_OK;
}

static rc_t read_event(struct reader *r, const yaml_event_t *e, bool *done) {
    switch (e->type) {
    case YAML_SCALAR_EVENT: read_scalar(r, e); break;
    case YAML_ALIAS_EVENT: return read_alias(r, e->data.alias.anchor);
    case YAML_SEQUENCE_START_EVENT:
        return open_frame(r, VALUE_ARRAY, e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT: return open_frame(r, VALUE_OBJECT, e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: close_frame(r); break;
    case YAML_DOCUMENT_END_EVENT:
    case YAML_STREAM_END_EVENT: *done = true; break;
    default: break;
    }
    return RC_OK;
}

rc_t yaml_text_read(struct heap *h, str text, value *out, struct diag *why) {
    struct reader r = {.heap = h, .why = why, .result = value_null()};
    *out = value_null();
    if (!yaml_parser_initialize(&r.parser)) return RC_NO_MEMORY;
    yaml_parser_set_input_string(&r.parser, (const u8 *)(text.ptr ? text.ptr : ""), text.len);
    value_builder_open(&r.names, h, VALUE_OBJECT);
    rc_t rc = RC_OK;
    for (bool done = false; !rc && !done;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r.parser, &e)) {
            rc = fail_of_parser(&r);
            break;
        }
        rc = read_event(&r, &e, &done);
        yaml_event_delete(&e);
        if (h->exhausted) rc = RC_NO_MEMORY;
    }
    yaml_parser_delete(&r.parser);
    if (!rc && r.refused) rc = RC_INVALID;
    if (!rc) *out = r.result;
    return rc;
}
