# SPDX-License-Identifier: Apache-2.0
"""test_organisations.py: tenants never see each other; groups give roles. What an organisation must not
reach is tried on every route of the API document, so a new route is tried too."""
import itertools
import json
import time

from test_auth import GOOD, AuthCase

A = "/api/v1/auth/"


class Organisations(AuthCase):
    config = {"auth.registration": "invite"}

    def make(self, path, body, token=None, status=201):
        r = self.a.post(path, body, token=token or self.admin(), timeout=60)
        self.assertEqual(r.status, status, r)
        return r.json()

    def member(self, org, manager=None, **more):
        AuthCase.counter += 1
        email = f"member{AuthCase.counter}-{time.monotonic_ns()}@example.org"
        body = {"email": email, "password": GOOD, "name": "A Member", **more}
        if not manager:
            body["organisation"] = org["id"]
        return self.make(A + "users", body, manager)

    def tenant(self, name):
        """An organisation with a manager, a member, and something of each kind."""
        t = {"org": self.make(A + "organisations", {"name": f"{name}-{time.monotonic_ns()}", "title": name})}
        t["group"] = self.make(A + "groups", {"name": "staff", "roles": ["manager"], "organisation": t["org"]["name"]})
        t["manager"], t["member"] = self.member(t["org"]), self.member(t["org"])
        self.put_in(t["group"], t["manager"])
        t["manager_token"] = self.tokens(t["manager"]["email"])["access_token"]
        t["token"] = self.tokens(t["member"]["email"])["access_token"]
        t["key"] = self.make(A + "api-keys", {"name": "a key", "scopes": ["*"]}, t["token"])
        t["policy"] = self.make("/api/v1/policies", {"title": f"Rules of {name}, for members only"}, t["token"])
        t["invite"] = self.make(A + "invites", {"email": f"new-{time.monotonic_ns()}@example.org"}, t["manager_token"])
        t["session"] = self.a.get(A + "sessions", token=t["token"]).json()["items"][0]
        return t

    def put_in(self, group, user, token=None, status=204):
        r = self.a.put(f"{A}groups/{group['id']}/members/{user['id']}", token=token or self.admin())
        self.assertEqual(r.status, status, r)

    def test_nothing_of_another_is_reached_by_any_route(self):
        mine, theirs = self.tenant("mine"), self.tenant("theirs")
        secrets = [theirs[k]["id"] for k in ("org", "group", "manager", "member", "key", "policy", "invite", "session")]
        secrets += [theirs["member"]["email"], theirs["manager"]["email"]]
        ids = {k: theirs[k]["id"] for k in ("org", "group", "member", "key", "policy", "invite", "session")}
        document = self.a.get("/api/openapi.json").json()
        tried = 0
        # Lists first: afterwards the own audit log names what was tried.
        for path, operations in sorted(document["paths"].items(), key=lambda p: "{" in p[0]):
            if path.startswith(("/v0", "/v1/data", "/v1/query", "/v1/compile")) or "rest" in path:
                continue
            names = [p[1:-1] for p in path.split("/") if p.startswith("{")]
            for method, values in itertools.product(operations, itertools.product(ids.values(), repeat=len(names))):
                if method not in ("get", "put", "post", "delete") or len(set(values)) < len(values):
                    continue
                if not names and method != "get":
                    continue  # creates something of one's own, or is for administrators alone
                where = path
                for name, value in zip(names, values):
                    where = where.replace("{" + name + "}", value)
                for token in (mine["manager_token"], mine["token"])[:2 if method == "get" else 1]:
                    body = {} if method in ("put", "post") else None
                    r = self.a.request(method.upper(), where, body, token=token, timeout=60)
                    tried += 1
                    if names:
                        self.assertNotIn(r.status, (200, 201, 202, 204), (method, where, r))
                    else:
                        for secret in secrets:
                            self.assertNotIn(secret, r.body.decode("utf-8", "replace"), (method, where))
        self.assertGreater(tried, 200)
        # and all of it is still there, for those whose it is
        self.assertEqual(self.a.get(A + "me", token=theirs["token"]).status, 200)
        self.assertEqual(self.a.get("/api/v1/policies/" + theirs["policy"]["id"], token=theirs["token"]).status, 200)
        self.assertEqual(self.a.get("/api/v1/policies/" + theirs["policy"]["id"], token=self.admin()).status, 200)

    def test_a_manager_looks_after_their_own(self):
        t = self.tenant("own")
        token = t["manager_token"]
        listed = self.a.get(A + "users?limit=100", token=token).json()
        self.assertEqual({u["organisation"] for u in listed["items"]}, {t["org"]["id"]})
        self.assertEqual(listed["total"], 2)
        made = self.member(t["org"], token)
        self.assertEqual(made["organisation"], t["org"]["id"])
        path = A + "users/" + made["id"]
        self.assertEqual(self.status("PUT", path, {"name": "Renamed"}, token), 200)
        for body in ({"role": "admin"}, {"organisation": ""}):
            self.assertEqual(self.status("PUT", path, body, token), 422, body)
        self.assertEqual(self.a.post(A + "users", {"email": "x@example.org", "password": GOOD, "name": "X",
                                                   "role": "admin"}, token=token, timeout=60).status, 422)
        self.assertEqual(self.status("DELETE", path, None, token), 204)
        rows = self.a.get(A + "audit-logs?limit=100", token=token).json()["items"]
        self.assertIn("user.delete", [r["action"] for r in rows])
        people = {t["manager"]["email"], t["member"]["email"]}
        self.assertLessEqual({r["actor"] for r in rows}, people)
        for path in ("config", "backup", "auth/outbox", "auth/clients", "auth/signing-keys", "auth/organisations"):
            self.assertEqual(self.a.get("/api/v1/" + path, token=token).status, 403, path)
        self.assertEqual(self.a.get(A + "audit-logs/export", token=token).status, 403)

    def test_an_invitation_leads_into_the_organisation(self):
        t = self.tenant("inviting")
        body = {"email": t["invite"]["email"], "password": GOOD, "name": "New", "invite": t["invite"]["invite"]}
        self.assertEqual(self.a.post(A + "register", body, timeout=60).status, 201)
        self.assertEqual(self.tokens(t["invite"]["email"])["user"]["organisation"], t["org"]["id"])

    def test_groups_give_roles_at_once_and_not_beyond_ones_own(self):
        t = self.tenant("groups")
        self.assertEqual(self.a.get(A + "users", token=t["token"]).status, 403)
        self.put_in(t["group"], t["member"], t["manager_token"])
        self.assertEqual(self.a.get(A + "users", token=t["token"]).status, 200)
        path = f"{A}groups/{t['group']['id']}/members/{t['member']['id']}"
        self.assertEqual(self.status("DELETE", path, None, t["manager_token"]), 204)
        self.assertEqual(self.a.get(A + "users", token=t["token"]).status, 403)
        for roles, status in ((["manager"], 201), (["admin"], 422), (["somebody"], 422), (["A B"], 422)):
            r = self.a.post(A + "groups", {"name": "g" + roles[0].lower()[:3], "roles": roles},
                            token=t["manager_token"])
            self.assertEqual(r.status, status, r)
        r = self.a.post(A + "groups", {"name": "admins", "roles": ["admin"], "organisation": t["org"]["id"]},
                        token=self.admin())
        self.assertEqual(r.status, 422, r)
        staff = self.make(A + "groups", {"name": f"ops-{time.monotonic_ns()}"[:40], "roles": ["admin"]})
        self.put_in(staff, t["member"], status=404)  # of an organisation: not into the operator's
        operator = self.new_user()
        token = self.tokens(operator["email"])["access_token"]
        self.assertEqual(self.a.get("/api/v1/config", token=token).status, 403)
        self.put_in(staff, operator)
        self.assertEqual(self.a.get("/api/v1/config", token=token).status, 200)
        self.assertEqual(self.status("PUT", A + "groups/" + staff["id"], {"roles": []}, self.admin()), 200)
        self.assertEqual(self.a.get("/api/v1/config", token=token).status, 403)

    def test_the_policy_sees_groups_and_organisation(self):
        t = self.tenant("seen")
        rego = ("package openpolicy.authz\nallow := true\n"
                "reason := sprintf(\"%v %v %v\", [input.actor.groups, input.actor.roles, input.actor.organisation])\n")
        r = self.a.request("PUT", "/v1/policies/openpolicy%2Fauthz", rego.encode(), token=self.admin(),
                           headers={"Content-Type": "text/plain"})
        self.assertEqual(r.status, 200, r)
        try:
            r = self.a.get("/api/v1/access/explain?permission=config:option:read", token=t["manager_token"])
            self.assertEqual(r.status, 200, r)
            text = json.dumps(r.json())
            self.assertIn(t["org"]["name"] + "/staff", text)
            self.assertIn("manager", text)
            self.assertIn(t["org"]["id"], text)
        finally:
            self.assertEqual(self.status("DELETE", "/v1/policies/openpolicy%2Fauthz", None, self.admin()), 200)

    def test_organisations_are_made_renamed_and_removed(self):
        name = f"city-{time.monotonic_ns()}"[:40]
        org = self.make(A + "organisations", {"name": name, "title": "La Cité"})
        self.assertEqual(self.a.post(A + "organisations", {"name": name}, token=self.admin()).status, 409)
        for bad in ("", "A", "a b", "-a", "x" * 41, "é"):
            self.assertEqual(self.a.post(A + "organisations", {"name": bad}, token=self.admin()).status, 422, bad)
        path = A + "organisations/" + org["id"]
        self.assertEqual(self.a.put(path, {"title": "Laval"}, token=self.admin()).json()["title"], "Laval")
        user = self.member(org)
        self.assertEqual(self.status("DELETE", path, None, self.admin()), 409)
        self.assertEqual(self.status("PUT", A + "users/" + user["id"], {"organisation": ""}, self.admin()), 200)
        self.assertEqual(self.status("DELETE", path, None, self.admin()), 204)
        self.assertEqual(self.status("DELETE", path, None, self.admin()), 404)
        self.assertEqual(self.status("PUT", A + "users/" + user["id"], {"organisation": org["id"]}, self.admin()), 422)
