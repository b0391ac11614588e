/* SPDX-License-Identifier: Apache-2.0 */
/* engine.c — asking the policy, and remembering what it said.
 *
 *   question --> facts the policy reads --> key --> remembered? --yes--> answer
 *                                                      `--no--> allow, reason <-- evaluator
 *
 * What is remembered is exact, for the shipped policy and for any other: an answer can depend only
 * on the policy, on the data, and on the facts that reads.c found in its rules. Policy and data of
 * one publication never change, each publication forgets everything, and the key is the facts
 * themselves, byte by byte: equal keys are the same question. A policy that asks the clock, chance
 * or the network is asked anew each time.
 *
 * Always true: an error is a no, with a reason; nothing parks; an evaluation is stopped after
 * ACCESS_STEPS_MAX steps. Loop only. */
#include <stdlib.h>
#include "app/access/access_impl.h"
#include "app/scope.h"
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

enum { SLOTS = 1024, KEY_MAX = 232, REASONS = 512, REASON_MAX = 240 };

struct remembered {
    u32 publication; /* 0: none */
    u16 key_len;
    bool allowed;
    const char *why;
    char key[KEY_MAX];
};
static struct {
    const struct access_policy *policy;
    value data; /* the base documents */
    u32 publication;
    u64 failures;
    struct policy_evaluator *evaluator;
    struct remembered *slots; /* NULL: no memory, nothing is remembered */
} engine = {.publication = 1};

/* ---- Sentences ---- */

/* Those a policy gave: kept for ever, since answers point to them; so their number is bounded. */
static struct { char *text[REASONS]; u32 count; } reasons;

/* Into plain text that may stand in JSON and in a log line as it is. */
static size_t plain(str from, char to[REASON_MAX]) {
    size_t n = MIN(from.len, (size_t)REASON_MAX - 1);
    while (n < from.len && n && ((u8)from.ptr[n] & 0xc0) == 0x80) n--; /* whole characters */
    for (size_t i = 0; i < n; i++) {
        u8 c = (u8)from.ptr[i];
        to[i] = c < ' ' || c == 127 ? ' ' : c == '"' || c == '\\' ? '\'' : (char)c;
    }
    to[n] = 0;
    return n;
}

static const char *keep_reason(str text) {
    static const char many[] = "the access policy said so";
    char room[REASON_MAX];
    size_t n = plain(text, room);
    for (u32 i = 0; i < reasons.count; i++)
        if (!strcmp(reasons.text[i], room)) return reasons.text[i];
    char *copy = reasons.count < REASONS && n ? malloc(n + 1) : NULL;
    if (!copy) return many;
    memcpy(copy, room, n + 1);
    return reasons.text[reasons.count++] = copy;
}

static const char *usual_reason(bool allowed, const struct facts *f) {
    if (allowed) return "the access policy allows it";
    return f->flags & FACT_BIT(SIGNED_IN) ? "the access policy does not allow this"
                                          : "guests may not do this: sign in first";
}

/* ---- Asking ---- */

static rc_t ask_one(const struct policy_query *q, value input, value data, value *out,
                    struct diag *why) {
    struct policy_error error = {0};
    struct policy_ask ask = {
        .input = input,
        .data = data,
        .now_ns = platform_wall_ns(),
        .seed = platform_clock_ns(),
        .limits = {.steps_max = ACCESS_STEPS_MAX, .bytes_max = ACCESS_BYTES_MAX},
    };
    rc_t rc = policy_decide(engine.evaluator, q, &ask, out, &error);
    if (rc) diag_set(why, "%.*s", STR(error.message));
    return rc;
}

/* `allow` is true, or {"allowed": true, "reason": "..."}. */
static bool says_yes(value allow, const char **why) {
    value said = allow.kind == VALUE_OBJECT ? value_get_str(allow, S("allowed")) : allow;
    value reason = allow.kind == VALUE_OBJECT ? value_get_str(allow, S("reason")) : UNDEFINED;
    *why = reason.kind == VALUE_STRING ? keep_reason(value_str(reason)) : NULL;
    return value_is_true(said);
}

static rc_t open_evaluator(void) {
    return engine.evaluator ? RC_OK : policy_evaluator_open(&engine.evaluator, ACCESS_BYTES_MAX);
}

rc_t access_ask(const struct access_policy *p, value data, const struct facts *f,
                struct access_answer *out, struct diag *why) {
    value v = UNDEFINED;
    rc_t rc = open_evaluator();
    *out = (struct access_answer){false, "the access policy could not be asked: no memory"};
    if (rc) return rc;
    struct heap *h = policy_evaluator_heap(engine.evaluator);
    value input = facts_value(h, f, platform_wall_ns());
    if (h->exhausted) return RC_NO_MEMORY;
    out->why = "the access policy failed; the log says how";
    rc = ask_one(p->allow, input, data, &v, why);
    if (rc) return rc;
    bool allowed = says_yes(v, &out->why);
    if (!out->why) {
        rc = p->reason ? ask_one(p->reason, input, data, &v, why) : RC_OK;
        if (rc) v = UNDEFINED; /* the answer stands without its reason */
        out->why = p->reason && v.kind == VALUE_STRING ? keep_reason(value_str(v))
                                                       : usual_reason(allowed, f);
    }
    out->allowed = allowed;
    return RC_OK;
}

/* ---- Remembering ---- */

struct key { size_t len; char bytes[KEY_MAX]; };

static bool key_of(struct key *k, const struct facts *f, u64 reads) {
    u64 flags = f->flags & reads;
    memcpy(k->bytes, &flags, sizeof flags);
    k->len = sizeof flags;
    for (u64 rest = reads & ~fact_flags; rest; rest &= rest - 1) {
        str text = f->text[__builtin_ctzll(rest)];
        if (text.len > UINT8_MAX || k->len + 1 + text.len > KEY_MAX) return false;
        k->bytes[k->len++] = (char)text.len;
        memcpy(k->bytes + k->len, text.ptr, text.len);
        k->len += text.len;
    }
    return true;
}

static struct remembered *slot_of(const struct key *k) {
    if (!engine.slots && !(engine.slots = memory_zero(MEMORY_POLICY, SLOTS * sizeof *engine.slots)))
        return NULL;
    u64 hash = str_hash(str_of(k->bytes, k->len), 0);
    return &engine.slots[(hash ^ hash >> 32) % SLOTS];
}

static void ask_and_log(const struct facts *f, struct access_answer *out) {
    struct diag why = {0};
    rc_t rc = access_ask(engine.policy, engine.data, f, out, &why);
    if (rc && (engine.failures++ & 0xff) == 0)
        log_error("access", "the access policy failed: denied", "rc=%s why=%s failures=%llu",
                  rc_name(rc), LOGSTR(str_from_c(why.text)), (unsigned long long)engine.failures);
}

void access_decide_for(const struct request *rq, const struct access_question *q,
                       struct access_answer *out) {
    UNINITIALIZED struct facts f;
    UNINITIALIZED struct key k;
    if (q->who->scopes.ptr && !scope_allows(q->who->scopes, q->permission)) {
        *out = (struct access_answer){false, "the scopes of this key or token do not cover this"};
        return;
    }
    if (!engine.policy) engine.policy = access_shipped();
    u64 reads = engine.policy->reads;
    facts_of(&f, reads & FACT_BIT(NOW) ? FACTS_ALL : reads, rq, q);
    struct remembered *r = NULL;
    if (!(reads & FACT_BIT(NOW)) && key_of(&k, &f, reads)) r = slot_of(&k);
    if (r && r->publication == engine.publication && r->key_len == k.len &&
        !memcmp(r->key, k.bytes, k.len)) {
        *out = (struct access_answer){r->allowed, r->why};
        return;
    }
    if (reads != FACTS_ALL) facts_of(&f, FACTS_ALL, rq, q);
    ask_and_log(&f, out);
    if (!r) return;
    r->publication = engine.publication, r->key_len = (u16)k.len;
    r->allowed = out->allowed, r->why = out->why;
    memcpy(r->key, k.bytes, k.len);
}

void access_decide(const struct access_question *q, struct access_answer *out) {
    access_decide_for(NULL, q, out);
}

const struct access_policy *access_current(value *data) {
    if (!engine.policy) engine.policy = access_shipped();
    *data = engine.data;
    return engine.policy;
}

void access_engine_use(const struct access_policy *p, value data) {
    engine.policy = p;
    engine.data = value_defined(data) ? data : value_empty_object();
    engine.publication++;
    if (!engine.publication) { /* after four billion changes: nothing old may look new */
        if (engine.slots) memset(engine.slots, 0, SLOTS * sizeof *engine.slots);
        engine.publication = 1;
    }
}

/* ---- Making ---- */

static rc_t prepare(struct policy_program *program, const char *rule, struct policy_query **out) {
    struct policy_errors errors;
    struct heap h;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    value path[] = {value_string_c(&h, "openpolicy"), value_string_c(&h, "authz"),
                    value_string_c(&h, rule)};
    rc_t rc = h.exhausted ? RC_NO_MEMORY
                          : policy_prepare_path(program, path, ARRAY_LEN(path), out, &errors);
    heap_close(&h);
    return rc;
}

static bool has_rule(struct policy_program *program, const char *rule) {
    const char *const path[] = {"openpolicy", "authz", rule};
    const struct rule_node *n = policy_compiled(program)->root;
    struct heap h;
    heap_open(&h, KIB(64));
    for (u32 i = 0; n && i < ARRAY_LEN(path); i++)
        n = rule_node_find(n, value_string_c(&h, path[i]));
    heap_close(&h);
    return n && (n->rule_count || n->child_count);
}

rc_t access_policy_make(struct policy_program *program, struct access_policy **out) {
    static const char *const rules[] = {"allow", "reason"};
    *out = NULL;
    if (!has_rule(program, "allow")) return RC_OK;
    struct access_policy *p = calloc(1, sizeof *p);
    if (!p) return RC_NO_MEMORY;
    p->program = program;
    rc_t rc = prepare(program, "allow", &p->allow);
    if (!rc && has_rule(program, "reason")) rc = prepare(program, "reason", &p->reason);
    if (rc) {
        access_policy_drop(p);
        return rc;
    }
    p->reads = access_reads(program, rules, ARRAY_LEN(rules));
    *out = p;
    return RC_OK;
}

void access_policy_drop(struct access_policy *p) {
    if (!p) return;
    if (p->allow) policy_query_drop(p->allow);
    if (p->reason) policy_query_drop(p->reason);
    if (p->roles) policy_query_drop(p->roles);
    free(p);
}

/* ---- The shipped one ---- */

static bool pattern_covers(value pattern, str permission) {
    if (pattern.kind != VALUE_STRING) return false;
    str p = value_str(pattern);
    if (p.len && p.ptr[p.len - 1] == '*')
        return str_starts(permission, str_take(p, p.len - 1));
    return str_eq(p, permission);
}

value access_shipped_roles(void) {
    struct diag why = {0};
    value roles = UNDEFINED, nothing = value_empty_object();
    if (open_evaluator() || ask_one(access_shipped()->roles, nothing, nothing, &roles, &why))
        return UNDEFINED;
    return roles;
}

bool access_known(value roles, str permission) {
    for (u32 i = 0; roles.kind == VALUE_OBJECT && i < value_count(roles); i++) {
        value grants = value_value_at(roles, i);
        for (u32 k = 0; k < value_count(grants); k++)
            if (pattern_covers(value_get_str(value_item(grants, k), S("permission")), permission))
                return true;
    }
    return false;
}

str access_policy_text(void) { return str_from_c(access_policy_source); }

static rc_t load_shipped(bool watched, struct policy_program **out, struct policy_errors *errors) {
    struct policy_source source = {S("authz.rego"), access_policy_text()};
    struct policy_load_options o = {.parse.annotations = true, .trace = watched,
                                    .every_rule = watched};
    return policy_load(&source, 1, &o, out, errors);
}

struct policy_program *access_shipped_watched(void) {
    static struct policy_program *watched;
    struct policy_errors errors;
    struct heap h;
    if (watched) return watched;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    if (load_shipped(true, &watched, &errors)) watched = NULL;
    heap_close(&h);
    return watched;
}

struct policy_program *access_shipped_program(void) { return access_shipped()->program; }

const struct access_policy *access_shipped(void) {
    static struct access_policy *shipped;
    struct policy_program *program;
    struct policy_errors errors;
    struct heap h;
    if (shipped) return shipped;
    heap_open(&h, MIB(1));
    policy_errors_open(&errors, &h, 1);
    rc_t rc = load_shipped(false, &program, &errors);
    if (!rc) rc = access_policy_make(program, &shipped);
    if (rc || !shipped) /* part of the image, and tested: a defect of ours, or no memory at all */
        panic("the shipped access policy does not compile: %s %.*s", rc_name(rc),
              STR(errors.count ? errors.items[0].message : S("")));
    if (prepare(program, "shipped_roles", &shipped->roles))
        panic("no memory for the access policy");
    shipped->shipped = true;
    heap_close(&h);
    engine.data = value_defined(engine.data) ? engine.data : value_empty_object();
    return shipped;
}
