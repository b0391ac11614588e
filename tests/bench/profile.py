# SPDX-License-Identifier: Apache-2.0
"""profile.py: which functions a request's guest instructions go to, counted by tools/insnprof.c.

    python3 tests/bench/bench.py --profile policy_post.c1      (make profile ONLY=policy_post.c1)

Exact, not sampled: each block of code counts its runs, and a block belongs to the symbol it lies in.
Calls are runs of a function's first block; what tail calls and loops to the entry add is included.
With --callers NAME, who called NAME (a third slower).
"""
import bisect
import struct
import subprocess

BLOCK = struct.Struct("=QQQ")


def snapshot(path):
    """{(address, instructions): runs}"""
    with open(path, "rb") as f:
        data = f.read()
    return {(address, length): runs for address, length, runs in BLOCK.iter_unpack(data[8:]) if runs}


def symbols(elf):
    """Sorted addresses and their names."""
    out = subprocess.run(["nm", "-n", "--defined-only", elf], capture_output=True, text=True, check=True).stdout
    table = {}
    for line in out.splitlines():
        address, kind, name = line.split()
        if kind in "tTwW" and not name.startswith(".L"):
            table.setdefault(int(address, 16), name)
    return sorted(table), table


def by_function(before, after, elf):
    """{name: [instructions, calls]}"""
    addresses, names = symbols(elf)
    functions = {}
    for (address, length), runs in after.items():
        runs -= before.get((address, length), 0)
        if not runs:
            continue
        at = bisect.bisect_right(addresses, address) - 1
        entry = functions.setdefault(names[addresses[at]] if at >= 0 else "?", [0, 0])
        entry[0] += runs * length
        if at >= 0 and address == addresses[at]:
            entry[1] += runs
    return functions


def callers(before, after, elf, wanted):
    """{caller: calls} of one function"""
    addresses, names = symbols(elf)
    found = {}
    for (origin, address), runs in after.items():
        runs -= before.get((origin, address), 0)
        if runs and names.get(address) == wanted:
            name = names[addresses[max(bisect.bisect_right(addresses, origin) - 1, 0)]]
            found[name] = found.get(name, 0) + runs
    return found


def report(functions, requests, rows):
    total = sum(f[0] for f in functions.values())
    yield f"{total / requests:10.0f} {'':>8}  all"
    for name, (instructions, calls) in sorted(functions.items(), key=lambda f: -f[1][0])[:rows]:
        yield f"{instructions / requests:10.1f} {calls / requests:8.2f}  {name}"
