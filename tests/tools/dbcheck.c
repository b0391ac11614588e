/* SPDX-License-Identifier: Apache-2.0 */
/* dbcheck.c — a data disk, opened by the appliance's own storage code, checked and asked.
 *
 *   dbcheck --net none --disk IMAGE --append "SELECT id || ' ' || title FROM policy; SELECT ..."
 *
 *   ok | what integrity_check found                  first line
 *   audit N | audit BROKEN row                       second line: the hash chain
 *   first column                                     a line for each row, in order
 *
 * It is the host machine with another app_main: the disk is opened as after power-on, recovery
 * included, so give it a copy. Statements must not write. Status 0: opened, integrity and chain are
 * sound, every statement ran; 1: not, and the reason is on the console. */
#include "app/audit/audit.h"
#include "kernel/base/limits.h"
#include "kernel/base/log.h"
#include "kernel/core/disk.h"
#include "kernel/core/fiber.h"
#include "kernel/core/loop.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "storage/db.h"
#include <stdio.h>
#include <stdlib.h>

int host_main(int argc, char **argv);
static str statements;

static int fail(const char *what, rc_t rc, const char *why) {
    printf("%s: %s %s\n", what, rc_name(rc), why);
    return 1;
}

static int ask(struct db_txn *t, const char *sql) {
    struct db_rows *r;
    rc_t rc = db_query(t, &r, sql);
    if (rc) return fail(sql, rc, db_error_text(t));
    while (!(rc = db_next(r))) {
        str line = db_column_text(r, 0);
        printf("%.*s\n", STR(line));
    }
    db_done(r);
    return rc == RC_NOT_FOUND ? 0 : fail(sql, rc, db_error_text(t));
}

static int check_all(void) {
    struct volume v;
    struct diag why = {0};
    struct arena a;
    str report;
    u64 rows = 0;
    s64 broken = 0;
    rc_t rc = volume_open(&v, &why);
    if (rc) return fail("volume", rc, why.text);
    if ((rc = db_open(&v, NULL, &why))) return fail("database", rc, why.text);
    arena_open(&a, NULL, 0, MIB(1));
    if ((rc = db_integrity_check(&a, &report))) return fail("integrity", rc, "");
    printf("%.*s\n", STR(report));
    int bad = !str_eq(report, S("ok"));
    if ((rc = audit_verify(&rows, &broken))) bad |= fail("audit", rc, "");
    else printf("audit %llu\n", (unsigned long long)rows);
    struct db_txn *t;
    if ((rc = db_read_begin(&t))) return fail("read", rc, "");
    for (str one; str_split(&statements, ';', &one);) {
        char *sql = strndup(one.ptr, one.len); /* the statement cache keeps the pointer */
        if (str_trim(one).len) bad |= ask(t, sql);
    }
    db_read_end(t);
    return bad;
}

static void checking(void *arg) {
    (void)arg;
    int bad = check_all();
    fflush(stdout);
    _Exit(bad); /* as a cut: nothing is tidied up on the disk */
}

void app_main(const struct boot_info *boot) {
    statements = boot->command_line;
    log_console_level_set(LOG_ERROR); /* what a recovery has to say is not ours to print */
    memory_init(boot->heap_bytes);
    loop_init();
    struct fiber *f;
    if (fiber_init(64) || worker_init() || disk_init() || fiber_start("check", checking, NULL, &f))
        exit(2);
    loop_run();
}

int main(int argc, char **argv) { return host_main(argc, argv); }
