/* SPDX-License-Identifier: Apache-2.0 */
/* web.h — the pages people see: landing page and first setup, embedded, in two languages. */
#pragma once
#include "app/module.h"

extern const struct module web_module;
