/* SPDX-License-Identifier: Apache-2.0 */
/* Templates: what they print and what they refuse. */
#include "app/policy/builtin/template.c"
#include "tests/unit/policy_builtin.h"

#define OBJECT                                                                                     \
    "{\"a\":{\"b\":\"x\",\"z\":null},\"n\":5,\"list\":[\"one\",\"two\"],\"yes\":true,\"no\":"      \
    "false,\"none\":[],"                                                                           \
    "\"zero\":0,\"m\":{\"k\":1,\"j\":[1,null]},\"h\":\"<a>&'\"}"

static void renders(const char *text, const char *want) {
    static char args[4096], quoted[2048];
    snprintf(args, sizeof args, "[\"%s\"," OBJECT "]", text);
    const char *got = test_answer("strings.render_template", args, MIB(4));
    snprintf(quoted, sizeof quoted, "\"%s\"", want);
    if (strncmp(want, "error", 5)) want = quoted;
    if (strcmp(got, want)) test_fail(__FILE__, __LINE__, "%s: %s, not %s", text, got, want);
}
#define AT(place, source)                                                                          \
    "error: template: template:" place ": executing \"template\" at <" source ">: "

TEST(values_are_printed) {
    renders("", "");
    renders("plain } }} text {", "plain } }} text {");
    renders("{{.a.b}}-{{ .n }}-{{$.n}}", "x-5-5");
    renders("{{.list}} {{.m}} {{.a.z}} {{.yes}}", "[one two] map[j:[1 <nil>] k:1] <no value> true");
    renders("a {{- /* gone */ -}} b {{- .n }} {{ .n -}} \\n c", "ab5 5c");
    renders("{{\\\"q\\\\t\\\"}}{{`r`}}{{'a'}}{{-3}}{{true}}", "q\\tr97-3true");
    renders("{{(index .list 1)}} {{index .m \\\"k\\\"}} {{len .list}} {{slice .a.b 0 1}}",
            "two 1 2 x");
    renders("{{(.a).b}} {{$x := .a}}{{$x.b}}", "x x");
}

TEST(branches_and_loops) {
    renders("{{range $i, $e := .list}}{{if $i}},{{end}}{{$e}}{{end}}", "one,two");
    renders("{{range .none}}x{{else}}empty{{end}}", "empty");
    renders("{{range $k, $v := .m}}{{$k}};{{end}}", "j;k;");
    renders("{{range 3}}{{.}}{{end}}", "012");
    renders("{{range .list}}{{if eq . \\\"two\\\"}}{{break}}{{end}}{{.}}{{continue}}x{{end}}",
            "one");
    renders("{{if .no}}1{{else if .none}}2{{else if .zero}}3{{else}}4{{end}}",
            "3"); /* "0" is text */
    renders("{{with .a}}{{.b}}{{else}}no{{end}}{{with .no}}x{{else with .n}}{{.}}{{end}}", "x5");
    renders("{{$x := 1}}{{range .list}}{{$x = len .}}{{end}}{{$x}}", "3");
    renders("{{define \\\"t\\\"}}<{{.}}>{{end}}{{template \\\"t\\\" .n}}{{block \\\"u\\\" "
            ".list}}{{len .}}{{end}}",
            "<5>2");
}

TEST(functions) {
    renders("{{and .yes .n}} {{or .no .n}} {{not .no}} {{and .no .missing}}", "5 5 true false");
    renders("{{eq .n \\\"5\\\"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge \\\"b\\\" "
            "\\\"a\\\"}} {{eq 1 2 1}}",
            "true true true true false true true");
    renders("{{printf \\\"%d:%s:%q:%v\\\" 3 .n .a.b .list}}", "3:5:\\\"x\\\":[one two]");
    renders("{{print 1 2 \\\"x\\\" 3}} {{println 1 \\\"x\\\"}}", "1 2x3 1 x\\n");
    renders("{{.h | html}} {{.h | urlquery}} {{js .h}}",
            "&lt;a&gt;&amp;&#39; %3Ca%3E%26%27 \\\\u003Ca\\\\u003E\\\\u0026\\\\'");
}

TEST(errors_are_the_references) {
    renders("{{.x}}", AT("1:2", ".x") "map has no entry for key \"x\"");
    renders("a\\nb {{.a.x}}", AT("2:6", ".a.x") "map has no entry for key \"x\"");
    renders("{{.n.x}}", AT("1:4", ".n.x") "can't evaluate field x in type interface {}");
    renders("{{.a.z.x}}", AT("1:4", ".a.z.x") "nil pointer evaluating interface {}.x");
    renders("{{index .list 5}}",
            AT("1:2", "index .list 5") "error calling index: index out of range: 5");
    renders("{{eq .n 5}}",
            AT("1:2", "eq .n 5") "error calling eq: incompatible types for comparison");
    renders("{{range .n}}{{end}}", AT("1:8", ".n") "range can't iterate over 5");
    renders("{{nope}}", "error: template: template:1: function \"nope\" not defined");
    renders("{{$y}}", "error: template: template:1: undefined variable \"$y\"");
    renders("{{if .n}}", "error: template: template:1: unexpected EOF");
    renders("{{.n", "error: template: template:1: unclosed action");
    renders("{{}}", "error: template: template:1: missing value for command");
    renders("{{end}}", "error: template: template:1: unexpected {{end}}");
    renders("{{break}}", "error: template: template:1: {{break}} outside {{range}}");
    EXPECT_CALL("strings.render_template", "[\"x\",{\"a\":{\"set\":[1]}}]",
                "error: the variables of a template must be JSON");
}

TEST(what_nests_too_deeply_ends) {
    static char text[8192];
    strcpy(text, "");
    for (int i = 0; i < 100; i++) strcat(text, "{{if 1}}");
    renders(text, "error: template: template:1: templates are nested too deeply");
    strcpy(text, "{{");
    for (int i = 0; i < 100; i++) strcat(text, "(");
    renders(text, "error: template: template:1: max expression depth exceeded");
    const char *got = test_answer(
        "strings.render_template",
        "[\"{{define \\\"t\\\"}}{{template \\\"t\\\"}}{{end}}{{template \\\"t\\\"}}\",{}]", MIB(4));
    EXPECT(strstr(got, "exceeded maximum template depth"));
}
