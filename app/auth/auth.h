/* SPDX-License-Identifier: Apache-2.0 */
/* auth.h — identity: accounts, sessions, tokens, the first administrator. Others see who is asking
 * in `struct actor` (app/module.h) and never call in here. */
#pragma once
#include "app/module.h"

extern const struct module auth_module;
