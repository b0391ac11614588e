# SPDX-License-Identifier: Apache-2.0
"""test_encrypt.py: a disk that is encrypted: nothing to be read on it, no start with another secret, and
another secret while it runs."""
import hashlib
import os
import tempfile
import unittest

from appliance import Appliance, until

KEY, OTHER = "0f" * 32, "a1" * 32
PASSPHRASE = "correct horse battery staple"
TITLE = "A sentence that must not be found on the disk"


class Encrypted(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.disk = os.path.join(self.dir.name, "disk.img")

    def tearDown(self):
        self.dir.cleanup()

    def content(self):
        with open(self.disk, "rb") as f:
            return f.read()

    def start(self, **secret):
        return Appliance(disk=self.disk, config={k.replace("_", "."): v for k, v in secret.items()})

    def refused(self, words, **secret):
        before = hashlib.sha256(self.content()).digest()
        config = {k.replace("_", "."): v for k, v in secret.items()}
        with Appliance(disk=self.disk, config=config, wait=False) as a:
            a.console.wait_for("STORAGE NOT AVAILABLE: .*" + words, 30)
            a.console.wait_for("listening", 30)

            def answer():
                try:
                    return a.get("/readyz", timeout=5).status
                except OSError:
                    return None

            self.assertEqual(until(answer, 30, why="an answer"), 503)
            self.assertEqual(a.stop(), 0)
            self.assertNotIn(KEY, a.console.tail(400))
        self.assertEqual(hashlib.sha256(self.content()).digest(), before, "the disk was written")

    def test_secrets(self):
        with self.start(disk_key=KEY) as a:
            token = a.login()
            r = a.post("/api/v1/policies", {"title": TITLE}, token=token)
            self.assertEqual(r.status, 201, r)
            self.assertIn("openpolicy_db_encrypted 1\n", a.get("/metrics").body.decode())
            settings = a.get("/api/v1/config", token=token).body.decode()
            self.assertNotIn(KEY, settings)
            self.assertEqual(a.stop(), 0)
        bytes_on_disk = self.content()
        for text in (TITLE.encode(), b"SQLite format 3", b"CREATE TABLE", b"argon2id", bytes.fromhex(KEY)):
            self.assertNotIn(text, bytes_on_disk)
        self.refused("the key given is not that of disk 0: nothing was written", disk_key=OTHER)
        with self.start(disk_key=KEY) as a:
            token = a.login()
            self.assertIn(TITLE, a.get("/api/v1/policies", token=token).body.decode())
            for body in ({}, {"key": "short"}, {"key": OTHER, "passphrase": PASSPHRASE},
                         {"passphrase": "short"}):
                r = a.put("/api/v1/system/disk-key", body, token=token)
                self.assertEqual((r.status, r.json()["code"]), (422, "bad_disk_key"), r)
            self.assertEqual(a.put("/api/v1/system/disk-key", {"key": OTHER}).status, 401)
            r = a.put("/api/v1/system/disk-key", {"passphrase": PASSPHRASE}, token=token)
            self.assertEqual(r.status, 204, r)
            a.cut()
        self.refused("give its disk.passphrase", disk_key=KEY)
        with self.start(disk_passphrase=PASSPHRASE) as a:
            token = a.login()
            self.assertIn(TITLE, a.get("/api/v1/policies", token=token).body.decode())
            self.assertIn("system.disk_key", a.get("/api/v1/auth/audit-logs", token=token).body.decode())

    def test_in_the_clear(self):
        with self.start() as a:
            r = a.put("/api/v1/system/disk-key", {"key": OTHER}, token=a.login())
            self.assertEqual((r.status, r.json()["code"]), (409, "not_encrypted"), r)
            self.assertIn("openpolicy_db_encrypted 0\n", a.get("/metrics").body.decode())
            self.assertEqual(a.stop(), 0)
        self.refused("disk 0 is not encrypted", disk_key=KEY)


if __name__ == "__main__":
    unittest.main()
