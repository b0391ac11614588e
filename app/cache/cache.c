/* SPDX-License-Identifier: Apache-2.0 */
/* cache.c — the module: the cache opens, listens once somebody may sign in, and closes.
 *
 * No port is open before a user exists: a first start has none. A user comes from the machine's
 * configuration: cache.password, the user "default". Others are made over the wire (ACL SETUSER)
 * and kept in the database (store.c). cache.debug, for tests alone, lets anyone in and DEBUG
 * answer. */
#include "app/cache/cache.h"
#include "app/cache/acl.h"
#include "app/cache/command.h"
#include "app/cache/command/hash.h"
#include "app/cache/data/memory.h"
#include "app/cache/evict.h"
#include "app/cache/features.h"
#include "app/cache/figures.h"
#include "app/cache/server.h"
#include "app/cache/settings.h"
#include "app/cache/store.h"
#include "app/config/config.h"
#include "app/module.h"
#include "kernel/base/log.h"

static void on_expired(struct keys *k, str key) { notify(NOTIFY_EXPIRED, "expired", key, k); }
static void on_changed(struct keys *k, str key) { key_changed(NULL, k, key); }

static void apply_limits(void) {
    u64 mib = (u64)config_int("cache.memory"), budget = cache_memory_budget();
    u64 limit = mib ? MIN(mib << 20, budget) : budget - budget / 8;
    cache_memory_limit(limit);
    evict_limit_set(limit);
    evict_policy_set((enum evict_policy)config_int("cache.policy"));
}

static void add_configured_user(void) {
    str password = config_text("cache.password");
    if (!password.len) return;
    struct text *rule = text_new(S(""), password.len + 1);
    struct diag why = {0};
    rule->bytes[0] = '>';
    memcpy(rule->bytes + 1, password.ptr, password.len);
    str rules[] = {S("on"), str_of(rule->bytes, password.len + 1)};
    if (acl_user_set(S("default"), rules, ARRAY_LEN(rules), &why))
        log_error("cache", "the configured user could not be made", "why=%s",
                  LOGSTR(str_from_c(why.text)));
    users_default_is_configured();
    text_drop(rule);
    config_forget("cache.password");
}

void cache_listen(void) {
    u16 port = (u16)config_int("cache.port"), tls_port = (u16)config_int("cache.tls_port");
    bool able = acl_users_able() > 0;
    for (int tls = 0; tls <= 1 && able; tls++) {
        u16 p = tls ? tls_port : port;
        if (!p || server_listening(tls)) continue;
        rc_t rc = server_listen(p, tls);
        if (rc) log_error("cache", "the cache's port cannot be opened", "port=%u rc=%s", p,
                          rc_name(rc));
        else log_info("cache", "the cache listens", "port=%u tls=%d", p, tls);
    }
    if (!able && (server_listening(false) || server_listening(true))) server_unlisten();
}

static rc_t cache_start(struct diag *why) {
    settings_open();
    settings.debug = config_bool("cache.debug");
    commands_open();
    cache_fixed_set(commands_bytes() + sizeof databases);
    keys_open();
    keys_hooks.changed = on_changed;
    keys_hooks.expired = on_expired;
    keys_hooks.fields_end = hash_fields_hook;
    acl_open(settings.debug);
    rc_t rc = cache_memory_open(cache_memory_budget());
    if (!rc) rc = server_open();
    if (rc) {
        diag_set(why, "there is no memory for the cache");
        return rc;
    }
    apply_limits();
    if (config_on_change("cache.memory", apply_limits) ||
        config_on_change("cache.policy", apply_limits))
        log_warn("cache", "changes of cache.memory and cache.policy need a restart");
    add_configured_user();
    cache_listen();
    figures_publish();
    return RC_OK;
}

static void cache_stop(void) {
    server_close();
    for (u32 i = 0; i < CACHE_DATABASES; i++) keys_flush(&databases[i]);
    while (lazy_run(UINT64_MAX)) {}
    acl_close();
}

const struct module cache_module = {.name = "cache", .start = cache_start, .stop = cache_stop};
