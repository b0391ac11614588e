/* SPDX-License-Identifier: Apache-2.0 */
/* repl.h — a session: what was loaded, what was defined in it (repl_define.c), its settings and
 * commands (repl_command.c), questions (repl.c). */
#pragma once
#include "tools/opctl/eval.h"
#include "tools/opctl/line.h"

enum { REPL_IMPORTS_MAX = 64, REPL_UNKNOWNS_MAX = 32, REPL_NONE = -1 };

struct repl_rule { str name, text; };
struct repl_module {
    str package; /* "repl", "a.b" */
    str imports[REPL_IMPORTS_MAX]; /* "data.a as b" */
    u32 import_count;
    struct repl_rule *rules;
    u32 rule_count, rule_room;
};
struct repl {
    struct bundle files;
    struct policy_load_options load;
    struct heap heap;    /* of all that was defined: kept to the end */
    struct repl_module *modules;
    u32 module_count, module_room;
    int current;         /* REPL_NONE: "repl", not yet made */
    struct watch watch;
    const char *format;  /* "pretty", "json" */
    s64 pretty_limit;
    bool strict_errors, types, over;
    str unknowns[REPL_UNKNOWNS_MAX];
    u32 unknown_count;
    struct buf pending;  /* lines that do not make a statement yet */
};
/* ---- repl_define.c ---- */
str repl_package(const struct repl *r); /* of the current module */
/* "package P" and its imports: what a question is asked with. Rules when `rules`. In `to`. */
void repl_module_text(const struct repl *r, int module, bool rules, struct buf *to);
rc_t repl_load(struct repl *r, bool trace, struct policy_times *times, struct policy_program **out,
               struct policy_errors *errors);
/* A package, imports, rules. Errors are printed by the caller; then nothing changed. */
rc_t repl_define(struct repl *r, str text, bool again, struct policy_errors *errors);
bool repl_is_defined(const struct repl *r,
                     str name); /* a rule or an import of the current module */
bool repl_unset(struct repl *r, str name);
bool repl_unset_package(struct repl *r, str package);
/* ---- repl_command.c ---- */
bool repl_command(struct repl *r, const char *text); /* false: it is none */
extern const char *const repl_commands[]; /* NULL-ended */
