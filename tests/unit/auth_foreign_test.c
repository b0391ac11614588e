/* SPDX-License-Identifier: Apache-2.0 */
/* auth_foreign_test.c — hashes of other systems: published and independently made ones are judged
 * rightly, costly and damaged ones are not taken over, and a sign-in replaces them. */
#include "app/auth/foreign.c"
#include "tests/unit/whole.h"

#define IMPORT "/api/v1/auth/users/import"
#define PHRASE "correct horse"

static const char *const made[] = {
    "$pbkdf2-sha256$2000$c2l4dGVlbiBieXRlcyBvaw$Nbg/61ZQjzk6XUXwK7a1AbhDpW6QIpe8w9T0MwUNiN8",
    "$pbkdf2-sha512$2000$c2l4dGVlbiBieXRlcyBvaw$i.GoMKiDR8rmaJy7uuBmK4r2HM."
    "QfVvbtg0kGzjlckbwnisDD7xRk0vWLrHYG4hNztiEP3HJRzC2FlJJO2eCrw",
    "pbkdf2_sha256$2000$saltytext$edLauvDsqM51sPOIsYDelF3raklI7tv+GgDzwQMDLBA=",
    "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
};

static bool fits(const char *phc, const char *password) {
    struct foreign f;
    const char *why = foreign_parse(str_from_c(phc), &f);
    if (why) test_fail(__FILE__, __LINE__, "%s: %s", phc, why);
    return !why && foreign_matches(&f, str_from_c(password));
}

TEST(hashes_made_by_others_are_judged) {
    for (size_t i = 0; i < ARRAY_LEN(made); i++) {
        EXPECT(fits(made[i], PHRASE));
        EXPECT(!fits(made[i], "correct horsf"));
        EXPECT(!fits(made[i], ""));
    }
    /* The reference's own vectors, in each spelling of the prefix. */
    EXPECT(fits("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"));
    EXPECT(fits("$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"));
    EXPECT(!fits("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*V"));
}

TEST(what_costs_too_much_or_is_damaged_is_not_taken_over) {
    static const char *const bad[] = {
        "",
        "plain text",
        "$1$salt$hash",
        "$2b$15$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$2b$03$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$2x$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e",
        "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6",
        "$pbkdf2-sha256$2000001$c2l4dGVlbiBieXRlcyBvaw$Nbg/"
        "61ZQjzk6XUXwK7a1AbhDpW6QIpe8w9T0MwUNiN8",
        "$pbkdf2-sha256$-1$c2l4dGVlbiBieXRlcyBvaw$Nbg/61ZQjzk6XUXwK7a1AbhDpW6QIpe8w9T0MwUNiN8",
        "$pbkdf2-sha256$2000$c2l4dGVlbiBieXRlcyBvaw$Nbg/61ZQjzk6XUXwK7a1AbhDpW6QIpe8w9T0Mw",
        "$pbkdf2-sha256$2000$$Nbg/61ZQjzk6XUXwK7a1AbhDpW6QIpe8w9T0MwUNiN8",
        "pbkdf2_sha256$2000$salt",
        "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    };
    struct foreign f;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (!foreign_parse(str_from_c(bad[i]), &f))
            test_fail(__FILE__, __LINE__, "taken over: %s", bad[i]);
}

static s64 foreign_left(void) {
    return storage_number(
        "SELECT count(*) FROM user WHERE password NOT LIKE '$argon2id$v=19$m=19456%'");
}

TEST(imported_people_keep_their_passwords_and_get_our_hash) {
    char body[2048];
    whole_begin();
    snprintf(
        body, sizeof body,
        "{\"users\":[{\"email\":\"a0@example.org\",\"name\":\"A\",\"password_hash\":\"%s\"},"
        "{\"email\":\"a3@example.org\",\"name\":\"B\",\"password_hash\":\"%s\"},"
        "{\"email\":\"a4@example.org\",\"name\":\"C\",\"password_hash\":\"$argon2id$v=19$m=256,"
        "t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4\"}]}",
        made[0], made[3]);
    EXPECT_EQ(ask(HTTP_POST, IMPORT, ADA, body), 403);
    EXPECT_EQ(ask(HTTP_POST, IMPORT, ROOT, body), 201);
    EXPECT_EQ(whole_int("imported"), 3);
    EXPECT_EQ(ask(HTTP_POST, IMPORT, ROOT, body), 409);
    EXPECT_EQ(foreign_left(), 3);
    EXPECT(!whole_login(WHO_COUNT - 1, "a0@example.org", "wrong"));
    EXPECT(whole_login(WHO_COUNT - 1, "a0@example.org", PHRASE));
    EXPECT(whole_login(WHO_COUNT - 1, "a3@example.org", PHRASE));
    EXPECT(whole_login(WHO_COUNT - 1, "a4@example.org", "password"));
    EXPECT_EQ(foreign_left(), 0);
    EXPECT(whole_login(WHO_COUNT - 1, "a3@example.org", PHRASE)); /* now by ours */
    EXPECT(!whole_login(WHO_COUNT - 1, "a3@example.org", "correct horsf"));
}

TEST(an_import_is_whole_or_nothing) {
    static const char *const bad[] = {
        "{\"users\":[]}",
        "{\"users\":{}}",
        "{\"users\":[7]}",
        "{\"users\":[{\"email\":\"x\",\"name\":\"N\",\"password_hash\":\"h\"}]}",
        "{\"users\":[{\"email\":\"n@e.org\",\"name\":\"N\",\"password_hash\":\"plain\"}]}",
        "{\"users\":[{\"email\":\"n@e.org\",\"name\":\"N\"}]}",
        "{\"users\":[{\"email\":\"n@e.org\",\"name\":\"N\",\"password_hash\":\"h\",\"id\":\"1\"}]}",
        "{\"users\":[{\"email\":\"n@e.org\",\"name\":\"N\",\"password_hash\":\"h\",\"role\":"
        "\"god\"}]}",
    };
    whole_begin();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_EQ(ask(HTTP_POST, IMPORT, ROOT, bad[i]), 422);
    EXPECT_EQ(storage_number("SELECT count(*) FROM user WHERE email='n@e.org'"), 0);
}
