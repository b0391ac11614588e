/* SPDX-License-Identifier: Apache-2.0 */
/* config.h — libxcrypt is built for bcrypt alone: its other settings lie in app/deps.mk. */
#pragma once
