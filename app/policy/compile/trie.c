/* SPDX-License-Identifier: Apache-2.0 */
/* trie.c — paths as a tree of keys: packages, rules, types.
 *
 *   data -> a -> b -> p        each node knows its parent and, in order of arrival, its children
 *
 * A child is found through one hash table for the whole tree, keyed by (parent, key): a package of
 * ten thousand rules costs no more per look than one of three, and nodes stay small. */
#include "app/policy/compile/compile_impl.h"

void trie_open(struct trie *t, struct heap *h) {
    *t = (struct trie){.heap = h};
}

static u32 mix(const struct trie_node *parent, u64 key_hash) {
    u64 x = ((u64)(uintptr_t)parent >> 4) * 0x9e3779b97f4a7c15ull ^ key_hash;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ull;
    return (u32)(x ^ (x >> 32));
}

static u32 hash_key(const struct trie_node *parent, value key) {
    return mix(parent, value_is(key, VALUE_STRING) ? key.hash : value_hash(key));
}

static bool key_is(const struct trie_node *n, str s) {
    return value_is(n->key, VALUE_STRING) && str_eq(value_str(n->key), s);
}

struct trie_node *trie_child_str(const struct trie *t, const struct trie_node *n, str key) {
    if (!t->slots) return NULL;
    for (u32 at = mix(n, value_hash_text(key)) & t->mask; t->slots[at]; at = (at + 1) & t->mask)
        if (t->slots[at]->parent == n && key_is(t->slots[at], key)) return t->slots[at];
    return NULL;
}

struct trie_node *trie_child(const struct trie *t, const struct trie_node *n, value key) {
    if (!t->slots) return NULL;
    for (u32 at = hash_key(n, key) & t->mask; t->slots[at]; at = (at + 1) & t->mask)
        if (t->slots[at]->parent == n && value_equal(t->slots[at]->key, key)) return t->slots[at];
    return NULL;
}

struct trie_node *trie_child_term(const struct trie *t, const struct trie_node *n,
                                  const struct ast_term *key) {
    if (key->kind == AST_VAR) return trie_child_str(t, n, key->var);
    return is_scalar(key) ? trie_child(t, n, key->scalar) : NULL;
}

static bool grow_to(struct trie *t, u32 slots) {
    struct trie_node **table = heap_alloc(t->heap, slots * sizeof *table);
    if (!table) return false;
    memset(table, 0, slots * sizeof *table);
    for (u32 i = 0; t->slots && i <= t->mask; i++) {
        struct trie_node *n = t->slots[i];
        if (!n) continue;
        u32 at = hash_key(n->parent, n->key) & (slots - 1);
        while (table[at]) at = (at + 1) & (slots - 1);
        table[at] = n;
    }
    t->slots = table;
    t->mask = slots - 1;
    return true;
}

void trie_reserve(struct trie *t, u32 count) {
    u32 slots = 64;
    while (slots < count * 2 + 2 && slots < 1u << 30) slots *= 2;
    if (!t->slots || slots > t->mask + 1) (void)grow_to(t, slots); /* else it grows as it goes */
}

static struct trie_node *insert(struct trie *t, struct trie_node *parent, value key) {
    if ((!t->slots || t->count * 2 >= t->mask) &&
        !grow_to(t, t->slots ? (t->mask + 1) * 2 : 64))
        return NULL;
    struct trie_node *n = heap_alloc(t->heap, sizeof *n);
    if (!n) return NULL;
    *n = (struct trie_node){.key = key, .parent = parent, .number = t->count++};
    u32 at = hash_key(parent, key) & t->mask;
    while (t->slots[at]) at = (at + 1) & t->mask;
    t->slots[at] = n;
    if (parent->last)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    parent->child_count++;
    parent->key_kinds |= (u8)(1u << key.kind);
    return n;
}

/* NULL: the heap is exhausted. */
struct trie_node *trie_make(struct trie *t, struct trie_node *n, value key) {
    struct trie_node *child = trie_child(t, n, key);
    return child ? child : insert(t, n, key);
}

struct trie_node *trie_make_str(struct trie *t, struct trie_node *n, str key) {
    struct trie_node *child = trie_child_str(t, n, key);
    return child ? child : insert(t, n, value_string(t->heap, key));
}

/* ---- Copies and removal ---------------------------------------------------------------------- */

static struct trie_node *copied(const struct trie_node *n, struct trie_node **by_number,
                                struct trie *to) {
    return !n ? NULL : n->parent ? by_number[n->number] : &to->root;
}

static void relate(struct trie_node *n, struct trie_node **by_number, struct trie *to) {
    n->parent = copied(n->parent, by_number, to);
    n->first = copied(n->first, by_number, to);
    n->last = copied(n->last, by_number, to);
    n->next = copied(n->next, by_number, to);
}

struct trie_node **trie_copy(struct trie *to, const struct trie *from, bool keys,
                             struct heap *scratch) {
    u32 count = from->count + 1, slots = from->slots ? from->mask + 1 : 0;
    struct trie_node **by_number = heap_alloc(scratch, count * sizeof *by_number);
    struct trie_node *nodes = heap_alloc(to->heap, count * sizeof *nodes);
    struct trie_node **table = heap_alloc(to->heap, (slots + 1) * sizeof *table);
    if (!by_number || !nodes || !table) return NULL;
    memset(by_number, 0, count * sizeof(struct trie_node *));
    memset(table, 0, (slots + 1) * sizeof *table);
    for (u32 i = 0; i < slots; i++) {
        const struct trie_node *n = from->slots[i];
        if (!n) continue;
        *nodes = *n;
        if (keys || !n->parent->parent) nodes->key = value_copy(to->heap, n->key);
        by_number[n->number] = nodes++;
    }
    to->root = from->root;
    relate(&to->root, by_number, to);
    for (u32 i = 0; i < from->count; i++)
        if (by_number[i]) relate(by_number[i], by_number, to);
    for (u32 i = 0; i < from->count; i++) {
        if (!by_number[i]) continue;
        u32 at = hash_key(by_number[i]->parent, by_number[i]->key) & from->mask;
        while (table[at]) at = (at + 1) & from->mask;
        table[at] = by_number[i];
    }
    to->slots = slots ? table : NULL;
    to->mask = from->mask, to->count = from->count;
    return by_number;
}

/* Those behind it that lie here only because it did move up. */
static void free_slot(struct trie *t, u32 i) {
    t->slots[i] = NULL;
    for (u32 j = (i + 1) & t->mask; t->slots[j]; j = (j + 1) & t->mask) {
        u32 home = hash_key(t->slots[j]->parent, t->slots[j]->key) & t->mask;
        if (((j - home) & t->mask) < ((j - i) & t->mask)) continue;
        t->slots[i] = t->slots[j];
        t->slots[j] = NULL;
        i = j;
    }
}

void trie_remove(struct trie *t, struct trie_node *n) {
    struct trie_node *up = n->parent, *before = NULL;
    CHECK(up && !n->first);
    u32 at = hash_key(up, n->key) & t->mask;
    while (t->slots[at] != n) at = (at + 1) & t->mask;
    free_slot(t, at);
    up->key_kinds = 0;
    for (struct trie_node *k = up->first; k; k = k->next) {
        if (k->next == n) before = k;
        if (k != n) up->key_kinds |= (u8)(1u << k->key.kind);
    }
    if (before) before->next = n->next;
    else up->first = n->next;
    if (up->last == n) up->last = before;
    up->child_count--;
}
