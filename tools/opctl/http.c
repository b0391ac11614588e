/* SPDX-License-Identifier: Apache-2.0 */
/* http.c — http.send and net.lookup_ip_addr for the command: sockets of this system, one request
 * at a time, waited for. URLs and answers are read by the appliance's own strict readers (net/),
 * TLS is the same library; believed are the system's certificates (SSL_CERT_FILE, or where
 * distributions keep them). A command runs with its user's rights, so it may call what its user
 * may. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include "app/policy/builtin/http_cache.h"
#include "kernel/base/buf.h"
#include "kernel/base/limits.h"
#include "kernel/platform.h"
#include "net/http_answer_parse.h"
#include "net/http_url.h"
#include "tools/opctl/opctl.h"

enum {
    ANSWER_BYTES_MAX = 256 << 20,
    REDIRECTS_MAX = 10,
    CACHE_BYTES_MAX = 64 << 20,
    PIECE = 65536
};

struct wire {
    int fd;
    u64 deadline_ns;
    bool tls;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config settings;
    mbedtls_x509_crt ca, chain;
    mbedtls_pk_context key;
};

static rc_t refuse(struct diag *why, rc_t rc, const char *what) {
    diag_set(why, "%s", what);
    return rc;
}

/* ---- The socket ------------------------------------------------------------------------------ */

static rc_t wait_for(struct wire *w, short events) {
    struct pollfd p = {.fd = w->fd, .events = events};
    for (;;) {
        u64 now = steady_ns();
        if (now >= w->deadline_ns) return RC_TIMEOUT;
        u64 left_ms = (w->deadline_ns - now) / NS_PER_MS + 1;
        int n = poll(&p, 1, (int)MIN(left_ms, (u64)3600000));
        if (n > 0) return RC_OK;
        if (n < 0 && errno != EINTR) return RC_IO;
    }
}

static rc_t connect_one(struct wire *w, const struct addrinfo *a) {
    int e = 0, on = 1;
    socklen_t n = sizeof e;
    w->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (w->fd < 0) return RC_IO;
    (void)setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    rc_t rc = RC_OK;
    if (connect(w->fd, a->ai_addr, a->ai_addrlen)) {
        rc = errno == EINPROGRESS ? wait_for(w, POLLOUT) : RC_IO;
        if (!rc && (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &n) || e)) rc = RC_IO;
    }
    if (rc) close(w->fd), w->fd = -1;
    return rc;
}

static rc_t connect_to(struct wire *w, const struct http_url *url, struct diag *why) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char host[256], port[8];
    (void)snprintf(port, sizeof port, "%u", url->port);
    if (str_to_c(url->host, host, sizeof host)) return refuse(why, RC_INVALID, "no such host");
    int e = getaddrinfo(host, port, &hints, &list);
    if (e) {
        diag_set(why, "lookup %s: %s", host, gai_strerror(e));
        return RC_NOT_FOUND;
    }
    rc_t rc = RC_IO;
    for (struct addrinfo *a = list; a && rc && rc != RC_TIMEOUT; a = a->ai_next)
        rc = connect_one(w, a);
    freeaddrinfo(list);
    if (rc)
        diag_set(why, "dial tcp %s:%s: %s", host, port,
                 rc == RC_TIMEOUT ? "i/o timeout" : "connect: connection refused");
    return rc;
}

/* ---- TLS ------------------------------------------------------------------------------------- */

static int random_bytes(void *unused, unsigned char *to, size_t n) {
    (void)unused;
    return platform_entropy(to, n) ? MBEDTLS_ERR_ERROR_GENERIC_ERROR : 0;
}

static int on_send(void *arg, const unsigned char *bytes, size_t n) {
    struct wire *w = arg;
    ssize_t sent = send(w->fd, bytes, n, MSG_NOSIGNAL);
    if (sent >= 0) return (int)sent;
    return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_NET_SEND_FAILED;
}

static int on_recv(void *arg, unsigned char *to, size_t room) {
    struct wire *w = arg;
    ssize_t got = recv(w->fd, to, room, 0);
    if (got >= 0) return (int)got;
    return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_NET_RECV_FAILED;
}

static bool parse_pem(mbedtls_x509_crt *to, str pem) {
    char *z = malloc(pem.len + 1);
    if (!z) return false;
    memcpy(z, pem.ptr, pem.len);
    z[pem.len] = 0;
    int e = mbedtls_x509_crt_parse(to, (const u8 *)z, pem.len + 1);
    free(z);
    return e == 0;
}

static void trust_system(mbedtls_x509_crt *ca) {
    static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt",
                                         "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"};
    const char *told = getenv("SSL_CERT_FILE");
    str pem;
    for (size_t i = 0; i < ARRAY_LEN(places) && !told; i++)
        if (access(places[i], R_OK) == 0) told = places[i];
    if (!told || !file_read(told, &pem)) return; /* then nobody is believed */
    (void)parse_pem(ca, pem);
    free((char *)(uintptr_t)pem.ptr);
}

static bool parse_key(mbedtls_pk_context *to, str pem) {
    char *z = malloc(pem.len + 1);
    if (!z) return false;
    memcpy(z, pem.ptr, pem.len);
    z[pem.len] = 0;
    int e = mbedtls_pk_parse_key(to, (const u8 *)z, pem.len + 1, NULL, 0, random_bytes, NULL);
    free(z);
    return e == 0;
}

static rc_t tls_settings(struct wire *w, const struct http_send_request *r, struct diag *why) {
    if (mbedtls_ssl_config_defaults(&w->settings, MBEDTLS_SSL_IS_CLIENT,
                                    MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT))
        return RC_NO_MEMORY;
    mbedtls_ssl_conf_rng(&w->settings, random_bytes, NULL);
    mbedtls_ssl_conf_min_tls_version(&w->settings, MBEDTLS_SSL_VERSION_TLS1_2);
    if (!r->ca_cert.len)
        trust_system(&w->ca);
    else if (!parse_pem(&w->ca, r->ca_cert))
        return refuse(why, RC_INVALID, "tls_ca_cert is not PEM");
    mbedtls_ssl_conf_ca_chain(&w->settings, &w->ca, NULL);
    mbedtls_ssl_conf_authmode(&w->settings,
                              r->insecure ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    if (!r->client_cert.len) return RC_OK;
    if (!parse_pem(&w->chain, r->client_cert) || !parse_key(&w->key, r->client_key) ||
        mbedtls_ssl_conf_own_cert(&w->settings, &w->chain, &w->key))
        return refuse(why, RC_INVALID, "tls_client_cert or tls_client_key is not PEM");
    return RC_OK;
}

static rc_t tls_words(struct wire *w, int e, struct diag *why) {
    char words[200];
    u32 flags = mbedtls_ssl_get_verify_result(&w->ssl);
    if (e == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags && flags != UINT32_MAX) {
        int n = mbedtls_x509_crt_verify_info(words, sizeof words, "", flags);
        str text = str_trim(str_of(words, n > 0 ? MIN((size_t)n, sizeof words - 1) : 0));
        diag_set(why, "tls: failed to verify certificate: %.*s", STR(text));
        return RC_DENIED;
    }
    mbedtls_strerror(e, words, sizeof words);
    diag_set(why, "tls: %s", words);
    return RC_IO;
}

static rc_t tls_begin(struct wire *w, const struct http_send_request *r, str name,
                      struct diag *why) {
    char host[256];
    rc_t rc = tls_settings(w, r, why);
    if (!rc) rc = str_to_c(name, host, sizeof host);
    if (!rc &&
        (mbedtls_ssl_setup(&w->ssl, &w->settings) || mbedtls_ssl_set_hostname(&w->ssl, host)))
        rc = RC_NO_MEMORY;
    if (rc) return rc;
    mbedtls_ssl_set_bio(&w->ssl, w, on_send, on_recv, NULL);
    w->tls = true;
    for (int e; (e = mbedtls_ssl_handshake(&w->ssl));) {
        if (e != MBEDTLS_ERR_SSL_WANT_READ && e != MBEDTLS_ERR_SSL_WANT_WRITE)
            return tls_words(w, e, why);
        if ((rc = wait_for(w, e == MBEDTLS_ERR_SSL_WANT_READ ? POLLIN : POLLOUT))) return rc;
    }
    return RC_OK;
}

/* ---- Bytes ----------------------------------------------------------------------------------- */

static rc_t write_all(struct wire *w, str bytes) {
    while (bytes.len) {
        int n = w->tls ? mbedtls_ssl_write(&w->ssl, (const u8 *)bytes.ptr, bytes.len)
                       : on_send(w, (const u8 *)bytes.ptr, bytes.len);
        if (n > 0) {
            bytes = str_skip(bytes, (size_t)n);
            continue;
        }
        bool wait = n == MBEDTLS_ERR_SSL_WANT_WRITE || n == MBEDTLS_ERR_SSL_WANT_READ;
        rc_t rc = wait ? wait_for(w, n == MBEDTLS_ERR_SSL_WANT_READ ? POLLIN : POLLOUT) : RC_IO;
        if (rc) return rc;
    }
    return RC_OK;
}

/* *got 0 with RC_OK: the end. */
static rc_t read_some(struct wire *w, char *to, size_t room, size_t *got) {
    *got = 0;
    for (;;) {
        int n = w->tls ? mbedtls_ssl_read(&w->ssl, (u8 *)to, room) : on_recv(w, (u8 *)to, room);
        if (n >= 0) {
            *got = (size_t)n;
            return RC_OK;
        }
        if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY) return RC_OK;
        if (n == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) continue;
        if (n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_WANT_WRITE) return RC_IO;
        rc_t rc = wait_for(w, n == MBEDTLS_ERR_SSL_WANT_READ ? POLLIN : POLLOUT);
        if (rc) return rc;
    }
}

/* ---- One exchange ---------------------------------------------------------------------------- */

struct exchange {
    const struct http_send_request *r;
    str method, url, body;
    struct http_url at;
    bool crossed; /* another origin than the policy's: what was meant for that one stays behind */
    struct buf in;
    struct http_answer_head head;
    struct http_field fields[HTTP_HEADER_COUNT_MAX];
    str answer_body;
};

static bool is_one_of(str name, const char *const *list) {
    for (; *list; list++)
        if (str_eq_nocase(name, str_from_c(*list))) return true;
    return false;
}
static const char *const ours[] = {"Content-Length",
                                   "Transfer-Encoding",
                                   "Connection",
                                   "Keep-Alive",
                                   "Upgrade",
                                   "TE",
                                   "Trailer",
                                   "Expect",
                                   NULL};
static const char *const private[] = {"Authorization", "Cookie", "Host", NULL};

static rc_t write_request(struct exchange *x, struct buf *to, struct diag *why) {
    bool host = false, agent = false;
    bool wants_body =
        x->body.len || is_one_of(x->method, (const char *const[]){"POST", "PUT", "PATCH", NULL});
    bool slash = x->at.target.len && x->at.target.ptr[0] == '/';
    if (!http_is_token(x->method)) return refuse(why, RC_INVALID, "invalid method");
    (void)!!buf_printf(to, "%.*s %s%.*s HTTP/1.1\r\n", STR(x->method), slash ? "" : "/",
                       STR(x->at.target));
    for (u32 i = 0; i < x->r->header_count; i++) {
        str name = x->r->headers[i].name, text = x->r->headers[i].text;
        if (!http_is_token(name) || !http_is_field_value(text))
            return refuse(why, RC_INVALID, "invalid header field");
        if (is_one_of(name, ours) || (x->crossed && is_one_of(name, private))) continue;
        host |= str_eq_nocase(name, S("Host"));
        agent |= str_eq_nocase(name, S("User-Agent"));
        (void)!!buf_printf(to, "%.*s: %.*s\r\n", STR(name), STR(text));
    }
    if (!host) (void)!!buf_printf(to, "Host: %.*s\r\n", STR(x->at.authority));
    if (!agent) (void)!!buf_add(to, S("User-Agent: OpenPolicy opctl\r\n"));
    if (wants_body) (void)!!buf_printf(to, "Content-Length: %zu\r\n", x->body.len);
    (void)!!buf_add(to, S("Connection: close\r\n\r\n"));
    return buf_add(to, x->body);
}

static rc_t read_answer(struct wire *w, struct exchange *x, struct diag *why) {
    struct http_answer_body body;
    struct http_refusal no = {0};
    size_t at = 0, kept = 0, head_at = 0;
    bool ended = false, headed = false;
    for (;;) {
        str view = str_skip(buf_str(&x->in), at);
        rc_t rc = RC_AGAIN;
        size_t used = 0, data = 0;
        if (!headed && view.len) {
            rc = http_answer_parse(view, &x->head, x->fields, &no);
            if (!rc && x->head.status < 200) {
                at += x->head.length;
                continue;
            }
            if (!rc) {
                headed = true, head_at = at;
                http_answer_body_open(&body, &x->head, str_eq(x->method, S("HEAD")));
                at += x->head.length;
                kept = at; /* the body is moved together behind the head */
                continue;
            }
        } else if (headed) {
            rc = http_answer_body_next(&body, view, ended, &used, &data, &no);
            if (data) memmove(x->in.ptr + kept, view.ptr + used - data, data);
            kept += data, at += used;
            if (rc == RC_AGAIN && used) continue;
        }
        if (rc == RC_INVALID) return refuse(why, RC_IO, no.why);
        if (rc == RC_CLOSED || (rc == RC_AGAIN && ended))
            return refuse(why, RC_IO, "unexpected EOF");
        if (rc == RC_OK && headed) {
            /* The fields' views lie in front of what was moved. */
            rc = http_answer_parse(str_skip(buf_str(&x->in), head_at), &x->head, x->fields, &no);
            head_at += x->head.length;
            x->answer_body = str_of(x->in.ptr + head_at, kept - head_at);
            return rc;
        }
        size_t got;
        if (buf_reserve(&x->in, PIECE)) return refuse(why, RC_LIMIT, "the answer is too large");
        if ((rc = read_some(w, x->in.ptr + x->in.len, PIECE, &got)))
            return refuse(why, rc, "the connection was reset");
        x->in.len += got;
        ended = got == 0;
    }
}

static void wire_close(struct wire *w) {
    if (w->tls) (void)mbedtls_ssl_close_notify(&w->ssl);
    if (w->fd >= 0) close(w->fd);
    mbedtls_ssl_free(&w->ssl);
    mbedtls_ssl_config_free(&w->settings);
    mbedtls_x509_crt_free(&w->ca);
    mbedtls_x509_crt_free(&w->chain);
    mbedtls_pk_free(&w->key);
}

static rc_t exchange_once(struct exchange *x, u64 deadline_ns, struct diag *why) {
    struct wire w = {.fd = -1, .deadline_ns = deadline_ns};
    struct http_send_request trust = *x->r;
    struct buf out;
    mbedtls_ssl_init(&w.ssl);
    mbedtls_ssl_config_init(&w.settings);
    mbedtls_x509_crt_init(&w.ca);
    mbedtls_x509_crt_init(&w.chain);
    mbedtls_pk_init(&w.key);
    buf_open(&out, SIZE_MAX / 2);
    buf_clear(&x->in);
    if (x->crossed) trust.client_cert = trust.client_key = trust.server_name = S("");
    str name = trust.server_name.len ? trust.server_name : x->at.host;
    rc_t rc = http_url_parse(x->url, &x->at, why);
    if (!trust.server_name.len) name = x->at.host;
    if (!rc) rc = write_request(x, &out, why);
    if (!rc) rc = connect_to(&w, &x->at, why);
    if (!rc && x->at.tls) rc = tls_begin(&w, &trust, name, why);
    if (!rc && (rc = write_all(&w, buf_str(&out))))
        (void)refuse(why, rc, "the request could not be sent");
    if (!rc) rc = read_answer(&w, x, why);
    wire_close(&w);
    buf_close(&out);
    return rc;
}

static str field(const struct exchange *x, const char *name) {
    for (u32 i = 0; i < x->head.field_count; i++)
        if (str_eq_nocase(x->fields[i].name, str_from_c(name))) return x->fields[i].value;
    return (str){NULL, 0};
}

static bool redirected(struct exchange *x, struct arena *a, rc_t *rc) {
    struct http_url from = x->at, to;
    struct diag why;
    int status = x->head.status;
    str location = field(x, "Location"), url;
    if (!x->r->follow || !location.len || status < 301 || status > 308 ||
        (status > 303 && status < 307))
        return false;
    *rc = http_url_resolve(a, x->url, location, &url);
    if (!*rc) *rc = http_url_parse(url, &to, &why);
    if (*rc) return true;
    bool post = str_eq(x->method, S("POST")), head = str_eq(x->method, S("HEAD"));
    if ((status == 303 && !head) || (status <= 302 && post)) x->method = S("GET"), x->body = S("");
    if (!http_host_allowed(x->r->allow_net, to.host)) *rc = RC_DENIED;
    x->crossed |= !http_url_same_origin(&from, &to);
    x->url = url;
    return true;
}

static rc_t exchange(struct exchange *x, struct arena *a, u64 deadline_ns, struct diag *why) {
    for (u32 hops = 0;; hops++) {
        rc_t rc = exchange_once(x, deadline_ns, why);
        for (u32 i = 1; rc == RC_IO && i < x->r->attempts; i++) {
            (void)poll(NULL, 0, (int)MIN(100u << MIN(i, 6u), 5000u));
            rc = exchange_once(x, deadline_ns, why);
        }
        if (rc || !redirected(x, a, &rc)) return rc;
        if (rc == RC_DENIED) return refuse(why, rc, "unallowed host behind a redirect");
        if (rc) return refuse(why, RC_IO, "the server redirects to no URL");
        if (hops == REDIRECTS_MAX) return refuse(why, RC_LIMIT, "stopped after 10 redirects");
    }
}

/* ---- What questions are given ---------------------------------------------------------------- */

static str move(struct heap *h, str s) {
    char *to = s.len ? heap_alloc(h, s.len) : NULL;
    if (to) memcpy(to, s.ptr, s.len);
    return str_of(to, to ? s.len : 0);
}

static rc_t give(struct heap *h, const struct exchange *x, struct http_send_answer *out) {
    u32 n = x->head.field_count;
    struct http_send_header *list = heap_alloc(h, MAX(n, 1u) * sizeof *list);
    if (!list) return RC_NO_MEMORY;
    *out = (struct http_send_answer){.status = (u32)x->head.status,
                                     .reason = move(h, x->head.reason),
                                     .body = move(h, x->answer_body),
                                     .headers = list,
                                     .header_count = n};
    for (u32 i = 0; i < n; i++)
        list[i] =
            (struct http_send_header){move(h, x->fields[i].name), move(h, x->fields[i].value)};
    return h->exhausted ? RC_NO_MEMORY : RC_OK;
}

static rc_t send_now(void *arg, struct heap *h, const struct http_send_request *r,
                     struct http_send_answer *out, struct diag *why) {
    struct exchange *x = calloc(1, sizeof *x);
    struct arena a;
    (void)arg;
    if (!x) return RC_NO_MEMORY;
    arena_open(&a, NULL, 0, 1 << 20);
    buf_open(&x->in, ANSWER_BYTES_MAX);
    x->r = r, x->method = r->method, x->url = r->url, x->body = r->body;
    rc_t rc = exchange(x, &a, steady_ns() + r->timeout_ns, why);
    if (!rc) rc = give(h, x, out);
    buf_close(&x->in);
    arena_close(&a);
    free(x);
    return rc;
}

static rc_t lookup(void *arg, str name, u8 (*addresses)[16], u32 *count, struct diag *why) {
    static const u8 v4[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char host[256];
    (void)arg;
    *count = 0;
    if (str_to_c(name, host, sizeof host) || getaddrinfo(host, NULL, &hints, &list))
        return refuse(why, RC_NOT_FOUND, "no such host");
    for (struct addrinfo *a = list; a && *count < NAME_LOOKUP_MAX; a = a->ai_next) {
        u8 *to = addresses[*count];
        if (a->ai_family == AF_INET) {
            memcpy(to, v4, 12);
            memcpy(to + 12, &((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr, 4);
        } else if (a->ai_family == AF_INET6) {
            memcpy(to, &((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr, 16);
        } else {
            continue;
        }
        ++*count;
    }
    freeaddrinfo(list);
    return *count ? RC_OK : refuse(why, RC_NOT_FOUND, "no such host");
}

void http_allow(struct policy_ask *ask, value capabilities) {
    static struct http_cache_sender sender = {.next = send_now};
    if (!sender.cache && http_cache_open(CACHE_BYTES_MAX, &sender.cache)) return;
    ask->http = http_cache_send;
    ask->http_arg = &sender;
    ask->lookup = lookup;
    ask->allow_net = value_is(capabilities, VALUE_OBJECT)
                         ? value_get_str(capabilities, S("allow_net"))
                         : UNDEFINED;
}
