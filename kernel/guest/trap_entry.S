/* SPDX-License-Identifier: Apache-2.0 */
/* trap_entry.S — entry of every exception and interrupt, the stack switch, and the other CPUs'
 * first instructions (trampoline). The frame it builds is struct trap_frame. Vector state (SSE)
 * is not saved here: interrupt-side code is compiled without it, and smp.c saves it when it
 * switches. */

    .section .text.trap, "ax"
    .code64

/* Exceptions that push an error code: 8, 10-14, 17, 21, 29, 30. */
    .set n, 0
    .balign 16
    .global trap_stubs
trap_stubs:
    .rept 64
    .balign 16
    .if (n == 8) | ((n >= 10) & (n <= 14)) | (n == 17) | (n == 21) | (n == 29) | (n == 30)
    .else
    push $0
    .endif
    push $n
    jmp trap_common
    .set n, n + 1
    .endr

    .balign 16
trap_common:
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    cld
    mov %rsp, %rdi
    xor %ebp, %ebp
    call trap_handle /* the CPU aligned the stack to 16 and pushed 5; we pushed 17 */
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

/* void stack_switch(u64 *save_rsp, u64 load_rsp): callee-saved registers only, as a call. */
    .global stack_switch
stack_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    sub $8, %rsp
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    add $8, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret

/* The other CPUs wake in real mode at a page below 1 MiB, where smp.c has copied these bytes.
 * It fills in the last three words: tables, stack and entry. Addresses are relative to %cs * 16. */
    .balign 16
    .global trampoline_start, trampoline_end
    .code16
trampoline_start:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    xor %ebx, %ebx
    mov %cs, %bx
    shl $4, %ebx /* where we are */
    lea (trampoline_long - trampoline_start)(%ebx), %eax
    mov %eax, trampoline_far - trampoline_start
    lea (trampoline_gdt - trampoline_start)(%ebx), %eax
    mov %eax, trampoline_gdt_at - trampoline_start
    lgdtl trampoline_gdt_pointer - trampoline_start
    mov $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov trampoline_cr3 - trampoline_start, %eax
    mov %eax, %cr3
    mov $0xC0000080, %ecx
    mov trampoline_efer - trampoline_start, %eax
    xor %edx, %edx
    wrmsr
    mov $0x80010033, %eax
    mov %eax, %cr0 /* long mode, paging: this page is mapped one to one and executable */
    ljmpl *(trampoline_far - trampoline_start)
    .code64
trampoline_long:
    mov $16, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $1, %edi
    lock xadd %edi, (trampoline_count - trampoline_start)(%rbx) /* my number, from 1 */
    cmp (trampoline_limit - trampoline_start)(%rbx), %edi
    ja 2f
    mov trampoline_stacks(%rip), %rax
    mov -8(%rax,%rdi,8), %rsp
    push $2
    popfq
    xor %ebp, %ebp
    call *trampoline_entry(%rip)
2:  cli
    hlt /* one CPU too many: it sleeps for ever */
    jmp 2b
    .balign 8
trampoline_gdt:
    .quad 0, 0x00AF9A000000FFFF, 0x00CF92000000FFFF
trampoline_gdt_pointer:
    .short 23
trampoline_gdt_at:
    .long 0
    .balign 4
trampoline_far:
    .long 0
    .short 8
    .balign 8
    .global trampoline_cr3, trampoline_efer, trampoline_count, trampoline_limit
    .global trampoline_stacks, trampoline_entry
trampoline_cr3:
    .long 0
trampoline_efer:
    .long 0
trampoline_count:
    .long 1
trampoline_limit:
    .long 0
trampoline_stacks:
    .quad 0
trampoline_entry:
    .quad 0
trampoline_end:

    .section .note.GNU-stack, "", @progbits
