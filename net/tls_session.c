/* SPDX-License-Identifier: Apache-2.0 */
/* tls_session.c — records between a stream and its owner. This build speaks plain TCP only: a
 * listener that asks for TLS refuses every connection. */
#include "net/stream_impl.h"

rc_t tls_session_open_server(struct stream *s) {
    (void)s;
    return RC_DENIED;
}
rc_t tls_session_open_client(struct stream *s, str server_name) {
    (void)s, (void)server_name;
    return RC_DENIED;
}
void tls_session_close(struct stream *s) { s->tls = NULL; }
void tls_session_notify(struct stream *s) { CHECK(!s->tls); }
void tls_session_input(struct stream *s) { CHECK(!s->tls); }
bool tls_session_ready(const struct stream *s) { return s->tls != NULL; }
str tls_session_peek(struct stream *s) { return stream_raw_peek(s); }
void tls_session_consume(struct stream *s, size_t n) { stream_raw_consume(s, n); }
bool tls_session_ended(const struct stream *s) { return s->ended; }
rc_t tls_session_write(struct stream *s, str bytes, size_t *took) {
    return stream_raw_write(s, bytes, took, true);
}
bool tls_session_flush(struct stream *s) { return s->pcb != NULL; }
str tls_session_version(const struct stream *s) {
    (void)s;
    return S("");
}
