/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: what a good one holds, and archives nobody should have made. */
#include "app/bundle/bundle.c"
#include "app/bundle/data.c"
#include "app/bundle/gzip.c"
#include "app/bundle/manifest.c"
#include "app/bundle/root.c"
#include "app/bundle/tar.c"
#include "app/policy/value/json_text.h"
#include "net/tls.h"
#include "tests/test.h"

__attribute__((constructor)) static void start(void) {
    (void)!!tls_init(); /* the library's locks */
}

struct entry {
    const char *name, *text;
};

static struct policy_bundle bundle;
static struct diag why;
static struct buf archive;

static void pack(const struct entry *entries) {
    struct heap h;
    struct bundle_files files = {0};
    heap_open(&h, MIB(16));
    buf_close(&archive);
    buf_open(&archive, MIB(16));
    for (; entries->name; entries++) {
        struct bundle_file f = {.name = str_from_c(entries->name),
                                .bytes = str_from_c(entries->text)};
        EXPECT_OK(bundle_files_add(&h, &files, &f));
    }
    EXPECT_OK(bundle_pack(&files, &archive));
    heap_close(&h);
}

static rc_t read_with(const struct bundle_options *o) {
    bundle_drop(&bundle);
    why = (struct diag){0};
    return bundle_read(&bundle, buf_str(&archive), o, &why);
}
static rc_t read_entries(const struct entry *entries) {
    struct bundle_options o = {0};
    pack(entries);
    return read_with(&o);
}
#define READ(...) read_entries((const struct entry[]){__VA_ARGS__, {0}})
#define FAILS(rc, words, ...)                                                                      \
    do {                                                                                           \
        EXPECT_RC(READ(__VA_ARGS__), rc);                                                          \
        EXPECT_STR(str_from_c(why.text), S(words));                                                \
    } while (0)

static const char *json(value v) {
    static struct buf b;
    buf_close(&b);
    buf_open(&b, MIB(4));
    json_text_write(&b, v, 0);
    (void)!!buf_add(&b, str_of("", 1));
    return b.ptr;
}

TEST(policies_data_and_manifest) {
    EXPECT_OK(READ({"/.manifest", "{\"revision\":\"7\",\"roots\":[\"/a/\",\"b/c\"],"
                                  "\"metadata\":{\"m\":1},\"rego_version\":1,"
                                  "\"file_rego_versions\":{\"/b/*.rego\":0}}"},
                   {"/data.json", "{\"a\":{\"x\":1.50}}"}, {"./a/deep/data.yaml", "yy: [1, yes]\n"},
                   {"a/deep/data.yml", "z: 0x10\n"}, {"/a/p.rego", "package a.p\nq := 1\n"},
                   {"b/c/old.rego", "package b.c\nq = 1\n"}, {"README.md", "no matter"}));
    EXPECT_STR(bundle.manifest.revision, S("7"));
    EXPECT_EQ(bundle.manifest.root_count, 2);
    EXPECT_STR(bundle.manifest.roots[0], S("a"));
    EXPECT_STR(str_from_c(json(bundle.data)),
               S("{\"a\":{\"deep\":{\"yy\":[1,true],\"z\":16},\"x\":1.50}}"));
    REQUIRE(bundle.module_count == 2);
    EXPECT_STR(bundle.modules[0].path, S("a/p.rego"));
    EXPECT_EQ(bundle.modules[0].version, REGO_V1);
    EXPECT_EQ(bundle.modules[1].version, REGO_V0);
    EXPECT_STR(bundle_path_of_package(&bundle.heap, bundle.modules[1].package), S("b/c"));
    EXPECT(!bundle.is_delta);
}

TEST(without_a_manifest_all_of_data_is_its_own) {
    EXPECT_OK(READ({"/data.json", "{}"}, {"/p.rego", "package x"}));
    EXPECT_EQ(bundle.manifest.root_count, 1);
    EXPECT_STR(bundle.manifest.roots[0], S(""));
    EXPECT_EQ(bundle.modules[0].version, REGO_V1);
}

TEST(documents_of_many_folders_meet) {
    EXPECT_OK(READ({"/data.json", "{\"a\":{\"k\":{\"m\":1}},\"a-b\":{\"x\":1}}"},
                   {"/a/c/data.json", "{\"n\":2}"}, {"/a-b/data.json", "{\"y\":3}"},
                   {"/a/data.json", "{\"k\":{\"o\":4}}"}, {"/a/k/data.json", "{\"p\":5}"},
                   {"/v/data.json", "[1]"}));
    EXPECT_STR(str_from_c(json(bundle.data)),
               S("{\"a\":{\"c\":{\"n\":2},\"k\":{\"m\":1,\"o\":4,\"p\":5}},"
                 "\"a-b\":{\"x\":1,\"y\":3},\"v\":[1]}"));
}

TEST(documents_that_disagree_are_refused) {
    EXPECT_RC(READ({"/data.json", "{\"a\":{\"x\":1}}"}, {"/a/data.json", "{\"x\":1}"}), RC_INVALID);
    EXPECT_RC(READ({"/data.json", "{\"a\":1}"}, {"/a/data.json", "{\"x\":1}"}), RC_INVALID);
    EXPECT_RC(READ({"/a/data.json", "1"}, {"/a/data.yaml", "x: 2"}), RC_INVALID);
    FAILS(RC_INVALID, "bundle load failed on /data.json: root value must be object",
          {"/data.json", "[]"});
    EXPECT_RC(READ({"/data.json", "{\"a\""}), RC_INVALID);
    EXPECT_RC(READ({"/data.yaml", "a: [1"}), RC_INVALID);
}

TEST(nothing_lies_outside_of_the_roots) {
    FAILS(RC_INVALID, "manifest has overlapped roots: 'a' and 'a/b'",
          {".manifest", "{\"roots\":[\"a\",\"a/b\"]}"});
    FAILS(RC_INVALID, "manifest has overlapped roots: 'a' and 'a'",
          {".manifest", "{\"roots\":[\"a\",\"a\"]}"});
    FAILS(RC_INVALID,
          "manifest roots [a b/c] do not permit data at path '/b/d' (hint: check bundle directory "
          "structure)",
          {".manifest", "{\"roots\":[\"a\",\"b/c\"]}"}, {"data.json", "{\"b\":{\"c\":1,\"d\":2}}"});
    FAILS(RC_INVALID, "manifest roots [a] do not permit 'package ab' in module '/p.rego'",
          {".manifest", "{\"roots\":[\"a\"]}"}, {"/p.rego", "package ab"});
    FAILS(RC_INVALID, "manifest roots [a] do not permit data patch at path 'b'",
          {".manifest", "{\"roots\":[\"a\"]}"},
          {"/patch.json", "{\"data\":[{\"op\":\"remove\",\"path\":\"/b\"}]}"});
    FAILS(RC_INVALID, "manifest roots [] do not permit 'package a' in module 'p.rego'",
          {".manifest", "{\"roots\":[]}"}, {"p.rego", "package a"});
    EXPECT_OK(READ({".manifest", "{\"roots\":[\"a/b\"]}"}, {"p.rego", "package a.b.c"},
                   {"data.json", "{\"a\":{}}"}));
    EXPECT_OK(READ({".manifest", "{\"roots\":[\"a/x%2Fy\"]}"}, {"p.rego", "package a[\"x/y\"]"}));
}

TEST(manifests_of_wrong_shape) {
    FAILS(
        RC_INVALID,
        "bundle load failed on manifest decode: json: cannot unmarshal number into Go struct field "
        "Manifest.revision of type string",
        {".manifest", "{\"revision\":1}"});
    EXPECT_RC(READ({".manifest", "{\"roots\":\"a\"}"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{\"roots\":[1]}"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "[]"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{\"metadata\":1}"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{\"rego_version\":\"1\"}"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{\"rego_version\":1.5}"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{\"file_rego_versions\":[]}"}), RC_INVALID);
    EXPECT_RC(READ({".manifest", "{\"file_rego_versions\":{\"a\":\"b\"}}"}), RC_INVALID);
    FAILS(RC_INVALID, "unknown bundle rego-version 2 for file '/a.rego'",
          {".manifest", "{\"file_rego_versions\":{\"*\":2}}"}, {"a.rego", "package a"});
    EXPECT_RC(READ({".manifest", "{\"file_rego_versions\":{\"[\":1}}"}, {"a.rego", "package a"}),
              RC_INVALID);
    EXPECT_OK(READ({".manifest", "{\"rego_version\":7,\"roots\":null,\"metadata\":null}"}));
    EXPECT(!bundle.manifest.has_version);
}

TEST(deltas_hold_a_patch_alone) {
    EXPECT_OK(
        READ({".manifest", "{\"roots\":[\"a\"]}"},
             {"patch.json", "{\"data\":[{\"op\":\"upsert\",\"path\":\"/a/b\",\"value\":1}]}"}));
    EXPECT(bundle.is_delta);
    EXPECT_EQ(value_count(bundle.patch), 1);
    FAILS(RC_INVALID, "delta bundle expected to contain only patch file but data files found",
          {"patch.json", "{\"data\":[{\"op\":\"upsert\",\"path\":\"/a\",\"value\":1}]}"},
          {"data.json", "{\"x\":1}"});
    FAILS(RC_INVALID, "delta bundle expected to contain only patch file but policy files found",
          {"patch.json", "{\"data\":[{\"op\":\"upsert\",\"path\":\"/a\",\"value\":1}]}"},
          {"a.rego", "package a"});
    EXPECT_OK(READ({"patch.json", "{\"data\":[]}"}, {"a.rego", "package a"}));
    EXPECT(!bundle.is_delta);
    EXPECT_RC(READ({"patch.json", "{\"data\":{}}"}), RC_INVALID);
    EXPECT_RC(READ({"patch.json", "{\"data\":[{\"op\":1,\"path\":\"a\"}]}"}), RC_INVALID);
    EXPECT_RC(READ({"patch.json", "[]"}), RC_INVALID);
}

TEST(a_policy_that_cannot_be_read_is_left_to_the_compiler) {
    EXPECT_OK(READ({"a.rego", "pakkage a"}));
    EXPECT(!value_defined(bundle.modules[0].package));
}

/* ---- The archive ---- */

TEST(paths_that_lead_elsewhere) {
    EXPECT_RC(READ({"../data.json", "{}"}), RC_INVALID);
    EXPECT_RC(READ({"a/../../data.json", "{}"}), RC_INVALID);
    EXPECT_RC(READ({"/..", "{}"}), RC_INVALID);
    EXPECT_RC(READ({"./", "{}"}), RC_INVALID);
    EXPECT_RC(READ({"a/\xff", "{}"}), RC_INVALID);
    EXPECT_OK(READ({"//etc//./data.json", "{\"x\":1}"})); /* below the bundle's root */
    EXPECT_STR(bundle.files.items[0].path, S("etc/data.json"));
    FAILS(RC_INVALID, "bundle read failed: two files have the path a/data.json",
          {"/a/data.json", "{}"}, {"a//data.json", "{}"});
}

TEST(long_names_come_back) {
    char name[400], deep[2 * BUNDLE_DEPTH_MAX + 20] = "";
    memset(name, 'n', sizeof name);
    memcpy(name + sizeof name - 6, ".rego", 6);
    EXPECT_OK(READ({name, "package a"}));
    EXPECT_STR(bundle.modules[0].path, str_from_c(name));
    for (u32 i = 0; i < BUNDLE_DEPTH_MAX + 1; i++) strcat(deep, "d/");
    EXPECT_RC(READ({strcat(deep, "data.json"), "1"}), RC_LIMIT);
    static char huge[BUNDLE_NAME_MAX + 2];
    memset(huge, 'h', BUNDLE_NAME_MAX + 1);
    EXPECT_RC(READ({huge, ""}), RC_LIMIT);
}

/* One header of any kind, with a sum that holds unless told otherwise. */
static void put_head(struct buf *b, char type, const char *name, const char *size) {
    char head[BLOCK] = {0};
    u64 sum = 0;
    strncpy(head, name, 99);
    memcpy(head + SIZE_AT, size, strlen(size));
    memcpy(head + MAGIC_AT, "ustar  ", 8);
    memset(head + SUM_AT, ' ', 8);
    head[TYPE_AT] = type;
    for (u32 i = 0; i < BLOCK; i++) sum += (u8)head[i];
    octal_put(head + SUM_AT, 6, sum);
    (void)!!buf_add(b, str_of(head, BLOCK));
}
static void put_body(struct buf *b, str bytes) {
    (void)!!buf_add(b, bytes);
    padding_write(b, bytes.len);
}
static rc_t read_tar(struct buf *plain) {
    struct bundle_options o = {0};
    buf_close(&archive);
    buf_open(&archive, MIB(64));
    EXPECT_OK(gzip_pack(buf_str(plain), &archive));
    buf_close(plain);
    return read_with(&o);
}

TEST(headers_that_are_not_right) {
    static const struct {
        char type;
        const char *size;
    } cases[] = {{'0', "00000000010"}, {'0', "\xff\xff"}, {'0', "9"},
                 {'0', "77777777777"}, {'1', "0"},        {'2', "0"},
                 {'3', "0"},           {'6', "0"},        {'7', "0"},
                 {'S', "0"},           {'K', "0"},        {'V', "0"},
                 {'x', "0000003"},     {'L', "5"},        {'0', "\x80\1\1\1\1\1\1\1\1\1\1"}};
    for (u32 i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b;
        buf_open(&b, MIB(1));
        put_head(&b, cases[i].type, "data.json", cases[i].size);
        if (cases[i].type == 'x') put_body(&b, S("9 a"));
        rc_t rc = read_tar(&b);
        if (rc != RC_INVALID) test_fail(__FILE__, __LINE__, "case %u: %s", i, rc_name(rc));
    }
}

TEST(what_gnu_and_pax_write) {
    struct buf b;
    buf_open(&b, MIB(1));
    put_head(&b, 'g', "global", "0000014");
    put_body(&b, S("12 comment=x"));
    put_head(&b, 'L', "././@LongLink", "0000013");
    put_body(&b, S("a/data.json"));
    put_head(&b, '0', "cut", "2");
    put_body(&b, S("[]"));
    put_head(&b, 'x', "pax", "0000023");
    put_body(&b, S("19 path=b/data.json"));
    b.ptr[b.len - BLOCK + 18] = '\n';
    put_head(&b, '5', "folder", "0");
    put_head(&b, '0', "c/data.json", "\x80\0\0\0\0\0\0\0\0\0\0\2");
    put_body(&b, S("{}"));
    EXPECT_RC(read_tar(&b), RC_INVALID); /* path= without its last letter, on a folder: c stays */
}

TEST(pax_paths_and_sizes) {
    struct buf b;
    buf_open(&b, MIB(1));
    put_head(&b, 'x', "pax", "0000035");
    put_body(&b, S("20 path=b/data.json\n9 size=2\n"));
    put_head(&b, '0', "cut", "0");
    put_body(&b, S("[]"));
    EXPECT_OK(read_tar(&b));
    EXPECT_STR(str_from_c(json(bundle.data)), S("{\"b\":[]}"));
    buf_open(&b, MIB(1));
    put_head(&b, 'x', "pax", "0000024");
    put_body(&b, str_of("20 path=b/d\0ta.json\n", 20));
    put_head(&b, '0', "cut", "0");
    EXPECT_RC(read_tar(&b), RC_INVALID);
    buf_open(&b, MIB(1));
    put_head(&b, 'x', "pax", "0377777");
    static char much[0377777];
    put_body(&b, str_of(much, sizeof much));
    EXPECT_RC(read_tar(&b), RC_INVALID);
}

TEST(every_cut_archive_is_refused_or_whole) {
    pack((const struct entry[]){{".manifest", "{\"revision\":\"1\"}"},
                                {"data.json", "{\"a\":1}"},
                                {"a.rego", "package a"},
                                {0}});
    struct bundle_options o = {0};
    size_t len = archive.len;
    for (size_t i = 0; i < len; i++) {
        archive.len = i;
        EXPECT(read_with(&o) == RC_INVALID);
    }
    archive.len = len;
    /* One bit wrong: gzip's sum finds it at the latest, unless the bit was of no meaning. */
    for (size_t i = 10; i < len; i++) {
        archive.ptr[i] ^= 4;
        EXPECT(read_with(&o) != RC_OK || !strcmp(json(bundle.data), "{\"a\":1}"));
        archive.ptr[i] ^= 4;
    }
    EXPECT_OK(read_with(&o));
}

TEST(bytes_behind_the_end) {
    pack((const struct entry[]){{"data.json", "{}"}, {0}});
    struct bundle_options o = {0};
    struct buf plain;
    (void)!!buf_add(&archive, S("x"));
    EXPECT_RC(read_with(&o), RC_INVALID);
    buf_open(&plain, MIB(1));
    put_head(&plain, '0', "data.json", "0");
    (void)!!buf_add(&plain, str_of((char[BLOCK]){0}, BLOCK));
    put_head(&plain, '0', "more.json", "0");
    EXPECT_RC(read_tar(&plain), RC_INVALID);
}

TEST(two_members_are_one_text) {
    struct buf a, plain;
    struct bundle_options o = {0};
    buf_open(&plain, MIB(1)), buf_open(&a, MIB(1));
    put_head(&plain, '0', "data.json", "2");
    put_body(&plain, S("{}"));
    EXPECT_OK(gzip_pack(str_take(buf_str(&plain), 600), &a));
    EXPECT_OK(gzip_pack(str_skip(buf_str(&plain), 600), &a));
    buf_close(&archive);
    archive = a;
    EXPECT_OK(read_with(&o));
    buf_close(&plain);
}

TEST(bombs_stop_at_the_limit) {
    struct buf plain;
    struct bundle_options o = {.bytes_max = MIB(1)};
    buf_open(&plain, MIB(64));
    EXPECT_OK(buf_reserve(&plain, MIB(32)));
    memset(plain.ptr, 0, MIB(32));
    plain.len = MIB(32);
    buf_close(&archive);
    buf_open(&archive, MIB(64));
    EXPECT_OK(gzip_pack(buf_str(&plain), &archive));
    buf_close(&plain);
    EXPECT(archive.len < KIB(64));
    EXPECT_RC(read_with(&o), RC_LIMIT);
    EXPECT(bundle.unpacked.room <= MIB(1));
    pack((const struct entry[]){{"data.json", "[1,2,3,4,5,6,7,8]"}, {0}});
    o = (struct bundle_options){.file_bytes_max = 8};
    EXPECT_RC(read_with(&o), RC_LIMIT);
    EXPECT_STR(str_from_c(why.text),
               S("bundle file 'data.json' size (17 bytes) exceeded max size (8 bytes)"));
}

TEST(too_many_files) {
    struct heap h;
    struct bundle_files files = {0};
    struct bundle_file f = {.name = S("a"), .bytes = S("")};
    heap_open(&h, MIB(64));
    for (u32 i = 0; i < BUNDLE_FILES_MAX; i++) EXPECT_OK(bundle_files_add(&h, &files, &f));
    EXPECT_RC(bundle_files_add(&h, &files, &f), RC_LIMIT);
    heap_close(&h);
}

TEST(the_same_files_are_the_same_bytes) {
    struct buf first;
    const struct entry entries[] = {{"/data.json", "{}"}, {"/a.rego", "package a"}, {0}};
    pack(entries);
    first = archive, archive = (struct buf){0};
    pack(entries);
    EXPECT_STR(buf_str(&archive), buf_str(&first));
    buf_close(&first);
}

TEST(no_memory_is_said) {
    pack((const struct entry[]){
        {".manifest", "{\"revision\":\"1\",\"file_rego_versions\":{\"*\":0}}"},
        {"data.json", "{\"a\":{\"b\":[1,2,3]}}"},
        {"a/c/data.yaml", "x: 1"},
        {"a.rego", "package a"},
        {0}});
    struct bundle_options o = {0};
    rc_t rc = RC_NO_MEMORY;
    for (size_t room = KIB(1); rc == RC_NO_MEMORY && room < MIB(2); room += KIB(1)) {
        bundle_drop(&bundle);
        bundle_begin(&bundle, 0);
        bundle.heap.bytes_max = room;
        rc = bundle_unpack(&bundle.heap, buf_str(&archive), 0, 0, &bundle.unpacked, &bundle.files,
                           &why);
        if (!rc) rc = bundle_read_files(&bundle, &o, &why);
    }
    EXPECT_OK(rc);
}

TEST(the_manifest_is_written_as_it_was) {
    struct buf b;
    EXPECT_OK(READ({".manifest", "{\"roots\":[\"a\"],\"rego_version\":0,\"metadata\":{\"x\":\"<\"},"
                                 "\"file_rego_versions\":{\"/a.rego\":1},\"revision\":\"r\"}"}));
    buf_open(&b, KIB(4));
    bundle_manifest_write(&b, &bundle.heap, &bundle.manifest);
    EXPECT_STR(buf_str(&b),
               S("{\"revision\":\"r\",\"roots\":[\"a\"],\"rego_version\":0,"
                 "\"file_rego_versions\":{\"/a.rego\":1},\"metadata\":{\"x\":\"\\u003c\"}}"));
    buf_close(&b);
}
