/* SPDX-License-Identifier: Apache-2.0 */
/* efi_head.S — the PE/COFF header of BOOTX64.EFI, written out, and the last steps into the kernel.
 *
 *   0x000  MZ, PE header, one section   (Microsoft PE and COFF specification, 2 to 4)
 *   0x200  .text: code and constants, data and .bss: efi.ld lays them out
 *
 * With the header here no tool but the assembler and the linker is needed and every byte is known:
 * no time stamp, no check sum. The code is position independent and has no relocations (efi.ld
 * refuses any), so firmware may load it anywhere; the empty relocation directory says so. */
        .section .head, "a"
        .globl  pe_start
pe_start:
        .ascii  "MZ"
        .org    0x3c
        .long   pe_header - pe_start
pe_header:
        .ascii  "PE\0\0"
        .word   0x8664                          /* x86-64 */
        .word   1                               /* sections */
        .long   0, 0, 0                         /* time, symbols */
        .word   optional_end - optional
        .word   0x0206                          /* executable, no line numbers, no debug */
optional:
        .word   0x20b                           /* PE32+ */
        .byte   0, 0
        .long   pe_code_bytes, 0, 0
        .long   efi_main - pe_start
        .long   0x200                           /* base of code */
        .quad   0                               /* image base: any */
        .long   0x200, 0x200                    /* section and file alignment */
        .word   0, 0, 0, 0, 0, 0
        .long   0
        .long   pe_image_bytes
        .long   0x200                           /* headers */
        .long   0
        .word   10                              /* EFI application */
        .word   0
        .quad   0, 0, 0, 0
        .long   0
        .long   6                               /* directories */
        .quad   0, 0, 0, 0, 0, 0
optional_end:
        .ascii  ".text\0\0\0"
        .long   pe_image_bytes - 0x200          /* in memory */
        .long   0x200
        .long   pe_code_bytes                   /* in the file */
        .long   0x200
        .long   0, 0
        .word   0, 0
        .long   0xe0000020                      /* code, read, write, execute */
        .org    0x200

/* From 64-bit mode to the kernel's 32-bit entry. efi.c copies this below 4 GiB and calls it there
 * with the entry in %edi and the start info in %esi; interrupts are off and boot services are gone.
 * Its stack is the copy's own. */
        .section .text
        .code64
        .globl  efi_leave, efi_leave_end
        .balign 16
efi_leave:
        leaq    efi_leave(%rip), %rbx
        leaq    leave_stack - efi_leave(%rbx), %rsp
        leaq    leave_gdt - efi_leave(%rbx), %rax
        movq    %rax, leave_gdt_pointer + 2 - efi_leave(%rbx)
        lgdt    leave_gdt_pointer - efi_leave(%rbx)
        leaq    leave_32 - efi_leave(%rbx), %rax
        pushq   $8
        pushq   %rax
        lretq
        .code32
leave_32:
        movl    $16, %eax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    %ax, %fs
        movw    %ax, %gs
        movl    %cr0, %eax
        andl    $0x7fffffff, %eax               /* paging off */
        movl    %eax, %cr0
        movl    $0xc0000080, %ecx               /* EFER: long mode off */
        rdmsr
        andl    $~0x100, %eax
        wrmsr
        xorl    %eax, %eax
        movl    %eax, %cr4
        movl    $0x11, %eax                     /* protected mode, nothing else */
        movl    %eax, %cr0
        movl    %esi, %ebx
        jmp     *%edi
        .balign 8
leave_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
leave_gdt_pointer:
        .word   leave_gdt_pointer - leave_gdt - 1
        .quad   0
        .balign 16
        .space  64
leave_stack:
efi_leave_end:
        .section .note.GNU-stack, "", @progbits
