/* SPDX-License-Identifier: Apache-2.0 */
/* backup.h — yesterday, kept elsewhere: the database as a file by GET, and back by POST. */
#pragma once
#include "app/module.h"

extern const struct module backup_module;
