/* SPDX-License-Identifier: Apache-2.0 */
/* trust.h — proxies in front of us whose word counts (trust.c). */
#pragma once
#include "app/module.h"

rc_t trust_start(void);
bool trust_peer(const struct net_address *a); /* in http.trusted_proxies */
rc_t trust_phase(struct request *rq);         /* POST_READ: the peer becomes the client */
