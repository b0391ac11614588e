/* SPDX-License-Identifier: Apache-2.0 */
/* address.h — our addresses to lwIP's and back. For this folder. */
#pragma once
#include "net/stream.h"
#include "lwip/ip_addr.h"

void net_address_from_ip(const ip_addr_t *ip, u16 port, struct net_address *out);
void net_address_to_ip(const struct net_address *a, ip_addr_t *out);
