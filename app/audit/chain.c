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
#include <stdio.h>

const u8 audit_genesis[AUDIT_HASH_BYTES] = {0};

static void add(mbedtls_sha256_context *sha, const void *bytes, size_t n) {
    if (n == 0) return;
    int rc = mbedtls_sha256_update(sha, bytes, n);
    CHECK(rc == 0); /* software SHA-256 cannot fail */
}

static void add_text(mbedtls_sha256_context *sha, str text) {
    char head[24];
    int n = snprintf(head, sizeof head, "%zu:", text.len);
    add(sha, head, (size_t)n);
    add(sha, text.ptr, text.len);
    add(sha, ",", 1);
}

static void add_number(mbedtls_sha256_context *sha, s64 number) {
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)number);
    add_text(sha, str_of(text, (size_t)n));
}

void audit_row_hash(const u8 previous[AUDIT_HASH_BYTES], const struct audit_row *row,
                    u8 out[AUDIT_HASH_BYTES]) {
    mbedtls_sha256_context sha;
    mbedtls_sha256_init(&sha);
    int rc = mbedtls_sha256_starts(&sha, 0);
    CHECK(rc == 0);
    add(&sha, previous, AUDIT_HASH_BYTES);
    add_number(&sha, row->id);
    add_number(&sha, row->at_ns);
    const str texts[] = {row->actor_id, row->actor,   row->role,   row->action,     row->resource,
                         row->result,   row->address, row->client, row->request_id, row->detail};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) add_text(&sha, texts[i]);
    rc = mbedtls_sha256_finish(&sha, out);
    CHECK(rc == 0);
    mbedtls_sha256_free(&sha);
}
