/* SPDX-License-Identifier: Apache-2.0 */
/* reads.c — which facts can a policy's answer depend on?
 *
 * The answer of a rule depends on the input it names, on the rules it names, and on nothing else
 * but data, time, chance and the network. So a walk from the rules asked for, along every reference
 * into `data`, meets every reference to `input`. Where one of them is not plain ("input[x]",
 * `input` as a whole, "data[x]") it stands for all that could be meant.
 *
 * Always true: too many facts are harmless (the cache hits less often), too few would be a wrong
 * answer, so whatever is not understood counts as reading everything, and time. */
#include <stdlib.h>
#include "app/access/access_impl.h"

enum { NODES_MAX = 512, PATH_MAX_HERE = 8 };

struct reading {
    struct ast_walk walk;
    const struct rule_node *root;
    const struct rule_node *seen[NODES_MAX];
    u32 seen_count, done;
    u64 facts;
};

static void everything(struct reading *r) { r->facts = FACTS_ALL; }

static void visit(struct reading *r, const struct rule_node *n) {
    for (u32 i = 0; i < r->seen_count; i++)
        if (r->seen[i] == n) return;
    if (r->seen_count == NODES_MAX)
        everything(r);
    else
        r->seen[r->seen_count++] = n;
}

static void visit_all(struct reading *r, const struct rule_node *n, u32 depth) {
    visit(r, n);
    if (depth == POLICY_PATH_DEPTH_MAX || r->facts == FACTS_ALL) {
        everything(r);
        return;
    }
    for (u32 i = 0; i < n->child_count; i++) visit_all(r, n->children[i], depth + 1);
}

/* "data.a.b[x]": the rules at each node on the way, and everything below where it stops being
 * plain. */
static void data_ref(struct reading *r, const struct ast_term *ref) {
    const struct rule_node *n = r->root;
    for (u32 i = 1; n && i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        visit(r, n);
        if (t->kind > AST_STRING) break;
        n = rule_node_find(n, t->scalar);
        if (!n) return;
    }
    if (n) visit_all(r, n, 0);
}

static void input_ref(struct reading *r, const struct ast_term *ref) {
    str path[PATH_MAX_HERE];
    u32 n = 0;
    for (u32 i = 1; i < ref->count && n < PATH_MAX_HERE && ref->terms[i]->kind == AST_STRING; i++)
        path[n++] = value_str(ref->terms[i]->scalar);
    r->facts |= facts_at(path, n);
}

/* What asks the clock, chance or the world; or would ask the clock if not told the time. */
static bool changes_by_itself(str name) {
    const struct builtin *b = builtin_find(name);
    return (b && b->flags & BUILTIN_NONDETERMINISTIC) || str_eq(name, S("io.jwt.decode_verify")) ||
           str_starts(name, S("crypto.x509.parse_and_verify"));
}

static void other_ref(struct reading *r, const struct ast_term *ref) {
    char name[128];
    size_t len = 0;
    for (u32 i = 0; i < ref->count; i++) {
        const struct ast_term *t = ref->terms[i];
        str part = t->kind == AST_VAR      ? t->var
                   : t->kind == AST_STRING ? value_str(t->scalar)
                                           : S("");
        if (!part.len || len + part.len + 1 >= sizeof name) return; /* no builtin is called so */
        if (i) name[len++] = '.';
        memcpy(name + len, part.ptr, part.len);
        len += part.len;
    }
    if (changes_by_itself(str_of(name, len))) r->facts |= FACT_BIT(NOW);
}

static bool see_term(struct ast_walk *w, struct ast_term **slot) {
    struct reading *r = w->arg;
    const struct ast_term *t = *slot;
    if (t->kind == AST_VAR && str_eq(t->var, S("input"))) everything(r);
    if (t->kind == AST_VAR && str_eq(t->var, S("data"))) visit_all(r, r->root, 0);
    if (t->kind != AST_REF || !t->count) return true;
    const struct ast_term *head = t->terms[0];
    bool plain = head->kind == AST_VAR;
    if (plain && str_eq(head->var, S("input")))
        input_ref(r, t);
    else if (plain && str_eq(head->var, S("data")))
        data_ref(r, t);
    else {
        if (plain) other_ref(r, t);
        return true;
    }
    for (u32 i = 1; i < t->count; i++) ast_walk_term(w, &t->terms[i]); /* not the head again */
    return false;
}

u64 access_reads(const struct policy_program *p, const char *const *rules, u32 count) {
    static const char *const place[] = {"openpolicy", "authz"};
    struct reading *r = calloc(1, sizeof *r);
    if (!r) return FACTS_ALL;
    r->walk = (struct ast_walk){.term = see_term, .arg = r};
    r->root = policy_compiled(p)->root;
    const struct rule_node *n = r->root;
    struct heap h;
    heap_open(&h, KIB(64));
    for (u32 i = 0; n && i < ARRAY_LEN(place); i++)
        n = rule_node_find(n, value_string_c(&h, place[i]));
    for (u32 k = 0; n && k < count; k++) {
        const struct rule_node *at = rule_node_find(n, value_string_c(&h, rules[k]));
        if (at) visit_all(r, at, 0);
    }
    heap_close(&h);
    for (; r->done < r->seen_count && r->facts != FACTS_ALL; r->done++)
        for (u32 i = 0; i < r->seen[r->done]->rule_count; i++)
            ast_walk_rule(&r->walk, r->seen[r->done]->rules[i]);
    u64 facts = r->facts;
    free(r);
    return facts;
}
