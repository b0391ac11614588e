# SPDX-License-Identifier: Apache-2.0
"""test_provoke.py: what must be survived, provoked on the console of a running appliance
(kernel/core/provoke.c): a disk that fails and recovers, one that is full, memory that runs out, a
stalled loop; and what cannot be survived must end with last words that name it."""
import os
import re
import subprocess
import tempfile
import time
import unittest

from appliance import TARGET, TOP, Appliance, AppliancePerClass, only_host, until

SETTING = "/api/v1/config/auth.lockout"


class Survived(AppliancePerClass):
    config = {"log.level": "info"}
    options = {"append": "test=1"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def said(self, pattern):
        return re.findall(pattern, self.a.console.text)

    def provoke(self, what, answer="RC_OK"):
        before = len(self.said(r"provoked: \w+\s"))
        self.a.type("provoke " + what)
        until(lambda: len(self.said(r"provoked: \w+\s")) > before, 20, why="an answer to " + what)
        self.assertEqual(self.said(r"provoked: (\w+)\s")[-1], answer)

    def change(self, value):
        return self.a.request("PUT", SETTING, {"value": value}, token=self.token, timeout=30)

    def ready(self):
        return self.a.get("/readyz").status

    def test_nonsense_is_refused(self):
        self.provoke("disk 9 write 1 RC_IO", "RC_NOT_FOUND")
        self.provoke("memory gold 100", "RC_NOT_FOUND")
        self.assertEqual(self.ready(), 200)

    def test_a_failing_disk_takes_readiness_and_gives_it_back(self):
        self.assertEqual(self.change(True).status, 200)
        self.provoke("disk 0 write 1 RC_IO for-ever")
        try:
            answer = self.change(False)
            self.assertIn(answer.status, (500, 503, 507), answer)
            self.assertIn("request_id", answer.json())
            until(lambda: self.ready() == 503, 60, why="not ready while the disk fails")
            self.assertEqual(self.a.get("/livez").status, 200)
        finally:
            self.provoke("disk 0 write 0")
        until(lambda: self.ready() == 200, 120, why="ready again by itself")
        until(lambda: self.change(True).status == 200, 60, why="changes are taken again")
        self.assertEqual(self.a.get(SETTING, token=self.token).json()["value"], True)

    def test_a_full_disk_is_507_and_loses_nothing(self):
        self.assertEqual(self.change(True).status, 200)
        self.provoke("disk 0 write 1 RC_FULL for-ever")
        try:
            answer = self.change(False)
            self.assertIn(answer.status, (503, 507), answer)
            self.assertEqual(self.a.get("/livez").status, 200)
        finally:
            self.provoke("disk 0 write 0")
        until(lambda: self.change(False).status == 200, 120, why="changes are taken again")
        self.assertEqual(self.a.get(SETTING, token=self.token).json()["value"], False)

    def test_no_memory_sheds_and_recovers(self):
        for budget in ("requests", "services"):
            with self.subTest(budget=budget):
                self.provoke(f"memory {budget} 100")
                try:
                    for _ in range(5):
                        try:
                            answer = self.a.get("/health", timeout=10)
                        except OSError:
                            continue  # refused outright is an answer, too
                        self.assertIn(answer.status, (200, 429, 503), answer)
                finally:
                    self.provoke(f"memory {budget} 0")
                until(lambda: self.ready() == 200, 30, why="serving again")

    def test_a_stalled_loop_is_said_and_goes_on(self):
        began = time.monotonic()
        before = len(self.said(r"a turn took too long"))
        self.provoke("stall 600")
        if not before:  # said at most every ten seconds
            self.a.console.wait_for(r"a turn took too long", 20)
        self.assertGreater(time.monotonic() - began, 0.5)
        self.assertEqual(self.ready(), 200)


class LastWords(unittest.TestCase):
    def ends(self, what, *patterns):
        with Appliance(append="test=1") as a:
            a.type("provoke " + what)
            for pattern in patterns:
                a.console.wait_for(pattern, 30)
            status = a.wait_exit(60)
            self.assertNotEqual(status, 0)

    def test_a_panic_names_what_and_where(self):
        self.ends("panic", r"PANIC provoked on the console", r"do_panic\+0x", r"-- last log lines --")

    def test_a_wild_write_is_caught(self):
        if TARGET == "host":  # the sanitizer of the test build says it in its own words
            self.ends("fault", r"AddressSanitizer|PANIC|runtime error")
        else:
            self.ends("fault", r"PANIC .*null pointer", r"do_fault\+0x")

    def test_an_overrun_stack_is_caught_and_named(self):
        if TARGET == "host":
            self.ends("stack", r"stack-overflow|PANIC .*provoked-stack")
        else:
            self.ends("stack", r"PANIC .*stack overflow.*provoked-stack", r"dig\+0x")

    @only_host
    def test_nobody_reads_the_console_and_stderr_still_has_them(self):
        with tempfile.TemporaryDirectory() as directory:
            disk, log = os.path.join(directory, "disk"), os.path.join(directory, "stderr")
            read, write = os.pipe()
            os.set_blocking(write, False)
            try:
                with self.assertRaises(BlockingIOError):  # not one byte more goes in
                    while True:
                        os.write(write, b" " * 4096)
                with open(log, "wb") as err:
                    p = subprocess.Popen([os.path.join(TOP, "build/host/openpolicy"), "--disk", disk, "--net",
                                          "none", "--append", "test=1"], stdin=subprocess.PIPE, stdout=write,
                                         stderr=err, start_new_session=True)
                try:
                    p.stdin.write(b"provoke panic\n")
                    p.stdin.flush()
                    self.assertNotEqual(p.wait(60), 0)
                finally:
                    p.kill()
                    p.wait()
                    p.stdin.close()
            finally:
                os.close(read)
                os.close(write)
            with open(log, encoding="utf-8", errors="replace") as f:
                said = f.read()
            for words in ("PANIC provoked on the console", "do_panic+0x", "-- last log lines --", "-- end --"):
                self.assertIn(words, said)


if __name__ == "__main__":
    unittest.main()
