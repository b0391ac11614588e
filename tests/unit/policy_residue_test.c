/* SPDX-License-Identifier: Apache-2.0 */
/* What partial evaluation leaves, evaluated with what was unknown, says what evaluating at once
 * says: on policies grown at random. The same ones each time, so that the gate judges the change and
 * not the draw: rare differences are left (docs/explanation/partial-evaluation.md). SEED=n ROUNDS=n
 * grows others, and more of them. */
#include "tests/test.h"
#include "tests/unit/policy_residue.h"

static u64 state = 0x9e3779b97f4a7c15ull;
static u32 random_pick(void *arg, u32 n) {
    (void)arg;
    if (getenv("SEED")) return (u32)((test_random() >> 11) % n);
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (u32)((state >> 11) % n);
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
