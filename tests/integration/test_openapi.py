# SPDX-License-Identifier: Apache-2.0
"""test_openapi.py: the API document describes this API, and is valid by the OpenAPI Initiative's own
schema of version 3.1 (tests/deps.lock), judged by Debian's python3-jsonschema."""
import copy
import glob
import json
import os
import re

import jsonschema

from appliance import AppliancePerClass, TOP

SCHEMA = "build/deps/openapi-*/openapi_spec_validator/resources/schemas/v3.1/schema.json"


class OpenApi(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.document = cls.a.get("/api/openapi.json").json()
        with open(glob.glob(os.path.join(TOP, SCHEMA))[0]) as f:
            cls.validator = jsonschema.Draft202012Validator(json.load(f))

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

    def findings(self, document):
        return [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
                for e in self.validator.iter_errors(document)]

    def test_valid_by_the_schema_of_openapi(self):
        self.assertEqual(self.findings(self.document), [])

    def test_the_schema_of_openapi_refuses_what_is_wrong(self):
        """A validator that finds nothing proves nothing: each of these must be found."""
        path, method, _ = next(self.operations())
        schema = next(iter(self.document["components"]["schemas"]))
        small = {**self.document, "paths": {path: self.document["paths"][path]}}
        self.assertEqual(self.findings(small), [])
        for name, damage in {
                "no title": lambda d: d["info"].pop("title"),
                "no version": lambda d: d.pop("openapi"),
                "version 3.0": lambda d: d.update(openapi="3.0.3"),
                "unknown member": lambda d: d.update(swagger="2.0"),
                "path without a slash": lambda d: d["paths"].update(x={}),
                "no description": lambda d: d["paths"][path][method]["responses"].update({"200": {}}),
                "status": lambda d: d["paths"][path][method]["responses"].update({"20": {"description": ""}}),
                "parameter": lambda d: d["paths"][path][method].update(parameters=[{"name": "a", "in": "sky"}]),
                "optional path parameter": lambda d: d["paths"][path][method].update(
                    parameters=[{"name": "a", "in": "path", "required": False, "schema": {}}]),
                "schema": lambda d: d["components"]["schemas"].update({schema: 7}),
                "security": lambda d: d["paths"][path][method].update(security={}),
        }.items():
            with self.subTest(name):
                document = copy.deepcopy(small)
                damage(document)
                self.assertNotEqual(self.findings(document), [])

    def test_schemas_are_json_schema_2020_12(self):
        seen = []

        def visit(node):
            if isinstance(node, dict) and isinstance(node.get("schema"), dict):
                seen.append(node["schema"])
        seen += self.document["components"]["schemas"].values()
        self.walk(self.document["paths"], visit)
        self.assertGreater(len(seen), 50)
        for schema in seen:
            with self.subTest(json.dumps(schema)[:80]):
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
