/* SPDX-License-Identifier: Apache-2.0 */
/* format.c — sprintf: the reference's format language over values.
 *
 *   %[flags][width][.precision][index]verb      flags: + - # blank 0      width, precision: number
 * or *
 *
 * A number is an int, a big int or a float by how it is written (1.0 is a float); a string is a
 * string; anything else is the text of its value. What does not fit is said in the output:
 * %!d(string=x), %!d(MISSING), %!(EXTRA ...), %!(NOVERB). */
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/builtin/float_digits.h"
#include "app/policy/builtin/quote.h"
#include "app/policy/builtin/unicode.h"

enum arg_kind { ARG_INT, ARG_BIG, ARG_FLOAT, ARG_STRING };
static const char *const arg_types[] = {"int64", "*big.Int", "float64", "string"};
struct arg { enum arg_kind kind; s64 integer; value number; double real; str string; };

struct verb { /* one directive, being carried out */
    bool plus, minus, sharp, blank, zero, has_width, has_precision;
    bool source; /* %#v: as source text */
    s64 width, precision;
    u32 letter;
};
struct printer {
    struct builtin_call *call;
    struct buf *out;
    struct buf scratch; /* the text of one argument before it is padded */
    struct buf of_value; /* the text of an argument that is neither number nor string */
    str format;
    size_t at;
    value args;
    u32 next;
    bool reordered, good_index;
};

enum { WIDTH_MAX = 1000000 }; /* the reference's */

/* ---- Arguments ---- */

static struct arg arg_of(struct printer *p, u32 i) {
    value v = value_item(p->args, i);
    struct arg a = {.kind = ARG_STRING, .number = v};
    if (v.kind == VALUE_STRING) a.string = value_str(v);
    else if (v.kind != VALUE_NUMBER) {
        buf_clear(&p->of_value);
        value_write(&p->of_value, v);
        a.string = buf_str(&p->of_value);
    } else if (!v.boxed) a.kind = ARG_INT, a.integer = v.integer;
    else {
        str text = str_of(v.number->text, v.number->len);
        bool fraction = false;
        for (size_t k = 0; k < text.len; k++)
            fraction = fraction || (text.ptr[k] && strchr(".eE", text.ptr[k]));
        if (!fraction) a.kind = number_to_s64(v, &a.integer) == RC_OK ? ARG_INT : ARG_BIG;
        else {
            a.kind = ARG_FLOAT, a.real = number_to_double(v);
            if (a.real - a.real != 0)
                a.kind = ARG_STRING, a.string = text; /* too large for a float */
        }
    }
    return a;
}

/* ---- Padding ---- */

static void repeat(struct buf *to, char ch, s64 n) {
    if (n > 0 && buf_reserve(to, (size_t)n) == RC_OK)
        memset(to->ptr + to->len, ch, (size_t)n), to->len += (size_t)n;
}
static void pad(struct printer *p, const struct verb *v, str s, bool zeros) {
    s64 n = v->has_width ? v->width - (s64)rune_count(s) : 0;
    if (!v->minus) repeat(p->out, zeros ? '0' : ' ', n);
    (void)buf_add(p->out, s);
    if (v->minus) repeat(p->out, ' ', n);
}
static bool zeros(const struct verb *v) { return v->zero && !v->minus; }

/* ---- Whole numbers ---- */

/* Digits without sign, in `digits`; prefix and sign are put before what precision and zeros add. */
static void integer(struct printer *p, const struct verb *v, bool negative, str digits, int base) {
    s64 precision = 0;
    bool nothing = v->has_precision && v->precision == 0 && str_eq(digits, S("0"));
    if (nothing) {
        repeat(p->out, ' ', v->has_width ? v->width : 0);
        return;
    }
    if (v->has_precision) precision = v->precision;
    else if (zeros(v) && v->has_width) precision = v->width - (negative || v->plus || v->blank);
    struct buf *text = &p->scratch;
    buf_clear(text);
    if (negative || v->plus || v->blank)
        (void)buf_add_byte(text, negative ? '-' : v->plus ? '+' : ' ');
    bool filled = precision > (s64)digits.len;
    if (v->letter == 'O') (void)buf_add(text, S("0o"));
    if (v->sharp && base == 2) (void)buf_add(text, S("0b"));
    else if (v->sharp && base == 8 && !filled && digits.ptr[0] != '0')
        (void)buf_add_byte(text, '0');
    else if (v->sharp && base == 16) (void)buf_add(text, v->letter == 'X' ? S("0X") : S("0x"));
    repeat(text, '0', precision - (s64)digits.len);
    (void)buf_add(text, digits);
    pad(p, v, buf_str(text), false);
}

static str digits_of(char room[72], u64 n, int base, bool upper) {
    char *at = room + 72;
    do *--at = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[n % (u64)base];
    while (n /= (u64)base);
    return str_of(at, (size_t)(room + 72 - at));
}

static void unicode(struct printer *p, const struct verb *v, u64 n) {
    char room[72];
    str digits = digits_of(room, n, 16, true);
    buf_clear(&p->scratch);
    (void)buf_add(&p->scratch, S("U+"));
    repeat(&p->scratch, '0',
           (v->has_precision && v->precision > 4 ? v->precision : 4) - (s64)digits.len);
    (void)buf_add(&p->scratch, digits);
    if (v->sharp && n <= RUNE_MAX && unicode_is_print((u32)n)) {
        (void)buf_add(&p->scratch, S(" '"));
        buf_add_rune(&p->scratch, (u32)n);
        (void)buf_add_byte(&p->scratch, '\'');
    }
    pad(p, v, buf_str(&p->scratch), false);
}

static bool print_int(struct printer *p, const struct verb *v, s64 n) {
    char room[72];
    bool negative = n < 0;
    u64 magnitude = negative ? 0 - (u64)n : (u64)n;
    switch (v->letter) {
    case 'v':
    case 'd': integer(p, v, negative, digits_of(room, magnitude, 10, false), 10); return true;
    case 'b': integer(p, v, negative, digits_of(room, magnitude, 2, false), 2); return true;
    case 'o':
    case 'O': integer(p, v, negative, digits_of(room, magnitude, 8, false), 8); return true;
    case 'x':
    case 'X':
        integer(p, v, negative, digits_of(room, magnitude, 16, v->letter == 'X'), 16);
        return true;
    case 'c': case 'q': {
        u32 rune = negative || magnitude > RUNE_MAX ? RUNE_BAD : (u32)magnitude;
        buf_clear(&p->scratch);
        if (v->letter == 'c') buf_add_rune(&p->scratch, rune);
        else quote_write_rune(&p->scratch, rune, v->plus);
        pad(p, v, buf_str(&p->scratch), zeros(v));
        return true;
    }
    case 'U': unicode(p, v, (u64)n); return true;
    default: return false;
    }
}

static void print_big(struct printer *p, const struct verb *v, value n) {
    struct buf digits;
    struct verb u = *v;
    u.sharp = v->sharp && v->letter != 'O';
    int base = v->letter == 'b'                       ? 2
               : v->letter == 'o' || v->letter == 'O' ? 8
               : (v->letter | 32) == 'x'              ? 16
                                                      : 10;
    buf_open(&digits, 8 * NUMBER_TEXT_MAX);
    if (number_format(n, base, &digits) == RC_OK && digits.len) {
        str s = buf_str(&digits);
        bool negative = s.ptr[0] == '-';
        if (negative) s = str_skip(s, 1);
        for (size_t i = 0; v->letter == 'X' && i < digits.len; i++)
            if (digits.ptr[i] >= 'a') digits.ptr[i] = (char)(digits.ptr[i] - 32);
        if (v->letter < 0x80 && strchr("vdsboOxX", (int)v->letter))
            integer(p, &u, negative, s, base);
        else {
            (void)buf_add(p->out, S("%!"));
            buf_add_rune(p->out, v->letter);
            (void)buf_printf(p->out, "(big.Int=%.*s)", STR(buf_str(&digits)));
        }
    }
    buf_close(&digits);
}

/* ---- Floats ---- */

/* '#': always a point; with g and x also the zeros that precision asks for (the x of "0x" counts as
 * a digit). */
static void keep_point(struct buf *text, u32 letter, s64 digits) {
    char tail[12];
    size_t tail_len = 0;
    bool point = false, some = false;
    for (size_t i = 1; i < text->len; i++) {
        char ch = text->ptr[i];
        if (ch == '.') point = true;
        else if ((ch | 32) == 'p' || ((ch | 32) == 'e' && (letter | 32) != 'x')) {
            tail_len = MIN(text->len - i, sizeof(tail));
            memcpy(tail, text->ptr + i, tail_len);
            text->len = i;
        } else {
            some = some || ch != '0';
            digits -= some;
        }
    }
    if (!point) {
        if (text->len == 2 && text->ptr[1] == '0') digits--;
        (void)buf_add_byte(text, '.');
    }
    if ((letter | 32) == 'g' || letter == 'x') repeat(text, '0', digits);
    (void)buf_add(text, str_of(tail, tail_len));
}

/* Mantissa in hexadecimal, power of two: 0x1.8p+01. */
static void write_hex(struct buf *to, double v, s64 precision, bool upper) {
    u64 bits;
    memcpy(&bits, &v, sizeof(bits));
    u64 mantissa = bits & ((1ull << 52) - 1);
    s64 exponent = (s64)(bits >> 52 & 0x7FF) - 1023;
    if (exponent == -1023) {
        exponent = mantissa ? -1022 : 0;
        while (mantissa && !(mantissa >> 52 & 1)) mantissa <<= 1, exponent--;
    } else mantissa |= 1ull << 52;
    if (precision >= 0 && precision < 13) { /* round to nearest, ties to even */
        u32 drop = (u32)(52 - 4 * precision);
        u64 half = 1ull << (drop - 1), rest = mantissa & ((half << 1) - 1);
        mantissa >>= drop;
        if (rest > half || (rest == half && (mantissa & 1))) mantissa++;
        mantissa <<= drop;
        if (mantissa >> 53) mantissa >>= 1, exponent++;
    }
    (void)buf_printf(to, "%s%u", upper ? "0X" : "0x", (u32)(mantissa >> 52));
    u64 digits = mantissa << 12;
    if (precision > 0 || (precision < 0 && digits)) (void)buf_add_byte(to, '.');
    for (s64 i = 0; precision < 0 ? digits != 0 : i < precision && !to->failed; i++, digits <<= 4)
        (void)buf_add_byte(to, (upper ? "0123456789ABCDEF" : "0123456789abcdef")[digits >> 60]);
    (void)buf_printf(to, "%c%c%02lld", upper ? 'P' : 'p', exponent < 0 ? '-' : '+',
                     (long long)(exponent < 0 ? -exponent : exponent));
}

static void write_double(struct printer *p, struct buf *to, double real, char how, s64 precision) {
    struct float_digits d;
    char room[NUMBER_TEXT_ROOM];
    if (precision < 0) {
        value shortest = value_number_of_double(p->call->heap, real < 0 ? -real : real);
        if (shortest.kind == VALUE_NUMBER) float_digits_of_text(&d, number_text(shortest, room));
        else float_digits_of_double(&d, real);
        float_digits_write(to, &d, how, -1, true);
        return;
    }
    float_digits_of_double(&d, real);
    char lower = (char)(how | 32);
    if (lower == 'g' && precision == 0) precision = 1;
    float_digits_round(&d, lower == 'e'   ? (s32)precision + 1
                           : lower == 'g' ? (s32)precision
                                          : d.point + (s32)precision);
    float_digits_write(to, &d, how, (s32)precision, false);
}

static bool print_float(struct printer *p, const struct verb *v, double real) {
    u32 letter = v->letter == 'v' ? 'g' : v->letter == 'F' ? 'f' : v->letter;
    if (letter >= 0x80 || !strchr("gGeEfxXb", (int)letter)) return false;
    s64 precision = v->has_precision                                  ? v->precision
                    : letter == 'e' || letter == 'E' || letter == 'f' ? 6
                                                                      : -1;
    struct buf *text = &p->scratch;
    bool negative = __builtin_signbit(real);
    buf_clear(text);
    (void)buf_add_byte(text, negative ? '-' : v->plus ? '+' : v->blank ? ' ' : '+');
    if (letter == 'b') {
        u64 bits;
        memcpy(&bits, &real, sizeof(bits));
        s64 exponent = (s64)(bits >> 52 & 0x7FF);
        u64 mantissa = (bits & ((1ull << 52) - 1)) | (exponent ? 1ull << 52 : 0);
        exponent = (exponent ? exponent : 1) - 1075;
        (void)buf_printf(text, "%llup%+lld", (unsigned long long)mantissa, (long long)exponent);
    } else if ((letter | 32) == 'x') write_hex(text, real, precision, letter == 'X');
    else write_double(p, text, real, (char)letter, precision);
    if (v->sharp && letter != 'b') keep_point(text, letter, precision < 0 ? 6 : precision);
    str s = buf_str(text);
    bool sign = v->plus || negative || v->blank;
    if (sign && zeros(v) && v->has_width && v->width > (s64)s.len) {
        (void)buf_add_byte(p->out, s.ptr[0]);
        repeat(p->out, '0', v->width - (s64)s.len);
        (void)buf_add(p->out, str_skip(s, 1));
    } else pad(p, v, sign ? s : str_skip(s, 1), zeros(v));
    return true;
}

/* ---- Strings ---- */

static str cut(const struct verb *v, str s) {
    if (!v->has_precision) return s;
    size_t at = 0;
    u32 width;
    for (s64 n = v->precision; n > 0 && at < s.len; n--) rune_decode(s, at, &width), at += width;
    return str_take(s, at);
}

static void print_hex_string(struct printer *p, const struct verb *v, str s) {
    bool upper = v->letter == 'X';
    if (v->has_precision && v->precision < (s64)s.len) s = str_take(s, (size_t)v->precision);
    buf_clear(&p->scratch);
    for (size_t i = 0; i < s.len; i++) {
        u8 byte = (u8)s.ptr[i];
        if (v->blank && i) (void)buf_add_byte(&p->scratch, ' ');
        if (v->sharp && (v->blank || i == 0)) (void)buf_add(&p->scratch, upper ? S("0X") : S("0x"));
        (void)buf_add_byte(&p->scratch,
                           (upper ? "0123456789ABCDEF" : "0123456789abcdef")[byte >> 4]);
        (void)buf_add_byte(&p->scratch,
                           (upper ? "0123456789ABCDEF" : "0123456789abcdef")[byte & 15]);
    }
    pad(p, v, buf_str(&p->scratch), zeros(v));
}

/* Between backquotes nothing is escaped, so some strings cannot lie there. */
static bool fits_backquotes(str s) {
    u32 width;
    for (size_t at = 0; at < s.len; at += width) {
        u32 r = rune_decode(s, at, &width);
        if (r == 0xFEFF || (r == RUNE_BAD && width == 1) || (r < ' ' && r != '\t') || r == '`' ||
            r == 0x7F)
            return false;
    }
    return true;
}

static bool print_string(struct printer *p, const struct verb *v, str s) {
    if (v->letter == 'q' || v->source) {
        s = cut(v, s);
        buf_clear(&p->scratch);
        if (v->sharp && fits_backquotes(s)) (void)buf_printf(&p->scratch, "`%.*s`", STR(s));
        else quote_write(&p->scratch, s, v->plus);
        pad(p, v, buf_str(&p->scratch), zeros(v));
    } else if (v->letter == 'v' || v->letter == 's') pad(p, v, cut(v, s), zeros(v));
    else if ((v->letter | 32) == 'x') print_hex_string(p, v, s);
    else return false;
    return true;
}

/* ---- Directives ---- */

static bool print_kind(struct printer *p, const struct verb *v, struct arg a) {
    switch (a.kind) {
    case ARG_INT: return print_int(p, v, a.integer);
    case ARG_BIG: print_big(p, v, a.number); break;
    case ARG_FLOAT: return print_float(p, v, a.real);
    case ARG_STRING: return print_string(p, v, a.string);
    }
    return true;
}

/* A verb that does not fit: the argument in plain form, padded and signed as the verb asked. */
static void print_arg(struct printer *p, const struct verb *v, struct arg a) {
    struct verb u = *v;
    if (v->letter == 'T') {
        u.letter = 's';
        print_string(p, &u, str_from_c(arg_types[a.kind]));
        return;
    }
    if ((v->letter == 'v' || v->letter == 'w') && a.kind != ARG_BIG)
        u.source = v->sharp, u.sharp = u.plus = false;
    if (print_kind(p, &u, a)) return;
    (void)buf_add(p->out, S("%!"));
    buf_add_rune(p->out, v->letter);
    (void)buf_printf(p->out, "(%s=", arg_types[a.kind]);
    u.letter = 'v';
    print_kind(p, &u, a);
    (void)buf_add_byte(p->out, ')');
}

static char peek(const struct printer *p) {
    return p->at < p->format.len ? p->format.ptr[p->at] : '\0';
}

/* A number at the place; false: none, or too large for the reference, which then drops all of the
 * rest. */
static bool take_number(struct printer *p, s64 *out) {
    size_t from = p->at;
    *out = 0;
    while (p->at < p->format.len && p->format.ptr[p->at] >= '0' && p->format.ptr[p->at] <= '9') {
        *out = *out * 10 + (p->format.ptr[p->at++] - '0');
        if (*out > WIDTH_MAX * 10ll) break;
    }
    if (*out > WIDTH_MAX) {
        p->at = p->format.len;
        *out = 0;
        return false;
    }
    return p->at > from;
}

/* "[3]": the next argument to use. */
static bool take_index(struct printer *p) {
    if (peek(p) != '[') return false;
    p->reordered = true;
    str rest = str_skip(p->format, p->at);
    size_t close = str_find_byte(rest, ']');
    u64 n;
    if (close == rest.len) {
        p->at++;
        p->good_index = false;
        return false;
    }
    bool good = str_to_u64(str_of(rest.ptr + 1, close - 1), &n) == RC_OK && n >= 1 &&
                n <= value_count(p->args);
    p->at += close + 1;
    if (good) p->next = (u32)n - 1;
    else p->good_index = false;
    return good;
}

/* '*': width or precision from an argument. false: it is no whole number of a fitting size. */
static bool take_star(struct printer *p, s64 *out) {
    *out = 0;
    if (p->next >= value_count(p->args)) return false;
    struct arg a = arg_of(p, p->next++);
    if (a.kind != ARG_INT || a.integer > WIDTH_MAX || a.integer < -WIDTH_MAX) return false;
    *out = a.integer;
    return true;
}

static void take_flags(struct printer *p, struct verb *v) {
    for (; p->at < p->format.len; p->at++) {
        switch (p->format.ptr[p->at]) {
        case '#': v->sharp = true; break;
        case '0': v->zero = true; break;
        case '+': v->plus = true; break;
        case '-': v->minus = true; break;
        case ' ': v->blank = true; break;
        default: return;
        }
    }
}

static void take_width(struct printer *p, struct verb *v, bool *after_index) {
    if (peek(p) == '*') {
        p->at++;
        v->has_width = take_star(p, &v->width);
        if (!v->has_width) (void)buf_add(p->out, S("%!(BADWIDTH)"));
        if (v->width < 0) v->width = -v->width, v->minus = true, v->zero = false;
        *after_index = false;
        return;
    }
    v->has_width = take_number(p, &v->width);
    if (*after_index && v->has_width) p->good_index = false; /* "%[3]2d" */
}

static void take_precision(struct printer *p, struct verb *v, bool *after_index) {
    if (peek(p) != '.' || p->at + 1 == p->format.len) return;
    p->at++;
    if (*after_index) p->good_index = false; /* "%[3].2d" */
    *after_index = take_index(p);
    if (peek(p) != '*') {
        v->has_precision = take_number(p, &v->precision);
        if (!v->has_precision) v->precision = 0, v->has_precision = true;
        return;
    }
    p->at++;
    v->has_precision = take_star(p, &v->precision);
    if (v->precision < 0) v->precision = 0, v->has_precision = false;
    if (!v->has_precision) (void)buf_add(p->out, S("%!(BADPREC)"));
    *after_index = false;
}

static void directive(struct printer *p) {
    struct verb v = {0};
    u32 width;
    p->good_index = true;
    take_flags(p, &v);
    bool after_index = take_index(p);
    take_width(p, &v, &after_index);
    take_precision(p, &v, &after_index);
    if (!after_index) take_index(p);
    if (p->at >= p->format.len) {
        (void)buf_add(p->out, S("%!(NOVERB)"));
        return;
    }
    v.letter = rune_decode(p->format, p->at, &width);
    p->at += width;
    if (v.letter == '%') (void)buf_add_byte(p->out, '%');
    else if (!p->good_index || p->next >= value_count(p->args)) {
        (void)buf_add(p->out, S("%!"));
        buf_add_rune(p->out, v.letter);
        (void)buf_add(p->out, p->good_index ? S("(MISSING)") : S("(BADINDEX)"));
    } else print_arg(p, &v, arg_of(p, p->next++));
}

static void extra(struct printer *p) {
    const struct verb plain = {.letter = 'v'};
    if (p->reordered || p->next >= value_count(p->args)) return;
    (void)buf_add(p->out, S("%!(EXTRA "));
    for (u32 i = p->next; i < value_count(p->args) && builtin_tick(p->call, 1); i++) {
        struct arg a = arg_of(p, i);
        (void)buf_printf(p->out, "%s%s=", i > p->next ? ", " : "", arg_types[a.kind]);
        print_arg(p, &plain, a);
    }
    (void)buf_add_byte(p->out, ')');
}

value builtin_sprintf(struct builtin_call *c, const value *args) {
    struct buf out;
    struct printer p = {.call = c, .out = &out, .args = args[1]};
    if (!builtin_take_string(c, args, 0, &p.format) || !builtin_take_kind(c, args, 1, VALUE_ARRAY))
        return UNDEFINED;
    builtin_text_open(c, &out);
    builtin_text_open(c, &p.scratch);
    builtin_text_open(c, &p.of_value);
    size_t counted = 0;
    while (p.at < p.format.len && !out.failed && !p.scratch.failed && !p.of_value.failed) {
        str rest = str_skip(p.format, p.at);
        size_t plain = str_find_byte(rest, '%');
        (void)buf_add(&out, str_take(rest, plain));
        p.at += plain;
        if (plain < rest.len) p.at++, directive(&p);
        if (!builtin_tick(c, 1 + (u32)((out.len - counted) / 64))) break;
        counted = out.len;
    }
    if (!c->failed) extra(&p);
    if (p.scratch.failed || p.of_value.failed) out.failed = true;
    buf_close(&p.scratch);
    buf_close(&p.of_value);
    if (!c->failed) return builtin_text_close(c, &out);
    buf_close(&out);
    return UNDEFINED;
}
