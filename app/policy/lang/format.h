/* SPDX-License-Identifier: Apache-2.0 */
/* format.h — a policy in the one layout everybody shares: the reference's, byte for byte. */
#pragma once
#include "app/policy/lang/parse.h"
#include "kernel/base/buf.h"

struct format_options {
    enum rego_version version; /* to write: REGO_V1, REGO_V0, or REGO_V0_COMPAT_V1, which is read
                                  the same by both and gets `import rego.v1` */
    bool drop_v0_imports;      /* those v1 makes superfluous */
    bool ignore_locations;     /* lay out as if all were on one line: trees a program made */
};
/* Reads and writes. `parse` says what `text` is: to move a v0 text to v1 it is REGO_V0 there and
 * REGO_V0_COMPAT_V1 here, and what v1 forbids is an error. RC_INVALID: see `errors`. */
rc_t format_source(struct heap *h, str file_name, str text, const struct parse_options *parse,
                   const struct format_options *o, struct buf *out, struct policy_errors *errors);
/* The same of a tree, which is changed: imports are added or dropped, heads of else renamed. */
rc_t format_module(struct heap *h, struct ast_module *m, const struct format_options *o,
                   struct buf *out, struct policy_errors *errors);
rc_t format_rule(struct heap *h, struct ast_rule *r, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors);
rc_t format_body(struct heap *h, struct ast_body *b, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors);
rc_t format_expr(struct heap *h, struct ast_expr *e, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors);
rc_t format_term(struct heap *h, struct ast_term *t, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors);
/* What v1 forbids and writing a v0 text anew cannot mend: imports that shadow, rules and variables
 * named like the root documents, functions that are gone, keywords as names. */
void format_check_v1(struct ast_module *m, struct policy_errors *errors);
