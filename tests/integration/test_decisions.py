# SPDX-License-Identifier: Apache-2.0
"""test_decisions.py: the decision log sent to a collector: form, size, credentials, failures that
cost no record, and the pulled plug."""
import json
import time

from appliance import AppliancePerClass, until
from server import Server

POLICY = """package play

allow := input.n > 3
"""


class Decisions(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.login()
        r = cls.a.put("/v1/policies/play", POLICY.encode(), token=cls.token, headers={"Content-Type": "text/plain"})
        assert r.status == 200, r
        cls.next = 0

    @classmethod
    def login(cls):
        cls.token = cls.a.login()

    def set(self, **values):
        values = {("policy.services" if k == "services" else "decisions." + k): v for k, v in values.items()}
        r = self.a.put("/api/v1/config", values, token=self.token)
        self.assertEqual(r.status, 200, r)

    def decide(self, count):
        """Decisions with inputs that differ; their ids by n."""
        ids = {}
        for _ in range(count):
            n = type(self).next
            type(self).next += 1
            r = self.a.request("POST", "/v1/data/play/allow", {"input": {"n": n}}, token=self.token)
            self.assertEqual(r.status, 200, r)
            ids[n] = r.json()["decision_id"]
        return ids

    def status(self):
        r = self.a.get("/v1/status", token=self.token)
        self.assertEqual(r.status, 200, r)
        return r.json()["result"]

    def collector(self, **options):
        """A server that acknowledges; `got` is what it was sent, by n."""
        s = Server(**options)
        s.got, s.sizes, s.fail = {}, [], None

        def take(q):
            if s.fail:
                return s.fail(q)
            for event in q.json():
                s.got.setdefault(event.get("input", {}).get("n"), []).append(event)
            s.sizes.append(len(q.body))
            return 200, {}, b"{}"

        s.answer = take
        return s

    def use(self, s, **settings):
        service = {"url": s.url("/api/")}
        service.update(settings.pop("service_options", {}))
        settings = {"delay_min": "1s", "delay_max": "1s", "upload_bytes": 32768, "partition": "",
                    "resource": "", **settings}
        self.set(services={"collector": service}, service="collector", **settings)

    def wait_for(self, s, ids, seconds=30):
        until(lambda: all(n in s.got for n in ids), seconds, why=f"{len(ids)} decisions at the collector")

    def tearDown(self):
        self.set(service="")

    def test_records_arrive_in_the_references_form(self):
        with self.collector() as s:
            self.use(s, partition="red/x", service_options={
                "headers": {"X-Site": "b"}, "credentials": {"bearer": {"token": "s3cret"}}})
            ids = self.decide(5)
            self.wait_for(s, ids)
            q = s.requests[0]
            self.assertEqual((q.method, q.path), ("POST", "/api/logs/red/x"))
            self.assertEqual(q.headers["content-encoding"], "gzip")
            self.assertEqual(q.headers["content-type"], "application/json")
            self.assertEqual((q.headers["authorization"], q.headers["x-site"]), ("Bearer s3cret", "b"))
            for n, decision_id in ids.items():
                event = s.got[n][0]
                self.assertEqual(event["decision_id"], decision_id)
                self.assertEqual((event["path"], event["result"], event["input"]), ("play/allow", n > 3, {"n": n}))
                self.assertEqual(event["labels"]["version"], self.status()["labels"]["version"])
                self.assertIn("timestamp", event)
            until(lambda: self.status().get("decision_logs", {}).get("sent", 0) >= 5, 10, why="status")
            self.assertEqual(self.status()["plugins"]["decision_logs"]["state"], "OK")
            config = self.a.get("/v1/config", token=self.token)
            self.assertNotIn(b"s3cret", config.body)
            self.assertEqual(config.json()["result"]["decision_logs"]["service"], "collector")
            for path in ("/api/v1/config", "/api/v1/config/policy.services", "/api/v1/config-changes"):
                self.assertNotIn(b"s3cret", self.a.get(path, token=self.token).body, path)
            metrics = self.a.get("/metrics", token=self.token).body.decode()
            self.assertRegex(metrics, r"(?m)^openpolicy_decisions_sent_total [1-9]")

    def test_uploads_keep_to_their_size(self):
        with self.collector() as s:
            ids = self.decide(120)
            self.use(s, upload_bytes=2048)
            self.wait_for(s, ids)
            self.assertGreater(len(s.sizes), 2)
            self.assertLessEqual(max(s.sizes), 2048)
            self.assertEqual(max(len(s.got[n]) for n in ids), 1)

    def test_nothing_is_lost_while_the_collector_is_away(self):
        with self.collector() as s:
            s.fail = lambda q: (503, {}, b"later")
            self.use(s)
            ids = self.decide(10)
            s.wait(3)
            until(lambda: self.status()["decision_logs"].get("http_code") == 503, 10, why="status of the failure")
            self.assertEqual(self.status()["plugins"]["decision_logs"]["state"], "WARN")
            ids.update(self.decide(10))
            s.fail = lambda q: None  # it hangs up
            s.wait(len(s.requests) + 1)
            s.fail = None
            self.wait_for(s, ids)
            until(lambda: self.status()["plugins"]["decision_logs"]["state"] == "OK", 10, why="recovery")

    def test_one_bad_record_does_not_stop_the_others(self):
        with self.collector() as s:
            before = self.decide(4)
            poison = self.decide(1)
            after = self.decide(4)
            bad = next(iter(poison))
            s.fail = lambda q: (413, {}, b"") if any(e["input"].get("n") == bad for e in q.json()) else accept(q)

            def accept(q):
                for event in q.json():
                    s.got.setdefault(event["input"].get("n"), []).append(event)
                return 204, {"Content-Length": "0"}, b""

            self.use(s)
            self.wait_for(s, {**before, **after})
            self.assertNotIn(bad, s.got)
            self.assertEqual(self.status()["decision_logs"]["refused"], 1)

    def test_the_pulled_plug_loses_no_record(self):
        with self.collector() as s:
            self.use(s)
            first = self.decide(5)
            self.wait_for(s, first)
            until(lambda: self.status()["decision_logs"]["position"] > 0, 10, why="position")
            s.fail = lambda q: (500, {}, b"")
            second = self.decide(5)
            r = self.a.get("/api/v1/rego/decisions", token=self.token)  # they are durable now
            self.assertEqual(r.status, 200)
            time.sleep(0.2)
            self.a.cut()
            s.fail = None
            self.a.start()
            self.a.wait_ready()
            self.login()
            self.wait_for(s, second, 60)
            self.assertEqual(max(len(s.got[n]) for n in second), 1)
            repeated = [n for n in first if len(s.got[n]) > 1]
            self.assertLessEqual(len(repeated), 5)

    def test_tls_basic_and_oauth2(self):
        with self.collector(tls=True) as s:
            self.use(s, service_options={"tls": {"ca_cert": s.ca}, "credentials": {
                "basic": {"username": "u", "password": "p w"}}})
            self.wait_for(s, self.decide(2))
            self.assertEqual(s.requests[-1].headers["authorization"], "Basic dTpwIHc=")
        with self.collector() as s:
            take = s.answer

            def answer(q):
                if q.path != "/token":
                    return take(q)
                return 200, {"Content-Type": "application/json"}, json.dumps(
                    {"access_token": "t0k", "token_type": "bearer", "expires_in": 3600}).encode()

            s.answer = answer
            self.use(s, service_options={"credentials": {"oauth2": {
                "token_url": s.url("/token"), "client_id": "me", "client_secret": "s&c", "scopes": ["a", "b"]}}})
            self.wait_for(s, self.decide(2))
            self.wait_for(s, self.decide(2))
            tokens = [q for q in s.requests if q.path == "/token"]
            self.assertEqual(len(tokens), 1)
            self.assertEqual(tokens[0].body, b"grant_type=client_credentials&scope=a%20b")
            self.assertEqual(tokens[0].headers["authorization"], "Basic bWU6cyUyNmM=")
            self.assertEqual(s.requests[-1].headers["authorization"], "Bearer t0k")

    def test_settings_are_judged_before_they_hold(self):
        for services, word in (({"a": {"url": "ftp://x"}}, "neither"), ({"a": {}}, "url"),
                               ({"a": {"url": "http://x", "credentials": {"gcp": {}}}}, "gcp"), ([], "object"), ("{", "line")):
            r = self.a.put("/api/v1/config/policy.services", {"value": services}, token=self.token)
            self.assertEqual(r.status, 422, r)
            self.assertIn(word, r.body.decode())
        self.set(service="nobody", delay_min="1s", delay_max="1s")
        self.decide(1)
        until(lambda: "nobody" in self.status()["decision_logs"].get("message", ""), 20, why="an error in status")
