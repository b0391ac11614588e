/* SPDX-License-Identifier: Apache-2.0 */
/* delay.c — failed logins cost time, and more each time.
 *
 * A hard lock lets anyone lock anyone out (it is an option, auth.lockout), so a try is counted
 * under three keys, each with its own free tries, doubling delay and cap:
 *
 *    account + network   5 free, then 1 s, 2 s, 4 s ... 5 min   the guesser
 *    account             20 free, then 1 s ... 10 s             many guessers of one account
 *    network             30 free, then 1 s ... 1 min            one guesser of many accounts
 *
 * The account key does not hold a network from which that account has logged in lately, so its
 * owner is not slowed by others. Networks are /24 (IPv4) and /64 (IPv6). Accounts are counted by
 * the address typed, whether or not there is such a user: the answers tell nothing.
 *
 * Bounded: DELAY_SLOTS entries, the one idle longest in a bucket gives way; forgotten after 15 min
 * without a try. In memory: a restart forgives, the password's cost (argon2id) remains. */
#include "app/auth/auth_impl.h"
#include "kernel/platform.h"

enum { DELAY_BUCKETS = 512, DELAY_WAYS = 4, DELAY_FORGET_S = 900, FRIEND_S = 30 * 86400 };
enum key_kind { KEY_PAIR, KEY_ACCOUNT, KEY_NETWORK, KEY_FRIEND, KEY_KINDS };
static const struct {
    u32 free, cap_s;
} rules[] = {[KEY_PAIR] = {5, 300}, [KEY_ACCOUNT] = {20, 10}, [KEY_NETWORK] = {30, 60}};

struct entry {
    u64 key;     /* keyed hash; 0: free */
    u64 last_ns; /* of the newest try */
    u32 failures;
    u32 kind;
};
static struct entry table[DELAY_BUCKETS][DELAY_WAYS];
static u64 seed;

rc_t delay_start(void) {
    return platform_entropy(&seed, sizeof seed);
}

static u64 key_of(enum key_kind kind, str account, const struct net_address *peer) {
    char text[EMAIL_MAX + 16];
    size_t n = 0;
    text[n++] = (char)kind;
    if (kind != KEY_ACCOUNT) {
        size_t prefix = net_address_is_v4(peer) ? 15 : 8;
        memcpy(text + n, peer->bytes, prefix);
        n += prefix;
    }
    if (kind != KEY_NETWORK) {
        account = str_take(account, EMAIL_MAX);
        memcpy(text + n, account.ptr, account.len);
        n += account.len;
    }
    return str_hash(str_of(text, n), seed) | 1; /* never 0 */
}

static bool forgotten(const struct entry *e, u64 now_ns) {
    u64 keep_s = e->kind == KEY_FRIEND ? FRIEND_S : DELAY_FORGET_S;
    return e->key == 0 || now_ns - e->last_ns > keep_s * NS_PER_S;
}

static struct entry *find(u64 key, u64 now_ns) {
    struct entry *e = table[key / 2 % DELAY_BUCKETS];
    for (u32 i = 0; i < DELAY_WAYS; i++)
        if (e[i].key == key) {
            if (forgotten(&e[i], now_ns)) e[i] = (struct entry){0};
            return e[i].key ? &e[i] : NULL;
        }
    return NULL;
}

static struct entry *find_or_add(enum key_kind kind, u64 key, u64 now_ns) {
    struct entry *e = find(key, now_ns), *bucket = table[key / 2 % DELAY_BUCKETS];
    if (e) return e;
    e = bucket;
    for (u32 i = 0; i < DELAY_WAYS; i++) {
        if (forgotten(&bucket[i], now_ns)) {
            e = &bucket[i];
            break;
        }
        if (bucket[i].last_ns < e->last_ns) e = &bucket[i];
    }
    *e = (struct entry){.key = key, .last_ns = now_ns, .kind = (u32)kind};
    return e;
}

/* How long after its last try this key must wait. */
static u64 wait_ns(enum key_kind kind, u32 failures) {
    if (failures < rules[kind].free) return 0;
    u32 doubled = MIN(failures - rules[kind].free, 16u);
    return MIN(1ull << doubled, (u64)rules[kind].cap_s) * NS_PER_S;
}

u64 delay_take(str account, const struct net_address *peer, u64 now_ns) {
    bool friend = find(key_of(KEY_FRIEND, account, peer), now_ns) != NULL;
    u64 wait = 0;
    for (enum key_kind kind = KEY_PAIR; kind <= KEY_NETWORK; kind++) {
        const struct entry *e = find(key_of(kind, account, peer), now_ns);
        if (!e || (kind == KEY_ACCOUNT && friend)) continue;
        u64 due = e->last_ns + wait_ns(kind, e->failures);
        if (due > now_ns) wait = MAX(wait, due - now_ns);
    }
    if (wait) return wait;
    for (enum key_kind kind = KEY_PAIR; kind <= KEY_NETWORK; kind++) {
        struct entry *e = find_or_add(kind, key_of(kind, account, peer), now_ns);
        e->failures++;
        e->last_ns = now_ns;
    }
    return 0;
}

void delay_returned(str account, const struct net_address *peer, u64 now_ns) {
    for (enum key_kind kind = KEY_PAIR; kind <= KEY_NETWORK; kind++) {
        struct entry *e = find(key_of(kind, account, peer), now_ns);
        if (e && e->failures) e->failures--;
    }
}

void delay_succeeded(str account, const struct net_address *peer, u64 now_ns) {
    delay_returned(account, peer, now_ns); /* the network's other failures still count */
    for (enum key_kind kind = KEY_PAIR; kind <= KEY_ACCOUNT; kind++) {
        struct entry *e = find(key_of(kind, account, peer), now_ns);
        if (e) *e = (struct entry){0};
    }
    u64 key = key_of(KEY_FRIEND, account, peer);
    find_or_add(KEY_FRIEND, key, now_ns)->last_ns = now_ns;
}
