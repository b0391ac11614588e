/* SPDX-License-Identifier: Apache-2.0 */
/* advise.c — what could go? Every recorded decision is asked again, watched, and then without each
 * entry of the role data in turn.
 *
 *   records --ask, watched--> answers, rules that held --> rules that never did
 *           --ask without entry i, until one answer differs--> entries nobody needed
 *           --count by member of the input and value--> inputs never allowed
 *
 * The work is bounded: so many records, so many entries, a deadline; what was not finished is said
 * (complete: false) and no advice is given on it. */
#include <stdlib.h>
#include "app/policy/advise.h"
#include "app/policy/lang/annotations.h"
#include "app/policy/trace_cover.h"
#include "app/policy/value/json_text.h"
#include "app/policy/why.h"

enum { STEPS_MAX = 2 * 1000 * 1000, SIGHTINGS_MAX = 4096, SEEN_LEAST = 5, VALUES_LEAST_OTHERS = 1,
       VALUES_OF_ONE_MAX = 64, KEYS_MAX = 16, LEAF_DEPTH = 3, LEAF_TEXT = 120 };

struct asked {
    value path, input, at, id;
    struct policy_query *query; /* shared by all of one path */
    value answer;               /* today's; UNDEFINED: none, or an error */
    bool failed, allowed;
};
struct entry { /* of role data */
    value keys[KEYS_MAX];
    u32 count;
    bool shipped, needed, tried;
};
struct sighting { /* of a value at a place in inputs */
    value path, pointer, v;
    u64 count, allowed;
    u32 sample;
};
struct policy_advisor {
    struct policy_advise_options o;
    value shipped; /* UNDEFINED: none */
    str shipped_at;
    struct heap heap;  /* of the records and answers */
    struct heap work;  /* of one question */
    struct asked *asked;
    u32 asked_count, asked_room;
    struct { value path; struct policy_query *query; } queries[64];
    u32 query_count;
    struct entry *entries;
    u32 entry_count;
    struct sighting *sightings;
    u32 sighting_count;
    struct policy_cover cover;
    struct value_builder advice;
    bool incomplete;
};

rc_t policy_advise_open(struct policy_advisor **out, const struct policy_advise_options *o) {
    struct policy_advisor *a = calloc(1, sizeof *a);
    if (!a) return RC_NO_MEMORY;
    a->o = *o;
    heap_open(&a->heap, MIB(256));
    heap_open(&a->work, MIB(64));
    policy_cover_open(&a->cover, 0);
    a->entries = calloc(ADVISE_ENTRIES_MAX, sizeof *a->entries);
    a->sightings = calloc(SIGHTINGS_MAX, sizeof *a->sightings);
    if (!a->entries || !a->sightings) {
        policy_advise_close(a);
        return RC_NO_MEMORY;
    }
    *out = a;
    return RC_OK;
}

void policy_advise_close(struct policy_advisor *a) {
    if (!a) return;
    for (u32 i = 0; i < a->query_count; i++) policy_query_drop(a->queries[i].query);
    policy_cover_close(&a->cover);
    free(a->asked), free(a->entries), free(a->sightings);
    heap_close(&a->work);
    heap_close(&a->heap);
    free(a);
}

void policy_advise_watched(struct policy_advisor *a, struct policy_program *watched) {
    a->o.watched = watched;
}

void policy_advise_shipped(struct policy_advisor *a, value document, str at) {
    a->shipped = document;
    a->shipped_at = at;
}

/* ---- Records ---- */

static struct policy_query *query_for(struct policy_advisor *a, value path) {
    value keys[64];
    struct policy_errors errors;
    struct heap h;
    str rest = value_str(path), part;
    u32 count = 0;
    for (u32 i = 0; i < a->query_count; i++)
        if (value_equal(a->queries[i].path, path)) return a->queries[i].query;
    if (a->query_count == ARRAY_LEN(a->queries)) return NULL;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    while (str_split(&rest, '/', &part) && count < ARRAY_LEN(keys)) {
        s64 number;
        if (part.len)
            keys[count++] = str_to_s64(part, &number) == RC_OK ? value_integer(number)
                                                               : value_string(&h, part);
    }
    struct policy_query *q = NULL;
    if (rest.len || policy_prepare_path(a->o.plain, keys, count, &q, &errors)) q = NULL;
    heap_close(&h);
    if (!q) return NULL;
    a->queries[a->query_count].path = path;
    return a->queries[a->query_count++].query = q;
}

bool policy_advise_add(struct policy_advisor *a, value record) {
    value path = value_get_str(record, S("path"));
    if (path.kind != VALUE_STRING || a->asked_count == ADVISE_DECISIONS_MAX) return false;
    if (a->asked_count == a->asked_room) {
        u32 room = a->asked_room ? a->asked_room * 2 : 64;
        struct asked *more = realloc(a->asked, room * sizeof *more);
        if (!more) return false;
        a->asked = more, a->asked_room = room;
    }
    value input = value_get_str(record, S("input")), at = value_get_str(record, S("timestamp"));
    value id = value_get_str(record, S("decision_id"));
    struct asked one = {.path = value_copy(&a->heap, path)};
    if (value_defined(input)) one.input = value_copy(&a->heap, input);
    if (at.kind == VALUE_STRING) one.at = value_copy(&a->heap, at);
    if (id.kind == VALUE_STRING) one.id = value_copy(&a->heap, id);
    if (a->heap.exhausted) return false;
    one.query = query_for(a, one.path);
    if (!one.query) return false;
    a->asked[a->asked_count++] = one;
    return true;
}

static bool out_of_time(struct policy_advisor *a) {
    bool late = a->o.clock_ns && a->o.clock_ns() > a->o.deadline_ns;
    a->incomplete |= late;
    return late;
}

static rc_t answer(struct policy_advisor *a, struct policy_evaluator *e, const struct asked *q,
                   value data, value *out) {
    struct policy_error error = {0};
    struct policy_ask ask = {.input = q->input, .data = data, .now_ns = 1, .seed = 1,
                             .limits.steps_max = STEPS_MAX};
    (void)a;
    *out = UNDEFINED;
    return policy_decide(e, q->query, &ask, out, &error);
}

static bool says_yes(value v) {
    value allowed = v.kind == VALUE_OBJECT ? value_get_str(v, S("allowed")) : v;
    if (!value_defined(allowed)) allowed = value_get_str(v, S("allow"));
    return value_is_true(allowed);
}

static void watch(struct policy_advisor *a, struct policy_evaluator *e, struct asked *q) {
    struct policy_query_options o = {.trace = true};
    struct policy_query *query = NULL;
    struct policy_errors errors;
    struct policy_error error = {0};
    struct policy_answer ignored;
    struct buf text;
    heap_rewind(&a->work);
    buf_open(&text, KIB(64));
    policy_why_query(&text, value_str(q->path));
    policy_errors_open(&errors, &a->work, 1);
    if (policy_prepare_with(a->o.watched, buf_str(&text), &o, &query, &errors) == RC_OK) {
        struct policy_ask ask = {.input = q->input, .data = a->o.data, .now_ns = 1, .seed = 1,
                                 .limits.steps_max = STEPS_MAX, .trace = &a->cover.trace};
        if (policy_ask(e, query, &ask, &ignored, &error)) q->failed = true;
        policy_query_drop(query);
    } else
        a->incomplete = true;
    buf_close(&text);
}

static void ask_all(struct policy_advisor *a, struct policy_evaluator *e) {
    for (u32 i = 0; i < a->asked_count && !out_of_time(a); i++) {
        struct asked *q = &a->asked[i];
        value v;
        q->failed = answer(a, e, q, a->o.data, &v) != RC_OK;
        q->answer = value_defined(v) && !q->failed ? value_copy(&a->heap, v) : UNDEFINED;
        q->allowed = says_yes(q->answer);
        watch(a, e, q);
    }
}

/* ---- Advice ---- */

static void put(struct heap *h, struct value_builder *b, const char *name, value v) {
    if (value_defined(v)) value_builder_replace(b, value_string_c(h, name), v);
}

static void put_window(struct policy_advisor *a, struct heap *h, struct value_builder *b) {
    value from = UNDEFINED, to = UNDEFINED;
    for (u32 i = 0; i < a->asked_count; i++) {
        value at = a->asked[i].at;
        if (!value_defined(at)) continue;
        if (!value_defined(from) || value_compare(at, from) < 0) from = at;
        if (!value_defined(to) || value_compare(at, to) > 0) to = at;
    }
    put(h, b, "asked", value_integer(a->asked_count));
    if (value_defined(from))
        put(h, b, "from", value_copy(h, from)), put(h, b, "to", value_copy(h, to));
}

static void advise(struct policy_advisor *a, struct heap *h, const char *kind, struct buf *what,
                   struct value_builder *evidence, value edit) {
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    put(h, &b, "kind", value_string_c(h, kind));
    put(h, &b, "what", value_string(h, buf_str(what)));
    put_window(a, h, evidence);
    put(h, &b, "evidence", value_builder_close(evidence));
    put(h, &b, "edit", edit);
    if (a->advice.count < ADVISE_LIST_MAX) value_builder_add(&a->advice, value_builder_close(&b));
    else a->incomplete = true;
}

/* ---- Rules that never held ---- */

static bool is_test(const struct ast_rule *r) {
    const struct ast_term *head = r->head->ref->terms[r->head->ref->count - 1];
    str name = head->kind == AST_VAR      ? head->var
               : head->kind == AST_STRING ? value_str(head->scalar)
                                          : S("");
    return str_starts(name, S("test_")) || str_starts(name, S("todo_test_"));
}

static bool package_was_asked(const struct policy_advisor *a, const struct ast_module *m) {
    for (u32 i = 0; i < m->rule_count; i++) {
        const struct policy_cover_hit *hit = policy_cover_of_rule(&a->cover, m->rules[i]);
        if (hit && hit->entered) return true;
    }
    return false;
}

/* Its document was looked for: by a decision, or on the way of one. */
static bool was_asked_for(const struct policy_advisor *a, const struct ast_rule *r) {
    const struct ast_module *m = r->module;
    for (u32 i = 0; i < m->rule_count; i++) {
        const struct policy_cover_hit *hit = policy_cover_of_rule(&a->cover, m->rules[i]);
        if (hit && hit->entered && !ast_term_compare(m->rules[i]->head->ref, r->head->ref))
            return true;
    }
    return false;
}

static void one_rule(struct policy_advisor *a, struct heap *h, const struct ast_rule *r) {
    const struct policy_cover_hit *hit = policy_cover_of_rule(&a->cover, r);
    struct value_builder evidence, edit;
    struct buf what;
    u32 first = r->at.row, last = r->at.row;
    if (hit && hit->held) return;
    for (u32 i = 0; i < r->annotation_count; i++)
        if (r->annotations[i]->rule == r) first = MIN(first, r->annotations[i]->at.row);
    for (u32 i = 0; i < r->at.len; i++) last += r->at.file->text.ptr[r->at.offset + i] == '\n';
    value_builder_open(&evidence, h, VALUE_OBJECT);
    value_builder_open(&edit, h, VALUE_OBJECT);
    buf_open(&what, KIB(4));
    policy_why_rule_name(&what, r);
    (void)buf_printf(&what, " (%.*s:%u) %s.", STR(r->at.file->name), r->at.row,
                     was_asked_for(a, r) ? "held for none of the decisions"
                                         : "was not asked for by any of the decisions");
    put(h, &evidence, "tried", value_integer(hit ? (s64)hit->entered : 0));
    put(h, &evidence, "held", value_integer(0));
    put(h, &edit, "file", value_string(h, r->at.file->name));
    value rows[] = {value_integer(first), value_integer(last)};
    put(h, &edit, "delete_lines", value_array(h, rows, 2));
    advise(a, h, "rule_never_held", &what, &evidence, value_builder_close(&edit));
    buf_close(&what);
}

static void rules_never_held(struct policy_advisor *a, struct heap *h) {
    const struct compiled *c = policy_compiled(a->o.watched);
    for (u32 m = 0; m < c->module_count; m++) {
        const struct ast_module *module = c->modules[m];
        if (!package_was_asked(a, module)) continue;
        for (u32 i = 0; i < module->rule_count; i++) {
            const struct ast_rule *r = module->rules[i];
            if (!r->is_default && !is_test(r) && r->at.file && !r->generated_body)
                one_rule(a, h, r);
        }
    }
}

/* ---- Entries nobody needed ---- */

/* `v` without what lies at keys[0..count), or with `instead` there (objects on the way are made).
 */
static value changed(struct heap *h, value v, const value *keys, u32 count, value instead) {
    struct value_builder b;
    bool array = v.kind == VALUE_ARRAY;
    if (!count) return instead;
    if (!array && v.kind != VALUE_OBJECT) v = value_empty_object();
    value_builder_open(&b, h, array ? VALUE_ARRAY : VALUE_OBJECT);
    for (u32 i = 0; i < value_count(v); i++) {
        value key = array ? value_integer(i) : value_key_at(v, i);
        value below = array ? value_item(v, i) : value_value_at(v, i);
        if (value_equal(key, keys[0])) below = changed(h, below, keys + 1, count - 1, instead);
        if (!value_defined(below)) continue;
        if (array) value_builder_add(&b, below);
        else value_builder_replace(&b, key, below);
    }
    if (!array && value_defined(instead) && !value_defined(value_get(v, keys[0])))
        value_builder_replace(&b, keys[0], changed(h, UNDEFINED, keys + 1, count - 1, instead));
    return value_builder_close(&b);
}

static void add_entry(struct policy_advisor *a, const value *keys, u32 count, bool shipped) {
    if (a->entry_count == ADVISE_ENTRIES_MAX || count > KEYS_MAX) {
        a->incomplete = true;
        return;
    }
    struct entry *e = &a->entries[a->entry_count++];
    *e = (struct entry){.count = count, .shipped = shipped};
    memcpy(e->keys, keys, count * sizeof *keys);
}

/* Each member, and each member of those that are lists or objects. */
static void add_entries(struct policy_advisor *a, value document, value *keys, u32 count,
                        u32 levels, bool shipped) {
    bool array = document.kind == VALUE_ARRAY;
    if ((!array && document.kind != VALUE_OBJECT) || count == KEYS_MAX) return;
    for (u32 i = 0; i < value_count(document); i++) {
        keys[count] = array ? value_integer(i) : value_key_at(document, i);
        value below = array ? value_item(document, i) : value_value_at(document, i);
        add_entry(a, keys, count + 1, shipped);
        if (levels > 1) add_entries(a, below, keys, count + 1, levels - 1, shipped);
    }
}

static bool looks_like_roles(value name) {
    static const char *const names[] = {"roles",       "groups", "grants",        "bindings",
                                        "permissions", "users",  "role_bindings", "role_grants",
                                        "user_roles",  "members"};
    for (size_t i = 0; name.kind == VALUE_STRING && i < ARRAY_LEN(names); i++)
        if (str_eq(value_str(name), str_from_c(names[i]))) return true;
    return false;
}

static void find_documents(struct policy_advisor *a, value v, value *keys, u32 count) {
    for (u32 i = 0; v.kind == VALUE_OBJECT && i < value_count(v); i++) {
        keys[count] = value_key_at(v, i);
        if (looks_like_roles(keys[count]))
            add_entries(a, value_value_at(v, i), keys, count + 1, 2, false);
        else if (count < 2) find_documents(a, value_value_at(v, i), keys, count + 1);
    }
}

static u32 pointer_keys(struct heap *h, str pointer, value *keys) {
    u32 count = 0;
    str part;
    while (count < KEYS_MAX - 2 && str_split(&pointer, '/', &part))
        if (part.len) keys[count++] = value_string(h, part);
    return count;
}

static void gather_entries(struct policy_advisor *a) {
    value keys[KEYS_MAX];
    for (u32 i = 0; i < a->o.document_count; i++) {
        u32 count = pointer_keys(&a->heap, a->o.documents[i], keys);
        value v = a->o.data;
        for (u32 k = 0; k < count; k++) v = value_get(v, keys[k]);
        add_entries(a, v, keys, count, 2, false);
    }
    if (value_defined(a->shipped)) {
        u32 count = pointer_keys(&a->heap, a->shipped_at, keys);
        a->o.data = changed(&a->heap, a->o.data, keys, count, a->shipped);
        add_entries(a, a->shipped, keys, count, 2, true);
    } else if (!a->o.document_count)
        find_documents(a, a->o.data, keys, 0);
}

static bool needed(struct policy_advisor *a, struct policy_evaluator *e, struct entry *n) {
    heap_rewind(&a->work);
    value without = changed(&a->work, a->o.data, n->keys, n->count, UNDEFINED);
    for (u32 i = 0; i < a->asked_count; i++) {
        value v;
        if (out_of_time(a) || a->work.exhausted) return true;
        if (a->asked[i].failed) continue;
        if (answer(a, e, &a->asked[i], without, &v) ||
            value_defined(v) != value_defined(a->asked[i].answer) ||
            (value_defined(v) && !value_equal(v, a->asked[i].answer)))
            return true;
    }
    return false;
}

static bool mentions(value v, value name) {
    if (value_equal(v, name)) return true;
    bool object = v.kind == VALUE_OBJECT;
    for (u32 i = 0; (object || v.kind == VALUE_ARRAY) && i < value_count(v); i++)
        if (mentions(object ? value_value_at(v, i) : value_item(v, i), name)) return true;
    return false;
}

static void put_pointer(struct buf *to, const struct entry *n, u32 count) {
    for (u32 i = 0; i < count; i++) {
        (void)buf_add(to, S("/"));
        if (n->keys[i].kind == VALUE_STRING) (void)buf_add(to, value_str(n->keys[i]));
        else json_text_write(to, n->keys[i], 0);
    }
}

static value parent_of(const struct policy_advisor *a, const struct entry *n) {
    value v = a->o.data;
    for (u32 i = 0; i + 1 < n->count; i++) v = value_get(v, n->keys[i]);
    return v;
}

/* A JSON patch; or, of a list that is not in data yet, what to put there. */
static value edit_of(struct policy_advisor *a, struct heap *h, const struct entry *n) {
    struct value_builder b, op;
    struct buf pointer;
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_open(&op, h, VALUE_OBJECT);
    buf_open(&pointer, KIB(8));
    if (n->shipped) {
        value list = changed(h, parent_of(a, n), &n->keys[n->count - 1], 1, UNDEFINED);
        (void)buf_add(&pointer, S("/v1/data"));
        put_pointer(&pointer, n, n->count - 1);
        put(h, &b, "put", value_string(h, buf_str(&pointer)));
        put(h, &b, "value", value_copy(h, list));
    } else {
        put_pointer(&pointer, n, n->count);
        put(h, &op, "op", value_string_c(h, "remove"));
        put(h, &op, "path", value_string(h, buf_str(&pointer)));
        value one = value_builder_close(&op);
        put(h, &b, "patch", value_array(h, &one, 1));
    }
    buf_close(&pointer);
    return value_builder_close(&b);
}

static bool within_unneeded(const struct policy_advisor *a, const struct entry *n) {
    for (const struct entry *p = a->entries; p < n; p++) {
        if (p->count >= n->count || p->needed || !p->tried) continue;
        bool prefix = true;
        for (u32 i = 0; i < p->count; i++) prefix &= value_equal(p->keys[i], n->keys[i]);
        if (prefix) return true;
    }
    return false;
}

static void one_entry(struct policy_advisor *a, struct heap *h, const struct entry *n) {
    struct value_builder evidence;
    struct buf what;
    u64 mentioned = 0;
    value last = UNDEFINED, name = n->keys[n->count - 1];
    for (u32 i = 0; i < a->asked_count; i++) {
        if (name.kind != VALUE_STRING || !mentions(a->asked[i].input, name)) continue;
        mentioned++;
        if (!value_defined(last) || value_compare(a->asked[i].at, last) > 0) last = a->asked[i].at;
    }
    value_builder_open(&evidence, h, VALUE_OBJECT);
    buf_open(&what, KIB(8));
    (void)buf_add(&what, S("data"));
    put_pointer(&what, n, n->count);
    (void)buf_add(&what, S(": without it every decision comes out the same."));
    if (name.kind == VALUE_STRING) {
        put(h, &evidence, "inputs_that_name_it", value_integer((s64)mentioned));
        put(h, &evidence, "last_seen", value_defined(last) ? value_copy(h, last) : value_null());
    }
    value parent = parent_of(a, n);
    put(h, &evidence, "entry", value_copy(h, value_get(parent, name)));
    advise(a, h, "entry_never_needed", &what, &evidence, edit_of(a, h, n));
    buf_close(&what);
}

static void entries_never_needed(struct policy_advisor *a, struct policy_evaluator *e,
                                 struct heap *h) {
    for (u32 i = 0; i < a->entry_count && !out_of_time(a); i++) {
        struct entry *n = &a->entries[i];
        if (n->shipped && n->count < 5) continue; /* of the shipped roles only the grants */
        if (within_unneeded(a, n)) continue; /* said of the whole already */
        n->needed = needed(a, e, n), n->tried = !a->incomplete || n->needed;
        if (!n->needed) one_entry(a, h, n);
    }
}

/* ---- Inputs never allowed ---- */

static struct sighting *sighting_of(struct policy_advisor *a, value path, value pointer, value v) {
    u32 at = (value_hash(path) * 31 + value_hash(pointer) * 7 + value_hash(v)) % SIGHTINGS_MAX;
    for (u32 tried = 0; tried < SIGHTINGS_MAX; tried++, at = (at + 1) % SIGHTINGS_MAX) {
        struct sighting *s = &a->sightings[at];
        if (!s->count) {
            if (a->sighting_count == SIGHTINGS_MAX * 3 / 4) return NULL;
            a->sighting_count++;
            *s = (struct sighting){.path = path, .pointer = pointer, .v = v};
            return s;
        }
        if (value_equal(s->v, v) && value_equal(s->pointer, pointer) && value_equal(s->path, path))
            return s;
    }
    return NULL;
}

static void see_leaves(struct policy_advisor *a, u32 index, value v, str pointer, u32 depth) {
    const struct asked *q = &a->asked[index];
    bool leaf = v.kind == VALUE_STRING || v.kind == VALUE_BOOLEAN || v.kind == VALUE_NUMBER;
    if (leaf && (v.kind != VALUE_STRING || value_str(v).len <= LEAF_TEXT)) {
        struct sighting *s = sighting_of(a, q->path, value_string(&a->heap, pointer), v);
        if (!s) return;
        if (!s->count) s->sample = index;
        s->count++, s->allowed += q->allowed;
    }
    if (v.kind != VALUE_OBJECT || depth == LEAF_DEPTH) return;
    for (u32 i = 0; i < value_count(v); i++) {
        struct buf b;
        value key = value_key_at(v, i);
        if (key.kind != VALUE_STRING) continue;
        buf_open(&b, KIB(4));
        (void)buf_printf(&b, "%.*s/%.*s", STR(pointer), STR(value_str(key)));
        if (!b.failed) see_leaves(a, index, value_value_at(v, i), buf_str(&b), depth + 1);
        buf_close(&b);
    }
}

/* Other values at the same place: how many, and was any of them allowed? */
static bool is_odd_one(const struct policy_advisor *a, const struct sighting *s) {
    u32 others = 0, allowed = 0;
    for (u32 i = 0; i < SIGHTINGS_MAX; i++) {
        const struct sighting *o = &a->sightings[i];
        if (!o->count || o == s || !value_equal(o->pointer, s->pointer) ||
            !value_equal(o->path, s->path))
            continue;
        others++, allowed += o->allowed > 0;
    }
    return allowed >= VALUES_LEAST_OTHERS && others < VALUES_OF_ONE_MAX;
}

static value look_at(struct policy_advisor *a, struct policy_evaluator *e, struct heap *h,
                     u32 sample) {
    struct policy_ask ask = {.now_ns = 1, .seed = 1, .limits.steps_max = STEPS_MAX};
    struct policy_why_question q = {.path = value_str(a->asked[sample].path),
                                    .input = a->asked[sample].input,
                                    .data = a->o.data,
                                    .sentences_max = 4};
    struct policy_error error = {0};
    struct value_builder b;
    value report, result;
    if (policy_why(a->o.watched, e, &ask, &q, h, &report, &result, &error)) return UNDEFINED;
    value_builder_open(&b, h, VALUE_OBJECT);
    value near = value_get_str(report, S("nearest"));
    while (value_defined(value_get_str(near, S("because"))))
        near = value_get_str(near, S("because"));
    put(h, &b, "look_at", value_get_str(near, S("condition")));
    put(h, &b, "sentences", value_get_str(report, S("sentences")));
    return value_builder_close(&b);
}

static void one_input(struct policy_advisor *a, struct policy_evaluator *e, struct heap *h,
                      const struct sighting *s) {
    struct value_builder evidence;
    struct buf what;
    value last = UNDEFINED;
    for (u32 i = 0; i < a->asked_count; i++)
        if (mentions(a->asked[i].input, s->v) && value_defined(a->asked[i].at) &&
            (!value_defined(last) || value_compare(a->asked[i].at, last) > 0))
            last = a->asked[i].at;
    value_builder_open(&evidence, h, VALUE_OBJECT);
    buf_open(&what, KIB(8));
    (void)buf_add(&what, S("data"));
    for (str rest = value_str(s->path), part; str_split(&rest, '/', &part);)
        if (part.len) (void)buf_printf(&what, ".%.*s", STR(part));
    (void)buf_printf(&what, " never allowed an input whose %.*s is ", STR(value_str(s->pointer)));
    json_text_write(&what, s->v, 0);
    (void)buf_add(&what, S("; with other values there it allowed some."));
    put(h, &evidence, "denied", value_integer((s64)s->count));
    put(h, &evidence, "allowed", value_integer(0));
    put(h, &evidence, "last_seen", value_defined(last) ? value_copy(h, last) : value_null());
    if (value_defined(a->asked[s->sample].id))
        put(h, &evidence, "decision_id", value_copy(h, a->asked[s->sample].id));
    advise(a, h, "input_never_allowed", &what, &evidence, look_at(a, e, h, s->sample));
    buf_close(&what);
}

static void inputs_never_allowed(struct policy_advisor *a, struct policy_evaluator *e,
                                 struct heap *h) {
    for (u32 i = 0; i < a->asked_count; i++)
        if (!a->asked[i].failed) see_leaves(a, i, a->asked[i].input, S(""), 0);
    for (u32 i = 0; i < SIGHTINGS_MAX && !out_of_time(a); i++) {
        const struct sighting *s = &a->sightings[i];
        if (s->count >= SEEN_LEAST && !s->allowed && value_str(s->pointer).len && is_odd_one(a, s))
            one_input(a, e, h, s);
    }
}

/* ---- The whole ---- */

value policy_advise_report(struct policy_advisor *a, struct policy_evaluator *e, struct heap *h) {
    struct value_builder b;
    value_builder_open(&a->advice, h, VALUE_ARRAY);
    value_builder_open(&b, h, VALUE_OBJECT);
    gather_entries(a);
    ask_all(a, e);
    if (a->asked_count && !a->incomplete) {
        rules_never_held(a, h);
        entries_never_needed(a, e, h);
        inputs_never_allowed(a, e, h);
    }
    put_window(a, h, &b);
    put(h, &b, "complete",
        value_boolean(!a->incomplete && !a->cover.incomplete && !a->heap.exhausted));
    put(h, &b, "advice", value_builder_close(&a->advice));
    return value_builder_close(&b);
}
