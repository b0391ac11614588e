/* SPDX-License-Identifier: Apache-2.0 */
/* crypt.h — the sizes that libxcrypt's own crypt.h would define. */
#pragma once
#define CRYPT_OUTPUT_SIZE 384
#define CRYPT_MAX_PASSPHRASE_SIZE 512
#define CRYPT_GENSALT_OUTPUT_SIZE 192
