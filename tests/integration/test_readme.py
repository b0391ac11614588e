# SPDX-License-Identifier: Apache-2.0
"""test_readme.py: README's first five minutes, run as a reader would: one shell, in order."""
import os
import re
import subprocess
import unittest

from appliance import Appliance, TOP


class Readme(unittest.TestCase):
    def script(self, port, code):
        text = open(os.path.join(TOP, "README.md"), encoding="utf-8").read()
        section = text.split("## First five minutes", 1)[1].split("\n## ", 1)[0]
        blocks = re.findall(r"^```sh\n(.*?)^```$", section, re.M | re.S)
        self.assertGreater(len(blocks), 3)
        script = "".join(blocks)
        script, ports = re.subn(r"^A=.*$", f"A=https://127.0.0.1:{port}", script, flags=re.M)
        script, codes = re.subn(r"^CODE=\S+", f"CODE={code}", script, flags=re.M)
        self.assertEqual((ports, codes), (1, 1), "the two lines a reader changes")
        # Each curl also says its status on standard error, so that pipes stay as they are.
        return ('curl() { command curl -w "%{stderr}STATUS %{http_code} %{url_effective}\\n" "$@"; echo; }\n'
                "set -u\n" + script)

    def test_first_five_minutes(self):
        with Appliance(config={"admin.email": None, "admin.password": None, "http.plain": True}) as a:
            code = a.console.wait_for(r"setup code:\s+([0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4})", 20)[1]
            out = subprocess.run(["sh", "-c", self.script(a.https_port, code)], capture_output=True,
                                 text=True, timeout=120)
            statuses = re.findall(r"^STATUS (\d+) (\S+)$", out.stderr, re.M)
            self.assertGreater(len(statuses), 12, out.stderr)
            for status, url in statuses[:-1]:
                self.assertRegex(status, "^2", f"{url}\n{out.stdout}")
            self.assertEqual(statuses[-1][0], "401", "signed out")
            self.assertIn('"status":"published"', out.stdout)
            self.assertIn('"result":true', out.stdout)
            self.assertRegex(out.stdout, r'"items":\[\{[^]]*"title":"Clean Water Act"')
            self.assertRegex(out.stdout, '"asked":1,.*"changed":1')
            policy = next(u for _, u in statuses if re.search(r"/policies/[0-9a-f-]{36}$", u))
            path = policy.split(str(a.https_port), 1)[1]
            a.cut()
            a.start()
            again = a.get(path)
            self.assertEqual(again.status, 200, "the plug was pulled; all of it is still there")
            self.assertEqual(again.json()["status"], "published")
