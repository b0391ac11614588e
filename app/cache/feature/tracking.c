/* SPDX-License-Identifier: Apache-2.0 */
/* tracking.c — client-side caching: whoever read a key is told, once, when it changes.
 *
 *   default    key -> clients that read it          told once, then forgotten
 *   BCAST      prefix -> clients                    told of every change below it
 *
 * Of BCAST, the keys below one prefix that one command (or transaction) changed go in one message.
 * Who names no prefix has the empty one.
 *
 * Messages go to the client itself (RESP3 pushes) or to the one it named with REDIRECT, as messages
 * of the channel __redis__:invalidate. They are gathered while a command runs and sent after its
 * reply, so that a client never sees the news of its own write before the write's answer. When more
 * keys are known than tracking-table-max-keys, some are forgotten early: their clients are told the
 * key changed, which costs them one read.
 *
 * Always true: a tracked key has at least one reader; ids of clients that have gone are skipped. */
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include "kernel/core/memory.h"

struct tracked_key {
    struct node node;
    u64 *readers;
    u32 count, room;
    char key[];
};
/* News that waits until the current command has answered. */
struct news {
    struct news *next;
    u64 reader;
    bool all;
    u32 len;
    char key[];
};
static struct news *news_first, **news_last = &news_first;
static bool prefixes_have_news;

struct prefix {
    struct prefix *next;
    struct news *first, **last; /* keys below it that changed meanwhile */
    u32 news;
    u32 len;
    char text[];
};
struct tracking {
    bool broadcast, opt_in, opt_out, no_loop, caching_said, caching_yes, redirect_broken;
    u64 redirect; /* 0: itself */
    struct prefix *prefixes;
};
static struct dict tracked;
static struct tracking_totals totals;
static u32 broadcasting;

static struct client *target_of(struct client *c) {
    return c->tracking->redirect ? client_find(c->tracking->redirect) : c;
}

s64 tracking_redirect(const struct client *c) {
    if (!c->tracking) return -1;
    return (s64)c->tracking->redirect;
}

char *tracking_letters(const struct client *c, char *to) {
    if (!c->tracking) return to;
    *to++ = 't';
    struct client *target = target_of((struct client *)(uintptr_t)c);
    if (!target) *to++ = 'R';
    if (c->tracking->broadcast) *to++ = 'B';
    return to;
}

void tracking_totals_get(struct tracking_totals *out) {
    *out = totals;
    out->keys = tracked.count;
}

/* ---- Telling --------------------------------------------------------------------------------- */

/* `news` NULL: all keys. */
static void tell(struct client *c, const struct news *news, u32 count) {
    struct client *to = target_of(c);
    if (!to) {
        if (!c->tracking->redirect_broken && c->resp >= 3) {
            c->pushing = true;
            say_push(c, 2);
            say_cstr(c, "tracking-redir-broken");
            say_integer(c, (s64)c->tracking->redirect);
            c->pushing = false;
            client_flush_soon(c);
        }
        c->tracking->redirect_broken = true;
        return;
    }
    bool listens = to->channels.count &&
                   dict_find(&to->channels, S("__redis__:invalidate")) != NULL;
    if (to->resp < 3 && !listens) return;
    to->pushing = true;
    if (to->resp >= 3) {
        say_push(to, 2);
        say_cstr(to, "invalidate");
    } else {
        say_array(to, 3);
        say_cstr(to, "message");
        say_cstr(to, "__redis__:invalidate");
    }
    if (!news) say_null(to);
    else say_array(to, count);
    for (; news; news = news->next) say_bulk(to, str_of(news->key, news->len));
    to->pushing = false;
    client_flush_soon(to);
}


static struct news *news_new(u64 reader, const str *key) {
    struct news *n = cache_alloc(sizeof *n + (key ? key->len : 0));
    *n = (struct news){.reader = reader, .all = !key, .len = key ? (u32)key->len : 0};
    if (key && key->len) memcpy(n->key, key->ptr, key->len);
    return n;
}

static void news_add(u64 reader, const str *key) {
    struct news *n = news_new(reader, key);
    *news_last = n;
    news_last = &n->next;
}

/* Once, though a transaction changes the same key again and again. */
static void prefix_news_add(struct client *c, struct prefix *p, str key) {
    if (p->first && str_eq(str_of(CONTAINER_OF(p->last, struct news, next)->key,
                                  CONTAINER_OF(p->last, struct news, next)->len), key))
        return;
    struct news *n = news_new(c->id, &key);
    if (!p->first) p->last = &p->first;
    *p->last = n;
    p->last = &n->next;
    p->news++;
    prefixes_have_news = true;
}

static void prefix_news_drop(struct prefix *p) {
    while (p->first) {
        struct news *n = p->first;
        p->first = n->next;
        cache_free(n);
    }
    p->news = 0;
}

static void news_send(void) {
    while (news_first) {
        struct news *n = news_first;
        news_first = n->next;
        if (!news_first) news_last = &news_first;
        n->next = NULL;
        struct client *c = client_find(n->reader);
        if (c && c->tracking) tell(c, n->all ? NULL : n, 1);
        cache_free(n);
    }
    if (!prefixes_have_news) return;
    prefixes_have_news = false;
    for (struct client *c = clients; c; c = c->next)
        for (struct prefix *p = c->tracking ? c->tracking->prefixes : NULL; p; p = p->next) {
            if (p->first) tell(c, p->first, p->news);
            prefix_news_drop(p);
        }
}

/* ---- Readers --------------------------------------------------------------------------------- */

static void key_forget(struct tracked_key *k) {
    (void)dict_remove(&tracked, dict_key(&tracked, &k->node));
    totals.items -= k->count;
    cache_free(k->readers);
    cache_free(k);
    dict_close_empty(&tracked);
}

static void key_read(struct client *c, str key) {
    if (!tracked.key_at) dict_open(&tracked, offsetof(struct tracked_key, key));
    struct tracked_key *k = (struct tracked_key *)dict_find(&tracked, key);
    if (!k) {
        k = cache_alloc(sizeof *k + key.len);
        *k = (struct tracked_key){.node.len = (u32)key.len};
        if (key.len) memcpy(k->key, key.ptr, key.len);
        dict_insert(&tracked, &k->node, dict_hash(key));
    }
    for (u32 i = 0; i < k->count; i++)
        if (k->readers[i] == c->id) return;
    if (k->count == k->room) {
        k->room = k->room ? 2 * k->room : 2;
        k->readers = cache_resize(k->readers, k->room * sizeof *k->readers);
    }
    k->readers[k->count++] = c->id;
    totals.items++;
}

static void readers_tell(struct tracked_key *k, struct client *by) {
    str key = dict_key(&tracked, &k->node);
    for (u32 i = 0; i < k->count; i++) {
        struct client *c = client_find(k->readers[i]);
        if (!c || !c->tracking || c->tracking->broadcast) continue;
        if (by == c && c->tracking->no_loop) continue;
        news_add(c->id, &key);
    }
    key_forget(k);
}

static void table_trim(void) {
    while (settings.tracking_keys_max && (s64)tracked.count > settings.tracking_keys_max)
        readers_tell((struct tracked_key *)dict_random(&tracked), NULL);
}

void tracking_after(struct client *c, const struct command *cmd) {
    struct tracking *t = c->tracking;
    struct key_at few[16], *at = few;
    bool wanted = t && !t->broadcast && cmd->flags & CMD_READ && !c->dead &&
                  (!t->opt_in || (t->caching_said && t->caching_yes)) &&
                  (!t->opt_out || !(t->caching_said && !t->caching_yes));
    if (wanted) {
        s64 n = command_keys(cmd, c->argc, c->argv, few, ARRAY_LEN(few));
        if (n > (s64)ARRAY_LEN(few)) {
            at = cache_alloc((size_t)n * sizeof *at);
            n = command_keys(cmd, c->argc, c->argv, at, (u32)n);
        }
        for (s64 i = 0; i < n; i++) key_read(c, c->argv[at[i].arg]);
        if (at != few) cache_free(at);
    }
    bool control = cmd->run == cmd_client_caching || cmd->run == cmd_multi;
    /* the word of CLIENT CACHING counts for one command, or one transaction */
    if (t && !control && !c->executing) t->caching_said = false;
    if (tracked.count) table_trim();
    if (!c->executing) news_send();
}

void tracking_key_changed(struct client *by, str key) {
    if (!totals.clients) return;
    struct tracked_key *k = tracked.count ? (struct tracked_key *)dict_find(&tracked, key) : NULL;
    if (k) readers_tell(k, by);
    for (struct client *c = broadcasting ? clients : NULL; c; c = c->next) {
        struct tracking *t = c->tracking;
        if (!t || !t->broadcast || (by == c && t->no_loop)) continue;
        for (struct prefix *p = t->prefixes; p; p = p->next)
            if (str_starts(key, str_of(p->text, p->len))) prefix_news_add(c, p, key);
    }
    if (!by && !command_running()) news_send(); /* else with what the command changed */
}

void tracking_flushed(struct keys *k) {
    (void)k;
    if (!totals.clients) return;
    while (tracked.count) key_forget((struct tracked_key *)dict_random(&tracked));
    for (struct client *c = clients; c; c = c->next)
        if (c->tracking) news_add(c->id, NULL);
}

/* ---- Turning on and off ---------------------------------------------------------------------- */

void tracking_close(struct client *c) {
    struct tracking *t = c->tracking;
    if (!t) return;
    while (t->prefixes) {
        struct prefix *p = t->prefixes;
        t->prefixes = p->next;
        totals.prefixes--;
        prefix_news_drop(p);
        cache_free(p);
    }
    broadcasting -= t->broadcast;
    totals.clients--;
    cache_free(t);
    c->tracking = NULL;
    if (!totals.clients)
        while (tracked.count) key_forget((struct tracked_key *)dict_random(&tracked));
}

static bool overlap(str a, str b) { return str_starts(a, b) || str_starts(b, a); }

/* Prefixes of one client must not contain each other: a key would be told twice. */
static bool prefixes_fit(struct client *c, const str *more, u32 count) {
    for (u32 i = 0; i < count; i++) {
        for (struct prefix *p = c->tracking ? c->tracking->prefixes : NULL; p; p = p->next)
            if (overlap(str_of(p->text, p->len), more[i])) {
                say_errorf(c, "ERR Prefix '%.*s' overlaps with an existing prefix '%.*s'. Prefixes "
                              "for a single client must not overlap.", STR(str_take(more[i], 100)),
                           (int)MIN(p->len, 100u), p->text);
                return false;
            }
        for (u32 j = 0; j < i; j++)
            if (overlap(more[i], more[j])) {
                say_errorf(c, "ERR Prefix '%.*s' overlaps with another provided prefix '%.*s'. "
                              "Prefixes for a single client must not overlap.",
                           STR(str_take(more[j], 100)), STR(str_take(more[i], 100)));
                return false;
            }
    }
    return true;
}

struct wishes {
    struct tracking t;
    bool on;
    u32 count;
    str prefixes[64];
};

static bool wishes_read(struct client *c, struct wishes *w) {
    s64 id;
    for (u32 i = 3; i < c->argc; i++) {
        if (arg_is(c, i, "redirect") && i + 1 < c->argc) {
            if (w->t.redirect) {
                say_error(c, "ERR A client can only redirect to a single other client");
                return false;
            }
            if (!arg_integer(c, ++i, &id)) return false;
            if (!client_find((u64)id)) {
                say_error(c, "ERR The client ID you want redirect to does not exist");
                return false;
            }
            w->t.redirect = (u64)id;
        } else if (arg_is(c, i, "bcast")) {
            w->t.broadcast = true;
        } else if (arg_is(c, i, "optin")) {
            w->t.opt_in = true;
        } else if (arg_is(c, i, "optout")) {
            w->t.opt_out = true;
        } else if (arg_is(c, i, "noloop")) {
            w->t.no_loop = true;
        } else if (arg_is(c, i, "prefix") && i + 1 < c->argc &&
                   w->count < ARRAY_LEN(w->prefixes)) {
            w->prefixes[w->count++] = c->argv[++i];
        } else {
            say_error(c, SYNTAX_ERROR);
            return false;
        }
    }
    return true;
}

static const char *wishes_refused(const struct client *c, const struct wishes *w) {
    const struct tracking *t = c->tracking;
    if (!w->t.broadcast && w->count) return "ERR PREFIX option requires BCAST mode to be enabled";
    if (t && t->broadcast != w->t.broadcast)
        return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    if (w->t.broadcast && (w->t.opt_in || w->t.opt_out))
        return "ERR OPTIN and OPTOUT are not compatible with BCAST";
    if (w->t.opt_in && w->t.opt_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
    if (t && ((w->t.opt_in && t->opt_out) || (w->t.opt_out && t->opt_in)))
        return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, "
               "and then re-enabling it with a different mode.";
    return NULL;
}

static void prefix_add(struct tracking *t, str text) {
    struct prefix *p = cache_alloc(sizeof *p + text.len), **at = &t->prefixes;
    *p = (struct prefix){.len = (u32)text.len};
    if (p->len) memcpy(p->text, text.ptr, p->len);
    while (*at) at = &(*at)->next;
    *at = p;
    totals.prefixes++;
}

static void tracking_on(struct client *c, const struct wishes *w) {
    struct prefix *kept = c->tracking ? c->tracking->prefixes : NULL;
    if (!c->tracking) {
        c->tracking = cache_zero(sizeof *c->tracking);
        totals.clients++;
        broadcasting += w->t.broadcast;
    }
    *c->tracking = w->t;
    c->tracking->prefixes = kept;
    for (u32 i = 0; i < w->count; i++) prefix_add(c->tracking, w->prefixes[i]);
    if (w->t.broadcast && !c->tracking->prefixes) prefix_add(c->tracking, S(""));
}

void cmd_client_tracking(struct client *c) {
    struct wishes w = {0};
    w.on = arg_is(c, 2, "on");
    if (!w.on && !arg_is(c, 2, "off")) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    if (!wishes_read(c, &w)) return;
    if (w.on) {
        const char *no = wishes_refused(c, &w);
        if (no) {
            say_error(c, no);
            return;
        }
        if (!prefixes_fit(c, w.prefixes, w.count)) return;
        tracking_on(c, &w);
    } else {
        tracking_close(c);
    }
    say_ok(c);
}

void cmd_client_caching(struct client *c) {
    struct tracking *t = c->tracking;
    bool yes = arg_is(c, 2, "yes"), no = arg_is(c, 2, "no");
    if (!t) {
        say_error(c,
                  "ERR CLIENT CACHING can be called only when the client is in tracking mode with "
                     "OPTIN or OPTOUT mode enabled");
    } else if (yes && !t->opt_in) {
        say_error(c,
                  "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    } else if (no && !t->opt_out) {
        say_error(c,
                  "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    } else if (!yes && !no) {
        say_error(c, SYNTAX_ERROR);
    } else {
        t->caching_said = true;
        t->caching_yes = yes;
        say_ok(c);
    }
}

void cmd_client_getredir(struct client *c) { say_integer(c, tracking_redirect(c)); }

void cmd_client_trackinginfo(struct client *c) {
    struct tracking *t = c->tracking;
    u64 n = 0;
    say_map(c, 3);
    say_cstr(c, "flags");
    struct block *later = say_later(c);
    const struct {
        bool on;
        const char *word;
    } words[] = {
        {!t, "off"}, {t != NULL, "on"}, {t && t->broadcast, "bcast"},
        {t && t->opt_in, "optin"}, {t && t->opt_out, "optout"},
        {t && t->opt_in && t->caching_said && t->caching_yes, "caching-yes"},
        {t && t->opt_out && t->caching_said && !t->caching_yes, "caching-no"},
        {t && t->no_loop, "noloop"}, {t && !target_of(c), "broken_redirect"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].on) {
            say_cstr(c, words[i].word);
            n++;
        }
    say_later_set(c, later, n);
    say_cstr(c, "redirect");
    say_integer(c, tracking_redirect(c));
    say_cstr(c, "prefixes");
    n = 0;
    for (struct prefix *p = t ? t->prefixes : NULL; p; p = p->next) n++;
    say_array(c, n);
    for (struct prefix *p = t ? t->prefixes : NULL; p; p = p->next)
        say_bulk(c, str_of(p->text, p->len));
}
