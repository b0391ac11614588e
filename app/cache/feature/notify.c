/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c — keyspace events: changes told to whoever listens to __keyspace@N__:key (which event)
 * or __keyevent@N__:event (which key). Off until notify-keyspace-events is set.
 *
 * Letters:  K E  which channels;  g $ l s h z x e t m n  which events;  A  all but m and n */
#include "app/cache/features.h"
#include <stdio.h>

u32 notify_mask;

static const struct {
    char letter;
    u32 bit;
} letters[] = {
    {'g', NOTIFY_GENERIC}, {'$', NOTIFY_STRING}, {'l', NOTIFY_LIST}, {'s', NOTIFY_SET},
    {'h', NOTIFY_HASH}, {'z', NOTIFY_ZSET}, {'x', NOTIFY_EXPIRED}, {'e', NOTIFY_EVICTED},
    {'t', NOTIFY_STREAM}, {'K', NOTIFY_KEYSPACE}, {'E', NOTIFY_KEYEVENT}, {'m', NOTIFY_MISS},
    {'n', NOTIFY_NEW},
};
#define NOTIFY_ALL                                                                                 \
    (NOTIFY_GENERIC | NOTIFY_STRING | NOTIFY_LIST | NOTIFY_SET | NOTIFY_HASH | NOTIFY_ZSET |       \
     NOTIFY_EXPIRED | NOTIFY_EVICTED | NOTIFY_STREAM)

bool notify_parse(str text, u32 *out) {
    u32 mask = 0;
    for (size_t i = 0; i < text.len; i++) {
        u32 bit = text.ptr[i] == 'A' ? NOTIFY_ALL : 0;
        for (size_t j = 0; j < ARRAY_LEN(letters); j++)
            if (letters[j].letter == text.ptr[i]) bit = letters[j].bit;
        if (!bit && text.ptr[i] != 'd') return false;
        mask |= bit;
    }
    *out = mask;
    return true;
}

void notify_text(u32 mask, char to[24]) {
    size_t n = 0;
    bool all = (mask & NOTIFY_ALL) == NOTIFY_ALL;
    if (all) to[n++] = 'A';
    for (size_t j = 0; j < ARRAY_LEN(letters); j++)
        if (mask & letters[j].bit && !(all && NOTIFY_ALL & letters[j].bit))
            to[n++] = letters[j].letter;
    to[n] = 0;
}

void notify(u32 class, const char *event, str key, const struct keys *k) {
    if (!(notify_mask & class)) return;
    if (notify_mask & NOTIFY_KEYSPACE) {
        struct text *t = text_new(S(""), key.len + 32);
        int n = snprintf(t->bytes, 32, "__keyspace@%u__:", k->id);
        memcpy(t->bytes + n, key.ptr, key.len);
        (void)pubsub_publish(str_of(t->bytes, (size_t)n + key.len), str_from_c(event), false);
        text_drop(t);
    }
    if (notify_mask & NOTIFY_KEYEVENT) {
        char channel[96];
        int n = snprintf(channel, sizeof channel, "__keyevent@%u__:%s", k->id, event);
        (void)pubsub_publish(str_of(channel, (size_t)n), key, false);
    }
}
