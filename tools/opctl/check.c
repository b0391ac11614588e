/* SPDX-License-Identifier: Apache-2.0 */
/* check.c — opctl policy check: do these policies compile? Silent when they do; else the errors on
 * stderr, as text or as the reference's JSON. Exit status 1 when there are any. */
#include "tools/opctl/output.h"

struct check {
    struct bundle files;
    struct policy_load_options load;
    bool json;
    s64 errors_max;
};

static int check(struct check *c) {
    struct policy_program *program;
    struct policy_errors errors;
    struct json_out o;
    policy_errors_open(&errors, &c->files.heap, (u32)c->errors_max);
    c->load.compile.errors_max = (u32)c->errors_max;
    c->load.compile.all_errors = c->errors_max == 0;
    c->load.compile.keep_print = true;
    bundle_load_options(&c->files, &c->load);
    if (c->files.bundles)
        c->load.compile.data = c->files.data; /* rules beside data are conflicts */
    if (!policy_load(c->files.sources, c->files.count, &c->load, &program, &errors)) {
        policy_drop(program);
        return 0;
    }
    if (!c->json) {
        errors_print(&errors);
        return EXIT_NO;
    }
    out_open(&o);
    out_begin(&o, NULL, '{');
    out_errors(&o, &errors);
    out_end(&o, '}');
    (void)out_close(&o, stderr);
    return EXIT_NO;
}

enum { STRICT, FORMAT, MAX_ERRORS, SCHEMA, CAPABILITIES, IGNORE, BUNDLE, V0_V1, REGO_V1_NAME,
       V0, V1, HELP };
static const struct option_spec specs[] = {
    [STRICT] = {"strict", 'S', true, "the compiler's strict mode"},
    [FORMAT] = {"format", 'f', false, "pretty or json"},
    [MAX_ERRORS] = {"max-errors", 'm', false, "how many errors are shown (default 10; 0: all)"},
    [SCHEMA] = {"schema", 's', false, "a JSON schema of the input, or a folder of schemas"},
    [CAPABILITIES] = {"capabilities", 0, false, "a capabilities file, or a version"},
    [IGNORE] = {"ignore", 0, false, "names of files and folders to leave out: patterns"},
    [BUNDLE] = {"bundle", 'b', true, "the paths are bundles: archives or folders"},
    [V0_V1] = {"v0-v1", 0, true, "policies must be both Rego v0 and v1"},
    [REGO_V1_NAME] = {"rego-v1", 0, true, "the older name of --v0-v1"},
    [V0] = {"v0-compatible", 0, true, "policies are Rego v0"},
    [V1] = {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
    [HELP] = {"help", 'h', true, "this text"},
};

static bool option(struct check *c, int o, const char *v) {
    bool on = !v || strcmp(v, "false");
    switch (o) {
    case STRICT: c->load.compile.strict = on; return true;
    case FORMAT: c->json = !strcmp(v, "json"); return c->json || !strcmp(v, "pretty");
    case MAX_ERRORS:
        return str_to_s64(str_from_c(v), &c->errors_max) == RC_OK && c->errors_max >= 0;
    case SCHEMA: return schemas_load(&c->files.heap, v, &c->load.compile.schemas);
    case CAPABILITIES: return capabilities_load(&c->files.heap, v, &c->load.compile.capabilities);
    case IGNORE: return bundle_ignore(&c->files, v);
    case V0_V1:
    case REGO_V1_NAME: c->load.parse.version = on ? REGO_V0_COMPAT_V1 : REGO_V1; return true;
    case V0: c->load.parse.version = on ? REGO_V0 : REGO_V1; return true;
    case BUNDLE: /* seen before the paths */
    case V1: return true;
    default: return false;
    }
}

/* Options first, then paths: what to leave out must be known. */
static bool read_words(struct check *c, int argc, char **argv, bool paths, bool *any) {
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    const char *v;
    for (int o; (o = option_next(&options, &v)) != OPTION_END;) {
        bool plain = o == OPTION_PLAIN;
        if (plain) *any = true;
        if (plain && paths && !bundle_add(&c->files, v)) return false;
        if (!plain && !paths && !option(c, o, v)) return false;
    }
    return true;
}

static int run(int argc, char **argv) {
    struct check c = {.load.parse.annotations = true, .errors_max = 10};
    bool any = false;
    int status;
    bundle_open(&c.files);
    c.files.bundles = option_is_given(specs, ARRAY_LEN(specs), argc, argv, "bundle");
    if (!read_words(&c, argc, argv, false, &any) || !any)
        status = usage_of(&check_verb, specs, ARRAY_LEN(specs));
    else if (read_words(&c, argc, argv, true, &any))
        status = check(&c);
    else
        status = EXIT_NO;
    bundle_close(&c.files);
    return status;
}

const struct verb check_verb = {"check", "[OPTIONS] PATH...", "do these policies compile?", run};
