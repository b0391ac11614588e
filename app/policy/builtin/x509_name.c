/* SPDX-License-Identifier: Apache-2.0 */
/* x509_name.c — distinguished names: SEQUENCE OF SET OF { type, value }.
 *
 * Each attribute is listed in Names; those of eleven well-known types are also told by name, the
 * last one winning where there is room for one. */
#include "app/policy/builtin/der.h"
#include "app/policy/builtin/x509.h"
#include <stdio.h>

static const struct attribute {
    u8 type;
    const char *name;
    bool single;
} attributes[] = {
    /* 2.5.4.TYPE */
    {3, "CommonName", true},     {5, "SerialNumber", true},
    {6, "Country", false},       {7, "Locality", false},
    {8, "Province", false},      {9, "StreetAddress", false},
    {10, "Organization", false}, {11, "OrganizationalUnit", false},
    {17, "PostalCode", false},
};

static bool fail(struct diag *why, const char *words) {
    diag_set(why, "x509: invalid RDNSequence%s", words);
    return false;
}

static bool is_printable(str s) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], low = c | 0x20;
        if (!((low >= 'a' && low <= 'z') || (c >= '\'' && c <= ':') || memchr(" =?*&", c, 5)))
            return false;
    }
    return true;
}

/* Two bytes per character, without surrogates. */
static value read_bmp(struct heap *h, str s) {
    char *to = value_string_room(h, s.len * 2);
    size_t n = 0;
    if (!to) return value_null();
    for (size_t i = 0; i + 1 < s.len; i += 2) {
        u32 c = (u32)(u8)s.ptr[i] << 8 | (u8)s.ptr[i + 1];
        if (c < 0x80)
            to[n++] = (char)c;
        else if (c < 0x800)
            to[n++] = (char)(0xC0 | c >> 6), to[n++] = (char)(0x80 | (c & 63));
        else
            to[n++] = (char)(0xE0 | c >> 12), to[n++] = (char)(0x80 | (c >> 6 & 63)),
            to[n++] = (char)(0x80 | (c & 63));
    }
    return value_string_seal(to, n);
}
/* Bytes that are not the encoding they say: as JSON would have them. */
static value read_latin(struct heap *h, str s) {
    char *to = value_string_room(h, s.len * 2);
    size_t n = 0;
    if (!to) return value_null();
    for (size_t i = 0; i < s.len; i++) {
        u8 c = (u8)s.ptr[i];
        if (c < 0x80)
            to[n++] = (char)c;
        else
            to[n++] = (char)(0xC0 | c >> 6), to[n++] = (char)(0x80 | (c & 63));
    }
    return value_string_seal(to, n);
}

static bool read_text(struct heap *h, const struct der_item *item, value *out, struct diag *why) {
    str s = item->body;
    const char *bad = NULL;
    *out = value_null();
    switch (item->tag) {
    case DER_UTF8: bad = str_is_utf8(s) ? NULL : "invalid UTF-8 string"; break;
    case DER_PRINTABLE: bad = is_printable(s) ? NULL : "invalid PrintableString"; break;
    case DER_NUMERIC:
        for (size_t i = 0; i < s.len; i++)
            if (s.ptr[i] != ' ' && (s.ptr[i] < '0' || s.ptr[i] > '9'))
                bad = "invalid NumericString";
        break;
    case DER_IA5:
        for (size_t i = 0; i < s.len; i++)
            if ((u8)s.ptr[i] >= 0x80) bad = "invalid IA5String";
        break;
    case DER_T61: *out = read_latin(h, s); return true;
    case DER_BMP:
        if (s.len % 2 == 0) {
            *out = read_bmp(h, s);
            return true;
        }
        bad = "invalid BMPString";
        break;
    case DER_OCTET_STRING: *out = x509_bytes(h, s); return true;
    case DER_OID: *out = x509_oid(h, s); return true;
    case DER_BOOLEAN: *out = value_boolean(s.len && s.ptr[0]); return true;
    case DER_INTEGER: *out = x509_whole_number(h, s); return true;
    default: return true; /* null, and what has no text */
    }
    if (bad) {
        diag_set(why, "x509: invalid RDNSequence: invalid attribute value: %s", bad);
        return false;
    }
    *out = value_string(h, s);
    return true;
}

struct reading {
    struct heap *heap;
    struct value_builder names, lists[ARRAY_LEN(attributes)];
    value single[ARRAY_LEN(attributes)];
};

static bool read_attribute(struct reading *r, str pair, struct diag *why) {
    str oid;
    struct der_item item;
    struct value_builder b;
    value v;
    if (!der_take_oid(&pair, &oid)) return fail(why, ": invalid attribute type");
    if (!der_next(&pair, &item))
        return fail(why, ": invalid attribute value: invalid ASN.1 element");
    if (!read_text(r->heap, &item, &v, why)) return false;
    value_builder_open(&b, r->heap, VALUE_OBJECT);
    x509_put(&b, "Type", x509_oid(r->heap, oid));
    x509_put(&b, "Value", v);
    value_builder_add(&r->names, value_builder_close(&b));
    if (oid.len != 3 || memcmp(oid.ptr, "\x55\x04", 2) || !value_is(v, VALUE_STRING)) return true;
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        if (attributes[i].type != (u8)oid.ptr[2]) continue;
        if (attributes[i].single)
            r->single[i] = v;
        else
            value_builder_add(&r->lists[i], v);
    }
    return true;
}

bool x509_read_name(struct heap *h, str der, value *out, struct diag *why) {
    struct reading r = {.heap = h};
    struct value_builder b;
    str sequence, set, pair;
    if (!der_take(&der, DER_SEQUENCE, &sequence)) return fail(why, "");
    value_builder_open(&r.names, h, VALUE_ARRAY);
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        value_builder_open(&r.lists[i], h, VALUE_ARRAY);
        r.single[i] = value_string_c(h, "");
    }
    while (sequence.len) {
        if (!der_take(&sequence, DER_SET, &set)) return fail(why, "");
        while (set.len) {
            if (!der_take(&set, DER_SEQUENCE, &pair)) return fail(why, ": invalid attribute");
            if (!read_attribute(&r, pair, why)) return false;
        }
    }
    value_builder_open(&b, h, VALUE_OBJECT);
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        value list = r.lists[i].count ? value_builder_close(&r.lists[i]) : value_null();
        x509_put(&b, attributes[i].name, attributes[i].single ? r.single[i] : list);
    }
    x509_put(&b, "Names", r.names.count ? value_builder_close(&r.names) : value_null());
    x509_put(&b, "ExtraNames", value_null());
    *out = value_builder_close(&b);
    return true;
}
