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
rc_t named_write(struct db_txn *t, str name, str key, str chain); /* its row */
void named_restore(str name); /* as it was before a change that could not be stored */
bool named_info(str name, struct tls_identity_info *out);         /* false: none such is in use */
void named_put(struct request *rq);
void named_delete(struct request *rq);
void named_list(struct request *rq);
