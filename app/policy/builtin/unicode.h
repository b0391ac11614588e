/* SPDX-License-Identifier: Apache-2.0 */
/* unicode.h — what is known of each code point: category, script, case. The tables are made by
 * tools/unicode.py out of the Unicode Character Database. */
#pragma once
#include "kernel/base/base.h"

enum unicode_category { /* UNICODE CATEGORIES: ORDER (tools/unicode.py) */
    UNICODE_CC, UNICODE_CF, UNICODE_CN, UNICODE_CO, UNICODE_CS, UNICODE_LL, UNICODE_LM, UNICODE_LO,
    UNICODE_LT, UNICODE_LU, UNICODE_MC, UNICODE_ME, UNICODE_MN, UNICODE_ND, UNICODE_NL, UNICODE_NO,
    UNICODE_PC, UNICODE_PD, UNICODE_PE, UNICODE_PF, UNICODE_PI, UNICODE_PO, UNICODE_PS, UNICODE_SC,
    UNICODE_SK, UNICODE_SM, UNICODE_SO, UNICODE_ZL, UNICODE_ZP, UNICODE_ZS,
};
struct unicode_range { u32 low; u32 high : 24; u32 what : 8; };    /* sorted, disjoint */
struct unicode_case { u32 low; u32 high : 24; u32 stride : 8; s32 delta; };
struct unicode_fold {
    u32 from, to;
}; /* the next in a circle of equals */
struct unicode_name {
    const char *name;
    bool script;
    u32 what;
}; /* category: mask; script: number */

extern const struct unicode_range unicode_categories[], unicode_scripts[];
extern const struct unicode_case unicode_uppers[], unicode_lowers[];
extern const struct unicode_fold unicode_folds[];
extern const struct unicode_name unicode_names[]; /* sorted; lower case, without blanks - _ */
extern const u32 unicode_categories_count, unicode_scripts_count, unicode_uppers_count,
    unicode_lowers_count, unicode_folds_count, unicode_names_count;

enum unicode_category unicode_category(u32 rune);
u32 unicode_upper(u32 rune);
u32 unicode_lower(u32 rune);
u32 unicode_fold(u32 rune); /* the next rune that differs only in case; itself when there is none */
bool unicode_is_space(u32 rune);
bool unicode_is_print(
    u32 rune); /* letters, marks, numbers, punctuation, symbols and the ASCII blank */
const struct unicode_name *unicode_find(str name); /* NULL. Case, blanks, - and _ do not matter */
