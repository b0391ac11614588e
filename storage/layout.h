/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h — what lies where on the data disk. Everything here is written to disks: it is never
 * changed, only added to.
 *
 *   0          1 MiB        2 MiB      2 MiB + WAL                          end - 1 MiB     end
 *   | MBR  GPT | crash 1 MiB |   WAL    | database: a plain SQLite file ... | backup GPT |
 *
 * The database is last so that it can grow with the disk. All numbers are little-endian. Source of
 * the partition table: UEFI Specification 2.10, chapter 5. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/panic.h"

/* Partition types, as the 16 bytes on disk (RFC 4122 in GPT's mixed byte order). A disk with one
 * partition of each is a data disk of ours; a boot disk of ours may carry them too. */
#define LAYOUT_TYPE_DATABASE /* 47379c77-035b-4537-a73f-6e0310795911 */                            \
    {                                                                                              \
        0x77, 0x9c, 0x37, 0x47, 0x5b, 0x03, 0x37, 0x45, 0xa7, 0x3f, 0x6e, 0x03, 0x10, 0x79, 0x59,  \
            0x11                                                                                   \
    }
#define LAYOUT_TYPE_WAL /* bd166446-e0ce-47e5-abf1-69092a21754b */                                 \
    {                                                                                              \
        0x46, 0x64, 0x16, 0xbd, 0xce, 0xe0, 0xe5, 0x47, 0xab, 0xf1, 0x69, 0x09, 0x2a, 0x21, 0x75,  \
            0x4b                                                                                   \
    }
#define LAYOUT_TYPE_CRASH /* a5bcb65c-0186-4d78-a054-e929cd7da2bd */                               \
    {                                                                                              \
        0x5c, 0xb6, 0xbc, 0xa5, 0x86, 0x01, 0x78, 0x4d, 0xa0, 0x54, 0xe9, 0x29, 0xcd, 0x7d, 0xa2,  \
            0xbd                                                                                   \
    }
/* A boot image slot (one ELF); the storage code never looks inside. */
#define LAYOUT_TYPE_SLOT /* ba65c2b2-10ad-4251-b60d-a85fbfc0acb5 */                                \
    {                                                                                              \
        0xb2, 0xc2, 0x65, 0xba, 0xad, 0x10, 0x51, 0x42, 0xb6, 0x0d, 0xa8, 0x5f, 0xbf, 0xc0, 0xac,  \
            0xb5                                                                                   \
    }

#define LAYOUT_PAGE_BYTES 4096u /* SQLite's page, and the unit partitions are made of */
#define LAYOUT_ALIGN_BYTES (1u << 20)
#define LAYOUT_DISK_BYTES_MIN (16ull << 20)
#define LAYOUT_CRASH_BYTES (1ull << 20)
#define LAYOUT_WAL_BYTES_MIN (4ull << 20)
#define LAYOUT_WAL_BYTES_MAX (256ull << 20)
#define LAYOUT_DATABASE_BYTES_MIN (4ull << 20)

/* Inside the crash partition: the record first, the block the write probe uses last, before it the
 * mark of a restore, before that the two copies of an encrypted disk's header. */
#define LAYOUT_CRASH_RECORD_AT 0u
#define LAYOUT_PROBE_AT (LAYOUT_CRASH_BYTES - LAYOUT_PAGE_BYTES)
#define LAYOUT_RESTORE_AT (LAYOUT_PROBE_AT - LAYOUT_PAGE_BYTES)
#define LAYOUT_SEAL_AT (LAYOUT_RESTORE_AT - 2 * LAYOUT_PAGE_BYTES)
static_assert(CRASH_RECORD_BYTES % LAYOUT_PAGE_BYTES == 0, "a record is whole pages");
static_assert(LAYOUT_CRASH_RECORD_AT + CRASH_RECORD_BYTES <= LAYOUT_SEAL_AT, "they do not meet");
static_assert(LAYOUT_DISK_BYTES_MIN >= 2 * LAYOUT_ALIGN_BYTES + LAYOUT_CRASH_BYTES +
                                           LAYOUT_WAL_BYTES_MIN + LAYOUT_DATABASE_BYTES_MIN,
              "the smallest disk holds the smallest partitions");

/* ---- Master boot record (LBA 0) -------------------------------------------------------------- */

/* We own the boot code bytes of a data disk and say so there. While `state` is MAKING nothing on
 * the disk counts yet, so a cut in the middle of initialisation starts over. */
#define LAYOUT_MARK "OpenPolicy data disk"
enum { LAYOUT_STATE_MAKING = 'M', LAYOUT_STATE_READY = 'R' };
struct __attribute__((packed)) layout_mbr_part {
    u8 status;
    u8 first_chs[3];
    u8 type; /* 0xEE: "GPT protective" */
    u8 last_chs[3];
    u32 first_lba, lba_count;
};
struct __attribute__((packed)) layout_mbr {
    u8 code[2];    /* a jump on boot disks; EB FE (stay here) on ours */
    char mark[31]; /* LAYOUT_MARK, zero-padded */
    u8 state;
    u8 rest[412];
    struct layout_mbr_part parts[4];
    u16 signature; /* 0xAA55 */
};
static_assert(sizeof(struct layout_mbr) == 512, "one sector");
static_assert(offsetof(struct layout_mbr, parts) == 446, "where the MBR's table lies");

/* ---- GUID partition table -------------------------------------------------------------------- */

#define LAYOUT_GPT_SIGNATURE "EFI PART"
#define LAYOUT_GPT_REVISION 0x00010000u
#define LAYOUT_GPT_ENTRIES 128u
#define LAYOUT_GPT_ENTRY_BYTES 128u
#define LAYOUT_GPT_TABLE_BYTES (LAYOUT_GPT_ENTRIES * LAYOUT_GPT_ENTRY_BYTES)
struct __attribute__((packed)) layout_gpt_header {
    char signature[8];
    u32 revision, header_bytes;
    u32 header_crc; /* with this field as 0 */
    u32 reserved;
    u64 this_lba, other_lba;
    u64 first_usable_lba, last_usable_lba;
    u8 disk_id[16];
    u64 entries_lba;
    u32 entry_count, entry_bytes;
    u32 entries_crc;
};
static_assert(sizeof(struct layout_gpt_header) == 92, "UEFI 2.10, 5.3.2");
struct __attribute__((packed)) layout_gpt_entry {
    u8 type[16], id[16];
    u64 first_lba, last_lba; /* both inclusive */
    u64 attributes;
    u16 name[36]; /* UTF-16LE */
};
static_assert(sizeof(struct layout_gpt_entry) == LAYOUT_GPT_ENTRY_BYTES, "UEFI 2.10, 5.3.3");

/* ---- The first page of a new database -------------------------------------------------------- */

/* https://sqlite.org/fileformat2.html 1.3: big-endian. A page with this and nothing else is a
 * valid, empty database in WAL mode, so SQLite never needs a rollback journal here. */
struct __attribute__((packed)) layout_sqlite_header {
    char magic[16]; /* "SQLite format 3\0" */
    u8 page_bytes[2];
    u8 write_version, read_version; /* 2: WAL */
    u8 reserved_bytes, max_fraction, min_fraction, leaf_fraction; /* 8 64 32 32 */
    u8 change_counter[4];
    u8 page_count[4];
    u8 first_free[4], free_count[4];
    u8 schema_cookie[4], schema_format[4]; /* format 4 */
    u8 cache_pages[4], vacuum_root[4];
    u8 encoding[4]; /* 1: UTF-8 */
    u8 user_version[4], incremental_vacuum[4];
    u8 application_id[4]; /* "OPOL" */
    u8 zero[20];
    u8 valid_for[4]; /* equals change_counter: page_count may be trusted */
    u8 library_version[4];
    /* then the empty table of tables: a leaf b-tree page */
    u8 leaf_type; /* 13 */
    u8 leaf_free[2], leaf_cells[2], leaf_content[2], leaf_fragments;
};
static_assert(offsetof(struct layout_sqlite_header, leaf_type) == 100, "SQLite's header");
static_assert(sizeof(struct layout_sqlite_header) == 108, "SQLite's header and an empty leaf");

/* ---- A database waiting to take the place of the one there ------------------------------------
 */

#define LAYOUT_RESTORE_MAGIC "OPOLREST"
enum { LAYOUT_RESTORE_WAITING = 'W', LAYOUT_RESTORE_DONE = 'D' };
struct __attribute__((packed)) layout_restore { /* the first bytes of its block, then zeroes */
    char magic[8];
    u8 state;
    u8 zero[3];
    u32 crc;         /* of this struct, with this field as 0 */
    u64 first_page;  /* of the database partition, from 0: where it is staged */
    u64 page_count;  /* it goes to pages 0 .. page_count - 1 */
    char note[240];  /* zero-padded */
};
static_assert(sizeof(struct layout_restore) == 272, "within the smallest block");

/* ---- The key of an encrypted disk ------------------------------------------------------------
 */

/* All zeroes: the disk is in the clear. Else the partitions of the database and of the log are
 * AES-256-XTS, a unit for each 512 bytes, whose number is their place on the disk in such units. */
#define LAYOUT_SEAL_MAGIC "OPOLSEAL"
enum { LAYOUT_SEAL_KEY = 'K', LAYOUT_SEAL_PASSPHRASE = 'P' };
struct __attribute__((packed)) layout_seal { /* the first bytes of its page, then zeroes */
    char magic[8];
    u8 kind;
    u8 zero[3];
    u32 crc; /* of this struct, with this field as 0 */
    u32 memory_kib, passes; /* argon2id version 0x13, one lane, of a passphrase */
    u64 generation; /* of two sound copies the higher one counts */
    u8 salt[16];
    u8 nonce[12];
    u8 zero_too[4];
    /* AES-256-GCM of the data key; its additional data: the disk's GUID and all that stands above,
     * with crc as 0. */
    u8 wrapped[64], tag[16];
};
static_assert(sizeof(struct layout_seal) == 144, "within the smallest block");
