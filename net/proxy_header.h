/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_header.h — the PROXY protocol, versions 1 and 2: a load balancer that passes bytes on says
 * first whose they are (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt). */
#pragma once
#include "net/stream.h"

#define PROXY_V1_MAX 107u  /* of the line, CR LF included */
#define PROXY_V2_MAX 2048u /* of header and extensions */

struct proxy_header {
    size_t length;          /* of the header in the bytes */
    bool told;              /* `client` holds; else (LOCAL, UNKNOWN) it is the proxy's own */
    struct net_address client;
};
/* At the start of a connection. RC_AGAIN: more must come; RC_INVALID: it is none. */
rc_t proxy_header_parse(str bytes, struct proxy_header *out);

/* From whom, on which of our ports, a header is expected, and then required: without one the
 * connection ends, for guessing would let anybody claim to be somebody. NULL: from nobody. */
void stream_proxies_use(bool (*expects)(const struct net_address *peer, u16 our_port));
