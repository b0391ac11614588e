/* SPDX-License-Identifier: Apache-2.0 */
/* change_impl.h — what the ways to make a program from the one before share: change.c, which
 * follows any change; replace.c, for the change that leaves all paths as they were; extend.c, for
 * paths that nobody asks for. */
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

void mark_changed(struct change *x, struct trie *t, const struct ast_term *ref, u32 len);
bool same_names(struct change *x, const struct ast_term *package); /* in it as before */
/* Does a rule of it ask for a path that is marked in x->kinds? */
bool module_asks(struct change *x, const struct ast_module *m);
bool speaks_of_others(const struct ast_module *m); /* its annotations are not all of rules */
bool first_stays(const struct change *x);
void finish_module(struct compiler *c, struct ast_module *m);

/* The modules that changed take the places of those before, and no other rule is looked at. False,
 * unless gives_up(): something else is touched; the rules of the fresh modules may be rewritten. */
bool replace_modules(struct change *x);

/* The same where paths come or go and nobody who is kept asks for them. False: as above. */
bool extend_modules(struct change *x);
