/* SPDX-License-Identifier: Apache-2.0 */
/* features.h — what features that live beside commands offer to the rest of the cache: waiting,
 * transactions, listening, tracking, pausing, the slow log. Each is one file in feature/. */
#pragma once
#include "app/cache/command.h"

/* ---- Blocking commands: wait.c --------------------------------------------------------------- */

/* Called by a command that found nothing: c waits until one of the keys may have something (then
 * the command runs again) or the time comes (then `timed_out` answers; NULL: a null array). */
void wait_for_keys(struct client *c, const str *keys, u32 count, s64 until_ms,
                   enum object_type type,
                   void (*timed_out)(struct client *c));
void wait_only(struct client *c, s64 until_ms, void (*timed_out)(struct client *c)); /* WAIT */
void waits_close(struct client *c);
void waits_key_ready(struct keys *k, str key); /* something may wait for it */
void waits_key_gone(struct keys *k, str key);  /* deleted or of another type: groups notice */
bool waits_ready(void);
void waits_serve(void);
void waits_database_swapped(struct keys *a, struct keys *b);
bool wait_end(struct client *c, bool with_error); /* CLIENT UNBLOCK; false: was not waiting */
bool wait_running_again(const struct client *c);  /* the command runs because a key was ready */
u32 waits_count(void);
void waits_close_all(void);

/* ---- Transactions: transactions.c ------------------------------------------------------------ */

bool transaction_control(const struct command *cmd); /* runs though MULTI queues */
bool transaction_writes(const struct client *c);       /* is there a write in its queue? */
bool transaction_queue(struct client *c);            /* false: no memory, and told */
void transaction_close(struct client *c);
void watch_key_changed(struct keys *k, str key);
void watch_database_changed(struct keys *k, const struct keys *replaced_by);
void watch_close(struct client *c);
u32 watch_count(const struct client *c);

/* ---- Listening: pubsub.c --------------------------------------------------------------------- */

void pubsub_open(struct client *c);
void pubsub_close(struct client *c, bool say);
u32 pubsub_count(const struct client *c); /* channels and patterns */
u32 pubsub_publish(str channel, str message, bool shard);
struct pubsub_totals {
    u32 channels, patterns, shard_channels, clients;
};
void pubsub_totals_get(struct pubsub_totals *out);
/* Ends those who may no longer listen to what they listen to. */
void pubsub_recheck(struct client *c);

/* ---- Client-side caching: tracking.c --------------------------------------------------------- */

void tracking_after(struct client *c, const struct command *cmd);
void tracking_key_changed(struct client *by, str key); /* by NULL: the server itself */
void tracking_flushed(struct keys *k);
void tracking_close(struct client *c);
char *tracking_letters(const struct client *c, char *to); /* for CLIENT LIST's flags */
struct tracking_totals {
    u32 clients;
    u64 keys, items, prefixes;
};
void tracking_totals_get(struct tracking_totals *out);
s64 tracking_redirect(const struct client *c);

/* ---- Pausing,
    watching over: client.c and info -------------------------------------------------- */

bool pause_holds(struct client *c, const struct command *cmd);
u32 pause_count(void); /* clients held by it */
void monitor_show(struct client *c, const struct command *cmd);
void slowlog_trim(void);
void slowlog_see(struct client *c, const struct command *cmd, u64 us);
void latency_see(const char *event, u64 ms);
