/* SPDX-License-Identifier: Apache-2.0 */
/* http.h — HTTP/1.1 and HTTP/2 messages in and out (RFC 9110, 9112, 9113), written for hostile
 * clients. Above this header nobody sees which of the two a client speaks.
 *
 * The server reads heads on the loop without a fiber; a complete, unambiguous head starts one, and
 * that fiber calls the handler once. An exchange is one request and its one answer. All bytes of
 * the request stay valid until the handler returns. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/arena.h"
#include "net/stream.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER
};
str http_method_name(enum http_method m);

struct http_field {
    str name, value; /* as received, value trimmed */
};
struct http_request {
    enum http_method method;
    str method_text;
    str target; /* as received: origin-form, or absolute-form reduced to it */
    str path; /* percent-decoded once, dot segments refused, no NUL, valid UTF-8, starts with '/' */
    str query; /* raw, without '?' */
    str host;  /* Host, lower case, without port */
    const struct http_field *fields;
    u32 field_count;
    u8 version_major, version_minor; /* 1.0, 1.1 or 2.0 */
    bool secure;      /* over TLS */
    bool has_body;
    s64 content_length; /* -1: chunked or none */
    struct net_address peer;
    const struct tls_peer *client; /* its certificate (net/tls.h); NULL: none */
    str id; /* ours for it: 26 characters, in every answer and log line */
};

struct http_exchange {
    const struct http_request *request;
    struct arena *arena; /* dies after the answer; bounded by REQUEST_ARENA_MAX */
    void *user;          /* the handler's */
    int status;          /* of the answer; 0 until one began */
    u64 started_ns;      /* first byte of the head */
    u64 bytes_sent;      /* of the answer's body */
};
typedef void http_handler_fn(struct http_exchange *x, void *arg);

struct http_server_options {
    u16 port;
    bool tls;
    http_handler_fn *handler;
    void *arg;
    void (*logged)(struct http_exchange *x, u64 duration_ns); /* after every answer, may be NULL */
};
struct http_server;
rc_t http_serve(const struct http_server_options *options, struct http_server **out);
void http_server_drain(struct http_server *s); /* no new connections, idle ones close */
bool http_server_drained(const struct http_server *s);

/* ---- Reading --------------------------------------------------------------------------------- */

str http_field(const struct http_request *r, str name); /* case-insensitive; ptr NULL = absent */
bool http_field_next(const struct http_request *r, str name, u32 *at, str *value); /* lists */
/* Percent-decoded query parameter; ptr NULL = absent. RC_INVALID: bad escape or not UTF-8. */
rc_t http_query(struct http_exchange *x, str name, str *out);
bool http_query_next(str *rest, str *raw_name, str *raw_value);
rc_t http_percent_decode(struct arena *a, str raw, bool plus_is_blank, str *out);

/* Parks. *got == 0 with RC_OK: the body's end. RC_LIMIT: larger than allowed; RC_INVALID: broken
 * chunks; RC_TIMEOUT; RC_CLOSED. "100 Continue" is sent on first use. */
rc_t http_body_read(struct http_exchange *x, void *to, size_t room, size_t *got);
rc_t http_body_all(struct http_exchange *x, size_t bytes_max, str *out);

/* ---- Answering ------------------------------------------------------------------------------- */

/* Fields added before the answer begins; bytes are copied. Refuses CR, LF and NUL: RC_INVALID. */
rc_t http_answer_field(struct http_exchange *x, str name, str value);
/* Constant lines for every answer of a kind, "Name: value\r\n" each: not copied and not checked, so
 * they must live for ever (or in the request's arena) and come from nobody (or out of
 * http_answer_parse, which has checked them). The last call stands; up to HTTP_LINES_MAX bytes. */
#define HTTP_LINES_MAX 24576u
void http_answer_lines(struct http_exchange *x, str lines);
/* A whole answer. HEAD, 204 and 304 send no body but the right length. Once per exchange. */
void http_answer(struct http_exchange *x, int status, str content_type, str body);
/* A streamed one: length -1 = chunked (or close for HTTP/1.0). Write parks for room. */
#define HTTP_LENGTH_UNTOLD (-2) /* of HEAD, 204 and 304: no body, and no word about its length */
rc_t http_answer_begin(struct http_exchange *x, int status, str content_type, s64 length);
rc_t http_answer_write(struct http_exchange *x, str bytes);
rc_t http_answer_end(struct http_exchange *x);
bool http_answered(const struct http_exchange *x); /* an answer began */
bool http_leaving(struct http_exchange *x);     /* the server stops: a long answer should end */
void http_close_after(struct http_exchange *x); /* answer, then close (HTTP/2: the stream alone) */

/* Ends HTTP on this connection (RFC 9110 7.8): answers 101 with `protocol` and the fields set so
 * far. Once the exchange is over `taken` is called with the stream, its owner from then on, what
 * waits in it included. RC_CONFLICT: answered already, or not HTTP/1.1: `taken` is not called. */
rc_t http_switch(struct http_exchange *x, str protocol, void (*taken)(void *arg, struct stream *s),
                 void *arg);

/* The weight of a coding in Accept-Encoding, in thousandths; -1: neither it nor `*` is named. */
int http_coding_quality(str header, str coding);
/* Static bytes with ETag, 304, Range (single and multi), If-Range, precompressed variants. */
struct http_static {
    str content_type, body; /* live for ever */
    str gzip, brotli;       /* the same precompressed; empty = none */
    str etag;               /* with quotes */
    str cache_control;
};
void http_answer_static(struct http_exchange *x, const struct http_static *file);
const char *http_status_text(int status);

struct http_stats {
    u64 connections, requests, refused_busy, bad_requests, timeouts, bytes_in, bytes_out;
    u64 connections_http2, requests_http2; /* of them */
    u64 floods; /* HTTP/2 connections ended for asking much and wanting nothing */
    u32 open, active; /* connections; exchanges running */
};
void http_stats_get(struct http_stats *out);
