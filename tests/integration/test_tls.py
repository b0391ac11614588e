# SPDX-License-Identifier: Apache-2.0
"""test_tls.py: port 443 as other people's TLS sees it (Python's ssl, openssl s_client)."""
import hashlib
import re
import socket
import ssl
import subprocess

from appliance import AppliancePerClass, read_all


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
                self.assertRegex(out.stderr + out.stdout, r"alert|no cipher|unsupported|wrong version|unexpected eof|no protocols")

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
