# SPDX-License-Identifier: Apache-2.0
"""test_metrics.py: /metrics is what Prometheus's own checker accepts, and counts what happened."""
import re
import shutil
import subprocess

from appliance import AppliancePerClass


def samples(text):
    """name{labels} -> value"""
    return {m[1]: float(m[2]) for m in re.finditer(r"^([a-zA-Z_:][^\s]*(?:\{.*?\})?) ([^\s]+)$", text, re.M)}


class Metrics(AppliancePerClass):
    def scrape(self):
        answer = self.a.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["content-type"].startswith("text/plain; version=0.0.4") or
                        "openmetrics" in answer.headers["content-type"], answer.headers)
        return answer.body.decode()

    def test_promtool_accepts_it(self):
        promtool = shutil.which("promtool")
        self.assertTrue(promtool, "promtool is missing: tools/setup.sh installs it")
        out = subprocess.run([promtool, "check", "metrics"], input=self.scrape(), capture_output=True,
                             text=True, timeout=60)
        self.assertEqual((out.returncode, out.stdout + out.stderr), (0, ""))

    def test_requests_are_counted(self):
        before = samples(self.scrape())
        for _ in range(10):
            self.a.get("/healthz")
        after = samples(self.scrape())
        name = next(n for n in after if re.match(r"\w*http_requests_total", n))
        total = lambda s: sum(v for n, v in s.items() if n.startswith(name.split("{")[0]))
        self.assertGreaterEqual(total(after) - total(before), 10)
