/* SPDX-License-Identifier: Apache-2.0 */
/* crypt-hashes.h — which hashes of libxcrypt are built: bcrypt in its sound spellings. */
#pragma once
#define INCLUDE_bcrypt 1
#define INCLUDE_bcrypt_a 1
#define INCLUDE_bcrypt_x 0
#define INCLUDE_bcrypt_y 1
