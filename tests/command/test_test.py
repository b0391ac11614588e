# SPDX-License-Identifier: Apache-2.0
"""test, bench: verdicts, cases, steps, coverage, measurements."""
import base64
import os
import re
import signal
import subprocess
import threading

from run import Command

POLICY = """package app

allow if input.user == "ada"

sum_of(xs) := sum(xs)
"""
TESTS = """package app_test

import data.app

test_allowed if app.allow with input as {"user": "ada"}

test_denied if {
	print("asked")
	x := 3
	x == 4
}

todo_test_later if false

test_twice if true

test_twice if false

test_sum[tc.note] if {
	some tc in [
		{"note": "one", "xs": [1], "exp": 1},
		{"note": "two", "xs": [1, 1], "exp": 3},
	]
	app.sum_of(tc.xs) == tc.exp
}

test_broken := 1 / 0

test_conflict := x if some x in [1, 2]
"""
TIME = r"\((?:[\d.]+(?:ns|µs|ms|s)|0s)\)"


def untimed(text):
    return re.sub(TIME, "(T)", text)


class Test(Command):
    def setUp(self):
        super().setUp()
        self.write("a.rego", POLICY)

    def write_tests(self, text=TESTS):
        self.write("a_test.rego", text)

    def test_pretty(self):
        self.write_tests()
        out = untimed(self.run_verb("test", ".", status=2))
        self.assertEqual(out, """a_test.rego:7:
data.app_test.test_denied: FAIL (T)

  asked

a_test.rego:13:
data.app_test.todo_test_later: SKIPPED
a_test.rego:17:
data.app_test.test_twice#01: FAIL (T)
a_test.rego:19:
data.app_test.test_sum: FAIL (T)
  two: FAIL
a_test.rego:27:
data.app_test.test_broken: FAIL (T)
a_test.rego:29:
data.app_test.test_conflict: ERROR (T)
  a_test.rego:29: eval_conflict_error: complete rules must not produce multiple outputs
--------------------------------------------------------------------------------
PASS: 3/9
FAIL: 4/9
SKIPPED: 1/9
ERROR: 1/9
""".replace("a_test.rego", "a_test.rego"))

    def test_passing(self):
        self.write_tests('package t\ntest_a if true\ntest_b if true\n')
        self.assertEqual(self.run_verb("test", "."), "PASS: 2/2\n")
        self.assertEqual(untimed(self.run_verb("test", "-v", "-r", "test_a$", "a_test.rego")),
                         "a_test.rego:2:\ndata.t.test_a: PASS (T)\n" + "-" * 80 + "\nPASS: 1/1\n")
        self.assertEqual(self.run_verb("test", "--count", "2", "."), "PASS: 2/2\nPASS: 2/2\n")
        self.run_verb("test", "a.rego")
        self.run_verb("test", "--fail-on-empty", "a.rego", status=1)
        self.run_verb("test", "-r", "(", ".", status=1)
        self.run_verb("test", "none.rego", status=1)
        self.run_verb("test", status=1)

    def test_skipped(self):
        self.write_tests("package t\ntodo_test_a if true\n")
        self.run_verb("test", ".", status=2)
        self.run_verb("test", "-z", ".")

    def test_verbose_shows_steps(self):
        self.write_tests("package t\n\ntest_a if {\n\tx := 3\n\ttrace(\"seen\")\n\tx == 4\n}\n")
        out = untimed(self.run_verb("test", "-v", "a_test.rego", status=2))
        bar = "-" * 80
        self.assertEqual(out, f"""a_test.rego:3:
data.t.test_a: FAIL (T)
{bar}
FAILURES
{bar}
data.t.test_a: FAIL (T)

  query:1           Enter data.t.test_a = _
  a_test.rego:3     | Enter data.t.test_a
  a_test.rego:5     | | Note "seen"
  a_test.rego:6     | | Fail x = 4
  query:1           | Fail data.t.test_a = _

{bar}
FAIL: 1/1
""")
        out = self.run_verb("test", "--explain", "full", "a_test.rego", status=2)
        self.assertRegex(out, r"  a_test\.rego:4 +\| \| Eval x = 3\n")
        self.assertNotIn("Note", self.run_verb("test", "--explain", "fails", "a_test.rego", status=2))

    def test_var_values(self):
        self.write_tests("package t\n\ntest_a if {\n\tx := {\"n\": 3}\n\ty := 4\n\tx.n == y\n}\n")
        out = self.run_verb("test", "--var-values", "a_test.rego", status=2)
        self.assertIn("\n  a_test.rego:6:\n    \tx.n == y\n    \t|      |\n    \t|      4\n    \t3\n", out)

    def test_json(self):
        self.write_tests()
        results = {r["name"]: r for r in self.run_json("test", "-f", "json", ".", status=2)}
        self.assertEqual(results["test_allowed"].keys(), {"location", "package", "name", "duration"})
        self.assertEqual(results["test_allowed"]["location"], {"file": "a_test.rego", "row": 5, "col": 1})
        self.assertTrue(results["test_denied"]["fail"])
        self.assertEqual(base64.b64decode(results["test_denied"]["output"]), b"asked\n")
        self.assertTrue(results["todo_test_later"]["skip"])
        self.assertEqual(results["test_sum"]["sub_results"], {"one": {"name": "one"}, "two": {"name": "two", "fail": True}})
        self.assertEqual(results["test_conflict"]["error"]["code"], "eval_conflict_error")

    def test_coverage(self):
        self.write_tests('package t\ntest_a if data.app.allow with input.user as "ada"\n')
        report = self.run_json("test", "--coverage", ".")
        self.assertEqual(report["files"]["a.rego"], {
            "covered": [{"start": {"row": 3}, "end": {"row": 3}}],
            "not_covered": [{"start": {"row": 5}, "end": {"row": 5}}],
            "covered_lines": 1, "not_covered_lines": 1, "coverage": 50})
        self.assertAlmostEqual(report["coverage"], 200 / 3)
        self.run_verb("test", "--threshold", "60", ".")
        self.assertEqual(self.run_verb("test", "--threshold", "90", ".", status=2), "")
        self.assertEqual(self.stderr, "Code coverage threshold not met: got 66.67 instead of 90.00\n")
        self.run_verb("test", "--threshold", "90", "-v", ".", status=2)
        self.assertIn("\nLines not covered:\n\ta.rego:5\n", self.stderr)
        self.run_verb("test", "--threshold", "101", ".", status=1)
        self.write_tests("package t\ntest_a if false\n")
        self.assertIn("data.t.test_a: FAIL", self.run_verb("test", "-c", ".", status=1))

    def test_bench(self):
        self.write_tests('package t\ntest_some_thing if data.app.sum_of([1, 2]) == 3\n')
        out = self.run_verb("test", "--bench", ".")
        self.assertRegex(out, r"^data\.t\.test_some_thing\t +\d+\t +[\d.]+ ns/op\t +\d+ B/op\t +\d+ allocs/op\n")
        out = self.run_verb("test", "--bench", "--benchmem=false", "-f", "gobench", ".")
        self.assertRegex(out, r"^BenchmarkDataTTestSomeThing\t +\d+\t +[\d.]+ ns/op\n")
        self.run_verb("test", "-f", "gobench", ".", status=1)
        self.run_verb("test", "--bench", "--coverage", ".", status=1)

    def test_bench_of_a_query(self):
        out = self.run_verb("bench", "-d", "a.rego", "--benchtime", "0.01", "data.app.sum_of([1, 2])")
        self.assertRegex(out, r"│ samples +│ +\d+ │\n")
        self.assertRegex(out, r"│ ns/op +│ +[\d.]+ │\n")
        self.assertRegex(out, r"│ allocs/op +│ +0 │\n")
        out = self.run_json("bench", "-d", "a.rego", "-f", "json", "--benchtime", "0.01", "data.app.sum_of([1, 2])")
        self.assertEqual(out["MemAllocs"], 0)

    def test_bench_takes_what_eval_takes(self):
        self.write("b/.manifest", '{"roots": ["b"]}')
        self.write("b/b/p.rego", "package b\n\np := input.n\n")
        quick = ["-f", "json", "--benchtime", "0.01"]
        self.assertGreater(self.run_json("bench", "-b", "b", "-I", *quick, "data.b.p", given='{"n": 1}')["N"], 0)
        self.assertGreater(self.run_json("bench", "-d", "a.rego", "--stdin", *quick, given="data.app.sum_of([1])")["N"], 0)
        self.run_verb("bench", "-b", "b", *quick, "data.b.p", status=1)
        self.assertEqual(self.stderr, "opctl: undefined result\n")
        self.assertGreater(self.run_json("bench", "-b", "b", "--fail=false", *quick, "data.b.p")["N"], 0)
        self.run_verb("bench", "--stdin", "1", status=2)
        self.run_verb("bench", "--count", "0", "1", status=2)
        self.run_verb("bench", "-t", "wasm", "1", status=2)

    def test_timeout(self):
        self.write_tests("package t\ntest_a if count([1 | numbers.range(1, 10000)[_]; numbers.range(1, 10000)[_]]) == 1\n")
        self.assertIn("ERROR: 1/1", self.run_verb("test", "--timeout", "5ms", "a_test.rego", status=2))
        self.assertIn("eval_cancel_error", self.run_verb("test", "--timeout", "5ms", "a_test.rego", status=2))


class Watching(Command):
    """test --watch: runs again when a file changed, ends when it is told to."""

    def start(self, *words):
        self.process = subprocess.Popen([self.opctl, "policy", "test", "--watch", *words], cwd=self.folder, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.process.stdout.close)
        self.addCleanup(lambda: (self.process.kill(), self.process.wait()))
        self.watchdog = threading.Timer(50, self.process.kill)
        self.watchdog.start()
        self.addCleanup(self.watchdog.cancel)

    def until_it_waits(self):
        lines = []
        while True:
            line = self.process.stdout.readline()
            self.assertTrue(line, lines)
            if line == "Watching for changes ...\n":
                self.assertEqual(lines.pop(), "*" * 80 + "\n")
                return "".join(lines)
            lines.append(line)

    def ends(self, how):
        self.process.send_signal(how)
        self.assertEqual(self.process.wait(30), 0)

    def test_a_change_runs_them_again(self):
        self.write("dir/a.rego", "package a\n\np := data.n\n\ntest_p if p == 1\n")
        self.write("dir/data.json", '{"n": 1}')
        self.start("dir")
        self.assertEqual(self.until_it_waits(), "PASS: 1/1\n")
        self.write("dir/data.json", '{"n": 2}')
        self.assertIn("FAIL: 1/1", self.until_it_waits())
        self.write("dir/deeper/b.rego", "package b\n\ntest_q if true\n")
        self.assertIn("PASS: 1/2", self.until_it_waits())
        self.write("dir/deeper/b.rego", "package b\n\ntest_q if {\n")
        self.assertIn("rego_parse_error", self.until_it_waits())
        os.remove(os.path.join(self.folder, "dir/deeper/b.rego"))
        self.assertIn("FAIL: 1/1", self.until_it_waits())
        os.replace(self.write("other.json", '{"n": 1}'), os.path.join(self.folder, "dir/data.json"))
        self.assertEqual(self.until_it_waits(), "PASS: 1/1\n")
        self.ends(signal.SIGTERM)

    def test_files_are_watched_by_name(self):
        path = self.write("one.rego", "package a\n\ntest_p if false\n")
        self.start("one.rego")
        self.assertIn("FAIL: 1/1", self.until_it_waits())
        self.write("unasked.rego", "package u\n")
        os.replace(self.write("new.rego", "package a\n\ntest_p if true\n"), path)
        self.assertEqual(self.until_it_waits(), "PASS: 1/1\n")
        self.ends(signal.SIGINT)

    def test_what_cannot_be_run_is_not_watched(self):
        self.write("one.rego", "package a\n\ntest_p if {\n")
        self.run_verb("test", "-w", "one.rego", status=1)
        self.run_verb("test", "-w", status=1)
        self.run_verb("test", "-w", "--no-such", "one.rego", status=1)
