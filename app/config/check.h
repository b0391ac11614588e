/* SPDX-License-Identifier: Apache-2.0 */
/* check.h — what a text option may hold. Each says in `why` what is wanted. Empty is always fine
 * here: whether it may be empty is the option's length. */
#pragma once
#include "kernel/base/base.h"
bool check_any(str value, struct diag *why);
bool check_email(str value, struct diag *why);
bool check_network(str value, struct diag *why);   /* "dhcp" or address/prefix */
bool check_address(str value, struct diag *why);   /* one IPv4 or IPv6 address */
bool check_addresses(str value, struct diag *why); /* comma-separated */
bool check_hosts(str value, struct diag *why);     /* names or addresses, comma-separated */
bool check_hostname(str value, struct diag *why);  /* RFC 1123 */
bool check_certificates(str value, struct diag *why); /* PEM, of several lines */
bool check_call_hosts(str value, struct diag *why); /* names, addresses, networks */
bool check_dns_names(str value, struct diag *why);  /* no addresses, no wildcards */
bool check_https_url(str value, struct diag *why);  /* "https://..." */
bool check_path(str value, struct diag *why);       /* "a/b": what may follow a URL */
bool check_issuer(str value, struct diag *why);     /* "https://host[:port][/path]", none last */
