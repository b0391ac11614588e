/* SPDX-License-Identifier: Apache-2.0 */
/* repl.c — opctl policy repl: statements and questions, one after the other.
 *
 *   > x := 3                    a rule of the package repl
 *   > allow if {                not a statement yet: more lines, until one makes it one, or an
 *   |   x > 2                   empty line has the error shown
 *   | }
 *   > x + 1; allow              a question: its answer as `eval` shows it
 *
 * `x := ...` and `x = ...` define, unless `=` is asked of what is defined. When stdin is no
 * terminal lines are read as they come and nothing but answers is written. */
#include <stdlib.h>
#include "app/policy/builtin/builtin.h"
#include "app/policy/compile/type.h"
#include "app/version.h"
#include "tools/opctl/repl.h"

#define SERVER OPTION_REFUSED "the server is the appliance: `openpolicy`, and its own settings"

enum { STATEMENT_BYTES_MAX = 1 << 22, PRETTY_WIDTH = 80, PATH_MAX_BYTES = 4096 };

/* ---- Questions ---- */

struct question {
    struct heap heap;
    struct policy_errors errors;
    struct policy_times module, query;
    struct policy_program *program;
    struct policy_query_options with;
    struct watched watched;
    struct query_text texts;
    value input;
};

static bool question_open(struct repl *r, struct question *q, bool trace) {
    struct buf head;
    struct ast_module *m;
    *q = (struct question){
        .module.clock_ns = steady_ns, .query.clock_ns = steady_ns, .input = UNDEFINED};
    heap_open(&q->heap, (size_t)1 << 30);
    policy_errors_open(&q->errors, &q->heap, 0);
    watched_open(&q->watched, &r->watch, &q->heap);
    buf_open(&head, STATEMENT_BYTES_MAX);
    repl_module_text(r, r->current, false, &head);
    value text = value_string(&q->heap, buf_str(&head));
    buf_close(&head);
    rc_t rc = repl_load(r, trace, &q->module, &q->program, &q->errors);
    if (!rc) rc = parse_module(&q->heap, S(""), value_str(text), &r->load.parse, &m, &q->errors);
    if (rc) return false;
    q->with = (struct policy_query_options){.parse = {.version = r->load.parse.version},
                                            .package = m->package, .imports = m->imports,
                                            .import_count = m->import_count, .trace = trace,
                                            .times = &q->query};
    return true;
}

static void question_close(struct question *q) {
    watched_close(&q->watched);
    policy_drop(q->program);
    heap_close(&q->heap);
}

/* data.repl.input is the input of the session. */
static value session_input(struct question *q, struct policy_evaluator *e, struct policy_ask ask) {
    struct policy_answer a;
    struct policy_error error = {0};
    struct policy_query *query;
    struct policy_errors errors;
    value v = UNDEFINED;
    policy_errors_open(&errors, &q->heap, 1);
    ask.trace = NULL, ask.strict_errors = false;
    if (policy_prepare(q->program, S("data.repl.input"), &query, &errors)) return UNDEFINED;
    if (!policy_ask(e, query, &ask, &a, &error) && a.count)
        v = value_copy(&q->heap, value_item(a.results[0].expressions, 0));
    policy_query_drop(query);
    return v;
}

static void read_texts(struct question *q, const struct ast_body *body) {
    for (u32 i = 0; i < body->count && q->texts.count < ARRAY_LEN(q->texts.exprs); i++)
        if (body->exprs[i]->kind != AST_EXPR_SOME)
            q->texts.exprs[q->texts.count++] = body->exprs[i];
}

static void put_times(struct repl *r, struct question *q, u64 eval_ns, u64 steps) {
    if (!r->watch.metrics) return;
    watched_metric(&q->watched, "timer_rego_module_parse_ns", q->module.parse_ns);
    watched_metric(&q->watched, "timer_rego_module_compile_ns", q->module.compile_ns);
    watched_metric(&q->watched, "timer_rego_query_parse_ns", q->query.parse_ns);
    watched_metric(&q->watched, "timer_rego_query_compile_ns", q->query.compile_ns);
    watched_metric(&q->watched, "timer_rego_query_eval_ns", eval_ns);
    if (r->watch.instrument) watched_metric(&q->watched, "counter_eval_steps", steps);
}

static void print_type(void *arg, str what, const struct type *type) {
    struct buf b;
    (void)arg;
    buf_open(&b, MIB(1));
    type_write(&b, type);
    printf("# %.*s: %.*s\n", STR(what), STR(buf_str(&b)));
    buf_close(&b);
}

/* `types`: of the refs and variables of the question, behind its answer. */
static void show_types(struct question *q, str text) {
    struct compiled_query c = {.see_type = print_type};
    struct policy_errors errors;
    struct ast_body *body;
    policy_errors_open(&errors, &q->heap, 1);
    if (!parse_body(&q->heap, text, &q->with.parse, &body, &errors))
        (void)!!compile_query(&q->heap, policy_compiled(q->program), body, q->with.package,
                              q->with.imports, q->with.import_count, &c, &errors);
}

static void ask_and_show(struct repl *r, struct question *q, str text, struct policy_evaluator *e) {
    struct policy_ask ask = {.data = r->files.data, .now_ns = wall_ns(), .seed = wall_ns(),
                             .print = print_message, .strict_errors = r->strict_errors,
                             .trace = watched_trace(&q->watched, &r->watch)};
    struct policy_answer answer = {0};
    struct policy_error error = {0};
    struct policy_query *query = NULL;
    http_allow(&ask, UNDEFINED);
    ask.input = session_input(q, e, ask);
    rc_t rc = policy_prepare_with(q->program, text, &q->with, &query, &q->errors);
    u64 from = steady_ns();
    if (!rc && (rc = policy_ask(e, query, &ask, &answer, &error)))
        (void)policy_error_add(&q->errors, error.code, &error.at, "%.*s", STR(error.message));
    put_times(r, q, steady_ns() - from, answer.steps);
    watched_finish(&q->watched, &r->watch, &q->heap);
    struct shown s = {.watch = &r->watch, .watched = &q->watched, .answer = rc ? NULL : &answer,
                      .texts = &q->texts, .errors = &q->errors, .pretty_limit = r->pretty_limit,
                      .rounds = &q->watched, .round_count = 1};
    (void)show(&s, r->format);
    if (r->types) show_types(q, text);
    policy_query_drop(query);
}

static void ask_partial(struct repl *r, struct question *q, str text, struct policy_evaluator *e) {
    struct policy_ask ask = {.data = r->files.data, .now_ns = wall_ns(), .seed = wall_ns()};
    struct partial_options o = {.unknowns = r->unknowns, .unknown_count = r->unknown_count,
                                .parse = q->with.parse, .package = q->with.package,
                                .imports = q->with.imports, .import_count = q->with.import_count};
    bool defined;
    value query = value_string(&q->heap, text);
    ask.input = session_input(q, e, ask);
    if (query.kind == VALUE_STRING &&
        partial_print(q->program, value_str(query).ptr, &ask, &o, r->format, &q->errors, &defined))
        errors_print(&q->errors);
}

static void ask_question(struct repl *r, str text, const struct ast_body *body) {
    struct policy_evaluator *e;
    struct question q;
    bool trace = r->watch.explain != POLICY_EXPLAIN_OFF || r->watch.profile;
    if (!question_open(r, &q, trace))
        errors_print(&q.errors);
    else if (policy_evaluator_open(&e, (size_t)4 << 30) == RC_OK) {
        read_texts(&q, body);
        if (r->unknown_count) ask_partial(r, &q, text, e);
        else ask_and_show(r, &q, text, e);
        policy_evaluator_close(e);
    }
    question_close(&q);
}

/* ---- Statements ---- */

static bool is_operator(const struct ast_term *op, const char *name) {
    if (op->kind == AST_REF && op->count == 1) op = op->terms[0];
    return op->kind == AST_VAR && str_eq(op->var, str_from_c(name));
}

/* A single `x := v`, `x = v` or `f(x) := v`. */
static bool defines(const struct repl *r, const struct ast_body *body, bool *again) {
    const struct ast_expr *e = body->count == 1 ? body->exprs[0] : NULL;
    if (!e || e->kind != AST_EXPR_CALL || e->count != 3 || e->negated || e->with_count)
        return false;
    bool assign = is_operator(e->terms[0], "assign"), equal = is_operator(e->terms[0], "eq");
    const struct ast_term *left = e->terms[1];
    *again = assign;
    if (assign && left->kind == AST_CALL) return true;
    if (left->kind == AST_REF && left->count == 1) left = left->terms[0]; /* input := ... */
    if ((!assign && !equal) || left->kind != AST_VAR || str_eq(left->var, S("data"))) return false;
    return assign || !repl_is_defined(r, left->var);
}

/* Which of two errors is meant: a rule's marks tell. */
static bool looks_like_rule(str text) {
    static const char *const marks[] = {" if ",     " if{",     " contains ",
                                        "default ", "package ", "import "};
    for (u32 i = 0; i < ARRAY_LEN(marks); i++)
        if (str_find(text, str_from_c(marks[i])) < text.len) return true;
    return false;
}

/* False: the text is no statement (yet); with `last` its errors are shown. */
static bool statement(struct repl *r, str text, bool last) {
    struct policy_errors errors, rule_errors;
    struct ast_body *body = NULL;
    struct heap h;
    bool again = false, done = true;
    heap_open(&h, (size_t)1 << 28);
    policy_errors_open(&errors, &h, 0), policy_errors_open(&rule_errors, &h, 0);
    rc_t rc = parse_body(&h, text, &r->load.parse, &body, &errors);
    if (!rc && body->count && !defines(r, body, &again))
        ask_question(r, text, body);
    else if ((rc = repl_define(r, text, again, &rule_errors))) {
        bool parsing = rule_errors.count && rule_errors.items[0].code == POLICY_PARSE_ERROR;
        if (!parsing || last)
            errors_print(looks_like_rule(text) || !errors.count ? &rule_errors : &errors);
        done = !parsing || last;
    }
    heap_close(&h);
    return done;
}

static bool is_blank(str s) {
    return !str_trim(s).len;
}

static void take_line(struct repl *r, const char *text) {
    bool first = !r->pending.len, empty = !*text;
    if (first && repl_command(r, text)) return;
    (void)buf_add(&r->pending, str_from_c(text));
    (void)buf_add(&r->pending, S("\n"));
    str all = buf_str(&r->pending);
    if (is_blank(all) || statement(r, str_trim(all), empty)) buf_clear(&r->pending);
}

/* ---- Completion ---- */

struct completing { struct line_words *to; str prefix; };

static void offer(struct completing *c, str word) {
    if (str_starts(word, c->prefix)) line_word_add(c->to, word);
}

/* data.a.b of a rule, its package, and in the current package its name alone. */
static void offer_rule(struct completing *c, const struct repl *r, const struct ast_module *m,
                       const struct ast_rule *rule) {
    struct buf b;
    buf_open(&b, 1 << 16);
    ast_term_write(&b, rule->head->ref);
    offer(c, buf_str(&b));
    buf_clear(&b);
    ast_term_write(&b, m->package);
    offer(c, buf_str(&b));
    str package = str_starts(buf_str(&b), S("data.")) ? str_skip(buf_str(&b), 5) : buf_str(&b);
    if (str_eq(package, repl_package(r)) && rule->head->name.len) offer(c, rule->head->name);
    buf_close(&b);
}

static void offer_policies(struct completing *c, struct repl *r) {
    struct policy_program *program;
    struct policy_errors errors;
    struct heap h;
    heap_open(&h, 1 << 26);
    policy_errors_open(&errors, &h, 1);
    if (!repl_load(r, false, NULL, &program, &errors)) {
        const struct compiled *p = policy_compiled(program);
        for (u32 i = 0; i < p->module_count; i++)
            for (u32 k = 0; k < p->modules[i]->rule_count; k++)
                offer_rule(c, r, p->modules[i], p->modules[i]->rules[k]);
        policy_drop(program);
    }
    heap_close(&h);
}

static void offer_imports(struct completing *c, const struct repl *r) {
    const struct repl_module *m = r->current == REPL_NONE ? NULL : r->modules + r->current;
    for (u32 i = 0; m && i < m->import_count; i++) {
        str name = m->imports[i];
        for (size_t at = name.len; at-- > 0;)
            if (name.ptr[at] == '.' || name.ptr[at] == ' ') {
                offer(c, str_skip(name, at + 1));
                break;
            }
    }
}

static void offer_data(struct completing *c, value data) {
    for (u32 i = 0; i < value_count(data); i++) {
        struct buf b;
        value key = value_key_at(data, i);
        if (key.kind != VALUE_STRING) continue;
        buf_open(&b, 1 << 16);
        (void)buf_printf(&b, "data.%.*s", STR(value_str(key)));
        offer(c, buf_str(&b));
        buf_close(&b);
    }
}

static void complete(void *arg, str prefix, bool line_start, struct line_words *to) {
    static const char *const keywords[] = {
        "as", "contains", "data", "default", "else",    "every", "false", "if",  "import",
        "in", "input",    "not",  "null",    "package", "some",  "true",  "with"};
    struct repl *r = arg;
    struct completing c = {to, prefix};
    for (u32 i = 0; line_start && repl_commands[i]; i++) offer(&c, str_from_c(repl_commands[i]));
    for (u32 i = 0; i < ARRAY_LEN(keywords); i++) offer(&c, str_from_c(keywords[i]));
    for (u32 i = 0; i < builtins_count; i++)
        if (!(builtins[i].flags & (BUILTIN_INFIX | BUILTIN_TEST)))
            offer(&c, str_from_c(builtins[i].name));
    offer_imports(&c, r);
    offer_data(&c, r->files.data);
    offer_policies(&c, r);
}

/* ---- The session ---- */

static bool wants_to_leave(struct line_editor *editor) {
    char *answer;
    for (;;) {
        enum line_end end = line_read(editor, "Do you want to exit ([y]/n)? ", &answer);
        if (end == LINE_OVER) return true;
        if (end == LINE_DROPPED || !strcasecmp(answer, "n") || !strcasecmp(answer, "no"))
            return false;
        if (!*answer || !strcasecmp(answer, "y") || !strcasecmp(answer, "yes")) return true;
    }
}

static void session(struct repl *r, const char *history) {
    struct line_editor editor;
    char *text;
    line_open(&editor);
    editor.complete = complete, editor.arg = r;
    if (editor.terminal) {
        printf("opctl %s (type help for commands)\n", OPENPOLICY_VERSION);
        if (history) line_history_load(&editor, history);
    }
    while (!r->over) {
        enum line_end end = line_read(&editor, r->pending.len ? "| " : "> ", &text);
        if (end == LINE_OVER) {
            if (!editor.terminal || wants_to_leave(&editor)) break;
            continue;
        }
        if (end == LINE_DROPPED) {
            buf_clear(&r->pending);
            continue;
        }
        line_remember(&editor, text);
        take_line(r, text);
        fflush(stdout);
    }
    if (r->pending.len) (void)statement(r, str_trim(buf_str(&r->pending)), true);
    if (editor.terminal && history) line_history_save(&editor, history);
    line_close(&editor);
}

static void history_path(char *to, size_t room) {
    const char *home = getenv("HOME");
    *to = 0;
    if (home) snprintf(to, room, "%s/.opctl_history", home);
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "policy or data: a file or folder; may be given more than once"},
        {"bundle", 'b', false, "a bundle: an archive or a folder; may be given more than once"},
        {"format", 'f', false, "pretty or json"},
        {"history", 'H', false, "the file that keeps the lines typed (default ~/.opctl_history)"},
        {"ignore", 0, false, "names of files and folders to leave out: patterns"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"v1-compatible", 0, true, "policies are Rego v1, as by default"},
        {"skip-verify", 0, true, "accepted: signatures are checked where bundles are activated"},
        {"skip-known-schema-check", 0, true, "accepted"},
        {"max-errors", 'm', false, "accepted: all errors of a statement are shown"},
        {"help", 'h', true, "this text"},
        {"server", 's', true, SERVER},
        {"addr", 'a', false, SERVER},
        {"diagnostic-addr", 0, false, SERVER},
        {"config-file", 'c', false, SERVER},
        {"set", 0, false, SERVER},
        {"set-file", 0, false, SERVER},
        {"authentication", 0, false, SERVER},
        {"authorization", 0, false, SERVER},
        {"h2c", 0, true, SERVER},
        {"tls-cert-file", 0, false, SERVER},
        {"tls-private-key-file", 0, false, SERVER},
        {"tls-ca-cert-file", 0, false, SERVER},
        {"log-level", 'l', false, SERVER},
        {"log-format", 0, false, SERVER},
        {"watch", 'w', true, OPTION_REFUSED "a session keeps what it loaded; begin another"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct repl r = {.current = REPL_NONE, .format = "pretty", .pretty_limit = PRETTY_WIDTH,
                     .load.compile.keep_print = true, .load.parse.annotations = true,
                     .watch.profile_limit = -1};
    char history[PATH_MAX_BYTES];
    const char *v;
    bool ok = true;
    history_path(history, sizeof history);
    bundle_open(&r.files);
    heap_open(&r.heap, (size_t)1 << 30);
    buf_open(&r.pending, STATEMENT_BYTES_MAX);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        if (o == 0 || o == 1 || o == OPTION_PLAIN)
            r.files.bundles = o == 1, ok = bundle_add(&r.files, v);
        else if (o == 2)
            r.format = v, ok = !strcmp(v, "pretty") || !strcmp(v, "json");
        else if (o == 3)
            snprintf(history, sizeof history, "%s", v);
        else if (o == 4)
            ok = bundle_ignore(&r.files, v);
        else if (o == 5)
            r.load.parse.version = !v || strcmp(v, "false") ? REGO_V0 : REGO_V1;
        else
            ok = o >= 6 && o <= 9;
    }
    if (ok) session(&r, *history ? history : NULL);
    int status = ok ? 0 : usage_of(&repl_verb, specs, ARRAY_LEN(specs));
    for (u32 i = 0; i < r.module_count; i++) free(r.modules[i].rules);
    free(r.modules);
    buf_close(&r.pending);
    heap_close(&r.heap);
    bundle_close(&r.files);
    return status;
}

const struct verb repl_verb = {"repl", "[OPTIONS] [PATH...]", "ask and define, line by line", run};
const struct verb run_verb = {"run", "[OPTIONS] [PATH...]", "as repl: the server is the appliance",
                              run};
