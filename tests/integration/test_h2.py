# SPDX-License-Identifier: Apache-2.0
"""test_h2.py: HTTP/2 on port 443 and with prior knowledge on port 80: what RFC 9113 and RFC 7541 say
a server does, case by case with their sections; services over it; floods; other people's clients."""
import http.client
import json
import os
import struct
import subprocess
import tempfile
import threading
import time

import http2_frames as h2
from appliance import AppliancePerClass
from http2_frames import (CALM, CANCEL, COMPRESSION, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL,
                          FRAME_SIZE, GOAWAY, HEADERS, PADDED, PING, PRIORITIZED, PRIORITY, PROTOCOL, PUSH_PROMISE,
                          REFUSED, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, Closed, Client, frame, request,
                          settings)

LARGE = "/api/openapi.json"


def u32(n):
    return struct.pack(">I", n)


def rst(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, u32(code))


def data(stream, payload=b"test", flags=END_STREAM):
    return frame(DATA, flags, stream, payload)


def post(*more):
    return request("/api/v1/auth/login", "POST", ("content-type", "application/json"), *more)


def head(c, stream, headers=None, flags=END_STREAM | END_HEADERS):
    return c.headers_frame(stream, headers or request(), flags)


def literal(name, value):
    """A field that no encoder of good manners would write (RFC 7541 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


# ---- the table -------------------------------------------------------------------------------------
# (section, what is wrong, what is sent, what may come of it). Outcomes: ("connection", code) also
# holds when the connection ends at once; ("stream", code) when the whole connection ends with it.

def CONN(*codes):
    return "connection", codes


def STREAM(*codes):
    return "stream", codes


ANSWER, PONG, PONG_OR_END = ("answer", ()), ("pong", ()), ("pong or end", ())


def many_headers(c, count, size=1000):
    return request("/healthz", "GET", *[(f"x-{i}", "v" * size) for i in range(count)])


CASES = [
    # ---- frames as such
    ("4.1", "a frame of unknown type is ignored", lambda c: frame(22, 255, 0, b"who?"), PONG),
    ("4.1", "flags that are not defined are ignored", lambda c: frame(PING, 0x16, 0, b"12345678"), PONG),
    ("4.1", "the reserved bit of a stream id is ignored", lambda c: frame(PING, 0, 0x80000000, b"12345678"), PONG),
    ("4.2", "DATA of the greatest size", lambda c: head(c, 1, post(), END_HEADERS) + data(1, b" " * 16384), ANSWER),
    ("4.2", "DATA beyond the greatest size", lambda c: head(c, 1, post(), END_HEADERS) + data(1, b" " * 16385),
     STREAM(FRAME_SIZE)),
    ("4.2", "HEADERS beyond the greatest size", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + b"\0" * 16385),
     CONN(FRAME_SIZE)),
    ("4.3", "a header block that does not decode", lambda c: frame(HEADERS, 5, 1, b"\x40"), CONN(COMPRESSION)),
    ("4.3", "a header block within which PRIORITY comes",
     lambda c: head(c, 1, None, END_STREAM) + frame(PRIORITY, 0, 1, u32(0) + b"\0"), CONN(PROTOCOL)),
    ("4.3", "a header block within which another stream's HEADERS come",
     lambda c: head(c, 1, None, END_STREAM) + head(c, 3), CONN(PROTOCOL)),
    # ---- stream states
    ("5.1", "idle: DATA", lambda c: data(1), CONN(PROTOCOL)),
    ("5.1", "idle: RST_STREAM", lambda c: rst(1), CONN(PROTOCOL)),
    ("5.1", "idle: WINDOW_UPDATE", lambda c: frame(WINDOW_UPDATE, 0, 1, u32(100)), CONN(PROTOCOL)),
    ("5.1", "idle: CONTINUATION", lambda c: frame(CONTINUATION, 4, 1, c.encode(request())), CONN(PROTOCOL)),
    ("5.1", "half-closed: DATA", lambda c: head(c, 1) + data(1), STREAM(STREAM_CLOSED)),
    ("5.1", "half-closed: HEADERS", lambda c: head(c, 1) + head(c, 1), STREAM(STREAM_CLOSED)),
    ("5.1", "half-closed: CONTINUATION", lambda c: head(c, 1) + frame(CONTINUATION, 4, 1, c.encode(request())),
     STREAM(STREAM_CLOSED, PROTOCOL)),
    ("5.1", "closed by RST_STREAM: DATA", lambda c: head(c, 1, post(), END_HEADERS) + rst(1) + data(1),
     STREAM(STREAM_CLOSED)),
    ("5.1", "closed by RST_STREAM: HEADERS", lambda c: head(c, 1, post(), END_HEADERS) + rst(1) + head(c, 1),
     STREAM(STREAM_CLOSED)),
    ("5.1", "closed by RST_STREAM: CONTINUATION",
     lambda c: head(c, 1, post(), END_HEADERS) + rst(1) + frame(CONTINUATION, 4, 1, c.encode(request())),
     STREAM(STREAM_CLOSED, PROTOCOL)),
    ("5.1", "closed: DATA", lambda c: [head(c, 1), data(1)], CONN(STREAM_CLOSED)),
    ("5.1", "closed: HEADERS", lambda c: [head(c, 1), head(c, 1)], CONN(STREAM_CLOSED)),
    ("5.1", "closed: CONTINUATION", lambda c: [head(c, 1), frame(CONTINUATION, 4, 1, c.encode(request()))],
     CONN(STREAM_CLOSED, PROTOCOL)),
    ("5.1.1", "an even stream id", lambda c: head(c, 2), CONN(PROTOCOL)),
    ("5.1.1", "an id below the last", lambda c: [head(c, 5), head(c, 3)], CONN(PROTOCOL)),
    ("5.1.2", "more streams than are allowed", lambda c: b"".join(head(c, 1 + 2 * i, post(), END_HEADERS)
                                                                  for i in range(101)), STREAM(PROTOCOL, REFUSED)),
    ("5.3", "HEADERS that depend on themselves", lambda c: frame(HEADERS, PRIORITIZED | 5, 1, u32(1) + b"\xff" +
                                                                 c.encode(request())), STREAM(PROTOCOL)),
    ("5.4.1", "after an error of the connection it ends", lambda c: frame(PING, 0, 0, b"123456"), CONN(FRAME_SIZE)),
    ("5.5", "an unknown frame within a header block", lambda c: head(c, 1, None, END_STREAM) + frame(22, 0, 0, b"x"),
     CONN(PROTOCOL)),
    # ---- DATA
    ("6.1", "DATA on stream 0", lambda c: data(0), CONN(PROTOCOL)),
    ("6.1", "DATA with padding as long as itself", lambda c: head(c, 1, post(), END_HEADERS) +
     frame(DATA, PADDED | END_STREAM, 1, b"\x06test!"), CONN(PROTOCOL)),
    ("6.1", "DATA with padding", lambda c: head(c, 1, post(), END_HEADERS) +
     frame(DATA, PADDED | END_STREAM, 1, b"\x02{}\0\0"), ANSWER),
    # ---- HEADERS
    ("6.2", "HEADERS with padding and a weight", lambda c: frame(HEADERS, PADDED | PRIORITIZED | 5, 1, b"\x02" + u32(0) +
                                                                 b"\x10" + c.encode(request()) + b"\0\0"), ANSWER),
    ("6.2", "HEADERS on stream 0", lambda c: head(c, 0), CONN(PROTOCOL)),
    ("6.2", "HEADERS with too much padding", lambda c: frame(HEADERS, PADDED | 5, 1, b"\xff" + c.encode(request())),
     CONN(PROTOCOL)),
    # ---- PRIORITY
    ("6.3", "PRIORITY on an idle stream is ignored", lambda c: frame(PRIORITY, 0, 1, u32(0) + b"\x10"), PONG),
    ("6.3", "PRIORITY on stream 0", lambda c: frame(PRIORITY, 0, 0, u32(1) + b"\x10"), CONN(PROTOCOL)),
    ("6.3", "PRIORITY of a wrong length", lambda c: frame(PRIORITY, 0, 1, u32(0)), STREAM(FRAME_SIZE)),
    # ---- RST_STREAM
    ("6.4", "RST_STREAM on stream 0", lambda c: rst(0), CONN(PROTOCOL)),
    ("6.4", "RST_STREAM of a wrong length", lambda c: head(c, 1, post(), END_HEADERS) + frame(RST_STREAM, 0, 1, b"abc"),
     CONN(FRAME_SIZE)),
    # ---- SETTINGS
    ("6.5", "SETTINGS acknowledged with a payload", lambda c: frame(SETTINGS, 1, 0, struct.pack(">HI", 3, 1)),
     CONN(FRAME_SIZE)),
    ("6.5", "SETTINGS on a stream", lambda c: frame(SETTINGS, 0, 1), CONN(PROTOCOL)),
    ("6.5", "SETTINGS of a wrong length", lambda c: frame(SETTINGS, 0, 0, b"abc"), CONN(FRAME_SIZE)),
    ("6.5.2", "ENABLE_PUSH neither 0 nor 1", lambda c: settings((2, 2)), CONN(PROTOCOL)),
    ("6.5.2", "INITIAL_WINDOW_SIZE too great", lambda c: settings((4, 0x80000000)), CONN(FLOW_CONTROL)),
    ("6.5.2", "MAX_FRAME_SIZE too small", lambda c: settings((5, 16383)), CONN(PROTOCOL)),
    ("6.5.2", "MAX_FRAME_SIZE too great", lambda c: settings((5, 16777216)), CONN(PROTOCOL)),
    ("6.5.2", "an unknown setting is ignored", lambda c: settings((255, 1)), PONG),
    # ---- PUSH_PROMISE
    ("6.6", "PUSH_PROMISE from a client", lambda c: frame(PUSH_PROMISE, 4, 1, u32(2) + c.encode(request())),
     CONN(PROTOCOL)),
    # ---- PING, GOAWAY
    ("6.7", "PING acknowledged is not answered", lambda c: frame(PING, 1, 0, b"unasked!"), PONG),
    ("6.7", "PING on a stream", lambda c: frame(PING, 0, 1, b"12345678"), CONN(PROTOCOL)),
    ("6.7", "PING of a wrong length", lambda c: frame(PING, 0, 0, b"1234567"), CONN(FRAME_SIZE)),
    ("6.8", "GOAWAY on a stream", lambda c: frame(GOAWAY, 0, 1, u32(0) + u32(0)), CONN(PROTOCOL)),
    ("6.8", "GOAWAY ends it, or a ping is answered still", lambda c: frame(GOAWAY, 0, 0, u32(0) + u32(0)), PONG_OR_END),
    ("7", "GOAWAY with an unknown error", lambda c: frame(GOAWAY, 0, 0, u32(0) + u32(255)), PONG_OR_END),
    ("7", "RST_STREAM with an unknown error", lambda c: head(c, 1, post(), END_HEADERS) + rst(1, 255), PONG),
    # ---- WINDOW_UPDATE
    ("6.9", "WINDOW_UPDATE by 0 of the connection", lambda c: frame(WINDOW_UPDATE, 0, 0, u32(0)), CONN(PROTOCOL)),
    ("6.9", "WINDOW_UPDATE by 0 of a stream", lambda c: head(c, 1, post(), END_HEADERS) +
     frame(WINDOW_UPDATE, 0, 1, u32(0)), STREAM(PROTOCOL)),
    ("6.9", "WINDOW_UPDATE of a wrong length", lambda c: frame(WINDOW_UPDATE, 0, 0, b"abc"), CONN(FRAME_SIZE)),
    ("6.9.1", "the connection's window beyond 2^31-1", lambda c: frame(WINDOW_UPDATE, 0, 0, u32(0x7fffffff)) * 2,
     CONN(FLOW_CONTROL)),
    ("6.9.1", "a stream's window beyond 2^31-1", lambda c: head(c, 1, post(), END_HEADERS) +
     frame(WINDOW_UPDATE, 0, 1, u32(0x7fffffff)) * 2, STREAM(FLOW_CONTROL)),
    # ---- CONTINUATION
    ("6.10", "a head in three frames", lambda c: [] or (lambda b: frame(HEADERS, 1, 1, b[:5]) + frame(
        CONTINUATION, 0, 1, b[5:9]) + frame(CONTINUATION, 4, 1, b[9:]))(c.encode(request())), ANSWER),
    ("6.10", "CONTINUATION on stream 0", lambda c: head(c, 1, None, 1) + frame(CONTINUATION, 4, 0, b""), CONN(PROTOCOL)),
    ("6.10", "CONTINUATION of another stream", lambda c: head(c, 1, None, 1) + frame(CONTINUATION, 4, 3, b""),
     CONN(PROTOCOL)),
    ("6.10", "DATA where CONTINUATION is due", lambda c: head(c, 1, post(), 0) + data(1), CONN(PROTOCOL)),
    ("6.10", "CONTINUATION after the end of a head", lambda c: head(c, 1, post(), END_HEADERS) +
     frame(CONTINUATION, 4, 1, b""), CONN(PROTOCOL)),
    # ---- messages
    ("8.1", "a second HEADERS without END_STREAM", lambda c: head(c, 1, post(), END_HEADERS) +
     head(c, 1, [("x-late", "1")], END_HEADERS), STREAM(PROTOCOL)),
    ("8.1", "trailers", lambda c: head(c, 1, post(), END_HEADERS) + data(1, b"{}", 0) + head(c, 1, [("x-late", "1")]),
     ANSWER),
    ("8.1.1", "content-length greater than the body", lambda c: head(c, 1, post(("content-length", "5")), END_HEADERS) +
     data(1, b"test"), STREAM(PROTOCOL)),
    ("8.1.1", "content-length less than the body", lambda c: head(c, 1, post(("content-length", "1")), END_HEADERS) +
     data(1, b"test"), STREAM(PROTOCOL)),
    ("8.1.1", "content-length less than several DATA", lambda c: head(c, 1, post(("content-length", "1")), END_HEADERS) +
     data(1, b"te", 0) + data(1, b"st"), STREAM(PROTOCOL)),
    ("8.1.1", "content-length with END_STREAM in the head", lambda c: head(c, 1, post(("content-length", "3"))),
     STREAM(PROTOCOL)),
    ("8.1.1", "content-length twice", lambda c: head(c, 1, post(("content-length", "2"), ("content-length", "2")),
                                                     END_HEADERS) + data(1, b"{}"), STREAM(PROTOCOL)),
    ("8.1.1", "content-length that is no number", lambda c: head(c, 1, post(("content-length", "+2")), END_HEADERS) +
     data(1, b"{}"), STREAM(PROTOCOL)),
    ("8.2", "a name in upper case", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + literal(b"X-Test", b"1")),
     STREAM(PROTOCOL)),
    ("8.2.1", "a name with a blank", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + literal(b"x test", b"1")),
     STREAM(PROTOCOL)),
    ("8.2.1", "a name with a colon", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + literal(b"x:test", b"1")),
     STREAM(PROTOCOL)),
    ("8.2.1", "an empty name", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + literal(b"", b"1")),
     STREAM(PROTOCOL)),
    ("8.2.1", "a value with CR LF", lambda c: head(c, 1, request("/healthz", "GET", ("x-a", "b\r\nx-c: d"))),
     STREAM(PROTOCOL)),
    ("8.2.1", "a value with NUL", lambda c: head(c, 1, request("/healthz", "GET", ("x-a", "b\0c"))), STREAM(PROTOCOL)),
    ("8.2.1", "a value that begins with a blank", lambda c: frame(HEADERS, 5, 1, c.encode(request()) +
                                                                  literal(b"x-a", b" b")), STREAM(PROTOCOL)),
    ("8.2.1", "a value that ends with a blank", lambda c: frame(HEADERS, 5, 1, c.encode(request()) +
                                                                literal(b"x-a", b"b\t")), STREAM(PROTOCOL)),
    ("8.2.2", "connection", lambda c: head(c, 1, request("/healthz", "GET", ("connection", "keep-alive"))),
     STREAM(PROTOCOL)),
    ("8.2.2", "keep-alive", lambda c: head(c, 1, request("/healthz", "GET", ("keep-alive", "1"))), STREAM(PROTOCOL)),
    ("8.2.2", "proxy-connection", lambda c: head(c, 1, request("/healthz", "GET", ("proxy-connection", "close"))),
     STREAM(PROTOCOL)),
    ("8.2.2", "upgrade", lambda c: head(c, 1, request("/healthz", "GET", ("upgrade", "h2c"))), STREAM(PROTOCOL)),
    ("8.2.2", "transfer-encoding", lambda c: head(c, 1, post(("transfer-encoding", "chunked")), END_HEADERS) +
     data(1, b"2\r\n{}\r\n0\r\n\r\n"), STREAM(PROTOCOL)),
    ("8.2.2", "te that is not trailers", lambda c: head(c, 1, request("/healthz", "GET", ("te", "trailers, deflate"))),
     STREAM(PROTOCOL)),
    ("8.2.2", "te: trailers", lambda c: head(c, 1, request("/healthz", "GET", ("te", "trailers"))), ANSWER),
    ("8.3", "an unknown pseudo-field", lambda c: head(c, 1, request() + [(":test", "ok")]), STREAM(PROTOCOL)),
    ("8.3", "a pseudo-field of answers", lambda c: head(c, 1, request() + [(":status", "200")]), STREAM(PROTOCOL)),
    ("8.3", "a pseudo-field in trailers", lambda c: head(c, 1, post(), END_HEADERS) + data(1, b"{}", 0) +
     head(c, 1, [(":method", "GET")]), STREAM(PROTOCOL)),
    ("8.3", "a pseudo-field after a field", lambda c: head(c, 1, [("x-a", "b")] + request()), STREAM(PROTOCOL)),
    ("8.3.1", "an empty :path", lambda c: head(c, 1, request("")), STREAM(PROTOCOL)),
    ("8.3.1", "no :method", lambda c: head(c, 1, request()[1:]), STREAM(PROTOCOL)),
    ("8.3.1", "no :scheme", lambda c: head(c, 1, request()[:1] + request()[2:]), STREAM(PROTOCOL)),
    ("8.3.1", "no :path", lambda c: head(c, 1, request()[:3]), STREAM(PROTOCOL)),
    ("8.3.1", ":method twice", lambda c: head(c, 1, [(":method", "GET")] + request()), STREAM(PROTOCOL)),
    ("8.3.1", ":scheme twice", lambda c: head(c, 1, [(":scheme", "https")] + request()), STREAM(PROTOCOL)),
    ("8.3.1", ":path twice", lambda c: head(c, 1, [(":path", "/")] + request()), STREAM(PROTOCOL)),
    ("8.3.1", ":authority twice", lambda c: head(c, 1, [(":authority", "localhost")] + request()), STREAM(PROTOCOL)),
    ("8.3.1", ":authority and another Host", lambda c: head(c, 1, request() + [("host", "example.org")]),
     STREAM(PROTOCOL)),
    ("8.3.1", ":authority and the same Host", lambda c: head(c, 1, request() + [("host", "LOCALHOST")]), ANSWER),
    ("8.3.1", "Host instead of :authority", lambda c: head(c, 1, request()[:2] + request()[3:] + [("host", "a")]),
     ANSWER),
    ("8.3.1", "a :path that does not begin with a slash", lambda c: head(c, 1, request("healthz")), STREAM(PROTOCOL)),
    ("8.4", "PUSH_PROMISE on a stream of ours", lambda c: head(c, 1, post(), END_HEADERS) +
     frame(PUSH_PROMISE, 4, 1, u32(2) + c.encode(request())), CONN(PROTOCOL)),
    # ---- HPACK
    ("7541 2.3.3", "an indexed field beyond the tables", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + b"\xff\x40"),
     CONN(COMPRESSION)),
    ("7541 2.3.3", "a literal whose name lies beyond the tables", lambda c: frame(HEADERS, 5, 1, c.encode(request()) +
                                                                                b"\x7f\x40\x05empty"), CONN(COMPRESSION)),
    ("7541 4.2", "a table size update at the end of a block", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + b"\x20"),
     CONN(COMPRESSION)),
    ("7541 5.1", "an integer that does not end", lambda c: frame(HEADERS, 5, 1, b"\xff" + b"\xff" * 20), CONN(COMPRESSION)),
    ("7541 5.2", "a string padded by more than 7 bits", lambda c: frame(HEADERS, 5, 1, c.encode(request()) +
                                                                      b"\0\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
     CONN(COMPRESSION)),
    ("7541 5.2", "a string padded by zeroes", lambda c: frame(HEADERS, 5, 1, c.encode(request()) +
                                                            b"\0\x85\xf2\xb2\x4a\x87\x82\x84\x49\x50\x90\x80"),
     CONN(COMPRESSION)),
    ("7541 5.2", "a string with EOS in it", lambda c: frame(HEADERS, 5, 1, c.encode(request()) +
                                                          b"\0\x85\xf2\xb2\x4a\x84\xff\x87\x84\x49\x51\xff\xff\xff\xff\xfa\x7f"),
     CONN(COMPRESSION)),
    ("7541 6.1", "an indexed field with index 0", lambda c: frame(HEADERS, 5, 1, c.encode(request()) + b"\x80"),
     CONN(COMPRESSION)),
    ("7541 6.3", "a table larger than allowed", lambda c: frame(HEADERS, 5, 1, b"\x3f\xe2\x1f" + c.encode(request())),
     CONN(COMPRESSION)),
    ("7541 6.3", "a table of size 0", lambda c: frame(HEADERS, 5, 1, b"\x20" + c.encode(request())), ANSWER),
]


class Rules(AppliancePerClass):
    def client(self, **more):
        return Client(("127.0.0.1", self.a.https_port), **more)

    def outcome_of(self, send):
        with self.client() as c:
            parts = send(c)
            for part in parts[:-1] if isinstance(parts, list) else []:
                c.send(part)
                c.outcome(struct.unpack(">I", part[5:9])[0])
            c.send(parts[-1] if isinstance(parts, list) else parts)
            return c, c.outcome()

    def check(self, send, want):
        kind, codes = want
        if kind.startswith("pong"):
            with self.client() as c:
                c.send(send(c))
                try:
                    c.ping()
                except Closed:
                    self.assertEqual(kind, "pong or end")
            return
        c, got = self.outcome_of(send)
        if kind == "answer":
            self.assertEqual(got[0], "answer", got)
        elif kind == "connection":
            self.assertTrue(got[0] == "closed" or (got[0] == "connection" and got[1] in codes), got)
        else:
            self.assertTrue(got[0] == "closed" or (got[0] in ("stream", "connection") and got[1] in codes), got)

    def test_the_table(self):
        for section, what, send, want in CASES:
            with self.subTest(f"RFC {section}: {what}"):
                self.check(send, want)

    def test_3_4_no_preface(self):
        for bytes_ in (b"INVALID CONNECTION PREFACE\r\n\r\n", h2.PREFACE[:-1] + b"x", frame(PING, 0, 0, b"12345678")):
            with self.client(hello=False) as c:
                c.send(bytes_)
                self.assertIn(c.outcome(0)[0], ("connection", "closed"))

    def test_3_4_the_first_frame_is_settings(self):
        with self.client(hello=False) as c:
            c.send(h2.PREFACE + frame(PING, 0, 0, b"12345678"))
            self.assertIn(c.outcome(0), (("connection", PROTOCOL), ("closed", None)))
        with self.client(hello=False) as c:
            kind, flags, stream, _ = c.read_frame() # ours comes unasked
            self.assertEqual((kind, flags, stream), (SETTINGS, 0, 0))

    def test_6_5_3_settings_in_order(self):
        with self.client() as c:
            c.send(settings((4, 100), (4, 1)) + head(c, 1, request(LARGE)))
            first = c.wait(lambda f: f[0] == DATA)
            self.assertEqual(len(first[3]), 1, "the last value counts")
            c.send(settings())
            c.wait(lambda f: f[0] == SETTINGS and f[1] & 1)

    def test_6_9_2_windows_change_with_settings(self):
        with self.client(pairs=[(4, 0)]) as c:
            c.ask(1, request(LARGE))
            c.wait(lambda f: f[0] == HEADERS)
            c.ping()
            self.assertNotIn(1, c.body, "a window of nothing")
            c.send(settings((4, 1)))
            self.assertEqual(len(c.wait(lambda f: f[0] == DATA)[3]), 1)
        with self.client(pairs=[(4, 3)]) as c: # below zero and up again
            c.ask(1, request(LARGE))
            self.assertEqual(len(c.wait(lambda f: f[0] == DATA)[3]), 3)
            c.send(settings((4, 2)) + frame(WINDOW_UPDATE, 0, 1, u32(2)))
            self.assertEqual(len(c.wait(lambda f: f[0] == DATA)[3]), 1)
        with self.client() as c:
            c.ask(1, request(LARGE))
            c.wait(lambda f: f[0] == DATA)
            c.send(settings((4, 0x7fffffff)))
            c.send(frame(WINDOW_UPDATE, 0, 1, u32(0x7fffffff)))
            self.assertIn(c.outcome(99)[0], ("connection", "closed", "silence"))
            self.assertTrue(any((f[0] == RST_STREAM and f[3] == u32(FLOW_CONTROL)) or
                                (f[0] == GOAWAY and f[3][4:8] == u32(FLOW_CONTROL)) for f in c.events), c.events)

    def test_6_7_ping_has_its_bytes_back(self):
        with self.client() as c:
            c.ping(b"\1\2\3\4\5\6\7\0")

    def test_4_3_one_table_for_all_heads(self):
        """What one head adds to the table the next refers to, on another stream too."""
        with self.client() as c:
            for stream in (1, 3, 5):
                c.ask(stream, request("/healthz", "GET", ("x-long", "v" * 500)))
            for stream in (1, 3, 5):
                if stream not in c.status:
                    c.answer(stream)
            self.assertEqual(c.status, {1: 200, 3: 200, 5: 200})


class Services(AppliancePerClass):
    """The same services as over HTTP/1."""

    def client(self, **more):
        return Client(("127.0.0.1", self.a.https_port), **more)

    def ask(self, c, stream, headers, body=None):
        c.ask(stream, headers, END_HEADERS if body is not None else END_STREAM | END_HEADERS)
        if body is not None:
            c.send(data(stream, body))
        return c.answer(stream)

    def test_answers_are_those_of_http_1(self):
        plain = self.a.get("/healthz", tls=True)
        with self.client() as c:
            status, body = self.ask(c, 1, request())
            self.assertEqual((status, body), (plain.status, plain.body))
            mine, theirs = c.headers[1], plain.headers
            for name in ("content-type", "content-length", "cache-control", "x-content-type-options",
                         "strict-transport-security", "content-security-policy"):
                self.assertEqual(mine.get(name), theirs.get(name), name)
            self.assertRegex(mine["x-request-id"], "^[0-9A-Z]{26}$")
            self.assertFalse({"connection", "transfer-encoding", "keep-alive"} & set(mine))

    def test_head_has_the_length_and_no_body(self):
        with self.client() as c:
            status, body = self.ask(c, 1, request(LARGE, "HEAD"))
            self.assertEqual((status, body), (200, b""))
            self.assertGreater(int(c.headers[1]["content-length"]), 10000)

    def test_a_large_answer_comes_whole(self):
        whole = self.a.get(LARGE, tls=True).body
        with self.client() as c:
            self.assertEqual(self.ask(c, 1, request(LARGE)), (200, whole))

    def test_many_at_once(self):
        whole = self.a.get(LARGE, tls=True).body
        with self.client() as c:
            streams = range(1, 80, 2)
            c.send(b"".join(head(c, s, request(LARGE)) for s in streams))
            left = set(streams)
            order = []
            while left:
                f = c.read_frame()
                self.assertNotIn(f[0], (RST_STREAM, GOAWAY), f)
                if f[0] == DATA:
                    order.append(f[2])
                    grow = u32(max(len(f[3]), 1))
                    c.send(frame(WINDOW_UPDATE, 0, 0, grow),
                           b"" if f[1] & END_STREAM else frame(WINDOW_UPDATE, 0, f[2], grow))
                if f[0] in (DATA, HEADERS) and f[1] & END_STREAM:
                    left.discard(f[2])
            for s in streams:
                self.assertEqual(c.body[s], whole)
            self.assertGreater(len(set(order[:10])), 1, f"one stream does not hold up the others: {order[:20]}")

    def test_a_body_in_pieces_and_its_limit(self):
        with self.client() as c:
            c.ask(1, post(), END_HEADERS)
            for piece in (b'{"email": "a@example.org",', b"", b' "password": "wrong', b' password"}'):
                c.send(data(1, piece, 0))
                time.sleep(0.05)
            c.send(data(1, b""))
            self.assertEqual(c.answer(1)[0], 401)
            status, body = self.ask(c, 3, post(), b"{nonsense")
            self.assertEqual((status, json.loads(body)["status"]), (400, 400))
            c.ask(5, post(("content-length", str(50 << 20))), END_HEADERS) # more than any body may be
            self.assertEqual(c.answer(5)[0], 413)
            c.ping()
            c.ask(7)
            self.assertEqual(c.answer(7)[0], 200)

    def test_a_large_body_opens_the_window(self):
        token = self.a.login()
        module = "package big\n" + "# filler filler filler\n" * 8000
        want = module.encode()
        with self.client() as c:
            c.ask(1, request("/v1/policies/h2big", "PUT", ("authorization", f"Bearer {token}"),
                             ("content-type", "text/plain"), ("content-length", str(len(want)))), END_HEADERS)
            c.ping() # the connection's window has grown by then
            stream_window, at = 65535, 0
            while at < len(want):
                n = min(16384, len(want) - at, stream_window, c.window)
                if n:
                    c.send(data(1, want[at:at + n], 0))
                    at, stream_window, c.window = at + n, stream_window - n, c.window - n
                    continue
                f = c.wait(lambda f: f[0] in (WINDOW_UPDATE, HEADERS, RST_STREAM, GOAWAY))
                self.assertEqual(f[0], WINDOW_UPDATE, (f, c.headers))
                if f[2]:
                    stream_window += struct.unpack(">I", f[3])[0]
            c.send(data(1, b""))
            self.assertEqual(c.answer(1, 30)[0], 200)
        self.assertEqual(self.a.delete("/v1/policies/h2big", token=token).status, 200)

    def test_expect_100_continue(self):
        with self.client() as c:
            c.ask(1, post(("expect", "100-continue"), ("content-length", "2")), END_HEADERS)
            c.wait(lambda f: f[0] == HEADERS)
            self.assertEqual(c.informed.get(1), [100])
            c.send(data(1, b"{}"))
            self.assertGreaterEqual(c.answer(1)[0], 400)
            self.assertEqual(self.ask(c, 3, post(("expect", "miracles")), b"{}")[0], 417)

    def test_limits_of_a_head(self):
        with self.client() as c:
            self.assertEqual(self.ask(c, 1, request("/" + "a" * 9000))[0], 414)
            self.assertEqual(self.ask(c, 3, request("/healthz", "GET", ("x-a", "b" * 9000)))[0], 431)
            self.assertEqual(self.ask(c, 5, request("/healthz", "GET", *[(f"x-{i}", "b") for i in range(101)]))[0], 431)
            self.assertEqual(self.ask(c, 7, request("/healthz", "GET", *[(f"x-{i}", "b" * 1000) for i in range(20)]))[0],
                             431)
            self.assertEqual(self.ask(c, 9, request())[0], 200)

    def test_targets(self):
        with self.client() as c:
            for stream, (path, want) in enumerate([("/%2e%2e/x", 400), ("/%00", 400), ("/a%zz", 400), ("/%ff", 400),
                                                   ("/no-such-thing", 404), ("/healthz?a=%", 400)]):
                self.assertEqual(self.ask(c, 1 + 2 * stream, request(path))[0], want, path)
            self.assertEqual(self.ask(c, 101, request("/healthz", authority="a:b"))[0], 400)
            self.assertEqual(self.ask(c, 103, request("/healthz", scheme="ftp"))[0], 400)
            self.assertEqual(self.ask(c, 105, [(":method", "CONNECT"), (":authority", "a:1")])[0], 501)

    def test_crumbs_of_cookies_are_one(self):
        """RFC 9113 8.2.3: the session's cookie is found among others."""
        with self.client() as c:
            crumbs = [("cookie", f"a{i}=b") for i in range(60)]
            self.assertEqual(self.ask(c, 1, request("/healthz", "GET", *crumbs))[0], 200)

    def test_static_pages(self):
        page = self.a.get("/", tls=True)
        with self.client() as c:
            self.assertEqual(self.ask(c, 1, request("/")), (page.status, page.body))
            tag = c.headers[1].get("etag")
            self.assertTrue(tag)
            self.assertEqual(self.ask(c, 3, request("/", "GET", ("if-none-match", tag))), (304, b""))
            self.assertEqual(self.ask(c, 5, request("/", "GET", ("range", "bytes=0-9"))), (206, page.body[:10]))

    def test_plain_with_prior_knowledge(self):
        with Client(("127.0.0.1", self.a.http_port), tls=False) as c:
            self.assertEqual(self.ask(c, 1, request("/healthz", scheme="http"))[0], 200)
        with Client(("127.0.0.1", self.a.http_port), tls=False, hello=False) as c:
            for byte in h2.PREFACE + settings(): # as slow as it comes
                c.send(bytes([byte]))
            self.assertEqual(c.read_frame()[0], SETTINGS)

    def test_http_1_when_that_is_chosen(self):
        import socket
        import ssl
        context = ssl._create_unverified_context()
        for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2")):
            context.set_alpn_protocols(offered)
            with context.wrap_socket(socket.create_connection(("127.0.0.1", self.a.https_port), 10)) as s:
                self.assertEqual(s.selected_alpn_protocol(), chosen)

    def test_counted(self):
        token = self.a.login()

        def number(name):
            text = self.a.get("/metrics", token=token).body.decode()
            return int(float([l for l in text.splitlines() if l.startswith(name + " ")][0].split()[1]))
        before = number("openpolicy_http2_requests_total")
        with self.client() as c:
            self.ask(c, 1, request())
            self.ask(c, 3, request())
        self.assertEqual(number("openpolicy_http2_requests_total"), before + 2)
        self.assertGreater(number("openpolicy_http2_connections_total"), 0)


class Hostile(AppliancePerClass):
    def client(self, **more):
        return Client(("127.0.0.1", self.a.https_port), **more)

    def ends_calm(self, c, piece, times, codes=(CALM,)):
        for _ in range(times):
            c.send(piece(c) if callable(piece) else piece)
            c.s.settimeout(0.001)
            if c.goaway:
                break
            try:
                while True:
                    c.read_frame(0.002)
                    if c.goaway:
                        break
            except TimeoutError:
                continue
            except Closed:
                break
        if not c.goaway:
            try:
                c.wait(lambda f: f[0] == GOAWAY, 10)
            except Closed:
                pass
        if c.goaway:
            self.assertIn(c.goaway[1], codes)
        self.assertEqual(self.a.get("/healthz").status, 200)

    def test_rapid_reset(self):
        """CVE-2023-44487: streams opened and taken back, over and over."""
        with self.client() as c:
            at = iter(range(1, 1 << 20, 2))

            def burst(c):
                return b"".join(head(c, s, request(LARGE)) + rst(s) for s in (next(at) for _ in range(100)))
            self.ends_calm(c, burst, 100, (CALM, h2.INTERNAL))

    def test_settings_flood(self):
        with self.client() as c:
            self.ends_calm(c, settings((4, 65535)) * 200, 100)

    def test_ping_flood(self):
        with self.client() as c:
            self.ends_calm(c, frame(PING, 0, 0, b"12345678") * 200, 100)

    def test_empty_data_flood(self):
        with self.client() as c:
            c.ask(1, post(), END_HEADERS)
            self.ends_calm(c, data(1, b"", 0) * 200, 100, (CALM, h2.INTERNAL))

    def test_window_update_flood(self):
        with self.client() as c:
            self.ends_calm(c, frame(WINDOW_UPDATE, 0, 0, u32(1)) * 200, 100)

    def test_priority_flood(self):
        with self.client() as c:
            self.ends_calm(c, frame(PRIORITY, 0, 1, u32(0) + b"\x10") * 200, 100, (CALM, h2.INTERNAL))

    def test_continuation_flood(self):
        with self.client() as c:
            c.send(frame(HEADERS, END_STREAM, 1, c.encode(request())))
            self.ends_calm(c, frame(CONTINUATION, 0, 1, literal(b"x-a", b"b" * 100)) * 50, 200, (CALM, h2.INTERNAL, PROTOCOL))

    def test_header_bomb(self):
        """One long entry in the table, referred to thousands of times."""
        with self.client() as c:
            block = c.encode(request()) + b"\x40\x03x-a" + b"\x7f\x81\x1e" + b"v" * 3968
            c.send(frame(HEADERS, END_STREAM, 1, block), frame(CONTINUATION, 4, 1, b"\xbe" * 16000))
            kind, code = c.outcome()
            self.assertTrue(kind == "closed" or (kind, code) == ("connection", CALM), (kind, code))
        self.assertEqual(self.a.get("/healthz").status, 200)

    def test_zero_windows_hold_nobody_else_up(self):
        """Connections that want much and take nothing; others are served meanwhile."""
        held = []
        try:
            for _ in range(6):
                c = self.client(pairs=[(4, 0)])
                held.append(c)
                c.send(b"".join(head(c, s, request(LARGE)) for s in range(1, 200, 2)))
            time.sleep(1.5)
            began = time.monotonic()
            for _ in range(5):
                self.assertEqual(self.a.get("/healthz", tls=True).status, 200)
            self.assertLess(time.monotonic() - began, 10)
        finally:
            for c in held:
                c.close()

    def test_slow_heads_end(self):
        with self.client() as c:
            c.send(frame(HEADERS, END_STREAM, 1, c.encode(request())))
            began = time.monotonic()
            self.assertIn(c.outcome(1, 20)[0], ("connection", "closed"))
            self.assertLess(time.monotonic() - began, 15)

    def test_a_client_that_never_speaks(self):
        with self.client(hello=False) as c:
            began = time.monotonic()
            try:
                while True:
                    c.read_frame(20)
            except Closed:
                pass
            self.assertLess(time.monotonic() - began, 15)

    def test_many_connections_cut(self):
        """In the middle of anything, with requests under way."""
        for n in range(40):
            with self.client() as c:
                c.send(b"".join(head(c, s, request(LARGE)) for s in range(1, 20, 2))[:-(n % 20) or None])
        self.assertEqual(self.a.get("/healthz").status, 200)


class Goodbye(AppliancePerClass):
    may_end = True

    def test_a_clean_stop_says_goaway_and_finishes(self):
        with Client(("127.0.0.1", self.a.https_port)) as idle, Client(("127.0.0.1", self.a.https_port)) as c:
            c.ask(1, post(), END_HEADERS)
            c.send(data(1, b'{"email":', 0))
            c.ping()
            stop = threading.Thread(target=self.a.power_button)
            stop.start()
            idle.wait(lambda f: f[0] == GOAWAY)
            self.assertEqual(idle.goaway[1], 0)
            c.wait(lambda f: f[0] == GOAWAY)
            self.assertEqual(c.goaway[1], 0)
            c.send(data(1, b' "a@example.org", "password": "x"}'))
            self.assertGreaterEqual(c.answer(1)[0], 400)
            stop.join(30)
            with self.assertRaises(Closed):
                while True:
                    c.read_frame(20)


class Clients(AppliancePerClass):
    def run_(self, *command):
        p = subprocess.run(command, capture_output=True, text=True, timeout=60)
        self.assertEqual(p.returncode, 0, p.stdout[-2000:] + p.stderr[-2000:])
        return p.stdout + p.stderr

    def test_curl(self):
        with tempfile.TemporaryDirectory() as d:
            out = os.path.join(d, "o")
            said = self.run_("curl", "-sk", "--http2", "-o", out, "-w", "%{http_version} %{http_code}",
                             f"https://127.0.0.1:{self.a.https_port}{LARGE}")
            self.assertEqual(said, "2 200")
            self.assertEqual(open(out, "rb").read(), self.a.get(LARGE, tls=True).body)
            said = self.run_("curl", "-s", "--http2-prior-knowledge", "-o", out, "-w", "%{http_version} %{http_code}",
                             f"http://127.0.0.1:{self.a.http_port}/healthz")
            self.assertEqual(said, "2 200")

    def test_nghttp(self):
        said = self.run_("nghttp", "-nv", "--no-verify-peer", f"https://127.0.0.1:{self.a.https_port}/healthz",
                         f"https://127.0.0.1:{self.a.https_port}{LARGE}")
        self.assertEqual(said.count(":status: 200"), 2, said[-3000:])

    def test_h2load(self):
        said = self.run_("h2load", "-n", "400", "-c", "4", "-m", "20",
                         f"https://127.0.0.1:{self.a.https_port}/healthz")
        self.assertIn("400 succeeded, 0 failed, 0 errored", said)
