/* SPDX-License-Identifier: Apache-2.0 */
/* scim_impl.h — what the files of app/scim share. */
#pragma once
#include "app/auth/accounts.h"
#include "app/filter.h"
#include "app/reply.h"

#define SCIM_BASE "/scim/v2"
#define SCIM_CORE "urn:ietf:params:scim:schemas:core:2.0:"
#define SCIM_MESSAGE "urn:ietf:params:scim:api:messages:2.0:"
enum {
    SCIM_FILTER_MAX = 2048, /* bytes */
    SCIM_DEPTH_MAX = 16,    /* parentheses */
    SCIM_TESTS_MAX = 16,    /* comparisons of one filter; each binds a value */
    SCIM_PAGE_MAX = 200,
    SCIM_OPS_MAX = 100,     /* of one PATCH */
    SCIM_ID_MAX = 200,      /* bytes of an externalId */
    SCIM_MEMBERS_MAX = 1000,
    SCIM_ANSWER_MAX = 1 << 20,
};

/* ---- filter.c: filters and paths (RFC 7644 3.4.2.2, 3.5.2) ----------------------------------- */

enum scim_op { SCIM_EQ, SCIM_NE, SCIM_CO, SCIM_SW, SCIM_EW, SCIM_GT, SCIM_GE, SCIM_LT, SCIM_LE,
               SCIM_PR };
struct scim_filter {
    enum { SCIM_AND, SCIM_OR, SCIM_NOT, SCIM_TEST, SCIM_INSIDE } kind;
    const struct scim_filter *left, *right; /* AND, OR; NOT and INSIDE have `left` alone */
    str path;                               /* TEST, INSIDE: without the schema's URN */
    enum scim_op op;
    const cJSON *value; /* text, number, true, false or null; NULL for pr */
};
/* RC_INVALID: `why`; RC_LIMIT: too long, deep or many tests; RC_NO_MEMORY. In the arena. */
rc_t scim_filter_parse(struct arena *a, str text, const struct scim_filter **out, struct diag *why);
struct scim_path {
    str attribute, sub;              /* "members", ""; sub of "name.givenName" */
    const struct scim_filter *where; /* members[...]; NULL: all */
};
rc_t scim_path_parse(struct arena *a, str text, struct scim_path *out, struct diag *why);
str scim_plain_path(str path); /* the schema's URN taken off */

/* ---- where.c: a filter as SQL, its values bound ---------------------------------------------- */

struct scim_column {
    const char *path, *sql; /* MEMBER: an EXISTS whose "?" is the value */
    enum { SCIM_TEXT, SCIM_EXACT, SCIM_LOWER, SCIM_FLAG, SCIM_TIME, SCIM_MEMBER } kind;
};
/* Adds it to `f`. RC_INVALID: `why` names what cannot be asked. */
rc_t scim_where(struct filter *f, const struct scim_column *columns,
                const struct scim_filter *filter, struct diag *why);

/* ---- answer.c: errors, resources, lists ------------------------------------------------------ */

/* "invalidFilter" and its like are scimTypes when they are among RFC 7644's. */
rc_t scim_route_phase(struct request *rq); /* errors of its routes leave in SCIM's form */
void scim_reply(struct request *rq, int status, struct json_writer *w);
/* Does the client want this member (attributes, excludedAttributes)? */
bool scim_wanted(struct request *rq, const char *member);
void scim_head_json(struct json_writer *w, const char *schema, str id, str external_id);
void scim_meta_json(struct request *rq, struct json_writer *w, const char *type, const char *place,
                    str id, u64 created_ns, u64 updated_ns, s64 version);
struct scim_list {
    const char *table, *columns, *order;
    const struct scim_column *names;
    const char *mine; /* condition that keeps an organisation to itself; '?' is its id */
    rc_t (*item)(struct db_txn *t, struct request *rq, struct db_rows *r, struct json_writer *w);
};
void scim_list_answer(struct request *rq, const struct scim_list *list);
/* One PATCH: each operation in turn. `apply` gets a path and the value; NULL value: remove. */
enum scim_verb { SCIM_ADD, SCIM_REPLACE, SCIM_REMOVE };
typedef rc_t scim_apply_fn(void *arg, enum scim_verb verb, const struct scim_path *path,
                           const cJSON *value, struct diag *why);
/* RC_INVALID: `why` begins with the scimType. Parks if `apply` does. */
rc_t scim_patch(struct arena *a, const cJSON *body, scim_apply_fn *apply, void *arg,
                struct diag *why);
bool scim_body(struct request *rq, cJSON **out); /* a JSON object; false: answered */
/* 400 with the scimType at the front of `why`, or as reply_rc; doing: "Changing the account". */
void scim_refuse(struct request *rq, rc_t rc, const struct diag *why, const char *doing);
/* A text member, of any case as names of SCIM are; ptr NULL: absent, null or not a text. */
str scim_text(const cJSON *object, const char *name);
const cJSON *scim_member(const cJSON *object, const char *name);
bool scim_flag(const cJSON *value, bool *out); /* true, false, or as a text (Azure) */

/* ---- user.c, group.c, about.c ---------------------------------------------------------------- */

void scim_users_get(struct request *rq), scim_users_post(struct request *rq);
void scim_user_get(struct request *rq), scim_user_put(struct request *rq);
void scim_user_patch(struct request *rq), scim_user_delete(struct request *rq);
void scim_groups_get(struct request *rq), scim_groups_post(struct request *rq);
void scim_group_get(struct request *rq), scim_group_put(struct request *rq);
void scim_group_patch(struct request *rq), scim_group_delete(struct request *rq);
void scim_provider_get(struct request *rq), scim_types_get(struct request *rq);
void scim_type_get(struct request *rq), scim_schemas_get(struct request *rq);
void scim_schema_get(struct request *rq);
