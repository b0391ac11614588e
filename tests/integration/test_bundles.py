# SPDX-License-Identifier: Apache-2.0
"""test_bundles.py: bundles by hand and from a server: activated whole or not at all, owners of their
roots, kept over a power cut, signed, changed by deltas, found by discovery, reported on."""
import base64
import gzip
import hashlib
import hmac
import http.server
import io
import json
import tarfile
import threading
import time
import unittest

from appliance import Appliance, AppliancePerClass, until

HOST = "10.0.2.2"  # this machine's loopback, as the appliance's network shows it


def archive(files, name="data.json"):
    """A bundle of {path: text or document}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as t:
        for path, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def bundle(revision, roots, files):
    return archive({".manifest": {"revision": revision, "roots": roots}, **files})


def canonical(path, content):
    if path.split("/")[-1] in ("data.json", ".manifest"):
        content = json.dumps(json.loads(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return content.encode()


def signed(files, secret, key_id="k", **claims):
    """The same files with an HS256 signature."""
    texts = {p: c if isinstance(c, str) else json.dumps(c) for p, c in files.items()}
    listed = [{"name": p, "hash": hashlib.sha256(canonical(p, t)).hexdigest(), "algorithm": "SHA-256"}
              for p, t in texts.items()]

    def part(x):
        return base64.urlsafe_b64encode(json.dumps(x).encode()).rstrip(b"=").decode()

    head = part({"alg": "HS256", "kid": key_id}) + "." + part({"files": listed, **claims})
    mac = hmac.new(secret.encode(), head.encode(), hashlib.sha256).digest()
    token = head + "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    return archive({**texts, ".signatures.json": {"signatures": [token]}})


class Server:
    """A server of bundles: {path: (bytes, etag)}; what was asked, what was reported."""

    def __init__(self):
        self.files, self.asked, self.reports, self.decisions, self.status = {}, [], [], [], 200
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, body=b"", **headers):
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name.replace("_", "-"), text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                path = self.path.lstrip("/")
                outer.asked.append((path, dict(self.headers)))
                if outer.status != 200:
                    return self.answer(outer.status)
                if path not in outer.files:
                    return self.answer(404)
                content, etag = outer.files[path]
                wait = [p for p in self.headers.get("Prefer", "").split(";") if p.startswith("wait=")]
                kind = "application/vnd.openpolicyagent.bundles" if wait else "application/gzip"
                end = time.time() + (float(wait[0][5:]) if wait else 0)
                while self.headers.get("If-None-Match") == etag and time.time() < end:
                    time.sleep(0.05)
                    content, etag = outer.files[path]
                if self.headers.get("If-None-Match") == etag:
                    return self.answer(304, ETag=etag, Content_Type=kind)
                self.answer(200, content, ETag=etag, Content_Type=kind)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    outer.decisions.append((self.path, json.loads(gzip.decompress(body))))
                else:
                    outer.reports.append((self.path, json.loads(body), dict(self.headers)))
                self.answer(200, b"{}")

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *args: None  # an appliance that was cut off in the middle
        self.url = f"http://{HOST}:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def put(self, path, content, etag):
        self.files[path] = (content, f'"{etag}"')

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Calls:
    """What the suites here ask an appliance."""

    def call(self, method, path, body=None, expect=200, **kw):
        if isinstance(body, int):
            body, kw["headers"] = str(body).encode(), {"Content-Type": "application/json"}
        r = self.a.request(method, path, body, token=self.token, **kw)
        self.assertEqual(r.status, expect, r)
        return r.json() if r.body else None

    def put_bundle(self, name, content, expect=200):
        return self.call("PUT", f"/api/v1/rego/bundles/{name}", content, expect,
                         headers={"Content-Type": "application/gzip"})

    def read(self, path):
        return self.call("GET", f"/v1/data/{path}").get("result")

    def soon(self, path, wanted, seconds=30):
        got = []

        def same():
            got[:] = [self.read(path)]
            return got[0] == wanted

        until(same, seconds, why=f"{path} == {wanted!r}, is {got}")

    def bundle_status(self, name):
        return self.call("GET", "/v1/status")["result"].get("bundles", {}).get(name)


class ByHand(Calls, AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def tearDown(self):
        for one in self.call("GET", "/api/v1/rego/bundles")["items"]:
            self.call("DELETE", f"/api/v1/rego/bundles/{one['name']}", expect=204)

    def test_a_bundle_is_active_whole_and_survives_the_plug(self):
        self.call("PUT", "/v1/data/shop/old", 1, expect=204)
        self.call("PUT", "/v1/data/other", {"kept": True}, expect=204)
        self.put_bundle("shop", bundle("7", ["shop", "more/deep"], {
            "/shop/p.rego": "package shop\n\nallow if input.x == data.shop.limit\n",
            "/shop/data.json": {"limit": 3}, "/more/deep/data.json": [1, 2], "README": "x"}))
        answer = self.call("POST", "/v1/data/shop/allow", {"input": {"x": 3}})
        self.assertIs(answer["result"], True)
        told = self.call("GET", "/v1/data/shop?provenance")["provenance"]
        self.assertEqual(told["bundles"], {"shop": {"revision": "7"}})
        kept = self.call("GET", "/api/v1/rego/decisions?path=shop/allow")
        self.assertEqual(json.loads(json.dumps(kept))["items"][0]["bundles"], {"shop": {"revision": "7"}})
        self.assertEqual(self.read("more"), {"deep": [1, 2]})
        self.assertIsNone(self.read("shop/old"))
        self.assertEqual(self.read("other"), {"kept": True})
        self.assertEqual(self.read("system/bundles/shop/manifest/revision"), "7")
        ids = [p["id"] for p in self.call("GET", "/v1/policies")["result"]]
        self.assertIn("shop/shop/p.rego", ids)
        self.a.cut()
        self.a.start()
        type(self).token = self.a.login()
        self.assertIs(self.call("POST", "/v1/data/shop/allow", {"input": {"x": 3}})["result"], True)
        self.put_bundle("shop", bundle("8", ["shop"], {"/shop/data.json": {"limit": 4}}))
        self.assertEqual(self.read("shop"), {"limit": 4})
        self.assertIsNone(self.read("more/deep"))
        self.call("DELETE", "/api/v1/rego/bundles/shop", expect=204)
        self.assertIsNone(self.read("shop"))
        self.assertIsNone(self.read("system/bundles/shop"))
        self.assertEqual(self.read("other"), {"kept": True})
        self.call("DELETE", "/api/v1/rego/bundles/shop", expect=404)

    def test_its_roots_are_nobody_elses(self):
        self.put_bundle("own", bundle("1", ["a/b"], {"/a/b/p.rego": "package a.b\n\nq := 1\n"}))
        owned = 'path {} is owned by bundle "own"'
        for method, path, body, words in (
                ("PUT", "/v1/data/a/b/c", 1, owned.format("a/b/c")),
                ("PUT", "/v1/data/a", {}, owned.format("a")),
                ("PATCH", "/v1/data/a", [{"op": "add", "path": "/b/x", "value": 1}], owned.format("a/b/x")),
                ("DELETE", "/v1/data/a/b", None, owned.format("a/b")),
                ("PUT", "/v1/data", {}, "can't write to document root with bundle roots configured")):
            answer = self.call(method, path, body, 400)
            self.assertEqual((answer["code"], answer["message"]), ("invalid_parameter", words))
        for name, text in (("x", "package a.b.c\n"), ("own/a/b/p.rego", "package z\n")):
            r = self.a.put(f"/v1/policies/{name}", text.encode(), token=self.token, headers={"Content-Type": "text/plain"})
            self.assertEqual((r.status, r.json()["message"][-24:]), (400, 'is owned by bundle "own"'), r)
        self.call("DELETE", "/v1/policies/own/a/b/p.rego", expect=400)
        self.call("PUT", "/v1/data/a/c", 1, expect=204)
        answer = self.put_bundle("next", bundle("1", ["a"], {}), 400)
        self.assertEqual(answer["message"], "detected overlapping roots in manifests for these bundles: "
                                            "[next, own] (a overlaps a/b)")
        answer = self.put_bundle("all", archive({"data.json": {}}), 400)
        self.assertIn("bundle(s) [all] specify empty root paths", answer["message"])
        self.assertEqual(self.read("a/b/q"), 1)

    def test_what_is_wrong_changes_nothing(self):
        self.put_bundle("good", bundle("1", ["good"], {"/good/p.rego": "package good\n\nq := 1\n"}))
        answer = self.put_bundle("good", bundle("2", ["good"], {"/p.rego": "package good\n\nq := x\n"}), 400)
        self.assertEqual(answer["errors"][0]["code"], "rego_unsafe_var_error")
        answer = self.put_bundle("good", bundle("2", ["good"], {"/p.rego": "package bad\n"}), 400)
        self.assertEqual(answer["message"], "manifest roots [good] do not permit 'package bad' in module '/p.rego'")
        for content in (b"", b"no gzip", bundle("2", ["good"], {})[:-20], archive({"../data.json": {}}),
                        archive({"policy.wasm": "x", ".manifest": {"wasm": [{"entrypoint": "a", "module": "/policy.wasm"}]}})):
            self.put_bundle("good", content, 400)
        self.assertEqual(self.read("good/q"), 1)
        self.assertEqual(self.read("system/bundles/good/manifest/revision"), "1")
        self.call("PUT", "/api/v1/rego/bundles/a%20b", b"x", 400)

    def test_deltas_change_data(self):
        self.put_bundle("d", bundle("1", ["d"], {"/d/data.json": {"x": 1, "l": [1]}}))
        patch = [{"op": "upsert", "path": "/d/new/deep", "value": 2}, {"op": "replace", "path": "d/x", "value": 3},
                 {"op": "remove", "path": "/d/l"}]
        self.put_bundle("d", bundle("2", ["d"], {"/patch.json": {"data": patch}}))
        self.assertEqual(self.read("d"), {"x": 3, "new": {"deep": 2}})
        self.assertEqual(self.read("system/bundles/d/manifest/revision"), "2")
        self.a.cut()
        self.a.start()
        type(self).token = self.a.login()
        self.assertEqual(self.read("d"), {"x": 3, "new": {"deep": 2}})
        for roots, path, op in ((["e"], "/e", "upsert"), (["d"], "/d/none", "replace"), (["d"], "/e", "upsert"),
                                (["d"], "/d/x", "move")):
            patch = {"data": [{"op": op, "path": path, "value": 1}]}
            self.put_bundle("d", bundle("3", roots, {"/patch.json": patch}), 400)
        self.assertEqual(self.read("d"), {"x": 3, "new": {"deep": 2}})

    def test_a_revert_brings_the_bundle_back(self):
        self.put_bundle("r", bundle("1", ["r"], {"/r/data.json": {"v": 1}}))
        then = self.call("GET", "/api/v1/rego/revisions")["items"][0]["revision"]
        self.put_bundle("r", bundle("2", ["r"], {"/r/data.json": {"v": 2}}))
        self.call("POST", "/api/v1/rego/revert", {"revision": then})
        self.assertEqual(self.read("r/v"), 1)
        self.assertEqual(self.call("GET", "/api/v1/rego/bundles")["items"][0]["manifest"]["revision"], "1")

    def test_policies_of_both_versions(self):
        self.put_bundle("v", archive({".manifest": {"roots": ["v"], "rego_version": 0, "file_rego_versions": {"/new.rego": 1}},

                                      "/old.rego": "package v\n\np[x] { x = 1 }\n",
                                      "/new.rego": "package v\n\nq contains 2 if true\n"}))
        self.assertEqual(self.read("v"), {"p": [1], "q": [2]})
        self.a.cut()
        self.a.start()
        type(self).token = self.a.login()
        self.assertEqual(self.read("v"), {"p": [1], "q": [2]})


class FromServer(Calls, unittest.TestCase):
    """Each test has a server and an appliance of its own."""

    def begin(self, bundles=None, **config):
        self.server = Server()
        self.addCleanup(self.server.close)
        every = {"polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}
        settings = {"policy.services": {"s": {"url": self.server.url}}}
        if bundles is not None:
            settings["policy.bundles"] = {n: {**every, **b} for n, b in bundles.items()}
        settings.update(config)
        self.a = Appliance(config=settings)
        self.addCleanup(self.a.close)

    def start(self):
        self.a.start()
        self.token = self.a.login()

    def test_polled_with_etags_and_kept_while_the_server_is_down(self):
        self.begin({"one": {"service": "s", "resource": "b/one.tar.gz"}})
        self.start()
        self.assertEqual(self.a.get("/health?bundles").status, 500)
        self.assertEqual(self.a.get("/health?bundles").json()["error"], "one or more bundles are not activated")
        until(lambda: (self.bundle_status("one") or {}).get("code"), 20, why="a failure is told")
        status = self.bundle_status("one")
        self.assertEqual((status["message"], status["http_code"]), ("server replied with Not Found", 404))
        self.server.put("b/one.tar.gz", bundle("r1", ["one"], {"/one/data.json": {"v": 1}}), "e1")
        self.soon("one", {"v": 1})
        self.assertEqual(self.a.get("/health?bundles&plugins").status, 200)
        until(lambda: self.server.asked[-1][1].get("If-None-Match") == '"e1"', 20, why="the ETag is sent")
        self.assertEqual(self.server.asked[-1][1]["Prefer"], "modes=snapshot,delta")
        self.server.put("b/one.tar.gz", bundle("r2", ["one"], {"/one/data.json": {"v": 2}}), "e2")
        self.soon("one", {"v": 2})
        status = self.bundle_status("one")
        self.assertEqual((status["active_revision"], status["type"], "code" in status), ("r2", "snapshot", False))
        self.server.status = 503
        self.a.cut()
        self.start()
        self.assertEqual(self.read("one"), {"v": 2})
        self.assertEqual(self.a.get("/health?bundles").status, 200)
        self.server.put("b/one.tar.gz", b"broken", "e3")
        self.server.status = 200
        until(lambda: "archive read failed" in (self.bundle_status("one") or {}).get("message", ""), 30, why="told")
        self.assertEqual(self.read("one"), {"v": 2})
        metrics = self.a.get("/metrics").body.decode()
        self.assertNotIn("openpolicy_bundle_failures_total 0", metrics)

    def test_long_polling_brings_a_change_at_once(self):
        self.begin({"one": {"resource": "one", "polling": {"min_delay_seconds": 100, "max_delay_seconds": 200,
                                                           "long_polling_timeout_seconds": 40}}})
        self.server.put("one", bundle("1", ["one"], {"/one/data.json": {"v": 1}}), "e1")
        self.start()
        self.soon("one", {"v": 1})
        until(lambda: "wait=40" in self.server.asked[-1][1]["Prefer"] and len(self.server.asked) > 1, 20, why="long poll")
        patch = {"data": [{"op": "upsert", "path": "/one/v", "value": 2}]}
        self.server.put("one", bundle("2", ["one"], {"/patch.json": patch}), "e2")
        self.soon("one", {"v": 2}, 25)
        self.assertEqual(self.bundle_status("one")["type"], "delta")

    def test_signatures_decide_what_is_taken(self):
        files = {".manifest": {"revision": "1", "roots": ["s"]}, "s/data.json": {"v": 1},
                 "s/p.rego": "package s\n\np := 1\n"}
        self.begin({"signed": {"resource": "signed", "signing": {"keyid": "k", "scope": "read"}}},
                   **{"policy.keys": {"k": {"key": "secret", "algorithm": "HS256"}}})
        self.server.put("signed", signed(files, "wrong", scope="read"), "e0")
        self.start()
        for content, words in ((signed(files, "wrong", scope="read"), "could not verify message"),
                               (archive(files), "bundle missing .signatures.json file"),
                               (signed(files, "secret", scope="write"), "scope mismatch")):
            self.server.put("signed", content, f"e{len(content)}{words[:3]}")
            until(lambda: words in (self.bundle_status("signed") or {}).get("message", ""), 30, why=words)
        self.assertIsNone(self.read("s/v"))
        self.server.put("signed", signed(files, "secret", scope="read"), "good")
        self.soon("s", {"v": 1, "p": 1})
        r = self.a.request("PUT", "/api/v1/rego/bundles/signed", archive(files), token=self.token)
        self.assertEqual((r.status, r.json()["message"]), (400, "bundle missing .signatures.json file"))

    def test_discovery_configures_and_reports_follow(self):
        self.begin(**{"policy.discovery": {"resource": "disco", "decision": "conf/opa", "service": "s",
                                           "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}})
        every = {"min_delay_seconds": 1, "max_delay_seconds": 1}

        def found(**more):
            rule = "package conf\n\nopa := data.conf.base\n"
            return bundle("d1", ["conf"], {"/conf/c.rego": rule, "/conf/data.json": {"base": {
                "bundles": {"app": {"service": "s", "resource": "app", "polling": every}},
                "status": {"service": "s", "partition_name": "berlin"}, "labels": {"region": "eu"}, **more}}})

        self.server.put("disco", found(), "d1")
        self.server.put("app", bundle("a1", ["app"], {"/app/data.json": {"v": 1}}), "a1")
        self.start()
        self.soon("app", {"v": 1})
        told = self.call("GET", "/v1/config")["result"]
        self.assertEqual((told["bundles"]["app"]["resource"], told["discovery"]["resource"]), ("app", "disco"))
        until(lambda: any(r[1].get("bundles", {}).get("app", {}).get("active_revision") == "a1"
                          for r in self.server.reports), 30, why="a status report")
        path, report, _ = self.server.reports[-1]
        self.assertEqual((path, report["labels"]["region"], report["discovery"]["active_revision"]),
                         ("/status/berlin", "eu", "d1"))
        self.assertEqual(report["plugins"]["bundle"], {"state": "OK"})
        self.server.put("disco", found(services={"s": {"url": "http://192.0.2.1"}}), "d2")
        until(lambda: self.call("GET", "/v1/status")["result"]["discovery"].get("message") ==
              "updates to the discovery service are not allowed", 30, why="refused")
        self.server.put("disco", bundle("d3", ["conf"], {"/conf/data.json": {"opa": {"bundles": {}}}}), "d3")
        self.soon("app", None)

    def test_discovery_says_where_decisions_go_and_which_is_the_default(self):
        self.begin(**{"policy.discovery": {"resource": "disco", "decision": "conf/opa", "service": "s",
                                           "polling": {"min_delay_seconds": 1, "max_delay_seconds": 1}}})

        def found(revision, **base):
            return bundle(revision, ["conf"], {"/conf/data.json": {"opa": base}})

        def config():
            return self.call("GET", "/v1/config")["result"]

        log = {"service": "s", "partition_name": "berlin", "mask_decision": "/looks/mask", "drop_decision": "looks/drop",
               "reporting": {"min_delay_seconds": 1, "max_delay_seconds": 1}}
        self.server.put("disco", found("d1", decision_logs=log, default_decision="/greet/hello", labels={"zone": "a"}), "d1")
        self.start()
        until(lambda: config()["default_decision"] == "/greet/hello", 30, why="discovered")
        told = config()
        self.assertEqual((told["decision_logs"]["service"], told["decision_logs"]["partition_name"], told["labels"]["zone"]),
                         ("s", "berlin", "a"))
        self.assertEqual(told["decision_logs"]["reporting"]["max_delay_seconds"], 1)
        r = self.a.put("/v1/policies/greet", b"package greet\n\nhello := input.name\n", token=self.token,
                       headers={"Content-Type": "text/plain"})
        self.assertEqual(r.status, 200, r)
        r = self.a.put("/v1/policies/looks", b'package looks\n\nmask contains "/input/secret"\n\n'
                       b'drop if input.input.name == "nobody"\n', token=self.token, headers={"Content-Type": "text/plain"})
        self.assertEqual(r.status, 200, r)
        self.assertEqual(self.a.post("/", {"name": "nobody"}, token=self.token).json(), "nobody")
        self.assertEqual(self.a.post("/", {"name": "ada", "secret": "x"}, token=self.token).json(), "ada")
        until(lambda: self.server.decisions, 30, why="the decision log is sent")
        path, records = self.server.decisions[0]
        self.assertEqual((records[0]["input"], records[0]["erased"]), ({"name": "ada"}, ["/input/secret"]))
        self.assertEqual((path, records[0]["path"], records[0]["labels"]["zone"]), ("/logs/berlin", "greet/hello", "a"))
        self.assertEqual(self.call("GET", "/v1/status")["result"]["plugins"]["decision_logs"], {"state": "OK"})
        for wrong, words in (({"decision_logs": {"servise": "s"}}, "decision_logs"),
                             ({"decision_logs": {"mask_decision": '/other"/mask'}}, "has a quote in it"),
                             ({"decision_logs": {"reporting": {"min_delay_seconds": 9, "max_delay_seconds": 1}}}, "reporting")):
            self.server.put("disco", found("bad", **wrong), words)
            until(lambda: words in (self.call("GET", "/v1/status")["result"]["discovery"].get("message") or ""), 30, why=words)
            self.assertEqual(config()["default_decision"], "/greet/hello")
        self.call("PUT", "/api/v1/config", {"policy.default_decision": "/greet"})
        self.assertEqual(self.a.post("/", {"name": "bob"}, token=self.token).json(), {"hello": "bob"})
        self.server.put("disco", found("d2", bundles={}), "d2")
        until(lambda: "service" not in config()["decision_logs"], 30, why="they go nowhere again")

    def test_configuration_changes_hold_at_once(self):
        self.begin()
        self.server.put("one", bundle("1", ["one"], {"/one/data.json": {"v": 1}}), "e1")
        self.server.put("two", bundle("2", ["two"], {"/two/data.json": {"v": 2}}), "e2")
        self.start()
        self.assertEqual(self.a.get("/health?bundles&plugins").status, 200)
        for bundles, one, two in (({"x": {"resource": "one"}}, {"v": 1}, None),
                                  ({"x": {"resource": "two"}, "y": {"resource": "one"}}, {"v": 1}, {"v": 2}),
                                  ({"x": {"resource": "two"}}, None, {"v": 2}), ({}, None, None)):
            self.call("PUT", "/api/v1/config", {"policy.bundles": bundles})
            self.soon("one", one)
            self.soon("two", two)
        wrong = self.a.request("PUT", "/api/v1/config", {"policy.bundles": {"x": {"signin": {}}}}, token=self.token)
        self.assertEqual(wrong.status, 422, wrong)
        self.assertIn("signin", wrong.body.decode())

    def test_a_bundle_asked_for_by_hand(self):
        self.begin({"m": {"resource": "m", "trigger": "manual"}})
        self.server.put("m", bundle("1", ["m"], {"/m/data.json": {"v": 1}}), "e1")
        self.start()
        self.call("POST", "/api/v1/rego/bundles/none", b"", 404)
        self.assertIsNone(self.read("m"))
        self.call("POST", "/api/v1/rego/bundles/m", b"", 202)
        self.soon("m", {"v": 1})
        listed = self.call("GET", "/api/v1/rego/bundles")["items"]
        self.assertEqual([(b["name"], b["active"], b["etag"]) for b in listed], [("m", True, '"e1"')])


if __name__ == "__main__":
    unittest.main()
