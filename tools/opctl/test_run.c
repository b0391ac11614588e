/* SPDX-License-Identifier: Apache-2.0 */
/* test_run.c — one test asked. A test passes when its rule is true; one with cases when every case
 * that was begun is true: those that never came to an end are known by being told
 * (internal.test_case) and not being in the answer. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "tools/opctl/test.h"

enum { TEXT_BYTES_MAX = 1 << 26, WIDTH_MAX = 64, SHOWN_MAX = 16 };

bool test_is_traced(const struct tests *t) {
    return (t->verbose || t->var_values) && !t->coverage && !t->bench;
}

static str kept(struct tests *t, const struct buf *b) {
    value v = value_string(&t->files.heap, buf_str(b));
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

static void keep_print(void *arg, const struct ast_location *at, str message) {
    struct tests *t = arg;
    (void)at;
    rc_t rc = buf_add(&t->output, message);
    if (!rc) rc = buf_add(&t->output, S("\n"));
    (void)rc; /* what does not fit is not shown */
}

static void keep_case(void *arg, value names) {
    struct tests *t = arg;
    struct value_builder b;
    value one = value_copy(&t->files.heap, names);
    value_builder_open(&b, &t->files.heap, VALUE_ARRAY);
    for (u32 i = 0; i < value_count(t->told); i++) value_builder_add(&b, value_item(t->told, i));
    value_builder_add(&b, one);
    t->told = value_builder_close(&b);
}

/* ---- Cases ---- */

static value case_name(struct heap *h, value v) {
    struct buf b;
    if (v.kind == VALUE_STRING) return v;
    buf_open(&b, TEXT_BYTES_MAX);
    json_text_write(&b, value_as_json(h, v), 0);
    value name = value_string(h, buf_str(&b));
    buf_close(&b);
    return name;
}

/* What is neither true nor more cases has failed. */
static value cases_of(struct heap *h, value v) {
    struct value_builder b;
    if (v.kind != VALUE_OBJECT) return value_boolean(value_is_true(v));
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; i < value_count(v); i++)
        value_builder_replace(&b, case_name(h, value_key_at(v, i)),
                              cases_of(h, value_value_at(v, i)));
    return value_builder_close(&b);
}

/* A case that was begun and is not in the answer has failed. */
static value with_case(struct heap *h, value cases, value path, u32 at) {
    value name = case_name(h, value_item(path, at));
    value there = cases.kind == VALUE_OBJECT ? value_get(cases, name) : UNDEFINED;
    bool last = at + 1 == value_count(path);
    if (last && value_defined(there)) return cases;
    value v = last
                  ? value_boolean(false)
                  : with_case(h, value_defined(there) ? there : value_empty_object(), path, at + 1);
    struct value_builder b;
    value_builder_open(&b, h, VALUE_OBJECT);
    for (u32 i = 0; cases.kind == VALUE_OBJECT && i < value_count(cases); i++)
        value_builder_replace(&b, value_key_at(cases, i), value_value_at(cases, i));
    value_builder_replace(&b, name, v);
    return value_builder_close(&b);
}

static bool all_hold(value cases) {
    if (cases.kind != VALUE_OBJECT) return value_is_true(cases);
    for (u32 i = 0; i < value_count(cases); i++)
        if (!all_hold(value_value_at(cases, i))) return false;
    return true;
}

static enum verdict judge(struct tests *t, struct result *r, value answer) {
    struct heap *h = &t->files.heap;
    if (!value_defined(answer)) return VERDICT_FAIL;
    if (!r->is_cases) return value_is_true(answer) ? VERDICT_PASS : VERDICT_FAIL;
    r->cases = cases_of(h, answer);
    for (u32 i = 0; i < value_count(t->told); i++)
        if (value_count(value_item(t->told, i)))
            r->cases = with_case(h, r->cases, value_item(t->told, i), 0);
    return all_hold(r->cases) ? VERDICT_PASS : VERDICT_FAIL;
}

/* ---- Steps ---- */

struct found { u32 column; str title, text; };

struct looking {
    const struct policy_event *e;
    struct found shown[SHOWN_MAX];
    u32 count;
    struct heap *heap;
};

static str shown_value(struct heap *h, value v) {
    struct buf b;
    if (!value_defined(v)) return S("undefined");
    buf_open(&b, TEXT_BYTES_MAX);
    value_write(&b, v);
    if (b.len > WIDTH_MAX) {
        b.len = WIDTH_MAX - 3;
        (void)buf_add(&b, S("..."));
    }
    value kept_text = value_string(h, buf_str(&b));
    buf_close(&b);
    return kept_text.kind == VALUE_STRING ? value_str(kept_text) : S("");
}

static bool look(struct ast_walk *w, struct ast_term **t) {
    struct looking *l = w->arg;
    if ((*t)->kind >= AST_ARRAY_COMPREHENSION && (*t)->kind <= AST_SET_COMPREHENSION) return false;
    if ((*t)->kind != AST_VAR || !(*t)->at.file || l->count == SHOWN_MAX) return true;
    for (u32 i = 0; i < l->e->local_count; i++) {
        const struct policy_local *local = l->e->locals + i;
        if (!str_eq(local->name, (*t)->var)) continue;
        u32 at = l->count;
        while (at && l->shown[at - 1].column > (*t)->at.column) at--;
        if (at && l->shown[at - 1].column == (*t)->at.column) return true;
        memmove(l->shown + at + 1, l->shown + at, (l->count - at) * sizeof *l->shown);
        l->shown[at] =
            (struct found){(*t)->at.column, local->written, shown_value(l->heap, local->v)};
        l->count++;
        return true;
    }
    return true;
}

/* The line the location is on. */
static str line_of(const struct ast_location *at) {
    str text = at->file->text;
    size_t from = MIN((size_t)at->head, text.len);
    while (from && text.ptr[from - 1] != '\n') from--;
    str rest = str_skip(text, from), line = {0};
    (void)str_split(&rest, '\n', &line);
    return line;
}

/* Down to each variable's place, tabs kept; then what the last one holds. */
static void put_arrows(struct buf *to, str line, const struct looking *l, u32 count, bool told) {
    u32 column = 1;
    for (u32 i = 0; i < count; i++) {
        for (; column < l->shown[i].column; column++) {
            bool tab = column <= line.len && line.ptr[column - 1] == '\t';
            (void)buf_add_byte(to, tab ? '\t' : ' ');
        }
        if (told && i + 1 == count) (void)buf_add(to, l->shown[i].text);
        else (void)buf_add_byte(to, '|'), column++;
    }
    (void)buf_add(to, S("\n"));
}

static void put_line(struct buf *to, str text, int indent) {
    for (str rest = text, line; rest.len && str_split(&rest, '\n', &line);)
        (void)buf_printf(to, "%*s%.*s\n", indent, "", STR(line));
}

/* file:row:  the line, and under it what its variables held. */
static str failed_at(struct tests *t, const struct policy_record *record) {
    const struct policy_event *e = NULL;
    for (u32 i = 0; i < record->told.count; i++) {
        const struct policy_event *told = record->told.items[i];
        bool fits = told->op == POLICY_FAIL && told->query && told->at && told->at->file &&
                    told->at->file->name.len && told->expr->kind != AST_EXPR_EVERY;
        if (fits) e = told;
    }
    if (!e) return S("");
    struct looking l = {.e = e, .heap = &t->files.heap};
    struct ast_walk walk = {.term = look, .arg = &l};
    struct buf text, all;
    str line = line_of(e->at);
    for (u32 i = e->expr->kind == AST_EXPR_CALL; i < e->expr->count; i++)
        ast_walk_term(&walk, &e->expr->terms[i]);
    buf_open(&text, TEXT_BYTES_MAX), buf_open(&all, TEXT_BYTES_MAX);
    (void)buf_printf(&text, "%.*s\n", STR(line));
    if (l.count) put_arrows(&text, line, &l, l.count, false);
    for (u32 i = l.count; i > 0; i--) put_arrows(&text, line, &l, i, true);
    (void)buf_printf(&all, "  %.*s:%u:\n", STR(e->at->file->name), e->at->row);
    put_line(&all, buf_str(&text), 4);
    str result = kept(t, &all);
    buf_close(&text), buf_close(&all);
    return result;
}

static void keep_steps(struct tests *t, struct result *r, struct policy_record *record) {
    enum policy_explain mode = t->explain_set  ? t->explain
                               : t->verbose    ? POLICY_EXPLAIN_TESTS
                                               : POLICY_EXPLAIN_FAILS;
    struct buf text;
    policy_record_finish(record, mode);
    if (record->steps.count && t->format == TEST_JSON && t->verbose)
        r->steps = value_copy(&t->files.heap,
                              policy_record_json(&t->files.heap, record, POLICY_RECORD_COMMAND));
    if (r->verdict != VERDICT_FAIL) return;
    buf_open(&text, TEXT_BYTES_MAX);
    policy_record_write(&text, record, t->var_values);
    r->trace = kept(t, &text);
    buf_close(&text);
    if (t->var_values) r->failed_at = failed_at(t, record);
}

/* ---- Asking ---- */

struct one {
    struct tests *t;
    struct policy_query *query;
    struct policy_ask ask;
    struct policy_error error;
};

static bool ask_again(void *arg) {
    struct one *o = arg;
    struct policy_answer a;
    return policy_ask(o->t->evaluator, o->query, &o->ask, &a, &o->error) == RC_OK;
}

static rc_t prepare(struct tests *t, const struct result *r, struct policy_query **out,
                    struct policy_error *error) {
    struct policy_query_options o = {.trace = t->load.trace};
    struct policy_errors errors;
    struct ast_term ref = *r->rule->head->ref;
    struct buf path;
    buf_open(&path, 1 << 16);
    ref.count = r->rule->module->package->count + 1;
    while (ref.count < r->rule->head->ref->count) {
        const struct ast_term *last = ref.terms[ref.count - 1];
        str name = last->kind == AST_STRING ? value_str(last->scalar) : S("");
        if (str_starts(name, S("test_"))) break;
        ref.count++;
    }
    ast_term_write(&path, &ref);
    policy_errors_open(&errors, &t->files.heap, 1);
    rc_t rc = policy_prepare_with(t->program, buf_str(&path), &o, out, &errors);
    buf_close(&path);
    if (rc && errors.count) *error = errors.items[0];
    return rc;
}

static void ask_test(struct tests *t, struct result *r, struct one *o) {
    struct policy_record record;
    struct policy_answer answer = {0};
    struct policy_tee tee = {.count = 0};
    policy_record_open(&record, 0);
    if (test_is_traced(t)) policy_tee_add(&tee, &record.trace);
    if (t->coverage) policy_tee_add(&tee, &t->cover.trace);
    o->ask.trace = tee.count ? &tee.trace : NULL;
    u64 from = steady_ns();
    o->ask.limits.deadline_ns = from + t->timeout_ns;
    rc_t rc = policy_ask(t->evaluator, o->query, &o->ask, &answer, &r->error);
    r->ns = steady_ns() - from;
    bool some = !rc && answer.count && value_count(answer.results[0].expressions);
    r->verdict = rc ? VERDICT_ERROR
                    : judge(t, r, some ? value_item(answer.results[0].expressions, 0) : UNDEFINED);
    if (rc) {
        value message = value_string(&t->files.heap, r->error.message);
        r->error.message = message.kind == VALUE_STRING ? value_str(message) : S("");
    }
    if (test_is_traced(t)) keep_steps(t, r, &record);
    policy_record_close(&record);
}

void test_run(struct tests *t, struct result *r) {
    struct one o = {.t = t, .ask = {.data = t->files.data, .now_ns = wall_ns(), .seed = wall_ns(),
                                    .print = keep_print, .test_case = keep_case, .arg = t,
                                    .clock_ns = steady_ns}};
    http_allow(&o.ask, t->load.compile.capabilities);
    buf_clear(&t->output);
    t->told = value_empty_array();
    r->verdict = VERDICT_ERROR;
    if (prepare(t, r, &o.query, &r->error)) return;
    ask_test(t, r, &o);
    o.ask.trace = NULL, o.ask.test_case = NULL, o.ask.print = NULL;
    o.ask.limits.deadline_ns = steady_ns() + t->timeout_ns;
    if (t->bench && r->verdict == VERDICT_PASS && !timing_take(&r->timing, NS_PER_S, ask_again, &o))
        r->verdict = VERDICT_ERROR, r->error = o.error;
    r->output = kept(t, &t->output);
    policy_query_drop(o.query);
}
