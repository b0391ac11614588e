/* SPDX-License-Identifier: Apache-2.0 */
/* data_filter_test.c — filters into conditions: each byte of a client's is a bound value, and what
 * is no filter is refused with its place. */
#include "app/data/filter.c"
#include <stdio.h>
#include "tests/test.h"

static struct collection *bills;
static struct arena arena;
static struct sql sql;
static struct flaws flaws;

static void begin(void) {
    static const str definition =
        S("{\"fields\":[{\"key\":1,\"name\":\"title\",\"type\":\"text\",\"search\":true},"
          "{\"key\":2,\"name\":\"votes\",\"type\":\"integer\"},"
          "{\"key\":3,\"name\":\"open\",\"type\":\"bool\"},"
          "{\"key\":4,\"name\":\"due\",\"type\":\"date-time\"},"
          "{\"key\":5,\"name\":\"extra\",\"type\":\"json\"}],\"next_key\":6}");
    if (!bills) EXPECT_OK(collection_parse(S("bills"), definition, &bills, &flaws));
}

static str condition(const char *text) {
    begin();
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    sql_close(&sql);
    sql_open(&sql);
    flaws = (struct flaws){0};
    if (filter_parse(bills, &arena, str_from_c(text), &sql, &flaws)) return buf_str(&sql.text);
    return flaws.count == 1 ? str_from_c(flaws.items[0].code) : S("not one flaw");
}

TEST(comparisons) {
    EXPECT_STR(condition("title = 'a'"), S("((f1 IS ?1))"));
    EXPECT_STR(sql.values[0].bytes, S("a"));
    EXPECT_STR(condition("title=\"it's\""), S("((f1 IS ?1))"));
    EXPECT_STR(sql.values[0].bytes, S("it's"));
    EXPECT_STR(condition("title='x''; DROP TABLE d1; --'"), S("((f1 IS ?1))"));
    EXPECT_STR(sql.values[0].bytes, S("x'; DROP TABLE d1; --"));
    EXPECT_STR(condition("title='\\'\\\\'"), S("((f1 IS ?1))"));
    EXPECT_STR(sql.values[0].bytes, S("'\\"));
    EXPECT_STR(condition("votes >= -1.5e3"), S("((f2>=?1))"));
    EXPECT(sql.values[0].real == -1500);
    EXPECT_STR(condition("open != true"), S("((f3 IS NOT ?1))"));
    EXPECT_EQ(sql.values[0].integer, 1);
    EXPECT_STR(condition("votes = null"), S("((f2 IS ?1))"));
    EXPECT_EQ(sql.values[0].kind, DB_KIND_NULL);
    EXPECT_STR(condition("votes in (1, 2,3)"), S("((f2 IN (?1,?2,?3)))"));
    EXPECT_STR(condition("title ~ '50%_\\'"), S("filter_invalid")); /* its quote is taken */
}

TEST(times_and_what_every_record_has) {
    EXPECT_STR(condition("due < '2026-01-31T12:00:00+02:00'"), S("((f4<?1))"));
    EXPECT_STR(sql.values[0].bytes, S("2026-01-31T10:00:00.000Z"));
    EXPECT_STR(condition("created_at > '1970-01-02'"), S("((created_ns>?1))"));
    EXPECT_EQ(sql.values[0].integer, 86400000000000);
    EXPECT_STR(condition("created_by='x' && id!='y' && version=1"),
               S("((owner_id IS ?1 AND id IS NOT ?2 AND version IS ?3))"));
}

TEST(joined) {
    EXPECT_STR(condition("open=true and (votes=1 or votes=2)"),
               S("((f3 IS ?1 AND (((f2 IS ?2) OR (f2 IS ?3)))))"));
    EXPECT_STR(condition("open=true||votes=1&&votes=2"),
               S("((f3 IS ?1) OR (f2 IS ?2 AND f2 IS ?3))"));
    EXPECT_STR(condition("!(votes<1)"), S("((NOT (((coalesce(f2<?1,0))))))"));
    EXPECT_STR(condition("not votes in (1)"), S("((NOT coalesce(f2 IN (?1),0)))"));
    EXPECT_STR(condition("title~'a_b'"), S("((coalesce(f1 LIKE ?1 ESCAPE '\\',0)))"));
    EXPECT_STR(sql.values[0].bytes, S("%a\\_b%"));
    EXPECT_STR(condition("title !~ 'a'"), S("(((NOT coalesce(f1 LIKE ?1 ESCAPE '\\',0))))"));
    EXPECT_STR(condition("title contains 'a'"), S("((coalesce(f1 LIKE ?1 ESCAPE '\\',0)))"));
}

TEST(what_is_no_filter) {
    static const char *const cases[][2] = {{"", "filter_invalid"},
                                           {"votes", "filter_invalid"},
                                           {"votes=", "filter_invalid"},
                                           {"=1", "filter_invalid"},
                                           {"nothing=1", "field_unknown"},
                                           {"votes=1)", "filter_invalid"},
                                           {"(votes=1", "filter_invalid"},
                                           {"votes='1'", "filter_type"},
                                           {"title=1", "filter_type"},
                                           {"open=1", "filter_type"},
                                           {"open='true'", "filter_type"},
                                           {"extra=1", "filter_type"},
                                           {"due='now'", "filter_type"},
                                           {"votes~'1'", "filter_type"},
                                           {"title~1", "filter_type"},
                                           {"votes<null", "filter_type"},
                                           {"votes in 1", "filter_invalid"},
                                           {"votes in (1", "filter_invalid"},
                                           {"votes in (1,)", "filter_invalid"},
                                           {"title='a", "filter_invalid"},
                                           {"votes=1 votes=2", "filter_invalid"},
                                           {"votes=1 and", "filter_invalid"},
                                           {"votes=x", "filter_invalid"},
                                           {"votes=1.2.3", "filter_type"},
                                           {"votes=1e", "filter_type"},
                                           {"created_at~'2'", "filter_type"},
                                           {"f1=1", "field_unknown"},
                                           {"num=1", "field_unknown"},
                                           {"org_id='x'", "field_unknown"},
                                           {"((((((((((((((((((votes=1", "filter_too_deep"},
                                           {"!!!!!!!!!!!!!!!!!!votes=1", "filter_too_deep"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_STR(condition(cases[i][0]), str_from_c(cases[i][1]));
    char many[6000];
    size_t n = 0;
    for (int i = 0; i < 50; i++) n += (size_t)snprintf(many + n, sizeof many - n, "votes=1||");
    snprintf(many + n, sizeof many - n, "votes=1");
    EXPECT_STR(condition(many), S("filter_too_long"));
    memset(many, ' ', sizeof many - 1);
    many[sizeof many - 1] = 0;
    EXPECT_STR(condition(many), S("filter_too_long"));
    n = (size_t)snprintf(many, sizeof many, "title~'");
    memset(many + n, 'x', 600);
    snprintf(many + n + 600, 8, "'");
    EXPECT_STR(condition(many), S("filter_type"));
    n = (size_t)snprintf(many, sizeof many, "votes in (1");
    for (int i = 0; i < 60; i++) n += (size_t)snprintf(many + n, sizeof many - n, ",1");
    EXPECT_STR(condition(many), S("filter_too_long"));
}

static str order(const char *text) {
    struct order o;
    begin();
    sql_close(&sql);
    sql_open(&sql);
    flaws = (struct flaws){0};
    if (!order_parse(bills, str_from_c(text), &o, &flaws)) return S("bad");
    order_put(&o, &sql);
    return buf_str(&sql.text);
}

TEST(orders) {
    EXPECT_STR(order(""), S(" ORDER BY num"));
    EXPECT_STR(order("votes"), S(" ORDER BY f2,num"));
    EXPECT_STR(order("votes,-created_at"), S(" ORDER BY f2,created_ns DESC,num DESC"));
    EXPECT_STR(order("f2"), S("bad"));
    EXPECT_STR(order("extra"), S("bad"));
    EXPECT_STR(order("votes;"), S("bad"));
    EXPECT_STR(order("id,title,votes,due,open"), S("bad"));
}

TEST(words_mean_nothing_to_the_index) {
    arena_close(&arena);
    arena_open(&arena, NULL, 0, MIB(1));
    EXPECT_STR(words_match(&arena, S("clean water*")), S("\"clean\" \"water\"*"));
    EXPECT_STR(words_match(&arena, S("a\" OR t1:x NEAR(")),
               S("\"a\" \"OR\" \"t1\" \"x\" \"NEAR\""));
    EXPECT_EQ(words_match(&arena, S("*()\"'")).len, 0);
}
