/* SPDX-License-Identifier: Apache-2.0 */
/* command.h — how commands are written, found and run. To add one: a line in command.def and a
 * function `void cmd_NAME(struct client *c)` in command/. It looks keys up with the helpers below
 * (which answer for themselves when the type is wrong), changes values through data/, tells
 * key_changed and notify what it did, and answers once. */
#pragma once
#include "app/cache/client.h"

#define COMMAND(fn, ...) void fn(struct client *c);
#include "app/cache/command.def"
#undef COMMAND

enum command_flag {
    CMD_WRITE = 1 << 0,
    CMD_READ = 1 << 1,
    CMD_MEMORY = 1 << 2, /* refused when memory is short */
    CMD_ADMIN = 1 << 3,
    CMD_PUBSUB = 1 << 4,
    CMD_BLOCKS = 1 << 5,
    CMD_FAST = 1 << 6,
    CMD_NO_SCRIPT = 1 << 7,
    CMD_NO_AUTH = 1 << 8,
    CMD_NO_MULTI = 1 << 9,
    CMD_SKIP_MONITOR = 1 << 10,
    CMD_SKIP_SLOWLOG = 1 << 11,
    CMD_ALLOW_BUSY = 1 << 12,
    CMD_REPLICATE = 1 << 13,
    CMD_NO_KEYS_NEEDED = 1 << 14,
    CMD_ANY_KEYS = 1 << 15,
    CMD_LOADING = 1 << 16,
    CMD_STALE = 1 << 17,
    CMD_NO_ASYNC_LOADING = 1 << 18,
    CMD_PROTECTED = 1 << 19,
    CMD_MOVABLE_KEYS = 1 << 20,
};

/* ACL categories: bits in this order, which ACL CAT shows too. */
#define COMMAND_CATEGORIES(C)                                                                      \
    C(keyspace) C(read) C(write) C(set) C(sortedset) C(list) C(hash) C(string) C(bitmap)           \
    C(hyperloglog) C(geo) C(stream) C(pubsub) C(admin) C(fast) C(slow) C(blocking) C(dangerous)    \
    C(connection) C(transaction) C(scripting)
enum command_category {
#define C(name) CATEGORY_##name,
    COMMAND_CATEGORIES(C)
#undef C
        CATEGORY_COUNT
};
extern const str category_names[CATEGORY_COUNT];

#define KEY_SPECS_MAX 4u
struct key_spec {
    char mode; /* r w o d n */
    bool access, update, insert, erase, varies, incomplete, not_key, unknown;
    bool by_count;         /* else a range */
    const char *word;      /* searched for; NULL: at `at` */
    u32 word_len;
    s32 at, last, step, limit;
};

#define COMMAND_BUCKETS 32u
struct command {
    void (*run)(struct client *c);
    const char *name;      /* "client list" */
    s16 arity;
    u16 id;
    const char *flag_text, *category_text, *keys_text, *group, *since, *summary;
    u32 flags;
    u32 categories;        /* bits */
    s16 parent;            /* index of the container; -1 */
    bool container;
    u8 store_from;         /* STORE key is looked for from this argument on; 0: not at all */
    u8 spec_count;
    struct key_spec specs[KEY_SPECS_MAX];
    u64 calls, us, rejected, failed;
    u64 histogram[COMMAND_BUCKETS]; /* of microseconds, by powers of two */
};
extern struct command commands[];
extern const u32 command_count;

void commands_open(void);
size_t commands_bytes(void); /* what the tables take */
/* By name, or by container and subcommand when `argv` has one. NULL: unknown. */
const struct command *command_find(u32 argc, const str *argv);
struct command *command_by_name(str name); /* "client|list", "get" */
str command_full_name(const struct command *cmd, char to[64]); /* "client|list" */

/* Positions of keys. Returns how many, at most `room` are written; -1: the arguments are wrong. */
struct key_at {
    u32 arg;
    const struct key_spec *spec;
    bool reads, writes;
};
s64 command_keys(const struct command *cmd, u32 argc, const str *argv, struct key_at *to, u32 room);
bool command_has_channels(const struct command *cmd, u32 argc, u32 *first, u32 *count,
                          bool *pattern);

void command_dispatch(struct client *c);        /* argc and argv are set */
void command_call(struct client *c, const struct command *cmd); /* the function, measured */
bool command_running(void); /* some command's function is on the stack */
void command_error_count(const char *line);
struct queued *queued_new(const struct client *c); /* copies the words; free: queued_free */
void queued_free(struct queued *q);

struct command_stats {
    u64 error_replies, dirty, unexpected_errors;
    u64 acl_denied_auth, acl_denied_cmd, acl_denied_key, acl_denied_channel;
};
extern struct command_stats command_stats;
#define ERROR_KINDS_MAX 128u
struct error_kind {
    char name[24];
    u64 count;
};
extern struct error_kind error_kinds[ERROR_KINDS_MAX];
extern u32 error_kind_count;

/* ---- For commands ---------------------------------------------------------------------------- */

/* NULL with *bad false: no such key. With *bad: another type, and the client has been told. */
struct object *look_read(struct client *c, str key, enum object_type type, bool *bad);
struct object *look_write(struct client *c, str key, enum object_type type, bool *bad);
/* Of any type; read: counts a hit or a miss. */
struct object *look_any(struct client *c, str key);
static inline struct entry *entry_of(struct object *o) { return CONTAINER_OF(o, struct entry,
        object); }

/* A whole number in argument i; answers and returns false otherwise. */
bool arg_integer(struct client *c, u32 i, s64 *out);
bool arg_integer_or(struct client *c, u32 i, s64 *out, const char *error);
bool arg_range(struct client *c, u32 i, s64 least, s64 most, s64 *out, const char *error);
/* How many at random; negative: with repetitions, at most CACHE_RANDOM_MAX of them. */
bool arg_random_count(struct client *c, u32 i, s64 most, s64 *out);
bool arg_double(struct client *c, u32 i, double *out, const char *error);
bool arg_timeout(struct client *c, u32 i, s64 *out_until_ms, bool milliseconds); /* 0: for ever */
static inline bool arg_is(const struct client *c, u32 i, const char *word) {
    return i < c->argc && str_eq_nocase(c->argv[i], str_from_c(word));
}
void say_arity(struct client *c);
void say_subcommand_unknown(struct client *c);
void say_help(struct client *c, const char *const *lines); /* NULL-ended */
/* Would `more` bytes be too much? Then the client has been told. */
bool too_large(struct client *c, u64 more);

/* The key's value was changed, or it was made or removed: those who watch it, wait for it or have
 * it cached are told. */
void key_changed(struct client *c, struct keys *k, str key);
void flush_changed(struct client *c, struct keys *k); /* NULL: all databases */
/* Deletes the key because its value became empty; tells `notify` "del". */
void key_emptied(struct client *c, str key);

/* Keyspace events (notify.c). */
enum notify_class {
    NOTIFY_KEYSPACE = 1 << 0, NOTIFY_KEYEVENT = 1 << 1, NOTIFY_GENERIC = 1 << 2,
    NOTIFY_STRING = 1 << 3, NOTIFY_LIST = 1 << 4, NOTIFY_SET = 1 << 5, NOTIFY_HASH = 1 << 6,
    NOTIFY_ZSET = 1 << 7, NOTIFY_EXPIRED = 1 << 8, NOTIFY_EVICTED = 1 << 9,
    NOTIFY_STREAM = 1 << 10, NOTIFY_MISS = 1 << 11, NOTIFY_NEW = 1 << 12,
};
extern u32 notify_mask;
void notify(u32 class, const char *event, str key, const struct keys *k);
bool notify_parse(str letters, u32 *out);
void notify_text(u32 mask, char to[24]);
