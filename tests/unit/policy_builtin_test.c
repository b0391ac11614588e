/* SPDX-License-Identifier: Apache-2.0 */
/* policy_builtin_test.c — the table of builtins, and the families that are neither text nor time. */
#include "app/policy/builtin/builtin.c"
#include "tests/unit/policy_builtin.h"

TEST(the_table_is_sorted_and_found) {
    for (u32 i = 0; i < builtins_count; i++) {
        if (i) EXPECT(str_cmp(str_from_c(builtins[i - 1].name), str_from_c(builtins[i].name)) < 0);
        EXPECT(builtin_find(str_from_c(builtins[i].name)) == &builtins[i]);
    }
    EXPECT(builtin_find(S("no.such")) == NULL);
    EXPECT(builtin_find(S("")) == NULL);
    EXPECT(builtin_find(S("zzz")) == NULL);
}

TEST(aggregates) {
    EXPECT_CALL("count", "[[1, 2]]", "2");
    EXPECT_CALL("count", "[{\"a\": 1}]", "1");
    EXPECT_CALL("count", "[{\"set\": [1, 1, 2]}]", "2");
    EXPECT_CALL("count", "[\"h\u00e5\"]", "2");
    EXPECT_CALL("count", "[5]", "type error: operand 1 must be one of {array, object, set, string} but got number");
    EXPECT_CALL("sum", "[[1, 2, 3]]", "6");
    EXPECT_CALL("sum", "[[]]", "0");
    EXPECT_CALL("sum", "[[0.5, 1]]", "1.5");
    EXPECT_CALL("sum", "[[9223372036854775807, 1]]", "9223372036854775808");
    EXPECT_CALL("sum", "[[\"a\"]]", "type error: operand 1 must be array of numbers but got array containing string");
    EXPECT_CALL("sum", "[\"a\"]", "type error: operand 1 must be one of {set, array} but got string");
    EXPECT_CALL("product", "[{\"set\": [2, 3, 4]}]", "24");
    EXPECT_CALL("product", "[[0.5, 3]]", "1.5");
    EXPECT_CALL("product", "[[]]", "1");
    EXPECT_CALL("max", "[[1, \"a\", true]]", "\"a\"");
    EXPECT_CALL("max", "[[]]", "undefined");
    EXPECT_CALL("max", "[[1, 1.0]]", "1.0");
    EXPECT_CALL("min", "[{\"set\": [3, 1, 2]}]", "1");
    EXPECT_CALL("min", "[7]", "type error: operand 1 must be one of {set, array} but got number");
    EXPECT_CALL("sort", "[[3, \"b\", 1, \"a\", null]]", "[null, 1, 3, \"a\", \"b\"]");
    EXPECT_CALL("sort", "[{\"set\": [2, 1]}]", "[1, 2]");
    EXPECT_CALL("sort", "[{}]", "type error: operand 1 must be one of {set, array} but got object");
    EXPECT_CALL("all", "[[true, true]]", "true");
    EXPECT_CALL("all", "[[true, 1]]", "false");
    EXPECT_CALL("any", "[[false, true]]", "true");
    EXPECT_CALL("any", "[{\"set\": []}]", "false");
    EXPECT_CALL("any", "[1]", "type error: operand 1 must be one of {array, set} but got number");
    EXPECT_CALL("internal.member_2", "[1, [2, 1]]", "true");
    EXPECT_CALL("internal.member_2", "[1, {\"k\": 1}]", "true");
    EXPECT_CALL("internal.member_2", "[1, {\"set\": [1]}]", "true");
    EXPECT_CALL("internal.member_2", "[1, 1]", "false");
    EXPECT_CALL("internal.member_3", "[\"k\", 1, {\"k\": 1}]", "true");
    EXPECT_CALL("internal.member_3", "[0, 1, [1]]", "true");
    EXPECT_CALL("internal.member_3", "[1, 1, {\"set\": [1]}]", "true");
    EXPECT_CALL("internal.member_3", "[1, 2, {\"set\": [1]}]", "false");
    EXPECT_CALL("internal.member_3", "[1, 2, 3]", "false");
}

TEST(arithmetic) {
    EXPECT_CALL("plus", "[1, 2]", "3");
    EXPECT_CALL("plus", "[9223372036854775807, 1]", "9223372036854775808");
    EXPECT_CALL("plus", "[1, \"a\"]", "type error: operand 2 must be number but got string");
    EXPECT_CALL("mul", "[3000000000, 5000000000]", "15000000000000000000");
    EXPECT_CALL("div", "[7, 2]", "3.5");
    EXPECT_CALL("div", "[7, 0]", "error: divide by zero");
    EXPECT_CALL("rem", "[7, 4]", "3");
    EXPECT_CALL("rem", "[7, 0]", "error: modulo by zero");
    EXPECT_CALL("rem", "[1.5, 1]", "error: modulo on floating-point number");
    EXPECT_CALL("minus", "[1, 2]", "-1");
    EXPECT_CALL("minus", "[{\"set\": [1, 2]}, {\"set\": [2, 3]}]", "{1}");
    EXPECT_CALL("minus", "[{\"set\": [1]}, 1]", "type error: operand 2 must be set but got number");
    EXPECT_CALL("minus", "[1, {\"set\": [1]}]", "type error: operand 2 must be number but got set");
    EXPECT_CALL("minus", "[\"a\", 1]", "type error: operand 1 must be one of {number, set} but got string");
    EXPECT_CALL("set_diff", "[{\"set\": [1, 2]}, {\"set\": [1, 2]}]", "set()");
    EXPECT_CALL("round", "[-2.5]", "-3");
    EXPECT_CALL("ceil", "[1.2]", "2");
    EXPECT_CALL("floor", "[-1.2]", "-2");
    EXPECT_CALL("abs", "[-3]", "3");
    EXPECT_CALL("abs", "[null]", "type error: operand 1 must be number but got null");
}

TEST(bits) {
    EXPECT_CALL("bits.and", "[12, 10]", "8");
    EXPECT_CALL("bits.or", "[12, 10]", "14");
    EXPECT_CALL("bits.xor", "[12, 10]", "6");
    EXPECT_CALL("bits.negate", "[5]", "-6");
    EXPECT_CALL("bits.lsh", "[1, 70]", "1180591620717411303424");
    EXPECT_CALL("bits.lsh", "[1, 1000000000]", "error: number is too large");
    EXPECT_CALL("bits.lsh", "[0, 1000000000]", "0");
    EXPECT_CALL("bits.rsh", "[8, 2]", "2");
    EXPECT_CALL("bits.rsh", "[-8, 100000000000000000000]", "-1");
    EXPECT_CALL("bits.rsh", "[1, -1]", "type error: operand 2 must be an unsigned integer number but got a negative integer");
    EXPECT_CALL("bits.and", "[1.5, 1]", "type error: operand 1 must be integer number but got floating-point number");
    EXPECT_CALL("bits.and", "[1, \"a\"]", "type error: operand 2 must be integer but got string");
}

TEST(ranges) {
    EXPECT_CALL("numbers.range", "[1, 3]", "[1, 2, 3]");
    EXPECT_CALL("numbers.range", "[2, -1]", "[2, 1, 0, -1]");
    EXPECT_CALL("numbers.range", "[3.14, 4]", "type error: operand 1 must be integer number but got floating-point number");
    EXPECT_CALL("numbers.range", "[18446744073709551615, 18446744073709551616]", "[18446744073709551615, 18446744073709551616]");
    EXPECT_CALL("numbers.range_step", "[0, 10, 4]", "[0, 4, 8]");
    EXPECT_CALL("numbers.range_step", "[10, 0, 4]", "[10, 6, 2]");
    EXPECT_CALL("numbers.range_step", "[0, 1, 0]", "error: numbers.range_step: step must be a positive integer");
    EXPECT_CALL("numbers.range", "[0, 1000000000]", "memory");
    EXPECT_CALL("numbers.range", "[-9223372036854775808, 9223372036854775807]", "memory");
    test_evaluation.ticks_max = 1000;
    EXPECT_CALL("numbers.range", "[0, 1000000]", "halt: timed out before finishing");
    test_evaluation.ticks_max = 0;
}

TEST(arrays_and_sets) {
    EXPECT_CALL("array.concat", "[[1], [2, 3]]", "[1, 2, 3]");
    EXPECT_CALL("array.concat", "[[], [2]]", "[2]");
    EXPECT_CALL("array.concat", "[[1], {}]", "type error: operand 2 must be array but got object");
    EXPECT_CALL("array.slice", "[[1, 2, 3], 1, 9]", "[2, 3]");
    EXPECT_CALL("array.slice", "[[1, 2, 3], 2, 1]", "[]");
    EXPECT_CALL("array.slice", "[[1, 2, 3], -4, 2]", "[1, 2]");
    EXPECT_CALL("array.reverse", "[[1, 2, 3]]", "[3, 2, 1]");
    EXPECT_CALL("array.flatten", "[[1, [2, [3]], []]]", "[1, 2, [3]]");
    EXPECT_CALL("and", "[{\"set\": [1, 2]}, {\"set\": [2, 3]}]", "{2}");
    EXPECT_CALL("or", "[{\"set\": [1, 3]}, {\"set\": [2, 3]}]", "{1, 2, 3}");
    EXPECT_CALL("or", "[1, {\"set\": []}]", "type error: operand 1 must be set but got number");
    EXPECT_CALL("intersection", "[{\"set\": [{\"set\": [1, 2]}, {\"set\": [2]}]}]", "{2}");
    EXPECT_CALL("intersection", "[{\"set\": []}]", "set()");
    EXPECT_CALL("union", "[{\"set\": [{\"set\": [1, 2]}, {\"set\": [3]}]}]", "{1, 2, 3}");
    EXPECT_CALL("union", "[{\"set\": [1]}]", "type error: operand 1 must be set but got number");
}

TEST(kinds_and_casts) {
    EXPECT_CALL("is_null", "[null]", "true");
    EXPECT_CALL("is_set", "[[]]", "false");
    EXPECT_CALL("type_name", "[{\"set\": []}]", "\"set\"");
    EXPECT_CALL("equal", "[1, 1.0]", "true");
    EXPECT_CALL("neq", "[1, 2]", "true");
    EXPECT_CALL("lt", "[null, true]", "true");
    EXPECT_CALL("lte", "[1, 1]", "true");
    EXPECT_CALL("gt", "[{\"set\": []}, {}]", "true");
    EXPECT_CALL("gte", "[\"a\", \"b\"]", "false");
    EXPECT_CALL("to_number", "[null]", "0");
    EXPECT_CALL("to_number", "[true]", "1");
    EXPECT_CALL("to_number", "[\"-1.50\"]", "-1.50");
    EXPECT_CALL("to_number", "[\"+.5e1\"]", "0.5e1");
    EXPECT_CALL("to_number", "[\"007.\"]", "7");
    EXPECT_CALL("to_number", "[\"broken\"]", "error: strconv.ParseFloat: parsing \"broken\": invalid syntax");
    EXPECT_CALL("to_number", "[\"\"]", "error: strconv.ParseFloat: parsing \"\": invalid syntax");
    EXPECT_CALL("to_number", "[\"1e999\"]", "error: strconv.ParseFloat: parsing \"1e999\": value out of range");
    EXPECT_CALL("to_number", "[\"-Infinity\"]", "type error: operand 1 must be valid number string but got string");
    EXPECT_CALL("to_number", "[[]]", "type error: operand 1 must be one of {null, boolean, number, string} but got array");
    EXPECT_CALL("cast_array", "[{\"set\": [2, 1]}]", "[1, 2]");
    EXPECT_CALL("cast_set", "[[1, 1]]", "{1}");
    EXPECT_CALL("cast_string", "[1]", "type error: operand 1 must be string but got number");
    EXPECT_CALL("cast_object", "[{}]", "{}");
}

TEST(objects) {
    EXPECT_CALL("object.get", "[{\"a\": {\"b\": [1]}}, [\"a\", \"b\", 0], 5]", "1");
    EXPECT_CALL("object.get", "[{\"a\": 1}, \"b\", 5]", "5");
    EXPECT_CALL("object.get", "[{\"a\": 1}, [], 5]", "{\"a\": 1}");
    EXPECT_CALL("object.get", "[1, 1, 1]", "type error: operand 1 must be object but got number");
    EXPECT_CALL("object.keys", "[{\"a\": 1, \"b\": 2}]", "{\"a\", \"b\"}");
    EXPECT_CALL("object.remove", "[{\"a\": 1, \"b\": 2}, [\"a\"]]", "{\"b\": 2}");
    EXPECT_CALL("object.remove", "[{\"a\": 1, \"b\": 2}, {\"a\": 9}]", "{\"b\": 2}");
    EXPECT_CALL("object.filter", "[{\"a\": 1, \"b\": 2}, {\"set\": [\"a\", \"z\"]}]", "{\"a\": 1}");
    EXPECT_CALL("object.filter", "[{}, 1]", "type error: operand 2 must be one of {object, set, array} but got number");
    EXPECT_CALL("object.union", "[{\"a\": 1, \"c\": {\"d\": 3}}, {\"a\": 7, \"c\": {\"d\": 4, \"e\": 5}}]",
                "{\"a\": 7, \"c\": {\"d\": 4, \"e\": 5}}");
    EXPECT_CALL("object.union_n", "[[{\"a\": {\"b\": 2}}, {\"a\": 4}, {\"a\": {\"c\": 3}}]]", "{\"a\": {\"c\": 3}}");
    EXPECT_CALL("object.union_n", "[[{}, 1]]", "type error: operand 1 must be array of objects but got array containing number");
    EXPECT_CALL("object.subset", "[{\"a\": {\"b\": [1, 2, 3]}, \"c\": 1}, {\"a\": {\"b\": [2, 3]}}]", "true");
    EXPECT_CALL("object.subset", "[{\"a\": 1}, {\"a\": 2}]", "false");
    EXPECT_CALL("object.subset", "[[1, 2, 3], {\"set\": [3, 1]}]", "true");
    EXPECT_CALL("object.subset", "[[1, 2, 1], [2, 1]]", "true");
    EXPECT_CALL("object.subset", "[{\"set\": [1]}, {\"set\": [1, 2]}]", "false");
    EXPECT_CALL("object.subset", "[[1], {}]", "type error: both arguments object.subset must be of the same type or array and set");
}

TEST(json_paths) {
    EXPECT_CALL("json.filter", "[{\"a\": {\"b\": 1, \"c\": 2}, \"d\": 3}, [\"a/b\", \"d\"]]", "{\"a\": {\"b\": 1}, \"d\": 3}");
    EXPECT_CALL("json.filter", "[{\"a\": [1, 2, 3]}, [\"a/2\", \"a/0\"]]", "{\"a\": [1, 3]}");
    EXPECT_CALL("json.filter", "[{\"a\": {\"b\": 1}}, [\"a/b\", \"a\"]]", "{\"a\": {\"b\": 1}}");
    EXPECT_CALL("json.filter", "[{\"a~/b\": 1}, [\"a~0~1b\"]]", "{\"a~/b\": 1}");
    EXPECT_CALL("json.remove", "[{\"a\": {\"b\": 1, \"c\": 2}}, [\"a/b\"]]", "{\"a\": {\"c\": 2}}");
    EXPECT_CALL("json.remove", "[{\"a\": [1, 2, 3]}, {\"set\": [[\"a\", \"1\"]]}]", "{\"a\": [1, 3]}");
    EXPECT_CALL("json.remove", "[{\"a\": 1}, [\"\"]]", "{\"a\": 1}");
    EXPECT_CALL("json.remove", "[{\"a\": 1}, \"a\"]", "type error: operand 2 must be one of {set, array} but got string");
    EXPECT_CALL("json.remove", "[{\"a\": 1}, [1]]",
                "type error: operand 2 must be one of {set, array} containing string paths or array of path segments but got number");
}

TEST(json_patches) {
    EXPECT_CALL("json.patch", "[{\"a\": {\"foo\": 1}}, [{\"op\": \"add\", \"path\": \"/a/bar\", \"value\": 2}]]", "{\"a\": {\"bar\": 2, \"foo\": 1}}");
    EXPECT_CALL("json.patch", "[[1, 2], [{\"op\": \"add\", \"path\": \"/1\", \"value\": 9}, {\"op\": \"add\", \"path\": \"-\", \"value\": 8}]]", "[1, 9, 2, 8]");
    EXPECT_CALL("json.patch", "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"a\"}]]", "{}");
    EXPECT_CALL("json.patch", "[{\"a\": 1}, [{\"op\": \"remove\", \"path\": \"b\"}]]", "undefined");
    EXPECT_CALL("json.patch", "[{\"a\": 1}, [{\"op\": \"replace\", \"path\": \"\", \"value\": 3}]]", "3");
    EXPECT_CALL("json.patch", "[{\"a\": [1]}, [{\"op\": \"move\", \"from\": \"a/0\", \"path\": \"b\"}]]", "{\"a\": [], \"b\": 1}");
    EXPECT_CALL("json.patch", "[{\"a\": [1]}, [{\"op\": \"copy\", \"from\": \"a\", \"path\": \"b\"}]]", "{\"a\": [1], \"b\": [1]}");
    EXPECT_CALL("json.patch", "[{\"a\": 1}, [{\"op\": \"test\", \"path\": \"a\", \"value\": 1}]]", "{\"a\": 1}");
    EXPECT_CALL("json.patch", "[{\"a\": 1}, [{\"op\": \"test\", \"path\": \"a\", \"value\": 2}]]", "undefined");
    EXPECT_CALL("json.patch", "[{\"set\": [1]}, [{\"op\": \"add\", \"path\": [2], \"value\": 2}]]", "{1, 2}");
    EXPECT_CALL("json.patch", "[{\"set\": [1]}, [{\"op\": \"add\", \"path\": [2], \"value\": 3}]]", "undefined");
    EXPECT_CALL("json.patch", "[[0], [{\"op\": \"add\", \"path\": \"01\", \"value\": 3}]]", "undefined");
    EXPECT_CALL("json.patch", "[[0], [7]]", "undefined");
    EXPECT_CALL("json.patch", "[[0], {}]", "type error: operand 2 must be array but got object");
}

TEST(units) {
    EXPECT_CALL("units.parse", "[\"10K\"]", "10000");
    EXPECT_CALL("units.parse", "[\"500m\"]", "0.5000000000");
    EXPECT_CALL("units.parse", "[\"0.0005K\"]", "0.5000000000");
    EXPECT_CALL("units.parse", "[\"1.5Ki\"]", "1536");
    EXPECT_CALL("units.parse", "[\"-1e-3\"]", "-0.0010000000");
    EXPECT_CALL("units.parse", "[\"1e-30\"]", "0.0000000000");
    EXPECT_CALL("units.parse", "[\"1.99999999999\"]", "2.0000000000");
    EXPECT_CALL("units.parse", "[\"0m\"]", "0");
    EXPECT_CALL("units.parse", "[\"\\\"100TI\\\"\"]", "109951162777600");
    EXPECT_CALL("units.parse", "[\"\"]", "error: units.parse: no amount provided");
    EXPECT_CALL("units.parse", "[\"G\"]", "error: units.parse: no amount provided");
    EXPECT_CALL("units.parse", "[\"12 G\"]", "error: units.parse: spaces not allowed in resource strings");
    EXPECT_CALL("units.parse", "[\"1FOO\"]", "error: units.parse: unit Foo not recognized");
    EXPECT_CALL("units.parse", "[\"0.0.0\"]", "error: units.parse: could not parse amount to a number");
    EXPECT_CALL("units.parse", "[\"1e1000000\"]", "error: units.parse: exponent too large");
    EXPECT_CALL("units.parse", "[\"1e999999\"]", "error: number is too large");
    EXPECT_CALL("units.parse_bytes", "[\"1.1KiB\"]", "1126");
    EXPECT_CALL("units.parse_bytes", "[\"10EiB\"]", "11529215046068469760");
    EXPECT_CALL("units.parse_bytes", "[\"1.5\"]", "1");
    EXPECT_CALL("units.parse_bytes", "[\"1e-99\"]", "0");
    EXPECT_CALL("units.parse_bytes", "[\"foo\"]", "error: units.parse_bytes: no byte amount provided");
    EXPECT_CALL("units.parse_bytes", "[\"1.\"]", "1");
    EXPECT_CALL("units.parse_bytes", "[\"1zb\"]", "error: units.parse_bytes: byte unit zb not recognized");
}

TEST(network_blocks) {
    EXPECT_CALL("net.cidr_contains", "[\"10.0.0.0/8\", \"10.1.2.3\"]", "true");
    EXPECT_CALL("net.cidr_contains", "[\"10.0.0.0/8\", \"10.1.0.0/16\"]", "true");
    EXPECT_CALL("net.cidr_contains", "[\"10.1.0.0/16\", \"10.0.0.0/8\"]", "false");
    EXPECT_CALL("net.cidr_contains", "[\"::/0\", \"10.0.0.1\"]", "false");
    EXPECT_CALL("net.cidr_contains", "[\"::ffff:10.0.0.0/104\", \"10.9.9.9\"]", "true");
    EXPECT_CALL("net.cidr_contains", "[\"2001:db8::/32\", \"2001:db8::1\"]", "true");
    EXPECT_CALL("net.cidr_contains", "[\"10.0.0.0\", \"10.1.2.3\"]", "error: invalid CIDR address: 10.0.0.0");
    EXPECT_CALL("net.cidr_contains", "[\"10.0.0.0/8\", \"x\"]",
                "error: not a valid textual representation of an IP address or CIDR: x");
    EXPECT_CALL("net.cidr_overlap", "[\"10.0.0.0/8\", \"10.1.2.3/32\"]", "true");
    EXPECT_CALL("net.cidr_intersects", "[\"192.168.0.0/16\", \"192.168.1.0/24\"]", "true");
    EXPECT_CALL("net.cidr_intersects", "[\"192.168.0.0/24\", \"192.168.1.0/24\"]", "false");
    EXPECT_CALL("net.cidr_is_valid", "[\"192.168.0.0/33\"]", "false");
    EXPECT_CALL("net.cidr_is_valid", "[\"1:2:3:4:5:6:7::/64\"]", "true");
    EXPECT_CALL("net.cidr_is_valid", "[\"1:2:3:4:5:6:7:8:9/64\"]", "false");
    EXPECT_CALL("net.cidr_is_valid", "[\"1::2::3/64\"]", "false");
    EXPECT_CALL("net.cidr_is_valid", "[\"010.0.0.0/8\"]", "false");
    EXPECT_CALL("net.cidr_is_valid", "[7]", "false");
    EXPECT_CALL("net.cidr_expand", "[\"192.168.1.1/30\"]",
                "{\"192.168.1.0\", \"192.168.1.1\", \"192.168.1.2\", \"192.168.1.3\"}");
    EXPECT_CALL("net.cidr_expand", "[\"255.255.255.255/32\"]", "{\"255.255.255.255\"}");
    EXPECT_CALL("net.cidr_expand", "[\"::/0\"]", "memory");
    EXPECT_CALL("net.cidr_contains_matches", "[[\"10.0.0.0/8\", \"1.1.1.0/24\"], {\"x\": \"10.1.1.1\"}]", "{[0, \"x\"]}");
    EXPECT_CALL("net.cidr_contains_matches", "[\"10.0.0.0/8\", [[]]]",
                "error: operand 2: element must be string or non-empty array");
    EXPECT_CALL("net.cidr_merge", "[[\"192.0.128.0/24\", \"192.0.129.0/24\"]]", "{\"192.0.128.0/23\"}");
    EXPECT_CALL("net.cidr_merge", "[{\"set\": [\"10.0.0.0/8\", \"10.1.0.0/16\"]}]", "{\"10.0.0.0/8\"}");
    EXPECT_CALL("net.cidr_merge", "[[\"192.0.2.1/32\", \"192.0.2.2/32\", \"192.0.2.3/32\"]]", "{\"192.0.2.1/32\", \"192.0.2.2/31\"}");
    EXPECT_CALL("net.cidr_merge", "[[\"2001:db8::/33\", \"2001:db8:8000::/33\"]]", "{\"2001:db8::/32\"}");
    EXPECT_CALL("net.cidr_merge", "[[\"10.1.2.3\"]]", "{\"10.1.2.3/8\"}");
    EXPECT_CALL("net.cidr_merge", "[[\"::1\"]]", "error: IPv6 invalid: needs prefix length");
    EXPECT_CALL("net.cidr_merge", "[[]]", "set()");
    EXPECT_CALL("net.lookup_ip_addr", "[\"::0001\"]", "{\"::1\"}");
    EXPECT_CALL("net.lookup_ip_addr", "[\"1:0:0:2:0:0:0:3\"]", "{\"1:0:0:2::3\"}");
    EXPECT_CALL("net.lookup_ip_addr", "[\"1:0:0:0:0:0:0:0\"]", "{\"1::\"}");
    EXPECT_CALL("net.lookup_ip_addr", "[\"localhost\"]", "{\"127.0.0.1\", \"::1\"}");
    EXPECT_CALL("net.lookup_ip_addr", "[\"x.invalid\"]", "error: lookup x.invalid: no such host");
}

TEST(graphs) {
    EXPECT_CALL("graph.reachable", "[{\"a\": [\"b\"], \"b\": {\"set\": [\"a\", \"c\"]}, \"d\": []}, [\"a\"]]", "{\"a\", \"b\"}");
    EXPECT_CALL("graph.reachable", "[{\"a\": null}, {\"set\": [\"a\", \"z\"]}]", "{\"a\"}");
    EXPECT_CALL("graph.reachable", "[{}, 1]", "type error: operand 2 must be {array, set} but got number");
    EXPECT_CALL("graph.reachable_paths", "[{\"a\": [\"b\", \"c\"], \"b\": [], \"c\": [\"a\", \"z\"]}, [\"a\"]]", "{[\"a\", \"b\"], [\"a\", \"c\"]}");
    EXPECT_CALL("graph.reachable_paths", "[{\"a\": [\"a\"]}, [\"a\"]]", "{[\"a\", \"a\"]}");
    EXPECT_CALL("graph.reachable_paths", "[{\"a\": []}, [\"a\", \"q\"]]", "{[\"a\"]}");
    EXPECT_CALL("walk", "[{\"a\": [1]}]", "[[[], {\"a\": [1]}], [[\"a\"], [1]], [[\"a\", 0], 1]]");
    EXPECT_CALL("walk", "[{\"set\": [[2]]}]", "[[[], {[2]}], [[[2]], [2]], [[[2], 0], 2]]");
}

TEST(versions_and_identifiers) {
    EXPECT_CALL("semver.compare", "[\"1.0.0\", \"1.0.0\"]", "0");
    EXPECT_CALL("semver.compare", "[\"v1.2.3-alpha.1\", \"1.2.3-alpha.beta\"]", "-1");
    EXPECT_CALL("semver.compare", "[\"1.2.3\", \"1.2.3-rc\"]", "1");
    EXPECT_CALL("semver.compare", "[\"1.2.3-a\", \"1.2.3-a.b\"]", "-1");
    EXPECT_CALL("semver.compare", "[\"1.2.3-10\", \"1.2.3-9\"]", "1");
    EXPECT_CALL("semver.compare", "[\"1\", \"1.0.0\"]", "error: operand 1: string \"1\" is not a valid SemVer");
    EXPECT_CALL("semver.is_valid", "[\"1.1.12-rc1+foo\"]", "true");
    EXPECT_CALL("semver.is_valid", "[\"1.1.12-rc..1\"]", "false");
    EXPECT_CALL("semver.is_valid", "[1]", "false");
    EXPECT_CALL("uuid.parse", "[\"00000000-0000-1000-8000-000000000000\"]",
                "{\"clocksequence\": 0, \"macvariables\": \"global:unicast\", \"nodeid\": \"00-00-00-00-00-00\", \"time\": 6227451273709551616, \"variant\": \"RFC4122\", \"version\": 1}");
    EXPECT_CALL("uuid.parse", "[\"{f47ac10b-58cc-4372-a567-0e02b2c3d479}\"]", "{\"variant\": \"RFC4122\", \"version\": 4}");
    EXPECT_CALL("uuid.parse", "[\"urn:uuid:f47ac10b-58cc-4372-a567-0e02b2c3d479\"]", "{\"variant\": \"RFC4122\", \"version\": 4}");
    EXPECT_CALL("uuid.parse", "[\"nonsense\"]", "undefined");
    EXPECT_CALL("uuid.rfc4122", "[\"a\"]", "\"254a6f94-b9de-4328-8d72-97bce1062b50\"");
    EXPECT_CALL("rand.intn", "[\"a\", 0]", "0");
    EXPECT_CALL("rand.intn", "[\"a\", 1]", "0");
    test_evaluation = (struct evaluation){0};
}

TEST(surroundings) {
    test_evaluation.now_ns = 1234;
    EXPECT_CALL("time.now_ns", "[]", "1234");
    EXPECT_CALL("opa.runtime", "[]", "{}");
    EXPECT_CALL("trace", "[\"note\"]", "true");
    EXPECT_CALL("trace", "[1]", "type error: operand 1 must be string but got number");
    EXPECT_CALL("internal.print", "[[{\"set\": [\"a\"]}, {\"set\": []}, {\"set\": [[1]]}]]", "true");
    EXPECT_STR(test_evaluation.printed, S("a <undefined> [1]"));
    EXPECT_CALL("internal.print", "[[{\"set\": [1, 2]}, {\"set\": [3, 4]}]]", "true");
    EXPECT_STR(test_evaluation.printed, S("2 4"));
    EXPECT_CALL("internal.print", "[[]]", "true");
    EXPECT_CALL("internal.print", "[[{}]]", "halt: illegal argument type: object");
    EXPECT_CALL("internal.template_string", "[[\"a\", 1, {\"set\": [\"b\"]}, {\"set\": []}]]", "\"a1b<undefined>\"");
    EXPECT_CALL("internal.template_string", "[[{\"set\": [1, 2]}]]", "halt: template-strings must not produce multiple outputs");
    EXPECT_CALL("internal.test_case", "[[]]", "true");
    EXPECT_CALL("test.sleep", "[\"10ms\"]", "null");
    test_evaluation = (struct evaluation){0};
    EXPECT_CALL("opa.runtime", "[]", "{}");
}

/* Every builtin is given every kind at each place, with much memory and with little: no crash, and
 * an answer, an error or a full heap. */
TEST(any_kind_of_argument_is_survived) {
    static const char *const kinds[] = {"null", "true", "-7", "1.5", "\"a.b\"", "[1, \"x\", [2]]", "{\"a\": {\"b\": 1}}",
                                        "{\"set\": [\"s\", 2]}", "\"\"", "[]", "1e300", "99999999999999999999999"};
    char args[256];
    for (u32 i = 0; i < builtins_count; i++)
        for (u32 first = 0; first < ARRAY_LEN(kinds); first++)
            for (u32 other = 0; other < ARRAY_LEN(kinds) && builtins[i].fn; other++) {
                size_t n = 0;
                n += (size_t)snprintf(args, sizeof(args), "[%s", builtins[i].arity ? kinds[first] : "");
                for (u32 k = 1; k < builtins[i].arity; k++)
                    n += (size_t)snprintf(args + n, sizeof(args) - n, ", %s", kinds[(other + k - 1) % ARRAY_LEN(kinds)]);
                snprintf(args + n, sizeof(args) - n, "]");
                for (u32 small = 0; small < 2; small++) {
                    test_evaluation = (struct evaluation){.ticks_max = 100000};
                    EXPECT(test_answer(builtins[i].name, args, small ? 64 : KIB(256)) != NULL);
                    for (u32 k = 0; k < test_evaluation.cache_count; k++)
                        test_evaluation.cache[k].drop(test_evaluation.cache[k].thing);
                }
                if (builtins[i].arity < 2) break;
            }
    test_evaluation = (struct evaluation){0};
}
