# SPDX-License-Identifier: Apache-2.0
"""test_data.py: collections that users define, and records in them, from outside."""
import json
import unittest

from appliance import AppliancePerClass

PASSWORD = "a quiet river runs north 42"
COLLECTIONS = "/api/v1/collections"
DATA = "/api/v1/data"

RULES = """package collection
read if input.actor.role == "admin"
read if input.record.status == "published"
read if input.record.created_by == input.actor.id
create if input.actor.signed_in
update if input.record.created_by == input.actor.id
update if input.actor.role == "admin"
delete if input.actor.role == "admin"
"""


class Data(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = cls.a.login()
        r = cls.a.post("/api/v1/auth/users", {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"},
                       token=cls.admin, timeout=60)
        assert r.status == 201, r
        cls.ada = cls.a.login("ada@example.org", PASSWORD)

    def define(self, expect=201, **body):
        r = self.a.post(COLLECTIONS, body, token=self.admin)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def make(self, collection, record, token=None, expect=201, **kw):
        r = self.a.post(f"{DATA}/{collection}", record, token=token or self.admin, **kw)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def list(self, collection, query="", token=None, expect=200):
        r = self.a.get(f"{DATA}/{collection}{query}", token=token or self.admin)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def change(self, name, *steps, expect=200):
        now = self.a.get(f"{COLLECTIONS}/{name}", token=self.admin)
        r = self.a.patch(f"{COLLECTIONS}/{name}", {"changes": list(steps)}, token=self.admin,
                         headers={"If-Match": now.headers["etag"]})
        self.assertEqual(r.status, expect, r)
        return r.json()

    def refused(self, collection, record, field, code, status=422):
        r = self.a.post(f"{DATA}/{collection}", record, token=self.admin)
        self.assertEqual(r.status, status, r)
        self.assertIn((field, code), [(e["field"], e["code"]) for e in r.json()["errors"]], r)

    # ---- records -----------------------------------------------------------------------------------

    def test_of_every_type_kept_over_a_restart(self):
        self.define(name="things", fields=[
            {"name": "title", "type": "text", "required": True, "min": 3, "max": 40, "pattern": "^[A-Z]"},
            {"name": "price", "type": "number", "min": 0}, {"name": "votes", "type": "integer", "default": 7},
            {"name": "open", "type": "bool"}, {"name": "due", "type": "date-time"},
            {"name": "extra", "type": "json"}, {"name": "kind", "type": "select", "values": ["a", "b"]},
            {"name": "mail", "type": "email"}, {"name": "page", "type": "url"},
            {"name": "code", "type": "text", "unique": True}])
        whole = {"title": "Eté — œuvre \U0001f341", "price": 12.5, "open": True,
                 "due": "2026-01-31T12:00:00+02:00", "extra": {"a": [1, None, "x'; DROP TABLE d1;--"]},
                 "kind": "b", "mail": "ada@example.org", "page": "https://example.org/x", "code": "it's"}
        made = self.make("things", whole)
        want = dict(whole, due="2026-01-31T10:00:00.000Z", votes=7)
        self.assertEqual({k: made[k] for k in want}, want)
        self.assertEqual((made["version"], len(made["id"])), (1, 36))
        path = f"{DATA}/things/{made['id']}"
        for field, value, code in (("title", "x", "field_range"), ("title", "no capital", "field_pattern"),
                                   ("title", 7, "field_type"), ("title", None, "field_required"),
                                   ("title", "A" * 41, "field_range"), ("price", -1, "field_range"),
                                   ("price", "1", "field_type"), ("votes", 1.5, "field_type"),
                                   ("votes", 1e17, "field_type"), ("open", 1, "field_type"),
                                   ("due", "yesterday", "field_type"), ("kind", "c", "field_choice"),
                                   ("mail", "ada", "field_type"), ("page", "javascript:x", "field_type"),
                                   ("code", "it's", "field_unique")):
            self.refused("things", dict({"title": "Another"}, **{field: value}), field, code,
                         409 if code == "field_unique" else 422)
        self.refused("things", {"title": "Another", "nothing": 1}, "nothing", "field_unknown")
        self.assertEqual(len(self.list("things")["items"]), 1)
        self.a.restart()
        self.assertEqual(self.a.get(path, token=self.admin).json(), made)
        r = self.a.patch(path, {"price": None, "open": False}, token=self.admin, headers={"If-Match": '"1"'})
        self.assertEqual((r.status, r.json()["price"], r.json()["title"]), (200, None, whole["title"]))
        r = self.a.patch(path, {"price": 1}, token=self.admin, headers={"If-Match": '"1"'})
        self.assertEqual((r.status, r.headers["etag"]), (412, '"2"'))
        r = self.a.put(path, {"title": "Replaced"}, token=self.admin)
        self.assertEqual((r.status, r.json()["mail"], r.json()["votes"], r.json()["version"]), (200, None, 7, 3))
        self.assertEqual(self.a.get(path, token=self.admin, headers={"If-None-Match": '"3"'}).status, 304)
        self.assertEqual(self.a.delete(path, token=self.admin).status, 204)
        self.assertEqual(self.a.get(path, token=self.admin).status, 404)

    def test_lists_filter_sort_and_turn_pages(self):
        self.define(name="bills", indexes=[{"fields": ["status", "votes"]}], fields=[
            {"name": "title", "type": "text", "search": True}, {"name": "status", "type": "text"},
            {"name": "votes", "type": "integer", "index": True}])
        for n in range(30):
            self.make("bills", {"title": f"Bill {n} on {'Water' if n % 3 else 'air'}",
                                "status": "open" if n % 2 else "closed",
                                "votes": None if n == 5 else n // 3})

        def titles(query):
            return [int(i["title"].split()[1]) for i in self.list("bills", query)["items"]]

        self.assertEqual(titles("?filter=votes%3E%3D9%20and%20status%3D'open'&sort=title"), [27, 29])
        self.assertEqual(len(titles("?filter=status!%3D'open'&limit=100")), 15)
        self.assertEqual(titles("?filter=votes%3Dnull"), [5])
        self.assertEqual(titles("?filter=votes%20in%20(9)&sort=-created_at"), [29, 28, 27])
        self.assertEqual(titles("?filter=title%20~%20'WATER'%20%26%26%20!(votes%20%3C%209)&sort=title"), [28, 29, 5])
        self.assertEqual(titles("?filter=title%3D'x''%20OR%201%3D1%20--'"), [])
        self.assertEqual(len(titles("?q=wat*&limit=100")), 20)
        self.assertEqual(titles("?q=bill+29"), [29])
        for sort in ("votes", "-votes", "votes,-title", "-status,votes", "", "-created_at"):
            whole = titles(f"?limit=100&sort={sort}")
            self.assertEqual(sorted(whole), list(range(30)))
            paged, query = [], f"?limit=7&sort={sort}"
            while query:
                page = self.list("bills", query)
                paged += [int(i["title"].split()[1]) for i in page["items"]]
                self.assertEqual(page["more"], bool(page["next_cursor"]))
                query = page["more"] and f"?limit=7&sort={sort}&cursor={page['next_cursor']}"
            self.assertEqual(paged, whole, sort)
        page = self.list("bills", "?limit=4&offset=28&count=true&fields=id,votes&sort=votes&cost=true")
        self.assertEqual((page["total"], page["next"], len(page["items"])), (30, None, 2))
        self.assertEqual(set(page["items"][0]), {"id", "votes"})
        self.assertGreater(page["cost"]["steps"], 0)
        for query, code in (("filter=nothing%3D1", "field_unknown"), ("filter=votes%3D'x'", "filter_type"),
                            ("filter=" + "(" * 40, "filter_too_deep"), ("filter=votes", "filter_invalid"),
                            ("filter=votes%3D1%20or", "filter_invalid"), ("sort=nothing", "bad_sort"),
                            ("cursor=00", "cursor_invalid"), ("fields=x", "field_unknown"),
                            ("expand=title", "bad_expand"), ("limit=0", "query_range"),
                            ("filter=" + "votes%3D1||" * 60 + "votes%3D1", "filter_too_long")):
            self.assertEqual(self.list("bills", "?" + query, expect=400)["code"], code, query)

    def test_a_page_too_large_says_so(self):
        self.define(name="long", fields=[{"name": "text", "type": "text"}])
        for _ in range(17):
            self.make("long", {"text": "x" * 250000})
        self.assertEqual(self.list("long", expect=400)["code"], "page_too_large")
        self.assertEqual(len(self.list("long", "?limit=5")["items"]), 5)
        self.assertEqual(len(self.list("long", "?fields=id")["items"]), 17)
        self.refused("long", {"text": "x" * 262145}, "text", "field_range")

    def test_relations_expand_and_what_a_delete_takes_along(self):
        self.define(name="people", fields=[{"name": "name", "type": "text"}])
        self.define(name="acts", fields=[
            {"name": "author", "type": "relation", "collection": "people", "on_delete": "cascade"},
            {"name": "signer", "type": "relation", "collection": "people", "on_delete": "set_null"}])
        self.define(name="notes", fields=[
            {"name": "act", "type": "relation", "collection": "acts", "required": True}])
        ada, bob = (self.make("people", {"name": n})["id"] for n in ("Ada", "Bob"))
        act = self.make("acts", {"author": ada, "signer": bob})["id"]
        note = self.make("notes", {"act": act})["id"]
        r = self.a.get(f"{DATA}/notes/{note}?expand=act,act.author", token=self.admin).json()
        self.assertEqual(r["expand"]["act"]["expand"]["author"]["name"], "Ada")
        self.refused("acts", {"author": act}, "author", "relation_unknown")
        self.refused("acts", {"author": "x"}, "author", "field_type")
        r = self.a.delete(f"{DATA}/people/{ada}", token=self.admin)  # its act has a note, which restricts
        self.assertEqual((r.status, r.json()["code"]), (409, "record_in_use"))
        self.assertEqual(self.a.delete(f"{DATA}/people/{bob}", token=self.admin).status, 204)
        self.assertEqual(self.list("acts")["items"][0]["signer"], None)
        self.assertEqual(self.a.delete(f"{DATA}/notes/{note}", token=self.admin).status, 204)
        self.assertEqual(self.a.delete(f"{DATA}/people/{ada}", token=self.admin).status, 204)
        self.assertEqual(self.list("acts")["items"], [])
        now = self.a.get(f"{COLLECTIONS}/people", token=self.admin)
        r = self.a.delete(f"{COLLECTIONS}/people", token=self.admin, headers={"If-Match": now.headers["etag"]})
        self.assertEqual((r.status, r.json()["code"]), (409, "collection_in_use"))

    def test_a_batch_holds_together(self):
        self.define(name="votes", fields=[{"name": "voter", "type": "text", "unique": True, "required": True},
                                          {"name": "yes", "type": "bool"}])
        first = self.make("votes", {"voter": "v1", "yes": True})

        def batch(*operations):
            return self.a.post(DATA, {"operations": list(operations)}, token=self.admin)

        r = batch({"op": "create", "collection": "votes", "record": {"voter": "v2"}},
                  {"op": "update", "collection": "votes", "id": first["id"], "version": 1, "record": {"yes": False}},
                  {"op": "create", "collection": "votes", "record": {"voter": "v1"}})
        self.assertEqual((r.status, r.json()["field"]), (409, "operations[2].voter"))
        self.assertEqual(self.list("votes")["items"], [first])
        r = batch({"op": "create", "collection": "votes", "record": {"voter": "v2"}},
                  {"op": "update", "collection": "votes", "id": first["id"], "version": 1, "record": {"yes": False}},
                  {"op": "upsert", "collection": "votes", "record": {"voter": "v3", "id": first["id"][:-1] + "0"}},
                  {"op": "delete", "collection": "votes", "id": first["id"]})
        self.assertEqual(r.status, 200, r)
        self.assertEqual([x["result"] for x in r.json()["results"]], ["created", "updated", "created", "deleted"])
        self.assertEqual({v["voter"] for v in self.list("votes")["items"]}, {"v2", "v3"})
        key = {"Idempotency-Key": "once-and-only-once"}
        a, b = (self.a.post(f"{DATA}/votes", {"voter": "v4"}, token=self.admin, headers=key) for _ in range(2))
        self.assertEqual((a.status, b.status, a.json()), (201, 201, b.json()))

    # ---- definitions -------------------------------------------------------------------------------

    def test_change_as_one(self):
        self.define(name="laws", fields=[{"name": "title", "type": "text"}, {"name": "old", "type": "text"}])
        for n in range(3):
            self.make("laws", {"title": f"Law {n}", "old": "x"})
        r = self.change("laws", {"op": "rename_field", "from": "title", "to": "name"},
                        {"op": "drop_field", "name": "old"},
                        {"op": "add_field", "field": {"name": "status", "type": "select", "values": ["a", "b"],
                                                      "required": True, "default": "a", "index": True}},
                        {"op": "add_index", "index": {"fields": ["status", "name"], "unique": True}},
                        {"op": "change_field", "name": "name",
                         "field": {"name": "name", "type": "text", "search": True, "min": 2}})
        self.assertEqual((r["version"], [f["name"] for f in r["fields"]]), (2, ["name", "status"]))
        items = self.list("laws", "?q=law&sort=name")["items"]
        self.assertEqual([(i["name"], i["status"]) for i in items], [(f"Law {n}", "a") for n in range(3)])
        self.refused("laws", {"name": "Law 1"}, "name", "field_unique", 409)
        before = self.a.get(f"{COLLECTIONS}/laws", token=self.admin).json()
        for steps, code in (([{"op": "drop_index", "fields": ["name"]}], "index_unknown"),
                            ([{"op": "add_field", "field": {"name": "n", "type": "integer", "required": True}}],
                             "field_needs_default"),
                            ([{"op": "drop_field", "name": "name"}], "field_unknown"),  # an index names it
                            ([{"op": "change_field", "name": "name", "field": {"name": "name", "type": "bool"}}],
                             "type_fixed"),
                            ([{"op": "add_field", "field": {"name": "a", "type": "text"}},
                              {"op": "add_field", "field": {"name": "status", "type": "text"}}], "name_taken"),
                            ([{"op": "set_rules", "rules": "package nothing\nread := true"}], "rules_invalid"),
                            ([{"op": "set_rules", "rules": "package collection\nread if {"}], "rules_invalid"),
                            ([{"op": "set_rules", "rules": "package collection\n"
                               "read if count(input.record.name) > 3"}], "rules_invalid"),
                            ([{"op": "set_rules", "rules": "package collection\n"
                               "read if http.send({\"url\": \"x\"}).status == 200"}], "rules_invalid"),
                            ([{"op": "fly"}], "member_value")):
            self.assertEqual(self.change("laws", *steps, expect=422)["code"], code, steps)
        self.assertEqual(self.a.get(f"{COLLECTIONS}/laws", token=self.admin).json(), before)
        r = self.a.patch(f"{COLLECTIONS}/laws", {"changes": [{"op": "drop_field", "name": "x"}]}, token=self.admin,
                         headers={"If-Match": '"1"'})
        self.assertEqual(r.status, 412)

    def test_bad_ones_name_what_is_wrong(self):
        for body, field in (({"name": "Bad"}, "name"), ({"name": "id"}, "name"),
                            ({"name": "x", "fields": [{"name": "a"}]}, "fields[0].type"),
                            ({"name": "x", "fields": [{"name": "a", "type": "blob"}]}, "fields[0].type"),
                            ({"name": "x", "fields": [{"name": "version", "type": "text"}]}, "fields[0].name"),
                            ({"name": "x", "fields": [{"name": "a", "type": "text", "pattern": "("}]},
                             "fields[0].pattern"),
                            ({"name": "x", "fields": [{"name": "a", "type": "select"}]}, "fields[0].values"),
                            ({"name": "x", "fields": [{"name": "a", "type": "integer", "default": "x"}]},
                             "fields[0].default"),
                            ({"name": "x", "fields": [{"name": "a", "type": "relation", "collection": "none"}]},
                             "fields"),
                            ({"name": "x", "fields": 7}, "fields"), ({"name": "x", "rules": []}, "rules"),
                            ({"name": "x", "view": {"from": "none"}}, "view.from")):
            r = self.a.post(COLLECTIONS, body, token=self.admin)
            self.assertEqual((r.status, r.json().get("field")), (422, field), (body, r))
        self.assertEqual(self.a.get(f"{COLLECTIONS}/x", token=self.admin).status, 404)
        self.assertEqual(self.a.get(f"{DATA}/x", token=self.admin).status, 404)
        self.assertEqual(self.a.post(COLLECTIONS, {"name": "x"}, token=self.ada).status, 403)

    # ---- rules -------------------------------------------------------------------------------------

    def test_a_list_shows_what_a_get_gives(self):
        self.define(name="drafts", rules=RULES, fields=[
            {"name": "title", "type": "text"},
            {"name": "status", "type": "select", "values": ["draft", "published"], "default": "draft"}])
        own = self.make("drafts", {"title": "Ada's"}, token=self.ada)
        other = self.make("drafts", {"title": "The admin's"})
        public = self.make("drafts", {"title": "Out", "status": "published"})
        for token, want in ((self.admin, {own["id"], other["id"], public["id"]}),
                            (self.ada, {own["id"], public["id"]}), (None, {public["id"]})):
            r = self.a.get(f"{DATA}/drafts?count=true", token=token)
            self.assertEqual((r.status, {i["id"] for i in r.json()["items"]}, r.json()["total"]),
                             (200, want, len(want)))
            for one in (own, other, public):
                status = self.a.get(f"{DATA}/drafts/{one['id']}", token=token).status
                self.assertEqual(status, 200 if one["id"] in want else 404)
        for token, one, body, status in ((self.ada, own, {"title": "Mine"}, 200),
                                         (self.ada, public, {"title": "Mine"}, 403),
                                         (self.ada, other, {"title": "Mine"}, 404),
                                         (None, public, {"title": "Mine"}, 401)):
            r = self.a.patch(f"{DATA}/drafts/{one['id']}", body, token=token)
            self.assertEqual(r.status, status, r)
        self.assertEqual(self.a.delete(f"{DATA}/drafts/{own['id']}", token=self.ada).status, 403)
        self.assertEqual(self.a.post(f"{DATA}/drafts", {"title": "x"}).status, 401)
        self.define(name="out", view={"from": "drafts", "filter": "status = 'published'", "fields": "id,title"})
        self.assertEqual(self.list("out")["items"], [{"id": public["id"], "title": "Out"}])
        self.assertEqual(self.a.get(f"{DATA}/out/{other['id']}", token=self.admin).status, 404)
        self.assertEqual(self.a.post(f"{DATA}/out", {"title": "x"}, token=self.admin).status, 405)
        self.define(name="shut", fields=[{"name": "a", "type": "text"}])
        self.make("shut", {"a": "x"})
        self.assertEqual(self.list("shut", token=self.ada)["items"], [])
        self.make("shut", {"a": "x"}, token=self.ada, expect=403)
        self.define(name="tagged", fields=[{"name": "who", "type": "relation", "collection": "drafts"}],
                    rules="package collection\nread := true\ncreate := true\n")
        self.make("tagged", {"who": other["id"]}, token=self.ada, expect=422)  # what one may not read
        hidden = self.make("tagged", {"who": other["id"]})
        r = self.a.get(f"{DATA}/tagged/{hidden['id']}?expand=who", token=self.ada).json()
        self.assertEqual(r["expand"], {"who": None})

    # ---- files -------------------------------------------------------------------------------------

    FIELDS = [{"name": "title", "type": "text"}, {"name": "votes", "type": "integer", "min": 0},
              {"name": "open", "type": "bool"}, {"name": "extra", "type": "json"},
              {"name": "code", "type": "text", "unique": True}]

    def send(self, collection, body, query="", kind="text/csv", expect=200):
        r = self.a.request("POST", f"{DATA}/{collection}/import{query}", body, token=self.admin,
                           headers={"Content-Type": kind})
        self.assertEqual(r.status, expect, r)
        return r.json()

    def test_what_goes_out_comes_back(self):
        self.define(name="one", fields=self.FIELDS)
        self.define(name="two", fields=self.FIELDS)
        rows = [{"title": t, "votes": n, "open": bool(n % 2), "extra": {"n": n}, "code": f"c{n}"}
                for n, t in enumerate(["plain", "=1+1", "'=1+1", "''", "a,b", 'say "x"', "two\nlines", "-5", "",
                                       "+x", "@y", "\ttab", "Été \U0001f341"])]
        rows.append({"title": None, "votes": None, "open": None, "extra": None, "code": None})
        for row in rows:
            self.make("one", row)
        csv = self.a.get(f"{DATA}/one/export?format=csv", token=self.admin)
        self.assertEqual((csv.status, csv.headers["content-type"]), (200, "text/csv; charset=utf-8"))
        self.assertIn(b"\"'=1+1\"", csv.body)
        self.assertNotIn(b",=1+1", csv.body)
        self.assertEqual(self.send("two", b"\xef\xbb\xbf" + csv.body, "?dry_run=true")["rows"], len(rows))
        self.assertEqual(self.list("two")["items"], [])
        self.assertEqual(self.send("two", csv.body), {"dry_run": False, "rows": len(rows), "written": len(rows)})
        lines = self.a.get(f"{DATA}/two/export?format=jsonl", token=self.admin).body
        got = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual([{k: g[k] for k in rows[0]} for g in got], rows)
        r = self.send("two", lines, "?mode=upsert", "application/x-ndjson")
        self.assertEqual(r["written"], len(rows))
        self.assertEqual({i["version"] for i in self.list("two")["items"]}, {2})
        self.send("two", csv.body, expect=422)  # they are there

    def test_hostile_files_change_nothing(self):
        self.define(name="kept", fields=self.FIELDS)
        for body, code, what in (
                (b"title,votes\na,1\nb,x\n", "field_type", "line 3"), (b"nothing\nx\n", "field_unknown", "line 1"),
                (b"title,title\na,b\n", "field_unknown", "line 1"), (b"title,votes\na\n", "column_count", "line 2"),
                (b"title\na\0b\n", "csv_invalid", "line 2"), (b"title\n\xff\xfe\n", "csv_invalid", "line 2"),
                (b'title\n"a', "csv_invalid", "line 2"), (b'title\n"a"b\n', "csv_invalid", "line 2"),
                (b'title\na"b\n', "csv_invalid", "line 2"), (b"title\ra\n", "csv_invalid", "line 1"),
                (b"," * 1000000 + b"\n", "csv_invalid", "line 1"),
                (b'title\n"' + b"x" * 2000000 + b'"\n', "csv_invalid", "line 2"),
                (b"code\na\na\n", "field_unique", "line 3.code"), (b"votes\n-1\n", "field_range", "line 2.votes"),
                (b"id\nnot-an-id\n", "field_type", "line 2.id")):
            for dry in ("", "?dry_run=true"):
                r = self.send("kept", body, dry, expect=422)
                self.assertEqual((r["errors"][0]["code"], r["written"]), (code, 0), (body[:40], r))
                self.assertTrue(r["errors"][0]["field"].startswith(what), r)
        for body in (b"{\"title\": 1}\n", b"[]\n", b"{\"title\": \"a\"}\n{", b"{" * 2000, b"x" * 2000000):
            self.send("kept", body, "?format=jsonl", "application/x-ndjson", expect=422)
        self.assertEqual(self.list("kept")["items"], [])

    def test_long_files_go_in_pieces(self):
        self.define(name="many", fields=self.FIELDS)
        body = b"title,votes,code\n" + b"".join(b"Row %d,%d,c%d\n" % (n, n, n) for n in range(1000))
        self.assertEqual(self.send("many", body)["written"], 1000)
        r = self.send("many", body.replace(b"c", b"d") .replace(b"dode", b"code") + b"last,-1,e\n", expect=422)
        self.assertEqual((r["rows"], r["written"]), (1001, 1000))
        out = self.a.get(f"{DATA}/many/export?format=csv&fields=title&filter=votes%3C3", token=self.admin).body
        self.assertEqual(out.count(b"\r\n"), 7)

    # ---- changes -----------------------------------------------------------------------------------

    def stream(self, path, token=None, last=None):
        c = self.a.connection(timeout=20)
        headers = {"Authorization": f"Bearer {token or self.admin}"}
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        c.request("GET", path, headers=headers)
        r = c.getresponse()
        self.assertEqual((r.status, r.getheader("content-type")), (200, "text/event-stream"))
        self.addCleanup(c.close)
        return r

    def event(self, stream):
        found = {}
        while True:
            line = stream.readline().decode().rstrip("\n")
            if not line and "event" in found:
                return int(found["id"]), found["event"], json.loads(found["data"])
            name, _, value = line.partition(": ")
            if name:
                found[name] = value

    def test_are_told_as_they_happen_and_again(self):
        self.define(name="news", rules=RULES, fields=[
            {"name": "title", "type": "text"},
            {"name": "status", "type": "select", "values": ["draft", "published"], "default": "draft"}])
        all_of, some, filtered = (self.stream(f"{DATA}/news/events"), self.stream(f"{DATA}/news/events", self.ada),
                                  self.stream(f"{DATA}/news/events?filter=title%3D'b'"))
        start = self.event(all_of)[0]
        self.event(some), self.event(filtered)
        a = self.make("news", {"title": "a"})
        b = self.make("news", {"title": "b", "status": "published"})
        self.a.delete(f"{DATA}/news/{a['id']}", token=self.admin)
        self.a.delete(f"{DATA}/news/{b['id']}", token=self.admin)
        seen = [self.event(all_of) for _ in range(3)]
        while seen[-1][1:] != ("delete", dict(seen[-1][2], id=b["id"])):
            seen.append(self.event(all_of))
        for s in (some, filtered):  # the deletion of b, and nothing of a
            got = self.event(s)
            while got[1] != "delete":
                self.assertEqual(got[2]["id"], b["id"])
                got = self.event(s)
            self.assertEqual(got[2]["id"], b["id"])
        c = self.make("news", {"title": "c", "status": "published"})
        again = self.stream(f"{DATA}/news/events", last=start)
        self.assertEqual(self.event(again)[1], "ready")
        told = [self.event(again) for _ in range(3)]  # what is gone was deleted; c is there
        self.assertEqual([(t[1], t[2]["id"]) for t in told],
                         [("delete", a["id"]), ("delete", b["id"]), ("create", c["id"])])
        self.assertEqual(told[2][2]["record"], c)
        ahead = self.stream(f"{DATA}/news/events", last=10 ** 9)
        self.assertEqual(self.event(ahead)[1], "ready")
        self.assertEqual(self.event(ahead)[1], "gap")
        r = self.a.get(f"{DATA}/news/events", token=self.admin, headers={"Last-Event-ID": "x"})
        self.assertEqual(r.status, 400)
        now = self.a.get(f"{COLLECTIONS}/news", token=self.admin)
        self.a.delete(f"{COLLECTIONS}/news", token=self.admin, headers={"If-Match": now.headers["etag"]})
        kind = ""
        while kind != "gone":
            kind = self.event(again)[1]
        self.a.restart()  # streams that are open do not hold it up


if __name__ == "__main__":
    unittest.main()
