/* SPDX-License-Identifier: Apache-2.0 */
/* change_impl.h — what the two ways to make a program from the one before share: change.c, which
 * follows any change, and replace.c, for the change that leaves all paths as they were. */
#pragma once
#include "app/policy/compile/check_impl.h"

/* A path at which something may be otherwise than before. */
struct mark {
    bool changed; /* for certain */
    const struct ast_term *full;
    u32 ground;
};

struct undo {
    struct rule_notes *notes;
    const struct type *type;
    struct undo *next;
};

struct change {
    struct compiler *c;
    const struct compile_change *asked;
    const struct compiler *before;
    bool *fresh;              /* per module of c->out */
    struct ast_module **gone; /* modules of `before` that are not kept */
    u32 gone_count, fresh_count;
    struct trie kinds, types; /* of marks: paths with rules of another kind; of another type */
    struct undo *undo;
    const struct ast_term *package; /* of the rule last typed, and where its types lie */
    struct trie_node *types_of_package;
    bool failed; /* no memory, or a module does not parse any more */
};

static inline bool gives_up(const struct change *x) {
    return x->failed || compile_failed(x->c) || compile_stopped(x->c);
}

#define EACH_FRESH(x, m)                                                                           \
    for (u32 m##_n = 0; m##_n < (x)->c->out->module_count && !gives_up(x); m##_n++)                \
        if ((x)->fresh[m##_n])                                                                     \
            for (struct ast_module *m = (x)->c->out->modules[m##_n]; m; m = NULL)

/* Marks in x->kinds what is of another kind than before: at a path and, where rules with variables
 * in their heads reach over it, above. */
void compare_place(struct change *x, const struct ast_term *full, u32 len);
void refuse_deprecated(struct change *x); /* in the modules that are fresh */

/* The modules that changed take the places of those before, and no other rule is looked at. False,
 * unless gives_up(): something else is touched; the rules of the fresh modules may be rewritten. */
bool replace_modules(struct change *x);
