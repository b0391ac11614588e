/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c — who may do what with a collection's records, as its Rego says.
 *
 *   package collection
 *   read if input.record.status == "published"        which records somebody sees
 *   read if input.record.created_by == input.actor.id
 *   create if input.actor.signed_in                    may they, with input.record as it would be
 *   update if input.record.created_by == input.actor.id   ... and input.new as it would become
 *   delete if input.actor.role == "admin"
 *
 * What is not said is a no. `read` is asked with the record unknown: what partial evaluation leaves
 * becomes a condition of the statement itself (condition.c), for lists and for single records
 * alike, so they cannot disagree. The other rules are asked about the record in hand.
 *
 * A condition depends on the rules and on the actor alone, both of which are its key: it is worked
 * out once and kept, unless the rules ask what time it is. Builtins that ask chance or the network
 * are refused when the rules are defined. */
#include <stdlib.h>
#include "app/data/rules_impl.h"
#include "app/policy/value/json_text.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum { STEPS_MAX = 50000, BYTES_MAX = 8 << 20, PROGRAM_MAX = 32 << 20, PARTIAL_MS = 500 };
#define PACKAGE "collection"

static const char *const action_names[] = {"read", "create", "update", "delete"};
enum { ACTIONS = ARRAY_LEN(action_names) };

static const char shipped[] = "package collection\n"
                              "read if input.actor.role == \"admin\"\n"
                              "create if input.actor.role == \"admin\"\n"
                              "update if input.actor.role == \"admin\"\n"
                              "delete if input.actor.role == \"admin\"\n";

struct rules {
    struct policy_program *program;
    struct policy_query *queries[ACTIONS]; /* NULL: never */
    bool timed;                            /* they ask what time it is */
};

/* ---- Compiling ------------------------------------------------------------------------------- */

static const char *const refused[] = {"http.send", "net.lookup_ip_addr", "opa.runtime",
                                      "rand.intn", "uuid.rfc4122",       NULL};

struct load {
    str text;
    struct rules *rules;
    struct policy_errors errors;
    struct heap heap;
    rc_t rc;
};

static void load_program(void *arg) {
    struct load *l = arg;
    struct policy_source source = {S("rules.rego"), l->text};
    struct policy_load_options o = {.compile.unsafe_builtins = refused, .bytes_max = PROGRAM_MAX};
    l->rc = policy_load(&source, 1, &o, &l->rules->program, &l->errors);
}

static rc_t run(void (*fn)(void *arg), void *arg) {
    if (fiber_inside()) return worker_run(fn, arg);
    fn(arg);
    return RC_OK;
}

static void tell_errors(const struct policy_errors *errors, struct flaws *flaws) {
    for (u32 i = 0; i < errors->count; i++)
        flaw_add(flaws, "rules", "rules_invalid", "line %u, column %u: %.*s",
                 errors->items[i].at.row, errors->items[i].at.column,
                 STR(str_take(errors->items[i].message, 150)));
    if (!errors->count) flaw_add(flaws, "rules", "rules_invalid", "they do not compile");
}

static bool has_rule(struct heap *h, const struct rules *r, const char *name) {
    const struct rule_node *n = policy_compiled(r->program)->root;
    n = n ? rule_node_find(n, value_string_c(h, PACKAGE)) : NULL;
    if (n && name) n = rule_node_find(n, value_string_c(h, name));
    return n && (n->rule_count || n->child_count);
}

static rc_t prepare(struct load *l, struct flaws *flaws) {
    struct rules *r = l->rules;
    bool any = false;
    for (int i = 0; i < (int)ACTIONS; i++) {
        if (!has_rule(&l->heap, r, action_names[i])) continue;
        value path[] = {value_string_c(&l->heap, PACKAGE),
                        value_string_c(&l->heap, action_names[i])};
        rc_t rc = policy_prepare_path(r->program, path, 2, &r->queries[i], &l->errors);
        if (rc) return rc;
        any = true;
    }
    if (any) return RC_OK;
    flaw_add(flaws, "rules", "rules_invalid",
             "they begin with `package collection` and have at least one of the rules read, "
             "create, update, delete");
    return RC_INVALID;
}

rc_t rules_open(str text, struct rules **out, struct flaws *flaws) {
    struct load *l = calloc(1, sizeof *l);
    struct rules *r = calloc(1, sizeof *r);
    rc_t rc = l && r ? RC_OK : RC_NO_MEMORY;
    *out = NULL;
    if (!rc && text.len > DATA_RULES_MAX) {
        flaw_add(flaws, "rules", "rules_invalid", "at most %d bytes", DATA_RULES_MAX);
        rc = RC_INVALID;
    }
    if (!rc) {
        l->text = text.len ? text : str_from_c(shipped);
        l->rules = r;
        heap_open(&l->heap, MIB(1));
        policy_errors_open(&l->errors, &l->heap, DATA_FLAWS_MAX);
        rc = run(load_program, l);
        if (!rc) rc = l->rc;
        if (!rc) rc = prepare(l, flaws);
        if (rc == RC_INVALID && !flaws->count) tell_errors(&l->errors, flaws);
        r->timed = str_find(l->text, S("now_ns")) < l->text.len ||
                   str_find(l->text, S("\\u")) < l->text.len;
        heap_close(&l->heap);
    }
    free(l);
    if (rc)
        rules_close(r);
    else
        *out = r;
    return rc;
}

void rules_close(struct rules *r) {
    if (!r) return;
    for (u32 i = 0; i < ACTIONS; i++)
        if (r->queries[i]) policy_query_drop(r->queries[i]);
    if (r->program) policy_drop(r->program);
    free(r);
}

/* ---- Who asks -------------------------------------------------------------------------------- */

static void put_words(struct json_writer *w, const char *key, str words) {
    str word;
    json_array(w, key);
    while (str_split(&words, ' ', &word))
        if (word.len) json_text(w, NULL, word);
    json_array_end(w);
}

static void put_actor(struct json_writer *w, const struct actor *who) {
    static const char *const kinds[] = {"guest", "user", "key", "client"};
    json_object(w, "actor");
    json_bool(w, "signed_in", who->user_id.len > 0);
    json_text(w, "kind", str_from_c(kinds[who->kind]));
    json_text(w, "id", who->user_id.ptr ? who->user_id : S(""));
    json_text(w, "email", who->email.ptr ? who->email : S(""));
    json_text(w, "role", who->role.ptr ? who->role : S(""));
    json_text(w, "org", who->org_id.ptr ? who->org_id : S(""));
    put_words(w, "groups", who->groups);
    put_words(w, "roles", who->roles);
    json_bool(w, "mfa", who->mfa);
    json_object_end(w);
}

/* ---- Reading: a condition -------------------------------------------------------------------- */

struct kept_condition {
    u64 made; /* when the collection was: numbers are used again */
    s64 num, version;
    bool never;
    struct arena arena;
    str key, sql;
    struct db_value *values;
    u32 count;
};
static struct kept_condition *conditions[DATA_CONDITIONS_MAX];

static void condition_drop(struct kept_condition *k) {
    if (!k) return;
    arena_close(&k->arena);
    free(k);
}

struct partial_work {
    const struct collection *c;
    struct heap heap;
    struct policy_errors errors;
    struct policy_ask ask;
    struct condition condition;
    rc_t rc;
};

static void work_out(void *arg) {
    static const str unknown[] = {S("input.record")};
    struct partial_work *w = arg;
    struct partial_answer left = {0};
    struct partial_options o = {.unknowns = unknown, .unknown_count = 1, .nondeterministic = true};
    w->rc = partial_evaluate(&w->heap, w->c->rules->program, S("data." PACKAGE ".read == true"),
                             &w->ask, &o, &left, &w->errors);
    if (!w->rc) w->rc = condition_of(w->c, &w->heap, &left, &w->condition);
}

static rc_t condition_make(const struct collection *c, str input, struct kept_condition *k,
                           struct diag *why) {
    struct partial_work *w = calloc(1, sizeof *w);
    if (!w) return RC_NO_MEMORY;
    w->c = c;
    heap_open(&w->heap, BYTES_MAX);
    policy_errors_open(&w->errors, &w->heap, 4);
    w->condition = (struct condition){.arena = &k->arena, .why = why};
    buf_open(&w->condition.sql, DATA_CONDITION_BYTES_MAX);
    w->ask = (struct policy_ask){.data = value_empty_object(),
                                 .now_ns = platform_wall_ns(),
                                 .seed = platform_clock_ns(),
                                 .clock_ns = platform_clock_ns,
                                 .limits = {.steps_max = 20 * STEPS_MAX, .bytes_max = BYTES_MAX}};
    w->ask.limits.deadline_ns = platform_clock_ns() + PARTIAL_MS * NS_PER_MS;
    rc_t rc = json_text_read(&w->heap, NULL, input, &w->ask.input, why);
    if (!rc) rc = run(work_out, w);
    if (!rc) rc = w->rc;
    if (rc == RC_INVALID && w->errors.count) {
        diag_set(why, "%.*s", STR(str_take(w->errors.items[0].message, 200)));
        why->line = (int)w->errors.items[0].at.row, why->column = (int)w->errors.items[0].at.column;
    }
    if (!rc) {
        k->never = w->condition.never;
        k->sql = arena_copy(&k->arena, buf_str(&w->condition.sql));
        k->values = arena_alloc(&k->arena, (w->condition.count + 1) * sizeof *k->values);
        if (!k->sql.ptr || !k->values)
            rc = RC_NO_MEMORY;
        else
            memcpy(k->values, w->condition.values, w->condition.count * sizeof *k->values);
        k->count = w->condition.count;
    }
    buf_close(&w->condition.sql);
    heap_close(&w->heap);
    free(w);
    return rc;
}

static str input_of(struct json_writer *w, const struct actor *who, const char *action) {
    json_open(w, KIB(64));
    json_object(w, NULL);
    json_text(w, "action", str_from_c(action));
    put_actor(w, who);
    return buf_str(&w->out);
}

static rc_t condition_new(const struct collection *c, str key, struct kept_condition **out,
                          struct diag *why) {
    struct kept_condition *k = calloc(1, sizeof *k);
    *out = NULL;
    if (!k) return RC_NO_MEMORY;
    arena_open(&k->arena, NULL, 0, MIB(1));
    k->made = c->created_ns, k->num = c->num, k->version = c->version;
    k->key = arena_copy(&k->arena, key);
    rc_t rc = k->key.ptr ? condition_make(c, key, k, why) : RC_NO_MEMORY;
    if (rc)
        condition_drop(k);
    else
        *out = k;
    return rc;
}

/* Values are copied into the request's arena: what is kept may be dropped while it is parked. */
static rc_t condition_put(struct request *rq, const struct kept_condition *k, struct sql *to) {
    str rest = k->sql;
    u32 n = 0;
    if (k->never) return RC_DENIED;
    while (rest.len) {
        size_t at = str_find_byte(rest, '?');
        (void)buf_add(&to->text, str_take(rest, at));
        if (at == rest.len) break;
        rest = str_skip(rest, at + 1);
        struct db_value v = k->values[n++];
        if (v.kind == DB_KIND_TEXT && !(v.bytes = arena_copy(rq->arena, v.bytes)).ptr)
            return RC_NO_MEMORY;
        sql_bind(to, v);
    }
    return RC_OK;
}

static rc_t condition_get(struct request *rq, struct collection *c, str key, struct sql *to,
                          struct diag *why) {
    u64 hash = str_hash(key, (u64)c->num * 31 + (u64)c->version);
    struct kept_condition **slot = &conditions[(hash ^ hash >> 32) % DATA_CONDITIONS_MAX], *k;
    bool same = *slot && (*slot)->num == c->num && (*slot)->version == c->version &&
                (*slot)->made == c->created_ns && str_eq((*slot)->key, key);
    if (same) return condition_put(rq, *slot, to);
    c->refs++; /* parked while a worker reads it */
    rc_t rc = condition_new(c, key, &k, why);
    bool keep = !rc && !c->rules->timed;
    if (!rc) rc = condition_put(rq, k, to);
    if (keep) {
        condition_drop(*slot);
        *slot = k;
    } else if (!rc || rc == RC_DENIED) {
        condition_drop(k);
    }
    collection_release(c);
    return rc;
}

rc_t rules_condition(struct request *rq, struct collection *c, struct sql *to, struct diag *why) {
    struct json_writer w;
    if (!c->rules || !c->rules->queries[ACTION_READ]) return RC_DENIED;
    (void)input_of(&w, &rq->actor, action_names[ACTION_READ]);
    json_object_end(&w);
    str key = w.out.failed ? (str){0} : arena_copy(rq->arena, buf_str(&w.out));
    json_close(&w);
    if (!key.ptr) return RC_NO_MEMORY;
    rc_t rc = condition_get(rq, c, key, to, why);
    if (rc == RC_INVALID)
        log_warn("data", "a read rule cannot be said to the database: denied",
                 "collection=%.*s line=%d why=%s", STR(c->name), why->line,
                 LOGSTR(str_from_c(why->text)));
    return rc;
}

bool rules_check(struct collection *c, struct flaws *flaws) {
    static const char *const who[] = {
        "{\"action\":\"read\",\"actor\":{\"signed_in\":false,\"kind\":\"guest\",\"id\":\"\","
        "\"email\":\"\",\"role\":\"\",\"org\":\"\",\"groups\":[],\"roles\":[],\"mfa\":false}}",
        "{\"action\":\"read\",\"actor\":{\"signed_in\":true,\"kind\":\"user\",\"id\":"
        "\"00000000-0000-7000-8000-000000000001\",\"email\":\"ada@example.org\",\"role\":\"user\","
        "\"org\":\"\",\"groups\":[\"staff\"],\"roles\":[],\"mfa\":false}}",
        "{\"action\":\"read\",\"actor\":{\"signed_in\":true,\"kind\":\"user\",\"id\":"
        "\"00000000-0000-7000-8000-000000000002\",\"email\":\"root@example.org\",\"role\":"
        "\"admin\",\"org\":\"\",\"groups\":[],\"roles\":[],\"mfa\":true}}"};
    if (!c->rules || !c->rules->queries[ACTION_READ]) return true;
    for (size_t i = 0; i < ARRAY_LEN(who); i++) {
        struct diag why = {0};
        struct kept_condition *k;
        rc_t rc = condition_new(c, str_from_c(who[i]), &k, &why);
        if (!rc) condition_drop(k);
        if (rc != RC_INVALID && rc != RC_LIMIT) continue;
        flaw_add(flaws, "rules", "rules_invalid", "line %d, column %d: %.120s", why.line,
                 why.column, why.text[0] ? why.text : "read leaves too long a condition");
        return false;
    }
    return true;
}

/* ---- Writing: a question --------------------------------------------------------------------- */

static struct policy_evaluator *evaluator;

static rc_t ask(const struct collection *c, enum action action, str input, bool *out) {
    struct policy_error error = {0};
    struct diag why = {0};
    value v = UNDEFINED;
    rc_t rc = evaluator ? RC_OK : policy_evaluator_open(&evaluator, BYTES_MAX);
    struct policy_ask a = {.input = UNDEFINED,
                           .data = value_empty_object(),
                           .now_ns = platform_wall_ns(),
                           .seed = platform_clock_ns(),
                           .limits = {.steps_max = STEPS_MAX, .bytes_max = BYTES_MAX}};
    if (!rc) rc = json_text_read(policy_evaluator_heap(evaluator), NULL, input, &a.input, &why);
    if (!rc) rc = policy_decide(evaluator, c->rules->queries[action], &a, &v, &error);
    *out = !rc && value_is_true(v);
    return rc;
}

bool rules_allow(struct request *rq, const struct collection *c, enum action action, str before,
                 str after) {
    struct json_writer w;
    bool yes = false;
    if (!c->rules || !c->rules->queries[action]) return false;
    (void)input_of(&w, &rq->actor, action_names[action]);
    w.out.max = MIB(2);
    if (before.len) json_raw(&w, "record", before);
    if (after.len) json_raw(&w, before.len ? "new" : "record", after);
    json_object_end(&w);
    rc_t rc = w.out.failed ? RC_NO_MEMORY : ask(c, action, buf_str(&w.out), &yes);
    json_close(&w);
    if (rc)
        log_warn("data", "a rule failed: denied", "collection=%.*s rule=%s rc=%s", STR(c->name),
                 action_names[action], rc_name(rc));
    return yes;
}

void rules_stop(void) {
    for (u32 i = 0; i < DATA_CONDITIONS_MAX; i++) {
        condition_drop(conditions[i]);
        conditions[i] = NULL;
    }
    if (evaluator) policy_evaluator_close(evaluator);
    evaluator = NULL;
}
