/* SPDX-License-Identifier: Apache-2.0 */
/* capabilities.c — opctl policy capabilities: what this engine knows, in the reference's document:
 * builtins with their types, keywords, features. Restrict it and give it to eval, check or test. */
#include "app/policy/builtin/builtin.h"
#include "app/policy/compile/type.h"
#include "app/version.h"
#include "tools/opctl/output.h"

static const struct { const char *name, *infix; } infixes[] = {
    {"and", "&"},  {"assign", ":="}, {"div", "/"},   {"eq", "="},   {"equal", "=="}, {"gt", ">"},
    {"gte", ">="}, {"lt", "<"},      {"lte", "<="},  {"minus", "-"}, {"mul", "*"},   {"neq", "!="},
    {"or", "|"},   {"plus", "+"},    {"rem", "%"},   {"internal.member_2", "in"},
};

/* Names of arguments are for messages alone. */
static value without_names(struct heap *h, value v) {
    struct value_builder b;
    if (v.kind < VALUE_ARRAY) return v;
    value_builder_open(&b, h, v.kind == VALUE_OBJECT ? VALUE_OBJECT : VALUE_ARRAY);
    for (u32 i = 0; i < value_count(v); i++) {
        if (v.kind != VALUE_OBJECT)
            value_builder_add(&b, without_names(h, value_item(v, i)));
        else if (!str_eq(value_str(value_key_at(v, i)), S("name")))
            value_builder_replace(&b, value_key_at(v, i), without_names(h, value_value_at(v, i)));
    }
    return value_builder_close(&b);
}

static void put_builtin(struct json_out *o, const struct builtin *b) {
    const struct type *type;
    struct diag why;
    if (b->flags & BUILTIN_TEST || type_parse(&o->heap, str_from_c(b->type), &type, &why)) return;
    out_begin(o, NULL, '{');
    out_text(o, "name", str_from_c(b->name));
    out_value(o, "decl", without_names(&o->heap, type_json(&o->heap, type)));
    for (u32 i = 0; i < ARRAY_LEN(infixes); i++)
        if (!strcmp(infixes[i].name, b->name)) out_text(o, "infix", str_from_c(infixes[i].infix));
    if (b->flags & BUILTIN_RELATION) out_bool(o, "relation", true);
    if (b->flags & BUILTIN_DEPRECATED) out_bool(o, "deprecated", true);
    if (b->flags & BUILTIN_NONDETERMINISTIC) out_bool(o, "nondeterministic", true);
    out_end(o, '}');
}

static void put_words(struct json_out *o, const char *key, const char *const *words, u32 count) {
    out_begin(o, key, '[');
    for (u32 i = 0; i < count; i++) out_text(o, NULL, str_from_c(words[i]));
    out_end(o, ']');
}

static void print_current(bool v0) {
    static const char *const v0_keywords[] = {"contains", "every", "if", "in", "not"};
    static const char *const v1_keywords[] = {"not"};
    static const char *const v0_features[] = {"keywords_in_refs", "rego_v1_import",
                                              "rule_head_ref_string_prefixes", "rule_head_refs",
                                              "template_strings"};
    static const char *const v1_features[] = {"keywords_in_refs", "rego_v1", "template_strings"};
    struct json_out o;
    out_open(&o);
    out_begin(&o, NULL, '{');
    out_begin(&o, "builtins", '[');
    for (u32 i = 0; i < builtins_count; i++) put_builtin(&o, builtins + i);
    out_end(&o, ']');
    put_words(&o, "future_keywords", v0 ? v0_keywords : v1_keywords,
              v0 ? ARRAY_LEN(v0_keywords) : ARRAY_LEN(v1_keywords));
    put_words(&o, "features", v0 ? v0_features : v1_features,
              v0 ? ARRAY_LEN(v0_features) : ARRAY_LEN(v1_features));
    out_end(&o, '}');
    (void)out_close(&o, stdout);
}

static int print_file(const char *file_or_version) {
    struct json_out o;
    value v = UNDEFINED;
    out_open(&o);
    bool ok = capabilities_load(&o.heap, file_or_version, &v);
    if (ok && value_defined(v)) {
        out_value(&o, NULL, v);
        (void)out_close(&o, stdout);
        return 0;
    }
    buf_close(&o.to), heap_close(&o.heap);
    if (ok) print_current(false);
    return ok ? 0 : EXIT_NO;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"current", 0, true, "what this version knows"},
        {"version", 0, false, "what a version knows: there is this one"},
        {"file", 0, false, "what a file says"},
        {"v0-compatible", 0, true, "for policies in Rego v0"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    const char *v, *given = NULL;
    bool ok = true, current = false, v0 = false;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0) current = true;
        else if (o == 1 || o == 2) given = v;
        else if (o == 3) v0 = true;
        else ok = false;
    }
    if (!ok) return usage_of(&capabilities_verb, specs, ARRAY_LEN(specs));
    if (given) return print_file(given);
    if (current) print_current(v0);
    else puts("v" OPENPOLICY_VERSION);
    return 0;
}

const struct verb capabilities_verb = {"capabilities", "[OPTIONS]", "what the engine knows", run};
