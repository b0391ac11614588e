/* SPDX-License-Identifier: Apache-2.0 */
/* access_impl.h — what the files of this folder share. */
#pragma once
#include "app/access/access.h"
#include "app/policy/policy.h"

/* ---- What is known of a request (facts.c) ---- */
enum fact {
#define FACT(id, kind, object, name, help) FACT_##id,
#include "app/access/fact.def"
#undef FACT
    FACT_COUNT
};
static_assert(FACT_COUNT <= 64, "a set of facts is one word");
#define FACT_BIT(id) (1ull << FACT_##id)
#define FACTS_ALL (FACT_COUNT == 64 ? ~0ull : (1ull << FACT_COUNT) - 1)
struct facts {
    str text[FACT_COUNT]; /* of those that are texts and lists */
    u64 flags;            /* bit per fact that is a flag */
    char address[46];
};
extern const u64 fact_flags; /* which facts are flags */
/* Fills those of `wanted` and no others. `rq` NULL: a question by itself. Views of both. */
void facts_of(struct facts *f, u64 wanted, const struct request *rq,
              const struct access_question *q);
void facts_of_client(struct facts *f, const struct request *rq); /* its certificate alone */
extern bool facts_logged; /* access.decisions is on */
void facts_follow_settings(void); /* once, at start; before, they are read each time */
value facts_value(struct heap *h, const struct facts *f, u64 now_ns); /* the input document */
/* The facts that lie at or below a path of the input; 0: there are none such. */
u64 facts_at(const str *path, u32 count);

/* ---- What a policy reads (reads.c) ---- */
/* All the facts on which the value of data.openpolicy.authz.RULE can depend, for any of the rules.
 * FACT_NOW among them: it may depend on time, chance or the network, too. Never too few. */
u64 access_reads(const struct policy_program *p, const char *const *rules, u32 count);

/* ---- Deciding (engine.c) ---- */
struct access_policy {
    struct policy_program *program; /* the caller's; of the shipped one: its own */
    struct policy_query *allow, *reason; /* reason: may be NULL */
    struct policy_query *roles;          /* of the shipped one: its roles; else NULL */
    u64 reads;
    bool shipped;
};
extern const char access_policy_source[]; /* authz.rego, generated */
enum { ACCESS_STEPS_MAX = 50000 };        /* half a millisecond: the loop does nothing else */
enum { ACCESS_BYTES_MAX = 8 << 20 };

const struct access_policy *access_shipped(void); /* compiled when first asked for */
/* What it grants to whom, until a policy is asked the next time; UNDEFINED: no memory. */
value access_shipped_roles(void);
bool access_known(value roles, str permission); /* granted to anybody? */
/* Asks, past the cache. RC_OK, or why it could not be decided (denied then, too). */
rc_t access_ask(const struct access_policy *p, value data, const struct facts *f,
                struct access_answer *out, struct diag *why);
const struct access_policy *access_current(value *data); /* what decides now */
void access_engine_use(const struct access_policy *p, value data);

/* ---- Who must not be shut out (guard.c) ---- */
void access_guard_start(void);
const struct access_directory *access_directory(void); /* NULL: none yet */
const char *access_refused(void); /* why the stored policy does not decide; NULL: it does */

/* ---- Asking about access (api.c) ---- */
extern const struct route access_routes[];
extern const struct module_schema access_schemas[];
const struct module *const *access_modules(void); /* whose routes access_cover saw */
str access_permission_of(const struct route *r);
