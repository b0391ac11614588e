#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""zones.py OUT.c TZDATA — the tz database as C tables (app/policy/builtin/zones.h).

The sources are compiled by zic (of the C library), whose files (RFC 8536) are read back here: zones
that are the same share their lists."""
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

SOURCES = "africa antarctica asia australasia europe northamerica southamerica etcetera factory backward".split()


def compile_zones(source, to):
    path = os.environ.get("PATH", "") + os.pathsep + "/usr/sbin"
    zic = shutil.which("zic", path=path)
    if not zic:
        sys.exit("zones: zic is missing: apt-get install libc-bin")
    subprocess.run([zic, "-b", "slim", "-d", to] + [str(source / s) for s in SOURCES], check=True,
                   stderr=subprocess.DEVNULL)


def read_zone(data):
    """(kinds, [(moment, kind)], rule text) of one compiled file: its second, 64-bit part."""
    def header(at):
        assert data[at:at + 4] == b"TZif" and data[at + 4] >= ord("2")
        return struct.unpack(">6I", data[at + 20:at + 44])
    isut, isstd, leaps, times, kinds, chars = header(0)
    at = 44 + times * 5 + kinds * 6 + chars + leaps * 8 + isstd + isut
    isut, isstd, leaps, times, kinds, chars = header(at)
    at += 44
    moments = struct.unpack(">%dq" % times, data[at:at + 8 * times])
    at += 8 * times
    which = data[at:at + times]
    at += times
    raw = [struct.unpack(">iBB", data[at + 6 * i:at + 6 * i + 6]) for i in range(kinds)]
    at += 6 * kinds
    names = data[at:at + chars]
    at += chars + leaps * 12 + isstd + isut
    rule = data[at:].strip(b"\n").decode()
    name = lambda i: names[i:names.index(b"\0", i)].decode()
    return [(o, d, name(n)) for o, d, n in raw], list(zip(moments, which)), rule


def seconds(text):
    sign = -1 if text.startswith("-") else 1
    part = [int(p) for p in text.lstrip("+-").split(":")] + [0, 0]
    return sign * (part[0] * 3600 + part[1] * 60 + part[2])


def read_rule(text):
    """POSIX TZ: std offset [dst [offset] , start , end]; None when there is no change of clocks to come."""
    m = re.match(r"(<[^>]+>|[A-Za-z]+)([-+0-9:]+)(?:(<[^>]+>|[A-Za-z]+)([-+0-9:]*),([^,]+),([^,]+))?$", text)
    std, offset, dst, dst_offset, start, end = m.groups()
    offset = -seconds(offset)
    winter = (offset, 0, std.strip("<>"))
    if not dst:
        return winter, winter, (0, 0, 0, 0), (0, 0, 0, 0)
    summer = (-seconds(dst_offset) if dst_offset else offset + 3600, 1, dst.strip("<>"))

    def day(d):
        d, _, time = d.partition("/")
        month, week, weekday = (int(x) for x in d[1:].split(".")) if d[0] == "M" else sys.exit("zones: " + text)
        return month, week, weekday, seconds(time) if time else 7200
    return winter, summer, day(start), day(end)


def main():
    out, source = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as to:
        compile_zones(source, to)
        files = {str(p.relative_to(to)): p.read_bytes() for p in pathlib.Path(to).rglob("*") if p.is_file()}
    kinds, early, late, rules, seen, zones = [], [], [], [], {}, []
    for name in sorted(files):
        if files[name] not in seen:
            own, moments, rule = read_zone(files[name])
            first = [m for m in moments if m[0] < -(1 << 31)]
            rest = moments[len(first):]
            tail = -1
            if rule:
                if rule not in rules:
                    rules.append(rule)
                tail = rules.index(rule)
            seen[files[name]] = (len(kinds), len(early), len(first), len(late), len(rest), tail)
            kinds += own
            early += first
            late += rest
        zones.append('{"%s", %d, %d, %d, %d, %d, %d},' % ((name,) + seen[files[name]]))
    kind = lambda k: '{%d, %s, "%s"}' % (k[0], "true" if k[1] else "false", k[2])
    text = ["/* Made by tools/zones.py: do not edit. */", '#include "app/policy/builtin/zones.h"']

    def table(declaration, rows, per_line):
        text.append("const %s = {" % declaration)
        text.extend(" ".join(rows[i:i + per_line]) for i in range(0, len(rows), per_line))
        text.append("};")

    table("struct zone zones[]", zones, 1)
    text.append("const u32 zones_count = %d;" % len(zones))
    table("struct zone_kind zone_kinds[]", [kind(k) + "," for k in kinds], 4)
    table("s64 zone_early[]", ["%d," % m for m, _ in early] or ["0"], 8)
    table("u8 zone_early_kinds[]", ["%d," % k for _, k in early] or ["0"], 30)
    table("s64 zone_late[]", ["%d," % m for m, _ in late], 10)
    table("u8 zone_late_kinds[]", ["%d," % k for _, k in late], 40)
    rows = []
    for rule in rules:
        winter, summer, start, end = read_rule(rule)
        rows.append("{%s, %s, {%d, %d, %d, %d}, {%d, %d, %d, %d}}," % ((kind(winter), kind(summer)) + start + end))
    table("struct zone_rule zone_rules[]", rows, 1)
    with open(out, "w", encoding="ascii") as f:
        f.write("\n".join(text) + "\n")


main()
