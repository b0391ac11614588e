/* SPDX-License-Identifier: Apache-2.0 */
/* fwcfg.c — QEMU's configuration device: named files from the command line of the VMM.
 *
 *   select by port 0x510, then bytes by 0x511 (slow), or a DMA request by 0x514:
 *   { u32 control, u32 bytes, u64 address } big-endian -> the device copies, then clears control
 *
 * Only the DMA way is used (every QEMU since 2.5). The directory is read once. Sizes it claims are
 * checked against the caller's maximum. Format: QEMU docs/specs/fw_cfg. */
#include "kernel/guest/guest.h"

enum { PORT_SELECT = 0x510, PORT_DATA = 0x511, PORT_DMA = 0x514 };
enum { KEY_SIGNATURE = 0, KEY_ID = 1, KEY_CPUS = 5, KEY_DIRECTORY = 0x19 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SELECT = 8 };
enum { FILES_MAX = 128 };

struct dma {
    u32 control, bytes;
    u64 address;
};
struct file {
    u32 bytes;
    u16 key, reserved;
    char name[56];
};
static_assert(sizeof(struct file) == 64, "fw_cfg.rst");

static bool present;
static u32 file_count;
static struct file files[FILES_MAX];

static bool dma_read(u16 key, void *to, u32 bytes) {
    volatile struct dma d = {__builtin_bswap32((u32)key << 16 | DMA_SELECT | DMA_READ),
                             __builtin_bswap32(bytes), __builtin_bswap64((u64)to)};
    out32(PORT_DMA, __builtin_bswap32((u32)((u64)&d >> 32)));
    __asm__ volatile("" ::: "memory");
    out32(PORT_DMA + 4, __builtin_bswap32((u32)(u64)&d));
    for (u32 i = 0; i < 1000000; i++) { /* QEMU finishes inside the port write */
        __asm__ volatile("" ::: "memory");
        u32 left = __builtin_bswap32(d.control);
        if (!left) return true;
        if (left & DMA_ERROR) return false;
        cpu_pause();
    }
    return false;
}

bool fwcfg_start(void) {
    char signature[4];
    out16(PORT_SELECT, KEY_SIGNATURE);
    for (int i = 0; i < 4; i++) signature[i] = (char)in8(PORT_DATA);
    if (memcmp(signature, "QEMU", 4)) return false;
    out16(PORT_SELECT, KEY_ID);
    if (!(in8(PORT_DATA) & 2)) return false; /* no DMA */
    static struct {
        u32 count;
        struct file files[FILES_MAX];
    } directory;
    static_assert(sizeof directory == 4 + sizeof files, "no gap");
    if (!dma_read(KEY_DIRECTORY, &directory, sizeof directory)) return false;
    file_count = MIN(__builtin_bswap32(directory.count), (u32)FILES_MAX);
    memcpy(files, directory.files, file_count * sizeof files[0]);
    present = true;
    return true;
}

u32 fwcfg_cpu_count(void) {
    u16 n = 0;
    return present && dma_read(KEY_CPUS, &n, sizeof n) ? n : 0;
}

static const struct file *file_named(str name) {
    for (u32 i = 0; i < file_count; i++) {
        size_t n = 0;
        while (n < sizeof files[i].name && files[i].name[n]) n++;
        if (str_eq(name, (str){files[i].name, n})) return &files[i];
    }
    return NULL;
}

bool fwcfg_has(str name) { return file_named(name) != NULL; }

rc_t fwcfg_file(str name, size_t bytes_max, str *out) {
    const struct file *f = file_named(name);
    if (!f) return RC_NOT_FOUND;
    u32 bytes = __builtin_bswap32(f->bytes);
    if (bytes > bytes_max) return RC_LIMIT;
    char *to = ram_keep(bytes + 1, 16);
    if (!to) return RC_NO_MEMORY;
    if (!dma_read(__builtin_bswap16(f->key), to, bytes)) return RC_IO;
    to[bytes] = 0;
    *out = (str){to, bytes};
    return RC_OK;
}
