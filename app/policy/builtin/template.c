/* SPDX-License-Identifier: Apache-2.0 */
/* template.c — strings.render_template: a template carried out over an object.
 *
 * A key that is missing is an error. Numbers of the document are text here, as in the reference. */
#include "app/policy/builtin/template_impl.h"
#include <stdarg.h>
#include <stdio.h>

enum { VARIABLES_MAX = 128, ARGUMENTS_MAX = 24 };
enum after { GO_ON, BREAK, CONTINUE, STOP };

struct walking {
    struct builtin_call *call;
    str all;
    const struct template *templates;
    const struct template *current;
    struct buf out;
    u32 depth;
    struct {
        str name;
        struct data d;
    } variables[VARIABLES_MAX];
    u32 variable_count, floor; /* variables below the floor are a caller's */
};

static bool fail(struct walking *w, str at, str source, const char *fmt, ...) PRINTF_LIKE(4, 5);
static bool fail(struct walking *w, str at, str source, const char *fmt, ...) {
    char words[256];
    u32 line = 1;
    size_t begin = 0, place = (size_t)(at.ptr - w->all.ptr);
    va_list args;
    if (w->call->failed) return false;
    for (size_t i = 0; i < place && i < w->all.len; i++)
        if (w->all.ptr[i] == '\n') line++, begin = i + 1;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    builtin_fail(w->call, "template: template:%u:%zu: executing \"%.*s\" at <%.*s%s>: %s", line,
                 place - begin, STR(str_take(w->current->name, 60)), STR(str_take(source, 20)),
                 source.len > 20 ? "..." : "", words);
    return false;
}

/* ---- Terms ----------------------------------------------------------------------------------- */

static bool set_variable(struct walking *w, str name, struct data d, bool assigns, str at) {
    for (u32 i = w->variable_count; assigns && i-- > w->floor;)
        if (str_eq(w->variables[i].name, name)) {
            w->variables[i].d = d;
            return true;
        }
    if (w->variable_count == VARIABLES_MAX) return fail(w, at, name, "too many variables");
    w->variables[w->variable_count].name = name;
    w->variables[w->variable_count++].d = d;
    return true;
}

static bool find_variable(struct walking *w, const struct template_term *t, struct data *out) {
    for (u32 i = w->variable_count; i-- > w->floor;)
        if (str_eq(w->variables[i].name, t->name)) {
            *out = w->variables[i].d;
            return true;
        }
    return fail(w, t->at, t->source, "undefined variable: %.*s", STR(str_take(t->name, 60)));
}

static bool follow(struct walking *w, const struct template_term *t, struct data *d) {
    str rest = t->fields, name;
    (void)str_split(&rest, '.', &name); /* before the first dot is nothing */
    while (rest.len && str_split(&rest, '.', &name)) {
        if (value_is(d->v, VALUE_OBJECT)) {
            value v = value_get_str(d->v, name);
            if (!value_defined(v))
                return fail(w, t->at, t->source, "map has no entry for key \"%.*s\"",
                            STR(str_take(name, 100)));
            *d = (struct data){.v = v};
        } else if (!value_defined(d->v))
            return fail(w, t->at, t->source, "nil data; no entry for key \"%.*s\"",
                        STR(str_take(name, 100)));
        else if (value_is(d->v, VALUE_NULL))
            return fail(w, t->at, t->source, "nil pointer evaluating interface {}.%.*s",
                        STR(str_take(name, 100)));
        else
            return fail(w, t->at, t->source, "can't evaluate field %.*s in type %s",
                        STR(str_take(name, 100)), d->whole ? "int" : "interface {}");
    }
    return true;
}

static bool pipeline(struct walking *w, const struct template_pipe *p, struct data dot,
                     struct data *out);

static bool worth(struct walking *w, const struct template_term *t, struct data dot,
                  struct data *out);

static bool call(struct walking *w, const struct template_command *k, const struct data *piped,
                 struct data dot, struct data *out) {
    const struct template_term *f = k->terms;
    struct data args[ARGUMENTS_MAX];
    u32 n = 0;
    bool either = str_eq(f->name, S("or")), all = str_eq(f->name, S("and"));
    for (const struct template_term *t = f->next; t; t = t->next) {
        if (n == ARGUMENTS_MAX - 1) return fail(w, t->at, k->source, "too many arguments");
        if (!worth(w, t, dot, &args[n])) return false;
        *out = args[n++];
        if ((either || all) && template_true(*out) == either) return true;
    }
    if (piped) *out = args[n++] = *piped;
    if ((either || all) && n) return true;
    struct template_call c = {.call = w->call, .function = f->name};
    if (!builtin_tick(w->call, 2)) return false;
    if (template_function(&c, args, n, out)) return true;
    if (c.why.len && str_starts(c.why, S("wrong number")))
        return fail(w, f->at, f->source, "%.*s", STR(c.why));
    if (c.why.len)
        return fail(w, f->at, k->source, "error calling %.*s: %.*s", STR(f->name), STR(c.why));
    return false;
}

static bool worth(struct walking *w, const struct template_term *t, struct data dot,
                  struct data *out) {
    *out = (struct data){0};
    switch (t->kind) {
    case TERM_DOT: *out = dot; break;
    case TERM_VARIABLE:
        if (!find_variable(w, t, out)) return false;
        break;
    case TERM_PIPE:
        if (!pipeline(w, t->pipe, dot, out)) return false;
        break;
    case TERM_FUNCTION: {
        struct template_term alone = *t;
        alone.next = NULL;
        struct template_command k = {.terms = &alone, .source = t->source};
        if (!call(w, &k, NULL, dot, out)) return false;
        break;
    }
    case TERM_NIL: return true;
    default: *out = (struct data){.v = t->v, .whole = t->whole};
    }
    return !t->fields.len || follow(w, t, out);
}

static bool command(struct walking *w, const struct template_command *k, const struct data *piped,
                    struct data dot, struct data *out) {
    const struct template_term *first = k->terms;
    if (!builtin_tick(w->call, 1)) return false;
    if (first->kind == TERM_FUNCTION && !first->fields.len) return call(w, k, piped, dot, out);
    if (first->kind == TERM_NIL) return fail(w, first->at, first->source, "nil is not a command");
    if (first->next || piped) {
        struct data d;
        bool field = first->fields.len > 0;
        if (!worth(w, first, dot, &d)) return false;
        if (field)
            return fail(w, first->at, first->source, "%.*s is not a method but has arguments",
                        STR(str_take(first->fields, 100)));
        return fail(w, first->at, first->source, "can't give argument to non-function %.*s",
                    STR(str_take(first->source, 100)));
    }
    return worth(w, first, dot, out);
}

static bool pipeline(struct walking *w, const struct template_pipe *p, struct data dot,
                     struct data *out) {
    struct data d = {0};
    const struct data *piped = NULL;
    for (const struct template_command *k = p->commands; k; k = k->next) {
        struct data next = {0};
        if (!command(w, k, piped, dot, &next)) return false;
        d = next, piped = &d;
    }
    *out = d;
    return true;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

static enum after list(struct walking *w, const struct template_node *n, struct data dot);

static enum after once(struct walking *w, const struct template_node *n, struct data index,
                       struct data item) {
    u32 mine = w->variable_count;
    const struct template_pipe *p = n->pipe;
    const struct data *given[2] = {p->name_count == 2 ? &index : &item, &item};
    for (u32 i = 0; i < p->name_count; i++)
        if (!set_variable(w, p->names[i], *given[i], p->assigns, p->source)) return STOP;
    enum after how = list(w, n->body, item);
    w->variable_count = mine;
    return how;
}

static enum after range(struct walking *w, const struct template_node *n, struct data dot) {
    struct data over, index = {0}, item = {0};
    s64 count = 0;
    if (!pipeline(w, n->pipe, dot, &over)) return STOP;
    bool object = value_is(over.v, VALUE_OBJECT);
    if (object || value_is(over.v, VALUE_ARRAY))
        count = value_count(over.v);
    else if (over.whole)
        (void)!!number_to_s64(over.v, &count);
    else if (value_defined(over.v) && !value_is(over.v, VALUE_NULL)) {
        struct buf b;
        builtin_text_open(w->call, &b);
        template_write(&b, over, true);
        (void)fail(w, n->pipe->source, n->pipe->source, "range can't iterate over %.*s",
                   STR(str_take(buf_str(&b), 100)));
        buf_close(&b);
        return STOP;
    }
    for (s64 i = 0; i < count; i++) {
        index = (struct data){.v = value_integer(i), .whole = true};
        if (over.whole)
            item = index;
        else
            item = (struct data){.v = object ? value_value_at(over.v, (u32)i)
                                             : value_item(over.v, (u32)i)};
        if (object) index = (struct data){.v = value_key_at(over.v, (u32)i)};
        if (!builtin_tick(w->call, 1)) return STOP;
        enum after how = once(w, n, index, item);
        if (how == STOP) return STOP;
        if (how == BREAK) break;
    }
    return count > 0 ? GO_ON : list(w, n->otherwise, dot);
}

static enum after choose(struct walking *w, const struct template_node *n, struct data dot) {
    u32 mine = w->variable_count;
    struct data d;
    if (!pipeline(w, n->pipe, dot, &d)) return STOP;
    for (u32 i = 0; i < n->pipe->name_count; i++)
        if (!set_variable(w, n->pipe->names[i], d, n->pipe->assigns, n->pipe->source)) return STOP;
    bool yes = template_true(d);
    enum after how =
        list(w, yes ? n->body : n->otherwise, yes && n->kind == TEMPLATE_WITH ? d : dot);
    w->variable_count = mine;
    return how;
}

static enum after call_template(struct walking *w, const struct template_node *n, struct data dot) {
    const struct template *t = NULL, *caller = w->current;
    struct data d = {0};
    for (const struct template *i = w->templates; i; i = i->next) /* the last of a name counts */
        if (str_eq(i->name, n->text)) t = i;
    if (!t)
        return fail(w, n->text, n->text, "template \"%.*s\" not defined",
                    STR(str_take(n->text, 60))),
               STOP;
    if (n->pipe && !pipeline(w, n->pipe, dot, &d)) return STOP;
    if (w->depth >= TEMPLATE_DEPTH_MAX)
        return fail(w, n->text, n->text, "exceeded maximum template depth (%u)",
                    (unsigned)TEMPLATE_DEPTH_MAX),
               STOP;
    u32 mine = w->variable_count, floor = w->floor;
    w->floor = w->variable_count, w->current = t;
    enum after how = set_variable(w, S("$"), d, false, n->text) ? list(w, t->body, d) : STOP;
    w->variable_count = mine, w->floor = floor, w->current = caller;
    return how == STOP ? STOP : GO_ON;
}

static enum after action(struct walking *w, const struct template_node *n, struct data dot) {
    struct data d;
    if (!pipeline(w, n->pipe, dot, &d)) return STOP;
    for (u32 i = 0; i < n->pipe->name_count; i++)
        if (!set_variable(w, n->pipe->names[i], d, n->pipe->assigns, n->pipe->source)) return STOP;
    if (!n->pipe->name_count)
        template_write(&w->out, value_is(d.v, VALUE_NULL) ? (struct data){0} : d, false);
    return w->out.failed ? STOP : GO_ON;
}

static enum after node(struct walking *w, const struct template_node *n, struct data dot) {
    switch (n->kind) {
    case TEMPLATE_TEXT: return buf_add(&w->out, n->text) ? STOP : GO_ON;
    case TEMPLATE_ACTION: return action(w, n, dot);
    case TEMPLATE_IF:
    case TEMPLATE_WITH: return choose(w, n, dot);
    case TEMPLATE_RANGE: return range(w, n, dot);
    case TEMPLATE_CALL: return call_template(w, n, dot);
    case TEMPLATE_BREAK: return BREAK;
    case TEMPLATE_CONTINUE: return CONTINUE;
    }
    return STOP;
}

static enum after list(struct walking *w, const struct template_node *n, struct data dot) {
    enum after how = GO_ON;
    w->depth++;
    for (; n && how == GO_ON; n = n->next) how = builtin_tick(w->call, 1) ? node(w, n, dot) : STOP;
    w->depth--;
    return how;
}

/* The reference takes the object through JSON: what JSON cannot say, it cannot be given. */
static bool is_json(struct builtin_call *c, value v) {
    u32 n = value_is(v, VALUE_ARRAY) || value_is(v, VALUE_OBJECT) ? value_count(v) : 0;
    if (!builtin_tick(c, 1) || value_is(v, VALUE_SET)) return false;
    for (u32 i = 0; i < n; i++) {
        if (value_is(v, VALUE_OBJECT) && !value_is(value_key_at(v, i), VALUE_STRING)) return false;
        if (!is_json(c, value_is(v, VALUE_OBJECT) ? value_value_at(v, i) : value_item(v, i)))
            return false;
    }
    return true;
}

value builtin_strings_render_template(struct builtin_call *c, const value *args) {
    str text;
    if (!builtin_take_string(c, args, 0, &text) || !builtin_take_kind(c, args, 1, VALUE_OBJECT))
        return UNDEFINED;
    if (!is_json(c, args[1]))
        return c->failed ? UNDEFINED : builtin_fail(c, "the variables of a template must be JSON");
    struct walking *w = heap_alloc(c->heap, sizeof *w);
    if (!w) return builtin_fail_memory(c);
    memset(w, 0, sizeof *w);
    w->call = c, w->all = text;
    if (!(w->templates = template_read(c, text))) return UNDEFINED;
    w->current = w->templates;
    struct data dot = {.v = args[1]};
    builtin_text_open(c, &w->out);
    bool good =
        set_variable(w, S("$"), dot, false, text) && list(w, w->templates->body, dot) != STOP;
    value v = builtin_text_close(c, &w->out);
    if (good) return v;
    return c->failed ? UNDEFINED : builtin_fail_memory(c);
}
