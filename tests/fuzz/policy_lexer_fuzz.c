/* SPDX-License-Identifier: Apache-2.0 */
/* policy_lexer_fuzz.c — any bytes are cut into tokens that follow each other, and end. */
#include <stdlib.h>
#include <string.h>
#include "app/policy/lang/token.h"
#include "kernel/base/check.h"

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    char *text = malloc(n + 1); /* a byte read beyond it is seen */
    CHECK(text);
    memcpy(text, bytes, n);
    text[n] = 0;
    for (unsigned how = 0; how < 4; how++) {
        struct lexer_errors found = {0};
        struct lexer l;
        struct lexeme one = {0};
        u32 end = 0;
        lexer_open(&l, str_of(text, n), &found);
        l.keywords = how & 1 ? KEYWORDS_ALL : 0;
        for (size_t i = 0; i <= n + 1; i++) {
            bool newline;
            found.count = 0;
            if (one.kind == TOKEN_RBRACE && how & 2) lexer_next_template(&l, i & 1, &one);
            else lexer_next(&l, how & 1, &newline, &one);
            CHECK(one.offset >= end && one.end >= one.offset && one.end <= n);
            CHECK(one.row >= 1 && found.count <= LEXER_ERRORS_MAX);
            end = one.end;
            if (one.kind == TOKEN_EOF) break;
        }
        CHECK(one.kind == TOKEN_EOF);
    }
    free(text);
    return 0;
}
