/* SPDX-License-Identifier: Apache-2.0 */
/* What partial evaluation leaves, evaluated with what was unknown, says what evaluating at once
 * says: on policies grown at random, others each time. SEED=n grows what was grown before, ROUNDS=n
 * more of them. */
#include "tests/test.h"
#include "tests/unit/policy_residue.h"

static u32 random_pick(void *arg, u32 n) {
    (void)arg;
    return (u32)((test_random() >> 11) % n);
}

TEST(what_is_left_means_the_same) {
    u32 counts[4] = {0};
    u32 rounds = getenv("ROUNDS") ? (u32)strtoul(getenv("ROUNDS"), NULL, 10) : 200;
    for (u32 i = 0; i < rounds && counts[PROGRAM_DIFFERS] < 3; i++) {
        struct buf why;
        buf_open(&why, MIB(4));
        int result = residue_compare(random_pick, NULL, &why);
        counts[result]++;
        if (result == PROGRAM_DIFFERS) test_fail(__FILE__, __LINE__, "%.*s", STR(buf_str(&why)));
        buf_close(&why);
    }
    if (getenv("ROUNDS"))
        fprintf(stderr, "%u refused, %u unknown, %u agree, %u differ\n", counts[0], counts[1],
                counts[2], counts[3]);
    EXPECT(counts[PROGRAM_AGREES] > rounds / 4);
}
