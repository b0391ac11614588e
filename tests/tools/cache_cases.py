#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cache_cases.py PORT FILE.txt...: asks a Redis (a native one, just started, no password) what the
command lines of these files get, and writes the files anew with its replies. Lines `= *` and replies
below a line `# by hand` stay as they are; the shape is described in tests/unit/cache_command_test.c."""
import re
import socket
import sys
import time


ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


class Client:
    def __init__(self, port):
        self.s = socket.create_connection(("127.0.0.1", port), 10)
        self.buffer = b""

    def send(self, words):
        self.s.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def gather(self, seconds, first=0.0):
        """All that has come `seconds` after the last byte; the first one has longer."""
        until = time.monotonic() + max(seconds, first)
        while True:
            left = until - time.monotonic()
            if left <= 0:
                break
            self.s.settimeout(left)
            try:
                piece = self.s.recv(1 << 20)
            except socket.timeout:
                break
            if not piece:
                break
            self.buffer += piece
            until = time.monotonic() + seconds
        out = []
        while self.buffer:
            text, self.buffer = reply(self.buffer)
            out.append(text)
        return re.sub(r'"id" :\d+', '"id" :ID', " | ".join(out))


def quoted(data):
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else "\\x%02x" % b for b in data) + '"'


def reply(data):
    line, rest = data.split(b"\r\n", 1)
    kind, text = line[:1].decode(), line.decode("latin-1")
    if kind in "+-:,#(":
        return text, rest
    if kind == "_":
        return "nil", rest
    n = int(line[1:])
    if kind in "$=":
        if n < 0:
            return "nil", rest
        return ("=" if kind == "=" else "") + quoted(rest[:n]), rest[n + 2:]
    if n < 0:
        return text, rest
    parts = []
    for _ in range(2 * n if kind == "%" else n):
        part, rest = reply(rest)
        parts.append(part)
    return f"{text} [{' '.join(parts)}]", rest


def words_of(line):
    """As resp_unquote reads them."""
    words, i = [], 0
    data = line.encode("latin-1")
    while i < len(data):
        if data[i:i + 1].isspace():
            i += 1
            continue
        word = b""
        quote = None
        while i < len(data):
            ch = data[i:i + 1]
            if quote is None:
                if ch.isspace():
                    break
                if ch in (b'"', b"'"):
                    quote = ch
                else:
                    word += ch
                i += 1
            elif ch == quote:
                quote = None
                i += 1
            elif quote == b'"' and ch == b"\\":
                found = re.match(rb"\\x([0-9a-fA-F]{2})", data[i:])
                if found:
                    word += bytes([int(found.group(1), 16)])
                    i += 4
                else:
                    word += ESCAPED.get(data[i + 1:i + 2], data[i + 1:i + 2])
                    i += 2
            else:
                word += ch
                i += 1
        words.append(word)
    return words


def main():
    port = int(sys.argv[1])
    for name in sys.argv[2:]:
        clients, out, keep, by_hand = {}, [], False, False
        control = Client(port)
        control.send([b"FLUSHALL"])
        control.gather(0.05)
        lines = [line.rstrip("\n") for line in open(name, encoding="latin-1")]
        for at, line in enumerate(lines):
            text = line.strip()
            if text == "# by hand":
                by_hand = True
            if by_hand:
                out.append(line)
                continue
            if not text or text.startswith("#"):
                out.append(line)
                continue
            if re.match(r"\d?=", text):
                continue
            who = 0
            found = re.match(r"(\d)> ?(.*)", text)
            if found:
                who, text = int(found.group(1)), found.group(2)
            following = lines[at + 1].strip() if at + 1 < len(lines) else ""
            client = clients.setdefault(who, None) or Client(port)
            clients[who] = client
            client.send(words_of(text))
            out.append(line)
            waits = re.match(r"(?i)(B[LRZ]\w+|XREAD\w* .*BLOCK|WAIT)\b", text)
            heard = client.gather(0.001, 0.03 if waits else 0.5)
            if following == "= *" or following == f"{who}= *":
                out.append(following)
            else:
                out.append((f"= {heard}" if who == 0 else f"{who}= {heard}").rstrip())
            for other in sorted(clients):
                if other != who and clients[other]:
                    heard = clients[other].gather(0.001)
                    if heard:
                        out.append(f"{other}= {heard}" if other else f"= {heard}")
        open(name, "w", encoding="latin-1").write("\n".join(out) + "\n")
        for client in clients.values():
            client.s.close()


main()
