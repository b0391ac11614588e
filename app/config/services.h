/* SPDX-License-Identifier: Apache-2.0 */
/* services.h — the option policy.services: the servers that policies, decisions and status are
 * exchanged with, in the reference's form. Keys and certificates are PEM texts in place, as there
 * are no files to name:
 *
 *   {"acme": {"url": "https://example.com/control/v1",
 *             "headers": {"X-Site": "berlin"}, "response_header_timeout_seconds": 10,
 *             "allow_insecure_tls": false, "tls": {"ca_cert": PEM, "server_name": "..."},
 *             "credentials": {"bearer": {"token": "...", "scheme": "Bearer"}}}}
 *
 * Credentials are one of bearer, basic {username, password}, client_tls {cert, private_key} and
 * oauth2 {token_url, client_id, client_secret, scopes}; the value is never shown again. */
#pragma once
#include "kernel/base/arena.h"
#include "net/http.h"

enum { SERVICES_MAX = 16, SERVICE_HEADERS_MAX = 16 };

struct service {
    str name;
    str url; /* no slash at its end */
    const struct http_field *headers;
    u32 header_count;
    u64 header_timeout_s;
    bool insecure; /* any certificate will do */
    str ca_pem, server_name;
    str token, scheme;                               /* bearer; scheme "Bearer" unless told */
    str username, password;                          /* basic */
    str cert_pem, key_pem;                           /* client_tls */
    str token_url, client_id, client_secret, scopes; /* oauth2; scopes with blanks between */
};
/* All of a value of policy.services, in order; texts in the arena. RC_INVALID: `why`. */
rc_t services_parse(struct arena *a, str json, struct service *list, u32 *count, struct diag *why);
bool check_services(str value, struct diag *why);
