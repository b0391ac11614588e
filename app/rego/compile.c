/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c — partial evaluation over HTTP, as the reference's clients ask for it.
 *
 *   POST /v1/compile          a query; what is left of it, as trees
 *   POST /v1/compile/{path}   a rule; what is left of it as the condition of a database. Which one,
 *                             says the header Accept: application/vnd.opa.sql.postgresql+json ...
 *
 * The work is a worker's, since it is not interrupted for others; it has a deadline of its own. */
#include <stdlib.h>
#include "app/policy/filter/filter.h"
#include "app/policy/value/json_text.h"
#include "app/rego/rego_impl.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum {
    ANSWER_BYTES_MAX = 64 << 20,
    DEADLINE_S = 5,
    LIST_MAX = 64,
    TARGETS_MAX = 16,
    HINT_DISTANCE = 3
};

struct compile {
    struct request *rq;
    struct rego_state *state;
    struct policy_evaluator *evaluator; /* its heap has the body */
    struct rego_options options;
    struct heap heap, error_heap;
    struct policy_errors errors;
    value body;
    struct policy_ask ask;
    struct partial_options partial;
    str unknowns[LIST_MAX], disabled[LIST_MAX];
    str query;
    struct partial_answer left;
    rc_t rc;
    u64 began_ns, partial_ns;
    /* Filters */
    str accept;
    struct policy_filter_target targets[TARGETS_MAX];
    u32 target_count;
    bool multi;
    struct policy_filter_said said;
    str mask_rule;
    value masks;
};

static bool compile_open(struct compile *c, struct request *rq) {
    *c = (struct compile){.rq = rq, .began_ns = platform_clock_ns(), .masks = UNDEFINED};
    heap_open(&c->heap, MIB(64));
    heap_open(&c->error_heap, MIB(4)); /* told when the other is full, too */
    policy_errors_open(&c->errors, &c->error_heap, 0);
    rego_options_read(rq, &c->options);
    c->state = rego_hold();
    if (!rego_decides(rq, c->state)) return false;
    rc_t rc = rego_evaluator_take(&c->evaluator);
    if (rc) {
        rego_rc(rq, rc, NULL);
        return false;
    }
    if (!rego_body_value(rq, policy_evaluator_heap(c->evaluator), &c->body)) return false;
    if (value_defined(c->body) && c->body.kind != VALUE_OBJECT && c->body.kind != VALUE_NULL) {
        rego_error(rq, 400, "invalid_parameter",
                   "error(s) occurred while decoding request: an object is wanted");
        return false;
    }
    rego_ask_fill(&c->ask, c->state);
    c->ask.input = value_get_str(c->body, S("input"));
    if (c->ask.input.kind == VALUE_NULL) c->ask.input = UNDEFINED;
    c->partial.refused = rego_unsafe_calls;
    return true;
}

static void compile_close(struct compile *c) {
    if (c->evaluator) rego_evaluator_give(c->evaluator);
    rego_release(c->state);
    heap_close(&c->heap);
    heap_close(&c->error_heap);
}

/* A list of strings; nothing, or null, is an empty one. */
static bool read_list(struct compile *c, value list, const char *name, str *out, u32 *count) {
    bool ok = !value_defined(list) || list.kind == VALUE_NULL || list.kind == VALUE_ARRAY;
    *count = 0;
    for (u32 i = 0; ok && list.kind == VALUE_ARRAY && i < value_count(list); i++) {
        value v = value_item(list, i);
        ok = v.kind == VALUE_STRING && *count < LIST_MAX;
        if (ok) out[(*count)++] = value_str(v);
    }
    if (!ok)
        rego_error(
            c->rq, 400, "invalid_parameter",
            "error(s) occurred while decoding request: %s must be a list of at most %d strings",
            name, LIST_MAX);
    return ok;
}

/* The reference reads them before anything else, with words of its own. */
static bool check_unknowns(struct compile *c) {
    struct parse_options o = {.version = REGO_V1};
    struct ast_term *t;
    struct buf text;
    bool good = true;
    for (u32 i = 0; good && i < c->partial.unknown_count; i++)
        good = parse_term(&c->heap, c->unknowns[i], &o, &t, &c->errors) != RC_INVALID;
    if (good) return true;
    buf_open(&text, KIB(16));
    (void)buf_add(&text, S("error(s) occurred while parsing unknowns: "));
    policy_errors_write(&text, &c->errors);
    const char *said = arena_cstr(c->rq->arena, buf_str(&text));
    rego_errors_as(c->rq, "invalid_parameter",
                   said ? said : "error(s) occurred while parsing unknowns", &c->errors);
    buf_close(&text);
    return false;
}

static bool read_common(struct compile *c) {
    value options = value_get_str(c->body, S("options"));
    if (!read_list(c, value_get_str(c->body, S("unknowns")), "unknowns", c->unknowns,
                   &c->partial.unknown_count) ||
        !read_list(c, value_get_str(options, S("disableInlining")), "disableInlining", c->disabled,
                   &c->partial.disabled_count) ||
        !check_unknowns(c))
        return false;
    value unknowns = value_get_str(c->body, S("unknowns"));
    c->partial.unknowns = unknowns.kind == VALUE_ARRAY ? c->unknowns : NULL;
    c->partial.disabled = c->disabled;
    c->partial.nondeterministic =
        value_is_true(value_get_str(options, S("nondeterministicBuiltins")));
    return true;
}

/* ---- The work ---- */

static void run_partial(void *arg) {
    struct compile *c = arg;
    c->rc = partial_evaluate(&c->heap, c->state->build->program, c->query, &c->ask, &c->partial,
                             &c->left, &c->errors);
}

/* The reference has one message for a query that is no query, another for one that is wrong. */
static const char *compile_message(const struct compile *c) {
    return c->errors.items[0].code == POLICY_PARSE_ERROR
               ? "error(s) occurred while parsing query"
               : "error(s) occurred while compiling module(s)";
}

/* `message` NULL: as the error is. */
static bool evaluate(struct compile *c, const char *code, const char *message) {
    u64 from = platform_clock_ns();
    /* On a worker nobody can be let before, and nothing may be waited for. */
    c->ask.cancelled = NULL, c->ask.http = NULL, c->ask.lookup = NULL;
    c->ask.limits.deadline_ns = from + (u64)DEADLINE_S * NS_PER_S;
    rc_t rc = worker_run(run_partial, c);
    c->partial_ns = platform_clock_ns() - from;
    if (!rc && !c->rc) return true;
    if (rc)
        rego_rc(c->rq, rc, NULL);
    else if (c->rc == RC_NO_MEMORY || !c->errors.count)
        rego_rc(c->rq, RC_NO_MEMORY, NULL);
    else if (c->errors.items[0].code >= EVAL_INTERNAL_ERROR)
        rego_eval_error(c->rq, c->rc, &c->errors.items[0]);
    else
        rego_errors_as(c->rq, code, message ? message : compile_message(c), &c->errors);
    return false;
}

/* ---- Answers ---- */

static void put_metrics(struct value_builder *to, struct heap *h, const struct compile *c,
                        u64 translate_ns) {
    struct value_builder m;
    value_builder_open(&m, h, VALUE_OBJECT);
    value_builder_replace(&m, value_string_c(h, "timer_rego_partial_eval_ns"),
                          value_integer((s64)c->partial_ns));
    value_builder_replace(&m, value_string_c(h, "timer_server_handler_ns"),
                          value_integer((s64)(platform_clock_ns() - c->began_ns)));
    if (translate_ns)
        value_builder_replace(&m, value_string_c(h, "timer_compile_translate_queries_ns"),
                              value_integer((s64)translate_ns));
    value_builder_replace(to, value_string_c(h, "metrics"), value_builder_close(&m));
}

static void send_value(struct compile *c, value v, const char *type) {
    struct buf b;
    buf_open(&b, ANSWER_BYTES_MAX);
    json_text_write(&b, v, JSON_TEXT_ESCAPE_HTML | (c->options.pretty ? JSON_TEXT_INDENT : 0));
    (void)buf_add(&b, S("\n"));
    if (b.failed || c->heap.exhausted)
        rego_rc(c->rq, RC_LIMIT, NULL);
    else
        rego_send(c->rq, 200, type, buf_str(&b));
    buf_close(&b);
}

void rego_compile(struct request *rq) {
    struct compile *c = malloc(sizeof *c);
    if (!c) {
        rego_rc(rq, RC_NO_MEMORY, NULL);
        return;
    }
    if (compile_open(c, rq) && read_common(c)) {
        value query = value_get_str(c->body, S("query"));
        if (query.kind == VALUE_STRING) c->query = str_trim(value_str(query));
        if (!c->query.len) {
            rego_error(rq, 400, "invalid_parameter", "missing required 'query' value");
        } else if (evaluate(c, "invalid_parameter", NULL)) {
            struct value_builder b;
            value_builder_open(&b, &c->heap, VALUE_OBJECT);
            if (c->options.metrics) put_metrics(&b, &c->heap, c, 0);
            value_builder_replace(&b, value_string_c(&c->heap, "result"),
                                  partial_json(&c->heap, &c->left));
            send_value(c, value_builder_close(&b), "application/json");
        }
    }
    compile_close(c);
    free(c);
}

/* ---- Filters: what is asked ---- */

/* data["a"]["b"], and its keys */
static bool read_path(struct compile *c, value *keys, u32 *count) {
    struct diag why = {0};
    struct buf b;
    if (rego_path_keys(&c->heap, rego_path_of(c->rq), keys, POLICY_PATH_DEPTH_MAX, count, &why)) {
        rego_error(c->rq, 400, "invalid_parameter", "%s",
                   why.text[0] ? why.text : "the path is too long");
        return false;
    }
    buf_open(&b, MIB(1));
    (void)buf_add(&b, S("data"));
    for (u32 i = 0; i < *count; i++) {
        (void)buf_add(&b, S("["));
        json_text_write(&b, keys[i], 0);
        (void)buf_add(&b, S("]"));
    }
    value text = value_string(&c->heap, buf_str(&b));
    bool ok = !b.failed && *count && text.kind == VALUE_STRING;
    buf_close(&b);
    if (ok)
        c->query = value_str(text);
    else
        rego_error(c->rq, 400, "invalid_parameter", "missing required 'path' parameter");
    return ok;
}

static bool add_target(struct compile *c, str kind, str variant) {
    if (c->target_count < TARGETS_MAX &&
        policy_filter_target_of(kind, variant, c->targets + c->target_count)) {
        c->target_count++;
        return true;
    }
    rego_error(c->rq, 400, "invalid_parameter", "unknown target/dialect combination: %.*s/%.*s",
               STR(kind), STR(variant));
    return false;
}

static bool read_targets(struct compile *c) {
    const str front = S("application/vnd.opa."), back = S("+json");
    c->accept = str_trim(http_field(c->rq->http, S("Accept")));
    const char *wrong = !c->accept.len ? "missing required header"
                        : str_find_byte(c->accept, ',') < c->accept.len
                            ? "multiple headers not supported"
                            : NULL;
    if (wrong) {
        rego_error(c->rq, 400, "invalid_parameter", "Accept header: %s", wrong);
        return false;
    }
    str name = c->accept;
    bool known = str_starts(name, front) && str_ends(name, back);
    if (known) name = str_skip(str_take(name, name.len - back.len), front.len);
    size_t dot = str_find_byte(name, '.');
    c->multi = known && str_eq(name, S("multitarget"));
    struct policy_filter_target any;
    if (known && !c->multi) {
        str variant = dot < name.len ? str_skip(name, dot + 1) : S("");
        known = policy_filter_target_of(str_take(name, dot), variant, &any) &&
                str_eq(variant, str_from_c(any.variant));
        if (known) c->targets[c->target_count++] = any;
    }
    if (!known) {
        rego_error(c->rq, 400, "invalid_parameter", "Accept header: unsupported header: %.*s",
                   STR(c->accept));
        return false;
    }
    value list = value_get_str(value_get_str(c->body, S("options")), S("targetDialects"));
    for (u32 i = 0; c->multi && list.kind == VALUE_ARRAY && i < value_count(list); i++) {
        value v = value_item(list, i);
        str t = v.kind == VALUE_STRING ? value_str(v) : S("");
        size_t plus = str_find_byte(t, '+');
        if (!add_target(c, str_take(t, plus), plus < t.len ? str_skip(t, plus + 1) : S("")))
            return false;
    }
    return true;
}

/* The request wins over what METADATA says. */
static bool read_said(struct compile *c, const value *keys, u32 count) {
    value mask = value_get_str(value_get_str(c->body, S("options")), S("maskRule"));
    policy_filter_said_of(&c->heap, policy_compiled(c->state->build->program), keys, count,
                          &c->said, &c->errors);
    if (c->errors.count &&
        (!c->partial.unknown_count || c->errors.items[0].code == FILTER_MASK_ERROR)) {
        rego_errors_as(c->rq, "evaluation_error", "error(s) occurred while evaluating query",
                       &c->errors);
        return false;
    }
    c->errors.count = 0;
    if (!c->partial.unknown_count)
        c->partial.unknown_count = c->said.unknown_count,
        c->partial.unknowns = c->said.unknown_count ? c->said.unknowns : NULL;
    c->mask_rule = c->said.mask_rule;
    if (mask.kind != VALUE_STRING || !value_str(mask).len) return true;
    c->mask_rule = value_str(mask);
    if (str_starts(c->mask_rule, S("data."))) return true;
    size_t last = c->query.len;
    while (last > 0 && c->query.ptr[last - 1] != '[') last--;
    str full =
        arena_printf(c->rq->arena, "%.*s.%.*s", (int)(last - 1), c->query.ptr, STR(c->mask_rule));
    if (full.ptr) c->mask_rule = full;
    return true;
}

/* The rule that says which columns are masked is asked like any other. */
static bool read_masks(struct compile *c) {
    struct policy_query *query;
    struct policy_answer a;
    struct policy_error error = {0};
    if (!c->mask_rule.len) return true;
    rc_t rc = policy_prepare(c->state->build->program, c->mask_rule, &query, &c->errors);
    if (rc == RC_INVALID) {
        rego_error(c->rq, 400, "invalid_parameter",
                   "error(s) occurred while parsing mask_rule name: %.*s",
                   STR(c->errors.count ? c->errors.items[0].message : c->mask_rule));
        return false;
    }
    if (!rc) {
        rc = policy_ask(c->evaluator, query, &c->ask, &a, &error);
        if (!rc && a.count && value_count(a.results[0].expressions))
            c->masks = value_copy(&c->heap, value_item(a.results[0].expressions, 0));
        policy_query_drop(query);
    }
    if (rc == RC_INVALID)
        rego_eval_error(c->rq, rc, &error);
    else if (rc)
        rego_rc(c->rq, rc, NULL);
    return !rc;
}

/* ---- Filters: the answer ---- */

static bool translate(struct compile *c, const struct policy_filter_target *t, value *out) {
    value all = value_get_str(value_get_str(c->body, S("options")), S("targetSQLTableMappings"));
    value mappings;
    struct diag why = {0};
    struct value_builder b;
    *out = UNDEFINED;
    if (!c->left.query_count) return true; /* never */
    rc_t rc = policy_filter_mappings(all, t, &mappings, &why);
    value query = rc ? UNDEFINED : policy_filter_ucast(&c->heap, &c->left, mappings);
    if (!rc && t->kind == FILTER_SQL) {
        struct buf sql;
        buf_open(&sql, ANSWER_BYTES_MAX);
        rc = policy_filter_sql(query, t->variant, &sql, &why);
        query = value_string(&c->heap, buf_str(&sql));
        buf_close(&sql);
    }
    if (rc) {
        rego_error(c->rq, 500, "internal_error", "%s", why.text);
        return false;
    }
    value_builder_open(&b, &c->heap, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(&c->heap, "query"), query);
    if (value_defined(c->masks) && value_count(c->masks))
        value_builder_replace(&b, value_string_c(&c->heap, "masks"), c->masks);
    *out = value_builder_close(&b);
    return true;
}

static u32 distance(str a, str b) {
    u32 row[64];
    if (a.len >= ARRAY_LEN(row) || b.len >= ARRAY_LEN(row)) return HINT_DISTANCE + 1;
    for (u32 j = 0; j <= b.len; j++) row[j] = j;
    for (u32 i = 1; i <= a.len; i++) {
        u32 corner = row[0];
        row[0] = i;
        for (u32 j = 1; j <= b.len; j++) {
            u32 change = corner + (a.ptr[i - 1] != b.ptr[j - 1]);
            corner = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

/* The name an unknown has behind `input`. */
static str unknown_name(str unknown) {
    if (!str_starts(unknown, S("input."))) return S("");
    str name = str_skip(unknown, 6);
    return str_take(name, str_find_byte(name, '.'));
}

static str closest_unknown(const struct compile *c, str name) {
    str best = S("");
    u32 least = HINT_DISTANCE + 1;
    for (u32 i = 0; i < c->partial.unknown_count; i++) {
        str one = unknown_name(c->partial.unknowns[i]);
        u32 d = one.len ? distance(name, one) : least;
        if (d < least) least = d, best = one;
    }
    return best;
}

static value hint_of(struct compile *c, const struct partial_miss *m) {
    struct heap *h = &c->heap;
    str best = closest_unknown(c, value_str(m->ref->terms[1]->scalar));
    struct value_builder b, at;
    struct buf text;
    if (!best.len) return UNDEFINED;
    struct ast_term other = *m->ref;
    struct ast_term **terms = heap_alloc(h, other.count * sizeof(struct ast_term *));
    if (!terms) return UNDEFINED;
    memcpy(terms, other.terms, other.count * sizeof(struct ast_term *));
    terms[1] = ast_scalar(h, NULL, value_string(h, best));
    other.terms = terms;
    if (!terms[1]) return UNDEFINED;
    buf_open(&text, KIB(16));
    ast_term_write(&text, m->ref);
    (void)buf_add(&text, S(" undefined, did you mean "));
    ast_term_write(&text, &other);
    (void)buf_add(&text, S("?"));
    value_builder_open(&b, h, VALUE_OBJECT);
    value_builder_replace(&b, value_string_c(h, "message"), value_string(h, buf_str(&text)));
    buf_close(&text);
    if (m->at.file) {
        value_builder_open(&at, h, VALUE_OBJECT);
        value_builder_replace(&at, value_string_c(h, "file"), value_string(h, m->at.file->name));
        value_builder_replace(&at, value_string_c(h, "row"), value_integer(m->at.row));
        value_builder_replace(&at, value_string_c(h, "col"), value_integer(m->at.column));
        value_builder_replace(&b, value_string_c(h, "location"), value_builder_close(&at));
    }
    return value_builder_close(&b);
}

static void put_hints(struct compile *c, struct value_builder *to) {
    struct value_builder hints;
    u32 count = 0;
    value_builder_open(&hints, &c->heap, VALUE_ARRAY);
    for (u32 i = 0; i < c->left.miss_count; i++) {
        value v = hint_of(c, c->left.misses + i);
        if (value_defined(v)) value_builder_add(&hints, v), count++;
    }
    if (count)
        value_builder_replace(to, value_string_c(&c->heap, "hints"), value_builder_close(&hints));
}

static bool result_of(struct compile *c, value *out) {
    struct value_builder b;
    value one;
    if (!c->multi) return translate(c, c->targets, out);
    value_builder_open(&b, &c->heap, VALUE_OBJECT);
    for (u32 i = 0; i < c->target_count; i++) {
        if (!translate(c, c->targets + i, &one)) return false;
        value name = value_string_c(
            &c->heap, c->targets[i].kind == FILTER_UCAST ? "ucast" : c->targets[i].variant);
        if (value_defined(one) && !value_defined(value_builder_find(&b, name)))
            value_builder_replace(&b, name, one);
    }
    *out = value_builder_close(&b);
    return true;
}

static void log_filter(struct compile *c, value result) {
    char id[ID_ROOM];
    struct rego_decision d = {.state = c->state,
                              .path = rego_path_of(c->rq),
                              .request_id = c->rq->http->id,
                              .user = c->rq->actor.email.ptr ? c->rq->actor.email : S(""),
                              .input = c->ask.input,
                              .result = result,
                              .at_ns = c->ask.now_ns,
                              .eval_ns = c->partial_ns};
    rego_decision_log(&d, id);
}

static void filter_answer(struct compile *c) {
    value mappings =
        value_get_str(value_get_str(c->body, S("options")), S("targetSQLTableMappings"));
    u64 from = platform_clock_ns();
    value result = UNDEFINED;
    struct value_builder b;
    policy_filter_check(&c->left, c->targets, c->target_count, mappings, &c->errors);
    if (c->errors.count) {
        rego_errors_as(c->rq, "evaluation_error", "error(s) occurred while evaluating query",
                       &c->errors);
        return;
    }
    if (!result_of(c, &result)) return;
    value_builder_open(&b, &c->heap, VALUE_OBJECT);
    if (value_defined(result))
        value_builder_replace(&b, value_string_c(&c->heap, "result"), result);
    put_hints(c, &b);
    if (c->options.metrics) put_metrics(&b, &c->heap, c, platform_clock_ns() - from);
    log_filter(c, result);
    send_value(c, value_builder_close(&b), arena_cstr(c->rq->arena, c->accept));
}

void rego_compile_filter(struct request *rq) {
    struct compile *c = malloc(sizeof *c);
    value keys[POLICY_PATH_DEPTH_MAX];
    u32 count;
    if (!c) {
        rego_rc(rq, RC_NO_MEMORY, NULL);
        return;
    }
    if (compile_open(c, rq) && read_common(c) && read_path(c, keys, &count) &&
        read_said(c, keys, count) && read_targets(c) && read_masks(c)) {
        c->partial.nondeterministic = true; /* a database cannot ask it later */
        if (evaluate(c, "invalid_parameter", "error(s) occurred while compiling module(s)"))
            filter_answer(c);
    }
    compile_close(c);
    free(c);
}
