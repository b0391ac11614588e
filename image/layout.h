/* SPDX-License-Identifier: Apache-2.0 */
/* layout.h — the boot disk, in blocks of 512 bytes. mkimage.py reads the numbers from here too.
 *
 *   0      MBR: protective partition, stage 1 of the BIOS loader
 *   1      GPT (backup in the last 33 blocks)
 *   64     BIOS boot partition: stage 2 of the BIOS loader
 *   2048   EFI system partition: FAT12 with EFI/BOOT/BOOTX64.EFI
 *   4096   image slot A: one block of struct slot, then the ELF
 *   20480  image slot B: the same, or empty
 *   36864  data area: the partitions of storage/layout.h, or nothing
 *
 * Both loaders read the slots by block number, so that an update writes one slot and no file
 * system: they take the slot with the higher sequence whose sums are right, else the other one. */
#pragma once
#define BLOCK_BYTES 512
#define STAGE2_BLOCK 64
#define STAGE2_BLOCKS 64
#define ESP_BLOCK 2048
#define ESP_BLOCKS 2048
#define SLOT_A_BLOCK 4096
#define SLOT_B_BLOCK 20480
#define SLOT_BLOCKS 16384
#define DATA_BLOCK 36864
#define SLOT_LINE_MAX 448 /* bytes of a slot's command line with its ending NUL */

#ifndef __ASSEMBLER__
#include <stdint.h>
struct slot { /* little endian, like everything here */
    char magic[8];     /* "OPSLOT1\0" */
    uint32_t sequence; /* the higher one is tried first; 0: empty */
    uint32_t elf_bytes;
    uint32_t elf_crc;  /* CRC-32 as in zlib, of the ELF */
    char command_line[SLOT_LINE_MAX];
    char reserved[40];
    uint32_t head_crc; /* of the bytes before it */
};
_Static_assert(sizeof(struct slot) == BLOCK_BYTES, "one block");
#endif
