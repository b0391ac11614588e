/* SPDX-License-Identifier: Apache-2.0 */
/* repl_command.c — what a session understands besides the language: settings, what was defined,
 * help. Words and answers are the reference's. */
#include <strings.h>
#include "app/policy/lang/format.h"
#include "app/policy/value/json_text.h"
#include "tools/opctl/repl.h"

enum { WORDS_MAX = REPL_UNKNOWNS_MAX + 1, TEXT_BYTES_MAX = 1 << 26 };

struct words { char text[LINE_BYTES_MAX]; char *items[WORDS_MAX]; u32 count; };

static const char *const explain_names[] = {
    [POLICY_EXPLAIN_OFF] = "off",     [POLICY_EXPLAIN_NOTES] = "notes",
    [POLICY_EXPLAIN_FAILS] = "fails", [POLICY_EXPLAIN_TESTS] = "tests",
    [POLICY_EXPLAIN_FULL] = "full",   [POLICY_EXPLAIN_DEBUG] = "debug"};

static void toggle_explain(struct repl *r, enum policy_explain mode) {
    r->watch.explain = r->watch.explain == mode ? POLICY_EXPLAIN_OFF : mode;
}

static void do_trace(struct repl *r, const struct words *w) {
    enum policy_explain mode = POLICY_EXPLAIN_FULL;
    if (w->count == 2 && !policy_explain_of(str_from_c(w->items[1]), &mode))
        puts("invalid explain mode, expected one of: off, full, notes, fails, debug");
    else
        toggle_explain(r, mode);
}
static void do_notes(struct repl *r, const struct words *w) {
    (void)w;
    toggle_explain(r, POLICY_EXPLAIN_NOTES);
}
static void do_fails(struct repl *r, const struct words *w) {
    (void)w;
    toggle_explain(r, POLICY_EXPLAIN_FAILS);
}
static void do_metrics(struct repl *r, const struct words *w) {
    (void)w;
    r->watch.metrics = !r->watch.metrics, r->watch.instrument = false;
}
static void do_instrument(struct repl *r, const struct words *w) {
    (void)w;
    r->watch.metrics = r->watch.instrument = !r->watch.instrument;
}
static void do_profile(struct repl *r, const struct words *w) {
    (void)w;
    r->watch.profile = !r->watch.profile;
}
static void do_strict(struct repl *r, const struct words *w) {
    (void)w;
    r->strict_errors = !r->strict_errors;
}
static void do_types(struct repl *r, const struct words *w) {
    (void)w;
    r->types = !r->types;
}
static void do_json(struct repl *r, const struct words *w) {
    (void)w;
    r->format = "json";
}
static void do_pretty(struct repl *r, const struct words *w) {
    (void)w;
    r->format = "pretty";
}
static void do_pretty_limit(struct repl *r, const struct words *w) {
    if (w->count != 2 || str_to_s64(str_from_c(w->items[1]), &r->pretty_limit) != RC_OK)
        puts("usage: pretty-limit <n>");
}
static void do_exit(struct repl *r, const struct words *w) {
    (void)w;
    r->over = true;
}
static void do_target(struct repl *r, const struct words *w) {
    (void)r;
    if (w->count != 2) puts("target <mode>: expects exactly one argument");
    else if (strcmp(w->items[1], "rego"))
        printf("invalid target \"%s\": there is rego alone\n", w->items[1]);
}

static void do_unknown(struct repl *r, const struct words *w) {
    struct policy_errors errors;
    struct ast_term *term;
    struct heap h;
    bool ok = w->count > 1 || r->unknown_count;
    heap_open(&h, 1 << 20);
    policy_errors_open(&errors, &h, 1);
    for (u32 i = 1; i < w->count; i++)
        ok = ok && !parse_term(&h, str_from_c(w->items[i]), &r->load.parse, &term, &errors) &&
             (term->kind == AST_REF || term->kind == AST_VAR);
    heap_close(&h);
    if (!ok) {
        puts("usage: unknown <input/data reference> [<input/data reference> [...]] (hint: try "
             "'input')");
        return;
    }
    r->unknown_count = w->count - 1;
    for (u32 i = 1; i < w->count; i++)
        r->unknowns[i - 1] = value_str(value_string_c(&r->heap, w->items[i]));
}

/* A variable, or a ref whose head is one of the root documents. */
static bool names_rule(const struct repl *r, const char *text) {
    struct policy_errors errors;
    struct ast_term *term;
    struct heap h;
    heap_open(&h, 1 << 20);
    policy_errors_open(&errors, &h, 1);
    bool ok = !parse_term(&h, str_from_c(text), &r->load.parse, &term, &errors) &&
              (term->kind == AST_REF || term->kind == AST_VAR);
    heap_close(&h);
    return ok;
}

static void do_unset(struct repl *r, const struct words *w) {
    if (w->count != 2) puts("unset <var>: expects exactly one argument");
    else if (!names_rule(r, w->items[1])) puts("argument must identify a rule");
    else if (!repl_unset(r, str_from_c(w->items[1])))
        puts("warning: no matching rules in current module");
}
static void do_unset_package(struct repl *r, const struct words *w) {
    if (w->count != 2) puts("unset-package <var>: expects exactly one argument");
    else if (!repl_unset_package(r, str_from_c(w->items[1]))) puts("warning: no matching package");
}

static void do_dump(struct repl *r, const struct words *w) {
    struct buf b;
    buf_open(&b, (size_t)1 << 30);
    json_text_write(&b, r->files.data, JSON_TEXT_ESCAPE_HTML);
    FILE *f = w->count > 1 ? fopen(w->items[1], "w") : stdout;
    if (f) fprintf(f, "%.*s\n", STR(buf_str(&b)));
    else printf("%s: cannot be written\n", w->items[1]);
    if (f && f != stdout) fclose(f);
    buf_close(&b);
}

static void show_debug(const struct repl *r) {
    printf(
        "{\n\t\"explain\": \"%s\",\n\t\"metrics\": %s,\n\t\"instrument\": %s,\n\t\"profile\": %s,\n"
        "\t\"strict-builtin-errors\": %s\n}\n",
        explain_names[r->watch.explain], r->watch.metrics ? "true" : "false",
        r->watch.instrument ? "true" : "false", r->watch.profile ? "true" : "false",
        r->strict_errors ? "true" : "false");
}

static void do_show(struct repl *r, const struct words *w) {
    struct format_options o = {.version = r->load.parse.version};
    struct policy_errors errors;
    struct buf text, laid_out;
    struct heap h;
    if (w->count > 1 && !strcmp(w->items[1], "debug")) {
        show_debug(r);
        return;
    }
    if (w->count > 1) {
        printf("unknown option '%s'\n", w->items[1]);
        return;
    }
    if (r->current == REPL_NONE) {
        puts("no rules defined");
        return;
    }
    heap_open(&h, 1 << 26);
    policy_errors_open(&errors, &h, 1);
    buf_open(&text, TEXT_BYTES_MAX), buf_open(&laid_out, TEXT_BYTES_MAX);
    repl_module_text(r, r->current, true, &text);
    rc_t rc = format_source(&h, S(""), buf_str(&text), &r->load.parse, &o, &laid_out, &errors);
    printf("%.*s", STR(buf_str(rc ? &text : &laid_out)));
    buf_close(&text), buf_close(&laid_out);
    heap_close(&h);
}

static void do_help(struct repl *r, const struct words *w);

static const struct {
    const char *name, *arguments, *help;
    void (*run)(struct repl *r, const struct words *w);
} commands[] = {
    {"show", "", "show active module definition", do_show},
    {"show debug", "", "show REPL settings", NULL},
    {"unset", "<var>", "unset rules in currently active module", do_unset},
    {"unset-package", "<var>", "unset packages in currently active module", do_unset_package},
    {"json", "", "set output format to JSON", do_json},
    {"pretty", "", "set output format to pretty", do_pretty},
    {"pretty-limit", "<n>", "set pretty value output limit", do_pretty_limit},
    {"trace", "[mode]", "toggle full trace or specific mode", do_trace},
    {"notes", "", "toggle notes trace", do_notes},
    {"fails", "", "toggle fails trace", do_fails},
    {"metrics", "", "toggle metrics", do_metrics},
    {"instrument", "", "toggle instrumentation", do_instrument},
    {"profile", "", "toggle profiler", do_profile},
    {"types", "", "toggle type information", do_types},
    {"unknown", "[ref-1 [ref-2 [...]]]", "toggle partial evaluation mode", do_unknown},
    {"strict-builtin-errors", "", "toggle strict built-in error mode", do_strict},
    {"dump", "[path]", "dump raw data in storage", do_dump},
    {"help", "[topic]", "print this message", do_help},
    {"target", "[mode]", "set the runtime to exercise: rego", do_target},
    {"exit", "", "exit out of shell (or ctrl+d)", do_exit},
    {"ctrl+l", "", "clear the screen", NULL},
};
const char *const repl_commands[] = {"show",
                                     "unset",
                                     "unset-package",
                                     "json",
                                     "pretty",
                                     "pretty-limit",
                                     "trace",
                                     "notes",
                                     "fails",
                                     "metrics",
                                     "instrument",
                                     "profile",
                                     "types",
                                     "unknown",
                                     "strict-builtin-errors",
                                     "dump",
                                     "help",
                                     "target",
                                     "exit",
                                     "package",
                                     "import",
                                     NULL};

static void help_line(const char *name, const char *arguments, const char *help) {
    char both[64];
    snprintf(both, sizeof both, "%s%s%s", name, *arguments ? " " : "", arguments);
    printf("%29s : %s\n", both, help);
}

static void help_topic(const char *topic) {
    if (!strcmp(topic, "input"))
        puts("\nInput\n=====\n\n"
             "The document called input is what data.repl.input says. Define it in the package "
             "repl\n"
             "itself, or its parts in the package repl.input:\n\n"
             "\t> package repl.input\n"
             "\t> params := {\"method\": \"POST\"}\n"
             "\t> package example\n"
             "\t> input.params.method\n"
             "\t\"POST\"");
    else if (!strcmp(topic, "partial"))
        puts("\nPartial Evaluation\n==================\n\n"
             "With documents declared unknown, a question is answered by what is left of it:\n\n"
             "\t> allowed_methods := [\"GET\", \"HEAD\"]\n"
             "\t> unknown input\n"
             "\t> method = allowed_methods[i]; input.method = method\n\n"
             "The command unknown without arguments ends it.");
    else
        printf("unknown topic '%s'\n", topic);
}

static void do_help(struct repl *r, const struct words *w) {
    (void)r;
    if (w->count > 1) {
        help_topic(w->items[1]);
        return;
    }
    puts("\nExamples\n========\n\n"
         "> data                 # show all documents\n"
         "> data[x] = _          # show all top level keys\n"
         "> data.system.version  # drill into specific document\n\n"
         "Commands\n========\n");
    help_line("<stmt>", "", "evaluate the statement");
    help_line("package", "<term>", "change active package");
    help_line("import", "<term>", "add import to active module");
    for (u32 i = 0; i < ARRAY_LEN(commands); i++)
        help_line(commands[i].name, commands[i].arguments, commands[i].help);
    puts("\nAdditional Topics\n=================\n");
    help_line("help input", "", "how to set input document");
    help_line("help partial", "", "how to use partial evaluation");
    puts("");
}

static void split(struct words *w, const char *text) {
    w->count = 0;
    snprintf(w->text, sizeof w->text, "%s", text);
    char *at = w->text, *save = NULL, *word;
    for (; w->count < WORDS_MAX && (word = strtok_r(at, " \t", &save)); at = NULL)
        w->items[w->count++] = word;
}

bool repl_command(struct repl *r, const char *text) {
    static struct words w; /* 64 KiB are too much for the stack of a small machine */
    split(&w, text);
    for (u32 i = 0; w.count && i < ARRAY_LEN(commands); i++)
        if (commands[i].run && !strcasecmp(commands[i].name, w.items[0])) {
            commands[i].run(r, &w);
            return true;
        }
    return false;
}
