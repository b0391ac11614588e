/* SPDX-License-Identifier: Apache-2.0 */
/* policies.h — authored policy documents: drafts, versions, a workflow, search (English, French).
 */
#pragma once
#include "app/module.h"

extern const struct module policies_module;
