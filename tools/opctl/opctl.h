/* SPDX-License-Identifier: Apache-2.0 */
/* opctl.h — the policy command: what its verbs share. Verbs are one file each and are listed in
 * main.c. Everything a verb prints for programs goes to stdout, everything else to stderr.
 * Exit status: 0 yes, 1 the answer is no or something failed in what was asked, 2 wrong usage. */
#pragma once
#include <stdio.h>
#include "app/bundle/bundle.h"
#include "app/policy/policy.h"
#include "kernel/base/buf.h"
#include "app/policy/partial/partial.h"

enum { EXIT_NO = 1, EXIT_USAGE = 2 };

struct verb {
    const char *name;
    const char *usage; /* one line behind the name */
    const char *about; /* one line */
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};
extern const struct verb eval_verb, check_verb, fmt_verb, parse_verb, test_verb, bench_verb,
    deps_verb, repl_verb, run_verb, capabilities_verb, conformance_verb, build_verb, sign_verb,
    inspect_verb, why_verb, replay_verb, advise_verb;

/* ---- Options: a small reader for the reference's way of writing them ----
 * --name value, --name=value, -n value, and switches. */
struct option_spec {
    const char *name; /* "format" */
    char letter;      /* 'f', or 0 */
    bool is_switch;
    const char *about;
};
/* Begins the `about` of what only the reference has; the rest is the reason it is refused with. */
#define OPTION_REFUSED "\1"
struct option_reader {
    const struct option_spec *specs;
    u32 count;
    int argc, at;
    char **argv; /* argv[0]: the verb */
    u32 environment;     /* how many were looked for there */
    const char *letters; /* of -abc still to be read */
    bool plain;          /* behind -- */
};
#define OPTION_READER(all, n) {.specs = (all), .count = (n), .argc = argc, .at = 1, .argv = argv}
enum { OPTION_END = -1, OPTION_WRONG = -2, OPTION_PLAIN = -3 };
/* The index of the spec, with *value set (NULL for switches); OPTION_PLAIN: *value is an argument;
 * OPTION_WRONG: said so on stderr. Switches take --name=false: *value is "false". What the
 * environment says (OPA_VERB_NAME) comes first, if the command line does not say otherwise. */
int option_next(struct option_reader *r, const char **value);
/* All of the options, on stdout with status 0, when help was asked for; else on stderr, unless what
 * is wrong has been told: EXIT_USAGE. */
int option_wrong(const char *what, const char *why); /* "" or why; on stderr: OPTION_WRONG */
bool option_target(const char *v); /* "rego"; false: said why */
int usage_of(const struct verb *v, const struct option_spec *specs, u32 count);

/* "a,b", or one at a time, as the reference takes lists. False: there are too many. */
bool option_list(str *items, u32 max, u32 *count, const char *text);

/* --package and --import: what a query is asked in. */
enum { QUERY_IMPORTS_MAX = 16 };
struct query_scope {
    const char *package, *imports[QUERY_IMPORTS_MAX];
    u32 import_count;
};
bool query_scope_import(struct query_scope *s, const char *text); /* false: too many */
/* Into `out`, whose parse options are set. False: said why on stderr. */
bool query_scope_read(const struct query_scope *s, struct heap *h,
                      struct policy_query_options *out);

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
    bool bundles;        /* what is added is a bundle: an archive, or a folder laid out as one */
    struct package *packages; /* linked; what was read from bundles lies in them */
    u8 *told; /* of each source the version its bundle tells, or REGO_UNTOLD */
    enum rego_version *versions; /* bundle_load_options makes them */
};
enum { REGO_UNTOLD = 255 };
/* What policy_load wants of them, with the version of all that say nothing themselves. */
void bundle_load_options(struct bundle *b, struct policy_load_options *o);
bool bundle_ignore(struct bundle *b, const char *patterns); /* separated by commas; before adding */
void bundle_open(struct bundle *b);
void bundle_close(struct bundle *b);
bool bundle_add(struct bundle *b, const char *path); /* false: said why on stderr */
bool value_of_file(struct heap *h, const char *path, value *out); /* by its ending: JSON or YAML */
/* For compile_options: a schema of the input, or a folder's by name; a capabilities file, or the
 * name of this version. False: said why on stderr. */
bool schemas_load(struct heap *h, const char *path, value *out);
bool capabilities_load(struct heap *h, const char *file_or_version, value *out);
bool option_duration(const char *text,
                     u64 *ns); /* "5s", "1m30s", "250ms"; bare numbers are seconds */

/* ---- Bundles: archives, and folders laid out as one ---- */
struct package_options {
    struct bundle_options read;
    const char *const *ignore; /* patterns of names left out of folders */
    u32 ignore_count;
    bool follow; /* links to files, too */
};
struct package {
    struct policy_bundle content;
    str archive;         /* its bytes, or NULL */
    const char *path;    /* as given, without "file://" and "./" */
    bool is_folder;
    struct buf *texts;   /* of a folder's files */
    u32 text_count;
    struct package *next;
};
/* The errors' words lie in `why`. package_close in any case. */
rc_t package_open(struct package *p, const char *path, const struct package_options *o,
                  struct diag *why);
void package_close(struct package *p);
/* Where a file of it came from, as messages show it: "dir/a.rego", "/a.rego". In its heap. */
str package_file_name(struct package *p, const struct bundle_file *f);
/* The policies and data of a bundle beside what is there; bundles may not share roots. */
bool bundle_add_package(struct bundle *b, const char *path); /* false: said why on stderr */
bool option_is_given(const struct option_spec *specs, u32 count, int argc, char **argv,
                     const char *name); /* a switch that is on, wherever it stands */

/* Recorded decisions: one JSON object per line, or one array. Returns how many lines are neither.
 * `h` is used for one at a time. */
u64 records_each(struct heap *h, str text, void (*see)(void *arg, value record), void *arg);

/* What lies at these paths, as one number; and the wait until it is another (notice.c), which says
 * `words` when it begins. False: SIGINT or SIGTERM came, or nothing can be watched (on stderr). */
u64 notice_now(char *const *paths, u32 count);
bool notice_wait(char *const *paths, u32 count, u64 *seen, const char *words);

bool diff_print(const char *path, str before, str after); /* diff.c; false: no memory, said so */

/* Prints errors as the reference does, to stderr or as JSON to stdout. */
void errors_print(const struct policy_errors *e);
void print_message(void *arg, const struct ast_location *at, str message); /* print(): to stderr */
/* Questions may call out, to the hosts that the capabilities allow (UNDEFINED: any): http.c */
void http_allow(struct policy_ask *ask, value capabilities);
u64 wall_ns(void);
u64 steady_ns(void);
void pages_prepare(void); /* before anything is allocated (pages.c) */
/* What JSON can say: sets as arrays, keys that are not strings as their JSON text. */
value value_as_json(struct heap *h, value v);
void value_print(value v, unsigned json_flags); /* and a line end */

/* eval --partial. 0, or EXIT status of an error, told by the caller. */
int partial_print(struct policy_program *program, const char *query, const struct policy_ask *ask,
                  const struct partial_options *o, const char *format, struct policy_errors *errors,
                  bool *defined);
