/* SPDX-License-Identifier: Apache-2.0 */
/* oauth_client.c — applications that may ask people to sign in here: registered by administrators.
 *
 * A client with a secret (shown once, kept as a hash) is confidential; one without is public, an
 * app or a page. Redirect addresses are compared letter by letter: https, or a loopback address or
 * an app's own scheme (RFC 8252), never with a fragment. What it may ask for is its list of scopes:
 * openid, profile, email, and permissions as API keys have them (app/scope.h). For itself (client
 * credentials) it acts as its owner, who registered it, bounded by those scopes. */
#include "app/audit/audit.h"
#include "app/auth/oauth_impl.h"
#include "app/id.h"
#include "app/page.h"
#include "app/scope.h"
#include "kernel/platform.h"

enum { ANSWER_MAX = 1 << 19, LIST_MAX = 16, CLIENTS_MAX = 1000 };
#define SECRET_PREFIX "ocs_"
#define CLIENT_COLUMNS "id,name,owner_id,secret_hash,redirect_uris,grants,scopes,created_ns"

bool words_have(str words, str word) {
    str one;
    while (str_split(&words, ' ', &one))
        if (str_eq(one, word)) return true;
    return false;
}

bool words_cover(str words, str wanted) {
    str one;
    while (str_split(&wanted, ' ', &one))
        if (!words_have(words, one)) return false;
    return true;
}

static rc_t row_read(struct db_rows *r, struct arena *a, struct oauth_client *out) {
    str hash = db_column_text(r, 3);
    out->id = arena_copy(a, db_column_text(r, 0));
    out->name = arena_copy(a, db_column_text(r, 1));
    out->owner_id = arena_copy(a, db_column_text(r, 2));
    out->confidential = hash.len == SHA256_BYTES;
    if (out->confidential) memcpy(out->secret_hash, hash.ptr, SHA256_BYTES);
    out->redirect_uris = arena_copy(a, db_column_text(r, 4));
    out->grants = arena_copy(a, db_column_text(r, 5));
    out->scopes = arena_copy(a, db_column_text(r, 6));
    out->created_ns = (u64)db_column_int(r, 7);
    bool whole = out->id.ptr && out->name.ptr && out->owner_id.ptr && out->redirect_uris.ptr &&
                 out->grants.ptr && out->scopes.ptr;
    return whole ? RC_OK : RC_NO_MEMORY;
}

rc_t oauth_client_read(struct db_txn *t, struct arena *a, str id, struct oauth_client *out) {
    struct db_rows *r = NULL;
    rc_t rc =
        db_query(t, &r, "SELECT " CLIENT_COLUMNS " FROM oauth_client WHERE id=?1", DB_TEXT(id));
    if (rc == RC_OK) rc = db_next(r);
    if (rc == RC_OK) rc = row_read(r, a, out);
    db_done(r);
    return rc;
}

/* ---- For administrators ---------------------------------------------------------------------- */

static void words_json(struct json_writer *w, const char *key, str words) {
    str one;
    json_array(w, key);
    while (str_split(&words, ' ', &one))
        if (one.len) json_text(w, NULL, one);
    json_array_end(w);
}

static void client_json(struct json_writer *w, const struct oauth_client *c, str secret) {
    json_object(w, NULL);
    json_text(w, "client_id", c->id);
    json_text(w, "name", c->name);
    json_bool(w, "confidential", c->confidential);
    words_json(w, "redirect_uris", c->redirect_uris);
    words_json(w, "grant_types", c->grants);
    words_json(w, "scopes", c->scopes);
    json_time(w, "created_at", c->created_ns);
    if (secret.len) json_text(w, "client_secret", secret);
    json_object_end(w);
}

static rc_t items(struct db_txn *t, struct request *rq, const struct page *page,
                  struct json_writer *w, u64 *out_total, void *arg) {
    struct db_rows *r = NULL;
    (void)arg;
    rc_t rc = db_query(t, &r, "SELECT count(*) FROM oauth_client");
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) *out_total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    rc = db_query(t, &r,
                  "SELECT " CLIENT_COLUMNS " FROM oauth_client ORDER BY id DESC LIMIT ?1 OFFSET ?2",
                  DB_INT(page->limit), DB_INT(page->offset));
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        struct oauth_client c;
        if ((rc = row_read(r, rq->arena, &c))) break;
        client_json(w, &c, S(""));
    }
    db_done(r);
    return rc;
}

void oauth_clients_get(struct request *rq) {
    struct page page;
    if (request_page(rq, &page))
        page_answer(rq, &page, ANSWER_MAX, items, NULL, "Listing the applications");
}

static bool redirect_valid(str uri) {
    for (size_t i = 0; i < uri.len; i++) {
        u8 c = (u8)uri.ptr[i];
        if (c <= 0x20 || c >= 0x7F || c == '#' || c == '"' || c == '<' || c == '>' || c == '\\')
            return false;
    }
    size_t colon = str_find_byte(uri, ':');
    str scheme = str_take(uri, colon), rest = str_skip(uri, MIN(colon + 1, uri.len));
    if (str_eq(scheme, S("https"))) return str_starts(rest, S("//")) && rest.len > 2;
    if (str_eq(scheme, S("http")))
        return str_starts(rest, S("//127.0.0.1")) || str_starts(rest, S("//[::1]")) ||
               str_starts(rest, S("//localhost"));
    return str_find_byte(scheme, '.') < scheme.len && rest.len; /* an app's: com.example.app:/x */
}
static bool grant_valid(str word) {
    return str_eq(word, S("authorization_code")) || str_eq(word, S("refresh_token")) ||
           str_eq(word, S("client_credentials")) || str_eq(word, S(DEVICE_GRANT));
}
static bool asked_valid(str word) {
    return str_eq(word, S("openid")) || str_eq(word, S("profile")) || str_eq(word, S("email")) ||
           scope_valid(word);
}

/* A list of texts as words; absent: as it was. false: answered 422. */
static bool list_member(struct request *rq, const cJSON *body, const char *name, size_t room,
                        bool (*valid)(str word), str *out) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(body, name), *one;
    char *to = arena_alloc(rq->arena, room);
    size_t n = 0;
    if (!list) return true;
    bool fine = to && cJSON_IsArray(list) && cJSON_GetArraySize(list) <= LIST_MAX;
    cJSON_ArrayForEach(one, list) {
        str word = fine && cJSON_IsString(one) ? str_from_c(one->valuestring) : S("");
        fine = fine && word.len && word.len <= OAUTH_URI_MAX && valid(word) &&
               n + word.len + 1 <= room;
        if (!fine) break;
        if (n) to[n++] = ' ';
        memcpy(to + n, word.ptr, word.len);
        n += word.len;
    }
    *out = str_of(to, n);
    if (!fine)
        reply_problem(rq, 422, "list_invalid", "\"%s\" has a value that is not allowed there.",
                      name);
    return fine;
}

static rc_t insert_client(struct db_txn *t, struct request *rq, const struct oauth_client *c) {
    str hash = str_of((const char *)c->secret_hash, SHA256_BYTES);
    rc_t rc =
        db_run(t,
               "INSERT INTO oauth_client(id,name,owner_id,secret_hash,redirect_uris,grants,"
               "scopes,created_ns) SELECT ?1,?2,?3,?4,?5,?6,?7,?8"
               " WHERE (SELECT count(*) FROM oauth_client)<?9",
               DB_TEXT(c->id), DB_TEXT(c->name), DB_TEXT(c->owner_id),
               c->confidential ? DB_BLOB(hash) : DB_NULL, DB_TEXT(c->redirect_uris),
               DB_TEXT(c->grants), DB_TEXT(c->scopes), DB_INT(c->created_ns), DB_INT(CLIENTS_MAX));
    if (rc == RC_OK && db_changes(t) == 0) return RC_FULL;
    struct audit_event event = {
        .action = "client.create",
        .resource = arena_printf(rq->arena, "client/%.*s", STR(c->id)),
        .result = "ok",
    };
    return rc ? rc : audit_add(t, rq, &event);
}

static rc_t client_make(struct request *rq, struct oauth_client *c, str *secret) {
    u8 random[32];
    char text[BASE64_LEN(sizeof random) + 1], *id = arena_alloc(rq->arena, ID_ROOM);
    struct db_txn *t;
    if (!id) return RC_NO_MEMORY;
    rc_t rc = id_make(id, &c->id);
    if (rc == RC_OK) rc = platform_entropy(random, sizeof random);
    if (rc) return rc;
    base64url_encode(random, sizeof random, text);
    *secret = c->confidential ? arena_printf(rq->arena, SECRET_PREFIX "%s", text) : S("");
    if (!secret->ptr) return RC_NO_MEMORY;
    sha256(*secret, c->secret_hash);
    c->owner_id = rq->actor.user_id;
    c->created_ns = auth_now_ns();
    if ((rc = db_write_begin(&t))) return rc;
    return db_write_end(t, insert_client(t, rq, c));
}

static bool client_sound(struct request *rq, const struct oauth_client *c) {
    const char *wrong = NULL;
    if (words_have(c->grants, S("authorization_code")) && !c->redirect_uris.len)
        wrong = "\"redirect_uris\" is wanted for the code flow.";
    if (words_have(c->grants, S("client_credentials")) && !c->confidential)
        wrong = "Only a confidential client may act for itself.";
    if (wrong) reply_problem(rq, 422, "client_unsound", "%s", wrong);
    return !wrong;
}

void oauth_clients_post(struct request *rq) {
    static const char *const members[] = {"name",        "confidential", "redirect_uris",
                                          "grant_types", "scopes",       NULL};
    struct oauth_client c = {.confidential = true,
                             .redirect_uris = S(""),
                             .grants = S("authorization_code refresh_token"),
                             .scopes = S("openid profile email")};
    struct json_writer w;
    cJSON *body;
    str secret;
    if (!person_recent(rq) || !request_json(rq, &body) ||
        !request_members_known(rq, body, members) ||
        !request_member_text(rq, body, "name", true, 1, NAME_MAX_BYTES, &c.name) ||
        !request_member_bool(rq, body, "confidential", false, &c.confidential) ||
        !list_member(rq, body, "redirect_uris", OAUTH_URIS_MAX, redirect_valid, &c.redirect_uris) ||
        !list_member(rq, body, "grant_types", 256, grant_valid, &c.grants) ||
        !list_member(rq, body, "scopes", SCOPES_MAX, asked_valid, &c.scopes) ||
        !client_sound(rq, &c))
        return;
    rc_t rc = client_make(rq, &c, &secret);
    if (rc) {
        reply_rc(rq, rc, "Registering the application");
        return;
    }
    json_open(&w, 16384);
    client_json(&w, &c, secret);
    reply_location(rq, arena_join(rq->arena, S("/api/v1/auth/clients/"), c.id));
    reply_json(rq, 201, &w);
}

static rc_t delete_client(struct db_txn *t, struct request *rq, str id) {
    rc_t rc = db_run(t, "DELETE FROM oauth_client WHERE id=?1", DB_TEXT(id));
    if (rc == RC_OK && db_changes(t) == 0) return RC_NOT_FOUND;
    if (rc == RC_OK) rc = db_run(t, "DELETE FROM session WHERE client_id=?1", DB_TEXT(id));
    struct audit_event event = {
        .action = "client.delete",
        .resource = arena_printf(rq->arena, "client/%.*s", STR(id)),
        .result = "ok",
    };
    return rc ? rc : audit_add(t, rq, &event);
}

void oauth_client_delete(struct request *rq) {
    struct db_txn *t;
    rc_t rc = id_valid(rq->params[0]) ? db_write_begin(&t) : RC_NOT_FOUND;
    if (rc == RC_OK) rc = db_write_end(t, delete_client(t, rq, rq->params[0]));
    if (rc == RC_OK) token_cache_drop_all(); /* rare; its sessions are many people's */
    if (rc == RC_OK)
        reply_empty(rq, 204);
    else if (rc == RC_NOT_FOUND)
        reply_problem(rq, 404, "client_not_found", "There is no application with this id.");
    else
        reply_rc(rq, rc, "Removing the application");
}
