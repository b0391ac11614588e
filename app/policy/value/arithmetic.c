/* SPDX-License-Identifier: Apache-2.0 */
/* arithmetic.c — the operators on numbers.
 *
 * As the reference computes: in machine integers where they hold the result, then in whole numbers
 * of any size, then, when an operand is not whole, in floats of 64 bits. Division leaves the whole
 * numbers as soon as it does not come out even. Which of the three is used shows in the answer's
 * digits, so the borders are the reference's too: its machine integers are those of 32 bits. */
#include "app/policy/value/number_impl.h"

/* ---- Whole numbers of any size ---- */

rc_t whole_read(mbedtls_mpi *to, value n) {
    char text[NUMBER_TEXT_MAX + NUMBER_EXPONENT_MAX + 4];
    struct decimal d;
    if (!n.boxed) return mbedtls_mpi_lset(to, n.integer) ? RC_NO_MEMORY : RC_OK;
    if (!n.number->whole) return RC_INVALID;
    decimal_of(&d, n);
    size_t len = 0;
    text[len++] = d.negative ? '-' : '0';
    for (s32 i = 0; i < d.point; i++) text[len++] = i < (s32)d.count ? d.digits[i] : '0';
    if (len == 1) text[len++] = '0';
    text[len] = 0;
    return mbedtls_mpi_read_string(to, 10, text) ? RC_NO_MEMORY : RC_OK;
}

value whole_value(struct heap *h, const mbedtls_mpi *n) {
    char text[NUMBER_TEXT_MAX + 8];
    size_t len;
    if (mbedtls_mpi_bitlen(n) > (size_t)NUMBER_TEXT_MAX * 3) return UNDEFINED;
    if (mbedtls_mpi_write_string(n, 10, text, sizeof text, &len)) return UNDEFINED;
    value v = value_number(h, str_of(text, len - 1));
    return value_defined(v) ? v : value_integer(0); /* "-0" is not among what it writes */
}

typedef int whole_op(mbedtls_mpi *to, const mbedtls_mpi *a, const mbedtls_mpi *b);

static int remainder_op(mbedtls_mpi *to, const mbedtls_mpi *a, const mbedtls_mpi *b) {
    return mbedtls_mpi_div_mpi(NULL, to, a, b); /* truncated: the sign of a */
}

/* RC_INVALID: an operand is not whole. UNDEFINED in *out: too large. */
static rc_t whole_apply(struct heap *h, value a, value b, whole_op *op, value *out) {
    mbedtls_mpi x, y, z;
    mbedtls_mpi_init(&x), mbedtls_mpi_init(&y), mbedtls_mpi_init(&z);
    rc_t rc = whole_read(&x, a);
    if (!rc) rc = whole_read(&y, b);
    if (!rc) *out = op(&z, &x, &y) ? UNDEFINED : whole_value(h, &z);
    mbedtls_mpi_free(&x), mbedtls_mpi_free(&y), mbedtls_mpi_free(&z);
    if (rc == RC_NO_MEMORY) *out = UNDEFINED, rc = RC_OK;
    return rc;
}

/* ---- Floats ---- */

static bool float_read(struct bigfloat *f, value n) {
    struct decimal d;
    decimal_of(&d, n);
    return bigfloat_of(f, &d) == RC_OK;
}

typedef struct bigfloat float_op(struct bigfloat a, struct bigfloat b);

static value float_apply(struct heap *h, value a, value b, float_op *op) {
    struct bigfloat x, y;
    if (!float_read(&x, a) || !float_read(&y, b)) return UNDEFINED;
    return bigfloat_value(h, op(x, y));
}

/* ---- Operators ---- */

static bool both_whole(value a, value b) { return number_is_whole(a) && number_is_whole(b); }

value number_add(struct heap *h, value a, value b) {
    s64 sum;
    value v;
    if (!a.boxed && !b.boxed && !__builtin_add_overflow(a.integer, b.integer, &sum))
        return value_integer(sum);
    if (both_whole(a, b) && whole_apply(h, a, b, mbedtls_mpi_add_mpi, &v) == RC_OK) return v;
    return float_apply(h, a, b, bigfloat_add);
}

static struct bigfloat float_subtract(struct bigfloat a, struct bigfloat b) {
    b.negative = !b.negative;
    return bigfloat_add(a, b);
}

value number_subtract(struct heap *h, value a, value b) {
    s64 difference;
    value v;
    if (!a.boxed && !b.boxed && !__builtin_sub_overflow(a.integer, b.integer, &difference))
        return value_integer(difference);
    if (both_whole(a, b) && whole_apply(h, a, b, mbedtls_mpi_sub_mpi, &v) == RC_OK) return v;
    return float_apply(h, a, b, float_subtract);
}

value number_multiply(struct heap *h, value a, value b) {
    s64 product;
    value v;
    if (!a.boxed && !b.boxed && !__builtin_mul_overflow(a.integer, b.integer, &product))
        return value_integer(product);
    if (both_whole(a, b) && whole_apply(h, a, b, mbedtls_mpi_mul_mpi, &v) == RC_OK) return v;
    return float_apply(h, a, b, bigfloat_multiply);
}

static bool is_zero(value n) {
    struct decimal d;
    if (!n.boxed) return n.integer == 0;
    decimal_of(&d, n);
    return d.count == 0;
}

static bool is_small(value n) {
    return !n.boxed && n.integer >= INT32_MIN && n.integer <= INT32_MAX;
}

value number_divide(struct heap *h, value a, value b, const char **why) {
    *why = "number out of range";
    if (is_zero(b)) {
        *why = "divide by zero";
        return UNDEFINED;
    }
    if (is_small(a) && is_small(b) && a.integer && a.integer % b.integer == 0)
        return value_integer(a.integer / b.integer);
    return float_apply(h, a, b, bigfloat_divide);
}

value number_modulo(struct heap *h, value a, value b, const char **why) {
    value v;
    *why = "number out of range";
    if (!both_whole(a, b)) {
        *why = "modulo on floating-point number";
        return UNDEFINED;
    }
    if (is_zero(b)) {
        *why = "modulo by zero";
        return UNDEFINED;
    }
    if (!a.boxed && !b.boxed) return value_integer(b.integer == -1 ? 0 : a.integer % b.integer);
    return whole_apply(h, a, b, remainder_op, &v) == RC_OK ? v : UNDEFINED;
}

static const struct bigfloat HALF = {false, 1ull << 63, -64}, ONE = {false, 1ull << 63, -63};

static struct bigfloat negated(struct bigfloat f) {
    f.negative = !f.negative;
    return f;
}

value number_round(struct heap *h, value n) { /* halves away from zero */
    struct bigfloat f;
    if (is_small(n)) return n;
    if (!float_read(&f, n)) return UNDEFINED;
    f = bigfloat_truncate(bigfloat_add(f, f.negative ? negated(HALF) : HALF));
    if (!f.mantissa) f.negative = false;
    return bigfloat_value(h, f);
}

/* What is cut off and the sign of what is left decide, as in the reference: a number between -1
 * and 0 is cut to 0, which has no sign, and so is not seen as negative any more. */
value number_ceil(struct heap *h, value n) {
    struct bigfloat f, cut;
    if (is_small(n)) return n;
    if (!float_read(&f, n)) return UNDEFINED;
    cut = bigfloat_truncate(f);
    if (!cut.mantissa) cut.negative = false;
    if (cut.negative || bigfloat_is_whole(f)) return bigfloat_value(h, cut);
    return bigfloat_value(h, bigfloat_add(cut, ONE));
}

value number_floor(struct heap *h, value n) {
    struct bigfloat f, cut;
    if (is_small(n)) return n;
    if (!float_read(&f, n)) return UNDEFINED;
    cut = bigfloat_truncate(f);
    if (!cut.mantissa) cut.negative = false;
    if (!cut.negative || bigfloat_is_whole(f)) return bigfloat_value(h, cut);
    return bigfloat_value(h, bigfloat_add(cut, negated(ONE)));
}

value number_absolute(struct heap *h, value n) {
    struct bigfloat f;
    if (is_small(n)) return value_integer(n.integer < 0 ? -n.integer : n.integer);
    if (!float_read(&f, n)) return UNDEFINED;
    f.negative = false;
    return bigfloat_value(h, f);
}

/* ---- Bits ---- */

/* Big numbers as two's complement of `bytes` bytes, most significant first, and back. */
static int to_complement(const mbedtls_mpi *n, u8 *to, size_t bytes) {
    mbedtls_mpi shifted;
    mbedtls_mpi_init(&shifted);
    int err = mbedtls_mpi_lset(&shifted, 0);
    if (!err && mbedtls_mpi_cmp_int(n, 0) < 0) { /* n + 2^(8 bytes) */
        err = mbedtls_mpi_set_bit(&shifted, bytes * 8, 1);
    }
    if (!err) err = mbedtls_mpi_add_mpi(&shifted, &shifted, n);
    if (!err) err = mbedtls_mpi_write_binary(&shifted, to, bytes);
    mbedtls_mpi_free(&shifted);
    return err;
}

static value of_complement(struct heap *h, const u8 *from, size_t bytes) {
    mbedtls_mpi n, modulus;
    mbedtls_mpi_init(&n), mbedtls_mpi_init(&modulus);
    int err = mbedtls_mpi_read_binary(&n, from, bytes);
    if (!err && (from[0] & 0x80)) {
        err = mbedtls_mpi_lset(&modulus, 0);
        if (!err) err = mbedtls_mpi_set_bit(&modulus, bytes * 8, 1);
        if (!err) err = mbedtls_mpi_sub_mpi(&n, &n, &modulus);
    }
    value v = err ? UNDEFINED : whole_value(h, &n);
    mbedtls_mpi_free(&n), mbedtls_mpi_free(&modulus);
    return v;
}

enum { BYTES_MAX = NUMBER_TEXT_MAX / 2 + 16 }; /* a digit holds 3.4 bits */

static value bits_apply(struct heap *h, value a, value b, char op) {
    u8 x_bytes[BYTES_MAX], y_bytes[BYTES_MAX];
    mbedtls_mpi x, y;
    value v = UNDEFINED;
    mbedtls_mpi_init(&x), mbedtls_mpi_init(&y);
    if (whole_read(&x, a) == RC_OK && whole_read(&y, b) == RC_OK) {
        size_t bytes = MAX(mbedtls_mpi_size(&x), mbedtls_mpi_size(&y)) + 1;
        if (bytes <= BYTES_MAX && !to_complement(&x, x_bytes, bytes) &&
            !to_complement(&y, y_bytes, bytes)) {
            for (size_t i = 0; i < bytes; i++)
                x_bytes[i] = op == '&'   ? x_bytes[i] & y_bytes[i]
                             : op == '|' ? x_bytes[i] | y_bytes[i]
                                         : x_bytes[i] ^ y_bytes[i];
            v = of_complement(h, x_bytes, bytes);
        }
    }
    mbedtls_mpi_free(&x), mbedtls_mpi_free(&y);
    return v;
}

value number_and(struct heap *h, value a, value b) {
    return !a.boxed && !b.boxed ? value_integer(a.integer & b.integer) : bits_apply(h, a, b, '&');
}

value number_or(struct heap *h, value a, value b) {
    return !a.boxed && !b.boxed ? value_integer(a.integer | b.integer) : bits_apply(h, a, b, '|');
}

value number_xor(struct heap *h, value a, value b) {
    return !a.boxed && !b.boxed ? value_integer(a.integer ^ b.integer) : bits_apply(h, a, b, '^');
}

value number_negate_bits(struct heap *h, value a) { /* -a - 1 */
    if (!a.boxed) return value_integer(~a.integer);
    return number_is_whole(a) ? number_subtract(h, value_integer(-1), a) : UNDEFINED;
}

value number_shift_left(struct heap *h, value a, u32 by) {
    mbedtls_mpi n;
    value v = UNDEFINED;
    if (by > (u32)NUMBER_TEXT_MAX * 4) return UNDEFINED;
    mbedtls_mpi_init(&n);
    if (whole_read(&n, a) == RC_OK && !mbedtls_mpi_shift_l(&n, by)) v = whole_value(h, &n);
    mbedtls_mpi_free(&n);
    return v;
}

value number_shift_right(struct heap *h, value a, u32 by) { /* towards minus infinity */
    mbedtls_mpi n;
    value v = UNDEFINED;
    if (!a.boxed) return value_integer(a.integer >> MIN(by, 63u));
    mbedtls_mpi_init(&n);
    if (whole_read(&n, a) == RC_OK) {
        bool negative = mbedtls_mpi_cmp_int(&n, 0) < 0; /* ~(~n >> by) */
        int err = negative ? mbedtls_mpi_add_int(&n, &n, 1) : 0;
        if (!err) err = mbedtls_mpi_shift_r(&n, by);
        if (!err && negative) err = mbedtls_mpi_sub_int(&n, &n, 1);
        if (!err) v = whole_value(h, &n);
    }
    mbedtls_mpi_free(&n);
    return v;
}

/* ---- Other bases ---- */

rc_t number_format(value n, int base, struct buf *out) {
    char text[NUMBER_TEXT_MAX * 4 + 8];
    mbedtls_mpi m;
    size_t len = 0;
    mbedtls_mpi_init(&m);
    rc_t rc = whole_read(&m, n);
    bool negative = mbedtls_mpi_cmp_int(&m, 0) < 0;
    if (!rc) {
        rc = mbedtls_mpi_write_string(&m, base, text, sizeof text, &len) ? RC_LIMIT : RC_OK;
        if (!rc) len--;
        /* Bytes are written whole, so a zero may stand in front. */
        if (len > 1u + negative && text[negative] == '0')
            memmove(text + negative, text + negative + 1, len-- - negative);
        for (size_t i = 0; i < len; i++)
            if (text[i] >= 'A' && text[i] <= 'F') text[i] = (char)(text[i] + 'a' - 'A');
    }
    if (!rc) rc = buf_add(out, str_of(text, len));
    mbedtls_mpi_free(&m);
    return rc;
}

value number_parse(struct heap *h, str digits, int base) {
    char text[NUMBER_TEXT_MAX + 2];
    mbedtls_mpi m;
    if (!digits.len || digits.len > NUMBER_TEXT_MAX || str_to_c(digits, text, sizeof text))
        return UNDEFINED;
    mbedtls_mpi_init(&m);
    value v = mbedtls_mpi_read_string(&m, base, text) ? UNDEFINED : whole_value(h, &m);
    mbedtls_mpi_free(&m);
    return v;
}
