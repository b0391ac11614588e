/* SPDX-License-Identifier: Apache-2.0 */
/* rego.h — the policy engine as a service: the reference's REST API under /v1, the policies and
 * data behind it, kept in the database as revisions. */
#pragma once
#include "app/module.h"

extern const struct module rego_module;
