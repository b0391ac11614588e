# SPDX-License-Identifier: Apache-2.0
"""test_access.py: who may do what is decided by Rego: roles and groups in data, a policy put in place
of the shipped one, nobody shut out, every answer explained."""
import json
import unittest

from test_auth import AuthCase

AUTHZ = "/v1/policies/openpolicy/authz"
ROLES = "/v1/data/openpolicy/authz/roles"
GROUPS = "/v1/data/openpolicy/authz/groups"

NO_USERS = """package openpolicy.authz

default allow := false

# METADATA
# title: administrators and guests
allow if input.actor.role == "admin"

allow if not input.actor.signed_in

reason := "this appliance is closed to users today" if not allow
"""


class AccessCase(AuthCase):
    def put_text(self, path, text):
        return self.a.put(path, text.encode(), token=self.admin(), headers={"Content-Type": "text/plain"})

    def put(self, path, value, expect=204):
        r = self.a.put(path, value, token=self.admin())
        self.assertEqual(r.status, expect, r)
        return r

    def drop(self, path):
        return self.a.request("DELETE", path, token=self.admin()).status

    def setUp(self):
        for path in (AUTHZ, ROLES, GROUPS):
            self.drop(path)


class Data(AccessCase):
    def test_a_group_gives_its_members_its_roles_at_once(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/audit-logs", token=token), 403)
        self.put(f"{ROLES}/auditor", ["audit:log:read"])
        self.assertEqual(self.status("GET", "/api/v1/auth/audit-logs", token=token), 403)
        self.put(f"{GROUPS}/auditors", {"members": [user["id"]], "roles": ["auditor"]})
        self.assertEqual(self.status("GET", "/api/v1/auth/audit-logs", token=token), 200)
        self.assertEqual(self.status("GET", "/api/v1/auth/audit-logs/export", token=token), 403)
        self.assertEqual(self.status("GET", "/api/v1/auth/users", token=token), 403)
        other = self.tokens(self.new_user()["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/audit-logs", token=other), 403)
        self.assertEqual(self.drop(f"{GROUPS}/auditors"), 204)
        self.assertEqual(self.status("GET", "/api/v1/auth/audit-logs", token=token), 403)

    def test_a_role_of_data_takes_the_place_of_the_shipped_one(self):
        token = self.tokens(self.new_user()["email"])["access_token"]
        r = self.a.post("/api/v1/policies", {"title": "A draft of mine"}, token=token)
        self.assertEqual(r.status, 201, r)
        mine = "/api/v1/policies/" + r.json()["id"]
        self.put(f"{ROLES}/user", [{"permission": "policies:document:read", "own": True}])
        self.assertEqual(self.status("GET", mine, token=token), 200)
        self.assertEqual(self.status("DELETE", mine, token=token), 403)
        self.assertEqual(self.drop(ROLES), 204)
        self.assertEqual(self.status("DELETE", mine, token=token), 204)

    def test_data_that_shut_administrators_out_are_refused(self):
        for path, value in ((f"{ROLES}/admin", []), (f"{ROLES}/admin", ["rego:policy:write"]),
                            (ROLES, {"admin": [{"permission": "*", "setting": "no.such"}], "everyone": []}),
                            (f"{ROLES}/everyone", ["health:*"]), (f"{ROLES}/admin", {"a": "b"})):
            r = self.a.put(path, value, token=self.admin())
            self.assertEqual(r.status, 400, (path, value, r))
            self.assertIn("shut every administrator out", r.json()["message"])
        for nonsense in ("nonsense", [1], {"admin": {"permission": "*"}}, {"x": [[["*"]]]}):
            r = self.a.put(ROLES, nonsense, token=self.admin())
            self.assertIn(r.status, (204, 400), (nonsense, r))  # either way administrators stay
            self.assertEqual(self.status("GET", "/api/v1/auth/users", token=self.admin()), 200, nonsense)
            self.drop(ROLES)
        self.assertEqual(self.status("GET", "/api/v1/auth/users", token=self.admin()), 200)
        r = self.a.request("PATCH", "/v1/data", [{"op": "add", "path": "/openpolicy", "value": {
            "authz": {"roles": {"admin": []}}}}], token=self.admin())
        self.assertEqual(r.status, 400, r)
        self.assertEqual(self.a.get("/v1/data/openpolicy/authz/roles/admin", token=self.admin()).json().get("result"), None)


class Policy(AccessCase):
    def test_a_policy_takes_the_place_of_the_shipped_one_and_survives_the_plug(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 200)
        shipped = self.a.get(AUTHZ, token=self.admin()).json()["result"]
        self.assertIn("package openpolicy.authz", shipped["raw"])
        r = self.put_text(AUTHZ, NO_USERS)
        self.assertEqual(r.status, 200, r)
        r = self.a.get("/api/v1/auth/me", token=token)
        self.assertProblem(r, 403, "access_denied")
        self.assertIn("closed to users today", r.json()["detail"])
        state = self.a.get("/api/v1/access/policy", token=self.admin()).json()
        self.assertEqual((state["policy"], state["safe_mode"]), ("stored", False))
        self.a.cut()
        self.a.start()
        self.a.wait_ready()
        type(self)._admin = self.a.login()
        token = self.tokens(user["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 403)
        self.assertEqual(self.drop(AUTHZ), 200)
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 200)

    def test_policies_that_shut_administrators_out_are_refused(self):
        head = "package openpolicy.authz\n\n"
        for text in ("default allow := false\n",
                     "allow if input.actor.email == \"nobody@example.org\"\n",
                     "allow if input.actor.signed_in\n",  # and nobody could sign in
                     "allow if { input.actor.role == \"admin\"; input.permission != \"rego:policy:write\" }\n\n"
                     "allow if not input.actor.signed_in\n",
                     "allow := 1 if input.actor.id\n",
                     "allow := true if input.actor\n\nallow := false if input.permission\n",  # a conflict
                     "allow if { some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a + b == 7.5 }\n",
                     "allow if http.send({\"method\": \"GET\", \"url\": \"http://127.0.0.1/\"}).status_code == 200\n"):
            r = self.put_text(AUTHZ, head + text)
            self.assertEqual(r.status, 400, (text, r))
            self.assertIn("shut every administrator out", r.json()["message"], text)
            self.assertEqual(self.status("GET", "/api/v1/auth/users", token=self.admin()), 200)
        r = self.put_text("/v1/policies/another/name", head + "default allow := false\n")
        self.assertEqual(r.status, 400, r)
        r = self.put_text(AUTHZ, "package something.else\n\nallow := true\n")
        self.assertEqual(r.status, 400, r)
        self.assertIn("must be of package openpolicy.authz", r.json()["message"])
        r = self.put_text(AUTHZ, head + "allow if {")
        self.assertEqual(r.status, 400, r)
        self.assertEqual(self.a.get("/api/v1/access/policy", token=self.admin()).json()["policy"], "shipped")

    def test_one_named_administrator_is_enough_and_answers_may_be_objects(self):
        r = self.put_text(AUTHZ, "package openpolicy.authz\n\n"
                          "allow := {\"allowed\": true} if input.actor.email == \"" + self.email() + "\"\n\n"
                          "else := {\"allowed\": true, \"reason\": \"sign in\"} if not input.actor.signed_in\n\n"
                          "else := {\"allowed\": false, \"reason\": \"not \\\"today\\\"\"}\n")
        self.assertEqual(r.status, 200, r)
        other = self.tokens(self.new_user("admin")["email"])["access_token"]
        r = self.a.get("/api/v1/auth/users", token=other)
        self.assertEqual(r.status, 403, r)
        self.assertIn("not 'today'", r.json()["detail"])
        self.assertEqual(self.status("GET", "/api/v1/auth/users", token=self.admin()), 200)

    def email(self):
        return self.a.get("/api/v1/auth/me", token=self.admin()).json()["email"]

    def test_paths_addresses_and_time_can_be_looked_at(self):
        r = self.put_text(AUTHZ, "package openpolicy.authz\n\n"
                          "allow if input.actor.role == \"admin\"\n\n"
                          "allow if { input.method == \"POST\"; startswith(input.path, \"/api/v1/auth/login\") }\n\n"
                          "allow if { input.route == \"/api/v1/auth/me\"; input.time_ns > 0; input.network.address != \"\" }\n")
        self.assertEqual(r.status, 200, r)
        token = self.tokens(self.new_user()["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 200)
        r = self.a.get("/api/v1/policies", token=token)
        self.assertProblem(r, 403, "access_denied")
        self.assertIn("does not allow", r.json()["detail"])
        self.assertEqual(self.status("GET", "/api/v1/policies"), 401)
        state = self.a.get("/api/v1/access/policy", token=self.admin()).json()
        self.assertEqual(state["answers_remembered"], False)

    def test_a_revert_that_would_shut_out_is_refused_and_a_good_one_is_made(self):
        before = self.a.get("/api/v1/rego/revisions", token=self.admin()).json()["items"]
        self.assertEqual(self.put_text(AUTHZ, NO_USERS).status, 200)
        self.assertEqual(self.drop(AUTHZ), 200)
        newest = self.a.get("/api/v1/rego/revisions", token=self.admin()).json()["items"][0]["revision"]
        r = self.a.post("/api/v1/rego/revert", {"revision": newest - 1}, token=self.admin())
        self.assertEqual(r.status, 200, r)
        token = self.tokens(self.new_user()["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 403)
        self.assertIsInstance(before, list)


class Asking(AccessCase):
    def explain(self, question, token=None, expect=200):
        r = self.a.post("/api/v1/access/explain", question, token=token)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def test_permissions_say_what_one_may_do(self):
        token = self.tokens(self.new_user()["email"])["access_token"]
        for who, may, may_not in ((None, "health:status:read", "auth:self:read"),
                                  (token, "auth:self:read", "audit:log:read"),
                                  (self.admin(), "audit:log:read", None)):
            r = self.a.get("/api/v1/access/permissions", token=who)
            self.assertEqual(r.status, 200, r)
            all_of = {p["permission"]: p for p in r.json()["permissions"]}
            self.assertTrue(all_of[may]["allowed"], may)
            self.assertTrue(all_of[may]["reason"])
            if may_not:
                self.assertFalse(all_of[may_not]["allowed"], may_not)
        self.assertIn("GET /api/v1/auth/audit-logs", all_of["audit:log:read"]["routes"])

    def test_it_says_the_same_as_the_appliance_does(self):
        document = self.a.get("/api/openapi.json").json()
        token = self.tokens(self.new_user()["email"])["access_token"]
        for path in ("/api/v1/auth/users", "/api/v1/auth/me", "/api/v1/policies", "/v1/policies"):
            self.assertIn("get", document["paths"][path] if path in document["paths"] else {"get": 1})
            for who in (None, token, self.admin()):
                said = self.explain({"path": path}, token=who)
                done = self.a.get(path, token=who).status
                self.assertEqual(said["allowed"], done == 200, (path, said))

    def test_one_asks_about_oneself_and_administrators_about_others(self):
        user = self.new_user()
        token = self.tokens(user["email"])["access_token"]
        mine = self.explain({"permission": "audit:log:read"}, token=token)
        self.assertEqual((mine["allowed"], mine["reason"]), (False, "only an administrator may do this"))
        self.assertEqual(mine["who"]["id"], user["id"])
        about = {"permission": "auth:self:read", "user": user["email"]}
        self.assertTrue(self.explain(about, token=self.admin())["allowed"])
        self.assertFalse(self.explain(dict(about, user="guest"), token=self.admin())["allowed"])
        other = self.new_user()
        self.explain({"permission": "auth:self:read", "user": other["id"]}, token=token, expect=403)
        self.explain({"permission": "auth:self:read", "user": other["id"]}, expect=401)
        self.explain({"permission": "auth:self:read", "user": "no@where"}, token=self.admin(), expect=404)
        draft = {"permission": "policies:document:read", "id": "x", "owner": user["id"], "state": "draft"}
        self.assertTrue(self.explain(draft, token=token)["allowed"])
        self.assertFalse(self.explain(dict(draft, owner="somebody"), token=token)["allowed"])

    def test_bad_questions(self):
        for body in ({}, {"permission": ""}, {"path": "nowhere"}, {"path": "/nowhere"}, {"permission": 1},
                     {"permission": "x" * 1000}, {"nope": 1}, {"path": "/api/v1/auth/me", "method": "BREW"}):
            self.explain(body, token=self.admin(), expect=422)
        for permission in ("", "x", "*", "policies:*", "policies:document:read\u0000", "\u202e", "a" * 128, "::",
                           "\"}{"):
            r = self.a.post("/api/v1/access/explain", {"permission": permission}, token=self.admin())
            self.assertIn(r.status, (200, 400, 422), (permission, r))
            if r.status == 200:
                self.assertFalse(r.json()["allowed"], permission)
        r = self.a.get("/api/v1/access/explain?path=/api/v1/auth/me&method=GET", token=self.admin())
        self.assertEqual(r.json()["route"], "/api/v1/auth/me")
        self.assertEqual(json.loads(r.body)["input"]["method"], "GET")


if __name__ == "__main__":
    unittest.main()
