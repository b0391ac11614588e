#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""data_bench.py: the data API with many records: indexed reads over HTTP, in milliseconds.

    python3 tests/bench/data_bench.py [--bills N] [--ballots N] [--reads N] [--target host|guest]

  data.import.rate     records per second, streamed in as CSV, each through rules, indexes, change log
  data.READ.p50 .p99   one request at a time on one connection, each for another record or page

100,000 bills and 1,000,000 ballots unless told otherwise, made by tests/tools/ballots.py."""
import argparse
import os
import random
import subprocess
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "integration"))
sys.path.insert(0, os.path.join(TOP, "tests", "tools"))
from appliance import Appliance  # noqa: E402
import ballots  # noqa: E402

DATA = "/api/v1/data"


def load(a, token, name, rows, chunk=20000):
    """In files of some rows: a login lives ten minutes."""
    started, sent, header, batch = time.monotonic(), 0, next(rows), []

    def send():
        body = "\n".join([header] + batch).encode() + b"\n"
        r = a.request("POST", f"{DATA}/{name}/import", body, token=token(), timeout=600,
                      headers={"Content-Type": "text/csv"})
        assert r.status == 200, r
        return r.json()["written"]

    for row in rows:
        batch.append(row)
        if len(batch) == chunk:
            sent += send()
            batch = []
    sent += send() if batch else 0
    return sent, time.monotonic() - started


def measure(a, token, name, paths):
    c = a.connection(timeout=60)
    times = []
    for path in paths:
        started = time.perf_counter()
        r = a.request("GET", path, token=token, connection=c)
        times.append((time.perf_counter() - started) * 1000)
        assert r.status == 200, r
    times.sort()
    print(f"data.{name}.p50 {times[len(times) // 2]:.2f}")
    print(f"data.{name}.p99 {times[len(times) * 99 // 100]:.2f}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bills", type=int, default=100000)
    p.add_argument("--ballots", type=int, default=1000000)
    p.add_argument("--reads", type=int, default=500)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--target", default="host")
    o = p.parse_args()
    r = random.Random(o.seed)
    with Appliance(target=o.target, memory=1024) as a:
        a.stop()
        subprocess.run(["truncate", "-s", "4G", a.disk], check=True)
        os.unlink(a.disk)
        subprocess.run(["truncate", "-s", "4G", a.disk], check=True)
        a.start()
        login = {"at": 0, "token": ""}

        def token():
            if time.monotonic() - login["at"] > 300 or not login["token"]:
                login.update(at=time.monotonic(), token=a.login())
            return login["token"]

        for definition in ballots.DEFINITIONS:
            made = a.post("/api/v1/collections", definition, token=token())
            assert made.status == 201, made
        n, spent = load(a, token, "bills", ballots.bills(o.seed, o.bills))
        m, more = load(a, token, "ballots", ballots.ballots(o.seed, o.ballots, o.bills))
        print(f"data.import.rate {(n + m) / (spent + more):.0f}", flush=True)

        def filters(name, make, query=""):
            return [f"{DATA}/{name}?filter={urllib.parse.quote(make())}{query}" for _ in range(o.reads)]

        ids = [i["id"] for i in a.get(f"{DATA}/bills?limit=100&sort=-votes", token=token()).json()["items"]]
        measure(a, token(), "by_id", [f"{DATA}/bills/{r.choice(ids)}" for _ in range(o.reads)])
        measure(a, token(), "by_number", filters("bills", lambda: f"number = {r.randint(1, o.bills)}"))
        measure(a, token(), "by_status", filters(
            "bills", lambda: f"status = '{r.choice(ballots.STATUSES)}' and votes > {r.randint(1, 4900)}",
            "&sort=votes"))
        measure(a, token(), "newest", filters("bills", lambda: f"opened < '20{r.randint(11, 29)}-06-01'",
                                              "&sort=-opened"))
        measure(a, token(), "ballots_of_bill", filters("ballots", lambda: f"bill = {r.randint(1, o.bills)}"))
        measure(a, token(), "ballots_of_voter", filters("ballots", lambda: f"voter = {r.randint(1, 200000)}"))


if __name__ == "__main__":
    main()
