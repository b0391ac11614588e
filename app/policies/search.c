/* SPDX-License-Identifier: Apache-2.0 */
/* search.c — what a person types, as an FTS5 expression; and the piece of text that shows why a
 * document was found.
 *
 *    politiques "eau potable" clim*
 *      -> ("polici" OR "polit") AND ("eau potabl" OR "eau potabl") AND ("clim" OR "clim" * )
 *
 * Each word is looked for by its English and its French stem: a document was indexed with its own
 * language's, and the reader need not say which. Words come out of word_next and hold only letters
 * and digits, so nothing typed can be an operator; the expression is a bound value all the same.
 * The snippet is HTML: everything is escaped but the <mark> around what matched. */
#include "app/policies/policies_impl.h"

enum { SNIPPET_BYTES = 240, SNIPPET_LEAD = 60 };

/* ---- Parsing --------------------------------------------------------------------------------- */

static rc_t add_word(struct search *s, const struct word *w, bool prefix) {
    if (s->count == QUERY_WORDS_MAX) return RC_LIMIT;
    for (int l = ENGLISH; l <= FRENCH; l++) {
        memcpy(s->words[s->count].text[l], w->text, w->len);
        s->words[s->count].len[l] =
            (u8)word_stem((enum language)l, s->words[s->count].text[l], w->len);
    }
    s->words[s->count++].prefix = prefix;
    return RC_OK;
}

/* words [from, to) as one phrase in each language */
static str phrase(struct arena *a, const struct search *s, u32 from, u32 to) {
    str text[2] = {S(""), S("")};
    for (int l = ENGLISH; l <= FRENCH; l++)
        for (u32 i = from; i < to && text[l].ptr; i++)
            text[l] = arena_printf(a, "%.*s%s%.*s", STR(text[l]), i == from ? "" : " ",
                                   (int)s->words[i].len[l], s->words[i].text[l]);
    if (!text[0].ptr || !text[1].ptr) return str_of(NULL, 0);
    return arena_printf(a, "(\"%.*s\" OR \"%.*s\")", STR(text[0]), STR(text[1]));
}

static str beginning(struct arena *a, const struct search *s, u32 at, const struct word *w) {
    str stems = phrase(a, s, at, at + 1);
    if (!stems.ptr) return stems;
    return arena_printf(a, "(%.*s OR \"%.*s\" *)", STR(stems), (int)w->len, w->text);
}

static rc_t add_term(struct arena *a, struct search *s, str term) {
    if (!term.ptr) return RC_NO_MEMORY;
    s->match = s->match.len ? arena_printf(a, "%.*s AND %.*s", STR(s->match), STR(term)) : term;
    return s->match.ptr ? RC_OK : RC_NO_MEMORY;
}

static rc_t parse_quoted(struct arena *a, str text, size_t *at, struct search *s) {
    size_t end = *at + str_find_byte(str_skip(text, *at), '"');
    str inside = str_take(text, end);
    struct word w;
    u32 first = s->count;
    while (word_next(inside, at, &w)) {
        rc_t rc = add_word(s, &w, false);
        if (rc) return rc;
    }
    *at = end < text.len ? end + 1 : end;
    return s->count == first ? RC_OK : add_term(a, s, phrase(a, s, first, s->count));
}

rc_t search_parse(struct arena *a, str text, struct search *out) {
    struct word w;
    size_t at = 0;
    *out = (struct search){.match = S("")};
    if (text.len > QUERY_MAX) return RC_LIMIT;
    while (at < text.len) {
        rc_t rc;
        if (text.ptr[at] == '"') {
            at++;
            if ((rc = parse_quoted(a, text, &at, out))) return rc;
            continue;
        }
        size_t quote = at + str_find_byte(str_skip(text, at), '"'); /* words stop at a quotation */
        if (!word_next(str_take(text, quote), &at, &w)) continue;
        bool prefix = w.end < text.len && text.ptr[w.end] == '*' && w.len >= 2;
        u32 number = out->count;
        if ((rc = add_word(out, &w, prefix))) return rc;
        str term = prefix ? beginning(a, out, number, &w) : phrase(a, out, number, number + 1);
        if ((rc = add_term(a, out, term))) return rc;
    }
    return out->count ? RC_OK : RC_INVALID;
}

/* ---- Snippets -------------------------------------------------------------------------------- */

/* Which word of the search this one is; -1: none. */
static int matches(const struct search *s, const struct word *w) {
    char text[2][WORD_MAX];
    size_t len[2];
    for (int l = ENGLISH; l <= FRENCH; l++) {
        memcpy(text[l], w->text, w->len);
        len[l] = word_stem((enum language)l, text[l], w->len);
    }
    for (u32 i = 0; i < s->count; i++)
        for (int l = ENGLISH; l <= FRENCH; l++) {
            str want = str_of(s->words[i].text[l], s->words[i].len[l]);
            if (str_eq(want, str_of(text[l], len[l]))) return (int)i;
            if (s->words[i].prefix && str_starts(str_of(w->text, w->len), want)) return (int)i;
        }
    return -1;
}

struct hit {
    size_t start, end;
    int word;
};
enum { HITS_MAX = 128 };

static u32 find_hits(const struct search *s, str text, struct hit *hits) {
    struct word w;
    size_t at = 0;
    u32 n = 0;
    while (n < HITS_MAX && word_next(text, &at, &w)) {
        int word = matches(s, &w);
        if (word >= 0) hits[n++] = (struct hit){w.start, w.end, word};
    }
    return n;
}

/* The hit to begin with: most different words within SNIPPET_BYTES after it. */
static u32 best_start(const struct hit *hits, u32 n) {
    u32 best = 0, most = 0;
    for (u32 i = 0; i < n; i++) {
        u32 seen = 0;
        for (u32 k = i; k < n && hits[k].end - hits[i].start <= SNIPPET_BYTES - SNIPPET_LEAD; k++)
            seen |= 1u << hits[k].word;
        u32 different = (u32)__builtin_popcount(seen);
        if (different > most) most = different, best = i;
    }
    return best;
}
static_assert(QUERY_WORDS_MAX <= 32, "one bit per word");

static rc_t add_escaped(struct buf *b, str text) {
    rc_t rc = RC_OK;
    for (size_t i = 0; i < text.len && rc == RC_OK; i++) {
        char c = text.ptr[i];
        switch (c) {
        case '<': rc = buf_add(b, S("&lt;")); break;
        case '>': rc = buf_add(b, S("&gt;")); break;
        case '&': rc = buf_add(b, S("&amp;")); break;
        case '"': rc = buf_add(b, S("&quot;")); break;
        case '\'': rc = buf_add(b, S("&#39;")); break;
        default: rc = buf_add_byte(b, (u8)c < 0x20 || c == 0x7F ? ' ' : c);
        }
    }
    return rc;
}

/* Moves back to the start of a character, then (a little) to the start of a word. */
static size_t word_boundary(str text, size_t at) {
    while (at && at < text.len && ((u8)text.ptr[at] & 0xC0) == 0x80) at--;
    for (size_t i = at; i && at - i < 20; i--)
        if (text.ptr[i - 1] == ' ' || text.ptr[i - 1] == '\n') return i;
    return at;
}

static rc_t snippet_write(struct buf *b, str text, const struct hit *hits, u32 n) {
    u32 first = n ? best_start(hits, n) : 0;
    size_t from = n && hits[first].start > SNIPPET_LEAD
                      ? word_boundary(text, hits[first].start - SNIPPET_LEAD)
                      : 0;
    size_t to =
        text.len - from > SNIPPET_BYTES ? word_boundary(text, from + SNIPPET_BYTES) : text.len;
    size_t at = from;
    rc_t rc = from ? buf_add(b, S("\xE2\x80\xA6 ")) : RC_OK; /* … */
    for (u32 i = 0; i < n && rc == RC_OK; i++) {
        if (hits[i].start < at || hits[i].end > to) continue;
        rc = add_escaped(b, str_of(text.ptr + at, hits[i].start - at));
        if (rc == RC_OK) rc = buf_add(b, S("<mark>"));
        if (rc == RC_OK)
            rc = add_escaped(b, str_of(text.ptr + hits[i].start, hits[i].end - hits[i].start));
        if (rc == RC_OK) rc = buf_add(b, S("</mark>"));
        at = hits[i].end;
    }
    if (rc == RC_OK && at < to) rc = add_escaped(b, str_of(text.ptr + at, to - at));
    return rc == RC_OK && to < text.len ? buf_add(b, S(" \xE2\x80\xA6")) : rc;
}

str search_snippet(struct arena *a, const struct search *s, str text) {
    struct hit hits[HITS_MAX];
    struct buf b;
    buf_open(&b, 8 * SNIPPET_BYTES + HITS_MAX * 16);
    u32 n = find_hits(s, text, hits);
    rc_t rc = snippet_write(&b, text, hits, n);
    str out = rc ? str_of(NULL, 0) : arena_copy(a, buf_str(&b));
    buf_close(&b);
    return out;
}
