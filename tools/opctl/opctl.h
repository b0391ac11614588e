/* SPDX-License-Identifier: Apache-2.0 */
/* opctl.h — the policy command: what its verbs share. Verbs are one file each and are listed in
 * main.c. Everything a verb prints for programs goes to stdout, everything else to stderr.
 * Exit status: 0 yes, 1 the answer is no or something failed in what was asked, 2 wrong usage. */
#pragma once
#include <stdio.h>
#include "app/policy/policy.h"

enum { EXIT_NO = 1, EXIT_USAGE = 2 };

struct verb {
    const char *name;
    const char *usage; /* one line behind the name */
    const char *about; /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};
extern const struct verb eval_verb, check_verb, fmt_verb, parse_verb, test_verb, bench_verb, deps_verb,
    conformance_verb;

/* ---- Options: a small reader for the reference's way of writing them ----
 * --name value, --name=value, -n value, and switches. */
struct option_spec {
    const char *name; /* "format" */
    char letter;      /* 'f', or 0 */
    bool is_switch;
    const char *about;
};
struct option_reader {
    const struct option_spec *specs;
    u32 count;
    int argc, at;
    char **argv;
};
enum { OPTION_END = -1, OPTION_WRONG = -2, OPTION_PLAIN = -3 };
/* The index of the spec, with *value set (NULL for switches); OPTION_PLAIN: *value is an argument;
 * OPTION_WRONG: said so on stderr. Switches take --name=false: *value is "false". */
int option_next(struct option_reader *r, const char **value);
int usage_of(const struct verb *v, const struct option_spec *specs, u32 count); /* EXIT_USAGE */

/* ---- Files ---- */
/* The whole file, NUL-terminated, from malloc; "-" is stdin. False: said so on stderr. */
bool file_read(const char *path, str *out);
/* Policies and data from paths: files and folders, as the reference loads them. A folder's data
 * lies under its place below the path given; "a.b:path" puts it under data.a.b. */
struct bundle {
    struct heap heap;    /* of data, names and texts */
    struct policy_source *sources;
    u32 count, room;
    value data;          /* an object */
    const char *ignore[16]; /* names of files and folders that are left out: patterns */
    u32 ignore_count;
    bool bundles;        /* of data, only files named data.json, data.yaml, data.yml are read */
};
bool bundle_ignore(struct bundle *b, const char *patterns); /* separated by commas; before adding */
void bundle_open(struct bundle *b);
void bundle_close(struct bundle *b);
bool bundle_add(struct bundle *b, const char *path); /* false: said why on stderr */
bool value_of_file(struct heap *h, const char *path, value *out); /* by its ending: JSON or YAML */
/* For compile_options: a schema of the input, or a folder's by name; a capabilities file, or the
 * name of this version. False: said why on stderr. */
bool schemas_load(struct heap *h, const char *path, value *out);
bool capabilities_load(struct heap *h, const char *file_or_version, value *out);
bool option_duration(const char *text, u64 *ns); /* "5s", "1m30s", "250ms"; bare numbers are seconds */

/* Prints errors as the reference does, to stderr or as JSON to stdout. */
void errors_print(const struct policy_errors *e);
void print_message(void *arg, const struct ast_location *at, str message); /* print(): to stderr */
u64 wall_ns(void);
u64 steady_ns(void);
/* What JSON can say: sets as arrays, keys that are not strings as their JSON text. */
value value_as_json(struct heap *h, value v);
void value_print(value v, unsigned json_flags); /* and a line end */
