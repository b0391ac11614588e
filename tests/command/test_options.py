# SPDX-License-Identifier: Apache-2.0
"""How options are given, what is refused and why; eval -O, bench --partial, fmt, repl's types."""
import os
import random
import re

from run import Command

POLICY = """package app

default allow := false

allow if {
	input.method == data.methods[_]
	input.user in data.admins
}
"""


class Options(Command):
    def setUp(self):
        super().setUp()
        self.write("p/app.rego", POLICY)
        self.write("p/data.json", '{"methods": ["GET"], "admins": ["ada"]}')
        self.write("in.json", '{"method": "GET", "user": "ada"}')

    def environment(self, **names):
        os.environ.update(names)
        self.addCleanup(lambda: [os.environ.pop(n, None) for n in names])

    def test_environment(self):
        self.environment(OPA_EVAL_DATA="p", OPA_EVAL_INPUT="in.json", OPA_EVAL_FORMAT="values", OPA_EVAL_FAIL_DEFINED="1")
        self.assertEqual(self.run_verb("eval", "data.app.allow", status=1), "[\n  true\n]\n")
        # What is said on the command line stands; what is empty says nothing.
        out = self.run_verb("eval", "--fail-defined=false", "-f", "raw", "data.app.allow")
        self.assertEqual(out, "true\n")
        self.environment(OPA_EVAL_FAIL_DEFINED="", OPA_CHECK_FORMAT="xml")
        self.run_verb("eval", "data.app.allow")
        self.run_verb("check", "p", status=2)
        self.assertIn('--format: not "xml"', self.stderr)
        self.environment(OPA_EVAL_FAIL_DEFINED="perhaps")
        self.run_verb("eval", "data.app.allow", status=2)
        self.assertEqual(self.stderr.splitlines()[0], "opctl: --fail-defined: takes true or false")

    def test_ways_of_writing(self):
        self.assertEqual(self.run_verb("eval", "-If", "raw", "input.a", given='{"a": 1}'), "1\n")
        self.assertEqual(self.run_verb("eval", "-f=raw", "-dp", "--", "data.methods[0]"), "GET\n")
        self.assertEqual(self.run_verb("eval", "--format=raw", "--", "1 - 2"), "-1\n")
        self.run_verb("eval", "-Iz", "1", status=2)
        self.run_verb("eval", "1", "-f", status=2)
        self.assertIn("option needs a value", self.stderr)

    def test_help(self):
        for verb in ("eval", "check", "fmt", "test", "bench", "parse", "deps", "inspect", "build", "sign", "repl"):
            out = self.run_verb(verb, "--help")
            self.assertIn(f"usage: opctl policy {verb} ", out)
            self.assertEqual(self.stderr, "")

    def test_what_is_refused(self):
        for words, why in ((("bench", "--e2e", "1"), "--e2e: a running server is measured from outside"),
                           (("run", "--server"), "--server: the server is the appliance"),
                           (("run", "-w", "p"), "--watch: a session keeps what it loaded"),
                           (("eval", "-t", "wasm", "1"), "--target: there is rego alone"),
                           (("eval", "--nothing", "1"), "unknown option: --nothing"),
                           (("eval", "-O", "2", "-d", "p", "-b", "p", "1"), "specify either --data or --bundle flag"),
                           (("eval", "-p", "-u", "1 + 1", "1"), "specify string with one or more --unknowns"),
                           (("eval", "-p", "-f", "values", "1"), "invalid output format for partial evaluation")):
            self.run_verb(*words, status=2)
            self.assertIn(why, self.stderr)
            self.assertEqual(len(self.stderr.splitlines()), 2, self.stderr)  # the reason, and where to look

    def test_optimized(self):
        self.write("b/.manifest", '{"roots": ["app", "methods", "admins"]}')
        self.write("b/app.rego", POLICY)
        self.write("b/data.json", '{"methods": ["GET"], "admins": ["ada"]}')
        for level in ("0", "1", "2"):
            for source in (["-d", "p"], ["-b", "b"]):
                words = ["eval", "-O", level, "-e", "app/allow", *source, "-f", "raw", "data.app.allow"]
                self.assertEqual(self.run_verb(*words, "-i", "in.json"), "true\n")
                self.assertEqual(self.run_verb(*words), "false\n")
        self.run_verb("eval", "-O2", "-d", "p", "data.app.allow", status=2)
        self.assertEqual(self.stderr, "bundle optimizations require at least one entrypoint\n")
        self.run_verb("eval", "-O2", "-e", "app/none", "-d", "p", "data.app.allow", status=2)
        self.assertEqual(self.stderr, "undefined entrypoint data.app.none\n")
        self.write("q/q.rego", "package q\n\n# METADATA\n# entrypoint: true\np := input.x + 1\n")
        self.write("in2.json", '{"x": 2}')
        self.assertEqual(self.run_verb("eval", "-O=1", "-d", "q", "-i", "in2.json", "-f", "raw", "data.q.p"), "3\n")

    def test_bench(self):
        quick = ["--benchtime", "0.01", "-f", "json", "-d", "p"]
        out = self.run_json("bench", *quick, "--partial", "data.app.allow")
        self.assertGreater(out["N"], 0)
        self.assertGreater(out["Extra"]["histogram_timer_rego_partial_eval_ns_median"], 0)
        out = self.run_json("bench", *quick, "-p", "-u", "data.admins", "-i", "in.json", "data.app.allow")
        self.assertGreater(out["N"], 0)
        out = self.run_json("bench", *quick, "--metrics=false", "--package", "app", "--import", "data.admins",
                            "-i", "in.json", "allow; admins[_]")
        self.assertEqual(out["Extra"], {})
        out = self.run_verb("bench", "--benchtime", "0.01", "1")
        self.assertRegex(out, r"│ histogram_timer_rego_query_eval_ns_99\.9% +│ +[\d.]+ │\n")
        self.run_verb("bench", "--package", "1x", "1", status=1)


class Fmt(Command):
    UGLY = "package a\np   if  input.x\n"

    def test_verdicts(self):
        self.write("b.rego", "package a\n\np if input.x\n")
        self.write("sub/.hidden.rego", self.UGLY)
        path = self.write("a.rego", self.UGLY)
        self.assertEqual(self.run_verb("fmt", "b.rego", "--fail"), "package a\n\np if input.x\n")
        self.assertEqual(self.run_verb("fmt", "--fail", "a.rego", status=2), "")
        self.assertEqual(self.stderr, "unexpected diff\n")
        self.assertEqual(self.run_verb("fmt", "-l", "."), "a.rego\nsub/.hidden.rego\n")
        self.assertEqual(self.run_verb("fmt", "-l", "./sub/"), "sub/.hidden.rego\n")
        self.assertEqual(self.run_verb("fmt", "-l", "--fail", ".", status=2), "a.rego\nsub/.hidden.rego\n")
        self.assertEqual(self.run_verb("fmt", "-w", "."), "")
        with open(path, encoding="utf-8") as f:
            self.assertEqual(f.read(), "package a\n\np if input.x\n")
        self.run_verb("fmt", "none.rego", status=1)
        self.run_verb("fmt", "-", given="package", status=1)
        self.write("bad.rego", "package a\np if")
        self.run_verb("fmt", "bad.rego", status=2)

    def test_versions(self):
        v0, v1 = "package a\n\np {\n\tinput.x\n}\n", "package a\n\np if input.x\n"
        imports = "package a\n\nimport rego.v1\n\np if "
        for words, given, want in (([], v1, v1), (["--v0-compatible"], v0, v0), (["--v0-v1"], v0, imports + "{\n\tinput.x\n}\n"),
                                   (["--rego-v1", "--v1-compatible"], v1, imports + "input.x\n")):
            self.assertEqual(self.run_verb("fmt", *words, given=given), want)
        for words, given in (([], v0), (["--v0-v1"], v1), (["--v0-v1", "--v1-compatible"], v0)):
            self.run_verb("fmt", *words, given=given, status=1)

    def patched(self, text, diff):
        """The text with a unified diff applied, every line of which must fit."""
        old, new, at, lines = text.split("\n"), [], 0, diff.split("\n")[:-1]
        self.assertTrue(lines[0].startswith("--- ") and lines[1].startswith("+++ "), diff)
        for line in lines[2:]:
            hunk = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line)
            if hunk:
                first = int(hunk[1]) - (hunk[2] != "0")
                new += old[at:first]
                at = first
                self.assertEqual(len(new), int(hunk[3]) - (hunk[4] != "0"), diff)
            elif line[0] == "+":
                new.append(line[1:])
            else:
                self.assertIn(line[0], " -", diff)
                self.assertEqual(old[at], line[1:], diff)
                new += [line[1:]] if line[0] == " " else []
                at += 1
        return "\n".join(new + old[at:])

    def test_diff_is_a_patch(self):
        dice = random.Random(7)
        for _ in range(12):
            rules = [f"r{i}{dice.choice([' ', '  '])}:={dice.choice([' ', '   '])}{i}" + "\n" * dice.choice([1, 1, 1, 2, 4])
                     for i in range(dice.randrange(1, 40))]
            text = "package a" + dice.choice(["\n", "\n\n"]) + "".join(rules)
            self.write("r.rego", text)
            out, diff = self.run_verb("fmt", "r.rego"), self.run_verb("fmt", "-d", "r.rego")
            self.assertEqual(self.patched(text, diff) if diff else text, out)
        self.assertIn("\\ No newline at end of file", self.run_verb("fmt", "-d", given="package a\n\nx := 1"))


class Types(Command):
    def test_types(self):
        out = self.run_verb("repl", given='types\np[x] := y if { x := "a"; y := 1 }\np[x]\ntypes\np[x]\n')
        self.assertEqual(out.count("# data.repl.p[x]: number\n# x: string\n"), 1)
        out = self.run_verb("repl", given='types\ny := 1; z = [y, input.a]\n')
        self.assertIn("# input.a: any\n", out)
        self.assertIn("# z: array<number, any>\n", out)
        self.assertIn("# y: number\n", out)
        out = self.run_verb("repl", given='unset 1=1\nunset q\n')
        self.assertEqual(out, "argument must identify a rule\nwarning: no matching rules in current module\n")
