/* SPDX-License-Identifier: Apache-2.0 */
/* password.c — passwords: which are good enough, and how they are kept.
 *
 *    $argon2id$v=19$m=19456,t=2,p=1$<salt, 16 bytes>$<hash, 32 bytes>      (PHC string)
 *
 * Rules (after NIST SP 800-63B-4): at least PASSWORD_MIN characters, at most PASSWORD_MAX bytes,
 * valid UTF-8 without control characters, not a common word with decoration, not one character or a
 * run of neighbours repeated, not the address. No rules about classes of characters: they make
 * passwords worse.
 *
 * Argon2id needs 19 MiB for some 30 ms. Its memory is a *slot*; there are at most as many as
 * workers, SLOTS_MAX and the memory budget allow (one in a 64 MiB machine), so logins cannot
 * exhaust RAM. A login waits for a slot in a short queue, then gets RC_LIMIT. A slot keeps its
 * memory between hashes and returns it after IDLE_MS, except where RAM is so small that it might
 * not come back. */
#include "app/auth/auth_impl.h"
#include "kernel/base/limits.h"
#include "kernel/core/fiber.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include <argon2.h>
#include <stdio.h>

enum {
    COST_KIB = 19456,
    COST_PASSES = 2,
    COST_LANES = 1,
    SALT_BYTES = 16,
    HASH_BYTES = 32,
    SLOTS_MAX = 4,
    QUEUE_MAX = 16,
    QUEUE_WAIT_MS = 8000,
    IDLE_MS = 1000,
};
#define SLOT_BYTES ((size_t)COST_KIB * 1024)
#define SMALL_HEAP MIB(160) /* below, the first slot is taken at start and kept */

/* ---- Rules ----------------------------------------------------------------------------------- */

enum { DECORATION_MAX = 8 }; /* more than that around a common word is worth something */
static const char *const common[] = {
#define COMMON(word) word,
#include "app/auth/common_passwords.def"
#undef COMMON
};

static bool is_listed(str lower) {
    size_t low = 0, high = ARRAY_LEN(common);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int d = str_cmp(lower, str_from_c(common[middle]));
        if (d == 0) return true;
        if (d < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c & 0x80);
}

/* "Password2024!", "123-P@ssw0rd", "changeme_changeme": a listed word, alone or repeated, with its
 * usual disguises and at most DECORATION_MAX other characters around it. */
static bool is_common(str lower) {
    static const char from[] = "@4031!$57", to[] = "aaoeiisst";
    char word[PASSWORD_MAX];
    str core = lower;
    while (core.len && !is_letter(core.ptr[core.len - 1])) core.len--;
    while (core.len && !is_letter(core.ptr[0])) core = str_skip(core, 1);
    if (lower.len - core.len > DECORATION_MAX) return false;
    size_t n = 0;
    for (size_t i = 0; i < core.len; i++) {
        const char *at = strchr(from, core.ptr[i]);
        char c = core.ptr[i] && at ? to[at - from] : core.ptr[i];
        if (is_letter(c)) word[n++] = c;
    }
    for (size_t times = 1; times <= 4; times++) {
        str once = str_of(word, n / times);
        bool repeats = once.len && n % times == 0;
        for (size_t i = 1; repeats && i < times; i++)
            repeats = str_eq(once, str_of(word + i * once.len, once.len));
        if (repeats && is_listed(once)) return true;
    }
    return false;
}

/* "aaaaaaaaaaaa", "abcabcabcabc", "123412341234": a short piece, again and again. */
static bool is_repeated(str s) {
    for (size_t period = 1; period <= 4 && period * 2 <= s.len; period++) {
        size_t i = period;
        while (i < s.len && s.ptr[i] == s.ptr[i - period]) i++;
        if (i == s.len) return true;
    }
    return false;
}

/* "abcdefghijkl", "987654321098": each a neighbour of the one before. */
static bool is_sequence(str s) {
    for (int step = -1; step <= 1; step += 2) {
        size_t i = 1;
        while (i < s.len) {
            int d = s.ptr[i] - s.ptr[i - 1];
            if (d != step && d != -9 * step) break; /* 9 is followed by 0 */
            i++;
        }
        if (i == s.len) return true;
    }
    return false;
}

const char *password_weakness(str password, str email) {
    char lower[PASSWORD_MAX];
    size_t characters = 0;
    if (password.len > PASSWORD_MAX) return "A password has at most 256 bytes.";
    if (!str_is_utf8(password)) return "A password is text in UTF-8.";
    for (size_t i = 0; i < password.len; i++) {
        u8 c = (u8)password.ptr[i];
        if (c < 0x20 || c == 0x7F) return "A password has no control characters.";
        if ((c & 0xC0) != 0x80) characters++;
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : (char)c;
    }
    str low = str_of(lower, password.len);
    str local = str_take(email, str_find_byte(email, '@'));
    if (characters < PASSWORD_MIN)
        return "A password has at least 12 characters; 15 or more are better.";
    if (email.len && str_find(low, email) < low.len)
        return "The password must not contain your e-mail address.";
    if (local.len >= 4 && str_find(low, local) < low.len && low.len < local.len + 8)
        return "The password must not be made from your e-mail address.";
    if (is_common(low)) return "This is a common password, or one made from it.";
    if (is_repeated(low)) return "The password only repeats a few characters.";
    if (is_sequence(low)) return "The password is only a sequence of neighbouring characters.";
    return NULL;
}

/* ---- Slots ----------------------------------------------------------------------------------- */

struct slot {
    u8 *memory;
    bool taken;
    struct timer idle;
};
static struct slot slots[SLOTS_MAX];
static u32 slot_count;
static struct wait_queue waiting;
static bool keep_first;
/* libargon2's allocator has no argument: the worker's own entry says which slot it fills. */
static struct slot *slot_of_thread[WORKER_MAX + 1];

static int slot_memory(u8 **out, size_t bytes) {
    struct slot *s = slot_of_thread[platform_thread()];
    CHECK(s && s->memory);
    CHECK(bytes <= SLOT_BYTES);
    *out = s->memory;
    return ARGON2_OK;
}
static void slot_memory_back(u8 *memory, size_t bytes) {
    (void)memory, (void)bytes;
}

static void slot_idle(void *arg) {
    struct slot *s = arg;
    if (s->taken || (keep_first && s == &slots[0])) return;
    memory_free(MEMORY_PASSWORD, s->memory);
    s->memory = NULL;
}

rc_t password_start(void) {
    struct memory_use use;
    memory_use_get(MEMORY_PASSWORD, &use);
    slot_count = (u32)MIN(use.limit / SLOT_BYTES, (size_t)MIN(worker_count(), (u32)SLOTS_MAX));
    slot_count = MAX(slot_count, 1u);
    keep_first = memory_heap_bytes() < SMALL_HEAP;
    for (u32 i = 0; i < slot_count; i++) timer_init(&slots[i].idle, slot_idle, &slots[i]);
    if (keep_first) slots[0].memory = memory_alloc(MEMORY_PASSWORD, SLOT_BYTES);
    return RC_OK;
}

void password_stop(void) {
    for (u32 i = 0; i < slot_count; i++) {
        timer_stop(&slots[i].idle);
        if (slots[i].taken) continue;
        memory_free(MEMORY_PASSWORD, slots[i].memory);
        slots[i].memory = NULL;
    }
}

void password_trim(void) {
    for (u32 i = 0; i < slot_count; i++) {
        timer_stop(&slots[i].idle);
        slot_idle(&slots[i]);
    }
}

static struct slot *free_slot(void) {
    struct slot *without = NULL;
    for (u32 i = 0; i < slot_count; i++) {
        if (slots[i].taken) continue;
        if (slots[i].memory) return &slots[i];
        if (!without) without = &slots[i];
    }
    if (without) without->memory = memory_alloc(MEMORY_PASSWORD, SLOT_BYTES);
    return without && without->memory ? without : NULL;
}

static rc_t slot_take(struct slot **out) {
    u64 deadline = platform_clock_ns() + QUEUE_WAIT_MS * NS_PER_MS;
    bool queued = false;
    while (!(*out = free_slot())) {
        bool any = false; /* somebody will give one back */
        for (u32 i = 0; i < slot_count; i++) any |= slots[i].taken;
        if (!any) return RC_NO_MEMORY;
        if (!fiber_inside() || (!queued && waiting.count >= QUEUE_MAX)) return RC_LIMIT;
        queued = true;
        if (wait_queue_wait(&waiting, deadline)) return RC_LIMIT;
    }
    (*out)->taken = true;
    timer_stop(&(*out)->idle);
    return RC_OK;
}

static void slot_give(struct slot *s) {
    s->taken = false;
    if (!wait_queue_wake_one(&waiting) && timer_start_after_ms(&s->idle, IDLE_MS)) slot_idle(s);
}

/* ---- Hashing --------------------------------------------------------------------------------- */

struct hashing { /* handed to a worker whole */
    struct slot *slot;
    str password;
    u8 salt[SALT_BYTES], hash[HASH_BYTES];
    int result;
};

static void hash_job(void *arg) {
    struct hashing *h = arg;
    argon2_context context = {
        .out = h->hash,
        .outlen = HASH_BYTES,
        .pwd = (u8 *)h->password.ptr,
        .pwdlen = (u32)h->password.len,
        .salt = h->salt,
        .saltlen = SALT_BYTES,
        .t_cost = COST_PASSES,
        .m_cost = COST_KIB,
        .lanes = COST_LANES,
        .threads = COST_LANES,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = slot_memory,
        .free_cbk = slot_memory_back,
    };
    struct slot **mine = &slot_of_thread[platform_thread()];
    *mine = h->slot;
    h->result = argon2_ctx(&context, Argon2_id); /* clears the slot's memory at its end */
    *mine = NULL;
}

static rc_t hash(struct hashing *h) {
    rc_t rc = slot_take(&h->slot);
    if (rc) return rc;
    rc = worker_run(hash_job, h);
    slot_give(h->slot);
    if (rc) return rc;
    return h->result == ARGON2_OK ? RC_OK : RC_NO_MEMORY;
}

#define PHC_PREFIX "$argon2id$v=19$m=19456,t=2,p=1$"

static rc_t phc_parse(str phc, u8 salt[SALT_BYTES], u8 out_hash[HASH_BYTES]) {
    str salt_text, hash_text, rest = str_skip(phc, sizeof PHC_PREFIX - 1);
    size_t n;
    if (!str_starts(phc, S(PHC_PREFIX))) return RC_CORRUPT;
    if (!str_split(&rest, '$', &salt_text) || !str_split(&rest, '$', &hash_text) || rest.ptr)
        return RC_CORRUPT;
    if (base64_decode(salt_text, salt, SALT_BYTES, &n) || n != SALT_BYTES) return RC_CORRUPT;
    if (base64_decode(hash_text, out_hash, HASH_BYTES, &n) || n != HASH_BYTES) return RC_CORRUPT;
    return RC_OK;
}

rc_t password_hash(str password, char phc[PHC_ROOM]) {
    struct hashing h = {.password = password};
    char salt_text[BASE64_LEN(SALT_BYTES) + 1], hash_text[BASE64_LEN(HASH_BYTES) + 1];
    rc_t rc = platform_entropy(h.salt, sizeof h.salt);
    if (rc) return rc;
    if ((rc = hash(&h))) return rc;
    base64_encode(h.salt, SALT_BYTES, salt_text);
    base64_encode(h.hash, HASH_BYTES, hash_text);
    int n = snprintf(phc, PHC_ROOM, PHC_PREFIX "%s$%s", salt_text, hash_text);
    CHECK(n > 0 && n < PHC_ROOM);
    secret_wipe(&h, sizeof h);
    return RC_OK;
}

struct lending { /* handed to a worker whole */
    struct slot *slot;
    void (*fn)(void *arg, u8 *memory, size_t room);
    void *arg;
};

static void lend_job(void *arg) {
    struct lending *l = arg;
    l->fn(l->arg, l->slot->memory, SLOT_BYTES);
}

rc_t password_on_slot(void (*fn)(void *arg, u8 *memory, size_t room), void *arg) {
    struct lending l = {.fn = fn, .arg = arg};
    rc_t rc = slot_take(&l.slot);
    if (rc) return rc;
    rc = worker_run(lend_job, &l);
    slot_give(l.slot);
    return rc;
}

/* ---- Hashes made elsewhere --------------------------------------------------------------------
 */

struct judging { /* handed to a worker whole */
    struct slot *slot;
    str password;
    struct foreign f;
    bool match;
};

static bool argon2_matches(struct judging *j) {
    struct foreign *f = &j->f;
    u8 hash[sizeof f->hash];
    argon2_context context = {
        .out = hash,
        .outlen = (u32)f->hash_len,
        .pwd = (u8 *)j->password.ptr,
        .pwdlen = (u32)j->password.len,
        .salt = f->salt,
        .saltlen = (u32)f->salt_len,
        .t_cost = f->passes,
        .m_cost = f->kib,
        .lanes = f->lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = slot_memory,
        .free_cbk = slot_memory_back,
    };
    struct slot **mine = &slot_of_thread[platform_thread()];
    *mine = j->slot;
    int rc = argon2_ctx(&context, f->kind == FOREIGN_ARGON2I ? Argon2_i : Argon2_id);
    *mine = NULL;
    return rc == ARGON2_OK &&
           str_eq_secret(str_of((char *)hash, f->hash_len), str_of((char *)f->hash, f->hash_len));
}

static void judge_job(void *arg) {
    struct judging *j = arg;
    bool argon2 = j->f.kind == FOREIGN_ARGON2ID || j->f.kind == FOREIGN_ARGON2I;
    j->match = argon2 ? argon2_matches(j) : foreign_matches(&j->f, j->password);
}

/* In a slot too, whatever its memory: at most so many are judged at once. */
static rc_t foreign_verify(str password, str phc, bool *out_match) {
    struct judging j = {.password = password};
    if (foreign_parse(phc, &j.f)) return RC_CORRUPT;
    rc_t rc = slot_take(&j.slot);
    if (rc) return rc;
    rc = worker_run(judge_job, &j);
    slot_give(j.slot);
    *out_match = rc == RC_OK && j.match;
    secret_wipe(&j, sizeof j);
    return rc;
}

bool password_is_foreign(str phc) {
    return !str_starts(phc, S(PHC_PREFIX)) && !str_eq(phc, S(PASSWORD_NONE));
}

rc_t password_verify(str password, str phc, bool *out_match) {
    struct hashing h = {.password = password};
    u8 wanted[HASH_BYTES];
    *out_match = false;
    if (str_eq(phc, S(PASSWORD_NONE))) return password_verify_nobody(password);
    if (password_is_foreign(phc)) return foreign_verify(password, phc, out_match);
    rc_t rc = phc_parse(phc, h.salt, wanted);
    if (rc) return rc;
    if ((rc = hash(&h))) return rc;
    *out_match =
        str_eq_secret(str_of((char *)h.hash, HASH_BYTES), str_of((char *)wanted, HASH_BYTES));
    secret_wipe(&h, sizeof h);
    return RC_OK;
}

rc_t password_verify_nobody(str password) {
    struct hashing h = {.password = password};
    return hash(&h);
}
