/* SPDX-License-Identifier: Apache-2.0 */
/* YAML texts to values and back, as the reference's libraries do it. */
#include "app/policy/value/yaml_read.c"
#include "app/policy/value/yaml_scalar.c"
#include "app/policy/value/json_text.h"
#include "tests/test.h"

static struct heap heap;
static struct buf text;
static struct diag why;

static void open_all(size_t bytes) {
    heap_open(&heap, bytes);
    buf_open(&text, MIB(1));
    why = (struct diag){0};
}
static void close_all(void) {
    heap_close(&heap);
    buf_close(&text);
}

/* The JSON of what a YAML text holds, or its error. */
static void expect_read(const char *yaml, const char *want) {
    open_all(MIB(8));
    value v;
    rc_t rc = yaml_text_read(&heap, test_at_page_end(str_from_c(yaml)), &v, &why);
    if (rc == RC_OK) {
        json_text_write(&text, v, 0);
        EXPECT_STR(buf_str(&text), str_from_c(want));
    } else {
        EXPECT_STR(str_from_c(why.text), str_from_c(want));
    }
    close_all();
}

TEST(yaml_scalars_resolve_by_version_1_1) {
    expect_read("", "null");
    expect_read("[~, null, Null, '']", "[null,null,null,\"\"]");
    expect_read("[yes, No, on, OFF, y, n, tRue]", "[true,false,true,false,true,false,\"tRue\"]");
    expect_read("[1, -1, +1, 0777, 0o17, 0x1F, -0x1f, 0b101, 1_000]", "[1,-1,1,511,15,31,-31,5,1000]");
    expect_read("[08, 0.10, 1., .5, 1e3, 1.5e-9, 1e21, 123456789012345678901234]",
                "[8,0.1,1,0.5,1000,1.5e-9,1e+21,1.2345678901234569e+23]");
    expect_read("[18446744073709551615, 18446744073709551616, -9223372036854775808]",
                "[18446744073709551615,18446744073709552000,-9223372036854775808]");
    expect_read("[2001-12-14, 2001-12-14T21:59:43.10-05:00, 12:30, 0x, +, -, 1e999]",
                "[\"2001-12-14\",\"2001-12-14T21:59:43.10-05:00\",\"12:30\",\"0x\",\"+\",\"-\",\"1e999\"]");
    expect_read("[\"1\", '2', !!str 3, !!int 4, !!float 5, !own 6]", "[\"1\",\"2\",\"3\",4,5,\"6\"]");
    expect_read("!!binary aGVsbG8=", "\"hello\"");
    expect_read("{1: a, 1.5: b, true: c, 0.1: d}", "{\"0.1\":\"d\",\"1\":\"a\",\"1.5\":\"b\",\"true\":\"c\"}");
}

TEST(yaml_collections_anchors_and_merges) {
    expect_read("a:\n- 1\n- {b: c}\nd: |\n  two\n  lines\ne: >\n  one\n  line\n",
                "{\"a\":[1,{\"b\":\"c\"}],\"d\":\"two\\nlines\\n\",\"e\":\"one line\\n\"}");
    expect_read("a: &x [1]\nb: *x\nc: &x 2\nd: *x", "{\"a\":[1],\"b\":[1],\"c\":2,\"d\":2}");
    expect_read("base: &b {x: 1, z: 2}\nd:\n  <<: *b\n  z: 3", "{\"base\":{\"x\":1,\"z\":2},\"d\":{\"x\":1,\"z\":3}}");
    expect_read("d:\n  <<: [{x: 1}, {x: 2, z: 2}]", "{\"d\":{\"x\":1,\"z\":2}}");
    expect_read("a: 1\na: 2", "{\"a\":2}");
    expect_read("first\n---\nsecond", "\"first\"");
    expect_read("'<<': 1", "{\"<<\":1}");
}

TEST(yaml_errors_have_the_references_words) {
    expect_read("[1,2,3", "yaml: line 1: did not find expected ',' or ']'");
    expect_read("a: b: c", "yaml: mapping values are not allowed in this context");
    expect_read("x: 1\na: b: c", "yaml: line 2: mapping values are not allowed in this context");
    expect_read("a: *nope", "yaml: unknown anchor 'nope' referenced");
    expect_read("&a [*a]", "yaml: anchor 'a' value contains itself");
    expect_read("<<: 1", "yaml: map merge requires map or sequence of maps as the value");
    expect_read("!!int foo", "yaml: cannot decode !!str `foo` as a !!int");
    expect_read("!!binary '*'", "yaml: !!binary value contains invalid base64 data");
    expect_read("? [1]\n: 2", "yaml: invalid map key: array");
    expect_read("~: 2", "unsupported map key of type: %!s(<nil>), key: <nil>");
    expect_read(".nan", "json: unsupported value: NaN");
    expect_read("[-.inf]", "json: unsupported value: -Inf");
    expect_read("[<<: 1, [", "yaml: line 1: did not find expected node content"); /* grammar first */
    expect_read("\"\xff\"", "yaml: invalid leading UTF-8 octet");
    expect_read("\x01", "yaml: control characters are not allowed");
}

TEST(yaml_depth_and_aliases_are_bounded) {
    static char deep[4 * YAML_DEPTH_MAX];
    value v;
    memset(deep, '[', sizeof deep);
    open_all(MIB(64));
    EXPECT_RC(yaml_text_read(&heap, str_of(deep, sizeof deep), &v, &why), RC_LIMIT);
    close_all();
    expect_read("a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]",
                "yaml: document contains excessive aliasing");
}

TEST(yaml_survives_small_heaps) {
    str yaml = S("a: &x [1.5, b, {c: d}]\nb: *x\nc: !!binary aGVsbG8=\nd: {e: {f: {g: [1]}}}");
    value v;
    for (size_t bytes = 0; bytes < KIB(64); bytes += 64) {
        open_all(bytes);
        rc_t rc = yaml_text_read(&heap, yaml, &v, &why);
        EXPECT(rc == RC_OK || rc == RC_NO_MEMORY);
        close_all();
    }
}

static void expect_written(const char *json, const char *want) {
    open_all(MIB(8));
    value v;
    REQUIRE(json_text_read(&heap, NULL, str_from_c(json), &v, &why) == RC_OK);
    if (yaml_text_write(&heap, &text, v, &why) == RC_OK)
        EXPECT_STR(buf_str(&text), str_from_c(want));
    else
        EXPECT_STR(str_from_c(why.text), str_from_c(want));
    close_all();
}

TEST(yaml_is_written_in_block_style) {
    expect_written("{\"a\":[1,{\"b\":2,\"c\":[]}],\"d\":{}}", "a:\n- 1\n- b: 2\n  c: []\nd: {}\n");
    expect_written("\"foo\"", "foo\n");
    expect_written("[\"yes\",\"1\",\"\",\"~\",\"a: b\",\"- x\",\"12:30\",\"2001-12-14\",\"<<\",\"#\",\"x y\"]",
                   "- \"yes\"\n- \"1\"\n- \"\"\n- \"~\"\n- 'a: b'\n- '- x'\n- \"12:30\"\n- \"2001-12-14\"\n- \"<<\"\n"
                   "- '#'\n- x y\n");
    expect_written("[true,null,1.0,1.5,1000000.0,1e-7,12345678901234567890,1e400]",
                   "- true\n- null\n- 1\n- 1.5\n- 1e+06\n- 1e-07\n- 12345678901234567890\n- 1e400\n");
    expect_written("{\"t\":\"one\\ntwo\\n\",\"u\":\"x\\n\\n\"}", "t: |\n  one\n  two\nu: |+\n  x\n\n");
    expect_written("{\"a10\":1,\"a2\":1,\"a\":1,\"B\":1,\"1\":1,\"_\":1,\"a02\":1,\"\\u00e9\":1}",
                   "_: 1\n\"1\": 1\nB: 1\na: 1\na2: 1\na02: 1\na10: 1\n\xc3\xa9: 1\n");
    expect_written("\"\\u007f\"", "yaml: control characters are not allowed");
}

TEST(yaml_writing_stops_at_its_limits) {
    open_all(MIB(8));
    buf_close(&text);
    buf_open(&text, 10);
    value v = value_string_c(&heap, "more than ten bytes");
    EXPECT_RC(yaml_text_write(&heap, &text, v, &why), RC_LIMIT);
    buf_close(&text);
    buf_open(&text, MIB(1));
    for (int i = 0; i <= YAML_DEPTH_MAX; i++) v = value_array(&heap, &v, 1);
    EXPECT(!heap.exhausted);
    EXPECT_RC(yaml_text_write(&heap, &text, v, &why), RC_LIMIT);
    close_all();
}

TEST(yaml_doubles_have_the_shortest_digits) {
    static const struct { double d; char format; bool single; const char *want; } cases[] = {
        {1e6, 'g', false, "1e+06"},   {123456, 'g', false, "123456"}, {1e-5, 'g', false, "1e-05"},
        {0.0001, 'g', false, "0.0001"}, {0.1, 'g', true, "0.1"},      {-0.0, 'j', false, "-0"},
        {1e20, 'j', false, "100000000000000000000"}, {1e21, 'j', false, "1e+21"},
        {1e-6, 'j', false, "0.000001"}, {1e-7, 'j', false, "1e-7"}, {5e-324, 'j', false, "5e-324"},
        {0.1 + 0.2, 'j', false, "0.30000000000000004"}, {1234567.5, 'g', false, "1.2345675e+06"},
    };
    char room[YAML_FLOAT_ROOM];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        EXPECT_STR(yaml_float_write(cases[i].d, cases[i].format, cases[i].single, room), str_from_c(cases[i].want));
}
