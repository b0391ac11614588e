/* SPDX-License-Identifier: Apache-2.0 */
/* auth_strength_test.c — what zxcvbn says of passwords that pass every rule, and its memory. */
#include "app/auth/strength.c"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "tests/storage.h"

static void begin(void) {
    static const struct sim_options machine = {.seed = 1, .worker_count = 2};
    static bool started;
    if (started) return;
    started = true;
    sim_start(&machine);
    memory_init(MIB(256));
    loop_init();
    REQUIRE(fiber_init(8) == RC_OK);
    EXPECT_OK(worker_init());
    EXPECT_OK(password_start());
}

static const char *of(const char *password, const char *email) {
    const char *why = "not judged";
    begin();
    EXPECT_OK(password_strength(str_from_c(password), str_from_c(email), &why));
    return why;
}

TEST(guessable_ones_say_what_to_do) {
    EXPECT(strstr(of("SecurePass123!", ""), "common words"));
    EXPECT(strstr(of("johnsmithmary1", ""), "common words"));
    EXPECT(strstr(of("zxcvbnm,./;lkj", ""), "side by side"));
    EXPECT(strstr(of("abcdefgh76543210", ""), "neighbouring"));
    EXPECT(strstr(of("kkkkkkkkkkkkkkkkkkkkz", ""), "repeated"));
    EXPECT(strstr(of("31/12/1999!", ""), "a date"));
    EXPECT(strstr(of("MargueriteTremblay1", "marguerite.tremblay@example.org"), "name or address"));
}

TEST(sentences_and_noise_pass) {
    static const char *const good[] = {"correct horse battery staple 7", "zK4#v9Qp2!mX",
                                       "seven lamps along the canal",
                                       "\xC3\xA9t\xC3\xA9 \xC3\xA0 la for\xC3\xAAt"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (of(good[i], "ada@example.org")) test_fail(__FILE__, __LINE__, "%s", good[i]);
}

/* What fills the pool most: every length of every position is a match of its own. */
TEST(no_password_exhausts_the_pool) {
    char text[PASSWORD_MAX + 1];
    static const char *const pieces[] = {
        "x",          "1",      "9876543210", "qwertyuiop", "l1i!|",
        "01/02/2003", "4@3!0$", "password",   "\xff",       "aA",
    };
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        size_t n = strlen(pieces[i]);
        for (size_t k = 0; k < PASSWORD_MAX; k++) text[k] = pieces[i][k % n];
        text[PASSWORD_MAX] = 0;
        of(text, "qwerty.uiop-pass_word+many@parts.of.an.address.example.org");
    }
}
