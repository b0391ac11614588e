# SPDX-License-Identifier: Apache-2.0
"""http2_frames.py: a client that speaks HTTP/2 frame by frame, and says wrong things on purpose.

Frames are written as the bytes they are; only header blocks are made and read by a library (hpack).
"""
import socket
import ssl
import struct
import sys
import time

try:
    import hpack
except ImportError: # another Python than Debian's
    sys.path.append("/usr/lib/python3/dist-packages")
    import hpack

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 1, 1, 4, 8, 32
NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE, REFUSED, CANCEL, \
    COMPRESSION, CONNECT, CALM = range(12)
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_HEADER_LIST = range(1, 7)


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *p) for p in pairs))


def request(path="/healthz", method="GET", *more, scheme="https", authority="localhost"):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]


class Closed(Exception):
    pass


class Client:
    """One connection. `events` is what came: (kind, flags, stream, payload)."""

    def __init__(self, address, tls=True, hello=True, pairs=(), timeout=10):
        s = socket.create_connection(address, timeout)
        if tls:
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(["h2"])
            s = context.wrap_socket(s, server_hostname="localhost")
            assert s.selected_alpn_protocol() == "h2", s.selected_alpn_protocol()
        self.s, self.buffer, self.timeout = s, b"", timeout
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 20
        self.status, self.headers, self.body, self.informed = {}, {}, {}, {}
        self.block, self.goaway, self.events, self.window = b"", None, [], 65535
        if hello:
            self.send(PREFACE + settings(*pairs))
            self.wait(lambda f: f[0] == SETTINGS and not f[1] & ACK)
            self.send(frame(SETTINGS, ACK))
            self.wait(lambda f: f[0] == SETTINGS and f[1] & ACK)

    def send(self, *parts):
        try:
            self.s.sendall(b"".join(parts))
        except OSError:
            pass # what it has said before it closed is read next

    def encode(self, headers):
        return self.encoder.encode(headers)

    def headers_frame(self, stream, headers, flags=END_STREAM | END_HEADERS):
        return frame(HEADERS, flags, stream, self.encode(headers))

    def ask(self, stream=1, headers=None, flags=END_STREAM | END_HEADERS):
        self.send(self.headers_frame(stream, headers or request(), flags))

    def read_frame(self, timeout=None):
        end = time.monotonic() + (timeout or self.timeout)
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no frame came")
            self.s.settimeout(left)
            try:
                piece = self.s.recv(65536)
            except (ConnectionError, ssl.SSLError) as e:
                if isinstance(e, (TimeoutError, ssl.SSLWantReadError)):
                    raise TimeoutError("no frame came") from None
                raise Closed() from None
            if not piece:
                raise Closed()
            self.buffer += piece
        n = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload, self.buffer = self.buffer[9:9 + n], self.buffer[9 + n:]
        f = (kind, flags, stream & 0x7FFFFFFF, payload)
        self.note(f)
        return f

    def note(self, f):
        kind, flags, stream, payload = f
        self.events.append(f)
        if kind in (HEADERS, CONTINUATION):
            self.block += payload
            if flags & END_HEADERS:
                headers = self.decoder.decode(self.block)
                self.block = b""
                status = int(dict(headers).get(":status", 0))
                if 100 <= status < 200:
                    self.informed.setdefault(stream, []).append(status)
                else:
                    self.status[stream], self.headers[stream] = status, dict(headers)
                    self.headers[stream]["*"] = headers
        elif kind == DATA:
            self.body[stream] = self.body.get(stream, b"") + payload
        elif kind == WINDOW_UPDATE and stream == 0:
            self.window += struct.unpack(">I", payload)[0] # ours to send on the connection
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])

    def wait(self, when, timeout=None):
        """The first frame of which it is true. Closed, TimeoutError."""
        end = time.monotonic() + (timeout or self.timeout)
        while True:
            f = self.read_frame(max(end - time.monotonic(), 0.001))
            if when(f):
                return f

    def answer(self, stream=1, timeout=None, windows=True):
        """(status, body) of a stream that ends well; windows open as they are used."""
        while True:
            f = self.read_frame(timeout)
            if f[0] == RST_STREAM and f[2] == stream:
                raise AssertionError(f"stream {stream} was reset: {struct.unpack('>I', f[3])[0]}")
            if f[0] == GOAWAY and self.goaway[1]:
                raise AssertionError(f"GOAWAY {self.goaway}")
            if windows and f[0] == DATA and f[3]:
                grow = struct.pack(">I", len(f[3]))
                self.send(frame(WINDOW_UPDATE, 0, 0, grow),
                          b"" if f[1] & END_STREAM else frame(WINDOW_UPDATE, 0, f[2], grow))
            if f[2] == stream and f[0] in (HEADERS, DATA) and f[1] & END_STREAM:
                return self.status[stream], self.body.get(stream, b"")

    def ping(self, data=b"are you?"):
        self.send(frame(PING, 0, 0, data))
        self.wait(lambda f: f[0] == PING and f[1] & ACK and f[3] == data)

    def outcome(self, stream=1, timeout=5):
        """How it ended: ("connection", code), ("stream", code), ("closed", None), ("answer", status)."""
        try:
            while True:
                kind, flags, of, payload = self.read_frame(timeout)
                if kind == GOAWAY:
                    return "connection", self.goaway[1]
                if kind == RST_STREAM and of == stream:
                    return "stream", struct.unpack(">I", payload)[0]
                if kind in (HEADERS, DATA) and of == stream and flags & END_STREAM:
                    return "answer", self.status[stream]
        except Closed:
            return "closed", None
        except TimeoutError:
            return "silence", None

    def close(self):
        try:
            self.s.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
