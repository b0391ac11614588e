/* SPDX-License-Identifier: Apache-2.0 */
/* check.c — opctl policy check: do these policies compile? Silent when they do; else the errors,
 * as text on stderr or as the reference's JSON on stdout. Exit status 1 when there are any. */
#include "app/policy/value/json_text.h"
#include "tools/opctl/opctl.h"

static int report(const struct policy_errors *errors, const char *format) {
    struct value_builder b;
    if (strcmp(format, "json")) {
        errors_print(errors);
        return EXIT_NO;
    }
    value_builder_open(&b, errors->heap, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(errors->heap, "errors"),
                          policy_errors_json(errors->heap, errors));
    value_print(value_builder_close(&b), JSON_TEXT_INDENT);
    return EXIT_NO;
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"strict", 'S', true, "the compiler's strict mode"},
        {"format", 'f', false, "pretty or json"},
        {"max-errors", 'm', false, "how many errors are shown (default 10; 0: all)"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"help", 'h', true, "this text"},
        {"bundle", 'b', true, "the paths are bundles: archives or folders"},
    };
    struct option_reader options = {specs, ARRAY_LEN(specs), argc, 1, argv};
    struct policy_load_options load = {.parse.annotations = true};
    struct policy_program *program;
    struct policy_errors errors;
    struct bundle files;
    const char *v, *format = "pretty";
    s64 errors_max = 10;
    bool ok = true, any = false;
    bool packages = option_is_given(specs, ARRAY_LEN(specs), argc, argv, "bundle");
    bundle_open(&files);
    files.bundles = packages;
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (o == 0)
            load.compile.strict = on;
        else if (o == 1)
            format = v;
        else if (o == 2)
            ok = str_to_s64(str_from_c(v), &errors_max) == RC_OK && errors_max >= 0;
        else if (o == 3)
            load.parse.version = on ? REGO_V0 : REGO_V1;
        else if (o == 5)
            continue; /* seen above */
        else if (o == OPTION_PLAIN)
            any = true, ok = bundle_add(&files, v);
        else
            ok = false;
    }
    int status = EXIT_USAGE;
    if (!ok || !any)
        usage_of(&check_verb, specs, ARRAY_LEN(specs));
    else {
        policy_errors_open(&errors, &files.heap, (u32)errors_max);
        load.compile.errors_max = (u32)errors_max;
        load.compile.all_errors = errors_max == 0;
        status = 0;
        bundle_load_options(&files, &load);
        if (policy_load(files.sources, files.count, &load, &program, &errors))
            status = report(&errors, format);
        else
            policy_drop(program);
    }
    bundle_close(&files);
    return status;
}

const struct verb check_verb = {"check", "[OPTIONS] PATH...", "do these policies compile?", run};
