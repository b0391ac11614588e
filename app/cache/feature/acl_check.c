/* SPDX-License-Identifier: Apache-2.0 */
/* acl_check.c — may this user run this command with these keys and channels? And a user in words.
 * The answer comes from bits and patterns alone; nothing is remembered, so a change of rules counts
 * from the next command on. */
#include "app/cache/acl_impl.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

static bool key_allowed(const struct acl_selector *s, str key, bool reads, bool writes) {
    if (s->all_keys) return true;
    for (const struct acl_pattern *p = s->keys; p; p = p->next)
        if ((p->reads || !reads) && (p->writes || !writes) &&
            glob_match(str_of(p->text, p->len), key, false))
            return true;
    return false;
}

/* A pattern to listen to must be one of the rules, word for word. */
static bool channel_allowed(const struct acl_selector *s, str channel, bool pattern) {
    if (s->all_channels) return true;
    for (const struct acl_pattern *p = s->channels; p; p = p->next) {
        str rule = str_of(p->text, p->len);
        if (pattern ? str_eq(rule, channel) : glob_match(rule, channel, false)) return true;
    }
    return false;
}

bool acl_allows_channel(const struct cache_user *u, str channel, bool pattern) {
    for (const struct acl_selector *s = &u->root; s; s = s->next)
        if (channel_allowed(s, channel, pattern)) return true;
    return false;
}

static enum acl_verdict selector_check(const struct acl_selector *s, const struct command *cmd,
                                       u32 argc, const str *argv, const struct key_at *keys,
                                       s64 count, u32 *arg) {
    u32 first, n;
    bool pattern;
    if (!(s->commands[cmd->id / 64] >> cmd->id % 64 & 1) && !(cmd->flags & CMD_NO_AUTH))
        return ACL_COMMAND;
    for (s64 i = 0; i < count; i++)
        if (!key_allowed(s, argv[keys[i].arg], keys[i].reads, keys[i].writes)) {
            *arg = keys[i].arg;
            return ACL_KEY;
        }
    if (command_has_channels(cmd, argc, &first, &n, &pattern))
        for (u32 i = first; i < first + n; i++)
            if (!channel_allowed(s, argv[i], pattern)) {
                *arg = i;
                return ACL_CHANNEL;
            }
    return ACL_YES;
}

enum acl_verdict acl_check(const struct cache_user *u, const struct command *cmd, u32 argc,
                           const str *argv, u32 *arg) {
    struct key_at few[64], *keys = few;
    enum acl_verdict worst = ACL_COMMAND;
    const struct acl_selector *s = &u->root;
    if (s->all_commands && s->all_keys && s->all_channels) return ACL_YES;
    s64 n = command_keys(cmd, argc, argv, few, ARRAY_LEN(few));
    if (n > (s64)ARRAY_LEN(few)) {
        keys = cache_alloc((size_t)n * sizeof *keys);
        n = command_keys(cmd, argc, argv, keys, (u32)n);
    }
    for (; s; s = s->next) {
        u32 at = 0;
        enum acl_verdict v = selector_check(s, cmd, argc, argv, keys, MAX(n, 0), &at);
        if (v == ACL_YES || v > worst || (v == worst && worst != ACL_COMMAND && !*arg)) {
            worst = v;
            *arg = at;
        }
        if (v == ACL_YES) break;
    }
    if (keys != few) cache_free(keys);
    return worst;
}

static bool decide(struct client *c, const struct command *cmd, u32 argc, const str *argv) {
    u32 arg = 0;
    char name[64];
    str full = command_full_name(cmd, name);
    if (!c->user) return false;
    switch (acl_check(c->user, cmd, argc, argv, &arg)) {
    case ACL_YES: return true;
    case ACL_COMMAND:
        command_stats.acl_denied_cmd++;
        acl_log_add(c, "command", full, acl_user_name(c->user));
        say_errorf(c, "NOPERM this user has no permissions to run the '%.*s' command", STR(full));
        return false;
    case ACL_KEY:
        command_stats.acl_denied_key++;
        acl_log_add(c, "key", argv[arg], acl_user_name(c->user));
        say_error(c, "NOPERM this user has no permissions to access one of the keys used as "
                     "arguments");
        return false;
    default:
        command_stats.acl_denied_channel++;
        acl_log_add(c, "channel", argv[arg], acl_user_name(c->user));
        say_error(c, "NOPERM this user has no permissions to access one of the channels used as "
                     "arguments");
        return false;
    }
}

bool acl_allows(struct client *c) { return decide(c, c->command, c->argc, c->argv); }

bool acl_allows_queued(struct client *c, const struct command *cmd, u32 argc, const str *argv) {
    return cmd->flags & CMD_NO_AUTH || decide(c, cmd, argc, argv);
}

/* ---- In words -------------------------------------------------------------------------------- */

void acl_commands_text(const struct acl_selector *s, struct buf *to) {
    (void)!!buf_printf(to, "%s@all", s->from_all ? "+" : "-");
    if (s->rules && s->rules->len) (void)!!buf_printf(to, " %.*s", (int)s->rules->len,
                                                      s->rules->bytes);
}

void acl_patterns_text(const struct acl_selector *s, struct buf *to) {
    const char *blank = "";
    if (s->all_keys) (void)!!buf_add(to, S("~*"));
    for (const struct acl_pattern *p = s->keys; p; p = p->next, blank = " ")
        (void)!!buf_printf(to, "%s%s%.*s", blank,
                           p->reads && p->writes ? "~" : p->reads ? "%R~" : "%W~", (int)p->len,
                           p->text);
}

void acl_channels_text(const struct acl_selector *s, struct buf *to) {
    const char *blank = "";
    if (s->all_channels) (void)!!buf_add(to, S("&*"));
    for (const struct acl_pattern *p = s->channels; p; p = p->next, blank = " ")
        (void)!!buf_printf(to, "%s&%.*s", blank, (int)p->len, p->text);
}

void acl_selector_text(const struct acl_selector *s, struct buf *to) {
    size_t before = to->len;
    acl_patterns_text(s, to);
    if (to->len > before) (void)!!buf_add_byte(to, ' ');
    if (!s->all_channels) (void)!!buf_add(to, S("resetchannels "));
    before = to->len;
    acl_channels_text(s, to);
    if (to->len > before) (void)!!buf_add_byte(to, ' ');
    acl_commands_text(s, to);
}

void acl_user_text(const struct cache_user *u, struct buf *to) {
    (void)!!buf_printf(to, "%s ", u->on ? "on" : "off");
    if (u->no_password) (void)!!buf_add(to, S("nopass "));
    if (!u->sanitize) (void)!!buf_add(to, S("skip-sanitize-payload "));
    for (const struct acl_password *p = u->passwords; p; p = p->next)
        (void)!!buf_printf(to, "#%.64s ", p->hex);
    acl_selector_text(&u->root, to);
    for (const struct acl_selector *s = u->root.next; s; s = s->next) {
        (void)!!buf_add(to, S(" ("));
        acl_selector_text(s, to);
        (void)!!buf_add_byte(to, ')');
    }
}
