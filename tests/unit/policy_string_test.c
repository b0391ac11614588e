/* SPDX-License-Identifier: Apache-2.0 */
/* policy_string_test.c — strings, their formats and encodings. */
#include "app/policy/builtin/string.c"
#include "tests/unit/policy_builtin.h"

TEST(finding) {
    EXPECT_CALL("contains", "[\"abc\", \"bc\"]", "true");
    EXPECT_CALL("contains", "[\"abc\", \"\"]", "true");
    EXPECT_CALL("startswith", "[\"abc\", \"ab\"]", "true");
    EXPECT_CALL("endswith", "[\"abc\", \"ab\"]", "false");
    EXPECT_CALL("indexof", "[\"sk\u00f6n v\u00e5r\", \"v\u00e5r\"]", "5");
    EXPECT_CALL("indexof", "[\"abc\", \"x\"]", "-1");
    EXPECT_CALL("indexof", "[\"abc\", \"\"]", "error: empty search character");
    EXPECT_CALL("indexof_n", "[\"aaa\", \"aa\"]", "[0, 1]");
    EXPECT_CALL("indexof_n", "[\"\u00e5b\u00e5b\", \"b\"]", "[1, 3]");
    EXPECT_CALL("strings.count", "[\"cheese\", \"e\"]", "3");
    EXPECT_CALL("strings.count", "[\"\u00e5b\", \"\"]", "3");
    EXPECT_CALL("strings.any_prefix_match", "[[\"abc\", \"def\"], {\"set\": [\"x\", \"de\"]}]", "true");
    EXPECT_CALL("strings.any_suffix_match", "[\"abc\", [\"bc\"]]", "true");
    EXPECT_CALL("strings.any_suffix_match", "[\"abc\", []]", "false");
    EXPECT_CALL("strings.any_prefix_match", "[1, \"a\"]", "type error: operand 1 must be one of {string, set, array} but got number");
    EXPECT_CALL("strings.any_prefix_match", "[\"a\", [1]]", "type error: operand 2 must be array of strings but got array containing number");
}
TEST(joining_and_splitting) {
    EXPECT_CALL("concat", "[\",\", [\"a\", \"b\", \"\"]]", "\"a,b,\"");
    EXPECT_CALL("concat", "[\",\", {\"set\": [\"b\", \"a\"]}]", "\"a,b\"");
    EXPECT_CALL("concat", "[\",\", []]", "\"\"");
    EXPECT_CALL("concat", "[\",\", [1]]", "type error: operand 2 must be array of strings but got array containing number");
    EXPECT_CALL("concat", "[\",\", 1]", "type error: operand 2 must be one of {set, array} but got number");
    EXPECT_CALL("split", "[\"a.b.c\", \".\"]", "[\"a\", \"b\", \"c\"]");
    EXPECT_CALL("split", "[\"t\u00e5\", \"\"]", "[\"t\", \"\u00e5\"]");
    EXPECT_CALL("split", "[\"\", \"\"]", "[]");
    EXPECT_CALL("split", "[\"\", \".\"]", "[\"\"]");
    EXPECT_CALL("strings.split_n", "[\"a.b.c.d\", \".\", 2]", "[\"a\", \"b\"]");
    EXPECT_CALL("strings.split_n", "[\"a.b.c.d\", \".\", -2]", "[\"c\", \"d\"]");
    EXPECT_CALL("strings.split_n", "[\"a.b.c.d\", \".\", -10]", "[\"a\", \"b\", \"c\", \"d\"]");
    EXPECT_CALL("strings.split_n", "[\"a.b\", \".\", 0]", "[]");
    EXPECT_CALL("strings.split_n", "[\"abc\", \"\", -2]", "[\"b\", \"c\"]");
    EXPECT_CALL("strings.split_n", "[\"abc\", \"\", 2]", "[\"a\", \"b\"]");
    EXPECT_CALL("strings.split_n", "[\"a\", \".\", 9223372036854775807]", "[\"a\"]");
    EXPECT_CALL("strings.split_n", "[\"a\", \".\", 1.5]", "type error: operand 3 must be integer number but got floating-point number");
}
TEST(replacing) {
    EXPECT_CALL("replace", "[\"aXbX\", \"X\", \"--\"]", "\"a--b--\"");
    EXPECT_CALL("replace", "[\"ab\", \"\", \"-\"]", "\"-a-b-\"");
    EXPECT_CALL("replace", "[\"ab\", \"x\", \"-\"]", "\"ab\"");
    EXPECT_CALL("strings.replace_n", "[{\"<\": \"&lt;\", \">\": \"&gt;\"}, \"<b>\"]", "\"&lt;b&gt;\"");
    EXPECT_CALL("strings.replace_n", "[{\"a\": \"1\", \"aa\": \"2\"}, \"aaa\"]", "\"111\"");
    EXPECT_CALL("strings.replace_n", "[{\"\": \"X\", \"a\": \"b\"}, \"a\"]", "\"XbX\"");
    EXPECT_CALL("strings.replace_n", "[{\"a\": 1}, \"a\"]", "type error: operand 1 non-string value found in pattern object");
}
TEST(runes) {
    u32 width;
    char four[4];
    EXPECT_EQ(rune_decode(S("\xf0\x9f\x98\x87"), 0, &width), 0x1F607);
    EXPECT_EQ(width, 4);
    EXPECT_EQ(rune_encode(four, 0x1F607), 4);
    EXPECT_STR(str_of(four, 4), S("\xf0\x9f\x98\x87"));
    EXPECT_EQ(rune_encode(four, 0xD800), 3);
    EXPECT_STR(str_of(four, 3), S("\xef\xbf\xbd"));
    static const char *const bad[] = {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f\x98", "\x80", "\xe2\x82("};
    for (u32 i = 0; i < ARRAY_LEN(bad); i++) {
        str s = test_at_page_end(str_from_c(bad[i]));
        EXPECT_EQ(rune_decode(s, 0, &width), RUNE_BAD);
        EXPECT_EQ(width, 1);
    }
    EXPECT_EQ(rune_decode_last(S("a\xe2\x82\xac"), 4, &width), 0x20AC);
    EXPECT_EQ(width, 3);
    EXPECT_EQ(rune_decode_last(S("\x80\x80\x80\x80"), 4, &width), RUNE_BAD);
    EXPECT_EQ(width, 1);
    EXPECT(str_is_ascii(S("abc")) && !str_is_ascii(S("\xc3\xa5")));
    EXPECT_EQ(str_find_from(S("abab"), S("ab"), 1), 2);
    EXPECT_EQ(str_find_from(S("abab"), S("ab"), 9), 5);
}
TEST(parts) {
    EXPECT_CALL("substring", "[\"\u00e5\u00e4\u00f6\", 1, 1]", "\"\u00e4\"");
    EXPECT_CALL("substring", "[\"abc\", 1, -1]", "\"bc\"");
    EXPECT_CALL("substring", "[\"abc\", 9, 1]", "\"\"");
    EXPECT_CALL("substring", "[\"abc\", 1, 9223372036854775807]", "\"bc\"");
    EXPECT_CALL("substring", "[\"abc\", -1, 1]", "error: negative offset");
    EXPECT_CALL("strings.reverse", "[\"a\u00e5\"]", "\"\u00e5a\"");
    EXPECT_CALL("trim", "[\"..a.b..\", \".\"]", "\"a.b\"");
    EXPECT_CALL("trim_left", "[\"\u00e5\u00e4b\u00e5\", \"\u00e4\u00e5\"]", "\"b\u00e5\"");
    EXPECT_CALL("trim_right", "[\"\u00e5\u00e4b\u00e5\", \"\u00e4\u00e5\"]", "\"\u00e5\u00e4b\"");
    EXPECT_CALL("trim_space", "[\" \\t\u00a0a \u3000\"]", "\"a\"");
    EXPECT_CALL("trim_prefix", "[\"abab\", \"ab\"]", "\"ab\"");
    EXPECT_CALL("trim_suffix", "[\"abab\", \"ab\"]", "\"ab\"");
    EXPECT_CALL("lower", "[\"\u00c5BC\"]", "\"\u00e5bc\"");
    EXPECT_CALL("upper", "[\"stra\u00dfe \u01c6\"]", "\"STRA\u00dfE \u01c4\"");
    EXPECT_CALL("format_int", "[-15.9, 16]", "\"-f\"");
    EXPECT_CALL("format_int", "[18446744073709551617, 16]", "\"10000000000000001\"");
    EXPECT_CALL("format_int", "[3.1, 10]", "\"3\"");
    EXPECT_CALL("format_int", "[4, 199]", "type error: operand 2 must be one of {2, 8, 10, 16}");
}
TEST(formats_of_whole_numbers) {
    EXPECT_CALL("sprintf", "[\"hi %02X.%02X\", [127, 1]]", "\"hi 7F.01\"");
    EXPECT_CALL("sprintf", "[\"%d|%5d|%-5d|%05d|%+d|% d\", [1, 2, 3, 4, 5, 6]]", "\"1|    2|3    |00004|+5| 6\"");
    EXPECT_CALL("sprintf", "[\"%x %#x %b %o %#o %O %c %q %U %#U\", [255, 255, 5, 8, 8, 8, 65, 65, 65, 65]]",
                "\"ff 0xff 101 10 010 0o10 A 'A' U+0041 U+0041 'A'\"");
    EXPECT_CALL("sprintf", "[\"%.3d %08.3d %+.0d\", [5, 5, 0]]", "\"005      005 \"");
    EXPECT_CALL("sprintf", "[\"%d %s %x\", [123456789012345678901, 123456789012345678901, 123456789012345678901]]",
                "\"123456789012345678901 123456789012345678901 6b14e9f812f366c35\"");
    EXPECT_CALL("sprintf", "[\"%s %t\", [5, 5]]", "\"%!s(int64=5) %!t(int64=5)\"");
    EXPECT_CALL("sprintf", "[\"%d\", [-9223372036854775808]]", "\"-9223372036854775808\"");
    EXPECT_CALL("sprintf", "[\"%v %d\", [-1, -2]]", "\"-1 -2\"");
    EXPECT_CALL("sprintf", "[\"%+v %#+v %+v\", [1, 2, 100000000000000000000]]", "\"1 2 +100000000000000000000\"");
    EXPECT_CALL("sprintf", "[\"%#O %#O %#U %#U\", [8, 0, 65, 65535]]", "\"0o010 0o0 U+0041 'A' U+FFFF\"");
}
TEST(formats_of_floats) {
    EXPECT_CALL("sprintf", "[\"%v %f %.2f %e %g %G\", [3.14, 3.14, 3.145, 1234.5, 1e21, 1e-7]]",
                "\"3.14 3.140000 3.15 1.234500e+03 1e+21 1E-07\"");
    EXPECT_CALL("sprintf", "[\"%v %v %v\", [1.0, 123456789.0, 2.50]]", "\"1 1.23456789e+08 2.5\"");
    EXPECT_CALL("sprintf", "[\"%d\", [1.0]]", "\"%!d(float64=1)\"");
    EXPECT_CALL("sprintf", "[\"%8.3f|%-8.1f|%08.2f|%+.1e\", [3.14159, 2.0, -1.5, 12345.678]]", "\"   3.142|2.0     |-0001.50|+1.2e+04\"");
    EXPECT_CALL("sprintf", "[\"%.0f %.0f %.0f\", [0.5, 1.5, 2.5]]", "\"0 2 2\"");
    EXPECT_CALL("sprintf", "[\"%.30f\", [0.1]]", "\"0.100000000000000005551115123126\"");
    EXPECT_CALL("sprintf", "[\"%.3g %.10g %#g %#.3g\", [1234.5678, 1234.5678, 1.5, 1.0]]", "\"1.23e+03 1234.5678 1.50000 1.00\"");
    EXPECT_CALL("sprintf", "[\"%x %.2x %b\", [1.5, 1.999, 1.5]]", "\"0x1.8p+00 0x1.00p+01 6755399441055744p-52\"");
    EXPECT_CALL("sprintf", "[\"%#v %+v %#x %#X\", [1.0, 1.0, 1.0, 1.0]]", "\"1 1 0x1.0000p+00 0X1.P+00\"");
    EXPECT_CALL("sprintf", "[\"%f\", [1e400]]", "\"%!f(string=1e400)\"");
}
TEST(formats_of_text) {
    EXPECT_CALL("sprintf", "[\"%s|%5s|%-5s|%.2s|%q|%x|% X|%#x\", [\"a\u00e5b\", \"ab\", \"ab\", \"\u00e5bc\", \"a\\\"b\\n\", \"hi\", \"hi\", \"hi\"]]",
                "\"a\u00e5b|   ab|ab   |\u00e5b|\\\"a\\\\\\\"b\\\\n\\\"|6869|68 69|0x6869\"");
    EXPECT_CALL("sprintf", "[\"hi %v\", [[\"there\", 5, 3.14]]]", "\"hi [\\\"there\\\", 5, 3.14]\"");
    EXPECT_CALL("sprintf", "[\"%s %v %d\", [true, null, {\"set\": [1]}]]", "\"true null %!d(string={1})\"");
    EXPECT_CALL("sprintf", "[\"%T %T %T %T\", [1, 1.5, \"a\", 100000000000000000000]]", "\"int64 float64 string *big.Int\"");
    EXPECT_CALL("sprintf", "[\"%#v %#q %+q\", [\"a\", \"b\", \"\u00e5\"]]", "\"\\\"a\\\" `b` \\\"\\\\u00e5\\\"\"");
}
TEST(formats_that_do_not_fit) {
    EXPECT_CALL("sprintf", "[\"%d %d\", [1]]", "\"1 %!d(MISSING)\"");
    EXPECT_CALL("sprintf", "[\"%d\", [1, \"x\", 2.5]]", "\"1%!(EXTRA string=x, float64=2.5)\"");
    EXPECT_CALL("sprintf", "[\"100%\", []]", "\"100%!(NOVERB)\"");
    EXPECT_CALL("sprintf", "[\"100%%\", []]", "\"100%\"");
    EXPECT_CALL("sprintf", "[\"%[2]d %[1]d\", [1, 2]]", "\"2 1\"");
    EXPECT_CALL("sprintf", "[\"%[3]d\", [1]]", "\"%!d(BADINDEX)\"");
    EXPECT_CALL("sprintf", "[\"%*d|%-*d|%.*f\", [4, 7, 4, 7, 1, 2.55]]", "\"   7|7   |2.5\"");
    EXPECT_CALL("sprintf", "[\"%*d\", [\"a\", 7]]", "\"%!(BADWIDTH)7\"");
    EXPECT_CALL("sprintf", "[\"%!\", []]", "\"%!!(MISSING)\"");
    EXPECT_CALL("sprintf", "[\"%.\", [1]]", "\"%!.(int64=1)\"");
    EXPECT_CALL("sprintf", "[\"%6z|%.1z|%-5t|%+z|%#z\", [1, \"ab\", true, 2, 1.0]]",
                "\"%!z(int64=     1)|%!z(string=a)|%!t(string=true )|%!z(int64=+2)|%!z(float64=1.00000)\"");
    EXPECT_CALL("sprintf", "[\"%999999999d\", [1]]", "\"%!(NOVERB)%!(EXTRA int64=1)\"");
    EXPECT_CALL("sprintf", "[1, []]", "type error: operand 1 must be string but got number");
    EXPECT(strcmp(test_answer("sprintf", "[\"%1000000d%1000000d\", [1, 1]]", KIB(64)), "memory") == 0);
}
TEST(encodings) {
    EXPECT_CALL("base64.encode", "[\"hello\"]", "\"aGVsbG8=\"");
    EXPECT_CALL("base64.decode", "[\"aGVsbG8=\"]", "\"hello\"");
    EXPECT_CALL("base64.decode", "[\"aGVs\\nbG8=\\n\"]", "\"hello\"");
    EXPECT_CALL("base64.decode", "[\"aGVsbG8\"]", "error: illegal base64 data at input byte 4");
    EXPECT_CALL("base64.decode", "[\"a*Vs\"]", "error: illegal base64 data at input byte 1");
    EXPECT_CALL("base64.decode", "[\"aGV=x\"]", "error: illegal base64 data at input byte 4");
    EXPECT_CALL("base64.is_valid", "[\"aGVsbG8=\"]", "true");
    EXPECT_CALL("base64.is_valid", "[\"aG=sbG8=\"]", "false");
    EXPECT_CALL("base64.is_valid", "[5]", "false");
    EXPECT_CALL("base64url.encode", "[\"\u00fb\u00ff?\"]", "\"w7vDvz8=\"");
    EXPECT_CALL("base64url.encode_no_pad", "[\"a\"]", "\"YQ\"");
    EXPECT_CALL("base64url.decode", "[\"YQ\"]", "\"a\"");
    EXPECT_CALL("base64url.decode", "[\"YWFhY\"]", "error: illegal base64url string: YWFhY");
    EXPECT_CALL("hex.encode", "[\"aZ\"]", "\"615a\"");
    EXPECT_CALL("hex.decode", "[\"615A\"]", "\"aZ\"");
    EXPECT_CALL("hex.decode", "[\"fghijkl\"]", "error: encoding/hex: invalid byte: U+0067 'g'");
    EXPECT_CALL("hex.decode", "[\"616\"]", "error: encoding/hex: odd length hex string");
    EXPECT_CALL("json.marshal", "[{\"a\": [1.0, \"<\"]}]", "\"{\\\"a\\\":[1.0,\\\"\\\\u003c\\\"]}\"");
    EXPECT_CALL("json.unmarshal", "[\"{\\\"a\\\": [1]}\"]", "{\"a\": [1]}");
    EXPECT_CALL("json.is_valid", "[\"{\"]", "false");
    EXPECT_CALL("json.is_valid", "[\"[1]\"]", "true");
    EXPECT_CALL("json.is_valid", "[1]", "false");
    EXPECT_CALL("json.marshal_with_options", "[{\"a\": [1, {}], \"b\": []}, {\"indent\": \" \", \"prefix\": \">\"}]",
                "\">{\\n> \\\"a\\\": [\\n>  1,\\n>  {}\\n> ],\\n> \\\"b\\\": []\\n>}\"");
    EXPECT_CALL("json.marshal_with_options", "[[1], {\"pretty\": false, \"indent\": \" \"}]", "\"[1]\"");
    EXPECT_CALL("json.marshal_with_options", "[[1], {\"x\": 1}]", "type error: operand 2 object contained unknown key \"x\"");
    EXPECT_CALL("json.marshal_with_options", "[[1], {\"pretty\": 1}]", "type error: operand 2 key \"pretty\" failed cast to bool");
}
TEST(urls) {
    EXPECT_CALL("urlquery.encode", "[\"a=b+c/\u00e5 ~\"]", "\"a%3Db%2Bc%2F%C3%A5+~\"");
    EXPECT_CALL("urlquery.decode", "[\"a%3Db+c\"]", "\"a=b c\"");
    EXPECT_CALL("urlquery.decode", "[\"a%3\"]", "error: invalid URL escape \"%3\"");
    EXPECT_CALL("urlquery.encode_object", "[{\"b\": [\"1\", \"2\"], \"a\": \"x y\", \"c\": {\"set\": [\"z\"]}}]", "\"a=x+y&b=1&b=2&c=z\"");
    EXPECT_CALL("urlquery.encode_object", "[{\"b\": 1}]", "type error: operand 1 values must be string, array[string], or set[string]");
    EXPECT_CALL("urlquery.decode_object", "[\"a=1&b=2&a=3&c\"]", "{\"a\": [\"1\", \"3\"], \"b\": [\"2\"], \"c\": [\"\"]}");
    EXPECT_CALL("urlquery.decode_object", "[\"a=1;b\"]", "error: invalid semicolon separator in query");
    EXPECT_CALL("uri.parse", "[\"https://u:p@example.com:8080/api?q=1#top\"]",
                "{\"fragment\": \"top\", \"hostname\": \"example.com\", \"path\": \"/api\", \"port\": \"8080\", \"raw_path\": \"/api\", \"raw_query\": \"q=1\", \"scheme\": \"https\"}");
    EXPECT_CALL("uri.parse", "[\"http://[::1]:8080/a%2Fb\"]",
                "{\"hostname\": \"::1\", \"path\": \"/a/b\", \"port\": \"8080\", \"raw_path\": \"/a%2Fb\", \"scheme\": \"http\"}");
    EXPECT_CALL("uri.parse", "[\"mailto:user@example.com\"]", "{\"scheme\": \"mailto\"}");
    EXPECT_CALL("uri.parse", "[\"\"]", "{}");
    EXPECT_CALL("uri.parse", "[\"http://a b/\"]", "error: parse \"http://a b/\": invalid character \" \" in host name");
    EXPECT_CALL("uri.parse", "[\"http://h:port/\"]", "error: parse \"http://h:port/\": invalid port \":port\" after host");
    EXPECT_CALL("uri.parse", "[\":x\"]", "error: parse \":x\": missing protocol scheme");
    EXPECT_CALL("uri.parse", "[\"http://[::1\"]", "error: parse \"http://[::1\": missing ']' in host");
    EXPECT_CALL("uri.parse", "[\"http://[::1]x\"]", "error: parse \"http://[::1]x\": invalid port \"x\" after host");
    EXPECT_CALL("uri.parse", "[\"http://[fe80::1%25en0]:8/\"]",
                "{\"hostname\": \"fe80::1%en0\", \"path\": \"/\", \"port\": \"8\", \"raw_path\": \"/\", \"scheme\": \"http\"}");
    EXPECT_CALL("uri.parse", "[\"http://a<b@h/\"]", "error: parse \"http://a<b@h/\": net/url: invalid userinfo");
    EXPECT_CALL("uri.parse", "[\"http://h%41/\"]", "error: parse \"http://h%41/\": invalid URL escape \"%41\"");
    EXPECT_CALL("uri.parse", "[\"a b:c\"]", "error: parse \"a b:c\": first path segment in URL cannot contain colon");
    EXPECT_CALL("uri.parse", "[\"http://h/\\u0001\"]", "error: parse \"http://h/\\x01\": net/url: invalid control character in URL");
    EXPECT_CALL("uri.parse", "[\"*\"]", "{\"path\": \"*\", \"raw_path\": \"*\"}");
    EXPECT_CALL("uri.parse", "[\"HTTP://h:1:2/\"]", "error: parse \"HTTP://h:1:2/\": invalid port \":1:2\" after host");
    EXPECT_CALL("uri.parse", "[\"///p\"]", "{\"path\": \"///p\", \"raw_path\": \"///p\"}");
    EXPECT_CALL("uri.is_valid", "[\"http://x/%zz\"]", "false");
    EXPECT_CALL("uri.is_valid", "[\"/path\"]", "true");
    EXPECT_CALL("uri.is_valid", "[\"\"]", "false");
    EXPECT_CALL("uri.is_valid", "[1]", "false");
}
