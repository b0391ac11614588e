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
