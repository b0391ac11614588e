/* SPDX-License-Identifier: Apache-2.0 */
/* provoke.c — what goes wrong on purpose, asked for on the console of a machine under test:
 *
 *   provoke panic                            last words, then the machine ends
 *   provoke fault                            a write to an unmapped page
 *   provoke stack                            a fiber runs over the end of its stack
 *   provoke stall MS                         the loop does nothing else for so long
 *   provoke memory BUDGET PERCENT            so much of a budget is taken (0: given back)
 *   provoke disk N VERB NTH RC [for-ever]    the nth operation fails (0: all is well again)
 *
 * Each shows that the answer to it, written elsewhere, is true. */
#include "kernel/core/provoke.h"
#include "kernel/core/console.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/platform.h"

static size_t taken[MEMORY_BUDGET_COUNT];

static str word(str *rest) {
    str w = S("");
    *rest = str_trim(*rest);
    if (rest->len) (void)str_split(rest, ' ', &w);
    return w;
}

static bool number(str *rest, u64 *out) { return str_to_u64(word(rest), out) == RC_OK; }

static rc_t do_panic(str rest) {
    (void)rest;
    panic("provoked on the console");
}

static rc_t do_fault(str rest) {
    (void)rest;
    /* An address the optimiser cannot know, in the page that is mapped nowhere. */
    volatile uintptr_t nowhere = 16;
    *(volatile u32 *)nowhere = 1;
    return RC_OK;
}

/* Not a tail call, and each frame is touched: it must go on until the page below is met. */
static u32 dig(u32 depth) {
    volatile u8 room[1024];
    room[0] = room[sizeof room - 1] = (u8)depth;
    return depth == UINT32_MAX ? room[0] : dig(depth + 1) + room[sizeof room - 1];
}

static void digs(void *arg) {
    u32 *sum = arg;
    *sum = dig(0);
}

static rc_t do_stack(str rest) {
    static u32 sum;
    (void)rest;
    return fiber_start("provoked-stack", digs, &sum, NULL);
}

static rc_t do_stall(str rest) {
    u64 ms;
    if (!number(&rest, &ms) || ms > 60000) return RC_INVALID;
    u64 until = platform_clock_ns() + ms * NS_PER_MS;
    while (platform_clock_ns() < until) {}
    return RC_OK;
}

static rc_t do_memory(str rest) {
    str name = word(&rest);
    u64 percent;
    if (!number(&rest, &percent) || percent > 100) return RC_INVALID;
    for (u32 i = 0; i < MEMORY_BUDGET_COUNT; i++) {
        struct memory_use use;
        memory_use_get((enum memory_budget)i, &use);
        if (!str_eq(name, str_from_c(use.name))) continue;
        memory_refund((enum memory_budget)i, taken[i]);
        taken[i] = 0;
        memory_use_get((enum memory_budget)i, &use);
        size_t n = use.limit / 100 * (size_t)percent;
        if (percent == 100) n = use.limit;
        n = MIN(n, use.limit - MIN(use.used, use.limit)); /* what others hold stays theirs */
        if (!memory_charge((enum memory_budget)i, n)) return RC_NO_MEMORY;
        taken[i] = n;
        return RC_OK;
    }
    return RC_NOT_FOUND;
}

static rc_t do_disk(str rest) {
    static const char *const verbs[] = {"read", "write", "flush", "discard"};
    static const rc_t codes[] = {RC_IO, RC_FULL, RC_DENIED};
    u64 disk, nth;
    if (!number(&rest, &disk) || disk >= platform_disk_count()) return RC_NOT_FOUND;
    str verb = word(&rest);
    if (!number(&rest, &nth)) return RC_INVALID;
    str code = word(&rest), for_ever = word(&rest);
    for (u32 v = 0; v < ARRAY_LEN(verbs); v++) {
        if (!str_eq(verb, str_from_c(verbs[v]))) continue;
        for (u32 c = 0; c < ARRAY_LEN(codes); c++) {
            if (nth && !str_eq(code, str_from_c(rc_name(codes[c])))) continue;
            disk_fault_set((u32)disk, (enum disk_verb)v, nth, codes[c],
                           str_eq(for_ever, S("for-ever")));
            return RC_OK;
        }
    }
    return RC_INVALID;
}

static const struct {
    const char *name;
    rc_t (*run)(str rest);
} kinds[] = {
    {"panic", do_panic}, {"fault", do_fault},   {"stack", do_stack},
    {"stall", do_stall}, {"memory", do_memory}, {"disk", do_disk},
};

static void run_provoke(str arguments, struct buf *out) {
    str rest = arguments, kind = word(&rest);
    rc_t rc = RC_NOT_FOUND;
    for (u32 i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(kind, str_from_c(kinds[i].name))) rc = kinds[i].run(rest);
    (void)buf_printf(out, "provoked: %s\n", rc_name(rc));
}

rc_t provoke_init(void) {
    static const struct console_command command = {
        "provoke", "panic | fault | stack | stall MS | memory BUDGET PERCENT | disk N VERB NTH RC",
        run_provoke};
    return console_command_add(&command);
}
