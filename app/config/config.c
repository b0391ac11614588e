/* SPDX-License-Identifier: Apache-2.0 */
/* config.c — the values in force: per option one layer per source, the latest source wins.
 *
 *   option --> [default][stored][machine][command line] --> in force
 *                  ^ table  ^ API     ^ fw_cfg   ^ kernel
 *
 * Always true: every layer holds a value that option_parse accepted; a view handed out by
 * config_text lives at least until the next turn of the loop, also when the option changes in this
 * one. Loop only.
 * Leaves to others: reading documents (machine.c), the database (store.c), the API (api.c). */
#include "app/config/config_impl.h"
#include "app/module.h"
#include "kernel/base/log.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"

enum { WATCHES_MAX = 64, INDEX_SLOTS = 2 * OPTIONS_MAX };
static_assert((INDEX_SLOTS & (INDEX_SLOTS - 1)) == 0, "probing masks");

struct layer {
    char *text; /* NULL: this source says nothing. Owned (MEMORY_SERVICES), NUL-ended */
    size_t len;
    s64 number;
};
struct value {
    struct layer layers[SOURCE_COUNT];
    s64 version;              /* of the stored layer, also once it is unset */
    bool changed_since_start; /* a RESTART option whose value in force moved */
};
struct retired { /* a text somebody may still look at in this turn */
    struct retired *next;
};
static struct {
    struct value values[OPTIONS_MAX];
    u16 index[INDEX_SLOTS]; /* 1 + option, by hash of the key */
    struct {
        u32 option;
        void (*fn)(void);
    } watches[WATCHES_MAX];
    u32 watch_count;
    struct retired *retired;
    struct loop_post sweep;
    bool ready, started;
} config;

const char *config_source_name(enum config_source s) {
    static const char *const names[] = {"default", "stored", "machine configuration",
                                        "command line"};
    return names[s];
}

/* ---- Lookup -------------------------------------------------------------------------------- */

static void set_default(u32 i) {
    static struct arena scratch;
    static char first[OPTION_TEXT_MAX];
    struct diag why;
    str text;
    struct layer *l = &config.values[i].layers[SOURCE_DEFAULT];
    arena_open(&scratch, first, sizeof first, KIB(8));
    rc_t rc = option_parse(&options[i], str_from_c(options[i].initial), &scratch, &text, &l->number,
                           &why);
    if (rc && options[i].initial[0]) panic("option.def: %s", why.text);
    l->text = (char *)(uintptr_t)options[i].initial; /* never freed: defaults are not replaced */
    l->len = strlen(options[i].initial);
    arena_close(&scratch);
}

static void build(void) {
    if (config.ready) return;
    config.ready = true;
    for (u32 i = 0; i < option_count; i++) {
        set_default(i);
        u64 at = str_hash(str_from_c(options[i].key), 0) & (INDEX_SLOTS - 1);
        while (config.index[at]) at = (at + 1) & (INDEX_SLOTS - 1);
        config.index[at] = (u16)(i + 1);
    }
}

static u32 find(const char *key) {
    str k = str_from_c(key);
    build();
    for (u64 at = str_hash(k, 0) & (INDEX_SLOTS - 1);; at = (at + 1) & (INDEX_SLOTS - 1)) {
        if (!config.index[at]) panic("config: no option \"%s\" in option.def", key);
        if (str_eq(str_from_c(options[config.index[at] - 1].key), k)) return config.index[at] - 1u;
    }
}

static enum config_source source_of(u32 option) {
    int s = SOURCE_COUNT - 1;
    while (!config.values[option].layers[s].text) s--;
    return (enum config_source)s;
}
static const struct layer *in_force(u32 option) {
    return &config.values[option].layers[source_of(option)];
}

str config_text(const char *key) {
    const struct layer *l = in_force(find(key));
    return str_of(l->text, l->len);
}
s64 config_int(const char *key) { return in_force(find(key))->number; }
bool config_bool(const char *key) { return in_force(find(key))->number != 0; }

void config_view_get(u32 option, struct config_view *out) {
    build();
    const struct layer *l = in_force(option);
    const struct value *v = &config.values[option];
    *out = (struct config_view){.text = str_of(l->text, l->len),
                                .number = l->number,
                                .source = source_of(option),
                                .version = v->version,
                                .restart_needed = v->changed_since_start};
}
bool config_fixed_by_machine(u32 option) {
    build();
    return source_of(option) > SOURCE_STORED;
}

/* ---- Change -------------------------------------------------------------------------------- */

static void sweep(void *arg) {
    (void)arg;
    while (config.retired) {
        struct retired *r = config.retired;
        config.retired = r->next;
        memory_free(MEMORY_SERVICES, r);
    }
}

/* The bytes stay readable through this turn; the link lies in front of the text. */
static void retire(struct layer *l) {
    if (!l->text) return;
    struct retired *r = (struct retired *)(void *)(l->text - sizeof(struct retired));
    r->next = config.retired;
    config.retired = r;
    config.sweep.fn = sweep;
    loop_post(&config.sweep);
    *l = (struct layer){0};
}

static char *copy_text(str text) {
    char *block = memory_alloc(MEMORY_SERVICES, sizeof(struct retired) + text.len + 1);
    if (!block) return NULL;
    char *to = block + sizeof(struct retired);
    if (text.len) memcpy(to, text.ptr, text.len);
    to[text.len] = 0;
    return to;
}

static void tell(u32 option) {
    for (u32 i = 0; i < config.watch_count; i++)
        if (config.watches[i].option == option) config.watches[i].fn();
}

static void replace(enum config_source source, u32 option, struct layer with, s64 version) {
    struct value *v = &config.values[option];
    struct layer before = *in_force(option);
    struct layer old = v->layers[source];
    v->layers[source] = with;
    if (source == SOURCE_STORED) v->version = version;
    const struct layer *after = in_force(option);
    bool same = str_eq(str_of(before.text, before.len), str_of(after->text, after->len));
    if (!same && config.started && options[option].effect == RESTART) v->changed_since_start = true;
    if (!same && options[option].effect == LIVE) tell(option);
    retire(&old);
}

rc_t config_set(enum config_source source, const struct config_setting *list, u32 count,
                s64 version) {
    char *texts[OPTIONS_MAX];
    CHECK(count <= OPTIONS_MAX);
    CHECK(source != SOURCE_DEFAULT);
    build();
    for (u32 i = 0; i < count; i++) {
        if ((texts[i] = copy_text(list[i].text))) continue;
        while (i--) memory_free(MEMORY_SERVICES, texts[i] - sizeof(struct retired));
        return RC_NO_MEMORY;
    }
    for (u32 i = 0; i < count; i++) {
        struct layer l = {texts[i], list[i].text.len, list[i].number};
        if (source == SOURCE_STORED && config.values[list[i].option].version > version)
            retire(&l); /* a later change was applied first */
        else
            replace(source, list[i].option, l, version);
    }
    return RC_OK;
}

void config_unset(enum config_source source, u32 option, s64 version) {
    build();
    if (source == SOURCE_STORED && config.values[option].version > version) return;
    replace(source, option, (struct layer){0}, version);
}

void config_forget(const char *key) {
    u32 option = find(key);
    for (int s = SOURCE_STORED; s < SOURCE_COUNT; s++) {
        struct layer *l = &config.values[option].layers[s];
        if (!l->text) continue;
        for (volatile char *p = l->text; p < l->text + l->len; p++) *p = 0;
        retire(l);
    }
}

rc_t config_on_change(const char *key, void (*fn)(void)) {
    if (config.watch_count == WATCHES_MAX) return RC_LIMIT;
    config.watches[config.watch_count].option = find(key);
    config.watches[config.watch_count++].fn = fn;
    return RC_OK;
}

/* ---- The module ---------------------------------------------------------------------------- */

static rc_t start(struct diag *why) {
    rc_t rc = config_store_load(why);
    config.started = true;
    return rc;
}

const struct module config_module = {.name = "config",
                                     .start = start,
                                     .routes = config_routes,
                                     .schema = &config_db_schema,
                                     .schemas = config_schemas};
