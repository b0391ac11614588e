/* SPDX-License-Identifier: Apache-2.0 */
/* json_schema.h — JSON Schema (drafts 4, 6 and 7 at once, as the reference reads them): is a schema
 * one, and does a document fit it? References within the schema only: nothing is fetched. */
#pragma once
#include "app/policy/builtin/builtin_impl.h"

/* Empty: it is a schema. Else why not, in the reference's words. false: the evaluation is at its
 * end. */
bool json_schema_check(struct builtin_call *c, value schema, struct diag *why);
/* What a "#/definitions/a" within `root` means. UNDEFINED: nothing, and `why` tells. */
value json_schema_refer(struct builtin_call *c, value root, str reference, struct diag *why);
/* The errors: an array of {"error", "type", "field", "desc"}. UNDEFINED: the call has failed. */
value json_schema_match(struct builtin_call *c, value root, value document);
bool json_schema_format_fits(struct builtin_call *c, str format, str text);
