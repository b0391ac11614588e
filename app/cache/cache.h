/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h — the cache as the rest of the appliance sees it: a module and its ports. */
#pragma once
#include "kernel/base/base.h"

extern const struct module cache_module;
extern const struct module cache_users_module; /* its users, once there is a database */
void cache_listen(void); /* opens the ports if somebody may sign in, closes them if nobody may */
