/* SPDX-License-Identifier: Apache-2.0 */
/* http_url.h — URLs of servers we call (RFC 3986, RFC 9110 4.2), read strictly. Views of the text.
 */
#pragma once
#include "kernel/base/arena.h"

struct http_url {
    bool tls;
    str host;      /* a name or an address, without brackets */
    u16 port;      /* 80 or 443 unless told */
    str authority; /* as Host carries it: brackets, and the port if it was told */
    str target;    /* path and query, without the fragment; "/" may be missing at its front */
};
/* Absolute http or https only. User information, backslashes, blanks, control bytes and bytes
 * beyond ASCII are refused: RC_INVALID. */
rc_t http_url_parse(str text, struct http_url *out, struct diag *why);
/* Same scheme, host and port: what credentials were meant for. */
bool http_url_same_origin(const struct http_url *a, const struct http_url *b);
/* A reference (Location) against the URL it came from: RFC 3986 5.2 with dot segments removed.
 * RC_INVALID, RC_NO_MEMORY. */
rc_t http_url_resolve(struct arena *a, str base, str reference, str *out);
