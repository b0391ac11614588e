/* SPDX-License-Identifier: Apache-2.0 */
/* screen.c — what the operator sees on the serial line: where the appliance answers, by which
 * certificate, whether it is ready and if not why and what to do, memory, and how it started.
 * Shown when the appliance is ready to answer and by the console command `status`. */
#include "app/screen.h"
#include "app/config/config.h"
#include "app/health/health_impl.h"
#include "app/system/system.h"
#include "app/version.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "net/link.h"
#include "net/tls.h"
#include "storage/db.h"

#define LINE(...) (void)!!buf_printf(to, __VA_ARGS__)

static void write_addresses(struct buf *to) {
    struct link_status link;
    const char *scheme = config_bool("http.plain") ? "http" : "https";
    link_status_get(&link);
    if (link.ipv4[0]) LINE("  address      %s://%s/\n", scheme, link.ipv4);
    for (size_t i = 0; i < ARRAY_LEN(link.ipv6); i++)
        if (link.ipv6[i][0]) LINE("  address      %s://[%s]/\n", scheme, link.ipv6[i]);
    if (!link.ipv4[0] && !link.ipv6[0][0])
        LINE("  address      none yet (%s)\n", link.up ? "waiting for DHCP" : "the link is down");
}

static void write_certificate(struct buf *to) {
    struct tls_identity_info info;
    if (tls_identity_info_get(&info))
        LINE("  certificate  none: HTTPS is off\n");
    else
        LINE("  certificate  SHA-256 %s%s\n", info.fingerprint_sha256,
             info.self_signed ? " (self-signed)" : "");
}

static void write_health(struct buf *to) {
    const struct health_seen *seen;
    u32 n = health_look(&seen);
    LINE("  state        %s\n", health_ready() ? health_state_name(health_overall()) : "NOT READY");
    for (u32 i = 0; i < n; i++)
        if (seen[i].state != HEALTH_OK)
            LINE("    %-10s %s: %s\n", seen[i].check->name, health_state_name(seen[i].state),
                 seen[i].detail.text);
}

static void write_storage(struct buf *to) {
    struct db_status db;
    db_status_get(&db);
    if (db.open)
        LINE("  database     %llu KiB of %llu MiB in use\n",
             (unsigned long long)((db.pages - db.free_pages) * db.page_bytes >> 10),
             (unsigned long long)(db.bytes_max >> 20));
}

static void write_stamp(struct buf *to, const char *name, u64 ns) {
    if (ns)
        LINE(", %s %llu.%06llu s", name, (unsigned long long)(ns / NS_PER_S),
             (unsigned long long)(ns % NS_PER_S / NS_PER_US));
}

static void write_boot(struct buf *to) {
    const struct boot_stamps *b = &boot_stamps;
    u64 wall = platform_wall_ns(), up = platform_clock_ns();
    LINE("  start        ");
    if (b->vmm_start_ns && wall > up && wall - up > b->vmm_start_ns)
        LINE("machine %llu ms before the first instruction",
             (unsigned long long)((wall - up - b->vmm_start_ns) / NS_PER_MS));
    else
        LINE("first instruction 0.000000 s");
    write_stamp(to, "storage", b->storage_ready_ns);
    write_stamp(to, "listening", b->listener_ready_ns);
    write_stamp(to, "first answer", b->first_answer_ns);
    LINE("\n");
}

void screen_write(struct buf *to) {
    LINE("\nOpenPolicy Appliance " OPENPOLICY_VERSION " on %.*s, %u worker%s\n",
         STR(boot_machine->machine), worker_count(), worker_count() == 1 ? "" : "s");
    write_addresses(to);
    write_certificate(to);
    write_health(to);
    write_storage(to);
    LINE("  memory       %llu MiB of %llu MiB in use\n",
         (unsigned long long)(platform_memory_used() >> 20),
         (unsigned long long)(boot_machine->memory_bytes >> 20));
    write_boot(to);
    if (config_refusal().len) LINE("  REFUSED      %.*s\n", STR(config_refusal()));
    LINE("  (help: the commands of this console)\n\n");
}
