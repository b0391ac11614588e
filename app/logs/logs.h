/* SPDX-License-Identifier: Apache-2.0 */
/* logs.h — the log ring over HTTP. */
#pragma once
extern const struct module logs_module;
