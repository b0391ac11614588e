/* SPDX-License-Identifier: Apache-2.0 */
/* residual.h — what partial evaluation asks the compiler about trees that it made itself: which
 * variables they bind, and whether they can hold at all. */
#pragma once
#include "app/policy/compile/compile.h"

struct residual;
struct residual_names { /* in order of arrival */
    struct heap *heap;
    str *items;
    u32 count, room;
};
void names_open(struct residual_names *n, struct heap *h);
bool names_has(const struct residual_names *n, str name);
void names_add(struct residual_names *n, str name);

/* Everything it makes beside `h` is dropped by residual_close. */
rc_t residual_open(struct heap *h, const struct compiled *program, struct residual **out);
void residual_close(struct residual *r);
/* False: some expression can never hold, as its types tell. */
bool residual_may_hold(struct residual *r, const struct ast_body *b);
/* All it needs is bound by it or is among `bound`. Orders its expressions. */
bool residual_is_safe(struct residual *r, struct ast_body *b, const struct residual_names *bound);
int residual_arity(struct residual *r, const struct ast_term *function); /* -1: no such function */
u32 residual_rule_count(struct residual *r); /* of the program, else-rules too */
u32 residual_rule_number(const struct ast_rule *r);
/* The variables that running it binds, `safe` being bound. */
void residual_outputs(struct residual *r, const struct ast_expr *e,
                      const struct residual_names *safe, struct residual_names *to);
/* The variables that something must bind before it (closures and names of functions left out). */
void residual_needs(struct residual *r, const struct ast_expr *e, struct residual_names *to);
