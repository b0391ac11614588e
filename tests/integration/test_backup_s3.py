# SPDX-License-Identifier: Apache-2.0
"""test_backup_s3.py: scheduled backups to a small S3 in this process, which verifies each signature,
and misbehaves when told: wrong bytes, errors, a short object."""
import hashlib
import hmac
import http.server
import sqlite3
import tempfile
import threading
import unittest
import urllib.parse

from appliance import AppliancePerClass

ACCESS, SECRET, REGION, BUCKET = "AKIDTEST", "wJalrXUtnFEMI/K7MDENG+bPxRfiCY", "ca-central-1", "backups"
HOST = "10.0.2.2"  # this machine, as both targets see it


def signature(method, path, query, fields, names, time, region):
    """Signature Version 4, from its description, over what came."""
    canonical = "\n".join([method, path, query] + [f"{n}:{fields[n].strip()}" for n in names] +
                          ["", ";".join(names), fields["x-amz-content-sha256"]])
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", time, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in (time[:8], region, "s3", "aws4_request", text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex(), scope


class S3(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.objects, self.spoil, self.status, self.refused = {}, None, None, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # who reads an answer's head alone resets the rest

    @property
    def url(self):
        return f"http://{HOST}:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def signed(self):
        url = urllib.parse.urlsplit(self.path)
        fields = {k.lower(): v for k, v in self.headers.items()}
        auth = fields.get("authorization", "")
        parts = dict(p.split("=", 1) for p in auth.partition(" ")[2].split(", "))
        names = parts["SignedHeaders"].split(";")
        wanted, scope = signature(self.command, url.path, url.query, fields, names,
                                  fields["x-amz-date"], REGION)
        must = {"host", "x-amz-content-sha256", "x-amz-date"}
        return (auth.startswith("AWS4-HMAC-SHA256 ") and must <= set(names) and names == sorted(names)
                and parts["Credential"] == f"{ACCESS}/{scope}"
                and hmac.compare_digest(parts["Signature"], wanted))

    def answer(self, status, body=b"", length=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        s, url = self.server, urllib.parse.urlsplit(self.path)
        if not self.signed():
            s.refused.append(self.path)
            return self.answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
        if s.status:
            return self.answer(s.status, b"<Error><Code>SlowDown</Code></Error>")
        bucket, _, key = url.path[1:].partition("/")
        if bucket != BUCKET:
            return self.answer(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        if self.command == "PUT":
            s.objects[key] = body
            return self.answer(200)
        if self.command == "DELETE":
            s.objects.pop(key, None)
            return self.answer(204)
        if not key:
            prefix = urllib.parse.parse_qs(url.query)["prefix"][0]
            keys = "".join(f"<Contents><Key>{k}</Key></Contents>" for k in sorted(s.objects)
                           if k.startswith(prefix))
            return self.answer(200, f"<ListBucketResult>{keys}</ListBucketResult>".encode())
        data = s.objects.get(key)
        if data is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self.answer(200, s.spoil(data) if s.spoil else data)

    do_GET = do_PUT = do_DELETE = handle_any


class Scheduled(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()
        cls.s3 = S3()

    @classmethod
    def tearDownClass(cls):
        cls.s3.shutdown()
        cls.s3.server_close()
        super().tearDownClass()

    def setUp(self):
        self.s3.objects, self.s3.spoil, self.s3.status, self.s3.refused = {}, None, None, []
        self.target()

    def target(self, **more):
        value = {"url": self.s3.url, "bucket": BUCKET, "prefix": "prod/", "region": REGION,
                 "access_key": ACCESS, "secret_key": SECRET, **more}
        self.setting("backup.s3", value)

    def setting(self, key, value, status=200):
        r = self.a.put("/api/v1/config", {key: value}, token=self.token)
        self.assertEqual(r.status, status, r)
        return r

    def run_now(self):
        return self.a.post("/api/v1/backup/run", token=self.token, timeout=120)

    def metric(self, name):
        text = self.a.get("/metrics").body.decode()
        return float(next(l.split()[1] for l in text.splitlines() if l.startswith(name + " ")))

    def test_a_backup_is_stored_and_proved(self):
        before = self.metric("openpolicy_backup_proofs_total")
        r = self.run_now()
        self.assertEqual(r.status, 200, r)
        answer = r.json()
        self.assertTrue(answer["proved"])
        data = self.s3.objects[answer["key"]]
        self.assertRegex(answer["key"], r"^prod/openpolicy-\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.sqlite$")
        self.assertEqual(len(data), answer["bytes"])
        with tempfile.NamedTemporaryFile() as f:
            f.write(data)
            f.flush()
            db = sqlite3.connect(f.name)
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            self.assertEqual(db.execute("SELECT count(*) FROM user").fetchone(), (1,))
            db.close()
        self.assertEqual(self.metric("openpolicy_backup_proofs_total"), before + 1)
        self.assertGreater(self.metric("openpolicy_backup_last_proof_seconds"), 1e9)
        status = self.a.get("/api/v1/backup/status", token=self.token).json()
        self.assertEqual((status["configured"], status["failure"]), (True, ""))
        shown = self.a.get("/api/v1/config", token=self.token).body.decode()
        self.assertNotIn(SECRET, shown)

    def test_old_ones_go_and_others_stay(self):
        self.setting("backup.keep", 2)
        for n in range(4):
            self.s3.objects[f"prod/openpolicy-2020-01-0{n + 1}T00.00.00.sqlite"] = b"old"
        self.s3.objects["prod/other"] = self.s3.objects["test/openpolicy-2020"] = b"not ours"
        r = self.run_now()
        self.assertEqual((r.status, r.json()["removed"]), (200, 3), r)
        self.assertEqual(sorted(self.s3.objects), ["prod/openpolicy-2020-01-04T00.00.00.sqlite",
                                                   r.json()["key"], "prod/other",
                                                   "test/openpolicy-2020"])

    def failed(self, words):
        failures = self.metric("openpolicy_backup_failed_total")
        r = self.run_now()
        self.assertEqual((r.status, r.json()["code"]), (502, "backup_failed"), r)
        self.assertIn(words, r.json()["detail"])
        self.assertEqual(self.metric("openpolicy_backup_failed_total"), failures + 1)
        status = self.a.get("/api/v1/backup/status", token=self.token).json()
        self.assertIn(words, status["failure"])
        self.assertNotIn(SECRET, r.body.decode())

    def test_what_cannot_be_restored_is_no_backup(self):
        def flipped(data):
            return data[:9000] + bytes([data[9000] ^ 1]) + data[9001:]

        self.s3.objects["prod/openpolicy-2020-01-01T00.00.00.sqlite"] = b"old"
        self.setting("backup.keep", 1)
        self.s3.spoil = flipped
        self.failed("is not as the backup had it")
        self.s3.spoil = lambda data: data[:-4096]
        self.failed("bytes were sent and the storage has")
        self.assertIn("prod/openpolicy-2020-01-01T00.00.00.sqlite", self.s3.objects)

    def test_a_storage_that_refuses_is_told_of(self):
        self.s3.status = 503
        self.failed("503 SlowDown")
        self.s3.status = None
        self.target(secret_key="wrong")
        self.failed("403 SignatureDoesNotMatch")
        self.target(bucket="nowhere")
        self.failed("404 NoSuchBucket")
        self.target(url=f"http://{HOST}:1")
        self.failed("")

    def test_settings_are_checked(self):
        for wrong in ({"url": "ftp://x"}, {"url": self.s3.url + "/path"}, {"bucket": "a"}, {"more": 1},
                      {"bucket": "a/../b"}, {"prefix": "a b"}, {"access_key": ""}, {"secret_key": 7},
                      {"region": "a\r\nb"}):
            value = {"url": self.s3.url, "bucket": BUCKET, "access_key": ACCESS, "secret_key": SECRET,
                     **wrong}
            r = self.a.put("/api/v1/config", {"backup.s3": value}, token=self.token)
            self.assertIn(r.status, (400, 422), (wrong, r))
        self.setting("backup.s3", {})
        r = self.run_now()
        self.assertEqual((r.status, r.json()["code"]), (409, "no_backup_target"), r)


if __name__ == "__main__":
    unittest.main()
