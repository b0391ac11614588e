/* SPDX-License-Identifier: Apache-2.0 */
/* cbor.c — the CBOR (RFC 8949) that authenticators speak: what CTAP2's canonical form allows.
 *
 *    byte    major type (3 bits) | argument (5 bits: itself, or 1, 2, 4, 8 bytes follow)
 *
 * Integers, byte and text strings, arrays, maps, true, false, null; lengths known and in the
 * shortest form. Refused: lengths left open, tags, floats, other simple values.
 *
 * Always true: no byte beyond the end is looked at; a string lies whole in the input; a count is
 * never larger than the bytes that are left could hold; nesting is bounded by CBOR_DEPTH_MAX.
 * Nothing is allocated. */
#include "app/auth/auth_impl.h"

enum { CBOR_DEPTH_MAX = 8 };

static rc_t argument(struct cbor *r, u8 info, u64 *out) {
    static const u64 least[] = {24, 1u << 8, 1u << 16, 1ull << 32};
    if (info < 24) {
        *out = info;
        return RC_OK;
    }
    if (info > 27) return RC_INVALID;
    size_t n = (size_t)1 << (info - 24);
    if (r->rest.len < n) return RC_INVALID;
    *out = 0;
    for (size_t i = 0; i < n; i++) *out = *out << 8 | (u8)r->rest.ptr[i];
    r->rest = str_skip(r->rest, n);
    return *out < least[info - 24] ? RC_INVALID : RC_OK; /* a shorter form would do */
}

static rc_t simple(u8 info, struct cbor_item *out) {
    if (info != 20 && info != 21 && info != 22) return RC_INVALID;
    out->value = info;
    return RC_OK;
}

rc_t cbor_next(struct cbor *r, struct cbor_item *out) {
    *out = (struct cbor_item){0};
    if (!r->rest.len) return RC_INVALID;
    u8 first = (u8)r->rest.ptr[0], info = first & 31;
    r->rest = str_skip(r->rest, 1);
    out->kind = (enum cbor_kind)(first >> 5);
    if (out->kind == CBOR_SIMPLE) return simple(info, out);
    if (out->kind == CBOR_TAG) return RC_INVALID;
    rc_t rc = argument(r, info, &out->value);
    if (rc) return rc;
    if (out->kind == CBOR_UINT || out->kind == CBOR_NEGATIVE) return RC_OK;
    if (out->value > r->rest.len) return RC_INVALID; /* an element has at least a byte, too */
    if (out->kind == CBOR_MAP) return out->value > r->rest.len / 2 ? RC_INVALID : RC_OK;
    if (out->kind == CBOR_ARRAY) return RC_OK;
    out->text = str_take(r->rest, (size_t)out->value);
    r->rest = str_skip(r->rest, (size_t)out->value);
    return out->kind == CBOR_TEXT && !str_is_utf8(out->text) ? RC_INVALID : RC_OK;
}

static rc_t skip(struct cbor *r, u32 depth) {
    struct cbor_item item;
    rc_t rc = cbor_next(r, &item);
    if (rc || (item.kind != CBOR_ARRAY && item.kind != CBOR_MAP)) return rc;
    if (depth >= CBOR_DEPTH_MAX) return RC_LIMIT;
    u64 count = item.kind == CBOR_MAP ? 2 * item.value : item.value;
    for (u64 i = 0; rc == RC_OK && i < count; i++) rc = skip(r, depth + 1);
    return rc;
}

rc_t cbor_skip(struct cbor *r, str *out) {
    str whole = r->rest;
    rc_t rc = skip(r, 0);
    *out = str_take(whole, whole.len - r->rest.len);
    return rc;
}

s64 cbor_int(const struct cbor_item *item) {
    if (item->value > INT64_MAX) return INT64_MIN;
    if (item->kind == CBOR_UINT) return (s64)item->value;
    return item->kind == CBOR_NEGATIVE ? -1 - (s64)item->value : INT64_MIN;
}
