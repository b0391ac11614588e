/* SPDX-License-Identifier: Apache-2.0 */
/* policy_jwt_fuzz.c — two texts with a NUL between them as a token and its keys. */
#include "app/policy/builtin/jwt.h"

struct evaluation {
    u64 ticks;
    struct {
        void *thing;
        void (*drop)(void *);
    } made[64];
    u32 count;
};
bool evaluation_tick(struct evaluation *e, u32 steps) {
    return (e->ticks += steps) < 1000000;
}
u64 evaluation_now_ns(struct evaluation *e) {
    return e->ticks;
}
void *evaluation_cached(struct evaluation *e, const void *owner, str key,
                        void *(*make)(void *arg, str key), void (*drop)(void *thing), void *arg) {
    void *thing = make(arg, key);
    (void)owner;
    if (thing && e->count == ARRAY_LEN(e->made)) drop(thing), thing = NULL;
    if (thing) e->made[e->count].thing = thing, e->made[e->count++].drop = drop;
    return thing;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    static builtin_fn *const functions[] = {
        builtin_io_jwt_verify_rs256, builtin_io_jwt_verify_es256, builtin_io_jwt_verify_hs256,
        builtin_io_jwt_verify_eddsa};
    struct heap heap;
    struct evaluation e = {0};
    str all = str_of((const char *)bytes, n), token = str_take(all, str_find_byte(all, 0));
    heap_open(&heap, MIB(8));
    struct builtin_call c = {.heap = &heap, .evaluation = &e};
    value args[2] = {value_string(&heap, token), value_string(&heap, str_skip(all, token.len + 1))};
    (void)builtin_io_jwt_decode(&c, args);
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        c.failed = false;
        (void)functions[i](&c, args);
    }
    value name = value_string(&heap, S("cert"));
    value pair[2] = {args[0], value_object(&heap, &name, &args[1], 1)};
    c.failed = false;
    (void)builtin_io_jwt_decode_verify(&c, pair);
    for (u32 i = 0; i < e.count; i++) e.made[i].drop(e.made[i].thing);
    heap_close(&heap);
    return 0;
}
