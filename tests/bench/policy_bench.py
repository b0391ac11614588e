#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_bench.py: what one decision costs, on one core, as `policy.NAME.eval value us`.

    python3 tests/bench/policy_bench.py [--opctl FILE] [--runs N] [--seconds S] [--only WORD]...

The cases (policies, data, inputs, expected answers) are those of POLICY_BENCH_DIR or
../shared/bench/policy, copied under build/ where their generator writes the large ones. An answer
that is not the expected one ends the run. Each figure is the median of N runs on one CPU; beside
it stand the size of the data in memory and the time to load everything.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def prepare():
    source = os.environ.get("POLICY_BENCH_DIR", os.path.join(TOP, "../shared/bench/policy"))
    if not os.path.isdir(source):
        print(f"skipped: policy: there is no {source}; set POLICY_BENCH_DIR")
        return None
    folder = os.path.join(TOP, "build/bench-policy")
    if not os.path.isdir(os.path.join(folder, "search_scan_in")):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        subprocess.run([sys.executable, "gen.py"], cwd=folder, check=True)
    return folder


def cases(folder, only):
    for line in open(os.path.join(folder, "cases.txt")):
        if line.strip() and not line.startswith("#"):
            name, place, given, query, expected = line.split(None, 4)
            if not only or any(word in name for word in only):
                yield name, place, given, query, json.loads(expected)


def measure(opctl, folder, place, given, query, seconds):
    taskset = ["taskset", "-c", "0"] if shutil.which("taskset") else []
    out = subprocess.run(taskset + [opctl, "policy", "bench", "--data", os.path.join(folder, place), "--input",
                         os.path.join(folder, "inputs", given + ".json"), "--benchtime", str(seconds), query],
                         capture_output=True, text=True, check=False, timeout=300)
    if out.returncode:
        raise SystemExit(f"policy bench: {query}: {out.stderr.strip()}")
    answer = re.search(r"^result +(.*)$", out.stdout, re.M).group(1)
    return None if answer == "undefined" else json.loads(answer), float(re.search(r"ns/op +│ +([\d.]+)", out.stdout).group(1))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--opctl", default=os.path.join(TOP, "build/release-host/opctl"))
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5)
    p.add_argument("--only", action="append")
    args = p.parse_args()
    folder = prepare()
    for name, place, given, query, expected in cases(folder, args.only) if folder else []:
        times = []
        for _ in range(args.runs):
            answer, ns = measure(args.opctl, folder, place, given, query, args.seconds)
            if answer != expected:
                raise SystemExit(f"policy bench: {name} answers {answer}, not {expected}")
            times.append(ns / 1000)
        print(f"policy.{name}.eval {statistics.median(times):.3f} us  {min(times):.3f}..{max(times):.3f}", flush=True)


if __name__ == "__main__":
    main()
