/* SPDX-License-Identifier: Apache-2.0 */
/* figures.h — the cache in /metrics. */
#pragma once

void figures_publish(void); /* ten times a second, and when the cache stops */
