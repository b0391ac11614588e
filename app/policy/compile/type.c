/* SPDX-License-Identifier: Apache-2.0 */
/* type.c — the algebra of static types: making, order, union, and what lies within them.
 *
 *   type_or(number, string)            any<number, string>
 *   type_or(any<...>, any)             any
 *   type_select(object<a: number>, "a") number
 *   type_unifies(array<number>, array[any])  yes: some value could be both
 *
 * Types are small trees that share their parts. Every maker counts depth and size, so that no
 * program can make one that takes longer to look at than to write. Text is type_text.c's. */
#include "app/policy/compile/type.h"

const struct type type_null = {.kind = TYPE_NULL, .size = 1};
const struct type type_boolean = {.kind = TYPE_BOOLEAN, .size = 1};
const struct type type_number = {.kind = TYPE_NUMBER, .size = 1};
const struct type type_string = {.kind = TYPE_STRING, .size = 1};
const struct type type_any = {.kind = TYPE_ANY, .size = 1};

/* ---- Making -------------------------------------------------------------------------------- */

static void count_in(struct type *t, const struct type *part) {
    if (!part) return;
    t->size += part->size;
    if (t->size > TYPE_SIZE_MAX) t->size = TYPE_SIZE_MAX + 1;
    if (part->depth + 1 > t->depth) t->depth = (u8)(part->depth + 1);
}

/* `any` instead when it has grown too large. */
static const struct type *within_limits(const struct type *t) {
    bool small = t->depth <= TYPE_DEPTH_MAX && t->size <= TYPE_SIZE_MAX;
    return small ? t : &type_any;
}

static struct type *new_type(struct heap *h, enum type_kind kind) {
    struct type *t = heap_alloc(h, sizeof *t);
    if (t) *t = (struct type){.kind = (u8)kind, .size = 1};
    return t;
}

static const struct type **copy_list(struct heap *h, const struct type *const *items, u32 count) {
    const struct type **list = heap_alloc(h, (count ? count : 1) * sizeof *list);
    if (list && count) memcpy(list, items, count * sizeof *list);
    return list;
}

static const struct type *new_list(struct heap *h, enum type_kind kind,
                                   const struct type *const *items, u32 count,
                                   const struct type *rest) {
    struct type *t = new_type(h, kind);
    const struct type **list = t ? copy_list(h, items, count) : NULL;
    if (!list) return NULL;
    t->items = list;
    t->count = count;
    t->of = rest;
    for (u32 i = 0; i < count; i++) count_in(t, list[i]);
    count_in(t, rest);
    return within_limits(t);
}

const struct type *type_array(struct heap *h, const struct type *const *items, u32 count,
                              const struct type *rest) {
    return new_list(h, TYPE_ARRAY, items, count, rest);
}

const struct type *type_function(struct heap *h, const struct type *const *args, u32 count,
                                 const struct type *result) {
    const struct type *t = new_list(h, TYPE_FUNCTION, args, count, result);
    if (!t || t->kind == TYPE_FUNCTION) return t;
    /* Too large: what it takes and gives may be anything, but it stays a function. */
    const struct type *any[16];
    for (u32 i = 0; i < ARRAY_LEN(any); i++) any[i] = &type_any;
    return new_list(h, TYPE_FUNCTION, any, MIN(count, (u32)ARRAY_LEN(any)), &type_any);
}

const struct type *type_set(struct heap *h, const struct type *of) {
    return new_list(h, TYPE_SET, NULL, 0, of);
}

static void sort_properties(struct type_property *p, u32 count, struct type_property *spare) {
    if (count < 2) return;
    bool sorted = true;
    for (u32 i = 1; i < count && sorted; i++) sorted = value_compare(p[i - 1].key, p[i].key) <= 0;
    if (sorted) return;
    u32 half = count / 2, a = 0, b = half, n = 0;
    sort_properties(p, half, spare);
    sort_properties(p + half, count - half, spare);
    while (a < half && b < count)
        spare[n++] = value_compare(p[a].key, p[b].key) <= 0 ? p[a++] : p[b++];
    while (a < half) spare[n++] = p[a++];
    while (b < count) spare[n++] = p[b++];
    memcpy(p, spare, count * sizeof *p);
}

const struct type *type_object(struct heap *h, const struct type_property *known, u32 count,
                               const struct type *key, const struct type *of) {
    struct type *t = new_type(h, TYPE_OBJECT);
    struct type_property *p = t ? heap_alloc(h, (2 * (size_t)count + 1) * sizeof *p) : NULL;
    if (!p) return NULL;
    if (count) memcpy(p, known, count * sizeof *p);
    sort_properties(p, count, p + count);
    t->properties = p;
    t->count = count;
    t->key = key;
    t->of = of;
    for (u32 i = 0; i < count; i++) count_in(t, p[i].type);
    count_in(t, key);
    count_in(t, of);
    return within_limits(t);
}

static const struct type *array_of_value(struct heap *h, value v) {
    u32 n = value_count(v);
    const struct type **items = heap_alloc(h, (n ? n : 1) * sizeof *items);
    if (!items) return NULL;
    for (u32 i = 0; i < n; i++) items[i] = type_of_value(h, value_item(v, i));
    return type_array(h, items, n, NULL);
}

static const struct type *object_of_value(struct heap *h, value v) {
    u32 n = value_count(v);
    struct type_property *p = heap_alloc(h, (n ? n : 1) * sizeof *p);
    if (!p) return NULL;
    for (u32 i = 0; i < n; i++)
        p[i] = (struct type_property){value_key_at(v, i), type_of_value(h, value_value_at(v, i))};
    return type_object(h, p, n, NULL, NULL);
}

/* A set counts as an array here: so does the reference, whose keys have passed through JSON. */
const struct type *type_of_value(struct heap *h, value v) {
    switch (v.kind) {
    case VALUE_NULL: return &type_null;
    case VALUE_BOOLEAN: return &type_boolean;
    case VALUE_NUMBER: return &type_number;
    case VALUE_STRING: return &type_string;
    case VALUE_ARRAY:
    case VALUE_SET: return array_of_value(h, v);
    case VALUE_OBJECT: return object_of_value(h, v);
    default: return &type_any;
    }
}

/* ---- Order --------------------------------------------------------------------------------- */

static int compare_lists(const struct type *a, const struct type *b) {
    for (u32 i = 0; i < a->count && i < b->count; i++) {
        int cmp = type_compare(a->items[i], b->items[i]);
        if (cmp) return cmp;
    }
    return a->count < b->count ? -1 : a->count > b->count;
}

/* What has further elements comes after what has none. */
static int compare_rest(const struct type *a, const struct type *b) {
    if (!a->of != !b->of) return a->of ? 1 : -1;
    if (!a->of) return 0;
    int cmp = type_compare(a->key, b->key);
    return cmp ? cmp : type_compare(a->of, b->of);
}

static int compare_objects(const struct type *a, const struct type *b) {
    int cmp = compare_rest(a, b);
    for (u32 i = 0; !cmp && i < a->count && i < b->count; i++) {
        cmp = value_compare(a->properties[i].key, b->properties[i].key);
        if (!cmp) cmp = type_compare(a->properties[i].type, b->properties[i].type);
    }
    return cmp ? cmp : a->count < b->count ? -1 : a->count > b->count;
}

static int compare_functions(const struct type *a, const struct type *b) {
    if (a->count != b->count) return a->count < b->count ? -1 : 1;
    int cmp = compare_lists(a, b);
    if (!cmp) cmp = type_compare(a->of, b->of);
    return cmp ? cmp : type_compare(a->key, b->key);
}

int type_compare(const struct type *a, const struct type *b) {
    if (a == b) return 0;
    if (!a || !b) return a ? 1 : -1;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    int cmp;
    switch (a->kind) {
    case TYPE_ARRAY: return (cmp = compare_rest(a, b)) ? cmp : compare_lists(a, b);
    case TYPE_OBJECT: return compare_objects(a, b);
    case TYPE_SET: return type_compare(a->of, b->of);
    case TYPE_ANY: return compare_lists(a, b);
    case TYPE_FUNCTION: return compare_functions(a, b);
    default: return 0;
    }
}

/* ---- Union --------------------------------------------------------------------------------- */

/* Where `t` is, or belongs, among the members of an `any`. */
static u32 member_position(const struct type *any, const struct type *t, bool *found) {
    u32 low = 0, high = any->count;
    *found = false;
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        int cmp = type_compare(any->items[mid], t);
        if (cmp == 0) {
            *found = true;
            return mid;
        }
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static bool any_contains(const struct type *any, const struct type *t) {
    if (t && t->kind == TYPE_FUNCTION) return false;
    bool found;
    member_position(any, t, &found);
    return found || any->count == 0;
}

static const struct type *any_with(struct heap *h, const struct type *any, const struct type *t) {
    if (any_contains(any, t)) return any;
    if (any->count >= TYPE_UNION_MAX) return &type_any;
    bool found;
    u32 at = member_position(any, t, &found);
    const struct type *list[TYPE_UNION_MAX];
    memcpy(list, any->items, at * sizeof *list);
    list[at] = t;
    memcpy(list + at + 1, any->items + at, (any->count - at) * sizeof *list);
    return new_list(h, TYPE_ANY, list, any->count + 1, NULL);
}

static const struct type *any_union(struct heap *h, const struct type *a, const struct type *b) {
    if (!a->count || !b->count) return &type_any;
    for (u32 i = 0; a && a->count && i < b->count; i++) a = any_with(h, a, b->items[i]);
    return a;
}

static const struct type *function_union(struct heap *h, const struct type *a,
                                         const struct type *b) {
    if (a->count != b->count || !a->key != !b->key) return NULL;
    const struct type **args = heap_alloc(h, (a->count ? a->count : 1) * sizeof *args);
    if (!args) return NULL;
    for (u32 i = 0; i < a->count; i++) args[i] = type_or(h, a->items[i], b->items[i]);
    return type_function(h, args, a->count, type_or(h, a->of, b->of));
}

/* Either of them; NULL when only one is a function. */
const struct type *type_or(struct heap *h, const struct type *a, const struct type *b) {
    if (!a || !b) return a ? a : b;
    if (a->kind == TYPE_FUNCTION && b->kind == TYPE_FUNCTION) return function_union(h, a, b);
    if (a->kind == TYPE_FUNCTION || b->kind == TYPE_FUNCTION) return NULL;
    if (a->kind == TYPE_ANY && b->kind == TYPE_ANY) return any_union(h, a, b);
    if (a->kind == TYPE_ANY) return any_with(h, a, b);
    if (b->kind == TYPE_ANY) return any_with(h, b, a);
    int cmp = type_compare(a, b);
    if (cmp == 0) return a;
    const struct type *both[2] = {cmp < 0 ? a : b, cmp < 0 ? b : a};
    return new_list(h, TYPE_ANY, both, 2, NULL);
}

bool type_contains(const struct type *a, const struct type *b) {
    return a && a->kind == TYPE_ANY ? any_contains(a, b) : type_compare(a, b) == 0;
}

/* ---- Looking within ------------------------------------------------------------------------ */

static const struct type *property(const struct type *t, value key) {
    u32 low = 0, high = t->count;
    while (low < high) {
        u32 mid = low + (high - low) / 2;
        int cmp = value_compare(t->properties[mid].key, key);
        if (cmp == 0) return t->properties[mid].type;
        if (cmp < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static const struct type *select_object(struct heap *h, const struct type *t, value key) {
    const struct type *known = property(t, key);
    if (known || !t->of) return known;
    return type_contains(t->key, type_of_value(h, key)) ? t->of : NULL;
}

static const struct type *select_array(const struct type *t, value key) {
    if (key.kind != VALUE_NUMBER || key.boxed || key.integer < 0) return NULL;
    return (u64)key.integer < t->count ? t->items[key.integer] : t->of;
}

static const struct type *select_set(struct heap *h, const struct type *t, value key) {
    const struct type *kind = type_of_value(h, key);
    if (type_compare(t->of, kind) == 0) return t->of;
    return t->of && t->of->kind == TYPE_ANY && any_contains(t->of, kind) ? kind : NULL;
}

const struct type *type_select(struct heap *h, const struct type *t, value key) {
    if (!t) return NULL;
    switch (t->kind) {
    case TYPE_ARRAY: return select_array(t, key);
    case TYPE_OBJECT: return select_object(h, t, key);
    case TYPE_SET: return select_set(h, t, key);
    case TYPE_ANY: break;
    default: return NULL;
    }
    if (!t->count) return &type_any;
    const struct type *all = NULL;
    for (u32 i = 0; i < t->count; i++) all = type_or(h, type_select(h, t->items[i], key), all);
    return all;
}

const struct type *type_keys(struct heap *h, const struct type *t) {
    const struct type *all = NULL;
    if (!t) return NULL;
    switch (t->kind) {
    case TYPE_ARRAY: return &type_number;
    case TYPE_SET: return t->of;
    case TYPE_OBJECT:
        for (u32 i = 0; i < t->count; i++)
            all = type_or(h, all, type_of_value(h, t->properties[i].key));
        return t->key ? type_or(h, all, t->key) : all;
    case TYPE_ANY:
        if (!t->count) return &type_any;
        for (u32 i = 0; i < t->count; i++) all = type_or(h, type_keys(h, t->items[i]), all);
        return all;
    default: return NULL;
    }
}

const struct type *type_values(struct heap *h, const struct type *t) {
    const struct type *all = NULL;
    if (!t) return NULL;
    switch (t->kind) {
    case TYPE_SET: return t->of;
    case TYPE_ARRAY:
        for (u32 i = 0; i < t->count; i++) all = type_or(h, all, t->items[i]);
        return type_or(h, all, t->of);
    case TYPE_OBJECT:
        for (u32 i = 0; i < t->count; i++) all = type_or(h, all, t->properties[i].type);
        return type_or(h, all, t->of);
    case TYPE_ANY:
        if (!t->count) return &type_any;
        for (u32 i = 0; i < t->count; i++) all = type_or(h, type_values(h, t->items[i]), all);
        return all;
    default: return NULL;
    }
}

bool type_unknown(const struct type *t) {
    if (!t) return true;
    switch (t->kind) {
    case TYPE_ARRAY:
        for (u32 i = 0; i < t->count; i++)
            if (type_unknown(t->items[i])) return true;
        return t->of && type_unknown(t->of);
    case TYPE_FUNCTION:
        for (u32 i = 0; i < t->count; i++)
            if (type_unknown(t->items[i])) return true;
        return type_unknown(t->of);
    case TYPE_OBJECT:
        for (u32 i = 0; i < t->count; i++)
            if (type_unknown(t->properties[i].type)) return true;
        return (t->key || t->of) && (type_unknown(t->key) || type_unknown(t->of));
    case TYPE_SET: return type_unknown(t->of);
    default: return false;
    }
}

/* ---- Could one value be of both? ------------------------------------------------------------ */

/* The pairs both know, then what only one of them has: each pair is looked at once, since a second
 * look at every level would double the work with each. */
static bool arrays_unify(struct heap *h, const struct type *a, const struct type *b) {
    if (a->count > b->count) {
        const struct type *swap = a;
        a = b, b = swap;
    }
    for (u32 i = 0; i < b->count; i++)
        if (!type_unifies(h, i < a->count ? a->items[i] : a->of, b->items[i])) return false;
    return !a->of || !b->of || type_unifies(h, a->of, b->of);
}

static bool properties_unify(struct heap *h, const struct type *a, const struct type *b,
                             bool only_new) {
    for (u32 i = 0; i < a->count; i++) {
        if (only_new && property(b, a->properties[i].key)) continue;
        const struct type *other = select_object(h, b, a->properties[i].key);
        if (!other && !a->of && !b->of) return false;
        if (other && !type_unifies(h, a->properties[i].type, other)) return false;
    }
    return true;
}

static bool objects_unify(struct heap *h, const struct type *a, const struct type *b) {
    if (!properties_unify(h, a, b, false) || !properties_unify(h, b, a, true)) return false;
    return !a->of || !b->of || type_unifies(h, a->of, b->of);
}

static bool any_unifies(struct heap *h, const struct type *any, const struct type *t) {
    if (t->kind == TYPE_FUNCTION) return false;
    for (u32 i = 0; i < any->count; i++)
        if (type_unifies(h, any->items[i], t)) return true;
    return any->count == 0;
}

bool type_unifies(struct heap *h, const struct type *a, const struct type *b) {
    if (!a || !b) return false;
    if (a->kind == TYPE_ANY) return any_unifies(h, a, b);
    if (b->kind == TYPE_ANY) return any_unifies(h, b, a);
    if (a->kind != b->kind) return false;
    switch (a->kind) {
    case TYPE_ARRAY: return arrays_unify(h, a, b);
    case TYPE_OBJECT: return objects_unify(h, a, b);
    case TYPE_SET: return type_unifies(h, a->of, b->of);
    case TYPE_FUNCTION:
        if (a->count != b->count) return false;
        for (u32 i = 0; i < a->count; i++)
            if (!type_unifies(h, a->items[i], b->items[i])) return false;
        return true;
    default: return true;
    }
}
