/* SPDX-License-Identifier: Apache-2.0 */
/* insnprof.c — a QEMU TCG plugin that counts how often each block of guest code ran, readable while
 * the guest runs. tools/profile.py turns two readings into a profile by function.
 *
 *   make build/insnprof.so
 *   qemu-system-x86_64 -accel tcg -plugin build/insnprof.so,counter=FILE ...
 *
 *   FILE: u64 used | BLOCKS_MAX * { u64 address, u64 instructions, u64 runs }   host byte order
 *   ,callers=FILE2 as well: the same with { u64 from, u64 address, u64 runs }: block `address` ran
 *   after block `from`, which for a function's first block is whoever called it
 *
 * Blocks are known by address and length, so one that is translated again goes on counting where it
 * was. Sampling with a timer would need a stack to walk, and fibers have many; counting needs none
 * and gives the same figures each time. One vCPU only: the inline add is not atomic. The prototypes
 * are those of tools/insncount.c, for the same reason. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
enum { INLINE_ADD_U64 = 0, CB_NO_REGS = 0 };
typedef void (*vcpu_fn)(unsigned vcpu, void *arg);
typedef void (*tb_trans_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_fn fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                              uint64_t imm);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, vcpu_fn fn, int flags,
                                          void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

#define BLOCKS_MAX (1u << 18) /* a power of two, twice what the whole image has */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED extern int qemu_plugin_version;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

EXPORTED int qemu_plugin_version = 1;
struct row {
    uint64_t key[2], runs;
};
struct table {
    uint64_t used;
    struct row rows[BLOCKS_MAX];
};
static struct table *blocks, *callers;

static struct row *row_find(struct table *t, uint64_t first, uint64_t second) {
    uint64_t at = (first * 0x9E3779B97F4A7C15u + second * 0xD1B54A32D192ED03u) >> 20;
    for (;; at++) {
        struct row *r = &t->rows[at % BLOCKS_MAX];
        if (r->key[0] == first && r->key[1] == second) return r;
        if (r->key[1]) continue;
        if (t->used == BLOCKS_MAX / 8 * 7) return NULL;
        t->used++;
        r->key[0] = first;
        r->key[1] = second;
        return r;
    }
}

static void block_ran(unsigned vcpu, void *address) {
    static uint64_t before;
    (void)vcpu;
    struct row *r = row_find(callers, before, (uintptr_t)address);
    if (r) r->runs++;
    before = (uintptr_t)address;
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    uint64_t address = qemu_plugin_tb_vaddr(tb);
    struct row *r = row_find(blocks, address, qemu_plugin_tb_n_insns(tb));
    if (r) qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &r->runs, 1);
    if (callers)
        qemu_plugin_register_vcpu_tb_exec_cb(tb, block_ran, CB_NO_REGS, (void *)(uintptr_t)address);
}

static struct table *table_open(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || ftruncate(fd, (off_t)sizeof(struct table))) return NULL;
    void *map = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "counter=", 8) == 0) blocks = table_open(argv[i] + 8);
        if (strncmp(argv[i], "callers=", 8) == 0 && !(callers = table_open(argv[i] + 8))) return -1;
    }
    if (!blocks) return -1; /* QEMU says that the plugin did not load, and ends */
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    return 0;
}
