# SPDX-License-Identifier: Apache-2.0
"""deps, check, parse, capabilities: what is said about policies without asking them."""
import json

from run import Command


class Deps(Command):
    def test_documented_example(self):
        self.write("p.rego", 'package policy\n\nallow if is_admin\n\nis_admin if "admin" in input.user.roles\n')
        self.assertEqual(self.run_verb("deps", "-d", "p.rego", "data.policy.allow"),
                         "┌──────────────────┬──────────────────────┐\n"
                         "│  BASE DOCUMENTS  │  VIRTUAL DOCUMENTS   │\n"
                         "├──────────────────┼──────────────────────┤\n"
                         "│ input.user.roles │ data.policy.allow    │\n"
                         "│                  │ data.policy.is_admin │\n"
                         "└──────────────────┴──────────────────────┘\n")

    def test_json_and_dynamic_refs(self):
        self.write("p.rego", "package p\n\nq contains x if {\n\tx := data.users[i].name\n\tdata.roles[x][i]\n\tf(x)\n}\n\n"
                             "f(x) if data.flags[x]\n\nr := 1\n")
        out = self.run_json("deps", "-d", "p.rego", "-f", "json", "data.p.q[z]")
        path = lambda ref: ".".join(t["value"] for t in ref)
        self.assertEqual([path(r) for r in out["base"]], ["data.flags", "data.roles", "data.users"])
        self.assertEqual([path(r) for r in out["virtual"]], ["data.p.f", "data.p.q"])
        self.assertEqual(out["base"][0][0], {"type": "var", "value": "data"})

    def test_edges(self):
        self.assertEqual(self.run_verb("deps", "1 == 1"), "")
        self.assertEqual(self.run_verb("deps", "-f", "json", "1 == 1"), "{}\n")
        self.assertIn("│ data.x         │", self.run_verb("deps", "data.x[y]"))
        self.assertIn("│ input.a        │", self.run_verb("deps", "x = input.a; x.b.c; x.d"))
        self.run_verb("deps", "1 +", status=1)
        self.run_verb("deps", status=2)


class Check(Command):
    def test_errors(self):
        self.write("bad.rego", "package a\n\np if x\n")
        self.assertEqual(self.run_verb("check", "bad.rego", status=1), "")
        self.assertEqual(self.stderr, "1 error occurred: bad.rego:3: rego_unsafe_var_error: var x is unsafe\n")
        self.run_verb("check", "-f", "json", "bad.rego", status=1)
        self.assertEqual(json.loads(self.stderr)["errors"][0]["location"], {"file": "bad.rego", "row": 3, "col": 6})
        self.run_verb("check", "--ignore", "bad*", ".")
        self.run_verb("check", status=2)

    def test_strict_schema_capabilities(self):
        self.write("a.rego", 'package a\n\nimport data.x\n\np if upper(input.name) == "A"\n')
        self.run_verb("check", "a.rego")
        self.run_verb("check", "--strict", "a.rego", status=1)
        self.assertIn("import data.x unused", self.stderr)
        self.write("schema.json", '{"type": "object", "properties": {"name": {"type": "number"}}}')
        self.run_verb("check", "-s", "schema.json", "a.rego", status=1)
        self.assertIn("rego_type_error", self.stderr)
        self.write("caps.json", '{"builtins": [], "features": ["rego_v1"]}')
        self.run_verb("check", "--capabilities", "caps.json", "a.rego", status=1)
        self.assertIn("undefined function upper", self.stderr)

    def test_max_errors(self):
        self.write("many.rego", "package a\n" + "".join(f"p{i} if x{i}\n" for i in range(20)))
        self.run_verb("check", "-m", "2", "many.rego", status=1)
        few = self.stderr.count("is unsafe")
        self.run_verb("check", "-m", "0", "many.rego", status=1)
        self.assertEqual((few, self.stderr.count("is unsafe")), (2, 20))


class Parse(Command):
    SOURCE = ('package foo.bar\n\nimport data.baz as qux\n\np[x] = y if {\n\tx = a + b\n'
              '\ty = {"foo": [{1, null}, true]}\n}\n\nf(x) = g(x)\n')

    def test_pretty(self):
        self.write("a.rego", self.SOURCE)
        self.assertEqual(self.run_verb("parse", "a.rego"), """module
 package
  ref
   data
   "foo"
   "bar"
 import
  ref
   data
   "baz"
  qux
 rule
  head
   ref
    p
    x
   y
  body
   expr index=0
    ref
     eq
    x
    call
     ref
      plus
     a
     b
   expr index=1
    ref
     eq
    y
    object
     "foo"
     array
      set
       null
       1
      true
 rule
  head
   ref
    f
   args
    x
   call
    ref
     g
    x
  body
   expr index=0
    true
""")

    def test_json(self):
        self.write("a.rego", "# about\npackage a\n\np := 1\n")
        tree = self.run_json("parse", "-f", "json", "a.rego")
        self.assertEqual(tree["package"]["path"][1], {"type": "string", "value": "a"})
        self.assertIn("comments", tree)
        self.assertNotIn("location", tree["rules"][0])
        tree = self.run_json("parse", "-f", "json", "--json-include", "locations,-comments", "a.rego")
        self.assertNotIn("comments", tree)
        self.assertEqual(tree["rules"][0]["location"]["row"], 4)

    def test_errors(self):
        self.write("bad.rego", "package a\n\np := \n")
        self.assertEqual(self.run_verb("parse", "bad.rego", status=1), "")
        self.assertEqual(json.loads(self.stderr)["errors"][0]["code"], "rego_parse_error")


class Capabilities(Command):
    def test_current(self):
        caps = self.run_json("capabilities", "--current")
        by_name = {b["name"]: b for b in caps["builtins"]}
        self.assertGreaterEqual(len(by_name), 206)
        self.assertEqual(by_name["plus"], {"name": "plus", "infix": "+", "decl": {
            "type": "function", "args": [{"type": "number"}, {"type": "number"}], "result": {"type": "number"}}})
        self.assertTrue(by_name["walk"]["relation"])
        self.assertTrue(by_name["time.now_ns"]["nondeterministic"])
        self.assertIn("rego_v1", caps["features"])
        self.assertEqual(sorted(by_name), [b["name"] for b in caps["builtins"]])
        self.write("caps.json", json.dumps(caps))
        self.assertEqual(self.run_verb("eval", "--capabilities", "caps.json", "-f", "raw", 'upper("a")'), "A\n")
        self.assertEqual(self.run_json("capabilities", "--file", "caps.json"), caps)

    def test_versions(self):
        version = self.run_verb("capabilities").strip()
        self.assertRegex(version, r"^v\d+\.\d+\.\d+$")
        self.assertIn("builtins", self.run_json("capabilities", "--version", version))
        self.run_verb("capabilities", "--version", "v0.0.1", status=1)
