/* SPDX-License-Identifier: Apache-2.0 */
/* config.h — every setting of the appliance: one typed table (option.def) with default, bounds,
 * effect and secrecy. Sources, later wins: defaults, stored values, fw_cfg JSON, kernel command
 * line; each value knows its source. Unknown or out-of-range keys are named and refused. */
#pragma once
#include "kernel/base/base.h"

/* Reads from any fiber or the loop; views live until the option changes (then until the next turn).
 * The key is one of option.def; another is a defect and panics. */
str config_text(const char *key);
s64 config_int(const char *key); /* durations: seconds; choices: index of the word */
bool config_bool(const char *key);
/* Wipes a value that came with the machine's configuration and must not stay (admin.password). */
void config_forget(const char *key);
/* Called on the loop after a live option changed. */
rc_t config_on_change(const char *key, void (*fn)(void));

/* Once, at start: what the machine says. A document with an unknown or impossible key is refused
 * whole, the console names the key, and the appliance runs on with the sources below it. */
void config_boot(str machine_json, str command_line);
str config_refusal(void); /* why a document was refused; empty: none was */

extern const struct module config_module;
