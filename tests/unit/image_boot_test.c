/* SPDX-License-Identifier: Apache-2.0 */
/* image_boot_test.c — the loaders' common part: which slot is believed, which ELF is refused. */
#define BOOT_NO_PORTS
#include "image/boot.c"
#include "tests/test.h"
#include <stdlib.h>
#include <string.h>

/* ---- Slots ----------------------------------------------------------------------------------- */

static struct slot slot_made(u32 sequence, const char *line) {
    struct slot s = {.magic = "OPSLOT1", .sequence = sequence, .elf_bytes = 1000, .elf_crc = 7};
    strcpy(s.command_line, line);
    s.head_crc = boot_crc(0, &s, offsetof(struct slot, head_crc));
    return s;
}
static void slot_sum(struct slot *s) {
    s->head_crc = boot_crc(0, s, offsetof(struct slot, head_crc));
}

TEST(sum_is_the_common_crc32) {
    EXPECT_EQ(boot_crc(0, "123456789", 9), 0xCBF43926u);
    EXPECT_EQ(boot_crc(boot_crc(0, "1234", 4), "56789", 5), 0xCBF43926u);
}

TEST(slot_with_the_higher_sequence_comes_first) {
    struct slot a = slot_made(3, ""), b = slot_made(4, "");
    const struct slot *first, *second;
    slot_order(&a, &b, &first, &second);
    EXPECT(first == &b && second == &a);
    b = slot_made(2, "");
    slot_order(&a, &b, &first, &second);
    EXPECT(first == &a && second == &b);
}

TEST(slot_with_any_bit_turned_is_passed_over) {
    struct slot a = slot_made(9, "words"), good = slot_made(1, "");
    const struct slot *first, *second;
    for (size_t bit = 0; bit < sizeof a * 8; bit++) {
        struct slot bad = a;
        ((u8 *)&bad)[bit / 8] ^= (u8)(1 << bit % 8);
        slot_order(&bad, &good, &first, &second);
        EXPECT(first == &good && second == NULL);
    }
}

TEST(slot_fields_are_bounded_even_with_a_right_sum) {
    struct slot s = slot_made(0, "");
    EXPECT(!slot_valid(&s));
    s = slot_made(1, "");
    s.elf_bytes = SLOT_BLOCKS * BLOCK_BYTES;
    slot_sum(&s);
    EXPECT(!slot_valid(&s));
    s = slot_made(1, "");
    memset(s.command_line, 'x', sizeof s.command_line);
    slot_sum(&s);
    EXPECT(!slot_valid(&s));
    const struct slot *first, *second;
    slot_order(&s, &s, &first, &second);
    EXPECT(!first && !second);
}

TEST(command_line_is_the_slots_words) {
    char line[LINE_BYTES_MAX];
    struct slot s = slot_made(1, "ip=dhcp console=quiet");
    boot_command_line(line, &s);
    EXPECT_STR(str_from_c(line), S("ip=dhcp console=quiet"));
    s = slot_made(1, "");
    boot_command_line(line, &s);
    EXPECT_EQ(line[0], 0);
}

/* ---- ELF ------------------------------------------------------------------------------------- */

struct image { /* headers, one note, one segment that holds it */
    struct elf_head head;
    struct elf_program programs[3];
    u32 note[5];
    u8 rest[256];
};
static struct image image_made(void) {
    struct image i = {0};
    memcpy(i.head.ident, "\177ELF\2\1\1", 7);
    i.head.machine = 62;
    i.head.program_offset = offsetof(struct image, programs);
    i.head.program_bytes = sizeof(struct elf_program);
    i.head.program_count = 3;
    i.programs[0] = (struct elf_program){.type = ELF_LOAD, .offset = 0, .to = MIB(2),
                                         .file_bytes = sizeof i, .memory_bytes = sizeof i + 4096};
    i.programs[1] = (struct elf_program){.type = ELF_LOAD, .offset = 16, .to = MIB(4),
                                         .file_bytes = 32, .memory_bytes = MIB(1)};
    i.programs[2] = (struct elf_program){.type = ELF_NOTE, .offset = offsetof(struct image, note),
                                         .to = MIB(2) + offsetof(struct image, note),
                                         .file_bytes = sizeof i.note};
    u32 note[5] = {4, 4, NOTE_PVH, 0x006e6558, MIB(2) + 64};
    memcpy(i.note, note, sizeof note);
    return i;
}
static const char *image_try(const struct image *i, struct plan *p) {
    char *file = malloc(sizeof *i); /* the sanitizer sees a byte read outside */
    memcpy(file, i, sizeof *i);
    const char *wrong = plan_make(p, file, sizeof *i, sizeof *i);
    if (!wrong) wrong = plan_enter(p, file + p->note.offset);
    free(file);
    return wrong;
}

TEST(elf_is_placed_and_entered) {
    struct plan p;
    struct image i = image_made();
    EXPECT(image_try(&i, &p) == NULL);
    EXPECT_EQ(p.count, 2);
    EXPECT_EQ(p.entry, MIB(2) + 64);
    EXPECT_EQ(p.start, MIB(2));
    EXPECT_EQ(p.end, MIB(5));
    EXPECT_EQ(p.segments[1].memory_bytes, MIB(1));
}

#define REFUSED(change_, why_)                                                                     \
    do {                                                                                           \
        struct image i = image_made();                                                             \
        struct plan p;                                                                             \
        change_;                                                                                   \
        const char *wrong = image_try(&i, &p);                                                     \
        EXPECT(wrong && strstr(wrong, why_));                                                      \
    } while (0)

TEST(elf_that_lies_is_refused) {
    REFUSED(i.head.ident[4] = 1, "x86-64");
    REFUSED(i.head.machine = 3, "x86-64");
    REFUSED(i.head.program_bytes = 55, "program headers");
    REFUSED(i.head.program_offset = sizeof i - 8, "program headers");
    REFUSED(i.head.program_offset = UINT64_MAX - 8, "program headers");
    REFUSED(i.head.program_count = 33, "program headers");
    REFUSED(i.programs[0].offset = sizeof i, "outside the file");
    REFUSED(i.programs[0].offset = UINT64_MAX, "outside the file");
    REFUSED(i.programs[0].file_bytes = UINT64_MAX, "outside the file");
    REFUSED(i.programs[0].memory_bytes = 8, "outside memory");
    REFUSED(i.programs[0].memory_bytes = UINT64_MAX, "outside memory");
    REFUSED(i.programs[0].to = 0x9000, "outside memory");
    REFUSED(i.programs[1].to = (1ull << 32) - 4096, "outside memory");
    REFUSED((i.programs[0].type = 0, i.programs[1].type = 0), "nothing in it");
    REFUSED(i.programs[2].type = 0, "no note");
    REFUSED(i.programs[2].to += 4, "no note");
    REFUSED(i.programs[2].file_bytes = UINT64_MAX, "no note");
    REFUSED(i.note[2] = 17, "no PVH entry");
    REFUSED(i.note[0] = UINT32_MAX, "no PVH entry");
    REFUSED(i.note[1] = UINT32_MAX, "no PVH entry");
    REFUSED(i.note[3] = 0, "no PVH entry");
    REFUSED(i.note[4] = MIB(1), "outside its segments");
    REFUSED(i.note[4] = MIB(5), "outside its segments");
}

TEST(elf_with_too_many_segments_is_refused) {
    u8 file[sizeof(struct elf_head) + 32 * sizeof(struct elf_program)] = {0};
    struct image i = image_made();
    i.head.program_offset = sizeof i.head;
    i.head.program_count = 32;
    memcpy(file, &i.head, sizeof i.head);
    for (u32 n = 0; n < 32; n++)
        memcpy(file + sizeof i.head + n * sizeof i.programs[1], &i.programs[1],
               sizeof i.programs[1]);
    struct plan p;
    const char *wrong = plan_make(&p, file, sizeof file, sizeof file);
    EXPECT(wrong && strstr(wrong, "too many"));
    EXPECT(plan_make(&p, file, 63, 63) != NULL);
}

TEST(elf_of_random_bytes_never_reads_outside) {
    for (u32 round = 0; round < 20000; round++) {
        struct image i = image_made();
        for (u32 n = (u32)(test_random() % 6); n--;)
            ((u8 *)&i)[test_random() % sizeof i] = (u8)test_random();
        struct plan p;
        if (image_try(&i, &p)) continue;
        EXPECT(p.entry >= p.start && p.entry < p.end && p.end <= 1ull << 32);
        for (u32 s = 0; s < p.count; s++)
            EXPECT(p.segments[s].offset + p.segments[s].file_bytes <= sizeof i);
    }
}
