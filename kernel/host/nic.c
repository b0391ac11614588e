/* SPDX-License-Identifier: Apache-2.0 */
/* nic.c — the seam's network over one of three back ends: user (libslirp), tap, stream.
 *
 * One interface at most. A frame in pieces is gathered into one here, so that a back end sees
 * plain bytes; none of them offers checksum offloads, because each hands frames to software that
 * checks them. */
#include "kernel/host/host_impl.h"

static const struct host_nic *backend; /* NULL: no network */
static const char *argument;           /* what follows the colon of --net */

void host_nic_start(const char *net) {
    str s = str_from_c(net);
    if (str_eq(s, S("user"))) backend = &host_nic_user;
    else if (str_starts(s, S("tap:"))) backend = &host_nic_tap, argument = net + 4;
    else if (str_starts(s, S("stream:"))) backend = &host_nic_stream, argument = net + 7;
}

void host_nic_poll(struct host_poll *p) {
    if (backend) backend->poll(p);
}
u32 host_nic_polled(struct host_poll *p) { return backend ? backend->polled(p) : 0; }

u32 platform_nic_count(void) {
    if (host_sim) return host_sim->nic_count();
    return backend ? 1 : 0;
}

rc_t platform_nic_open(u32 nic, struct nic_info *out) {
    if (host_sim) return host_sim->nic_open(nic, out);
    if (nic || !backend) return RC_NOT_FOUND;
    /* Locally administered; the same in every run, so that leases and neighbours keep. */
    *out = (struct nic_info){.mac = {0x52, 0x54, 0x00, 0x12, 0x34, 0x56}, .mtu = 1500};
    return backend->open(argument, out);
}

bool platform_nic_up(u32 nic) {
    if (host_sim) return host_sim->nic_up(nic);
    return !nic && backend && backend->up();
}

rc_t platform_nic_send(u32 nic, const struct nic_tx *frame) {
    static u8 whole[NIC_FRAME_MAX];
    size_t n = 0;
    CHECK(nic == 0);
    CHECK(frame->count >= 1 && frame->count <= NIC_TX_PARTS_MAX);
    CHECK(!frame->csum); /* was not offered */
    for (u32 i = 0; i < frame->count; i++) {
        str part = frame->parts[i];
        CHECK(part.len <= sizeof whole - n);
        if (part.len) memcpy(whole + n, part.ptr, part.len);
        n += part.len;
    }
    if (host_sim) return host_sim->nic_send(nic, whole, n);
    return backend ? backend->send(whole, n) : RC_NOT_FOUND;
}

void platform_nic_kick(u32 nic) { (void)nic; } /* every send went out by itself */

rc_t platform_nic_recv(u32 nic, void *to, size_t room, size_t *out_len, u32 *out_flags) {
    *out_flags = 0;
    if (host_sim) return host_sim->nic_recv(nic, to, room, out_len);
    return backend && nic == 0 ? backend->recv(to, room, out_len) : RC_NOT_FOUND;
}
