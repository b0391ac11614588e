# SPDX-License-Identifier: Apache-2.0
"""test_boot.py: power on, power button, power on again; every machine type, CPU count and size."""
import os
import re
import sqlite3
import struct
import subprocess
import tempfile
import unittest
import uuid

from appliance import (ADMIN_EMAIL, Appliance, AppliancePerClass, TARGET, TOP, only_guest, until)

DATABASE_TYPE = uuid.UUID("47379c77-035b-4537-a73f-6e0310795911")
BANNER = r"OpenPolicy Appliance \d+\.\d+\.\d+ on \w+"


def database_range(disk):
    """(first byte, bytes) of the database partition, from the disk's own table."""
    with open(disk, "rb") as f:
        f.seek(512)
        header = f.read(92)
        assert header[:8] == b"EFI PART", header[:16]
        entries_at, count, size = struct.unpack_from("<QII", header, 72)
        f.seek(entries_at * 512)
        for _ in range(count):
            entry = f.read(size)
            if entry[:16] == DATABASE_TYPE.bytes_le:
                first, last = struct.unpack_from("<QQ", entry, 32)
                return first * 512, (last - first + 1) * 512
    raise AssertionError("no database partition")


def database_copy(disk, to):
    """The database partition as a file of its own."""
    at, size = database_range(disk)
    with open(disk, "rb") as f, open(to, "wb") as out:
        f.seek(at)
        left = size
        while left:
            piece = f.read(min(left, 1 << 20))
            left -= len(piece)
            if piece.count(0) == len(piece):
                out.seek(len(piece), os.SEEK_CUR)
            else:
                out.write(piece)
        out.truncate(size)


class Life(unittest.TestCase):
    def test_banner_health_and_a_clean_stop(self):
        with Appliance() as a:
            a.console.wait_for(BANNER, 10)
            self.assertEqual(a.get("/healthz").status, 200)
            self.assertEqual(a.get("/livez").status, 200)
            self.assertEqual(a.get("/readyz").status, 200)
            self.assertEqual(a.stop(), 0)
            self.assertNotRegex(a.console.text.lower(), r"panic|sanitizer|runtime error")

    def test_sqlite_opens_the_partition_after_a_clean_stop(self):
        with Appliance() as a:
            self.assertEqual(a.stop(), 0)
            copy = os.path.join(a.directory, "copy.db")
            database_copy(a.disk, copy)
            out = subprocess.run(["sqlite3", copy, "PRAGMA integrity_check; PRAGMA foreign_key_check;"
                                  "SELECT count(*) FROM sqlite_schema;"],
                                 capture_output=True, text=True, timeout=60)
            self.assertEqual(out.stderr, "")
            lines = out.stdout.split()
            self.assertEqual(lines[0], "ok")
            self.assertGreater(int(lines[1]), 3, "the schema is there")
            with sqlite3.connect(f"file:{copy}?mode=ro", uri=True) as db:
                tables = {r[0] for r in db.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
            self.assertTrue(tables)

    def test_a_restart_keeps_accounts_and_certificate(self):
        with Appliance() as a:
            token = a.login()
            me = a.get("/api/v1/auth/me", token=token)
            self.assertEqual(me.status, 200, me)
            self.assertEqual(me.json()["email"], ADMIN_EMAIL)
            first = a.peer_certificate()
            a.restart()
            again = a.get("/api/v1/auth/me", token=a.login())
            self.assertEqual(again.json()["id"], me.json()["id"])
            self.assertEqual(a.peer_certificate(), first)

    def test_killed_and_started_again(self):
        with Appliance() as a:
            token = a.login()
            made = a.post("/api/v1/policies", {"title": "Kept across a kill -9"}, token=token)
            self.assertEqual(made.status, 201, made)
            a.cut()
            a.start()
            token = a.login()
            kept = a.get("/api/v1/policies/" + made.json()["id"], token=token)
            self.assertEqual(kept.status, 200, kept)
            self.assertEqual(kept.json()["title"], "Kept across a kill -9")


class Sizes(unittest.TestCase):
    def works(self, **options):
        with Appliance(**options) as a:
            self.assertEqual(a.get("/healthz").status, 200)
            a.login()
            self.assertEqual(a.get("/healthz", tls=True).status, 200)
            self.assertEqual(a.stop(), 0)

    def test_memory_64(self):
        self.works(memory=64)

    def test_memory_1024_cpus_4(self):
        self.works(memory=1024, cpus=4)

    def test_cpus_1(self):
        self.works(cpus=1)

    def test_cpus_2(self):
        self.works(cpus=2)

    @only_guest
    def test_cpus_8(self):
        self.works(cpus=8)

    @only_guest
    def test_memory_across_4_gib(self):
        self.works(memory=6144, machine="q35")

    @only_guest
    def test_machine_microvm(self):
        self.works(machine="microvm")

    @only_guest
    def test_machine_q35(self):
        self.works(machine="q35")

    @only_guest
    def test_machine_pc(self):
        self.works(machine="pc")

    @only_guest
    def test_too_little_memory_is_said(self):
        with Appliance(memory=32, wait=False) as a:
            try:
                a.wait_ready(10)
            except (EOFError, TimeoutError):
                self.assertRegex(a.console.text, r"(?i)memory|MiB")


@only_guest
class Loaders(unittest.TestCase):
    """The boot disk, under both firmwares, with the real image and with the probe kernel."""

    def boots(self, firmware, machine, **options):
        with Appliance(boot=firmware, machine=machine, **options) as a:
            self.assertEqual(a.get("/healthz").status, 200)
            self.assertEqual(a.stop(), 0)

    def test_bios_q35(self):
        self.boots("bios", "q35")

    def test_bios_pc(self):
        self.boots("bios", "pc", memory=64)

    def test_uefi_q35(self):
        self.boots("uefi", "q35")

    def test_uefi_pc(self):
        self.boots("uefi", "pc")

    def test_one_disk_for_image_and_data(self):
        """build/openpolicy.img is the only disk: it boots, keeps data, boots again."""
        with tempfile.TemporaryDirectory() as d:
            disk = os.path.join(d, "all.img")
            subprocess.run(["cp", "--sparse=always", os.path.join(TOP, "build/openpolicy.img"), disk], check=True)
            with Appliance(boot="bios", machine="q35", disk=disk) as a:
                token = a.login()
                made = a.post("/api/v1/policies", {"title": "On the boot disk itself"}, token=token)
                self.assertEqual(made.status, 201, made)
                self.assertEqual(a.stop(), 0)
                a.boot = "uefi"
                a.start()
                self.assertEqual(a.get("/api/v1/policies/" + made.json()["id"], token=a.login()).status, 200)

    def probe(self, change, firmware="bios", slot_b=False):
        """Boots a disk of two probe kernels after `change` had it; the console's text and status."""
        elf = os.path.join(TOP, "build/image/probe.elf")
        with tempfile.TemporaryDirectory() as d:
            disk = os.path.join(d, "probe.img")
            command = [os.path.join(TOP, "image/mkimage.py"), "--elf", elf,
                       "--bios", os.path.join(TOP, "build/image/bios.bin"),
                       "--efi", os.path.join(TOP, "build/image/BOOTX64.EFI"), "--out", disk, "--line", "from=slot"]
            subprocess.run(["python3"] + command + (["--slot-b", elf] if slot_b else []), check=True)
            with open(disk, "r+b") as f:
                change(f)
            with Appliance(boot=firmware, machine="q35", disk="none", append="from=append",
                           env={"OPENPOLICY_IMAGE": disk}, wait=False) as a:
                a.console.wait_for(r"append=.*\n|can be started", 60)
                status = a.wait_exit(20) if "append=" in a.console.text else None
                return a.console.text, status

    def test_the_kernel_is_told_the_truth(self):
        for firmware in ("bios", "uefi"):
            with self.subTest(firmware):
                text, status = self.probe(lambda f: None, firmware)
                self.assertEqual(status, 21, text)
                told = dict(re.findall(r"^(\w+)=(.*?)\s*$", text, re.M))
                self.assertEqual(told["append"], "from=slot from=append")
                self.assertEqual(told["cr0"], "00000011")
                self.assertEqual(told["bss"], "00000000")
                self.assertEqual(told["rsdt"], "20445352")  # "RSD "
                self.assertGreater(int(told["ram"], 16), 230 << 20)

    def test_a_broken_slot_gives_way_to_the_other(self):
        def flip_elf_of_b(f):
            f.seek(20480 * 512 + 512 + 70000)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 1]))

        for firmware in ("bios", "uefi"):
            with self.subTest(firmware):
                text, status = self.probe(flip_elf_of_b, firmware, slot_b=True)
                self.assertIn("image B: its sum is wrong", text)
                self.assertEqual(status, 21, text)

    def test_no_whole_slot_is_said(self):
        def wipe(f):
            f.seek(4096 * 512)
            f.write(bytes(512))

        text, status = self.probe(wipe)
        self.assertIn("no image on this disk can be started", text)
        self.assertIsNone(status)
