#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUT.c FOLDER — the web pages as C: hashed names, both languages, gzip and brotli.

Assets (everything but .html and text.json) get a name with 16 hex digits of their SHA-256, so they
can be cached for ever; `{{asset:NAME}}` in a page becomes that name. A page is written once per
language: `{{t:KEY}}` becomes the text, HTML-escaped, `{{lang}}` the code. The same input gives the
same bytes on every machine."""
import gzip
import hashlib
import html
import json
import pathlib
import re
import shutil
import subprocess
import sys

LANGUAGES = ("en", "fr")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".html": "text/html; charset=utf-8",
}


def brotli(data: bytes) -> bytes:
    tool = shutil.which("brotli")
    if not tool:
        sys.exit("embed: the `brotli` program is missing; run tools/setup.sh")
    return subprocess.run([tool, "-q", "11", "-w", "22", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def c_bytes(data: bytes) -> str:
    rows = (data[i:i + 24] for i in range(0, len(data), 24))
    return ",\n    ".join(",".join(str(b) for b in row) for row in rows) or "0"


def fill(page: str, language: str, texts: dict, assets: dict) -> str:
    def one(match: re.Match) -> str:
        kind, _, name = match.group(1).partition(":")
        if kind == "lang":
            return language
        if kind == "asset":
            return assets[name]
        if kind == "t":
            return html.escape(texts[name][LANGUAGES.index(language)], quote=True)
        sys.exit(f"embed: unknown mark {match.group(0)}")

    return re.sub(r"\{\{([a-z_:.A-Z]+)\}\}", one, page)


def main() -> None:
    out, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    texts = json.loads((folder / "text.json").read_text("utf-8"))
    assets, files = {}, []  # files: (path served, language or "", bytes, type, cache)
    for path in sorted(folder.iterdir()):
        if path.suffix in TYPES and path.suffix != ".html":
            data = path.read_bytes()
            digest = hashlib.sha256(data).hexdigest()[:16]
            assets[path.name] = f"/assets/{path.stem}.{digest}{path.suffix}"
            files.append((assets[path.name], "", data, TYPES[path.suffix], "public, max-age=31536000, immutable"))
    for path in sorted(folder.glob("*.html")):
        for language in LANGUAGES:
            page = fill(path.read_text("utf-8"), language, texts, assets).encode("utf-8")
            name = "/" if path.stem == "index" else f"/{path.stem}"
            files.append((name, language, page, TYPES[".html"], "no-cache"))
    lines = ["/* Made by tools/embed.py; do not edit. */", '#include "app/web/web_assets.h"', ""]
    rows = []
    for n, (name, language, data, kind, cache) in enumerate(files):
        # A page is some 2 KB and may come to hold a person's secrets, which its length would tell (BREACH).
        packed, small = (gzip.compress(data, 9, mtime=0), brotli(data)) if not language else (data, data)
        for label, part in (("plain", data), ("gzip", packed), ("brotli", small)):
            lines.append(f"static const unsigned char {label}_{n}[] = {{\n    {c_bytes(part)}\n}};")
        tag = hashlib.sha256(data).hexdigest()[:16]
        view = "{{(const char *){0}_{1}, {2}}}"
        rows.append(
            f'    {{"{name}", "{language}", {{S("{kind}"), {view.format("plain", n, len(data))},\n'
            f'      {view.format("gzip", n, len(packed) if len(packed) < len(data) else 0)}, '
            f'{view.format("brotli", n, len(small) if len(small) < len(data) else 0)},\n'
            f'      S("\\"{tag}\\""), S("{cache}")}}}},'
        )
    lines += ["const struct web_asset web_assets[] = {", *rows, "};", f"const unsigned web_asset_count = {len(files)};", ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines), "utf-8")


main()
