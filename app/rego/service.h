/* SPDX-License-Identifier: Apache-2.0 */
/* service.h — asking a server of the option policy.services (app/config/services.h): where it is,
 * whom it believes, how we show who we are. For bundles, discovery, status and decision records. */
#pragma once
#include "app/config/services.h"
#include "net/http_client.h"

/* The service of that name; an empty name is the only one there is. Texts lie in the arena.
 * RC_NOT_FOUND: `why` says so. */
rc_t service_find(struct arena *a, str name, struct service *out, struct diag *why);
rc_t service_each(struct arena *a, const struct service **list, u32 *count, struct diag *why);

/* A request to the service's URL with `path` ("bundles/x.tar.gz?a=b", no slash in front needed)
 * behind it, with its headers, credentials and trust, and `fields` besides. The deadline is 30 s
 * from now and may be moved. Parks when a token must be fetched first. RC_INVALID, RC_DENIED. */
rc_t service_request(struct arena *a, const struct service *s, str method, str path,
                     const struct http_field *fields, u32 field_count,
                     struct http_client_request *out, struct diag *why);
