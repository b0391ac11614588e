/* SPDX-License-Identifier: Apache-2.0 */
/* option.c — reads options as the reference's command takes them: long names (--format json,
 * --format=json), letters (-f json, -fjson, -f=json, -vz for two switches), switches (--strict,
 * --strict=false), and plain arguments anywhere between. `--` ends the options.
 *
 * What is not given on the command line may come from the environment: OPA_EVAL_FORMAT=json is
 * --format json of eval. These come first, so that what is loaded sees them. An option that only
 * other machines have is known and refused, with the reason: a command that does not do what was
 * asked for is worse than none. */
#include <ctype.h>
#include <stdlib.h>
#include "tools/opctl/opctl.h"

/* What the reader found last, for usage_of: a command reads one command line in its life. */
static enum { NOTHING_TOLD, REASON_TOLD, HELP_WANTED } found;

/* What option_next gave last; its taker may still find it wrong. */
static struct { const char *name, *value; } last;

int option_wrong(const char *what, const char *name) {
    if (found != REASON_TOLD) fprintf(stderr, "opctl: %s%s%s\n", what, *name ? ": " : "", name);
    found = REASON_TOLD; /* a command line that is read twice is complained of once */
    return OPTION_WRONG;
}

/* "true" and "false" as the reference reads them; NULL: neither. */
static const char *truth(const char *text) {
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const no[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (u32 i = 0; i < ARRAY_LEN(yes); i++) {
        if (!strcmp(text, yes[i])) return "true";
        if (!strcmp(text, no[i])) return "false";
    }
    return NULL;
}

/* The spec is met with this value, NULL for none. */
static int met(const struct option_reader *r, u32 i, const char *v, const char **out) {
    const struct option_spec *spec = r->specs + i;
    char what[64];
    snprintf(what, sizeof what, "--%s", spec->name);
    if (spec->is_switch && v) {
        if (!truth(v)) return option_wrong(what, "takes true or false");
        v = truth(v);
    }
    if (spec->about[0] == OPTION_REFUSED[0] && (!v || strcmp(v, "false")))
        return option_wrong(what, spec->about + 1);
    if (!strcmp(spec->name, "help") && (!v || strcmp(v, "false"))) found = HELP_WANTED;
    last.name = spec->name, last.value = v;
    *out = v;
    return (int)i;
}

static int take(struct option_reader *r, u32 i, const char *attached, const char **out) {
    if (r->specs[i].is_switch || attached) return met(r, i, attached, out);
    if (r->at >= r->argc) return option_wrong("option needs a value", r->argv[r->at - 1]);
    return met(r, i, r->argv[r->at++], out);
}

/* One of -abc, where all but the last are switches. */
static int take_letter(struct option_reader *r, const char **out) {
    const char *at = r->letters;
    r->letters = NULL;
    for (u32 i = 0; i < r->count; i++) {
        if (!r->specs[i].letter || r->specs[i].letter != *at) continue;
        bool more = at[1] && at[1] != '=';
        if (r->specs[i].is_switch && more) return r->letters = at + 1, met(r, i, NULL, out);
        return take(r, i, at[1] == '=' ? at + 2 : more ? at + 1 : NULL, out);
    }
    return option_wrong("unknown option", r->argv[r->at - 1]);
}

static int take_argument(struct option_reader *r, const char **out) {
    if (r->letters) return take_letter(r, out);
    last.name = NULL;
    if (r->at >= r->argc) return OPTION_END;
    const char *arg = r->argv[r->at++];
    if (!r->plain && !strcmp(arg, "--")) {
        r->plain = true;
        return take_argument(r, out);
    }
    *out = arg;
    if (r->plain || arg[0] != '-' || !arg[1]) return OPTION_PLAIN;
    if (arg[1] != '-') return r->letters = arg + 1, take_letter(r, out);
    str name = str_from_c(arg + 2);
    size_t equals = str_find_byte(name, '=');
    for (u32 i = 0; i < r->count; i++)
        if (str_eq(str_take(name, equals), str_from_c(r->specs[i].name)))
            return take(r, i, equals < name.len ? arg + 2 + equals + 1 : NULL, out);
    return option_wrong("unknown option", arg);
}

/* ---- The environment ---- */

/* Is the option on the command line? Nothing is said about what is wrong there: that comes. */
static bool on_command_line(const struct option_reader *r, u32 i) {
    const struct option_spec *spec = r->specs + i;
    for (int k = 1; k < r->argc && strcmp(r->argv[k], "--"); k++) {
        const char *arg = r->argv[k];
        size_t len = strlen(spec->name);
        if (arg[0] != '-' || !arg[1]) continue;
        if (arg[1] == '-') {
            if (!strncmp(arg + 2, spec->name, len) && (!arg[2 + len] || arg[2 + len] == '='))
                return true;
        } else if (spec->letter && strchr(arg + 1, spec->letter)) {
            return true;
        }
    }
    return false;
}

static const char *in_environment(const struct option_reader *r, u32 i) {
    char name[96];
    int n = snprintf(name, sizeof name, "OPA_%s_%s", r->argv[0], r->specs[i].name);
    if (n >= (int)sizeof name) return NULL;
    for (char *c = name; *c; c++) *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    const char *v = getenv(name);
    return v && *v ? v : NULL;
}

int option_next(struct option_reader *r, const char **out) {
    while (r->environment < r->count) {
        u32 i = r->environment++;
        const char *v = in_environment(r, i);
        if (v && strcmp(r->specs[i].name, "help") && !on_command_line(r, i))
            return met(r, i, v, out);
    }
    return take_argument(r, out);
}

bool option_target(const char *v) {
    if (!strcmp(v, "rego")) return true;
    (void)option_wrong("--target",
                       "there is rego alone: WebAssembly and plans are other machines'");
    return false;
}

int usage_of(const struct verb *v, const struct option_spec *specs, u32 count) {
    FILE *to = found == HELP_WANTED ? stdout : stderr;
    if (found == NOTHING_TOLD && last.name && last.value)
        fprintf(to, "opctl: --%s: not \"%s\"\n", last.name, last.value), found = REASON_TOLD;
    if (found == REASON_TOLD) {
        fprintf(to, "opctl policy %s --help lists the options\n", v->name);
        return EXIT_USAGE;
    }
    fprintf(to, "usage: opctl policy %s %s\n  %s\n\n", v->name, v->usage, v->about);
    for (u32 i = 0; i < count; i++) {
        char letter[6] = "    ";
        if (specs[i].about[0] == OPTION_REFUSED[0]) continue;
        if (specs[i].letter) snprintf(letter, sizeof letter, "-%c, ", specs[i].letter);
        fprintf(to, "  %s--%-24s %s\n", letter, specs[i].name, specs[i].about);
    }
    return found == HELP_WANTED ? 0 : EXIT_USAGE;
}

bool option_is_given(const struct option_spec *specs, u32 count, int argc, char **argv,
                     const char *name) {
    struct option_reader r = OPTION_READER(specs, count);
    const char *v;
    bool on = false;
    for (int o; (o = option_next(&r, &v)) != OPTION_END;) {
        if (o == OPTION_WRONG) return false; /* whoever reads them next says so again */
        if (o >= 0 && !strcmp(specs[o].name, name)) on = !v || strcmp(v, "false");
    }
    return on;
}
