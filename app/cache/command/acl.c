/* SPDX-License-Identifier: Apache-2.0 */
/* acl.c — ACL: users shown and changed over the wire, what was refused, and trials. Users
 * are kept by store.c. */
#include "app/cache/acl_impl.h"
#include "app/cache/store.h"
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"
#include "app/cache/settings.h"
#include "kernel/base/buf.h"
#include "kernel/core/loop.h"
#include "kernel/platform.h"

/* ---- What was refused ------------------------------------------------------------------------ */

struct refusal {
    struct refusal *next;
    u64 count, id, created_ms, updated_ms;
    const char *reason, *context;
    struct text *object, *user, *client;
};
static struct refusal *log_first;
static u64 log_ids;

static void refusal_free(struct refusal *r) {
    text_drop(r->object);
    text_drop(r->user);
    text_drop(r->client);
    cache_free(r);
}

void acl_log_clear(void) {
    while (log_first) {
        struct refusal *r = log_first;
        log_first = r->next;
        refusal_free(r);
    }
}

static void log_trim(void) {
    struct refusal **at = &log_first;
    for (s64 n = 0; *at && n < settings.acl_log_lines; n++) at = &(*at)->next;
    while (*at) {
        struct refusal *r = *at;
        *at = r->next;
        refusal_free(r);
    }
}

void acl_log_add(struct client *c, const char *reason, str object, str user) {
    const char *context = c->executing || c->in_multi ? "multi" : "toplevel";
    struct buf line;
    u64 now = platform_wall_ns() / NS_PER_MS;
    buf_open(&line, KIB(4));
    client_line(c, &line);
    for (struct refusal **at = &log_first; *at; at = &(*at)->next) {
        struct refusal *r = *at;
        if (r->reason != reason || r->context != context || now - r->updated_ms > 60000 ||
            !str_eq(str_of(r->object->bytes, r->object->len), object) ||
            !str_eq(str_of(r->user->bytes, r->user->len), user))
            continue;
        r->count++;
        r->updated_ms = now;
        text_drop(r->client);
        r->client = text_new(buf_str(&line), 0);
        *at = r->next;
        r->next = log_first;
        log_first = r;
        buf_close(&line);
        return;
    }
    struct refusal *r = cache_alloc(sizeof *r);
    *r = (struct refusal){.next = log_first, .count = 1, .id = log_ids++, .created_ms = now,
                          .updated_ms = now, .reason = reason, .context = context,
                          .object = text_new(str_take(object, 1024), 0),
                          .user = text_new(str_take(user, 256), 0),
                          .client = text_new(buf_str(&line), 0)};
    log_first = r;
    buf_close(&line);
    log_trim();
}

static void say_refusal(struct client *c, const struct refusal *r) {
    char age[NUMBER_ROOM];
    u64 now = platform_wall_ns() / NS_PER_MS;
    say_map(c, 10);
    say_cstr(c, "count");
    say_integer(c, (s64)r->count);
    say_cstr(c, "reason");
    say_cstr(c, r->reason);
    say_cstr(c, "context");
    say_cstr(c, r->context);
    say_cstr(c, "object");
    say_bulk(c, str_of(r->object->bytes, r->object->len));
    say_cstr(c, "username");
    say_bulk(c, str_of(r->user->bytes, r->user->len));
    say_cstr(c, "age-seconds");
    if (c->resp >= 3) say_double(c, (double)(now - r->created_ms) / 1000);
    else say_bulk(c, double_text((double)(now - r->created_ms) / 1000, age));
    say_cstr(c, "client-info");
    say_bulk(c, str_of(r->client->bytes, r->client->len));
    say_cstr(c, "entry-id");
    say_integer(c, (s64)r->id);
    say_cstr(c, "timestamp-created");
    say_integer(c, (s64)r->created_ms);
    say_cstr(c, "timestamp-last-updated");
    say_integer(c, (s64)r->updated_ms);
}

void cmd_acl_log(struct client *c) {
    s64 most = 10, n = 0;
    if (c->argc == 3 && arg_is(c, 2, "reset")) {
        acl_log_clear();
        say_ok(c);
        return;
    }
    if (c->argc == 3 && !arg_integer(c, 2, &most)) return;
    for (struct refusal *r = log_first; r; r = r->next) n++;
    if (most < 0) most = 0;
    say_array(c, (u64)MIN(n, most));
    for (struct refusal *r = log_first; r && most; r = r->next, most--) say_refusal(c, r);
}

/* ---- Users ----------------------------------------------------------------------------------- */

static void say_text(struct client *c, void (*write)(const struct acl_selector *, struct buf *),
                     const struct acl_selector *s) {
    struct buf text;
    buf_open(&text, MIB(1));
    write(s, &text);
    say_bulk(c, buf_str(&text));
    buf_close(&text);
}

static void say_selector(struct client *c, const struct acl_selector *s) {
    say_cstr(c, "commands");
    say_text(c, acl_commands_text, s);
    say_cstr(c, "keys");
    say_text(c, acl_patterns_text, s);
    say_cstr(c, "channels");
    say_text(c, acl_channels_text, s);
}

void cmd_acl_getuser(struct client *c) {
    struct cache_user *u = acl_user(c->argv[2]);
    u64 n = 0;
    if (!u) {
        say_null(c);
        return;
    }
    say_map(c, 6);
    say_cstr(c, "flags");
    struct block *later = say_later(c);
    say_cstr(c, u->on ? "on" : "off");
    n = 1;
    if (u->no_password) say_cstr(c, "nopass"), n++;
    if (!u->sanitize) say_cstr(c, "skip-sanitize-payload"), n++;
    else say_cstr(c, "sanitize-payload"), n++;
    say_later_set(c, later, n);
    say_cstr(c, "passwords");
    n = 0;
    for (struct acl_password *p = u->passwords; p; p = p->next) n++;
    say_array(c, n);
    for (struct acl_password *p = u->passwords; p; p = p->next) say_bulk(c, str_of(p->hex, 64));
    say_selector(c, &u->root);
    say_cstr(c, "selectors");
    n = 0;
    for (struct acl_selector *s = u->root.next; s; s = s->next) n++;
    say_array(c, n);
    for (struct acl_selector *s = u->root.next; s; s = s->next) {
        say_map(c, 3);
        say_selector(c, s);
    }
}

void cmd_acl_list(struct client *c) {
    struct buf text;
    u64 n = 0;
    struct block *later = say_later(c);
    buf_open(&text, MIB(1));
    for (struct cache_user *u = acl_first(); u; u = acl_next(u), n++) {
        buf_clear(&text);
        (void)!!buf_printf(&text, "user %.*s ", STR(acl_user_name(u)));
        acl_user_text(u, &text);
        say_bulk(c, buf_str(&text));
    }
    buf_close(&text);
    say_later_array(c, later, n);
}

void cmd_acl_users(struct client *c) {
    u64 n = 0;
    struct block *later = say_later(c);
    for (struct cache_user *u = acl_first(); u; u = acl_next(u), n++) say_bulk(c, acl_user_name(u));
    say_later_array(c, later, n);
}

void cmd_acl_whoami(struct client *c) {
    if (c->user) say_bulk(c, acl_user_name(c->user));
    else say_null(c);
}

static bool name_is_fine(str name) {
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == ' ' || !name.ptr[i]) return false;
    return name.len <= 255;
}

void cmd_acl_setuser(struct client *c) {
    struct diag why = {0};
    if (!name_is_fine(c->argv[2])) {
        say_error(c, "ERR Usernames can't contain spaces or null characters");
        return;
    }
    if (acl_user_set(c->argv[2], c->argv + 3, c->argc - 3, &why)) say_error(c, why.text);
    else users_changed(c, -1);
}

void cmd_acl_deluser(struct client *c) {
    s64 n = 0;
    for (u32 i = 2; i < c->argc; i++)
        if (str_eq(c->argv[i], S("default"))) {
            say_error(c, "ERR The 'default' user cannot be removed");
            return;
        }
    for (u32 i = 2; i < c->argc; i++) {
        struct cache_user *u = acl_user(c->argv[i]);
        if (!u) continue;
        bool own = c->user == u;
        if (own) c->closing = true;
        acl_user_delete(u);
        n++;
    }
    if (n && !c->dead) users_changed(c, n);
    else say_integer(c, n);
}

void cmd_acl_cat(struct client *c) {
    u64 n = 0;
    char name[64];
    if (c->argc == 2) {
        say_array(c, CATEGORY_COUNT);
        for (u32 i = 0; i < CATEGORY_COUNT; i++) say_bulk(c, category_names[i]);
        return;
    }
    for (u32 k = 0; k < CATEGORY_COUNT; k++) {
        if (!str_eq_nocase(c->argv[2], category_names[k])) continue;
        struct block *later = say_later(c);
        for (u32 i = 0; i < command_count; i++)
            if (commands[i].categories & 1u << k) {
                say_bulk(c, command_full_name(&commands[i], name));
                n++;
            }
        say_later_array(c, later, n);
        return;
    }
    say_errorf(c, "ERR Unknown category '%.*s'", STR(str_take(c->argv[2], 64)));
}

void cmd_acl_genpass(struct client *c) {
    s64 bits = 256;
    u8 bytes[512];
    char hex[1025];
    if (c->argc == 3 && !arg_integer(c, 2, &bits)) return;
    if (c->argc == 3 &&
        !arg_range(c, 2, 1, 4096, &bits,
                   "ERR ACL GENPASS argument must be the number of bits for the output password, a "
                   "positive number up to 4096"))
        return;
    if (platform_entropy(bytes, sizeof bytes)) {
        say_error(c, "ERR this machine has no entropy");
        return;
    }
    (void)!!str_hex(bytes, sizeof bytes, hex, sizeof hex);
    say_bulk(c, str_of(hex, (size_t)(bits + 3) / 4));
}

void cmd_acl_dryrun(struct client *c) {
    struct cache_user *u = acl_user(c->argv[2]);
    char name[64];
    u32 arg = 0;
    if (!u) {
        say_errorf(c, "ERR User '%.*s' not found", STR(str_take(c->argv[2], 64)));
        return;
    }
    const struct command *cmd = command_find(c->argc - 3, c->argv + 3);
    if (!cmd) {
        say_errorf(c, "ERR Command '%.*s' not found", STR(str_take(c->argv[3], 64)));
        return;
    }
    u32 argc = c->argc - 3;
    if (cmd->arity > 0 ? argc != (u32)cmd->arity : argc < (u32)-cmd->arity) {
        str full = command_full_name(cmd, name);
        say_errorf(c, "ERR wrong number of arguments for '%.*s' command", STR(full));
        return;
    }
    struct diag text;
    str full = command_full_name(cmd, name);
    switch (acl_check(u, cmd, argc, c->argv + 3, &arg)) {
    case ACL_YES: say_ok(c); return;
    case ACL_COMMAND:
        diag_set(&text, "This user has no permissions to run the '%.*s' command", STR(full));
        break;
    case ACL_KEY:
        diag_set(&text, "This user has no permissions to access the '%.*s' key",
                 STR(str_take(c->argv[3 + arg], 128)));
        break;
    default:
        diag_set(&text, "This user has no permissions to access the '%.*s' channel",
                 STR(str_take(c->argv[3 + arg], 128)));
    }
    say_cstr(c, text.text);
}

void cmd_acl_help(struct client *c) {
    static const char *const lines[] = {
        "CAT [<category>]", "    Categories, or the commands of one.",
        "DELUSER <username> [<username> ...]", "    Remove users, end their connections.",
        "DRYRUN <username> <command> [<arg> ...]", "    Would this be let through?",
        "GETUSER <username>", "    What one user may.",
        "GENPASS [<bits>]", "    A random password.",
        "LIST", "    All users as rules.",
        "LOG [<count> | RESET]", "    What was refused lately.",
        "SETUSER <username> <attribute> [<attribute> ...]", "    Make or change a user.",
        "USERS", "    Names of all users.",
        "WHOAMI", "    Who this connection is.", NULL};
    say_help(c, lines);
}
