/* SPDX-License-Identifier: Apache-2.0 */
/* Values: order, equality and hashes agree; collections are sorted, unique and found again; a heap
 * that is full gives null and says so. */
#include <stdio.h>
#include "app/policy/value/builder.c"
#include "app/policy/value/heap.c"
#include "app/policy/value/intern.c"
#include "app/policy/value/value.c"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

static struct heap heap_of_test;
static struct heap *fresh(void) {
    static bool open;
    if (!open) heap_open(&heap_of_test, 64 << 20);
    open = true;
    heap_rewind(&heap_of_test);
    return &heap_of_test;
}

static value json(struct heap *h, const char *text) {
    value v;
    struct diag why;
    if (json_text_read(h, NULL, str_from_c(text), &v, &why)) test_fail(__FILE__, __LINE__, "%s: %s", text, why.text);
    return v;
}

static void expect_written(value v, const char *want, int line) {
    struct buf b;
    buf_open(&b, 1 << 20);
    value_write(&b, v);
    if (!str_eq(buf_str(&b), str_from_c(want)))
        test_fail(__FILE__, line, "wrote %.*s, not %s", STR(buf_str(&b)), want);
    buf_close(&b);
}
#define EXPECT_WRITTEN(v, want) expect_written(v, want, __LINE__)

TEST(every_pair_is_ordered_as_the_language_says) {
    struct heap *h = fresh();
    value one_set = value_set(h, (value[]){value_integer(1)}, 1);
    value ordered[] = {
        value_null(), value_boolean(false), value_boolean(true),
        json(h, "-1e300"), value_integer(-2), json(h, "-0.5"), value_integer(0), json(h, "0.5"), value_integer(1),
        json(h, "18446744073709551617"), json(h, "18446744073709551618"), json(h, "1e300"),
        json(h, "\"\""), json(h, "\"a\""), json(h, "\"aa\""), json(h, "\"b\""), json(h, "\"é\""),
        json(h, "[]"), json(h, "[1]"), json(h, "[1, 2]"), json(h, "[2]"),
        json(h, "{}"), json(h, "{\"a\": 1}"), json(h, "{\"a\": 1, \"b\": 0}"), json(h, "{\"a\": 2}"), json(h, "{\"b\": 0}"),
        value_empty_set(), one_set, value_set(h, (value[]){value_integer(2), value_integer(1)}, 2)};
    for (size_t i = 0; i < ARRAY_LEN(ordered); i++)
        for (size_t j = 0; j < ARRAY_LEN(ordered); j++) {
            int order = value_compare(ordered[i], ordered[j]);
            EXPECT_EQ((order > 0) - (order < 0), (i > j) - (i < j));
            EXPECT_EQ(value_equal(ordered[i], ordered[j]), i == j);
        }
}

TEST(equal_values_hash_alike) {
    struct heap *h = fresh();
    static const char *const same[][2] = {{"1", "1.0"}, {"100", "1e2"}, {"0", "-0.0"}, {"1.5", "15e-1"},
        {"18446744073709551616", "18446744073709551616.0"}, {"[1, {\"b\": 2, \"a\": [3]}]", "[1.0, {\"a\": [3e0], \"b\": 2}]"}};
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        value a = json(h, same[i][0]), b = json(h, same[i][1]);
        EXPECT(value_equal(a, b));
        EXPECT_EQ(value_compare(a, b), 0);
        EXPECT_EQ(value_hash(a), value_hash(b));
        EXPECT_EQ(value_hash(a), value_hash(a)); /* remembered */
    }
    EXPECT(!value_equal(json(h, "[1, 2]"), json(h, "[1, 3]")));
    EXPECT(!value_equal(json(h, "{\"a\": 1}"), json(h, "{\"b\": 1}")));
}

TEST(sets_are_sorted_unique_and_searched) {
    struct heap *h = fresh();
    value items[2000];
    for (int i = 0; i < 2000; i++) items[i] = value_integer((i * 7919) % 1000);
    value s = value_set(h, items, 2000);
    REQUIRE(value_is(s, VALUE_SET));
    EXPECT_EQ(value_count(s), 1000);
    for (u32 i = 0; i < 1000; i++) EXPECT_EQ(value_item(s, i).integer, i);
    EXPECT(value_has(s, json(h, "999.0")));
    EXPECT(!value_has(s, value_integer(1000)));
    EXPECT_EQ(value_get(s, value_integer(5)).integer, 5);
    EXPECT_WRITTEN(value_set(h, items, 3), "{0, 838, 919}");
    EXPECT_WRITTEN(value_empty_set(), "set()");
}

TEST(objects_take_any_key_and_keep_the_last) {
    struct heap *h = fresh();
    value keys[] = {value_integer(2), json(h, "[1]"), value_string_c(h, "k"), value_integer(2)};
    value values[] = {value_null(), value_boolean(true), value_integer(3), value_integer(9)};
    value o = value_object(h, keys, values, 4);
    EXPECT_WRITTEN(o, "{2: 9, \"k\": 3, [1]: true}");
    EXPECT_EQ(value_get_str(o, S("k")).integer, 3);
    EXPECT(!value_defined(value_get_str(o, S("q"))));
    EXPECT(value_is_true(value_get(o, json(h, "[1.0]"))));
    EXPECT(!value_defined(value_get(o, value_null())));
    EXPECT(!value_defined(value_get_str(value_null(), S("k"))));
}

TEST(large_objects_have_an_index) {
    struct heap *h = fresh();
    struct value_builder b;
    char name[16];
    value_builder_open(&b, h, VALUE_OBJECT);
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "k%d", i);
        EXPECT_OK(value_builder_put(&b, value_string_c(h, name), value_integer(i)));
    }
    EXPECT_OK(value_builder_put(&b, value_string_c(h, "k17"), value_integer(17)));
    EXPECT_RC(value_builder_put(&b, value_string_c(h, "k17"), value_integer(18)), RC_CONFLICT);
    EXPECT_EQ(value_builder_find(&b, value_string_c(h, "k17")).integer, 17);
    value o = value_builder_close(&b);
    for (int i = 0; i < 5000; i += 37) {
        snprintf(name, sizeof name, "k%d", i);
        EXPECT_EQ(value_get_str(o, str_from_c(name)).integer, i);
        EXPECT_EQ(value_get(o, value_string_c(h, name)).integer, i);
    }
    EXPECT(!value_defined(value_get_str(o, S("k5000"))));
    for (u32 i = 1; i < value_count(o); i++)
        EXPECT(value_compare(value_key_at(o, i - 1), value_key_at(o, i)) < 0);
}

TEST(arrays_are_asked_by_plain_whole_numbers) {
    struct heap *h = fresh();
    value a = json(h, "[10, 20]");
    EXPECT_EQ(value_get(a, value_integer(1)).integer, 20);
    EXPECT(!value_defined(value_get(a, value_integer(2))));
    EXPECT(!value_defined(value_get(a, value_integer(-1))));
    EXPECT(!value_defined(value_get(a, json(h, "1.0"))));
    EXPECT(!value_defined(value_get(value_integer(1), value_integer(1))));
}

TEST(copies_are_equal_and_their_own) {
    struct heap *h = fresh(), other;
    heap_open(&other, 1 << 20);
    value v = json(h, "{\"a\": [1, 2.50, {\"b\": \"text\"}], \"c\": {}, \"d\": [], \"e\": null}");
    value set = value_set(h, (value[]){v, value_integer(1)}, 2);
    value copy = value_copy(&other, set);
    heap_rewind(h);
    EXPECT_WRITTEN(copy, "{1, {\"a\": [1, 2.50, {\"b\": \"text\"}], \"c\": {}, \"d\": [], \"e\": null}}");
    heap_close(&other);
}

TEST(interning_gives_one_copy_and_one_shape) {
    struct heap *h = fresh();
    struct intern *t;
    value v;
    EXPECT_OK(intern_open(&t, h));
    EXPECT(intern_string(t, S("role")).string == intern_string(t, S("role")).string);
    EXPECT_OK(json_text_read(h, t, S("[{\"a\": 1, \"b\": 2}, {\"b\": 3, \"a\": 4}, {\"a\": 5}]"), &v, NULL));
    EXPECT(value_item(v, 0).object->keys == value_item(v, 1).object->keys);
    EXPECT(value_item(v, 0).object->keys != value_item(v, 2).object->keys);
    EXPECT_EQ(value_get_str(value_item(v, 1), S("a")).integer, 4);
    for (int i = 0; i < 3000; i++) {
        char name[16];
        int n = snprintf(name, sizeof name, "s%d", i);
        value s = intern_string(t, str_of(name, (size_t)n));
        intern_keys(t, &s, 1);
    }
    EXPECT(intern_string(t, S("s99")).string == intern_string(t, S("s99")).string);
    intern_close(t);
}

TEST(a_full_heap_says_so_and_stays_readable) {
    for (size_t bytes = 0; bytes < 40000; bytes += 777) {
        struct heap h;
        value v;
        heap_open(&h, bytes);
        rc_t rc = json_text_read(&h, NULL, S("{\"k1\": [1, 2, 3, \"some text\"], \"a\": {\"b\": 1.50, \"a\": [{}]}}"), &v, NULL);
        if (rc) {
            EXPECT_RC(rc, RC_NO_MEMORY);
            EXPECT(h.exhausted);
            EXPECT(!value_defined(v));
        } else EXPECT_EQ(value_count(v), 2);
        struct value_builder b;
        value_builder_open(&b, &h, VALUE_OBJECT);
        for (int i = 0; i < 200; i++) (void)value_builder_put(&b, value_integer(i), value_null());
        value o = value_builder_close(&b);
        EXPECT(h.exhausted ? o.kind == VALUE_NULL : value_count(o) == 200);
        EXPECT(h.held <= bytes);
        heap_close(&h);
    }
}

TEST(values_do_not_nest_without_end) {
    struct heap *h = fresh();
    value v = value_null();
    for (int i = 0; i < VALUE_DEPTH_MAX; i++) v = value_array(h, &v, 1);
    EXPECT(!h->exhausted);
    EXPECT(value_is(value_array(h, &v, 1), VALUE_NULL));
    EXPECT(h->exhausted);
}

TEST(a_rewound_heap_gives_the_same_memory_again) {
    struct heap h;
    heap_open(&h, 1 << 24);
    void *first = heap_alloc(&h, 100);
    struct heap_mark mark = heap_mark(&h);
    for (int i = 0; i < 100; i++) heap_alloc(&h, 100000);
    size_t held = h.held;
    heap_release(&h, mark);
    EXPECT_EQ(h.used, 112);
    for (int i = 0; i < 100; i++) heap_alloc(&h, 100000);
    EXPECT_EQ(h.held, held);
    heap_rewind(&h);
    EXPECT(heap_alloc(&h, 100) == first);
    EXPECT(h.held <= HEAP_KEEP_BYTES + 64 * 1024);
    heap_close(&h);
}
