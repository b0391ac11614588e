/* SPDX-License-Identifier: Apache-2.0 */
/* policy_partial_fuzz.c — choices from which a policy is grown and a part of what it knows taken
 * away: what is left, evaluated with all, must say what evaluating at once says. */
#include "tests/unit/policy_residue.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

struct choices {
    const u8 *at, *end;
};

static u32 choose(void *arg, u32 n) {
    struct choices *c = arg;
    return c->at < c->end ? *c->at++ % n : 0;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct choices c = {bytes, bytes + n};
    struct buf why;
    buf_open(&why, 1 << 20);
    if (residue_compare(choose, &c, &why) == PROGRAM_DIFFERS) panic("%.*s", STR(buf_str(&why)));
    buf_close(&why);
    return 0;
}
