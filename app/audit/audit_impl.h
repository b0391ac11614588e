/* SPDX-License-Identifier: Apache-2.0 */
/* audit_impl.h — what the files of app/audit share: one row of the log and its place in the chain.
 */
#pragma once
#include "app/audit/audit.h"

#define AUDIT_HASH_BYTES 48u
#define AUDIT_DETAIL_MAX 4096u /* bytes of JSON kept with a row */
#define AUDIT_TEXT_MAX 256u    /* bytes of resource, client ...: longer ones are cut */
#define AUDIT_COLUMNS                                                                              \
    "id,at_ns,actor_id,actor,role,action,resource,result,address,client,request_id,detail,hash"

struct audit_row {
    s64 id, at_ns;
    str actor_id, actor, role, action, resource, result, address, client, request_id, detail;
    str hash; /* AUDIT_HASH_BYTES raw bytes */
};
/* Of the canonical form (chain.c) after `previous`. */
void audit_row_hash(const u8 previous[AUDIT_HASH_BYTES], const struct audit_row *row,
                    u8 out[AUDIT_HASH_BYTES]);
extern const u8 audit_genesis[AUDIT_HASH_BYTES]; /* before the first row */
/* Views of the current row of AUDIT_COLUMNS, until the next db_next. */
void audit_row_read(struct db_rows *r, struct audit_row *out);

/* The newest row that was removed, and its hash; 0 and the genesis: none was. */
rc_t audit_anchor_read(struct db_txn *t, s64 *out_id, u8 out_hash[AUDIT_HASH_BYTES]);
rc_t audit_expire(u64 now_ns); /* removes what is older than audit.days; parks */
rc_t audit_expire_start(struct diag *why);
void audit_expire_stop(void);

void audit_list_get(struct request *rq), audit_export_get(struct request *rq);
void audit_verify_get(struct request *rq);
