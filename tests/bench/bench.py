#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench.py: the measured figures of this machine, one per line: `name value unit`.

    python3 tests/bench/bench.py [--runs N] [--seconds S] [--only WORD]... [--out FILE]
    python3 tests/bench/bench.py --profile policy_post.c1 [--rows N] [--callers FUNCTION]...   see profile.py
    python3 tests/bench/bench.py --profile boot

Load comes over a tap, in a network namespace made for the purpose (`unshare -rn`: no privileges
needed), never over QEMU's user network, which is 3 to 5 times slower. wrk makes it. Each figure is
the median of the runs; `min..max` follows when they differ by more than a tenth.

  boot.MACHINE.*     second boot of a disk: from QEMU's exec to our first instruction, to the listener,
                     to the first 200 as a client sees it; instructions (the firmware's before our
                     first one included) counted by tools/insncount.c in runs of their own
  guest.* host.*     requests per second and latency; host is the release build of the process.
                     `.errors` are requests that were not answered with 2xx, `.status.NNN` which
                     answers the appliance gave to them
  insn.*             guest instructions per request, everything included (network, timers, disk)

`memory_idle` is taken once the appliance itself says that nothing is being worked on, after a second
start without any request; `memory_after_login` likewise after the first login.
Read wall times only beside the machine line: on an emulator they say little, instructions say more.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests/integration"))
from appliance import ADMIN_EMAIL, ADMIN_PASSWORD, Appliance, until  # noqa: E402
import policy_bench  # noqa: E402
import profile  # noqa: E402

TAP, OURS, THEIRS, MAC = "tap0", "192.0.2.1", "192.0.2.2", "52:54:00:12:34:56"
COUNTER = os.path.join(TOP, "build/insncount.so")
SETTLE = {1: 2, 32: 4, 1000: 30}  # seconds in which so many TLS connections are made before they are used
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
    """(all instructions so far, those before each mark)"""
    with open(path, "rb") as f:
        words = struct.unpack("=72Q", f.read(72 * 8))
    return sum(words[:64]), words[64:]


def addresses(*symbols):
    """Where functions of the image begin."""
    out = subprocess.run(["nm", os.path.join(TOP, "build/guest/openpolicy.debug.elf")], capture_output=True,
                         text=True, check=True).stdout
    found = dict((line.split()[2], line.split()[0]) for line in out.splitlines() if len(line.split()) == 3)
    return [found[s] for s in symbols]


def metrics(a):
    """{name or name{labels}: value}"""
    text = a.get("/metrics", timeout=60).body.decode()
    return {k: float(v) for k, v in re.findall(r"^([^#].*) (\S+)$", text, re.M)}


def quiet(a):
    """The metrics of an appliance that works on nothing: no request but this one, no job, no hash."""
    def look():
        m = metrics(a)
        busy = (m["openpolicy_http_requests_active"] > 1 or m["openpolicy_worker_jobs_waiting"] > 0 or
                m['openpolicy_memory_budget_used_bytes{budget="password hashing"}'] > 0)
        return None if busy else m
    return until(look, 60, step=0.2, why="the appliance to be at rest")


# ---- Figures -----------------------------------------------------------------------------------------

class Figures:
    def __init__(self, only, out):
        self.values, self.only, self.out = {}, only, out

    def wanted(self, name):
        return not self.only or any(w in name for w in self.only)

    def section(self, name):
        """Is anything of it wanted? A word that names no section may be in each."""
        heads = [w.split(".")[0] for w in self.only]
        return not heads or any(h == name or h not in ("size", "boot", "guest", "host", "insn") for h in heads)

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
    marks = [f",mark=0x{at}" for at in addresses("boot_start", "gateway_on_first_answer")]
    extra = ["-plugin", f"{COUNTER},counter={counter}" + "".join(marks)] if count else []
    with Place(disk, target="guest", machine=machine, env={"QEMU": wrapper}, wait=False, qemu_args=extra) as a:
        done = first_200(a, "/readyz", time.time() + 60)
        instructions, (first, listening, *_) = counted(counter) if count else (0, (0, 0))
        started = float(open(stamp).read())
        told = a.console.wait_for(r"listening ([\d.]+) s, first answer ([\d.]+) s", 10)
        if count:
            figures.add(f"boot.{machine}.instructions_before_ours", first / 1e6, "Minsn")
            figures.add(f"boot.{machine}.instructions_to_listening", listening / 1e6, "Minsn")
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


def wrk(seconds, connections, url, script=None, close=False, header=None, env=None, settle=0, begun=None):
    """(requests, requests/s, p50 ms, p99 ms, errors). With `settle`, connections are made for so many
    seconds before there are requests; `begun` is called when these begin."""
    if settle:
        script, env = "settle.lua", dict(env or {}, SETTLE=str(settle))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds + settle}s", "--latency", "--timeout", "60s"]
    command += ["-s", os.path.join(HERE, script)] if script else []
    command += ["-H", "Connection: close"] if close else []
    command += ["-H", header] if header else []
    timer = threading.Timer(settle, begun or (lambda: None))
    timer.start()
    out = subprocess.run(command + [url], capture_output=True, text=True, timeout=seconds + settle + 60,
                         env=dict(os.environ, **(env or {}))).stdout
    timer.join()

    def latency(percent):
        m = re.search(rf"^\s*{percent}%\s+([\d.]+)(us|ms|s|m)\s*$", out, re.M)  # wrk: "2.43s "
        if not m:
            raise AssertionError(f"wrk: {out}")
        return float(m[1]) * UNITS[m[2]]

    total = re.search(r"(\d+) requests in", out)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", out)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    errors = int(bad[1]) if bad else 0
    for word in re.findall(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out):
        errors += sum(map(int, word)) if not close else int(word[0]) + int(word[3])
    if not total:
        raise AssertionError(f"wrk: {out}")
    if int(total[1]) == 0:
        return 0, 0, 0, 0, errors
    return int(total[1]), float(rate[1]) * (seconds + settle) / seconds, latency(50), latency(99), errors


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
        return 0, 0, 0, 0, errors[0]
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
        yield f"tls_health.c{c}", dict(connections=c, url=secure + "/health", settle=SETTLE[c])
    yield "new_connections.c32", dict(connections=32, url=plain + "/health", close=True)
    yield "tls_handshakes.c8", None
    yield "policy_get.c32", dict(connections=32, url=f"{plain}/api/v1/policies/{policy}", header=bearer)
    yield "policy_post.c1", dict(connections=1, url=plain, script="post.lua", env=env)
    yield "policy_post.c32", dict(connections=32, url=plain, script="post.lua", env=env)
    for c in (1, 32):
        yield f"decide.c{c}", dict(connections=c, url=plain, script="decide.lua", env=env)
    for case, path, body in decisions():
        yield f"decide_{case}.c32", dict(connections=32, url=plain, script="decide_case.lua",
                                         env={**env, "CASE": path, "BODY": body})
    yield "login.c2", dict(connections=2, url=plain + "/api/v1/auth/login", script="login.lua", env=env)


def decisions():
    """name, path, body of the decisions that are also measured without a network"""
    folder = policy_bench.prepare()
    wanted = ("hello", "rbac_keyed", "abac", "jwt_hs256")
    for name, _, given, query, _ in policy_bench.cases(folder, None) if folder else ():
        if name in wanted:
            with open(os.path.join(folder, "inputs", given + ".json")) as f:
                body = json.dumps({"input": json.load(f)}, separators=(",", ":"))
            yield name, "/v1/data/" + query.removeprefix("data.").replace(".", "/"), body


def decisions_load(a, token):
    folder = policy_bench.prepare()
    for name in ("hello", "rbac", "abac", "jwt") if folder else ():
        with open(os.path.join(folder, name, "policy.rego"), "rb") as f:
            put_policy(a, token, "bench_" + name, f.read())
        data = os.path.join(folder, name, "data.json")
        if os.path.exists(data):
            for key, value in json.load(open(data)).items():
                if a.put("/v1/data/" + key, value, token=token).status != 204:
                    raise AssertionError(key)


def put_policy(a, token, name, text):
    put = a.put("/v1/policies/" + name, text, token=token, headers={"Content-Type": "text/plain"})
    if put.status != 200:
        raise AssertionError(put)


def tenant(number, version=0):
    """A policy of twelve rules, as one of many tenants has it."""
    own = f"data.tenants_data.t{number:04d}"
    return f"""package tenants.t{number:04d}.policy

import data.shared.lib

default allow := false

allow if {{
	some role in roles
	some grant in grants[role]
	grant.action == input.action
	grant.resource == input.resource
}}

allow if {{
	input.user == "admin{number + version}"
	input.tenant == "t{number}"
}}

roles contains role if some role in {own}.users[input.user].roles

grants := {own}.grants

deny contains msg if {{
	not lib.valid(input.token)
	msg := sprintf("token of %v refused by {number}", [input.user])
}}

deny contains "too large" if input.size > {number * 10 + version}

deny contains "method" if not input.method in {{"GET", "PUT", "POST{number}"}}

owner(x) if x.owner == input.user

audit := {{"user": input.user, "n": {number + version}}} if allow
""".encode()


def put_figures(figures, target, a, token):
    """One of 500 policies is replaced, end to end; then the first decision by it."""
    put_policy(a, token, "lib", b'package shared.lib\n\nvalid(t) if startswith(t, "tok-")\n')
    for number in range(500):
        put_policy(a, token, f"tenant{number:04d}", tenant(number))
    puts, firsts = [], []
    for version in range(1, 61):
        began = time.perf_counter()
        put_policy(a, token, "tenant0123", tenant(123, version))
        done = time.perf_counter()
        a.post("/v1/data/tenants/t0123/policy/audit", {"input": {"user": "a"}}, token=token)
        puts.append((done - began) * 1e3)
        firsts.append((time.perf_counter() - done) * 1e3)
    figures.add(f"{target}.policy_put_500.p50", statistics.median(puts), "ms")
    figures.add(f"{target}.policy_put_500.p90", sorted(puts)[len(puts) * 9 // 10], "ms")
    figures.add(f"{target}.policy_put_500.first_decision", statistics.median(firsts), "ms")


def measure(name, seconds, arguments, begun=None):
    if arguments is None:
        if begun:
            begun()
        return handshakes(max(seconds, 5))
    return wrk(max(seconds, 10) if name == "login.c2" else seconds, begun=begun, **arguments)


def prepare(a):
    token = a.login()
    made = a.post("/api/v1/policies", {"title": "Measured again and again", "body": "x" * 200}, token=token)
    if made.status != 201:
        raise AssertionError(made)
    policy = b'package bench\n\ndefault allow := false\n\nallow if input.user == "alice"\n'
    put = a.put("/v1/policies/bench", policy, token=token, headers={"Content-Type": "text/plain"})
    if put.status != 200:
        raise AssertionError(put)
    decisions_load(a, token)
    return token, made.json()["id"]


def memory_figures(figures, target, directory):
    """After a second start that nobody has asked anything yet, and after its first login."""
    disk = os.path.join(directory, f"memory-{target}.img")
    options = dict(target=target, machine="microvm" if target == "guest" else None)
    with Place(disk, **options) as a:
        a.stop()
    with Place(disk, **options) as a:
        figures.add(f"{target}.memory_idle", quiet(a)["process_resident_memory_bytes"] / 2**20, "MiB")
        a.login()
        figures.add(f"{target}.memory_after_login", quiet(a)["process_resident_memory_bytes"] / 2**20, "MiB")
        a.stop()
    os.unlink(disk)


def answers_by_status(m):
    totals = {}
    for name, value in m.items():
        status = re.search(r'^openpolicy_http_requests_total\{.*status="(\d+)"', name)
        if status:
            totals[status[1]] = totals.get(status[1], 0) + value
    return totals


def load_figures(figures, a, name, seconds, arguments):
    before = metrics(a)
    requests, rate, p50, p99, errors = measure(name.split(".", 1)[1], seconds, arguments)
    after = metrics(a)
    figures.add(f"{name}.rate", rate, "1/s")
    if requests:
        figures.add(f"{name}.p50", p50, "ms")
        figures.add(f"{name}.p99", p99, "ms")
    if ".tls_" in name:
        for what in ("handshakes", "handshakes_shed"):
            counter = f"openpolicy_tls_{what}_total"
            if after[counter] > before[counter]:
                figures.add(f"{name}.{what}", after[counter] - before[counter], "handshakes")
    if not errors:
        return
    figures.add(f"{name}.errors", errors, "requests")
    had = answers_by_status(before)
    for status, count in sorted(answers_by_status(after).items()):
        if status[0] != "2" and count > had.get(status, 0):
            figures.add(f"{name}.status.{status}", count - had.get(status, 0), "answers")


def load_target(figures, target, seconds, runs, directory):
    tap_make()
    if figures.wanted(f"{target}.memory"):
        for _ in range(runs):
            memory_figures(figures, target, directory)
    for run in range(runs):
        disk = os.path.join(directory, f"load-{target}-{run}.img")
        with Place(disk, target=target, machine="microvm" if target == "guest" else None) as a:
            token, policy = prepare(a)
            for name, arguments in loads(a, token, policy):
                if figures.wanted(f"{target}.{name}"):
                    quiet(a)
                    load_figures(figures, a, f"{target}.{name}", seconds, arguments)
            if target == "host" and figures.wanted("host.policy_put_500"):
                put_figures(figures, target, a, token)
            a.stop()
        os.unlink(disk)
    figures.show()


def search_all(a, token):
    """A search enters into the index whatever was acknowledged before it."""
    found = a.get("/api/v1/policies/search?q=nowhere", token=token, timeout=60)
    if found.status != 200:
        raise AssertionError(found)


def load_instructions(figures, seconds, directory):
    """Guest instructions per request; one run: they hardly depend on the host. Documents enter the
    search index after their answer: `with_index` counts that as well."""
    counter, disk = os.path.join(directory, "count"), os.path.join(directory, "insn.img")
    with Place(disk, target="guest", machine="microvm", cpus=1,
               qemu_args=["-plugin", f"{COUNTER},counter={counter}"]) as a:
        token, policy = prepare(a)
        quiet(a)
        before, began = counted(counter)[0], time.time()
        time.sleep(5)  # the span that is measured
        figures.add("insn.idle", (counted(counter)[0] - before) / (time.time() - began) / 1e3, "kinsn/s")
        for name, arguments in loads(a, token, policy):
            if not figures.wanted(f"insn.{name}"):
                continue
            quiet(a)
            before = []
            requests, _, _, _, errors = measure(name, seconds, arguments, lambda: before.append(counted(counter)[0]))
            if requests:
                figures.add(f"insn.{name}", (counted(counter)[0] - before[0]) / requests / 1e3, "kinsn/request")
            if requests and name.startswith("policy_post"):
                search_all(a, token)
                figures.add(f"insn.{name}.with_index", (counted(counter)[0] - before[0]) / requests / 1e3,
                            "kinsn/request")
            if errors:
                figures.add(f"insn.{name}.errors", errors, "requests")
        a.stop()
    figures.show()


class Profiled:
    """A guest whose instructions, and calls if any are asked about, are counted by address."""

    def __init__(self, options, directory):
        self.options, self.disk = options, os.path.join(directory, "profile.img")
        self.counter, self.edges = os.path.join(directory, "count"), os.path.join(directory, "callers")
        callers = f",callers={self.edges}" if options.callers else ""
        self.qemu_args = ["-plugin", f"{PROFILER},counter={self.counter}{callers}"]

    def taken(self):
        return profile.snapshot(self.counter), profile.snapshot(self.edges) if self.options.callers else {}

    def report(self, figures, before, after, requests):
        elf = os.path.join(TOP, "build/guest/openpolicy.debug.elf")
        for line in profile.report(profile.by_function(before[0], after[0], elf), requests, self.options.rows):
            figures.line(line)
        for function in self.options.callers:
            found = profile.callers(before[1], after[1], elf, function)
            for caller, count in sorted(found.items(), key=lambda c: -c[1])[:20]:
                figures.line(f"{count / requests:10.2f}  {function} <- {caller}")


def boot_profile(figures, options, directory):
    """Instructions and calls of a second start up to its first answer, by function."""
    prof = Profiled(options, directory)
    for qemu_args in ([], prof.qemu_args):
        with Place(prof.disk, target="guest", machine="microvm", cpus=1, wait=False, qemu_args=qemu_args) as a:
            first_200(a, "/readyz", time.time() + 60)
            if qemu_args:
                prof.report(figures, ({}, {}), prof.taken(), 1)
            a.stop()


def load_profile(figures, wanted, options, directory):
    """Instructions and calls per request, by function."""
    prof = Profiled(options, directory)
    with Place(prof.disk, target="guest", machine="microvm", cpus=1, qemu_args=prof.qemu_args) as a:
        token, policy = prepare(a)
        for name, arguments in loads(a, token, policy):
            if name != wanted:
                continue
            measure(name, 1, arguments)
            before = prof.taken()
            requests, _, _, _, errors = measure(name, options.seconds, arguments)
            figures.line(f"# {name}: {requests} requests, {errors} errors; instructions and calls per request")
            prof.report(figures, before, prof.taken(), requests)
        a.stop()


def sizes(figures):
    for name, path in (("elf", "build/guest/openpolicy.elf"), ("image", "build/openpolicy.img"),
                       ("image_qcow2", "build/openpolicy.qcow2")):
        full = os.path.join(TOP, path)
        if os.path.exists(full) and figures.wanted(f"size.{name}"):
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
        if options.profile == "boot":
            boot_profile(figures, options, directory)
            return
        if options.profile:
            load_profile(figures, options.profile, options, directory)
            return
        sizes(figures)
        if figures.section("boot"):
            boots(figures, options.runs, directory)
        if figures.section("guest"):
            load_target(figures, "guest", options.seconds, options.runs, directory)
        if figures.section("insn"):
            load_instructions(figures, options.seconds, directory)
        if figures.section("host"):
            load_target(figures, "host", options.seconds, options.runs, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
