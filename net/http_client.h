/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h — our side of HTTP/1.1 as a client (RFC 9110, 9112), over TCP or verified TLS.
 *
 * A server we call is no friend either: its head, chunks and lengths are read by the same rules as
 * a client's, bounded, and a doubt about framing ends the connection. Connections are kept and
 * used again per (scheme, host, port, trust); a request whose reuse met a connection the peer had
 * just closed is sent once more when its method is safe or its body was not begun.
 *
 * Fibers only; everything parks and ends at `deadline_ns` at the latest. */
#pragma once
#include "net/http.h"

struct http_client_trust { /* for https; all empty: the appliance's trust store */
    str ca_pem;            /* believed instead of the store */
    str cert_pem, key_pem; /* who we are, if the server asks */
    str server_name;       /* instead of the URL's host, for SNI and verification */
    bool insecure;         /* any certificate will do: only where the user said so */
};
struct http_client_request {
    str method; /* a token, "GET" */
    str url;    /* http:// or https://, absolute; user information is refused */
    const struct http_field *fields; /* framing and Connection are ours; Host replaces the URL's */
    u32 field_count;
    str body;
    const struct http_client_trust *trust; /* NULL: the store */
    /* May this address be called? Asked after the name was resolved and for each redirect, so a
     * name that changes its mind gains nothing. NULL: http_client_public. */
    bool (*may_call)(void *arg, str host, const struct net_address *to);
    void *may_call_arg;
    u64 deadline_ns;   /* platform_clock_ns's scale; required */
    u32 redirects_max; /* followed for 301 302 303 307 308 (RFC 9110 15.4); 0: answered as is.
                          Authorization and Cookie do not go along to another origin. */
    u32 attempts;      /* connecting: 0 and 1 are one */
};
/* Anything but link-local, multicast, broadcast and unspecified addresses (cloud metadata is
 * link-local). Loopback and private networks are allowed: appliances live in them. */
bool http_client_public(void *arg, str host, const struct net_address *to);

struct http_client_answer {
    int status;
    const struct http_field *fields; /* in the arena */
    u32 field_count;
    s64 content_length; /* -1: not told */
    str url;            /* the one that answered, after redirects */
    str reason;         /* behind the status; may be empty */
};
str http_client_field(const struct http_client_answer *a, str name); /* ptr NULL: absent */

struct http_client_call;
/* Sends the request and reads the answer's head. Bytes of `answer` live in `a`. 1xx are passed
 * over. `why` says which step failed, to whom and what to look at. RC_INVALID: the URL or a field;
 * RC_DENIED: the address or the certificate; RC_NOT_FOUND: no such name; RC_TIMEOUT; RC_IO:
 * refused, reset or not HTTP; RC_LIMIT: head too large, too many redirects or calls. */
rc_t http_client_open(struct arena *a, const struct http_client_request *r,
                      struct http_client_answer *answer, struct http_client_call **out,
                      struct diag *why);
/* Parks. The next bytes of the body, valid until the next call on it; empty with RC_OK: the end.
 * Content codings are left as they are. */
rc_t http_client_read(struct http_client_call *c, str *bytes, struct diag *why);
/* Ends the call; the connection is kept when the body was read to its end, closed otherwise. */
void http_client_close(struct http_client_call *c);

/* All of it: the body (gzip undone when the server chose it) in the arena. RC_LIMIT: it is larger
 * than `bytes_max`. */
rc_t http_client_fetch(struct arena *a, const struct http_client_request *r, size_t bytes_max,
                       struct http_client_answer *answer, str *body, struct diag *why);

/* Keeps nothing any more: idle connections close, calls under way end with RC_TIMEOUT, new ones are
 * refused with RC_CLOSED. For the appliance's stop. */
void http_client_stop(void);

struct http_client_stats {
    u64 calls, failed, connects, reused;
    u32 open, idle; /* connections now */
};
void http_client_stats_get(struct http_client_stats *out);
