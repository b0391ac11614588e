/* SPDX-License-Identifier: Apache-2.0 */
/* openapi.h — the API document, generated from the route tables. */
#pragma once
#include "app/json.h"
#include "app/module.h"

void openapi_use(const struct module *const *list); /* what to document: app/modules.c */
/* Writes the whole OpenAPI 3.1 document of these modules. */
void openapi_write(struct json_writer *w, const struct module *const *list);

extern const struct module openapi_module;
