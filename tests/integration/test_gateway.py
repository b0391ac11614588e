# SPDX-License-Identifier: Apache-2.0
"""The gateway before real servers: what passes and what does not, in both directions; which route
wins; servers that lie, stall, cut and die; bodies larger than memory; protocols that change."""
import hashlib
import json
import socket
import threading
import time
import unittest

import http2_frames as h2
from appliance import Appliance, AppliancePerClass, read_all, until
from server import APPLIANCE_SEES, Server


class Raw:
    """A server of bytes: `script(connection, head)` is called with each connection's first head."""

    def __init__(self, script):
        self.script, self.heads, self.connections = script, [], 0
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(64)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://{APPLIANCE_SEES}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    def _serve(self, c):
        c.settimeout(30)
        with c:
            try:
                head = read_head(c)
                self.heads.append(head)
                self.script(c, head)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def read_head(c):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = c.recv(65536)
        if not piece:
            break
        head += piece
    return head


def answer(body=b"fine", status="200 OK", fields=""):
    return (f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n").encode() + body


class Gateway(AppliancePerClass):
    """Shares: setting routes, undone after each test."""
    config = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.a.login()

    def setUp(self):
        self.closing = []

    def tearDown(self):
        for one in self.closing:
            one.close()
        super().tearDown()

    def raw(self, script):
        s = Raw(script)
        self.closing.append(s)
        return s

    def routes(self, document, status=200):
        r = self.a.put("/api/v1/config/gateway.routes", {"value": document}, token=self.token)
        self.assertEqual(r.status, status, r)
        return r

    def one(self, url, upstream=None, **route):
        targets = url if isinstance(url, list) else [url]
        r = {"name": "up", "path": "/up", "access": "public", "upstream": "up"}
        r.update(route)
        self.routes({"upstreams": {"up": {"targets": targets, **(upstream or {})}}, "routes": [r]})


class Passing(Gateway):
    def test_fields_both_ways(self):
        with Server() as s:
            s.answer = lambda seen: (201, {"X-Up": "1", "Connection": "x-hop", "X-Hop": "no",
                                           "Set-Cookie": "a=b", "Content-Type": "text/plain"}, b"hello")
            self.one(s.url("").rstrip("/"), request_headers={"X-Added": "yes", "X-Gone": None},
                     response_headers={"X-Back": "yes", "X-Up": None})
            r = self.a.request("POST", "/up/a%20b//c?x=1&y=%2F", b"body", headers={
                "Cookie": "q=1; __Host-openpolicy=secret; r=2", "X-Forwarded-For": "6.6.6.6",
                "Forwarded": "for=6.6.6.6", "X-User-Id": "root", "Connection": "X-Mine, keep-alive",
                "X-Mine": "1", "X-Gone": "1", "TE": "trailers", "Authorization": "Basic eDp5"})
            self.assertEqual((r.status, r.body), (201, b"hello"), r)
            self.assertEqual(r.headers.get("x-back"), "yes")
            self.assertEqual(r.headers.get("set-cookie"), "a=b")
            self.assertNotIn("x-up", r.headers)
            self.assertNotIn("x-hop", r.headers)
            seen = s.requests[-1]
            self.assertEqual((seen.method, seen.path, seen.body),
                             ("POST", "/up/a%20b/c?x=1&y=%2F", b"body"))
            h = seen.headers
            self.assertEqual(h["cookie"], "q=1; r=2")
            self.assertNotIn("6.6.6.6", str(h))
            for gone in ("x-user-id", "x-mine", "x-gone", "te"):
                self.assertNotIn(gone, h)
            self.assertEqual(h["x-added"], "yes")
            self.assertEqual(h["authorization"], "Basic eDp5")
            self.assertEqual(h["x-forwarded-proto"], "http")
            self.assertIn("openpolicy", h["via"])
            self.assertEqual(h["x-request-id"], r.headers["x-request-id"])
            self.assertRegex(h["traceparent"], "^00-[0-9a-f]{32}-[0-9a-f]{16}-00$")
            self.assertRegex(h["forwarded"], '^for=.*;host=".*";proto=http$')

    def test_methods_and_bodyless_answers(self):
        with Server() as s:
            s.answer = lambda seen: {"/up/204": (204, {"Content-Length": "0"}, b""),
                                     "/up/304": (304, {"ETag": '"x"'}, b"")}.get(
                seen.path, (200, {}, b"0123456789"))
            self.one(s.url("").rstrip("/"))
            c = self.a.connection()
            for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"):
                r = self.a.request(method, "/up/x", connection=c)
                self.assertEqual((r.status, r.body), (200, b"0123456789"), method)
            r = self.a.request("HEAD", "/up/x", connection=c)
            self.assertEqual((r.status, r.headers["content-length"], r.body), (200, "10", b""))
            self.assertEqual(self.a.get("/up/204", connection=c).status, 204)
            r = self.a.get("/up/304", connection=c)
            self.assertEqual((r.status, r.headers["etag"]), (304, '"x"'))
            self.assertEqual(self.a.get("/up/x", connection=c).body, b"0123456789")
            c.close()
            self.assertLessEqual(len({q.connection for q in s.requests}), 2)  # kept and used again

    def test_large_bodies_stream(self):
        size = 24 << 20
        received, done = hashlib.sha256(), threading.Event()

        def script(c, head):
            body = head.partition(b"\r\n\r\n")[2]
            left = size
            while True:
                received.update(body)
                left -= len(body)
                if left <= 0:
                    break
                body = c.recv(65536)
            c.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            for i in range(size >> 16):
                c.sendall(bytes([i & 255]) * 65536)
            done.set()

        self.one(self.raw(script).url)
        sent = hashlib.sha256()

        def pieces():
            for i in range(size >> 16):
                piece = bytes([255 - (i & 255)]) * 65536
                sent.update(piece)
                yield piece

        c = self.a.connection(timeout=120)
        c.request("POST", "/up", pieces(), {"Content-Length": str(size)})
        r = c.getresponse()
        got, want = hashlib.sha256(), hashlib.sha256()
        while piece := r.read(1 << 16):
            got.update(piece)
        for i in range(size >> 16):
            want.update(bytes([i & 255]) * 65536)
        self.assertEqual(got.digest(), want.digest())
        self.assertEqual(received.digest(), sent.digest())
        c.close()

    def test_a_slow_client_stops_the_upstream(self):
        sent = [0]

        def script(c, head):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
            c.settimeout(60)
            while sent[0] < 200000000:
                sent[0] += c.send(b"x" * 65536)

        self.one(self.raw(script).url)
        with self.a.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            s.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: sent[0] > 100000, 20)
            last = -1
            while last != sent[0]:  # until it stands still for a second
                last = sent[0]
                time.sleep(1)
            self.assertLess(sent[0], 30000000)

    def test_chunked_both_ways_and_trailers(self):
        def script(c, head):
            body = head.partition(b"\r\n\r\n")[2]
            while not body.endswith(b"0\r\n\r\n"):
                body += c.recv(65536)
            c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n")

        s = self.raw(script)
        self.one(s.url)
        got, _ = self.a.raw(b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                            b"Connection: close\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
        self.assertIn(b"5\r\nhello\r\n", got)
        self.assertTrue(got.endswith(b"0\r\n\r\n"), got)
        self.assertIn(b"Transfer-Encoding: chunked", s.heads[0])
        self.assertNotIn(b"X-Trailer", got)

    def test_interim_answers_and_close_delimited(self):
        self.one(self.raw(lambda c, head: c.sendall(
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.0 200 OK\r\n\r\nto the end")).url)
        self.assertEqual(self.a.get("/up").body, b"to the end")
        got, _ = self.a.raw(b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                            b"Sec-Fetch-Mode: navigate\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
                                       b"Link: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"), got)
        got, _ = self.a.raw(b"GET /up HTTP/1.0\r\nHost: x\r\nSec-Fetch-Mode: navigate\r\n\r\n")
        self.assertTrue(got.startswith(b"HTTP/1.1 200 OK\r\n"), got)

    def test_events_are_not_held_back(self):
        def script(c, head):
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
            for i in range(3):
                c.sendall(f"data: {i}\n\n".encode())
                time.sleep(0.3)

        self.one(self.raw(script).url)
        c = self.a.connection()
        c.request("GET", "/up")
        r = c.getresponse()
        began = time.monotonic()
        self.assertEqual(r.readline(), b"data: 0\n")
        first = time.monotonic() - began
        self.assertEqual(r.read(), b"\ndata: 1\n\ndata: 2\n\n")
        self.assertLess(first, 0.25)
        c.close()

    def test_a_protocol_changes(self):
        def script(c, head):
            self.assertIn(b"Upgrade: websocket", head)
            c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      b"Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nfirst")
            while piece := c.recv(65536):
                c.sendall(piece[::-1])

        self.one(self.raw(script).url)
        with self.a.socket(20) as s:
            s.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\n"
                      b"Upgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nearly")
            head = b""
            while not head.endswith(b"firstylrae"):
                piece = s.recv(4096)
                self.assertTrue(piece, head)
                head += piece
            self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
            self.assertIn(b"Sec-WebSocket-Accept: x", head)
            big = bytes(range(256)) * 2000
            threading.Thread(target=s.sendall, args=(big,), daemon=True).start()
            got = b""
            while len(got) < len(big):
                got += s.recv(65536)
            self.assertEqual(sorted(got), sorted(big))
        self.assertEqual(self.a.get("/healthz").status, 200)


class OverHttp2(Gateway):
    """The same upstreams, asked over HTTP/2."""

    def client(self):
        c = h2.Client(("127.0.0.1", self.a.https_port), timeout=60)
        self.closing.append(c)
        return c

    def test_hints_chunks_and_trailers(self):
        self.one(self.raw(lambda c, head: c.sendall(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: close\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
            b"5\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: t\r\n\r\n")).url)
        c = self.client()
        c.ask(1, h2.request("/up", "GET", ("sec-fetch-mode", "navigate")))
        self.assertEqual(c.answer(1), (200, b"hello!"))
        self.assertEqual(c.informed[1], [103])
        self.assertEqual(c.headers[1]["x-a"], "b")
        self.assertFalse({"transfer-encoding", "connection", "x-trailer"} & set(c.headers[1]))
        c.ask(3, h2.request("/up"))
        self.assertEqual(c.answer(3), (200, b"hello!"))
        self.assertNotIn(3, c.informed, "hints are for browsers")

    def test_large_bodies_both_ways(self):
        size, received = 2 << 20, hashlib.sha256()
        want = hashlib.sha256(b"".join(bytes([i]) * 65536 for i in range(size >> 16))).hexdigest()

        def script(c, head):
            body = head.partition(b"\r\n\r\n")[2]
            left = 200000
            while left - len(body) > 0:
                received.update(body)
                left -= len(body)
                body = c.recv(65536)
            received.update(body)
            c.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            for i in range(size >> 16):
                c.sendall(bytes([i]) * 65536)

        self.one(self.raw(script).url)
        c, sent, window = self.client(), hashlib.sha256(), 65535
        c.ask(1, h2.request("/up", "POST", ("content-length", "200000")), h2.END_HEADERS)
        left = 200000
        while left:
            n = min(left, 16384, window, c.window)
            if n:
                piece = bytes([left & 255]) * n
                sent.update(piece)
                left, window, c.window = left - n, window - n, c.window - n
                c.send(h2.frame(h2.DATA, 0 if left else h2.END_STREAM, 1, piece))
                continue
            f = c.wait(lambda f: f[0] in (h2.WINDOW_UPDATE, h2.RST_STREAM, h2.GOAWAY, h2.HEADERS))
            self.assertEqual(f[0], h2.WINDOW_UPDATE, f)
            if f[2]:
                window += int.from_bytes(f[3], "big")
        status, body = c.answer(1)
        self.assertEqual((status, hashlib.sha256(body).hexdigest()), (200, want))
        self.assertEqual(received.digest(), sent.digest())

    def test_what_breaks_off_ends_its_stream_alone(self):
        def script(c, head):
            if b"/up/cut" in head:
                c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 5000)
            elif b"/up/bad" in head:
                c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
            elif b"/up/dead" not in head:
                c.sendall(answer())

        self.one(self.raw(script).url)
        c = self.client()
        c.ask(1, h2.request("/up/cut"))
        self.assertEqual(c.outcome(1, 30), ("stream", h2.INTERNAL))
        c.ask(3, h2.request("/up/bad"))
        self.assertEqual(c.outcome(3, 30), ("stream", h2.INTERNAL))
        c.ask(5, h2.request("/up/dead"))
        self.assertEqual(c.outcome(5, 30), ("answer", 502))
        c.ask(7, h2.request("/up/fine"))
        self.assertEqual(c.answer(7), (200, b"fine"))

    def test_a_stream_that_is_reset_lets_its_upstream_go(self):
        gone = threading.Event()

        def script(c, head):
            if b"/up/long" not in head:
                c.sendall(answer())
                return
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000000\r\n\r\n")
            try:
                while True:
                    c.sendall(b"x" * 65536)
            except OSError:
                gone.set()

        self.one(self.raw(script).url)
        c = self.client()
        c.ask(1, h2.request("/up/long"))
        c.wait(lambda f: f[0] == h2.DATA)
        c.send(h2.frame(h2.RST_STREAM, 0, 1, h2.CANCEL.to_bytes(4, "big")))
        self.assertTrue(gone.wait(60), "its upstream is let go")
        # What had come of it has used up the connection's window: open again for the next.
        c.send(h2.frame(h2.WINDOW_UPDATE, 0, 0, (1 << 20).to_bytes(4, "big")))
        c.ask(3, h2.request("/up/fine"))
        self.assertEqual(c.answer(3), (200, b"fine"))

    def test_a_shut_window_stops_the_upstream_and_nobody_else(self):
        sent = [0]

        def script(c, head):
            if b"/up/long" not in head:
                c.sendall(answer())
                return
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
            while sent[0] < 200000000:
                sent[0] += c.send(b"x" * 65536)

        self.one(self.raw(script).url)
        c = self.client()
        c.send(h2.frame(h2.WINDOW_UPDATE, 0, 0, (1 << 24).to_bytes(4, "big")))
        c.ask(1, h2.request("/up/long"))
        until(lambda: (c.read_frame(), len(c.body.get(1, b"")) == 65535)[1], 60, step=0, why="a full window")
        for stream in range(3, 23, 2):
            c.ask(stream, h2.request("/up/fine"))
            self.assertEqual(c.answer(stream), (200, b"fine"))
        self.assertEqual(len(c.body[1]), 65535, "not a byte beyond its window")
        self.assertLess(sent[0], 30000000)


class Failing(Gateway):
    def fails(self, script, status, code, words="", upstream=None, **kw):
        self.one(self.raw(script).url, {"eject": {"failures": 0}, "breaker": {"failures": 0},
                                        "retries": 0, **(upstream or {})})
        p = self.problem(self.a.get("/up", **kw), status)
        self.assertEqual(p["code"], code)
        self.assertIn(words, p["detail"])
        self.assertNotIn(APPLIANCE_SEES, p["detail"])

    def test_answers_that_are_none(self):
        bad = [
            b"hello\r\n\r\n", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/2.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
            b"HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n", b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
            b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
        ]
        for bytes_ in bad:
            with self.subTest(bytes_[:60]):
                self.fails(lambda c, head: c.sendall(bytes_), 502, "upstream_failed", "proper HTTP")
        self.fails(lambda c, head: None, 502, "upstream_failed", "without an answer")
        self.fails(lambda c, head: c.sendall(b"HTTP/1.1 200 OK\r\nConte"), 502, "upstream_failed")

    def test_patience(self):
        self.fails(lambda c, head: time.sleep(5), 504, "upstream_timeout", "in time",
                   {"timeouts": {"answer_ms": 400}})

    def test_nobody_there(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            dead = f"http://{APPLIANCE_SEES}:{s.getsockname()[1]}"
        self.one(dead, {"retries": 0, "breaker": {"failures": 2, "rest_ms": 60000}})
        for _ in range(2):
            self.assertEqual(self.problem(self.a.get("/up"), 502)["code"], "upstream_failed")
        r = self.a.get("/up")
        self.assertEqual(self.problem(r, 503)["code"], "upstream_resting")
        self.assertGreater(int(r.headers["retry-after"]), 30)
        table = self.a.get("/api/v1/gateway/routes", token=self.token).json()
        self.assertEqual(table["upstreams"][0]["breaker"], "open")

    def test_a_body_that_breaks_off_is_seen_to(self):
        for bytes_ in (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
                       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                       b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n"):
            self.one(self.raw(lambda c, head: c.sendall(bytes_)).url)
            got, closed = self.a.raw(b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(closed)
            self.assertFalse(got.endswith(b"0\r\n\r\n"), got)
            self.assertTrue(got.startswith(b"HTTP/1.1 200"), got)

    def test_the_client_is_not_believed_either(self):
        s = self.raw(lambda c, head: c.sendall(answer()))
        self.one(s.url)
        for head in (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                     b"Content-Length: 5\r\nContent-Length: 6\r\n", b"Content-Length: +5\r\n",
                     b"Transfer-Encoding: xchunked\r\n", b"Transfer-Encoding: chunked, identity\r\n"):
            got, closed = self.a.raw(b"POST /up HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n")
            self.assertTrue(closed and got.split()[1] in (b"400", b"501"), got)
        for path in (b"/up/../x", b"/up/%2e%2e/x", b"/up/\\x", b"/up/%00"):
            got, _ = self.a.raw(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertEqual(got.split()[1], b"400", got)
        self.assertEqual(s.connections, 0)

    def test_bodies_too_large(self):
        s = self.raw(lambda c, head: c.sendall(answer()))
        self.one(s.url, body_max_kib=1)
        self.assertEqual(self.problem(self.a.post("/up", b"x" * 1025), 413)["code"], "body_too_large")
        got, _ = self.a.raw(b"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
                            b"400\r\n" + b"x" * 1024 + b"\r\n1\r\nx\r\n0\r\n\r\n")
        self.assertIn(b" 413 ", got.splitlines()[0])

    def test_an_early_answer_is_passed_on(self):
        def script(c, head):
            c.sendall(answer(b"no", "403 Forbidden", "Connection: close\r\n"))
            time.sleep(0.5)

        self.one(self.raw(script).url)
        c = self.a.connection()
        c.putrequest("POST", "/up")
        c.putheader("Content-Length", "10000000")
        c.endheaders()
        try:
            for _ in range(100):
                c.send(b"x" * 10000)
                time.sleep(0.01)
        except OSError:
            pass
        r = c.getresponse()
        self.assertEqual((r.status, r.read()), (403, b"no"))
        c.close()


class Choosing(Gateway):
    def test_which_route_wins(self):
        with Server() as s:
            s.answer = lambda seen: (200, {}, seen.headers["x-route"].encode())
            url = s.url("").rstrip("/")

            def route(name, **more):
                return {"name": name, "access": "public", "upstream": "up",
                        "request_headers": {"X-Route": name}, **more}

            self.routes({"upstreams": {"up": {"targets": [url]}}, "routes": [
                route("all", path="/"), route("shop", path="/shop"),
                route("cart", path="/shop/cart", match="exact"),
                route("item", path="/shop/item/{id}/x", match="pattern"),
                route("post", path="/shop", methods=["POST"]),
                route("canary", path="/shop", headers={"X-Canary": "1"}),
                route("query", path="/shop", query={"v": "2"}, methods=["GET"]),
                route("host", hosts=["a.example"], path="/"),
                route("wild", hosts=["*.example"], path="/"),
                {"name": "old", "path": "/old", "access": "public",
                 "redirect": "https://new.example{rest}{query}", "redirect_status": 301}]})

            def who(path, host="x", method="GET", **headers):
                return self.a.request(method, path, headers={"Host": host, **headers}).body.decode()

            for path, name in (("/zzz", "all"), ("/shopping", "all"), ("/shop", "shop"),
                               ("/shop/", "shop"), ("/shop/cart", "cart"), ("/shop/cart/x", "shop"),
                               ("/shop/item/7/x", "item"), ("/shop/item/7/y", "shop"),
                               ("/shop?v=2", "query"), ("/shop?v=%32", "query"), ("/shop?v=3", "shop")):
                self.assertEqual(who(path), name, path)
            self.assertEqual(who("/shop", method="POST"), "post")
            self.assertEqual(who("/shop", **{"X-Canary": "1"}), "canary")
            self.assertEqual(who("/healthz", host="a.example"), "host")
            self.assertEqual(who("/x", host="b.example:80"), "wild")
            self.assertEqual(who("/x", host="example"), "all")
            self.assertIn("ready", self.a.get("/readyz").body.decode())
            r = self.a.get("/old/a/b?c=d")
            self.assertEqual((r.status, r.headers["location"]), (301, "https://new.example/a/b?c=d"))

            def why(url, **query):
                q = "&".join(f"{k}={v}" for k, v in {"url": url, **query}.items())
                r = self.a.get("/api/v1/gateway/match?" + q, token=self.token)
                self.assertEqual(r.status, 200, r)
                return r.json()

            self.assertEqual(why("http://x/shop/cart")["route"], "cart")
            self.assertEqual(why("http://a.example/")["route"], "host")
            j = why("http://x/healthz")
            self.assertEqual((j["answered_by"], j["route"]), ("platform", "/healthz"))
            j = why("http://x/shop", headers="X-Canary:%201")
            self.assertEqual(j["route"], "canary")
            self.assertTrue(j["tried"][-1]["wins"])
            self.assertTrue(all(t["why"] for t in j["tried"]))
            self.problem(self.a.get("/api/v1/gateway/match?url=nonsense", token=self.token), 400)
            self.problem(self.a.get("/api/v1/gateway/match?url=http://x/"), 401)

    def test_rewriting(self):
        with Server() as s:
            s.answer = lambda seen: (200, {}, seen.path.encode() + b" " + seen.headers["host"].encode())
            url = s.url("").rstrip("/")
            for more, path, want in (
                    ({"strip_prefix": True}, "/up/a%2Fb?c", "/a%2Fb?c"),
                    ({"strip_prefix": True}, "/up", "/"),
                    ({"rewrite": "/v2{rest}"}, "/up/a?b=c", "/v2/a?b=c"),
                    ({"rewrite": "/v2{path}?x=1"}, "/up/a?b=c", "/v2/up/a?x=1&b=c")):
                self.one(url, **more)
                self.assertEqual(self.a.get(path).body.split()[0].decode(), want, more)
            self.one(url, host="inner.example")
            self.assertEqual(self.a.get("/up").body.split()[1], b"inner.example")
            self.one(url, host="upstream")
            self.assertEqual(self.a.get("/up").body.split()[1].decode(), url[7:])

    def test_who_may(self):
        with Server() as s:
            s.answer = lambda seen: (200, {}, json.dumps(seen.headers).encode())
            self.one(s.url("").rstrip("/"), access="user")
            self.problem(self.a.get("/up"), 401)
            r = self.a.get("/up", token=self.token)
            seen = r.json()
            self.assertEqual(seen["x-user-email"], "admin@example.org")
            self.assertNotIn("authorization", seen)

    def test_documents_are_refused_whole(self):
        up = {"up": {"targets": ["http://a"]}}
        base = {"name": "r", "path": "/r", "upstream": "up"}
        for document, word in (
                ({"upstreams": {"up": {}}}, "targets"), ({"nonsense": 1}, "nonsense"),
                ({"upstreams": {"up": {"targets": ["ftp://a"]}}}, "http://"),
                ({"upstreams": {"up": {"targets": ["http://a/path"]}}}, "without a path"),
                ({"upstreams": up, "routes": [{**base, "upstream": "other"}]}, "no upstream"),
                ({"upstreams": up, "routes": [{**base, "acces": "public"}]}, "acces"),
                ({"upstreams": up, "routes": [{**base, "path": "r"}]}, "path"),
                ({"upstreams": up, "routes": [{**base, "path": "/a/../b"}]}, "path"),
                ({"upstreams": up, "routes": [{**base, "redirect": "/x"}]}, "one of them"),
                ({"upstreams": up, "routes": [{**base, "request_headers": {"Host": "x"}}]}, "Host"),
                ({"upstreams": up, "routes": [{**base, "request_headers": {"X": "a\r\nb"}}]}, "fields"),
                ({"upstreams": up, "routes": [base, base]}, "already"),
                ({"upstreams": up, "routes": [{**base, "limits": ["x"]}]}, "limit")):
            r = self.routes(document, 422)
            self.assertIn(word, r.json()["detail"], document)

    def test_tried_and_put_back(self):
        path = "/api/v1/config/gateway.routes"
        with Server() as s:
            s.answer = lambda seen: (200, {}, b"up")
            self.one(s.url("").rstrip("/"))
            version = self.a.get(path, token=self.token).json()["version"]
            good = {"upstreams": {"a": {"targets": ["http://a"]}}}
            r = self.a.post(path + "/check", {"value": good}, token=self.token)
            self.assertEqual((r.status, r.json()["valid"]), (200, True))
            r = self.a.post(path + "/check", {"value": {"upstreams": {"a": {}}}}, token=self.token)
            self.assertIn("targets", self.problem(r, 422)["detail"])
            self.assertEqual(self.a.get("/up").body, b"up")  # nothing of it is in force
            self.routes(good)
            self.problem(self.a.get("/up"), 404)
            r = self.a.post(path + "/revert", {"version": version}, token=self.token)
            self.assertEqual(r.status, 200, r)
            self.assertGreater(r.json()["version"], version)
            self.assertEqual(self.a.get("/up").body, b"up")
            self.problem(self.a.post(path + "/revert", {"version": 1 << 40}, token=self.token), 422)
            self.assertEqual(self.a.post(path + "/revert", {"version": 0}, token=self.token).status, 200)
            self.problem(self.a.get("/up"), 404)

    def test_changes_drop_nobody(self):
        gate = threading.Event()

        def script(c, head):
            gate.wait(20)
            c.sendall(answer(b"old"))

        self.one(self.raw(script).url)
        got = []
        t = threading.Thread(target=lambda: got.append(self.a.get("/up")))
        t.start()
        time.sleep(0.5)
        with Server() as s:
            s.answer = lambda seen: (200, {}, b"new")
            self.one(s.url("").rstrip("/"))
            self.assertEqual(self.a.get("/up").body, b"new")
            gate.set()
            t.join(20)
            self.assertEqual(got[0].body, b"old")
        self.a.delete("/api/v1/config/gateway.routes", token=self.token)
        self.problem(self.a.get("/up"), 404)


class Balancing(Gateway):
    def servers(self, n):
        list_ = [Server() for _ in range(n)]
        for i, s in enumerate(list_):
            s.__enter__()
            self.closing.append(type("C", (), {"close": staticmethod(lambda s=s: s.__exit__(None, None, None))}))
            s.answer = lambda seen, i=i: (200, {}, str(i).encode())
        return list_, [s.url("").rstrip("/") for s in list_]

    def ask(self, n, **kw):
        c = self.a.connection()
        got = [self.a.get("/up", connection=c, **kw).body.decode() for _ in range(n)]
        c.close()
        return got

    def test_weights(self):
        _, urls = self.servers(2)
        self.one([{"url": urls[0], "weight": 3}, {"url": urls[1], "weight": 1}])
        got = self.ask(40)
        self.assertEqual((got.count("0"), got.count("1")), (30, 10))

    def test_least_requests_and_hash(self):
        _, urls = self.servers(3)
        self.one(urls, {"balance": "least-request"})
        self.assertEqual(set(self.ask(60)), {"0", "1", "2"})
        self.one(urls, {"balance": "hash", "hash_on": "header:X-Key"})
        homes = {}
        for key in range(30):
            got = set(self.ask(3, headers={"X-Key": str(key)}))
            self.assertEqual(len(got), 1)
            homes[key] = got.pop()
        self.assertEqual(set(homes.values()), {"0", "1", "2"})
        self.one(urls[:2], {"balance": "hash", "hash_on": "header:X-Key"})
        for key, home in homes.items():  # only the third's keys have moved
            got = self.ask(1, headers={"X-Key": str(key)})[0]
            self.assertTrue(got == home or home == "2", (key, home, got))

    def test_the_dead_are_passed_over(self):
        servers, urls = self.servers(2)
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            dead = f"http://{APPLIANCE_SEES}:{s.getsockname()[1]}"
        self.one(urls[:1] + [dead], {"eject": {"failures": 1, "rest_ms": 60000}})
        self.assertEqual(set(self.ask(20)), {"0"})  # each tried elsewhere, at most once
        table = self.a.get("/api/v1/gateway/routes", token=self.token).json()
        self.assertEqual([t["state"] for t in table["upstreams"][0]["targets"]], ["well", "resting"])
        self.one([dead], {"eject": {"failures": 1}, "breaker": {"failures": 0}, "retries": 0})
        for _ in range(3):  # the last one is asked for ever
            self.assertEqual(self.a.get("/up").status, 502)

    def test_health_checks(self):
        servers, urls = self.servers(2)
        sick = [False]
        servers[1].answer = lambda seen: (500 if sick[0] and seen.path == "/live" else 200, {}, b"1")
        self.one(urls, {"health": {"path": "/live", "interval_ms": 100, "fails": 2, "passes": 1}})
        self.assertEqual(set(self.ask(10)), {"0", "1"})

        def states():
            j = self.a.get("/api/v1/gateway/routes", token=self.token).json()
            return [t["state"] for t in j["upstreams"][0]["targets"]]

        sick[0] = True
        until(lambda: states() == ["well", "unhealthy"], 20)
        self.assertEqual(set(self.ask(10)), {"0"})
        sick[0] = False
        until(lambda: states() == ["well", "well"], 20)
        self.assertEqual(set(self.ask(10)), {"0", "1"})

    def test_split(self):
        _, urls = self.servers(2)
        self.routes({"upstreams": {"a": {"targets": [urls[0]]}, "b": {"targets": [urls[1]]}},
                     "routes": [{"name": "s", "path": "/up", "access": "public",
                                 "split": [{"upstream": "a", "weight": 95}, {"upstream": "b", "weight": 5}]}]})
        got = self.ask(200)
        self.assertTrue(6 <= got.count("1") <= 14, got.count("1"))

    def test_kept_connections_that_died_are_no_failure(self):
        def script(c, head):
            c.sendall(answer(b"one"))
            read_head(c)  # the second request meets a closed connection

        s = self.raw(script)
        self.one(s.url, {"retries": 0})
        for _ in range(4):
            self.assertEqual(self.a.get("/up").body, b"one")


class Limiting(Gateway):
    def limited(self, limits, names, **more):
        s = self.raw(lambda c, head: c.sendall(answer(fields="Connection: close\r\n")))
        self.routes({"upstreams": {"up": {"targets": [s.url]}}, "limits": limits, "routes": [
            {"name": "up", "path": "/up", "access": "public", "upstream": "up", "limits": names},
            {"name": "mine", "path": "/mine", "upstream": "up", "limits": names}], **more})
        return s

    def test_a_client_gets_its_quota_and_no_more(self):
        s = self.limited({"few": {"buckets": [{"quota": 5, "window_seconds": 3600},
                                              {"quota": 50, "window_seconds": 7200}]}}, ["few"])
        got = [self.a.get("/up") for _ in range(8)]
        self.assertEqual([r.status for r in got], [200] * 5 + [429] * 3)
        self.assertEqual(got[0].headers["ratelimit-policy"], '"few";q=5;w=3600, "few-2";q=50;w=7200')
        self.assertRegex(got[1].headers["ratelimit"], '^"few";r=3;t=[0-9]+$')
        r = self.problem(got[6], 429)
        self.assertEqual(r["code"], "too_many_requests")
        self.assertLessEqual(abs(int(got[6].headers["retry-after"]) - 720), 5)
        self.assertRegex(got[6].headers["ratelimit"], '^"few";r=0;')
        self.assertEqual(s.connections, 5)

    def test_exact_under_parallel_calls(self):
        self.limited({"p": {"key": "route", "buckets": [{"quota": 20, "window_seconds": 3601}]}}, ["p"])
        got = []

        def ask():
            for _ in range(5):
                got.append(self.a.get("/up").status)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual((got.count(200), got.count(429)), (20, 20))

    def test_by_user_and_refill(self):
        self.limited({"u": {"key": "user", "buckets": [{"quota": 2, "window_seconds": 2}]}}, ["u"])
        self.assertEqual([self.a.get("/mine", token=self.token).status for _ in range(3)],
                         [200, 200, 429])
        self.assertEqual(self.a.get("/mine").status, 401)  # before it counts
        until(lambda: self.a.get("/mine", token=self.token).status == 200, 10, step=0.3)

    def test_only_failed_calls_count(self):
        status = ["200 OK"]
        s = self.raw(lambda c, head: c.sendall(answer(status=status[0], fields="Connection: close\r\n")))
        self.routes({"upstreams": {"up": {"targets": [s.url]}},
                     "limits": {"bad": {"count_status": "401-403",
                                        "buckets": [{"quota": 2, "window_seconds": 3602}]}},
                     "routes": [{"name": "up", "path": "/up", "access": "public", "upstream": "up",
                                 "limits": "bad"}]})
        self.assertEqual({self.a.get("/up").status for _ in range(6)}, {200})
        status[0] = "401 No"
        self.assertEqual([self.a.get("/up").status for _ in range(4)], [401, 401, 429, 429])

    def test_the_platform_itself(self):
        self.limited({"own": {"buckets": [{"quota": 3, "window_seconds": 3603}]}}, [],
                     platform_limits=["own"])
        path = "/api/openapi.json"
        self.assertEqual([self.a.get(path).status for _ in range(5)], [200] * 3 + [429] * 2)
        self.assertEqual(self.a.get("/healthz").status, 200)
        self.assertEqual(self.a.get("/api/v1/gateway/routes", token=self.token).status, 200)


class Extras(Gateway):
    def test_text_is_coded_on_the_way(self):
        import gzip
        text = b"".join(b"line %d of a text\n" % i for i in range(5000))
        with Server() as s:
            s.answer = lambda seen: (200, {"Content-Type": "text/plain; charset=utf-8" if "t" in seen.path
                                           else "image/png", "ETag": '"x"', "Accept-Ranges": "bytes"}, text)
            self.one(s.url("").rstrip("/"), compress=True)
            r = self.a.get("/up/t", headers={"Accept-Encoding": "br, gzip;q=0.5"})
            self.assertEqual(r.headers.get("content-encoding"), "gzip", r.headers)
            self.assertEqual(gzip.decompress(r.body), text)
            self.assertLess(len(r.body), len(text) // 3)
            self.assertEqual((r.headers["etag"], r.headers["vary"]), ('W/"x"', "Accept-Encoding"))
            self.assertNotIn("accept-ranges", r.headers)
            for path, headers in (("/up/t", {}), ("/up/t", {"Accept-Encoding": "gzip;q=0"}),
                                  ("/up/p", {"Accept-Encoding": "gzip"})):
                r = self.a.get(path, headers=headers)
                self.assertEqual((r.body, r.headers["etag"]), (text, '"x"'))

    def test_a_mirror_sees_what_the_upstream_sees(self):
        with Server() as s, Server() as m:
            s.answer = lambda seen: (200, {}, b"real")
            m.answer = lambda seen: (500, {}, b"watched")
            self.routes({"upstreams": {"a": {"targets": [s.url("").rstrip("/")]},
                                       "b": {"targets": [m.url("").rstrip("/")]}},
                         "routes": [{"name": "r", "path": "/up", "access": "public", "upstream": "a",
                                     "mirror": "b"}]})
            self.assertEqual(self.a.post("/up/x?y", b"body").body, b"real")
            self.assertEqual(self.a.get("/up/z").body, b"real")
            seen = sorted((q.method, q.path, q.body) for q in m.wait(2))
            self.assertEqual(seen, [("GET", "/up/z", b""), ("POST", "/up/x?y", b"body")])

    def test_kept_answers(self):
        count = [0]

        def up(seen):
            count[0] += 1
            more = {"/up/private": {"Cache-Control": "private, max-age=60"},
                    "/up/cookie": {"Cache-Control": "max-age=60", "Set-Cookie": "a=b"},
                    "/up/none": {}, "/up/short": {"Cache-Control": "max-age=1"},
                    "/up/vary": {"Cache-Control": "max-age=60", "Vary": "X-Lang"},
                    }.get(seen.path, {"Cache-Control": "max-age=60", "ETag": '"e"'})
            return (200, more, str(count[0]).encode() + seen.headers.get("x-lang", "").encode())

        with Server() as s:
            s.answer = up
            self.one(s.url("").rstrip("/"), cache=True)

            def ask(path, **headers):
                return self.a.get("/up/" + path, headers=headers)

            first, again = ask("a"), ask("a")
            self.assertEqual(first.body, again.body)
            self.assertIn("stored", first.headers["cache-status"])
            self.assertIn("hit", again.headers["cache-status"])
            self.assertLessEqual(int(again.headers["age"]), 5)
            self.assertNotEqual(ask("a?x").body, first.body)
            self.assertEqual(self.a.request("HEAD", "/up/a").headers["content-length"], str(len(first.body)))
            self.assertEqual(ask("a", **{"If-None-Match": '"e"'}).status, 304)
            for path in ("private", "cookie", "none"):
                self.assertNotEqual(ask(path).body, ask(path).body, path)
            for more in ({"Authorization": "Basic eDp5"}, {"Cache-Control": "no-cache"}, {"Cookie": "s=1"}):
                self.assertNotEqual(ask("a", **more).body, first.body, more)
            self.assertEqual(ask("vary", **{"X-Lang": "en"}).body, ask("vary", **{"X-Lang": "en"}).body)
            self.assertNotEqual(ask("vary", **{"X-Lang": "fr"}).body, ask("vary", **{"X-Lang": "en"}).body)
            before = ask("b").body
            self.assertEqual(ask("b").body, before)
            self.a.post("/up/b", b"x")
            self.assertNotEqual(ask("b").body, before)
            short = ask("short").body
            until(lambda: ask("short").body != short, 10, step=0.3)

    def test_proxies_before_us_are_believed_when_listed(self):
        with Server() as s:
            s.answer = lambda seen: (200, {}, json.dumps(seen.headers).encode())
            self.one(s.url("").rstrip("/"))
            ask = {"X-Forwarded-For": "6.6.6.6, 203.0.113.9, 10.0.2.77", "X-Forwarded-Proto": "https"}
            self.assertNotIn("203.0.113.9", self.a.get("/up", headers=ask).json()["x-forwarded-for"])
            option = "/api/v1/config/http.trusted_proxies"
            self.assertEqual(self.a.put(option, {"value": "10.0.2.0/24, 127.0.0.0/8"}, token=self.token).status, 200)
            seen = self.a.get("/up", headers=ask).json()
            self.assertEqual((seen["x-forwarded-for"], seen["x-forwarded-proto"]), ("203.0.113.9", "https"))
            seen = self.a.get("/up", headers={"X-Forwarded-For": "nonsense"}).json()
            self.assertTrue(seen["x-forwarded-for"][0].isdigit())
            self.assertEqual(self.a.put(option, {"value": "10.0.0.0/33"}, token=self.token).status, 422)
            self.a.delete(option, token=self.token)


class Proxied(unittest.TestCase):
    """All connections of this machine come from the user-mode network: each needs a header."""
    config = {"http.trusted_proxies": "10.0.2.0/24, 127.0.0.0/8"}

    def test_proxy_headers(self):
        with Server() as s:
            s.answer = lambda seen: (200, {}, seen.headers["x-forwarded-for"].encode())
            config = {"upstreams": {"up": {"targets": [s.url("").rstrip("/")]}},
                      "routes": [{"name": "up", "path": "/up", "access": "public", "upstream": "up"}]}
            with Appliance(config={**self.config, "http.proxy_protocol": True, "gateway.routes": config},
                           wait=False) as a:
                a.console.wait_for("listen(er ready|ing )", 60)

                def ask(header):
                    return a.raw(header + b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")[0]

                until(lambda: b" 200 " in ask(b"PROXY TCP4 203.0.113.9 10.0.2.15 4711 80\r\n")[:20], 60, step=0.3)
                v1 = b"PROXY TCP4 203.0.113.9 10.0.2.15 4711 80\r\n"
                self.assertTrue(ask(v1).endswith(b"203.0.113.9"))
                v2 = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([203, 0, 113, 7, 10, 0, 2, 15]) +
                      b"\x12\x67\0\x50")
                self.assertTrue(ask(v2).endswith(b"203.0.113.7"))
                for bad in (b"", b"PROXY TCP4 x y 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"):
                    self.assertEqual(ask(bad), b"", bad)
                with a.socket() as c:  # byte by byte
                    for i in range(len(v1)):
                        c.sendall(v1[i:i + 1])
                    c.sendall(b"GET /up HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    self.assertTrue(read_all(c)[0].endswith(b"203.0.113.9"))


class OtherOrigins(Gateway):
    def test_cors(self):
        s = self.raw(lambda c, head: c.sendall(answer(fields="Connection: close\r\n"
                                                      "Access-Control-Allow-Origin: *\r\n")))
        self.one(s.url, methods=["GET", "PUT"], access="user",
                 cors={"origins": ["https://app.example"], "methods": "GET, PUT", "headers": "X-A",
                       "credentials": True, "expose": "X-B"})
        ask = {"Origin": "https://app.example", "Access-Control-Request-Method": "PUT"}
        r = self.a.request("OPTIONS", "/up", headers=ask)
        self.assertEqual(r.status, 204, r)
        self.assertEqual(r.headers["access-control-allow-origin"], "https://app.example")
        self.assertEqual(r.headers["access-control-allow-methods"], "GET, PUT")
        self.assertEqual(r.headers["access-control-max-age"], "600")
        self.assertEqual(r.headers["vary"], "Origin")
        r = self.a.request("OPTIONS", "/up", headers={**ask, "Origin": "https://evil.example"})
        self.assertNotIn("access-control-allow-origin", r.headers)
        r = self.a.get("/up", token=self.token, headers={"Origin": "https://app.example"})
        self.assertEqual((r.status, r.headers["access-control-allow-origin"],
                          r.headers["access-control-allow-credentials"]),
                         (200, "https://app.example", "true"))
        self.assertEqual(s.connections, 1)


class Verified(Gateway):
    def test_https_upstreams(self):
        with Server(tls=True) as s:
            s.answer = lambda seen: (200, {}, b"safe")
            url = s.url("").rstrip("/")
            self.one(url, {"tls": {"ca_cert": s.ca, "server_name": s.name}})
            self.assertEqual(self.a.get("/up").body, b"safe")
            self.one(url, {"tls": {"ca_cert": s.ca, "server_name": "other.test"}, "retries": 0})
            self.assertIn("verified", self.problem(self.a.get("/up"), 502)["detail"])
            self.one(url, {"retries": 0})
            self.assertIn("verified", self.problem(self.a.get("/up"), 502)["detail"])
