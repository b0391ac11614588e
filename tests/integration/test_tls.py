# SPDX-License-Identifier: Apache-2.0
"""test_tls.py: port 443 as other people's TLS sees it (Python's ssl, openssl s_client)."""
import hashlib
import re
import resource
import selectors
import socket
import ssl
import subprocess
import threading
import time

from appliance import AppliancePerClass, read_all, until


class Tls(AppliancePerClass):
    def context(self, **versions):
        context = ssl._create_unverified_context()
        for name, value in versions.items():
            setattr(context, name, value)
        return context

    def ask(self, context, session=None):
        """(version, cipher, resumed, session, answer)"""
        with socket.create_connection(("127.0.0.1", self.a.https_port), 30) as s:
            with context.wrap_socket(s, server_hostname="localhost", session=session) as t:
                t.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer, _ = read_all(t)
                return t.version(), t.cipher()[0], t.session_reused, t.session, answer

    def test_tls_1_3(self):
        version, cipher, _, _, answer = self.ask(self.context(minimum_version=ssl.TLSVersion.TLSv1_3))
        self.assertEqual(version, "TLSv1.3")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer[:200])

    def test_tls_1_2(self):
        version, cipher, _, _, answer = self.ask(self.context(maximum_version=ssl.TLSVersion.TLSv1_2))
        self.assertEqual(version, "TLSv1.2")
        self.assertIn("ECDHE", cipher)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer[:200])

    def test_the_server_orders_ciphers(self):
        context = self.context(maximum_version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE+CHACHA20:ECDHE+AESGCM")
        self.assertEqual(self.ask(context)[1], "ECDHE-ECDSA-AES128-GCM-SHA256")

    def test_resumption(self):
        for limit in ({"maximum_version": ssl.TLSVersion.TLSv1_2}, {"minimum_version": ssl.TLSVersion.TLSv1_3}):
            with self.subTest(str(limit)):
                context = self.context(**limit)
                _, _, first, session, _ = self.ask(context)
                self.assertFalse(first)
                _, _, again, _, answer = self.ask(context, session)
                self.assertTrue(again, "the ticket was not taken")
                self.assertTrue(answer.startswith(b"HTTP/1.1 200"))

    def s_client(self, *arguments):
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.a.https_port}", *arguments],
                              input="", capture_output=True, text=True, timeout=60)

    def test_old_versions_and_weak_ciphers_are_refused(self):
        for arguments in (["-tls1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
                          ["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"],
                          ["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
                          ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"],
                          ["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"]):
            with self.subTest(" ".join(arguments)):
                out = self.s_client(*arguments)
                self.assertNotEqual(out.returncode, 0, out.stdout[-400:])
                self.assertRegex(out.stderr + out.stdout, r"alert|no cipher|unsupported|wrong version|"
                                                          r"unexpected eof|no protocols")

    def test_renegotiation_and_compression_are_off(self):
        out = self.s_client("-tls1_2")
        self.assertIn("Compression: NONE", out.stdout)
        self.assertIn("Secure Renegotiation IS", out.stdout)

    def test_certificate_is_p256_and_its_fingerprint_on_the_console(self):
        der = self.a.peer_certificate()
        text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"], input=der,
                              capture_output=True, timeout=30).stdout.decode()
        self.assertIn("prime256v1", text)
        self.assertIn("ecdsa-with-SHA256", text)
        self.assertIn("DNS:localhost", text)
        digest = hashlib.sha256(der).hexdigest().upper()
        pretty = ":".join(digest[i:i + 2] for i in range(0, 64, 2))
        self.a.console.wait_for(re.escape(pretty), 5)

    def test_garbage_instead_of_a_handshake(self):
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b"\x80\x2e\x01\x03\x01",
                     b"\x16\x03\x01\0\0", b"\x15\x03\x03\0\2\2\x28", b"\x17\x03\x03\0\1\0", b"\0" * 300,
                     b"\x16\x03\x01\x40\x01" + b"\1" * 16385):
            with self.subTest(data[:8]):
                with socket.create_connection(("127.0.0.1", self.a.https_port), 30) as s:
                    try:
                        s.sendall(data)
                        s.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
                    _, closed = read_all(s)
                self.assertTrue(closed)
        self.assertEqual(self.a.get("/healthz", tls=True).status, 200)

    def test_handshake_in_single_bytes(self):
        context = self.context()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        t = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with socket.create_connection(("127.0.0.1", self.a.https_port), 30) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                try:
                    t.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        s.sendall(bytes([byte]))
                    incoming.write(s.recv(65536))
            self.assertIn(t.version(), ("TLSv1.2", "TLSv1.3"))


class Opener:
    """One client without a thread: handshake, one request, the answer. `outcome` is None while it
    runs, then "served", or what kept it from being served."""
    REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    def __init__(self, sock, context):
        self.sock, self.outcome, self.got, self.greeted = sock, None, b"", False
        sock.setblocking(False)
        self.tls = context.wrap_socket(sock, do_handshake_on_connect=False)
        self.step()

    def step(self):
        try:
            if not self.greeted:
                self.tls.do_handshake()
                self.greeted = True
                self.tls.sendall(self.REQUEST)
            while True:
                piece = self.tls.recv(4096)
                if not piece:
                    break
                self.got += piece
            self.end("served" if self.got.startswith(b"HTTP/1.1 200") else "cut short")
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as e:
            self.end("served" if self.got.startswith(b"HTTP/1.1 200") else type(e).__name__)

    def end(self, outcome):
        self.outcome = outcome
        self.tls.close()


class ManyOpeners(AppliancePerClass):
    """Far more handshakes than the machine can do: those it does are no fewer than when it is left
    in peace, and who was there before hardly notices."""
    COUNT = 1000
    options = {"cpus": 1}

    @classmethod
    def setUpClass(cls):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # QEMU and the process inherit it
        super().setUpClass()
        cls.context = ssl._create_unverified_context()

    def connect(self):
        return self.a._connect(("127.0.0.1", self.a.https_port))

    def run_openers(self, sockets, seconds):
        """All say hello at once. When each was served, and how many had which outcome."""
        served, outcomes, left = [], {}, len(sockets)
        end = time.monotonic() + seconds

        def note(outcome):
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            if outcome == "served":
                served.append(time.monotonic())
        with selectors.DefaultSelector() as selector:
            for s in sockets:
                opener = Opener(s, self.context)
                if opener.outcome:  # an answer as quick as that is one
                    left -= 1
                    note(opener.outcome)
                    continue
                selector.register(opener.tls, selectors.EVENT_READ, opener)
            while left and time.monotonic() < end:
                for key, _ in selector.select(1):
                    key.data.step()
                    outcome = key.data.outcome
                    if not outcome:
                        continue
                    selector.unregister(key.fileobj)
                    left -= 1
                    note(outcome)
        self.assertEqual(left, 0, f"clients nobody told anything: {left} ({outcomes})")
        return served, outcomes

    def in_peace(self, seconds):
        """Handshakes per second, a few clients at a time."""
        end, began, done = time.monotonic() + seconds, time.monotonic(), 0
        while time.monotonic() < end:
            _, outcomes = self.run_openers([self.connect() for _ in range(8)], 60)
            self.assertEqual(outcomes, {"served": 8})
            done += 8
        return done / (time.monotonic() - began)

    def metric(self, name):
        return float(re.search(rf"^{name} (\S+)$", self.a.get("/metrics").body.decode(), re.M)[1])

    def test_a_thousand_at_once(self):
        capacity = self.in_peace(4)
        before, stop = self.a.connection(tls=True, timeout=60), threading.Event()
        waits = []

        def earlier_client():  # its handshake is over; it is served throughout
            while not stop.is_set():
                began = time.monotonic()
                self.assertEqual(self.a.get("/healthz", connection=before).status, 200)
                waits.append(time.monotonic() - began)
                stop.wait(0.05)

        self.assertEqual(self.a.get("/healthz", connection=before).status, 200)
        there = threading.Thread(target=earlier_client)
        there.start()
        try:
            began = time.monotonic()
            sockets = [self.connect() for _ in range(self.COUNT)]
            connected, began = time.monotonic() - began, time.monotonic()
            served, outcomes = self.run_openers(sockets, 120)
        finally:
            stop.set()
            there.join()
        rate = len(served) / (max(served, default=began + 1) - began)
        waits.sort()
        said = (f"{rate:.1f} handshakes/s under {self.COUNT} openers, {capacity:.1f}/s in peace; {outcomes}; "
                f"connected in {connected:.1f} s; "
                f"earlier client {len(waits)} answers, median {waits[len(waits) // 2] * 1e3:.0f} ms, "
                f"worst {waits[-1] * 1e3:.0f} ms")
        print("          " + said, flush=True)
        self.assertGreater(rate, capacity * 0.5, said)
        self.assertGreater(len(waits), 20, said)
        self.assertLess(waits[-1], 5, said)
        self.assertGreater(self.metric("openpolicy_tls_handshakes_started_total"), len(served) - 1)
        for name in ("waiting", "in_progress"):
            until(lambda: self.metric("openpolicy_tls_handshakes_" + name) == 0, 15, step=0.2, why=name)

    test_a_thousand_at_once.seconds_max = 280
