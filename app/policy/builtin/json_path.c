/* SPDX-License-Identifier: Apache-2.0 */
/* json_path.c — json.filter, json.remove: many paths at once; json.patch: RFC 6902, also on sets.
 *
 * Paths are sorted, so those that go on alike lie side by side:
 *
 *   ["a", "b"]  ["a", "c", "x"]  ["d"]     at level 0: group a (two paths), group d (ends here)
 *
 * and document and paths are walked together, level by level: as deep as the document, whatever
 * the paths. Where a path ends, longer ones through the same place say nothing more.
 *
 * A patch makes each change by copying the containers along its path; values are never changed. */
#include "app/policy/builtin/builtin_impl.h"

/* ---- Paths ---- */

/* "/a/b~1c" as segments; an array as it is. */
static bool path_segments(struct builtin_call *c, value path, value *out) {
    if (path.kind == VALUE_ARRAY) {
        *out = path;
        return true;
    }
    if (path.kind != VALUE_STRING) return false;
    str rest = value_str(path);
    struct value_builder b;
    value_builder_open(&b, c->heap, VALUE_ARRAY);
    bool some = rest.len > 0;
    while (rest.len && rest.ptr[0] == '/') rest = str_skip(rest, 1);
    while (some) {
        size_t cut = str_find_byte(rest, '/');
        str part = str_take(rest, cut);
        char *room = value_string_room(c->heap, part.len);
        size_t n = 0;
        if (!room || !builtin_tick(c, 1)) return false;
        /* ~1 first, then ~0, as the reference: "~01" is "~1" and not "/". */
        for (size_t i = 0; i < part.len; i++, n++) {
            bool escape = part.ptr[i] == '~' && i + 1 < part.len;
            room[n] = part.ptr[i];
            if (escape && part.ptr[i + 1] == '1') room[n] = '/', i++;
            else if (escape && part.ptr[i + 1] == '0') i++;
        }
        value_builder_add(&b, value_string_seal(room, n));
        some = cut < rest.len;
        rest = str_skip(rest, cut + 1);
    }
    *out = value_builder_close(&b);
    return out->kind == VALUE_ARRAY;
}

struct paths { value *at; u32 count; };

static bool take_paths(struct builtin_call *c, value v, struct paths *out) {
    if (!builtin_is_sequence(v)) {
        builtin_fail_operand(c, 2, "{set, array}", v);
        return false;
    }
    out->count = 0;
    out->at = heap_alloc(c->heap, MAX(value_count(v), 1u) * sizeof(value));
    if (!out->at) return false;
    for (u32 i = 0; i < value_count(v); i++) {
        value path;
        if (!path_segments(c, value_item(v, i), &path)) {
            if (!c->failed && !c->heap->exhausted)
                builtin_fail_operand_because(c, 2,
                                             "must be one of {set, array} containing string paths "
                                             "or array of path segments but got %s",
                                             value_kind_name(value_item(v, i).kind));
            return false;
        }
        if (value_count(path)) out->at[out->count++] = path;
    }
    value_sort(c->heap, out->at, out->count);
    return builtin_tick(c, out->count);
}

/* The paths that share the first one's segment at `level`, and what is left. */
static struct paths next_group(struct paths *rest, u32 level, value *segment, bool *ends) {
    *segment = value_item(rest->at[0], level);
    *ends = value_count(rest->at[0]) == level + 1; /* the shortest is sorted first */
    u32 n = 1;
    while (n < rest->count && value_equal(value_item(rest->at[n], level), *segment)) n++;
    struct paths group = {rest->at, n};
    rest->at += n, rest->count -= n;
    return group;
}

/* Which group speaks of each element of an array: elements are named by their position's text. */
static bool array_position(value segment, u32 count, u32 *out) {
    u64 n;
    if (segment.kind != VALUE_STRING) return false;
    str text = value_str(segment);
    if (text.len > 1 && text.ptr[0] == '0') return false;
    if (str_to_u64(text, &n) != RC_OK || n >= count) return false;
    *out = (u32)n;
    return true;
}

struct group { struct paths paths; bool ends; };

/* The group of each element of `v` (in its order), none for most. NULL: out of memory. */
static struct group *groups_of(struct builtin_call *c, value v, struct paths paths, u32 level) {
    u32 count = value_count(v);
    struct group *of = heap_alloc(c->heap, MAX(count, 1u) * sizeof(*of));
    if (!of || !builtin_tick(c, count + paths.count)) return NULL;
    memset(of, 0, count * sizeof(*of));
    while (paths.count) {
        struct group g;
        value segment;
        g.paths = next_group(&paths, level, &segment, &g.ends);
        s64 at = -1;
        u32 position;
        if (v.kind == VALUE_OBJECT) at = value_position(v.object->keys, segment);
        else if (v.kind == VALUE_SET) at = value_position(v.set, segment);
        else if (array_position(segment, count, &position)) at = position;
        if (at >= 0) of[at] = g;
    }
    return of;
}

static bool is_collection(value v) {
    return v.kind == VALUE_ARRAY || v.kind == VALUE_OBJECT || v.kind == VALUE_SET;
}

/* Keeps (filter) or leaves out (remove) what the paths name. UNDEFINED: nothing is left of it. */
static value select(struct builtin_call *c, value v, struct paths paths, u32 level, bool keep) {
    if (!is_collection(v)) return v;
    struct group *of = groups_of(c, v, paths, level);
    struct value_builder b;
    if (!of) return UNDEFINED;
    value_builder_open(&b, c->heap, v.kind);
    for (u32 i = 0; i < value_count(v); i++) {
        value item = v.kind == VALUE_OBJECT ? value_value_at(v, i) : value_item(v, i);
        bool named = of[i].paths.count > 0;
        if (keep ? !named : named && of[i].ends) continue;
        if (named && !of[i].ends) item = select(c, item, of[i].paths, level + 1, keep);
        if (!value_defined(item)) return UNDEFINED;
        if (v.kind == VALUE_OBJECT) value_builder_replace(&b, value_key_at(v, i), item);
        else value_builder_add(&b, item);
    }
    return value_builder_close(&b);
}

static value by_paths(struct builtin_call *c, const value *args, bool keep) {
    struct paths paths;
    if (!builtin_take_kind(c, args, 0, VALUE_OBJECT) || !take_paths(c, args[1], &paths))
        return UNDEFINED;
    return select(c, args[0], paths, 0, keep);
}
value builtin_json_filter(struct builtin_call *c, const value *args) {
    return by_paths(c, args, true);
}
value builtin_json_remove(struct builtin_call *c, const value *args) {
    return by_paths(c, args, false);
}

/* ---- Patches. UNDEFINED anywhere: the patch does not apply ---- */

/* A segment as a position in an array of `count`: a whole number, its text, or "-" for the end. */
static s64 patch_position(value segment, u32 count) {
    s64 n;
    if (segment.kind == VALUE_NUMBER) return builtin_integer_of(segment, &n) ? n : -1;
    if (segment.kind != VALUE_STRING) return -1;
    str text = value_str(segment);
    if (str_eq(text, S("-"))) return count;
    if (text.len > 1 && text.ptr[0] == '0') return -1;
    return str_to_s64(text, &n) == RC_OK ? n : -1;
}

static value patch_child(value v, value segment) {
    if (v.kind != VALUE_ARRAY) return value_get(v, segment);
    s64 at = patch_position(segment, value_count(v));
    return at >= 0 && at < value_count(v) ? value_item(v, (u32)at) : UNDEFINED;
}

static value patch_find(value v, value path) {
    for (u32 i = 0; i < value_count(path) && value_defined(v); i++)
        v = patch_child(v, value_item(path, i));
    return v;
}

enum patch_act { PATCH_INSERT, PATCH_DELETE, PATCH_REPLACE /* of a container further down */ };

static value patch_array(struct builtin_call *c, value v, value segment, enum patch_act act,
                         value put) {
    u32 count = value_count(v);
    s64 at = patch_position(segment, count);
    if (at < 0 || at > count || (at == count && act != PATCH_INSERT)) return UNDEFINED;
    value *items = heap_alloc(c->heap, ((size_t)count + 1) * sizeof(value));
    if (!items || !builtin_tick(c, count / 4)) return UNDEFINED;
    u32 n = 0;
    for (u32 i = 0; i <= count; i++) {
        if (i == at && act != PATCH_DELETE) items[n++] = put;
        if (i < count && (i != at || act == PATCH_INSERT)) items[n++] = value_item(v, i);
    }
    return value_array(c->heap, items, n);
}

static value patch_one(struct builtin_call *c, value v, value segment, enum patch_act act,
                       value put) {
    struct value_builder b;
    if (v.kind == VALUE_ARRAY) return patch_array(c, v, segment, act, put);
    if (v.kind != VALUE_OBJECT && v.kind != VALUE_SET) return UNDEFINED;
    if (act == PATCH_INSERT && v.kind == VALUE_SET && !value_equal(segment, put)) return UNDEFINED;
    s64 at = value_position(v.kind == VALUE_SET ? v.set : v.object->keys, segment);
    if (at < 0 && act != PATCH_INSERT) return UNDEFINED;
    if (!builtin_tick(c, value_count(v) / 4)) return UNDEFINED;
    value_builder_open(&b, c->heap, v.kind);
    for (u32 i = 0; i < value_count(v); i++) {
        if (i == at) continue;
        if (v.kind == VALUE_SET) value_builder_add(&b, value_item(v, i));
        else value_builder_replace(&b, value_key_at(v, i), value_value_at(v, i));
    }
    if (act != PATCH_DELETE && v.kind == VALUE_SET) value_builder_add(&b, put);
    if (act != PATCH_DELETE && v.kind == VALUE_OBJECT) value_builder_replace(&b, segment, put);
    return value_builder_close(&b);
}

static value patch_at(struct builtin_call *c, value v, value path, u32 level, enum patch_act act,
                      value put) {
    u32 last = value_count(path);
    if (last == 0) return act == PATCH_DELETE ? UNDEFINED : put;
    value segment = value_item(path, level);
    if (level + 1 == last) return patch_one(c, v, segment, act, put);
    value child = patch_child(v, segment); /* as deep as the document: its depth is bounded */
    if (!value_defined(child)) return UNDEFINED;
    child = patch_at(c, child, path, level + 1, act, put);
    return value_defined(child) ? patch_one(c, v, segment, PATCH_REPLACE, child) : UNDEFINED;
}

/* Replacing the whole document is inserting it; anything else must be there first. */
static value patch_replace(struct builtin_call *c, value v, value path, value put) {
    if (value_count(path) == 0) return put;
    v = patch_at(c, v, path, 0, PATCH_DELETE, UNDEFINED);
    return value_defined(v) ? patch_at(c, v, path, 0, PATCH_INSERT, put) : v;
}

static value patch_apply(struct builtin_call *c, value v, value patch) {
    value op = value_get_str(patch, S("op")), path_text = value_get_str(patch, S("path"));
    value path, from_path, put = value_get_str(patch, S("value")),
                           from_text = value_get_str(patch, S("from"));
    if (op.kind != VALUE_STRING || !value_defined(path_text) || !path_segments(c, path_text, &path))
        return UNDEFINED;
    str name = value_str(op);
    if (str_eq(name, S("remove"))) return patch_at(c, v, path, 0, PATCH_DELETE, UNDEFINED);
    bool move = str_eq(name, S("move"));
    if (move || str_eq(name, S("copy"))) {
        if (!value_defined(from_text) || !path_segments(c, from_text, &from_path)) return UNDEFINED;
        put = patch_find(v, from_path);
        if (!value_defined(put)) return UNDEFINED;
        if (move && value_count(from_path) == 0) return value_count(path) == 0 ? put : UNDEFINED;
        if (move) v = patch_at(c, v, from_path, 0, PATCH_DELETE, UNDEFINED);
        return value_defined(v) ? patch_at(c, v, path, 0, PATCH_INSERT, put) : v;
    }
    if (!value_defined(put)) return UNDEFINED;
    if (str_eq(name, S("add"))) return patch_at(c, v, path, 0, PATCH_INSERT, put);
    if (str_eq(name, S("replace"))) return patch_replace(c, v, path, put);
    if (!str_eq(name, S("test"))) return UNDEFINED;
    value found = patch_find(v, path);
    return value_defined(found) && value_equal(found, put) ? v : UNDEFINED;
}

value builtin_json_patch(struct builtin_call *c, const value *args) {
    if (!builtin_take_kind(c, args, 1, VALUE_ARRAY)) return UNDEFINED;
    value v = args[0];
    for (u32 i = 0; i < value_count(args[1]) && value_defined(v); i++) {
        value patch = value_item(args[1], i);
        if (patch.kind != VALUE_OBJECT || !builtin_tick(c, 8)) return UNDEFINED;
        v = patch_apply(c, v, patch);
    }
    return v;
}
