/* SPDX-License-Identifier: Apache-2.0 */
/* version.h — what we call this build. Semantic versioning: the first number changes when a
 * documented path or configuration key stops meaning what it meant. */
#pragma once
#define OPENPOLICY_VERSION "0.1.0"
/* The commit it was built from ("-dirty": and more) and its time, RFC 3339; empty: not known. Made
 * by tools/stamp.sh. */
extern const char openpolicy_commit[], openpolicy_commit_time[];
