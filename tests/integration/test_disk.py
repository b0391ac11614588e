# SPDX-License-Identifier: Apache-2.0
"""test_disk.py: any disk content, and a disk that fails: a clear word, nothing written where nothing
is ours, no panic, and recovery by itself.

The failing disk is an NBD server in this process: it serves a file and, when told, answers writes,
flushes or reads with an error of our choice."""
import errno
import hashlib
import os
import random
import socket
import struct
import subprocess
import tempfile
import threading
import time
import unittest

from appliance import Appliance, only_guest, until

MIB = 1 << 20


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for piece in iter(lambda: f.read(MIB), b""):
            h.update(piece)
    return h.hexdigest()


class Content(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.disk = os.path.join(self.dir.name, "disk.img")

    def tearDown(self):
        self.dir.cleanup()

    def refused(self, pattern):
        """Starts without this disk: says so, answers 503, does not write a byte."""
        before = digest(self.disk)
        with Appliance(disk=self.disk, wait=False) as a:
            a.console.wait_for(r"(?i)STORAGE NOT AVAILABLE: .*" + pattern, 30)
            a.console.wait_for(r"listening", 30)
            ready = until(lambda: self.ask(a), 20, why="an answer")
            self.assertEqual(ready.status, 503)
            self.assertEqual(a.get("/livez").status, 200)
            self.assertEqual(a.stop(), 0)
        self.assertEqual(digest(self.disk), before, "the disk was written")

    def ask(self, a):
        try:
            return a.get("/readyz", timeout=2)
        except OSError:
            return None

    def test_foreign_random(self):
        rng = random.Random(3)
        with open(self.disk, "wb") as f:
            for _ in range(64):
                f.write(rng.randbytes(MIB))
        self.refused("not ours")

    def test_foreign_file_system(self):
        with open(self.disk, "wb") as f:
            f.truncate(64 * MIB)
            f.seek(1024 + 56)
            f.write(b"\x53\xef")  # an ext4 superblock's magic, and nothing else
        self.refused("not ours")

    def test_foreign_late(self):
        with open(self.disk, "wb") as f:
            f.truncate(64 * MIB)
            f.seek(64 * MIB - 100)
            f.write(b"something at the end")
        self.refused("not ours")

    def test_too_small(self):
        with open(self.disk, "wb") as f:
            f.truncate(8 * MIB)
        self.refused("smaller")

    def made(self, mib=64):
        with open(self.disk, "wb") as f:
            f.truncate(mib * MIB)
        with Appliance(disk=self.disk) as a:
            token = a.login()
            self.assertEqual(a.post("/api/v1/policies", {"title": "Before the damage"}, token=token).status, 201)
            self.assertEqual(a.stop(), 0)

    def test_truncated(self):
        self.made()
        os.truncate(self.disk, 32 * MIB)
        self.refused("cut to")

    def test_both_tables_gone(self):
        self.made()
        with open(self.disk, "r+b") as f:
            f.seek(512)
            f.write(bytes(40 * 512))
            f.seek(64 * MIB - 40 * 512)
            f.write(bytes(40 * 512))
        self.refused("")

    def test_primary_table_gone(self):
        """The backup brings it back."""
        self.made()
        with open(self.disk, "r+b") as f:
            f.seek(512)
            f.write(bytes(33 * 512))
        for _ in range(2):
            with Appliance(disk=self.disk) as a:
                self.assertEqual(a.get("/api/v1/policies?limit=1", token=a.login()).json()["total"], 1)
                self.assertEqual(a.stop(), 0)

    def test_bit_flips(self):
        """Whatever bit turns: it runs, or says why not; it never panics."""
        self.made()
        rng = random.Random(11)
        original = open(self.disk, "rb").read()
        used = [at for at in range(0, len(original), 4096) if any(original[at:at + 4096])]
        places = [3, 100, 446, 510, 512, 512 + 16, 512 + 72, 1024, 1024 + 40]
        places += [rng.choice(used) + rng.randrange(4096) for _ in range(12)]
        for at in places:
            with self.subTest(f"byte {at}"):
                damaged = bytearray(original)
                damaged[at] ^= 1 << rng.randrange(8)
                with open(self.disk, "wb") as f:
                    f.write(damaged)
                with Appliance(disk=self.disk, wait=False) as a:
                    a.console.wait_for(r"listening", 30)
                    answer = until(lambda: self.ask(a), 20, why="an answer")
                    self.assertIn(answer.status, (200, 503))
                    if answer.status == 200:
                        a.get("/api/v1/policies")
                    self.assertEqual(a.stop(), 0)
                    self.assertNotRegex(a.console.text, r"(?i)panic|sanitizer|runtime error")


class FailingDisk:
    """An NBD server over a unix socket (fixed newstyle, one export): NBD protocol, doc/proto.md."""

    def __init__(self, path, file):
        self.file = os.open(file, os.O_RDWR)
        self.size = os.fstat(self.file).st_size
        self.fail = {}  # "write" | "flush" | "read" -> errno
        self.failed = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def exactly(self, s, n):
        data = b""
        while len(data) < n:
            piece = s.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            try:
                self.greet(s)
                while self.one(s):
                    pass
            except (EOFError, OSError):
                pass
            s.close()

    def greet(self, s):
        s.sendall(b"NBDMAGIC" + b"IHAVEOPT" + struct.pack(">H", 3))
        self.exactly(s, 4)
        flags = 1 | 4 | 8  # has flags, flush, FUA
        while True:
            _, option, length = struct.unpack(">QII", self.exactly(s, 16))
            self.exactly(s, length)
            reply = lambda kind, data=b"": s.sendall(
                struct.pack(">QIII", 0x3e889045565a9, option, kind, len(data)) + data)
            if option in (6, 7):  # INFO, GO
                reply(3, struct.pack(">HQH", 0, self.size, flags))
                reply(1)
                if option == 7:
                    return
            elif option == 2:  # ABORT
                reply(1)
                raise EOFError
            else:
                reply(0x80000001)

    def one(self, s):
        _, flags, kind, handle, at, length = struct.unpack(">IHHQQI", self.exactly(s, 28))
        data = self.exactly(s, length) if kind == 1 else b""
        name = {0: "read", 1: "write", 3: "flush"}.get(kind)
        if kind == 2:
            return False
        error = self.fail.get(name, 0) if name else errno.EINVAL
        self.failed += bool(error)
        if not error and kind == 1:
            os.pwrite(self.file, data, at)
        s.sendall(struct.pack(">IIQ", 0x67446698, error, handle))
        if kind == 0 and not error:
            s.sendall(os.pread(self.file, length, at))
        return True

    def close(self):
        self.listener.close()
        os.close(self.file)


@only_guest
class Errors(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        file = os.path.join(self.dir.name, "disk.img")
        with open(file, "wb") as f:
            f.truncate(64 * MIB)
        path = os.path.join(self.dir.name, "nbd")
        self.disk = FailingDisk(path, file)
        self.a = Appliance(disk="none", qemu_args=[
            "-blockdev", f"driver=nbd,node-name=data,server.type=unix,server.path={path}",
            "-device", "virtio-blk-device,drive=data,werror=report,rerror=report"])
        self.a.start()
        self.token = self.a.login()

    def tearDown(self):
        self.a.close()
        self.disk.close()
        self.dir.cleanup()

    def post(self, title):
        return self.a.post("/api/v1/policies", {"title": title}, token=self.token, timeout=30)

    def fails_and_recovers(self, fail, statuses):
        before = self.post("Before the failure")
        self.assertEqual(before.status, 201)
        self.disk.fail = fail
        for i in range(3):
            answer = self.post(f"During the failure {i}")
            self.assertIn(answer.status, statuses, answer)
            self.assertEqual(answer.headers["content-type"], "application/problem+json")
        self.assertGreater(self.disk.failed, 0, "the failing disk was not in use")
        until(lambda: self.a.get("/readyz").status == 503, 20, why="readiness falls")
        self.assertEqual(self.a.get("/livez").status, 200)
        self.assertEqual(self.a.get("/api/v1/policies/" + before.json()["id"], token=self.token).status, 200,
                         "reading goes on")
        self.disk.fail = {}
        until(lambda: self.a.get("/readyz").status == 200, 60, 0.2, why="readiness rises by itself")
        after = self.post("After the failure")
        self.assertEqual(after.status, 201, after)
        items = self.a.get("/api/v1/policies?limit=100", token=self.token).json()["items"]
        titles = [i["title"] for i in items]
        self.assertIn("Before the failure", titles)
        self.assertIn("After the failure", titles)
        self.assertFalse([t for t in titles if t.startswith("During")], "a refused write is there")
        self.assertEqual(self.a.stop(), 0)
        self.assertNotIn("panic", self.a.console.text.lower())

    def test_write_errors(self):
        self.fails_and_recovers({"write": errno.EIO}, {503})

    def test_flush_errors(self):
        self.fails_and_recovers({"flush": errno.EIO}, {503})

    def test_no_space(self):
        self.fails_and_recovers({"write": errno.ENOSPC}, {507, 503})

    def test_write_and_flush_errors(self):
        self.fails_and_recovers({"write": errno.EIO, "flush": errno.EIO}, {503})
