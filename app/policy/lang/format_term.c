/* SPDX-License-Identifier: Apache-2.0 */
/* format_term.c — the layout of terms. Collections keep the lines their members were on, with a
 * comma behind each and the brackets on lines of their own; else all goes on one line.
 *
 * A term that meets a comment it has no line for is taken back and written as it stood, comments
 * and all; whoever asked is told (LAID_COMMENT), since the reference often drops what it knew of
 * further comments then. */
#include "app/policy/lang/format_impl.h"

static enum laid lose(struct format *f, enum laid laid) {
    if (laid) f->comments.count = 0;
    return laid;
}

/* ---- Lists ---- */

struct item {
    const struct ast_term *term, *value;
    const struct ast_expr *expr;
}; /* term, pair, expression */

static const struct ast_location *item_at(const struct item *i) {
    return i->expr ? &i->expr->at : &i->term->at;
}

struct trust { bool no; };
static bool check_place(struct ast_walk *w, struct ast_term **t) {
    struct trust *trust = w->arg;
    const struct ast_location *at = &(*t)->at;
    trust->no = trust->no || (at->file && str_eq(at->file->name, S(FORMAT_DEFAULT_FILE))) ||
                ((*t)->kind == AST_VAR && str_starts((*t)->var, S("__local")));
    return !trust->no;
}
/* Whether all stands where it says: what programs made does not. */
static bool places_hold(const struct item *items, u32 n) {
    struct trust trust = {false};
    struct ast_walk w = {.term = check_place, .arg = &trust};
    for (u32 i = 0; i < n && !trust.no; i++) {
        struct ast_term *t = (struct ast_term *)items[i].term,
                        *v = (struct ast_term *)items[i].value;
        if (t) ast_walk_term(&w, &t);
        if (v) ast_walk_term(&w, &v);
        if (items[i].expr) ast_walk_expr(&w, (struct ast_expr *)items[i].expr);
    }
    return !trust.no;
}
static bool before(const struct item *a, const struct item *b) {
    const struct ast_location *x = item_at(a), *y = item_at(b);
    return x->row != y->row ? x->row < y->row : x->column < y->column;
}
static void sort_items(struct item *items, struct item *spare, u32 n) {
    bool sorted = true;
    for (u32 i = 1; i < n && sorted; i++) sorted = !before(&items[i], &items[i - 1]);
    if (sorted || !spare) return;
    u32 half = n / 2;
    sort_items(items, spare, half);
    sort_items(items + half, spare, n - half);
    memcpy(spare, items, half * sizeof(*items));
    for (u32 a = 0, b = half, to = 0; a < half; to++) {
        bool right = b < n && before(&items[b], &spare[a]);
        items[to] = right ? items[b++] : spare[a++];
    }
}
/* Puts them in order of place; `starts[i]`: item i begins a line. Returns the number of lines. */
static u32 group_lines(struct format *f, struct item *items, u32 n, u32 last_row, bool *starts) {
    for (u32 i = 0; i < n; i++) starts[i] = false;
    if (!places_hold(items, n)) return 1;
    sort_items(items, n > 1 ? heap_alloc(f->heap, n * sizeof(*items)) : NULL, n);
    u32 lines = 1;
    for (u32 i = 0; i < n; i++) {
        u32 row = item_at(&items[i])->row;
        if (row > last_row && i) starts[i] = true, lines++;
        last_row = row;
    }
    return lines;
}

static enum laid write_pair(struct format *f, const struct item *i) {
    bool key_parens = term_is_union(i->term), value_parens = term_is_union(i->value);
    if (key_parens) put_c(f->out, '(');
    if (format_write_term(f, i->term)) return lose(f, LAID_COMMENT);
    if (key_parens) put_c(f->out, ')');
    put(f->out, S(": "));
    if (value_parens) put_c(f->out, '(');
    enum laid laid = format_write_term(f, i->value);
    if (value_parens) put_c(f->out, ')');
    return laid;
}
static enum laid write_item(struct format *f, const struct item *i, bool union_parens) {
    if (i->value) return write_pair(f, i);
    str s = text_at(&i->term->at);
    bool parens = term_is_union(i->term) && (union_parens || str_starts(s, S("(")));
    if (parens) put_c(f->out, '(');
    enum laid laid = format_write_term(f, i->term);
    if (parens) put_c(f->out, ')');
    return laid;
}
/* A line ended between the opening bracket and the first item, if the text tells. */
static bool line_ends_before(const struct ast_location *last, const struct ast_term *first) {
    str s = text_at(last), needle = text_at(&first->at);
    size_t cut = str_find(s, needle);
    return cut < s.len && cut > 0 && str_find_byte(str_take(s, cut), '\n') - 1 < cut - 1;
}
static enum laid write_lines(struct format *f, struct item *items, u32 n, bool *starts,
                             bool union_parens) {
    for (u32 i = 0; i < n; i++) {
        if (starts[i]) {
            put_c(f->out, ',');
            format_end_line(f);
            format_start_line(f);
        } else if (i) {
            put(f->out, S(", "));
        }
        if (write_item(f, &items[i], union_parens)) return lose(f, LAID_COMMENT);
    }
    return LAID_OK;
}
/* `last`: what stands before the items; `close_row`: of the closing bracket. */
static enum laid write_items(struct format *f, struct item *items, u32 n,
                             const struct ast_location *last, s64 close_row, bool union_parens) {
    bool *starts = heap_alloc(f->heap, MAX(n, 1u) * sizeof(*starts)), first_on_own_line = false;
    if (!starts) return LAID_OK;
    u32 lines = group_lines(f, items, n, last->row, starts);
    if (lines == 1) {
        for (u32 i = 0; i < f->comments.count && (s64)f->comments.items[i].at.row < close_row; i++)
            if (f->comments.items[i].at.row > last->row) return LAID_COMMENT;
        first_on_own_line = n && line_ends_before(last, items[0].term);
    }
    bool many = lines > 1 || first_on_own_line;
    if (many) {
        f->delay = true;
        format_end_line(f);
        f->level++;
        format_start_line(f);
    }
    if (write_lines(f, items, n, starts, union_parens)) return LAID_COMMENT;
    if (!many) return LAID_OK;
    put_c(f->out, ',');
    format_end_line(f);
    if (format_insert_comments(f, close_row)) return lose(f, LAID_COMMENT);
    f->level -= f->level > 0;
    format_start_line(f);
    return LAID_OK;
}
static struct item *items_of(struct format *f, u32 n) {
    struct item *items = heap_alloc(f->heap, MAX(n, 1u) * sizeof(*items));
    if (items) memset(items, 0, n * sizeof(*items));
    return items;
}
enum laid format_write_list(struct format *f, struct ast_term *const *terms, u32 count,
                            bool union_parens, const struct ast_location *last, s64 close_row) {
    struct item *items = items_of(f, count);
    for (u32 i = 0; items && i < count; i++) items[i].term = terms[i];
    return items ? write_items(f, items, count, last, close_row, union_parens) : LAID_OK;
}

/* ---- Collections ---- */

static enum laid write_object(struct format *f, const struct ast_term *t) {
    struct item *items = items_of(f, t->count);
    put_c(f->out, '{');
    for (u32 i = 0; items && i < t->count; i++)
        items[i].term = t->pairs[i].key, items[i].value = t->pairs[i].value;
    enum laid laid = items ? write_items(f, items, t->count, &t->at,
                                         format_closing_row(0, 0, '{', '}', &t->at), false)
                           : LAID_OK;
    put_c(f->out, '}');
    return laid;
}
static enum laid write_array_or_set(struct format *f, const struct ast_term *t) {
    bool array = t->kind == AST_ARRAY;
    if (!array && t->count == 0) {
        put(f->out, S("set()"));
        return format_insert_comments(f, format_closing_row(0, 0, '(', ')', &t->at));
    }
    char open = array ? '[' : '{', close = array ? ']' : '}';
    put_c(f->out, open);
    enum laid laid = format_write_list(f, t->terms, t->count, true, &t->at,
                                       format_closing_row(0, 0, open, close, &t->at));
    put_c(f->out, close);
    return laid;
}

enum laid format_write_comprehension_body(struct format *f, char open, char close,
                                          const struct ast_body *b,
                                          const struct ast_location *before_body,
                                          const struct ast_location *whole) {
    struct item *items = items_of(f, b->count);
    bool *starts = heap_alloc(f->heap, MAX(b->count, 1u) * sizeof(*starts));
    if (!items || !starts || !b->count) return LAID_OK;
    for (u32 i = 0; i < b->count; i++) items[i].expr = b->exprs[i];
    u32 lines = group_lines(f, items, b->count, before_body->row, starts);
    bool many = b->exprs[0]->at.row > before_body->row || lines > 1;
    enum laid laid = LAID_OK;
    if (many) {
        format_end_line(f);
        f->level++;
        laid = format_write_body(f, b);
    } else {
        put_c(f->out, ' ');
        for (u32 i = 0; i < b->count && !laid; i++) {
            if (i) put(f->out, S("; "));
            laid = format_write_expr(f, b->exprs[i]);
        }
    }
    if (!laid)
        laid = lose(f, format_insert_comments(f, format_closing_row(0, 0, open, close, whole)));
    if (many) {
        f->level -= f->level > 0;
        format_start_line(f);
    }
    return laid;
}
static enum laid write_comprehension(struct format *f, const struct ast_term *t) {
    bool array = t->kind == AST_ARRAY_COMPREHENSION;
    char open = array ? '[' : '{', close = array ? ']' : '}';
    struct ast_term *head = t->comprehension.head, *key = t->comprehension.key;
    enum laid laid = LAID_OK;
    put_c(f->out, open);
    if (key) {
        head->at.row = t->at.row; /* the value stays behind its key */
        bool parens = term_is_union(key);
        if (parens) put_c(f->out, '(');
        laid = lose(f, format_write_term(f, key));
        if (parens && !laid) put_c(f->out, ')');
        if (!laid) put(f->out, S(": "));
    }
    if (!laid && head->at.row > t->at.row) {
        format_end_line(f);
        format_start_line(f);
    }
    bool parens =
        head->kind == AST_CALL && (term_is_union(head) || str_starts(text_at(&head->at), S("(")));
    if (!laid) laid = lose(f, format_write_term_in(f, parens, head));
    if (!laid) {
        put(f->out, S(" |"));
        laid = format_write_comprehension_body(f, open, close, t->comprehension.body, &head->at,
                                               &t->at);
    }
    put_c(f->out, close);
    return laid;
}

/* ---- Strings ---- */

/* As it was written. Its text may be that of a whole `else := "x"`: then from the quote on. */
static void write_string(struct format *f, const struct ast_term *t) {
    str s = text_at(&t->at);
    char last = s.len ? s.ptr[s.len - 1] : 0;
    size_t quote = last == '"' || last == '`' ? str_find_byte(s, last) : s.len;
    if (s.len && s.ptr[0] == '`') put(f->out, s);
    else if (quote < s.len) put(f->out, str_skip(s, quote));
    else value_write(f->out, t->scalar);
}

/* Comments within the braces get lines of their own. */
static void write_comments_inside(struct format *f, u32 n) {
    const struct ast_comment *items = f->comments.items;
    f->comments.items += n, f->comments.count -= n;
    format_write_comments(f, items, n);
}
static enum laid write_part_expr(struct format *f, const struct ast_expr *e,
                                 const struct ast_location *next) {
    put_c(f->out, '{');
    f->level++;
    if (f->line_end) {
        format_end_line(f);
        format_start_line(f);
    } else {
        u32 n = format_comments_before(f, e->at.row);
        if (n) {
            put_c(f->out, ' ');
            f->inside = true;
            write_comments_inside(f, n);
        }
    }
    if (format_write_expr(f, e)) return LAID_COMMENT;
    u32 n = next ? format_comments_before(f, next->row) : 0;
    if (n) {
        format_end_line(f);
        write_comments_inside(f, n);
        format_start_line(f);
    }
    put_c(f->out, '}');
    f->level -= f->level > 0;
    return LAID_OK;
}
static enum laid write_template(struct format *f, const struct ast_term *t) {
    put(f->out, t->multiline ? S("$`") : S("$\""));
    for (u32 i = 0; i < t->count; i++) {
        const struct ast_part *part = &t->parts[i],
                              *next = i + 1 < t->count ? &t->parts[i + 1] : NULL;
        if (part->expr) {
            if (write_part_expr(f, part->expr,
                                next ? next->expr ? &next->expr->at : &next->text->at : NULL))
                return LAID_COMMENT;
        } else if (part->text->kind != AST_STRING) {
            ast_term_write(f->out, part->text);
        } else if (t->multiline) {
            write_template_text(f->out, value_str(part->text->scalar));
        } else {
            write_template_quoted(f->out, part->text->scalar);
        }
    }
    put_c(f->out, t->multiline ? '`' : '"');
    return LAID_OK;
}

/* ---- References and calls ---- */

static bool is_keyword(const struct format *f, str s) {
    static const char *const words[] = {"not",  "package", "import",   "as",   "default",
                                        "else", "with",    "null",     "true", "false",
                                        "some", "if",      "contains", "in",   "every"};
    for (size_t i = 0; i < (f->v1 ? ARRAY_LEN(words) : 11); i++)
        if (str_eq(s, str_from_c(words[i]))) return true;
    return false;
}
/* After a dot if it may stand there, and keywords only if they did. */
static void write_ref_string(struct format *f, const struct ast_term *t, bool keywords_plain) {
    str s = value_str(t->scalar);
    bool quoted = str_starts(text_at(&t->at), S("\""));
    if (write_is_plain_name(s) && (keywords_plain || !quoted || !is_keyword(f, s))) {
        put_c(f->out, '.');
        put(f->out, s);
        return;
    }
    put_c(f->out, '[');
    value_write(f->out, t->scalar);
    put_c(f->out, ']');
}
enum laid format_write_ref(struct format *f, struct ast_term *const *terms, u32 count,
                           bool keywords_plain) {
    const struct ast_term *head = terms[0];
    bool parens = head->kind == AST_CALL && str_starts(text_at(&head->at), S("("));
    if (head->kind == AST_STRING) put(f->out, value_str(head->scalar)); /* a package's first part */
    else if (format_write_term_in(f, parens, head)) return lose(f, LAID_COMMENT);
    for (u32 i = 1; i < count; i++) {
        const struct ast_term *t = terms[i];
        if (t->kind == AST_STRING) {
            write_ref_string(f, t, keywords_plain);
            continue;
        }
        put_c(f->out, '[');
        if (t->kind == AST_VAR) ast_term_write(f->out, t);
        else if (format_write_term(f, t))
            put_c(f->out, '\n'); /* a comment must not swallow the bracket */
        put_c(f->out, ']');
    }
    return LAID_OK;
}

enum laid format_write_call(struct format *f, struct ast_term *const *terms, u32 count) {
    const struct ast_location *at = &terms[0]->at;
    if (terms[0]->kind != AST_REF) ast_term_write(f->out, terms[0]);
    else if (format_write_ref(f, terms[0]->terms, terms[0]->count, false)) return LAID_COMMENT;
    put_c(f->out, '(');
    enum laid laid = lose(f, format_write_list(f, terms + 1, count - 1, false, at,
                                               format_closing_row(0, 0, '(', ')', at)));
    put_c(f->out, ')');
    return laid;
}

enum laid format_write_in(struct format *f, bool parens, struct ast_term *const *operands,
                          u32 count, u32 arity, const struct ast_location *at) {
    if (count != arity) {
        format_arity_error(f, operands, count,
                           arity == 3 ? S("internal.member_3") : S("internal.member_2"), at);
        return LAID_OK;
    }
    parens = parens && count == 3;
    if (parens) put_c(f->out, '(');
    enum laid laid = LAID_OK;
    for (u32 i = 0; i < count && !laid; i++) {
        if (i) put(f->out, i + 1 == count ? S(" in ") : S(", "));
        laid = lose(f, format_write_term_in(f, true, operands[i]));
    }
    if (parens) put_c(f->out, ')');
    return laid;
}
static enum laid write_call_term(struct format *f, bool parens, const struct ast_term *t) {
    u32 arity;
    const char *symbol = ast_infix_of(t->terms[0], &arity);
    if (!symbol) return format_write_call(f, t->terms, t->count);
    if (strcmp(symbol, "in") == 0)
        return format_write_in(f, true, t->terms + 1, t->count - 1, arity, &t->at);
    if (parens) put_c(f->out, '(');
    if (t->count != arity + 1) {
        format_arity_error(f, t->terms + 1, t->count - 1, t->terms[0]->terms[0]->var, &t->at);
        return LAID_OK;
    }
    if (format_write_term_in(f, true, t->terms[1])) return lose(f, LAID_COMMENT);
    putf(f->out, " %s ", symbol);
    if (format_write_term_in(f, true, t->terms[2])) return lose(f, LAID_COMMENT);
    if (parens) put_c(f->out, ')');
    return LAID_OK;
}

/* ---- Any term ---- */

enum laid format_write_unformatted(struct format *f, const struct ast_location *at) {
    str s = text_at(at);
    s64 last_row = end_row_of(at);
    put(f->out, s);
    u32 n = format_comments_before(f, last_row); /* they are part of the text, or above it */
    f->comments.items += n, f->comments.count -= n;
    while (f->comment_on_final_line && f->comments.count &&
           (s64)f->comments.items[0].at.row == last_row) {
        put_c(f->out, ' ');
        put(f->out, text_at(&f->comments.items[0].at));
        f->comments.items++, f->comments.count--;
    }
    return LAID_OK;
}

enum laid format_write_term_in(struct format *f, bool parens, const struct ast_term *t) {
    if (f->paren_term == t) {
        f->paren_term = NULL;
        parens = true;
    }
    if (format_insert_comments(f, t->at.row)) return lose(f, LAID_COMMENT);
    if (!f->inside) format_start_line(f);
    enum laid laid = LAID_OK;
    switch (t->kind) {
    case AST_REF: laid = format_write_ref(f, t->terms, t->count, false); break;
    case AST_OBJECT: laid = write_object(f, t); break;
    case AST_ARRAY:
    case AST_SET: laid = write_array_or_set(f, t); break;
    case AST_ARRAY_COMPREHENSION:
    case AST_OBJECT_COMPREHENSION:
    case AST_SET_COMPREHENSION: laid = write_comprehension(f, t); break;
    case AST_STRING: write_string(f, t); break;
    case AST_TEMPLATE_STRING: laid = write_template(f, t); break;
    case AST_CALL: laid = write_call_term(f, parens, t); break;
    default: ast_term_write(f->out, t); break;
    }
    if (laid) return lose(f, laid);
    if (!f->inside) format_start_line(f);
    return LAID_OK;
}

enum laid format_write_term(struct format *f, const struct ast_term *t) {
    if (f->comments.count == 0) return format_write_term_in(f, false, t);
    size_t len = f->out->len;
    u32 level = f->level;
    struct comment_list comments = f->comments;
    enum laid laid = format_write_term_in(f, false, t);
    if (!laid) return LAID_OK;
    f->out->len = len, f->level = level;
    if (f->line_end && t->at.len && f->line_end->at.row >= t->at.row &&
        (s64)f->line_end->at.row <= end_row_of(&t->at))
        f->line_end = NULL; /* it is part of the text */
    f->comments = comments;
    (void)format_write_unformatted(f, &t->at);
    return LAID_COMMENT;
}
