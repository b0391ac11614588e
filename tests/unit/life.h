/* SPDX-License-Identifier: Apache-2.0 */
/* life.h — the whole program, app_main and all below it, on the simulated machine: lives that end
 * in a clean stop, a kill or a power cut, and a client at the other end of the simulated wire.
 *
 *   life_machine(seed);                 a new machine: blank disk, clock at its start
 *   life_run(script, arg, seconds);     one life in a child process; `script` is its client
 *     in the script: life_ask("GET", "/healthz", NULL, NULL, NULL) ... life_stop() or life_end(7)
 *
 * The client borrows a fiber of the appliance, so its waiting is virtual time too; it speaks TCP of
 * its own with retransmission (net_peer.h), so the wire may lose and damage what it likes.
 * Everything is decided by the seed: the same seed gives the same trace (sim_trace_hash). */
#pragma once
#include "tests/unit/net_peer.h"
#include "kernel/host/sim_impl.h"
#include "tests/test.h"
#include "kernel/base/log.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define LIFE_EMAIL "root@example.org"
#define LIFE_PASSWORD "correct horse battery staple"
#define LIFE_DISK_BYTES MIB(32)

/* Outlives a life: in memory that children share with the test. */
struct life_shared {
    u64 trace; /* of the last life that ended by itself */
    u32 requests, answers;
    char token[2048];
    char console[65536];
    size_t console_len;
    u32 failures;
    char failure[1024];
};
static struct life_shared *record;

void platform_console_put(str bytes) { /* in place of the host's */
    size_t n = record ? MIN(bytes.len, sizeof record->console - 1 - record->console_len) : 0;
    if (n) memcpy(record->console + record->console_len, bytes.ptr, n);
    if (record) record->console[record->console_len += n] = 0;
}
void platform_exit(int status) {
    record->trace = sim_trace_hash();
    sim_end_life(status == PLATFORM_EXIT_RESET ? 75 : status);
}

#define LIFE_EXPECT(e, ...)                                                                        \
    do {                                                                                           \
        if (!(e)) life_failed(__LINE__, #e, __VA_ARGS__);                                          \
    } while (0)
PRINTF_LIKE(3, 4) static void life_failed(int line, const char *what, const char *fmt, ...) {
    va_list args;
    if (record->failures++) return;
    int n = snprintf(record->failure, sizeof record->failure, "line %d: %s: ", line, what);
    va_start(args, fmt);
    vsnprintf(record->failure + n, sizeof record->failure - (size_t)n, fmt, args);
    va_end(args);
}

/* ---- The client ------------------------------------------------------------------------------ */

static struct {
    struct fiber *fiber;
    struct peer_conn *conn;
    u32 acked; /* what the appliance has of what we sent */
    void (*script)(void *arg);
    void *arg;
    char answer[1 << 20];
    const char *body;
} client;

static void client_watch(const struct peer_segment *s) {
    if (client.conn && s->dest == client.conn->port && s->flags & P_ACK && s->checksum_good)
        client.acked = s->ack;
    if (client.fiber) fiber_wake(client.fiber);
}
static bool client_wait(u64 until_ns) {
    (void)!!fiber_park(until_ns);
    return platform_clock_ns() < until_ns;
}

static bool client_open(struct peer_conn *c, u64 deadline_ns) {
    static u16 port = 20000;
    static const u8 options[] = {2, 4, 1460 >> 8, 1460 & 255, 4, 2, 1, 3, 3, 0, 1, 1};
    memset(c, 0, offsetof(struct peer_conn, in));
    c->in_len = 0, c->finished = c->reset = c->established = c->silent = false;
    c->syn_ack_seq = 0;
    c->port = port++, c->to = 80, c->window = 65535;
    c->seq = (u32)sim_random(UINT32_MAX);
    peer_conns[0] = c, peer_conn_count = 1;
    client.conn = c;
    u32 first = c->seq++;
    while (!c->established && !c->reset && platform_clock_ns() < deadline_ns) {
        peer_send_tcp(PEER_IP, c->port, 80, first, 0, P_SYN, c->window, options, 8, NULL, 0);
        u64 again = platform_clock_ns() + 200 * NS_PER_MS;
        while (!c->established && !c->reset && client_wait(again)) {}
    }
    client.acked = c->seq;
    return c->established;
}

/* Sends all of it, again and again until it was acknowledged, and reads until the end. */
static bool client_exchange(struct peer_conn *c, str bytes, u64 deadline_ns) {
    u32 from = c->seq;
    while (!c->finished && !c->reset && platform_clock_ns() < deadline_ns) {
        size_t done = (size_t)(client.acked - from);
        for (size_t at = done; at < bytes.len && at < done + 16384;) {
            size_t n = MIN(bytes.len - at, (size_t)1400);
            peer_send_tcp(PEER_IP, c->port, 80, from + (u32)at, c->ack, P_ACK | P_PSH, c->window,
                          NULL, 0, bytes.ptr + at, n);
            at += n;
        }
        c->seq = from + (u32)bytes.len;
        u64 again = platform_clock_ns() + 300 * NS_PER_MS;
        while (!c->finished && !c->reset && client_wait(again))
            if (done < bytes.len && client.acked - from > done) break; /* it moves on */
    }
    if (c->finished) conn_send(c, P_FIN | P_ACK, NULL, 0);
    return c->finished;
}

/* The status, 0: none came (the outcome is unknown). The body: client.body. */
static int life_ask(const char *method, const char *target, const char *token, const char *field,
                    const char *body) {
    static struct peer_conn conn;
    static char request[16384];
    u64 deadline = platform_clock_ns() + 30 * NS_PER_S;
    int n = snprintf(request, sizeof request,
                     "%s %s HTTP/1.1\r\nHost: box\r\nConnection: "
                     "close\r\n%s%s%s%s%sContent-Length: %zu\r\n\r\n%s",
                     method, target, token && token[0] ? "Authorization: Bearer " : "",
                     token ? token : "", token && token[0] ? "\r\n" : "", field ? field : "",
                     field ? "\r\n" : "", body ? strlen(body) : 0, body ? body : "");
    client.answer[0] = 0;
    client.body = client.answer;
    record->requests++;
    bool whole = client_open(&conn, deadline) &&
                 client_exchange(&conn, str_of(request, (size_t)n), deadline);
    client.conn = NULL;
    memcpy(client.answer, conn.in, conn.in_len);
    client.answer[MIN(conn.in_len, sizeof client.answer - 1)] = 0;
    const char *end = strstr(client.answer, "\r\n\r\n");
    if (!whole || !end) return 0;
    client.body = end + 4;
    record->answers++;
    return peer_status(&conn);
}
/* A member of the answer that is a text or a number; "" if it is not there. */
static inline const char *life_member(const char *name) {
    static char found[2048];
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(client.body, key);
    found[0] = 0;
    if (!at) return found;
    at += strlen(key);
    size_t n = *at == '"' ? strcspn(++at, "\"") : strcspn(at, ",}");
    snprintf(found, sizeof found, "%.*s", (int)MIN(n, sizeof found - 1), at);
    return found;
}
static inline int life_login(void) {
    int status = life_ask("POST", "/api/v1/auth/login", NULL, NULL,
                          "{\"email\":\"" LIFE_EMAIL "\",\"password\":\"" LIFE_PASSWORD "\"}");
    if (status == 200)
        snprintf(record->token, sizeof record->token, "%s", life_member("access_token"));
    return status;
}

/* ---- A life ---------------------------------------------------------------------------------- */

static inline void life_stop(void) { sim_power_button(); }
static inline void life_end(int status) { sim_end_life(status); } /* the process is killed */

static void client_main(void *arg) {
    (void)arg;
    client.fiber = fiber_self();
    while (!peer_frames_seen) fiber_sleep_ms(1); /* until it has shown its address */
    for (int i = 0; i < 1000 && life_ask("GET", "/healthz", NULL, NULL, NULL) != 200; i++)
        fiber_sleep_ms(20);
    client.script(client.arg);
    client.fiber = NULL;
}
static void client_start(void *arg) {
    (void)arg;
    if (fiber_start("client", client_main, NULL, NULL)) panic("no fiber for the client");
}

static const char *life_config =
    "{\"admin.email\":\"" LIFE_EMAIL "\",\"admin.password\":\"" LIFE_PASSWORD
    "\",\"http.plain\":true,\"net.address\":\"192.0.2.2/24\"}";

static void life_main(void *arg) {
    static struct boot_info boot = {
        .machine = {"sim", 3}, .memory_bytes = MIB(256), .heap_bytes = MIB(200)};
    (void)arg;
    boot.config_json = str_from_c(life_config);
    peer_watch = client_watch;
    sim_wire_peer(peer_frame, NULL);
    sim_at(platform_clock_ns() + NS_PER_MS, client_start, NULL);
    app_main(&boot);
}

/* A new machine. The record of its lives is blank, too. */
static inline void life_machine(u64 seed) {
    sim_start(&(struct sim_options){
        .seed = seed, .disk_count = 1, .disk_bytes = LIFE_DISK_BYTES, .nic_count = 1});
    record = sim_shared_alloc(sizeof *record);
}
/* 0: a clean stop; 75: wants to be started again; SIM_CUT; what life_end said. */
static inline int life_run(void (*script)(void *arg), void *arg, u32 seconds) {
    client.script = script;
    client.arg = arg;
    record->console_len = 0;
    return sim_life(life_main, NULL, seconds);
}
static inline void life_over(void) {
    record = NULL;
    sim_stop();
}
/* What a life found wrong becomes a failure of the test. */
static inline void life_judge(const char *file, int line, u64 seed) {
    if (!record->failures) return;
    test_fail(file, line, "seed %llu: %s\n--- console ---\n%s---", (unsigned long long)seed,
              record->failure, record->console);
    record->failures = 0;
}
