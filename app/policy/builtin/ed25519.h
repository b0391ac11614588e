/* SPDX-License-Identifier: Apache-2.0 */
/* ed25519.h — signatures of RFC 8032: 32 bytes of key, 64 of signature. */
#pragma once
#include "kernel/base/base.h"

enum { ED25519_KEY_BYTES = 32, ED25519_SIGNATURE_BYTES = 64 };
bool ed25519_verify(const u8 public_key[ED25519_KEY_BYTES], str message, str signature);
void ed25519_public_of_seed(const u8 seed[ED25519_KEY_BYTES], u8 public_key[ED25519_KEY_BYTES]);
void ed25519_sign(const u8 seed[ED25519_KEY_BYTES], str message,
                  u8 signature[ED25519_SIGNATURE_BYTES]);
