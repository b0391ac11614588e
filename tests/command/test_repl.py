# SPDX-License-Identifier: Apache-2.0
"""repl: through a pipe, and through a terminal with keys."""
import os
import pty
import re
import select
import subprocess
import time

from run import Command

POLICY = """package app

import data.users

allow if input.user in users

greeting(name) := concat(" ", ["hello", name])
"""


class Repl(Command):
    def setUp(self):
        super().setUp()
        self.write("app.rego", POLICY)
        self.write("data.json", '{"users": ["ada"]}')

    def say(self, *lines, words=()):
        return self.run_verb("repl", *words, given="\n".join(lines) + "\n")

    def test_defines_and_asks(self):
        self.assertEqual(self.say("x := 3", "x + 1", "x := 4", "x", "x = 4", "y = 5", "y", "f(n) := n * 2", "f(x)"),
                         "Rule 'x' defined in package repl. Type 'show' to see rules.\n4\n"
                         "Rule 'x' re-defined in package repl. Type 'show' to see rules.\n4\ntrue\n"
                         "Rule 'y' defined in package repl. Type 'show' to see rules.\n5\n"
                         "Rule 'f' defined in package repl. Type 'show' to see rules.\n8\n")

    def test_lines_that_belong_together(self):
        self.assertEqual(self.say("allow if {", "\tinput.x > 1", "}", "allow", "package repl.input", "x := 2",
                                  "package repl", "allow"),
                         "Rule 'allow' defined in package repl. Type 'show' to see rules.\nundefined\n"
                         "Rule 'x' defined in package repl.input. Type 'show' to see rules.\ntrue\n")
        self.say("input := 1")
        self.assertIn("rules must not shadow input", self.stderr)

    def test_errors(self):
        self.say("1 +", "")
        self.assertIn("rego_parse_error", self.stderr)
        self.assertEqual(self.say("p if q", "x := 1"), "Rule 'x' defined in package repl. Type 'show' to see rules.\n")
        self.assertIn("rego_unsafe_var_error: var q is unsafe", self.stderr)
        self.say("1 / nothing")
        self.assertIn("var nothing is unsafe", self.stderr)

    def test_packages_and_imports(self):
        out = self.say("package a.b", "p := 1", "package c", "import data.a.b", "b.p", "package a.b", "p", "show",
                       "unset p", "unset q", "data.a", "unset-package c", "unset-package none", words=["-f", "json"])
        values = re.findall(r'"value": (.*),', out)
        self.assertEqual(values[:2], ["1", "1"])
        self.assertIn("package a.b\n\np := 1\n", out)
        self.assertIn("warning: no matching rules in current module\n", out)
        self.assertTrue(out.endswith("warning: no matching package\n"))

    def test_loaded_policies(self):
        out = self.say("data.app.greeting(\"x\")", "data.app.allow with input as {\"user\": \"ada\"}", "dump", words=["."])
        self.assertEqual(out, '"hello x"\ntrue\n{"users":["ada"]}\n')

    def test_settings(self):
        out = self.say("show debug", "trace", "metrics", "profile", "strict-builtin-errors", "show debug")
        self.assertIn('{\n\t"explain": "off",\n\t"metrics": false,', out)
        self.assertTrue(out.endswith('{\n\t"explain": "full",\n\t"metrics": true,\n\t"instrument": false,\n'
                                     '\t"profile": true,\n\t"strict-builtin-errors": true\n}\n'))
        out = self.say("trace fails", "1 = 2")
        self.assertEqual(out, "query:1     Enter 1 = 2\nquery:1     | Fail 1 = 2\nundefined\n")
        self.assertIn("timer_rego_query_eval_ns", self.say("metrics", "1"))
        self.assertIn("│ Num Eval │", self.say("profile", "x := 1", "x"))
        self.assertIn("expected one of: off, full, notes, fails, debug", self.say("trace some"))
        self.assertIn("toggle full trace or specific mode", self.say("help"))
        self.assertIn("data.repl.input", self.say("help input"))
        self.assertIn("unknown topic 'x'", self.say("help x"))
        self.assertEqual(self.say("exit", "1"), "")

    def test_partial(self):
        out = self.say("unknown input", "x := 1", "input.n == x", "unknown", "x")
        self.assertRegex(out, r"input\.n = 1|1 = input\.n")
        self.assertTrue(out.endswith("\n1\n"))
        self.assertIn("usage: unknown", self.say("unknown"))

    # ---- Through a terminal ----

    def terminal(self, keys, wait_for):
        """Types keys once the prompt is there; what the screen shows until `wait_for` is there."""
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.environ["HOME"] = self.folder
            os.environ["ASAN_OPTIONS"] = "detect_leaks=0"
            os.execv(self.opctl, [self.opctl, "policy", "repl", "app.rego", "data.json"])
        shown, sent, end = "", False, time.monotonic() + 30
        try:
            while wait_for not in shown.replace("\x1b[0K", ""):
                self.assertLess(time.monotonic(), end, shown)
                if select.select([fd], [], [], 0.5)[0]:
                    shown += os.read(fd, 4096).decode()
                if not sent and "> " in shown:
                    os.write(fd, keys.encode())
                    sent = True
        except OSError:
            pass
        finally:
            os.close(fd)
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
            os.waitpid(pid, 0)
        return shown

    def test_completion(self):
        self.assertIn("> data.app.greeting", self.terminal("data.app.gr\t", "data.app.greeting"))
        self.assertIn("startswith", self.terminal("starts\t", "startswith"))
        self.assertIn("data.users", self.terminal("data.u\t", "data.users"))
        self.assertIn("strict-builtin-errors", self.terminal("strict\t", "strict-builtin-errors"))
        self.assertIn("pretty  pretty-limit", self.terminal("pretty\t", "pretty-limit"))

    def test_editing_and_history(self):
        shown = self.terminal("12\x01\x06+\x05 \x7f\r", "\r\n3\r\n")
        self.assertIn("1+2", shown)
        shown = self.terminal("40 + 2\r\x1b[A\x7f5\x1b[H1\x1b[C\x1b[3~\x05\r", "\r\n19\r\n")
        self.assertIn("\r\n42\r\n", shown)
        shown = self.terminal("rubbish\x15[1, 2][1]\r", "\r\n2\r\n")
        self.assertNotIn("rubbish[", shown)

    def test_leaving(self):
        self.assertIn("Do you want to exit", self.terminal("\x04", "Do you want to exit"))
        self.terminal("1 + 1\r\x04y\r", "never shown")
        with open(os.path.join(self.folder, ".opctl_history"), encoding="utf-8") as f:
            self.assertEqual(f.read(), "1 + 1\n")
        self.assertIn("\r\n7\r\n", self.terminal("nonsense(\x033 + 4\r", "\r\n7\r\n"))


class Run(Command):
    def test_run_is_repl(self):
        done = subprocess.run([self.opctl, "policy", "run"], input="1 + 1\n", text=True, capture_output=True,
                              timeout=60, check=True)
        self.assertEqual(done.stdout, "2\n")
