/* SPDX-License-Identifier: Apache-2.0 */
/* zset.c — sorted sets: a pack in order, or a table and a skip list (W. Pugh, 1990) with spans.
 *
 *   level 2  head ------------------------> c ------------> NULL
 *   level 1  head ------> a --------------> c ---> d -----> NULL
 *   level 0  head ------> a ---> b -------> c ---> d -----> NULL      span: how many it leaps over
 *
 * One block per member: | node | score | levels | back | name | links, aligned |. The order is by
 * score, then bytewise by name, so it is total and every member has one rank.
 *
 * Always true: the table and the list hold the same blocks;
     spans of a level add up to the count. */
#include "app/cache/data/zset.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/data/pack.h"
#include "app/cache/object_impl.h"
#include "app/cache/settings.h"

#define LEVELS 32u

struct zlink {
    struct zitem *next;
    u64 span;
};
struct zitem {
    struct node node;
    double score;
    struct zitem *back;
    u32 levels;
    char name[];
};

static size_t links_at(size_t name_len) {
    return ALIGN_UP(offsetof(struct zitem, name) + name_len, _Alignof(struct zlink));
}

static struct zlink *links(const struct zitem *z) {
    return (struct zlink *)((char *)(uintptr_t)z + links_at(z->node.len));
}

static str name_of(const struct zitem *z) { return str_of(z->name, z->node.len); }

static struct zitem *item_new(str name, double score, u32 levels) {
    struct zitem *z = cache_alloc(links_at(name.len) + levels * sizeof(struct zlink));
    *z = (struct zitem){.node.len = (u32)name.len, .score = score, .levels = levels};
    if (name.len) memcpy(z->name, name.ptr, name.len);
    memset(links(z), 0, levels * sizeof(struct zlink));
    return z;
}

static u32 random_levels(void) {
    u32 n = 1;
    for (u64 r = cache_random(); n < LEVELS && (r & 3) == 0; n++, r >>= 2) {}
    return n;
}

static struct zset *table_new(void) {
    struct zset *z = cache_alloc(sizeof *z);
    *z = (struct zset){.level = 1};
    dict_open(&z->dict, offsetof(struct zitem, name));
    z->head = item_new(S(""), 0, LEVELS);
    return z;
}

static int order(double score, str name, const struct zitem *z) {
    if (score != z->score) return score < z->score ? -1 : 1;
    return str_cmp(name, name_of(z));
}

/* ---- Skip list ------------------------------------------------------------------------------- */

struct path {
    struct zitem *at[LEVELS];
    u64 rank[LEVELS]; /* of at[i]; head: 0 */
};

/* The last item before (score, name) on every level. */
static void path_to(const struct zset *z, double score, str name, struct path *p) {
    struct zitem *x = z->head;
    for (u32 i = z->level; i--;) {
        p->rank[i] = i == z->level - 1 ? 0 : p->rank[i + 1];
        for (struct zlink *l; (l = &links(x)[i])->next && order(score, name, l->next) > 0;) {
            p->rank[i] += l->span;
            x = l->next;
        }
        p->at[i] = x;
    }
}

static void list_insert(struct zset *z, struct zitem *item) {
    struct path p;
    path_to(z, item->score, name_of(item), &p);
    for (; z->level < item->levels; z->level++) {
        p.rank[z->level] = 0;
        p.at[z->level] = z->head;
        links(z->head)[z->level].span = z->dict.count;
    }
    for (u32 i = 0; i < item->levels; i++) {
        struct zlink *before = &links(p.at[i])[i], *own = &links(item)[i];
        own->next = before->next;
        own->span = before->span - (p.rank[0] - p.rank[i]);
        before->next = item;
        before->span = p.rank[0] - p.rank[i] + 1;
    }
    for (u32 i = item->levels; i < z->level; i++) links(p.at[i])[i].span++;
    item->back = p.at[0] == z->head ? NULL : p.at[0];
    if (links(item)[0].next) links(item)[0].next->back = item;
    else z->tail = item;
}

static void list_unlink(struct zset *z, struct zitem *item, const struct path *p) {
    for (u32 i = 0; i < z->level; i++) {
        struct zlink *before = &links(p->at[i])[i];
        if (before->next == item) {
            before->span += links(item)[i].span - 1;
            before->next = links(item)[i].next;
        } else {
            before->span--;
        }
    }
    if (links(item)[0].next) links(item)[0].next->back = item->back;
    else z->tail = item->back;
    while (z->level > 1 && !links(z->head)[z->level - 1].next) z->level--;
}

static void list_remove(struct zset *z, struct zitem *item) {
    struct path p;
    path_to(z, item->score, name_of(item), &p);
    CHECK(links(p.at[0])[0].next == item);
    list_unlink(z, item, &p);
}

/* 1-based; 0 is the head. */
static struct zitem *list_at(const struct zset *z, u64 rank) {
    struct zitem *x = z->head;
    u64 at = 0;
    for (u32 i = z->level; i--;)
        for (struct zlink *l; (l = &links(x)[i])->next && at + l->span <= rank;) {
            at += l->span;
            x = l->next;
        }
    return at == rank && rank ? x : NULL;
}

/* ---- Packs ----------------------------------------------------------------------------------- */

/* A member, then the eight bytes of its score. */
static double pack_score(const u8 *member) {
    double d;
    memcpy(&d, pack_get(pack_next(member)).ptr, sizeof d);
    return d;
}

static void pack_put(struct object *o, str member, double score) {
    pack_at at = pack_first(o->pack);
    while (!pack_end(o->pack, at)) {
        double s = pack_score(at);
        if (s > score || (s == score && str_cmp(pack_get(at), member) > 0)) break;
        at = pack_next(pack_next(at));
    }
    o->pack = pack_insert(o->pack, at, member, &at);
    o->pack = pack_insert(o->pack, pack_next(at), str_of((const char *)&score, sizeof score), NULL);
}

static pack_at pack_member(const struct object *o, str member) {
    return pack_find(o->pack, pack_first(o->pack), member, 2);
}

static void to_table(struct object *o) {
    struct zset *z = table_new();
    for (pack_at at = pack_first(o->pack); !pack_end(o->pack, at); at = pack_next(pack_next(at))) {
        struct zitem *item = item_new(pack_get(at), pack_score(at), random_levels());
        list_insert(z, item);
        dict_insert(&z->dict, &item->node, dict_hash(name_of(item)));
    }
    cache_free(o->pack);
    o->zset = z;
    o->encoding = ENC_TABLE;
}

/* ---- Both ------------------------------------------------------------------------------------ */

struct object zset_new(size_t expected, size_t member_len) {
    struct object o = {.type = OBJECT_ZSET, .encoding = ENC_PACK};
    if ((s64)expected > settings.zset_pack_entries || (s64)member_len > settings.zset_pack_value ||
        !settings.zset_pack_entries) {
        o.encoding = ENC_TABLE;
        o.zset = table_new();
    } else {
        o.pack = pack_new(0);
    }
    return o;
}

u64 zset_count(const struct object *o) {
    return o->encoding == ENC_PACK ? o->pack->count / 2 : o->zset->dict.count;
}

bool zset_score(const struct object *o, str member, double *out) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_member(o, member);
        if (at) *out = pack_score(at);
        return at != NULL;
    }
    struct zitem *z = (struct zitem *)dict_find(&o->zset->dict, member);
    if (z) *out = z->score;
    return z != NULL;
}

bool zset_put(struct object *o, str member, double score) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_member(o, member);
        if (at) o->pack = pack_delete(o->pack, at, 2);
        bool fits = (s64)(o->pack->count / 2 + 1) <= settings.zset_pack_entries &&
                    (s64)member.len <= settings.zset_pack_value &&
                    o->pack->bytes + member.len < MIB(1);
        if (fits || at) {
            pack_put(o, member, score);
            return !at;
        }
        to_table(o);
    }
    struct zset *z = o->zset;
    u32 hash = dict_hash(member);
    struct node **link = dict_link(&z->dict, member, hash);
    struct zitem *item = link ? (struct zitem *)*link : NULL;
    if (item && item->score == score) return false;
    if (item) {
        list_remove(z, item);
        memset(links(item), 0, item->levels * sizeof(struct zlink));
        item->score = score;
        z->dict.count--; /* as the list has it, while it is out */
        list_insert(z, item);
        z->dict.count++;
        return false;
    }
    item = item_new(member, score, random_levels());
    list_insert(z, item);
    dict_insert(&z->dict, &item->node, hash);
    return true;
}

bool zset_remove(struct object *o, str member) {
    if (o->encoding == ENC_PACK) {
        pack_at at = pack_member(o, member);
        if (at) o->pack = pack_delete(o->pack, at, 2);
        return at != NULL;
    }
    struct zitem *item = (struct zitem *)dict_remove(&o->zset->dict, member);
    if (!item) return false;
    list_remove(o->zset, item);
    cache_free(item);
    return true;
}

bool zset_rank(const struct object *o, str member, u64 *out) {
    if (o->encoding == ENC_PACK) {
        u64 n = 0;
        for (pack_at at = pack_first(o->pack); !pack_end(o->pack, at); at =
             pack_next(pack_next(at)), n++)
            if (str_eq(pack_get(at), member)) {
                *out = n;
                return true;
            }
        return false;
    }
    struct path p;
    struct zitem *item = (struct zitem *)dict_find(&o->zset->dict, member);
    if (!item) return false;
    path_to(o->zset, item->score, member, &p);
    *out = p.rank[0];
    return true;
}

/* ---- Places ---------------------------------------------------------------------------------- */

bool zset_at_rank(const struct object *o, u64 rank, struct zset_at *out) {
    *out = (struct zset_at){0};
    if (rank >= zset_count(o)) return false;
    if (o->encoding == ENC_PACK) out->pack = pack_index(o->pack, 2 * (s64)rank);
    else out->item = list_at(o->zset, rank + 1);
    return true;
}

bool zset_next(const struct object *o, struct zset_at *at) {
    if (o->encoding == ENC_TABLE) return (at->item = links(at->item)[0].next) != NULL;
    at->pack = pack_next(pack_next(at->pack));
    return !pack_end(o->pack, at->pack);
}

bool zset_prev(const struct object *o, struct zset_at *at) {
    if (o->encoding == ENC_TABLE) return (at->item = at->item->back) != NULL;
    at->pack = pack_prev(o->pack, at->pack);
    if (at->pack) at->pack = pack_prev(o->pack, at->pack);
    return at->pack != NULL;
}

str zset_member(const struct object *o, struct zset_at at) {
    return o->encoding == ENC_PACK ? pack_get(at.pack) : name_of(at.item);
}

double zset_at_score(const struct object *o, struct zset_at at) {
    return o->encoding == ENC_PACK ? pack_score(at.pack) : at.item->score;
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

static bool below_min(const struct zset_range *r, double score, str name) {
    if (!r->by_name) return r->min_open ? score <= r->min : score < r->min;
    if (r->min_inf) return r->min_inf > 0;
    int d = str_cmp(name, r->min_name);
    return r->min_open ? d <= 0 : d < 0;
}

static bool above_max(const struct zset_range *r, double score, str name) {
    if (!r->by_name) return r->max_open ? score >= r->max : score > r->max;
    if (r->max_inf) return r->max_inf < 0;
    int d = str_cmp(name, r->max_name);
    return r->max_open ? d >= 0 : d > 0;
}

/* How many are below the range, and how many are not above it. */
static void range_edges(const struct object *o, const struct zset_range *r, u64 *below, u64 *upto) {
    *below = *upto = 0;
    if (o->encoding == ENC_PACK) {
        for (pack_at at = pack_first(o->pack); !pack_end(o->pack, at); at =
             pack_next(pack_next(at))) {
            *below += below_min(r, pack_score(at), pack_get(at));
            *upto += !above_max(r, pack_score(at), pack_get(at));
        }
        return;
    }
    const struct zset *z = o->zset;
    struct zitem *x = z->head, *y = z->head;
    struct zlink *l;
    for (u32 i = z->level; i--;) {
        for (; (l = &links(x)[i])->next && below_min(r, l->next->score, name_of(l->next)); x =
             l->next)
            *below += l->span;
        for (; (l = &links(y)[i])->next && !above_max(r, l->next->score, name_of(l->next)); y =
             l->next)
            *upto += l->span;
    }
}

bool zset_range_ranks(const struct object *o, const struct zset_range *r, u64 *first, u64 *last) {
    u64 below, upto;
    range_edges(o, r, &below, &upto);
    if (below >= upto) return false;
    *first = below;
    *last = upto - 1;
    return true;
}

u64 zset_remove_ranks(struct object *o, u64 first, u64 count) {
    u64 have = zset_count(o);
    if (first >= have) return 0;
    count = MIN(count, have - first);
    if (o->encoding == ENC_PACK) {
        o->pack = pack_delete(o->pack, pack_index(o->pack, 2 * (s64)first), (u32)count * 2);
        return count;
    }
    struct zset *z = o->zset;
    struct zitem *item = list_at(z, first + 1), *next;
    struct path p;
    path_to(z, item->score, name_of(item), &p);
    for (u64 i = 0; i < count; i++, item = next) {
        next = links(item)[0].next;
        list_unlink(z, item, &p);
        struct node **link = dict_link(&z->dict, name_of(item), item->node.hash);
        dict_unlink(&z->dict, link);
        cache_free(item);
    }
    return count;
}

/* ---- Walking, and as a type ------------------------------------------------------------------ */

void zset_walk_begin(struct zset_walk *w, const struct object *o) { *w = (struct zset_walk){.o =
        o}; }

bool zset_walk_next(struct zset_walk *w, str *member, double *score) {
    bool more = w->begun ? zset_next(w->o, &w->at) : zset_at_rank(w->o, 0, &w->at);
    w->begun = true;
    if (!more) return false;
    *member = zset_member(w->o, w->at);
    *score = zset_at_score(w->o, w->at);
    return true;
}

void zset_of_node(const struct object *o, const struct node *n, str *member, double *score) {
    (void)o;
    *member = name_of((const struct zitem *)n);
    *score = ((const struct zitem *)n)->score;
}

static bool free_some(struct object *o, u32 n) {
    if (o->encoding == ENC_PACK) {
        cache_free(o->pack);
        return true;
    }
    struct node *item;
    while (n-- && (item = dict_take_any(&o->zset->dict))) cache_free(item);
    if (o->zset->dict.count) return false;
    dict_close(&o->zset->dict);
    cache_free(o->zset->head);
    cache_free(o->zset);
    return true;
}

static void free_now(struct object *o) {
    while (!free_some(o, 1000)) {}
}

static struct object copy(const struct object *o) {
    struct object to = {.type = OBJECT_ZSET, .encoding = o->encoding};
    struct zset_walk w;
    str member;
    double score;
    if (o->encoding == ENC_PACK) {
        size_t n = sizeof *o->pack + o->pack->room;
        to.pack = memcpy(cache_alloc(n), o->pack, n);
        return to;
    }
    to.zset = table_new();
    zset_walk_begin(&w, o);
    while (zset_walk_next(&w, &member, &score)) (void)zset_put(&to, member, score);
    return to;
}

static size_t items(const struct object *o) {
    return o->encoding == ENC_TABLE ? o->zset->dict.count : 1;
}

static size_t bytes(const struct object *o, u32 samples) {
    if (o->encoding == ENC_PACK) return cache_size(o->pack);
    const struct zset *z = o->zset;
    size_t sum = 0, seen = 0;
    for (struct zitem *x = links(z->head)[0].next; x && (!samples || seen < samples); seen++) {
        sum += cache_size(x);
        x = links(x)[0].next;
    }
    if (seen && seen < z->dict.count) sum = sum / seen * z->dict.count;
    return sum + dict_bytes(&z->dict) + cache_size(z->head) + cache_size(z);
}

const struct object_class zset_class = {.name = "zset", .free_now = free_now, .copy = copy,
                                        .items = items, .bytes = bytes, .free_some = free_some};
