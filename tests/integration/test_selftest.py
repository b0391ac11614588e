# SPDX-License-Identifier: Apache-2.0
"""test_selftest.py: the guest provokes itself, and each fault must be caught and named.

Uses build/guest/selftest/openpolicy.elf (`make build/guest/selftest/openpolicy.elf`), the ordinary
objects plus tests/guest/selftest.c, in QEMU of its own. Guest only.
"""
import json
import os
import re
import socket
import subprocess
import tempfile
import time
import unittest

from appliance import TARGET, TOP

ELF = os.path.join(TOP, "build/guest/selftest/openpolicy.elf")
RELEASE = os.path.join(TOP, "build/guest/openpolicy.elf")
SECONDS = 60
PANIC_STATUS = 60 * 2 + 1  # isa-debug-exit: (60 << 1) | 1

# name: what the PANIC line must hold, then a function the backtrace must name
CAUGHT = {
    "text-write": (r"page fault: error 0x3,", "text_write"),
    "rodata-write": (r"page fault: error 0x3,", "rodata_write"),
    "sealed-write": (r"page fault: error 0x3,", "sealed_write"),
    "table-write": (r"page fault: error 0x3,", "table_write"),
    "heap-run": (r"page fault: error 0x11,", "selftest"),
    "stack-run": (r"page fault: error 0x11,", "selftest"),
    "data-run": (r"page fault: error 0x11,", "selftest"),
    "ring-run": (r"page fault: error 0x11,", "selftest"),
    "page-table-run": (r"page fault: error 0x11,", "selftest"),
    "null-read": (r"null pointer\): error 0x0, address 0x0,", "null_read"),
    "null-write": (r"null pointer\): error 0x2, address 0x8,", "null_write"),
    "null-call": (r"null pointer\): error 0x10, address 0x10,", "selftest"),
    "low-read": (r"null pointer\): error 0x0, address 0xfff8,", "low_read"),
    "nowhere": (r"page fault: error 0x0,", "nowhere"),
    "noncanonical": (r"general protection: error 0x0,", "noncanonical"),
    "loop-stack": (r"stack overflow: guard page\).*thread 0", "dig"),
    "worker-stack": (r"stack overflow: guard page\).*thread 1", "dig"),
    "worker-fault": (r"divide error.*thread 1", "worker_divides"),
    "canary": (r"stack canary", "overrun"),
    "smep": (r"page fault: error 0x11,", "selftest"),
    "smap-read": (r"page fault: error 0x1,", "smap_read"),
    "smap-write": (r"page fault: error 0x3,", "smap_write"),
    "divide": (r"exception 0, divide error", "divide"),
    "undefined": (r"exception 6, invalid opcode", "undefined"),
    "breakpoint": (r"exception 3, breakpoint", "breakpoint"),
    "unaligned": (r"exception 13, general protection", "unaligned"),
    "selector": (r"exception 13, general protection", "selector"),
    "vector-unknown": (r"exception 13, general protection", "vector_unknown"),
    "double-fault": (r"exception (8, double fault|12, stack segment)", "double_fault"),
}


class Boot:
    """One run: what came over the serial line, and the status QEMU ended with."""

    def __init__(self, name, cpu="max", cpus=1, machine="microvm", debug_exit=True, qmp=None,
                 extra=()):
        args = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                "-accel", "tcg", "-cpu", cpu, "-smp", str(cpus), "-m", "64", "-M", machine,
                "-no-reboot", "-serial", "stdio", "-kernel", ELF, "-append", "selftest=" + name]
        if machine == "microvm":
            args += ["-global", "virtio-mmio.force-legacy=false"]
        if debug_exit:
            args += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        if qmp:
            args += ["-qmp", "unix:%s,server=on,wait=off" % qmp]
        self.child = subprocess.Popen(args + list(extra), stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.out, self.status = None, None

    def finish(self):
        try:
            out, _ = self.child.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            out, _ = self.child.communicate()
        self.out, self.status = out.decode(errors="replace"), self.child.returncode
        return self


@unittest.skipUnless(TARGET == "guest", "the guest's own faults")
class SelfTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.path.exists(ELF):
            raise RuntimeError("missing: run `make build/guest/selftest/openpolicy.elf` first")

    def caught(self, name, **options):
        boot = Boot(name, **options).finish()
        line, function = CAUGHT[name]
        self.assertRegex(boot.out, r"PANIC .*" + line, name)
        self.assertRegex(boot.out, r"rip [0-9a-f]{16}" if "exception" in boot.out else "PANIC")
        self.assertRegex(boot.out, r"  [0-9a-f]{16} %s(\.\w+)*\+0x" % function, name)
        self.assertIn("-- end --", boot.out, name)
        self.assertNotIn("NOT CAUGHT", boot.out)
        self.assertEqual(boot.status, PANIC_STATUS, name + "\n" + boot.out)
        return boot.out

    def test_every_fault_is_caught_and_named(self):
        for name in CAUGHT:
            with self.subTest(name):
                self.caught(name)

    def test_on_other_machines_and_cpus(self):
        for options in ({"machine": "q35"}, {"machine": "pc"}, {"cpus": 4}, {"cpu": "qemu64"}):
            for name in ("text-write", "null-call", "loop-stack", "worker-stack", "worker-fault"):
                with self.subTest(name, **options):
                    self.caught(name, **options)

    def test_nmi(self):
        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "qmp")
            boot = Boot("nmi", qmp=path)
            first = boot.child.stdout.readline()
            self.assertIn(b"NMI", first)
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                f = s.makefile("rw")
                f.readline()
                for command in ("qmp_capabilities", "inject-nmi"):
                    f.write(json.dumps({"execute": command}) + "\n")
                    f.flush()
                boot.finish()
            self.assertRegex(boot.out, r"PANIC exception 2, NMI")
            self.assertEqual(boot.status, PANIC_STATUS)

    def test_a_panic_inside_a_panic_ends_within_seconds(self):
        start = time.monotonic()
        boot = Boot("nested").finish()
        self.assertLess(time.monotonic() - start, 20)
        self.assertIn("PANIC", boot.out)
        self.assertEqual(boot.status, PANIC_STATUS, boot.out)

    def test_without_a_harness_a_panic_resets(self):
        for machine in ("microvm", "q35", "pc"):
            boot = Boot("text-write", machine=machine, debug_exit=False).finish()
            self.assertIn("PANIC", boot.out)
            self.assertEqual(boot.status, 0, machine)  # -no-reboot turns the reset into an end

    def test_no_page_is_writable_and_executable(self):
        for cpu, cpus in (("max", 1), ("qemu64", 1), ("max", 4)):
            boot = Boot("walk", cpu=cpu, cpus=cpus).finish()
            self.assertIn("walk: 0 bad", boot.out)
            ranges = re.findall(r"^([0-9a-f]{12})-([0-9a-f]{12}) (r\S{4})", boot.out, re.M)
            self.assertGreater(len(ranges), 5)
            self.assertGreaterEqual(int(ranges[0][0], 16), 0x10000)
            self.assertEqual([r[2] for r in ranges if "x" in r[2]], ["r-x--"])

    def test_protection_bits(self):
        out = Boot("bits").finish().out
        self.assertIn("wp 1 nxe 1 smep 1/1 smap 1/1 umip 1/1", out)
        out = Boot("bits", cpu="qemu64").finish().out
        self.assertIn("wp 1 nxe 1 smep 0/0 smap 0/0 umip 0/0", out)

    def value(self, name, **options):
        out = Boot(name, **options).finish().out
        return re.search(r"(canary|entropy RC_\w+) ?([0-9a-f]+)", out).group(0)

    def test_canary_and_entropy_differ_at_each_boot(self):
        source = ("-object", "rng-random,filename=/dev/urandom,id=r",
                  "-device", "virtio-rng-device,rng=r", "-seed", "42")
        for name in ("canary-value", "entropy"):
            seen = [self.value(name, extra=source) for _ in range(3)]
            self.assertEqual(len(set(seen)), 3, seen)
            if name == "canary-value":
                self.assertTrue(all(v.endswith("00") for v in seen), seen)

    def test_entropy_is_refused_without_a_source(self):
        self.assertIn("entropy RC_IO", self.value("entropy", cpu="qemu64"))
        self.assertIn("entropy RC_OK", self.value("entropy", cpu="qemu64",
                                                  extra=("-device", "virtio-rng-device")))

    def test_statuses(self):
        self.assertEqual(Boot("exit-status").finish().status, 7 * 2 + 1)
        self.assertEqual(Boot("reset").finish().status, 0)
        for machine in ("microvm", "q35", "pc"):
            self.assertEqual(Boot("walk", machine=machine, debug_exit=False).finish().status, 0)

    def test_memory_ends_with_a_refusal(self):
        out = Boot("exhaust").finish().out
        found = re.search(r"exhausted: (\d+) stacks, (\d+) blocks", out)
        self.assertIsNotNone(found, out)
        self.assertGreater(int(found.group(1)), 700)  # 64 MiB in stacks of 68 KiB
        found = re.search(r"exhausted: (\d+) stacks, (\d+) blocks", Boot("exhaust-heap").finish().out)
        self.assertGreater(int(found.group(2)), 500)

    def test_the_release_has_none_of_this(self):
        with open(RELEASE, "rb") as f:
            image = f.read()
        for word in (b"NOT CAUGHT", b"selftest=", b"page-table-run"):
            self.assertNotIn(word, image)


if __name__ == "__main__":
    unittest.main()
