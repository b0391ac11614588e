# SPDX-License-Identifier: Apache-2.0
"""test_openapi.py: the API document describes this API, and is valid."""
import json
import re
import unittest

from appliance import AppliancePerClass

try:
    import jsonschema
except ImportError:
    jsonschema = None


class OpenApi(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = cls.a.get("/api/openapi.json").json()

    def resolve(self, reference):
        at = self.document
        for part in reference.lstrip("#/").split("/"):
            at = at[part.replace("~1", "/").replace("~0", "~")]
        return at

    def walk(self, node, visit):
        visit(node)
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            self.walk(child, visit)

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                    yield path, method, operation

    def test_shape(self):
        d = self.document
        self.assertRegex(d["openapi"], r"^3\.1\.\d+$")
        self.assertTrue(d["info"]["title"] and d["info"]["version"])
        self.assertGreater(len(d["paths"]), 10)
        for path in d["paths"]:
            self.assertTrue(path.startswith("/"), path)

    def test_every_operation_is_whole(self):
        ids = []
        for path, method, o in self.operations():
            with self.subTest(f"{method} {path}"):
                self.assertTrue(o.get("responses"), "no responses")
                for status, response in o["responses"].items():
                    self.assertRegex(status, r"^([1-5](\d\d|XX)|default)$")
                    self.assertIn("description", response if "$ref" not in response else self.resolve(response["$ref"]))
                named = re.findall(r"\{(\w+)\}", path)
                given = [p["name"] for p in o.get("parameters", []) + self.document["paths"][path].get("parameters", [])
                         if p.get("in") == "path"]
                self.assertEqual(sorted(named), sorted(given))
                for p in o.get("parameters", []):
                    self.assertIn(p["in"], ("path", "query", "header", "cookie"))
                    self.assertTrue(p["in"] != "path" or p.get("required") is True)
                    self.assertTrue("schema" in p or "content" in p)
                ids.append(o.get("operationId"))
        ids = [i for i in ids if i]
        self.assertEqual(len(ids), len(set(ids)), "operationIds are unique")

    def test_references_lead_somewhere(self):
        def visit(node):
            if isinstance(node, dict) and isinstance(node.get("$ref"), str):
                self.resolve(node["$ref"])
        self.walk(self.document, visit)

    @unittest.skipUnless(jsonschema, "python3-jsonschema is missing")
    def test_schemas_are_json_schema_2020_12(self):
        for name, schema in self.document.get("components", {}).get("schemas", {}).items():
            with self.subTest(name):
                jsonschema.Draft202012Validator.check_schema(schema)

    def test_every_get_without_parameters_exists(self):
        token = self.a.login()
        for path, method, o in self.operations():
            if method == "get" and "{" not in path:
                with self.subTest(path):
                    answer = self.a.get(path, token=token)
                    self.assertNotIn(answer.status, (404, 405, 500), answer)
                    if "default" not in o["responses"]:
                        self.assertIn(str(answer.status), o["responses"])
