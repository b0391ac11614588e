# SPDX-License-Identifier: Apache-2.0
"""test_readme.py: the README's first five minutes, as written there, then the plug."""
import json
import os
import re
import subprocess
import unittest

from appliance import TOP, Appliance, until

MARK = "@@ end of block @@"


def blocks():
    """The `sh` blocks of the section, in order."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as f:
        text = f.read()
    section = text.split("\n## First five minutes\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.S | re.M)


def objects(text):
    """The JSON objects that stand in `text`, whatever is between them."""
    found, at, decoder = [], 0, json.JSONDecoder()
    while (at := text.find("{", at)) >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
            continue
        found.append(value)
        at = end
    return found


class Readme(unittest.TestCase):
    def run_blocks(self, a, code):
        script = f"\necho; echo '{MARK}'\n".join(blocks()) + f"\necho; echo '{MARK}'\n"
        self.assertIn("https://127.0.0.1:8443", script)
        script, n = re.subn(r"(?m)^CODE=\S+", "CODE=" + code, script)
        self.assertEqual(n, 1, "the README names the setup code once")
        script = script.replace("127.0.0.1:8443", f"127.0.0.1:{a.https_port}")
        run = subprocess.run(["bash", "-u"], input=script, capture_output=True, text=True, timeout=120)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        return [part for part in run.stdout.split(MARK)][:-1]

    def wait_ready(self, a):
        a.console.wait_for(r"listening ", 60)

        def ready():
            try:
                return a.get("/readyz", tls=True, timeout=5).status == 200
            except OSError:
                return False

        until(ready, 60, why="/readyz")

    def test_first_five_minutes(self):
        with Appliance(config={"admin.email": None, "admin.password": None, "http.plain": None},
                       wait=False) as a:
            code = a.console.wait_for(r"setup code: (\S+)", 60)[1]
            self.wait_ready(a)
            setup, login, write, read, look, leave = self.run_blocks(a, code)
            ready, admin = objects(setup)
            self.assertEqual(ready["status"], "ready")
            self.assertEqual(admin["user"]["email"], "ada@example.org")
            self.assertEqual(objects(login)[0]["role"], "admin")
            self.assertEqual([p["status"] for p in objects(write)], ["under_review", "approved", "published"])
            policy, found = objects(read)
            self.assertEqual(policy["title"], "Loi sur l’accès aux données ouvertes")
            self.assertEqual([p["id"] for p in found["items"]], [policy["id"]])
            audit, verified, health = objects(look)[:3]
            self.assertGreaterEqual(audit["total"], 5)
            self.assertTrue(verified["intact"], verified)
            self.assertIn("openpolicy_build_info", look)
            self.assertIn('"openapi":"3.1', look)
            self.assertEqual(objects(leave)[-1]["status"], 401)
            # The plug, and again.
            a.cut()
            a.start()
            self.wait_ready(a)
            again = a.get("/api/v1/policies/" + policy["id"], tls=True)
            self.assertEqual((again.status, again.json()["title"]), (200, policy["title"]))
            token = a.post("/api/v1/auth/login", tls=True, timeout=60,
                           body={"email": "ada@example.org", "password": "a sentence is the best password"})
            self.assertEqual(token.status, 200, token)
