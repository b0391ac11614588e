/* SPDX-License-Identifier: Apache-2.0 */
/* insnprof.c — a QEMU TCG plugin that counts how often each block of guest code ran, readable while
 * the guest runs. tools/profile.py turns two readings into a profile by function.
 *
 *   make build/insnprof.so
 *   qemu-system-x86_64 -accel tcg -plugin build/insnprof.so,counter=FILE ...
 *
 *   FILE: u64 used | BLOCKS_MAX * { u64 address, u64 instructions, u64 runs }   host byte order
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
enum { INLINE_ADD_U64 = 0 };
typedef void (*tb_trans_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_fn fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr, uint64_t imm);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

#define BLOCKS_MAX (1u << 18) /* a power of two, twice what the whole image has */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED extern int qemu_plugin_version;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

EXPORTED int qemu_plugin_version = 1;
static struct counts {
    uint64_t used;
    struct block {
        uint64_t address, instructions, runs;
    } blocks[BLOCKS_MAX];
} *counts;

static struct block *block_find(uint64_t address, uint64_t instructions) {
    uint64_t at = (address * 0x9E3779B97F4A7C15u + instructions) >> 20;
    for (;; at++) {
        struct block *b = &counts->blocks[at % BLOCKS_MAX];
        if (b->address == address && b->instructions == instructions) return b;
        if (b->instructions) continue;
        if (counts->used == BLOCKS_MAX / 8 * 7) return NULL;
        counts->used++;
        b->address = address;
        b->instructions = instructions;
        return b;
    }
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    struct block *b = block_find(qemu_plugin_tb_vaddr(tb), qemu_plugin_tb_n_insns(tb));
    if (b) qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &b->runs, 1);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    static const char key[] = "counter=";
    void *map = MAP_FAILED;
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], key, sizeof key - 1)) continue;
        int fd = open(argv[i] + sizeof key - 1, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || ftruncate(fd, (off_t)sizeof *counts)) return -1;
        map = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (map == MAP_FAILED) return -1; /* QEMU says that the plugin did not load, and ends */
    counts = map;
    qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
    return 0;
}
