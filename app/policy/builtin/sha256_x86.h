/* SPDX-License-Identifier: Apache-2.0 */
/* sha256_x86.h — HMAC-SHA-256 (RFC 2104, FIPS 180-4) by the processor's own instructions. mbedTLS
 * has those of ARM alone; a token's signature is eight blocks, which are half of what it costs. */
#pragma once
#include "kernel/base/base.h"
#include "kernel/base/str.h"

enum { SHA256_BYTES = 32 };
/* False: the processor does not have them, nothing was written. */
bool sha256_x86_hmac(str key, str message, u8 mac[SHA256_BYTES]);
