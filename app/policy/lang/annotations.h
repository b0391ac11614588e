/* SPDX-License-Identifier: Apache-2.0 */
/* annotations.h — what a policy's author says about a package or rule in a METADATA comment:
 *
 *   # METADATA
 *   # title: Only owners write
 *   # scope: document
 *   allow if ...
 *
 * The block is YAML. `fields` holds it as rego.metadata.rule() answers it; what the compiler needs
 * lies beside it. Nodes live in the module's heap and never change. */
#pragma once
#include "app/policy/lang/error.h"

enum ast_scope {
    SCOPE_NONE,
    SCOPE_RULE,
    SCOPE_DOCUMENT,
    SCOPE_PACKAGE,
    SCOPE_SUBPACKAGES,
    SCOPE_OTHER
};

struct ast_schema {            /* schemas: - input: schema.x   or   - data.y: {type: string} */
    struct ast_term *path;     /* a ref */
    struct ast_term *schema;   /* a ref that starts with `schema`; else NULL */
    value definition;          /* else UNDEFINED */
};
struct ast_annotations {
    enum ast_scope scope;
    str scope_text;
    bool entrypoint;
    value parts;               /* `fields` without scope and entrypoint */
    value fields;              /* object: scope, title, description, organizations, authors,
                                  related_resources, schemas, custom, entrypoint, labels ... */
    struct ast_schema *schemas;
    u32 schema_count;
    struct ast_term **unknowns; /* compile: refs */
    u32 unknown_count;
    struct ast_term *mask_rule; /* compile: a ref, or NULL */
    struct ast_location at;     /* of the METADATA comment; its text is the whole block */
    u32 end_row;                /* of its last comment */
    /* What it stands above: one of them, or neither. */
    struct ast_rule *rule;
    bool package, import;      /* (of an import: an error) */
};
struct ast_annotations_list { struct ast_annotations **items; u32 count; };

/* As the reference writes them in JSON. */
value annotations_json(struct heap *h, const struct ast_annotations *a, bool locations);
/* The METADATA blocks among the comments; errors go to the parser. */
struct parser;
void annotations_read(struct parser *p, struct ast_annotations_list *out);
/* Hangs them on packages and rules. Errors: "annotation scope 'x' must be applied to ..." */
void annotations_attach(struct heap *h, struct ast_module *m, struct policy_errors *errors);
