/* SPDX-License-Identifier: Apache-2.0 */
/* state.c — the state that decisions are made with, and how it changes.
 *
 *   change --make next state (a worker compiles)--> write revision, commit --> publish
 *
 * One change at a time (a mutex across park points); decisions go on meanwhile with the state they
 * hold. Always: `current` is a state whose revision is durable. */
#include <stdlib.h>
#include "app/audit/audit.h"
#include "app/policy/value/json_text.h"
#include "app/rego/bundles.h"
#include "app/rego/rego_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/fiber.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"

enum { SNAPSHOT_EVERY = 64, SNAPSHOT_BYTES = 4 << 20, CHANGE_WAIT_S = 30 };

static struct rego_state *current;
static struct fiber_mutex changing;
static u32 changes_since_snapshot;
static size_t bytes_since_snapshot;

/* ---- Life of a state ---- */

struct rego_state *rego_hold(void) {
    if (current) __atomic_add_fetch(&current->refs, 1, __ATOMIC_RELAXED);
    return current;
}

static void build_drop(struct rego_build *b) {
    if (!b || --b->refs) return;
    for (u32 i = 0; i < REGO_QUERIES; i++)
        if (b->queries[i].query) {
            policy_query_drop(b->queries[i].query);
            free((char *)b->queries[i].path.ptr);
        }
    access_policy_drop(b->access);
    policy_drop(b->explained);
    policy_drop(b->program);
    policy_drop(b->watched);
    free(b);
}

struct rego_text {
    u32 refs;
    char bytes[]; /* the id, then the text */
};

rc_t rego_source_add(struct rego_state *to, str id, str text, s64 revision,
                     enum rego_version version) {
    struct rego_text *in = malloc(sizeof *in + id.len + text.len);
    if (!in) return RC_NO_MEMORY;
    in->refs = 1;
    if (id.len) memcpy(in->bytes, id.ptr, id.len);
    if (text.len) memcpy(in->bytes + id.len, text.ptr, text.len);
    to->sources[to->source_count++] =
        (struct rego_source){str_of(in->bytes, id.len), str_of(in->bytes + id.len, text.len),
                             revision, version, in};
    return RC_OK;
}

void rego_source_share(struct rego_state *to, const struct rego_source *s) {
    __atomic_add_fetch(&s->in->refs, 1, __ATOMIC_RELAXED);
    to->sources[to->source_count++] = *s;
}

void rego_release(struct rego_state *s) {
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL)) return;
    for (u32 i = 0; i < s->source_count; i++)
        if (!__atomic_sub_fetch(&s->sources[i].in->refs, 1, __ATOMIC_ACQ_REL))
            free(s->sources[i].in);
    build_drop(s->build);
    document_drop(s->data);
    heap_close(&s->heap);
    free(s);
}

static struct rego_state *state_make(void) {
    struct rego_state *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->refs = 1;
    s->bundles = value_empty_object();
    heap_open(&s->heap, POLICY_PROGRAM_BYTES_MAX);
    return s;
}

/* ---- Compiling, on a worker ---- */

struct compile_job {
    struct rego_state *state;
    const struct rego_build *from; /* to take from what is the same; NULL: nothing is */
    struct policy_errors *errors;
    struct policy_program *program;
    rc_t rc;
};

/* Bundles may have policies of Rego v0. */
static bool is_mixed(const struct rego_state *s) {
    for (u32 i = 0; i < s->source_count; i++)
        if (s->sources[i].version != REGO_V1) return true;
    return false;
}

rc_t rego_sources_compile(const struct rego_state *s, const struct rego_build *from, bool trace,
                          struct policy_program **out, struct policy_errors *errors) {
    u32 n = s->source_count;
    struct policy_source *sources = calloc(n + 1, sizeof *sources);
    struct policy_load_options o = {
        .parse.version = REGO_V1, .parse.annotations = true, .trace = trace};
    enum rego_version *versions = calloc(n + 1, sizeof *versions);
    bool mixed = is_mixed(s);
    if (from && !mixed && !from->mixed) o.from = from->program;
    for (u32 i = 0; sources && versions && i < n; i++) {
        sources[i] = (struct policy_source){s->sources[i].id, s->sources[i].text};
        versions[i] = s->sources[i].version;
    }
    if (mixed) o.versions = versions;
    o.compile.data = s->data ? document_root(s->data) : UNDEFINED;
    rc_t rc = sources && versions ? policy_load(sources, n, &o, out, errors) : RC_NO_MEMORY;
    free(sources), free(versions);
    return rc;
}

static void compile_run(void *arg) {
    struct compile_job *j = arg;
    j->rc = rego_sources_compile(j->state, j->from, false, &j->program, j->errors);
}

static bool has_rule(const struct policy_program *p, const char *name) {
    const char *const path[] = {"system", "log", name};
    const struct rule_node *n = policy_compiled(p)->root;
    struct heap h;
    heap_open(&h, KIB(64));
    for (u32 i = 0; n && i < ARRAY_LEN(path); i++)
        n = rule_node_find(n, value_string_c(&h, path[i]));
    heap_close(&h);
    return n != NULL;
}

/* `from`: only by whoever holds `changing`. */
static rc_t compile(struct rego_state *s, const struct rego_state *from,
                    struct policy_errors *errors) {
    struct compile_job j = {
        .state = s, .from = from ? from->build : NULL, .errors = errors};
    struct rego_build *b = calloc(1, sizeof *b);
    rc_t rc = b ? worker_run(compile_run, &j) : RC_NO_MEMORY;
    if (!rc) rc = j.rc;
    if (rc) {
        free(b);
        return rc;
    }
    b->refs = 1, b->program = j.program, b->mixed = is_mixed(s);
    b->has_mask = has_rule(b->program, "mask"), b->has_drop = has_rule(b->program, "drop");
    rc = access_policy_make(b->program, &b->access);
    if (rc)
        build_drop(b);
    else
        s->build = b;
    return rc;
}

/* Nothing of the policies, so that they can be looked at and put right. */
static rc_t compile_nothing(struct rego_state *s) {
    struct policy_errors errors;
    struct heap h;
    u32 count = s->source_count;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    s->source_count = 0;
    rc_t rc = compile(s, NULL, &errors);
    s->source_count = count;
    if (!rc) s->build->broken = true;
    heap_close(&h);
    return rc;
}

static struct rego_query *slot_of(const struct rego_state *s, str path) {
    return &s->build->queries[str_hash(path, 0) % REGO_QUERIES];
}

struct policy_query *rego_query_known(const struct rego_state *s, str path) {
    const struct rego_query *slot = slot_of(s, path);
    return slot->query && str_eq(slot->path, path) ? slot->query : NULL;
}

/* Into its slot, if that is free. */
static rc_t prepare_path(struct rego_state *s, str path, struct policy_query **out,
                         struct policy_errors *errors) {
    struct rego_query *slot = slot_of(s, path);
    UNINITIALIZED value keys[POLICY_PATH_DEPTH_MAX];
    struct heap h;
    u32 count = 0;
    heap_open(&h, MIB(1));
    rc_t rc = rego_path_keys(&h, path, keys, ARRAY_LEN(keys), &count, NULL);
    struct policy_query *query;
    if (!rc) rc = policy_prepare_path(s->build->program, keys, count, &query, errors);
    heap_close(&h);
    if (rc) return rc;
    /* A fiber may be parked with the query that is in the slot: only an empty slot is filled. */
    char *copy = slot->query ? NULL : malloc(path.len + 1);
    if (copy) {
        memcpy(copy, path.ptr, path.len);
        *slot = (struct rego_query){str_of(copy, path.len), query};
    }
    *out = query;
    return copy ? RC_OK : RC_AGAIN; /* RC_AGAIN: the caller drops it when done */
}

rc_t rego_query_of(struct rego_state *s, str path, struct policy_query **out,
                   struct policy_errors *errors) {
    *out = rego_query_known(s, path);
    return *out ? RC_OK : prepare_path(s, path, out, errors);
}

/* ---- The next state ---- */

static rc_t sources_copy(struct rego_state *to, const struct rego_state *from,
                         const struct rego_change *c, bool *found) {
    u32 n = from ? from->source_count : 0;
    bool put = c && c->kind == REGO_SOURCE_PUT, drop = c && c->kind == REGO_SOURCE_DELETE;
    *found = false;
    to->sources = heap_alloc(&to->heap, (n + 1) * sizeof *to->sources);
    if (!to->sources) return RC_NO_MEMORY;
    for (u32 i = 0; i <= n; i++) {
        struct rego_source *mine = i < n ? &from->sources[i] : NULL;
        int order = !mine ? 1 : put ? str_cmp(mine->id, c->subject) : -1;
        if (put && !*found && order >= 0) { /* in its place, by id */
            if (rego_source_add(to, c->subject, c->content, c->revision, REGO_V1))
                return RC_NO_MEMORY;
            *found = true;
            if (order == 0) continue;
        }
        if (!mine) break;
        if (drop && str_eq(mine->id, c->subject)) {
            *found = true;
            continue;
        }
        rego_source_share(to, mine);
    }
    return RC_OK;
}

static bool same_source(const struct rego_state *s, const struct rego_change *c) {
    for (u32 i = 0; s && i < s->source_count; i++)
        if (str_eq(s->sources[i].id, c->subject)) return str_eq(s->sources[i].text, c->content);
    return false;
}

static bool is_source(const struct rego_change *c) {
    return c->kind == REGO_SOURCE_PUT || c->kind == REGO_SOURCE_DELETE;
}
static bool is_bundle(const struct rego_change *c) { /* whole: policies change too */
    return c->kind == REGO_BUNDLE_PUT || c->kind == REGO_BUNDLE_DELETE;
}

/* The state with a bundle, without one, or with one's data changed. */
static rc_t next_bundle(struct rego_state *next, const struct rego_state *from,
                        const struct rego_change *c, struct diag *why) {
    bool found;
    rc_t rc = RC_OK;
    if (c->kind == REGO_BUNDLE_PATCH) rc = sources_copy(next, from, NULL, &found);
    return rc ? rc : rego_activate(next, from, c, why);
}

/* `compiled`: also compile, else only gather (while replaying). */
static rc_t next_state(const struct rego_state *from, const struct rego_change *c, bool compiled,
                       struct policy_errors *errors, struct diag *why, struct rego_state **out,
                       bool *changed) {
    struct rego_state *next = state_make();
    bool found;
    bool whole = is_bundle(c), bundle = whole || c->kind == REGO_BUNDLE_PATCH;
    *changed = true;
    if (!next) return RC_NO_MEMORY;
    rc_t rc = bundle ? next_bundle(next, from, c, why) : sources_copy(next, from, c, &found);
    if (!rc && !bundle) next->bundles = value_copy(&next->heap, from->bundles);
    if (!rc && c->kind == REGO_SOURCE_DELETE && !found) rc = RC_NOT_FOUND;
    if (!rc && c->kind == REGO_SOURCE_PUT && same_source(from, c)) *changed = false;
    if (!rc && is_source(c))
        next->data = document_hold(from->data);
    else if (!rc && !bundle)
        rc = rego_next_data(next, from, c, compiled, why, changed);
    if (!rc && compiled && (is_source(c) || whole) && *changed)
        rc = compile(next, whole ? NULL : from, errors); /* a bundle changes data as well */
    else if (!rc && from->build)
        next->build = from->build, next->build->refs++;
    /* Where nothing compiles anyway one after the other can be taken out. */
    if (rc == RC_INVALID && c->kind == REGO_SOURCE_DELETE && from->build && from->build->broken)
        rc = compile_nothing(next);
    if (rc)
        rego_release(next);
    else
        *out = next;
    return rc;
}

/* ---- Snapshots ---- */

static void write_snapshot(const struct rego_state *s, struct buf *sources, struct buf *data,
                           struct buf *bundles) {
    struct heap h;
    struct value_builder list;
    heap_open(&h, POLICY_DATA_BYTES_MAX);
    value_builder_open(&list, &h, VALUE_OBJECT);
    for (u32 i = 0; i < s->source_count; i++)
        value_builder_replace(&list, value_string(&h, s->sources[i].id),
                              value_string(&h, s->sources[i].text));
    json_text_write(sources, value_builder_close(&list), 0);
    json_text_write(data, document_root(s->data), 0);
    json_text_write(bundles, value_defined(s->bundles) ? s->bundles : value_empty_object(), 0);
    if (h.exhausted) sources->failed = true;
    heap_close(&h);
}

struct snapshot_job {
    const struct rego_state *state;
    struct buf sources, data, bundles;
};
static void snapshot_run(void *arg) {
    struct snapshot_job *j = arg;
    write_snapshot(j->state, &j->sources, &j->data, &j->bundles);
}

/* ---- Applying ---- */

static const char *const actions[] = {
    "rego.policy_put", "rego.policy_delete", "rego.data_put",
    "rego.data_patch", "rego.data_delete",   "rego.revert",
    "rego.bundle_put", "rego.bundle_patch",  "rego.bundle_delete"};

static rc_t write_revision(struct request *rq, const struct rego_change *c, struct rego_state *next,
                           struct snapshot_job *snapshot) {
    struct db_txn *t;
    struct audit_event event = {.action = actions[c->kind], .resource = c->subject, .result = "ok"};
    rc_t rc = db_write_begin(&t);
    if (rc) return rc;
    rc = rego_store_add(t, rq, c, &next->revision);
    if (!rc && snapshot)
        rc = rego_store_snapshot(t, next->revision, buf_str(&snapshot->sources),
                                 buf_str(&snapshot->data), buf_str(&snapshot->bundles));
    if (!rc && snapshot) rc = rego_store_trim(t, next->revision);
    if (!rc) rc = audit_add(t, rq, &event);
    if (!rc) return db_write_commit(t);
    db_write_rollback(t);
    return rc;
}

static void publish(struct rego_state *next) {
    struct rego_state *old = current;
    access_policy_use(next->build->access, document_root(next->data));
    current = next;
    rego_release(old);
}

static rc_t make_durable(struct request *rq, const struct rego_change *c, struct rego_state *next) {
    struct snapshot_job snapshot = {.state = next};
    bool due = c->kind == REGO_REVERT || is_bundle(c) ||
               changes_since_snapshot + 1 >= SNAPSHOT_EVERY ||
               bytes_since_snapshot + c->content.len >= SNAPSHOT_BYTES;
    if (!due) {
        rc_t rc = write_revision(rq, c, next, NULL);
        if (!rc) changes_since_snapshot++, bytes_since_snapshot += c->content.len;
        return rc;
    }
    buf_open(&snapshot.sources, POLICY_DATA_BYTES_MAX);
    buf_open(&snapshot.data, POLICY_DATA_BYTES_MAX);
    buf_open(&snapshot.bundles, POLICY_DATA_BYTES_MAX);
    rc_t rc = worker_run(snapshot_run, &snapshot);
    if (!rc && (snapshot.sources.failed || snapshot.data.failed || snapshot.bundles.failed))
        rc = RC_NO_MEMORY;
    if (!rc) rc = write_revision(rq, c, next, &snapshot);
    if (!rc) changes_since_snapshot = 0, bytes_since_snapshot = 0;
    buf_close(&snapshot.sources);
    buf_close(&snapshot.data);
    buf_close(&snapshot.bundles);
    return rc;
}

/* Under the reserved id lies the access policy and nothing else: one of another package would leave
 * the shipped one in charge, unnoticed. */
static rc_t check_reserved(const struct rego_change *c, const struct rego_state *next,
                           struct diag *why) {
    if (c->kind != REGO_SOURCE_PUT || !str_eq(c->subject, S(ACCESS_POLICY_ID)) ||
        next->build->access)
        return RC_OK;
    diag_set(why, "the policy " ACCESS_POLICY_ID
                  " must be of package openpolicy.authz and have a rule allow");
    return RC_INVALID;
}

/* What a bundle owns is changed by the bundle alone. */
static rc_t check_owned(const struct rego_change *c, struct diag *why) {
    struct heap h;
    str package;
    rc_t rc = RC_OK;
    if (!value_count(current->bundles) || c->kind > REGO_DATA_DELETE) return RC_OK;
    if (!is_source(c) && c->kind != REGO_DATA_PATCH)
        return rego_path_is_free(current, c->subject, why);
    heap_open(&h, POLICY_DATA_BYTES_MAX);
    if (c->kind == REGO_DATA_PATCH)
        rc = rego_patch_is_free(current, &h, c->subject, c->content, why);
    else if (c->kind == REGO_SOURCE_PUT && !rego_package_of(&h, c->content, REGO_V1, &package))
        rc = rego_path_is_free(current, package, why);
    for (u32 i = 0; !rc && is_source(c) && i < current->source_count; i++) {
        const struct rego_source *s = &current->sources[i];
        if (str_eq(s->id, c->subject) && !rego_package_of(&h, s->text, s->version, &package))
            rc = rego_path_is_free(current, package, why);
    }
    heap_close(&h);
    return rc;
}

rc_t rego_apply(struct request *rq, const struct rego_change *c, struct policy_errors *errors,
                struct diag *why, bool *changed) {
    struct rego_state *next = NULL;
    *changed = false;
    rc_t rc = fiber_mutex_lock(&changing, platform_clock_ns() + CHANGE_WAIT_S * NS_PER_S);
    if (rc) return rc;
    if (!current)
        rc = RC_AGAIN;
    else if ((rc = check_owned(c, why)))
        (void)0;
    else if (c->kind == REGO_REVERT) {
        rc = rego_state_at(c->revision, &next, why);
        if (!rc) rc = compile(next, current, errors);
        *changed = true;
    } else
        rc = next_state(current, c, true, errors, why, &next, changed);
    if (!rc && *changed) rc = check_reserved(c, next, why);
    if (!rc && *changed &&
        !access_policy_admits(next->build->access, document_root(next->data), rq, why))
        rc = RC_INVALID;
    if (!rc && *changed) rc = make_durable(rq, c, next);
    if (!rc && *changed)
        publish(next);
    else if (next)
        rego_release(next);
    fiber_mutex_unlock(&changing);
    return rc;
}

rc_t rego_candidate(const struct rego_change *changes, u32 count, struct rego_state **out,
                    struct policy_errors *errors, struct diag *why) {
    struct rego_state *s = rego_hold(), *next;
    bool changed;
    rc_t rc = s ? RC_OK : RC_AGAIN;
    if (!rc && !count) { /* as it is */
        *out = s;
        return RC_OK;
    }
    for (u32 i = 0; i < count && !rc; i++) {
        rc = next_state(s, &changes[i], false, NULL, why, &next, &changed);
        if (rc) break;
        rego_release(s);
        s = next;
    }
    if (!rc) { /* compiled once, whatever was changed */
        build_drop(s->build);
        s->build = NULL;
        rc = compile(s, NULL, errors);
    }
    if (rc)
        rego_release(s);
    else
        *out = s;
    return rc;
}

/* ---- From the database ---- */

struct replay {
    struct rego_state *state;
    struct diag *why;
    u32 changes;
    size_t bytes;
};

/* Which version a bundle's manifest told for a policy of it. */
static enum rego_version version_of(value bundles, str id) {
    for (u32 i = 0; i < value_count(bundles); i++) {
        value v = value_get_str(value_get_str(value_value_at(bundles, i), S("modules")), id);
        if (value_defined(v)) return value_equal(v, value_integer(0)) ? REGO_V0 : REGO_V1;
    }
    return REGO_V1;
}

static rc_t replay_snapshot(void *arg, s64 revision, str sources, str data, str bundles) {
    struct replay *r = arg;
    struct rego_state *s = r->state;
    struct heap h;
    value list, root;
    heap_open(&h, POLICY_DATA_BYTES_MAX);
    rc_t rc = json_text_read(&h, NULL, sources, &list, r->why);
    if (!rc) rc = json_text_read(&h, NULL, data, &root, r->why);
    if (!rc) rc = json_text_read(&s->heap, NULL, bundles, &s->bundles, r->why);
    struct document *d = NULL;
    if (!rc) rc = document_open(&d, root, POLICY_DATA_BYTES_MAX);
    if (!rc) {
        document_drop(s->data);
        s->data = d, s->revision = revision;
        s->sources = heap_alloc(&s->heap, (value_count(list) + 1) * sizeof *s->sources);
    }
    for (u32 i = 0; !rc && s->sources && i < value_count(list); i++) {
        str id = value_str(value_key_at(list, i));
        rc = rego_source_add(s, id, value_str(value_value_at(list, i)), revision,
                             version_of(s->bundles, id));
    }
    heap_close(&h);
    return rc;
}

static rc_t replay_change(void *arg, s64 revision, const struct rego_change *c) {
    struct replay *r = arg;
    struct rego_state *next;
    struct rego_change change = *c;
    bool changed;
    /* A snapshot stands at the same revision. */
    if (c->kind == REGO_REVERT || is_bundle(c)) return RC_OK;
    change.revision = revision;
    rc_t rc = next_state(r->state, &change, false, NULL, r->why, &next, &changed);
    if (rc) return rc;
    next->revision = revision;
    rego_release(r->state);
    r->state = next;
    r->changes++, r->bytes += c->content.len;
    return RC_OK;
}

static rc_t gather(s64 until, struct replay *r) {
    r->state = state_make();
    if (!r->state) return RC_NO_MEMORY;
    rc_t rc = document_open(&r->state->data, value_empty_object(), POLICY_DATA_BYTES_MAX);
    struct rego_replay replay = {replay_snapshot, replay_change, r};
    if (!rc) rc = rego_store_replay(until, &replay);
    if (rc) rego_release(r->state);
    return rc;
}

rc_t rego_state_at(s64 revision, struct rego_state **out, struct diag *why) {
    struct replay r = {.why = why};
    if (revision < 1 || (current && revision > current->revision)) return RC_NOT_FOUND;
    rc_t rc = gather(revision, &r);
    if (!rc && r.state->revision != revision) {
        rego_release(r.state);
        return RC_NOT_FOUND;
    }
    if (!rc) *out = r.state;
    return rc;
}

static bool speaks_of_access(const struct rego_source *s) {
    static const char *const place[] = {"openpolicy", "authz"};
    struct parse_options o = {.version = REGO_V1};
    struct policy_errors errors;
    struct ast_module *m;
    struct heap h;
    heap_open(&h, MIB(16));
    policy_errors_open(&errors, &h, 1);
    bool found = str_eq(s->id, S(ACCESS_POLICY_ID));
    if (!found && parse_module(&h, s->id, s->text, &o, &m, &errors) == RC_OK) {
        found = m->package->count > ARRAY_LEN(place);
        for (u32 i = 0; found && i < ARRAY_LEN(place); i++) {
            const struct ast_term *t = m->package->terms[i + 1];
            found = t->kind == AST_STRING && str_eq(value_str(t->scalar), str_from_c(place[i]));
        }
    }
    heap_close(&h);
    return found;
}

/* The stored policies without those on access: what is wrong may be there, and then nobody could
 * come in to correct it. They stay in the list, to be read and replaced. */
static rc_t compile_without_access(struct rego_state *s) {
    struct rego_source *all = s->sources;
    u32 count = s->source_count;
    struct policy_errors errors;
    struct heap h;
    s->sources = calloc(count + 1, sizeof *s->sources);
    s->source_count = 0;
    for (u32 i = 0; s->sources && i < count; i++)
        if (!speaks_of_access(&all[i])) s->sources[s->source_count++] = all[i];
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    rc_t rc = !s->sources                ? RC_NO_MEMORY
              : s->source_count == count ? RC_INVALID
                                         : compile(s, NULL, &errors);
    heap_close(&h);
    free(s->sources);
    s->sources = all, s->source_count = count;
    return rc;
}

static rc_t rego_start(struct diag *why) {
    struct replay r = {.why = why};
    struct policy_errors errors;
    struct heap h;
    rc_t rc = gather(0, &r);
    if (rc) {
        diag_set(why, "the stored policies cannot be read: %s", rc_name(rc));
        return rc;
    }
    heap_open(&h, MIB(4));
    policy_errors_open(&errors, &h, 10);
    rc = compile(r.state, NULL, &errors);
    str first = errors.count ? errors.items[0].message : S("no memory");
    if (rc) diag_set(why, "the stored policies do not compile: %.*s", STR(first));
    bool broken = rc == RC_INVALID && (compile_without_access(r.state) == RC_OK ||
                                       compile_nothing(r.state) == RC_OK);
    if (broken) log_error("rego", "the stored policies do not compile", "why=%s",
                          LOGSTR(str_from_c(why->text)));
    if (rc && !broken)
        rego_release(r.state);
    else {
        changes_since_snapshot = r.changes, bytes_since_snapshot = r.bytes;
        publish(r.state);
        access_explainer_use(rego_explain_access);
        access_logger_use(rego_log_access);
        if (broken) access_policy_refuse(document_root(r.state->data), why->text);
        rc = RC_OK;
        rego_decisions_start();
        report_start();
        loaders_start();
        rego_ship_start();
    }
    heap_close(&h);
    return rc;
}

static void rego_stop(void) {
    if (current) rego_ship_stop();
    report_stop();
    loaders_stop();
    if (current) rego_decisions_stop();
    rego_shadow_stop();
    access_explainer_use(NULL);
    access_logger_use(NULL);
    rego_http_stop();
    access_policy_use(NULL, UNDEFINED); /* before what it was made of goes */
    rego_release(current);
    current = NULL;
}

const struct module rego_module = {
    .name = "rego",
    .start = rego_start,
    .stop = rego_stop,
    .schema = &rego_schema,
    .routes = rego_routes,
};
