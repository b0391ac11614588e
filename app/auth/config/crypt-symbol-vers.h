/* SPDX-License-Identifier: Apache-2.0 */
/* crypt-symbol-vers.h — no versions: nothing here is a shared library. */
#pragma once
#define SYMVER_FLOOR 0
