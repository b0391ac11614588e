/* SPDX-License-Identifier: Apache-2.0 */
/* providers.h — the option auth.providers: who else may say who somebody is (OpenID Connect). By
 * name, which is part of addresses:
 *
 *   {"acme": {"preset": "keycloak", "issuer": "https://id.example.org/realms/acme",
 *             "client_id": "...", "client_secret": "...", "title": "Acme",
 *             "create": true, "link": "email", "domains": ["example.org"]}}
 *
 * docs/how-to/single-sign-on.md tells what each member does; the value is never shown again. */
#pragma once
#include "kernel/base/arena.h"

enum { PROVIDERS_MAX = 8, PROVIDER_NAME_MAX = 40, PROVIDER_ISSUER_MAX = 200 };

struct provider { /* texts in the arena; absent ones are empty unless told */
    str name, preset, title;
    str issuer;                 /* https, as its tokens spell it */
    str tenant;                 /* Microsoft's: which directory */
    str client_id, client_secret;
    str scopes;                 /* "openid profile email" */
    str client_auth;            /* client_secret_basic, client_secret_post or none */
    str link;                   /* none, or email: an account with the same proven address */
    str second_factor;          /* here, or theirs: none is asked for again */
    str organisation;           /* id, of accounts made */
    str domains;                /* of addresses, words; empty: any */
    str ca_pem, server_name;    /* as in http_client_trust */
    bool create;                /* accounts for whom has none */
    bool trust_email;           /* its addresses are proven even if it does not say so */
};
/* All of a value of auth.providers, in order. RC_INVALID: `why`; RC_NO_MEMORY. */
rc_t providers_parse(struct arena *a, str json, struct provider list[PROVIDERS_MAX], u32 *count,
                     struct diag *why);
bool check_providers(str value, struct diag *why);
