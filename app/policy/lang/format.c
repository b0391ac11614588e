/* SPDX-License-Identifier: Apache-2.0 */
/* format.c — the layout of a policy: package, imports, rules, and the comments between.
 *
 * The tree is written anew; from the source come only the places of its nodes: what began a line
 * of its own does so again, one empty line between things stays one. Comments lie in one list in
 * order of their places. Before a node is written, those above its row are; one in its row waits
 * until the line ends. When a second one would have to wait, or one lies where the layout has no
 * line for it, the node around it is written as it stood (format_term.c).
 *
 * All this follows the reference's formatter step by step, oddities included: whoever formats with
 * both must get the same bytes. */
#include "app/policy/lang/format_impl.h"
#include "kernel/base/limits.h"

/* ---- Places ---- */

int format_compare_places(const struct ast_location *a, const struct ast_location *b) {
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return a->column < b->column ? -1 : a->column > b->column;
}
/* A place for what stands nowhere: its own text. */
struct ast_location format_default_place(struct heap *h, str text, u32 row) {
    struct ast_file *file = heap_alloc(h, sizeof(*file));
    char *copy = heap_alloc(h, text.len + 1);
    if (!file || !copy) return (struct ast_location){.row = row, .column = 1};
    if (text.len) memcpy(copy, text.ptr, text.len);
    copy[text.len] = 0;
    *file = (struct ast_file){S(FORMAT_DEFAULT_FILE), str_of(copy, text.len)};
    return (struct ast_location){file, row, 1, 0, (u32)text.len, 0};
}

s64 end_row_of(const struct ast_location *at) {
    str s = text_at(at);
    s64 row = at->row;
    for (size_t i = 0; i < s.len; i++) row += s.ptr[i] == '\n';
    return row;
}

/* From the first `open` at or behind `*i` to its partner; false: the text ends before. */
static bool pass_pair(str s, size_t *i, char open, char close, s64 *rows) {
    while (*i < s.len && s.ptr[*i] != open) ++*i;
    for (u32 depth = 1; depth;) {
        if (++*i >= s.len) return false;
        if (s.ptr[*i] == open) depth++;
        else if (s.ptr[*i] == close) depth--;
        else if (s.ptr[*i] == '\n') ++*rows;
    }
    return true;
}
s64 format_closing_row(char skip_open, char skip_close, char open, char close,
                       const struct ast_location *at) {
    str s = text_at(at);
    size_t i = 0;
    s64 rows = 0;
    if (skip_open) (void)pass_pair(s, &i, skip_open, skip_close, &rows);
    while (i < s.len && s.ptr[i] != open) i++;
    if (i >= s.len || !pass_pair(s, &i, open, close, &rows)) return -1;
    return (s64)at->row + rows;
}

/* ---- Lines ---- */

void format_start_line(struct format *f) {
    f->inside = true;
    for (u32 i = 0; i < f->level; i++) put_c(f->out, '\t');
}
void format_write_comment(struct format *f, const struct ast_comment *c) {
    put_c(f->out, '#');
    put(f->out, c->text);
}
void format_end_line(struct format *f) {
    f->inside = false;
    if (f->line_end && !f->delay) {
        put_c(f->out, ' ');
        format_write_comment(f, f->line_end);
        f->line_end = NULL;
    }
    f->delay = false;
    put_c(f->out, '\n');
}
void format_blank_line(struct format *f) {
    if (f->inside) format_end_line(f);
    put_c(f->out, '\n');
}

/* ---- Comments ---- */

static bool is_metadata(const struct ast_comment *c) {
    return c->at.column == 1 && str_starts(str_trim(c->text), S("METADATA"));
}
static void write_comment_line(struct format *f, const struct ast_comment *c) {
    if (!f->inside) format_start_line(f);
    format_write_comment(f, c);
    format_end_line(f);
}
void format_write_comments(struct format *f, const struct ast_comment *items, u32 count) {
    bool in_metadata = false;
    for (u32 i = 0; i < count; i++) {
        if (i) { /* rows apart; in one row, columns */
            s64 apart = (s64)items[i].at.row - items[i - 1].at.row;
            if (!apart) apart = (s64)items[i].at.column - items[i - 1].at.column;
            if (apart > 1) {
                format_blank_line(f);
                in_metadata = false;
            } else if (apart == 1 && in_metadata && is_metadata(&items[i])) {
                format_blank_line(f);
            }
        }
        in_metadata = in_metadata || is_metadata(&items[i]);
        write_comment_line(f, &items[i]);
    }
}
u32 format_comments_before(const struct format *f, s64 row) {
    u32 n = 0;
    while (n < f->comments.count && (s64)f->comments.items[n].at.row < row) n++;
    return n;
}
static void drop_comments(struct format *f, u32 n) {
    f->comments.items += n, f->comments.count -= n;
}

enum laid format_insert_comments(struct format *f, s64 row) {
    u32 n = format_comments_before(f, row);
    const struct ast_comment *before = f->comments.items, *at = NULL;
    drop_comments(f, n);
    while (f->comments.count && (s64)f->comments.items[0].at.row == row) {
        at = f->comments.items;
        drop_comments(f, 1);
    }
    format_write_comments(f, before, n);
    if (n && row - (s64)before[n - 1].at.row > 1) format_blank_line(f);
    if (f->line_end) {
        if (!at) return LAID_OK;
        f->line_end = NULL;
        return LAID_COMMENT;
    }
    f->line_end = at;
    return LAID_OK;
}

/* ---- Heads ---- */

static bool term_is_true(const struct ast_term *t) {
    return t->kind == AST_BOOLEAN && value_is_true(t->scalar);
}

static enum laid write_head_ref(struct format *f, const struct ast_head *h) {
    if (f->ref_heads || h->ref->count == 1) {
        enum laid laid = format_write_ref(f, h->ref->terms, h->ref->count, false);
        if (laid) f->comments.count = 0;
        return laid;
    }
    ast_term_write(f->out, h->ref->terms[0]);
    put_c(f->out, '[');
    ast_term_write(f->out, h->ref->terms[1]);
    put_c(f->out, ']');
    return LAID_OK;
}
static bool writes_value(const struct format *f, const struct ast_head *h, bool is_default,
                         bool constant) {
    if (!h->value) return false;
    if (!h->key && term_is_true(h->value) && !constant && !is_default) return false;
    bool ref_constant = f->v1 && constant && !h->key && h->arg_count == 0;
    return !(same_place(&h->at, &h->value->at) && !str_eq(h->name, S("else")) &&
             term_is_true(h->value) && !ref_constant); /* the value was not written: f(1) */
}
static enum laid write_head(struct format *f, const struct ast_head *h, bool is_default,
                            bool constant) {
    if (!f->ref_heads && h->ref->count > 1 && f->comments.count &&
        h->ref->terms[1]->at.row == f->comments.items[0].at.row)
        return format_write_unformatted(f, &h->at);
    enum laid laid = write_head_ref(f, h);
    if (laid) return laid;
    if (h->arg_count) {
        put_c(f->out, '(');
        laid = format_write_list(f, h->args, h->arg_count, false, &h->at,
                                 format_closing_row(0, 0, '(', ')', &h->at));
        put_c(f->out, ')');
        if (laid) return laid;
    }
    if (h->key && !h->value) {
        put(f->out, f->use_contains ? S(" contains ") : S("["));
        if ((laid = format_write_term(f, h->key))) return laid;
        if (!f->use_contains) put_c(f->out, ']');
    }
    if (!writes_value(f, h, is_default, constant)) return LAID_OK;
    put(f->out, h->assign || f->v1 ? S(" := ") : S(" = "));
    return format_write_term(f, h->value);
}

/* ---- Rules ---- */

static bool is_constant(const struct ast_rule *r) {
    const struct ast_expr *e = r->body->count == 1 ? r->body->exprs[0] : NULL;
    return e && e->kind == AST_EXPR_TERM && !e->negated && !e->with_count &&
           term_is_true(e->terms[0]) && !r->otherwise;
}
static bool uses_if(const struct format *f, const struct ast_rule *r) {
    return (f->v1 || f->use_if) && (f->use_contains || r->head->value);
}
/* Written on one line, and so kept next to another such: must agree with write_rule. */
static bool is_one_liner(const struct format *f, const struct ast_rule *r) {
    return r->body->count <= 1 && !r->is_default && !r->otherwise &&
           !(r->body->count == 1 && expr_is_set(r->body->exprs[0])) && uses_if(f, r);
}

static bool else_began_a_line(const struct ast_rule *r) {
    str rest = text_at(&r->at), line = S("");
    s64 at = (s64)r->otherwise->at.row - (s64)r->at.row;
    if (at <= 0) return true;
    bool found = false;
    for (s64 i = 0; i <= at; i++) {
        found = rest.ptr && (rest.len || i == 0);
        size_t n = str_find_byte(rest, '\n');
        line = str_take(rest, n);
        rest = n < rest.len ? str_skip(rest, n + 1) : S("");
    }
    return !found || str_starts(str_trim(line), S("else"));
}
static enum laid write_rule(struct format *f, struct ast_rule *r, bool is_else);
static enum laid write_else(struct format *f, struct ast_rule *r) {
    bool inlined = !else_began_a_line(r);
    struct ast_head *h = r->otherwise->head;
    bool comment_above =
        (f->comments.count && f->comments.items[0].at.row < h->at.row) || f->line_end;
    if (!comment_above && inlined) {
        put_c(f->out, ' ');
    } else {
        format_blank_line(f);
        format_start_line(f);
    }
    struct ast_term *word = ast_var(f->heap, &h->at, S("else"));
    if (!word || !(h->ref = ast_list(f->heap, &h->at, AST_REF, &word, 1))) return LAID_OK;
    h->name = S("else");
    h->arg_count = 0;
    if (format_insert_comments(f, h->at.row)) {
        f->comments.count = 0;
        return LAID_COMMENT;
    }
    if (comment_above && !inlined) format_start_line(f);
    if (h->value) h->value->at = h->at;
    return write_rule(f, r->otherwise, true);
}

/* `if x` on the head's line: when it ended there in the source. */
static bool body_on_head_line(const struct ast_rule *r) {
    return r->body->count == 1 && !expr_is_set(r->body->exprs[0]) &&
           (s64)r->body->exprs[0]->at.row == end_row_of(&r->head->at);
}
static s64 rule_closing_row(const struct ast_rule *r) {
    if (r->head->arg_count) return format_closing_row('(', ')', '{', '}', &r->at);
    if (r->head->key) return format_closing_row('[', ']', '{', '}', &r->at);
    return format_closing_row(0, 0, '{', '}', &r->at);
}
static enum laid write_rule_body(struct format *f, struct ast_rule *r, bool is_else,
                                 bool comment_in_head) {
    bool with_if = uses_if(f, r);
    if (with_if) put(f->out, S(" if"));
    if (with_if && body_on_head_line(r)) {
        put_c(f->out, ' ');
        (void)format_write_expr(f,
                                r->body->exprs[0]); /* as it stood, if need be: nothing is lost */
        format_end_line(f);
        return r->otherwise ? write_else(f, r) : LAID_OK;
    }
    put(f->out, S(" {"));
    if (comment_in_head && f->comments.count) put_c(f->out, ' ');
    else format_end_line(f);
    if (with_if && !is_else) format_mark_union_lead(f, r->body->exprs[0]);
    f->level++;
    (void)format_write_body(f, r->body);
    if (format_insert_comments(f, rule_closing_row(r))) return f->comments.count = 0, LAID_COMMENT;
    f->level -= f->level > 0;
    format_start_line(f);
    put_c(f->out, '}');
    return r->otherwise ? write_else(f, r) : LAID_OK;
}
static enum laid write_rule(struct format *f, struct ast_rule *r, bool is_else) {
    if (!is_else) format_start_line(f);
    if (r->is_default) put(f->out, S("default "));
    bool constant = is_constant(r);
    f->comment_on_final_line = constant;
    bool comment_in_head = write_head(f, r->head, r->is_default, constant) != LAID_OK;
    if (r->body->count == 0 || constant) {
        format_end_line(f);
        return LAID_OK;
    }
    f->comment_on_final_line = true;
    return write_rule_body(f, r, is_else, comment_in_head);
}
static void write_rules(struct format *f, struct ast_rule **rules, u32 n) {
    for (u32 i = 0; i < n; i++) {
        (void)format_insert_comments(f, rules[i]->at.row);
        bool one_liner = is_one_liner(f, rules[i]);
        (void)write_rule(f, rules[i], false);
        if (i + 1 < n && one_liner && is_one_liner(f, rules[i + 1]) &&
            rules[i + 1]->at.row == rules[i]->at.row + 1)
            continue;
        format_blank_line(f);
    }
}

/* ---- The module ---- */

static void write_package(struct format *f, const struct ast_module *m) {
    (void)format_insert_comments(f, m->package_at.row);
    format_start_line(f);
    put(f->out, S("package "));
    struct comment_list comments = f->comments;
    f->comments.count = 0;
    (void)format_write_ref(f, m->package->terms + 1, m->package->count - 1, false);
    f->comments = comments;
    format_blank_line(f);
}
static void sort_rules(struct ast_rule **rules, struct ast_rule **spare, u32 n) {
    bool sorted = true;
    for (u32 i = 1; i < n && sorted; i++)
        sorted = format_compare_places(&rules[i - 1]->at, &rules[i]->at) <= 0;
    if (sorted || !spare) return;
    u32 half = n / 2;
    sort_rules(rules, spare, half);
    sort_rules(rules + half, spare, n - half);
    memcpy(spare, rules, half * sizeof(*rules));
    for (u32 a = 0, b = half, to = 0; a < half; to++) {
        bool right = b < n && format_compare_places(&rules[b]->at, &spare[a]->at) < 0;
        rules[to] = right ? rules[b++] : spare[a++];
    }
}
static void copy_comments(struct format *f, const struct ast_module *m) {
    struct ast_comment *list = heap_alloc(f->heap, MAX(m->comment_count, 1u) * sizeof(*list));
    if (!list) return;
    for (u32 i = 0; i < m->comment_count; i++) {
        list[i] = m->comments[i];
        str *s = &list[i].text;
        while (s->len && strchr(" \t\r\n\v\f", s->ptr[s->len - 1])) s->len--;
        while (s->len > 1 &&
               (u8)s->ptr[s->len - 2] == 0xc2 && /* U+0085 and U+00A0 are blanks too */
               ((u8)s->ptr[s->len - 1] == 0x85 || (u8)s->ptr[s->len - 1] == 0xa0))
            s->len -= 2;
    }
    f->comments = (struct comment_list){list, m->comment_count};
}
static void write_module(struct format *f, struct ast_module *m) {
    copy_comments(f, m);
    format_sort_imports(f, m);
    sort_rules(m->rules, heap_alloc(f->heap, MAX(m->rule_count, 1u) * sizeof(struct ast_rule *)),
               m->rule_count);
    u32 i = format_added_in_front(m), r = 0;
    write_package(f, m);
    format_write_imports(f, m->imports, i);
    while (i < m->import_count ||
           r < m->rule_count) { /* by place: imports may stand between rules */
        u32 from = i;
        while (
            i < m->import_count &&
            (r == m->rule_count || format_compare_places(&m->imports[i].at, &m->rules[r]->at) <= 0))
            i++;
        if (i > from) format_write_imports(f, m->imports + from, i - from);
        from = r;
        while (r < m->rule_count &&
               (i == m->import_count ||
                format_compare_places(&m->rules[r]->at, &m->imports[i].at) < 0))
            r++;
        if (r > from) write_rules(f, m->rules + from, r - from);
    }
    u32 left = f->comments.count;
    for (u32 c = 0; c < left; c++) write_comment_line(f, &f->comments.items[c]);
    if (left) put_c(f->out, '\n');
}

/* ---- Before writing ---- */

/* A wildcard that stands twice cannot be `_` twice: it gets a name. */
struct wildcard { str name; struct ast_term *first; };
struct prepare {
    struct format *f;
    unsigned needed;
    struct wildcard *seen; /* open addressing by the number in the name */
    u32 mask, count;
};
static struct wildcard *wildcard_slot(struct prepare *p, str name) {
    u32 i = (u32)str_hash(name, 1);
    while (p->seen[i & p->mask].name.len && !str_eq(p->seen[i & p->mask].name, name)) i++;
    return &p->seen[i & p->mask];
}
static void wildcards_grow(struct prepare *p) {
    u32 old_room = p->seen ? p->mask + 1 : 0, room = MAX(old_room * 2, 64u);
    struct wildcard *old = p->seen, *grown = heap_alloc(p->f->heap, room * sizeof(*grown));
    if (!grown) return;
    memset(grown, 0, room * sizeof(*grown));
    p->seen = grown, p->mask = room - 1;
    for (u32 i = 0; i < old_room; i++)
        if (old[i].name.len) *wildcard_slot(p, old[i].name) = old[i];
}
static void unmangle(struct prepare *p, struct ast_term *t) {
    if (t->kind != AST_VAR || !str_starts(t->var, S("$"))) return;
    if (!p->seen || p->count * 2 > p->mask) wildcards_grow(p);
    if (!p->seen || p->count >= p->mask) return;
    struct wildcard *w = wildcard_slot(p, t->var);
    if (!w->name.len) {
        *w = (struct wildcard){t->var, t};
        p->count++;
        return;
    }
    str digits = str_skip(t->var, 1);
    char *name = heap_alloc(p->f->heap, digits.len + 1);
    if (!name) return;
    bool bare = digits.len == 0 || digits.ptr[0] != '_';
    name[0] = '_';
    memcpy(name + bare, digits.ptr, digits.len);
    str renamed = str_of(name, digits.len + bare);
    if (w->first) w->first->var = renamed, w->first = NULL;
    t->var = renamed;
}
static void give_place(struct prepare *p, struct ast_location *at,
                       void (*write)(struct buf *to, const void *node), const void *node) {
    if (at->file && !p->f->options->ignore_locations) return;
    struct buf b;
    buf_open(&b, POLICY_SOURCE_BYTES_MAX);
    write(&b, node);
    *at = format_default_place(p->f->heap, buf_str(&b), 1);
    buf_close(&b);
}
static void write_term_node(struct buf *to, const void *t) { ast_term_write(to, t); }
static void write_expr_node(struct buf *to, const void *e) { ast_expr_write(to, e); }
static void write_head_node(struct buf *to, const void *h) { ast_head_write(to, h); }
static void write_rule_node(struct buf *to, const void *r) { ast_rule_write(to, r); }

static bool prepare_term(struct ast_walk *w, struct ast_term **slot) {
    struct prepare *p = w->arg;
    unmangle(p, *slot);
    give_place(p, &(*slot)->at, write_term_node, *slot);
    return true;
}
static bool prepare_expr(struct ast_walk *w, struct ast_expr *e) {
    struct prepare *p = w->arg;
    u32 arity;
    const char *symbol = e->kind == AST_EXPR_CALL ? ast_infix_of(e->terms[0], &arity) : NULL;
    if (symbol && strcmp(symbol, "in") == 0) p->needed |= NEED_IN;
    if (e->kind == AST_EXPR_EVERY) p->needed |= NEED_EVERY;
    if (e->kind == AST_EXPR_NOT || (e->negated && e->kind == AST_EXPR_LOGICAL))
        p->needed |= NEED_NOT;
    if (e->kind == AST_EXPR_LOGICAL) p->needed |= e->logical->op == AST_AND ? NEED_AND : NEED_OR;
    give_place(p, &e->at, write_expr_node, e);
    for (u32 i = 0; i < e->with_count; i++)
        if (!e->with[i].at.file || p->f->options->ignore_locations) e->with[i].at = e->at;
    return true;
}
static void prepare_rule(struct prepare *p, struct ast_walk *w, struct ast_rule *r) {
    for (; r; r = r->otherwise) {
        struct ast_head *h = r->head;
        give_place(p, &r->at, write_rule_node, r);
        give_place(p, &h->at, write_head_node, h);
        for (u32 i = 0; i < h->arg_count; i++) ast_walk_term(w, &h->args[i]);
        if (h->key) ast_walk_term(w, &h->key);
        if (h->value) ast_walk_term(w, &h->value);
        for (u32 i = 0; i < h->ref->count; i++)
            give_place(p, &h->ref->terms[i]->at, write_term_node, h->ref->terms[i]);
        ast_walk_body(w, r->body);
        if (h->ref->count > 2 || (h->ref->count == 2 && h->key && !h->value))
            p->f->ref_heads = true;
    }
}
/* One call from outside: the state of writing, of preparing, and of the walk that prepares. */
struct layout { struct format f; struct prepare p; struct ast_walk w; u32 errors_before; };
static void layout_open(struct layout *l, struct heap *h, const struct format_options *o,
                        struct buf *out, struct policy_errors *errors) {
    bool v1 = o->version != REGO_V0;
    l->f = (struct format){.heap = h, .errors = errors, .options = o, .out = out,
                           .v1 = v1, .use_if = v1, .use_contains = v1};
    l->p = (struct prepare){.f = &l->f};
    l->w = (struct ast_walk){.term = prepare_term, .expr = prepare_expr, .arg = &l->p};
    l->errors_before = errors->count;
}
static rc_t layout_close(struct layout *l) {
    struct buf *out = l->f.out;
    if (l->f.errors->count > l->errors_before) return RC_INVALID;
    if (l->f.heap->exhausted) return RC_NO_MEMORY;
    while (out->len > 1 && out->ptr[out->len - 1] == '\n' && out->ptr[out->len - 2] == '\n')
        out->len--;
    return out->failed ? RC_LIMIT : RC_OK;
}

rc_t format_module(struct heap *h, struct ast_module *m, const struct format_options *o,
                   struct buf *out, struct policy_errors *errors) {
    struct layout l;
    layout_open(&l, h, o, out, errors);
    format_heed_imports(&l.f, m);
    for (u32 i = 0; i < m->rule_count; i++) prepare_rule(&l.p, &l.w, m->rules[i]);
    format_settle_imports(&l.f, m, l.p.needed);
    write_module(&l.f, m);
    return layout_close(&l);
}
rc_t format_rule(struct heap *h, struct ast_rule *r, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors) {
    struct layout l;
    layout_open(&l, h, o, out, errors);
    prepare_rule(&l.p, &l.w, r);
    (void)write_rule(&l.f, r, false);
    return layout_close(&l);
}
rc_t format_body(struct heap *h, struct ast_body *b, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors) {
    struct layout l;
    layout_open(&l, h, o, out, errors);
    ast_walk_body(&l.w, b);
    if (b->count) (void)format_write_body(&l.f, b);
    return layout_close(&l);
}
rc_t format_expr(struct heap *h, struct ast_expr *e, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors) {
    struct layout l;
    layout_open(&l, h, o, out, errors);
    ast_walk_expr(&l.w, e);
    (void)format_write_expr(&l.f, e);
    return layout_close(&l);
}
rc_t format_term(struct heap *h, struct ast_term *t, const struct format_options *o,
                 struct buf *out, struct policy_errors *errors) {
    struct layout l;
    layout_open(&l, h, o, out, errors);
    ast_walk_term(&l.w, &t);
    (void)format_write_term(&l.f, t);
    return layout_close(&l);
}

rc_t format_source(struct heap *h, str file_name, str text, const struct parse_options *parse,
                   const struct format_options *o, struct buf *out, struct policy_errors *errors) {
    struct ast_module *m;
    rc_t rc = parse_module(h, file_name, text, parse, &m, errors);
    if (rc) return rc;
    u32 before = errors->count;
    if (o->version != REGO_V0) format_check_v1(m, errors);
    return errors->count > before ? RC_INVALID : format_module(h, m, o, out, errors);
}
