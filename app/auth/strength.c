/* SPDX-License-Identifier: Apache-2.0 */
/* strength.c — how hard a password is to guess, as zxcvbn sees it.
 *
 *    "johnsmith1990"  ->  a name, a name, a year  ->  26 bits  ->  too easily guessed
 *
 * The library looks for what people build passwords of: words, names and leaked passwords (also
 * with l3tt3rs replaced), walks over the keyboard, dates, repetitions, sequences, the account's own
 * address; the cheapest way to put the whole together is its strength. Score 3 of 4 is
 * wanted: SCORE_BITS is the 10^8 guesses at which zxcvbn's score 3 begins.
 *
 * It runs on a worker, in the memory of a hashing slot: at most as many at once as passwords are
 * hashed. Only the first STRENGTH_BYTES count; more of them make no password weaker. The library
 * asks for one kind of block and for the path's nodes; of each position and length at most one
 * match stays, so PIECES is never reached and its malloc never fails. */
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"
#include <stddef.h>
#include <zxcvbn.h>

enum {
    STRENGTH_BYTES = 64,
    PIECES = STRENGTH_BYTES * (STRENGTH_BYTES + 1) / 2 + 8,
    NODES_BYTES = 64 * (STRENGTH_BYTES + 1),
    WORDS_MAX = 6, /* of the address */
    WORD_MIN = 4,
};
static const double SCORE_BITS = 26.6; /* log2(10^8) */

struct strength { /* handed to a worker whole */
    char password[STRENGTH_BYTES + 1];
    char text[WORDS_MAX][STRENGTH_BYTES + 1];
    const char *words[WORDS_MAX + 1];
    double bits;
    ZxcTypeMatch_t weakest; /* what most of it is */
};

struct pool { /* the library's memory */
    _Alignas(max_align_t) u8 nodes[NODES_BYTES];
    union piece {
        ZxcMatch_t match;
        union piece *next; /* unused */
    } *unused, pieces[PIECES];
};
/* The library's allocator has no argument: each thread knows which pool it fills. */
static struct pool *pool_of_thread[WORKER_MAX + 1];

void *zxcvbn_malloc(size_t n);
void zxcvbn_free(void *p);

void *zxcvbn_malloc(size_t n) {
    struct pool *pool = pool_of_thread[platform_thread()];
    CHECK(pool);
    if (n != sizeof(ZxcMatch_t)) {
        CHECK(n <= sizeof pool->nodes);
        return pool->nodes;
    }
    union piece *p = pool->unused;
    CHECK(p);
    pool->unused = p->next;
    return p;
}

void zxcvbn_free(void *p) {
    struct pool *pool = pool_of_thread[platform_thread()];
    union piece *piece = p;
    if (!p || p == pool->nodes) return;
    piece->next = pool->unused;
    pool->unused = piece;
}

/* The kind of match that covers most bytes; brute force only where there is nothing else. */
static ZxcTypeMatch_t largest(const ZxcMatch_t *list) {
    int bytes[YEAR_MATCH + 1] = {0}, best = BRUTE_MATCH;
    for (const ZxcMatch_t *m = list; m; m = m->Next) bytes[m->Type] += m->Length;
    bytes[BRUTE_MATCH] = 0;
    for (int i = DICTIONARY_MATCH; i <= YEAR_MATCH; i++)
        if (bytes[i] > bytes[best]) best = i;
    return (ZxcTypeMatch_t)best;
}

static void judge(void *arg, u8 *memory, size_t room) {
    struct strength *s = arg;
    struct pool *pool = (struct pool *)memory, **mine = &pool_of_thread[platform_thread()];
    ZxcMatch_t *parts = NULL;
    CHECK(room >= sizeof *pool);
    pool->unused = NULL;
    for (u32 i = 0; i < PIECES; i++) {
        pool->pieces[i].next = pool->unused;
        pool->unused = &pool->pieces[i];
    }
    *mine = pool;
    s->bits = ZxcvbnMatch(s->password, s->words, &parts);
    s->weakest = largest(parts);
    ZxcvbnFreeInfo(parts);
    *mine = NULL;
    secret_wipe(pool, sizeof *pool);
}

/* What to do about it, by what most of the password is. */
static const char *advice(ZxcTypeMatch_t weakest) {
    switch (weakest) {
    case USER_MATCH:
    case USER_LEET_MATCH:
        return "It is easily guessed: it is made from your name or address. Use words that have "
               "nothing to do with you.";
    case DICTIONARY_MATCH:
    case DICT_LEET_MATCH:
        return "It is easily guessed: common words, names or passwords, also with letters "
               "replaced. Add two or three uncommon words.";
    case SPATIAL_MATCH:
        return "It is easily guessed: keys that lie side by side. Use a few unrelated words.";
    case REPEATS_MATCH:
    case SEQUENCE_MATCH:
        return "It is easily guessed: repeated or neighbouring characters. Use a few unrelated "
               "words.";
    case DATE_MATCH:
    case YEAR_MATCH:
        return "It is easily guessed: a date or a year. Use a few unrelated words.";
    default: return "It is easily guessed. Use a few unrelated words.";
    }
}

/* Its parts, lower case as the library wants them. */
static void words_of(struct strength *s, str address) {
    u32 count = 0;
    size_t from = 0;
    for (size_t i = 0; i <= address.len && count < WORDS_MAX; i++) {
        if (i < address.len && !strchr("@.-_+", address.ptr[i])) continue;
        str word = str_skip(str_take(address, i), from);
        from = i + 1;
        if (word.len < WORD_MIN || word.len > STRENGTH_BYTES) continue;
        memcpy(s->text[count], word.ptr, word.len);
        s->words[count] = s->text[count];
        count++;
    }
}

rc_t password_strength(str password, str email, const char **why) {
    struct strength s = {0};
    memcpy(s.password, password.ptr, MIN(password.len, (size_t)STRENGTH_BYTES));
    words_of(&s, email);
    rc_t rc = password_on_slot(judge, &s);
    *why = rc || s.bits >= SCORE_BITS ? NULL : advice(s.weakest);
    secret_wipe(&s, sizeof s);
    return rc;
}
