/* SPDX-License-Identifier: Apache-2.0 */
/* config_fuzz.c — any bytes as machine configuration and as command line: refused with a reason, or
 * accepted with every value within its bounds. */
#include "app/config/config_impl.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);

static void check_values(void) {
    struct arena a;
    for (u32 i = 0; i < option_count; i++) {
        struct config_view v;
        struct diag why;
        str text;
        s64 number;
        config_view_get(i, &v);
        arena_open(&a, NULL, 0, KIB(8));
        CHECK(option_parse(&options[i], v.text, &a, &text, &number, &why) == RC_OK);
        CHECK(number == v.number);
        arena_close(&a);
        for (int s = SOURCE_MACHINE; s < SOURCE_COUNT; s++)
            config_unset((enum config_source)s, i, 0);
    }
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static bool started;
    struct diag why = {0};
    str text = str_of((const char *)bytes, n);
    if (!started) {
        memory_init(MIB(64));
        loop_init();
        started = true;
    }
    if (config_read_json(text, &why)) CHECK(why.text[0] != 0);
    check_values();
    why.text[0] = 0;
    if (config_read_command_line(text, &why)) CHECK(why.text[0] != 0);
    check_values();
    return 0;
}
