/* SPDX-License-Identifier: Apache-2.0 */
/* policies_search_test.c — typed text to FTS5 expressions; snippets that are safe to show. */
#include "app/policies/search.c"
#include "tests/test.h"

static struct arena arena;
static struct search search;
static str match(const char *text) {
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    rc_t rc = search_parse(&arena, str_from_c(text), &search);
    return rc ? str_from_c(rc_name(rc)) : search.match;
}

TEST(words_phrases_and_beginnings) {
    EXPECT_STR(match("policies"), S("(\"polici\" OR \"polici\")"));
    EXPECT_STR(match("Water  RIGHTS"), S("(\"water\" OR \"water\") AND (\"right\" OR \"right\")"));
    EXPECT_STR(match("\"clean water\""), S("(\"clean water\" OR \"clean water\")"));
    EXPECT_STR(match("clim*"), S("((\"clim\" OR \"clim\") OR \"clim\" *)"));
    EXPECT_STR(match("l'eau"), S("(\"eau\" OR \"eau\")"));
    EXPECT_STR(match("a\"b c\"d"),
               S("(\"a\" OR \"a\") AND (\"b c\" OR \"b c\") AND (\"d\" OR \"d\")"));
    EXPECT_STR(match("\"open end"), S("(\"open end\" OR \"open end\")"));
}

TEST(nothing_typed_is_an_operator) {
    EXPECT_STR(
        match("a AND b OR NOT c"),
        S("(\"a\" OR \"a\") AND (\"and\" OR \"and\") AND (\"b\" OR \"b\") AND (\"or\" OR \"or\")"
          " AND (\"not\" OR \"not\") AND (\"c\" OR \"c\")"));
    EXPECT_STR(
        match("title:x; DROP TABLE policy--"),
        S("(\"titl\" OR \"titl\") AND (\"x\" OR \"x\") AND (\"drop\" OR \"drop\") AND (\"tabl\" OR"
          " \"tabl\") AND (\"polici\" OR \"policy\")"));
    EXPECT_STR(match("^\"\"'()*"), S("RC_INVALID"));
    EXPECT_STR(match(""), S("RC_INVALID"));
    EXPECT_STR(match("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17"), S("RC_LIMIT"));
}

TEST(snippets_mark_and_escape) {
    (void)match("emission");
    EXPECT_STR(search_snippet(&arena, &search, S("The <b>emissions</b> & more")),
               S("The &lt;b&gt;<mark>emissions</mark>&lt;/b&gt; &amp; more"));
    EXPECT_STR(search_snippet(&arena, &search, S("nothing here")), S("nothing here"));
    EXPECT_STR(search_snippet(&arena, &search, S("")), S(""));
    (void)match("\xC3\xA9t\xC3\xA9");
    EXPECT_STR(search_snippet(&arena, &search, S("L'\xC3\x89T\xC3\x89 vient")),
               S("L&#39;<mark>\xC3\x89T\xC3\x89</mark> vient"));
}

TEST(snippets_are_short_and_whole_characters) {
    char text[4000];
    for (size_t i = 0; i + 2 <= sizeof text; i += 2) memcpy(text + i, "\xC3\xA9", 2);
    memcpy(text + 3000, " water ", 7);
    text[3007] = 'x';
    (void)match("water");
    str s = search_snippet(&arena, &search, str_of(text, sizeof text));
    EXPECT(s.len < 400);
    EXPECT(str_is_utf8(s));
    EXPECT(str_find(s, S("<mark>water</mark>")) < s.len);
    EXPECT(str_starts(s, S("\xE2\x80\xA6 ")));
    EXPECT(str_ends(s, S(" \xE2\x80\xA6")));
}

TEST(any_bytes_give_a_safe_snippet) {
    char text[600];
    (void)match("a b c \"d e\" f*");
    for (int round = 0; round < 50; round++) {
        size_t n = test_random() % sizeof text;
        for (size_t i = 0; i < n; i++) text[i] = (char)(32 + test_random() % 96);
        str s = search_snippet(&arena, &search, test_at_page_end(str_of(text, n)));
        EXPECT(s.ptr != NULL);
        for (size_t i = 0; i < s.len; i++)
            if (s.ptr[i] == '<')
                EXPECT(str_starts(str_skip(s, i), S("<mark>")) ||
                       str_starts(str_skip(s, i), S("</mark>")));
    }
    arena_close(&arena);
}
