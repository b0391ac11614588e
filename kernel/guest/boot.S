/* SPDX-License-Identifier: Apache-2.0 */
/* boot.S — the first instructions. Every loader enters at boot_start in 32-bit protected mode
 * with paging off:
 *
 *   PVH         ebx -> hvm_start_info        QEMU -kernel, Firecracker, our own boot disk
 *   multiboot2  eax = 0x36D76289, ebx -> tags    GRUB
 *
 * It notes the time, maps the first 4 GiB one to one with 2 MiB pages, enters long mode and calls
 * start(eax, ebx) on the loop's stack. page.c replaces these tables within microseconds.
 * Needs: .bss zeroed by the loader, as ELF says. */

#define PTE_TABLE 0x3 /* present, writable */
#define PTE_2M 0x83

    .section .multiboot2, "a"
    .balign 8
header:
    .long 0xE85250D6, 0, header_end - header
    .long -(0xE85250D6 + 0 + (header_end - header))
    .short 0, 0 /* end tag */
    .long 8
header_end:

    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18 /* name bytes, value bytes, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long boot_start

    .section .text.boot, "ax"
    .code32
    .global boot_start
boot_start:
    cli
    cld
    mov %eax, %esi
    mov %ebx, %edi
    rdtsc
    mov %eax, boot_tsc
    mov %edx, boot_tsc + 4
    mov $loop_stack_top, %esp

    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx
    jnc no_long_mode
    mov %edx, %ebp /* bit 20: NX */

    movl $boot_pdpt + PTE_TABLE, boot_pml4
    mov $boot_pd, %ebx
    xor %ecx, %ecx
1:  lea PTE_TABLE(%ebx), %eax
    mov %eax, boot_pdpt(,%ecx,8)
    add $4096, %ebx
    inc %ecx
    cmp $4, %ecx
    jb 1b
    mov $PTE_2M, %eax
    mov $boot_pd, %ebx
2:  mov %eax, (%ebx)
    add $8, %ebx
    add $0x200000, %eax
    jnc 2b

    mov $boot_pml4, %eax
    mov %eax, %cr3
    mov $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $0xC0000080, %ecx /* EFER */
    rdmsr
    bts $8, %eax /* long mode */
    bt $20, %ebp
    jnc 3f
    bts $11, %eax /* no-execute */
3:  wrmsr
    mov $0x80010033, %eax /* PG, WP, NE, ET, MP, PE */
    mov %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $boot_long

no_long_mode: /* no console is known to work here */
    hlt
    jmp no_long_mode

    .code64
boot_long:
    mov $16, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov $loop_stack_top, %esp
    push $2
    popfq /* no interrupts, no AC: SMAP counts on it */
    xor %ebp, %ebp /* ends every backtrace */
    mov %ebp, %fs
    mov %ebp, %gs
    xchg %edi, %esi /* also clears the upper halves */
    call start
    ud2

    .section .rodata
    .balign 8
boot_gdt:
    .quad 0, 0x00AF9A000000FFFF, 0x00CF92000000FFFF
boot_gdt_pointer:
    .short 23
    .long boot_gdt
    .long 0 /* read as 64 bits by the trampoline */
    .global boot_gdt_pointer

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pd:
    .skip 4 * 4096
    .global loop_stack_guard, loop_stack_top
loop_stack_guard:
    .skip 4096
    .skip 256 * 1024
loop_stack_top:
    .section .bss
    .balign 8
    .global boot_tsc
boot_tsc:
    .skip 8

    .section .note.GNU-stack, "", @progbits
