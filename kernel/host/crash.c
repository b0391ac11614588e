/* SPDX-License-Identifier: Apache-2.0 */
/* crash.c — last words of the process: a fault becomes a panic with a backtrace whose frames have
 * names, static functions included (read from our own file's symbol table at start, because at
 * the end nothing may be trusted to allocate).
 *
 * Fault handlers run on a stack of their own, one per thread, so that a fiber that overran its
 * stack can still say so. Under a sanitizer the faults are left to it: its report says more. */
#include "kernel/host/host_impl.h"
#include "kernel/base/panic.h"
#include <elf.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER_HANDLES_FAULTS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER_HANDLES_FAULTS 1
#endif
#endif

#define ALT_STACK_BYTES 65536u
#define FRAMES_MAX 48

/* ---- Names ----------------------------------------------------------------------------------- */

static struct {
    const Elf64_Sym *symbols;
    size_t count;
    const char *names;
    size_t names_bytes;
    u64 load_bias;
} image;

static int see_object(struct dl_phdr_info *info, size_t size, void *arg) {
    (void)size, (void)arg;
    image.load_bias = info->dlpi_addr; /* the first object is the program itself */
    return 1;
}

/* Maps the program's file and finds .symtab and its strings; without them frames have numbers. */
static void load_symbols(void) {
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0) return;
    if (fstat(fd, &st) || (size_t)st.st_size < sizeof(Elf64_Ehdr)) {
        close(fd);
        return;
    }
    size_t bytes = (size_t)st.st_size;
    const char *file = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (file == MAP_FAILED) return;
    const Elf64_Ehdr *head = (const void *)file;
    if (head->e_shoff + (u64)head->e_shnum * sizeof(Elf64_Shdr) > bytes) return;
    const Elf64_Shdr *sections = (const void *)(file + head->e_shoff);
    for (u32 i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= head->e_shnum) continue;
        const Elf64_Shdr *names = &sections[sections[i].sh_link];
        image.symbols = (const void *)(file + sections[i].sh_offset);
        image.count = sections[i].sh_size / sizeof(Elf64_Sym);
        image.names = file + names->sh_offset;
        image.names_bytes = names->sh_size;
    }
    dl_iterate_phdr(see_object, NULL);
}

static const char *name_of(u64 address, u64 *out_offset) {
    u64 at = address - image.load_bias;
    for (size_t i = 0; i < image.count; i++) {
        const Elf64_Sym *s = &image.symbols[i];
        if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || at < s->st_value) continue;
        if (at - s->st_value >= s->st_size || s->st_name >= image.names_bytes) continue;
        *out_offset = at - s->st_value;
        return image.names + s->st_name;
    }
    return NULL;
}

void platform_backtrace(void (*put)(str)) {
    void *frames[FRAMES_MAX];
    int n = backtrace(frames, FRAMES_MAX);
    for (int i = 1; i < n; i++) {
        u64 address = (u64)(uintptr_t)frames[i], offset = 0;
        const char *name = name_of(address - 1, &offset); /* inside the call, not after it */
        char line[160];
        int length = snprintf(line, sizeof line, "  #%d 0x%llx %s+0x%llx\n", i,
                              (unsigned long long)address, name ? name : "?",
                              (unsigned long long)offset + 1);
        if (length > 0) put((str){line, MIN((size_t)length, sizeof line - 1)});
    }
}

/* ---- Last words ------------------------------------------------------------------------------ */

#define READER_NS (3 * NS_PER_S) /* for all of them together */

/* Straight to the descriptor: no buffer of the C library is between. A full pipe is waited for. */
static void write_out(int fd, str bytes) {
    static u64 until_ns;
    if (!until_ns) until_ns = host_real_ns() + READER_NS;
    while (bytes.len) {
        struct pollfd one = {.fd = fd, .events = POLLOUT};
        u64 now = host_real_ns();
        int ready = poll(&one, 1, now < until_ns ? (int)((until_ns - now) / NS_PER_MS) : 0);
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0 || one.revents & POLLNVAL) return;
        ssize_t n = write(fd, bytes.ptr, MIN(bytes.len, (size_t)PIPE_BUF));
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) return;
        bytes = str_skip(bytes, (size_t)n);
    }
}

/* To stderr, where a service manager looks, and to the console unless it is the same file. */
void platform_last_words(str bytes) {
    struct stat out, err;
    bool same = !fstat(STDOUT_FILENO, &out) && !fstat(STDERR_FILENO, &err) &&
                out.st_dev == err.st_dev && out.st_ino == err.st_ino;
    write_out(STDERR_FILENO, bytes);
    if (!same) platform_console_put(bytes);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

#ifndef SANITIZER_HANDLES_FAULTS
static void on_fault(int number, siginfo_t *info, void *context) {
    (void)context;
    u64 address = (u64)(uintptr_t)info->si_addr;
    const char *owner = panic_stack_owner(info->si_addr);
    panic("signal %d (SIG%s) at address 0x%llx on thread %u%s%s", number, sigabbrev_np(number),
          (unsigned long long)address, platform_thread(),
          owner ? ", in or just below the stack of fiber " : "", owner ? owner : "");
}
#endif

void host_crash_thread_start(void) {
#ifndef SANITIZER_HANDLES_FAULTS
    stack_t stack = {.ss_sp = malloc(ALT_STACK_BYTES), .ss_size = ALT_STACK_BYTES};
    if (stack.ss_sp) sigaltstack(&stack, NULL);
#endif
}

void host_crash_start(void) {
    void *warm[1];
    backtrace(warm, 1); /* its first call loads a library: not when dying */
    load_symbols();
    host_crash_thread_start();
#ifndef SANITIZER_HANDLES_FAULTS
    /* A fault while one is handled is a panic inside a panic, not a silent end: none is blocked. */
    struct sigaction fault = {.sa_sigaction = on_fault,
                              .sa_flags = (int)(SA_SIGINFO | SA_ONSTACK | SA_NODEFER)};
    const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    sigfillset(&fault.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) sigdelset(&fault.sa_mask, numbers[i]);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) sigaction(numbers[i], &fault, NULL);
#endif
}

void platform_die(void) {
    host_console_restore();
    _exit(host_options.test ? EXIT_BROKEN : EXIT_RESET);
}
