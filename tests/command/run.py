#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py OPCTL [WORD]: every test_*.py here (or those whose name has WORD) against the command.

Each test works in a folder of its own that is gone afterwards. What is expected was written by hand
from what the reference documents; times and figures are checked for their shape. The last line is
`N passed, N failed`.
"""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT_S = 60


class Command(unittest.TestCase):
    """self.run_verb(...) runs `opctl policy ...` in the test's folder."""

    opctl = "build/host/opctl"

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="opctl-")
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def run_verb(self, *words, status=0, given=None):
        done = subprocess.run([self.opctl, "policy", *words], cwd=self.folder, input=given, text=True,
                              capture_output=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}\n{done.stderr}")
        self.assertNotIn("AddressSanitizer", done.stderr)
        self.stderr = done.stderr
        return done.stdout

    def run_json(self, *words, **more):
        return json.loads(self.run_verb(*words, **more))


def main():
    Command.opctl = os.path.abspath(sys.argv[1])
    word = sys.argv[2] if len(sys.argv) > 2 else ""
    sys.modules["run"] = sys.modules["__main__"]
    suite = unittest.TestSuite()
    for name in sorted(os.listdir(HERE)):
        if not name.startswith("test_") or not name.endswith(".py") or word not in name:
            continue
        spec = importlib.util.spec_from_file_location(name[:-3], os.path.join(HERE, name))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    sys.exit(1 if failed or not result.testsRun else 0)


if __name__ == "__main__":
    main()
