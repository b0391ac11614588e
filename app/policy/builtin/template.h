/* SPDX-License-Identifier: Apache-2.0 */
/* template.h — templates of the reference's language: text with {{actions}} in it, read to a tree
 * and carried out over an object.
 *
 *   {{.a.b}} {{$x := pipeline}} {{if}} {{else if}} {{range $i, $e := .list}} {{with}} {{define
 * "name"}}
 *   {{template "name" .}} {{block}} {{break}} {{continue}} {{end}} {{- trims -}} comments */
#pragma once
#include "app/policy/builtin/builtin_impl.h"

enum template_kind {
    TEMPLATE_TEXT,
    TEMPLATE_ACTION,
    TEMPLATE_IF,
    TEMPLATE_RANGE,
    TEMPLATE_WITH,
    TEMPLATE_CALL,
    TEMPLATE_BREAK,
    TEMPLATE_CONTINUE,
};
enum term_kind {
    TERM_DOT,
    TERM_VARIABLE,
    TERM_FUNCTION,
    TERM_STRING,
    TERM_NUMBER,
    TERM_BOOLEAN,
    TERM_NIL,
    TERM_PIPE,
};

struct template_term {
    struct template_term *next;
    enum term_kind kind;
    str name;   /* variable with its $, function */
    value v;    /* string, number, boolean */
    bool whole; /* the number is an int */
    struct template_pipe *pipe;
    str fields; /* ".a.b" or empty */
    str source; /* as written */
    str at;     /* where errors point to: a part of the source */
};
struct template_command {
    struct template_command *next;
    struct template_term *terms;
    str source;
};
struct template_pipe {
    str names[2]; /* $i, $e := */
    u32 name_count;
    bool assigns; /* = instead of := */
    struct template_command *commands;
    str source;
};
struct template_node {
    struct template_node *next;
    enum template_kind kind;
    str text;                   /* TEXT; the name for CALL */
    struct template_pipe *pipe; /* may be NULL */
    struct template_node *body, *otherwise;
    str source;
};
struct template {
    struct template *next;
    str name;
    struct template_node *body;
};

/* The templates of a text, the main one first; NULL: the call has failed. */
struct template *template_read(struct builtin_call *c, str text);
bool template_function_known(str name);
