/* SPDX-License-Identifier: Apache-2.0 */
/* option.c — reads options as the reference's command takes them: long names with one or two
 * parts (--format json, --format=json), letters (-f json, -fjson), switches (--strict,
 * --strict=false), and plain arguments anywhere between. `--` ends the options. */
#include "tools/opctl/opctl.h"

static int wrong(const char *what, const char *name) {
    fprintf(stderr, "opctl: %s: %s\n", what, name);
    return OPTION_WRONG;
}

static int take(struct option_reader *r, int spec, const char *attached, const char **out) {
    *out = attached;
    if (r->specs[spec].is_switch || attached) return spec;
    if (r->at >= r->argc) return wrong("option needs a value", r->argv[r->at - 1]);
    *out = r->argv[r->at++];
    return spec;
}

int option_next(struct option_reader *r, const char **out) {
    if (r->at >= r->argc) return OPTION_END;
    const char *arg = r->argv[r->at++];
    *out = arg;
    if (arg[0] != '-' || !arg[1]) return OPTION_PLAIN;
    if (arg[1] != '-') {
        for (u32 i = 0; i < r->count; i++)
            if (r->specs[i].letter && r->specs[i].letter == arg[1])
                return take(r, (int)i, arg[2] == '=' ? arg + 3 : arg[2] ? arg + 2 : NULL, out);
        return wrong("unknown option", arg);
    }
    str name = str_from_c(arg + 2);
    size_t equals = str_find_byte(name, '=');
    for (u32 i = 0; i < r->count; i++)
        if (str_eq(str_take(name, equals), str_from_c(r->specs[i].name)))
            return take(r, (int)i, equals < name.len ? arg + 2 + equals + 1 : NULL, out);
    return wrong("unknown option", arg);
}

int usage_of(const struct verb *v, const struct option_spec *specs, u32 count) {
    fprintf(stderr, "usage: opctl policy %s %s\n  %s\n\n", v->name, v->usage, v->about);
    for (u32 i = 0; i < count; i++) {
        char letter[6] = "    ";
        if (specs[i].letter) snprintf(letter, sizeof letter, "-%c, ", specs[i].letter);
        fprintf(stderr, "  %s--%-24s %s\n", letter, specs[i].name, specs[i].about);
    }
    return EXIT_USAGE;
}

bool option_is_given(const struct option_spec *specs, u32 count, int argc, char **argv,
                     const char *name) {
    struct option_reader r = {specs, count, argc, 1, argv};
    const char *v;
    bool on = false;
    for (int o; (o = option_next(&r, &v)) != OPTION_END;) {
        if (o == OPTION_WRONG) return false; /* whoever reads them next says so again */
        if (o >= 0 && !strcmp(specs[o].name, name)) on = !v || strcmp(v, "false");
    }
    return on;
}
