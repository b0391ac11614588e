/* SPDX-License-Identifier: Apache-2.0 */
/* import.c — accounts from another system, with the hashes of their passwords (foreign.c): up to
 * IMPORT_MAX in one request, all or none. A hash is never shown again, and the first sign-in
 * replaces it by one of ours. */
#include "app/audit/audit.h"
#include "app/auth/auth_impl.h"
#include <stdio.h>

enum { IMPORT_MAX = 100 };

static bool wrong(struct request *rq, int at, const char *what) {
    reply_problem(rq, 422, "user_invalid", "users[%d]: %s.", at, what);
    return false;
}

static bool text_of(const cJSON *object, const char *name, size_t most, str *out) {
    const cJSON *m = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!cJSON_IsString(m)) return false;
    *out = str_from_c(m->valuestring);
    return out->len >= 1 && out->len <= most;
}

static bool members_known(const cJSON *item) {
    static const char known[] = " email name role password_hash ";
    char word[32];
    for (const cJSON *m = item->child; m; m = m->next) {
        if (strlen(m->string) > 20 || strchr(m->string, ' ')) return false;
        snprintf(word, sizeof word, " %s ", m->string);
        if (!strstr(known, word)) return false;
    }
    return true;
}

static bool one_read(struct request *rq, const cJSON *item, int at, struct user *user) {
    struct foreign f;
    str typed;
    char *to = arena_alloc(rq->arena, EMAIL_MAX + 1);
    *user = (struct user){
        .role = S("user"), .state = S("active"), .org_id = rq->actor.org_id};
    if (!to) {
        reply_rc(rq, RC_NO_MEMORY, "Importing");
        return false;
    }
    if (!cJSON_IsObject(item) || !text_of(item, "email", 1024, &typed))
        return wrong(rq, at, "email is wanted");
    if (!members_known(item))
        return wrong(rq, at, "members are email, name, role and password_hash");
    const char *why = email_normalise(typed, to, &user->email);
    if (why) return wrong(rq, at, "email is not an address");
    if (!text_of(item, "name", NAME_MAX_BYTES, &user->name))
        return wrong(rq, at, "name is a text of 1 to 200 bytes");
    if (cJSON_GetObjectItemCaseSensitive(item, "role") &&
        (!text_of(item, "role", 16, &user->role) ||
         !(str_eq(user->role, S("admin")) || str_eq(user->role, S("user")))))
        return wrong(rq, at, "role is admin or user");
    if (!user_role_fits(rq, user->role, user->org_id)) return false;
    if (!text_of(item, "password_hash", PHC_ROOM - 1, &user->phc))
        return wrong(rq, at, "password_hash is a text of 1 to 159 bytes");
    why = foreign_parse(user->phc, &f);
    return why ? wrong(rq, at, why) : true;
}

static rc_t import_rows(struct db_txn *t, struct request *rq, struct user *users, int count,
                        int *at) {
    rc_t rc = RC_OK;
    for (*at = 0; rc == RC_OK && *at < count; (*at)++) {
        if ((rc = user_insert(t, rq->arena, &users[*at]))) return rc;
        struct audit_event event = {
            .action = "user.import",
            .resource = arena_printf(rq->arena, "user/%.*s", STR(users[*at].id)),
            .result = "ok",
            .detail = arena_printf(rq->arena, "{\"email\":\"%.*s\",\"role\":\"%.*s\"}",
                                   STR(users[*at].email), STR(users[*at].role)),
        };
        rc = audit_add(t, rq, &event);
    }
    return rc;
}

void users_import_post(struct request *rq) {
    static const char *const members[] = {"users", NULL};
    struct json_writer w;
    struct db_txn *t;
    cJSON *body;
    int at = 0;
    if (!request_json(rq, &body) || !request_members_known(rq, body, members)) return;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "users"), *item;
    int count = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (count < 1 || count > IMPORT_MAX) {
        reply_problem(rq, 422, "member_range", "\"users\" must list 1 to %d accounts.", IMPORT_MAX);
        return;
    }
    struct user *users = arena_alloc(rq->arena, (size_t)count * sizeof *users);
    rc_t rc = users ? RC_OK : RC_NO_MEMORY;
    cJSON_ArrayForEach(item, list) {
        if (!users || !one_read(rq, item, at, &users[at])) break;
        at++;
    }
    if (rc == RC_OK && at < count) return; /* answered */
    if (rc == RC_OK) rc = db_write_begin(&t);
    if (rc == RC_OK) rc = db_write_end(t, import_rows(t, rq, users, count, &at));
    if (rc == RC_CONFLICT) {
        reply_problem(rq, 409, "email_taken", "users[%d]: there is an account with this address.",
                      at);
        return;
    }
    if (rc) {
        reply_rc(rq, rc, "Importing");
        return;
    }
    json_open(&w, 256);
    json_object(&w, NULL);
    json_int(&w, "imported", count);
    json_object_end(&w);
    reply_json(rq, 201, &w);
}
