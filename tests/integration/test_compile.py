# SPDX-License-Identifier: Apache-2.0
"""test_compile.py: partial evaluation over HTTP: what is left of a query as trees, and of a rule as
the condition of a database, in every dialect, with what the reference says of rules it cannot say."""
import unittest

from appliance import AppliancePerClass

VND = "application/vnd.opa."


def field(name, operator, value):
    return {"type": "field", "field": name, "operator": operator, "value": value}


def compound(operator, *value):
    return {"type": "compound", "operator": operator, "value": list(value)}


APPLE = field("fruits.name", "eq", "apple")
ORANGE = field("fruits.colour", "eq", "orange")

# What the rule says, and its condition as UCAST.
CONDITIONS = [
    ("include if input.fruits.colour == input.colour", ORANGE),
    ("include if input.colour == input.fruits.colour", ORANGE),
    ("include if true", {}),
    ("include if input.fruits.colour == null", field("fruits.colour", "eq", None)),
    ('include if { input.fruits.colour == input.colour; input.fruits.name == "apple" }',
     compound("and", ORANGE, APPLE)),
    ('include if input.fruits.colour == input.colour\ninclude if input.fruits.name == "apple"',
     compound("or", ORANGE, APPLE)),
    ('include if input.fruits.colour == input.colour\n'
     'include if { input.fruits.name == "apple"; input.fruits.price > 10 }',
     compound("or", ORANGE, compound("and", APPLE, field("fruits.price", "gt", 10)))),
    ("include if 10 <= input.fruits.price", field("fruits.price", "gt", 10)),
    ("include if input.fruits.price < input.fruits.max_price",
     field("fruits.price", "lt", {"field": "fruits.max_price"})),
    ('include if input.fruits.name != "apple"', field("fruits.name", "ne", "apple")),
    ('include if not input.fruits.name == "apple"', compound("not", APPLE)),
    ('include if startswith(input.fruits.name, "app")', field("fruits.name", "startswith", "app")),
    ('include if contains(input.fruits.name, "ppl")', field("fruits.name", "contains", "ppl")),
    ('include if input.fruits.name in {"apple", "pear"}', field("fruits.name", "in", ["apple", "pear"])),
    ('default include := false\ninclude if input.fruits.name == "apple"', APPLE),
    ("include if { some k, v in data.wanted; input.fruits[k] == v }",
     compound("or", field("fruits.a", "eq", 1), field("fruits.b", "eq", "two"))),
]

# What cannot be said: target, rule, row, column, message, details.
REFUSED = [
    ("ucast.linq", 'include if not input.fruits.name == "apple"', 3, 12,
     '"not" not permitted: unsupported feature "not" for UCAST (LINQ)', None),
    ("ucast.minimal", 'include if input.fruits.name in {"apple", "pear"}', 3, 30,
     "invalid builtin `in`: unsupported for UCAST", None),
    ("ucast.linq", 'include if startswith(input.fruits.name, "app")', 3, 12,
     "invalid builtin `startswith`: unsupported for UCAST (LINQ)", None),
    ("sql.sqlite", 'include if endswith(input.fruits.name, "ple")', 3, 12,
     "invalid builtin `endswith`: unsupported for SQL (sqlite)", None),
    ("ucast.prisma", 'include if object.get(input, ["fruits", "colour"], "grey") == input.colour', 3, 12,
     "invalid builtin `object.get`", None),
    ("ucast.prisma", 'include if "k", input.fruits.colour in {"k": "grey", "k2": input.colour}', 3, 37,
     'invalid use of "... in ..."', None),
    ("ucast.prisma", 'include if (input.fruits.colour == "orange")>0', 3, 45,
     'gt: nested call operand: equal(input.fruits.colour, "orange")', None),
    ("ucast.prisma", "include if input.fruits.colour == input.baskets.colour", 3, 12,
     'reference to field: unsupported feature "field-ref" for UCAST (prisma)', None),
    ("ucast.prisma", 'include if contains("foobar", input.fruits.colour)', 3, 12, "rhs of contains must be known",
     None),
    ("ucast.prisma", 'include if input.fruits.colour <= {"green", "blue"}', 3, 32,
     "both rhs and lhs non-scalar/non-ground", None),
    ("ucast.prisma", "include if input.fruits.colour", 3, 12, 'invalid statement "input.fruits.colour"',
     "try `input.fruits.colour != false`"),
    ("ucast.prisma", 'include if {\n\tfoo with input.fruits.colour as "red"\n}\nfoo if input.fruits.colour', 4, 2,
     '"with" not permitted', None),
    ("ucast.prisma", 'include if every x in input.fruits.xs { x != "y" }', 3, 12, '"every" not permitted', None),
    ("ucast.prisma", "include if other\ndefault other := 100\nother if input.fruits.price > 100", 3, 12,
     "use of default rule in data.filters.other", None),
    ("ucast.prisma", "include if mv\nmv contains 1 if input.fruits.price <= 1\nmv contains 2 if input.fruits.price <= 2",
     3, 12, "use of multi-value rule in data.filters.mv", None),
    ("ucast.prisma", "include if other\nother if input.fruits.price > 100\nelse := input.fruits.extra", 3, 12,
     'invalid data reference "data.filters.other"', 'has rule "data.filters.other" an `else`?'),
    ("ucast.prisma", "include if func(input.fruits)\nfunc(f) if f.price > 100\nelse := true", 3, 12,
     'invalid data reference "data.filters.func(input.fruits)"',
     'has function "data.filters.func(...)" an `else`?'),
    ("ucast.prisma", "include if not other\nother if input.fruits.price > 100", 3, 12, '"not" not permitted', None),
]

TICKETS = """package filters

# METADATA
# scope: document
# compile:
#   unknowns: [input.tickets, input.users]
#   mask_rule: data.filters.hidden
include if {
	input.tickets.tenant == input.tenant.id
	input.users.name == input.user
}

include if {
	input.tickets.tenant == input.tenant.id
	input.tickets.assignee == null
	input.tickets.resolved == false
}

hidden.tickets.id.replace.value := "***"

masks.tickets.description.replace.value := "***"
"""
WHERE = ("WHERE ((tickets.tenant = {0}'2' AND users.name = {0}'caesar') OR "
         "(tickets.tenant = {0}'2' AND tickets.assignee IS NULL AND tickets.resolved = FALSE))")


class Compile(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def put_policy(self, name, text):
        r = self.a.put(f"/v1/policies/{name}", text.encode(), token=self.token, headers={"Content-Type": "text/plain"})
        self.assertEqual(r.status, 200, r)

    def compile(self, body, expect=200, path="/v1/compile"):
        r = self.a.post(path, body, token=self.token)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def filter(self, target, body=None, path="filters/include", expect=200):
        r = self.a.post(f"/v1/compile/{path}", body or {}, token=self.token, headers={"Accept": VND + target + "+json"})
        self.assertEqual(r.status, expect, r)
        return r.json()

    def include(self, rule):
        self.put_policy("filters.rego", "package filters\nimport rego.v1\n" + rule)
        return {"input": {"a": True, "b": False, "colour": "orange"}, "unknowns": ["input.fruits", "input.baskets"]}

    def test_what_is_left_of_a_query(self):
        self.put_policy("example", "package example\n\nallow if { input.subject.clearance_level >= data.reports[_].level }\n")
        self.a.put("/v1/data/reports", [{"level": 4}, {"level": 5}], token=self.token)
        body = {"query": "data.example.allow == true", "input": {"subject": {"clearance_level": 4}},
                "unknowns": ["data.reports"]}
        queries = self.compile(body)["result"]["queries"]
        self.assertEqual(len(queries), 1)
        expr = queries[0][0]
        self.assertEqual(expr["index"], 0)
        self.assertEqual(expr["terms"][0], {"type": "ref", "value": [{"type": "var", "value": "gte"}]})
        self.assertEqual(expr["terms"][1], {"type": "number", "value": 4})
        self.assertEqual([t["value"] for t in expr["terms"][2]["value"]][:2], ["data", "reports"])
        self.assertEqual(self.compile(dict(body, unknowns=[]))["result"], {"queries": [[]]})
        del body["unknowns"]
        self.assertEqual(self.compile(dict(body, input={}, query="data.example.nothing"))["result"], {})

    def test_support_and_switches(self):
        self.put_policy("support", "package support\n\ndefault p := 1\n\np := 2 if input.x == 7\n\nq if input.y == 8\n")
        left = self.compile({"query": "data.support.p = x"})["result"]
        self.assertEqual(left["support"][0]["package"]["path"][1:], [{"type": "string", "value": "partial"},
                                                                     {"type": "string", "value": "support"}])
        self.assertEqual([r.get("default", False) for r in left["support"][0]["rules"]], [False, True])
        body = {"query": "data.support.q", "options": {"disableInlining": ["data.support.q"]}}
        self.assertIn("support", self.compile(body)["result"])
        self.assertNotIn("support", self.compile({"query": "data.support.q"})["result"])
        self.assertIn("timer_rego_partial_eval_ns", self.compile(body, path="/v1/compile?metrics=true")["metrics"])

    def test_wrong_requests(self):
        for body, word in (({}, "query"), ({"query": 7}, "query"), ({"query": "x", "unknowns": 3}, "unknowns"),
                           ({"query": "x", "unknowns": [3]}, "unknowns"), ([], "object")):
            answer = self.compile(body, expect=400)
            self.assertEqual(answer["code"], "invalid_parameter")
            self.assertIn(word, answer["message"])
        for body in ({"query": "x ="}, {"query": "x > 1"}, {"query": "x = 1", "unknowns": ["1 +"]},
                     {"query": "x = 1", "unknowns": ["foo()"]}):
            self.assertTrue(self.compile(body, expect=400)["errors"], body)

    def test_conditions_as_trees(self):
        self.a.put("/v1/data/wanted", {"a": 1, "b": "two"}, token=self.token)
        for rule, want in CONDITIONS:
            with self.subTest(rule=rule):
                self.assertEqual(self.filter("ucast.all", self.include(rule)), {"result": {"query": want}})
        self.assertEqual(self.filter("ucast.all", self.include("include if false")), {})

    def test_conditions_that_cannot_be_said(self):
        for target, rule, row, col, message, details in REFUSED:
            with self.subTest(rule=rule):
                answer = self.filter(target, self.include(rule), expect=400)
                self.assertEqual((answer["code"], answer["message"]),
                                 ("evaluation_error", "error(s) occurred while evaluating query"))
                want = {"code": "pe_fragment_error", "message": message,
                        "location": {"file": "filters.rego", "row": row, "col": col}}
                if details:
                    want["details"] = {"details": details}
                self.assertEqual(answer["errors"], [want])

    def test_dialects_masks_and_metadata(self):
        self.put_policy("filters.rego", TICKETS)
        body = {"input": {"user": "caesar", "tenant": {"id": 2, "name": "acmecorp"}}}
        mask = {"tickets": {"id": {"replace": {"value": "***"}}}}
        for dialect, letter in (("postgresql", "E"), ("mysql", ""), ("sqlserver", "N"), ("sqlite", "")):
            want = {"query": WHERE.format(letter), "masks": mask}
            self.assertEqual(self.filter("sql." + dialect, body), {"result": want}, dialect)
        body["options"] = {"maskRule": "masks"}
        mask = {"tickets": {"description": {"replace": {"value": "***"}}}}
        self.assertEqual(self.filter("sql.mysql", body)["result"]["masks"], mask)
        body["options"] = {"targetDialects": ["sql+mysql", "sql+sqlserver", "ucast+prisma"]}
        all_of_them = self.filter("multitarget", body)["result"]
        self.assertEqual(sorted(all_of_them), ["mysql", "sqlserver", "ucast"])
        self.assertEqual(all_of_them["sqlserver"]["query"], WHERE.format("N"))
        self.assertEqual(all_of_them["ucast"]["query"]["operator"], "or")

    def test_values_are_quoted(self):
        body = self.include("include if startswith(input.fruits.name, input.start)\n"
                            "include if input.fruits.name == input.is")
        body["input"] = {"start": "50%_\\", "is": "it's \"so\"\n"}
        for dialect, want in (
                ("postgresql", r"WHERE (fruits.name LIKE E'50\\%\\_\\\\%' OR fruits.name = E'it\'s \"so\"\n')"),
                ("mysql", r"WHERE (fruits.name LIKE '50\\%\\_\\\\%' OR fruits.name = 'it\'s \"so\"\n')"),
                ("sqlserver", "WHERE (fruits.name LIKE N'50\\%\\_\\\\%' OR fruits.name = N'it''s \"so\"\n')")):
            self.assertEqual(self.filter("sql." + dialect, body)["result"]["query"], want)
        body = self.include('include if input.fruits.name in {"it\'s", 3}\ninclude if input.fruits.name = _')
        self.assertEqual(self.filter("sql.sqlite", body)["result"]["query"],
                         "WHERE (fruits.name IN ('3', 'it''s') OR fruits.name IS NOT NULL)")

    def test_names_are_mapped(self):
        body = self.include('include if input.fruits.name != "apple"')
        body["options"] = {"targetSQLTableMappings": {"sql": {"fruits": {"$self": "FRUIT", "name": "NAME"}},
                                                      "mysql": {"fruits": {"name": "nom"}}}}
        self.assertEqual(self.filter("sql.sqlite", body)["result"]["query"], "WHERE FRUIT.NAME <> 'apple'")
        self.assertEqual(self.filter("sql.mysql", body)["result"]["query"], "WHERE fruits.nom <> 'apple'")
        self.put_policy("filters.rego", 'package filters\n# METADATA\n# compile:\n#  unknowns:\n#   - input.name\n'
                                        'include if input.name != "apple"')
        body = {"options": {"targetSQLTableMappings": {"ucast": {"name": {"$table": "fruits"}}}}}
        self.assertEqual(self.filter("ucast.all", body)["result"]["query"], field("fruits.name", "ne", "apple"))

    def test_hints_and_headers(self):
        self.put_policy("filters.rego", "package filters\n# METADATA\n# scope: document\n# compile:\n"
                                        "#   unknowns: [input.fruits]\n"
                                        'include if input.fruits.name == "apple"\ninclude if input.fruit.cost < input.max\n')
        answer = self.filter("sql.postgresql", {"input": {"max": 1}})
        self.assertEqual(answer["result"], {"query": "WHERE fruits.name = E'apple'"})
        self.assertEqual(answer["hints"], [{"location": {"col": 12, "row": 7, "file": "filters.rego"},
                                            "message": "input.fruit.cost undefined, did you mean input.fruits.cost?"}])
        for accept in ("application/xml", "text/html, application/json", VND + "sql.oracle+json", VND + "ucast.other+json"):
            r = self.a.post("/v1/compile/filters/include", {}, token=self.token, headers={"Accept": accept})
            self.assertEqual((r.status, r.json()["code"]), (400, "invalid_parameter"), accept)
        bad = {"options": {"targetDialects": ["sql+oracle"]}}
        self.assertEqual(self.filter("multitarget", bad, expect=400)["code"], "invalid_parameter")

    def test_metadata_that_is_wrong(self):
        self.put_policy("filters.rego", "package filters\n# METADATA\n# compile:\n#  unknowns:\n#   - inpu.fruits\n"
                                        "#   - data.whatever\ninclude if input.fruits.colour == input.colour\n")
        answer = self.filter("ucast.all", expect=400)
        self.assertEqual([(e["code"], e["message"]) for e in answer["errors"]],
                         [("invalid_unknown", "unknowns must be prefixed with `input` or `data`: inpu.fruits")])

    def test_the_appliance_outlives_large_answers(self):
        rules = "".join(f"q if {{ input.a{i} == {i}; input.b == x; numbers.range(1, 50)[_] = x }}\n" for i in range(200))
        self.put_policy("large", "package large\n\np if { q; q; q; q }\n\n" + rules)
        r = self.a.post("/v1/compile", {"query": "data.large.p"}, token=self.token, timeout=60)
        self.assertIn(r.status, (500, 503), r)
        self.assertEqual(self.a.get("/health").status, 200)
        self.a.delete("/v1/policies/large", token=self.token)


if __name__ == "__main__":
    unittest.main()
