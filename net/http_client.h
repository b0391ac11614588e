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

/* ---- Piece by piece: for who passes on what others ask ---------------------------------------
 *
 *   pass_open (connection, head out) -> pass_write* -> pass_end -> pass_answer (1xx)* -> 2xx..5xx
 *   -> http_client_read* -> http_client_close          or, after 101: pass_take, a bare stream
 *
 * Nothing is buffered beyond the stream's own windows, nothing repeated, no redirect followed. */
struct http_client_pass {
    str url;            /* http:// or https://: where to connect; its path is not used */
    str method, target; /* a token; origin-form, as it goes on the wire */
    const struct http_field *fields; /* all of them, Host too; framing and Connection are ours */
    u32 field_count;
    s64 length;  /* of the body: 0 none, -1 not known (chunked) */
    str upgrade; /* the one protocol that may be changed to; empty: none */
    const struct http_client_trust *trust;
    bool (*may_call)(void *arg, str host, const struct net_address *to); /* as above */
    void *may_call_arg;
    u64 connect_deadline_ns;
    u64 stall_ms; /* a write that moves nothing for so long ends with RC_TIMEOUT */
    bool fresh;   /* on a connection nobody has used */
};
/* RC as http_client_open's. *reused: a kept connection, which its server may have closed just now:
 * when it ends without a byte of an answer, the server has done nothing. */
rc_t http_client_pass_open(const struct http_client_pass *p, struct http_client_call **out,
                           bool *reused, struct diag *why);
/* A piece of the body. RC_PASS: nothing was sent since the server answers already; read its answer
 * and leave the rest. RC_TIMEOUT, RC_IO. */
rc_t http_client_pass_write(struct http_client_call *c, str bytes, struct diag *why);
rc_t http_client_pass_end(struct http_client_call *c, struct diag *why);
/* Does an answer wait, or the end? Asked between pieces. */
bool http_client_pass_answers(struct http_client_call *c);
/* The next head, 1xx too (at most CLIENT_INTERIM_MAX of them), in the arena. RC_CLOSED: not a byte
 * of an answer came; RC_TIMEOUT, RC_IO, RC_NO_MEMORY. */
rc_t http_client_pass_answer(struct http_client_call *c, struct arena *a, u64 deadline_ns,
                             struct http_client_answer *out, struct diag *why);
/* As http_client_read, copied: at most `room` bytes; *got 0 with RC_OK: the end. */
rc_t http_client_pass_read(struct http_client_call *c, void *to, size_t room, size_t *got,
                           struct diag *why);
void http_client_pass_drop(struct http_client_call *c); /* at once, whatever was under way */
/* Reading ends at the latest now: between pieces the owner moves it on. */
void http_client_patience(struct http_client_call *c, u64 deadline_ns);
/* After 101: the stream is the caller's, what waits in it included; the call is gone. */
struct stream *http_client_pass_take(struct http_client_call *c);

/* Keeps nothing any more: idle connections close, calls under way end with RC_TIMEOUT, new ones are
 * refused with RC_CLOSED. For the appliance's stop. */
void http_client_stop(void);

struct http_client_stats {
    u64 calls, failed, connects, reused;
    u32 open, idle; /* connections now */
};
void http_client_stats_get(struct http_client_stats *out);
