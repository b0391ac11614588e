/* SPDX-License-Identifier: Apache-2.0 */
/* class.c — sets of runes: ranges added in any order, then sorted and joined; case folding; the
 * classes that have names. */
#include "app/policy/regex/regex_impl.h"
#include "app/policy/builtin/unicode.h"
#include <stdlib.h>

enum { RUNE_LAST = 0x10FFFF };

bool ranges_add(struct ranges *s, u32 low, u32 high) {
    if (s->count == s->room) {
        u32 room = s->room ? 2 * s->room : 64;
        if (s->room >= REGEX_RANGES_MAX) return false;
        struct range *at = realloc(s->at, room * sizeof(*at));
        if (!at) return false;
        s->at = at, s->room = room;
    }
    s->at[s->count++] = (struct range){low, high};
    return true;
}

bool ranges_add_folded(struct ranges *s, u32 low, u32 high) {
    if (!ranges_add(s, low, high)) return false;
    /* The table of what has cases is walked rather than the range, which may be all of Unicode. */
    for (u32 i = 0; i < unicode_folds_count; i++) {
        u32 rune = unicode_folds[i].from;
        if (rune < low || rune > high) continue;
        for (u32 f = unicode_folds[i].to; f != rune; f = unicode_fold(f))
            if ((f < low || f > high) && !ranges_add(s, f, f)) return false;
    }
    return true;
}

bool ranges_add_all(struct ranges *s, const struct range *at, u32 count, bool negate) {
    u32 next = 0;
    for (u32 i = 0; i < count; i++) {
        if (!negate && !ranges_add(s, at[i].low, at[i].high)) return false;
        if (negate && at[i].low > next && !ranges_add(s, next, at[i].low - 1)) return false;
        next = at[i].high + 1;
    }
    return !negate || next > RUNE_LAST || ranges_add(s, next, RUNE_LAST);
}

static int by_low(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low ? 1 : x->high > y->high ? -1 : x->high < y->high;
}

bool ranges_clean(struct ranges *s, u32 from) {
    if (s->count - from < 2) return true;
    qsort(s->at + from, s->count - from, sizeof(*s->at), by_low);
    u32 n = from;
    for (u32 i = from + 1; i < s->count; i++) {
        if (s->at[i].low <= s->at[n].high + 1) s->at[n].high = MAX(s->at[n].high, s->at[i].high);
        else s->at[++n] = s->at[i];
    }
    s->count = n + 1;
    return true;
}

bool ranges_negate(struct ranges *s,
                   u32 from) { /* of clean ones: in place, with at most one more */
    u32 next = 0, n = from, count = s->count;
    for (u32 i = from; i < count; i++) {
        struct range r = s->at[i];
        if (r.low > next) s->at[n++] = (struct range){next, r.low - 1};
        next = r.high + 1;
    }
    s->count = n;
    return next > RUNE_LAST || ranges_add(s, next, RUNE_LAST);
}

/* ---- Names ---- */

static bool add_property(struct ranges *s, const struct unicode_name *p, bool fold) {
    const struct unicode_range *table = p->script ? unicode_scripts : unicode_categories;
    u32 count = p->script ? unicode_scripts_count : unicode_categories_count, from = s->count,
        next = 0;
    bool unassigned = !p->script && (p->what >> UNICODE_CN & 1);
    for (u32 i = 0; i < count; i++) {
        if (unassigned && table[i].low > next && !ranges_add(s, next, table[i].low - 1))
            return false;
        next = table[i].high + 1;
        bool in = p->script ? table[i].what == p->what : p->what >> table[i].what & 1;
        if (in && !ranges_add(s, table[i].low, table[i].high)) return false;
    }
    if (unassigned && next <= RUNE_LAST && !ranges_add(s, next, RUNE_LAST)) return false;
    ranges_clean(s, from);
    for (u32 i = from, n = s->count; fold && i < n; i++)
        if (!ranges_add_folded(s, s->at[i].low, s->at[i].high)) return false;
    return ranges_clean(s, from);
}

bool ranges_add_named(struct ranges *s, str name, bool negate, bool fold, bool *known) {
    struct ranges own = {0};
    bool good;
    *known = true;
    if (str_eq_nocase(name, S("any"))) good = ranges_add(&own, 0, RUNE_LAST);
    else if (str_eq_nocase(name, S("ascii")))
        good = fold ? ranges_add_folded(&own, 0, 127) : ranges_add(&own, 0, 127);
    else if (str_eq_nocase(name, S("assigned"))) {
        const struct unicode_name *p = unicode_find(S("cn"));
        good = add_property(&own, p, false) && ranges_negate(&own, 0);
    } else {
        const struct unicode_name *p = unicode_find(name);
        if (!p) {
            *known = false;
            return true;
        }
        good = add_property(&own, p, fold);
    }
    good = good && ranges_clean(&own, 0) && ranges_add_all(s, own.at, own.count, negate);
    free(own.at);
    return good;
}

static const struct range digit[] = {{'0', '9'}},
                          word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                          perl_space[] = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}},
                          alnum[] = {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}},
                          alpha[] = {{'A', 'Z'}, {'a', 'z'}}, ascii[] = {{0, 127}},
                          blank[] = {{'\t', '\t'}, {' ', ' '}}, cntrl[] = {{0, 31}, {127, 127}},
                          graph[] = {{'!', '~'}}, lower[] = {{'a', 'z'}}, print[] = {{' ', '~'}},
                          punct[] = {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}},
                          space[] = {{'\t', '\r'}, {' ', ' '}}, upper[] = {{'A', 'Z'}},
                          xdigit[] = {{'0', '9'}, {'A', 'F'}, {'a', 'f'}};

const struct range *ranges_perl(char letter, u32 *count) {
    switch (letter) {
    case 'd': *count = ARRAY_LEN(digit); return digit;
    case 's': *count = ARRAY_LEN(perl_space); return perl_space;
    case 'w': *count = ARRAY_LEN(word); return word;
    default: return NULL;
    }
}

const struct range *ranges_posix(str name, u32 *count, bool *negate) {
    static const struct { const char *name; const struct range *at; u32 count;
    } table[] = {{"alnum", alnum, ARRAY_LEN(alnum)}, {"alpha", alpha, ARRAY_LEN(alpha)},
                 {"ascii", ascii, ARRAY_LEN(ascii)}, {"blank", blank, ARRAY_LEN(blank)},
                 {"cntrl", cntrl, ARRAY_LEN(cntrl)}, {"digit", digit, ARRAY_LEN(digit)},
                 {"graph", graph, ARRAY_LEN(graph)}, {"lower", lower, ARRAY_LEN(lower)},
                 {"print", print, ARRAY_LEN(print)}, {"punct", punct, ARRAY_LEN(punct)},
                 {"space", space, ARRAY_LEN(space)}, {"upper", upper, ARRAY_LEN(upper)},
                 {"word", word, ARRAY_LEN(word)},    {"xdigit", xdigit, ARRAY_LEN(xdigit)}};
    *negate = str_starts(name, S("[:^"));
    name = str_skip(name, *negate ? 3 : 2);
    name = str_take(name, name.len - 2);
    for (u32 i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq(name, str_from_c(table[i].name))) {
            *count = table[i].count;
            return table[i].at;
        }
    return NULL;
}
