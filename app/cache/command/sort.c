/* SPDX-License-Identifier: Apache-2.0 */
/* sort.c — SORT: a list, set or sorted set in the order of its elements, or of other keys' values
 * that a pattern with a star names ("weight_*", "user_*->age"), said or stored.
 *
 * Elements are gathered with what they are compared by, sorted by merging (equal ones stay in their
 * order, then are told apart by their bytes), and said through GET patterns. A pattern without a
 * star sorts nothing. What a pattern leads to is only read by users who may read every key. */
#include "app/cache/acl_impl.h"
#include "app/cache/command.h"
#include "app/cache/command/hash.h"
#include "app/cache/data/list.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/data/set.h"
#include "app/cache/data/zset.h"
#include "app/cache/features.h"

struct element {
    struct text *text;
    double number;
    struct text *by; /* ALPHA with BY; NULL: absent */
};
struct sort {
    str by, store;
    bool has_by, none, alpha, descending, limited;
    s64 offset, limit;
    u32 gets;      /* how many GET there are */
    struct element *elements;
    size_t count;
};

/* ---- Patterns -------------------------------------------------------------------------------- */

/* The value a pattern names for an element. NULL: none. The caller drops it. */
static struct text *look_up(struct client *c, str pattern, str element) {
    char scratch[OBJECT_NUMBER_ROOM];
    struct text *found = NULL;
    str value, field = {0};
    if (str_eq(pattern, S("#"))) return text_new(element, 0);
    size_t star = str_find_byte(pattern, '*');
    if (star == pattern.len) return NULL;
    str after = str_skip(pattern, star + 1);
    size_t arrow = str_find(after, S("->"));
    if (arrow + 2 < after.len) {
        field = str_skip(after, arrow + 2);
        after = str_take(after, arrow);
    }
    struct text *name = text_new(str_take(pattern, star), star + element.len + after.len);
    memcpy(name->bytes + star, element.ptr, element.len);
    memcpy(name->bytes + star + element.len, after.ptr, after.len);
    name->len = (u32)(star + element.len + after.len);
    struct entry *e = keys_read(c->db, str_of(name->bytes, name->len));
    if (e && field.ptr && e->object.type == OBJECT_HASH) {
        if (hash_get(&e->object, field, &value)) found = text_new(value, 0);
    } else if (e && !field.ptr && e->object.type == OBJECT_STRING) {
        found = text_new(object_str(&e->object, scratch), 0);
    }
    text_drop(name);
    return found;
}

/* ---- Options --------------------------------------------------------------------------------- */

static bool options_read(struct client *c, struct sort *s, bool read_only) {
    for (u32 i = 2; i < c->argc; i++) {
        u32 left = c->argc - i - 1;
        if (arg_is(c, i, "asc")) {
            s->descending = false;
        } else if (arg_is(c, i, "desc")) {
            s->descending = true;
        } else if (arg_is(c, i, "alpha")) {
            s->alpha = true;
        } else if (arg_is(c, i, "limit") && left >= 2) {
            if (!arg_integer(c, i + 1, &s->offset) || !arg_integer(c, i + 2,
                                                                   &s->limit)) return false;
            s->limited = true;
            i += 2;
        } else if (!read_only && arg_is(c, i, "store") && left) {
            s->store = c->argv[++i];
        } else if (arg_is(c, i, "by") && left) {
            s->by = c->argv[++i];
            s->has_by = true;
            s->none = str_find_byte(s->by, '*') == s->by.len;
        } else if (arg_is(c, i, "get") && left) {
            s->gets++;
            i++;
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    bool reads_others = s->gets || (s->has_by && !s->none);
    if (reads_others && c->user && !c->user->root.all_keys) {
        say_error(c, s->gets ? "ERR GET option of SORT denied due to insufficient ACL permissions"
                             : "ERR BY option of SORT denied due to insufficient ACL permissions");
        return false;
    }
    return true;
}

/* ---- Gathering ------------------------------------------------------------------------------- */

static void add(struct sort *s, str element) {
    s->elements[s->count++] = (struct element){.text = text_new(element, 0)};
}

static void gather_zset(struct sort *s, const struct object *o) {
    struct zset_at at;
    u64 n = zset_count(o);
    if (!zset_at_rank(o, s->none && s->descending ? n - 1 : 0, &at)) return;
    do add(s, zset_member(o, at));
    while (s->none && s->descending ? zset_prev(o, &at) : zset_next(o, &at));
}

static void gather(struct sort *s, const struct object *o) {
    struct set_walk w;
    str member;
    if (o->type == OBJECT_LIST) {
        struct list_at at = list_index(o->list, 0);
        do add(s, list_get(at));
        while (list_step(o->list, &at, false));
    } else if (o->type == OBJECT_SET) {
        set_walk_begin(&w, o);
        while (set_walk_next(&w, &member)) add(s, member);
    } else {
        gather_zset(s, o);
    }
}

/* What each is compared by. False: one is not a number, and told. */
static bool weigh(struct client *c, struct sort *s) {
    for (size_t i = 0; i < s->count; i++) {
        struct element *e = &s->elements[i];
        str text = str_of(e->text->bytes, e->text->len);
        struct text *by = s->has_by ? look_up(c, s->by, text) : NULL;
        if (s->alpha) {
            e->by = by;
            continue;
        }
        bool good = true;
        if (by) good = double_parse(str_of(by->bytes, by->len), &e->number);
        else if (!s->has_by) good = double_parse(text, &e->number);
        if (by) text_drop(by);
        if (!good) {
            say_error(c, "ERR One or more scores can't be converted into double");
            return false;
        }
    }
    return true;
}

/* ---- Sorting --------------------------------------------------------------------------------- */

static int compare(const struct sort *s, const struct element *a, const struct element *b) {
    str x = str_of(a->text->bytes, a->text->len), y = str_of(b->text->bytes, b->text->len);
    int d = 0;
    if (!s->alpha) {
        d = a->number < b->number ? -1 : a->number > b->number;
        if (!d) d = str_cmp(x, y);
    } else if (!s->has_by) {
        d = str_cmp(x, y);
    } else if (!a->by || !b->by) {
        d = a->by ? 1 : b->by ? -1 : 0;
        if (!d) d = str_cmp(x, y);
    } else {
        d = str_cmp(str_of(a->by->bytes, a->by->len), str_of(b->by->bytes, b->by->len));
    }
    return s->descending ? -d : d;
}

static void merge_sort(const struct sort *s, struct element *e, struct element *spare, size_t n) {
    if (n < 2) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    merge_sort(s, e, spare, half);
    merge_sort(s, e + half, spare, n - half);
    while (i < half && j < n) spare[k++] = compare(s, &e[i], &e[j]) <= 0 ? e[i++] : e[j++];
    while (i < half) spare[k++] = e[i++];
    while (j < n) spare[k++] = e[j++];
    memcpy(e, spare, n * sizeof *e);
}

/* ---- Answering ------------------------------------------------------------------------------- */

/* Every value of the answer, in order. */
static void each_value(struct client *c, const struct sort *s, size_t first, size_t last,
                       void (*see)(struct client *c, void *arg, struct text *t), void *arg) {
    for (size_t i = first; i < last; i++) {
        struct text *t = s->elements[i].text;
        if (!s->gets) see(c, arg, t);
        for (u32 a = 2; s->gets && a < c->argc; a++) {
            if (arg_is(c, a, "limit")) a += 2;
            else if (arg_is(c, a, "by") || arg_is(c, a, "store")) a++;
            else if (arg_is(c, a, "get")) {
                struct text *got = look_up(c, c->argv[++a], str_of(t->bytes, t->len));
                see(c, arg, got);
                if (got) text_drop(got);
            }
        }
    }
}

static void say_value(struct client *c, void *arg, struct text *t) {
    (void)arg;
    if (t) say_bulk(c, str_of(t->bytes, t->len));
    else say_null(c);
}

static void store_value(struct client *c, void *arg, struct text *t) {
    (void)c;
    list_push(((struct object *)arg)->list, t ? str_of(t->bytes, t->len) : S(""), false);
}

static void answer(struct client *c, const struct sort *s) {
    size_t first = 0, last = s->count;
    if (s->limited) {
        first = (size_t)MIN(MAX(s->offset, 0), (s64)s->count);
        if (s->limit >= 0 && (u64)s->limit < s->count - first) last = first + (size_t)s->limit;
    }
    if (!s->store.ptr) {
        say_array(c, (last - first) * MAX(s->gets, 1u));
        each_value(c, s, first, last, say_value, NULL);
        return;
    }
    struct object o = list_new();
    each_value(c, s, first, last, store_value, &o);
    say_integer(c, (s64)o.list->count);
    if (o.list->count) {
        (void)keys_put(c->db, s->store, o, false);
        notify(NOTIFY_LIST, "sortstore", s->store, c->db);
        key_changed(c, c->db, s->store);
    } else {
        object_free(&o);
        if (keys_delete(c->db, s->store)) {
            notify(NOTIFY_GENERIC, "del", s->store, c->db);
            key_changed(c, c->db, s->store);
        }
    }
}

static void sort_close(struct sort *s) {
    for (size_t i = 0; i < s->count; i++) {
        text_drop(s->elements[i].text);
        if (s->elements[i].by) text_drop(s->elements[i].by);
    }
    cache_free(s->elements);
}

static void sort_run(struct client *c, bool read_only) {
    struct sort s = {0};
    if (!options_read(c, &s, read_only)) return;
    struct object *o = look_any(c, c->argv[1]);
    if (o && o->type != OBJECT_LIST && o->type != OBJECT_SET && o->type != OBJECT_ZSET) {
        say_error(c, WRONG_TYPE);
        return;
    }
    if (o && o->type == OBJECT_SET && s.none && s.store.ptr) { /* a set has no order to keep */
        s.none = s.has_by = false;
        s.alpha = true;
    }
    u64 n = !o ? 0 : o->type == OBJECT_LIST ? o->list->count : o->type == OBJECT_SET ? set_count(o)
        : zset_count(o);
    if (n > UINT32_MAX || !cache_room(n * 2 * sizeof(struct element) + (o ? 2 * object_bytes(o, 5)
            : 0))) {
        say_error(c, "OOM command not allowed: sorting needs more memory than there is.");
        return;
    }
    s.elements = cache_alloc((size_t)(n + 1) * sizeof *s.elements);
    if (o) gather(&s, o);
    bool good = s.none || weigh(c, &s);
    if (good && !s.none) {
        struct element *spare = cache_alloc((s.count + 1) * sizeof *spare);
        merge_sort(&s, s.elements, spare, s.count);
        cache_free(spare);
    }
    if (good) answer(c, &s);
    sort_close(&s);
}

void cmd_sort(struct client *c) { sort_run(c, false); }
void cmd_sort_ro(struct client *c) { sort_run(c, true); }
