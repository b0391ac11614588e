/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h — what the tests of identity share: a database on a simulated disk with the tables of
 * auth and audit, and a request from somewhere to act for. */
#pragma once
#include "app/audit/audit.h"
#include "app/auth/auth.h"
#include "app/module.h"
#include "kernel/core/worker.h"
#include "net/tls.h"
#include "tests/storage.h"

static struct http_request identity_http = {.method = HTTP_POST,
                                            .path = {"/test", 5},
                                            .id = {"01TEST", 6},
                                            .peer = {.bytes = {[10] = 0xff, 0xff, 192, 0, 2, 7}}};
static struct http_exchange identity_exchange;
static struct arena identity_arena;
static struct request identity_request;

static inline void identity_open(void) {
    static const struct db_schema *schemas[3];
    struct volume v;
    struct diag why = {0};
    schemas[0] = audit_module.schema;
    schemas[1] = auth_module.schema;
    rc_t rc = volume_open(&v, &why);
    if (!rc) rc = db_open(&v, schemas, &why);
    if (rc) test_fail(__FILE__, __LINE__, "%s: %s", rc_name(rc), why.text);
}

/* A machine with the tables; the request is a guest's until its actor is set. */
static inline void identity_begin(void) {
    static const struct sim_options machine = {.seed = 1, .disk_count = 1, .disk_bytes = MIB(32)};
    storage_begin(&machine);
    EXPECT_OK(worker_init());
    EXPECT_OK(tls_init());
    identity_open();
    arena_close(&identity_arena);
    arena_open(&identity_arena, NULL, 0, MIB(4));
    identity_exchange = (struct http_exchange){.request = &identity_http, .arena = &identity_arena};
    identity_request =
        (struct request){.x = &identity_exchange, .http = &identity_http, .arena = &identity_arena};
}
static inline void identity_restart(void) {
    db_close();
    identity_open();
}
static inline void identity_end(void) {
    db_close();
    arena_close(&identity_arena);
    sim_stop();
}
