/* SPDX-License-Identifier: Apache-2.0 */
/* bios.S — from a BIOS to bios_main.c: stage 1 (the MBR), the way into 32-bit mode, and the way
 * back for each BIOS call.
 *
 *   0x0600..0x7c00   stack, growing down           0x8000..0xffff   stage 2: this file, bios_main.c
 *   0x7c00..0x7dff   stage 1, as the BIOS loads it  0x10000..0x17fff bounce buffer for disk reads
 *
 * The first 440 bytes of the linked binary's second section are stage 1; mkimage.py puts them into
 * the MBR and the rest into the BIOS boot partition. All data a BIOS call touches lies below 64
 * KiB, so that segment 0 reaches it. What it leaves to bios_main.c: everything that can be said
 * in C. */
#include "image/layout.h"

/* ---- Stage 1: read stage 2, jump. Offset 3 names us (tools/run.sh and efi.c look there). ----- */
        .section .stage1, "ax"
        .code16
stage1: jmp     1f
        .byte   0x90
        .ascii  "OPENPOLI"
1:      ljmp    $0, $2f
2:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        sti
        cld
        movb    %dl, drive1
        movb    $0x41, %ah                      /* does it read by block number? */
        movw    $0x55aa, %bx
        int     $0x13
        jc      fail1
        movw    $packet1, %si
        movb    drive1, %dl
        movb    $0x42, %ah
        int     $0x13
        jc      fail1
        cmpl    $0x32534f50, 0x8004             /* "POS2" */
        jne     fail1
        movb    drive1, %dl
        ljmp    $0, $0x8000
fail1:  movw    $text1, %si
3:      lodsb
        testb   %al, %al
        jz      4f
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        jmp     3b
4:      int     $0x18                           /* let the BIOS try the next disk */
5:      hlt
        jmp     5b
drive1: .byte   0
        .balign 4
packet1:
        .byte   16, 0
        .word   STAGE2_BLOCKS
        .word   0, 0x800                        /* 0x0800:0000 = 0x8000 */
        .quad   STAGE2_BLOCK
text1:  .asciz  "OpenPolicy: the boot disk cannot be read\r\n"
        .org    440                             /* disk signature and partition table follow */

/* ---- Stage 2 --------------------------------------------------------------------------------- */
        .section .stage2, "ax"
        .code16
        jmp     1f
        .balign 4
        .ascii  "POS2"
1:      movb    %dl, bios_drive
        movw    $0x2401, %ax                    /* A20 on: ask, then the fast port as well */
        int     $0x15
        inb     $0x92, %al
        orb     $2, %al
        andb    $0xfe, %al
        outb    %al, $0x92

        xorl    %ebx, %ebx                      /* memory map: INT 15h E820, 24 bytes each */
        movw    $bios_e820, %di
2:      movl    $0xe820, %eax
        movl    $24, %ecx
        movl    $0x534d4150, %edx
        movl    $1, 20(%di)
        int     $0x15
        jc      3f
        cmpl    $0x534d4150, %eax
        jne     3f
        incl    bios_e820_count
        addw    $24, %di
        cmpl    $BIOS_E820_MAX, bios_e820_count
        jae     3f
        testl   %ebx, %ebx
        jnz     2b
3:      calll   to_protected
        .code32
        call    bios_main
4:      hlt
        jmp     4b

/* Called in real mode with a 32-bit return address, returns in protected mode; and the other way.
 * Both keep %esp, %ebp, %esi, %edi, %ebx; stack and code are the same bytes in both. */
        .code16
to_protected:
        cli
        lgdtl   gdt_pointer
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $8, $5f
        .code32
5:      movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        movzwl  %sp, %esp
        ret
to_real:
        cli
        ljmpl   $24, $6f
        .code16
6:      movw    $32, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    %cr0, %eax
        andb    $0xfe, %al
        movl    %eax, %cr0
        ljmpl   $0, $7f
7:      xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        sti
        retl

/* int bios_read(void): the disk address packet bios_packet, by INT 13h. 0: read. */
        .code32
        .globl  bios_read
bios_read:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        call    to_real
        .code16
        movw    $bios_packet, %si
        movb    bios_drive, %dl
        movb    $0x42, %ah
        int     $0x13
        movl    $0, %edi
        jnc     8f
        incl    %edi
8:      calll   to_protected
        .code32
        movl    %edi, %eax
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

/* void bios_print(char): one character on the BIOS's screen. */
        .globl  bios_print
bios_print:
        pushl   %ebp
        pushl   %ebx
        pushl   %esi
        pushl   %edi
        movl    20(%esp), %edi
        call    to_real
        .code16
        movl    %edi, %eax
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        calll   to_protected
        .code32
        popl    %edi
        popl    %esi
        popl    %ebx
        popl    %ebp
        ret

/* void bios_enter(uint32_t entry, struct start_info *): does not return. */
        .globl  bios_enter
bios_enter:
        cli
        movl    4(%esp), %eax
        movl    8(%esp), %ebx
        jmp     *%eax

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff              /* 8: code, flat, 32-bit */
        .quad   0x00cf93000000ffff              /* 16: data, flat */
        .quad   0x00009b000000ffff              /* 24: code for the way back, 16-bit */
        .quad   0x000093000000ffff              /* 32: data for the way back */
gdt_pointer:
        .word   gdt_pointer - gdt - 1
        .long   gdt

        .data
        .globl  bios_drive, bios_e820, bios_e820_count, bios_packet
bios_drive:
        .byte   0
        .balign 8
bios_packet:
        .space  16
bios_e820_count:
        .long   0
        .set    BIOS_E820_MAX, 64
        .balign 8
bios_e820:
        .space  24 * BIOS_E820_MAX
        .section .note.GNU-stack, "", @progbits
