/* SPDX-License-Identifier: Apache-2.0 */
/* nghttp2_config.h — what nghttp2 wants of a machine: the order of bytes on the wire. Read before
 * each of its files (net/deps.mk). Its clock is ours, too: net/http2.c. */
#pragma once
#include <stdint.h>
#include <sys/types.h>

static inline uint32_t nghttp2_swap32(uint32_t n) { return __builtin_bswap32(n); }
static inline uint16_t nghttp2_swap16(uint16_t n) { return __builtin_bswap16(n); }
#define htonl(n) nghttp2_swap32(n)
#define ntohl(n) nghttp2_swap32(n)
#define htons(n) nghttp2_swap16(n)
#define ntohs(n) nghttp2_swap16(n)
