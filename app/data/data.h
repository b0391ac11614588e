/* SPDX-License-Identifier: Apache-2.0 */
/* data.h — collections that users define, and records in them, under /api/v1/collections and
 * /api/v1/data. */
#pragma once
#include "app/module.h"

extern const struct module data_module;
