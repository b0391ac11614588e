# SPDX-License-Identifier: Apache-2.0
"""test_rego.py: the policy engine through the reference's REST API: policies, data, decisions, and
what is left of them after the plug was pulled."""
import json
import time
import unittest

from appliance import AppliancePerClass

POLICY = """package play

default allow := false

allow if input.user == data.owners[_]

greeting := sprintf("hello %s", [input.user])
"""


class Rego(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def put_policy(self, name, text, expect=200):
        r = self.a.put(f"/v1/policies/{name}", text.encode(), token=self.token, headers={"Content-Type": "text/plain"})
        self.assertEqual(r.status, expect, r)
        return r.json()

    def call(self, method, path, body=None, expect=200, **kw):
        r = self.a.request(method, path, body, token=self.token, **kw)
        self.assertEqual(r.status, expect, r)
        return r.json() if r.body else None

    def decide(self, path, given=None, **kw):
        answer = self.call("POST", f"/v1/data/{path}", {} if given is None else {"input": given}, **kw)
        answer.pop("decision_id", None)
        return answer

    def read(self, path):
        answer = self.call("GET", f"/v1/data/{path}")
        answer.pop("decision_id", None)
        return answer

    def test_a_policy_decides_with_data_and_survives_the_plug(self):
        self.put_policy("play", POLICY)
        self.call("PUT", "/v1/data/owners", ["alice", "bob"], expect=204)
        self.assertEqual(self.decide("play/allow", {"user": "bob"}), {"result": True})
        self.assertEqual(self.decide("play/allow", {"user": "eve"}), {"result": False})
        self.assertEqual(self.decide("play", {"user": "bob"}), {"result": {"allow": True, "greeting": "hello bob"}})
        self.assertEqual(self.decide("play/nothing", {"user": "bob"}), {})
        self.call("PATCH", "/v1/data/owners", [{"op": "add", "path": "/-", "value": "eve"}], expect=204)
        self.assertEqual(self.decide("play/allow", {"user": "eve"}), {"result": True})
        self.a.cut()
        self.a.start()
        self.a.wait_ready()
        type(self).token = self.a.login()
        self.assertEqual(self.decide("play/allow", {"user": "eve"}), {"result": True})
        self.assertEqual(self.read("owners"), {"result": ["alice", "bob", "eve"]})

    def test_a_policy_with_errors_changes_nothing(self):
        self.put_policy("good", "package good\n\np := 1\n")
        wrong = self.put_policy("good", "package good\n\np := x\n", expect=400)
        self.assertEqual(wrong["code"], "invalid_parameter")
        self.assertEqual(wrong["errors"][0]["code"], "rego_unsafe_var_error")
        self.assertEqual(wrong["errors"][0]["location"]["row"], 3)
        self.put_policy("bad", "package bad\n\np := {", expect=400)
        self.assertEqual(self.decide("good/p"), {"result": 1, "warning": {"code": "api_usage_warning",
                         "message": "'input' key missing from the request"}})
        self.assertEqual(self.call("GET", "/v1/policies/bad", expect=404)["code"], "resource_not_found")

    def test_policies_are_listed_read_and_deleted(self):
        self.put_policy("a/b", "package listed\n\nq := 2\n")
        one = self.call("GET", "/v1/policies/a/b")["result"]
        self.assertEqual((one["id"], one["raw"]), ("a/b", "package listed\n\nq := 2\n"))
        self.assertEqual(one["ast"]["package"]["path"][1]["value"], "listed")
        self.assertIn("a/b", [p["id"] for p in self.call("GET", "/v1/policies")["result"]])
        self.assertEqual(self.call("DELETE", "/v1/policies/a/b"), {})
        self.call("DELETE", "/v1/policies/a/b", expect=404)
        self.assertEqual(self.decide("listed/q", {}), {})

    def test_base_documents(self):
        self.call("PUT", "/v1/data/x/y", {"z": [1, 2.50, None]}, expect=204)
        self.assertEqual(self.read("x"), {"result": {"y": {"z": [1, 2.5, None]}}})
        self.assertEqual(self.read("x/y/z/1"), {"result": 2.5})
        self.call("PUT", "/v1/data/x/y", {}, expect=304, headers={"If-None-Match": "*"})
        self.call("PATCH", "/v1/data/x", [{"op": "remove", "path": "/y/nope"}], expect=404)
        self.call("PATCH", "/v1/data/x", [{"op": "move", "path": "/y"}], expect=400)
        self.call("PATCH", "/v1/data/x", {"op": "add"}, expect=400)
        self.call("DELETE", "/v1/data/x/y", expect=204)
        self.call("DELETE", "/v1/data/x/y", expect=404)
        r = self.a.put("/v1/data/x", b"{nope", token=self.token, headers={"Content-Type": "application/json"})
        self.assertEqual(r.status, 400)

    def test_ad_hoc_queries(self):
        r = self.call("POST", "/v1/query", {"query": "x := input.a[_]; x > 1", "input": {"a": [1, 2, 3]}})
        self.assertEqual(r, {"result": [{"x": 2}, {"x": 3}]})
        self.assertEqual(self.call("GET", "/v1/query?q=1%3D2"), {})
        self.assertEqual(self.call("GET", "/v1/query?q=x%20%3A%3D%201"), {"result": [{"x": 1}]})
        wrong = self.call("POST", "/v1/query", {"query": "x > 1"}, expect=400)
        self.assertEqual(wrong["errors"][0]["code"], "rego_unsafe_var_error")
        self.call("POST", "/v1/query", {}, expect=400)

    def test_conflicts_and_strict_errors_are_told(self):
        self.put_policy("clash", "package clash\n\np := 1 if input.x\n\np := 2 if input.y\n\nq := to_number(\"x\")\n")
        wrong = self.decide("clash/p", {"x": 1, "y": 1}, expect=500)
        self.assertEqual(wrong["errors"][0]["code"], "eval_conflict_error")
        self.assertEqual(self.decide("clash/q", {}), {})
        strict = self.call("POST", "/v1/data/clash/q?strict-builtin-errors=true", {"input": {}}, expect=500)
        self.assertEqual(strict["errors"][0]["code"], "eval_builtin_error")

    def test_an_endless_question_ends_and_others_are_served_meanwhile(self):
        self.put_policy("slow", "package slow\n\np := count([1 | numbers.range(1, 2000)[_]; numbers.range(1, 2000)[_]; "
                                "numbers.range(1, 2000)[_]])\n")
        import threading
        answer = []
        t = threading.Thread(target=lambda: answer.append(
            self.a.post("/v1/data/slow/p", {"input": {}}, token=self.token, timeout=120)))
        t.start()
        for _ in range(5):
            self.assertEqual(self.a.get("/healthz", timeout=20).status, 200)
        t.join(120)
        self.assertIn(answer[0].status, (500, 503), answer[0])

    def test_guests_do_not_decide_unless_told_so(self):
        self.put_policy("open", "package open\n\np := 1\n")
        self.assertEqual(self.a.post("/v1/data/open/p", {"input": {}}).status, 401)
        self.assertEqual(self.a.put("/v1/policies/x", b"package x", headers={"Content-Type": "text/plain"}).status, 401)
        r = self.a.request("PUT", "/api/v1/config/policy.public", {"value": "true"}, token=self.token)
        if r.status not in (200, 204):
            r = self.a.request("PATCH", "/api/v1/config", {"policy.public": True}, token=self.token)
        self.assertIn(r.status, (200, 204), r)
        self.assertEqual(self.a.post("/v1/data/open/p", {"input": {}}).json()["result"], 1)
        self.assertEqual(self.a.put("/v1/policies/x", b"package x", headers={"Content-Type": "text/plain"}).status, 401)

    def test_the_engine_tells_about_itself(self):
        self.put_policy("told", "package told\n\np := 1\n")
        status = self.call("GET", "/v1/status")["result"]
        self.assertEqual(status["plugins"]["policies"]["state"], "OK")
        self.assertGreater(status["revision"], 0)
        self.assertIn("labels", self.call("GET", "/v1/config")["result"])
        self.assertEqual(self.a.get("/health?bundles=true&plugins").status, 200)
        self.assertEqual(self.a.get("/v1/status").status, 401)

    def test_pretty_and_metrics(self):
        self.put_policy("pretty", "package pretty\n\np := {\"b\": {1, 2}, \"a\": \"<\"}\n")
        r = self.a.post("/v1/data/pretty/p?pretty=true", {"input": {}}, token=self.token)
        self.assertTrue(r.body.decode().endswith(
            '  "result": {\n    "a": "\\u003c",\n    "b": [\n      1,\n      2\n    ]\n  }\n}\n'), r.body)
        self.assertIn("timer_rego_query_eval_ns", self.decide("pretty/p?metrics=true", {})["metrics"])
        r = self.a.post("/v0/data/pretty/p", {}, token=self.token)
        self.assertEqual(json.loads(r.body), {"a": "<", "b": [1, 2]})

    def test_explanations(self):
        self.put_policy("why", "package why\n\nallow if {\n\tinput.user == \"ada\"\n\ttrace(\"seen\")\n}\n")
        answer = self.decide("why/allow?explain=full", {"user": "ada"})
        steps = answer["explanation"]
        self.assertEqual(answer["result"], True)
        self.assertEqual([s["op"] for s in steps[:4]], ["enter", "eval", "index", "enter"])
        self.assertEqual([s["type"] for s in steps[:4]], ["body", "expr", "expr", "rule"])
        self.assertEqual((steps[3]["query_id"], steps[3]["parent_id"]), (1, 0))
        self.assertEqual(steps[3]["node"]["head"]["name"], "allow")
        self.assertTrue(all("locals" in s for s in steps))
        answer = self.decide("why/allow?explain=fails&pretty", {"user": "eve"})
        self.assertNotIn("result", answer)
        self.assertEqual(answer["explanation"][-2].split()[1:], ["|", "|", "Fail", "input.user", "=", '"ada"'])
        self.assertEqual(answer["explanation"][-1].split()[1:], ["|", "Fail", "data.why.allow", "=", "_"])
        answer = self.decide("why/allow?explain=notes", {"user": "ada"})
        self.assertEqual([s.get("message") for s in answer["explanation"]][-1], "seen")
        self.assertNotIn("explanation", self.decide("why/allow?explain=off", {"user": "ada"}))
        self.assertNotIn("explanation", self.decide("why/allow?explain=words", {"user": "ada"}))
        answer = self.call("POST", "/v1/query?explain=full&metrics", {"query": "data.why.allow = x", "input": {"user": "ada"}})
        self.assertEqual(answer["result"], [{"x": True}])
        self.assertEqual(answer["explanation"][0]["op"], "enter")
        self.assertIn("timer_rego_query_compile_ns", answer["metrics"])
        self.call("PUT", "/v1/data/whydata", {"n": 1}, expect=204)
        self.assertEqual(self.decide("whydata/n?explain=full", {})["result"], 1)

    def test_a_long_explanation_is_cut(self):
        self.put_policy("long", "package long\n\np := count([1 | xs := numbers.range(1, 5000); some x in xs; x % 2 == 0])\n")
        answer = self.decide("long/p?explain=full", {})
        self.assertEqual((answer["result"], answer["explanation_incomplete"]), (2500, True))
        self.assertGreater(len(answer["explanation"]), 10)
        self.assertEqual(self.decide("long/p", {}), {"result": 2500})

    def test_metrics_and_provenance(self):
        self.put_policy("told2", "package told2\n\np := 1\n")
        first = self.decide("told2/p?metrics", {})["metrics"]
        self.assertEqual(first["counter_server_query_cache_hit"], 0)
        again = self.decide("told2/p?metrics", {})["metrics"]
        self.assertEqual(again["counter_server_query_cache_hit"], 1)
        for name in ["rego_query_eval", "rego_input_parse", "server_handler"]:
            self.assertGreater(again[f"timer_{name}_ns"], 0, name)
        self.assertGreaterEqual(again["timer_server_handler_ns"], again["timer_rego_query_eval_ns"])
        self.assertIn("counter_eval_steps", self.decide("told2/p?instrument=true", {})["metrics"])
        provenance = self.decide("told2/p?provenance=true", {})["provenance"]
        self.assertTrue(provenance["version"] and provenance["revision"])
        self.assertIn("build_commit", provenance)

    def test_profile(self):
        self.put_policy("cost", "package cost\n\nsum_all := sum(ns)\n\nns := [m | some n in input.ns; m := n * 2]\n")
        answer = self.call("POST", "/api/v1/rego/profile", {"path": "cost/sum_all", "input": {"ns": list(range(50))}, "count": 10})
        self.assertEqual((answer["result"], answer["questions"], answer["incomplete"]), (2450, 10, False))
        rules = {r["rule"]: r for r in answer["rules"]}
        self.assertEqual((rules["data.cost.ns"]["entered"], rules["data.cost.ns"]["held"]), (10, 10))
        self.assertEqual(rules["data.cost.ns"]["policy"], "cost")
        costs = [r["ns"] for r in answer["rules"]]
        self.assertEqual(costs, sorted(costs, reverse=True))
        self.assertGreater(rules["data.cost.ns"]["ns"], rules["data.cost.sum_all"]["ns"])
        line = {r["row"]: r for r in answer["lines"]}[5]
        self.assertGreaterEqual(line["evaluated"], 500)
        self.assertEqual(len(self.call("POST", "/api/v1/rego/profile", {"query": "data.cost", "limit": 1})["rules"]), 1)
        for bad in [{}, {"path": 1}, {"path": "cost/ns", "count": 0}, {"query": "1 +"}, {"path": "cost/ns", "limit": "x"}]:
            self.call("POST", "/api/v1/rego/profile", bad, expect=400)
        self.assertEqual(self.a.post("/api/v1/rego/profile", {"path": "cost/ns"}).status, 401)

    def test_decisions_are_recorded_masked_and_replayed(self):
        self.put_policy("logged", "package logged\n\nallow if input.role == \"admin\"\n")
        self.put_policy("masks", "package system.log\n\nmask contains \"/input/password\"\n\n"
                                 "drop if input.path == \"logged/quiet\"\n")
        r = self.call("POST", "/v1/data/logged/allow", {"input": {"role": "admin", "password": "x"}})
        self.decide("logged/allow", {"role": "user"})
        self.decide("logged/quiet", {"role": "user"})
        items = self.call("GET", "/api/v1/rego/decisions?path=logged/allow")["items"]
        self.assertEqual([(i["input"], i.get("result")) for i in items], [({"role": "user"}, None), ({"role": "admin"}, True)])
        self.assertEqual((items[1]["decision_id"], items[1]["erased"]), (r["decision_id"], ["/input/password"]))
        self.assertEqual(self.call("GET", "/api/v1/rego/decisions?path=logged/quiet")["total"], 0)
        candidate = {"policies": {"logged": "package logged\n\nallow if input.role == \"user\"\n"}}
        report = self.call("POST", "/api/v1/rego/replay", candidate)
        mine = [c for c in report["changes"] if c["path"] == "logged/allow"]
        self.assertEqual([(c["input"]["role"], c.get("before"), c.get("after")) for c in mine],
                         [("user", None, True), ("admin", True, None)])
        self.assertEqual(report["by_path"]["logged/allow"], 2)
        self.assertEqual(self.decide("logged/allow", {"role": "admin"}), {"result": True})
        wrong = self.call("POST", "/api/v1/rego/replay", {"policies": {"logged": "package logged\n\np := x\n"}}, expect=400)
        self.assertEqual(wrong["errors"][0]["code"], "rego_unsafe_var_error")
        self.call("DELETE", "/v1/policies/masks")

    def test_a_candidate_is_asked_beside_the_live_policies(self):
        self.put_policy("shade", "package shade\n\nallow if input.n > 10\n")
        r = self.call("PUT", "/api/v1/rego/shadow", {"policies": {"shade": "package shade\n\nallow if input.n > 5\n"}})
        self.assertEqual((r["active"], r["compiles"], r["asked"]), (True, True, 0))
        for n in (1, 7, 20):
            self.assertEqual(self.decide("shade/allow", {"n": n}), {"result": True} if n == 20 else {})
        self.put_policy("other", "package other\n\np := 1\n")
        self.assertEqual(self.decide("shade/allow", {"n": 8}), {})
        for _ in range(100):  # the candidate is asked after the answer has left
            r = self.call("GET", "/api/v1/rego/shadow")
            if r["asked"] >= 4:
                break
            time.sleep(0.05)
        self.assertEqual((r["asked"], r["differing"], r["failed"]), (4, 2, 0))
        self.assertEqual([(d["input"]["n"], d.get("live"), d["candidate"]) for d in r["differences"]], [(8, None, True), (7, None, True)])
        self.call("PUT", "/api/v1/rego/shadow", {"policies": {"shade": "package shade\n\np := x"}}, expect=400)
        self.call("PUT", "/api/v1/rego/shadow", {}, expect=422)
        self.call("DELETE", "/api/v1/rego/shadow", expect=204)
        self.assertFalse(self.call("GET", "/api/v1/rego/shadow")["active"])

    def test_hostile_texts_are_refused_with_a_place(self):
        head = "package hostile\n\np := "
        for text in (head + "(" * 900000, head + "[" * 900000, head + "[" * 200 + "]" * 200, head + "1" + "+1" * 200000,
                     "package hostile\n\np if { " + "not " * 200000 + "true }", "package x\0\n", head + '"\\u12"',
                     "package hostile\n\np if { " + "[1|" * 5000 + "true" + "]" * 5000 + " }", "\x00\x01\x02" * 30000):
            r = self.put_policy("hostile", text, expect=400)
            self.assertIn(r["code"], ("invalid_parameter",), text[:40])
            self.assertTrue(r["errors"][0]["message"], text[:40])
        self.assertEqual(self.call("GET", "/v1/policies/hostile", expect=404)["code"], "resource_not_found")

    def test_hostile_inputs_end_soon_and_harm_nobody(self):
        self.put_policy("hard", "package hard\n\n"
                        "a := regex.match(`(a*)*b`, input.s)\n\nb := regex.match(input.re, input.s)\n\n"
                        "c := numbers.range(1, 1000000000)\n\nd := concat(\"\", [input.s | numbers.range(1, 100000)[_]])\n\n"
                        "e := bits.lsh(1, 1000000000)\n\nf := json.unmarshal(input.s)\n\ng := yaml.unmarshal(input.s)\n\n"
                        "h := net.cidr_expand(\"0.0.0.0/0\")\n")
        long = "a" * 100000
        for rule, given, status in (("a", {"s": long}, 200), ("b", {"s": long, "re": "(x+x+)+y" * 50}, 200),
                                    ("b", {"s": "", "re": "(" * 5000}, 200), ("b", {"s": "", "re": "a{1000}{1000}"}, 200),
                                    ("c", {}, 500), ("d", {"s": long}, 500), ("e", {}, 200), ("f", {"s": "[" * 90000}, 200),
                                    ("g", {"s": "{" * 90000}, 200), ("g", {"s": "a: &x [*x]"}, 200), ("h", {}, 500)):
            r = self.a.post(f"/v1/data/hard/{rule}", {"input": given}, token=self.token, timeout=60)
            self.assertEqual(r.status, status, (rule, r))
        r = self.a.post("/v1/data/hard/a", b'{"input":' + b"[" * 400000, token=self.token,
                        headers={"Content-Type": "application/json"})
        self.assertEqual(r.status, 400)
        self.assertEqual(self.a.get("/healthz").status, 200)

    def test_a_revision_comes_back(self):
        self.put_policy("rev", "package rev\n\np := 1\n")
        self.call("PUT", "/v1/data/rev_data", {"n": 1}, expect=204)
        then = self.call("GET", "/api/v1/rego/revisions?limit=1")["items"][0]
        self.assertEqual((then["kind"], then["subject"]), ("data_put", "/rev_data"))
        self.put_policy("rev", "package rev\n\np := 2\n")
        self.call("DELETE", "/v1/data/rev_data", expect=204)
        self.assertEqual(self.decide("rev/p", {}), {"result": 2})
        self.call("POST", "/api/v1/rego/revert", {"revision": then["revision"]})
        self.assertEqual(self.decide("rev/p", {}), {"result": 1})
        self.assertEqual(self.read("rev_data"), {"result": {"n": 1}})
        self.a.cut()
        self.a.start()
        self.a.wait_ready()
        type(self).token = self.a.login()
        self.assertEqual((self.decide("rev/p", {}), self.read("rev_data")), ({"result": 1}, {"result": {"n": 1}}))
        self.call("POST", "/api/v1/rego/revert", {"revision": 100000}, expect=404)


if __name__ == "__main__":
    unittest.main()
