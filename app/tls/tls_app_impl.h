/* SPDX-License-Identifier: Apache-2.0 */
/* tls_app_impl.h — certificate.c (the one for everybody) and named.c (further ones) from inside. */
#pragma once
#include "app/json.h"
#include "app/module.h"
#include "net/tls.h"

#define PEM_KEY_MAX KIB(16)
#define PEM_CHAIN_MAX KIB(64)

void certificate_members(struct json_writer *w, const struct tls_identity_info *info);

void named_start(void); /* those stored, into use */
void named_put(struct request *rq);
void named_delete(struct request *rq);
void named_list(struct request *rq);
