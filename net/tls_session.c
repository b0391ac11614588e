/* SPDX-License-Identifier: Apache-2.0 */
/* tls_session.c — TLS between a stream's bytes and its owner.
 *
 *   handshake:  rx -> in  --job-->  worker: mbedtls_ssl_handshake  --done-->  out -> TCP
 *   afterwards: rx -> mbedtls_ssl_read -> plain           owner -> mbedtls_ssl_write -> TCP
 *
 * A handshake is public-key arithmetic, so each of its steps is a job and the whole session belongs
 * to the worker while it runs: it reads `in` and appends to `out`, touches no stream, and the loop
 * touches no session. A stream that dies meanwhile leaves the session behind; the job's end frees
 * it. Records are symmetric arithmetic, a few microseconds, and stay on the loop.
 *
 * A server's session waits for its turn (tls_admit.c) with the client's hello unread, and the
 * library's buffers, 26 KiB, are made when the turn comes.
 *
 * Always true: while `working`, only the worker uses ssl, in, out; plain is the loop's. A record is
 * made only when TCP has room for it; what still finds no room waits in `out` and goes first.
 * A handshake that is not over after HANDSHAKE_MS ends. */
#include "net/tls_impl.h"
#include "net/stream_impl.h"
#include "kernel/base/log.h"
#include "kernel/core/memory.h"
#include "kernel/core/worker.h"
#include "kernel/platform.h"
#include "mbedtls/ssl.h"

#define HANDSHAKE_MS 10000
#define HANDSHAKE_BYTES_MAX KIB(64) /* of either side's flights that wait */
#define RECORD_ROOM 96u             /* what a record adds, and then some */
#define PLAIN_STEP 2048u

struct flat { /* bytes that may change hands between threads: plain budget memory, no lists */
    char *ptr;
    u32 at, len, room;
};

struct tls_session {
    mbedtls_ssl_context ssl;
    struct tls_identity *identity; /* NULL for a client */
    struct tls_identity *named;    /* the one its client asked for by name; NULL: none such */
    struct tls_trust *trust;       /* NULL for a server */
    struct tls_peer *peer;         /* the client's certificate; NULL: it showed none */
    struct stream *stream;         /* NULL: it has died, the worker still runs */
    struct tls_turn turn;          /* a server's */
    struct job job;
    struct timer timer;
    struct flat in, out;
    struct stream_bytes plain;
    u64 begun_ns, step_ns; /* step_ns, result: of the last step */
    int result;
    bool working, ready, failed, closed_by_peer;
    bool dropped; /* before its turn came: not worth a goodbye */
    bool goodbye; /* the peer said that nothing follows */
    int error;    /* of the handshake */
};

/* ---- Bytes ----------------------------------------------------------------------------------- */

static rc_t flat_add(struct flat *f, const void *bytes, u32 n) {
    if (f->at && f->at == f->at + f->len) f->at = 0;
    if (f->at + f->len + n > f->room) {
        if (f->len) memmove(f->ptr, f->ptr + f->at, f->len);
        f->at = 0;
        u32 room = f->room ? f->room : 2048;
        while (room < f->len + n) room *= 2;
        if (room > HANDSHAKE_BYTES_MAX) return RC_LIMIT;
        if (room > f->room) {
            char *p = memory_resize(MEMORY_TLS, f->ptr, room);
            if (!p) return RC_NO_MEMORY;
            f->ptr = p, f->room = room;
        }
    }
    memcpy(f->ptr + f->at + f->len, bytes, n);
    f->len += n;
    return RC_OK;
}

static void flat_free(struct flat *f) {
    memory_free(MEMORY_TLS, f->ptr);
    *f = (struct flat){0};
}

/* mbedTLS reads: from what was handed over, then (on the loop only) from the stream. */
static int bio_recv(void *arg, unsigned char *to, size_t room) {
    struct tls_session *t = arg;
    if (t->in.len) {
        u32 n = (u32)MIN((size_t)t->in.len, room);
        memcpy(to, t->in.ptr + t->in.at, n);
        t->in.at += n, t->in.len -= n;
        return (int)n;
    }
    if (t->working || !t->stream) return MBEDTLS_ERR_SSL_WANT_READ;
    str raw = stream_raw_peek(t->stream);
    if (!raw.len) return t->stream->ended ? MBEDTLS_ERR_SSL_CONN_EOF : MBEDTLS_ERR_SSL_WANT_READ;
    size_t n = MIN(raw.len, room);
    memcpy(to, raw.ptr, n);
    stream_raw_consume(t->stream, n);
    return (int)n;
}

/* mbedTLS writes: always taken whole; what TCP has no room for waits in `out`. */
static int bio_send(void *arg, const unsigned char *bytes, size_t n) {
    struct tls_session *t = arg;
    size_t took = 0;
    if (!t->working && t->stream && !t->out.len)
        if (stream_raw_write(t->stream, str_of((const char *)bytes, n), &took, true))
            return MBEDTLS_ERR_SSL_CONN_EOF;
    if (took < n && flat_add(&t->out, bytes + took, (u32)(n - took)))
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    return (int)n;
}

bool tls_session_flush(struct stream *s) {
    struct tls_session *t = s->tls;
    size_t took = 0;
    if (t->working || !t->out.len) return !t->working;
    if (stream_raw_write(s, str_of(t->out.ptr + t->out.at, t->out.len), &took, true)) return false;
    t->out.at += (u32)took, t->out.len -= (u32)took;
    if (!t->out.len) flat_free(&t->out);
    return t->out.len == 0;
}

static struct tls_session *session_of(struct tls_turn *turn) {
    return CONTAINER_OF(turn, struct tls_session, turn);
}
static bool on_turn(struct tls_turn *turn);
static void on_shed(struct tls_turn *turn, rc_t why);
static const struct tls_turn_calls turn_calls = {on_turn, on_shed};

/* ---- Birth and death ------------------------------------------------------------------------- */

static void session_free(struct tls_session *t) {
    CHECK(!t->working);
    timer_stop(&t->timer);
    if (t->identity) tls_turn_end(&t->turn, false);
    mbedtls_ssl_free(&t->ssl);
    tls_identity_release(t->identity);
    tls_identity_release(t->named);
    memory_free(MEMORY_TLS, t->peer);
    tls_trust_release(t->trust);
    flat_free(&t->in);
    flat_free(&t->out);
    stream_bytes_free(&t->plain);
    memory_free(MEMORY_TLS, t);
    tls_admit_again();
}

/* Before its turn came: a reset, no arithmetic. */
static void drop(struct tls_session *t, rc_t why) {
    t->failed = t->dropped = true;
    tls_turn_end(&t->turn, false);
    if (!t->stream->why) t->stream->why = why;
    stream_queue(t->stream, EVENT_CLOSED);
}

static void on_timeout(void *arg) {
    struct tls_session *t = arg;
    if (t->ready || !t->stream) return;
    if (t->identity && !t->turn.started) {
        tls_counters.shed++;
        drop(t, RC_TIMEOUT);
    } else {
        tls_counters.failed++;
        if (!t->stream->why) t->stream->why = RC_TIMEOUT;
        stream_queue(t->stream, EVENT_CLOSED);
    }
    stream_deliver();
}

/* The library's part. Out of memory half-way it drops its settings and keeps what it has made, and
 * mbedtls_ssl_free() then looks at settings that are not there (mbedTLS 3.6.7): so they come
 * back. */
static rc_t library_open(struct tls_session *t, const mbedtls_ssl_config *settings) {
    if (mbedtls_ssl_setup(&t->ssl, settings)) {
        t->ssl.MBEDTLS_PRIVATE(conf) = settings;
        return RC_NO_MEMORY;
    }
    mbedtls_ssl_set_bio(&t->ssl, t, bio_send, bio_recv, NULL);
    mbedtls_ssl_set_user_data_p(&t->ssl, t);
    return RC_OK;
}

/* Takes over `id`. */
static struct tls_session *session_new(struct stream *s, struct tls_identity *id) {
    struct tls_session *t = memory_zero(MEMORY_TLS, sizeof *t);
    if (!t) {
        tls_identity_release(id);
        return NULL;
    }
    t->stream = s;
    t->begun_ns = platform_clock_ns();
    mbedtls_ssl_init(&t->ssl);
    timer_init(&t->timer, on_timeout, t);
    t->identity = id;
    if (id) tls_turn_init(&t->turn, &turn_calls, t->begun_ns + HANDSHAKE_MS * NS_PER_MS);
    if (timer_start_after_ms(&t->timer, HANDSHAKE_MS)) {
        session_free(t);
        return NULL;
    }
    return t;
}

rc_t tls_session_open_server(struct stream *s) {
    struct tls_identity *id = tls_identity_current();
    s->tls = id ? session_new(s, id) : NULL;
    if (s->tls) return RC_OK;
    tls_counters.refused++;
    return id ? RC_NO_MEMORY : RC_DENIED;
}

rc_t tls_session_open_client(struct stream *s, const struct stream_tls *tls) {
    char name[256];
    if (str_to_c(tls->server_name, name, sizeof name)) return RC_INVALID;
    s->tls = session_new(s, NULL);
    if (!s->tls) return RC_NO_MEMORY;
    s->tls->trust = tls_trust_hold(tls->trust);
    rc_t rc = library_open(s->tls, tls_trust_settings(tls->trust));
    if (!rc && mbedtls_ssl_set_hostname(&s->tls->ssl, name)) rc = RC_NO_MEMORY;
    return rc; /* the caller closes the stream, and the session with it */
}

bool tls_session_make_room(void) {
    struct tls_turn *turn = tls_admit_silent();
    if (!turn) return false;
    tls_counters.shed++;
    stream_abort(session_of(turn)->stream);
    return true;
}

void tls_session_close(struct stream *s) {
    struct tls_session *t = s->tls;
    s->tls = NULL;
    t->stream = NULL;
    if (!t->working) session_free(t);
}

void tls_session_notify(struct stream *s) {
    struct tls_session *t = s->tls;
    if (t->ready && !t->failed && !t->working && tls_session_flush(s))
        (void)mbedtls_ssl_close_notify(&t->ssl);
}

/* ---- Handshake ------------------------------------------------------------------------------- */

static void step_on_worker(void *arg) {
    struct tls_session *t = arg;
    u64 began_ns = platform_clock_ns();
    t->result = mbedtls_ssl_handshake(&t->ssl);
    t->step_ns = platform_clock_ns() - began_ns;
}

static void fail(struct tls_session *t, int e) {
    char words[96];
    if (t->failed) return;
    t->failed = true;
    t->error = e;
    if (!t->ready) tls_counters.failed++;
    if (t->identity) tls_turn_end(&t->turn, false);
    tls_words(e, words, sizeof words);
    log_debug("tls", "connection ends", "error=%s", LOGSTR(str_from_c(words)));
    if (!t->stream->why) t->stream->why = t->ready ? RC_IO : rc_from_tls(e);
    stream_queue(t->stream, EVENT_CLOSED);
}

/* The client asks for us by name: on a worker, within the handshake. No such name: the certificate
 * for everybody. */
int tls_on_server_name(void *arg, mbedtls_ssl_context *ssl, const unsigned char *name, size_t n) {
    struct tls_session *t = mbedtls_ssl_get_user_data_p(ssl);
    (void)arg;
    if (!t->named) /* asked twice with a HelloRetryRequest */
        t->named = tls_identity_named(str_of((const char *)name, n));
    return t->named ? mbedtls_ssl_set_hs_own_cert(ssl, &t->named->chain, &t->named->key) : 0;
}

/* An authority looks whether a name is ours (RFC 8737): it gets the certificate made for it, or
 * nothing. Nobody has vouched for it, and nobody need. */
int tls_on_certificate(mbedtls_ssl_context *ssl) {
    struct tls_session *t = mbedtls_ssl_get_user_data_p(ssl);
    const char *protocol = mbedtls_ssl_get_alpn_protocol(ssl);
    size_t n = 0;
    if (!protocol || strcmp(protocol, TLS_CHALLENGE_PROTOCOL) != 0) return 0;
    const u8 *name = mbedtls_ssl_get_hs_sni(ssl, &n);
    tls_identity_release(t->named);
    t->named = name ? tls_identity_challenge(str_of((const char *)name, n)) : NULL;
    (void)mbedtls_ssl_set_hs_own_cert(ssl, NULL, NULL); /* what the name alone has chosen */
    if (!t->named) {
        (void)mbedtls_ssl_send_alert_message(ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                             MBEDTLS_SSL_ALERT_MSG_UNRECOGNIZED_NAME);
        return MBEDTLS_ERR_SSL_UNRECOGNIZED_NAME;
    }
    mbedtls_ssl_set_hs_authmode(ssl, MBEDTLS_SSL_VERIFY_NONE);
    return mbedtls_ssl_set_hs_own_cert(ssl, &t->named->chain, &t->named->key);
}

static void note_peer(struct tls_session *t) {
    const mbedtls_x509_crt *crt = t->identity ? mbedtls_ssl_get_peer_cert(&t->ssl) : NULL;
    if (!crt || !(t->peer = memory_zero(MEMORY_TLS, sizeof *t->peer))) return;
    t->peer->verified = mbedtls_ssl_get_verify_result(&t->ssl) == 0;
    if (mbedtls_x509_dn_gets(t->peer->subject, sizeof t->peer->subject, &crt->subject) < 0)
        t->peer->subject[0] = 0;
    tls_fingerprint(crt, t->peer->fingerprint_sha256);
}

static void handshake_over(struct tls_session *t) {
    note_peer(t);
    t->ready = true;
    timer_stop(&t->timer);
    if (t->identity) tls_turn_end(&t->turn, true);
    tls_counters.handshakes++;
    tls_counters.handshake_us_total += (platform_clock_ns() - t->begun_ns) / NS_PER_US;
    stream_queue(t->stream, EVENT_READ | EVENT_WRITE);
}

static void step_wanted(struct tls_session *t);

static void step_done(void *arg) {
    struct tls_session *t = arg;
    struct stream *s = t->stream;
    t->working = false;
    if (t->identity) tls_turn_done(&t->turn, t->step_ns);
    if (!s) {
        session_free(t);
        return;
    }
    (void)tls_session_flush(s);
    if (t->result == 0)
        handshake_over(t);
    else if (t->result != MBEDTLS_ERR_SSL_WANT_READ && t->result != MBEDTLS_ERR_SSL_WANT_WRITE)
        fail(t, t->result);
    else
        step_wanted(t);
    stream_deliver();
}

/* Hands what has come to a worker. False: that failed, and the session with it. */
static bool step_begin(struct tls_session *t) {
    struct stream *s = t->stream;
    str raw = str_take(stream_raw_peek(s), KIB(32));
    if (raw.len && flat_add(&t->in, raw.ptr, (u32)raw.len)) {
        fail(t, MBEDTLS_ERR_SSL_ALLOC_FAILED);
        return false;
    }
    stream_raw_consume(s, raw.len);
    t->job = (struct job){.fn = step_on_worker, .done = step_done, .arg = t};
    t->working = true;
    if (!worker_submit(&t->job)) return true;
    t->working = false;
    tls_counters.refused++;
    fail(t, MBEDTLS_ERR_SSL_ALLOC_FAILED);
    return false;
}

static bool on_turn(struct tls_turn *turn) {
    struct tls_session *t = session_of(turn);
    bool fresh = t->ssl.MBEDTLS_PRIVATE(conf) == NULL;
    if (!fresh || !library_open(t, &t->identity->settings)) return step_begin(t);
    tls_counters.refused++;
    drop(t, RC_NO_MEMORY);
    return false;
}

static void on_shed(struct tls_turn *turn, rc_t why) {
    drop(session_of(turn), why);
}

/* What has come wants a worker. A client's first step has nothing to read. */
static void step_wanted(struct tls_session *t) {
    struct stream *s = t->stream;
    if (t->working || t->ready || t->failed || s->why) return;
    bool some = stream_raw_peek(s).len > 0;
    if (!t->identity) {
        bool first = t->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_HELLO_REQUEST;
        if (some || first) (void)step_begin(t);
        else if (s->ended) fail(t, MBEDTLS_ERR_SSL_CONN_EOF);
        return;
    }
    if (s->ended && !t->turn.started && some) { /* it has gone before its turn came */
        tls_counters.shed++;
        drop(t, RC_CLOSED);
    } else if (some) {
        if (tls_turn_ask(&t->turn)) drop(t, RC_LIMIT);
    } else if (s->ended) {
        fail(t, MBEDTLS_ERR_SSL_CONN_EOF);
    }
}

bool tls_session_dropped(const struct stream *s) {
    return s->tls && s->tls->dropped;
}

/* ---- Records --------------------------------------------------------------------------------- */

static void read_records(struct tls_session *t) {
    u32 max = stream_bytes_max();
    while (!t->closed_by_peer && !t->failed && t->plain.len < max / 2) {
        if (stream_bytes_reserve(&t->plain, PLAIN_STEP, max)) return; /* no memory: again later */
        struct stream_bytes *p = &t->plain;
        u32 space = p->room - p->at - p->len;
        int n = mbedtls_ssl_read(&t->ssl, (u8 *)p->ptr + p->at + p->len, space);
        if (n > 0) {
            p->len += (u32)n;
            continue;
        }
        if (!p->len) stream_bytes_free(p);
        if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) continue;
        t->goodbye |= n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
        if (n == 0 || n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || n == MBEDTLS_ERR_SSL_CONN_EOF)
            t->closed_by_peer = true;
        else if (n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_WANT_WRITE)
            fail(t, n);
        return;
    }
}

void tls_session_input(struct stream *s) {
    struct tls_session *t = s->tls;
    if (t->working) return;
    if (!t->ready) {
        step_wanted(t);
        return;
    }
    (void)tls_session_flush(s);
    read_records(t);
    if (t->plain.len || t->closed_by_peer) s->pending |= EVENT_READ;
}

bool tls_session_ready(const struct stream *s) {
    return s->tls->ready;
}

str tls_session_peek(struct stream *s) {
    struct tls_session *t = s->tls;
    if (!t->plain.len && t->ready && !t->working) read_records(t);
    return str_of(t->plain.ptr + t->plain.at, t->plain.len);
}

void tls_session_consume(struct stream *s, size_t n) {
    struct tls_session *t = s->tls;
    if (!n) return;
    stream_bytes_drop(&t->plain, (u32)n);
    bool more = s->rx.len || t->in.len || mbedtls_ssl_check_pending(&t->ssl);
    if (more && t->plain.len < stream_bytes_max() / 4) stream_queue(s, EVENT_READ);
}

bool tls_session_complete(const struct stream *s) {
    const struct tls_session *t = s->tls;
    return t->closed_by_peer || (s->ended && !s->rx.len && !t->in.len && t->ready);
}

bool tls_session_truncated(const struct stream *s) {
    return tls_session_complete(s) && !s->tls->goodbye;
}

/* The worker is done with it: the handshake has failed. */
void tls_session_words(const struct stream *s, struct diag *why) {
    struct tls_session *t = s->tls;
    char words[DIAG_TEXT_MAX - 32];
    if (t->working || !t->failed) return;
    u32 flags = mbedtls_ssl_get_verify_result(&t->ssl);
    if (t->error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags && flags != UINT32_MAX) {
        int n = mbedtls_x509_crt_verify_info(words, sizeof words, "", flags);
        str text = str_trim(str_take(str_of(words, n > 0 ? (size_t)n : 0), sizeof words - 1));
        for (size_t i = 0; i < text.len; i++) /* one sentence per line */
            if (words[i] == '\n') words[i] = ' ';
        diag_set(why, "its certificate is refused: %.*s", STR(text));
        return;
    }
    tls_words(t->error, words, sizeof words);
    diag_set(why, "the TLS handshake failed: %s", words);
}

bool tls_session_ended(const struct stream *s) {
    return s->tls->plain.len == 0 && tls_session_complete(s);
}

rc_t tls_session_write(struct stream *s, str bytes, size_t *took) {
    struct tls_session *t = s->tls;
    *took = 0;
    if (s->why || t->failed) return s->why ? s->why : RC_IO;
    if (!t->ready) return RC_AGAIN;
    while (bytes.len && tls_session_flush(s)) {
        u32 room = stream_raw_room(s);
        if (room < RECORD_ROOM * 2) break;
        size_t n = MIN(bytes.len, (size_t)(room - RECORD_ROOM));
        int e = mbedtls_ssl_write(&t->ssl, (const u8 *)bytes.ptr, n);
        if (e == MBEDTLS_ERR_SSL_WANT_WRITE || e == MBEDTLS_ERR_SSL_WANT_READ) break;
        if (e <= 0) {
            fail(t, e);
            return RC_IO;
        }
        *took += (size_t)e;
        bytes = str_skip(bytes, (size_t)e);
    }
    s->want_room = bytes.len > 0 || t->out.len > 0;
    if (s->pcb) stream_dirty(s);
    return RC_OK;
}

str tls_session_version(const struct stream *s) {
    const char *v = s->tls->ready ? mbedtls_ssl_get_version(&s->tls->ssl) : "";
    return str_from_c(v);
}

str tls_session_alpn(const struct stream *s) {
    const char *name = s->tls->ready ? mbedtls_ssl_get_alpn_protocol(&s->tls->ssl) : NULL;
    return name ? str_from_c(name) : S("");
}

bool tls_session_challenged(const struct stream *s) {
    return s->tls && str_eq(tls_session_alpn(s), S(TLS_CHALLENGE_PROTOCOL));
}

const struct tls_peer *tls_session_peer(const struct stream *s) {
    return s->tls->peer;
}
