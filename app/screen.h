/* SPDX-License-Identifier: Apache-2.0 */
/* screen.h — the status screen on the console. */
#pragma once
#include "kernel/base/buf.h"

void screen_write(struct buf *to); /* the whole of it, some ten lines */
