#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mkimage.py: the boot disk, from an ELF and the two loaders. Same input, same bytes.

    mkimage.py --elf ELF --bios bios.bin --efi BOOTX64.EFI --out DISK [--data MiB] [--line WORDS]
               [--slot-b ELF]

DISK boots under BIOS and UEFI. With --data it carries the data partitions as well (blank, one
machine needs no second disk); without, the appliance takes another disk for its data. The layout
is image/layout.h's, the types of the data partitions storage/layout.h's: read from there.
"""
import argparse
import os
import re
import struct
import uuid
import zlib

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SPACE = uuid.UUID("5b4a2c1e-8d0f-5c53-9d5e-1f1b7a6e2c90")  # our name space: fixed ids, by name
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
BIOS_BOOT_TYPE = "21686148-6449-6e6f-744e-656564454649"
MIB = 2048  # blocks


def numbers(path):
    """The plain #defines of a header."""
    text = open(os.path.join(TOP, path)).read()
    return {k: int(v, 0) for k, v in re.findall(r"^#define (\w+) (\d+|0x[0-9a-fA-F]+)u?\b", text, re.M)}


def types(path):
    """The partition types named in comments beside their bytes."""
    text = open(os.path.join(TOP, path)).read()
    return dict(re.findall(r"^#define LAYOUT_TYPE_(\w+) /\* ([0-9a-f-]{36}) \*/", text, re.M))


L = numbers("image/layout.h")
BLOCK = L["BLOCK_BYTES"]


def fat12(blocks, name, data):
    """A FAT12 file system with /EFI/BOOT/NAME (8.3, upper case) and nothing else."""
    fat_blocks, root_blocks, reserved = 6, 4, 1
    first_data = reserved + 2 * fat_blocks + root_blocks
    boot = bytearray(BLOCK)
    boot[0:11] = b"\xeb\x3c\x90OPENPOLY"
    struct.pack_into("<HBHBHHBHHHII", boot, 11, BLOCK, 1, reserved, 2, root_blocks * BLOCK // 32, blocks,
                     0xF8, fat_blocks, 63, 255, L["ESP_BLOCK"], 0)
    struct.pack_into("<BBBI11s8s", boot, 36, 0x80, 0, 0x29, 0x0F0E0D0C, b"OPENPOLICY ", b"FAT12   ")
    boot[510:512] = b"\x55\xaa"

    clusters = max(1, -(-len(data) // BLOCK))
    chain = [0xFF8, 0xFFF, 0xFFF, 0xFFF]  # two reserved, then /EFI and /EFI/BOOT, a cluster each
    chain += [4 + i + 1 for i in range(clusters - 1)] + [0xFFF]
    assert first_data + len(chain) - 2 <= blocks, "the loader does not fit into its partition"
    fat = bytearray(fat_blocks * BLOCK)
    for i, value in enumerate(chain):
        at = i * 3 // 2
        word = fat[at] | fat[at + 1] << 8
        word |= value << 4 if i & 1 else value
        fat[at], fat[at + 1] = word & 255, word >> 8

    def entry(short, attributes, cluster, size=0):
        when = (1 << 5 | 1) | (2020 - 1980) << 9  # 2020-01-01 00:00: some fixed day
        return struct.pack("<11sBBBHHHHHHHI", short, attributes, 0, 0, 0, when, when, 0, 0, when, cluster, size)

    def directory(own, parent, *entries):
        dots = entry(b".          ", 0x10, own) + entry(b"..         ", 0x10, parent)
        return (dots + b"".join(entries)).ljust(BLOCK, b"\0")

    stem, suffix = name.split(".")
    short = (stem.ljust(8) + suffix.ljust(3)).encode()
    root = (entry(b"OPENPOLICY ", 0x08, 0) + entry(b"EFI        ", 0x10, 2)).ljust(root_blocks * BLOCK, b"\0")
    efi = directory(2, 0, entry(b"BOOT       ", 0x10, 3))
    folder = directory(3, 2, entry(short, 0x20, 4, len(data)))
    return bytes(boot) + bytes(fat) * 2 + root + efi + folder + data


def slot(elf, sequence, line):
    """struct slot, then the ELF."""
    words = line.encode()
    assert len(words) < L["SLOT_LINE_MAX"], "the command line is too long"
    assert len(elf) <= (L["SLOT_BLOCKS"] - 1) * BLOCK, "the ELF is too long for a slot"
    head = struct.pack("<8sIII", b"OPSLOT1\0", sequence, len(elf), zlib.crc32(elf))
    head = (head + words.ljust(L["SLOT_LINE_MAX"], b"\0")).ljust(BLOCK - 4, b"\0")
    return head + struct.pack("<I", zlib.crc32(head)) + elf


def empty_database():
    """The first page of a new database, as storage/layout.h's struct layout_sqlite_header says."""
    page = bytearray(4096)
    page[0:16] = b"SQLite format 3\0"
    struct.pack_into(">HBBBBBBIIIIIIIIIII", page, 16, 4096, 2, 2, 8, 64, 32, 32, 1, 1, 0, 0, 0, 4, 0, 0, 1, 0, 0)
    page[68:72] = b"OPOL"
    struct.pack_into(">II", page, 92, 1, 3053004)
    struct.pack_into(">BHHHB", page, 100, 13, 0, 0, 4096 - 8, 0)
    a = b = 0  # its sum, as storage/sum.h says
    for even, odd in struct.iter_unpack("<II", page[:-8]):
        a = (a + even + b) & 0xffffffff
        b = (b + odd + a) & 0xffffffff
    struct.pack_into("<II", page, 4096 - 8, a, b)
    return bytes(page)


def table(total, parts, disk_id):
    """(MBR table, primary blocks 1.., backup blocks at the end)"""
    entries = bytearray(128 * 128)
    for i, (name, kind, first, count, _) in enumerate(parts):
        struct.pack_into("<16s16sQQQ", entries, i * 128, uuid.UUID(kind).bytes_le,
                         uuid.uuid5(SPACE, name).bytes_le, first, first + count - 1, 0)
        label = name.encode("utf-16-le")
        entries[i * 128 + 56:i * 128 + 56 + len(label)] = label

    def header(here, other, entries_at):
        h = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, other, 34, total - 34,
                        disk_id.bytes_le, entries_at, 128, 128, zlib.crc32(entries))
        return (h[:16] + struct.pack("<I", zlib.crc32(h)) + h[20:]).ljust(BLOCK, b"\0")

    # Marked active: some BIOSes start nothing else. The range is the whole disk, as GPT demands.
    mbr = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, min(total - 1, 0xFFFFFFFF))
    return mbr, header(1, total - 1, 2) + entries, bytes(entries) + header(total - 1, 1, total - 33)


def main():
    ask = argparse.ArgumentParser()
    for name in ("elf", "bios", "efi", "out"):
        ask.add_argument("--" + name, required=True)
    ask.add_argument("--slot-b")
    ask.add_argument("--data", type=int, default=0)
    ask.add_argument("--line", default="")
    a = ask.parse_args()
    elf, bios, efi = (open(f, "rb").read() for f in (a.elf, a.bios, a.efi))
    stage1, stage2 = bios[:440], bios[0x400:]
    assert len(stage2) <= L["STAGE2_BLOCKS"] * BLOCK, "stage 2 is too long"

    kinds = types("storage/layout.h")
    parts = [  # name, type, first block, blocks, content
        ("bios", BIOS_BOOT_TYPE, L["STAGE2_BLOCK"], L["STAGE2_BLOCKS"], stage2),
        ("efi", ESP_TYPE, L["ESP_BLOCK"], L["ESP_BLOCKS"], fat12(L["ESP_BLOCKS"], "BOOTX64.EFI", efi)),
        ("image-a", kinds["SLOT"], L["SLOT_A_BLOCK"], L["SLOT_BLOCKS"], slot(elf, 1, a.line)),
        ("image-b", kinds["SLOT"], L["SLOT_B_BLOCK"], L["SLOT_BLOCKS"],
         slot(open(a.slot_b, "rb").read(), 2, a.line) if a.slot_b else b""),
    ]
    end = L["DATA_BLOCK"]
    if a.data:
        assert a.data >= 16, "--data: at least 16 MiB"
        wal = min(max(a.data // 8, 4), 256)
        for name, kind, size, content in (("crash", "CRASH", 1, b""), ("wal", "WAL", wal, b""),
                                          ("database", "DATABASE", a.data - 1 - wal, empty_database())):
            parts.append((name, kinds[kind], end, size * MIB, content))
            end += size * MIB
    total = end + MIB  # room for the backup table, and whole MiB
    mbr, primary, backup = table(total, parts, uuid.uuid5(SPACE, "disk" if a.data else "boot disk"))
    with open(a.out + ".new", "wb") as f:
        f.truncate(total * BLOCK)
        f.write(stage1 + b"OPOL\0\0" + mbr + bytes(48) + b"\x55\xaa" + primary)
        for _, _, first, count, content in parts:
            assert len(content) <= count * BLOCK
            f.seek(first * BLOCK)
            f.write(content)
        f.seek((total - 33) * BLOCK)
        f.write(backup)
    os.replace(a.out + ".new", a.out)


if __name__ == "__main__":
    main()
