#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cache_bench.py: the cache beside a native Redis on this machine, one core each, in one run.

    python3 tests/bench/cache_bench.py [--runs N] [--requests N] [--keys N]

  cache.OP.pN.rate         requests per second of the host process, over a tap (its own TCP in it)
  redis.OP.pN.rate         of Debian's redis-server, over loopback (the kernel's TCP, no frames)
  ratio.OP.pN.rate         the first through the second
  *.cpu                    processor time of the server per request, kernel included, in us; the
                           load's own is on the other core and not in it
  *.memory_per_key         bytes of the process (resident) and as INFO counts them per small key
                           (16 bytes, value of 16 bytes)

redis-benchmark makes the load: 50 connections, keys of a range of 100,000, values of 16 bytes, with
one request under way per connection (p1) or sixteen (p16). Runs alternate between the two servers;
figures are medians. Needs no privileges: everything happens in a network namespace of its own."""
import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import bench  # noqa: E402
from appliance import until  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
REDIS_PORT = 16379
LOADS = [(op, p) for op in ("SET", "GET") for p in (1, 16)]


class Server:
    def __init__(self, name, address, pids):
        self.name, self.address, self.pids = name, address, pids

    def pin(self, core):
        for pid in self.pids:
            subprocess.run(["taskset", "-acp", str(core), str(pid)], check=True, stdout=subprocess.DEVNULL)

    def cpu(self):
        """Seconds of the processor, user and kernel."""
        total = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/stat") as f:
                field = f.read().rsplit(")", 1)[1].split()
            total += int(field[11]) + int(field[12])
        return total / TICK

    def resident(self):
        kib = 0
        for pid in self.pids:
            with open(f"/proc/{pid}/status") as f:
                kib += int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])
        return kib * 1024

    def command(self, *words, text=None):
        host, port = self.address
        out = subprocess.run(["redis-cli", "-h", host, "-p", str(port), *words], input=text,
                             capture_output=True, text=True, timeout=300, check=True)
        return out.stdout

    def counted(self):
        return int(re.search(r"used_memory:(\d+)", self.command("INFO", "memory"))[1])

    def load(self, op, pipeline, requests):
        host, port = self.address
        before = self.cpu()
        out = subprocess.run(["taskset", "-c", "0", "redis-benchmark", "-h", host, "-p", str(port), "-c", "50",
                              "-n", str(requests), "-P", str(pipeline), "-t", op.lower(), "-r", "100000",
                              "-d", "16", "--csv"], capture_output=True, text=True, timeout=300, check=True).stdout
        found = re.search(rf'"{op}","([\d.]+)"', out)
        if not found:
            raise SystemExit(f"cache bench: {self.name} {op}: {out}")
        return float(found[1]), (self.cpu() - before) / requests * 1e6


def group(pgid):
    """The processes of a group."""
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[2]) == pgid:
                    pids.append(int(pid))
        except OSError:
            pass
    return pids


def listening(address):
    try:
        socket.create_connection(address, 1).close()
        return True
    except OSError:
        return False


def row(name, values, unit):
    print(f"{name} {statistics.median(values):.4g} {unit}  ({min(values):.4g}..{max(values):.4g})", flush=True)


def memory_rows(servers, keys):
    per_key = {}
    for s in servers:
        s.command("FLUSHALL", "SYNC")
        counted, resident = s.counted(), s.resident()
        s.command("--pipe", text="".join(f"SET key:{i:012d} value:{i:010d}\r\n" for i in range(keys)))
        per_key[s.name] = ((s.resident() - resident) / keys, (s.counted() - counted) / keys)
        for kind, value in zip(("resident", "counted"), per_key[s.name]):
            print(f"{s.name}.memory_per_key.{kind} {value:.1f} bytes", flush=True)
        s.command("FLUSHALL", "SYNC")
    for i, kind in enumerate(("resident", "counted")):
        print(f"ratio.memory_per_key.{kind} {per_key['cache'][i] / per_key['redis'][i]:.3f}", flush=True)


def measure(servers, runs, requests):
    rates, costs = {}, {}
    for op, p in LOADS:
        for _ in range(runs):
            for s in servers:
                rate, cpu = s.load(op, p, requests * (4 if p > 1 else 1))
                rates.setdefault((s.name, op, p), []).append(rate)
                costs.setdefault((s.name, op, p), []).append(cpu)
        name = f"{op.lower()}.p{p}"
        for s in servers:
            row(f"{s.name}.{name}.rate", rates[s.name, op, p], "1/s")
            row(f"{s.name}.{name}.cpu", costs[s.name, op, p], "us")
        middle = {k: statistics.median(v) for k, v in rates.items()}
        spent = {k: statistics.median(v) for k, v in costs.items()}
        print(f"ratio.{name}.rate {middle['cache', op, p] / middle['redis', op, p]:.3f}", flush=True)
        print(f"ratio.{name}.cpu {spent['cache', op, p] / spent['redis', op, p]:.3f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=100000)
    parser.add_argument("--keys", type=int, default=200000)
    args = parser.parse_args()
    if os.environ.get("OPENPOLICY_BENCH") != "inside":
        os.environ["OPENPOLICY_BENCH"] = "inside"
        os.execvp("unshare", ["unshare", "-rn", sys.executable, os.path.abspath(__file__)] + sys.argv[1:])
    bench.enter_namespace()
    print(bench.machine_line(), flush=True)
    with tempfile.TemporaryDirectory(prefix="openpolicy-bench-") as directory:
        with bench.Place(os.path.join(directory, "data.img"), target="host", memory=2048, cpus=1,
                         append="config.cache.debug=true config.cache.policy=noeviction") as a:
            redis = subprocess.Popen(["redis-server", "--port", str(REDIS_PORT), "--save", "", "--appendonly", "no",
                                      "--bind", "127.0.0.1", "--dir", directory], stdout=subprocess.DEVNULL)
            try:
                ours = Server("cache", (bench.THEIRS, 6379), group(a.process.pid))
                theirs = Server("redis", ("127.0.0.1", REDIS_PORT), [redis.pid])
                core = os.cpu_count() - 1
                for s in (ours, theirs):
                    until(lambda s=s: listening(s.address), 20, why=s.name)
                    s.pin(core)
                memory_rows((ours, theirs), args.keys)
                measure((ours, theirs), args.runs, args.requests)
            finally:
                redis.kill()
                redis.wait()


if __name__ == "__main__":
    main()
