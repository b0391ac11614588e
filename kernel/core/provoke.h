/* SPDX-License-Identifier: Apache-2.0 */
/* provoke.h — a console command that makes things go wrong, for tests of the whole appliance: it
 * exists only when a test harness watches (boot_info.test), never on a machine that serves. */
#pragma once
#include "kernel/base/base.h"

rc_t provoke_init(void); /* adds the console command `provoke`; after console_init */
