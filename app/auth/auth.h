/* SPDX-License-Identifier: Apache-2.0 */
/* auth.h — identity: accounts, sessions, tokens, the first administrator. Others see who is asking
 * in `struct actor` (app/module.h). */
#pragma once
#include "app/module.h"

/* After a restore: sessions that were ended since the backup would live again. Everybody's end. */
rc_t auth_sessions_end(struct db_txn *t);

extern const struct module auth_module;
