/* SPDX-License-Identifier: Apache-2.0 */
/* acl_impl.h — a user from inside: feature/acl.c makes it, acl_check.c asks it, command/acl.c
 * shows it. */
#pragma once
#include "app/cache/acl.h"

#define COMMAND_WORDS 8u /* of 64 commands */
struct acl_pattern {
    struct acl_pattern *next;
    bool reads, writes;
    u32 len;
    char text[];
};
struct acl_password {
    struct acl_password *next;
    char hex[64];
};
struct acl_selector {
    struct acl_selector *next;
    u64 commands[COMMAND_WORDS];
    bool all_commands, all_keys, all_channels; /* nothing was taken away */
    bool from_all;      /* the rules begin at +@all, not at -@all */
    struct text *rules; /* since +@all or -@all: "+get -@write"; NULL: none */
    struct acl_pattern *keys, *channels;
};
struct cache_user {
    struct cache_user *next;
    bool on, no_password, sanitize;
    struct acl_password *passwords;
    struct acl_selector root; /* its `next`: further ones */
    u32 name_len;
    char name[];
};
void acl_hash(str password, char hex[65]);

enum acl_verdict { ACL_YES, ACL_COMMAND, ACL_KEY, ACL_CHANNEL };
/* ACL_KEY, ACL_CHANNEL: *arg is the one. */
enum acl_verdict acl_check(const struct cache_user *u, const struct command *cmd, u32 argc,
                           const str *argv, u32 *arg);
void acl_selector_text(const struct acl_selector *s, struct buf *to);
void acl_commands_text(const struct acl_selector *s, struct buf *to);
void acl_patterns_text(const struct acl_selector *s, struct buf *to);
void acl_channels_text(const struct acl_selector *s, struct buf *to);
void acl_log_add(struct client *c, const char *reason, str object, str user);
void acl_log_clear(void);
