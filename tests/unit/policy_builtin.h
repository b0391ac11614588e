/* SPDX-License-Identifier: Apache-2.0 */
/* policy_builtin.h — calling builtins by name from tests, with an evaluation of the test's own.
 *
 *   EXPECT_CALL("count", "[[1, 2]]", "2")      arguments as JSON, the answer as the language writes it
 *
 * An object with the one key "set" is a set of its elements. "undefined", "error: words" and
 * "type error: words" are answers too. */
#pragma once
#include "app/policy/builtin/builtin_impl.h"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

struct evaluation {
    u64 ticks, ticks_max;
    u64 now_ns, random;
    struct { const struct builtin *b; value key, v; } memo[16];
    u32 memo_count;
    struct { void *thing; void (*drop)(void *); char key[4096]; size_t len; const void *owner; } cache[128];
    u32 cache_count, made;
    str printed;
};
bool evaluation_tick(struct evaluation *e, u32 steps) {
    e->ticks += steps;
    return !e->ticks_max || e->ticks < e->ticks_max;
}
u64 evaluation_now_ns(struct evaluation *e) { return e->now_ns; }
void evaluation_random(struct evaluation *e, void *to, size_t n) {
    for (size_t i = 0; i < n; i++) ((u8 *)to)[i] = (u8)(e->random += 37);
}
value evaluation_remember_get(struct evaluation *e, const struct builtin *b, value key) {
    for (u32 i = 0; i < e->memo_count; i++)
        if (e->memo[i].b == b && value_equal(e->memo[i].key, key)) return e->memo[i].v;
    return UNDEFINED;
}
void evaluation_remember(struct evaluation *e, const struct builtin *b, value key, value v) {
    CHECK(e->memo_count < ARRAY_LEN(e->memo));
    e->memo[e->memo_count].b = b;
    e->memo[e->memo_count].key = key;
    e->memo[e->memo_count++].v = v;
}
void *evaluation_cached(struct evaluation *e, const void *owner, str key, void *(*make)(void *arg, str key),
                        void (*drop)(void *thing), void *arg) {
    for (u32 i = 0; i < e->cache_count; i++)
        if (e->cache[i].owner == owner && str_eq(str_of(e->cache[i].key, e->cache[i].len), key)) return e->cache[i].thing;
    void *thing = make(arg, key);
    if (!thing) return NULL;
    CHECK(e->cache_count < ARRAY_LEN(e->cache));
    e->made++;
    e->cache[e->cache_count].thing = thing;
    e->cache[e->cache_count].drop = drop;
    CHECK(key.len < sizeof(e->cache->key));
    if (key.len) memcpy(e->cache[e->cache_count].key, key.ptr, key.len);
    e->cache[e->cache_count].len = key.len;
    e->cache[e->cache_count++].owner = owner;
    return thing;
}
static http_send_fn *test_http;
http_send_fn *evaluation_http(struct evaluation *e, void **arg) {
    *arg = e;
    return test_http;
}
value evaluation_allow_net(struct evaluation *e) {
    (void)e;
    return UNDEFINED; /* any host */
}
void evaluation_test_case(struct evaluation *e, value names) { (void)e, (void)names; }
name_lookup_fn *evaluation_lookup(struct evaluation *e, void **arg) {
    *arg = e;
    return NULL;
}
value evaluation_runtime(struct evaluation *e) { return e->now_ns ? value_empty_object() : UNDEFINED; }
void evaluation_trace(struct evaluation *e, str message) { e->printed = message; }
void evaluation_print(struct evaluation *e, const struct ast_location *at, str message) {
    (void)at;
    static char kept[256];
    CHECK(message.len < sizeof(kept));
    if (message.len) memcpy(kept, message.ptr, message.len);
    e->printed = str_of(kept, message.len);
}

static struct evaluation test_evaluation;
static struct builtin_call test_call;

static inline value test_with_sets(struct heap *h, value v) {
    struct value_builder b;
    if (v.kind == VALUE_OBJECT && value_count(v) == 1 && value_defined(value_get_str(v, S("set")))) {
        value members = test_with_sets(h, value_get_str(v, S("set")));
        return value_set(h, members.array->items, value_count(members));
    }
    if (v.kind != VALUE_ARRAY && v.kind != VALUE_OBJECT) return v;
    value_builder_open(&b, h, v.kind);
    for (u32 i = 0; i < value_count(v); i++) {
        if (v.kind == VALUE_ARRAY) value_builder_add(&b, test_with_sets(h, value_item(v, i)));
        else value_builder_replace(&b, value_key_at(v, i), test_with_sets(h, value_value_at(v, i)));
    }
    return value_builder_close(&b);
}

/* The arguments: a JSON array. The answer's text lives until the next call. */
static inline const char *test_answer(const char *name, const char *args, size_t bytes_max) {
    static struct heap h;
    static struct buf text;
    static struct heap out;
    value list;
    struct diag why;
    heap_close(&h);
    heap_close(&out);
    buf_close(&text);
    buf_open(&text, MIB(4));
    heap_open(&h, MIB(16));
    heap_open(&out, bytes_max);
    memset(&test_call, 0, sizeof(test_call));
    test_evaluation.ticks = 0;
    test_call.heap = &out;
    test_call.evaluation = &test_evaluation;
    test_call.self = builtin_find(str_from_c(name));
    if (!test_call.self || !test_call.self->fn) return "no such builtin";
    if (json_text_read(&h, NULL, str_from_c(args), &list, &why) != RC_OK) return "the test's arguments are not JSON";
    list = test_with_sets(&h, list);
    if (value_count(list) != test_call.self->arity) return "the test's arguments are too many or too few";
    value v = test_call.self->fn(&test_call, list.array->items);
    if (out.exhausted) return "memory";
    if (test_call.failed) {
        const char *kind = test_call.halt ? "halt" : test_call.code == EVAL_TYPE_ERROR ? "type error" : "error";
        (void)buf_printf(&text, "%s: %s", kind, test_call.message);
    } else if (!value_defined(v)) (void)buf_add(&text, S("undefined"));
    else value_write(&text, v);
    (void)buf_add_byte(&text, '\0');
    return text.ptr;
}
static inline void test_call_is(const char *file, int line, const char *name, const char *args, const char *want) {
    const char *got = test_answer(name, args, MIB(64));
    if (strcmp(got, want)) test_fail(file, line, "%s(%s) is %s, not %s", name, args, got, want);
}
#define EXPECT_CALL(name, args, want) test_call_is(__FILE__, __LINE__, (name), (args), (want))
