# SPDX-License-Identifier: Apache-2.0
"""test_scim.py: a directory makes, changes, finds and deactivates accounts and groups (RFC 7643, 7644)."""
import time
import urllib.parse

from test_auth import GOOD, AuthCase

CORE, MESSAGE = "urn:ietf:params:scim:schemas:core:2.0:", "urn:ietf:params:scim:api:messages:2.0:"


class Scim(AuthCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._admin = cls.a.login()
        r = cls.a.post("/api/v1/auth/api-keys", {"name": "directory", "scopes": ["scim:*"]}, token=cls._admin)
        assert r.status == 201, r
        cls.key = r.json()["key"]

    def scim(self, method, path, body=None, key=None, **headers):
        if body is not None:
            headers["Content-Type"] = "application/scim+json"
        import json
        return self.a.request(method, "/scim/v2" + path, None if body is None else json.dumps(body).encode(),
                              token=key or self.key, headers=headers, timeout=60)

    def good(self, r, status=200):
        self.assertEqual(r.status, status, r)
        self.assertIn("application/scim+json", r.headers["content-type"])
        return r.json()

    def refused(self, r, status, kind=None):
        self.assertEqual(r.status, status, r)
        self.assertIn("application/scim+json", r.headers["content-type"])
        e = r.json()
        self.assertEqual((e["schemas"], e["status"], e.get("scimType")), ([MESSAGE + "Error"], str(status), kind), r)
        return e["detail"]

    def name(self, domain="example.org"):
        AuthCase.counter += 1
        return f"scim{AuthCase.counter}-{time.monotonic_ns()}@{domain}"

    def make(self, **more):
        body = {"schemas": [CORE + "User"], "userName": self.name(), "externalId": "x-1",
                "name": {"givenName": "Ann", "familyName": "Lee"}, "emails": [{"value": "a@b.c", "primary": True}],
                "title": "not kept", "active": True}
        return self.good(self.scim("POST", "/Users", dict(body, **more)), 201)

    def find(self, kind, **query):
        return self.good(self.scim("GET", f"/{kind}?" + urllib.parse.urlencode(query)))

    def patch(self, path, *operations, **more):
        return self.scim("PATCH", path, {"schemas": [MESSAGE + "PatchOp"], "Operations": list(operations)}, **more)

    def test_what_it_says_of_itself(self):
        config = self.good(self.scim("GET", "/ServiceProviderConfig"))
        self.assertTrue(config["patch"]["supported"] and config["filter"]["supported"] and config["etag"]["supported"])
        types = self.good(self.scim("GET", "/ResourceTypes"))
        self.assertEqual([t["name"] for t in types["Resources"]], ["User", "Group"])
        schemas = self.good(self.scim("GET", "/Schemas"))
        self.assertEqual([s["id"] for s in schemas["Resources"]], [CORE + "User", CORE + "Group"])
        self.assertIn("userName", [a["name"] for a in schemas["Resources"][0]["attributes"]])
        self.good(self.scim("GET", "/Schemas/" + CORE + "Group"))
        self.good(self.scim("GET", "/ResourceTypes/User"))
        self.refused(self.scim("GET", "/Schemas/x"), 404)
        # Not for everybody.
        self.refused(self.a.get("/scim/v2/Users"), 401)
        other = self.a.post("/api/v1/auth/api-keys", {"name": "o", "scopes": ["auth:*"]}, token=self._admin).json()
        self.refused(self.scim("GET", "/Users", key=other["key"]), 403)

    def test_an_account_from_first_to_last(self):
        user = self.make()
        self.assertEqual((user["name"], user["displayName"], user["active"], user["externalId"]),
                         ({"formatted": "Ann Lee", "givenName": "Ann", "familyName": "Lee"}, "Ann Lee", True, "x-1"))
        self.assertEqual(user["emails"], [{"value": user["userName"], "type": "work", "primary": True}])
        self.assertEqual((user["meta"]["resourceType"], user["meta"]["location"]), ("User", "/scim/v2/Users/" + user["id"]))
        place = "/Users/" + user["id"]
        r = self.scim("GET", place)
        self.assertEqual((self.good(r), r.headers["etag"]), (user, user["meta"]["version"]))
        self.assertEqual(self.scim("GET", place, **{"If-None-Match": r.headers["etag"]}).status, 304)
        self.refused(self.scim("POST", "/Users", {"userName": user["userName"].upper()}), 409, "uniqueness")
        # Azure's way, Okta's way, the RFC's way.
        r = self.patch(place, {"op": "Replace", "path": "active", "value": "False"},
                       {"op": "Add", "path": "name.givenName", "value": "Anne"},
                       {"op": "replace", "value": {"displayName": "Anne L.", "name.familyName": "Low",
                                                   "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":
                                                   {"department": "x"}}},
                       {"op": "remove", "path": "externalId"})
        now = self.good(r)
        self.assertEqual((now["active"], now["displayName"], now["name"]["givenName"], now["name"]["familyName"]),
                         (False, "Anne L.", "Anne", "Low"))
        self.assertNotIn("externalId", now)
        self.assertEqual(self.scim("PUT", place, {"userName": user["userName"]}, **{"If-Match": '"1"'}).status, 412)
        again = self.good(self.scim("PUT", place, {"userName": user["userName"], "active": True}))
        self.assertEqual((again["active"], again["displayName"]), (True, user["userName"]))
        self.assertEqual(self.scim("DELETE", place).status, 204)
        self.refused(self.scim("GET", place), 404)
        self.refused(self.scim("DELETE", place), 404)

    def test_a_deactivated_account_is_out_at_once(self):
        person = self.new_user()
        token = self.tokens(person["email"])["access_token"]
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 200)
        self.good(self.patch("/Users/" + person["id"], {"op": "replace", "value": {"active": False}}))
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=token), 401)
        r = self.a.post("/api/v1/auth/login", {"email": person["email"], "password": GOOD}, timeout=60)
        self.assertProblem(r, 401, "login_failed")
        root = self.a.get("/api/v1/auth/me", token=self._admin).json()["id"]
        detail = self.refused(self.patch("/Users/" + root, {"op": "replace", "path": "active", "value": False}), 409)
        self.assertIn("last active administrator", detail)
        self.refused(self.scim("DELETE", "/Users/" + root), 409)
        self.assertEqual(self.status("GET", "/api/v1/auth/me", token=self._admin), 200)

    def test_filters_and_pages(self):
        domain = f"d{time.monotonic_ns()}.example"
        made = [self.make(userName=self.name(domain), externalId=f"e-{i}", displayName=f"Person {i}", active=i != 2)
                for i in range(3)]
        ids = [u["id"] for u in made]
        every = f'userName ew "@{domain.upper()}"'
        for test, wanted in ((every, ids), (f'userName eq "{made[1]["userName"].upper()}"', ids[1:2]),
                             (every + ' and active eq false', ids[2:]), (every + ' and not (externalId eq "e-0")', ids[1:]),
                             (every + ' and (displayName co "N 0" or displayName sw "person 2")', [ids[0], ids[2]]),
                             (f'emails[type eq "work" and value co "{domain}"] and externalId ne "e-1"', [ids[0], ids[2]]),
                             (every + ' and externalId eq "E-0"', []), (every + ' and externalId pr', ids),
                             (every + ' and meta.created gt "2020-01-01T00:00:00Z"', ids),
                             (every + ' and displayName le "person 1"', ids[:2]), (f'id eq "{ids[0]}"', ids[:1]),
                             (f"userName eq \"x' OR 1=1 --\"", [])):
            with self.subTest(filter=test):
                self.assertEqual([u["id"] for u in self.find("Users", filter=test)["Resources"]], wanted)
        page = self.find("Users", filter=every, startIndex=2, count=1, attributes="userName")
        self.assertEqual((page["totalResults"], page["startIndex"], page["itemsPerPage"]), (3, 2, 1))
        self.assertEqual((page["Resources"][0]["userName"], "name" in page["Resources"][0]), (made[1]["userName"], False))
        self.assertEqual(self.find("Users", count=0)["Resources"], [])
        self.assertNotIn("groups", self.find("Users", filter=every, excludedAttributes="groups")["Resources"][0])
        for test in ("userName", 'userName eq', 'nickName eq "x"', 'active gt true', 'active eq "maybe"',
                     'meta.created gt "soon"', "(" * 30, 'password eq "x"', 'userName eq 1', 'groups co "x"'):
            with self.subTest(filter=test):
                self.refused(self.scim("GET", "/Users?" + urllib.parse.urlencode({"filter": test})), 400, "invalidFilter")

    def test_groups_and_their_members(self):
        ann, bob = self.make()["id"], self.make()["id"]
        title = f"Sales, East {time.monotonic_ns()}"
        group = self.good(self.scim("POST", "/Groups", {"displayName": title, "externalId": "g",
                                                        "members": [{"value": ann}]}), 201)
        place = "/Groups/" + group["id"]
        members = lambda g: sorted(m["value"] for m in g["members"])
        self.assertEqual((group["displayName"], members(group)), (title, [ann]))
        self.refused(self.scim("POST", "/Groups", {"displayName": title}), 409, "uniqueness")
        ours = self.a.get("/api/v1/auth/groups/" + group["id"], token=self._admin).json()
        self.assertEqual((ours["name"], ours["roles"]), (title.lower().replace(", ", "-").replace(" ", "-"), []))
        g = self.good(self.patch(place, {"op": "add", "path": "members", "value": [{"value": bob}, {"value": ann}]}))
        self.assertEqual(members(g), sorted([ann, bob]))
        self.assertEqual(self.good(self.scim("GET", "/Users/" + bob))["groups"],
                         [{"value": group["id"], "display": title, "type": "direct"}])
        found = self.find("Groups", filter=f'members[value eq "{bob}"]', excludedAttributes="members")
        self.assertEqual([(x["id"], "members" in x) for x in found["Resources"]], [(group["id"], False)])
        g = self.good(self.patch(place, {"op": "remove", "path": f'members[value eq "{bob}"]'}))
        self.assertEqual(members(g), [ann])
        g = self.good(self.patch(place, {"op": "Remove", "path": "members", "value": [{"value": ann}]}))
        self.assertEqual(members(g), [])
        g = self.good(self.patch(place, {"op": "replace", "value": {"displayName": title + "!", "members": [{"value": bob}]}}))
        self.assertEqual((g["displayName"], members(g)), (title + "!", [bob]))
        nobody = "0190a0b0-c0d0-7000-8000-000000000001"
        self.refused(self.patch(place, {"op": "remove", "path": "members"},
                                {"op": "add", "path": "members", "value": [{"value": nobody}]}), 400, "invalidValue")
        self.assertEqual(members(self.good(self.scim("GET", place))), [bob])  # whole, or not at all
        self.assertEqual(self.find("Groups", filter=f'displayName eq "{title}!"')["totalResults"], 1)
        self.assertEqual(self.scim("DELETE", place).status, 204)
        self.refused(self.scim("GET", place), 404)

    def test_what_is_refused(self):
        user = self.make()
        place = "/Users/" + user["id"]
        for body in ({}, {"userName": "bjensen"}, {"userName": 1}, {"userName": ""},
                     {"userName": self.name(), "active": "perhaps"}, {"userName": self.name(), "displayName": "x" * 300},
                     {"userName": self.name(), "externalId": ["x"]}):
            with self.subTest(body=body):
                self.refused(self.scim("POST", "/Users", body), 400, "invalidValue")
        for operations, kind in (([], "invalidSyntax"), ([1], "invalidSyntax"), ([{"op": "move"}], "invalidSyntax"),
                                 ([{"op": "remove"}], "noTarget"), ([{"op": "add", "path": "active"}], "invalidValue"),
                                 ([{"op": "add", "path": "a[", "value": 1}], "invalidPath"),
                                 ([{"op": "replace", "path": "id", "value": "1"}], "mutability"),
                                 ([{"op": "replace", "path": "active", "value": 3}], "invalidValue"),
                                 ([{"op": "add", "path": "title", "value": "x"}] * 101, "tooMany")):
            with self.subTest(operations=operations[:2]):
                self.refused(self.patch(place, *operations), 400, kind)
        self.assertEqual(self.good(self.scim("GET", place)), user)
        r = self.a.request("POST", "/scim/v2/Users", b"{", token=self.key,
                           headers={"Content-Type": "application/scim+json"})
        self.assertEqual(r.status, 400)
        self.assertEqual(r.json()["schemas"], [MESSAGE + "Error"])

    def test_an_organisations_directory_reaches_its_own(self):
        org = self.a.post("/api/v1/auth/organisations", {"name": f"org-{time.monotonic_ns() % 10**9}"},
                          token=self._admin).json()["id"]
        group = self.a.post("/api/v1/auth/groups", {"name": "managers", "roles": ["manager"], "organisation": org},
                            token=self._admin).json()["id"]
        email = self.name()
        who = self.a.post("/api/v1/auth/users", {"email": email, "password": GOOD, "name": "M", "organisation": org},
                          token=self._admin, timeout=60).json()["id"]
        self.assertEqual(self.status("PUT", f"/api/v1/auth/groups/{group}/members/{who}", token=self._admin), 204)
        token = self.tokens(email)["access_token"]
        key = self.a.post("/api/v1/auth/api-keys", {"name": "d", "scopes": ["scim:*"]}, token=token).json()["key"]
        stranger = self.make()["id"]
        mine = self.good(self.scim("POST", "/Users", {"userName": self.name()}, key=key), 201)["id"]
        seen = self.good(self.scim("GET", "/Users", key=key))["Resources"]
        self.assertEqual(sorted(u["id"] for u in seen), sorted([who, mine]))
        for method, body in (("GET", None), ("PUT", {"userName": self.name()}), ("DELETE", None)):
            self.refused(self.scim(method, "/Users/" + stranger, body, key=key), 404)
        self.refused(self.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": stranger}]},
                                key=key), 400, "invalidValue")
        self.good(self.patch(f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": mine}]}, key=key))
