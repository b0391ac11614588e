/* SPDX-License-Identifier: Apache-2.0 */
/* app_web_test.c — the language a browser prefers, and the embedded table. */
#include "app/web/web.c"
#include "tests/test.h"

TEST(the_browser_chooses_the_language) {
    static const struct {
        const char *accept, *language;
    } cases[] = {{"", "en"},
                 {"fr", "fr"},
                 {"FR-ca", "fr"},
                 {"en-CA,en;q=0.9,fr;q=0.8", "en"},
                 {"fr-CA,fr;q=0.9,en;q=0.8", "fr"},
                 {"en;q=0.5, fr;q=0.501", "fr"},
                 {"en;q=0.5, fr;q=0.50", "en"},
                 {"fr;q=0", "en"},
                 {"de, fr;q=0.1", "fr"},
                 {"french", "en"},
                 {"fr;q=", "fr"},
                 {"fr;q=x;;,,;", "fr"},
                 {"*", "en"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        str got = preferred(test_at_page_end(str_from_c(cases[i].accept)));
        if (!str_eq(got, str_from_c(cases[i].language)))
            test_fail(__FILE__, __LINE__, "%s gives %.*s", cases[i].accept, STR(got));
    }
}

TEST(every_page_is_there_in_both_languages_and_never_compressed) {
    const char *pages[] = {"/", "/setup"};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        const struct web_asset *en = find(str_from_c(pages[i]), S("en"));
        const struct web_asset *fr = find(str_from_c(pages[i]), S("fr"));
        REQUIRE(en && fr);
        EXPECT(!str_eq(en->file.body, fr->file.body));
        EXPECT(!en->file.gzip.len && !fr->file.gzip.len);
        EXPECT(!en->file.brotli.len && !fr->file.brotli.len);
        EXPECT(!find(str_from_c(pages[i]), S("de")));
    }
    EXPECT(!find(S("/assets/none"), S("")));
    u32 packed = 0; /* what holds nobody's secrets */
    for (u32 i = 0; i < web_asset_count; i++)
        packed += web_assets[i].file.gzip.len && web_assets[i].file.brotli.len &&
                  web_assets[i].file.brotli.len < web_assets[i].file.body.len;
    EXPECT(packed >= 3);
}
