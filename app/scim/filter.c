/* SPDX-License-Identifier: Apache-2.0 */
/* filter.c — the text of a filter, and of a PATCH's path, as a tree (RFC 7644 3.4.2.2, 3.5.2).
 *
 *    or    = and *( " or " and )        and = term *( " and " term )
 *    term  = [ "not" ] "(" or ")" / path "[" or "]" / path " pr" / path SP op SP value
 *    value = JSON text, number, true, false, null
 *    PATH  = path [ "[" or "]" [ "." name ] ]
 *
 * Words and names are of any case. Always true: depth, length and the number of comparisons are
 * bounded before memory is; nothing is looked up here, a name that does not exist is where.c's. */
#include "app/scim/scim_impl.h"

struct reading {
    struct arena *a;
    str rest;
    struct diag *why;
    u32 depth, tests;
};

static rc_t wrong(struct reading *r, const char *wanted) {
    diag_set(r->why, "%s is wanted before \"%.*s\"", wanted, STR(str_take(r->rest, 40)));
    return RC_INVALID;
}

static void blanks(struct reading *r) {
    while (r->rest.len && r->rest.ptr[0] == ' ') r->rest = str_skip(r->rest, 1);
}

static bool letter(char c) {
    return (u8)((c | 32) - 'a') < 26;
}
static bool name_letter(char c) {
    return letter(c) || (u8)(c - '0') < 10 || c == '_' || c == '-' || c == '$';
}

/* Takes the word if it stands there alone; any case. */
static bool word(struct reading *r, str wanted) {
    bool there = str_eq_nocase(str_take(r->rest, wanted.len), wanted) &&
                 (r->rest.len == wanted.len || !name_letter(r->rest.ptr[wanted.len]));
    if (there) r->rest = str_skip(r->rest, wanted.len);
    return there;
}
static bool sign(struct reading *r, char c) {
    bool there = r->rest.len && r->rest.ptr[0] == c;
    if (there) r->rest = str_skip(r->rest, 1);
    return there;
}

str scim_plain_path(str path) {
    if (!str_eq_nocase(str_take(path, 4), S("urn:"))) return path;
    size_t last = path.len;
    while (last && path.ptr[last - 1] != ':') last--;
    return str_skip(path, last);
}

/* Letters of a path, a schema's URN (with its dots and digits) in front included. */
static rc_t path_read(struct reading *r, str *out) {
    size_t n = 0;
    while (n < r->rest.len &&
           (name_letter(r->rest.ptr[n]) || r->rest.ptr[n] == '.' || r->rest.ptr[n] == ':'))
        n++;
    *out = scim_plain_path(str_take(r->rest, n));
    if (!out->len || !letter(out->ptr[0]) || out->ptr[out->len - 1] == '.')
        return wrong(r, "a name");
    r->rest = str_skip(r->rest, n);
    return RC_OK;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* How long the JSON scalar at the front is; 0: none. */
static size_t scalar_len(str s) {
    size_t n = 1;
    if (!s.len) return 0;
    if (s.ptr[0] != '"') {
        for (n = 0; n < s.len && !strchr(" )]", s.ptr[n]); n++) {}
        return n;
    }
    while (n < s.len && s.ptr[n] != '"') n += s.ptr[n] == '\\' ? 2 : 1;
    return n < s.len ? n + 1 : 0;
}

static rc_t value_read(struct reading *r, const cJSON **out) {
    struct diag inner;
    cJSON *root = NULL;
    size_t n = scalar_len(r->rest);
    rc_t rc = n ? json_parse(r->a, str_take(r->rest, n), &root, &inner) : RC_INVALID;
    if (rc == RC_NO_MEMORY) return rc;
    if (rc || cJSON_IsObject(root) || cJSON_IsArray(root))
        return wrong(r, "a text in quotes, a number, true, false or null");
    r->rest = str_skip(r->rest, n);
    *out = root;
    return RC_OK;
}

/* ---- The tree -------------------------------------------------------------------------------- */

static rc_t or_read(struct reading *r, const struct scim_filter **out);

static rc_t node(struct reading *r, const struct scim_filter *like,
                 const struct scim_filter **out) {
    struct scim_filter *f = arena_alloc(r->a, sizeof *f);
    if (!f) return RC_NO_MEMORY;
    *f = *like;
    *out = f;
    return RC_OK;
}

/* What stands between brackets, the opening one taken already. */
static rc_t enclosed(struct reading *r, char end, const struct scim_filter **out) {
    if (++r->depth > SCIM_DEPTH_MAX) {
        diag_set(r->why, "the filter is too deep");
        return RC_LIMIT;
    }
    rc_t rc = or_read(r, out);
    r->depth--;
    blanks(r);
    if (rc == RC_OK && !sign(r, end)) rc = wrong(r, end == ')' ? "\")\"" : "\"]\"");
    return rc;
}

static rc_t test_read(struct reading *r, str path, const struct scim_filter **out) {
    static const char ops[][3] = {"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"};
    struct scim_filter f = {.kind = SCIM_TEST, .path = path};
    u32 op = 0;
    if (++r->tests > SCIM_TESTS_MAX) {
        diag_set(r->why, "the filter compares too much");
        return RC_LIMIT;
    }
    blanks(r);
    while (op < ARRAY_LEN(ops) && !word(r, str_of(ops[op], 2))) op++;
    if (op == ARRAY_LEN(ops)) return wrong(r, "eq, ne, co, sw, ew, gt, ge, lt, le or pr");
    f.op = (enum scim_op)op;
    if (f.op != SCIM_PR) {
        blanks(r);
        rc_t rc = value_read(r, &f.value);
        if (rc) return rc;
    }
    return node(r, &f, out);
}

static rc_t term_read(struct reading *r, const struct scim_filter **out) {
    struct scim_filter f = {0};
    struct reading before = *r;
    blanks(r);
    if (word(r, S("not"))) {
        blanks(r);
        if (sign(r, '(')) {
            f.kind = SCIM_NOT;
            rc_t rc = enclosed(r, ')', &f.left);
            return rc ? rc : node(r, &f, out);
        }
        r->rest = before.rest; /* an attribute of that name, then */
        blanks(r);
    }
    if (sign(r, '(')) return enclosed(r, ')', out);
    rc_t rc = path_read(r, &f.path);
    if (rc) return rc;
    if (!sign(r, '[')) return test_read(r, f.path, out);
    f.kind = SCIM_INSIDE;
    rc = enclosed(r, ']', &f.left);
    return rc ? rc : node(r, &f, out);
}

/* One level of terms joined by a word. */
static rc_t joined(struct reading *r, bool all, const struct scim_filter **out) {
    struct scim_filter f = {.kind = all ? SCIM_AND : SCIM_OR};
    rc_t rc = all ? term_read(r, out) : joined(r, true, out);
    while (rc == RC_OK) {
        blanks(r);
        if (!word(r, all ? S("and") : S("or"))) return RC_OK;
        f.left = *out;
        rc = all ? term_read(r, &f.right) : joined(r, true, &f.right);
        if (rc == RC_OK) rc = node(r, &f, out);
    }
    return rc;
}
static rc_t or_read(struct reading *r, const struct scim_filter **out) {
    return joined(r, false, out);
}

static rc_t opened(struct reading *r, struct arena *a, str text, struct diag *why) {
    *r = (struct reading){.a = a, .rest = text, .why = why};
    if (text.len <= SCIM_FILTER_MAX) return RC_OK;
    diag_set(why, "the filter is longer than %d bytes", SCIM_FILTER_MAX);
    return RC_LIMIT;
}

static rc_t at_end(struct reading *r) {
    blanks(r);
    return r->rest.len ? wrong(r, "the end") : RC_OK;
}

rc_t scim_filter_parse(struct arena *a, str text, const struct scim_filter **out,
                       struct diag *why) {
    struct reading r;
    rc_t rc = opened(&r, a, text, why);
    if (rc == RC_OK) rc = or_read(&r, out);
    return rc ? rc : at_end(&r);
}

rc_t scim_path_parse(struct arena *a, str text, struct scim_path *out, struct diag *why) {
    struct reading r;
    str path;
    *out = (struct scim_path){.sub = S("")};
    rc_t rc = opened(&r, a, text, why);
    if (rc == RC_OK) rc = path_read(&r, &path);
    if (rc) return rc;
    size_t dot = str_find_byte(path, '.');
    out->attribute = str_take(path, dot);
    out->sub = str_skip(path, MIN(dot + 1, path.len));
    if (!out->sub.len && sign(&r, '[')) {
        rc = enclosed(&r, ']', &out->where);
        if (rc == RC_OK && sign(&r, '.')) rc = path_read(&r, &out->sub);
    }
    return rc ? rc : at_end(&r);
}
