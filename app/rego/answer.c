/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c — the reference's forms of answers and errors, so that its clients work unchanged. What
 * is not under /v1 answers as the rest of our API does (problem+json). */
#include <stdarg.h>
#include <stdio.h>
#include "app/policy/value/json_text.h"
#include "app/policy/value/yaml_text.h"
#include "app/config/config.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "app/rego/service.h"
#include "app/version.h"
#include "kernel/core/worker.h"

enum { ANSWER_BYTES_MAX = 64 << 20, READ_ON_LOOP_MAX = 16384 };

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

static bool flag_read(struct request *rq, const char *name, bool *out) {
    str text = {0};
    if (!request_query_text(rq, name, 16, &text)) return false;
    *out = text.ptr && (!text.len || str_eq_nocase(text, S("true")));
    return true;
}

/* Words the reference does not know are as if not there, as with it. */
static bool explain_read(struct request *rq, struct rego_options *out) {
    str text = {0};
    if (!request_query_text(rq, "explain", 16, &text)) return false;
    if (text.ptr && rq->actor.user_id.len) (void)policy_explain_of(text, &out->explain);
    return true;
}

bool rego_options_read(struct request *rq, struct rego_options *out) {
    *out = (struct rego_options){0};
    bool ok = flag_read(rq, "pretty", &out->pretty) && flag_read(rq, "metrics", &out->metrics) &&
              flag_read(rq, "instrument", &out->instrument) &&
              flag_read(rq, "provenance", &out->provenance) &&
              flag_read(rq, "strict-builtin-errors", &out->strict) && explain_read(rq, out);
    out->metrics |= out->instrument;
    return ok;
}

void rego_put_provenance(struct buf *to, const struct rego_state *s) {
    (void)buf_printf(to,
                     "\"provenance\":{\"version\":\"%s\",\"build_commit\":\"\","
                     "\"build_timestamp\":\"\",\"build_hostname\":\"\",\"revision\":\"%lld\"",
                     OPENPOLICY_VERSION, (long long)s->revision);
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
    struct heap h;
    heap_open(&h, MIB(2));
    json_text_write(to, value_string(&h, text), JSON_TEXT_ESCAPE_HTML);
    heap_close(&h);
}

static void send(struct request *rq, int status, struct buf *b) {
    if (b->failed)
        reply_problem(rq, 503, "answer_too_large", "The answer is larger than %d bytes.",
                      ANSWER_BYTES_MAX);
    else
        reply_text(rq, status, "application/json", buf_str(b));
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
    (void)buf_printf(&b, "{\n  \"code\": \"%s\",\n  \"message\": \"%s\",\n  \"errors\": ", code,
                     message);
    put_errors(&b, errors);
    (void)buf_add(&b, S("\n}\n"));
    if (b.failed) rego_error(rq, 400, code, "%s; they are too long to be shown", message);
    else send(rq, 400, &b);
    buf_close(&b);
}

void rego_errors(struct request *rq, const char *message, const struct policy_errors *errors) {
    rego_errors_as(rq, "invalid_parameter", message, errors);
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
    else if (rc == RC_INVALID)
        rego_error(rq, 400, "invalid_parameter", "%s", text);
    else if (rc == RC_AGAIN)
        reply_problem(rq, 503, "starting", "The policies are not loaded yet.");
    else
        reply_rc(rq, rc, "policy engine");
}

void rego_answer(struct request *rq, const struct rego_options *o, struct buf *body) {
    (void)o;
    send(rq, 200, body);
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
    if (!request_body(rq, &j.text)) return false;
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
        json_text(&w, "default_decision", S("/system/main"));
        describe_services(&w, rq->arena);
        describe_sections(&w, rq->arena);
    }
    json_object_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
    json_close(&w);
    rego_release(s);
}

void rego_status(struct request *rq) {
    describe(rq, true);
}
void rego_config(struct request *rq) {
    describe(rq, false);
}
