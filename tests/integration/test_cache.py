# SPDX-License-Identifier: Apache-2.0
"""test_cache.py: the cache over its port: hostile frames, many clients, TLS, users that survive a
restart, figures in /metrics. The client is thirty lines of sockets, so that bytes go out as they
are written here; where redis-cli is installed it is asked as well."""
import os
import shutil
import socket
import ssl
import subprocess
import time
import unittest

from appliance import HERE, Appliance, AppliancePerClass, only_host, until

PASSWORD = "a long password of the cache 41"


class Redis:
    """One connection: words out, replies in."""

    def __init__(self, a, password=PASSWORD, user=None, tls=False, timeout=20):
        self.s = a._connect(("127.0.0.1", a.resp_port), timeout)
        if tls:
            self.s = ssl._create_unverified_context().wrap_socket(self.s)
        self.f = self.s.makefile("rb")
        if password:
            words = ("AUTH", user, password) if user else ("AUTH", password)
            answer = self.do(*words)
            if answer != "OK":
                raise PermissionError(answer)

    @staticmethod
    def pack(*words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)

    def raw(self, data):
        self.s.sendall(data)

    def read(self):
        line = self.f.readline()
        if not line.endswith(b"\r\n"):
            raise EOFError(line)
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return Exception(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.f.read(int(rest) + 2)[:-2]
        if kind in b"*>~":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        if kind == b"%":
            return {self.read(): self.read() for _ in range(int(rest))}
        if kind == b"_":
            return None
        raise ValueError(line)

    def do(self, *words):
        self.raw(self.pack(*words))
        return self.read()

    def rest(self):
        """All that comes until the other side ends the connection."""
        try:
            return self.f.read()
        except ConnectionResetError:
            return b""

    def close(self):
        self.f.close()
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


# name, bytes, what the one error line must hold; the connection ends after it.
BROKEN = [
    ("array length no number", b"*x\r\n", b"invalid multibulk length"),
    ("array length too long", b"*9999999999999999999\r\n", b"invalid multibulk length"),
    ("array length beyond the limit", b"*1048577\r\n$1\r\na\r\n", b"invalid multibulk length"),
    ("array length with a plus", b"*+1\r\n$4\r\nPING\r\n", b"invalid multibulk length"),
    ("array length with a blank", b"* 1\r\n$4\r\nPING\r\n", b"invalid multibulk length"),
    ("array length with zeros", b"*01\r\n$4\r\nPING\r\n", b"invalid multibulk length"),
    ("no bulk", b"*1\r\nPING\r\n", b"expected '$', got 'P'"),
    ("nested array", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"expected '$', got '*'"),
    ("bulk of control", b"*1\r\n\x01\r\n", b"expected '$', got ' '"),
    ("bulk length no number", b"*1\r\n$x\r\n", b"invalid bulk length"),
    ("bulk length negative", b"*1\r\n$-1\r\n", b"invalid bulk length"),
    ("bulk length absurd", b"*1\r\n$18446744073709551616\r\n", b"invalid bulk length"),
    ("bulk length beyond the limit", b"*1\r\n$536870913\r\n", b"invalid bulk length"),
    ("endless inline", b"A" * 70000, b"too big inline request"),
    ("endless array length", b"*" + b"1" * 70000, b"too big mbulk count"),
    ("endless bulk length", b"*1\r\n$" + b"1" * 70000, b"too big bulk count"),
    ("open quote", b'SET k "abc\r\n', b"unbalanced quotes"),
    ("quote in a word", b'SET k "abc"d\r\n', b"unbalanced quotes"),
    ("NULs", b"\0" * 70000, b"too big inline request"),
]
STRANGER = [
    ("eleven arguments", b"*11\r\n$4\r\nPING\r\n", b"unauthenticated multibulk length"),
    ("long argument", b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"unauthenticated bulk length"),
]


class Cache(AppliancePerClass):
    config = {"cache.password": PASSWORD}
    options = {"resp": True}

    def memory(self, r):
        info = dict(l.split(":", 1) for l in r.do("INFO", "memory").decode().split("\r\n") if ":" in l)
        return int(info["used_memory"])

    def test_broken_frames_get_one_error_and_the_end(self):
        with Redis(self.a) as watcher:
            watcher.do("SET", "kept", "1")
            before = self.memory(watcher)
            for signed_in, cases in ((True, BROKEN), (False, STRANGER)):
                for name, data, why in cases:
                    with Redis(self.a, PASSWORD if signed_in else None) as r:
                        r.raw(data + Redis.pack("SET", "smuggled", "1"))
                        got = r.rest()
                        self.assertEqual(got.count(b"\r\n"), 1, f"{name}: {got[:200]!r}")
                        self.assertIn(why, got, name)
                        self.assertTrue(got.startswith(b"-ERR Protocol error"), f"{name}: {got!r}")
            self.assertEqual(watcher.do("EXISTS", "smuggled"), 0)
            self.assertEqual(watcher.do("GET", "kept"), b"1")
            self.assertLessEqual(self.memory(watcher), before + 4096)

    def test_promises_of_length_reserve_nothing(self):
        with Redis(self.a) as watcher:
            before = self.memory(watcher)
            held = [Redis(self.a) for _ in range(8)]
            for r in held:
                r.raw(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$536870912\r\n" + b"x" * 1000)
            self.assertEqual(watcher.do("PING"), "PONG")
            self.assertLessEqual(self.memory(watcher), before + 4096)
            for r in held:
                r.close()
            self.assertEqual(watcher.do("EXISTS", "k"), 0)

    def test_any_bytes_in_keys_and_values(self):
        with Redis(self.a) as r:
            every = bytes(range(256))
            for key, value in ((every, every[::-1]), (b"", b""), (b"\r\n", b"*1\r\n$4\r\nPING\r\n"),
                               (b"k" * 100000, b"v" * 1000000)):
                self.assertEqual(r.do("SET", key, value), "OK")
                self.assertEqual(r.do("GET", key), value)
                self.assertEqual(r.do("DEL", key), 1)

    def test_one_byte_at_a_time(self):
        with Redis(self.a) as r:
            for b in Redis.pack("SET", "slow", "value") + b"get slow\r\n":
                r.raw(bytes((b,)))
                time.sleep(0.001)
            self.assertEqual(r.read(), "OK")
            self.assertEqual(r.read(), b"value")

    def test_a_long_pipeline_is_answered_in_order(self):
        with Redis(self.a) as r:
            r.do("DEL", "n")
            r.raw(b"".join(Redis.pack("INCR", "n") for _ in range(2000)))
            self.assertEqual([r.read() for _ in range(2000)], list(range(1, 2001)))

    def test_whoever_does_not_read_is_bounded(self):
        with Redis(self.a) as watcher, Redis(self.a) as r:
            watcher.do("SET", "big", b"x" * 1000000)
            before = self.memory(watcher)
            r.raw(Redis.pack("GET", "big") * 50)
            self.assertEqual(watcher.do("PING"), "PONG")
            self.assertLessEqual(self.memory(watcher), before + 1500000)
            self.assertEqual([len(r.read()) for _ in range(50)], [1000000] * 50)
            watcher.do("DEL", "big")

    def test_strangers_may_do_nothing(self):
        with Redis(self.a, None) as r:
            for words in (("GET", "k"), ("INFO",), ("KEYS", "*"), ("ACL", "WHOAMI"), ("COMMAND",)):
                self.assertIn("NOAUTH", str(r.do(*words)))
            self.assertIn("WRONGPASS", str(r.do("AUTH", "wrong")))
            self.assertIn("WRONGPASS", str(r.do("HELLO", "3", "AUTH", "default", "wrong")))

    def test_nothing_reaches_a_disk_or_the_machine(self):
        with Redis(self.a) as r:
            for words in (("DEBUG", "SLEEP", "1"), ("MODULE", "LOAD", "/x"), ("CONFIG", "SET", "dir", "/tmp"),
                          ("CONFIG", "REWRITE"), ("SHUTDOWN",), ("SAVE",), ("REPLICAOF", "10.0.2.2", "1")):
                self.assertIsInstance(r.do(*words), Exception, words)

    def test_messages_waits_and_tracking(self):
        with Redis(self.a) as one, Redis(self.a) as two:
            self.assertEqual(one.do("SUBSCRIBE", "news"), [b"subscribe", b"news", 1])
            self.assertEqual(two.do("PUBLISH", "news", "hello"), 1)
            self.assertEqual(one.read(), [b"message", b"news", b"hello"])
            self.assertEqual(one.do("RESET"), "RESET")
            self.assertEqual(one.do("AUTH", PASSWORD), "OK")
            one.raw(Redis.pack("BLPOP", "jobs", "20"))
            two.do("RPUSH", "jobs", "x")
            self.assertEqual(one.read(), [b"jobs", b"x"])
            self.assertEqual(one.do("HELLO", "3")[b"proto"], 3)
            one.do("CLIENT", "TRACKING", "ON")
            one.do("GET", "cached")
            two.do("SET", "cached", "new")
            self.assertEqual(one.read(), [b"invalidate", [b"cached"]])

    def test_keys_end_by_themselves(self):
        with Redis(self.a) as r:
            r.do("SET", "short", "v", "PX", "50")
            self.assertEqual(r.do("GET", "short"), b"v")
            until(lambda: r.do("DBSIZE") == 0 or r.do("EXISTS", "short") == 0, 10, why="its end")

    def test_users_and_what_they_may(self):
        with Redis(self.a) as r:
            r.do("ACL", "SETUSER", "reader", "on", ">reader-password", "~public:*", "+@read", "+@connection")
            r.do("SET", "public:1", "x")
            with Redis(self.a, "reader-password", "reader") as u:
                self.assertEqual(u.do("GET", "public:1"), b"x")
                self.assertIn("NOPERM", str(u.do("SET", "public:1", "y")))
                self.assertIn("NOPERM", str(u.do("GET", "private:1")))
                r.do("ACL", "DELUSER", "reader")
                self.assertEqual(u.rest(), b"")

    @only_host
    def test_a_burst_of_clients_is_served_at_once(self):
        """All connect before any of them is accepted: none may have to wait for TCP's patience."""
        clients = [socket.socket() for _ in range(100)]
        started = time.monotonic()
        for s in clients:
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.a.resp_port))
        for s in clients:
            s.settimeout(10)
            until(lambda s=s: not s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 5)
            s.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\nPING\r\n" % (len(PASSWORD), PASSWORD.encode()))
        for s in clients:
            got = b""
            while got.count(b"\r\n") < 2:
                got += s.recv(100)
            self.assertEqual(got, b"+OK\r\n+PONG\r\n")
            s.close()
        self.assertLess(time.monotonic() - started, 5)

    @unittest.skipUnless(shutil.which("redis-cli"), "redis-cli is not installed")
    def test_redis_cli(self):
        def cli(*words, text=None):
            return subprocess.run(["redis-cli", "-p", str(self.a.resp_port), "--no-auth-warning", "-a", PASSWORD,
                                   *words], input=text, capture_output=True, text=True, timeout=60,
                                  check=True).stdout
        self.assertEqual(cli("SET", "cli", "1"), "OK\n")
        self.assertEqual(cli("-3", "HGETALL", "none"), "\n")
        self.assertIn("errors: 0", cli("--pipe", text="".join(f"SET p{i} {i}\r\n" for i in range(500))))
        self.assertEqual(cli("GET", "p499"), "499\n")

    def test_the_python_client(self):
        # Debian's package is Debian's Python's: another one first in the path does not have it.
        r = subprocess.run(["/usr/bin/python3", os.path.join(HERE, "redis_client.py"), str(self.a.resp_port), PASSWORD],
                           capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((r.returncode, r.stdout), (0, "all as expected\n"), r.stderr)

    def test_figures_in_metrics(self):
        def figure(name):
            line = [l for l in self.a.get("/metrics").body.decode().splitlines() if l.startswith(name + " ")]
            return float(line[0].split()[1])
        with Redis(self.a) as r:
            time.sleep(0.5)  # what earlier tests did is in the figures: they follow ten times a second
            hits, misses = figure("openpolicy_cache_hits_total"), figure("openpolicy_cache_misses_total")
            r.do("SET", "seen", "1")
            for _ in range(5):
                r.do("GET", "seen")
            r.do("GET", "never seen")
            until(lambda: figure("openpolicy_cache_hits_total") == hits + 5, 10, why="hits")
            self.assertEqual(figure("openpolicy_cache_misses_total"), misses + 1)
            self.assertGreaterEqual(figure("openpolicy_cache_clients"), 1)
            self.assertGreater(figure("openpolicy_cache_memory_max_bytes"), figure("openpolicy_cache_memory_bytes"))
            r.do("CONFIG", "RESETSTAT")
            time.sleep(0.3)
            self.assertGreaterEqual(figure("openpolicy_cache_hits_total"), hits + 5)


class Alone(unittest.TestCase):
    def test_users_survive_a_restart_and_a_cut(self):
        with Appliance(resp=True, config={"cache.password": PASSWORD}) as a:
            with Redis(a) as r:
                for words in (("reader", "on", ">one", "~public:*", "%R~both:*", "+@read", "-keys"),
                              ("writer", "on", ">two", "(+set ~w:*)", "(+get ~r:*)"), ("gone", "on", ">three")):
                    self.assertEqual(r.do("ACL", "SETUSER", *words), "OK")
                self.assertEqual(r.do("ACL", "DELUSER", "gone"), 1)
                before = [l for l in r.do("ACL", "LIST") if b"default" not in l]
                self.assertEqual(len(before), 2)
            a.cut()  # what was answered is on the disk
            a.start()
            with Redis(a) as r:
                self.assertEqual([l for l in r.do("ACL", "LIST") if b"default" not in l], before)
            del a.config["cache.password"]
            a.restart()
            with Redis(a, "one", "reader") as r:  # the port is open: somebody may sign in
                self.assertIsNone(r.do("GET", "public:1"))
                self.assertIn("NOPERM", str(r.do("KEYS", "*")))
            with self.assertRaises(PermissionError):
                Redis(a, "three", "gone")

    def test_over_tls(self):
        with Appliance(resp=True, config={"cache.password": PASSWORD, "cache.port": 0, "cache.tls_port": 6379}) as a:
            with Redis(a, tls=True) as r:
                self.assertEqual(r.do("SET", "k", b"x" * 100000), "OK")
                self.assertEqual(r.do("GET", "k"), b"x" * 100000)
                r.raw(b"".join(Redis.pack("INCR", "n") for _ in range(500)))
                self.assertEqual([r.read() for _ in range(500)], list(range(1, 501)))
            with socket.create_connection(("127.0.0.1", a.resp_port), 10) as s:  # not in the clear
                s.settimeout(10)
                s.sendall(b"PING\r\n")
                try:
                    self.assertNotIn(b"PONG", s.recv(100))
                except ConnectionError:
                    pass

    def test_no_port_is_open_before_a_user_exists(self):
        with Appliance(resp=True) as a:
            with socket.create_connection(("127.0.0.1", a.resp_port), 10) as s:
                s.settimeout(10)
                try:
                    s.sendall(b"PING\r\n")
                    self.assertEqual(s.recv(100), b"")
                except ConnectionError:
                    pass

    def test_the_limit_holds(self):
        with Appliance(resp=True, memory=256,
                       config={"cache.password": PASSWORD, "cache.memory": 4, "cache.policy": "allkeys-lru"}) as a:
            with Redis(a) as r:
                for at in range(0, 6000, 500):
                    r.raw(b"".join(Redis.pack("SET", f"key:{i}", b"x" * 1500) for i in range(at, at + 500)))
                    self.assertEqual([r.read() for _ in range(500)], ["OK"] * 500)
                info = dict(l.split(":", 1) for l in r.do("INFO").decode().split("\r\n") if ":" in l)
                self.assertLessEqual(int(info["used_memory"]), 4 << 20)
                self.assertGreater(int(info["used_memory"]), 3 << 20)
                self.assertGreater(int(info["evicted_keys"]), 1000)
                self.assertEqual(r.do("GET", "key:5999"), b"x" * 1500)
