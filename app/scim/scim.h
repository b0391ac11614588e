/* SPDX-License-Identifier: Apache-2.0 */
/* scim.h — accounts and groups kept in step with a company's directory: SCIM 2.0 (RFC 7643, 7644)
 * at /scim/v2. */
#pragma once
#include "app/module.h"

extern const struct module scim_module;
