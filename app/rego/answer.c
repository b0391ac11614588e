/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c — the reference's forms of answers and errors, so that its clients work unchanged. What
 * is not under /v1 answers as the rest of our API does (problem+json). */
#include <stdarg.h>
#include <stdio.h>
#include "app/bundle/bundle.h"
#include "app/config/config.h"
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "app/rego/service.h"
#include "app/version.h"
#include "kernel/core/worker.h"

enum {
    ANSWER_BYTES_MAX = 64 << 20,
    READ_ON_LOOP_MAX = 16384,
    GZIP_FROM = 1024,        /* smaller answers are sent as they are */
    GZIP_BODY_MAX = 4 << 20, /* of a body without its compression */
};

/* Switches are texts here: as with the reference, `?pretty` alone is true. */
const struct route_param rego_parameters[] = {
    {"pretty", "string", "indent the answer"},
    {"metrics", "string", "add how long the parts of the work took"},
    {"instrument", "string", "add also what the machine counted"},
    {"provenance", "string", "add which build and which revision of the policies answered"},
    {"strict-builtin-errors", "string", "an error of a builtin is an error of the query"},
    {"explain", "string", "add the steps: full, notes, fails or debug; for those signed in"},
    {"input", "string", "the input as JSON (GET)"},
    {.name = NULL},
};

/* The next value that the query gives a name; false: there is none. What cannot be decoded was
 * refused before (app/gateway/query.c). */
bool rego_query_next(struct request *rq, str *rest, const char *name, str *out) {
    str raw_name, raw_value, plain;
    while (http_query_next(rest, &raw_name, &raw_value)) {
        bool same = str_eq(raw_name, str_from_c(name));
        if (!same && str_find_byte(raw_name, '%') < raw_name.len)
            same = !http_percent_decode(rq->arena, raw_name, true, &plain) &&
                   str_eq(plain, str_from_c(name));
        if (same && !http_percent_decode(rq->arena, raw_value, true, out)) return true;
    }
    return false;
}

bool rego_query_last(struct request *rq, const char *name, str *out) {
    str rest = rq->http->query, text;
    while (rego_query_next(rq, &rest, name, &text)) *out = text;
    if (!out->ptr || !memchr(out->ptr, 0, out->len)) return true;
    rego_error(rq, 400, "invalid_parameter", "the parameter '%s' has a NUL in it", name);
    return false;
}

/* Alone it is true, as with the reference; else one of its values has to say so. */
bool rego_flag(struct request *rq, const char *name) {
    str rest = rq->http->query, text;
    u32 count = 0;
    bool on = false, bare = true;
    for (; rego_query_next(rq, &rest, name, &text); count++) {
        on |= str_eq_nocase(text, S("true"));
        bare &= !text.len;
    }
    return on || (count == 1 && bare);
}

/* Words the reference does not know are as if not there, as with it. */
static void explain_read(struct request *rq, struct rego_options *out) {
    str rest = rq->http->query, text;
    if (!rq->actor.user_id.len) return;
    while (out->explain == POLICY_EXPLAIN_OFF && rego_query_next(rq, &rest, "explain", &text))
        (void)policy_explain_of(text, &out->explain);
}

void rego_options_read(struct request *rq, struct rego_options *out) {
    *out = (struct rego_options){0};
    if (!rq->http->query.len) return;
    out->pretty = rego_flag(rq, "pretty");
    out->metrics = rego_flag(rq, "metrics");
    out->instrument = rego_flag(rq, "instrument");
    out->provenance = rego_flag(rq, "provenance");
    out->strict = rego_flag(rq, "strict-builtin-errors");
    explain_read(rq, out);
    out->metrics |= out->instrument;
}

void rego_put_provenance(struct buf *to, const struct rego_state *s) {
    (void)buf_printf(to,
                     "\"provenance\":{\"version\":\"%s\",\"build_commit\":\"%s\","
                     "\"build_timestamp\":\"%s\",\"build_hostname\":\"\",\"revision\":\"%lld\"",
                     OPENPOLICY_VERSION, openpolicy_commit, openpolicy_commit_time,
                     (long long)s->revision);
    if (value_count(s->bundles)) (void)buf_add(to, S(",")), rego_put_bundles(to, s);
    (void)buf_add(to, S("}"));
}

void rego_put_bundles(struct buf *to, const struct rego_state *s) {
    (void)buf_add(to, S("\"bundles\":{")); /* a failure stays in the buffer */
    for (u32 i = 0; i < value_count(s->bundles); i++) {
        value manifest = value_get_str(value_value_at(s->bundles, i), S("manifest"));
        value revision = value_get_str(manifest, S("revision"));
        if (i) (void)buf_add(to, S(","));
        json_text_write(to, value_key_at(s->bundles, i), 0);
        (void)buf_add(to, S(":{\"revision\":"));
        json_text_write(to, revision.kind == VALUE_STRING ? revision : value_null(), 0);
        (void)buf_add(to, S("}"));
    }
    (void)buf_add(to, S("}"));
}

static void put_text(struct buf *to, str text) {
    json_text_write_string(to, text, JSON_TEXT_ESCAPE_HTML);
}

/* ---- Compressed answers ---- */

/* As the reference: answers of decisions and of partial evaluation, from so many bytes on. */
static bool wants_gzip(struct request *rq) {
    static const str fronts[] = {S("/v1/data"), S("/v0/data"), S("/v1/compile")};
    str list = http_field(rq->http, S("Accept-Encoding")), one;
    bool post = rq->http->method == HTTP_POST, here = false;
    if (!list.ptr || !rq->route || !(post || rq->http->method == HTTP_GET)) return false;
    for (u32 i = 0; i < ARRAY_LEN(fronts); i++)
        here |= (i < 2 || post) && str_starts(str_from_c(rq->route->pattern), fronts[i]);
    if (!here) return false;
    (void)!!http_answer_field(rq->x, S("Vary"), S("Accept-Encoding")); /* without it, as well */
    while (str_split(&list, ',', &one)) {
        one = str_trim(one);
        if (str_eq(one, S("gzip")) || str_starts(one, S("gzip;"))) return !str_ends(one, S("q=0"));
    }
    return false;
}

struct gzip_job {
    str text;
    struct buf *packed;
    struct diag why;
    rc_t rc;
};

static void pack_run(void *arg) {
    struct gzip_job *j = arg;
    j->rc = gzip_pack(j->text, j->packed);
}

void rego_send(struct request *rq, int status, const char *type, str body) {
    bool small = body.len < GZIP_FROM;
    if (!wants_gzip(rq) || small) {
        reply_text(rq, status, type, body);
        return;
    }
    struct buf packed;
    buf_open(&packed, ANSWER_BYTES_MAX);
    struct gzip_job j = {.text = body, .packed = &packed};
    bool good = !worker_run(pack_run, &j) && !j.rc &&
                !http_answer_field(rq->x, S("Content-Encoding"), S("gzip"));
    reply_text(rq, status, type, good ? buf_str(&packed) : body);
    buf_close(&packed);
}

static void unpack_run(void *arg) {
    struct gzip_job *j = arg;
    j->rc = gzip_unpack(j->text, j->packed, &j->why);
}

bool rego_body(struct request *rq, str *out) {
    static const str gzip = S("gzip");
    str coding = http_field(rq->http, S("Content-Encoding"));
    if (!request_body(rq, out)) return false;
    if (!coding.ptr || str_find(coding, gzip) == coding.len) return true;
    struct buf plain;
    buf_open(&plain, GZIP_BODY_MAX);
    struct gzip_job j = {.text = *out, .packed = &plain};
    rc_t rc = worker_run(unpack_run, &j);
    if (!rc) rc = j.rc;
    str text = rc ? (str){0} : plain.len ? arena_copy(rq->arena, buf_str(&plain)) : S("");
    buf_close(&plain);
    if (rc == RC_LIMIT || (!rc && !text.ptr))
        rego_error(rq, 400, "invalid_parameter", "gzip payload too large");
    else if (rc == RC_INVALID)
        rego_error(rq, 400, "invalid_parameter", "could not decompress the body: %s", j.why.text);
    else if (rc)
        rego_rc(rq, rc, NULL);
    *out = text;
    return text.ptr != NULL;
}

/* ---- Errors ---- */

static void send(struct request *rq, int status, struct buf *b) {
    if (b->failed)
        reply_problem(rq, 503, "answer_too_large", "The answer is larger than %d bytes.",
                      ANSWER_BYTES_MAX);
    else
        rego_send(rq, status, "application/json", buf_str(b));
}

void rego_error(struct request *rq, int status, const char *code, const char *message, ...) {
    char text[1024];
    struct buf b;
    va_list args;
    va_start(args, message);
    vsnprintf(text, sizeof text, message, args);
    va_end(args);
    buf_open(&b, MIB(1));
    (void)buf_printf(&b, "{\n  \"code\": \"%s\",\n  \"message\": ", code);
    put_text(&b, str_from_c(text));
    (void)buf_add(&b, S("\n}\n"));
    send(rq, status, &b);
    buf_close(&b);
}

static void put_errors(struct buf *b, const struct policy_errors *errors) {
    json_text_write(b, policy_errors_json(errors->heap, errors), JSON_TEXT_INDENT);
}

void rego_errors_as(struct request *rq, const char *code, const char *message,
                    const struct policy_errors *errors) {
    struct buf b;
    buf_open(&b, MIB(1));
    (void)buf_printf(&b, "{\n  \"code\": \"%s\",\n  \"message\": ", code);
    put_text(&b, str_from_c(message));
    (void)buf_add(&b, S(",\n  \"errors\": "));
    put_errors(&b, errors);
    (void)buf_add(&b, S("\n}\n"));
    if (b.failed) rego_error(rq, 400, code, "%s; they are too long to be shown", message);
    else send(rq, 400, &b);
    buf_close(&b);
}

void rego_errors(struct request *rq, const char *message, const struct policy_errors *errors) {
    rego_errors_as(rq, "invalid_parameter", message, errors);
}

bool rego_decides(struct request *rq, const struct rego_state *s) {
    if (!s)
        rego_rc(rq, RC_AGAIN, NULL);
    else if (s->build->broken)
        rego_error(rq, 503, "policies_broken",
                   "the stored policies do not compile; replace or delete the one that is wrong");
    return s && !s->build->broken;
}

const char *const rego_unsafe_calls[] = {"http.send", NULL};

const char *rego_query_message(const struct policy_errors *errors) {
    bool parse = errors->count && errors->items[0].code == POLICY_PARSE_ERROR;
    return parse ? "error(s) occurred while parsing query"
                 : "error(s) occurred while compiling query";
}

void rego_eval_error(struct request *rq, rc_t rc, const struct policy_error *error) {
    struct policy_errors one;
    struct heap h;
    struct buf b;
    if (rc == RC_NO_MEMORY) {
        rego_rc(rq, rc, NULL);
        return;
    }
    heap_open(&h, MIB(1));
    buf_open(&b, MIB(1));
    policy_errors_open(&one, &h, 1);
    struct policy_error *copy =
        policy_error_add(&one, error->code, &error->at, "%.*s", STR(error->message));
    (void)copy; /* without memory the list below is shorter */
    (void)buf_add(&b, S("{\n  \"code\": \"internal_error\",\n  \"message\": \"error(s) occurred "
                        "while evaluating query\",\n  \"errors\": "));
    put_errors(&b, &one);
    (void)buf_add(&b, S("\n}\n"));
    send(rq, 500, &b);
    buf_close(&b);
    heap_close(&h);
}

void rego_rc(struct request *rq, rc_t rc, const struct diag *why) {
    const char *text = why && why->text[0] ? why->text : "the request cannot be carried out";
    if (rc == RC_NOT_FOUND)
        rego_error(rq, 404, "resource_not_found", "%s", text);
    else if (rc == RC_CONFLICT)
        rego_error(rq, 404, "resource_conflict", "%s", text);
    else if (rc == RC_INVALID)
        rego_error(rq, 400, "invalid_parameter", "%s", text);
    else if (rc == RC_AGAIN)
        reply_problem(rq, 503, "starting", "The policies are not loaded yet.");
    else
        reply_rc(rq, rc, "policy engine");
}

/* What was written on one line, with `pretty` on many. */
static str indented(struct heap *h, struct buf *to, str text) {
    value v;
    if (json_text_read(h, NULL, text, &v, NULL)) return text;
    json_text_write(to, v, JSON_TEXT_ESCAPE_HTML | JSON_TEXT_INDENT);
    (void)buf_add(to, S("\n"));
    return to->failed ? text : buf_str(to);
}

static void send_pretty(struct request *rq, int status, str text, bool pretty) {
    struct heap h;
    struct buf b;
    heap_open(&h, 4 * (size_t)ANSWER_BYTES_MAX);
    buf_open(&b, ANSWER_BYTES_MAX);
    rego_send(rq, status, "application/json", pretty ? indented(&h, &b, text) : text);
    buf_close(&b);
    heap_close(&h);
}

void rego_send_json(struct request *rq, int status, struct json_writer *w) {
    struct rego_options o;
    rego_options_read(rq, &o);
    if (w->out.failed)
        rego_rc(rq, RC_NO_MEMORY, NULL);
    else
        send_pretty(rq, status, buf_str(&w->out), o.pretty);
    json_close(w);
}

void rego_answer(struct request *rq, const struct rego_options *o, struct buf *body) {
    if (body->failed || !o->pretty)
        send(rq, 200, body);
    else
        send_pretty(rq, 200, buf_str(body), true);
}

struct read_job {
    struct heap *heap;
    str text;
    value *out;
    struct diag why;
    bool yaml;
    rc_t rc;
};

static void read_run(void *arg) {
    struct read_job *j = arg;
    j->rc = j->yaml ? yaml_text_read(j->heap, j->text, j->out, &j->why)
                    : json_text_read(j->heap, NULL, j->text, j->out, &j->why);
}

bool rego_body_value(struct request *rq, struct heap *h, value *out) {
    struct read_job j = {.heap = h, .out = out};
    *out = UNDEFINED;
    if (!rego_body(rq, &j.text)) return false;
    if (!j.text.len) return true;
    j.yaml = str_find(http_field(rq->http, S("Content-Type")), S("yaml")) <
             http_field(rq->http, S("Content-Type")).len;
    rc_t rc = RC_OK;
    if (j.text.len <= READ_ON_LOOP_MAX)
        read_run(&j);
    else
        rc = worker_run(read_run, &j);
    if (!rc && !j.rc) return true;
    if (rc)
        rego_rc(rq, rc, NULL);
    else if (j.rc == RC_NO_MEMORY)
        rego_rc(rq, j.rc, NULL);
    else
        rego_error(rq, 400, "invalid_parameter",
                   "body contains malformed input document: line %d, column %d: %s", j.why.line,
                   j.why.column, j.why.text);
    return false;
}

/* ---- About the engine, in the reference's words ---- */

/* Where they are, not how we show who we are. */
static void describe_services(struct json_writer *w, struct arena *a) {
    const struct service *list;
    struct diag why;
    u32 count;
    if (service_each(a, &list, &count, &why)) return;
    json_object(w, "services");
    for (u32 i = 0; i < count; i++) {
        json_put_name(w, list[i].name);
        json_put_object(w);
        json_text(w, "url", list[i].url);
        json_object_end(w);
    }
    json_object_end(w);
}

/* What holds now, discovered or set here; keys are left out, as in the reference's answer. */
static void describe_sections(struct json_writer *w, struct arena *a) {
    static const char *const members[] = {"bundles", "discovery", "status"};
    for (u32 i = 0; i < ARRAY_LEN(members); i++) {
        str text;
        if (section_text(a, members[i], &text) || !text.len) continue;
        json_raw(w, members[i], text);
    }
}

static void describe(struct request *rq, bool status) {
    struct rego_state *s = rego_hold();
    struct json_writer w;
    json_open(&w, MIB(1));
    json_object(&w, NULL);
    json_object(&w, "result");
    if (status) {
        report_json(&w, true);
        rego_ship_status(&w);
        json_int(&w, "revision", s ? s->revision : 0);
        json_int(&w, "policies", s ? s->source_count : 0);
        json_int(&w, "data_bytes", s ? (s64)document_bytes(s->data) : 0);
    } else {
        json_object(&w, "labels");
        json_text(&w, "id", config_text("net.hostname"));
        json_text(&w, "version", S(OPENPOLICY_VERSION));
        discovery_labels_json(&w);
        json_object_end(&w);
        rego_ship_config(&w);
        json_text(&w, "default_decision",
                  arena_join(rq->arena, S("/"), rego_default_decision(rq->arena)));
        json_text(&w, "default_authorization_decision", S("/openpolicy/authz/allow"));
        describe_services(&w, rq->arena);
        describe_sections(&w, rq->arena);
    }
    json_object_end(&w);
    json_object_end(&w);
    rego_send_json(rq, 200, &w);
    rego_release(s);
}

void rego_status(struct request *rq) {
    describe(rq, true);
}
void rego_config(struct request *rq) {
    describe(rq, false);
}
