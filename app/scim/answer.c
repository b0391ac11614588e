/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c — the forms of SCIM's messages (RFC 7644 3.4.2, 3.5.2, 3.12): errors, lists, PATCH.
 *
 * The pipeline and reply.h speak problem+json; whatever they answer on a route of ours is turned
 * into SCIM's error on its way out, so that a client meets one form from 400 to 503. Always true:
 * a scimType is one of the RFC's words; a list's filter, page and members are bounded. */
#include "app/scim/scim.h"
#include "app/scim/scim_impl.h"

/* ---- Errors ---------------------------------------------------------------------------------- */

static const char *scim_type_of(str code) {
    static const char *const types[] = {"invalidFilter", "tooMany",  "uniqueness",
                                        "mutability",    "noTarget", "invalidSyntax",
                                        "invalidPath",   "invalidValue"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq(code, str_from_c(types[i]))) return types[i];
    return str_starts(code, S("json_")) ? "invalidSyntax" : NULL;
}

static void as_scim(struct request *rq, int status, str content_type, str body) {
    struct json_writer w;
    struct diag why;
    cJSON *problem;
    rq->before_answer = NULL;
    if (!str_eq(content_type, S("application/problem+json")) ||
        json_parse(rq->arena, body, &problem, &why))
        return; /* as it is */
    str detail = scim_text(problem, "detail"), code = scim_text(problem, "code");
    char digits[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                      (char)('0' + status % 10), 0};
    json_open(&w, 8192);
    json_object(&w, NULL);
    json_array(&w, "schemas");
    json_text(&w, NULL, S(SCIM_MESSAGE "Error"));
    json_array_end(&w);
    json_text(&w, "status", str_from_c(digits));
    const char *type = status == 400 || status == 409 ? scim_type_of(code) : NULL;
    if (type) json_text(&w, "scimType", str_from_c(type));
    json_text(&w, "detail", detail);
    json_object_end(&w);
    if (!w.out.failed) http_answer(rq->x, status, S("application/scim+json"), buf_str(&w.out));
    json_close(&w);
}

rc_t scim_route_phase(struct request *rq) {
    if (rq->module == &scim_module) rq->before_answer = as_scim;
    return RC_PASS;
}

void scim_reply(struct request *rq, int status, struct json_writer *w) {
    if (w->out.failed)
        reply_problem(rq, 400, "tooMany", "The answer is too large: ask for fewer at once.");
    else
        reply_text(rq, status, "application/scim+json", buf_str(&w->out));
    json_close(w);
}

void scim_refuse(struct request *rq, rc_t rc, const struct diag *why, const char *doing) {
    str text = str_from_c(why->text);
    size_t colon = str_find(text, S(": "));
    char code[24];
    if (rc != RC_INVALID && rc != RC_LIMIT) {
        reply_rc(rq, rc, doing);
        return;
    }
    if (colon == text.len || str_to_c(str_take(text, colon), code, sizeof code) ||
        !scim_type_of(str_from_c(code)))
        reply_problem(rq, 400, "invalidValue", "%.*s", STR(text));
    else
        reply_problem(rq, 400, code, "%.*s", STR(str_skip(text, colon + 2)));
}

/* ---- JSON in: names of any case (RFC 7643 2.1) ----------------------------------------------- */

const cJSON *scim_member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItem(object, name); /* of any case */
}

str scim_text(const cJSON *object, const char *name) {
    const cJSON *m = scim_member(object, name);
    return cJSON_IsString(m) ? str_from_c(m->valuestring) : str_of(NULL, 0);
}

bool scim_flag(const cJSON *value, bool *out) {
    str text = str_from_c(cJSON_IsString(value) ? value->valuestring : "");
    *out = cJSON_IsTrue(value) || str_eq_nocase(text, S("true"));
    return cJSON_IsBool(value) || *out || str_eq_nocase(text, S("false"));
}

bool scim_body(struct request *rq, cJSON **out) {
    if (!request_json(rq, out)) return false;
    if (cJSON_IsObject(*out)) return true;
    reply_problem(rq, 400, "invalidSyntax", "The body is a JSON object.");
    return false;
}

/* ---- JSON out -------------------------------------------------------------------------------- */

static bool named(str list, str member) {
    str one;
    while (str_split(&list, ',', &one)) {
        one = scim_plain_path(str_trim(one));
        if (str_eq_nocase(str_take(one, str_find_byte(one, '.')), member)) return true;
    }
    return false;
}

bool scim_wanted(struct request *rq, const char *member) {
    str rest = rq->http->query, name, raw, value;
    while (http_query_next(&rest, &name, &raw)) {
        bool only = str_eq_nocase(name, S("attributes"));
        if (!only && !str_eq_nocase(name, S("excludedAttributes"))) continue;
        if (http_percent_decode(rq->arena, raw, true, &value)) continue;
        if (value.len && named(value, str_from_c(member)) != only) return false;
    }
    return true;
}

void scim_head_json(struct json_writer *w, const char *schema, str id, str external_id) {
    json_array(w, "schemas");
    json_text(w, NULL, str_from_c(schema));
    json_array_end(w);
    json_text(w, "id", id);
    if (external_id.len) json_text(w, "externalId", external_id);
}

void scim_meta_json(struct request *rq, struct json_writer *w, const char *type, const char *place,
                    str id, u64 created_ns, u64 updated_ns, s64 version) {
    if (!scim_wanted(rq, "meta")) return;
    json_object(w, "meta");
    json_text(w, "resourceType", str_from_c(type));
    json_time(w, "created", created_ns);
    json_time(w, "lastModified", updated_ns);
    json_text(w, "location",
              arena_join(rq->arena, S(SCIM_BASE "/"), str_from_c(place), S("/"), id));
    json_text(w, "version", arena_printf(rq->arena, "\"%lld\"", (long long)version));
    json_object_end(w);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

struct listing {
    s64 start, count;
    struct filter where;
    u64 total, shown;
};

static bool listing_read(struct request *rq, const struct scim_list *list, struct listing *l) {
    const struct scim_filter *filter;
    struct diag why = {0};
    str text = {NULL, 0};
    l->start = 1, l->count = 100;
    if (!request_query_int(rq, "startIndex", INT32_MIN, INT32_MAX, &l->start) ||
        !request_query_int(rq, "count", INT32_MIN, INT32_MAX, &l->count) ||
        !request_query_text(rq, "filter", SCIM_FILTER_MAX, &text))
        return false;
    l->start = MAX(l->start, 1);
    l->count = MIN(MAX(l->count, 0), (s64)SCIM_PAGE_MAX);
    filter_open(&l->where, rq->arena);
    if (rq->actor.org_id.len) filter_add(&l->where, list->mine, DB_TEXT(rq->actor.org_id));
    if (!text.ptr) return true;
    rc_t rc = scim_filter_parse(rq->arena, text, &filter, &why);
    if (rc == RC_OK) rc = scim_where(&l->where, list->names, filter, &why);
    if (rc == RC_INVALID || rc == RC_LIMIT)
        reply_problem(rq, 400, "invalidFilter", "filter: %s", why.text);
    else if (rc)
        reply_rc(rq, rc, "Reading the filter");
    return rc == RC_OK;
}

static rc_t listed(struct db_txn *t, struct request *rq, const struct scim_list *list,
                   struct listing *l, struct json_writer *w) {
    struct db_rows *r = NULL;
    str from = arena_join(rq->arena, S(" FROM "), str_from_c(list->table));
    str count = arena_join(rq->arena, S("SELECT count(*)"), from, l->where.where, S("\0"));
    if (!from.ptr || !count.ptr) return RC_NO_MEMORY;
    rc_t rc = db_query_values(t, &r, count.ptr, l->where.values);
    if (rc == RC_OK && (rc = db_next(r)) == RC_OK) l->total = (u64)db_column_int(r, 0);
    db_done(r);
    if (rc) return rc;
    u32 limit = filter_bind(&l->where, DB_INT(l->count));
    u32 offset = filter_bind(&l->where, DB_INT(l->start - 1));
    str page = arena_printf(rq->arena, "SELECT %s%.*s%.*s ORDER BY %s LIMIT ?%u OFFSET ?%u",
                            list->columns, STR(from), STR(l->where.where), list->order, limit,
                            offset);
    if (!page.ptr) return RC_NO_MEMORY;
    rc = db_query_values(t, &r, page.ptr, l->where.values);
    while (rc == RC_OK && (rc = db_next(r)) == RC_OK) {
        if ((rc = list->item(t, rq, r, w))) break;
        l->shown++;
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}

void scim_list_answer(struct request *rq, const struct scim_list *list) {
    struct listing l = {0};
    struct json_writer w;
    struct db_txn *t;
    if (!listing_read(rq, list, &l)) return;
    rc_t rc = db_read_begin(&t);
    if (rc) {
        reply_rc(rq, rc, "Listing");
        return;
    }
    json_open(&w, SCIM_ANSWER_MAX);
    json_object(&w, NULL);
    json_array(&w, "schemas");
    json_text(&w, NULL, S(SCIM_MESSAGE "ListResponse"));
    json_array_end(&w);
    json_array(&w, "Resources");
    rc = listed(t, rq, list, &l, &w);
    db_read_end(t);
    json_array_end(&w);
    json_int(&w, "totalResults", (s64)l.total);
    json_int(&w, "startIndex", l.start);
    json_int(&w, "itemsPerPage", (s64)l.shown);
    json_object_end(&w);
    if (rc == RC_OK) {
        scim_reply(rq, 200, &w);
        return;
    }
    json_close(&w);
    reply_rc(rq, rc, "Listing");
}

/* ---- PATCH ----------------------------------------------------------------------------------- */

struct patching {
    struct arena *a;
    scim_apply_fn *apply;
    void *arg;
    struct diag *why;
};

static rc_t bad(struct diag *why, const char *text) {
    diag_set(why, "%s", text);
    return RC_INVALID;
}

static rc_t apply_at(struct patching *p, enum scim_verb verb, str text, const cJSON *value) {
    struct scim_path path;
    struct diag inner = {0};
    rc_t rc = scim_path_parse(p->a, text, &path, &inner);
    if (rc == RC_INVALID || rc == RC_LIMIT) {
        diag_set(p->why, "invalidPath: %s", inner.text);
        return RC_INVALID;
    }
    return rc ? rc : p->apply(p->arg, verb, &path, value, p->why);
}

static rc_t operation(struct patching *p, const cJSON *op) {
    str verb_text = scim_text(op, "op"), path = scim_text(op, "path");
    const cJSON *value = scim_member(op, "value");
    enum scim_verb verb = SCIM_ADD;
    if (str_eq_nocase(verb_text, S("replace"))) verb = SCIM_REPLACE;
    else if (str_eq_nocase(verb_text, S("remove"))) verb = SCIM_REMOVE;
    else if (!str_eq_nocase(verb_text, S("add")))
        return bad(p->why, "invalidSyntax: op is add, remove or replace");
    if (verb != SCIM_REMOVE && !value) return bad(p->why, "invalidValue: a value is wanted");
    if (path.len) return apply_at(p, verb, path, value);
    if (verb == SCIM_REMOVE) return bad(p->why, "noTarget: remove wants a path");
    if (!cJSON_IsObject(value)) return bad(p->why, "invalidValue: an object is wanted");
    rc_t rc = RC_OK;
    for (const cJSON *m = value->child; m && rc == RC_OK; m = m->next)
        if (str_find_byte(str_from_c(m->string), ':') == strlen(m->string) || !cJSON_IsObject(m))
            rc = apply_at(p, verb, str_from_c(m->string), m); /* else: an extension, not kept */
    return rc;
}

rc_t scim_patch(struct arena *a, const cJSON *body, scim_apply_fn *apply, void *arg,
                struct diag *why) {
    struct patching p = {a, apply, arg, why};
    const cJSON *list = scim_member(body, "Operations"), *one;
    if (!cJSON_IsArray(list) || !list->child)
        return bad(why, "invalidSyntax: \"Operations\" is a list of at least one");
    if (cJSON_GetArraySize(list) > SCIM_OPS_MAX) return bad(why, "tooMany: at most 100 operations");
    cJSON_ArrayForEach(one, list) {
        rc_t rc = cJSON_IsObject(one) ? operation(&p, one)
                                      : bad(why, "invalidSyntax: an operation is an object");
        if (rc) return rc;
    }
    return RC_OK;
}
