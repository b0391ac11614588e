/* SPDX-License-Identifier: Apache-2.0 */
/* auth_password_test.c — which passwords pass, the PHC form, the slots and their queue. */
#include "app/auth/password.c"
#include "tests/storage.h"

static bool weak(const char *password, const char *email) {
    return password_weakness(str_from_c(password), str_from_c(email)) != NULL;
}

TEST(the_list_of_common_words_is_sorted_and_lower_case) {
    for (size_t i = 0; i < ARRAY_LEN(common); i++) {
        for (const char *c = common[i]; *c; c++)
            if (*c >= 'A' && *c <= 'Z') test_fail(__FILE__, __LINE__, "%s", common[i]);
        if (i && strcmp(common[i - 1], common[i]) >= 0)
            test_fail(__FILE__, __LINE__, "%s", common[i]);
        EXPECT(is_listed(str_from_c(common[i])));
    }
}

TEST(weak_passwords_are_refused) {
    static const char *const bad[] = {
        "",
        "short",
        "elevenchars",
        "Password1234",
        "P@ssw0rd2024!",
        "123-Passw0rd",
        "letmein!!!!!",
        "changemechangeme",
        "qwertyuiop12",
        "aaaaaaaaaaaa",
        "abcabcabcabcabc",
        "123412341234",
        "123456789012",
        "abcdefghijklm",
        "987654321098",
        "OpenPolicy2025",
        "motdepasse123",
        "alice@example.org!",
        "my alice@example.org",
        "tab\tin the middle",
        "bell\a in the middle",
        "bad \xff utf-8 text",
        "AdministratorAdministrator",
        "WelcomeToCanada1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (!weak(bad[i], "alice@example.org"))
            test_fail(__FILE__, __LINE__, "accepted %s", bad[i]);
    char big[300];
    memset(big, 'x', sizeof big);
    EXPECT(password_weakness(str_of(big, 257), S("")) != NULL);
}

TEST(good_passwords_pass) {
    static const char *const good[] = {
        "a quiet river runs north",
        "correct horse battery staple 7",
        "seven lamps along the canal",
        "\xC3\xA9t\xC3\xA9 \xC3\xA0 la for\xC3\xAAt",
        "zK4#v9Qp2!mX",
        "\xE6\xB0\xB4\xE6\xB0\xB4\xE7\x81\xAB\xE5\xB1\xB1\xE7\x94\xB0\xE5\xB7\x9D\xE6\x9C\xA8\xE9"
        "\x87\x91\xE5\x9C\x9F\xE6\x97\xA5\xE6\x9C\x88\xE6\x98\x9F",
        "password for the third lamp",
        "admin-of-the-quiet-river",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (weak(good[i], "alice@example.org"))
            test_fail(__FILE__, __LINE__, "refused %s", good[i]);
    EXPECT(!weak("a quiet river runs north", ""));
}

/* One machine for all tests; memory is divided anew for each. */
static void begin(u64 heap) {
    static const struct sim_options machine = {.seed = 1, .worker_count = 2};
    static bool started;
    password_stop();
    memset(slots, 0, sizeof slots);
    if (!started) {
        sim_start(&machine);
        memory_init(MIB(4096));
        loop_init();
        REQUIRE(fiber_init(48) == RC_OK);
        EXPECT_OK(worker_init());
        started = true;
    }
    memory_init(heap);
    EXPECT_OK(password_start());
}

TEST(hashes_verify_and_differ_each_time) {
    char one[PHC_ROOM], two[PHC_ROOM];
    bool match;
    begin(MIB(200));
    REQUIRE(password_hash(S("a quiet river"), one) == RC_OK);
    REQUIRE(password_hash(S("a quiet river"), two) == RC_OK);
    EXPECT(strcmp(one, two) != 0);
    EXPECT(str_starts(str_from_c(one), S(PHC_PREFIX)));
    EXPECT_OK(password_verify(S("a quiet river"), str_from_c(one), &match));
    EXPECT(match);
    EXPECT_OK(password_verify(S("a quiet rives"), str_from_c(one), &match));
    EXPECT(!match);
    EXPECT_OK(password_verify(S(""), str_from_c(one), &match));
    EXPECT(!match);
    EXPECT_OK(password_verify_nobody(S("anything")));
}

/* Made by the reference implementation: echo -n "..." | argon2 somesaltsomesalt -id -t 2 -k 19456
 */
TEST(agrees_with_the_reference) {
    struct hashing h = {.password = S("password"), .salt = "somesaltsomesalt"};
    u8 wanted[HASH_BYTES];
    begin(MIB(200));
    EXPECT_OK(hash(&h));
    EXPECT_EQ(argon2id_hash_raw(COST_PASSES, COST_KIB, 1, "password", 8, "somesaltsomesalt", 16,
                                wanted, HASH_BYTES),
              ARGON2_OK);
    EXPECT(memcmp(h.hash, wanted, HASH_BYTES) == 0);
}

TEST(only_our_own_strings_are_read) {
    static const char *const bad[] = {
        "",
        "x",
        "$argon2id$",
        PHC_PREFIX,
        PHC_PREFIX "$",
        PHC_PREFIX "AAAA$AAAA",
        "$argon2d$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=4194304,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        PHC_PREFIX "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA$x",
        PHC_PREFIX "AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };
    bool match;
    begin(MIB(200));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        EXPECT_RC(password_verify(S("x"), str_from_c(bad[i]), &match), RC_CORRUPT);
}

static int done, busy;
static void one_login(void *arg) {
    (void)arg;
    rc_t rc = password_verify_nobody(S("a password"));
    done += rc == RC_OK;
    busy += rc == RC_LIMIT;
}

TEST(a_storm_queues_then_sheds) {
    begin(MIB(200));
    done = busy = 0;
    for (int i = 0; i < 40; i++) storage_fiber(one_login, NULL);
    storage_run();
    EXPECT_EQ(done + busy, 40);
    EXPECT(done >= MIN((int)QUEUE_MAX, (int)FIBER_MAX));
    if ((int)FIBER_MAX > (int)QUEUE_MAX + (int)SLOTS_MAX) EXPECT(busy > 0);
    for (u32 i = 0; i < SLOTS_MAX; i++) EXPECT(!slots[i].taken);
}

TEST(the_smallest_machine_hashes_one_at_a_time) {
    struct memory_use use;
    begin(MIB(56));
    EXPECT_EQ(slot_count, 1);
    EXPECT(slots[0].memory != NULL); /* kept: it might not come back */
    done = busy = 0;
    for (int i = 0; i < 8; i++) storage_fiber(one_login, NULL);
    storage_run();
    EXPECT_EQ(done, 8);
    memory_use_get(MEMORY_PASSWORD, &use);
    EXPECT(use.used >= SLOT_BYTES && use.used < 2 * SLOT_BYTES);
}

TEST(idle_memory_is_given_back) {
    struct memory_use use;
    begin(MIB(400));
    done = busy = 0;
    for (int i = 0; i < 4; i++) storage_fiber(one_login, NULL);
    storage_run();
    EXPECT_EQ(done, 4);
    for (u32 i = 0; i < SLOTS_MAX; i++) {
        timer_stop(&slots[i].idle);
        slot_idle(&slots[i]);
    }
    memory_use_get(MEMORY_PASSWORD, &use);
    EXPECT_EQ(use.used, 0);
}
