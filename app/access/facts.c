/* SPDX-License-Identifier: Apache-2.0 */
/* facts.c — what a policy may know of a request: fact.def is the whole of it.
 *
 *   request, question --facts_of--> facts --facts_value--> {"permission": "...", "actor": {...}}
 *                                     `--> key of the cache (engine.c)
 *
 * Facts are filled only as far as somebody wants them: a policy that never looks at the address
 * does not pay for writing it. The members of `resource` exist only in questions about one thing,
 * so that a rule about the owner does not fit the question about the kind by accident. */
#include "app/access/access_impl.h"
#include "app/config/config.h"
#include "kernel/platform.h"
#include "net/stream.h"
#include "net/tls.h"

enum kind { TEXT, FLAG, LIST, NUMBER };
static const struct {
    enum kind kind;
    const char *object, *name;
} facts[FACT_COUNT] = {
#define FACT(id, kind, object, name, help) [FACT_##id] = {kind, object, name},
#include "app/access/fact.def"
#undef FACT
};
const u64 fact_flags = 0
#define FACT(id, kind, object, name, help) | (kind == FLAG ? 1ull << FACT_##id : 0)
#include "app/access/fact.def"
#undef FACT
    ;

/* Settings are read when they change, not for each question. */
static u64 settings;
static bool settings_followed;
bool facts_logged;

static void read_settings(void) {
    settings = (config_bool("policy.public") ? FACT_BIT(PUBLIC_DECISIONS) : 0) |
               (config_bool("metrics.public") ? FACT_BIT(PUBLIC_METRICS) : 0);
    facts_logged = config_bool("access.decisions");
}

void facts_follow_settings(void) {
    static const char *const keys[] = {"policy.public", "metrics.public", "access.decisions"};
    settings_followed = true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (config_on_change(keys[i], read_settings)) settings_followed = false;
    read_settings();
}

static str or_empty(str s) { return s.ptr ? s : S(""); }

static void of_actor(struct facts *f, const struct actor *who) {
    static const str proofs[] = {S(""), S("login"), S("key"), S("application")};
    bool someone = who->user_id.len > 0;
    f->text[FACT_ACTOR_ID] = or_empty(who->user_id);
    f->text[FACT_ACTOR_EMAIL] = or_empty(who->email);
    f->text[FACT_ACTOR_ROLE] = someone ? or_empty(who->role) : S("");
    f->text[FACT_ACTOR_GROUPS] = or_empty(who->groups);
    f->text[FACT_ACTOR_ROLES] = or_empty(who->roles);
    f->text[FACT_ACTOR_ORG] = or_empty(who->org_id);
    f->text[FACT_ACTOR_TOKEN] = proofs[who->kind];
    f->text[FACT_ACTOR_SCOPES] = or_empty(who->scopes);
    if (someone) f->flags |= FACT_BIT(SIGNED_IN);
    if (who->mfa) f->flags |= FACT_BIT(ACTOR_MFA);
}

void facts_of_client(struct facts *f, const struct request *rq) {
    const struct tls_peer *client = rq->http->client;
    if (!client) return;
    f->text[FACT_CLIENT_SUBJECT] = str_from_c(client->subject);
    f->text[FACT_CLIENT_FINGERPRINT] = str_from_c(client->fingerprint_sha256);
    if (client->verified) f->flags |= FACT_BIT(CLIENT_VERIFIED);
}

static void of_request(struct facts *f, u64 wanted, const struct request *rq) {
    f->text[FACT_METHOD] = or_empty(rq->http->method_text);
    f->text[FACT_PATH] = or_empty(rq->http->path);
    f->text[FACT_ROUTE] = rq->route ? str_from_c(rq->route->pattern) : S("");
    if (wanted & FACT_BIT(ADDRESS))
        f->text[FACT_ADDRESS] = net_address_text(&rq->http->peer, f->address, sizeof f->address);
    if (rq->http->secure) f->flags |= FACT_BIT(SECURE);
    facts_of_client(f, rq);
}

void facts_of(struct facts *f, u64 wanted, const struct request *rq,
              const struct access_question *q) {
    f->flags = 0;
    f->text[FACT_METHOD] = f->text[FACT_PATH] = f->text[FACT_ROUTE] = f->text[FACT_ADDRESS] = S("");
    f->text[FACT_CLIENT_SUBJECT] = f->text[FACT_CLIENT_FINGERPRINT] = S("");
    f->text[FACT_PERMISSION] = or_empty(q->permission);
    f->text[FACT_RESOURCE_ID] = or_empty(q->resource_id);
    f->text[FACT_RESOURCE_OWNER] = or_empty(q->resource_owner);
    f->text[FACT_RESOURCE_STATE] = or_empty(q->resource_state);
    of_actor(f, q->who);
    if (rq) of_request(f, wanted, rq);
    if (q->resource_id.len) {
        f->flags |= FACT_BIT(ABOUT_THING);
        if (q->resource_owner.len && str_eq(q->resource_owner, q->who->user_id))
            f->flags |= FACT_BIT(RESOURCE_OWN);
    }
    if (!settings_followed) read_settings();
    f->flags |= settings;
}

static value words(struct heap *h, str text) {
    struct value_builder list;
    str word;
    value_builder_open(&list, h, VALUE_ARRAY);
    while (str_split(&text, ' ', &word))
        if (word.len) value_builder_add(&list, value_string(h, word));
    return value_builder_close(&list);
}

static value one(struct heap *h, const struct facts *f, u32 i, u64 now_ns) {
    switch (facts[i].kind) {
    case FLAG: return value_boolean(f->flags >> i & 1);
    case LIST: return words(h, f->text[i]);
    case NUMBER: return value_number_of_u64(h, now_ns);
    default: return value_string(h, f->text[i]);
    }
}

value facts_value(struct heap *h, const struct facts *f, u64 now_ns) {
    struct value_builder top, object;
    value_builder_open(&top, h, VALUE_OBJECT);
    for (u32 i = 0; i < FACT_COUNT;) {
        const char *name = facts[i].object;
        bool absent = !strcmp(name, "resource") && !(f->flags & FACT_BIT(ABOUT_THING));
        struct value_builder *to = name[0] ? &object : &top;
        u32 first = i;
        if (name[0]) value_builder_open(&object, h, VALUE_OBJECT);
        for (; i < FACT_COUNT && !strcmp(facts[i].object, facts[first].object); i++)
            value_builder_replace(to, value_string_c(h, facts[i].name), one(h, f, i, now_ns));
        if (name[0] && !absent)
            value_builder_replace(&top, value_string_c(h, name), value_builder_close(&object));
    }
    return value_builder_close(&top);
}

u64 facts_at(const str *path, u32 count) {
    u64 found = 0;
    for (u32 i = 0; i < FACT_COUNT; i++) {
        bool nested = facts[i].object[0];
        const char *keys[2] = {nested ? facts[i].object : facts[i].name, facts[i].name};
        u32 depth = nested ? 2 : 1;
        bool fits = true;
        for (u32 k = 0; k < MIN(count, depth); k++) fits &= str_eq(path[k], str_from_c(keys[k]));
        if (fits) found |= 1ull << i;
    }
    /* whether there is a `resource` at all depends on what the question is about */
    if (found & FACT_BIT(RESOURCE_ID) || found & FACT_BIT(RESOURCE_OWNER) ||
        found & FACT_BIT(RESOURCE_OWN) || found & FACT_BIT(RESOURCE_STATE))
        found |= FACT_BIT(ABOUT_THING);
    return found;
}
