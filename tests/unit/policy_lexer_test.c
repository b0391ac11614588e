/* SPDX-License-Identifier: Apache-2.0 */
/* The lexer: how texts are cut, where the pieces are, and what is wrong with others. */
#include <stdio.h>
#include "app/policy/lang/lexer.c"
#include "kernel/base/buf.h"
#include "tests/test.h"

/* "word@row:column word@..", errors in < > behind the token they were found in. */
static void write_tokens(struct buf *out, const char *text, unsigned keywords, bool blanks,
                         bool template) {
    struct lexer_errors found;
    struct lexeme one = {0};
    struct lexer l;
    bool newline = false, first = true;
    lexer_open(&l, str_from_c(text), &found);
    l.keywords = (u8)keywords;
    do {
        bool raw = template && one.kind == TOKEN_RBRACE &&
                   str_find(str_from_c(text), S("$`")) < strlen(text);
        if (template && one.kind == TOKEN_RBRACE) lexer_next_template(&l, raw, &one);
        else lexer_next(&l, blanks, &newline, &one);
        (void)buf_printf(out, "%s%s@%u:%u",
                         first     ? ""
                         : newline ? " / "
                                   : " ",
                         token_name(one.kind), one.row, one.column);
        for (u32 i = 0; i < found.count; i++) (void)buf_printf(out, "<%s>", found.what[i]);
        found.count = 0, newline = first = false;
    } while (one.kind != TOKEN_EOF);
}
static void expect_tokens(const char *text, unsigned keywords, bool blanks, bool template,
                          const char *want, int line) {
    struct buf out;
    buf_open(&out, 1 << 16);
    write_tokens(&out, text, keywords, blanks, template);
    if (!str_eq(buf_str(&out), str_from_c(want)))
        test_fail(__FILE__, line, "%s is cut into\n%.*s\nnot\n%s", text, STR(buf_str(&out)), want);
    buf_close(&out);
}
#define EXPECT_TOKENS(text, want) expect_tokens(text, 0, false, false, want, __LINE__)

TEST(symbols) {
    EXPECT_TOKENS("[ ]{}(),:;.",
                  "[@1:1 ]@1:3 {@1:4 }@1:5 (@1:6 )@1:7 ,@1:8 :@1:9 ;@1:10 .@1:11 eof@1:11");
    EXPECT_TOKENS("+-*/%&|", "plus@1:1 minus@1:2 mul@1:3 div@1:4 rem@1:5 and@1:6 or@1:7 eof@1:7");
    EXPECT_TOKENS("= == := != < <= > >=",
                  "eq@1:1 equal@1:3 assign@1:6 neq@1:9 lt@1:12 lte@1:14 gt@1:17 "
                  "gte@1:19 eof@1:20");
}
TEST(words_are_keywords_when_asked_for) {
    EXPECT_TOKENS("package as default else not some with null true false import",
                  "package@1:1 as@1:9 default@1:12 else@1:20 not@1:25 some@1:29 with@1:34 "
                  "null@1:39 true@1:44 "
                  "false@1:49 import@1:55 eof@1:60");
    EXPECT_TOKENS("in every contains if and or",
                  "identifier@1:1 identifier@1:4 identifier@1:10 identifier@1:19 "
                  "identifier@1:22 identifier@1:26 eof@1:27");
    expect_tokens("in every contains if and or", KEYWORDS_V1, false, false,
                  "in@1:1 every@1:4 contains@1:10 if@1:19 identifier@1:22 identifier@1:26 eof@1:27",
                  __LINE__);
    expect_tokens("and or ands a containss Not _in", KEYWORDS_ALL, false, false,
                  "and@1:1 or@1:5 identifier@1:8 identifier@1:13 identifier@1:15 identifier@1:25 "
                  "identifier@1:29 "
                  "eof@1:31",
                  __LINE__);
    EXPECT(token_is_reserved(S("in"), true, 0));
    EXPECT(!token_is_reserved(S("in"), false, 0));
    EXPECT(token_is_reserved(S("in"), false, KEYWORD_IN));
    EXPECT(token_is_reserved(S("not"), false, 0));
    EXPECT(!token_is_reserved(S(""), true, 0));
    EXPECT(!token_is_reserved(S("containsx"), true, 0));
}
TEST(columns_count_characters) {
    EXPECT_TOKENS("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" x\n\ty",
                  "string@1:1 identifier@1:7 / identifier@2:2 eof@2:2");
    EXPECT_TOKENS("a # \xc3\xa9 b\nc", "identifier@1:1 comment@1:3 / identifier@2:1 eof@2:1");
    EXPECT_TOKENS("`a\n\xc3\xa9` b", "string@1:1 identifier@2:4 eof@2:4");
    EXPECT_TOKENS("\xef\xbb\xbfx", "identifier@1:2 eof@1:2");
    EXPECT_TOKENS("", "eof@1:0");
}
TEST(blanks_are_tokens_when_asked_for) {
    expect_tokens(
        "a \n\tb", 0, true, false,
        "identifier@1:1 whitespace@1:2 / whitespace@2:0 whitespace@2:1 identifier@2:2 eof@2:2",
        __LINE__);
    EXPECT_TOKENS("a\r\n \n b", "identifier@1:1 / identifier@3:2 eof@3:2");
}
TEST(names_may_hold_digits_of_other_scripts) {
    EXPECT_TOKENS("a\xd9\xa1_9 b", "identifier@1:1 identifier@1:6 eof@1:6");
    EXPECT_TOKENS("\xd9\xa1", "illegal@1:1 eof@1:1");
    EXPECT_TOKENS("\xc3\xa9", "illegal@1:1 eof@1:1");
}
TEST(numbers) {
    EXPECT_TOKENS("0 12 1.5 1e3 1.5E-3 2e+1",
                  "number@1:1 number@1:3 number@1:6 number@1:10 number@1:14 number@1:21 "
                  "eof@1:24");
    EXPECT_TOKENS("1. 1e 1.e", "number@1:1<expected fraction> number@1:4<expected exponent> "
                  "number@1:7<expected fraction><expected exponent> eof@1:9");
    EXPECT_TOKENS("0a2b 1\xd9\xa1 3_\xd9\xa1",
                  "number@1:1<illegal number format> number@1:6 illegal@1:7 "
                  "number@1:9<illegal number format> eof@1:11");
}
TEST(strings) {
    EXPECT_TOKENS("\"a\\\"b\\\\\\/\\b\\f\\n\\r\\t\\u00e9\" `\\a\nb`",
                  "string@1:1 string@1:28 eof@2:2");
    EXPECT_TOKENS("\"a", "string@1:1<non-terminated string> eof@1:2");
    EXPECT_TOKENS("\"a\nb", "string@1:1<non-terminated string> / identifier@2:1 eof@2:1");
    EXPECT_TOKENS("`a", "string@1:1<non-terminated string> eof@1:2");
    EXPECT_TOKENS("\"\\q\\{\"",
                  "string@1:1<illegal escape sequence><illegal escape sequence> eof@1:6");
    EXPECT_TOKENS("\"\\", "string@1:1<illegal escape sequence><non-terminated string> eof@1:2");
}
TEST(templates_go_on_behind_an_expression) {
    expect_tokens("$\"a{x}b{y}\\{\\n\" z", 0, false, true,
                  "template-string-part@1:1 identifier@1:5 }@1:6 template-string-part@1:7 "
                  "identifier@1:9 }@1:10 "
                  "template-string-end@1:11 identifier@1:17 eof@1:17",
                  __LINE__);
    expect_tokens("$`a{x}\\{\n{y}`", 0, false, true,
                  "raw-template-string-part@1:1 identifier@1:5 }@1:6 raw-template-string-part@1:7 "
                  "identifier@2:2 }@2:3 "
                  "raw-template-string-end@2:4 eof@2:4",
                  __LINE__);
    EXPECT_TOKENS("$\"a\" $`b`", "template-string-end@1:1 raw-template-string-end@1:6 eof@1:9");
    EXPECT_TOKENS("$\"a", "template-string-part@1:1<non-terminated string> eof@1:3");
    EXPECT_TOKENS("$`a", "raw-template-string-part@1:1<non-terminated string> eof@1:3");
    EXPECT_TOKENS("$\"\\q\"", "template-string-end@1:1<illegal escape sequence> eof@1:5");
}
TEST(what_is_no_token) {
    EXPECT_TOKENS(
        "! $ ^ @",
        "illegal@1:1<illegal ! character> illegal@1:3<illegal $ character> illegal@1:5 illegal@1:7 "
        "eof@1:7");
    EXPECT_TOKENS("a\xff", "identifier@1:1<illegal utf-8 character> illegal@1:2 eof@1:2");
    EXPECT_TOKENS(
        "\xc0\x80",
        "illegal@1:1<illegal utf-8 character><illegal utf-8 character> illegal@1:2 eof@1:2");
    EXPECT_TOKENS("\"\xed\xa0\x80\"", "string@1:1<illegal utf-8 character><illegal utf-8 character>"
                  "<illegal utf-8 character> eof@1:5");
    EXPECT_TOKENS("a \xff",
                  "identifier@1:1 whitespace@1:2<illegal utf-8 character> illegal@1:3 eof@1:3");
    EXPECT_TOKENS("a\xef\xbb\xbf", "identifier@1:1<illegal byte-order mark> illegal@1:2 eof@1:2");
    EXPECT_TOKENS(
        "\xff\xff",
        "illegal@1:1<illegal utf-8 character><illegal utf-8 character> illegal@1:2 eof@1:2");
}
TEST(a_null_inside_is_an_error) {
    struct lexer_errors found;
    struct lexeme one;
    struct lexer l;
    bool newline;
    lexer_open(&l, S("a\0b"), &found);
    lexer_next(&l, false, &newline, &one);
    EXPECT_EQ(one.kind, TOKEN_IDENT);
    EXPECT_EQ(found.count, 1);
    EXPECT_STR(str_from_c(found.what[0]), S("illegal null character"));
}
TEST(errors_of_one_token_are_few) {
    struct buf out;
    buf_open(&out, 1 << 16);
    write_tokens(&out, "\"\\q\\q\\q\\q\\q\\q\\q\\q\\q\\q\\q\\q\"", 0, false, false);
    u32 n = 0;
    for (u32 i = 0; i < out.len; i++) n += out.ptr[i] == '<';
    EXPECT_EQ(n, LEXER_ERRORS_MAX);
    buf_close(&out);
}
