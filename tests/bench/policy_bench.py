#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""policy_bench.py: what one decision costs, on one core, as `policy.NAME.eval value us`.

    python3 tests/bench/policy_bench.py [--opctl FILE] [--runs N] [--seconds S] [--only WORD]...

The cases (policies, data, inputs, expected answers) are those of POLICY_BENCH_DIR or
../shared/bench/policy, copied under build/ where their generator writes the large ones. An answer
that is not the expected one ends the run. Each figure is the median of N runs on one CPU. Before them:

  policy.start           from exec of the command to the answer of hello, and its memory
  policy.load_10k        processor time to read, compile and plan 10,000 rules (start taken off)
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

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


def run_once(command):
    """wall ms, processor ms"""
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, use = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"policy bench: {' '.join(command)}: {child.returncode}")
    wall = (time.perf_counter() - began) * 1e3
    return wall, (use.ru_utime + use.ru_stime) * 1e3


def row(name, values, unit):
    print(f"{name} {statistics.median(values):.3f} {unit}  {min(values):.3f}..{max(values):.3f}", flush=True)


def measure_loading(opctl, folder, runs):
    hello = [opctl, "policy", "eval", "--data", os.path.join(folder, "hello"), "--input",
             os.path.join(folder, "inputs/hello.json"), "data.hello.allow"]
    starts = [run_once(hello) for _ in range(runs)]
    row("policy.start", [s[0] for s in starts], "ms")
    if shutil.which("time"):  # a child of ours would begin with our own memory
        out = subprocess.run([shutil.which("time"), "-f", "%M"] + hello, capture_output=True, text=True, check=True)
        row("policy.start.memory", [int(out.stderr.split()[-1]) / 1024], "MiB")
    floor = statistics.median(s[1] for s in starts)
    many = [opctl, "policy", "check", os.path.join(folder, "search_indexed")]
    row("policy.load_10k", [run_once(many)[1] - floor for _ in range(runs)], "ms")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--opctl", default=os.path.join(TOP, "build/release-host/opctl"))
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.5)
    p.add_argument("--only", action="append")
    args = p.parse_args()
    folder = prepare()
    if folder and not args.only:
        measure_loading(args.opctl, folder, args.runs)
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
