#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""power_cut.py: cuts the power at flush boundaries, and in between, under a load over HTTP.

    python3 tests/integration/power_cut.py [--boundaries N] [--seed N] [--keep]

  1. a guest on a blank disk is started and stopped: the base image
  2. it runs again on QEMU's blklogwrites: every write and flush the device completed goes into a
     log, in order, before the guest hears of it; clients write policies and the policy
     engine's data, and note for each acknowledged one how many log entries there were
  3. for flush boundaries of that log, disks are made as a cut would leave them: exactly the prefix;
     with the writes after it all there, none, random ones torn at 512 bytes, or in reverse
  4. each is opened by the host build of the same storage code (build/host/dbcheck): every write
     acknowledged by then is there and whole, nothing half, nothing unsent, no holes, integrity ok,
     audit chain unbroken; some are booted by the guest and asked over HTTP
  5. controls that must fail: flushes not honoured; acknowledgements noted too early; a disk whose
     flushes are ignored (the log has none)

A kill -9 of QEMU is no power cut (the host's cache survives): test_boot.py has that one.
Log format: QEMU block/blklogwrites.c, the same as Linux dm-log-writes. Ends with `N passed, N failed`.
"""
import argparse
import concurrent.futures
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import Appliance, TOP  # noqa: E402

SECTOR = 512
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
LOG_MAGIC = 0x6a736677736872
WRITERS = 4
DISK_MIB = 64
DBCHECK = os.path.join(TOP, "build/host/dbcheck")
# Writers with even numbers keep policy documents, odd ones documents of the policy engine's data.
ROWS_SQL = ("SELECT title || '|' || body FROM policy UNION ALL "
            "SELECT 'power cut writer ' || substr(subject, 9, 2) || ' number ' || substr(subject, 12) || '|' ||"
            " trim(CAST(content AS TEXT), '\"') FROM rego_revision WHERE subject LIKE '/power/w%'")


# ---- The log ---------------------------------------------------------------------------------------

class Log:
    """Entries of a blklogwrites log: (sector, sectors, flags, offset of the data in the file)."""

    def __init__(self, path):
        self.file = open(path, "rb")
        magic, version, self.count, size = struct.unpack("<QQQI", self.file.read(28))
        assert (magic, version, size) == (LOG_MAGIC, 1, SECTOR), (hex(magic), version, size)
        self.entries = []
        at = SECTOR
        for _ in range(self.count):
            self.file.seek(at)
            sector, sectors, flags, _ = struct.unpack("<QQQQ", self.file.read(32))
            at += SECTOR
            self.entries.append((sector, sectors, flags, at))
            if not flags & DISCARD:
                at += sectors * SECTOR
        self.file.seek(0, os.SEEK_END)
        assert at <= self.file.tell(), "the log is shorter than its entries"

    def flushes(self):
        return [i for i, e in enumerate(self.entries) if e[2] & FLUSH]

    def data(self, entry):
        self.file.seek(entry[3])
        return self.file.read(entry[1] * SECTOR)

    def apply(self, disk, entry, sectors=None):
        """Writes an entry to a disk; `sectors`: only these of its sectors (a torn write)."""
        sector, count, flags, _ = entry
        if not count:
            return
        data = bytes(count * SECTOR) if flags & DISCARD else self.data(entry)
        if sectors is None:
            os.pwrite(disk, data, sector * SECTOR)
        else:
            for s in sectors:
                os.pwrite(disk, data[s * SECTOR:(s + 1) * SECTOR], (sector + s) * SECTOR)


def log_count(path):
    """How many entries QEMU says it has completed."""
    with open(path, "rb") as f:
        f.seek(16)
        return struct.unpack("<Q", f.read(8))[0]


# ---- The load --------------------------------------------------------------------------------------

def body_of(seed, writer, n):
    rng = random.Random(f"{seed}/{writer}/{n}")
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz ") for _ in range(rng.choice([20, 200, 3000]))).strip()


def title_of(writer, n):
    return f"power cut writer {writer:02} number {n:05}"


class Load:
    """What was sent and what was acknowledged, by writer."""

    def __init__(self, seed):
        self.seed = seed
        self.acknowledged = {}  # (writer, n) -> log entries then
        self.sent = set()
        self.wrong = []

    def run(self, a, token, log_path, writer, first, count):
        connection = a.connection(timeout=60)
        for n in range(first, first + count):
            self.sent.add((writer, n))
            text = body_of(self.seed, writer, n)
            if writer % 2:
                answer = a.put(f"/v1/data/power/w{writer:02}n{n:05}", json.dumps(text).encode(), token=token,
                               connection=connection)
            else:
                answer = a.post("/api/v1/policies", {"title": title_of(writer, n), "body": text},
                                token=token, connection=connection)
            if answer.status not in (201, 204):
                self.wrong.append(answer)
                break
            self.acknowledged[writer, n] = log_count(log_path)
        connection.close()


def record(directory, seed, per_writer, no_flush=False):
    """Base image and log of a run under load. (base, log path, load)"""
    disk = os.path.join(directory, "disk.img")
    base = os.path.join(directory, "base.img")
    log_path = os.path.join(directory, "log.bin")
    with open(disk, "wb") as f:
        f.truncate(DISK_MIB << 20)
    with Appliance(target="guest", disk=disk) as a:
        a.login()
        assert a.stop() == 0
    shutil.copyfile(disk, base)
    open(log_path, "wb").close()
    flush = ",cache.no-flush=on" if no_flush else ""
    load = Load(seed)
    with Appliance(target="guest", disk="none", qemu_args=[
            "-blockdev", f"node-name=data,driver=file,filename={disk}{flush}",
            "-blockdev", f"node-name=log,driver=file,filename={log_path}",
            "-blockdev", f"node-name=logged,driver=blklogwrites,file=data,log=log,log-sector-size=512,"
                         f"log-super-update-interval=1{flush}",
            "-device", "virtio-blk-device,drive=logged"]) as a:
        token = a.login()
        load.run(a, token, log_path, 0, 0, per_writer)  # alone, in lock step: tight bounds
        threads = [threading.Thread(target=load.run, args=(a, token, log_path, w, 0, per_writer))
                   for w in range(1, WRITERS + 1)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if load.wrong:
            raise AssertionError(f"a write was refused: {load.wrong[0]}")
        a.cut()
    return base, log_path, load


# ---- Disks as a cut leaves them ----------------------------------------------------------------------

def torn(rng, entry):
    """Some of the sectors of a write."""
    return [s for s in range(entry[1]) if rng.random() < 0.5]


def states(log, boundaries, rng):
    """(name, entries certain, list of (entry, sectors or None) after the prefix) for each boundary."""
    ends = set(log.flushes()) | {len(log.entries)}
    for k in boundaries:
        epoch = []
        for i in range(k + 1, len(log.entries)):
            if i in ends:
                break
            epoch.append(log.entries[i])
        yield f"flush {k}, nothing after", k, []
        if not epoch:
            continue
        yield f"flush {k}, all {len(epoch)} writes after", k, [(e, None) for e in epoch]
        for round_ in range(2):
            some = [(e, torn(rng, e)) for e in epoch if rng.random() < 0.7]
            yield f"flush {k}, some after, torn ({round_})", k, some
        yield f"flush {k}, in reverse, the first missing", k, [(e, None) for e in reversed(epoch[1:])]
        if 2 <= len(epoch) <= 3:
            for mask in range(1, 2 ** len(epoch) - 1):
                yield (f"flush {k}, subset {mask:b}", k,
                       [(e, None) for i, e in enumerate(epoch) if mask >> i & 1])


# ---- The check -------------------------------------------------------------------------------------

def judge(load, rows, certain):
    """None, or what is wrong with these titles and bodies given `certain` log entries."""
    seen = {}
    for row in rows:
        title, _, body = row.partition("|")
        if not title.startswith("power cut writer "):
            return f"a row nobody sent: {title!r}"
        writer, n = int(title[17:19]), int(title[27:])
        if (writer, n) not in load.sent:
            return f"a row nobody sent: {title!r}"
        if body != body_of(load.seed, writer, n):
            return f"{title}: its body is not what was sent"
        if (writer, n) in seen:
            return f"{title}: twice"
        seen[writer, n] = True
    for (writer, n), at in load.acknowledged.items():
        if at <= certain + 1 and (writer, n) not in seen:
            return f"{title_of(writer, n)}: acknowledged at entry {at}, gone at {certain + 1}"
    for writer, n in seen:
        if n and (writer, n - 1) not in seen:
            return f"writer {writer}: {n} is there, {n - 1} is not"
    return None


def check(image, load, certain):
    """None, or what is wrong with this disk. The image is used up."""
    try:
        out = subprocess.run([DBCHECK, "--net", "none", "--memory", "64", "--disk", image, "--append", ROWS_SQL],
                             capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                             env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"))
    except subprocess.TimeoutExpired:
        return "the check hangs"
    lines = out.stdout.splitlines()
    if out.returncode or len(lines) < 2 or lines[0] != "ok" or not lines[1].startswith("audit "):
        return f"status {out.returncode}: {out.stdout[-300:]} {out.stderr[-600:]}"
    return judge(load, lines[2:], certain)


def check_in_guest(image, load, certain):
    """The same, by the machine itself."""
    with Appliance(target="guest", disk=image) as a:
        token = a.login()
        rows, offset = [], 0
        while True:
            page = a.get(f"/api/v1/policies?limit=100&offset={offset}", token=token).json()
            for item in page["items"]:
                whole = a.get("/api/v1/policies/" + item["id"], token=token).json()
                rows.append(whole["title"] + "|" + whole["body"])
            offset += len(page["items"])
            if not page["items"] or offset >= page["total"]:
                break
        kept = a.get("/v1/data/power", token=token).json().get("result", {})
        rows += [f"{title_of(int(name[1:3]), int(name[4:]))}|{text}" for name, text in kept.items()]
        report = a.post("/api/v1/system/integrity-check", token=token, timeout=60)
        if report.status != 200 or '"ok"' not in report.body.decode():
            return f"integrity check: {report}"
        if a.stop() != 0:
            return "no clean stop"
    return judge(load, rows, certain)


class Replay:
    """Makes disks from the base image and the log, in rising order of the prefix."""

    def __init__(self, base, log, directory):
        self.log, self.directory = log, directory
        self.rolling = os.path.join(directory, "rolling.img")
        subprocess.run(["cp", "--sparse=always", base, self.rolling], check=True)
        self.disk = os.open(self.rolling, os.O_RDWR)
        self.applied = 0

    def make(self, k, extra, name):
        while self.applied <= k:
            self.log.apply(self.disk, self.log.entries[self.applied])
            self.applied += 1
        image = os.path.join(self.directory, name)
        subprocess.run(["cp", "--sparse=always", self.rolling, image], check=True)
        fd = os.open(image, os.O_RDWR)
        for entry, sectors in extra:
            self.log.apply(fd, entry, sectors)
        os.close(fd)
        return image

    def close(self):
        os.close(self.disk)
        os.unlink(self.rolling)


def spread(items, n):
    """n of them, evenly, first and last included."""
    if len(items) <= n:
        return items
    return [items[i * (len(items) - 1) // (n - 1)] for i in range(n)]


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, name, wrong, show=True):
        if wrong:
            self.failed += 1
            if self.failed <= 10:
                print(f"  FAILED  {name}: {wrong}", flush=True)
        else:
            self.passed += 1


def check_states(base, log, load, boundaries, rng, directory, tally, keep):
    replay = Replay(base, log, directory)
    waiting = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        def settle(limit):
            while len(waiting) > limit:
                done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
                for f in done:
                    name, image = waiting.pop(f)
                    tally.add(name, f.result())
                    if not (keep and f.result()):
                        os.unlink(image)
        for i, (name, k, extra) in enumerate(states(log, boundaries, rng)):
            image = replay.make(k, extra, f"state-{i}.img")
            waiting[pool.submit(check, image, load, k)] = (name, image)
            settle(6)
        settle(0)
    replay.close()


def control_flushes_not_honoured(base, log, load, rng, directory):
    """Of all writes since the start, any may be lost: some acknowledged one must be."""
    for attempt in range(6):
        k = log.flushes()[-2 - attempt]
        image = os.path.join(directory, "control.img")
        subprocess.run(["cp", "--sparse=always", base, image], check=True)
        fd = os.open(image, os.O_RDWR)
        for e in log.entries[:k + 1]:
            if rng.random() < 0.7:
                log.apply(fd, e)
        os.close(fd)
        wrong = check(image, load, k)
        os.unlink(image)
        if wrong:
            return None
    return "nothing was missing although flushed writes were dropped"


def control_acknowledged_early(base, log, load, boundaries, directory):
    """With each acknowledgement noted as if it had come two flushes earlier, one must be missing."""
    flushes = log.flushes()
    early = Load(load.seed)
    early.sent = load.sent
    for key, at in load.acknowledged.items():
        before = [f for f in flushes if f + 1 <= at]
        early.acknowledged[key] = before[-3] + 1 if len(before) >= 3 else at
    replay = Replay(base, log, directory)
    try:
        for k in boundaries:
            image = replay.make(k, [], "control.img")
            wrong = check(image, early, k)
            os.unlink(image)
            if wrong and "gone at" in wrong:
                return None
    finally:
        replay.close()
    return "every acknowledged write was there although acknowledgements were noted too early"


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--boundaries", type=int, default=60)
    ask.add_argument("--per-writer", type=int, default=40)
    ask.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1")))
    ask.add_argument("--keep", action="store_true", help="keep the disks that failed")
    options = ask.parse_args()
    rng = random.Random(options.seed)
    tally, began = Tally(), time.monotonic()
    directory = tempfile.mkdtemp(prefix="openpolicy-power-")
    try:
        base, log_path, load = record(directory, options.seed, options.per_writer)
        log = Log(log_path)
        flushes = log.flushes()
        print(f"power: seed {options.seed}, {len(load.acknowledged)} writes acknowledged, {len(log.entries)} "
              f"log entries, {len(flushes)} flushes", flush=True)
        tally.add("the device was flushed", None if flushes else "no flush in the log: this proves nothing")
        tally.add("enough boundaries", None if len(flushes) >= 50 else f"only {len(flushes)} flushes")
        boundaries = spread(flushes, options.boundaries)
        check_states(base, log, load, boundaries, rng, directory, tally, options.keep)
        print(f"power: {tally.passed} states good, {tally.failed} bad, {time.monotonic() - began:.0f} s", flush=True)

        replay = Replay(base, log, directory)
        for k in spread(flushes, 4)[1:]:
            epoch = [(e, torn(rng, e)) for e in log.entries[k + 1:k + 4] if not e[2] & FLUSH]
            image = replay.make(k, epoch, "guest.img")
            tally.add(f"flush {k}, booted", check_in_guest(image, load, k))
            os.unlink(image)
        replay.close()

        tally.add("control: flushes not honoured", control_flushes_not_honoured(base, log, load, rng, directory))
        tally.add("control: acknowledged too early",
                  control_acknowledged_early(base, log, load, boundaries, directory))
        other = os.path.join(directory, "ignored")
        os.mkdir(other)
        ignored = Log(record(other, options.seed, 3, no_flush=True)[1])
        tally.add("control: a disk that ignores flushes shows none",
                  f"{len(ignored.flushes())} flushes" if ignored.flushes() else None)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    print(f"power: {time.monotonic() - began:.0f} s")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
