/* SPDX-License-Identifier: Apache-2.0 */
/* s3.c — what is asked of storage that speaks S3, signed.
 *
 *   canonical = method \n path \n query \n "name:value\n" of each signed field \n names \n body
 *   to sign   = AWS4-HMAC-SHA256 \n time \n day/region/s3/aws4_request \n SHA-256(canonical)
 *   key       = HMAC chain from "AWS4" secret over day, region, s3, aws4_request
 *
 * Keys and prefixes are letters, digits and "/._-" (backup_target.c, schedule.c), so paths need no
 * escapes, and a query only that of the slash. Always true: no secret is in a log line or `why`. */
#include "app/backup/s3.h"
#include "app/utc.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"
#include "net/http_url.h"
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

enum { HASH_BYTES = 32, LIST_BYTES_MAX = 1 << 20, SHORT_S = 30, STALL_S = 60, FIELDS_MAX = 6 };
#define PAYLOAD "UNSIGNED-PAYLOAD"

struct request_parts {
    str url, path, query, host;
    struct http_field fields[FIELDS_MAX];
    u32 field_count;
    struct http_client_trust trust;
};

/* ---- Signing --------------------------------------------------------------------------------- */

static bool hmac(const u8 *key, size_t n, str text, u8 out[HASH_BYTES]) {
    return !mbedtls_md_hmac(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), key, n,
                            (const u8 *)text.ptr, text.len, out);
}

/* "20260131T120000Z" */
static str amz_time(u64 utc_ns, char to[UTC_ROOM]) {
    char iso[UTC_ROOM];
    str text = utc_write(utc_ns, iso);
    size_t n = 0;
    for (size_t i = 0; i < text.len && text.ptr[i] != '.'; i++)
        if (text.ptr[i] != '-' && text.ptr[i] != ':') to[n++] = text.ptr[i];
    to[n++] = 'Z';
    return str_of(to, n);
}

static bool signature(const struct backup_target *t, str day, str to_sign, char hex[65]) {
    char first[4 + 2048];
    u8 key[HASH_BYTES];
    size_t n = MIN(t->secret_key.len, sizeof first - 4);
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, t->secret_key.ptr, n);
    bool ok = hmac((u8 *)first, 4 + n, day, key) && hmac(key, sizeof key, t->region, key) &&
              hmac(key, sizeof key, S("s3"), key) &&
              hmac(key, sizeof key, S("aws4_request"), key) &&
              hmac(key, sizeof key, to_sign, key) && !str_hex(key, sizeof key, hex, 65);
    mbedtls_platform_zeroize(first, sizeof first);
    mbedtls_platform_zeroize(key, sizeof key);
    return ok;
}

str s3_authorization(struct arena *a, const struct backup_target *t, str method, str host,
                     str path, str query, str time) {
    static const str none = {NULL, 0};
    u8 hash[HASH_BYTES];
    char hex[2 * HASH_BYTES + 1];
    str day = str_take(time, 8), token = S(""), names = S("host;x-amz-content-sha256;x-amz-date");
    if (t->session_token.len) {
        names = S("host;x-amz-content-sha256;x-amz-date;x-amz-security-token");
        token = arena_join(a, S("x-amz-security-token:"), t->session_token, S("\n"));
    }
    str canonical = arena_join(a, method, S("\n"), path, S("\n"), query, S("\nhost:"), host,
                               S("\nx-amz-content-sha256:" PAYLOAD "\nx-amz-date:"), time, S("\n"),
                               token, S("\n"), names, S("\n" PAYLOAD));
    str scope = arena_join(a, day, S("/"), t->region, S("/s3/aws4_request"));
    if (!canonical.ptr || !scope.ptr ||
        mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), (const u8 *)canonical.ptr,
                   canonical.len, hash) ||
        str_hex(hash, sizeof hash, hex, sizeof hex))
        return none;
    str to_sign = arena_join(a, S("AWS4-HMAC-SHA256\n"), time, S("\n"), scope, S("\n"),
                             str_of(hex, 2 * HASH_BYTES));
    if (!to_sign.ptr || !signature(t, day, to_sign, hex)) return none;
    return arena_join(a, S("AWS4-HMAC-SHA256 Credential="), t->access_key, S("/"), scope,
                      S(", SignedHeaders="), names, S(", Signature="),
                      str_of(hex, 2 * HASH_BYTES));
}

static void field(struct request_parts *p, str name, str value) {
    p->fields[p->field_count++] = (struct http_field){.name = name, .value = value};
}

static rc_t parts_make(struct arena *a, const struct backup_target *t, str method, str key,
                       str query, struct request_parts *p, struct diag *why) {
    char room[UTC_ROOM];
    struct http_url url;
    *p = (struct request_parts){.query = query, .trust = {.ca_pem = t->ca_cert}};
    rc_t rc = http_url_parse(t->url, &url, why);
    if (rc) return rc;
    str time = arena_copy(a, amz_time(platform_wall_ns(), room));
    p->host = url.authority;
    p->path = arena_join(a, S("/"), t->bucket, key.len ? S("/") : S(""), key);
    p->url = arena_join(a, t->url, p->path, query.len ? S("?") : S(""), query);
    if (!time.ptr || !p->path.ptr || !p->url.ptr) return RC_NO_MEMORY;
    str authorization = s3_authorization(a, t, method, p->host, p->path, query, time);
    if (!authorization.ptr) return RC_NO_MEMORY;
    field(p, S("Host"), p->host);
    field(p, S("x-amz-content-sha256"), S(PAYLOAD));
    field(p, S("x-amz-date"), time);
    if (t->session_token.len) field(p, S("x-amz-security-token"), t->session_token);
    field(p, S("Authorization"), authorization);
    return RC_OK;
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* What stands between <name> and </name>, from *at on, which moves behind it. */
static bool element(str xml, size_t *at, const char *open, const char *close, str *out) {
    str rest = str_skip(xml, *at);
    size_t from = str_find(rest, str_from_c(open)), n;
    if (from >= rest.len) return false;
    from += strlen(open);
    n = str_find(str_skip(rest, from), str_from_c(close));
    if (n >= rest.len - from) return false;
    *out = str_take(str_skip(rest, from), n);
    *at += from + n;
    return true;
}

static rc_t judge(int status, str body, struct diag *why) {
    size_t at = 0;
    str code = S("");
    if (status >= 200 && status < 300) return RC_OK;
    (void)element(body, &at, "<Code>", "</Code>", &code);
    diag_set(why, "the storage answered %d %.*s", status, (int)MIN(code.len, 64u), code.ptr);
    return status == 404 ? RC_NOT_FOUND : status == 403 || status == 401 ? RC_DENIED : RC_IO;
}

static u64 seconds_from_now(u64 seconds) { return platform_clock_ns() + seconds * NS_PER_S; }

static struct http_client_request request_of(const struct request_parts *p, str method) {
    return (struct http_client_request){.method = method,
                                        .url = p->url,
                                        .fields = p->fields,
                                        .field_count = p->field_count,
                                        .trust = p->trust.ca_pem.len ? &p->trust : NULL,
                                        .deadline_ns = seconds_from_now(SHORT_S)};
}

/* A short question: its answer in one piece. */
static rc_t ask(struct arena *a, const struct backup_target *t, str method, str key, str query,
                str *body, struct diag *why) {
    struct request_parts p;
    struct http_client_answer answer;
    rc_t rc = parts_make(a, t, method, key, query, &p, why);
    if (rc) return rc;
    struct http_client_request r = request_of(&p, method);
    rc = http_client_fetch(a, &r, LIST_BYTES_MAX, &answer, body, why);
    return rc ? rc : judge(answer.status, *body, why);
}

rc_t s3_remove(struct arena *a, const struct backup_target *t, str key, struct diag *why) {
    str body;
    return ask(a, t, S("DELETE"), key, S(""), &body, why);
}

static str escaped(struct arena *a, str text) {
    char *to = arena_alloc(a, 3 * text.len + 1);
    size_t n = 0;
    for (size_t i = 0; to && i < text.len; i++) {
        if (text.ptr[i] == '/') memcpy(to + n, "%2F", 3), n += 3;
        else to[n++] = text.ptr[i];
    }
    return str_of(to, n);
}

rc_t s3_list(struct arena *a, const struct backup_target *t, str begin, str **keys, u32 *count,
             struct diag *why) {
    str prefix = arena_join(a, t->prefix, begin), body, one;
    size_t at = 0;
    *count = 0;
    str wanted = escaped(a, prefix);
    *keys = arena_alloc(a, S3_KEYS_MAX * sizeof **keys);
    if (!prefix.ptr || !wanted.ptr || !*keys) return RC_NO_MEMORY;
    str query = arena_join(a, S("list-type=2&prefix="), wanted);
    if (!query.ptr) return RC_NO_MEMORY;
    rc_t rc = ask(a, t, S("GET"), S(""), query, &body, why);
    while (!rc && *count < S3_KEYS_MAX && element(body, &at, "<Key>", "</Key>", &one))
        if (str_starts(one, prefix)) (*keys)[(*count)++] = one;
    return rc;
}

/* ---- Objects --------------------------------------------------------------------------------- */

static rc_t send_all(struct http_client_call *c, u64 bytes, rc_t (*next)(void *, str *), void *arg,
                     struct diag *why) {
    rc_t rc = RC_OK;
    while (bytes && !rc) {
        str piece;
        rc = next(arg, &piece);
        if (rc) diag_set(why, "the copy ended early (%s)", rc_name(rc));
        else if (!piece.len || piece.len > bytes) rc = RC_INVALID;
        else rc = http_client_pass_write(c, piece, why), bytes -= piece.len;
    }
    if (rc == RC_PASS) return RC_OK; /* it answers already; what, the answer says */
    return rc ? rc : http_client_pass_end(c, why);
}

rc_t s3_put(struct arena *a, const struct backup_target *t, str key, u64 bytes,
            rc_t (*next)(void *arg, str *piece), void *arg, struct diag *why) {
    struct request_parts p;
    struct http_client_answer answer;
    struct http_client_call *c;
    bool reused;
    rc_t rc = parts_make(a, t, S("PUT"), key, S(""), &p, why);
    if (rc) return rc;
    struct http_client_pass pass = {.url = p.url,
                                    .method = S("PUT"),
                                    .target = p.path,
                                    .fields = p.fields,
                                    .field_count = p.field_count,
                                    .length = (s64)bytes,
                                    .trust = p.trust.ca_pem.len ? &p.trust : NULL,
                                    .connect_deadline_ns = seconds_from_now(SHORT_S),
                                    .stall_ms = STALL_S * 1000,
                                    .fresh = true};
    if ((rc = http_client_pass_open(&pass, &c, &reused, why))) return rc;
    rc = send_all(c, bytes, next, arg, why);
    do {
        if (!rc) rc = http_client_pass_answer(c, a, seconds_from_now(STALL_S), &answer, why);
    } while (!rc && answer.status < 200);
    str body = S("");
    http_client_patience(c, seconds_from_now(SHORT_S));
    if (!rc) rc = http_client_read(c, &body, why); /* an error's first piece says its code */
    if (!rc) rc = judge(answer.status, body, why);
    http_client_pass_drop(c);
    return rc;
}

rc_t s3_get(struct arena *a, const struct backup_target *t, str key,
            rc_t (*begin)(void *arg, u64 bytes), rc_t (*see)(void *arg, str piece), void *arg,
            str room, struct diag *why) {
    size_t got = 0;
    struct request_parts p;
    struct http_client_answer answer;
    struct http_client_call *c;
    rc_t rc = parts_make(a, t, S("GET"), key, S(""), &p, why);
    if (rc) return rc;
    struct http_client_request r = request_of(&p, S("GET"));
    if ((rc = http_client_open(a, &r, &answer, &c, why))) return rc;
    str piece = S("");
    if (answer.status != 200) {
        rc = http_client_read(c, &piece, why);
        if (!rc) rc = judge(answer.status, piece, why);
        if (!rc) rc = RC_IO;
    } else if (answer.content_length <= 0) {
        diag_set(why, "the storage does not say how long the object is");
        rc = RC_INVALID;
    } else {
        rc = begin(arg, (u64)answer.content_length);
    }
    for (bool more = !rc; more && !rc; more = got > 0) {
        http_client_patience(c, seconds_from_now(STALL_S));
        rc = http_client_pass_read(c, (char *)room.ptr, room.len, &got, why);
        if (!rc && got) rc = see(arg, str_take(room, got));
    }
    http_client_close(c);
    return rc;
}
