/* SPDX-License-Identifier: Apache-2.0 */
/* efi.c — the UEFI loader: slot from the disk to memory, out of the firmware, into the kernel.
 *
 *   our own disk -> slots -> ELF (high memory) -> [sum] -> memory map -> exit boot services
 *        -> segments to their place -> efi_leave (32-bit, paging off) -> PVH entry
 *
 * Segments are moved only after boot services are gone, because firmware lies where the kernel
 * belongs until then. What may be overwritten is decided before that, while a message is still
 * possible. Nothing of the firmware is used afterwards: no runtime services, no sleep states.
 * Structures and numbers: UEFI Specification 2.10, chapters 4, 7, 9, 10, 13. */
#include "image/boot.h"

typedef uint64_t status_t;
#define EFIAPI __attribute__((ms_abi))
#define FAILED(s) ((s) != 0)

struct guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
};
struct table_head {
    uint64_t signature;
    uint32_t revision, bytes, crc, reserved;
};
struct text_out {
    void *reset;
    status_t(EFIAPI *output)(struct text_out *, const uint16_t *text);
};
struct memory_descriptor {
    uint32_t type, pad;
    uint64_t physical, virtual_, pages, attributes;
};
enum { ALLOCATE_MAX_ADDRESS = 1, BY_PROTOCOL = 2 };
enum { /* EFI memory types */
    LOADER_CODE = 1, LOADER_DATA, BOOT_CODE, BOOT_DATA, RUNTIME_CODE, RUNTIME_DATA, CONVENTIONAL,
    UNUSABLE, ACPI_RECLAIM, ACPI_NVS
};
struct boot_services { /* the members between those used are only counted */
    struct table_head head;
    void *tpl[2];
    status_t(EFIAPI *allocate_pages)(int how, int type, uint64_t pages, uint64_t *address);
    status_t(EFIAPI *free_pages)(uint64_t address, uint64_t pages);
    status_t(EFIAPI *memory_map)(uint64_t *bytes, void *map, uint64_t *key,
                                 uint64_t *descriptor_bytes, uint32_t *version);
    status_t(EFIAPI *allocate_pool)(int type, uint64_t bytes, void **out);
    status_t(EFIAPI *free_pool)(void *p);
    void *events[6];
    void *protocols[3];
    status_t(EFIAPI *handle_protocol)(void *handle, const struct guid *protocol, void **out);
    void *reserved;
    void *register_protocol_notify;
    void *locate_handle;
    void *locate_device_path;
    void *install_configuration_table;
    void *image[4];
    status_t(EFIAPI *exit_boot_services)(void *image, uint64_t key);
    void *misc[3];
    void *drivers[2];
    void *open_protocol[3];
    void *protocols_per_handle;
    status_t(EFIAPI *locate_handle_buffer)(int how, const struct guid *protocol, void *key,
                                           uint64_t *count, void ***handles);
};
struct configuration_entry {
    struct guid guid;
    void *table;
};
struct system_table {
    struct table_head head;
    uint16_t *vendor;
    uint32_t revision, pad;
    void *in_handle, *in, *out_handle;
    struct text_out *out;
    void *error_handle, *error;
    void *runtime;
    struct boot_services *boot;
    uint64_t entry_count;
    struct configuration_entry *entries;
};
struct loaded_image {
    uint32_t revision, pad;
    void *parent;
    struct system_table *system;
    void *device;
};
struct block_media {
    uint32_t id;
    uint8_t removable, present, logical, read_only, write_caching, pad[3];
    uint32_t block_bytes, io_align;
    uint64_t last_block;
};
struct block_io {
    uint64_t revision;
    struct block_media *media;
    void *reset;
    status_t(EFIAPI *read)(struct block_io *, uint32_t media, uint64_t block, uint64_t bytes,
                           void *to);
};

static const struct guid loaded_image_guid = {
    0x5b1b31a1, 0x9562, 0x11d2, {0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const struct guid block_io_guid = {
    0x964e5b21, 0x6459, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const struct guid device_path_guid = {
    0x09576e91, 0x6d3f, 0x11d2, {0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b}};
static const struct guid acpi_guids[2] = {
    {0x8868e871, 0xe4f1, 0x11d3, {0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}},  /* 2.0 first */
    {0xeb9d2d30, 0x2d88, 0x11d3, {0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d}}};

status_t EFIAPI efi_main(void *image, struct system_table *system);
extern const uint8_t efi_leave[], efi_leave_end[];

/* What outlives the firmware, in one block below 4 GiB. */
#define MAP_MAX 512u
#define LEAVE_BYTES 512u
struct keep {
    uint8_t leave[LEAVE_BYTES] __attribute__((aligned(16)));
    struct start_info info;
    char command_line[LINE_BYTES_MAX];
    struct memory_entry map[MAP_MAX];
    struct slot slots[2];
    uint8_t descriptors[65536];
};

static struct system_table *st;
static struct boot_services *bs;
static struct keep *keep;

/* ---- Saying ---------------------------------------------------------------------------------- */

static void say(const char *text) {
    uint16_t wide[2] = {0, 0};
    for (; *text; text++) {
        wide[0] = (uint8_t)*text;
        st->out->output(st->out, wide);
    }
}

/* ---- Our own disk ---------------------------------------------------------------------------- */

/* Is `outer` a device path that `inner` continues? Nodes: type, subtype, length (2); type 0x7f
 * ends. */
static bool path_begins(const uint8_t *inner, const uint8_t *outer) {
    while (outer[0] != 0x7f) {
        uint32_t n = (uint32_t)(outer[2] | outer[3] << 8);
        if (n < 4 || memcmp(inner, outer, n)) return false;
        inner += n;
        outer += n;
    }
    return true;
}

/* The whole disk of which the partition we were read from is a part; NULL: none carries our
 * mark. */
static struct block_io *disk_find(void *partition) {
    void *path = NULL, **handles;
    uint64_t count = 0;
    static uint8_t first[BLOCK_BYTES] __attribute__((aligned(16)));
    if (FAILED(bs->handle_protocol(partition, &device_path_guid, &path)) ||
        FAILED(bs->locate_handle_buffer(BY_PROTOCOL, &block_io_guid, NULL, &count, &handles)))
        return NULL;
    for (uint64_t i = 0; i < count; i++) {
        struct block_io *io;
        void *outer;
        if (FAILED(bs->handle_protocol(handles[i], &block_io_guid, (void **)&io)) ||
            FAILED(bs->handle_protocol(handles[i], &device_path_guid, &outer)))
            continue;
        if (io->media->logical || !io->media->present || io->media->block_bytes != BLOCK_BYTES ||
            !path_begins(path, outer))
            continue;
        if (!FAILED(io->read(io, io->media->id, 0, BLOCK_BYTES, first)) &&
            !memcmp(first + 3, "OPENPOLI", 8))
            return io;
    }
    return NULL;
}

/* Pages below 4 GiB, as high as there are: where the kernel will lie is low. */
static void *pages_get(uint64_t bytes) {
    uint64_t at = (1ull << 32) - 1;
    if (FAILED(bs->allocate_pages(ALLOCATE_MAX_ADDRESS, LOADER_DATA, (bytes + 4095) / 4096, &at)))
        return NULL;
    return (void *)at;
}

/* The slot's ELF in memory, its sum checked; NULL: `wrong` says why. */
static uint8_t *elf_read(struct block_io *disk, uint64_t slot_block, const struct slot *s,
                         struct plan *p, const char **wrong) {
    uint64_t room = ((uint64_t)s->elf_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    uint8_t *elf = pages_get(room);
    *wrong = "no memory for it";
    if (!elf) return NULL;
    if (FAILED(disk->read(disk, disk->media->id, slot_block + 1, room, elf)))
        *wrong = "the disk cannot be read";
    else if (boot_crc(0, elf, s->elf_bytes) != s->elf_crc)
        *wrong = "its sum is wrong";
    else if (!(*wrong = plan_make(p, elf, s->elf_bytes, s->elf_bytes)) &&
             !(*wrong = plan_enter(p, elf + p->note.offset)))
        return elf;
    bs->free_pages((uint64_t)elf, (room + 4095) / 4096);
    return NULL;
}

/* ---- The memory map -------------------------------------------------------------------------- */

static uint32_t type_told(uint32_t efi_type) {
    switch (efi_type) {
    case LOADER_CODE:
    case LOADER_DATA:
    case BOOT_CODE:
    case BOOT_DATA:
    case CONVENTIONAL: return MEMORY_RAM;
    case ACPI_RECLAIM: return MEMORY_ACPI;
    case ACPI_NVS: return MEMORY_NVS;
    default: return MEMORY_RESERVED;
    }
}

/* Fills keep->map. The kernel's own range counts as RAM: OVMF marks the save area of the sleep
 * state S3 below 16 MiB as ACPI NVS, and a machine that never sleeps may use it. */
static const char *map_tell(const struct plan *p, uint64_t bytes, uint64_t step) {
    uint32_t n = 0;
    uint64_t ram = 0;
    for (uint64_t at = 0; at + step <= bytes; at += step) {
        const struct memory_descriptor *d = (const void *)(keep->descriptors + at);
        uint64_t start = d->physical, end = start + d->pages * 4096;
        uint32_t type = type_told(d->type);
        uint64_t from = start > p->start ? start : p->start, to = end < p->end ? end : p->end;
        if (from < to) {
            bool low_nvs = type == MEMORY_NVS && end <= 0x1000000;
            if (type != MEMORY_RAM && !low_nvs)
                return "firmware keeps memory where the image belongs";
            ram += to - from;
            if (low_nvs) type = MEMORY_RAM;
        }
        struct memory_entry *last = n ? &keep->map[n - 1] : NULL;
        if (last && last->type == type && last->start + last->bytes == start) {
            last->bytes += end - start;
            continue;
        }
        if (n == MAP_MAX) return "the memory map has too many entries";
        keep->map[n++] = (struct memory_entry){start, end - start, type, 0};
    }
    keep->info.memmap_entries = n;
    return ram >= ((p->end - p->start) & ~4095ull) ? NULL
                                                   : "it does not fit into this machine's memory";
}

static uint64_t rsdp_find(void) {
    for (int g = 0; g < 2; g++)
        for (uint64_t i = 0; i < st->entry_count; i++)
            if (!memcmp(&st->entries[i].guid, &acpi_guids[g], sizeof(struct guid)))
                return (uint64_t)st->entries[i].table;
    return 0;
}

static bool overlaps(const struct plan *p, const void *at, uint64_t bytes) {
    uint64_t start = (uint64_t)at;
    return start < p->end && start + bytes > p->start;
}

/* Returns only when it failed. */
static const char *enter(void *image, const struct plan *p, const uint8_t *elf,
                         const struct slot *s) {
    uint64_t bytes, key, step;
    uint32_t version;
    boot_command_line(keep->command_line, s);
    keep->info = (struct start_info){.magic = START_INFO_MAGIC, .version = 1, .rsdp = rsdp_find(),
                                     .command_line = (uint64_t)keep->command_line,
                                     .memmap = (uint64_t)keep->map};
    memcpy(keep->leave, efi_leave, (size_t)(efi_leave_end - efi_leave));
    if (overlaps(p, keep, sizeof *keep) || overlaps(p, elf, s->elf_bytes) ||
        overlaps(p, (const void *)&efi_main, 65536))
        return "there is too little memory to move it";
    for (int attempt = 0;; attempt++) { /* the map may change under the first call that exits */
        bytes = sizeof keep->descriptors;
        if (FAILED(bs->memory_map(&bytes, keep->descriptors, &key, &step, &version)))
            return "the memory map cannot be read";
        const char *wrong = map_tell(p, bytes, step);
        if (wrong) return wrong;
        if (!FAILED(bs->exit_boot_services(image, key))) break;
        if (attempt == 4) return "the firmware does not let go";
    }
    __asm__ volatile("cli");
    for (uint32_t i = 0; i < p->count; i++) {
        const struct segment *g = &p->segments[i];
        memcpy((void *)g->to, elf + g->offset, g->file_bytes);
        memset((void *)(g->to + g->file_bytes), 0, g->memory_bytes - g->file_bytes);
    }
    __asm__ volatile("jmp *%0"
                     :
                     : "r"(keep->leave), "D"((uint64_t)p->entry), "S"(&keep->info)
                     : "memory");
    __builtin_unreachable();
}

status_t EFIAPI efi_main(void *image, struct system_table *system) {
    struct loaded_image *self;
    static struct plan plan;
    const struct slot *order[2];
    st = system;
    bs = st->boot;
    keep = pages_get(sizeof *keep);
    struct block_io *disk = NULL;
    if (keep && !FAILED(bs->handle_protocol(image, &loaded_image_guid, (void **)&self)))
        disk = disk_find(self->device);
    if (!disk) {
        say("OpenPolicy: the boot disk is not to be found\r\n");
        return 1;
    }
    static const uint64_t blocks[2] = {SLOT_A_BLOCK, SLOT_B_BLOCK};
    for (int i = 0; i < 2; i++)
        if (FAILED(disk->read(disk, disk->media->id, blocks[i], BLOCK_BYTES, &keep->slots[i])))
            memset(&keep->slots[i], 0, sizeof keep->slots[i]);
    slot_order(&keep->slots[0], &keep->slots[1], &order[0], &order[1]);
    for (int i = 0; i < 2 && order[i]; i++) {
        const char *wrong;
        const uint8_t *elf =
            elf_read(disk, blocks[order[i] - keep->slots], order[i], &plan, &wrong);
        if (elf) wrong = enter(image, &plan, elf, order[i]);
        say(order[i] == &keep->slots[0] ? "OpenPolicy: image A: " : "OpenPolicy: image B: ");
        say(wrong);
        say("\r\n");
    }
    say("OpenPolicy: no image on this disk can be started\r\n");
    return 1;
}
