/* SPDX-License-Identifier: Apache-2.0 */
/* sim_wire.c — a wire between the appliance and whoever the test puts at its other end.
 *
 *   nic_send -> chances: lost? doubled? late? damaged? -> in flight -> peer's callback
 *   sim_wire_send -> the same, other way -> in flight -> receive ring -> nic_recv
 *
 * Always true: frames of one direction arrive in order unless one is drawn to be late; at most
 * FLYING_MAX are under way and RING_MAX wait to be received: what is beyond is lost and counted. */
#include "kernel/host/sim_impl.h"

#define FLYING_MAX 1024u
#define RING_MAX 256u

struct flight {
    u64 due_ns, order;
    u16 length;
    bool to_appliance;
    u8 bytes[NIC_FRAME_MAX];
};
static struct {
    struct flight flying[FLYING_MAX];
    u32 flying_count;
    struct flight ring[RING_MAX];
    u32 ring_first, ring_count;
    struct sim_wire chances[2]; /* [to_appliance] */
    u64 last_due_ns[2];
    u64 order;
    bool link, blocked, open;
    void (*peer)(void *arg, const u8 *bytes, size_t n);
    void *peer_arg;
    struct sim_wire_stats stats;
} wire;

void sim_wire_start(void) {
    memset(&wire, 0, sizeof wire);
    wire.link = true;
}

void sim_wire_set(const struct sim_wire *to_appliance, const struct sim_wire *from_appliance) {
    wire.chances[1] = *to_appliance;
    wire.chances[0] = *from_appliance;
}
void sim_wire_peer(void (*frame)(void *arg, const u8 *bytes, size_t n), void *arg) {
    wire.peer = frame;
    wire.peer_arg = arg;
}
void sim_wire_link(bool up) {
    wire.link = up;
    host_raise(WAIT_LINK);
}
void sim_wire_block(bool blocked) {
    wire.blocked = blocked;
    if (!blocked) host_raise(WAIT_NIC);
}
void sim_wire_stats_get(struct sim_wire_stats *out) { *out = wire.stats; }

/* ---- Into the wire --------------------------------------------------------------------------- */

static bool chance(u32 of_1000) { return of_1000 && sim_draw(SIM_RANDOM_WIRE, 1000) < of_1000; }

static void damage(struct flight *f, const struct sim_wire *c) {
    if (f->length && chance(c->corrupt)) {
        u64 bit = sim_draw(SIM_RANDOM_WIRE, f->length * 8ull);
        f->bytes[bit / 8] ^= (u8)(1u << bit % 8);
        wire.stats.corrupted++;
    }
    if (f->length && chance(c->truncate)) {
        f->length = (u16)sim_draw(SIM_RANDOM_WIRE, f->length);
        wire.stats.truncated++;
    }
}

static void launch(bool to_appliance, const u8 *bytes, size_t n) {
    const struct sim_wire *c = &wire.chances[to_appliance];
    if (wire.flying_count == FLYING_MAX) {
        wire.stats.overflowed++;
        return;
    }
    struct flight *f = &wire.flying[wire.flying_count++];
    u64 delay = c->delay_ns_min;
    if (c->delay_ns_max > c->delay_ns_min)
        delay += sim_draw(SIM_RANDOM_WIRE, c->delay_ns_max - c->delay_ns_min + 1);
    f->due_ns = sim_now_ns() + delay;
    if (chance(c->reorder)) {
        f->due_ns += NS_PER_MS + sim_draw(SIM_RANDOM_WIRE, 3 * NS_PER_MS);
        wire.stats.reordered++;
    } else {
        f->due_ns = MAX(f->due_ns, wire.last_due_ns[to_appliance]);
        wire.last_due_ns[to_appliance] = f->due_ns;
    }
    f->order = wire.order++;
    f->to_appliance = to_appliance;
    f->length = (u16)n;
    memcpy(f->bytes, bytes, n);
    damage(f, c);
}

static void put_on_wire(bool to_appliance, const u8 *bytes, size_t n) {
    const struct sim_wire *c = &wire.chances[to_appliance];
    CHECK(n <= NIC_FRAME_MAX);
    if (!wire.link || chance(c->loss)) {
        wire.stats.lost++;
        return;
    }
    launch(to_appliance, bytes, n);
    if (!chance(c->duplicate)) return;
    wire.stats.duplicated++;
    launch(to_appliance, bytes, n);
}

void sim_wire_send(const void *bytes, size_t n) {
    wire.stats.in++;
    put_on_wire(true, bytes, n);
}

/* ---- Out of it ------------------------------------------------------------------------------- */

static struct flight *first_flight(void) {
    struct flight *best = NULL;
    for (u32 i = 0; i < wire.flying_count; i++) {
        struct flight *f = &wire.flying[i];
        if (!best || f->due_ns < best->due_ns ||
            (f->due_ns == best->due_ns && f->order < best->order))
            best = f;
    }
    return best;
}

u64 sim_wire_next_ns(void) {
    struct flight *f = first_flight();
    return f ? f->due_ns : UINT64_MAX;
}

static void arrive(const struct flight *f) {
    u64 hash = str_hash((str){(const char *)f->bytes, f->length}, 1);
    sim_trace(32 + f->to_appliance, hash, f->due_ns);
    if (!f->to_appliance) {
        if (wire.peer) wire.peer(wire.peer_arg, f->bytes, f->length);
    } else if (wire.ring_count == RING_MAX || !wire.open) {
        wire.stats.overflowed++;
    } else {
        wire.ring[(wire.ring_first + wire.ring_count++) % RING_MAX] = *f;
    }
}

u32 sim_wire_run(u64 now_ns) {
    for (struct flight *f; (f = first_flight()) && f->due_ns <= now_ns;) {
        static struct flight taken; /* its place may be filled again by whoever hears of it */
        taken = *f;
        *f = wire.flying[--wire.flying_count];
        arrive(&taken);
    }
    return wire.ring_count ? WAIT_NIC : 0;
}

/* ---- The seam -------------------------------------------------------------------------------- */

u32 sim_nic_count(void) { return sim_options.nic_count ? 1 : 0; }

rc_t sim_nic_open(u32 nic, struct nic_info *out) {
    if (nic >= sim_nic_count()) return RC_NOT_FOUND;
    *out = (struct nic_info){.mac = {0x02, 0, 0, 0, 0, 1}, .mtu = 1500};
    wire.open = true;
    return RC_OK;
}

bool sim_nic_up(u32 nic) { return nic < sim_nic_count() && wire.link; }

rc_t sim_nic_send(u32 nic, const u8 *frame, size_t n) {
    if (nic >= sim_nic_count()) return RC_NOT_FOUND;
    if (wire.blocked) return RC_AGAIN;
    wire.stats.out++;
    put_on_wire(false, frame, n);
    return RC_OK;
}

rc_t sim_nic_recv(u32 nic, void *to, size_t room, size_t *out_len) {
    if (nic >= sim_nic_count()) return RC_NOT_FOUND;
    while (wire.ring_count) {
        struct flight *f = &wire.ring[wire.ring_first];
        wire.ring_first = (wire.ring_first + 1) % RING_MAX;
        wire.ring_count--;
        if (f->length > room) continue;
        memcpy(to, f->bytes, f->length);
        *out_len = f->length;
        return RC_OK;
    }
    return RC_AGAIN;
}
