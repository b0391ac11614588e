/* SPDX-License-Identifier: Apache-2.0 */
/* http2_impl.h — HTTP/2 from inside: http2.c (a connection and its frames), http2_request.c (heads
 * and bodies that come), http2_answer.c (what goes out); and the few calls http_*.c make into them.
 * Not for other folders. */
#pragma once
#define NGHTTP2_NO_SSIZE_T
#include "net/http_impl.h"
#include "net/stream_impl.h"
#include "kernel/core/loop.h"
#include "nghttp2/nghttp2.h"

LIMIT(HTTP2_STREAMS_MAX, 100, 4)           /* of one connection at once; RFC 9113 6.5.2 */
LIMIT(HTTP2_CONN_WINDOW_BYTES, 1 << 20, 1 << 17) /* request bodies of one connection that wait */
LIMIT(HTTP2_STREAM_WINDOW_BYTES, 65535, 65535) /* of one stream: the protocol's own default */
LIMIT(HTTP2_FRAMES_BURST, 2000, 2000)      /* frames nobody is served by, at once, */
LIMIT(HTTP2_FRAMES_PER_S, 200, 200)        /* and for ever */
LIMIT(HTTP2_RESETS_BURST, 400, 400)        /* streams a client may take back at once, */
LIMIT(HTTP2_RESETS_PER_S, 33, 33)          /* and for ever */
LIMIT(HTTP2_CLOSED_KEPT, 64, 4)            /* streams that ended last: what else comes for them */
LIMIT(HTTP2_HEAD_DECODED_MAX, 65536, 8192) /* what a head unfolds to; then the connection ends */

/* A connection. */
struct http2 {
    struct http_conn *conn;
    nghttp2_session *session;
    struct http2_stream *streams; /* all that the library or an exchange still knows */
    u32 stream_count;
    u32 exchanges;          /* on fibers: more than streams open when a client takes them back */
    struct loop_post post;  /* frames of several exchanges leave together */
    char *left;             /* bytes the stream below had no room for */
    u32 left_at, left_len;
    u32 frame_left;         /* bytes of the frame that is coming */
    s64 frames;             /* how many more that serve nobody, in thousandths */
    u64 frames_ns;
    u64 head_ns;            /* a head has been coming since then; 0: none */
    s32 head_id, last_id;   /* whose; the highest any head had */
    u64 moved_ns;           /* bytes left last */
    struct {
        s32 id;
        bool by_client; /* it had said END_STREAM or RST_STREAM: it knows */
    } ended[HTTP2_CLOSED_KEPT];
    u32 ended_count;
    bool busy;              /* inside the library: its callbacks run */
    bool spoke;             /* the client's SETTINGS came */
    bool gone, aborted;     /* the stream below is dead; or has to be */
    bool input_over;          /* the client has closed its side */
    bool draining, said_last; /* GOAWAY: the warning, and the word */
};

enum http2_phase {
    HTTP2_HEAD,    /* fields are coming */
    HTTP2_WAIT,    /* a small body is coming, no fiber yet */
    HTTP2_STARVED, /* whole, but no fiber is free */
    HTTP2_ACTIVE,  /* an exchange */
    HTTP2_OVER     /* answered, or refused: what is left to send is in `out` */
};

/* A stream with a request of the client's. */
struct http2_stream {
    struct http2 *http2;
    struct http2_stream *prev, *next;             /* all of the connection's */
    struct http2_stream *starved_prev, *starved_next;
    s32 id;
    enum http2_phase phase;
    bool closed;          /* the library has let go of it */
    bool body_ended;      /* END_STREAM came */
    bool taken_back;      /* the client's RST_STREAM came */
    bool submitted, out_end, said_end, reset_after, given_up;
    u64 since_ns;         /* of this phase, or the last byte of the body */
    u64 started_ns;

    /* The head, until there is an exchange: [u16 name length][u16 value length][name][value] ... */
    char *head;
    u32 head_len, head_room, field_count, cookie_count, cookie_bytes, decoded;
    u32 pseudo[4];        /* 1 + where the value's entry begins; enum http2_pseudo */
    int refusal;          /* status; 0: fine so far */
    const char *why;
    bool has_length, expect_continue;
    u64 content_length;

    struct stream_bytes body;  /* came and was not read */
    struct http_active *active;
    struct fiber *waiter;
    const char *out;           /* the owner's: it waits until they are in frames */
    size_t out_len;
    u64 moved_ns;
};
enum http2_pseudo { PSEUDO_METHOD, PSEUDO_SCHEME, PSEUDO_AUTHORITY, PSEUDO_PATH };

/* ---- http2.c --------------------------------------------------------------------------------- */

rc_t http2_open(struct http_conn *c); /* takes the connection over; an error: free it */
void http2_free(struct http2 *h);     /* with the connection; no exchange runs */
void http2_readable(struct http2 *h);
void http2_writable(struct http2 *h);
void http2_closed(struct http2 *h);
void http2_timer(struct http2 *h);
void http2_drain(struct http2 *h); /* says goodbye; ends when the last stream does */
/* Sends what the library has, at once, or in the next turn together with what others have. */
void http2_pump(struct http2 *h);
void http2_pump_soon(struct http2 *h);
void http2_rearm(struct http2 *h);   /* the timer: after phases changed */
void http2_reset(struct http2_stream *s, u32 error);
void http2_stream_free(struct http2_stream *s);
/* For the connection's end: closed streams without an exchange go, then perhaps the connection. */
void http2_settle(struct http2 *h);

/* ---- http2_request.c ------------------------------------------------------------------------- */

struct http2_stream *http2_stream_new(struct http2 *h, s32 id);
/* False: more than any honest head. */
bool http2_head_add(struct http2_stream *s, str name, str value);
void http2_head_over(struct http2_stream *s); /* judges it, and perhaps starts it */
rc_t http2_body_add(struct http2_stream *s, const u8 *bytes, size_t n);
void http2_body_over(struct http2_stream *s);
void http2_starved_leave(struct http2_stream *s);
bool http2_starved(void);
void http2_starved_run(void);
rc_t http2_body_read(struct http_active *a, void *to, size_t room, size_t *got);
void http2_exchange_over(struct http_active *a);

/* ---- http2_answer.c -------------------------------------------------------------------------- */

/* A refusal without an exchange. */
void http2_refuse(struct http2_stream *s, int status, const char *detail);
void http2_answer(struct http_active *a, str content_type, str body);
rc_t http2_begin(struct http_active *a, str content_type, s64 length);
rc_t http2_send(struct http_active *a, str bytes, bool last);
rc_t http2_end(struct http_active *a);
rc_t http2_interim(struct http_active *a, int status, str lines); /* 100, 103 ...; not 101 */
void http2_give_up(struct http_active *a);
rc_t http2_park(struct http2_stream *s, u64 deadline_ns);
