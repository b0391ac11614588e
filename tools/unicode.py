#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""unicode.py OUT.c UCD.zip — the Unicode Character Database as C tables (app/policy/builtin/unicode.h)."""
import sys
import zipfile

CATEGORIES = "Cc Cf Cn Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()
TOP = 0x110000


def fields(text):
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if line:
            yield [f.strip() for f in line.split(";")]


def points(text):
    low, _, high = text.partition("..")
    return range(int(low, 16), int(high or low, 16) + 1)


def ranges(what):
    """(low, high, value) of equal neighbours; None is left out."""
    out, start = [], 0
    for i in range(1, TOP + 1):
        if i == TOP or what[i] != what[start]:
            if what[start] is not None:
                out.append((start, i - 1, what[start]))
            start = i
    return out


def case_ranges(changes):
    """(low, high, stride, delta) of neighbours one or two apart that move by the same distance."""
    out = []
    for point in sorted(changes):
        delta = changes[point] - point
        if out:
            low, high, stride, d = out[-1]
            step = point - high
            if d == delta and (step == stride or (low == high and step <= 2)):
                out[-1] = (low, point, step, d)
                continue
        out.append((point, point, 1, delta))
    return out


def read(path):
    archive = zipfile.ZipFile(path)
    names = {n: archive.read(n).decode() for n in
             ("UnicodeData.txt", "Scripts.txt", "CaseFolding.txt", "PropertyValueAliases.txt")}
    category, upper, lower, first = ["Cn"] * TOP, {}, {}, None
    for f in fields(names["UnicodeData.txt"]):
        point = int(f[0], 16)
        if f[1].endswith(", First>"):
            first = point
        for p in range(first if f[1].endswith(", Last>") else point, point + 1):
            category[p] = f[2]
        if f[12]:
            upper[point] = int(f[12], 16)
        if f[13]:
            lower[point] = int(f[13], 16)
    script, scripts = [None] * TOP, []
    for f in fields(names["Scripts.txt"]):
        if f[1] not in scripts:
            scripts.append(f[1])
        for p in points(f[0]):
            script[p] = f[1]
    circles = {}
    for f in fields(names["CaseFolding.txt"]):
        if f[1] in "CS":
            circles.setdefault(int(f[2], 16), {int(f[2], 16)}).add(int(f[0], 16))
    scripts.sort()
    return category, upper, lower, script, scripts, circles, list(fields(names["PropertyValueAliases.txt"]))


def names_of(scripts, aliases):
    def bare(name):
        return name.lower().replace("_", "").replace("-", "").replace(" ", "")

    def mask(short):
        if short == "LC":
            return sum(1 << CATEGORIES.index(c) for c in ("Ll", "Lt", "Lu"))
        return sum(1 << i for i, c in enumerate(CATEGORIES) if c.startswith(short))

    out = {bare(s): ("true", i) for i, s in enumerate(scripts)}
    for f in aliases:
        if f[0] == "gc":
            for name in f[1:]:
                out[bare(name)] = ("false", mask(f[1]))
    return sorted(out.items())


def main():
    out, archive = sys.argv[1:]
    category, upper, lower, script, scripts, circles, aliases = read(archive)
    text = ["/* Made by tools/unicode.py: do not edit. */", '#include "app/policy/builtin/unicode.h"']

    def table(kind, name, rows):
        text.append("const struct %s %s[] = {" % (kind, name))
        for i in range(0, len(rows), 6):
            text.append(" ".join("{%s}," % r for r in rows[i:i + 6]))
        text.append("};\nconst u32 %s_count = %d;" % (name, len(rows)))

    index = [CATEGORIES.index(c) if c != "Cn" else None for c in category]
    table("unicode_range", "unicode_categories", ["0x%x, 0x%x, %d" % r for r in ranges(index)])
    index = [None if s is None else scripts.index(s) for s in script]
    table("unicode_range", "unicode_scripts", ["0x%x, 0x%x, %d" % r for r in ranges(index)])
    table("unicode_case", "unicode_uppers", ["0x%x, 0x%x, %d, %d" % r for r in case_ranges(upper)])
    table("unicode_case", "unicode_lowers", ["0x%x, 0x%x, %d, %d" % r for r in case_ranges(lower)])
    folds = []
    for circle in circles.values():
        ring = sorted(circle)
        folds += [(p, ring[(i + 1) % len(ring)]) for i, p in enumerate(ring)]
    table("unicode_fold", "unicode_folds", ["0x%x, 0x%x" % f for f in sorted(folds)])
    table("unicode_name", "unicode_names", ['"%s", %s, 0x%x' % (n, s, w) for n, (s, w) in names_of(scripts, aliases)])
    with open(out, "w", encoding="ascii") as f:
        f.write("\n".join(text) + "\n")


main()
