/* SPDX-License-Identifier: Apache-2.0 */
/* data_csv_test.c — rows out of bytes, in pieces of any size; what is refused; what comes back. */
#include "app/data/csv.c"
#include "tests/test.h"

static struct buf seen;
static rc_t see(void *arg, u64 line, const struct csv_cell *cells, u32 count) {
    (void)arg;
    (void)buf_printf(&seen, "%llu", (unsigned long long)line);
    for (u32 i = 0; i < count; i++)
        (void)buf_printf(&seen, "|%s%.*s", cells[i].quoted ? "Q" : "", STR(cells[i].text));
    (void)buf_add(&seen, S(";"));
    return RC_OK;
}

/* The rows, and at the end what was wrong. */
static str read_by(str text, size_t step) {
    struct csv c;
    struct diag why = {0};
    rc_t rc = RC_OK;
    buf_close(&seen);
    buf_open(&seen, KIB(64));
    csv_open(&c, 64, see, NULL);
    for (size_t i = 0; !rc && i < text.len; i += step)
        rc = csv_feed(&c, str_take(str_skip(text, i), step), &why);
    if (!rc) rc = csv_end(&c, &why);
    csv_close(&c);
    if (rc) (void)buf_printf(&seen, "%s %d: %s", rc_name(rc), why.line, why.text);
    return buf_str(&seen);
}

static void rows_are(str text, str want) {
    for (size_t step = 1; step <= text.len + 1; step++) EXPECT_STR(read_by(text, step), want);
}

TEST(rows) {
    rows_are(S("a,b\n1,2\n"), S("1|a|b;2|1|2;"));
    rows_are(S("a,b\r\n1,2"), S("1|a|b;2|1|2;"));
    rows_are(S("\"a,\"\"x\"\"\",\"\"\n"), S("1|Qa,\"x\"|Q;"));
    rows_are(S("\"two\nlines\",x\ny,z"), S("1|Qtwo\nlines|x;3|y|z;"));
    rows_are(S("\xEF\xBB\xBF"
               "a\nb\n"),
             S("1|a;2|b;"));
    rows_are(S("\xEF\xBBx\n"), S("RC_INVALID 1: not UTF-8"));
    rows_are(S("a\n\n\nb,\n,"), S("1|a;4|b|;5||;"));
    rows_are(S(""), S(""));
    rows_are(S("\"\""), S("1|Q;"));
    rows_are(S("a\r\n\r\n"), S("1|a;"));
}

TEST(what_is_refused_says_where) {
    rows_are(S("a\nb\"c\n"), S("1|a;RC_INVALID 2: a quote inside a cell without quotes"));
    rows_are(S("\"a\"b\n"), S("RC_INVALID 1: something behind a cell's closing quote"));
    rows_are(S("a\n\"b\n\n"), S("1|a;RC_INVALID 4: a quoted cell does not end"));
    rows_are(S("a\rb"), S("RC_INVALID 1: a carriage return without a line feed"));
    rows_are(S("a\n\0\n"), S("1|a;RC_INVALID 2: a NUL byte"));
    rows_are(S("a\n\xC0\x80\n"), S("1|a;RC_INVALID 2: not UTF-8"));
    rows_are(S("0123456789012345678901234567890123456789012345678901234567890123456789"),
             S("RC_LIMIT 1: the row is too long"));
    rows_are(
        S(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,"
          ",,,,,,,,,,,,,,,,,"),
        S("RC_LIMIT 1: too many columns"));
}

TEST(a_row_that_is_not_wanted_ends_it) {
    struct csv c;
    struct diag why = {0};
    csv_open(&c, 64, NULL, NULL);
    c.state = BROKEN;
    EXPECT_RC(csv_feed(&c, S("a"), &why), RC_INVALID);
    EXPECT_RC(csv_end(&c, &why), RC_INVALID);
    csv_close(&c);
}

TEST(texts_come_back_and_formulas_stay_texts) {
    static const char *const texts[] = {"plain", "=1+1", "'=1+1", "''-x", "'",
                                        "''",    "a,b",  "\"",    "-5",   "+x",
                                        "@y",    "\tt",  "\rx",   "x\ny", "'x"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct buf b;
        struct csv c;
        struct diag why = {0};
        str text = str_from_c(texts[i]);
        buf_open(&b, KIB(4));
        csv_put(&b, text, true);
        char first = b.ptr[b.ptr[0] == '"'];
        EXPECT(!strchr("=+-@\t\r", first));
        buf_close(&seen);
        buf_open(&seen, KIB(4));
        csv_open(&c, KIB(4), see, NULL);
        EXPECT_OK(csv_feed(&c, buf_str(&b), &why));
        c.count = 0; /* the cell alone: what csv_end would make of it is shown above */
        EXPECT_OK(end_cell(&c, true, &why));
        str cell = str_of(c.bytes.ptr + c.cells[0].from, c.cells[0].len);
        EXPECT_STR(csv_plain(cell), text);
        csv_close(&c);
        buf_close(&b);
    }
    struct buf b;
    buf_open(&b, KIB(4));
    csv_put(&b, S("-5"), false); /* a number */
    EXPECT_STR(buf_str(&b), S("-5"));
    buf_clear(&b);
    csv_put(&b, S(""), true);
    EXPECT_STR(buf_str(&b), S("\"\""));
    buf_close(&b);
}
