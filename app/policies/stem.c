/* SPDX-License-Identifier: Apache-2.0 */
/* stem.c — words as the search index knows them: lower case, without diacritics, without endings,
 * so that "Émissions" finds "emission" and "les politiques nationales" finds "politique nationale".
 *
 *    text -> word_next: split, fold ("L'Été" -> "ete") -> word_stem: Porter (English), light
 * (French)
 *
 * Folding covers Latin-1, Latin Extended-A and combining marks; other scripts pass unchanged and
 * match as they are written. The same code runs over documents and over queries: that they agree
 * matters more than that a stem is a word. English is M. F. Porter's algorithm of 1980 in its five
 * steps; French removes plural, feminine and the commonest derivations. Always true: no word is
 * longer than WORD_MAX; positions point into the text given. */
#include "app/policies/policies_impl.h"

/* ---- Splitting and folding ------------------------------------------------------------------- */

/* U+00C0 .. U+017F by their ASCII letters; '?' = not a letter. Two letters where one becomes two.
 */
static const char folded[][3] = {
    /* C0 */ "a",  "a", "a",  "a",  "a", "a", "ae", "c",
    "e",           "e", "e",  "e",  "i", "i", "i",  "i",
    /* D0 */ "d",  "n", "o",  "o",  "o", "o", "o",  "?",
    "o",           "u", "u",  "u",  "u", "y", "th", "ss",
    /* E0 */ "a",  "a", "a",  "a",  "a", "a", "ae", "c",
    "e",           "e", "e",  "e",  "i", "i", "i",  "i",
    /* F0 */ "d",  "n", "o",  "o",  "o", "o", "o",  "?",
    "o",           "u", "u",  "u",  "u", "y", "th", "y",
    /* 100 */ "a", "a", "a",  "a",  "a", "a", "c",  "c",
    "c",           "c", "c",  "c",  "c", "c", "d",  "d",
    /* 110 */ "d", "d", "e",  "e",  "e", "e", "e",  "e",
    "e",           "e", "e",  "e",  "g", "g", "g",  "g",
    /* 120 */ "g", "g", "g",  "g",  "h", "h", "h",  "h",
    "i",           "i", "i",  "i",  "i", "i", "i",  "i",
    /* 130 */ "i", "i", "ij", "ij", "j", "j", "k",  "k",
    "k",           "l", "l",  "l",  "l", "l", "l",  "l",
    /* 140 */ "l", "l", "l",  "n",  "n", "n", "n",  "n",
    "n",           "n", "n",  "n",  "o", "o", "o",  "o",
    /* 150 */ "o", "o", "oe", "oe", "r", "r", "r",  "r",
    "r",           "r", "s",  "s",  "s", "s", "s",  "s",
    /* 160 */ "s", "s", "t",  "t",  "t", "t", "t",  "t",
    "u",           "u", "u",  "u",  "u", "u", "u",  "u",
    /* 170 */ "u", "u", "u",  "u",  "w", "w", "y",  "y",
    "y",           "z", "z",  "z",  "z", "z", "z",  "s",
};
static_assert(ARRAY_LEN(folded) == 0x180 - 0xC0, "one entry per character");

/* The character at p (valid UTF-8, n > 0) and its length in bytes. */
static u32 character(const u8 *p, size_t n, size_t *len) {
    u32 c = p[0];
    *len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (*len > n) *len = n;
    if (*len == 1) return c;
    c &= 0x7Fu >> *len;
    for (size_t i = 1; i < *len; i++) c = c << 6 | (p[i] & 0x3Fu);
    return c;
}

static bool is_apostrophe(u32 c) {
    return c == '\'' || c == 0x2019 || c == 0x2BC;
}

/* Appends what character c is in the index; 0 letters: not part of a word. *mark: part, but silent.
 */
static size_t fold(u32 c, const u8 *raw, size_t raw_len, char to[5], bool *mark) {
    *mark = c >= 0x300 && c <= 0x36F;
    if (c >= 'A' && c <= 'Z') c += 32;
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0xC0 || *mark) return 0;
    if (c < 0x180) {
        const char *f = folded[c - 0xC0];
        if (f[0] == '?') return 0;
        size_t n = f[1] ? 2 : 1;
        memcpy(to, f, n);
        return n;
    }
    bool punctuation = (c >= 0x2000 && c <= 0x206F) || (c >= 0x2E00 && c <= 0x2E7F) ||
                       (c >= 0x3000 && c <= 0x303F) || c == 0x2BC || c == 0xFEFF;
    if (punctuation) return 0;
    memcpy(to, raw, raw_len);
    return raw_len;
}

static bool is_elision(str w) {
    static const char *const elided[] = {"l", "d",  "j",      "m",     "n",      "s",     "t",
                                         "c", "qu", "lorsqu", "jusqu", "puisqu", "quoiqu"};
    for (size_t i = 0; i < ARRAY_LEN(elided); i++)
        if (str_eq(w, str_from_c(elided[i]))) return true;
    return false;
}

/* Letters and digits of ASCII, most of what there is, without the general way through fold(). Gives
 * where they end. */
static size_t plain_letters(str text, size_t at, struct word *out) {
    size_t n = out->len;
    for (; at < text.len; at++) {
        u8 c = (u8)text.ptr[at], low = c | 32; /* digits have that bit */
        if ((u8)(low - 'a') >= 26 && (u8)(c - '0') >= 10) break;
        if (n < WORD_MAX) out->text[n++] = (char)low;
    }
    out->len = n;
    return at;
}

bool word_next(str text, size_t *at, struct word *out) {
    const u8 *p = (const u8 *)text.ptr;
    out->len = 0;
    while (*at < text.len) {
        char piece[5];
        size_t len, before = out->len, letters_end = plain_letters(text, *at, out);
        bool mark;
        if (letters_end > *at) {
            if (before == 0) out->start = *at;
            *at = out->end = letters_end;
            continue;
        }
        u32 c = character(p + *at, text.len - *at, &len);
        size_t n = fold(c, p + *at, len, piece, &mark);
        if (n == 0 && !mark && out->len) {
            if (!is_apostrophe(c) || !is_elision(str_of(out->text, out->len))) return true;
            out->len = 0; /* l'eau: the article is not a word */
        }
        if (n && out->len == 0) out->start = *at;
        *at += len;
        if (n) {
            out->end = *at;
            if (out->len + n <= WORD_MAX) memcpy(out->text + out->len, piece, n), out->len += n;
        }
    }
    return out->len > 0;
}

/* ---- English: Porter ------------------------------------------------------------------------- */

struct stem {
    char *w;
    size_t n; /* length */
    size_t j; /* length without the ending just looked at */
};

static bool consonant(const struct stem *s, size_t i) {
    switch (s->w[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u': return false;
    case 'y': return i == 0 || !consonant(s, i - 1);
    default: return true;
    }
}

/* m: how many times vowels are followed by consonants in the first j letters. */
static size_t measure(const struct stem *s) {
    size_t m = 0, i = 0;
    while (i < s->j && consonant(s, i)) i++;
    while (i < s->j) {
        while (i < s->j && !consonant(s, i)) i++;
        if (i == s->j) break;
        while (i < s->j && consonant(s, i)) i++;
        m++;
    }
    return m;
}

static bool has_vowel(const struct stem *s) {
    for (size_t i = 0; i < s->j; i++)
        if (!consonant(s, i)) return true;
    return false;
}

static bool doubled(const struct stem *s) {
    return s->n >= 2 && s->w[s->n - 1] == s->w[s->n - 2] && consonant(s, s->n - 1);
}

/* consonant, vowel, consonant but not w, x, y: as in "hop", whose e was dropped. */
static bool short_end(const struct stem *s, size_t n) {
    if (n < 3 || !consonant(s, n - 1) || consonant(s, n - 2) || !consonant(s, n - 3)) return false;
    return !strchr("wxy", s->w[n - 1]);
}

/* Some thirty endings are tried per word: the last two letters rule out nearly all of them. */
static inline bool ends_in(struct stem *s, str ending) {
    size_t k = ending.len;
    if (k > s->n || s->w[s->n - 1] != ending.ptr[k - 1]) return false;
    if (k > 1 && s->w[s->n - 2] != ending.ptr[k - 2]) return false;
    if (memcmp(s->w + s->n - k, ending.ptr, k) != 0) return false;
    s->j = s->n - k;
    return true;
}
#define ends(s, ending) ends_in(s, S(ending))

static void set_ending_to(struct stem *s, str to) {
    if (s->j + to.len > WORD_MAX) return;
    if (to.len) memcpy(s->w + s->j, to.ptr, to.len);
    s->n = s->j + to.len;
}
#define set_ending(s, to) set_ending_to(s, S(to))

static void porter_plural(struct stem *s) {
    if (s->w[s->n - 1] != 's') return;
    if (ends(s, "sses") || ends(s, "ies"))
        s->n -= 2;
    else if (s->n >= 2 && s->w[s->n - 2] != 's')
        s->n--;
}

static void porter_past(struct stem *s) {
    if (ends(s, "eed")) {
        if (measure(s) > 0) s->n--;
        return;
    }
    if (!((ends(s, "ed") || ends(s, "ing")) && has_vowel(s))) return;
    s->n = s->j;
    if (ends(s, "at"))
        s->j = s->n, set_ending(s, "e");
    else if (ends(s, "bl"))
        s->j = s->n, set_ending(s, "e");
    else if (ends(s, "iz"))
        s->j = s->n, set_ending(s, "e");
    else if (doubled(s)) {
        if (!strchr("lsz", s->w[s->n - 1])) s->n--;
    } else {
        s->j = s->n;
        if (measure(s) == 1 && short_end(s, s->n)) set_ending(s, "e");
    }
}

struct ending {
    str from, to;
};

/* The first that fits decides, whether or not the measure lets it act. */
static void porter_table(struct stem *s, const struct ending *table, size_t count, size_t m) {
    for (size_t i = 0; i < count; i++) {
        if (!ends_in(s, table[i].from)) continue;
        if (measure(s) > m) set_ending_to(s, table[i].to);
        return;
    }
}

static void porter_derived(struct stem *s) {
    static const struct ending two[] = {
        {S("ational"), S("ate")}, {S("tional"), S("tion")}, {S("enci"), S("ence")},
        {S("anci"), S("ance")}, {S("izer"), S("ize")}, {S("abli"), S("able")},
        {S("alli"), S("al")}, {S("entli"), S("ent")}, {S("eli"), S("e")}, {S("ousli"), S("ous")},
        {S("ization"), S("ize")}, {S("ation"), S("ate")}, {S("ator"), S("ate")},
        {S("alism"), S("al")}, {S("iveness"), S("ive")}, {S("fulness"), S("ful")},
        {S("ousness"), S("ous")}, {S("aliti"), S("al")}, {S("iviti"), S("ive")},
        {S("biliti"), S("ble")},
    };
    static const struct ending three[] = {
        {S("icate"), S("ic")}, {S("ative"), S("")}, {S("alize"), S("al")}, {S("iciti"), S("ic")},
        {S("ical"), S("ic")}, {S("ful"), S("")}, {S("ness"), S("")},
    };
    static const struct ending four[] = {
        {S("al"), S("")}, {S("ance"), S("")}, {S("ence"), S("")}, {S("er"), S("")},
        {S("ic"), S("")}, {S("able"), S("")}, {S("ible"), S("")}, {S("ant"), S("")},
        {S("ement"), S("")}, {S("ment"), S("")}, {S("ent"), S("")}, {S("ou"), S("")},
        {S("ism"), S("")}, {S("ate"), S("")}, {S("iti"), S("")}, {S("ous"), S("")},
        {S("ive"), S("")}, {S("ize"), S("")},
    };
    porter_table(s, two, ARRAY_LEN(two), 0);
    porter_table(s, three, ARRAY_LEN(three), 0);
    bool ion = ends(s, "ion") && s->j && strchr("st", s->w[s->j - 1]);
    if (ion && measure(s) > 1)
        s->n = s->j;
    else if (!ion)
        porter_table(s, four, ARRAY_LEN(four), 1);
}

static void porter_last(struct stem *s) {
    s->j = s->n;
    if (s->w[s->n - 1] == 'e') {
        s->j = s->n - 1;
        size_t m = measure(s);
        if (m > 1 || (m == 1 && !short_end(s, s->n - 1))) s->n--;
    }
    s->j = s->n;
    if (s->w[s->n - 1] == 'l' && doubled(s) && measure(s) > 1) s->n--;
}

static size_t english(char *text, size_t len) {
    struct stem s = {text, len, len};
    if (len <= 2) return len;
    porter_plural(&s);
    porter_past(&s);
    if (ends(&s, "y") && has_vowel(&s)) s.w[s.n - 1] = 'i';
    porter_derived(&s);
    porter_last(&s);
    return s.n;
}

/* ---- French: light --------------------------------------------------------------------------- */

static void french_inflection(struct stem *s) {
    if (s->n > 4 && ends(s, "aux"))
        set_ending(s, "al");
    else if (s->n > 3 && (s->w[s->n - 1] == 's' || s->w[s->n - 1] == 'x'))
        s->n--;
    for (int i = 0; i < 2 && s->n > 3 && s->w[s->n - 1] == 'e'; i++) s->n--;
}

static size_t french(char *text, size_t len) {
    static const str endings[] = {
        /* longest first; without the e that is gone already */
        S("issement"), S("ablement"), S("iblement"), S("ateur"), S("atric"), S("ation"), S("ition"),
        S("ution"),    S("ement"),    S("ment"),     S("ion"),   S("iqu"),   S("ism"),   S("ist"),
        S("abl"),      S("ibl"),      S("enc"),      S("anc"),   S("eur"),   S("eus"),   S("ier"),
        S("ell"),      S("ant"),      S("ent"),      S("iv"),    S("if"),    S("el"),    S("al"),
        S("er"),       S("ir"),       S("it"),       S("eu"),
    };
    struct stem s = {text, len, len};
    if (len <= 3) return len;
    french_inflection(&s);
    for (int pass = 0; pass < 2; pass++) {
        size_t before = s.n;
        for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
            if (!ends_in(&s, endings[i]) || s.j < 4) continue;
            s.n = s.j;
            break;
        }
        if (s.n == before) break;
        while (s.n > 3 && s.w[s.n - 1] == 'e') s.n--;
        bool twice = s.n > 4 && doubled(&s) && strchr("lnt", s.w[s.n - 1]);
        if (twice) s.n--; /* traditionnel: traditionn, tradition, tradit */
    }
    return s.n;
}

/* ---- Both ------------------------------------------------------------------------------------ */

size_t word_stem(enum language language, char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((text[i] & 0x80) || (text[i] >= '0' && text[i] <= '9'))
            return len; /* not a Latin word */
    return language == FRENCH ? french(text, len) : english(text, len);
}

rc_t text_stem(enum language language, str text, struct buf *out) {
    struct word word;
    size_t at = 0;
    while (word_next(text, &at, &word)) {
        size_t n = word_stem(language, word.text, word.len);
        rc_t rc = buf_reserve(out, n + 1);
        if (rc) return rc;
        rc = buf_add(out, str_of(word.text, n));
        if (rc == RC_OK) rc = buf_add_byte(out, ' ');
        if (rc) return rc;
    }
    return RC_OK;
}
