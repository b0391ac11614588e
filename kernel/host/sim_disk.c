/* SPDX-License-Identifier: Apache-2.0 */
/* sim_disk.c — disks with a volatile write cache, in memory, that fail on purpose.
 *
 *   submit -> [ in flight, each with a drawn latency ] -> completes: content changes, log grows
 *
 *   base image + log entries 0 .. k   =   what the disk held when entry k had completed
 *   durable at k: the entries that a flush among the first k covers (all, when write-through)
 *
 * Always true: content == base with the whole log applied (bit rot aside); an entry is in the log
 * before its caller hears of it; a flush covers exactly the entries that were in the log when it
 * was submitted. So any state a power cut may leave can be built later from base and log. */
#include "kernel/base/limits.h"
#include "kernel/host/sim_impl.h"
#include <stdio.h>

#define SECTOR 512u
#define ENTRIES_MAX 262144u

struct fault {
    u64 nth;
    rc_t rc;
    bool for_ever;
};
struct bad_range {
    u64 block, count;
    rc_t rc;
};
struct disk_memory { /* shared with children */
    u64 bytes;
    u64 entry_count, data_used, flushes;
    u8 *content, *base, *data;
    struct sim_disk_entry *entries;
    bool lie, full, read_only;
};
struct flying {
    struct disk_op *op;
    u64 due_ns, order, covers;
};
struct disk_life { /* of one life */
    struct flying flying[DISK_QUEUE_MAX];
    u32 flying_count;
    struct disk_op *answered, **answered_tail;
    u64 stalled_until_ns, misdirect, cut_at;
    struct fault faults[DISK_DISCARD + 1];
    struct bad_range bad[DISK_DISCARD + 1];
};
static struct disk_memory *memories; /* [DISK_MAX], shared */
static struct disk_life lives[DISK_MAX];
static u64 submit_order;

static struct disk_memory *memory_of(u32 disk) {
    CHECK(host_sim || memories);
    CHECK(disk < sim_options.disk_count);
    return &memories[disk];
}

void sim_disk_drop_in_flight(void) {
    for (u32 i = 0; i < DISK_MAX; i++) {
        lives[i].flying_count = 0;
        lives[i].answered = NULL;
        lives[i].answered_tail = &lives[i].answered;
    }
}

void sim_disk_start(void) {
    memories = sim_shared_alloc(sizeof *memories * DISK_MAX);
    memset(lives, 0, sizeof lives);
    sim_disk_drop_in_flight();
    for (u32 i = 0; i < sim_options.disk_count; i++) {
        struct disk_memory *m = &memories[i];
        u64 room = sim_options.disk_bytes + sim_options.block_bytes;
        m->bytes = sim_options.disk_bytes;
        m->content = sim_shared_alloc(room);
        m->base = sim_shared_alloc(room);
        m->data = sim_shared_alloc(sim_options.log_bytes_max);
        m->entries = sim_shared_alloc(ENTRIES_MAX * sizeof *m->entries);
    }
}

/* ---- Completing ------------------------------------------------------------------------------ */

static struct sim_disk_entry *log_entry(struct disk_memory *m, const struct disk_op *op) {
    CHECK(m->entry_count < ENTRIES_MAX); /* give the test a shorter workload */
    struct sim_disk_entry *e = &m->entries[m->entry_count];
    *e = (struct sim_disk_entry){
        .verb = op->verb, .block = op->block, .count = op->count, .clock_ns = sim_now_ns()};
    return e;
}

static void log_write_op(struct disk_memory *m, const struct disk_op *op, u64 block) {
    size_t n = (size_t)op->count * sim_options.block_bytes;
    struct sim_disk_entry *e = log_entry(m, op);
    CHECK(m->data_used + n <= sim_options.log_bytes_max); /* sim_options.log_bytes_max: more */
    memcpy(m->data + m->data_used, op->data, n);
    e->block = block;
    e->data_at = (u64)(uintptr_t)(m->data + m->data_used);
    m->data_used += n;
    m->entry_count++;
    memcpy(m->content + block * sim_options.block_bytes, op->data, n);
}

static bool fault_due(struct fault *f, rc_t *out) {
    if (f->nth == 0) return false;
    if (f->nth > 1) {
        f->nth--;
        return false;
    }
    if (!f->for_ever) f->nth = 0;
    *out = f->rc;
    return true;
}

static rc_t refuse(struct disk_memory *m, struct disk_life *l, const struct disk_op *op) {
    rc_t rc = RC_OK;
    const struct bad_range *bad = &l->bad[op->verb];
    u64 blocks = m->bytes / sim_options.block_bytes;
    if (fault_due(&l->faults[op->verb], &rc)) return rc;
    if (op->verb != DISK_FLUSH && (op->block > blocks || op->count > blocks - op->block))
        return RC_IO; /* shrunk meanwhile */
    if (bad->count && op->block < bad->block + bad->count && op->block + op->count > bad->block)
        return bad->rc;
    if (op->verb == DISK_READ) return RC_OK;
    if (m->read_only) return op->verb == DISK_FLUSH ? RC_OK : RC_DENIED;
    if (m->full && op->verb == DISK_WRITE) return RC_FULL;
    return RC_OK;
}

static u64 landing_block(struct disk_memory *m, struct disk_life *l, const struct disk_op *op) {
    if (l->misdirect == 0 || --l->misdirect) return op->block;
    u64 blocks = m->bytes / sim_options.block_bytes;
    return sim_draw(SIM_RANDOM_DISK, blocks - op->count + 1);
}

static void perform(struct disk_memory *m, struct disk_life *l, struct flying *f) {
    struct disk_op *op = f->op;
    size_t n = (size_t)op->count * sim_options.block_bytes;
    op->rc = refuse(m, l, op);
    if (op->rc) return;
    switch (op->verb) {
    case DISK_READ: memcpy(op->data, m->content + op->block * sim_options.block_bytes, n); break;
    case DISK_WRITE: log_write_op(m, op, landing_block(m, l, op)); break;
    case DISK_DISCARD:
        (void)log_entry(m, op);
        m->entry_count++;
        memset(m->content + op->block * sim_options.block_bytes, 0, n);
        break;
    case DISK_FLUSH:
        log_entry(m, op)->covers = m->lie ? 0 : f->covers;
        m->entry_count++;
        if (!m->lie) m->flushes++;
        break;
    }
}

/* The power fails while an operation is under way: some sectors of a write may have arrived. */
static void cut_here(struct disk_memory *m, const struct flying *f) {
    bool arrives = sim_draw(SIM_RANDOM_DISK, 2) != 0;
    if (f->op->verb == DISK_WRITE && arrives) log_write_op(m, f->op, f->op->block);
    sim_end_life(SIM_CUT);
}

static void complete(u32 disk, u32 index) {
    struct disk_memory *m = memory_of(disk);
    struct disk_life *l = &lives[disk];
    struct flying f = l->flying[index];
    l->flying[index] = l->flying[--l->flying_count];
    if (l->cut_at && (f.op->verb == DISK_WRITE || f.op->verb == DISK_FLUSH) && --l->cut_at == 0)
        cut_here(m, &f);
    perform(m, l, &f);
    sim_trace(16 + (u64)f.op->verb, f.op->block << 32 | f.op->count, sim_now_ns() ^ f.op->rc);
    f.op->next = NULL;
    *l->answered_tail = f.op;
    l->answered_tail = &f.op->next;
}

static u64 due(const struct disk_life *l, const struct flying *f) {
    return MAX(f->due_ns, l->stalled_until_ns);
}

/* The next to complete: by time, then by submission. UINT32_MAX: none. */
static u32 earliest(const struct disk_life *l) {
    u32 best = UINT32_MAX;
    for (u32 i = 0; i < l->flying_count; i++) {
        const struct flying *a = &l->flying[i], *b = best == UINT32_MAX ? NULL : &l->flying[best];
        bool same_time = b && due(l, a) == due(l, b);
        if (!b || due(l, a) < due(l, b) || (same_time && a->order < b->order)) best = i;
    }
    return best;
}

u64 sim_disk_next_ns(void) {
    u64 next = UINT64_MAX;
    for (u32 i = 0; i < sim_options.disk_count; i++) {
        u32 first = earliest(&lives[i]);
        if (first != UINT32_MAX) next = MIN(next, due(&lives[i], &lives[i].flying[first]));
    }
    return next;
}

u32 sim_disk_run(u64 now_ns) {
    u32 bits = 0;
    for (u32 i = 0; i < sim_options.disk_count; i++) {
        struct disk_life *l = &lives[i];
        for (u32 first; (first = earliest(l)) != UINT32_MAX;) {
            if (due(l, &l->flying[first]) > now_ns) break;
            complete(i, first);
        }
        if (l->answered) bits |= WAIT_DISK;
    }
    return bits;
}

/* ---- The seam -------------------------------------------------------------------------------- */

u32 sim_disk_count(void) { return sim_options.disk_count; }

rc_t sim_disk_open(u32 disk, struct disk_info *out) {
    if (disk >= sim_options.disk_count) return RC_NOT_FOUND;
    struct disk_memory *m = memory_of(disk);
    *out = (struct disk_info){
        .block_count = m->bytes / sim_options.block_bytes,
        .block_bytes = sim_options.block_bytes,
        .op_bytes_max = sim_options.op_bytes_max,
        .read_only = m->read_only,
        .volatile_cache = !sim_options.write_through,
        .discard = true,
    };
    snprintf(out->serial, sizeof out->serial, "sim-%u", disk);
    return RC_OK;
}

rc_t sim_disk_submit(u32 disk, struct disk_op *op) {
    struct disk_memory *m = memory_of(disk);
    struct disk_life *l = &lives[disk];
    if (l->flying_count >= MIN(sim_options.queue_max, (u32)DISK_QUEUE_MAX)) return RC_AGAIN;
    if (op->verb == DISK_READ || op->verb == DISK_WRITE) {
        CHECK(op->data && (uintptr_t)op->data % 16 == 0);
        CHECK(op->count && (u64)op->count * sim_options.block_bytes <= sim_options.op_bytes_max);
    }
    u64 span = sim_options.disk_ns_max - sim_options.disk_ns_min + 1;
    u64 latency = sim_options.disk_ns_min + sim_draw(SIM_RANDOM_DISK, span);
    l->flying[l->flying_count++] =
        (struct flying){op, sim_now_ns() + latency, submit_order++, m->entry_count};
    return RC_OK;
}

void sim_disk_poll(u32 disk) {
    struct disk_life *l = &lives[disk];
    struct disk_op *op = l->answered;
    l->answered = NULL;
    l->answered_tail = &l->answered;
    while (op) {
        struct disk_op *next = op->next;
        op->done(op);
        op = next;
    }
}

rc_t sim_disk_emergency(u32 disk, u64 block, const void *data, u32 count) {
    struct disk_memory *m = memory_of(disk);
    struct disk_op op = {
        .verb = DISK_WRITE, .block = block, .count = count, .data = (void *)(uintptr_t)data};
    struct flying f = {.op = &op};
    perform(m, &lives[disk], &f);
    return op.rc;
}

/* ---- Misbehaving ----------------------------------------------------------------------------- */

void sim_disk_fail(u32 disk, enum disk_verb verb, u64 nth, rc_t rc, bool for_ever) {
    lives[disk].faults[verb] = (struct fault){nth, rc, for_ever};
}
void sim_disk_fail_range(u32 disk, enum disk_verb verb, u64 block, u64 count, rc_t rc) {
    lives[disk].bad[verb] = (struct bad_range){block, count, rc};
}
void sim_disk_full(u32 disk, bool full) { memory_of(disk)->full = full; }
void sim_disk_stall(u32 disk, u64 ns) { lives[disk].stalled_until_ns = sim_now_ns() + ns; }
void sim_disk_lie(u32 disk, bool lie) { memory_of(disk)->lie = lie; }
void sim_disk_misdirect(u32 disk, u64 nth) { lives[disk].misdirect = nth; }
void sim_disk_read_only(u32 disk, bool on) { memory_of(disk)->read_only = on; }
void sim_disk_cut_at(u32 disk, u64 nth) { lives[disk].cut_at = nth; }

void sim_disk_rot(u32 disk, u64 byte, u8 flip) {
    struct disk_memory *m = memory_of(disk);
    CHECK(byte < m->bytes);
    m->content[byte] ^= flip;
}

void sim_disk_resize(u32 disk, u64 bytes) {
    CHECK(bytes <= sim_options.disk_bytes);
    memory_of(disk)->bytes = bytes;
    host_raise(WAIT_DISK_SIZE);
}

u8 *sim_disk_bytes(u32 disk) { return memory_of(disk)->content; }

void sim_disk_load(u32 disk, const u8 *image) {
    struct disk_memory *m = memory_of(disk);
    memcpy(m->content, image, m->bytes);
    memcpy(m->base, image, m->bytes);
    m->entry_count = m->data_used = m->flushes = 0;
}

/* ---- The log, and what a cut may leave ------------------------------------------------------- */

u64 sim_disk_log_count(u32 disk) { return memory_of(disk)->entry_count; }
u64 sim_disk_flush_count(u32 disk) { return memory_of(disk)->flushes; }
const struct sim_disk_entry *sim_disk_log(u32 disk, u64 index) {
    CHECK(index < memory_of(disk)->entry_count);
    return &memory_of(disk)->entries[index];
}
const u8 *sim_disk_entry_data(const struct sim_disk_entry *entry) {
    return (const u8 *)(uintptr_t)entry->data_at;
}

static u64 durable_entries(const struct disk_memory *m, u64 entries) {
    u64 durable = 0;
    if (sim_options.write_through) return entries;
    for (u64 i = 0; i < entries; i++)
        if (m->entries[i].verb == DISK_FLUSH) durable = MAX(durable, m->entries[i].covers);
    return durable;
}

static size_t entry_bytes(const struct sim_disk_entry *e) {
    return (size_t)e->count * sim_options.block_bytes;
}

/* The sectors from byte `from` on; with a coin, those for which it falls well. */
static void apply_part(const struct sim_disk_entry *e, u8 *image, u64 coin, size_t from) {
    if (e->verb == DISK_FLUSH) return;
    u8 *to = image + e->block * sim_options.block_bytes;
    for (size_t at = from; at < entry_bytes(e); at += SECTOR) {
        if (coin && sim_mix(coin + at) & 1) continue; /* this sector did not make it */
        if (e->verb == DISK_WRITE) memcpy(to + at, sim_disk_entry_data(e) + at, SECTOR);
        else memset(to + at, 0, SECTOR);
    }
}

static void apply(const struct sim_disk_entry *e, u8 *image, u64 coin) {
    apply_part(e, image, coin, 0);
}

u32 sim_disk_open_writes(u32 disk, u64 entries) {
    const struct disk_memory *m = memory_of(disk);
    u32 n = 0;
    for (u64 i = durable_entries(m, entries); i < entries; i++)
        n += m->entries[i].verb != DISK_FLUSH;
    return n;
}

void sim_disk_state(u32 disk, u64 entries, enum sim_tear tear, u64 seed, u8 *image) {
    const struct disk_memory *m = memory_of(disk);
    CHECK(entries <= m->entry_count);
    u64 durable = durable_entries(m, entries), nth = 0;
    memcpy(image, m->base, m->bytes);
    for (u64 i = 0; i < durable; i++) apply(&m->entries[i], image, 0);
    for (u64 i = durable; i < entries; i++) {
        const struct sim_disk_entry *e =
            &m->entries[tear == SIM_REVERSED ? entries - 1 - (i - durable) : i];
        if (e->verb == DISK_FLUSH) continue;
        u64 bit = nth++;
        switch (tear) {
        case SIM_NONE: break;
        case SIM_ALL:
        case SIM_REVERSED: apply(e, image, 0); break;
        case SIM_TORN: apply(e, image, sim_mix(seed ^ sim_mix(i)) | 1); break;
        case SIM_TAIL:
            apply_part(e, image, 0,
                       sim_mix(seed ^ sim_mix(i)) % (entry_bytes(e) / SECTOR + 1) * SECTOR);
            break;
        case SIM_SUBSET:
            if (bit < 64 && seed >> bit & 1) apply(e, image, 0);
            break;
        }
    }
}

void sim_disk_cut(u32 disk, u64 seed) {
    struct disk_memory *m = memory_of(disk);
    struct disk_life *l = &lives[disk];
    for (u32 i = 0; i < l->flying_count; i++) { /* under way: may have arrived, in part */
        const struct disk_op *op = l->flying[i].op;
        if (op->verb == DISK_WRITE) log_write_op(m, op, op->block);
    }
    l->flying_count = 0;
    sim_disk_state(disk, m->entry_count, SIM_TORN, seed, m->content);
    memcpy(m->base, m->content, m->bytes);
    m->entry_count = m->data_used = m->flushes = 0;
}
