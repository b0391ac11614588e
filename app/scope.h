/* SPDX-License-Identifier: Apache-2.0 */
/* scope.h — what a key or an application may do at most: permissions with wildcards, a space
 * between two.
 *
 *    policies:document:read      this one
 *    policies:document:*         every verb        policies:*      everything of the service
 *    *:*:read                    every read        *               everything
 *
 * A scope never gives anything: it takes away from what the policy lets the user do. Words without
 * a colon ("openid") are other people's and cover nothing here. */
#pragma once
#include "kernel/base/base.h"

#define SCOPES_MAX 512u /* bytes of a list */

/* Does a word of the list cover this permission? An empty permission is covered by "*" alone. */
bool scope_allows(str scopes, str permission);
/* A word that could cover something: "*", or two or three parts of [a-z0-9_-]+ or "*". */
bool scope_valid(str word);
