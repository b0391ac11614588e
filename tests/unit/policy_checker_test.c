/* SPDX-License-Identifier: Apache-2.0 */
/* The planned program against a plain walk over the compiler's trees, on policies grown at random:
 * two ways to the answer with nothing in common but the compiler. ROUNDS=n for more of them. */
#include "app/policy/machine/memo.c"
#include <stdio.h>
#include "tests/test.h"
#include "tests/unit/policy_program.h"

static u32 random_pick(void *arg, u32 n) {
    (void)arg;
    return (u32)((test_random() >> 11) % n);
}

TEST(machine_agrees_with_the_checker) {
    u32 counts[4] = {0};
    u32 rounds = getenv("ROUNDS") ? (u32)strtoul(getenv("ROUNDS"), NULL, 10) : 600;
    for (u32 i = 0; i < rounds && counts[PROGRAM_DIFFERS] < 5; i++) {
        struct buf why;
        buf_open(&why, MIB(1));
        int result = program_compare(random_pick, NULL, &why);
        counts[result]++;
        if (result == PROGRAM_DIFFERS) test_fail(__FILE__, __LINE__, "%.*s", STR(buf_str(&why)));
        buf_close(&why);
    }
    if (getenv("ROUNDS"))
        fprintf(stderr, "%u refused, %u unknown, %u agree, %u differ\n", counts[0], counts[1], counts[2], counts[3]);
    EXPECT(counts[PROGRAM_AGREES] > rounds / 4);
}
