# SPDX-License-Identifier: Apache-2.0
"""test_backup.py: the database out as a file while it is written to, and back in; files that must not
get in, and the plug pulled in between."""
import os
import sqlite3
import struct
import tempfile
import threading
import unittest

from appliance import AppliancePerClass



def pages(database):
    return [database[at:at + 4096] for at in range(0, len(database), 4096)]


def summed(page):
    """With the sum at its end that SQLite's cksumvfs extension sets."""
    a = b = 0
    for even, odd in struct.iter_unpack("<II", page[:-8]):
        a = (a + even + b) & 0xffffffff
        b = (b + odd + a) & 0xffffffff
    return page[:-8] + struct.pack("<II", a, b)


class Backup(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def title(self, n):
        r = self.a.post("/api/v1/policies", {"title": f"Document {n:05}"}, token=self.token)
        self.assertEqual(r.status, 201, r)

    def titles(self):
        r = self.a.get("/api/v1/policies?limit=1", token=self.token)
        self.assertEqual(r.status, 200, r)
        return r.json()["total"]

    def backup(self):
        r = self.a.get("/api/v1/backup", token=self.token, timeout=120)
        self.assertEqual(r.status, 200, r)
        self.assertEqual(r.headers["content-type"], "application/vnd.sqlite3")
        return r.body

    def restore(self, data, query=""):
        return self.a.request("POST", "/api/v1/restore" + query, data, token=self.token, timeout=120,
                              headers={"Content-Type": "application/vnd.sqlite3"})

    def opened(self, data):
        """The backup as any SQLite opens it."""
        path = os.path.join(tempfile.mkdtemp(), "backup.sqlite")
        with open(path, "wb") as f:
            f.write(data)
        return sqlite3.connect(path)

    def come_back(self):
        self.assertEqual(self.a.wait_exit(), 75)
        self.a.start()
        type(self).token = self.a.login()

    def test_a_backup_is_a_plain_database_of_one_moment(self):
        for n in range(20):
            self.title(n)
        stop = threading.Event()
        failed = []

        def write():
            n = 1000
            while not stop.is_set():
                r = self.a.post("/api/v1/policies", {"title": f"Meanwhile {n:05}"}, token=self.token)
                if r.status != 201:
                    failed.append(r)
                n += 1
        writer = threading.Thread(target=write)
        writer.start()
        data = [self.backup() for _ in range(3)]
        stop.set()
        writer.join()
        self.assertFalse(failed)
        counts = []
        for one in data:
            db = self.opened(one)
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual([n for n, page in enumerate(pages(one), 1) if page != summed(page)], [])
            counts.append(db.execute("SELECT count(*) FROM policy").fetchone()[0])
            self.assertEqual(db.execute("SELECT count(*) FROM policy WHERE title LIKE 'Document 000%'").fetchone(), (20,))
            db.close()
        self.assertEqual(counts, sorted(counts))

    def test_a_restore_brings_yesterday_back_and_ends_sessions(self):
        self.title(100)
        before, data, old = self.titles(), self.backup(), self.token
        self.title(101)
        self.title(102)
        looked = self.restore(data, "?check=true")
        self.assertEqual((looked.status, looked.json()["status"]), (200, "good"), looked)
        self.assertEqual(self.titles(), before + 2)
        r = self.restore(data)
        self.assertEqual((r.status, r.json()["status"]), (202, "restarting"), r)
        self.come_back()
        self.assertEqual(self.titles(), before)
        self.assertEqual(self.a.get("/api/v1/auth/me", token=old).status, 401)
        rows = self.a.get("/api/v1/auth/audit-logs?action=backup.restored", token=self.token).json()
        self.assertEqual(rows["total"], 1)
        self.assertTrue(self.a.get("/api/v1/auth/audit-logs/verify", token=self.token).json()["intact"])
        self.title(103)
        self.a.cut()
        self.a.start()
        type(self).token = self.a.login()
        self.assertEqual(self.titles(), before + 1)

    def test_what_is_no_backup_changes_nothing(self):
        self.title(200)
        before, data = self.titles(), self.backup()
        damaged = bytearray(data)
        for at in range(4096, len(data), 3 * 4096):
            damaged[at:at + 64] = os.urandom(64)
        cut_short = data[:len(data) // 8192 * 4096]
        for bad, status in ((b"x" * 8192, 422), (b"x" * 100, 422), (bytes(damaged), 422), (cut_short, 422),
                            (data[:-1], 422)):
            r = self.restore(bad)
            self.assertEqual(r.status, status, r)
            self.assertIn("Nothing was changed", r.json()["detail"])
        self.assertEqual(self.restore(b"").status, 411)
        self.assertEqual(self.restore(data, "?check=maybe").status, 400)
        db = self.opened(data)
        db.execute("UPDATE user SET state='disabled'")
        db.commit()
        path = db.execute("PRAGMA database_list").fetchone()[2]
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.close()
        with open(path, "rb") as f:
            changed = f.read()
        r = self.restore(changed)
        self.assertEqual(r.status, 422, r)
        self.assertIn("not as the backup had it", r.json()["detail"])
        r = self.restore(b"".join(summed(page) for page in pages(changed)))
        self.assertEqual(r.status, 422, r)
        self.assertIn("administrator", r.json()["detail"])
        other = [summed(data[:18] + b"\1\1" + data[20:4096])] + pages(data)[1:]
        r = self.restore(b"".join(other))
        self.assertEqual(r.status, 422, r)
        self.assertIn("not in WAL mode", r.json()["detail"])
        self.assertEqual(self.titles(), before)

    def test_only_administrators(self):
        who = {"email": "someone@example.org", "password": "a stone in the river bed", "name": "Someone"}
        self.assertEqual(self.a.post("/api/v1/auth/users", dict(who, role="user"), token=self.token).status, 201)
        user = self.a.login(who["email"], who["password"])
        for token, status in ((None, 401), (user, 403)):
            self.assertEqual(self.a.get("/api/v1/backup", token=token).status, status)
            self.assertEqual(self.a.post("/api/v1/restore", b"x", token=token).status, status)


if __name__ == "__main__":
    unittest.main()
