# SPDX-License-Identifier: Apache-2.0
"""test_rego_rest.py: the reference's REST API to the letter: parameters in all their spellings,
paths with escapes, bodies with and without compression, words and codes of errors, probes."""
import gzip
import json
import unittest

from appliance import AppliancePerClass

TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
WARNING = {"code": "api_usage_warning", "message": "'input' key missing from the request"}


class RestApi(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()
        cls.put_policy("t", "package t\n\np := 1\n\nq := to_number(\"x\")\n\nechoed := input\n\nisnull if input == null\n")

    @classmethod
    def put_policy(cls, name, text):
        r = cls.a.put(f"/v1/policies/{name}", text.encode(), token=cls.token, headers=TEXT)
        assert r.status == 200, r

    def ask(self, method, path, body=None, expect=200, **headers):
        """The answer as JSON without its decision_id; None: no body."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        named = dict(JSON, **{k.replace("_", "-"): v for k, v in headers.items()})
        r = self.a.request(method, path, body, token=self.token, headers=named)
        self.assertEqual(r.status, expect, (method, path, body, r))
        self.last = r
        answer = json.loads(gzip.decompress(r.body) if r.headers.get("content-encoding") == "gzip" else r.body) if r.body else None
        if isinstance(answer, dict):
            answer.pop("decision_id", None)
        return answer

    def error(self, method, path, body, status, code, message, **headers):
        answer = self.ask(method, path, body, status, **headers)
        self.assertEqual((answer["code"], answer["message"]), (code, message), (method, path))
        return answer

    def test_switches_in_all_spellings(self):
        for query, strict in (("?strict-builtin-errors", True), ("?strict-builtin-errors=true", True),
                              ("?strict-builtin-errors=TRUE", True), ("?strict-builtin-errors=", True),
                              ("?strict-builtin-errors=false&strict-builtin-errors=true", True),
                              ("?strict%2Dbuiltin-errors", True), ("", False), ("?strict-builtin-errors=false", False),
                              ("?strict-builtin-errors=1", False), ("?strict-builtin-errors=" + "t" * 300, False)):
            for method, body in (("POST", {"input": {}}), ("GET", None)):
                answer = self.ask(method, "/v1/data/t/q" + query, body, 500 if strict else 200)
                if strict:
                    self.assertEqual(answer["errors"][0]["code"], "eval_builtin_error")
        self.assertEqual(self.ask("GET", "/v1/data/t/p?nobody-knows=1&pretty&pretty"), {"result": 1})
        for query, lines in (("?pretty", 4), ("?pretty=true", 4), ("?pretty=no", 1), ("?pretty&pretty=", 1)):
            self.ask("GET", "/v1/data/t/p" + query)
            self.assertEqual(len(self.last.body.splitlines()), lines, query)
        self.assertIn("explanation", self.ask("GET", "/v1/data/t/p?explain=words&explain=full"))
        self.assertEqual(self.ask("GET", "/v1/data/t/p?pretty=%ff", expect=400)["code"], "query_invalid")

    def test_the_input_of_a_question(self):
        for body in (b"", b"null", b"{}", b'{"input": null}', b'{"Input?": 1}'):
            self.assertEqual(self.ask("POST", "/v1/data/t/echoed", body), {"warning": WARNING}, body)
        self.assertEqual(self.ask("POST", "/v1/data/t/p", b""), {"result": 1, "warning": WARNING})
        self.assertEqual(self.ask("POST", "/v1/data/t/echoed", {"input": False}), {"result": False})
        self.assertEqual(self.ask("GET", "/v1/data/t/echoed?input=null"), {"result": None})
        self.assertEqual(self.ask("GET", "/v1/data/t/echoed?input=1&input=%7B%22a%22%3A2%7D"), {"result": {"a": 2}})
        self.assertEqual(self.ask("GET", "/v1/data/t/p?input=%7B", expect=400)["code"], "invalid_parameter")
        self.assertEqual(self.ask("POST", "/v1/data/t/echoed", b"input:\n  - 1\n", Content_Type="application/x-yaml"), {"result": [1]})
        for body in (b"[1]", b'"x"', b"{", b'{"input": 1} x', b'{"input": tru}', b"\xff", b"\0"):
            self.assertEqual(self.ask("POST", "/v1/data/t/echoed", body, 400)["code"], "invalid_parameter", body)

    def test_the_bare_forms(self):
        self.assertEqual(self.ask("POST", "/v0/data/t/echoed", {"a": 1}), {"a": 1})
        self.assertIs(self.ask("POST", "/v0/data/t/isnull", b""), True)
        self.assertEqual(self.ask("POST", "/v0/data", {})["t"]["p"], 1)
        self.error("POST", "/v0/data/t/none", {}, 404, "undefined_document", "document missing: data.t.none")
        self.error("POST", "/v0/data/t/q", {}, 404, "undefined_document", "document undefined: data.t.q")
        self.error("POST", "/v0/data/x%2Fy/%C3%A9", {}, 404, "undefined_document", 'document missing: data["x/y"]["é"]')
        self.error("POST", "/", {}, 404, "undefined_document", "document missing: data.system.main")
        self.put_policy("main", "package system\n\nmain := {\"seen\": input}\n")
        self.assertEqual(self.ask("POST", "/", {"a": 1}), {"seen": {"a": 1}})
        self.assertEqual(self.a.get("/v0/data/t", token=self.token).status, 405)

    def test_paths_with_escapes_and_slashes(self):
        self.ask("PUT", "/v1/data/a%2Fb/g", {"c/d": 1, "~": 2}, 204)
        for path in ("a%2Fb/g/c%2Fd", "/a%2Fb//g/c%2fd/", "%61%2Fb/g/c%2Fd"):
            self.assertEqual(self.ask("GET", "/v1/data/" + path), {"result": 1}, path)
        self.assertEqual(self.ask("GET", "/v1/data/a%2Fb/g/~"), {"result": 2})
        self.assertEqual(self.ask("GET", "/v1/data/a%252Fb"), {})
        self.assertEqual(self.ask("GET", "/v1/data/")["result"]["a/b"], {"g": {"c/d": 1, "~": 2}})
        self.assertEqual(self.ask("POST", "/v1/data/t/p/", {"input": 1}), {"result": 1})
        for bad in ("a%22b", "t/p%22", "x/a%22b?explain=full"):
            answer = self.ask("GET", "/v1/data/" + bad, expect=400)
            self.assertEqual(answer["code"], "invalid_parameter")
            self.assertIn("invalid path: invalid ref term '", answer["message"])
        self.ask("PUT", "/v1/data/n%C3%A4me", 1, 204)
        self.assertEqual(self.ask("GET", "/v1/data/n%c3%a4me"), {"result": 1})
        self.ask("DELETE", "/v1/data/a%2Fb/g/c%2Fd", expect=204)
        self.assertEqual(self.ask("GET", "/v1/data/a%2Fb"), {"result": {"g": {"~": 2}}})

    def test_changes_and_the_words_of_what_cannot_be(self):
        missing = "storage_not_found_error: document does not exist"
        self.assertIn("timer_server_handler_ns", self.ask("PUT", "/v1/data/m?metrics", {"a": [1, 2], "s": "x"})["metrics"])
        self.assertIn("metrics", self.ask("PATCH", "/v1/data/m?metrics=true", [{"op": "add", "path": "a/-", "value": 3}]))
        self.ask("PATCH", "/v1/data/m", [{"op": "add", "path": "/x~1y/", "value": 1}], 204)
        self.assertEqual(self.ask("GET", "/v1/data/m"), {"result": {"a": [1, 2, 3], "s": "x", "x/y": 1}})
        for path, where in (("a/b/c", "/m/a"), ("a/7", "/m/a"), ("s/t", "/m/s"), ("a/0/z/y", "/m/a/0")):
            self.error("PUT", "/v1/data/m/" + path, 1, 404, "resource_conflict", "storage_write_conflict_error: " + where)
        self.ask("PUT", "/v1/data/m/a/0", 0, 204)
        self.ask("PUT", "/v1/data/m/fresh", 1, 204, If_None_Match="*")
        self.ask("PUT", "/v1/data/m/fresh", 2, 304, If_None_Match="*")
        self.assertEqual(self.ask("GET", "/v1/data/m/fresh"), {"result": 1})
        self.ask("PUT", "/v1/data/m/fresh", 2, 204, If_None_Match='"x"')
        for patch, status, code, message in (
                ([{"op": "move", "path": "a"}], 400, "invalid_parameter", "bad patch operation: move"),
                ([{"op": "remove", "path": "/zz"}], 404, "resource_not_found", missing),
                ([{"op": "replace", "path": "/zz/y", "value": 1}], 404, "resource_not_found", missing),
                ([{"op": "add", "path": "/s/y", "value": 1}], 404, "resource_not_found", missing),
                ([{"op": "add", "path": "/a/z", "value": 1}], 404, "resource_not_found",
                 "storage_not_found_error: /m/a/z: array index must be integer"),
                ([{"op": "replace", "path": "/a/9", "value": 1}], 404, "resource_not_found",
                 "storage_not_found_error: /m/a/9: array index out of range"),
                ([{"op": "remove", "path": "/a/-"}], 400, "invalid_parameter",
                 "storage_invalid_patch_error: /m/a/-: invalid patch path")):
            self.error("PATCH", "/v1/data/m", patch, status, code, message)
        self.error("PATCH", "/v1/data", [{"op": "remove", "path": "/"}], 400, "invalid_parameter",
                   "storage_invalid_patch_error: root cannot be removed")
        self.error("PUT", "/v1/data", [1], 400, "invalid_parameter", "storage_invalid_patch_error: root must be object")
        self.error("DELETE", "/v1/data/zz", None, 404, "resource_not_found", missing)
        self.ask("PATCH", "/v1/data/m", [{"op": "add", "path": "/k", "value": 1}, {"op": "remove", "path": "/zz"}], 404)
        self.assertEqual(self.ask("GET", "/v1/data/m/k"), {})
        self.assertIn("metrics", self.ask("DELETE", "/v1/data/m?metrics"))
        for body in (b"", b"{", b"1 2"):
            self.assertEqual(self.ask("PUT", "/v1/data/m", body, 400)["code"], "invalid_parameter")
        self.assertEqual(self.a.request("DELETE", "/v1/data", token=self.token).status, 405)

    def test_documents_and_rules_do_not_lie_at_one_place(self):
        said = "1 error occurred: t:3: rego_compile_error: conflicting rule for data path t/p found"
        self.error("PUT", "/v1/data/t", {"p": 3}, 400, "invalid_parameter", said)
        self.error("PUT", "/v1/data/t/p", 3, 400, "invalid_parameter", said)
        self.error("PUT", "/v1/data/t/p/q/r", 3, 400, "invalid_parameter", said)
        self.error("PATCH", "/v1/data/t", [{"op": "add", "path": "p", "value": 1}], 404, "resource_not_found",
                   "storage_not_found_error: document does not exist")
        self.error("PATCH", "/v1/data", [{"op": "add", "path": "t", "value": {"p": 1}}], 400, "invalid_parameter", said)
        self.assertIn("4 errors occurred:", self.ask("PUT", "/v1/data/t", 7, 400)["message"])
        self.ask("PUT", "/v1/data/t/free", 3, 204)
        self.assertEqual(self.ask("GET", "/v1/data/t/free"), {"result": 3})
        self.ask("PUT", "/v1/data/lies/here", [1], 204)
        for text in ("package lies\n\nhere := 1\n", "package lies.here.below\n\nq := 1\n"):
            r = self.a.put("/v1/policies/late", text.encode(), token=self.token, headers=TEXT)
            self.assertEqual(r.status, 400, r)
            self.assertIn("conflicting rule for data path lies/here", r.json()["errors"][0]["message"])

    def test_policies(self):
        r = self.a.put("/v1/policies/pol?metrics", b"package pol\n\nf(x) := x\n", token=self.token, headers=TEXT)
        self.assertIn("metrics", r.json())
        r = self.a.put("/v1/policies/user?pretty", b"package uses\n\np := data.pol.f(1)\n", token=self.token, headers=TEXT)
        self.assertEqual((r.status, r.body), (200, b"{}\n"))
        wrong = self.error("DELETE", "/v1/policies/pol", None, 400, "invalid_operation", "error(s) occurred while compiling module(s)")
        self.assertEqual(wrong["errors"][0]["code"], "rego_type_error")
        self.assertEqual(wrong["errors"][0]["location"]["file"], "user")
        self.error("GET", "/v1/policies/no%20pe", None, 404, "resource_not_found", 'storage_not_found_error: policy id "no pe"')
        self.error("DELETE", "/v1/policies/nope", None, 404, "resource_not_found", 'storage_not_found_error: policy id "nope"')
        self.assertEqual(self.ask("DELETE", "/v1/policies/user?pretty"), {})
        self.assertIn("metrics", self.ask("DELETE", "/v1/policies/pol?metrics"))
        self.assertIn("t", [p["id"] for p in self.ask("GET", "/v1/policies/?pretty")["result"]])
        self.assertGreater(len(self.last.body.splitlines()), 20)

    def test_queries(self):
        self.error("GET", "/v1/query", None, 400, "invalid_parameter", "missing parameter 'q'")
        parsing, compiling = (f"error(s) occurred while {w} query" for w in ("parsing", "compiling"))
        for query, message, code in (("x :=", parsing, "rego_parse_error"), ("x", compiling, "rego_unsafe_var_error"),
                                     ("", compiling, "rego_compile_error"), ("nofunc(1)", compiling, "rego_type_error")):
            wrong = self.error("POST", "/v1/query", {"query": query}, 400, "invalid_parameter", message)
            self.assertEqual(wrong["errors"][0]["code"], code)
        for call in ('http.send({"method": "get", "url": "http://127.0.0.1:1"}, r)',
                     'x := [1 | http.send({"method": "get", "url": "http://127.0.0.1:1"})]', "not http.send({}) == 1"):
            wrong = self.error("POST", "/v1/query", {"query": call}, 400, "invalid_parameter", compiling)
            self.assertEqual(wrong["errors"][0]["message"], "unsafe built-in function calls in expression: http.send")
        self.assertEqual(self.ask("GET", "/v1/query?q=x&q=x%20%3D%201&pretty"), {"result": [{"x": 1}]})
        self.assertEqual(self.ask("POST", "/v1/query", {"query": "x = input", "input": None}), {})
        for body in (b"{", b"[]", b'{"query": 1}'):
            self.assertEqual(self.ask("POST", "/v1/query", body, 400)["code"], "invalid_parameter")

    def test_partial_evaluation(self):
        self.error("POST", "/v1/compile", {}, 400, "invalid_parameter", "missing required 'query' value")
        self.assertIn("parsing query", self.ask("POST", "/v1/compile", {"query": "x :="}, 400)["message"])
        self.assertIn("compiling module(s)", self.ask("POST", "/v1/compile", {"query": "x"}, 400)["message"])
        self.assertIn("error(s) occurred while parsing unknowns: 1 error occurred: 1:1: rego_parse_error",
                      self.ask("POST", "/v1/compile", {"query": "input.x = 1", "unknowns": ["in put"]}, 400)["message"])
        answer = self.ask("POST", "/v1/compile?pretty&metrics&no-such", {"query": "input.x = 1"})
        self.assertEqual(sorted(answer), ["metrics", "result"])
        self.put_policy("f", "package filters\n\ninclude if input.fruit.name == \"apple\"\n")
        kind = "application/vnd.opa.sql.postgresql+json"
        body = json.dumps({"unknowns": ["input.fruit"]}).encode()
        for method in ("GET", "POST"):
            self.assertEqual(self.ask(method, "/v1/compile/filters/include/", body, Accept=kind),
                             {"result": {"query": "WHERE fruit.name = E'apple'"}})
            self.assertEqual(self.last.headers["content-type"], kind)
        self.assertIn("invalid ref term", self.ask("POST", "/v1/compile/a%22b", {}, 400, Accept=kind)["message"])

    def test_compression_both_ways(self):
        big = {"input": {"text": "x" * 3000}}
        packed = gzip.compress(json.dumps(big).encode())
        for path, wanted in (("/v1/data/t/echoed", {"result": big["input"]}), ("/v0/data/t/echoed", big)):
            self.assertEqual(self.ask("POST", path, packed, Content_Encoding="gzip", Accept_Encoding="br, gzip;q=0.5"), wanted)
            self.assertEqual((self.last.headers["content-encoding"], self.last.headers["vary"]), ("gzip", "Accept-Encoding"))
            self.assertEqual(self.ask("POST", path, packed, Content_Encoding="gzip"), wanted)
            self.assertNotIn("content-encoding", self.last.headers)
        self.ask("POST", "/v1/data/t/p", {"input": 1}, Accept_Encoding="gzip")
        self.assertNotIn("content-encoding", self.last.headers)
        query = {"query": "input.x = " + json.dumps("y" * 2000)}
        self.assertIn("result", self.ask("POST", "/v1/compile", gzip.compress(json.dumps(query).encode()),
                                         Content_Encoding="gzip", Accept_Encoding="gzip"))
        self.assertEqual(self.last.headers["content-encoding"], "gzip")
        self.ask("POST", "/v1/query", {"query": "x = " + query["query"][10:]}, Accept_Encoding="gzip")
        self.assertNotIn("content-encoding", self.last.headers)
        self.ask("PUT", "/v1/data/packed", gzip.compress(b'{"a": 1}'), 204, Content_Encoding="gzip")
        self.assertEqual(self.ask("GET", "/v1/data/packed/a"), {"result": 1})

    def test_hostile_compression(self):
        bomb = gzip.compress(b" " * (64 << 20))
        for body, words in ((bomb, "gzip payload too large"), (b"not gzip at all", "could not decompress the body"),
                            (gzip.compress(b"{}" * 50)[:-9], "could not decompress the body"),
                            (gzip.compress(b"{}")[:-8] + b"\0" * 8, "could not decompress the body"), (b"", "could not")):
            answer = self.ask("POST", "/v1/data/t/p", body, 400, Content_Encoding="gzip")
            self.assertEqual(answer["code"], "invalid_parameter")
            self.assertIn(words, answer["message"])
        self.assertEqual(self.ask("GET", "/v1/data/t/p"), {"result": 1})

    def test_probes(self):
        for query in ("?bundles", "?bundle", "?plugins", "?bundles=true&plugins=true&exclude-plugin=a&exclude-plugin=b"):
            r = self.a.get("/health" + query)
            self.assertEqual((r.status, r.json()), (200, {}), query)
        self.assertIn("status", self.a.get("/health?bundles=false").json())
        said = "health check (data.system.health.live) "
        self.assertEqual((lambda r: (r.status, r.json()))(self.a.get("/health/live")), (500, {"error": said + "was undefined"}))
        self.put_policy("probe", "package system.health\n\nlive := input.plugins_ready\n\nready if input.plugin_state.bundle == \"OK\"\n\n"
                                 "odd := 1\n\nbad := 1\n\nbad := 2\n")
        for path, status in (("live", 200), ("ready", 200), ("odd", 500), ("bad", 500), ("no%22", 500)):
            self.assertEqual(self.a.get("/health/" + path).status, status, path)
        self.assertIn("returned unexpected value", self.a.get("/health/odd").json()["error"])
        self.assertIn("eval_conflict_error", self.a.get("/health/bad").json()["error"])

    def test_what_it_was_built_from(self):
        seen = self.ask("GET", "/v1/data/t/p?provenance")["provenance"]
        self.assertRegex(seen["version"], r"^\d+\.\d+\.\d+")
        self.assertRegex(seen["build_commit"], r"^([0-9a-f]{7,40}(-dirty)?)?$")
        self.assertEqual(bool(seen["build_commit"]), bool(seen["build_timestamp"]))
        config = self.ask("GET", "/v1/config?pretty")["result"]
        self.assertEqual((config["default_decision"], config["default_authorization_decision"]),
                         ("/system/main", "/openpolicy/authz/allow"))

    def test_the_default_decision_can_be_another(self):
        for value, expect in (("/t/echoed", {"a": 1}), ("t/p", 1)):
            r = self.a.request("PUT", "/api/v1/config", {"policy.default_decision": value}, token=self.token)
            self.assertIn(r.status, (200, 204), r)
            self.assertEqual(self.ask("POST", "/", {"a": 1}), expect)
        self.assertEqual(self.ask("GET", "/v1/config")["result"]["default_decision"], "/t/p")
        r = self.a.request("PUT", "/api/v1/config", {"policy.default_decision": ""}, token=self.token)
        self.assertIn(r.status, (200, 204), r)


if __name__ == "__main__":
    unittest.main()
