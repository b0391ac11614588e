/* SPDX-License-Identifier: Apache-2.0 */
/* fiber_x86_64.S — the switch between two stacks, the same in the guest and on Linux.
 *
 *   a parked stack, from its saved top:   mxcsr, x87 control word | r15 r14 r13 r12 rbx rbp | rip
 *
 * Only what the System V ABI lets a called function expect is saved; all else is the caller's to
 * lose, because a switch is an ordinary call. The control words travel with the fiber so that a
 * library that changes rounding cannot change it for its neighbours. */
    .text

/* void fiber_switch(void **save, void *to) */
    .globl fiber_switch
    .type fiber_switch, @function
    .p2align 4
fiber_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    subq $8, %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret
    int3
    .cfi_endproc
    .size fiber_switch, . - fiber_switch

/* A fresh stack begins here, reached by the `ret` above: calls r12(r13), which never returns.
 * No caller to unwind to: frame pointer and return address are none. */
    .globl fiber_enter
    .type fiber_enter, @function
    .p2align 4
fiber_enter:
    .cfi_startproc
    .cfi_undefined %rip
    endbr64
    xorl %ebp, %ebp
    movq %r13, %rdi
    call *%r12
    ud2
    .cfi_endproc
    .size fiber_enter, . - fiber_enter

    .section .note.GNU-stack, "", @progbits
