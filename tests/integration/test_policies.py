# SPDX-License-Identifier: Apache-2.0
"""test_policies.py: policy documents from outside: content, versions, workflow, search, counts."""
import concurrent.futures
import time
import unittest

from appliance import AppliancePerClass

PASSWORD = "a quiet river runs north 42"
PATH = "/api/v1/policies"


class PolicyCase(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.admin = cls.a.login()
        cls.users = []
        for n in range(2):
            email = f"writer{n}@example.org"
            r = cls.a.post("/api/v1/auth/users", {"email": email, "password": PASSWORD, "name": "Writer"},
                           token=cls.admin, timeout=60)
            assert r.status == 201, r
            cls.users.append((r.json()["id"], cls.a.login(email, PASSWORD)))

    def make(self, token=None, **content):
        content.setdefault("title", "A policy about clean water")
        r = self.a.post(PATH, content, token=token or self.admin)
        self.assertEqual(r.status, 201, r)
        return r.json()

    def step(self, policy, status, token=None, expect=200, **more):
        r = self.a.post(f"{PATH}/{policy['id']}/status", dict(more, status=status),
                        token=token or self.admin)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def publish(self, policy):
        for status in ("under_review", "approved", "published"):
            policy = self.step(policy, status)
        return policy

    def put(self, policy, body, token=None, **headers):
        headers = headers or {"If-Match": f'"{policy["revision"]}"'}
        return self.a.put(f"{PATH}/{policy['id']}", body, token=token or self.admin, headers=headers)


class Content(PolicyCase):
    def test_created_read_back_and_kept_over_a_restart(self):
        text = "Considérant l'intérêt général — œuvre d'été, “naïve”.\nLigne deux\t\u6c34 \U0001f341\n"
        r = self.a.post(PATH, {"title": "Politique sur l'eau été", "summary": "Résumé ‘bref’", "body": text,
                               "category": "Environnement", "jurisdiction": "Québec",
                               "tags": ["Eau", "climat", "eau", " Été "], "priority": "high",
                               "impact": "national", "language": "fr"}, token=self.admin)
        self.assertEqual(r.status, 201, r)
        made = r.json()
        self.assertEqual(r.headers["location"], f"{PATH}/{made['id']}")
        self.assertEqual((made["version"], made["status"], made["revision"]), ("1.0", "draft", 1))
        self.assertEqual(sorted(made["tags"]), sorted(["climat", "eau", "Été"]))
        self.a.restart()
        got = self.a.get(r.headers["location"], token=self.admin)
        self.assertEqual(got.status, 200)
        self.assertEqual(got.json(), made)
        self.assertEqual(got.json()["body"], text)

    def test_bad_content_names_the_member(self):
        good = {"title": "A policy about clean water"}
        for member, value in (("title", "too short"), ("title", ""), ("title", 7), ("title", "x" * 301),
                              ("title", None), ("summary", "x" * 4001), ("body", "x" * 262145), ("body", []),
                              ("category", "x" * 101), ("tags", "water"), ("tags", [7]), ("tags", [""]),
                              ("tags", ["x" * 51]), ("tags", [str(n) for n in range(21)]),
                              ("priority", "urgent"), ("impact", "galactic"), ("language", "de"),
                              ("status", "published"), ("author_id", "x"), ("id", "x")):
            r = self.a.post(PATH, dict(good, **{member: value}), token=self.admin)
            self.assertEqual(r.status, 422, (member, r))
            self.assertIn(member, r.json()["detail"])
        self.assertEqual(self.a.post(PATH, {}, token=self.admin).status, 422)
        ten = self.a.post(PATH, {"title": "\u00e9" * 10}, token=self.admin)
        self.assertEqual(ten.status, 201)

    def test_legal_text_is_never_refused_for_its_words(self):
        text = "delete from the register; DROP TABLE x; <script>alert(1)</script> ' OR 1=1 -- \\ %s {{7*7}}"
        made = self.make(title="Delete from users where 1=1", body=text)
        self.assertEqual(self.a.get(f"{PATH}/{made['id']}", token=self.admin).json()["body"], text)

    def test_an_edit_makes_a_version_and_needs_the_etag(self):
        p = self.make(body="one\ntwo\nthree\n")
        self.assertEqual(self.put(p, {"body": "x"}, **{"X-None": "1"}).status, 428)
        self.assertEqual(self.put(p, {"body": "x"}, **{"If-Match": '"99"'}).status, 412)
        r = self.put(p, {"body": "one\n2\nthree\n", "category": "Water"})
        self.assertEqual(r.status, 200, r)
        q = r.json()
        self.assertEqual((q["version"], q["revision"]), ("1.1", 2))
        self.assertEqual(q["title"], p["title"])
        self.assertEqual(self.put(p, {"body": "late"}).status, 412)
        same = self.put(q, {"body": "one\n2\nthree\n"})
        self.assertEqual((same.status, same.json()["version"]), (200, "1.1"))
        tag = r.headers["etag"]
        got = self.a.get(f"{PATH}/{p['id']}", token=self.admin, headers={"If-None-Match": tag})
        self.assertEqual(got.status, 304)

    def test_versions_diff_and_history(self):
        p = self.make(body="one\ntwo\nthree\n")
        q = self.put(p, {"body": "one\n2\nthree\nfour\n", "title": "A policy about clear water"}).json()
        self.step(q, "under_review", comment="prêt")
        versions = self.a.get(f"{PATH}/{p['id']}/versions", token=self.admin).json()
        self.assertEqual([v["version"] for v in versions["items"]], ["1.1", "1.0"])
        self.assertEqual(versions["total"], 2)
        old = self.a.get(f"{PATH}/{p['id']}/versions/1.0", token=self.admin).json()
        self.assertEqual(old["body"], "one\ntwo\nthree\n")
        diff = self.a.get(f"{PATH}/{p['id']}/diff?from=1.0&to=1.1", token=self.admin).json()
        self.assertEqual((diff["added"], diff["removed"]), (2, 1))
        ops = [(line["op"], line["text"]) for line in diff["hunks"][0]["lines"]]
        self.assertEqual(ops, [("equal", "one"), ("remove", "two"), ("add", "2"), ("equal", "three"),
                               ("add", "four")])
        self.assertEqual([f["field"] for f in diff["fields"]], ["title"])
        self.assertEqual(self.a.get(f"{PATH}/{p['id']}/diff", token=self.admin).json(), diff)
        for bad, status in (("versions/1.7", 404), ("versions/x", 404), ("versions/1.00", 404),
                            ("diff?from=x", 400), ("diff?to=1.9", 404), ("diff?other=1", 400)):
            self.assertEqual(self.a.get(f"{PATH}/{p['id']}/{bad}", token=self.admin).status, status, bad)
        history = self.a.get(f"{PATH}/{p['id']}/history", token=self.admin).json()["items"]
        self.assertEqual([h["action"] for h in history], ["status", "update", "create"])
        self.assertEqual((history[0]["from"], history[0]["to"], history[0]["comment"]),
                         ("draft", "under_review", "prêt"))

    def test_a_large_text_makes_the_round(self):
        body = "".join(f"Article {n}: l'environnement et la santé, ligne {n}.\n" for n in range(4000))
        p = self.make(body=body)
        changed = body.replace("Article 2000:", "Article 2000 bis:")
        self.assertEqual(self.put(p, {"body": changed}).status, 200)
        diff = self.a.get(f"{PATH}/{p['id']}/diff", token=self.admin).json()
        self.assertEqual((diff["added"], diff["removed"]), (1, 1))

    def test_one_of_many_parallel_edits_wins(self):
        p = self.make(body="start")

        def edit(n):
            for _ in range(5):
                try:
                    return self.put(p, {"body": f"edit {n}"}).status
                except ConnectionResetError:
                    time.sleep(0.1)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            got = list(pool.map(edit, range(8)))
        self.assertEqual(sorted(got), [200] + [412] * 7)

    def test_idempotency_key_creates_once(self):
        def post(title):
            return self.a.post(PATH, {"title": title}, token=self.admin,
                               headers={"Idempotency-Key": "key-of-this-test"})

        first, again = post("Made only once, please"), post("Made only once, please")
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertEqual(first.json()["id"], again.json()["id"])
        self.assertEqual(post("Something else under it").status, 422)


class Workflow(PolicyCase):
    def test_the_whole_life(self):
        uid, token = self.users[0]
        p = self.make(token)
        self.step(p, "under_review", token)
        self.step(p, "approved", token, expect=403)
        q = self.step(p, "approved", comment="ok")
        self.assertEqual(q["approver"], "admin@example.org")
        self.assertTrue(q["approved_at"])
        q = self.step(p, "published")
        self.assertTrue(q["published_at"])
        self.assertEqual(self.step(p, "archived")["status"], "archived")

    def test_rejected_goes_back_to_draft(self):
        uid, token = self.users[0]
        p = self.make(token)
        self.step(p, "under_review", token)
        self.step(p, "rejected", comment="no")
        p = self.step(p, "draft", token)
        self.assertIsNone(p["approver"])
        self.assertEqual(self.put(p, {"body": "better"}, token).status, 200)

    def test_illegal_steps(self):
        legal = {"draft": {"under_review"}, "under_review": {"approved", "rejected"},
                 "approved": {"published"}, "rejected": {"draft"}, "published": {"archived"}, "archived": set()}
        ways = {"draft": [], "under_review": ["under_review"], "approved": ["under_review", "approved"],
                "rejected": ["under_review", "rejected"],
                "published": ["under_review", "approved", "published"],
                "archived": ["under_review", "approved", "published", "archived"]}
        for state, way in ways.items():
            p = self.make()
            for status in way:
                self.step(p, status)
            for to in legal:
                if to not in legal[state]:
                    self.step(p, to, expect=409)
        self.step(self.make(), "gone", expect=422)

    def test_what_is_approved_can_be_neither_edited_nor_deleted(self):
        p = self.make()
        for status in ("under_review", "approved", "published", "archived"):
            p = self.step(p, status)
            if status != "under_review":
                self.assertEqual(self.put(p, {"body": "x"}).status, 409, status)
            self.assertEqual(self.a.delete(f"{PATH}/{p['id']}", token=self.admin).status, 409, status)
        d = self.make()
        self.assertEqual(self.a.delete(f"{PATH}/{d['id']}", token=self.admin).status, 204)
        self.assertEqual(self.a.get(f"{PATH}/{d['id']}", token=self.admin).status, 404)


class Rights(PolicyCase):
    def test_who_reads_what(self):
        author, other = self.users[0][1], self.users[1][1]
        p = self.make(author)
        path = f"{PATH}/{p['id']}"

        def seen():
            return tuple(self.a.get(path, token=t).status for t in (None, other, author, self.admin))

        self.assertEqual(seen(), (404, 404, 200, 200))
        self.step(p, "under_review", author)
        self.assertEqual(seen(), (404, 200, 200, 200))
        self.step(p, "approved")
        self.assertEqual(seen(), (404, 200, 200, 200))
        self.step(p, "published")
        self.assertEqual(seen(), (200, 200, 200, 200))
        self.assertEqual(self.a.get(path + "/versions/1.0").status, 200)
        self.step(p, "archived")
        self.assertEqual(seen(), (404, 200, 200, 200))

    def test_who_writes_what(self):
        author, other = self.users[0][1], self.users[1][1]
        p = self.make(author)
        path = f"{PATH}/{p['id']}"
        self.assertEqual(self.a.post(PATH, {"title": "A guest writes this"}).status, 401)
        self.assertEqual(self.a.put(path, {"body": "x"}).status, 401)
        self.assertEqual(self.a.delete(path).status, 401)
        self.assertEqual(self.put(p, {"body": "x"}, other).status, 404)  # it does not exist for them
        self.step(p, "under_review", author)
        p = self.a.get(path, token=author).json()
        self.assertEqual(self.put(p, {"body": "x"}, other).status, 403)
        self.assertEqual(self.a.delete(path, token=other).status, 403)
        self.step(p, "rejected", other, expect=403)
        self.assertEqual(self.put(p, {"body": "by an admin"}).status, 200)

    def test_lists_and_single_documents_agree(self):
        author, other = self.users[0][1], self.users[1][1]
        made = []
        for steps in ([], ["under_review"], ["under_review", "rejected"], ["under_review", "approved"],
                      ["under_review", "approved", "published"],
                      ["under_review", "approved", "published", "archived"]):
            p = self.make(author, category="agreement")
            for s in steps:
                self.step(p, s)
            made.append(p["id"])
        for token in (None, other, author, self.admin):
            listed = {i["id"] for i in
                      self.a.get(PATH + "?category=agreement&limit=100", token=token).json()["items"]}
            single = {i for i in made if self.a.get(f"{PATH}/{i}", token=token).status == 200}
            self.assertEqual(listed, single)

    def test_odd_ids(self):
        for odd in ("x", "1", "%27", "..%2f", "0190a0b0-c0d0-7000-8000-000000000009", "null", "A" * 300):
            self.assertIn(self.a.get(f"{PATH}/{odd}", token=self.admin).status, (400, 404), odd)


class Finding(PolicyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        documents = [
            ("Clean water for every town", "en", "Environment", "Ontario", ["water", "health"], "high",
             "Rivers and lakes. Emissions of factories are limited near drinking water."),
            ("Reducing emissions of vehicles", "en", "Environment", "Canada", ["climate"], "critical",
             "Cars and trucks. The water used for cooling is not covered."),
            ("Loi sur l'environnement et l'eau", "fr", "Environnement", "Québec", ["eau", "climat"], "high",
             "Les émissions polluantes. L'été, la protection des rivières est renforcée."),
            ("Politiques nationales du logement", "fr", "Logement", "Québec", ["logement"], "low",
             "Les chevaux de trait. Le logement abordable <b>et</b> durable & sûr."),
            ("A privacy policy for everybody", "en", "Rights", "Canada", ["privacy", "health"], "medium",
             "Personal data. " + "Filler text without meaning. " * 200 + "A needle in the hay."),
        ]
        for title, language, category, jurisdiction, tags, priority, body in documents:
            r = cls.a.post(PATH, {"title": title, "language": language, "category": category,
                                  "jurisdiction": jurisdiction, "tags": tags, "priority": priority,
                                  "body": body}, token=cls.admin)
            assert r.status == 201, r

    def titles(self, query, path=PATH):
        r = self.a.request("GET", path + query, token=self.admin)
        self.assertEqual(r.status, 200, r)
        return [i["title"] for i in r.json()["items"]]

    def test_filters(self):
        self.assertEqual(len(self.titles("?category=Environment")), 2)
        self.assertEqual(len(self.titles("?jurisdiction=Qu%C3%A9bec")), 2)
        self.assertEqual(len(self.titles("?tag=HEALTH")), 2)
        self.assertEqual(len(self.titles("?language=fr&priority=high")), 1)
        self.assertEqual(len(self.titles("?author=Admin@example.org&status=draft")), 5)
        self.assertEqual(self.titles("?status=published"), [])
        self.assertEqual(len(self.titles("?created_at__gte=2000-01-01&updated_at__lt=2100-01-01")), 5)
        self.assertEqual(self.titles("?category=%27%20OR%20%271%27=%271"), [])

    def test_total_counts_what_the_filters_leave(self):
        r = self.a.get(PATH + "?category=Environment&limit=1", token=self.admin).json()
        self.assertEqual((r["total"], len(r["items"]), r["limit"]), (2, 1, 1))
        more = self.a.get(r["next"], token=self.admin).json()
        self.assertEqual((more["total"], more["next"]), (2, None))
        self.assertNotEqual(more["items"][0]["id"], r["items"][0]["id"])

    def test_sorting(self):
        by_title = self.titles("?sort=title")
        self.assertEqual(by_title, sorted(by_title, key=str.lower))
        self.assertEqual(self.titles("?sort=-title"), by_title[::-1])
        self.assertEqual(self.titles("?sort=-priority")[0], "Reducing emissions of vehicles")
        self.assertEqual(self.a.get(PATH + "?sort=evil", token=self.admin).status, 400)

    def test_search_in_both_languages(self):
        for q, n in (("emission", 3), ("%C3%89MISSIONS", 3), ("rivi%C3%A8re", 1), ("river", 1),
                     ("cheval", 1), ("environnemental", 1), ("l%27eau", 1), ("politique+nationale", 1),
                     ("privac*", 1), ("%22drinking+water%22", 1), ("%22water+drinking%22", 0),
                     ("water+nothinglikethis", 0), ("needle", 1)):
            self.assertEqual(len(self.titles("?q=" + q)), n, q)
            self.assertEqual(len(self.titles("/search?q=" + q)), n, q)

    def test_title_ranks_over_body(self):
        self.assertEqual(self.titles("/search?q=water")[0], "Clean water for every town")
        self.assertEqual(self.titles("/search?q=emissions")[0], "Reducing emissions of vehicles")

    def test_snippets_are_marked_and_escaped(self):
        item = self.a.get(PATH + "/search?q=logement", token=self.admin).json()["items"][0]
        self.assertIn("<mark>logement</mark>", item["snippet"])
        self.assertIn("&lt;b&gt;et&lt;/b&gt; durable &amp;", item["snippet"])
        far = self.a.get(PATH + "/search?q=needle", token=self.admin).json()["items"][0]
        self.assertIn("<mark>needle</mark>", far["snippet"])
        self.assertLess(len(far["snippet"]), 500)

    def test_odd_searches(self):
        for q, status in (("", 400), ("%22%22", 400), ("*", 400), ("AND", 200), ("title:water", 200),
                          ("water)%20OR%20(x", 200), ("%22unclosed", 200), ("a" * 201, 400),
                          ("+".join(["w"] * 17), 400), ("%00", 400), ("%FF", 400), ("NEAR(a b)".replace(" ", "+"), 200)):
            self.assertEqual(self.a.get(PATH + "/search?q=" + q, token=self.admin).status, status, q)
        self.assertEqual(self.a.get(PATH + "/search", token=self.admin).status, 400)

    def test_counts_agree_with_a_recount(self):
        everything = self.a.get(PATH + "?limit=100", token=self.admin).json()["items"]

        def recount(values):
            return {v: values.count(v) for v in values}

        def counted(items):
            return {i["name"]: i["count"] for i in items}

        for path, member in (("categories", "category"), ("jurisdictions", "jurisdiction")):
            got = self.a.get(f"{PATH}/{path}", token=self.admin).json()["items"]
            self.assertEqual(counted(got), recount([i[member] for i in everything]))
        tags = self.a.get(PATH + "/tags", token=self.admin).json()["items"]
        self.assertEqual(counted(tags), recount([t for i in everything for t in i["tags"]]))
        stats = self.a.get(PATH + "/stats", token=self.admin).json()
        self.assertEqual(stats["total"], len(everything))
        for name, member in (("by_status", "status"), ("by_priority", "priority"),
                             ("by_language", "language"), ("by_category", "category")):
            self.assertEqual(counted(stats[name]), recount([i[member] for i in everything]))
        self.assertEqual(self.a.get(PATH + "/stats").json()["total"], 0)  # guests see nothing published

    def test_an_edit_is_found_by_its_new_words_only(self):
        p = self.make(body="platypus")
        self.assertEqual(len(self.titles("?q=platypus")), 1)
        self.put(p, {"body": "wombat"})
        self.assertEqual(self.titles("?q=platypus"), [])
        self.assertEqual(len(self.titles("?q=wombats")), 1)
        self.a.delete(f"{PATH}/{p['id']}", token=self.admin)
        self.assertEqual(self.titles("?q=wombat"), [])


if __name__ == "__main__":
    unittest.main()
