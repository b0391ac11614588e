/* SPDX-License-Identifier: Apache-2.0 */
/* net_dhcp_test.c — an appliance that is given nothing: its address by DHCP at once and not after
 * seconds, its resolver and its time with it, and what forged answers do (nothing). */
#include "net/sntp.c"
#include "tests/test.h"
#include "tests/unit/net_peer.h"

static u32 discovers, requests, dns_queries, ntp_queries;
static bool dhcp_mute, dns_lies, dns_mute;
static u8 ntp_leap, ntp_stratum = 2;
static bool ntp_wrong_nonce, ntp_wrong_port;
static u64 bound_ns;

static void udp_reply(const u8 *f, u32 to_ip, u16 from, u16 to, const u8 *data, size_t n) {
    u8 u[1500], out[1600];
    (void)f;
    put16(u, from), put16(u + 2, to), put16(u + 4, (u16)(8 + n)), put16(u + 6, 0);
    memcpy(u + 8, data, n);
    sim_wire_send(out, peer_ip_frame(out, PEER_IP, to_ip, 17, u, 8 + n));
}

static void dhcp_answer(const u8 *f, const u8 *m, u8 kind) {
    u8 r[300] = {2, 1, 6};
    memcpy(r + 4, m + 4, 4); /* transaction */
    put32(r + 16, APPLIANCE_IP);
    memcpy(r + 28, m + 28, 6);
    put32(r + 236, 0x63825363);
    u8 *o = r + 240;
    const u8 options[] = {53, 1,   kind, 54,  4,   192, 0, 2,   1, 51,  4, 0,  0, 14,
                          16, 1,   4,    255, 255, 255, 0, 3,   4, 192, 0, 2,  1, 6,
                          4,  192, 0,    2,   1,   42,  4, 192, 0, 2,   1, 255};
    memcpy(o, options, sizeof options);
    udp_reply(f, APPLIANCE_IP, 67, 68, r, sizeof r);
}

static void on_dhcp(const u8 *f, const u8 *m, size_t n) {
    u8 kind = 0;
    for (size_t i = 240; i + 2 < n && m[i] != 255; i += 2u + m[i + 1])
        if (m[i] == 53) kind = m[i + 2];
    discovers += kind == 1, requests += kind == 3;
    if (dhcp_mute) return;
    if (kind == 1) dhcp_answer(f, m, 2);
    if (kind == 3) dhcp_answer(f, m, 5);
}

static void on_dns(const u8 *f, const u8 *m, size_t n, u16 port) {
    u8 r[512];
    dns_queries++;
    if (dns_mute || n > 200) return;
    memcpy(r, m, n);
    put16(r + 2, 0x8180), put16(r + 6, 1);
    if (dns_lies) r[0] ^= 1; /* another transaction's answer */
    const u8 answer[] = {0xC0, 12, 0, 1, 0, 1, 0, 0, 1, 0, 0, 4, 198, 51, 100, 7};
    memcpy(r + n, answer, sizeof answer);
    if (m[13] == 'n') { /* "n..." does not exist */
        put16(r + 2, 0x8183), put16(r + 6, 0);
        udp_reply(f, APPLIANCE_IP, 53, port, r, n);
        return;
    }
    udp_reply(f, APPLIANCE_IP, 53, port, r, n + sizeof answer);
}

#define NTP_NOW 3986000000u /* a day in 2026 */
static void on_ntp(const u8 *f, const u8 *m, u16 port) {
    u8 r[48] = {(u8)(ntp_leap << 6 | 4 << 3 | 4), ntp_stratum};
    ntp_queries++;
    memcpy(r + 24, m + 40, 8);
    if (ntp_wrong_nonce) r[24] ^= 1;
    put32(r + 32, NTP_NOW), put32(r + 40, NTP_NOW);
    udp_reply(f, APPLIANCE_IP, ntp_wrong_port ? 124 : 123, port, r, sizeof r);
}

static void watch(const u8 *f, size_t n) {
    if (n < 42 || get16(f + 12) != 0x0800 || f[23] != 17) return;
    u16 to = get16(f + 36), from = get16(f + 34);
    if (to == 67) on_dhcp(f, f + 42, n - 42);
    if (to == 53) on_dns(f, f + 42, n - 42, from);
    if (to == 123 && n >= 90) on_ntp(f, f + 42, from);
}

static void on_change(void) {
    if (link_ready() && !bound_ns) bound_ns = platform_clock_ns();
}

static void begin(void) {
    peer_watch_frame = watch;
    peer_begin(test_seed(), "dhcp");
}

TEST(the_address_comes_in_milliseconds) {
    struct link_status s;
    link_on_change(on_change);
    begin();
    peer_run(20);
    EXPECT(link_ready());
    EXPECT_EQ(discovers, 1);
    EXPECT_EQ(requests, 1);
    EXPECT(bound_ns && bound_ns < 5 * NS_PER_MS);
    link_status_get(&s);
    EXPECT(s.dhcp_bound);
    EXPECT_STR(str_from_c(s.ipv4), S("192.0.2.2"));
    EXPECT_STR(str_from_c(s.gateway), S("192.0.2.1"));
    EXPECT_STR(str_from_c(s.netmask), S("255.255.255.0"));
}

TEST(time_comes_with_the_lease) {
    struct sntp_status s;
    begin();
    peer_run(1000);
    EXPECT_EQ(ntp_queries, 1);
    sntp_status_get(&s);
    EXPECT(s.synced);
    u64 want = (NTP_NOW - NTP_TO_UNIX) * NS_PER_S, got = platform_wall_ns();
    EXPECT(got >= want && got < want + 2 * NS_PER_S);
}

/* Answers that are not to be believed leave the clock alone; a good one is asked for again. */
TEST(forged_time_is_refused) {
    begin();
    struct {
        u8 leap, stratum;
        bool nonce, port;
    } lies[] = {{3, 2, false, false},
                {0, 0, false, false},
                {0, 16, false, false},
                {0, 2, true, false},
                {0, 2, false, true}};
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        u32 before = ntp_queries;
        sim_wall_step((s64)(1000 * NS_PER_S));
        u64 wall = platform_wall_ns();
        ntp_leap = lies[i].leap, ntp_stratum = lies[i].stratum;
        ntp_wrong_nonce = lies[i].nonce, ntp_wrong_port = lies[i].port;
        again_after(0);
        peer_run(3000);
        EXPECT(ntp_queries > before);
        EXPECT(platform_wall_ns() >= wall); /* not stepped back */
        ntp_leap = 0, ntp_stratum = 2, ntp_wrong_nonce = ntp_wrong_port = false;
        again_after(0);
        peer_run(3000);
        EXPECT(platform_wall_ns() < wall);
    }
}

/* ---- Names ----------------------------------------------------------------------------------- */

static struct {
    str name;
    rc_t rc;
    struct net_address address;
    bool done;
} question;

static void ask_name(void *arg) {
    (void)arg;
    question.rc =
        name_resolve(question.name, platform_clock_ns() + 4 * NS_PER_S, &question.address);
    question.done = true;
}

static rc_t resolve(str name) {
    struct fiber *f;
    question.name = name;
    question.done = false;
    EXPECT_OK(fiber_start("resolve", ask_name, NULL, &f));
    for (u32 i = 0; i < 100 && !question.done; i++) peer_run(100);
    EXPECT(question.done);
    return question.rc;
}

TEST(names_resolve) {
    char text[46];
    begin();
    EXPECT_OK(resolve(S("a.example")));
    EXPECT_STR(net_address_text(&question.address, text, sizeof text), S("198.51.100.7"));
    u32 asked = dns_queries;
    EXPECT_OK(resolve(S("a.example"))); /* remembered */
    EXPECT_EQ(dns_queries, asked);
    EXPECT_OK(resolve(S("192.0.2.99")));
    EXPECT_STR(net_address_text(&question.address, text, sizeof text), S("192.0.2.99"));
    EXPECT_RC(resolve(S("nothing.example")), RC_NOT_FOUND);
    EXPECT_RC(resolve(S("")), RC_NOT_FOUND);
    EXPECT_RC(resolve(str_of("a\0b", 3)), RC_NOT_FOUND);
}

TEST(forged_and_missing_answers) {
    begin();
    dns_lies = true;
    EXPECT(resolve(S("b.example")) != RC_OK);
    dns_lies = false;
    dns_mute = true;
    EXPECT_RC(resolve(S("c.example")), RC_TIMEOUT);
    dns_mute = false;
    peer_run(20000); /* the late failure finds nobody */
    EXPECT_OK(resolve(S("d.example")));
}

/* Random answers of both protocols: nothing breaks, the address stays. */
TEST(damaged_answers) {
    struct link_status s;
    begin();
    for (u32 i = 0; i < 3000; i++) {
        u8 m[400];
        for (u32 k = 0; k < sizeof m; k++) m[k] = (u8)test_random();
        bool dhcp = test_random() % 2;
        if (dhcp)
            m[0] = 2, m[1] = 1, m[2] = 6, put32(m + 236, 0x63825363);
        else
            put16(m + 2, 0x8180), put16(m + 4, 1), put16(m + 6, (u16)(test_random() % 3));
        udp_reply(NULL, APPLIANCE_IP, dhcp ? 67 : 53,
                  dhcp ? 68 : (u16)(49152 + test_random() % 16384), m, test_random() % sizeof m);
        if (i % 16 == 15) peer_run(1);
    }
    peer_run(1000);
    link_status_get(&s);
    EXPECT_STR(str_from_c(s.ipv4), S("192.0.2.2"));
    EXPECT_OK(resolve(S("e.example")));
}

TEST(a_lease_that_cannot_be_renewed_ends) {
    begin();
    dhcp_mute = true;
    peer_run(3700000); /* the lease is an hour */
    EXPECT(!link_ready());
    dhcp_mute = false;
    peer_run(120000);
    EXPECT(link_ready());
}

TEST(options_that_make_no_sense_are_named) {
    static const struct {
        const char *address, *gateway, *dns, *word;
    } bad[] = {{"192.0.2.2/33", "", "", "32"},
               {"192.0.2.256/24", "", "", "192.0.2.256"},
               {"0.0.0.0/8", "", "", "machine"},
               {"224.0.0.1/8", "", "", "machine"},
               {"127.0.0.1/8", "", "", "machine"},
               {"192.0.2.2/", "", "", "32"},
               {"here", "", "", "here"},
               {"dhcp", "x", "", "net.gateway"},
               {"dhcp", "", "1.1.1.1,2.2.2.2,3.3.3.3", "net.dns"},
               {"dhcp", "", "name.example", "net.dns"},
               {"192.0.02.2/24", "", "", "192.0.02.2"}};
    begin();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct diag why = {0};
        struct link scratch = {0};
        struct link_options o = {.address = str_from_c(bad[i].address),
                                 .gateway = str_from_c(bad[i].gateway),
                                 .dns = str_from_c(bad[i].dns)};
        EXPECT_RC(link_address_options(&scratch, &o, &why), RC_INVALID);
        if (!strstr(why.text, bad[i].word))
            test_fail(__FILE__, __LINE__, "%s: \"%s\"", bad[i].word, why.text);
    }
}
