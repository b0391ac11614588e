/* SPDX-License-Identifier: Apache-2.0 */
/* commands.c — COMMAND: the table of commands, told to clients that ask. */
#include "app/cache/data/memory.h"
#include "app/cache/data/numbers.h"
#include "app/cache/features.h"

static const struct {
    u32 flag;
    const char *name;
} flag_names[] = {
    {CMD_WRITE, "write"}, {CMD_READ, "readonly"}, {CMD_MEMORY, "denyoom"}, {CMD_ADMIN, "admin"},
    {CMD_PUBSUB, "pubsub"}, {CMD_NO_SCRIPT, "noscript"}, {CMD_BLOCKS, "blocking"},
    {CMD_LOADING, "loading"}, {CMD_STALE, "stale"}, {CMD_SKIP_MONITOR, "skip_monitor"},
    {CMD_SKIP_SLOWLOG, "skip_slowlog"}, {CMD_FAST, "fast"}, {CMD_NO_AUTH, "no_auth"},
    {CMD_REPLICATE, "may_replicate"}, {CMD_NO_ASYNC_LOADING, "no_async_loading"},
    {CMD_NO_MULTI, "no_multi"}, {CMD_MOVABLE_KEYS, "movablekeys"}, {CMD_ALLOW_BUSY, "allow_busy"},
    {CMD_NO_KEYS_NEEDED, "no_mandatory_keys"}, {CMD_ANY_KEYS, "touches_arbitrary_keys"},
};

static void say_flags(struct client *c, u32 flags) {
    u64 n = 0;
    struct block *later = say_later(c);
    for (size_t i = 0; i < ARRAY_LEN(flag_names); i++)
        if (flags & flag_names[i].flag) {
            say_status(c, flag_names[i].name);
            n++;
        }
    say_later_set(c, later, n);
}

static void say_spec_flags(struct client *c, const struct key_spec *s) {
    u64 n = 0;
    struct block *later = say_later(c);
    const struct {
        bool on;
        const char *name;
    } words[] = {{s->mode == 'r', "RO"}, {s->mode == 'w', "RW"}, {s->mode == 'o', "OW"},
                 {s->mode == 'd', "RM"}, {s->access, "access"}, {s->update, "update"},
                 {s->insert, "insert"}, {s->erase, "delete"}, {s->not_key, "not_key"},
                 {s->incomplete, "incomplete"}, {s->varies, "variable_flags"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].on) {
            say_status(c, words[i].name);
            n++;
        }
    say_later_set(c, later, n);
}

static void say_spec(struct client *c, const struct key_spec *s) {
    say_map(c, 3);
    say_cstr(c, "flags");
    say_spec_flags(c, s);
    say_cstr(c, "begin_search");
    say_map(c, 2);
    say_cstr(c, "type");
    say_cstr(c, s->unknown ? "unknown" : s->word ? "keyword" : "index");
    say_cstr(c, "spec");
    say_map(c, s->unknown ? 0 : s->word ? 2 : 1);
    if (s->word) {
        say_cstr(c, "keyword");
        say_bulk(c, str_of(s->word, s->word_len));
        say_cstr(c, "startfrom");
        say_integer(c, s->at);
    } else if (!s->unknown) {
        say_cstr(c, "index");
        say_integer(c, s->at);
    }
    say_cstr(c, "find_keys");
    say_map(c, 2);
    say_cstr(c, "type");
    say_cstr(c, s->unknown ? "unknown" : s->by_count ? "keynum" : "range");
    say_cstr(c, "spec");
    say_map(c, s->unknown ? 0 : 3);
    if (s->unknown) return;
    say_cstr(c, s->by_count ? "keynumidx" : "lastkey");
    say_integer(c, s->last);
    say_cstr(c, s->by_count ? "firstkey" : "keystep");
    say_integer(c, s->step);
    say_cstr(c, s->by_count ? "keystep" : "limit");
    say_integer(c, s->limit);
}

/* The old-style triple: only what a plain range can say. */
static void say_range(struct client *c, const struct command *cmd) {
    s64 first = 0, last = 0, step = 0;
    for (u32 i = 0; i < cmd->spec_count; i++) {
        const struct key_spec *s = &cmd->specs[i];
        if (s->word || s->by_count || s->unknown || (first && s->at != last + step)) continue;
        if (!first) first = s->at;
        last = s->last < 0 ? s->last : s->at + s->last;
        step = s->step;
        if (last < 0) break;
    }
    say_integer(c, first);
    say_integer(c, last);
    say_integer(c, step);
}

static void say_command(struct client *c, const struct command *cmd) {
    char name[64];
    u64 n = 0;
    if (!cmd) {
        say_null(c);
        return;
    }
    say_array(c, 10);
    say_bulk(c, command_full_name(cmd, name));
    say_integer(c, cmd->arity);
    say_flags(c, cmd->flags);
    say_range(c, cmd);
    for (u32 i = 0; i < CATEGORY_COUNT; i++) n += cmd->categories >> i & 1;
    say_set(c, n);
    for (u32 i = 0; i < CATEGORY_COUNT; i++)
        if (cmd->categories >> i & 1) {
            name[0] = '@';
            (void)!!str_to_c(category_names[i], name + 1, sizeof name - 1);
            say_status(c, name);
        }
    say_set(c, 0); /* tips */
    say_set(c, cmd->spec_count);
    for (u32 i = 0; i < cmd->spec_count; i++) say_spec(c, &cmd->specs[i]);
    n = 0;
    for (u32 i = 0; i < command_count; i++) n += commands[i].parent == (s16)cmd->id;
    say_set(c, n);
    for (u32 i = 0; i < command_count; i++)
        if (commands[i].parent == (s16)cmd->id) say_command(c, &commands[i]);
}

static u64 top_level(void) {
    u64 n = 0;
    for (u32 i = 0; i < command_count; i++) n += commands[i].parent < 0;
    return n;
}

void cmd_command(struct client *c) {
    say_array(c, top_level());
    for (u32 i = 0; i < command_count; i++)
        if (commands[i].parent < 0) say_command(c, &commands[i]);
}

void cmd_command_count(struct client *c) { say_integer(c, (s64)top_level()); }

void cmd_command_info(struct client *c) {
    if (c->argc == 2) {
        cmd_command(c);
        return;
    }
    say_array(c, c->argc - 2);
    for (u32 i = 2; i < c->argc; i++) say_command(c, command_by_name(c->argv[i]));
}

static void say_doc(struct client *c, const struct command *cmd) {
    char name[64];
    u64 subs = 0;
    for (u32 i = 0; i < command_count; i++) subs += commands[i].parent == (s16)cmd->id;
    say_bulk(c, command_full_name(cmd, name));
    say_map(c, 3 + (subs != 0));
    say_cstr(c, "summary");
    say_cstr(c, cmd->summary);
    say_cstr(c, "since");
    say_cstr(c, cmd->since);
    say_cstr(c, "group");
    say_cstr(c, cmd->group);
    if (!subs) return;
    say_cstr(c, "subcommands");
    say_map(c, subs);
    for (u32 i = 0; i < command_count; i++)
        if (commands[i].parent == (s16)cmd->id) say_doc(c, &commands[i]);
}

void cmd_command_docs(struct client *c) {
    u64 n = 0;
    struct block *later = say_later(c);
    for (u32 i = 0; c->argc == 2 && i < command_count; i++)
        if (commands[i].parent < 0) {
            say_doc(c, &commands[i]);
            n++;
        }
    for (u32 i = 2; i < c->argc; i++) {
        const struct command *cmd = command_by_name(c->argv[i]);
        if (!cmd) continue;
        say_doc(c, cmd);
        n++;
    }
    say_later_map(c, later, n);
}

void cmd_command_list(struct client *c) {
    char name[64];
    u64 n = 0;
    u32 category = 0;
    bool all = c->argc == 2, by_category = arg_is(c, 3, "aclcat"), by_pattern = arg_is(c, 3,
            "pattern");
    bool by_module = arg_is(c, 3, "module");
    if (!all && (c->argc != 5 || !arg_is(c, 2, "filterby") ||
                 !(by_category || by_pattern || by_module))) {
        say_error(c, SYNTAX_ERROR);
        return;
    }
    for (; by_category && category < CATEGORY_COUNT; category++)
        if (str_eq_nocase(c->argv[4], category_names[category])) break;
    struct block *later = say_later(c);
    for (u32 i = 0; !by_module && i < command_count; i++) {
        const struct command *cmd = &commands[i];
        str full = command_full_name(cmd, name);
        if (by_category && !(category < CATEGORY_COUNT
                             && cmd->categories >> category & 1)) continue;
        if (by_pattern && !glob_match(c->argv[4], full, true)) continue;
        say_bulk(c, full);
        n++;
    }
    say_later_set(c, later, n);
}

static void getkeys(struct client *c, bool with_flags) {
    u32 argc = c->argc - 2;
    const str *argv = c->argv + 2;
    const struct command *cmd = command_find(argc, argv);
    if (!cmd) {
        say_error(c, "ERR Invalid command specified");
        return;
    }
    bool any = cmd->spec_count > 0;
    if (!any) {
        say_error(c, "ERR The command has no key arguments");
        return;
    }
    if (cmd->arity > 0 ? argc != (u32)cmd->arity : argc < (u32)-cmd->arity) {
        say_error(c, "ERR Invalid number of arguments specified for command");
        return;
    }
    s64 n = command_keys(cmd, argc, argv, NULL, 0);
    if (n < 0 || (!n && !(cmd->flags & CMD_NO_KEYS_NEEDED))) {
        say_error(c, "ERR Invalid arguments specified for command");
        return;
    }
    struct key_at *keys = cache_alloc(((size_t)n + 1) * sizeof *keys);
    n = command_keys(cmd, argc, argv, keys, (u32)n);
    say_array(c, (u64)n);
    for (s64 i = 0; i < n; i++) {
        if (with_flags) say_array(c, 2);
        say_bulk(c, argv[keys[i].arg]);
        if (with_flags) {
            struct key_spec s = *keys[i].spec;
            if (cmd->run == cmd_set && !keys[i].reads) s.mode = 'o', s.access = false;
            s.varies = false;
            say_spec_flags(c, &s);
        }
    }
    cache_free(keys);
}

void cmd_command_getkeys(struct client *c) { getkeys(c, false); }
void cmd_command_getkeysandflags(struct client *c) { getkeys(c, true); }

void cmd_command_help(struct client *c) {
    static const char *const lines[] = {
        "(no subcommand)", "    All commands.",
        "COUNT", "    How many commands there are.",
        "DOCS [<command-name> [...]]", "    What commands do.",
        "GETKEYS <full-command>", "    Which arguments are keys.",
        "GETKEYSANDFLAGS <full-command>", "    And for what.",
        "INFO [<command-name> [...]]", "    Arity, flags, keys.",
        "LIST [FILTERBY (MODULE <m>|ACLCAT <category>|PATTERN <pattern>)]", "    Names.", NULL};
    say_help(c, lines);
}
