/* SPDX-License-Identifier: Apache-2.0 */
/* why_tell.c — what was watched, in sentences.
 *
 *   allowed   the rule that held for the answer, and the rules with a title it stood on
 *   denied    the rule that said no; or else, of the rules that could have said yes, the one whose
 *             body got furthest: the condition that failed, what its parts were, and, when it
 * needed other rules, the same of the one of those that got furthest, some steps down
 *
 * Which of two attempts got further: the one with the larger share of its conditions behind it;
 * then the longer one; then one that failed at something other than a negation; then the first.
 * What an annotation says of a rule is quoted; else the rule is named. The number of sentences, of
 * rules and of values told is bounded, and each text is cut. */
#include "app/policy/why_impl.h"
#include "app/policy/lang/annotations.h"
#include "app/policy/value/json_text.h"

enum {
    SENTENCES = 8,
    FIRED_MAX = 32,
    VALUES_MAX = 6,
    STEPS_MAX = 6,
    SECRETS_MAX = 128,
    TEXT_MAX = 160,
    VALUE_TEXT_MAX = 100,
    SENTENCE_MAX = 2400,
    CONDITIONS_TOLD = 3,
};

struct telling {
    const struct policy_why *e;
    const struct policy_why_question *q;
    struct heap *heap;
    struct value_builder sentences;
    u32 left; /* sentences that may still be added */
    value by; /* the rule that decided, or came nearest */
    str secrets[SECRETS_MAX];
    u32 secret_count;
    bool too_secret; /* more secrets than fit: no value is shown */
};

/* ---- Secrets: leaves of the input that people may not see ---- */

static void secrets_of(struct telling *t, value had, value shown) {
    if (value_defined(shown) && value_equal(had, shown)) return;
    if (had.kind == VALUE_OBJECT || had.kind == VALUE_ARRAY || had.kind == VALUE_SET) {
        bool object = had.kind == VALUE_OBJECT;
        for (u32 i = 0; i < value_count(had) && !t->too_secret; i++) {
            value key = object ? value_key_at(had, i)
                        : had.kind == VALUE_ARRAY ? value_integer(i) : value_item(had, i);
            secrets_of(t, object ? value_value_at(had, i) : value_item(had, i),
                       shown.kind == had.kind ? value_get(shown, key) : UNDEFINED);
        }
        return;
    }
    if (had.kind != VALUE_STRING && had.kind != VALUE_NUMBER) return;
    struct buf text;
    buf_open(&text, KIB(64));
    json_text_write(&text, had, 0);
    value copy = value_string(t->heap, buf_str(&text));
    if (text.failed || t->secret_count == SECRETS_MAX || copy.kind != VALUE_STRING)
        t->too_secret = true;
    else { /* a string without its quotes, so that it is found within others */
        str s = value_str(copy);
        t->secrets[t->secret_count++] =
            had.kind == VALUE_STRING ? str_take(str_skip(s, 1), s.len - 2) : s;
    }
    buf_close(&text);
}

static bool is_secret(const struct telling *t, str text) {
    if (t->too_secret) return true;
    for (u32 i = 0; i < t->secret_count; i++)
        if (t->secrets[i].len && str_find(text, t->secrets[i]) < text.len) return true;
    return false;
}

/* ---- Pieces of text ---- */

static str cut(str s, size_t max) {
    if (s.len <= max) return s;
    size_t n = max;
    while (n && ((u8)s.ptr[n] & 0xc0) == 0x80) n--;
    return str_take(s, n);
}

/* On one line, blanks run together. */
static void put_plain(struct buf *to, str text, size_t max) {
    str shown = cut(text, max);
    bool blank = false;
    for (size_t i = 0; i < shown.len; i++) {
        bool space = (u8)shown.ptr[i] <= ' ';
        if (!space || (!blank && i)) (void)buf_add(to, space ? S(" ") : str_of(shown.ptr + i, 1));
        blank = space;
    }
    if (shown.len < text.len) (void)buf_add(to, S("..."));
}

static void put_value(const struct telling *t, struct buf *to, value v) {
    struct buf text;
    buf_open(&text, KIB(256));
    value_write(&text, v);
    if (text.failed) (void)buf_add(to, S("too long to be shown"));
    else if (is_secret(t, buf_str(&text))) (void)buf_add(to, S("(masked)"));
    else put_plain(to, buf_str(&text), VALUE_TEXT_MAX);
    buf_close(&text);
}

static str source_text(const struct ast_location *at) {
    if (!at || !at->file || at->offset + at->len > at->file->text.len) return S("");
    return str_take(str_skip(at->file->text, at->offset), at->len);
}

static str first_line(str s) { return str_take(s, MIN(str_find_byte(s, '\n'), s.len)); }

static value title_of(const struct ast_rule *r, const char *name) {
    for (u32 i = 0; i < r->annotation_count; i++) {
        value v = value_get_str(r->annotations[i]->fields, str_from_c(name));
        if (v.kind == VALUE_STRING) return v;
    }
    return UNDEFINED;
}

void policy_why_rule_name(struct buf *to, const struct ast_rule *r) {
    const struct ast_term *ref = r->head->ref;
    bool whole =
        ref->count && ref->terms[0]->kind == AST_VAR && str_eq(ref->terms[0]->var, S("data"));
    if (!whole) {
        ast_term_write(to, r->module->package);
        (void)buf_add(to, S("."));
    }
    ast_term_write(to, ref);
}

static void put_place(struct buf *to, const struct ast_location *at) {
    if (at && at->file && at->file->name.len)
        (void)buf_printf(to, "%.*s:%u", STR(at->file->name), at->row);
}

/* “title” (file:row), or data.a.b (file:row) */
static void put_rule(struct buf *to, const struct ast_rule *r) {
    value title = title_of(r, "title");
    if (value_defined(title)) {
        (void)buf_add(to, S("\""));
        put_plain(to, value_str(title), TEXT_MAX);
        (void)buf_add(to, S("\""));
    } else
        policy_why_rule_name(to, r);
    if (r->head->at.file && r->head->at.file->name.len) {
        (void)buf_add(to, S(" ("));
        put_place(to, &r->head->at);
        (void)buf_add(to, S(")"));
    }
}

static void say(struct telling *t, struct buf *text) {
    if (!t->left || !text->len) return;
    t->left--;
    value v = value_string(t->heap, buf_str(text));
    value_builder_add(&t->sentences, v);
    buf_clear(text);
}

static void put(struct telling *t, struct value_builder *b, const char *name, value v) {
    value_builder_replace(b, value_string_c(t->heap, name), v);
}

static value text_value(struct telling *t, str text) {
    struct buf b;
    buf_open(&b, KIB(4));
    put_plain(&b, text, 4 * TEXT_MAX);
    value v = value_string(t->heap, buf_str(&b));
    buf_close(&b);
    return v;
}

static void put_location(struct telling *t, struct value_builder *b,
                         const struct ast_location *at) {
    if (!at || !at->file) return;
    put(t, b, "file", value_string(t->heap, at->file->name));
    put(t, b, "row", value_integer(at->row));
}

static value rule_value(struct telling *t, const struct ast_rule *r) {
    struct value_builder b;
    struct buf name;
    value_builder_open(&b, t->heap, VALUE_OBJECT);
    buf_open(&name, KIB(4));
    policy_why_rule_name(&name, r);
    put(t, &b, "rule", value_string(t->heap, buf_str(&name)));
    buf_close(&name);
    put_location(t, &b, &r->head->at);
    if (value_defined(title_of(r, "title"))) put(t, &b, "title", title_of(r, "title"));
    return value_builder_close(&b);
}

/* ---- What the parts of a condition were ---- */

struct seen { /* a ref or variable of an expression */
    struct telling *t;
    const struct attempt *a;
    struct value_builder list;
    str names[VALUES_MAX];
    struct buf texts[VALUES_MAX];
    u32 count;
};

static const struct policy_local *local_of(const struct attempt *a, str name) {
    for (u32 i = 0; i < a->local_count; i++)
        if (str_eq(a->locals[i].name, name)) return &a->locals[i];
    return NULL;
}

static value key_of(const struct attempt *a, const struct ast_term *t) {
    if (t->kind <= AST_STRING || t->kind == AST_VALUE) return t->scalar;
    const struct policy_local *l = t->kind == AST_VAR ? local_of(a, t->var) : NULL;
    return l ? l->v : UNDEFINED;
}

static bool made_up(str written) {
    return !written.len || str_starts(written, S("__local")) || written.ptr[0] == '$';
}

/* Names as they were written; keys whose names the compiler made by their value. */
static void put_ref(const struct telling *t, struct buf *to, const struct attempt *a,
                    const struct ast_term *ref) {
    const struct ast_term *head = ref->terms[0];
    const struct policy_local *l = local_of(a, head->var);
    (void)buf_add(to, l && l->written.len ? l->written : head->var);
    for (u32 i = 1; i < ref->count; i++) {
        const struct ast_term *k = ref->terms[i];
        const struct policy_local *by = k->kind == AST_VAR ? local_of(a, k->var) : NULL;
        if (k->kind == AST_STRING)
            (void)buf_printf(to, ".%.*s", STR(value_str(k->scalar)));
        else {
            (void)buf_add(to, S("["));
            if (by && !made_up(by->written)) (void)buf_add(to, by->written);
            else if (by && value_defined(by->v)) put_value(t, to, by->v);
            else ast_term_write(to, k);
            (void)buf_add(to, S("]"));
        }
    }
}

static value follow(const struct attempt *a, const struct ast_term *ref, value v) {
    for (u32 i = 1; value_defined(v) && i < ref->count; i++) {
        value key = key_of(a, ref->terms[i]);
        v = value_defined(key) ? value_get(v, key) : UNDEFINED;
    }
    return v;
}

static void add_seen(struct seen *s, struct buf *name, value v, bool missing) {
    for (u32 i = 0; i < s->count; i++)
        if (str_eq(buf_str(&s->texts[i]), buf_str(name))) return;
    if (s->count == VALUES_MAX || name->len > TEXT_MAX) return;
    struct telling *t = s->t;
    struct value_builder one;
    struct buf text;
    buf_open(&s->texts[s->count], KIB(4));
    (void)buf_add(&s->texts[s->count], buf_str(name));
    s->count++;
    buf_open(&text, KIB(256));
    if (missing) (void)buf_add(&text, S("not there"));
    else put_value(t, &text, v);
    value_builder_open(&one, t->heap, VALUE_OBJECT);
    put(t, &one, "name", value_string(t->heap, buf_str(name)));
    put(t, &one, "value", value_string(t->heap, buf_str(&text)));
    value_builder_add(&s->list, value_builder_close(&one));
    buf_close(&text);
}

static bool see_term(struct ast_walk *w, struct ast_term **slot) {
    struct seen *s = w->arg;
    const struct ast_term *term = *slot;
    struct buf name;
    if (term->kind == AST_ARRAY_COMPREHENSION || term->kind == AST_SET_COMPREHENSION ||
        term->kind == AST_OBJECT_COMPREHENSION)
        return false;
    buf_open(&name, KIB(4));
    if (term->kind == AST_VAR) {
        const struct policy_local *l = local_of(s->a, term->var);
        if (l && !made_up(l->written) && value_defined(l->v)) {
            (void)buf_add(&name, l->written);
            add_seen(s, &name, l->v, false);
        }
    } else if (term->kind == AST_REF && term->count && term->terms[0]->kind == AST_VAR) {
        str head = term->terms[0]->var;
        bool input = str_eq(head, S("input")), data = str_eq(head, S("data"));
        const struct policy_local *l = local_of(s->a, head);
        value v = UNDEFINED;
        if (input) v = follow(s->a, term, s->t->q->input);
        else if (data) v = follow(s->a, term, s->t->q->data);
        else if (l && !made_up(l->written)) v = follow(s->a, term, l->v);
        bool told = input || (l && !made_up(l->written) && value_defined(l->v)) || value_defined(v);
        put_ref(s->t, &name, s->a, term);
        if (told && (!data || value_defined(v))) add_seen(s, &name, v, !value_defined(v));
        buf_close(&name);
        return false;
    }
    buf_close(&name);
    return true;
}

static bool see_expr(struct ast_walk *w, struct ast_expr *e) {
    if (e->kind != AST_EXPR_CALL) return true;
    for (u32 i = 1; i < e->count; i++) ast_walk_term(w, &e->terms[i]); /* not the operator */
    return false;
}

/* Of an expression and of those the compiler put before it for its sake: they share its place. */
static value values_seen(struct telling *t, const struct attempt *a, const struct ast_expr *e) {
    struct seen s = {.t = t, .a = a};
    struct ast_walk w = {.term = see_term, .expr = see_expr, .arg = &s};
    const struct ast_body *b = attempt_body(a);
    value_builder_open(&s.list, t->heap, VALUE_ARRAY);
    for (u32 i = 0; b && i < b->count; i++)
        if (b->exprs[i] == e || (e->at.len && b->exprs[i]->at.file == e->at.file &&
                                 b->exprs[i]->at.row == e->at.row &&
                                 b->exprs[i]->at.offset >= e->at.offset &&
                                 b->exprs[i]->at.offset < e->at.offset + e->at.len))
            ast_walk_expr(&w, b->exprs[i]);
    for (u32 i = 0; i < s.count; i++) buf_close(&s.texts[i]);
    return value_builder_close(&s.list);
}

/* ": x is 1, y is 2" */
static void put_seen(struct buf *to, value seen) {
    for (u32 i = 0; i < value_count(seen); i++) {
        value one = value_item(seen, i);
        (void)buf_printf(to, "%s%.*s is %.*s",
                         !i ? ": " : i + 1 == value_count(seen) ? " and " : ", ",
                         STR(value_str(value_get_str(one, S("name")))),
                         STR(value_str(value_get_str(one, S("value")))));
    }
}

/* ---- Which rule a reference means ---- */

static bool means(const struct ast_rule *r, const struct ast_term *ref) {
    struct buf rule, want;
    bool same = false;
    if (ref->kind != AST_REF || !ref->count || ref->terms[0]->kind != AST_VAR ||
        !str_eq(ref->terms[0]->var, S("data")))
        return false;
    buf_open(&rule, KIB(4));
    buf_open(&want, KIB(4));
    policy_why_rule_name(&rule, r);
    (void)buf_add(&want, S("data"));
    for (u32 i = 1; i < ref->count && ref->terms[i]->kind == AST_STRING; i++) {
        struct ast_term *head[2] = {ref->terms[0], ref->terms[i]};
        struct ast_term step = {.kind = AST_REF, .count = 2, .terms = head};
        struct buf one; /* ".b" or "[\"b c\"]", as the writer has it */
        buf_open(&one, KIB(4));
        ast_term_write(&one, &step);
        (void)buf_add(&want, str_skip(buf_str(&one), 4));
        buf_close(&one);
    }
    str a = buf_str(&rule), b = buf_str(&want);
    same = str_eq(a, b) || (str_starts(b, a) && (b.ptr[a.len] == '.' || b.ptr[a.len] == '[')) ||
           (str_starts(a, b) && (a.ptr[b.len] == '.' || a.ptr[b.len] == '['));
    buf_close(&rule);
    buf_close(&want);
    return same;
}

struct needs { const struct ast_rule *rule; bool found; };

static bool needs_term(struct ast_walk *w, struct ast_term **t) {
    struct needs *n = w->arg;
    if (!n->found && means(n->rule, *t)) n->found = true;
    return !n->found;
}

static bool needs_rule(const struct ast_expr *e, const struct ast_rule *r) {
    struct needs n = {.rule = r};
    struct ast_walk w = {.term = needs_term, .arg = &n};
    ast_walk_expr(&w, (struct ast_expr *)e);
    return n.found;
}

/* ---- The nearest ---- */

/* Conditions as people count them: the compiler puts the parts of an expression before it, and
 * their places lie within its own. */
static bool within(const struct ast_expr *part, const struct ast_expr *e) {
    const struct ast_location *p = &part->at, *w = &e->at;
    return p->file && p->file == w->file && p->offset >= w->offset &&
           p->offset + p->len <= w->offset + w->len;
}

static u32 whole_of(const struct ast_body *b, u32 i) {
    u32 whole = i;
    for (u32 k = 0; k < b->count; k++)
        if (k != whole && within(b->exprs[whole], b->exprs[k]) &&
            (k > whole || !within(b->exprs[k], b->exprs[whole])))
            whole = k;
    return whole;
}

struct progress { u32 held, of; };

static struct progress progress_of(const struct attempt *a) {
    const struct ast_body *b = attempt_body(a);
    struct progress p = {0};
    u32 failed = b && b->count ? whole_of(b, MIN(a->reached, b->count - 1)) : 0;
    for (u32 i = 0; b && i < b->count; i++) {
        if (whole_of(b, i) != i) continue;
        p.of++;
        if (i < a->reached && i != failed) p.held++;
    }
    return p;
}

static const struct ast_expr *whole_failed(const struct attempt *a) {
    const struct ast_body *b = attempt_body(a);
    return b && a->reached < b->count ? b->exprs[whole_of(b, a->reached)] : a->failed;
}

static bool further(const struct attempt *a, const struct attempt *than) {
    struct progress p = progress_of(a), q = progress_of(than);
    u64 x = (u64)p.held * q.of, y = (u64)q.held * p.of;
    if (x != y) return x > y;
    if (p.held != q.held) return p.held > q.held;
    return than->failed->negated && !a->failed->negated;
}

static void consider(const struct attempt *a, const struct attempt **best) {
    if (!a->held && a->failed && (!*best || further(a, *best))) *best = a;
}

/* What the condition that failed needed and did not get; NULL: it stood by itself. */
static const struct attempt *cause_of(const struct policy_why *e, const struct attempt *a) {
    const struct attempt *best = NULL;
    for (u32 i = 0; i < e->count; i++) { /* looked at for its sake */
        const struct attempt *c = &e->attempts[i];
        if (c->parent == a->number && c->trigger == a->failed) consider(c, &best);
    }
    if (best) return best;
    for (u32 i = 0; i < e->count; i++) { /* remembered from before; or a collection that is empty */
        const struct attempt *c = &e->attempts[i];
        if (!c->rule || !needs_rule(a->failed, c->rule)) continue;
        consider(c, &best);
        for (u32 k = i + 1; c->held && k < e->count; k++)
            if (e->attempts[k].parent == c->number && !e->attempts[k].rule)
                consider(&e->attempts[k], &best);
    }
    return best;
}

/* The rule that holds although the condition wants it not to. */
static const struct attempt *held_against(const struct policy_why *e, const struct attempt *a) {
    for (u32 i = 0; i < e->count; i++) {
        const struct attempt *c = &e->attempts[i];
        if (c->held && c->rule && !c->rule->is_default && needs_rule(a->failed, c->rule)) return c;
    }
    return NULL;
}

static const struct ast_rule *rule_around(const struct policy_why *e, const struct attempt *a) {
    for (u32 steps = 0; a && !a->rule && steps < 64; steps++) a = attempt_of(e, a->parent);
    return a ? a->rule : NULL;
}

static void say_step(struct telling *t, const struct attempt *a, bool first, value seen,
                     bool last) {
    const struct ast_rule *r = rule_around(t->e, a);
    struct buf b;
    buf_open(&b, SENTENCE_MAX);
    (void)buf_add(&b, first ? S("The nearest was ") : S("That needs "));
    if (r) put_rule(&b, r);
    else (void)buf_add(&b, S("the query"));
    struct progress p = progress_of(a);
    const struct ast_expr *failed = whole_failed(a);
    if (p.of <= 1) (void)buf_add(&b, S(", which did not hold for want of `"));
    else if (!p.held) /* those behind it were not tried */
        (void)buf_printf(&b, "%s the first of %u conditions did not hold, `",
                         first ? ":" : ", of which", p.of);
    else
        (void)buf_printf(&b, "%s %u of %u conditions held, but not `", first ? ":" : ", of which",
                         p.held, p.of);
    put_plain(&b, source_text(&failed->at), TEXT_MAX);
    (void)buf_add(&b, S("`"));
    if (failed->at.file && failed->at.file->name.len && (!r || failed->at.row != r->head->at.row))
        (void)buf_printf(&b, " (line %u)", failed->at.row);
    if (last) put_seen(&b, seen);
    (void)buf_add(&b, S("."));
    say(t, &b);
    buf_close(&b);
}

static void say_against(struct telling *t, const struct attempt *a) {
    const struct attempt *c =
        a->failed->negated || a->failed->kind == AST_EXPR_NOT ? held_against(t->e, a) : NULL;
    struct buf b;
    if (!c) return;
    buf_open(&b, SENTENCE_MAX);
    put_rule(&b, c->rule);
    (void)buf_add(&b, S(" holds, and must not."));
    say(t, &b);
    buf_close(&b);
}

static void put_members(struct value_builder *b, value from) {
    for (u32 i = 0; i < value_count(from); i++)
        value_builder_replace(b, value_key_at(from, i), value_value_at(from, i));
}

static value nearest(struct telling *t, const struct attempt *a, u32 step) {
    struct value_builder b, condition;
    const struct ast_rule *r = rule_around(t->e, a);
    const struct attempt *cause = step < STEPS_MAX ? cause_of(t->e, a) : NULL;
    const struct ast_expr *failed = whole_failed(a);
    struct progress p = progress_of(a);
    value seen = values_seen(t, a, failed), because = UNDEFINED;
    if (r && !step) t->by = rule_value(t, r);
    say_step(t, a, !step, seen, !cause);
    if (cause) because = nearest(t, cause, step + 1);
    else say_against(t, a);
    value_builder_open(&b, t->heap, VALUE_OBJECT);
    value_builder_open(&condition, t->heap, VALUE_OBJECT);
    if (r) put_members(&b, rule_value(t, r));
    put(t, &b, "held", value_integer(p.held));
    put(t, &b, "of", value_integer(p.of));
    put(t, &condition, "text", text_value(t, source_text(&failed->at)));
    put_location(t, &condition, &failed->at);
    put(t, &b, "condition", value_builder_close(&condition));
    put(t, &b, "values", seen);
    if (value_defined(because)) put(t, &b, "because", because);
    return value_builder_close(&b);
}

/* ---- What fired ---- */

static value fired_one(struct telling *t, const struct attempt *a) {
    const struct ast_rule *r = a->rule;
    struct value_builder b;
    struct buf text;
    value_builder_open(&b, t->heap, VALUE_OBJECT);
    buf_open(&text, KIB(256));
    policy_why_rule_name(&text, r);
    put(t, &b, "rule", value_string(t->heap, buf_str(&text)));
    put_location(t, &b, &r->head->at);
    put(t, &b, "text", text_value(t, first_line(source_text(&r->at))));
    value title = title_of(r, "title"), more = title_of(r, "description");
    if (value_defined(title)) put(t, &b, "title", title);
    if (value_defined(more)) put(t, &b, "description", more);
    if (value_defined(a->held_value)) {
        buf_clear(&text);
        put_value(t, &text, a->held_value);
        put(t, &b, "value", value_string(t->heap, buf_str(&text)));
    }
    buf_close(&text);
    return value_builder_close(&b);
}

static bool fired_before(const struct policy_why *e, const struct attempt *a) {
    for (const struct attempt *b = e->attempts; b < a; b++)
        if (b->held && b->rule == a->rule) return true;
    return false;
}

static value fired(struct telling *t) {
    const struct policy_why *e = t->e;
    struct value_builder list;
    value_builder_open(&list, t->heap, VALUE_ARRAY);
    for (u32 i = 0; i < e->count && list.count < FIRED_MAX; i++) {
        const struct attempt *a = &e->attempts[i];
        if (a->held && a->rule && !fired_before(e, a)) value_builder_add(&list, fired_one(t, a));
    }
    return value_builder_close(&list);
}

/* ---- Sentences of a yes ---- */

static bool stands_on(const struct policy_why *e, const struct attempt *a,
                      const struct attempt *on) {
    for (u32 steps = 0; on && steps < 64; steps++) {
        if (on->parent == a->number) return true;
        on = attempt_of(e, on->parent);
    }
    return false;
}

static void say_support(struct telling *t, const struct attempt *decided) {
    u32 more = 0;
    struct buf b;
    buf_open(&b, SENTENCE_MAX);
    for (u32 i = 0; i < t->e->count; i++) {
        const struct attempt *a = &t->e->attempts[i];
        if (a == decided || !a->held || !a->rule || a->rule->is_default || fired_before(t->e, a) ||
            !stands_on(t->e, decided, a))
            continue;
        if (t->left <= 1 || !value_defined(title_of(a->rule, "title"))) {
            more++;
            continue;
        }
        (void)buf_add(&b, S("It stands on "));
        put_rule(&b, a->rule);
        if (value_defined(a->held_value) && !value_is_true(a->held_value)) {
            (void)buf_add(&b, S(", which is "));
            put_value(t, &b, a->held_value);
        }
        (void)buf_add(&b, S("."));
        say(t, &b);
    }
    if (more) {
        (void)buf_printf(&b, more == 1 ? "%u more rule held; it is listed as fired."
                                       : "%u more rules held; they are listed as fired.", more);
        say(t, &b);
    }
    buf_close(&b);
}

static bool named_before(const value *list, u32 count, value one) {
    for (u32 i = 0; i < count; i++)
        if (value_equal(value_get_str(list[i], S("name")), value_get_str(one, S("name"))))
            return true;
    return false;
}

/* Which conditions held, and on what values: the first few of each. */
static void say_conditions(struct telling *t, const struct attempt *a, struct buf *b) {
    const struct ast_body *body = attempt_body(a);
    value seen[VALUES_MAX];
    u32 told = 0, more = 0, count = 0;
    for (u32 i = 0; body && i < body->count; i++) {
        str text = source_text(&body->exprs[i]->at);
        if (!text.len || whole_of(body, i) != i || str_eq(text, S("true"))) continue;
        if (told == CONDITIONS_TOLD) {
            more++;
            continue;
        }
        (void)buf_add(b, told++ ? S(", `") : S(" because `"));
        put_plain(b, text, TEXT_MAX);
        (void)buf_add(b, S("`"));
        value some = values_seen(t, a, body->exprs[i]);
        for (u32 k = 0; k < value_count(some) && count < ARRAY_LEN(seen); k++)
            if (!named_before(seen, count, value_item(some, k)))
                seen[count++] = value_item(some, k);
    }
    if (more) (void)buf_printf(b, " and %u more", more);
    put_seen(b, value_array(t->heap, seen, count));
}

static void say_decided(struct telling *t, const char *outcome, const struct attempt *a) {
    struct buf b;
    t->by = rule_value(t, a->rule);
    buf_open(&b, SENTENCE_MAX);
    (void)buf_printf(&b, "%s by ", outcome);
    put_rule(&b, a->rule);
    say_conditions(t, a, &b);
    (void)buf_add(&b, S("."));
    say(t, &b);
    buf_close(&b);
    say_support(t, a);
}

/* ---- The whole ---- */

static const char *outcome_of(value result) {
    value allowed = result.kind == VALUE_OBJECT ? value_get_str(result, S("allowed")) : UNDEFINED;
    if (!value_defined(allowed) && result.kind == VALUE_OBJECT)
        allowed = value_get_str(result, S("allow"));
    if (value_is_true(result) || value_is_true(allowed)) return "allowed";
    if (!value_defined(result) || value_is_false(result) || value_is_false(allowed))
        return "denied";
    return "answered";
}

static bool of_path(const struct telling *t, const struct ast_rule *r) {
    struct buf name, want;
    str rest = t->q->path, part;
    buf_open(&name, KIB(4));
    buf_open(&want, KIB(4));
    policy_why_rule_name(&name, r);
    (void)buf_add(&want, S("data"));
    while (str_split(&rest, '/', &part))
        if (part.len) (void)buf_printf(&want, ".%.*s", STR(part));
    str a = buf_str(&name), b = buf_str(&want);
    bool same = str_eq(a, b) ||
                (str_starts(a, b) && (a.ptr[b.len] == '.' || a.ptr[b.len] == '[')) ||
                (str_starts(b, a) && b.ptr[a.len] == '.');
    buf_close(&name);
    buf_close(&want);
    return same;
}

static void say_refused(struct telling *t, const struct attempt *stood, bool any) {
    struct buf b;
    buf_open(&b, SENTENCE_MAX);
    (void)buf_add(&b, S("Denied: "));
    if (!any && !stood) (void)buf_add(&b, S("there is no rule for data."));
    else (void)buf_add(&b, any ? S("no rule for data.") : S("there is only the default of data."));
    str rest = t->q->path, part;
    for (bool dot = false; str_split(&rest, '/', &part);)
        if (part.len) {
            (void)buf_printf(&b, "%s%.*s", dot ? "." : "", STR(part));
            dot = true;
        }
    if (any) (void)buf_add(&b, stood ? S(" held, so its default stands") : S(" held"));
    if (stood && stood->rule->head->at.file) {
        (void)buf_add(&b, S(" ("));
        put_place(&b, &stood->rule->head->at);
        (void)buf_add(&b, S(")"));
    }
    (void)buf_add(&b, S("."));
    say(t, &b);
    buf_close(&b);
}

static value tell_denied(struct telling *t) {
    const struct policy_why *e = t->e;
    const struct attempt *best = NULL, *stood = NULL;
    bool any = false;
    for (u32 i = 0; i < e->count; i++) {
        const struct attempt *a = &e->attempts[i];
        if (!a->rule || !of_path(t, a->rule)) continue;
        if (a->rule->is_default) {
            if (a->held) stood = a;
            continue;
        }
        any = true;
        if (a->held) { /* a rule that says no */
            say_decided(t, "Denied", a);
            return UNDEFINED;
        }
        consider(a, &best);
    }
    say_refused(t, stood, any);
    if (stood) t->by = rule_value(t, stood->rule);
    return best ? nearest(t, best, 0) : UNDEFINED;
}

static void tell_yes(struct telling *t, const char *outcome) {
    const struct attempt *decided = NULL;
    for (u32 i = 0; i < t->e->count && !decided; i++) {
        const struct attempt *a = &t->e->attempts[i];
        if (a->rule && a->held && of_path(t, a->rule)) decided = a;
    }
    if (decided) {
        say_decided(t, outcome, decided);
        return;
    }
    struct buf b;
    buf_open(&b, SENTENCE_MAX);
    (void)buf_printf(&b, "%s from data: no rule was needed.", outcome);
    say(t, &b);
    buf_close(&b);
}

value policy_why_report(const struct policy_why *e, struct heap *h,
                            const struct policy_why_question *q) {
    struct telling t = {
        .e = e, .q = q, .heap = h, .left = q->sentences_max ? q->sentences_max : SENTENCES};
    const char *outcome = outcome_of(q->result);
    struct value_builder b;
    value near = UNDEFINED;
    if (value_defined(q->shown) && value_defined(q->input)) secrets_of(&t, q->input, q->shown);
    value_builder_open(&t.sentences, h, VALUE_ARRAY);
    value_builder_open(&b, h, VALUE_OBJECT);
    if (!strcmp(outcome, "denied")) near = tell_denied(&t);
    else tell_yes(&t, !strcmp(outcome, "allowed") ? "Allowed" : "Answered");
    put(&t, &b, "outcome", value_string_c(h, outcome));
    put(&t, &b, "sentences", value_builder_close(&t.sentences));
    put(&t, &b, "fired", fired(&t));
    if (value_defined(t.by)) put(&t, &b, "by", t.by);
    if (value_defined(near)) put(&t, &b, "nearest", near);
    put(&t, &b, "complete", value_boolean(!e->incomplete));
    return value_builder_close(&b);
}

void policy_why_write(struct buf *to, value report) {
    value list = value_get_str(report, S("sentences"));
    for (u32 i = 0; i < value_count(list); i++) {
        (void)buf_add(to, value_str(value_item(list, i)));
        (void)buf_add(to, S("\n"));
    }
}

void policy_why_query(struct buf *to, str path) {
    struct heap h;
    str part;
    heap_open(&h, MIB(1));
    (void)buf_add(to, S("x := data"));
    while (str_split(&path, '/', &part)) {
        if (!part.len) continue;
        s64 number;
        (void)buf_add(to, S("["));
        if (str_to_s64(part, &number) == RC_OK) (void)buf_printf(to, "%lld", (long long)number);
        else json_text_write(to, value_string(&h, part), 0);
        (void)buf_add(to, S("]"));
    }
    if (h.exhausted) to->failed = true; /* else it would be another question */
    heap_close(&h);
}
