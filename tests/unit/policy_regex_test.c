/* SPDX-License-Identifier: Apache-2.0 */
/* policy_regex_test.c — expressions: syntax and its errors, matches, groups, what is endless; globs. */
#include "app/policy/regex/regex.c"
#include "tests/unit/policy_builtin.h"
#include <stdio.h>

static bool always(void *arg, u32 steps) {
    u64 *left = arg;
    if (!left) return true;
    if (*left < steps) return false;
    *left -= steps;
    return true;
}

/* "0-3 1-2 -": where the groups of the first match are; "no"; or the error. */
static const char *groups_of(const char *pattern, const char *text) {
    static char out[1024];
    struct regex *r;
    struct buf why;
    s64 groups[2 * 20];
    buf_open(&why, sizeof(out) - 1);
    if (regex_open(&r, str_from_c(pattern), &why) != RC_OK) {
        snprintf(out, sizeof(out), "%.*s", STR(buf_str(&why)));
        buf_close(&why);
        return out;
    }
    buf_close(&why);
    u32 count = MIN(regex_groups(r), 20u);
    rc_t rc = regex_find(r, str_from_c(text), 0, groups, count, (struct regex_work){always, NULL});
    EXPECT_RC(regex_match(r, str_from_c(text), (struct regex_work){always, NULL}), rc);
    size_t n = 0;
    if (rc != RC_OK) snprintf(out, sizeof(out), "no");
    for (u32 i = 0; rc == RC_OK && i < count; i++)
        n += (size_t)(groups[2 * i] < 0 ? snprintf(out + n, sizeof(out) - n, "%s-", i ? " " : "")
                                        : snprintf(out + n, sizeof(out) - n, "%s%d-%d", i ? " " : "", (int)groups[2 * i], (int)groups[2 * i + 1]));
    regex_close(r);
    return out;
}
#define EXPECT_REGEX(pattern, text, want) EXPECT_STR(str_from_c(groups_of((pattern), (text))), S(want))

TEST(plain_matches) {
    EXPECT_REGEX("abc", "xabcy", "1-4");
    EXPECT_REGEX("", "abc", "0-0");
    EXPECT_REGEX("a.c", "a\nc abc", "4-7");
    EXPECT_REGEX("(?s)a.c", "a\nc", "0-3");
    EXPECT_REGEX("[a-c]+", "xxabcabz", "2-7");
    EXPECT_REGEX("[^a-c]+", "abxyzc", "2-5");
    EXPECT_REGEX("[]a]+", "x]a]", "1-4");
    EXPECT_REGEX("[a-]+", "b-a-", "1-4");
    EXPECT_REGEX("\u00e5+", "x\u00e5\u00e5", "1-5");
    EXPECT_REGEX(".", "\xff", "0-1");
    EXPECT_REGEX("\\x{fffd}", "\xc3(", "0-1");
    EXPECT_REGEX("\\Qa.b\\E+", "a.bbb", "0-5");
    EXPECT_REGEX("\\x41\\101\\a", "AA\a", "0-3");
    EXPECT_REGEX("x{", "x{", "0-2");
    EXPECT_REGEX("x{,3}", "x{,3}", "0-5");
}
TEST(preference) {
    EXPECT_REGEX("a|ab", "ab", "0-1");
    EXPECT_REGEX("(a|ab)(c|bcd)", "abcd", "0-4 0-1 1-4");
    EXPECT_REGEX("a*?", "aaa", "0-0");
    EXPECT_REGEX("a+?b", "aab", "0-3");
    EXPECT_REGEX("(a*)(a*)", "aa", "0-2 0-2 2-2");
    EXPECT_REGEX("(a*?)(a*)", "aa", "0-2 0-0 0-2");
    EXPECT_REGEX("(?U)(a*)(a*?)", "aa", "0-2 0-0 0-2");
    EXPECT_REGEX("(a|b)*", "abab", "0-4 3-4");
    EXPECT_REGEX("(a)|(b)", "b", "0-1 - 0-1");
    EXPECT_REGEX("(|a)*", "aa", "0-0 0-0");
    EXPECT_REGEX("(|a)+", "aa", "0-0 0-0");
    EXPECT_REGEX("(a|)*b", "aab", "0-3 1-2");
    EXPECT_REGEX("(?P<x>a)(?<y>b)(?:c)", "abc", "0-3 0-1 1-2");
    EXPECT_REGEX("a{2,3}", "aaaa", "0-3");
    EXPECT_REGEX("a{2,}", "aaaa", "0-4");
    EXPECT_REGEX("a{2}", "aaaa", "0-2");
    EXPECT_REGEX("a{0}b", "ab", "1-2");
    EXPECT_REGEX("(a{0,2}){2}", "aaa", "0-3 2-3");
    EXPECT_REGEX("x(ab|cd|ef)?y", "xcdy", "0-4 1-3");
    EXPECT_REGEX("(a(b(c)?)?){2}", "abca", "0-4 3-4 1-3 2-3");
    EXPECT_REGEX("()", "x", "0-0 0-0");
}
TEST(assertions) {
    EXPECT_REGEX("^a", "ba", "no");
    EXPECT_REGEX("(?m)^a", "b\na", "2-3");
    EXPECT_REGEX("a$", "a\nb", "no");
    EXPECT_REGEX("(?m)a$", "a\nb", "0-1");
    EXPECT_REGEX("\\Aa\\z", "a", "0-1");
    EXPECT_REGEX("\\bab\\b", "xab ab", "4-6");
    EXPECT_REGEX("\\Bb", "b ab", "3-4");
    EXPECT_REGEX("$^", "", "0-0");
    EXPECT_REGEX("a\\b", "a\u00e5", "0-1");
    EXPECT_REGEX("(^|x)a", "xa", "0-2 0-1");
}
TEST(classes) {
    EXPECT_REGEX("\\d+\\s\\w+", "ab12 x_9-", "2-8");
    EXPECT_REGEX("\\D\\S\\W", "1a b-", "2-5");
    EXPECT_REGEX("[[:alpha:]]+[[:^alpha:]]", "12ab3", "2-5");
    EXPECT_REGEX("[\\d\\-x]+", "a1-x2", "1-5");
    EXPECT_REGEX("\\p{Greek}+", "ab\u03b1\u03b2", "2-6");
    EXPECT_REGEX("\\pL+\\PL", "ab1", "0-3");
    EXPECT_REGEX("\\p{^Lu}", "Aa", "1-2");
    EXPECT_REGEX("\\p{Letter}\\p{lowercase letter}\\p{Any}\\p{ASCII}", "Ab\u00e5c", "0-5");
    EXPECT_REGEX("[\\p{Nd}_]+", "a_\u0663", "1-4");
    EXPECT_REGEX("(?i)k\u00e5", "x\u212a\u00c5", "1-6");
    EXPECT_REGEX("(?i)[a-c]+", "xBAc", "1-4");
    EXPECT_REGEX("(?i)\\w", "\u017f", "0-2");
    EXPECT_REGEX("(?i:a)b", "AB Ab", "3-5");
    EXPECT_REGEX("(?i)a(?-i)b", "AB Ab", "3-5");
    EXPECT_REGEX("[^\\x00-\\x{10FFFF}]", "a", "no");
    EXPECT_REGEX("[^\\D]", "a5", "1-2");
}
TEST(errors) {
    EXPECT_REGEX("(abc", "", "error parsing regexp: missing closing ): `(abc`");
    EXPECT_REGEX("abc)", "", "error parsing regexp: unexpected ): `abc)`");
    EXPECT_REGEX("[a", "", "error parsing regexp: missing closing ]: `[a`");
    EXPECT_REGEX("[", "", "error parsing regexp: missing closing ]: `[`");
    EXPECT_REGEX("[b-a]", "", "error parsing regexp: invalid character class range: `b-a`");
    EXPECT_REGEX("[[:foo:]]", "", "error parsing regexp: invalid character class range: `[:foo:]`");
    EXPECT_REGEX("\\p{Foo}", "", "error parsing regexp: invalid character class range: `\\p{Foo}`");
    EXPECT_REGEX("*a", "", "error parsing regexp: missing argument to repetition operator: `*`");
    EXPECT_REGEX("(*a)", "", "error parsing regexp: missing argument to repetition operator: `*`");
    EXPECT_REGEX("a|*", "", "error parsing regexp: missing argument to repetition operator: `*`");
    EXPECT_REGEX("a**", "", "error parsing regexp: invalid nested repetition operator: `**`");
    EXPECT_REGEX("a*{2}?", "", "error parsing regexp: invalid nested repetition operator: `*{2}?`");
    EXPECT_REGEX("a{1001}", "", "error parsing regexp: invalid repeat count: `{1001}`");
    EXPECT_REGEX("a{3,2}", "", "error parsing regexp: invalid repeat count: `{3,2}`");
    EXPECT_REGEX("(a{100}){11}", "", "error parsing regexp: invalid repeat count: `{11}`");
    EXPECT_REGEX("a\\", "", "error parsing regexp: trailing backslash at end of expression: ``");
    EXPECT_REGEX("\\8", "", "error parsing regexp: invalid escape sequence: `\\8`");
    EXPECT_REGEX("\\x{110000}", "", "error parsing regexp: invalid escape sequence: `\\x{110000`");
    EXPECT_REGEX("\\C", "", "error parsing regexp: invalid escape sequence: `\\C`");
    EXPECT_REGEX("(?=a)", "", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
    EXPECT_REGEX("(?i-)", "", "error parsing regexp: invalid or unsupported Perl syntax: `(?i-)`");
    EXPECT_REGEX("(?P<n-1>a)", "", "error parsing regexp: invalid named capture: `(?P<n-1>`");
    EXPECT_REGEX("(?P<n", "", "error parsing regexp: invalid named capture: `(?P<n`");
    EXPECT_REGEX("a\xff", "", "error parsing regexp: invalid UTF-8: `\xff`");
    EXPECT_REGEX("((a{1000}){1000})", "", "error parsing regexp: invalid repeat count: `{1000}`");
}
TEST(hostile_expressions) {
    struct buf pattern;
    struct regex *r;
    struct buf why;
    buf_open(&pattern, 100000), buf_open(&why, 300000);
    for (u32 i = 0; i < 5000; i++) (void)buf_add_byte(&pattern, '(');
    EXPECT_RC(regex_open(&r, buf_str(&pattern), &why), RC_INVALID);
    EXPECT(str_find(buf_str(&why), S("expression nests too deeply")) < why.len);
    buf_clear(&pattern), buf_clear(&why);
    for (u32 i = 0; i < 70; i++) (void)buf_add(&pattern, S("(?:\\pL|\\pN){900}"));
    EXPECT_RC(regex_open(&r, buf_str(&pattern), &why), RC_INVALID);
    EXPECT(str_find(buf_str(&why), S("expression too large")) < why.len);
    buf_close(&pattern), buf_close(&why);
    /* Exponential for those who go back. */
    EXPECT_REGEX("(a*)*(a|aa)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "no");
    EXPECT_REGEX("(x+x+)+y", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "no");
    EXPECT_REGEX("[01]*1[01]{20}", "0101010101010101010101010101010111111111100000000001", "0-52");
}
TEST(a_budget_ends_a_match) {
    struct regex *r;
    struct buf why;
    s64 groups[2];
    static char text[200000];
    memset(text, 'a', sizeof(text));
    buf_open(&why, 100);
    EXPECT_OK(regex_open(&r, S("(a|b)*c"), &why));
    u64 left = 500;
    EXPECT_RC(regex_match(r, str_of(text, sizeof(text)), (struct regex_work){always, &left}), RC_TIMEOUT);
    left = 500;
    EXPECT_RC(regex_find(r, str_of(text, sizeof(text)), 0, groups, 1, (struct regex_work){always, &left}), RC_TIMEOUT);
    EXPECT_RC(regex_match(r, str_of(text, sizeof(text)), (struct regex_work){always, NULL}), RC_NOT_FOUND);
    regex_close(r);
    buf_close(&why);
}
TEST(the_functions) {
    EXPECT_CALL("regex.match", "[\"[a-z]+\\\\.com\", \"www.abc.com\"]", "true");
    EXPECT_CALL("re_match", "[\"^x\", \"ax\"]", "false");
    EXPECT_CALL("regex.match", "[\"[\", \"a\"]", "error: error parsing regexp: missing closing ]: `[`");
    EXPECT_CALL("regex.is_valid", "[\"[\"]", "false");
    EXPECT_CALL("regex.is_valid", "[\"a\"]", "true");
    EXPECT_CALL("regex.is_valid", "[1]", "false");
    EXPECT_CALL("regex.find_n", "[\"a.\", \"paranormal\", -1]", "[\"ar\", \"an\", \"al\"]");
    EXPECT_CALL("regex.find_n", "[\"a.\", \"paranormal\", 2]", "[\"ar\", \"an\"]");
    EXPECT_CALL("regex.find_n", "[\"a*\", \"baac\", -1]", "[\"\", \"aa\", \"\"]");
    EXPECT_CALL("regex.find_n", "[\"a\", \"aa\", 0]", "[]");
    EXPECT_CALL("regex.find_all_string_submatch_n", "[\"a(x*)b(y|z)?c\", \"-axxxbyc-abzc-\", -1]",
                "[[\"axxxbyc\", \"xxx\", \"y\"], [\"abzc\", \"\", \"z\"]]");
    EXPECT_CALL("regex.split", "[\"z+\", \"pizza\"]", "[\"pi\", \"a\"]");
    EXPECT_CALL("regex.split", "[\"\", \"ab\u00e5\"]", "[\"a\", \"b\", \"\u00e5\"]");
    EXPECT_CALL("regex.split", "[\"a\", \"\"]", "[\"\"]");
    EXPECT_CALL("regex.split", "[\"a\", \"ba\"]", "[\"b\", \"\"]");
    EXPECT_CALL("regex.replace", "[\"-wy-wxxy-\", \"w(x*)y\", \"0\"]", "\"-0-0-\"");
    EXPECT_CALL("regex.replace", "[\"foo\", \"(foo)\", \"$1$1\"]", "\"foofoo\"");
    EXPECT_CALL("regex.replace", "[\"abc\", \"(?P<x>b)\", \"[${x}|$x1|$$|$1|$9|$]\"]", "\"a[b||$|b||$]c\"");
    EXPECT_CALL("regex.replace", "[\"foo\", \"^[a-z]\", \"F\"]", "\"Foo\"");
    EXPECT_CALL("regex.replace", "[\"abc\", \"x*\", \"-\"]", "\"-a-b-c-\"");
    EXPECT_CALL("regex.replace", "[\"b\u00e5\", \"\", \"-\"]", "\"-b-\u00e5-\"");
    EXPECT_CALL("regex.template_match", "[\"urn:foo:{.*}\", \"urn:foo:bar:baz\", \"{\", \"}\"]", "true");
    EXPECT_CALL("regex.template_match", "[\"a.{b}\", \"axb\", \"{\", \"}\"]", "false");
    EXPECT_CALL("regex.template_match", "[\"urn:{\", \"\", \"{\", \"}\"]", "error: unbalanced braces in \"urn:{\"");
    EXPECT_CALL("regex.template_match", "[\"u\", \"\", \"{{\", \"}\"]", "error: start delimiter has to be exactly one character long but is 2 long");
    EXPECT_CALL("regex.template_match", "[\"{(}\", \"\", \"{\", \"}\"]", "error: error parsing regexp: missing closing ): `^($`");
}
TEST(globs_that_meet) {
    EXPECT_CALL("regex.globs_match", "[\"a.a.[0-9]+z\", \".b.b2359825792*594823z\"]", "true");
    EXPECT_CALL("regex.globs_match", "[\"[a-z]+\", \"[0-9]*\"]", "false");
    EXPECT_CALL("regex.globs_match", "[\"b.*\", \"ba\"]", "true");
    EXPECT_CALL("regex.globs_match", "[\"pqrs]\", \"[a-b]+\"]", "error: input:pqrs], pos:5, set-close ']' with no preceding '[': the input provided is invalid");
    EXPECT_CALL("regex.globs_match", "[\"[a-z]+\\\\[[0-9]+\\\\]\", \"foo[\\\"bar\\\"]\"]", "false");
    EXPECT_CALL("regex.globs_match", "[\"\", \"\"]", "true");
    EXPECT_CALL("regex.globs_match", "[\"a*\", \"\"]", "false");
    EXPECT_CALL("regex.globs_match", "[\"a\\\\\", \"\"]", "error: input:a\\, pos:1, input ends with a \\ (escape) character: the input provided is invalid");
    EXPECT_CALL("regex.globs_match", "[\"*\", \"\"]", "error: input:*, pos:1, flag '*' must be preceded by a non-flag: the input provided is invalid");
    EXPECT_CALL("regex.globs_match", "[\"[ab\", \"\"]", "error: input:[ab, pos:3, found [ without matching ]: the input provided is invalid");
}
TEST(sets_that_meet) {
    EXPECT_CALL("regex.globs_match", "[\"[a-cx]\", \"[y-zb]\"]", "true");
    EXPECT_CALL("regex.globs_match", "[\"[]\", \"[a]\"]", "false");
    EXPECT_CALL("regex.globs_match", "[\"a*a+b\", \"[a-z]+b\"]", "true");
    EXPECT_CALL("regex.globs_match", "[\".+x.+\", \"a[x-z]+b*\"]", "true");
    EXPECT_CALL("regex.globs_match", "[\"[-a]\", \"\"]", "error: input:[-a], pos:2, range character '-' must be preceded by a Unicode character: the input provided is invalid");
    EXPECT_CALL("regex.globs_match", "[\"[a-]\", \"\"]", "error: input:[a-], pos:3, range character '-' must be followed by a Unicode character: the input provided is invalid");
    EXPECT_CALL("regex.globs_match", "[\"[a--]\", \"\"]", "error: input:[a--], pos:4, range character '-' cannot be followed by a special symbol: the input provided is invalid");
    EXPECT_CALL("regex.globs_match", "[\"[z-a]\", \"z\"]", "true");
}
TEST(globs) {
    EXPECT_CALL("glob.match", "[\"*.github.com\", [], \"api.github.com\"]", "true");
    EXPECT_CALL("glob.match", "[\"*.github.com\", [], \"api.cdn.github.com\"]", "false");
    EXPECT_CALL("glob.match", "[\"*hub.com\", null, \"api.cdn.github.com\"]", "true");
    EXPECT_CALL("glob.match", "[\"*:github:com\", [\":\"], \"api:github:com\"]", "true");
    EXPECT_CALL("glob.match", "[\"api.**.com\", [\".\"], \"api.cdn.github.com\"]", "true");
    EXPECT_CALL("glob.match", "[\"?at\", [], \"cat\"]", "true");
    EXPECT_CALL("glob.match", "[\"?at\", [], \"at\"]", "false");
    EXPECT_CALL("glob.match", "[\"[abc]at\", [], \"bat\"]", "true");
    EXPECT_CALL("glob.match", "[\"[!abc]at\", [], \"cat\"]", "false");
    EXPECT_CALL("glob.match", "[\"[a-c]at\", [], \"cat\"]", "true");
    EXPECT_CALL("glob.match", "[\"[!a-c]at\", [], \"lat\"]", "true");
    EXPECT_CALL("glob.match", "[\"{cat,bat,[fr]at}\", [], \"rat\"]", "true");
    EXPECT_CALL("glob.match", "[\"{*.x,{a,b}c}d\", [], \"bcd\"]", "true");
    EXPECT_CALL("glob.match", "[\"{cat,bat}\", [], \"dat\"]", "false");
    EXPECT_CALL("glob.match", "[\"a\\\\*b\", [], \"a*b\"]", "true");
    EXPECT_CALL("glob.match", "[\"a,}b\", [], \"a,}b\"]", "true");
    EXPECT_CALL("glob.match", "[\"\", [], \"\"]", "true");
    EXPECT_CALL("glob.match", "[\"[\", [], \"\"]", "error: unexpected end of input");
    EXPECT_CALL("glob.match", "[\"[]\", [], \"\"]", "error: could not parse range");
    EXPECT_CALL("glob.match", "[\"[z-a]\", [], \"\"]", "error: hi character 'a' should be greater than lo 'z'");
    EXPECT_CALL("glob.match", "[\"a\", [\"ab\"], \"\"]", "type error: operand 2 must be array of runes but got array containing string");
    EXPECT_CALL("glob.match", "[\"a\", 1, \"\"]", "type error: operand 2 must be one of {array, null} but got number");
    EXPECT_CALL("glob.match", "[\"****a\", null, \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"]", "false");
    EXPECT_CALL("glob.quote_meta", "[\"*.github.com{a}\"]", "\"\\\\*.github.com\\\\{a\\\\}\"");
}
TEST(zz_what_was_kept_is_dropped) {
    for (u32 i = 0; i < test_evaluation.cache_count; i++) test_evaluation.cache[i].drop(test_evaluation.cache[i].thing);
    test_evaluation = (struct evaluation){0};
}
