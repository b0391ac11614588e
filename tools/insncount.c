/* SPDX-License-Identifier: Apache-2.0 */
/* insncount.c — a QEMU TCG plugin that counts guest instructions, readable while the guest runs.
 *
 *   make build/insncount.so
 *   qemu-system-x86_64 -accel tcg -plugin build/insncount.so,counter=FILE[,mark=0xADDRESS]... ...
 *
 *   FILE: u64 total | u64 per vCPU [63] | u64 per mark [8]    host byte order, 4096 bytes, mapped
 *
 * A mark is the total when a block that begins at that address (a function, say) first ran.
 *
 * Each translation block adds its number of instructions to its vCPU's slot when it starts, inline,
 * so counting costs one add per block. Blocks left early by an exception count whole. The plugin
 * interface (version 1, QEMU 4.2 to 8.x) is exported by QEMU, but no Debian package carries its
 * header: the few prototypes used are written here. The inline add always goes to one address, so
 * with more than one vCPU a callback per block is used instead; the total is the sum over the
 * slots, made by the reader (slot 0 of the file is only used with one vCPU). */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct info { /* qemu_info_t of interface version 1 */
    const char *target_name;
    struct {
        int min, cur;
    } version;
    uint8_t system_emulation;
    struct {
        int smp_vcpus, max_vcpus;
    } system;
};
enum { INLINE_ADD_U64 = 0, CB_NO_REGS = 0 };
typedef void (*tb_trans_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*vcpu_fn)(unsigned vcpu, void *arg);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_fn fn);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *tb, int op, void *ptr,
                                              uint64_t imm);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, vcpu_fn fn, int flags,
                                          void *arg);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);

#define SLOTS 512u /* one page */
#define CPUS 64u   /* of them */
#define MARKS 8u   /* the slots behind those */
#define EXPORTED __attribute__((visibility("default")))
EXPORTED extern int qemu_plugin_version;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct info *info, int argc,
                                 char **argv);

EXPORTED int qemu_plugin_version = 1;
static uint64_t *counts;
static uint64_t marks[MARKS];
static unsigned mark_count;

static void block_ran(unsigned vcpu, void *instructions) {
    counts[1 + vcpu % (CPUS - 1)] += (uintptr_t)instructions;
}

static void mark_reached(unsigned vcpu, void *slot) {
    uint64_t total = 0, *mark = slot;
    (void)vcpu;
    for (unsigned i = 0; i < CPUS; i++) total += counts[i];
    if (!*mark) *mark = total;
}

static void look_for_marks(struct qemu_plugin_tb *tb) {
    for (unsigned i = 0; i < mark_count; i++)
        if (qemu_plugin_tb_vaddr(tb) == marks[i])
            qemu_plugin_register_vcpu_tb_exec_cb(tb, mark_reached, CB_NO_REGS, &counts[CPUS + i]);
}

static void block_translated_single(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    look_for_marks(tb);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, counts,
                                             qemu_plugin_tb_n_insns(tb));
}

static void block_translated_many(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    (void)id;
    look_for_marks(tb);
    void *n = (void *)(uintptr_t)qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, block_ran, CB_NO_REGS, n);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct info *info, int argc, char **argv) {
    static const char key[] = "counter=", mark[] = "mark=";
    size_t bytes = SLOTS * sizeof *counts;
    void *map = MAP_FAILED;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], mark, sizeof mark - 1) && mark_count < MARKS)
            marks[mark_count++] = strtoull(argv[i] + sizeof mark - 1, NULL, 16);
        if (strncmp(argv[i], key, sizeof key - 1)) continue;
        int fd = open(argv[i] + sizeof key - 1, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (fd < 0 || ftruncate(fd, (off_t)bytes)) return -1;
        map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    if (map == MAP_FAILED) return -1; /* QEMU says that the plugin did not load, and ends */
    counts = map;
    int many = !info->system_emulation || info->system.smp_vcpus > 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id,
                                          many ? block_translated_many : block_translated_single);
    return 0;
}
