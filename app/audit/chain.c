/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c — each row's hash covers the row and the hash before it:
 *
 *    hash(n) = SHA-384( hash(n-1) || canonical(n) )      hash(0) = 48 zero bytes
 *    canonical = netstrings, in order: id at_ns actor_id actor role action resource result address
 *                client request_id detail          netstring = decimal length ":" bytes ","
 *
 * So a changed, removed or inserted row breaks every hash after it, and nothing in one field can be
 * moved into another. Whoever keeps a copy of one hash (the export has them all) can prove what
 * came before it. The form is documented for auditors in docs/reference/audit.md: it never changes;
 * a new field would come with a new column that old rows hash as absent.
 *
 * SHA-384 and not SHA-256: on a 64-bit machine without hash instructions it takes two thirds of the
 * time, and this is done for every change; auditors find it in every toolbox all the same. */
#include "app/audit/audit_impl.h"
#include <mbedtls/sha512.h>

const u8 audit_genesis[AUDIT_HASH_BYTES] = {0};

/* The canonical form is gathered, because a hash over one piece costs less than over forty. */
struct sink {
    mbedtls_sha512_context sha;
    char bytes[1024];
    size_t len;
};

static void hash_bytes(struct sink *s, const void *bytes, size_t n) {
    int rc = n ? mbedtls_sha512_update(&s->sha, bytes, n) : 0;
    CHECK(rc == 0); /* software SHA-384 cannot fail */
}
static void drain(struct sink *s) {
    hash_bytes(s, s->bytes, s->len);
    s->len = 0;
}

#define DIGITS_MAX 20u
static char *put_digits(char *to, u64 number) {
    char digits[DIGITS_MAX], *from = digits + sizeof digits;
    do *--from = (char)('0' + number % 10);
    while (number /= 10);
    while (from < digits + sizeof digits) *to++ = *from++;
    return to;
}

static void add_text(struct sink *s, str text) {
    if (sizeof s->bytes - s->len < text.len + DIGITS_MAX + 2) drain(s);
    char *at = put_digits(s->bytes + s->len, text.len);
    *at++ = ':';
    if (text.len <= sizeof s->bytes - DIGITS_MAX - 2) {
        if (text.len) memcpy(at, text.ptr, text.len);
        at += text.len;
    } else { /* long details, damaged rows */
        s->len = (size_t)(at - s->bytes);
        drain(s);
        hash_bytes(s, text.ptr, text.len);
        at = s->bytes;
    }
    *at++ = ',';
    s->len = (size_t)(at - s->bytes);
}

static void add_number(struct sink *s, s64 number) {
    char text[DIGITS_MAX + 1], *at = text;
    if (number < 0) *at++ = '-'; /* a clock before 1970; a damaged row */
    at = put_digits(at, number < 0 ? 0 - (u64)number : (u64)number);
    add_text(s, str_of(text, (size_t)(at - text)));
}

void audit_row_hash(const u8 previous[AUDIT_HASH_BYTES], const struct audit_row *row,
                    u8 out[AUDIT_HASH_BYTES]) {
    UNINITIALIZED struct sink s;
    u8 hash[64]; /* the library's type wants room for SHA-512 */
    mbedtls_sha512_init(&s.sha);
    int rc = mbedtls_sha512_starts(&s.sha, 1);
    CHECK(rc == 0);
    memcpy(s.bytes, previous, AUDIT_HASH_BYTES);
    s.len = AUDIT_HASH_BYTES;
    add_number(&s, row->id);
    add_number(&s, row->at_ns);
    const str texts[] = {row->actor_id, row->actor,   row->role,   row->action,     row->resource,
                         row->result,   row->address, row->client, row->request_id, row->detail};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) add_text(&s, texts[i]);
    drain(&s);
    rc = mbedtls_sha512_finish(&s.sha, hash);
    CHECK(rc == 0);
    memcpy(out, hash, AUDIT_HASH_BYTES);
    mbedtls_sha512_free(&s.sha);
}
