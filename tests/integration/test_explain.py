# SPDX-License-Identifier: Apache-2.0
"""test_explain.py: decisions explained to a person, of any policy and of the appliance's own."""
import re
import unittest

from test_auth import AuthCase

POLICY = """package library

default allow := false

# METADATA
# title: Whoever borrowed a book may renew it
allow if {
	input.action == "renew"
	borrowed
	input.pin == data.pins[input.user]
}

# METADATA
# title: the book is lent to them
borrowed if data.lent[input.book] == input.user
"""
MASK = """package system.log

mask contains "/input/pin"
"""


class Explain(AuthCase):
    def put_text(self, name, text):
        r = self.a.put("/v1/policies/" + name, text.encode(), token=self.admin(), headers={"Content-Type": "text/plain"})
        self.assertEqual(r.status, 200, r)

    def setUp(self):
        self.put_text("library", POLICY)
        self.a.request("DELETE", "/v1/policies/mask", token=self.admin())
        self.a.put("/v1/data/lent", {"b1": "ann", "b2": "bea"}, token=self.admin())
        self.a.put("/v1/data/pins", {"ann": "7391", "bea": "5560"}, token=self.admin())

    def explain(self, question, expect=200, token=None):
        r = self.a.post("/api/v1/rego/explain", question, token=token or self.admin())
        self.assertEqual(r.status, expect, r)
        return r.json()

    def test_a_no_in_sentences(self):
        said = self.explain({"path": "library/allow", "input": {"action": "renew", "book": "b2", "user": "ann"}})
        self.assertEqual(said["outcome"], "denied")
        self.assertEqual(said["result"], False)
        self.assertEqual(said["sentences"][0], "Denied: no rule for data.library.allow held, so its default stands (library:3).")
        self.assertIn("Whoever borrowed a book may renew it", said["sentences"][1])
        self.assertIn("`data.lent[input.book] == input.user`", said["sentences"][2])
        self.assertIn('data.lent["b2"] is "bea"', said["sentences"][2])
        self.assertEqual(said["nearest"]["because"]["rule"], "data.library.borrowed")

    def test_a_recorded_decision_and_its_secrets(self):
        self.put_text("mask", MASK)
        given = {"action": "renew", "book": "b1", "user": "ann", "pin": "1111-secret"}
        r = self.a.post("/v1/data/library/allow", {"input": given}, token=self.admin())
        self.assertEqual(r.json()["result"], False)
        said = self.explain({"path": "library/allow", "input": given})
        self.assertNotIn("1111-secret", str(said))
        self.assertIn("(masked)", str(said))
        self.assertEqual(said["nearest"]["held"], 2)
        recorded = self.explain({"decision_id": r.json()["decision_id"]})
        self.assertEqual((recorded["path"], recorded["outcome"]), ("library/allow", "denied"))
        self.assertNotIn("1111-secret", str(recorded))
        given["pin"] = "7391"
        said = self.explain({"path": "library/allow", "input": given})
        self.assertEqual(said["outcome"], "allowed")
        self.assertIn("Whoever borrowed a book may renew it", said["sentences"][0])

    def test_explaining_keeps_up_with_the_policies(self):
        question = {"path": "library/allow", "input": {"action": "renew", "book": "b1", "user": "ann", "pin": "7391"}}
        self.assertEqual(self.explain(question)["outcome"], "allowed")
        self.put_text("library", POLICY.replace("renew it", "renew it once").replace('"renew"', '"extend"'))
        said = self.explain(question)
        self.assertEqual(said["outcome"], "denied")
        self.assertIn("renew it once", said["sentences"][1])
        self.a.put("/v1/data/lent/b1", "bea", token=self.admin())
        self.assertEqual(self.explain(question)["nearest"]["held"], 0)

    def test_what_decisions_cost_is_measured_by_path(self):
        for _ in range(3):
            self.a.post("/v1/data/library/allow", {"input": {}}, token=self.admin())
        for n in range(100):  # what clients make up makes no label
            self.a.post(f"/v1/data/made/up/{n}", {"input": {}}, token=self.admin())
        text = self.a.get("/metrics").body.decode()
        counts = dict(re.findall(r'openpolicy_decision_duration_seconds_count{path="(.*)"} (\d+)', text))
        self.assertGreaterEqual(int(counts["library/allow"]), 3)
        self.assertGreaterEqual(int(counts["(undefined)"]), 100)
        self.assertNotIn("made/up", text)
        hits = re.search(r'openpolicy_decision_cache_hits_total{path="library/allow"} (\d+)', text)
        self.assertGreaterEqual(int(hits.group(1)), 2)

    def test_bad_questions(self):
        for body in ({}, {"path": 1}, {"path": ""}, {"path": "x" * 5000}, {"input": {}}):
            self.explain(body, expect=422)
        self.explain({"decision_id": "nope"}, expect=404)
        self.explain({"decision_id": "'; DROP TABLE rego_decision; --"}, expect=404)
        self.assertEqual(self.explain({"path": "no/such/thing"})["outcome"], "denied")
        user = self.tokens(self.new_user()["email"])["access_token"]
        self.explain({"path": "library/allow"}, expect=403, token=user)
        self.put_text("slow", "package slow\n\np if { some a in numbers.range(1, 5000); "
                              "some b in numbers.range(1, 5000); a * b == 0.5 }\n")
        r = self.a.post("/api/v1/rego/explain", {"path": "slow/p"}, token=self.admin(), timeout=60)
        self.assertIn(r.status, (500, 503), r)
        self.assertEqual(self.a.get("/healthz").status, 200)
        self.a.request("DELETE", "/v1/policies/slow", token=self.admin())

    def test_replay_and_shadow_say_which_rule_and_why(self):
        given = {"action": "renew", "book": "b1", "user": "ann", "pin": "7391"}
        for n in range(3):
            self.a.post("/v1/data/library/allow", {"input": dict(given, n=n)}, token=self.admin())
        stricter = POLICY.replace('input.action == "renew"', 'input.action == "renew"\n\tinput.n > 1')
        r = self.a.post("/api/v1/rego/replay", {"policies": {"library": stricter}, "limit": 3}, token=self.admin())
        self.assertEqual(r.status, 200, r)
        said = r.json()
        self.assertEqual((said["asked"], said["changed"]), (3, 2))
        self.assertEqual([(g["title"], g["count"]) for g in said["by_rule"]], [("Whoever borrowed a book may renew it", 2)])
        change = said["changes"][0]
        self.assertIn(change["decision_id"], said["by_rule"][0]["decision_ids"])
        self.assertIn("Allowed by", change["explanations"]["before"]["sentences"][0])
        self.assertIn("`input.n > 1`", " ".join(change["explanations"]["after"]["sentences"]))
        r = self.a.post("/api/v1/rego/replay", {"policies": {"library": stricter}, "limit": 3, "explain": False},
                        token=self.admin())
        self.assertNotIn("by_rule", r.json())
        self.a.put("/api/v1/rego/shadow", {"policies": {"library": stricter}}, token=self.admin())
        for n in range(3):
            self.a.post("/v1/data/library/allow", {"input": dict(given, n=n)}, token=self.admin())
        said = self.a.get("/api/v1/rego/shadow?explain=true", token=self.admin()).json()
        self.assertEqual((said["differing"], said["by_rule"][0]["count"], len(said["differences"])), (2, 2, 2))
        self.assertIn("Denied", said["differences"][0]["explanations"]["after"]["sentences"][0])
        self.assertNotIn("by_rule", self.a.get("/api/v1/rego/shadow", token=self.admin()).json())
        self.a.request("DELETE", "/api/v1/rego/shadow", token=self.admin())

    def test_advice_from_the_log(self):
        self.a.put("/v1/data/roles", {"reader": ["read"], "ghost": ["haunt"]}, token=self.admin())
        self.put_text("roles", "package advised\n\nallow if input.action in data.roles[input.role]\n\n"
                               "allow if input.nobody_ever == 1\n")
        for n in range(24):
            given = {"role": ("reader", "writer")[n % 2], "action": "read"}
            self.a.post("/v1/data/advised/allow", {"input": given}, token=self.admin())
        r = self.a.get("/api/v1/rego/advice?path=advised/allow", token=self.admin(), timeout=60)
        self.assertEqual(r.status, 200, r)
        said = r.json()["policies"]
        self.assertEqual((said["asked"], said["complete"]), (24, True))
        self.assertEqual([(a["kind"], a["edit"].get("patch", a["edit"].get("delete_lines"))) for a in said["advice"][:2]],
                         [("rule_never_held", [5, 5]),
                          ("entry_never_needed", [{"op": "remove", "path": "/roles/ghost"}])])
        self.assertIn('/role is "writer"', said["advice"][2]["what"])
        self.assertEqual(self.a.get("/v1/data/roles/ghost", token=self.admin()).json()["result"], ["haunt"])
        for wrong in ("limit=0", "limit=x", "limit=99999"):
            self.assertEqual(self.a.get("/api/v1/rego/advice?" + wrong, token=self.admin()).status, 400)
        user = self.tokens(self.new_user()["email"])["access_token"]
        self.assertEqual(self.a.get("/api/v1/rego/advice", token=user).status, 403)

    def test_advice_on_who_may_do_what(self):
        user = self.tokens(self.new_user()["email"])["access_token"]
        self.a.put("/v1/data/openpolicy/authz/roles/auditor", ["audit:log:read"], token=self.admin())
        self.a.put("/api/v1/config/access.decisions", {"value": True}, token=self.admin())
        for _ in range(3):
            self.a.get("/api/v1/auth/me", token=user)
            self.a.get("/api/v1/auth/users", token=user)
        self.a.request("DELETE", "/api/v1/config/access.decisions", token=self.admin())
        log = self.a.get("/api/v1/rego/decisions?path=openpolicy/authz/allow", token=self.admin()).json()["items"]
        self.assertEqual(log[0]["input"]["method"], "DELETE")
        self.assertIn(False, [d["result"] for d in log])
        said = self.a.get("/api/v1/rego/advice", token=self.admin(), timeout=60).json()["access"]
        self.assertGreaterEqual(said["asked"], 6)
        edits = [a["edit"]["put"] for a in said["advice"] if a["kind"] == "entry_never_needed"]
        self.assertIn("/v1/data/openpolicy/authz/roles/auditor", edits)
        self.assertIn("/v1/data/openpolicy/authz/roles/admin", edits)
        self.a.request("DELETE", "/v1/data/openpolicy", token=self.admin())
        mine = "/api/v1/rego/decisions?path=openpolicy/authz/allow"
        before = self.a.get(mine, token=self.admin()).json()["total"]
        self.a.get("/api/v1/auth/me", token=user)
        self.assertEqual(self.a.get(mine, token=self.admin()).json()["total"], before)

    def test_access_explains_itself_in_sentences(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        r = self.a.post("/api/v1/access/explain", {"permission": "policies:document:read", "id": "x", "owner": "y",
                                                   "state": "draft"}, token=token)
        said = r.json()
        self.assertFalse(said["allowed"])
        self.assertIn("One of their roles has a grant that fits", said["sentences"][1])
        self.assertIn('input.resource.state is "draft"', " ".join(said["sentences"]))
        r = self.a.get("/api/v1/access/explain?permission=auth:self:read", token=token)
        self.assertTrue(r.json()["allowed"])
        self.assertIn("Allowed by", r.json()["sentences"][0])
        self.assertTrue(r.json()["fired"])


if __name__ == "__main__":
    unittest.main()
