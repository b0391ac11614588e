/* SPDX-License-Identifier: Apache-2.0 */
/* bundles.c — bundles as administrators see them.
 *
 *   GET    /api/v1/rego/bundles          what is active, where it comes from, what went wrong
 *   PUT    /api/v1/rego/bundles/{name}   the body is a bundle: activate it
 *   POST   /api/v1/rego/bundles/{name}   ask its server now
 *   DELETE /api/v1/rego/bundles/{name}   and with it what lies under its roots
 *
 * A bundle put by hand is held to the keys of its configuration, or to all keys there are, as one
 * from a server. */
#include "app/policy/value/json_text.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "kernel/base/limits.h"
#include "kernel/core/worker.h"

enum { LIST_BYTES_MAX = 4 << 20, ERRORS_MAX = 10 };

/* ---- Reading and activating ---- */

struct read_job {
    str archive;
    struct bundle_options options;
    struct policy_bundle *bundle;
    struct diag *why;
    rc_t rc;
};
static void read_run(void *arg) {
    struct read_job *j = arg;
    j->rc = bundle_read(j->bundle, j->archive, &j->options, j->why);
}

rc_t bundles_read(str archive, const struct bundle_options *o, struct policy_bundle *out,
                  struct diag *why) {
    struct read_job j = {.archive = archive, .options = *o, .bundle = out, .why = why};
    rc_t rc = worker_run(read_run, &j);
    if (rc) bundle_begin(out, 0); /* so that it can be dropped */
    if (!rc) rc = j.rc;
    if (!rc && value_count(out->manifest.wasm)) {
        diag_set(why, "the bundle has policies as WebAssembly, which are not run here");
        rc = RC_INVALID;
    }
    return rc;
}

/* A delta as its revision keeps it. */
static void delta_write(struct buf *to, struct policy_bundle *b, str etag) {
    (void)buf_add(to, S("{\"manifest\":")); /* a failure stays in the buffer */
    json_text_write(to, bundle_manifest_value(&b->heap, &b->manifest), 0);
    (void)buf_add(to, S(",\"etag\":"));
    json_text_write(to, value_string(&b->heap, etag), 0);
    (void)buf_add(to, S(",\"patch\":"));
    json_text_write(to, b->patch, 0);
    (void)buf_add(to, S("}"));
}

rc_t bundles_activate(struct request *rq, str name, struct policy_bundle *b, str etag,
                      struct policy_errors *errors, struct diag *why) {
    struct rego_change c = {.kind = REGO_BUNDLE_PUT, .subject = name, .bundle = b, .etag = etag};
    struct buf delta;
    bool changed;
    buf_open(&delta, POLICY_DATA_BYTES_MAX);
    if (b->is_delta) {
        delta_write(&delta, b, etag);
        c.kind = REGO_BUNDLE_PATCH, c.bundle = NULL, c.content = buf_str(&delta);
    }
    rc_t rc = delta.failed ? RC_NO_MEMORY : rego_apply(rq, &c, errors, why, &changed);
    buf_close(&delta);
    return rc;
}

/* ---- By hand ---- */

static bool name_is_good(struct request *rq, str name) {
    bool good = name.len && name.len <= BUNDLE_NAME_LEN_MAX;
    for (size_t i = 0; good && i < name.len; i++) {
        char c = name.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               strchr("-_./", c);
    }
    if (!good)
        reply_problem(rq, 400, "bundle_name",
                      "A bundle's name has 1 to %d letters, digits, slashes and -_. of them.",
                      BUNDLE_NAME_LEN_MAX);
    return good;
}

/* The body, up to what a bundle may have; false: answered. */
static bool read_archive(struct request *rq, struct buf *to) {
    for (;;) {
        size_t got = 0;
        rc_t rc = buf_reserve(to, KIB(16));
        if (rc) {
            reply_problem(rq, rc == RC_NO_MEMORY ? 503 : 413, "bundle_too_large",
                          "A bundle put by hand has at most %zu bytes.", to->max);
            return false;
        }
        rc = http_body_read(rq->x, to->ptr + to->len, to->room - to->len, &got);
        if (rc) {
            reply_rc(rq, rc, "Reading the body");
            return false;
        }
        if (!got) return true;
        to->len += got;
    }
}

static void answer_error(struct request *rq, rc_t rc, const struct policy_errors *errors,
                         const struct diag *why) {
    if (rc == RC_INVALID && errors->count)
        rego_errors(rq, "error(s) occurred while compiling module(s)", errors);
    else if (rc == RC_DENIED || (rc == RC_LIMIT && why->text[0]))
        rego_error(rq, 400, "invalid_parameter", "%s", why->text);
    else
        rego_rc(rq, rc, why);
}

void bundles_put(struct request *rq) {
    struct bundle_options o = {.bytes_max = BUNDLE_LOAD_BYTES_MAX};
    struct bundle_verification keys;
    struct policy_bundle b = {0};
    struct policy_errors errors;
    struct diag why = {0};
    struct buf archive;
    struct heap h;
    str name = rq->params[0];
    if (!name_is_good(rq, name)) return;
    buf_open(&archive, BUNDLE_LOAD_BYTES_MAX);
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, ERRORS_MAX);
    rc_t rc = bundles_keys_for(rq->arena, name, &keys, &why);
    if (!rc && keys.key_count) o.verification = &keys;
    if (rc)
        rego_rc(rq, rc, &why);
    else if (read_archive(rq, &archive)) {
        rc = bundles_read(buf_str(&archive), &o, &b, &why);
        if (!rc) rc = bundles_activate(rq, name, &b, S(""), &errors, &why);
        if (!rc)
            reply_text(rq, 200, "application/json", S("{}\n"));
        else
            answer_error(rq, rc, &errors, &why);
        bundle_drop(&b);
    }
    heap_close(&h);
    buf_close(&archive);
}

void bundles_delete(struct request *rq) {
    struct rego_change c = {.kind = REGO_BUNDLE_DELETE, .subject = rq->params[0]};
    struct policy_errors errors;
    struct diag why = {0};
    struct heap h;
    bool changed;
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, ERRORS_MAX);
    rc_t rc = rego_apply(rq, &c, &errors, &why, &changed);
    if (rc == RC_NOT_FOUND)
        diag_set(&why, "there is no bundle \"%.*s\"", STR(str_take(c.subject, 100)));
    if (!rc)
        reply_empty(rq, 204);
    else
        answer_error(rq, rc, &errors, &why);
    heap_close(&h);
}

/* Those that are active, then those that are only configured. */
void bundles_list(struct request *rq) {
    struct rego_state *s = rego_hold();
    struct json_writer w;
    struct buf manifest;
    json_open(&w, LIST_BYTES_MAX);
    json_object(&w, NULL);
    json_array(&w, "items");
    for (u32 i = 0; s && i < value_count(s->bundles); i++) {
        value one = value_value_at(s->bundles, i), etag = value_get_str(one, S("etag"));
        str name = value_str(value_key_at(s->bundles, i));
        json_object(&w, NULL);
        json_text(&w, "name", name);
        json_bool(&w, "active", true);
        json_text(&w, "etag", etag.kind == VALUE_STRING ? value_str(etag) : S(""));
        json_int(&w, "policies", value_count(value_get_str(one, S("modules"))));
        buf_open(&manifest, MIB(1));
        json_text_write(&manifest, value_get_str(one, S("manifest")), JSON_TEXT_ESCAPE_HTML);
        if (!manifest.failed) json_raw(&w, "manifest", buf_str(&manifest));
        buf_close(&manifest);
        bundles_source_json(&w, name);
        json_object_end(&w);
    }
    bundles_waiting_json(&w, s ? s->bundles : UNDEFINED);
    json_array_end(&w);
    json_object_end(&w);
    reply_json(rq, 200, &w);
    json_close(&w);
    rego_release(s);
}
