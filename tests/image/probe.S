/* SPDX-License-Identifier: Apache-2.0 */
/* probe.S — the smallest kernel that can tell whether it was entered as promised.
 *
 * A 64-bit ELF with a PVH note, linked at 16 MiB like the appliance's. Entered in 32-bit protected
 * mode with paging off and %ebx at an hvm_start_info; it prints that table on the first serial port
 * as `name=hex` lines and ends QEMU with status 21 (or 22 when the table is not one):
 *
 *   cr0= flags of the CPU mode       magic= version= rsdp= map= (entries)   append=the command line
 *   ram= bytes of RAM in the map     rsdt= first four bytes at rsdp        bss=0 when it was zeroed
 *
 * What it leaves to others: everything. Its .bss is large enough to need the loader's zeroing. */
        .section .note.PVH, "a", @note
        .long 4, 4, 18                          /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long entry

        .text
        .code32
        .globl entry
entry:  movl    $stack_top, %esp
        cld
        movl    $n_cr0, %esi
        movl    %cr0, %eax
        call    line
        cmpl    $0x336ec578, (%ebx)
        jne     wrong
        movl    $n_version, %esi
        movl    4(%ebx), %eax
        call    line
        movl    $n_rsdp, %esi
        movl    32(%ebx), %eax
        call    line
        movl    32(%ebx), %eax
        testl   %eax, %eax
        jz      1f
        movl    (%eax), %eax
1:      movl    $n_rsdt, %esi
        call    line
        movl    $n_map, %esi
        movl    48(%ebx), %eax
        call    line

        movl    40(%ebx), %edi                  /* sum of the RAM below 4 GiB in the map */
        movl    48(%ebx), %ecx
        xorl    %eax, %eax
2:      cmpl    $1, 16(%edi)
        jne     3f
        cmpl    $0, 4(%edi)
        jne     3f
        addl    8(%edi), %eax
3:      addl    $24, %edi
        loop    2b
        movl    $n_ram, %esi
        call    line

        movl    $bss, %edi
        movl    $BSS_BYTES / 4, %ecx
        xorl    %eax, %eax
4:      orl     (%edi), %eax
        addl    $4, %edi
        loop    4b
        movl    $n_bss, %esi
        call    line
        cmpl    $0x6c617464, data               /* "dtal": the second segment came too */
        jne     wrong

        movl    $n_append, %esi
        call    text
        movl    24(%ebx), %esi
        testl   %esi, %esi
        jz      5f
        call    text
5:      movb    $10, %al
        call    put
        movb    $21, %al
        jmp     leave
wrong:  movb    $22, %al
leave:  outb    %al, $0xf4
        cli
6:      hlt
        jmp     6b

put:    pushl   %edx                            /* %al to the serial port */
        pushl   %eax
        movw    $0x3fd, %dx
7:      inb     %dx, %al
        testb   $0x20, %al
        jz      7b
        popl    %eax
        movw    $0x3f8, %dx
        outb    %al, %dx
        popl    %edx
        ret
text:   lodsb                                   /* the string at %esi */
        testb   %al, %al
        jz      8f
        call    put
        jmp     text
8:      ret
line:   pushl   %eax                            /* name at %esi, then %eax in hex */
        call    text
        popl    %ebp
        movl    $8, %ecx
9:      roll    $4, %ebp
        movl    %ebp, %eax
        andb    $15, %al
        cmpb    $10, %al
        jb      10f
        addb    $'a' - 10 - '0', %al
10:     addb    $'0', %al
        call    put
        loop    9b
        movb    $10, %al
        jmp     put

        .section .rodata
n_cr0:     .asciz "cr0="
n_version: .asciz "version="
n_rsdp:    .asciz "rsdp="
n_rsdt:    .asciz "rsdt="
n_map:     .asciz "map="
n_ram:     .asciz "ram="
n_bss:     .asciz "bss="
n_append:  .asciz "append="

        .data
data:   .ascii  "dtal"
        .space  100000, 0x5a                    /* longer than one read of a loader */
        .set    BSS_BYTES, 0x300000
        .bss
bss:    .space  BSS_BYTES
        .space  4096
stack_top:
        .section .note.GNU-stack, "", @progbits
