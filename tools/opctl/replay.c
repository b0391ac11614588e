/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c — opctl policy replay: what would a candidate have decided otherwise? Recorded
 * decisions, in the reference's log format (one JSON object per line, or one array), are asked
 * again.
 *
 *   $ opctl policy replay decisions.jsonl -d candidate/ --base live/
 *   998 asked, 3 changed, 0 failed, 2 skipped
 *   "Owners may write" (app.rego:7): 2
 *     0190... app/allow: true -> false
 *       before: Allowed by "Owners may write" (app.rego:7) because ...
 *       after:  Denied: no rule for data.app.allow held ...
 *
 * A record without a path, or that is no JSON, is skipped and counted. Each is asked with the time
 * it was recorded at. Without --base only the candidate explains itself.
 * Exit status: 0; 1 with --fail when something changed; 2 for errors. */
#include <stdlib.h>
#include "app/policy/value/json_text.h"
#include "app/policy/why.h"
#include "app/utc.h"
#include "kernel/base/limits.h"
#include "tools/opctl/opctl.h"

enum { EXIT_ERROR = 2, EXPLAINED_MAX = 200, STEPS_MAX = 50 * 1000 * 1000 };

struct side { /* the candidate, or what is compared with it */
    struct bundle files;
    struct policy_program *plain, *watched;
    bool given;
};
struct replay {
    struct side after, before;
    struct policy_load_options load;
    struct policy_evaluator *evaluator;
    struct heap record;     /* of the one at hand */
    struct heap heap;       /* of the report */
    struct value_builder changes;
    struct policy_groups *groups;
    u64 asked, changed, failed, skipped, limit;
    const char *format;
    bool fail;
};

static int report(struct policy_errors *errors) {
    policy_errors_sort(errors);
    errors_print(errors);
    return EXIT_ERROR;
}

static bool load_side(struct replay *r, struct side *s, bool plain) {
    struct policy_errors errors;
    struct policy_load_options o = r->load;
    policy_errors_open(&errors, &s->files.heap, 0);
    o.parse.annotations = true;
    rc_t rc = plain ? policy_load(s->files.sources, s->files.count, &o, &s->plain, &errors) : RC_OK;
    o.trace = o.every_rule = true;
    if (!rc) rc = policy_load(s->files.sources, s->files.count, &o, &s->watched, &errors);
    if (rc) report(&errors);
    return rc == RC_OK;
}

/* ---- One decision ---- */

static rc_t decide(struct replay *r, value path, const struct policy_ask *ask, value *out) {
    value keys[POLICY_PATH_DEPTH_MAX];
    struct policy_errors errors;
    struct policy_error error = {0};
    struct policy_query *query;
    str rest = value_str(path), part;
    u32 count = 0;
    while (str_split(&rest, '/', &part)) {
        s64 number;
        if (!part.len) continue;
        if (count == ARRAY_LEN(keys)) return RC_LIMIT;
        keys[count++] = str_to_s64(part, &number) == RC_OK ? value_integer(number)
                                                           : value_string(&r->record, part);
    }
    policy_errors_open(&errors, &r->record, 1);
    rc_t rc = policy_prepare_path(r->after.plain, keys, count, &query, &errors);
    if (rc) return rc;
    rc = policy_decide(r->evaluator, query, ask, out, &error);
    if (!rc && value_defined(*out)) *out = value_copy(&r->record, *out);
    policy_query_drop(query);
    return rc;
}

/* As JSON says it: the record went through JSON, so its sets are arrays. */
static bool same(struct heap *h, value before, value after) {
    struct buf b;
    value again;
    if (!value_defined(before) || !value_defined(after))
        return value_defined(before) == value_defined(after);
    buf_open(&b, (size_t)1 << 30);
    json_text_write(&b, after, 0);
    bool equal = !b.failed && json_text_read(h, NULL, buf_str(&b), &again, NULL) == RC_OK &&
                 value_equal(before, again);
    buf_close(&b);
    return equal;
}

static value explained(struct replay *r, struct side *s, value event,
                       const struct policy_ask *ask) {
    struct policy_why_question q = {.path = value_str(value_get_str(event, S("path"))),
                                    .input = value_get_str(event, S("input")),
                                    .data = s->files.data, .sentences_max = 5};
    struct policy_error error = {0};
    value found, result;
    if (!s->watched) return UNDEFINED;
    if (policy_why(s->watched, r->evaluator, ask, &q, &r->heap, &found, &result, &error))
        return UNDEFINED;
    return found;
}

static void put(struct replay *r, struct value_builder *b, const char *name, value v) {
    if (value_defined(v)) value_builder_replace(b, value_string_c(&r->heap, name), v);
}

static void note_change(struct replay *r, value event, value after, const struct policy_ask *ask) {
    static const char *const members[] = {"decision_id", "path", "timestamp", "input"};
    struct value_builder b, both;
    value id = value_copy(&r->heap, value_get_str(event, S("decision_id"))), was = UNDEFINED,
          is = UNDEFINED;
    r->changed++;
    if (r->changed > EXPLAINED_MAX) {
        r->groups->others++;
        return;
    }
    was = explained(r, &r->before, event, ask), is = explained(r, &r->after, event, ask);
    policy_groups_add(r->groups, was, is, value_defined(id) ? id : value_null());
    value_builder_open(&b, &r->heap, VALUE_OBJECT);
    value_builder_open(&both, &r->heap, VALUE_OBJECT);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        value v = value_get_str(event, str_from_c(members[i]));
        if (value_defined(v)) put(r, &b, members[i], value_copy(&r->heap, v));
    }
    value before = value_get_str(event, S("result"));
    if (value_defined(before)) put(r, &b, "before", value_copy(&r->heap, before));
    if (value_defined(after)) put(r, &b, "after", value_copy(&r->heap, after));
    if (value_defined(was)) put(r, &both, "before", policy_why_short(&r->heap, was));
    if (value_defined(is)) put(r, &both, "after", policy_why_short(&r->heap, is));
    put(r, &b, "explanations", value_builder_close(&both));
    value_builder_add(&r->changes, value_builder_close(&b));
}

static void ask_again(void *arg, value event) {
    struct replay *r = arg;
    value path = value_get_str(event, S("path")), at = value_get_str(event, S("timestamp")),
          after = UNDEFINED;
    struct policy_ask ask = {.input = value_get_str(event, S("input")),
                             .data = r->after.files.data,
                             .data_version = 1,
                             .now_ns = wall_ns(),
                             .seed = 1,
                             .limits.steps_max = STEPS_MAX};
    if (path.kind != VALUE_STRING || r->asked == r->limit) {
        r->skipped++;
        return;
    }
    u64 then;
    if (at.kind == VALUE_STRING && utc_parse(value_str(at), &then) == RC_OK) ask.now_ns = then;
    r->asked++;
    if (decide(r, path, &ask, &after)) {
        r->failed++;
        note_change(r, event, UNDEFINED, &ask);
    } else if (!same(&r->record, value_get_str(event, S("result")), after))
        note_change(r, event, after, &ask);
}

/* ---- The answer ---- */

static void print_value(struct buf *b, value v) {
    if (!value_defined(v)) (void)buf_add(b, S("undefined"));
    else json_text_write(b, v, 0);
}

static void print_side(struct buf *b, value change, const char *name) {
    value report = value_get_str(value_get_str(change, S("explanations")), str_from_c(name));
    value list = value_get_str(report, S("sentences"));
    for (u32 i = 0; i < value_count(list); i++)
        (void)buf_printf(b, "    %-8s%.*s\n",
                         i                         ? ""
                         : !strcmp(name, "before") ? "before:"
                                                   : "after:",
                         STR(value_str(value_item(list, i))));
}

static void print_text(const struct replay *r, struct buf *b, value groups, value changes) {
    (void)buf_printf(b, "%llu asked, %llu changed, %llu failed, %llu skipped\n",
                     (unsigned long long)r->asked, (unsigned long long)r->changed,
                     (unsigned long long)r->failed, (unsigned long long)r->skipped);
    for (u32 i = 0; i < value_count(groups); i++) {
        value g = value_item(groups, i), rule = value_get_str(g, S("rule")),
              title = value_get_str(g, S("title"));
        value file = value_get_str(g, S("file")), row = value_get_str(g, S("row"));
        if (value_defined(title)) (void)buf_printf(b, "\"%.*s\" ", STR(value_str(title)));
        else
            (void)buf_printf(b, "%.*s ",
                             STR(value_defined(rule) ? value_str(rule) : S("not explained")));
        if (value_defined(file))
            (void)buf_printf(b, "(%.*s:%lld)", STR(value_str(file)), (long long)row.integer);
        (void)buf_printf(b, ": %lld\n", (long long)value_get_str(g, S("count")).integer);
    }
    for (u32 i = 0; i < value_count(changes); i++) {
        value c = value_item(changes, i), id = value_get_str(c, S("decision_id"));
        (void)buf_printf(b,
                         "\n  %.*s %.*s: ", STR(id.kind == VALUE_STRING ? value_str(id) : S("-")),
                         STR(value_str(value_get_str(c, S("path")))));
        print_value(b, value_get_str(c, S("before")));
        (void)buf_add(b, S(" -> "));
        print_value(b, value_get_str(c, S("after")));
        (void)buf_add(b, S("\n"));
        print_side(b, c, "before");
        print_side(b, c, "after");
    }
}

static void print_json(struct replay *r, struct buf *b, value groups, value changes) {
    struct value_builder top;
    value_builder_open(&top, &r->heap, VALUE_OBJECT);
    put(r, &top, "asked", value_integer((s64)r->asked));
    put(r, &top, "changed", value_integer((s64)r->changed));
    put(r, &top, "failed", value_integer((s64)r->failed));
    put(r, &top, "skipped", value_integer((s64)r->skipped));
    put(r, &top, "by_rule", groups);
    put(r, &top, "changes", changes);
    json_text_write(b, value_builder_close(&top), JSON_TEXT_INDENT);
    (void)buf_add(b, S("\n"));
}

static int replay(struct replay *r, const char *path) {
    str text;
    struct buf out;
    if (!load_side(r, &r->after, true) || (r->before.given && !load_side(r, &r->before, false)) ||
        !file_read(path, &text) || policy_evaluator_open(&r->evaluator, (size_t)4 << 30))
        return EXIT_ERROR;
    r->groups = calloc(1, sizeof *r->groups);
    if (!r->groups) return EXIT_ERROR;
    policy_groups_open(r->groups, &r->heap);
    value_builder_open(&r->changes, &r->heap, VALUE_ARRAY);
    r->skipped += records_each(&r->record, text, ask_again, r);
    buf_open(&out, (size_t)1 << 30);
    value groups = policy_groups_close(r->groups), changes = value_builder_close(&r->changes);
    if (!strcmp(r->format, "json")) print_json(r, &out, groups, changes);
    else print_text(r, &out, groups, changes);
    if (out.len) fwrite(out.ptr, 1, out.len, stdout);
    bool whole = !out.failed && !r->heap.exhausted;
    buf_close(&out);
    free(r->groups);
    free((char *)text.ptr);
    policy_evaluator_close(r->evaluator);
    return !whole ? EXIT_ERROR : r->fail && r->changed ? EXIT_NO : 0;
}

static void side_close(struct side *s) {
    policy_drop(s->plain);
    policy_drop(s->watched);
    bundle_close(&s->files);
}

static int run(int argc, char **argv) {
    static const struct option_spec specs[] = {
        {"data", 'd', false, "the candidate: policies and data, a file or folder; may be repeated"},
        {"base", 0, false, "what it is compared with, to explain that side too; may be repeated"},
        {"format", 'f', false, "text (default) or json"},
        {"limit", 0, false, "ask at most so many"},
        {"fail", 0, true, "status 1 when something changed"},
        {"v0-compatible", 0, true, "policies are Rego v0"},
        {"help", 'h', true, "this text"},
    };
    struct option_reader options = OPTION_READER(specs, ARRAY_LEN(specs));
    struct replay r = {.format = "text", .limit = UINT64_MAX};
    const char *v, *file = NULL;
    bool ok = true;
    bundle_open(&r.after.files);
    bundle_open(&r.before.files);
    heap_open(&r.record, (size_t)4 << 30);
    heap_open(&r.heap, (size_t)4 << 30);
    for (int o; ok && (o = option_next(&options, &v)) != OPTION_END;) {
        bool on = !v || strcmp(v, "false");
        if (o == 0) ok = r.after.given = bundle_add(&r.after.files, v);
        else if (o == 1) ok = r.before.given = bundle_add(&r.before.files, v);
        else if (o == 2 && (!strcmp(v, "text") || !strcmp(v, "json"))) r.format = v;
        else if (o == 3) ok = str_to_u64(str_from_c(v), &r.limit) == RC_OK;
        else if (o == 4) r.fail = on;
        else if (o == 5) r.load.parse.version = on ? REGO_V0 : REGO_V1;
        else if (o == OPTION_PLAIN && !file) file = v;
        else ok = false;
    }
    ok = ok && file && r.after.given;
    int status = ok ? replay(&r, file) : usage_of(&replay_verb, specs, ARRAY_LEN(specs));
    side_close(&r.after);
    side_close(&r.before);
    heap_close(&r.record);
    heap_close(&r.heap);
    return status;
}

const struct verb replay_verb = {"replay", "[OPTIONS] -d CANDIDATE DECISIONS.jsonl",
                                 "what would a candidate have decided otherwise", run};
