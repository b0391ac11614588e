/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c — what the machine says at start: a JSON document and the kernel command line.
 *
 *   {"admin.email": "a@b.ca", "net": {"address": "dhcp"}}      dotted or nested, as one likes
 *   ip=192.0.2.2::192.0.2.1:255.255.255.0:host  ip=dhcp  config.log.level=debug  console=...
 *
 * Each document is taken whole or not at all: half a configuration is one nobody wrote. A refused
 * one leaves the sources below it in force; that is safe because none of them opens anything (the
 * defaults have no administrator but the one who reads the console, and no plain HTTP).
 * Words of the command line that are not ours (QEMU and boot loaders add some) are left alone. */
#include "app/config/config_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/console.h"
#include <stdio.h>

#define DOCUMENT_ARENA_MAX KIB(512)
#define KEY_MAX 128u

static struct diag refusal;
str config_refusal(void) { return str_from_c(refusal.text); }

struct document {
    struct arena arena;
    struct config_setting list[OPTIONS_MAX];
    u32 count;
    struct diag *why;
};

static rc_t add(struct document *d, str key, str text, const cJSON *json) {
    int i = option_find(key);
    if (i < 0) {
        char shown[KEY_MAX];
        diag_set(d->why, "unknown key %s", log_quote(key, shown, sizeof shown));
        return RC_INVALID;
    }
    for (u32 n = 0; n < d->count; n++) {
        if (d->list[n].option != (u32)i) continue;
        diag_set(d->why, "%s is given twice", options[i].key);
        return RC_INVALID;
    }
    struct config_setting *s = &d->list[d->count];
    rc_t rc = json ? option_text_of_json(&options[i], json, &d->arena, &text, d->why) : RC_OK;
    if (!rc) rc = option_parse(&options[i], text, &d->arena, &s->text, &s->number, d->why);
    if (rc) return rc;
    s->option = (u32)i;
    d->count++;
    return RC_OK;
}

static rc_t finish(struct document *d, enum config_source source, rc_t rc) {
    if (!rc && (rc = config_set(source, d->list, d->count, 0)))
        diag_set(d->why, "not enough memory for the values");
    arena_close(&d->arena);
    return rc;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* Members of an object; recursion is as deep as the scan let it be. */
static rc_t add_members(struct document *d, const cJSON *object, const char *prefix) {
    for (const cJSON *m = object->child; m; m = m->next) {
        char key[KEY_MAX];
        int n = snprintf(key, sizeof key, "%s%s%s", prefix, prefix[0] ? "." : "", m->string);
        if (n < 0 || (size_t)n >= sizeof key) {
            diag_set(d->why, "unknown key %.60s...", key);
            return RC_INVALID;
        }
        int i = option_find(str_from_c(key));
        bool whole = i >= 0 && option_takes_object(&options[i]);
        rc_t rc = cJSON_IsObject(m) && !whole ? add_members(d, m, key)
                                              : add(d, str_from_c(key), S(""), m);
        if (rc) return rc;
    }
    return RC_OK;
}

rc_t config_read_json(str json, struct diag *why) {
    struct document d = {.why = why};
    cJSON *root;
    arena_open(&d.arena, NULL, 0, DOCUMENT_ARENA_MAX);
    rc_t rc = json_parse(&d.arena, json, &root, why);
    if (!rc && !cJSON_IsObject(root)) {
        diag_set(why, "the document must be one JSON object");
        rc = RC_INVALID;
    }
    if (!rc) rc = add_members(&d, root, "");
    return finish(&d, SOURCE_MACHINE, rc);
}

/* ---- Command line -------------------------------------------------------------------------- */

/* Words are split at blanks; double quotes hold blanks together and are dropped. */
static bool next_word(str *rest, char *to, size_t room, str *out) {
    size_t n = 0, i = 0;
    bool quoted = false;
    while (i < rest->len && rest->ptr[i] == ' ') i++;
    if (i == rest->len) return false;
    for (; i < rest->len && (quoted || rest->ptr[i] != ' '); i++) {
        if (rest->ptr[i] == '"')
            quoted = !quoted;
        else if (n < room)
            to[n++] = rest->ptr[i];
    }
    *rest = str_skip(*rest, i);
    *out = str_of(to, n);
    return true;
}

static int prefix_of_mask(str mask) {
    u32 bits = 0;
    str one;
    for (int i = 0; i < 4; i++) {
        u64 v;
        if (!str_split(&mask, '.', &one) || str_to_u64(one, &v) || v > 255) return -1;
        bits = bits << 8 | (u32)v;
    }
    u32 inverse = ~bits;
    if (mask.len || (inverse & (inverse + 1)) != 0) return -1; /* ones, then zeros */
    return __builtin_popcount(bits);
}

/* ip=client:server:gateway:netmask:hostname:device:autoconf:dns0:dns1, as the Linux kernel reads
 * it (Documentation/admin-guide/nfs/nfsroot.rst); server and device mean nothing here. */
static rc_t add_ip(struct document *d, str value) {
    str f[9] = {{0}}, rest = value;
    for (int i = 0; i < 9 && rest.len; i++)
        if (!str_split(&rest, ':', &f[i])) break;
    bool automatic = str_eq(value, S("dhcp")) || str_eq(value, S("on")) || str_eq(value, S("any"));
    if (automatic || (!f[0].len && (str_eq(f[6], S("dhcp")) || !f[6].len)))
        return add(d, S("net.address"), S("dhcp"), NULL);
    int prefix = f[3].len ? prefix_of_mask(f[3]) : 24;
    if (prefix < 0 || rest.len) {
        diag_set(d->why, "ip= wants dhcp or client::gateway:netmask[:hostname::none:dns0:dns1]");
        return RC_INVALID;
    }
    str address = arena_printf(&d->arena, "%.*s/%d", STR(f[0]), prefix);
    str dns = arena_printf(&d->arena, "%.*s%s%.*s", STR(f[7]), f[8].len ? "," : "", STR(f[8]));
    rc_t rc = add(d, S("net.address"), address, NULL);
    if (!rc && f[2].len) rc = add(d, S("net.gateway"), f[2], NULL);
    if (!rc && f[4].len) rc = add(d, S("net.hostname"), f[4], NULL);
    if (!rc && dns.len) rc = add(d, S("net.dns"), dns, NULL);
    return rc;
}

static rc_t add_word(struct document *d, str word) {
    size_t equals = str_find_byte(word, '=');
    str key = str_take(word, equals), value = str_skip(word, equals + 1);
    bool has_value = equals < word.len;
    if (str_eq(key, S("ip")) && has_value) return add_ip(d, value);
    if (!str_starts(key, S("config."))) {
        log_debug("config", "a word of the command line is not for us", "word=%s", LOGSTR(key));
        return RC_OK;
    }
    if (!has_value) {
        diag_set(d->why, "%.*s wants a value: config.KEY=VALUE", STR(str_take(key, KEY_MAX)));
        return RC_INVALID;
    }
    return add(d, str_skip(key, strlen("config.")), value, NULL);
}

rc_t config_read_command_line(str line, struct diag *why) {
    struct document d = {.why = why};
    char room[OPTION_TEXT_MAX + KEY_MAX];
    str word;
    rc_t rc = RC_OK;
    arena_open(&d.arena, NULL, 0, DOCUMENT_ARENA_MAX);
    while (!rc && next_word(&line, room, sizeof room, &word)) rc = add_word(&d, word);
    return finish(&d, SOURCE_COMMAND_LINE, rc);
}

/* ---- At start ------------------------------------------------------------------------------ */

static void report(const char *source, const struct diag *why) {
    if (!refusal.text[0]) diag_set(&refusal, "%s refused: %s", source, why->text);
    console_print("CONFIGURATION REFUSED: %s: %s.\n"
                  "  Nothing of it was applied; correct it and start again.\n",
                  source, why->text);
    log_error("config", "a configuration was refused whole; correct it and start again",
              "source=%s reason=%s", LOGSTR(str_from_c(source)), LOGSTR(str_from_c(why->text)));
}

void config_boot(str machine_json, str command_line) {
    struct diag why = {0};
    if (str_trim(machine_json).len && config_read_json(machine_json, &why))
        report("machine configuration", &why);
    if (config_read_command_line(command_line, &why)) report("command line", &why);
}
