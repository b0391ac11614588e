#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed_text.py OUT.c NAME FILE: a text as `const char NAME[]`, line by line, so that the generated
file can be read too."""
import pathlib
import sys


def main() -> None:
    out, name, source = sys.argv[1:]
    lines = pathlib.Path(source).read_text("utf-8").splitlines(keepends=True)
    quoted = ("".join(("\\" if c in '\\"' else "") + c for c in line.rstrip("\n")).replace("\t", "\\t") for line in lines)
    text = "".join(f'    "{line}\\n"\n' for line in quoted)
    pathlib.Path(out).write_text(
        f"/* Made from {source} by tools/embed_text.py. */\n"
        f"extern const char {name}[];\nconst char {name}[] =\n{text};\n", "utf-8")


main()
