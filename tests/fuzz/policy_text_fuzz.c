/* SPDX-License-Identifier: Apache-2.0 */
/* policy_text_fuzz.c — builtins that read text of a format: one byte chooses the function, the rest are
 * its arguments, cut at NULs. Any bytes: an answer or an error, in little memory and bounded work. */
#include "tests/unit/policy_builtin.h"

static const char *const names[] = {
    "time.parse_ns", "time.parse_rfc3339_ns", "time.parse_duration_ns", "sprintf", "units.parse", "units.parse_bytes",
    "net.cidr_contains", "net.cidr_expand", "net.cidr_is_valid", "net.cidr_merge", "glob.match", "regex.globs_match",
    "regex.replace", "regex.split", "regex.find_n", "regex.template_match", "uri.parse", "urlquery.decode",
    "urlquery.decode_object", "base64.decode", "base64url.decode", "hex.decode", "semver.compare", "uuid.parse",
    "to_number", "json.patch", "json.filter", "time.format", "strings.replace_n", "split", "trim", "upper", "lower",
    "indexof_n", "substring", "strings.split_n", "format_int", "json.marshal_with_options",
};

static value next_text(struct heap *h, str *rest) {
    size_t cut = str_find_byte(*rest, '\0');
    value v = value_string(h, str_take(*rest, cut));
    *rest = str_skip(*rest, cut + 1);
    return v;
}

static bool is(const char *name, const char *one) { return strcmp(name, one) == 0; }
static value number_else(struct heap *h, value text, const char *otherwise) {
    value v = value_number(h, value_str(text));
    return v.kind == VALUE_NUMBER ? v : value_number(h, str_from_c(otherwise));
}

/* Where a function wants something else than a text it is given that, made of the text. */
static value argument(struct heap *h, const char *name, u32 i, str *rest) {
    struct diag why;
    value v, text = next_text(h, rest);
    if (is(name, "time.format")) {
        value parts[] = {value_integer((s64)rest->len * 1000000007), value_string_c(h, "Europe/Paris"), text};
        return value_array(h, parts, 3);
    }
    if (is(name, "sprintf") && i == 1) {
        value parts[] = {text, number_else(h, text, "-12.75"), value_number(h, S("123456789012345678901")), value_integer(-5)};
        return value_array(h, parts, 4);
    }
    if (is(name, "net.cidr_merge") || ((is(name, "glob.match") || is(name, "json.filter")) && i == 1))
        return value_array(h, &text, 1);
    bool tree = strncmp(name, "json.", 5) == 0 || (is(name, "strings.replace_n") && i == 0);
    if (tree && json_text_read(h, NULL, value_str(text), &v, &why) == RC_OK) return v;
    if (is(name, "format_int")) return i ? value_integer(16) : number_else(h, text, "7");
    bool count = (is(name, "regex.find_n") || is(name, "strings.split_n")) && i == 2;
    return count || (is(name, "substring") && i) ? value_integer((s64)(rest->len % 7) - 1) : text;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct heap in, out;
    value args[4];
    if (n == 0) return 0;
    const char *name = names[bytes[0] % ARRAY_LEN(names)];
    str rest = str_of((const char *)bytes + 1, MIN(n - 1, (size_t)200));
    heap_open(&in, MIB(1));
    heap_open(&out, KIB(512));
    test_evaluation = (struct evaluation){.ticks_max = 20000};
    test_call = (struct builtin_call){.heap = &out, .evaluation = &test_evaluation, .self = builtin_find(str_from_c(name))};
    for (u32 i = 0; i < test_call.self->arity; i++) args[i] = argument(&in, name, i, &rest);
    value v = test_call.self->fn(&test_call, args);
    if (test_call.failed) CHECK(!value_defined(v) && (test_call.message[0] || test_call.halt));
    for (u32 i = 0; i < test_evaluation.cache_count; i++) test_evaluation.cache[i].drop(test_evaluation.cache[i].thing);
    heap_close(&in);
    heap_close(&out);
    return 0;
}
