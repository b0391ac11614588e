/* SPDX-License-Identifier: Apache-2.0 */
/* chain.c — each row's hash covers the row and the hash before it:
 *
 *    hash(n) = SHA-256( hash(n-1) || canonical(n) )      hash(0) = 32 zero bytes
 *    canonical = netstrings, in order: id at_ns actor_id actor role action resource result address
 *                client request_id detail          netstring = decimal length ":" bytes ","
 *
 * So a changed, removed or inserted row breaks every hash after it, and nothing in one field can be
 * moved into another. Whoever keeps a copy of one hash (the export has them all) can prove what
 * came before it. The form is documented for auditors in docs/reference/audit.md: it never changes;
 * a new field would come with a new column that old rows hash as absent. */
#include "app/audit/audit_impl.h"
#include <mbedtls/sha256.h>

const u8 audit_genesis[AUDIT_HASH_BYTES] = {0};

/* The canonical form is gathered piece by piece: a hash over few large pieces costs less. */
struct sink {
    mbedtls_sha256_context sha;
    u8 bytes[512];
    size_t len;
};

static void drain(struct sink *s) {
    int rc = mbedtls_sha256_update(&s->sha, s->bytes, s->len);
    CHECK(rc == 0); /* software SHA-256 cannot fail */
    s->len = 0;
}

static void add(struct sink *s, const void *bytes, size_t n) {
    const u8 *p = bytes;
    while (n) {
        size_t some = MIN(n, sizeof s->bytes - s->len);
        memcpy(s->bytes + s->len, p, some);
        s->len += some;
        if (s->len == sizeof s->bytes) drain(s);
        p += some, n -= some;
    }
}

static str digits(u64 number, char to[20]) {
    char *at = to + 20;
    do *--at = (char)('0' + number % 10);
    while (number /= 10);
    return str_of(at, (size_t)(to + 20 - at));
}

static void add_text(struct sink *s, str text) {
    char room[20];
    str length = digits(text.len, room);
    add(s, length.ptr, length.len);
    add(s, ":", 1);
    add(s, text.ptr, text.len);
    add(s, ",", 1);
}

static void add_number(struct sink *s, s64 number) {
    char room[21];
    str text = digits(number < 0 ? 0 - (u64)number : (u64)number, room + 1);
    if (number < 0) { /* a clock before 1970; a damaged row */
        text = str_of(text.ptr - 1, text.len + 1);
        ((char *)text.ptr)[0] = '-';
    }
    add_text(s, text);
}

void audit_row_hash(const u8 previous[AUDIT_HASH_BYTES], const struct audit_row *row,
                    u8 out[AUDIT_HASH_BYTES]) {
    struct sink s;
    s.len = 0;
    mbedtls_sha256_init(&s.sha);
    int rc = mbedtls_sha256_starts(&s.sha, 0);
    CHECK(rc == 0);
    add(&s, previous, AUDIT_HASH_BYTES);
    add_number(&s, row->id);
    add_number(&s, row->at_ns);
    const str texts[] = {row->actor_id, row->actor,   row->role,   row->action,     row->resource,
                         row->result,   row->address, row->client, row->request_id, row->detail};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) add_text(&s, texts[i]);
    drain(&s);
    rc = mbedtls_sha256_finish(&s.sha, out);
    CHECK(rc == 0);
    mbedtls_sha256_free(&s.sha);
}
