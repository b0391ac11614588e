/* SPDX-License-Identifier: Apache-2.0 */
/* http_impl.h — a connection and an exchange from inside: http_server.c, http_body.c,
 * http_answer.c, http_static.c. Not for other folders. */
#pragma once
#include "net/http.h"
#include "net/http_date.h"
#include "net/http_parse.h"
#include "kernel/base/limits.h"
#include "kernel/core/timer.h"

#define HTTP_ID_LEN 26
#define HTTP_EXTRA_MAX 4096u /* fields a handler adds to its answer */

enum http_conn_state {
    CONN_IDLE,
    CONN_HEAD,
    CONN_EARLY_BODY,
    CONN_STARVED,
    CONN_ACTIVE,
    CONN_HTTP2 /* for good: http2.c has it */
};

/* Connections without an exchange, longest there first. */
struct http_conn_queue {
    struct http_conn *first, *last;
};

struct http_conn {
    struct stream *stream;
    struct http_server *server;
    struct http_conn *prev, *next;           /* all of the server's */
    struct http_conn *queue_prev, *queue_next; /* in `queue` */
    struct http_conn_queue *queue; /* idle or reading; NULL: active */
    struct timer timer;
    enum http_conn_state state;
    bool blank_skipped;
    struct http_scan scan;
    u32 requests;
    size_t need;    /* EARLY_BODY: bytes that must wait before a fiber is started */
    u64 started_ns; /* first byte of the current head */
    struct http_active *active;
    struct http2 *http2; /* CONN_HTTP2 */
};

enum http_answer_state { ANSWER_NONE, ANSWER_STREAMING, ANSWER_DONE };

/* One exchange, from a pool: nothing is allocated per request once the pool is warm. */
struct http_active {
    struct http_exchange x; /* first: handlers hold a pointer to it */
    struct http_request request;
    struct http_conn *conn;
    struct http2_stream *http2; /* NULL: HTTP/1 */
    struct http_active *next_free;
    struct arena arena;
    struct http_active *wait_prev, *wait_next; /* those parked for the peer, longest first */
    u64 wait_since_ns;                         /* 0: not parked */
    bool slow_body;                            /* counted in http_slow_bodies */
    bool close;                                /* the connection ends with this exchange */
    bool expect_continue, chunked, body_started, body_broken;
    u64 body_left; /* with a length: bytes not yet read */
    bool body_done;
    struct http_chunks chunks;
    enum http_answer_state answer;
    bool answer_chunked, answer_no_body, answer_failed, answer_sized;
    u64 answer_left; /* sized answers: body bytes still owed */
    void (*taken)(void *arg, struct stream *s); /* http_switch: who gets the stream */
    void *taken_arg;
    str lines;              /* constant fields: http_answer_lines */
    u32 extra_len;
    char extra[HTTP_EXTRA_MAX];
    char id[HTTP_ID_LEN + 1];
    struct http_field fields[HTTP_HEADER_COUNT_MAX];
    char block[ARENA_BLOCK_BYTES];
};

struct http_server {
    struct http_server_options options;
    struct stream_listener *listener;
    struct http_conn *conns;
    struct http_conn_queue idle, reading; /* between requests; with part of one */
    bool draining;
};

static inline struct http_active *active_of(struct http_exchange *x) {
    return CONTAINER_OF(x, struct http_active, x);
}

void http_id_next(char id[HTTP_ID_LEN + 1]); /* http_id.c */
str http_date_now(void);                     /* http_date.c: "Sat, 01 Jan ..."; empty: unknown */

/* http_server.c, for http2.c too */
struct http_active *http_active_new(void); /* NULL: no memory */
void http_active_free(struct http_active *a);
rc_t http_active_start(struct http_active *a); /* its handler on a fiber; RC_LIMIT: none is free */
bool http_fiber_granted(struct http_active *a, bool complete);
enum http_method http_method_of(str m);
str http_host_plain(struct arena *arena, str host); /* lower case, without port */
rc_t http_request_target(struct http_active *a, str target); /* into path and query */
void http_conn_free(struct http_conn *c, bool abort);
void http_conn_rest(struct http_conn *c, bool idle); /* in the queue of idle ones, or in none */

/* http_answer.c */
size_t http_problem_format(int status, const char *detail, const char *id, char *to, size_t room);
/* A refusal before there is an exchange: head and body, ready to write. */
str http_refusal_text(int status, const char *detail, bool close, char *to, size_t room);
void http_answer_finish(struct http_active *a); /* after the handler: whatever is missing */

/* http_wait.c: who keeps a fiber waiting for his peer, and who has to give it back */
void http_wait_begin(struct http_active *a);
void http_wait_end(struct http_active *a);
bool http_wait_relieve(u64 parked_ns_min); /* ends the longest wait; false: none is that long */
void http_slow_body_begin(struct http_active *a); /* its body has not all come yet */
void http_slow_body_end(struct http_active *a);
u32 http_slow_bodies(void);

/* http_body.c */
/* Takes in what nobody read; false: too much, close instead. */
bool http_body_skip_rest(struct http_active *a);
static inline bool http_body_skip(struct http_active *a) {
    return a->body_done || http_body_skip_rest(a);
}

extern struct http_stats http_counters;
