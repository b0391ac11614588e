# SPDX-License-Identifier: Apache-2.0
"""test_frames.py: the appliance on a wire of our own (`--net stream:PATH`), and 10,000 frames that
no honest machine would send. Between them, and after, it must answer ARP, ping and HTTP."""
import os
import random
import socket
import struct
import tempfile
import time
import unittest

from appliance import Appliance, TARGET, until

OURS, THEIRS = "192.0.2.1", "192.0.2.2"
OUR_MAC = bytes.fromhex("020000000001")
ANY_MAC = b"\xff" * 6
COUNT = 10000


def ip4(text):
    return socket.inet_aton(text)


def internet_sum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    """QEMU's stream protocol: each frame after its length, 32 bits big endian."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)
        self.listener.settimeout(30)
        self.sock, self.inbox = None, b""

    def accept(self):
        self.sock, _ = self.listener.accept()
        self.sock.settimeout(10)

    def send(self, frame):
        if not frame:  # QEMU takes a card's "0 bytes received" for "no room": it would wait for ever
            return
        self.sock.settimeout(10)  # receive() leaves what was left of its own
        self.sock.sendall(struct.pack("!I", len(frame)) + frame)

    def receive(self, seconds):
        """One frame, or None."""
        deadline = time.monotonic() + seconds
        while True:
            if len(self.inbox) >= 4:
                n = struct.unpack("!I", self.inbox[:4])[0]
                if len(self.inbox) >= 4 + n:
                    frame, self.inbox = self.inbox[4:4 + n], self.inbox[4 + n:]
                    return frame
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self.sock.settimeout(left)
            try:
                piece = self.sock.recv(65536)
            except socket.timeout:
                return None
            if not piece:
                raise EOFError("the appliance closed its wire")
            self.inbox += piece

    def close(self):
        if self.sock:
            self.sock.close()
        self.listener.close()


class Peer:
    """The other machine: just enough ARP, ICMP and TCP to ask whether it still lives."""

    def __init__(self, wire):
        self.wire, self.mac, self.port = wire, None, 20000

    def ethernet(self, kind, payload, to=None):
        return (to or self.mac or ANY_MAC) + OUR_MAC + struct.pack("!H", kind) + payload

    def ip(self, protocol, payload, ident=1):
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, 0, 64, protocol, 0,
                           ip4(OURS), ip4(THEIRS))
        head = head[:10] + struct.pack("!H", internet_sum(head)) + head[12:]
        return self.ethernet(0x0800, head + payload)

    def arp(self, operation, target_mac=b"\0" * 6):
        return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, OUR_MAC, ip4(OURS),
                           target_mac, ip4(THEIRS))

    def wait(self, wanted, again, seconds=10):
        """The first frame for which `wanted` gives something; `again` is sent each second."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if again:
                self.wire.send(again)
            until_ = time.monotonic() + 1
            while time.monotonic() < until_:
                frame = self.wire.receive(until_ - time.monotonic())
                if frame is None:
                    break
                if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == ip4(OURS):
                    self.mac = frame[6:12]
                    self.wire.send(self.ethernet(0x0806, self.arp(2, self.mac)))
                    continue
                found = wanted(frame)
                if found is not None:
                    return found
        raise TimeoutError("no answer on the wire")

    def greet(self, seconds=30):
        def reply(frame):
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2":
                return frame[6:12]
        self.mac = self.wait(reply, self.ethernet(0x0806, self.arp(1), ANY_MAC), seconds)

    def ping(self, number):
        echo = struct.pack("!BBHHH", 8, 0, 0, 7, number) + b"ping"
        echo = echo[:2] + struct.pack("!H", internet_sum(echo)) + echo[4:]

        def reply(frame):
            if frame[12:14] == b"\x08\x00" and frame[23] == 1 and frame[34] == 0 \
                    and frame[38:42] == struct.pack("!HH", 7, number):
                return True
        self.wait(reply, self.ip(1, echo))

    def tcp(self, flags, seq, ack, data=b"", window=65535):
        head = struct.pack("!HHIIBBHHH", self.port, 80, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 5 << 4, flags,
                           window, 0, 0)
        pseudo = ip4(OURS) + ip4(THEIRS) + struct.pack("!BBH", 0, 6, len(head) + len(data))
        head = head[:16] + struct.pack("!H", internet_sum(pseudo + head + data)) + head[18:]
        return self.ip(6, head + data)

    def segment(self, frame):
        """(flags, seq, ack, data) of a frame of our connection."""
        if frame[12:14] != b"\x08\x00" or frame[23] != 6:
            return None
        total = struct.unpack("!H", frame[16:18])[0]
        head = frame[34:]
        source, dest, seq, ack, offset, flags = struct.unpack("!HHIIBB", head[:14])
        if source != 80 or dest != self.port:
            return None
        return flags, seq, ack, frame[34 + (offset >> 4) * 4:14 + total]

    def http(self, path="/healthz"):
        """The answer's bytes, over a connection made by hand."""
        self.port += 1
        seq = random.getrandbits(32)
        flags, theirs, _, _ = self.wait(self.segment, self.tcp(2, seq, 0))
        if flags & 0x12 != 0x12:
            raise AssertionError(f"SYN answered with flags {flags:#x}")
        seq, theirs = seq + 1, (theirs + 1) & 0xFFFFFFFF
        request = f"GET {path} HTTP/1.1\r\nHost: {THEIRS}\r\nConnection: close\r\n\r\n".encode()
        self.wire.send(self.tcp(0x10, seq, theirs))
        ask, got = self.tcp(0x18, seq, theirs, request), b""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            flags, at, _, data = self.wait(self.segment, ask)
            if at == theirs:
                got += data
                theirs = (theirs + len(data) + (flags & 1)) & 0xFFFFFFFF
            ask = self.tcp(0x10, seq + len(request), theirs)
            self.wire.send(ask)
            if flags & 1 and at + len(data) + 1 & 0xFFFFFFFF == theirs:
                self.wire.send(self.tcp(0x11, seq + len(request), theirs))
                return got
            if flags & 4:
                raise AssertionError("reset")
        raise TimeoutError("no end of the answer")


class Nonsense:
    """Frames with the right outside and the wrong inside; the same for the same seed."""

    def __init__(self, peer, seed):
        self.peer, self.rng = peer, random.Random(seed)

    def bytes(self, n):
        return self.rng.randbytes(n)

    def ip_head(self, protocol, n, **wrong):
        version = wrong.get("version", 0x45)
        fragment = wrong.get("fragment", 0)
        head = struct.pack("!BBHHHBBH4s4s", version, 0, wrong.get("total", 20 + n) & 0xFFFF,
                           self.rng.getrandbits(16), fragment, 64, protocol, 0,
                           self.rng.choice([ip4(OURS), self.bytes(4), ip4(THEIRS)]),
                           self.rng.choice([ip4(THEIRS)] * 3 + [ip4("255.255.255.255"), ip4("224.0.0.1")]))
        return head[:10] + struct.pack("!H", internet_sum(head)) + head[12:]

    def tcp_segment(self):
        r = self.rng
        options = self.bytes(r.choice([0, 4, 8, 40]))
        head = struct.pack("!HHIIBBHHH", r.randint(1, 65535), r.choice([80, 443, r.randint(1, 65535)]),
                           r.getrandbits(32), r.getrandbits(32), r.choice([5, 5 + len(options) // 4, 0, 15]) << 4,
                           r.choice([2, 0x10, 0x18, 4, 1, 0x12, 0x29, 0, 0xFF]), r.getrandbits(16), 0, r.getrandbits(16))
        return head + options + self.bytes(r.choice([0, 1, 100, 1400]))

    def frame(self):
        r = self.rng
        kind = r.randrange(12)
        to = self.peer.mac
        if kind == 0:
            return self.bytes(r.choice([0, 1, 13, 14, 20, 60, 1514, r.randint(1, 1518)]))
        if kind == 1:
            return self.peer.ethernet(0x0806, self.bytes(r.choice([0, 8, 27, 28, 46])), to)
        if kind == 2:
            arp = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, r.choice([1, 2, 3]), self.bytes(6),
                              r.choice([self.bytes(4), ip4(THEIRS)]), self.bytes(6), ip4(THEIRS))
            return self.peer.ethernet(0x0806, arp, to)
        if kind == 3:  # IPv4 whose lengths lie
            body = self.bytes(r.randint(0, 100))
            return self.peer.ethernet(0x0800, self.ip_head(
                r.choice([1, 6, 17, 255]), len(body), version=r.choice([0x45, 0x44, 0x4F, 0x65, 0x40]),
                total=r.choice([0, 19, 20, 21, 65535, 20 + len(body) + 50])) + body, to)
        if kind == 4:  # fragments: overlapping, tiny, never ending
            body = self.bytes(r.choice([8, 16, 1000, 1480]))
            return self.peer.ethernet(0x0800, self.ip_head(
                r.choice([1, 6, 17]), len(body), fragment=r.choice([0x2000, 0]) | r.randrange(0x2000)) + body, to)
        if kind == 5:
            body = self.bytes(r.randint(0, 200))
            icmp = struct.pack("!BBH", r.randrange(256), r.randrange(256), 0) + body
            icmp = icmp[:2] + struct.pack("!H", internet_sum(icmp)) + icmp[4:]
            return self.peer.ethernet(0x0800, self.ip_head(1, len(icmp)) + icmp, to)
        if kind == 6:  # UDP: DHCP, DNS and NTP answers to nobody
            body = self.bytes(r.choice([0, 1, 48, 240, 300, 548]))
            if r.random() < 0.5:
                body = b"\x02\x01\x06\0" + body + b"\x63\x82\x53\x63" + self.bytes(60)
            port = r.choice([67, 53, 123, r.randint(1, 65535)])
            udp = struct.pack("!HHHH", port, r.choice([68, 53, 123, 80]),
                              r.choice([8 + len(body), 0, 7, 65535]), 0) + body
            return self.peer.ethernet(0x0800, self.ip_head(17, len(udp)) + udp, to)
        if kind in (7, 8):
            segment = self.tcp_segment()
            head = self.ip_head(6, len(segment))
            if r.random() < 0.8:  # with the right sum, so that it goes deeper
                pseudo = head[12:20] + struct.pack("!BBH", 0, 6, len(segment))
                checksum = internet_sum(pseudo + segment[:16] + b"\0\0" + segment[18:])
                segment = segment[:16] + struct.pack("!H", checksum) + segment[18:]
            return self.peer.ethernet(0x0800, head + segment, to)
        if kind == 9:  # IPv6 with odd extension headers; neighbour and router messages
            body = self.bytes(r.randint(0, 300))
            if r.random() < 0.5:
                body = struct.pack("!BBH", r.choice([133, 134, 135, 136, 137]), 0, 0) + body
            source = bytes.fromhex("fe80000000000000") + self.bytes(8)
            target = r.choice([bytes.fromhex("ff020000000000000000000000000001"), self.bytes(16)])
            head = struct.pack("!IHBB", 6 << 28, r.choice([len(body), 0, 65535]),
                               r.choice([58, 0, 43, 44, 60, 6, 17]), 255) + source + target
            return r.choice([b"\x33\x33\0\0\0\1", to]) + OUR_MAC + b"\x86\xdd" + head + body
        if kind == 10:  # tags and unknown types
            return self.peer.ethernet(r.choice([0x8100, 0x88A8, 0x8863, 5, 1500, 0xFFFF]),
                                      self.bytes(r.randint(0, 100)), to)
        return self.peer.ip(r.randrange(256), self.bytes(r.randint(0, 1400)), r.getrandbits(16))


class Frames(unittest.TestCase):
    def test_ten_thousand_random_frames(self):
        seed = int(os.environ.get("SEED", "20240229"))
        with tempfile.TemporaryDirectory() as d:
            wire = Wire(os.path.join(d, "wire"))
            try:
                with Appliance(net="stream:" + os.path.join(d, "wire"), wait=False, config={
                        "net.address": THEIRS + "/24", "net.gateway": OURS, "log.level": "warn"}) as a:
                    wire.accept()
                    a.console.wait_for(r"listen(er ready|ing )", 60)
                    peer = Peer(wire)
                    peer.greet()
                    peer.ping(0)
                    self.assertIn(b"200 OK", peer.http())
                    nonsense = Nonsense(peer, seed)
                    for i in range(COUNT):
                        wire.send(nonsense.frame())
                        if i % 500 == 499:
                            peer.greet()  # a forged ARP answer may have moved us: say it again
                            peer.ping(i)
                        if i % 2500 == 2499:
                            self.assertIn(b"200 OK", peer.http(), f"seed {seed}, after frame {i}")
                    self.assertIn(b"200 OK", peer.http("/readyz"))
                    self.assertIsNone(a.process.poll())
                    self.assertNotRegex(a.console.text.lower(), "panic|sanitizer|runtime error")
                    self.assertEqual(a.stop(), 0)
            finally:
                wire.close()

    test_ten_thousand_random_frames.seconds_max = 300
