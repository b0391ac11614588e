/* SPDX-License-Identifier: Apache-2.0 */
/* template_impl.h — what carries a template out and what its functions are shares. */
#pragma once
#include "app/policy/builtin/template.h"

/* What a term is worth. A number of the document is text to templates, as in the reference; `whole`
 * marks an int of the template's own. UNDEFINED and null: nothing. */
struct data {
    value v;
    bool whole;
};

struct template_call {
    struct builtin_call *call;
    str function, why; /* why: the error's words, in words[] */
    char words[200];
};

bool template_true(struct data d);
/* As the reference's language prints it. */
void template_write(struct buf *to, struct data d, bool inside);
/* false: `k->why` tells, or the call has failed. Not and, or: these are the walker's. */
bool template_function(struct template_call *k, const struct data *args, u32 count,
                       struct data *out);
