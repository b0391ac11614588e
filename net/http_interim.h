/* SPDX-License-Identifier: Apache-2.0 */
/* http_interim.h — answers of 1xx before the one that counts (RFC 9110 15.2), for who passes on
 * what others say. */
#pragma once
#include "net/http.h"

/* `lines`: as http_answer_lines. Before the answer began; parks. Clients of HTTP/1.0, which know no
 * such answers, are told nothing: RC_OK. RC_CONFLICT: not the time for one, or 101 over HTTP/2. */
rc_t http_answer_interim(struct http_exchange *x, int status, str lines);
