# SPDX-License-Identifier: Apache-2.0
"""test_client.py: what the appliance asks of others: policies that call out over HTTP and verified
TLS, where they may not call, what is kept, and that a policy that waits keeps nobody waiting."""
import gzip
import threading
import time

from appliance import AppliancePerClass
from server import Server

POLICY = """package out

answer := http.send(input.request)
"""


class Client(AppliancePerClass):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()
        r = cls.a.put("/v1/policies/out", POLICY.encode(), token=cls.token, headers={"Content-Type": "text/plain"})
        assert r.status == 200, r
        r = cls.a.put("/api/v1/config/policy.http.reach", {"value": "private"}, token=cls.token)
        assert r.status == 200, r

    def send(self, strict=False, **request):
        request.setdefault("method", "GET")
        path = "/v1/data/out/answer" + ("?strict-builtin-errors=true" if strict else "")
        r = self.a.request("POST", path, {"input": {"request": request}}, token=self.token, timeout=30)
        if strict:
            return r
        self.assertEqual(r.status, 200, r)
        return r.json().get("result")

    def fails(self, word, **request):
        r = self.send(strict=True, **request)
        self.assertEqual(r.status, 500, r)
        self.assertIn(word, r.body.decode())

    def set(self, key, value):
        r = self.a.put(f"/api/v1/config/{key}", {"value": value}, token=self.token)
        self.assertEqual(r.status, 200, r)

    def test_a_policy_asks_and_reads(self):
        with Server() as s:
            s.routes["/json"] = (200, {"Content-Type": "application/json", "X-Two": "a"}, b'{"a": [1, 2]}')
            s.routes["/zip"] = (200, {"Content-Encoding": "gzip"}, gzip.compress(b"text " * 1000))
            s.routes["/echo"] = lambda q: (201, {}, q.body)
            s.routes["/away"] = (302, {"Location": "/json"}, b"")
            got = self.send(url=s.url("/json"))
            self.assertEqual((got["status_code"], got["status"], got["body"]), (200, "200 OK", {"a": [1, 2]}))
            self.assertEqual((got["raw_body"], got["headers"]["x-two"]), ('{"a": [1, 2]}', ["a"]))
            self.assertEqual(self.send(url=s.url("/zip"))["raw_body"], "text " * 1000)
            got = self.send(method="post", url=s.url("/echo"), body={"b": True}, headers={"X-Mine": "m"})
            self.assertEqual((got["status_code"], got["raw_body"], got["body"]), (201, '{"b":true}', None))
            self.assertEqual(s.requests[-1].headers["x-mine"], "m")
            self.assertEqual(self.send(url=s.url("/away"))["status_code"], 302)
            self.assertEqual(self.send(url=s.url("/away"), enable_redirect=True)["body"], {"a": [1, 2]})
            self.assertEqual(self.send(url=s.url("/none"))["status_code"], 404)
            self.assertEqual(len({q.connection for q in s.requests}), 1)  # one connection for all

    def test_answers_are_kept_as_long_as_their_server_allows(self):
        with Server() as s:
            s.routes["/fresh"] = (200, {"Cache-Control": "max-age=60"}, b"1")
            s.routes["/never"] = (200, {"Cache-Control": "no-store, max-age=60"}, b"1")
            s.routes["/silent"] = (200, {}, b"1")
            s.routes["/tagged"] = lambda q: ((304, {"ETag": '"v1"'}, b"") if q.headers.get("if-none-match") == '"v1"'
                                             else (200, {"ETag": '"v1"', "Cache-Control": "no-cache"}, b"tagged"))
            for path, asked in (("/fresh", 1), ("/never", 3), ("/silent", 3), ("/tagged", 3)):
                before = len(s.requests)
                for _ in range(3):
                    self.assertEqual(self.send(url=s.url(path), cache=True)["status_code"], 200)
                self.assertEqual(len(s.requests) - before, asked, path)
            self.assertEqual(s.requests[-1].headers["if-none-match"], '"v1"')
            before = len(s.requests)
            for _ in range(3):
                self.send(url=s.url("/silent"), force_cache=True, force_cache_duration_seconds=60)
            for number in range(3):
                self.send(url=s.url("/fresh"), cache=True, headers={"X-Id": str(number)},
                          cache_ignored_headers=["x-id"])
            self.assertEqual(len(s.requests) - before, 2)

    def test_servers_prove_who_they_are(self):
        with Server(tls=True) as s:
            s.routes["/x"] = (200, {}, b"over TLS")
            self.fails("certificate", url=s.url("/x"))
            self.assertEqual(self.send(url=s.url("/x"), tls_ca_cert=s.ca)["raw_body"], "over TLS")
            self.assertEqual(self.send(url=s.url("/x"), tls_insecure_skip_verify=True)["raw_body"], "over TLS")
            self.assertEqual(self.send(url=s.url("/x"), tls_ca_cert=s.ca, tls_server_name="server.test")["status_code"], 200)
            self.fails("certificate", url=s.url("/x"), tls_ca_cert=s.ca, tls_server_name="other.test")
            self.fails("PEM", url=s.url("/x"), tls_ca_cert="no certificate")
            self.fails("no files", url=s.url("/x"), tls_ca_cert_file="/etc/passwd")

    def test_we_prove_who_we_are(self):
        with Server(tls=True, client_ca=True) as s:
            s.routes["/x"] = lambda q: (200, {}, str(q.certificate["subject"]).encode())
            cert, key = s.certificate("agent-7", "extendedKeyUsage=clientAuth")
            got = self.send(url=s.url("/x"), tls_ca_cert=s.ca, tls_client_cert=cert, tls_client_key=key)
            self.assertIn("agent-7", got["raw_body"])
            self.fails("", url=s.url("/x"), tls_ca_cert=s.ca)
            self.fails("belong", url=s.url("/x"), tls_ca_cert=s.ca, tls_client_cert=cert)

    def test_some_addresses_are_never_called(self):
        with Server() as s:
            s.routes["/x"] = (200, {}, b"x")
            s.routes["/metadata"] = (302, {"Location": "http://169.254.169.254/latest/"}, b"")
            for url in ("http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0/", "http://224.0.0.1/"):
                self.fails("may not be called", url=url)
            self.fails("may not be called", url=s.url("/metadata"), enable_redirect=True)
            try:
                self.set("policy.http.reach", "public")
                self.fails("may not be called", url=s.url("/x"))
                self.set("policy.http.hosts", "10.0.2.0/24")
                self.assertEqual(self.send(url=s.url("/x"))["raw_body"], "x")
                self.set("policy.http.reach", "off")
                self.fails("reach is off", url=s.url("/x"))
            finally:
                self.set("policy.http.reach", "private")
                self.set("policy.http.hosts", "")

    def test_errors_are_values_when_asked_for(self):
        got = self.send(url="http://10.0.2.2:1/", raise_error=False, timeout="2s")
        self.assertEqual((got["status_code"], got["error"]["code"]), (0, "eval_http_send_network_error"))
        got = self.send(url="http://nothing.invalid/", raise_error=False)
        self.assertEqual(got["status_code"], 0)
        for url in ("ftp://x/", "http://a@b/", "nothing", "http://x:99999/"):
            self.fails("URL", url=url)
        self.fails("not allowed", url="http://10.0.2.2/", headers={"X": "a\r\nY: b"})

    def test_one_who_waits_keeps_nobody_waiting(self):
        release = threading.Event()

        def slow(q):
            release.wait(10)
            return 200, {}, b"late"

        with Server() as s:
            s.routes["/slow"] = slow
            got = []
            waiting = [threading.Thread(target=lambda: got.append(self.send(url=s.url("/slow"), timeout="15s")))
                       for _ in range(8)]
            for t in waiting:
                t.start()
            s.wait(8)
            worst = 0
            for _ in range(20):
                begun = time.monotonic()
                self.assertEqual(self.a.get("/livez").status, 200)
                worst = max(worst, time.monotonic() - begun)
            release.set()
            for t in waiting:
                t.join(30)
            self.assertEqual([g["raw_body"] for g in got], ["late"] * 8)
            self.assertLess(worst, 3)
            self.assertEqual(self.send(strict=True, url=s.url("/slow?"), timeout="1ns").status, 500)

    def test_hostile_servers_end_with_an_error(self):
        import socket
        answers = [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\0" * 100000,
                   b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100000, b"HTTP/1.1 200 OK\nA: b\n\n",
                   b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive5", b"HTTP/1.1 100 C\r\n\r\n" * 50]
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(20)

        def serve():
            for answer in answers:
                c, _ = listener.accept()
                with c:
                    c.recv(4096)
                    c.sendall(answer)

        t = threading.Thread(target=serve, daemon=True)
        t.start()
        url = f"http://10.0.2.2:{listener.getsockname()[1]}/"
        for answer in answers:
            got = self.send(url=url, method="POST", raise_error=False, timeout="5s")
            self.assertEqual(got["status_code"], 0, answer[:60])
        t.join(10)
        listener.close()
        self.assertEqual(self.a.get("/livez").status, 200)


