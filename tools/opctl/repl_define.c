/* SPDX-License-Identifier: Apache-2.0 */
/* repl_define.c — packages, imports and rules of a session. They are kept as text, one module per
 * package, and compiled with what was loaded whenever a question is asked; a definition that does
 * not compile is taken back. */
#include <stdlib.h>
#include "tools/opctl/repl.h"

enum { TEXT_BYTES_MAX = 1 << 26 };

static str kept(struct repl *r, str s) {
    value v = value_string(&r->heap, s);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

str repl_package(const struct repl *r) {
    return r->current == REPL_NONE ? S("repl") : r->modules[r->current].package;
}

void repl_module_text(const struct repl *r, int module, bool rules, struct buf *to) {
    const struct repl_module *m = module == REPL_NONE ? NULL : r->modules + module;
    (void)buf_printf(to, "package %.*s\n\n", STR(m ? m->package : S("repl")));
    for (u32 i = 0; m && i < m->import_count; i++)
        (void)buf_printf(to, "import %.*s\n", STR(m->imports[i]));
    for (u32 i = 0; rules && m && i < m->rule_count; i++)
        (void)buf_printf(to, "\n%.*s\n", STR(m->rules[i].text));
}

rc_t repl_load(struct repl *r, bool trace, struct policy_times *times, struct policy_program **out,
               struct policy_errors *errors) {
    u32 count = r->files.count + r->module_count;
    struct policy_source *sources = calloc(count + 1, sizeof *sources);
    struct buf *texts = calloc(r->module_count + 1, sizeof *texts);
    rc_t rc = RC_NO_MEMORY;
    if (sources && texts) {
        if (r->files.count) memcpy(sources, r->files.sources, r->files.count * sizeof *sources);
        for (u32 i = 0; i < r->module_count; i++) {
            buf_open(texts + i, TEXT_BYTES_MAX);
            repl_module_text(r, (int)i, true, texts + i);
            sources[r->files.count + i] = (struct policy_source){S(""), buf_str(texts + i)};
        }
        r->load.trace = trace, r->load.times = times;
        rc = policy_load(sources, count, &r->load, out, errors);
    }
    for (u32 i = 0; texts && i < r->module_count; i++) buf_close(texts + i);
    free(sources), free(texts);
    return rc;
}

static int module_of(struct repl *r, str package) {
    for (u32 i = 0; i < r->module_count; i++)
        if (str_eq(r->modules[i].package, package)) return (int)i;
    if (r->module_count == r->module_room) {
        u32 room = r->module_room ? r->module_room * 2 : 8;
        struct repl_module *more = realloc(r->modules, room * sizeof *more);
        if (!more) return REPL_NONE;
        r->modules = more, r->module_room = room;
    }
    r->modules[r->module_count] = (struct repl_module){.package = kept(r, package)};
    return (int)r->module_count++;
}

bool repl_is_defined(const struct repl *r, str name) {
    const struct repl_module *m = r->current == REPL_NONE ? NULL : r->modules + r->current;
    for (u32 i = 0; m && i < m->rule_count; i++)
        if (str_eq(m->rules[i].name, name)) return true;
    for (u32 i = 0; m && i < m->import_count; i++)
        if (str_ends(m->imports[i], name)) return true;
    return false;
}

bool repl_unset(struct repl *r, str name) {
    struct repl_module *m = r->current == REPL_NONE ? NULL : r->modules + r->current;
    u32 n = 0;
    for (u32 i = 0; m && i < m->rule_count; i++)
        if (!str_eq(m->rules[i].name, name)) m->rules[n++] = m->rules[i];
    bool some = m && n < m->rule_count;
    if (m) m->rule_count = n;
    return some;
}

bool repl_unset_package(struct repl *r, str package) {
    for (u32 i = 0; i < r->module_count; i++) {
        if (!str_eq(r->modules[i].package, package)) continue;
        free(r->modules[i].rules);
        r->modules[i] = r->modules[--r->module_count];
        r->current = r->current == (int)i                 ? REPL_NONE
                     : r->current == (int)r->module_count ? (int)i
                                                          : r->current;
        return true;
    }
    return false;
}

static bool rule_add(struct repl *r, struct repl_module *m, str name, str text) {
    if (m->rule_count == m->rule_room) {
        u32 room = m->rule_room ? m->rule_room * 2 : 8;
        struct repl_rule *more = realloc(m->rules, room * sizeof *more);
        if (!more) return false;
        m->rules = more, m->rule_room = room;
    }
    m->rules[m->rule_count++] = (struct repl_rule){kept(r, name), kept(r, text)};
    return true;
}

static str text_of_ref(struct heap *h, const struct ast_term *ref) {
    struct buf b;
    buf_open(&b, 1 << 16);
    ast_term_write(&b, ref);
    value v = value_string(h, buf_str(&b));
    buf_close(&b);
    return v.kind == VALUE_STRING ? value_str(v) : S("");
}

static void add_imports(struct repl *r, struct repl_module *m, struct ast_module *made,
                        struct heap *h) {
    for (u32 i = 0; i < made->import_count; i++) {
        str path = text_of_ref(h, made->imports[i].path);
        if (made->imports[i].alias.len) {
            value both = value_string(h, path);
            struct buf b;
            buf_open(&b, 1 << 16);
            (void)buf_printf(&b, "%.*s as %.*s", STR(value_str(both)), STR(made->imports[i].alias));
            path = kept(r, buf_str(&b));
            buf_close(&b);
        }
        bool there = false;
        for (u32 k = 0; k < m->import_count; k++) there |= str_eq(m->imports[k], path);
        if (!there && m->import_count < REPL_IMPORTS_MAX)
            m->imports[m->import_count++] = kept(r, path);
    }
}

/* The rule's own text, with its else: from where it begins to where the next thing does. */
static str rule_text(const struct ast_module *m, u32 i) {
    u32 from = m->rules[i]->at.offset;
    u32 to = i + 1 < m->rule_count ? m->rules[i + 1]->at.offset : (u32)m->file->text.len;
    return str_trim(str_take(str_skip(m->file->text, from), to - from));
}

static str name_of(struct heap *h, const struct ast_rule *rule) {
    return rule->head->name.len ? rule->head->name : text_of_ref(h, rule->head->ref);
}

static void say_defined(const struct repl *r, str name, bool again) {
    if (strcmp(r->format, "json"))
        printf("Rule '%.*s' %s in package %.*s. Type 'show' to see rules.\n", STR(name),
               again ? "re-defined" : "defined", STR(repl_package(r)));
}

/* Compiles with the new rules; takes them back when that fails. */
static rc_t try_rules(struct repl *r, struct ast_module *made, bool again, struct heap *h,
                      struct policy_errors *errors) {
    struct repl_module *m = r->modules + r->current, before = *m;
    struct policy_program *program;
    bool replaced = false;
    before.rules = malloc((m->rule_count + 1) * sizeof *m->rules);
    if (!before.rules) return RC_NO_MEMORY;
    if (m->rule_count) memcpy(before.rules, m->rules, m->rule_count * sizeof *m->rules);
    before.rule_room = m->rule_count + 1;
    for (u32 i = 0; again && i < made->rule_count; i++)
        replaced |= repl_unset(r, name_of(h, made->rules[i]));
    for (u32 i = 0; i < made->rule_count; i++)
        if (!rule_add(r, m, name_of(h, made->rules[i]), rule_text(made, i))) break;
    rc_t rc = repl_load(r, false, NULL, &program, errors);
    if (rc) {
        free(m->rules);
        *m = before;
        return rc;
    }
    policy_drop(program);
    free(before.rules);
    for (u32 i = 0; i < made->rule_count; i++) say_defined(r, name_of(h, made->rules[i]), replaced);
    return RC_OK;
}

rc_t repl_define(struct repl *r, str text, bool again, struct policy_errors *errors) {
    struct ast_module *made;
    struct buf whole;
    struct heap h;
    bool has_package = str_starts(text, S("package "));
    heap_open(&h, (size_t)1 << 28);
    buf_open(&whole, TEXT_BYTES_MAX);
    if (!has_package) {
        struct buf head;
        buf_open(&head, TEXT_BYTES_MAX);
        repl_module_text(r, r->current, false, &head);
        (void)buf_add(&whole, buf_str(&head));
        buf_close(&head);
    }
    (void)buf_add(&whole, text);
    rc_t rc = parse_module(&h, S(""), buf_str(&whole), &r->load.parse, &made, errors);
    if (!rc) {
        str package = text_of_ref(&h, made->package);
        r->current = module_of(r, str_starts(package, S("data.")) ? str_skip(package, 5) : package);
        if (r->current == REPL_NONE) rc = RC_NO_MEMORY;
        if (!rc) add_imports(r, r->modules + r->current, made, &h);
        if (!rc && made->rule_count) rc = try_rules(r, made, again, &h, errors);
    }
    buf_close(&whole);
    heap_close(&h);
    return rc;
}
