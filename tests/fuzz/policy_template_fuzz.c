/* SPDX-License-Identifier: Apache-2.0 */
/* policy_template_fuzz.c — a text as a template over a small object. */
#include "app/policy/builtin/template.h"

struct evaluation {
    u64 ticks;
};
bool evaluation_tick(struct evaluation *e, u32 steps) {
    return (e->ticks += steps) < 100000;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static const char object[] =
        "{\"a\":{\"b\":\"x\",\"z\":null},\"n\":5,\"l\":[\"one\",[2]],\"y\":true}";
    struct heap heap;
    struct evaluation e = {0};
    struct diag why;
    value args[2];
    heap_open(&heap, MIB(4));
    struct builtin_call c = {.heap = &heap, .evaluation = &e};
    args[0] = value_string(&heap, str_of((const char *)bytes, n));
    if (value_is(args[0], VALUE_STRING) &&
        json_text_read(&heap, NULL, str_from_c(object), &args[1], &why) == RC_OK)
        (void)builtin_strings_render_template(&c, args);
    heap_close(&heap);
    return 0;
}
