#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py: the measured figures of this machine, one per line: `name value unit`.

    python3 tests/bench/bench.py [--runs N] [--seconds S] [--only WORD]... [--out FILE]
    python3 tests/bench/bench.py --profile policy_post.c1 [--rows N] [--callers FUNCTION]...   see profile.py

Load comes over a tap, in a network namespace made for the purpose (`unshare -rn`: no privileges
needed), never over QEMU's user network, which is 3 to 5 times slower. wrk makes it. Each figure is
the median of the runs; `min..max` follows when they differ by more than a tenth.

  boot.MACHINE.*     second boot of a disk: from QEMU's exec to its first guest instruction, to the
                     listener, to the first 200 as a client sees it; instructions counted by
                     tools/insncount.c in a run of their own
  guest.* host.*     requests per second and latency; host is the release build of the process
  insn.*             guest instructions per request, everything included (network, timers, disk)

Read wall times only beside the machine line: on an emulator they say little, instructions say more.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests/integration"))
from appliance import ADMIN_EMAIL, ADMIN_PASSWORD, Appliance  # noqa: E402
import profile  # noqa: E402

TAP, OURS, THEIRS, MAC = "tap0", "192.0.2.1", "192.0.2.2", "52:54:00:12:34:56"
COUNTER = os.path.join(TOP, "build/insncount.so")
PROFILER = os.path.join(TOP, "build/insnprof.so")


# ---- The place ---------------------------------------------------------------------------------------

def tap_make():
    """A new tap: an old one keeps the offloads that QEMU switched on, which not everybody wants."""
    subprocess.run(f"ip link del {TAP}".split(), check=False, stderr=subprocess.DEVNULL)
    for command in (f"ip tuntap add dev {TAP} mode tap", f"ip addr add {OURS}/24 dev {TAP}",
                    f"ip link set {TAP} up", f"ip neigh replace {THEIRS} lladdr {MAC} dev {TAP} nud permanent"):
        subprocess.run(command.split(), check=True)


def enter_namespace():
    if os.environ.get("OPENPOLICY_BENCH") != "inside":
        os.environ["OPENPOLICY_BENCH"] = "inside"
        os.execvp("unshare", ["unshare", "-rn", sys.executable, os.path.abspath(__file__)] + sys.argv[1:])
    subprocess.run("ip link set lo up".split(), check=True)
    tap_make()
    for name, value in (("tcp_tw_reuse", "1"), ("ip_local_port_range", "10000 65000")):
        try:
            with open(f"/proc/sys/net/ipv4/{name}", "w") as f:
                f.write(value)
        except OSError:
            pass


class Place(Appliance):
    """An appliance at 192.0.2.2 on the tap."""

    def __init__(self, disk, **options):
        config = {"net.address": THEIRS + "/24", "net.gateway": OURS, "log.level": "warn"}
        super().__init__(net="tap:" + TAP, config=config, disk=disk, host=THEIRS,
                         env={"OPENPOLICY_HOST": os.path.join(TOP, "build/release-host/openpolicy"),
                              "OPENPOLICY_MAC": MAC, **options.pop("env", {})}, **options)


def counted(path):
    with open(path, "rb") as f:
        return sum(int.from_bytes(f.read(8), sys.byteorder) for _ in range(64))


# ---- Figures -----------------------------------------------------------------------------------------

class Figures:
    def __init__(self, only, out):
        self.values, self.only, self.out = {}, only, out

    def wanted(self, name):
        return not self.only or any(w in name for w in self.only)

    def add(self, name, value, unit):
        self.values.setdefault((name, unit), []).append(value)

    def show(self):
        for (name, unit), values in self.values.items():
            middle, low, high = statistics.median(values), min(values), max(values)
            spread = f"  ({number(low)}..{number(high)})" if high - low > abs(middle) / 10 else ""
            self.line(f"{name} {number(middle)} {unit}{spread}")
        self.values.clear()

    def line(self, text):
        print(text, flush=True)
        if self.out:
            self.out.write(text + "\n")


def number(v):
    return f"{v:.0f}" if abs(v) >= 1000 else f"{v:.4g}"


def machine_line():
    model = re.search(r"model name\s*: (.*)", open("/proc/cpuinfo").read())
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    accel = os.environ.get("OPENPOLICY_ACCEL") or "tcg"
    return (f"# {model[1] if model else 'unknown CPU'}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, "
            f"Linux {os.uname().release}, {qemu}, accelerator {accel}")


# ---- Boot --------------------------------------------------------------------------------------------

def first_200(a, path, deadline):
    """Polls with short connects: a SYN that comes too early must not cost a second."""
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    while time.time() < deadline:
        try:
            with socket.create_connection((THEIRS, 80), 0.02) as s:
                s.settimeout(2)
                s.sendall(request)
                if s.recv(64)[9:12] == b"200":
                    return time.time()
        except OSError:
            time.sleep(0.002)
        if a.process.poll() is not None:
            raise AssertionError(a.console.tail())
    raise TimeoutError("no 200")


def boot_once(figures, machine, disk, directory, count):
    stamp = os.path.join(directory, "started")
    wrapper = os.path.join(directory, "qemu")
    with open(wrapper, "w") as f:
        f.write(f"#!/bin/sh\ndate +%s.%N >{stamp}\nexec qemu-system-x86_64 \"$@\"\n")
    os.chmod(wrapper, 0o755)
    counter = os.path.join(directory, "count")
    extra = ["-plugin", f"{COUNTER},counter={counter}"] if count else []
    with Place(disk, target="guest", machine=machine, env={"QEMU": wrapper}, wait=False, qemu_args=extra) as a:
        done = first_200(a, "/readyz", time.time() + 60)
        instructions = counted(counter) if count else 0
        started = float(open(stamp).read())
        told = a.console.wait_for(r"listening ([\d.]+) s, first answer ([\d.]+) s", 10)
        if count:
            figures.add(f"boot.{machine}.instructions_to_first_200", instructions / 1e6, "Minsn")
        else:
            listening, answered = float(told[1]), float(told[2])
            figures.add(f"boot.{machine}.first_instruction", done - started - answered, "s")
            figures.add(f"boot.{machine}.listening", done - started - answered + listening, "s")
            figures.add(f"boot.{machine}.first_200", done - started, "s")
            figures.add(f"boot.{machine}.guest_to_listening", listening, "s")
        a.stop()


def boots(figures, runs, directory):
    for machine in ("microvm", "q35"):
        if not figures.wanted(f"boot.{machine}"):
            continue
        disk = os.path.join(directory, f"boot-{machine}.img")
        with Place(disk, target="guest", machine=machine, wait=False) as a:
            first_200(a, "/readyz", time.time() + 60)
            a.stop()
        for _ in range(max(runs, 3)):
            boot_once(figures, machine, disk, directory, False)
        for _ in range(3):
            boot_once(figures, machine, disk, directory, True)
        figures.show()


# ---- Load --------------------------------------------------------------------------------------------

UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


def wrk(seconds, connections, url, script=None, close=False, header=None, env=None):
    """(requests, requests/s, p50 ms, p99 ms, errors)"""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "20s"]
    command += ["-s", os.path.join(HERE, script)] if script else []
    command += ["-H", "Connection: close"] if close else []
    command += ["-H", header] if header else []
    out = subprocess.run(command + [url], capture_output=True, text=True, timeout=seconds + 60,
                         env=dict(os.environ, **(env or {}))).stdout

    def latency(percent):
        m = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s|m)$", out, re.M)
        return float(m[1]) * UNITS[m[2]] if m else float("nan")

    total = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = int(bad[1]) if bad else 0
    for word in re.findall(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out):
        errors += sum(map(int, word)) if not close else int(word[0]) + int(word[3])
    if not total:
        raise AssertionError(f"wrk: {out}")
    return int(total[1]), float(rate[1]), latency(50), latency(99), errors


def handshakes(seconds):
    """The same figures as wrk's: full TLS handshakes, one request each. wrk would resume sessions."""
    took, errors, end = [], [0], time.time() + seconds

    def client():
        while time.time() < end:
            began = time.time()
            try:
                context = ssl._create_unverified_context()
                with socket.create_connection((THEIRS, 443), 20) as s, context.wrap_socket(s) as t:
                    t.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    while t.recv(4096):
                        pass
                took.append((time.time() - began) * 1e3)
            except OSError:
                errors[0] += 1

    began = time.time()
    threads = [threading.Thread(target=client) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took.sort()
    if not took:
        return 0, 0, float("nan"), float("nan"), errors[0]
    return (len(took), len(took) / (time.time() - began), took[len(took) // 2], took[len(took) * 99 // 100],
            errors[0])


def loads(a, token, policy):
    """name, arguments of wrk"""
    plain, secure = f"http://{THEIRS}", f"https://{THEIRS}"
    bearer = "Authorization: Bearer " + token
    env = {"TOKEN": token, "EMAIL": ADMIN_EMAIL, "PASSWORD": ADMIN_PASSWORD}
    for c in (1, 32, 1000):
        yield f"health.c{c}", dict(connections=c, url=plain + "/health")
    for c in (1, 32, 1000):
        yield f"tls_health.c{c}", dict(connections=c, url=secure + "/health")
    yield "new_connections.c32", dict(connections=32, url=plain + "/health", close=True)
    yield "tls_handshakes.c8", None
    yield "policy_get.c32", dict(connections=32, url=f"{plain}/api/v1/policies/{policy}", header=bearer)
    yield "policy_post.c1", dict(connections=1, url=plain, script="post.lua", env=env)
    yield "policy_post.c32", dict(connections=32, url=plain, script="post.lua", env=env)
    yield "login.c2", dict(connections=2, url=plain + "/api/v1/auth/login", script="login.lua", env=env)


def measure(name, seconds, arguments):
    if arguments is None:
        return handshakes(max(seconds, 5))
    slow = name.startswith(("login", "tls_health.c1000"))  # one answer, or the handshakes alone, take long
    return wrk(max(seconds, 10) if slow else seconds, **arguments)


def prepare(a):
    token = a.login()
    made = a.post("/api/v1/policies", {"title": "Measured again and again", "body": "x" * 200}, token=token)
    if made.status != 201:
        raise AssertionError(made)
    return token, made.json()["id"]


def memory_used(a):
    text = a.get("/metrics").body.decode()
    m = re.search(r"^process_resident_memory_bytes (\S+)$", text, re.M)
    return float(m[1]) / 2**20 if m else float("nan")


def load_target(figures, target, seconds, runs, directory):
    tap_make()
    for run in range(runs):
        disk = os.path.join(directory, f"load-{target}-{run}.img")
        with Place(disk, target=target, machine="microvm" if target == "guest" else None) as a:
            token, policy = prepare(a)
            if target == "guest":
                figures.add("guest.memory_idle", memory_used(a), "MiB")
            for name, arguments in loads(a, token, policy):
                if not figures.wanted(f"{target}.{name}"):
                    continue
                _, rate, p50, p99, errors = measure(name, seconds, arguments)
                figures.add(f"{target}.{name}.rate", rate, "1/s")
                figures.add(f"{target}.{name}.p50", p50, "ms")
                figures.add(f"{target}.{name}.p99", p99, "ms")
                if errors:
                    figures.add(f"{target}.{name}.errors", errors, "requests")
            a.stop()
        os.unlink(disk)
    figures.show()


def load_instructions(figures, seconds, directory):
    """Guest instructions per request; one run: they hardly depend on the host."""
    counter, disk = os.path.join(directory, "count"), os.path.join(directory, "insn.img")
    with Place(disk, target="guest", machine="microvm", cpus=1,
               qemu_args=["-plugin", f"{COUNTER},counter={counter}"]) as a:
        token, policy = prepare(a)
        before, began = counted(counter), time.time()
        time.sleep(2)
        figures.add("insn.idle", (counted(counter) - before) / (time.time() - began) / 1e3, "kinsn/s")
        for name, arguments in loads(a, token, policy):
            if not figures.wanted(f"insn.{name}"):
                continue
            before = counted(counter)
            requests, _, _, _, errors = measure(name, seconds, arguments)
            if requests:
                figures.add(f"insn.{name}", (counted(counter) - before) / requests / 1e3, "kinsn/request")
        a.stop()
    figures.show()


def load_profile(figures, wanted, options, directory):
    """Instructions and calls per request, by function."""
    counter, disk = os.path.join(directory, "count"), os.path.join(directory, "profile.img")
    edges, elf = os.path.join(directory, "callers"), os.path.join(TOP, "build/guest/openpolicy.debug.elf")
    arguments = f",callers={edges}" if options.callers else ""
    with Place(disk, target="guest", machine="microvm", cpus=1,
               qemu_args=["-plugin", f"{PROFILER},counter={counter}{arguments}"]) as a:
        token, policy = prepare(a)
        for name, arguments in loads(a, token, policy):
            if name != wanted:
                continue
            measure(name, 1, arguments)
            before = profile.snapshot(counter)
            calls = profile.snapshot(edges) if options.callers else {}
            requests, _, _, _, errors = measure(name, options.seconds, arguments)
            functions = profile.by_function(before, profile.snapshot(counter), elf)
            figures.line(f"# {name}: {requests} requests, {errors} errors; instructions and calls per request")
            for line in profile.report(functions, requests, options.rows):
                figures.line(line)
            for function in options.callers:
                found = profile.callers(calls, profile.snapshot(edges), elf, function)
                for caller, count in sorted(found.items(), key=lambda c: -c[1])[:20]:
                    figures.line(f"{count / requests:10.2f}  {function} <- {caller}")
        a.stop()


def sizes(figures):
    for name, path in (("elf", "build/guest/openpolicy.elf"), ("disk_qcow2", "build/openpolicy.qcow2")):
        full = os.path.join(TOP, path)
        if os.path.exists(full):
            figures.add(f"size.{name}", os.path.getsize(full) / 2**20, "MiB")
    figures.show()


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--runs", type=int, default=3)
    ask.add_argument("--seconds", type=int, default=3)
    ask.add_argument("--only", action="append", default=[])
    ask.add_argument("--out")
    ask.add_argument("--profile")
    ask.add_argument("--callers", action="append", default=[])
    ask.add_argument("--rows", type=int, default=60)
    options = ask.parse_args()
    for tool in ("wrk", "ip", "unshare", "qemu-system-x86_64"):
        if not shutil.which(tool):
            sys.exit(f"bench: {tool} is missing: tools/setup.sh installs it")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started ends too
    enter_namespace()
    os.environ.setdefault("OPENPOLICY_ACCEL", "tcg")
    directory = tempfile.mkdtemp(prefix="openpolicy-bench-")
    out = open(options.out, "w") if options.out else None
    figures = Figures(options.only, out)
    try:
        figures.line(machine_line())
        if options.profile:
            load_profile(figures, options.profile, options, directory)
            return
        sizes(figures)
        boots(figures, options.runs, directory)
        if figures.wanted("guest.") or any("guest" in w for w in options.only):
            load_target(figures, "guest", options.seconds, options.runs, directory)
        if figures.wanted("insn.") or any("insn" in w for w in options.only):
            load_instructions(figures, options.seconds, directory)
        if figures.wanted("host.") or any("host" in w for w in options.only):
            load_target(figures, "host", options.seconds, options.runs, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
