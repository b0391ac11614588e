/* SPDX-License-Identifier: Apache-2.0 */
/* store.h — users that last: what commands tell store.c. */
#pragma once
#include "kernel/base/base.h"

struct client;
/* Users were changed by c's command: keeps them, then answers it (:say_then, or +OK when that is
 * negative). In a transaction, or without a database, the answer comes at once. */
void users_changed(struct client *c, s64 say_then);
/* The machine's configuration made the user "default": a stored one does not replace it. */
void users_default_is_configured(void);
