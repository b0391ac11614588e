/* SPDX-License-Identifier: Apache-2.0 */
/* policy_graphql_fuzz.c — two texts with a NUL between them as query and schema: parsed, shown as
 * values, read back from these, checked. */
#include "app/policy/graphql/graphql.h"
#include "kernel/base/check.h"

static u64 steps;
static bool tick(void *arg, u32 n) {
    (void)arg;
    return (steps += n) < 200000;
}

int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n);
int LLVMFuzzerTestOneInput(const u8 *bytes, size_t n) {
    struct heap heap;
    struct buf message;
    str all = str_of((const char *)bytes, n), query = str_take(all, str_find_byte(all, 0));
    heap_open(&heap, MIB(32));
    buf_open(&message, KIB(64));
    steps = 0;
    struct gql_context c = {.heap = &heap, .tick = tick, .message = &message};
    struct gql_query *q = graphql_parse_query(&c, query);
    struct gql_document *d =
        q ? graphql_parse_schema(&c, str_skip(all, query.len + 1), false) : NULL;
    if (d) {
        value qv = graphql_query_value(&heap, q), dv = graphql_document_value(&heap, d);
        struct gql_query *again = graphql_query_of_value(&c, qv);
        struct gql_document *schema = again ? graphql_document_of_value(&c, dv) : NULL;
        CHECK(schema || heap.exhausted || steps >= 200000);
        struct gql_schema *s = schema ? graphql_load_schema(&c, schema) : NULL;
        if (s) (void)graphql_validate(&c, s, again);
    }
    buf_close(&message);
    heap_close(&heap);
    return 0;
}
