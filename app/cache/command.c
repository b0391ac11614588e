/* SPDX-License-Identifier: Apache-2.0 */
/* command.c — the table of commands and what is derived from it: names to functions, flags,
 * categories, and which arguments are keys.
 *
 * Key specs are read once, at start, from their little language (command.def); SORT and GEORADIUS
 * have keys behind words, which no spec describes, and are looked through here. */
#include "app/cache/command.h"
#include "app/cache/data/numbers.h"
#include <stdlib.h>

struct command commands[] = {
#define COMMAND(fn, name_, arity_, flags_, categories_, keys_, group_, since_, summary_)           \
    {.run = fn, .name = name_, .arity = arity_, .flag_text = flags_, .category_text = categories_, \
     .keys_text = keys_, .group = group_, .since = since_, .summary = summary_, .parent = -1},
#include "app/cache/command.def"
#undef COMMAND
};
const u32 command_count = ARRAY_LEN(commands);

const str category_names[CATEGORY_COUNT] = {
#define C(name) S(#name),
    COMMAND_CATEGORIES(C)
#undef C
};

#define SLOTS 2048u
static u16 slots[SLOTS]; /* 1 + index; 0: empty */

/* ---- Names ----------------------------------------------------------------------------------- */

static u32 hash_more(u32 h, str s) {
    for (size_t i = 0; i < s.len; i++) {
        u8 ch = (u8)s.ptr[i];
        if (ch >= 'A' && ch <= 'Z') ch = (u8)(ch + 32);
        h = (h ^ ch) * 16777619u;
    }
    return h;
}

static u32 hash_pair(str word, str sub) {
    u32 h = hash_more(2166136261u, word);
    return sub.ptr ? hash_more(hash_more(h, S(" ")), sub) : h;
}

static bool name_is(const char *name, str word, str sub) {
    str whole = str_from_c(name);
    if (!sub.ptr) return str_eq_nocase(whole, word);
    return whole.len == word.len + 1 + sub.len && whole.ptr[word.len] == ' ' &&
           str_eq_nocase(str_take(whole, word.len), word) &&
           str_eq_nocase(str_skip(whole, word.len + 1), sub);
}

static struct command *find_pair(str word, str sub) {
    for (u32 i = hash_pair(word, sub) % SLOTS; slots[i]; i = (i + 1) % SLOTS)
        if (name_is(commands[slots[i] - 1].name, word, sub)) return &commands[slots[i] - 1];
    return NULL;
}

const struct command *command_find(u32 argc, const str *argv) {
    const struct command *cmd = find_pair(argv[0], (str){0});
    if (!cmd || !cmd->container || argc < 2) return cmd;
    const struct command *sub =
        find_pair(argv[0], argv[1].ptr ? argv[1] : S(""));
    return sub ? sub : cmd;
}

struct command *command_by_name(str name) {
    size_t bar = str_find_byte(name, '|');
    if (bar == name.len) return find_pair(name, (str){0});
    return find_pair(str_take(name, bar), str_skip(name, bar + 1));
}

str command_full_name(const struct command *cmd, char to[64]) {
    size_t n = 0;
    for (; cmd->name[n] && n < 63; n++) to[n] = cmd->name[n] == ' ' ? '|' : cmd->name[n];
    return str_of(to, n);
}

/* ---- Reading the table ----------------------------------------------------------------------- */

static s32 number(const char **p) {
    char *end;
    long n = strtol(*p, &end, 10);
    *p = end;
    return (s32)n;
}

static void spec_letters(struct key_spec *s, const char **at) {
    const char *p = *at;
    for (s->mode = *p++; *p && !strchr("@$?", *p); p++) {
        s->access |= *p == 'a';
        s->update |= *p == 'u';
        s->insert |= *p == 'i';
        s->erase |= *p == 'x';
        s->varies |= *p == 'v';
        s->incomplete |= *p == 'c';
        s->not_key |= *p == '!';
    }
    *at = p;
}

static void spec_read(struct key_spec *s, const char **at) {
    *s = (struct key_spec){.step = 1};
    spec_letters(s, at);
    const char *p = *at;
    if (*p == '?') {
        s->unknown = true;
        p++;
    } else if (*p == '$') {
        s->word = ++p;
        while (*p != ',') p++;
        s->word_len = (u32)(p - s->word);
        p++;
        s->at = number(&p);
    } else {
        p++;
        s->at = number(&p);
    }
    if (*p == ':' || *p == '#') {
        s->by_count = *p++ == '#';
        s->last = number(&p);
        p++;
        s->step = number(&p); /* of by_count: where the first key is, from the count */
        p++;
        s->limit = number(&p);
    }
    while (*p == ' ') p++;
    *at = p;
}

static const struct {
    char letter;
    u32 flag;
} flag_letters[] = {
    {'w', CMD_WRITE}, {'r', CMD_READ}, {'m', CMD_MEMORY}, {'a', CMD_ADMIN}, {'p', CMD_PUBSUB},
    {'b', CMD_BLOCKS}, {'f', CMD_FAST}, {'s', CMD_NO_SCRIPT}, {'u', CMD_NO_AUTH},
    {'x', CMD_NO_MULTI}, {'k', CMD_SKIP_MONITOR}, {'g', CMD_SKIP_SLOWLOG}, {'y', CMD_ALLOW_BUSY},
    {'e', CMD_REPLICATE}, {'n', CMD_NO_KEYS_NEEDED}, {'i', CMD_ANY_KEYS}, {'l', CMD_LOADING},
    {'t', CMD_STALE}, {'z', CMD_NO_ASYNC_LOADING}, {'P', CMD_PROTECTED},
};

static void categories_read(struct command *cmd) {
    str rest = str_from_c(cmd->category_text), word;
    while (rest.len && str_split(&rest, ' ', &word))
        for (u32 i = 0; i < CATEGORY_COUNT; i++)
            if (str_eq(word, category_names[i])) cmd->categories |= 1u << i;
    static const struct {
        u32 flag, category;
    } implied[] = {
        {CMD_WRITE, 1u << CATEGORY_write}, {CMD_READ, 1u << CATEGORY_read},
        {CMD_ADMIN, 1u << CATEGORY_admin | 1u << CATEGORY_dangerous},
        {CMD_PUBSUB, 1u << CATEGORY_pubsub}, {CMD_FAST, 1u << CATEGORY_fast},
        {CMD_BLOCKS, 1u << CATEGORY_blocking},
    };
    for (size_t i = 0; i < ARRAY_LEN(implied); i++)
        if (cmd->flags & implied[i].flag) cmd->categories |= implied[i].category;
    if (!(cmd->flags & CMD_FAST)) cmd->categories |= 1u << CATEGORY_slow;
    if (cmd->categories & 1u << CATEGORY_scripting) cmd->categories &= ~(1u << CATEGORY_read);
}

static void row_read(struct command *cmd) {
    for (const char *p = cmd->flag_text; *p; p++)
        for (size_t i = 0; i < ARRAY_LEN(flag_letters); i++)
            if (flag_letters[i].letter == *p) cmd->flags |= flag_letters[i].flag;
    categories_read(cmd);
    cmd->spec_count = 0;
    for (const char *p = cmd->keys_text; *p;) {
        CHECK(cmd->spec_count < KEY_SPECS_MAX);
        struct key_spec *s = &cmd->specs[cmd->spec_count++];
        spec_read(s, &p);
        if (s->word || s->by_count || s->unknown || s->incomplete) cmd->flags |= CMD_MOVABLE_KEYS;
    }
    if (strcmp(cmd->name, "sort") == 0) cmd->store_from = 2;
    if (strcmp(cmd->name, "georadius") == 0 || strcmp(cmd->name, "georadiusbymember") == 0)
        cmd->store_from = 5;
}

size_t commands_bytes(void) { return sizeof commands + sizeof slots; }

void commands_open(void) {
    memset(slots, 0, sizeof slots);
    for (u32 n = 0; n < command_count; n++) {
        struct command *cmd = &commands[n];
        str name = str_from_c(cmd->name), word;
        word = str_take(name, str_find_byte(name, ' '));
        cmd->id = (u16)n;
        cmd->container = cmd->run == cmd_container;
        row_read(cmd);
        if (word.len < name.len) {
            const struct command *parent = find_pair(word, (str){0});
            CHECK(parent && parent < cmd); /* sorted: a container comes before its subcommands */
            cmd->parent = (s16)parent->id;
            commands[parent->id].container = true; /* COMMAND has both: itself and these */
        }
        u32 i = hash_pair(name, (str){0}) % SLOTS;
        while (slots[i]) i = (i + 1) % SLOTS;
        slots[i] = (u16)(n + 1);
    }
}

/* ---- Which arguments are keys ---------------------------------------------------------------- */

struct found {
    struct key_at *to;
    u32 room;
    s64 count;
};

static void found_add(struct found *f, u32 arg, const struct key_spec *s) {
    if (f->count < f->room)
        f->to[f->count] = (struct key_at){.arg = arg, .spec = s, .reads = s->access,
                                          .writes = s->update || s->insert || s->erase};
    f->count++;
}

static bool spec_keys(const struct key_spec *s, u32 argc, const str *argv, struct found *f) {
    s64 first = s->at, last, step = s->step;
    if (s->word) {
        str word = str_of(s->word, s->word_len);
        while (first < argc && !str_eq_nocase(argv[first], word)) first++;
        if (++first > (s64)argc) return true; /* the word is not there: nor are keys */
    }
    if (first >= (s64)argc) return s->word != NULL;
    if (s->by_count) {
        s64 n, at = first + s->last;
        if (at >= (s64)argc || !integer_parse(argv[at], &n) || n < 0) return false;
        first += s->step;
        step = MAX(s->limit, 1);
        last = first + (n - 1) * step;
        if (n > (s64)argc || last >= (s64)argc) return false;
    } else {
        last = s->last < 0 ? (s64)argc + s->last : first + s->last;
        if (s->last < 0 && s->limit > 1) last = first + ((s64)argc - first) / s->limit - 1;
        if (last >= (s64)argc) return false;
    }
    for (s64 i = first; i <= last; i += step) found_add(f, (u32)i, s);
    return true;
}

/* STORE key, STOREDIST key: the last one counts. */
static void store_keys(const struct command *cmd, u32 argc, const str *argv, struct found *f) {
    static const struct key_spec store = {.mode = 'o', .update = true, .step = 1};
    bool sort = cmd->store_from == 2;
    u32 at = 0;
    for (u32 i = cmd->store_from; i + 1 < argc; i++) {
        if (sort && str_eq_nocase(argv[i], S("limit"))) {
            i += 2;
        } else if (sort && (str_eq_nocase(argv[i], S("get")) || str_eq_nocase(argv[i], S("by")))) {
            i++;
        } else if (str_eq_nocase(argv[i], S("store")) ||
                   (!sort && str_eq_nocase(argv[i], S("storedist")))) {
            at = ++i;
        }
    }
    if (at) found_add(f, at, &store);
}

s64 command_keys(const struct command *cmd, u32 argc, const str *argv, struct key_at *to,
                 u32 room) {
    struct found f = {.to = to, .room = room};
    for (u32 i = 0; i < cmd->spec_count; i++) {
        const struct key_spec *s = &cmd->specs[i];
        if (s->unknown || s->not_key || (s->word && cmd->store_from)) continue;
        if (!spec_keys(s, argc, argv, &f)) return -1;
    }
    if (cmd->store_from) store_keys(cmd, argc, argv, &f);
    if (cmd->run == cmd_set && f.count && room) {
        bool get = false;
        for (u32 i = 3; i < argc; i++) get |= str_eq_nocase(argv[i], S("get"));
        if (!get) to[0].reads = false;
    }
    return f.count;
}

bool command_has_channels(const struct command *cmd, u32 argc, u32 *first, u32 *count,
                          bool *pattern) {
    *pattern = cmd->run == cmd_psubscribe;
    *first = 1;
    *count = argc - 1;
    if (cmd->run == cmd_publish || cmd->run == cmd_spublish) *count = 1;
    else if (cmd->run != cmd_subscribe && cmd->run != cmd_psubscribe && cmd->run != cmd_ssubscribe)
        return false;
    return true;
}
