# SPDX-License-Identifier: Apache-2.0
"""eval: formats, and what is shown beside the answer."""
import re

from run import Command

POLICY = """package t

default allow := false

allow if {
	some r in input.roles
	r == "admin"
}

deny contains msg if {
	x := input.xs[_]
	x > 1
	trace("seen")
	msg := sprintf("bad %d", [x])
}

unused if input.never
"""
INPUT = '{"roles": ["u", "admin"], "xs": [1, 2]}'


class Eval(Command):
    def setUp(self):
        super().setUp()
        self.write("p.rego", POLICY)
        self.write("in.json", INPUT)
        self.given = ["eval", "-d", "p.rego", "-i", "in.json"]

    def test_json(self):
        self.assertEqual(self.run_json("eval", "x := 1; y := [x, 2]"), {"result": [{
            "expressions": [
                {"value": True, "text": "x := 1", "location": {"row": 1, "col": 1}},
                {"value": True, "text": "y := [x, 2]", "location": {"row": 1, "col": 9}}],
            "bindings": {"x": 1, "y": [1, 2]}}]})
        self.assertEqual(self.run_verb("eval", "data.none"), "{}\n")

    def test_other_formats(self):
        query = 'x := [1, "b"][_]'
        self.assertEqual(self.run_verb("eval", "-f", "bindings", query), '{\n  "x": 1\n}\n{\n  "x": "b"\n}\n')
        self.assertEqual(self.run_verb("eval", "-f", "values", "[1]"), "[\n  [\n    1\n  ]\n]\n")
        self.assertEqual(self.run_verb("eval", "-f", "raw", '"a"'), "a\n")
        self.assertEqual(self.run_verb("eval", "-f", "raw", '["a", {"b": 1}]'), '["a",{"b":1}]\n')
        self.assertEqual(self.run_verb("eval", "-f", "pretty", "data.none"), "undefined\n")
        self.assertEqual(self.run_verb("eval", "-f", "pretty", '{"a": 1}'), '{\n  "a": 1\n}\n')
        self.assertEqual(self.run_json("eval", "-f", "discard", "1"), {"result": "discarded"})
        self.run_verb("eval", "-f", "yaml", "1", status=2)

    def test_table(self):
        self.assertEqual(self.run_verb("eval", "-f", "pretty", 'x := ["é", "abc"][i]'),
                         "┌───┬───────┐\n│ i │   x   │\n├───┼───────┤\n"
                         '│ 0 │ "é"   │\n│ 1 │ "abc" │\n└───┴───────┘\n')

    def test_status(self):
        self.run_verb("eval", "--fail", "data.none", status=1)
        self.run_verb("eval", "--fail", "false")
        self.run_verb("eval", "--fail-defined", "1", status=1)
        self.run_verb("eval", "1 +", status=2)
        self.run_verb("eval", "--fail", "--fail-defined", "1", status=2)

    def test_query_from_stdin(self):
        self.assertEqual(self.run_verb("eval", "--stdin", "-f", "raw", given="1 + 2"), "3\n")
        self.assertEqual(self.run_verb("eval", "-I", "-f", "raw", "input.a", given='{"a": 7}'), "7\n")
        self.run_verb("eval", "--stdin", "1", status=2)

    def test_package_and_import(self):
        self.assertEqual(self.run_verb(*self.given, "--package", "t", "-f", "raw", "allow"), "true\n")
        self.assertEqual(self.run_verb(*self.given, "--import", "data.t.deny", "-f", "raw", "deny"), '["bad 2"]\n')
        self.run_verb("eval", "--import", "1x", "1", status=2)

    def test_builtin_errors(self):
        out = self.run_json("eval", "--show-builtin-errors", "1 / 0")
        self.assertEqual([e["message"] for e in out["errors"]], ["div: divide by zero"])
        out = self.run_json("eval", "--strict-builtin-errors", "1 / 0", status=2)
        self.assertEqual(out["errors"][0]["code"], "eval_builtin_error")
        self.assertEqual(self.run_verb("eval", "1 / 0"), "{}\n")

    def test_details_of_type_errors(self):
        def details(query):
            return self.run_json("eval", query, status=2)["errors"][0]["details"]

        def term(kind, of):
            return {"type": kind, "value": of}

        def known(kind):
            return {"type": "object", "static": [{"key": "a", "value": {"type": kind}}]}

        got = details('x := {{"a": 2}}; x[{"a": "b"}]')
        self.assertEqual(got, {
            "have": known("string"), "want": known("number"), "oneOf": None, "pos": 1,
            "ref": [term("var", "x"), term("object", [[term("string", "a"), term("string", "b")]])]})
        got = details('x := {"a": 1, "c": 2}; x.b')
        self.assertEqual(got, {"want": {"type": "string"}, "oneOf": ["a", "c"], "pos": 1,
                               "ref": [term("var", "x"), term("string", "b")]})
        got = details("x := [1]; x[0].b")
        self.assertEqual(got, {"have": {"type": "number"}, "pos": 1,
                               "ref": [term("var", "x"), term("number", 0), term("string", "b")]})
        self.assertEqual(details('{"a": 1} = {"a": "b"}'), {"a": known("number"), "b": known("string")})

    def test_schema(self):
        schema = '{"type": "object", "properties": {"a": {"type": "number"}}, "additionalProperties": false}'
        self.write("schema.json", schema)
        self.write("schemas/mine/in.json", schema)
        self.write("s.rego", "package s\n# METADATA\n# schemas:\n#   - input: schema.mine.in\np if input.b\n")
        out = self.run_json("eval", "-s", "schema.json", "input.b", status=2)
        self.assertEqual(out["errors"][0]["code"], "rego_type_error")
        out = self.run_json("eval", "-d", "s.rego", "-s", "schemas", "data.s.p", status=2)
        self.assertIn("undefined ref: input.b", out["errors"][0]["message"])
        self.run_verb("eval", "-s", "none.json", "1", status=2)

    def test_capabilities(self):
        self.write("caps.json", '{"builtins": [{"name": "plus", "decl": {"type": "function"}, "infix": "+"}]}')
        self.assertEqual(self.run_verb("eval", "--capabilities", "caps.json", "-f", "raw", "1 + 1"), "2\n")
        out = self.run_json("eval", "--capabilities", "caps.json", 'upper("a")', status=2)
        self.assertIn("undefined function upper", out["errors"][0]["message"])
        self.run_verb("eval", "--capabilities", "v9.9", "1", status=2)

    def test_explain_full(self):
        out = self.run_verb(*self.given, "--explain", "full", "-f", "pretty", "data.t.allow")
        self.assertEqual(out, """query:1      Enter data.t.allow = _
query:1      | Eval data.t.allow = _
query:1      | Index data.t.allow (matched 1 rule, early exit)
p.rego:5     | Enter data.t.allow
p.rego:6     | | Eval r = input.roles[__local0__]
p.rego:7     | | Eval r = "admin"
p.rego:7     | | Fail r = "admin"
p.rego:6     | | Redo r = input.roles[__local0__]
p.rego:7     | | Eval r = "admin"
p.rego:5     | | Exit data.t.allow early
query:1      | Exit data.t.allow = _
query:1      Redo data.t.allow = _
query:1      | Redo data.t.allow = _
p.rego:5     | Redo data.t.allow
p.rego:7     | | Redo r = "admin"
p.rego:6     | | Redo r = input.roles[__local0__]
true
""")

    def test_explain_modes(self):
        fails = self.run_verb(*self.given, "--explain=fails", "-f", "pretty", "data.t.allow")
        self.assertEqual(fails, """query:1      Enter data.t.allow = _
p.rego:5     | Enter data.t.allow
p.rego:7     | | Fail r = "admin"
true
""")
        notes = self.run_verb(*self.given, "--explain", "notes", "-f", "pretty", "data.t.deny")
        self.assertTrue(notes.startswith("""query:1       Enter data.t.deny = _
p.rego:10     | Enter data.t.deny
p.rego:13     | | Note "seen"
"""), notes)
        self.assertEqual(self.run_verb(*self.given, "--explain", "off", "-f", "raw", "data.t.allow"), "true\n")
        self.run_verb(*self.given, "--explain", "some", "1", status=2)

    def test_explain_json(self):
        steps = self.run_json(*self.given, "--explain", "full", "data.t.allow")["explanation"]
        self.assertEqual([s["Op"] for s in steps[:5]], ["Enter", "Eval", "Index", "Enter", "Eval"])
        self.assertEqual([(s["QueryID"], s["ParentID"]) for s in steps[:4]], [(0, 0), (0, 0), (0, 0), (1, 0)])
        self.assertEqual(steps[3]["Location"], {"file": "p.rego", "row": 5, "col": 1})
        redo = [s for s in steps if s["Op"] == "Redo" and s["QueryID"] == 1 and "terms" in s["Node"]][-1]
        names = {k: v["name"] for k, v in redo["LocalMetadata"].items()}
        self.assertEqual({names[x["name"]]: x["value"] for x in redo["Locals"]}.get("r"), "admin")

    def test_var_values(self):
        out = self.run_verb(*self.given, "--explain", "full", "--var-values", "-f", "pretty", "data.t.deny[x]")
        self.assertRegex(out, r"p\.rego:12 +\| \| Fail gt\(x, 1\) +\{x: 1\}\n")
        self.assertRegex(out, r"p\.rego:11 +\| \| Redo x = input\.xs\[_\] +\{_: 0, x: 1\}\n")

    def test_profile(self):
        rows = self.run_json(*self.given, "--profile", "data.t")["profile"]
        by_line = {r["location"]["row"]: r for r in rows if r["location"]["file"] == "p.rego"}
        self.assertEqual((by_line[12]["num_eval"], by_line[12]["num_redo"], by_line[12]["num_gen_expr"]), (2, 1, 1))
        self.assertTrue(all(r["total_time_ns"] >= 0 for r in rows))
        times = [r["total_time_ns"] for r in rows]
        self.assertEqual(times, sorted(times, reverse=True))
        rows = self.run_json(*self.given, "--profile-sort", "line", "--profile-limit", "2", "data.t")["profile"]
        self.assertEqual([r["location"]["row"] for r in rows], [17, 14])
        out = self.run_verb(*self.given, "--profile", "-f", "pretty", "data.t.allow")
        self.assertIn("│ Num Eval │ Num Redo │ Num Gen Expr │", out)

    def test_count(self):
        out = self.run_json(*self.given, "--profile", "--count", "3", "data.t.allow")
        self.assertNotIn("metrics", out)
        stats = out["aggregated_metrics"]["timer_rego_query_eval_ns"]
        self.assertEqual(stats["count"], 3)
        self.assertTrue(stats["min"] <= stats["median"] <= stats["99%"] <= stats["max"])
        self.assertEqual(out["aggregated_profile"][0]["total_time_ns_stats"]["count"], 3)

    def test_metrics(self):
        metrics = self.run_json(*self.given, "--metrics", "data.t.allow")["metrics"]
        for name in ["load_files", "module_parse", "module_compile", "query_parse", "query_compile", "query_eval"]:
            self.assertGreater(metrics[f"timer_rego_{name}_ns"], 0, name)
        self.assertIn("counter_eval_steps", self.run_json("eval", "--instrument", "1")["metrics"])
        out = self.run_verb("eval", "--metrics", "-f", "pretty", "1")
        self.assertTrue(re.search(r"│ timer_rego_query_eval_ns +│ \d+ +│", out))

    def test_coverage(self):
        report = self.run_json(*self.given, "--coverage", "data.t.allow")["coverage"]
        self.assertEqual(report["files"]["p.rego"]["covered"], [{"start": {"row": 5}, "end": {"row": 7}}])
        self.assertEqual(report["files"]["p.rego"]["not_covered"], [
            {"start": {"row": 3}, "end": {"row": 3}}, {"start": {"row": 10}, "end": {"row": 14}},
            {"start": {"row": 17}, "end": {"row": 17}}])
        self.assertEqual((report["covered_lines"], report["not_covered_lines"], report["coverage"]), (3, 7, 30))
        self.assertIn("│ Overall Coverage │ 30.00 │", self.run_verb(*self.given, "--coverage", "-f", "pretty", "data.t.allow"))

    def test_folders(self):
        self.write("b/app/data.json", '{"n": 1}')
        self.write("b/app/other.json", '{"m": 2}')
        self.write("b/app/skip/data.json", '{"k": 3}')
        self.assertEqual(self.run_verb("eval", "-b", "b", "-f", "raw", "data"), '{"app":{"n":1,"skip":{"k":3}}}\n')
        self.assertEqual(self.run_verb("eval", "--ignore", "skip,other*", "-d", "b", "-f", "raw", "data"), '{"app":{"n":1}}\n')

    def test_limits(self):
        self.run_verb("eval", "--timeout", "1ms", "count([1 | numbers.range(1, 10000)[_]; numbers.range(1, 10000)[_]])", status=2)
        self.run_verb("eval", "--timeout", "soon", "1", status=2)
        self.run_verb("eval", "--target", "wasm", "1", status=2)
