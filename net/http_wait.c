/* SPDX-License-Identifier: Apache-2.0 */
/* http_wait.c — fibers that wait for their peers, and the end of their patience.
 *
 * A handler that reads a large body or sends a large answer parks until the peer moves. A peer may
 * move one byte every half minute, so a few hundred such peers could hold every fiber for ever. Two
 * rules: exchanges whose body has not all come have at most half of the fibers, and when three
 * quarters are in use the one that has waited longest (at least a second) gives its fiber back: its
 * parked call returns RC_TIMEOUT. So a complete request finds a fiber, however many are slow. */
#include "net/http2_impl.h"
#include "net/http_impl.h"
#include "kernel/core/loop.h"

static struct http_active *first, *last;
static u32 slow;

void http_wait_begin(struct http_active *a) {
    CHECK(!a->wait_since_ns);
    a->wait_since_ns = loop_now_ns() | 1;
    a->wait_next = NULL;
    a->wait_prev = last;
    if (last)
        last->wait_next = a;
    else
        first = a;
    last = a;
}

void http_wait_end(struct http_active *a) {
    if (!a->wait_since_ns) return;
    a->wait_since_ns = 0;
    if (a->wait_prev)
        a->wait_prev->wait_next = a->wait_next;
    else
        first = a->wait_next;
    if (a->wait_next)
        a->wait_next->wait_prev = a->wait_prev;
    else
        last = a->wait_prev;
}

bool http_wait_relieve(u64 parked_ns_min) {
    struct http_active *a = first;
    if (!a || loop_now_ns() - a->wait_since_ns < parked_ns_min) return false;
    http_wait_end(a);
    a->close = true;
    http_counters.timeouts++;
    if (a->http2) http2_give_up(a);
    else stream_give_up(a->conn->stream);
    return true;
}

void http_slow_body_begin(struct http_active *a) {
    a->slow_body = true;
    slow++;
}

void http_slow_body_end(struct http_active *a) {
    if (a->slow_body) slow--;
    a->slow_body = false;
}

u32 http_slow_bodies(void) {
    return slow;
}
