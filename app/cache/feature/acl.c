/* SPDX-License-Identifier: Apache-2.0 */
/* acl.c — users: the rules they are made of, and signing in.
 *
 *   user -> passwords (SHA-256), on or off
 *        -> selector: commands (one bit each), key patterns, channel patterns      root permissions
 *        -> selector ...                                                           "(+get ~x*)"
 *
 * A command is allowed when one selector allows all of it: the command, every key, every channel.
 * The text of a user is made from what is in force (acl_text.c), so that what is shown, kept and
 * read back is the same.
 *
 * Always true: the default user exists; a deleted user has no connections. */
#include "app/cache/acl_impl.h"
#include "app/cache/data/memory.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include "kernel/base/buf.h"
#include <mbedtls/sha256.h>
#include <stdio.h>

static struct cache_user *users; /* by name */
static struct cache_user *default_user;
static bool changed;

struct cache_user *acl_first(void) { return users; }
struct cache_user *acl_next(const struct cache_user *u) { return u->next; }
struct cache_user *acl_default_user(void) {
    return default_user && default_user->on && default_user->no_password ? default_user : NULL;
}
str acl_user_name(const struct cache_user *u) { return str_of(u->name, u->name_len); }
bool acl_changed_take(void) {
    bool was = changed;
    changed = false;
    return was;
}

struct cache_user *acl_user(str name) {
    for (struct cache_user *u = users; u; u = u->next)
        if (str_eq(acl_user_name(u), name)) return u;
    return NULL;
}

u32 acl_users_able(void) {
    u32 n = 0;
    for (struct cache_user *u = users; u; u = u->next) n += u->on && (u->no_password
                                                                      || u->passwords);
    return n;
}

/* ---- Parts of a user ------------------------------------------------------------------------- */

static void patterns_free(struct acl_pattern **list) {
    while (*list) {
        struct acl_pattern *p = *list;
        *list = p->next;
        cache_free(p);
    }
}

static void pattern_add(struct acl_pattern **list, str text, bool reads, bool writes) {
    for (; *list; list = &(*list)->next)
        if (str_eq(str_of((*list)->text, (*list)->len), text)) {
            (*list)->reads |= reads;
            (*list)->writes |= writes;
            return;
        }
    struct acl_pattern *p = cache_alloc(sizeof *p + text.len);
    *p = (struct acl_pattern){.reads = reads, .writes = writes, .len = (u32)text.len};
    if (text.len) memcpy(p->text, text.ptr, text.len);
    *list = p;
}

static void selector_clear(struct acl_selector *s) {
    patterns_free(&s->keys);
    patterns_free(&s->channels);
    if (s->rules) text_drop(s->rules);
    *s = (struct acl_selector){.next = s->next};
}

static void selectors_free(struct acl_selector *s) {
    while (s) {
        struct acl_selector *next = s->next;
        selector_clear(s);
        cache_free(s);
        s = next;
    }
}

static void passwords_free(struct cache_user *u) {
    while (u->passwords) {
        struct acl_password *p = u->passwords;
        u->passwords = p->next;
        cache_free(p);
    }
}

void acl_hash(str password, char hex[65]) {
    u8 digest[32];
    (void)!!mbedtls_sha256((const u8 *)password.ptr, password.len, digest, 0);
    (void)!!str_hex(digest, sizeof digest, hex, 65);
}

static bool is_hash(str s) {
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= '0' && s.ptr[i] <= '9') || (s.ptr[i] >= 'a' && s.ptr[i] <= 'f')))
            return false;
    return s.len == 64;
}

static void password_add(struct cache_user *u, const char *hex) {
    for (struct acl_password *p = u->passwords; p; p = p->next)
        if (memcmp(p->hex, hex, 64) == 0) return;
    struct acl_password *p = cache_alloc(sizeof *p), **at = &u->passwords;
    *p = (struct acl_password){0};
    memcpy(p->hex, hex, 64);
    while (*at) at = &(*at)->next;
    *at = p;
    u->no_password = false;
}

static bool password_remove(struct cache_user *u, const char *hex) {
    for (struct acl_password **p = &u->passwords; *p; p = &(*p)->next)
        if (memcmp((*p)->hex, hex, 64) == 0) {
            struct acl_password *gone = *p;
            *p = gone->next;
            cache_free(gone);
            return true;
        }
    return false;
}

/* ---- Commands of a selector ------------------------------------------------------------------ */

static void command_bit(struct acl_selector *s, u32 id, bool on) {
    if (on) s->commands[id / 64] |= 1ull << id % 64;
    else s->commands[id / 64] &= ~(1ull << id % 64);
}

static void command_set(struct acl_selector *s, const struct command *cmd, bool on) {
    command_bit(s, cmd->id, on);
    for (u32 i = 0; cmd->container && i < command_count; i++)
        if (commands[i].parent == (s16)cmd->id) command_bit(s, i, on);
}

static bool category_set(struct acl_selector *s, str name, bool on) {
    if (str_eq_nocase(name, S("all"))) {
        for (u32 i = 0; i < command_count; i++) command_bit(s, i, on);
        s->all_commands = s->from_all = on;
        if (s->rules) text_drop(s->rules);
        s->rules = NULL;
        return true;
    }
    for (u32 k = 0; k < CATEGORY_COUNT; k++)
        if (str_eq_nocase(name, category_names[k])) {
            for (u32 i = 0; i < command_count; i++)
                if (commands[i].categories & 1u << k) command_bit(s, i, on);
            return true;
        }
    return false;
}

/* The rules after the last +@all or -@all, in words: they say what the bits are. A later rule for
 * the same name replaces the earlier one. */
static void rule_remember(struct acl_selector *s, str rule) {
    struct buf words;
    str rest = s->rules ? str_of(s->rules->bytes, s->rules->len) : (str){0}, word, name =
        str_skip(rule, 1);
    buf_open(&words, MIB(1));
    while (rest.len && str_split(&rest, ' ', &word)) {
        str old = str_skip(word, 1);
        bool below = old.len > name.len && old.ptr[name.len] == '|' &&
                     str_eq_nocase(str_take(old, name.len), name);
        if (str_eq_nocase(old, name) || below) continue;
        (void)!!buf_printf(&words, "%s%.*s", words.len ? " " : "", STR(word));
    }
    (void)!!buf_printf(&words, "%s%.*s", words.len ? " " : "", STR(rule));
    for (size_t i = words.len - rule.len; i < words.len; i++)
        if (words.ptr[i] >= 'A' && words.ptr[i] <= 'Z') words.ptr[i] = (char)(words.ptr[i] + 32);
    if (s->rules) text_drop(s->rules);
    s->rules = text_new(buf_str(&words), 0);
    buf_close(&words);
}

static const char *command_rule(struct acl_selector *s, str rule) {
    bool on = rule.ptr[0] == '+';
    str name = str_skip(rule, 1);
    if (name.len && name.ptr[0] == '@') {
        if (!category_set(s, str_skip(name, 1),
                          on)) return "Unknown command or category name in ACL";
        if (str_eq_nocase(name, S("@all"))) return NULL;
        if (!on) s->all_commands = false;
        rule_remember(s, rule);
        return NULL;
    }
    const struct command *cmd = command_by_name(name);
    if (!cmd) {
        size_t bar = str_find_byte(name, '|');
        const struct command *parent = bar < name.len ? command_by_name(str_take(name, bar)) : NULL;
        if (parent && !parent->container && on)
            return "Allowing first-arg of a subcommand is not supported";
        return "Unknown command or category name in ACL";
    }
    command_set(s, cmd, on);
    if (!on) s->all_commands = false;
    rule_remember(s, rule);
    return NULL;
}

/* ---- One rule -------------------------------------------------------------------------------- */

static const char *key_rule(struct acl_selector *s, str rule) {
    bool reads = rule.ptr[0] == '~', writes = reads;
    str pattern = str_skip(rule, 1);
    if (rule.ptr[0] == '%') {
        while (pattern.len && pattern.ptr[0] != '~') {
            char ch = pattern.ptr[0];
            if (ch == 'R' || ch == 'r') reads = true;
            else if (ch == 'W' || ch == 'w') writes = true;
            else return "Syntax error";
            pattern = str_skip(pattern, 1);
        }
        if (!pattern.len || (!reads && !writes)) return "Syntax error";
        pattern = str_skip(pattern, 1);
    }
    if (s->all_keys)
        return "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does "
               "not have any effect. Try 'resetkeys' to start with an empty list of patterns";
    if (memchr(pattern.ptr, ' ', pattern.len) || memchr(pattern.ptr, 0, pattern.len))
        return "Syntax error";
    if (str_eq(pattern, S("*")) && reads && writes) {
        s->all_keys = true;
        patterns_free(&s->keys);
        return NULL;
    }
    pattern_add(&s->keys, pattern, reads, writes);
    return NULL;
}

static const char *channel_rule(struct acl_selector *s, str pattern) {
    if (s->all_channels)
        return "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and "
               "does not have any effect. Try 'resetchannels' to start with an empty list of "
               "channels";
    if (memchr(pattern.ptr, ' ', pattern.len) || memchr(pattern.ptr, 0, pattern.len))
        return "Syntax error";
    if (str_eq(pattern, S("*"))) {
        s->all_channels = true;
        patterns_free(&s->channels);
    } else {
        pattern_add(&s->channels, pattern, true, true);
    }
    return NULL;
}

/* A rule about what a selector allows. NULL: done; else why not. */
static const char *selector_rule(struct acl_selector *s, str rule) {
    char first = rule.len ? rule.ptr[0] : 0;
    if (str_eq_nocase(rule, S("allkeys"))) {
        s->all_keys = true;
        patterns_free(&s->keys);
    } else if (str_eq_nocase(rule, S("resetkeys"))) {
        s->all_keys = false;
        patterns_free(&s->keys);
    } else if (str_eq_nocase(rule, S("allchannels"))) {
        s->all_channels = true;
        patterns_free(&s->channels);
    } else if (str_eq_nocase(rule, S("resetchannels"))) {
        s->all_channels = false;
        patterns_free(&s->channels);
    } else if (str_eq_nocase(rule, S("allcommands"))) {
        (void)category_set(s, S("all"), true);
    } else if (str_eq_nocase(rule, S("nocommands"))) {
        (void)category_set(s, S("all"), false);
    } else if (first == '~' || first == '%') {
        return key_rule(s, rule);
    } else if (first == '&') {
        return channel_rule(s, str_skip(rule, 1));
    } else if ((first == '+' || first == '-') && rule.len > 1) {
        return command_rule(s, rule);
    } else {
        return "Syntax error";
    }
    return NULL;
}

static const char *selector_add(struct cache_user *u, str inside) {
    struct acl_selector *s = cache_zero(sizeof *s), **at = &u->root.next;
    const char *why = NULL;
    str word;
    while (!why && inside.len && str_split(&inside, ' ', &word))
        if (word.len) why = selector_rule(s, word);
    if (why) {
        selectors_free(s);
        return why;
    }
    while (*at) at = &(*at)->next;
    *at = s;
    return NULL;
}

static const char *password_rule(struct cache_user *u, str rule) {
    char hex[65];
    str rest = str_skip(rule, 1);
    bool hashed = rule.ptr[0] == '#' || rule.ptr[0] == '!';
    if (hashed && !is_hash(rest))
        return "The provided password hash must be exactly 64 characters and contain only "
               "lowercase "
               "hexadecimal characters";
    if (hashed) memcpy(hex, rest.ptr, 64);
    else acl_hash(rest, hex);
    if (rule.ptr[0] == '>' || rule.ptr[0] == '#') password_add(u, hex);
    else if (!password_remove(u, hex))
        return "The password you are trying to remove from the user does not exist";
    return NULL;
}

static void user_reset(struct cache_user *u) {
    selector_clear(&u->root);
    selectors_free(u->root.next);
    u->root.next = NULL;
    passwords_free(u);
    u->on = u->no_password = false;
    u->sanitize = true;
}

static const char *user_rule(struct cache_user *u, str rule) {
    char first = rule.len ? rule.ptr[0] : 0;
    if (str_eq_nocase(rule, S("on"))) u->on = true;
    else if (str_eq_nocase(rule, S("off"))) u->on = false;
    else if (str_eq_nocase(rule, S("sanitize-payload"))) u->sanitize = true;
    else if (str_eq_nocase(rule, S("skip-sanitize-payload"))) u->sanitize = false;
    else if (str_eq_nocase(rule, S("reset"))) user_reset(u);
    else if (str_eq_nocase(rule, S("nopass")) || str_eq_nocase(rule, S("resetpass"))) {
        passwords_free(u);
        u->no_password = str_eq_nocase(rule, S("nopass"));
    } else if (str_eq_nocase(rule, S("clearselectors"))) {
        selectors_free(u->root.next);
        u->root.next = NULL;
    } else if (first && strchr("><#!", first)) {
        return password_rule(u, rule);
    } else if (first == '(' && rule.ptr[rule.len - 1] == ')') {
        return selector_add(u, str_of(rule.ptr + 1, rule.len - 2));
    } else {
        return selector_rule(&u->root, rule);
    }
    return NULL;
}

/* ---- Users ----------------------------------------------------------------------------------- */

static struct cache_user *user_new(str name) {
    struct cache_user *u = cache_zero(sizeof *u + name.len);
    u->name_len = (u32)name.len;
    u->sanitize = true;
    if (name.len) memcpy(u->name, name.ptr, name.len);
    return u;
}

static void user_free(struct cache_user *u) {
    user_reset(u);
    cache_free(u);
}

static struct acl_pattern *patterns_copy(const struct acl_pattern *p) {
    struct acl_pattern *first = NULL;
    for (; p; p = p->next) pattern_add(&first, str_of(p->text, p->len), p->reads, p->writes);
    return first;
}

static void selector_copy(struct acl_selector *to, const struct acl_selector *from) {
    struct acl_selector *next = to->next;
    *to = *from;
    to->next = next;
    if (to->rules) text_hold(to->rules);
    to->keys = patterns_copy(from->keys);
    to->channels = patterns_copy(from->channels);
}

static void user_copy(struct cache_user *to, const struct cache_user *from) {
    to->on = from->on;
    to->no_password = from->no_password;
    to->sanitize = from->sanitize;
    for (const struct acl_password *p = from->passwords; p; p = p->next) password_add(to, p->hex);
    to->no_password = from->no_password;
    selector_copy(&to->root, &from->root);
    struct acl_selector **at = &to->root.next;
    for (const struct acl_selector *s = from->root.next; s; s = s->next) {
        *at = cache_zero(sizeof **at);
        selector_copy(*at, s);
        at = &(*at)->next;
    }
}

static void user_insert(struct cache_user *u) {
    struct cache_user **at = &users;
    while (*at && str_cmp(acl_user_name(*at), acl_user_name(u)) < 0) at = &(*at)->next;
    u->next = *at;
    *at = u;
}

/* Rules that came in several words because of a selector's blanks are joined: "(+get", "~x)". */
static const char *rules_apply(struct cache_user *u, const str *rules, u32 count,
                               struct diag *shown) {
    struct buf joined;
    const char *why = NULL;
    bool inside = false;
    str at_rule = S("");
    buf_open(&joined, MIB(1));
    for (u32 i = 0; !why && i < count; i++) {
        str rule = at_rule = rules[i];
        bool opens = rule.len && rule.ptr[0] == '(';
        if (!inside && !opens) {
            why = user_rule(u, rule);
            continue;
        }
        if (joined.len) (void)!!buf_add_byte(&joined, ' ');
        (void)!!buf_add(&joined, rule);
        inside = !rule.len || rule.ptr[rule.len - 1] != ')';
        if (inside) continue;
        why = user_rule(u, buf_str(&joined));
        if (why) break; /* the whole of it is told: joined is kept for that */
        buf_clear(&joined);
    }
    if (!why && inside) why = "Unmatched parenthesis in acl selector starting at";
    if (why && joined.len && !inside) diag_set(shown, "%.*s", STR(str_take(buf_str(&joined), 80)));
    else diag_set(shown, "%.*s", STR(str_take(at_rule, 100)));
    buf_close(&joined);
    return why;
}

rc_t acl_user_set(str name, const str *rules, u32 count, struct diag *why) {
    struct cache_user *u = acl_user(name), *trial = user_new(name);
    struct diag at = {0};
    if (u) user_copy(trial, u);
    const char *refused = rules_apply(trial, rules, count, &at);
    if (refused) {
        if (strncmp(refused, "Unmatched", 9) == 0)
            diag_set(why, "ERR %s '%s'.", refused, at.text);
        else
            diag_set(why, "ERR Error in ACL SETUSER modifier '%s': %s", at.text, refused);
        user_free(trial);
        return RC_INVALID;
    }
    changed = true;
    if (!u) {
        user_insert(trial);
        if (str_eq(name, S("default"))) default_user = trial;
        return RC_OK;
    }
    user_reset(u);
    user_copy(u, trial);
    user_free(trial);
    for (struct client *c = clients, *next; c; c = next) {
        next = c->next;
        if (c->user == u) pubsub_recheck(c);
    }
    return RC_OK;
}

void acl_user_delete(struct cache_user *u) {
    for (struct client *c = clients, *next; c; c = next) {
        next = c->next;
        if (c->user != u) continue;
        c->user = NULL;
        client_end(c);
    }
    for (struct cache_user **at = &users; *at; at = &(*at)->next)
        if (*at == u) {
            *at = u->next;
            break;
        }
    if (u == default_user) default_user = NULL;
    user_free(u);
    changed = true;
}

void acl_client_gone(struct client *c) { c->user = NULL; }

bool acl_sign_in(struct client *c, str name, str password) {
    struct cache_user *u = acl_user(name);
    char hex[65];
    bool good = u && u->on && u->no_password;
    acl_hash(password, hex);
    for (struct acl_password *p = u ? u->passwords : NULL; p; p = p->next)
        good |= u->on && str_eq_secret(str_of(p->hex, 64), str_of(hex, 64));
    if (good) {
        c->user = u;
        return true;
    }
    command_stats.acl_denied_auth++;
    acl_log_add(c, "auth", S("AUTH"), name);
    say_error(c, "WRONGPASS invalid username-password pair or user is disabled.");
    return false;
}

void acl_open(bool anyone) {
    static const str all[] = {{"on", 2}, {"nopass", 6}, {"~*", 2}, {"&*", 2}, {"+@all", 5}};
    static const str off[] = {{"off", 3}, {"~*", 2}, {"&*", 2}, {"+@all", 5}};
    struct diag why;
    while (users) acl_user_delete(users);
    (void)!!acl_user_set(S("default"), anyone ? all : off, anyone ? ARRAY_LEN(all) : ARRAY_LEN(off),
                         &why);
    changed = false;
}

void acl_close(void) {
    while (users) acl_user_delete(users);
    acl_log_clear();
}
