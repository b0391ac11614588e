# SPDX-License-Identifier: Apache-2.0
"""test_rego_stored.py: what is stored may be wrong: policies that no longer compile, access policies
that let nobody in. The appliance starts, an administrator gets in, and all of it can be put right.
Such a database is made of a backup, changed by hand and restored."""
import json
import os
import sqlite3
import tempfile

from appliance import AppliancePerClass, until
from test_backup import pages, summed

TEXT = {"Content-Type": "text/plain"}
AUTHZ = "openpolicy/authz"
GOOD = """package openpolicy.authz

default allow := false

allow if input.actor.role == "admin"

allow if not input.actor.signed_in

allow if input.actor.email == data.friend
"""


class Stored(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def put(self, name, text, expect=200):
        r = self.a.put(f"/v1/policies/{name}", text.encode(), token=self.token, headers=TEXT)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def ask(self, path, expect=200):
        r = self.a.get(f"/v1/data/{path}", token=self.token)
        self.assertEqual(r.status, expect, r)
        return r.json()

    def changed(self, data, change):
        """The backup after `change(database)`."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "backup.sqlite")
            with open(path, "wb") as f:
                f.write(data)
            db = sqlite3.connect(path)
            change(db)
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()
            with open(path, "rb") as f:
                return b"".join(summed(page) for page in pages(f.read()))

    def tamper(self, change):
        """Restores today's backup with one change, and comes back."""
        r = self.a.get("/api/v1/backup", token=self.token, timeout=120)
        self.assertEqual(r.status, 200, r)
        r = self.a.request("POST", "/api/v1/restore", self.changed(r.body, change), token=self.token, timeout=120,
                           headers={"Content-Type": "application/vnd.sqlite3"})
        self.assertEqual(r.status, 202, r)
        self.assertEqual(self.a.wait_exit(), 75)
        self.a.start()
        self.a.wait_ready()
        type(self).token = self.a.login()

    @staticmethod
    def store(name, text):
        """A change that puts `text` in place of a stored policy's, in revisions and snapshots alike."""
        def change(db):
            db.execute("UPDATE rego_revision SET content=? WHERE kind=0 AND subject=?", (text.encode(), name))
            for revision, sources in db.execute("SELECT revision,sources FROM rego_snapshot").fetchall():
                all_of_it = json.loads(sources)
                if name in all_of_it:
                    all_of_it[name] = text
                    db.execute("UPDATE rego_snapshot SET sources=? WHERE revision=?",
                               (json.dumps(all_of_it).encode(), revision))
        return change

    def access(self):
        r = self.a.get("/api/v1/access/policy", token=self.token)
        self.assertEqual(r.status, 200, r)
        return r.json()

    def check(self, name):
        checks = self.a.get("/api/v1/health/detailed").json()["checks"]
        return next(c for c in checks if c["name"] == name)

    def test_an_access_policy_that_is_wrong_starts_in_safe_mode(self):
        self.put("other", "package other\n\np := 7\n")
        for wrong, said in ((GOOD + "\nallow if {\n", "do not compile"), (GOOD + "\nallow if x\n", "do not compile"),
                            ("package openpolicy.authz\n\nallow := false\n", "would be refused"),
                            ("package openpolicy.authz\n\nallow := 1 / 0\n", "would be refused")):
            self.put(AUTHZ, GOOD)
            self.assertEqual(self.access()["policy"], "stored")
            self.tamper(self.store(AUTHZ, wrong))
            seen = self.access()
            self.assertEqual(seen["policy"], "shipped", wrong)
            check = self.check("access")
            self.assertEqual(check["status"], "degraded")
            self.assertIn("safe mode", check["detail"])
            self.assertIn(said, check["detail"])
            self.assertEqual(self.ask("other/p")["result"], 7)
            self.assertEqual(self.a.get(f"/v1/policies/{AUTHZ}", token=self.token).json()["result"]["raw"], wrong)
            self.assertEqual(self.a.get("/api/v1/config").status, 401)
            self.put(AUTHZ, GOOD)
            self.assertEqual(self.access()["policy"], "stored")
            until(lambda: self.check("access")["status"] == "healthy", 10, why="out of safe mode")
        self.a.cut()
        self.a.start()
        self.a.wait_ready()
        type(self).token = self.a.login()
        self.assertEqual(self.access()["policy"], "stored")
        self.a.delete(f"/v1/policies/{AUTHZ}", token=self.token)

    def test_policies_that_do_not_compile_are_kept_and_decide_nothing(self):
        self.put("one", "package one\n\np := 1\n")
        self.put("two", "package two\n\np := data.one.p\n")
        self.tamper(self.store("one", "package one\n\np := x\n"))
        for answer in (self.ask("two/p", 503), self.a.post("/v1/query", {"query": "x = 1"}, token=self.token).json(),
                       self.a.post("/v1/compile", {"query": "input.x = 1"}, token=self.token).json()):
            self.assertEqual(answer["code"], "policies_broken")
        health = self.a.get("/health?plugins")
        self.assertEqual((health.status, health.json()), (500, {"error": "one or more plugins are not up"}))
        self.assertEqual(self.a.get("/v1/status", token=self.token).json()["result"]["plugins"]["policies"]["state"], "ERROR")
        ids = [p["id"] for p in self.a.get("/v1/policies", token=self.token).json()["result"]]
        self.assertTrue({"one", "two"} <= set(ids), ids)
        self.assertEqual(self.put("two", "package two\n\np := 2\n", expect=400)["errors"][0]["location"]["file"], "one")
        self.put("one", "package one\n\np := 3\n")
        self.assertEqual(self.ask("two/p")["result"], 3)
        self.assertEqual(self.a.get("/health?plugins").status, 200)

    def test_several_that_do_not_compile_go_one_by_one(self):
        self.put("first", "package first\n\np := 1\n")
        self.put("second", "package second\n\np := 1\n")

        def both(db):
            self.store("first", "package first\n\np := x\n")(db)
            self.store("second", "package second\n\np := {\n")(db)
        self.tamper(both)
        self.ask("first", 503)
        self.assertEqual(self.a.delete("/v1/policies/first", token=self.token).status, 200)
        self.ask("second", 503)
        self.a.cut()
        self.a.start()
        self.a.wait_ready()
        type(self).token = self.a.login()
        self.ask("second", 503)
        self.assertEqual(self.a.delete("/v1/policies/second", token=self.token).status, 200)
        self.assertNotIn("result", self.ask("second"))


if __name__ == "__main__":
    import unittest
    unittest.main()
