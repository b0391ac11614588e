# SPDX-License-Identifier: Apache-2.0
"""test_platform.py: what the appliance says about itself and how it is configured: health, metrics,
logs, configuration, certificate, pages, API document, stopping; and starting without a usable disk."""
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest

from appliance import Appliance, AppliancePerClass, TOP, until

SECURITY = ("x-content-type-options", "x-frame-options", "referrer-policy",
            "content-security-policy", "x-request-id")


def metric(text, name):
    """The value of an unlabelled metric."""
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


class Platform(AppliancePerClass):
    config = {"log.level": "info"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def admin(self, method, path, body=None, **kw):
        return self.a.request(method, path, body, token=self.token, **kw)

    # ---- health ----------------------------------------------------------------------------------

    def test_probes(self):
        for path in ("/health", "/healthz", "/livez", "/readyz", "/api/v1/health"):
            for tls in (False, True):
                answer = self.a.get(path, tls=tls)
                self.assertEqual(answer.status, 200, path)
                self.assertIn(answer.json()["status"], ("ok", "ready", "healthy"))
                for name in SECURITY:
                    self.assertIn(name, answer.headers, (path, name))
                self.assertEqual("strict-transport-security" in answer.headers, tls)
            head = self.a.request("HEAD", path)
            self.assertEqual((head.status, head.body), (200, b""))

    def test_detailed_health_tells_true_values(self):
        before = self.a.get("/api/v1/health/detailed").json()
        answer = self.admin("PUT", "/api/v1/config/auth.lockout", {"value": True})
        self.assertEqual(answer.status, 200, answer)
        time.sleep(1.1)
        after = self.a.get("/api/v1/health/detailed").json()
        self.assertGreater(after["uptime_seconds"], before["uptime_seconds"])
        self.assertGreater(after["database"]["commits"], before["database"]["commits"])
        self.assertTrue(after["ready"])
        self.assertGreater(after["memory"]["used_bytes"], 1 << 20)
        self.assertLess(after["memory"]["used_bytes"], 1 << 31)
        self.assertEqual({c["name"] for c in after["checks"]} >= {"database", "memory", "network"}, True)

    # ---- habits ----------------------------------------------------------------------------------

    def test_errors_have_one_shape(self):
        self.problem(self.a.get("/no/such/path"), 404)
        answer = self.a.request("DELETE", "/healthz")
        self.problem(answer, 405)
        self.assertEqual(answer.headers["allow"], "GET, HEAD, OPTIONS")
        self.assertEqual(self.problem(self.a.get("/healthz?x=1"), 400)["code"], "query_unknown")
        self.problem(self.a.get("/api/v1/config"), 401)
        self.problem(self.admin("GET", "/api/v1/logs?limit=0"), 400)
        self.problem(self.admin("GET", "/api/v1/logs?limit=ten"), 400)
        moved = self.a.get("/healthz/")
        self.assertEqual((moved.status, moved.headers["location"]), (308, "/healthz"))
        options = self.a.request("OPTIONS", "/api/v1/config/log.level")
        self.assertEqual((options.status, options.headers["allow"]),
                         (204, "GET, HEAD, PUT, DELETE, OPTIONS"))

    def test_the_request_id_is_in_the_log(self):
        answer = self.a.get("/no/such/path/at/all")
        lines = self.admin("GET", "/api/v1/logs?limit=200").json()["items"]
        mine = [x for x in lines if answer.headers["x-request-id"] in x["fields"]]
        self.assertEqual(len(mine), 1)
        self.assertIn("status=404", mine[0]["fields"])
        self.assertEqual((mine[0]["area"], mine[0]["level"]), ("http", "info"))

    def test_logs_page_by_sequence(self):
        first = self.admin("GET", "/api/v1/logs?since=0&limit=3").json()
        self.assertEqual(len(first["items"]), 3)
        second = self.admin("GET", f"/api/v1/logs?since={first['next']}&limit=3").json()
        self.assertEqual(second["items"][0]["seq"], first["items"][-1]["seq"] + 1)
        for line in self.admin("GET", "/api/v1/logs?level=warn").json()["items"]:
            self.assertIn(line["level"], ("warn", "error"))

    # ---- configuration ---------------------------------------------------------------------------

    def test_configuration_is_typed_versioned_and_says_its_source(self):
        listed = self.admin("GET", "/api/v1/config")
        options = {o["key"]: o for o in listed.json()["items"]}
        self.assertEqual(options["http.plain"]["source"], "machine configuration")
        self.assertEqual(options["net.address"]["source"], "default")
        self.assertIsNone(options["admin.password"]["value"])
        self.assertNotIn("correct horse", listed.body.decode())
        tag = listed.headers["etag"]
        put = self.admin("PUT", "/api/v1/config/log.console", {"value": "error"},
                         headers={"If-Match": tag})
        self.assertEqual(put.status, 200, put)
        self.assertEqual((put.json()["value"], put.json()["source"]), ("error", "stored"))
        self.problem(self.admin("PUT", "/api/v1/config/log.console", {"value": "info"},
                                headers={"If-Match": tag}), 412)
        for key, value, status, code in (
                ("log.console", "loud", 422, "config_value_invalid"),
                ("log.console", 5, 422, "config_value_invalid"),
                ("net.hostname", "-x-", 422, "config_value_invalid"),
                ("http.plain", False, 409, "config_set_by_machine"),
                ("admin.password", "x" * 20, 422, "config_machine_only"),
                ("no.such", 1, 404, "config_key_unknown")):
            answer = self.admin("PUT", f"/api/v1/config/{key}", {"value": value})
            body = self.problem(answer, status)
            self.assertEqual(body["code"], code)
            if status == 422:
                self.assertIn(key, body["detail"])
        back = self.admin("DELETE", "/api/v1/config/log.console").json()
        self.assertEqual((back["value"], back["source"]), ("warn", "default"))

    def test_several_options_change_together_or_not_at_all(self):
        bad = self.admin("PUT", "/api/v1/config", {"net.hostname": "together", "log.console": "loud"})
        self.assertIn("log.console", self.problem(bad, 422)["detail"])
        self.assertEqual(self.admin("GET", "/api/v1/config/net.hostname").json()["value"], "openpolicy")
        good = self.admin("PUT", "/api/v1/config", {"net.hostname": "together", "metrics.public": True})
        self.assertEqual(good.status, 200, good)
        one = self.admin("GET", "/api/v1/config/net.hostname").json()
        self.assertEqual((one["value"], one["restart_needed"]), ("together", True))
        changes = self.admin("GET", "/api/v1/config-changes").json()
        newest = {c["key"]: c for c in changes["items"] if c["version"] == changes["items"][0]["version"]}
        self.assertEqual(set(newest), {"net.hostname", "metrics.public"})
        self.assertEqual(newest["net.hostname"]["changed_by"], "admin@example.org")
        self.admin("DELETE", "/api/v1/config/net.hostname")
        self.admin("DELETE", "/api/v1/config/metrics.public")

    def test_live_options_act_at_once(self):
        self.admin("PUT", "/api/v1/config/metrics.public", {"value": False})
        self.problem(self.a.get("/metrics"), 401)
        self.assertEqual(self.admin("GET", "/metrics").status, 200)
        self.admin("DELETE", "/api/v1/config/metrics.public")
        self.assertEqual(self.a.get("/metrics").status, 200)

    # ---- the same request twice ------------------------------------------------------------------

    def test_a_post_sent_twice_with_one_key_acts_once(self):
        policy = {"title": "One policy, however often it is sent", "body": "Text."}
        key = {"Idempotency-Key": "retry-1"}
        count = lambda: self.admin("GET", "/api/v1/policies?limit=1").json()["total"]
        before = count()
        first = self.admin("POST", "/api/v1/policies", policy, headers=key)
        self.assertEqual(first.status, 201, first)
        again = self.admin("POST", "/api/v1/policies", policy, headers=key)
        self.assertEqual((again.status, again.body), (first.status, first.body))
        self.assertEqual(again.headers["location"], first.headers["location"])
        self.assertEqual(again.headers["idempotency-replayed"], "true")
        self.assertNotIn("idempotency-replayed", first.headers)
        self.assertNotEqual(again.headers["x-request-id"], first.headers["x-request-id"])
        self.assertEqual(count(), before + 1)
        other = self.admin("POST", "/api/v1/policies", dict(policy, body="Other."), headers=key)
        self.assertEqual(self.problem(other, 422)["code"], "idempotency_key_reused")
        bad = self.admin("POST", "/api/v1/policies", policy, headers={"Idempotency-Key": "a b"})
        self.assertEqual(self.problem(bad, 400)["code"], "idempotency_key_invalid")
        refused = self.admin("POST", "/api/v1/policies", {"title": ""}, headers={"Idempotency-Key": "retry-2"})
        same = self.admin("POST", "/api/v1/policies", {"title": ""}, headers={"Idempotency-Key": "retry-2"})
        self.assertEqual((refused.status, same.status), (422, 422))
        self.assertEqual(count(), before + 1)

    def test_twenty_retries_at_once_act_once(self):
        policy = {"title": "Twenty at once, one of them counts", "body": "Text."}
        lines = [self.a.connection() for _ in range(20)]
        for line in lines:  # one by one: QEMU's network takes few new connections at a time
            line.connect()
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda line: self.admin(
                "POST", "/api/v1/policies", policy, headers={"Idempotency-Key": "storm"}, connection=line), lines))
        for line in lines:
            line.close()
        made = {a.json()["id"] for a in answers if a.status == 201}
        self.assertEqual(len(made), 1)
        self.assertLessEqual({a.status for a in answers}, {201, 409})

    # ---- metrics ---------------------------------------------------------------------------------

    def test_metrics_pass_promtool_and_count(self):
        before = self.a.get("/metrics").body.decode()
        for _ in range(7):
            self.a.get("/livez")
        after = self.a.get("/metrics").body.decode()
        count = lambda t: float(re.search(
            r'^openpolicy_http_requests_total{route="/livez",method="GET",status="200"} (\S+)$',
            t, re.M).group(1))
        self.a.get("/livez")
        self.assertGreaterEqual(count(after), 7)
        self.assertGreater(metric(after, "openpolicy_uptime_seconds"),
                           metric(before, "openpolicy_uptime_seconds"))
        self.assertEqual(metric(after, "openpolicy_ready"), 1)
        buckets = [float(v) for v in re.findall(
            r'^openpolicy_http_request_duration_seconds_bucket{route="/livez",method="GET",le="[^"]+"} (\S+)$',
            after, re.M)]
        self.assertEqual(buckets, sorted(buckets))
        self.assertEqual(buckets[-1], count(after))
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed (Debian: prometheus)")
        done = subprocess.run([promtool, "check", "metrics"], input=after.encode(),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    # ---- the API document ------------------------------------------------------------------------

    def test_the_api_document_holds_together(self):
        document = self.a.get("/api/openapi.json").json()
        self.assertEqual(document["openapi"], "3.1.0")
        ids, refs = [], set()

        def walk(x):
            if isinstance(x, dict):
                if "$ref" in x:
                    refs.add(x["$ref"])
                for v in x.values():
                    walk(v)
            elif isinstance(x, list):
                for v in x:
                    walk(v)

        walk(document)
        for ref in refs:
            at = document
            for part in ref.removeprefix("#/").split("/"):
                self.assertIn(part, at, ref)
                at = at[part]
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                ids.append(operation["operationId"])
                named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
                self.assertEqual(named, set(re.findall(r"{(\w+)}", path)), path)
        self.assertEqual(len(ids), len(set(ids)))
        self.assertGreater(len(ids), 30)

    def test_every_documented_route_exists_and_guards_itself(self):
        document = self.a.get("/api/openapi.json").json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if operation["x-access"] == "public" or method == "get" and path == "/":
                    continue
                concrete = re.sub(r"{\w+}", "0", path)
                answer = self.a.request(method.upper(), concrete, {} if method in ("post", "put", "patch") else None)
                self.assertEqual(answer.status, 401, (method, path, answer))

    # ---- pages -----------------------------------------------------------------------------------

    def test_pages_speak_two_languages_and_load_nothing_from_elsewhere(self):
        for accept, language in (("fr-CA,fr;q=0.9,en;q=0.8", "fr"), ("en", "en"), ("de", "en"),
                                 ("en;q=0.5, fr;q=0.6", "fr"), ("fr;q=0", "en")):
            page = self.a.get("/", headers={"Accept-Language": accept})
            self.assertEqual(page.headers["content-language"], language, accept)
            self.assertIn(f'<html lang="{language}">', page.body.decode())
        page = self.a.get("/?lang=fr").body.decode()
        self.assertNotRegex(page, r'(src|href)="https?:')
        self.assertNotRegex(page, r"<script(?![^>]*\bsrc=)")
        self.assertIn("script-src 'self'", self.a.get("/").headers["content-security-policy"])
        for asset in set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)):
            answer = self.a.get(asset, headers={"Accept-Encoding": "br"})
            self.assertEqual(answer.status, 200, asset)
            self.assertIn("immutable", answer.headers["cache-control"])
            again = self.a.get(asset, headers={"If-None-Match": answer.headers["etag"],
                                               "Accept-Encoding": "br"})
            self.assertEqual(again.status, 304)
        self.problem(self.a.get("/assets/none.js"), 404)
        self.assertIn("<form", self.a.get("/setup").body.decode())

    # ---- certificate -----------------------------------------------------------------------------

    def test_the_certificate_can_be_replaced_live(self):
        before = self.admin("GET", "/api/v1/tls/certificate").json()
        shown = hashlib.sha256(self.a.peer_certificate()).hexdigest().upper()
        self.assertEqual(before["fingerprint_sha256"].replace(":", ""), shown)
        self.assertIn(before["fingerprint_sha256"], self.a.console.tail(1000))
        folder = self.a.directory
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "30", "-subj", "/CN=replaced.example", "-keyout",
                        f"{folder}/k.pem", "-out", f"{folder}/c.pem"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        key, chain = open(f"{folder}/k.pem").read(), open(f"{folder}/c.pem").read()
        self.problem(self.admin("PUT", "/api/v1/tls/certificate", {"key": "no", "chain": chain}), 422)
        self.problem(self.admin("PUT", "/api/v1/tls/certificate", {"key": key}), 422)
        put = self.admin("PUT", "/api/v1/tls/certificate", {"key": key, "chain": chain})
        self.assertEqual(put.status, 200, put)
        self.assertNotIn("PRIVATE", put.body.decode())
        der = ssl.PEM_cert_to_DER_cert(chain)
        self.assertEqual(self.a.peer_certificate(), der)
        again = self.admin("POST", "/api/v1/tls/certificate/generate")
        self.assertTrue(again.json()["self_signed"])
        self.assertNotEqual(self.a.peer_certificate(), der)

    # ---- the machine -----------------------------------------------------------------------------

    def test_system_and_integrity(self):
        machine = self.admin("GET", "/api/v1/system").json()
        self.assertGreater(machine["boot"]["listener_ready_seconds"], 0)
        self.assertGreater(machine["boot"]["first_answer_seconds"],
                           machine["boot"]["listener_ready_seconds"])
        self.assertTrue(self.admin("POST", "/api/v1/system/integrity-check").json()["ok"])
        self.assertEqual(self.a.get("/api/v1/system/public").json()["status"], "healthy")
        self.problem(self.a.request("POST", "/api/v1/system/poweroff"), 401)


class Life(AppliancePerClass):
    may_end = True

    def test_what_was_set_is_there_after_poweroff_by_api(self):
        token = self.a.login()
        certificate = self.a.peer_certificate()
        put = self.a.put("/api/v1/config/net.hostname", {"value": "kept"}, token=token)
        self.assertEqual(put.status, 200, put)
        off = self.a.post("/api/v1/system/poweroff", token=token)
        self.assertEqual(off.status, 202, off)
        self.assertEqual(self.a.wait_exit(), 0)
        self.a.start()
        one = self.a.get("/api/v1/config/net.hostname", token=self.a.login()).json()
        self.assertEqual((one["value"], one["source"], one["restart_needed"]), ("kept", "stored", False))
        self.assertEqual(self.a.peer_certificate(), certificate)
        restart = self.a.post("/api/v1/system/restart", token=self.a.login())
        self.assertEqual(restart.status, 202, restart)
        self.assertEqual(self.a.wait_exit(), 75)
        self.a.start()
        self.assertEqual(self.a.stop(), 0)


class Refusals(unittest.TestCase):
    """Starting with what cannot be right."""

    def test_a_document_with_a_wrong_key_is_refused_whole(self):
        with Appliance(config={"log.levle": "debug"}, wait=False) as a:
            a.console.wait_for(r"CONFIGURATION REFUSED.*log\.levle", 60)
            until(lambda: self.answers(a, "/readyz", 200), 60, why="/readyz over HTTPS")
            body = a.get("/api/v1/health/detailed", tls=True).json()
            self.assertEqual(body["status"], "degraded")
            self.assertIn("log.levle", json.dumps(body))
            # http.plain was in the same document: it does not hold
            moved = a.get("/")
            self.assertEqual(moved.status, 308)
            self.assertTrue(moved.headers["location"].startswith("https://127.0.0.1/"))
            self.assertEqual(a.post("/api/v1/auth/login", {}).status, 403)

    def answers(self, a, path, status):
        try:
            return a.get(path, tls=True, timeout=2).status == status
        except OSError:
            return False

    def test_a_foreign_disk_is_never_written_and_the_probes_say_why(self):
        folder = tempfile.mkdtemp(prefix="openpolicy-test-")
        disk = os.path.join(folder, "foreign.img")
        with open(disk, "wb") as f:
            f.write(os.urandom(4096) * 16)
            f.truncate(64 << 20)
        before = hashlib.sha256(open(disk, "rb").read()).hexdigest()
        try:
            with Appliance(disk=disk, wait=False) as a:
                a.console.wait_for(r"STORAGE NOT AVAILABLE", 60)
                until(lambda: self.answers(a, "/livez", 200), 60, why="/livez")
                ready = a.get("/readyz")
                self.assertEqual(ready.status, 503)
                checks = {c["name"]: c for c in ready.json()["checks"]}
                self.assertEqual(checks["database"]["status"], "unhealthy")
                self.assertTrue(checks["database"]["detail"])
                self.assertEqual(a.get("/healthz").status, 200)
                self.assertEqual(a.get("/").status, 200)
                self.assertEqual(a.post("/api/v1/auth/login", {"email": "a@b.ca", "password": "x"}).status, 503)
                self.assertEqual(a.stop(), 0)
            self.assertEqual(hashlib.sha256(open(disk, "rb").read()).hexdigest(), before)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
