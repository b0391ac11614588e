/* SPDX-License-Identifier: Apache-2.0 */
/* acl.h — users, and what they may: commands, keys, channels. The rules are those of Redis 7:
 * `on >password ~cached:* %R~shared:* &news.* +@read -keys (+set ~own:*)`. Passwords are kept as
 * SHA-256 only; they are meant to be long and random (ACL GENPASS), not chosen by people. */
#pragma once
#include "app/cache/command.h"

struct cache_user;
void acl_open(bool anyone); /* anyone: the default user needs no password (tests only) */
void acl_close(void);
/* May c's user run c->command with c's arguments? False: it has been told, and it is logged. */
bool acl_allows(struct client *c);
bool acl_allows_queued(struct client *c, const struct command *cmd, u32 argc, const str *argv);
bool acl_allows_channel(const struct cache_user *u, str channel, bool pattern);
struct cache_user *acl_user(str name);     /* NULL: none */
struct cache_user *acl_default_user(void); /* a new connection's, if it needs no password */
str acl_user_name(const struct cache_user *u);
/* Makes or changes a user. RC_INVALID: the rule in `why`. */
rc_t acl_user_set(str name, const str *rules, u32 count, struct diag *why);
void acl_user_delete(struct cache_user *u); /* ends its connections */
bool acl_sign_in(struct client *c, str name, str password); /* false: refused; logged */
u32 acl_users_able(void); /* that are on and have a password, or need none */
void acl_client_gone(struct client *c);
/* Rules as one line: "on #hash ~* &* +@all"; each user in turn. */
void acl_user_text(const struct cache_user *u, struct buf *to);
struct cache_user *acl_first(void);
struct cache_user *acl_next(const struct cache_user *u);
bool acl_changed_take(void); /* since last asked */
