/* SPDX-License-Identifier: Apache-2.0 */
/* policies_stem_test.c — words, folded and stemmed: what must meet meets, in both languages. */
#include "app/policies/stem.c"
#include "tests/test.h"

static str stems(enum language language, const char *text) {
    static char out[4096];
    struct buf b;
    buf_open(&b, sizeof out);
    EXPECT_OK(text_stem(language, str_from_c(text), &b));
    size_t n = b.len;
    if (n) memcpy(out, b.ptr, n);
    buf_close(&b);
    return str_of(out, n ? n - 1 : 0);
}

TEST(folds_case_diacritics_and_ligatures) {
    EXPECT_STR(stems(FRENCH, "ÉTÉ été"), S("ete ete"));
    EXPECT_STR(stems(FRENCH, "cœur CŒUR"), S("coeur coeur"));
    EXPECT_STR(stems(ENGLISH, "Na\xC3\xAFve e\xCC\x81t\xC3\xA9"),
               S("naiv et")); /* combining mark */
    EXPECT_STR(stems(ENGLISH, "Stra\xC3\x9F"
                              "e"),
               S("strass"));
    EXPECT_STR(stems(ENGLISH, "\xE6\xB0\xB4 42 B2B"), S("\xE6\xB0\xB4 42 b2b"));
}

TEST(splits_at_everything_else_and_drops_elisions) {
    EXPECT_STR(stems(FRENCH, "l'eau d\xE2\x80\x99ici, qu'on \xC2\xAB"
                             "boit\xC2\xBB !"),
               S("eau ici on boit"));
    EXPECT_STR(stems(ENGLISH, "don't o'clock"), S("don t o clock"));
    EXPECT_STR(stems(ENGLISH, "  --\n\t"), S(""));
    EXPECT_STR(stems(ENGLISH, ""), S(""));
}

/* From the published vocabulary of the algorithm. */
TEST(english_is_porter) {
    static const struct {
        const char *word, *stem;
    } v[] = {
        {"caresses", "caress"},
        {"ponies", "poni"},
        {"ties", "ti"},
        {"caress", "caress"},
        {"cats", "cat"},
        {"feed", "feed"},
        {"agreed", "agre"},
        {"plastered", "plaster"},
        {"bled", "bled"},
        {"motoring", "motor"},
        {"sing", "sing"},
        {"conflated", "conflat"},
        {"troubled", "troubl"},
        {"sized", "size"},
        {"hopping", "hop"},
        {"tanned", "tan"},
        {"falling", "fall"},
        {"hissing", "hiss"},
        {"fizzed", "fizz"},
        {"failing", "fail"},
        {"filing", "file"},
        {"happy", "happi"},
        {"sky", "sky"},
        {"relational", "relat"},
        {"conditional", "condit"},
        {"rational", "ration"},
        {"valenci", "valenc"},
        {"digitizer", "digit"},
        {"conformabli", "conform"},
        {"radicalli", "radic"},
        {"differentli", "differ"},
        {"vileli", "vile"},
        {"analogousli", "analog"},
        {"vietnamization", "vietnam"},
        {"predication", "predic"},
        {"operator", "oper"},
        {"feudalism", "feudal"},
        {"decisiveness", "decis"},
        {"hopefulness", "hope"},
        {"callousness", "callous"},
        {"formaliti", "formal"},
        {"sensitiviti", "sensit"},
        {"sensibiliti", "sensibl"},
        {"triplicate", "triplic"},
        {"formative", "form"},
        {"formalize", "formal"},
        {"electriciti", "electr"},
        {"electrical", "electr"},
        {"hopeful", "hope"},
        {"goodness", "good"},
        {"revival", "reviv"},
        {"allowance", "allow"},
        {"inference", "infer"},
        {"airliner", "airlin"},
        {"gyroscopic", "gyroscop"},
        {"adjustable", "adjust"},
        {"defensible", "defens"},
        {"irritant", "irrit"},
        {"replacement", "replac"},
        {"adjustment", "adjust"},
        {"dependent", "depend"},
        {"adoption", "adopt"},
        {"homologou", "homolog"},
        {"communism", "commun"},
        {"activate", "activ"},
        {"angulariti", "angular"},
        {"homologous", "homolog"},
        {"effective", "effect"},
        {"bowdlerize", "bowdler"},
        {"probate", "probat"},
        {"rate", "rate"},
        {"cease", "ceas"},
        {"controll", "control"},
        {"roll", "roll"},
        {"completion", "complet"},
        {"policies", "polici"},
        {"policy", "polici"},
        {"emissions", "emiss"},
        {"generalizations", "gener"},
        {"oscillators", "oscil"},
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        str got = stems(ENGLISH, v[i].word);
        if (!str_eq(got, str_from_c(v[i].stem)))
            test_fail(__FILE__, __LINE__, "%s gives %.*s, not %s", v[i].word, STR(got), v[i].stem);
    }
}

TEST(french_forms_of_a_word_meet) {
    static const char *const families[][6] = {
        {"politique", "politiques", "Politiques"},
        {"environnement", "environnements", "environnemental", "environnementale",
         "environnementaux"},
        {"nationale", "national", "nationaux", "nationales"},
        {"protéger", "protégé", "protégée", "protégés", "protègent", "protégées"},
        {"émission", "émissions", "Emission"},
        {"cheval", "chevaux"},
        {"loi", "lois"},
        {"école", "écoles"},
        {"heureuse", "heureux", "heureuses"},
        {"actif", "actifs"},
        {"eau", "eaux"},
        {"gouvernement", "gouvernements", "gouvernemental"},
        {"logement", "logements"},
        {"santé", "SANTÉ"},
        {"tradition", "traditions", "traditionnel", "traditionnelle", "traditionnels"},
    };
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        char first[WORD_MAX];
        str one = stems(FRENCH, families[i][0]);
        memcpy(first, one.ptr, one.len);
        one = str_of(first, one.len);
        for (size_t k = 1; k < 6 && families[i][k]; k++) {
            str other = stems(FRENCH, families[i][k]);
            if (!str_eq(one, other))
                test_fail(__FILE__, __LINE__, "%s: %.*s, %s: %.*s", families[i][0], STR(one),
                          families[i][k], STR(other));
        }
    }
    EXPECT(!str_eq(stems(FRENCH, "loi"), S("loir")));
}

TEST(long_words_are_cut_and_positions_are_true) {
    char text[300];
    struct word w;
    size_t at = 0;
    memset(text, 'x', sizeof text);
    text[0] = ' ';
    str edge = test_at_page_end(str_of(text, sizeof text));
    REQUIRE(word_next(edge, &at, &w));
    EXPECT_EQ(w.len, WORD_MAX);
    EXPECT_EQ(w.start, 1);
    EXPECT_EQ(w.end, sizeof text);
    EXPECT(!word_next(edge, &at, &w));
}

TEST(any_bytes_end) {
    char text[64];
    for (int round = 0; round < 50; round++) {
        struct buf b;
        size_t n = test_random() % sizeof text;
        for (size_t i = 0; i < n; i++) text[i] = (char)test_random();
        buf_open(&b, 65536);
        rc_t rc = text_stem(round & 1 ? ENGLISH : FRENCH, test_at_page_end(str_of(text, n)), &b);
        EXPECT_OK(rc);
        buf_close(&b);
    }
}
