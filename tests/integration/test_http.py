# SPDX-License-Identifier: Apache-2.0
"""test_http.py: the HTTP server against clients that are hostile, slow, many, or merely fast.

One verdict per connection: whatever is ambiguous in framing gets 400 and the connection ends, so
that no proxy in front can read another request in the same bytes (RFC 9112 section 11.2)."""
import concurrent.futures
import random
import re
import socket
import time

from appliance import AppliancePerClass, Appliance, read_all, TARGET

GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

# name, bytes, allowed statuses. All of these must also end the connection after one answer.
REFUSED = [
    ("CL and TE", POST + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX", {400}),
    ("TE and CL", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nX", {400}),
    ("two CL, different", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}X", {400}),
    ("two CL, the same", POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", {400}),
    ("CL list", POST + b"Content-Length: 2, 2\r\n\r\n{}", {400}),
    ("CL +2", POST + b"Content-Length: +2\r\n\r\n{}", {400}),
    ("CL -2", POST + b"Content-Length: -2\r\n\r\n{}", {400}),
    ("CL 0x2", POST + b"Content-Length: 0x2\r\n\r\n{}", {400}),
    ("CL 2 2", POST + b"Content-Length: 2 2\r\n\r\n{}", {400}),
    ("CL 2.0", POST + b"Content-Length: 2.0\r\n\r\n{}", {400}),
    ("CL empty", POST + b"Content-Length: \r\n\r\n{}", {400}),
    ("CL vertical tab", POST + b"Content-Length: \x0b2\r\n\r\n{}", {400}),
    ("CL beyond 64 bits", POST + b"Content-Length: 18446744073709551618\r\n\r\n{}", {400, 413}),
    ("CL word", POST + b"Content-Length: two\r\n\r\n{}", {400}),
    ("TE unknown", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    ("TE identity", POST + b"Transfer-Encoding: identity\r\n\r\n{}", {400, 501}),
    ("TE gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    ("TE chunked, gzip", POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", {400, 501}),
    ("TE chunked twice", POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", {400, 501}),
    ("two TE", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", {400, 501}),
    ("TE with parameter", POST + b"Transfer-Encoding: chunked;x=1\r\n\r\n0\r\n\r\n", {400, 501}),
    ("TE quoted", POST + b"Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", {400, 501}),
    ("TE vertical tab", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400}),
    ("TE empty", POST + b"Transfer-Encoding:\r\n\r\n{}", {400, 501}),
    ("TE in HTTP/1.0", POST.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    ("blank before colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", {400}),
    ("tab before colon", POST + b"Content-Length\t: 2\r\n\r\n{}", {400}),
    ("folded line", GET + b"X-A: 1\r\n 2\r\n\r\n", {400}),
    ("first field folded", b"GET /healthz HTTP/1.1\r\n Host: a\r\n\r\n", {400}),
    ("bare LF", GET.replace(b"\r\n", b"\n") + b"\n", {400}),
    ("bare LF in one field", GET + b"X-A: 1\nX-B: 2\r\n\r\n", {400}),
    ("bare LF ends the head", GET + b"\n", {400}),
    ("bare CR in a value", GET + b"X-A: 1\rX-B: 2\r\n\r\n", {400}),
    ("CR CR LF", GET + b"X-A: 1\r\r\n\r\n", {400}),
    ("NUL in a value", GET + b"X-A: a\0b\r\n\r\n", {400}),
    ("control in a value", GET + b"X-A: a\x01b\r\n\r\n", {400}),
    ("DEL in a value", GET + b"X-A: a\x7fb\r\n\r\n", {400}),
    ("blank in a name", GET + b"X A: 1\r\n\r\n", {400}),
    ("empty name", GET + b": 1\r\n\r\n", {400}),
    ("no colon", GET + b"X-A\r\n\r\n", {400}),
    ("delimiter in a name", GET + b"X(A): 1\r\n\r\n", {400}),
    ("8-bit in a name", GET + b"X-\xc3\xa9: 1\r\n\r\n", {400}),
    ("no Host", b"GET /healthz HTTP/1.1\r\n\r\n", {400}),
    ("two Hosts", GET + b"Host: b\r\n\r\n", {400}),
    ("two equal Hosts", GET + b"Host: a\r\n\r\n", {400}),
    ("Host with blank", b"GET /healthz HTTP/1.1\r\nHost: a b\r\n\r\n", {400}),
    ("Host with user", b"GET /healthz HTTP/1.1\r\nHost: u@a\r\n\r\n", {400}),
    ("Host with path", b"GET /healthz HTTP/1.1\r\nHost: a/b\r\n\r\n", {400}),
    ("Host with bad port", b"GET /healthz HTTP/1.1\r\nHost: a:b\r\n\r\n", {400}),
    ("HTTP/0.9", b"GET /healthz\r\n\r\n", {400}),
    ("HTTP/2.0", b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", {400, 505}),
    ("HTTP/1.10", b"GET /healthz HTTP/1.10\r\nHost: a\r\n\r\n", {400, 505}),
    ("HTTP/01.1", b"GET /healthz HTTP/01.1\r\nHost: a\r\n\r\n", {400, 505}),
    ("http/1.1", b"GET /healthz http/1.1\r\nHost: a\r\n\r\n", {400, 505}),
    ("HTPP/1.1", b"GET /healthz HTPP/1.1\r\nHost: a\r\n\r\n", {400, 505}),
    ("no slash in version", b"GET /healthz HTTP1.1\r\nHost: a\r\n\r\n", {400, 505}),
    ("blank after version", b"GET /healthz HTTP/1.1 \r\nHost: a\r\n\r\n", {400, 505}),
    ("two blanks", b"GET  /healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("two blanks before version", b"GET /healthz  HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("tab", b"GET\t/healthz\tHTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("blank in the target", b"GET /health z HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("leading blank", b" GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("relative target", b"GET healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("fragment", b"GET /healthz#x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("authority form", b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", {400, 405, 501}),
    ("method with delimiter", b"G(T /healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("empty method", b" /healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("NUL escaped", b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("bad escape", b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("cut escape", b"GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("overlong UTF-8", b"GET /%c0%ae%c0%ae/x HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("surrogate", b"GET /%ed%a0%80 HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("8-bit target", b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("dot dot", b"GET /../healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("dot dot escaped", b"GET /%2e%2e/healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("dot dot half escaped", b"GET /x/.%2e/healthz HTTP/1.1\r\nHost: a\r\n\r\n", {400}),
    ("TLS hello", bytes.fromhex("160301004a0100004603035f") + b"\0" * 64, {400}),
    ("only CRs", b"\r\r\r\r\r\r\n\r\n", {400}),
    ("random", bytes(random.Random(7).randrange(256) for _ in range(200)) + b"\r\n\r\n", {400}),
]

# The head is sound, the body is not.
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN_BODIES = [
    ("size not hex", CHUNKED + b"g\r\n{}\r\n0\r\n\r\n"),
    ("size signed", CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n"),
    ("size negative", CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n"),
    ("size 0x2", CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n"),
    ("size with blank before", CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n"),
    ("size with blank after", CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n"),
    ("size empty", CHUNKED + b"\r\n{}\r\n0\r\n\r\n"),
    ("size beyond 64 bits", CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n"),
    ("size with underscore", CHUNKED + b"0_2\r\n{}\r\n0\r\n\r\n"),
    ("size ends in LF", CHUNKED + b"2\n{}\r\n0\r\n\r\n"),
    ("size ends in CR", CHUNKED + b"2\r{}\r\n0\r\n\r\n"),
    ("data ends in LF", CHUNKED + b"2\r\n{}\n0\r\n\r\n"),
    ("data longer than said", CHUNKED + b"2\r\n{}X\r\n0\r\n\r\n"),
    ("data shorter than said", CHUNKED + b"3\r\n{}\r\n0\r\n\r\n"),
    ("extension with LF", CHUNKED + b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
    ("extension with CR", CHUNKED + b"2;a\rb\r\n{}\r\n0\r\n\r\n"),
    ("extension without end", CHUNKED + b"2;" + b"a" * 5000 + b"\r\n{}\r\n0\r\n\r\n"),
    ("end without CRLF", CHUNKED + b"2\r\n{}\r\n0\r\nX"),
    ("trailer folded", CHUNKED + b"2\r\n{}\r\n0\r\nA: 1\r\n 2\r\n\r\n"),
    ("trailer without colon", CHUNKED + b"2\r\n{}\r\n0\r\nABC\r\n\r\n"),
]


def statuses(data):
    return [int(s) for s in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


class Hostile(AppliancePerClass):
    config = {"log.level": "warn"}

    def one(self, name, data, allowed):
        got, closed = self.a.raw(data + SMUGGLED, timeout=15)
        seen = statuses(got)
        self.assertEqual(len(seen), 1, f"{name}: one verdict per connection: {got[:400]!r}")
        self.assertIn(seen[0], allowed, f"{name}: {got[:300]!r}")
        self.assertTrue(closed, f"{name}: the connection stays open")

    def test_ambiguous_or_malformed_heads_are_refused_once(self):
        for name, data, allowed in REFUSED:
            with self.subTest(name):
                self.one(name, data, allowed)

    def test_broken_bodies_are_refused_once(self):
        for name, data in BROKEN_BODIES:
            with self.subTest(name):
                self.one(name, data, {400, 413, 431})

    def test_refusals_are_problems_with_an_id(self):
        got, _ = self.a.raw(b"GET /healthz HTTP/1.1\r\n\r\n")
        head, _, body = got.partition(b"\r\n\r\n")
        self.assertIn(b"application/problem+json", head)
        self.assertRegex(head.lower(), rb"x-request-id: \S+")
        self.assertRegex(head.lower(), rb"connection: close")
        self.assertIn(b'"request_id"', body)

    def test_limits_of_a_head(self):
        filler = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 900) for i in range(40))
        many = b"".join(b"X-%d: 1\r\n" % i for i in range(200))
        for name, data, allowed in [
            ("target too long", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", {414}),
            ("field too long", GET + b"X: " + b"v" * 9000 + b"\r\n\r\n", {431}),
            ("head too long", GET + filler + b"\r\n", {431}),
            ("too many fields", GET + many + b"\r\n", {431}),
            ("line without end", b"GET /" + b"a" * 40000, {414, 431}),
            ("body too long", POST + b"Content-Length: 1048577\r\n\r\n", {413}),
        ]:
            with self.subTest(name):
                got, closed = self.a.raw(data, timeout=15)
                self.assertIn(statuses(got)[:1], [[s] for s in allowed], got[:300])
                self.assertTrue(closed)

    def test_chunked_body_too_long_is_refused(self):
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        got, _ = self.a.raw(CHUNKED + chunk * 20, timeout=30)
        self.assertEqual(statuses(got)[:1], [413], got[:300])

    def test_crossing_bodies_do_not_become_requests(self):
        """A body that looks like a request stays a body."""
        body = SMUGGLED
        got, _ = self.a.raw(POST + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        self.assertEqual(len(statuses(got)), 1, got)
        self.assertNotIn(b"smuggled", got)


class Malformed(AppliancePerClass):
    config = {"log.level": "warn"}
    COUNT = 10000
    SEEDS = [GET + b"\r\n", GET + b"Connection: close\r\nAccept: */*\r\n\r\n",
             POST + b"Content-Length: 27\r\n\r\n{\"email\":\"a\",\"password\":\"b\"}",
             CHUNKED + b"5\r\n{\"a\":\r\n3;x=y\r\n1}\n\r\n0\r\nT: 1\r\n\r\n",
             b"GET /api/v1/policies?limit=5&offset=1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer x.y.z\r\n\r\n",
             b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-4,9-\r\nIf-None-Match: \"x\"\r\n\r\n",
             b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", GET + b"Expect: 100-continue\r\n\r\n"]
    PIECES = [b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\xff", b"%", b"%00", b"/../", b"0",
              b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"HTTP/1.1", b"ffffffffffffffff",
              b"\r\n\r\n", b"A" * 3000, b"-1", b"{" * 200, b"Host: b\r\n", b"Expect: 100-continue\r\n"]

    def mutate(self, rng):
        data = bytearray(rng.choice(self.SEEDS))
        for _ in range(rng.randint(1, 5)):
            at = rng.randrange(len(data) + 1)
            kind = rng.randrange(6)
            if kind == 0 and at < len(data):
                data[at] = rng.randrange(256)
            elif kind == 1:
                del data[at:at + rng.randint(1, 10)]
            elif kind == 2:
                data[at:at] = rng.choice(self.PIECES)
            elif kind == 3:
                other = rng.choice(self.SEEDS)
                data[at:] = other[rng.randrange(len(other)):]
            elif kind == 4:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 30)))
            else:
                data[at:at] = data[:rng.randint(0, 40)]
        return bytes(data)

    def attack(self, seed):
        data = self.mutate(random.Random(seed))
        try:
            with self.a.socket(20) as s:
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                got, closed = read_all(s)
        except OSError as e:
            return f"seed {seed}: {e}"
        if not closed:
            return f"seed {seed}: stays open after its client has gone: {data!r} -> {got[:200]!r}"
        if got and not got.startswith(b"HTTP/1."):
            return f"seed {seed}: no answer of HTTP: {got[:100]!r}"
        if 500 in statuses(got):
            return f"seed {seed}: 500: {data!r}"
        return None

    def test_ten_thousand_malformed_requests(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            wrong = [w for w in pool.map(self.attack, range(self.COUNT)) if w]
        self.assertEqual(wrong[:5], [], f"{len(wrong)} of {self.COUNT}")
        self.assertEqual(self.a.get("/healthz").status, 200)

    test_ten_thousand_malformed_requests.seconds_max = 600


class Behaviour(AppliancePerClass):
    def test_keep_alive_and_ids(self):
        c = self.a.connection()
        ids = set()
        for _ in range(20):
            answer = self.a.request("GET", "/healthz", connection=c)
            self.assertEqual(answer.status, 200)
            ids.add(answer.headers["x-request-id"])
        c.close()
        self.assertEqual(len(ids), 20)

    def test_pipelined_requests_are_answered_in_order(self):
        n = 100
        paths = ["/healthz", "/livez", "/nothing-here"]
        data = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n" %
                        (paths[i % 3].encode(), b"Connection: close\r\n" if i == n - 1 else b"")
                        for i in range(n))
        got, closed = self.a.raw(data, timeout=30)
        self.assertTrue(closed)
        self.assertEqual(statuses(got), [404 if i % 3 == 2 else 200 for i in range(n)])

    def test_pipelined_in_single_bytes(self):
        data = GET + b"\r\n" + GET + b"Connection: close\r\n\r\n"
        with self.a.socket(30) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                s.sendall(bytes([byte]))
            got, closed = read_all(s)
        self.assertEqual(statuses(got), [200, 200])
        self.assertTrue(closed)

    def test_http_1_0_closes_unless_asked(self):
        got, closed = self.a.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
        self.assertEqual(statuses(got), [200])
        self.assertTrue(closed)

    def test_absolute_form(self):
        got, _ = self.a.raw(b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(statuses(got), [200])

    def test_head_is_get_without_body(self):
        for path in ("/healthz", "/", "/api/openapi.json"):
            with self.subTest(path):
                get = self.a.get(path)
                head = self.a.request("HEAD", path)
                self.assertEqual(head.status, get.status)
                self.assertEqual(head.body, b"")
                self.assertEqual(head.headers.get("content-length"), get.headers.get("content-length"))
                self.assertEqual(head.headers.get("content-type"), get.headers.get("content-type"))

    def test_unknown_path_and_method(self):
        self.problem(self.a.get("/nothing-here"), 404)
        answer = self.a.request("DELETE", "/healthz")
        self.problem(answer, 405)
        self.assertIn("GET", answer.headers["allow"])
        self.assertIn(self.a.request("BREW", "/healthz").status, (405, 501))

    def test_expect_100_continue(self):
        with self.a.socket(20) as s:
            body = b'{"email":"x@example.org","password":"nothing of ours"}'
            s.sendall(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body))
            first = s.recv(4096)
            self.assertTrue(first.startswith(b"HTTP/1.1 100"), first)
            s.sendall(body)
            got, _ = read_all(s)
        self.assertEqual(statuses(got)[-1:], [401], got)

    def test_expect_something_else(self):
        got, _ = self.a.raw(POST + b"Expect: the-spanish-inquisition\r\nContent-Length: 2\r\n\r\n{}")
        self.assertEqual(statuses(got)[:1], [417])

    def test_chunked_request_with_extensions_and_trailer(self):
        body = b'{"email":"x@example.org","password":"nothing of ours"}'
        pieces = b"".join(b"%x;a=b;c=\"d\"\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7])
                          for i in range(0, len(body), 7))
        got, _ = self.a.raw(POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + pieces +
                            b"0\r\nX-Sum: 1\r\n\r\n")
        self.assertEqual(statuses(got), [401], got)

    def test_security_fields_on_every_answer(self):
        for path in ("/", "/healthz", "/nothing-here", "/api/openapi.json"):
            answer = self.a.get(path)
            self.assertEqual(answer.headers.get("x-content-type-options"), "nosniff", path)
            self.assertTrue(answer.headers.get("x-request-id"), path)

    def test_landing_page_ranges_and_conditions(self):
        whole = self.a.get("/")
        self.assertEqual(whole.status, 200)
        self.assertTrue(whole.headers["content-type"].startswith("text/html"))
        etag = whole.headers["etag"]
        self.assertEqual(self.a.get("/", headers={"If-None-Match": etag}).status, 304)
        self.assertEqual(self.a.get("/", headers={"If-None-Match": '"other"'}).status, 200)
        part = self.a.get("/", headers={"Range": "bytes=5-14"})
        self.assertEqual((part.status, part.body), (206, whole.body[5:15]))
        self.assertEqual(part.headers["content-range"], f"bytes 5-14/{len(whole.body)}")
        tail = self.a.get("/", headers={"Range": "bytes=-20"})
        self.assertEqual((tail.status, tail.body), (206, whole.body[-20:]))
        rest = self.a.get("/", headers={"Range": "bytes=10-"})
        self.assertEqual((rest.status, rest.body), (206, whole.body[10:]))
        beyond = self.a.get("/", headers={"Range": f"bytes={len(whole.body)}-"})
        self.assertEqual(beyond.status, 416)
        self.assertEqual(beyond.headers["content-range"], f"bytes */{len(whole.body)}")
        stale = self.a.get("/", headers={"Range": "bytes=0-1", "If-Range": '"other"'})
        self.assertEqual((stale.status, stale.body), (200, whole.body))
        several = self.a.get("/", headers={"Range": "bytes=0-1,4-5"})
        self.assertEqual(several.status, 206)
        self.assertTrue(several.headers["content-type"].startswith("multipart/byteranges"))
        many = self.a.get("/", headers={"Range": "bytes=" + ",".join(f"{i}-{i}" for i in range(500))})
        self.assertIn(many.status, (200, 416))
        self.assertEqual(self.a.get("/", headers={"Range": "bytes=9-3"}).status, 200)

    def test_pages_are_whole_and_assets_compressed(self):
        import gzip
        page = self.a.get("/", headers={"Accept-Encoding": "gzip, br"})
        self.assertNotIn("content-encoding", page.headers)  # its length would tell what it holds (BREACH)
        style = re.search(rb'href="(/assets/style[^"]+)"', page.body)[1].decode()
        whole, packed = self.a.get(style), self.a.get(style, headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.headers.get("content-encoding"), "gzip")
        self.assertEqual(gzip.decompress(packed.body), whole.body)
        self.assertIn("accept-encoding", packed.headers.get("vary", "").lower())
        self.assertNotIn("content-encoding", whole.headers)


class Slow(AppliancePerClass):
    def time_answers(self, count, before_each=lambda i: None):
        """How long each of so many answers took, shortest first."""
        took = []
        for i in range(count):
            before_each(i)
            began = time.monotonic()
            self.assertEqual(self.a.get("/healthz").status, 200)
            took.append(time.monotonic() - began)
        return sorted(took)

    def test_hundred_slow_clients_stall_nobody(self):
        """100 clients that send a byte now and then, 20 that never read: others are served, about as
        fast as without them on this machine just now, and in no case only when those have timed out."""
        alone = self.time_answers(50)
        slow = [self.a.socket(30) for _ in range(100)]
        deaf = [self.a.socket(30) for _ in range(20)]

        def trickle(i):
            try:
                slow[i].send(b"x")
            except OSError:
                pass  # its ten seconds for a head are over

        try:
            for s in slow:
                s.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            for s in deaf:
                s.setblocking(False)
                try:
                    s.send((b"GET /api/openapi.json HTTP/1.1\r\nHost: a\r\n\r\n") * 50)
                except OSError:
                    pass
            took = self.time_answers(100, trickle)
        finally:
            for s in slow + deaf:
                s.close()
        alone = sorted(alone + self.time_answers(50))  # before and after: the machine is not ours alone
        self.assertLess(took[50], 4 * alone[50] + 0.05, "half of the answers")
        self.assertLess(took[-1], max(3, 10 * alone[-1]), "the slowest of 100 answers")

    def test_unfinished_head_ends_with_408(self):
        with self.a.socket(25) as s:
            s.sendall(GET)
            began = time.monotonic()
            got, closed = read_all(s)
        self.assertTrue(closed)
        self.assertEqual(statuses(got), [408])
        self.assertLess(time.monotonic() - began, 20)
