/* SPDX-License-Identifier: Apache-2.0 */
/* target.c — which targets there are and what each can take. */
#include "app/policy/filter/filter_impl.h"

enum { COMPARES = 1, MEMBER = 2, STRINGS = 4 };
struct target_kind {
    enum policy_filter_kind kind;
    const char *variant, *shown; /* in messages; NULL: none */
    unsigned builtins, features;
};
static const struct target_kind kinds[] = {
    {FILTER_UCAST, "all", "UCAST (all)", COMPARES | MEMBER | STRINGS, FEATURE_NOT | FEATURE_FIELD},
    {FILTER_UCAST, "prisma", "UCAST (prisma)", COMPARES | MEMBER | STRINGS, FEATURE_NOT},
    {FILTER_UCAST, "linq", "UCAST (LINQ)", COMPARES | MEMBER, 0},
    {FILTER_UCAST, "minimal", "UCAST", COMPARES, 0},
    {FILTER_SQL, "postgresql", "SQL (postgresql)", COMPARES | MEMBER | STRINGS, FEATURES_ALL},
    {FILTER_SQL, "mysql", "SQL (mysql)", COMPARES | MEMBER | STRINGS, FEATURES_ALL},
    {FILTER_SQL, "sqlserver", "SQL (sqlserver)", COMPARES | MEMBER | STRINGS, FEATURES_ALL},
    {FILTER_SQL, "sqlite", "SQL (sqlite)", COMPARES | MEMBER, FEATURES_ALL},
};

bool policy_filter_target_of(str kind, str variant, struct policy_filter_target *out) {
    bool sql = str_eq(kind, S("sql"));
    if (!sql && !str_eq(kind, S("ucast"))) return false;
    for (u32 i = 0; i < ARRAY_LEN(kinds); i++) {
        if ((kinds[i].kind == FILTER_SQL) != sql) continue;
        if (!str_eq(variant, str_from_c(kinds[i].variant))) continue;
        *out = (struct policy_filter_target){kinds[i].kind, kinds[i].variant};
        return true;
    }
    if (!sql) *out = (struct policy_filter_target){FILTER_UCAST, "minimal"};
    return !sql;
}

static const struct target_kind *kind_of(const struct policy_filter_target *t) {
    for (u32 i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].kind == t->kind && !strcmp(kinds[i].variant, t->variant)) return kinds + i;
    return kinds;
}

static unsigned builtin_bit(str name) {
    static const char *const compares[] = {"eq", "neq", "lt", "lte", "gt", "gte"};
    static const char *const strings[] = {"startswith", "endswith", "contains"};
    for (u32 i = 0; i < ARRAY_LEN(compares); i++)
        if (str_eq(name, str_from_c(compares[i]))) return COMPARES;
    for (u32 i = 0; i < ARRAY_LEN(strings); i++)
        if (str_eq(name, str_from_c(strings[i]))) return STRINGS;
    return str_eq(name, S("internal.member_2")) ? MEMBER : 0;
}

/* Every target that cannot, a line each. */
bool target_takes_builtin(const struct policy_filter_target *targets, u32 count, str name,
                          struct buf *why) {
    bool ok = true;
    for (u32 i = 0; i < count; i++) {
        const struct target_kind *k = kind_of(targets + i);
        if (k->builtins & builtin_bit(name)) continue;
        (void)buf_printf(why, "%sunsupported for %s", ok ? "" : "\n", k->shown);
        ok = false;
    }
    return ok;
}

bool target_takes_feature(const struct policy_filter_target *targets, u32 count, unsigned feature,
                          struct buf *why) {
    const char *name = feature == FEATURE_NOT     ? "not"
                       : feature == FEATURE_FIELD ? "field-ref"
                                                  : "existence-ref";
    bool ok = true;
    for (u32 i = 0; i < count; i++) {
        const struct target_kind *k = kind_of(targets + i);
        if (k->features & feature) continue;
        (void)buf_printf(why, "%sunsupported feature \"%s\" for %s", ok ? "" : "\n", name,
                         k->shown);
        ok = false;
    }
    return ok;
}

/* ---- Names of tables and columns ---- */

rc_t policy_filter_mappings(value all, const struct policy_filter_target *t, value *out,
                            struct diag *why) {
    const char *names[] = {t->variant, t->kind == FILTER_SQL ? "sql" : "ucast"};
    *out = all;
    for (u32 i = 0; all.kind == VALUE_OBJECT && i < ARRAY_LEN(names); i++) {
        value v = value_get_str(all, str_from_c(names[i]));
        if (!value_defined(v) || v.kind == VALUE_NULL) continue;
        if (v.kind != VALUE_OBJECT) {
            diag_set(why, "mappings: invalid mappings for %s %s", i ? "target" : "dialect",
                     names[i]);
            return RC_INVALID;
        }
        *out = v;
        return RC_OK;
    }
    return RC_OK;
}

/* Some mapping says to which table the name alone belongs. */
bool mapping_is_short(value all, str name) {
    for (u32 i = 0; all.kind == VALUE_OBJECT && i < value_count(all); i++) {
        value m = value_value_at(all, i);
        value entry = m.kind == VALUE_OBJECT ? value_get_str(m, name) : UNDEFINED;
        if (entry.kind == VALUE_OBJECT && value_defined(value_get_str(entry, S("$table"))))
            return true;
    }
    return false;
}

static value mapped(value mappings, str table, str what) {
    value m = mappings.kind == VALUE_OBJECT ? value_get_str(mappings, table) : UNDEFINED;
    value v = m.kind == VALUE_OBJECT ? value_get_str(m, what) : UNDEFINED;
    return v.kind == VALUE_STRING ? v : UNDEFINED;
}

/* "fruits.name", or the names a mapping has for them. */
value mapping_field(struct heap *h, value mappings, str field) {
    size_t dot = str_find_byte(field, '.');
    bool two = dot < field.len;
    str table = str_take(field, dot), column = two ? str_skip(field, dot + 1) : S("");
    value named = mapped(mappings, table, S("$table"));
    if (value_defined(named)) column = two ? column : table, table = value_str(named), two = true;
    str shown_table = table, shown_column = column;
    value self = mapped(mappings, table, S("$self"));
    value other = two ? mapped(mappings, table, column) : UNDEFINED;
    if (value_defined(self)) shown_table = value_str(self);
    if (value_defined(other)) shown_column = value_str(other);
    if (!two) return value_string(h, shown_table);
    char *room = value_string_room(h, shown_table.len + 1 + shown_column.len);
    if (!room) return value_null();
    memcpy(room, shown_table.ptr, shown_table.len);
    room[shown_table.len] = '.';
    memcpy(room + shown_table.len + 1, shown_column.ptr, shown_column.len);
    return value_string_seal(room, shown_table.len + 1 + shown_column.len);
}
