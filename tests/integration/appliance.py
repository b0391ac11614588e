# SPDX-License-Identifier: Apache-2.0
"""appliance.py: one appliance under test, on either target, and the runner of the suites.

    python3 tests/integration/appliance.py [--target host|guest] [WORD...]

runs the suites (test_*.py beside this file) whose test names contain one of the words, and ends
with `N passed, N failed`. TARGET=host|guest chooses the target as well; host is the default.

What a suite uses:

    class Mine(AppliancePerClass):          one appliance for all tests of the class
        config = {"log.level": "debug"}     added to the usual configuration
        def test_health(self):
            self.assertEqual(self.a.get("/healthz").status, 200)

    with Appliance(memory=64) as a: ...     one of its own

What always holds: an appliance starts through tools/run.sh on random ports of 127.0.0.1, with a
blank disk in a directory of its own; nobody sleeps to wait: readiness is a line on the console
and then an answer to /readyz, each with a deadline; whatever was started is killed, as a process
group, at the latest when this interpreter ends; no test runs longer than its limit.
"""
import atexit
import collections
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
TARGET = os.environ.get("TARGET", "host")
assert TARGET in ("host", "guest"), f"TARGET={TARGET}: host or guest"
TEST_SECONDS_MAX = 300  # one test; a suite may set `seconds_max` on a test method
READY_SECONDS = 60  # emulation on a busy machine included
ADMIN_EMAIL = "admin@example.org"
ADMIN_PASSWORD = "correct horse battery staple 7"

_running = set()


def kill_everything():
    for a in list(_running):
        a.cut()


atexit.register(kill_everything)


def free_port():
    """A port nobody has now, outside the range the kernel hands out by itself."""
    for _ in range(200):
        port = random.randint(12000, 31000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port on 127.0.0.1")


def accept_queue(port):
    """Connections to a local port that its listener has not taken yet; 0 when nobody listens."""
    wanted = f"0100007F:{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f:
            field = line.split()
            if field[1] == wanted and field[3] == "0A":
                return int(field[4].split(":")[1], 16)
    return 0


def until(what, seconds, step=0.02, why="condition"):
    """Calls `what` until it gives something true; that is the result. Bounded."""
    deadline = time.monotonic() + seconds
    while True:
        result = what()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"{why}: not within {seconds} s")
        time.sleep(step)


class Answer:
    """status, headers (names in lower case), body as bytes."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:300]!r}>"


class Console:
    """What the appliance printed, gathered by a thread, waited for by pattern."""

    def __init__(self, stream):
        self.text = ""
        self.ended = False
        self.changed = threading.Condition()
        threading.Thread(target=self._gather, args=(stream,), daemon=True).start()

    def _gather(self, stream):
        while True:
            piece = os.read(stream.fileno(), 65536)
            with self.changed:
                if piece:
                    self.text += piece.decode("utf-8", "replace")
                else:
                    self.ended = True
                self.changed.notify_all()
            if not piece:
                stream.close()
                return

    def wait_for(self, pattern, seconds):
        """The match object; TimeoutError or EOFError (it ended without) with the text so far."""
        regex = re.compile(pattern, re.M)
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                found = regex.search(self.text)
                if found:
                    return found
                left = deadline - time.monotonic()
                if self.ended:
                    raise EOFError(f"console ended without {pattern!r}:\n{self.tail()}")
                if left <= 0:
                    raise TimeoutError(f"no {pattern!r} in {seconds} s:\n{self.tail()}")
                self.changed.wait(left)

    def tail(self, lines=40):
        return "\n".join(self.text.splitlines()[-lines:])


class Qmp:
    """QEMU's control socket: commands in, answers out, events kept."""

    def __init__(self, path, seconds=10):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(seconds)

        def connect():
            try:
                self.sock.connect(path)
                return True
            except OSError:
                return False

        until(connect, seconds, why="QMP socket")
        self.lines = self.sock.makefile("r")
        self.events = []
        json.loads(self.lines.readline())
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        request = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self.sock.sendall(json.dumps(request).encode())
        while True:
            line = self.lines.readline()
            if not line:
                raise EOFError("QEMU closed its control socket")
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                raise RuntimeError(f"{command}: {message['error']}")
            else:
                return message.get("return")

    def close(self):
        self.lines.close()
        self.sock.close()


class Appliance:
    """One appliance: start, talk, stop, cut. A context manager."""

    def __init__(self, *, target=None, config=None, disk=None, machine=None, boot=None, memory=None,
                 cpus=None, net="user", append=None, qemu_args=(), accel=None, wait=True,
                 env=None, keep=False, host="127.0.0.1", resp=False):
        self.target = target or TARGET
        self.directory = tempfile.mkdtemp(prefix="openpolicy-test-")
        self.disk = disk or os.path.join(self.directory, "data.img")
        self.config = {"admin.email": ADMIN_EMAIL, "admin.password": ADMIN_PASSWORD,
                       "http.plain": True}
        self.config.update(config or {})
        self.machine, self.boot, self.memory, self.cpus = machine, boot, memory, cpus
        self.net, self.append, self.qemu_args = net, append, list(qemu_args)
        self.accel = accel or os.environ.get("OPENPOLICY_ACCEL")
        self.wait, self.env, self.keep = wait, dict(env or {}), keep
        self.host, self.http_port, self.https_port = host, None, None
        self.resp, self.resp_port = resp, None
        self.process = self.console = None
        self._qmp = None
        self._opening = threading.Lock()

    # ---- life ------------------------------------------------------------------------------------

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind and self.console:
            sys.stderr.write(f"--- console of the appliance ---\n{self.console.tail()}\n---\n")
        self.close()

    def start(self):
        forwarded = self.host == "127.0.0.1"
        self.http_port, self.https_port = (free_port(), free_port()) if forwarded else (80, 443)
        config_file = os.path.join(self.directory, "config.json")
        with open(config_file, "w") as f:
            if isinstance(self.config, dict):
                json.dump({k: v for k, v in self.config.items() if v is not None}, f)
            else:
                f.write(self.config)
        command = [os.path.join(TOP, "tools/run.sh"), "--target", self.target,
                   "--disk", self.disk, "--config", config_file, "--net", self.net]
        if self.net == "user":
            command += ["--http", str(self.http_port), "--https", str(self.https_port)]
            if self.resp:
                self.resp_port = free_port()
                command += ["--resp", str(self.resp_port)]
        for name in ("machine", "boot", "memory", "cpus", "append", "accel"):
            value = getattr(self, name)
            if value is not None and (self.target == "guest" or name not in ("machine", "boot", "accel")):
                command += ["--" + name, str(value)]
        if self.target == "guest":
            self.qmp_path = os.path.join(self.directory, "qmp")
            command += ["--qmp", self.qmp_path]
            for argument in self.qemu_args:
                command += ["--qemu-arg", argument]
        environment = dict(os.environ, **self.env)
        environment.setdefault("ASAN_OPTIONS", "abort_on_error=0:exitcode=99:detect_leaks=0")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1:exitcode=99")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True,
                                        env=environment)
        _running.add(self)
        self.console = Console(self.process.stdout)
        if self.wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=READY_SECONDS):
        """Until /readyz answers 200, or TimeoutError/EOFError with the console's tail."""
        patience = [0.3]  # QEMU's network repeats a SYN that came too early only after seconds

        def ready():
            if self.process.poll() is not None:
                time.sleep(0.2)
                raise EOFError(f"ended with {self.process.returncode} before it was ready:\n"
                               f"{self.console.tail()}")
            try:
                return self.get("/readyz", timeout=patience[0]).status == 200
            except (OSError, http.client.HTTPException):
                patience[0] = min(patience[0] * 1.5, 10)
                return False

        try:
            self.console.wait_for(r"listen(er ready|ing )", seconds)
            until(ready, seconds, why="/readyz")
        except TimeoutError as e:
            raise TimeoutError(f"{e}\n{self.console.tail()}") from None

    def wait_exit(self, seconds=30):
        """The status it ended with."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"still running after {seconds} s:\n{self.console.tail()}") from None
        with self.console.changed:
            self.console.changed.wait_for(lambda: self.console.ended, 5)
        self._gone()
        return status

    def power_button(self):
        if self.target == "guest":
            self.qmp.do("system_powerdown")
        else:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=30):
        """The power button; its exit status."""
        self.power_button()
        return self.wait_exit(seconds)

    def cut(self):
        """Kills it at once, with everything it started. What the host's cache holds survives."""
        if self.process and self.process.returncode is None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        self._gone()

    def restart(self):
        """A clean stop, and again with the same disk and configuration."""
        status = self.stop()
        if status != 0:
            raise AssertionError(f"clean stop ended with {status}:\n{self.console.tail()}")
        return self.start()

    def _gone(self):
        _running.discard(self)
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        if self.process and self.process.stdin:
            try:
                self.process.stdin.close()
            except OSError:
                pass

    def close(self):
        self.cut()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def qmp(self):
        if not self._qmp:
            self._qmp = Qmp(self.qmp_path)
        return self._qmp

    def type(self, line):
        """A line for the console."""
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    # ---- talk ------------------------------------------------------------------------------------

    def _connect(self, address, timeout=30, source=None):
        """QEMU's user network listens with a queue of one: more at once and some are reset before
        the appliance has heard of them. So connections are opened one after the other, each seen
        out of that queue before the next."""
        with self._opening:
            s = socket.create_connection(address, timeout, source)
            if address[0] == "127.0.0.1":
                until(lambda: accept_queue(address[1]) == 0, 20, step=0.002, why="accept queue")
            return s

    def connection(self, tls=False, timeout=30):
        if tls:
            context = ssl._create_unverified_context()
            c = http.client.HTTPSConnection(self.host, self.https_port, timeout=timeout,
                                            context=context)
        else:
            c = http.client.HTTPConnection(self.host, self.http_port, timeout=timeout)
        c._create_connection = self._connect
        return c

    def request(self, method, path, body=None, *, token=None, headers=None, tls=False, timeout=30,
                connection=None):
        """One request; a dict or list as body goes as JSON. Returns an Answer."""
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        if token:
            headers["Authorization"] = "Bearer " + token
        c = connection or self.connection(tls, timeout)
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            return Answer(r.status, collections.OrderedDict((k.lower(), v) for k, v in r.getheaders()),
                          r.read())
        finally:
            if not connection:
                c.close()

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def post(self, path, body=None, **kw):
        return self.request("POST", path, body, **kw)

    def put(self, path, body=None, **kw):
        return self.request("PUT", path, body, **kw)

    def patch(self, path, body=None, **kw):
        return self.request("PATCH", path, body, **kw)

    def delete(self, path, **kw):
        return self.request("DELETE", path, **kw)

    def login(self, email=ADMIN_EMAIL, password=ADMIN_PASSWORD):
        """An access token."""
        answer = self.post("/api/v1/auth/login", {"email": email, "password": password}, timeout=60)
        if answer.status != 200:
            raise AssertionError(f"login: {answer}")
        return answer.json()["access_token"]

    def peer_certificate(self):
        """The server's certificate, DER."""
        with socket.create_connection((self.host, self.https_port), 30) as s:
            with ssl._create_unverified_context().wrap_socket(s) as t:
                return t.getpeercert(True)

    def socket(self, timeout=10):
        return self._connect((self.host, self.http_port), timeout)

    def raw(self, data, timeout=10):
        """Sends these bytes on a new connection, returns all that comes until it is closed (or,
        after the timeout, what came so far and b'' + a mark that it stayed open)."""
        with self.socket(timeout) as s:
            try:
                s.sendall(data)
            except OSError:
                pass
            return read_all(s)


def read_all(s):
    """(bytes until the peer closed or fell silent, whether it closed)"""
    got = b""
    while True:
        try:
            piece = s.recv(65536)
        except (ConnectionResetError, BrokenPipeError):
            return got, True
        except (socket.timeout, ssl.SSLError):
            return got, False
        if not piece:
            return got, True
        got += piece


class AppliancePerClass(unittest.TestCase):
    """One appliance, `self.a`, for all tests of a class."""
    config = {}
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.a = Appliance(config=cls.config, **cls.options)
        try:
            cls.a.start()
        except BaseException:
            cls.a.close()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.a.close()

    def tearDown(self):
        code = self.a.process.poll() if self.a.process else None
        if code is not None and not getattr(self, "may_end", False):
            self.fail(f"the appliance ended with {code}:\n{self.a.console.tail(80)}")

    def problem(self, answer, status):
        """Checks the shape every refusal has: RFC 9457, with the request's id."""
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.headers.get("content-type"), "application/problem+json", answer)
        body = answer.json()
        self.assertEqual(body["status"], status)
        self.assertTrue(body["title"])
        self.assertTrue(answer.headers.get("x-request-id"))
        self.assertEqual(body["request_id"], answer.headers["x-request-id"])
        return body


only_guest = unittest.skipUnless(TARGET == "guest", "needs a machine")
only_host = unittest.skipUnless(TARGET == "host", "needs the process")


# ---- the runner ------------------------------------------------------------------------------------

class OneLineEach(unittest.TestResult):
    """`ok|FAILED|skipped  seconds  name`, then the reasons of what failed."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        limit = getattr(getattr(test, test._testMethodName, None), "seconds_max", TEST_SECONDS_MAX)
        signal.alarm(limit)

    def stopTest(self, test):
        signal.alarm(0)
        super().stopTest(test)

    def _line(self, word, test, more=""):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        print(f"  {word:8}{seconds:6.1f} s  {test.id()}{more}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self._line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line("skipped", test, f" ({reason})")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._line("FAILED", test)
        print(self.failures[-1][1], flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._line("FAILED", test)
        print(self.errors[-1][1], flush=True)

    def addSubTest(self, test, subtest, err):
        if err:
            super().addSubTest(test, subtest, err)
            which = self.failures if issubclass(err[0], test.failureException) else self.errors
            print(f"  FAILED  {subtest.id()}\n{which[-1][1]}", flush=True)


def _flatten(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from _flatten(t)
        else:
            yield t


def main(arguments):
    words = list(arguments)
    if "--target" in words:  # decides what is skipped while suites are loaded: start over with it
        at = words.index("--target")
        os.environ["TARGET"] = words[at + 1]
        del words[at:at + 2]
        os.execv(sys.executable, [sys.executable, os.path.abspath(__file__)] + words)
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.path.insert(0, HERE)
    sys.modules["appliance"] = sys.modules["__main__"]  # suites see this very module
    suite = unittest.defaultTestLoader.discover(HERE, pattern="test_*.py")
    if words:
        suite = unittest.TestSuite(t for t in _flatten(suite) if any(w in t.id() for w in words)
                                   or "_FailedTest" in t.id())
    print(f"integration, TARGET={TARGET}", flush=True)
    result = OneLineEach()
    began = time.monotonic()
    suite.run(result)
    failed = len(result.failures) + len(result.errors)
    if result.passed == 0 and not failed:
        print("no test ran: that is a failure")
        failed = 1
    print(f"{TARGET}: {len(result.skipped)} skipped, {time.monotonic() - began:.0f} s")
    print(f"{result.passed} passed, {failed} failed")
    return 1 if failed else 0


def _too_long(_signal, _frame):
    raise TimeoutError("this test ran longer than its limit")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
